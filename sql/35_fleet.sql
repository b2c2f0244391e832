--
-- Fleet
--

CREATE FUNCTION documentdb_upgrade_internal.known_standbys(
    OUT name text, OUT host text, OUT slot_name text, OUT identity text,
    OUT upstream text, OUT depth integer, OUT role text, OUT status text,
    OUT problem text, OUT required boolean, OUT installed_version text,
    OUT binary_version text, OUT loaded_version text, OUT gate text, OUT library text,
    OUT timeline integer, OUT replayed_lsn pg_lsn, OUT replication_lag interval,
    OUT reported_at timestamptz, OUT fingerprint text, OUT extensions jsonb,
    OUT vouched_by text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_fleet';
COMMENT ON FUNCTION known_standbys() IS 'the rows of view standbys';

CREATE VIEW standbys AS SELECT * FROM known_standbys();
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
COMMENT ON COLUMN standbys.vouched_by
	IS 'role that reports for it, where no WAL sender here matches the report; null: one does, or it is deeper';

CREATE FUNCTION report_standby(report jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_report_standby';
COMMENT ON FUNCTION report_standby(jsonb) IS
'takes the report of a standby about itself and its downstream, and answers who this server is; '
	'for roles with REPLICATION whose connection matches a live WAL sender, and for roles that were granted EXECUTE '
	'on it or on run_report_standby by name, 42501 for others; '
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
