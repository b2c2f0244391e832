\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE TO '0.3.0'" to load this file. \quit

SET LOCAL search_path = documentdb_upgrade, pg_temp;

--
-- Tables
--

ALTER TABLE history
    ADD COLUMN resource_uid text,
    ADD COLUMN resource_generation bigint,
    ADD COLUMN dismissed_at timestamptz;
COMMENT ON COLUMN history.actor IS 'who drove the attempt: function, worker, or tick';
COMMENT ON COLUMN history.resource_uid IS 'uid of the custom resource that asked for it';
COMMENT ON COLUMN history.resource_generation IS 'generation of that resource';
COMMENT ON COLUMN history.dismissed_at IS 'when retry() dismissed this failure; the worker then looks at it no more';

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

CREATE OR REPLACE FUNCTION hold(reason text, until timestamptz DEFAULT NULL) RETURNS boolean
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

CREATE OR REPLACE FUNCTION release() RETURNS boolean
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

CREATE OR REPLACE FUNCTION support_bundle() RETURNS jsonb
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

--
-- Privileges
--

REVOKE ALL ON FUNCTION stop_for_hold(), wake_at_commit(), cancel(), retry(), tick(),
    wait_for(text, interval), running_attempts(), worker_counters()
    FROM PUBLIC;

GRANT EXECUTE ON FUNCTION wait_for(text, interval), running_attempts(), worker_counters()
    TO pg_monitor;
GRANT SELECT ON progress, metrics TO pg_monitor;
