\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE TO '0.8.0'" to load this file. \quit

SET LOCAL search_path = documentdb_upgrade, pg_temp;

-- @checksum

-- @process

-- @parity

--
-- The maintenance fence
--

CREATE TABLE cutovers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason text NOT NULL,
    source text NOT NULL CHECK (source IN ('manual', 'resource')),
    raised_by text NOT NULL,
    raised_at timestamptz NOT NULL,
    lsn pg_lsn NOT NULL,
    drained_at timestamptz,
    drained_lsn pg_lsn,
    lifted_at timestamptz,
    parity_run bigint,
    parity_at timestamptz
);
CREATE UNIQUE INDEX cutovers_open ON cutovers (source) WHERE lifted_at IS NULL;
COMMENT ON TABLE cutovers IS 'every time that writes were stopped for maintenance, one row each; while lifted_at is null a write fence is up, after a restart and a promotion too';
COMMENT ON COLUMN cutovers.id IS 'in the order of raising';
COMMENT ON COLUMN cutovers.reason IS 'as given to fence_writes(), or where the wish was read';
COMMENT ON COLUMN cutovers.source IS 'manual: fence_writes(); resource: spec.maintenance of the custom resource';
COMMENT ON COLUMN cutovers.raised_by IS 'session user, or worker';
COMMENT ON COLUMN cutovers.raised_at IS 'since when statements that begin are refused';
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
'stops writes to this database, except by the roles of documentdb_upgrade.fence_exempt_roles, until lift_fence(); in force when it returns, and taken back when the transaction is rolled back. Waits up to drain for writers that began before; writers is how many are left, drained_at null while there are any, and lsn the end of WAL at drained_at, else when the fence was up. Called again it waits again. Errors: 22023 no reason, 25001 isolation level, or a wait in a transaction that has written, 25006 standby or read-only, 55000 not preloaded, or not the worker''s database, 55006 another session raises one';

CREATE FUNCTION lift_fence() RETURNS boolean
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_lift_fence';
COMMENT ON FUNCTION lift_fence() IS
'ends what fence_writes() has begun, when this transaction commits; false when there was nothing to lift. The fence of a custom resource goes with its spec.maintenance; where no worker runs, with this function. Errors: 25001 isolation level, 25006 standby or read-only, 55006 another session is raising the fence';

CREATE FUNCTION fence_notice() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fence_notice';
COMMENT ON FUNCTION fence_notice() IS 'why writes to this database are stopped, or are to be; null when they are not';

CREATE FUNCTION fence_since() RETURNS timestamptz
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fence_since';
COMMENT ON FUNCTION fence_since() IS 'since when this server refuses writes to this database for maintenance; null when it does not';

CREATE FUNCTION fence_exempts(role oid) RETURNS boolean
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fence_exempts';
COMMENT ON FUNCTION fence_exempts(oid) IS 'true for a role whose sessions a write fence does not hold back';

CREATE FUNCTION writers_since(moment timestamptz, OUT pid integer, OUT role text, OUT what text,
                              OUT since timestamptz, OUT detail text, OUT awaited boolean)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    -- Sessions first: one that becomes a prepared transaction is seen as that.
    SELECT w.pid, w.role, w.what, w.since, w.detail, w.awaited FROM (
        SELECT a.pid, a.usename::text AS role,
               CASE WHEN a.old_transaction THEN 'transaction' WHEN a.old_statement THEN 'statement'
                    WHEN a.applies THEN 'apply worker' WHEN a.exempt THEN 'exempt role' ELSE 'server process' END AS what,
               CASE WHEN a.old_transaction OR NOT a.runs THEN coalesce(a.xact_start, a.backend_start) ELSE a.query_start END AS since,
               concat_ws(', ', a.backend_type, nullif(a.application_name, ''), a.state,
                         nullif(left(regexp_replace(a.query, '\s+', ' ', 'g'), 200), '')) AS detail,
               a.old_transaction OR a.old_statement AS awaited
        FROM (SELECT s.*, t.*,
                     CASE WHEN s.state = 'disabled' THEN s.backend_xid IS NOT NULL OR s.backend_xmin IS NOT NULL
                          WHEN s.state IS NULL THEN s.xact_start < moment
                          ELSE s.backend_xid IS NOT NULL AND coalesce(s.xact_start < moment, true) END AS old_transaction,
                     t.runs AND s.query_start < moment AS old_statement
              FROM pg_stat_activity s,
                   LATERAL (SELECT coalesce(s.state IN ('active', 'fastpath function call'), false) AS runs,
                                   s.backend_type LIKE 'logical replication % worker' AS applies,
                                   coalesce(documentdb_upgrade.fence_exempts(s.usesysid), false) AS exempt) t
              WHERE s.datname = current_database() AND s.pid <> pg_backend_pid()
                AND s.backend_type NOT IN ('autovacuum worker', 'autovacuum launcher', 'parallel worker')
                AND (s.backend_type NOT LIKE 'documentdb\_upgrade %' OR s.backend_type = 'documentdb_upgrade attempt')
                AND (s.backend_type <> 'walsender' OR s.backend_xid IS NOT NULL
                     OR EXISTS (SELECT FROM pg_stat_replication r WHERE r.pid = s.pid AND r.state = 'startup'))) a
        WHERE a.old_transaction OR a.old_statement OR a.applies
           OR ((a.exempt OR a.backend_type NOT IN ('client backend', 'walsender')) AND (a.backend_xid IS NOT NULL OR a.runs))) w
    UNION ALL
    SELECT NULL, p.owner::text, 'prepared transaction', p.prepared, p.gid, true
    FROM pg_prepared_xacts p
    WHERE p.database = current_database()
$$;
COMMENT ON FUNCTION writers_since(timestamptz) IS 'serves view fence_writers: who may still write when a fence went up at that moment';

CREATE VIEW fence_writers AS
    SELECT pid, role, what, since, detail, awaited
    FROM writers_since(coalesce(fence_since(), clock_timestamp()));
COMMENT ON VIEW fence_writers IS
'who may still write to this database although a fence is up, or could if one were raised now; a comparison is exact when none is awaited';
COMMENT ON COLUMN fence_writers.pid IS 'process; null for a prepared transaction';
COMMENT ON COLUMN fence_writers.role IS 'its user, or who prepared it';
COMMENT ON COLUMN fence_writers.what IS 'transaction or statement begun before the fence, prepared transaction; or by design: exempt role, apply worker, server process';
COMMENT ON COLUMN fence_writers.since IS 'when it began, or was prepared';
COMMENT ON COLUMN fence_writers.detail IS 'kind of process, application, state and statement, or name of the prepared transaction';
COMMENT ON COLUMN fence_writers.awaited IS 'true: older than the fence, and must end before it is drained; false: not held back by a fence at all';

CREATE FUNCTION note_parity(run bigint) RETURNS void
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_note_parity';
COMMENT ON FUNCTION note_parity(bigint) IS 'notes in the cutover that has not ended that this comparison has finished; called by compare_with()';

CREATE FUNCTION cutover_report() RETURNS TABLE (step text, at timestamptz, elapsed interval, detail text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cutover documentdb_upgrade.cutovers;
    run jsonb;
    unlisted integer;
BEGIN
    SELECT * INTO cutover FROM documentdb_upgrade.cutovers c
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
        SELECT format('%s left: %s', count(*), string_agg(concat_ws(' ', w.what, w.pid::text, w.role), ', ' ORDER BY w.since)) INTO detail
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
             WHEN documentdb_upgrade.fence_since() IS NULL THEN 'it is not in force on this server'
             WHEN cutover.source = 'manual' THEN 'SELECT documentdb_upgrade.lift_fence(); lifts it'
             ELSE 'it goes with spec.maintenance of the custom resource' END;
    RETURN QUERY SELECT 'total', coalesce(cutover.lifted_at, clock_timestamp()),
        coalesce(cutover.lifted_at, clock_timestamp()) - cutover.raised_at, NULL::text;

    IF cutover.lifted_at IS NULL THEN
        RETURN QUERY SELECT 'not held back', w.since, NULL::interval, concat_ws(' ', w.what, w.pid::text, w.role) || ': ' || w.detail
            FROM documentdb_upgrade.fence_writers w WHERE NOT w.awaited ORDER BY w.since;
    END IF;
END
$$;
COMMENT ON FUNCTION cutover_report() IS
'the cutover that goes on, else the last one, step by step with its times: fence raised, last writer gone, parity proved, fence lifted, total; then who may write by design; no row when there was none';

CREATE OR REPLACE VIEW status AS
    SELECT role, installed, s."binary", loaded, desired, mode, target, state,
           blocked_by, next_step, last_error, attempts, next_retry, source,
           last_contact, worker_pid, fence_notice() AS fence
    FROM current_status() s;

CREATE OR REPLACE VIEW metrics AS
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
           f.standbys, f.standbys_ready, f.replication_lag AS replication_lag_seconds,
           (s.fence IS NOT NULL)::integer AS fenced,
           greatest(extract(epoch FROM clock_timestamp() - fence_since()), 0)::double precision AS fence_seconds
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
        ('standbys', 'SELECT jsonb_agg(to_jsonb(b)) FROM documentdb_upgrade.standbys b'),
        ('history', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 50) h'),
        ('rehearsals', 'SELECT jsonb_agg(to_jsonb(r) - ''report'' ORDER BY r.id DESC) FROM (SELECT * FROM documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 20) r'),
        ('holds', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.holds ORDER BY id DESC LIMIT 20) h'),
        ('cutovers', 'SELECT jsonb_agg(to_jsonb(c) ORDER BY c.id DESC) FROM (SELECT * FROM documentdb_upgrade.cutovers ORDER BY id DESC LIMIT 20) c'),
        ('fence_writers', 'SELECT jsonb_agg(to_jsonb(w)) FROM documentdb_upgrade.fence_writers w'),
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

-- @fence

-- @privileges-checksum

-- @privileges-process

-- @privileges-parity

REVOKE ALL ON FUNCTION fence_writes(text, interval), lift_fence(), fence_notice(), fence_since(),
    fence_exempts(oid), writers_since(timestamptz), note_parity(bigint), cutover_report()
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fence_notice(), fence_since(), fence_exempts(oid),
    writers_since(timestamptz), cutover_report()
    TO pg_monitor;
GRANT SELECT ON cutovers, fence_writers TO pg_monitor;

-- @privileges-fence
