-- What belongs to an extension, as digests that tell whether somebody has
-- altered it, and guard members_intact.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_members';
\c
SET client_min_messages = warning;
CREATE EXTENSION du_members VERSION '1.0';

SELECT kind, string_agg(identity, ' ' ORDER BY identity COLLATE "C")
FROM documentdb_upgrade.member_definitions('du_members')
WHERE kind NOT IN ('function', 'type', 'cast') GROUP BY 1 ORDER BY kind COLLATE "C";
SELECT count(*) = count(DISTINCT (kind, identity)) AS named_once,
	bool_and(length(digest) = 64) AS digests, bool_and(privileges LIKE 'owner=%' OR kind = 'cast') AS privileges
FROM documentdb_upgrade.member_definitions('du_members');
SELECT count(*) FROM documentdb_upgrade.member_definitions('missing');

-- What differs after a statement, which is undone.
CREATE SCHEMA apart;
CREATE TABLE apart.before AS SELECT * FROM documentdb_upgrade.member_definitions('du_members');
CREATE FUNCTION apart.differences() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(coalesce(a.kind, b.kind) || ' ' || coalesce(a.identity, b.identity)
		|| CASE WHEN a.digest IS NULL THEN ' removed' WHEN b.digest IS NULL THEN ' added'
			WHEN a.digest <> b.digest THEN ' changed' ELSE ' granted' END, ', '
		ORDER BY coalesce(a.kind, b.kind) COLLATE "C", coalesce(a.identity, b.identity) COLLATE "C")
	FROM documentdb_upgrade.member_definitions('du_members') a
	FULL JOIN apart.before b USING (kind, identity)
	WHERE (a.digest, a.privileges) IS DISTINCT FROM (b.digest, b.privileges)
$$;
CREATE FUNCTION apart.after(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	BEGIN
		EXECUTE statement;
		result := apart.differences();
		RAISE EXCEPTION USING ERRCODE = 'DU001';
	EXCEPTION WHEN SQLSTATE 'DU001' THEN
		RETURN coalesce(result, 'nothing');
	END;
END
$$;
CREATE TABLE apart.statements (n serial, statement text);
INSERT INTO apart.statements (statement) VALUES
	('ALTER TABLE du_members.thing ADD more integer'),
	('ALTER TABLE du_members.thing ALTER name DROP NOT NULL'),
	('ALTER TABLE du_members.thing ALTER name SET DEFAULT 5'),
	('ALTER TABLE du_members.thing ALTER id TYPE bigint'),
	('ALTER TABLE du_members.thing ADD CHECK (id > 0)'),
	('ALTER TABLE du_members.thing DISABLE TRIGGER thing_changes'),
	('ALTER TABLE du_members.thing ENABLE ROW LEVEL SECURITY'),
	('ALTER TABLE du_members.thing SET (fillfactor = 50)'),
	('DROP POLICY everybody ON du_members.thing'),
	('CREATE RULE quiet AS ON DELETE TO du_members.thing DO INSTEAD NOTHING'),
	('DROP INDEX du_members.thing_name'),
	('DROP TRIGGER thing_changes ON du_members.thing'),
	('CREATE OR REPLACE VIEW du_members.names AS SELECT upper(name) AS name FROM du_members.thing'),
	('ALTER SEQUENCE du_members.numbers INCREMENT 2'),
	('SELECT nextval(''du_members.numbers'')'),
	('CREATE OR REPLACE FUNCTION du_members.twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS ''SELECT 3 * $1'''),
	('ALTER FUNCTION du_members.twice(integer) VOLATILE'),
	('ALTER FUNCTION du_members.twice(integer) SET search_path = public'),
	('ALTER PROCEDURE du_members.nothing() SECURITY DEFINER'),
	('ALTER FUNCTION du_members.twice(integer) RENAME TO thrice'),
	('ALTER TYPE du_members.mood ADD VALUE ''so so'''),
	('ALTER TYPE du_members.mood RENAME VALUE ''bad'' TO ''ill'''),
	('ALTER TYPE du_members.pair ADD ATTRIBUTE c integer'),
	('ALTER DOMAIN du_members.positive ADD CHECK (VALUE < 9)'),
	('ALTER DOMAIN du_members.positive SET DEFAULT 4'),
	('ALTER OPERATOR du_members.=== (du_members.pair, du_members.pair) SET (RESTRICT = neqsel)'),
	('ALTER OPERATOR FAMILY du_members.pair_ops USING hash ADD FUNCTION 1 (integer, integer) hashint4(integer)'),
	('ALTER TEXT SEARCH CONFIGURATION du_members.words DROP MAPPING FOR url'),
	('CREATE OR REPLACE AGGREGATE du_members.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = ''7'')'),
	('ALTER EXTENSION du_members DROP CAST (integer AS du_members.pair)'),
	('CREATE FUNCTION du_members.extra() RETURNS integer LANGUAGE sql AS ''SELECT 1''; ALTER EXTENSION du_members ADD FUNCTION du_members.extra()'),
	('CREATE FUNCTION du_members.stranger() RETURNS integer LANGUAGE sql AS ''SELECT 1'''),
	('UPDATE pg_extension SET extcondition = ''{WHERE id > 5}'' WHERE extname = ''du_members'''),
	('ALTER EXTENSION du_members UPDATE'),
	('GRANT SELECT ON du_members.thing TO PUBLIC'),
	('REVOKE EXECUTE ON FUNCTION du_members.twice(integer) FROM PUBLIC'),
	('GRANT EXECUTE ON FUNCTION du_members.twice(integer) TO PUBLIC'),
	('COMMENT ON TABLE du_members.thing IS ''said'''),
	('INSERT INTO du_members.thing (name) VALUES (''row'')');
\pset format unaligned
\pset tuples_only on
SELECT statement || E'\n    ' || apart.after(statement) FROM apart.statements ORDER BY n;
\pset tuples_only off
\pset format aligned

-- The session's settings do not matter.
SET search_path = du_members, public;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'SQL, DMY';
SET extra_float_digits = 0;
SET quote_all_identifiers = on;
SET standard_conforming_strings = off;
SELECT apart.differences();
RESET ALL;
-- Nor do OIDs.
SET client_min_messages = warning;
DROP EXTENSION du_members;
CREATE EXTENSION du_members VERSION '1.0';
SELECT apart.differences();

-- Guard members_intact: nothing is known before the first finalize.
CREATE VIEW apart.guard AS
	SELECT status, hard, detail, hint FROM documentdb_upgrade.preflight() WHERE guard = 'members_intact';
\x
SELECT * FROM apart.guard;
SELECT outcome FROM documentdb_upgrade.finalize();
SELECT * FROM apart.guard;
SELECT extension, version, count(*) = (SELECT count(*) FROM documentdb_upgrade.member_definitions('du_members')) AS complete
FROM documentdb_upgrade.member_digests GROUP BY 1, 2;
-- Back to where there is a step, as if it had been recorded there.
UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'du_members';
SELECT * FROM apart.guard;
UPDATE documentdb_upgrade.member_digests SET version = '1.0';
SELECT * FROM apart.guard;
ALTER FUNCTION du_members.twice(integer) STABLE;
DROP INDEX du_members.thing_name;
ALTER EXTENSION du_members DROP VIEW du_members.names;
CREATE FUNCTION du_members.extra(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER EXTENSION du_members ADD FUNCTION du_members.extra(integer);
SELECT * FROM apart.guard;
SELECT format('ALTER FUNCTION du_members.%s VOLATILE', p.proname) FROM pg_proc p
WHERE p.proname IN ('pair_of', 'pair_hash', 'pair_equal') ORDER BY 1 \gexec
SELECT * FROM apart.guard;
UPDATE documentdb_upgrade.member_digests SET server_release = 14;
SELECT * FROM apart.guard;
\x

-- It warns; a finalize goes on and makes the record anew.
UPDATE documentdb_upgrade.member_digests SET server_release = current_setting('server_version_num')::integer / 10000;
RESET client_min_messages;
SELECT outcome FROM documentdb_upgrade.finalize();
SELECT count(*) FROM documentdb_upgrade.member_digests WHERE identity = 'du_members.extra(integer)';

SET client_min_messages = warning;
DROP EXTENSION du_members CASCADE;
DROP SCHEMA apart CASCADE;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
