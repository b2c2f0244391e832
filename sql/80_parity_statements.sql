--
-- Parity: the statements about one table
--

-- They are made for one side: with the schema of the checksum functions there,
-- or without one for algorithm sql1.  Values become texts by concat(), which
-- knows output functions only: a cast may be anybody's function.

CREATE FUNCTION documentdb_upgrade_internal.parity_row(t parity_tables, functions text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    IF functions IS NOT NULL THEN
        RETURN format('%I.record_checksum(t.*)', functions);
    END IF;
    RETURN (SELECT format('md5(%s)', coalesce(string_agg(
                format('CASE num_nulls(t.%1$I) WHEN 0 THEN length(concat(t.%1$I)) || '':'' || concat(t.%1$I) '
                       'ELSE ''-'' END', c.v->>0), ' || ' ORDER BY c.n), ''''''))
            FROM jsonb_array_elements(t.columns) WITH ORDINALITY AS c(v, n));
END
$$;
COMMENT ON FUNCTION parity_row(parity_tables, text) IS
    'serves the parity functions: the expression for the checksum of a row; that of algorithm sql1: columns by name, '
    'each length:text or - for null, MD5';

CREATE FUNCTION documentdb_upgrade_internal.parity_hash(t parity_tables, functions text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    IF t.key_columns IS NULL THEN
        RETURN documentdb_upgrade_internal.parity_row(t, functions);
    ELSIF functions IS NOT NULL THEN
        RETURN (SELECT format('%I.record_checksum(ROW(%s))', functions,
                              string_agg(format('t.%I', k.v->>0), ', ' ORDER BY k.n))
                FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
    END IF;
    RETURN (SELECT format('md5(%s)', string_agg(
                format('length(concat(t.%1$I)) || '':'' || concat(t.%1$I)', k.v->>0), ' || ' ORDER BY k.n))
            FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
END
$$;
COMMENT ON FUNCTION parity_hash(parity_tables, text) IS
    'serves the parity functions: the expression that assigns a row to a bucket: of its key, or of all of it when the '
    'table has no key';

CREATE FUNCTION documentdb_upgrade_internal.parity_key(t parity_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN (SELECT format('json_build_array(%s)', string_agg(format('concat(t.%I)', k.v->>0), ', ' ORDER BY k.n))
            FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
END
$$;
COMMENT ON FUNCTION parity_key(parity_tables) IS
    'serves the parity functions: the expression for the key of a row as texts';

CREATE FUNCTION documentdb_upgrade_internal.parity_bound(t parity_tables, operator text, bound jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    IF bound IS NULL OR bound = 'null' THEN
        RETURN 'true';
    END IF;
    RETURN (SELECT format(CASE WHEN count(*) = 1 THEN '%s %s %s' ELSE '(%s) %s (%s)' END,
                          string_agg(format('t.%I', k.v->>0), ', ' ORDER BY k.n), operator,
                          string_agg(format('%L::%s', bound->>(k.n - 1)::integer, k.v->>1), ', ' ORDER BY k.n))
            FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n));
END
$$;
COMMENT ON FUNCTION parity_bound(parity_tables, text, jsonb) IS
    'serves the parity functions: the condition that a key lies beyond, or not beyond, a bound; true without a bound';

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
    'serves the parity functions: the query for the key that ends the range after a key; no row when fewer rows are '
    'left';

CREATE FUNCTION documentdb_upgrade_internal.parity_condition(t parity_tables, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    block constant bigint := t.place->side->>'block';
    next_block constant bigint := block + (t.place->side->>'step')::bigint;
BEGIN
    IF t.strategy IN ('range', 'key') THEN
        RETURN documentdb_upgrade_internal.parity_bound(t, '>', t.place->'from') || ' AND '
               || documentdb_upgrade_internal.parity_bound(t, '<=', t.place->'to');
    ELSIF t.phase = 'sum' AND next_block < (t.sides->side->>'blocks')::bigint THEN
        RETURN format('t.ctid >= ''(%s,0)''::tid AND t.ctid < ''(%s,0)''::tid', block, next_block);
    ELSIF t.phase = 'sum' AND next_block IS NOT NULL THEN
        RETURN format('t.ctid >= ''(%s,0)''::tid', block);
    END IF;
    RETURN 'true';
END
$$;
COMMENT ON FUNCTION parity_condition(parity_tables, text) IS
    'serves the parity functions: which rows are being summed: a range of keys, some blocks (the last ones without an '
    'end), or all; all of them too where each side has its own blocks and differing rows are looked for';

CREATE FUNCTION documentdb_upgrade_internal.parity_row_sum(t parity_tables, functions text, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    -- The faster one of the two takes no more than 99 columns.
    RETURN (SELECT CASE WHEN count(*) BETWEEN 1 AND 98
                        THEN format('%I.columns_checksum(NULL::%I.%I, %s)', functions, t.schema_name, t.table_name,
                                    string_agg(format('t.%I', c.name), ', ' ORDER BY c.n))
                        ELSE format('%I.row_checksum(t.*)', functions) END
            FROM jsonb_array_elements_text(t.sides->side->'columns') WITH ORDINALITY AS c(name, n));
END
$$;
COMMENT ON FUNCTION parity_row_sum(parity_tables, text, text) IS
    'serves the parity functions: the expression for the checksum of many rows';

CREATE FUNCTION documentdb_upgrade_internal.parity_sums(t parity_tables, functions text, side text,
                                                        digits integer DEFAULT 0) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    condition constant text := documentdb_upgrade_internal.parity_condition(t, side);
    bucket text := 'NULL::text';
    outer_bucket text := 'NULL::text';
    grouping text := '';
BEGIN
    IF digits > 0 THEN
        bucket := format('left(%s, %s)', documentdb_upgrade_internal.parity_hash(t, functions), digits);
        outer_bucket := 's.bucket';
        grouping := ' GROUP BY 1';
    END IF;
    IF functions IS NOT NULL THEN
        RETURN format('SELECT %s AS bucket, count(*) AS n, %s AS checksum FROM ONLY %I.%I AS t WHERE %s', bucket,
                      documentdb_upgrade_internal.parity_row_sum(t, functions, side), t.schema_name, t.table_name,
                      condition) || grouping;
    END IF;
    -- The rows' own checksums, added up in four parts.
    RETURN format($sum$SELECT %s AS bucket, count(*) AS n,
            (coalesce(sum(('x' || substr(s.c, 1, 8))::bit(32)::bigint) * 79228162514264337593543950336
                      + sum(('x' || substr(s.c, 9, 8))::bit(32)::bigint) * 18446744073709551616
                      + sum(('x' || substr(s.c, 17, 8))::bit(32)::bigint) * 4294967296
                      + sum(('x' || substr(s.c, 25, 8))::bit(32)::bigint), 0)
             %% 340282366920938463463374607431768211456)::text AS checksum
            FROM (SELECT %s AS bucket, %s AS c FROM ONLY %I.%I AS t WHERE %s OFFSET 0) AS s$sum$,
                  outer_bucket, bucket, documentdb_upgrade_internal.parity_row(t, NULL), t.schema_name, t.table_name,
                  condition) || grouping;
END
$$;
COMMENT ON FUNCTION parity_sums(parity_tables, text, text, integer) IS
    'serves the parity functions: the query that counts and sums the rows of the present range, as a whole or by so '
    'many digits of their hash';

CREATE FUNCTION documentdb_upgrade_internal.parity_recheck_statement(t parity_tables, functions text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    checksum constant text := documentdb_upgrade_internal.parity_row(t, functions);
    contents text;
    sought text;
    names text;
    condition text;
BEGIN
    SELECT format($shown$(SELECT coalesce(json_object_agg(e.name,
            CASE WHEN length(e.value) <= 200 OR e.value IS NULL THEN e.value
            ELSE left(e.value, 150) || format('... (%%s characters, md5 %%s)', length(e.value), md5(e.value))
            END), '{}')
            FROM unnest(ARRAY[%s]::text[], ARRAY[%s]::text[]) AS e(name, value))$shown$,
                  string_agg(format('%L', c.v->>0), ', ' ORDER BY c.n),
                  string_agg(format('CASE num_nulls(t.%1$I) WHEN 0 THEN concat(t.%1$I) END', c.v->>0), ', '
                             ORDER BY c.n)) INTO contents
        FROM jsonb_array_elements(t.columns) WITH ORDINALITY AS c(v, n);
    SELECT string_agg(format('(%s, %s)', d.id, (
               SELECT string_agg(format('%L', e.v), ', ' ORDER BY e.n)
               FROM jsonb_array_elements_text(d.looked_for) WITH ORDINALITY AS e(v, n))), ', ' ORDER BY d.id)
        INTO sought
        FROM documentdb_upgrade.parity_differences d
        WHERE d.run = t.run AND d.schema_name = t.schema_name AND d.object_name = t.table_name AND NOT d.confirmed;
    IF t.key_columns IS NULL THEN
        RETURN format('SELECT json_object_agg(x.id, json_build_array(x.c, x.r)) FROM (SELECT v.id, count(*) AS c, '
                      'min(%s::text)::json AS r FROM (VALUES %s) AS v(id, k1) JOIN ONLY %I.%I AS t ON %s = v.k1 '
                      'GROUP BY v.id) AS x', contents, sought, t.schema_name, t.table_name, checksum);
    END IF;
    SELECT string_agg(format('k%s', k.n), ', ' ORDER BY k.n),
           string_agg(CASE WHEN k.v->2 <> 'null'
                           THEN format('t.%I %s v.k%s::%s AND ', k.v->>0, k.v->>2, k.n, k.v->>1) ELSE '' END
                      || format('concat(t.%I) = v.k%s', k.v->>0, k.n), ' AND ' ORDER BY k.n) INTO names, condition
        FROM jsonb_array_elements(t.key_columns) WITH ORDINALITY AS k(v, n);
    RETURN format('SELECT json_object_agg(x.id, json_build_array(x.c, x.r)) FROM (SELECT v.id, %s AS c, %s AS r '
                  'FROM (VALUES %s) AS v(id, %s) JOIN ONLY %I.%I AS t ON %s) AS x',
                  checksum, contents, sought, names, t.schema_name, t.table_name, condition);
END
$$;
COMMENT ON FUNCTION parity_recheck_statement(parity_tables, text) IS
    'serves the parity functions: the rows that differed, as they are now: checksum (or number) and contents, long '
    'values cut';

CREATE FUNCTION documentdb_upgrade_internal.parity_table_statement(t parity_tables, functions text, side text)
    RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    by_key constant boolean := t.strategy IN ('range', 'key');
    has_key constant boolean := t.key_columns IS NOT NULL;
    checksum text;
BEGIN
    CASE t.phase
    WHEN 'bound' THEN
        RETURN format('SELECT (%s)', documentdb_upgrade_internal.parity_next_bound(t, t.place->'from'));
    WHEN 'sum' THEN
        -- Of two sides with blocks of their own one may be through.
        IF NOT by_key AND coalesce(t.place->side, 'null') = 'null' THEN
            RETURN NULL;
        END IF;
        -- Here also where the next range ends.
        RETURN format('SELECT json_build_object(''rows'', s.n, ''checksum'', s.checksum%s) FROM (%s) AS s',
                      CASE WHEN side = 'local' AND by_key AND t.place->'to' <> 'null'
                           THEN format(', ''next'', (%s)',
                                       documentdb_upgrade_internal.parity_next_bound(t, t.place->'to')) ELSE '' END,
                      documentdb_upgrade_internal.parity_sums(t, functions, side));
    WHEN 'buckets' THEN
        RETURN format('SELECT json_object_agg(s.bucket, json_build_array(s.n, s.checksum)) FROM (%s) AS s',
                      documentdb_upgrade_internal.parity_sums(t, functions, side, (t.work->>'digits')::integer));
    WHEN 'rows' THEN
        -- Without a key their checksums, and how often each is there.
        checksum := documentdb_upgrade_internal.parity_row(t, functions);
        RETURN format('SELECT json_agg(json_build_array(x.k, x.c)) FROM '
                      '(SELECT %s AS k, %s AS c FROM ONLY %I.%I AS t WHERE %s%s%s) AS x',
                      CASE WHEN has_key THEN documentdb_upgrade_internal.parity_key(t) ELSE checksum END,
                      CASE WHEN has_key THEN checksum ELSE 'count(*)' END, t.schema_name, t.table_name,
                      documentdb_upgrade_internal.parity_condition(t, side),
                      CASE WHEN t.work ? 'now'
                           THEN format(' AND left(%s, %s) = ANY (%L::text[])',
                                       documentdb_upgrade_internal.parity_hash(t, functions), t.work->>'digits',
                                       ARRAY(SELECT jsonb_array_elements_text(t.work->'now'))) ELSE '' END,
                      CASE WHEN has_key THEN '' ELSE ' GROUP BY 1' END);
    WHEN 'recheck' THEN
        RETURN documentdb_upgrade_internal.parity_recheck_statement(t, functions);
    END CASE;
END
$$;
COMMENT ON FUNCTION parity_table_statement(parity_tables, text, text) IS
    'serves the parity functions: the statement of the present phase of a table for one side; null when that side has '
    'nothing to do';
