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
    description text
);
COMMENT ON TABLE checks IS 'functions that must return true in the transaction of a finalize';
COMMENT ON COLUMN checks.kind IS 'pre: before the first script; post: after the last';
COMMENT ON COLUMN checks.function IS 'schema-qualified name with (), a function without arguments that returns boolean; it runs as its owner';
COMMENT ON COLUMN checks.enabled IS 'false leaves the check out';
COMMENT ON COLUMN checks.builtin IS 'shipped with this extension';
COMMENT ON COLUMN checks.name IS 'checks run in the order of their names';
COMMENT ON COLUMN checks.description IS 'for people';

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
           ('hold' = ANY (s.blocked_by))::integer AS held
    FROM status s, worker_counters() w,
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
        ('history', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 50) h'),
        ('holds', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.holds ORDER BY id DESC LIMIT 20) h'),
        ('backups', 'SELECT jsonb_agg(to_jsonb(b) ORDER BY b.id DESC) FROM (SELECT * FROM documentdb_upgrade.backups ORDER BY id DESC LIMIT 20) b'),
        ('checks', 'SELECT jsonb_agg(to_jsonb(c) ORDER BY c.name) FROM documentdb_upgrade.checks c'),
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

-- @libraries

-- @members

-- @checks

-- @hooks

-- @fence

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
    support_bundle()
    FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_finalize_to(text, text, text[]) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION schema_version(), binary_version(), loaded_version(),
    managed_versions(), plan(text), plan_sql(text), preflight(text),
    can_finalize(text), upgrade_fingerprint(), current_status(),
    wait_for(text, interval), running_attempts(), worker_counters(),
    support_bundle()
    TO pg_monitor;
GRANT SELECT ON history, checks, holds, backups, binaries_seen, versions, status,
    progress, metrics
    TO pg_monitor;
