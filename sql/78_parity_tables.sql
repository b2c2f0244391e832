--
-- Parity: runs, and how far they are
--

-- The processes of a run (src/parity) carry out statements and know nothing of
-- tables.  Each of them calls parity_next() again and again: it hands in the
-- answer to its last statement and is told the next one, or to wait, or that it
-- is done.  All state is in the tables below, so that every call is short and a
-- run that was broken off can be taken up again.
--
-- This is SQL and not C, because little of it is decisions.  Most of it compares
-- sets of rows, or makes statements of what tables and answers contain; and a row
-- of a table is its own struct here, loaded and stored without further code.
--
-- The files that follow: what there is on both sides (79), the statements about a
-- table (80), what answers must look like (81), the phases of a run (82), the
-- phases of a table and parity_next() (83), what people call (84).
--
-- Phases of a run.  Process 0 sees to all of them but "tables"; the others wait.
--
--   listing     What is there, on both sides?  Then functions; without another
--               side tables; for algorithm sql1 sequences.
--   functions   Is the algorithm the same on both sides?  Then sequences.
--   sequences   Their values, 200 at a time.  When none is left, tables.
--   tables      Every process takes the largest table that is left.  When all
--               are done, verifying.
--   verifying   The list again: was a table altered, rewritten or truncated
--               meanwhile?  Then finished.
--   finished
--
-- Phases of a table, in the hands of the process that has taken it.
--
--   bound       Where does the first range of keys end?  Then sum.
--   sum         Rows and checksum of a range of keys, or of some blocks on each
--               side.  If they agree, the next range, and after the last one
--               recheck.  If they differ, buckets; where rows are few, rows.
--   buckets     The same of each bucket of rows by hash of the key: which of them
--               differ?  Then rows.
--   rows        Keys and checksums of the rows in some of these buckets.  Rows
--               that differ are noted.  When no bucket is left, the next range.
--   recheck     The rows noted, as they are now.  Four times at the most, within
--               three seconds; between them the table is pending again.  Then done.
--   done
--
-- Each phase has a statement for each side (parity_run_statements(),
-- parity_table_statement()), and its answer is taken by a function that decides
-- what comes next (parity_hear_run(), parity_hear_table()).  An answer is
-- {"local": side, "remote": side}; a side has "value" or "error", and "ms".
--
-- Where a phase stands is kept as JSON:
--
--   place of a table that is read by key: {"from": bound, "to": bound}; null is no
--               bound
--   place of a table that is read by blocks, for each side: {"block": the next
--               one, "step": how many at a time, null for all}; null when none is
--               left
--   work of a run: sequences "left", those asked for "now", and how many are to be
--               read "singly"
--   work of a table: rows and checksum of the range that differs ("local",
--               "remote") and the "next" bound after it; "digits" of the hash,
--               buckets "left", those asked for "now", and how many to ask for at
--               a time ("batch"); of a recheck the "tries" so far, and
--               "not_before" which time to try again

CREATE TABLE parity_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('checksums', 'comparison')),
    state text NOT NULL CHECK (state IN ('running', 'complete', 'incomplete', 'failed', 'interrupted')),
    phase text NOT NULL,
    algorithm text NOT NULL,
    options jsonb NOT NULL,
    role oid NOT NULL,
    role_name text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    snapshots integer NOT NULL DEFAULT 1,
    exact boolean NOT NULL,
    equal boolean,
    table_count bigint,
    row_count bigint,
    bytes bigint,
    duration interval,
    difference_count bigint,
    leader_pid integer NOT NULL,
    leader_started_at timestamptz,
    sides jsonb NOT NULL DEFAULT '{}',
    work jsonb NOT NULL DEFAULT '{}',
    sqlstate text,
    message text,
    detail text,
    hint text
);
COMMENT ON TABLE parity_runs IS 'runs of table_checksums() and compare_with(), the newest 20; not dumped';
COMMENT ON COLUMN parity_runs.id IS 'what resume takes';
COMMENT ON COLUMN parity_runs.kind IS 'checksums: table_checksums(); comparison: compare_with()';
COMMENT ON COLUMN parity_runs.state IS
    'running; complete; incomplete: some tables could not be read; failed: see message; interrupted: its processes '
    'went away';
COMMENT ON COLUMN parity_runs.phase IS 'listing, functions, sequences, tables, verifying, finished';
COMMENT ON COLUMN parity_runs.algorithm IS 'du1 or sql1; checksums of one say nothing about those of the other';
COMMENT ON COLUMN parity_runs.options IS 'arguments of the call, without the connection string';
COMMENT ON COLUMN parity_runs.role IS
    'who called last, and with whose privileges the tables are read; its members see what the run has found';
COMMENT ON COLUMN parity_runs.role_name IS 'name of that role when it called';
COMMENT ON COLUMN parity_runs.started_at IS 'when the run began first';
COMMENT ON COLUMN parity_runs.finished_at IS 'when it ended, whichever way';
COMMENT ON COLUMN parity_runs.snapshots IS 'how many snapshots it has used up: one more for each resume';
COMMENT ON COLUMN parity_runs.exact IS
    'a write fence was up, and the last writer gone, whenever the run began or was resumed: nothing of this server '
    'changed meanwhile';
COMMENT ON COLUMN parity_runs.equal IS
    'comparison found no difference and could read everything; null before the end, and of checksums alone';
COMMENT ON COLUMN parity_runs.table_count IS 'tables read to the end';
COMMENT ON COLUMN parity_runs.row_count IS 'rows of those tables on this server';
COMMENT ON COLUMN parity_runs.bytes IS 'size of those tables on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_runs.duration IS 'from the beginning to the end, of a resumed run from the last resume on';
COMMENT ON COLUMN parity_runs.difference_count IS 'rows of parity_differences that count';
COMMENT ON COLUMN parity_runs.leader_pid IS 'process 0 of the run';
COMMENT ON COLUMN parity_runs.leader_started_at IS
    'when that process started, to know it from a later one of the same number';
COMMENT ON COLUMN parity_runs.sides IS
    'version, encoding and schema of the checksum functions of this server and the other one';
COMMENT ON COLUMN parity_runs.work IS 'where the present phase stands';
COMMENT ON COLUMN parity_runs.sqlstate IS 'of the error that ended the run';
COMMENT ON COLUMN parity_runs.message IS 'of that error';
COMMENT ON COLUMN parity_runs.detail IS 'of that error';
COMMENT ON COLUMN parity_runs.hint IS 'of that error';

CREATE TABLE parity_tables (
    run bigint NOT NULL REFERENCES parity_runs ON DELETE CASCADE,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'error')),
    phase text NOT NULL DEFAULT 'sum',
    strategy text NOT NULL CHECK (strategy IN ('range', 'key', 'own', 'ctid')),
    columns jsonb NOT NULL,
    key_columns jsonb,
    sides jsonb NOT NULL,
    bytes bigint NOT NULL,
    estimate bigint,
    worker integer,
    pid integer,
    started_at timestamptz,
    finished_at timestamptz,
    place jsonb NOT NULL DEFAULT '{}',
    work jsonb NOT NULL DEFAULT '{}',
    chunk bigint NOT NULL DEFAULT 5000,
    chunks integer NOT NULL DEFAULT 0,
    row_count bigint NOT NULL DEFAULT 0,
    checksum text NOT NULL DEFAULT repeat('0', 32),
    remote_row_count bigint NOT NULL DEFAULT 0,
    remote_checksum text NOT NULL DEFAULT repeat('0', 32),
    ms numeric NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    truncated boolean NOT NULL DEFAULT false,
    snapshot integer NOT NULL DEFAULT 1,
    first_snapshot integer NOT NULL DEFAULT 1,
    waiting_for text,
    problem text,
    sqlstate text,
    PRIMARY KEY (run, schema_name, table_name)
);
CREATE INDEX parity_tables_pending_idx ON parity_tables (run, bytes DESC, schema_name, table_name)
    WHERE state = 'pending';
CREATE INDEX parity_tables_running_idx ON parity_tables (run, worker) WHERE state = 'running';
COMMENT ON TABLE parity_tables IS
    'tables of a run: those that both sides of a comparison have with the same columns; not dumped';
COMMENT ON COLUMN parity_tables.run IS 'the run, see parity_runs';
COMMENT ON COLUMN parity_tables.schema_name IS 'schema of the table';
COMMENT ON COLUMN parity_tables.table_name IS 'name of the table, of each partition by itself';
COMMENT ON COLUMN parity_tables.state IS 'pending, running, done, or error: it could not be read, see problem';
COMMENT ON COLUMN parity_tables.phase IS 'bound, sum, buckets, rows, recheck, done';
COMMENT ON COLUMN parity_tables.strategy IS
    'range: both sides by the same ranges of the key; own: each side by blocks; here alone: key or ctid';
COMMENT ON COLUMN parity_tables.columns IS 'names and types, in the order of the names';
COMMENT ON COLUMN parity_tables.key_columns IS
    'primary key or other unique key that names a row: column, type, its operator for equality (null: compare as '
    'text); null when there is none';
COMMENT ON COLUMN parity_tables.sides IS 'per side: oid, file node, blocks and order of the columns when it was listed';
COMMENT ON COLUMN parity_tables.bytes IS 'size on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_tables.estimate IS 'rows as the planner''s statistics have it; null when they do not know';
COMMENT ON COLUMN parity_tables.worker IS 'number of the process that has it, or had it last';
COMMENT ON COLUMN parity_tables.pid IS 'that process';
COMMENT ON COLUMN parity_tables.started_at IS 'when it was begun first';
COMMENT ON COLUMN parity_tables.finished_at IS 'when it was done or given up';
COMMENT ON COLUMN parity_tables.place IS
    'how far it has been summed: bounds of the present range, or the next block of each side';
COMMENT ON COLUMN parity_tables.work IS 'where the search for differing rows stands';
COMMENT ON COLUMN parity_tables.chunk IS 'rows per range; it follows the time that a range takes';
COMMENT ON COLUMN parity_tables.chunks IS 'statements that summed so far';
COMMENT ON COLUMN parity_tables.row_count IS 'rows summed so far';
COMMENT ON COLUMN parity_tables.checksum IS 'their checksum';
COMMENT ON COLUMN parity_tables.remote_row_count IS 'rows summed so far on the other server';
COMMENT ON COLUMN parity_tables.remote_checksum IS 'their checksum';
COMMENT ON COLUMN parity_tables.ms IS
    'milliseconds that its statements took, the slower side each time; of one about many tables its share';
COMMENT ON COLUMN parity_tables.changed IS 'rows that differed at first and agreed when looked at again';
COMMENT ON COLUMN parity_tables.truncated IS 'it has more differing rows than were looked for';
COMMENT ON COLUMN parity_tables.snapshot IS 'which snapshot of the run its last rows are of';
COMMENT ON COLUMN parity_tables.first_snapshot IS 'and its first rows; not the same after a resume in the midst of it';
COMMENT ON COLUMN parity_tables.waiting_for IS 'what holds it up at the moment';
COMMENT ON COLUMN parity_tables.problem IS 'why it could not be read';
COMMENT ON COLUMN parity_tables.sqlstate IS 'of that problem';

CREATE TABLE parity_differences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run bigint NOT NULL REFERENCES parity_runs ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('table', 'row', 'sequence', 'extension', 'objects')),
    schema_name text,
    object_name text NOT NULL,
    difference text NOT NULL CHECK (difference IN ('missing', 'extra', 'different', 'structure', 'error')),
    key jsonb,
    local text,
    remote text,
    detail text,
    confirmed boolean NOT NULL DEFAULT true,
    looked_for jsonb
);
CREATE INDEX parity_differences_run_idx ON parity_differences (run, schema_name, object_name);
COMMENT ON TABLE parity_differences IS 'what comparisons found, and what table_checksums() could not read; not dumped';
COMMENT ON COLUMN parity_differences.id IS 'in the order of finding';
COMMENT ON COLUMN parity_differences.run IS 'the run, see parity_runs';
COMMENT ON COLUMN parity_differences.kind IS 'table, row, sequence, extension, objects';
COMMENT ON COLUMN parity_differences.schema_name IS 'schema of the object; null for extensions';
COMMENT ON COLUMN parity_differences.object_name IS
    'name of the table, sequence or extension, or the kind of objects that were counted';
COMMENT ON COLUMN parity_differences.difference IS
    'missing: not there on the other server; extra: only there; different; structure: columns differ; error: could '
    'not be read';
COMMENT ON COLUMN parity_differences.key IS 'key of the row; null when its table has none';
COMMENT ON COLUMN parity_differences.local IS 'what is here; of a row its columns, long values cut';
COMMENT ON COLUMN parity_differences.remote IS 'what is there';
COMMENT ON COLUMN parity_differences.detail IS 'for people';
COMMENT ON COLUMN parity_differences.confirmed IS 'false: a row that differed and has not been looked at again yet';
COMMENT ON COLUMN parity_differences.looked_for IS 'how to find the row again';

CREATE FUNCTION documentdb_upgrade_internal.parity_is_alive(run parity_runs) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT run.state = 'running' AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = run.leader_pid
                                             AND a.backend_start IS NOT DISTINCT FROM run.leader_started_at)
$$;
COMMENT ON FUNCTION parity_is_alive(parity_runs) IS
    'serves the parity functions: whether the processes of a run are there';

CREATE VIEW parity_progress AS
    SELECT r.id AS run, r.kind,
           CASE WHEN documentdb_upgrade_internal.parity_is_alive(r) THEN 'running' ELSE 'interrupted' END AS run_state,
           r.phase AS run_phase, t.schema_name, t.table_name, t.state, t.phase, t.strategy,
           t.row_count AS rows_done, t.estimate,
           CASE WHEN t.state = 'done' THEN 100
                WHEN t.state = 'pending' AND t.row_count = 0 THEN 0
                ELSE p.percent END AS percent,
           t.bytes, t.pid,
           CASE WHEN t.state = 'running' AND t.phase IN ('bound', 'sum') AND p.percent >= 1
                THEN make_interval(secs => (extract(epoch FROM clock_timestamp() - t.started_at)
                                            * (100 - p.percent) / p.percent)::integer) END AS eta,
           t.waiting_for
    FROM documentdb_upgrade.parity_runs r
    LEFT JOIN documentdb_upgrade.parity_tables t ON t.run = r.id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN t.estimate > 0 THEN least(99, round(100.0 * t.row_count / t.estimate)) END AS percent) p
    WHERE r.state = 'running'
    ORDER BY r.id, t.state <> 'running', t.bytes DESC, t.schema_name, t.table_name;
COMMENT ON VIEW parity_progress IS
    'tables of the runs that have not ended, one row each; a run that is still listing has one row without a table';
COMMENT ON COLUMN parity_progress.run IS 'the run';
COMMENT ON COLUMN parity_progress.kind IS 'checksums or comparison';
COMMENT ON COLUMN parity_progress.run_state IS 'running; interrupted: its processes are gone, resume takes it up again';
COMMENT ON COLUMN parity_progress.run_phase IS 'listing, functions, sequences, tables, verifying';
COMMENT ON COLUMN parity_progress.schema_name IS 'schema of the table';
COMMENT ON COLUMN parity_progress.table_name IS 'name of the table';
COMMENT ON COLUMN parity_progress.state IS 'pending, running, done, error';
COMMENT ON COLUMN parity_progress.phase IS
    'bound and sum: reading the table; buckets and rows: looking for rows that differ; recheck: looking at those '
    'again';
COMMENT ON COLUMN parity_progress.strategy IS 'range, key, own, ctid; see parity_tables';
COMMENT ON COLUMN parity_progress.rows_done IS 'rows of this server summed so far';
COMMENT ON COLUMN parity_progress.estimate IS
    'rows as the planner''s statistics have it; null when the table was never analyzed';
COMMENT ON COLUMN parity_progress.percent IS
    'of that estimate, 99 at the most before the table is done; null without an estimate';
COMMENT ON COLUMN parity_progress.bytes IS 'size on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_progress.pid IS 'process that has the table, or had it';
COMMENT ON COLUMN parity_progress.eta IS 'time left for this table at its pace so far; null when that cannot be told';
COMMENT ON COLUMN parity_progress.waiting_for IS
    'what holds it up at the moment: replication, load, or rows that may still be on their way';

-- Statements for either side; the other one may be a PostgreSQL 13.
