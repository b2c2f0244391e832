-- Whoever listens on channel documentdb_upgrade is told of each finalize, hold
-- and release when it commits.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
SET documentdb_upgrade.extension = 'du_ahead';
CREATE EXTENSION du_ahead VERSION '1.0';
LISTEN documentdb_upgrade;

\o | sed 's/ PID [0-9]*/ PID .../'
SELECT outcome FROM documentdb_upgrade.finalize();
SELECT documentdb_upgrade.hold('a "quoted" reason');
SELECT documentdb_upgrade.release();
\o

-- Of nothing else: a finalize without work, a release without a hold, or what
-- is rolled back.
\o | sed 's/ PID [0-9]*/ PID .../'
SELECT outcome FROM documentdb_upgrade.finalize();
SELECT documentdb_upgrade.release();
BEGIN;
SELECT documentdb_upgrade.hold('a reason');
ROLLBACK;
\o

DROP EXTENSION du_ahead;
