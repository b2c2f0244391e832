--
-- Parity: checksums of tables, here and on another server
--

-- A run is carried out by processes (run_parity) that know nothing of tables:
-- each calls parity_next() with the answer to its last statement and is told
-- the next one.  All state is in these tables, so that every call is short and
-- a run that was broken off can be taken up again.
--
-- Phases of a run, all but "tables" in the hands of process 0:
--   listing     what there is, on both sides
--   functions   is the algorithm the same on both sides
--   sequences   their values, some hundred at a time
--   tables      every process takes the largest table that is left
--   verifying   a second list: was a table altered or rewritten meanwhile
--   finished
--
-- Phases of a table, in the hands of the process that has taken it:
--   bound       where the next range of keys ends
--   sum         rows and checksum of a range, or of some blocks on each side
--   buckets     of a range (or table) that differs: the same by hash of the key
--   rows        keys and checksums of the rows in buckets that differ
--   recheck     those rows again, as they are now
--   done

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
COMMENT ON COLUMN parity_runs.state IS 'running; complete; incomplete: some tables could not be read; failed: see message; interrupted: its processes went away';
COMMENT ON COLUMN parity_runs.phase IS 'listing, functions, sequences, tables, verifying, finished';
COMMENT ON COLUMN parity_runs.algorithm IS 'du1 or sql1; checksums of one say nothing about those of the other';
COMMENT ON COLUMN parity_runs.options IS 'arguments of the call, without the connection string';
COMMENT ON COLUMN parity_runs.role IS 'who called last, and with whose privileges the tables are read; its members see what the run has found';
COMMENT ON COLUMN parity_runs.role_name IS 'name of that role when it called';
COMMENT ON COLUMN parity_runs.started_at IS 'when the run began first';
COMMENT ON COLUMN parity_runs.finished_at IS 'when it ended, whichever way';
COMMENT ON COLUMN parity_runs.snapshots IS 'how many snapshots it has used up: one more for each resume';
COMMENT ON COLUMN parity_runs.exact IS 'a write fence was up, and the last writer gone, whenever the run began or was resumed: nothing of this server changed meanwhile';
COMMENT ON COLUMN parity_runs.equal IS 'comparison found no difference and could read everything; null before the end, and of checksums alone';
COMMENT ON COLUMN parity_runs.table_count IS 'tables read to the end';
COMMENT ON COLUMN parity_runs.row_count IS 'rows of those tables on this server';
COMMENT ON COLUMN parity_runs.bytes IS 'size of those tables on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_runs.duration IS 'from the beginning to the end, of a resumed run from the last resume on';
COMMENT ON COLUMN parity_runs.difference_count IS 'rows of parity_differences that count';
COMMENT ON COLUMN parity_runs.leader_pid IS 'process 0 of the run';
COMMENT ON COLUMN parity_runs.leader_started_at IS 'when that process started, to know it from a later one of the same number';
COMMENT ON COLUMN parity_runs.sides IS 'version, encoding and schema of the checksum functions of this server and the other one';
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
CREATE INDEX parity_tables_pending_idx ON parity_tables (run, bytes DESC, schema_name, table_name) WHERE state = 'pending';
CREATE INDEX parity_tables_running_idx ON parity_tables (run, worker) WHERE state = 'running';
COMMENT ON TABLE parity_tables IS 'tables of a run: those that both sides of a comparison have with the same columns; not dumped';
COMMENT ON COLUMN parity_tables.run IS 'the run, see parity_runs';
COMMENT ON COLUMN parity_tables.schema_name IS 'schema of the table';
COMMENT ON COLUMN parity_tables.table_name IS 'name of the table, of each partition by itself';
COMMENT ON COLUMN parity_tables.state IS 'pending, running, done, or error: it could not be read, see problem';
COMMENT ON COLUMN parity_tables.phase IS 'bound, sum, buckets, rows, recheck, done; or restart: altered since it was begun';
COMMENT ON COLUMN parity_tables.strategy IS 'range: both sides by the same ranges of the key; own: each side by blocks; here alone: key or ctid';
COMMENT ON COLUMN parity_tables.columns IS 'names and types, in the order of the names';
COMMENT ON COLUMN parity_tables.key_columns IS 'primary key or other unique key that names a row: column, type, its operator for equality (null: compare as text); null when there is none';
COMMENT ON COLUMN parity_tables.sides IS 'per side: oid, file node, blocks and order of the columns when it was listed';
COMMENT ON COLUMN parity_tables.bytes IS 'size on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_tables.estimate IS 'rows as the planner''s statistics have it; null when they do not know';
COMMENT ON COLUMN parity_tables.worker IS 'number of the process that has it, or had it last';
COMMENT ON COLUMN parity_tables.pid IS 'that process';
COMMENT ON COLUMN parity_tables.started_at IS 'when it was begun first';
COMMENT ON COLUMN parity_tables.finished_at IS 'when it was done or given up';
COMMENT ON COLUMN parity_tables.place IS 'how far it has been summed: bounds of the present range, or the next block of each side';
COMMENT ON COLUMN parity_tables.work IS 'where the search for differing rows stands';
COMMENT ON COLUMN parity_tables.chunk IS 'rows per range; it follows the time that a range takes';
COMMENT ON COLUMN parity_tables.chunks IS 'statements that summed so far';
COMMENT ON COLUMN parity_tables.row_count IS 'rows summed so far';
COMMENT ON COLUMN parity_tables.checksum IS 'their checksum';
COMMENT ON COLUMN parity_tables.remote_row_count IS 'rows summed so far on the other server';
COMMENT ON COLUMN parity_tables.remote_checksum IS 'their checksum';
COMMENT ON COLUMN parity_tables.ms IS 'milliseconds that its statements took, the slower side each time';
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
COMMENT ON COLUMN parity_differences.object_name IS 'name of the table, sequence or extension, or the kind of objects that were counted';
COMMENT ON COLUMN parity_differences.difference IS 'missing: not there on the other server; extra: only there; different; structure: columns differ; error: could not be read';
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
COMMENT ON FUNCTION parity_is_alive(parity_runs) IS 'serves the parity functions: whether the processes of a run are there';

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
                THEN make_interval(secs => (extract(epoch FROM clock_timestamp() - t.started_at) * (100 - p.percent) / p.percent)::integer) END AS eta,
           t.waiting_for
    FROM documentdb_upgrade.parity_runs r
    LEFT JOIN documentdb_upgrade.parity_tables t ON t.run = r.id
    CROSS JOIN LATERAL (SELECT CASE WHEN t.estimate > 0 THEN least(99, round(100.0 * t.row_count / t.estimate)) END AS percent) p
    WHERE r.state = 'running'
    ORDER BY r.id, t.state <> 'running', t.bytes DESC, t.schema_name, t.table_name;
COMMENT ON VIEW parity_progress IS 'tables of the runs that have not ended, one row each; a run that is still listing has one row without a table';
COMMENT ON COLUMN parity_progress.run IS 'the run';
COMMENT ON COLUMN parity_progress.kind IS 'checksums or comparison';
COMMENT ON COLUMN parity_progress.run_state IS 'running; interrupted: its processes are gone, resume takes it up again';
COMMENT ON COLUMN parity_progress.run_phase IS 'listing, functions, sequences, tables, verifying';
COMMENT ON COLUMN parity_progress.schema_name IS 'schema of the table';
COMMENT ON COLUMN parity_progress.table_name IS 'name of the table';
COMMENT ON COLUMN parity_progress.state IS 'pending, running, done, error';
COMMENT ON COLUMN parity_progress.phase IS 'bound and sum: reading the table; buckets and rows: looking for rows that differ; recheck: looking at those again';
COMMENT ON COLUMN parity_progress.strategy IS 'range, key, own, ctid; see parity_tables';
COMMENT ON COLUMN parity_progress.rows_done IS 'rows of this server summed so far';
COMMENT ON COLUMN parity_progress.estimate IS 'rows as the planner''s statistics have it; null when the table was never analyzed';
COMMENT ON COLUMN parity_progress.percent IS 'of that estimate, 99 at the most before the table is done; null without an estimate';
COMMENT ON COLUMN parity_progress.bytes IS 'size on this server, TOAST included, indexes not';
COMMENT ON COLUMN parity_progress.pid IS 'process that has the table, or had it';
COMMENT ON COLUMN parity_progress.eta IS 'time left for this table at its pace so far; null when that cannot be told';
COMMENT ON COLUMN parity_progress.waiting_for IS 'what holds it up at the moment: replication, load, or rows that may still be on their way';

-- Statements for either side; the other one may be a PostgreSQL 13.

CREATE FUNCTION documentdb_upgrade_internal.parity_names(tables text[]) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted text;
    parts text[];
    result jsonb := '[]';
BEGIN
    FOREACH wanted IN ARRAY tables LOOP
        -- As in a query, or else to the letter.
        BEGIN
            parts := parse_ident(wanted);
        EXCEPTION WHEN invalid_parameter_value THEN
            parts := ARRAY[wanted];
        END;
        IF wanted IS NULL OR cardinality(parts) > 2 THEN
            RAISE EXCEPTION 'table name "%" is not valid', wanted
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Give names as schema.table, or just table.';
        END IF;
        result := result || jsonb_build_object('wanted', wanted,
            'schema', CASE cardinality(parts) WHEN 2 THEN parts[1] END, 'name', parts[cardinality(parts)]);
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION parity_names(text[]) IS 'serves the parity functions: names of tables taken apart';

CREATE FUNCTION documentdb_upgrade_internal.parity_listing(options jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH scope (in_schemas, in_tables) AS (
        SELECT CASE WHEN options ? 'schemas' THEN format('n.nspname = ANY (ARRAY(SELECT json_array_elements_text(%L)))', options->'schemas') ELSE 'true' END,
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
    SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relpages, l.relation IS NOT NULL AS is_locked, coalesce(nullif(c.relfilenode, 0), pg_relation_filenode(c.oid)) AS filenode
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN locked l ON l.relation = c.oid
    WHERE (c.relkind = 'r' OR c.relkind = 'm' AND c.relispopulated) AND c.relpersistence <> 't' AND %2$s
      AND (n.oid IN (SELECT s.oid FROM schema_of s)
           OR c.oid = 'pg_largeobject'::regclass AND %1$s AND EXISTS (SELECT FROM pg_largeobject_metadata))
      AND NOT EXISTS (SELECT FROM ours o WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.own)),
column_of AS (
    SELECT a.attrelid, json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attname) AS list,
           json_agg(a.attname ORDER BY a.attnum) AS physical
    FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY 1),
key_of AS (
    SELECT i.indrelid, json_agg(json_build_object('columns', k.list, 'sorted', k.sorted, 'everywhere', k.everywhere)
               ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid) AS list
    FROM pg_index i JOIN relation r ON r.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid,
    LATERAL (
        SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
                                         CASE WHEN ty.typtype = 'b' AND ty.typcategory <> 'A' THEN format('OPERATOR(%%I.%%s)', en.nspname, e.oprname) END)
                               ORDER BY u.n) AS list,
               bool_and(a.attnotnull) AS usable,
               -- in the order that comparing with < also gives
               bool_and(i.indoption[u.n - 1] = 0 AND i.indcollation[u.n - 1] = a.attcollation
                        AND o.opcdefault AND tn.nspname = 'pg_catalog' AND en.nspname = 'pg_catalog' AND ty.typtype = 'b') AS sorted,
               bool_and(a.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'oid'::regtype, 'numeric'::regtype,
                                       'uuid'::regtype, 'date'::regtype, 'time'::regtype, 'timetz'::regtype, 'timestamp'::regtype,
                                       'timestamptz'::regtype, 'bytea'::regtype, 'boolean'::regtype)
                        OR a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'name'::regtype)
                           AND (co.collname IN ('C', 'POSIX') AND co.collnamespace = 'pg_catalog'::regnamespace
                                OR co.collprovider = 'd' AND db.datcollate IN ('C', 'POSIX')
                                   AND coalesce(to_jsonb(db)->>'datlocprovider', 'c') = 'c')) AS everywhere
        FROM unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS u(attnum, class, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
        JOIN pg_type ty ON ty.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = ty.typnamespace
        JOIN pg_opclass o ON o.oid = u.class
        LEFT JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype
          AND m.amopstrategy = 3 AND m.amopmethod = x.relam
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
    'tables', (SELECT json_agg(json_build_object('schema', r.nspname, 'name', r.relname, 'columns', coalesce(c.list, '[]'),
                   'physical', coalesce(c.physical, '[]'),
                   'keys', k.list, 'oid', r.oid, 'filenode', r.filenode, 'estimate', nullif(r.reltuples, -1)::bigint,
                   'blocks', CASE WHEN r.is_locked THEN r.relpages ELSE pg_relation_size(r.oid) / current_setting('block_size')::integer END,
                   'bytes', CASE WHEN r.is_locked THEN r.relpages::bigint * current_setting('block_size')::integer
                                 ELSE coalesce(pg_table_size(r.oid), 0) END))
               FROM relation r LEFT JOIN column_of c ON c.attrelid = r.oid LEFT JOIN key_of k ON k.indrelid = r.oid)%4$s)
$listing$, in_schemas, in_tables, coalesce(options->'tables', '[]'),
        CASE WHEN options->>'kind' = 'comparison' THEN format($comparison$,
    'sequences', (SELECT json_agg(json_build_array(s.nspname, c.relname, has_sequence_privilege(c.oid, 'SELECT')) ORDER BY s.nspname, c.relname)
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
                   CASE c.relkind WHEN 'r' THEN 'tables' WHEN 'p' THEN 'partitioned tables' WHEN 'v' THEN 'views' WHEN 'm' THEN 'materialized views'
                        WHEN 'i' THEN 'indexes' WHEN 'I' THEN 'partitioned indexes' WHEN 'S' THEN 'sequences'
                        WHEN 'f' THEN 'foreign tables' END AS kind
            FROM pg_class c WHERE c.relpersistence <> 't'
            UNION ALL
            SELECT p.pronamespace, 'pg_proc'::regclass, p.oid,
                   CASE p.prokind WHEN 'a' THEN 'aggregates' WHEN 'p' THEN 'procedures' ELSE 'functions' END
            FROM pg_proc p
            WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
            UNION ALL
            SELECT t.typnamespace, 'pg_type'::regclass, t.oid,
                   CASE t.typtype WHEN 'd' THEN 'domains' WHEN 'e' THEN 'enums' WHEN 'r' THEN 'ranges' ELSE 'composite types' END
            FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid WHERE t.typtype IN ('d', 'e', 'r') OR c.relkind = 'c'
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid,
                   CASE k.contype WHEN 'p' THEN 'primary keys' WHEN 'u' THEN 'unique constraints' WHEN 'f' THEN 'foreign keys'
                        WHEN 'c' THEN 'check constraints' WHEN 'x' THEN 'exclusion constraints' END
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
            WHERE k.contype IN ('p', 'u', 'c', 'x') OR k.contype = 'f' AND k.conparentid = 0
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid, 'triggers'
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid, 'policies' FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
            UNION ALL
            SELECT o.oprnamespace, 'pg_operator'::regclass, o.oid, 'operators' FROM pg_operator o) o ON o.schema = s.oid
        WHERE %3$L AND o.kind IS NOT NULL
          AND NOT EXISTS (SELECT FROM ours m WHERE m.classid = o.class AND m.objid = o.oid)
          AND NOT EXISTS (SELECT FROM pg_index i JOIN ours m ON m.classid = 'pg_class'::regclass AND m.objid = i.indrelid
                          WHERE o.class = 'pg_class'::regclass AND i.indexrelid = o.oid)
        GROUP BY 1, 2) g)$comparison$, NOT options ? 'tables', NOT options ?| '{tables,schemas}', NOT options ? 'tables') ELSE '' END)
    FROM scope
$$;
COMMENT ON FUNCTION parity_listing(jsonb) IS
'serves the parity functions: the statement that lists the tables in scope and, for a comparison, sequences, extensions and counts of objects';

-- Values become texts by concat(), which knows output functions only: a cast may
-- be anybody's function.

CREATE FUNCTION documentdb_upgrade_internal.parity_row(t parity_tables, functions text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT CASE WHEN functions IS NOT NULL THEN format('%I.record_checksum(t.*)', functions)
                ELSE format('md5(%s)', (
                    SELECT coalesce(string_agg(format('CASE num_nulls(t.%1$I) WHEN 0 THEN length(concat(t.%1$I)) || '':'' || concat(t.%1$I) ELSE ''-'' END', c.v->>0), ' || ' ORDER BY c.n), '''''')
                    FROM jsonb_array_elements(t.columns) WITH ORDINALITY AS c(v, n))) END);
END
$$;
COMMENT ON FUNCTION parity_row(parity_tables, text) IS
'serves the parity functions: the expression for the checksum of a row; without a schema of functions that of algorithm sql1: columns by name, each length:text or - for null, MD5';

CREATE FUNCTION documentdb_upgrade_internal.parity_hash(t parity_tables, functions text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT CASE WHEN t.key_columns IS NULL THEN documentdb_upgrade_internal.parity_row(t, functions)
                ELSE (SELECT CASE WHEN functions IS NOT NULL
                                  THEN format('%I.record_checksum(ROW(%s))', functions, string_agg(format('t.%I', k.v->>0), ', ' ORDER BY k.n))
                                  ELSE format('md5(%s)', string_agg(format('length(concat(t.%1$I)) || '':'' || concat(t.%1$I)', k.v->>0), ' || ' ORDER BY k.n)) END
                      FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n)) END);
END
$$;
COMMENT ON FUNCTION parity_hash(parity_tables, text) IS
'serves the parity functions: the expression that assigns a row to a bucket: of its key, or of all of it when the table has no key';

CREATE FUNCTION documentdb_upgrade_internal.parity_key(t parity_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT format('json_build_array(%s)', string_agg(format('concat(t.%I)', k.v->>0), ', ' ORDER BY k.n))
    FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
END
$$;
COMMENT ON FUNCTION parity_key(parity_tables) IS 'serves the parity functions: the expression for the key of a row as texts';

CREATE FUNCTION documentdb_upgrade_internal.parity_bound(t parity_tables, operator text, bound jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT CASE WHEN bound IS NULL OR bound = 'null' THEN 'true'
                WHEN count(*) = 1 THEN format('%s %s %s', min(k.name), operator, min(k.value))
                ELSE format('(%s) %s (%s)', string_agg(k.name, ', ' ORDER BY k.n), operator, string_agg(k.value, ', ' ORDER BY k.n)) END
    FROM (SELECT format('t.%I', e.v->>0) AS name, format('%L::%s', bound->>(e.n - 1)::integer, e.v->>1) AS value, e.n
          FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS e(v, n)) k);
END
$$;
COMMENT ON FUNCTION parity_bound(parity_tables, text, jsonb) IS
'serves the parity functions: the condition that a key lies beyond, or not beyond, a bound; true without a bound';

CREATE FUNCTION documentdb_upgrade_internal.parity_condition(t parity_tables, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT CASE
        WHEN t.strategy IN ('range', 'key')
        THEN documentdb_upgrade_internal.parity_bound(t, '>', t.place->'from') || ' AND ' || documentdb_upgrade_internal.parity_bound(t, '<=', t.place->'to')
        WHEN t.phase = 'sum' AND t.place->side->'step' <> 'null'
        THEN format('t.ctid >= ''(%s,0)''::tid', t.place->side->>'block')
             || CASE WHEN (t.place->side->>'block')::bigint + (t.place->side->>'step')::bigint < (t.sides->side->>'blocks')::bigint
                     THEN format(' AND t.ctid < ''(%s,0)''::tid', (t.place->side->>'block')::bigint + (t.place->side->>'step')::bigint)
                     ELSE '' END
        ELSE 'true' END);
END
$$;
COMMENT ON FUNCTION parity_condition(parity_tables, text) IS
'serves the parity functions: which rows are being summed: a range of keys, some blocks (the last ones without an end), or all; all of them too where each side has its own blocks and differing rows are looked for';

CREATE FUNCTION documentdb_upgrade_internal.parity_row_sum(t parity_tables, functions text, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    -- The faster one of the two takes no more than 99 columns.
    RETURN (SELECT CASE WHEN count(*) BETWEEN 1 AND 98
                THEN format('%I.columns_checksum(NULL::%I.%I, %s)', functions, t.schema_name, t.table_name, string_agg(format('t.%I', c.name), ', ' ORDER BY c.n))
                ELSE format('%I.row_checksum(t.*)', functions) END
    FROM jsonb_array_elements_text(t.sides->side->'columns') WITH ORDINALITY AS c(name, n));
END
$$;
COMMENT ON FUNCTION parity_row_sum(parity_tables, text, text) IS
'serves the parity functions: the expression for the checksum of many rows';

CREATE FUNCTION documentdb_upgrade_internal.parity_sums(t parity_tables, functions text, side text, digits integer DEFAULT 0) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT CASE WHEN functions IS NOT NULL
        THEN format('SELECT %s AS bucket, count(*) AS n, %s AS checksum FROM ONLY %I.%I AS t WHERE %s',
                    b.bucket, documentdb_upgrade_internal.parity_row_sum(t, functions, side), t.schema_name, t.table_name, b.condition)
        -- The rows' own checksums, added up in four parts.
        ELSE format($sum$SELECT %s AS bucket, count(*) AS n,
            (coalesce(sum(('x' || substr(s.c, 1, 8))::bit(32)::bigint) * 79228162514264337593543950336
                      + sum(('x' || substr(s.c, 9, 8))::bit(32)::bigint) * 18446744073709551616
                      + sum(('x' || substr(s.c, 17, 8))::bit(32)::bigint) * 4294967296
                      + sum(('x' || substr(s.c, 25, 8))::bit(32)::bigint), 0) %% 340282366920938463463374607431768211456)::text AS checksum
            FROM (SELECT %s AS bucket, %s AS c FROM ONLY %I.%I AS t WHERE %s OFFSET 0) AS s$sum$,
                    CASE WHEN digits > 0 THEN 's.bucket' ELSE 'NULL::text' END, b.bucket,
                    documentdb_upgrade_internal.parity_row(t, NULL), t.schema_name, t.table_name, b.condition) END
        || CASE WHEN digits > 0 THEN ' GROUP BY 1' ELSE '' END
    FROM (SELECT documentdb_upgrade_internal.parity_condition(t, side) AS condition,
                 CASE WHEN digits > 0 THEN format('left(%s, %s)', documentdb_upgrade_internal.parity_hash(t, functions), digits)
                      ELSE 'NULL::text' END AS bucket) b);
END
$$;
COMMENT ON FUNCTION parity_sums(parity_tables, text, text, integer) IS
'serves the parity functions: the query that counts and sums the rows of the present range, as a whole or by so many digits of their hash';

CREATE FUNCTION documentdb_upgrade_internal.parity_next_bound(t parity_tables, start jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    names constant text := (SELECT string_agg(format('t.%I', k.v->>0), ', ' ORDER BY k.n)
                            FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
BEGIN
    -- The rows that are skipped are not made texts of.
    RETURN format('SELECT %s FROM (SELECT %s FROM ONLY %I.%I AS t WHERE %s ORDER BY %s OFFSET %s LIMIT 1) AS t',
                  documentdb_upgrade_internal.parity_key(t), names, t.schema_name, t.table_name,
                  documentdb_upgrade_internal.parity_bound(t, '>', start), names, t.chunk - 1);
END
$$;
COMMENT ON FUNCTION parity_next_bound(parity_tables, jsonb) IS
'serves the parity functions: the query for the key that ends the range after a key; no row when fewer rows are left';

CREATE FUNCTION documentdb_upgrade_internal.parity_sum_statement(t parity_tables, functions text, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT format('SELECT json_build_object(''rows'', s.n, ''checksum'', s.checksum%s) FROM (%s) AS s',
                  CASE WHEN side = 'local' AND t.strategy IN ('range', 'key') AND t.place->'to' <> 'null'
                       THEN format(', ''next'', (%s)', documentdb_upgrade_internal.parity_next_bound(t, t.place->'to')) ELSE '' END,
                  documentdb_upgrade_internal.parity_sums(t, functions, side)));
END
$$;
COMMENT ON FUNCTION parity_sum_statement(parity_tables, text, text) IS
'serves the parity functions: rows and checksum of the present range; here also where the next range ends';

CREATE FUNCTION documentdb_upgrade_internal.parity_bucket_statement(t parity_tables, functions text, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT format('SELECT json_object_agg(s.bucket, json_build_array(s.n, s.checksum)) FROM (%s) AS s',
                  documentdb_upgrade_internal.parity_sums(t, functions, side, (t.work->>'digits')::integer)));
END
$$;
COMMENT ON FUNCTION parity_bucket_statement(parity_tables, text, text) IS
'serves the parity functions: rows and checksum of each bucket of the present range';

CREATE FUNCTION documentdb_upgrade_internal.parity_rows_statement(t parity_tables, functions text, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT format('SELECT json_agg(json_build_array(x.k, x.c)) FROM (SELECT %s AS k, %s AS c FROM ONLY %I.%I AS t WHERE %s%s%s) AS x',
                  CASE WHEN t.key_columns IS NULL THEN documentdb_upgrade_internal.parity_row(t, functions) ELSE documentdb_upgrade_internal.parity_key(t) END,
                  CASE WHEN t.key_columns IS NULL THEN 'count(*)' ELSE documentdb_upgrade_internal.parity_row(t, functions) END,
                  t.schema_name, t.table_name, documentdb_upgrade_internal.parity_condition(t, side),
                  CASE WHEN t.work ? 'now' THEN format(' AND left(%s, %s) = ANY (%L::text[])', documentdb_upgrade_internal.parity_hash(t, functions), t.work->>'digits',
                                                       ARRAY(SELECT jsonb_array_elements_text(t.work->'now'))) ELSE '' END,
                  CASE WHEN t.key_columns IS NULL THEN ' GROUP BY 1' ELSE '' END));
END
$$;
COMMENT ON FUNCTION parity_rows_statement(parity_tables, text, text) IS
'serves the parity functions: key and checksum of the rows in the buckets in question, or of all in the range; without a key their checksums, and how often each is there';

CREATE FUNCTION documentdb_upgrade_internal.parity_recheck_statement(t parity_tables, functions text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH candidate AS (
        SELECT format('(%s, %s)', d.id, (SELECT string_agg(format('%L', e.v), ', ' ORDER BY e.n) FROM jsonb_array_elements_text(d.looked_for) WITH ORDINALITY AS e(v, n))) AS line, d.id
        FROM documentdb_upgrade.parity_differences d
        WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed),
    key AS (
        SELECT string_agg(format('k%s', e.n), ', ' ORDER BY e.n) AS names,
               string_agg(CASE WHEN e.v->2 <> 'null' THEN format('t.%I %s v.k%s::%s AND ', e.v->>0, e.v->>2, e.n, e.v->>1) ELSE '' END
                          || format('concat(t.%I) = v.k%s', e.v->>0, e.n), ' AND ' ORDER BY e.n) AS condition
        FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS e(v, n))
    SELECT format('SELECT json_object_agg(x.id, json_build_array(x.c, x.r)) FROM (SELECT v.id, %s AS c, %s AS r FROM (VALUES %s) AS v(id, %s) JOIN ONLY %I.%I AS t ON %s%s) AS x',
                  CASE WHEN t.key_columns IS NULL THEN 'count(*)' ELSE documentdb_upgrade_internal.parity_row(t, functions) END,
                  CASE WHEN t.key_columns IS NULL THEN format('min(%s::text)::json', shown.expression) ELSE shown.expression END,
                  (SELECT string_agg(c.line, ', ' ORDER BY c.id) FROM candidate c), coalesce(key.names, 'k1'), t.schema_name, t.table_name,
                  coalesce(key.condition, documentdb_upgrade_internal.parity_row(t, functions) || ' = v.k1'),
                  CASE WHEN t.key_columns IS NULL THEN ' GROUP BY v.id' ELSE '' END)
    FROM key, (
        SELECT format($shown$(SELECT coalesce(json_object_agg(e.name, CASE WHEN length(e.value) <= 200 OR e.value IS NULL THEN e.value
            ELSE left(e.value, 150) || format('... (%%s characters, md5 %%s)', length(e.value), md5(e.value)) END), '{}')
            FROM unnest(ARRAY[%s]::text[], ARRAY[%s]::text[]) AS e(name, value))$shown$,
            string_agg(format('%L', c.v->>0), ', ' ORDER BY c.n),
            string_agg(format('CASE num_nulls(t.%1$I) WHEN 0 THEN concat(t.%1$I) END', c.v->>0), ', ' ORDER BY c.n)) AS expression
        FROM jsonb_array_elements(t.columns) WITH ORDINALITY AS c(v, n)) shown
$$;
COMMENT ON FUNCTION parity_recheck_statement(parity_tables, text) IS
'serves the parity functions: the rows that differed, as they are now: checksum (or number) and contents, long values cut';

-- What comes back.

CREATE FUNCTION documentdb_upgrade_internal.parity_checksum(checksum text, algorithm text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE WHEN algorithm <> 'sql1' THEN checksum
                ELSE (SELECT string_agg(lpad(to_hex((div(checksum::numeric, u.unit) % 4294967296)::bigint), 8, '0'), '' ORDER BY u.unit DESC)
                      FROM (VALUES (79228162514264337593543950336), (18446744073709551616), (4294967296), (1)) AS u(unit)) END);
END
$$;
COMMENT ON FUNCTION parity_checksum(text, text) IS 'serves the parity functions: a checksum as 32 hexadecimal digits';

CREATE FUNCTION documentdb_upgrade_internal.parity_ends_run(sqlstate text) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT sqlstate ~ '^(08|28|2F|57P|58|XX|3D)' OR sqlstate = '53300'
$$;
COMMENT ON FUNCTION parity_ends_run(text) IS
'serves the parity functions: whether an error is not about one table but about the connection, the login or the server';

CREATE FUNCTION documentdb_upgrade_internal.parity_error(answer jsonb, OUT side text, OUT sqlstate text, OUT message text, OUT detail text, OUT hint text, OUT ends_run boolean)
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    error jsonb;
BEGIN
    IF answer->'local' ? 'error' OR answer->'remote' ? 'error' THEN
        -- Of two errors the one that weighs more.
        side := CASE WHEN NOT answer->'remote' ? 'error' THEN 'local'
                     WHEN NOT answer->'local' ? 'error' OR documentdb_upgrade_internal.parity_ends_run(answer->'remote'->'error'->>'sqlstate') THEN 'remote'
                     ELSE 'local' END;
        error := answer->side->'error';
        sqlstate := error->>'sqlstate';
        message := error->>'message';
        detail := error->>'detail';
        hint := error->>'hint';
        ends_run := documentdb_upgrade_internal.parity_ends_run(sqlstate);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_error(jsonb) IS
'serves the parity functions: what went wrong on one side or the other; nulls when nothing did';

CREATE FUNCTION documentdb_upgrade_internal.parity_fail(run bigint, error jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE documentdb_upgrade.parity_tables t SET state = 'pending', waiting_for = NULL
        WHERE t.run = parity_fail.run AND t.state = 'running';
    UPDATE documentdb_upgrade.parity_runs r SET state = 'failed', finished_at = clock_timestamp(), equal = NULL,
               sqlstate = coalesce(error->>'sqlstate', 'XX000'), message = coalesce(error->>'message', 'unknown error'),
               detail = error->>'detail', hint = error->>'hint'
        WHERE r.id = parity_fail.run AND r.state = 'running'
$$;
COMMENT ON FUNCTION parity_fail(bigint, jsonb) IS
'serves run_parity(): ends a run with an error (sqlstate, message, detail, hint); what it has summed is kept for a resume';

CREATE FUNCTION documentdb_upgrade_internal.parity_is_exact() RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM documentdb_upgrade.cutovers c
                   WHERE c.server = (SELECT system_identifier FROM pg_control_system()) AND c.lifted_at IS NULL AND c.drained_at IS NOT NULL);
END
$$;
COMMENT ON FUNCTION parity_is_exact() IS 'serves the parity functions: whether a write fence is up and the last writer gone';

CREATE FUNCTION documentdb_upgrade_internal.parity_begin(options jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r documentdb_upgrade.parity_runs;
    started timestamptz := (SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid());
    scope jsonb := jsonb_strip_nulls(jsonb_build_object('schemas', parity_begin.options->'schemas', 'tables',
        CASE WHEN parity_begin.options ? 'tables' THEN documentdb_upgrade_internal.parity_names(ARRAY(SELECT jsonb_array_elements_text(parity_begin.options->'tables'))) END));
BEGIN
    IF coalesce(parity_begin.options->>'algorithm', 'du1') NOT IN ('du1', 'sql', 'sql1') THEN
        RAISE EXCEPTION 'checksum algorithm "%" is not known', parity_begin.options->>'algorithm'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Known are du1, and sql for servers where nothing may be installed.';
    END IF;
    IF coalesce((parity_begin.options->>'chunk_ms')::numeric, 0) <= 0 OR (parity_begin.options->>'max_lag')::numeric < 0
       OR (parity_begin.options->>'max_active')::integer < 0 OR (parity_begin.options->>'max_differences')::integer < 0 THEN
        RAISE EXCEPTION 'chunk must be above zero, and max_lag, max_active and max_differences not below it'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE documentdb_upgrade.parity_runs p SET state = 'interrupted', finished_at = clock_timestamp()
        WHERE p.state = 'running' AND NOT documentdb_upgrade_internal.parity_is_alive(p);
    IF parity_begin.options->>'resume' IS NULL THEN
        INSERT INTO documentdb_upgrade.parity_runs (kind, state, phase, algorithm, options, role, role_name, exact, leader_pid, leader_started_at)
            VALUES (parity_begin.options->>'kind', 'running', 'listing', CASE WHEN parity_begin.options->>'algorithm' LIKE 'sql%' THEN 'sql1' ELSE 'du1' END,
                    (parity_begin.options - '{resume,algorithm,tables,schemas,role,role_name}'::text[]) || scope,
                    (parity_begin.options->>'role')::oid, parity_begin.options->>'role_name',
                    documentdb_upgrade_internal.parity_is_exact(), pg_backend_pid(), started)
            RETURNING * INTO r;
    ELSE
        SELECT * INTO r FROM documentdb_upgrade.parity_runs p WHERE p.id = (parity_begin.options->>'resume')::bigint FOR UPDATE;
        IF NOT FOUND OR r.kind <> parity_begin.options->>'kind' OR NOT pg_has_role((parity_begin.options->>'role')::oid, r.role, 'USAGE') THEN
            RAISE EXCEPTION 'there is no run % to resume', parity_begin.options->>'resume'
                USING ERRCODE = 'undefined_object', HINT = 'A run is resumed by the function and the role that began it; see documentdb_upgrade.parity_runs.';
        ELSIF r.state = 'running' THEN
            RAISE EXCEPTION 'run % is still running', r.id
                USING ERRCODE = 'object_in_use', HINT = format('Wait for it, or end it with SELECT pg_cancel_backend(%s).', coalesce(r.options->>'caller', '...'));
        ELSIF r.state = 'complete' THEN
            RAISE EXCEPTION 'run % has finished', r.id
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Leave resume out to begin a new run.';
        ELSIF scope <> '{}' AND scope <> (SELECT coalesce(jsonb_object_agg(o.key, o.value), '{}') FROM jsonb_each(r.options) o WHERE o.key IN ('tables', 'schemas')) THEN
            RAISE EXCEPTION 'run % was begun with other schemas or tables', r.id
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave schemas and tables out: they are those of the run.';
        END IF;
        -- What is read with the rights of this role is not for the one before.
        UPDATE documentdb_upgrade.parity_runs p SET state = 'running', phase = 'listing', snapshots = p.snapshots + 1, work = '{}',
                   role = (parity_begin.options->>'role')::oid, role_name = parity_begin.options->>'role_name',
                   finished_at = NULL, exact = p.exact AND documentdb_upgrade_internal.parity_is_exact(), leader_pid = pg_backend_pid(), leader_started_at = started,
                   options = p.options || (parity_begin.options - '{resume,algorithm,tables,schemas,role,role_name}'::text[]) || jsonb_build_object('resumed_at', clock_timestamp()),
                   sqlstate = NULL, message = NULL, detail = NULL, hint = NULL, equal = NULL
            WHERE p.id = r.id;
    END IF;
    DELETE FROM documentdb_upgrade.parity_runs p
        WHERE p.state <> 'running' AND p.id <= (SELECT k.id FROM documentdb_upgrade.parity_runs k ORDER BY k.id DESC OFFSET 20 LIMIT 1);
    RETURN r.id;
END
$$;
COMMENT ON FUNCTION parity_begin(jsonb) IS
'serves run_parity(): makes a run, or takes up the one that resume names; 22023: options that cannot be, 42704: no such run, 55006: its processes still run, 55000: it has finished';

CREATE FUNCTION documentdb_upgrade_internal.parity_pairs(run parity_runs, here jsonb, there jsonb,
                             OUT schema_name text, OUT table_name text, OUT columns jsonb, OUT key_columns jsonb, OUT strategy text,
                             OUT sides jsonb, OUT bytes bigint, OUT estimate bigint, OUT place jsonb)
    RETURNS SETOF record
    LANGUAGE sql STABLE ROWS 1000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH here AS (
        SELECT x.*, jsonb_build_object('oid', x.oid, 'filenode', x.filenode, 'blocks', x.blocks, 'columns', x.physical) AS side,
               jsonb_build_object('block', 0, 'step', CASE WHEN x.blocks > 256 THEN 256 END) AS start
        FROM jsonb_to_recordset(here->'tables') AS x(schema text, name text, columns jsonb, keys jsonb, physical jsonb, oid bigint, filenode bigint,
                                                     estimate bigint, blocks bigint, bytes bigint)),
    there AS (
        SELECT x.*, jsonb_build_object('oid', x.oid, 'filenode', x.filenode, 'blocks', x.blocks, 'columns', x.physical) AS side,
               -- Ranges of blocks are found without reading all of them since 14.
               jsonb_build_object('block', 0, 'step', CASE WHEN x.blocks > 256 AND (there->>'version')::integer >= 140000 THEN 256 END) AS start
        FROM jsonb_to_recordset(there->'tables') AS x(schema text, name text, columns jsonb, keys jsonb, physical jsonb, oid bigint, filenode bigint,
                                                      blocks bigint, bytes bigint)),
    paired AS (
        SELECT schema, name, l.columns, k.list, l.bytes, l.estimate, greatest(l.bytes, r.bytes) AS most,
               CASE WHEN run.kind = 'checksums' THEN CASE WHEN k.sorted THEN 'key' ELSE 'ctid' END
                    ELSE CASE WHEN k.everywhere AND k.sorted THEN 'range' ELSE 'own' END END AS strategy,
               jsonb_build_object('local', l.side) || CASE run.kind WHEN 'comparison' THEN jsonb_build_object('remote', r.side) ELSE '{}' END AS sides,
               jsonb_build_object('local', l.start) || CASE run.kind WHEN 'comparison' THEN jsonb_build_object('remote', r.start) ELSE '{}' END AS blocks
        FROM here l LEFT JOIN there r USING (schema, name)
        LEFT JOIN LATERAL (
            SELECT k.key->'columns' AS list, (k.key->>'sorted')::boolean AND coalesce((o.key->>'sorted')::boolean, true) AS sorted,
                   (k.key->>'everywhere')::boolean AND (o.key->>'everywhere')::boolean AS everywhere
            FROM jsonb_array_elements(nullif(l.keys, 'null')) WITH ORDINALITY AS k(key, n)
            LEFT JOIN jsonb_array_elements(nullif(r.keys, 'null')) AS o(key) ON o.key->'columns' = k.key->'columns'
            WHERE run.kind = 'checksums' OR o.key IS NOT NULL
            ORDER BY CASE run.kind WHEN 'checksums' THEN (k.key->>'sorted')::boolean
                     ELSE (k.key->>'everywhere')::boolean AND (o.key->>'everywhere')::boolean AND (k.key->>'sorted')::boolean AND (o.key->>'sorted')::boolean END DESC, k.n
            LIMIT 1) k ON true
        WHERE run.kind = 'checksums' OR r.columns = l.columns)
    SELECT p.schema, p.name, p.columns, p.list, p.strategy, p.sides, p.bytes, p.estimate,
           CASE WHEN p.strategy IN ('own', 'ctid') THEN p.blocks
                WHEN p.most <= 1048576 THEN '{"from": null, "to": null}'
                ELSE '{"from": null}' END::jsonb
    FROM paired p
$$;
COMMENT ON FUNCTION parity_pairs(parity_runs, jsonb, jsonb) IS
'serves the parity functions: of two lists the tables whose contents can be compared, with the key and the way of reading that both sides offer';

CREATE FUNCTION documentdb_upgrade_internal.parity_refuse_listing(r parity_runs, here jsonb, there jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unknown text;
BEGIN
    IF there->>'encoding' <> here->>'encoding' THEN
        RETURN jsonb_build_object('sqlstate', '55000', 'message', format('the other database has encoding %s, this one %s', there->>'encoding', here->>'encoding'),
            'hint', 'Checksums of texts can be compared in one encoding only.');
    END IF;
    IF (here->>'loses_rows')::boolean OR (there->>'loses_rows')::boolean THEN
        -- Who has imported a snapshot is not told that it is too old.
        RETURN jsonb_build_object('sqlstate', '55000', 'message', format('old_snapshot_threshold is set on %s server: rows may be lost to a snapshot without an error',
                CASE WHEN (here->>'loses_rows')::boolean THEN 'this' ELSE 'the other' END),
            'hint', 'Set old_snapshot_threshold = -1 there, which takes a restart.');
    END IF;
    IF r.algorithm = 'du1' AND here->'functions'->>0 IS NULL THEN
        RETURN jsonb_build_object('sqlstate', '42501', 'message', 'permission denied for function row_checksum',
            'hint', format('GRANT EXECUTE ON FUNCTION documentdb_upgrade.row_checksum(record), documentdb_upgrade.record_checksum(record), documentdb_upgrade.checksum_algorithm() TO %I;', r.role_name));
    END IF;
    IF r.algorithm = 'du1' AND r.kind = 'comparison' AND there->'functions'->>0 IS NULL THEN
        RETURN jsonb_build_object('sqlstate', '0A000', 'message', 'the other database offers no function row_checksum to this role',
            'hint', 'Install extension documentdb_upgrade_parity there and let the role execute its functions, or call with algorithm => ''sql''.');
    END IF;
    SELECT s.name INTO unknown FROM jsonb_array_elements_text(r.options->'schemas') AS s(name)
        WHERE NOT coalesce(here->'schemas' ? s.name, false) AND NOT coalesce(there->'schemas' ? s.name, false);
    IF FOUND THEN
        RETURN jsonb_build_object('sqlstate', '3F000', 'message', format('schema "%s" does not exist', unknown));
    END IF;
    SELECT w.name->>'wanted' INTO unknown FROM jsonb_array_elements(r.options->'tables') AS w(name)
        WHERE NOT coalesce(here->'named' ? (w.name->>'wanted'), false) AND NOT coalesce(there->'named' ? (w.name->>'wanted'), false);
    IF FOUND THEN
        RETURN jsonb_build_object('sqlstate', '42P01', 'message', format('table "%s" does not exist', unknown),
            'hint', 'Only ordinary, partitioned and materialized ones have contents of their own; temporary and system tables are left out.');
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION parity_refuse_listing(parity_runs, jsonb, jsonb) IS
'serves the parity functions: why a run cannot go on with these lists, as an error; null when it can';

CREATE FUNCTION documentdb_upgrade_internal.parity_listed(r parity_runs, here jsonb, there jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Of an earlier round stay the tables that were read to the end, and those
    -- that are half read in the order of a key that is still the same.
    DELETE FROM documentdb_upgrade.parity_tables t
        WHERE t.run = r.id AND t.state <> 'done'
          AND NOT (t.chunks > 0 AND t.strategy IN ('range', 'key')
                   AND EXISTS (SELECT FROM documentdb_upgrade_internal.parity_pairs(r, here, there) p
                               WHERE p.schema_name = t.schema_name AND p.table_name = t.table_name AND p.columns = t.columns
                                 AND p.key_columns = t.key_columns AND p.strategy = t.strategy));
    DELETE FROM documentdb_upgrade.parity_differences d
        WHERE d.run = r.id
          AND NOT EXISTS (SELECT FROM documentdb_upgrade.parity_tables t
                          WHERE t.run = r.id AND t.schema_name = d.schema_name AND t.table_name = d.object_name
                            AND (d.kind = 'row' OR d.kind = 'table' AND t.state = 'done'));
    INSERT INTO documentdb_upgrade.parity_tables AS t (run, schema_name, table_name, phase, strategy, columns, key_columns, sides, bytes, estimate, place, snapshot, first_snapshot)
        SELECT r.id, p.schema_name, p.table_name, CASE WHEN p.place ? 'from' AND NOT p.place ? 'to' THEN 'bound' ELSE 'sum' END,
               p.strategy, p.columns, p.key_columns, p.sides, p.bytes, p.estimate, p.place, r.snapshots, r.snapshots
        FROM documentdb_upgrade_internal.parity_pairs(r, here, there) p
        ON CONFLICT (run, schema_name, table_name) DO UPDATE
            SET state = 'pending', sides = EXCLUDED.sides, snapshot = r.snapshots, work = '{}', problem = NULL, sqlstate = NULL,
                finished_at = NULL, waiting_for = NULL, phase = CASE WHEN t.phase IN ('bound', 'recheck') THEN t.phase ELSE 'sum' END
            WHERE t.state <> 'done';
    IF r.kind = 'comparison' THEN
        PERFORM documentdb_upgrade_internal.parity_compare_listings(r, here, there);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_listed(parity_runs, jsonb, jsonb) IS
'serves the parity functions: notes the tables to be read; of a resumed run those that are left';

CREATE FUNCTION documentdb_upgrade_internal.parity_compare_listings(r parity_runs, here jsonb, there jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH tables AS (
        SELECT schema, name, l.columns AS here, r.columns AS there
        FROM jsonb_to_recordset(here->'tables') AS l(schema text, name text, columns jsonb)
        FULL JOIN jsonb_to_recordset(there->'tables') AS r(schema text, name text, columns jsonb) USING (schema, name)),
    extensions AS (
        SELECT name, l.v->>1 AS here, r.v->>1 AS there
        FROM (SELECT v, v->>0 AS name FROM jsonb_array_elements(nullif(here->'extensions', 'null')) v) l
        FULL JOIN (SELECT v, v->>0 AS name FROM jsonb_array_elements(nullif(there->'extensions', 'null')) v) r USING (name)),
    objects AS (
        SELECT schema, kind, coalesce((l.v->>2)::bigint, 0) AS here, coalesce((r.v->>2)::bigint, 0) AS there
        FROM (SELECT v, v->>0 AS schema, v->>1 AS kind FROM jsonb_array_elements(nullif(here->'objects', 'null')) v) l
        FULL JOIN (SELECT v, v->>0 AS schema, v->>1 AS kind FROM jsonb_array_elements(nullif(there->'objects', 'null')) v) r USING (schema, kind)),
    sequences AS (
        SELECT schema, name, l.v AS here, r.v AS there
        FROM (SELECT v, v->>0 AS schema, v->>1 AS name FROM jsonb_array_elements(nullif(here->'sequences', 'null')) v) l
        FULL JOIN (SELECT v, v->>0 AS schema, v->>1 AS name FROM jsonb_array_elements(nullif(there->'sequences', 'null')) v) r USING (schema, name)),
    found AS (
        SELECT 'extension' AS kind, NULL AS schema, e.name, e.here, e.there,
               CASE WHEN e.there IS NULL THEN 'missing' WHEN e.here IS NULL THEN 'extra' ELSE 'different' END AS difference, NULL AS detail
        FROM extensions e WHERE e.here IS DISTINCT FROM e.there
        UNION ALL
        SELECT 'objects', o.schema, o.kind, o.here::text, o.there::text, 'different', NULL FROM objects o WHERE o.here <> o.there
        UNION ALL
        SELECT 'sequence', s.schema, s.name, NULL, NULL, CASE WHEN s.there IS NULL THEN 'missing' WHEN s.here IS NULL THEN 'extra' ELSE 'error' END,
               CASE WHEN s.here IS NOT NULL AND s.there IS NOT NULL
                    THEN format('42501: permission denied for sequence %s%s', s.name, CASE WHEN (s.here->>2)::boolean THEN ' on the other server' ELSE '' END) END
        FROM sequences s WHERE s.here IS NULL OR s.there IS NULL OR NOT ((s.here->>2)::boolean AND (s.there->>2)::boolean)
        UNION ALL
        SELECT 'table', t.schema, t.name, c.here, c.there,
               CASE WHEN t.there IS NULL THEN 'missing' WHEN t.here IS NULL THEN 'extra' ELSE 'structure' END,
               CASE WHEN t.here IS NOT NULL AND t.there IS NOT NULL THEN 'columns differ; contents were not compared' END
        FROM tables t,
        LATERAL (SELECT string_agg(format('%s %s', a.v->>0, a.v->>1), ', ' ORDER BY (a.v->>0) COLLATE "C") FILTER (WHERE a.side = 1 AND a.others = 0) AS here,
                        string_agg(format('%s %s', a.v->>0, a.v->>1), ', ' ORDER BY (a.v->>0) COLLATE "C") FILTER (WHERE a.side = 2 AND a.others = 0) AS there
                 FROM (SELECT e.side, e.v, count(*) OVER (PARTITION BY e.v) - 1 AS others
                       FROM (SELECT 1 AS side, v FROM jsonb_array_elements(t.here) v UNION ALL SELECT 2, v FROM jsonb_array_elements(t.there) v) e
                       WHERE t.here IS NOT NULL AND t.there IS NOT NULL) a) c
        WHERE t.here IS DISTINCT FROM t.there)
    INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, local, remote, detail)
        SELECT r.id, f.kind, f.schema, f.name, f.difference, f.here, f.there, f.detail FROM found f
        ORDER BY f.kind, f.schema COLLATE "C", f.name COLLATE "C"
$$;
COMMENT ON FUNCTION parity_compare_listings(parity_runs, jsonb, jsonb) IS
'serves the parity functions: notes what the lists alone show to be different';

-- The phases of a run that are not about one table.

CREATE FUNCTION documentdb_upgrade_internal.parity_sequence_statement(sequences jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT 'SELECT json_agg(json_build_array(s.last_value::text, s.is_called) ORDER BY s.n) FROM ('
           || string_agg(format('SELECT %s AS n, last_value, is_called FROM %I.%I', s.n, s.v->>0, s.v->>1), ' UNION ALL ' ORDER BY s.n) || ') AS s'
    FROM jsonb_array_elements(sequences) WITH ORDINALITY AS s(v, n)
$$;
COMMENT ON FUNCTION parity_sequence_statement(jsonb) IS 'serves the parity functions: values of some sequences';

CREATE FUNCTION documentdb_upgrade_internal.parity_run_asks(r parity_runs, OUT local text, OUT remote text, OUT now boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    now := r.phase = 'verifying';
    CASE r.phase
    WHEN 'listing', 'verifying' THEN
        local := documentdb_upgrade_internal.parity_listing(r.options || jsonb_build_object('kind', CASE r.phase WHEN 'listing' THEN r.kind ELSE 'checksums' END));
        remote := local;
    WHEN 'functions' THEN
        local := format('SELECT to_json(%I.checksum_algorithm())', r.sides->'local'->>'functions');
        remote := format('SELECT to_json(%I.checksum_algorithm())', r.sides->'remote'->>'functions');
    WHEN 'sequences' THEN
        local := documentdb_upgrade_internal.parity_sequence_statement(r.work->'now');
        remote := local;
    END CASE;
    IF r.kind = 'checksums' THEN
        remote := NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION parity_run_asks(parity_runs) IS
'serves the parity functions: the statements of the present phase of a run; now: not under its snapshot';

CREATE FUNCTION documentdb_upgrade_internal.parity_sequences_read(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    error record;
BEGIN
    SELECT * INTO error FROM documentdb_upgrade_internal.parity_error(answer) e;
    IF error.side IS NOT NULL AND jsonb_array_length(r.work->'now') > 1 THEN
        -- One of them cannot be read, so they are read one by one.
        UPDATE documentdb_upgrade.parity_runs p SET work = jsonb_build_object('left', (r.work->'now') || (r.work->'left'), 'singly', jsonb_array_length(r.work->'now'))
            WHERE p.id = r.id;
        RETURN;
    END IF;
    INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, detail, local, remote)
        SELECT r.id, 'sequence', s.v->>0, s.v->>1, CASE WHEN error.side IS NULL THEN 'different' ELSE 'error' END,
               error.sqlstate || ': ' || error.message || CASE error.side WHEN 'remote' THEN ' (on the other server)' ELSE '' END, x.here, x.there
        FROM jsonb_array_elements(r.work->'now') WITH ORDINALITY AS s(v, n),
        LATERAL (SELECT answer->'local'->'value'->(s.n - 1)::integer AS l, answer->'remote'->'value'->(s.n - 1)::integer AS r) a,
        LATERAL (SELECT (a.l->>0) || CASE WHEN NOT (a.l->>1)::boolean THEN ', not called yet' ELSE '' END AS here,
                        (a.r->>0) || CASE WHEN NOT (a.r->>1)::boolean THEN ', not called yet' ELSE '' END AS there) x
        WHERE error.side IS NOT NULL OR a.l IS DISTINCT FROM a.r;
    UPDATE documentdb_upgrade.parity_runs p
        SET work = jsonb_build_object('left', r.work->'left', 'singly', greatest((r.work->>'singly')::integer - 1, 0)) WHERE p.id = r.id;
END
$$;
COMMENT ON FUNCTION parity_sequences_read(parity_runs, jsonb) IS 'serves the parity functions: compares the values of some sequences';

CREATE FUNCTION documentdb_upgrade_internal.parity_verified(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH now AS (
        SELECT s.side, x.schema, x.name, x.oid, x.filenode, x.columns
        FROM (VALUES ('local'), ('remote')) AS s(side),
        LATERAL jsonb_to_recordset(nullif(answer->s.side->'value'->'tables', 'null')) AS x(schema text, name text, oid bigint, filenode bigint, columns jsonb)),
    altered AS (
        SELECT t.schema_name, t.table_name,
               min(CASE WHEN n.columns IS DISTINCT FROM t.columns THEN 'columns changed during the run'
                        ELSE 'table was rewritten or truncated during the run' END
                   || CASE s.key WHEN 'remote' THEN ' (on the other server)' ELSE '' END) AS problem
        FROM documentdb_upgrade.parity_tables t CROSS JOIN LATERAL jsonb_each(t.sides) s
        JOIN now n ON n.side = s.key AND n.schema = t.schema_name AND n.name = t.table_name
        WHERE t.run = r.id AND t.state = 'done' AND t.snapshot = r.snapshots
          AND (n.columns IS DISTINCT FROM t.columns OR n.filenode IS DISTINCT FROM (s.value->>'filenode')::bigint OR n.oid <> (s.value->>'oid')::bigint)
        GROUP BY 1, 2),
    gone AS (
        DELETE FROM documentdb_upgrade.parity_differences d USING altered a
        WHERE d.run = r.id AND d.schema_name = a.schema_name AND d.object_name = a.table_name AND d.kind IN ('table', 'row')),
    noted AS (
        INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, detail)
        SELECT r.id, 'table', a.schema_name, a.table_name, 'error', '40001: ' || a.problem FROM altered a)
    UPDATE documentdb_upgrade.parity_tables t SET state = 'error', problem = a.problem, sqlstate = '40001', chunks = 0
        FROM altered a WHERE t.run = r.id AND t.schema_name = a.schema_name AND t.table_name = a.table_name
$$;
COMMENT ON FUNCTION parity_verified(parity_runs, jsonb) IS
'serves the parity functions: takes the result of a table back when it was altered, rewritten or truncated meanwhile: such changes are seen under an old snapshot too';

CREATE FUNCTION documentdb_upgrade_internal.parity_finish(r parity_runs) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE documentdb_upgrade.parity_runs p
        SET phase = 'finished', work = '{}', finished_at = clock_timestamp(), table_count = t.tables, row_count = t.row_count, bytes = t.bytes,
            duration = clock_timestamp() - coalesce((p.options->>'resumed_at')::timestamptz, p.started_at), difference_count = d.n,
            equal = CASE p.kind WHEN 'comparison' THEN d.n = 0 AND t.errors = 0 END,
            state = CASE WHEN t.errors + d.errors > 0 THEN 'incomplete' ELSE 'complete' END
        FROM (SELECT count(*) FILTER (WHERE t.state = 'done') AS tables, count(*) FILTER (WHERE t.state = 'error') AS errors,
                     coalesce(sum(t.row_count) FILTER (WHERE t.state = 'done'), 0) AS row_count, coalesce(sum(t.bytes) FILTER (WHERE t.state = 'done'), 0) AS bytes
              FROM documentdb_upgrade.parity_tables t WHERE t.run = r.id) t,
             (SELECT count(*) AS n, count(*) FILTER (WHERE d.difference = 'error') AS errors
              FROM documentdb_upgrade.parity_differences d WHERE d.run = r.id AND d.confirmed) d
        WHERE p.id = r.id;
    IF r.kind = 'comparison' THEN
        PERFORM documentdb_upgrade_internal.note_parity(r.id);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_finish(parity_runs) IS 'serves the parity functions: sums a run up and ends it';

CREATE FUNCTION documentdb_upgrade_internal.parity_run_hears(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here jsonb := jsonb_strip_nulls(answer->'local'->'value');
    there jsonb := jsonb_strip_nulls(answer->'remote'->'value');
    error jsonb;
BEGIN
    IF r.phase <> 'sequences' THEN
        SELECT jsonb_strip_nulls(jsonb_build_object('sqlstate', e.sqlstate, 'message', e.message, 'detail', e.detail, 'hint', e.hint)) INTO error
            FROM documentdb_upgrade_internal.parity_error(answer) e WHERE e.side IS NOT NULL;
    END IF;
    CASE r.phase
    WHEN 'listing' THEN
        error := coalesce(error, documentdb_upgrade_internal.parity_refuse_listing(r, here, there));
        IF error IS NULL THEN
            PERFORM documentdb_upgrade_internal.parity_listed(r, here, there);
            UPDATE documentdb_upgrade.parity_runs p
                SET phase = CASE WHEN r.kind = 'checksums' THEN 'tables' WHEN r.algorithm = 'sql1' THEN 'sequences' ELSE 'functions' END,
                    sides = jsonb_strip_nulls(jsonb_build_object('local', jsonb_build_object('version', here->'version', 'encoding', here->'encoding',
                        'functions', CASE r.algorithm WHEN 'du1' THEN here->'functions'->0 END)))
                        || CASE WHEN there IS NOT NULL THEN jsonb_strip_nulls(jsonb_build_object('remote', jsonb_build_object('version', there->'version',
                               'encoding', there->'encoding', 'functions', CASE r.algorithm WHEN 'du1' THEN there->'functions'->0 END))) ELSE '{}' END,
                    work = jsonb_build_object('left', (SELECT coalesce(jsonb_agg(h.v ORDER BY h.n), '[]')
                        FROM jsonb_array_elements(here->'sequences') WITH ORDINALITY AS h(v, n) JOIN jsonb_array_elements(there->'sequences') AS t(v) ON t.v = h.v
                        WHERE (h.v->>2)::boolean))
                WHERE p.id = r.id;
        END IF;
    WHEN 'functions' THEN
        IF error IS NULL AND (here <> to_jsonb(r.algorithm) OR there <> here) THEN
            error := jsonb_build_object('sqlstate', '0A000', 'message', format('the other server has checksum algorithm %s, this one %s', there, here),
                'hint', 'Install the same version of the extension on both sides.');
        END IF;
        UPDATE documentdb_upgrade.parity_runs p SET phase = 'sequences' WHERE p.id = r.id;
    WHEN 'sequences' THEN
        PERFORM documentdb_upgrade_internal.parity_sequences_read(r, answer);
    WHEN 'verifying' THEN
        IF error IS NULL THEN
            PERFORM documentdb_upgrade_internal.parity_verified(r, answer);
            PERFORM documentdb_upgrade_internal.parity_finish(r);
        END IF;
    END CASE;
    IF error IS NOT NULL THEN
        PERFORM documentdb_upgrade_internal.parity_fail(r.id, error);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_run_hears(parity_runs, jsonb) IS 'serves the parity functions: takes the answer of the present phase of a run';

-- The phases of a table.

CREATE FUNCTION documentdb_upgrade_internal.parity_claim(r parity_runs, worker integer) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t documentdb_upgrade.parity_tables;
BEGIN
    FOR try IN 1 .. 2 LOOP
        UPDATE documentdb_upgrade.parity_tables p
            SET state = 'running', worker = parity_claim.worker, pid = pg_backend_pid(), started_at = coalesce(p.started_at, clock_timestamp())
            WHERE (p.run, p.schema_name, p.table_name) = (
                SELECT n.run, n.schema_name, n.table_name FROM documentdb_upgrade.parity_tables n
                WHERE n.run = r.id AND n.state = 'pending' AND coalesce((n.work->>'not_before')::timestamptz <= clock_timestamp(), true)
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
COMMENT ON FUNCTION parity_claim(parity_runs, integer) IS 'serves the parity functions: gives the largest table that is left to a process; null when none is, or none that is to be looked at again by now';

CREATE FUNCTION documentdb_upgrade_internal.parity_throttle(r parity_runs) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result text;
BEGIN
    IF r.options ? 'max_lag' THEN
        SELECT format('replication: %s is %s behind', quote_ident(s.application_name), date_trunc('milliseconds', s.replay_lag)) INTO result
            FROM pg_stat_replication s
            WHERE s.replay_lag > make_interval(secs => (r.options->>'max_lag')::float8) AND s.replay_lsn < s.sent_lsn
            ORDER BY s.replay_lag DESC LIMIT 1;
    END IF;
    IF result IS NULL AND r.options ? 'max_active' THEN
        SELECT format('load: %s active sessions', count(*)) INTO result FROM pg_stat_activity a
            WHERE a.backend_type = 'client backend' AND a.state = 'active' AND a.pid IS DISTINCT FROM (r.options->>'caller')::integer
            HAVING count(*) > (r.options->>'max_active')::bigint;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION parity_throttle(parity_runs) IS 'serves the parity functions: what a run should wait for before it reads on; null when nothing';

CREATE FUNCTION documentdb_upgrade_internal.parity_table_statement(t parity_tables, functions text, side text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    CASE t.phase
    WHEN 'bound' THEN
        RETURN format('SELECT (%s)', documentdb_upgrade_internal.parity_next_bound(t, t.place->'from'));
    WHEN 'sum' THEN
        -- Of two sides with blocks of their own one may be through.
        IF t.strategy IN ('range', 'key') OR t.place->side <> 'null' THEN
            RETURN documentdb_upgrade_internal.parity_sum_statement(t, functions, side);
        END IF;
        RETURN NULL;
    WHEN 'buckets' THEN
        RETURN documentdb_upgrade_internal.parity_bucket_statement(t, functions, side);
    WHEN 'rows' THEN
        RETURN documentdb_upgrade_internal.parity_rows_statement(t, functions, side);
    WHEN 'recheck' THEN
        RETURN documentdb_upgrade_internal.parity_recheck_statement(t, functions);
    END CASE;
END
$$;
COMMENT ON FUNCTION parity_table_statement(parity_tables, text, text) IS
'serves the parity functions: the statement of the present phase of a table for one side; null when that side has nothing to do';

CREATE FUNCTION documentdb_upgrade_internal.parity_table_asks(r parity_runs, t parity_tables, OUT local text, OUT remote text, OUT now boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    now := t.phase = 'recheck';
    local := documentdb_upgrade_internal.parity_table_statement(t, r.sides->'local'->>'functions', 'local');
    IF r.kind = 'comparison' AND t.phase <> 'bound' THEN
        remote := documentdb_upgrade_internal.parity_table_statement(t, r.sides->'remote'->>'functions', 'remote');
    END IF;
END
$$;
COMMENT ON FUNCTION parity_table_asks(parity_runs, parity_tables) IS
'serves the parity functions: the statements of the present phase of a table; now: not under the snapshot of the run';

CREATE FUNCTION documentdb_upgrade_internal.parity_candidates(t parity_tables) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT count(*) FROM documentdb_upgrade.parity_differences d
    WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND d.kind = 'row');
END
$$;
COMMENT ON FUNCTION parity_candidates(parity_tables) IS 'serves the parity functions: number of rows found to differ so far';

CREATE FUNCTION documentdb_upgrade_internal.parity_room(r parity_runs, t parity_tables) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- More than will be listed, as some will turn out to have changed meanwhile.
    RETURN (SELECT CASE WHEN m.most > 0 THEN greatest(m.most + least(m.most, 1000) - documentdb_upgrade_internal.parity_candidates(t), 0) ELSE 0 END
    FROM (SELECT coalesce((r.options->>'max_differences')::bigint, 0) AS most) m);
END
$$;
COMMENT ON FUNCTION parity_room(parity_runs, parity_tables) IS 'serves the parity functions: how many more differing rows are to be looked for';

CREATE FUNCTION documentdb_upgrade_internal.parity_advance(t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF t.strategy IN ('range', 'key') THEN
        t.row_count := t.row_count + (t.work->'local'->>'rows')::bigint;
        t.checksum := documentdb_upgrade.add_checksums(t.checksum, t.work->'local'->>'checksum');
        IF t.strategy = 'range' THEN
            t.remote_row_count := t.remote_row_count + (t.work->'remote'->>'rows')::bigint;
            t.remote_checksum := documentdb_upgrade.add_checksums(t.remote_checksum, t.work->'remote'->>'checksum');
        END IF;
        t.phase := CASE WHEN t.place->'to' <> 'null' THEN 'sum' ELSE 'recheck' END;
        t.place := jsonb_build_object('from', t.place->'to', 'to', coalesce(t.work->'next', 'null'));
    ELSE
        t.phase := 'recheck';
    END IF;
    t.work := '{}';
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_advance(parity_tables) IS
'serves the parity functions: adds up a range that is done with, and goes on to the next; after the last one, to the rows that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_drill(r parity_runs, t parity_tables, most bigint) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF documentdb_upgrade_internal.parity_room(r, t) = 0 THEN
        t.truncated := true;
        RETURN documentdb_upgrade_internal.parity_advance(t);
    END IF;
    IF most <= 2000 THEN
        t.phase := 'rows';
    ELSE
        -- Some hundred rows to a bucket, and 65,536 buckets at the most.
        t.phase := 'buckets';
        t.work := t.work || jsonb_build_object('digits', CASE WHEN most <= 100000 THEN 2 WHEN most <= 2000000 THEN 3 ELSE 4 END);
    END IF;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_drill(parity_runs, parity_tables, bigint) IS
'serves the parity functions: begins to look for the rows that differ among so many, unless enough are known';

CREATE FUNCTION documentdb_upgrade_internal.parity_summed(r parity_runs, t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target numeric := (r.options->>'chunk_ms')::numeric;
    part record;
BEGIN
    t.chunks := t.chunks + 1;
    IF t.strategy IN ('range', 'key') THEN
        t.work := (SELECT jsonb_object_agg(s.side, jsonb_build_object('rows', s.value->'rows',
                       'checksum', documentdb_upgrade_internal.parity_checksum(s.value->>'checksum', r.algorithm)))
                   FROM (SELECT a.key AS side, a.value->'value' AS value FROM jsonb_each(answer) a WHERE a.key IN ('local', 'remote')) s)
                  || jsonb_build_object('next', answer->'local'->'value'->'next');
        t.chunk := documentdb_upgrade_internal.parity_pace(t.chunk, target, greatest((answer->'local'->>'ms')::numeric, (answer->'remote'->>'ms')::numeric));
        IF t.strategy = 'range' AND t.work->'local' <> t.work->'remote' THEN
            RETURN documentdb_upgrade_internal.parity_drill(r, t, greatest((t.work->'local'->>'rows')::bigint, (t.work->'remote'->>'rows')::bigint));
        END IF;
        RETURN documentdb_upgrade_internal.parity_advance(t);
    END IF;

    FOR part IN SELECT a.key AS side, (a.value->'value'->>'rows')::bigint AS rows,
                       documentdb_upgrade_internal.parity_checksum(a.value->'value'->>'checksum', r.algorithm) AS checksum, (a.value->>'ms')::numeric AS ms,
                       (t.place->a.key->>'block')::bigint + (t.place->a.key->>'step')::bigint AS next
                FROM jsonb_each(answer) a WHERE a.key IN ('local', 'remote')
    LOOP
        IF part.side = 'local' THEN
            t.row_count := t.row_count + part.rows;
            t.checksum := documentdb_upgrade.add_checksums(t.checksum, part.checksum);
        ELSE
            t.remote_row_count := t.remote_row_count + part.rows;
            t.remote_checksum := documentdb_upgrade.add_checksums(t.remote_checksum, part.checksum);
        END IF;
        t.place := t.place || jsonb_build_object(part.side, CASE WHEN part.next < (t.sides->part.side->>'blocks')::bigint
            THEN jsonb_build_object('block', part.next, 'step', documentdb_upgrade_internal.parity_pace((t.place->part.side->>'step')::bigint, target, part.ms)) END);
    END LOOP;
    IF t.place->'local' = 'null' AND coalesce(t.place->'remote', 'null') = 'null' THEN
        IF r.kind = 'comparison' AND (t.row_count, t.checksum) IS DISTINCT FROM (t.remote_row_count, t.remote_checksum) THEN
            RETURN documentdb_upgrade_internal.parity_drill(r, t, greatest(t.row_count, t.remote_row_count));
        END IF;
        t.phase := 'recheck';
    END IF;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_summed(parity_runs, parity_tables, jsonb) IS 'serves the parity functions: takes the rows and checksum of a range';

CREATE FUNCTION documentdb_upgrade_internal.parity_pace(chunk bigint, target numeric, took numeric) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT least(greatest(chunk * least(greatest(target / greatest(took, 1), 0.25), 4), 16), 100000000)::bigint);
END
$$;
COMMENT ON FUNCTION parity_pace(bigint, numeric, numeric) IS
'serves the parity functions: how much to read at a time, going by how long the last piece took; a quarter to four times as much as that';

CREATE FUNCTION documentdb_upgrade_internal.parity_bucketed(t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    t.phase := 'rows';
    t.work := t.work || (
        SELECT jsonb_build_object('left', coalesce(jsonb_agg(bucket ORDER BY bucket), '[]'),
                                  'batch', greatest(5000 / max(greatest((l.value->>0)::bigint, (r.value->>0)::bigint)), 1))
        FROM jsonb_each(nullif(answer->'local'->'value', 'null')) AS l(bucket, value)
        FULL JOIN jsonb_each(nullif(answer->'remote'->'value', 'null')) AS r(bucket, value) USING (bucket)
        WHERE l.value IS DISTINCT FROM r.value);
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_bucketed(parity_tables, jsonb) IS 'serves the parity functions: takes the buckets of a range and keeps those that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_next_buckets(t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF t.work ? 'left' THEN
        IF t.work->'left' = '[]' THEN
            RETURN documentdb_upgrade_internal.parity_advance(t);
        END IF;
        t.work := t.work || (SELECT jsonb_build_object('now', jsonb_agg(b.v ORDER BY b.n) FILTER (WHERE b.n <= batch.size),
                                                       'left', coalesce(jsonb_agg(b.v ORDER BY b.n) FILTER (WHERE b.n > batch.size), '[]'))
                             FROM (SELECT (t.work->>'batch')::bigint AS size) batch, jsonb_array_elements(t.work->'left') WITH ORDINALITY AS b(v, n));
    END IF;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_next_buckets(parity_tables) IS 'serves the parity functions: the buckets to read next; the next range when there are none';

CREATE FUNCTION documentdb_upgrade_internal.parity_rows_read(r parity_runs, t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    room bigint := documentdb_upgrade_internal.parity_room(r, t);
    found bigint;
BEGIN
    WITH differing AS (
        SELECT k, CASE WHEN there.v IS NULL THEN 'missing' WHEN here.v IS NULL THEN 'extra' ELSE 'different' END AS difference
        FROM (SELECT v, v->0 AS k FROM jsonb_array_elements(nullif(answer->'local'->'value', 'null')) v) here
        FULL JOIN (SELECT v, v->0 AS k FROM jsonb_array_elements(nullif(answer->'remote'->'value', 'null')) v) there USING (k)
        WHERE here.v IS DISTINCT FROM there.v),
    named AS (
        SELECT d.difference, CASE WHEN t.key_columns IS NULL THEN jsonb_build_array(d.k) ELSE d.k END AS looked_for,
               (SELECT jsonb_object_agg(c.v->>0, CASE WHEN c.v->>1 IN ('smallint', 'integer', 'bigint', 'oid') THEN to_jsonb((d.k->>(c.n - 1)::integer)::bigint)
                                                      ELSE d.k->(c.n - 1)::integer END)
                FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS c(v, n)) AS key
        FROM differing d),
    added AS (
        INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, key, confirmed, looked_for)
            SELECT t.run, 'row', t.schema_name, t.table_name, n.difference, n.key, false, n.looked_for
            FROM named n
            WHERE NOT EXISTS (SELECT FROM documentdb_upgrade.parity_differences o
                              WHERE o.run = t.run AND o.schema_name = t.schema_name AND o.object_name = t.table_name AND o.looked_for = n.looked_for)
            ORDER BY n.key, n.looked_for LIMIT room)
    SELECT count(*) INTO found FROM named;
    IF found > room OR found = room AND t.work->'left' <> '[]' THEN
        t.truncated := true;
        RETURN documentdb_upgrade_internal.parity_advance(t);
    END IF;
    IF NOT t.work ? 'left' THEN
        RETURN documentdb_upgrade_internal.parity_advance(t);
    END IF;
    RETURN documentdb_upgrade_internal.parity_next_buckets(t);
END
$$;
COMMENT ON FUNCTION parity_rows_read(parity_runs, parity_tables, jsonb) IS 'serves the parity functions: takes the rows of some buckets and notes those that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_rechecked(r parity_runs, t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tries integer := coalesce((t.work->>'tries')::integer, 0) + 1;
    agreed bigint;
BEGIN
    WITH seen AS (
        SELECT d.id, answer->'local'->'value'->d.id::text AS here, answer->'remote'->'value'->d.id::text AS there
        FROM documentdb_upgrade.parity_differences d
        WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed),
    gone AS (
        DELETE FROM documentdb_upgrade.parity_differences d USING seen s
        WHERE d.id = s.id AND s.here->0 IS NOT DISTINCT FROM s.there->0 RETURNING d.id),
    noted AS (
        UPDATE documentdb_upgrade.parity_differences d
            SET difference = CASE WHEN s.there IS NULL THEN 'missing' WHEN s.here IS NULL THEN 'extra' ELSE 'different' END,
                local = s.here->>1, remote = s.there->>1,
                detail = CASE WHEN t.key_columns IS NULL
                              THEN CASE WHEN coalesce((s.here->>0)::bigint, 0) + coalesce((s.there->>0)::bigint, 0) > 1
                                        THEN format('%s times here, %s times there', coalesce(s.here->>0, '0'), coalesce(s.there->>0, '0')) END
                              WHEN s.here IS NOT NULL AND s.there IS NOT NULL
                              THEN coalesce((SELECT 'columns that differ: ' || string_agg(key, ', ' ORDER BY key COLLATE "C")
                                             FROM jsonb_each_text(s.here->1) a FULL JOIN jsonb_each_text(s.there->1) b USING (key)
                                             WHERE a.value IS DISTINCT FROM b.value), 'looks the same as text') END
            FROM seen s WHERE d.id = s.id AND s.here->0 IS DISTINCT FROM s.there->0)
    SELECT count(*) INTO agreed FROM gone;
    t.changed := t.changed + agreed;
    -- Meanwhile the process takes other tables.
    t.state := 'pending';
    t.waiting_for := 'rows that may still be on their way';
    t.work := jsonb_build_object('tries', tries, 'not_before', clock_timestamp() + tries * interval '500 ms');
    IF tries >= 4 THEN
        UPDATE documentdb_upgrade.parity_differences d SET confirmed = true
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed;
    END IF;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_rechecked(parity_runs, parity_tables, jsonb) IS
'serves the parity functions: forgets differing rows that agree by now, and believes the others after four looks over three seconds';

CREATE FUNCTION documentdb_upgrade_internal.parity_table_done(r parity_runs, t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most bigint := coalesce((r.options->>'max_differences')::bigint, 0);
    differing bigint := documentdb_upgrade_internal.parity_candidates(t);
BEGIN
    IF differing > most THEN
        t.truncated := true;
        DELETE FROM documentdb_upgrade.parity_differences d
            WHERE d.id IN (SELECT o.id FROM documentdb_upgrade.parity_differences o
                           WHERE o.run = t.run AND o.schema_name = t.schema_name AND o.object_name = t.table_name AND o.kind = 'row'
                           ORDER BY o.id OFFSET most);
    END IF;
    IF r.kind = 'comparison' AND (differing > 0 OR t.truncated
                                  OR t.changed = 0 AND (t.row_count, t.checksum) IS DISTINCT FROM (t.remote_row_count, t.remote_checksum)) THEN
        INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, local, remote, detail)
            VALUES (t.run, 'table', t.schema_name, t.table_name, 'different', format('%s rows, %s', t.row_count, t.checksum),
                    format('%s rows, %s', t.remote_row_count, t.remote_checksum),
                    CASE WHEN t.truncated AND most = 0 THEN 'differing rows were not looked for'
                         WHEN t.truncated AND differing = 0 THEN 'more rows differed than were looked at again'
                         WHEN t.truncated THEN format('more than %s rows differ', least(differing, most))
                         WHEN differing = 1 THEN '1 row differs' ELSE format('%s rows differ', differing) END
                    || CASE WHEN t.changed > 0 THEN format('; %s %schanged meanwhile and agree now', t.changed, CASE WHEN differing > 0 THEN 'more ' ELSE '' END) ELSE '' END);
    END IF;
    t.state := 'done';
    t.phase := 'done';
    t.waiting_for := NULL;
    t.finished_at := clock_timestamp();
    t.work := '{}';
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_table_done(parity_runs, parity_tables) IS 'serves the parity functions: the verdict on a table';

CREATE FUNCTION documentdb_upgrade_internal.parity_table_hears(r parity_runs, t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    error record;
BEGIN
    SELECT * INTO error FROM documentdb_upgrade_internal.parity_error(answer) e;
    t.ms := t.ms + greatest((answer->'local'->>'ms')::numeric, (answer->'remote'->>'ms')::numeric, 0);
    IF error.side IS NOT NULL THEN
        t.state := 'error';
        t.finished_at := clock_timestamp();
        t.sqlstate := error.sqlstate;
        t.problem := error.message || CASE error.side WHEN 'remote' THEN ' (on the other server)' ELSE '' END;
        DELETE FROM documentdb_upgrade.parity_differences d
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed;
        INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, detail)
            VALUES (t.run, 'table', t.schema_name, t.table_name, 'error', t.sqlstate || ': ' || t.problem || coalesce(' - ' || error.detail, ''));
        RETURN t;
    END IF;
    CASE t.phase
    WHEN 'bound' THEN
        t.place := t.place || jsonb_build_object('to', coalesce(answer->'local'->'value', 'null'));
        t.phase := 'sum';
    WHEN 'sum' THEN
        t := documentdb_upgrade_internal.parity_summed(r, t, answer);
    WHEN 'buckets' THEN
        t := documentdb_upgrade_internal.parity_bucketed(t, answer);
        t := documentdb_upgrade_internal.parity_next_buckets(t);
    WHEN 'rows' THEN
        t := documentdb_upgrade_internal.parity_rows_read(r, t, answer);
    WHEN 'recheck' THEN
        t := documentdb_upgrade_internal.parity_rechecked(r, t, answer);
    END CASE;
    IF t.phase = 'recheck' AND NOT EXISTS (SELECT FROM documentdb_upgrade.parity_differences d
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed) THEN
        t := documentdb_upgrade_internal.parity_table_done(r, t);
    END IF;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_table_hears(parity_runs, parity_tables, jsonb) IS 'serves the parity functions: takes the answer of the present phase of a table';

CREATE FUNCTION documentdb_upgrade_internal.parity_store(t parity_tables) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE documentdb_upgrade.parity_tables p
        SET state = t.state, phase = t.phase, finished_at = t.finished_at, place = t.place, work = t.work, chunk = t.chunk, chunks = t.chunks,
            row_count = t.row_count, checksum = t.checksum, remote_row_count = t.remote_row_count, remote_checksum = t.remote_checksum,
            ms = t.ms, changed = t.changed, truncated = t.truncated, waiting_for = t.waiting_for, problem = t.problem, sqlstate = t.sqlstate
        WHERE p.run = t.run AND p.schema_name = t.schema_name AND p.table_name = t.table_name;
END
$$;
COMMENT ON FUNCTION parity_store(parity_tables) IS 'serves the parity functions: keeps how far a table is';

-- What the other server says may be anything: it can be broken, or not be the
-- one that is meant.  Statements are asked for values of known shapes.

CREATE FUNCTION documentdb_upgrade_internal.parity_is_listing(value jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_typeof(value->'version') = 'number' AND jsonb_typeof(value->'encoding') = 'string'
                    AND jsonb_typeof(value->'loses_rows') = 'boolean', false)
       AND NOT EXISTS (SELECT FROM unnest('{functions,schemas,named,tables,sequences,extensions,objects}'::text[]) AS k(key)
                       WHERE jsonb_typeof(value->k.key) NOT IN ('array', 'null'))
       AND NOT EXISTS (
           SELECT FROM jsonb_array_elements(nullif(value->'tables', 'null')) AS t(v)
           WHERE NOT coalesce(jsonb_typeof(t.v->'schema') = 'string' AND jsonb_typeof(t.v->'name') = 'string'
                              AND jsonb_typeof(t.v->'columns') = 'array' AND jsonb_typeof(t.v->'physical') = 'array'
                              AND (t.v->>'oid')::numeric BETWEEN 1 AND 4294967295
                              AND coalesce((t.v->>'blocks')::numeric, 0) BETWEEN 0 AND 4294967295
                              AND coalesce((t.v->>'bytes')::numeric, 0) BETWEEN 0 AND 9223372036854775807, false))
$$;
COMMENT ON FUNCTION parity_is_listing(jsonb) IS 'serves the parity functions: whether a value is a list as parity_listing() asks for it';

CREATE FUNCTION documentdb_upgrade_internal.parity_is_answer(r parity_runs, t parity_tables, value jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    phase constant text := CASE r.phase WHEN 'tables' THEN t.phase ELSE r.phase END;
BEGIN
    CASE phase
    WHEN 'listing', 'verifying' THEN
        RETURN documentdb_upgrade_internal.parity_is_listing(value);
    WHEN 'functions' THEN
        RETURN jsonb_typeof(value) = 'string';
    WHEN 'sequences' THEN
        RETURN jsonb_array_length(value) = jsonb_array_length(r.work->'now')
           AND NOT EXISTS (SELECT FROM jsonb_array_elements(value) AS s(v)
                           WHERE (jsonb_typeof(s.v->0), jsonb_typeof(s.v->1)) IS DISTINCT FROM ('string', 'boolean'));
    WHEN 'sum' THEN
        RETURN jsonb_typeof(value->'rows') = 'number' AND (value->>'rows')::bigint >= 0 AND jsonb_typeof(value->'checksum') = 'string'
           AND value->>'checksum' ~ CASE r.algorithm WHEN 'sql1' THEN '^[0-9]{1,39}$' ELSE '^[0-9a-f]{32}$' END;
    WHEN 'buckets' THEN
        RETURN NOT EXISTS (SELECT FROM jsonb_each(nullif(value, 'null')) AS b(key, v)
                           WHERE NOT coalesce(b.key ~ '^[0-9a-f]{1,4}$' AND (b.v->>0)::bigint > 0 AND jsonb_typeof(b.v->1) = 'string', false));
    WHEN 'rows' THEN
        RETURN NOT EXISTS (SELECT FROM jsonb_array_elements(nullif(value, 'null')) AS x(v)
                           WHERE NOT coalesce(CASE WHEN t.key_columns IS NULL THEN jsonb_typeof(x.v->0) = 'string' AND (x.v->>1)::bigint > 0
                                                   ELSE jsonb_array_length(x.v->0) = jsonb_array_length(t.key_columns) AND jsonb_typeof(x.v->1) = 'string'
                                                        AND NOT EXISTS (SELECT FROM jsonb_array_elements(x.v->0) AS k(v) WHERE jsonb_typeof(k.v) <> 'string') END, false));
    WHEN 'recheck' THEN
        RETURN NOT EXISTS (SELECT FROM jsonb_each(nullif(value, 'null')) AS x(id, v)
                           WHERE NOT coalesce(jsonb_typeof(x.v->1) = 'object'
                                              AND CASE WHEN t.key_columns IS NULL THEN (x.v->>0)::bigint > 0 ELSE jsonb_typeof(x.v->0) = 'string' END, false));
    ELSE
        RETURN false;
    END CASE;
END
$$;
COMMENT ON FUNCTION parity_is_answer(parity_runs, parity_tables, jsonb) IS
'serves the parity functions: whether a value has the shape that the statement of the present phase asks for';

CREATE FUNCTION documentdb_upgrade_internal.parity_accept(r parity_runs, t parity_tables, answer jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF answer->'remote' ? 'value' AND documentdb_upgrade_internal.parity_is_answer(r, t, answer->'remote'->'value') IS NOT TRUE THEN
        RAISE EXCEPTION 'it is not of the form that was asked for' USING ERRCODE = 'data_exception';
    END IF;
END
$$;
COMMENT ON FUNCTION parity_accept(parity_runs, parity_tables, jsonb) IS
'serves the parity functions: 22000 for a value of the other server that nothing can be made of';

CREATE FUNCTION documentdb_upgrade_internal.parity_nonsense(phase text, answer jsonb, sqlstate text, message text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('sqlstate', '08P01', 'message', 'the answer of the other server makes no sense',
                              'detail', format('Phase %s: %s.', phase, left(message, 500)),
                              'hint', 'See what answers at that address: the other server is broken or not the one that is meant, or something between the two changes what it says.')
        WHERE answer->'remote' ? 'value' AND sqlstate ~ '^(0A|2[123]|54)'
$$;
COMMENT ON FUNCTION parity_nonsense(text, jsonb, text, text) IS
'serves the parity functions: the error for a value of the other server that could not be taken; null where that cannot be the reason';

CREATE FUNCTION documentdb_upgrade_internal.parity_next(run bigint, worker integer, answer jsonb,
                            OUT action text, OUT local text, OUT remote text, OUT wait_ms integer)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r documentdb_upgrade.parity_runs;
    t documentdb_upgrade.parity_tables;
    error record;
    nonsense jsonb;
    now boolean;
BEGIN
    answer := nullif(nullif(answer, 'null'), '{}');
    SELECT * INTO error FROM documentdb_upgrade_internal.parity_error(answer) e;
    IF error.ends_run THEN
        PERFORM documentdb_upgrade_internal.parity_fail(parity_next.run, jsonb_strip_nulls(jsonb_build_object('sqlstate', error.sqlstate,
            'message', error.message, 'detail', error.detail, 'hint', error.hint)));
    END IF;
    LOOP
        SELECT * INTO r FROM documentdb_upgrade.parity_runs p WHERE p.id = parity_next.run;
        IF r.state IS DISTINCT FROM 'running' THEN
            action := 'done';
            RETURN;
        END IF;
        EXIT WHEN r.phase = 'tables';
        IF worker <> 0 THEN
            action := 'wait';
            wait_ms := 20;
            RETURN;
        END IF;
        IF answer IS NOT NULL THEN
            BEGIN
                PERFORM documentdb_upgrade_internal.parity_accept(r, NULL, answer);
                PERFORM documentdb_upgrade_internal.parity_run_hears(r, answer);
            EXCEPTION WHEN OTHERS THEN
                nonsense := documentdb_upgrade_internal.parity_nonsense(r.phase, answer, SQLSTATE, SQLERRM);
                IF nonsense IS NULL THEN
                    RAISE;
                END IF;
                PERFORM documentdb_upgrade_internal.parity_fail(r.id, nonsense);
            END;
            answer := NULL;
        ELSIF r.phase = 'sequences' AND NOT r.work ? 'now' AND r.work->'left' = '[]' THEN
            UPDATE documentdb_upgrade.parity_runs p SET phase = 'tables', work = '{}' WHERE p.id = r.id;
        ELSE
            IF r.phase = 'sequences' AND NOT r.work ? 'now' THEN
                UPDATE documentdb_upgrade.parity_runs p
                    SET work = p.work || (SELECT jsonb_build_object('now', jsonb_agg(s.v ORDER BY s.n) FILTER (WHERE s.n <= b.size),
                                                  'left', coalesce(jsonb_agg(s.v ORDER BY s.n) FILTER (WHERE s.n > b.size), '[]'))
                                          FROM (SELECT CASE WHEN (p.work->>'singly')::integer > 0 THEN 1 ELSE 200 END AS size) b,
                                               jsonb_array_elements(p.work->'left') WITH ORDINALITY AS s(v, n))
                    WHERE p.id = r.id RETURNING * INTO r;
            END IF;
            SELECT a.local, a.remote, CASE WHEN a.now THEN 'run_now' ELSE 'run' END INTO local, remote, action
                FROM documentdb_upgrade_internal.parity_run_asks(r) a;
            RETURN;
        END IF;
    END LOOP;

    SELECT * INTO t FROM documentdb_upgrade.parity_tables p
        WHERE p.run = r.id AND p.worker = parity_next.worker AND p.pid = pg_backend_pid() AND p.state = 'running';
    IF FOUND AND answer IS NOT NULL THEN
        BEGIN
            PERFORM documentdb_upgrade_internal.parity_accept(r, t, answer);
            t := documentdb_upgrade_internal.parity_table_hears(r, t, answer);
            PERFORM documentdb_upgrade_internal.parity_store(t);
        EXCEPTION WHEN OTHERS THEN
            nonsense := documentdb_upgrade_internal.parity_nonsense(t.phase, answer, SQLSTATE, SQLERRM);
            IF nonsense IS NULL THEN
                RAISE;
            END IF;
            PERFORM documentdb_upgrade_internal.parity_fail(r.id, nonsense);
            action := 'done';
            RETURN;
        END;
    END IF;
    IF t.state IS DISTINCT FROM 'running' THEN
        t := documentdb_upgrade_internal.parity_claim(r, worker);
    END IF;
    IF t.run IS NULL THEN
        -- The others leave, process 0 sees to the end.
        SELECT greatest(1000 * extract(epoch FROM min((p.work->>'not_before')::timestamptz) - clock_timestamp()), 50) INTO wait_ms
            FROM documentdb_upgrade.parity_tables p WHERE p.run = r.id AND p.state IN ('pending', 'running') HAVING count(*) > 0;
        IF worker <> 0 THEN
            action := 'done';
            wait_ms := NULL;
        ELSIF FOUND THEN
            action := 'wait';
        ELSE
            UPDATE documentdb_upgrade.parity_runs p SET phase = 'verifying' WHERE p.id = r.id RETURNING * INTO r;
            SELECT a.local, a.remote, 'run_now' INTO local, remote, action FROM documentdb_upgrade_internal.parity_run_asks(r) a;
        END IF;
        RETURN;
    END IF;

    t.waiting_for := CASE WHEN t.phase <> 'recheck' THEN documentdb_upgrade_internal.parity_throttle(r) END;
    UPDATE documentdb_upgrade.parity_tables p SET waiting_for = t.waiting_for
        WHERE p.run = t.run AND p.schema_name = t.schema_name AND p.table_name = t.table_name AND p.waiting_for IS DISTINCT FROM t.waiting_for;
    IF t.waiting_for IS NOT NULL THEN
        action := 'wait';
        wait_ms := 500;
        RETURN;
    END IF;
    SELECT a.local, a.remote, CASE WHEN a.now THEN 'run_now' ELSE 'run' END INTO local, remote, action
        FROM documentdb_upgrade_internal.parity_table_asks(r, t) a;
END
$$;
COMMENT ON FUNCTION parity_next(bigint, integer, jsonb) IS
'serves run_parity(): takes the answer to the last statement of a process and tells what it is to do next: run (under the snapshots of the run), run_now (under new ones), wait or done';

-- What people call.

CREATE FUNCTION documentdb_upgrade_internal.parity_outcome(run bigint, reader oid) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r documentdb_upgrade.parity_runs;
    resume text;
BEGIN
    SELECT * INTO r FROM documentdb_upgrade.parity_runs p
        WHERE p.id = parity_outcome.run AND pg_has_role(reader, p.role, 'USAGE');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no run % of this role', run USING ERRCODE = 'undefined_object';
    END IF;
    resume := format('Call %s again with resume => %s; what it has read to the end is kept.',
                     CASE r.kind WHEN 'checksums' THEN 'table_checksums()' ELSE 'compare_with()' END, r.id);
    IF r.state NOT IN ('complete', 'incomplete') THEN
        RAISE EXCEPTION USING ERRCODE = coalesce(r.sqlstate, 'internal_error'), MESSAGE = coalesce(r.message, format('run %s ended early', r.id)),
            DETAIL = concat_ws(E'\n', r.detail, format('Run %s has read %s of %s tables.', r.id,
                         (SELECT count(*) FROM documentdb_upgrade.parity_tables t WHERE t.run = r.id AND t.state = 'done'),
                         (SELECT count(*) FROM documentdb_upgrade.parity_tables t WHERE t.run = r.id))),
            HINT = concat_ws(' ', r.hint, CASE WHEN EXISTS (SELECT FROM documentdb_upgrade.parity_tables t WHERE t.run = r.id) THEN resume
                                              WHEN r.hint IS NULL THEN 'See documentdb_upgrade.parity_runs.' END);
    END IF;
    RAISE NOTICE '%', format('%s %s tables, %s rows, %s in %s s: %s', CASE r.kind WHEN 'checksums' THEN 'summed' ELSE 'compared' END,
        r.table_count, r.row_count, pg_size_pretty(r.bytes), round(extract(epoch FROM r.duration)::numeric, 1),
        CASE WHEN r.kind = 'checksums' THEN r.state
             WHEN r.equal THEN 'equal'
             ELSE 'differences in ' || (SELECT string_agg(format('%s: %s', d.kind, d.n), ', ' ORDER BY d.kind)
                  FROM (SELECT d.kind, count(*) AS n FROM documentdb_upgrade.parity_differences d WHERE d.run = r.id AND d.confirmed GROUP BY 1) d) END
        || CASE WHEN r.kind = 'comparison' THEN CASE WHEN r.exact THEN ', exact' ELSE ', not exact: no write fence was up and drained' END ELSE '' END)
        USING DETAIL = format('Run %s, algorithm %s.', r.id, r.algorithm)
            || CASE WHEN r.snapshots > 1 THEN format(' It was resumed: its tables are of %s different moments.', r.snapshots) ELSE '' END
            || coalesce((SELECT format(' %s rows changed meanwhile and agree now.', sum(t.changed)) FROM documentdb_upgrade.parity_tables t
                         WHERE t.run = r.id HAVING sum(t.changed) > 0), '');
    IF r.state = 'incomplete' THEN
        RAISE NOTICE '%', format('run %s could not read everything', r.id) USING HINT = resume;
    END IF;
END
$$;
COMMENT ON FUNCTION parity_outcome(bigint, oid) IS
'serves parity_checksums() and parity_found(): how a run of a role that the reader belongs to ended, as a NOTICE, or as the error that ended it';

CREATE FUNCTION documentdb_upgrade_internal.parity_read_checksums(run bigint, reader oid)
    RETURNS TABLE (schema_name text, table_name text, row_count bigint, checksum text, bytes bigint, duration interval, problem text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM documentdb_upgrade_internal.parity_outcome(run, reader);
    RETURN QUERY
        SELECT t.schema_name, t.table_name, CASE t.state WHEN 'done' THEN t.row_count END, CASE t.state WHEN 'done' THEN t.checksum END,
               t.bytes, make_interval(secs => (t.ms / 1000)::float8), t.sqlstate || ': ' || t.problem
        FROM documentdb_upgrade.parity_tables t WHERE t.run = parity_read_checksums.run
        ORDER BY t.schema_name COLLATE "C", t.table_name COLLATE "C";
END
$$;
COMMENT ON FUNCTION parity_read_checksums(bigint, oid) IS 'serves parity_checksums(): the same for a role';

CREATE FUNCTION documentdb_upgrade_internal.parity_read_differences(run bigint, reader oid)
    RETURNS TABLE (kind text, schema_name text, object_name text, difference text, key jsonb, local text, remote text, detail text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM documentdb_upgrade_internal.parity_outcome(run, reader);
    RETURN QUERY
        SELECT d.kind, d.schema_name, d.object_name, d.difference, d.key, d.local, d.remote, d.detail
        FROM documentdb_upgrade.parity_differences d
        LEFT JOIN documentdb_upgrade.parity_tables t ON t.run = d.run AND t.schema_name = d.schema_name AND t.table_name = d.object_name
        WHERE d.run = parity_read_differences.run AND d.confirmed
        ORDER BY array_position(ARRAY['extension', 'objects', 'sequence'], d.kind), d.schema_name COLLATE "C", d.object_name COLLATE "C",
                 d.kind = 'row', ARRAY(SELECT d.key->(k.v->>0) FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n) ORDER BY k.n),
                 d.looked_for;
END
$$;
COMMENT ON FUNCTION parity_read_differences(bigint, oid) IS 'serves parity_found(): the same for a role';

-- Functions in C, because a SECURITY DEFINER function does not know who calls it.
CREATE FUNCTION documentdb_upgrade_internal.parity_checksums(run bigint)
    RETURNS TABLE (schema_name text, table_name text, row_count bigint, checksum text, bytes bigint, duration interval, problem text)
    LANGUAGE C VOLATILE ROWS 100
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_parity_checksums';
COMMENT ON FUNCTION parity_checksums(bigint) IS 'serves table_checksums(): the result of a run of the role that calls, or of one that it belongs to';

CREATE FUNCTION documentdb_upgrade_internal.parity_found(run bigint)
    RETURNS TABLE (kind text, schema_name text, object_name text, difference text, key jsonb, local text, remote text, detail text)
    LANGUAGE C VOLATILE ROWS 100
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_parity_found';
COMMENT ON FUNCTION parity_found(bigint) IS 'serves compare_with(): the differences that a run of the role that calls, or of one that it belongs to, has found';

CREATE FUNCTION table_checksums(schemas text[] DEFAULT NULL, tables text[] DEFAULT NULL, workers integer DEFAULT 2,
                                chunk interval DEFAULT '500 ms', max_lag interval DEFAULT '30 s', max_active integer DEFAULT NULL,
                                resume bigint DEFAULT NULL)
    RETURNS TABLE (run bigint, schema_name text, table_name text, row_count bigint, checksum text, bytes bigint, duration interval, problem text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done constant bigint := documentdb_upgrade_internal.run_parity(jsonb_strip_nulls(jsonb_build_object('kind', 'checksums',
        'schemas', schemas, 'tables', tables, 'workers', workers, 'chunk_ms', extract(epoch FROM chunk) * 1000,
        'max_lag', extract(epoch FROM max_lag), 'max_active', max_active, 'resume', resume)));
BEGIN
    RETURN QUERY SELECT done, c.* FROM documentdb_upgrade_internal.parity_checksums(done) c;
END
$$;
COMMENT ON FUNCTION table_checksums(text[], text[], integer, interval, interval, integer, bigint) IS
'rows, checksum and size of tables under one snapshot, by that many processes, in pieces of about chunk, waiting while standbys are more than max_lag behind or more than max_active other sessions at work; problem says why a table could not be read. It needs the privilege to read the tables, USAGE on schema documentdb_upgrade_internal, and EXECUTE on its functions run_parity() and parity_checksums(). 42P01: no such table; 53400: no background process is free; 55006, 55000: the run cannot be resumed';

CREATE FUNCTION compare_with(conninfo text, schemas text[] DEFAULT NULL, tables text[] DEFAULT NULL, workers integer DEFAULT 2,
                             chunk interval DEFAULT '500 ms', max_lag interval DEFAULT '30 s', max_active integer DEFAULT NULL,
                             max_differences integer DEFAULT 100, algorithm text DEFAULT 'du1', resume bigint DEFAULT NULL)
    RETURNS TABLE (run bigint, kind text, schema_name text, object_name text, difference text, key jsonb, local text, remote text, detail text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done bigint;
BEGIN
    IF conninfo IS NULL THEN
        RAISE EXCEPTION 'conninfo must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Give the connection string of the other server, such as host=green dbname=app user=parity.';
    END IF;
    done := documentdb_upgrade_internal.run_parity(jsonb_strip_nulls(jsonb_build_object('kind', 'comparison',
        'schemas', schemas, 'tables', tables, 'workers', workers, 'chunk_ms', extract(epoch FROM chunk) * 1000,
        'max_lag', extract(epoch FROM max_lag), 'max_active', max_active, 'max_differences', max_differences, 'algorithm', algorithm,
        'resume', resume)), conninfo);
    RETURN QUERY SELECT done, f.* FROM documentdb_upgrade_internal.parity_found(done) f;
END
$$;
COMMENT ON FUNCTION compare_with(text, text[], text[], integer, interval, interval, integer, integer, text, bigint) IS
'what differs between this database and the one that conninfo leads to: tables, rows (max_differences of each table are named), sequences, extensions and versions, counts of objects; no row means equal. Rows that differ are looked at again for some seconds. algorithm: du1, which needs extension documentdb_upgrade_parity there, or sql. It needs USAGE on schema documentdb_upgrade_internal, and EXECUTE on its functions run_parity() and parity_found(), too. 0A000: no checksum functions there; 55000: other encoding; 08006: the connection was lost, and resume takes the run up again';
