--
-- Support
--

CREATE FUNCTION support_bundle() RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    part record;
    value jsonb;
    bundle jsonb := '{}';
BEGIN
    FOR part IN SELECT * FROM (VALUES
        ('collected_at', 'SELECT to_jsonb(clock_timestamp())'),
        ('server_version', 'SELECT to_jsonb(version())'),
        ('extension_version', 'SELECT to_jsonb(extversion) FROM pg_extension WHERE extname = ''documentdb_upgrade'''),
        ('preloaded', 'SELECT to_jsonb(current_setting(''shared_preload_libraries'', true))'),
        ('settings', 'SELECT jsonb_object_agg(name, jsonb_build_object(''value'', '
            'CASE WHEN name = ''documentdb_upgrade.report_conninfo'' THEN regexp_replace(setting, ''.+'', ''(set)'') '
            'ELSE setting END, ''unit'', unit, ''source'', source)) FROM pg_settings
                      WHERE name LIKE ''documentdb\_upgrade.%''
                         OR name IN (''deadlock_timeout'', ''lock_timeout'', ''max_connections'', '
                             '''max_locks_per_transaction'',
                                     ''max_prepared_transactions'', ''max_worker_processes'', ''statement_timeout'',
                                     ''synchronous_commit'', ''wal_level'')'),
        ('status', 'SELECT to_jsonb(s) FROM documentdb_upgrade.status s'),
        ('versions', 'SELECT jsonb_agg(to_jsonb(v)) FROM documentdb_upgrade.versions v'),
        ('plan', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.plan() p'),
        ('preflight', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.preflight() p'),
        ('fingerprint', 'SELECT to_jsonb(documentdb_upgrade.upgrade_fingerprint())'),
        ('progress', 'SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.progress p'),
        ('metrics', 'SELECT to_jsonb(m) FROM documentdb_upgrade.metrics m'),
        ('standbys', 'SELECT jsonb_agg(to_jsonb(b)) FROM documentdb_upgrade.standbys b'),
        ('databases', 'SELECT jsonb_agg(to_jsonb(d)) FROM documentdb_upgrade.databases d'),
        ('history', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.history '
            'ORDER BY id DESC LIMIT 50) h'),
        ('rehearsals', 'SELECT jsonb_agg(to_jsonb(r) - ''report'' ORDER BY r.id DESC) FROM (SELECT * FROM '
            'documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 20) r'),
        ('holds', 'SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id DESC) FROM (SELECT * FROM documentdb_upgrade.holds ORDER '
            'BY id DESC LIMIT 20) h'),
        ('cutovers', 'SELECT jsonb_agg(to_jsonb(c) ORDER BY c.id DESC) FROM (SELECT * FROM documentdb_upgrade.cutovers '
            'ORDER BY id DESC LIMIT 20) c'),
        ('fence_writers', 'SELECT jsonb_agg(to_jsonb(w)) FROM documentdb_upgrade.fence_writers w'),
        ('backups', 'SELECT jsonb_agg(to_jsonb(b) ORDER BY b.id DESC) FROM (SELECT * FROM documentdb_upgrade.backups '
            'ORDER BY id DESC LIMIT 20) b'),
        ('checks', 'SELECT jsonb_agg(to_jsonb(c) || jsonb_build_object(''applies'', '
            'documentdb_upgrade_internal.check_applies(c.requires)) ORDER BY c.name) FROM documentdb_upgrade.checks c'),
        ('binaries_seen', 'SELECT jsonb_agg(to_jsonb(b) ORDER BY b.first_seen) FROM '
            'documentdb_upgrade_internal.binaries_seen b'),
        ('installed_extensions', 'SELECT jsonb_object_agg(extname, extversion) FROM pg_extension'),
        ('event_triggers', 'SELECT jsonb_agg(evtname ORDER BY evtname) FROM pg_event_trigger')
        ) AS v(name, query)
    LOOP
        BEGIN
            EXECUTE part.query INTO value;
        EXCEPTION WHEN OTHERS THEN
            value := jsonb_build_object('error', SQLERRM, 'sqlstate', SQLSTATE);
        END;
        bundle := bundle || jsonb_build_object(part.name, value);
    END LOOP;
    RETURN bundle;
END
$$;
COMMENT ON FUNCTION support_bundle() IS
'what a maintainer asks first, as one jsonb object, without secrets; a part that cannot be had says why in its place';
