\echo Use "CREATE EXTENSION documentdb_upgrade" to load this file. \quit

-- Made here, so that it is a member and goes with the extension, and so that
-- a schema of this name that somebody else has made is refused.
CREATE SCHEMA documentdb_upgrade;
COMMENT ON SCHEMA documentdb_upgrade IS 'commits extension upgrades safely';
GRANT USAGE ON SCHEMA documentdb_upgrade TO PUBLIC;
SET LOCAL search_path = documentdb_upgrade, pg_temp;

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
REVOKE ALL ON FUNCTION decide(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION decide(text, text, text) TO pg_monitor;
COMMENT ON FUNCTION decide(text, text, text) IS
'what a desired version ('''', auto or a version) means for an installed and a binary one: not_installed, refuse, schema_ahead, wait, none, update_available or finalize; a pure function of its arguments';

--
-- Tables
--

CREATE TABLE history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    extension text NOT NULL,
    from_version text,
    to_version text,
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
    dismissed_at timestamptz
);
COMMENT ON TABLE history IS 'every attempt to finalize, one row each';
COMMENT ON COLUMN history.id IS 'null in the row that a finalize with nothing to do returns';
COMMENT ON COLUMN history.extension IS 'the main extension; of a manual update the one that was updated';
COMMENT ON COLUMN history.from_version IS 'installed version before the attempt';
COMMENT ON COLUMN history.to_version IS 'target of the attempt';
COMMENT ON COLUMN history.outcome IS 'succeeded; failed: an error, rolled back; refused: a guard or the fingerprint; cancelled: by a user, or rolled back by the caller after success';
COMMENT ON COLUMN history.actor IS 'who drove the attempt: function, worker, tick, or manual: a plain ALTER EXTENSION';
COMMENT ON COLUMN history.role_name IS 'session user';
COMMENT ON COLUMN history.client IS 'application name and address of the session';
COMMENT ON COLUMN history.started_at IS 'when the attempt began';
COMMENT ON COLUMN history.finished_at IS 'when the attempt ended; the commit follows at once or with the caller''s transaction';
COMMENT ON COLUMN history.skipped_guards IS 'guards that the caller overrode, or that a manual update went against';
COMMENT ON COLUMN history.refused_by IS 'guards that failed';
COMMENT ON COLUMN history.fingerprint IS 'upgrade_fingerprint() at the time';
COMMENT ON COLUMN history.restore_point IS 'name of the restore point written before the first script; null with wal_level minimal';
COMMENT ON COLUMN history.restore_lsn IS 'LSN of the restore point; unique where the name may repeat';
COMMENT ON COLUMN history.restore_timeline IS 'timeline of the restore point';
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
COMMENT ON COLUMN checks.function IS 'schema-qualified name with (), a function without arguments that returns boolean; it runs as its owner';
COMMENT ON COLUMN checks.enabled IS 'false leaves the check out';
COMMENT ON COLUMN checks.builtin IS 'shipped with this extension';
COMMENT ON COLUMN checks.name IS 'checks run in the order of their names';
COMMENT ON COLUMN checks.description IS 'for people';
COMMENT ON COLUMN checks.requires IS 'functions (schema.name) that must be members of the main extension for this check to apply; null: it always does';

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
COMMENT ON COLUMN holds.until IS 'when the hold ends by itself; null: never';

CREATE TABLE backups (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    label text NOT NULL,
    finished_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE backups IS 'backups told by record_backup(); guard backup_recent looks at the newest';

CREATE TABLE binaries_seen (
    extension text NOT NULL,
    version text NOT NULL,
    digest text NOT NULL,
    first_seen timestamptz NOT NULL,
    PRIMARY KEY (extension, version, digest)
);
COMMENT ON TABLE binaries_seen IS 'when each binary of the main extension was first seen on this server, for guard soak_time; not dumped';
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
'version that the main extension''s files on this instance offer: default_version of the control file, else the highest; null when there are no files';

CREATE FUNCTION loaded_version() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_loaded_version';
COMMENT ON FUNCTION loaded_version() IS
'version that the library in this server''s memory reports; null when the main extension has no such function (setting documentdb_upgrade.loaded_version_function)';

CREATE FUNCTION managed_versions(OUT extension text, OUT installed text,
                                 OUT "binary" text, OUT loaded text,
                                 OUT gate text, OUT target text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 3
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_managed_versions';
COMMENT ON FUNCTION managed_versions() IS 'the rows of view versions';

CREATE VIEW versions AS
    SELECT extension, installed, managed_versions."binary", loaded, gate, target
    FROM managed_versions();
COMMENT ON VIEW versions IS
'one row per extension of the managed set, in the order of update: installed, binary and loaded version, the version in force (gate), and the target that follows the binary';

CREATE FUNCTION plan(target text DEFAULT NULL,
                     OUT step integer, OUT extension text,
                     OUT from_version text, OUT to_version text,
                     OUT script text, OUT sha256 text,
                     OUT risk text, OUT risk_reason text, OUT locks text[])
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 5
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_plan';
COMMENT ON FUNCTION plan(text) IS
'one row per script that a finalize to the target (null: the binary version) would run, in order; risk and locks as far as the script''s text shows them; malformed target raises 22023';

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
'one row per guard for the target (null: the binary version): status pass, warn, fail or skip, why, and what to do; hard guards cannot be overridden';

CREATE FUNCTION can_finalize(target text DEFAULT NULL) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_can_finalize';
COMMENT ON FUNCTION can_finalize(text) IS
'true when no guard fails for the target (null: the binary version)';

CREATE FUNCTION upgrade_fingerprint() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_upgrade_fingerprint';
COMMENT ON FUNCTION upgrade_fingerprint() IS
'SHA-256 over what any plan depends on: versions, control files, update scripts and libraries; give it to finalize_to to run only what was reviewed';

CREATE FUNCTION current_status(OUT role text, OUT installed text,
                               OUT "binary" text, OUT loaded text,
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

CREATE VIEW status AS
    SELECT role, installed, s."binary", loaded, desired, mode, target, state,
           blocked_by, next_step, last_error, attempts, next_retry, source,
           last_contact, worker_pid
    FROM current_status() s;
COMMENT ON VIEW status IS
'one row: where this server stands, and in next_step why nothing happens and the exact command that would change it';

--
-- Committing
--

CREATE FUNCTION finalize_to(target text, expected_fingerprint text DEFAULT NULL,
                            skip_guards text[] DEFAULT '{}')
    RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize_to';
COMMENT ON FUNCTION finalize_to(text, text, text[]) IS
'updates the managed set to the target and returns the history row; commits with the caller''s transaction; a target already reached is success and changes nothing. Errors: 22023 malformed target or unknown guard, 22004 null target, 42704 not installed, 0A000 no such version or path, 55000 refused, 55006 another upgrade runs, 55P03 locks not to be had in time, 57014 time limit or cancel, 42501 owner cannot update, 25001 isolation level, 25006 standby or read-only, and what a script raises';

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

CREATE FUNCTION stop_for_hold() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_stop_for_hold';
COMMENT ON FUNCTION stop_for_hold() IS
'serves hold(): ends the attempt that the worker runs; false when its commit has begun';

CREATE FUNCTION wake_at_commit() RETURNS void
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
    in_time := documentdb_upgrade.stop_for_hold();
    PERFORM documentdb_upgrade.wake_at_commit();
    PERFORM pg_notify('documentdb_upgrade',
                      jsonb_build_object('event', 'hold', 'reason', left(reason, 1000))::text);
    RETURN in_time;
END
$$;
COMMENT ON FUNCTION hold(text, timestamptz) IS
'places a hold: guard hold refuses every finalize until release() or the given time, and an attempt of the worker is ended at once; true when placed in time, false when the commit of such an attempt had begun (the hold stands all the same)';

CREATE FUNCTION release() RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE documentdb_upgrade.holds
        SET released_at = clock_timestamp(), released_by = session_user
        WHERE released_at IS NULL
          AND (until IS NULL OR until > clock_timestamp());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM documentdb_upgrade.wake_at_commit();
    PERFORM pg_notify('documentdb_upgrade',
                      jsonb_build_object('event', 'release')::text);
    RETURN true;
END
$$;
COMMENT ON FUNCTION release() IS
'ends all holds in force; false when there was none';

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
'ends the attempt that the worker runs in this database, which then waits for another desired version, other files or retry(); false when none runs or its commit has begun; an attempt of a session is ended by pg_cancel_backend';

CREATE FUNCTION retry() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_retry';
COMMENT ON FUNCTION retry() IS
'has the worker forget its failures and try at once; false when there was nothing to forget';

CREATE FUNCTION tick() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_tick';
COMMENT ON FUNCTION tick() IS
'one pass of the worker''s loop, for servers that cannot preload: reads the desired version, finalizes if that is due, reports, and returns the state; where a worker runs, has it read and look, and returns the state it was in. Errors: 53400 no background worker is free, 58P01 the worker''s library cannot be loaded, 55000 the pass ended before its time';

CREATE FUNCTION wait_for(target text, timeout interval) RETURNS boolean
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_wait_for';
COMMENT ON FUNCTION wait_for(text, interval) IS
'returns true as soon as the main extension is at the target version and its library has taken it up, false after the timeout; works on standbys; a malformed version raises 22023';

CREATE FUNCTION running_attempts(OUT pid integer, OUT actor text,
                                 OUT extension text, OUT from_version text,
                                 OUT target text, OUT step integer, OUT steps integer,
                                 OUT step_from text, OUT step_to text,
                                 OUT started_at timestamptz,
                                 OUT cancel_requested boolean, OUT commit_begun boolean)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_running_attempts';
COMMENT ON FUNCTION running_attempts() IS 'the rows of view progress';

CREATE VIEW progress AS
    SELECT pid, actor, extension, from_version, target, step, steps, step_from,
           step_to, started_at, cancel_requested, commit_begun
    FROM running_attempts();
COMMENT ON VIEW progress IS
'one row per attempt that runs in this database, with the script that runs now as step n of m; empty without preloading';

CREATE FUNCTION worker_counters(OUT extension text, OUT served boolean,
                                OUT source_reads bigint, OUT source_failures bigint,
                                OUT reports_delivered bigint, OUT reports_failed bigint,
                                OUT events_dropped bigint)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_worker_counters';
COMMENT ON FUNCTION worker_counters() IS 'what view metrics takes from the worker: the main extension, whether a worker serves this database, and its counters since it started';

--
-- Fleet
--

CREATE FUNCTION fleet(
    OUT name text, OUT host text, OUT slot_name text, OUT identity text,
    OUT upstream text, OUT depth integer, OUT role text, OUT status text,
    OUT problem text, OUT required boolean, OUT installed text,
    OUT "binary" text, OUT loaded text, OUT gate text, OUT library text,
    OUT timeline integer, OUT replayed_lsn pg_lsn, OUT replication_lag interval,
    OUT reported_at timestamptz, OUT fingerprint text, OUT extensions jsonb)
    RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fleet';
COMMENT ON FUNCTION fleet() IS 'the rows of view standbys';

CREATE VIEW standbys AS SELECT * FROM fleet();
COMMENT ON VIEW standbys IS
'one row per standby below this server, at any depth, with what it has reported; status is ready, ignored, or why it is not ready: silent, stale, old_binary, old_library, behind, old_gate, lagging, contested';
COMMENT ON COLUMN standbys.name IS 'application_name of its WAL sender';
COMMENT ON COLUMN standbys.host IS 'host name as it reports it; null while it is silent';
COMMENT ON COLUMN standbys.slot_name IS 'replication slot that it uses; null when it uses none';
COMMENT ON COLUMN standbys.identity IS 'of its data directory; null while it is silent';
COMMENT ON COLUMN standbys.upstream IS 'identity of the server that it streams from; null when that is this one';
COMMENT ON COLUMN standbys.depth IS '1: streams from this server; 2: from a standby of it; and so on';
COMMENT ON COLUMN standbys.role IS 'standby, or designated_primary: the head of a replica region';
COMMENT ON COLUMN standbys.status IS 'ready, ignored, or why it is not ready: silent, stale, old_binary, old_library, behind, old_gate, lagging, contested';
COMMENT ON COLUMN standbys.problem IS 'the same as a sentence; null when it is ready';
COMMENT ON COLUMN standbys.required IS 'guards wait for it';
COMMENT ON COLUMN standbys.installed IS 'version of the main extension that it sees';
COMMENT ON COLUMN standbys."binary" IS 'version of the main extension that its files offer';
COMMENT ON COLUMN standbys.loaded IS 'version that its loaded library reports';
COMMENT ON COLUMN standbys.gate IS 'version that its loaded library believes to be in force';
COMMENT ON COLUMN standbys.library IS 'its libraries in memory against those on its disk: none, current, unknown, stale';
COMMENT ON COLUMN standbys.timeline IS 'that it replays';
COMMENT ON COLUMN standbys.replayed_lsn IS 'that it has replayed up to, as last heard';
COMMENT ON COLUMN standbys.replication_lag IS 'how long ago this server was where that standby was when it was last heard; null when not known';
COMMENT ON COLUMN standbys.reported_at IS 'when its report arrived at the server that it streams from, by this server''s clock';
COMMENT ON COLUMN standbys.fingerprint IS 'its upgrade_fingerprint(); equal on instances with equal files and schema';
COMMENT ON COLUMN standbys.extensions IS 'the managed set as it sees it: name, installed, binary, loaded, sha256 of its libraries';

CREATE FUNCTION report_standby(report jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_report_standby';
COMMENT ON FUNCTION report_standby(jsonb) IS
'takes the report of a standby about itself and its downstream, and answers who this server is; for roles with REPLICATION whose connection matches a live WAL sender, 42501 for others; 22023 for a malformed report, 54000 for one that is too large, 55000 without preloading';

CREATE PROCEDURE run_report_standby(report jsonb, INOUT answer jsonb DEFAULT NULL)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_report_standby';
COMMENT ON PROCEDURE run_report_standby(jsonb, jsonb) IS
'does what report_standby does, for roles that a planner hook keeps out of SELECT';

CREATE VIEW metrics AS
    SELECT s.role, s.state, s.installed, s.desired,
           w.served::integer AS worker_up,
           CASE WHEN (decide('', s.installed, s."binary")).decision = 'update_available'
                THEN coalesce((SELECT extract(epoch FROM clock_timestamp() - min(b.first_seen))
                               FROM binaries_seen b
                               WHERE b.version = s."binary"
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
           f.standbys, f.standbys_ready, f.replication_lag AS replication_lag_seconds
    FROM status s, worker_counters() w,
         LATERAL (SELECT count(*) FILTER (WHERE b.required)::integer AS standbys,
                 count(*) FILTER (WHERE b.required AND b.status = 'ready')::integer AS standbys_ready,
                 extract(epoch FROM max(b.replication_lag) FILTER (WHERE b.required))::double precision AS replication_lag
          FROM standbys b) f,
         LATERAL (SELECT coalesce(sum(1 + a.repeats), 0)::bigint AS attempts,
                 coalesce(sum(1 + a.repeats) FILTER (WHERE a.outcome <> 'succeeded'), 0)::bigint AS failed,
                 count(*) FILTER (WHERE a.outcome = 'succeeded') AS succeeded,
                 extract(epoch FROM clock_timestamp()
                         - max(a.finished_at) FILTER (WHERE a.outcome = 'succeeded'))::double precision AS last_success_age
          FROM history a
          WHERE a.extension = w.extension) h;
COMMENT ON VIEW metrics IS
'one row for exporters, on primaries and standbys; update_available_seconds is how long a newer binary has been waiting for its finalize, 0 when none does';

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
        ('settings', 'SELECT jsonb_object_agg(name, jsonb_build_object(''value'', setting, ''unit'', unit, ''source'', source)) FROM pg_settings
                      WHERE name LIKE ''documentdb\_upgrade.%''
                         OR name IN (''deadlock_timeout'', ''lock_timeout'', ''max_connections'', ''max_locks_per_transaction'',
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
        ('history', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 50) h'),
        ('rehearsals', 'SELECT jsonb_agg(to_jsonb(r) - ''report'' ORDER BY r.id DESC) FROM (SELECT * FROM documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 20) r'),
        ('holds', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.holds ORDER BY id DESC LIMIT 20) h'),
        ('backups', 'SELECT jsonb_agg(to_jsonb(b) ORDER BY b.id DESC) FROM (SELECT * FROM documentdb_upgrade.backups ORDER BY id DESC LIMIT 20) b'),
        ('checks', 'SELECT jsonb_agg(to_jsonb(c) || jsonb_build_object(''applies'', documentdb_upgrade.check_applies(c.requires)) ORDER BY c.name) FROM documentdb_upgrade.checks c'),
        ('binaries_seen', 'SELECT jsonb_agg(to_jsonb(b) ORDER BY b.first_seen) FROM documentdb_upgrade.binaries_seen b'),
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
               (SELECT string_agg(concat_ws(' ', c.conname, pg_get_constraintdef(c.oid), c.convalidated), E'\n' ORDER BY c.conname)
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
               (SELECT string_agg(concat_ws(' ', k.conname, pg_get_constraintdef(k.oid), k.convalidated), E'\n' ORDER BY k.conname)
                FROM pg_constraint k WHERE k.conrelid = c.oid),
               (SELECT string_agg(concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident),
                                  E'\n' ORDER BY i.indexrelid::regclass::text)
                FROM pg_index i WHERE i.indrelid = c.oid),
               (SELECT string_agg(concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled), E'\n' ORDER BY g.tgname)
                FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
               (SELECT string_agg(concat_ws(' ', pg_get_ruledef(w.oid), w.ev_enabled), E'\n' ORDER BY w.rulename)
                FROM pg_rewrite w WHERE w.ev_class = c.oid AND c.relkind NOT IN ('v', 'm')),
               (SELECT string_agg(concat_ws(' ', quote_ident(y.polname), y.polcmd, y.polpermissive,
                    (SELECT string_agg(coalesce(r.rolname, 'public'), ',' ORDER BY r.rolname)
                     FROM unnest(y.polroles) AS u(role) LEFT JOIN pg_roles r ON r.oid = u.role),
                    pg_get_expr(y.polqual, y.polrelid), pg_get_expr(y.polwithcheck, y.polrelid)), E'\n' ORDER BY y.polname)
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
           concat_ws(E'\n', f.fdwhandler::regprocedure, f.fdwvalidator::regprocedure, array_to_string(f.fdwoptions, ' '))
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
                SELECT format('%s=%s%s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                              a.privilege_type, CASE WHEN a.is_grantable THEN '*' END) AS item
                FROM aclexplode(coalesce(d.acl, acldefault(d.aclkind, d.owner))) a) x))
FROM definition d, pg_identify_object(d.classid, d.objid, 0) i
$$;
COMMENT ON FUNCTION member_definitions(text) IS
'one row per member of an extension, and one for the extension itself: SHA-256 over its definition, independent of OIDs and of the session''s settings, and apart from it owner and privileges; comments and the values of sequences do not count';

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
COMMENT ON TABLE member_digests IS 'the members of the managed extensions as the last finalize left them, for guard members_intact';
COMMENT ON COLUMN member_digests.version IS 'of the extension; for another one the record does not count';
COMMENT ON COLUMN member_digests.server_release IS 'PostgreSQL major version; for another one the record does not count';
COMMENT ON COLUMN member_digests.digest IS 'as member_definitions() gives it';

SELECT pg_catalog.pg_extension_config_dump('member_digests', '');

--
-- Checks that are shipped
--

CREATE FUNCTION check_applies(requires text[]) RETURNS boolean
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

CREATE FUNCTION check_documentdb_crud() RETURNS boolean
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
        RAISE WARNING 'check documentdb_crud did not run: role "%" lacks USAGE on the schemas of DocumentDB', session_user
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
        ('aggregate', '{"aggregate": "c", "pipeline": [{"$group": {"_id": null, "sum": {"$sum": "$n"}}}], "cursor": {}}',
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
        FOR found_document IN EXECUTE format('SELECT document FROM documentdb_api_catalog.%I(%L, %L::documentdb_core.bson)',
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
'serves checks: inserts, finds, updates, aggregates and deletes through DocumentDB''s SQL interface, in a database of its own; true when all of that gives what it should';

INSERT INTO checks (name, kind, function, builtin, description, requires) VALUES
    ('documentdb_crud', 'post', 'documentdb_upgrade.check_documentdb_crud()', true,
     'documents can be inserted, found, updated, aggregated and deleted',
     '{documentdb_api.insert_one, documentdb_api.update, documentdb_api.delete, documentdb_api_catalog.bson_aggregation_find, documentdb_api_catalog.bson_aggregation_pipeline}')
    ON CONFLICT (name) DO NOTHING;

--
-- Rehearsing
--

CREATE TABLE rehearsals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    extension text NOT NULL,
    from_version text,
    to_version text,
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
COMMENT ON COLUMN rehearsals.extension IS 'the main extension';
COMMENT ON COLUMN rehearsals.from_version IS 'installed version';
COMMENT ON COLUMN rehearsals.to_version IS 'target of the rehearsal';
COMMENT ON COLUMN rehearsals.outcome IS 'passed; failed: an error; refused: a hard guard, or lock_capacity';
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
COMMENT ON COLUMN rehearsals.report IS 'steps with their effects, guards that do not pass, sequences that have advanced; rehearsal_report(id) gives it as text';
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
'runs the real update of the managed set to the target (null: the binary version), with its checks, rolls it back, and returns the row of rehearsals that it has stored; the caller''s transaction goes on. In place it holds the upgrade''s locks meanwhile, and waits lock_timeout for them at most; with scratch it runs in a throw-away database and takes no lock here. A guard that refuses, a lock that cannot be had and whatever fails in the update are no errors but outcome, sqlstate and message of the row. Errors: 22023 malformed target; 0A000 scratch where the extension cannot live in a second database; 25001 REPEATABLE READ or SERIALIZABLE; 25006 standby or read-only transaction; 42704 scratch without the extension; 53400 scratch without two free background workers, and others of class 53; 55006 from within an upgrade; 57000 the process in the throw-away database was ended; 57014 cancelled';

CREATE PROCEDURE run_rehearse(target text DEFAULT NULL, scratch boolean DEFAULT false)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_rehearse';
COMMENT ON PROCEDURE run_rehearse(text, boolean) IS
'like rehearse, for roles that a planner hook keeps out of SELECT: CALL enters no planner. The row is stored; the same errors';

CREATE FUNCTION rehearsal_changes(step jsonb, action text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('  %s %s %s%s', action, c->>'kind', c->>'identity',
                  coalesce(' (' || (SELECT string_agg(w, ', ') FROM jsonb_array_elements_text(c->'what') w) || ')', ''))
           || coalesce((SELECT string_agg(E'\n    granted ' || g, '') FROM jsonb_array_elements_text(c->'granted') g), '')
           || coalesce((SELECT string_agg(E'\n    revoked ' || r, '') FROM jsonb_array_elements_text(c->'revoked') r), '')
    FROM jsonb_array_elements(step->action) c
$$;
COMMENT ON FUNCTION rehearsal_changes(jsonb, text) IS
'serves rehearsal_report(): the lines about what a step has added, removed or changed (the action), one row each';

CREATE FUNCTION rehearsal_step(step jsonb, n bigint, steps integer) RETURNS text
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
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade.rehearsal_changes(step, 'added') line),
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade.rehearsal_changes(step, 'removed') line),
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade.rehearsal_changes(step, 'changed') line),
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
        format('Rehearsal %s of extension %s from %s to %s: %s', r.id, r.extension,
               coalesce(r.from_version, 'none'), coalesce(r.to_version, 'unknown'), r.outcome),
        format('  by %s (%s) at %s, %s ms%s', r.role_name, r.client, r.started_at,
               round(extract(epoch FROM r.finished_at - r.started_at) * 1000),
               CASE WHEN r.scratch THEN ', in a throw-away database' ELSE '' END),
        format('  fingerprint %s', r.fingerprint),
        CASE WHEN r.report->'steps' = '[]' THEN '  no step ran' ELSE
            format('  heaviest risk: %s; %s lock entries at most; %s of WAL; %s', coalesce(r.risk, 'none, no step ran'), r.lock_entries,
                   pg_size_pretty(r.wal_bytes), coalesce(r.report->>'checks', 'no check ran')) END,
        CASE WHEN r.report->>'deferred' <> 'met' THEN '  deferred constraints: ' || (r.report->>'deferred') END,
        (SELECT string_agg(documentdb_upgrade.rehearsal_step(s.step, s.n, jsonb_array_length(r.report->'steps')), E'\n' ORDER BY s.n)
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
-- Privileges: nothing here is for PUBLIC; pg_monitor may look
--

REVOKE ALL ON FUNCTION schema_version(), binary_version(), loaded_version(),
    managed_versions(), plan(text), plan_sql(text), preflight(text),
    can_finalize(text), upgrade_fingerprint(), current_status(),
    finalize_to(text, text, text[]), finalize(),
    hold(text, timestamptz), release(), record_backup(text, timestamptz),
    stop_for_hold(), wake_at_commit(), cancel(), retry(), tick(),
    wait_for(text, interval), running_attempts(), worker_counters(),
    support_bundle(), member_definitions(text), check_applies(text[]),
    check_documentdb_crud(), rehearse(text, boolean), rehearsal_report(bigint),
    rehearsal_step(jsonb, bigint, integer), rehearsal_changes(jsonb, text), fleet()
    FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_finalize_to(text, text, text[]),
    run_rehearse(text, boolean)
    FROM PUBLIC;

GRANT EXECUTE ON FUNCTION schema_version(), binary_version(), loaded_version(),
    managed_versions(), plan(text), plan_sql(text), preflight(text),
    can_finalize(text), upgrade_fingerprint(), current_status(),
    wait_for(text, interval), running_attempts(), worker_counters(),
    support_bundle(), member_definitions(text), check_applies(text[]),
    rehearsal_report(bigint), rehearsal_step(jsonb, bigint, integer),
    rehearsal_changes(jsonb, text), fleet()
    TO pg_monitor;
GRANT SELECT ON history, checks, holds, backups, binaries_seen, versions, status,
    progress, metrics, member_digests, rehearsals, standbys
    TO pg_monitor;
