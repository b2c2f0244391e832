-- The caller's settings do not reach the scripts, and are the caller's again
-- afterwards.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
CREATE SCHEMA theirs;
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_settings';
\c
-- Everything that would make a script mean something else.
SET array_nulls = off;
SET backslash_quote = off;
SET bytea_output = escape;
SET check_function_bodies = on;
SET client_min_messages = error;
SET DateStyle = 'German, DMY';
SET default_table_access_method = 'heap';
SET default_tablespace = 'pg_default';
SET escape_string_warning = off;
SET extra_float_digits = -3;
SET IntervalStyle = iso_8601;
SET jit = on;
SET lo_compat_privileges = on;
SET plpgsql.variable_conflict = use_column;
SET quote_all_identifiers = on;
SET row_security = off;
SET search_path = public, pg_catalog;
SET session_replication_role = replica;
SET standard_conforming_strings = off;
SET TimeZone = 'Asia/Kathmandu';
SET transform_null_equals = on;
SET xmloption = document;

CREATE EXTENSION du_settings SCHEMA theirs VERSION '1.0';
CREATE TABLE before AS SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'transaction%';
-- The scripts are read for the plan as they will be run.
SELECT to_version, risk, risk_reason FROM documentdb_upgrade.plan();
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
SELECT name, b.setting AS before, s.setting AS after FROM before b JOIN pg_settings s USING (name)
WHERE b.setting <> s.setting;

-- What the script saw.
SELECT name, value FROM theirs.seen ORDER BY name COLLATE "C";

-- The same after an attempt that fails, and after one that is rolled back.
CREATE FUNCTION public.no() RETURNS boolean LANGUAGE sql AS 'SELECT false';
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'post', 'public.no()');
SELECT documentdb_upgrade.finalize_to('1.2');
SELECT name, b.setting AS before, s.setting AS after FROM before b JOIN pg_settings s USING (name)
WHERE b.setting <> s.setting;
DELETE FROM documentdb_upgrade.checks;
BEGIN;
SELECT outcome FROM documentdb_upgrade.finalize_to('1.2');
SELECT name, b.setting AS before, s.setting AS after FROM before b JOIN pg_settings s USING (name)
WHERE b.setting <> s.setting;
ROLLBACK;

-- Temporary tables and prepared statements work in a script.
SELECT outcome FROM documentdb_upgrade.finalize_to('1.2');
SELECT name, value FROM theirs.seen WHERE name IN ('a temporary table', 'plpgsql.variable_conflict') ORDER BY name;

-- Settings of extensions go back to what the configuration says.
DROP EXTENSION du_settings;
SET du_settings.colour = 'red';
ALTER DATABASE :"DBNAME" SET du_settings.shape = 'round';
\c
SET du_settings.shape = 'square';
SET du_settings.colour = 'red';
SET elsewhere.colour = 'red';
CREATE EXTENSION du_settings SCHEMA theirs VERSION '1.0';
CREATE FUNCTION theirs.note() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['du_settings.colour', 'du_settings.shape', 'elsewhere.colour'] LOOP
		RAISE NOTICE '% is "%"', name, current_setting(name, true);
	END LOOP;
	RETURN true;
END
$$;
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('note', 'pre', 'theirs.note()');
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
SHOW du_settings.colour;
SHOW du_settings.shape;

DELETE FROM documentdb_upgrade.checks;
DROP FUNCTION theirs.note();
DROP EXTENSION du_settings;
DROP TABLE before;
DROP FUNCTION public.no();
DROP SCHEMA theirs;
ALTER DATABASE :"DBNAME" RESET ALL;
