-- Soak time: how long this binary must have been in use, counted from when it
-- was first seen here.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_ahead';
\c
CREATE EXTENSION du_ahead VERSION '1.0';
CREATE VIEW guard AS
	SELECT status, regexp_replace(detail, 'seen [\d.]+ s', 'seen N s') AS detail,
		   regexp_replace(hint, '(in \d+)\.\d h', '\1.N h') AS hint
	FROM documentdb_upgrade.preflight() WHERE guard = 'soak_time';

SELECT * FROM guard;

-- The clock starts when somebody looks, not when somebody sets the time.
SELECT extension, version, digest FROM documentdb_upgrade_internal.binaries_seen;
UPDATE documentdb_upgrade_internal.binaries_seen SET first_seen = now() - interval '3 hours';
SET documentdb_upgrade.soak_time = '2h';
SELECT * FROM guard;
SET documentdb_upgrade.soak_time = '4h';
SELECT * FROM guard;
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize();
\set VERBOSITY default
SELECT refused_by FROM documentdb_upgrade.history;

-- Another binary begins anew, and one that comes back goes on.
UPDATE documentdb_upgrade_internal.binaries_seen SET version = '1.0';
SELECT * FROM guard;
SELECT version FROM documentdb_upgrade_internal.binaries_seen ORDER BY 1;

-- A look in a read-only transaction notes nothing, and a finalize is refused
-- then rather than let through.
TRUNCATE documentdb_upgrade_internal.binaries_seen;
BEGIN READ ONLY;
SELECT * FROM guard;
COMMIT;
SELECT count(*) FROM documentdb_upgrade_internal.binaries_seen;
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize();
SELECT outcome, skipped_guards FROM documentdb_upgrade.finalize_to('1.1', skip_guards => '{soak_time}');

DROP VIEW guard;
DROP EXTENSION du_ahead;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
