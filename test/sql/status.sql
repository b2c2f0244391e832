-- Status: where this server stands, and in next_step the command that changes
-- it.  Whatever next_step says to run is run here.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'
\x
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_ahead';
\c

-- Runs the command that next_step names, and says which one.
CREATE FUNCTION do_next_step() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	command text := (SELECT substring(next_step FROM '[rR]un ((?:SELECT|CREATE) [^;]*);') FROM documentdb_upgrade.status);
BEGIN
	EXECUTE command;
	RETURN command;
END
$$;

--
-- Nothing desired: two-phase.
--
SELECT role, installed_version, binary_version, loaded_version, desired, mode, target, state, blocked_by, next_step FROM documentdb_upgrade.status;
SELECT do_next_step();
SELECT state FROM documentdb_upgrade.status;
DROP EXTENSION du_ahead;
CREATE EXTENSION du_ahead VERSION '1.0';

SELECT role, installed_version, binary_version, loaded_version, desired, mode, target, state, blocked_by, next_step FROM documentdb_upgrade.status;

-- What no worker does here is null.
SELECT last_error, attempts, next_retry, source, last_contact, worker_pid FROM documentdb_upgrade.status;

-- A guard stands in the way: the same state, other words.
SELECT documentdb_upgrade.hold('not yet');
SELECT state, blocked_by, next_step FROM documentdb_upgrade.status;
SELECT documentdb_upgrade.release();

-- The next step, run as it stands.
SELECT do_next_step();
SELECT installed_version, target, state, blocked_by, next_step FROM documentdb_upgrade.status;

-- The binary went back.
SET allow_system_table_mods = on;
UPDATE pg_extension SET extversion = '1.2' WHERE extname = 'du_ahead';
RESET allow_system_table_mods;
SELECT installed_version, binary_version, target, state, blocked_by, next_step FROM documentdb_upgrade.status;
DROP EXTENSION du_ahead;
CREATE EXTENSION du_ahead VERSION '1.0';

--
-- A version desired, and no worker to follow it.
--
ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = '1.1';
SELECT pg_reload_conf();
\c
SELECT desired, mode, target, state, blocked_by, next_step FROM documentdb_upgrade.status;

-- Held.
SELECT documentdb_upgrade.hold('not yet');
SELECT state, blocked_by, next_step FROM documentdb_upgrade.status;
SELECT do_next_step();
SELECT state FROM documentdb_upgrade.status;

-- Blocked, by the first guard that fails; blocked_by has all of them.
SET documentdb_upgrade.backup_max_age = '1h';
SELECT documentdb_upgrade.record_backup('b', now() - interval '2 hours');
SELECT documentdb_upgrade.hold('not yet');
SELECT state, blocked_by, next_step FROM documentdb_upgrade.status;
SELECT documentdb_upgrade.release();
SELECT documentdb_upgrade.record_backup('b', now());
SELECT state, blocked_by FROM documentdb_upgrade.status;

-- Failed: the last attempt, until one succeeds.
CREATE FUNCTION no() RETURNS boolean LANGUAGE sql AS 'SELECT false';
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'pre', 'public.no()');
\set VERBOSITY terse
SELECT do_next_step();
SELECT documentdb_upgrade.finalize();
\set VERBOSITY default
SELECT state, blocked_by, next_step, last_error, attempts FROM documentdb_upgrade.status;
DELETE FROM documentdb_upgrade.checks;
SELECT do_next_step();
SELECT state, next_step, last_error, attempts FROM documentdb_upgrade.status;

-- Refused is not failed: the state is that of now.
DROP EXTENSION du_ahead;
CREATE EXTENSION du_ahead VERSION '1.0';
SELECT documentdb_upgrade.hold('not yet');
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize();
\set VERBOSITY default
SELECT documentdb_upgrade.release();
SELECT state, next_step, attempts FROM documentdb_upgrade.status;
-- Nor is one that its caller rolled back.
BEGIN;
SELECT outcome FROM documentdb_upgrade.finalize();
ROLLBACK;
SELECT state, next_step FROM documentdb_upgrade.status;

-- Waiting for a binary that offers it.
ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = 'v1.3';
SELECT pg_reload_conf();
\c
SELECT desired, mode, target, state, next_step FROM documentdb_upgrade.status;

-- Blocked by what is desired: a schema never goes back.
ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = '0.9';
SELECT pg_reload_conf();
\c
SELECT desired, mode, target, state, blocked_by, next_step FROM documentdb_upgrade.status;

-- Following the binary.
ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = 'auto';
SELECT pg_reload_conf();
\c
SELECT desired, mode, target, state, next_step FROM documentdb_upgrade.status;
SELECT do_next_step();
SELECT desired, mode, target, state, next_step FROM documentdb_upgrade.status;

-- A companion that is behind is work like any other.
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.managed_extensions = 'du_gap';
CREATE EXTENSION du_gap VERSION '1.0';
\c
SELECT state, target, next_step FROM documentdb_upgrade.status;
SELECT do_next_step();
SELECT state, target FROM documentdb_upgrade.status;
SELECT * FROM documentdb_upgrade.versions;

-- What is no version cannot be desired.
ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = 'newest';
ALTER SYSTEM RESET documentdb_upgrade.desired_schema_version;
SELECT pg_reload_conf();

DROP EXTENSION du_ahead, du_gap;
DROP FUNCTION do_next_step(), no();
ALTER DATABASE :"DBNAME" RESET ALL;
