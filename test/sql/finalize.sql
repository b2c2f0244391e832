-- Finalize: the whole managed set to the target, in order, in one transaction,
-- with a history row that commits with it.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
SET search_path = public, documentdb_upgrade;
\pset null '(null)'

CREATE EXTENSION documentdb_core VERSION '0.101-0';
CREATE EXTENSION documentdb VERSION '0.101-0';
SELECT documentdb_api.create_collection('db', 'first'), documentdb_api.create_collection('db', 'second');

SELECT schema_version(), binary_version(), loaded_version();

-- It gives back its history row.
SELECT id, extension, from_version, to_version, outcome, actor, role_name = session_user AS by_session_user,
       skipped_guards, refused_by, restore_point
FROM finalize_to('0.102-1');
SELECT schema_version();

-- That row is stored, with the fingerprint, where to recover to, and the steps.
SELECT id, outcome, client ~ '^pg_regress.*, local$' AS client, finished_at >= started_at AS in_time,
       fingerprint ~ '^[0-9a-f]{64}$' AS fingerprint, restore_lsn <= pg_current_wal_lsn() AS lsn,
       restore_timeline AS timeline, sqlstate, message, script, repeats
FROM history;
CREATE FUNCTION public.steps_of(attempt bigint) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s: %s from %s to %s%s', n, s->>'extension', s->>'from', s->>'to',
				  CASE WHEN s->>'sha256' ~ '^[0-9a-f]{64}$' AND (s->>'ms')::float8 > 0 THEN '' ELSE ' ???' END)
	FROM documentdb_upgrade.history, jsonb_array_elements(steps) WITH ORDINALITY AS t(s, n)
	WHERE id = attempt ORDER BY n
$$;
SELECT * FROM public.steps_of(1);
SELECT attrelid::regclass, attnotnull, atthasdef FROM pg_attribute
WHERE attname = 'creation_time' AND attrelid::regclass::text ~ 'documents' ORDER BY 1;

-- A target that is reached is success, and nothing else.
SELECT id, extension, from_version, to_version, outcome, steps, restore_point, message
FROM finalize_to('0.102-1');
SELECT id, outcome FROM finalize_to('v0.102.1');
SELECT count(*) FROM history;

-- However it is written, the target is one of the versions that the files
-- offer, and that is what gets installed.  A process notes in its own time that
-- the first two were cancelled.
BEGIN;
SELECT from_version, to_version FROM finalize_to('0.103-0');
ROLLBACK;
BEGIN;
SELECT from_version, to_version FROM finalize_to('0.103.0');
ROLLBACK;
BEGIN;
SELECT from_version, to_version FROM finalize_to('v0.103');
SELECT extname, extversion FROM pg_extension WHERE extname ~ '^documentdb(_core)?$' ORDER BY 1;
COMMIT;

-- documentdb_core has no 0.104-1: it goes to the highest below.
SELECT to_version FROM finalize_to('0.104-1');
SELECT extension, installed_version FROM versions;

-- A companion that comes later is brought along, and may be all there is to do.
CREATE EXTENSION documentdb_extended_rum VERSION '0.103-0';
SELECT extension, installed_version, target FROM versions;
SELECT outcome, to_version FROM finalize_to('0.105-0');
SELECT * FROM public.steps_of((SELECT max(id) FROM history WHERE outcome = 'succeeded'));
DROP EXTENSION documentdb_extended_rum;
CREATE EXTENSION documentdb_extended_rum VERSION '0.103-0';
SELECT outcome, from_version, to_version FROM finalize_to('0.105-0');
SELECT * FROM public.steps_of((SELECT max(id) FROM history WHERE outcome = 'succeeded'));
SELECT outcome, id FROM finalize_to('0.105-0');

-- finalize() follows the binary.  Here the order decides: documentdb 1.0-0
-- uses what documentdb_core 1.0-0 brings, documentdb_extended_rum 1.0-0 what
-- documentdb 1.0-0 brings.
SELECT outcome, from_version, to_version, restore_point, jsonb_array_length(steps) FROM finalize();
SELECT step FROM public.steps_of((SELECT max(id) FROM history WHERE outcome = 'succeeded')) AS step WHERE step ~ 'to 1.0-0$';
SELECT extension, installed_version FROM versions;
SELECT outcome, id, message FROM finalize();

-- In the wrong order it fails, as a whole.
DROP TABLE documentdb_data.documents_1, documentdb_data.documents_2;
DROP EXTENSION documentdb_extended_rum, documentdb, documentdb_core;
CREATE EXTENSION documentdb_core VERSION '0.109-0';
CREATE EXTENSION documentdb VERSION '0.109-0';
SET documentdb_upgrade.managed_extensions = 'documentdb, documentdb_core';
\set VERBOSITY terse
SELECT finalize();
\set VERBOSITY default
RESET documentdb_upgrade.managed_extensions;
SELECT extension, installed_version FROM versions;
SELECT outcome FROM finalize();

DROP EXTENSION documentdb, documentdb_core;
DROP FUNCTION public.steps_of(bigint);
