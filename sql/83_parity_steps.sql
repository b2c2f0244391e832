--
-- Parity: the phases of a table, and what a process is to do next
--

CREATE FUNCTION documentdb_upgrade_internal.parity_claim(r parity_runs, worker integer) RETURNS parity_tables
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
COMMENT ON FUNCTION parity_claim(parity_runs, integer) IS
    'serves the parity functions: gives the largest table that is left to a process; null when none is, or none that '
    'is to be looked at again by now';

CREATE FUNCTION documentdb_upgrade_internal.parity_throttle(r parity_runs) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result text;
BEGIN
    IF r.options ? 'max_lag' THEN
        SELECT format('replication: %s is %s behind', quote_ident(s.application_name),
                      date_trunc('milliseconds', s.replay_lag)) INTO result
            FROM pg_stat_replication s
            WHERE s.replay_lag > make_interval(secs => (r.options->>'max_lag')::float8) AND s.replay_lsn < s.sent_lsn
            ORDER BY s.replay_lag DESC LIMIT 1;
    END IF;
    IF result IS NULL AND r.options ? 'max_active' THEN
        SELECT format('load: %s active sessions', count(*)) INTO result FROM pg_stat_activity a
            WHERE a.backend_type = 'client backend' AND a.state = 'active'
              AND a.pid IS DISTINCT FROM (r.options->>'caller')::integer
            HAVING count(*) > (r.options->>'max_active')::bigint;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION parity_throttle(parity_runs) IS
    'serves the parity functions: what a run should wait for before it reads on; null when nothing';

CREATE FUNCTION documentdb_upgrade_internal.parity_pace(chunk bigint, target numeric, took numeric) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN least(greatest(chunk * least(greatest(target / greatest(took, 1), 0.25), 4), 16), 100000000)::bigint;
END
$$;
COMMENT ON FUNCTION parity_pace(bigint, numeric, numeric) IS
    'serves the parity functions: how much to read at a time, going by how long the last piece took; a quarter to four '
    'times as much as that';

CREATE FUNCTION documentdb_upgrade_internal.parity_rows_noted(t parity_tables) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT count(*) FROM documentdb_upgrade.parity_differences d
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND d.kind = 'row');
END
$$;
COMMENT ON FUNCTION parity_rows_noted(parity_tables) IS
    'serves the parity functions: number of rows found to differ so far';

CREATE FUNCTION documentdb_upgrade_internal.parity_rows_wanted(r parity_runs, t parity_tables) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most constant bigint := coalesce((r.options->>'max_differences')::bigint, 0);
BEGIN
    IF most = 0 THEN
        RETURN 0;
    END IF;
    -- More than will be listed, as some will turn out to have changed meanwhile.
    RETURN greatest(most + least(most, 1000) - documentdb_upgrade_internal.parity_rows_noted(t), 0);
END
$$;
COMMENT ON FUNCTION parity_rows_wanted(parity_runs, parity_tables) IS
    'serves the parity functions: how many more differing rows are to be looked for';

CREATE FUNCTION documentdb_upgrade_internal.parity_next_range(t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF t.strategy IN ('own', 'ctid') OR t.place->'to' = 'null' THEN
        t.phase := 'recheck';
    ELSE
        t.phase := 'sum';
    END IF;
    IF t.strategy IN ('range', 'key') THEN
        t.row_count := t.row_count + (t.work->'local'->>'rows')::bigint;
        t.checksum := documentdb_upgrade.add_checksums(t.checksum, t.work->'local'->>'checksum');
        t.place := jsonb_build_object('from', t.place->'to', 'to', coalesce(t.work->'next', 'null'));
    END IF;
    IF t.strategy = 'range' THEN
        t.remote_row_count := t.remote_row_count + (t.work->'remote'->>'rows')::bigint;
        t.remote_checksum := documentdb_upgrade.add_checksums(t.remote_checksum, t.work->'remote'->>'checksum');
    END IF;
    t.work := '{}';
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_next_range(parity_tables) IS
    'serves the parity functions: adds up a range that is done with, and goes on to the next; after the last one, and '
    'where each side has its own blocks, to the rows that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_search(r parity_runs, t parity_tables, most bigint)
    RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF documentdb_upgrade_internal.parity_rows_wanted(r, t) = 0 THEN
        t.truncated := true;
        RETURN documentdb_upgrade_internal.parity_next_range(t);
    ELSIF most <= 2000 THEN
        t.phase := 'rows';
    ELSE
        -- Some hundred rows to a bucket, and 65,536 buckets at the most.
        t.phase := 'buckets';
        t.work := t.work || jsonb_build_object('digits', CASE WHEN most <= 100000 THEN 2
                                                              WHEN most <= 2000000 THEN 3 ELSE 4 END);
    END IF;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_search(parity_runs, parity_tables, bigint) IS
    'serves the parity functions: begins to look for the rows that differ among so many, unless enough are known';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_range(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    t.work := (SELECT jsonb_object_agg(a.side, jsonb_build_object('rows', a.said->'value'->'rows', 'checksum',
                          documentdb_upgrade_internal.parity_checksum(a.said->'value'->>'checksum', r.algorithm)))
               FROM jsonb_each(answer) AS a(side, said) WHERE a.side IN ('local', 'remote'))
              || jsonb_build_object('next', answer->'local'->'value'->'next');
    t.chunk := documentdb_upgrade_internal.parity_pace(t.chunk, (r.options->>'chunk_ms')::numeric,
        greatest((answer->'local'->>'ms')::numeric, (answer->'remote'->>'ms')::numeric));
    IF t.strategy = 'range' AND t.work->'local' <> t.work->'remote' THEN
        RETURN documentdb_upgrade_internal.parity_search(r, t,
            greatest((t.work->'local'->>'rows')::bigint, (t.work->'remote'->>'rows')::bigint));
    END IF;
    RETURN documentdb_upgrade_internal.parity_next_range(t);
END
$$;
COMMENT ON FUNCTION parity_take_range(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: takes the rows and checksum of a range of keys';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_blocks(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT a.side, (a.said->'value'->>'rows')::bigint AS rows,
                       documentdb_upgrade_internal.parity_checksum(a.said->'value'->>'checksum', r.algorithm)
                           AS checksum,
                       (t.place->a.side->>'block')::bigint + (t.place->a.side->>'step')::bigint AS next,
                       documentdb_upgrade_internal.parity_pace((t.place->a.side->>'step')::bigint,
                           (r.options->>'chunk_ms')::numeric, (a.said->>'ms')::numeric) AS step
                FROM jsonb_each(answer) AS a(side, said) WHERE a.side IN ('local', 'remote')
    LOOP
        IF part.side = 'local' THEN
            t.row_count := t.row_count + part.rows;
            t.checksum := documentdb_upgrade.add_checksums(t.checksum, part.checksum);
        ELSE
            t.remote_row_count := t.remote_row_count + part.rows;
            t.remote_checksum := documentdb_upgrade.add_checksums(t.remote_checksum, part.checksum);
        END IF;
        t.place := t.place || jsonb_build_object(part.side,
            CASE WHEN part.next < (t.sides->part.side->>'blocks')::bigint
                 THEN jsonb_build_object('block', part.next, 'step', part.step) END);
    END LOOP;
    IF t.place->'local' <> 'null' OR t.place->'remote' <> 'null' THEN
        RETURN t;
    ELSIF r.kind = 'comparison' AND (t.row_count, t.checksum) IS DISTINCT FROM (t.remote_row_count, t.remote_checksum)
    THEN
        RETURN documentdb_upgrade_internal.parity_search(r, t, greatest(t.row_count, t.remote_row_count));
    END IF;
    RETURN documentdb_upgrade_internal.parity_next_range(t);
END
$$;
COMMENT ON FUNCTION parity_take_blocks(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: takes the rows and checksum of some blocks on each side';

CREATE FUNCTION documentdb_upgrade_internal.parity_next_buckets(t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    batch constant bigint := t.work->>'batch';
BEGIN
    IF NOT t.work ? 'left' OR t.work->'left' = '[]' THEN
        RETURN documentdb_upgrade_internal.parity_next_range(t);
    END IF;
    t.work := t.work || (
        SELECT jsonb_build_object('now', jsonb_agg(b.v ORDER BY b.n) FILTER (WHERE b.n <= batch),
                                  'left', coalesce(jsonb_agg(b.v ORDER BY b.n) FILTER (WHERE b.n > batch), '[]'))
        FROM jsonb_array_elements(t.work->'left') WITH ORDINALITY AS b(v, n));
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_next_buckets(parity_tables) IS
    'serves the parity functions: the buckets to read next; the next range when there are none';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_buckets(t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    t.phase := 'rows';
    t.work := t.work || (
        SELECT jsonb_build_object(
            'left', coalesce(jsonb_agg(bucket ORDER BY bucket), '[]'),
            'batch', greatest(5000 / max(greatest((l.value->>0)::bigint, (r.value->>0)::bigint)), 1))
        FROM jsonb_each(nullif(answer->'local'->'value', 'null')) AS l(bucket, value)
        FULL JOIN jsonb_each(nullif(answer->'remote'->'value', 'null')) AS r(bucket, value) USING (bucket)
        WHERE l.value IS DISTINCT FROM r.value);
    RETURN documentdb_upgrade_internal.parity_next_buckets(t);
END
$$;
COMMENT ON FUNCTION parity_take_buckets(parity_tables, jsonb) IS
    'serves the parity functions: takes the buckets of a range and keeps those that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_rows(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted constant bigint := documentdb_upgrade_internal.parity_rows_wanted(r, t);
    found bigint;
BEGIN
    WITH differing AS (
        SELECT k, CASE WHEN there.v IS NULL THEN 'missing' WHEN here.v IS NULL THEN 'extra'
                       ELSE 'different' END AS difference
        FROM (SELECT v, v->0 AS k FROM jsonb_array_elements(nullif(answer->'local'->'value', 'null')) v) here
        FULL JOIN (SELECT v, v->0 AS k FROM jsonb_array_elements(nullif(answer->'remote'->'value', 'null')) v) there
            USING (k)
        WHERE here.v IS DISTINCT FROM there.v),
    named AS (
        SELECT d.difference, CASE WHEN t.key_columns IS NULL THEN jsonb_build_array(d.k) ELSE d.k END AS looked_for,
               (SELECT jsonb_object_agg(c.v->>0, CASE WHEN c.v->>1 IN ('smallint', 'integer', 'bigint', 'oid')
                                                      THEN to_jsonb((d.k->>(c.n - 1)::integer)::bigint)
                                                      ELSE d.k->(c.n - 1)::integer END)
                FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS c(v, n)) AS key
        FROM differing d),
    added AS (
        INSERT INTO documentdb_upgrade.parity_differences
                (run, kind, schema_name, object_name, difference, key, confirmed, looked_for)
            SELECT t.run, 'row', t.schema_name, t.table_name, n.difference, n.key, false, n.looked_for
            FROM named n
            WHERE NOT EXISTS (SELECT FROM documentdb_upgrade.parity_differences o
                              WHERE o.run = t.run AND o.schema_name = t.schema_name AND o.object_name = t.table_name
                                AND o.looked_for = n.looked_for)
            ORDER BY n.key, n.looked_for LIMIT wanted)
    SELECT count(*) INTO found FROM named;
    IF found > wanted OR found = wanted AND t.work->'left' <> '[]' THEN
        t.truncated := true;
        RETURN documentdb_upgrade_internal.parity_next_range(t);
    END IF;
    RETURN documentdb_upgrade_internal.parity_next_buckets(t);
END
$$;
COMMENT ON FUNCTION parity_take_rows(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: takes the rows of some buckets and notes those that differ';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_recheck(t parity_tables, answer jsonb) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tries constant integer := coalesce((t.work->>'tries')::integer, 0) + 1;
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
            SET difference = CASE WHEN s.there IS NULL THEN 'missing' WHEN s.here IS NULL THEN 'extra'
                                  ELSE 'different' END,
                local = s.here->>1, remote = s.there->>1,
                detail = CASE
                    WHEN t.key_columns IS NULL
                    THEN CASE WHEN coalesce((s.here->>0)::bigint, 0) + coalesce((s.there->>0)::bigint, 0) > 1
                              THEN format('%s times here, %s times there',
                                          coalesce(s.here->>0, '0'), coalesce(s.there->>0, '0')) END
                    WHEN s.here IS NOT NULL AND s.there IS NOT NULL
                    THEN coalesce((SELECT 'columns that differ: ' || string_agg(key, ', ' ORDER BY key COLLATE "C")
                                   FROM jsonb_each_text(s.here->1) a FULL JOIN jsonb_each_text(s.there->1) b USING (key)
                                   WHERE a.value IS DISTINCT FROM b.value), 'looks the same as text') END
            FROM seen s WHERE d.id = s.id AND s.here->0 IS DISTINCT FROM s.there->0)
    SELECT count(*) INTO agreed FROM gone;
    IF tries >= 4 THEN
        UPDATE documentdb_upgrade.parity_differences d SET confirmed = true
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed;
    END IF;
    -- Meanwhile the process takes other tables.
    t.state := 'pending';
    t.waiting_for := 'rows that may still be on their way';
    t.work := jsonb_build_object('tries', tries, 'not_before', clock_timestamp() + tries * interval '500 ms');
    t.changed := t.changed + agreed;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_take_recheck(parity_tables, jsonb) IS
    'serves the parity functions: forgets differing rows that agree by now, and believes the others after four looks '
    'over three seconds';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_failure(t parity_tables, side text, error jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    t.state := 'error';
    t.finished_at := clock_timestamp();
    t.sqlstate := error->>'sqlstate';
    t.problem := (error->>'message') || CASE side WHEN 'remote' THEN ' (on the other server)' ELSE '' END;
    DELETE FROM documentdb_upgrade.parity_differences d
        WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed;
    INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, detail)
        VALUES (t.run, 'table', t.schema_name, t.table_name, 'error',
                t.sqlstate || ': ' || t.problem || coalesce(' - ' || (error->>'detail'), ''));
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_take_failure(parity_tables, text, jsonb) IS
    'serves the parity functions: gives up a table that cannot be read';

CREATE FUNCTION documentdb_upgrade_internal.parity_judge(r parity_runs, t parity_tables) RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most constant bigint := coalesce((r.options->>'max_differences')::bigint, 0);
    differing constant bigint := documentdb_upgrade_internal.parity_rows_noted(t);
    verdict text;
BEGIN
    IF differing > most THEN
        t.truncated := true;
        DELETE FROM documentdb_upgrade.parity_differences d
            WHERE d.id IN (SELECT o.id FROM documentdb_upgrade.parity_differences o
                           WHERE o.run = t.run AND o.schema_name = t.schema_name AND o.object_name = t.table_name
                             AND o.kind = 'row' ORDER BY o.id OFFSET most);
    END IF;
    IF r.kind = 'comparison' AND (
        differing > 0 OR t.truncated
        OR t.changed = 0 AND (t.row_count, t.checksum) IS DISTINCT FROM (t.remote_row_count, t.remote_checksum))
    THEN
        verdict := CASE
            WHEN t.truncated AND most = 0 THEN 'differing rows were not looked for'
            WHEN t.truncated AND differing = 0 THEN 'more rows differed than were looked at again'
            WHEN t.truncated THEN format('more than %s rows differ', least(differing, most))
            WHEN differing = 1 THEN '1 row differs'
            ELSE format('%s rows differ', differing) END;
        IF t.changed > 0 THEN
            verdict := verdict || format('; %s %schanged meanwhile and agree now', t.changed,
                                         CASE WHEN differing > 0 THEN 'more ' ELSE '' END);
        END IF;
        INSERT INTO documentdb_upgrade.parity_differences
                (run, kind, schema_name, object_name, difference, local, remote, detail)
            VALUES (t.run, 'table', t.schema_name, t.table_name, 'different',
                    format('%s rows, %s', t.row_count, t.checksum),
                    format('%s rows, %s', t.remote_row_count, t.remote_checksum), verdict);
    END IF;
    t.state := 'done';
    t.phase := 'done';
    t.waiting_for := NULL;
    t.finished_at := clock_timestamp();
    t.work := '{}';
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_judge(parity_runs, parity_tables) IS
    'serves the parity functions: the verdict on a table';

CREATE FUNCTION documentdb_upgrade_internal.parity_hear_table(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    failed record;
BEGIN
    SELECT * INTO failed FROM documentdb_upgrade_internal.parity_error(answer) e;
    t.ms := t.ms + greatest((answer->'local'->>'ms')::numeric, (answer->'remote'->>'ms')::numeric, 0);
    IF failed.side IS NOT NULL THEN
        t := documentdb_upgrade_internal.parity_take_failure(t, failed.side, failed.error);
    ELSE
        CASE t.phase
        WHEN 'bound' THEN
            t.place := t.place || jsonb_build_object('to', coalesce(answer->'local'->'value', 'null'));
            t.phase := 'sum';
        WHEN 'sum' THEN
            t.chunks := t.chunks + 1;
            IF t.strategy IN ('range', 'key') THEN
                t := documentdb_upgrade_internal.parity_take_range(r, t, answer);
            ELSE
                t := documentdb_upgrade_internal.parity_take_blocks(r, t, answer);
            END IF;
        WHEN 'buckets' THEN
            t := documentdb_upgrade_internal.parity_take_buckets(t, answer);
        WHEN 'rows' THEN
            t := documentdb_upgrade_internal.parity_take_rows(r, t, answer);
        WHEN 'recheck' THEN
            t := documentdb_upgrade_internal.parity_take_recheck(t, answer);
        END CASE;
        IF t.phase = 'recheck' AND NOT EXISTS (
            SELECT FROM documentdb_upgrade.parity_differences d
            WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed)
        THEN
            t := documentdb_upgrade_internal.parity_judge(r, t);
        END IF;
    END IF;
    UPDATE documentdb_upgrade.parity_tables p
        SET state = t.state, phase = t.phase, finished_at = t.finished_at, place = t.place, work = t.work,
            chunk = t.chunk, chunks = t.chunks, row_count = t.row_count, checksum = t.checksum,
            remote_row_count = t.remote_row_count, remote_checksum = t.remote_checksum, ms = t.ms, changed = t.changed,
            truncated = t.truncated, waiting_for = t.waiting_for, problem = t.problem, sqlstate = t.sqlstate
        WHERE p.run = t.run AND p.schema_name = t.schema_name AND p.table_name = t.table_name;
    RETURN t;
END
$$;
COMMENT ON FUNCTION parity_hear_table(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: takes the answer of the present phase of a table';

CREATE FUNCTION documentdb_upgrade_internal.parity_hear(r parity_runs, t parity_tables, answer jsonb)
    RETURNS parity_tables
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    from_elsewhere constant boolean := answer->'remote' ? 'value';
    failed record;
BEGIN
    SELECT * INTO failed FROM documentdb_upgrade_internal.parity_error(answer) e;
    IF failed.ends_run THEN
        PERFORM documentdb_upgrade_internal.parity_fail(r.id, failed.error);
        RETURN NULL;
    END IF;
    BEGIN
        IF from_elsewhere
           AND documentdb_upgrade_internal.parity_is_answer(r, t, answer->'remote'->'value') IS NOT TRUE THEN
            RAISE EXCEPTION 'it is not of the form that was asked for' USING ERRCODE = 'data_exception';
        END IF;
        IF r.phase = 'tables' THEN
            RETURN documentdb_upgrade_internal.parity_hear_table(r, t, answer);
        END IF;
        PERFORM documentdb_upgrade_internal.parity_hear_run(r, answer);
    EXCEPTION WHEN OTHERS THEN
        -- Other errors, or without a value from there, are not of its making.
        IF from_elsewhere IS NOT TRUE OR SQLSTATE !~ '^(0A|2[123]|54)' THEN
            RAISE;
        END IF;
        PERFORM documentdb_upgrade_internal.parity_fail(r.id, jsonb_build_object('sqlstate', '08P01',
            'message', 'the answer of the other server makes no sense',
            'detail', format('Phase %s: %s.', CASE r.phase WHEN 'tables' THEN t.phase ELSE r.phase END,
                             left(SQLERRM, 500)),
            'hint', 'See what answers at that address: the other server is broken or not the one that is meant, '
                    'or something between the two changes what it says.'));
    END;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION parity_hear(parity_runs, parity_tables, jsonb) IS
    'serves parity_next(): takes an answer; the table as it is now, null when it was not about one. An error that is '
    'not about one table, and a value from elsewhere that nothing can be made of, ends the run';

CREATE FUNCTION documentdb_upgrade_internal.parity_next(run bigint, worker integer, answer jsonb,
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
COMMENT ON FUNCTION parity_next(bigint, integer, jsonb) IS
    'serves run_parity(): takes the answer to the last statement of a process and tells what it is to do next: run '
    '(under the snapshots of the run), run_now (under new ones), wait or done';
