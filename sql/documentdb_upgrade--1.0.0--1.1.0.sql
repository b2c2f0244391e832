\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE" to load this file. \quit

-- From 1.0.0, the first version, whose script is kept as it was released.

SET LOCAL search_path = documentdb_upgrade, documentdb_upgrade_internal, pg_temp;

COMMENT ON COLUMN history.actor
	IS 'who drove the attempt: function, worker, tick; manual: a plain ALTER EXTENSION, a drop or a creation; found: '
	'nobody, another version is installed than history left; coordinator: that of the Citus cluster of which this '
	'server is a worker node';
COMMENT ON COLUMN history.from_version IS 'its installed version before the attempt; null: it was not installed';
COMMENT ON COLUMN history.to_version
	IS 'its target; the installed version where only companions were to change; null: it was dropped';

-- Several main extensions.

CREATE FUNCTION documentdb_upgrade_internal.main_extension() RETURNS text
    LANGUAGE C STABLE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_main_extension';
COMMENT ON FUNCTION main_extension() IS
'the main extension that is meant: of those that setting documentdb_upgrade.extension names the first, unless work for '
	'another one is being done';
REVOKE ALL ON FUNCTION main_extension() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION main_extension() TO pg_monitor;

ALTER FUNCTION managed_versions() RENAME TO managed_versions_before;
ALTER FUNCTION current_status() RENAME TO current_status_before;
CREATE FUNCTION documentdb_upgrade_internal.managed_versions(OUT extension text, OUT installed_version text,
                                 OUT binary_version text, OUT loaded_version text,
                                 OUT gate text, OUT target text, OUT main_extension text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 3
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_managed_versions';
COMMENT ON FUNCTION managed_versions() IS 'the rows of view versions';

CREATE OR REPLACE VIEW versions AS
    SELECT extension, installed_version, binary_version, loaded_version, gate, target, main_extension
    FROM managed_versions();
COMMENT ON VIEW versions IS
'one row per extension of the managed sets, in the order of update: installed, binary and loaded version, '
	'the version in force (gate), and the target that follows the binary';
COMMENT ON COLUMN versions.extension IS 'name of the extension';
COMMENT ON COLUMN versions.installed_version IS 'version in the catalog of this database; null: not installed';
COMMENT ON COLUMN versions.binary_version IS 'version that the files on this instance offer';
COMMENT ON COLUMN versions.loaded_version IS 'version that the library in memory reports; null when not known';
COMMENT ON COLUMN versions.gate IS 'version that the loaded library believes to be in force; null when not known';
COMMENT ON COLUMN versions.target IS 'version that a finalize to the binary version of the main extension brings';
COMMENT ON COLUMN versions.main_extension IS 'main extension of the managed set that it belongs to';

CREATE FUNCTION documentdb_upgrade_internal.current_status(OUT role text, OUT installed_version text,
                               OUT binary_version text, OUT loaded_version text,
                               OUT desired text, OUT mode text, OUT target text,
                               OUT state text, OUT blocked_by text[],
                               OUT next_step text, OUT last_error text,
                               OUT attempts bigint, OUT next_retry timestamptz,
                               OUT source text, OUT last_contact timestamptz,
                               OUT worker_pid integer, OUT extension text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_current_status';
COMMENT ON FUNCTION current_status() IS 'the rows of view status';

CREATE OR REPLACE VIEW status AS
    SELECT role, installed_version, binary_version, loaded_version, desired, mode, target, state,
           blocked_by, next_step, last_error, attempts, next_retry, source,
           last_contact, worker_pid, fence_notice() AS fence, extension
    FROM current_status() s;
COMMENT ON VIEW status IS
'where this server stands, and in next_step why nothing happens and the exact command that would change it: one row, '
	'or one for each main extension where several are named';
COMMENT ON COLUMN status.extension IS 'the main extension';
DROP FUNCTION managed_versions_before(), current_status_before();
REVOKE ALL ON FUNCTION managed_versions(), current_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION managed_versions(), current_status() TO pg_monitor;

CREATE OR REPLACE VIEW metrics AS
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
           greatest(extract(epoch FROM clock_timestamp() - fence_since()), 0)::double precision AS fence_seconds,
           s.extension
    FROM status s JOIN worker_counters() w ON w.extension = s.extension,
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
'one row for each main extension, for exporters, on primaries and standbys; update_available_seconds is how long a '
	'newer binary has been waiting for its finalize, 0 when none does';
COMMENT ON COLUMN metrics.extension IS 'the main extension';

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.check_applies(requires text[]) RETURNS boolean
    LANGUAGE C STABLE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_check_applies';

-- These have an argument more.  Who could call them can call them still.

ALTER FUNCTION plan(text) RENAME TO plan_before;
ALTER FUNCTION plan_sql(text) RENAME TO plan_sql_before;
ALTER FUNCTION preflight(text) RENAME TO preflight_before;
ALTER FUNCTION can_finalize(text) RENAME TO can_finalize_before;
ALTER FUNCTION upgrade_fingerprint() RENAME TO upgrade_fingerprint_before;
ALTER FUNCTION finalize() RENAME TO finalize_before;
ALTER FUNCTION retry() RENAME TO retry_before;
ALTER FUNCTION wait_for(text, interval) RENAME TO wait_for_before;
ALTER FUNCTION rehearse(text, boolean) RENAME TO rehearse_before;
ALTER PROCEDURE run_rehearse(text, boolean) RENAME TO run_rehearse_before;

CREATE FUNCTION plan(target text DEFAULT NULL, extension text DEFAULT NULL,
                     OUT step integer, OUT extension text,
                     OUT from_version text, OUT to_version text,
                     OUT script text, OUT sha256 text,
                     OUT risk text, OUT risk_reason text, OUT locks text[])
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 5
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_plan';
COMMENT ON FUNCTION plan(text, text) IS
'one row per script that a finalize to the target (null: the binary version) would run, in order; '
	'when there is no way to it, one row without a step whose risk_reason says why and what helps; '
	'risk and locks as far as the script''s text shows them. extension, here and wherever it is an argument: the main '
	'extension, of several that setting documentdb_upgrade.extension names; null: the first. Errors: 22023 malformed '
	'target, or extension is none of these';

CREATE FUNCTION plan_sql(target text DEFAULT NULL, extension text DEFAULT NULL) RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_plan_sql';
COMMENT ON FUNCTION plan_sql(text, text) IS
'the statements of the plan with their scripts as comments, for review';

CREATE FUNCTION preflight(target text DEFAULT NULL, extension text DEFAULT NULL,
                          OUT guard text, OUT status text,
                          OUT detail text, OUT hint text, OUT hard boolean)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 20
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_preflight';
COMMENT ON FUNCTION preflight(text, text) IS
'one row per guard for the target (null: the binary version): status pass, warn, fail or skip, why, and what to do; '
	'hard guards cannot be overridden';

CREATE FUNCTION can_finalize(target text DEFAULT NULL, extension text DEFAULT NULL) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_can_finalize';
COMMENT ON FUNCTION can_finalize(text, text) IS
'true when no guard fails for the target (null: the binary version)';

CREATE FUNCTION upgrade_fingerprint(extension text DEFAULT NULL) RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_upgrade_fingerprint';
COMMENT ON FUNCTION upgrade_fingerprint(text) IS
'SHA-256 over what any plan depends on: versions, control files, update scripts and libraries; '
	'give it to finalize_to to run only what was reviewed';

CREATE FUNCTION finalize(extension text DEFAULT NULL) RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize';
COMMENT ON FUNCTION finalize(text) IS
'like finalize_to with the binary version as target';

CREATE FUNCTION retry(extension text DEFAULT NULL) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_retry';
COMMENT ON FUNCTION retry(text) IS
'has the worker forget its failures and try at once; false when there was nothing to forget';

CREATE FUNCTION wait_for(target text, timeout interval, extension text DEFAULT NULL) RETURNS boolean
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_wait_for';
COMMENT ON FUNCTION wait_for(text, interval, text) IS
'returns true as soon as the main extension is at the target version and its library has taken it up, '
	'false after the timeout; works on standbys; a malformed version raises 22023';

CREATE FUNCTION rehearse(target text DEFAULT NULL, scratch boolean DEFAULT false, extension text DEFAULT NULL)
    RETURNS rehearsals
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_rehearse';
COMMENT ON FUNCTION rehearse(text, boolean, text) IS
'runs the real update of the managed set to the target (null: the binary version), with its checks, rolls it back, '
	'and returns the row of rehearsals that it has stored; the caller''s transaction goes on. '
	'In place it holds the upgrade''s locks meanwhile, and waits lock_timeout for them at most; '
	'with scratch it runs in a throw-away database and takes no lock here. A guard that refuses, '
	'a lock that cannot be had and whatever fails in the update are no errors but outcome, '
	'sqlstate and message of the row. Errors: 22023 malformed target; 0A000 scratch where the extension cannot live in '
	'a second database; 25001 REPEATABLE READ or SERIALIZABLE; 25006 standby or read-only transaction; '
	'42704 scratch without the extension; 53400 scratch without two free background workers, and others of class 53; '
	'55006 from within an upgrade; 57000 the process in the throw-away database was ended; 57014 cancelled';

CREATE PROCEDURE run_rehearse(target text DEFAULT NULL, scratch boolean DEFAULT false, extension text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_rehearse';
COMMENT ON PROCEDURE run_rehearse(text, boolean, text) IS
'like rehearse, for roles that a planner hook keeps out of SELECT: CALL enters no planner. The row is stored; '
	'the same errors';

REVOKE ALL ON FUNCTION plan(text, text), plan_sql(text, text), preflight(text, text), can_finalize(text, text),
    upgrade_fingerprint(text), finalize(text), retry(text), wait_for(text, interval, text),
    rehearse(text, boolean, text) FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_rehearse(text, boolean, text) FROM PUBLIC;
DO $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT p.proname, a.grantee, a.is_grantable
             FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
             WHERE p.pronamespace = 'documentdb_upgrade'::pg_catalog.regnamespace
               AND p.proname ~ '_before$' AND a.grantee <> p.proowner LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE documentdb_upgrade.%I TO %s%s',
                                  pg_catalog.regexp_replace(g.proname::pg_catalog.text, '_before$', ''),
                                  CASE g.grantee WHEN 0 THEN 'PUBLIC'
                                                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
                                  CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END);
    END LOOP;
END
$$;
DROP FUNCTION plan_before(text);
DROP FUNCTION plan_sql_before(text);
DROP FUNCTION preflight_before(text);
DROP FUNCTION can_finalize_before(text);
DROP FUNCTION upgrade_fingerprint_before();
DROP FUNCTION finalize_before();
DROP FUNCTION retry_before();
DROP FUNCTION wait_for_before(text, interval);
DROP FUNCTION rehearse_before(text, boolean);
DROP PROCEDURE run_rehearse_before(text, boolean);

-- finalize_to and run_finalize_to have three more arguments.  Who could call them
-- can call them still.

ALTER FUNCTION finalize_to(text, text, text[]) RENAME TO finalize_to_before;
ALTER PROCEDURE run_finalize_to(text, text, text[]) RENAME TO run_finalize_to_before;
CREATE FUNCTION finalize_to(target text, expected_fingerprint text DEFAULT NULL,
                            skip_guards text[] DEFAULT '{}', one_transaction boolean DEFAULT true,
                            "from" text DEFAULT NULL, extension text DEFAULT NULL)
    RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize_to';
COMMENT ON FUNCTION finalize_to(text, text, text[], boolean, text, text) IS
'updates the managed set to the target and returns the history row; commits with the caller''s transaction; '
	'a target already reached is success and changes nothing. With one_transaction false each version on the way is '
	'committed by itself, in a process of its own, whatever the caller''s transaction does; the first that fails ends '
	'it, and the error says where it stands. With "from", which must be the installed version, both may be versions '
	'that cannot be ordered (commits), written as the files write them, when scripts lead from one to the other. '
	'Errors: 22023 malformed target, unknown guard or main extension, 22004 null target, 42704 not installed, '
	'0A000 no such version or path, 55000 refused, 55006 another upgrade runs, '
	'55P03 locks not to be had in time, 57014 time limit or cancel, 42501 owner cannot update or the caller may not '
	'override a guard, 25001 isolation level, 25006 standby or read-only, and what a script raises';

CREATE PROCEDURE run_finalize_to(target text, expected_fingerprint text DEFAULT NULL,
                                 skip_guards text[] DEFAULT '{}', one_transaction boolean DEFAULT true,
                                 "from" text DEFAULT NULL, extension text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_finalize_to';
COMMENT ON PROCEDURE run_finalize_to(text, text, text[], boolean, text, text) IS
'like finalize_to, for roles that a planner hook keeps out of SELECT: CALL enters no planner';
REVOKE ALL ON FUNCTION finalize_to(text, text, text[], boolean, text, text) FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_finalize_to(text, text, text[], boolean, text, text) FROM PUBLIC;
DO $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT p.proname, a.grantee, a.is_grantable
             FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
             WHERE p.pronamespace = 'documentdb_upgrade'::pg_catalog.regnamespace
               AND p.proname IN ('finalize_to_before', 'run_finalize_to_before') AND a.grantee <> p.proowner LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE documentdb_upgrade.%I TO %s%s',
                                  pg_catalog.replace(g.proname::pg_catalog.text, '_before', ''),
                                  CASE g.grantee WHEN 0 THEN 'PUBLIC'
                                                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
                                  CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END);
    END LOOP;
END
$$;
DROP FUNCTION finalize_to_before(text, text, text[]);
DROP PROCEDURE run_finalize_to_before(text, text, text[]);

CREATE FUNCTION documentdb_upgrade_internal.version_order(a text, b text) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_version_order';
COMMENT ON FUNCTION version_order(text, text) IS
'as compare_versions(), but null where one of the two cannot be ordered: for versions that a catalogue, a file or '
	'history has';

REVOKE ALL ON FUNCTION version_order(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION version_order(text, text) TO pg_monitor;

CREATE FUNCTION documentdb_upgrade_internal.decide_here(desired text, OUT decision text, OUT target text,
                                                        OUT reason text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_decide_here';
COMMENT ON FUNCTION decide_here(text) IS
'like decide, over what is installed here and what the files here offer, which can be more than the binary version';
REVOKE ALL ON FUNCTION decide_here(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION decide_here(text) TO pg_monitor;

-- Releases, plans and what goes together.
ALTER TABLE compatibility ADD COLUMN matrix text;
COMMENT ON COLUMN compatibility.version IS 'as version_matches() takes it: 1.28, 14..18, 1.35.., ..1.32';
COMMENT ON COLUMN compatibility.builtin IS
'shipped with this extension; does not count where a row that is not has the same components and versions';
COMMENT ON COLUMN compatibility.matrix IS
'name under which load_compatibility() has loaded the row; null for shipped rows and for those that you have inserted';
DELETE FROM compatibility WHERE builtin;
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
    ('operator', '0.2.0', 'kubernetes', '..1.34', false, 'requires Kubernetes 1.35 or later',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0'),
    ('operator', '0.3.0', 'extension', '0.110.0', true, 'its default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '0.3.0', 'gateway', '0.110.0', true, 'its default',
     'documentdb/documentdb-kubernetes-operator: operator/src/internal/utils/constants.go of 0.3.0'),
    ('operator', '0.3.0', 'kubernetes', '1.35..', true, 'needs image volumes',
     'documentdb/documentdb-kubernetes-operator: operator/documentdb-helm-chart/Chart.yaml of 0.3.0'),
    ('operator', '0.3.0', 'kubernetes', '..1.34', false, 'its chart requires Kubernetes 1.35 or later',
     'documentdb/documentdb-kubernetes-operator: operator/documentdb-helm-chart/Chart.yaml of 0.3.0'),
    ('operator', '1.0.0-rc1', 'extension', '1.0-RC2', true, 'its default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'extension', '1.0.0', true, 'its default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'cnpg', '1.29.1', true, 'comes with it',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0 (version compatibility table)'),
    ('operator', '1.0.0', 'postgres', '18.6', true, 'comes with it',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0 (version compatibility table)'),
    ('operator', '1.0.0', 'kubernetes', '1.35..1.36', true, 'image volumes are on by default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'kubernetes', '1.33..1.34', true, 'with the feature gate ImageVolume',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'kubernetes', '..1.32', false, 'requires Kubernetes 1.33 or later',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('extension', '0.101..1.0', 'postgres', '17', true, NULL,
     'documentdb/documentdb: CHANGELOG.md, v0.101-0'),
    -- The minor release 18.6 has changed what extensions were built for.
    ('extension', '0.108..1.0', 'postgres', '18..18.5', true, NULL,
     'documentdb/documentdb: CHANGELOG.md, v0.108-0'),
    ('extension', '0.113', 'postgres', '18.6', false, 'inserts crash; fixed in 0.116.0',
     'https://github.com/documentdb/documentdb-kubernetes-operator/pull/459'),
    ('extension', '0.114..0.115', 'postgres', '18.6', false, 'the fix of inserts that crash is in 0.116.0',
     'https://github.com/documentdb/documentdb-kubernetes-operator/pull/459'),
    ('extension', '0.116..0.117', 'postgres', '18.6', true, NULL,
     'https://github.com/documentdb/documentdb-kubernetes-operator/pull/459'),
    ('extension', '1.0', 'postgres', '15..18', true, 'packages for 17 and 18, images for all four',
     'https://github.com/documentdb/documentdb/releases/tag/v1.0-0'),
    ('extension', '1.2', 'postgres', '17..18', true, 'packages; there was no 1.1',
     'https://github.com/documentdb/documentdb/releases/tag/v1.2-0'),
    ('cnpg', '1.25', 'postgres', '13..17', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.26', 'postgres', '13..17', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.27', 'postgres', '13..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.28', 'postgres', '14..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.29', 'postgres', '14..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.30', 'postgres', '14..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.25', 'kubernetes', '1.29..1.32', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.26', 'kubernetes', '1.30..1.33', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.27', 'kubernetes', '1.31..1.33', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.28', 'kubernetes', '1.32..1.35', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.29', 'kubernetes', '1.33..1.35', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.29', 'kubernetes', '1.31..1.32', true, 'tested, but not supported',
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.29', 'kubernetes', '1.36', true, 'tested, but not supported',
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.30', 'kubernetes', '1.34..1.36', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.30', 'kubernetes', '1.30..1.33', true, 'tested, but not supported',
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30')) AS v;

CREATE TABLE release_notes (
    component text NOT NULL,
    from_version text NOT NULL,
    to_version text NOT NULL,
    place text NOT NULL CHECK (place IN ('chart', 'before', 'instead', 'after')),
    ordinal integer NOT NULL DEFAULT 1,
    action text NOT NULL CHECK (action <> '' AND (action NOT LIKE '{%' OR jsonb_typeof(action::jsonb) = 'object')),
    reason text NOT NULL,
    source text NOT NULL CHECK (source <> ''),
    builtin boolean NOT NULL DEFAULT false,
    matrix text,
    PRIMARY KEY (component, from_version, to_version, place, ordinal, builtin)
);
COMMENT ON TABLE release_notes IS
'what release plans need to know of the releases of a component: where its chart is, and the steps that its notes '
'demand; add rows of your own';
COMMENT ON COLUMN release_notes.component IS 'as in releases';
COMMENT ON COLUMN release_notes.from_version IS
'versions that are left, as compatibility.version has them; empty: any, and one that is not known';
COMMENT ON COLUMN release_notes.to_version IS 'versions that are gone to, likewise';
COMMENT ON COLUMN release_notes.place IS
'chart: where the chart is; before, after: a step before or after all others; instead: one in place of the component''s'
' own';
COMMENT ON COLUMN release_notes.ordinal IS 'order of the steps of one place';
COMMENT ON COLUMN release_notes.action IS
'location of the chart (oci://..., a repository https://..., or a file), a command, or what begins with { as fields '
'of the custom resource''s spec; $FROM_EXTENSION and $TO_EXTENSION stand for the extension''s versions in the two '
'releases';
COMMENT ON COLUMN release_notes.reason IS 'for people';
COMMENT ON COLUMN release_notes.source IS 'where it is written';
COMMENT ON COLUMN release_notes.builtin IS
'shipped with this extension; does not count where a row that is not has the same versions, place and ordinal';
COMMENT ON COLUMN release_notes.matrix IS
'name under which load_compatibility() has loaded the row; null for shipped rows and for those that you have inserted';

SELECT pg_catalog.pg_extension_config_dump('release_notes', 'WHERE NOT builtin');

INSERT INTO release_notes (component, from_version, to_version, place, ordinal, action, reason, source, builtin)
SELECT *, true FROM (VALUES
    ('cnpg', '', '', 'chart', 1, 'https://cloudnative-pg.github.io/charts', 'its chart repository',
     'https://github.com/cloudnative-pg/charts'),
    ('operator', '', '0.3.0..', 'chart', 1, 'oci://ghcr.io/documentdb/documentdb-operator',
     'in an OCI registry alone since 0.3.0',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '', '1.0.0-rc1', 'chart', 1, 'oci://ghcr.io/documentdb/documentdb-operator',
     'in an OCI registry alone',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0-rc1'),
    ('operator', '0.3.0', '1.0.0', 'before', 1, '{"documentDBVersion": "$FROM_EXTENSION"}',
     'Pins the version, on every DocumentDB of this operator: otherwise its pods roll to the default of the newer '
     'operator as soon as the chart is upgraded.',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '0.3.0', '1.0.0', 'before', 2, '{"schemaVersion": null}',
     'Takes schemaVersion "auto" away, on every DocumentDB of this operator: otherwise the schema is finalized as soon '
     'as the newer binary runs.',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0-rc1', '1.0.0', 'before', 1, '{"documentDBVersion": "$FROM_EXTENSION"}',
     'Pins the release candidate, on every DocumentDB of this operator: it cannot be upgraded in place.',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('extension', '1.0-RC2', '1.0..', 'instead', 1,
     '# make a new cluster of version $TO_EXTENSION beside this one and move the data there: see docs/blue-green.md',
     'An upgrade in place from the release candidate is not supported.',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0')) AS v;

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.image_versions(image text, OUT tag text, OUT postgres text,
                                                           OUT extension text, OUT ferretdb text)
    LANGUAGE C IMMUTABLE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_image_versions';
COMMENT ON FUNCTION image_versions(text) IS
'takes the tag of an image, or a bare tag, apart: 16.3-v1.3.0 is PostgreSQL 16.3 with the extension 1.3.0, '
'17-0.107.0-ferretdb-2.7.0 names FerretDB too, 18-minimal-trixie PostgreSQL alone, 1.0-RC2 and 0.112.0-amd64 the '
'extension; nulls for what a tag does not say, all of them for a digest';

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.component_version(component text, configuration jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN component = 'postgres'
                THEN CASE WHEN split_part(i.postgres, '.', 1)
                               <> split_part(coalesce(v.postgres, configuration->>'version'), '.', 1) THEN i.postgres
                          ELSE coalesce(v.postgres, configuration->>'version', i.postgres) END
                WHEN component IN ('extension', 'gateway')
                THEN CASE WHEN documentdb_upgrade.compare_versions(v.extension, i.extension) <> 0 THEN i.extension
                          ELSE coalesce(v.extension, i.extension, configuration->>'version', i.tag) END
                ELSE coalesce(configuration->>'version', i.tag) END
    FROM documentdb_upgrade_internal.image_versions(configuration->>'version') v,
         documentdb_upgrade_internal.image_versions(configuration->>'image') i
$$;
COMMENT ON FUNCTION component_version(text, jsonb) IS
'version that the configuration of a component states: what its key version tells, else the tag of its key image; the '
'tag where the two differ, for the image is what runs; null for neither, or an image by digest alone';

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.version_matches(version text, pattern text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH text_of (n, t) AS (VALUES (0, version), (1, split_part(pattern, '..', 1)), (2, split_part(pattern, '..', 2))),
    parsed AS (SELECT n, regexp_split_to_array(m[1], '[.-]')::numeric[] AS numbers,
                      lower(concat(e[1], e[2])) AS early, e IS NOT NULL AS is_early
               FROM text_of, regexp_match(t, '^[vV]?(\d+(?:[.-]\d+)*)(.*)$') AS m
               LEFT JOIN LATERAL regexp_match(m[2], '^[-.~]?(rc|alpha|beta|pre|dev)[.]?(\d*)', 'i') AS e ON true),
    padded AS (SELECT v.early, v.is_early, v.numbers || array_fill(0::numeric, ARRAY[10]) AS numbers
               FROM parsed v WHERE v.n = 0)
    SELECT lower(version) = lower(pattern) OR coalesce(
           CASE WHEN v.is_early
                THEN pattern NOT LIKE '%..%' AND low.is_early AND v.early = low.early
                     AND v.numbers[1:10] = (low.numbers || array_fill(0::numeric, ARRAY[10]))[1:10]
                WHEN pattern LIKE '%..%'
                THEN (split_part(pattern, '..', 1) = '' OR v.numbers >= low.numbers)
                     AND (split_part(pattern, '..', 2) = ''
                          OR v.numbers[1:cardinality(high.numbers)] <= high.numbers)
                ELSE NOT low.is_early AND v.numbers[1:cardinality(low.numbers)] = low.numbers END, false)
    FROM (VALUES (true)) AS one LEFT JOIN padded v ON true
    LEFT JOIN parsed low ON low.n = 1 LEFT JOIN parsed high ON high.n = 2
$$;
COMMENT ON FUNCTION version_matches(text, text) IS
'whether a version is what the pattern says: 1.28 is also 1.28.3, 14..18 is from 14 up to and with every 18, 1.35.. is '
'1.35 and later, ..1.32 every 1.32 and earlier; a pre-release is matched by itself alone, however it is spelled';

CREATE OR REPLACE FUNCTION compare_releases(a bigint, b bigint,
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
                  HINT = 'Those that do are shown by '
                         'SELECT revision, label, recorded_at FROM documentdb_upgrade.releases;';
    END IF;
    RETURN QUERY
        SELECT key, CASE WHEN x.value IS NULL OR y.value IS NULL THEN 'unknown'
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
'one row per component of either release: changed or unchanged, by the digest of its configuration, or unknown when '
'only one of the two names it; with both configurations; 42704 when there is no such release';

DROP FUNCTION release_plan(bigint, bigint), rollback_plan(bigint, bigint, boolean);
DROP FUNCTION documentdb_upgrade_internal.release_steps(bigint, bigint, boolean, boolean),
    documentdb_upgrade_internal.release_action(text, text, jsonb, boolean),
    documentdb_upgrade_internal.patch_resource(jsonb);

CREATE FUNCTION documentdb_upgrade_internal.cluster_words(cluster text, OUT resource text, OUT namespace text,
                                                          OUT name text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(documentdb_upgrade_internal.shell_quote(coalesce(nullif(split_part(cluster, '/', 2), ''),
               nullif(current_setting('documentdb_upgrade.kubernetes_resource', true), ''))), '"$NAME"'),
           coalesce(documentdb_upgrade_internal.shell_quote(coalesce(nullif(split_part(cluster, '/', 1), ''),
               nullif(current_setting('documentdb_upgrade.kubernetes_namespace', true), ''))), '"$NAMESPACE"'),
           coalesce(documentdb_upgrade_internal.shell_quote(coalesce(nullif(split_part(cluster, '/', 3), ''),
               nullif(split_part(cluster, '/', 2), ''))), '"$CLUSTER"')
$$;
COMMENT ON FUNCTION cluster_words(text) IS
'serves release plans: custom resource, namespace and Cluster as a shell takes them, of a cluster that is written '
'namespace/resource or namespace/resource/Cluster; null: those that settings name, else $NAME, $NAMESPACE and $CLUSTER';

CREATE FUNCTION documentdb_upgrade_internal.patch_resource(spec jsonb, cluster text DEFAULT NULL) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('kubectl patch dbs.documentdb.io %s --namespace %s --type merge -p %s', w.resource, w.namespace,
                  documentdb_upgrade_internal.shell_quote(jsonb_build_object('spec', spec)::text))
    FROM documentdb_upgrade_internal.cluster_words(cluster) w
$$;
COMMENT ON FUNCTION patch_resource(jsonb, text) IS
'serves release plans: the kubectl command that sets fields of the custom resource of a cluster, as cluster_words() '
'takes it';

CREATE FUNCTION documentdb_upgrade_internal.psql_action(statement text, cluster text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN cluster IS NULL THEN '' ELSE
               format('kubectl exec --namespace %1$s "$(kubectl get pods --namespace %1$s --output name --selector '
                      'cnpg.io/cluster=%2$s,cnpg.io/instanceRole=primary)" --container postgres -- ', w.namespace,
                      w.name) END
           || 'psql ' || CASE WHEN cluster IS NOT NULL THEN
               format('-d %s ', documentdb_upgrade_internal.shell_quote(current_database())) ELSE '' END
           || '-c ' || documentdb_upgrade_internal.shell_quote(statement)
    FROM documentdb_upgrade_internal.cluster_words(cluster) w
$$;
COMMENT ON FUNCTION psql_action(text, text) IS
'serves release plans: the command that runs a statement on this server, or on the primary of a cluster';

CREATE FUNCTION documentdb_upgrade_internal.notes_of(component text, from_version text, to_version text,
                                                     place text)
    RETURNS SETOF release_notes
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.* FROM documentdb_upgrade.release_notes n
    WHERE n.component = notes_of.component AND n.place = notes_of.place
      AND (n.from_version = ''
           OR documentdb_upgrade_internal.version_matches(notes_of.from_version, n.from_version))
      AND (n.to_version = '' OR documentdb_upgrade_internal.version_matches(notes_of.to_version, n.to_version))
      AND NOT (n.builtin AND EXISTS (
          SELECT FROM documentdb_upgrade.release_notes o
          WHERE NOT o.builtin AND (o.component, o.from_version, o.to_version, o.place, o.ordinal)
                                  = (n.component, n.from_version, n.to_version, n.place, n.ordinal)))
    ORDER BY n.ordinal, n.builtin, n.from_version, n.to_version
$$;
COMMENT ON FUNCTION notes_of(text, text, text, text) IS
'serves release plans: what is known of the step of a component from one version to another';

CREATE FUNCTION documentdb_upgrade_internal.version_tag(configuration jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT CASE WHEN t.version ~ '^[vV]?\d+([.-]\d+)+$' THEN documentdb_upgrade.to_semver(t.version)
                WHEN t.version ~* '^v?\d+([.-]\d+)+[.-]?(rc|alpha|beta|pre|dev)[.]?\d*$'
                THEN documentdb_upgrade.to_extension_version(t.version)
                ELSE t.version END
    FROM (SELECT coalesce(configuration->>'version',
                          documentdb_upgrade_internal.component_version('extension', configuration))) AS t(version)
$$;
COMMENT ON FUNCTION version_tag(jsonb) IS
'serves release plans: the extension''s version as the operator takes it for the tag of an image: 0.110.0, 1.0-RC2, or '
'the tag that it is';

CREATE FUNCTION documentdb_upgrade_internal.helm_upgrade(release text, chart text, location text, version text,
                                                         namespace text, options text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT format('helm upgrade %s %s --version %s --namespace %s --reset-then-reuse-values %s', release,
                  CASE WHEN location ~ '^https?://' AND location !~ '[.]tgz$'
                       THEN chart || ' --repo ' || documentdb_upgrade_internal.shell_quote(location)
                       ELSE documentdb_upgrade_internal.shell_quote(location) END,
                  documentdb_upgrade_internal.shell_quote(version), namespace, options)
$$;
COMMENT ON FUNCTION helm_upgrade(text, text, text, text, text, text) IS
'serves release plans: the helm command that upgrades a release to a chart of that location';

CREATE FUNCTION documentdb_upgrade_internal.release_action(component text, version text, configuration jsonb,
                                                           backwards boolean, trial boolean,
                                                           cluster text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    images constant text := 'ghcr.io/documentdb/documentdb-kubernetes-operator/';
    safely constant text := CASE WHEN trial THEN '--dry-run' ELSE '--atomic --timeout 10m' END;
    image text := configuration->>'image';
    chart text := coalesce(configuration->>'chart', (
        SELECT n.action FROM documentdb_upgrade_internal.notes_of(component, NULL, version, 'chart') n LIMIT 1));
BEGIN
    IF version IS NULL AND image IS NULL THEN
        RETURN CASE WHEN NOT trial THEN format('# bring %s to what the release describes: %s', component,
                                               configuration) END;
    END IF;
    CASE component
    WHEN 'cnpg' THEN
        IF configuration ? 'chart_version' THEN
            RETURN documentdb_upgrade_internal.helm_upgrade('cnpg', 'cloudnative-pg', chart,
                configuration->>'chart_version', 'cnpg-system', safely);
        ELSIF version ~ '^\d+\.\d+\.\d+$' THEN
            RETURN format('kubectl apply --server-side --force-conflicts %s-f https://raw.githubusercontent.com'
                          '/cloudnative-pg/cloudnative-pg/release-%s/releases/cnpg-%s.yaml',
                          CASE WHEN trial THEN '--dry-run=server ' END, substring(version FROM '^\d+\.\d+'), version);
        END IF;
    WHEN 'operator' THEN
        IF backwards AND configuration->>'helm_revision' ~ '^\d+$' THEN
            RETURN format('helm rollback documentdb-operator %s --namespace documentdb-operator %s',
                          configuration->>'helm_revision',
                          CASE WHEN trial THEN '--dry-run' ELSE '--wait --timeout 10m' END);
        ELSIF version IS NOT NULL AND chart IS NOT NULL THEN
            -- Helm leaves CRDs as they are; an older operator works with newer ones.
            RETURN CASE WHEN backwards THEN '' ELSE
                       format('helm show crds %s --version %s'
                              ' | kubectl apply --server-side --force-conflicts %s-f - && ',
                              CASE WHEN chart ~ '^https?://' AND chart !~ '[.]tgz$'
                                   THEN 'documentdb-operator --repo ' ELSE '' END
                                  || documentdb_upgrade_internal.shell_quote(chart),
                              documentdb_upgrade_internal.shell_quote(version),
                              CASE WHEN trial THEN '--dry-run=server ' END) END
                || documentdb_upgrade_internal.helm_upgrade('documentdb-operator', 'documentdb-operator', chart,
                       version, 'documentdb-operator', safely);
        ELSIF version IS NOT NULL AND NOT trial THEN
            RETURN format('# it is not known where the chart of operator %s is: %s', version,
                CASE WHEN backwards
                     THEN 'helm history documentdb-operator --namespace documentdb-operator shows the revision for '
                          'helm rollback documentdb-operator REVISION --namespace documentdb-operator --wait'
                     ELSE 'record the release with the key chart' END);
        END IF;
    WHEN 'sidecar_injector' THEN
        RETURN CASE WHEN NOT trial THEN
            format('kubectl set image deployment/sidecar-injector cnpg-i-sidecar-injector=%s --namespace cnpg-system'
                   ' && kubectl rollout status deployment/sidecar-injector --namespace cnpg-system',
                   documentdb_upgrade_internal.shell_quote(coalesce(image, images || 'sidecar:' || version))) END;
    WHEN 'gateway' THEN
        RETURN CASE WHEN NOT trial THEN documentdb_upgrade_internal.patch_resource(jsonb_build_object('image',
            jsonb_build_object('gateway', coalesce(image, images || 'gateway:'
                || documentdb_upgrade_internal.version_tag(configuration)))), cluster) END;
    WHEN 'extension' THEN
        -- One that leaves the image to the version must not leave an older image there.
        RETURN CASE WHEN NOT trial THEN documentdb_upgrade_internal.patch_resource(CASE WHEN image IS NOT NULL
            THEN jsonb_build_object('image', jsonb_build_object('documentDB', image))
            ELSE jsonb_build_object('documentDBVersion', documentdb_upgrade_internal.version_tag(configuration),
                                    'image', jsonb_build_object('documentDB', NULL)) END, cluster) END;
    WHEN 'postgres' THEN
        RETURN CASE WHEN NOT trial THEN
            documentdb_upgrade_internal.patch_resource(jsonb_build_object('image', jsonb_build_object('postgres',
                coalesce(image, 'ghcr.io/cloudnative-pg/postgresql:' || version || '-minimal-trixie'))), cluster) END;
    ELSE
        NULL;
    END CASE;
    RETURN CASE WHEN NOT trial THEN format('# bring %s to %s with what deploys it', component,
                                           coalesce(version, image)) END;
END
$$;
COMMENT ON FUNCTION release_action(text, text, jsonb, boolean, boolean, text) IS
'serves release plans: the command that brings a component to a version or image; trial: the one that shows what that '
'would do, null where it would show nothing';

CREATE FUNCTION documentdb_upgrade_internal.emergency_action(component text, version text, configuration jsonb,
                                                             cluster text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    images constant text := 'ghcr.io/documentdb/documentdb-kubernetes-operator/';
    tag constant text := CASE WHEN component IN ('gateway', 'extension')
                              THEN documentdb_upgrade_internal.version_tag(configuration) ELSE version END;
    image constant text := coalesce(configuration->>'image', CASE component
        WHEN 'operator' THEN images || 'operator:' || tag
        WHEN 'sidecar_injector' THEN images || 'sidecar:' || tag
        WHEN 'gateway' THEN images || 'gateway:' || tag
        WHEN 'extension' THEN images || 'documentdb:' || tag
        WHEN 'cnpg' THEN 'ghcr.io/cloudnative-pg/cloudnative-pg:' || tag
        WHEN 'postgres' THEN 'ghcr.io/cloudnative-pg/postgresql:' || tag || '-minimal-trixie' END);
    place record;
    target text;
    changes jsonb;
BEGIN
    IF image IS NULL THEN
        RETURN NULL;
    END IF;
    target := CASE component
        WHEN 'operator' THEN 'documentdb-operator --namespace documentdb-operator'
        WHEN 'sidecar_injector' THEN 'sidecar-injector --namespace cnpg-system'
        WHEN 'cnpg' THEN '--selector app.kubernetes.io/name=cloudnative-pg --namespace cnpg-system' END;
    IF target IS NOT NULL THEN
        RETURN format('kubectl set image deployment %s %s=%s && kubectl rollout status deployment %s --timeout=5m',
                      target, CASE component WHEN 'operator' THEN 'documentdb-operator' WHEN 'cnpg' THEN 'manager'
                                             ELSE 'cnpg-i-sidecar-injector' END,
                      documentdb_upgrade_internal.shell_quote(image), target);
    END IF;

    -- The operator serves the webhook of its resource, which cannot be changed without it; and as long as it runs, it
    -- writes the Cluster back.  The tests refuse a Cluster that is made otherwise.
    changes := CASE component
        WHEN 'postgres' THEN jsonb_build_array(
            jsonb_build_object('op', 'replace', 'path', '/spec/imageName', 'value', image))
        WHEN 'extension' THEN jsonb_build_array(
            jsonb_build_object('op', 'test', 'path', '/spec/postgresql/extensions/0/name', 'value', 'documentdb'),
            jsonb_build_object('op', 'replace', 'path', '/spec/postgresql/extensions/0/image/reference',
                               'value', image))
        WHEN 'gateway' THEN jsonb_build_array(
            jsonb_build_object('op', 'test', 'path', '/spec/plugins/0/name',
                               'value', 'cnpg-i-sidecar-injector.documentdb.io'),
            jsonb_build_object('op', 'add', 'path', '/spec/plugins/0/parameters/gatewayImage', 'value', image)) END;
    SELECT * INTO place FROM documentdb_upgrade_internal.cluster_words(cluster);
    RETURN format('kubectl scale deployment documentdb-operator --namespace documentdb-operator --replicas=0 && '
                  'kubectl patch clusters.postgresql.cnpg.io %s --namespace %s --type json -p %s',
                  place.name, place.namespace, documentdb_upgrade_internal.shell_quote(changes::text));
END
$$;
COMMENT ON FUNCTION emergency_action(text, text, jsonb, text) IS
'serves rollback_plan(): the command that brings a component to a version or image without chart and operator; null '
'where it is not known';

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.refuse_release(source bigint, target bigint, force boolean)
    RETURNS void
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
    -- An image of PostgreSQL can bring the extension along.
    FOR part IN
        SELECT c.component, c.to_version FROM documentdb_upgrade.compare_releases(source, target) c
            WHERE c.component IN ('extension', 'postgres') AND c.to_configuration IS NOT NULL
              AND (force OR c.change <> 'unchanged')
        UNION ALL
        SELECT 'extension', i.extension FROM documentdb_upgrade.compare_releases(source, target) c,
                LATERAL documentdb_upgrade_internal.image_versions(
                    coalesce(c.to_configuration->>'image', c.to_configuration->>'version')) i
            WHERE c.component = 'postgres' AND i.extension IS NOT NULL AND (force OR c.change <> 'unchanged')
    LOOP
        IF part.component = 'extension' AND schema IS NOT NULL THEN
            below := documentdb_upgrade_internal.version_order(part.to_version, schema) < 0;
            IF below THEN
                -- The finalize that has left what the target can serve
                SELECT * INTO step FROM documentdb_upgrade.history h
                    WHERE h.extension = documentdb_upgrade_internal.main_extension() AND h.outcome = 'succeeded'
                      AND documentdb_upgrade_internal.version_order(h.from_version, part.to_version) <= 0
                    ORDER BY h.id DESC LIMIT 1;
                way_out := concat_ws(', or ',
                    coalesce((SELECT format('backup "%s" of %s', b.label,
                                            date_trunc('second', b.finished_at))
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
                IF documentdb_upgrade_internal.version_order(part.to_version, part.to_version) IS NOT NULL THEN
                    RAISE EXCEPTION 'extension % of release % may be older than the installed schema "%", which '
                                    'cannot be ordered', part.to_version, target, schema
                        USING ERRCODE = 'object_not_in_prerequisite_state',
                              HINT = 'Find out whether that binary serves this schema, and go by hand.';
                END IF;
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

CREATE FUNCTION documentdb_upgrade_internal.noted_action(action text, from_extension text, to_extension text,
                                                         cluster text DEFAULT NULL)
    RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT CASE WHEN strpos(action, '$FROM_EXTENSION') > 0 AND from_extension IS NULL
                THEN '# the release that is left does not state the version of its extension: ' || action
                WHEN strpos(action, '$TO_EXTENSION') > 0 AND to_extension IS NULL
                THEN '# the release that is gone to does not state the version of its extension: ' || action
                WHEN action LIKE '{%'
                THEN documentdb_upgrade_internal.patch_resource(replace(replace(action,
                         '$FROM_EXTENSION', trim(BOTH '"' FROM coalesce(to_json(from_extension)::text, ''))),
                         '$TO_EXTENSION', trim(BOTH '"' FROM coalesce(to_json(to_extension)::text, '')))::jsonb,
                         cluster)
                ELSE replace(replace(action,
                         '$FROM_EXTENSION', coalesce(documentdb_upgrade_internal.shell_quote(from_extension), '')),
                         '$TO_EXTENSION', coalesce(documentdb_upgrade_internal.shell_quote(to_extension), '')) END
$$;
COMMENT ON FUNCTION noted_action(text, text, text, text) IS
'serves release plans: the command that a row of release_notes stands for';

CREATE FUNCTION documentdb_upgrade_internal.release_steps(
                              a bigint, b bigint, backwards boolean, force boolean, clusters text[],
                              OUT step integer, OUT component text, OUT action text, OUT reason text,
                              OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval,
                              OUT source text, OUT cluster text, OUT emergency text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    -- The instances restart one after the other.
    rolling interval := interval '1 minute'
        * (1 + (SELECT count(*) FROM documentdb_upgrade.standbys s WHERE s.depth = 1));
    -- Null is the one that settings name.
    places constant text[] := coalesce(nullif(clusters, '{}'), ARRAY[NULL]::text[]);
    place text;
    words record;
    part record;
    note documentdb_upgrade.release_notes;
    schema text := documentdb_upgrade.schema_version();
    pausing boolean;
    extension_from text;
    extension_to text;
    tag_from text;
    tag_to text;
    operator_to text;
    replaced boolean := false;
    trial text;
    paused boolean := false;
BEGIN
    IF clusters IS NOT NULL
       AND (SELECT count(DISTINCT c) FROM unnest(clusters) c
            WHERE c ~ '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[a-z0-9]([-a-z0-9.]*[a-z0-9])?){1,2}$')
           <> cardinality(clusters) THEN
        RAISE EXCEPTION 'clusters of a plan must be written namespace/resource, each of them once'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Where the Cluster has another name than its DocumentDB resource, give '
                         'namespace/resource/Cluster.';
    END IF;
    PERFORM documentdb_upgrade_internal.refuse_release(a, b, force);
    SELECT max(c.from_version) FILTER (WHERE c.component = 'extension'),
           max(c.to_version) FILTER (WHERE c.component = 'extension' AND (force OR c.change <> 'unchanged')),
           max(documentdb_upgrade_internal.version_tag(c.from_configuration)) FILTER (WHERE c.component = 'extension'),
           max(documentdb_upgrade_internal.version_tag(c.to_configuration)) FILTER (WHERE c.component = 'extension'),
           max(c.to_version) FILTER (WHERE c.component = 'operator' AND (force OR c.change <> 'unchanged'))
        INTO extension_from, extension_to, tag_from, tag_to, operator_to
        FROM documentdb_upgrade.compare_releases(a, b) c;
    replaced := extension_to IS NOT NULL AND EXISTS (
        SELECT FROM documentdb_upgrade_internal.notes_of('extension', extension_from, extension_to, 'instead'));
    SELECT CASE WHEN backwards
                THEN count(*) > 1
                     AND bool_or(c.component IN ('gateway', 'extension', 'postgres', 'cnpg', 'sidecar_injector'))
                ELSE count(*) FILTER (WHERE c.component IN ('gateway', 'extension', 'postgres')) > 1 END
        INTO pausing
        FROM documentdb_upgrade.compare_releases(a, b) c
        WHERE (force OR c.change <> 'unchanged') AND c.to_configuration IS NOT NULL
          AND NOT (c.component IN ('gateway', 'extension', 'postgres') AND replaced);
    step := 0;

    -- What forbids a release here was refused; of other clusters their resources know.
    IF clusters <> '{}' AND extension_to IS NOT NULL THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'schema';
            cluster := place;
            SELECT * INTO words FROM documentdb_upgrade_internal.cluster_words(place);
            action := format('kubectl get dbs.documentdb.io %s --namespace %s -o jsonpath=%s', words.resource,
                             words.namespace, documentdb_upgrade_internal.shell_quote('{.status.schemaVersion}'));
            reason := format('Must not be above %s; a cluster whose schema is newer stays out of this plan. This '
                             'server has looked at its own schema alone.', extension_to);
            risk := 'none';
            restarts_pods := false;
            expected_duration := interval '1 second';
            RETURN NEXT;
        END LOOP;
    END IF;
    IF backwards AND extension_to IS NOT NULL THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'schema';
            cluster := place;
            action := documentdb_upgrade_internal.psql_action(
                format('SELECT documentdb_upgrade.hold(''rollback from release %s to %s'')', a, b), place);
            reason := 'A finalize before the old binary is back would make this rollback impossible.';
            risk := 'none';
            restarts_pods := false;
            expected_duration := interval '1 second';
            RETURN NEXT;
        END LOOP;
    END IF;

    -- What the notes of a release demand before anything else is done
    FOR part IN
        SELECT n.*
        FROM documentdb_upgrade.compare_releases(a, b) c,
             LATERAL documentdb_upgrade_internal.notes_of(c.component, c.from_version, c.to_version, 'before') n
        WHERE (force OR c.change <> 'unchanged') AND c.to_configuration IS NOT NULL
        ORDER BY n.component COLLATE "C", n.ordinal
    LOOP
        -- Fields of the resource are for each cluster, a command is for all.
        FOREACH place IN ARRAY CASE WHEN part.action LIKE '{%' THEN places ELSE ARRAY[NULL]::text[] END LOOP
            step := step + 1;
            component := part.component;
            cluster := place;
            action := documentdb_upgrade_internal.noted_action(part.action, tag_from, tag_to, place);
            reason := part.reason;
            risk := 'none: it keeps things as they are';
            restarts_pods := false;
            expected_duration := interval '1 second';
            source := part.source;
            RETURN NEXT;
        END LOOP;
    END LOOP;

    FOR part IN
        SELECT c.*, CASE WHEN backwards
                THEN coalesce(array_position(ARRAY['sidecar_injector', 'operator', 'cnpg'], c.component), 5)
                ELSE coalesce(array_position(ARRAY['cnpg', 'operator', 'sidecar_injector'], c.component), 5)
                END AS place,
            c.component IN ('gateway', 'extension', 'postgres') AS in_pods,
            -- The chart of the operator brings these along.
            c.to_configuration->>'image' IS NULL AND operator_to IS NOT NULL
                AND (c.component = 'sidecar_injector' AND c.to_version = operator_to
                     OR c.component = 'cnpg' AND EXISTS (
                         SELECT FROM documentdb_upgrade.compatibility m
                         WHERE m.works AND m.component = 'operator' AND m.other = 'cnpg'
                           AND documentdb_upgrade_internal.version_matches(operator_to, m.version)
                           AND documentdb_upgrade_internal.version_matches(c.to_version, m.other_version)))
                AS comes_along
        FROM documentdb_upgrade.compare_releases(a, b) c
        WHERE force OR c.change <> 'unchanged'
        ORDER BY in_pods, place, array_position(ARRAY['gateway', 'extension', 'postgres'], c.component),
                 c.component COLLATE "C"
    LOOP
        source := NULL;
        cluster := NULL;
        emergency := NULL;
        -- What a release does not name may be there all the same.
        IF part.to_configuration IS NULL THEN
            step := step + 1;
            component := part.component;
            action := format('# release %s does not name %s: nothing is known, and nothing done, about it', b,
                             part.component);
            reason := format('%s in release %s, not named by release %s', coalesce(part.from_version, 'no version'),
                             a, b);
            risk := 'unknown';
            restarts_pods := false;
            expected_duration := NULL;
            RETURN NEXT;
            CONTINUE;
        END IF;
        -- One restart for everything, and after everything.
        IF pausing AND NOT paused AND (part.in_pods OR backwards) THEN
            paused := true;
            FOREACH place IN ARRAY places LOOP
                step := step + 1;
                component := 'cluster';
                cluster := place;
                SELECT * INTO words FROM documentdb_upgrade_internal.cluster_words(place);
                action := format('kubectl annotate clusters.postgresql.cnpg.io %s --namespace %s '
                                 'cnpg.io/reconciliationLoop=disabled --overwrite', words.name, words.namespace);
                reason := CASE WHEN backwards
                    THEN 'All images and charts must be set back before a pod restarts: a pod that restarts too early '
                         'still gets the newer ones.'
                    ELSE 'So the pods restart only once, with all changes.' END;
                risk := 'medium: no failover until it is enabled again';
                restarts_pods := false;
                expected_duration := interval '1 second';
                RETURN NEXT;
            END LOOP;
            cluster := NULL;
        END IF;
        component := part.component;
        SELECT * INTO note FROM documentdb_upgrade_internal.notes_of(
            part.component, part.from_version, part.to_version, 'instead') LIMIT 1;
        IF FOUND THEN
            FOREACH place IN ARRAY CASE WHEN part.in_pods THEN places ELSE ARRAY[NULL]::text[] END LOOP
                step := step + 1;
                cluster := place;
                action := documentdb_upgrade_internal.noted_action(note.action, tag_from, tag_to, place);
                reason := note.reason;
                risk := 'high: the data moves to another cluster';
                restarts_pods := false;
                expected_duration := NULL;
                source := note.source;
                RETURN NEXT;
            END LOOP;
            CONTINUE;
        END IF;
        trial := CASE WHEN NOT part.comes_along THEN documentdb_upgrade_internal.release_action(
            part.component, part.to_version, part.to_configuration, backwards, true) END;
        IF trial IS NOT NULL THEN
            step := step + 1;
            action := trial;
            reason := 'Shows what the next step would change, and changes nothing.';
            risk := 'none';
            restarts_pods := false;
            expected_duration := interval '10 seconds';
            RETURN NEXT;
        END IF;
        FOREACH place IN ARRAY CASE WHEN part.in_pods THEN places ELSE ARRAY[NULL]::text[] END LOOP
            step := step + 1;
            cluster := place;
            action := documentdb_upgrade_internal.release_action(
                part.component, part.to_version, part.to_configuration, backwards, false, place);
            IF part.comes_along THEN
                action := format('# the chart of operator %s brings it along; where it was installed by itself: %s',
                                 operator_to, action);
            ELSIF replaced AND part.in_pods THEN
                action := '# belongs to the new cluster: ' || action;
            END IF;
            -- Nothing of a comment is run, whatever a release has for a version.
            IF action LIKE '#%' THEN
                action := regexp_replace(action, '[[:cntrl:]]+', ' ', 'g');
            END IF;
            emergency := CASE WHEN backwards THEN documentdb_upgrade_internal.emergency_action(
                part.component, part.to_version, part.to_configuration, place) END;
            source := CASE WHEN part.to_configuration ? 'chart' THEN NULL
                           ELSE (SELECT n.source FROM documentdb_upgrade_internal.notes_of(
                                     part.component, NULL, part.to_version, 'chart') n
                                 WHERE strpos(release_steps.action, n.action) > 0 LIMIT 1) END;
            reason := CASE WHEN part.change = 'unchanged'
                THEN format('unchanged since release %s; listed because all were asked for', a)
                WHEN part.from_configuration IS NULL
                THEN format('not named by release %s, %s in %s', a, coalesce(part.to_version, 'no version'), b)
                WHEN part.from_version IS DISTINCT FROM part.to_version
                THEN format('%s in release %s, %s in %s', coalesce(part.from_version, 'no version'), a,
                            coalesce(part.to_version, 'no version'), b)
                ELSE format('configured differently in release %s', b) END
                || CASE WHEN operator_to IS NOT NULL AND NOT part.comes_along
                             AND part.component IN ('cnpg', 'sidecar_injector')
                        THEN '; not needed where the operator''s chart brings it along' ELSE '' END;
            risk := CASE part.component
                WHEN 'cnpg' THEN 'medium: the instance manager of every pod is replaced, which restarts the pods '
                                 'unless it is updated in place'
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
                    || CASE WHEN (SELECT i.extension IS NULL FROM documentdb_upgrade_internal.image_versions(
                                      part.to_configuration->>'image') i) AND part.to_configuration ? 'image'
                            THEN format('; the image''s name tells no version: that it is %s is not checked',
                                        part.to_version) ELSE '' END
                WHEN 'postgres' THEN CASE
                    WHEN split_part(coalesce(part.from_version, current_setting('server_version')), '.', 1)
                         <> split_part(part.to_version, '.', 1)
                    THEN 'high: another major version, so pg_upgrade or a restore' ELSE 'low: a minor version' END
                ELSE 'unknown' END;
            restarts_pods := part.in_pods AND NOT paused AND NOT replaced OR part.component = 'cnpg' AND NOT paused
                             OR part.component = 'sidecar_injector' AND NOT paused;
            expected_duration := CASE WHEN part.in_pods AND paused THEN interval '1 second'
                                      WHEN restarts_pods AND NOT part.in_pods
                                      THEN interval '2 minutes' + cardinality(places) * rolling
                                      WHEN restarts_pods THEN rolling
                                      WHEN part.place < 5 THEN interval '2 minutes' END;
            RETURN NEXT;
        END LOOP;
    END LOOP;
    source := NULL;

    IF paused THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'cluster';
            cluster := place;
            SELECT * INTO words FROM documentdb_upgrade_internal.cluster_words(place);
            action := format('kubectl annotate clusters.postgresql.cnpg.io %s --namespace %s '
                             'cnpg.io/reconciliationLoop-', words.name, words.namespace);
            reason := 'Lets the pods restart, standbys first, with all that was changed.'
                || CASE WHEN cardinality(places) > 1
                        THEN ' Go on with the next cluster when this one is ready.' ELSE '' END;
            risk := 'medium: clients are disconnected while the primary restarts';
            restarts_pods := true;
            expected_duration := rolling;
            emergency := CASE WHEN backwards THEN
                format('%3$s; kubectl delete pods --namespace %1$s --selector '
                       'cnpg.io/cluster=%2$s,cnpg.io/instanceRole=replica; kubectl wait --namespace %1$s --for '
                       'condition=Ready clusters.postgresql.cnpg.io/%2$s --timeout=10m && kubectl delete pods '
                       '--namespace %1$s --selector cnpg.io/cluster=%2$s,cnpg.io/instanceRole=primary',
                       words.namespace, words.name, action) END;
            RETURN NEXT;
        END LOOP;
    END IF;
    emergency := NULL;

    IF backwards AND extension_to IS NOT NULL THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'schema';
            cluster := place;
            action := documentdb_upgrade_internal.psql_action('SELECT documentdb_upgrade.release()', place);
            reason := 'The older binary is back on every instance: ends the hold of the first step.';
            risk := 'low: with schemaVersion auto a later rollout finalizes again';
            restarts_pods := false;
            expected_duration := interval '1 second';
            RETURN NEXT;
        END LOOP;
    ELSIF NOT backwards AND NOT replaced AND extension_to IS NOT NULL AND schema IS NOT NULL
          AND documentdb_upgrade_internal.version_order(extension_to, schema) > 0 THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'schema';
            cluster := place;
            action := documentdb_upgrade_internal.psql_action(format('CALL documentdb_upgrade.run_finalize_to(%L)',
                documentdb_upgrade.to_extension_version(extension_to)), place);
            reason := format('The schema is %s; the new one comes last, when the new binary has run on every instance '
                             'without trouble.', schema);
            risk := 'high: cannot be undone; rehearse it first';
            restarts_pods := false;
            expected_duration := (SELECT r.finished_at - r.started_at FROM documentdb_upgrade.rehearsals r
                WHERE r.outcome = 'passed' AND NOT r.scratch AND r.from_version = schema
                  AND documentdb_upgrade_internal.version_order(r.to_version, extension_to) = 0
                ORDER BY r.id DESC LIMIT 1);
            RETURN NEXT;
        END LOOP;
    END IF;

    FOR part IN
        SELECT n.*
        FROM documentdb_upgrade.compare_releases(a, b) c,
             LATERAL documentdb_upgrade_internal.notes_of(c.component, c.from_version, c.to_version, 'after') n
        WHERE (force OR c.change <> 'unchanged') AND c.to_configuration IS NOT NULL
        ORDER BY n.component COLLATE "C", n.ordinal
    LOOP
        FOREACH place IN ARRAY CASE WHEN part.action LIKE '{%' THEN places ELSE ARRAY[NULL]::text[] END LOOP
            step := step + 1;
            component := part.component;
            cluster := place;
            action := documentdb_upgrade_internal.noted_action(part.action, tag_from, tag_to, place);
            reason := part.reason;
            risk := 'unknown';
            restarts_pods := NULL;
            expected_duration := NULL;
            source := part.source;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION release_steps(bigint, bigint, boolean, boolean, text[]) IS
'serves release_plan() and rollback_plan()';

CREATE FUNCTION release_plan(a bigint, b bigint, clusters text[] DEFAULT NULL,
                             OUT step integer, OUT component text, OUT action text, OUT reason text,
                             OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval,
                             OUT source text, OUT cluster text, OUT total_duration interval)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.step, s.component, s.action, s.reason, s.risk, s.restarts_pods, s.expected_duration, s.source, s.cluster,
           coalesce(sum(s.expected_duration) OVER (ORDER BY s.step), '0')
    FROM documentdb_upgrade_internal.release_steps(a, b, false, false, clusters) s
    ORDER BY s.step
$$;
COMMENT ON FUNCTION release_plan(bigint, bigint, text[]) IS
'how to come from release a to b, one row per step: what release notes demand first, CloudNativePG, operator, sidecar '
'injector, then what restarts with the pods (gateway, extension, PostgreSQL), then the schema; changed components '
'only, each with the command, why, the risk, how long it takes as far as that is known, and who says so where it '
'comes from release_notes; cluster: the one of several that the step is for; total_duration: what is known of this '
'step and those before. 42704: no such release; 55000: what the installed schema forbids; 22023: malformed clusters';

CREATE FUNCTION rollback_plan(a bigint, b bigint, force boolean DEFAULT false, clusters text[] DEFAULT NULL,
                              OUT step integer, OUT component text, OUT action text, OUT reason text,
                              OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval,
                              OUT source text, OUT cluster text, OUT total_duration interval, OUT emergency text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.step, s.component, s.action, s.reason, s.risk, s.restarts_pods, s.expected_duration, s.source, s.cluster,
           coalesce(sum(s.expected_duration) OVER (ORDER BY s.step), '0'), s.emergency
    FROM documentdb_upgrade_internal.release_steps(a, b, true, coalesce(force, false), clusters) s
    ORDER BY s.step
$$;
COMMENT ON FUNCTION rollback_plan(bigint, bigint, boolean, text[]) IS
'how to come back from release a to b, one row per step: a hold, charts and images, and only then the restart of the '
'pods; changed components, or with force all of them; cluster and total_duration as in release_plan(); emergency: the '
'command that does without chart and operator. 42704: no such release; 55000: the installed schema, or the data '
'directory, is newer than what release b brings, and the hint says what is left; 22023: malformed clusters';

CREATE OR REPLACE FUNCTION record_rollback(source bigint, target bigint, changed text[], skipped text[] DEFAULT '{}')
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
                WHERE c.change <> 'unchanged' AND c.to_configuration IS NOT NULL AND c.component <> ALL (named));
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'component "%" differs between the releases and is neither changed nor skipped', problem
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('What differs is shown by SELECT component, change FROM '
                                'documentdb_upgrade.compare_releases(%s, %s);', source, target);
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
'for verify_rollback(). A component that the target does not name need not be in a list. 42704: no such release; '
'22023: a component that is in neither, in both lists, or differs and is in none';

DROP FUNCTION check_compatibility(jsonb);
CREATE FUNCTION documentdb_upgrade_internal.compatible_pairs(
                                    components jsonb,
                                    OUT component text, OUT version text, OUT other text, OUT other_version text,
                                    OUT status text, OUT detail text, OUT source text)
    RETURNS SETOF record
    -- To compile this would take a thousand times as long as to run it.
    LANGUAGE sql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET jit = off
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
    ), counts AS MATERIALIZED (
        SELECT m.* FROM documentdb_upgrade.compatibility m
        WHERE NOT (m.builtin AND EXISTS (
            SELECT FROM documentdb_upgrade.compatibility o
            WHERE NOT o.builtin
              AND ((o.component, o.version, o.other, o.other_version)
                   = (m.component, m.version, m.other, m.other_version)
                   OR (o.other, o.other_version, o.component, o.version)
                      = (m.component, m.version, m.other, m.other_version))))
    ), fact AS (
        -- Each row of the matrix from both sides
        SELECT m.component AS name, m.version AS pattern, m.other, m.other_version AS other_pattern,
               m.works, m.note, m.source
        FROM counts m
        UNION ALL
        SELECT m.other, m.other_version, m.component, m.version, m.works, m.note, m.source
        FROM counts m
    ), pair AS (
        SELECT a.name, a.number, b.name AS other, b.number AS other_number, f.*
        FROM given a JOIN given b ON a.name < b.name,
        LATERAL (SELECT (array_agg(f.source ORDER BY f.source) FILTER (WHERE hit AND NOT f.works))[1] AS against,
                        (array_agg(f.note ORDER BY f.source) FILTER (WHERE hit AND NOT f.works))[1] AS against_note,
                        (array_agg(f.source ORDER BY f.source) FILTER (WHERE hit AND f.works))[1] AS in_favour,
                        (array_agg(f.note ORDER BY f.source) FILTER (WHERE hit AND f.works))[1] AS in_favour_note,
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
                WHEN p.in_favour IS NOT NULL THEN concat_ws(': ', 'listed together', p.in_favour_note)
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
COMMENT ON FUNCTION compatible_pairs(jsonb) IS 'serves check_compatibility(): what it returns';

CREATE FUNCTION check_compatibility(components jsonb, strict boolean DEFAULT false,
                                    OUT component text, OUT version text, OUT other text, OUT other_version text,
                                    OUT status text, OUT detail text, OUT source text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bad text;
    n bigint;
BEGIN
    IF strict THEN
        SELECT count(*), string_agg(format('%s %s with %s %s: %s, %s.', p.component, p.version, p.other,
                                           p.other_version, p.status, p.detail), E'\n'
                                    ORDER BY p.component, p.other)
            INTO n, bad
            FROM documentdb_upgrade_internal.compatible_pairs(components) p
            WHERE p.component <> 'unified' AND p.status IN ('incompatible', 'untested');
        IF n > 0 THEN
            RAISE EXCEPTION '% of the pairs of components are not known to go together', n
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = bad,
                      HINT = 'Choose versions that the matrix has together, or add the pair to table compatibility '
                             'when you have tried it.';
        END IF;
    END IF;
    RETURN QUERY SELECT * FROM documentdb_upgrade_internal.compatible_pairs(components);
END
$$;
COMMENT ON FUNCTION check_compatibility(jsonb, boolean) IS
'one row per pair of the components, as record_release() takes them: compatible, incompatible, untested (the matrix '
'has other partners of one of them) or unknown, with who says so; a row unified for whether operator, gateway, '
'extension and sidecar injector are of one version. The tag of a PostgreSQL image such as 16.3-v1.3.0 is taken apart. '
'22023 for malformed components; strict: 55000 when a pair is incompatible or untested';

CREATE FUNCTION documentdb_upgrade_internal.check_matrix(part_name text, part_rows jsonb, needed text[],
                                                         optional text[])
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    bad text;
BEGIN
    IF jsonb_typeof(part_rows) <> 'array' THEN
        RAISE EXCEPTION '% of a matrix must be an array of rows', part_name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT left(r.value::text, 200) INTO bad
        FROM jsonb_array_elements(part_rows) r
        WHERE jsonb_typeof(r.value) <> 'object' OR NOT r.value ?& needed
           OR EXISTS (SELECT FROM jsonb_each(CASE jsonb_typeof(r.value) WHEN 'object' THEN r.value END) f
                      WHERE f.key <> ALL (needed || optional)
                         OR jsonb_typeof(f.value) <> CASE f.key WHEN 'works' THEN 'boolean' WHEN 'ordinal' THEN 'number'
                                                                ELSE 'string' END
                            AND NOT (f.key = 'note' AND jsonb_typeof(f.value) = 'null')
                         OR f.key = ANY (needed) AND f.key !~ '^(from|to)_version$' AND f.value #>> '{}' !~ '\S')
           OR r.value->>'component' = r.value->>'other'
        LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'a row of the matrix is not valid: %', bad
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('A row of %s has %s, which are texts, and may have %s.', part_name,
                                array_to_string(needed, ', '), array_to_string(optional, ' and '));
    END IF;
END
$$;
COMMENT ON FUNCTION check_matrix(text, jsonb, text[], text[]) IS
'serves load_compatibility(): 22023 when the rows are not of the form of their table';

CREATE FUNCTION load_compatibility(matrix jsonb, name text DEFAULT 'loaded',
                                   OUT loaded bigint, OUT removed bigint, OUT left_out bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pairs jsonb := CASE jsonb_typeof(load_compatibility.matrix) WHEN 'object'
                   THEN coalesce(load_compatibility.matrix->'pairs', '[]') ELSE load_compatibility.matrix END;
    notes jsonb := CASE jsonb_typeof(load_compatibility.matrix) WHEN 'object'
                   THEN coalesce(load_compatibility.matrix->'notes', '[]') ELSE '[]' END;
    n bigint;
BEGIN
    IF load_compatibility.name IS NULL OR load_compatibility.name = '' OR length(load_compatibility.name) > 100 THEN
        RAISE EXCEPTION 'name of a matrix must be of 1 to 100 characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF load_compatibility.matrix IS NULL OR jsonb_typeof(load_compatibility.matrix) NOT IN ('array', 'object')
       OR (jsonb_typeof(load_compatibility.matrix) = 'object'
           AND load_compatibility.matrix - '{pairs,notes}'::text[] <> '{}') THEN
        RAISE EXCEPTION 'a matrix must be an array of pairs, or an object with "pairs" and "notes"'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF length(load_compatibility.matrix::text) > 4194304 THEN
        RAISE EXCEPTION 'a matrix must not be longer than 4 MB'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM documentdb_upgrade_internal.check_matrix('pairs', pairs,
        '{component,version,other,other_version,source}', '{works,note}');
    PERFORM documentdb_upgrade_internal.check_matrix('notes', notes,
        '{component,from_version,to_version,place,action,reason,source}', '{ordinal}');

    LOCK TABLE documentdb_upgrade.compatibility, documentdb_upgrade.release_notes IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM documentdb_upgrade.compatibility c WHERE NOT c.builtin AND c.matrix = load_compatibility.name;
    GET DIAGNOSTICS removed = ROW_COUNT;
    DELETE FROM documentdb_upgrade.release_notes r WHERE NOT r.builtin AND r.matrix = load_compatibility.name;
    GET DIAGNOSTICS n = ROW_COUNT;
    removed := removed + n;
    INSERT INTO documentdb_upgrade.compatibility
            (component, version, other, other_version, works, note, source, matrix)
        SELECT r.value->>'component', r.value->>'version', r.value->>'other', r.value->>'other_version',
               coalesce((r.value->>'works')::boolean, true), r.value->>'note', r.value->>'source',
               load_compatibility.name
        FROM jsonb_array_elements(pairs) r
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS loaded = ROW_COUNT;
    INSERT INTO documentdb_upgrade.release_notes
            (component, from_version, to_version, place, ordinal, action, reason, source, matrix)
        SELECT r.value->>'component', r.value->>'from_version', r.value->>'to_version', r.value->>'place',
               coalesce((r.value->>'ordinal')::integer, 1), r.value->>'action', r.value->>'reason',
               r.value->>'source', load_compatibility.name
        FROM jsonb_array_elements(notes) r
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    loaded := loaded + n;
    left_out := jsonb_array_length(pairs) + jsonb_array_length(notes) - loaded;
END
$$;
COMMENT ON FUNCTION load_compatibility(jsonb, text) IS
'loads a matrix under a name: an array of rows for compatibility, or an object with those as "pairs" and rows for '
'release_notes as "notes". Rows that an earlier call has loaded under that name are removed, all others stay. A row '
'whose versions are in the table already, or twice in the matrix, is left out; a shipped row of the same versions no '
'longer counts. 22023 for what is not valid';

CREATE OR REPLACE FUNCTION classify("from" text, "to" text, component text DEFAULT 'extension',
                         OUT kind text, OUT risk text, OUT strategy text, OUT evidence text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    direction integer := documentdb_upgrade.compare_versions("from", "to");
    a text[] := string_to_array(documentdb_upgrade.to_semver(substring("from" FROM '^v?\d+(?:[.-]\d+)*')), '.');
    b text[] := string_to_array(documentdb_upgrade.to_semver(substring("to" FROM '^v?\d+(?:[.-]\d+)*')), '.');
    schema text := documentdb_upgrade.schema_version();
    rehearsed documentdb_upgrade.rehearsals;
    note documentdb_upgrade.release_notes;
    class text;
    removed bigint := 0;
    taken bigint := 0;
    strategies constant text[] := '{in place, staged, blue-green}';
    risks constant text[] := '{low, medium, high}';
    by_step integer;
    by_class integer;
BEGIN
    IF "from" IS NULL OR "to" IS NULL OR component IS NULL THEN
        RAISE EXCEPTION 'versions and component must be given'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
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
    by_step := CASE kind WHEN 'patch' THEN 1 WHEN 'feature' THEN 2 ELSE 3 END;
    IF component <> 'extension' THEN
        risk := CASE WHEN direction > 0 THEN 'medium' ELSE risks[by_step] END;
        strategy := CASE WHEN direction > 0 THEN 'in place' ELSE strategies[by_step] END;
        evidence := evidence || ' Nothing more is known about ' || component
            || CASE WHEN direction > 0 THEN ' here: read its release notes for the way back.'
                    ELSE ' here, so the step decides.' END;
        RETURN;
    END IF;
    SELECT * INTO note FROM documentdb_upgrade_internal.notes_of(component, "from", "to", 'instead') LIMIT 1;
    IF FOUND THEN
        risk := 'high';
        strategy := 'blue-green';
        evidence := format('%s %s (%s)', evidence, note.reason, note.source);
        RETURN;
    END IF;
    IF direction > 0 THEN
        risk := CASE WHEN schema IS NULL OR documentdb_upgrade_internal.version_order("to", schema) < 0
                     THEN 'impossible' ELSE 'medium' END;
        strategy := CASE risk WHEN 'impossible' THEN 'restore' ELSE 'in place' END;
        evidence := evidence || CASE WHEN schema IS NULL THEN ' A schema never goes back.'
            ELSE format(' The installed schema is %s, and never goes back; a binary can, down to it.', schema) END;
        RETURN;
    END IF;

    -- What a rehearsal has seen counts more than what scripts look like.
    SELECT * INTO rehearsed FROM documentdb_upgrade.rehearsals r
        WHERE r.extension = documentdb_upgrade_internal.main_extension() AND r.outcome <> 'refused'
          AND documentdb_upgrade_internal.version_order(r.from_version, "from") = 0
          AND documentdb_upgrade_internal.version_order(r.to_version, "to") = 0
        ORDER BY r.scratch, r.id DESC LIMIT 1;
    IF FOUND THEN
        class := CASE rehearsed.outcome WHEN 'passed' THEN coalesce(rehearsed.risk, 'functions only') ELSE 'failed' END;
        SELECT coalesce(sum(jsonb_array_length(s->'removed')), 0),
               coalesce(sum((SELECT count(*) FROM jsonb_array_elements(s->'changed') c
                             WHERE jsonb_array_length(c->'revoked') > 0)), 0)
            INTO removed, taken FROM jsonb_array_elements(rehearsed.report->'steps') s;
        evidence := evidence || format(' Rehearsal %s %s: heaviest risk class "%s", %s removed, privileges '
                                       'taken from %s.',
            rehearsed.id, rehearsed.outcome, coalesce(rehearsed.risk, 'none'),
            removed || CASE removed WHEN 1 THEN ' object' ELSE ' objects' END, taken);
        -- Who uses what is gone finds it broken, whatever the version says.
        IF removed > 0 OR taken > 0 THEN
            kind := 'breaking';
        END IF;
    ELSIF schema IS NOT NULL AND documentdb_upgrade_internal.version_order(schema, "from") = 0 THEN
        SELECT p.risk INTO class FROM documentdb_upgrade.plan("to") p
            ORDER BY array_position(
                '{unknown, cluster-wide, data tables, privileges, catalogue, functions only}'::text[], p.risk)
            LIMIT 1;
    END IF;
    risk := CASE WHEN class IN ('functions only', 'catalogue') THEN 'low'
                 WHEN class IN ('privileges', 'cluster-wide') THEN 'medium'
                 WHEN class IN ('data tables', 'failed') THEN 'high' END;
    strategy := CASE WHEN class IN ('functions only', 'catalogue', 'privileges') THEN 'in place'
                     WHEN class IN ('data tables', 'cluster-wide') THEN 'staged'
                     WHEN class = 'failed' THEN 'blue-green' END;
    IF rehearsed.id IS NOT NULL AND strategy IS NOT NULL THEN
        IF kind = 'breaking' AND risk = 'low' THEN
            risk := 'medium';
        END IF;
        IF kind = 'breaking' AND strategy = 'in place' THEN
            strategy := 'staged';
        END IF;
        RETURN;
    END IF;

    -- Unseen, the step counts as much as what the scripts look like: whichever
    -- asks for more care.
    evidence := evidence || CASE
        WHEN class IS NULL THEN ' Neither scripts nor a rehearsal say more, so the step decides.'
        WHEN class = 'unknown' THEN ' The scripts run code whose effect their text does not show, so the step decides; '
                                    'a rehearsal would know.'
        ELSE format(' The scripts look like "%s"; a rehearsal would know, and until then the step counts too.',
                    class) END;
    by_class := coalesce(array_position(strategies, strategy), 1);
    strategy := strategies[greatest(by_step, by_class)];
    by_class := coalesce(array_position(risks, risk), 1);
    risk := risks[greatest(by_step, by_class)];
END
$$;
COMMENT ON FUNCTION classify(text, text, text) IS
'what kind of step it is from one version to another: patch, feature or breaking, of component postgres minor or '
'major; risk, strategy (in place, staged, blue-green; restore where there is no way), and the evidence: the last '
'rehearsal of that step; else the scripts, when the step starts at the installed version, and the version step, of '
'which the more careful counts (patch: in place, feature: staged, breaking: blue-green); '
'malformed versions raise 22023';

REVOKE ALL ON FUNCTION
    notes_of, version_tag, helm_upgrade, release_action, noted_action, release_steps, release_plan, rollback_plan,
    cluster_words, patch_resource, psql_action, emergency_action, compatible_pairs, check_compatibility, check_matrix,
    load_compatibility
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    notes_of, version_tag, helm_upgrade, release_action, noted_action, release_steps, release_plan, rollback_plan,
    cluster_words, patch_resource, psql_action, emergency_action, compatible_pairs, check_compatibility
    TO pg_monitor;
GRANT SELECT ON release_notes TO pg_monitor;
-- (End of releases.)

-- What a database cannot see.

CREATE FUNCTION documentdb_upgrade_internal.in_kubernetes() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_in_kubernetes';
COMMENT ON FUNCTION in_kubernetes() IS
'whether this server runs in a pod, or its worker follows a custom resource';

CREATE FUNCTION documentdb_upgrade_internal.kubernetes_names(OUT namespace text, OUT resource text, OUT cluster text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    -- Names of Kubernetes need no quotes; another text is not repeated.  CloudNativePG gives the name of its Cluster
    -- to setting cluster_name.
    SELECT max(n.name) FILTER (WHERE n.fact = 'namespace'), max(n.name) FILTER (WHERE n.fact = 'resource'),
           max(n.name) FILTER (WHERE n.fact = 'cluster')
    FROM (SELECT string_to_array(CASE WHEN EXISTS (SELECT FROM documentdb_upgrade.status s
                                                   WHERE s.source = 'kubernetes')
                                      THEN documentdb_upgrade_internal.worker_location() END, '/') AS location,
                 documentdb_upgrade_internal.in_kubernetes() AS inside) w,
         LATERAL (VALUES ('namespace', coalesce(nullif(w.location[1], ''),
                                                current_setting('documentdb_upgrade.kubernetes_namespace', true))),
                         ('resource', coalesce(nullif(w.location[2], ''),
                                               current_setting('documentdb_upgrade.kubernetes_resource', true))),
                         ('cluster', CASE WHEN w.inside THEN current_setting('cluster_name') END)) AS n(fact, name)
    WHERE n.name ~ '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'
$$;
COMMENT ON FUNCTION kubernetes_names() IS
'namespace and name of the custom resource, and name of the Cluster, as far as this server knows them';

CREATE FUNCTION documentdb_upgrade_internal.outside_answers(OUT check_name text, OUT status text, OUT detail text,
                                                            OUT answered_at timestamptz, OUT outdated boolean,
                                                            OUT problem text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 10
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_outside_answers';
COMMENT ON FUNCTION outside_answers() IS
'serves the reports: what the worker has read about checks that a database cannot make, while setting '
'kubernetes_reads is on; problem says why the last look gave no answer';

CREATE FUNCTION documentdb_upgrade_internal.manual_checks(occasion text, OUT check_name text, OUT of_kubernetes boolean,
                                                          OUT what text, OUT command text, OUT expected text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 15 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH name AS MATERIALIZED (
        SELECT coalesce(n.namespace, '"$NAMESPACE"') AS namespace, coalesce(n.resource, '"$NAME"') AS resource,
               coalesce(n.cluster, '"$CLUSTER"') AS cluster
        FROM documentdb_upgrade_internal.kubernetes_names() n)
    SELECT c.check_name, c.of_kubernetes, c.what,
           replace(replace(replace(c.command, '{ns}', n.namespace), '{name}', n.resource), '{cluster}', n.cluster),
           c.expected
    FROM name n, (VALUES
        ('operator', '{before,after}'::text[], true, 'the operator runs',
         'kubectl rollout status deployment/documentdb-operator --namespace documentdb-operator --timeout=10s',
         'it says "successfully rolled out"'),
        ('cnpg', '{before,after}', true, 'CloudNativePG runs',
         'kubectl rollout status deployment --selector app.kubernetes.io/name=cloudnative-pg --namespace cnpg-system '
         '--timeout=10s',
         'it says "successfully rolled out" for one deployment'),
        ('sidecar_injector', '{before,after}', true, 'the sidecar injector runs',
         'kubectl rollout status deployment/sidecar-injector --namespace cnpg-system --timeout=10s',
         'it says "successfully rolled out"; pods that start without it have no gateway'),
        ('operators', '{rollback}', true, 'the operators run, in the version that was gone back to',
         'kubectl get deployments --all-namespaces --output wide '
         '| grep -E "NAMESPACE|documentdb-operator|cloudnative-pg|sidecar-injector"',
         'READY is n/n for each of them, and IMAGES have the versions of the target release'),
        ('webhooks', '{before,after}', true, 'the webhooks are registered',
         'kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations --output '
         '''custom-columns=NAME:.metadata.name,SERVICE:.webhooks[*].clientConfig.service.name'' '
         '| grep -E "documentdb|cnpg"',
         'documentdb-validating-webhook (since operator 0.3.0), cnpg-validating-webhook-configuration and '
         'cnpg-mutating-webhook-configuration are there, each with its service'),
        ('webhook_answers', '{before,after}', true, 'the webhook of the custom resource answers',
         'kubectl annotate dbs.documentdb.io {name} --namespace {ns} documentdb-upgrade/probe=1 --dry-run=server',
         'it says "annotated (server dry run)", and nothing is changed'),
        ('crds', '{before,after}', true, 'the definitions fit the operator',
         'kubectl get crds dbs.documentdb.io backups.documentdb.io clusters.postgresql.cnpg.io --output '
         '''custom-columns=NAME:.metadata.name,VERSIONS:.spec.versions[*].name,STORED:.status.storedVersions''',
         'every version under STORED is also under VERSIONS, and those your manifests use are; Helm does not upgrade '
         'definitions, so apply those of the new chart before it'),
        ('resource', '{before,after}', true, 'the custom resource is accepted and its status is true',
         'kubectl get dbs.documentdb.io {name} --namespace {ns} --output '
         '''custom-columns=STATUS:.status.status,SCHEMA:.status.schemaVersion,VERSION:.spec.documentDBVersion,'
         'WANTED:.spec.schemaVersion''',
         'STATUS is "Cluster in healthy state", SCHEMA is the installed version with dots'),
        ('cluster', '{before,after}', true, 'the Cluster is ready',
         'kubectl get clusters.postgresql.cnpg.io {cluster} --namespace {ns}',
         'READY equals INSTANCES and STATUS is "Cluster in healthy state"'),
        ('clusters', '{rollback}', true, 'every Cluster is ready, with the images that were gone back to',
         'kubectl get clusters.postgresql.cnpg.io --all-namespaces && kubectl get pods --all-namespaces --selector '
         'cnpg.io/cluster --output ''custom-columns=NAMESPACE:.metadata.namespace,POD:.metadata.name,'
         'IMAGES:.spec.containers[*].image,VOLUMES:.spec.volumes[*].image.reference''',
         'READY equals INSTANCES, STATUS is "Cluster in healthy state", and every pod has the images of the target '
         'release'),
        ('quotas', '{before}', true, 'the namespace has room for one more pod',
         'kubectl describe resourcequotas,limitranges --namespace {ns}',
         'there are none, or Used plus one more pod of the Cluster stays below Hard'),
        ('nodes', '{before}', true, 'nodes can take the pods that restart',
         'kubectl get nodes && kubectl top nodes',
         'each is Ready and none SchedulingDisabled, and CPU and MEMORY are below 80 % (kubectl top needs the metrics '
         'server)'),
        ('pod_images', '{before,after}', true, 'all pods of the Cluster run the same images',
         'kubectl get pods --namespace {ns} --selector cnpg.io/cluster={cluster} --output '
         '''custom-columns=POD:.metadata.name,IMAGES:.spec.containers[*].image,'
         'VOLUMES:.spec.volumes[*].image.reference''',
         'IMAGES and VOLUMES are the same on every line, and have the versions that you expect'),
        ('sidecar_injection', '{before,after}', true, 'each pod has its gateway',
         'kubectl get pods --namespace {ns} --selector cnpg.io/cluster={cluster} --output '
         '''custom-columns=POD:.metadata.name,CONTAINERS:.spec.containers[*].name,'
         'READY:.status.containerStatuses[*].ready''',
         'CONTAINERS has postgres and documentdb-gateway on every line, and READY is true for each'),
        ('operator_log', '{before,after}', true, 'the operator''s log is quiet',
         'kubectl logs deployment/documentdb-operator --namespace documentdb-operator --since=1h '
         '| grep -iE "error|panic"',
         'nothing, or only what was there before the upgrade'),
        ('pod_logs', '{before,after}', true, 'the logs of the pods are quiet',
         'kubectl logs --namespace {ns} --selector cnpg.io/cluster={cluster} --all-containers --prefix --since=1h '
         '--tail=-1 | grep -E "ERROR|FATAL|PANIC"',
         'nothing, or only what was there before the upgrade'),
        ('chart', '{before,after}', true, 'the chart is deployed',
         'helm history documentdb-operator --namespace documentdb-operator --max 3',
         'the last line has STATUS deployed and the version that you expect'),
        ('applications', '{rollback}', false, 'applications can connect',
         CASE WHEN documentdb_upgrade_internal.main_extension() = 'documentdb'
              THEN 'mongosh "<CONNECTION_STRING>" --eval "db.runCommand({ping: 1})" with the connection string of an '
                   'application, for each cluster'
              ELSE 'psql "<CONNECTION_STRING>" -c "SELECT 1" with the connection string of each application' END,
         CASE WHEN documentdb_upgrade_internal.main_extension() = 'documentdb' THEN '{ ok: 1 }' ELSE 'a row' END
         || ', and one request of each kind that your application makes works'),
        ('logs', '{rollback}', false, 'logs are quiet',
         'grep -E "ERROR|FATAL|PANIC" on the server''s log since the rollback; on Kubernetes kubectl logs '
         '--all-containers --since=1h of the pods of the Cluster and of deployment/documentdb-operator, '
         'deployment/sidecar-injector',
         'nothing, or only what was there before the upgrade'),
        ('chart_history', '{rollback}', true, 'the chart went back',
         'helm history documentdb-operator --namespace documentdb-operator --max 3',
         'the last line has STATUS deployed and DESCRIPTION "Rollback to n", or the version of the target release '
         'where the plan upgraded to the older chart'))
        AS c(check_name, occasions, of_kubernetes, what, command, expected)
    WHERE occasion = ANY (c.occasions)
$$;
COMMENT ON FUNCTION manual_checks(text) IS
'what a database cannot see before or after an upgrade or a rollback: the command that shows it, and what a good '
'answer is';
REVOKE ALL ON FUNCTION in_kubernetes(), kubernetes_names(), outside_answers(), manual_checks(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION in_kubernetes(), kubernetes_names(), outside_answers(), manual_checks(text) TO pg_monitor;

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

REVOKE ALL ON FUNCTION function_exists(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION function_exists(text) TO pg_monitor;

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.health_part(part text, OUT check_name text, OUT status text,
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

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.health_report(parts text[], OUT check_name text, OUT status text,
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

CREATE OR REPLACE FUNCTION pre_upgrade_report(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
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

CREATE OR REPLACE FUNCTION post_upgrade_report(OUT check_name text, OUT status text, OUT detail text, OUT hint text)
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

CREATE FUNCTION documentdb_upgrade_internal.fresh_differences(updated jsonb, fresh jsonb, problem text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN fresh IS NULL THEN jsonb_build_object('problem', problem)
           ELSE jsonb_build_object('differences', coalesce((
               SELECT jsonb_agg(d.item ORDER BY d.item->>'what', d.item->>'extension', d.item->>'kind',
                                d.item->>'identity')
               FROM (SELECT jsonb_build_object('what',
                                CASE WHEN u.item IS NULL THEN 'missing' WHEN f.item IS NULL THEN 'left over'
                                     WHEN u.item->'digest' <> f.item->'digest' THEN 'different'
                                     ELSE 'other privileges' END)
                            || coalesce(f.item, u.item) AS item
                     FROM jsonb_array_elements(updated) AS u(item)
                     FULL JOIN jsonb_array_elements(fresh) AS f(item)
                       ON u.item->'extension' = f.item->'extension' AND u.item->'kind' = f.item->'kind'
                          AND u.item->'identity' = f.item->'identity'
                     WHERE u.item IS DISTINCT FROM f.item) d), '[]')) END
$$;
COMMENT ON FUNCTION fresh_differences(jsonb, jsonb, text) IS
'serves rehearse() with scratch: how the members that an update left differ from those of a fresh installation, with '
	'the digest and privileges of the latter; or why there is none';
REVOKE ALL ON FUNCTION fresh_differences(jsonb, jsonb, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.runbook_changes(steps jsonb) RETURNS jsonb
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
    SELECT jsonb_object_agg(l.list, l.lines) || jsonb_build_object('cut', bool_or(l.n > 40),
               'counts', jsonb_object_agg(l.list, l.count))
    FROM (SELECT o.list, sum(o.m) AS n, format('%s (%s)', sum(o.m), string_agg(format('%s %s', o.kind, o.m), ', '
                 ORDER BY o.kind)) AS count, jsonb_path_query_array(jsonb_agg(o.lines ORDER BY o.kind), '$[*][*]')
                 AS lines
          FROM (SELECT p.list, p.kind, count(*) AS m,
                       coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.n) FILTER (WHERE p.n <= 40), '[]') AS lines
                FROM (SELECT *, row_number() OVER (PARTITION BY list ORDER BY kind, identity, what) AS n
                      FROM line) p
                GROUP BY p.list, p.kind) o
          GROUP BY o.list) l
$$;
COMMENT ON FUNCTION runbook_changes(jsonb) IS
'serves runbook(): what the steps of a rehearsal added, removed or changed, by object, 40 at the most of each, and how '
'many there are by kind';

CREATE FUNCTION documentdb_upgrade_internal.runbook_settings(extensions text[]) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- A library names its settings as it likes, its family's begin as the extension does.
    WITH prefix AS (
        SELECT DISTINCT split_part(n.name, '.', 1) AS name
        FROM (SELECT s.name FROM pg_settings s WHERE s.name LIKE '%.%' UNION ALL SELECT unnest(extensions)) n
        WHERE split_part(n.name, '.', 1) <> 'documentdb_upgrade'
          AND EXISTS (SELECT FROM unnest(extensions) e WHERE starts_with(n.name, e))
    ), known AS (
        SELECT s.* FROM pg_settings s JOIN prefix p ON p.name = split_part(s.name, '.', 1) WHERE s.name LIKE '%.%'
    ), configured AS (
        SELECT split_part(c.item, '=', 1) AS name,
               concat_ws(' in ', 'role ' || r.rolname, 'database ' || d.datname) AS place
        FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c(item)
        LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase)
    SELECT jsonb_build_object(
        'count', nullif((SELECT count(*) FROM known), 0),
        'own', (SELECT jsonb_agg(to_jsonb(k)) FROM (
            SELECT name, setting, boot_val, source FROM known
            WHERE setting IS DISTINCT FROM boot_val ORDER BY name LIMIT 40) k),
        'unknown', (SELECT jsonb_agg(to_jsonb(u)) FROM (
            SELECT DISTINCT c.name, c.place FROM configured c JOIN prefix p ON p.name = split_part(c.name, '.', 1)
            WHERE c.name LIKE '%.%' AND lower(c.name) NOT IN (SELECT lower(k.name) FROM known k)
            ORDER BY c.name, c.place LIMIT 40) u))
$$;
COMMENT ON FUNCTION runbook_settings(text[]) IS
'serves runbook(): settings that the libraries of these extensions have in this session: how many, those that do not '
'have their defaults, and what is set for roles and databases and is none of them';

CREATE FUNCTION documentdb_upgrade_internal.smoke_statements(extension text, OUT statement text, OUT problem text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    plan jsonb;
BEGIN
    FOR statement IN
        -- What somebody else could have changed is not run with the rights of the caller.
        WITH trusted AS MATERIALIZED (
            SELECT r.oid FROM pg_roles r WHERE r.rolsuper OR r.rolname = current_user
        ), member AS MATERIALIZED (
            SELECT d.classid, d.objid
            FROM pg_extension e
            JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
            WHERE e.extname = smoke_statements.extension)
        SELECT format('SELECT extversion FROM pg_catalog.pg_extension WHERE extname = %L', smoke_statements.extension)
        UNION ALL
        (SELECT format('SELECT count(*) FROM (SELECT FROM %s LIMIT 1) AS readable', c.oid::regclass)
         FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
         WHERE c.relkind IN ('r', 'v', 'm', 'p')
           AND (c.relkind <> 'v' AND NOT c.relrowsecurity OR c.relowner IN (SELECT t.oid FROM trusted t))
         ORDER BY c.oid LIMIT 5)
        UNION ALL
        (SELECT format('SELECT %I.%I() IS NOT NULL AS answers', n.nspname, p.proname)
         FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
         JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type t ON t.oid = p.prorettype
         WHERE p.prokind = 'f' AND p.pronargs = 0 AND NOT p.proretset AND p.provolatile <> 'v' AND t.typtype <> 'p'
           AND p.proowner IN (SELECT r.oid FROM trusted r)
         ORDER BY p.oid LIMIT 5)
        UNION ALL
        (SELECT format('SELECT NULL::%s IS NULL AS known', format_type(t.oid, NULL))
         FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
         WHERE t.typtype IN ('b', 'd', 'e', 'r') AND NOT t.typnotnull AND NOT EXISTS (
               SELECT FROM pg_type a WHERE a.typarray = t.oid)
           AND t.typowner IN (SELECT r.oid FROM trusted r)
         ORDER BY t.oid LIMIT 3)
    LOOP
        -- What works here is what has been tried; a plan tells first whether that takes its time.  Whoever runs it
        -- later may have privileges that the caller has not.
        problem := NULL;
        BEGIN
            EXECUTE 'EXPLAIN (FORMAT JSON) ' || statement INTO plan;
            IF (plan->0->'Plan'->>'Total Cost')::numeric > 100000 THEN
                problem := 'it would take long';
            ELSE
                EXECUTE statement;
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN
                NULL;
            WHEN OTHERS THEN
                problem := SQLERRM;
        END;
        statement := statement || ';';
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION smoke_statements(text) IS
'serves runbook(): statements that read what an extension has installed, tried here and now; problem: why one does not '
'work';

REVOKE ALL ON FUNCTION runbook_settings(text[]), smoke_statements(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION runbook_settings(text[]), smoke_statements(text) TO pg_monitor;

CREATE OR REPLACE FUNCTION runbook(target text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '1s' SET standard_conforming_strings = on
    SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres SET TimeZone = 'UTC' SET jit = off
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
                more := (SELECT jsonb_build_object(
                                    'health', jsonb_agg(to_jsonb(r) || jsonb_build_object('mark', upper(r.status)))
                                                  FILTER (WHERE r.status <> 'manual'),
                                    'manual', jsonb_agg(to_jsonb(r)) FILTER (WHERE r.status = 'manual'))
                         FROM documentdb_upgrade.pre_upgrade_report() r
                         WHERE r.status IN ('fail', 'warn', 'manual')
                           AND r.check_name NOT IN ('guards', 'library', 'disk_headroom', 'members_intact',
                                                    'event_triggers', 'blocking_sessions', 'backup',
                                                    'replication_lag'))
                    -- The matrix is about DocumentDB and what belongs to it.
                    || coalesce((SELECT jsonb_build_object(
                            'release', (SELECT jsonb_build_object('revision', r.revision) WHERE r.revision IS NOT NULL),
                            'pairs', jsonb_agg(to_jsonb(c) ORDER BY c.component, c.other)
                                         FILTER (WHERE c.status <> 'unknown'),
                            'unknown_pairs', nullif(count(*) FILTER (WHERE c.status = 'unknown'), 0))
                        FROM (SELECT) AS one
                        LEFT JOIN (SELECT k.revision, k.components FROM documentdb_upgrade.releases k
                                   ORDER BY k.revision DESC LIMIT 1) r ON true
                        CROSS JOIN LATERAL documentdb_upgrade.check_compatibility(coalesce(
                            (SELECT jsonb_object_agg(p.key, p.value->'configuration') FROM jsonb_each(r.components) p),
                            '{}') || jsonb_strip_nulls(jsonb_build_object('extension', facts->>'goal',
                                         'postgres', split_part(facts->>'server_version', ' ', 1)))) c
                        WHERE c.component <> 'unified' AND facts->>'is_documentdb' = 'true'
                        GROUP BY r.revision), '{}')
                    || (SELECT jsonb_build_object('clients', jsonb_agg(to_jsonb(a)))
                        FROM (SELECT a.usename AS role, a.application_name AS application, count(*) AS sessions
                              FROM pg_stat_activity a
                              WHERE a.backend_type = 'client backend' AND a.datname = current_database()
                                AND a.pid <> pg_backend_pid()
                              GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 20) a);
            WHEN 3 THEN
                more := jsonb_build_object('settings', documentdb_upgrade_internal.runbook_settings(
                    (SELECT array_agg(v.extension) FROM documentdb_upgrade.versions v
                     WHERE v.main_extension = facts->>'extension')));
            WHEN 4 THEN
                more := (SELECT jsonb_build_object('way', to_jsonb(c))
                         FROM (SELECT WHERE facts->>'scripts' <> '0' AND documentdb_upgrade_internal.version_order(
                                   facts->>'from', facts->>'goal') IS NOT NULL) AS ordered,
                              LATERAL documentdb_upgrade.classify(facts->>'from', facts->>'goal') c
                         WHERE c.kind <> 'none');
            WHEN 7 THEN
                more := (SELECT jsonb_build_object('unready', jsonb_agg(to_jsonb(b) ORDER BY b.name))
                         FROM documentdb_upgrade.standbys b WHERE b.required AND b.status <> 'ready');
            WHEN 9 THEN
                more := (SELECT jsonb_build_object('manual', jsonb_agg(to_jsonb(r)))
                         FROM documentdb_upgrade_internal.health_report('{kubernetes_after}') r);
            WHEN 10 THEN
                more := (SELECT jsonb_build_object(
                             'smoke', jsonb_agg(to_jsonb(t)) FILTER (WHERE t.problem IS NULL),
                             'left_out', jsonb_agg(to_jsonb(t)) FILTER (WHERE t.problem IS NOT NULL),
                             -- The caller may lack USAGE there, so these are not looked up by name.
                             'can_insert', (SELECT count(DISTINCT p.proname) = 3
                                            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                                            WHERE n.nspname = 'documentdb_api'
                                              AND (p.proname, p.pronargs - p.pronargdefaults) IN (
                                                  ('create_collection', 2), ('insert_one', 3), ('collection', 2))))
                         FROM documentdb_upgrade_internal.smoke_statements(facts->>'extension') t);
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

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.runbook_facts(target text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    main constant text := documentdb_upgrade_internal.main_extension();
    s record;
    decided record;
    rehearsal record;
    success record;
    failure record;
    wanted text;
    ordered text;
    goal text;
    kind text;
    risk text;
    steps jsonb;
    guards jsonb;
    facts jsonb;
    changes jsonb;
BEGIN
    -- A malformed version is the caller's mistake, and raised.
    PERFORM documentdb_upgrade.to_semver(target);
    SELECT * INTO s FROM documentdb_upgrade.status t WHERE t.extension = main;
    -- What is asked for here, else what is desired, else what the binary offers.
    SELECT * INTO decided FROM documentdb_upgrade_internal.decide_here(
        coalesce(target, CASE WHEN s.mode = 'explicit' THEN s.desired END, ''));
    wanted := coalesce(decided.target, target);
    -- As the extension itself spells it: 1.10, not 1.10-0.
    -- What cannot be ordered is no target; then what the binary offers is.
    ordered := CASE WHEN documentdb_upgrade_internal.version_order(wanted, wanted) IS NOT NULL THEN wanted END;
    goal := coalesce(
        (SELECT p.to_version FROM documentdb_upgrade.plan(ordered) p
         WHERE p.extension = main AND p.step IS NOT NULL ORDER BY p.step DESC LIMIT 1),
        (SELECT v FROM unnest(ARRAY[s.installed_version, s.binary_version]) AS v
         WHERE documentdb_upgrade_internal.version_order(v, wanted) = 0 LIMIT 1),
        wanted, s.binary_version);
    facts := to_jsonb(s) || jsonb_build_object(
        'extension', main, 'database', current_database(), 'asked', target, 'wanted', wanted, 'goal', goal,
        'from', s.installed_version, 'reason', decided.reason, 'server_version', current_setting('server_version'),
        'written_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'));
    IF s.role = 'standby' OR s.installed_version IS NULL THEN
        RETURN facts || jsonb_build_object('elsewhere', true,
            'kind', CASE WHEN s.role = 'standby' THEN '{"standby": true}' ELSE '{"not_installed": true}' END::jsonb,
            'upstream', (SELECT to_jsonb(r) FROM pg_stat_wal_receiver r WHERE r.sender_host IS NOT NULL));
    END IF;

    steps := (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.step), '[]') FROM documentdb_upgrade.plan(ordered) p
              WHERE p.step IS NOT NULL);
    guards := (SELECT jsonb_agg(to_jsonb(p) || jsonb_build_object(
                   'mark', CASE WHEN p.status IN ('fail', 'warn') THEN upper(p.status) END,
                   'advice', CASE WHEN p.status IN ('fail', 'warn') THEN p.hint END))
               FROM documentdb_upgrade.preflight(ordered) p);
    kind := CASE WHEN decided.decision IN ('schema_ahead', 'refuse', 'wait') THEN decided.decision
                 WHEN steps <> '[]' THEN 'ready' WHEN decided.decision = 'none' THEN 'none' ELSE 'refuse' END;
    SELECT * INTO success FROM documentdb_upgrade.history h
        WHERE h.extension = main AND h.outcome = 'succeeded' AND h.actor <> 'found' AND h.to_version IS NOT NULL
        ORDER BY h.id DESC LIMIT 1;
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
    changes := documentdb_upgrade_internal.runbook_changes(rehearsal.report->'steps');
    risk := coalesce(CASE WHEN rehearsal.outcome = 'passed' THEN rehearsal.risk END,
        (SELECT p->>'risk' FROM jsonb_array_elements(steps) p
         ORDER BY array_position('{functions only, catalogue, privileges, data tables, cluster-wide, unknown}'::text[],
                                 p->>'risk') DESC LIMIT 1));

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
            FROM documentdb_upgrade.versions v WHERE v.main_extension = main),
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
        'changes', changes, 'counts', changes->'counts',
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
                    WHERE h.extension = main AND h.outcome = 'succeeded'
                      AND h.actor NOT IN ('manual', 'found') HAVING count(*) > 0),
        'backup', (SELECT to_jsonb(b) FROM documentdb_upgrade.backups b ORDER BY b.finished_at DESC LIMIT 1),
        'backup_label', format('before %s %s', main, goal), 'label_after', format('after %s %s', main, goal),
        'backup_name', btrim(regexp_replace(lower(format('before-%s-%s', main, goal)), '[^a-z0-9]+', '-', 'g'), '-'),
        'archived', current_setting('archive_mode') <> 'off',
        'post_checks', (SELECT jsonb_agg(to_jsonb(c) ORDER BY c.name) FROM documentdb_upgrade.checks c
                        WHERE c.enabled AND c.kind = 'post' AND documentdb_upgrade_internal.function_exists(c.function)
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
        || (SELECT jsonb_build_object('namespace', coalesce(n.namespace, '<NAMESPACE>'),
                       'resource', coalesce(n.resource, '<RESOURCE>'), 'cluster', coalesce(n.cluster, '<CLUSTER>'))
            FROM documentdb_upgrade_internal.kubernetes_names() n);
END
$$;
COMMENT ON FUNCTION runbook_facts(text) IS
'serves runbook(): the facts that its template shows, without those that runbook() asks for a single section';

-- Objects of others that an upgrade removes or changes.

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.rehearsal_changes(step jsonb, action text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('  %s %s %s%s', action, c->>'kind', c->>'identity',
                  coalesce(' (' || (SELECT string_agg(w || CASE WHEN w IN ('definition', 'recreated') THEN
                               coalesce(': ' || (SELECT string_agg(d, ', ')
                                   FROM jsonb_array_elements_text(c->'details') d),
                                        '') ELSE '' END, '; ')
                           FROM jsonb_array_elements_text(c->'what') w) || ')', ''))
           || coalesce((SELECT string_agg(E'\n    lost setting ' || l, '') FROM jsonb_array_elements_text(c->'lost') l),
               '')
           || coalesce((SELECT string_agg(E'\n    granted ' || g, '') FROM jsonb_array_elements_text(c->'granted') g),
               '')
           || coalesce((SELECT string_agg(E'\n    revoked ' || r, '') FROM jsonb_array_elements_text(c->'revoked') r),
               '')
    FROM jsonb_array_elements(step->action) c
$$;

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_outside(report jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT E'Outside the upgraded extensions:\n' || string_agg(concat_ws(E'\n',
        concat_ws('; ',
            format('  %s %s %s', CASE f->>'effect' WHEN 'lost' THEN 'takes settings or privileges from'
                                                   WHEN 'granted' THEN 'gives privileges on' ELSE f->>'effect' END,
                   f->>'kind', f->>'identity'),
            CASE WHEN f->>'effect' IN ('changed', 'lost') THEN
                (SELECT string_agg(w, ', ')
                    FROM jsonb_array_elements_text(coalesce(f->'details', '[]') || (f->'what')) w
                 WHERE w <> 'definition') END,
            (SELECT string_agg('setting ' || l, ', ') FROM jsonb_array_elements_text(f->'lost') l),
            (SELECT string_agg('revoked ' || r, ', ') FROM jsonb_array_elements_text(f->'revoked') r),
            (SELECT string_agg('granted ' || g, ', ') FROM jsonb_array_elements_text(f->'granted') g),
            'is computed with ' || (f->>'function') || ', which is replaced',
            (f->>'rows_updated') || ' rows updated', (f->>'rows_deleted') || ' rows deleted',
            CASE WHEN (f->>'rows_estimated')::boolean THEN 'about ' ELSE '' END || (f->>'rows_lost') || ' rows lost'),
        '    before: ' || replace(f->>'save', E'\n', E'\n      '),
        '    after: ' || replace(f->>'restore', E'\n', E'\n      ')), E'\n' ORDER BY n)
    FROM jsonb_array_elements(report->'outside') WITH ORDINALITY AS x(f, n)
    HAVING count(*) > 0
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rehearsal_outside(jsonb) IS
'serves rehearsal_report(): the lines about objects outside the managed set; null when there are none';

CREATE FUNCTION documentdb_upgrade_internal.node_rehearsed(rehearsal text) RETURNS text
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_node_rehearsed';
COMMENT ON FUNCTION documentdb_upgrade_internal.node_rehearsed(text) IS
'serves rehearse() on the coordinator of a Citus cluster: what the steps of its running rehearsal have done on this '
	'node, as one JSON object; null when nothing is known of them';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_effects(steps jsonb)
    RETURNS TABLE (step bigint, effect text, object text, form jsonb)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.n, a.effect, concat_ws(' ', e.found->>'kind', e.found->>'identity', e.found->>'relation'),
           e.found - '{kind,identity,relation,bytes}'::text[]
    FROM jsonb_array_elements(steps) WITH ORDINALITY AS s(step, n)
    CROSS JOIN unnest('{added,removed,changed,relations}'::text[]) AS a(effect)
    CROSS JOIN jsonb_array_elements(s.step->a.effect) AS e(found)
    -- What Citus locks to know its nodes, the coordinator alone has to.
    WHERE coalesce(e.found->>'relation' NOT LIKE 'pg\_catalog.pg\_dist\_%', true)
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rehearsal_effects(jsonb) IS
'serves rehearse(): what steps have added, removed, changed and locked, one row each';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_nodes(steps jsonb, answers jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_agg(CASE WHEN a.answer #> '{said,steps}' IS NULL THEN
            jsonb_build_object('node', a.answer->'node', 'problem',
                               coalesce(a.answer #> '{said,problem}', a.answer->'problem'))
        ELSE (SELECT jsonb_build_object('node', a.answer->'node', 'ms', sum((t.step->>'ms')::numeric),
                         'lock_entries', sum((t.step->>'lock_entries')::bigint),
                         'wal_bytes', sum((t.step->>'wal_bytes')::bigint),
                         'steps', jsonb_agg(t.step - '{added,removed,changed,rows}'::text[] ORDER BY t.n))
              FROM jsonb_array_elements(a.answer #> '{said,steps}') WITH ORDINALITY AS t(step, n))
            || jsonb_build_object('differences', (
                SELECT coalesce(jsonb_agg(jsonb_build_object('step', step, 'effect', effect, 'object', object,
                           'what', CASE WHEN o.form IS NULL THEN 'only there'
                                        WHEN n.form IS NULL THEN 'not there' ELSE 'different' END)
                           ORDER BY step, effect, object), '[]')
                FROM documentdb_upgrade_internal.rehearsal_effects(steps) o
                FULL JOIN documentdb_upgrade_internal.rehearsal_effects(a.answer #> '{said,steps}') n
                    USING (step, effect, object)
                WHERE o.form IS DISTINCT FROM n.form)) END ORDER BY a.n)
    FROM jsonb_array_elements(answers) WITH ORDINALITY AS a(answer, n)
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rehearsal_nodes(jsonb, jsonb) IS
'serves rehearse() on the coordinator of a Citus cluster: duration, locks and WAL of each other node, and in what its '
	'effects differ from those of the steps here';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_node(node jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN node->'steps' IS NULL THEN
            format('Node %s: %s', node->>'node', coalesce(node->>'problem', node->>'error'))
        ELSE concat_ws(E'\n',
            format('Node %s: %s ms, %s lock entries, %s of WAL; %s', node->>'node', node->>'ms', node->>'lock_entries',
                   pg_size_pretty((node->>'wal_bytes')::bigint),
                   CASE WHEN node->'differences' = '[]' THEN 'the same effects as here'
                        ELSE 'other effects than here:' END),
            (SELECT string_agg(format('  step %s, %s: %s %s', d->>'step', d->>'what',
                        CASE d->>'effect' WHEN 'relations' THEN 'locks' ELSE d->>'effect' END, d->>'object'),
                        E'\n' ORDER BY n)
             FROM jsonb_array_elements(node->'differences') WITH ORDINALITY AS x(d, n))) END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rehearsal_node(jsonb) IS
'serves rehearsal_report(): the lines about another node of a Citus cluster';

REVOKE ALL ON FUNCTION node_rehearsed(text), rehearsal_effects(jsonb), rehearsal_nodes(jsonb, jsonb),
    rehearsal_node(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rehearsal_node(jsonb) TO pg_monitor;

CREATE OR REPLACE FUNCTION rehearsal_report(id bigint DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM documentdb_upgrade.rehearsals r WHERE r.id = rehearsal_report.id) AND id IS NOT NULL THEN
        RAISE EXCEPTION 'rehearsal % does not exist', id
            USING ERRCODE = 'undefined_object',
                  HINT = CASE WHEN EXISTS (SELECT FROM documentdb_upgrade.rehearsals)
                              THEN 'Those that do are shown by '
                                   'SELECT id, started_at, to_version, outcome FROM documentdb_upgrade.rehearsals;'
                              ELSE 'Nothing was rehearsed here yet. To begin, run '
                                   'SELECT id, outcome, message FROM documentdb_upgrade.rehearse();' END;
    END IF;
    RETURN (SELECT concat_ws(E'\n',
        CASE WHEN r.from_version = r.to_version
             THEN format('Rehearsal %s of %sextension %s at %s: %s', r.id, CASE
                 WHEN r.extensions <> '[]' THEN 'the companions of ' END,
                         r.extension, r.to_version, r.outcome)
             ELSE format('Rehearsal %s of extension %s from %s to %s: %s', r.id, r.extension,
                         coalesce(r.from_version, 'none'), coalesce(r.to_version, 'unknown'), r.outcome) END,
        format('  by %s (%s) at %s, %s ms%s', r.role_name, r.client, date_trunc('second', r.started_at),
               round(extract(epoch FROM r.finished_at - r.started_at) * 1000),
               CASE WHEN r.scratch THEN ', in a throw-away database' ELSE '' END),
        format('  fingerprint %s', r.fingerprint),
        CASE WHEN r.report->'steps' = '[]' THEN '  no step ran' ELSE
            format('  heaviest risk: %s; %s lock entries at most; %s of WAL; %s', coalesce(r.risk, 'none, no step ran'),
                r.lock_entries,
                   pg_size_pretty(r.wal_bytes), coalesce(r.report->>'checks', 'no check ran')) END,
        CASE WHEN r.report->>'deferred' <> 'met' THEN '  deferred constraints: ' || (r.report->>'deferred') END,
        documentdb_upgrade_internal.rehearsal_outside(r.report),
        (SELECT string_agg(documentdb_upgrade_internal.rehearsal_step(s.step, s.n,
            jsonb_array_length(r.report->'steps')), E'\n' ORDER BY s.n)
         FROM jsonb_array_elements(r.report->'steps') WITH ORDINALITY AS s(step, n)),
        (SELECT string_agg(documentdb_upgrade_internal.rehearsal_node(n.node), E'\n' ORDER BY n.n)
         FROM jsonb_array_elements(r.report->'nodes') WITH ORDINALITY AS n(node, n)),
        (SELECT E'Advanced, and not brought back by the rollback:\n'
                || string_agg(format('  sequence %s from %s to %s', q->>'sequence', q->>'from', q->>'to'), E'\n')
         FROM jsonb_array_elements(r.report->'sequences') q HAVING count(*) > 0),
        'Not compared with a fresh installation: ' || (r.report #>> '{fresh,problem}'),
        (SELECT format(E'Not as CREATE EXTENSION %I VERSION %L makes it:\n', r.extension, r.to_version)
                || string_agg(format('  %s: %s %s', d->>'what', d->>'kind', d->>'identity'), E'\n')
         FROM jsonb_array_elements(r.report #> '{fresh,differences}') d HAVING count(*) > 0),
        (SELECT E'Guards that do not pass now:\n'
                || string_agg(format('  %s: %s. %s', g->>'guard', g->>'status', g->>'detail'), E'\n')
         FROM jsonb_array_elements(r.report->'guards') g HAVING count(*) > 0),
        CASE WHEN r.outcome <> 'passed' THEN concat_ws(E'\n',
            format('%s with %s: %s', initcap(r.outcome), r.sqlstate, r.message),
            '  detail: ' || replace(r.detail, E'\n', E'\n    '), '  hint: ' || r.hint, '  script: ' || r.script,
            '  line: ' || r.script_line, '  context: ' || replace(r.context, E'\n', E'\n    '),
            '  Nothing was changed.') END)
    FROM documentdb_upgrade.rehearsals r
    WHERE r.id = coalesce(rehearsal_report.id, (SELECT max(l.id) FROM documentdb_upgrade.rehearsals l)));
END
$$;
COMMENT ON FUNCTION rehearsal_report(bigint) IS
'the rehearsal with that id (null: the newest) as a text for people; null when nothing was rehearsed; '
'42704 when there is none with that id';

COMMENT ON COLUMN rehearsals.report
	IS 'steps with their effects, what they do to objects outside the managed set, guards that do not pass, sequences '
	'that have advanced, with scratch how the members differ from those of a fresh installation, and on the '
	'coordinator of a Citus cluster what each other node has taken and how its effects differ; '
	'rehearsal_report(id) gives it as text';

CREATE FUNCTION documentdb_upgrade_internal.grant_statements(acl aclitem[], owner oid, object text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format('GRANT %s ON %s TO %s%s;', g.privileges, object, g.grantee,
                             CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END), E'\n' ORDER BY g.grantee)
    FROM (SELECT string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges, a.is_grantable,
                 CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
          FROM aclexplode(acl) a WHERE a.grantee <> owner GROUP BY a.grantee, a.is_grantable) g
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.grant_statements(aclitem[], oid, text) IS
'serves recreation(): the GRANT statements that give an object, named with its kind, the privileges that others than '
	'its owner have; null when there are none';

CREATE FUNCTION documentdb_upgrade_internal.relation_recreation(relation oid, OUT save text, OUT restore text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c pg_class%ROWTYPE;
    named text := relation::regclass::text;
    word text;
BEGIN
    SELECT * INTO c FROM pg_class WHERE oid = relation;
    word := CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' END;
    IF word IS NOT NULL THEN
        save := format('DROP %s %s;', word, named);
        restore := concat_ws(E'\n',
            format('CREATE %s %s%s AS %s', word, named,
                   ' WITH (' || array_to_string(c.reloptions, ', ') || ')',
                   ltrim(pg_get_viewdef(relation))),
            (SELECT string_agg(pg_get_indexdef(i.indexrelid) || ';', E'\n' ORDER BY i.indexrelid)
             FROM pg_index i WHERE i.indrelid = relation),
            format('ALTER %s %s OWNER TO %I;', word, named, pg_get_userbyid(c.relowner)),
            documentdb_upgrade_internal.grant_statements(c.relacl, c.relowner, named));
    ELSIF c.relkind = 'i' THEN
        save := format('DROP INDEX %s;', named);
        restore := pg_get_indexdef(relation) || ';';
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.relation_recreation(oid) IS
'serves recreation(): the same for a view, a materialized view or an index';

CREATE FUNCTION documentdb_upgrade_internal.column_recreation(relation oid, attribute integer, only_default boolean,
                                                              OUT save text, OUT restore text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a pg_attribute%ROWTYPE;
    named text := relation::regclass::text;
    type text;
    value text;
BEGIN
    IF (SELECT relkind NOT IN ('r', 'p') FROM pg_class WHERE oid = relation) THEN
        SELECT r.save, r.restore INTO save, restore
        FROM documentdb_upgrade_internal.relation_recreation(relation) r;
        RETURN;
    END IF;
    SELECT * INTO a FROM pg_attribute WHERE attrelid = relation AND attnum = attribute;
    type := format_type(a.atttypid, a.atttypmod);
    SELECT pg_get_expr(d.adbin, d.adrelid) INTO value
    FROM pg_attrdef d WHERE d.adrelid = relation AND d.adnum = attribute;
    IF a.attgenerated <> '' THEN
        save := format('ALTER TABLE %s DROP COLUMN %I;', named, a.attname);
        restore := format('ALTER TABLE %s ADD COLUMN %I %s GENERATED ALWAYS AS (%s) STORED;', named, a.attname, type,
                          value);
    ELSIF only_default THEN
        save := format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT;', named, a.attname);
        restore := format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s;', named, a.attname, value);
    ELSE
        save := format('ALTER TABLE %1$s %3$sALTER COLUMN %2$I TYPE text USING %2$I::text;', named, a.attname,
                       CASE WHEN value IS NOT NULL THEN format('ALTER COLUMN %I DROP DEFAULT, ', a.attname) END);
        restore := format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE %3$s USING %2$I::%3$s%4$s;', named, a.attname, type,
                          format(', ALTER COLUMN %I SET DEFAULT %s', a.attname, value));
        IF value IS NULL THEN
            restore := format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE %3$s USING %2$I::%3$s;', named, a.attname, type);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.column_recreation(oid, integer, boolean) IS
'serves recreation(): the same for a column, whose values are kept as text meanwhile, or for its default alone';

CREATE FUNCTION documentdb_upgrade_internal.policy_recreation(policy oid, OUT save text, OUT restore text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('DROP POLICY %I ON %s;', p.polname, p.polrelid::regclass),
           format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;', p.polname, p.polrelid::regclass,
                  CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                  (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
                   FROM unnest(p.polroles) r),
                  ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                  ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM pg_policy p WHERE p.oid = policy
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.policy_recreation(oid) IS
'serves recreation(): the same for a policy';

CREATE FUNCTION documentdb_upgrade_internal.recreation(classid oid, objid oid, objsubid integer, only_default boolean,
                                                       OUT save text, OUT restore text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF classid = 'pg_class'::regclass AND objsubid > 0 THEN
        SELECT r.save, r.restore INTO save, restore
        FROM documentdb_upgrade_internal.column_recreation(objid, objsubid, only_default) r;
    ELSIF classid = 'pg_class'::regclass THEN
        SELECT r.save, r.restore INTO save, restore
        FROM documentdb_upgrade_internal.relation_recreation(objid) r;
    ELSIF classid = 'pg_attrdef'::regclass THEN
        SELECT r.save, r.restore INTO save, restore
        FROM pg_attrdef d, documentdb_upgrade_internal.column_recreation(d.adrelid, d.adnum, true) r
        WHERE d.oid = objid;
    ELSIF classid = 'pg_policy'::regclass THEN
        SELECT r.save, r.restore INTO save, restore
        FROM documentdb_upgrade_internal.policy_recreation(objid) r;
    ELSIF classid = 'pg_proc'::regclass THEN
        SELECT format('DROP ROUTINE %s;', p.oid::regprocedure),
               concat_ws(E'\n', rtrim(pg_get_functiondef(p.oid), E'\n') || ';',
                         format('ALTER ROUTINE %s OWNER TO %I;', p.oid::regprocedure, pg_get_userbyid(p.proowner)),
                         documentdb_upgrade_internal.grant_statements(p.proacl, p.proowner,
                                                                      'ROUTINE ' || p.oid::regprocedure))
        INTO save, restore
        FROM pg_proc p WHERE p.oid = objid AND p.prokind <> 'a';
    ELSIF classid = 'pg_constraint'::regclass THEN
        SELECT format('ALTER %s DROP CONSTRAINT %I;', o.named, o.conname),
               format('ALTER %s ADD CONSTRAINT %I %s;', o.named, o.conname, pg_get_constraintdef(objid))
        INTO save, restore
        FROM (SELECT c.conname, CASE WHEN c.conrelid <> 0 THEN 'TABLE ' || c.conrelid::regclass
                                     ELSE 'DOMAIN ' || c.contypid::regtype END AS named
              FROM pg_constraint c WHERE c.oid = objid) o;
    ELSIF classid = 'pg_trigger'::regclass THEN
        SELECT format('DROP TRIGGER %I ON %s;', t.tgname, t.tgrelid::regclass), pg_get_triggerdef(objid) || ';'
        INTO save, restore
        FROM pg_trigger t WHERE t.oid = objid;
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.recreation(oid, oid, integer, boolean) IS
'the statements that take an object out of an upgrade''s way and make it anew after it, or bring back its default '
	'alone; null where there are no such statements: a table, a type, an operator';

CREATE FUNCTION documentdb_upgrade_internal.settings_recreation(finding jsonb, OUT save text, OUT restore text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH member AS (
        SELECT finding->>'identity' AS identity, finding->>'classid' = 'pg_proc'::regclass::oid::text AS is_routine,
               finding->>'kind' AS kind),
    setting AS (
        SELECT CASE WHEN m.is_routine THEN format('ALTER ROUTINE %s ', m.identity)
                    WHEN m.kind = 'table column' THEN format('ALTER TABLE %s ALTER COLUMN %I ',
                        (SELECT a.attrelid::regclass || '' FROM pg_attribute a
                            WHERE a.attrelid = (finding->>'objid')::oid
                         AND a.attnum = (finding->>'objsubid')::integer),
                        (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = (finding->>'objid')::oid
                         AND a.attnum = (finding->>'objsubid')::integer))
                    ELSE format('ALTER %s %s ', m.kind, m.identity) END AS head,
               split_part(l, '=', 1) AS name, substr(l, strpos(l, '=') + 1) AS value, m.is_routine
        FROM member m, jsonb_array_elements_text(finding->'lost') l),
    given AS (
        SELECT documentdb_upgrade_internal.grant_statements(
            (SELECT array_agg(a::aclitem) FROM jsonb_array_elements_text(finding->'revoked') a), 0,
            CASE WHEN m.is_routine THEN 'ROUTINE ' WHEN m.kind = 'sequence' THEN 'SEQUENCE '
                 WHEN finding->>'classid' = 'pg_class'::regclass::oid::text THEN '' ELSE m.kind || ' ' END
            || m.identity) AS grants
        FROM member m)
    SELECT nullif(concat_ws(E'\n',
               (SELECT string_agg(s.head || format(CASE WHEN s.is_routine THEN 'RESET %I;'
                   ELSE 'RESET (%I);' END, s.name),
                                  E'\n') FROM setting s),
               (SELECT regexp_replace(g.grants, '^GRANT (.*) TO (.*?)( WITH GRANT OPTION)?;$', 'REVOKE \1 FROM \2;',
                   'gn')
                FROM given g)), ''),
           nullif(concat_ws(E'\n',
               (SELECT string_agg(s.head || CASE
                   WHEN NOT s.is_routine THEN format('SET (%s = %L);', s.name, s.value)
                   -- A list of names: quotes would make one name of it.
                   WHEN s.name IN ('search_path', 'DateStyle', 'temp_tablespaces', 'session_preload_libraries',
                                   'local_preload_libraries') THEN format('SET %I = %s;', s.name, s.value)
                   ELSE format('SET %I = %L;', s.name, s.value) END, E'\n') FROM setting s),
               (SELECT g.grants FROM given g)), '')
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.settings_recreation(jsonb) IS
'serves outside_findings(): the statements that take from a member the settings and privileges that it would lose, and '
	'those that give them to it again';

CREATE FUNCTION documentdb_upgrade_internal.still_lost(finding jsonb, OUT lost jsonb, OUT revoked jsonb)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH address AS (
        SELECT (finding->>'classid')::oid AS class, (finding->>'objid')::oid AS id,
               (finding->>'objsubid')::integer AS part),
    present AS (
        SELECT p.proconfig AS settings, p.proacl AS acl FROM address a JOIN pg_proc p ON p.oid = a.id
        WHERE a.class = 'pg_proc'::regclass
        UNION ALL
        SELECT c.reloptions, c.relacl FROM address a JOIN pg_class c ON c.oid = a.id
        WHERE a.class = 'pg_class'::regclass AND a.part = 0
        UNION ALL
        SELECT t.attoptions, t.attacl FROM address a JOIN pg_attribute t ON t.attrelid = a.id AND t.attnum = a.part
        WHERE a.class = 'pg_class'::regclass AND a.part > 0
        UNION ALL
        SELECT NULL, t.typacl FROM address a JOIN pg_type t ON t.oid = a.id WHERE a.class = 'pg_type'::regclass
        UNION ALL
        SELECT NULL, n.nspacl FROM address a JOIN pg_namespace n ON n.oid = a.id
        WHERE a.class = 'pg_namespace'::regclass
        UNION ALL
        SELECT NULL, l.lanacl FROM address a JOIN pg_language l ON l.oid = a.id WHERE a.class = 'pg_language'::regclass
        UNION ALL
        SELECT NULL, w.fdwacl FROM address a JOIN pg_foreign_data_wrapper w ON w.oid = a.id
        WHERE a.class = 'pg_foreign_data_wrapper'::regclass
        UNION ALL
        SELECT NULL, s.srvacl FROM address a JOIN pg_foreign_server s ON s.oid = a.id
        WHERE a.class = 'pg_foreign_server'::regclass)
    SELECT coalesce((SELECT jsonb_agg(l) FROM jsonb_array_elements_text(finding->'lost') l, present p
                     WHERE l = ANY (p.settings)), '[]'),
           coalesce((SELECT jsonb_agg(r) FROM jsonb_array_elements_text(finding->'revoked') r, present p, address a
                     WHERE r = ANY (p.acl::text[])
                       AND NOT EXISTS (SELECT FROM pg_init_privs i
                                       WHERE i.classoid = a.class AND i.objoid = a.id AND i.objsubid = a.part
                                         AND r = ANY (i.initprivs::text[]))), '[]')
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.still_lost(jsonb) IS
'serves outside_findings() and finding_applies(): of the settings and privileges that an upgrade takes from a member '
	'those that it has now; without those that the upgrade itself had given, and privileges that the extension came '
		'with';

CREATE FUNCTION documentdb_upgrade_internal.rows_of(relation oid, attribute integer, OUT n bigint,
	OUT estimated boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c record;
BEGIN
    SELECT r.relkind, r.reltuples, pg_table_size(r.oid) AS size, a.attname INTO c
    FROM pg_class r LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = attribute AND attribute > 0
    WHERE r.oid = relation;
    IF c.relkind IS NULL OR c.relkind NOT IN ('r', 'p', 'm') THEN
        RETURN;
    END IF;
    estimated := c.size > 256 * 1024 * 1024 AND c.reltuples >= 0;
    IF estimated THEN
        n := c.reltuples;
    ELSE
        EXECUTE format('SELECT count(%s) FROM %s', coalesce(quote_ident(c.attname), '*'), relation::regclass) INTO n;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    n := NULL;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rows_of(oid, integer) IS
'serves outside_findings(): the rows of a table, or those in which a column has a value; above 256 MB what ANALYZE '
	'estimated; null for what has no rows and where the caller may not read';

CREATE FUNCTION documentdb_upgrade_internal.foundations(finding jsonb, findings jsonb) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH object AS (
        SELECT (finding->>'classid')::oid AS classid, (finding->>'objid')::oid AS objid,
               (finding->>'objsubid')::integer AS objsubid,
               finding->'details' = '["default"]' AS only_default),
    parts AS (
        SELECT o.classid, o.objid, o.objsubid FROM object o WHERE o.only_default IS NOT TRUE
        UNION ALL
        SELECT 'pg_rewrite'::regclass, r.oid, 0 FROM object o JOIN pg_rewrite r ON r.ev_class = o.objid
        WHERE o.classid = 'pg_class'::regclass
        UNION ALL
        SELECT 'pg_attrdef'::regclass, d.oid, 0 FROM object o JOIN pg_attrdef d ON d.adrelid = o.objid
        WHERE o.classid = 'pg_class'::regclass AND (o.objsubid = 0 OR d.adnum = o.objsubid))
    SELECT array_agg(DISTINCT d.refclassid || ':' || d.refobjid)
    FROM parts p
    JOIN pg_depend d ON d.classid = p.classid AND d.objid = p.objid AND (p.objsubid = 0 OR d.objsubid = p.objsubid)
    WHERE d.deptype = 'n'
      AND (EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.refclassid AND e.objid = d.refobjid
                   AND e.deptype = 'e')
           OR EXISTS (SELECT FROM jsonb_array_elements(findings) f
                      WHERE f->>'classid' = d.refclassid::text AND f->>'objid' = d.refobjid::text))
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.foundations(jsonb, jsonb) IS
'the members, and the objects of other findings, on which the object of a finding stands, as class:object; null when '
	'there are none';

CREATE FUNCTION documentdb_upgrade_internal.finding_applies(finding jsonb) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM pg_identify_object((finding->>'classid')::oid, (finding->>'objid')::oid,
                                                        (finding->>'objsubid')::integer) i
                         WHERE i.identity IS NOT NULL) THEN false
        WHEN finding->>'effect' = 'lost'
            THEN (SELECT l.lost <> '[]' OR l.revoked <> '[]' FROM documentdb_upgrade_internal.still_lost(finding) l)
        WHEN jsonb_array_length(finding->'stands_on') > 0
            THEN ARRAY(SELECT jsonb_array_elements_text(finding->'stands_on'))
                 && coalesce(documentdb_upgrade_internal.foundations(finding, '[]'), '{}')
                 OR EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_rewrite'::regclass
                              AND d.objid IN (SELECT r.oid FROM pg_rewrite r
                                              WHERE r.ev_class = (finding->>'objid')::oid)
                              AND finding->'stands_on' ? (d.refclassid || ':' || d.refobjid))
        ELSE true END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.finding_applies(jsonb) IS
'true while what a rehearsal has found would still happen: the object is there and stands on what it stood on';

CREATE FUNCTION documentdb_upgrade_internal.affected_by(replaced jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_agg(jsonb_build_object('effect', 'affected', 'extension', r->>'extension', 'from', r->>'from',
                                        'to', r->>'to', 'kind', i.type, 'identity', i.identity,
                                        'function', r->>'function', 'classid', d.classid::oid::bigint, 'objid',
                                        d.objid::oid::bigint, 'objsubid', d.objsubid))
    FROM jsonb_array_elements(replaced) r
    JOIN pg_proc p ON p.oid = (r->>'objid')::oid
    JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')
    JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid AND d.deptype = 'n'
    CROSS JOIN LATERAL (
        SELECT c.oid AS relation FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid
          AND c.relkind IN ('i', 'I')
        UNION ALL
        SELECT c.conrelid FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
          AND c.contype IN ('c', 'x')
        UNION ALL
        SELECT a.attrelid FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
        WHERE d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid AND a.attgenerated <> '') AS o
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) i
    WHERE NOT EXISTS (
        SELECT FROM pg_depend e
        WHERE e.deptype = 'e' AND e.classid = 'pg_class'::regclass
          AND e.objid IN (o.relation, (SELECT x.indrelid FROM pg_index x WHERE x.indexrelid = o.relation)))
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.affected_by(jsonb) IS
'serves outside_findings(): the users'' indexes, constraints and generated columns that were computed with a function '
	'whose body an upgrade replaces; C functions are left out, whose bodies nobody can compare';

CREATE FUNCTION documentdb_upgrade_internal.outside_findings(findings jsonb, replaced jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result jsonb := '[]';
    finding jsonb;
    here record;
    extra record;
BEGIN
    FOR finding IN SELECT f FROM jsonb_array_elements(findings) WITH ORDINALITY AS x(f, n) ORDER BY n LOOP
        SELECT (finding->>'classid')::oid AS classid, (finding->>'objid')::oid AS objid,
               (finding->>'objsubid')::integer AS objsubid INTO here;
        IF finding->>'effect' = 'lost' THEN
            SELECT l.lost, l.revoked INTO extra FROM documentdb_upgrade_internal.still_lost(finding) l;
            CONTINUE WHEN extra.lost = '[]' AND extra.revoked = '[]';
            finding := finding || jsonb_build_object('lost', extra.lost, 'revoked', extra.revoked);
            SELECT r.save, r.restore INTO extra FROM documentdb_upgrade_internal.settings_recreation(finding) r;
            result := result || (finding || jsonb_strip_nulls(jsonb_build_object('save', extra.save,
                                                                                 'restore', extra.restore)));
            CONTINUE;
        END IF;

        -- An index of a table that is gone needs no line of its own.
        CONTINUE WHEN finding->>'effect' = 'removed' AND EXISTS (
            SELECT FROM pg_depend d, jsonb_array_elements(findings) f
            WHERE d.classid = here.classid AND d.objid = here.objid AND d.deptype IN ('a', 'i')
              AND f->>'effect' = 'removed' AND f->>'classid' = d.refclassid::text
              AND f->>'objid' = d.refobjid::text
                  AND (f->>'classid', f->>'objid') <> (finding->>'classid', finding->>'objid')
              AND ((f->>'objsubid')::integer IN (0, d.refobjsubid)));
        SELECT r.save, r.restore, w.n, w.estimated INTO extra
        FROM documentdb_upgrade_internal.recreation(here.classid, here.objid, here.objsubid,
                 finding->'details' = '["default"]') r
        LEFT JOIN documentdb_upgrade_internal.rows_of(here.objid, here.objsubid) w
            ON here.classid = 'pg_class'::regclass AND finding->>'effect' = 'removed';
        result := result || (finding || jsonb_strip_nulls(jsonb_build_object(
            'rows_lost', extra.n, 'rows_estimated', extra.estimated, 'save', extra.save, 'restore', extra.restore,
            'stands_on', documentdb_upgrade_internal.foundations(finding, findings))));
    END LOOP;
    RETURN result || coalesce(documentdb_upgrade_internal.affected_by(replaced), '[]');
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.outside_findings(jsonb, jsonb) IS
'serves rehearse(), after the rollback: its findings about objects outside the managed set, completed with the rows '
	'that are lost, what the object stands on, and the statements that save and restore it; without parts of what goes '
	'as a whole, and without privileges that the extension itself had given';

CREATE FUNCTION documentdb_upgrade_internal.script_objects(target text, extension text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_script_objects';
COMMENT ON FUNCTION documentdb_upgrade_internal.script_objects(text, text) IS
'extensions of the managed set, and the objects that the scripts on the way to the target (null: the binary version) '
	'name to drop or replace them: kind, schema, name, nargs, column, does, script';

CREATE FUNCTION documentdb_upgrade_internal.named_members(scripts jsonb)
    RETURNS TABLE (classid oid, objid oid, objsubid integer, does text, script text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH named AS MATERIALIZED (
        SELECT DISTINCT ON (n.kind, n.schema, n.name, n."column", n.nargs) n.*
        FROM jsonb_to_recordset(scripts->'objects')
            AS n(kind text, schema text, name text, "column" text, nargs integer, does text, script text)
        ORDER BY n.kind, n.schema, n.name, n."column", n.nargs, n.does = 'replaces'),
    hit AS (
        SELECT 'pg_proc'::regclass::oid AS classid, p.oid AS objid, 0 AS objsubid, p.pronamespace AS schema, n.schema
            AS wanted, n.does, n.script
        FROM named n JOIN pg_proc p ON p.proname = n.name AND (n.nargs IS NULL OR p.pronargs = n.nargs)
        WHERE n.kind = 'routine'
        UNION ALL
        SELECT 'pg_class'::regclass, c.oid, coalesce(a.attnum, 0), c.relnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_class c ON c.relname = n.name
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = n."column"
        WHERE n.kind = 'relation' OR (n.kind = 'column' AND a.attnum IS NOT NULL)
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid, 0, t.typnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_type t ON t.typname = n.name
        WHERE n.kind IN ('type', 'relation')
        UNION ALL
        SELECT 'pg_operator'::regclass, o.oid, 0, o.oprnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_operator o ON o.oprname = n.name WHERE n.kind = 'operator'
        UNION ALL
        SELECT 'pg_opclass'::regclass, o.oid, 0, o.opcnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_opclass o ON o.opcname = n.name WHERE n.kind = 'operator class'
        UNION ALL
        SELECT 'pg_opfamily'::regclass, o.oid, 0, o.opfnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_opfamily o ON o.opfname = n.name WHERE n.kind = 'operator family'
        UNION ALL
        SELECT 'pg_collation'::regclass, o.oid, 0, o.collnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_collation o ON o.collname = n.name WHERE n.kind = 'collation'
        UNION ALL
        SELECT 'pg_ts_config'::regclass, o.oid, 0, o.cfgnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_ts_config o ON o.cfgname = n.name WHERE n.kind = 'text search configuration'
        UNION ALL
        SELECT 'pg_ts_dict'::regclass, o.oid, 0, o.dictnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_ts_dict o ON o.dictname = n.name WHERE n.kind = 'text search dictionary'
        UNION ALL
        SELECT 'pg_namespace'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_namespace o ON o.nspname = n.name WHERE n.kind = 'schema'
        UNION ALL
        SELECT 'pg_language'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_language o ON o.lanname = n.name WHERE n.kind = 'language'
        UNION ALL
        SELECT 'pg_am'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_am o ON o.amname = n.name WHERE n.kind = 'access method'
        UNION ALL
        SELECT 'pg_foreign_data_wrapper'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_foreign_data_wrapper o ON o.fdwname = n.name WHERE n.kind = 'foreign-data wrapper'
        UNION ALL
        SELECT 'pg_foreign_server'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_foreign_server o ON o.srvname = n.name WHERE n.kind = 'server'),
    member AS (
        SELECT h.* FROM hit h
        WHERE (h.wanted IS NULL OR h.wanted = (SELECT s.nspname FROM pg_namespace s WHERE s.oid = h.schema))
          AND EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                      WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                        AND d.classid IN (h.classid, CASE WHEN h.classid = 'pg_type'::regclass
                                                          THEN 'pg_class'::regclass END)
                        AND d.objid IN (h.objid, CASE WHEN h.classid = 'pg_type'::regclass THEN
                                        (SELECT t.typrelid FROM pg_type t WHERE t.oid = h.objid) END)
                        AND scripts->'extensions' ? e.extname))
    SELECT m.classid, m.objid, m.objsubid, m.does, m.script FROM member m
    UNION ALL
    SELECT m.classid, t.typarray, 0, m.does, m.script
    FROM member m JOIN pg_type t ON t.oid = m.objid AND t.typarray <> 0 WHERE m.classid = 'pg_type'::regclass
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.named_members(jsonb) IS
'serves standing_on(): the members that scripts name to drop or replace, found by name and number of arguments';

CREATE FUNCTION documentdb_upgrade_internal.standing_on(scripts jsonb)
    RETURNS TABLE (classid oid, objid oid, objsubid integer, kind text, identity text, stands_on text, does text,
                   script text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE member AS MATERIALIZED (
        SELECT * FROM documentdb_upgrade_internal.named_members(scripts)),
    stands AS (
        SELECT d.classid, d.objid, d.objsubid, m.classid AS base_class, m.objid AS base, m.objsubid AS base_part,
               m.does, m.script
        FROM member m
        JOIN pg_depend d ON d.refclassid = m.classid AND d.refobjid = m.objid
            AND (m.objsubid = 0 OR d.refobjsubid = m.objsubid)
        WHERE d.deptype = 'n' OR (d.deptype = 'a' AND m.objsubid > 0)
        UNION
        SELECT d.classid, d.objid, d.objsubid, s.base_class, s.base, s.base_part, s.does, s.script
        FROM stands s
        LEFT JOIN pg_rewrite r ON s.classid = 'pg_rewrite'::regclass AND r.oid = s.objid
        JOIN pg_depend d
            ON d.refclassid = CASE WHEN r.oid IS NULL THEN s.classid ELSE 'pg_class'::regclass END
           AND d.refobjid = coalesce(r.ev_class, s.objid)
           AND (r.oid IS NOT NULL OR s.objsubid = 0 OR d.refobjsubid = s.objsubid)
        WHERE s.does LIKE 'drops%' AND d.deptype IN ('n', 'a')),
    object AS (
        SELECT DISTINCT ON (o.classid, o.objid, o.objsubid) o.*
        FROM (SELECT CASE WHEN r.oid IS NULL THEN s.classid ELSE 'pg_class'::regclass END AS classid,
                     coalesce(r.ev_class, s.objid) AS objid,
                     CASE WHEN r.oid IS NULL THEN s.objsubid ELSE 0 END AS objsubid,
                     s.base_class, s.base, s.base_part, s.does, s.script,
                     CASE s.classid
                         WHEN 'pg_rewrite'::regclass THEN r.ev_class
                         WHEN 'pg_attrdef'::regclass THEN (SELECT f.adrelid FROM pg_attrdef f WHERE f.oid = s.objid)
                         WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = s.objid)
                         WHEN 'pg_policy'::regclass THEN (SELECT p.polrelid FROM pg_policy p WHERE p.oid = s.objid)
                         WHEN 'pg_constraint'::regclass THEN
                             (SELECT nullif(c.conrelid, 0) FROM pg_constraint c WHERE c.oid = s.objid)
                         WHEN 'pg_class'::regclass THEN
                             coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = s.objid), s.objid)
                         WHEN 'pg_type'::regclass THEN
                             (SELECT nullif(t.typrelid, 0) FROM pg_type t WHERE t.oid = s.objid)
                     END AS relation,
                     s.does <> 'replaces'
                     OR (s.classid = 'pg_class'::regclass
                         AND EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = s.objid))
                     OR (s.classid = 'pg_constraint'::regclass)
                     OR (s.classid = 'pg_attrdef'::regclass
                         AND EXISTS (SELECT FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid
                                       AND a.attnum = f.adnum WHERE f.oid = s.objid AND a.attgenerated <> ''))
                         AS matters
              FROM stands s
              LEFT JOIN pg_rewrite r ON s.classid = 'pg_rewrite'::regclass AND r.oid = s.objid) o
        WHERE o.matters AND o.classid <> ALL (ARRAY['pg_amop', 'pg_amproc', 'pg_extension']::regclass[]::oid[])
          AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                          WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                            AND (d.classid, d.objid) IN ((o.classid, o.objid), ('pg_class'::regclass, o.relation))
                            AND scripts->'extensions' ? e.extname)
        ORDER BY o.classid, o.objid, o.objsubid, o.does = 'replaces')
    SELECT o.classid, o.objid, o.objsubid, i.type, i.identity,
           (SELECT b.type || ' ' || b.identity FROM pg_identify_object(o.base_class, o.base, o.base_part) b),
           o.does, o.script
    FROM object o CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, o.objsubid) i
    WHERE i.identity IS NOT NULL
      AND NOT (o.classid = 'pg_type'::regclass AND o.relation IS NOT NULL)
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.standing_on(jsonb) IS
'serves guard outside_objects and outside_objects(): what stands on members that scripts drop or replace and is not '
	'itself a member, from pg_depend; on what is only replaced just what was computed with it';

CREATE FUNCTION outside_objects(target text DEFAULT NULL, extension text DEFAULT NULL)
    RETURNS TABLE (kind text, identity text, stands_on text, does text, script text, save_statement text,
                   restore_statement text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.kind, s.identity, s.stands_on, s.does, s.script,
           CASE WHEN s.does <> 'replaces' THEN r.save END, CASE WHEN s.does <> 'replaces' THEN r.restore END
    FROM documentdb_upgrade_internal.script_objects(target, extension) AS o(scripts),
         documentdb_upgrade_internal.standing_on(o.scripts) s
    CROSS JOIN LATERAL documentdb_upgrade_internal.recreation(s.classid, s.objid, s.objsubid, false) r
    ORDER BY s.objid DESC, s.objsubid
$$;
COMMENT ON FUNCTION outside_objects(text, text) IS
'the objects of users, and of other extensions, that stand on members which the scripts on the way to the target '
	'(null: the binary version) drop or replace: what each stands on, what the script does to that, and the statements '
	'that take it out of the way before and bring it back after the upgrade, in one transaction; null where there are '
	'none: a table, a type, an operator. Run save_statement in the order of the rows, restore_statement in the reverse '
	'order. What DO blocks and functions drop is in no text: a rehearsal finds it, and rehearsal_report() lists it. '
	'Errors: 22023 malformed target';

REVOKE ALL ON FUNCTION
    grant_statements,
    relation_recreation,
    column_recreation,
    policy_recreation,
    recreation,
    settings_recreation,
    still_lost,
    rows_of,
    foundations,
    finding_applies,
    affected_by,
    outside_findings,
    script_objects,
    named_members,
    standing_on,
    outside_objects,
    rehearsal_outside
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    outside_objects, rehearsal_outside, script_objects, named_members, standing_on,
    foundations, finding_applies, recreation, relation_recreation,
    column_recreation, policy_recreation, grant_statements, still_lost
    TO pg_monitor;

CREATE FUNCTION documentdb_upgrade_internal.notify_at_commit(payload text) RETURNS void
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_notify_at_commit';
COMMENT ON FUNCTION notify_at_commit(text) IS
'serves hold() and release(): NOTIFY when this transaction commits, which it can be prepared in spite of';

REVOKE ALL ON FUNCTION documentdb_upgrade_internal.notify_at_commit(text) FROM PUBLIC;

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
    in_time := documentdb_upgrade_internal.stop_for_hold();
    PERFORM documentdb_upgrade_internal.wake_at_commit();
    PERFORM documentdb_upgrade_internal.notify_at_commit(
        jsonb_build_object('event', 'hold', 'reason', left(reason, 1000))::text);
    RETURN in_time;
END
$$;

CREATE OR REPLACE FUNCTION release() RETURNS boolean
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
    PERFORM documentdb_upgrade_internal.notify_at_commit(jsonb_build_object('event', 'release')::text);
    RETURN true;
END
$$;

ALTER TABLE history DROP CONSTRAINT history_cause_check;
ALTER TABLE history ADD CONSTRAINT history_cause_check
    CHECK (cause IN ('guard', 'lock', 'race', 'end', 'hold', 'cancel', 'limit', 'script', 'check', 'server',
                     'library', 'node'));
ALTER TABLE history ADD COLUMN nodes jsonb;
COMMENT ON COLUMN history.nodes
	IS 'on the coordinator of a Citus cluster: the other nodes with their LSN just after the restore point, or the '
	'node that the error came from: node, lsn, error; null elsewhere';
COMMENT ON COLUMN history.cause
	IS 'what ended an attempt, by who raised it, whatever the sqlstate. The worker tries again after guard (our own '
	'refusal), lock (one not had in time, a deadlock, a serialization failure), race (somebody else was faster), '
	'end (the process was ended), hold (or not desired any more), library (one that refused it there: the worker then '
	'begins with the update), node (one of a Citus cluster that could not be reached or was stopped). Final until an '
	'input changes or retry() are script, check, cancel, limit (attempt_timeout), server (any other error)';

CREATE FUNCTION finalize_detached(target text, expected_fingerprint text DEFAULT NULL,
                                  skip_guards text[] DEFAULT '{}', extension text DEFAULT NULL)
    RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize_detached';
COMMENT ON FUNCTION finalize_detached(text, text, text[], text) IS
'like finalize_to, in a process and a transaction of its own, which commits whatever the caller''s does; for '
	'extensions whose library refuses the update in a session that has used them: the process begins with the '
	'update, and guards that need a query, and all checks, run after the scripts. The same errors, and 53400 without '
	'a free background worker, 57000 when the process was ended';

REVOKE ALL ON FUNCTION finalize_detached(text, text, text[], text) FROM PUBLIC;


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
        ('settings', 'SELECT jsonb_object_agg(name, jsonb_build_object(''value'', '
            'CASE WHEN name = ''documentdb_upgrade.report_conninfo'' THEN regexp_replace(setting, ''.+'', ''(set)'') '
            'ELSE setting END, ''unit'', unit, ''source'', source)) FROM pg_settings
                      WHERE name LIKE ''documentdb\_upgrade.%''
                         OR name IN (''deadlock_timeout'', ''lock_timeout'', ''max_connections'', '
                             '''max_locks_per_transaction'',
                                     ''max_prepared_transactions'', ''max_worker_processes'', ''statement_timeout'',
                                     ''synchronous_commit'', ''wal_level'')'),
        ('status', 'SELECT to_jsonb(s) FROM documentdb_upgrade.status s
                    WHERE s.extension = documentdb_upgrade_internal.main_extension()'),
        ('further_status', 'SELECT jsonb_agg(to_jsonb(s)) FROM documentdb_upgrade.status s
                            WHERE s.extension <> documentdb_upgrade_internal.main_extension()'),
        ('versions', 'SELECT jsonb_agg(to_jsonb(v)) FROM documentdb_upgrade.versions v'),
        ('plan', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.plan() p'),
        ('preflight', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.preflight() p'),
        ('fingerprint', 'SELECT to_jsonb(documentdb_upgrade.upgrade_fingerprint())'),
        ('progress', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.progress p'),
        ('metrics', 'SELECT to_jsonb(m) FROM documentdb_upgrade.metrics m
                     WHERE m.extension = documentdb_upgrade_internal.main_extension()'),
        ('standbys', 'SELECT jsonb_agg(to_jsonb(b)) FROM documentdb_upgrade.standbys b'),
        ('databases', 'SELECT jsonb_agg(to_jsonb(d)) FROM documentdb_upgrade.databases d'),
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

-- Every database.

CREATE FUNCTION documentdb_upgrade_internal.database_list(OUT database text, OUT extension text,
                              OUT installed_version text, OUT binary_version text, OUT target text,
                              OUT state text, OUT behind boolean, OUT served boolean,
                              OUT looked_at timestamptz, OUT fence text, OUT note text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 10
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_database_list';
COMMENT ON FUNCTION database_list() IS 'the rows of view databases';

CREATE VIEW databases AS
    SELECT database, extension, installed_version, binary_version, target, state, behind, served, looked_at,
           fence, note
    FROM database_list();
COMMENT ON VIEW databases IS
'one row per database of this server and main extension there, on primaries and standbys, as it was when it was '
	'looked at last: by its worker, else by a process that comes every documentdb_upgrade.database_look_interval; the '
	'database of this session is looked at now';
COMMENT ON COLUMN databases.database IS 'its name';
COMMENT ON COLUMN databases.extension IS 'a main extension there; null: it was not looked at, as for what follows';
COMMENT ON COLUMN databases.installed_version IS 'version of that extension there; null: not installed';
COMMENT ON COLUMN databases.binary_version IS 'version that the files on this instance offer';
COMMENT ON COLUMN databases.target IS 'version that a finalize there would go to';
COMMENT ON COLUMN databases.state
	IS 'as in view status where a worker serves it, else what the versions say; finalizing while an attempt runs there';
COMMENT ON COLUMN databases.behind
	IS 'true: the files on this instance do not match what is installed, whatever is desired';
COMMENT ON COLUMN databases.served IS 'true: a worker serves it now';
COMMENT ON COLUMN databases.looked_at IS 'when that was found out; null: never';
COMMENT ON COLUMN databases.fence IS 'why writes to it are stopped; null: they are not';
COMMENT ON COLUMN databases.note IS 'what is special about it, why it was not looked at, and what would upgrade it';

CREATE FUNCTION finalize_everywhere(target text DEFAULT NULL,
                                    OUT database text, OUT extension text, OUT from_version text,
                                    OUT to_version text, OUT outcome text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize_everywhere';
COMMENT ON FUNCTION finalize_everywhere(text) IS
'finalizes the databases of this server in the order of their names, each in a transaction and a process of its own, '
	'as finalize_to does there for the role that calls; stops at the first that fails. One row for each that can be '
	'connected to, and for each of its main extensions: succeeded, unchanged, skipped, failed, or left: not tried. '
	'Target null: what the binary offers there; a version goes to databases with the same main extension alone. What '
	'is done stays done when the caller rolls back. Errors: 22023 malformed target, 25006 standby';

REVOKE ALL ON FUNCTION database_list(), finalize_everywhere(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION database_list() TO pg_monitor;
GRANT SELECT ON databases TO pg_monitor;

-- Fences around every database.

ALTER TABLE cutovers ADD COLUMN everywhere boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN cutovers.everywhere IS 'writes to every database of the server were stopped, not to this one alone';

-- Another argument makes another function: who could call the old one can call this one.
ALTER FUNCTION fence_writes(text, interval) RENAME TO fence_writes_of_before;
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

REVOKE ALL ON FUNCTION fence_writes(text, interval, boolean) FROM PUBLIC;
DO $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT a.grantee, a.is_grantable
        FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
        WHERE p.oid = 'documentdb_upgrade.fence_writes_of_before(text, interval)'::pg_catalog.regprocedure
          AND a.grantee <> 0 AND a.grantee <> p.proowner
    LOOP
        EXECUTE pg_catalog.format(
            'GRANT EXECUTE ON FUNCTION documentdb_upgrade.fence_writes(text, interval, boolean) TO %s%s',
            g.grantee::pg_catalog.regrole, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END);
    END LOOP;
END
$$;
DROP FUNCTION fence_writes_of_before(text, interval);

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

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.writers_since(moment timestamptz, OUT pid integer, OUT role text,
                              OUT what text, OUT since timestamptz, OUT detail text, OUT awaited boolean)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT w.pid, w.role, w.what, w.since, w.detail, w.awaited
    FROM documentdb_upgrade_internal.writers_since(moment, false) w
$$;
COMMENT ON FUNCTION writers_since(timestamptz) IS 'serves fence_writes(): the same of this database';

CREATE OR REPLACE VIEW fence_writers AS
    SELECT pid, role, what, since, detail, awaited, database
    FROM writers_since(coalesce(fence_since(), clock_timestamp()),
                       EXISTS (SELECT FROM cutovers c WHERE c.everywhere AND c.lifted_at IS NULL
                               AND c.server = (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s)));
COMMENT ON VIEW fence_writers IS
'who may still write to this database, or to any while the fence is around all, although a fence is up, or could '
	'if one were raised now; '
	'a comparison is exact when none is awaited';
COMMENT ON COLUMN fence_writers.database IS 'database that it is connected to';

REVOKE ALL ON FUNCTION writers_since(timestamptz, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writers_since(timestamptz, boolean) TO pg_monitor;

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

CREATE OR REPLACE VIEW standbys AS SELECT * FROM known_standbys();
COMMENT ON COLUMN standbys.vouched_by
	IS 'role that reports for it, where no WAL sender here matches the report; null: one does, or it is deeper';
COMMENT ON FUNCTION report_standby(jsonb) IS
'takes the report of a standby about itself and its downstream, and answers who this server is; '
	'for roles with REPLICATION whose connection matches a live WAL sender, and for roles that were granted EXECUTE '
	'on it or on run_report_standby by name, 42501 for others; '
	'22023 for a malformed report, 54000 for one that is too large, 55000 without preloading';
REVOKE ALL ON FUNCTION known_standbys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION known_standbys() TO pg_monitor;
DROP FUNCTION documentdb_upgrade_internal.fleet();

CREATE FUNCTION documentdb_upgrade_internal.node_report(extension text, managed text, target text, guards boolean)
    RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_node_report';
COMMENT ON FUNCTION node_report(text, text, text, boolean)
	IS 'serves view nodes and guard nodes_ready: what this node says of itself, as one JSON object, to its coordinator';

CREATE FUNCTION documentdb_upgrade_internal.cluster_nodes(
    OUT node text, OUT nodeid integer, OUT groupid integer, OUT role text, OUT noderole text,
    OUT active boolean, OUT status text, OUT problem text, OUT hint text, OUT required boolean,
    OUT installed_version text, OUT binary_version text, OUT loaded_version text, OUT gate text,
    OUT library text, OUT program text, OUT extensions jsonb, OUT guards jsonb)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 10
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_cluster_nodes';
COMMENT ON FUNCTION cluster_nodes() IS 'the rows of view nodes';

CREATE VIEW nodes AS SELECT * FROM cluster_nodes();
COMMENT ON VIEW nodes IS
'one row per node of the Citus cluster that this server coordinates, asked now, over connections of Citus, within '
	'documentdb_upgrade.node_timeout; no row on other servers. Status is ready, bare, inactive, standby, or why it is '
	'not ready: silent, not_installed, other_version, old_binary, other_scripts, old_library, refuses, old_gate, '
	'standbys_behind';
COMMENT ON COLUMN nodes.node IS 'host and port, as Citus has them';
COMMENT ON COLUMN nodes.nodeid IS 'number of the node in pg_dist_node; null: Citus does not list this coordinator';
COMMENT ON COLUMN nodes.groupid IS 'group of the node; 0: the coordinator''s';
COMMENT ON COLUMN nodes.role IS 'coordinator or worker';
COMMENT ON COLUMN nodes.noderole IS 'primary or secondary';
COMMENT ON COLUMN nodes.active IS 'Citus uses it';
COMMENT ON COLUMN nodes.status
	IS 'ready; bare: it cannot tell its scripts and libraries, because this extension is not there; inactive; standby '
	'of another node; or why it is not ready: silent, not_installed, other_version, old_binary, other_scripts, '
	'old_library, refuses, old_gate, standbys_behind';
COMMENT ON COLUMN nodes.problem
	IS 'the same as a sentence, and what is wrong with a standby; null when nothing is';
COMMENT ON COLUMN nodes.hint IS 'what to do about it';
COMMENT ON COLUMN nodes.required IS 'an upgrade waits for it: an active primary';
COMMENT ON COLUMN nodes.installed_version IS 'version of the main extension in the catalog there';
COMMENT ON COLUMN nodes.binary_version IS 'version of the main extension that its files offer';
COMMENT ON COLUMN nodes.loaded_version IS 'version that its loaded library reports';
COMMENT ON COLUMN nodes.gate IS 'version that its loaded library believes to be in force';
COMMENT ON COLUMN nodes.library IS 'its libraries in memory against those on its disk: none, current, unknown, stale';
COMMENT ON COLUMN nodes.program IS 'version of documentdb_upgrade there';
COMMENT ON COLUMN nodes.extensions
	IS 'the managed set as it answered: name, installed, binary, loaded, digest of the steps to the target, problem; '
	'null for this server';
COMMENT ON COLUMN nodes.guards
	IS 'guards that do not pass there, of the hard ones and those of locks, sessions, standbys and disk; null for this '
	'server';

REVOKE ALL ON FUNCTION node_report(text, text, text, boolean), cluster_nodes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cluster_nodes() TO pg_monitor;
GRANT SELECT ON nodes TO pg_monitor;

COMMENT ON COLUMN status.role
	IS 'primary, standby, or worker_node: a primary of a Citus cluster that its coordinator upgrades';

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.parity_begin(options jsonb) RETURNS bigint
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
                      HINT = format('Wait for it, or end it with SELECT pg_cancel_backend(%s);',
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

CREATE PROCEDURE run_status(INOUT role text DEFAULT NULL, INOUT state text DEFAULT NULL,
                            INOUT installed_version text DEFAULT NULL, INOUT binary_version text DEFAULT NULL,
                            INOUT desired text DEFAULT NULL, INOUT target text DEFAULT NULL,
                            INOUT blocked_by text[] DEFAULT NULL, INOUT next_step text DEFAULT NULL,
                            INOUT last_error text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_status';
COMMENT ON PROCEDURE run_status(text, text, text, text, text, text, text[], text, text) IS
'what view status tells, for roles that a planner hook keeps out of SELECT: CALL enters no planner. For members of '
	'pg_monitor and for whoever may finalize, by the function or the procedure; what is passed in is ignored. '
	'Errors: 42501 for others';
GRANT EXECUTE ON PROCEDURE run_status TO PUBLIC;

CREATE OR REPLACE FUNCTION verify_rollback(id bigint, OUT "check" text, OUT status text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 25 SET search_path = pg_catalog, pg_temp
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
    in_kubernetes boolean;
BEGIN
    SELECT * INTO rollback FROM documentdb_upgrade.rollbacks b WHERE b.id = verify_rollback.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rollback % does not exist', verify_rollback.id
            USING ERRCODE = 'undefined_object',
                  HINT = 'Those that do are shown by '
                         'SELECT id, recorded_at, source, target FROM documentdb_upgrade.rollbacks;';
    END IF;
    planned := (SELECT r.components FROM documentdb_upgrade.releases r WHERE r.revision = rollback.release);
    SELECT * INTO newest FROM documentdb_upgrade.releases r ORDER BY r.revision DESC LIMIT 1;
    before := (SELECT r.components FROM documentdb_upgrade.releases r WHERE r.revision = rollback.source);
    seen := documentdb_upgrade_internal.observed_release();

    -- What was compared, and what was done of it
    "check" := 'differences';
    SELECT string_agg(DISTINCT format('%s of release %s', c.key, r.revision), ', ') FILTER (WHERE c.value->>'sha256'
               IS DISTINCT FROM encode(sha256(convert_to((c.value->'configuration')::text, 'UTF8')), 'hex'))
        INTO says FROM documentdb_upgrade.releases r, jsonb_each(r.components) c
        WHERE r.revision IN (rollback.source, rollback.target);
    status := CASE WHEN says IS NULL THEN 'pass' ELSE 'fail' END;
    detail := CASE WHEN says IS NOT NULL
        THEN format('Stored digests do not belong to what is stored of %s: compare the releases by hand.', says)
        ELSE (SELECT format('Between releases %s and %s differ %s.', rollback.source, rollback.target, coalesce(
                  string_agg(c.component, ', ' ORDER BY c.component COLLATE "C")
                      FILTER (WHERE c.change <> 'unchanged'), 'no components'))
              FROM documentdb_upgrade.compare_releases(rollback.source, rollback.target) c) END;
    RETURN NEXT;

    "check" := 'only differences';
    says := (SELECT string_agg(c.component, ', ' ORDER BY c.component COLLATE "C")
             FROM documentdb_upgrade.compare_releases(rollback.source, rollback.target) c
             WHERE c.change = 'unchanged' AND c.component = ANY (rollback.changed));
    status := CASE WHEN says IS NULL THEN 'pass' ELSE 'skip' END;
    detail := CASE WHEN says IS NULL THEN 'No component was reverted that did not differ.'
                   ELSE format('Reverted though it did not differ, as a plan with force => true does: %s.', says) END;
    RETURN NEXT;

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

    -- Of a component that was left, or that nobody has tried with the others, a release is not one.
    "check" := 'versions together';
    SELECT string_agg(format('%s %s and %s %s are %s', c.component, c.version, c.other, c.other_version, c.status),
                      '; ' ORDER BY c.component, c.other) FILTER (WHERE c.status IN ('incompatible', 'untested')),
           bool_or(c.status = 'incompatible') AS bad, bool_or(c.status = 'compatible') AS known
        INTO part FROM documentdb_upgrade.check_compatibility(
            (SELECT jsonb_object_agg(c.key, c.value->'configuration') FROM jsonb_each(planned) c)) c
        WHERE c.component <> 'unified';
    status := CASE WHEN part.bad THEN 'fail' WHEN part.string_agg IS NOT NULL OR part.known IS NOT TRUE THEN 'skip'
                   ELSE 'pass' END;
    detail := format('Release %s is release %s%s. %s.', rollback.release, rollback.target,
        CASE WHEN rollback.skipped <> '{}' THEN format(' with %s left as in release %s',
            array_to_string(rollback.skipped, ', '), rollback.source) ELSE '' END,
        coalesce(part.string_agg, CASE WHEN part.known THEN 'The matrix knows these versions together'
                                       ELSE 'The matrix knows nothing about these versions together' END));
    RETURN NEXT;

    "check" := 'record';
    status := CASE WHEN newest.revision = rollback.release OR newest.sha256 = (
                  SELECT r.sha256 FROM documentdb_upgrade.releases r WHERE r.revision = rollback.release)
                   THEN 'pass' ELSE 'fail' END;
    detail := CASE status
        WHEN 'pass' THEN format('The newest release on record, %s, is that of this rollback.', newest.revision)
        ELSE format('Release %s was recorded since, and is another one: %s.', newest.revision,
            (SELECT string_agg(c.component, ', ' ORDER BY c.component COLLATE "C") || ' differ'
             FROM documentdb_upgrade.compare_releases(rollback.release, newest.revision) c
             WHERE c.change <> 'unchanged')) END;
    RETURN NEXT;

    SELECT s.role, s.state, s.installed_version AS installed, s.binary_version AS offered,
           s.loaded_version AS loaded, s.next_step INTO instance
        FROM documentdb_upgrade.status s WHERE s.extension = documentdb_upgrade_internal.main_extension();
    "check" := 'loaded library';
    IF instance.loaded IS NULL OR instance.offered IS NULL THEN
        status := 'skip';
        detail := 'The extension has no function that tells the version of the library in memory.';
    ELSE
        status := CASE WHEN coalesce(documentdb_upgrade_internal.version_order(instance.loaded, instance.offered) = 0,
                                     instance.loaded = instance.offered) THEN 'pass' ELSE 'fail' END;
        detail := format('In memory is %s, the files offer %s.', instance.loaded, instance.offered)
            || CASE status WHEN 'fail' THEN ' Restart the server.' ELSE '' END;
    END IF;
    RETURN NEXT;

    "check" := 'schema';
    IF instance.installed IS NULL OR instance.offered IS NULL THEN
        status := 'skip';
        detail := 'The main extension is not installed, or has no files.';
    ELSE
        status := CASE WHEN instance.installed = instance.offered THEN 'pass'
                       ELSE CASE documentdb_upgrade_internal.version_order(instance.installed, instance.offered)
                                WHEN 1 THEN 'fail' WHEN 0 THEN 'pass' WHEN -1 THEN 'pass' ELSE 'skip' END END;
        detail := format('The schema is %s, the binary %s.', instance.installed, instance.offered)
            || CASE status WHEN 'fail'
                    THEN ' The binary is too old for the schema: bring the newer one back, or restore.'
                    WHEN 'skip' THEN ' They cannot be ordered: find out whether the binary serves that schema.'
                    ELSE '' END;
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
            coalesce(says, 'Nothing'), date_trunc('second', (rollback.baseline->>'at')::timestamptz),
            (now->>'rolled_back')::bigint - (rollback.baseline->>'rolled_back')::bigint);
    END IF;
    RETURN NEXT;

    -- What a database cannot see
    in_kubernetes := planned ?| '{operator,cnpg,sidecar_injector,gateway}'
                     OR documentdb_upgrade_internal.in_kubernetes();
    FOR part IN SELECT m.* FROM documentdb_upgrade_internal.manual_checks('rollback') m LOOP
        "check" := replace(part.check_name, '_', ' ');
        status := CASE WHEN in_kubernetes OR NOT part.of_kubernetes THEN 'manual' ELSE 'skip' END;
        detail := CASE status
            WHEN 'manual' THEN format('Run %s; good is: %s.', part.command, part.expected)
            ELSE 'Neither this server nor its releases have anything to do with Kubernetes.' END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION verify_rollback(bigint) IS
'checks off a recorded rollback, one row per check: what differed and that nothing else was reverted, each component '
'that was to change or to stay, whether the versions go together, the record, the library in memory, schema against '
'binary, this server, its standbys, failed attempts and counters of errors since then, and what a database cannot '
'see; pass, fail, skip with the reason, or manual with the command and what a good answer is. 42704: no such rollback';

CREATE FUNCTION documentdb_upgrade_internal.parity_read_counts(run bigint, reader oid)
    RETURNS TABLE (schema_name text, table_name text, rows_here bigint, rows_there bigint, match boolean, detail text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM documentdb_upgrade.parity_runs r
                   WHERE r.id = parity_read_counts.run AND r.kind = 'comparison') THEN
        RAISE EXCEPTION 'there is no comparison %', run
            USING ERRCODE = 'undefined_object',
                  HINT = 'Those of which something is known are shown by SELECT id, started_at, state, equal FROM '
                         'documentdb_upgrade.parity_runs WHERE kind = ''comparison'';';
    END IF;
    PERFORM documentdb_upgrade_internal.parity_outcome(run, reader);
    RETURN QUERY SELECT u.* FROM (
        SELECT t.schema_name, t.table_name,
               CASE t.state WHEN 'done' THEN t.row_count END, CASE t.state WHEN 'done' THEN t.remote_row_count END,
               CASE t.state WHEN 'done' THEN d.difference IS NULL END,
               CASE WHEN t.state <> 'done' THEN t.sqlstate || ': ' || t.problem
                    WHEN d.difference IS NOT NULL THEN concat_ws(', ', 'rows differ', d.named || ' of them named') END
        FROM documentdb_upgrade.parity_tables t
        LEFT JOIN LATERAL (
            SELECT min(x.difference) AS difference, nullif(count(*) FILTER (WHERE x.kind = 'row'), 0) AS named
            FROM documentdb_upgrade.parity_differences x
            WHERE x.run = t.run AND x.confirmed AND x.kind IN ('row', 'table')
              AND (x.schema_name, x.object_name) = (t.schema_name, t.table_name)) d ON true
        WHERE t.run = parity_read_counts.run
        UNION ALL
        SELECT d.schema_name, d.object_name, NULL, NULL, CASE d.difference WHEN 'error' THEN NULL ELSE false END,
               concat_ws(': ', CASE d.difference WHEN 'missing' THEN 'not there on the other server'
                                                 WHEN 'extra' THEN 'there on the other server alone'
                                                 WHEN 'structure' THEN 'columns differ' END,
                         CASE WHEN d.difference IN ('structure', 'error') THEN d.detail END)
        FROM documentdb_upgrade.parity_differences d
        WHERE d.run = parity_read_counts.run AND d.kind = 'table' AND d.confirmed
          AND NOT EXISTS (SELECT FROM documentdb_upgrade.parity_tables t
                          WHERE t.run = d.run AND (t.schema_name, t.table_name) = (d.schema_name, d.object_name))
        ) AS u(a, b, c, d, e, f)
        ORDER BY u.a COLLATE "C", u.b COLLATE "C";
END
$$;
COMMENT ON FUNCTION parity_read_counts(bigint, oid) IS 'serves parity_counts(): the same for a role';

CREATE FUNCTION documentdb_upgrade_internal.parity_counts(run bigint)
    RETURNS TABLE (schema_name text, table_name text, rows_here bigint, rows_there bigint, match boolean, detail text)
    LANGUAGE C VOLATILE ROWS 100
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_parity_counts';
COMMENT ON FUNCTION parity_counts(bigint) IS
    'serves row_counts(): the tables of a run of the role that calls, or of one that it belongs to';

CREATE FUNCTION row_counts(conninfo text DEFAULT NULL, schemas text[] DEFAULT NULL, tables text[] DEFAULT NULL,
                           workers integer DEFAULT 2, algorithm text DEFAULT 'du1', run bigint DEFAULT NULL)
    RETURNS TABLE (schema_name text, table_name text, rows_here bigint, rows_there bigint, match boolean, detail text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done bigint := run;
BEGIN
    IF (conninfo IS NULL) = (run IS NULL) THEN
        RAISE EXCEPTION 'either conninfo or run must be given'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give the connection string of the other server, such as host=green dbname=app user=parity; '
                         'or the number of a comparison that has ended.';
    END IF;
    IF done IS NULL THEN
        done := documentdb_upgrade_internal.run_parity(jsonb_strip_nulls(jsonb_build_object(
            'kind', 'comparison', 'schemas', schemas, 'tables', tables, 'workers', workers, 'chunk_ms', 500,
            'max_lag', 30, 'max_differences', 100, 'algorithm', algorithm)), conninfo);
    END IF;
    RETURN QUERY SELECT c.* FROM documentdb_upgrade_internal.parity_counts(done) c;
END
$$;
COMMENT ON FUNCTION row_counts(text, text[], text[], integer, text, bigint) IS
    'one row for each table, equal ones too: its rows in this database and in the one that conninfo leads to, and '
    'whether they are the same, by the same comparison as compare_with(), or by one that has ended (run). match is '
    'null where a table could not be read, counts are null where it is not on both sides with the same columns. '
    'It needs what compare_with() needs, with parity_counts() in the place of parity_found(). Errors: those of '
    'compare_with(), 42704 no such comparison of this role';

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

REVOKE ALL ON FUNCTION parity_read_counts(bigint, oid), parity_counts(bigint),
    row_counts(text, text[], text[], integer, text, bigint), duration_words(interval), cutover_estimate(interval)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION duration_words(interval), cutover_estimate(interval) TO pg_monitor;

CREATE OR REPLACE FUNCTION cutover_report() RETURNS TABLE (step text, at timestamptz, elapsed interval, detail text)
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
REVOKE ALL ON FUNCTION cutover_verdict(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cutover_verdict(timestamptz) TO pg_monitor;

CREATE OR REPLACE VIEW documentdb_upgrade_internal.runbook_template (n, title, template) AS VALUES
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
{{#kind.ready}}

**At night, the steps alone**, on the primary:

1. `SELECT documentdb_upgrade.can_finalize({{goal|literal}});` gives `t`; else section 15
2. `SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_to({{goal|literal}}, \
{{fingerprint|literal}});` gives `succeeded`; it cannot be undone
3. `SELECT documentdb_upgrade.wait_for({{goal|literal}}, '10 min');` gives `t`
4. `SELECT check_name, detail, hint FROM documentdb_upgrade.post_upgrade_report() WHERE status = 'fail';` gives no row

{{/#kind.ready}}
- **Stop writes:** `SELECT writers FROM documentdb_upgrade.fence_writes('why', '1 min');` refuses them in this \
database until `SELECT documentdb_upgrade.lift_fence();`; roles of `documentdb_upgrade.fence_exempt_roles` can \
still write and finalize
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

{{#counts.added}} - **New objects:** {{counts.added}}, section 18.
{{^counts.added}} - It adds no object.
{{#counts.changed}} - **Changed objects:** {{counts.changed}}, section 18.
{{^counts.changed}} - It changes no object.
{{#counts.privileges}} - **Privileges change on:** {{counts.privileges}}, section 18.
{{^counts.privileges}} - It changes no privilege of an existing object.

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
{{#counts.removed}} - **Objects that are removed:** {{counts.removed}}. Section 18 names them: search \
functions, jobs and applications for them **before** phase two.
{{^counts.removed}} - No object is removed.
{{#counts.recreated}} - **Dropped and created again** under the same name, or rewritten: {{counts.recreated}}, \
section 18.

{{?changes.settings}} Settings of roles and databases that change:

{{#changes.settings}} - {{what}} {{kind}} {{identity|code}}
{{^changes.settings}} No setting of a role or a database changes.
{{/#passed}}
{{/?steps}}

### Settings of the library

No script and no catalogue shows which settings a new library adds, changes or no longer has before it runs: read its \
release notes. Write the settings down before phase one; the library must be loaded, which \
`shared_preload_libraries` does:

```bash
psql -p {{port}} -d {{database|shell}} -XAtc \
"SELECT name, boot_val, vartype, context FROM pg_settings WHERE name LIKE '%.%' ORDER BY name" > settings-before.txt
```

After phase one, write them to `settings-after.txt` and compare: a line with `<` alone is a setting that is gone, one \
with `>` alone is new, and both mean another default.

```bash
diff settings-before.txt settings-after.txt
```

{{?settings.own}} The library in memory has {{settings.count}} settings. These do not have their defaults: does the \
new library still have them, and do they mean the same?

{{#settings.own}} - {{name|code}} = {{setting|code}}, default {{boot_val|code}} ({{source}})
{{^settings.own}}
{{#settings.count}} The library in memory has {{settings.count}} settings, and all have their defaults.
{{^settings.count}} This session sees no setting of the library.
{{/^settings.own}}

{{?settings.unknown}} These are set for roles or databases, and the library in memory does not know them. They are \
misspelt, or belong to another version:

{{#settings.unknown}} - {{name|code}} for {{place}}

Those in files are shown, to superusers, by `SELECT sourcefile, sourceline, name, error FROM pg_file_settings WHERE \
error IS NOT NULL;` after a reload, and by warnings in the server's log at its start.
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
{{#way}} - **Way:** {{strategy}}, risk {{risk}}. {{evidence}}
- **Limits:** all lock waits together {{lock_timeout}}, the whole attempt {{attempt_timeout}}; when one of them is \
exceeded, everything is rolled back.
{{?locks}} - **Locked against others until the commit:**
{{#locks}}   - {{relation|code}}{{#mode}} in {{mode}}{{/#mode}}{{#bytes}} ({{bytes|size}}){{/#bytes}}
{{^locks}} - **Locked against others:** nothing that is known.
{{/?steps}}
{{#earlier}} - **Longest of {{count}} earlier upgrade(s) here:** {{longest|duration}}.
{{?to_do}}

| | in place (sections 7 and 8) | blue-green (end of section 8) |
|---|---|---|
| needs | this server | a second one of the same size, with the data moved there |
| clients are away | while the primary restarts, and while phase two holds its locks | from the fence until they \
connect to the new server |
| way back | until phase two has committed | until applications write to the new server |
| proof | a rehearsal before, post-checks within | every row compared |
{{/?to_do}}
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
{{^health}} `SELECT * FROM documentdb_upgrade.pre_upgrade_report();` warns of nothing but the guards above.

{{?manual}}
### What a database cannot see

Run each, and compare; these are the rows `manual` of the report:

```bash
{{#manual}}
# {{check_name|raw}}: {{detail|raw}}
{{hint|raw}}
{{/#manual}}
```

{{/?manual}}
### Which versions go together

{{#is_documentdb}}
What the matrix (table `documentdb_upgrade.compatibility`) says of {{goal}}, PostgreSQL {{server_version}} and the \
other components{{#release}} of release {{revision}}{{/#release}}{{^release}}, of which no release is recorded \
here{{/^release}}:

{{?pairs}}
| component | version | with | version | status | what is known |
|---|---|---|---|---|---|
{{#pairs}} | {{component}} | {{version|cell}} | {{other}} | {{other_version|cell}} | {{status}} | {{detail|cell}} |

{{/?pairs}}
{{#unknown_pairs}} The matrix knows nothing about {{unknown_pairs}} other pairs: nobody has published whether they work.

Ask again with the versions that you are going to deploy: \
`SELECT * FROM documentdb_upgrade.check_compatibility('{"operator": "1.0.0", "extension": "1.0.0"}');`
{{/#is_documentdb}}
{{^is_documentdb}} The matrix of this extension is about DocumentDB and what belongs to it. Look in the release notes \
of extension {{extension|code}} for the versions of PostgreSQL and of other extensions that {{goal}} works with.

### Whom to tell

- before phase one: who is on call, and who owns the applications below; their connections end once, when the primary \
restarts
- before phase two: the same, and that there is no way back afterwards{{#counts.removed}}; who uses the objects of \
section 18 that are removed{{/#counts.removed}}{{#counts.privileges}}; who administers the roles whose privileges \
change{{/#counts.privileges}}
- afterwards: all of them, and who watches for 24 hours (section 13)

{{?clients}}
Connected to this database when this was written:

| role | application | sessions |
|---|---|---|
{{#clients}} | {{role|cell}} | {{application|cell}} | {{sessions}} |
{{/?clients}}
{{^clients}} No application was connected to this database when this was written.
$md$),

(6, 'Backup', $md$
{{#backup}} The newest backup on record is "{{label}}", finished {{finished_at|time}}.
{{^backup}} **No backup was ever recorded here.** After phase two a restore is the only way back.

{{#archived}} WAL is archived: a backup can be restored to the restore point that the upgrade writes, if the archive \
is complete. Look at `SELECT * FROM pg_stat_archiver;` first.
{{^archived}} WAL is not archived here (`archive_mode` is off): a backup can be restored only to its own end, not to \
the restore point that the upgrade writes. Stop writes before you take it (`fence_writes()`, \
section 1), or set up archiving first.

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

Where the class of the volumes has snapshots, `method: volumeSnapshot` under `spec` makes one instead, which is \
quicker to restore.

Keep what the cluster is made of, too; the last file holds secrets:

```bash
helm get values <RELEASE> -n <OPERATOR_NAMESPACE> --all > values-before.yaml
kubectl -n {{namespace|raw}} get dbs {{resource|raw}} -o yaml > resource-before.yaml
kubectl -n {{namespace|raw}} get configmaps,secrets -o yaml > configuration-before.yaml
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

The operator itself comes by its chart, and before the image. Its release notes may demand steps before that: \
`release_plan()` lists them for recorded releases. Helm does not upgrade the definitions, so they come first:

```bash
helm show crds oci://ghcr.io/documentdb/documentdb-operator --version <NEW_VERSION> | kubectl apply --server-side \
--force-conflicts -f -
helm upgrade documentdb-operator oci://ghcr.io/documentdb/documentdb-operator --version <NEW_VERSION> \
--namespace documentdb-operator --reset-then-reuse-values --atomic --timeout 10m
```

What the operator's new chart would change of your values; a value that it does not know any more has no effect:

```bash
helm show values oci://ghcr.io/documentdb/documentdb-operator --version <NEW_VERSION> | diff values-before.yaml -
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
{{#kind.schema_ahead}} Until then, let nothing write: `fence_writes()` (section 1) stops writes at once; after \
`ALTER SYSTEM SET documentdb_upgrade.schema_ahead_action = 'read_only';` and a reload, the worker stops writes.
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

### Blue-green instead

For a step that you want to be able to take back after clients have seen it, or that cannot be done in place: a new \
server (*green*) beside this one (*blue*). docs/blue-green.md has every command.

1. Make green, with {{goal}} from the start, and bring the data there: by dump and restore, or by logical replication.
2. Days before, compare: `SELECT * FROM documentdb_upgrade.compare_with('<CONNECTION_STRING_OF_GREEN>');` names what \
differs, and no row means equal.
3. Stop writes here: `SELECT lsn, drained_at, writers FROM documentdb_upgrade.fence_writes('cut-over', '10 s');`
4. When green has everything up to that LSN, compare once more.
5. Let applications connect to green. Way back until they write there: `SELECT documentdb_upgrade.lift_fence();` here, \
and connect them to blue again.
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

{{?manual}}
What a database cannot see; these are the rows `manual` of the report:

```bash
{{#manual}}
# {{check_name|raw}}: {{detail|raw}}
{{hint|raw}}
{{/#manual}}
```
{{/?manual}}
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
{{?smoke}}
Made from what is installed here, and tried when this was written{{#to_do}} (the version is {{goal}} after phase \
two){{/#to_do}}. Each must give one row:

```sql
{{#smoke}} {{statement|raw}}
```

{{/?smoke}}
{{?left_out}} Left out, because they do not work here now:

{{#left_out}} - {{statement|code}}: {{problem}}

{{#can_insert}}
Write, read and take back; expected are `t`, an answer, and the document, both as BSON:

```sql
BEGIN;
SELECT documentdb_api.create_collection('smoke_test', 'upgrade');
SELECT documentdb_api.insert_one('smoke_test', 'upgrade', '{"_id": 1, "n": 1}');
SELECT document FROM documentdb_api.collection('smoke_test', 'upgrade');
ROLLBACK;
```

{{/#can_insert}}
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

Where the chart was upgraded, it goes back too, before the image; leave the definitions (CRDs) as they are:

```bash
helm history documentdb-operator --namespace documentdb-operator --max 5
helm rollback documentdb-operator <REVISION> --namespace documentdb-operator --wait --timeout 10m
```

For recorded releases, `rollback_plan()` has these steps in order, with how long they take together and the command \
for each when Helm or the operator fails; `verify_rollback()` is the checklist afterwards.

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
- **Writes must stop:** `SELECT writers FROM documentdb_upgrade.fence_writes('why', '1 min');` refuses them until \
`SELECT documentdb_upgrade.lift_fence();`. It needs the library preloaded. Without it: `ALTER SYSTEM SET \
default_transaction_read_only = on;` and `SELECT pg_reload_conf();`, which sessions can undo for themselves.
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
- [ ] those whom section 5 names were told, and know that there is no way back after phase two
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
$md$),

(18, 'Lists of objects', $md$
{{^passed}} Not known without a rehearsal (section 2).
{{#passed}}
{{^changes.removed}}{{^changes.added}}{{^changes.changed}}
No object is added, changed or removed.

{{/^changes.changed}}{{/^changes.added}}{{/^changes.removed}}
{{?changes.removed}} ### Removed objects

{{#changes.removed}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}

{{?changes.recreated}} ### Dropped and created again, or rewritten

{{#changes.recreated}} - {{kind}} {{identity|code}} ({{what}})

{{?changes.added}} ### New objects

{{#changes.added}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}

{{?changes.changed}} ### Changed objects

{{#changes.changed}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}

{{?changes.privileges}}
### Privileges

Written as PostgreSQL does it: the role that has the privileges, a letter for each privilege, the role that granted \
them. Nothing before `=` means PUBLIC.

{{#changes.privileges}}
- {{kind}} {{identity|code}}
{{#items}}   - {{verb}} {{item|code}}
{{/#changes.privileges}}
{{/?changes.privileges}}

{{?changes.cut}} Only 40 objects of each kind of change are shown: \
`SELECT documentdb_upgrade.rehearsal_report({{rehearsal.id}});` shows all.
{{/#passed}}
$md$);
COMMENT ON VIEW runbook_template IS
'serves runbook(): the sections of a runbook, as render() takes them; 0 is the head';

-- Conversion between versions of the custom resource.

CREATE FUNCTION documentdb_upgrade.convert_resource(resource jsonb, to_version text) RETURNS jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_convert_resource';
COMMENT ON FUNCTION convert_resource(jsonb, text) IS
'a custom resource as one of another version: documentdb.io/preview, documentdb.io/preview-flat, '
	'db.microsoft.com/preview or db.microsoft.com/v1. What that version has no field for is kept in the annotation '
	'documentdb-upgrade/conversion, so that the way back gives the same resource. Raises 22023 for another version or '
	'kind';

CREATE PROCEDURE documentdb_upgrade.run_convert_resource(resource jsonb, to_version text,
                                                         INOUT converted jsonb DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_convert_resource';
COMMENT ON PROCEDURE run_convert_resource(jsonb, text, jsonb) IS
'like convert_resource, for roles that a planner hook keeps out of SELECT: CALL enters no planner. '
	'What is passed as converted is ignored';

CREATE FUNCTION documentdb_upgrade.conversion_review(review jsonb) RETURNS jsonb
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_conversion_review';
COMMENT ON FUNCTION conversion_review(jsonb) IS
'answers a ConversionReview of apiextensions.k8s.io/v1 with a complete one: every object converted as by '
	'convert_resource, in the same order, or result.status Failure with the reason. Never raises';

CREATE PROCEDURE documentdb_upgrade.run_conversion_review(review jsonb, INOUT response jsonb DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_conversion_review';
COMMENT ON PROCEDURE run_conversion_review(jsonb, jsonb) IS
'like conversion_review, for roles that a planner hook keeps out of SELECT: CALL enters no planner. '
	'What is passed as response is ignored';

REVOKE ALL ON FUNCTION convert_resource(jsonb, text), conversion_review(jsonb) FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_convert_resource(jsonb, text, jsonb), run_conversion_review(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION convert_resource(jsonb, text), conversion_review(jsonb) TO pg_monitor;
GRANT EXECUTE ON PROCEDURE run_convert_resource(jsonb, text, jsonb), run_conversion_review(jsonb, jsonb) TO pg_monitor;

-- Members of the managed extensions: the same digests in less time.

CREATE FUNCTION documentdb_upgrade_internal.other_definitions(classid oid, objects oid[])
    RETURNS TABLE (objid oid, body text)
    LANGUAGE plpgsql STABLE STRICT
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF classid = 'pg_class'::regclass THEN
        RETURN QUERY
        SELECT c.oid,
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
        FROM pg_class c WHERE c.oid = ANY (objects);
    ELSIF classid = 'pg_type'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n',
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
        FROM pg_type t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_am'::regclass THEN
        RETURN QUERY
        SELECT a.oid,
               concat_ws(E'\n', a.amtype, a.amhandler)
        FROM pg_am a WHERE a.oid = ANY (objects);
    ELSIF classid = 'pg_language'::regclass THEN
        RETURN QUERY
        SELECT l.oid,
               concat_ws(E'\n', l.lanispl, l.lanpltrusted, l.lanplcallfoid::regprocedure,
                   l.laninline::regprocedure, l.lanvalidator::regprocedure)
        FROM pg_language l WHERE l.oid = ANY (objects);
    ELSIF classid = 'pg_collation'::regclass THEN
        RETURN QUERY
        SELECT c.oid,
               (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text
        FROM pg_collation c WHERE c.oid = ANY (objects);
    ELSIF classid = 'pg_conversion'::regclass THEN
        RETURN QUERY
        SELECT c.oid,
               concat_ws(E'\n', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding),
                   c.conproc, c.condefault)
        FROM pg_conversion c WHERE c.oid = ANY (objects);
    ELSIF classid = 'pg_transform'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.trffromsql, t.trftosql)
        FROM pg_transform t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_ts_parser'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.prsstart, t.prstoken, t.prsend, t.prsheadline, t.prslextype)
        FROM pg_ts_parser t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_ts_template'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.tmplinit, t.tmpllexize)
        FROM pg_ts_template t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_ts_dict'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.dictinitoption,
                   (SELECT format('%I.%I', x.tmplnamespace::regnamespace, x.tmplname)
                    FROM pg_ts_template x WHERE x.oid = t.dicttemplate))
        FROM pg_ts_dict t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_ts_config'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n',
                   (SELECT format('%I.%I', x.prsnamespace::regnamespace, x.prsname)
                    FROM pg_ts_parser x WHERE x.oid = t.cfgparser),
                   (SELECT string_agg(concat_ws(' ', x.maptokentype, x.mapdict::regdictionary), E'\n'
                                      ORDER BY x.maptokentype, x.mapseqno)
                    FROM pg_ts_config_map x WHERE x.mapcfg = t.oid))
        FROM pg_ts_config t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_foreign_data_wrapper'::regclass THEN
        RETURN QUERY
        SELECT f.oid,
               concat_ws(E'\n', f.fdwhandler::regprocedure, f.fdwvalidator::regprocedure,
                   array_to_string(f.fdwoptions, ' '))
        FROM pg_foreign_data_wrapper f WHERE f.oid = ANY (objects);
    ELSIF classid = 'pg_foreign_server'::regclass THEN
        RETURN QUERY
        SELECT s.oid,
               concat_ws(E'\n', s.srvtype, s.srvversion, array_to_string(s.srvoptions, ' '),
                   (SELECT f.fdwname FROM pg_foreign_data_wrapper f WHERE f.oid = s.srvfdw))
        FROM pg_foreign_server s WHERE s.oid = ANY (objects);
    ELSIF classid = 'pg_event_trigger'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.evtevent, t.evtfoid::regprocedure, t.evtenabled, array_to_string(t.evttags, ' '))
        FROM pg_event_trigger t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_statistic_ext'::regclass THEN
        RETURN QUERY
        SELECT s.oid,
               pg_get_statisticsobjdef(s.oid)
        FROM pg_statistic_ext s WHERE s.oid = ANY (objects);
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.other_definitions(oid, oid[]) IS
'serves member_definitions(): what is to be digested of objects in one catalogue, for the kinds that few extensions '
	'have; of types only what not every type has';

CREATE OR REPLACE FUNCTION member_definitions(extension text,
                                              OUT kind text, OUT identity text,
                                              OUT digest text, OUT privileges text)
    RETURNS SETOF record
    LANGUAGE C STABLE STRICT ROWS 1000
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_member_definitions';

REVOKE ALL ON FUNCTION other_definitions(oid, oid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION other_definitions(oid, oid[]) TO pg_monitor;

-- Many small tables are compared with one statement.

CREATE FUNCTION documentdb_upgrade_internal.parity_is_small(t parity_tables) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN t.phase = 'sum' AND t.chunks = 0 AND t.work = '{}' AND (t.sides->'local'->>'blocks')::bigint <= 8
       AND coalesce((t.sides->'remote'->>'blocks')::bigint, 0) <= 8;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.parity_is_small(parity_tables) IS
    'serves the parity functions: whether a table can be asked about together with others: it has eight blocks at the '
    'most on either side, and nothing is known of it yet';

CREATE FUNCTION documentdb_upgrade_internal.parity_claim_more(t parity_tables) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF documentdb_upgrade_internal.parity_is_small(t) THEN
        -- The statistics know nothing of a new run: no plan may do this once for each table.
        WITH more AS MATERIALIZED (
            SELECT n.ctid FROM documentdb_upgrade.parity_tables n
            WHERE n.run = t.run AND n.state = 'pending' AND documentdb_upgrade_internal.parity_is_small(n)
            ORDER BY n.bytes DESC, n.schema_name, n.table_name
            FOR UPDATE SKIP LOCKED LIMIT 199)
        UPDATE documentdb_upgrade.parity_tables p
            SET state = 'running', worker = t.worker, pid = t.pid,
                started_at = coalesce(p.started_at, clock_timestamp())
            FROM more m WHERE p.ctid = m.ctid;
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.parity_claim_more(parity_tables) IS
    'serves parity_next(): gives a process that is about to read a small table the small ones that follow it';

CREATE FUNCTION documentdb_upgrade_internal.parity_statement(t parity_tables, functions text, side text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE count(*) WHEN 1 THEN min(s.statement)
                   ELSE format('SELECT to_json(ARRAY[%s])',
                               string_agg(format('(%s)', s.statement), ', ' ORDER BY s.schema_name, s.table_name)) END
            FROM (SELECT p.schema_name, p.table_name,
                         documentdb_upgrade_internal.parity_table_statement(p, functions, side) AS statement
                  FROM documentdb_upgrade.parity_tables p
                  WHERE p.run = t.run AND p.worker = t.worker AND p.pid = t.pid AND p.state = 'running' OFFSET 0) AS s);
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.parity_statement(parity_tables, text, text) IS
    'serves parity_next(): the statement about the table of a process, or one about all of its tables, whose answers '
    'are then in the order of their names';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_batch(r parity_runs, worker integer, answer jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    compared constant boolean := r.kind = 'comparison';
BEGIN
    WITH asked AS (
        SELECT p AS t, p.ctid AS place, row_number() OVER (ORDER BY p.schema_name, p.table_name)::integer - 1 AS n,
               count(*) OVER () AS total
        FROM documentdb_upgrade.parity_tables p
        WHERE p.run = r.id AND p.worker = parity_take_batch.worker AND p.pid = pg_backend_pid()
          AND p.state = 'running'),
    heard AS MATERIALIZED (
        SELECT a.place, a.total, (l.value->>'rows')::bigint AS rows,
               documentdb_upgrade_internal.parity_checksum(l.value->>'checksum', r.algorithm) AS checksum,
               (o.value->>'rows')::bigint AS remote_rows,
               documentdb_upgrade_internal.parity_checksum(o.value->>'checksum', r.algorithm) AS remote_checksum
        FROM asked a, LATERAL (SELECT answer->'local'->'value'->a.n AS value) AS l,
             LATERAL (SELECT answer->'remote'->'value'->a.n AS value) AS o
        WHERE documentdb_upgrade_internal.parity_is_answer(r, a.t, l.value)
          AND (NOT compared OR documentdb_upgrade_internal.parity_is_answer(r, a.t, o.value)))
    UPDATE documentdb_upgrade.parity_tables p
        SET state = 'done', phase = 'done', finished_at = clock_timestamp(), waiting_for = NULL, chunks = 1,
            row_count = h.rows, checksum = h.checksum, remote_row_count = coalesce(h.remote_rows, 0),
            remote_checksum = coalesce(h.remote_checksum, p.remote_checksum),
            ms = round(greatest((answer->'local'->>'ms')::numeric, (answer->'remote'->>'ms')::numeric, 0)
                       / h.total, 3)
        FROM heard h
        WHERE p.ctid = h.place
          AND (NOT compared OR h.rows = h.remote_rows AND h.checksum = h.remote_checksum);
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.parity_take_batch(parity_runs, integer, jsonb) IS
    'serves parity_hear_batch(): of the tables that were asked about together those that can be told to be done with';

CREATE FUNCTION documentdb_upgrade_internal.parity_hear_batch(r parity_runs, worker integer, answer jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    failed record;
BEGIN
    SELECT * INTO failed FROM documentdb_upgrade_internal.parity_error(answer) e;
    IF failed.ends_run THEN
        PERFORM documentdb_upgrade_internal.parity_fail(r.id, failed.error);
        RETURN;
    END IF;
    BEGIN
        IF failed.side IS NULL THEN
            PERFORM documentdb_upgrade_internal.parity_take_batch(r, worker, answer);
        END IF;
    EXCEPTION WHEN data_exception OR feature_not_supported OR program_limit_exceeded THEN
        -- An answer that makes no sense is met again, and named, with one table.
        NULL;
    END;
    UPDATE documentdb_upgrade.parity_tables p SET state = 'pending', waiting_for = NULL, work = '{"alone": true}'
        WHERE p.run = r.id AND p.worker = parity_hear_batch.worker AND p.pid = pg_backend_pid() AND p.state = 'running';
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.parity_hear_batch(parity_runs, integer, jsonb) IS
    'serves parity_next(): takes the answers about tables that were asked about together; the others are left for '
    'statements of their own. An error that is not about tables ends the run';

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.parity_listing(options jsonb) RETURNS text
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
                   'columns', coalesce(c.list, '[]'), 'physical', coalesce(c.physical, '[]'),
                   'oid', r.oid, 'filenode', r.filenode%5$s))
               FROM relation r LEFT JOIN column_of c ON c.attrelid = r.oid%6$s)%4$s)
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
            NOT options ? 'tables', NOT options ?| '{tables,schemas}', NOT options ? 'tables') ELSE '' END,
        -- Whether a table is still the same tells its file: no keys are looked for, and no file is opened.
        CASE WHEN options->>'kind' = 'again' THEN '' ELSE $measures$, 'keys', k.list,
                   'estimate', nullif(r.reltuples, -1)::bigint,
                   'blocks', CASE WHEN r.is_locked THEN r.relpages
                                  ELSE pg_relation_size(r.oid) / current_setting('block_size')::integer END,
                   'bytes', CASE WHEN r.is_locked THEN r.relpages::bigint * current_setting('block_size')::integer
                                 ELSE coalesce(pg_table_size(r.oid), 0) END$measures$ END,
        CASE WHEN options->>'kind' = 'again' THEN '' ELSE ' LEFT JOIN key_of k ON k.indrelid = r.oid' END)
    FROM scope
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.parity_listing(jsonb) IS
    'serves the parity functions: the statement that lists the tables in scope and, for a comparison, sequences, '
    'extensions and counts of objects; kind "again": only what tells whether a table is still the same';

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.parity_run_statements(r parity_runs, OUT action text,
                                                                             OUT local text, OUT remote text)
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
        local := documentdb_upgrade_internal.parity_listing(r.options || '{"kind": "again"}');
        remote := local;
    END CASE;
    IF r.kind = 'checksums' THEN
        remote := NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.parity_run_statements(parity_runs) IS
    'serves the parity functions: the statements of the present phase of a run, and under which snapshot';

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.parity_claim(r parity_runs, worker integer) RETURNS parity_tables
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
                  AND coalesce((n.work->>'not_before')::timestamptz
                               NOT BETWEEN clock_timestamp() AND clock_timestamp() + interval '2 s', true)
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

CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.parity_next(run bigint, worker integer, answer jsonb,
                            OUT action text, OUT local text, OUT remote text, OUT wait_ms integer)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r documentdb_upgrade.parity_runs;
    t documentdb_upgrade.parity_tables;
    another text;
BEGIN
    SELECT * INTO r FROM documentdb_upgrade.parity_runs p WHERE p.id = parity_next.run;
    IF r.state = 'running' AND r.phase = 'tables' THEN
        SELECT * INTO t FROM documentdb_upgrade.parity_tables p
            WHERE p.run = r.id AND p.worker = parity_next.worker AND p.pid = pg_backend_pid() AND p.state = 'running'
            LIMIT 1;
        SELECT p.table_name INTO another FROM documentdb_upgrade.parity_tables p
            WHERE p.run = r.id AND p.worker = parity_next.worker AND p.pid = pg_backend_pid() AND p.state = 'running'
            OFFSET 1 LIMIT 1;
    END IF;
    answer := nullif(nullif(answer, 'null'), '{}');
    IF r.state = 'running' AND answer IS NOT NULL AND (t.run IS NOT NULL OR r.phase <> 'tables' AND worker = 0) THEN
        IF another IS NULL THEN
            t := documentdb_upgrade_internal.parity_hear(r, t, answer);
        ELSE
            PERFORM documentdb_upgrade_internal.parity_hear_batch(r, worker, answer);
            t := NULL;
        END IF;
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
            SELECT least(greatest(1000 * extract(epoch FROM min((p.work->>'not_before')::timestamptz)
                                                            - clock_timestamp()), 50), 2000) INTO wait_ms
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
    PERFORM documentdb_upgrade_internal.parity_claim_more(t);
    local := documentdb_upgrade_internal.parity_statement(t, r.sides->'local'->>'functions', 'local');
    IF r.kind = 'comparison' AND t.phase <> 'bound' THEN
        remote := documentdb_upgrade_internal.parity_statement(t, r.sides->'remote'->>'functions', 'remote');
    END IF;
END
$$;

REVOKE ALL ON FUNCTION
    documentdb_upgrade_internal.parity_is_small, documentdb_upgrade_internal.parity_claim_more,
    documentdb_upgrade_internal.parity_statement, documentdb_upgrade_internal.parity_take_batch,
    documentdb_upgrade_internal.parity_hear_batch
    FROM PUBLIC;
COMMENT ON COLUMN documentdb_upgrade.parity_tables.ms IS
    'milliseconds that its statements took, the slower side each time; of one about many tables its share';
