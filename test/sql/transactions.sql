-- Transactions: a finalize commits and rolls back with its caller's, and is
-- recorded either way.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_broken';
\c
CREATE EXTENSION du_broken VERSION '1.0';

-- Waits until so many attempts are on record, and shows the newest row: what a
-- rollback leaves behind is written by another process that nobody waits for.
CREATE FUNCTION recorded(attempts integer, OUT outcome text, OUT versions text, OUT code text,
						 OUT message text, OUT repeats integer)
LANGUAGE plpgsql AS $$
BEGIN
	WHILE (SELECT sum(1 + h.repeats) FROM documentdb_upgrade.history h) IS DISTINCT FROM attempts
		AND clock_timestamp() < statement_timestamp() + interval '30 s'
	LOOP
	END LOOP;
	SELECT h.outcome, h.from_version || '->' || h.to_version, h.sqlstate, h.message, h.repeats
		INTO recorded.outcome, recorded.versions, recorded.code, recorded.message, recorded.repeats
		FROM documentdb_upgrade.history h ORDER BY h.id DESC LIMIT 1;
END
$$;

-- In a transaction block it commits with the block.
BEGIN;
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
SELECT documentdb_upgrade.schema_version() AS seen_inside;
COMMIT;
SELECT documentdb_upgrade.schema_version();
SELECT * FROM recorded(1);

-- Rolled back by its caller it never happened, and that is on record.
DROP EXTENSION du_broken;
CREATE EXTENSION du_broken VERSION '1.0';
BEGIN;
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
ROLLBACK;
SELECT documentdb_upgrade.schema_version();
SELECT * FROM recorded(2);

-- So it is by a later error, and by a savepoint.
BEGIN;
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
SELECT 1 / 0;
COMMIT;
SELECT documentdb_upgrade.schema_version();
SELECT * FROM recorded(3);
BEGIN;
SAVEPOINT s;
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
ROLLBACK TO s;
SELECT documentdb_upgrade.schema_version() AS before;
SELECT * FROM recorded(4);
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
RELEASE s;
COMMIT;
SELECT documentdb_upgrade.schema_version();
SELECT * FROM recorded(5);

-- A failure leaves the surrounding transaction to its caller: with a savepoint
-- it goes on.
\set VERBOSITY sqlstate
BEGIN;
CREATE TABLE kept (id integer);
SAVEPOINT s;
SELECT documentdb_upgrade.finalize_to('1.2');
ROLLBACK TO s;
SELECT documentdb_upgrade.schema_version();
COMMIT;
SELECT * FROM recorded(6);
\c
-- So it does in PL/pgSQL.
DO $$
BEGIN
	PERFORM documentdb_upgrade.finalize_to('1.2');
EXCEPTION WHEN division_by_zero THEN
	INSERT INTO kept VALUES (1);
END
$$;
SELECT * FROM kept;
SELECT * FROM recorded(7);
-- And a success whose block fails is undone with the block alone.
DROP EXTENSION du_broken;
CREATE EXTENSION du_broken VERSION '1.0';
DO $$
BEGIN
	PERFORM documentdb_upgrade.finalize_to('1.1');
	RAISE EXCEPTION 'changed my mind';
EXCEPTION WHEN raise_exception THEN
	INSERT INTO kept VALUES (2);
END
$$;
SELECT * FROM kept;
SELECT documentdb_upgrade.schema_version();
SELECT * FROM recorded(8);

-- Several finalizes in one transaction are attempts of their own.
BEGIN;
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
SELECT outcome, id FROM documentdb_upgrade.finalize_to('1.1');
ROLLBACK;
SELECT documentdb_upgrade.schema_version();
SELECT * FROM recorded(9);
BEGIN;
SELECT from_version, to_version FROM documentdb_upgrade.finalize_to('1.1');
SAVEPOINT s;
SELECT documentdb_upgrade.finalize_to('1.2');
ROLLBACK TO s;
COMMIT;
SELECT documentdb_upgrade.schema_version();
SELECT outcome, from_version, to_version FROM documentdb_upgrade.history WHERE outcome <> 'cancelled' ORDER BY id DESC LIMIT 2;
DROP EXTENSION du_broken;
CREATE EXTENSION du_broken VERSION '1.0';
\c

-- Transactions that cannot carry an upgrade.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT documentdb_upgrade.finalize_to('1.1');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT documentdb_upgrade.finalize();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL documentdb_upgrade.run_finalize_to('1.1');
ROLLBACK;
\set VERBOSITY terse
BEGIN READ ONLY;
SELECT documentdb_upgrade.finalize_to('1.1');
ROLLBACK;
\set VERBOSITY sqlstate
SET default_transaction_read_only = on;
SELECT documentdb_upgrade.finalize_to('1.1');
RESET default_transaction_read_only;
-- Looking is possible in all of them.
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT state FROM documentdb_upgrade.status;
SELECT count(*) FROM documentdb_upgrade.plan('1.1');
SELECT count(*) FROM documentdb_upgrade.preflight('1.1') WHERE status = 'fail';
SELECT documentdb_upgrade.upgrade_fingerprint() IS NOT NULL AS fingerprint;
COMMIT;

-- A finalize within a finalize, here by a check, is refused.
CREATE FUNCTION again() RETURNS boolean LANGUAGE sql AS 'SELECT outcome IS NOT NULL FROM documentdb_upgrade.finalize_to(''1.1'')';
INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('c', 'pre', 'public.again()');
SELECT documentdb_upgrade.finalize_to('1.1');
DELETE FROM documentdb_upgrade.checks;
DROP FUNCTION again();
SELECT documentdb_upgrade.schema_version();

-- Deferred constraints of the caller are the caller's.
BEGIN;
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child VALUES (1);
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
INSERT INTO parent VALUES (1);
COMMIT;
SELECT documentdb_upgrade.schema_version();

DROP TABLE kept, child, parent;
DROP FUNCTION recorded(integer);
DROP EXTENSION du_broken;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
