--
-- Reports on health, before and after an upgrade
--

CREATE FUNCTION documentdb_upgrade_internal.health_versions(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    WITH main AS MATERIALIZED (
        SELECT v.* FROM documentdb_upgrade.versions v, documentdb_upgrade_internal.worker_counters() w
        WHERE v.extension = w.extension)
    SELECT 'versions',
           CASE WHEN m.installed_version IS NULL OR m.binary_version IS NULL THEN 'fail'
                WHEN documentdb_upgrade.compare_versions(m.installed_version, m.binary_version) > 0 THEN 'fail'
                WHEN documentdb_upgrade.compare_versions(m.loaded_version, m.binary_version) <> 0 THEN 'warn'
                ELSE 'pass' END,
           (SELECT string_agg(format('%s: installed %s, binary %s%s', v.extension, coalesce(v.installed_version, 'none'),
                                     coalesce(v.binary_version, 'none'), ', loaded ' || v.loaded_version), '; ')
            FROM documentdb_upgrade.versions v) || format('; PostgreSQL %s.', current_setting('server_version')),
           CASE WHEN m.installed_version IS NULL THEN format('Run CREATE EXTENSION %I;', m.extension)
                WHEN m.binary_version IS NULL THEN 'Put the extension''s control file and scripts in place.'
                WHEN documentdb_upgrade.compare_versions(m.installed_version, m.binary_version) > 0
                THEN format('Bring back a binary of %s or later.', m.installed_version)
                WHEN documentdb_upgrade.compare_versions(m.loaded_version, m.binary_version) <> 0
                THEN 'Restart PostgreSQL to load the library that is on disk.' END
    FROM main m
$$;
COMMENT ON FUNCTION health_versions() IS 'serves the reports: installed, binary and loaded versions of the managed set';

CREATE FUNCTION documentdb_upgrade_internal.health_state(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'state',
           CASE WHEN s.state IN ('failed', 'blocked', 'schema_ahead', 'not_installed') THEN 'fail'
                WHEN s.state IN ('up_to_date', 'update_available', 'standby') THEN 'pass'
                ELSE 'warn' END,
           format('%s. %s', s.state, s.next_step),
           CASE WHEN s.worker_pid IS NULL AND s.source <> 'setting'
                THEN format('No worker runs here to read source "%s".', s.source) END
    FROM documentdb_upgrade.status s
$$;
COMMENT ON FUNCTION health_state() IS 'serves the reports: the state of view status, with its next step';

CREATE FUNCTION documentdb_upgrade_internal.health_gate(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'gate',
           CASE WHEN v.gate IS NULL OR v.installed_version IS NULL THEN 'skip'
                WHEN documentdb_upgrade.compare_versions(v.gate, v.installed_version) <> 0 THEN 'fail'
                ELSE 'pass' END,
           CASE WHEN v.gate IS NULL OR v.installed_version IS NULL
                THEN 'The library keeps no version in force, or reads it at its next use.'
                ELSE format('Version %s is in force, %s is installed.', v.gate, v.installed_version) END,
           CASE WHEN documentdb_upgrade.compare_versions(v.gate, v.installed_version) <> 0
                THEN 'The worker refreshes it within poll_interval where it runs; else restart PostgreSQL.' END
    FROM documentdb_upgrade.versions v, documentdb_upgrade_internal.worker_counters() w
    WHERE v.extension = w.extension
$$;
COMMENT ON FUNCTION health_gate() IS 'serves the reports: whether the installed version is the one in force';

CREATE FUNCTION documentdb_upgrade_internal.health_guards(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 7 SET search_path = pg_catalog, pg_temp
AS $$
    WITH guard AS MATERIALIZED (
        SELECT p.* FROM documentdb_upgrade.preflight() p)
    SELECT 'guards',
           CASE WHEN bool_or(g.status = 'fail') THEN 'fail' WHEN bool_or(g.status = 'warn') THEN 'warn' ELSE 'pass' END,
           format('%s guards: %s refuse%s, %s warn%s.', count(*),
                  count(*) FILTER (WHERE g.status = 'fail'), coalesce(' (' || string_agg(g.guard, ', ') FILTER (WHERE g.status = 'fail') || ')', ''),
                  count(*) FILTER (WHERE g.status = 'warn'), coalesce(' (' || string_agg(g.guard, ', ') FILTER (WHERE g.status = 'warn') || ')', '')),
           CASE WHEN bool_or(g.status IN ('fail', 'warn')) THEN 'SELECT * FROM documentdb_upgrade.preflight() says why, and what to do.' END
    FROM guard g
    UNION ALL
    (SELECT r.name, g.status, g.detail, g.hint
     FROM guard g JOIN (VALUES ('library', 'library_loaded', 1), ('disk_headroom', 'disk_headroom', 2),
                               ('members_intact', 'members_intact', 3), ('event_triggers', 'event_triggers', 4),
                               ('blocking_sessions', 'blocking_sessions', 5), ('backup', 'backup_recent', 6)) AS r(name, guard, n)
          USING (guard)
     ORDER BY r.n)
$$;
COMMENT ON FUNCTION health_guards() IS 'serves pre_upgrade_report(): all guards in one row, and some of them in rows of their own';

CREATE FUNCTION documentdb_upgrade_internal.health_surroundings(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 3 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.name, g.status, g.detail, g.hint
    FROM documentdb_upgrade.preflight() g
    JOIN (VALUES ('library', 'library_loaded'), ('disk_headroom', 'disk_headroom'),
                 ('event_triggers', 'event_triggers')) AS r(name, guard) USING (guard)
$$;
COMMENT ON FUNCTION health_surroundings() IS 'serves post_upgrade_report(): what guards know and still counts after an upgrade';

CREATE FUNCTION documentdb_upgrade_internal.health_members(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
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
                      CASE WHEN p.digest IS NULL THEN 'missing' WHEN r.digest IS NULL THEN 'added' ELSE 'altered' END) AS what
        FROM recorded r FULL JOIN present p USING (extension, kind, identity)
        WHERE r.digest IS DISTINCT FROM p.digest)
    SELECT 'members_intact',
           CASE WHEN NOT EXISTS (SELECT FROM recorded) THEN 'skip' WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
           CASE WHEN NOT EXISTS (SELECT FROM recorded) THEN 'No finalize has recorded the members of the installed versions.'
                WHEN count(*) > 0 THEN format('%s members are not what the last finalize left: %s%s.', count(*),
                    string_agg(what, ', ' ORDER BY what) FILTER (WHERE n <= 5), CASE WHEN count(*) > 5 THEN ' and others' END)
                ELSE 'All members are as the last finalize left them.' END,
           CASE WHEN EXISTS (SELECT FROM recorded) AND count(*) > 0 THEN 'Undo the change, or keep it knowingly: the next upgrade may fail on it or undo it.' END
    FROM (SELECT what, row_number() OVER (ORDER BY what) AS n FROM differing) d
$$;
COMMENT ON FUNCTION health_members() IS 'serves post_upgrade_report(): whether the members are as the last finalize left them';

CREATE FUNCTION documentdb_upgrade_internal.health_standbys(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'standbys',
           CASE WHEN bool_or(b.required AND b.status <> 'ready') THEN 'fail' ELSE 'pass' END,
           CASE WHEN count(*) = 0 THEN 'No standby is below this server.'
                ELSE format('%s of %s standbys are ready; they see %s.%s',
                            count(*) FILTER (WHERE b.required AND b.status = 'ready'), count(*) FILTER (WHERE b.required),
                            coalesce(string_agg(DISTINCT b.installed_version, ', ' ORDER BY b.installed_version), 'nothing'),
                            coalesce(' ' || string_agg(b.problem, ' ' ORDER BY b.name) FILTER (WHERE b.required AND b.status <> 'ready'), '')) END,
           CASE WHEN bool_or(b.required AND b.status <> 'ready')
                THEN 'docs/fleet.md says what each status means; one that need not be waited for can be named in documentdb_upgrade.ignore_standbys.' END
    FROM documentdb_upgrade.standbys b
$$;
COMMENT ON FUNCTION health_standbys() IS 'serves the reports: standbys that have not reported, or do not understand or see the schema';

CREATE FUNCTION documentdb_upgrade_internal.health_slots(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    -- Columns of later releases are asked for by name: synced is of 17.
    SELECT 'slots',
           CASE WHEN bool_or(s.wal_status = 'lost') THEN 'fail'
                WHEN bool_or(NOT s.active OR s.wal_status = 'unreserved') THEN 'warn' ELSE 'pass' END,
           coalesce(string_agg(format('%s (%s): %s, %s of WAL kept, %s', s.slot_name, s.slot_type,
                                      CASE WHEN s.active THEN 'active' ELSE 'inactive' END,
                                      coalesce(pg_size_pretty(pg_wal_lsn_diff(s.here, s.restart_lsn)), 'no amount'),
                                      coalesce(s.wal_status, 'no status')), '; ' ORDER BY s.active, s.slot_name) || '.',
                    'There are no replication slots.'),
           CASE WHEN bool_or(s.wal_status = 'lost') THEN 'Rebuild the standby or subscriber of a lost slot, and drop the slot.'
                WHEN bool_or(NOT s.active OR s.wal_status = 'unreserved')
                THEN 'Start the receiver of an inactive slot, or drop it with pg_drop_replication_slot(): it keeps WAL and old rows.' END
    FROM (SELECT r.*, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS here
          FROM pg_replication_slots r
          WHERE NOT r.temporary AND coalesce(to_jsonb(r)->>'synced', 'false') <> 'true') s
$$;
COMMENT ON FUNCTION health_slots() IS 'serves the reports: replication slots that nobody uses, the WAL that they keep, and those that have lost theirs';

CREATE FUNCTION documentdb_upgrade_internal.health_replication_lag(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    WITH bound AS (
        SELECT coalesce(current_setting('documentdb_upgrade.max_replication_lag', true), '30s')::interval AS longest
    ), lag AS MATERIALIZED (
        SELECT b.name, b.replication_lag AS time FROM documentdb_upgrade.standbys b WHERE b.required
        UNION ALL
        SELECT r.application_name, r.replay_lag FROM pg_stat_replication r WHERE r.state <> 'backup')
    SELECT 'replication_lag',
           CASE WHEN pg_is_in_recovery() AND pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() THEN 'warn'
                WHEN max(l.time) > b.longest THEN 'fail' ELSE 'pass' END,
           concat_ws(' ',
               CASE WHEN pg_is_in_recovery()
                    THEN format('This standby has %s to replay of what it has received.',
                                coalesce(pg_size_pretty(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())), 'an unknown amount')) END,
               CASE WHEN count(l.name) = 0 THEN 'No standby streams from this server.'
                    ELSE format('The standby that is furthest behind lags %s; the bound is %s.', coalesce(max(l.time), '0'), b.longest) END),
           CASE WHEN pg_is_in_recovery() AND pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()
                THEN 'Look at pg_get_wal_replay_pause_state(), and at queries that replay waits for.'
                WHEN max(l.time) > b.longest THEN 'Wait until it has caught up, or look at what holds its replay up.' END
    FROM bound b LEFT JOIN lag l ON true GROUP BY b.longest
$$;
COMMENT ON FUNCTION health_replication_lag() IS 'serves the reports: how far standbys are behind, or this one is';

CREATE FUNCTION documentdb_upgrade_internal.health_invalid_indexes(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'invalid_indexes',
           CASE WHEN count(*) FILTER (WHERE NOT i.building) > 0 THEN 'fail' WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
           coalesce('Not usable: ' || string_agg(i.name || CASE WHEN i.building THEN ' (being built)' ELSE '' END, ', ' ORDER BY i.name)
                    FILTER (WHERE i.n <= 20) || CASE WHEN count(*) > 20 THEN format(' and %s others', count(*) - 20) ELSE '' END || '.',
                    'All indexes of this database are valid.'),
           CASE WHEN count(*) FILTER (WHERE NOT i.building) > 0 THEN 'Run REINDEX INDEX CONCURRENTLY, or drop the index; a unique one guards nothing until then.'
                WHEN count(*) > 0 THEN 'Wait until they have been built.' END
    FROM (SELECT x.indexrelid::regclass::text AS name, row_number() OVER (ORDER BY x.indexrelid::regclass::text) AS n,
                 EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid) AS building
          FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
          WHERE NOT (x.indisvalid AND x.indisready) AND c.relpersistence <> 't') i
$$;
COMMENT ON FUNCTION health_invalid_indexes() IS 'serves the reports: indexes that a failed CREATE INDEX CONCURRENTLY has left';

CREATE FUNCTION documentdb_upgrade_internal.health_unvalidated_constraints(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'unvalidated_constraints', 'pass',
           coalesce('Declared NOT VALID, for information: ' || string_agg(format('%s of %s', c.conname, c.conrelid::regclass), ', '
                                                                          ORDER BY c.conrelid::regclass::text, c.conname) || '.',
                    'All constraints of this database are validated.'),
           CASE WHEN count(*) > 0 THEN 'ALTER TABLE ... VALIDATE CONSTRAINT looks at the rows that were there before.' END
    FROM (SELECT k.conname, k.conrelid FROM pg_constraint k
          -- Since 18 there are some that are never enforced.
          WHERE NOT k.convalidated AND k.conrelid <> 0 AND coalesce(to_jsonb(k)->>'conenforced', 'true') = 'true'
          ORDER BY k.oid LIMIT 20) c
$$;
COMMENT ON FUNCTION health_unvalidated_constraints() IS 'serves the reports: constraints that older rows may not meet; for information';

CREATE FUNCTION documentdb_upgrade_internal.health_tables(OUT relation oid) RETURNS SETOF oid
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
COMMENT ON FUNCTION health_tables() IS 'serves the reports: tables that are members of the managed extensions, or lie in their schemas';

CREATE FUNCTION documentdb_upgrade_internal.health_disabled_triggers(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'disabled_triggers', CASE WHEN count(t.tgname) > 0 THEN 'warn' ELSE 'pass' END,
           coalesce('Disabled: ' || string_agg(format('%s of %s', t.tgname, t.tgrelid::regclass), ', ' ORDER BY t.tgname) || '.',
                    'No trigger on a table of the managed extensions is disabled.'),
           CASE WHEN count(t.tgname) > 0 THEN 'ALTER TABLE ... ENABLE TRIGGER, unless that is meant.' END
    FROM documentdb_upgrade_internal.health_tables() m JOIN pg_trigger t ON t.tgrelid = m.relation AND t.tgenabled = 'D'
$$;
COMMENT ON FUNCTION health_disabled_triggers() IS 'serves the reports: triggers that somebody has switched off on tables of the managed extensions';

CREATE FUNCTION documentdb_upgrade_internal.health_failed_jobs(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    check_name := 'failed_jobs';
    IF to_regclass('cron.job_run_details') IS NULL THEN
        status := 'skip';
        detail := 'pg_cron is not in this database, or keeps no record of its runs.';
        RETURN NEXT;
        RETURN;
    END IF;
    -- pg_cron may be absent, so nothing of it is named before this.
    RETURN QUERY EXECUTE $query$
        SELECT 'failed_jobs', CASE WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
               CASE WHEN count(*) > 0
                    THEN format('%s runs have failed within 24 hours, the last one of job %s: %s', count(*),
                                (array_agg(d.jobid ORDER BY d.runid DESC))[1], (array_agg(d.return_message ORDER BY d.runid DESC))[1])
                    ELSE 'No run has failed within 24 hours.' END
               || CASE WHEN row_security_active('cron.job_run_details') THEN ' Only runs of your own role can be seen.' ELSE '' END,
               CASE WHEN count(*) > 0 THEN 'SELECT * FROM cron.job_run_details WHERE status = ''failed'' ORDER BY runid DESC says why.' END
        FROM cron.job_run_details d
        WHERE d.status = 'failed' AND coalesce(d.end_time, d.start_time, now()) > now() - interval '24 hours'
    $query$;
END
$$;
COMMENT ON FUNCTION health_failed_jobs() IS 'serves the reports: runs of pg_cron that have failed within a day';

CREATE FUNCTION documentdb_upgrade_internal.health_connections(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'connections',
           CASE WHEN c.used >= 0.95 * c.most THEN 'fail' WHEN c.used >= 0.8 * c.most THEN 'warn' ELSE 'pass' END,
           format('%s of %s connections are in use.', c.used, c.most),
           CASE WHEN c.used >= 0.8 * c.most THEN 'Keep some free for the upgrade and for you: close idle ones, or raise max_connections (restart).' END
    FROM (SELECT count(*) AS used, current_setting('max_connections')::integer AS most
          FROM pg_stat_activity WHERE backend_type = 'client backend') c
$$;
COMMENT ON FUNCTION health_connections() IS 'serves the reports: connections in use, against max_connections';

CREATE FUNCTION documentdb_upgrade_internal.health_transactions(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 2 SET search_path = pg_catalog, pg_temp
AS $$
    WITH bound AS MATERIALIZED (
        SELECT coalesce(current_setting('documentdb_upgrade.attempt_timeout', true), '5min')::interval AS longest
    ), old AS MATERIALIZED (
        SELECT format('%s (%s, database %s, for %s s)', a.pid, coalesce(a.usename, a.backend_type), coalesce(a.datname, 'none'),
                      round(extract(epoch FROM clock_timestamp() - a.xact_start))) AS who,
               a.xact_start, a.state LIKE 'idle in transaction%' AND a.state_change < clock_timestamp() - b.longest AS idle
        FROM pg_stat_activity a, bound b
        WHERE a.pid <> pg_backend_pid() AND a.backend_type NOT IN ('walsender', 'autovacuum worker')
          AND a.xact_start < clock_timestamp() - b.longest)
    SELECT 'idle_in_transaction', CASE WHEN count(o.who) > 0 THEN 'warn' ELSE 'pass' END,
           coalesce('Process ' || string_agg(o.who, ', ' ORDER BY o.xact_start) || '.',
                    format('No session has been idle in a transaction for longer than %s.', b.longest)),
           CASE WHEN count(o.who) > 0 THEN 'Have it commit, or end it with pg_terminate_backend(pid).' END
    FROM bound b LEFT JOIN old o ON o.idle GROUP BY b.longest
    UNION ALL
    SELECT 'long_transactions', CASE WHEN count(o.who) > 0 THEN 'warn' ELSE 'pass' END,
           coalesce('Process ' || string_agg(o.who, ', ' ORDER BY o.xact_start) || '.',
                    format('No transaction is older than %s.', b.longest)),
           CASE WHEN count(o.who) > 0 THEN 'Wait for it, or end it with pg_terminate_backend(pid): it keeps locks and old rows.' END
    FROM bound b LEFT JOIN old o ON true GROUP BY b.longest
$$;
COMMENT ON FUNCTION health_transactions() IS 'serves the reports: transactions older than attempt_timeout, and those of them that do nothing';

CREATE FUNCTION documentdb_upgrade_internal.health_prepared_transactions(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'prepared_transactions', CASE WHEN count(*) > 0 THEN 'warn' ELSE 'pass' END,
           coalesce(string_agg(format('%L of database %s since %s', x.gid, x.database, date_trunc('second', x.prepared)), ', ' ORDER BY x.prepared) || '.',
                    'There are no prepared transactions.'),
           CASE WHEN count(*) > 0 THEN 'Run COMMIT PREPARED or ROLLBACK PREPARED: they keep their locks over restarts.' END
    FROM pg_prepared_xacts x
$$;
COMMENT ON FUNCTION health_prepared_transactions() IS 'serves the reports: transactions that were prepared and not finished';

CREATE FUNCTION documentdb_upgrade_internal.health_wraparound(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    -- Vacuum turns to emergency measures at the failsafe ages, which it raises
    -- to 105 % of the others.
    SELECT 'wraparound',
           CASE WHEN a.xid > greatest(l.xid_failsafe, 1.05 * l.xid_freeze) OR a.mxid > greatest(l.mxid_failsafe, 1.05 * l.mxid_freeze) THEN 'fail'
                WHEN a.xid > 2.0 * l.xid_freeze OR a.mxid > 2.0 * l.mxid_freeze THEN 'warn' ELSE 'pass' END,
           format('The oldest transaction id is %s old and the oldest multixact id %s; %s and %s are left.',
                  a.xid, a.mxid, 2147483647 - a.xid, 2147483647 - a.mxid),
           CASE WHEN a.xid > 2.0 * l.xid_freeze OR a.mxid > 2.0 * l.mxid_freeze
                  OR a.xid > greatest(l.xid_failsafe, 1.05 * l.xid_freeze) OR a.mxid > greatest(l.mxid_failsafe, 1.05 * l.mxid_freeze)
                THEN format('VACUUM (FREEZE) database "%s"; look for what keeps old rows: slots, prepared and long transactions.', a.oldest) END
    FROM (SELECT max(age(d.datfrozenxid)) AS xid, max(mxid_age(d.datminmxid)) AS mxid,
                 (array_agg(d.datname ORDER BY greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)) DESC))[1] AS oldest
          FROM pg_database d) a,
         (SELECT current_setting('autovacuum_freeze_max_age')::bigint AS xid_freeze, current_setting('vacuum_failsafe_age')::bigint AS xid_failsafe,
                 current_setting('autovacuum_multixact_freeze_max_age')::bigint AS mxid_freeze,
                 current_setting('vacuum_multixact_failsafe_age')::bigint AS mxid_failsafe) l
$$;
COMMENT ON FUNCTION health_wraparound() IS 'serves the reports: how far the oldest transaction and multixact ids are from wraparound';

CREATE FUNCTION documentdb_upgrade_internal.health_statistics(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'statistics',
           CASE WHEN pg_is_in_recovery() THEN 'skip'
                WHEN count(*) FILTER (WHERE s.stale OR s.bloated) > 0 OR current_setting('autovacuum') = 'off' THEN 'warn' ELSE 'pass' END,
           CASE WHEN pg_is_in_recovery() THEN 'A standby does not count what is done to tables; look at the primary.'
                ELSE concat_ws(' ',
                    CASE WHEN current_setting('autovacuum') = 'off' THEN 'Setting autovacuum is off.' END,
                    'To be analyzed: ' || string_agg(s.relid::regclass::text, ', ' ORDER BY s.n) FILTER (WHERE s.stale AND s.n <= 20) || '.',
                    'To be vacuumed: ' || string_agg(s.relid::regclass::text, ', ' ORDER BY s.n) FILTER (WHERE s.bloated AND s.n <= 20) || '.',
                    CASE WHEN count(*) FILTER (WHERE s.stale OR s.bloated) = 0 THEN
                        format('The %s tables of the managed extensions have statistics that are fresh enough.', count(*))
                         WHEN count(*) FILTER (WHERE s.stale OR s.bloated) > 20 THEN 'And others.' END) END,
           CASE WHEN NOT pg_is_in_recovery() AND (count(*) FILTER (WHERE s.stale OR s.bloated) > 0 OR current_setting('autovacuum') = 'off')
                THEN 'Run VACUUM (ANALYZE) on them; plans made with old statistics are slow ones.' END
    FROM (SELECT t.*, row_number() OVER (ORDER BY t.stale OR t.bloated DESC, t.relid) AS n
          FROM (SELECT u.relid, u.n_mod_since_analyze > 1000 + 0.5 * u.n_live_tup AS stale,
                       u.n_dead_tup > 1000 + 0.5 * u.n_live_tup AS bloated
                FROM pg_stat_all_tables u JOIN documentdb_upgrade_internal.health_tables() m ON m.relation = u.relid) t) s
$$;
COMMENT ON FUNCTION health_statistics() IS 'serves the reports: tables of the managed extensions that vacuum or analyze are behind with';

CREATE FUNCTION documentdb_upgrade_internal.health_counters(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 3 SET search_path = pg_catalog, pg_temp
AS $$
    WITH d AS MATERIALIZED (
        SELECT s.*, ' since ' || coalesce(date_trunc('second', s.stats_reset)::text, 'the counters began') AS since
        FROM pg_stat_database s WHERE s.datname = current_database())
    SELECT 'checksums',
           CASE WHEN current_setting('data_checksums') = 'off' THEN 'skip' WHEN sum(a.checksum_failures) > 0 THEN 'fail' ELSE 'pass' END,
           CASE WHEN current_setting('data_checksums') = 'off' THEN 'Data checksums are off: damaged pages are not noticed.'
                WHEN sum(a.checksum_failures) > 0
                THEN format('%s pages failed, in %s, the last at %s.', sum(a.checksum_failures),
                            string_agg(coalesce(a.datname, 'shared relations'), ', ') FILTER (WHERE a.checksum_failures > 0),
                            date_trunc('second', max(a.checksum_last_failure)))
                ELSE 'No page has failed its checksum.' END,
           CASE WHEN sum(a.checksum_failures) > 0 THEN 'Do not upgrade on damaged storage: look at the server''s log, and restore what is damaged.' END
    FROM pg_stat_database a
    UNION ALL
    SELECT 'deadlocks', CASE WHEN d.deadlocks > 0 THEN 'warn' ELSE 'pass' END,
           format('%s in this database%s.', d.deadlocks, d.since),
           CASE WHEN d.deadlocks > 0 THEN 'Note the number: what counts is whether it grows during and after the upgrade.' END
    FROM d
    UNION ALL
    SELECT 'rollbacks',
           CASE WHEN d.xact_rollback >= 100 AND d.xact_rollback > 0.1 * (d.xact_commit + d.xact_rollback) THEN 'warn' ELSE 'pass' END,
           format('%s of %s transactions of this database were rolled back%s.', d.xact_rollback, d.xact_commit + d.xact_rollback, d.since),
           CASE WHEN d.xact_rollback >= 100 AND d.xact_rollback > 0.1 * (d.xact_commit + d.xact_rollback)
                THEN 'Look at the server''s log for the errors of clients, and compare the share after the upgrade.' END
    FROM d
$$;
COMMENT ON FUNCTION health_counters() IS 'serves the reports: pages with wrong checksums, deadlocks and rolled back transactions, as the server counts them';

CREATE FUNCTION documentdb_upgrade_internal.health_recorded_failures(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    WITH main AS MATERIALIZED (
        SELECT h.* FROM documentdb_upgrade.history h, documentdb_upgrade_internal.worker_counters() w WHERE h.extension = w.extension
    ), since AS (
        SELECT max(m.id) AS id, max(m.finished_at) AS at FROM main m WHERE m.outcome = 'succeeded')
    SELECT 'recorded_failures',
           CASE WHEN bool_or(m.outcome = 'failed') THEN 'fail' WHEN count(m.id) > 0 THEN 'warn' ELSE 'pass' END,
           CASE WHEN count(m.id) = 0 THEN 'No attempt has failed'
                ELSE format('%s attempts failed, were refused or cancelled', sum(1 + m.repeats)) END
           || coalesce(' since the upgrade of ' || date_trunc('second', s.at) || '.', ', and none has succeeded here.')
           || coalesce(' The last one: ' || (array_agg(m.message ORDER BY m.id DESC))[1] || '.', '')
           || ' The server''s log is not read.',
           CASE WHEN count(m.id) > 0 THEN 'The last rows of documentdb_upgrade.history have detail, hint, script and line; read the server''s log as well.' END
    FROM since s LEFT JOIN main m ON m.outcome <> 'succeeded' AND m.dismissed_at IS NULL AND m.id > coalesce(s.id, 0)
    GROUP BY s.at
$$;
COMMENT ON FUNCTION health_recorded_failures() IS 'serves the reports: attempts without success since the last one that had it';

CREATE FUNCTION documentdb_upgrade_internal.health_checks(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'checks', CASE WHEN count(*) = 0 THEN 'skip' WHEN bool_or(to_regprocedure(c.function) IS NULL) THEN 'fail' ELSE 'pass' END,
           coalesce('Run within the upgrade, not now: ' || string_agg(format('%s (%s%s)', c.name, c.kind,
               CASE WHEN to_regprocedure(c.function) IS NULL THEN ', function missing' ELSE '' END), ', ' ORDER BY c.kind DESC, c.name) || '.',
               'No check applies here.'),
           CASE WHEN bool_or(to_regprocedure(c.function) IS NULL)
                THEN 'Create the missing function, or set enabled = false for that row of documentdb_upgrade.checks.' END
    FROM (SELECT k.* FROM documentdb_upgrade.versions v, documentdb_upgrade.checks k
          WHERE k.enabled AND documentdb_upgrade_internal.check_applies(k.requires)
            AND v.extension = current_setting('documentdb_upgrade.extension')) c
$$;
COMMENT ON FUNCTION health_checks() IS 'serves the reports: the checks that an upgrade would run';

CREATE FUNCTION documentdb_upgrade_internal.health_installed(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 3 SET search_path = pg_catalog, pg_temp
AS $$
    WITH main AS MATERIALIZED (
        SELECT v.* FROM documentdb_upgrade.versions v, documentdb_upgrade_internal.worker_counters() w WHERE v.extension = w.extension
    ), attempt AS MATERIALIZED (
        SELECT h.* FROM documentdb_upgrade.history h JOIN main m USING (extension) ORDER BY h.id DESC LIMIT 1
    ), success AS MATERIALIZED (
        SELECT h.* FROM documentdb_upgrade.history h JOIN main m USING (extension)
        WHERE h.outcome = 'succeeded' ORDER BY h.id DESC LIMIT 1
    ), behind AS MATERIALIZED (
        SELECT p.* FROM main m, documentdb_upgrade.plan(m.installed_version) p WHERE m.installed_version IS NOT NULL
    ), refused AS MATERIALIZED (
        SELECT g.detail, g.hint FROM main m, documentdb_upgrade.preflight(m.installed_version) g
        WHERE m.installed_version IS NOT NULL AND g.guard = 'companions_aligned' AND g.status = 'fail')
    SELECT 'installed',
           CASE WHEN m.installed_version IS NULL OR m.installed_version <> s.to_version THEN 'fail'
                WHEN s.id IS NULL OR documentdb_upgrade.compare_versions(m.installed_version, m.binary_version) < 0 THEN 'warn' ELSE 'pass' END,
           format('Installed is %s; the last upgrade was %s; the binary offers %s.', coalesce(m.installed_version, 'nothing'),
                  coalesce('to ' || s.to_version, 'not recorded here'), coalesce(m.binary_version, 'nothing')),
           CASE WHEN m.installed_version <> s.to_version THEN 'Something else has changed the version since; look at the server''s log.'
                WHEN documentdb_upgrade.compare_versions(m.installed_version, m.binary_version) < 0 THEN 'If that was meant, nothing is to be done; else finalize to what the binary offers.' END
    FROM main m LEFT JOIN success s ON true
    UNION ALL
    SELECT 'companions', CASE WHEN m.installed_version IS NULL THEN 'skip' WHEN count(b.step) > 0 OR r.detail IS NOT NULL THEN 'fail' ELSE 'pass' END,
           CASE WHEN m.installed_version IS NULL THEN 'The main extension is not installed.'
                WHEN r.detail IS NOT NULL THEN r.detail
                WHEN count(b.step) > 0 THEN 'Behind their targets: ' || string_agg(DISTINCT b.extension, ', ') || '.'
                ELSE 'Every companion is at its target: '
                     || coalesce((SELECT string_agg(format('%s %s', v.extension, v.installed_version), ', ')
                                  FROM documentdb_upgrade.versions v WHERE v.extension <> m.extension AND v.installed_version IS NOT NULL), 'there is none') || '.' END,
           CASE WHEN r.detail IS NOT NULL THEN r.hint
                WHEN count(b.step) > 0 THEN format('Run SELECT documentdb_upgrade.finalize_to(%L);', m.installed_version) END
    FROM main m LEFT JOIN behind b ON true LEFT JOIN refused r ON true GROUP BY m.installed_version, m.extension, r.detail, r.hint
    UNION ALL
    SELECT 'last_attempt', CASE WHEN a.id IS NULL THEN 'skip' WHEN a.outcome = 'succeeded' THEN 'pass' ELSE 'fail' END,
           CASE WHEN a.id IS NULL THEN 'No attempt is on record.'
                ELSE format('Attempt %s %s at %s: %s%s.', a.id,
                            CASE WHEN a.from_version = a.to_version THEN format('on the companions at %s', a.to_version)
                                 ELSE format('from %s to %s', coalesce(a.from_version, 'none'), coalesce(a.to_version, 'unknown')) END,
                            date_trunc('second', a.finished_at), a.outcome, ': ' || a.message) END,
           coalesce(a.hint, CASE WHEN a.outcome <> 'succeeded' THEN 'SELECT documentdb_upgrade.runbook() says what to do.' END)
    FROM main m LEFT JOIN attempt a ON true
$$;
COMMENT ON FUNCTION health_installed() IS 'serves post_upgrade_report(): whether what was wanted is installed, in all extensions of the managed set';

CREATE FUNCTION documentdb_upgrade_internal.health_report(parts text[], OUT check_name text, OUT status text, OUT detail text, OUT hint text)
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
            EXECUTE format('SELECT jsonb_agg(to_jsonb(h)) FROM documentdb_upgrade_internal.%I() h', 'health_' || part)
                INTO found_rows;
        EXCEPTION WHEN OTHERS THEN
            found_rows := jsonb_build_array(jsonb_build_object('check_name', part, 'status', 'skip',
                'detail', format('It could not be read: %s (SQLSTATE %s).', SQLERRM, SQLSTATE),
                'hint', CASE SQLSTATE WHEN '42501' THEN 'Ask again as a member of pg_monitor with the privilege that is missing.'
                                      WHEN '55P03' THEN 'Somebody holds a lock on it; ask again later.' END));
        END;
        RETURN QUERY SELECT r.check_name, r.status, r.detail, r.hint
            FROM jsonb_to_recordset(found_rows) AS r(check_name text, status text, detail text, hint text);
    END LOOP;
END
$$;
COMMENT ON FUNCTION health_report(text[]) IS
'serves the reports: the rows of these parts, each by the function health_ and its name; a part that cannot be read is one row with status skip and the reason';

CREATE FUNCTION pre_upgrade_report(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 30 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM documentdb_upgrade_internal.health_report('{versions, state, gate, guards, standbys, slots, replication_lag,
        invalid_indexes, unvalidated_constraints, disabled_triggers, failed_jobs, connections, transactions,
        prepared_transactions, wraparound, statistics, counters, recorded_failures, checks}')
$$;
COMMENT ON FUNCTION pre_upgrade_report() IS
'the health of this server before an upgrade to what the binary offers, one row per check: status pass, warn, fail or skip, why, and what to do; changes nothing, and works on standbys';

CREATE FUNCTION post_upgrade_report(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 30 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM documentdb_upgrade_internal.health_report('{installed, versions, state, gate, surroundings, members, standbys, slots,
        replication_lag, invalid_indexes, unvalidated_constraints, disabled_triggers, failed_jobs, connections, transactions,
        prepared_transactions, wraparound, statistics, counters, recorded_failures, checks}')
$$;
COMMENT ON FUNCTION post_upgrade_report() IS
'the health of this server after an upgrade, one row per check: what pre_upgrade_report() looks at, and whether the target is installed, companions and standbys have followed and the last attempt succeeded';
