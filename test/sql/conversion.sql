-- A custom resource of one version as one of another, there and back.
SET search_path = documentdb_upgrade;
\pset null '(null)'
\pset format unaligned

-- A resource of a version, with that spec.
CREATE FUNCTION pg_temp.resource(version text, spec jsonb, metadata jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('apiVersion', version, 'kind', 'DocumentDB',
                              'metadata', '{"name": "mydb", "namespace": "lab", "uid": "u-1", "labels": {"a": "b"}}'::jsonb || metadata,
                              'spec', spec, 'status', '{"schemaVersion": "0.112.0", "documentDBImage": "d:0.112.0"}'::jsonb)
$$;
-- The spec of a converted resource, and what is kept for the version that it was.
CREATE FUNCTION pg_temp.kept(resource jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT (resource #>> '{metadata,annotations,documentdb-upgrade/conversion}')::jsonb - 'made'
$$;

--
-- Where each version keeps its fields.
--
SELECT spec, convert_resource(pg_temp.resource('db.microsoft.com/v1', spec::jsonb), 'documentdb.io/preview') -> 'spec' AS hub
FROM (VALUES
    ('{}'),
    ('{"nodeCount": 3, "instancesPerNode": 2}'),
    ('{"nodeCount": null, "instancesPerNode": 2}'),
    ('{"publicLoadBalancer": {"enabled": true}}'),
    ('{"publicLoadBalancer": {"enabled": false}}'),
    ('{"publicLoadBalancer": {"enabled": true}, "exposeViaService": {"serviceType": "ClusterIP"}}'),
    ('{"documentDBImage": "d:1", "gatewayImage": "g:1", "postgresqlImage": "p:1"}'),
    ('{"documentDBImage": "d:1", "image": {"documentDB": "d:2"}}'),
    ('{"documentDBImage": "d:1", "image": {"documentDB": ""}}'),
    ('{"documentDBImage": "", "advanced": {"documentDBImage": "d:3"}}'),
    ('{"documentDBImage": 5, "image": "none"}'),
    ('{"resource": {"pvcSize": "10Gi"}}'),
    ('{"sidecarInjectorPluginName": "s", "walReplicaPluginName": "w"}'),
    ('{"cnpgSidecarPlugin": "s", "physicalReplication": {"primary": "a", "clusterList": ["a", "b"]}}'),
    ('{"clusterReplication": {"primary": "a", "clusterList": ["a", {"name": "b"}], "enableFleetForCrossCloud": true}}'),
    ('{"clusterReplication": {"primary": "a", "enableFleetForCrossCloud": false}, "tls": {"postgres": {"replicationTLSSecret": "c"}}}'),
    ('{"clusterReplication": null, "tls": {"gateway": {"mode": "Disabled"}}}'),
    ('{"maintenance": true}')) AS t(spec);

SELECT version, spec, converted -> 'spec' AS converted, pg_temp.kept(converted) AS kept
FROM (VALUES
    ('{"nodeCount": 1, "instancesPerNode": 1, "image": {"documentDB": "d:1", "gateway": "g:1", "postgres": "p:1"}}'),
    ('{"nodeCount": 1, "instancesPerNode": 1, "exposeViaService": {"serviceType": "LoadBalancer"}, "schemaVersion": "0.112.0"}'),
    ('{"nodeCount": 1, "instancesPerNode": 1, "exposeViaService": {"serviceType": "ClusterIP"}, "plugins": {"sidecarInjectorName": "s", "walReplicaName": "w"}}'),
    ('{"nodeCount": 1, "instancesPerNode": 1, "resource": {"storage": {"pvcSize": "1Gi", "storageClass": "fast", "persistentVolumeReclaimPolicy": "Delete"}, "memory": "4Gi"}}'),
    ('{"nodeCount": 1, "instancesPerNode": 1, "clusterReplication": {"primary": "a", "clusterList": [{"name": "a", "environment": "aks"}, {"name": "b"}], "disableTLS": true, "crossCloudNetworkingStrategy": "AzureFleet"}}'))
    AS t(spec),
    unnest('{documentdb.io/preview-flat,db.microsoft.com/preview,db.microsoft.com/v1}'::text[]) AS version,
    convert_resource(pg_temp.resource('documentdb.io/preview', spec::jsonb), version) AS converted;

-- Releases before 0.3.0 of the operator kept their fields elsewhere under the same name.
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', '{"nodeCount": 1, "instancesPerNode": 1, "documentDBImage": "d:1"}'), 'documentdb.io/preview');
SELECT spec, convert_resource(pg_temp.resource('documentdb.io/preview', spec::jsonb), 'documentdb.io/preview') -> 'spec' AS hub
FROM (VALUES ('{"documentDBImage": ""}'), ('{"publicLoadBalancer": {"enabled": true}}'), ('{"clusterReplication": {"enableFleetForCrossCloud": true}}'),
             ('{"resource": {"pvcSize": "1Gi"}}'), ('{"clusterReplication": {}}')) AS t(spec);
SELECT r -> 'spec' AS flat, r -> 'apiVersion' AS version
FROM convert_resource(pg_temp.resource('documentdb.io/preview', '{"nodeCount": 1, "instancesPerNode": 1, "documentDBImage": "d:1", "postgresImage": ""}'), 'documentdb.io/preview') AS hub,
    convert_resource(hub, 'documentdb.io/preview-flat') AS r;

--
-- What cannot be converted.
--
\set VERBOSITY terse
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', '{}'), 'documentdb.io/v2');
SELECT convert_resource(pg_temp.resource('documentdb.io/v2', '{}'), 'documentdb.io/preview');
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', '{}') || '{"kind": "Backup"}', 'db.microsoft.com/v1');
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', '{}') - 'kind', 'db.microsoft.com/v1');
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', '{}') - 'apiVersion', 'db.microsoft.com/v1');
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', '{}') || '{"metadata": 5}', 'db.microsoft.com/v1');
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', '{}', '{"annotations": []}'), 'db.microsoft.com/v1');
SELECT convert_resource('[]', 'db.microsoft.com/v1');
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', to_jsonb(repeat('x', 4 * 1024 * 1024))), 'db.microsoft.com/v1');
SELECT convert_resource(NULL, 'db.microsoft.com/v1'), convert_resource('{}', NULL);
CALL run_convert_resource(NULL, 'db.microsoft.com/v1');
CALL run_convert_resource(pg_temp.resource('db.microsoft.com/v1', '{"documentDBImage": "d:1"}'), 'documentdb.io/preview');
-- What is no object stays what it is.
SELECT convert_resource(pg_temp.resource('documentdb.io/preview', '5'), 'db.microsoft.com/v1') - 'status' - 'metadata';
\set VERBOSITY default

--
-- Round trips of generated resources: of each field one of its values or none.
--
CREATE TEMP TABLE field (version text, name text, choices jsonb);
INSERT INTO field SELECT version, name, choices::jsonb FROM (VALUES
    (NULL, 'nodeCount', '[1, 1, 3, null, "1"]'),
    (NULL, 'instancesPerNode', '[1, 2, 3]'),
    (NULL, 'documentDBVersion', '["0.112.0", ""]'),
    (NULL, 'documentDbCredentialSecret', '["secret"]'),
    (NULL, 'environment', '["aks", null]'),
    (NULL, 'logLevel', '["debug"]'),
    (NULL, 'timeouts', '[{"stopDelay": 30}, {}]'),
    (NULL, 'exposeViaService', '[{"serviceType": "LoadBalancer"}, {"serviceType": "ClusterIP"}, {}, {"serviceType": "LoadBalancer", "more": [1]}, "x"]'),
    (NULL, 'resource', '[{"storage": {"pvcSize": "2Gi"}}, {"storage": {"pvcSize": "2Gi", "storageClass": "fast", "persistentVolumeReclaimPolicy": "Delete"}},
                         {"storage": {}}, {"storage": {"pvcSize": "3Gi"}, "memory": "4Gi", "cpu": "2", "gateway": {"cpu": "1"}}, []]'),
    ('old', 'resource', '[{"pvcSize": "1Gi"}, {"pvcSize": "1Gi", "storage": {"pvcSize": "2Gi"}}, {"pvcSize": null}]'),
    (NULL, 'clusterReplication', '[{"primary": "a", "clusterList": ["a", "b"]}, {"primary": "a", "clusterList": [{"name": "a"}, {"name": "b", "environment": "eks"}], "highAvailability": true},
                         {"primary": "a", "clusterList": [], "crossCloudNetworkingStrategy": "AzureFleet"}, {"crossCloudNetworkingStrategy": "Istio", "disableTLS": false},
                         {"disableTLS": true, "clusterList": [{"name": 5}, 7, null]}, {}, null, 1.50]'),
    (NULL, 'tls', '[{"gateway": {"mode": "Disabled"}}, {"gateway": {"mode": "Provided", "provided": {"secretName": "s"}}}, {"postgres": {"replicationTLSSecret": "c", "clientCASecret": "c"}}, {"postgres": {}}, {}]'),
    (NULL, 'bootstrap', '[{"recovery": {"backup": {"name": "b"}}}, {"recovery": {"persistentVolume": {"name": "pv"}}}, {}]'),
    (NULL, 'backup', '[{"retentionDays": 7}]'),
    (NULL, 'affinity', '[{"nodeAffinity": {"required": [{"key": "a", "values": ["\u0001\"\\", "ü"]}]}}]'),
    (NULL, 'featureGates', '[{"ChangeStreams": true}, {"IOUring": true}, {}]'),
    (NULL, 'maintenance', '[true, null]'),
    (NULL, 'aFieldOfTomorrow', '[{"deep": [{"er": {"still": 123456789012345678901234567890.120}}]}, "text", ""]'),
    (NULL, 'image', '[{"documentDB": "d:2", "gateway": "g:2", "postgres": "p:2"}, {"documentDB": ""}, {"documentDB": null, "more": {}}, {}, "x"]'),
    (NULL, 'plugins', '[{"sidecarInjectorName": "s"}, {"walReplicaName": "w"}, {}]'),
    (NULL, 'postgres', '[{"uid": 26, "gid": 26, "parameters": {"a": "b"}}]'),
    (NULL, 'imagePullSecrets', '[[{"name": "s"}], []]'),
    (NULL, 'schemaVersion', '["auto", "0.112.0", ""]'),
    (NULL, 'monitoring', '[{"enabled": true}]'),
    ('old', 'documentDBImage', '["d:1", "", null, 5]'),
    ('old', 'gatewayImage', '["g:1", ""]'),
    ('old', 'postgresImage', '["p:1"]'),
    ('old', 'postgresqlImage', '["p:0", null]'),
    ('old', 'advanced', '[{"documentDBImage": "d:0"}, {"documentDBImage": "d:0", "more": 1}, {}]'),
    ('old', 'publicLoadBalancer', '[{"enabled": true}, {"enabled": false}, {"enabled": true, "more": 1}, {}, true]'),
    ('old', 'sidecarInjectorPluginName', '["s1"]'),
    ('old', 'cnpgSidecarPlugin', '["s0"]'),
    ('old', 'walReplicaPluginName', '["w1", ""]'),
    ('old', 'physicalReplication', '[{"primary": "z", "clusterList": ["z"]}, "x"]')) AS t(version, name, choices);
CREATE FUNCTION pg_temp.draw(seed text, below integer) RETURNS integer LANGUAGE sql AS $$
    SELECT ('x' || substr(md5(seed), 1, 7))::bit(28)::integer % below
$$;
CREATE TEMP TABLE generated AS
    SELECT n, v AS version, pg_temp.resource(v, spec,
               ('[{}, {}, {"annotations": {}}, {"annotations": {"documentdb.io/schema-version": "0.112.0", "other": "{}"}}]'::jsonb) -> pg_temp.draw('metadata' || n, 4)) AS resource
    FROM generate_series(1, 150) AS n,
        unnest('{documentdb.io/preview,documentdb.io/preview-flat,db.microsoft.com/preview,db.microsoft.com/v1}'::text[]) AS v,
        LATERAL (SELECT coalesce(jsonb_object_agg(name, choices -> pg_temp.draw(name || v || n, jsonb_array_length(choices))), '{}') AS spec
                 FROM field WHERE (field.version IS NULL OR v <> 'documentdb.io/preview')
                              AND pg_temp.draw(n || name || v, 3) = 0) AS s;
SELECT version, count(*), count(DISTINCT resource -> 'spec') AS different FROM generated GROUP BY version ORDER BY version;

-- There and back, by every version and by every two.
SELECT g.version, a AS there, count(*) AS trips,
       count(*) FILTER (WHERE convert_resource(there, g.version) IS DISTINCT FROM resource) AS differ,
       count(*) FILTER (WHERE there #>> '{apiVersion}' <> a OR there -> 'status' <> resource -> 'status'
                            OR (there -> 'metadata') - 'annotations' <> (resource -> 'metadata') - 'annotations') AS touched
FROM generated AS g, unnest('{documentdb.io/preview,documentdb.io/preview-flat,db.microsoft.com/preview,db.microsoft.com/v1}'::text[]) AS a,
    convert_resource(resource, a) AS there
GROUP BY g.version, a ORDER BY g.version, a;
SELECT count(*) AS trips, count(*) FILTER (WHERE convert_resource(convert_resource(convert_resource(resource, a), b), g.version) IS DISTINCT FROM resource) AS differ
FROM generated AS g,
    unnest('{documentdb.io/preview,documentdb.io/preview-flat,db.microsoft.com/preview,db.microsoft.com/v1}'::text[]) AS a,
    unnest('{documentdb.io/preview,documentdb.io/preview-flat,db.microsoft.com/preview,db.microsoft.com/v1}'::text[]) AS b;

-- An API server takes away what its definition does not know.
SELECT g.version, count(*) AS trips,
       count(*) FILTER (WHERE convert_resource(there #- '{spec,maintenance}' #- '{spec,aFieldOfTomorrow}', g.version) IS DISTINCT FROM resource) AS differ
FROM generated AS g, unnest('{documentdb.io/preview,documentdb.io/preview-flat,db.microsoft.com/preview,db.microsoft.com/v1}'::text[]) AS a,
    convert_resource(resource, a) AS there
WHERE g.version <> a GROUP BY g.version ORDER BY g.version;

-- Nothing of an older place is left in the hub, and what is converted is judged the same.
SELECT count(*) AS resources, count(*) FILTER (WHERE (hub -> 'spec') ?| (SELECT array_agg(name) FROM field WHERE version = 'old' AND name NOT IN ('advanced', 'resource'))) AS old,
       count(*) FILTER (WHERE (SELECT count(*) FROM validate_spec(hub)) > (SELECT count(*) FROM validate_spec(resource))) AS judged_worse
FROM generated, convert_resource(resource, 'documentdb.io/preview') AS hub;

--
-- What is changed between is newer than what was kept.
--
CREATE TEMP TABLE edited AS
    SELECT pg_temp.resource('documentdb.io/preview', '{"nodeCount": 1, "instancesPerNode": 1, "schemaVersion": "0.112.0", "resource": {"storage": {"pvcSize": "1Gi", "storageClass": "fast"}, "memory": "4Gi"},
        "clusterReplication": {"primary": "a", "clusterList": [{"name": "a", "environment": "aks"}, {"name": "b"}], "crossCloudNetworkingStrategy": "Istio"}}') AS hub;
SELECT change, convert_resource(jsonb_set(old, path, value), 'documentdb.io/preview') -> 'spec' AS spec
FROM edited, convert_resource(hub, 'db.microsoft.com/v1') AS old, (VALUES
    ('nothing', '{metadata,labels}'::text[], '{}'::jsonb),
    ('storage', '{spec,resource,pvcSize}', '"2Gi"'),
    ('regions', '{spec,clusterReplication,clusterList}', '["a", "c"]'),
    ('fleet', '{spec,clusterReplication,enableFleetForCrossCloud}', 'true'),
    ('replication', '{spec,clusterReplication}', 'null'),
    ('desired', '{spec,schemaVersion}', '"auto"')) AS t(change, path, value);

--
-- An annotation that is not ours to trust.
--
SELECT left(annotation, 60) AS annotation, length(annotation) AS length, r -> 'spec' AS spec, r #>> '{metadata,annotations,documentdb-upgrade/conversion}' = annotation AS left_alone,
       r - 'spec' = pg_temp.resource('documentdb.io/preview', '{}', r -> 'metadata') - 'spec' AS nothing_else
FROM (VALUES (''), ('{'), ('5'), ('[]'), ('{}'), ('{"documentdb.io/preview": 5}'), ('{"documentdb.io/preview": [5, null, {}, {"path": "spec"}, {"path": []}, {"path": [1]}]}'),
    ('{"documentdb.io/preview": [{"path": ["kind"], "was": "DocumentDB", "is": "Secret"}, {"path": ["status", "schemaVersion"], "was": "0.112.0", "is": "0.1.0"}]}'),
    ('{"documentdb.io/preview": [{"path": ["spec", "a", "b"], "is": 1}, {"path": ["spec", 5], "is": 1}, {"path": ["spec", "nodeCount", "b"], "is": 1}]}'),
    ('{"documentdb.io/preview": [{"path": ["spec", "nodeCount"], "was": 2, "is": 9}, {"path": ["spec", "logLevel"], "is": "debug"}]}'),
    ('{"a": "\u0000"}'), ('{"a": "\ud800"}'), ('{"a": "\'), ('{"a": 1e999999999}'), ('{"a": 1' || repeat('0', 200000) || '}'), (repeat('[', 100000)), ('{"a": ' || repeat('[', 490) || repeat(']', 490) || '}')) AS t(annotation),
    convert_resource(pg_temp.resource('documentdb.io/preview-flat', '{"nodeCount": 1, "instancesPerNode": 1}', jsonb_build_object('annotations', jsonb_build_object('documentdb-upgrade/conversion', annotation))), 'documentdb.io/preview') AS r;

--
-- Reviews.
--
CREATE FUNCTION pg_temp.review(version text, VARIADIC objects jsonb[]) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('apiVersion', 'apiextensions.k8s.io/v1', 'kind', 'ConversionReview',
                              'request', jsonb_build_object('uid', 'uid-7', 'desiredAPIVersion', version, 'objects', to_jsonb(objects)))
$$;
SELECT conversion_review(pg_temp.review('documentdb.io/preview',
    pg_temp.resource('documentdb.io/preview-flat', '{"nodeCount": 1, "instancesPerNode": 1, "documentDBImage": "d:1"}'),
    pg_temp.resource('documentdb.io/preview', '{"nodeCount": 1, "instancesPerNode": 1}'),
    pg_temp.resource('documentdb.io/preview-flat', '{"nodeCount": 1, "instancesPerNode": 2}')));
SELECT conversion_review(pg_temp.review('documentdb.io/preview', VARIADIC '{}'));
-- Every object, in the order in which they came.
SELECT answer #>> '{response,result,status}' AS status, count(*),
       count(*) FILTER (WHERE object <> convert_resource(resource, 'db.microsoft.com/preview')) AS differ
FROM (SELECT conversion_review(pg_temp.review('db.microsoft.com/preview', VARIADIC array_agg(resource ORDER BY n))) AS answer, array_agg(resource ORDER BY n) AS asked
      FROM generated WHERE version = 'db.microsoft.com/v1') AS r,
    ROWS FROM (jsonb_array_elements(answer #> '{response,convertedObjects}'), unnest(asked)) AS o(object, resource)
GROUP BY answer;
-- All or nothing, and why.
SELECT coalesce(review ->> 'request', review::text) AS review, a #>> '{response,uid}' AS uid, a #> '{response,convertedObjects}' AS objects, a #> '{response,result}' AS result
FROM (VALUES (NULL), ('[]'::jsonb), ('"x"'), ('{}'), ('{"apiVersion": "apiextensions.k8s.io/v1beta1", "kind": "ConversionReview"}'),
    ('{"apiVersion": "apiextensions.k8s.io/v1", "kind": "AdmissionReview"}'),
    ('{"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": []}'),
    ('{"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": {}}'),
    ('{"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": {"uid": "u"}}'),
    ('{"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": {"uid": "u", "desiredAPIVersion": "documentdb.io/preview", "objects": {}}}'),
    (pg_temp.review('documentdb.io/v2', pg_temp.resource('documentdb.io/preview', '{}'))),
    (pg_temp.review('documentdb.io/preview', pg_temp.resource('documentdb.io/preview', '{}'), pg_temp.resource('documentdb.io/v2', '{}'))),
    (pg_temp.review('documentdb.io/preview', pg_temp.resource('db.microsoft.com/v1', '{}'))),
    (pg_temp.review('documentdb.io/preview', '5')),
    (pg_temp.review('documentdb.io/preview', '{"apiVersion": "v1", "kind": "List", "items": []}')),
    (pg_temp.review('documentdb.io/preview', pg_temp.resource('documentdb.io/preview', '{}', '{"name": null}') || '{"kind": "Backup"}'))) AS t(review),
    conversion_review(review) AS a;
CALL run_conversion_review(pg_temp.review('documentdb.io/v2', VARIADIC '{}'));
SELECT conversion_review(jsonb_build_object('request', jsonb_build_object('uid', 'u', 'x', array_fill(repeat('x', 1024 * 1024), ARRAY[65])))) -> 'response';

--
-- Admission judges every version in the form of the hub.
--
CREATE FUNCTION pg_temp.admit(version text, old jsonb, new jsonb, metadata jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws('; ', a #>> '{response,allowed}', a #>> '{response,status,message}', a #>> '{response,status,details,causes}', a #>> '{response,warnings}')
    FROM admission_review(jsonb_build_object('apiVersion', 'admission.k8s.io/v1', 'kind', 'AdmissionReview',
        'request', jsonb_build_object('uid', 'u', 'operation', 'UPDATE',
            'kind', jsonb_build_object('group', split_part(version, '/', 1), 'version', split_part(version, '/', 2), 'kind', 'DocumentDB'),
            'object', pg_temp.resource(version, new, metadata), 'oldObject', pg_temp.resource(version, old, metadata)))) AS a
$$;
SELECT version, pg_temp.admit(version, '{"documentDBImage": "d:0.112.0"}', '{"documentDBImage": "d:0.111.0"}') AS rollback,
    pg_temp.admit(version, '{"documentDBImage": "d:0.112.0"}', '{"documentDBImage": "d:0.112.0", "publicLoadBalancer": {"enabled": true}}') AS no_rollback
FROM unnest('{db.microsoft.com/v1,db.microsoft.com/preview,documentdb.io/preview-flat,documentdb.io/preview,documentdb.io/v9,example.com/v1}'::text[]) AS version;
SELECT pg_temp.admit('db.microsoft.com/v1', '{"documentDBImage": "d:0.112.0"}', '{"documentDBImage": "d@sha256:01"}') AS digest,
    pg_temp.admit('db.microsoft.com/v1', '{}', '{"documentDBImage": 5}') AS no_text,
    pg_temp.admit('db.microsoft.com/v1', '{"bootstrap": {"recovery": {"backup": {"name": "a"}}}}', '{"bootstrap": {"recovery": {"backup": {"name": "b"}}}}') AS bootstrap;
-- What is kept in the annotation is of the resource that is asked for.
SELECT field, detail FROM convert_resource(pg_temp.resource('documentdb.io/preview', '{"nodeCount": 1, "instancesPerNode": 1, "documentDBVersion": "0.113.0", "schemaVersion": "0.113.0"}'), 'db.microsoft.com/v1') AS old,
    validate_spec(jsonb_set(old, '{spec,documentDBVersion}', '"0.112.0"'), old);
-- So is an image that somebody has written into it.
SELECT field, detail FROM (SELECT pg_temp.resource('db.microsoft.com/v1', '{"documentDBImage": "d:0.113.0"}')) AS r(old),
    validate_spec(jsonb_set(old, '{metadata,annotations}', jsonb_build_object('documentdb-upgrade/conversion',
        '{"documentdb.io/preview": [{"path": ["spec", "image", "documentDB"], "was": "d:0.113.0", "is": "d:0.100.0"}]}')), old);
SELECT field, detail FROM (SELECT pg_temp.resource('db.microsoft.com/v1', '{"documentDBImage": "d:0.113.0"}')) AS r(old),
    validate_spec(jsonb_set(old, '{metadata,annotations}', jsonb_build_object('documentdb-upgrade/conversion',
        '{"documentdb.io/preview": [{"path": ["spec", "image", "documentDB"], "was": "d:0.113.0", "is": 5}]}')), old);
