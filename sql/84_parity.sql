--
-- Parity: what people call
--

CREATE FUNCTION documentdb_upgrade_internal.run_parity(options jsonb, conninfo text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_parity';
COMMENT ON FUNCTION run_parity(jsonb, text) IS
    'has background processes carry out a parity run under a snapshot of the caller''s, and with conninfo under one of '
    'the other server''s too; waits for them and returns the run''s id; for table_checksums() and compare_with()';

CREATE FUNCTION documentdb_upgrade_internal.parity_outcome(run bigint, reader oid) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r documentdb_upgrade.parity_runs;
    resume text;
    tables bigint;
    tables_done bigint;
    rows_changed bigint;
    result text;
BEGIN
    SELECT * INTO r FROM documentdb_upgrade.parity_runs p
        WHERE p.id = parity_outcome.run AND pg_has_role(reader, p.role, 'USAGE');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no run % of this role', run USING ERRCODE = 'undefined_object';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE t.state = 'done'), sum(t.changed) INTO tables, tables_done, rows_changed
        FROM documentdb_upgrade.parity_tables t WHERE t.run = r.id;
    resume := format('Call %s again with resume => %s; what it has read to the end is kept.',
                     CASE r.kind WHEN 'checksums' THEN 'table_checksums()' ELSE 'compare_with()' END, r.id);
    IF r.state NOT IN ('complete', 'incomplete') THEN
        RAISE EXCEPTION USING ERRCODE = coalesce(r.sqlstate, 'internal_error'),
            MESSAGE = coalesce(r.message, format('run %s ended early', r.id)),
            DETAIL = concat_ws(E'\n', r.detail, format('Run %s has read %s of %s tables.', r.id, tables_done, tables)),
            HINT = concat_ws(' ', r.hint, CASE WHEN tables > 0 THEN resume
                                               WHEN r.hint IS NULL THEN 'See documentdb_upgrade.parity_runs.' END);
    END IF;

    IF r.kind = 'checksums' THEN
        result := r.state;
    ELSE
        result := CASE WHEN r.equal THEN 'equal' ELSE 'differences in ' || (
                      SELECT string_agg(format('%s: %s', d.kind, d.n), ', ' ORDER BY d.kind)
                      FROM (SELECT d.kind, count(*) AS n FROM documentdb_upgrade.parity_differences d
                            WHERE d.run = r.id AND d.confirmed GROUP BY 1) d) END
                  || CASE WHEN r.exact THEN ', exact' ELSE ', not exact: no write fence was up and drained' END;
    END IF;
    RAISE NOTICE '%', format('%s %s tables, %s rows, %s in %s s: %s',
            CASE r.kind WHEN 'checksums' THEN 'summed' ELSE 'compared' END, r.table_count, r.row_count,
            pg_size_pretty(r.bytes), round(extract(epoch FROM r.duration)::numeric, 1), result)
        USING DETAIL = format('Run %s, algorithm %s.', r.id, r.algorithm)
            || CASE WHEN r.snapshots > 1
                    THEN format(' It was resumed: its tables are of %s different moments.', r.snapshots) ELSE '' END
            || CASE WHEN rows_changed > 0
                    THEN format(' %s rows changed meanwhile and agree now.', rows_changed) ELSE '' END;
    IF r.state = 'incomplete' THEN
        RAISE NOTICE '%', format('run %s could not read everything', r.id) USING HINT = resume;
    END IF;
END
$$;
COMMENT ON FUNCTION parity_outcome(bigint, oid) IS
    'serves parity_checksums() and parity_found(): how a run of a role that the reader belongs to ended, as a NOTICE, '
    'or as the error that ended it';

CREATE FUNCTION documentdb_upgrade_internal.parity_read_checksums(run bigint, reader oid)
    RETURNS TABLE (schema_name text, table_name text, row_count bigint, checksum text, bytes bigint, duration interval,
                   problem text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM documentdb_upgrade_internal.parity_outcome(run, reader);
    RETURN QUERY
        SELECT t.schema_name, t.table_name,
               CASE t.state WHEN 'done' THEN t.row_count END, CASE t.state WHEN 'done' THEN t.checksum END,
               t.bytes, make_interval(secs => (t.ms / 1000)::float8), t.sqlstate || ': ' || t.problem
        FROM documentdb_upgrade.parity_tables t WHERE t.run = parity_read_checksums.run
        ORDER BY t.schema_name COLLATE "C", t.table_name COLLATE "C";
END
$$;
COMMENT ON FUNCTION parity_read_checksums(bigint, oid) IS 'serves parity_checksums(): the same for a role';

CREATE FUNCTION documentdb_upgrade_internal.parity_read_differences(run bigint, reader oid)
    RETURNS TABLE (kind text, schema_name text, object_name text, difference text, key jsonb, local text, remote text,
                   detail text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM documentdb_upgrade_internal.parity_outcome(run, reader);
    RETURN QUERY
        SELECT d.kind, d.schema_name, d.object_name, d.difference, d.key, d.local, d.remote, d.detail
        FROM documentdb_upgrade.parity_differences d
        LEFT JOIN documentdb_upgrade.parity_tables t
            ON t.run = d.run AND t.schema_name = d.schema_name AND t.table_name = d.object_name
        WHERE d.run = parity_read_differences.run AND d.confirmed
        ORDER BY array_position(ARRAY['extension', 'objects', 'sequence'], d.kind),
                 d.schema_name COLLATE "C", d.object_name COLLATE "C", d.kind = 'row',
                 ARRAY(SELECT d.key->(k.v->>0) FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n)
                       ORDER BY k.n),
                 d.looked_for;
END
$$;
COMMENT ON FUNCTION parity_read_differences(bigint, oid) IS 'serves parity_found(): the same for a role';

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

-- Functions in C, because a SECURITY DEFINER function does not know who calls it.
CREATE FUNCTION documentdb_upgrade_internal.parity_checksums(run bigint)
    RETURNS TABLE (schema_name text, table_name text, row_count bigint, checksum text, bytes bigint, duration interval,
                   problem text)
    LANGUAGE C VOLATILE ROWS 100
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_parity_checksums';
COMMENT ON FUNCTION parity_checksums(bigint) IS
    'serves table_checksums(): the result of a run of the role that calls, or of one that it belongs to';

CREATE FUNCTION documentdb_upgrade_internal.parity_found(run bigint)
    RETURNS TABLE (kind text, schema_name text, object_name text, difference text, key jsonb, local text, remote text,
                   detail text)
    LANGUAGE C VOLATILE ROWS 100
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_parity_found';
COMMENT ON FUNCTION parity_found(bigint) IS
    'serves compare_with(): the differences that a run of the role that calls, or of one that it belongs to, has found';

CREATE FUNCTION documentdb_upgrade_internal.parity_counts(run bigint)
    RETURNS TABLE (schema_name text, table_name text, rows_here bigint, rows_there bigint, match boolean, detail text)
    LANGUAGE C VOLATILE ROWS 100
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_parity_counts';
COMMENT ON FUNCTION parity_counts(bigint) IS
    'serves row_counts(): the tables of a run of the role that calls, or of one that it belongs to';

CREATE FUNCTION table_checksums(schemas text[] DEFAULT NULL, tables text[] DEFAULT NULL, workers integer DEFAULT 2,
                                chunk interval DEFAULT '500 ms', max_lag interval DEFAULT '30 s',
                                max_active integer DEFAULT NULL, resume bigint DEFAULT NULL)
    RETURNS TABLE (run bigint, schema_name text, table_name text, row_count bigint, checksum text, bytes bigint,
                   duration interval, problem text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done constant bigint := documentdb_upgrade_internal.run_parity(jsonb_strip_nulls(jsonb_build_object(
        'kind', 'checksums', 'schemas', schemas, 'tables', tables, 'workers', workers,
        'chunk_ms', extract(epoch FROM chunk) * 1000, 'max_lag', extract(epoch FROM max_lag), 'max_active', max_active,
        'resume', resume)));
BEGIN
    RETURN QUERY SELECT done, c.* FROM documentdb_upgrade_internal.parity_checksums(done) c;
END
$$;
COMMENT ON FUNCTION table_checksums(text[], text[], integer, interval, interval, integer, bigint) IS
    'rows, checksum and size of tables under one snapshot, by that many processes, in pieces of about chunk, waiting '
    'while standbys are more than max_lag behind or more than max_active other sessions at work; problem says why a '
    'table could not be read. It needs the privilege to read the tables, USAGE on schema documentdb_upgrade_internal, '
    'and EXECUTE on its functions run_parity() and parity_checksums(). 42P01: no such table; 53400: no background '
    'process is free; 55006, 55000: the run cannot be resumed';

CREATE FUNCTION compare_with(conninfo text, schemas text[] DEFAULT NULL, tables text[] DEFAULT NULL,
                             workers integer DEFAULT 2, chunk interval DEFAULT '500 ms',
                             max_lag interval DEFAULT '30 s', max_active integer DEFAULT NULL,
                             max_differences integer DEFAULT 100, algorithm text DEFAULT 'du1',
                             resume bigint DEFAULT NULL)
    RETURNS TABLE (run bigint, kind text, schema_name text, object_name text, difference text, key jsonb, local text,
                   remote text, detail text)
    LANGUAGE plpgsql VOLATILE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done bigint;
BEGIN
    IF conninfo IS NULL THEN
        RAISE EXCEPTION 'conninfo must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give the connection string of the other server, such as host=green dbname=app user=parity.';
    END IF;
    done := documentdb_upgrade_internal.run_parity(jsonb_strip_nulls(jsonb_build_object(
        'kind', 'comparison', 'schemas', schemas, 'tables', tables, 'workers', workers,
        'chunk_ms', extract(epoch FROM chunk) * 1000, 'max_lag', extract(epoch FROM max_lag), 'max_active', max_active,
        'max_differences', max_differences, 'algorithm', algorithm, 'resume', resume)), conninfo);
    RETURN QUERY SELECT done, f.* FROM documentdb_upgrade_internal.parity_found(done) f;
END
$$;
COMMENT ON FUNCTION compare_with(text, text[], text[], integer, interval, interval, integer, integer, text, bigint) IS
    'what differs between this database and the one that conninfo leads to: tables, rows (max_differences of each '
    'table are named), sequences, extensions and versions, counts of objects; no row means equal. Rows that differ are '
    'looked at again for some seconds. algorithm: du1, which needs extension documentdb_upgrade_parity there, or sql. '
    'It needs USAGE on schema documentdb_upgrade_internal, and EXECUTE on its functions run_parity() and '
    'parity_found(), too. 0A000: no checksum functions there; 55000: other encoding; 08006: the connection was lost, '
    'and resume takes the run up again';

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
