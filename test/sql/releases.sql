-- Releases: what is deployed together, what changed from one to the next, the
-- ways there and back, and which versions go together.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
SET search_path = public, documentdb_upgrade, documentdb_upgrade_internal;
\pset null '(null)'

CREATE EXTENSION documentdb_core VERSION '0.107-0';
CREATE EXTENSION documentdb VERSION '0.107-0';

-- Input that is not a release.
\set VERBOSITY terse
SELECT record_release(NULL);
SELECT record_release('[]');
SELECT record_release('{}');
SELECT record_release('"1.0"');
SELECT record_release('{"": "1"}');
SELECT record_release('{"Gateway": "1"}');
SELECT record_release('{"gateway": 1}');
SELECT record_release('{"gateway": null}');
SELECT record_release('{"gateway": ["1"]}');
SELECT record_release('{"gateway": {"version": 1}}');
SELECT record_release('{"gateway": {"version": " "}}');
SELECT record_release('{"gateway": ""}');
SELECT record_release('{"gateway": {"image": {}}}');
SELECT record_release(jsonb_build_object('gateway', repeat('1', 1048577)));
SELECT record_release('{"gateway": "1"}', 0);
SELECT record_release('{"gateway": "1"}', label => '');
SELECT count(*) AS recorded FROM releases;
\set VERBOSITY default

-- Revisions count on, or are given; what was the newest is not stored again.
SELECT revision, label, source, recorded_by = session_user AS by_me, observed ? 'postgres' AS observed
FROM record_release('{"operator": "0.2.0", "sidecar_injector": "0.2.0", "cnpg": "1.28.0", "gateway": "0.107.0",
	"extension": {"version": "0.107-0", "image": "registry.example/documentdb:0.107.0"}}', label => 'spring');
SELECT revision, label FROM record_release('{"gateway": {"version": "0.107.0"}, "cnpg": "1.28.0", "sidecar_injector": "0.2.0", "operator": "0.2.0",
	"extension": {"image": "registry.example/documentdb:0.107.0", "version": "0.107-0"}}') AS the_same;
SELECT revision, label FROM record_release('{"gateway": {"version": "0.107.0"}, "cnpg": "1.28.0", "sidecar_injector": "0.2.0", "operator": "0.2.0",
	"extension": {"image": "registry.example/documentdb:0.107.0", "version": "0.107-0"}}', 7, 'March') AS relabelled;
SELECT revision, label FROM record_release('{"operator": {"version": "0.3.0", "helm_revision": 4}, "sidecar_injector": "0.3.0", "cnpg": "1.29.1",
	"gateway": "0.110.0", "extension": {"version": "0.108-0"}, "otel": {"image": "otel@sha256:0000"}}', 7);
\set VERBOSITY terse
SELECT record_release('{"gateway": "2"}', 7);
SELECT record_release('{"gateway": "2"}', 3);
\set VERBOSITY default
CALL run_record_release('{"operator": {"version": "0.3.0"}, "sidecar_injector": "0.3.0", "cnpg": "1.29.1",
	"gateway": "0.110.0", "extension": {"version": "1.0-0"}}', label => 'autumn');
SELECT revision, label, source FROM releases ORDER BY revision;

-- A component is its configuration and the digest of that.
SELECT c.key, c.value->'configuration' AS configuration,
	c.value->>'sha256' = encode(sha256(convert_to((c.value->'configuration')::text, 'UTF8')), 'hex') AS digest
FROM releases, jsonb_each(components) c WHERE revision = 1 ORDER BY c.key COLLATE "C";

-- What changed.
SELECT component, change, from_version, to_version FROM compare_releases(1, 7);
SELECT component, change, from_configuration, to_configuration FROM compare_releases(7, 8) WHERE change <> 'unchanged';
SELECT change, count(*) FROM compare_releases(8, 8) GROUP BY change;
\set VERBOSITY terse
SELECT compare_releases(1, 2);
SELECT compare_releases(1, NULL);
\set VERBOSITY default

-- The way there: the charts, what restarts with the pods, the schema.
SELECT step, component, restarts_pods, expected_duration, total_duration FROM release_plan(1, 7);
SELECT component, action FROM release_plan(1, 7);
SELECT component, reason, risk FROM release_plan(1, 7) WHERE component NOT IN ('cluster');
SELECT count(*) FROM release_plan(8, 8);

-- And back, with nothing that did not change: what restarts pods comes last.
SELECT step, component, restarts_pods, expected_duration, total_duration FROM rollback_plan(7, 1);
SELECT component, action FROM rollback_plan(7, 1);
-- Without chart and operator, where these do not work any more.
SELECT component, emergency FROM rollback_plan(7, 1) WHERE emergency IS NOT NULL;
SELECT component, action FROM rollback_plan(8, 7);
SELECT step, component, reason FROM rollback_plan(8, 7, force => true);
CALL run_record_release('{"operator": "0.3.0", "extension": {"image": "registry.example/it''s$(reboot):1.0.0", "version": "1.0.0"}, "strange": {"a": [1]}}');
SELECT component, action FROM release_plan(8, 9) WHERE component IN ('extension', 'strange', 'cnpg');

-- A schema does not go back, and says what is left.
SELECT record_backup('weekly', now() - interval '1 minute');
SET client_min_messages = error;
SELECT outcome FROM finalize_to('0.108-0');
RESET client_min_messages;
SELECT component FROM rollback_plan(8, 7) WHERE component = 'extension';
CREATE FUNCTION refusal(statement text) RETURNS TABLE (code text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	hint := regexp_replace(regexp_replace(hint, 'LSN [0-9A-F/]+', 'LSN ...'), '" of [-0-9:. +a-zA-Z]+', '" of ...');
	RETURN NEXT;
END
$$;
\x on
SELECT * FROM refusal('SELECT * FROM rollback_plan(7, 1)');
SELECT * FROM refusal('SELECT * FROM rollback_plan(8, 1, true)');
SELECT * FROM refusal('SELECT * FROM release_plan(8, 1)');
CALL run_record_release('{"extension": {"image": "registry.example/documentdb@sha256:00"}}');
SELECT * FROM refusal('SELECT * FROM rollback_plan(9, 10)');
CALL run_record_release('{"postgres": "11.4-v0.108.0"}');
SELECT code, regexp_replace(message, '\d+$', 'N') AS message, detail, hint FROM refusal('SELECT * FROM rollback_plan(10, 11)');
\x off

-- A rollback that was executed: every component that differs is told of.
\set VERBOSITY terse
SELECT record_rollback(8, 8, '{extension}');
SELECT record_rollback(8, 5, '{extension}');
SELECT record_rollback(8, 7, '{extension,operator}');
SELECT record_rollback(8, 7, '{extension,operator}', '{otel,extension}');
SELECT record_rollback(8, 7, '{extension,operator,nothing}', '{otel}');
SELECT record_rollback(8, 7, '{extension,NULL,operator}', '{otel}');
SELECT record_rollback(8, 7, NULL, '{otel}');
SELECT verify_rollback(1);
\set VERBOSITY default
SELECT id > 0 AS numbered, source, target, release, changed, skipped FROM record_rollback(8, 7, '{extension,operator}', '{otel}');
SELECT change, component FROM compare_releases(7, 12);
SELECT label LIKE 'rollback %: from 8 to 7' AS labelled, source FROM releases WHERE revision = 12;

-- The binary is still that of 1.0, and other components cannot be seen.
SELECT "check", status, detail FROM rollbacks, verify_rollback(id) WHERE "check" ~ 'changed|untouched';
SELECT "check", status FROM rollbacks, verify_rollback(id) WHERE "check" !~ 'changed|untouched';
SELECT "check", status, detail FROM rollbacks, verify_rollback(id) WHERE "check" IN ('differences', 'only differences', 'versions together', 'record');
-- What an operator records later tells of them.
SELECT revision FROM record_release('{"operator": {"version": "0.3.0", "helm_revision": 4}, "sidecar_injector": "0.2.0", "cnpg": "1.29.1",
	"gateway": "0.110.0", "extension": {"version": "0.108-0"}}');
SELECT "check", status, detail FROM rollbacks, verify_rollback(id) WHERE "check" ~ 'operator|sidecar|record';
-- What does not belong together is seen: digests, what was reverted without need, versions that are known not to work.
BEGIN;
UPDATE releases SET components = jsonb_set(components, '{operator,configuration,version}', '"0.3.1"') WHERE revision = 8;
INSERT INTO compatibility (component, version, other, other_version, works, source) VALUES ('operator', '0.3.0', 'gateway', '0.110.0', false, 'tried here');
UPDATE rollbacks SET changed = changed || '{gateway}';
SELECT "check", status, detail FROM rollbacks, verify_rollback(id) WHERE "check" IN ('differences', 'only differences', 'versions together');
UPDATE releases SET components = components - '{operator,cnpg,sidecar_injector,gateway}'::text[] WHERE revision = 12;
SELECT "check", status, detail FROM rollbacks, verify_rollback(id) WHERE "check" IN ('operators', 'clusters', 'chart history');
ROLLBACK;
-- What a database cannot see is for people, with the command and what is good.
SELECT "check", detail FROM rollbacks, verify_rollback(id) WHERE status = 'manual';

-- Retention keeps the newest, and what rollbacks refer to.
SET documentdb_upgrade.release_retention = 2;
SELECT revision FROM record_release('{"gateway": "3"}');
SELECT revision FROM releases ORDER BY revision;
SET documentdb_upgrade.release_retention = 1;
CALL run_record_release('{"gateway": "4"}');
SELECT revision FROM releases ORDER BY revision;
CALL run_record_rollback(8, 7, '{extension}', '{operator,otel}');
SELECT revision FROM releases ORDER BY revision;
RESET documentdb_upgrade.release_retention;
\set VERBOSITY terse
DELETE FROM releases WHERE revision = 7;
\set VERBOSITY default

-- Plans that can be pasted: what the notes of operator 1.0.0 demand comes first, with its source.
SELECT revision FROM record_release('{"operator": "0.3.0", "cnpg": "1.29.1", "sidecar_injector": "0.3.0", "gateway": "0.110.0", "extension": "0.110-0", "postgres": "18.5", "otel": "1"}', 50);
SELECT revision FROM record_release('{"operator": "1.0.0", "cnpg": "1.29.1", "sidecar_injector": "1.0.0", "extension": "1.0-0", "postgres": "18.6"}', 51);
SELECT component, change FROM compare_releases(50, 51);
\pset format unaligned
SELECT step, component, action, risk, source FROM release_plan(50, 51);
SELECT step, component, action FROM rollback_plan(51, 50);
-- Several clusters of one operator: what is one for all is there once, the rest for each, one restart after the other.
SELECT step, component, cluster, replace(action, '-d ' || current_database(), '-d DATABASE') AS action, total_duration FROM release_plan(50, 51, '{prod/a,prod/b/b-1}');
SELECT step, component, cluster, replace(action, '-d ' || current_database(), '-d DATABASE') AS action, expected_duration, total_duration FROM rollback_plan(51, 50, clusters => '{prod/a,prod/b/b-1}');
SELECT step, component, cluster, emergency FROM rollback_plan(51, 50, clusters => '{prod/a,prod/b/b-1}') WHERE emergency IS NOT NULL;
SELECT count(*) AS the_same FROM (SELECT * FROM rollback_plan(51, 50) INTERSECT SELECT * FROM rollback_plan(51, 50, clusters => '{}')) AS s;
\set VERBOSITY terse
SELECT rollback_plan(51, 50, clusters => '{a}');
SELECT rollback_plan(51, 50, clusters => '{prod/a,prod/a}');
SELECT release_plan(50, 51, '{prod/a,NULL}');
SELECT release_plan(50, 51, '{"prod/a;reboot"}');
\set VERBOSITY default
-- A release candidate is left by a new cluster, and pinned meanwhile.
SELECT revision FROM record_release('{"operator": "1.0.0-rc1", "extension": "1.0.RC2", "gateway": "1.0-RC2"}', 52);
SELECT revision FROM record_release('{"operator": "1.0.0", "extension": "1.0.0", "gateway": "1.0.0"}', 53);
SELECT step, component, action, reason, source FROM release_plan(52, 53);
SELECT step, component, action FROM release_plan(53, 52) WHERE component = 'extension';
-- Where the chart is can be said, and is not guessed.
SELECT revision FROM record_release('{"operator": {"version": "1.0.0", "chart": "https://charts.example/stable"}, "cnpg": {"version": "1.30.0", "chart_version": "0.29.0"}}', 54);
SELECT revision FROM record_release('{"operator": {"version": "1.0.1", "chart": "/srv/it''s.tgz"}, "cnpg": {"version": "1.29.1", "chart_version": "0.28.1"}}', 55);
SELECT step, component, action, source FROM release_plan(55, 54);
SELECT step, component, action FROM release_plan(54, 55) WHERE component = 'operator';
SELECT revision FROM record_release('{"operator": "0.2.0"}', 56);
SELECT step, component, action FROM release_plan(55, 56);
-- What begins as a comment stays one; where an image's name tells no version, the risk says so.
SELECT revision FROM record_release('{"strange": "1\nreboot", "extension": {"image": "d:nightly", "version": "1.0.0"}, "operator": "0.2.0"}', 57);
SELECT step, component, action, risk FROM release_plan(56, 57);
-- A plan follows what was loaded, before what is shipped.
SELECT * FROM load_compatibility('{"notes": [
	{"component": "operator", "from_version": "0.3.0", "to_version": "1.0.0", "place": "before", "action": "{\"documentDBVersion\": \"$FROM_EXTENSION\", \"a\": \"it''s\"}", "reason": "ours", "source": "we"},
	{"component": "operator", "from_version": "", "to_version": "1.0..", "place": "after", "ordinal": 7, "action": "notify $TO_EXTENSION", "reason": "all know", "source": "we"}]}', 'ours');
SELECT step, component, action, reason, source FROM release_plan(50, 51) WHERE source IS NOT NULL AND component = 'operator';
SELECT step, component, action FROM release_plan(55, 54) WHERE source = 'we';
SELECT * FROM load_compatibility('{}', 'ours');
\set VERBOSITY terse
SELECT load_compatibility('{"notes": [], "others": []}');
SELECT load_compatibility('{"notes": [{"component": "operator"}]}');
SELECT load_compatibility('{"notes": [{"component": "operator", "from_version": "", "to_version": "", "place": "never", "action": "x", "reason": "x", "source": "x"}]}');
SELECT load_compatibility('{"notes": [{"component": "operator", "from_version": "", "to_version": "", "place": "after", "action": "{}{", "reason": "x", "source": "x"}]}');
\set VERBOSITY default
\pset format aligned

-- An older binary hides behind no tag.
CREATE FUNCTION tried(component text, configuration jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r bigint;
BEGIN
	r := (record_release(jsonb_build_object(component, configuration))).revision;
	PERFORM rollback_plan(51, r);
	RAISE EXCEPTION 'allowed';
EXCEPTION WHEN OTHERS THEN
	RETURN regexp_replace(regexp_replace(SQLERRM, 'release \d+', 'release N'), 'directory of \d+', 'directory of N');
END
$$;
SELECT c.component, c.configuration, tried(c.component, c.configuration) FROM (VALUES
	('extension', '"0.107-0"'::jsonb), ('extension', '"pg17-0.107.0"'), ('extension', '"16.3-v0.107.0"'), ('extension', '{"image": "d:pg17-0.107.0"}'),
	('extension', '{"image": "registry:5000/d:16.3-v0.107.0"}'), ('extension', '{"image": "d:0.107.0-amd64"}'), ('extension', '{"image": "d:0.107-0"}'),
	('extension', '{"image": "d:0.107.0@sha256:00", "version": "1.0.0"}'), ('extension', '{"image": "d:0.107.0", "version": "1.0.0"}'),
	('extension', '{"image": "d@sha256:00"}'), ('extension', '{"image": "d:nightly"}'), ('extension', '{"image": "d:nightly", "version": "1.0.0"}'),
	('extension', '"1.0-RC2"'), ('extension', '{"image": "d:pg17-1.0-RC2"}'), ('postgres', '"99.3-v0.107.0"'), ('postgres', '{"image": "p:12.1", "version": "99"}'),
	('postgres', '{"image": "p:99.1-minimal-trixie", "version": "99"}')) AS c(component, configuration);
DROP FUNCTION tried(text, jsonb);

-- Tags of images.
SELECT image, v.* FROM unnest(ARRAY['1.0-RC2', '1.0.RC2', '1.0.0-rc.2-trixie', '2.1~rc1', 'pg17-0.117.0', 'PG17_v1.0-RC2', '1.0.0-developer', '1.0.0beta', '1.0-20261019', '18.4-202608030910-minimal-trixie',
	'0.112', '17', '0.112.0+build', '0.112.0foo', '16.3-', 'v', 'pg', '17-x', '1.0.0-ferretdb-', '99.0.0', '10.5-0', ':', '@', '/', NULL]) image, image_versions(image) v;
SELECT image, v.* FROM unnest(ARRAY['16.3-v1.3.0', 'ghcr.io/cloudnative-pg/postgresql:18-minimal-trixie', '18.1', 'pg17-0.109.0',
	'ghcr.io/ferretdb/postgres-documentdb:17-0.107.0-ferretdb-2.7.0', 'registry:5000/postgres', 'registry:5000/postgres:17.2@sha256:00',
	'postgres@sha256:00', '0.109-0', '1.0.0', 'latest', '']) image, image_versions(image) v;
SELECT version, pattern, version_matches(version, pattern) FROM (VALUES ('0.110-0', '0.110'), ('0.11', '0.1'), ('1.0', '1.0.0'), ('v1.2', '1.2'),
	('1.0-RC2', '1.0'), ('1.0-RC2', '1.0-rc2'), ('1.0-RC2', '0.9..'), ('18.1', '14..18'), ('13.9', '14..18'), ('19', '14..18'), ('1.36.2', '1.35..'),
	('1.0.RC2', '1.0-RC2'), ('1.0.0-rc.2', '1.0-RC2'), ('1.0-RC3', '1.0-RC2'), ('1.0', '1.0-RC2'), ('1.32.9', '..1.32'), ('1.33', '..1.32'), ('1.0-RC2', '..1.1'),
	('18-minimal', '18'), ('latest', '1'), ('1', 'latest'), ('99999999999999999999', '1..'), (NULL, '1')) AS v(version, pattern);

-- Which versions go together.
SELECT component, version, other, other_version, status, detail FROM check_compatibility(
	'{"operator": "1.0.0", "gateway": "1.0.0", "extension": "1.0.0", "sidecar_injector": "1.0.0", "postgres": "18.1", "kubernetes": "1.36", "cnpg": "1.28.1"}')
WHERE status <> 'unknown';
SELECT component, version, other, other_version, status, detail, source FROM check_compatibility('{"extension": "0.113-0", "postgres": "18.6"}');
SELECT component, version, other, other_version, status, source FROM check_compatibility('{"postgres": "17-0.107.0-ferretdb-2.7.0"}');
SELECT component, version, other, other_version, status, detail FROM check_compatibility('{"postgres": {"image": "registry.example/postgresql:16.3-v1.3.0"}, "extension": "1.2.0"}')
WHERE status = 'incompatible';
SELECT component, version, other, other_version, status, detail FROM check_compatibility('{"operator": "0.3.0", "gateway": "0.110.0", "extension": {"image": "d@sha256:00"}}');
SELECT component, version, other, other_version, status, detail FROM check_compatibility('{"extension": "newest", "postgres": "18.6"}');
-- Rows of one's own count too.
INSERT INTO compatibility (component, version, other, other_version, works, source) VALUES
	('gateway', '0.111', 'operator', '0.3', true, 'tried here'), ('gateway', '0.111', 'otel', '..2', false, 'tried here');
SELECT component, other, status, source FROM check_compatibility('{"operator": "0.3.0", "gateway": "0.111.0"}');
-- The stack of operator 1.0.0, and what is near it: pairs that are not in the matrix
-- are untested, what a row speaks against is incompatible.
SELECT component, version, other, other_version, status, detail FROM check_compatibility(
	'{"operator": "1.0.0", "gateway": "1.0.0", "extension": "1.0-0", "postgres": "18.6", "kubernetes": "1.35.2", "cnpg": "1.29.1"}', strict => true)
WHERE status <> 'unknown';
SELECT what, c.component, c.version, c.other, c.other_version, c.status FROM (VALUES
	('operator', '{"operator": "1.0.0", "extension": "1.2-0"}'::jsonb), ('operator', '{"operator": "1.0.0", "cnpg": "1.30.0"}'),
	('operator', '{"operator": "1.1.0", "extension": "1.0-0"}'), ('operator', '{"operator": "1.0.0", "kubernetes": "1.32.4"}'),
	('operator', '{"operator": "1.0.0", "kubernetes": "1.34"}'), ('operator', '{"operator": "1.0.0", "kubernetes": "1.37"}'),
	('operator', '{"operator": "0.3.0", "kubernetes": "1.34"}'), ('operator', '{"operator": "1.0.0-rc1", "extension": "1.0.RC2"}'),
	('extension', '{"extension": "0.112-0", "postgres": "18.6"}'), ('extension', '{"extension": "0.112-0", "postgres": "18.4"}'),
	('extension', '{"extension": "0.115-0", "postgres": "18.6"}'), ('extension', '{"extension": "0.117-0", "postgres": "18.6"}'),
	('extension', '{"extension": "1.1-0", "postgres": "18.6"}'), ('extension', '{"extension": "1.2-0", "postgres": "18.6"}'),
	('extension', '{"extension": "1.2-0", "postgres": "16.4"}'), ('extension', '{"extension": "1.0-0", "postgres": "15.2"}'),
	('cnpg', '{"cnpg": "1.29.2", "kubernetes": "1.36"}'), ('cnpg', '{"cnpg": "1.30.0", "kubernetes": "1.36"}'),
	('cnpg', '{"cnpg": "1.30.0", "kubernetes": "1.37"}'), ('cnpg', '{"cnpg": "1.30.0", "postgres": "18.6"}'),
	('cnpg', '{"cnpg": "1.30.0", "postgres": "19"}')) AS v(what, components), check_compatibility(components) c
WHERE c.component <> 'unified';
-- For scripts.
\x on
SELECT * FROM refusal($$SELECT * FROM check_compatibility('{"operator": "1.0.0", "extension": "1.2-0", "kubernetes": "1.32", "gateway": "1.0.0"}', strict => true)$$);
SELECT * FROM refusal($$SELECT * FROM check_compatibility('{"operator": "1.0.0", "gateway": "0.1", "otel": "1"}', true)$$);
\x off
SELECT count(*) AS unknown_alone FROM check_compatibility('{"gateway": "1.0.0", "kubernetes": "1.36"}', strict => true);
-- A matrix that is loaded: the name says which rows are replaced, and a shipped row of the same pair no longer counts.
SELECT status, source FROM check_compatibility('{"extension": "0.113-0", "postgres": "18.6"}');
SELECT * FROM load_compatibility('[
	{"component": "postgres", "version": "18.6", "other": "extension", "other_version": "0.113", "source": "our build of May"},
	{"component": "operator", "version": "2.0", "other": "extension", "other_version": "2.0", "works": false, "note": "not yet", "source": "notes of 2.0"},
	{"component": "operator", "version": "2.0", "other": "extension", "other_version": "2.0", "source": "twice"},
	{"component": "gateway", "version": "0.111", "other": "operator", "other_version": "0.3", "source": "by hand already"}]', 'May');
SELECT status, source FROM check_compatibility('{"extension": "0.113-0", "postgres": "18.6"}');
SELECT * FROM load_compatibility('[{"component": "a", "version": "1", "other": "b", "other_version": "1", "source": "x", "note": null}]');
SELECT * FROM load_compatibility('[{"component": "operator", "version": "2.0", "other": "extension", "other_version": "2.0", "source": "notes of 2.0.1"}]', 'May');
SELECT component, version, other, other_version, works, source, matrix FROM compatibility WHERE NOT builtin ORDER BY matrix, component, other;
SELECT * FROM load_compatibility('[]', 'May');
SELECT status, source FROM check_compatibility('{"extension": "0.113-0", "postgres": "18.6"}');
\set VERBOSITY terse
SELECT load_compatibility(NULL);
SELECT load_compatibility('{"rows": []}');
SELECT load_compatibility('[1]');
SELECT load_compatibility('[{"component": "a", "version": "1", "other": "b", "other_version": "1"}]');
SELECT load_compatibility('[{"component": "a", "version": "1", "other": "a", "other_version": "1", "source": "x"}]');
SELECT load_compatibility('[{"component": "a", "version": "1", "other": "b", "other_version": " ", "source": "x"}]');
SELECT load_compatibility('[{"component": "a", "version": 1, "other": "b", "other_version": "1", "source": "x"}]');
SELECT load_compatibility('[{"component": "a", "version": "1", "other": "b", "other_version": "1", "source": "x", "works": "yes"}]');
SELECT load_compatibility('[{"component": "a", "version": "1", "other": "b", "other_version": "1", "source": "x", "builtin": true}]');
SELECT load_compatibility('[]', '');
SELECT check_compatibility('[]');
INSERT INTO compatibility (component, version, other, other_version, source) VALUES ('gateway', '1', 'gateway', '2', 'x');
INSERT INTO compatibility (component, version, other, other_version, source) VALUES ('gateway', '1', 'operator', '2', '');
\set VERBOSITY default
SELECT bool_and(source ~ '^https://github.com/|^[a-z-]+/[a-z-]+: ') AS sourced, count(*) > 20 AS seeded FROM compatibility WHERE builtin;

-- Kinds of steps; the schema is 0.108-0.
SELECT "from", "to", c.kind, c.risk, c.strategy FROM (VALUES ('0.102-0', '0.102-1'), ('0.102-0', '0.103-0'), ('0.112-0', '1.0-0'), ('0.108-0', '0.109-0'),
	('0.108.0', 'v1.0.0'), ('1.0', '1.0-0'), ('1.0-RC2', '1.0-0'), ('0.109-0', '0.108-0'), ('1.0-0', '0.107-0')) AS v("from", "to"), classify("from", "to") c;
SELECT "from", "to", c.kind, c.risk, c.strategy FROM (VALUES ('16.3', '16.4'), ('16.4', '16.3'), ('16.4', '17.0'), ('17.0', '16.4')) AS v("from", "to"), classify("from", "to", 'postgres') c;
SELECT * FROM classify('0.2.0', '0.3.0', 'operator');
SELECT * FROM classify('0.108-0', '1.0-0');
SET client_min_messages = error;
SELECT outcome FROM rehearse('1.0-0');
RESET client_min_messages;
SELECT kind, risk, strategy, regexp_replace(evidence, 'Rehearsal \d+', 'Rehearsal N') AS evidence FROM classify('0.108-0', '1.0-0');
\set VERBOSITY terse
SELECT classify('x', '1.0');
SELECT classify('1.0', '');
SELECT classify(NULL, '1.0');
\set VERBOSITY default

-- Who may what: reading comes with pg_monitor, recording with a grant alone.
CREATE ROLE regress_reader IN ROLE pg_monitor;
CREATE ROLE regress_operator;
GRANT EXECUTE ON PROCEDURE run_record_release, run_record_rollback TO regress_operator;
SET SESSION AUTHORIZATION regress_reader;
SELECT count(*) > 0 AS plans FROM rollback_plan(8, 7);
SELECT count(*) > 0 AS verifies FROM rollbacks, verify_rollback(id);
SELECT count(*) AS compares FROM check_compatibility('{"extension": "0.113-0", "postgres": "18.6"}');
SELECT kind FROM classify('0.108-0', '0.109-0');
SELECT jsonb_object_keys(observed_release()) ORDER BY 1;
\set VERBOSITY terse
SELECT record_release('{"gateway": "9"}');
SELECT record_rollback(8, 7, '{extension,operator,otel}');
SELECT observe_release('{}');
SELECT load_compatibility('[]');
SET SESSION AUTHORIZATION regress_operator;
CALL run_record_release('{"gateway": "9"}', 100);
CALL run_record_rollback(8, 7, '{extension,operator,otel}');
SELECT * FROM releases;
RESET SESSION AUTHORIZATION;
SELECT recorded_by FROM releases WHERE revision = 100;

DROP FUNCTION refusal(text);
DROP ROLE regress_reader;
DROP OWNED BY regress_operator;
DROP ROLE regress_operator;
DROP EXTENSION documentdb CASCADE;
DROP EXTENSION documentdb_core;
