\echo Use "CREATE EXTENSION documentdb_upgrade" to load this file. \quit

-- Made here, so that they are members and go with the extension, and so that
-- a schema of such a name that somebody else has made is refused.
CREATE SCHEMA documentdb_upgrade;
COMMENT ON SCHEMA documentdb_upgrade IS 'commits extension upgrades safely';
GRANT USAGE ON SCHEMA documentdb_upgrade TO PUBLIC;

-- What the functions and views of the first call: \df documentdb_upgrade. shows
-- what people call.
CREATE SCHEMA documentdb_upgrade_internal;
COMMENT ON SCHEMA documentdb_upgrade_internal IS
'serves the functions and views of schema documentdb_upgrade; it may change with any release';
GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO pg_monitor;

SET LOCAL search_path = documentdb_upgrade, documentdb_upgrade_internal, pg_temp;

--
-- Versions
--

CREATE FUNCTION to_semver(version text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_to_semver';
COMMENT ON FUNCTION to_semver(text) IS
'the version spelled with dots, at least three components: 0.112-0 gives 0.112.0; malformed input raises 22023';

CREATE FUNCTION to_extension_version(version text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_to_extension_version';
COMMENT ON FUNCTION to_extension_version(text) IS
'the version as DocumentDB spells it: 0.112.0 gives 0.112-0; malformed input raises 22023';

CREATE FUNCTION compare_versions(a text, b text) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_compare_versions';
COMMENT ON FUNCTION compare_versions(text, text) IS
'-1, 0 or 1 as a sorts before, with or after b, component by component; malformed input raises 22023';

CREATE FUNCTION decide(desired text, installed text, binary text,
                       OUT decision text, OUT target text, OUT reason text)
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_decide';
COMMENT ON FUNCTION decide(text, text, text) IS
'what a desired version ('''', auto or a version) means for an installed and a binary one: not_installed, refuse, '
	'schema_ahead, wait, none, update_available or finalize; a pure function of its arguments';

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
        CHECK (cause IN ('guard', 'lock', 'race', 'end', 'hold', 'cancel', 'limit', 'script', 'check', 'server'))
);
COMMENT ON TABLE history IS 'every attempt to finalize, one row each';
COMMENT ON COLUMN history.id IS 'null in the row that a finalize with nothing to do returns';
COMMENT ON COLUMN history.extension IS 'the main extension; of a manual update the one that was updated';
COMMENT ON COLUMN history.from_version IS 'its installed version before the attempt';
COMMENT ON COLUMN history.to_version IS 'its target; the installed version where only companions were to change';
COMMENT ON COLUMN history.extensions
	IS 'every extension that has changed, or was to change when the attempt did not succeed, in the order of update: '
	'extension, from, to; empty where there was no way to the target';
COMMENT ON COLUMN history.outcome
	IS 'succeeded; failed: an error, rolled back; refused: a guard or the fingerprint; cancelled: by a user, '
	'or rolled back by the caller after success';
COMMENT ON COLUMN history.actor IS 'who drove the attempt: function, worker, tick, or manual: a plain ALTER EXTENSION';
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
	'end (the process was ended), hold (or not desired any more). Final until an input changes or retry() are script, '
	'check, cancel, limit (attempt_timeout), server (any other error)';

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

--
-- Looking
--

CREATE FUNCTION schema_version() RETURNS text
    LANGUAGE C STABLE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_schema_version';
COMMENT ON FUNCTION schema_version() IS
'installed version of the main extension, null when it is not installed';

CREATE FUNCTION binary_version() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_binary_version';
COMMENT ON FUNCTION binary_version() IS
'version that the main extension''s files on this instance offer: default_version of the control file, '
	'else the highest; null when there are no files';

CREATE FUNCTION loaded_version() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_loaded_version';
COMMENT ON FUNCTION loaded_version() IS
'version that the library in this server''s memory reports; null when the main extension has no such function (setting '
	'documentdb_upgrade.loaded_version_function)';

CREATE FUNCTION documentdb_upgrade_internal.managed_versions(OUT extension text, OUT installed_version text,
                                 OUT binary_version text, OUT loaded_version text,
                                 OUT gate text, OUT target text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 3
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_managed_versions';
COMMENT ON FUNCTION managed_versions() IS 'the rows of view versions';

CREATE VIEW versions AS
    SELECT extension, installed_version, binary_version, loaded_version, gate, target
    FROM managed_versions();
COMMENT ON VIEW versions IS
'one row per extension of the managed set, in the order of update: installed, binary and loaded version, '
	'the version in force (gate), and the target that follows the binary';
COMMENT ON COLUMN versions.extension IS 'name of the extension';
COMMENT ON COLUMN versions.installed_version IS 'version in the catalog of this database; null: not installed';
COMMENT ON COLUMN versions.binary_version IS 'version that the files on this instance offer';
COMMENT ON COLUMN versions.loaded_version IS 'version that the library in memory reports; null when not known';
COMMENT ON COLUMN versions.gate IS 'version that the loaded library believes to be in force; null when not known';
COMMENT ON COLUMN versions.target IS 'version that a finalize to the binary version of the main extension brings';

CREATE FUNCTION plan(target text DEFAULT NULL,
                     OUT step integer, OUT extension text,
                     OUT from_version text, OUT to_version text,
                     OUT script text, OUT sha256 text,
                     OUT risk text, OUT risk_reason text, OUT locks text[])
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 5
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_plan';
COMMENT ON FUNCTION plan(text) IS
'one row per script that a finalize to the target (null: the binary version) would run, in order; '
	'risk and locks as far as the script''s text shows them; malformed target raises 22023';

CREATE FUNCTION plan_sql(target text DEFAULT NULL) RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_plan_sql';
COMMENT ON FUNCTION plan_sql(text) IS
'the statements of the plan with their scripts as comments, for review';

CREATE FUNCTION preflight(target text DEFAULT NULL,
                          OUT guard text, OUT status text,
                          OUT detail text, OUT hint text, OUT hard boolean)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 20
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_preflight';
COMMENT ON FUNCTION preflight(text) IS
'one row per guard for the target (null: the binary version): status pass, warn, fail or skip, why, and what to do; '
	'hard guards cannot be overridden';

CREATE FUNCTION can_finalize(target text DEFAULT NULL) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_can_finalize';
COMMENT ON FUNCTION can_finalize(text) IS
'true when no guard fails for the target (null: the binary version)';

CREATE FUNCTION upgrade_fingerprint() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_upgrade_fingerprint';
COMMENT ON FUNCTION upgrade_fingerprint() IS
'SHA-256 over what any plan depends on: versions, control files, update scripts and libraries; '
	'give it to finalize_to to run only what was reviewed';

CREATE FUNCTION documentdb_upgrade_internal.current_status(OUT role text, OUT installed_version text,
                               OUT binary_version text, OUT loaded_version text,
                               OUT desired text, OUT mode text, OUT target text,
                               OUT state text, OUT blocked_by text[],
                               OUT next_step text, OUT last_error text,
                               OUT attempts bigint, OUT next_retry timestamptz,
                               OUT source text, OUT last_contact timestamptz,
                               OUT worker_pid integer)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_current_status';
COMMENT ON FUNCTION current_status() IS 'the row of view status';

CREATE FUNCTION documentdb_upgrade_internal.fence_notice() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fence_notice';
COMMENT ON FUNCTION fence_notice() IS 'why writes to this database are stopped, or are to be; null when they are not';

CREATE FUNCTION documentdb_upgrade_internal.fence_since() RETURNS timestamptz
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fence_since';
COMMENT ON FUNCTION fence_since()
	IS 'since when this server refuses writes to this database for maintenance; null when it does not';

CREATE VIEW status AS
    SELECT role, installed_version, binary_version, loaded_version, desired, mode, target, state,
           blocked_by, next_step, last_error, attempts, next_retry, source,
           last_contact, worker_pid, fence_notice() AS fence
    FROM current_status() s;
COMMENT ON VIEW status IS
'one row: where this server stands, and in next_step why nothing happens and the exact command that would change it';
COMMENT ON COLUMN status.role IS 'primary or standby';
COMMENT ON COLUMN status.installed_version IS 'version of the main extension in this database; null: not installed';
COMMENT ON COLUMN status.binary_version IS 'version that the files on this instance offer';
COMMENT ON COLUMN status.loaded_version IS 'version that the library in memory reports; null when not known';
COMMENT ON COLUMN status.desired IS 'what is desired, as its source says it; empty: nothing; null: not known';
COMMENT ON COLUMN status.mode IS
'two-phase: no version is desired; auto: that of the binary is; explicit: one is named';
COMMENT ON COLUMN status.target IS 'version that a finalize would go to';
COMMENT ON COLUMN status.state IS 'what this server is doing or waiting for, in one word';
COMMENT ON COLUMN status.blocked_by IS 'guards that refuse the target';
COMMENT ON COLUMN status.next_step IS 'why nothing happens, and the exact command that would change it';
COMMENT ON COLUMN status.last_error IS 'of the last attempt that failed since the last success; null: none';
COMMENT ON COLUMN status.attempts IS 'attempts since the last success, by whomever, repeated ones counted';
COMMENT ON COLUMN status.next_retry IS 'when the worker tries again';
COMMENT ON COLUMN status.source IS 'where the desired version is read: setting, file or kubernetes';
COMMENT ON COLUMN status.last_contact IS 'when that source answered last';
COMMENT ON COLUMN status.worker_pid IS 'process of the worker that serves this database; null: none';
COMMENT ON COLUMN status.fence IS 'why writes to this database are stopped, or are to be; null: they are not';

--
-- Committing
--

CREATE FUNCTION finalize_to(target text, expected_fingerprint text DEFAULT NULL,
                            skip_guards text[] DEFAULT '{}')
    RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize_to';
COMMENT ON FUNCTION finalize_to(text, text, text[]) IS
'updates the managed set to the target and returns the history row; commits with the caller''s transaction; '
	'a target already reached is success and changes nothing. Errors: 22023 malformed target or unknown guard, '
	'22004 null target, 42704 not installed, 0A000 no such version or path, 55000 refused, 55006 another upgrade runs, '
	'55P03 locks not to be had in time, 57014 time limit or cancel, 42501 owner cannot update or the caller may not '
	'override a guard, 25001 isolation level, 25006 standby or read-only, and what a script raises';

CREATE FUNCTION finalize() RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize';
COMMENT ON FUNCTION finalize() IS
'like finalize_to with the binary version as target';

CREATE PROCEDURE run_finalize_to(target text, expected_fingerprint text DEFAULT NULL,
                                 skip_guards text[] DEFAULT '{}')
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_finalize_to';
COMMENT ON PROCEDURE run_finalize_to(text, text, text[]) IS
'like finalize_to, for roles that a planner hook keeps out of SELECT: CALL enters no planner';

--
-- Human control
--

CREATE FUNCTION documentdb_upgrade_internal.stop_for_hold() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_stop_for_hold';
COMMENT ON FUNCTION stop_for_hold() IS
'serves hold(): ends the attempt that the worker runs; false when its commit has begun';

CREATE FUNCTION documentdb_upgrade_internal.wake_at_commit() RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_wake_at_commit';
COMMENT ON FUNCTION wake_at_commit() IS
'serves hold() and release(): has the worker look when this transaction has committed';

CREATE FUNCTION hold(reason text, until timestamptz DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    in_time boolean;
BEGIN
    IF coalesce(reason, '') = '' THEN
        RAISE EXCEPTION 'reason of a hold must not be empty'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF until <= clock_timestamp() THEN
        RAISE EXCEPTION 'hold would end in the past'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave out the second argument for a hold without end.';
    END IF;
    INSERT INTO documentdb_upgrade.holds (reason, until)
        VALUES (hold.reason, hold.until);
    in_time := documentdb_upgrade_internal.stop_for_hold();
    PERFORM documentdb_upgrade_internal.wake_at_commit();
    PERFORM pg_notify('documentdb_upgrade',
                      jsonb_build_object('event', 'hold', 'reason', left(reason, 1000))::text);
    RETURN in_time;
END
$$;
COMMENT ON FUNCTION hold(text, timestamptz) IS
'places a hold: guard hold refuses every finalize until release() or the given time, and an attempt of the worker is '
	'ended at once; true when placed in time, false when the commit of such an attempt had begun (the hold stands all '
	'the same)';

CREATE FUNCTION documentdb_upgrade_internal.await_holds() RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_await_holds';
COMMENT ON FUNCTION await_holds() IS
'serves release(): waits for the transactions that are placing or ending holds';

CREATE FUNCTION release() RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM documentdb_upgrade_internal.await_holds();
    UPDATE documentdb_upgrade.holds
        SET released_at = clock_timestamp(), released_by = session_user
        WHERE released_at IS NULL
          AND (until IS NULL OR until > clock_timestamp());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM documentdb_upgrade_internal.wake_at_commit();
    PERFORM pg_notify('documentdb_upgrade',
                      jsonb_build_object('event', 'release')::text);
    RETURN true;
END
$$;
COMMENT ON FUNCTION release() IS
'ends all holds in force; false when there was none; waits for hold() in transactions that have not ended';

CREATE FUNCTION record_backup(label text, finished_at timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    backup_id bigint;
BEGIN
    IF coalesce(label, '') = '' OR finished_at IS NULL OR NOT isfinite(finished_at) THEN
        RAISE EXCEPTION 'label and time of a backup must be given'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF finished_at > clock_timestamp() + interval '5 minutes' THEN
        RAISE EXCEPTION 'backup "%" has not finished yet', label
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Record a backup when it has finished.';
    END IF;
    INSERT INTO documentdb_upgrade.backups (label, finished_at)
        VALUES (record_backup.label, record_backup.finished_at)
        RETURNING id INTO backup_id;
    RETURN backup_id;
END
$$;
COMMENT ON FUNCTION record_backup(text, timestamptz) IS
'tells that a backup has finished, for guard backup_recent; returns its number';

--
-- The worker
--

CREATE FUNCTION cancel() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_cancel';
COMMENT ON FUNCTION cancel() IS
'ends the attempt that the worker runs in this database, which then waits for another desired version, '
	'other files or retry(); false when none runs or its commit has begun; an attempt of a session is ended by '
	'pg_cancel_backend';

CREATE FUNCTION retry() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_retry';
COMMENT ON FUNCTION retry() IS
'has the worker forget its failures and try at once; false when there was nothing to forget';

CREATE FUNCTION tick() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_tick';
COMMENT ON FUNCTION tick() IS
'one pass of the worker''s loop, for servers that cannot preload: reads the desired version, finalizes if that is due, '
	'reports, and returns the state; where a worker runs, has it read and look, and returns the state it was in. '
	'Errors: 53400 no background worker is free, 58P01 the worker''s library cannot be loaded, '
	'55000 the pass ended before its time';

CREATE FUNCTION wait_for(target text, timeout interval) RETURNS boolean
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_wait_for';
COMMENT ON FUNCTION wait_for(text, interval) IS
'returns true as soon as the main extension is at the target version and its library has taken it up, '
	'false after the timeout; works on standbys; a malformed version raises 22023';

CREATE FUNCTION documentdb_upgrade_internal.running_attempts(OUT pid integer, OUT actor text,
                                 OUT extension text, OUT from_version text,
                                 OUT target text, OUT step integer, OUT steps integer,
                                 OUT step_extension text, OUT step_from text, OUT step_to text,
                                 OUT started_at timestamptz,
                                 OUT cancel_requested boolean, OUT commit_begun boolean)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_running_attempts';
COMMENT ON FUNCTION running_attempts() IS 'the rows of view progress';

CREATE VIEW progress AS
    SELECT pid, actor, extension, from_version, target, step, steps, step_extension,
           step_from, step_to, started_at, cancel_requested, commit_begun
    FROM running_attempts();
COMMENT ON VIEW progress IS
'one row per attempt that runs in this database, with the script that runs now as step n of m; '
	'empty without preloading';
COMMENT ON COLUMN progress.pid IS 'process that runs the attempt';
COMMENT ON COLUMN progress.actor IS 'who drives it: function, worker or tick';
COMMENT ON COLUMN progress.extension IS 'the main extension';
COMMENT ON COLUMN progress.from_version IS 'its version before the attempt';
COMMENT ON COLUMN progress.target IS 'version that the attempt goes to';
COMMENT ON COLUMN progress.step IS 'number of the script that runs';
COMMENT ON COLUMN progress.steps IS 'how many scripts there are';
COMMENT ON COLUMN progress.step_extension IS 'extension that this script updates';
COMMENT ON COLUMN progress.step_from IS 'version that this script starts from';
COMMENT ON COLUMN progress.step_to IS 'version that this script leads to';
COMMENT ON COLUMN progress.started_at IS 'when the attempt began';
COMMENT ON COLUMN progress.cancel_requested IS 'true: it was told to end';
COMMENT ON COLUMN progress.commit_begun IS 'true: it cannot be ended any more';

CREATE FUNCTION documentdb_upgrade_internal.worker_counters(OUT extension text, OUT served boolean,
                                OUT source_reads bigint, OUT source_failures bigint,
                                OUT reports_delivered bigint, OUT reports_failed bigint,
                                OUT events_dropped bigint)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_worker_counters';
COMMENT ON FUNCTION worker_counters()
	IS 'what view metrics takes from the worker: the main extension, whether a worker serves this database, '
	'and its counters since it started';

--
-- Fleet
--

CREATE FUNCTION documentdb_upgrade_internal.fleet(
    OUT name text, OUT host text, OUT slot_name text, OUT identity text,
    OUT upstream text, OUT depth integer, OUT role text, OUT status text,
    OUT problem text, OUT required boolean, OUT installed_version text,
    OUT binary_version text, OUT loaded_version text, OUT gate text, OUT library text,
    OUT timeline integer, OUT replayed_lsn pg_lsn, OUT replication_lag interval,
    OUT reported_at timestamptz, OUT fingerprint text, OUT extensions jsonb)
    RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fleet';
COMMENT ON FUNCTION fleet() IS 'the rows of view standbys';

CREATE VIEW standbys AS SELECT * FROM fleet();
COMMENT ON VIEW standbys IS
'one row per standby below this server, at any depth, with what it has reported; status is ready, ignored, '
	'or why it is not ready: silent, stale, old_binary, old_library, behind, old_gate, lagging, contested';
COMMENT ON COLUMN standbys.name IS 'application_name of its WAL sender';
COMMENT ON COLUMN standbys.host IS 'host name as it reports it; null while it is silent';
COMMENT ON COLUMN standbys.slot_name IS 'replication slot that it uses; null when it uses none';
COMMENT ON COLUMN standbys.identity IS 'of its data directory; null while it is silent';
COMMENT ON COLUMN standbys.upstream IS 'identity of the server that it streams from; null when that is this one';
COMMENT ON COLUMN standbys.depth IS '1: streams from this server; 2: from a standby of it; and so on';
COMMENT ON COLUMN standbys.role IS 'standby, or designated_primary: the head of a replica region';
COMMENT ON COLUMN standbys.status
	IS 'ready, ignored, or why it is not ready: silent, stale, old_binary, old_library, behind, old_gate, lagging, '
	'contested';
COMMENT ON COLUMN standbys.problem IS 'the same as a sentence; null when it is ready';
COMMENT ON COLUMN standbys.required IS 'guards wait for it';
COMMENT ON COLUMN standbys.installed_version IS 'version of the main extension that it sees';
COMMENT ON COLUMN standbys.binary_version IS 'version of the main extension that its files offer';
COMMENT ON COLUMN standbys.loaded_version IS 'version that its loaded library reports';
COMMENT ON COLUMN standbys.gate IS 'version that its loaded library believes to be in force';
COMMENT ON COLUMN standbys.library
	IS 'its libraries in memory against those on its disk: none, current, unknown, stale';
COMMENT ON COLUMN standbys.timeline IS 'that it replays';
COMMENT ON COLUMN standbys.replayed_lsn IS 'that it has replayed up to, as last heard';
COMMENT ON COLUMN standbys.replication_lag
	IS 'how long ago this server was where that standby was when it was last heard; null when not known';
COMMENT ON COLUMN standbys.reported_at
	IS 'when its report arrived at the server that it streams from, by this server''s clock';
COMMENT ON COLUMN standbys.fingerprint IS 'its upgrade_fingerprint(); equal on instances with equal files and schema';
COMMENT ON COLUMN standbys.extensions
	IS 'the managed set as it sees it: name, installed, binary, loaded, sha256 of its libraries';

CREATE FUNCTION report_standby(report jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_report_standby';
COMMENT ON FUNCTION report_standby(jsonb) IS
'takes the report of a standby about itself and its downstream, and answers who this server is; '
	'for roles with REPLICATION whose connection matches a live WAL sender, 42501 for others; '
	'22023 for a malformed report, 54000 for one that is too large, 55000 without preloading';

CREATE PROCEDURE run_report_standby(report jsonb, INOUT answer jsonb DEFAULT NULL)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_report_standby';
COMMENT ON PROCEDURE run_report_standby(jsonb, jsonb) IS
'does what report_standby does, for roles that a planner hook keeps out of SELECT';

CREATE VIEW metrics AS
    SELECT s.role, s.state, s.installed_version, s.desired,
           w.served::integer AS worker_up,
           CASE WHEN (decide('', s.installed_version, s.binary_version)).decision = 'update_available'
                THEN coalesce((SELECT extract(epoch FROM clock_timestamp() - min(b.first_seen))
                               FROM binaries_seen b
                               WHERE b.version = s.binary_version
                                 AND b.extension = w.extension), 0)
                ELSE 0 END::double precision AS update_available_seconds,
           extract(epoch FROM clock_timestamp() - s.last_contact)::double precision AS contact_age_seconds,
           greatest(extract(epoch FROM s.next_retry - clock_timestamp()), 0)::double precision AS next_retry_seconds,
           h.attempts AS attempts_total,
           h.failed AS attempts_failed_total,
           h.succeeded AS attempts_succeeded_total,
           h.last_success_age AS last_success_age_seconds,
           w.source_reads AS source_reads_total,
           w.source_failures AS source_failures_total,
           w.reports_delivered AS reports_delivered_total,
           w.reports_failed AS reports_failed_total,
           w.events_dropped AS events_dropped_total,
           cardinality(s.blocked_by) AS blocked_guards,
           ('hold' = ANY (s.blocked_by))::integer AS held,
           f.standbys, f.standbys_ready, f.replication_lag AS replication_lag_seconds,
           (s.fence IS NOT NULL)::integer AS fenced,
           greatest(extract(epoch FROM clock_timestamp() - fence_since()), 0)::double precision AS fence_seconds
    FROM status s, worker_counters() w,
         LATERAL (SELECT count(*) FILTER (WHERE b.required)::integer AS standbys,
                 count(*) FILTER (WHERE b.required AND b.status = 'ready')::integer AS standbys_ready,
                 extract(epoch FROM max(b.replication_lag) FILTER (WHERE b.required))::double precision
                     AS replication_lag
          FROM standbys b) f,
         LATERAL (SELECT coalesce(sum(1 + a.repeats), 0)::bigint AS attempts,
                 coalesce(sum(1 + a.repeats) FILTER (WHERE a.outcome <> 'succeeded'), 0)::bigint AS failed,
                 count(*) FILTER (WHERE a.outcome = 'succeeded') AS succeeded,
                 extract(epoch FROM clock_timestamp()
                         - max(a.finished_at) FILTER (WHERE a.outcome = 'succeeded'))::double precision
                             AS last_success_age
          FROM history a
          WHERE a.extension = w.extension) h;
COMMENT ON VIEW metrics IS
'one row for exporters, on primaries and standbys; update_available_seconds is how long a newer binary has been '
	'waiting for its finalize, 0 when none does';
COMMENT ON COLUMN metrics.role IS 'primary or standby';
COMMENT ON COLUMN metrics.state IS 'as in view status';
COMMENT ON COLUMN metrics.installed_version IS 'version of the main extension in this database';
COMMENT ON COLUMN metrics.desired IS 'version that is desired; empty: none';
COMMENT ON COLUMN metrics.worker_up IS '1: a worker serves this database';
COMMENT ON COLUMN metrics.update_available_seconds IS
'for how long the files have offered more than is installed; 0: they do not';
COMMENT ON COLUMN metrics.contact_age_seconds IS 'how long ago the source of the desired version answered last';
COMMENT ON COLUMN metrics.next_retry_seconds IS 'time until the next attempt of the worker';
COMMENT ON COLUMN metrics.attempts_total IS 'attempts to finalize in history, repeated ones counted';
COMMENT ON COLUMN metrics.attempts_failed_total IS 'those of them that did not succeed';
COMMENT ON COLUMN metrics.attempts_succeeded_total IS 'those of them that succeeded';
COMMENT ON COLUMN metrics.last_success_age_seconds IS 'how long ago the last one that succeeded ended';
COMMENT ON COLUMN metrics.source_reads_total IS 'reads of the source since the worker started';
COMMENT ON COLUMN metrics.source_failures_total IS 'reads of the source that failed since then';
COMMENT ON COLUMN metrics.reports_delivered_total IS 'reports that the worker has delivered since then';
COMMENT ON COLUMN metrics.reports_failed_total IS 'reports that it could not deliver since then';
COMMENT ON COLUMN metrics.events_dropped_total IS 'events that it has dropped since then';
COMMENT ON COLUMN metrics.blocked_guards IS 'how many guards refuse';
COMMENT ON COLUMN metrics.held IS '1: guard hold refuses';
COMMENT ON COLUMN metrics.standbys IS 'standbys that guards wait for';
COMMENT ON COLUMN metrics.standbys_ready IS 'those of them that are ready';
COMMENT ON COLUMN metrics.replication_lag_seconds IS 'the largest lag among them';
COMMENT ON COLUMN metrics.fenced IS '1: writes to this database are stopped, or are to be';
COMMENT ON COLUMN metrics.fence_seconds IS
'for how long this server has refused writes for maintenance; 0: it does not';

--
-- Support
--

CREATE FUNCTION support_bundle() RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    part record;
    value jsonb;
    bundle jsonb := '{}';
BEGIN
    FOR part IN SELECT * FROM (VALUES
        ('collected_at', 'SELECT to_jsonb(clock_timestamp())'),
        ('server_version', 'SELECT to_jsonb(version())'),
        ('extension_version', 'SELECT to_jsonb(extversion) FROM pg_extension WHERE extname = ''documentdb_upgrade'''),
        ('preloaded', 'SELECT to_jsonb(current_setting(''shared_preload_libraries'', true))'),
        ('settings', 'SELECT jsonb_object_agg(name, jsonb_build_object(''value'', setting, ''unit'', unit, ''source'', '
            'source)) FROM pg_settings
                      WHERE name LIKE ''documentdb\_upgrade.%''
                         OR name IN (''deadlock_timeout'', ''lock_timeout'', ''max_connections'', '
                             '''max_locks_per_transaction'',
                                     ''max_prepared_transactions'', ''max_worker_processes'', ''statement_timeout'',
                                     ''synchronous_commit'', ''wal_level'')'),
        ('status', 'SELECT to_jsonb(s) FROM documentdb_upgrade.status s'),
        ('versions', 'SELECT jsonb_agg(to_jsonb(v)) FROM documentdb_upgrade.versions v'),
        ('plan', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.plan() p'),
        ('preflight', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.preflight() p'),
        ('fingerprint', 'SELECT to_jsonb(documentdb_upgrade.upgrade_fingerprint())'),
        ('progress', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.progress p'),
        ('metrics', 'SELECT to_jsonb(m) FROM documentdb_upgrade.metrics m'),
        ('standbys', 'SELECT jsonb_agg(to_jsonb(b)) FROM documentdb_upgrade.standbys b'),
        ('history', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.history '
            'ORDER BY id DESC LIMIT 50) h'),
        ('rehearsals', 'SELECT jsonb_agg(to_jsonb(r) - ''report'' ORDER BY r.id DESC) FROM (SELECT * FROM '
            'documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 20) r'),
        ('holds', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.holds ORDER '
            'BY id DESC LIMIT 20) h'),
        ('cutovers', 'SELECT jsonb_agg(to_jsonb(c) ORDER BY c.id DESC) FROM (SELECT * FROM documentdb_upgrade.cutovers '
            'ORDER BY id DESC LIMIT 20) c'),
        ('fence_writers', 'SELECT jsonb_agg(to_jsonb(w)) FROM documentdb_upgrade.fence_writers w'),
        ('backups', 'SELECT jsonb_agg(to_jsonb(b) ORDER BY b.id DESC) FROM (SELECT * FROM documentdb_upgrade.backups '
            'ORDER BY id DESC LIMIT 20) b'),
        ('checks', 'SELECT jsonb_agg(to_jsonb(c) || jsonb_build_object(''applies'', '
            'documentdb_upgrade_internal.check_applies(c.requires)) ORDER BY c.name) FROM documentdb_upgrade.checks c'),
        ('binaries_seen', 'SELECT jsonb_agg(to_jsonb(b) ORDER BY b.first_seen) FROM '
            'documentdb_upgrade_internal.binaries_seen b'),
        ('installed_extensions', 'SELECT jsonb_object_agg(extname, extversion) FROM pg_extension'),
        ('event_triggers', 'SELECT jsonb_agg(evtname ORDER BY evtname) FROM pg_event_trigger')
        ) AS v(name, query)
    LOOP
        BEGIN
            EXECUTE part.query INTO value;
        EXCEPTION WHEN OTHERS THEN
            value := jsonb_build_object('error', SQLERRM, 'sqlstate', SQLSTATE);
        END;
        bundle := bundle || jsonb_build_object(part.name, value);
    END LOOP;
    RETURN bundle;
END
$$;
COMMENT ON FUNCTION support_bundle() IS
'what a maintainer asks first, as one jsonb object, without secrets; a part that cannot be had says why in its place';

--
-- Members of the managed extensions
--

CREATE FUNCTION member_definitions(extension text,
                                   OUT kind text, OUT identity text,
                                   OUT digest text, OUT privileges text)
    RETURNS SETOF record
    LANGUAGE sql STABLE STRICT ROWS 1000
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off SET standard_conforming_strings = on
    SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres SET TimeZone = 'UTC'
    SET extra_float_digits = 1 SET bytea_output = hex SET xmloption = content
AS $$
WITH ext AS MATERIALIZED (
    SELECT e.oid, e.extname, e.extowner, e.extnamespace, e.extrelocatable, e.extconfig, e.extcondition
    FROM pg_extension e WHERE e.extname = $1
), member AS MATERIALIZED (
    SELECT d.classid, d.objid
    FROM ext JOIN pg_depend d ON d.refobjid = ext.oid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), definition (classid, objid, owner, acl, aclkind, body) AS (
    -- What the extension itself says beside its version
    SELECT 'pg_extension'::regclass::oid, e.oid, e.extowner, NULL::aclitem[], NULL::"char",
           concat_ws(E'\n', e.extnamespace::regnamespace, e.extrelocatable,
               (SELECT string_agg(format('%s %s', c.rel::regclass, c.condition), E'\n' ORDER BY c.rel::regclass::text)
                FROM unnest(e.extconfig, e.extcondition) AS c(rel, condition)),
               (SELECT string_agg(r.extname, ' ' ORDER BY r.extname)
                FROM pg_depend d JOIN pg_extension r ON r.oid = d.refobjid
                WHERE d.classid = 'pg_extension'::regclass AND d.objid = e.oid
                  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'n'))
    FROM ext e
    UNION ALL
    SELECT m.classid, p.oid, p.proowner, p.proacl, 'f',
           CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid)
           ELSE (SELECT concat_ws(E'\n', a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn,
                     a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn,
                     a.aggmfinalfn, a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify,
                     a.aggmfinalmodify, a.aggsortop::regoperator, format_type(a.aggtranstype, NULL),
                     a.aggtransspace, format_type(a.aggmtranstype, NULL), a.aggmtransspace,
                     coalesce(a.agginitval, '(none)'), coalesce(a.aggminitval, '(none)'),
                     pg_get_function_result(p.oid), p.proparallel, p.proisstrict, p.provolatile)
                 FROM pg_aggregate a WHERE a.aggfnoid = p.oid) END
    FROM member m JOIN pg_proc p ON p.oid = m.objid
    WHERE m.classid = 'pg_proc'::regclass
    UNION ALL
    SELECT m.classid, o.oid, o.oprowner, NULL, NULL,
           concat_ws(E'\n', o.oprcode, format_type(o.oprresult, NULL), o.oprcom::regoperator,
               o.oprnegate::regoperator, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash)
    FROM member m JOIN pg_operator o ON o.oid = m.objid
    WHERE m.classid = 'pg_operator'::regclass
    UNION ALL
    SELECT m.classid, c.oid, c.opcowner, NULL, NULL,
           concat_ws(E'\n', c.opcdefault, format_type(c.opcintype, NULL),
               CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END,
               (SELECT format('%I.%I', f.opfnamespace::regnamespace, f.opfname)
                FROM pg_opfamily f WHERE f.oid = c.opcfamily))
    FROM member m JOIN pg_opclass c ON c.oid = m.objid
    WHERE m.classid = 'pg_opclass'::regclass
    UNION ALL
    SELECT m.classid, f.oid, f.opfowner, NULL, NULL,
           concat_ws(E'\n',
               (SELECT string_agg(x.line, E'\n' ORDER BY x.line) FROM (
                    SELECT concat_ws(' ', 'operator', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose,
                        (SELECT format('%I.%I', s.opfnamespace::regnamespace, s.opfname)
                         FROM pg_opfamily s WHERE s.oid = a.amopsortfamily)) AS line
                    FROM pg_amop a WHERE a.amopfamily = f.oid) x),
               (SELECT string_agg(x.line, E'\n' ORDER BY x.line) FROM (
                    SELECT concat_ws(' ', 'function', a.amprocnum, format_type(a.amproclefttype, NULL),
                        format_type(a.amprocrighttype, NULL), a.amproc::regprocedure) AS line
                    FROM pg_amproc a WHERE a.amprocfamily = f.oid) x))
    FROM member m JOIN pg_opfamily f ON f.oid = m.objid
    WHERE m.classid = 'pg_opfamily'::regclass
    UNION ALL
    SELECT m.classid, c.oid, NULL, NULL, NULL,
           concat_ws(E'\n', c.castcontext, c.castmethod,
               CASE WHEN c.castfunc <> 0 THEN c.castfunc::regprocedure::text END)
    FROM member m JOIN pg_cast c ON c.oid = m.objid
    WHERE m.classid = 'pg_cast'::regclass
    UNION ALL
    SELECT m.classid, t.oid, t.typowner, t.typacl, 'T',
           concat_ws(E'\n', t.typtype, t.typlen, t.typbyval, t.typcategory, t.typispreferred,
               t.typisdefined, t.typdelim, t.typalign, t.typstorage, t.typnotnull, t.typndims,
               format_type(t.typbasetype, t.typtypmod), format_type(t.typelem, NULL),
               t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout,
               t.typanalyze, t.typsubscript, t.typcollation::regcollation, 'default ' || t.typdefault,
               (SELECT string_agg(format('%L', v.enumlabel), ' ' ORDER BY v.enumsortorder)
                FROM pg_enum v WHERE v.enumtypid = t.oid),
               (SELECT string_agg(concat_ws(' ', c.conname, pg_get_constraintdef(c.oid), c.convalidated), E'\n'
                   ORDER BY c.conname)
                FROM pg_constraint c WHERE c.contypid = t.oid),
               (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                                            a.attcollation::regcollation), E'\n' ORDER BY a.attnum)
                FROM pg_attribute a
                WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
               (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), format_type(r.rngmultitypid, NULL),
                    r.rngcollation::regcollation, r.rngcanonical, r.rngsubdiff,
                    (SELECT format('%I.%I', c.opcnamespace::regnamespace, c.opcname)
                     FROM pg_opclass c WHERE c.oid = r.rngsubopc))
                FROM pg_range r WHERE r.rngtypid = t.oid))
    FROM member m JOIN pg_type t ON t.oid = m.objid
    WHERE m.classid = 'pg_type'::regclass
      -- Since 17 row types and array types are members too; their relation or
      -- element says all there is.
      AND NOT EXISTS (SELECT FROM pg_class r WHERE r.oid = t.typrelid AND r.relkind <> 'c')
      AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
    UNION ALL
    SELECT m.classid, c.oid, c.relowner, c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
           concat_ws(E'\n', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
               c.relreplident, array_to_string(c.reloptions, ' '),
               (SELECT am.amname FROM pg_am am WHERE am.oid = c.relam),
               pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
               CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
               CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) END,
               (SELECT concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
                                 s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
                FROM pg_sequence s WHERE s.seqrelid = c.oid),
               (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                    a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, a.attcompression,
                    a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid)), E'\n' ORDER BY a.attnum)
                FROM pg_attribute a
                LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                WHERE c.relkind <> 'S' AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
               (SELECT string_agg(concat_ws(' ', k.conname, pg_get_constraintdef(k.oid), k.convalidated), E'\n'
                   ORDER BY k.conname)
                FROM pg_constraint k WHERE k.conrelid = c.oid),
               (SELECT string_agg(concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered,
                   i.indisreplident),
                                  E'\n' ORDER BY i.indexrelid::regclass::text)
                FROM pg_index i WHERE i.indrelid = c.oid),
               (SELECT string_agg(concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled), E'\n' ORDER BY g.tgname)
                FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
               (SELECT string_agg(concat_ws(' ', pg_get_ruledef(w.oid), w.ev_enabled), E'\n' ORDER BY w.rulename)
                FROM pg_rewrite w WHERE w.ev_class = c.oid AND c.relkind NOT IN ('v', 'm')),
               (SELECT string_agg(concat_ws(' ', quote_ident(y.polname), y.polcmd, y.polpermissive,
                    (SELECT string_agg(coalesce(r.rolname, 'public'), ',' ORDER BY r.rolname)
                     FROM unnest(y.polroles) AS u(role) LEFT JOIN pg_roles r ON r.oid = u.role),
                    pg_get_expr(y.polqual, y.polrelid), pg_get_expr(y.polwithcheck, y.polrelid)), E'\n'
                        ORDER BY y.polname)
                FROM pg_policy y WHERE y.polrelid = c.oid),
               (SELECT string_agg(h.inhparent::regclass::text, ' ' ORDER BY h.inhseqno)
                FROM pg_inherits h WHERE h.inhrelid = c.oid))
    FROM member m JOIN pg_class c ON c.oid = m.objid
    WHERE m.classid = 'pg_class'::regclass
    UNION ALL
    SELECT m.classid, n.oid, n.nspowner, n.nspacl, 'n', ''
    FROM member m JOIN pg_namespace n ON n.oid = m.objid
    WHERE m.classid = 'pg_namespace'::regclass
    UNION ALL
    SELECT m.classid, a.oid, NULL, NULL, NULL, concat_ws(E'\n', a.amtype, a.amhandler)
    FROM member m JOIN pg_am a ON a.oid = m.objid
    WHERE m.classid = 'pg_am'::regclass
    UNION ALL
    SELECT m.classid, l.oid, l.lanowner, l.lanacl, 'l',
           concat_ws(E'\n', l.lanispl, l.lanpltrusted, l.lanplcallfoid::regprocedure,
               l.laninline::regprocedure, l.lanvalidator::regprocedure)
    FROM member m JOIN pg_language l ON l.oid = m.objid
    WHERE m.classid = 'pg_language'::regclass
    UNION ALL
    SELECT m.classid, c.oid, c.collowner, NULL, NULL,
           (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text
    FROM member m JOIN pg_collation c ON c.oid = m.objid
    WHERE m.classid = 'pg_collation'::regclass
    UNION ALL
    SELECT m.classid, c.oid, c.conowner, NULL, NULL,
           concat_ws(E'\n', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding),
               c.conproc, c.condefault)
    FROM member m JOIN pg_conversion c ON c.oid = m.objid
    WHERE m.classid = 'pg_conversion'::regclass
    UNION ALL
    SELECT m.classid, t.oid, NULL, NULL, NULL,
           concat_ws(E'\n', t.trffromsql, t.trftosql)
    FROM member m JOIN pg_transform t ON t.oid = m.objid
    WHERE m.classid = 'pg_transform'::regclass
    UNION ALL
    SELECT m.classid, t.oid, NULL, NULL, NULL,
           concat_ws(E'\n', t.prsstart, t.prstoken, t.prsend, t.prsheadline, t.prslextype)
    FROM member m JOIN pg_ts_parser t ON t.oid = m.objid
    WHERE m.classid = 'pg_ts_parser'::regclass
    UNION ALL
    SELECT m.classid, t.oid, NULL, NULL, NULL, concat_ws(E'\n', t.tmplinit, t.tmpllexize)
    FROM member m JOIN pg_ts_template t ON t.oid = m.objid
    WHERE m.classid = 'pg_ts_template'::regclass
    UNION ALL
    SELECT m.classid, t.oid, t.dictowner, NULL, NULL,
           concat_ws(E'\n', t.dictinitoption,
               (SELECT format('%I.%I', x.tmplnamespace::regnamespace, x.tmplname)
                FROM pg_ts_template x WHERE x.oid = t.dicttemplate))
    FROM member m JOIN pg_ts_dict t ON t.oid = m.objid
    WHERE m.classid = 'pg_ts_dict'::regclass
    UNION ALL
    SELECT m.classid, t.oid, t.cfgowner, NULL, NULL,
           concat_ws(E'\n',
               (SELECT format('%I.%I', x.prsnamespace::regnamespace, x.prsname)
                FROM pg_ts_parser x WHERE x.oid = t.cfgparser),
               (SELECT string_agg(concat_ws(' ', x.maptokentype, x.mapdict::regdictionary), E'\n'
                                  ORDER BY x.maptokentype, x.mapseqno)
                FROM pg_ts_config_map x WHERE x.mapcfg = t.oid))
    FROM member m JOIN pg_ts_config t ON t.oid = m.objid
    WHERE m.classid = 'pg_ts_config'::regclass
    UNION ALL
    SELECT m.classid, f.oid, f.fdwowner, f.fdwacl, 'F',
           concat_ws(E'\n', f.fdwhandler::regprocedure, f.fdwvalidator::regprocedure,
               array_to_string(f.fdwoptions, ' '))
    FROM member m JOIN pg_foreign_data_wrapper f ON f.oid = m.objid
    WHERE m.classid = 'pg_foreign_data_wrapper'::regclass
    UNION ALL
    SELECT m.classid, s.oid, s.srvowner, s.srvacl, 'S',
           concat_ws(E'\n', s.srvtype, s.srvversion, array_to_string(s.srvoptions, ' '),
               (SELECT f.fdwname FROM pg_foreign_data_wrapper f WHERE f.oid = s.srvfdw))
    FROM member m JOIN pg_foreign_server s ON s.oid = m.objid
    WHERE m.classid = 'pg_foreign_server'::regclass
    UNION ALL
    SELECT m.classid, t.oid, t.evtowner, NULL, NULL,
           concat_ws(E'\n', t.evtevent, t.evtfoid::regprocedure, t.evtenabled, array_to_string(t.evttags, ' '))
    FROM member m JOIN pg_event_trigger t ON t.oid = m.objid
    WHERE m.classid = 'pg_event_trigger'::regclass
    UNION ALL
    SELECT m.classid, s.oid, s.stxowner, NULL, NULL, pg_get_statisticsobjdef(s.oid)
    FROM member m JOIN pg_statistic_ext s ON s.oid = m.objid
    WHERE m.classid = 'pg_statistic_ext'::regclass
    UNION ALL
    -- Kinds that are left: their names alone
    SELECT m.classid, m.objid, NULL, NULL, NULL, ''
    FROM member m
    WHERE m.classid NOT IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass,
        'pg_opfamily'::regclass, 'pg_cast'::regclass, 'pg_type'::regclass, 'pg_class'::regclass,
        'pg_namespace'::regclass, 'pg_am'::regclass, 'pg_language'::regclass, 'pg_collation'::regclass,
        'pg_conversion'::regclass, 'pg_transform'::regclass, 'pg_ts_parser'::regclass,
        'pg_ts_template'::regclass, 'pg_ts_dict'::regclass, 'pg_ts_config'::regclass,
        'pg_foreign_data_wrapper'::regclass, 'pg_foreign_server'::regclass,
        'pg_event_trigger'::regclass, 'pg_statistic_ext'::regclass)
)
SELECT i.type, i.identity, encode(sha256(convert_to(d.body, 'UTF8')), 'hex'),
       concat_ws(' ', 'owner=' || quote_ident(pg_get_userbyid(d.owner)),
           (SELECT string_agg(x.item, ' ' ORDER BY x.item COLLATE "C") FROM (
                SELECT format('%s=%s%s', CASE a.grantee WHEN 0 THEN 'PUBLIC'
                    ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                              a.privilege_type, CASE WHEN a.is_grantable THEN '*' END) AS item
                FROM aclexplode(coalesce(d.acl, acldefault(d.aclkind, d.owner))) a) x))
FROM definition d, pg_identify_object(d.classid, d.objid, 0) i
$$;
COMMENT ON FUNCTION member_definitions(text) IS
'one row per member of an extension, and one for the extension itself: SHA-256 over its definition, '
	'independent of OIDs and of the session''s settings, and apart from it owner and privileges; '
	'comments and the values of sequences do not count';

CREATE TABLE member_digests (
    extension text NOT NULL,
    version text NOT NULL,
    server_release integer NOT NULL,
    kind text NOT NULL,
    identity text NOT NULL,
    digest text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (extension, kind, identity)
);
COMMENT ON TABLE member_digests
	IS 'the members of the managed extensions as the last finalize left them, for guard members_intact';
COMMENT ON COLUMN member_digests.extension IS 'managed extension';
COMMENT ON COLUMN member_digests.kind IS 'kind of object, as member_definitions() gives it';
COMMENT ON COLUMN member_digests.identity IS 'the object, as member_definitions() gives it';
COMMENT ON COLUMN member_digests.recorded_at IS 'when that finalize recorded it';
COMMENT ON COLUMN member_digests.version IS 'of the extension; for another one the record does not count';
COMMENT ON COLUMN member_digests.server_release
	IS 'PostgreSQL major version; for another one the record does not count';
COMMENT ON COLUMN member_digests.digest IS 'as member_definitions() gives it';

SELECT pg_catalog.pg_extension_config_dump('member_digests', '');

--
-- Checks that are shipped
--

CREATE FUNCTION documentdb_upgrade_internal.check_applies(requires text[]) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(bool_and(EXISTS (
               SELECT FROM pg_extension e
               JOIN pg_depend d ON d.refobjid = e.oid
               JOIN pg_proc p ON p.oid = d.objid
               JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE e.extname = current_setting('documentdb_upgrade.extension')
                 AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                 AND d.classid = 'pg_proc'::regclass
                 AND p.proname = r.name[2] AND n.nspname = r.name[1])), true)
    FROM (SELECT parse_ident(f) AS name FROM unnest(requires) AS f) r
$$;
COMMENT ON FUNCTION check_applies(text[]) IS
'true when every function named is a member of the main extension; a check that requires others is not run';

CREATE FUNCTION documentdb_upgrade_internal.check_documentdb_crud() RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    -- A database of its own: nobody else's collection can be met.
    name constant text := 'documentdb_upgrade_' || txid_current();
    step record;
    found_document record;
    equal boolean;
BEGIN
    -- The library reads its version anew over a connection of its own, as the
    -- user of this session.
    IF EXISTS (SELECT FROM pg_namespace n
               WHERE n.nspname IN ('documentdb_core', 'documentdb_api_catalog', 'documentdb_api_internal')
                 AND NOT has_schema_privilege(session_user, n.oid, 'USAGE')) THEN
        RAISE WARNING 'check documentdb_crud did not run: role "%" lacks USAGE on the schemas of DocumentDB',
            session_user
            USING HINT = 'Grant USAGE on documentdb_core, documentdb_api_catalog and documentdb_api_internal.';
        RETURN true;
    END IF;

    -- The API's types are not known when this function is made, so every
    -- statement is dynamic; a query of the API may select nothing else.
    FOR step IN SELECT * FROM (VALUES
        ('insert', 'SELECT documentdb_api.insert_one($1, ''c'', $2::documentdb_core.bson)',
         '{"_id": 1, "kind": "a", "n": 2}'),
        ('insert', 'SELECT documentdb_api.insert_one($1, ''c'', $2::documentdb_core.bson)',
         '{"_id": 2, "kind": "b", "n": 3}'),
        ('find', '{"find": "c", "filter": {"kind": "b"}}', '{"_id": 2, "kind": "b", "n": 3}'),
        ('update', 'SELECT documentdb_api.update($1, $2::documentdb_core.bson)',
         '{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$set": {"n": 5}}}]}'),
        ('find', '{"find": "c", "filter": {"_id": 1}}', '{"_id": 1, "kind": "a", "n": 5}'),
        ('aggregate',
         '{"aggregate": "c", "pipeline": [{"$group": {"_id": null, "sum": {"$sum": "$n"}}}], "cursor": {}}',
         '{"_id": null, "sum": 8}'),
        ('delete', 'SELECT documentdb_api.delete($1, $2::documentdb_core.bson)',
         '{"delete": "c", "deletes": [{"q": {"_id": 2}, "limit": 1}]}'),
        ('find', '{"find": "c", "filter": {}}', '{"_id": 1, "kind": "a", "n": 5}')
        ) AS s(verb, query, document)
    LOOP
        IF step.verb NOT IN ('find', 'aggregate') THEN
            EXECUTE step.query USING name, step.document;
            CONTINUE;
        END IF;
        equal := NULL;
        FOR found_document IN EXECUTE format(
            'SELECT document FROM documentdb_api_catalog.%I(%L, %L::documentdb_core.bson)',
            CASE step.verb WHEN 'find' THEN 'bson_aggregation_find' ELSE 'bson_aggregation_pipeline' END,
            name, step.query)
        LOOP
            IF equal IS NOT NULL THEN
                RAISE WARNING 'DocumentDB found more than one document for %', step.query;
                RETURN false;
            END IF;
            EXECUTE 'SELECT $1 OPERATOR(documentdb_core.=) $2::documentdb_core.bson'
                INTO equal USING found_document.document, step.document;
        END LOOP;
        IF equal IS NOT TRUE THEN
            RAISE WARNING 'DocumentDB did not find % for %', step.document, step.query;
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION check_documentdb_crud() IS
'serves checks: inserts, finds, updates, aggregates and deletes through DocumentDB''s SQL interface, '
	'in a database of its own; true when all of that gives what it should';

INSERT INTO checks (name, kind, function, builtin, description, requires) VALUES
    ('documentdb_crud', 'post', 'documentdb_upgrade_internal.check_documentdb_crud()', true,
     'documents can be inserted, found, updated, aggregated and deleted',
     '{documentdb_api.insert_one, documentdb_api.update, documentdb_api.delete, '
         'documentdb_api_catalog.bson_aggregation_find, documentdb_api_catalog.bson_aggregation_pipeline}')
    ON CONFLICT (name) DO NOTHING;

--
-- Rehearsing
--

CREATE TABLE rehearsals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    extension text NOT NULL,
    from_version text,
    to_version text,
    extensions jsonb NOT NULL DEFAULT '[]',
    outcome text NOT NULL CHECK (outcome IN ('passed', 'failed', 'refused')),
    scratch boolean NOT NULL DEFAULT false,
    role_name text NOT NULL,
    client text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    fingerprint text,
    risk text,
    steps_run integer NOT NULL,
    lock_entries integer NOT NULL,
    wal_bytes bigint NOT NULL,
    report jsonb NOT NULL,
    sqlstate text,
    message text,
    detail text,
    hint text,
    context text,
    script text,
    script_line integer
);
COMMENT ON TABLE rehearsals IS 'what rehearsals have found, one row each; true for the fingerprint that they name';
COMMENT ON COLUMN rehearsals.id IS 'number of the rehearsal, for rehearsal_report()';
COMMENT ON COLUMN rehearsals.extension IS 'the main extension';
COMMENT ON COLUMN rehearsals.from_version IS 'installed version';
COMMENT ON COLUMN rehearsals.to_version
	IS 'target of the rehearsal; the installed version where only companions were to change';
COMMENT ON COLUMN rehearsals.extensions
	IS 'every extension that was to change, in the order of update: extension, from, to';
COMMENT ON COLUMN rehearsals.outcome IS 'passed; failed: an error; refused: a hard guard';
COMMENT ON COLUMN rehearsals.scratch IS 'in a throw-away database, where there are no data';
COMMENT ON COLUMN rehearsals.role_name IS 'session user';
COMMENT ON COLUMN rehearsals.client IS 'application name and address of the session';
COMMENT ON COLUMN rehearsals.started_at IS 'when it began';
COMMENT ON COLUMN rehearsals.finished_at IS 'when it had been rolled back';
COMMENT ON COLUMN rehearsals.fingerprint IS 'upgrade_fingerprint() under the locks';
COMMENT ON COLUMN rehearsals.risk IS 'the heaviest risk class of its steps; null when none ran';
COMMENT ON COLUMN rehearsals.steps_run IS 'steps that ran to their end';
COMMENT ON COLUMN rehearsals.lock_entries IS 'entries of the shared lock table that it held at most';
COMMENT ON COLUMN rehearsals.wal_bytes IS 'WAL that its steps wrote';
COMMENT ON COLUMN rehearsals.report
	IS 'steps with their effects, guards that do not pass, sequences that have advanced; rehearsal_report(id) gives it '
	'as text';
COMMENT ON COLUMN rehearsals.sqlstate IS 'of the error';
COMMENT ON COLUMN rehearsals.message IS 'of the error';
COMMENT ON COLUMN rehearsals.detail IS 'of the error';
COMMENT ON COLUMN rehearsals.hint IS 'of the error';
COMMENT ON COLUMN rehearsals.context IS 'of the error';
COMMENT ON COLUMN rehearsals.script IS 'file in which the error happened';
COMMENT ON COLUMN rehearsals.script_line IS 'line of that file, as far as it is known';

SELECT pg_catalog.pg_extension_config_dump('rehearsals', '');
SELECT pg_catalog.pg_extension_config_dump('rehearsals_id_seq', '');

CREATE FUNCTION rehearse(target text DEFAULT NULL, scratch boolean DEFAULT false)
    RETURNS rehearsals
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_rehearse';
COMMENT ON FUNCTION rehearse(text, boolean) IS
'runs the real update of the managed set to the target (null: the binary version), with its checks, rolls it back, '
	'and returns the row of rehearsals that it has stored; the caller''s transaction goes on. '
	'In place it holds the upgrade''s locks meanwhile, and waits lock_timeout for them at most; '
	'with scratch it runs in a throw-away database and takes no lock here. A guard that refuses, '
	'a lock that cannot be had and whatever fails in the update are no errors but outcome, '
	'sqlstate and message of the row. Errors: 22023 malformed target; 0A000 scratch where the extension cannot live in '
	'a second database; 25001 REPEATABLE READ or SERIALIZABLE; 25006 standby or read-only transaction; '
	'42704 scratch without the extension; 53400 scratch without two free background workers, and others of class 53; '
	'55006 from within an upgrade; 57000 the process in the throw-away database was ended; 57014 cancelled';

CREATE PROCEDURE run_rehearse(target text DEFAULT NULL, scratch boolean DEFAULT false)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_rehearse';
COMMENT ON PROCEDURE run_rehearse(text, boolean) IS
'like rehearse, for roles that a planner hook keeps out of SELECT: CALL enters no planner. The row is stored; '
	'the same errors';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_changes(step jsonb, action text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('  %s %s %s%s', action, c->>'kind', c->>'identity',
                  coalesce(' (' || (SELECT string_agg(w, ', ') FROM jsonb_array_elements_text(c->'what') w) || ')', ''))
           || coalesce((SELECT string_agg(E'\n    granted ' || g, '') FROM jsonb_array_elements_text(c->'granted') g),
               '')
           || coalesce((SELECT string_agg(E'\n    revoked ' || r, '') FROM jsonb_array_elements_text(c->'revoked') r),
               '')
    FROM jsonb_array_elements(step->action) c
$$;
COMMENT ON FUNCTION rehearsal_changes(jsonb, text) IS
'serves rehearsal_report(): the lines about what a step has added, removed or changed (the action), one row each';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_step(step jsonb, n bigint, steps integer) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n',
        format('Step %s of %s: %s from %s to %s: %s%s', n, steps, step->>'extension',
               step->>'from', step->>'to', step->>'risk', ', ' || (step->>'ms') || ' ms'),
        '  ' || (step->>'risk_reason'),
        (SELECT string_agg(format('  locks %s in %s%s', r->>'relation', r->>'mode',
                                  ' (' || pg_size_pretty((r->>'bytes')::bigint) || ')'), E'\n')
         FROM jsonb_array_elements(step->'relations') r),
        '  locks ' || (step->>'relations_not_named') || ' more relations',
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade_internal.rehearsal_changes(step, 'added') line),
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade_internal.rehearsal_changes(step, 'removed') line),
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade_internal.rehearsal_changes(step, 'changed') line),
        (SELECT string_agg(format('  writes rows of %s: %s inserted, %s updated, %s deleted', r->>'table',
                                  r->>'inserted', r->>'updated', r->>'deleted'), E'\n')
         FROM jsonb_array_elements(step->'rows') r),
        (SELECT string_agg('  warns: ' || w, E'\n') FROM jsonb_array_elements_text(step->'warnings') w))
$$;
COMMENT ON FUNCTION rehearsal_step(jsonb, bigint, integer) IS
'serves rehearsal_report(): step n of so many as text';

CREATE FUNCTION rehearsal_report(id bigint DEFAULT NULL) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n',
        CASE WHEN r.from_version = r.to_version
             THEN format('Rehearsal %s of %sextension %s at %s: %s', r.id, CASE
                 WHEN r.extensions <> '[]' THEN 'the companions of ' END,
                         r.extension, r.to_version, r.outcome)
             ELSE format('Rehearsal %s of extension %s from %s to %s: %s', r.id, r.extension,
                         coalesce(r.from_version, 'none'), coalesce(r.to_version, 'unknown'), r.outcome) END,
        format('  by %s (%s) at %s, %s ms%s', r.role_name, r.client, r.started_at,
               round(extract(epoch FROM r.finished_at - r.started_at) * 1000),
               CASE WHEN r.scratch THEN ', in a throw-away database' ELSE '' END),
        format('  fingerprint %s', r.fingerprint),
        CASE WHEN r.report->'steps' = '[]' THEN '  no step ran' ELSE
            format('  heaviest risk: %s; %s lock entries at most; %s of WAL; %s', coalesce(r.risk, 'none, no step ran'),
                r.lock_entries,
                   pg_size_pretty(r.wal_bytes), coalesce(r.report->>'checks', 'no check ran')) END,
        CASE WHEN r.report->>'deferred' <> 'met' THEN '  deferred constraints: ' || (r.report->>'deferred') END,
        (SELECT string_agg(documentdb_upgrade_internal.rehearsal_step(s.step, s.n,
            jsonb_array_length(r.report->'steps')), E'\n' ORDER BY s.n)
         FROM jsonb_array_elements(r.report->'steps') WITH ORDINALITY AS s(step, n)),
        (SELECT E'Advanced, and not brought back by the rollback:\n'
                || string_agg(format('  sequence %s from %s to %s', q->>'sequence', q->>'from', q->>'to'), E'\n')
         FROM jsonb_array_elements(r.report->'sequences') q HAVING count(*) > 0),
        (SELECT E'Guards that do not pass now:\n'
                || string_agg(format('  %s: %s. %s', g->>'guard', g->>'status', g->>'detail'), E'\n')
         FROM jsonb_array_elements(r.report->'guards') g HAVING count(*) > 0),
        CASE WHEN r.outcome <> 'passed' THEN concat_ws(E'\n',
            format('%s with %s: %s', initcap(r.outcome), r.sqlstate, r.message),
            '  detail: ' || replace(r.detail, E'\n', E'\n    '), '  hint: ' || r.hint, '  script: ' || r.script,
            '  line: ' || r.script_line, '  context: ' || replace(r.context, E'\n', E'\n    '),
            '  Nothing was changed.') END)
    FROM documentdb_upgrade.rehearsals r
    WHERE r.id = coalesce(rehearsal_report.id, (SELECT max(l.id) FROM documentdb_upgrade.rehearsals l))
$$;
COMMENT ON FUNCTION rehearsal_report(bigint) IS
'the rehearsal with that id (null: the newest) as a text for people; null when there is none';

--
-- Admission
--

CREATE FUNCTION validate_spec(new jsonb, old jsonb DEFAULT NULL)
    RETURNS TABLE (field text, type text, bad_value jsonb, detail text)
    LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_validate_spec';
COMMENT ON FUNCTION validate_spec(jsonb, jsonb) IS
'what is wrong with a custom resource that is created (old null) or changed, one row each, no row when it is valid; '
	'both arguments are whole resources, of any release of the operator. field is the path, '
	'type a field error of Kubernetes: Invalid, TypeInvalid, Forbidden, Required, TooLong. Never raises';

CREATE PROCEDURE run_validate_spec(new jsonb, old jsonb DEFAULT NULL, INOUT errors jsonb DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_validate_spec';
COMMENT ON PROCEDURE run_validate_spec(jsonb, jsonb, jsonb) IS
'like validate_spec, for roles that a planner hook keeps out of SELECT: CALL enters no planner. '
	'errors is an array of objects with field, type, bad_value and detail, empty when the resource is valid; '
	'what is passed in is ignored';

CREATE FUNCTION admission_review(review jsonb) RETURNS jsonb
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_admission_review';
COMMENT ON FUNCTION admission_review(jsonb) IS
'answers an AdmissionReview of admission.k8s.io/v1 with a complete one, by the rules of validate_spec; '
	'what is no review is denied with the reason. Never raises';

CREATE PROCEDURE run_admission_review(review jsonb, INOUT response jsonb DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_admission_review';
COMMENT ON PROCEDURE run_admission_review(jsonb, jsonb) IS
'like admission_review, for roles that a planner hook keeps out of SELECT: CALL enters no planner. '
	'What is passed as response is ignored';

--
-- Releases
--

CREATE TABLE releases (
    revision bigint PRIMARY KEY CHECK (revision > 0),
    label text,
    components jsonb NOT NULL,
    sha256 text NOT NULL,
    observed jsonb,
    source text NOT NULL CHECK (source IN ('operator', 'worker', 'rollback')),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE releases IS
'what was deployed together, one revision a row, the newest release_retention of them and those that a rollback refers '
'to';
COMMENT ON COLUMN releases.revision IS 'number of the release';
COMMENT ON COLUMN releases.recorded_at IS 'when it was recorded';
COMMENT ON COLUMN releases.label IS 'for people';
COMMENT ON COLUMN releases.components IS 'by name of the component: its configuration and the SHA-256 of that';
COMMENT ON COLUMN releases.sha256 IS 'over the components; equal for equal content';
COMMENT ON COLUMN releases.observed IS 'what this server saw of itself then; observed_release()';
COMMENT ON COLUMN releases.source IS
'operator: record_release(); worker: this server found that it runs something else; rollback: record_rollback()';
COMMENT ON COLUMN releases.recorded_by IS 'session user';

CREATE TABLE rollbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source bigint NOT NULL REFERENCES releases,
    target bigint NOT NULL REFERENCES releases,
    release bigint NOT NULL REFERENCES releases,
    changed text[] NOT NULL,
    skipped text[] NOT NULL,
    baseline jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE rollbacks IS 'rollback plans that were executed, for verify_rollback()';
COMMENT ON COLUMN rollbacks.id IS 'number of the rollback, for verify_rollback()';
COMMENT ON COLUMN rollbacks.recorded_at IS 'when it was recorded';
COMMENT ON COLUMN rollbacks.source IS 'revision that was left';
COMMENT ON COLUMN rollbacks.target IS 'revision that was gone back to';
COMMENT ON COLUMN rollbacks.release IS 'revision that came of it: the source with the changed components of the target';
COMMENT ON COLUMN rollbacks.changed IS 'components that were reverted';
COMMENT ON COLUMN rollbacks.skipped IS 'components that differ and were left as they were';
COMMENT ON COLUMN rollbacks.baseline IS
'counters of this database, the last attempt in history, and what this server saw of itself when it was recorded';
COMMENT ON COLUMN rollbacks.recorded_by IS 'session user';

SELECT pg_catalog.pg_extension_config_dump('releases', '');
SELECT pg_catalog.pg_extension_config_dump('rollbacks', '');
SELECT pg_catalog.pg_extension_config_dump('rollbacks_id_seq', '');

CREATE FUNCTION documentdb_upgrade_internal.observed_release() RETURNS jsonb
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_observed_release';
COMMENT ON FUNCTION observed_release() IS
'what this server sees of the release that it runs: its own version, and of the main extension the binary version and '
'SHA-256 of libraries and control file';

CREATE FUNCTION documentdb_upgrade_internal.image_versions(image text, OUT tag text, OUT postgres text,
                                                           OUT extension text, OUT ferretdb text)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT t.tag, coalesce(m.part[1], substring(t.tag FROM '^(?:pg)?(\d{2}(?:\.\d+)?)(?:[-.][^0-9].*)?$')),
           m.part[2], m.part[3]
    FROM (SELECT CASE WHEN image ~ '[/:@]' THEN substring(image FROM '^[^@]*:([^:/@]+)(?:@|$)')
                      ELSE nullif(image, '') END AS tag) t
    LEFT JOIN LATERAL regexp_match(t.tag,
        '^(?:pg)?(\d{2}(?:\.\d+)?)-v?(\d+\.\d+(?:[.-]\d+)*)(?:-ferretdb-(.+))?$') AS m(part) ON true
$$;
COMMENT ON FUNCTION image_versions(text) IS
'takes the tag of an image, or a bare tag, apart: 16.3-v1.3.0 is PostgreSQL 16.3 with the extension 1.3.0, '
'17-0.107.0-ferretdb-2.7.0 names FerretDB too, 18-minimal-trixie PostgreSQL alone; nulls for what a tag does not say, '
'all of them for a digest';

CREATE FUNCTION documentdb_upgrade_internal.component_version(component text, configuration jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN component = 'postgres' THEN coalesce(v.postgres, configuration->>'version', i.postgres)
                ELSE coalesce(configuration->>'version', CASE component WHEN 'extension' THEN i.extension END,
                              i.tag) END
    FROM documentdb_upgrade_internal.image_versions(configuration->>'version') v,
         documentdb_upgrade_internal.image_versions(configuration->>'image') i
$$;
COMMENT ON FUNCTION component_version(text, jsonb) IS
'version that the configuration of a component states: its key version, else the tag of its key image; null for '
'neither, or an image by digest alone';

CREATE FUNCTION documentdb_upgrade_internal.version_matches(version text, pattern text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH text_of (n, t) AS (VALUES (0, version), (1, split_part(pattern, '..', 1)), (2, split_part(pattern, '..', 2))),
    parsed AS (SELECT n, t, regexp_split_to_array(m[1], '[.-]')::numeric[] AS numbers,
                      m[2] ~* '^[-.~]?(rc|alpha|beta|pre|dev)' AS is_early
               FROM text_of, regexp_match(t, '^[vV]?(\d+(?:[.-]\d+)*)(.*)$') AS m),
    padded AS (SELECT v.t, v.is_early, v.numbers || array_fill(0::numeric, ARRAY[10]) AS numbers
               FROM parsed v WHERE v.n = 0)
    SELECT lower(version) = lower(pattern) OR coalesce(NOT v.is_early AND
           CASE WHEN pattern LIKE '%..%'
                THEN v.numbers >= low.numbers AND (split_part(pattern, '..', 2) = ''
                     OR v.numbers[1:cardinality(high.numbers)] <= high.numbers)
                ELSE NOT low.is_early AND v.numbers[1:cardinality(low.numbers)] = low.numbers END, false)
    FROM (VALUES (true)) AS one LEFT JOIN padded v ON true
    LEFT JOIN parsed low ON low.n = 1 LEFT JOIN parsed high ON high.n = 2
$$;
COMMENT ON FUNCTION version_matches(text, text) IS
'whether a version is what the pattern says: 1.28 is also 1.28.3, 14..18 is from 14 up to and with every 18, 1.35.. is '
'1.35 and later; a pre-release is matched by its own text alone';

CREATE FUNCTION documentdb_upgrade_internal.release_components(components jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    part record;
    configuration jsonb;
    result jsonb := '{}';
BEGIN
    IF components IS NULL OR jsonb_typeof(components) <> 'object' OR components = '{}' THEN
        RAISE EXCEPTION 'components of a release must be an object with at least one component'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give for instance '
                         '{"operator": "0.3.0", "extension": {"version": "0.110.0", "image": "..."}}.';
    END IF;
    IF length(components::text) > 1048576 THEN
        RAISE EXCEPTION 'components of a release must not be longer than 1 MB'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR part IN SELECT c.key, c.value FROM jsonb_each(components) c ORDER BY c.key COLLATE "C" LOOP
        IF part.key !~ '^[a-z][a-z0-9_.-]{0,62}$' THEN
            RAISE EXCEPTION 'component name "%" is not valid', part.key
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'A name has at most 63 lower-case letters, digits, "_", "." and "-". Known names are '
                             'operator, gateway, postgres, extension, sidecar_injector and cnpg.';
        END IF;
        configuration := CASE jsonb_typeof(part.value)
            WHEN 'string' THEN jsonb_build_object('version', part.value) ELSE part.value END;
        IF jsonb_typeof(configuration) <> 'object' THEN
            RAISE EXCEPTION 'configuration of component "%" must be a version or an object', part.key
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF jsonb_typeof(configuration->'version') <> 'string' OR configuration->>'version' !~ '\S'
           OR jsonb_typeof(configuration->'image') <> 'string' OR configuration->>'image' !~ '\S' THEN
            RAISE EXCEPTION 'version and image of component "%" must be texts that are not empty', part.key
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        result := result || jsonb_build_object(part.key, jsonb_build_object('configuration', configuration,
            'sha256', encode(sha256(convert_to(configuration::text, 'UTF8')), 'hex')));
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION release_components(jsonb) IS
'serves record_release(): the components as releases stores them, with their digests; a text stands for {"version": '
'text}; 22023 for what is none';

CREATE FUNCTION documentdb_upgrade_internal.add_release(components jsonb, revision bigint, label text,
                                                        observed jsonb, source text)
    RETURNS releases
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    newest documentdb_upgrade.releases;
    result documentdb_upgrade.releases;
    content text := (SELECT encode(sha256(convert_to(string_agg(c.key || ' ' || (c.value->>'sha256'), E'\n'
                            ORDER BY c.key COLLATE "C"), 'UTF8')), 'hex') FROM jsonb_each(components) c);
BEGIN
    SELECT * INTO newest FROM documentdb_upgrade.releases r ORDER BY r.revision DESC LIMIT 1;
    IF newest.sha256 = content THEN
        UPDATE documentdb_upgrade.releases r SET label = coalesce(add_release.label, r.label),
                observed = CASE add_release.source WHEN 'worker' THEN add_release.observed ELSE r.observed END
            WHERE r.revision = newest.revision RETURNING * INTO result;
        RETURN result;
    END IF;
    IF add_release.revision <= coalesce(newest.revision, 0) THEN
        RAISE EXCEPTION 'revision % is not above %', add_release.revision, coalesce(newest.revision, 0)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Revisions only grow; leave the revision out to have the next one.';
    END IF;
    INSERT INTO documentdb_upgrade.releases (revision, label, components, sha256, observed, source)
        VALUES (coalesce(add_release.revision, newest.revision + 1, 1), add_release.label,
                add_release.components, content, add_release.observed, add_release.source)
        RETURNING * INTO result;
    DELETE FROM documentdb_upgrade.releases r
        WHERE r.revision <= (SELECT k.revision FROM documentdb_upgrade.releases k ORDER BY k.revision DESC
                             OFFSET current_setting('documentdb_upgrade.release_retention')::integer LIMIT 1)
          AND NOT EXISTS (SELECT FROM documentdb_upgrade.rollbacks b
                          WHERE r.revision IN (b.source, b.target, b.release));
    RETURN result;
END
$$;
COMMENT ON FUNCTION add_release(jsonb, bigint, text, jsonb, text) IS
'serves record_release(), record_rollback() and the worker: stores a release unless it is the newest one, and deletes '
'what release_retention leaves no room for; needs the lock of the table';

CREATE FUNCTION record_release(components jsonb, revision bigint DEFAULT NULL, label text DEFAULT NULL)
    RETURNS releases
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stored jsonb := documentdb_upgrade_internal.release_components(record_release.components);
    seen jsonb := documentdb_upgrade_internal.observed_release();
    result documentdb_upgrade.releases;
BEGIN
    IF record_release.revision < 1 THEN
        RAISE EXCEPTION 'revision of a release must be positive'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF record_release.label = '' OR length(record_release.label) > 1000 THEN
        RAISE EXCEPTION 'label of a release must be of 1 to 1000 characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOCK TABLE documentdb_upgrade.releases IN SHARE ROW EXCLUSIVE MODE;
    result := documentdb_upgrade_internal.add_release(
        stored, record_release.revision, record_release.label, seen, 'operator');
    RETURN result;
END
$$;
COMMENT ON FUNCTION record_release(jsonb, bigint, text) IS
'stores what is deployed together, by component (operator, gateway, postgres, extension, sidecar_injector, cnpg, or '
'others) its version as a text or its configuration as an object, under the given revision or the next; returns the '
'row. The content of the newest revision is not stored again: that row is returned, with its old revision and '
'recorded_at, and takes the label. 22023 for what is not valid';

CREATE PROCEDURE run_record_release(components jsonb, revision bigint DEFAULT NULL, label text DEFAULT NULL,
                                    INOUT recorded bigint DEFAULT NULL)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    recorded := (documentdb_upgrade.record_release(
        components, run_record_release.revision, run_record_release.label)).revision;
END
$$;
COMMENT ON PROCEDURE run_record_release(jsonb, bigint, text, bigint) IS
'like record_release, for roles that a planner hook keeps out of SELECT; gives the revision';

CREATE FUNCTION documentdb_upgrade_internal.observe_release(observed jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    newest documentdb_upgrade.releases;
    other jsonb;
BEGIN
    LOCK TABLE documentdb_upgrade.releases IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO newest FROM documentdb_upgrade.releases r ORDER BY r.revision DESC LIMIT 1;
    IF newest.observed = observe_release.observed THEN
        RETURN NULL;
    END IF;

    -- A version that the release has announced and that was not here yet
    -- arrives: that is no other release.
    SELECT jsonb_object_agg(o.key, o.value) INTO other
        FROM jsonb_each(observe_release.observed) o,
             LATERAL documentdb_upgrade_internal.component_version(
                 o.key, newest.components->o.key->'configuration') AS stated(version)
        WHERE o.value IS DISTINCT FROM newest.observed->o.key
          AND (stated.version IS NULL
               OR NOT documentdb_upgrade_internal.version_matches(o.value->>'version', stated.version)
               OR documentdb_upgrade_internal.version_matches(newest.observed->o.key->>'version', stated.version));
    IF other IS NULL THEN
        UPDATE documentdb_upgrade.releases r SET observed = observe_release.observed
            WHERE r.revision = newest.revision;
        RETURN NULL;
    END IF;

    -- The other components stay as they were described.
    RETURN (documentdb_upgrade_internal.add_release(
            coalesce(newest.components, '{}') || documentdb_upgrade_internal.release_components(other),
            NULL, NULL, observe_release.observed, 'worker')).revision;
END
$$;
COMMENT ON FUNCTION observe_release(jsonb) IS
'serves the worker: records a release of its own when this server runs something else than before and the newest '
'release does not say so; returns its revision, null when there is nothing to record';

CREATE FUNCTION compare_releases(a bigint, b bigint,
                                 OUT component text, OUT change text,
                                 OUT from_version text, OUT to_version text,
                                 OUT from_configuration jsonb, OUT to_configuration jsonb,
                                 OUT from_sha256 text, OUT to_sha256 text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE ROWS 6 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing bigint := (SELECT min(x.n) FROM (VALUES (a), (b)) AS x(n)
                       WHERE NOT EXISTS (SELECT FROM documentdb_upgrade.releases r WHERE r.revision = x.n));
BEGIN
    IF a IS NULL OR b IS NULL THEN
        RAISE EXCEPTION 'revisions to compare must be given'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'release % does not exist', missing
            USING ERRCODE = 'undefined_object',
                  HINT = 'SELECT revision, label, recorded_at FROM documentdb_upgrade.releases shows those that do.';
    END IF;
    RETURN QUERY
        SELECT key, CASE WHEN x.value IS NULL THEN 'added' WHEN y.value IS NULL THEN 'removed'
                         WHEN x.value->>'sha256' = y.value->>'sha256' THEN 'unchanged' ELSE 'changed' END,
               documentdb_upgrade_internal.component_version(key, x.value->'configuration'),
               documentdb_upgrade_internal.component_version(key, y.value->'configuration'),
               x.value->'configuration', y.value->'configuration', x.value->>'sha256', y.value->>'sha256'
        FROM (SELECT c.* FROM documentdb_upgrade.releases r, jsonb_each(r.components) c WHERE r.revision = a) x
        FULL JOIN (SELECT c.* FROM documentdb_upgrade.releases r, jsonb_each(r.components) c WHERE r.revision = b) y
            USING (key)
        ORDER BY key COLLATE "C";
END
$$;
COMMENT ON FUNCTION compare_releases(bigint, bigint) IS
'one row per component of either release: changed, unchanged, added or removed, by the digest of its configuration, '
'with both configurations; 42704 when there is no such release';

CREATE FUNCTION documentdb_upgrade_internal.shell_quote(word text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT CASE WHEN word ~ '^[A-Za-z0-9_./:@%+=,-]+$' THEN word
                ELSE '''' || replace(word, '''', '''\''''') || '''' END
$$;
COMMENT ON FUNCTION shell_quote(text) IS 'serves release plans: a word as a shell takes it';

CREATE FUNCTION documentdb_upgrade_internal.patch_resource(spec jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('kubectl patch dbs.documentdb.io %s --namespace %s --type merge -p %s',
                  coalesce(documentdb_upgrade_internal.shell_quote(
                      nullif(current_setting('documentdb_upgrade.kubernetes_resource', true), '')), '"$NAME"'),
                  coalesce(documentdb_upgrade_internal.shell_quote(
                      nullif(current_setting('documentdb_upgrade.kubernetes_namespace', true), '')), '"$NAMESPACE"'),
                  documentdb_upgrade_internal.shell_quote(jsonb_build_object('spec', spec)::text))
$$;
COMMENT ON FUNCTION patch_resource(jsonb) IS
'serves release plans: the kubectl command that sets fields of the custom resource, which settings or else $NAME and '
'$NAMESPACE name';

CREATE FUNCTION documentdb_upgrade_internal.release_action(component text, version text, configuration jsonb,
                                                           backwards boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    images constant text := 'ghcr.io/documentdb/documentdb-kubernetes-operator/';
    image text := configuration->>'image';
    chart text := documentdb_upgrade_internal.shell_quote(
        coalesce(configuration->>'chart', 'documentdb/documentdb-operator'));
    word text := documentdb_upgrade_internal.shell_quote(version);
BEGIN
    IF configuration IS NULL THEN
        RETURN format('# remove %s: it is not part of that release', component);
    END IF;
    IF version IS NULL AND image IS NULL THEN
        RETURN format('# bring %s to what the release describes: %s', component, configuration);
    END IF;
    CASE component
    WHEN 'cnpg' THEN
        IF configuration ? 'chart_version' THEN
            RETURN format('helm upgrade cnpg cnpg/cloudnative-pg --namespace cnpg-system --version %s'
                          ' --reset-then-reuse-values --wait',
                          documentdb_upgrade_internal.shell_quote(configuration->>'chart_version'));
        ELSIF version ~ '^\d+\.\d+\.\d+$' THEN
            RETURN format('kubectl apply --server-side --force-conflicts -f https://raw.githubusercontent.com'
                          '/cloudnative-pg/cloudnative-pg/release-%s/releases/cnpg-%s.yaml',
                          substring(version FROM '^\d+\.\d+'), version);
        END IF;
    WHEN 'operator' THEN
        IF backwards AND configuration->>'helm_revision' ~ '^\d+$' THEN
            RETURN format('helm rollback documentdb-operator %s --namespace documentdb-operator --wait',
                          configuration->>'helm_revision');
        ELSIF version IS NOT NULL THEN
            -- Helm leaves CRDs as they are; an older operator works with newer ones.
            RETURN CASE WHEN backwards THEN '' ELSE
                       format('helm show crds %s --version %s | kubectl apply --server-side --force-conflicts -f - && ',
                              chart, word) END
                || format('helm upgrade documentdb-operator %s --version %s --namespace documentdb-operator'
                          ' --reset-then-reuse-values --wait', chart, word);
        END IF;
    WHEN 'sidecar_injector' THEN
        RETURN format('kubectl set image deployment/sidecar-injector cnpg-i-sidecar-injector=%s --namespace cnpg-system'
                      ' && kubectl rollout status deployment/sidecar-injector --namespace cnpg-system',
                      documentdb_upgrade_internal.shell_quote(coalesce(image, images || 'sidecar:' || version)));
    WHEN 'gateway' THEN
        RETURN documentdb_upgrade_internal.patch_resource(jsonb_build_object('image',
            jsonb_build_object('gateway', coalesce(image, images || 'gateway:' || version))));
    WHEN 'extension' THEN
        -- One that leaves the image to the version must not leave an older image there.
        RETURN documentdb_upgrade_internal.patch_resource(CASE WHEN image IS NOT NULL
            THEN jsonb_build_object('image', jsonb_build_object('documentDB', image))
            ELSE jsonb_build_object('documentDBVersion', CASE WHEN version ~ '^v?\d+([.-]\d+)+$'
                     THEN documentdb_upgrade.to_semver(version) ELSE version END,
                     'image', jsonb_build_object('documentDB', NULL)) END);
    WHEN 'postgres' THEN
        RETURN documentdb_upgrade_internal.patch_resource(jsonb_build_object('image', jsonb_build_object('postgres',
            coalesce(image, 'ghcr.io/cloudnative-pg/postgresql:' || version || '-minimal-trixie'))));
    ELSE
        NULL;
    END CASE;
    RETURN format('# bring %s to %s with what deploys it', component, coalesce(version, image));
END
$$;
COMMENT ON FUNCTION release_action(text, text, jsonb, boolean) IS
'serves release plans: the command that brings a component to a version or image';

CREATE FUNCTION documentdb_upgrade_internal.refuse_release(source bigint, target bigint, force boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    part record;
    schema text := documentdb_upgrade.schema_version();
    major integer := current_setting('server_version_num')::integer / 10000;
    below boolean;
    way_out text;
    step documentdb_upgrade.history;
BEGIN
    FOR part IN SELECT * FROM documentdb_upgrade.compare_releases(source, target) c
                WHERE c.component IN ('extension', 'postgres') AND c.to_configuration IS NOT NULL
                  AND (force OR c.change <> 'unchanged') LOOP
        IF part.component = 'extension' AND schema IS NOT NULL THEN
            BEGIN
                below := documentdb_upgrade.compare_versions(part.to_version, schema) < 0;
            EXCEPTION WHEN invalid_parameter_value THEN
                below := NULL;
            END;
            IF below THEN
                -- The finalize that has left what the target can serve
                SELECT * INTO step FROM documentdb_upgrade.history h
                    WHERE h.extension = current_setting('documentdb_upgrade.extension') AND h.outcome = 'succeeded'
                      AND documentdb_upgrade.compare_versions(h.from_version, part.to_version) <= 0
                    ORDER BY h.id DESC LIMIT 1;
                way_out := concat_ws(', or ',
                    coalesce((SELECT format('backup "%s" of %s', b.label, b.finished_at)
                              FROM documentdb_upgrade.backups b
                              WHERE b.finished_at < step.started_at ORDER BY b.finished_at DESC LIMIT 1),
                             format('a backup from when the schema was %s or older', part.to_version)),
                    CASE WHEN step.restore_point IS NOT NULL
                         THEN format('a recovery to restore point "%s" (LSN %s, timeline %s)',
                                     step.restore_point, step.restore_lsn, step.restore_timeline) END);
                RAISE EXCEPTION 'binary "%" of release % is older than the installed schema "%"',
                        part.to_version, target, schema
                    USING ERRCODE = 'object_not_in_prerequisite_state',
                          DETAIL = 'A schema never goes back, and an older binary does not know it.',
                          HINT = 'The only way back is a restore into a new cluster: ' || way_out || '.';
            ELSIF below IS NULL THEN
                RAISE EXCEPTION 'release % does not state the version of its extension, which may be older than '
                                'the installed schema "%"', target, schema
                    USING ERRCODE = 'object_not_in_prerequisite_state',
                          HINT = 'Record the release with the key version beside an image by digest.';
            END IF;
        ELSIF part.component = 'postgres' AND substring(part.to_version FROM '^\d+')::numeric < major THEN
            RAISE EXCEPTION 'PostgreSQL "%" of release % cannot open a data directory of %',
                    part.to_version, target, major
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'A data directory belongs to one major version.',
                      HINT = format('The only way back is to restore a dump, or a backup that PostgreSQL %s has made, '
                                    'into a new cluster.', part.to_version);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION refuse_release(bigint, bigint, boolean) IS
'serves release plans: 55000 when the installed schema, or the data directory, forbids the target release, and what is '
'left then';

CREATE FUNCTION documentdb_upgrade_internal.release_steps(
                              source bigint, target bigint, backwards boolean, force boolean,
                              OUT step integer, OUT component text, OUT action text, OUT reason text,
                              OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    -- The instances restart one after the other.
    rolling interval := interval '1 minute'
        * (1 + (SELECT count(*) FROM documentdb_upgrade.standbys b WHERE b.depth = 1));
    annotate constant text := 'kubectl annotate clusters.postgresql.cnpg.io "$CLUSTER" --namespace '
        || coalesce(documentdb_upgrade_internal.shell_quote(
               nullif(current_setting('documentdb_upgrade.kubernetes_namespace', true), '')), '"$NAMESPACE"');
    part record;
    schema text := documentdb_upgrade.schema_version();
    pausing boolean;
    extension_to text;
    with_chart boolean;
    paused boolean := false;
BEGIN
    PERFORM documentdb_upgrade_internal.refuse_release(source, target, force);
    SELECT CASE WHEN backwards
                THEN count(*) > 1
                     AND bool_or(c.component IN ('gateway', 'extension', 'postgres', 'cnpg', 'sidecar_injector'))
                ELSE count(*) FILTER (WHERE c.component IN ('gateway', 'extension', 'postgres')) > 1 END,
           max(c.to_version) FILTER (WHERE c.component = 'extension'), bool_or(c.component = 'operator')
        INTO pausing, extension_to, with_chart
        FROM documentdb_upgrade.compare_releases(source, target) c WHERE force OR c.change <> 'unchanged';
    step := 0;

    IF backwards AND extension_to IS NOT NULL THEN
        step := step + 1;
        component := 'schema';
        action := format('psql -c %s', documentdb_upgrade_internal.shell_quote(format(
            'SELECT documentdb_upgrade.hold(''rollback from release %s to %s'')', source, target)));
        reason := 'A finalize before the old binary is back would make this rollback impossible.';
        risk := 'none';
        restarts_pods := false;
        expected_duration := interval '1 second';
        RETURN NEXT;
    END IF;

    FOR part IN
        SELECT c.*, CASE WHEN backwards
                THEN coalesce(array_position(ARRAY['sidecar_injector', 'operator', 'cnpg'], c.component), 5)
                ELSE coalesce(array_position(ARRAY['cnpg', 'operator', 'sidecar_injector'], c.component), 5)
                END AS place,
            c.component IN ('gateway', 'extension', 'postgres') AS in_pods
        FROM documentdb_upgrade.compare_releases(source, target) c
        WHERE force OR c.change <> 'unchanged'
        ORDER BY in_pods, place, array_position(ARRAY['gateway', 'extension', 'postgres'], c.component),
                 c.component COLLATE "C"
    LOOP
        -- One restart for everything, and after everything.
        IF pausing AND NOT paused AND (part.in_pods OR backwards) THEN
            paused := true;
            step := step + 1;
            component := 'cluster';
            action := annotate || ' cnpg.io/reconciliationLoop=disabled --overwrite';
            reason := CASE WHEN backwards
                THEN 'All images and charts must be set back before a pod restarts: a pod that restarts too early '
                     'still gets the newer ones.'
                ELSE 'So the pods restart only once, with all changes.' END;
            risk := 'medium: no failover until it is enabled again';
            restarts_pods := false;
            expected_duration := interval '1 second';
            RETURN NEXT;
        END IF;
        step := step + 1;
        component := part.component;
        action := documentdb_upgrade_internal.release_action(
            part.component, part.to_version, part.to_configuration, backwards);
        reason := CASE part.change
            WHEN 'unchanged' THEN format('unchanged since release %s; listed because all were asked for', source)
            WHEN 'added' THEN format('not part of release %s, %s in %s', source,
                                     coalesce(part.to_version, 'no version'), target)
            WHEN 'removed' THEN format('not part of release %s', target)
            ELSE CASE WHEN part.from_version IS DISTINCT FROM part.to_version
                      THEN format('%s in release %s, %s in %s', coalesce(part.from_version, 'no version'), source,
                                  coalesce(part.to_version, 'no version'), target)
                      ELSE format('configured differently in release %s', target) END END
            || CASE WHEN with_chart AND part.component IN ('cnpg', 'sidecar_injector')
                    THEN '; not needed where the operator''s chart brings it along' ELSE '' END;
        risk := CASE part.component
            WHEN 'cnpg' THEN 'medium: the instance manager of every pod is replaced, which restarts the pods unless it '
                             'is updated in place'
            WHEN 'operator' THEN CASE WHEN backwards
                THEN 'medium: CRDs stay as they are, and fields that the older operator does not know are ignored'
                ELSE 'medium: images that the resource does not name follow the defaults of the operator' END
            WHEN 'sidecar_injector' THEN 'low: it makes the gateway''s container of every pod that starts'
            WHEN 'gateway' THEN 'low: client connections end when the pod restarts'
            WHEN 'extension' THEN 'low: '
                || CASE WHEN part.to_configuration ? 'image' THEN ''
                        ELSE 'a gateway that the resource does not name goes to this version too; ' END
                || CASE WHEN backwards THEN format('the schema stays at %s', coalesce(schema, 'what it is'))
                        ELSE 'can be taken back until the schema is finalized' END
            WHEN 'postgres' THEN CASE
                WHEN split_part(coalesce(part.from_version, current_setting('server_version')), '.', 1)
                     <> split_part(part.to_version, '.', 1)
                THEN 'high: another major version, so pg_upgrade or a restore' ELSE 'low: a minor version' END
            ELSE 'unknown' END;
        restarts_pods := part.in_pods AND NOT paused OR part.component = 'cnpg' AND NOT paused
                         OR part.component = 'sidecar_injector' AND NOT paused;
        expected_duration := CASE WHEN part.in_pods AND paused THEN interval '1 second'
                                  WHEN restarts_pods AND NOT part.in_pods THEN interval '2 minutes' + rolling
                                  WHEN restarts_pods THEN rolling
                                  WHEN part.place < 5 THEN interval '2 minutes' END;
        RETURN NEXT;
    END LOOP;

    IF paused THEN
        step := step + 1;
        component := 'cluster';
        action := annotate || ' cnpg.io/reconciliationLoop-';
        reason := 'Lets the pods restart, standbys first, with all that was changed.';
        risk := 'medium: clients are disconnected while the primary restarts';
        restarts_pods := true;
        expected_duration := rolling;
        RETURN NEXT;
    END IF;

    IF backwards AND extension_to IS NOT NULL THEN
        step := step + 1;
        component := 'schema';
        action := format('psql -c %s', documentdb_upgrade_internal.shell_quote('SELECT documentdb_upgrade.release()'));
        reason := 'The older binary is back on every instance: ends the hold of the first step.';
        risk := 'low: with schemaVersion auto a later rollout finalizes again';
        restarts_pods := false;
        expected_duration := interval '1 second';
        RETURN NEXT;
    ELSIF NOT backwards AND extension_to IS NOT NULL AND schema IS NOT NULL
          AND documentdb_upgrade.compare_versions(extension_to, schema) > 0 THEN
        step := step + 1;
        component := 'schema';
        action := format('psql -c %s', documentdb_upgrade_internal.shell_quote(
            format('CALL documentdb_upgrade.run_finalize_to(%L)',
                   documentdb_upgrade.to_extension_version(extension_to))));
        reason := format('The schema is %s; the new one comes last, when the new binary has run on every instance '
                         'without trouble.', schema);
        risk := 'high: cannot be undone; rehearse it first';
        restarts_pods := false;
        expected_duration := (SELECT r.finished_at - r.started_at FROM documentdb_upgrade.rehearsals r
            WHERE r.outcome = 'passed' AND NOT r.scratch AND r.from_version = schema
              AND documentdb_upgrade.compare_versions(r.to_version, extension_to) = 0
            ORDER BY r.id DESC LIMIT 1);
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION release_steps(bigint, bigint, boolean, boolean) IS
'serves release_plan() and rollback_plan()';

CREATE FUNCTION release_plan(a bigint, b bigint,
                             OUT step integer, OUT component text, OUT action text, OUT reason text,
                             OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM documentdb_upgrade_internal.release_steps(a, b, false, false)
$$;
COMMENT ON FUNCTION release_plan(bigint, bigint) IS
'how to come from release a to b, one row per step: CloudNativePG, operator, sidecar injector, then what restarts with '
'the pods (gateway, extension, PostgreSQL), then the schema; changed components only, each with the command, why, the '
'risk, and how long it takes as far as that is known. 42704: no such release; 55000: what the installed schema forbids';

CREATE FUNCTION rollback_plan(a bigint, b bigint, force boolean DEFAULT false,
                              OUT step integer, OUT component text, OUT action text, OUT reason text,
                              OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM documentdb_upgrade_internal.release_steps(a, b, true, coalesce(force, false))
$$;
COMMENT ON FUNCTION rollback_plan(bigint, bigint, boolean) IS
'how to come back from release a to b, one row per step: a hold, charts and images, and only then the restart of the '
'pods; changed components, or with force all of them. 42704: no such release; 55000: the installed schema, or the data '
'directory, is newer than what release b brings, and the hint says what is left';

CREATE FUNCTION documentdb_upgrade_internal.error_counters() RETURNS jsonb
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('at', clock_timestamp(), 'stats_reset', d.stats_reset, 'deadlocks', d.deadlocks,
               'checksum_failures', coalesce(d.checksum_failures, 0), 'conflicts', d.conflicts,
               'sessions_fatal', d.sessions_fatal, 'sessions_killed', d.sessions_killed,
               'rolled_back', d.xact_rollback, 'started_at', pg_postmaster_start_time(),
               'last_attempt', (SELECT coalesce(max(h.id), 0) FROM documentdb_upgrade.history h))
    FROM pg_stat_database d WHERE d.datname = current_database()
$$;
COMMENT ON FUNCTION error_counters() IS
'serves verify_rollback(): counters of errors in this database, and the last attempt in history';

CREATE FUNCTION record_rollback(source bigint, target bigint, changed text[], skipped text[] DEFAULT '{}')
    RETURNS rollbacks
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    seen jsonb := documentdb_upgrade_internal.observed_release();
    named text[] := changed || skipped;
    problem text;
    parts jsonb;
    made documentdb_upgrade.releases;
    result documentdb_upgrade.rollbacks;
BEGIN
    IF changed IS NULL OR skipped IS NULL OR array_position(named, NULL) IS NOT NULL
       OR cardinality(named) <> (SELECT count(DISTINCT n) FROM unnest(named) n) THEN
        RAISE EXCEPTION 'components of a rollback must be given, each of them once'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF record_rollback.source = record_rollback.target THEN
        RAISE EXCEPTION 'source and target of a rollback must be two releases'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOCK TABLE documentdb_upgrade.releases IN SHARE ROW EXCLUSIVE MODE;
    problem := (SELECT min(n) FROM unnest(named) n WHERE n NOT IN (
        SELECT c.component FROM documentdb_upgrade.compare_releases(record_rollback.source, record_rollback.target) c));
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'component "%" is in neither release', problem
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    problem := (SELECT min(c.component)
                FROM documentdb_upgrade.compare_releases(record_rollback.source, record_rollback.target) c
                WHERE c.change <> 'unchanged' AND c.component <> ALL (named));
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'component "%" differs between the releases and is neither changed nor skipped', problem
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT * FROM documentdb_upgrade.compare_releases(source, target) shows what differs.';
    END IF;

    SELECT jsonb_object_agg(p.name, p.part) INTO parts
        FROM (SELECT c.component AS name,
                  CASE WHEN c.component = ANY (changed) THEN t.components ELSE s.components END -> c.component AS part
              FROM documentdb_upgrade.compare_releases(record_rollback.source, record_rollback.target) c,
                   documentdb_upgrade.releases s, documentdb_upgrade.releases t
              WHERE s.revision = record_rollback.source AND t.revision = record_rollback.target) p
        WHERE p.part IS NOT NULL;
    IF parts IS NULL THEN
        RAISE EXCEPTION 'nothing would be left of release %', record_rollback.source
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- In time to keep the releases that it refers to.
    INSERT INTO documentdb_upgrade.rollbacks (source, target, release, changed, skipped, baseline)
        VALUES (record_rollback.source, record_rollback.target, record_rollback.target,
                record_rollback.changed, record_rollback.skipped,
                documentdb_upgrade_internal.error_counters() || jsonb_build_object('observed', seen))
        RETURNING * INTO result;
    made := documentdb_upgrade_internal.add_release(parts, NULL,
        format('rollback %s: from %s to %s', result.id, record_rollback.source, record_rollback.target),
        seen, 'rollback');
    UPDATE documentdb_upgrade.rollbacks b SET release = made.revision WHERE b.id = result.id
        RETURNING * INTO result;
    RETURN result;
END
$$;
COMMENT ON FUNCTION record_rollback(bigint, bigint, text[], text[]) IS
'records that a rollback plan from the source release to the target was executed, with the components that were '
'reverted and those that were left though they differ, and the release that came of it; returns the row, whose id is '
'for verify_rollback(). 42704: no such release; 22023: a component that is in neither, in both lists, or differs and '
'is in none';

CREATE PROCEDURE run_record_rollback(source bigint, target bigint, changed text[], skipped text[] DEFAULT '{}',
                                     INOUT id bigint DEFAULT NULL)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    id := (documentdb_upgrade.record_rollback(source, target, changed, skipped)).id;
END
$$;
COMMENT ON PROCEDURE run_record_rollback(bigint, bigint, text[], text[], bigint) IS
'like record_rollback, for roles that a planner hook keeps out of SELECT; gives the id';

CREATE FUNCTION verify_rollback(id bigint, OUT "check" text, OUT status text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 12 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rollback documentdb_upgrade.rollbacks;
    planned jsonb;
    newest documentdb_upgrade.releases;
    seen jsonb;
    before jsonb;
    now jsonb;
    part record;
    instance record;
    says text;
BEGIN
    SELECT * INTO rollback FROM documentdb_upgrade.rollbacks b WHERE b.id = verify_rollback.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rollback % does not exist', verify_rollback.id
            USING ERRCODE = 'undefined_object';
    END IF;
    planned := (SELECT r.components FROM documentdb_upgrade.releases r WHERE r.revision = rollback.release);
    SELECT * INTO newest FROM documentdb_upgrade.releases r ORDER BY r.revision DESC LIMIT 1;
    before := (SELECT r.components FROM documentdb_upgrade.releases r WHERE r.revision = rollback.source);
    seen := documentdb_upgrade_internal.observed_release();

    -- Each component: what can be seen from here, else what was recorded since
    FOR part IN
        SELECT k.name, k.name = ANY (rollback.changed) AS reverted,
               documentdb_upgrade_internal.component_version(k.name, planned->k.name->'configuration') AS wanted,
               seen->k.name->>'version' AS found,
               newest.revision > rollback.release AS recorded,
               newest.components->k.name->>'sha256' IS NOT DISTINCT FROM planned->k.name->>'sha256' AS equal
        FROM (SELECT jsonb_object_keys(before) UNION SELECT jsonb_object_keys(planned)
              UNION SELECT unnest(rollback.changed)) AS k(name)
        ORDER BY k.name COLLATE "C"
    LOOP
        "check" := CASE WHEN part.reverted THEN 'changed ' ELSE 'untouched ' END || part.name;
        IF part.found IS NOT NULL AND NOT part.reverted THEN
            IF seen->part.name = rollback.baseline->'observed'->part.name THEN
                status := 'pass';
                detail := format('It is %s as when the rollback was recorded.', part.found);
            ELSE
                status := 'fail';
                says := rollback.baseline->'observed'->part.name->>'version';
                detail := format('It was %s when the rollback was recorded, and is %s%s.', says, part.found,
                                 CASE WHEN part.found = says THEN ' of another build' END);
            END IF;
        ELSIF part.found IS NOT NULL AND part.wanted IS NOT NULL THEN
            status := CASE WHEN documentdb_upgrade_internal.version_matches(part.found, part.wanted) THEN 'pass'
                           ELSE 'fail' END;
            detail := format('This server offers %s; planned is %s.', part.found, part.wanted);
            -- The same version can be another build.
            IF status = 'pass' AND planned->part.name->'configuration' ? 'library_sha256'
               AND planned->part.name->'configuration'->'library_sha256'
                   <> coalesce(seen->part.name->'library_sha256', 'null') THEN
                status := 'fail';
                detail := format('Its libraries differ from those of release %s, although the version is %s.',
                                 rollback.target, part.found);
            END IF;
        ELSIF part.recorded THEN
            status := CASE WHEN part.equal THEN 'pass' ELSE 'fail' END;
            detail := format(CASE WHEN part.equal THEN 'Release %s, recorded since, has it as planned.'
                                  ELSE 'Release %s, recorded since, has another configuration of it than planned.' END,
                             newest.revision);
        ELSE
            status := 'skip';
            detail := 'This server cannot see it: call record_release() with what is deployed now, then verify again.';
        END IF;
        RETURN NEXT;
    END LOOP;

    SELECT s.role, s.state, s.installed_version AS installed, s.binary_version AS offered,
           s.loaded_version AS loaded, s.next_step INTO instance
        FROM documentdb_upgrade.status s;
    "check" := 'loaded library';
    IF instance.loaded IS NULL OR instance.offered IS NULL THEN
        status := 'skip';
        detail := 'The extension has no function that tells the version of the library in memory.';
    ELSE
        status := CASE documentdb_upgrade.compare_versions(instance.loaded, instance.offered) WHEN 0 THEN 'pass'
                      ELSE 'fail' END;
        detail := format('In memory is %s, the files offer %s.', instance.loaded, instance.offered)
            || CASE status WHEN 'fail' THEN ' Restart the server.' ELSE '' END;
    END IF;
    RETURN NEXT;

    "check" := 'schema';
    IF instance.installed IS NULL OR instance.offered IS NULL THEN
        status := 'skip';
        detail := 'The main extension is not installed, or has no files.';
    ELSE
        status := CASE WHEN documentdb_upgrade.compare_versions(instance.installed, instance.offered) > 0 THEN 'fail'
                       ELSE 'pass' END;
        detail := format('The schema is %s, the binary %s.', instance.installed, instance.offered)
            || CASE status WHEN 'fail'
                    THEN ' The binary is too old for the schema: bring the newer one back, or restore.' ELSE '' END;
    END IF;
    RETURN NEXT;

    "check" := 'server';
    status := CASE WHEN instance.state IN ('failed', 'schema_ahead') THEN 'fail' ELSE 'pass' END;
    detail := format('It is a %s in state %s. %s', instance.role, instance.state, instance.next_step);
    RETURN NEXT;

    "check" := 'standbys';
    SELECT count(*), string_agg(format('%s: %s', b.name, coalesce(b.problem, b.status)), ' ' ORDER BY b.name)
                         FILTER (WHERE b.status <> 'ready') AS problems
        INTO part FROM documentdb_upgrade.standbys b WHERE b.required;
    status := CASE WHEN part.count = 0 THEN 'skip' WHEN part.problems IS NULL THEN 'pass' ELSE 'fail' END;
    detail := CASE WHEN part.count = 0 THEN 'There is none.'
                   ELSE coalesce(part.problems, format('All %s are ready.', part.count)) END;
    RETURN NEXT;

    "check" := 'history';
    SELECT string_agg(format('attempt %s %s: %s', h.id, h.outcome, coalesce(h.message, 'no message')), '; '
                      ORDER BY h.id)
        INTO says FROM documentdb_upgrade.history h
        WHERE h.id > (rollback.baseline->>'last_attempt')::bigint AND h.outcome IN ('failed', 'refused');
    status := CASE WHEN says IS NULL THEN 'pass' ELSE 'fail' END;
    detail := coalesce(says, 'No attempt has failed or was refused since then.');
    RETURN NEXT;

    "check" := 'errors';
    now := documentdb_upgrade_internal.error_counters();
    SELECT string_agg(format('%s %s', (now->>c.name)::bigint - (rollback.baseline->>c.name)::bigint, c.name), ', ')
        INTO says FROM (VALUES ('deadlocks'), ('checksum_failures'), ('conflicts'), ('sessions_fatal')) AS c(name)
        WHERE (now->>c.name)::bigint > (rollback.baseline->>c.name)::bigint;
    IF now->'stats_reset' IS DISTINCT FROM rollback.baseline->'stats_reset'
       OR EXISTS (SELECT FROM (VALUES ('deadlocks'), ('conflicts'), ('sessions_fatal'), ('rolled_back')) AS c(name)
                  WHERE (now->>c.name)::bigint < (rollback.baseline->>c.name)::bigint) THEN
        status := 'skip';
        detail := 'The statistics of this database were reset since then: look at the server''s log.';
    ELSE
        status := CASE WHEN says IS NULL THEN 'pass' ELSE 'fail' END;
        detail := format('%s in this database since %s, by pg_stat_database (deadlocks, checksum failures, conflicts '
                         'with recovery, sessions ended by a fatal error); %s transactions were rolled back, which may '
                         'be normal.',
            coalesce(says, 'Nothing'), rollback.baseline->>'at',
            (now->>'rolled_back')::bigint - (rollback.baseline->>'rolled_back')::bigint);
    END IF;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION verify_rollback(bigint) IS
'checks off a recorded rollback, one row per check: each component that was to change or to stay, the library in '
'memory, schema against binary, this server, its standbys, failed attempts and counters of errors since then; pass, '
'fail, or skip with the reason. 42704: no such rollback';

--
-- Compatibility
--

CREATE TABLE compatibility (
    component text NOT NULL,
    version text NOT NULL,
    other text NOT NULL CHECK (other <> component),
    other_version text NOT NULL,
    works boolean NOT NULL DEFAULT true,
    note text,
    source text NOT NULL CHECK (source <> ''),
    builtin boolean NOT NULL DEFAULT false,
    PRIMARY KEY (component, version, other, other_version, builtin)
);
COMMENT ON TABLE compatibility IS 'which versions of two components go together, and who says so; add rows of your own';
COMMENT ON COLUMN compatibility.component IS
'operator, gateway, postgres, extension, sidecar_injector, cnpg, ferretdb, kubernetes or another name';
COMMENT ON COLUMN compatibility.version IS 'as version_matches() takes it: 1.28, 14..18, 1.35..';
COMMENT ON COLUMN compatibility.other IS 'the component that it is about';
COMMENT ON COLUMN compatibility.other_version IS 'like version';
COMMENT ON COLUMN compatibility.works IS 'false: known not to work, which counts more than any row that says it does';
COMMENT ON COLUMN compatibility.note IS 'for people';
COMMENT ON COLUMN compatibility.source IS 'where it is written';
COMMENT ON COLUMN compatibility.builtin IS 'shipped with this extension';

SELECT pg_catalog.pg_extension_config_dump('compatibility', 'WHERE NOT builtin');

-- Released pairs alone, each as its source has it.
INSERT INTO compatibility (component, version, other, other_version, works, note, source, builtin)
SELECT *, true FROM (VALUES
    ('ferretdb', '2.0.0', 'extension', '0.102.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.102.0-ferretdb-2.0.0'),
    ('ferretdb', '2.1.0', 'extension', '0.102.0', true, 'no update in place to it from earlier ones',
     'https://github.com/FerretDB/documentdb/releases/tag/v0.102.0-ferretdb-2.1.0'),
    ('ferretdb', '2.2.0', 'extension', '0.103.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.103.0-ferretdb-2.2.0'),
    ('ferretdb', '2.3.0', 'extension', '0.104.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.104.0-ferretdb-2.3.0'),
    ('ferretdb', '2.3.1', 'extension', '0.104.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.104.0-ferretdb-2.3.0'),
    ('ferretdb', '2.4.0', 'extension', '0.105.0', true, 'update the extension first',
     'https://github.com/FerretDB/documentdb/releases/tag/v0.105.0-ferretdb-2.4.0'),
    ('ferretdb', '2.5.0', 'extension', '0.106.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.106.0-ferretdb-2.5.0'),
    ('ferretdb', '2.7.0', 'extension', '0.107.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.107.0-ferretdb-2.7.0'),
    ('operator', '0.1.3', 'cnpg', '1.28.0', true, 'its chart depends on chart 0.27.0',
     'documentdb/documentdb-kubernetes-operator: index.yaml at gh-pages, with CHANGELOG.md '
     '(chart 0.27.0 is app 1.28.0)'),
    ('operator', '0.2.0', 'cnpg', '1.28.0', true, 'its chart depends on chart 0.27.0',
     'documentdb/documentdb-kubernetes-operator: index.yaml at gh-pages, with CHANGELOG.md '
     '(chart 0.27.0 is app 1.28.0)'),
    ('operator', '0.3.0', 'cnpg', '1.29.1', true, 'its chart depends on chart 0.28.1',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.3.0'),
    ('operator', '0.2.0', 'extension', '0.109.0', true, 'its default',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0, and operator/src/internal/utils/constants.go'),
    ('operator', '0.2.0', 'gateway', '0.109.0', true, 'its default',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0, and operator/src/internal/utils/constants.go'),
    ('operator', '0.2.0', 'postgres', '18', true, 'its default image is 18-minimal-trixie',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0'),
    ('operator', '0.2.0', 'kubernetes', '1.35..', true, 'needs image volumes',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0'),
    ('operator', '0.3.0', 'extension', '0.110.0', true, 'its default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'extension', '1.0.0', true, 'its default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'kubernetes', '1.33..', true, 'before 1.35 with the feature gate ImageVolume',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('extension', '0.113.0', 'postgres', '18.6', false, 'inserts crash; fixed in 0.116.0',
     'https://github.com/documentdb/documentdb-kubernetes-operator/pull/459'),
    ('extension', '0.101..', 'postgres', '17', true, NULL,
     'documentdb/documentdb: CHANGELOG.md, v0.101-0'),
    ('extension', '0.108..', 'postgres', '18', true, NULL,
     'documentdb/documentdb: CHANGELOG.md, v0.108-0'),
    ('cnpg', '1.25', 'postgres', '13..17', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.26', 'postgres', '13..17', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.27', 'postgres', '13..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.28', 'postgres', '14..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.25', 'kubernetes', '1.29..1.32', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.26', 'kubernetes', '1.30..1.33', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.27', 'kubernetes', '1.31..1.33', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.28', 'kubernetes', '1.32..1.34', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28')) AS v;

CREATE FUNCTION check_compatibility(components jsonb,
                                    OUT component text, OUT version text, OUT other text, OUT other_version text,
                                    OUT status text, OUT detail text, OUT source text)
    RETURNS SETOF record
    LANGUAGE sql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH part AS MATERIALIZED (
        SELECT c.key AS name, c.value->'configuration' AS configuration
        FROM jsonb_each(documentdb_upgrade_internal.release_components(components)) c
    ), tag AS (
        SELECT t.extension, t.ferretdb FROM part p,
            LATERAL documentdb_upgrade_internal.image_versions(
                coalesce(p.configuration->>'image', p.configuration->>'version')) t
        WHERE p.name = 'postgres'
    ), stated AS (
        SELECT p.name, documentdb_upgrade_internal.component_version(p.name, p.configuration) AS number, false AS of_tag
        FROM part p
        UNION ALL SELECT 'extension', extension, true FROM tag WHERE extension IS NOT NULL
        UNION ALL SELECT 'ferretdb', ferretdb, true FROM tag WHERE ferretdb IS NOT NULL
    ), given AS MATERIALIZED (
        SELECT DISTINCT ON (s.name) s.name, s.number FROM stated s WHERE s.number IS NOT NULL ORDER BY s.name, s.of_tag
    ), fact AS (
        -- Each row of the matrix from both sides
        SELECT m.component AS name, m.version AS pattern, m.other, m.other_version AS other_pattern,
               m.works, m.note, m.source
        FROM documentdb_upgrade.compatibility m
        UNION ALL
        SELECT m.other, m.other_version, m.component, m.version, m.works, m.note, m.source
        FROM documentdb_upgrade.compatibility m
    ), pair AS (
        SELECT a.name, a.number, b.name AS other, b.number AS other_number, f.*
        FROM given a JOIN given b ON a.name < b.name,
        LATERAL (SELECT (array_agg(f.source ORDER BY f.source) FILTER (WHERE hit AND NOT f.works))[1] AS against,
                        (array_agg(f.note ORDER BY f.source) FILTER (WHERE hit AND NOT f.works))[1] AS against_note,
                        (array_agg(f.source ORDER BY f.source) FILTER (WHERE hit AND f.works))[1] AS in_favour,
                        string_agg(format('%s %s with %s %s', f.name, f.pattern, f.other, f.other_pattern), ', '
                                   ORDER BY f.pattern, f.other_pattern) FILTER (WHERE f.works) AS known,
                        (array_agg(f.source ORDER BY f.source) FILTER (WHERE f.works))[1] AS known_source
                 FROM (SELECT f.*, documentdb_upgrade_internal.version_matches(a.number, f.pattern)
                                   AND documentdb_upgrade_internal.version_matches(b.number, f.other_pattern) AS hit
                       FROM fact f WHERE f.name = a.name AND f.other = b.name
                         AND (documentdb_upgrade_internal.version_matches(a.number, f.pattern)
                              OR documentdb_upgrade_internal.version_matches(b.number, f.other_pattern))) f) f
    )
    SELECT p.name, p.number, p.other, p.other_number,
           CASE WHEN p.against IS NOT NULL THEN 'incompatible' WHEN p.in_favour IS NOT NULL THEN 'compatible'
                WHEN p.known IS NOT NULL THEN 'untested' ELSE 'unknown' END,
           CASE WHEN p.against IS NOT NULL THEN concat_ws(': ', 'known not to work', p.against_note)
                WHEN p.in_favour IS NOT NULL THEN 'listed together'
                WHEN p.number !~ '^[vV]?\d' OR p.other_number !~ '^[vV]?\d'
                THEN concat_ws(' and ',
                         CASE WHEN p.number !~ '^[vV]?\d' THEN format('"%s" of %s', p.number, p.name) END,
                         CASE WHEN p.other_number !~ '^[vV]?\d' THEN format('"%s" of %s', p.other_number, p.other) END)
                     || ': no version that can be compared'
                WHEN p.known IS NOT NULL THEN 'the matrix has ' || p.known || ', and not these'
                ELSE 'the matrix has nothing about them' END,
           coalesce(p.against, p.in_favour, p.known_source)
    FROM pair p
    UNION ALL
    SELECT t.name, p.number, 'postgres', t.number, 'incompatible',
           format('the image of PostgreSQL brings %s %s, the release says %s', t.name, t.number, p.number), NULL
    FROM stated t JOIN stated p ON p.name = t.name AND NOT p.of_tag
    WHERE t.of_tag AND NOT documentdb_upgrade_internal.version_matches(p.number, t.number)
    UNION ALL
    SELECT g.name, NULL, 'all', NULL, 'unknown', 'no version is stated', NULL
    FROM part g WHERE NOT EXISTS (SELECT FROM given v WHERE v.name = g.name)
    UNION ALL
    SELECT 'unified', CASE WHEN u.aligned THEN u.first END, 'all', NULL,
           CASE WHEN u.aligned THEN 'compatible' ELSE 'untested' END,
           CASE WHEN u.aligned THEN 'one version for ' || u.names ELSE 'not one version: ' || u.names END, NULL
    FROM (SELECT min(g.number) AS first, count(*) AS n,
                 bool_and(documentdb_upgrade_internal.version_matches(g.number, f.number)) AS aligned,
                 CASE WHEN bool_and(documentdb_upgrade_internal.version_matches(g.number, f.number))
                      THEN string_agg(g.name, ', ' ORDER BY g.name)
                      ELSE string_agg(g.name || ' ' || g.number, ', ' ORDER BY g.name) END AS names
          FROM given g, (SELECT g2.number FROM given g2
                         WHERE g2.name IN ('operator', 'gateway', 'extension', 'sidecar_injector')
                         ORDER BY g2.name LIMIT 1) f
          WHERE g.name IN ('operator', 'gateway', 'extension', 'sidecar_injector')) u
    WHERE u.n > 1
    ORDER BY 1, 3
$$;
COMMENT ON FUNCTION check_compatibility(jsonb) IS
'one row per pair of the components, as record_release() takes them: compatible, incompatible, untested (the matrix '
'has other partners of one of them) or unknown, with who says so; a row unified for whether operator, gateway, '
'extension and sidecar injector are of one version. The tag of a PostgreSQL image such as 16.3-v1.3.0 is taken apart. '
'22023 for malformed components';

CREATE FUNCTION classify("from" text, "to" text, component text DEFAULT 'extension',
                         OUT kind text, OUT risk text, OUT strategy text, OUT evidence text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    direction integer := documentdb_upgrade.compare_versions("from", "to");
    a text[] := string_to_array(documentdb_upgrade.to_semver(substring("from" FROM '^v?\d+(?:[.-]\d+)*')), '.');
    b text[] := string_to_array(documentdb_upgrade.to_semver(substring("to" FROM '^v?\d+(?:[.-]\d+)*')), '.');
    schema text := documentdb_upgrade.schema_version();
    rehearsed documentdb_upgrade.rehearsals;
    class text;
    removed bigint := 0;
    taken bigint := 0;
BEGIN
    IF "from" IS NULL OR "to" IS NULL OR component IS NULL THEN
        RAISE EXCEPTION 'versions and component must be given'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    risk := 'unknown';
    strategy := 'unknown';
    IF direction = 0 THEN
        kind := 'none';
        risk := 'none';
        strategy := 'none';
        evidence := 'It is the same version.';
        RETURN;
    END IF;

    IF component = 'postgres' THEN
        kind := CASE WHEN a[1] = b[1] THEN 'minor' ELSE 'major' END;
        IF kind = 'major' AND direction > 0 THEN
            risk := 'impossible';
            strategy := 'restore';
            evidence := 'A data directory belongs to one major version: only a dump or a restore leads to an older '
                        'one.';
        ELSIF kind = 'major' THEN
            risk := 'high';
            strategy := 'blue-green';
            evidence := 'The system catalogs differ: use pg_upgrade while the server is stopped, or a new cluster '
                        'beside the old one. The extensions must exist for both versions.';
        ELSE
            risk := CASE WHEN direction > 0 THEN 'medium' ELSE 'low' END;
            strategy := 'in place';
            evidence := 'Minor releases of PostgreSQL share the data directory''s format: restart each instance, '
                        'standbys first; read the release notes'
                || CASE WHEN direction > 0 THEN ', for going back too.' ELSE '.' END;
        END IF;
        RETURN;
    END IF;

    kind := CASE WHEN a[1] <> b[1] THEN 'breaking' WHEN a[2] <> b[2] THEN 'feature' ELSE 'patch' END;
    evidence := format('By the version step, %s is %s.', "from" || ' to ' || "to",
                       CASE kind WHEN 'breaking' THEN 'a major one' WHEN 'feature' THEN 'a minor one'
                                 ELSE 'a patch' END);
    IF "from" ~* '^v?\d+([.-]\d+)*[-.~]?(rc|alpha|beta|pre|dev)' THEN
        evidence := evidence || ' The first is a pre-release: there may be no update from it.';
    END IF;
    IF component <> 'extension' THEN
        evidence := evidence || ' Nothing more is known about ' || component || ' here.';
        RETURN;
    END IF;
    IF direction > 0 THEN
        risk := CASE WHEN schema IS NULL OR documentdb_upgrade.compare_versions("to", schema) < 0 THEN 'impossible'
                     ELSE 'medium' END;
        strategy := CASE risk WHEN 'impossible' THEN 'restore' ELSE 'in place' END;
        evidence := evidence || CASE WHEN schema IS NULL THEN ' A schema never goes back.'
            ELSE format(' The installed schema is %s, and never goes back; a binary can, down to it.', schema) END;
        RETURN;
    END IF;

    -- What a rehearsal has seen counts more than what scripts look like.
    SELECT * INTO rehearsed FROM documentdb_upgrade.rehearsals r
        WHERE r.extension = current_setting('documentdb_upgrade.extension') AND r.outcome <> 'refused'
          AND documentdb_upgrade.compare_versions(r.from_version, "from") = 0
          AND documentdb_upgrade.compare_versions(r.to_version, "to") = 0
        ORDER BY r.scratch, r.id DESC LIMIT 1;
    IF FOUND THEN
        class := CASE rehearsed.outcome WHEN 'passed' THEN coalesce(rehearsed.risk, 'functions only') ELSE 'failed' END;
        SELECT coalesce(sum(jsonb_array_length(s->'removed')), 0),
               coalesce(sum((SELECT count(*) FROM jsonb_array_elements(s->'changed') c
                             WHERE jsonb_array_length(c->'revoked') > 0)), 0)
            INTO removed, taken FROM jsonb_array_elements(rehearsed.report->'steps') s;
        evidence := evidence || format(' Rehearsal %s %s: heaviest risk class "%s", %s object(s) removed, privileges '
                                       'taken from %s.',
            rehearsed.id, rehearsed.outcome, coalesce(rehearsed.risk, 'none'), removed, taken);
        -- Who uses what is gone finds it broken, whatever the version says.
        IF removed > 0 OR taken > 0 THEN
            kind := 'breaking';
        END IF;
    ELSIF schema IS NOT NULL AND documentdb_upgrade.compare_versions(schema, "from") = 0 THEN
        SELECT p.risk INTO class FROM documentdb_upgrade.plan("to") p
            ORDER BY array_position(
                '{unknown, cluster-wide, data tables, privileges, catalogue, functions only}'::text[], p.risk)
            LIMIT 1;
        IF class IS NOT NULL THEN
            evidence := evidence || format(' The scripts look like "%s"; a rehearsal would know.', class);
        END IF;
    END IF;
    CASE class
    WHEN 'functions only', 'catalogue' THEN
        risk := 'low';
        strategy := 'in place';
    WHEN 'privileges' THEN
        risk := 'medium';
        strategy := 'in place';
    WHEN 'data tables', 'cluster-wide' THEN
        risk := CASE class WHEN 'data tables' THEN 'high' ELSE 'medium' END;
        strategy := 'staged';
    WHEN 'failed' THEN
        risk := 'high';
        strategy := 'blue-green';
    ELSE
        evidence := evidence || ' Neither scripts nor a rehearsal say more.';
    END CASE;
    IF kind = 'breaking' AND risk = 'low' THEN
        risk := 'medium';
    END IF;
    IF kind = 'breaking' AND strategy = 'in place' THEN
        strategy := 'staged';
    END IF;
END
$$;
COMMENT ON FUNCTION classify(text, text, text) IS
'what kind of step it is from one version to another: patch, feature or breaking, of component postgres minor or '
'major; risk, strategy (in place, staged, blue-green; restore where there is no way), and the evidence: the last '
'rehearsal of that step, else the scripts when the step starts at the installed version, else nothing but the version '
'step, and risk and strategy are unknown; malformed versions raise 22023';

--
-- Reports on health, before and after an upgrade
--

CREATE FUNCTION documentdb_upgrade_internal.health_tables() RETURNS SETOF oid
    LANGUAGE sql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
    WITH member AS (
        SELECT d.classid, d.objid
        FROM documentdb_upgrade.versions v JOIN pg_extension e ON e.extname = v.extension
        JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e')
    SELECT c.oid FROM pg_class c
    WHERE c.relkind IN ('r', 'm', 'p')
      AND (c.oid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass)
           OR c.relnamespace IN (SELECT objid FROM member WHERE classid = 'pg_namespace'::regclass))
$$;
COMMENT ON FUNCTION health_tables() IS
'serves the reports: tables that are members of the managed extensions, or lie in their schemas';

CREATE FUNCTION documentdb_upgrade_internal.health_part(part text, OUT check_name text, OUT status text,
                                                        OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 3 SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    main constant text := (SELECT w.extension FROM documentdb_upgrade_internal.worker_counters() w);
    longest constant interval := coalesce(current_setting('documentdb_upgrade.attempt_timeout', true), '5min');
    own record;
BEGIN
    CASE part
    WHEN 'versions' THEN
        SELECT v.installed_version, v.binary_version, d.decision, d.reason INTO own
            FROM documentdb_upgrade.versions v,
                 LATERAL documentdb_upgrade.decide('', v.installed_version, v.binary_version) d
            WHERE v.extension = main;
        RETURN QUERY
            SELECT part, CASE WHEN own.decision IN ('not_installed', 'refuse', 'schema_ahead') THEN 'fail'
                              ELSE 'pass' END,
                   string_agg(format('%s: installed %s, binary %s%s', v.extension,
                                     coalesce(v.installed_version, 'none'), coalesce(v.binary_version, 'none'),
                                     ', loaded ' || v.loaded_version), '; ')
                   || format('; PostgreSQL %s.', current_setting('server_version')),
                   CASE WHEN own.installed_version IS NULL THEN format('Run CREATE EXTENSION %I;', main)
                        WHEN own.binary_version IS NULL THEN 'Put the extension''s control file and scripts in place.'
                        WHEN own.decision = 'refuse' THEN own.reason
                        ELSE format('Bring back a binary of %s or later.', own.installed_version) END
            FROM documentdb_upgrade.versions v;

    WHEN 'state' THEN
        RETURN QUERY
            SELECT part, CASE WHEN s.state IN ('failed', 'blocked', 'schema_ahead', 'not_installed') THEN 'fail'
                              WHEN s.state IN ('up_to_date', 'update_available', 'standby') THEN 'pass' ELSE 'warn' END,
                   concat_ws(' ', s.state || '.', s.next_step, CASE WHEN s.worker_pid IS NULL AND s.source <> 'setting'
                       THEN format('No worker runs here to read source "%s".', s.source) END), NULL
            FROM documentdb_upgrade.status s;

    WHEN 'gate' THEN
        RETURN QUERY
            SELECT part, CASE WHEN v.differs IS NULL THEN 'skip' WHEN v.differs THEN 'fail' ELSE 'pass' END,
                   CASE WHEN v.differs IS NULL
                        THEN 'The library keeps no version in force, or reads it at its next use.'
                        ELSE format('Version %s is in force, %s is installed.', v.gate, v.installed_version) END,
                   'The worker refreshes it within poll_interval where it runs; else restart PostgreSQL.'
            FROM (SELECT *, documentdb_upgrade.compare_versions(gate, installed_version) <> 0 AS differs
                  FROM documentdb_upgrade.versions WHERE extension = main) v;

    -- What guards know: before an upgrade, and what of it counts after one.
    WHEN 'guards', 'guards_after' THEN
        RETURN QUERY
            WITH guard AS MATERIALIZED (
                SELECT g.* FROM documentdb_upgrade.preflight(
                    CASE part WHEN 'guards_after' THEN documentdb_upgrade.schema_version() END) g)
            SELECT part, CASE WHEN bool_or(g.status = 'fail') THEN 'fail' WHEN bool_or(g.status = 'warn') THEN 'warn'
                              ELSE 'pass' END,
                   format('%s guards: %s refuse%s, %s warn%s.', count(*), count(*) FILTER (WHERE g.status = 'fail'),
                          ' (' || string_agg(g.guard, ', ') FILTER (WHERE g.status = 'fail') || ')',
                          count(*) FILTER (WHERE g.status = 'warn'),
                          ' (' || string_agg(g.guard, ', ') FILTER (WHERE g.status = 'warn') || ')'),
                   'SELECT * FROM documentdb_upgrade.preflight() says why, and what to do.'
            FROM guard g HAVING part = 'guards'
            UNION ALL
            SELECT r.name, g.status, g.detail, g.hint
            FROM guard g JOIN (VALUES ('library', 'library_loaded', true), ('disk_headroom', 'disk_headroom', true),
                                      ('members_intact', 'members_intact', false),
                                      ('event_triggers', 'event_triggers', true),
                                      ('blocking_sessions', 'blocking_sessions', false),
                                      ('backup', 'backup_recent', false),
                                      ('replication_lag', 'replication_lag', true))
                              AS r(name, guard, after) USING (guard)
            WHERE (part = 'guards' OR r.after) AND NOT (guard = 'replication_lag' AND pg_is_in_recovery());

    -- The guard has nothing to say when there is nothing to upgrade.
    WHEN 'members_intact' THEN
        RETURN QUERY
            WITH recorded AS MATERIALIZED (
                SELECT d.extension, d.kind, d.identity, d.digest
                FROM documentdb_upgrade.member_digests d
                JOIN pg_extension e ON e.extname = d.extension AND e.extversion = d.version
                WHERE d.server_release = current_setting('server_version_num')::integer / 10000
            ), present AS (
                SELECT r.extension, m.kind, m.identity, m.digest
                FROM (SELECT DISTINCT extension FROM recorded) r, documentdb_upgrade.member_definitions(r.extension) m
            ), differing AS (
                SELECT format('%s %s (%s)', kind, identity,
                              CASE WHEN p.digest IS NULL THEN 'missing' WHEN r.digest IS NULL THEN 'added'
                                   ELSE 'altered' END) AS what
                FROM recorded r FULL JOIN present p USING (extension, kind, identity)
                WHERE r.digest IS DISTINCT FROM p.digest)
            SELECT part, CASE WHEN NOT EXISTS (SELECT FROM recorded) THEN 'skip' WHEN count(*) > 0 THEN 'warn'
                              ELSE 'pass' END,
                   CASE WHEN NOT EXISTS (SELECT FROM recorded)
                        THEN 'No finalize has recorded the members of the installed versions.'
                        WHEN count(*) > 0 THEN format('%s members are not what the last finalize left: %s%s.', count(*),
                            string_agg(d.what, ', ' ORDER BY d.what) FILTER (WHERE d.n <= 5),
                            CASE WHEN count(*) > 5 THEN ' and others' END)
                        ELSE 'All members are as the last finalize left them.' END,
                   'Undo the change, or keep it knowingly: the next upgrade may fail on it or undo it.'
            FROM (SELECT what, row_number() OVER (ORDER BY what) AS n FROM differing) d;

    WHEN 'standbys' THEN
        RETURN QUERY
            SELECT part, CASE WHEN bool_or(b.required AND b.status <> 'ready') THEN 'fail' ELSE 'pass' END,
                   CASE WHEN count(*) = 0 THEN 'No standby is below this server.'
                        ELSE format('%s of %s standbys are ready; they see %s.%s',
                                    count(*) FILTER (WHERE b.required AND b.status = 'ready'),
                                    count(*) FILTER (WHERE b.required),
                                    coalesce(string_agg(DISTINCT b.installed_version, ', '), 'nothing'),
                                    ' ' || string_agg(b.problem, ' ' ORDER BY b.name)
                                               FILTER (WHERE b.required AND b.status <> 'ready')) END,
                   'docs/fleet.md says what each status means; a standby that the upgrade need not wait for can be '
                   'named in documentdb_upgrade.ignore_standbys.'
            FROM documentdb_upgrade.standbys b;

    WHEN 'slots' THEN
        RETURN QUERY
            SELECT part, CASE WHEN bool_or(s.wal_status = 'lost') THEN 'fail'
                              WHEN bool_or(NOT s.active OR s.wal_status = 'unreserved') THEN 'warn' ELSE 'pass' END,
                   coalesce(string_agg(format('%s (%s): %s, %s of WAL kept, %s', s.slot_name, s.slot_type,
                                CASE WHEN s.active THEN 'active' ELSE 'inactive' END,
                                coalesce(pg_size_pretty(pg_wal_lsn_diff(s.here, s.restart_lsn)), 'no amount'),
                                coalesce(s.wal_status, 'no status')), '; ' ORDER BY s.active, s.slot_name) || '.',
                            'There are no replication slots.'),
                   CASE WHEN bool_or(s.wal_status = 'lost')
                        THEN 'Rebuild the standby or subscriber of a lost slot, and drop the slot.'
                        ELSE 'Start the receiver of an inactive slot, or drop the slot with '
                             'pg_drop_replication_slot(): it keeps WAL and old rows.' END
            FROM (SELECT r.*, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                   ELSE pg_current_wal_lsn() END AS here
                  FROM pg_replication_slots r
                  -- Column synced is of 17.
                  WHERE NOT r.temporary AND coalesce(to_jsonb(r)->>'synced', 'false') <> 'true') s;

    WHEN 'replay' THEN
        RETURN QUERY
            SELECT 'replication_lag', CASE WHEN r.bytes > 0 THEN 'warn' ELSE 'pass' END,
                   format('This standby has %s to replay of what it has received.',
                          coalesce(pg_size_pretty(r.bytes), 'an unknown amount')),
                   'Look at pg_get_wal_replay_pause_state(), and at queries that replay waits for.'
            FROM (SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS bytes) r
            WHERE pg_is_in_recovery();

    WHEN 'invalid_indexes' THEN
        RETURN QUERY
            SELECT part, CASE WHEN bool_or(NOT i.building) THEN 'fail' WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
                   coalesce('Not usable: '
                        || string_agg(i.name || CASE WHEN i.building THEN ' (being built)' ELSE '' END, ', '
                                      ORDER BY i.n) FILTER (WHERE i.n <= 20)
                        || CASE WHEN count(*) > 20 THEN format(' and %s others', count(*) - 20) ELSE '' END || '.',
                        'All indexes of this database are valid.'),
                   CASE WHEN bool_or(NOT i.building)
                        THEN 'Run REINDEX INDEX CONCURRENTLY, or drop the index; a unique index ensures nothing until '
                             'then.'
                        ELSE 'Wait until they have been built.' END
            FROM (SELECT x.indexrelid::regclass::text AS name,
                         row_number() OVER (ORDER BY x.indexrelid::regclass::text) AS n,
                         EXISTS (SELECT FROM pg_stat_progress_create_index p
                                 WHERE p.index_relid = x.indexrelid) AS building
                  FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
                  WHERE NOT (x.indisvalid AND x.indisready) AND c.relpersistence <> 't') i;

    WHEN 'unvalidated_constraints' THEN
        RETURN QUERY
            SELECT part, 'pass',
                   coalesce('Declared NOT VALID, for information: '
                        || string_agg(format('%s of %s', c.conname, c.conrelid::regclass), ', '
                                      ORDER BY c.conrelid::regclass::text, c.conname)
                        || '. ALTER TABLE ... VALIDATE CONSTRAINT checks the rows that were there before.',
                        'All constraints of this database are validated.'), NULL
            FROM (SELECT k.conname, k.conrelid FROM pg_constraint k
                  -- Since 18 there are some that are never enforced.
                  WHERE NOT k.convalidated AND k.conrelid <> 0
                    AND coalesce(to_jsonb(k)->>'conenforced', 'true') = 'true'
                  ORDER BY k.oid LIMIT 20) c;

    WHEN 'disabled_triggers' THEN
        RETURN QUERY
            SELECT part, CASE WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
                   coalesce('Disabled: ' || string_agg(format('%s of %s', t.tgname, t.tgrelid::regclass), ', '
                                                       ORDER BY t.tgname) || '.',
                            'No trigger on a table of the managed extensions is disabled.'),
                   'Run ALTER TABLE ... ENABLE TRIGGER, unless the trigger is disabled on purpose.'
            FROM documentdb_upgrade_internal.health_tables() AS m(relation)
            JOIN pg_trigger t ON t.tgrelid = m.relation AND t.tgenabled = 'D';

    WHEN 'failed_jobs' THEN
        -- pg_cron may be absent, so nothing of it is named before this.
        IF to_regclass('cron.job_run_details') IS NULL THEN
            RETURN QUERY SELECT part, 'skip', 'pg_cron is not in this database, or keeps no record of its runs.', NULL;
        ELSE
            RETURN QUERY
                SELECT part, CASE WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
                       CASE WHEN count(*) = 0 THEN 'No run has failed within 24 hours.'
                            ELSE format('%s runs have failed within 24 hours, the last one of job %s: %s', count(*),
                                        (array_agg(d.jobid ORDER BY d.runid DESC))[1],
                                        (array_agg(d.return_message ORDER BY d.runid DESC))[1]) END
                       || CASE WHEN row_security_active('cron.job_run_details')
                               THEN ' Only runs of your own role can be seen.' ELSE '' END,
                       'SELECT * FROM cron.job_run_details WHERE status = ''failed'' ORDER BY runid DESC says why.'
                FROM cron.job_run_details d
                WHERE d.status = 'failed' AND coalesce(d.end_time, d.start_time, now()) > now() - interval '24 hours';
        END IF;

    WHEN 'connections' THEN
        RETURN QUERY
            SELECT part, CASE WHEN c.used >= 0.95 * c.most THEN 'fail' WHEN c.used >= 0.8 * c.most THEN 'warn'
                              ELSE 'pass' END,
                   format('%s of %s connections are in use.', c.used, c.most),
                   'Keep some free for the upgrade and for you: close idle ones, or raise max_connections (restart).'
            FROM (SELECT count(*) AS used, current_setting('max_connections')::integer AS most
                  FROM pg_stat_activity WHERE backend_type = 'client backend') c;

    WHEN 'idle_in_transaction', 'long_transactions' THEN
        RETURN QUERY
            SELECT part, CASE WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
                   coalesce('Process ' || string_agg(format('%s (%s, database %s, for %s s)', a.pid,
                                coalesce(a.usename, a.backend_type), coalesce(a.datname, 'none'),
                                round(extract(epoch FROM clock_timestamp() - a.xact_start))),
                                ', ' ORDER BY a.xact_start) || '.',
                            CASE part
                                 WHEN 'long_transactions' THEN format('No transaction is older than %s.', longest)
                                 ELSE format('No session has been idle in a transaction for longer than %s.', longest)
                                 END),
                   CASE part WHEN 'long_transactions'
                        THEN 'Wait for it, or end it with pg_terminate_backend(pid): it keeps locks and old rows.'
                        ELSE 'Have it commit, or end it with pg_terminate_backend(pid).' END
            FROM pg_stat_activity a
            WHERE a.pid <> pg_backend_pid() AND a.backend_type NOT IN ('walsender', 'autovacuum worker')
              AND a.xact_start < clock_timestamp() - longest
              AND (part = 'long_transactions'
                   OR a.state LIKE 'idle in transaction%' AND a.state_change < clock_timestamp() - longest);

    WHEN 'prepared_transactions' THEN
        RETURN QUERY
            SELECT part, CASE WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
                   coalesce(string_agg(format('%L of database %s since %s', x.gid, x.database,
                                              date_trunc('second', x.prepared)), ', ' ORDER BY x.prepared) || '.',
                            'There are no prepared transactions.'),
                   'Run COMMIT PREPARED or ROLLBACK PREPARED: they keep their locks over restarts.'
            FROM pg_prepared_xacts x;

    WHEN 'wraparound' THEN
        -- Vacuum turns to emergency measures at the failsafe ages, which it
        -- raises to 105 % of the others.
        RETURN QUERY
            SELECT part, CASE WHEN bool_or(a.age > greatest(a.failsafe, 1.05 * a.freeze)) THEN 'fail'
                              WHEN bool_or(a.age > 2.0 * a.freeze) THEN 'warn' ELSE 'pass' END,
                   format('The oldest transaction id is %s old and the oldest multixact id %s; %s and %s are left.',
                          max(a.age) FILTER (WHERE a.of = 'xid'), max(a.age) FILTER (WHERE a.of = 'mxid'),
                          2147483647 - max(a.age) FILTER (WHERE a.of = 'xid'),
                          2147483647 - max(a.age) FILTER (WHERE a.of = 'mxid')),
                   format('VACUUM (FREEZE) database "%s"; look for what keeps old rows: slots, prepared and long '
                          'transactions.',
                          (array_agg(a.datname ORDER BY a.age DESC))[1])
            FROM (SELECT d.datname, 'xid' AS of, age(d.datfrozenxid) AS age,
                         current_setting('autovacuum_freeze_max_age')::bigint AS freeze,
                         current_setting('vacuum_failsafe_age')::bigint AS failsafe
                  FROM pg_database d
                  UNION ALL
                  SELECT d.datname, 'mxid', mxid_age(d.datminmxid),
                         current_setting('autovacuum_multixact_freeze_max_age')::bigint,
                         current_setting('vacuum_multixact_failsafe_age')::bigint
                  FROM pg_database d) a;

    WHEN 'statistics' THEN
        IF pg_is_in_recovery() THEN
            RETURN QUERY
                SELECT part, 'skip', 'A standby does not count what is done to tables; look at the primary.', NULL;
        ELSE
            RETURN QUERY
                SELECT part, CASE WHEN bool_or(s.stale OR s.bloated) OR current_setting('autovacuum') = 'off'
                                  THEN 'warn' ELSE 'pass' END,
                       concat_ws(' ',
                           CASE WHEN current_setting('autovacuum') = 'off' THEN 'Setting autovacuum is off.' END,
                           'To be analyzed: ' || string_agg(s.name, ', ' ORDER BY s.n)
                               FILTER (WHERE s.stale AND s.n <= 20) || '.',
                           'To be vacuumed: ' || string_agg(s.name, ', ' ORDER BY s.n)
                               FILTER (WHERE s.bloated AND s.n <= 20) || '.',
                           CASE WHEN bool_or((s.stale OR s.bloated) AND s.n > 20) THEN 'And others.'
                                WHEN bool_or(s.stale OR s.bloated) THEN NULL
                                ELSE format('The %s tables of the managed extensions have statistics that are fresh '
                                            'enough.', count(*)) END),
                       'Run VACUUM (ANALYZE) on them; plans made with old statistics are slow ones.'
                FROM (SELECT t.*, row_number() OVER (ORDER BY t.stale OR t.bloated DESC, t.relid) AS n
                      FROM (SELECT u.relid, u.relid::regclass::text AS name,
                                   u.n_mod_since_analyze > 1000 + 0.5 * u.n_live_tup AS stale,
                                   u.n_dead_tup > 1000 + 0.5 * u.n_live_tup AS bloated
                            FROM pg_stat_all_tables u
                            JOIN documentdb_upgrade_internal.health_tables() AS m(relation)
                                ON m.relation = u.relid) t) s;
        END IF;

    WHEN 'checksums' THEN
        RETURN QUERY
            SELECT part, CASE WHEN current_setting('data_checksums') = 'off' THEN 'skip'
                              WHEN sum(a.checksum_failures) > 0 THEN 'fail' ELSE 'pass' END,
                   CASE WHEN current_setting('data_checksums') = 'off'
                        THEN 'Data checksums are off: damaged pages are not noticed.'
                        WHEN sum(a.checksum_failures) > 0
                        THEN format('%s pages failed, in %s, the last at %s.', sum(a.checksum_failures),
                                    string_agg(coalesce(a.datname, 'shared relations'), ', ')
                                        FILTER (WHERE a.checksum_failures > 0),
                                    date_trunc('second', max(a.checksum_last_failure)))
                        ELSE 'No page has failed its checksum.' END,
                   'Do not upgrade on damaged storage: look at the server''s log, and restore what is damaged.'
            FROM pg_stat_database a;

    WHEN 'counters' THEN
        RETURN QUERY
            SELECT c.name, CASE WHEN c.bad THEN 'warn' ELSE 'pass' END,
                   format('%s since %s.', c.what,
                          coalesce(date_trunc('second', d.stats_reset)::text, 'the counters began')), c.hint
            FROM pg_stat_database d,
                 LATERAL (VALUES ('deadlocks', d.deadlocks > 0, format('%s in this database', d.deadlocks),
                                  'Note the number: what counts is whether it grows during and after the upgrade.'),
                                 ('rollbacks',
                                  d.xact_rollback >= 100 AND d.xact_rollback > 0.1 * (d.xact_commit + d.xact_rollback),
                                  format('%s of %s transactions of this database were rolled back',
                                         d.xact_rollback, d.xact_commit + d.xact_rollback),
                                  'Look at the server''s log for the errors of clients, and compare the share after '
                                  'the upgrade.'))
                         AS c(name, bad, what, hint)
            WHERE d.datname = current_database();

    WHEN 'recorded_failures' THEN
        SELECT h.id, h.finished_at INTO own FROM documentdb_upgrade.history h
            WHERE h.extension = main AND h.outcome = 'succeeded' ORDER BY h.id DESC LIMIT 1;
        RETURN QUERY
            SELECT part, CASE WHEN bool_or(h.outcome = 'failed') THEN 'fail' WHEN count(*) > 0 THEN 'warn'
                              ELSE 'pass' END,
                   CASE WHEN count(*) = 0 THEN 'No attempt has failed'
                        ELSE format('%s attempts failed, were refused or cancelled', sum(1 + h.repeats)) END
                   || coalesce(' since the upgrade of ' || date_trunc('second', own.finished_at) || '.',
                               ', and none has succeeded here.')
                   || coalesce(' The last one: ' || (array_agg(h.message ORDER BY h.id DESC))[1] || '.', '')
                   || ' The server''s log is not read.',
                   'The last rows of documentdb_upgrade.history have detail, hint, script and line; read the server''s '
                   'log as well.'
            FROM documentdb_upgrade.history h
            WHERE h.extension = main AND h.outcome <> 'succeeded' AND h.dismissed_at IS NULL
              AND h.id > coalesce(own.id, 0);

    WHEN 'checks' THEN
        RETURN QUERY
            SELECT part, CASE WHEN count(*) = 0 THEN 'skip' WHEN bool_or(c.missing) THEN 'fail' ELSE 'pass' END,
                   coalesce('Run within the upgrade, not now: ' || string_agg(format('%s (%s%s)', c.name, c.kind,
                                CASE WHEN c.missing THEN ', function missing' END),
                                ', ' ORDER BY c.kind DESC, c.name) || '.',
                            'No check applies here.'),
                   'Create the missing function, or set enabled = false for that row of documentdb_upgrade.checks.'
            FROM (SELECT k.*, to_regprocedure(k.function) IS NULL AS missing FROM documentdb_upgrade.checks k
                  WHERE k.enabled AND documentdb_upgrade_internal.check_applies(k.requires)) c;

    WHEN 'installed' THEN
        SELECT h.to_version INTO own FROM documentdb_upgrade.history h
            WHERE h.extension = main AND h.outcome = 'succeeded' ORDER BY h.id DESC LIMIT 1;
        RETURN QUERY
            SELECT part, CASE WHEN v.installed_version IS NULL OR v.installed_version <> own.to_version THEN 'fail'
                              WHEN own.to_version IS NULL OR v.behind THEN 'warn' ELSE 'pass' END,
                   format('Installed is %s; the last upgrade was %s; the binary offers %s.',
                          coalesce(v.installed_version, 'nothing'),
                          coalesce('to ' || own.to_version, 'not recorded here'),
                          coalesce(v.binary_version, 'nothing')),
                   CASE WHEN v.installed_version <> own.to_version
                        THEN 'Something else has changed the version since; look at the server''s log.'
                        WHEN v.behind
                        THEN 'If that was intended, there is nothing to do; else finalize to what the binary offers.'
                        END
            FROM (SELECT *, documentdb_upgrade.compare_versions(installed_version, binary_version) < 0 AS behind
                  FROM documentdb_upgrade.versions WHERE extension = main) v;

    WHEN 'companions' THEN
        IF documentdb_upgrade.schema_version() IS NULL THEN
            RETURN QUERY SELECT part, 'skip', 'The main extension is not installed.', NULL;
        ELSE
            RETURN QUERY
                SELECT part, CASE WHEN g.status = 'fail' OR p.behind IS NOT NULL THEN 'fail' ELSE 'pass' END,
                       CASE WHEN g.status = 'fail' THEN g.detail
                            WHEN p.behind IS NOT NULL THEN format('Behind their targets: %s.', p.behind)
                            ELSE format('Every companion is at its target: %s.', coalesce(
                                (SELECT string_agg(format('%s %s', v.extension, v.installed_version), ', ')
                                 FROM documentdb_upgrade.versions v
                                 WHERE v.extension <> main AND v.installed_version IS NOT NULL), 'there is none')) END,
                       CASE WHEN g.status = 'fail' THEN g.hint
                            ELSE format('Run SELECT documentdb_upgrade.finalize_to(%L);',
                                        documentdb_upgrade.schema_version()) END
                FROM documentdb_upgrade.preflight(documentdb_upgrade.schema_version()) g,
                     (SELECT string_agg(DISTINCT extension, ', ') AS behind
                      FROM documentdb_upgrade.plan(documentdb_upgrade.schema_version())) p
                WHERE g.guard = 'companions_aligned';
        END IF;

    WHEN 'last_attempt' THEN
        RETURN QUERY
            SELECT part, CASE WHEN a.id IS NULL THEN 'skip' WHEN a.outcome = 'succeeded' THEN 'pass' ELSE 'fail' END,
                   CASE WHEN a.id IS NULL THEN 'No attempt is on record.'
                        ELSE format('Attempt %s %s at %s: %s%s.', a.id,
                            CASE WHEN a.from_version = a.to_version THEN format('on the companions at %s', a.to_version)
                                 ELSE format('from %s to %s', coalesce(a.from_version, 'none'),
                                             coalesce(a.to_version, 'unknown')) END,
                            date_trunc('second', a.finished_at), a.outcome, ': ' || a.message) END,
                   coalesce(a.hint, 'SELECT documentdb_upgrade.runbook() says what to do.')
            FROM (VALUES (main)) AS m(extension) LEFT JOIN LATERAL (
                SELECT h.* FROM documentdb_upgrade.history h WHERE h.extension = m.extension
                ORDER BY h.id DESC LIMIT 1) a ON true;
    END CASE;
END
$$;
COMMENT ON FUNCTION health_part(text) IS
'serves the reports: the rows of one part; their hints are for those that do not pass';

CREATE FUNCTION documentdb_upgrade_internal.health_report(parts text[], OUT check_name text, OUT status text,
                                                          OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 30 SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '1s' SET standard_conforming_strings = on
    SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres
AS $$
DECLARE
    part text;
    found_rows jsonb;
BEGIN
    FOREACH part IN ARRAY parts LOOP
        -- All rows of a part or none: one that cannot be read says why.
        BEGIN
            found_rows := (SELECT jsonb_agg(to_jsonb(h)) FROM documentdb_upgrade_internal.health_part(part) h);
        EXCEPTION WHEN OTHERS THEN
            found_rows := jsonb_build_array(jsonb_build_object('check_name', part, 'status', 'skip',
                'detail', format('It could not be read: %s (SQLSTATE %s).', SQLERRM, SQLSTATE),
                'reason', CASE SQLSTATE
                    WHEN '42501' THEN 'Ask again as a member of pg_monitor with the privilege that is missing.'
                    WHEN '55P03' THEN 'Another session holds a lock on it; ask again later.' END));
        END;
        RETURN QUERY SELECT r.check_name, r.status, r.detail,
                            coalesce(r.reason, CASE WHEN r.status IN ('fail', 'warn') THEN r.hint END)
            FROM jsonb_to_recordset(found_rows) AS r(check_name text, status text, detail text, hint text, reason text);
    END LOOP;
END
$$;
COMMENT ON FUNCTION health_report(text[]) IS
'serves the reports: the rows of these parts; a part that cannot be read is one row with status skip and the reason';

CREATE FUNCTION pre_upgrade_report(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 30 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM documentdb_upgrade_internal.health_report('{versions, state, gate, guards, standbys, slots, replay,
        invalid_indexes, unvalidated_constraints, disabled_triggers, failed_jobs, connections, idle_in_transaction,
        long_transactions, prepared_transactions, wraparound, statistics, checksums, counters, recorded_failures,
        checks}')
$$;
COMMENT ON FUNCTION pre_upgrade_report() IS
'the health of this server before an upgrade to what the binary offers, one row per check: status pass, warn, fail or '
'skip, why, and what to do; changes nothing, and works on standbys';

CREATE FUNCTION post_upgrade_report(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 30 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM documentdb_upgrade_internal.health_report('{installed, companions, last_attempt, versions, state,
        gate, guards_after, members_intact, standbys, slots, replay, invalid_indexes, unvalidated_constraints,
        disabled_triggers, failed_jobs, connections, idle_in_transaction, long_transactions, prepared_transactions,
        wraparound, statistics, checksums, counters, recorded_failures, checks}')
$$;
COMMENT ON FUNCTION post_upgrade_report() IS
'the health of this server after an upgrade, one row per check: what pre_upgrade_report() looks at, and whether the '
'target is installed, companions and standbys have followed and the last attempt succeeded';

--
-- What a runbook says
--

-- render() says what {{name}}, {{#name}}, {{?name}} and {{^name}} do.  Besides, a line that ends in a backslash goes on
-- in the next one.  A line that begins with {{#name}}, {{?name}} or {{^name}} and a space needs no end: the tag is for
-- that line.  A line of such tags alone leaves no line, and of empty lines in a row only one is left.
CREATE VIEW documentdb_upgrade_internal.runbook_template (n, title, template) AS VALUES
(0, NULL, $md$
{{#kind.standby}} # Upgrade of extension {{extension}}: this is a standby
{{#kind.not_installed}} # Upgrade of extension {{extension}}: not installed
{{#kind.none}} # Extension {{extension}} at {{from}}: nothing to upgrade
{{#kind.refuse}} # Extension {{extension}} cannot go from {{from}} to {{goal}}{{^goal}}an unknown version{{/^goal}}
{{#kind.schema_ahead}} # Extension {{extension}}: the schema ({{from}}) is ahead of the binary ({{binary_version}})
{{#to_do}}
{{#companions_only}} # Upgrade of the companions of extension {{extension}} at {{from}}
{{^companions_only}} # Upgrade of extension {{extension}} from {{from}} to {{goal}}
{{/#to_do}}

Written {{written_at}} on a {{role}} with PostgreSQL {{server_version}}, database {{database|code}}. It describes this \
server at that moment. Write a new one after each change: `SELECT documentdb_upgrade.runbook({{asked|literal}});`

{{^elsewhere}} This server does not know what is in `<ANGLE_BRACKETS>`: fill it in. Where there are commands for psql \
and for kubectl, both do the same: use those that fit your installation.
{{#kind.standby}}
## What to do

**This server is a standby. Run this on the primary:**

```sql
SELECT documentdb_upgrade.runbook({{asked|literal}});
```

{{#upstream}} This standby streams from {{sender_host|code}}, port {{sender_port}}, which is the primary or leads to it.

The primary commits the schema, and this standby replays it. Here only phase one has to be done: install the new \
binary on this standby **before** the primary gets it.

- {{next_step}}

```sql
SELECT state, next_step FROM documentdb_upgrade.status;
SELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;
```
{{/#kind.standby}}
{{#kind.not_installed}}
## What to do

**Extension {{extension|code}} is not installed in database {{database|code}}**, so there is no schema to upgrade.

{{#binary_version}} Its files are here and offer {{binary_version}}. A new installation needs no upgrade:
{{^binary_version}} Its files are not on this server either: install its package first.

```sql
CREATE EXTENSION {{extension|ident}} CASCADE;
```

If it is in another database of this server, install documentdb_upgrade there, and write this runbook there. If you \
mean another extension, name it, and open a new session:

```sql
ALTER DATABASE {{database|ident}} SET documentdb_upgrade.extension = '<EXTENSION>';
```
{{/#kind.not_installed}}
$md$),

(1, 'In short', $md$
- **State:** {{state|code}}. {{next_step}}
{{#kind.ready}} - **What is left:** phase two. {{scripts}} scripts run in one transaction; the binary is already here.
{{#kind.none}}
{{#blocked}} - **What is left:** no script has to run; the state says why a companion cannot reach its target.
{{^blocked}} - **What is left:** nothing. This runbook helps you to check the last upgrade, and to prepare the next one.
{{/#kind.none}}
{{#kind.wait}} - **What is left:** both phases. The binary here offers {{binary_version}}; install {{goal}} first \
(section 7), then write a new runbook.
{{#kind.schema_ahead}} - **Do this now:** bring back a binary of {{from}} or later (section 7). An older library may \
write data that the newer schema does not expect.
{{#kind.refuse}} - **What is left:** this target cannot be reached from here. {{reason}}
{{^kind.none}}{{^kind.schema_ahead}}
- **Can it be finalized now:** {{^refusing}}yes, no guard refuses.{{/^refusing}}\
{{?refusing}}no, guards refuse: {{refusing_names|raw}} (section 15 says what to do).{{/?refusing}}
{{/^kind.schema_ahead}}{{/^kind.none}}
{{#failure}} - **Last attempt:** {{outcome}} at {{finished_at|time}}: {{message}}
{{#to_do}} - **Way back:** until phase two has committed, put the old binary back (section 11). After that, only a \
restore helps (section 12).
{{#kind.ready}}
{{^rehearsal}} - **Rehearsed:** no, or not with exactly these files and versions (section 2).
{{#passed}} - **Rehearsed:** yes, rehearsal {{rehearsal.id}} passed in {{rehearsal.ms|duration}}\
{{#rehearsal.scratch}}, in a temporary database without your data{{/#rehearsal.scratch}}.
{{#rehearsal}}
{{^passed}} - **Rehearsed:** yes, but rehearsal {{id}} did not pass (section 15). Do not go on before one passes.
{{/#rehearsal}}
{{/#kind.ready}}
- **Stop everything:** `SELECT documentdb_upgrade.hold('why');` refuses every finalize until \
`SELECT documentdb_upgrade.release();`

| extension | installed | binary | loaded | in force | target |
|---|---|---|---|---|---|
{{#versions}} | {{extension}} | {{installed_version|cell}} | {{binary_version|cell}} | {{loaded_version|cell}} | \
{{gate|cell}} | {{target|cell}} |
$md$),

(2, 'What is new', $md$
{{^steps}}
{{#kind.wait}} The scripts to {{goal}} are not on this server yet, so nothing is known about them. After phase one, \
this section lists them.
{{^kind.wait}} Nothing: there is no script to run.
{{/^steps}}
{{?steps}}
{{#companions_only}} {{scripts}} scripts bring the companions of extension {{extension|code}} to the versions that \
belong to its {{from}}:
{{^companions_only}} {{scripts}} scripts bring extension {{extension|code}} from {{from}} to {{goal}}, companions \
included:

| step | extension | from | to | risk | script |
|---|---|---|---|---|---|
{{#steps}} | {{step}} | {{extension}} | {{from_version}} | {{to_version}} | {{risk}} | {{file|code}} |

{{#passed}}
Rehearsal {{rehearsal.id}} ran exactly these scripts on this server at {{rehearsal.started_at|time}}\
{{#rehearsal.scratch}}, in a temporary database without data{{/#rehearsal.scratch}}. What it saw:

{{?changes.added}} ### New objects

{{#changes.added}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}
{{^changes.added}} It adds no object.

{{?changes.changed}} ### Changed objects

{{#changes.changed}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}
{{^changes.changed}} It changes no object.

{{?changes.privileges}}
### Privileges

Written as PostgreSQL does it: the role that has the privileges, a letter for each privilege, the role that granted \
them. Nothing before `=` means PUBLIC.

{{#changes.privileges}}
- {{kind}} {{identity|code}}
{{#items}}   - {{verb}} {{item|code}}
{{/#changes.privileges}}
{{/?changes.privileges}}
{{^changes.privileges}} It changes no privilege of an existing object.

{{?changes.cut}} Only 40 objects of each kind of change are shown: \
`SELECT documentdb_upgrade.rehearsal_report({{rehearsal.id}});` shows all.

{{?warnings}} ### Warnings of scripts

{{#warnings}} - {{.}}
{{/#passed}}
{{^passed}}
{{#rehearsal}} **Rehearsal {{id}} of exactly this did not pass** (section 15).
{{^rehearsal}} **This was not rehearsed** with exactly these files and versions. Risk and locks are what the text of \
the scripts shows.

A rehearsal runs the real scripts, reports what they add, remove, change, lock and grant, and rolls everything back:

```sql
SELECT id, outcome, risk, message FROM documentdb_upgrade.rehearse({{goal|literal}});
SELECT documentdb_upgrade.rehearsal_report();
```

It takes the real locks for a moment. `scratch => true` as a second argument runs it in a temporary database instead, \
without your data. Then write a new runbook.
{{/^passed}}
{{/?steps}}
$md$),

(3, 'Settings and objects that change or go', $md$
{{^steps}} No setting or object is known to change.
{{?steps}}
{{^passed}} Not known: only a rehearsal shows which objects are removed (section 2). Search your code for what the \
release notes call deprecated.
{{#passed}}
{{?changes.removed}} These objects are removed. Search functions, jobs and applications for them **before** phase two:

{{#changes.removed}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}
{{^changes.removed}} No object is removed.

{{?changes.recreated}} These are dropped and created again under the same name, or rewritten:

{{#changes.recreated}} - {{kind}} {{identity|code}} ({{what}})

{{?changes.settings}} Settings of roles and databases that change:

{{#changes.settings}} - {{what}} {{kind}} {{identity|code}}
{{^changes.settings}} No setting of a role or a database changes.

The scripts do not show which settings the new library adds or no longer has: compare its release notes with your \
`postgresql.conf`.
{{/#passed}}
{{/?steps}}
$md$),

(4, 'Difficulty and duration', $md$
{{^steps}}
{{#kind.none}} There is nothing to do.
{{^kind.none}} Not known before the scripts are here.

{{/^steps}}
{{?steps}}
{{#risk_is.functions_only}} - **Difficulty:** easy. Only functions change.
{{#risk_is.catalogue}} - **Difficulty:** easy. Objects are added or changed, no data are touched.
{{#risk_is.privileges}} - **Difficulty:** moderate. Privileges change: test with the roles of your applications.
{{#risk_is.data_tables}} - **Difficulty:** demanding. Tables in use are locked, rewritten, dropped or written to: \
choose a time with little load.
{{#risk_is.cluster-wide}} - **Difficulty:** demanding. Roles or other things that all databases share change.
{{#risk_is.unknown}} - **Difficulty:** not known. Rehearse before you plan anything.
- **Heaviest risk class:** {{risk}}, {{#passed}}as rehearsed.{{/#passed}}{{^passed}}as far as the text of the scripts \
shows.{{/^passed}}
{{#passed}}
- **Expected duration:** about {{rehearsed_ms|duration}} for all steps, as rehearsed{{#rehearsal.scratch}} without \
data: yours will take longer{{/#rehearsal.scratch}}; the whole rehearsal took {{rehearsal.ms|duration}}.
- **Needs:** {{rehearsal.lock_entries}} entries of the lock table, {{rehearsal.wal_bytes|size}} of WAL.
{{/#passed}}
{{^passed}} - **Expected duration:** not known without a rehearsal.
- **Limits:** all lock waits together {{lock_timeout}}, the whole attempt {{attempt_timeout}}; when one of them is \
exceeded, everything is rolled back.
{{?locks}} - **Locked against others until the commit:**
{{#locks}}   - {{relation|code}}{{#mode}} in {{mode}}{{/#mode}}{{#bytes}} ({{bytes|size}}){{/#bytes}}
{{^locks}} - **Locked against others:** nothing that is known.
{{/?steps}}
{{#earlier}} - **Longest of {{count}} earlier upgrade(s) here:** {{longest|duration}}.
$md$),

(5, 'Prerequisites', $md$
As they were when this was written; `SELECT * FROM documentdb_upgrade.preflight({{wanted|literal}});` checks again. \
FAIL prevents the upgrade, WARN does not.

{{#guards}}
- {{#mark}}**{{mark}}**{{/#mark}}{{^mark}}{{status}}{{/^mark}} {{guard|code}}{{#hard}} (hard){{/#hard}}: {{detail}}
{{#advice}}   - To do: {{advice}}
{{/#guards}}

### Health of the server

{{?health}} What `SELECT * FROM documentdb_upgrade.pre_upgrade_report();` warns about:

{{#health}}
- **{{mark}}** {{check_name|code}}: {{detail}}
{{#hint}}   - To do: {{hint}}
{{/#health}}
{{^health}} `SELECT * FROM documentdb_upgrade.pre_upgrade_report();` has no warning.
$md$),

(6, 'Backup', $md$
{{#backup}} The newest backup on record is "{{label}}", finished {{finished_at|time}}.
{{^backup}} **No backup was ever recorded here.** After phase two a restore is the only way back.

{{#archived}} WAL is archived: a backup can be restored to the restore point that the upgrade writes, if the archive \
is complete. Look at `SELECT * FROM pg_stat_archiver;` first.
{{^archived}} WAL is not archived here (`archive_mode` is off): a backup can be restored only to its own end, not to \
the restore point that the upgrade writes. Stop writes before you take it, or set up archiving first.

On a server without Kubernetes:

```bash
pg_basebackup -h <HOST> -p {{port}} -U <REPLICATION_ROLE> -D <BACKUP_DIRECTORY> -X stream -c fast -P \
-l {{backup_label|shell}}
pg_verifybackup <BACKUP_DIRECTORY>
```

With CloudNativePG:

```bash
kubectl apply -f - <<'EOF'
apiVersion: postgresql.cnpg.io/v1
kind: Backup
metadata:
  name: {{backup_name}}
  namespace: {{namespace|raw}}
spec:
  cluster:
    name: {{cluster|raw}}
EOF
kubectl -n {{namespace|raw}} wait --for=jsonpath='{.status.phase}'=completed \
backups.postgresql.cnpg.io/{{backup_name}} --timeout=2h
```

Record the backup when it has finished, and not before; guard `backup_recent` measures its age from then:

```sql
SELECT documentdb_upgrade.record_backup({{backup_label|literal}}, now());
```

Restore the backup in another place once: only then do you know that it can be restored.
$md$),

(7, 'Phase one: the binary', $md$
{{#kind.ready}} **Done on this server:** its files offer {{binary_version}}{{#loaded_version}}, and the library in \
memory says {{loaded_version}}{{/#loaded_version}}. The standbys must have followed.
{{#kind.none}} **Nothing to install now.** This server offers {{binary_version}}. The next release is installed like \
this:
{{#kind.schema_ahead}} **Do this now.** The schema is at {{from}} and the binary of this server offers \
{{binary_version}}. Put a binary of {{from}} or later back, on every instance:
{{#kind.refuse}} **Do not change the binary for this target:** {{reason}}
{{#kind.wait}} **To be done:** this server offers {{binary_version}}{{^binary_version}}nothing{{/^binary_version}}, \
you want {{goal}}. Upgrade the standbys first, then switch over or restart the primary. The schema does not change.

{{^kind.ready}}{{^kind.refuse}}
On a server without Kubernetes, on each standby and then on the primary:

```bash
apt-get install <PACKAGE>=<PACKAGE_VERSION>
pg_ctl restart -D <DATA_DIRECTORY> -m fast
```

With the DocumentDB operator (an image in `spec.image.documentDB` takes precedence over `documentDBVersion`; name \
images by tag, because a digest hides the version):

```bash
kubectl -n {{namespace|raw}} patch dbs {{resource|raw}} --type=merge -p '{"spec": {"documentDBVersion": \
"{{image|dotted}}{{^image}}<NEW_VERSION>{{/^image}}"}}'
kubectl -n {{namespace|raw}} get pods -l cnpg.io/cluster={{cluster|raw}} -w
```

{{/^kind.refuse}}{{/^kind.ready}}
What every instance runs:

```sql
SELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;
SELECT name, depth, status, installed_version, binary_version, loaded_version, problem FROM documentdb_upgrade.standbys;
```

{{?unready}} Standbys that are not ready:

{{#unready}} - {{name}}: {{status}}. {{problem}}

{{#kind.wait}} When the new binary is here, write a new runbook: it then has the scripts, and the fingerprint for \
phase two.
{{#kind.none}} Then write a new runbook, which has the scripts.
{{#kind.schema_ahead}} Until then, let nothing write: after `ALTER SYSTEM SET documentdb_upgrade.schema_ahead_action = \
'read_only';` and a reload, the worker stops writes.
$md$),

(8, 'Phase two: the schema', $md$
{{#kind.none}} Nothing to commit: {{from}} is installed.
{{#kind.schema_ahead}} Nothing to commit. **Do not try to lower the schema:** no script does that. Install a binary \
that is new enough (section 7).
{{#kind.refuse}} Nothing to commit: {{reason}}
{{?to_do}}
**This cannot be undone.** It is one transaction: either all of it commits, or nothing has happened. It waits for \
locks only for a short time, and then gives up.

{{#kind.wait}} After phase one, write a new runbook; it has the fingerprint, with which only the reviewed scripts can \
run. Without it:

{{#not_yet}} **Not yet:** first solve the problems that the guards report (section 15).

### With psql

Open a session on the primary, and ask whether the upgrade may run; the answer must be `t`:

```bash
psql -p {{port}} -d {{database|shell}}      # on the server itself
kubectl -n {{namespace|raw}} exec -it "$(kubectl -n {{namespace|raw}} get pod -o name \
-l cnpg.io/cluster={{cluster|raw}},cnpg.io/instanceRole=primary)" -c postgres -- psql -d {{database|shell}}
```

```sql
SELECT documentdb_upgrade.can_finalize({{goal|literal}});
```

Commit. Keep the row: a restore needs its restore point, LSN and timeline.{{#kind.ready}} The second argument is the \
fingerprint of what this runbook describes; if a script, a library or a version has changed since, nothing runs \
(55000).{{/#kind.ready}}

```sql
SELECT id, outcome, from_version, to_version, restore_point, restore_lsn, restore_timeline
FROM documentdb_upgrade.finalize_to({{goal|literal}}{{#kind.ready}}, {{fingerprint|literal}}{{/#kind.ready}});
```

Wait until every instance sees it; `t` means success:

```sql
SELECT documentdb_upgrade.wait_for({{goal|literal}}, '10 min');
```

A role that may not `SELECT` on DocumentDB runs `CALL documentdb_upgrade.run_finalize_to({{goal|literal}});` instead.

{{#skippable}} To go on although {{skippable_names|raw}} refuses, which is recorded: \
`SELECT documentdb_upgrade.finalize_to({{goal|literal}}, skip_guards => {{skippable|literal}});`

### With kubectl

{{#follows_resource}} The worker follows the custom resource and commits by itself when no guard refuses:
{{^follows_resource}} Only where the worker follows a custom resource (`documentdb_upgrade.source` is {{source|code}} \
here):

```bash
kubectl -n {{namespace|raw}} patch dbs {{resource|raw}} --type=merge -p '{"spec": {"schemaVersion": "{{goal|dotted}}"}}'
kubectl -n {{namespace|raw}} wait --for=jsonpath='{.status.schemaVersion}'={{goal|dotted}} dbs/{{resource|raw}} \
--timeout=15m
kubectl -n {{namespace|raw}} get events \
--field-selector involvedObject.kind=DocumentDB,involvedObject.name={{resource|raw}}
```

### While it runs

`SELECT * FROM documentdb_upgrade.progress;` shows step n of m. To end an attempt of the worker, run \
`SELECT documentdb_upgrade.cancel();`. To end one of a session, run `pg_cancel_backend(pid)`. Both work only before \
the commit, and then nothing has happened. If you lose the connection, you do not know the outcome: look at \
`documentdb_upgrade.history`.
{{/?to_do}}
$md$),

(9, 'Verification', $md$
{{#to_do}} After phase two. Expected: state `up_to_date`, version {{goal}} everywhere, outcome `succeeded`, and no row \
of the report fails.
{{^to_do}} Expected: no row of the report fails.

```sql
SELECT state, installed_version, next_step FROM documentdb_upgrade.status;
SELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;
SELECT name, status, installed_version, gate, problem FROM documentdb_upgrade.standbys;
SELECT id, outcome, from_version, to_version, restore_point, restore_lsn, restore_timeline \
FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 3;
SELECT * FROM documentdb_upgrade.post_upgrade_report() WHERE status IN ('fail', 'warn');
```
$md$),

(10, 'Smoke tests', $md$
{{?post_checks}}
Run the post-checks once more, outside the upgrade, as a superuser. Each must give `t`, and what they write is rolled \
back:

```sql
BEGIN;
{{#post_checks}} SELECT {{function|raw}} AS {{name|ident}};
ROLLBACK;
```

{{/?post_checks}}
{{?tables}}
Tables of the extension can be read:

```sql
{{#tables}} SELECT count(*) FROM (SELECT FROM {{.|raw}} LIMIT 1) AS readable;
```

{{/?tables}}
{{#is_documentdb}}
Through the gateway, as an application does it:

```bash
mongosh "<CONNECTION_STRING>" --eval 'db.runCommand({ping: 1})' --eval 'db.smoke.insertOne({n: 1}); \
db.smoke.findOne({n: 1}); db.smoke.drop()'
```

{{/#is_documentdb}}
Then send one request of each kind that your application makes.
$md$),

(11, 'Rollback, while it is possible', $md$
{{#kind.schema_ahead}} **Not possible any more.** The schema is at {{from}}, and a schema never goes back: the binary \
must be as new as the schema.
{{#kind.none}} **Not possible any more** for what is installed ({{from}}): a schema never goes back, see section 12. A \
newer binary that you install later can be taken back until its schema has been committed.
{{^kind.schema_ahead}}{{^kind.none}}
**Still possible:** the schema is at {{from}}. Until phase two has committed, you can put the old binary back, and \
nothing is lost.

First make sure that nobody commits meanwhile:

```sql
SELECT documentdb_upgrade.hold('rollback of the binary');
```

The answer is `f` when a commit had already begun: then look at `documentdb_upgrade.history` before you do anything \
else. On Kubernetes take back `schemaVersion` as well, then the image:

```bash
kubectl -n {{namespace|raw}} annotate dbs {{resource|raw}} documentdb-upgrade/hold='rollback of the binary'
kubectl -n {{namespace|raw}} patch dbs {{resource|raw}} --type=merge -p '{"spec": {"schemaVersion": ""}}'
kubectl -n {{namespace|raw}} patch dbs {{resource|raw}} --type=merge -p '{"spec": {"documentDBVersion": \
"{{from|dotted}}"}}'
```

On a server without Kubernetes install the old package on each instance and restart it, the primary last:

```bash
apt-get install --allow-downgrades <PACKAGE>=<OLD_PACKAGE_VERSION>
pg_ctl restart -D <DATA_DIRECTORY> -m fast
```

The rollback is complete when the old binary is back, and is not below {{from}}:

```sql
SELECT extension, installed_version, binary_version, loaded_version FROM documentdb_upgrade.versions;
```

When upgrades may go on, end the hold: `SELECT documentdb_upgrade.release();`
{{/^kind.none}}{{/^kind.schema_ahead}}
$md$),

(12, 'Recovery, when it is not', $md$
{{#success}}
{{#restore_lsn}} The last upgrade of this server ({{from_version}} to {{to_version}}, committed {{finished_at|time}}) \
wrote restore point {{restore_point|code}} at LSN **{{restore_lsn}}** on timeline **{{restore_timeline}}**. A restore \
to that point has the schema of {{from_version}}, and loses everything that was written since.
{{^restore_lsn}} The last upgrade of this server has no restore point on record (`wal_level` was minimal, or it was \
done by hand): restore a backup from before it, or to a time just before it.
{{/#success}}
{{^success}}
No upgrade of this server is on record yet. Phase two will write a restore point before its first script; name, LSN \
and timeline are in its row:

```sql
SELECT id, from_version, to_version, restore_point, restore_lsn, restore_timeline FROM documentdb_upgrade.history \
WHERE outcome = 'succeeded' ORDER BY id DESC;
```
{{/^success}}

A schema never goes back by SQL. Before you restore, find out whether a newer binary or a corrected script can solve \
the problem: a restore loses data, and a correction does not.

Restore into a **new** place, from a backup that finished before the restore point, with:

```ini
restore_command = '<YOUR_RESTORE_COMMAND>'
recovery_target_lsn = '{{restore_lsn|raw}}'
recovery_target_timeline = '{{restore_timeline|raw}}'
recovery_target_inclusive = off
recovery_target_action = 'pause'
```

Look at the data while recovery is paused, then run `SELECT pg_wal_replay_resume();`. With CloudNativePG a new Cluster \
takes its place:

```yaml
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: <NEW_CLUSTER>
  namespace: {{namespace|raw}}
spec:
  # instances, imageName, storage and postgresql as in the old one
  bootstrap:
    recovery:
      backup:
        name: <BACKUP>
      recoveryTarget:
        targetLSN: "{{restore_lsn|raw}}"
        targetTLI: "{{restore_timeline|raw}}"
        exclusive: true
```

Its binary may be the new or the old one, but not older than the restored schema. Make sure that the worker does not \
upgrade it again: leave the desired version empty, or place a hold first.

{{#backup}} The newest backup on record: "{{label}}", finished {{finished_at|time}}.

### Emergency steps by hand

- **The server does not start, a preloaded library is missing:** remove it from `shared_preload_libraries`, start, \
repair the files, put it back.
- **An attempt does not end:** `SELECT pg_cancel_backend(pid) FROM documentdb_upgrade.progress;` Then nothing has \
happened, unless its commit had begun.
- **Writes must stop at once:** `ALTER SYSTEM SET default_transaction_read_only = on;` and `SELECT pg_reload_conf();` \
Sessions can undo that for themselves.
- **A hook refuses a statement that you intend:** as a superuser `SET documentdb_upgrade.enforce = off;` in this \
session only.
- **Everything else of this extension fails, and the upgrade must be committed:** as a superuser, after a backup, \
`ALTER EXTENSION {{extension|ident}} UPDATE TO {{goal|literal}}{{^goal}}{{from|literal}}{{/^goal}};`, companions first \
as in section 17. It has no limits and no checks.
$md$),

(13, 'What to watch for 24 hours', $md$
{{#in_first_day}} **These 24 hours have begun:** the last upgrade committed {{success.finished_at|time}}.

Every few minutes in the first hour, then every hour:

- state `up_to_date`; when it is `verifying` for longer than a few minutes, it names a standby that does not follow
- errors of clients, latency and throughput, compared with the day before
- deadlocks and rollbacks below: do they grow faster than before?
- the server's log: `ERROR`, `FATAL`, `could not find function`, `permission denied`; this runbook does not read it
- replication lag, and WAL kept by slots
- plans of the most frequent queries, where functions or indexes have changed

```sql
SELECT state, next_step, last_error FROM documentdb_upgrade.status;
SELECT datname, deadlocks, xact_commit, xact_rollback, conflicts, checksum_failures FROM pg_stat_database \
WHERE datname = current_database();
SELECT application_name, state, replay_lag FROM pg_stat_replication;
SELECT slot_name, active, wal_status FROM pg_replication_slots;
SELECT check_name, status, detail FROM documentdb_upgrade.post_upgrade_report() WHERE status IN ('fail', 'warn');
```

```bash
kubectl -n {{namespace|raw}} get events \
--field-selector involvedObject.kind=DocumentDB,involvedObject.name={{resource|raw}} -w
```
$md$),

(14, 'Clean-up', $md$
After 24 hours without trouble:

- take a backup of the new schema and record it: older backups restore the older schema
- end holds that were placed for the upgrade, and remove the annotation from the custom resource
- refresh statistics where tables were rewritten
- remove the old package or image that you kept for a rollback; keep the backup from before the upgrade

```sql
SELECT documentdb_upgrade.record_backup({{label_after|literal}}, now());
SELECT id, reason, until, placed_by FROM documentdb_upgrade.holds WHERE released_at IS NULL;
ANALYZE;
```

```bash
kubectl -n {{namespace|raw}} annotate dbs {{resource|raw}} documentdb-upgrade/hold-
```
$md$),

(15, 'Troubleshooting: what fails now', $md$
{{^refusing}}{{^failures}}{{^kind.schema_ahead}}{{^kind.refuse}}
Nothing fails now.

{{/^kind.refuse}}{{/^kind.schema_ahead}}{{/^failures}}{{/^refusing}}
{{#kind.schema_ahead}}
### The binary is older than the schema

- why: {{reason}}
- what to do: section 7. If you cannot get such a binary, restore a backup from before the upgrade (section 12).

{{/#kind.schema_ahead}}
{{#kind.refuse}}
### The target cannot be reached

- why: {{reason}}
- what to do: correct the desired version or the extension's files.

{{/#kind.refuse}}
{{#failures}}
### {{#attempt}}Attempt {{id}} {{what}}, {{finished_at|time}}{{/#attempt}}\
{{^attempt}}Rehearsal {{id}} did not pass{{/^attempt}}

- message: {{message}} (SQLSTATE {{sqlstate}}{{^sqlstate}}none{{/^sqlstate}})
{{#detail}} - detail: {{detail}}
{{#hint}} - hint: {{hint}}
{{#script}} - script: {{script|code}}{{#script_line}}, line {{script_line}}{{/#script_line}}
{{#context}} - context: {{context}}
{{#sqlstate_is.55P03}} - what to do: another session held a lock that the scripts need. Nothing was changed. See guard \
`blocking_sessions`, try again later, or raise `documentdb_upgrade.lock_timeout`.
{{#sqlstate_is.57014}} - what to do: it was cancelled or took longer than `documentdb_upgrade.attempt_timeout`. \
Nothing was changed.
{{#sqlstate_is.53200}} - what to do: the shared lock table was full. Raise `max_locks_per_transaction` as guard \
`lock_capacity` says, on standbys first, and restart.
{{#sqlstate_is.55006}} - what to do: another upgrade was running. Look whether it has succeeded.
{{#sqlstate_is.55000}} - what to do: a guard refused, or the files have changed since the fingerprint was taken. Solve \
the problem that the message names.
{{#sqlstate_is.other}} - what to do: nothing was changed. Remove the cause at the line named, rehearse, then try \
again; the worker tries when its input changes or after `SELECT documentdb_upgrade.retry();`

{{/#failures}}
{{#refusing}}
### Guard {{guard|code}} refuses

- why: {{detail}}
- what to do: {{hint}}{{^hint}}see docs/guards.md{{/^hint}}
{{#hard}} - it is hard: it cannot be overridden

{{/#refusing}}
### Anything else

- `SELECT state, next_step FROM documentdb_upgrade.status;` says why nothing happens, and the command that would \
change it
- `SELECT jsonb_pretty(documentdb_upgrade.support_bundle());` is what a maintainer asks for first; it has no secrets
$md$),

(16, 'Checklist', $md$
{{#kind.none}}
- [ ] no row of `post_upgrade_report()` fails (section 9)
- [ ] 24 hours have passed without trouble (section 13)
- [ ] a backup of this schema is recorded (section 14)
{{/#kind.none}}
{{#kind.schema_ahead}}
- [ ] writes are stopped, or it is decided that they may go on
- [ ] a binary of {{from}} or later is on every instance (section 7)
- [ ] the state is no longer `schema_ahead` (section 9)
- [ ] what the older binary wrote meanwhile was checked
{{/#kind.schema_ahead}}
{{^kind.none}}{{^kind.schema_ahead}}
{{#kind.refuse}} - [ ] the target was corrected, and a new runbook written
{{#kind.wait}}
- [ ] phase one: the new binary is on every instance, standbys first (section 7)
- [ ] a new runbook was written
{{/#kind.wait}}
- [{{ticks.rehearsed|raw}}] rehearsed with exactly these files and versions (section 2)
- [{{ticks.unused|raw}}] nobody uses the objects that are removed (section 3)
- [{{ticks.guards|raw}}] no guard refuses (section 5)
- [{{ticks.backup|raw}}] a recent backup is recorded (section 6)
- [ ] the backup was restored somewhere once (section 6)
- [ ] the migration SQL was reviewed (section 17)
- [ ] everybody concerned knows: there is no way back after phase two
- [ ] phase two: committed, outcome `succeeded` (section 8)
- [ ] restore point, LSN and timeline were noted outside this server (section 12)
- [ ] every instance sees the version (section 9)
- [ ] smoke tests passed (section 10)
- [ ] 24 hours have passed without trouble (section 13)
- [ ] a backup of the new schema is recorded, holds are ended (section 14)
{{/^kind.schema_ahead}}{{/^kind.none}}
$md$),

(17, 'The migration SQL, for review', $md$
{{^sql}} There is nothing to review.
{{?sql}}
For reading, **not for running**: `finalize_to()` does the same with limits, checks and a record.
{{#length}}

The scripts have {{length}} characters and are left out here: `SELECT documentdb_upgrade.plan_sql({{goal|literal}});` \
shows them.
{{/#length}}

{{fence|raw}}sql
{{sql|raw}}
{{fence|raw}}
{{/?sql}}
$md$);
COMMENT ON VIEW runbook_template IS
'serves runbook(): the sections of a runbook, as render() takes them; 0 is the head';

--
-- Runbook: facts of this server, put into a template of Markdown
--

CREATE FUNCTION documentdb_upgrade_internal.worker_location() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_worker_location';
COMMENT ON FUNCTION worker_location() IS
'serves runbook(): what the worker reads the desired version from, namespace/name of a custom resource or a file; '
'null where no worker runs or there is no such thing';

CREATE FUNCTION documentdb_upgrade_internal.runbook_value(value text, filter text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT CASE filter
        WHEN 'raw' THEN value
        WHEN 'cell' THEN coalesce(documentdb_upgrade_internal.runbook_value(value, ''), '-')
        WHEN 'code' THEN '`' || translate(value, E'`\n\r', '''  ') || '`'
        WHEN 'literal' THEN quote_literal(value)
        WHEN 'ident' THEN quote_ident(value)
        WHEN 'shell' THEN documentdb_upgrade_internal.shell_quote(value)
        WHEN 'dotted' THEN documentdb_upgrade.to_semver(value)
        WHEN 'time' THEN date_trunc('second', value::timestamptz)::text
        WHEN 'size' THEN pg_size_pretty(value::bigint)
        WHEN 'duration' THEN
            CASE WHEN value::numeric < 1 THEN 'under 1 ms'
                 WHEN value::numeric < 1000 THEN round(value::numeric) || ' ms'
                 WHEN value::numeric < 120000 THEN round(value::numeric / 1000, 1) || ' s'
                 ELSE round(value::numeric / 60000, 1) || ' min' END
        -- Passwords should not be there; where a script or an error has one, it is taken out here.
        ELSE btrim(regexp_replace(regexp_replace(regexp_replace(regexp_replace(value,
                '((?:password|passwd|secret|token)["'']?(?:\s*[=:]\s*|\s+(?='')))(''[^'']*''|"[^"]*"|[^\s",;)]+)',
                '\1***', 'gi'),
                '(\w+://[^\s/:@]*):[^\s@]*@', '\1:***@', 'g'),
                '([\\`<|[])', '\\\1', 'g'),
                '\s+', ' ', 'g')) END
$$;
COMMENT ON FUNCTION runbook_value(text, text) IS
'serves runbook(): a value as a template asks for it after "|"; without that, one line of Markdown that means just '
'that, without passwords';

CREATE FUNCTION documentdb_upgrade_internal.render(template text, facts jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result text := '';
    rest text := template;
    tag text;
    name text;
    ending text;
    body text;
    value jsonb;
    item jsonb;
BEGIN
    -- What was put in is not looked at again: braces in it are text.
    WHILE strpos(rest, '{{') > 0 LOOP
        result := result || split_part(rest, '{{', 1);
        rest := substr(rest, strpos(rest, '{{') + 2);
        tag := split_part(rest, '}}', 1);
        rest := substr(rest, length(tag) + 3);
        name := split_part(ltrim(tag, '#^?'), '|', 1);
        value := CASE name WHEN '.' THEN facts->'.' ELSE facts #> string_to_array(name, '.') END;
        IF tag !~ '^[#^?]' THEN
            result := concat(result,
                documentdb_upgrade_internal.runbook_value(value #>> '{}', split_part(tag, '|', 2)));
            CONTINUE;
        END IF;

        ending := '{{/' || tag || '}}';
        body := split_part(rest, ending, 1);
        rest := substr(rest, length(body || ending) + 1);
        value := CASE WHEN value IS NULL OR value IN ('null', 'false', '""') THEN '[]'
                      WHEN jsonb_typeof(value) = 'array' THEN value ELSE jsonb_build_array(value) END;
        IF tag LIKE '^%' THEN
            value := CASE value WHEN '[]' THEN '[{}]' ELSE '[]' END::jsonb;
        ELSIF tag LIKE '?%' THEN
            value := CASE value WHEN '[]' THEN '[]' ELSE '[{}]' END::jsonb;
        END IF;
        FOR item IN SELECT * FROM jsonb_array_elements(value) LOOP
            result := result || documentdb_upgrade_internal.render(body, facts || jsonb_build_object('.', item)
                || CASE jsonb_typeof(item) WHEN 'object' THEN item ELSE '{}' END);
        END LOOP;
    END LOOP;
    RETURN result || rest;
END
$$;
COMMENT ON FUNCTION render(text, jsonb) IS
'serves runbook(): the template with the facts put in. {{name}} or {{name|filter}} is a fact. What is between '
'{{#name}} and {{/#name}} is there for each element of a fact that is an array, once for another fact, and the fields '
'of the element are facts in it ({{.}}: the element itself); between {{?name}} and {{/?name}}, once for any fact; '
'between {{^name}} and {{/^name}}, when the fact is null, false or empty';

CREATE FUNCTION documentdb_upgrade_internal.runbook_changes(steps jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- A step raises the version of its extension, which is no news.
    WITH change AS (
        SELECT a.action, c.value->>'kind' AS kind, c.value->>'identity' AS identity, s.n, c.value
        FROM jsonb_array_elements(steps) WITH ORDINALITY AS s(step, n),
             unnest('{added, removed, changed}'::text[]) AS a(action), jsonb_array_elements(s.step->a.action) c
        WHERE c.value->>'kind' <> 'extension'
    ), line AS (
        SELECT c.action AS list, c.kind, c.identity, string_agg(DISTINCT w.what, ', ') AS what, NULL::jsonb AS items
        FROM change c LEFT JOIN LATERAL jsonb_array_elements_text(c.value->'what') AS w(what) ON true
        GROUP BY c.action, c.kind, c.identity
        UNION ALL
        SELECT 'recreated', c.kind, c.identity, string_agg(DISTINCT w.what, ', '), NULL
        FROM change c, jsonb_array_elements_text(c.value->'what') AS w(what)
        WHERE c.action = 'changed' AND w.what IN ('recreated', 'storage')
        GROUP BY c.kind, c.identity
        UNION ALL
        SELECT DISTINCT 'settings', c.kind, c.identity, c.action, NULL::jsonb FROM change c WHERE c.kind ~ 'setting'
        UNION ALL
        SELECT 'privileges', c.kind, c.identity, NULL,
               jsonb_agg(jsonb_build_object('verb', v.verb, 'item', i.item) ORDER BY c.n, v.verb, i.item)
        FROM change c, unnest('{granted, revoked}'::text[]) AS v(verb),
             jsonb_array_elements_text(c.value->v.verb) AS i(item)
        WHERE c.action = 'changed'
        GROUP BY c.kind, c.identity
    )
    SELECT jsonb_object_agg(l.list, l.lines) || jsonb_build_object('cut', bool_or(l.n > 40))
    FROM (SELECT o.list, max(o.n) AS n, jsonb_agg(to_jsonb(o) ORDER BY o.n) FILTER (WHERE o.n <= 40) AS lines
          FROM (SELECT *, row_number() OVER (PARTITION BY list ORDER BY kind, identity, what) AS n FROM line) o
          GROUP BY o.list) l
$$;
COMMENT ON FUNCTION runbook_changes(jsonb) IS
'serves runbook(): what the steps of a rehearsal added, removed or changed, by object, 40 at the most of each';

CREATE FUNCTION documentdb_upgrade_internal.runbook_facts(target text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    main constant text := (SELECT w.extension FROM documentdb_upgrade_internal.worker_counters() w);
    s record;
    decided record;
    rehearsal record;
    success record;
    failure record;
    wanted text;
    goal text;
    kind text;
    risk text;
    steps jsonb;
    guards jsonb;
    facts jsonb;
    resource text[] := '{}';
BEGIN
    -- A malformed version is the caller's mistake, and raised.
    PERFORM documentdb_upgrade.to_semver(target);
    SELECT * INTO s FROM documentdb_upgrade.status;
    -- What is asked for here, else what is desired, else what the binary offers.
    SELECT * INTO decided FROM documentdb_upgrade.decide(
        coalesce(target, CASE WHEN s.mode = 'explicit' THEN s.desired END, ''), s.installed_version, s.binary_version);
    wanted := coalesce(decided.target, target);
    -- As the extension itself spells it: 1.10, not 1.10-0.
    BEGIN
        goal := coalesce(
            (SELECT p.to_version FROM documentdb_upgrade.plan(wanted) p
             WHERE p.extension = main ORDER BY p.step DESC LIMIT 1),
            (SELECT v FROM unnest(ARRAY[s.installed_version, s.binary_version]) AS v
             WHERE documentdb_upgrade.compare_versions(v, wanted) = 0 LIMIT 1));
    EXCEPTION WHEN invalid_parameter_value THEN
        goal := NULL;    -- what is installed or offered is no version
    END;
    goal := coalesce(goal, wanted, s.binary_version);
    facts := to_jsonb(s) || jsonb_build_object(
        'extension', main, 'database', current_database(), 'asked', target, 'wanted', wanted, 'goal', goal,
        'from', s.installed_version, 'reason', decided.reason, 'server_version', current_setting('server_version'),
        'written_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'));
    IF s.role = 'standby' OR s.installed_version IS NULL THEN
        RETURN facts || jsonb_build_object('elsewhere', true,
            'kind', CASE WHEN s.role = 'standby' THEN '{"standby": true}' ELSE '{"not_installed": true}' END::jsonb,
            'upstream', (SELECT to_jsonb(r) FROM pg_stat_wal_receiver r WHERE r.sender_host IS NOT NULL));
    END IF;

    steps := (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.step), '[]') FROM documentdb_upgrade.plan(wanted) p);
    guards := (SELECT jsonb_agg(to_jsonb(p) || jsonb_build_object(
                   'mark', CASE WHEN p.status IN ('fail', 'warn') THEN upper(p.status) END,
                   'advice', CASE WHEN p.status IN ('fail', 'warn') THEN p.hint END))
               FROM documentdb_upgrade.preflight(wanted) p);
    kind := CASE WHEN decided.decision IN ('schema_ahead', 'refuse', 'wait') THEN decided.decision
                 WHEN steps <> '[]' THEN 'ready' WHEN decided.decision = 'none' THEN 'none' ELSE 'refuse' END;
    SELECT * INTO success FROM documentdb_upgrade.history h
        WHERE h.extension = main AND h.outcome = 'succeeded' ORDER BY h.id DESC LIMIT 1;
    SELECT * INTO failure FROM documentdb_upgrade.history h
        WHERE h.extension = main AND h.outcome <> 'succeeded' AND h.dismissed_at IS NULL
          AND h.id > coalesce(success.id, 0)
        ORDER BY h.id DESC LIMIT 1;
    -- Scripts or libraries may be others since; the fingerprint says so.
    SELECT r.*, extract(epoch FROM r.finished_at - r.started_at) * 1000 AS ms INTO rehearsal
        FROM documentdb_upgrade.rehearsals r
        WHERE r.extension = main AND r.fingerprint = documentdb_upgrade.upgrade_fingerprint()
          AND r.from_version = s.installed_version AND r.to_version = goal
        ORDER BY r.id DESC LIMIT 1;
    risk := coalesce(CASE WHEN rehearsal.outcome = 'passed' THEN rehearsal.risk END,
        (SELECT p->>'risk' FROM jsonb_array_elements(steps) p
         ORDER BY array_position('{functions only, catalogue, privileges, data tables, cluster-wide, unknown}'::text[],
                                 p->>'risk') DESC LIMIT 1));
    IF s.source = 'kubernetes' THEN
        resource := string_to_array(documentdb_upgrade_internal.worker_location(), '/');
    END IF;

    RETURN facts || jsonb_build_object(
        'kind', jsonb_build_object(kind, true), 'to_do', kind IN ('ready', 'wait'),
        'companions_only', s.installed_version = goal, 'blocked', s.state = 'blocked',
        'fingerprint', documentdb_upgrade.upgrade_fingerprint(),
        -- The last step of each extension leads to its target.
        'versions', (SELECT jsonb_agg(to_jsonb(v) || jsonb_build_object('target',
                CASE WHEN v.extension = main THEN goal
                     WHEN v.installed_version IS NOT NULL AND kind <> 'wait'
                     THEN coalesce((SELECT p->>'to_version' FROM jsonb_array_elements(steps) p
                                    WHERE p->>'extension' = v.extension ORDER BY (p->>'step')::integer DESC LIMIT 1),
                                   v.installed_version) END))
            FROM documentdb_upgrade.versions v),
        'steps', (SELECT jsonb_agg(p || jsonb_build_object('file', regexp_replace(p->>'script', '^.*/', '')))
                  FROM jsonb_array_elements(steps) p),
        'scripts', jsonb_array_length(steps),
        'risk', risk, 'risk_is', jsonb_build_object(coalesce(replace(risk, ' ', '_'), 'none'), true),
        'guards', guards)
        || (SELECT jsonb_build_object('refusing', jsonb_agg(g),
                'refusing_names', string_agg('`' || (g->>'guard') || '`', ', '),
                'skippable', (array_agg(g->>'guard') FILTER (WHERE g->'hard' = 'false'))::text,
                'skippable_names', string_agg('`' || (g->>'guard') || '`', ', ') FILTER (WHERE g->'hard' = 'false'),
                -- Before phase one this guard says nothing new.
                'not_yet', bool_or(kind <> 'wait' OR g->>'guard' NOT IN ('within_binary', 'target_known')))
            FROM jsonb_array_elements(guards) g WHERE g->>'status' = 'fail')
        || jsonb_build_object(
        'rehearsal', CASE WHEN rehearsal.id IS NOT NULL THEN to_jsonb(rehearsal) - 'report' END,
        'passed', rehearsal.outcome = 'passed', 'rehearsed_ms', (SELECT sum((r->>'ms')::numeric)
            FROM jsonb_array_elements(rehearsal.report->'steps') r),
        'changes', documentdb_upgrade_internal.runbook_changes(rehearsal.report->'steps'),
        'warnings', (SELECT jsonb_agg(w.value) FROM jsonb_array_elements(rehearsal.report->'steps') r,
                         jsonb_array_elements(r->'warnings') w),
        'locks', CASE WHEN rehearsal.outcome = 'passed'
            THEN (SELECT jsonb_agg(l.value) FROM jsonb_array_elements(rehearsal.report->'steps') r,
                      jsonb_array_elements(r->'relations') l)
            ELSE (SELECT jsonb_agg(DISTINCT jsonb_build_object('relation', l.name, 'mode', NULL))
                  FROM jsonb_array_elements(steps) p, jsonb_array_elements_text(p->'locks') AS l(name)) END,
        'failure', CASE WHEN failure.id IS NOT NULL THEN to_jsonb(failure) END,
        'failures', (SELECT jsonb_agg(f || jsonb_build_object(
                'what', CASE f->>'outcome' WHEN 'failed' THEN 'failed' ELSE 'was ' || (f->>'outcome') END,
                'sqlstate_is', jsonb_build_object(
                    CASE WHEN f->>'sqlstate' IN ('55P03', '57014', '53200', '55006', '55000') THEN f->>'sqlstate'
                         ELSE 'other' END, true)))
            FROM unnest(ARRAY[to_jsonb(failure) || '{"attempt": true}',
                              to_jsonb(rehearsal) - 'report' || '{"attempt": false}']) f
            WHERE f->>'outcome' <> 'passed'),
        'success', CASE WHEN success.id IS NOT NULL THEN to_jsonb(success) END,
        'in_first_day', success.finished_at > clock_timestamp() - interval '24 hours',
        'restore_lsn', coalesce(success.restore_lsn::text, '<RESTORE_LSN>'),
        'restore_timeline', coalesce(success.restore_timeline::text, '<RESTORE_TIMELINE>'),
        'earlier', (SELECT jsonb_build_object('count', count(*),
                        'longest', max(extract(epoch FROM h.finished_at - h.started_at) * 1000))
                    FROM documentdb_upgrade.history h
                    WHERE h.extension = main AND h.outcome = 'succeeded' AND h.actor <> 'manual' HAVING count(*) > 0),
        'backup', (SELECT to_jsonb(b) FROM documentdb_upgrade.backups b ORDER BY b.finished_at DESC LIMIT 1),
        'backup_label', format('before %s %s', main, goal), 'label_after', format('after %s %s', main, goal),
        'backup_name', btrim(regexp_replace(lower(format('before-%s-%s', main, goal)), '[^a-z0-9]+', '-', 'g'), '-'),
        'archived', current_setting('archive_mode') <> 'off',
        'post_checks', (SELECT jsonb_agg(to_jsonb(c) ORDER BY c.name) FROM documentdb_upgrade.checks c
                        WHERE c.enabled AND c.kind = 'post' AND to_regprocedure(c.function) IS NOT NULL
                          AND documentdb_upgrade_internal.check_applies(c.requires)),
        'image', CASE kind WHEN 'none' THEN NULL WHEN 'schema_ahead' THEN s.installed_version ELSE goal END,
        'is_documentdb', main = 'documentdb', 'follows_resource', s.source = 'kubernetes',
        'port', current_setting('port'),
        'lock_timeout', current_setting('documentdb_upgrade.lock_timeout', true),
        'attempt_timeout', current_setting('documentdb_upgrade.attempt_timeout', true),
        'ticks', (SELECT jsonb_object_agg(t.name, CASE WHEN t.done THEN 'x' ELSE ' ' END)
            FROM (VALUES ('rehearsed', rehearsal.outcome = 'passed'),
                         ('unused', rehearsal.outcome = 'passed' AND NOT EXISTS (
                              SELECT FROM jsonb_array_elements(rehearsal.report->'steps') r,
                                  jsonb_array_elements(r->'removed') o WHERE o.value->>'kind' <> 'extension')),
                         ('guards', NOT guards @> '[{"status": "fail"}]'),
                         ('backup', guards @> '[{"guard": "backup_recent", "status": "pass"}]')) AS t(name, done)))
        -- Names of Kubernetes need no quotes; another text is not repeated.  CloudNativePG gives the name of its
        -- Cluster to setting cluster_name.
        || (SELECT jsonb_object_agg(n.fact, CASE WHEN n.name ~ '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' THEN n.name
                                                 ELSE format('<%s>', upper(n.fact)) END)
            FROM (VALUES ('namespace', coalesce(nullif(resource[1], ''),
                                                current_setting('documentdb_upgrade.kubernetes_namespace', true))),
                         ('resource', coalesce(nullif(resource[2], ''),
                                               current_setting('documentdb_upgrade.kubernetes_resource', true))),
                         ('cluster', CASE WHEN s.source = 'kubernetes' THEN current_setting('cluster_name') END))
                 AS n(fact, name));
END
$$;
COMMENT ON FUNCTION runbook_facts(text) IS
'serves runbook(): the facts that its template shows, without those that runbook() asks for a single section';

CREATE FUNCTION runbook(target text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '1s' SET standard_conforming_strings = on
    SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres SET TimeZone = 'UTC'
AS $$
DECLARE
    facts constant jsonb := documentdb_upgrade_internal.runbook_facts(target);
    section record;
    more jsonb;
    body text;
    book text;
BEGIN
    FOR section IN
        SELECT t.n, t.title, l.template
        FROM documentdb_upgrade_internal.runbook_template t,
             LATERAL (SELECT string_agg(CASE WHEN line ~ '^(\{\{[#^?/][^{}|]+\}\})+$' THEN line
                                             WHEN line ~ '^\{\{[#^?][^{}|]+\}\} '
                                             THEN regexp_replace(line, '^(\{\{([#^?][^{}|]+)\}\}) (.*)$',
                                                                 E'\\1\\3\n{{/\\2}}')
                                             ELSE line || E'\n' END, '' ORDER BY i) AS template
                      FROM string_to_table(replace(t.template, E'\\\n', ''), E'\n') WITH ORDINALITY AS s(line, i)) l
        WHERE t.n = 0 OR NOT facts ? 'elsewhere' ORDER BY t.n
    LOOP
        -- A section that cannot be written says why; the others are there.
        BEGIN
            CASE section.n
            WHEN 5 THEN
                -- The guards are there already.
                more := (SELECT jsonb_build_object('health', jsonb_agg(to_jsonb(r) || jsonb_build_object(
                                    'mark', upper(r.status))))
                         FROM documentdb_upgrade.pre_upgrade_report() r
                         WHERE r.status IN ('fail', 'warn')
                           AND r.check_name NOT IN ('guards', 'library', 'disk_headroom', 'members_intact',
                                                    'event_triggers', 'blocking_sessions', 'backup',
                                                    'replication_lag'));
            WHEN 7 THEN
                more := (SELECT jsonb_build_object('unready', jsonb_agg(to_jsonb(b) ORDER BY b.name))
                         FROM documentdb_upgrade.standbys b WHERE b.required AND b.status <> 'ready');
            WHEN 10 THEN
                more := (SELECT jsonb_build_object('tables', jsonb_agg(t.name ORDER BY t.name))
                         FROM (SELECT c.oid::regclass::text AS name
                               FROM pg_extension e
                               JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                               JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
                               WHERE e.extname = facts->>'extension' AND d.deptype = 'e'
                                 AND c.relkind IN ('r', 'v', 'm')
                               ORDER BY c.oid LIMIT 5) t);
            WHEN 17 THEN
                -- The scripts are comments in it; without them it is short.  The fence is longer than any row of
                -- backticks in it.
                more := (SELECT jsonb_build_object('sql', s.sql,
                                    'length', CASE WHEN s.sql <> p.sql THEN length(p.sql) END,
                                    'fence', (SELECT repeat('`', greatest(3, 1 + max(length(r.m[1]))))
                                              FROM regexp_matches(s.sql, '(`+)', 'g') AS r(m)))
                         FROM (SELECT btrim(documentdb_upgrade.plan_sql(facts->>'wanted'), E'\n') AS sql) p,
                              LATERAL (SELECT CASE WHEN length(p.sql) <= 100000 THEN p.sql
                                                   ELSE regexp_replace(p.sql, '^--   .*\n?', '', 'gn') END AS sql) s
                         WHERE facts->>'scripts' <> '0');
            ELSE
                more := '{}';
            END CASE;
            body := documentdb_upgrade_internal.render(section.template, facts || coalesce(more, '{}'));
            IF section.n <> 17 THEN
                body := regexp_replace(body, '\n{3,}', E'\n\n', 'g');
            END IF;
        EXCEPTION WHEN OTHERS THEN
            body := format('This section could not be written: %s (SQLSTATE %s).',
                           documentdb_upgrade_internal.runbook_value(SQLERRM, ''), SQLSTATE);
        END;
        book := concat(book, E'\n\n## ' || section.n || '. ' || section.title || E'\n\n', btrim(body, E'\n'));
    END LOOP;
    RETURN book || E'\n';
END
$$;
COMMENT ON FUNCTION runbook(text) IS
'the upgrade guide for this server in Markdown, to the target (null: the desired version, else the binary''s): what is '
'new, difficulty, prerequisites with their status, backup, both phases with exact statements, verification, rollback, '
'recovery, troubleshooting for what fails now, checklist; changes nothing; a malformed target raises 22023';

--
-- Checksums of rows
--

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_add(internal, record) RETURNS internal
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_add';
COMMENT ON FUNCTION row_checksum_add(internal, record) IS 'transition function of row_checksum';

CREATE FUNCTION documentdb_upgrade_internal.columns_checksum_add(internal, record, VARIADIC "any") RETURNS internal
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_columns_checksum_add';
COMMENT ON FUNCTION columns_checksum_add(internal, record, VARIADIC "any") IS 'transition function of columns_checksum';

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_combine(internal, internal) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_combine';
COMMENT ON FUNCTION row_checksum_combine(internal, internal) IS 'combine function of row_checksum';

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_serialize(internal) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_serialize';
COMMENT ON FUNCTION row_checksum_serialize(internal) IS 'serialization function of row_checksum';

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_deserialize(bytea, internal) RETURNS internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_deserialize';
COMMENT ON FUNCTION row_checksum_deserialize(bytea, internal) IS 'deserialization function of row_checksum';

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_result(internal) RETURNS text
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_result';
COMMENT ON FUNCTION row_checksum_result(internal) IS 'final function of row_checksum';

CREATE AGGREGATE row_checksum(record) (
    SFUNC = row_checksum_add,
    STYPE = internal,
    SSPACE = 16,
    FINALFUNC = row_checksum_result,
    COMBINEFUNC = row_checksum_combine,
    SERIALFUNC = row_checksum_serialize,
    DESERIALFUNC = row_checksum_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE row_checksum(record)
	IS 'checksum of rows that does not depend on their order, nor on the server that has them';

CREATE AGGREGATE columns_checksum(record, VARIADIC "any") (
    SFUNC = columns_checksum_add,
    STYPE = internal,
    SSPACE = 16,
    FINALFUNC = row_checksum_result,
    COMBINEFUNC = row_checksum_combine,
    SERIALFUNC = row_checksum_serialize,
    DESERIALFUNC = row_checksum_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE columns_checksum(record, VARIADIC "any")
	IS 'the same as row_checksum, and faster: a NULL of the row type, and all columns in their order';

CREATE FUNCTION record_checksum(record) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_record_checksum';
COMMENT ON FUNCTION record_checksum(record) IS 'checksum of one row';

CREATE FUNCTION checksum_algorithm() RETURNS text
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_checksum_algorithm';
COMMENT ON FUNCTION checksum_algorithm()
	IS 'how row_checksum and record_checksum hash: checksums of different algorithms are never compared';

CREATE FUNCTION add_checksums(text, text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_add_checksums';
COMMENT ON FUNCTION add_checksums(text, text) IS 'checksum of two sets of rows together, from those of each';

--
-- Parity: runs, and how far they are
--

-- The processes of a run (src/parity) carry out statements and know nothing of
-- tables.  Each of them calls parity_next() again and again: it hands in the
-- answer to its last statement and is told the next one, or to wait, or that it
-- is done.  All state is in the tables below, so that every call is short and a
-- run that was broken off can be taken up again.
--
-- This is SQL and not C, because little of it is decisions.  Most of it compares
-- sets of rows, or makes statements of what tables and answers contain; and a row
-- of a table is its own struct here, loaded and stored without further code.
--
-- The files that follow: what there is on both sides (79), the statements about a
-- table (80), what answers must look like (81), the phases of a run (82), the
-- phases of a table and parity_next() (83), what people call (84).
--
-- Phases of a run.  Process 0 sees to all of them but "tables"; the others wait.
--
--   listing     What is there, on both sides?  Then functions; without another
--               side tables; for algorithm sql1 sequences.
--   functions   Is the algorithm the same on both sides?  Then sequences.
--   sequences   Their values, 200 at a time.  When none is left, tables.
--   tables      Every process takes the largest table that is left.  When all
--               are done, verifying.
--   verifying   The list again: was a table altered, rewritten or truncated
--               meanwhile?  Then finished.
--   finished
--
-- Phases of a table, in the hands of the process that has taken it.
--
--   bound       Where does the first range of keys end?  Then sum.
--   sum         Rows and checksum of a range of keys, or of some blocks on each
--               side.  If they agree, the next range, and after the last one
--               recheck.  If they differ, buckets; where rows are few, rows.
--   buckets     The same of each bucket of rows by hash of the key: which of them
--               differ?  Then rows.
--   rows        Keys and checksums of the rows in some of these buckets.  Rows
--               that differ are noted.  When no bucket is left, the next range.
--   recheck     The rows noted, as they are now.  Four times at the most, within
--               three seconds; between them the table is pending again.  Then done.
--   done
--
-- Each phase has a statement for each side (parity_run_statements(),
-- parity_table_statement()), and its answer is taken by a function that decides
-- what comes next (parity_hear_run(), parity_hear_table()).  An answer is
-- {"local": side, "remote": side}; a side has "value" or "error", and "ms".
--
-- Where a phase stands is kept as JSON:
--
--   place of a table that is read by key: {"from": bound, "to": bound}; null is no
--               bound
--   place of a table that is read by blocks, for each side: {"block": the next
--               one, "step": how many at a time, null for all}; null when none is
--               left
--   work of a run: sequences "left", those asked for "now", and how many are to be
--               read "singly"
--   work of a table: rows and checksum of the range that differs ("local",
--               "remote") and the "next" bound after it; "digits" of the hash,
--               buckets "left", those asked for "now", and how many to ask for at
--               a time ("batch"); of a recheck the "tries" so far, and
--               "not_before" which time to try again

CREATE TABLE parity_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('checksums', 'comparison')),
    state text NOT NULL CHECK (state IN ('running', 'complete', 'incomplete', 'failed', 'interrupted')),
    phase text NOT NULL,
    algorithm text NOT NULL,
    options jsonb NOT NULL,
    role oid NOT NULL,
    role_name text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    snapshots integer NOT NULL DEFAULT 1,
    exact boolean NOT NULL,
    equal boolean,
    table_count bigint,
    row_count bigint,
    bytes bigint,
    duration interval,
    difference_count bigint,
    leader_pid integer NOT NULL,
    leader_started_at timestamptz,
    sides jsonb NOT NULL DEFAULT '{}',
    work jsonb NOT NULL DEFAULT '{}',
    sqlstate text,
    message text,
    detail text,
    hint text
);
COMMENT ON TABLE parity_runs IS 'runs of table_checksums() and compare_with(), the newest 20; not dumped';
COMMENT ON COLUMN parity_runs.id IS 'what resume takes';
COMMENT ON COLUMN parity_runs.kind IS 'checksums: table_checksums(); comparison: compare_with()';
COMMENT ON COLUMN parity_runs.state IS
    'running; complete; incomplete: some tables could not be read; failed: see message; interrupted: its processes '
    'went away';
COMMENT ON COLUMN parity_runs.phase IS 'listing, functions, sequences, tables, verifying, finished';
COMMENT ON COLUMN parity_runs.algorithm IS 'du1 or sql1; checksums of one say nothing about those of the other';
COMMENT ON COLUMN parity_runs.options IS 'arguments of the call, without the connection string';
COMMENT ON COLUMN parity_runs.role IS
    'who called last, and with whose privileges the tables are read; its members see what the run has found';
COMMENT ON COLUMN parity_runs.role_name IS 'name of that role when it called';
COMMENT ON COLUMN parity_runs.started_at IS 'when the run began first';
COMMENT ON COLUMN parity_runs.finished_at IS 'when it ended, whichever way';
COMMENT ON COLUMN parity_runs.snapshots IS 'how many snapshots it has used up: one more for each resume';
COMMENT ON COLUMN parity_runs.exact IS
    'a write fence was up, and the last writer gone, whenever the run began or was resumed: nothing of this server '
    'changed meanwhile';
COMMENT ON COLUMN parity_runs.equal IS
    'comparison found no difference and could read everything; null before the end, and of checksums alone';
COMMENT ON COLUMN parity_runs.table_count IS 'tables read to the end';
COMMENT ON COLUMN parity_runs.row_count IS 'rows of those tables on this server';
COMMENT ON COLUMN parity_runs.bytes IS 'size of those tables on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_runs.duration IS 'from the beginning to the end, of a resumed run from the last resume on';
COMMENT ON COLUMN parity_runs.difference_count IS 'rows of parity_differences that count';
COMMENT ON COLUMN parity_runs.leader_pid IS 'process 0 of the run';
COMMENT ON COLUMN parity_runs.leader_started_at IS
    'when that process started, to know it from a later one of the same number';
COMMENT ON COLUMN parity_runs.sides IS
    'version, encoding and schema of the checksum functions of this server and the other one';
COMMENT ON COLUMN parity_runs.work IS 'where the present phase stands';
COMMENT ON COLUMN parity_runs.sqlstate IS 'of the error that ended the run';
COMMENT ON COLUMN parity_runs.message IS 'of that error';
COMMENT ON COLUMN parity_runs.detail IS 'of that error';
COMMENT ON COLUMN parity_runs.hint IS 'of that error';

CREATE TABLE parity_tables (
    run bigint NOT NULL REFERENCES parity_runs ON DELETE CASCADE,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'error')),
    phase text NOT NULL DEFAULT 'sum',
    strategy text NOT NULL CHECK (strategy IN ('range', 'key', 'own', 'ctid')),
    columns jsonb NOT NULL,
    key_columns jsonb,
    sides jsonb NOT NULL,
    bytes bigint NOT NULL,
    estimate bigint,
    worker integer,
    pid integer,
    started_at timestamptz,
    finished_at timestamptz,
    place jsonb NOT NULL DEFAULT '{}',
    work jsonb NOT NULL DEFAULT '{}',
    chunk bigint NOT NULL DEFAULT 5000,
    chunks integer NOT NULL DEFAULT 0,
    row_count bigint NOT NULL DEFAULT 0,
    checksum text NOT NULL DEFAULT repeat('0', 32),
    remote_row_count bigint NOT NULL DEFAULT 0,
    remote_checksum text NOT NULL DEFAULT repeat('0', 32),
    ms numeric NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    truncated boolean NOT NULL DEFAULT false,
    snapshot integer NOT NULL DEFAULT 1,
    first_snapshot integer NOT NULL DEFAULT 1,
    waiting_for text,
    problem text,
    sqlstate text,
    PRIMARY KEY (run, schema_name, table_name)
);
CREATE INDEX parity_tables_pending_idx ON parity_tables (run, bytes DESC, schema_name, table_name)
    WHERE state = 'pending';
CREATE INDEX parity_tables_running_idx ON parity_tables (run, worker) WHERE state = 'running';
COMMENT ON TABLE parity_tables IS
    'tables of a run: those that both sides of a comparison have with the same columns; not dumped';
COMMENT ON COLUMN parity_tables.run IS 'the run, see parity_runs';
COMMENT ON COLUMN parity_tables.schema_name IS 'schema of the table';
COMMENT ON COLUMN parity_tables.table_name IS 'name of the table, of each partition by itself';
COMMENT ON COLUMN parity_tables.state IS 'pending, running, done, or error: it could not be read, see problem';
COMMENT ON COLUMN parity_tables.phase IS 'bound, sum, buckets, rows, recheck, done';
COMMENT ON COLUMN parity_tables.strategy IS
    'range: both sides by the same ranges of the key; own: each side by blocks; here alone: key or ctid';
COMMENT ON COLUMN parity_tables.columns IS 'names and types, in the order of the names';
COMMENT ON COLUMN parity_tables.key_columns IS
    'primary key or other unique key that names a row: column, type, its operator for equality (null: compare as '
    'text); null when there is none';
COMMENT ON COLUMN parity_tables.sides IS 'per side: oid, file node, blocks and order of the columns when it was listed';
COMMENT ON COLUMN parity_tables.bytes IS 'size on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_tables.estimate IS 'rows as the planner''s statistics have it; null when they do not know';
COMMENT ON COLUMN parity_tables.worker IS 'number of the process that has it, or had it last';
COMMENT ON COLUMN parity_tables.pid IS 'that process';
COMMENT ON COLUMN parity_tables.started_at IS 'when it was begun first';
COMMENT ON COLUMN parity_tables.finished_at IS 'when it was done or given up';
COMMENT ON COLUMN parity_tables.place IS
    'how far it has been summed: bounds of the present range, or the next block of each side';
COMMENT ON COLUMN parity_tables.work IS 'where the search for differing rows stands';
COMMENT ON COLUMN parity_tables.chunk IS 'rows per range; it follows the time that a range takes';
COMMENT ON COLUMN parity_tables.chunks IS 'statements that summed so far';
COMMENT ON COLUMN parity_tables.row_count IS 'rows summed so far';
COMMENT ON COLUMN parity_tables.checksum IS 'their checksum';
COMMENT ON COLUMN parity_tables.remote_row_count IS 'rows summed so far on the other server';
COMMENT ON COLUMN parity_tables.remote_checksum IS 'their checksum';
COMMENT ON COLUMN parity_tables.ms IS 'milliseconds that its statements took, the slower side each time';
COMMENT ON COLUMN parity_tables.changed IS 'rows that differed at first and agreed when looked at again';
COMMENT ON COLUMN parity_tables.truncated IS 'it has more differing rows than were looked for';
COMMENT ON COLUMN parity_tables.snapshot IS 'which snapshot of the run its last rows are of';
COMMENT ON COLUMN parity_tables.first_snapshot IS 'and its first rows; not the same after a resume in the midst of it';
COMMENT ON COLUMN parity_tables.waiting_for IS 'what holds it up at the moment';
COMMENT ON COLUMN parity_tables.problem IS 'why it could not be read';
COMMENT ON COLUMN parity_tables.sqlstate IS 'of that problem';

CREATE TABLE parity_differences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run bigint NOT NULL REFERENCES parity_runs ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('table', 'row', 'sequence', 'extension', 'objects')),
    schema_name text,
    object_name text NOT NULL,
    difference text NOT NULL CHECK (difference IN ('missing', 'extra', 'different', 'structure', 'error')),
    key jsonb,
    local text,
    remote text,
    detail text,
    confirmed boolean NOT NULL DEFAULT true,
    looked_for jsonb
);
CREATE INDEX parity_differences_run_idx ON parity_differences (run, schema_name, object_name);
COMMENT ON TABLE parity_differences IS 'what comparisons found, and what table_checksums() could not read; not dumped';
COMMENT ON COLUMN parity_differences.id IS 'in the order of finding';
COMMENT ON COLUMN parity_differences.run IS 'the run, see parity_runs';
COMMENT ON COLUMN parity_differences.kind IS 'table, row, sequence, extension, objects';
COMMENT ON COLUMN parity_differences.schema_name IS 'schema of the object; null for extensions';
COMMENT ON COLUMN parity_differences.object_name IS
    'name of the table, sequence or extension, or the kind of objects that were counted';
COMMENT ON COLUMN parity_differences.difference IS
    'missing: not there on the other server; extra: only there; different; structure: columns differ; error: could '
    'not be read';
COMMENT ON COLUMN parity_differences.key IS 'key of the row; null when its table has none';
COMMENT ON COLUMN parity_differences.local IS 'what is here; of a row its columns, long values cut';
COMMENT ON COLUMN parity_differences.remote IS 'what is there';
COMMENT ON COLUMN parity_differences.detail IS 'for people';
COMMENT ON COLUMN parity_differences.confirmed IS 'false: a row that differed and has not been looked at again yet';
COMMENT ON COLUMN parity_differences.looked_for IS 'how to find the row again';

CREATE FUNCTION documentdb_upgrade_internal.parity_is_alive(run parity_runs) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT run.state = 'running' AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = run.leader_pid
                                             AND a.backend_start IS NOT DISTINCT FROM run.leader_started_at)
$$;
COMMENT ON FUNCTION parity_is_alive(parity_runs) IS
    'serves the parity functions: whether the processes of a run are there';

CREATE VIEW parity_progress AS
    SELECT r.id AS run, r.kind,
           CASE WHEN documentdb_upgrade_internal.parity_is_alive(r) THEN 'running' ELSE 'interrupted' END AS run_state,
           r.phase AS run_phase, t.schema_name, t.table_name, t.state, t.phase, t.strategy,
           t.row_count AS rows_done, t.estimate,
           CASE WHEN t.state = 'done' THEN 100
                WHEN t.state = 'pending' AND t.row_count = 0 THEN 0
                ELSE p.percent END AS percent,
           t.bytes, t.pid,
           CASE WHEN t.state = 'running' AND t.phase IN ('bound', 'sum') AND p.percent >= 1
                THEN make_interval(secs => (extract(epoch FROM clock_timestamp() - t.started_at)
                                            * (100 - p.percent) / p.percent)::integer) END AS eta,
           t.waiting_for
    FROM documentdb_upgrade.parity_runs r
    LEFT JOIN documentdb_upgrade.parity_tables t ON t.run = r.id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN t.estimate > 0 THEN least(99, round(100.0 * t.row_count / t.estimate)) END AS percent) p
    WHERE r.state = 'running'
    ORDER BY r.id, t.state <> 'running', t.bytes DESC, t.schema_name, t.table_name;
COMMENT ON VIEW parity_progress IS
    'tables of the runs that have not ended, one row each; a run that is still listing has one row without a table';
COMMENT ON COLUMN parity_progress.run IS 'the run';
COMMENT ON COLUMN parity_progress.kind IS 'checksums or comparison';
COMMENT ON COLUMN parity_progress.run_state IS 'running; interrupted: its processes are gone, resume takes it up again';
COMMENT ON COLUMN parity_progress.run_phase IS 'listing, functions, sequences, tables, verifying';
COMMENT ON COLUMN parity_progress.schema_name IS 'schema of the table';
COMMENT ON COLUMN parity_progress.table_name IS 'name of the table';
COMMENT ON COLUMN parity_progress.state IS 'pending, running, done, error';
COMMENT ON COLUMN parity_progress.phase IS
    'bound and sum: reading the table; buckets and rows: looking for rows that differ; recheck: looking at those '
    'again';
COMMENT ON COLUMN parity_progress.strategy IS 'range, key, own, ctid; see parity_tables';
COMMENT ON COLUMN parity_progress.rows_done IS 'rows of this server summed so far';
COMMENT ON COLUMN parity_progress.estimate IS
    'rows as the planner''s statistics have it; null when the table was never analyzed';
COMMENT ON COLUMN parity_progress.percent IS
    'of that estimate, 99 at the most before the table is done; null without an estimate';
COMMENT ON COLUMN parity_progress.bytes IS 'size on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_progress.pid IS 'process that has the table, or had it';
COMMENT ON COLUMN parity_progress.eta IS 'time left for this table at its pace so far; null when that cannot be told';
COMMENT ON COLUMN parity_progress.waiting_for IS
    'what holds it up at the moment: replication, load, or rows that may still be on their way';

-- Statements for either side; the other one may be a PostgreSQL 13.

--
-- Parity: what there is on both sides
--

CREATE FUNCTION documentdb_upgrade_internal.parity_names(tables text[]) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted text;
    parts text[];
    result jsonb := '[]';
BEGIN
    FOREACH wanted IN ARRAY tables LOOP
        -- As in a query, or else to the letter.
        BEGIN
            parts := parse_ident(wanted);
        EXCEPTION WHEN invalid_parameter_value THEN
            parts := ARRAY[wanted];
        END;
        IF wanted IS NULL OR cardinality(parts) > 2 THEN
            RAISE EXCEPTION 'table name "%" is not valid', wanted
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Give names as schema.table, or just table.';
        END IF;
        result := result || jsonb_build_object('wanted', wanted,
            'schema', CASE cardinality(parts) WHEN 2 THEN parts[1] END, 'name', parts[cardinality(parts)]);
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION parity_names(text[]) IS 'serves the parity functions: names of tables taken apart';

CREATE FUNCTION documentdb_upgrade_internal.parity_listing(options jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH scope (in_schemas, in_tables) AS (
        SELECT CASE WHEN options ? 'schemas'
                    THEN format('n.nspname = ANY (ARRAY(SELECT json_array_elements_text(%L)))', options->'schemas')
                    ELSE 'true' END,
               CASE WHEN options ? 'tables' THEN 'c.oid IN (SELECT m.oid FROM named m)' ELSE 'true' END)
    SELECT format($listing$
WITH ours AS MATERIALIZED (
    SELECT d.classid, d.objid, e.extname IN ('documentdb_upgrade', 'documentdb_upgrade_parity') AS own
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'),
-- Asking for the size of a table that is locked would wait.
locked AS MATERIALIZED (
    SELECT DISTINCT l.relation FROM pg_locks l WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())),
schema_of AS MATERIALIZED (
    SELECT n.oid, n.nspname FROM pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND %1$s),
named AS MATERIALIZED (
    SELECT c.oid, w.wanted
    FROM json_to_recordset(%3$L) AS w(wanted text, schema text, name text)
    JOIN pg_class p ON p.relkind IN ('r', 'p', 'm') AND p.relpersistence <> 't'
    JOIN pg_namespace n ON n.oid = p.relnamespace AND n.nspname !~ '^pg_temp'
     AND (n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') OR p.oid = 'pg_largeobject'::regclass)
     AND (w.wanted IN (p.relname, n.nspname || '.' || p.relname)
          OR w.name = p.relname AND coalesce(w.schema, n.nspname) = n.nspname)
    JOIN pg_class c ON c.oid = p.oid
      OR p.relkind = 'p' AND c.relispartition AND c.oid IN (SELECT relid FROM pg_partition_tree(p.oid))),
relation AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relpages, l.relation IS NOT NULL AS is_locked,
           coalesce(nullif(c.relfilenode, 0), pg_relation_filenode(c.oid)) AS filenode
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN locked l ON l.relation = c.oid
    WHERE (c.relkind = 'r' OR c.relkind = 'm' AND c.relispopulated) AND c.relpersistence <> 't' AND %2$s
      AND (n.oid IN (SELECT s.oid FROM schema_of s)
           OR c.oid = 'pg_largeobject'::regclass AND %1$s AND EXISTS (SELECT FROM pg_largeobject_metadata))
      AND NOT EXISTS (SELECT FROM ours o WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.own)),
column_of AS (
    SELECT a.attrelid,
           json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attname) AS list,
           json_agg(a.attname ORDER BY a.attnum) AS physical
    FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY 1),
key_of AS (
    SELECT i.indrelid, json_agg(json_build_object('columns', k.list, 'sorted', k.sorted, 'everywhere', k.everywhere)
               ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid) AS list
    FROM pg_index i JOIN relation r ON r.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid,
    LATERAL (
        SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
                                         CASE WHEN ty.typtype = 'b' AND ty.typcategory <> 'A'
                                              THEN format('OPERATOR(%%I.%%s)', en.nspname, e.oprname) END)
                               ORDER BY u.n) AS list,
               bool_and(a.attnotnull) AS usable,
               -- in the order that comparing with < also gives
               bool_and(i.indoption[u.n - 1] = 0 AND i.indcollation[u.n - 1] = a.attcollation
                        AND o.opcdefault AND tn.nspname = 'pg_catalog' AND en.nspname = 'pg_catalog'
                        AND ty.typtype = 'b') AS sorted,
               bool_and(a.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'oid'::regtype,
                                       'numeric'::regtype, 'uuid'::regtype, 'date'::regtype, 'time'::regtype,
                                       'timetz'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype,
                                       'bytea'::regtype, 'boolean'::regtype)
                        OR a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'name'::regtype)
                           AND (co.collname IN ('C', 'POSIX') AND co.collnamespace = 'pg_catalog'::regnamespace
                                OR co.collprovider = 'd' AND db.datcollate IN ('C', 'POSIX')
                                   AND coalesce(to_jsonb(db)->>'datlocprovider', 'c') = 'c')) AS everywhere
        FROM unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS u(attnum, class, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
        JOIN pg_type ty ON ty.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = ty.typnamespace
        JOIN pg_opclass o ON o.oid = u.class
        LEFT JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype
          AND m.amoprighttype = o.opcintype AND m.amopstrategy = 3 AND m.amopmethod = x.relam
        LEFT JOIN pg_operator e ON e.oid = m.amopopr LEFT JOIN pg_namespace en ON en.oid = e.oprnamespace
        LEFT JOIN pg_collation co ON co.oid = a.attcollation
        CROSS JOIN (SELECT * FROM pg_database WHERE datname = current_database()) db
        WHERE u.n <= i.indnkeyatts) k
    WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.usable
      AND x.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
    GROUP BY 1)
SELECT json_build_object(
    'version', current_setting('server_version_num')::integer,
    'encoding', (SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()),
    'block', current_setting('block_size')::integer,
    'loses_rows', coalesce(current_setting('old_snapshot_threshold', true), '-1') <> '-1',
    'functions', (SELECT json_agg(n.nspname ORDER BY n.nspname)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        JOIN ours o ON o.classid = 'pg_proc'::regclass AND o.objid = p.oid AND o.own
        WHERE p.proname = 'row_checksum' AND n.nspname IN ('documentdb_upgrade', 'documentdb_upgrade_parity')
          AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')),
    'schemas', (SELECT json_agg(s.nspname ORDER BY s.nspname) FROM schema_of s),
    'named', (SELECT json_agg(DISTINCT m.wanted) FROM named m),
    'tables', (SELECT json_agg(json_build_object('schema', r.nspname, 'name', r.relname,
                   'columns', coalesce(c.list, '[]'), 'physical', coalesce(c.physical, '[]'), 'keys', k.list,
                   'oid', r.oid, 'filenode', r.filenode, 'estimate', nullif(r.reltuples, -1)::bigint,
                   'blocks', CASE WHEN r.is_locked THEN r.relpages
                                  ELSE pg_relation_size(r.oid) / current_setting('block_size')::integer END,
                   'bytes', CASE WHEN r.is_locked THEN r.relpages::bigint * current_setting('block_size')::integer
                                 ELSE coalesce(pg_table_size(r.oid), 0) END))
               FROM relation r LEFT JOIN column_of c ON c.attrelid = r.oid
               LEFT JOIN key_of k ON k.indrelid = r.oid)%4$s)
$listing$, in_schemas, in_tables, coalesce(options->'tables', '[]'),
        CASE WHEN options->>'kind' = 'comparison' THEN format($comparison$,
    'sequences', (SELECT json_agg(json_build_array(s.nspname, c.relname, has_sequence_privilege(c.oid, 'SELECT'))
                                  ORDER BY s.nspname, c.relname)
        FROM pg_class c JOIN schema_of s ON s.oid = c.relnamespace
        WHERE c.relkind = 'S' AND c.relpersistence <> 't'
          AND NOT EXISTS (SELECT FROM ours o WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.own)
          AND (%1$L OR EXISTS (SELECT FROM pg_depend d JOIN named m ON m.oid = d.refobjid
                               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                 AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))),
    'extensions', (SELECT json_agg(json_build_array(e.extname, e.extversion) ORDER BY e.extname) FROM pg_extension e
        WHERE %2$L AND e.extname NOT IN ('documentdb_upgrade', 'documentdb_upgrade_parity')),
    'objects', (SELECT json_agg(json_build_array(g.nspname, g.kind, g.n) ORDER BY g.nspname, g.kind) FROM (
        SELECT s.nspname, o.kind, count(*) AS n
        FROM schema_of s JOIN (
            SELECT c.relnamespace AS schema, 'pg_class'::regclass AS class, c.oid,
                   CASE c.relkind WHEN 'r' THEN 'tables' WHEN 'p' THEN 'partitioned tables'
                        WHEN 'v' THEN 'views' WHEN 'm' THEN 'materialized views'
                        WHEN 'i' THEN 'indexes' WHEN 'I' THEN 'partitioned indexes' WHEN 'S' THEN 'sequences'
                        WHEN 'f' THEN 'foreign tables' END AS kind
            FROM pg_class c WHERE c.relpersistence <> 't'
            UNION ALL
            SELECT p.pronamespace, 'pg_proc'::regclass, p.oid,
                   CASE p.prokind WHEN 'a' THEN 'aggregates' WHEN 'p' THEN 'procedures' ELSE 'functions' END
            FROM pg_proc p
            WHERE NOT EXISTS (SELECT FROM pg_depend d
                              WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
            UNION ALL
            SELECT t.typnamespace, 'pg_type'::regclass, t.oid,
                   CASE t.typtype WHEN 'd' THEN 'domains' WHEN 'e' THEN 'enums' WHEN 'r' THEN 'ranges'
                        ELSE 'composite types' END
            FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE t.typtype IN ('d', 'e', 'r') OR c.relkind = 'c'
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid,
                   CASE k.contype WHEN 'p' THEN 'primary keys' WHEN 'u' THEN 'unique constraints'
                        WHEN 'f' THEN 'foreign keys' WHEN 'c' THEN 'check constraints'
                        WHEN 'x' THEN 'exclusion constraints' END
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
            WHERE k.contype IN ('p', 'u', 'c', 'x') OR k.contype = 'f' AND k.conparentid = 0
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid, 'triggers'
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid, 'policies'
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
            UNION ALL
            SELECT o.oprnamespace, 'pg_operator'::regclass, o.oid, 'operators' FROM pg_operator o) o ON o.schema = s.oid
        WHERE %3$L AND o.kind IS NOT NULL
          AND NOT EXISTS (SELECT FROM ours m WHERE m.classid = o.class AND m.objid = o.oid)
          AND NOT EXISTS (SELECT FROM pg_index i
                          JOIN ours m ON m.classid = 'pg_class'::regclass AND m.objid = i.indrelid
                          WHERE o.class = 'pg_class'::regclass AND i.indexrelid = o.oid)
        GROUP BY 1, 2) g)$comparison$,
            NOT options ? 'tables', NOT options ?| '{tables,schemas}', NOT options ? 'tables') ELSE '' END)
    FROM scope
$$;
COMMENT ON FUNCTION parity_listing(jsonb) IS
    'serves the parity functions: the statement that lists the tables in scope and, for a comparison, sequences, '
    'extensions and counts of objects';

CREATE FUNCTION documentdb_upgrade_internal.parity_pairs(run parity_runs, here jsonb, there jsonb,
                             OUT schema_name text, OUT table_name text, OUT columns jsonb, OUT key_columns jsonb,
                             OUT strategy text, OUT sides jsonb, OUT bytes bigint, OUT estimate bigint, OUT place jsonb)
    RETURNS SETOF record
    LANGUAGE sql STABLE ROWS 1000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH listed AS (
        SELECT s.side, x.*,
               jsonb_build_object(s.side, jsonb_build_object('oid', x.oid, 'filenode', x.filenode, 'blocks', x.blocks,
                                                             'columns', x.physical)) AS sides,
               -- Ranges of blocks are found without reading all of them since 14.
               jsonb_build_object(s.side, jsonb_build_object('block', 0,
                   'step', CASE WHEN x.blocks > 256 AND (s.side = 'local' OR (s.list->>'version')::integer >= 140000)
                                THEN 256 END)) AS place
        FROM (VALUES ('local', here), ('remote', there)) AS s(side, list),
             jsonb_to_recordset(s.list->'tables')
                 AS x(schema text, name text, columns jsonb, keys jsonb, physical jsonb, oid bigint, filenode bigint,
                      estimate bigint, blocks bigint, bytes bigint)),
    paired AS (
        SELECT schema, name, l.columns, k.list, l.bytes, l.estimate, greatest(l.bytes, r.bytes) AS most,
               CASE WHEN run.kind = 'checksums' THEN CASE WHEN k.sorted THEN 'key' ELSE 'ctid' END
                    ELSE CASE WHEN k.everywhere AND k.sorted THEN 'range' ELSE 'own' END END AS strategy,
               l.sides || coalesce(r.sides, '{}') AS sides, l.place || coalesce(r.place, '{}') AS blocks
        FROM (SELECT * FROM listed WHERE side = 'local') l
        LEFT JOIN (SELECT * FROM listed WHERE side = 'remote') r USING (schema, name)
        LEFT JOIN LATERAL (
            SELECT k.key->'columns' AS list,
                   (k.key->>'sorted')::boolean AND coalesce((o.key->>'sorted')::boolean, true) AS sorted,
                   (k.key->>'everywhere')::boolean AND (o.key->>'everywhere')::boolean AS everywhere
            FROM jsonb_array_elements(nullif(l.keys, 'null')) WITH ORDINALITY AS k(key, n)
            LEFT JOIN jsonb_array_elements(nullif(r.keys, 'null')) AS o(key) ON o.key->'columns' = k.key->'columns'
            WHERE run.kind = 'checksums' OR o.key IS NOT NULL
            ORDER BY CASE run.kind
                     WHEN 'checksums' THEN (k.key->>'sorted')::boolean
                     ELSE (k.key->>'everywhere')::boolean AND (o.key->>'everywhere')::boolean
                          AND (k.key->>'sorted')::boolean AND (o.key->>'sorted')::boolean END DESC, k.n
            LIMIT 1) k ON true
        WHERE run.kind = 'checksums' OR r.columns = l.columns)
    SELECT p.schema, p.name, p.columns, p.list, p.strategy, p.sides, p.bytes, p.estimate,
           CASE WHEN p.strategy IN ('own', 'ctid') THEN p.blocks
                WHEN p.most <= 1048576 THEN '{"from": null, "to": null}'
                ELSE '{"from": null}' END::jsonb
    FROM paired p
$$;
COMMENT ON FUNCTION parity_pairs(parity_runs, jsonb, jsonb) IS
    'serves the parity functions: of two lists the tables whose contents can be compared, with the key and the way '
    'of reading that both sides offer';

CREATE FUNCTION documentdb_upgrade_internal.parity_refuse_listing(r parity_runs, here jsonb, there jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    no_schema constant text := (
        SELECT s.name FROM jsonb_array_elements_text(r.options->'schemas') AS s(name)
        WHERE NOT coalesce(here->'schemas' ? s.name, false) AND NOT coalesce(there->'schemas' ? s.name, false) LIMIT 1);
    no_table constant text := (
        SELECT w.name->>'wanted' FROM jsonb_array_elements(r.options->'tables') AS w(name)
        WHERE NOT coalesce(here->'named' ? (w.name->>'wanted'), false)
          AND NOT coalesce(there->'named' ? (w.name->>'wanted'), false) LIMIT 1);
    code text;
    message text;
    hint text;
BEGIN
    IF there->>'encoding' <> here->>'encoding' THEN
        code := '55000';
        message := format('the other database has encoding %s, this one %s', there->>'encoding', here->>'encoding');
        hint := 'Checksums of texts can be compared in one encoding only.';
    ELSIF (here->>'loses_rows')::boolean OR (there->>'loses_rows')::boolean THEN
        -- Who has imported a snapshot is not told that it is too old.
        code := '55000';
        message := format('old_snapshot_threshold is set on %s server: rows may be lost to a snapshot without an error',
                          CASE WHEN (here->>'loses_rows')::boolean THEN 'this' ELSE 'the other' END);
        hint := 'Set old_snapshot_threshold = -1 there, which takes a restart.';
    ELSIF r.algorithm = 'du1' AND here->'functions'->>0 IS NULL THEN
        code := '42501';
        message := 'permission denied for function row_checksum';
        hint := format('GRANT EXECUTE ON FUNCTION documentdb_upgrade.row_checksum(record), '
                       'documentdb_upgrade.record_checksum(record), documentdb_upgrade.checksum_algorithm() TO %I;',
                       r.role_name);
    ELSIF r.algorithm = 'du1' AND r.kind = 'comparison' AND there->'functions'->>0 IS NULL THEN
        code := '0A000';
        message := 'the other database offers no function row_checksum to this role';
        hint := 'Install extension documentdb_upgrade_parity there and let the role execute its functions, '
                'or call with algorithm => ''sql''.';
    ELSIF no_schema IS NOT NULL THEN
        code := '3F000';
        message := format('schema "%s" does not exist', no_schema);
    ELSIF no_table IS NOT NULL THEN
        code := '42P01';
        message := format('table "%s" does not exist', no_table);
        hint := 'Only ordinary, partitioned and materialized ones have contents of their own; '
                'temporary and system tables are left out.';
    ELSE
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('sqlstate', code, 'message', message, 'hint', hint);
END
$$;
COMMENT ON FUNCTION parity_refuse_listing(parity_runs, jsonb, jsonb) IS
    'serves the parity functions: why a run cannot go on with these lists, as an error; null when it can';

CREATE FUNCTION documentdb_upgrade_internal.parity_compare_listings(r parity_runs, here jsonb, there jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH tables AS (
        SELECT schema, name, l.columns AS here, r.columns AS there
        FROM jsonb_to_recordset(here->'tables') AS l(schema text, name text, columns jsonb)
        FULL JOIN jsonb_to_recordset(there->'tables') AS r(schema text, name text, columns jsonb) USING (schema, name)),
    extensions AS (
        SELECT name, l.v->>1 AS here, r.v->>1 AS there
        FROM (SELECT v, v->>0 AS name FROM jsonb_array_elements(nullif(here->'extensions', 'null')) v) l
        FULL JOIN (SELECT v, v->>0 AS name FROM jsonb_array_elements(nullif(there->'extensions', 'null')) v) r
            USING (name)),
    objects AS (
        SELECT schema, kind, coalesce((l.v->>2)::bigint, 0) AS here, coalesce((r.v->>2)::bigint, 0) AS there
        FROM (SELECT v, v->>0 AS schema, v->>1 AS kind
              FROM jsonb_array_elements(nullif(here->'objects', 'null')) v) l
        FULL JOIN (SELECT v, v->>0 AS schema, v->>1 AS kind
                   FROM jsonb_array_elements(nullif(there->'objects', 'null')) v) r USING (schema, kind)),
    sequences AS (
        SELECT schema, name, l.v AS here, r.v AS there
        FROM (SELECT v, v->>0 AS schema, v->>1 AS name
              FROM jsonb_array_elements(nullif(here->'sequences', 'null')) v) l
        FULL JOIN (SELECT v, v->>0 AS schema, v->>1 AS name
                   FROM jsonb_array_elements(nullif(there->'sequences', 'null')) v) r USING (schema, name)),
    found AS (
        SELECT 'extension' AS kind, NULL AS schema, e.name, e.here, e.there,
               CASE WHEN e.there IS NULL THEN 'missing' WHEN e.here IS NULL THEN 'extra'
                    ELSE 'different' END AS difference, NULL AS detail
        FROM extensions e WHERE e.here IS DISTINCT FROM e.there
        UNION ALL
        SELECT 'objects', o.schema, o.kind, o.here::text, o.there::text, 'different', NULL
        FROM objects o WHERE o.here <> o.there
        UNION ALL
        SELECT 'sequence', s.schema, s.name, NULL, NULL,
               CASE WHEN s.there IS NULL THEN 'missing' WHEN s.here IS NULL THEN 'extra' ELSE 'error' END,
               CASE WHEN s.here IS NOT NULL AND s.there IS NOT NULL
                    THEN format('42501: permission denied for sequence %s%s', s.name,
                                CASE WHEN (s.here->>2)::boolean THEN ' on the other server' ELSE '' END) END
        FROM sequences s
        WHERE s.here IS NULL OR s.there IS NULL OR NOT ((s.here->>2)::boolean AND (s.there->>2)::boolean)
        UNION ALL
        SELECT 'table', t.schema, t.name, c.here, c.there,
               CASE WHEN t.there IS NULL THEN 'missing' WHEN t.here IS NULL THEN 'extra' ELSE 'structure' END,
               CASE WHEN t.here IS NOT NULL AND t.there IS NOT NULL
                    THEN 'columns differ; contents were not compared' END
        FROM tables t,
        -- The columns that only one of the two has.
        LATERAL (
            SELECT string_agg(a.text, ', ' ORDER BY a.name COLLATE "C") FILTER (WHERE a.side = 1) AS here,
                   string_agg(a.text, ', ' ORDER BY a.name COLLATE "C") FILTER (WHERE a.side = 2) AS there
            FROM (SELECT e.side, e.v->>0 AS name, format('%s %s', e.v->>0, e.v->>1) AS text,
                         count(*) OVER (PARTITION BY e.v) AS sides
                  FROM (SELECT 1 AS side, v FROM jsonb_array_elements(t.here) v
                        UNION ALL SELECT 2, v FROM jsonb_array_elements(t.there) v) e
                  WHERE t.here IS NOT NULL AND t.there IS NOT NULL) a
            WHERE a.sides = 1) c
        WHERE t.here IS DISTINCT FROM t.there)
    INSERT INTO documentdb_upgrade.parity_differences
            (run, kind, schema_name, object_name, difference, local, remote, detail)
        SELECT r.id, f.kind, f.schema, f.name, f.difference, f.here, f.there, f.detail FROM found f
        ORDER BY f.kind, f.schema COLLATE "C", f.name COLLATE "C"
$$;
COMMENT ON FUNCTION parity_compare_listings(parity_runs, jsonb, jsonb) IS
    'serves the parity functions: notes what the lists alone show to be different';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_listing(r parity_runs, here jsonb, there jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Of an earlier round stay the tables that were read to the end, and those
    -- that are half read in the order of a key that is still the same.
    DELETE FROM documentdb_upgrade.parity_tables t
        WHERE t.run = r.id AND t.state <> 'done'
          AND NOT (t.chunks > 0 AND t.strategy IN ('range', 'key')
                   AND (t.schema_name, t.table_name, t.columns, t.key_columns, t.strategy) IN (
                       SELECT p.schema_name, p.table_name, p.columns, p.key_columns, p.strategy
                       FROM documentdb_upgrade_internal.parity_pairs(r, here, there) p));
    DELETE FROM documentdb_upgrade.parity_differences d
        WHERE d.run = r.id
          AND NOT EXISTS (SELECT FROM documentdb_upgrade.parity_tables t
                          WHERE t.run = r.id AND t.schema_name = d.schema_name AND t.table_name = d.object_name
                            AND (d.kind = 'row' OR d.kind = 'table' AND t.state = 'done'));
    INSERT INTO documentdb_upgrade.parity_tables AS t
            (run, schema_name, table_name, phase, strategy, columns, key_columns, sides, bytes, estimate, place,
             snapshot, first_snapshot)
        SELECT r.id, p.schema_name, p.table_name,
               CASE WHEN p.place ? 'from' AND NOT p.place ? 'to' THEN 'bound' ELSE 'sum' END,
               p.strategy, p.columns, p.key_columns, p.sides, p.bytes, p.estimate, p.place, r.snapshots, r.snapshots
        FROM documentdb_upgrade_internal.parity_pairs(r, here, there) p
        ON CONFLICT (run, schema_name, table_name) DO UPDATE
            SET state = 'pending', phase = CASE WHEN t.phase IN ('bound', 'recheck') THEN t.phase ELSE 'sum' END,
                sides = EXCLUDED.sides, snapshot = r.snapshots, work = '{}', problem = NULL, sqlstate = NULL,
                finished_at = NULL, waiting_for = NULL
            WHERE t.state <> 'done';
    IF r.kind = 'comparison' THEN
        PERFORM documentdb_upgrade_internal.parity_compare_listings(r, here, there);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_take_listing(parity_runs, jsonb, jsonb) IS
    'serves the parity functions: notes the tables to be read; of a resumed run those that are left';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_second_listing(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH now AS (
        SELECT s.side, x.schema, x.name, x.oid, x.filenode, x.columns
        FROM (VALUES ('local'), ('remote')) AS s(side),
        LATERAL jsonb_to_recordset(nullif(answer->s.side->'value'->'tables', 'null'))
            AS x(schema text, name text, oid bigint, filenode bigint, columns jsonb)),
    altered AS (
        SELECT t.schema_name, t.table_name,
               min(CASE WHEN n.columns IS DISTINCT FROM t.columns THEN 'columns changed during the run'
                        ELSE 'table was rewritten or truncated during the run' END
                   || CASE s.key WHEN 'remote' THEN ' (on the other server)' ELSE '' END) AS problem
        FROM documentdb_upgrade.parity_tables t CROSS JOIN LATERAL jsonb_each(t.sides) s
        JOIN now n ON n.side = s.key AND n.schema = t.schema_name AND n.name = t.table_name
        WHERE t.run = r.id AND t.state = 'done' AND t.snapshot = r.snapshots
          AND (n.columns IS DISTINCT FROM t.columns
               OR n.filenode IS DISTINCT FROM (s.value->>'filenode')::bigint OR n.oid <> (s.value->>'oid')::bigint)
        GROUP BY 1, 2),
    gone AS (
        DELETE FROM documentdb_upgrade.parity_differences d USING altered a
        WHERE d.run = r.id AND d.schema_name = a.schema_name AND d.object_name = a.table_name
          AND d.kind IN ('table', 'row')),
    noted AS (
        INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, detail)
        SELECT r.id, 'table', a.schema_name, a.table_name, 'error', '40001: ' || a.problem FROM altered a)
    UPDATE documentdb_upgrade.parity_tables t SET state = 'error', problem = a.problem, sqlstate = '40001', chunks = 0
        FROM altered a WHERE t.run = r.id AND t.schema_name = a.schema_name AND t.table_name = a.table_name
$$;
COMMENT ON FUNCTION parity_take_second_listing(parity_runs, jsonb) IS
    'serves the parity functions: takes the result of a table back when it was altered, rewritten or truncated '
    'meanwhile: such changes are seen under an old snapshot too';

--
-- Parity: the statements about one table
--

-- They are made for one side: with the schema of the checksum functions there,
-- or without one for algorithm sql1.  Values become texts by concat(), which
-- knows output functions only: a cast may be anybody's function.

CREATE FUNCTION documentdb_upgrade_internal.parity_row(t parity_tables, functions text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    IF functions IS NOT NULL THEN
        RETURN format('%I.record_checksum(t.*)', functions);
    END IF;
    RETURN (SELECT format('md5(%s)', coalesce(string_agg(
                format('CASE num_nulls(t.%1$I) WHEN 0 THEN length(concat(t.%1$I)) || '':'' || concat(t.%1$I) '
                       'ELSE ''-'' END', c.v->>0), ' || ' ORDER BY c.n), ''''''))
            FROM jsonb_array_elements(t.columns) WITH ORDINALITY AS c(v, n));
END
$$;
COMMENT ON FUNCTION parity_row(parity_tables, text) IS
    'serves the parity functions: the expression for the checksum of a row; that of algorithm sql1: columns by name, '
    'each length:text or - for null, MD5';

CREATE FUNCTION documentdb_upgrade_internal.parity_hash(t parity_tables, functions text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    IF t.key_columns IS NULL THEN
        RETURN documentdb_upgrade_internal.parity_row(t, functions);
    ELSIF functions IS NOT NULL THEN
        RETURN (SELECT format('%I.record_checksum(ROW(%s))', functions,
                              string_agg(format('t.%I', k.v->>0), ', ' ORDER BY k.n))
                FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
    END IF;
    RETURN (SELECT format('md5(%s)', string_agg(
                format('length(concat(t.%1$I)) || '':'' || concat(t.%1$I)', k.v->>0), ' || ' ORDER BY k.n))
            FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
END
$$;
COMMENT ON FUNCTION parity_hash(parity_tables, text) IS
    'serves the parity functions: the expression that assigns a row to a bucket: of its key, or of all of it when the '
    'table has no key';

CREATE FUNCTION documentdb_upgrade_internal.parity_key(t parity_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT format('json_build_array(%s)', string_agg(format('concat(t.%I)', k.v->>0), ', ' ORDER BY k.n))
            FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
END
$$;
COMMENT ON FUNCTION parity_key(parity_tables) IS
    'serves the parity functions: the expression for the key of a row as texts';

CREATE FUNCTION documentdb_upgrade_internal.parity_bound(t parity_tables, operator text, bound jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    IF bound IS NULL OR bound = 'null' THEN
        RETURN 'true';
    END IF;
    RETURN (SELECT format(CASE WHEN count(*) = 1 THEN '%s %s %s' ELSE '(%s) %s (%s)' END,
                          string_agg(format('t.%I', k.v->>0), ', ' ORDER BY k.n), operator,
                          string_agg(format('%L::%s', bound->>(k.n - 1)::integer, k.v->>1), ', ' ORDER BY k.n))
            FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
END
$$;
COMMENT ON FUNCTION parity_bound(parity_tables, text, jsonb) IS
    'serves the parity functions: the condition that a key lies beyond, or not beyond, a bound; true without a bound';

CREATE FUNCTION documentdb_upgrade_internal.parity_next_bound(t parity_tables, start jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    names constant text := (SELECT string_agg(format('t.%I', k.v->>0), ', ' ORDER BY k.n)
                            FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
BEGIN
    -- The rows that are skipped are not made texts of.
    RETURN format('SELECT %s FROM (SELECT %s FROM ONLY %I.%I AS t WHERE %s ORDER BY %s OFFSET %s LIMIT 1) AS t',
                  documentdb_upgrade_internal.parity_key(t), names, t.schema_name, t.table_name,
                  documentdb_upgrade_internal.parity_bound(t, '>', start), names, t.chunk - 1);
END
$$;
COMMENT ON FUNCTION parity_next_bound(parity_tables, jsonb) IS
    'serves the parity functions: the query for the key that ends the range after a key; no row when fewer rows are '
    'left';

CREATE FUNCTION documentdb_upgrade_internal.parity_condition(t parity_tables, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    block constant bigint := t.place->side->>'block';
    next_block constant bigint := block + (t.place->side->>'step')::bigint;
BEGIN
    IF t.strategy IN ('range', 'key') THEN
        RETURN documentdb_upgrade_internal.parity_bound(t, '>', t.place->'from') || ' AND '
               || documentdb_upgrade_internal.parity_bound(t, '<=', t.place->'to');
    ELSIF t.phase = 'sum' AND next_block < (t.sides->side->>'blocks')::bigint THEN
        RETURN format('t.ctid >= ''(%s,0)''::tid AND t.ctid < ''(%s,0)''::tid', block, next_block);
    ELSIF t.phase = 'sum' AND next_block IS NOT NULL THEN
        RETURN format('t.ctid >= ''(%s,0)''::tid', block);
    END IF;
    RETURN 'true';
END
$$;
COMMENT ON FUNCTION parity_condition(parity_tables, text) IS
    'serves the parity functions: which rows are being summed: a range of keys, some blocks (the last ones without an '
    'end), or all; all of them too where each side has its own blocks and differing rows are looked for';

CREATE FUNCTION documentdb_upgrade_internal.parity_row_sum(t parity_tables, functions text, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    -- The faster one of the two takes no more than 99 columns.
    RETURN (SELECT CASE WHEN count(*) BETWEEN 1 AND 98
                        THEN format('%I.columns_checksum(NULL::%I.%I, %s)', functions, t.schema_name, t.table_name,
                                    string_agg(format('t.%I', c.name), ', ' ORDER BY c.n))
                        ELSE format('%I.row_checksum(t.*)', functions) END
            FROM jsonb_array_elements_text(t.sides->side->'columns') WITH ORDINALITY AS c(name, n));
END
$$;
COMMENT ON FUNCTION parity_row_sum(parity_tables, text, text) IS
    'serves the parity functions: the expression for the checksum of many rows';

CREATE FUNCTION documentdb_upgrade_internal.parity_sums(t parity_tables, functions text, side text,
                                                        digits integer DEFAULT 0) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    condition constant text := documentdb_upgrade_internal.parity_condition(t, side);
    bucket text := 'NULL::text';
    outer_bucket text := 'NULL::text';
    grouping text := '';
BEGIN
    IF digits > 0 THEN
        bucket := format('left(%s, %s)', documentdb_upgrade_internal.parity_hash(t, functions), digits);
        outer_bucket := 's.bucket';
        grouping := ' GROUP BY 1';
    END IF;
    IF functions IS NOT NULL THEN
        RETURN format('SELECT %s AS bucket, count(*) AS n, %s AS checksum FROM ONLY %I.%I AS t WHERE %s', bucket,
                      documentdb_upgrade_internal.parity_row_sum(t, functions, side), t.schema_name, t.table_name,
                      condition) || grouping;
    END IF;
    -- The rows' own checksums, added up in four parts.
    RETURN format($sum$SELECT %s AS bucket, count(*) AS n,
            (coalesce(sum(('x' || substr(s.c, 1, 8))::bit(32)::bigint) * 79228162514264337593543950336
                      + sum(('x' || substr(s.c, 9, 8))::bit(32)::bigint) * 18446744073709551616
                      + sum(('x' || substr(s.c, 17, 8))::bit(32)::bigint) * 4294967296
                      + sum(('x' || substr(s.c, 25, 8))::bit(32)::bigint), 0)
             %% 340282366920938463463374607431768211456)::text AS checksum
            FROM (SELECT %s AS bucket, %s AS c FROM ONLY %I.%I AS t WHERE %s OFFSET 0) AS s$sum$,
                  outer_bucket, bucket, documentdb_upgrade_internal.parity_row(t, NULL), t.schema_name, t.table_name,
                  condition) || grouping;
END
$$;
COMMENT ON FUNCTION parity_sums(parity_tables, text, text, integer) IS
    'serves the parity functions: the query that counts and sums the rows of the present range, as a whole or by so '
    'many digits of their hash';

CREATE FUNCTION documentdb_upgrade_internal.parity_recheck_statement(t parity_tables, functions text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    checksum constant text := documentdb_upgrade_internal.parity_row(t, functions);
    contents text;
    sought text;
    names text;
    condition text;
BEGIN
    SELECT format($shown$(SELECT coalesce(json_object_agg(e.name,
            CASE WHEN length(e.value) <= 200 OR e.value IS NULL THEN e.value
            ELSE left(e.value, 150) || format('... (%%s characters, md5 %%s)', length(e.value), md5(e.value))
            END), '{}')
            FROM unnest(ARRAY[%s]::text[], ARRAY[%s]::text[]) AS e(name, value))$shown$,
                  string_agg(format('%L', c.v->>0), ', ' ORDER BY c.n),
                  string_agg(format('CASE num_nulls(t.%1$I) WHEN 0 THEN concat(t.%1$I) END', c.v->>0), ', '
                             ORDER BY c.n)) INTO contents
        FROM jsonb_array_elements(t.columns) WITH ORDINALITY AS c(v, n);
    SELECT string_agg(format('(%s, %s)', d.id, (
               SELECT string_agg(format('%L', e.v), ', ' ORDER BY e.n)
               FROM jsonb_array_elements_text(d.looked_for) WITH ORDINALITY AS e(v, n))), ', ' ORDER BY d.id)
        INTO sought
        FROM documentdb_upgrade.parity_differences d
        WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed;
    IF t.key_columns IS NULL THEN
        RETURN format('SELECT json_object_agg(x.id, json_build_array(x.c, x.r)) FROM (SELECT v.id, count(*) AS c, '
                      'min(%s::text)::json AS r FROM (VALUES %s) AS v(id, k1) JOIN ONLY %I.%I AS t ON %s = v.k1 '
                      'GROUP BY v.id) AS x', contents, sought, t.schema_name, t.table_name, checksum);
    END IF;
    SELECT string_agg(format('k%s', k.n), ', ' ORDER BY k.n),
           string_agg(CASE WHEN k.v->2 <> 'null'
                           THEN format('t.%I %s v.k%s::%s AND ', k.v->>0, k.v->>2, k.n, k.v->>1) ELSE '' END
                      || format('concat(t.%I) = v.k%s', k.v->>0, k.n), ' AND ' ORDER BY k.n) INTO names, condition
        FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n);
    RETURN format('SELECT json_object_agg(x.id, json_build_array(x.c, x.r)) FROM (SELECT v.id, %s AS c, %s AS r '
                  'FROM (VALUES %s) AS v(id, %s) JOIN ONLY %I.%I AS t ON %s) AS x',
                  checksum, contents, sought, names, t.schema_name, t.table_name, condition);
END
$$;
COMMENT ON FUNCTION parity_recheck_statement(parity_tables, text) IS
    'serves the parity functions: the rows that differed, as they are now: checksum (or number) and contents, long '
    'values cut';

CREATE FUNCTION documentdb_upgrade_internal.parity_table_statement(t parity_tables, functions text, side text)
    RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    by_key constant boolean := t.strategy IN ('range', 'key');
    has_key constant boolean := t.key_columns IS NOT NULL;
    checksum text;
BEGIN
    CASE t.phase
    WHEN 'bound' THEN
        RETURN format('SELECT (%s)', documentdb_upgrade_internal.parity_next_bound(t, t.place->'from'));
    WHEN 'sum' THEN
        -- Of two sides with blocks of their own one may be through.
        IF NOT by_key AND coalesce(t.place->side, 'null') = 'null' THEN
            RETURN NULL;
        END IF;
        -- Here also where the next range ends.
        RETURN format('SELECT json_build_object(''rows'', s.n, ''checksum'', s.checksum%s) FROM (%s) AS s',
                      CASE WHEN side = 'local' AND by_key AND t.place->'to' <> 'null'
                           THEN format(', ''next'', (%s)',
                                       documentdb_upgrade_internal.parity_next_bound(t, t.place->'to')) ELSE '' END,
                      documentdb_upgrade_internal.parity_sums(t, functions, side));
    WHEN 'buckets' THEN
        RETURN format('SELECT json_object_agg(s.bucket, json_build_array(s.n, s.checksum)) FROM (%s) AS s',
                      documentdb_upgrade_internal.parity_sums(t, functions, side, (t.work->>'digits')::integer));
    WHEN 'rows' THEN
        -- Without a key their checksums, and how often each is there.
        checksum := documentdb_upgrade_internal.parity_row(t, functions);
        RETURN format('SELECT json_agg(json_build_array(x.k, x.c)) FROM '
                      '(SELECT %s AS k, %s AS c FROM ONLY %I.%I AS t WHERE %s%s%s) AS x',
                      CASE WHEN has_key THEN documentdb_upgrade_internal.parity_key(t) ELSE checksum END,
                      CASE WHEN has_key THEN checksum ELSE 'count(*)' END, t.schema_name, t.table_name,
                      documentdb_upgrade_internal.parity_condition(t, side),
                      CASE WHEN t.work ? 'now'
                           THEN format(' AND left(%s, %s) = ANY (%L::text[])',
                                       documentdb_upgrade_internal.parity_hash(t, functions), t.work->>'digits',
                                       ARRAY(SELECT jsonb_array_elements_text(t.work->'now'))) ELSE '' END,
                      CASE WHEN has_key THEN '' ELSE ' GROUP BY 1' END);
    WHEN 'recheck' THEN
        RETURN documentdb_upgrade_internal.parity_recheck_statement(t, functions);
    END CASE;
END
$$;
COMMENT ON FUNCTION parity_table_statement(parity_tables, text, text) IS
    'serves the parity functions: the statement of the present phase of a table for one side; null when that side has '
    'nothing to do';

--
-- Parity: what the answers say
--

CREATE FUNCTION documentdb_upgrade_internal.parity_checksum(checksum text, algorithm text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF algorithm <> 'sql1' THEN
        RETURN checksum;
    END IF;
    RETURN (SELECT string_agg(lpad(to_hex((div(checksum::numeric, u.unit) % 4294967296)::bigint), 8, '0'), ''
                              ORDER BY u.unit DESC)
            FROM (VALUES (79228162514264337593543950336), (18446744073709551616), (4294967296), (1)) AS u(unit));
END
$$;
COMMENT ON FUNCTION parity_checksum(text, text) IS
    'serves the parity functions: a checksum as 32 hexadecimal digits; algorithm sql1 gives it as a number';

CREATE FUNCTION documentdb_upgrade_internal.parity_error(answer jsonb, OUT side text, OUT error jsonb,
                                                         OUT ends_run boolean)
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Not about one table, but about the connection, the login or the server.
    grave constant text := '^(08|28|2F|57P|58|XX|3D|53300)';
BEGIN
    IF answer->'local' ? 'error' OR answer->'remote' ? 'error' THEN
        -- Of two errors the one that weighs more.
        side := CASE WHEN NOT answer->'remote' ? 'error' THEN 'local'
                     WHEN NOT answer->'local' ? 'error' OR answer->'remote'->'error'->>'sqlstate' ~ grave THEN 'remote'
                     ELSE 'local' END;
        error := answer->side->'error';
        ends_run := error->>'sqlstate' ~ grave;
    END IF;
END
$$;
COMMENT ON FUNCTION parity_error(jsonb) IS
    'serves the parity functions: what went wrong on one side or the other, and whether that concerns all tables; '
    'nulls when nothing did';

-- What the other server says may be anything: it can be broken, or not be the
-- one that is meant.  Statements are asked for values of known shapes.

CREATE FUNCTION documentdb_upgrade_internal.parity_is_listing(value jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_typeof(value->'version') = 'number' AND jsonb_typeof(value->'encoding') = 'string'
                    AND jsonb_typeof(value->'loses_rows') = 'boolean', false)
       AND NOT EXISTS (
           SELECT FROM unnest('{functions,schemas,named,tables,sequences,extensions,objects}'::text[]) AS k(key)
           WHERE jsonb_typeof(value->k.key) NOT IN ('array', 'null'))
       AND NOT EXISTS (
           SELECT FROM jsonb_array_elements(nullif(value->'tables', 'null')) AS t(v)
           WHERE NOT coalesce(jsonb_typeof(t.v->'schema') = 'string' AND jsonb_typeof(t.v->'name') = 'string'
                              AND jsonb_typeof(t.v->'columns') = 'array' AND jsonb_typeof(t.v->'physical') = 'array'
                              AND (t.v->>'oid')::numeric BETWEEN 1 AND 4294967295
                              AND coalesce((t.v->>'blocks')::numeric, 0) BETWEEN 0 AND 4294967295
                              AND coalesce((t.v->>'bytes')::numeric, 0) BETWEEN 0 AND 9223372036854775807, false))
$$;
COMMENT ON FUNCTION parity_is_listing(jsonb) IS
    'serves the parity functions: whether a value is a list as parity_listing() asks for it';

CREATE FUNCTION documentdb_upgrade_internal.parity_is_answer(r parity_runs, t parity_tables, value jsonb)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    phase constant text := CASE r.phase WHEN 'tables' THEN t.phase ELSE r.phase END;
    nkeys constant integer := jsonb_array_length(t.key_columns);
BEGIN
    CASE phase
    WHEN 'listing', 'verifying' THEN
        RETURN documentdb_upgrade_internal.parity_is_listing(value);
    WHEN 'functions' THEN
        RETURN jsonb_typeof(value) = 'string';
    WHEN 'sequences' THEN
        RETURN jsonb_array_length(value) = jsonb_array_length(r.work->'now')
           AND NOT EXISTS (SELECT FROM jsonb_array_elements(value) AS s(v)
                           WHERE (jsonb_typeof(s.v->0), jsonb_typeof(s.v->1)) IS DISTINCT FROM ('string', 'boolean'));
    WHEN 'sum' THEN
        RETURN jsonb_typeof(value->'rows') = 'number' AND (value->>'rows')::bigint >= 0
           AND jsonb_typeof(value->'checksum') = 'string'
           AND value->>'checksum' ~ CASE r.algorithm WHEN 'sql1' THEN '^[0-9]{1,39}$' ELSE '^[0-9a-f]{32}$' END;
    WHEN 'buckets' THEN
        RETURN NOT EXISTS (
            SELECT FROM jsonb_each(nullif(value, 'null')) AS b(key, v)
            WHERE NOT coalesce(b.key ~ '^[0-9a-f]{1,4}$' AND (b.v->>0)::bigint > 0
                               AND jsonb_typeof(b.v->1) = 'string', false));
    WHEN 'rows' THEN
        RETURN NOT EXISTS (
            SELECT FROM jsonb_array_elements(nullif(value, 'null')) AS x(v)
            WHERE NOT coalesce(CASE WHEN nkeys IS NULL
                                    THEN jsonb_typeof(x.v->0) = 'string' AND (x.v->>1)::bigint > 0
                                    ELSE jsonb_array_length(x.v->0) = nkeys AND jsonb_typeof(x.v->1) = 'string'
                                         AND NOT EXISTS (SELECT FROM jsonb_array_elements(x.v->0) AS k(v)
                                                         WHERE jsonb_typeof(k.v) <> 'string') END, false));
    WHEN 'recheck' THEN
        RETURN NOT EXISTS (
            SELECT FROM jsonb_each(nullif(value, 'null')) AS x(id, v)
            WHERE NOT coalesce(jsonb_typeof(x.v->1) = 'object'
                               AND CASE WHEN nkeys IS NULL THEN (x.v->>0)::bigint > 0
                                        ELSE jsonb_typeof(x.v->0) = 'string' END, false));
    ELSE
        RETURN false;
    END CASE;
END
$$;
COMMENT ON FUNCTION parity_is_answer(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: whether a value has the shape that the statement of the present phase asks for';

--
-- Parity: a run as a whole, and those of its phases that are not about one table
--

CREATE FUNCTION documentdb_upgrade_internal.parity_is_exact() RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM documentdb_upgrade.cutovers c
                   WHERE c.server = (SELECT system_identifier FROM pg_control_system())
                     AND c.lifted_at IS NULL AND c.drained_at IS NOT NULL);
END
$$;
COMMENT ON FUNCTION parity_is_exact() IS
    'serves the parity functions: whether a write fence is up and the last writer gone';

CREATE FUNCTION documentdb_upgrade_internal.parity_begin(options jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given constant jsonb := options;
    kept constant jsonb := given - '{resume,algorithm,tables,schemas,role,role_name}'::text[];
    scope constant jsonb := jsonb_strip_nulls(jsonb_build_object('schemas', given->'schemas', 'tables',
        CASE WHEN given ? 'tables' THEN documentdb_upgrade_internal.parity_names(
                                            ARRAY(SELECT jsonb_array_elements_text(given->'tables'))) END));
    caller constant oid := given->>'role';
    started constant timestamptz := (SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid());
    r documentdb_upgrade.parity_runs;
BEGIN
    IF coalesce(given->>'algorithm', 'du1') NOT IN ('du1', 'sql', 'sql1') THEN
        RAISE EXCEPTION 'checksum algorithm "%" is not known', given->>'algorithm'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Known are du1, and sql for servers where nothing may be installed.';
    END IF;
    IF coalesce((given->>'chunk_ms')::numeric, 0) <= 0 OR (given->>'max_lag')::numeric < 0
       OR (given->>'max_active')::integer < 0 OR (given->>'max_differences')::integer < 0 THEN
        RAISE EXCEPTION 'chunk must be above zero, and max_lag, max_active and max_differences not below it'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE documentdb_upgrade.parity_runs p SET state = 'interrupted', finished_at = clock_timestamp()
        WHERE p.state = 'running' AND NOT documentdb_upgrade_internal.parity_is_alive(p);
    IF given->>'resume' IS NULL THEN
        INSERT INTO documentdb_upgrade.parity_runs
                (kind, state, phase, algorithm, options, role, role_name, exact, leader_pid, leader_started_at)
            VALUES (given->>'kind', 'running', 'listing',
                    CASE WHEN given->>'algorithm' LIKE 'sql%' THEN 'sql1' ELSE 'du1' END, kept || scope, caller,
                    given->>'role_name', documentdb_upgrade_internal.parity_is_exact(), pg_backend_pid(), started)
            RETURNING * INTO r;
    ELSE
        SELECT * INTO r FROM documentdb_upgrade.parity_runs p WHERE p.id = (given->>'resume')::bigint FOR UPDATE;
        IF NOT FOUND OR r.kind <> given->>'kind' OR NOT pg_has_role(caller, r.role, 'USAGE') THEN
            RAISE EXCEPTION 'there is no run % to resume', given->>'resume'
                USING ERRCODE = 'undefined_object',
                      HINT = 'A run is resumed by the function and the role that began it; '
                             'see documentdb_upgrade.parity_runs.';
        ELSIF r.state = 'running' THEN
            RAISE EXCEPTION 'run % is still running', r.id
                USING ERRCODE = 'object_in_use',
                      HINT = format('Wait for it, or end it with SELECT pg_cancel_backend(%s).',
                                    coalesce(r.options->>'caller', '...'));
        ELSIF r.state = 'complete' THEN
            RAISE EXCEPTION 'run % has finished', r.id
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Leave resume out to begin a new run.';
        ELSIF scope <> '{}' AND scope <> (SELECT coalesce(jsonb_object_agg(o.key, o.value), '{}')
                                          FROM jsonb_each(r.options) o WHERE o.key IN ('tables', 'schemas')) THEN
            RAISE EXCEPTION 'run % was begun with other schemas or tables', r.id
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Leave schemas and tables out: they are those of the run.';
        END IF;
        -- What is read with the rights of this role is not for the one before.
        UPDATE documentdb_upgrade.parity_runs p
            SET state = 'running', phase = 'listing', snapshots = p.snapshots + 1, work = '{}',
                options = p.options || kept || jsonb_build_object('resumed_at', clock_timestamp()),
                role = caller, role_name = given->>'role_name',
                exact = p.exact AND documentdb_upgrade_internal.parity_is_exact(),
                leader_pid = pg_backend_pid(), leader_started_at = started,
                finished_at = NULL, equal = NULL, sqlstate = NULL, message = NULL, detail = NULL, hint = NULL
            WHERE p.id = r.id;
    END IF;
    DELETE FROM documentdb_upgrade.parity_runs p
        WHERE p.state <> 'running' AND p.id <= (SELECT k.id FROM documentdb_upgrade.parity_runs k
                                                ORDER BY k.id DESC OFFSET 20 LIMIT 1);
    RETURN r.id;
END
$$;
COMMENT ON FUNCTION parity_begin(jsonb) IS
    'serves run_parity(): makes a run, or takes up the one that resume names; 22023: options that cannot be, 42704: no '
    'such run, 55006: its processes still run, 55000: it has finished';

CREATE FUNCTION documentdb_upgrade_internal.parity_fail(run bigint, error jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE documentdb_upgrade.parity_tables t SET state = 'pending', waiting_for = NULL
        WHERE t.run = parity_fail.run AND t.state = 'running';
    UPDATE documentdb_upgrade.parity_runs r
        SET state = 'failed', finished_at = clock_timestamp(), equal = NULL,
            sqlstate = coalesce(error->>'sqlstate', 'XX000'), message = coalesce(error->>'message', 'unknown error'),
            detail = error->>'detail', hint = error->>'hint'
        WHERE r.id = parity_fail.run AND r.state = 'running'
$$;
COMMENT ON FUNCTION parity_fail(bigint, jsonb) IS
    'serves run_parity(): ends a run with an error (sqlstate, message, detail, hint); what it has summed is kept for a '
    'resume';

CREATE FUNCTION documentdb_upgrade_internal.parity_finish(r parity_runs) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE documentdb_upgrade.parity_runs p
        SET state = CASE WHEN t.errors + d.errors > 0 THEN 'incomplete' ELSE 'complete' END,
            phase = 'finished', work = '{}', finished_at = clock_timestamp(),
            duration = clock_timestamp() - coalesce((p.options->>'resumed_at')::timestamptz, p.started_at),
            table_count = t.tables, row_count = t.row_count, bytes = t.bytes, difference_count = d.n,
            equal = CASE p.kind WHEN 'comparison' THEN d.n = 0 AND t.errors = 0 END
        FROM (SELECT count(*) FILTER (WHERE t.state = 'done') AS tables,
                     count(*) FILTER (WHERE t.state = 'error') AS errors,
                     coalesce(sum(t.row_count) FILTER (WHERE t.state = 'done'), 0) AS row_count,
                     coalesce(sum(t.bytes) FILTER (WHERE t.state = 'done'), 0) AS bytes
              FROM documentdb_upgrade.parity_tables t WHERE t.run = r.id) t,
             (SELECT count(*) AS n, count(*) FILTER (WHERE d.difference = 'error') AS errors
              FROM documentdb_upgrade.parity_differences d WHERE d.run = r.id AND d.confirmed) d
        WHERE p.id = r.id;
    IF r.kind = 'comparison' THEN
        PERFORM documentdb_upgrade_internal.note_parity(r.id);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_finish(parity_runs) IS 'serves the parity functions: sums a run up and ends it';

CREATE FUNCTION documentdb_upgrade_internal.parity_next_sequences(r parity_runs) RETURNS parity_runs
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    size constant integer := CASE WHEN (r.work->>'singly')::integer > 0 THEN 1 ELSE 200 END;
BEGIN
    IF r.work->'left' = '[]' THEN
        r.phase := 'tables';
        r.work := '{}';
    ELSE
        r.work := r.work || (
            SELECT jsonb_build_object('now', jsonb_agg(s.v ORDER BY s.n) FILTER (WHERE s.n <= size),
                                      'left', coalesce(jsonb_agg(s.v ORDER BY s.n) FILTER (WHERE s.n > size), '[]'))
            FROM jsonb_array_elements(r.work->'left') WITH ORDINALITY AS s(v, n));
    END IF;
    UPDATE documentdb_upgrade.parity_runs p SET phase = r.phase, work = r.work WHERE p.id = r.id;
    RETURN r;
END
$$;
COMMENT ON FUNCTION parity_next_sequences(parity_runs) IS
    'serves the parity functions: the sequences to read next; the next phase when there are none';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_sequences(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked constant jsonb := r.work->'now';
    failed record;
BEGIN
    SELECT * INTO failed FROM documentdb_upgrade_internal.parity_error(answer) e;
    IF failed.side IS NOT NULL AND jsonb_array_length(asked) > 1 THEN
        -- One of them cannot be read, so they are read one by one.
        UPDATE documentdb_upgrade.parity_runs p
            SET work = jsonb_build_object('left', asked || (r.work->'left'), 'singly', jsonb_array_length(asked))
            WHERE p.id = r.id;
        RETURN;
    END IF;
    INSERT INTO documentdb_upgrade.parity_differences
            (run, kind, schema_name, object_name, difference, detail, local, remote)
        SELECT r.id, 'sequence', s.v->>0, s.v->>1, CASE WHEN failed.side IS NULL THEN 'different' ELSE 'error' END,
               (failed.error->>'sqlstate') || ': ' || (failed.error->>'message')
               || CASE failed.side WHEN 'remote' THEN ' (on the other server)' ELSE '' END,
               (a.l->>0) || CASE WHEN NOT (a.l->>1)::boolean THEN ', not called yet' ELSE '' END,
               (a.r->>0) || CASE WHEN NOT (a.r->>1)::boolean THEN ', not called yet' ELSE '' END
        FROM jsonb_array_elements(asked) WITH ORDINALITY AS s(v, n),
        LATERAL (SELECT answer->'local'->'value'->(s.n - 1)::integer AS l,
                        answer->'remote'->'value'->(s.n - 1)::integer AS r) a
        WHERE failed.side IS NOT NULL OR a.l IS DISTINCT FROM a.r;
    UPDATE documentdb_upgrade.parity_runs p
        SET work = jsonb_build_object('left', r.work->'left', 'singly', greatest((r.work->>'singly')::integer - 1, 0))
        WHERE p.id = r.id;
END
$$;
COMMENT ON FUNCTION parity_take_sequences(parity_runs, jsonb) IS
    'serves the parity functions: compares the values of some sequences';

CREATE FUNCTION documentdb_upgrade_internal.parity_run_statements(r parity_runs, OUT action text, OUT local text,
                                                                  OUT remote text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    action := 'run';
    CASE r.phase
    WHEN 'listing' THEN
        local := documentdb_upgrade_internal.parity_listing(r.options);
        remote := local;
    WHEN 'functions' THEN
        local := format('SELECT to_json(%I.checksum_algorithm())', r.sides->'local'->>'functions');
        remote := format('SELECT to_json(%I.checksum_algorithm())', r.sides->'remote'->>'functions');
    WHEN 'sequences' THEN
        local := 'SELECT json_agg(json_build_array(s.last_value::text, s.is_called) ORDER BY s.n) FROM ('
            || (SELECT string_agg(format('SELECT %s AS n, last_value, is_called FROM %I.%I', s.n, s.v->>0, s.v->>1),
                                  ' UNION ALL ' ORDER BY s.n)
                FROM jsonb_array_elements(r.work->'now') WITH ORDINALITY AS s(v, n)) || ') AS s';
        remote := local;
    WHEN 'verifying' THEN
        action := 'run_now';
        local := documentdb_upgrade_internal.parity_listing(r.options || '{"kind": "checksums"}');
        remote := local;
    END CASE;
    IF r.kind = 'checksums' THEN
        remote := NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION parity_run_statements(parity_runs) IS
    'serves the parity functions: the statements of the present phase of a run, and under which snapshot';

CREATE FUNCTION documentdb_upgrade_internal.parity_side(r parity_runs, list jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('version', list->'version', 'encoding', list->'encoding',
               'functions', CASE r.algorithm WHEN 'du1' THEN list->'functions'->0 END))
        WHERE list IS NOT NULL
$$;
COMMENT ON FUNCTION parity_side(parity_runs, jsonb) IS
    'serves the parity functions: what is kept of a list about the server';

CREATE FUNCTION documentdb_upgrade_internal.parity_hear_run(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here constant jsonb := jsonb_strip_nulls(answer->'local'->'value');
    there constant jsonb := jsonb_strip_nulls(answer->'remote'->'value');
    error jsonb;
BEGIN
    IF r.phase = 'sequences' THEN
        PERFORM documentdb_upgrade_internal.parity_take_sequences(r, answer);
        RETURN;
    END IF;
    SELECT e.error INTO error FROM documentdb_upgrade_internal.parity_error(answer) e;
    CASE r.phase
    WHEN 'listing' THEN
        error := coalesce(error, documentdb_upgrade_internal.parity_refuse_listing(r, here, there));
        IF error IS NULL THEN
            PERFORM documentdb_upgrade_internal.parity_take_listing(r, here, there);
            UPDATE documentdb_upgrade.parity_runs p
                SET phase = CASE WHEN r.kind = 'checksums' THEN 'tables' WHEN r.algorithm = 'sql1' THEN 'sequences'
                                 ELSE 'functions' END,
                    sides = jsonb_strip_nulls(jsonb_build_object(
                        'local', documentdb_upgrade_internal.parity_side(r, here),
                        'remote', documentdb_upgrade_internal.parity_side(r, there))),
                    -- Those that both sides have and may be read on both.
                    work = jsonb_build_object('left', (
                        SELECT coalesce(jsonb_agg(h.v ORDER BY h.n), '[]')
                        FROM jsonb_array_elements(here->'sequences') WITH ORDINALITY AS h(v, n)
                        JOIN jsonb_array_elements(there->'sequences') AS t(v) ON t.v = h.v WHERE (h.v->>2)::boolean))
                WHERE p.id = r.id;
        END IF;
    WHEN 'functions' THEN
        IF error IS NULL AND (here <> to_jsonb(r.algorithm) OR there <> here) THEN
            error := jsonb_build_object('sqlstate', '0A000',
                'message', format('the other server has checksum algorithm %s, this one %s', there, here),
                'hint', 'Install the same version of the extension on both sides.');
        END IF;
        UPDATE documentdb_upgrade.parity_runs p SET phase = 'sequences' WHERE p.id = r.id;
    WHEN 'verifying' THEN
        IF error IS NULL THEN
            PERFORM documentdb_upgrade_internal.parity_take_second_listing(r, answer);
            PERFORM documentdb_upgrade_internal.parity_finish(r);
        END IF;
    END CASE;
    IF error IS NOT NULL THEN
        PERFORM documentdb_upgrade_internal.parity_fail(r.id, error);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_hear_run(parity_runs, jsonb) IS
    'serves the parity functions: takes the answer of the present phase of a run';

--
-- Parity: the phases of a table, and what a process is to do next
--

CREATE FUNCTION documentdb_upgrade_internal.parity_claim(r parity_runs, worker integer) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t documentdb_upgrade.parity_tables;
BEGIN
    FOR try IN 1 .. 2 LOOP
        UPDATE documentdb_upgrade.parity_tables p
            SET state = 'running', worker = parity_claim.worker, pid = pg_backend_pid(),
                started_at = coalesce(p.started_at, clock_timestamp())
            WHERE (p.run, p.schema_name, p.table_name) = (
                SELECT n.run, n.schema_name, n.table_name FROM documentdb_upgrade.parity_tables n
                WHERE n.run = r.id AND n.state = 'pending'
                  AND coalesce((n.work->>'not_before')::timestamptz <= clock_timestamp(), true)
                ORDER BY n.bytes DESC, n.schema_name, n.table_name
                FOR UPDATE SKIP LOCKED LIMIT 1)
            RETURNING p.* INTO t;
        EXIT WHEN FOUND;
        -- What a process has left behind that went away goes to another one.
        UPDATE documentdb_upgrade.parity_tables p SET state = 'pending', waiting_for = NULL
            WHERE p.run = r.id AND p.state = 'running' AND p.pid <> pg_backend_pid()
              AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = p.pid);
        EXIT WHEN NOT FOUND;
    END LOOP;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_claim(parity_runs, integer) IS
    'serves the parity functions: gives the largest table that is left to a process; null when none is, or none that '
    'is to be looked at again by now';

CREATE FUNCTION documentdb_upgrade_internal.parity_throttle(r parity_runs) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result text;
BEGIN
    IF r.options ? 'max_lag' THEN
        SELECT format('replication: %s is %s behind', quote_ident(s.application_name),
                      date_trunc('milliseconds', s.replay_lag)) INTO result
            FROM pg_stat_replication s
            WHERE s.replay_lag > make_interval(secs => (r.options->>'max_lag')::float8) AND s.replay_lsn < s.sent_lsn
            ORDER BY s.replay_lag DESC LIMIT 1;
    END IF;
    IF result IS NULL AND r.options ? 'max_active' THEN
        SELECT format('load: %s active sessions', count(*)) INTO result FROM pg_stat_activity a
            WHERE a.backend_type = 'client backend' AND a.state = 'active'
              AND a.pid IS DISTINCT FROM (r.options->>'caller')::integer
            HAVING count(*) > (r.options->>'max_active')::bigint;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION parity_throttle(parity_runs) IS
    'serves the parity functions: what a run should wait for before it reads on; null when nothing';

CREATE FUNCTION documentdb_upgrade_internal.parity_pace(chunk bigint, target numeric, took numeric) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN least(greatest(chunk * least(greatest(target / greatest(took, 1), 0.25), 4), 16), 100000000)::bigint;
END
$$;
COMMENT ON FUNCTION parity_pace(bigint, numeric, numeric) IS
    'serves the parity functions: how much to read at a time, going by how long the last piece took; a quarter to four '
    'times as much as that';

CREATE FUNCTION documentdb_upgrade_internal.parity_rows_noted(t parity_tables) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT count(*) FROM documentdb_upgrade.parity_differences d
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND d.kind = 'row');
END
$$;
COMMENT ON FUNCTION parity_rows_noted(parity_tables) IS
    'serves the parity functions: number of rows found to differ so far';

CREATE FUNCTION documentdb_upgrade_internal.parity_rows_wanted(r parity_runs, t parity_tables) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most constant bigint := coalesce((r.options->>'max_differences')::bigint, 0);
BEGIN
    IF most = 0 THEN
        RETURN 0;
    END IF;
    -- More than will be listed, as some will turn out to have changed meanwhile.
    RETURN greatest(most + least(most, 1000) - documentdb_upgrade_internal.parity_rows_noted(t), 0);
END
$$;
COMMENT ON FUNCTION parity_rows_wanted(parity_runs, parity_tables) IS
    'serves the parity functions: how many more differing rows are to be looked for';

CREATE FUNCTION documentdb_upgrade_internal.parity_next_range(t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF t.strategy IN ('own', 'ctid') OR t.place->'to' = 'null' THEN
        t.phase := 'recheck';
    ELSE
        t.phase := 'sum';
    END IF;
    IF t.strategy IN ('range', 'key') THEN
        t.row_count := t.row_count + (t.work->'local'->>'rows')::bigint;
        t.checksum := documentdb_upgrade.add_checksums(t.checksum, t.work->'local'->>'checksum');
        t.place := jsonb_build_object('from', t.place->'to', 'to', coalesce(t.work->'next', 'null'));
    END IF;
    IF t.strategy = 'range' THEN
        t.remote_row_count := t.remote_row_count + (t.work->'remote'->>'rows')::bigint;
        t.remote_checksum := documentdb_upgrade.add_checksums(t.remote_checksum, t.work->'remote'->>'checksum');
    END IF;
    t.work := '{}';
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_next_range(parity_tables) IS
    'serves the parity functions: adds up a range that is done with, and goes on to the next; after the last one, and '
    'where each side has its own blocks, to the rows that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_search(r parity_runs, t parity_tables, most bigint)
    RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF documentdb_upgrade_internal.parity_rows_wanted(r, t) = 0 THEN
        t.truncated := true;
        RETURN documentdb_upgrade_internal.parity_next_range(t);
    ELSIF most <= 2000 THEN
        t.phase := 'rows';
    ELSE
        -- Some hundred rows to a bucket, and 65,536 buckets at the most.
        t.phase := 'buckets';
        t.work := t.work || jsonb_build_object('digits', CASE WHEN most <= 100000 THEN 2
                                                              WHEN most <= 2000000 THEN 3 ELSE 4 END);
    END IF;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_search(parity_runs, parity_tables, bigint) IS
    'serves the parity functions: begins to look for the rows that differ among so many, unless enough are known';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_range(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    t.work := (SELECT jsonb_object_agg(a.side, jsonb_build_object('rows', a.said->'value'->'rows', 'checksum',
                          documentdb_upgrade_internal.parity_checksum(a.said->'value'->>'checksum', r.algorithm)))
               FROM jsonb_each(answer) AS a(side, said) WHERE a.side IN ('local', 'remote'))
              || jsonb_build_object('next', answer->'local'->'value'->'next');
    t.chunk := documentdb_upgrade_internal.parity_pace(t.chunk, (r.options->>'chunk_ms')::numeric,
        greatest((answer->'local'->>'ms')::numeric, (answer->'remote'->>'ms')::numeric));
    IF t.strategy = 'range' AND t.work->'local' <> t.work->'remote' THEN
        RETURN documentdb_upgrade_internal.parity_search(r, t,
            greatest((t.work->'local'->>'rows')::bigint, (t.work->'remote'->>'rows')::bigint));
    END IF;
    RETURN documentdb_upgrade_internal.parity_next_range(t);
END
$$;
COMMENT ON FUNCTION parity_take_range(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: takes the rows and checksum of a range of keys';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_blocks(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT a.side, (a.said->'value'->>'rows')::bigint AS rows,
                       documentdb_upgrade_internal.parity_checksum(a.said->'value'->>'checksum', r.algorithm)
                           AS checksum,
                       (t.place->a.side->>'block')::bigint + (t.place->a.side->>'step')::bigint AS next,
                       documentdb_upgrade_internal.parity_pace((t.place->a.side->>'step')::bigint,
                           (r.options->>'chunk_ms')::numeric, (a.said->>'ms')::numeric) AS step
                FROM jsonb_each(answer) AS a(side, said) WHERE a.side IN ('local', 'remote')
    LOOP
        IF part.side = 'local' THEN
            t.row_count := t.row_count + part.rows;
            t.checksum := documentdb_upgrade.add_checksums(t.checksum, part.checksum);
        ELSE
            t.remote_row_count := t.remote_row_count + part.rows;
            t.remote_checksum := documentdb_upgrade.add_checksums(t.remote_checksum, part.checksum);
        END IF;
        t.place := t.place || jsonb_build_object(part.side,
            CASE WHEN part.next < (t.sides->part.side->>'blocks')::bigint
                 THEN jsonb_build_object('block', part.next, 'step', part.step) END);
    END LOOP;
    IF t.place->'local' <> 'null' OR t.place->'remote' <> 'null' THEN
        RETURN t;
    ELSIF r.kind = 'comparison' AND (t.row_count, t.checksum) IS DISTINCT FROM (t.remote_row_count, t.remote_checksum)
    THEN
        RETURN documentdb_upgrade_internal.parity_search(r, t, greatest(t.row_count, t.remote_row_count));
    END IF;
    RETURN documentdb_upgrade_internal.parity_next_range(t);
END
$$;
COMMENT ON FUNCTION parity_take_blocks(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: takes the rows and checksum of some blocks on each side';

CREATE FUNCTION documentdb_upgrade_internal.parity_next_buckets(t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    batch constant bigint := t.work->>'batch';
BEGIN
    IF NOT t.work ? 'left' OR t.work->'left' = '[]' THEN
        RETURN documentdb_upgrade_internal.parity_next_range(t);
    END IF;
    t.work := t.work || (
        SELECT jsonb_build_object('now', jsonb_agg(b.v ORDER BY b.n) FILTER (WHERE b.n <= batch),
                                  'left', coalesce(jsonb_agg(b.v ORDER BY b.n) FILTER (WHERE b.n > batch), '[]'))
        FROM jsonb_array_elements(t.work->'left') WITH ORDINALITY AS b(v, n));
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_next_buckets(parity_tables) IS
    'serves the parity functions: the buckets to read next; the next range when there are none';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_buckets(t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    t.phase := 'rows';
    t.work := t.work || (
        SELECT jsonb_build_object(
            'left', coalesce(jsonb_agg(bucket ORDER BY bucket), '[]'),
            'batch', greatest(5000 / max(greatest((l.value->>0)::bigint, (r.value->>0)::bigint)), 1))
        FROM jsonb_each(nullif(answer->'local'->'value', 'null')) AS l(bucket, value)
        FULL JOIN jsonb_each(nullif(answer->'remote'->'value', 'null')) AS r(bucket, value) USING (bucket)
        WHERE l.value IS DISTINCT FROM r.value);
    RETURN documentdb_upgrade_internal.parity_next_buckets(t);
END
$$;
COMMENT ON FUNCTION parity_take_buckets(parity_tables, jsonb) IS
    'serves the parity functions: takes the buckets of a range and keeps those that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_rows(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted constant bigint := documentdb_upgrade_internal.parity_rows_wanted(r, t);
    found bigint;
BEGIN
    WITH differing AS (
        SELECT k, CASE WHEN there.v IS NULL THEN 'missing' WHEN here.v IS NULL THEN 'extra'
                       ELSE 'different' END AS difference
        FROM (SELECT v, v->0 AS k FROM jsonb_array_elements(nullif(answer->'local'->'value', 'null')) v) here
        FULL JOIN (SELECT v, v->0 AS k FROM jsonb_array_elements(nullif(answer->'remote'->'value', 'null')) v) there
            USING (k)
        WHERE here.v IS DISTINCT FROM there.v),
    named AS (
        SELECT d.difference, CASE WHEN t.key_columns IS NULL THEN jsonb_build_array(d.k) ELSE d.k END AS looked_for,
               (SELECT jsonb_object_agg(c.v->>0, CASE WHEN c.v->>1 IN ('smallint', 'integer', 'bigint', 'oid')
                                                      THEN to_jsonb((d.k->>(c.n - 1)::integer)::bigint)
                                                      ELSE d.k->(c.n - 1)::integer END)
                FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS c(v, n)) AS key
        FROM differing d),
    added AS (
        INSERT INTO documentdb_upgrade.parity_differences
                (run, kind, schema_name, object_name, difference, key, confirmed, looked_for)
            SELECT t.run, 'row', t.schema_name, t.table_name, n.difference, n.key, false, n.looked_for
            FROM named n
            WHERE NOT EXISTS (SELECT FROM documentdb_upgrade.parity_differences o
                              WHERE o.run = t.run AND o.schema_name = t.schema_name AND o.object_name = t.table_name
                                AND o.looked_for = n.looked_for)
            ORDER BY n.key, n.looked_for LIMIT wanted)
    SELECT count(*) INTO found FROM named;
    IF found > wanted OR found = wanted AND t.work->'left' <> '[]' THEN
        t.truncated := true;
        RETURN documentdb_upgrade_internal.parity_next_range(t);
    END IF;
    RETURN documentdb_upgrade_internal.parity_next_buckets(t);
END
$$;
COMMENT ON FUNCTION parity_take_rows(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: takes the rows of some buckets and notes those that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_recheck(t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tries constant integer := coalesce((t.work->>'tries')::integer, 0) + 1;
    agreed bigint;
BEGIN
    WITH seen AS (
        SELECT d.id, answer->'local'->'value'->d.id::text AS here, answer->'remote'->'value'->d.id::text AS there
        FROM documentdb_upgrade.parity_differences d
        WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed),
    gone AS (
        DELETE FROM documentdb_upgrade.parity_differences d USING seen s
        WHERE d.id = s.id AND s.here->0 IS NOT DISTINCT FROM s.there->0 RETURNING d.id),
    noted AS (
        UPDATE documentdb_upgrade.parity_differences d
            SET difference = CASE WHEN s.there IS NULL THEN 'missing' WHEN s.here IS NULL THEN 'extra'
                                  ELSE 'different' END,
                local = s.here->>1, remote = s.there->>1,
                detail = CASE
                    WHEN t.key_columns IS NULL
                    THEN CASE WHEN coalesce((s.here->>0)::bigint, 0) + coalesce((s.there->>0)::bigint, 0) > 1
                              THEN format('%s times here, %s times there',
                                          coalesce(s.here->>0, '0'), coalesce(s.there->>0, '0')) END
                    WHEN s.here IS NOT NULL AND s.there IS NOT NULL
                    THEN coalesce((SELECT 'columns that differ: ' || string_agg(key, ', ' ORDER BY key COLLATE "C")
                                   FROM jsonb_each_text(s.here->1) a FULL JOIN jsonb_each_text(s.there->1) b USING (key)
                                   WHERE a.value IS DISTINCT FROM b.value), 'looks the same as text') END
            FROM seen s WHERE d.id = s.id AND s.here->0 IS DISTINCT FROM s.there->0)
    SELECT count(*) INTO agreed FROM gone;
    IF tries >= 4 THEN
        UPDATE documentdb_upgrade.parity_differences d SET confirmed = true
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed;
    END IF;
    -- Meanwhile the process takes other tables.
    t.state := 'pending';
    t.waiting_for := 'rows that may still be on their way';
    t.work := jsonb_build_object('tries', tries, 'not_before', clock_timestamp() + tries * interval '500 ms');
    t.changed := t.changed + agreed;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_take_recheck(parity_tables, jsonb) IS
    'serves the parity functions: forgets differing rows that agree by now, and believes the others after four looks '
    'over three seconds';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_failure(t parity_tables, side text, error jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    t.state := 'error';
    t.finished_at := clock_timestamp();
    t.sqlstate := error->>'sqlstate';
    t.problem := (error->>'message') || CASE side WHEN 'remote' THEN ' (on the other server)' ELSE '' END;
    DELETE FROM documentdb_upgrade.parity_differences d
        WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed;
    INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, detail)
        VALUES (t.run, 'table', t.schema_name, t.table_name, 'error',
                t.sqlstate || ': ' || t.problem || coalesce(' - ' || (error->>'detail'), ''));
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_take_failure(parity_tables, text, jsonb) IS
    'serves the parity functions: gives up a table that cannot be read';

CREATE FUNCTION documentdb_upgrade_internal.parity_judge(r parity_runs, t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most constant bigint := coalesce((r.options->>'max_differences')::bigint, 0);
    differing constant bigint := documentdb_upgrade_internal.parity_rows_noted(t);
    verdict text;
BEGIN
    IF differing > most THEN
        t.truncated := true;
        DELETE FROM documentdb_upgrade.parity_differences d
            WHERE d.id IN (SELECT o.id FROM documentdb_upgrade.parity_differences o
                           WHERE o.run = t.run AND o.schema_name = t.schema_name AND o.object_name = t.table_name
                             AND o.kind = 'row' ORDER BY o.id OFFSET most);
    END IF;
    IF r.kind = 'comparison' AND (
        differing > 0 OR t.truncated
        OR t.changed = 0 AND (t.row_count, t.checksum) IS DISTINCT FROM (t.remote_row_count, t.remote_checksum))
    THEN
        verdict := CASE
            WHEN t.truncated AND most = 0 THEN 'differing rows were not looked for'
            WHEN t.truncated AND differing = 0 THEN 'more rows differed than were looked at again'
            WHEN t.truncated THEN format('more than %s rows differ', least(differing, most))
            WHEN differing = 1 THEN '1 row differs'
            ELSE format('%s rows differ', differing) END;
        IF t.changed > 0 THEN
            verdict := verdict || format('; %s %schanged meanwhile and agree now', t.changed,
                                         CASE WHEN differing > 0 THEN 'more ' ELSE '' END);
        END IF;
        INSERT INTO documentdb_upgrade.parity_differences
                (run, kind, schema_name, object_name, difference, local, remote, detail)
            VALUES (t.run, 'table', t.schema_name, t.table_name, 'different',
                    format('%s rows, %s', t.row_count, t.checksum),
                    format('%s rows, %s', t.remote_row_count, t.remote_checksum), verdict);
    END IF;
    t.state := 'done';
    t.phase := 'done';
    t.waiting_for := NULL;
    t.finished_at := clock_timestamp();
    t.work := '{}';
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_judge(parity_runs, parity_tables) IS
    'serves the parity functions: the verdict on a table';

CREATE FUNCTION documentdb_upgrade_internal.parity_hear_table(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    failed record;
BEGIN
    SELECT * INTO failed FROM documentdb_upgrade_internal.parity_error(answer) e;
    t.ms := t.ms + greatest((answer->'local'->>'ms')::numeric, (answer->'remote'->>'ms')::numeric, 0);
    IF failed.side IS NOT NULL THEN
        t := documentdb_upgrade_internal.parity_take_failure(t, failed.side, failed.error);
    ELSE
        CASE t.phase
        WHEN 'bound' THEN
            t.place := t.place || jsonb_build_object('to', coalesce(answer->'local'->'value', 'null'));
            t.phase := 'sum';
        WHEN 'sum' THEN
            t.chunks := t.chunks + 1;
            IF t.strategy IN ('range', 'key') THEN
                t := documentdb_upgrade_internal.parity_take_range(r, t, answer);
            ELSE
                t := documentdb_upgrade_internal.parity_take_blocks(r, t, answer);
            END IF;
        WHEN 'buckets' THEN
            t := documentdb_upgrade_internal.parity_take_buckets(t, answer);
        WHEN 'rows' THEN
            t := documentdb_upgrade_internal.parity_take_rows(r, t, answer);
        WHEN 'recheck' THEN
            t := documentdb_upgrade_internal.parity_take_recheck(t, answer);
        END CASE;
        IF t.phase = 'recheck' AND NOT EXISTS (
            SELECT FROM documentdb_upgrade.parity_differences d
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed)
        THEN
            t := documentdb_upgrade_internal.parity_judge(r, t);
        END IF;
    END IF;
    UPDATE documentdb_upgrade.parity_tables p
        SET state = t.state, phase = t.phase, finished_at = t.finished_at, place = t.place, work = t.work,
            chunk = t.chunk, chunks = t.chunks, row_count = t.row_count, checksum = t.checksum,
            remote_row_count = t.remote_row_count, remote_checksum = t.remote_checksum, ms = t.ms, changed = t.changed,
            truncated = t.truncated, waiting_for = t.waiting_for, problem = t.problem, sqlstate = t.sqlstate
        WHERE p.run = t.run AND p.schema_name = t.schema_name AND p.table_name = t.table_name;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_hear_table(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: takes the answer of the present phase of a table';

CREATE FUNCTION documentdb_upgrade_internal.parity_hear(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    from_elsewhere constant boolean := answer->'remote' ? 'value';
    failed record;
BEGIN
    SELECT * INTO failed FROM documentdb_upgrade_internal.parity_error(answer) e;
    IF failed.ends_run THEN
        PERFORM documentdb_upgrade_internal.parity_fail(r.id, failed.error);
        RETURN NULL;
    END IF;
    BEGIN
        IF from_elsewhere
           AND documentdb_upgrade_internal.parity_is_answer(r, t, answer->'remote'->'value') IS NOT TRUE THEN
            RAISE EXCEPTION 'it is not of the form that was asked for' USING ERRCODE = 'data_exception';
        END IF;
        IF r.phase = 'tables' THEN
            RETURN documentdb_upgrade_internal.parity_hear_table(r, t, answer);
        END IF;
        PERFORM documentdb_upgrade_internal.parity_hear_run(r, answer);
    EXCEPTION WHEN OTHERS THEN
        -- Other errors, or without a value from there, are not of its making.
        IF from_elsewhere IS NOT TRUE OR SQLSTATE !~ '^(0A|2[123]|54)' THEN
            RAISE;
        END IF;
        PERFORM documentdb_upgrade_internal.parity_fail(r.id, jsonb_build_object('sqlstate', '08P01',
            'message', 'the answer of the other server makes no sense',
            'detail', format('Phase %s: %s.', CASE r.phase WHEN 'tables' THEN t.phase ELSE r.phase END,
                             left(SQLERRM, 500)),
            'hint', 'See what answers at that address: the other server is broken or not the one that is meant, '
                    'or something between the two changes what it says.'));
    END;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION parity_hear(parity_runs, parity_tables, jsonb) IS
    'serves parity_next(): takes an answer; the table as it is now, null when it was not about one. An error that is '
    'not about one table, and a value from elsewhere that nothing can be made of, ends the run';

CREATE FUNCTION documentdb_upgrade_internal.parity_next(run bigint, worker integer, answer jsonb,
                            OUT action text, OUT local text, OUT remote text, OUT wait_ms integer)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r documentdb_upgrade.parity_runs;
    t documentdb_upgrade.parity_tables;
BEGIN
    SELECT * INTO r FROM documentdb_upgrade.parity_runs p WHERE p.id = parity_next.run;
    IF r.state = 'running' AND r.phase = 'tables' THEN
        SELECT * INTO t FROM documentdb_upgrade.parity_tables p
            WHERE p.run = r.id AND p.worker = parity_next.worker AND p.pid = pg_backend_pid() AND p.state = 'running';
    END IF;
    answer := nullif(nullif(answer, 'null'), '{}');
    IF r.state = 'running' AND answer IS NOT NULL AND (t.run IS NOT NULL OR r.phase <> 'tables' AND worker = 0) THEN
        t := documentdb_upgrade_internal.parity_hear(r, t, answer);
        SELECT * INTO r FROM documentdb_upgrade.parity_runs p WHERE p.id = parity_next.run;
    END IF;
    IF r.state IS DISTINCT FROM 'running' THEN
        action := 'done';
        RETURN;
    ELSIF r.phase <> 'tables' AND worker <> 0 THEN
        action := 'wait';
        wait_ms := 20;
        RETURN;
    END IF;

    IF r.phase = 'sequences' AND NOT r.work ? 'now' THEN
        r := documentdb_upgrade_internal.parity_next_sequences(r);
    END IF;
    IF r.phase = 'tables' AND t.state IS DISTINCT FROM 'running' THEN
        t := documentdb_upgrade_internal.parity_claim(r, worker);
        IF t.run IS NULL AND worker <> 0 THEN
            -- Process 0 sees to the end.
            action := 'done';
            RETURN;
        ELSIF t.run IS NULL THEN
            SELECT greatest(1000 * extract(epoch FROM min((p.work->>'not_before')::timestamptz)
                                                      - clock_timestamp()), 50) INTO wait_ms
                FROM documentdb_upgrade.parity_tables p
                WHERE p.run = r.id AND p.state IN ('pending', 'running') HAVING count(*) > 0;
            IF FOUND THEN
                action := 'wait';
                RETURN;
            END IF;
            UPDATE documentdb_upgrade.parity_runs p SET phase = 'verifying' WHERE p.id = r.id RETURNING * INTO r;
        END IF;
    END IF;
    IF r.phase <> 'tables' THEN
        SELECT a.* INTO action, local, remote FROM documentdb_upgrade_internal.parity_run_statements(r) a;
        RETURN;
    END IF;

    t.waiting_for := CASE WHEN t.phase <> 'recheck' THEN documentdb_upgrade_internal.parity_throttle(r) END;
    UPDATE documentdb_upgrade.parity_tables p SET waiting_for = t.waiting_for
        WHERE p.run = t.run AND p.schema_name = t.schema_name AND p.table_name = t.table_name
          AND p.waiting_for IS DISTINCT FROM t.waiting_for;
    IF t.waiting_for IS NOT NULL THEN
        action := 'wait';
        wait_ms := 500;
        RETURN;
    END IF;
    action := CASE t.phase WHEN 'recheck' THEN 'run_now' ELSE 'run' END;
    local := documentdb_upgrade_internal.parity_table_statement(t, r.sides->'local'->>'functions', 'local');
    IF r.kind = 'comparison' AND t.phase <> 'bound' THEN
        remote := documentdb_upgrade_internal.parity_table_statement(t, r.sides->'remote'->>'functions', 'remote');
    END IF;
END
$$;
COMMENT ON FUNCTION parity_next(bigint, integer, jsonb) IS
    'serves run_parity(): takes the answer to the last statement of a process and tells what it is to do next: run '
    '(under the snapshots of the run), run_now (under new ones), wait or done';

--
-- Parity: what people call
--

CREATE FUNCTION documentdb_upgrade_internal.run_parity(options jsonb, conninfo text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_parity';
COMMENT ON FUNCTION run_parity(jsonb, text) IS
    'has background processes carry out a parity run under a snapshot of the caller''s, and with conninfo under one of '
    'the other server''s too; waits for them and returns the run''s id; for table_checksums() and compare_with()';

CREATE FUNCTION documentdb_upgrade_internal.parity_outcome(run bigint, reader oid) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r documentdb_upgrade.parity_runs;
    resume text;
    tables bigint;
    tables_done bigint;
    rows_changed bigint;
    result text;
BEGIN
    SELECT * INTO r FROM documentdb_upgrade.parity_runs p
        WHERE p.id = parity_outcome.run AND pg_has_role(reader, p.role, 'USAGE');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no run % of this role', run USING ERRCODE = 'undefined_object';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE t.state = 'done'), sum(t.changed) INTO tables, tables_done, rows_changed
        FROM documentdb_upgrade.parity_tables t WHERE t.run = r.id;
    resume := format('Call %s again with resume => %s; what it has read to the end is kept.',
                     CASE r.kind WHEN 'checksums' THEN 'table_checksums()' ELSE 'compare_with()' END, r.id);
    IF r.state NOT IN ('complete', 'incomplete') THEN
        RAISE EXCEPTION USING ERRCODE = coalesce(r.sqlstate, 'internal_error'),
            MESSAGE = coalesce(r.message, format('run %s ended early', r.id)),
            DETAIL = concat_ws(E'\n', r.detail, format('Run %s has read %s of %s tables.', r.id, tables_done, tables)),
            HINT = concat_ws(' ', r.hint, CASE WHEN tables > 0 THEN resume
                                               WHEN r.hint IS NULL THEN 'See documentdb_upgrade.parity_runs.' END);
    END IF;

    IF r.kind = 'checksums' THEN
        result := r.state;
    ELSE
        result := CASE WHEN r.equal THEN 'equal' ELSE 'differences in ' || (
                      SELECT string_agg(format('%s: %s', d.kind, d.n), ', ' ORDER BY d.kind)
                      FROM (SELECT d.kind, count(*) AS n FROM documentdb_upgrade.parity_differences d
                            WHERE d.run = r.id AND d.confirmed GROUP BY 1) d) END
                  || CASE WHEN r.exact THEN ', exact' ELSE ', not exact: no write fence was up and drained' END;
    END IF;
    RAISE NOTICE '%', format('%s %s tables, %s rows, %s in %s s: %s',
            CASE r.kind WHEN 'checksums' THEN 'summed' ELSE 'compared' END, r.table_count, r.row_count,
            pg_size_pretty(r.bytes), round(extract(epoch FROM r.duration)::numeric, 1), result)
        USING DETAIL = format('Run %s, algorithm %s.', r.id, r.algorithm)
            || CASE WHEN r.snapshots > 1
                    THEN format(' It was resumed: its tables are of %s different moments.', r.snapshots) ELSE '' END
            || CASE WHEN rows_changed > 0
                    THEN format(' %s rows changed meanwhile and agree now.', rows_changed) ELSE '' END;
    IF r.state = 'incomplete' THEN
        RAISE NOTICE '%', format('run %s could not read everything', r.id) USING HINT = resume;
    END IF;
END
$$;
COMMENT ON FUNCTION parity_outcome(bigint, oid) IS
    'serves parity_checksums() and parity_found(): how a run of a role that the reader belongs to ended, as a NOTICE, '
    'or as the error that ended it';

CREATE FUNCTION documentdb_upgrade_internal.parity_read_checksums(run bigint, reader oid)
    RETURNS TABLE (schema_name text, table_name text, row_count bigint, checksum text, bytes bigint, duration interval,
                   problem text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM documentdb_upgrade_internal.parity_outcome(run, reader);
    RETURN QUERY
        SELECT t.schema_name, t.table_name,
               CASE t.state WHEN 'done' THEN t.row_count END, CASE t.state WHEN 'done' THEN t.checksum END,
               t.bytes, make_interval(secs => (t.ms / 1000)::float8), t.sqlstate || ': ' || t.problem
        FROM documentdb_upgrade.parity_tables t WHERE t.run = parity_read_checksums.run
        ORDER BY t.schema_name COLLATE "C", t.table_name COLLATE "C";
END
$$;
COMMENT ON FUNCTION parity_read_checksums(bigint, oid) IS 'serves parity_checksums(): the same for a role';

CREATE FUNCTION documentdb_upgrade_internal.parity_read_differences(run bigint, reader oid)
    RETURNS TABLE (kind text, schema_name text, object_name text, difference text, key jsonb, local text, remote text,
                   detail text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM documentdb_upgrade_internal.parity_outcome(run, reader);
    RETURN QUERY
        SELECT d.kind, d.schema_name, d.object_name, d.difference, d.key, d.local, d.remote, d.detail
        FROM documentdb_upgrade.parity_differences d
        LEFT JOIN documentdb_upgrade.parity_tables t
            ON t.run = d.run AND t.schema_name = d.schema_name AND t.table_name = d.object_name
        WHERE d.run = parity_read_differences.run AND d.confirmed
        ORDER BY array_position(ARRAY['extension', 'objects', 'sequence'], d.kind),
                 d.schema_name COLLATE "C", d.object_name COLLATE "C", d.kind = 'row',
                 ARRAY(SELECT d.key->(k.v->>0) FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n)
                       ORDER BY k.n),
                 d.looked_for;
END
$$;
COMMENT ON FUNCTION parity_read_differences(bigint, oid) IS 'serves parity_found(): the same for a role';

-- Functions in C, because a SECURITY DEFINER function does not know who calls it.
CREATE FUNCTION documentdb_upgrade_internal.parity_checksums(run bigint)
    RETURNS TABLE (schema_name text, table_name text, row_count bigint, checksum text, bytes bigint, duration interval,
                   problem text)
    LANGUAGE C VOLATILE ROWS 100
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_parity_checksums';
COMMENT ON FUNCTION parity_checksums(bigint) IS
    'serves table_checksums(): the result of a run of the role that calls, or of one that it belongs to';

CREATE FUNCTION documentdb_upgrade_internal.parity_found(run bigint)
    RETURNS TABLE (kind text, schema_name text, object_name text, difference text, key jsonb, local text, remote text,
                   detail text)
    LANGUAGE C VOLATILE ROWS 100
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_parity_found';
COMMENT ON FUNCTION parity_found(bigint) IS
    'serves compare_with(): the differences that a run of the role that calls, or of one that it belongs to, has found';

CREATE FUNCTION table_checksums(schemas text[] DEFAULT NULL, tables text[] DEFAULT NULL, workers integer DEFAULT 2,
                                chunk interval DEFAULT '500 ms', max_lag interval DEFAULT '30 s',
                                max_active integer DEFAULT NULL, resume bigint DEFAULT NULL)
    RETURNS TABLE (run bigint, schema_name text, table_name text, row_count bigint, checksum text, bytes bigint,
                   duration interval, problem text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done constant bigint := documentdb_upgrade_internal.run_parity(jsonb_strip_nulls(jsonb_build_object(
        'kind', 'checksums', 'schemas', schemas, 'tables', tables, 'workers', workers,
        'chunk_ms', extract(epoch FROM chunk) * 1000, 'max_lag', extract(epoch FROM max_lag), 'max_active', max_active,
        'resume', resume)));
BEGIN
    RETURN QUERY SELECT done, c.* FROM documentdb_upgrade_internal.parity_checksums(done) c;
END
$$;
COMMENT ON FUNCTION table_checksums(text[], text[], integer, interval, interval, integer, bigint) IS
    'rows, checksum and size of tables under one snapshot, by that many processes, in pieces of about chunk, waiting '
    'while standbys are more than max_lag behind or more than max_active other sessions at work; problem says why a '
    'table could not be read. It needs the privilege to read the tables, USAGE on schema documentdb_upgrade_internal, '
    'and EXECUTE on its functions run_parity() and parity_checksums(). 42P01: no such table; 53400: no background '
    'process is free; 55006, 55000: the run cannot be resumed';

CREATE FUNCTION compare_with(conninfo text, schemas text[] DEFAULT NULL, tables text[] DEFAULT NULL,
                             workers integer DEFAULT 2, chunk interval DEFAULT '500 ms',
                             max_lag interval DEFAULT '30 s', max_active integer DEFAULT NULL,
                             max_differences integer DEFAULT 100, algorithm text DEFAULT 'du1',
                             resume bigint DEFAULT NULL)
    RETURNS TABLE (run bigint, kind text, schema_name text, object_name text, difference text, key jsonb, local text,
                   remote text, detail text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done bigint;
BEGIN
    IF conninfo IS NULL THEN
        RAISE EXCEPTION 'conninfo must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give the connection string of the other server, such as host=green dbname=app user=parity.';
    END IF;
    done := documentdb_upgrade_internal.run_parity(jsonb_strip_nulls(jsonb_build_object(
        'kind', 'comparison', 'schemas', schemas, 'tables', tables, 'workers', workers,
        'chunk_ms', extract(epoch FROM chunk) * 1000, 'max_lag', extract(epoch FROM max_lag), 'max_active', max_active,
        'max_differences', max_differences, 'algorithm', algorithm, 'resume', resume)), conninfo);
    RETURN QUERY SELECT done, f.* FROM documentdb_upgrade_internal.parity_found(done) f;
END
$$;
COMMENT ON FUNCTION compare_with(text, text[], text[], integer, interval, interval, integer, integer, text, bigint) IS
    'what differs between this database and the one that conninfo leads to: tables, rows (max_differences of each '
    'table are named), sequences, extensions and versions, counts of objects; no row means equal. Rows that differ are '
    'looked at again for some seconds. algorithm: du1, which needs extension documentdb_upgrade_parity there, or sql. '
    'It needs USAGE on schema documentdb_upgrade_internal, and EXECUTE on its functions run_parity() and '
    'parity_found(), too. 0A000: no checksum functions there; 55000: other encoding; 08006: the connection was lost, '
    'and resume takes the run up again';

--
-- The maintenance fence
--

CREATE TABLE cutovers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason text NOT NULL,
    source text NOT NULL CHECK (source IN ('manual', 'resource')),
    raised_by text NOT NULL,
    raised_at timestamptz NOT NULL,
    server bigint NOT NULL,
    lsn pg_lsn NOT NULL,
    drained_at timestamptz,
    drained_lsn pg_lsn,
    lifted_at timestamptz,
    parity_run bigint,
    parity_at timestamptz
);
CREATE UNIQUE INDEX cutovers_open ON cutovers (server, source) WHERE lifted_at IS NULL;
COMMENT ON TABLE cutovers
	IS 'every time that writes were stopped for maintenance, one row each; while lifted_at is null a write fence is '
	'up, after a restart and a promotion too';
COMMENT ON COLUMN cutovers.id IS 'in the order of raising';
COMMENT ON COLUMN cutovers.reason IS 'as given to fence_writes(), or where the wish was read';
COMMENT ON COLUMN cutovers.source IS 'manual: fence_writes(); resource: spec.maintenance of the custom resource';
COMMENT ON COLUMN cutovers.raised_by IS 'session user, or worker';
COMMENT ON COLUMN cutovers.raised_at IS 'since when statements that begin are refused';
COMMENT ON COLUMN cutovers.server
	IS 'system identifier of the server; standbys share it, so a row that logical replication has brought from another '
	'server raises no fence';
COMMENT ON COLUMN cutovers.lsn IS 'end of WAL when the fence was up';
COMMENT ON COLUMN cutovers.drained_at IS 'when no older writer was left; null until then';
COMMENT ON COLUMN cutovers.drained_lsn IS 'end of WAL at that moment: whoever has replayed it has everything';
COMMENT ON COLUMN cutovers.lifted_at IS 'when the fence was lifted; null while it is up';
COMMENT ON COLUMN cutovers.parity_run IS 'the last comparison that finished meanwhile, of parity_runs';
COMMENT ON COLUMN cutovers.parity_at IS 'when it finished';

CREATE FUNCTION fence_writes(reason text, drain interval DEFAULT '0',
                             OUT raised_at timestamptz, OUT drained_at timestamptz,
                             OUT lsn pg_lsn, OUT writers integer)
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fence_writes';
COMMENT ON FUNCTION fence_writes(text, interval) IS
'stops writes to this database, except by the roles of documentdb_upgrade.fence_exempt_roles, until lift_fence(); '
	'in force when it returns, and taken back when the transaction is rolled back. Waits up to drain for writers that '
	'began before; writers is how many are left, drained_at null while there are any, '
	'and lsn the end of WAL at drained_at, else when the fence was up. Called again it waits again. Errors: '
	'22023 no reason, 25001 isolation level, or a wait in a transaction that has written, 25006 standby or read-only, '
	'55000 not preloaded, or not the worker''s database, 55006 another session raises one';

CREATE FUNCTION lift_fence() RETURNS boolean
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_lift_fence';
COMMENT ON FUNCTION lift_fence() IS
'ends what fence_writes() has begun, when this transaction commits; false when there was nothing to lift. '
	'The fence of a custom resource goes with its spec.maintenance; where no worker runs, with this function. Errors: '
	'25001 isolation level, 25006 standby or read-only, 55006 another session is raising the fence';

CREATE FUNCTION documentdb_upgrade_internal.fence_exempts(role oid) RETURNS boolean
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fence_exempts';
COMMENT ON FUNCTION fence_exempts(oid) IS 'true for a role whose sessions a write fence does not hold back';

CREATE FUNCTION documentdb_upgrade_internal.writers_since(moment timestamptz, OUT pid integer, OUT role text,
	OUT what text,
                              OUT since timestamptz, OUT detail text, OUT awaited boolean)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    -- Sessions first: one that becomes a prepared transaction is seen as that.
    SELECT w.pid, w.role, w.what, w.since, w.detail, w.awaited FROM (
        SELECT a.pid, a.usename::text AS role,
               CASE WHEN a.old_transaction THEN 'transaction' WHEN a.old_statement THEN 'statement'
                    WHEN a.applies THEN 'apply worker' WHEN a.exempt THEN 'exempt role'
                        ELSE 'server process' END AS what,
               CASE WHEN a.old_transaction OR NOT a.runs THEN coalesce(a.xact_start, a.backend_start)
                   ELSE a.query_start END AS since,
               concat_ws(', ', a.backend_type, nullif(a.application_name, ''), a.state,
                         nullif(left(regexp_replace(a.query, '\s+', ' ', 'g'), 200), '')) AS detail,
               a.old_transaction OR a.old_statement AS awaited
        FROM (SELECT s.*, t.*,
                     CASE WHEN s.state = 'disabled' THEN s.backend_xid IS NOT NULL OR s.backend_xmin IS NOT NULL
                          WHEN s.state IS NULL THEN s.xact_start < moment
                          ELSE s.backend_xid IS NOT NULL
                              AND coalesce(s.xact_start < moment, true) END AS old_transaction,
                     t.runs AND s.query_start < moment AS old_statement
              FROM pg_stat_activity s,
                   LATERAL (SELECT coalesce(s.state IN ('active', 'fastpath function call'), false) AS runs,
                                   s.backend_type LIKE 'logical replication % worker' AS applies,
                                   coalesce(documentdb_upgrade_internal.fence_exempts(s.usesysid), false) AS exempt) t
              WHERE s.datname = current_database() AND s.pid <> pg_backend_pid()
                AND s.backend_type NOT IN ('autovacuum worker', 'autovacuum launcher', 'parallel worker')
                AND (s.backend_type NOT LIKE 'documentdb\_upgrade %' OR s.backend_type = 'documentdb_upgrade attempt')
                AND (s.backend_type <> 'walsender' OR s.backend_xid IS NOT NULL
                     OR EXISTS (SELECT FROM pg_stat_replication r WHERE r.pid = s.pid AND r.state = 'startup'))) a
        WHERE a.old_transaction OR a.old_statement OR a.applies
           OR ((a.exempt OR a.backend_type NOT IN ('client backend', 'walsender'))
               AND (a.backend_xid IS NOT NULL OR a.runs))) w
    UNION ALL
    SELECT NULL, p.owner::text, 'prepared transaction', p.prepared, p.gid, true
    FROM pg_prepared_xacts p
    WHERE p.database = current_database()
$$;
COMMENT ON FUNCTION writers_since(timestamptz)
	IS 'serves view fence_writers: who may still write when a fence went up at that moment';

CREATE VIEW fence_writers AS
    SELECT pid, role, what, since, detail, awaited
    FROM writers_since(coalesce(fence_since(), clock_timestamp()));
COMMENT ON VIEW fence_writers IS
'who may still write to this database although a fence is up, or could if one were raised now; '
	'a comparison is exact when none is awaited';
COMMENT ON COLUMN fence_writers.pid IS 'process; null for a prepared transaction';
COMMENT ON COLUMN fence_writers.role IS 'its user, or who prepared it';
COMMENT ON COLUMN fence_writers.what
	IS 'transaction or statement begun before the fence, prepared transaction; or by design: exempt role, '
	'apply worker, server process';
COMMENT ON COLUMN fence_writers.since IS 'when it began, or was prepared';
COMMENT ON COLUMN fence_writers.detail
	IS 'kind of process, application, state and statement, or name of the prepared transaction';
COMMENT ON COLUMN fence_writers.awaited
	IS 'true: older than the fence, and must end before it is drained; false: not held back by a fence at all';

CREATE FUNCTION documentdb_upgrade_internal.note_parity(run bigint) RETURNS void
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_note_parity';
COMMENT ON FUNCTION note_parity(bigint)
	IS 'notes in the cutover that has not ended that this comparison has finished; called by compare_with()';

CREATE FUNCTION cutover_report() RETURNS TABLE (step text, at timestamptz, elapsed interval, detail text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cutover documentdb_upgrade.cutovers;
    run jsonb;
    unlisted integer;
BEGIN
    SELECT * INTO cutover FROM documentdb_upgrade.cutovers c
        WHERE c.server = (SELECT system_identifier FROM pg_control_system())
        ORDER BY c.lifted_at IS NULL DESC, CASE WHEN c.lifted_at IS NULL THEN c.id END, c.id DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT 'fence raised', cutover.raised_at, interval '0',
        format('%s by %s: %s; WAL was at %s', cutover.source, cutover.raised_by, cutover.reason, cutover.lsn);
    IF cutover.drained_at IS NOT NULL THEN
        detail := format('everything is in WAL up to %s', cutover.drained_lsn);
    ELSIF cutover.lifted_at IS NOT NULL THEN
        detail := 'the fence was lifted before that';
    ELSE
        SELECT format('%s left: %s', count(*), string_agg(concat_ws(' ', w.what, w.pid::text, w.role), ', '
            ORDER BY w.since)) INTO detail
            FROM documentdb_upgrade.fence_writers w WHERE w.awaited HAVING count(*) > 0;
        detail := coalesce(detail, 'none is left, and the worker has not looked yet');
    END IF;
    RETURN QUERY SELECT 'last writer gone', cutover.drained_at, cutover.drained_at - cutover.raised_at, detail;

    IF cutover.parity_run IS NULL THEN
        detail := 'no comparison has finished';
    ELSE
        SELECT to_jsonb(r) INTO run FROM documentdb_upgrade.parity_runs r WHERE r.id = cutover.parity_run;
        detail := format('run %s: %s', cutover.parity_run,
            CASE WHEN run IS NULL THEN 'its record is gone'
                 WHEN (run->>'equal')::boolean THEN 'equal' ELSE 'not equal' END
            || CASE WHEN (run->>'exact')::boolean THEN ', exact' WHEN run IS NOT NULL THEN ', not exact' ELSE '' END);
    END IF;
    RETURN QUERY SELECT 'parity proved',
        CASE WHEN (run->>'equal')::boolean THEN cutover.parity_at END,
        CASE WHEN (run->>'equal')::boolean THEN cutover.parity_at - cutover.raised_at END, detail;

    RETURN QUERY SELECT 'fence lifted', cutover.lifted_at, cutover.lifted_at - cutover.raised_at,
        CASE WHEN cutover.lifted_at IS NOT NULL THEN NULL
             WHEN documentdb_upgrade_internal.fence_since() IS NULL THEN 'it is not in force on this server'
             WHEN cutover.source = 'manual' THEN 'SELECT documentdb_upgrade.lift_fence(); lifts it'
             ELSE 'it goes with spec.maintenance of the custom resource' END;
    RETURN QUERY SELECT 'total', coalesce(cutover.lifted_at, clock_timestamp()),
        coalesce(cutover.lifted_at, clock_timestamp()) - cutover.raised_at, NULL::text;

    IF cutover.lifted_at IS NULL THEN
        RETURN QUERY SELECT 'not held back', w.since, NULL::interval, concat_ws(' ', w.what, w.pid::text, w.role) ||
            ': ' || w.detail
            FROM documentdb_upgrade.fence_writers w WHERE NOT w.awaited ORDER BY w.since;
    END IF;
END
$$;
COMMENT ON FUNCTION cutover_report() IS
'the cutover that goes on, else the last one, step by step with its times: fence raised, last writer gone, '
	'parity proved, fence lifted, total; then who may write by design; no row when there was none';

--
-- Privileges: nothing here is for PUBLIC but what asks nothing of the server, and
-- the reports of standbys, which are checked; pg_monitor may look
--

REVOKE ALL ON ALL ROUTINES IN SCHEMA documentdb_upgrade, documentdb_upgrade_internal FROM PUBLIC;

GRANT EXECUTE ON FUNCTION to_semver, to_extension_version, compare_versions, report_standby
    TO PUBLIC;
GRANT EXECUTE ON PROCEDURE run_report_standby TO PUBLIC;

GRANT EXECUTE ON FUNCTION
    schema_version, binary_version, loaded_version, plan, plan_sql, preflight,
    can_finalize, upgrade_fingerprint, wait_for, support_bundle, member_definitions,
    rehearsal_report, validate_spec, admission_review, compare_releases,
    release_plan, rollback_plan, verify_rollback, check_compatibility, classify,
    pre_upgrade_report, post_upgrade_report, runbook, row_checksum,
    columns_checksum, record_checksum, checksum_algorithm, add_checksums,
    cutover_report, decide
    TO pg_monitor;
GRANT EXECUTE ON PROCEDURE run_validate_spec, run_admission_review TO pg_monitor;
GRANT SELECT ON
    history, checks, holds, backups, versions, status, progress, metrics,
    member_digests, rehearsals, standbys, releases, rollbacks, compatibility,
    parity_runs, parity_tables, parity_differences, parity_progress, cutovers,
    fence_writers
    TO pg_monitor;

-- What these call as whoever calls them.
GRANT EXECUTE ON FUNCTION
    managed_versions, current_status, running_attempts, worker_counters,
    check_applies, rehearsal_step, rehearsal_changes, fleet, observed_release,
    image_versions, component_version, version_matches, release_components,
    shell_quote, patch_resource, release_action, refuse_release, release_steps,
    error_counters, health_tables, health_part, health_report, worker_location,
    runbook_value, render, runbook_changes, runbook_facts, parity_is_alive,
    fence_notice, fence_since, fence_exempts, writers_since
    TO pg_monitor;
GRANT SELECT ON binaries_seen, runbook_template TO pg_monitor;
