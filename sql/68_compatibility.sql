--
-- Compatibility
--

CREATE TABLE compatibility (
    component text NOT NULL,
    version text NOT NULL,
    other text NOT NULL CHECK (other <> component),
    other_version text NOT NULL,
    works boolean NOT NULL DEFAULT true,
    note text,
    source text NOT NULL CHECK (source <> ''),
    builtin boolean NOT NULL DEFAULT false,
    matrix text,
    PRIMARY KEY (component, version, other, other_version, builtin)
);
COMMENT ON TABLE compatibility IS 'which versions of two components go together, and who says so; add rows of your own';
COMMENT ON COLUMN compatibility.component IS
'operator, gateway, postgres, extension, sidecar_injector, cnpg, ferretdb, kubernetes or another name';
COMMENT ON COLUMN compatibility.version IS 'as version_matches() takes it: 1.28, 14..18, 1.35.., ..1.32';
COMMENT ON COLUMN compatibility.other IS 'the component that it is about';
COMMENT ON COLUMN compatibility.other_version IS 'like version';
COMMENT ON COLUMN compatibility.works IS 'false: known not to work, which counts more than any row that says it does';
COMMENT ON COLUMN compatibility.note IS 'for people';
COMMENT ON COLUMN compatibility.source IS 'where it is written';
COMMENT ON COLUMN compatibility.builtin IS
'shipped with this extension; does not count where a row that is not has the same components and versions';
COMMENT ON COLUMN compatibility.matrix IS
'name under which load_compatibility() has loaded the row; null for shipped rows and for those that you have inserted';

SELECT pg_catalog.pg_extension_config_dump('compatibility', 'WHERE NOT builtin');

-- Released pairs alone, each as its source has it.
INSERT INTO compatibility (component, version, other, other_version, works, note, source, builtin)
SELECT *, true FROM (VALUES
    ('ferretdb', '2.0.0', 'extension', '0.102.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.102.0-ferretdb-2.0.0'),
    ('ferretdb', '2.1.0', 'extension', '0.102.0', true, 'no update in place to it from earlier ones',
     'https://github.com/FerretDB/documentdb/releases/tag/v0.102.0-ferretdb-2.1.0'),
    ('ferretdb', '2.2.0', 'extension', '0.103.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.103.0-ferretdb-2.2.0'),
    ('ferretdb', '2.3.0', 'extension', '0.104.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.104.0-ferretdb-2.3.0'),
    ('ferretdb', '2.3.1', 'extension', '0.104.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.104.0-ferretdb-2.3.0'),
    ('ferretdb', '2.4.0', 'extension', '0.105.0', true, 'update the extension first',
     'https://github.com/FerretDB/documentdb/releases/tag/v0.105.0-ferretdb-2.4.0'),
    ('ferretdb', '2.5.0', 'extension', '0.106.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.106.0-ferretdb-2.5.0'),
    ('ferretdb', '2.7.0', 'extension', '0.107.0', true, NULL,
     'https://github.com/FerretDB/documentdb/releases/tag/v0.107.0-ferretdb-2.7.0'),
    ('operator', '0.1.3', 'cnpg', '1.28.0', true, 'its chart depends on chart 0.27.0',
     'documentdb/documentdb-kubernetes-operator: index.yaml at gh-pages, with CHANGELOG.md '
     '(chart 0.27.0 is app 1.28.0)'),
    ('operator', '0.2.0', 'cnpg', '1.28.0', true, 'its chart depends on chart 0.27.0',
     'documentdb/documentdb-kubernetes-operator: index.yaml at gh-pages, with CHANGELOG.md '
     '(chart 0.27.0 is app 1.28.0)'),
    ('operator', '0.3.0', 'cnpg', '1.29.1', true, 'its chart depends on chart 0.28.1',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.3.0'),
    ('operator', '0.2.0', 'extension', '0.109.0', true, 'its default',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0, and operator/src/internal/utils/constants.go'),
    ('operator', '0.2.0', 'gateway', '0.109.0', true, 'its default',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0, and operator/src/internal/utils/constants.go'),
    ('operator', '0.2.0', 'postgres', '18', true, 'its default image is 18-minimal-trixie',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0'),
    ('operator', '0.2.0', 'kubernetes', '1.35..', true, 'needs image volumes',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0'),
    ('operator', '0.2.0', 'kubernetes', '..1.34', false, 'requires Kubernetes 1.35 or later',
     'documentdb/documentdb-kubernetes-operator: CHANGELOG.md, 0.2.0'),
    ('operator', '0.3.0', 'extension', '0.110.0', true, 'its default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '0.3.0', 'gateway', '0.110.0', true, 'its default',
     'documentdb/documentdb-kubernetes-operator: operator/src/internal/utils/constants.go of 0.3.0'),
    ('operator', '0.3.0', 'kubernetes', '1.35..', true, 'needs image volumes',
     'documentdb/documentdb-kubernetes-operator: operator/documentdb-helm-chart/Chart.yaml of 0.3.0'),
    ('operator', '0.3.0', 'kubernetes', '..1.34', false, 'its chart requires Kubernetes 1.35 or later',
     'documentdb/documentdb-kubernetes-operator: operator/documentdb-helm-chart/Chart.yaml of 0.3.0'),
    ('operator', '1.0.0-rc1', 'extension', '1.0-RC2', true, 'its default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'extension', '1.0.0', true, 'its default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'cnpg', '1.29.1', true, 'comes with it',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0 (version compatibility table)'),
    ('operator', '1.0.0', 'postgres', '18.6', true, 'comes with it',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0 (version compatibility table)'),
    ('operator', '1.0.0', 'kubernetes', '1.35..1.36', true, 'image volumes are on by default',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'kubernetes', '1.33..1.34', true, 'with the feature gate ImageVolume',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('operator', '1.0.0', 'kubernetes', '..1.32', false, 'requires Kubernetes 1.33 or later',
     'https://github.com/documentdb/documentdb-kubernetes-operator/releases/tag/1.0.0'),
    ('extension', '0.101..1.0', 'postgres', '17', true, NULL,
     'documentdb/documentdb: CHANGELOG.md, v0.101-0'),
    -- The minor release 18.6 has changed what extensions were built for.
    ('extension', '0.108..1.0', 'postgres', '18..18.5', true, NULL,
     'documentdb/documentdb: CHANGELOG.md, v0.108-0'),
    ('extension', '0.113', 'postgres', '18.6', false, 'inserts crash; fixed in 0.116.0',
     'https://github.com/documentdb/documentdb-kubernetes-operator/pull/459'),
    ('extension', '0.114..0.115', 'postgres', '18.6', false, 'the fix of inserts that crash is in 0.116.0',
     'https://github.com/documentdb/documentdb-kubernetes-operator/pull/459'),
    ('extension', '0.116..0.117', 'postgres', '18.6', true, NULL,
     'https://github.com/documentdb/documentdb-kubernetes-operator/pull/459'),
    ('extension', '1.0', 'postgres', '15..18', true, 'packages for 17 and 18, images for all four',
     'https://github.com/documentdb/documentdb/releases/tag/v1.0-0'),
    ('extension', '1.2', 'postgres', '17..18', true, 'packages; there was no 1.1',
     'https://github.com/documentdb/documentdb/releases/tag/v1.2-0'),
    ('cnpg', '1.25', 'postgres', '13..17', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.26', 'postgres', '13..17', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.27', 'postgres', '13..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.28', 'postgres', '14..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.29', 'postgres', '14..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.30', 'postgres', '14..18', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.25', 'kubernetes', '1.29..1.32', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.26', 'kubernetes', '1.30..1.33', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.27'),
    ('cnpg', '1.27', 'kubernetes', '1.31..1.33', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.28'),
    ('cnpg', '1.28', 'kubernetes', '1.32..1.35', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.29', 'kubernetes', '1.33..1.35', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.29', 'kubernetes', '1.31..1.32', true, 'tested, but not supported',
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.29', 'kubernetes', '1.36', true, 'tested, but not supported',
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.30', 'kubernetes', '1.34..1.36', true, NULL,
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30'),
    ('cnpg', '1.30', 'kubernetes', '1.30..1.33', true, 'tested, but not supported',
     'cloudnative-pg/cloudnative-pg: docs/src/supported_releases.md of 1.30')) AS v;

CREATE FUNCTION documentdb_upgrade_internal.compatible_pairs(
                                    components jsonb,
                                    OUT component text, OUT version text, OUT other text, OUT other_version text,
                                    OUT status text, OUT detail text, OUT source text)
    RETURNS SETOF record
    -- To compile this would take a thousand times as long as to run it.
    LANGUAGE sql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET jit = off
AS $$
    WITH part AS MATERIALIZED (
        SELECT c.key AS name, c.value->'configuration' AS configuration
        FROM jsonb_each(documentdb_upgrade_internal.release_components(components)) c
    ), tag AS (
        SELECT t.extension, t.ferretdb FROM part p,
            LATERAL documentdb_upgrade_internal.image_versions(
                coalesce(p.configuration->>'image', p.configuration->>'version')) t
        WHERE p.name = 'postgres'
    ), stated AS (
        SELECT p.name, documentdb_upgrade_internal.component_version(p.name, p.configuration) AS number, false AS of_tag
        FROM part p
        UNION ALL SELECT 'extension', extension, true FROM tag WHERE extension IS NOT NULL
        UNION ALL SELECT 'ferretdb', ferretdb, true FROM tag WHERE ferretdb IS NOT NULL
    ), given AS MATERIALIZED (
        SELECT DISTINCT ON (s.name) s.name, s.number FROM stated s WHERE s.number IS NOT NULL ORDER BY s.name, s.of_tag
    ), counts AS MATERIALIZED (
        SELECT m.* FROM documentdb_upgrade.compatibility m
        WHERE NOT (m.builtin AND EXISTS (
            SELECT FROM documentdb_upgrade.compatibility o
            WHERE NOT o.builtin
              AND ((o.component, o.version, o.other, o.other_version)
                   = (m.component, m.version, m.other, m.other_version)
                   OR (o.other, o.other_version, o.component, o.version)
                      = (m.component, m.version, m.other, m.other_version))))
    ), fact AS (
        -- Each row of the matrix from both sides
        SELECT m.component AS name, m.version AS pattern, m.other, m.other_version AS other_pattern,
               m.works, m.note, m.source
        FROM counts m
        UNION ALL
        SELECT m.other, m.other_version, m.component, m.version, m.works, m.note, m.source
        FROM counts m
    ), pair AS (
        SELECT a.name, a.number, b.name AS other, b.number AS other_number, f.*
        FROM given a JOIN given b ON a.name < b.name,
        LATERAL (SELECT (array_agg(f.source ORDER BY f.source) FILTER (WHERE hit AND NOT f.works))[1] AS against,
                        (array_agg(f.note ORDER BY f.source) FILTER (WHERE hit AND NOT f.works))[1] AS against_note,
                        (array_agg(f.source ORDER BY f.source) FILTER (WHERE hit AND f.works))[1] AS in_favour,
                        (array_agg(f.note ORDER BY f.source) FILTER (WHERE hit AND f.works))[1] AS in_favour_note,
                        string_agg(format('%s %s with %s %s', f.name, f.pattern, f.other, f.other_pattern), ', '
                                   ORDER BY f.pattern, f.other_pattern) FILTER (WHERE f.works) AS known,
                        (array_agg(f.source ORDER BY f.source) FILTER (WHERE f.works))[1] AS known_source
                 FROM (SELECT f.*, documentdb_upgrade_internal.version_matches(a.number, f.pattern)
                                   AND documentdb_upgrade_internal.version_matches(b.number, f.other_pattern) AS hit
                       FROM fact f WHERE f.name = a.name AND f.other = b.name
                         AND (documentdb_upgrade_internal.version_matches(a.number, f.pattern)
                              OR documentdb_upgrade_internal.version_matches(b.number, f.other_pattern))) f) f
    )
    SELECT p.name, p.number, p.other, p.other_number,
           CASE WHEN p.against IS NOT NULL THEN 'incompatible' WHEN p.in_favour IS NOT NULL THEN 'compatible'
                WHEN p.known IS NOT NULL THEN 'untested' ELSE 'unknown' END,
           CASE WHEN p.against IS NOT NULL THEN concat_ws(': ', 'known not to work', p.against_note)
                WHEN p.in_favour IS NOT NULL THEN concat_ws(': ', 'listed together', p.in_favour_note)
                WHEN p.number !~ '^[vV]?\d' OR p.other_number !~ '^[vV]?\d'
                THEN concat_ws(' and ',
                         CASE WHEN p.number !~ '^[vV]?\d' THEN format('"%s" of %s', p.number, p.name) END,
                         CASE WHEN p.other_number !~ '^[vV]?\d' THEN format('"%s" of %s', p.other_number, p.other) END)
                     || ': no version that can be compared'
                WHEN p.known IS NOT NULL THEN 'the matrix has ' || p.known || ', and not these'
                ELSE 'the matrix has nothing about them' END,
           coalesce(p.against, p.in_favour, p.known_source)
    FROM pair p
    UNION ALL
    SELECT t.name, p.number, 'postgres', t.number, 'incompatible',
           format('the image of PostgreSQL brings %s %s, the release says %s', t.name, t.number, p.number), NULL
    FROM stated t JOIN stated p ON p.name = t.name AND NOT p.of_tag
    WHERE t.of_tag AND NOT documentdb_upgrade_internal.version_matches(p.number, t.number)
    UNION ALL
    SELECT g.name, NULL, 'all', NULL, 'unknown', 'no version is stated', NULL
    FROM part g WHERE NOT EXISTS (SELECT FROM given v WHERE v.name = g.name)
    UNION ALL
    SELECT 'unified', CASE WHEN u.aligned THEN u.first END, 'all', NULL,
           CASE WHEN u.aligned THEN 'compatible' ELSE 'untested' END,
           CASE WHEN u.aligned THEN 'one version for ' || u.names ELSE 'not one version: ' || u.names END, NULL
    FROM (SELECT min(g.number) AS first, count(*) AS n,
                 bool_and(documentdb_upgrade_internal.version_matches(g.number, f.number)) AS aligned,
                 CASE WHEN bool_and(documentdb_upgrade_internal.version_matches(g.number, f.number))
                      THEN string_agg(g.name, ', ' ORDER BY g.name)
                      ELSE string_agg(g.name || ' ' || g.number, ', ' ORDER BY g.name) END AS names
          FROM given g, (SELECT g2.number FROM given g2
                         WHERE g2.name IN ('operator', 'gateway', 'extension', 'sidecar_injector')
                         ORDER BY g2.name LIMIT 1) f
          WHERE g.name IN ('operator', 'gateway', 'extension', 'sidecar_injector')) u
    WHERE u.n > 1
    ORDER BY 1, 3
$$;
COMMENT ON FUNCTION compatible_pairs(jsonb) IS 'serves check_compatibility(): what it returns';

CREATE FUNCTION check_compatibility(components jsonb, strict boolean DEFAULT false,
                                    OUT component text, OUT version text, OUT other text, OUT other_version text,
                                    OUT status text, OUT detail text, OUT source text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bad text;
    n bigint;
BEGIN
    IF strict THEN
        SELECT count(*), string_agg(format('%s %s with %s %s: %s, %s.', p.component, p.version, p.other,
                                           p.other_version, p.status, p.detail), E'\n'
                                    ORDER BY p.component, p.other)
            INTO n, bad
            FROM documentdb_upgrade_internal.compatible_pairs(components) p
            WHERE p.component <> 'unified' AND p.status IN ('incompatible', 'untested');
        IF n > 0 THEN
            RAISE EXCEPTION '% of the pairs of components are not known to go together', n
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = bad,
                      HINT = 'Choose versions that the matrix has together, or add the pair to table compatibility '
                             'when you have tried it.';
        END IF;
    END IF;
    RETURN QUERY SELECT * FROM documentdb_upgrade_internal.compatible_pairs(components);
END
$$;
COMMENT ON FUNCTION check_compatibility(jsonb, boolean) IS
'one row per pair of the components, as record_release() takes them: compatible, incompatible, untested (the matrix '
'has other partners of one of them) or unknown, with who says so; a row unified for whether operator, gateway, '
'extension and sidecar injector are of one version. The tag of a PostgreSQL image such as 16.3-v1.3.0 is taken apart. '
'22023 for malformed components; strict: 55000 when a pair is incompatible or untested';

CREATE FUNCTION documentdb_upgrade_internal.check_matrix(part_name text, part_rows jsonb, needed text[],
                                                         optional text[])
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    bad text;
BEGIN
    IF jsonb_typeof(part_rows) <> 'array' THEN
        RAISE EXCEPTION '% of a matrix must be an array of rows', part_name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT left(r.value::text, 200) INTO bad
        FROM jsonb_array_elements(part_rows) r
        WHERE jsonb_typeof(r.value) <> 'object' OR NOT r.value ?& needed
           OR EXISTS (SELECT FROM jsonb_each(CASE jsonb_typeof(r.value) WHEN 'object' THEN r.value END) f
                      WHERE f.key <> ALL (needed || optional)
                         OR jsonb_typeof(f.value) <> CASE f.key WHEN 'works' THEN 'boolean' WHEN 'ordinal' THEN 'number'
                                                                ELSE 'string' END
                            AND NOT (f.key = 'note' AND jsonb_typeof(f.value) = 'null')
                         OR f.key = ANY (needed) AND f.key !~ '^(from|to)_version$' AND f.value #>> '{}' !~ '\S')
           OR r.value->>'component' = r.value->>'other'
        LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'a row of the matrix is not valid: %', bad
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('A row of %s has %s, which are texts, and may have %s.', part_name,
                                array_to_string(needed, ', '), array_to_string(optional, ' and '));
    END IF;
END
$$;
COMMENT ON FUNCTION check_matrix(text, jsonb, text[], text[]) IS
'serves load_compatibility(): 22023 when the rows are not of the form of their table';

CREATE FUNCTION load_compatibility(matrix jsonb, name text DEFAULT 'loaded',
                                   OUT loaded bigint, OUT removed bigint, OUT left_out bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pairs jsonb := CASE jsonb_typeof(load_compatibility.matrix) WHEN 'object'
                   THEN coalesce(load_compatibility.matrix->'pairs', '[]') ELSE load_compatibility.matrix END;
    notes jsonb := CASE jsonb_typeof(load_compatibility.matrix) WHEN 'object'
                   THEN coalesce(load_compatibility.matrix->'notes', '[]') ELSE '[]' END;
    n bigint;
BEGIN
    IF load_compatibility.name IS NULL OR load_compatibility.name = '' OR length(load_compatibility.name) > 100 THEN
        RAISE EXCEPTION 'name of a matrix must be of 1 to 100 characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF load_compatibility.matrix IS NULL OR jsonb_typeof(load_compatibility.matrix) NOT IN ('array', 'object')
       OR (jsonb_typeof(load_compatibility.matrix) = 'object'
           AND load_compatibility.matrix - '{pairs,notes}'::text[] <> '{}') THEN
        RAISE EXCEPTION 'a matrix must be an array of pairs, or an object with "pairs" and "notes"'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF length(load_compatibility.matrix::text) > 4194304 THEN
        RAISE EXCEPTION 'a matrix must not be longer than 4 MB'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM documentdb_upgrade_internal.check_matrix('pairs', pairs,
        '{component,version,other,other_version,source}', '{works,note}');
    PERFORM documentdb_upgrade_internal.check_matrix('notes', notes,
        '{component,from_version,to_version,place,action,reason,source}', '{ordinal}');

    LOCK TABLE documentdb_upgrade.compatibility, documentdb_upgrade.release_notes IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM documentdb_upgrade.compatibility c WHERE NOT c.builtin AND c.matrix = load_compatibility.name;
    GET DIAGNOSTICS removed = ROW_COUNT;
    DELETE FROM documentdb_upgrade.release_notes r WHERE NOT r.builtin AND r.matrix = load_compatibility.name;
    GET DIAGNOSTICS n = ROW_COUNT;
    removed := removed + n;
    INSERT INTO documentdb_upgrade.compatibility
            (component, version, other, other_version, works, note, source, matrix)
        SELECT r.value->>'component', r.value->>'version', r.value->>'other', r.value->>'other_version',
               coalesce((r.value->>'works')::boolean, true), r.value->>'note', r.value->>'source',
               load_compatibility.name
        FROM jsonb_array_elements(pairs) r
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS loaded = ROW_COUNT;
    INSERT INTO documentdb_upgrade.release_notes
            (component, from_version, to_version, place, ordinal, action, reason, source, matrix)
        SELECT r.value->>'component', r.value->>'from_version', r.value->>'to_version', r.value->>'place',
               coalesce((r.value->>'ordinal')::integer, 1), r.value->>'action', r.value->>'reason',
               r.value->>'source', load_compatibility.name
        FROM jsonb_array_elements(notes) r
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    loaded := loaded + n;
    left_out := jsonb_array_length(pairs) + jsonb_array_length(notes) - loaded;
END
$$;
COMMENT ON FUNCTION load_compatibility(jsonb, text) IS
'loads a matrix under a name: an array of rows for compatibility, or an object with those as "pairs" and rows for '
'release_notes as "notes". Rows that an earlier call has loaded under that name are removed, all others stay. A row '
'whose versions are in the table already, or twice in the matrix, is left out; a shipped row of the same versions no '
'longer counts. 22023 for what is not valid';

CREATE FUNCTION classify("from" text, "to" text, component text DEFAULT 'extension',
                         OUT kind text, OUT risk text, OUT strategy text, OUT evidence text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    direction integer := documentdb_upgrade.compare_versions("from", "to");
    a text[] := string_to_array(documentdb_upgrade.to_semver(substring("from" FROM '^v?\d+(?:[.-]\d+)*')), '.');
    b text[] := string_to_array(documentdb_upgrade.to_semver(substring("to" FROM '^v?\d+(?:[.-]\d+)*')), '.');
    schema text := documentdb_upgrade.schema_version();
    rehearsed documentdb_upgrade.rehearsals;
    note documentdb_upgrade.release_notes;
    class text;
    removed bigint := 0;
    taken bigint := 0;
    strategies constant text[] := '{in place, staged, blue-green}';
    risks constant text[] := '{low, medium, high}';
    by_step integer;
    by_class integer;
BEGIN
    IF "from" IS NULL OR "to" IS NULL OR component IS NULL THEN
        RAISE EXCEPTION 'versions and component must be given'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF direction = 0 THEN
        kind := 'none';
        risk := 'none';
        strategy := 'none';
        evidence := 'It is the same version.';
        RETURN;
    END IF;

    IF component = 'postgres' THEN
        kind := CASE WHEN a[1] = b[1] THEN 'minor' ELSE 'major' END;
        IF kind = 'major' AND direction > 0 THEN
            risk := 'impossible';
            strategy := 'restore';
            evidence := 'A data directory belongs to one major version: only a dump or a restore leads to an older '
                        'one.';
        ELSIF kind = 'major' THEN
            risk := 'high';
            strategy := 'blue-green';
            evidence := 'The system catalogs differ: use pg_upgrade while the server is stopped, or a new cluster '
                        'beside the old one. The extensions must exist for both versions.';
        ELSE
            risk := CASE WHEN direction > 0 THEN 'medium' ELSE 'low' END;
            strategy := 'in place';
            evidence := 'Minor releases of PostgreSQL share the data directory''s format: restart each instance, '
                        'standbys first; read the release notes'
                || CASE WHEN direction > 0 THEN ', for going back too.' ELSE '.' END;
        END IF;
        RETURN;
    END IF;

    kind := CASE WHEN a[1] <> b[1] THEN 'breaking' WHEN a[2] <> b[2] THEN 'feature' ELSE 'patch' END;
    evidence := format('By the version step, %s is %s.', "from" || ' to ' || "to",
                       CASE kind WHEN 'breaking' THEN 'a major one' WHEN 'feature' THEN 'a minor one'
                                 ELSE 'a patch' END);
    IF "from" ~* '^v?\d+([.-]\d+)*[-.~]?(rc|alpha|beta|pre|dev)' THEN
        evidence := evidence || ' The first is a pre-release: there may be no update from it.';
    END IF;
    by_step := CASE kind WHEN 'patch' THEN 1 WHEN 'feature' THEN 2 ELSE 3 END;
    IF component <> 'extension' THEN
        risk := CASE WHEN direction > 0 THEN 'medium' ELSE risks[by_step] END;
        strategy := CASE WHEN direction > 0 THEN 'in place' ELSE strategies[by_step] END;
        evidence := evidence || ' Nothing more is known about ' || component
            || CASE WHEN direction > 0 THEN ' here: read its release notes for the way back.'
                    ELSE ' here, so the step decides.' END;
        RETURN;
    END IF;
    SELECT * INTO note FROM documentdb_upgrade_internal.notes_of(component, "from", "to", 'instead') LIMIT 1;
    IF FOUND THEN
        risk := 'high';
        strategy := 'blue-green';
        evidence := format('%s %s (%s)', evidence, note.reason, note.source);
        RETURN;
    END IF;
    IF direction > 0 THEN
        risk := CASE WHEN schema IS NULL OR documentdb_upgrade_internal.version_order("to", schema) < 0
                     THEN 'impossible' ELSE 'medium' END;
        strategy := CASE risk WHEN 'impossible' THEN 'restore' ELSE 'in place' END;
        evidence := evidence || CASE WHEN schema IS NULL THEN ' A schema never goes back.'
            ELSE format(' The installed schema is %s, and never goes back; a binary can, down to it.', schema) END;
        RETURN;
    END IF;

    -- What a rehearsal has seen counts more than what scripts look like.
    SELECT * INTO rehearsed FROM documentdb_upgrade.rehearsals r
        WHERE r.extension = documentdb_upgrade_internal.main_extension() AND r.outcome <> 'refused'
          AND documentdb_upgrade_internal.version_order(r.from_version, "from") = 0
          AND documentdb_upgrade_internal.version_order(r.to_version, "to") = 0
        ORDER BY r.scratch, r.id DESC LIMIT 1;
    IF FOUND THEN
        class := CASE rehearsed.outcome WHEN 'passed' THEN coalesce(rehearsed.risk, 'functions only') ELSE 'failed' END;
        SELECT coalesce(sum(jsonb_array_length(s->'removed')), 0),
               coalesce(sum((SELECT count(*) FROM jsonb_array_elements(s->'changed') c
                             WHERE jsonb_array_length(c->'revoked') > 0)), 0)
            INTO removed, taken FROM jsonb_array_elements(rehearsed.report->'steps') s;
        evidence := evidence || format(' Rehearsal %s %s: heaviest risk class "%s", %s removed, privileges '
                                       'taken from %s.',
            rehearsed.id, rehearsed.outcome, coalesce(rehearsed.risk, 'none'),
            removed || CASE removed WHEN 1 THEN ' object' ELSE ' objects' END, taken);
        -- Who uses what is gone finds it broken, whatever the version says.
        IF removed > 0 OR taken > 0 THEN
            kind := 'breaking';
        END IF;
    ELSIF schema IS NOT NULL AND documentdb_upgrade_internal.version_order(schema, "from") = 0 THEN
        SELECT p.risk INTO class FROM documentdb_upgrade.plan("to") p
            ORDER BY array_position(
                '{unknown, cluster-wide, data tables, privileges, catalogue, functions only}'::text[], p.risk)
            LIMIT 1;
    END IF;
    risk := CASE WHEN class IN ('functions only', 'catalogue') THEN 'low'
                 WHEN class IN ('privileges', 'cluster-wide') THEN 'medium'
                 WHEN class IN ('data tables', 'failed') THEN 'high' END;
    strategy := CASE WHEN class IN ('functions only', 'catalogue', 'privileges') THEN 'in place'
                     WHEN class IN ('data tables', 'cluster-wide') THEN 'staged'
                     WHEN class = 'failed' THEN 'blue-green' END;
    IF rehearsed.id IS NOT NULL AND strategy IS NOT NULL THEN
        IF kind = 'breaking' AND risk = 'low' THEN
            risk := 'medium';
        END IF;
        IF kind = 'breaking' AND strategy = 'in place' THEN
            strategy := 'staged';
        END IF;
        RETURN;
    END IF;

    -- Unseen, the step counts as much as what the scripts look like: whichever
    -- asks for more care.
    evidence := evidence || CASE
        WHEN class IS NULL THEN ' Neither scripts nor a rehearsal say more, so the step decides.'
        WHEN class = 'unknown' THEN ' The scripts run code whose effect their text does not show, so the step decides; '
                                    'a rehearsal would know.'
        ELSE format(' The scripts look like "%s"; a rehearsal would know, and until then the step counts too.',
                    class) END;
    by_class := coalesce(array_position(strategies, strategy), 1);
    strategy := strategies[greatest(by_step, by_class)];
    by_class := coalesce(array_position(risks, risk), 1);
    risk := risks[greatest(by_step, by_class)];
END
$$;
COMMENT ON FUNCTION classify(text, text, text) IS
'what kind of step it is from one version to another: patch, feature or breaking, of component postgres minor or '
'major; risk, strategy (in place, staged, blue-green; restore where there is no way), and the evidence: the last '
'rehearsal of that step; else the scripts, when the step starts at the installed version, and the version step, of '
'which the more careful counts (patch: in place, feature: staged, breaking: blue-green); '
'malformed versions raise 22023';
