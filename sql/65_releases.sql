--
-- Releases
--

CREATE TABLE releases (
    revision bigint PRIMARY KEY CHECK (revision > 0),
    label text,
    components jsonb NOT NULL,
    sha256 text NOT NULL,
    observed jsonb,
    source text NOT NULL CHECK (source IN ('operator', 'worker', 'rollback')),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE releases IS
'what was deployed together, one revision a row, the newest release_retention of them and those that a rollback refers '
'to';
COMMENT ON COLUMN releases.revision IS 'number of the release';
COMMENT ON COLUMN releases.recorded_at IS 'when it was recorded';
COMMENT ON COLUMN releases.label IS 'for people';
COMMENT ON COLUMN releases.components IS 'by name of the component: its configuration and the SHA-256 of that';
COMMENT ON COLUMN releases.sha256 IS 'over the components; equal for equal content';
COMMENT ON COLUMN releases.observed IS 'what this server saw of itself then; observed_release()';
COMMENT ON COLUMN releases.source IS
'operator: record_release(); worker: this server found that it runs something else; rollback: record_rollback()';
COMMENT ON COLUMN releases.recorded_by IS 'session user';

CREATE TABLE rollbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source bigint NOT NULL REFERENCES releases,
    target bigint NOT NULL REFERENCES releases,
    release bigint NOT NULL REFERENCES releases,
    changed text[] NOT NULL,
    skipped text[] NOT NULL,
    baseline jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE rollbacks IS 'rollback plans that were executed, for verify_rollback()';
COMMENT ON COLUMN rollbacks.id IS 'number of the rollback, for verify_rollback()';
COMMENT ON COLUMN rollbacks.recorded_at IS 'when it was recorded';
COMMENT ON COLUMN rollbacks.source IS 'revision that was left';
COMMENT ON COLUMN rollbacks.target IS 'revision that was gone back to';
COMMENT ON COLUMN rollbacks.release IS 'revision that came of it: the source with the changed components of the target';
COMMENT ON COLUMN rollbacks.changed IS 'components that were reverted';
COMMENT ON COLUMN rollbacks.skipped IS 'components that differ and were left as they were';
COMMENT ON COLUMN rollbacks.baseline IS
'counters of this database, the last attempt in history, and what this server saw of itself when it was recorded';
COMMENT ON COLUMN rollbacks.recorded_by IS 'session user';

CREATE TABLE release_notes (
    component text NOT NULL,
    from_version text NOT NULL,
    to_version text NOT NULL,
    place text NOT NULL CHECK (place IN ('chart', 'before', 'instead', 'after')),
    ordinal integer NOT NULL DEFAULT 1,
    action text NOT NULL CHECK (action <> '' AND (action NOT LIKE '{%' OR jsonb_typeof(action::jsonb) = 'object')),
    reason text NOT NULL,
    source text NOT NULL CHECK (source <> ''),
    builtin boolean NOT NULL DEFAULT false,
    matrix text,
    PRIMARY KEY (component, from_version, to_version, place, ordinal, builtin)
);
COMMENT ON TABLE release_notes IS
'what release plans need to know of the releases of a component: where its chart is, and the steps that its notes '
'demand; add rows of your own';
COMMENT ON COLUMN release_notes.component IS 'as in releases';
COMMENT ON COLUMN release_notes.from_version IS
'versions that are left, as compatibility.version has them; empty: any, and one that is not known';
COMMENT ON COLUMN release_notes.to_version IS 'versions that are gone to, likewise';
COMMENT ON COLUMN release_notes.place IS
'chart: where the chart is; before, after: a step before or after all others; instead: one in place of the component''s'
' own';
COMMENT ON COLUMN release_notes.ordinal IS 'order of the steps of one place';
COMMENT ON COLUMN release_notes.action IS
'location of the chart (oci://..., a repository https://..., or a file), a command, or what begins with { as fields '
'of the custom resource''s spec; $FROM_EXTENSION and $TO_EXTENSION stand for the extension''s versions in the two '
'releases';
COMMENT ON COLUMN release_notes.reason IS 'for people';
COMMENT ON COLUMN release_notes.source IS 'where it is written';
COMMENT ON COLUMN release_notes.builtin IS
'shipped with this extension; does not count where a row that is not has the same versions, place and ordinal';
COMMENT ON COLUMN release_notes.matrix IS
'name under which load_compatibility() has loaded the row; null for shipped rows and for those that you have inserted';

SELECT pg_catalog.pg_extension_config_dump('release_notes', 'WHERE NOT builtin');

INSERT INTO release_notes (component, from_version, to_version, place, ordinal, action, reason, source, builtin)
SELECT *, true FROM (VALUES
    ('cnpg', '', '', 'chart', 1, 'https://cloudnative-pg.github.io/charts', 'its chart repository',
     'https://github.com/cloudnative-pg/charts'),
    ('operator', '', '0.3.0..', 'chart', 1, 'oci://ghcr.io/documentdb/documentdb-operator',
     'in an OCI registry alone since 0.3.0',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '', '1.0.0-rc1', 'chart', 1, 'oci://ghcr.io/documentdb/documentdb-operator',
     'in an OCI registry alone',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0-rc1'),
    ('operator', '0.3.0', '1.0.0', 'before', 1, '{"documentDBVersion": "$FROM_EXTENSION"}',
     'Pins the version, on every DocumentDB of this operator: otherwise its pods roll to the default of the newer '
     'operator as soon as the chart is upgraded.',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '0.3.0', '1.0.0', 'before', 2, '{"schemaVersion": null}',
     'Takes schemaVersion "auto" away, on every DocumentDB of this operator: otherwise the schema is finalized as soon '
     'as the newer binary runs.',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0-rc1', '1.0.0', 'before', 1, '{"documentDBVersion": "$FROM_EXTENSION"}',
     'Pins the release candidate, on every DocumentDB of this operator: it cannot be upgraded in place.',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('extension', '1.0-RC2', '1.0..', 'instead', 1,
     '# make a new cluster of version $TO_EXTENSION beside this one and move the data there: see docs/blue-green.md',
     'An upgrade in place from the release candidate is not supported.',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0')) AS v;

SELECT pg_catalog.pg_extension_config_dump('releases', '');
SELECT pg_catalog.pg_extension_config_dump('rollbacks', '');
SELECT pg_catalog.pg_extension_config_dump('rollbacks_id_seq', '');

CREATE FUNCTION documentdb_upgrade_internal.observed_release() RETURNS jsonb
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_observed_release';
COMMENT ON FUNCTION observed_release() IS
'what this server sees of the release that it runs: its own version, and of the main extension the binary version and '
'SHA-256 of libraries and control file';

CREATE FUNCTION documentdb_upgrade_internal.image_versions(image text, OUT tag text, OUT postgres text,
                                                           OUT extension text, OUT ferretdb text)
    LANGUAGE C IMMUTABLE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_image_versions';
COMMENT ON FUNCTION image_versions(text) IS
'takes the tag of an image, or a bare tag, apart: 16.3-v1.3.0 is PostgreSQL 16.3 with the extension 1.3.0, '
'17-0.107.0-ferretdb-2.7.0 names FerretDB too, 18-minimal-trixie PostgreSQL alone, 1.0-RC2 and 0.112.0-amd64 the '
'extension; nulls for what a tag does not say, all of them for a digest';

CREATE FUNCTION documentdb_upgrade_internal.component_version(component text, configuration jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN component = 'postgres'
                THEN CASE WHEN split_part(i.postgres, '.', 1)
                               <> split_part(coalesce(v.postgres, configuration->>'version'), '.', 1) THEN i.postgres
                          ELSE coalesce(v.postgres, configuration->>'version', i.postgres) END
                WHEN component IN ('extension', 'gateway')
                THEN CASE WHEN documentdb_upgrade.compare_versions(v.extension, i.extension) <> 0 THEN i.extension
                          ELSE coalesce(v.extension, i.extension, configuration->>'version', i.tag) END
                ELSE coalesce(configuration->>'version', i.tag) END
    FROM documentdb_upgrade_internal.image_versions(configuration->>'version') v,
         documentdb_upgrade_internal.image_versions(configuration->>'image') i
$$;
COMMENT ON FUNCTION component_version(text, jsonb) IS
'version that the configuration of a component states: what its key version tells, else the tag of its key image; the '
'tag where the two differ, for the image is what runs; null for neither, or an image by digest alone';

CREATE FUNCTION documentdb_upgrade_internal.version_matches(version text, pattern text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH text_of (n, t) AS (VALUES (0, version), (1, split_part(pattern, '..', 1)), (2, split_part(pattern, '..', 2))),
    parsed AS (SELECT n, regexp_split_to_array(m[1], '[.-]')::numeric[] AS numbers,
                      lower(concat(e[1], e[2])) AS early, e IS NOT NULL AS is_early
               FROM text_of, regexp_match(t, '^[vV]?(\d+(?:[.-]\d+)*)(.*)$') AS m
               LEFT JOIN LATERAL regexp_match(m[2], '^[-.~]?(rc|alpha|beta|pre|dev)[.]?(\d*)', 'i') AS e ON true),
    padded AS (SELECT v.early, v.is_early, v.numbers || array_fill(0::numeric, ARRAY[10]) AS numbers
               FROM parsed v WHERE v.n = 0)
    SELECT lower(version) = lower(pattern) OR coalesce(
           CASE WHEN v.is_early
                THEN pattern NOT LIKE '%..%' AND low.is_early AND v.early = low.early
                     AND v.numbers[1:10] = (low.numbers || array_fill(0::numeric, ARRAY[10]))[1:10]
                WHEN pattern LIKE '%..%'
                THEN (split_part(pattern, '..', 1) = '' OR v.numbers >= low.numbers)
                     AND (split_part(pattern, '..', 2) = ''
                          OR v.numbers[1:cardinality(high.numbers)] <= high.numbers)
                ELSE NOT low.is_early AND v.numbers[1:cardinality(low.numbers)] = low.numbers END, false)
    FROM (VALUES (true)) AS one LEFT JOIN padded v ON true
    LEFT JOIN parsed low ON low.n = 1 LEFT JOIN parsed high ON high.n = 2
$$;
COMMENT ON FUNCTION version_matches(text, text) IS
'whether a version is what the pattern says: 1.28 is also 1.28.3, 14..18 is from 14 up to and with every 18, 1.35.. is '
'1.35 and later, ..1.32 every 1.32 and earlier; a pre-release is matched by itself alone, however it is spelled';

CREATE FUNCTION documentdb_upgrade_internal.release_components(components jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    part record;
    configuration jsonb;
    result jsonb := '{}';
BEGIN
    IF components IS NULL OR jsonb_typeof(components) <> 'object' OR components = '{}' THEN
        RAISE EXCEPTION 'components of a release must be an object with at least one component'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give for instance '
                         '{"operator": "0.3.0", "extension": {"version": "0.110.0", "image": "..."}}.';
    END IF;
    IF length(components::text) > 1048576 THEN
        RAISE EXCEPTION 'components of a release must not be longer than 1 MB'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR part IN SELECT c.key, c.value FROM jsonb_each(components) c ORDER BY c.key COLLATE "C" LOOP
        IF part.key !~ '^[a-z][a-z0-9_.-]{0,62}$' THEN
            RAISE EXCEPTION 'component name "%" is not valid', part.key
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'A name has at most 63 lower-case letters, digits, "_", "." and "-". Known names are '
                             'operator, gateway, postgres, extension, sidecar_injector and cnpg.';
        END IF;
        configuration := CASE jsonb_typeof(part.value)
            WHEN 'string' THEN jsonb_build_object('version', part.value) ELSE part.value END;
        IF jsonb_typeof(configuration) <> 'object' THEN
            RAISE EXCEPTION 'configuration of component "%" must be a version or an object', part.key
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF jsonb_typeof(configuration->'version') <> 'string' OR configuration->>'version' !~ '\S'
           OR jsonb_typeof(configuration->'image') <> 'string' OR configuration->>'image' !~ '\S' THEN
            RAISE EXCEPTION 'version and image of component "%" must be texts that are not empty', part.key
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        result := result || jsonb_build_object(part.key, jsonb_build_object('configuration', configuration,
            'sha256', encode(sha256(convert_to(configuration::text, 'UTF8')), 'hex')));
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION release_components(jsonb) IS
'serves record_release(): the components as releases stores them, with their digests; a text stands for {"version": '
'text}; 22023 for what is none';

CREATE FUNCTION documentdb_upgrade_internal.add_release(components jsonb, revision bigint, label text,
                                                        observed jsonb, source text)
    RETURNS releases
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    newest documentdb_upgrade.releases;
    result documentdb_upgrade.releases;
    content text := (SELECT encode(sha256(convert_to(string_agg(c.key || ' ' || (c.value->>'sha256'), E'\n'
                            ORDER BY c.key COLLATE "C"), 'UTF8')), 'hex') FROM jsonb_each(components) c);
BEGIN
    SELECT * INTO newest FROM documentdb_upgrade.releases r ORDER BY r.revision DESC LIMIT 1;
    IF newest.sha256 = content THEN
        UPDATE documentdb_upgrade.releases r SET label = coalesce(add_release.label, r.label),
                observed = CASE add_release.source WHEN 'worker' THEN add_release.observed ELSE r.observed END
            WHERE r.revision = newest.revision RETURNING * INTO result;
        RETURN result;
    END IF;
    IF add_release.revision <= coalesce(newest.revision, 0) THEN
        RAISE EXCEPTION 'revision % is not above %', add_release.revision, coalesce(newest.revision, 0)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Revisions only grow; leave the revision out to have the next one.';
    END IF;
    INSERT INTO documentdb_upgrade.releases (revision, label, components, sha256, observed, source)
        VALUES (coalesce(add_release.revision, newest.revision + 1, 1), add_release.label,
                add_release.components, content, add_release.observed, add_release.source)
        RETURNING * INTO result;
    DELETE FROM documentdb_upgrade.releases r
        WHERE r.revision <= (SELECT k.revision FROM documentdb_upgrade.releases k ORDER BY k.revision DESC
                             OFFSET current_setting('documentdb_upgrade.release_retention')::integer LIMIT 1)
          AND NOT EXISTS (SELECT FROM documentdb_upgrade.rollbacks b
                          WHERE r.revision IN (b.source, b.target, b.release));
    RETURN result;
END
$$;
COMMENT ON FUNCTION add_release(jsonb, bigint, text, jsonb, text) IS
'serves record_release(), record_rollback() and the worker: stores a release unless it is the newest one, and deletes '
'what release_retention leaves no room for; needs the lock of the table';

CREATE FUNCTION record_release(components jsonb, revision bigint DEFAULT NULL, label text DEFAULT NULL)
    RETURNS releases
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stored jsonb := documentdb_upgrade_internal.release_components(record_release.components);
    seen jsonb := documentdb_upgrade_internal.observed_release();
    result documentdb_upgrade.releases;
BEGIN
    IF record_release.revision < 1 THEN
        RAISE EXCEPTION 'revision of a release must be positive'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF record_release.label = '' OR length(record_release.label) > 1000 THEN
        RAISE EXCEPTION 'label of a release must be of 1 to 1000 characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOCK TABLE documentdb_upgrade.releases IN SHARE ROW EXCLUSIVE MODE;
    result := documentdb_upgrade_internal.add_release(
        stored, record_release.revision, record_release.label, seen, 'operator');
    RETURN result;
END
$$;
COMMENT ON FUNCTION record_release(jsonb, bigint, text) IS
'stores what is deployed together, by component (operator, gateway, postgres, extension, sidecar_injector, cnpg, or '
'others) its version as a text or its configuration as an object, under the given revision or the next; returns the '
'row. The content of the newest revision is not stored again: that row is returned, with its old revision and '
'recorded_at, and takes the label. 22023 for what is not valid';

CREATE PROCEDURE run_record_release(components jsonb, revision bigint DEFAULT NULL, label text DEFAULT NULL,
                                    INOUT recorded bigint DEFAULT NULL)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    recorded := (documentdb_upgrade.record_release(
        components, run_record_release.revision, run_record_release.label)).revision;
END
$$;
COMMENT ON PROCEDURE run_record_release(jsonb, bigint, text, bigint) IS
'like record_release, for roles that a planner hook keeps out of SELECT; gives the revision';

CREATE FUNCTION documentdb_upgrade_internal.observe_release(observed jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    newest documentdb_upgrade.releases;
    other jsonb;
BEGIN
    LOCK TABLE documentdb_upgrade.releases IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO newest FROM documentdb_upgrade.releases r ORDER BY r.revision DESC LIMIT 1;
    IF newest.observed = observe_release.observed THEN
        RETURN NULL;
    END IF;

    -- A version that the release has announced and that was not here yet
    -- arrives: that is no other release.
    SELECT jsonb_object_agg(o.key, o.value) INTO other
        FROM jsonb_each(observe_release.observed) o,
             LATERAL documentdb_upgrade_internal.component_version(
                 o.key, newest.components->o.key->'configuration') AS stated(version)
        WHERE o.value IS DISTINCT FROM newest.observed->o.key
          AND (stated.version IS NULL
               OR NOT documentdb_upgrade_internal.version_matches(o.value->>'version', stated.version)
               OR documentdb_upgrade_internal.version_matches(newest.observed->o.key->>'version', stated.version));
    IF other IS NULL THEN
        UPDATE documentdb_upgrade.releases r SET observed = observe_release.observed
            WHERE r.revision = newest.revision;
        RETURN NULL;
    END IF;

    -- The other components stay as they were described.
    RETURN (documentdb_upgrade_internal.add_release(
            coalesce(newest.components, '{}') || documentdb_upgrade_internal.release_components(other),
            NULL, NULL, observe_release.observed, 'worker')).revision;
END
$$;
COMMENT ON FUNCTION observe_release(jsonb) IS
'serves the worker: records a release of its own when this server runs something else than before and the newest '
'release does not say so; returns its revision, null when there is nothing to record';

CREATE FUNCTION compare_releases(a bigint, b bigint,
                                 OUT component text, OUT change text,
                                 OUT from_version text, OUT to_version text,
                                 OUT from_configuration jsonb, OUT to_configuration jsonb,
                                 OUT from_sha256 text, OUT to_sha256 text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE ROWS 6 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing bigint := (SELECT min(x.n) FROM (VALUES (a), (b)) AS x(n)
                       WHERE NOT EXISTS (SELECT FROM documentdb_upgrade.releases r WHERE r.revision = x.n));
BEGIN
    IF a IS NULL OR b IS NULL THEN
        RAISE EXCEPTION 'revisions to compare must be given'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'release % does not exist', missing
            USING ERRCODE = 'undefined_object',
                  HINT = 'Those that do are shown by '
                         'SELECT revision, label, recorded_at FROM documentdb_upgrade.releases;';
    END IF;
    RETURN QUERY
        SELECT key, CASE WHEN x.value IS NULL OR y.value IS NULL THEN 'unknown'
                         WHEN x.value->>'sha256' = y.value->>'sha256' THEN 'unchanged' ELSE 'changed' END,
               documentdb_upgrade_internal.component_version(key, x.value->'configuration'),
               documentdb_upgrade_internal.component_version(key, y.value->'configuration'),
               x.value->'configuration', y.value->'configuration', x.value->>'sha256', y.value->>'sha256'
        FROM (SELECT c.* FROM documentdb_upgrade.releases r, jsonb_each(r.components) c WHERE r.revision = a) x
        FULL JOIN (SELECT c.* FROM documentdb_upgrade.releases r, jsonb_each(r.components) c WHERE r.revision = b) y
            USING (key)
        ORDER BY key COLLATE "C";
END
$$;
COMMENT ON FUNCTION compare_releases(bigint, bigint) IS
'one row per component of either release: changed or unchanged, by the digest of its configuration, or unknown when '
'only one of the two names it; with both configurations; 42704 when there is no such release';

CREATE FUNCTION documentdb_upgrade_internal.shell_quote(word text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT CASE WHEN word ~ '^[A-Za-z0-9_./:@%+=,-]+$' THEN word
                ELSE '''' || replace(word, '''', '''\''''') || '''' END
$$;
COMMENT ON FUNCTION shell_quote(text) IS 'serves release plans: a word as a shell takes it';

CREATE FUNCTION documentdb_upgrade_internal.cluster_words(cluster text, OUT resource text, OUT namespace text,
                                                          OUT name text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(documentdb_upgrade_internal.shell_quote(coalesce(nullif(split_part(cluster, '/', 2), ''),
               nullif(current_setting('documentdb_upgrade.kubernetes_resource', true), ''))), '"$NAME"'),
           coalesce(documentdb_upgrade_internal.shell_quote(coalesce(nullif(split_part(cluster, '/', 1), ''),
               nullif(current_setting('documentdb_upgrade.kubernetes_namespace', true), ''))), '"$NAMESPACE"'),
           coalesce(documentdb_upgrade_internal.shell_quote(coalesce(nullif(split_part(cluster, '/', 3), ''),
               nullif(split_part(cluster, '/', 2), ''))), '"$CLUSTER"')
$$;
COMMENT ON FUNCTION cluster_words(text) IS
'serves release plans: custom resource, namespace and Cluster as a shell takes them, of a cluster that is written '
'namespace/resource or namespace/resource/Cluster; null: those that settings name, else $NAME, $NAMESPACE and $CLUSTER';

CREATE FUNCTION documentdb_upgrade_internal.patch_resource(spec jsonb, cluster text DEFAULT NULL) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('kubectl patch dbs.documentdb.io %s --namespace %s --type merge -p %s', w.resource, w.namespace,
                  documentdb_upgrade_internal.shell_quote(jsonb_build_object('spec', spec)::text))
    FROM documentdb_upgrade_internal.cluster_words(cluster) w
$$;
COMMENT ON FUNCTION patch_resource(jsonb, text) IS
'serves release plans: the kubectl command that sets fields of the custom resource of a cluster, as cluster_words() '
'takes it';

CREATE FUNCTION documentdb_upgrade_internal.psql_action(statement text, cluster text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN cluster IS NULL THEN '' ELSE
               format('kubectl exec --namespace %1$s "$(kubectl get pods --namespace %1$s --output name --selector '
                      'cnpg.io/cluster=%2$s,cnpg.io/instanceRole=primary)" --container postgres -- ', w.namespace,
                      w.name) END
           || 'psql ' || CASE WHEN cluster IS NOT NULL THEN
               format('-d %s ', documentdb_upgrade_internal.shell_quote(current_database())) ELSE '' END
           || '-c ' || documentdb_upgrade_internal.shell_quote(statement)
    FROM documentdb_upgrade_internal.cluster_words(cluster) w
$$;
COMMENT ON FUNCTION psql_action(text, text) IS
'serves release plans: the command that runs a statement on this server, or on the primary of a cluster';

CREATE FUNCTION documentdb_upgrade_internal.notes_of(component text, from_version text, to_version text,
                                                     place text)
    RETURNS SETOF release_notes
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.* FROM documentdb_upgrade.release_notes n
    WHERE n.component = notes_of.component AND n.place = notes_of.place
      AND (n.from_version = ''
           OR documentdb_upgrade_internal.version_matches(notes_of.from_version, n.from_version))
      AND (n.to_version = '' OR documentdb_upgrade_internal.version_matches(notes_of.to_version, n.to_version))
      AND NOT (n.builtin AND EXISTS (
          SELECT FROM documentdb_upgrade.release_notes o
          WHERE NOT o.builtin AND (o.component, o.from_version, o.to_version, o.place, o.ordinal)
                                  = (n.component, n.from_version, n.to_version, n.place, n.ordinal)))
    ORDER BY n.ordinal, n.builtin, n.from_version, n.to_version
$$;
COMMENT ON FUNCTION notes_of(text, text, text, text) IS
'serves release plans: what is known of the step of a component from one version to another';

CREATE FUNCTION documentdb_upgrade_internal.version_tag(configuration jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT CASE WHEN t.version ~ '^[vV]?\d+([.-]\d+)+$' THEN documentdb_upgrade.to_semver(t.version)
                WHEN t.version ~* '^v?\d+([.-]\d+)+[.-]?(rc|alpha|beta|pre|dev)[.]?\d*$'
                THEN documentdb_upgrade.to_extension_version(t.version)
                ELSE t.version END
    FROM (SELECT coalesce(configuration->>'version',
                          documentdb_upgrade_internal.component_version('extension', configuration))) AS t(version)
$$;
COMMENT ON FUNCTION version_tag(jsonb) IS
'serves release plans: the extension''s version as the operator takes it for the tag of an image: 0.110.0, 1.0-RC2, or '
'the tag that it is';

CREATE FUNCTION documentdb_upgrade_internal.helm_upgrade(release text, chart text, location text, version text,
                                                         namespace text, options text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT format('helm upgrade %s %s --version %s --namespace %s --reset-then-reuse-values %s', release,
                  CASE WHEN location ~ '^https?://' AND location !~ '[.]tgz$'
                       THEN chart || ' --repo ' || documentdb_upgrade_internal.shell_quote(location)
                       ELSE documentdb_upgrade_internal.shell_quote(location) END,
                  documentdb_upgrade_internal.shell_quote(version), namespace, options)
$$;
COMMENT ON FUNCTION helm_upgrade(text, text, text, text, text, text) IS
'serves release plans: the helm command that upgrades a release to a chart of that location';

CREATE FUNCTION documentdb_upgrade_internal.release_action(component text, version text, configuration jsonb,
                                                           backwards boolean, trial boolean,
                                                           cluster text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    images constant text := 'ghcr.io/documentdb/documentdb-kubernetes-operator/';
    safely constant text := CASE WHEN trial THEN '--dry-run' ELSE '--atomic --timeout 10m' END;
    image text := configuration->>'image';
    chart text := coalesce(configuration->>'chart', (
        SELECT n.action FROM documentdb_upgrade_internal.notes_of(component, NULL, version, 'chart') n LIMIT 1));
BEGIN
    IF version IS NULL AND image IS NULL THEN
        RETURN CASE WHEN NOT trial THEN format('# bring %s to what the release describes: %s', component,
                                               configuration) END;
    END IF;
    CASE component
    WHEN 'cnpg' THEN
        IF configuration ? 'chart_version' THEN
            RETURN documentdb_upgrade_internal.helm_upgrade('cnpg', 'cloudnative-pg', chart,
                configuration->>'chart_version', 'cnpg-system', safely);
        ELSIF version ~ '^\d+\.\d+\.\d+$' THEN
            RETURN format('kubectl apply --server-side --force-conflicts %s-f https://raw.githubusercontent.com'
                          '/cloudnative-pg/cloudnative-pg/release-%s/releases/cnpg-%s.yaml',
                          CASE WHEN trial THEN '--dry-run=server ' END, substring(version FROM '^\d+\.\d+'), version);
        END IF;
    WHEN 'operator' THEN
        IF backwards AND configuration->>'helm_revision' ~ '^\d+$' THEN
            RETURN format('helm rollback documentdb-operator %s --namespace documentdb-operator %s',
                          configuration->>'helm_revision',
                          CASE WHEN trial THEN '--dry-run' ELSE '--wait --timeout 10m' END);
        ELSIF version IS NOT NULL AND chart IS NOT NULL THEN
            -- Helm leaves CRDs as they are; an older operator works with newer ones.
            RETURN CASE WHEN backwards THEN '' ELSE
                       format('helm show crds %s --version %s'
                              ' | kubectl apply --server-side --force-conflicts %s-f - && ',
                              CASE WHEN chart ~ '^https?://' AND chart !~ '[.]tgz$'
                                   THEN 'documentdb-operator --repo ' ELSE '' END
                                  || documentdb_upgrade_internal.shell_quote(chart),
                              documentdb_upgrade_internal.shell_quote(version),
                              CASE WHEN trial THEN '--dry-run=server ' END) END
                || documentdb_upgrade_internal.helm_upgrade('documentdb-operator', 'documentdb-operator', chart,
                       version, 'documentdb-operator', safely);
        ELSIF version IS NOT NULL AND NOT trial THEN
            RETURN format('# it is not known where the chart of operator %s is: %s', version,
                CASE WHEN backwards
                     THEN 'helm history documentdb-operator --namespace documentdb-operator shows the revision for '
                          'helm rollback documentdb-operator REVISION --namespace documentdb-operator --wait'
                     ELSE 'record the release with the key chart' END);
        END IF;
    WHEN 'sidecar_injector' THEN
        RETURN CASE WHEN NOT trial THEN
            format('kubectl set image deployment/sidecar-injector cnpg-i-sidecar-injector=%s --namespace cnpg-system'
                   ' && kubectl rollout status deployment/sidecar-injector --namespace cnpg-system',
                   documentdb_upgrade_internal.shell_quote(coalesce(image, images || 'sidecar:' || version))) END;
    WHEN 'gateway' THEN
        RETURN CASE WHEN NOT trial THEN documentdb_upgrade_internal.patch_resource(jsonb_build_object('image',
            jsonb_build_object('gateway', coalesce(image, images || 'gateway:'
                || documentdb_upgrade_internal.version_tag(configuration)))), cluster) END;
    WHEN 'extension' THEN
        -- One that leaves the image to the version must not leave an older image there.
        RETURN CASE WHEN NOT trial THEN documentdb_upgrade_internal.patch_resource(CASE WHEN image IS NOT NULL
            THEN jsonb_build_object('image', jsonb_build_object('documentDB', image))
            ELSE jsonb_build_object('documentDBVersion', documentdb_upgrade_internal.version_tag(configuration),
                                    'image', jsonb_build_object('documentDB', NULL)) END, cluster) END;
    WHEN 'postgres' THEN
        RETURN CASE WHEN NOT trial THEN
            documentdb_upgrade_internal.patch_resource(jsonb_build_object('image', jsonb_build_object('postgres',
                coalesce(image, 'ghcr.io/cloudnative-pg/postgresql:' || version || '-minimal-trixie'))), cluster) END;
    ELSE
        NULL;
    END CASE;
    RETURN CASE WHEN NOT trial THEN format('# bring %s to %s with what deploys it', component,
                                           coalesce(version, image)) END;
END
$$;
COMMENT ON FUNCTION release_action(text, text, jsonb, boolean, boolean, text) IS
'serves release plans: the command that brings a component to a version or image; trial: the one that shows what that '
'would do, null where it would show nothing';

CREATE FUNCTION documentdb_upgrade_internal.emergency_action(component text, version text, configuration jsonb,
                                                             cluster text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    images constant text := 'ghcr.io/documentdb/documentdb-kubernetes-operator/';
    tag constant text := CASE WHEN component IN ('gateway', 'extension')
                              THEN documentdb_upgrade_internal.version_tag(configuration) ELSE version END;
    image constant text := coalesce(configuration->>'image', CASE component
        WHEN 'operator' THEN images || 'operator:' || tag
        WHEN 'sidecar_injector' THEN images || 'sidecar:' || tag
        WHEN 'gateway' THEN images || 'gateway:' || tag
        WHEN 'extension' THEN images || 'documentdb:' || tag
        WHEN 'cnpg' THEN 'ghcr.io/cloudnative-pg/cloudnative-pg:' || tag
        WHEN 'postgres' THEN 'ghcr.io/cloudnative-pg/postgresql:' || tag || '-minimal-trixie' END);
    place record;
    target text;
    changes jsonb;
BEGIN
    IF image IS NULL THEN
        RETURN NULL;
    END IF;
    target := CASE component
        WHEN 'operator' THEN 'documentdb-operator --namespace documentdb-operator'
        WHEN 'sidecar_injector' THEN 'sidecar-injector --namespace cnpg-system'
        WHEN 'cnpg' THEN '--selector app.kubernetes.io/name=cloudnative-pg --namespace cnpg-system' END;
    IF target IS NOT NULL THEN
        RETURN format('kubectl set image deployment %s %s=%s && kubectl rollout status deployment %s --timeout=5m',
                      target, CASE component WHEN 'operator' THEN 'documentdb-operator' WHEN 'cnpg' THEN 'manager'
                                             ELSE 'cnpg-i-sidecar-injector' END,
                      documentdb_upgrade_internal.shell_quote(image), target);
    END IF;

    -- The operator serves the webhook of its resource, which cannot be changed without it; and as long as it runs, it
    -- writes the Cluster back.  The tests refuse a Cluster that is made otherwise.
    changes := CASE component
        WHEN 'postgres' THEN jsonb_build_array(
            jsonb_build_object('op', 'replace', 'path', '/spec/imageName', 'value', image))
        WHEN 'extension' THEN jsonb_build_array(
            jsonb_build_object('op', 'test', 'path', '/spec/postgresql/extensions/0/name', 'value', 'documentdb'),
            jsonb_build_object('op', 'replace', 'path', '/spec/postgresql/extensions/0/image/reference',
                               'value', image))
        WHEN 'gateway' THEN jsonb_build_array(
            jsonb_build_object('op', 'test', 'path', '/spec/plugins/0/name',
                               'value', 'cnpg-i-sidecar-injector.documentdb.io'),
            jsonb_build_object('op', 'add', 'path', '/spec/plugins/0/parameters/gatewayImage', 'value', image)) END;
    SELECT * INTO place FROM documentdb_upgrade_internal.cluster_words(cluster);
    RETURN format('kubectl scale deployment documentdb-operator --namespace documentdb-operator --replicas=0 && '
                  'kubectl patch clusters.postgresql.cnpg.io %s --namespace %s --type json -p %s',
                  place.name, place.namespace, documentdb_upgrade_internal.shell_quote(changes::text));
END
$$;
COMMENT ON FUNCTION emergency_action(text, text, jsonb, text) IS
'serves rollback_plan(): the command that brings a component to a version or image without chart and operator; null '
'where it is not known';

CREATE FUNCTION documentdb_upgrade_internal.refuse_release(source bigint, target bigint, force boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    part record;
    schema text := documentdb_upgrade.schema_version();
    major integer := current_setting('server_version_num')::integer / 10000;
    below boolean;
    way_out text;
    step documentdb_upgrade.history;
BEGIN
    -- An image of PostgreSQL can bring the extension along.
    FOR part IN
        SELECT c.component, c.to_version FROM documentdb_upgrade.compare_releases(source, target) c
            WHERE c.component IN ('extension', 'postgres') AND c.to_configuration IS NOT NULL
              AND (force OR c.change <> 'unchanged')
        UNION ALL
        SELECT 'extension', i.extension FROM documentdb_upgrade.compare_releases(source, target) c,
                LATERAL documentdb_upgrade_internal.image_versions(
                    coalesce(c.to_configuration->>'image', c.to_configuration->>'version')) i
            WHERE c.component = 'postgres' AND i.extension IS NOT NULL AND (force OR c.change <> 'unchanged')
    LOOP
        IF part.component = 'extension' AND schema IS NOT NULL THEN
            below := documentdb_upgrade_internal.version_order(part.to_version, schema) < 0;
            IF below THEN
                -- The finalize that has left what the target can serve
                SELECT * INTO step FROM documentdb_upgrade.history h
                    WHERE h.extension = documentdb_upgrade_internal.main_extension() AND h.outcome = 'succeeded'
                      AND documentdb_upgrade_internal.version_order(h.from_version, part.to_version) <= 0
                    ORDER BY h.id DESC LIMIT 1;
                way_out := concat_ws(', or ',
                    coalesce((SELECT format('backup "%s" of %s', b.label,
                                            date_trunc('second', b.finished_at))
                              FROM documentdb_upgrade.backups b
                              WHERE b.finished_at < step.started_at ORDER BY b.finished_at DESC LIMIT 1),
                             format('a backup from when the schema was %s or older', part.to_version)),
                    CASE WHEN step.restore_point IS NOT NULL
                         THEN format('a recovery to restore point "%s" (LSN %s, timeline %s)',
                                     step.restore_point, step.restore_lsn, step.restore_timeline) END);
                RAISE EXCEPTION 'binary "%" of release % is older than the installed schema "%"',
                        part.to_version, target, schema
                    USING ERRCODE = 'object_not_in_prerequisite_state',
                          DETAIL = 'A schema never goes back, and an older binary does not know it.',
                          HINT = 'The only way back is a restore into a new cluster: ' || way_out || '.';
            ELSIF below IS NULL THEN
                IF documentdb_upgrade_internal.version_order(part.to_version, part.to_version) IS NOT NULL THEN
                    RAISE EXCEPTION 'extension % of release % may be older than the installed schema "%", which '
                                    'cannot be ordered', part.to_version, target, schema
                        USING ERRCODE = 'object_not_in_prerequisite_state',
                              HINT = 'Find out whether that binary serves this schema, and go by hand.';
                END IF;
                RAISE EXCEPTION 'release % does not state the version of its extension, which may be older than '
                                'the installed schema "%"', target, schema
                    USING ERRCODE = 'object_not_in_prerequisite_state',
                          HINT = 'Record the release with the key version beside an image by digest.';
            END IF;
        ELSIF part.component = 'postgres' AND substring(part.to_version FROM '^\d+')::numeric < major THEN
            RAISE EXCEPTION 'PostgreSQL "%" of release % cannot open a data directory of %',
                    part.to_version, target, major
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'A data directory belongs to one major version.',
                      HINT = format('The only way back is to restore a dump, or a backup that PostgreSQL %s has made, '
                                    'into a new cluster.', part.to_version);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION refuse_release(bigint, bigint, boolean) IS
'serves release plans: 55000 when the installed schema, or the data directory, forbids the target release, and what is '
'left then';

CREATE FUNCTION documentdb_upgrade_internal.noted_action(action text, from_extension text, to_extension text,
                                                         cluster text DEFAULT NULL)
    RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT CASE WHEN strpos(action, '$FROM_EXTENSION') > 0 AND from_extension IS NULL
                THEN '# the release that is left does not state the version of its extension: ' || action
                WHEN strpos(action, '$TO_EXTENSION') > 0 AND to_extension IS NULL
                THEN '# the release that is gone to does not state the version of its extension: ' || action
                WHEN action LIKE '{%'
                THEN documentdb_upgrade_internal.patch_resource(replace(replace(action,
                         '$FROM_EXTENSION', trim(BOTH '"' FROM coalesce(to_json(from_extension)::text, ''))),
                         '$TO_EXTENSION', trim(BOTH '"' FROM coalesce(to_json(to_extension)::text, '')))::jsonb,
                         cluster)
                ELSE replace(replace(action,
                         '$FROM_EXTENSION', coalesce(documentdb_upgrade_internal.shell_quote(from_extension), '')),
                         '$TO_EXTENSION', coalesce(documentdb_upgrade_internal.shell_quote(to_extension), '')) END
$$;
COMMENT ON FUNCTION noted_action(text, text, text, text) IS
'serves release plans: the command that a row of release_notes stands for';

CREATE FUNCTION documentdb_upgrade_internal.release_steps(
                              a bigint, b bigint, backwards boolean, force boolean, clusters text[],
                              OUT step integer, OUT component text, OUT action text, OUT reason text,
                              OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval,
                              OUT source text, OUT cluster text, OUT emergency text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    -- The instances restart one after the other.
    rolling interval := interval '1 minute'
        * (1 + (SELECT count(*) FROM documentdb_upgrade.standbys s WHERE s.depth = 1));
    -- Null is the one that settings name.
    places constant text[] := coalesce(nullif(clusters, '{}'), ARRAY[NULL]::text[]);
    place text;
    words record;
    part record;
    note documentdb_upgrade.release_notes;
    schema text := documentdb_upgrade.schema_version();
    pausing boolean;
    extension_from text;
    extension_to text;
    tag_from text;
    tag_to text;
    operator_to text;
    replaced boolean := false;
    trial text;
    paused boolean := false;
BEGIN
    IF clusters IS NOT NULL
       AND (SELECT count(DISTINCT c) FROM unnest(clusters) c
            WHERE c ~ '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[a-z0-9]([-a-z0-9.]*[a-z0-9])?){1,2}$')
           <> cardinality(clusters) THEN
        RAISE EXCEPTION 'clusters of a plan must be written namespace/resource, each of them once'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Where the Cluster has another name than its DocumentDB resource, give '
                         'namespace/resource/Cluster.';
    END IF;
    PERFORM documentdb_upgrade_internal.refuse_release(a, b, force);
    SELECT max(c.from_version) FILTER (WHERE c.component = 'extension'),
           max(c.to_version) FILTER (WHERE c.component = 'extension' AND (force OR c.change <> 'unchanged')),
           max(documentdb_upgrade_internal.version_tag(c.from_configuration)) FILTER (WHERE c.component = 'extension'),
           max(documentdb_upgrade_internal.version_tag(c.to_configuration)) FILTER (WHERE c.component = 'extension'),
           max(c.to_version) FILTER (WHERE c.component = 'operator' AND (force OR c.change <> 'unchanged'))
        INTO extension_from, extension_to, tag_from, tag_to, operator_to
        FROM documentdb_upgrade.compare_releases(a, b) c;
    replaced := extension_to IS NOT NULL AND EXISTS (
        SELECT FROM documentdb_upgrade_internal.notes_of('extension', extension_from, extension_to, 'instead'));
    SELECT CASE WHEN backwards
                THEN count(*) > 1
                     AND bool_or(c.component IN ('gateway', 'extension', 'postgres', 'cnpg', 'sidecar_injector'))
                ELSE count(*) FILTER (WHERE c.component IN ('gateway', 'extension', 'postgres')) > 1 END
        INTO pausing
        FROM documentdb_upgrade.compare_releases(a, b) c
        WHERE (force OR c.change <> 'unchanged') AND c.to_configuration IS NOT NULL
          AND NOT (c.component IN ('gateway', 'extension', 'postgres') AND replaced);
    step := 0;

    -- What forbids a release here was refused; of other clusters their resources know.
    IF clusters <> '{}' AND extension_to IS NOT NULL THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'schema';
            cluster := place;
            SELECT * INTO words FROM documentdb_upgrade_internal.cluster_words(place);
            action := format('kubectl get dbs.documentdb.io %s --namespace %s -o jsonpath=%s', words.resource,
                             words.namespace, documentdb_upgrade_internal.shell_quote('{.status.schemaVersion}'));
            reason := format('Must not be above %s; a cluster whose schema is newer stays out of this plan. This '
                             'server has looked at its own schema alone.', extension_to);
            risk := 'none';
            restarts_pods := false;
            expected_duration := interval '1 second';
            RETURN NEXT;
        END LOOP;
    END IF;
    IF backwards AND extension_to IS NOT NULL THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'schema';
            cluster := place;
            action := documentdb_upgrade_internal.psql_action(
                format('SELECT documentdb_upgrade.hold(''rollback from release %s to %s'')', a, b), place);
            reason := 'A finalize before the old binary is back would make this rollback impossible.';
            risk := 'none';
            restarts_pods := false;
            expected_duration := interval '1 second';
            RETURN NEXT;
        END LOOP;
    END IF;

    -- What the notes of a release demand before anything else is done
    FOR part IN
        SELECT n.*
        FROM documentdb_upgrade.compare_releases(a, b) c,
             LATERAL documentdb_upgrade_internal.notes_of(c.component, c.from_version, c.to_version, 'before') n
        WHERE (force OR c.change <> 'unchanged') AND c.to_configuration IS NOT NULL
        ORDER BY n.component COLLATE "C", n.ordinal
    LOOP
        -- Fields of the resource are for each cluster, a command is for all.
        FOREACH place IN ARRAY CASE WHEN part.action LIKE '{%' THEN places ELSE ARRAY[NULL]::text[] END LOOP
            step := step + 1;
            component := part.component;
            cluster := place;
            action := documentdb_upgrade_internal.noted_action(part.action, tag_from, tag_to, place);
            reason := part.reason;
            risk := 'none: it keeps things as they are';
            restarts_pods := false;
            expected_duration := interval '1 second';
            source := part.source;
            RETURN NEXT;
        END LOOP;
    END LOOP;

    FOR part IN
        SELECT c.*, CASE WHEN backwards
                THEN coalesce(array_position(ARRAY['sidecar_injector', 'operator', 'cnpg'], c.component), 5)
                ELSE coalesce(array_position(ARRAY['cnpg', 'operator', 'sidecar_injector'], c.component), 5)
                END AS place,
            c.component IN ('gateway', 'extension', 'postgres') AS in_pods,
            -- The chart of the operator brings these along.
            c.to_configuration->>'image' IS NULL AND operator_to IS NOT NULL
                AND (c.component = 'sidecar_injector' AND c.to_version = operator_to
                     OR c.component = 'cnpg' AND EXISTS (
                         SELECT FROM documentdb_upgrade.compatibility m
                         WHERE m.works AND m.component = 'operator' AND m.other = 'cnpg'
                           AND documentdb_upgrade_internal.version_matches(operator_to, m.version)
                           AND documentdb_upgrade_internal.version_matches(c.to_version, m.other_version)))
                AS comes_along
        FROM documentdb_upgrade.compare_releases(a, b) c
        WHERE force OR c.change <> 'unchanged'
        ORDER BY in_pods, place, array_position(ARRAY['gateway', 'extension', 'postgres'], c.component),
                 c.component COLLATE "C"
    LOOP
        source := NULL;
        cluster := NULL;
        emergency := NULL;
        -- What a release does not name may be there all the same.
        IF part.to_configuration IS NULL THEN
            step := step + 1;
            component := part.component;
            action := format('# release %s does not name %s: nothing is known, and nothing done, about it', b,
                             part.component);
            reason := format('%s in release %s, not named by release %s', coalesce(part.from_version, 'no version'),
                             a, b);
            risk := 'unknown';
            restarts_pods := false;
            expected_duration := NULL;
            RETURN NEXT;
            CONTINUE;
        END IF;
        -- One restart for everything, and after everything.
        IF pausing AND NOT paused AND (part.in_pods OR backwards) THEN
            paused := true;
            FOREACH place IN ARRAY places LOOP
                step := step + 1;
                component := 'cluster';
                cluster := place;
                SELECT * INTO words FROM documentdb_upgrade_internal.cluster_words(place);
                action := format('kubectl annotate clusters.postgresql.cnpg.io %s --namespace %s '
                                 'cnpg.io/reconciliationLoop=disabled --overwrite', words.name, words.namespace);
                reason := CASE WHEN backwards
                    THEN 'All images and charts must be set back before a pod restarts: a pod that restarts too early '
                         'still gets the newer ones.'
                    ELSE 'So the pods restart only once, with all changes.' END;
                risk := 'medium: no failover until it is enabled again';
                restarts_pods := false;
                expected_duration := interval '1 second';
                RETURN NEXT;
            END LOOP;
            cluster := NULL;
        END IF;
        component := part.component;
        SELECT * INTO note FROM documentdb_upgrade_internal.notes_of(
            part.component, part.from_version, part.to_version, 'instead') LIMIT 1;
        IF FOUND THEN
            FOREACH place IN ARRAY CASE WHEN part.in_pods THEN places ELSE ARRAY[NULL]::text[] END LOOP
                step := step + 1;
                cluster := place;
                action := documentdb_upgrade_internal.noted_action(note.action, tag_from, tag_to, place);
                reason := note.reason;
                risk := 'high: the data moves to another cluster';
                restarts_pods := false;
                expected_duration := NULL;
                source := note.source;
                RETURN NEXT;
            END LOOP;
            CONTINUE;
        END IF;
        trial := CASE WHEN NOT part.comes_along THEN documentdb_upgrade_internal.release_action(
            part.component, part.to_version, part.to_configuration, backwards, true) END;
        IF trial IS NOT NULL THEN
            step := step + 1;
            action := trial;
            reason := 'Shows what the next step would change, and changes nothing.';
            risk := 'none';
            restarts_pods := false;
            expected_duration := interval '10 seconds';
            RETURN NEXT;
        END IF;
        FOREACH place IN ARRAY CASE WHEN part.in_pods THEN places ELSE ARRAY[NULL]::text[] END LOOP
            step := step + 1;
            cluster := place;
            action := documentdb_upgrade_internal.release_action(
                part.component, part.to_version, part.to_configuration, backwards, false, place);
            IF part.comes_along THEN
                action := format('# the chart of operator %s brings it along; where it was installed by itself: %s',
                                 operator_to, action);
            ELSIF replaced AND part.in_pods THEN
                action := '# belongs to the new cluster: ' || action;
            END IF;
            -- Nothing of a comment is run, whatever a release has for a version.
            IF action LIKE '#%' THEN
                action := regexp_replace(action, '[[:cntrl:]]+', ' ', 'g');
            END IF;
            emergency := CASE WHEN backwards THEN documentdb_upgrade_internal.emergency_action(
                part.component, part.to_version, part.to_configuration, place) END;
            source := CASE WHEN part.to_configuration ? 'chart' THEN NULL
                           ELSE (SELECT n.source FROM documentdb_upgrade_internal.notes_of(
                                     part.component, NULL, part.to_version, 'chart') n
                                 WHERE strpos(release_steps.action, n.action) > 0 LIMIT 1) END;
            reason := CASE WHEN part.change = 'unchanged'
                THEN format('unchanged since release %s; listed because all were asked for', a)
                WHEN part.from_configuration IS NULL
                THEN format('not named by release %s, %s in %s', a, coalesce(part.to_version, 'no version'), b)
                WHEN part.from_version IS DISTINCT FROM part.to_version
                THEN format('%s in release %s, %s in %s', coalesce(part.from_version, 'no version'), a,
                            coalesce(part.to_version, 'no version'), b)
                ELSE format('configured differently in release %s', b) END
                || CASE WHEN operator_to IS NOT NULL AND NOT part.comes_along
                             AND part.component IN ('cnpg', 'sidecar_injector')
                        THEN '; not needed where the operator''s chart brings it along' ELSE '' END;
            risk := CASE part.component
                WHEN 'cnpg' THEN 'medium: the instance manager of every pod is replaced, which restarts the pods '
                                 'unless it is updated in place'
                WHEN 'operator' THEN CASE WHEN backwards
                    THEN 'medium: CRDs stay as they are, and fields that the older operator does not know are ignored'
                    ELSE 'medium: images that the resource does not name follow the defaults of the operator' END
                WHEN 'sidecar_injector' THEN 'low: it makes the gateway''s container of every pod that starts'
                WHEN 'gateway' THEN 'low: client connections end when the pod restarts'
                WHEN 'extension' THEN 'low: '
                    || CASE WHEN part.to_configuration ? 'image' THEN ''
                            ELSE 'a gateway that the resource does not name goes to this version too; ' END
                    || CASE WHEN backwards THEN format('the schema stays at %s', coalesce(schema, 'what it is'))
                            ELSE 'can be taken back until the schema is finalized' END
                    || CASE WHEN (SELECT i.extension IS NULL FROM documentdb_upgrade_internal.image_versions(
                                      part.to_configuration->>'image') i) AND part.to_configuration ? 'image'
                            THEN format('; the image''s name tells no version: that it is %s is not checked',
                                        part.to_version) ELSE '' END
                WHEN 'postgres' THEN CASE
                    WHEN split_part(coalesce(part.from_version, current_setting('server_version')), '.', 1)
                         <> split_part(part.to_version, '.', 1)
                    THEN 'high: another major version, so pg_upgrade or a restore' ELSE 'low: a minor version' END
                ELSE 'unknown' END;
            restarts_pods := part.in_pods AND NOT paused AND NOT replaced OR part.component = 'cnpg' AND NOT paused
                             OR part.component = 'sidecar_injector' AND NOT paused;
            expected_duration := CASE WHEN part.in_pods AND paused THEN interval '1 second'
                                      WHEN restarts_pods AND NOT part.in_pods
                                      THEN interval '2 minutes' + cardinality(places) * rolling
                                      WHEN restarts_pods THEN rolling
                                      WHEN part.place < 5 THEN interval '2 minutes' END;
            RETURN NEXT;
        END LOOP;
    END LOOP;
    source := NULL;

    IF paused THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'cluster';
            cluster := place;
            SELECT * INTO words FROM documentdb_upgrade_internal.cluster_words(place);
            action := format('kubectl annotate clusters.postgresql.cnpg.io %s --namespace %s '
                             'cnpg.io/reconciliationLoop-', words.name, words.namespace);
            reason := 'Lets the pods restart, standbys first, with all that was changed.'
                || CASE WHEN cardinality(places) > 1
                        THEN ' Go on with the next cluster when this one is ready.' ELSE '' END;
            risk := 'medium: clients are disconnected while the primary restarts';
            restarts_pods := true;
            expected_duration := rolling;
            emergency := CASE WHEN backwards THEN
                format('%3$s; kubectl delete pods --namespace %1$s --selector '
                       'cnpg.io/cluster=%2$s,cnpg.io/instanceRole=replica; kubectl wait --namespace %1$s --for '
                       'condition=Ready clusters.postgresql.cnpg.io/%2$s --timeout=10m && kubectl delete pods '
                       '--namespace %1$s --selector cnpg.io/cluster=%2$s,cnpg.io/instanceRole=primary',
                       words.namespace, words.name, action) END;
            RETURN NEXT;
        END LOOP;
    END IF;
    emergency := NULL;

    IF backwards AND extension_to IS NOT NULL THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'schema';
            cluster := place;
            action := documentdb_upgrade_internal.psql_action('SELECT documentdb_upgrade.release()', place);
            reason := 'The older binary is back on every instance: ends the hold of the first step.';
            risk := 'low: with schemaVersion auto a later rollout finalizes again';
            restarts_pods := false;
            expected_duration := interval '1 second';
            RETURN NEXT;
        END LOOP;
    ELSIF NOT backwards AND NOT replaced AND extension_to IS NOT NULL AND schema IS NOT NULL
          AND documentdb_upgrade_internal.version_order(extension_to, schema) > 0 THEN
        FOREACH place IN ARRAY places LOOP
            step := step + 1;
            component := 'schema';
            cluster := place;
            action := documentdb_upgrade_internal.psql_action(format('CALL documentdb_upgrade.run_finalize_to(%L)',
                documentdb_upgrade.to_extension_version(extension_to)), place);
            reason := format('The schema is %s; the new one comes last, when the new binary has run on every instance '
                             'without trouble.', schema);
            risk := 'high: cannot be undone; rehearse it first';
            restarts_pods := false;
            expected_duration := (SELECT r.finished_at - r.started_at FROM documentdb_upgrade.rehearsals r
                WHERE r.outcome = 'passed' AND NOT r.scratch AND r.from_version = schema
                  AND documentdb_upgrade_internal.version_order(r.to_version, extension_to) = 0
                ORDER BY r.id DESC LIMIT 1);
            RETURN NEXT;
        END LOOP;
    END IF;

    FOR part IN
        SELECT n.*
        FROM documentdb_upgrade.compare_releases(a, b) c,
             LATERAL documentdb_upgrade_internal.notes_of(c.component, c.from_version, c.to_version, 'after') n
        WHERE (force OR c.change <> 'unchanged') AND c.to_configuration IS NOT NULL
        ORDER BY n.component COLLATE "C", n.ordinal
    LOOP
        FOREACH place IN ARRAY CASE WHEN part.action LIKE '{%' THEN places ELSE ARRAY[NULL]::text[] END LOOP
            step := step + 1;
            component := part.component;
            cluster := place;
            action := documentdb_upgrade_internal.noted_action(part.action, tag_from, tag_to, place);
            reason := part.reason;
            risk := 'unknown';
            restarts_pods := NULL;
            expected_duration := NULL;
            source := part.source;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION release_steps(bigint, bigint, boolean, boolean, text[]) IS
'serves release_plan() and rollback_plan()';

CREATE FUNCTION release_plan(a bigint, b bigint, clusters text[] DEFAULT NULL,
                             OUT step integer, OUT component text, OUT action text, OUT reason text,
                             OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval,
                             OUT source text, OUT cluster text, OUT total_duration interval)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.step, s.component, s.action, s.reason, s.risk, s.restarts_pods, s.expected_duration, s.source, s.cluster,
           coalesce(sum(s.expected_duration) OVER (ORDER BY s.step), '0')
    FROM documentdb_upgrade_internal.release_steps(a, b, false, false, clusters) s
    ORDER BY s.step
$$;
COMMENT ON FUNCTION release_plan(bigint, bigint, text[]) IS
'how to come from release a to b, one row per step: what release notes demand first, CloudNativePG, operator, sidecar '
'injector, then what restarts with the pods (gateway, extension, PostgreSQL), then the schema; changed components '
'only, each with the command, why, the risk, how long it takes as far as that is known, and who says so where it '
'comes from release_notes; cluster: the one of several that the step is for; total_duration: what is known of this '
'step and those before. 42704: no such release; 55000: what the installed schema forbids; 22023: malformed clusters';

CREATE FUNCTION rollback_plan(a bigint, b bigint, force boolean DEFAULT false, clusters text[] DEFAULT NULL,
                              OUT step integer, OUT component text, OUT action text, OUT reason text,
                              OUT risk text, OUT restarts_pods boolean, OUT expected_duration interval,
                              OUT source text, OUT cluster text, OUT total_duration interval, OUT emergency text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.step, s.component, s.action, s.reason, s.risk, s.restarts_pods, s.expected_duration, s.source, s.cluster,
           coalesce(sum(s.expected_duration) OVER (ORDER BY s.step), '0'), s.emergency
    FROM documentdb_upgrade_internal.release_steps(a, b, true, coalesce(force, false), clusters) s
    ORDER BY s.step
$$;
COMMENT ON FUNCTION rollback_plan(bigint, bigint, boolean, text[]) IS
'how to come back from release a to b, one row per step: a hold, charts and images, and only then the restart of the '
'pods; changed components, or with force all of them; cluster and total_duration as in release_plan(); emergency: the '
'command that does without chart and operator. 42704: no such release; 55000: the installed schema, or the data '
'directory, is newer than what release b brings, and the hint says what is left; 22023: malformed clusters';

CREATE FUNCTION documentdb_upgrade_internal.error_counters() RETURNS jsonb
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('at', clock_timestamp(), 'stats_reset', d.stats_reset, 'deadlocks', d.deadlocks,
               'checksum_failures', coalesce(d.checksum_failures, 0), 'conflicts', d.conflicts,
               'sessions_fatal', d.sessions_fatal, 'sessions_killed', d.sessions_killed,
               'rolled_back', d.xact_rollback, 'started_at', pg_postmaster_start_time(),
               'last_attempt', (SELECT coalesce(max(h.id), 0) FROM documentdb_upgrade.history h))
    FROM pg_stat_database d WHERE d.datname = current_database()
$$;
COMMENT ON FUNCTION error_counters() IS
'serves verify_rollback(): counters of errors in this database, and the last attempt in history';

CREATE FUNCTION record_rollback(source bigint, target bigint, changed text[], skipped text[] DEFAULT '{}')
    RETURNS rollbacks
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    seen jsonb := documentdb_upgrade_internal.observed_release();
    named text[] := changed || skipped;
    problem text;
    parts jsonb;
    made documentdb_upgrade.releases;
    result documentdb_upgrade.rollbacks;
BEGIN
    IF changed IS NULL OR skipped IS NULL OR array_position(named, NULL) IS NOT NULL
       OR cardinality(named) <> (SELECT count(DISTINCT n) FROM unnest(named) n) THEN
        RAISE EXCEPTION 'components of a rollback must be given, each of them once'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF record_rollback.source = record_rollback.target THEN
        RAISE EXCEPTION 'source and target of a rollback must be two releases'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOCK TABLE documentdb_upgrade.releases IN SHARE ROW EXCLUSIVE MODE;
    problem := (SELECT min(n) FROM unnest(named) n WHERE n NOT IN (
        SELECT c.component FROM documentdb_upgrade.compare_releases(record_rollback.source, record_rollback.target) c));
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'component "%" is in neither release', problem
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    problem := (SELECT min(c.component)
                FROM documentdb_upgrade.compare_releases(record_rollback.source, record_rollback.target) c
                WHERE c.change <> 'unchanged' AND c.to_configuration IS NOT NULL AND c.component <> ALL (named));
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'component "%" differs between the releases and is neither changed nor skipped', problem
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('What differs is shown by SELECT component, change FROM '
                                'documentdb_upgrade.compare_releases(%s, %s);', source, target);
    END IF;

    SELECT jsonb_object_agg(p.name, p.part) INTO parts
        FROM (SELECT c.component AS name,
                  CASE WHEN c.component = ANY (changed) THEN t.components ELSE s.components END -> c.component AS part
              FROM documentdb_upgrade.compare_releases(record_rollback.source, record_rollback.target) c,
                   documentdb_upgrade.releases s, documentdb_upgrade.releases t
              WHERE s.revision = record_rollback.source AND t.revision = record_rollback.target) p
        WHERE p.part IS NOT NULL;
    IF parts IS NULL THEN
        RAISE EXCEPTION 'nothing would be left of release %', record_rollback.source
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- In time to keep the releases that it refers to.
    INSERT INTO documentdb_upgrade.rollbacks (source, target, release, changed, skipped, baseline)
        VALUES (record_rollback.source, record_rollback.target, record_rollback.target,
                record_rollback.changed, record_rollback.skipped,
                documentdb_upgrade_internal.error_counters() || jsonb_build_object('observed', seen))
        RETURNING * INTO result;
    made := documentdb_upgrade_internal.add_release(parts, NULL,
        format('rollback %s: from %s to %s', result.id, record_rollback.source, record_rollback.target),
        seen, 'rollback');
    UPDATE documentdb_upgrade.rollbacks b SET release = made.revision WHERE b.id = result.id
        RETURNING * INTO result;
    RETURN result;
END
$$;
COMMENT ON FUNCTION record_rollback(bigint, bigint, text[], text[]) IS
'records that a rollback plan from the source release to the target was executed, with the components that were '
'reverted and those that were left though they differ, and the release that came of it; returns the row, whose id is '
'for verify_rollback(). A component that the target does not name need not be in a list. 42704: no such release; '
'22023: a component that is in neither, in both lists, or differs and is in none';

CREATE PROCEDURE run_record_rollback(source bigint, target bigint, changed text[], skipped text[] DEFAULT '{}',
                                     INOUT id bigint DEFAULT NULL)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    id := (documentdb_upgrade.record_rollback(source, target, changed, skipped)).id;
END
$$;
COMMENT ON PROCEDURE run_record_rollback(bigint, bigint, text[], text[], bigint) IS
'like record_rollback, for roles that a planner hook keeps out of SELECT; gives the id';

CREATE FUNCTION verify_rollback(id bigint, OUT "check" text, OUT status text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 25 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rollback documentdb_upgrade.rollbacks;
    planned jsonb;
    newest documentdb_upgrade.releases;
    seen jsonb;
    before jsonb;
    now jsonb;
    part record;
    instance record;
    says text;
    in_kubernetes boolean;
BEGIN
    SELECT * INTO rollback FROM documentdb_upgrade.rollbacks b WHERE b.id = verify_rollback.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rollback % does not exist', verify_rollback.id
            USING ERRCODE = 'undefined_object',
                  HINT = 'Those that do are shown by '
                         'SELECT id, recorded_at, source, target FROM documentdb_upgrade.rollbacks;';
    END IF;
    planned := (SELECT r.components FROM documentdb_upgrade.releases r WHERE r.revision = rollback.release);
    SELECT * INTO newest FROM documentdb_upgrade.releases r ORDER BY r.revision DESC LIMIT 1;
    before := (SELECT r.components FROM documentdb_upgrade.releases r WHERE r.revision = rollback.source);
    seen := documentdb_upgrade_internal.observed_release();

    -- What was compared, and what was done of it
    "check" := 'differences';
    SELECT string_agg(DISTINCT format('%s of release %s', c.key, r.revision), ', ') FILTER (WHERE c.value->>'sha256'
               IS DISTINCT FROM encode(sha256(convert_to((c.value->'configuration')::text, 'UTF8')), 'hex'))
        INTO says FROM documentdb_upgrade.releases r, jsonb_each(r.components) c
        WHERE r.revision IN (rollback.source, rollback.target);
    status := CASE WHEN says IS NULL THEN 'pass' ELSE 'fail' END;
    detail := CASE WHEN says IS NOT NULL
        THEN format('Stored digests do not belong to what is stored of %s: compare the releases by hand.', says)
        ELSE (SELECT format('Between releases %s and %s differ %s.', rollback.source, rollback.target, coalesce(
                  string_agg(c.component, ', ' ORDER BY c.component COLLATE "C")
                      FILTER (WHERE c.change <> 'unchanged'), 'no components'))
              FROM documentdb_upgrade.compare_releases(rollback.source, rollback.target) c) END;
    RETURN NEXT;

    "check" := 'only differences';
    says := (SELECT string_agg(c.component, ', ' ORDER BY c.component COLLATE "C")
             FROM documentdb_upgrade.compare_releases(rollback.source, rollback.target) c
             WHERE c.change = 'unchanged' AND c.component = ANY (rollback.changed));
    status := CASE WHEN says IS NULL THEN 'pass' ELSE 'skip' END;
    detail := CASE WHEN says IS NULL THEN 'No component was reverted that did not differ.'
                   ELSE format('Reverted though it did not differ, as a plan with force => true does: %s.', says) END;
    RETURN NEXT;

    -- Each component: what can be seen from here, else what was recorded since
    FOR part IN
        SELECT k.name, k.name = ANY (rollback.changed) AS reverted,
               documentdb_upgrade_internal.component_version(k.name, planned->k.name->'configuration') AS wanted,
               seen->k.name->>'version' AS found,
               newest.revision > rollback.release AS recorded,
               newest.components->k.name->>'sha256' IS NOT DISTINCT FROM planned->k.name->>'sha256' AS equal
        FROM (SELECT jsonb_object_keys(before) UNION SELECT jsonb_object_keys(planned)
              UNION SELECT unnest(rollback.changed)) AS k(name)
        ORDER BY k.name COLLATE "C"
    LOOP
        "check" := CASE WHEN part.reverted THEN 'changed ' ELSE 'untouched ' END || part.name;
        IF part.found IS NOT NULL AND NOT part.reverted THEN
            IF seen->part.name = rollback.baseline->'observed'->part.name THEN
                status := 'pass';
                detail := format('It is %s as when the rollback was recorded.', part.found);
            ELSE
                status := 'fail';
                says := rollback.baseline->'observed'->part.name->>'version';
                detail := format('It was %s when the rollback was recorded, and is %s%s.', says, part.found,
                                 CASE WHEN part.found = says THEN ' of another build' END);
            END IF;
        ELSIF part.found IS NOT NULL AND part.wanted IS NOT NULL THEN
            status := CASE WHEN documentdb_upgrade_internal.version_matches(part.found, part.wanted) THEN 'pass'
                           ELSE 'fail' END;
            detail := format('This server offers %s; planned is %s.', part.found, part.wanted);
            -- The same version can be another build.
            IF status = 'pass' AND planned->part.name->'configuration' ? 'library_sha256'
               AND planned->part.name->'configuration'->'library_sha256'
                   <> coalesce(seen->part.name->'library_sha256', 'null') THEN
                status := 'fail';
                detail := format('Its libraries differ from those of release %s, although the version is %s.',
                                 rollback.target, part.found);
            END IF;
        ELSIF part.recorded THEN
            status := CASE WHEN part.equal THEN 'pass' ELSE 'fail' END;
            detail := format(CASE WHEN part.equal THEN 'Release %s, recorded since, has it as planned.'
                                  ELSE 'Release %s, recorded since, has another configuration of it than planned.' END,
                             newest.revision);
        ELSE
            status := 'skip';
            detail := 'This server cannot see it: call record_release() with what is deployed now, then verify again.';
        END IF;
        RETURN NEXT;
    END LOOP;

    -- Of a component that was left, or that nobody has tried with the others, a release is not one.
    "check" := 'versions together';
    SELECT string_agg(format('%s %s and %s %s are %s', c.component, c.version, c.other, c.other_version, c.status),
                      '; ' ORDER BY c.component, c.other) FILTER (WHERE c.status IN ('incompatible', 'untested')),
           bool_or(c.status = 'incompatible') AS bad, bool_or(c.status = 'compatible') AS known
        INTO part FROM documentdb_upgrade.check_compatibility(
            (SELECT jsonb_object_agg(c.key, c.value->'configuration') FROM jsonb_each(planned) c)) c
        WHERE c.component <> 'unified';
    status := CASE WHEN part.bad THEN 'fail' WHEN part.string_agg IS NOT NULL OR part.known IS NOT TRUE THEN 'skip'
                   ELSE 'pass' END;
    detail := format('Release %s is release %s%s. %s.', rollback.release, rollback.target,
        CASE WHEN rollback.skipped <> '{}' THEN format(' with %s left as in release %s',
            array_to_string(rollback.skipped, ', '), rollback.source) ELSE '' END,
        coalesce(part.string_agg, CASE WHEN part.known THEN 'The matrix knows these versions together'
                                       ELSE 'The matrix knows nothing about these versions together' END));
    RETURN NEXT;

    "check" := 'record';
    status := CASE WHEN newest.revision = rollback.release OR newest.sha256 = (
                  SELECT r.sha256 FROM documentdb_upgrade.releases r WHERE r.revision = rollback.release)
                   THEN 'pass' ELSE 'fail' END;
    detail := CASE status
        WHEN 'pass' THEN format('The newest release on record, %s, is that of this rollback.', newest.revision)
        ELSE format('Release %s was recorded since, and is another one: %s.', newest.revision,
            (SELECT string_agg(c.component, ', ' ORDER BY c.component COLLATE "C") || ' differ'
             FROM documentdb_upgrade.compare_releases(rollback.release, newest.revision) c
             WHERE c.change <> 'unchanged')) END;
    RETURN NEXT;

    SELECT s.role, s.state, s.installed_version AS installed, s.binary_version AS offered,
           s.loaded_version AS loaded, s.next_step INTO instance
        FROM documentdb_upgrade.status s WHERE s.extension = documentdb_upgrade_internal.main_extension();
    "check" := 'loaded library';
    IF instance.loaded IS NULL OR instance.offered IS NULL THEN
        status := 'skip';
        detail := 'The extension has no function that tells the version of the library in memory.';
    ELSE
        status := CASE WHEN coalesce(documentdb_upgrade_internal.version_order(instance.loaded, instance.offered) = 0,
                                     instance.loaded = instance.offered) THEN 'pass' ELSE 'fail' END;
        detail := format('In memory is %s, the files offer %s.', instance.loaded, instance.offered)
            || CASE status WHEN 'fail' THEN ' Restart the server.' ELSE '' END;
    END IF;
    RETURN NEXT;

    "check" := 'schema';
    IF instance.installed IS NULL OR instance.offered IS NULL THEN
        status := 'skip';
        detail := 'The main extension is not installed, or has no files.';
    ELSE
        status := CASE WHEN instance.installed = instance.offered THEN 'pass'
                       ELSE CASE documentdb_upgrade_internal.version_order(instance.installed, instance.offered)
                                WHEN 1 THEN 'fail' WHEN 0 THEN 'pass' WHEN -1 THEN 'pass' ELSE 'skip' END END;
        detail := format('The schema is %s, the binary %s.', instance.installed, instance.offered)
            || CASE status WHEN 'fail'
                    THEN ' The binary is too old for the schema: bring the newer one back, or restore.'
                    WHEN 'skip' THEN ' They cannot be ordered: find out whether the binary serves that schema.'
                    ELSE '' END;
    END IF;
    RETURN NEXT;

    "check" := 'server';
    status := CASE WHEN instance.state IN ('failed', 'schema_ahead') THEN 'fail' ELSE 'pass' END;
    detail := format('It is a %s in state %s. %s', instance.role, instance.state, instance.next_step);
    RETURN NEXT;

    "check" := 'standbys';
    SELECT count(*), string_agg(format('%s: %s', b.name, coalesce(b.problem, b.status)), ' ' ORDER BY b.name)
                         FILTER (WHERE b.status <> 'ready') AS problems
        INTO part FROM documentdb_upgrade.standbys b WHERE b.required;
    status := CASE WHEN part.count = 0 THEN 'skip' WHEN part.problems IS NULL THEN 'pass' ELSE 'fail' END;
    detail := CASE WHEN part.count = 0 THEN 'There is none.'
                   ELSE coalesce(part.problems, format('All %s are ready.', part.count)) END;
    RETURN NEXT;

    "check" := 'history';
    SELECT string_agg(format('attempt %s %s: %s', h.id, h.outcome, coalesce(h.message, 'no message')), '; '
                      ORDER BY h.id)
        INTO says FROM documentdb_upgrade.history h
        WHERE h.id > (rollback.baseline->>'last_attempt')::bigint AND h.outcome IN ('failed', 'refused');
    status := CASE WHEN says IS NULL THEN 'pass' ELSE 'fail' END;
    detail := coalesce(says, 'No attempt has failed or was refused since then.');
    RETURN NEXT;

    "check" := 'errors';
    now := documentdb_upgrade_internal.error_counters();
    SELECT string_agg(format('%s %s', (now->>c.name)::bigint - (rollback.baseline->>c.name)::bigint, c.name), ', ')
        INTO says FROM (VALUES ('deadlocks'), ('checksum_failures'), ('conflicts'), ('sessions_fatal')) AS c(name)
        WHERE (now->>c.name)::bigint > (rollback.baseline->>c.name)::bigint;
    IF now->'stats_reset' IS DISTINCT FROM rollback.baseline->'stats_reset'
       OR EXISTS (SELECT FROM (VALUES ('deadlocks'), ('conflicts'), ('sessions_fatal'), ('rolled_back')) AS c(name)
                  WHERE (now->>c.name)::bigint < (rollback.baseline->>c.name)::bigint) THEN
        status := 'skip';
        detail := 'The statistics of this database were reset since then: look at the server''s log.';
    ELSE
        status := CASE WHEN says IS NULL THEN 'pass' ELSE 'fail' END;
        detail := format('%s in this database since %s, by pg_stat_database (deadlocks, checksum failures, conflicts '
                         'with recovery, sessions ended by a fatal error); %s transactions were rolled back, which may '
                         'be normal.',
            coalesce(says, 'Nothing'), date_trunc('second', (rollback.baseline->>'at')::timestamptz),
            (now->>'rolled_back')::bigint - (rollback.baseline->>'rolled_back')::bigint);
    END IF;
    RETURN NEXT;

    -- What a database cannot see
    in_kubernetes := planned ?| '{operator,cnpg,sidecar_injector,gateway}'
                     OR documentdb_upgrade_internal.in_kubernetes();
    FOR part IN SELECT m.* FROM documentdb_upgrade_internal.manual_checks('rollback') m LOOP
        "check" := replace(part.check_name, '_', ' ');
        status := CASE WHEN in_kubernetes OR NOT part.of_kubernetes THEN 'manual' ELSE 'skip' END;
        detail := CASE status
            WHEN 'manual' THEN format('Run %s; good is: %s.', part.command, part.expected)
            ELSE 'Neither this server nor its releases have anything to do with Kubernetes.' END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION verify_rollback(bigint) IS
'checks off a recorded rollback, one row per check: what differed and that nothing else was reverted, each component '
'that was to change or to stay, whether the versions go together, the record, the library in memory, schema against '
'binary, this server, its standbys, failed attempts and counters of errors since then, and what a database cannot '
'see; pass, fail, skip with the reason, or manual with the command and what a good answer is. 42704: no such rollback';
