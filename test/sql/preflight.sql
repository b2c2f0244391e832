-- Preflight: one row per guard, with why and what to do.  Each guard is brought
-- to pass, and where one server is enough for it, to fail, warn or skip.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'
CREATE SCHEMA apart;
SET search_path = apart, documentdb_upgrade;

-- What preflight says beside "pass"; that nothing was rehearsed is a story of
-- its own.
CREATE FUNCTION apart.trouble(target text DEFAULT NULL,
	OUT guard text, OUT status text, OUT hard boolean, OUT detail text, OUT hint text)
RETURNS SETOF record LANGUAGE sql AS $$
	SELECT guard, status, hard, regexp_replace(regexp_replace(regexp_replace(detail,
			   '/\S*/extension/', ''), '\d+ MB', 'N MB', 'g'), '(for|since) \d+ s', '\1 N s'), hint
	FROM documentdb_upgrade.preflight(target) WHERE status <> 'pass' AND guard <> 'rehearsed'
$$;

CREATE EXTENSION documentdb_core VERSION '0.107-0';
CREATE EXTENSION documentdb VERSION '0.107-0';

-- All guards, in their order.
SELECT guard, status, hard, hint FROM preflight();
SELECT guard, regexp_replace(detail, '(others hold|room for) \d+', '\1 N', 'g') AS detail
FROM preflight() WHERE guard <> 'disk_headroom';
SELECT can_finalize(), can_finalize('0.108.0'), can_finalize('0.107-0');

--
-- Hard guards.
--
\x
-- not_downgrade, within_binary, target_known: nobody says twice what is wrong.
SELECT * FROM trouble('0.106-0') WHERE status = 'fail';
SELECT * FROM trouble('1.0-1') WHERE status = 'fail';
SELECT * FROM trouble('0.111-0') WHERE status = 'fail';
SELECT can_finalize('0.106-0'), can_finalize('1.0-1'), can_finalize('0.111-0');
-- installed
SET documentdb_upgrade.extension = 'du_gap';
SET documentdb_upgrade.managed_extensions = '';
SELECT * FROM trouble() WHERE status = 'fail';
-- update_path
CREATE EXTENSION du_gap VERSION '1.0';
SELECT * FROM trouble() WHERE status = 'fail';
SELECT can_finalize(), can_finalize('1.1');
DROP EXTENSION du_gap;
-- target_known
SET allow_system_table_mods = on;
SET documentdb_upgrade.extension = 'du_ahead';
CREATE EXTENSION du_ahead;
UPDATE pg_extension SET extversion = 'next' WHERE extname = 'du_ahead';
SELECT * FROM trouble() WHERE status = 'fail';
UPDATE pg_extension SET extname = 'du_vanished', extversion = '1.0' WHERE extname = 'du_ahead';
SET documentdb_upgrade.extension = 'du_vanished';
SELECT * FROM trouble() WHERE status = 'fail';
UPDATE pg_extension SET extname = 'du_ahead', extversion = '1.2' WHERE extname = 'du_vanished';
-- not_downgrade, when it is the binary that went back
SET documentdb_upgrade.extension = 'du_ahead';
SELECT * FROM trouble() WHERE status = 'fail';
DROP EXTENSION du_ahead;

-- owner_can_update: version 1.1 asks for no superuser, 1.2 does but is
-- trusted, 1.3 does.
SET documentdb_upgrade.extension = 'du_notrust';
CREATE ROLE regress_owner;
GRANT USAGE, CREATE ON SCHEMA apart TO regress_owner;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_owner;
SET ROLE regress_owner;
CREATE EXTENSION du_notrust SCHEMA apart VERSION '1.0';
RESET ROLE;
-- A caller with no rights of its own but EXECUTE: what counts are the owner's.
GRANT USAGE ON SCHEMA documentdb_upgrade TO regress_owner;
GRANT EXECUTE ON FUNCTION finalize_to, preflight TO regress_owner;
SET ROLE regress_owner;
SELECT * FROM trouble('1.2') WHERE status = 'fail';
SELECT * FROM trouble('1.3') WHERE status = 'fail';
RESET ROLE;
REVOKE CREATE ON DATABASE :"DBNAME" FROM regress_owner;
SET ROLE regress_owner;
SELECT * FROM trouble('1.1') WHERE status = 'fail';
SELECT guard, status, regexp_replace(hint, 'DATABASE \S+ TO', 'DATABASE ... TO') AS hint
FROM trouble('1.2') WHERE status = 'fail';
-- What the guard promises is what happens.
SELECT outcome FROM finalize_to('1.1');
\set VERBOSITY sqlstate
SELECT outcome FROM finalize_to('1.2');
RESET ROLE;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_owner;
SET ROLE regress_owner;
SELECT outcome FROM finalize_to('1.2');
SELECT outcome FROM finalize_to('1.3');
RESET ROLE;
\set VERBOSITY default
-- A superuser may do it, as by ALTER EXTENSION, and the script runs as that one.
SELECT status, detail FROM preflight('1.3') WHERE guard = 'owner_can_update';
SELECT outcome FROM finalize_to('1.3');
SELECT ran_as FROM apart.notrust;
DROP EXTENSION du_notrust;
REVOKE ALL ON SCHEMA documentdb_upgrade FROM regress_owner;
REVOKE ALL ON FUNCTION finalize_to, preflight FROM regress_owner;

-- companions_aligned
SET documentdb_upgrade.extension = 'du_ahead';
SET documentdb_upgrade.managed_extensions = 'du_gap, du_ahead';
CREATE EXTENSION du_ahead VERSION '1.0';
CREATE EXTENSION du_gap VERSION '1.0';
SELECT can_finalize();
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'du_gap';
SELECT * FROM trouble() WHERE status = 'fail';
UPDATE pg_extension SET extversion = 'none' WHERE extname = 'du_gap';
SELECT * FROM trouble() WHERE status = 'fail';
UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'du_gap';
SET documentdb_upgrade.managed_extensions = 'du_vanished, du_ahead';
UPDATE pg_extension SET extname = 'du_vanished' WHERE extname = 'du_gap';
SELECT * FROM trouble() WHERE status = 'fail';
UPDATE pg_extension SET extname = 'du_gap' WHERE extname = 'du_vanished';
DROP EXTENSION du_gap, du_ahead;
RESET documentdb_upgrade.extension;
RESET documentdb_upgrade.managed_extensions;

-- no_other_upgrade: somebody else's is not committed yet.
BEGIN;
ALTER EXTENSION documentdb_core UPDATE TO '0.108-0';
PREPARE TRANSACTION 'upgrade';
SELECT * FROM trouble() WHERE status = 'fail';
ROLLBACK PREPARED 'upgrade';
SELECT can_finalize();

--
-- Guards that can be overridden.
--
-- blocking_sessions: a prepared transaction never ends by itself.
BEGIN;
SELECT count(*) FROM documentdb_api_catalog.collections;
PREPARE TRANSACTION 'reader';
SELECT * FROM trouble() WHERE status = 'fail';
-- What the plan does not need may be held.
SELECT guard, status FROM trouble('0.109-0') WHERE status = 'fail';
ROLLBACK PREPARED 'reader';

-- lock_capacity: what the scripts name, counted once for all steps.
SELECT target, substring(detail FROM 'at least (\d+) lock entries') AS entries
FROM unnest('{0.108-0,0.109-0,1.0-0}'::text[]) AS target, preflight(target) WHERE guard = 'lock_capacity';

-- event_triggers
CREATE FUNCTION apart.see() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch_ddl ON ddl_command_end EXECUTE FUNCTION apart.see();
SELECT * FROM trouble() WHERE status = 'warn';
ALTER EVENT TRIGGER watch_ddl DISABLE;
SELECT * FROM trouble() WHERE status = 'warn';
DROP EVENT TRIGGER watch_ddl;

-- disk_headroom: the relations that are locked exclusively could be rewritten.
BEGIN;
UPDATE pg_class SET relpages = 2000000000 WHERE oid = 'documentdb_api_catalog.collections'::regclass;
SELECT * FROM trouble() WHERE status = 'warn';
SELECT * FROM trouble('0.109-0') WHERE status = 'warn';
ROLLBACK;

-- rehearsed: the sections of test "rehearsal" go on from here.
SELECT guard, status, hard, detail, hint FROM preflight('0.109-0') WHERE guard = 'rehearsed';
SELECT status, detail FROM preflight('0.107-0') WHERE guard = 'rehearsed';
-- caller_can_plan looks at who asks.
CREATE ROLE regress_looker IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA apart TO regress_looker;
SET ROLE regress_looker;
SELECT * FROM trouble() WHERE status = 'warn';
RESET ROLE;
\x

--
-- A severity can be set, for all but the hard guards.
--
SET documentdb_upgrade.guard_severity = 'caller_can_plan = fail, event_triggers=skip';
SET ROLE regress_looker;
SELECT guard, status FROM trouble() WHERE guard IN ('caller_can_plan', 'event_triggers');
SELECT can_finalize();
RESET ROLE;
SELECT can_finalize();
CREATE EVENT TRIGGER watch_ddl ON ddl_command_end EXECUTE FUNCTION apart.see();
SELECT guard, status, hard FROM trouble() WHERE guard = 'event_triggers';
SET documentdb_upgrade.guard_severity = E'event_triggers=\tfail\n';
SELECT guard, status, hard FROM trouble() WHERE guard = 'event_triggers';
\set VERBOSITY terse
SELECT finalize_to('0.108-0');
-- What fails can be overridden by name, once, and that is recorded.  So can
-- what would not have failed.
\set VERBOSITY default
SELECT outcome, skipped_guards FROM finalize_to('0.108-0', skip_guards => '{event_triggers,hold}');
DROP EVENT TRIGGER watch_ddl;
RESET documentdb_upgrade.guard_severity;

-- Only what makes sense can be set.
SET documentdb_upgrade.guard_severity = 'installed=warn';
SET documentdb_upgrade.guard_severity = 'no_such_guard=warn';
SET documentdb_upgrade.guard_severity = 'hold=maybe';
SET documentdb_upgrade.guard_severity = 'hold';
SET documentdb_upgrade.guard_severity = 'hold=warn,';
SHOW documentdb_upgrade.guard_severity;

DROP EXTENSION documentdb, documentdb_core;
REVOKE CREATE ON DATABASE :"DBNAME" FROM regress_owner;
DROP SCHEMA apart CASCADE;
DROP ROLE regress_owner, regress_looker;
