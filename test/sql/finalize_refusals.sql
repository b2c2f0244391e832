-- What finalize_to refuses: clear words, the right SQLSTATE, a row in history,
-- and nothing changed.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'

-- Not installed.
SELECT documentdb_upgrade.finalize_to('1.0-0');
SELECT documentdb_upgrade.finalize();

CREATE EXTENSION documentdb_core VERSION '0.107-0';
CREATE EXTENSION documentdb VERSION '0.107-0';

-- Below the installed version, above the binary, in between but not there.
SELECT documentdb_upgrade.finalize_to('0.106-0');
SELECT documentdb_upgrade.finalize_to('1.0-1');
SELECT documentdb_upgrade.finalize_to('0.111-0');
\c

-- Not what was reviewed.  An empty fingerprint is no review, null is any.
\set fingerprint '\'0000000000000000000000000000000000000000000000000000000000000000\''
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize_to('0.108-0', :fingerprint);
\set VERBOSITY sqlstate
SELECT documentdb_upgrade.finalize_to('0.108-0', '');
SELECT documentdb_upgrade.upgrade_fingerprint() AS fingerprint \gset
SELECT documentdb_upgrade.finalize_to('0.108-0', upper(:'fingerprint'));
BEGIN;
SELECT outcome FROM documentdb_upgrade.finalize_to('0.108-0', NULL);
-- Used up by the first finalize.
SAVEPOINT s;
SELECT documentdb_upgrade.finalize_to('0.109-0', :'fingerprint');
ROLLBACK TO s;
ROLLBACK;
SELECT outcome FROM documentdb_upgrade.finalize_to('0.108-0', :'fingerprint');
\set VERBOSITY default
\c

-- Null is no version, and no guard.
SELECT documentdb_upgrade.finalize_to(NULL);
SELECT documentdb_upgrade.finalize_to('0.109-0', skip_guards => ARRAY['hold', NULL]);
CALL documentdb_upgrade.run_finalize_to(NULL);

-- Nothing happened but what was to happen, and what was refused is on record.
-- Arguments that are no request are not.
SELECT extname, extversion FROM pg_extension WHERE extname LIKE 'documentdb%' AND extname <> 'documentdb_upgrade' ORDER BY 1;
SELECT outcome, from_version, to_version, refused_by, sqlstate, message, repeats
FROM documentdb_upgrade.history
WHERE outcome <> 'cancelled' ORDER BY id;

DROP EXTENSION documentdb, documentdb_core;
