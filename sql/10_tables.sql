--
-- Tables
--

CREATE TABLE history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    extension text NOT NULL,
    from_version text,
    to_version text,
    extensions jsonb NOT NULL DEFAULT '[]',
    outcome text NOT NULL
        CHECK (outcome IN ('succeeded', 'failed', 'refused', 'cancelled')),
    actor text NOT NULL,
    role_name text NOT NULL,
    client text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    skipped_guards text[] NOT NULL DEFAULT '{}',
    refused_by text[] NOT NULL DEFAULT '{}',
    fingerprint text,
    restore_point text,
    restore_lsn pg_lsn,
    restore_timeline bigint,
    steps jsonb,
    sqlstate text,
    message text,
    detail text,
    hint text,
    context text,
    script text,
    script_line integer,
    repeats integer NOT NULL DEFAULT 0,
    last_repeated_at timestamptz,
    resource_uid text,
    resource_generation bigint,
    dismissed_at timestamptz,
    cause text
        CHECK (cause IN ('guard', 'lock', 'race', 'end', 'hold', 'cancel', 'limit', 'script', 'check', 'server',
                         'library', 'node')),
    nodes jsonb
);
COMMENT ON TABLE history IS 'every attempt to finalize, one row each';
COMMENT ON COLUMN history.id IS 'null in the row that a finalize with nothing to do returns';
COMMENT ON COLUMN history.extension IS 'the main extension; of a manual update the one that was updated';
COMMENT ON COLUMN history.from_version IS 'its installed version before the attempt; null: it was not installed';
COMMENT ON COLUMN history.to_version
	IS 'its target; the installed version where only companions were to change; null: it was dropped';
COMMENT ON COLUMN history.extensions
	IS 'every extension that has changed, or was to change when the attempt did not succeed, in the order of update: '
	'extension, from, to; empty where there was no way to the target';
COMMENT ON COLUMN history.outcome
	IS 'succeeded; failed: an error, rolled back; refused: a guard or the fingerprint; cancelled: by a user, '
	'or rolled back by the caller after success';
COMMENT ON COLUMN history.actor
	IS 'who drove the attempt: function, worker, tick; manual: a plain ALTER EXTENSION, a drop or a creation; found: '
	'nobody, another version is installed than history left; coordinator: that of the Citus cluster of which this '
	'server is a worker node';
COMMENT ON COLUMN history.role_name IS 'session user';
COMMENT ON COLUMN history.client IS 'application name and address of the session';
COMMENT ON COLUMN history.started_at IS 'when the attempt began';
COMMENT ON COLUMN history.finished_at
	IS 'when the attempt ended; the commit follows at once or with the caller''s transaction';
COMMENT ON COLUMN history.skipped_guards IS 'guards that the caller overrode, or that a manual update went against';
COMMENT ON COLUMN history.refused_by IS 'guards that failed';
COMMENT ON COLUMN history.fingerprint IS 'upgrade_fingerprint() at the time';
COMMENT ON COLUMN history.restore_point
	IS 'name of the restore point written before the first script; an attempt that repeats the one before it writes '
	'none again and has the same name here; null with wal_level minimal';
COMMENT ON COLUMN history.restore_lsn
	IS 'LSN just before the first script, to recover to; unique where the name is not';
COMMENT ON COLUMN history.restore_timeline IS 'timeline of that LSN';
COMMENT ON COLUMN history.steps IS 'scripts that ran: extension, from, to, sha256, ms';
COMMENT ON COLUMN history.sqlstate IS 'of the error';
COMMENT ON COLUMN history.message IS 'of the error';
COMMENT ON COLUMN history.detail IS 'of the error';
COMMENT ON COLUMN history.hint IS 'of the error';
COMMENT ON COLUMN history.context IS 'of the error';
COMMENT ON COLUMN history.script IS 'script file that was running';
COMMENT ON COLUMN history.script_line IS 'line of that file, counted from 1';
COMMENT ON COLUMN history.repeats IS 'how often the same failure or refusal came again at once after this one';
COMMENT ON COLUMN history.last_repeated_at IS 'when it came last';
COMMENT ON COLUMN history.resource_uid IS 'uid of the custom resource that asked for it';
COMMENT ON COLUMN history.resource_generation IS 'generation of that resource';
COMMENT ON COLUMN history.dismissed_at IS 'when retry() dismissed this failure; the worker then looks at it no more';
COMMENT ON COLUMN history.cause
	IS 'what ended an attempt, by who raised it, whatever the sqlstate. The worker tries again after guard (our own '
	'refusal), lock (one not had in time, a deadlock, a serialization failure), race (somebody else was faster), '
	'end (the process was ended), hold (or not desired any more), library (one that refused it there: the worker then '
	'begins with the update), node (one of a Citus cluster that could not be reached or was stopped). Final until an '
	'input changes or retry() are script, check, cancel, limit (attempt_timeout), server (any other error)';
COMMENT ON COLUMN history.nodes
	IS 'on the coordinator of a Citus cluster: the other nodes with their LSN just after the restore point, or the '
	'node that the error came from: node, lsn, error; null elsewhere';

CREATE TABLE checks (
    name text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('pre', 'post')),
    function text NOT NULL CHECK (function ~ '^("([^"]|"")+"|[^"().\s]+)\.("([^"]|"")+"|[^"().\s]+)\(\)$'),
    enabled boolean NOT NULL DEFAULT true,
    builtin boolean NOT NULL DEFAULT false,
    description text,
    requires text[]
);
COMMENT ON TABLE checks IS 'functions that must return true in the transaction of a finalize';
COMMENT ON COLUMN checks.kind IS 'pre: before the first script; post: after the last';
COMMENT ON COLUMN checks.function
	IS 'schema-qualified name with (), a function without arguments that returns boolean; it runs as its owner';
COMMENT ON COLUMN checks.enabled IS 'false leaves the check out';
COMMENT ON COLUMN checks.builtin IS 'shipped with this extension';
COMMENT ON COLUMN checks.name IS 'checks run in the order of their names';
COMMENT ON COLUMN checks.description IS 'for people';
COMMENT ON COLUMN checks.requires
	IS 'functions (schema.name) that must be members of the main extension for this check to apply; null: '
	'it always does';

CREATE TABLE holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason text NOT NULL,
    until timestamptz,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    placed_by text NOT NULL DEFAULT session_user,
    released_at timestamptz,
    released_by text
);
COMMENT ON TABLE holds IS 'holds placed by hold(); one without released_at and not past until is in force';
COMMENT ON COLUMN holds.id IS 'number of the hold';
COMMENT ON COLUMN holds.reason IS 'what hold() was told';
COMMENT ON COLUMN holds.placed_at IS 'when it was placed';
COMMENT ON COLUMN holds.placed_by IS 'session user';
COMMENT ON COLUMN holds.released_at IS 'when release() ended it; null: it did not';
COMMENT ON COLUMN holds.released_by IS 'session user of release()';
COMMENT ON COLUMN holds.until IS 'when the hold ends by itself; null: never';

CREATE TABLE backups (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    label text NOT NULL,
    finished_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE backups IS 'backups told by record_backup(); guard backup_recent looks at the newest';
COMMENT ON COLUMN backups.id IS 'number of the backup, as record_backup() returns it';
COMMENT ON COLUMN backups.label IS 'what record_backup() was told';
COMMENT ON COLUMN backups.finished_at IS 'when the backup finished, as told';
COMMENT ON COLUMN backups.recorded_at IS 'when that was told';
COMMENT ON COLUMN backups.recorded_by IS 'session user';

CREATE TABLE documentdb_upgrade_internal.binaries_seen (
    extension text NOT NULL,
    version text NOT NULL,
    digest text NOT NULL,
    first_seen timestamptz NOT NULL,
    PRIMARY KEY (extension, version, digest)
);
COMMENT ON TABLE binaries_seen
	IS 'when each binary of the main extension was first seen on this server, for guard soak_time; not dumped';
COMMENT ON COLUMN binaries_seen.extension IS 'the main extension';
COMMENT ON COLUMN binaries_seen.version IS 'version that its files offer';
COMMENT ON COLUMN binaries_seen.first_seen IS 'when this server saw it first';
COMMENT ON COLUMN binaries_seen.digest IS 'SHA-256 over the libraries; empty for an extension without one';

SELECT pg_catalog.pg_extension_config_dump('history', '');
SELECT pg_catalog.pg_extension_config_dump('history_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('holds', '');
SELECT pg_catalog.pg_extension_config_dump('holds_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('backups', '');
SELECT pg_catalog.pg_extension_config_dump('backups_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('checks', 'WHERE NOT builtin');
