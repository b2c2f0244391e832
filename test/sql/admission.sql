-- What a custom resource may ask for, and the answers to admission reviews.
SET search_path = documentdb_upgrade;
\pset null '(null)'
\pset format unaligned

-- A resource with that spec; installed is status.schemaVersion.
CREATE FUNCTION pg_temp.resource(spec jsonb, installed text DEFAULT NULL, metadata jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT jsonb_build_object('apiVersion', 'documentdb.io/preview', 'kind', 'DocumentDB',
                              'metadata', '{"name": "mydb", "namespace": "lab"}'::jsonb || metadata, 'spec', spec)
           || CASE WHEN installed IS NULL THEN '{}' ELSE jsonb_build_object('status', jsonb_build_object('schemaVersion', installed)) END
$$;
-- What is wrong with a spec that is created.
CREATE FUNCTION pg_temp.created(spec text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(format('%s %s (%s): %s', type, field, bad_value, detail), E'\n'), 'valid')
    FROM validate_spec(pg_temp.resource(spec::jsonb))
$$;
-- What is wrong with a change of a spec while a schema version is installed.
CREATE FUNCTION pg_temp.changed(old text, new text, installed text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(format('%s %s (%s): %s', type, field, bad_value, detail), E'\n'), 'valid')
    FROM validate_spec(pg_temp.resource(new::jsonb, installed), pg_temp.resource(old::jsonb, installed))
$$;

--
-- schemaVersion: its form.
--
SELECT v AS "schemaVersion", pg_temp.created(format('{"documentDBVersion": "1.0.0", "schemaVersion": %s}', to_json(v)))
FROM unnest(ARRAY['', 'auto', '0.112.0', '00.0112.0', 'Auto', ' auto', '0.112', '0.112-0', 'v0.112.0',
                  '0.112.0.1', '0..0', '.0.1.2', '0.112.0-RC1', 'latest', E'0.112.0\n']) WITH ORDINALITY AS t(v, n) ORDER BY n;
SELECT field, type, length(bad_value::text), detail
FROM validate_spec(pg_temp.resource(jsonb_build_object('documentDBVersion', '1.0.0', 'schemaVersion', repeat('1', 300) || '.0.0')));

--
-- The binary version: the leading X.Y.Z of the tag, else documentDBVersion.
-- Asking for 99.0.0 makes the message tell which one is found.
--
SELECT image, documentdbversion, substring(pg_temp.created(jsonb_build_object('schemaVersion', '99.0.0',
           'image', jsonb_build_object('documentDB', image), 'documentDBVersion', documentdbversion)::text)
       FROM 'the binary version [^;]*|without also setting.*') AS finds
FROM (VALUES
    (NULL, '0.112.0'), (NULL, '0.112-0'), (NULL, 'v0.112.0'), (NULL, '0.112.0-amd64'), (NULL, '1.0-RC2'), (NULL, 'latest'), (NULL, NULL), ('', ''),
    ('ghcr.io/documentdb/documentdb:0.112.0', NULL), ('documentdb:0.112.0', NULL), ('documentdb:v0.112.0', NULL),
    ('ghcr.io/documentdb/documentdb:0.112.0-amd64', NULL), ('ghcr.io/documentdb/documentdb:0.112.0.7', NULL),
    ('ghcr.io/documentdb/documentdb:0.112.0', '0.113.0'),
    ('registry.example:5000/documentdb:0.112.0', NULL), ('registry.example:5000/documentdb', NULL),
    ('registry.example:5000/documentdb', '0.113.0'), ('10.0.0.1:5000/documentdb', '0.113.0'),
    ('documentdb:latest', NULL), ('documentdb:latest', '0.113.0'), ('documentdb:16.3-v1.3.0', '0.113.0'), ('documentdb:0.112', '0.113.0'),
    ('documentdb@sha256:0123', NULL), ('documentdb@sha256:0123', '0.113.0'),
    ('registry.example:5000/documentdb:0.112.0@sha256:0123', NULL), ('registry.example:5000/documentdb:0.112.0@sha256:0123', '0.113.0'),
    ('registry.example:5000/documentdb@sha512:0123', NULL), (':', NULL), ('@', NULL), (':0.112.0', NULL), ('/', '0.113.0'), ('odd:0.112.0/documentdb', '0.113.0'),
    ('documentdb:0.' || repeat('9', 300) || '.0', NULL)) AS t(image, documentdbversion);

-- Older releases kept the image elsewhere; the newest place wins.
SELECT spec, substring(pg_temp.created(spec) FROM 'the binary version [^;]*|without also') AS finds
FROM (VALUES
    ('{"schemaVersion": "99.0.0", "documentDBImage": "documentdb:0.110.0"}'),
    ('{"schemaVersion": "99.0.0", "advanced": {"documentDBImage": "documentdb:0.111.0"}}'),
    ('{"schemaVersion": "99.0.0", "documentDBImage": "documentdb:0.110.0", "advanced": {"documentDBImage": "documentdb:0.111.0"}}'),
    ('{"schemaVersion": "99.0.0", "documentDBImage": "documentdb:0.110.0", "image": {"documentDB": "documentdb:0.112.0"}}'),
    ('{"schemaVersion": "99.0.0", "documentDBImage": "documentdb:0.110.0", "image": {"documentDB": null}}'),
    ('{"schemaVersion": "99.0.0", "gatewayImage": "gateway:0.110.0", "postgresImage": "postgresql:16.3.0"}')) AS t(spec);

--
-- schemaVersion and the binary version.
--
SELECT s AS "schemaVersion", b AS "documentDBVersion", pg_temp.created(jsonb_build_object('schemaVersion', s, 'documentDBVersion', b)::text)
FROM (VALUES ('0.112.0', '0.112.0'), ('0.111.0', '0.112.0'), ('0.99.0', '0.112.0'), ('0.113.0', '0.112.0'), ('0.112.0', '0.99.0'),
             ('1.0.0', '1.0-RC2'), ('auto', NULL), ('', NULL), ('0.112.0', NULL), ('0.112.0', 'latest')) AS t(s, b);

--
-- Changes, over what the status of before says is installed.  What is no change of the
-- fields concerned is no matter of these rules.
--
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "0.113.0"}', '0.112.0') AS forward;
SELECT pg_temp.changed('{"documentDBVersion": "0.113.0"}', '{"documentDBVersion": "0.112.0"}', '0.112.0') AS back_to_the_schema;
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "0.99.0"}', '0.112.0') AS back_below_it;
SELECT pg_temp.changed('{"image": {"documentDB": "d:0.112.0"}}', '{"image": {"documentDB": "d:0.111.0"}}', '0.112-0') AS by_the_tag;
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"image": {"documentDB": "d:0.111.0"}, "documentDBVersion": "0.112.0"}', '0.112.0') AS tag_wins;
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "0.99.0"}', NULL) AS nothing_installed;
SELECT pg_temp.changed('{"documentDBVersion": "0.2.0"}', '{"documentDBVersion": "0.2.0", "logLevel": "debug"}', '0.112.0') AS other_field;
SELECT pg_temp.changed('{"documentDBImage": "d:0.2.0"}', '{"image": {"documentDB": "d:0.2.0"}}', '0.112.0') AS moved_only;
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "0.113.0"}', 'broken') AS installed_unordered;
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "0.112.0", "logLevel": "debug"}', 'broken') AS no_matter;
SELECT * FROM validate_spec('{"spec": {"documentDBVersion": "0.1.0"}}', '{"status": {"schemaVersion": 112}}');
SELECT * FROM validate_spec('{"spec": {"documentDBVersion": "0.1.0"}, "status": {"schemaVersion": "0.1.0"}}', '{"status": {"schemaVersion": "0.2.0"}}');

-- Digests.
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d@sha256:01"}}', '0.112.0') AS hidden;
SELECT pg_temp.changed('{}', '{"documentDBImage": "d@sha256:01"}', '0.112.0') AS hidden_in_an_older_field;
SELECT pg_temp.changed('{"image": {"documentDB": "d@sha256:01"}}', '{"image": {"documentDB": "d@sha256:02"}}', '0.112.0') AS another;
SELECT pg_temp.changed('{"image": {"documentDB": "d@sha256:01"}}', '{"image": {"documentDB": "d@sha256:01"}, "logLevel": "debug"}', '0.112.0') AS unchanged;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d@sha256:01"}}', NULL) AS nothing_installed;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d@sha256:01"}, "documentDBVersion": "0.112.0"}', '0.112.0') AS told;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d:0.112.0@sha256:01"}}', '0.112.0') AS told_by_tag;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d:0.111.0@sha256:01"}}', '0.112.0') AS told_and_older;
SELECT pg_temp.created('{"image": {"documentDB": "d@sha256:01"}}') AS created;
SELECT pg_temp.created('{"image": {"documentDB": "d@sha256:01"}, "schemaVersion": "0.112.0"}') AS created_with_a_version;

-- A schema never goes back.
SELECT pg_temp.changed('{"documentDBVersion": "0.113.0"}', '{"documentDBVersion": "0.113.0", "schemaVersion": "0.111.0"}', '0.112.0') AS below;
SELECT pg_temp.changed('{"documentDBVersion": "0.113.0"}', '{"documentDBVersion": "0.113.0", "schemaVersion": "0.112.0"}', '0.112.0') AS equal;
SELECT pg_temp.changed('{"documentDBVersion": "0.113.0"}', '{"documentDBVersion": "0.113.0", "schemaVersion": "0.113.0"}', '0.112.0') AS above;
SELECT pg_temp.changed('{"documentDBVersion": "0.113.0", "schemaVersion": "0.111.0"}', '{"documentDBVersion": "0.114.0", "schemaVersion": "0.111.0"}', '0.112.0') AS passed_since;
SELECT pg_temp.changed('{"documentDBVersion": "0.113.0", "schemaVersion": "0.112.0"}', '{"documentDBVersion": "0.113.0"}', '0.112.0') AS withdrawn;
-- What is wrong with the spec alone stays wrong, as with the operator.
SELECT pg_temp.changed('{"schemaVersion": "0.112.0"}', '{"schemaVersion": "0.112.0", "logLevel": "debug"}', NULL) AS unchanged_and_wrong;
-- Everything at once.
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "0.110.0", "schemaVersion": "0.111.0", "bootstrap": {}}', '0.112.0') AS all_of_them;

--
-- A version that is written and cannot be compared is named, on creation and on a
-- change, in the new resource and in the old one.
--
SELECT pg_temp.created('{"documentDBVersion": "newest"}') AS version;
SELECT pg_temp.created('{"documentDBVersion": "newest", "schemaVersion": "0.112.0"}') AS both;
SELECT pg_temp.created('{"documentDBVersion": "newest", "schemaVersion": "auto", "image": {"documentDB": "d:0.112.0"}}') AS beside_a_good_tag;
SELECT pg_temp.created('{"image": {"documentDB": "d:nightly"}}') AS tag_of_no_consequence;
SELECT pg_temp.created('{"image": {"documentDB": "d:nightly"}, "schemaVersion": "0.112.0"}') AS tag;
SELECT pg_temp.created('{"documentDBImage": "d:nightly@sha256:01", "schemaVersion": "0.112.0"}') AS tag_before_a_digest;
SELECT pg_temp.created('{"image": {"documentDB": "d:nightly"}, "documentDBVersion": "0.112", "schemaVersion": "0.112.0"}') AS told_beside_it;
SELECT field, type, length(bad_value::text), detail FROM validate_spec(pg_temp.resource(jsonb_build_object('documentDBVersion', repeat('x', 300))));
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "newest"}', NULL) AS nothing_installed;
SELECT pg_temp.changed('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "newest"}', '0.112.0') AS installed;
SELECT pg_temp.changed('{"documentDBVersion": "newest"}', '{"documentDBVersion": "newest", "logLevel": "debug"}', '0.112.0') AS was_there;
SELECT pg_temp.changed('{"documentDBVersion": "newest"}', '{"documentDBVersion": "newest", "schemaVersion": "0.112.0"}', '0.112.0') AS was_there_and_counts;
SELECT pg_temp.changed('{"documentDBVersion": "newest"}', '{"documentDBVersion": "0.113.0"}', '0.112.0') AS corrected;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d:nightly"}}', '0.112.0') AS hidden_by_a_tag;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d"}}', '0.112.0') AS no_tag;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d:1.0-RC2"}}', '1.0.RC2') AS release_candidate;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d:1.0-RC1"}}', '1.0.RC2') AS older_candidate;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d:pg17-0.111.0"}}', '0.112.0') AS behind_a_major;
SELECT pg_temp.changed('{"documentDBVersion": "0.113.0"}', '{"documentDBVersion": "0.113.0", "schemaVersion": "0.113.0"}', 'broken') AS old_status;
-- Tags as they are in use, as an image and as documentDBVersion: an older binary hides behind none.
SELECT tag, pg_temp.changed('{}', jsonb_build_object('image', jsonb_build_object('documentDB', 'registry:5000/d:' || tag))::text, installed) AS image,
    pg_temp.changed('{}', jsonb_build_object('documentDBVersion', tag)::text, installed) AS version
FROM (VALUES ('pg17-0.117.0', '0.117.0'), ('pg17-0.116.0', '0.117.0'), ('16.3-v1.3.0', '1.3.0'), ('16.3-v1.2.9', '1.3.0'), ('0.112-0', '0.112.0'), ('0.111-0', '0.112.0'),
             ('17-0.107.0-ferretdb-2.7.0', '0.107.0'), ('17-0.107.0-ferretdb-2.7.0', '0.108.0'), ('0.112', '0.113.0'), ('1.0.RC2', '1.0.RC2'), ('1.0-RC2', '1.0.RC2'),
             ('pg18-1.0-RC2', '1.0.RC2'), ('1.0.0-rc2-amd64', '1.0.0'), ('1.0-RC2', '1.0.0'), ('1.0-RC1', '1.0.RC2'), ('18-minimal-trixie', '0.112.0')) AS t(tag, installed);
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d:0.111.0"}, "documentDBVersion": "0.113.0"}', '0.112.0') AS tag_wins;
SELECT pg_temp.changed('{}', '{"image": {"documentDB": "d:16.3-v1.2.0"}, "documentDBVersion": "1.3.0"}', '1.3.0') AS major_in_front_of_the_tag_wins;
-- What the notes of operator 1.0.0 ask for: pins, and no way in place from a release candidate.
SELECT pg_temp.changed('{"schemaVersion": "auto"}', '{"documentDBVersion": "0.110.0"}', '0.110.0') AS pinned_and_auto_removed;
SELECT pg_temp.changed('{}', '{"documentDBVersion": "1.0-RC2"}', '1.0.RC2') AS pinned_candidate;
SELECT pg_temp.changed('{"documentDBVersion": "1.0-RC2"}', '{"documentDBVersion": "1.0.0"}', '1.0.RC2') AS to_the_release;
SELECT pg_temp.changed('{"documentDBVersion": "1.0-RC2"}', '{"image": {"documentDB": "d:pg18-1.2.0"}}', '1.0-RC2') AS to_a_later_one;
SELECT pg_temp.changed('{"documentDBVersion": "1.0-RC2"}', '{"documentDBVersion": "1.0-RC2", "logLevel": "debug"}', '1.0.RC2') AS something_else;
SELECT pg_temp.changed('{"documentDBVersion": "1.0-RC2"}', '{"documentDBVersion": "1.0.0"}', '0.112.0') AS candidate_binary_alone;
SELECT * FROM validate_spec('{"spec": {"documentDBVersion": "0.113.0", "schemaVersion": "0.113.0"}}', '{"status": {"schemaVersion": 112}}');

--
-- Restore: the schema of what is restored is told by an annotation.
--
CREATE FUNCTION pg_temp.restored(recovery text, version text, schema text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(format('%s %s: %s', type, field, detail), E'\n'), 'valid')
    FROM validate_spec(pg_temp.resource(jsonb_build_object('bootstrap', jsonb_build_object('recovery', recovery::jsonb)) || version::jsonb,
                                        NULL, jsonb_build_object('annotations', jsonb_build_object('documentdb.io/schema-version', schema))))
$$;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"documentDBVersion": "0.112.0"}', '0.112.0') AS equal;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"documentDBVersion": "0.113.0"}', '0.112.0') AS newer_binary;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"documentDBVersion": "0.111.0"}', '0.112.0') AS older_binary;
SELECT pg_temp.restored('{"persistentVolume": {"name": "pv1"}}', '{"image": {"documentDB": "d:0.111.0"}}', '0.112.0') AS volume;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"documentDBVersion": "1.0.0"}', '1.0.RC2') AS candidate_to_release;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"documentDBVersion": "1.0-RC2"}', '1.0.RC2') AS same_candidate;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"image": {"documentDB": "d@sha256:01"}}', '0.112.0') AS hidden;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"image": {"documentDB": "d:nightly"}}', '0.112.0') AS hidden_by_a_tag;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"documentDBVersion": "newest"}', '0.112.0') AS binary_unordered;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{}', '0.112.0') AS default_binary;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"documentDBVersion": "0.111.0"}', NULL) AS unknown_schema;
SELECT pg_temp.restored('{"backup": {"name": "b1"}}', '{"documentDBVersion": "0.111.0"}', 'broken') AS unordered_schema;
SELECT pg_temp.restored('{"backup": {"name": "b1"}, "persistentVolume": {"name": "pv1"}}', '{"documentDBVersion": "0.112.0"}', '0.112.0') AS both;
SELECT pg_temp.restored('{"backup": {"name": ""}}', '{"documentDBVersion": "0.111.0"}', '0.112.0') AS none;
SELECT pg_temp.changed('{"bootstrap": {"recovery": {"backup": {"name": "b1"}}}}', '{"bootstrap": {"recovery": {"backup": {"name": "b1"}}}}', NULL) AS kept;
SELECT pg_temp.changed('{"bootstrap": {"recovery": {"backup": {"name": "b1"}}}}', '{"bootstrap": {"recovery": {"backup": {"name": "b2"}}}}', NULL) AS changed;
SELECT pg_temp.changed('{"bootstrap": {"recovery": {"backup": {"name": "b1"}}}}', '{}', NULL) AS removed;
SELECT pg_temp.changed('{}', '{"bootstrap": {"recovery": {"backup": {"name": "b1"}}}}', NULL) AS added;
-- Once it is restored, the source does not matter any more.
SELECT count(*) FROM (SELECT '{"metadata": {"annotations": {"documentdb.io/schema-version": "0.112.0"}}, "spec": {"documentDBVersion": "0.1.0",
    "bootstrap": {"recovery": {"backup": {"name": "b1"}}}}}'::jsonb) AS t(r), validate_spec(r, r);

--
-- Shapes: what is missing is empty, what is of another type is said.
--
SELECT r, coalesce((SELECT string_agg(format('%s %s (%s): %s', type, field, bad_value, detail), '; ') FROM validate_spec(r::jsonb)), 'valid')
FROM unnest(ARRAY['{}', '{"spec": null, "status": null, "metadata": null}', '{"spec": {}}', NULL, 'null', '[]', '[{}]', '1', '"x"', 'true',
    '{"spec": "x"}', '{"spec": []}', '{"spec": {"schemaVersion": 1}}', '{"spec": {"schemaVersion": null}}', '{"spec": {"schemaVersion": ["auto"]}}',
    '{"spec": {"image": "d:0.112.0"}}', '{"spec": {"image": {"documentDB": {"a": 1}}}}', '{"spec": {"documentDBVersion": false}}',
    '{"spec": {"clusterReplication": {"clusterList": {}}}}', '{"spec": {"bootstrap": 1}}', '{"spec": {"bootstrap": {"recovery": {"backup": 1}}}}',
    '{"metadata": {"name": 5, "annotations": 6}}',
    '{"spec": {"schemaVersion": "9.9.9", "schemaVersion": "0.1.0", "documentDBVersion": "0.1.0"}}']) WITH ORDINALITY AS t(r, n) ORDER BY n;
SELECT * FROM validate_spec('{"spec": {"documentDBVersion": "0.1.0"}}', 'null');
SELECT * FROM validate_spec('{"spec": {"documentDBVersion": "0.1.0"}}', '5');
-- As a procedure.
CALL run_validate_spec(NULL);
CALL run_validate_spec('{"spec": {"schemaVersion": ["a"], "image": {"documentDB": "d@sha256:01"}}}', '{"status": {"schemaVersion": "0.112.0"}}');
CALL run_validate_spec('{"spec": {}}', errors => '[1]');
-- What is being deleted can always be changed.
SELECT * FROM validate_spec('{"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"schemaVersion": "x"}}', '{}');

--
-- Reviews.
--
CREATE FUNCTION pg_temp.review(operation text, object jsonb, old jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('apiVersion', 'admission.k8s.io/v1', 'kind', 'AdmissionReview', 'request', jsonb_build_object(
        'uid', '705ab4f5-6393-11e8-b7cc-42010a800002', 'operation', operation, 'object', object, 'oldObject', old,
        'kind', '{"group": "documentdb.io", "version": "preview", "kind": "DocumentDB"}'::jsonb))
$$;
SELECT jsonb_pretty(admission_review(pg_temp.review('CREATE', pg_temp.resource('{"documentDBVersion": "0.112.0"}'))));
SELECT jsonb_pretty(admission_review(pg_temp.review('CREATE', pg_temp.resource('{"schemaVersion": "0.112.0", "image": 7}'))));
SELECT jsonb_pretty(admission_review(pg_temp.review('UPDATE', pg_temp.resource('{"documentDBVersion": "0.110.0"}', '0.112.0'),
                                                    pg_temp.resource('{"documentDBVersion": "0.112.0"}', '0.112.0'))));
CALL run_admission_review(pg_temp.review('DELETE', NULL, pg_temp.resource('{"schemaVersion": 1}')));
CALL run_admission_review(NULL);

-- Warnings.
CREATE FUNCTION pg_temp.warnings(old text, new text, installed text) RETURNS text LANGUAGE sql AS $$
    SELECT (answer->>'allowed') || coalesce(': ' || (SELECT string_agg(w, E'\n') FROM jsonb_array_elements_text(answer->'warnings') w), '')
    FROM (SELECT admission_review(pg_temp.review(CASE WHEN old IS NULL THEN 'CREATE' ELSE 'UPDATE' END, pg_temp.resource(new::jsonb, installed),
                                                 pg_temp.resource(old::jsonb, installed)))->'response') AS t(answer)
$$;
SELECT pg_temp.warnings(NULL, '{"schemaVersion": "auto", "clusterReplication": {"primary": "a", "clusterList": [{"name": "a"}, {"name": "b"}]}}', NULL) AS regions;
SELECT pg_temp.warnings(NULL, '{"schemaVersion": "auto", "clusterReplication": {"primary": "a", "clusterList": [{"name": "a"}]}}', NULL) AS one_region;
SELECT pg_temp.warnings(NULL, '{"schemaVersion": "auto"}', NULL) AS auto;
SELECT pg_temp.warnings('{"documentDBVersion": "0.112.0"}', '{"documentDBVersion": "0.113.0"}', '0.112.0') AS offered;
SELECT pg_temp.warnings('{"documentDBVersion": "0.112.0", "schemaVersion": "auto"}', '{"documentDBVersion": "0.113.0", "schemaVersion": "auto"}', '0.112.0') AS together;
SELECT pg_temp.warnings('{"documentDBVersion": "0.113.0"}', '{"documentDBVersion": "0.113.0", "schemaVersion": "0.113.0"}', '0.112.0') AS in_two_steps;
SELECT pg_temp.warnings('{"documentDBVersion": "0.113.0"}', '{}', '0.112.0') AS unknown_binary;
SELECT pg_temp.warnings('{}', '{"image": {"documentDB": "d:nightly"}, "documentDBVersion": "0.112.0"}', '0.112.0') AS vouched_beside_a_tag;
SELECT pg_temp.warnings('{}', '{"documentDBImage": "d@sha256:01", "documentDBVersion": "0.112.0"}', '0.112.0') AS vouched_beside_a_digest;
SELECT pg_temp.warnings('{"documentDBVersion": "1.0-RC2"}', '{"documentDBVersion": "1.0-RC3"}', '1.0.RC2') AS another_candidate;
SELECT pg_temp.warnings(NULL, '{"documentDBVersion": "0.112.0", "bootstrap": {"recovery": {"backup": {"name": "b1"}}}}', NULL) AS restore;
SELECT length(w), w ~ '[[:cntrl:]]' AS control FROM jsonb_array_elements_text(admission_review(pg_temp.review('CREATE', pg_temp.resource(
    jsonb_build_object('bootstrap', jsonb_build_object('recovery', jsonb_build_object('backup', jsonb_build_object('name', E'\n\t' || repeat('€', 500))))))))
    ->'response'->'warnings') w;

-- What is no business of ours is let through.
SELECT op, admission_review(pg_temp.review(op, pg_temp.resource('{"schemaVersion": 1}'), '{}'))->'response'->>'allowed' AS allowed
FROM unnest(ARRAY['CREATE', 'UPDATE', 'DELETE', 'CONNECT']) AS op;
SELECT admission_review(jsonb_set(pg_temp.review('UPDATE', '{"spec": 1}', '{}'), '{request,subResource}', '"status"'))->'response' AS status_subresource;
SELECT admission_review(jsonb_set(pg_temp.review('CREATE', '{"spec": 1}'), '{request,kind}', '{"group": "", "version": "v1", "kind": "Pod"}'))->'response' AS another_kind;
SELECT admission_review(jsonb_set(pg_temp.review('CREATE', '{"spec": 1}'), '{request,kind,group}', '"example.com"'))->'response'->'allowed' AS another_group;

-- What is no review is denied.
SELECT what, answer->'uid' AS uid, answer->'allowed' AS allowed, (answer->'status') - 'status'::text AS status
FROM (VALUES
    ('empty', '{}'::jsonb), ('null', 'null'), ('array', '[]'), ('text', '"AdmissionReview"'),
    ('version', pg_temp.review('CREATE', '{}') || '{"apiVersion": "admission.k8s.io/v1beta1"}'),
    ('kind', pg_temp.review('CREATE', '{}') || '{"kind": "Review"}'),
    ('no request', pg_temp.review('CREATE', '{}') - 'request'),
    ('request', pg_temp.review('CREATE', '{}') || '{"request": [1]}'),
    ('no uid', pg_temp.review('CREATE', '{}') #- '{request,uid}'),
    ('uid', jsonb_set(pg_temp.review('CREATE', '{}'), '{request,uid}', '7')),
    ('empty uid', jsonb_set(pg_temp.review('CREATE', '{}'), '{request,uid}', '""')),
    ('no operation', pg_temp.review('CREATE', '{}') #- '{request,operation}'),
    ('operation', pg_temp.review('PATCH', '{}')),
    ('no kind', pg_temp.review('CREATE', '{}') #- '{request,kind}'),
    ('no object', pg_temp.review('CREATE', NULL)),
    ('object', pg_temp.review('CREATE', '"x"')),
    ('no old object', pg_temp.review('UPDATE', '{}')),
    ('old object', pg_temp.review('UPDATE', '{}', '[]'))) AS t(what, review), LATERAL (SELECT admission_review(review)->'response' AS answer) a;

-- Who may ask.
CREATE ROLE admission_stranger;
SELECT r, has_function_privilege(r, 'validate_spec(jsonb, jsonb)', 'EXECUTE') AS validate, has_function_privilege(r, 'admission_review(jsonb)', 'EXECUTE') AS review,
       has_function_privilege(r, 'run_admission_review(jsonb, jsonb)', 'EXECUTE') AS run, has_function_privilege(r, 'run_validate_spec(jsonb, jsonb, jsonb)', 'EXECUTE') AS run_validate
FROM unnest(ARRAY['admission_stranger', 'pg_monitor']) AS r;
DROP ROLE admission_stranger;
