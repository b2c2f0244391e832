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
                                 OUT gate text, OUT target text, OUT main_extension text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 3
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_managed_versions';
COMMENT ON FUNCTION managed_versions() IS 'the rows of view versions';

CREATE VIEW versions AS
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

CREATE FUNCTION documentdb_upgrade_internal.main_extension() RETURNS text
    LANGUAGE C STABLE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_main_extension';
COMMENT ON FUNCTION main_extension() IS
'the main extension that is meant: of those that setting documentdb_upgrade.extension names the first, unless work for '
	'another one is being done';

CREATE FUNCTION documentdb_upgrade_internal.decide_here(desired text, OUT decision text, OUT target text,
                                                        OUT reason text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_decide_here';
COMMENT ON FUNCTION decide_here(text) IS
'like decide, over what is installed here and what the files here offer, which can be more than the binary version';

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
           last_contact, worker_pid, fence_notice() AS fence, extension
    FROM current_status() s;
COMMENT ON VIEW status IS
'where this server stands, and in next_step why nothing happens and the exact command that would change it: one row, '
	'or one for each main extension where several are named';
COMMENT ON COLUMN status.role
	IS 'primary, standby, or worker_node: a primary of a Citus cluster that its coordinator upgrades';
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
COMMENT ON COLUMN status.extension IS 'the main extension';

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
