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
    parity_at timestamptz,
    everywhere boolean NOT NULL DEFAULT false
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
COMMENT ON COLUMN cutovers.everywhere IS 'writes to every database of the server were stopped, not to this one alone';

CREATE FUNCTION fence_writes(reason text, drain interval DEFAULT '0', everywhere boolean DEFAULT false,
                             OUT raised_at timestamptz, OUT drained_at timestamptz,
                             OUT lsn pg_lsn, OUT writers integer)
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fence_writes';
COMMENT ON FUNCTION fence_writes(text, interval, boolean) IS
'stops writes to this database, or to every database of this server (everywhere), except by the roles of '
	'documentdb_upgrade.fence_exempt_roles, until lift_fence() here; in force when it returns, and taken back when the '
	'transaction is rolled back. Waits up to drain for writers that began before; writers is how many are left, '
	'drained_at null while there are any, and lsn the end of WAL at drained_at, else when the fence was up. Called '
	'again it waits again. Errors: 22023 no reason, 25001 isolation level, or a wait in a transaction that has '
	'written, 25006 standby or read-only, 55000 not preloaded, not a database that a worker serves, or a fence around '
	'it alone is up, 55006 another session raises one';

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

CREATE FUNCTION documentdb_upgrade_internal.writers_since(moment timestamptz, everywhere boolean,
                              OUT pid integer, OUT role text, OUT what text, OUT since timestamptz,
                              OUT detail text, OUT awaited boolean, OUT database text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    -- Sessions first: one that becomes a prepared transaction is seen as that.  What began
    -- later than now began before the clock was set back.
    SELECT w.pid, w.role, w.what, w.since, w.detail, w.awaited, w.database FROM (
        SELECT a.pid, a.usename::text AS role,
               CASE WHEN a.old_transaction THEN 'transaction' WHEN a.old_statement THEN 'statement'
                    WHEN a.applies THEN 'apply worker' WHEN a.exempt THEN 'exempt role'
                        ELSE 'server process' END AS what,
               CASE WHEN a.old_transaction OR NOT a.runs THEN coalesce(a.xact_start, a.backend_start)
                   ELSE a.query_start END AS since,
               concat_ws(', ', a.backend_type, nullif(a.application_name, ''), a.state,
                         nullif(left(regexp_replace(a.query, '\s+', ' ', 'g'), 200), '')) AS detail,
               a.old_transaction OR a.old_statement AS awaited,
               a.datname::text AS database
        FROM (SELECT s.*, t.*,
                     CASE WHEN s.state = 'disabled' THEN s.backend_xid IS NOT NULL OR s.backend_xmin IS NOT NULL
                          WHEN s.state IS NULL THEN s.xact_start NOT BETWEEN moment AND clock_timestamp()
                          ELSE s.backend_xid IS NOT NULL
                              AND coalesce(s.xact_start NOT BETWEEN moment AND clock_timestamp(), true) END
                         AS old_transaction,
                     t.runs AND s.query_start NOT BETWEEN moment AND clock_timestamp() AS old_statement
              FROM pg_stat_activity s,
                   LATERAL (SELECT coalesce(s.state IN ('active', 'fastpath function call'), false) AS runs,
                                   s.backend_type LIKE 'logical replication % worker' AS applies,
                                   coalesce(documentdb_upgrade_internal.fence_exempts(s.usesysid), false) AS exempt) t
              WHERE (s.datname = current_database() OR everywhere AND s.datname IS NOT NULL)
                AND s.pid <> pg_backend_pid()
                AND s.backend_type NOT IN ('autovacuum worker', 'autovacuum launcher', 'parallel worker')
                AND (s.backend_type NOT LIKE 'documentdb\_upgrade %' OR s.backend_type = 'documentdb_upgrade attempt')
                AND (s.backend_type <> 'walsender' OR s.backend_xid IS NOT NULL
                     OR EXISTS (SELECT FROM pg_stat_replication r WHERE r.pid = s.pid AND r.state = 'startup'))) a
        WHERE a.old_transaction OR a.old_statement OR a.applies
           OR ((a.exempt OR a.backend_type NOT IN ('client backend', 'walsender'))
               AND (a.backend_xid IS NOT NULL OR a.runs))) w
    UNION ALL
    SELECT NULL, p.owner::text, 'prepared transaction', p.prepared, p.gid, true, p.database::text
    FROM pg_prepared_xacts p
    WHERE p.database = current_database() OR everywhere
$$;
COMMENT ON FUNCTION writers_since(timestamptz, boolean)
	IS 'serves view fence_writers: who may still write to this database, or to any, when a fence went up at that '
	'moment';

CREATE FUNCTION documentdb_upgrade_internal.writers_since(moment timestamptz, OUT pid integer, OUT role text,
                              OUT what text, OUT since timestamptz, OUT detail text, OUT awaited boolean)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT w.pid, w.role, w.what, w.since, w.detail, w.awaited
    FROM documentdb_upgrade_internal.writers_since(moment, false) w
$$;
COMMENT ON FUNCTION writers_since(timestamptz) IS 'serves fence_writes(): the same of this database';

CREATE VIEW fence_writers AS
    SELECT pid, role, what, since, detail, awaited, database
    FROM writers_since(coalesce(fence_since(), clock_timestamp()),
                       EXISTS (SELECT FROM cutovers c WHERE c.everywhere AND c.lifted_at IS NULL
                               AND c.server = (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s)));
COMMENT ON VIEW fence_writers IS
'who may still write to this database, or to any while the fence is around all, although a fence is up, or could '
	'if one were raised now; '
	'a comparison is exact when none is awaited';
COMMENT ON COLUMN fence_writers.pid IS 'process; null for a prepared transaction';
COMMENT ON COLUMN fence_writers.role IS 'its user, or who prepared it';
COMMENT ON COLUMN fence_writers.what
	IS 'transaction or statement begun before the fence, prepared transaction; or by design: exempt role, '
	'apply worker, server process';
COMMENT ON COLUMN fence_writers.since IS 'when it began, or was prepared';
COMMENT ON COLUMN fence_writers.detail
	IS 'kind of process, application, state and statement, or name of the prepared transaction';
COMMENT ON COLUMN fence_writers.database IS 'database that it is connected to';
COMMENT ON COLUMN fence_writers.awaited
	IS 'true: older than the fence, and must end before it is drained; false: not held back by a fence at all';

CREATE FUNCTION documentdb_upgrade_internal.note_parity(run bigint) RETURNS void
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_note_parity';
COMMENT ON FUNCTION note_parity(bigint)
	IS 'notes in the cutover that has not ended that this comparison has finished; called by compare_with()';

CREATE FUNCTION documentdb_upgrade_internal.duration_words(duration interval) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN s < 10 THEN round(s, 1) || ' s' WHEN s < 120 THEN round(s) || ' s'
                WHEN s < 7200 THEN round(s / 60) || ' min' ELSE round(s / 3600, 1) || ' h' END
    FROM (SELECT extract(epoch FROM duration)) AS d(s)
$$;
COMMENT ON FUNCTION duration_words(interval) IS 'serves reports: a duration for people';

CREATE FUNCTION documentdb_upgrade_internal.cutover_estimate(goal interval, OUT expected interval, OUT detail text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH rehearsed AS (
        SELECT r.id, r.duration, r.bytes FROM documentdb_upgrade.parity_runs r
        WHERE r.kind = 'comparison' AND r.state = 'complete' ORDER BY r.id DESC LIMIT 1),
    grown AS (
        SELECT r.*, (SELECT sum(pg_table_size(c.oid)) FROM documentdb_upgrade.parity_tables t
                     JOIN pg_namespace n ON n.nspname = t.schema_name
                     JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.table_name
                     WHERE t.run = r.id) AS bytes_now
        FROM rehearsed r),
    estimate AS (
        SELECT g.*, g.duration * greatest(coalesce(g.bytes_now / nullif(g.bytes, 0), 1), 1)::float8 AS expected
        FROM grown g)
    SELECT e.expected,
           format('comparison %s took %s for %s, and the same tables have %s now: %s of %s', e.id,
                  documentdb_upgrade_internal.duration_words(e.duration), pg_size_pretty(e.bytes),
                  pg_size_pretty(e.bytes_now), documentdb_upgrade_internal.duration_words(e.expected),
                  documentdb_upgrade_internal.duration_words(goal))
           || CASE WHEN e.expected <= goal THEN ', the goal is in reach'
                   ELSE ', the goal is out of reach: compare with more workers, or raise '
                        'documentdb_upgrade.cutover_goal' END
    FROM estimate e
$$;
COMMENT ON FUNCTION cutover_estimate(interval) IS
'serves cutover_report(): how long the comparison of a cut-over would take, by the last one that has finished, and '
'whether that is within the goal; null when there was none';

CREATE FUNCTION cutover_report() RETURNS TABLE (step text, at timestamptz, elapsed interval, detail text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cutover documentdb_upgrade.cutovers;
    run jsonb;
    goal constant interval := coalesce(current_setting('documentdb_upgrade.cutover_goal', true), '10 min');
    taken interval;
BEGIN
    SELECT * INTO cutover FROM documentdb_upgrade.cutovers c
        WHERE c.server = (SELECT system_identifier FROM pg_control_system())
        ORDER BY c.lifted_at IS NULL DESC, CASE WHEN c.lifted_at IS NULL THEN c.id END, c.id DESC LIMIT 1;
    IF NOT FOUND OR cutover.lifted_at IS NOT NULL THEN
        RETURN QUERY SELECT 'estimate', NULL::timestamptz, e.expected, e.detail
            FROM documentdb_upgrade_internal.cutover_estimate(goal) e WHERE e.expected IS NOT NULL;
    END IF;
    IF cutover.id IS NULL THEN
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
    taken := coalesce(cutover.lifted_at, clock_timestamp()) - cutover.raised_at;
    RETURN QUERY SELECT 'goal', cutover.raised_at + goal, goal,
        format(CASE WHEN cutover.lifted_at IS NULL AND taken <= goal THEN 'within it so far: %s of %s are used'
                    WHEN cutover.lifted_at IS NULL THEN 'missed already: %s are used, of %s'
                    WHEN taken <= goal THEN 'met: %s of %s' ELSE 'missed: %s instead of %s' END,
               documentdb_upgrade_internal.duration_words(taken), documentdb_upgrade_internal.duration_words(goal))
        || CASE WHEN cutover.lifted_at IS NOT NULL AND coalesce((run->>'equal')::boolean, false) IS FALSE
                THEN ', but no comparison has proved parity' ELSE '' END;

    IF cutover.lifted_at IS NULL THEN
        RETURN QUERY SELECT 'not held back', w.since, NULL::interval, concat_ws(' ', w.what, w.pid::text, w.role) ||
            ': ' || w.detail
            FROM documentdb_upgrade.fence_writers w WHERE NOT w.awaited ORDER BY w.since;
    END IF;
END
$$;
COMMENT ON FUNCTION cutover_report() IS
'the cutover that goes on, else the last one, step by step with its times: fence raised, last writer gone, '
	'parity proved, fence lifted, total, goal (documentdb_upgrade.cutover_goal) with a verdict; then who may write by '
	'design. While none goes on, first an estimate by the last comparison. No row when there was nothing of this';

CREATE FUNCTION cutover_verdict(writes_stopped_at timestamptz)
    RETURNS TABLE (step text, at timestamptz, elapsed interval, detail text)
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run documentdb_upgrade.parity_runs;
    goal constant interval := coalesce(current_setting('documentdb_upgrade.cutover_goal', true), '10 min');
    proved timestamptz;
    taken interval;
BEGIN
    IF writes_stopped_at > clock_timestamp() THEN
        RAISE EXCEPTION 'writes cannot have been stopped at %, which is in the future', writes_stopped_at
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO run FROM documentdb_upgrade.parity_runs r
        WHERE r.kind = 'comparison' AND r.state = 'complete' AND r.started_at >= writes_stopped_at
        ORDER BY r.equal DESC NULLS LAST, CASE WHEN r.equal THEN r.id END, r.id DESC LIMIT 1;
    proved := CASE WHEN run.equal THEN run.finished_at END;
    taken := coalesce(proved, clock_timestamp()) - writes_stopped_at;
    RETURN QUERY SELECT 'writes stopped', writes_stopped_at, interval '0', 'as the caller says';
    RETURN QUERY SELECT 'parity proved', proved, proved - writes_stopped_at,
        CASE WHEN run.id IS NULL THEN 'no comparison that began after it has finished'
             ELSE format('run %s: %s', run.id, CASE WHEN run.equal THEN 'equal' ELSE 'not equal' END) END;
    RETURN QUERY SELECT 'goal', writes_stopped_at + goal, goal,
        format(CASE WHEN proved IS NULL AND taken <= goal THEN 'within it so far: %s of %s are used'
                    WHEN proved IS NULL THEN 'missed already: %s are used, of %s'
                    WHEN taken <= goal THEN 'met: %s of %s' ELSE 'missed: %s instead of %s' END,
               documentdb_upgrade_internal.duration_words(taken), documentdb_upgrade_internal.duration_words(goal));
END
$$;
COMMENT ON FUNCTION cutover_verdict(timestamptz) IS
'for a cut-over without a fence of ours, as when blue is PostgreSQL 13 or 14: whether parity was proved on this server '
'within documentdb_upgrade.cutover_goal after writes were stopped, which the caller says; 22023 for a time to come';
