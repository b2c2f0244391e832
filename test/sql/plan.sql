-- The plan: one row per script that a finalize would run, in order, and what
-- its text shows of risk and locks.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
SET search_path = public, documentdb_upgrade;
\pset null '(null)'

-- Without the main extension there is nothing to plan, and asking is no error.
SELECT * FROM plan();
SELECT plan_sql();
SELECT * FROM versions;

CREATE EXTENSION documentdb_core VERSION '0.107-0';
CREATE EXTENSION documentdb VERSION '0.107-0';

-- Where each extension of the set would go; one that is not installed is left
-- out.  binary_version() of documentdb prints dots: 1.0.0.
SELECT * FROM versions;

-- documentdb_core goes first, whatever its name, because the setting says so.
SELECT step, extension, from_version, to_version, risk, locks FROM plan();
SELECT step, risk_reason FROM plan();

-- documentdb_extended_rum comes last.  Its versions are others: it goes to the
-- target, else to the highest below it, never above.
CREATE EXTENSION documentdb_extended_rum VERSION '0.103-0';
SELECT step, extension, from_version, to_version FROM plan('0.108-0');
SELECT extension, target FROM versions;

-- documentdb_core has no 0.104-1, so that a plan to it takes core to 0.104-0.
DROP EXTENSION documentdb_extended_rum, documentdb, documentdb_core;
CREATE EXTENSION documentdb_core VERSION '0.103-0';
CREATE EXTENSION documentdb VERSION '0.103-0';
SELECT step, extension, from_version, to_version FROM plan('0.104-1');

-- A companion stays where it is when the target lies below it, and when it is
-- there already.
DROP EXTENSION documentdb, documentdb_core;
CREATE EXTENSION documentdb_core;
CREATE EXTENSION documentdb VERSION '0.107-0';
CREATE EXTENSION documentdb_extended_rum VERSION '0.109-0';
SELECT step, extension, from_version, to_version FROM plan('0.108-0');

-- It is never taken along by a target that the main extension cannot reach.
SELECT * FROM plan('0.106-0');
SELECT * FROM plan('0.111-0');
SELECT * FROM plan('1.1-0');
SELECT plan_sql('1.1-0');

-- However the target is spelled, the plan is the same one.
SELECT count(DISTINCT p) AS plans
FROM unnest(ARRAY['0.112-0', '0.112.0', 'v0.112.0', '0.112']) AS target,
     LATERAL (SELECT array_agg(plan.* ORDER BY step) AS p FROM plan(target)) AS p;

-- Script and digest name the file that the server would read.
SELECT step, regexp_replace(script, '^/.*/extension/', '') AS script,
       sha256 = encode(sha256(pg_read_binary_file(script)), 'hex') AS digest_is_right
FROM plan();

-- For review and tickets: statements that run as they stand, the scripts as
-- comments.  Paths are cut here.
SELECT regexp_replace(regexp_replace(plan_sql('0.112-0'), ': /\S*/extension/', ': ', 'g'),
                      'SHA-256 [0-9a-f]{64}', 'SHA-256 ...', 'g') AS plan;
SELECT plan_sql() LIKE '%COMMIT;' || E'\n' AS ends_with_commit;
SELECT plan_sql('0.107-0') AS nothing_to_do_for_documentdb;
DROP EXTENSION documentdb_extended_rum, documentdb, documentdb_core;

--
-- What the text of a script shows, one step of each kind.
--
SET documentdb_upgrade.extension = 'du_kinds';
CREATE SCHEMA "Kinds";
CREATE EXTENSION du_kinds SCHEMA "Kinds" VERSION '1.0';
SELECT to_version, risk, locks FROM plan();
SELECT to_version, risk_reason FROM plan();

-- A relation that does not exist yet cannot be locked by others; one of the
-- same name in another schema is another one.
CREATE TABLE public.palette (id integer);
SELECT locks FROM plan() WHERE to_version = '1.4';
DROP TABLE public.palette;

DROP EXTENSION du_kinds;
DROP SCHEMA "Kinds";

-- A script that is no SQL is told before anything runs.
SET documentdb_upgrade.extension = 'du_broken';
CREATE EXTENSION du_broken SCHEMA public VERSION '1.4';
SELECT step, from_version, to_version, risk,
       regexp_replace(risk_reason, '"/.*/extension/', '"') AS risk_reason FROM plan();
DROP EXTENSION du_broken;

-- NULL means the binary version; what is no version is refused.
\set VERBOSITY sqlstate
SELECT count(*) FROM plan(NULL);
SELECT * FROM plan('');
SELECT * FROM plan('latest');
SELECT plan_sql('1..2');
\set VERBOSITY default
RESET documentdb_upgrade.extension;
