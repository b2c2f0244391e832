--
-- Parity: many small tables with one statement
--

-- A statement of its own for each would be most of a run over thousands of small
-- tables.  Of those that are read as a whole many are asked about at once.  What is
-- not alike, or was not to be read with the others, is asked about alone then.

CREATE FUNCTION documentdb_upgrade_internal.parity_is_small(t parity_tables) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN t.phase = 'sum' AND t.chunks = 0 AND t.work = '{}' AND (t.sides->'local'->>'blocks')::bigint <= 8
       AND coalesce((t.sides->'remote'->>'blocks')::bigint, 0) <= 8;
END
$$;
COMMENT ON FUNCTION parity_is_small(parity_tables) IS
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
COMMENT ON FUNCTION parity_claim_more(parity_tables) IS
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
COMMENT ON FUNCTION parity_statement(parity_tables, text, text) IS
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
COMMENT ON FUNCTION parity_take_batch(parity_runs, integer, jsonb) IS
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
COMMENT ON FUNCTION parity_hear_batch(parity_runs, integer, jsonb) IS
    'serves parity_next(): takes the answers about tables that were asked about together; the others are left for '
    'statements of their own. An error that is not about tables ends the run';
