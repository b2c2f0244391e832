--
-- Parity: a run as a whole, and those of its phases that are not about one table
--

CREATE FUNCTION documentdb_upgrade_internal.parity_is_exact() RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM documentdb_upgrade.cutovers c
                   WHERE c.server = (SELECT system_identifier FROM pg_control_system())
                     AND c.lifted_at IS NULL AND c.drained_at IS NOT NULL);
END
$$;
COMMENT ON FUNCTION parity_is_exact() IS
    'serves the parity functions: whether a write fence is up and the last writer gone';

CREATE FUNCTION documentdb_upgrade_internal.parity_begin(options jsonb) RETURNS bigint
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

CREATE FUNCTION documentdb_upgrade_internal.parity_fail(run bigint, error jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE documentdb_upgrade.parity_tables t SET state = 'pending', waiting_for = NULL
        WHERE t.run = parity_fail.run AND t.state = 'running';
    UPDATE documentdb_upgrade.parity_runs r
        SET state = 'failed', finished_at = clock_timestamp(), equal = NULL,
            sqlstate = coalesce(error->>'sqlstate', 'XX000'), message = coalesce(error->>'message', 'unknown error'),
            detail = error->>'detail', hint = error->>'hint'
        WHERE r.id = parity_fail.run AND r.state = 'running'
$$;
COMMENT ON FUNCTION parity_fail(bigint, jsonb) IS
    'serves run_parity(): ends a run with an error (sqlstate, message, detail, hint); what it has summed is kept for a '
    'resume';

CREATE FUNCTION documentdb_upgrade_internal.parity_finish(r parity_runs) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE documentdb_upgrade.parity_runs p
        SET state = CASE WHEN t.errors + d.errors > 0 THEN 'incomplete' ELSE 'complete' END,
            phase = 'finished', work = '{}', finished_at = clock_timestamp(),
            duration = clock_timestamp() - coalesce((p.options->>'resumed_at')::timestamptz, p.started_at),
            table_count = t.tables, row_count = t.row_count, bytes = t.bytes, difference_count = d.n,
            equal = CASE p.kind WHEN 'comparison' THEN d.n = 0 AND t.errors = 0 END
        FROM (SELECT count(*) FILTER (WHERE t.state = 'done') AS tables,
                     count(*) FILTER (WHERE t.state = 'error') AS errors,
                     coalesce(sum(t.row_count) FILTER (WHERE t.state = 'done'), 0) AS row_count,
                     coalesce(sum(t.bytes) FILTER (WHERE t.state = 'done'), 0) AS bytes
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

CREATE FUNCTION documentdb_upgrade_internal.parity_next_sequences(r parity_runs) RETURNS parity_runs
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    size constant integer := CASE WHEN (r.work->>'singly')::integer > 0 THEN 1 ELSE 200 END;
BEGIN
    IF r.work->'left' = '[]' THEN
        r.phase := 'tables';
        r.work := '{}';
    ELSE
        r.work := r.work || (
            SELECT jsonb_build_object('now', jsonb_agg(s.v ORDER BY s.n) FILTER (WHERE s.n <= size),
                                      'left', coalesce(jsonb_agg(s.v ORDER BY s.n) FILTER (WHERE s.n > size), '[]'))
            FROM jsonb_array_elements(r.work->'left') WITH ORDINALITY AS s(v, n));
    END IF;
    UPDATE documentdb_upgrade.parity_runs p SET phase = r.phase, work = r.work WHERE p.id = r.id;
    RETURN r;
END
$$;
COMMENT ON FUNCTION parity_next_sequences(parity_runs) IS
    'serves the parity functions: the sequences to read next; the next phase when there are none';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_sequences(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked constant jsonb := r.work->'now';
    failed record;
BEGIN
    SELECT * INTO failed FROM documentdb_upgrade_internal.parity_error(answer) e;
    IF failed.side IS NOT NULL AND jsonb_array_length(asked) > 1 THEN
        -- One of them cannot be read, so they are read one by one.
        UPDATE documentdb_upgrade.parity_runs p
            SET work = jsonb_build_object('left', asked || (r.work->'left'), 'singly', jsonb_array_length(asked))
            WHERE p.id = r.id;
        RETURN;
    END IF;
    INSERT INTO documentdb_upgrade.parity_differences
            (run, kind, schema_name, object_name, difference, detail, local, remote)
        SELECT r.id, 'sequence', s.v->>0, s.v->>1, CASE WHEN failed.side IS NULL THEN 'different' ELSE 'error' END,
               (failed.error->>'sqlstate') || ': ' || (failed.error->>'message')
               || CASE failed.side WHEN 'remote' THEN ' (on the other server)' ELSE '' END,
               (a.l->>0) || CASE WHEN NOT (a.l->>1)::boolean THEN ', not called yet' ELSE '' END,
               (a.r->>0) || CASE WHEN NOT (a.r->>1)::boolean THEN ', not called yet' ELSE '' END
        FROM jsonb_array_elements(asked) WITH ORDINALITY AS s(v, n),
        LATERAL (SELECT answer->'local'->'value'->(s.n - 1)::integer AS l,
                        answer->'remote'->'value'->(s.n - 1)::integer AS r) a
        WHERE failed.side IS NOT NULL OR a.l IS DISTINCT FROM a.r;
    UPDATE documentdb_upgrade.parity_runs p
        SET work = jsonb_build_object('left', r.work->'left', 'singly', greatest((r.work->>'singly')::integer - 1, 0))
        WHERE p.id = r.id;
END
$$;
COMMENT ON FUNCTION parity_take_sequences(parity_runs, jsonb) IS
    'serves the parity functions: compares the values of some sequences';

CREATE FUNCTION documentdb_upgrade_internal.parity_run_statements(r parity_runs, OUT action text, OUT local text,
                                                                  OUT remote text)
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
COMMENT ON FUNCTION parity_run_statements(parity_runs) IS
    'serves the parity functions: the statements of the present phase of a run, and under which snapshot';

CREATE FUNCTION documentdb_upgrade_internal.parity_side(r parity_runs, list jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('version', list->'version', 'encoding', list->'encoding',
               'functions', CASE r.algorithm WHEN 'du1' THEN list->'functions'->0 END))
        WHERE list IS NOT NULL
$$;
COMMENT ON FUNCTION parity_side(parity_runs, jsonb) IS
    'serves the parity functions: what is kept of a list about the server';

CREATE FUNCTION documentdb_upgrade_internal.parity_hear_run(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here constant jsonb := jsonb_strip_nulls(answer->'local'->'value');
    there constant jsonb := jsonb_strip_nulls(answer->'remote'->'value');
    error jsonb;
BEGIN
    IF r.phase = 'sequences' THEN
        PERFORM documentdb_upgrade_internal.parity_take_sequences(r, answer);
        RETURN;
    END IF;
    SELECT e.error INTO error FROM documentdb_upgrade_internal.parity_error(answer) e;
    CASE r.phase
    WHEN 'listing' THEN
        error := coalesce(error, documentdb_upgrade_internal.parity_refuse_listing(r, here, there));
        IF error IS NULL THEN
            PERFORM documentdb_upgrade_internal.parity_take_listing(r, here, there);
            UPDATE documentdb_upgrade.parity_runs p
                SET phase = CASE WHEN r.kind = 'checksums' THEN 'tables' WHEN r.algorithm = 'sql1' THEN 'sequences'
                                 ELSE 'functions' END,
                    sides = jsonb_strip_nulls(jsonb_build_object(
                        'local', documentdb_upgrade_internal.parity_side(r, here),
                        'remote', documentdb_upgrade_internal.parity_side(r, there))),
                    -- Those that both sides have and may be read on both.
                    work = jsonb_build_object('left', (
                        SELECT coalesce(jsonb_agg(h.v ORDER BY h.n), '[]')
                        FROM jsonb_array_elements(here->'sequences') WITH ORDINALITY AS h(v, n)
                        JOIN jsonb_array_elements(there->'sequences') AS t(v) ON t.v = h.v WHERE (h.v->>2)::boolean))
                WHERE p.id = r.id;
        END IF;
    WHEN 'functions' THEN
        IF error IS NULL AND (here <> to_jsonb(r.algorithm) OR there <> here) THEN
            error := jsonb_build_object('sqlstate', '0A000',
                'message', format('the other server has checksum algorithm %s, this one %s', there, here),
                'hint', 'Install the same version of the extension on both sides.');
        END IF;
        UPDATE documentdb_upgrade.parity_runs p SET phase = 'sequences' WHERE p.id = r.id;
    WHEN 'verifying' THEN
        IF error IS NULL THEN
            PERFORM documentdb_upgrade_internal.parity_take_second_listing(r, answer);
            PERFORM documentdb_upgrade_internal.parity_finish(r);
        END IF;
    END CASE;
    IF error IS NOT NULL THEN
        PERFORM documentdb_upgrade_internal.parity_fail(r.id, error);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_hear_run(parity_runs, jsonb) IS
    'serves the parity functions: takes the answer of the present phase of a run';
