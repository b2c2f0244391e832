--
-- Parity: what there is on both sides
--

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
        SELECT CASE WHEN options ? 'schemas'
                    THEN format('n.nspname = ANY (ARRAY(SELECT json_array_elements_text(%L)))', options->'schemas')
                    ELSE 'true' END,
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
    SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relpages, l.relation IS NOT NULL AS is_locked,
           coalesce(nullif(c.relfilenode, 0), pg_relation_filenode(c.oid)) AS filenode
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN locked l ON l.relation = c.oid
    WHERE (c.relkind = 'r' OR c.relkind = 'm' AND c.relispopulated) AND c.relpersistence <> 't' AND %2$s
      AND (n.oid IN (SELECT s.oid FROM schema_of s)
           OR c.oid = 'pg_largeobject'::regclass AND %1$s AND EXISTS (SELECT FROM pg_largeobject_metadata))
      AND NOT EXISTS (SELECT FROM ours o WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.own)),
column_of AS (
    SELECT a.attrelid,
           json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attname) AS list,
           json_agg(a.attname ORDER BY a.attnum) AS physical
    FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY 1),
key_of AS (
    SELECT i.indrelid, json_agg(json_build_object('columns', k.list, 'sorted', k.sorted, 'everywhere', k.everywhere)
               ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid) AS list
    FROM pg_index i JOIN relation r ON r.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid,
    LATERAL (
        SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
                                         CASE WHEN ty.typtype = 'b' AND ty.typcategory <> 'A'
                                              THEN format('OPERATOR(%%I.%%s)', en.nspname, e.oprname) END)
                               ORDER BY u.n) AS list,
               bool_and(a.attnotnull) AS usable,
               -- in the order that comparing with < also gives
               bool_and(i.indoption[u.n - 1] = 0 AND i.indcollation[u.n - 1] = a.attcollation
                        AND o.opcdefault AND tn.nspname = 'pg_catalog' AND en.nspname = 'pg_catalog'
                        AND ty.typtype = 'b') AS sorted,
               bool_and(a.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'oid'::regtype,
                                       'numeric'::regtype, 'uuid'::regtype, 'date'::regtype, 'time'::regtype,
                                       'timetz'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype,
                                       'bytea'::regtype, 'boolean'::regtype)
                        OR a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'name'::regtype)
                           AND (co.collname IN ('C', 'POSIX') AND co.collnamespace = 'pg_catalog'::regnamespace
                                OR co.collprovider = 'd' AND db.datcollate IN ('C', 'POSIX')
                                   AND coalesce(to_jsonb(db)->>'datlocprovider', 'c') = 'c')) AS everywhere
        FROM unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS u(attnum, class, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
        JOIN pg_type ty ON ty.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = ty.typnamespace
        JOIN pg_opclass o ON o.oid = u.class
        LEFT JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype
          AND m.amoprighttype = o.opcintype AND m.amopstrategy = 3 AND m.amopmethod = x.relam
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
    'tables', (SELECT json_agg(json_build_object('schema', r.nspname, 'name', r.relname,
                   'columns', coalesce(c.list, '[]'), 'physical', coalesce(c.physical, '[]'),
                   'oid', r.oid, 'filenode', r.filenode%5$s))
               FROM relation r LEFT JOIN column_of c ON c.attrelid = r.oid%6$s)%4$s)
$listing$, in_schemas, in_tables, coalesce(options->'tables', '[]'),
        CASE WHEN options->>'kind' = 'comparison' THEN format($comparison$,
    'sequences', (SELECT json_agg(json_build_array(s.nspname, c.relname, has_sequence_privilege(c.oid, 'SELECT'))
                                  ORDER BY s.nspname, c.relname)
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
                   CASE c.relkind WHEN 'r' THEN 'tables' WHEN 'p' THEN 'partitioned tables'
                        WHEN 'v' THEN 'views' WHEN 'm' THEN 'materialized views'
                        WHEN 'i' THEN 'indexes' WHEN 'I' THEN 'partitioned indexes' WHEN 'S' THEN 'sequences'
                        WHEN 'f' THEN 'foreign tables' END AS kind
            FROM pg_class c WHERE c.relpersistence <> 't'
            UNION ALL
            SELECT p.pronamespace, 'pg_proc'::regclass, p.oid,
                   CASE p.prokind WHEN 'a' THEN 'aggregates' WHEN 'p' THEN 'procedures' ELSE 'functions' END
            FROM pg_proc p
            WHERE NOT EXISTS (SELECT FROM pg_depend d
                              WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
            UNION ALL
            SELECT t.typnamespace, 'pg_type'::regclass, t.oid,
                   CASE t.typtype WHEN 'd' THEN 'domains' WHEN 'e' THEN 'enums' WHEN 'r' THEN 'ranges'
                        ELSE 'composite types' END
            FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE t.typtype IN ('d', 'e', 'r') OR c.relkind = 'c'
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid,
                   CASE k.contype WHEN 'p' THEN 'primary keys' WHEN 'u' THEN 'unique constraints'
                        WHEN 'f' THEN 'foreign keys' WHEN 'c' THEN 'check constraints'
                        WHEN 'x' THEN 'exclusion constraints' END
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
            WHERE k.contype IN ('p', 'u', 'c', 'x') OR k.contype = 'f' AND k.conparentid = 0
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid, 'triggers'
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0
            UNION ALL
            SELECT c.relnamespace, 'pg_class'::regclass, c.oid, 'policies'
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
            UNION ALL
            SELECT o.oprnamespace, 'pg_operator'::regclass, o.oid, 'operators' FROM pg_operator o) o ON o.schema = s.oid
        WHERE %3$L AND o.kind IS NOT NULL
          AND NOT EXISTS (SELECT FROM ours m WHERE m.classid = o.class AND m.objid = o.oid)
          AND NOT EXISTS (SELECT FROM pg_index i
                          JOIN ours m ON m.classid = 'pg_class'::regclass AND m.objid = i.indrelid
                          WHERE o.class = 'pg_class'::regclass AND i.indexrelid = o.oid)
        GROUP BY 1, 2) g)$comparison$,
            NOT options ? 'tables', NOT options ?| '{tables,schemas}', NOT options ? 'tables') ELSE '' END,
        -- Whether a table is still the same tells its file: no keys are looked for, and no file is opened.
        CASE WHEN options->>'kind' = 'again' THEN '' ELSE $measures$, 'keys', k.list,
                   'estimate', nullif(r.reltuples, -1)::bigint,
                   'blocks', CASE WHEN r.is_locked THEN r.relpages
                                  ELSE pg_relation_size(r.oid) / current_setting('block_size')::integer END,
                   'bytes', CASE WHEN r.is_locked THEN r.relpages::bigint * current_setting('block_size')::integer
                                 ELSE coalesce(pg_table_size(r.oid), 0) END$measures$ END,
        CASE WHEN options->>'kind' = 'again' THEN '' ELSE ' LEFT JOIN key_of k ON k.indrelid = r.oid' END)
    FROM scope
$$;
COMMENT ON FUNCTION parity_listing(jsonb) IS
    'serves the parity functions: the statement that lists the tables in scope and, for a comparison, sequences, '
    'extensions and counts of objects; kind "again": only what tells whether a table is still the same';

CREATE FUNCTION documentdb_upgrade_internal.parity_pairs(run parity_runs, here jsonb, there jsonb,
                             OUT schema_name text, OUT table_name text, OUT columns jsonb, OUT key_columns jsonb,
                             OUT strategy text, OUT sides jsonb, OUT bytes bigint, OUT estimate bigint, OUT place jsonb)
    RETURNS SETOF record
    LANGUAGE sql STABLE ROWS 1000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH listed AS (
        SELECT s.side, x.*,
               jsonb_build_object(s.side, jsonb_build_object('oid', x.oid, 'filenode', x.filenode, 'blocks', x.blocks,
                                                             'columns', x.physical)) AS sides,
               -- Ranges of blocks are found without reading all of them since 14.
               jsonb_build_object(s.side, jsonb_build_object('block', 0,
                   'step', CASE WHEN x.blocks > 256 AND (s.side = 'local' OR (s.list->>'version')::integer >= 140000)
                                THEN 256 END)) AS place
        FROM (VALUES ('local', here), ('remote', there)) AS s(side, list),
             jsonb_to_recordset(s.list->'tables')
                 AS x(schema text, name text, columns jsonb, keys jsonb, physical jsonb, oid bigint, filenode bigint,
                      estimate bigint, blocks bigint, bytes bigint)),
    paired AS (
        SELECT schema, name, l.columns, k.list, l.bytes, l.estimate, greatest(l.bytes, r.bytes) AS most,
               CASE WHEN run.kind = 'checksums' THEN CASE WHEN k.sorted THEN 'key' ELSE 'ctid' END
                    ELSE CASE WHEN k.everywhere AND k.sorted THEN 'range' ELSE 'own' END END AS strategy,
               l.sides || coalesce(r.sides, '{}') AS sides, l.place || coalesce(r.place, '{}') AS blocks
        FROM (SELECT * FROM listed WHERE side = 'local') l
        LEFT JOIN (SELECT * FROM listed WHERE side = 'remote') r USING (schema, name)
        LEFT JOIN LATERAL (
            SELECT k.key->'columns' AS list,
                   (k.key->>'sorted')::boolean AND coalesce((o.key->>'sorted')::boolean, true) AS sorted,
                   (k.key->>'everywhere')::boolean AND (o.key->>'everywhere')::boolean AS everywhere
            FROM jsonb_array_elements(nullif(l.keys, 'null')) WITH ORDINALITY AS k(key, n)
            LEFT JOIN jsonb_array_elements(nullif(r.keys, 'null')) AS o(key) ON o.key->'columns' = k.key->'columns'
            WHERE run.kind = 'checksums' OR o.key IS NOT NULL
            ORDER BY CASE run.kind
                     WHEN 'checksums' THEN (k.key->>'sorted')::boolean
                     ELSE (k.key->>'everywhere')::boolean AND (o.key->>'everywhere')::boolean
                          AND (k.key->>'sorted')::boolean AND (o.key->>'sorted')::boolean END DESC, k.n
            LIMIT 1) k ON true
        WHERE run.kind = 'checksums' OR r.columns = l.columns)
    SELECT p.schema, p.name, p.columns, p.list, p.strategy, p.sides, p.bytes, p.estimate,
           CASE WHEN p.strategy IN ('own', 'ctid') THEN p.blocks
                WHEN p.most <= 1048576 THEN '{"from": null, "to": null}'
                ELSE '{"from": null}' END::jsonb
    FROM paired p
$$;
COMMENT ON FUNCTION parity_pairs(parity_runs, jsonb, jsonb) IS
    'serves the parity functions: of two lists the tables whose contents can be compared, with the key and the way '
    'of reading that both sides offer';

CREATE FUNCTION documentdb_upgrade_internal.parity_refuse_listing(r parity_runs, here jsonb, there jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    no_schema constant text := (
        SELECT s.name FROM jsonb_array_elements_text(r.options->'schemas') AS s(name)
        WHERE NOT coalesce(here->'schemas' ? s.name, false) AND NOT coalesce(there->'schemas' ? s.name, false) LIMIT 1);
    no_table constant text := (
        SELECT w.name->>'wanted' FROM jsonb_array_elements(r.options->'tables') AS w(name)
        WHERE NOT coalesce(here->'named' ? (w.name->>'wanted'), false)
          AND NOT coalesce(there->'named' ? (w.name->>'wanted'), false) LIMIT 1);
    code text;
    message text;
    hint text;
BEGIN
    IF there->>'encoding' <> here->>'encoding' THEN
        code := '55000';
        message := format('the other database has encoding %s, this one %s', there->>'encoding', here->>'encoding');
        hint := 'Checksums of texts can be compared in one encoding only.';
    ELSIF (here->>'loses_rows')::boolean OR (there->>'loses_rows')::boolean THEN
        -- Who has imported a snapshot is not told that it is too old.
        code := '55000';
        message := format('old_snapshot_threshold is set on %s server: rows may be lost to a snapshot without an error',
                          CASE WHEN (here->>'loses_rows')::boolean THEN 'this' ELSE 'the other' END);
        hint := 'Set old_snapshot_threshold = -1 there, which takes a restart.';
    ELSIF r.algorithm = 'du1' AND here->'functions'->>0 IS NULL THEN
        code := '42501';
        message := 'permission denied for function row_checksum';
        hint := format('GRANT EXECUTE ON FUNCTION documentdb_upgrade.row_checksum(record), '
                       'documentdb_upgrade.record_checksum(record), documentdb_upgrade.checksum_algorithm() TO %I;',
                       r.role_name);
    ELSIF r.algorithm = 'du1' AND r.kind = 'comparison' AND there->'functions'->>0 IS NULL THEN
        code := '0A000';
        message := 'the other database offers no function row_checksum to this role';
        hint := 'Install extension documentdb_upgrade_parity there and let the role execute its functions, '
                'or call with algorithm => ''sql''.';
    ELSIF no_schema IS NOT NULL THEN
        code := '3F000';
        message := format('schema "%s" does not exist', no_schema);
    ELSIF no_table IS NOT NULL THEN
        code := '42P01';
        message := format('table "%s" does not exist', no_table);
        hint := 'Only ordinary, partitioned and materialized ones have contents of their own; '
                'temporary and system tables are left out.';
    ELSE
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('sqlstate', code, 'message', message, 'hint', hint);
END
$$;
COMMENT ON FUNCTION parity_refuse_listing(parity_runs, jsonb, jsonb) IS
    'serves the parity functions: why a run cannot go on with these lists, as an error; null when it can';

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
        FULL JOIN (SELECT v, v->>0 AS name FROM jsonb_array_elements(nullif(there->'extensions', 'null')) v) r
            USING (name)),
    objects AS (
        SELECT schema, kind, coalesce((l.v->>2)::bigint, 0) AS here, coalesce((r.v->>2)::bigint, 0) AS there
        FROM (SELECT v, v->>0 AS schema, v->>1 AS kind
              FROM jsonb_array_elements(nullif(here->'objects', 'null')) v) l
        FULL JOIN (SELECT v, v->>0 AS schema, v->>1 AS kind
                   FROM jsonb_array_elements(nullif(there->'objects', 'null')) v) r USING (schema, kind)),
    sequences AS (
        SELECT schema, name, l.v AS here, r.v AS there
        FROM (SELECT v, v->>0 AS schema, v->>1 AS name
              FROM jsonb_array_elements(nullif(here->'sequences', 'null')) v) l
        FULL JOIN (SELECT v, v->>0 AS schema, v->>1 AS name
                   FROM jsonb_array_elements(nullif(there->'sequences', 'null')) v) r USING (schema, name)),
    found AS (
        SELECT 'extension' AS kind, NULL AS schema, e.name, e.here, e.there,
               CASE WHEN e.there IS NULL THEN 'missing' WHEN e.here IS NULL THEN 'extra'
                    ELSE 'different' END AS difference, NULL AS detail
        FROM extensions e WHERE e.here IS DISTINCT FROM e.there
        UNION ALL
        SELECT 'objects', o.schema, o.kind, o.here::text, o.there::text, 'different', NULL
        FROM objects o WHERE o.here <> o.there
        UNION ALL
        SELECT 'sequence', s.schema, s.name, NULL, NULL,
               CASE WHEN s.there IS NULL THEN 'missing' WHEN s.here IS NULL THEN 'extra' ELSE 'error' END,
               CASE WHEN s.here IS NOT NULL AND s.there IS NOT NULL
                    THEN format('42501: permission denied for sequence %s%s', s.name,
                                CASE WHEN (s.here->>2)::boolean THEN ' on the other server' ELSE '' END) END
        FROM sequences s
        WHERE s.here IS NULL OR s.there IS NULL OR NOT ((s.here->>2)::boolean AND (s.there->>2)::boolean)
        UNION ALL
        SELECT 'table', t.schema, t.name, c.here, c.there,
               CASE WHEN t.there IS NULL THEN 'missing' WHEN t.here IS NULL THEN 'extra' ELSE 'structure' END,
               CASE WHEN t.here IS NOT NULL AND t.there IS NOT NULL
                    THEN 'columns differ; contents were not compared' END
        FROM tables t,
        -- The columns that only one of the two has.
        LATERAL (
            SELECT string_agg(a.text, ', ' ORDER BY a.name COLLATE "C") FILTER (WHERE a.side = 1) AS here,
                   string_agg(a.text, ', ' ORDER BY a.name COLLATE "C") FILTER (WHERE a.side = 2) AS there
            FROM (SELECT e.side, e.v->>0 AS name, format('%s %s', e.v->>0, e.v->>1) AS text,
                         count(*) OVER (PARTITION BY e.v) AS sides
                  FROM (SELECT 1 AS side, v FROM jsonb_array_elements(t.here) v
                        UNION ALL SELECT 2, v FROM jsonb_array_elements(t.there) v) e
                  WHERE t.here IS NOT NULL AND t.there IS NOT NULL) a
            WHERE a.sides = 1) c
        WHERE t.here IS DISTINCT FROM t.there)
    INSERT INTO documentdb_upgrade.parity_differences
            (run, kind, schema_name, object_name, difference, local, remote, detail)
        SELECT r.id, f.kind, f.schema, f.name, f.difference, f.here, f.there, f.detail FROM found f
        ORDER BY f.kind, f.schema COLLATE "C", f.name COLLATE "C"
$$;
COMMENT ON FUNCTION parity_compare_listings(parity_runs, jsonb, jsonb) IS
    'serves the parity functions: notes what the lists alone show to be different';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_listing(r parity_runs, here jsonb, there jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Of an earlier round stay the tables that were read to the end, and those
    -- that are half read in the order of a key that is still the same.
    DELETE FROM documentdb_upgrade.parity_tables t
        WHERE t.run = r.id AND t.state <> 'done'
          AND NOT (t.chunks > 0 AND t.strategy IN ('range', 'key')
                   AND (t.schema_name, t.table_name, t.columns, t.key_columns, t.strategy) IN (
                       SELECT p.schema_name, p.table_name, p.columns, p.key_columns, p.strategy
                       FROM documentdb_upgrade_internal.parity_pairs(r, here, there) p));
    DELETE FROM documentdb_upgrade.parity_differences d
        WHERE d.run = r.id
          AND NOT EXISTS (SELECT FROM documentdb_upgrade.parity_tables t
                          WHERE t.run = r.id AND t.schema_name = d.schema_name AND t.table_name = d.object_name
                            AND (d.kind = 'row' OR d.kind = 'table' AND t.state = 'done'));
    INSERT INTO documentdb_upgrade.parity_tables AS t
            (run, schema_name, table_name, phase, strategy, columns, key_columns, sides, bytes, estimate, place,
             snapshot, first_snapshot)
        SELECT r.id, p.schema_name, p.table_name,
               CASE WHEN p.place ? 'from' AND NOT p.place ? 'to' THEN 'bound' ELSE 'sum' END,
               p.strategy, p.columns, p.key_columns, p.sides, p.bytes, p.estimate, p.place, r.snapshots, r.snapshots
        FROM documentdb_upgrade_internal.parity_pairs(r, here, there) p
        ON CONFLICT (run, schema_name, table_name) DO UPDATE
            SET state = 'pending', phase = CASE WHEN t.phase IN ('bound', 'recheck') THEN t.phase ELSE 'sum' END,
                sides = EXCLUDED.sides, snapshot = r.snapshots, work = '{}', problem = NULL, sqlstate = NULL,
                finished_at = NULL, waiting_for = NULL
            WHERE t.state <> 'done';
    IF r.kind = 'comparison' THEN
        PERFORM documentdb_upgrade_internal.parity_compare_listings(r, here, there);
    END IF;
END
$$;
COMMENT ON FUNCTION parity_take_listing(parity_runs, jsonb, jsonb) IS
    'serves the parity functions: notes the tables to be read; of a resumed run those that are left';

CREATE FUNCTION documentdb_upgrade_internal.parity_take_second_listing(r parity_runs, answer jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH now AS (
        SELECT s.side, x.schema, x.name, x.oid, x.filenode, x.columns
        FROM (VALUES ('local'), ('remote')) AS s(side),
        LATERAL jsonb_to_recordset(nullif(answer->s.side->'value'->'tables', 'null'))
            AS x(schema text, name text, oid bigint, filenode bigint, columns jsonb)),
    altered AS (
        SELECT t.schema_name, t.table_name,
               min(CASE WHEN n.columns IS DISTINCT FROM t.columns THEN 'columns changed during the run'
                        ELSE 'table was rewritten or truncated during the run' END
                   || CASE s.key WHEN 'remote' THEN ' (on the other server)' ELSE '' END) AS problem
        FROM documentdb_upgrade.parity_tables t CROSS JOIN LATERAL jsonb_each(t.sides) s
        JOIN now n ON n.side = s.key AND n.schema = t.schema_name AND n.name = t.table_name
        WHERE t.run = r.id AND t.state = 'done' AND t.snapshot = r.snapshots
          AND (n.columns IS DISTINCT FROM t.columns
               OR n.filenode IS DISTINCT FROM (s.value->>'filenode')::bigint OR n.oid <> (s.value->>'oid')::bigint)
        GROUP BY 1, 2),
    gone AS (
        DELETE FROM documentdb_upgrade.parity_differences d USING altered a
        WHERE d.run = r.id AND d.schema_name = a.schema_name AND d.object_name = a.table_name
          AND d.kind IN ('table', 'row')),
    noted AS (
        INSERT INTO documentdb_upgrade.parity_differences (run, kind, schema_name, object_name, difference, detail)
        SELECT r.id, 'table', a.schema_name, a.table_name, 'error', '40001: ' || a.problem FROM altered a)
    UPDATE documentdb_upgrade.parity_tables t SET state = 'error', problem = a.problem, sqlstate = '40001', chunks = 0
        FROM altered a WHERE t.run = r.id AND t.schema_name = a.schema_name AND t.table_name = a.table_name
$$;
COMMENT ON FUNCTION parity_take_second_listing(parity_runs, jsonb) IS
    'serves the parity functions: takes the result of a table back when it was altered, rewritten or truncated '
    'meanwhile: such changes are seen under an old snapshot too';
