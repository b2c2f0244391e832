-- Checks: functions that must return true in the upgrade's own transaction,
-- before the first script or after the last.  Whatever else one does, nothing
-- remains of the upgrade.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_ahead';
\c
CREATE SCHEMA ours;
CREATE EXTENSION du_ahead SCHEMA ours VERSION '1.0';
CREATE VIEW ours.installed AS
	SELECT extversion, (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
						WHERE attrelid = 'ours.ahead'::regclass AND attnum > 0) AS columns
	FROM pg_extension WHERE extname = 'du_ahead';

-- A check is a schema-qualified name with ().
\set VERBOSITY terse
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'post', 'ours.f');
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'post', 'ours.f(integer)');
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'post', 'f()');
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'post', 'not a.name()');
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'post', 'ours."');
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'post', 'ours.f(); SELECT 1');
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'during', 'ours.f()');
\set VERBOSITY default

-- A check that is not met.
CREATE FUNCTION ours.columns_are_there() RETURNS boolean LANGUAGE sql AS $$
	SELECT count(*) = 3 FROM pg_attribute WHERE attrelid = 'ours.ahead'::regclass AND attnum > 0
$$;
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('columns', 'post', 'ours.columns_are_there()');
SELECT documentdb_upgrade.finalize();
SELECT * FROM ours.installed;
SELECT outcome, refused_by, sqlstate, jsonb_array_length(steps) AS steps_that_ran, script
FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1;

-- A check that does not know.
CREATE OR REPLACE FUNCTION ours.columns_are_there() RETURNS boolean LANGUAGE sql AS 'SELECT NULL::boolean';
SELECT documentdb_upgrade.finalize();

-- A check that raises.
CREATE OR REPLACE FUNCTION ours.columns_are_there() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'there are % columns', 2 USING ERRCODE = 'DD002';
END
$$;
SELECT documentdb_upgrade.finalize();
SELECT * FROM ours.installed;
SELECT outcome, sqlstate, message FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1;
\c

-- A check that is not there, and ones that cannot be checks.
\set VERBOSITY sqlstate
DROP FUNCTION ours.columns_are_there();
SELECT documentdb_upgrade.finalize();
CREATE FUNCTION ours.columns_are_there() RETURNS integer LANGUAGE sql AS 'SELECT 1';
SELECT documentdb_upgrade.finalize();
DROP FUNCTION ours.columns_are_there();
CREATE FUNCTION ours.columns_are_there() RETURNS SETOF boolean LANGUAGE sql AS 'SELECT true';
SELECT documentdb_upgrade.finalize();
DROP FUNCTION ours.columns_are_there();
CREATE PROCEDURE ours.columns_are_there() LANGUAGE sql AS '';
SELECT documentdb_upgrade.finalize();
DROP PROCEDURE ours.columns_are_there();
CREATE FUNCTION ours.columns_are_there(a boolean DEFAULT true) RETURNS boolean LANGUAGE sql AS 'SELECT a';
SELECT documentdb_upgrade.finalize();
DROP FUNCTION ours.columns_are_there(boolean);
\c
\set VERBOSITY default
-- A check that is left out, and one whose name needs quotes.
BEGIN;
UPDATE documentdb_upgrade.checks SET enabled = false;
SELECT outcome FROM documentdb_upgrade.finalize();
ROLLBACK;
BEGIN;
CREATE FUNCTION ours."Isn""t it?"() RETURNS boolean LANGUAGE sql AS 'SELECT true';
UPDATE documentdb_upgrade.checks SET function = 'ours."Isn""t it?"()';
SELECT outcome FROM documentdb_upgrade.finalize();
ROLLBACK;

-- Before and after: pre-checks see what was, post-checks what will be; both in
-- the order of their names.  A check runs as its owner.  It may try things out:
-- what it writes and sets is taken back.
CREATE ROLE regress_checker;
GRANT USAGE ON SCHEMA ours TO regress_checker;
CREATE TABLE ours.tried (who name);
GRANT SELECT, INSERT ON ours.tried TO regress_checker;
CREATE FUNCTION ours.look() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% sees % with search_path %', current_user,
		documentdb_upgrade.schema_version(), current_setting('search_path');
	INSERT INTO ours.tried VALUES (current_user);
	PERFORM set_config('search_path', 'ours, pg_catalog', false);
	RETURN EXISTS (SELECT FROM ours.tried);
END
$$;
GRANT EXECUTE ON FUNCTION documentdb_upgrade.schema_version() TO regress_checker;
ALTER FUNCTION ours.look() OWNER TO regress_checker;
-- Would be called, as a superuser, by statements that find it first.
CREATE FUNCTION ours.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'the trap is called by %', current_user;
	RETURN $1 OPERATOR(pg_catalog.=) $2;
END
$$;
CREATE OPERATOR ours.= (LEFTARG = text, RIGHTARG = text, FUNCTION = ours.trap);
CREATE FUNCTION ours.false() RETURNS boolean LANGUAGE sql AS 'SELECT false';
DELETE FROM documentdb_upgrade.checks;
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES
	('a', 'pre', 'ours.look()'), ('a after', 'post', 'ours.look()'), ('b', 'pre', 'ours.look()'), ('z', 'post', 'ours.false()');
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize();
UPDATE documentdb_upgrade.checks SET kind = 'pre' WHERE name = 'z';
SELECT documentdb_upgrade.finalize();
SELECT outcome, steps FROM documentdb_upgrade.history WHERE outcome <> 'cancelled' ORDER BY id DESC LIMIT 1;
DELETE FROM documentdb_upgrade.checks WHERE name = 'z';
SELECT outcome FROM documentdb_upgrade.finalize();
SHOW search_path;
SELECT count(*) FROM ours.tried;
SELECT * FROM ours.installed;

-- Without work no check is asked.
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('never', 'pre', 'ours.false()');
SELECT outcome, id FROM documentdb_upgrade.finalize();

-- Checks of users are dumped, those that came with an extension are not.
SELECT c.extcondition[array_position(c.extconfig, 'documentdb_upgrade.checks'::regclass)]
FROM pg_extension c WHERE extname = 'documentdb_upgrade';

DROP EXTENSION du_ahead CASCADE;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
SET client_min_messages = warning;
DROP SCHEMA ours CASCADE;
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
DROP ROLE regress_checker;
