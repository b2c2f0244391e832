--
-- The worker
--

CREATE FUNCTION cancel() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_cancel';
COMMENT ON FUNCTION cancel() IS
'ends the attempt that the worker runs in this database, which then waits for another desired version, '
	'other files or retry(); false when none runs or its commit has begun; an attempt of a session is ended by '
	'pg_cancel_backend';

CREATE FUNCTION retry(extension text DEFAULT NULL) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_retry';
COMMENT ON FUNCTION retry(text) IS
'has the worker forget its failures and try at once; false when there was nothing to forget';

CREATE FUNCTION tick() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_tick';
COMMENT ON FUNCTION tick() IS
'one pass of the worker''s loop, for servers that cannot preload: reads the desired version, finalizes if that is due, '
	'reports, and returns the state; where a worker runs, has it read and look, and returns the state it was in. '
	'Errors: 53400 no background worker is free, 58P01 the worker''s library cannot be loaded, '
	'55000 the pass ended before its time';

CREATE FUNCTION wait_for(target text, timeout interval, extension text DEFAULT NULL) RETURNS boolean
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_wait_for';
COMMENT ON FUNCTION wait_for(text, interval, text) IS
'returns true as soon as the main extension is at the target version and its library has taken it up, '
	'false after the timeout; works on standbys; a malformed version raises 22023';

CREATE FUNCTION documentdb_upgrade_internal.running_attempts(OUT pid integer, OUT actor text,
                                 OUT extension text, OUT from_version text,
                                 OUT target text, OUT step integer, OUT steps integer,
                                 OUT step_extension text, OUT step_from text, OUT step_to text,
                                 OUT started_at timestamptz,
                                 OUT cancel_requested boolean, OUT commit_begun boolean)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_running_attempts';
COMMENT ON FUNCTION running_attempts() IS 'the rows of view progress';

CREATE VIEW progress AS
    SELECT pid, actor, extension, from_version, target, step, steps, step_extension,
           step_from, step_to, started_at, cancel_requested, commit_begun
    FROM running_attempts();
COMMENT ON VIEW progress IS
'one row per attempt that runs in this database, with the script that runs now as step n of m; '
	'empty without preloading';
COMMENT ON COLUMN progress.pid IS 'process that runs the attempt';
COMMENT ON COLUMN progress.actor IS 'who drives it: function, worker or tick';
COMMENT ON COLUMN progress.extension IS 'the main extension';
COMMENT ON COLUMN progress.from_version IS 'its version before the attempt';
COMMENT ON COLUMN progress.target IS 'version that the attempt goes to';
COMMENT ON COLUMN progress.step IS 'number of the script that runs';
COMMENT ON COLUMN progress.steps IS 'how many scripts there are';
COMMENT ON COLUMN progress.step_extension IS 'extension that this script updates';
COMMENT ON COLUMN progress.step_from IS 'version that this script starts from';
COMMENT ON COLUMN progress.step_to IS 'version that this script leads to';
COMMENT ON COLUMN progress.started_at IS 'when the attempt began';
COMMENT ON COLUMN progress.cancel_requested IS 'true: it was told to end';
COMMENT ON COLUMN progress.commit_begun IS 'true: it cannot be ended any more';

CREATE FUNCTION documentdb_upgrade_internal.worker_counters(OUT extension text, OUT served boolean,
                                OUT source_reads bigint, OUT source_failures bigint,
                                OUT reports_delivered bigint, OUT reports_failed bigint,
                                OUT events_dropped bigint)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_worker_counters';
COMMENT ON FUNCTION worker_counters()
	IS 'what view metrics takes from the worker: the main extension, whether a worker serves this database, '
	'and its counters since it started';
