-- The upgrade guide of this server as Markdown, and the reports on its health.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
SET search_path = public, documentdb_upgrade, documentdb_upgrade_internal;
\pset format unaligned
\pset footer off
\pset null '(null)'
-- Other tests may have left this role behind, which a script creates.
SET client_min_messages = warning;
DROP ROLE IF EXISTS documentdb_readonly_role;

-- A section, without what differs from run to run.
CREATE FUNCTION section(n integer, target text DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(line,
			   '[0-9a-f]{64}', 'FINGERPRINT', 'g'), '\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?([+-]\d\d| UTC)?', 'TIME', 'g'), '[0-9.]+ (ms|s)\M', 'N ms', 'g'),
			   'psql -p \d+ -d \S+', 'psql -p PORT -d DATABASE'), 'psql -d \S+$', 'psql -d DATABASE'), '\*\*[0-9A-F]+/[0-9A-F]+\*\*', '**LSN**'),
			   '\d+ entries of the lock table, .*', 'N entries of the lock table, N of WAL.')
	FROM string_to_table(substring(documentdb_upgrade.runbook(target) FROM format(E'\n(## %s\\. .*?)\n(\n## %s\\. .*)?$', n, n + 1)), E'\n')
		WITH ORDINALITY AS l(line, n)
	ORDER BY n
$$;
CREATE FUNCTION title(target text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT split_part(documentdb_upgrade.runbook(target), E'\n', 1)
$$;

-- Its pieces: a text of the server is one line that means just that, without
-- passwords.
SELECT runbook_value(t, '') FROM unnest(ARRAY['plain, with SELECT * FROM t;', E'two\n# lines', '`code` [a](b) <b> a\b',
	'host=a password=geheim user=b', '"password": "geheim"', 'PASSWORD ''ge heim'' VALID', 'postgres://me:geheim@host/db',
	'password authentication failed', NULL]) WITH ORDINALITY AS u(t, n) ORDER BY n;
SELECT filter, runbook_value(E'a`b\n''c', filter) FROM unnest('{raw,code,literal,ident,shell,cell}'::text[]) AS filter;
SELECT runbook_value('plain-1.0', 'shell'), runbook_value(NULL, 'cell'), runbook_value(NULL, 'literal');
SELECT ms, runbook_value(ms, 'duration') FROM unnest('{0.3, 12.34, 999.4, 1500, 119000, 600000}'::text[]) AS ms;

-- A template: what is there, what is not, and once for each; what is put in is
-- text, whatever is in it.
SELECT template, render(template, '{"a": 1, "no": false, "none": null, "empty": [], "b": {"c": "d"}, "text": "{{a}}",
	"list": [{"a": 2, "n": ["x", "y"]}, {"n": null}]}')
FROM unnest(ARRAY['{{a}}{{b.c}}{{gone}}', '{{text}}', '{{#a}}yes {{a}}{{/#a}}{{^a}}no{{/^a}}',
	'{{#no}}1{{/#no}}{{#none}}2{{/#none}}{{#empty}}3{{/#empty}}{{#gone}}4{{/#gone}}{{?empty}}5{{/?empty}}',
	'{{^no}}1{{/^no}}{{^none}}2{{/^none}}{{^empty}}3{{/^empty}}{{^gone}}4{{/^gone}}',
	'{{#list}}({{a}}{{#n}} {{.|code}}{{/#n}}{{^n}} -{{/^n}}){{/#list}}', '{{?list}}list:{{#list}} {{a}}{{/#list}}{{/?list}}',
	'{{#b}}{{c}}{{/#b}}', '{"spec": {"a": "{{a}}"}}']) AS template;

-- Not installed.
SELECT title();
CREATE EXTENSION documentdb_core VERSION '0.104-0';
CREATE EXTENSION documentdb VERSION '0.104-1';

-- An update: first without, then with a rehearsal.
SELECT title(), title('0.106'), title('v0.105.0');
SELECT section(1, '0.106');
SELECT section(2, '0.106');
SELECT section(3, '0.106');
SELECT section(4, '0.106');
SELECT outcome FROM rehearse('0.106-0');
SELECT section(2, '0.106');
SELECT section(3, '0.106');
SELECT section(4, '0.106');
SELECT section(8, '0.106');
SELECT section(10, '0.106');
SELECT section(16, '0.106');
SELECT section(18, '0.106');
-- Settings of the library: those that are not what they were, and what is none.
CREATE ROLE regress_set;
ALTER ROLE regress_set SET documentdb.no_such_thing = 1;
ALTER ROLE regress_set SET elsewhere.no_such_thing = 1;
SELECT section(3, '0.106');
DO LANGUAGE plpgsql 'BEGIN END';
SET plpgsql.extra_warnings = 'shadowed_variables';
SELECT s->'count' = to_jsonb((SELECT count(*) FROM pg_settings WHERE name LIKE 'plpgsql.%')) AS counted, s->'own' AS own, s->'unknown' AS unknown
FROM runbook_settings('{plpgsql}') s;
RESET plpgsql.extra_warnings;
DROP ROLE regress_set;
-- What the matrix has, and what it has not.
INSERT INTO compatibility (component, version, other, other_version, works, note, source) VALUES ('operator', '9.9', 'extension', '0.106', false, 'no | way', 'tried here');
SELECT revision FROM record_release('{"operator": "9.9", "gateway": "9.9", "extension": "0.104.1"}');
SELECT line FROM section(5, '0.106') AS line WHERE line ~ '9\.9|^### ' AND line !~ '\| postgres \|';
DELETE FROM compatibility WHERE NOT builtin;
DELETE FROM releases;
-- What is tried and does not work is left out, and the rest works.
CREATE EXTENSION pg_stat_statements;
SELECT statement, replace(problem, '"', '') AS problem FROM smoke_statements('pg_stat_statements');
DROP EXTENSION pg_stat_statements;
-- Code of a role that is no superuser is not run with the rights of one.
CREATE EXTENSION pg_trgm;
CREATE ROLE regress_owner;
SELECT statement, problem FROM smoke_statements('pg_trgm');
ALTER FUNCTION show_limit() OWNER TO regress_owner;
SELECT statement, problem FROM smoke_statements('pg_trgm') WHERE statement ~ 'show_limit';
DROP EXTENSION pg_trgm;
DROP ROLE regress_owner;
SELECT statement FROM smoke_statements('documentdb'), LATERAL (SELECT query_to_xml(rtrim(statement, ';'), true, false, '')) AS x(answer)
WHERE problem IS NOT NULL OR cardinality(xpath('/table/row', x.answer)) IS DISTINCT FROM 1;

-- What stands in the way.
SELECT hold('a `reason`');
SELECT section(15, '0.106');
SELECT release();

-- What cannot be.
SELECT title('2.0'), title('0.103-0');
SELECT section(7, '0.103-0');
\set VERBOSITY sqlstate
SELECT runbook('no version');
\set VERBOSITY default

-- It changes nothing, and a transaction that may not write has it too.
BEGIN READ ONLY;
SELECT title('0.106');
SELECT count(*) > 20 AS rows FROM pre_upgrade_report();
ROLLBACK;

-- Afterwards.
SELECT outcome FROM finalize_to('0.106-0');
SELECT title('0.106');
SELECT section(8, '0.106');
SELECT line FROM section(12, '0.106') AS line WHERE line ~ 'restore point' LIMIT 1;

-- The reports: every check is one row.
SELECT check_name, status, hint FROM pre_upgrade_report()
WHERE check_name IN ('versions', 'state', 'gate', 'standbys', 'invalid_indexes', 'unvalidated_constraints', 'checks');
SELECT check_name, status, regexp_replace(detail, '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d', 'TIME') AS detail, hint FROM post_upgrade_report()
WHERE check_name IN ('installed', 'companions', 'last_attempt', 'members_intact');
-- A part that cannot be read is skipped.
SELECT * FROM health_report('{nothing, connections}') WHERE status = 'skip';

-- For pg_monitor and nobody else.
CREATE ROLE regress_looker IN ROLE pg_monitor;
CREATE ROLE regress_nobody;
CREATE SCHEMA hidden;
CREATE FUNCTION hidden.fine() RETURNS boolean LANGUAGE sql AS 'SELECT true';
INSERT INTO checks (name, kind, function) VALUES ('hidden', 'post', 'hidden.fine()'), ('gone', 'post', 'hidden_too.gone()');
SET ROLE regress_looker;
SELECT line FROM string_to_table(documentdb_upgrade.runbook('0.107'), E'\n') AS line WHERE line ~ 'hidden';
SELECT detail FROM documentdb_upgrade.pre_upgrade_report() WHERE check_name = 'checks';
SELECT split_part(documentdb_upgrade.runbook('0.107'), E'\n', 1);
SELECT count(*) FROM documentdb_upgrade.pre_upgrade_report() WHERE detail ~ 'could not be read';
SELECT count(*) FROM documentdb_upgrade.post_upgrade_report() WHERE detail ~ 'could not be read';
SET ROLE regress_nobody;
\set VERBOSITY sqlstate
SELECT documentdb_upgrade.runbook();
SELECT documentdb_upgrade.pre_upgrade_report();
SELECT documentdb_upgrade_internal.worker_location();
RESET ROLE;
DROP SCHEMA hidden CASCADE;
DROP ROLE regress_looker, regress_nobody;
DROP FUNCTION section, title;
DROP EXTENSION documentdb, documentdb_core;
DROP OWNED BY documentdb_readonly_role;
DROP ROLE documentdb_readonly_role;
