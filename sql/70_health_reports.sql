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

CREATE FUNCTION documentdb_upgrade_internal.function_exists(signature text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN to_regprocedure(signature) IS NOT NULL;
EXCEPTION
    -- Its schema is there, and not for the caller.
    WHEN insufficient_privilege THEN
        RETURN true;
END
$$;
COMMENT ON FUNCTION function_exists(text) IS
'serves the reports: whether there is such a function, as far as the caller may know';

CREATE FUNCTION documentdb_upgrade_internal.health_part(part text, OUT check_name text, OUT status text,
                                                        OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 3 SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    main constant text := documentdb_upgrade_internal.main_extension();
    longest constant interval := coalesce(current_setting('documentdb_upgrade.attempt_timeout', true), '5min');
    own record;
BEGIN
    CASE part
    WHEN 'versions' THEN
        SELECT v.installed_version, v.binary_version, d.decision, d.reason INTO own
            FROM documentdb_upgrade.versions v,
                 documentdb_upgrade_internal.decide_here('') d
            WHERE v.extension = main;
        RETURN QUERY
            SELECT part, CASE WHEN own.decision IN ('not_installed', 'refuse', 'schema_ahead') THEN 'fail'
                              ELSE 'pass' END,
                   string_agg(format('%s: installed %s, binary %s%s', v.extension,
                                     coalesce(v.installed_version, 'none'), coalesce(v.binary_version, 'none'),
                                     ', loaded ' || v.loaded_version), '; ')
                   || format('; PostgreSQL %s.', current_setting('server_version')),
                   CASE WHEN own.installed_version IS NULL
                        THEN (SELECT g.hint FROM documentdb_upgrade.preflight() g WHERE g.guard = 'installed')
                        WHEN own.binary_version IS NULL THEN 'Put the extension''s control file and scripts in place.'
                        WHEN own.decision = 'refuse' THEN own.reason
                        ELSE format('Bring back a binary of %s or later.', own.installed_version) END
            FROM documentdb_upgrade.versions v;

    WHEN 'state' THEN
        RETURN QUERY
            SELECT part, CASE WHEN s.state IN ('failed', 'blocked', 'schema_ahead', 'not_installed') THEN 'fail'
                              WHEN s.state IN ('up_to_date', 'update_available', 'standby') THEN 'pass' ELSE 'warn' END,
                   concat_ws(' ', CASE WHEN s.extension <> main THEN format('Extension %s:', s.extension) END,
                       s.state || '.', s.next_step, CASE WHEN s.worker_pid IS NULL AND s.source <> 'setting'
                       THEN format('No worker runs here to read source "%s".', s.source) END), NULL
            FROM documentdb_upgrade.status s;

    WHEN 'gate' THEN
        RETURN QUERY
            SELECT part, CASE WHEN v.differs IS NULL THEN 'skip' WHEN v.differs THEN 'fail' ELSE 'pass' END,
                   CASE WHEN v.differs IS NULL
                        THEN 'The library keeps no version in force, or reads it at its next use.'
                        ELSE format('Version %s is in force, %s is installed.', v.gate, v.installed_version) END,
                   'The worker refreshes it within poll_interval where it runs; else restart PostgreSQL.'
            FROM (SELECT *, coalesce(documentdb_upgrade_internal.version_order(gate, installed_version) <> 0,
                                     gate <> installed_version) AS differs
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
                   'Why, and what to do, is shown by SELECT guard, status, detail, hint FROM '
                   'documentdb_upgrade.preflight() WHERE status IN (''fail'', ''warn'');'
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

    -- What a scratch rehearsal has found, as far as nobody has mended it.  Owners differ there, so privileges do
    -- not count.
    WHEN 'fresh_install' THEN
        RETURN QUERY
            WITH rehearsal AS MATERIALIZED (
                SELECT r.id, r.report->'fresh' AS fresh
                FROM documentdb_upgrade.rehearsals r
                WHERE r.extension = main AND r.to_version = documentdb_upgrade.schema_version() AND r.report ? 'fresh'
                ORDER BY r.id DESC LIMIT 1
            ), item AS MATERIALIZED (
                SELECT d.what, d.extension, d.kind, d.identity, d.digest
                FROM rehearsal, jsonb_to_recordset(rehearsal.fresh->'differences')
                                    AS d(what text, extension text, kind text, identity text, digest text)
                WHERE d.what <> 'other privileges'
            ), present AS (
                SELECT e.extension, m.kind, m.identity, m.digest
                FROM (SELECT DISTINCT extension FROM item) e, documentdb_upgrade.member_definitions(e.extension) m
            ), differing AS (
                SELECT format('%s %s (%s)', i.kind, i.identity, i.what) AS what
                FROM item i LEFT JOIN present p USING (extension, kind, identity)
                WHERE CASE i.what WHEN 'left over' THEN p.digest IS NOT NULL
                                  ELSE p.digest IS DISTINCT FROM i.digest END)
            SELECT part, CASE WHEN count(r.id) = 0 OR bool_or(r.fresh ? 'problem') THEN 'skip'
                              WHEN count(d.what) > 0 THEN 'warn' ELSE 'pass' END,
                   CASE WHEN count(r.id) = 0
                        THEN 'No scratch rehearsal has compared this version with a fresh installation.'
                        WHEN bool_or(r.fresh ? 'problem') THEN format('Not compared: %s.', min(r.fresh->>'problem'))
                        WHEN count(d.what) > 0 THEN format('%s members are not as a fresh installation has them: %s%s.',
                            count(d.what), string_agg(d.what, ', ' ORDER BY d.what) FILTER (WHERE d.n <= 5),
                            CASE WHEN count(d.what) > 5 THEN ' and others' END)
                        ELSE 'All members are as a fresh installation has them.' END,
                   format('Compare the install script of this version with its update scripts, and tell the '
                          'maintainers. All are listed by SELECT documentdb_upgrade.rehearsal_report(%s);', min(r.id))
            FROM (SELECT) AS one LEFT JOIN rehearsal r ON true
            LEFT JOIN (SELECT what, row_number() OVER (ORDER BY what) AS n FROM differing) d ON true;

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
                        || '. To have the rows checked that were there before, run '
                        || (array_agg(format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', c.conrelid::regclass, c.conname)
                                      ORDER BY c.conrelid::regclass::text, c.conname))[1],
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
                   'Unless they are disabled on purpose, run '
                   || string_agg(format('ALTER TABLE %s ENABLE TRIGGER %I;', t.tgrelid::regclass, t.tgname), ' '
                                 ORDER BY t.tgname)
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
                       'Why is shown by SELECT jobid, end_time, return_message FROM cron.job_run_details '
                       'WHERE status = ''failed'' ORDER BY runid DESC;'
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
                   format('They keep their locks over restarts. In database %1$I, finish the oldest with COMMIT '
                          'PREPARED %2$L; or undo it with ROLLBACK PREPARED %2$L;',
                          coalesce((array_agg(x.database ORDER BY x.prepared))[1], ''),
                          (array_agg(x.gid ORDER BY x.prepared))[1])
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
            FROM (SELECT k.*, NOT documentdb_upgrade_internal.function_exists(k.function) AS missing
                  FROM documentdb_upgrade.checks k
                  WHERE k.enabled AND documentdb_upgrade_internal.check_applies(k.requires)) c;

    WHEN 'installed' THEN
        SELECT h.to_version INTO own FROM documentdb_upgrade.history h
            WHERE h.extension = main AND h.outcome = 'succeeded' AND h.actor <> 'found' ORDER BY h.id DESC LIMIT 1;
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
            FROM (SELECT *, documentdb_upgrade_internal.version_order(installed_version, binary_version) < 0 AS behind
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
                                 WHERE v.extension <> main AND v.main_extension = main
                                   AND v.installed_version IS NOT NULL), 'there is none')) END,
                       CASE WHEN g.status = 'fail' THEN g.hint
                            ELSE format('Run SELECT outcome, from_version, to_version FROM '
                                        'documentdb_upgrade.finalize_to(%L);',
                                        documentdb_upgrade.schema_version()) END
                FROM documentdb_upgrade.preflight(documentdb_upgrade.schema_version()) g,
                     (SELECT string_agg(DISTINCT extension, ', ') AS behind
                      FROM documentdb_upgrade.plan(documentdb_upgrade.schema_version())
                      WHERE step IS NOT NULL) p
                WHERE g.guard = 'companions_aligned';
        END IF;

    WHEN 'databases' THEN
        RETURN QUERY
            SELECT part, CASE WHEN count(*) FILTER (WHERE d.behind) > 0 THEN 'warn'
                              WHEN count(*) FILTER (WHERE d.looked_at IS NULL) > 0 THEN 'skip' ELSE 'pass' END,
                   CASE WHEN count(*) FILTER (WHERE d.behind) > 0
                        THEN format('In %s other databases the files do not match what is installed: %s.',
                            count(*) FILTER (WHERE d.behind),
                            string_agg(format('%s (%s %s)', d.database, d.extension, d.installed_version), ', '
                                       ORDER BY d.database) FILTER (WHERE d.behind))
                        WHEN count(*) FILTER (WHERE d.looked_at IS NULL) > 0
                        THEN format('Not looked at: %s.', string_agg(d.database, ', ' ORDER BY d.database)
                            FILTER (WHERE d.looked_at IS NULL))
                        ELSE 'In no other database do the files differ from what is installed.' END,
                   'SELECT * FROM documentdb_upgrade.databases; shows all, and says why and what to do.'
            FROM documentdb_upgrade.databases d JOIN pg_database p ON p.datname = d.database
            WHERE p.datallowconn AND d.database <> current_database();

    -- The other half of the cluster, for people: a server that is in no pod has none.  Where the worker may look, it
    -- has looked.
    WHEN 'kubernetes_before', 'kubernetes_after' THEN
        RETURN QUERY
            SELECT m.check_name, CASE WHEN a.status IS NULL OR a.outdated THEN 'manual' ELSE a.status END,
                   CASE WHEN a.status IS NULL OR a.outdated
                        THEN format('A database cannot see whether %s. Good is: %s.', m.what, m.expected)
                             || CASE WHEN a.status IS NOT NULL
                                     THEN format(' The worker''s answer is too old, of %s.',
                                                 date_trunc('second', a.answered_at)) ELSE '' END
                             || coalesce(' ' || a.problem, '')
                        ELSE format('%s Read by the worker at %s.', a.detail, date_trunc('second', a.answered_at)) END,
                   m.command
            FROM documentdb_upgrade_internal.manual_checks(replace(part, 'kubernetes_', '')) m
            LEFT JOIN documentdb_upgrade_internal.outside_answers() a USING (check_name)
            WHERE documentdb_upgrade_internal.in_kubernetes();

    WHEN 'last_attempt' THEN
        RETURN QUERY
            SELECT part, CASE WHEN a.id IS NULL THEN 'skip' WHEN a.outcome = 'succeeded' THEN 'pass' ELSE 'fail' END,
                   CASE WHEN a.id IS NULL THEN 'No attempt is on record.'
                        ELSE format('Attempt %s %s at %s: %s%s.', a.id,
                            CASE WHEN a.from_version = a.to_version THEN format('on the companions at %s', a.to_version)
                                 ELSE format('from %s to %s', coalesce(a.from_version, 'none'),
                                             coalesce(a.to_version, 'unknown')) END,
                            date_trunc('second', a.finished_at), a.outcome, ': ' || a.message) END,
                   coalesce(a.hint, 'What to do is said by SELECT documentdb_upgrade.runbook();')
            FROM (VALUES (main)) AS m(extension) LEFT JOIN LATERAL (
                SELECT h.* FROM documentdb_upgrade.history h WHERE h.extension = m.extension
                ORDER BY h.id DESC LIMIT 1) a ON true;
    END CASE;
END
$$;
COMMENT ON FUNCTION health_part(text) IS
'serves the reports: the rows of one part; their hints are for those that do not pass, and the commands of those that '
'are manual';

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
                            coalesce(r.reason, CASE WHEN r.status IN ('fail', 'warn', 'manual') THEN r.hint END)
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
        checks, kubernetes_before}')
$$;
COMMENT ON FUNCTION pre_upgrade_report() IS
'the health of this server before an upgrade to what the binary offers, one row per check: status pass, warn, fail or '
'skip, why, and what to do; in Kubernetes also what a database cannot see: status manual, what a good answer is, and '
'as hint the command, unless the worker may read it; changes nothing, and works on standbys';

CREATE FUNCTION post_upgrade_report(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 30 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM documentdb_upgrade_internal.health_report('{installed, companions, databases, last_attempt, versions,
        state, gate, guards_after, members_intact, fresh_install, standbys, slots, replay, invalid_indexes,
        unvalidated_constraints, disabled_triggers, failed_jobs, connections, idle_in_transaction, long_transactions,
        prepared_transactions, wraparound, statistics, checksums, counters, recorded_failures, checks,
        kubernetes_after}')
$$;
COMMENT ON FUNCTION post_upgrade_report() IS
'the health of this server after an upgrade, one row per check: what pre_upgrade_report() looks at, whether the '
'target is installed, companions and standbys have followed and the last attempt succeeded, and what the update has '
'left otherwise than a fresh installation would, as far as a scratch rehearsal has seen it';
