-- A hostile caller: names of the server's and of ours are shadowed by temporary
-- objects and in schemas that the caller's search_path puts first.  Nothing of
-- the caller's is called or read with other rights than the caller's.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
CREATE SCHEMA theirs;
CREATE EXTENSION du_settings SCHEMA theirs VERSION '1.0';
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_settings';
CREATE FUNCTION theirs.yes() RETURNS boolean LANGUAGE sql AS 'SELECT true';
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'post', 'theirs.yes()');
SELECT documentdb_upgrade.hold('a reason', now() + interval '1 hour');
SELECT documentdb_upgrade.record_backup('b', now());
CREATE ROLE regress_attacker LOGIN;
GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO regress_attacker;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA documentdb_upgrade, documentdb_upgrade_internal TO regress_attacker;
-- Overriding a hold is granted here, which by default it is not.
ALTER ROLE regress_attacker SET documentdb_upgrade.protected_guards = '';
CREATE TABLE public.caught (n integer GENERATED ALWAYS AS IDENTITY, what text, who name);
GRANT INSERT ON public.caught TO PUBLIC;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_attacker;

\c - regress_attacker
CREATE SCHEMA attack;
-- A trap of every kind that a function of the server's has a name for.
CREATE FUNCTION attack.caught(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.caught (what, who) VALUES (what, current_user);
END
$$;
DO $$
DECLARE
	f text;
BEGIN
	-- Functions, for the types that queries of ours could call them with.
	FOR f IN SELECT format($f$CREATE FUNCTION attack.%I(%s) RETURNS %s LANGUAGE plpgsql AS
		'BEGIN PERFORM attack.caught(''%s''); RETURN NULL; END'$f$, name, arguments, result, name)
		FROM (VALUES ('lower', 'text', 'text'), ('lower', 'varchar', 'text'), ('format', 'text', 'text'),
			('format', 'text, name, name, text', 'text'), ('clock_timestamp', '', 'timestamptz'),
			('now', '', 'timestamptz'), ('current_setting', 'text', 'text'), ('current_setting', 'text, boolean', 'text'),
			('set_config', 'text, text, boolean', 'text'), ('pg_backend_pid', '', 'integer'), ('age', 'xid', 'integer'),
			('length', 'text', 'integer'), ('to_regprocedure', 'text', 'regprocedure'),
			('jsonb_build_object', 'text, text', 'jsonb'), ('to_jsonb', 'text', 'jsonb'), ('version', '', 'text'),
			('pg_notify', 'text, text', 'text'), ('split_part', 'text, text, integer', 'text'),
			('date_part', 'text, interval', 'float8'), ('pg_extension_update_paths', 'name', 'text'),
			('schema_version', '', 'text'), ('yes', '', 'boolean'), ('current_database', '', 'name')) AS t(name, arguments, result)
	LOOP
		EXECUTE f;
	END LOOP;
	-- Operators, exact for the types that are compared and added.
	FOR f IN SELECT format($f$CREATE FUNCTION attack.%1$I(%2$s, %3$s) RETURNS %4$s LANGUAGE plpgsql AS
		'BEGIN PERFORM attack.caught(''%5$s''); RETURN NULL; END';
		CREATE OPERATOR attack.%6$s (LEFTARG = %2$s, RIGHTARG = %3$s, FUNCTION = attack.%1$I)$f$,
		'op_' || row_number() OVER (), l, r, result, 'operator ' || name, name)
		FROM (VALUES ('=', 'text', 'text', 'boolean'), ('=', 'name', 'name', 'boolean'), ('=', 'name', 'text', 'boolean'),
			('=', 'oid', 'oid', 'boolean'), ('=', 'integer', 'integer', 'boolean'), ('<>', 'text', 'text', 'boolean'),
			('>', 'timestamptz', 'timestamptz', 'boolean'), ('>', 'bigint', 'bigint', 'boolean'),
			('<=', 'timestamptz', 'timestamptz', 'boolean'), ('-', 'timestamptz', 'timestamptz', 'interval'),
			('+', 'integer', 'integer', 'integer'), ('||', 'text', 'text', 'text'), ('||', 'jsonb', 'jsonb', 'jsonb'),
			('~', 'text', 'text', 'boolean'), ('~~', 'text', 'text', 'boolean')) AS t(name, l, r, result)
	LOOP
		EXECUTE f;
	END LOOP;
END
$$;
CREATE TYPE attack.text AS (t integer);
-- Relations that would be read, or written, in place of the real ones.
SET search_path = attack, pg_temp, pg_catalog, documentdb_upgrade;
CREATE TEMPORARY TABLE pg_extension (oid oid, extname name, extversion pg_catalog.text);
CREATE TEMPORARY TABLE pg_locks (pid integer);
CREATE TEMPORARY TABLE pg_proc (oid oid);
CREATE TEMPORARY TABLE holds (id bigint, reason pg_catalog.text, until timestamptz);
CREATE TEMPORARY TABLE history (id bigint);
CREATE TEMPORARY TABLE checks (name pg_catalog.text, kind pg_catalog.text);
CREATE TEMPORARY TABLE backups (id bigint);
CREATE TEMPORARY TABLE seen (name pg_catalog.text, value pg_catalog.text);
CREATE TEMPORARY TABLE pg_settings (name pg_catalog.text, setting pg_catalog.text);
SET standard_conforming_strings = off;

-- The trap works.
SELECT 1 + 1 AS trapped;
SELECT pg_catalog.text 'a' = pg_catalog.text 'a' AS trapped;

-- Everything that can be called is called.
\set VERBOSITY terse
SELECT documentdb_upgrade.schema_version(), documentdb_upgrade.binary_version(), documentdb_upgrade.loaded_version();
SELECT extension, installed_version, target FROM documentdb_upgrade_internal.managed_versions();
SELECT step, to_version FROM documentdb_upgrade.plan();
SELECT OPERATOR(pg_catalog.-) pg_catalog.length(documentdb_upgrade.plan_sql()) OPERATOR(pg_catalog.<) 0 AS plan_sql;
SELECT guard, status FROM documentdb_upgrade.preflight();
SELECT documentdb_upgrade.can_finalize();
SELECT pg_catalog.length(documentdb_upgrade.upgrade_fingerprint());
SELECT installed_version, state, blocked_by FROM documentdb_upgrade_internal.current_status();
SELECT documentdb_upgrade.finalize_to('1.1');
SELECT documentdb_upgrade.release();
SELECT documentdb_upgrade.hold('another');
SELECT documentdb_upgrade.record_backup('another', pg_catalog.now());
SELECT documentdb_upgrade.support_bundle() IS NOT NULL AS bundle;
SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_to('1.2', skip_guards => '{hold}');

-- Nobody but the attacker was caught; the real tables have what happened; the
-- script wrote to its own table.
\c - postgres
SELECT what, who, count(*) FROM public.caught GROUP BY what, who ORDER BY what;
SELECT outcome, from_version, to_version, role_name FROM documentdb_upgrade.history ORDER BY id;
SELECT reason FROM documentdb_upgrade.holds ORDER BY id;
SELECT name, value FROM theirs.seen WHERE name ~ '^(a|the|lower) ' ORDER BY name COLLATE "C";

DELETE FROM documentdb_upgrade.checks;
DROP FUNCTION theirs.yes();
DROP EXTENSION du_settings;
DROP SCHEMA theirs;
DROP TABLE public.caught;
SET client_min_messages = warning;
DROP SCHEMA attack CASCADE;
REVOKE CREATE ON DATABASE :"DBNAME" FROM regress_attacker;
DROP OWNED BY regress_attacker;
DROP ROLE regress_attacker;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
