--
-- Objects of others that an upgrade removes or changes
--

CREATE FUNCTION documentdb_upgrade_internal.grant_statements(acl aclitem[], owner oid, object text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format('GRANT %s ON %s TO %s%s;', g.privileges, object, g.grantee,
                             CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END), E'\n' ORDER BY g.grantee)
    FROM (SELECT string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges, a.is_grantable,
                 CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
          FROM aclexplode(acl) a WHERE a.grantee <> owner GROUP BY a.grantee, a.is_grantable) g
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.grant_statements(aclitem[], oid, text) IS
'serves recreation(): the GRANT statements that give an object, named with its kind, the privileges that others than '
	'its owner have; null when there are none';

CREATE FUNCTION documentdb_upgrade_internal.relation_recreation(relation oid, OUT save text, OUT restore text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c pg_class%ROWTYPE;
    named text := relation::regclass::text;
    word text;
BEGIN
    SELECT * INTO c FROM pg_class WHERE oid = relation;
    word := CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' END;
    IF word IS NOT NULL THEN
        save := format('DROP %s %s;', word, named);
        restore := concat_ws(E'\n',
            format('CREATE %s %s%s AS %s', word, named,
                   ' WITH (' || array_to_string(c.reloptions, ', ') || ')',
                   ltrim(pg_get_viewdef(relation))),
            (SELECT string_agg(pg_get_indexdef(i.indexrelid) || ';', E'\n' ORDER BY i.indexrelid)
             FROM pg_index i WHERE i.indrelid = relation),
            format('ALTER %s %s OWNER TO %I;', word, named, pg_get_userbyid(c.relowner)),
            documentdb_upgrade_internal.grant_statements(c.relacl, c.relowner, named));
    ELSIF c.relkind = 'i' THEN
        save := format('DROP INDEX %s;', named);
        restore := pg_get_indexdef(relation) || ';';
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.relation_recreation(oid) IS
'serves recreation(): the same for a view, a materialized view or an index';

CREATE FUNCTION documentdb_upgrade_internal.column_recreation(relation oid, attribute integer, only_default boolean,
                                                              OUT save text, OUT restore text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a pg_attribute%ROWTYPE;
    named text := relation::regclass::text;
    type text;
    value text;
BEGIN
    IF (SELECT relkind NOT IN ('r', 'p') FROM pg_class WHERE oid = relation) THEN
        SELECT r.save, r.restore INTO save, restore
        FROM documentdb_upgrade_internal.relation_recreation(relation) r;
        RETURN;
    END IF;
    SELECT * INTO a FROM pg_attribute WHERE attrelid = relation AND attnum = attribute;
    type := format_type(a.atttypid, a.atttypmod);
    SELECT pg_get_expr(d.adbin, d.adrelid) INTO value
    FROM pg_attrdef d WHERE d.adrelid = relation AND d.adnum = attribute;
    IF a.attgenerated <> '' THEN
        save := format('ALTER TABLE %s DROP COLUMN %I;', named, a.attname);
        restore := format('ALTER TABLE %s ADD COLUMN %I %s GENERATED ALWAYS AS (%s) STORED;', named, a.attname, type,
                          value);
    ELSIF only_default THEN
        save := format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT;', named, a.attname);
        restore := format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s;', named, a.attname, value);
    ELSE
        save := format('ALTER TABLE %1$s %3$sALTER COLUMN %2$I TYPE text USING %2$I::text;', named, a.attname,
                       CASE WHEN value IS NOT NULL THEN format('ALTER COLUMN %I DROP DEFAULT, ', a.attname) END);
        restore := format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE %3$s USING %2$I::%3$s%4$s;', named, a.attname, type,
                          format(', ALTER COLUMN %I SET DEFAULT %s', a.attname, value));
        IF value IS NULL THEN
            restore := format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE %3$s USING %2$I::%3$s;', named, a.attname, type);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.column_recreation(oid, integer, boolean) IS
'serves recreation(): the same for a column, whose values are kept as text meanwhile, or for its default alone';

CREATE FUNCTION documentdb_upgrade_internal.policy_recreation(policy oid, OUT save text, OUT restore text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('DROP POLICY %I ON %s;', p.polname, p.polrelid::regclass),
           format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;', p.polname, p.polrelid::regclass,
                  CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                  (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
                   FROM unnest(p.polroles) r),
                  ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                  ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM pg_policy p WHERE p.oid = policy
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.policy_recreation(oid) IS
'serves recreation(): the same for a policy';

CREATE FUNCTION documentdb_upgrade_internal.recreation(classid oid, objid oid, objsubid integer, only_default boolean,
                                                       OUT save text, OUT restore text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF classid = 'pg_class'::regclass AND objsubid > 0 THEN
        SELECT r.save, r.restore INTO save, restore
        FROM documentdb_upgrade_internal.column_recreation(objid, objsubid, only_default) r;
    ELSIF classid = 'pg_class'::regclass THEN
        SELECT r.save, r.restore INTO save, restore
        FROM documentdb_upgrade_internal.relation_recreation(objid) r;
    ELSIF classid = 'pg_attrdef'::regclass THEN
        SELECT r.save, r.restore INTO save, restore
        FROM pg_attrdef d, documentdb_upgrade_internal.column_recreation(d.adrelid, d.adnum, true) r
        WHERE d.oid = objid;
    ELSIF classid = 'pg_policy'::regclass THEN
        SELECT r.save, r.restore INTO save, restore
        FROM documentdb_upgrade_internal.policy_recreation(objid) r;
    ELSIF classid = 'pg_proc'::regclass THEN
        SELECT format('DROP ROUTINE %s;', p.oid::regprocedure),
               concat_ws(E'\n', rtrim(pg_get_functiondef(p.oid), E'\n') || ';',
                         format('ALTER ROUTINE %s OWNER TO %I;', p.oid::regprocedure, pg_get_userbyid(p.proowner)),
                         documentdb_upgrade_internal.grant_statements(p.proacl, p.proowner,
                                                                      'ROUTINE ' || p.oid::regprocedure))
        INTO save, restore
        FROM pg_proc p WHERE p.oid = objid AND p.prokind <> 'a';
    ELSIF classid = 'pg_constraint'::regclass THEN
        SELECT format('ALTER %s DROP CONSTRAINT %I;', o.named, o.conname),
               format('ALTER %s ADD CONSTRAINT %I %s;', o.named, o.conname, pg_get_constraintdef(objid))
        INTO save, restore
        FROM (SELECT c.conname, CASE WHEN c.conrelid <> 0 THEN 'TABLE ' || c.conrelid::regclass
                                     ELSE 'DOMAIN ' || c.contypid::regtype END AS named
              FROM pg_constraint c WHERE c.oid = objid) o;
    ELSIF classid = 'pg_trigger'::regclass THEN
        SELECT format('DROP TRIGGER %I ON %s;', t.tgname, t.tgrelid::regclass), pg_get_triggerdef(objid) || ';'
        INTO save, restore
        FROM pg_trigger t WHERE t.oid = objid;
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.recreation(oid, oid, integer, boolean) IS
'the statements that take an object out of an upgrade''s way and make it anew after it, or bring back its default '
	'alone; null where there are no such statements: a table, a type, an operator';

CREATE FUNCTION documentdb_upgrade_internal.settings_recreation(finding jsonb, OUT save text, OUT restore text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH member AS (
        SELECT finding->>'identity' AS identity, finding->>'classid' = 'pg_proc'::regclass::oid::text AS is_routine,
               finding->>'kind' AS kind),
    setting AS (
        SELECT CASE WHEN m.is_routine THEN format('ALTER ROUTINE %s ', m.identity)
                    WHEN m.kind = 'table column' THEN format('ALTER TABLE %s ALTER COLUMN %I ',
                        (SELECT a.attrelid::regclass || '' FROM pg_attribute a
                            WHERE a.attrelid = (finding->>'objid')::oid
                         AND a.attnum = (finding->>'objsubid')::integer),
                        (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = (finding->>'objid')::oid
                         AND a.attnum = (finding->>'objsubid')::integer))
                    ELSE format('ALTER %s %s ', m.kind, m.identity) END AS head,
               split_part(l, '=', 1) AS name, substr(l, strpos(l, '=') + 1) AS value, m.is_routine
        FROM member m, jsonb_array_elements_text(finding->'lost') l),
    given AS (
        SELECT documentdb_upgrade_internal.grant_statements(
            (SELECT array_agg(a::aclitem) FROM jsonb_array_elements_text(finding->'revoked') a), 0,
            CASE WHEN m.is_routine THEN 'ROUTINE ' WHEN m.kind = 'sequence' THEN 'SEQUENCE '
                 WHEN finding->>'classid' = 'pg_class'::regclass::oid::text THEN '' ELSE m.kind || ' ' END
            || m.identity) AS grants
        FROM member m)
    SELECT nullif(concat_ws(E'\n',
               (SELECT string_agg(s.head || format(CASE WHEN s.is_routine THEN 'RESET %I;'
                   ELSE 'RESET (%I);' END, s.name),
                                  E'\n') FROM setting s),
               (SELECT regexp_replace(g.grants, '^GRANT (.*) TO (.*?)( WITH GRANT OPTION)?;$', 'REVOKE \1 FROM \2;',
                   'gn')
                FROM given g)), ''),
           nullif(concat_ws(E'\n',
               (SELECT string_agg(s.head || CASE
                   WHEN NOT s.is_routine THEN format('SET (%s = %L);', s.name, s.value)
                   -- A list of names: quotes would make one name of it.
                   WHEN s.name IN ('search_path', 'DateStyle', 'temp_tablespaces', 'session_preload_libraries',
                                   'local_preload_libraries') THEN format('SET %I = %s;', s.name, s.value)
                   ELSE format('SET %I = %L;', s.name, s.value) END, E'\n') FROM setting s),
               (SELECT g.grants FROM given g)), '')
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.settings_recreation(jsonb) IS
'serves outside_findings(): the statements that take from a member the settings and privileges that it would lose, and '
	'those that give them to it again';

CREATE FUNCTION documentdb_upgrade_internal.still_lost(finding jsonb, OUT lost jsonb, OUT revoked jsonb)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH address AS (
        SELECT (finding->>'classid')::oid AS class, (finding->>'objid')::oid AS id,
               (finding->>'objsubid')::integer AS part),
    present AS (
        SELECT p.proconfig AS settings, p.proacl AS acl FROM address a JOIN pg_proc p ON p.oid = a.id
        WHERE a.class = 'pg_proc'::regclass
        UNION ALL
        SELECT c.reloptions, c.relacl FROM address a JOIN pg_class c ON c.oid = a.id
        WHERE a.class = 'pg_class'::regclass AND a.part = 0
        UNION ALL
        SELECT t.attoptions, t.attacl FROM address a JOIN pg_attribute t ON t.attrelid = a.id AND t.attnum = a.part
        WHERE a.class = 'pg_class'::regclass AND a.part > 0
        UNION ALL
        SELECT NULL, t.typacl FROM address a JOIN pg_type t ON t.oid = a.id WHERE a.class = 'pg_type'::regclass
        UNION ALL
        SELECT NULL, n.nspacl FROM address a JOIN pg_namespace n ON n.oid = a.id
        WHERE a.class = 'pg_namespace'::regclass
        UNION ALL
        SELECT NULL, l.lanacl FROM address a JOIN pg_language l ON l.oid = a.id WHERE a.class = 'pg_language'::regclass
        UNION ALL
        SELECT NULL, w.fdwacl FROM address a JOIN pg_foreign_data_wrapper w ON w.oid = a.id
        WHERE a.class = 'pg_foreign_data_wrapper'::regclass
        UNION ALL
        SELECT NULL, s.srvacl FROM address a JOIN pg_foreign_server s ON s.oid = a.id
        WHERE a.class = 'pg_foreign_server'::regclass)
    SELECT coalesce((SELECT jsonb_agg(l) FROM jsonb_array_elements_text(finding->'lost') l, present p
                     WHERE l = ANY (p.settings)), '[]'),
           coalesce((SELECT jsonb_agg(r) FROM jsonb_array_elements_text(finding->'revoked') r, present p, address a
                     WHERE r = ANY (p.acl::text[])
                       AND NOT EXISTS (SELECT FROM pg_init_privs i
                                       WHERE i.classoid = a.class AND i.objoid = a.id AND i.objsubid = a.part
                                         AND r = ANY (i.initprivs::text[]))), '[]')
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.still_lost(jsonb) IS
'serves outside_findings() and finding_applies(): of the settings and privileges that an upgrade takes from a member '
	'those that it has now; without those that the upgrade itself had given, and privileges that the extension came '
		'with';

CREATE FUNCTION documentdb_upgrade_internal.rows_of(relation oid, attribute integer, OUT n bigint,
	OUT estimated boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c record;
BEGIN
    SELECT r.relkind, r.reltuples, pg_table_size(r.oid) AS size, a.attname INTO c
    FROM pg_class r LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = attribute AND attribute > 0
    WHERE r.oid = relation;
    IF c.relkind IS NULL OR c.relkind NOT IN ('r', 'p', 'm') THEN
        RETURN;
    END IF;
    estimated := c.size > 256 * 1024 * 1024 AND c.reltuples >= 0;
    IF estimated THEN
        n := c.reltuples;
    ELSE
        EXECUTE format('SELECT count(%s) FROM %s', coalesce(quote_ident(c.attname), '*'), relation::regclass) INTO n;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    n := NULL;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rows_of(oid, integer) IS
'serves outside_findings(): the rows of a table, or those in which a column has a value; above 256 MB what ANALYZE '
	'estimated; null for what has no rows and where the caller may not read';

CREATE FUNCTION documentdb_upgrade_internal.foundations(finding jsonb, findings jsonb) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH object AS (
        SELECT (finding->>'classid')::oid AS classid, (finding->>'objid')::oid AS objid,
               (finding->>'objsubid')::integer AS objsubid,
               finding->'details' = '["default"]' AS only_default),
    parts AS (
        SELECT o.classid, o.objid, o.objsubid FROM object o WHERE o.only_default IS NOT TRUE
        UNION ALL
        SELECT 'pg_rewrite'::regclass, r.oid, 0 FROM object o JOIN pg_rewrite r ON r.ev_class = o.objid
        WHERE o.classid = 'pg_class'::regclass
        UNION ALL
        SELECT 'pg_attrdef'::regclass, d.oid, 0 FROM object o JOIN pg_attrdef d ON d.adrelid = o.objid
        WHERE o.classid = 'pg_class'::regclass AND (o.objsubid = 0 OR d.adnum = o.objsubid))
    SELECT array_agg(DISTINCT d.refclassid || ':' || d.refobjid)
    FROM parts p
    JOIN pg_depend d ON d.classid = p.classid AND d.objid = p.objid AND (p.objsubid = 0 OR d.objsubid = p.objsubid)
    WHERE d.deptype = 'n'
      AND (EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.refclassid AND e.objid = d.refobjid
                   AND e.deptype = 'e')
           OR EXISTS (SELECT FROM jsonb_array_elements(findings) f
                      WHERE f->>'classid' = d.refclassid::text AND f->>'objid' = d.refobjid::text))
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.foundations(jsonb, jsonb) IS
'the members, and the objects of other findings, on which the object of a finding stands, as class:object; null when '
	'there are none';

CREATE FUNCTION documentdb_upgrade_internal.finding_applies(finding jsonb) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM pg_identify_object((finding->>'classid')::oid, (finding->>'objid')::oid,
                                                        (finding->>'objsubid')::integer) i
                         WHERE i.identity IS NOT NULL) THEN false
        WHEN finding->>'effect' = 'lost'
            THEN (SELECT l.lost <> '[]' OR l.revoked <> '[]' FROM documentdb_upgrade_internal.still_lost(finding) l)
        WHEN jsonb_array_length(finding->'stands_on') > 0
            THEN ARRAY(SELECT jsonb_array_elements_text(finding->'stands_on'))
                 && coalesce(documentdb_upgrade_internal.foundations(finding, '[]'), '{}')
                 OR EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_rewrite'::regclass
                              AND d.objid IN (SELECT r.oid FROM pg_rewrite r
                                              WHERE r.ev_class = (finding->>'objid')::oid)
                              AND finding->'stands_on' ? (d.refclassid || ':' || d.refobjid))
        ELSE true END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.finding_applies(jsonb) IS
'true while what a rehearsal has found would still happen: the object is there and stands on what it stood on';

CREATE FUNCTION documentdb_upgrade_internal.affected_by(replaced jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_agg(jsonb_build_object('effect', 'affected', 'extension', r->>'extension', 'from', r->>'from',
                                        'to', r->>'to', 'kind', i.type, 'identity', i.identity,
                                        'function', r->>'function', 'classid', d.classid::oid::bigint, 'objid',
                                        d.objid::oid::bigint, 'objsubid', d.objsubid))
    FROM jsonb_array_elements(replaced) r
    JOIN pg_proc p ON p.oid = (r->>'objid')::oid
    JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')
    JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid AND d.deptype = 'n'
    CROSS JOIN LATERAL (
        SELECT c.oid AS relation FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid
          AND c.relkind IN ('i', 'I')
        UNION ALL
        SELECT c.conrelid FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
          AND c.contype IN ('c', 'x')
        UNION ALL
        SELECT a.attrelid FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
        WHERE d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid AND a.attgenerated <> '') AS o
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) i
    WHERE NOT EXISTS (
        SELECT FROM pg_depend e
        WHERE e.deptype = 'e' AND e.classid = 'pg_class'::regclass
          AND e.objid IN (o.relation, (SELECT x.indrelid FROM pg_index x WHERE x.indexrelid = o.relation)))
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.affected_by(jsonb) IS
'serves outside_findings(): the users'' indexes, constraints and generated columns that were computed with a function '
	'whose body an upgrade replaces; C functions are left out, whose bodies nobody can compare';

CREATE FUNCTION documentdb_upgrade_internal.outside_findings(findings jsonb, replaced jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result jsonb := '[]';
    finding jsonb;
    here record;
    extra record;
BEGIN
    FOR finding IN SELECT f FROM jsonb_array_elements(findings) WITH ORDINALITY AS x(f, n) ORDER BY n LOOP
        SELECT (finding->>'classid')::oid AS classid, (finding->>'objid')::oid AS objid,
               (finding->>'objsubid')::integer AS objsubid INTO here;
        IF finding->>'effect' = 'lost' THEN
            SELECT l.lost, l.revoked INTO extra FROM documentdb_upgrade_internal.still_lost(finding) l;
            CONTINUE WHEN extra.lost = '[]' AND extra.revoked = '[]';
            finding := finding || jsonb_build_object('lost', extra.lost, 'revoked', extra.revoked);
            SELECT r.save, r.restore INTO extra FROM documentdb_upgrade_internal.settings_recreation(finding) r;
            result := result || (finding || jsonb_strip_nulls(jsonb_build_object('save', extra.save,
                                                                                 'restore', extra.restore)));
            CONTINUE;
        END IF;

        -- An index of a table that is gone needs no line of its own.
        CONTINUE WHEN finding->>'effect' = 'removed' AND EXISTS (
            SELECT FROM pg_depend d, jsonb_array_elements(findings) f
            WHERE d.classid = here.classid AND d.objid = here.objid AND d.deptype IN ('a', 'i')
              AND f->>'effect' = 'removed' AND f->>'classid' = d.refclassid::text
              AND f->>'objid' = d.refobjid::text
                  AND (f->>'classid', f->>'objid') <> (finding->>'classid', finding->>'objid')
              AND ((f->>'objsubid')::integer IN (0, d.refobjsubid)));
        SELECT r.save, r.restore, w.n, w.estimated INTO extra
        FROM documentdb_upgrade_internal.recreation(here.classid, here.objid, here.objsubid,
                 finding->'details' = '["default"]') r
        LEFT JOIN documentdb_upgrade_internal.rows_of(here.objid, here.objsubid) w
            ON here.classid = 'pg_class'::regclass AND finding->>'effect' = 'removed';
        result := result || (finding || jsonb_strip_nulls(jsonb_build_object(
            'rows_lost', extra.n, 'rows_estimated', extra.estimated, 'save', extra.save, 'restore', extra.restore,
            'stands_on', documentdb_upgrade_internal.foundations(finding, findings))));
    END LOOP;
    RETURN result || coalesce(documentdb_upgrade_internal.affected_by(replaced), '[]');
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.outside_findings(jsonb, jsonb) IS
'serves rehearse(), after the rollback: its findings about objects outside the managed set, completed with the rows '
	'that are lost, what the object stands on, and the statements that save and restore it; without parts of what goes '
	'as a whole, and without privileges that the extension itself had given';

CREATE FUNCTION documentdb_upgrade_internal.script_objects(target text, extension text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_script_objects';
COMMENT ON FUNCTION documentdb_upgrade_internal.script_objects(text, text) IS
'extensions of the managed set, and the objects that the scripts on the way to the target (null: the binary version) '
	'name to drop or replace them: kind, schema, name, nargs, column, does, script';

CREATE FUNCTION documentdb_upgrade_internal.named_members(scripts jsonb)
    RETURNS TABLE (classid oid, objid oid, objsubid integer, does text, script text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH named AS MATERIALIZED (
        SELECT DISTINCT ON (n.kind, n.schema, n.name, n."column", n.nargs) n.*
        FROM jsonb_to_recordset(scripts->'objects')
            AS n(kind text, schema text, name text, "column" text, nargs integer, does text, script text)
        ORDER BY n.kind, n.schema, n.name, n."column", n.nargs, n.does = 'replaces'),
    hit AS (
        SELECT 'pg_proc'::regclass::oid AS classid, p.oid AS objid, 0 AS objsubid, p.pronamespace AS schema, n.schema
            AS wanted, n.does, n.script
        FROM named n JOIN pg_proc p ON p.proname = n.name AND (n.nargs IS NULL OR p.pronargs = n.nargs)
        WHERE n.kind = 'routine'
        UNION ALL
        SELECT 'pg_class'::regclass, c.oid, coalesce(a.attnum, 0), c.relnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_class c ON c.relname = n.name
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = n."column"
        WHERE n.kind = 'relation' OR (n.kind = 'column' AND a.attnum IS NOT NULL)
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid, 0, t.typnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_type t ON t.typname = n.name
        WHERE n.kind IN ('type', 'relation')
        UNION ALL
        SELECT 'pg_operator'::regclass, o.oid, 0, o.oprnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_operator o ON o.oprname = n.name WHERE n.kind = 'operator'
        UNION ALL
        SELECT 'pg_opclass'::regclass, o.oid, 0, o.opcnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_opclass o ON o.opcname = n.name WHERE n.kind = 'operator class'
        UNION ALL
        SELECT 'pg_opfamily'::regclass, o.oid, 0, o.opfnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_opfamily o ON o.opfname = n.name WHERE n.kind = 'operator family'
        UNION ALL
        SELECT 'pg_collation'::regclass, o.oid, 0, o.collnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_collation o ON o.collname = n.name WHERE n.kind = 'collation'
        UNION ALL
        SELECT 'pg_ts_config'::regclass, o.oid, 0, o.cfgnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_ts_config o ON o.cfgname = n.name WHERE n.kind = 'text search configuration'
        UNION ALL
        SELECT 'pg_ts_dict'::regclass, o.oid, 0, o.dictnamespace, n.schema, n.does, n.script
        FROM named n JOIN pg_ts_dict o ON o.dictname = n.name WHERE n.kind = 'text search dictionary'
        UNION ALL
        SELECT 'pg_namespace'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_namespace o ON o.nspname = n.name WHERE n.kind = 'schema'
        UNION ALL
        SELECT 'pg_language'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_language o ON o.lanname = n.name WHERE n.kind = 'language'
        UNION ALL
        SELECT 'pg_am'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_am o ON o.amname = n.name WHERE n.kind = 'access method'
        UNION ALL
        SELECT 'pg_foreign_data_wrapper'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_foreign_data_wrapper o ON o.fdwname = n.name WHERE n.kind = 'foreign-data wrapper'
        UNION ALL
        SELECT 'pg_foreign_server'::regclass, o.oid, 0, 0, NULL, n.does, n.script
        FROM named n JOIN pg_foreign_server o ON o.srvname = n.name WHERE n.kind = 'server'),
    member AS (
        SELECT h.* FROM hit h
        WHERE (h.wanted IS NULL OR h.wanted = (SELECT s.nspname FROM pg_namespace s WHERE s.oid = h.schema))
          AND EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                      WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                        AND d.classid IN (h.classid, CASE WHEN h.classid = 'pg_type'::regclass
                                                          THEN 'pg_class'::regclass END)
                        AND d.objid IN (h.objid, CASE WHEN h.classid = 'pg_type'::regclass THEN
                                        (SELECT t.typrelid FROM pg_type t WHERE t.oid = h.objid) END)
                        AND scripts->'extensions' ? e.extname))
    SELECT m.classid, m.objid, m.objsubid, m.does, m.script FROM member m
    UNION ALL
    SELECT m.classid, t.typarray, 0, m.does, m.script
    FROM member m JOIN pg_type t ON t.oid = m.objid AND t.typarray <> 0 WHERE m.classid = 'pg_type'::regclass
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.named_members(jsonb) IS
'serves standing_on(): the members that scripts name to drop or replace, found by name and number of arguments';

CREATE FUNCTION documentdb_upgrade_internal.standing_on(scripts jsonb)
    RETURNS TABLE (classid oid, objid oid, objsubid integer, kind text, identity text, stands_on text, does text,
                   script text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE member AS MATERIALIZED (
        SELECT * FROM documentdb_upgrade_internal.named_members(scripts)),
    stands AS (
        SELECT d.classid, d.objid, d.objsubid, m.classid AS base_class, m.objid AS base, m.objsubid AS base_part,
               m.does, m.script
        FROM member m
        JOIN pg_depend d ON d.refclassid = m.classid AND d.refobjid = m.objid
            AND (m.objsubid = 0 OR d.refobjsubid = m.objsubid)
        WHERE d.deptype = 'n' OR (d.deptype = 'a' AND m.objsubid > 0)
        UNION
        SELECT d.classid, d.objid, d.objsubid, s.base_class, s.base, s.base_part, s.does, s.script
        FROM stands s
        LEFT JOIN pg_rewrite r ON s.classid = 'pg_rewrite'::regclass AND r.oid = s.objid
        JOIN pg_depend d
            ON d.refclassid = CASE WHEN r.oid IS NULL THEN s.classid ELSE 'pg_class'::regclass END
           AND d.refobjid = coalesce(r.ev_class, s.objid)
           AND (r.oid IS NOT NULL OR s.objsubid = 0 OR d.refobjsubid = s.objsubid)
        WHERE s.does LIKE 'drops%' AND d.deptype IN ('n', 'a')),
    object AS (
        SELECT DISTINCT ON (o.classid, o.objid, o.objsubid) o.*
        FROM (SELECT CASE WHEN r.oid IS NULL THEN s.classid ELSE 'pg_class'::regclass END AS classid,
                     coalesce(r.ev_class, s.objid) AS objid,
                     CASE WHEN r.oid IS NULL THEN s.objsubid ELSE 0 END AS objsubid,
                     s.base_class, s.base, s.base_part, s.does, s.script,
                     CASE s.classid
                         WHEN 'pg_rewrite'::regclass THEN r.ev_class
                         WHEN 'pg_attrdef'::regclass THEN (SELECT f.adrelid FROM pg_attrdef f WHERE f.oid = s.objid)
                         WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = s.objid)
                         WHEN 'pg_policy'::regclass THEN (SELECT p.polrelid FROM pg_policy p WHERE p.oid = s.objid)
                         WHEN 'pg_constraint'::regclass THEN
                             (SELECT nullif(c.conrelid, 0) FROM pg_constraint c WHERE c.oid = s.objid)
                         WHEN 'pg_class'::regclass THEN
                             coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = s.objid), s.objid)
                         WHEN 'pg_type'::regclass THEN
                             (SELECT nullif(t.typrelid, 0) FROM pg_type t WHERE t.oid = s.objid)
                     END AS relation,
                     s.does <> 'replaces'
                     OR (s.classid = 'pg_class'::regclass
                         AND EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = s.objid))
                     OR (s.classid = 'pg_constraint'::regclass)
                     OR (s.classid = 'pg_attrdef'::regclass
                         AND EXISTS (SELECT FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid
                                       AND a.attnum = f.adnum WHERE f.oid = s.objid AND a.attgenerated <> ''))
                         AS matters
              FROM stands s
              LEFT JOIN pg_rewrite r ON s.classid = 'pg_rewrite'::regclass AND r.oid = s.objid) o
        WHERE o.matters AND o.classid <> ALL (ARRAY['pg_amop', 'pg_amproc', 'pg_extension']::regclass[]::oid[])
          AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                          WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                            AND (d.classid, d.objid) IN ((o.classid, o.objid), ('pg_class'::regclass, o.relation))
                            AND scripts->'extensions' ? e.extname)
        ORDER BY o.classid, o.objid, o.objsubid, o.does = 'replaces')
    SELECT o.classid, o.objid, o.objsubid, i.type, i.identity,
           (SELECT b.type || ' ' || b.identity FROM pg_identify_object(o.base_class, o.base, o.base_part) b),
           o.does, o.script
    FROM object o CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, o.objsubid) i
    WHERE i.identity IS NOT NULL
      AND NOT (o.classid = 'pg_type'::regclass AND o.relation IS NOT NULL)
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.standing_on(jsonb) IS
'serves guard outside_objects and outside_objects(): what stands on members that scripts drop or replace and is not '
	'itself a member, from pg_depend; on what is only replaced just what was computed with it';

CREATE FUNCTION outside_objects(target text DEFAULT NULL, extension text DEFAULT NULL)
    RETURNS TABLE (kind text, identity text, stands_on text, does text, script text, save_statement text,
                   restore_statement text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.kind, s.identity, s.stands_on, s.does, s.script,
           CASE WHEN s.does <> 'replaces' THEN r.save END, CASE WHEN s.does <> 'replaces' THEN r.restore END
    FROM documentdb_upgrade_internal.script_objects(target, extension) AS o(scripts),
         documentdb_upgrade_internal.standing_on(o.scripts) s
    CROSS JOIN LATERAL documentdb_upgrade_internal.recreation(s.classid, s.objid, s.objsubid, false) r
    ORDER BY s.objid DESC, s.objsubid
$$;
COMMENT ON FUNCTION outside_objects(text, text) IS
'the objects of users, and of other extensions, that stand on members which the scripts on the way to the target '
	'(null: the binary version) drop or replace: what each stands on, what the script does to that, and the statements '
	'that take it out of the way before and bring it back after the upgrade, in one transaction; null where there are '
	'none: a table, a type, an operator. Run save_statement in the order of the rows, restore_statement in the reverse '
	'order. What DO blocks and functions drop is in no text: a rehearsal finds it, and rehearsal_report() lists it. '
	'Errors: 22023 malformed target';
