-- A rehearsal: the real update, looked at and taken back.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
SET search_path = public, documentdb_upgrade;
\pset null '(null)'
\pset format unaligned
\pset footer off
-- Other tests may have left this role behind, which a script creates.
SET client_min_messages = warning;
DROP ROLE IF EXISTS documentdb_readonly_role;
RESET client_min_messages;

-- The report, without what differs from run to run.  Since 18 NOT NULL is a
-- constraint with a name; contexts differ between releases too.
CREATE FUNCTION report(id bigint DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(line,
			   ' \(.*\) at .*, \d+ ms', ' (CLIENT) at TIME, N ms'), 'fingerprint [0-9a-f]{64}', 'fingerprint F'),
			   ', [0-9.]+ ms$', ', N ms'), '\d+ lock entries at most; \d+ \w+ of WAL', 'N lock entries at most; N of WAL'),
			   '/\S*/extension/', '')
	FROM string_to_table(regexp_replace(documentdb_upgrade.rehearsal_report(id), '\n  context: .*(?=\n  Nothing)', ''), E'\n')
		WITH ORDINALITY AS r(line, n)
	WHERE line !~ '_not_null on ' ORDER BY n
$$;
CREATE FUNCTION guard(target text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT status || ': ' || regexp_replace(detail, '\d+ s ago', 'N s ago')
	FROM documentdb_upgrade.preflight(target) WHERE guard = 'rehearsed'
$$;

CREATE EXTENSION documentdb_core VERSION '0.101-0';
CREATE EXTENSION documentdb VERSION '0.101-0';
SELECT documentdb_api.create_collection('db', 'first');
INSERT INTO documentdb_data.documents_1 VALUES (1, 'a', '{}');

-- Nobody has rehearsed.
SELECT report();
SELECT guard('0.106-0');

-- Somebody has made a collection with a newer binary, which will not do.  The
-- rehearsal says so, and is no error: the caller's transaction goes on.
SELECT documentdb_api.create_collection('db', 'newer', false);
BEGIN;
CREATE TABLE before_it (id integer);
SELECT id, outcome, from_version, to_version, risk, scratch, steps_run, sqlstate, message,
       regexp_replace(script, '.*/', '') AS script, script_line
FROM rehearse('0.106-0');
CREATE TABLE after_it (id integer);
COMMIT;
DROP TABLE before_it, after_it;
SELECT report();
SELECT guard('0.106-0');
-- It says of what version: of none but this.
SELECT guard('0.105-0');
DROP TABLE documentdb_data.documents_2;
DELETE FROM documentdb_api_catalog.collections WHERE collection_id = 2;

-- Now it passes.  A check that makes a collection leaves a trace that no
-- rollback takes away: the sequence.
CREATE FUNCTION public.can_make_one() RETURNS boolean LANGUAGE sql
	AS $$ SELECT documentdb_api.create_collection('db', 'probe') > 0 $$;
INSERT INTO checks (name, kind, function) VALUES ('can_make_one', 'post', 'public.can_make_one()');
SELECT id, outcome, risk, steps_run, fingerprint = upgrade_fingerprint() AS fingerprint, lock_entries > 0 AS locks,
       wal_bytes > 0 AS wal, sqlstate, message
FROM rehearse('0.106-0');
SELECT report();
SELECT schema_version(), to_regrole('documentdb_readonly_role') AS role, to_regclass('documentdb_api_catalog.documentdb_index_queue') AS queue;
SELECT collection_id, collection_name FROM documentdb_api_catalog.collections;
DELETE FROM checks WHERE name = 'can_make_one';

-- The guard is content, lock_capacity counts with what was counted, and the
-- plan shows what was seen instead of what the text says.
SELECT guard('0.106-0'), guard('v0.106');
SELECT regexp_replace(detail, '(counted|hold|for) \d+', '\1 N', 'g') AS detail
FROM preflight('0.106-0') WHERE guard = 'lock_capacity';
SELECT extension, to_version, risk, risk_reason FROM plan('0.106-0') WHERE extension = 'documentdb';
SELECT to_version, risk, risk_reason FROM plan('0.107-0') WHERE extension = 'documentdb' AND from_version = '0.106-0';
SELECT guard('0.107-0');

-- It was of these files and versions: with another extension in the managed set
-- it is not.
CREATE EXTENSION documentdb_extended_rum VERSION '0.103-0';
SELECT guard('0.106-0');
DROP EXTENSION documentdb_extended_rum;

-- What it said is what happens.
SET documentdb_upgrade.guard_severity = 'rehearsed=fail';
\set VERBOSITY terse
SELECT finalize_to('0.107-0');
\set VERBOSITY default
SELECT outcome, from_version, to_version FROM finalize_to('0.106-0');
RESET documentdb_upgrade.guard_severity;
DROP OWNED BY documentdb_readonly_role;
DROP ROLE documentdb_readonly_role;

-- In a throw-away database: no data there, no lock here, and no database left.
SELECT id, outcome, risk, scratch, steps_run FROM rehearse('0.109-0', scratch => true);
SELECT report();
SELECT guard('0.109-0');
SELECT datname FROM pg_database WHERE datname ~ 'scratch';

-- A hard guard refuses a rehearsal too; others do not stand in its way.
SELECT hold('not today');
SELECT outcome FROM rehearse('0.107-0');
SELECT report();
SELECT release();
SELECT outcome, sqlstate, message FROM rehearse('0.105-0');
SELECT report();
-- Nothing to do.
SELECT outcome, steps_run FROM rehearse('0.106-0');
SELECT report();

-- What the caller's own transaction still owes cannot be told from what the
-- scripts owe.
BEGIN;
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child VALUES (1);
SELECT outcome, report->>'deferred' AS deferred FROM rehearse('0.107-0');
SELECT line FROM report() AS line WHERE line ~ 'deferred';
INSERT INTO parent VALUES (1);
SELECT outcome, report->>'deferred' AS deferred FROM rehearse('0.107-0');
SELECT line FROM report() AS line WHERE line ~ 'deferred';
COMMIT;
DROP TABLE child, parent;

-- A plain role needs one grant, and CALL does the same.
CREATE ROLE regress_rehearser;
GRANT EXECUTE ON PROCEDURE run_rehearse TO regress_rehearser;
SET ROLE regress_rehearser;
CALL documentdb_upgrade.run_rehearse('0.107.0');
\set VERBOSITY sqlstate
SELECT documentdb_upgrade.rehearse('0.107-0');
SELECT outcome FROM documentdb_upgrade.rehearsals;
SELECT documentdb_upgrade.rehearsal_report();
RESET ROLE;
SELECT id, outcome, to_version FROM rehearsals ORDER BY id DESC LIMIT 1;

-- Errors are for callers who ask for what cannot be.
SELECT rehearse('no version');
BEGIN READ ONLY;
SELECT rehearse();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT rehearse();
ROLLBACK;
CREATE FUNCTION within() RETURNS boolean LANGUAGE sql AS 'SELECT outcome IS NOT NULL FROM documentdb_upgrade.rehearse()';
INSERT INTO checks (name, kind, function) VALUES ('within', 'pre', 'public.within()');
SELECT outcome, sqlstate FROM rehearse();
DELETE FROM checks WHERE name = 'within';
DROP TABLE documentdb_data.documents_1;
DROP EXTENSION documentdb, documentdb_core;
SELECT outcome, sqlstate FROM rehearse();
SELECT rehearse(scratch => true);

DROP FUNCTION report(bigint), guard(text), within(), can_make_one();
DROP OWNED BY regress_rehearser;
DROP ROLE regress_rehearser;

-- One that does not exist.
\set VERBOSITY default
SELECT documentdb_upgrade.rehearsal_report(4711);
