--
-- Members of the managed extensions
--

CREATE FUNCTION member_definitions(extension text,
                                   OUT kind text, OUT identity text,
                                   OUT digest text, OUT privileges text)
    RETURNS SETOF record
    LANGUAGE sql STABLE STRICT ROWS 1000
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off SET standard_conforming_strings = on
    SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres SET TimeZone = 'UTC'
    SET extra_float_digits = 1 SET bytea_output = hex SET xmloption = content
AS $$
WITH ext AS MATERIALIZED (
    SELECT e.oid, e.extname, e.extowner, e.extnamespace, e.extrelocatable, e.extconfig, e.extcondition
    FROM pg_extension e WHERE e.extname = $1
), member AS MATERIALIZED (
    SELECT d.classid, d.objid
    FROM ext JOIN pg_depend d ON d.refobjid = ext.oid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), definition (classid, objid, owner, acl, aclkind, body) AS (
    -- What the extension itself says beside its version
    SELECT 'pg_extension'::regclass::oid, e.oid, e.extowner, NULL::aclitem[], NULL::"char",
           concat_ws(E'\n', e.extnamespace::regnamespace, e.extrelocatable,
               (SELECT string_agg(format('%s %s', c.rel::regclass, c.condition), E'\n' ORDER BY c.rel::regclass::text)
                FROM unnest(e.extconfig, e.extcondition) AS c(rel, condition)),
               (SELECT string_agg(r.extname, ' ' ORDER BY r.extname)
                FROM pg_depend d JOIN pg_extension r ON r.oid = d.refobjid
                WHERE d.classid = 'pg_extension'::regclass AND d.objid = e.oid
                  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'n'))
    FROM ext e
    UNION ALL
    SELECT m.classid, p.oid, p.proowner, p.proacl, 'f',
           CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid)
           ELSE (SELECT concat_ws(E'\n', a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn,
                     a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn,
                     a.aggmfinalfn, a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify,
                     a.aggmfinalmodify, a.aggsortop::regoperator, format_type(a.aggtranstype, NULL),
                     a.aggtransspace, format_type(a.aggmtranstype, NULL), a.aggmtransspace,
                     coalesce(a.agginitval, '(none)'), coalesce(a.aggminitval, '(none)'),
                     pg_get_function_result(p.oid), p.proparallel, p.proisstrict, p.provolatile)
                 FROM pg_aggregate a WHERE a.aggfnoid = p.oid) END
    FROM member m JOIN pg_proc p ON p.oid = m.objid
    WHERE m.classid = 'pg_proc'::regclass
    UNION ALL
    SELECT m.classid, o.oid, o.oprowner, NULL, NULL,
           concat_ws(E'\n', o.oprcode, format_type(o.oprresult, NULL), o.oprcom::regoperator,
               o.oprnegate::regoperator, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash)
    FROM member m JOIN pg_operator o ON o.oid = m.objid
    WHERE m.classid = 'pg_operator'::regclass
    UNION ALL
    SELECT m.classid, c.oid, c.opcowner, NULL, NULL,
           concat_ws(E'\n', c.opcdefault, format_type(c.opcintype, NULL),
               CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END,
               (SELECT format('%I.%I', f.opfnamespace::regnamespace, f.opfname)
                FROM pg_opfamily f WHERE f.oid = c.opcfamily))
    FROM member m JOIN pg_opclass c ON c.oid = m.objid
    WHERE m.classid = 'pg_opclass'::regclass
    UNION ALL
    SELECT m.classid, f.oid, f.opfowner, NULL, NULL,
           concat_ws(E'\n',
               (SELECT string_agg(x.line, E'\n' ORDER BY x.line) FROM (
                    SELECT concat_ws(' ', 'operator', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose,
                        (SELECT format('%I.%I', s.opfnamespace::regnamespace, s.opfname)
                         FROM pg_opfamily s WHERE s.oid = a.amopsortfamily)) AS line
                    FROM pg_amop a WHERE a.amopfamily = f.oid) x),
               (SELECT string_agg(x.line, E'\n' ORDER BY x.line) FROM (
                    SELECT concat_ws(' ', 'function', a.amprocnum, format_type(a.amproclefttype, NULL),
                        format_type(a.amprocrighttype, NULL), a.amproc::regprocedure) AS line
                    FROM pg_amproc a WHERE a.amprocfamily = f.oid) x))
    FROM member m JOIN pg_opfamily f ON f.oid = m.objid
    WHERE m.classid = 'pg_opfamily'::regclass
    UNION ALL
    SELECT m.classid, c.oid, NULL, NULL, NULL,
           concat_ws(E'\n', c.castcontext, c.castmethod,
               CASE WHEN c.castfunc <> 0 THEN c.castfunc::regprocedure::text END)
    FROM member m JOIN pg_cast c ON c.oid = m.objid
    WHERE m.classid = 'pg_cast'::regclass
    UNION ALL
    SELECT m.classid, t.oid, t.typowner, t.typacl, 'T',
           concat_ws(E'\n', t.typtype, t.typlen, t.typbyval, t.typcategory, t.typispreferred,
               t.typisdefined, t.typdelim, t.typalign, t.typstorage, t.typnotnull, t.typndims,
               format_type(t.typbasetype, t.typtypmod), format_type(t.typelem, NULL),
               t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout,
               t.typanalyze, t.typsubscript, t.typcollation::regcollation, 'default ' || t.typdefault,
               (SELECT string_agg(format('%L', v.enumlabel), ' ' ORDER BY v.enumsortorder)
                FROM pg_enum v WHERE v.enumtypid = t.oid),
               (SELECT string_agg(concat_ws(' ', c.conname, pg_get_constraintdef(c.oid), c.convalidated), E'\n'
                   ORDER BY c.conname)
                FROM pg_constraint c WHERE c.contypid = t.oid),
               (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                                            a.attcollation::regcollation), E'\n' ORDER BY a.attnum)
                FROM pg_attribute a
                WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
               (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), format_type(r.rngmultitypid, NULL),
                    r.rngcollation::regcollation, r.rngcanonical, r.rngsubdiff,
                    (SELECT format('%I.%I', c.opcnamespace::regnamespace, c.opcname)
                     FROM pg_opclass c WHERE c.oid = r.rngsubopc))
                FROM pg_range r WHERE r.rngtypid = t.oid))
    FROM member m JOIN pg_type t ON t.oid = m.objid
    WHERE m.classid = 'pg_type'::regclass
      -- Since 17 row types and array types are members too; their relation or
      -- element says all there is.
      AND NOT EXISTS (SELECT FROM pg_class r WHERE r.oid = t.typrelid AND r.relkind <> 'c')
      AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
    UNION ALL
    SELECT m.classid, c.oid, c.relowner, c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
           concat_ws(E'\n', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
               c.relreplident, array_to_string(c.reloptions, ' '),
               (SELECT am.amname FROM pg_am am WHERE am.oid = c.relam),
               pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
               CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
               CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) END,
               (SELECT concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
                                 s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
                FROM pg_sequence s WHERE s.seqrelid = c.oid),
               (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                    a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, a.attcompression,
                    a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid)), E'\n' ORDER BY a.attnum)
                FROM pg_attribute a
                LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                WHERE c.relkind <> 'S' AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
               (SELECT string_agg(concat_ws(' ', k.conname, pg_get_constraintdef(k.oid), k.convalidated), E'\n'
                   ORDER BY k.conname)
                FROM pg_constraint k WHERE k.conrelid = c.oid),
               (SELECT string_agg(concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered,
                   i.indisreplident),
                                  E'\n' ORDER BY i.indexrelid::regclass::text)
                FROM pg_index i WHERE i.indrelid = c.oid),
               (SELECT string_agg(concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled), E'\n' ORDER BY g.tgname)
                FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
               (SELECT string_agg(concat_ws(' ', pg_get_ruledef(w.oid), w.ev_enabled), E'\n' ORDER BY w.rulename)
                FROM pg_rewrite w WHERE w.ev_class = c.oid AND c.relkind NOT IN ('v', 'm')),
               (SELECT string_agg(concat_ws(' ', quote_ident(y.polname), y.polcmd, y.polpermissive,
                    (SELECT string_agg(coalesce(r.rolname, 'public'), ',' ORDER BY r.rolname)
                     FROM unnest(y.polroles) AS u(role) LEFT JOIN pg_roles r ON r.oid = u.role),
                    pg_get_expr(y.polqual, y.polrelid), pg_get_expr(y.polwithcheck, y.polrelid)), E'\n'
                        ORDER BY y.polname)
                FROM pg_policy y WHERE y.polrelid = c.oid),
               (SELECT string_agg(h.inhparent::regclass::text, ' ' ORDER BY h.inhseqno)
                FROM pg_inherits h WHERE h.inhrelid = c.oid))
    FROM member m JOIN pg_class c ON c.oid = m.objid
    WHERE m.classid = 'pg_class'::regclass
    UNION ALL
    SELECT m.classid, n.oid, n.nspowner, n.nspacl, 'n', ''
    FROM member m JOIN pg_namespace n ON n.oid = m.objid
    WHERE m.classid = 'pg_namespace'::regclass
    UNION ALL
    SELECT m.classid, a.oid, NULL, NULL, NULL, concat_ws(E'\n', a.amtype, a.amhandler)
    FROM member m JOIN pg_am a ON a.oid = m.objid
    WHERE m.classid = 'pg_am'::regclass
    UNION ALL
    SELECT m.classid, l.oid, l.lanowner, l.lanacl, 'l',
           concat_ws(E'\n', l.lanispl, l.lanpltrusted, l.lanplcallfoid::regprocedure,
               l.laninline::regprocedure, l.lanvalidator::regprocedure)
    FROM member m JOIN pg_language l ON l.oid = m.objid
    WHERE m.classid = 'pg_language'::regclass
    UNION ALL
    SELECT m.classid, c.oid, c.collowner, NULL, NULL,
           (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text
    FROM member m JOIN pg_collation c ON c.oid = m.objid
    WHERE m.classid = 'pg_collation'::regclass
    UNION ALL
    SELECT m.classid, c.oid, c.conowner, NULL, NULL,
           concat_ws(E'\n', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding),
               c.conproc, c.condefault)
    FROM member m JOIN pg_conversion c ON c.oid = m.objid
    WHERE m.classid = 'pg_conversion'::regclass
    UNION ALL
    SELECT m.classid, t.oid, NULL, NULL, NULL,
           concat_ws(E'\n', t.trffromsql, t.trftosql)
    FROM member m JOIN pg_transform t ON t.oid = m.objid
    WHERE m.classid = 'pg_transform'::regclass
    UNION ALL
    SELECT m.classid, t.oid, NULL, NULL, NULL,
           concat_ws(E'\n', t.prsstart, t.prstoken, t.prsend, t.prsheadline, t.prslextype)
    FROM member m JOIN pg_ts_parser t ON t.oid = m.objid
    WHERE m.classid = 'pg_ts_parser'::regclass
    UNION ALL
    SELECT m.classid, t.oid, NULL, NULL, NULL, concat_ws(E'\n', t.tmplinit, t.tmpllexize)
    FROM member m JOIN pg_ts_template t ON t.oid = m.objid
    WHERE m.classid = 'pg_ts_template'::regclass
    UNION ALL
    SELECT m.classid, t.oid, t.dictowner, NULL, NULL,
           concat_ws(E'\n', t.dictinitoption,
               (SELECT format('%I.%I', x.tmplnamespace::regnamespace, x.tmplname)
                FROM pg_ts_template x WHERE x.oid = t.dicttemplate))
    FROM member m JOIN pg_ts_dict t ON t.oid = m.objid
    WHERE m.classid = 'pg_ts_dict'::regclass
    UNION ALL
    SELECT m.classid, t.oid, t.cfgowner, NULL, NULL,
           concat_ws(E'\n',
               (SELECT format('%I.%I', x.prsnamespace::regnamespace, x.prsname)
                FROM pg_ts_parser x WHERE x.oid = t.cfgparser),
               (SELECT string_agg(concat_ws(' ', x.maptokentype, x.mapdict::regdictionary), E'\n'
                                  ORDER BY x.maptokentype, x.mapseqno)
                FROM pg_ts_config_map x WHERE x.mapcfg = t.oid))
    FROM member m JOIN pg_ts_config t ON t.oid = m.objid
    WHERE m.classid = 'pg_ts_config'::regclass
    UNION ALL
    SELECT m.classid, f.oid, f.fdwowner, f.fdwacl, 'F',
           concat_ws(E'\n', f.fdwhandler::regprocedure, f.fdwvalidator::regprocedure,
               array_to_string(f.fdwoptions, ' '))
    FROM member m JOIN pg_foreign_data_wrapper f ON f.oid = m.objid
    WHERE m.classid = 'pg_foreign_data_wrapper'::regclass
    UNION ALL
    SELECT m.classid, s.oid, s.srvowner, s.srvacl, 'S',
           concat_ws(E'\n', s.srvtype, s.srvversion, array_to_string(s.srvoptions, ' '),
               (SELECT f.fdwname FROM pg_foreign_data_wrapper f WHERE f.oid = s.srvfdw))
    FROM member m JOIN pg_foreign_server s ON s.oid = m.objid
    WHERE m.classid = 'pg_foreign_server'::regclass
    UNION ALL
    SELECT m.classid, t.oid, t.evtowner, NULL, NULL,
           concat_ws(E'\n', t.evtevent, t.evtfoid::regprocedure, t.evtenabled, array_to_string(t.evttags, ' '))
    FROM member m JOIN pg_event_trigger t ON t.oid = m.objid
    WHERE m.classid = 'pg_event_trigger'::regclass
    UNION ALL
    SELECT m.classid, s.oid, s.stxowner, NULL, NULL, pg_get_statisticsobjdef(s.oid)
    FROM member m JOIN pg_statistic_ext s ON s.oid = m.objid
    WHERE m.classid = 'pg_statistic_ext'::regclass
    UNION ALL
    -- Kinds that are left: their names alone
    SELECT m.classid, m.objid, NULL, NULL, NULL, ''
    FROM member m
    WHERE m.classid NOT IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass,
        'pg_opfamily'::regclass, 'pg_cast'::regclass, 'pg_type'::regclass, 'pg_class'::regclass,
        'pg_namespace'::regclass, 'pg_am'::regclass, 'pg_language'::regclass, 'pg_collation'::regclass,
        'pg_conversion'::regclass, 'pg_transform'::regclass, 'pg_ts_parser'::regclass,
        'pg_ts_template'::regclass, 'pg_ts_dict'::regclass, 'pg_ts_config'::regclass,
        'pg_foreign_data_wrapper'::regclass, 'pg_foreign_server'::regclass,
        'pg_event_trigger'::regclass, 'pg_statistic_ext'::regclass)
)
SELECT i.type, i.identity, encode(sha256(convert_to(d.body, 'UTF8')), 'hex'),
       concat_ws(' ', 'owner=' || quote_ident(pg_get_userbyid(d.owner)),
           (SELECT string_agg(x.item, ' ' ORDER BY x.item COLLATE "C") FROM (
                SELECT format('%s=%s%s', CASE a.grantee WHEN 0 THEN 'PUBLIC'
                    ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                              a.privilege_type, CASE WHEN a.is_grantable THEN '*' END) AS item
                FROM aclexplode(coalesce(d.acl, acldefault(d.aclkind, d.owner))) a) x))
FROM definition d, pg_identify_object(d.classid, d.objid, 0) i
$$;
COMMENT ON FUNCTION member_definitions(text) IS
'one row per member of an extension, and one for the extension itself: SHA-256 over its definition, '
	'independent of OIDs and of the session''s settings, and apart from it owner and privileges; '
	'comments and the values of sequences do not count';

CREATE TABLE member_digests (
    extension text NOT NULL,
    version text NOT NULL,
    server_release integer NOT NULL,
    kind text NOT NULL,
    identity text NOT NULL,
    digest text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (extension, kind, identity)
);
COMMENT ON TABLE member_digests
	IS 'the members of the managed extensions as the last finalize left them, for guard members_intact';
COMMENT ON COLUMN member_digests.extension IS 'managed extension';
COMMENT ON COLUMN member_digests.kind IS 'kind of object, as member_definitions() gives it';
COMMENT ON COLUMN member_digests.identity IS 'the object, as member_definitions() gives it';
COMMENT ON COLUMN member_digests.recorded_at IS 'when that finalize recorded it';
COMMENT ON COLUMN member_digests.version IS 'of the extension; for another one the record does not count';
COMMENT ON COLUMN member_digests.server_release
	IS 'PostgreSQL major version; for another one the record does not count';
COMMENT ON COLUMN member_digests.digest IS 'as member_definitions() gives it';

SELECT pg_catalog.pg_extension_config_dump('member_digests', '');
