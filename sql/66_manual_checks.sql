--
-- What a database cannot see: commands for people
--

CREATE FUNCTION documentdb_upgrade_internal.in_kubernetes() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_in_kubernetes';
COMMENT ON FUNCTION in_kubernetes() IS
'whether this server runs in a pod, or its worker follows a custom resource';

CREATE FUNCTION documentdb_upgrade_internal.worker_location() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_worker_location';
COMMENT ON FUNCTION worker_location() IS
'serves runbook(): what the worker reads the desired version from, namespace/name of a custom resource or a file; '
'null where no worker runs or there is no such thing';

CREATE FUNCTION documentdb_upgrade_internal.kubernetes_names(OUT namespace text, OUT resource text, OUT cluster text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    -- Names of Kubernetes need no quotes; another text is not repeated.  CloudNativePG gives the name of its Cluster
    -- to setting cluster_name.
    SELECT max(n.name) FILTER (WHERE n.fact = 'namespace'), max(n.name) FILTER (WHERE n.fact = 'resource'),
           max(n.name) FILTER (WHERE n.fact = 'cluster')
    FROM (SELECT string_to_array(CASE WHEN EXISTS (SELECT FROM documentdb_upgrade.status s
                                                   WHERE s.source = 'kubernetes')
                                      THEN documentdb_upgrade_internal.worker_location() END, '/') AS location,
                 documentdb_upgrade_internal.in_kubernetes() AS inside) w,
         LATERAL (VALUES ('namespace', coalesce(nullif(w.location[1], ''),
                                                current_setting('documentdb_upgrade.kubernetes_namespace', true))),
                         ('resource', coalesce(nullif(w.location[2], ''),
                                               current_setting('documentdb_upgrade.kubernetes_resource', true))),
                         ('cluster', CASE WHEN w.inside THEN current_setting('cluster_name') END)) AS n(fact, name)
    WHERE n.name ~ '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'
$$;
COMMENT ON FUNCTION kubernetes_names() IS
'namespace and name of the custom resource, and name of the Cluster, as far as this server knows them';

CREATE FUNCTION documentdb_upgrade_internal.outside_answers(OUT check_name text, OUT status text, OUT detail text,
                                                            OUT answered_at timestamptz, OUT outdated boolean,
                                                            OUT problem text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 10
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_outside_answers';
COMMENT ON FUNCTION outside_answers() IS
'serves the reports: what the worker has read about checks that a database cannot make, while setting '
'kubernetes_reads is on; problem says why the last look gave no answer';

CREATE FUNCTION documentdb_upgrade_internal.manual_checks(occasion text, OUT check_name text, OUT of_kubernetes boolean,
                                                          OUT what text, OUT command text, OUT expected text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE ROWS 15 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    WITH name AS MATERIALIZED (
        SELECT coalesce(n.namespace, '"$NAMESPACE"') AS namespace, coalesce(n.resource, '"$NAME"') AS resource,
               coalesce(n.cluster, '"$CLUSTER"') AS cluster
        FROM documentdb_upgrade_internal.kubernetes_names() n)
    SELECT c.check_name, c.of_kubernetes, c.what,
           replace(replace(replace(c.command, '{ns}', n.namespace), '{name}', n.resource), '{cluster}', n.cluster),
           c.expected
    FROM name n, (VALUES
        ('operator', '{before,after}'::text[], true, 'the operator runs',
         'kubectl rollout status deployment/documentdb-operator --namespace documentdb-operator --timeout=10s',
         'it says "successfully rolled out"'),
        ('cnpg', '{before,after}', true, 'CloudNativePG runs',
         'kubectl rollout status deployment --selector app.kubernetes.io/name=cloudnative-pg --namespace cnpg-system '
         '--timeout=10s',
         'it says "successfully rolled out" for one deployment'),
        ('sidecar_injector', '{before,after}', true, 'the sidecar injector runs',
         'kubectl rollout status deployment/sidecar-injector --namespace cnpg-system --timeout=10s',
         'it says "successfully rolled out"; pods that start without it have no gateway'),
        ('operators', '{rollback}', true, 'the operators run, in the version that was gone back to',
         'kubectl get deployments --all-namespaces --output wide '
         '| grep -E "NAMESPACE|documentdb-operator|cloudnative-pg|sidecar-injector"',
         'READY is n/n for each of them, and IMAGES have the versions of the target release'),
        ('webhooks', '{before,after}', true, 'the webhooks are registered',
         'kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations --output '
         '''custom-columns=NAME:.metadata.name,SERVICE:.webhooks[*].clientConfig.service.name'' '
         '| grep -E "documentdb|cnpg"',
         'documentdb-validating-webhook (since operator 0.3.0), cnpg-validating-webhook-configuration and '
         'cnpg-mutating-webhook-configuration are there, each with its service'),
        ('webhook_answers', '{before,after}', true, 'the webhook of the custom resource answers',
         'kubectl annotate dbs.documentdb.io {name} --namespace {ns} documentdb-upgrade/probe=1 --dry-run=server',
         'it says "annotated (server dry run)", and nothing is changed'),
        ('crds', '{before,after}', true, 'the definitions fit the operator',
         'kubectl get crds dbs.documentdb.io backups.documentdb.io clusters.postgresql.cnpg.io --output '
         '''custom-columns=NAME:.metadata.name,VERSIONS:.spec.versions[*].name,STORED:.status.storedVersions''',
         'every version under STORED is also under VERSIONS, and those your manifests use are; Helm does not upgrade '
         'definitions, so apply those of the new chart before it'),
        ('resource', '{before,after}', true, 'the custom resource is accepted and its status is true',
         'kubectl get dbs.documentdb.io {name} --namespace {ns} --output '
         '''custom-columns=STATUS:.status.status,SCHEMA:.status.schemaVersion,VERSION:.spec.documentDBVersion,'
         'WANTED:.spec.schemaVersion''',
         'STATUS is "Cluster in healthy state", SCHEMA is the installed version with dots'),
        ('cluster', '{before,after}', true, 'the Cluster is ready',
         'kubectl get clusters.postgresql.cnpg.io {cluster} --namespace {ns}',
         'READY equals INSTANCES and STATUS is "Cluster in healthy state"'),
        ('clusters', '{rollback}', true, 'every Cluster is ready, with the images that were gone back to',
         'kubectl get clusters.postgresql.cnpg.io --all-namespaces && kubectl get pods --all-namespaces --selector '
         'cnpg.io/cluster --output ''custom-columns=NAMESPACE:.metadata.namespace,POD:.metadata.name,'
         'IMAGES:.spec.containers[*].image,VOLUMES:.spec.volumes[*].image.reference''',
         'READY equals INSTANCES, STATUS is "Cluster in healthy state", and every pod has the images of the target '
         'release'),
        ('quotas', '{before}', true, 'the namespace has room for one more pod',
         'kubectl describe resourcequotas,limitranges --namespace {ns}',
         'there are none, or Used plus one more pod of the Cluster stays below Hard'),
        ('nodes', '{before}', true, 'nodes can take the pods that restart',
         'kubectl get nodes && kubectl top nodes',
         'each is Ready and none SchedulingDisabled, and CPU and MEMORY are below 80 % (kubectl top needs the metrics '
         'server)'),
        ('pod_images', '{before,after}', true, 'all pods of the Cluster run the same images',
         'kubectl get pods --namespace {ns} --selector cnpg.io/cluster={cluster} --output '
         '''custom-columns=POD:.metadata.name,IMAGES:.spec.containers[*].image,'
         'VOLUMES:.spec.volumes[*].image.reference''',
         'IMAGES and VOLUMES are the same on every line, and have the versions that you expect'),
        ('sidecar_injection', '{before,after}', true, 'each pod has its gateway',
         'kubectl get pods --namespace {ns} --selector cnpg.io/cluster={cluster} --output '
         '''custom-columns=POD:.metadata.name,CONTAINERS:.spec.containers[*].name,'
         'READY:.status.containerStatuses[*].ready''',
         'CONTAINERS has postgres and documentdb-gateway on every line, and READY is true for each'),
        ('operator_log', '{before,after}', true, 'the operator''s log is quiet',
         'kubectl logs deployment/documentdb-operator --namespace documentdb-operator --since=1h '
         '| grep -iE "error|panic"',
         'nothing, or only what was there before the upgrade'),
        ('pod_logs', '{before,after}', true, 'the logs of the pods are quiet',
         'kubectl logs --namespace {ns} --selector cnpg.io/cluster={cluster} --all-containers --prefix --since=1h '
         '--tail=-1 | grep -E "ERROR|FATAL|PANIC"',
         'nothing, or only what was there before the upgrade'),
        ('chart', '{before,after}', true, 'the chart is deployed',
         'helm history documentdb-operator --namespace documentdb-operator --max 3',
         'the last line has STATUS deployed and the version that you expect'),
        ('applications', '{rollback}', false, 'applications can connect',
         CASE WHEN documentdb_upgrade_internal.main_extension() = 'documentdb'
              THEN 'mongosh "<CONNECTION_STRING>" --eval "db.runCommand({ping: 1})" with the connection string of an '
                   'application, for each cluster'
              ELSE 'psql "<CONNECTION_STRING>" -c "SELECT 1" with the connection string of each application' END,
         CASE WHEN documentdb_upgrade_internal.main_extension() = 'documentdb' THEN '{ ok: 1 }' ELSE 'a row' END
         || ', and one request of each kind that your application makes works'),
        ('logs', '{rollback}', false, 'logs are quiet',
         'grep -E "ERROR|FATAL|PANIC" on the server''s log since the rollback; on Kubernetes kubectl logs '
         '--all-containers --since=1h of the pods of the Cluster and of deployment/documentdb-operator, '
         'deployment/sidecar-injector',
         'nothing, or only what was there before the upgrade'),
        ('chart_history', '{rollback}', true, 'the chart went back',
         'helm history documentdb-operator --namespace documentdb-operator --max 3',
         'the last line has STATUS deployed and DESCRIPTION "Rollback to n", or the version of the target release '
         'where the plan upgraded to the older chart'))
        AS c(check_name, occasions, of_kubernetes, what, command, expected)
    WHERE occasion = ANY (c.occasions)
$$;
COMMENT ON FUNCTION manual_checks(text) IS
'what a database cannot see before or after an upgrade or a rollback: the command that shows it, and what a good '
'answer is';
