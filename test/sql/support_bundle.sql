-- The support bundle: what a maintainer asks first, in one object, whatever
-- else is broken.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'
CREATE EXTENSION documentdb_core VERSION '0.107-0';
CREATE EXTENSION documentdb VERSION '0.107-0';
SELECT documentdb_upgrade.hold('a reason');
SELECT documentdb_upgrade.record_backup('b', now());
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize();
SELECT documentdb_upgrade.release();
SELECT outcome FROM documentdb_upgrade.finalize_to('0.108-0');

-- Its parts; none of them failed.
SELECT key, jsonb_typeof(value) AS type FROM jsonb_each(documentdb_upgrade.support_bundle()) ORDER BY key COLLATE "C";
SELECT key, value FROM jsonb_each(documentdb_upgrade.support_bundle()) WHERE value ? 'error';
-- The caller's string syntax makes no difference.
SET standard_conforming_strings = off;
SELECT count(*) FROM jsonb_each(documentdb_upgrade.support_bundle()->'settings') WHERE key ~ 'documentdb';
RESET standard_conforming_strings;

-- They say what the functions say.
SELECT bundle->'status'->>'state' AS state, bundle->'versions'->1->>'installed_version' AS installed,
       jsonb_array_length(bundle->'plan') AS steps, jsonb_array_length(bundle->'preflight') AS guards,
       bundle->>'fingerprint' = documentdb_upgrade.upgrade_fingerprint() AS fingerprint,
       bundle->'holds'->0->>'reason' AS hold, bundle->'backups'->0->>'label' AS backup,
       bundle->'installed_extensions'->>'documentdb_core' AS core
FROM documentdb_upgrade.support_bundle() AS bundle;
-- History has its newest rows first.
SELECT h->>'outcome' AS outcome, h->>'to_version' AS to_version
FROM jsonb_array_elements(documentdb_upgrade.support_bundle()->'history') AS h;
INSERT INTO documentdb_upgrade.history (extension, outcome, actor, role_name, started_at, finished_at)
	SELECT 'documentdb', 'failed', 'function', 'postgres', now(), now() FROM generate_series(1, 100);
SELECT jsonb_array_length(documentdb_upgrade.support_bundle()->'history') AS rows_at_most;

-- Rehearsals too, but without their long reports.
SELECT outcome FROM documentdb_upgrade.rehearse('0.109-0');
SELECT r->>'outcome' AS outcome, r->>'to_version' AS to_version, (r->>'steps_run')::integer AS steps, r ? 'report' AS report
FROM jsonb_array_elements(documentdb_upgrade.support_bundle()->'rehearsals') AS r;

-- Every setting of ours with its unit and source, and those of the server that
-- matter; no connection string, no file of secrets.
SELECT key, value->>'unit' AS unit FROM jsonb_each(documentdb_upgrade.support_bundle()->'settings') ORDER BY key COLLATE "C";

-- A part that cannot be had says why in its place, and the others are there.
SET documentdb_upgrade.managed_extensions = '"';
SELECT key, value FROM jsonb_each(documentdb_upgrade.support_bundle())
WHERE jsonb_typeof(value) = 'object' AND value ? 'error' ORDER BY key COLLATE "C";
SELECT bundle->>'extension_version' IS NOT NULL AS version, jsonb_array_length(bundle->'holds') AS holds
FROM documentdb_upgrade.support_bundle() AS bundle;
RESET documentdb_upgrade.managed_extensions;

-- Nothing is installed: still an answer.
DROP EXTENSION documentdb, documentdb_core;
SELECT bundle->'status'->>'state' AS state, bundle->'plan' AS plan FROM documentdb_upgrade.support_bundle() AS bundle;
