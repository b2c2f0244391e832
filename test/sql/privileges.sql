-- Privileges: what PUBLIC and pg_monitor may do, and that EXECUTE on one
-- function is enough to finalize, and enough for nothing else.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'

-- Every function, with those who may execute it besides the owner.
SELECT p.oid::regprocedure AS function,
       string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ') AS may_execute,
       p.prosecdef AS security_definer
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	LEFT JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a ON a.grantee <> p.proowner
WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'documentdb_upgrade')
GROUP BY p.oid ORDER BY p.oid::regprocedure::text COLLATE "C";

-- Every relation; sequences are for nobody.
SELECT c.oid::regclass AS relation, c.relkind AS kind,
       string_agg(format('%s: %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.privilege_type), ', ') FILTER (WHERE a.grantee IS NOT NULL) AS may
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
	LEFT JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a ON a.grantee <> c.relowner
WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind <> 'c'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'documentdb_upgrade')
GROUP BY c.oid, c.relkind ORDER BY c.oid::regclass::text COLLATE "C";
SELECT nspname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee, a.privilege_type
FROM pg_namespace n, aclexplode(n.nspacl) a WHERE nspname ~ '^documentdb_upgrade' AND a.grantee <> n.nspowner ORDER BY nspname;

-- A function that runs as its owner pins its search_path, as does every other
-- one that is not in C; an aggregate is made of functions.
SELECT p.oid::regprocedure AS function, 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig) AS pinned
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	JOIN pg_language l ON l.oid = p.prolang
WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND l.lanname <> 'c' AND p.prokind <> 'a'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'documentdb_upgrade')
ORDER BY p.oid::regprocedure::text COLLATE "C";

--
-- A role with EXECUTE on finalize_to, and an extension of a superuser's.
--
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_settings';
CREATE SCHEMA theirs;
CREATE EXTENSION du_settings SCHEMA theirs VERSION '1.0';
CREATE ROLE regress_operator LOGIN;
GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to TO regress_operator;
\c - regress_operator
SELECT outcome, from_version, to_version, role_name FROM documentdb_upgrade.finalize_to('1.1');
-- It is who it was.
SELECT current_user, session_user, current_setting('search_path') AS search_path, current_setting('is_superuser') AS is_superuser;
-- A refusal is told to it too, in full.
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize_to('1.0');
\set VERBOSITY sqlstate
-- Nothing else.
ALTER EXTENSION du_settings UPDATE TO '1.2';
DROP EXTENSION du_settings;
SELECT * FROM theirs.seen;
SELECT * FROM documentdb_upgrade.history;
SELECT * FROM documentdb_upgrade.holds;
SELECT * FROM documentdb_upgrade.checks;
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'pre', 'pg_catalog.pg_reload_conf()');
SELECT * FROM documentdb_upgrade.versions;
SELECT * FROM documentdb_upgrade.status;
SELECT documentdb_upgrade.schema_version();
SELECT documentdb_upgrade.binary_version();
SELECT documentdb_upgrade.loaded_version();
SELECT documentdb_upgrade_internal.managed_versions();
SELECT documentdb_upgrade.plan();
SELECT documentdb_upgrade.plan_sql();
SELECT documentdb_upgrade.preflight();
SELECT documentdb_upgrade.can_finalize();
SELECT documentdb_upgrade.upgrade_fingerprint();
SELECT documentdb_upgrade_internal.current_status();
SELECT documentdb_upgrade.finalize();
CALL documentdb_upgrade.run_finalize_to('1.2');
SELECT documentdb_upgrade.hold('mine');
SELECT documentdb_upgrade.release();
SELECT documentdb_upgrade.record_backup('mine', now());
SELECT documentdb_upgrade.support_bundle();
SELECT documentdb_upgrade.decide('', '1.0', '1.1');
CREATE TABLE documentdb_upgrade.mine (id integer);
-- What asks nothing of the server is for everybody.
SELECT documentdb_upgrade.to_semver('0.112-0'), documentdb_upgrade.to_extension_version('0.112.0'),
       documentdb_upgrade.compare_versions('1.0', '1.1');
\set VERBOSITY default

-- No setting that takes part in a decision is its to change, before or after
-- the library is loaded.
SET documentdb_upgrade.extension = 'du_gap';
\c
SET documentdb_upgrade.extension = 'du_gap';
SET documentdb_upgrade.guard_severity = 'hold=skip';
SELECT outcome, id, extension, from_version FROM documentdb_upgrade.finalize_to('1.1');
SHOW documentdb_upgrade.extension;
SHOW documentdb_upgrade.guard_severity;
\c
\set VERBOSITY terse
ALTER ROLE regress_operator SET documentdb_upgrade.extension = 'du_gap';
SELECT set_config('documentdb_upgrade.extension', 'du_gap', false);
SELECT outcome, id, extension, from_version FROM documentdb_upgrade.finalize_to('1.1');
SELECT set_config('documentdb_upgrade.' || name, value, false)
FROM (VALUES ('lock_timeout', '1h')) AS s(name, value);
\set VERBOSITY default

-- CALL enters no planner, and is a grant of its own.
\c - postgres
REVOKE EXECUTE ON FUNCTION documentdb_upgrade.finalize_to FROM regress_operator;
GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_finalize_to TO regress_operator;
\c - regress_operator
\set VERBOSITY sqlstate
SELECT documentdb_upgrade.finalize_to('1.2');
CALL documentdb_upgrade.run_finalize_to('1.3');
CALL documentdb_upgrade.run_finalize_to('1.2', skip_guards => '{installed}');
CALL documentdb_upgrade.run_finalize_to('1.2', skip_guards => '{hold}');
CALL documentdb_upgrade.run_finalize_to('1.2', skip_guards => '{window}');
\set VERBOSITY default

--
-- A member of pg_monitor sees everything and changes nothing.
--
\c - postgres
CREATE ROLE regress_watcher LOGIN IN ROLE pg_monitor;
\c - regress_watcher
SELECT id, extension, from_version, to_version, outcome, role_name, skipped_guards FROM documentdb_upgrade.history ORDER BY id;
SELECT installed_version, state FROM documentdb_upgrade.status;
SELECT extension, installed_version FROM documentdb_upgrade.versions;
SELECT guard FROM documentdb_upgrade.preflight() WHERE status NOT IN ('pass', 'skip');
SELECT documentdb_upgrade.upgrade_fingerprint() ~ '^[0-9a-f]{64}$' AS fingerprint;
SELECT documentdb_upgrade.support_bundle() ->> 'extension_version' IS NOT NULL AS bundle;
\set VERBOSITY sqlstate
SELECT documentdb_upgrade.finalize();
SELECT documentdb_upgrade.hold('mine');
DELETE FROM documentdb_upgrade.history;
UPDATE documentdb_upgrade.holds SET released_at = now();
\set VERBOSITY default

\c - postgres
DROP EXTENSION du_settings;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
DROP OWNED BY regress_operator;
DROP ROLE regress_operator, regress_watcher;
DROP SCHEMA theirs;
