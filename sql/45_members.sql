--
-- Members of the managed extensions
--

CREATE FUNCTION documentdb_upgrade_internal.other_definitions(classid oid, objects oid[])
    RETURNS TABLE (objid oid, body text)
    LANGUAGE plpgsql STABLE STRICT
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF classid = 'pg_class'::regclass THEN
        RETURN QUERY
        SELECT c.oid,
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
        FROM pg_class c WHERE c.oid = ANY (objects);
    ELSIF classid = 'pg_type'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n',
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
        FROM pg_type t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_am'::regclass THEN
        RETURN QUERY
        SELECT a.oid,
               concat_ws(E'\n', a.amtype, a.amhandler)
        FROM pg_am a WHERE a.oid = ANY (objects);
    ELSIF classid = 'pg_language'::regclass THEN
        RETURN QUERY
        SELECT l.oid,
               concat_ws(E'\n', l.lanispl, l.lanpltrusted, l.lanplcallfoid::regprocedure,
                   l.laninline::regprocedure, l.lanvalidator::regprocedure)
        FROM pg_language l WHERE l.oid = ANY (objects);
    ELSIF classid = 'pg_collation'::regclass THEN
        RETURN QUERY
        SELECT c.oid,
               (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text
        FROM pg_collation c WHERE c.oid = ANY (objects);
    ELSIF classid = 'pg_conversion'::regclass THEN
        RETURN QUERY
        SELECT c.oid,
               concat_ws(E'\n', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding),
                   c.conproc, c.condefault)
        FROM pg_conversion c WHERE c.oid = ANY (objects);
    ELSIF classid = 'pg_transform'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.trffromsql, t.trftosql)
        FROM pg_transform t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_ts_parser'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.prsstart, t.prstoken, t.prsend, t.prsheadline, t.prslextype)
        FROM pg_ts_parser t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_ts_template'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.tmplinit, t.tmpllexize)
        FROM pg_ts_template t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_ts_dict'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.dictinitoption,
                   (SELECT format('%I.%I', x.tmplnamespace::regnamespace, x.tmplname)
                    FROM pg_ts_template x WHERE x.oid = t.dicttemplate))
        FROM pg_ts_dict t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_ts_config'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n',
                   (SELECT format('%I.%I', x.prsnamespace::regnamespace, x.prsname)
                    FROM pg_ts_parser x WHERE x.oid = t.cfgparser),
                   (SELECT string_agg(concat_ws(' ', x.maptokentype, x.mapdict::regdictionary), E'\n'
                                      ORDER BY x.maptokentype, x.mapseqno)
                    FROM pg_ts_config_map x WHERE x.mapcfg = t.oid))
        FROM pg_ts_config t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_foreign_data_wrapper'::regclass THEN
        RETURN QUERY
        SELECT f.oid,
               concat_ws(E'\n', f.fdwhandler::regprocedure, f.fdwvalidator::regprocedure,
                   array_to_string(f.fdwoptions, ' '))
        FROM pg_foreign_data_wrapper f WHERE f.oid = ANY (objects);
    ELSIF classid = 'pg_foreign_server'::regclass THEN
        RETURN QUERY
        SELECT s.oid,
               concat_ws(E'\n', s.srvtype, s.srvversion, array_to_string(s.srvoptions, ' '),
                   (SELECT f.fdwname FROM pg_foreign_data_wrapper f WHERE f.oid = s.srvfdw))
        FROM pg_foreign_server s WHERE s.oid = ANY (objects);
    ELSIF classid = 'pg_event_trigger'::regclass THEN
        RETURN QUERY
        SELECT t.oid,
               concat_ws(E'\n', t.evtevent, t.evtfoid::regprocedure, t.evtenabled, array_to_string(t.evttags, ' '))
        FROM pg_event_trigger t WHERE t.oid = ANY (objects);
    ELSIF classid = 'pg_statistic_ext'::regclass THEN
        RETURN QUERY
        SELECT s.oid,
               pg_get_statisticsobjdef(s.oid)
        FROM pg_statistic_ext s WHERE s.oid = ANY (objects);
    END IF;
END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.other_definitions(oid, oid[]) IS
'serves member_definitions(): what is to be digested of objects in one catalogue, for the kinds that few extensions '
	'have; of types only what not every type has';

CREATE FUNCTION member_definitions(extension text,
                                   OUT kind text, OUT identity text,
                                   OUT digest text, OUT privileges text)
    RETURNS SETOF record
    LANGUAGE C STABLE STRICT ROWS 1000
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_member_definitions';
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
