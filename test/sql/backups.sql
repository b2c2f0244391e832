-- Backups: told by whoever takes them; the newest must be recent, as soon as
-- one was ever told.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_ahead';
\c
CREATE EXTENSION du_ahead VERSION '1.0';
CREATE VIEW guard AS
	SELECT status, regexp_replace(detail, 'is \d+ s old', 'is N s old') AS detail, hint
	FROM documentdb_upgrade.preflight() WHERE guard = 'backup_recent';

SELECT * FROM guard;
SELECT documentdb_upgrade.record_backup('nightly', now());
SELECT * FROM guard;

-- One that is too old.
SELECT documentdb_upgrade.record_backup('old', now() - interval '25 hours');
SELECT * FROM guard;
DELETE FROM documentdb_upgrade.backups WHERE label = 'nightly';
SELECT * FROM guard;
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize();
\set VERBOSITY default
SET documentdb_upgrade.backup_max_age = '30h';
SELECT * FROM guard;
SET documentdb_upgrade.backup_max_age = '1min';
SELECT * FROM guard;
SELECT outcome, skipped_guards FROM documentdb_upgrade.finalize_to('1.1', skip_guards => '{backup_recent}');

-- It takes a label, and a time that is not in the future (clocks may differ by
-- minutes).
\set VERBOSITY sqlstate
SELECT documentdb_upgrade.record_backup('', now());
SELECT documentdb_upgrade.record_backup(NULL, now());
SELECT documentdb_upgrade.record_backup('b', NULL);
SELECT documentdb_upgrade.record_backup('b', now() + interval '1 hour');
SELECT documentdb_upgrade.record_backup('b', 'infinity');
SELECT documentdb_upgrade.record_backup('b', '-infinity');
SELECT documentdb_upgrade.record_backup('b', now() + interval '1 minute') > 0 AS recorded;
SELECT status FROM guard;

SELECT label, recorded_by = session_user AS by_me FROM documentdb_upgrade.backups ORDER BY id;

DROP VIEW guard;
DROP EXTENSION du_ahead;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
