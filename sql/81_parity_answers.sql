--
-- Parity: what the answers say
--

CREATE FUNCTION documentdb_upgrade_internal.parity_checksum(checksum text, algorithm text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF algorithm <> 'sql1' THEN
        RETURN checksum;
    END IF;
    RETURN (SELECT string_agg(lpad(to_hex((div(checksum::numeric, u.unit) % 4294967296)::bigint), 8, '0'), ''
                              ORDER BY u.unit DESC)
            FROM (VALUES (79228162514264337593543950336), (18446744073709551616), (4294967296), (1)) AS u(unit));
END
$$;
COMMENT ON FUNCTION parity_checksum(text, text) IS
    'serves the parity functions: a checksum as 32 hexadecimal digits; algorithm sql1 gives it as a number';

CREATE FUNCTION documentdb_upgrade_internal.parity_error(answer jsonb, OUT side text, OUT error jsonb,
                                                         OUT ends_run boolean)
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Not about one table, but about the connection, the login or the server.
    grave constant text := '^(08|28|2F|57P|58|XX|3D|53300)';
BEGIN
    IF answer->'local' ? 'error' OR answer->'remote' ? 'error' THEN
        -- Of two errors the one that weighs more.
        side := CASE WHEN NOT answer->'remote' ? 'error' THEN 'local'
                     WHEN NOT answer->'local' ? 'error' OR answer->'remote'->'error'->>'sqlstate' ~ grave THEN 'remote'
                     ELSE 'local' END;
        error := answer->side->'error';
        ends_run := error->>'sqlstate' ~ grave;
    END IF;
END
$$;
COMMENT ON FUNCTION parity_error(jsonb) IS
    'serves the parity functions: what went wrong on one side or the other, and whether that concerns all tables; '
    'nulls when nothing did';

-- What the other server says may be anything: it can be broken, or not be the
-- one that is meant.  Statements are asked for values of known shapes.

CREATE FUNCTION documentdb_upgrade_internal.parity_is_listing(value jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_typeof(value->'version') = 'number' AND jsonb_typeof(value->'encoding') = 'string'
                    AND jsonb_typeof(value->'loses_rows') = 'boolean', false)
       AND NOT EXISTS (
           SELECT FROM unnest('{functions,schemas,named,tables,sequences,extensions,objects}'::text[]) AS k(key)
           WHERE jsonb_typeof(value->k.key) NOT IN ('array', 'null'))
       AND NOT EXISTS (
           SELECT FROM jsonb_array_elements(nullif(value->'tables', 'null')) AS t(v)
           WHERE NOT coalesce(jsonb_typeof(t.v->'schema') = 'string' AND jsonb_typeof(t.v->'name') = 'string'
                              AND jsonb_typeof(t.v->'columns') = 'array' AND jsonb_typeof(t.v->'physical') = 'array'
                              AND (t.v->>'oid')::numeric BETWEEN 1 AND 4294967295
                              AND coalesce((t.v->>'blocks')::numeric, 0) BETWEEN 0 AND 4294967295
                              AND coalesce((t.v->>'bytes')::numeric, 0) BETWEEN 0 AND 9223372036854775807, false))
$$;
COMMENT ON FUNCTION parity_is_listing(jsonb) IS
    'serves the parity functions: whether a value is a list as parity_listing() asks for it';

CREATE FUNCTION documentdb_upgrade_internal.parity_is_answer(r parity_runs, t parity_tables, value jsonb)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    phase constant text := CASE r.phase WHEN 'tables' THEN t.phase ELSE r.phase END;
    nkeys constant integer := jsonb_array_length(t.key_columns);
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
        RETURN jsonb_typeof(value->'rows') = 'number' AND (value->>'rows')::bigint >= 0
           AND jsonb_typeof(value->'checksum') = 'string'
           AND value->>'checksum' ~ CASE r.algorithm WHEN 'sql1' THEN '^[0-9]{1,39}$' ELSE '^[0-9a-f]{32}$' END;
    WHEN 'buckets' THEN
        RETURN NOT EXISTS (
            SELECT FROM jsonb_each(nullif(value, 'null')) AS b(key, v)
            WHERE NOT coalesce(b.key ~ '^[0-9a-f]{1,4}$' AND (b.v->>0)::bigint > 0
                               AND jsonb_typeof(b.v->1) = 'string', false));
    WHEN 'rows' THEN
        RETURN NOT EXISTS (
            SELECT FROM jsonb_array_elements(nullif(value, 'null')) AS x(v)
            WHERE NOT coalesce(CASE WHEN nkeys IS NULL
                                    THEN jsonb_typeof(x.v->0) = 'string' AND (x.v->>1)::bigint > 0
                                    ELSE jsonb_array_length(x.v->0) = nkeys AND jsonb_typeof(x.v->1) = 'string'
                                         AND NOT EXISTS (SELECT FROM jsonb_array_elements(x.v->0) AS k(v)
                                                         WHERE jsonb_typeof(k.v) <> 'string') END, false));
    WHEN 'recheck' THEN
        RETURN NOT EXISTS (
            SELECT FROM jsonb_each(nullif(value, 'null')) AS x(id, v)
            WHERE NOT coalesce(jsonb_typeof(x.v->1) = 'object'
                               AND CASE WHEN nkeys IS NULL THEN (x.v->>0)::bigint > 0
                                        ELSE jsonb_typeof(x.v->0) = 'string' END, false));
    ELSE
        RETURN false;
    END CASE;
END
$$;
COMMENT ON FUNCTION parity_is_answer(parity_runs, parity_tables, jsonb) IS
    'serves the parity functions: whether a value has the shape that the statement of the present phase asks for';
