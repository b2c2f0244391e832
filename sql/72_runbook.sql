--
-- Runbook: facts of this server, put into a template of Markdown
--

CREATE FUNCTION documentdb_upgrade_internal.runbook_value(value text, filter text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    SELECT CASE filter
        WHEN 'raw' THEN value
        WHEN 'cell' THEN coalesce(documentdb_upgrade_internal.runbook_value(value, ''), '-')
        WHEN 'code' THEN '`' || translate(value, E'`\n\r', '''  ') || '`'
        WHEN 'literal' THEN quote_literal(value)
        WHEN 'ident' THEN quote_ident(value)
        WHEN 'shell' THEN documentdb_upgrade_internal.shell_quote(value)
        WHEN 'dotted' THEN documentdb_upgrade.to_semver(value)
        WHEN 'time' THEN date_trunc('second', value::timestamptz)::text
        WHEN 'size' THEN pg_size_pretty(value::bigint)
        WHEN 'duration' THEN
            CASE WHEN value::numeric < 1 THEN 'under 1 ms'
                 WHEN value::numeric < 1000 THEN round(value::numeric) || ' ms'
                 WHEN value::numeric < 120000 THEN round(value::numeric / 1000, 1) || ' s'
                 ELSE round(value::numeric / 60000, 1) || ' min' END
        -- Passwords should not be there; where a script or an error has one, it is taken out here.
        ELSE btrim(regexp_replace(regexp_replace(regexp_replace(regexp_replace(value,
                '((?:password|passwd|secret|token)["'']?(?:\s*[=:]\s*|\s+(?='')))(''[^'']*''|"[^"]*"|[^\s",;)]+)',
                '\1***', 'gi'),
                '(\w+://[^\s/:@]*):[^\s@]*@', '\1:***@', 'g'),
                '([\\`<|[])', '\\\1', 'g'),
                '\s+', ' ', 'g')) END
$$;
COMMENT ON FUNCTION runbook_value(text, text) IS
'serves runbook(): a value as a template asks for it after "|"; without that, one line of Markdown that means just '
'that, without passwords';

CREATE FUNCTION documentdb_upgrade_internal.render(template text, facts jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result text := '';
    rest text := template;
    tag text;
    name text;
    ending text;
    body text;
    value jsonb;
    item jsonb;
BEGIN
    -- What was put in is not looked at again: braces in it are text.
    WHILE strpos(rest, '{{') > 0 LOOP
        result := result || split_part(rest, '{{', 1);
        rest := substr(rest, strpos(rest, '{{') + 2);
        tag := split_part(rest, '}}', 1);
        rest := substr(rest, length(tag) + 3);
        name := split_part(ltrim(tag, '#^?'), '|', 1);
        value := CASE name WHEN '.' THEN facts->'.' ELSE facts #> string_to_array(name, '.') END;
        IF tag !~ '^[#^?]' THEN
            result := concat(result,
                documentdb_upgrade_internal.runbook_value(value #>> '{}', split_part(tag, '|', 2)));
            CONTINUE;
        END IF;

        ending := '{{/' || tag || '}}';
        body := split_part(rest, ending, 1);
        rest := substr(rest, length(body || ending) + 1);
        value := CASE WHEN value IS NULL OR value IN ('null', 'false', '""') THEN '[]'
                      WHEN jsonb_typeof(value) = 'array' THEN value ELSE jsonb_build_array(value) END;
        IF tag LIKE '^%' THEN
            value := CASE value WHEN '[]' THEN '[{}]' ELSE '[]' END::jsonb;
        ELSIF tag LIKE '?%' THEN
            value := CASE value WHEN '[]' THEN '[]' ELSE '[{}]' END::jsonb;
        END IF;
        FOR item IN SELECT * FROM jsonb_array_elements(value) LOOP
            result := result || documentdb_upgrade_internal.render(body, facts || jsonb_build_object('.', item)
                || CASE jsonb_typeof(item) WHEN 'object' THEN item ELSE '{}' END);
        END LOOP;
    END LOOP;
    RETURN result || rest;
END
$$;
COMMENT ON FUNCTION render(text, jsonb) IS
'serves runbook(): the template with the facts put in. {{name}} or {{name|filter}} is a fact. What is between '
'{{#name}} and {{/#name}} is there for each element of a fact that is an array, once for another fact, and the fields '
'of the element are facts in it ({{.}}: the element itself); between {{?name}} and {{/?name}}, once for any fact; '
'between {{^name}} and {{/^name}}, when the fact is null, false or empty';

CREATE FUNCTION documentdb_upgrade_internal.runbook_changes(steps jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- A step raises the version of its extension, which is no news.
    WITH change AS (
        SELECT a.action, c.value->>'kind' AS kind, c.value->>'identity' AS identity, s.n, c.value
        FROM jsonb_array_elements(steps) WITH ORDINALITY AS s(step, n),
             unnest('{added, removed, changed}'::text[]) AS a(action), jsonb_array_elements(s.step->a.action) c
        WHERE c.value->>'kind' <> 'extension'
    ), line AS (
        SELECT c.action AS list, c.kind, c.identity, string_agg(DISTINCT w.what, ', ') AS what, NULL::jsonb AS items
        FROM change c LEFT JOIN LATERAL jsonb_array_elements_text(c.value->'what') AS w(what) ON true
        GROUP BY c.action, c.kind, c.identity
        UNION ALL
        SELECT 'recreated', c.kind, c.identity, string_agg(DISTINCT w.what, ', '), NULL
        FROM change c, jsonb_array_elements_text(c.value->'what') AS w(what)
        WHERE c.action = 'changed' AND w.what IN ('recreated', 'storage')
        GROUP BY c.kind, c.identity
        UNION ALL
        SELECT DISTINCT 'settings', c.kind, c.identity, c.action, NULL::jsonb FROM change c WHERE c.kind ~ 'setting'
        UNION ALL
        SELECT 'privileges', c.kind, c.identity, NULL,
               jsonb_agg(jsonb_build_object('verb', v.verb, 'item', i.item) ORDER BY c.n, v.verb, i.item)
        FROM change c, unnest('{granted, revoked}'::text[]) AS v(verb),
             jsonb_array_elements_text(c.value->v.verb) AS i(item)
        WHERE c.action = 'changed'
        GROUP BY c.kind, c.identity
    )
    SELECT jsonb_object_agg(l.list, l.lines) || jsonb_build_object('cut', bool_or(l.n > 40),
               'counts', jsonb_object_agg(l.list, l.count))
    FROM (SELECT o.list, sum(o.m) AS n, format('%s (%s)', sum(o.m), string_agg(format('%s %s', o.kind, o.m), ', '
                 ORDER BY o.kind)) AS count, jsonb_path_query_array(jsonb_agg(o.lines ORDER BY o.kind), '$[*][*]')
                 AS lines
          FROM (SELECT p.list, p.kind, count(*) AS m,
                       coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.n) FILTER (WHERE p.n <= 40), '[]') AS lines
                FROM (SELECT *, row_number() OVER (PARTITION BY list ORDER BY kind, identity, what) AS n
                      FROM line) p
                GROUP BY p.list, p.kind) o
          GROUP BY o.list) l
$$;
COMMENT ON FUNCTION runbook_changes(jsonb) IS
'serves runbook(): what the steps of a rehearsal added, removed or changed, by object, 40 at the most of each, and how '
'many there are by kind';

CREATE FUNCTION documentdb_upgrade_internal.runbook_settings(extensions text[]) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- A library names its settings as it likes, its family's begin as the extension does.
    WITH prefix AS (
        SELECT DISTINCT split_part(n.name, '.', 1) AS name
        FROM (SELECT s.name FROM pg_settings s WHERE s.name LIKE '%.%' UNION ALL SELECT unnest(extensions)) n
        WHERE split_part(n.name, '.', 1) <> 'documentdb_upgrade'
          AND EXISTS (SELECT FROM unnest(extensions) e WHERE starts_with(n.name, e))
    ), known AS (
        SELECT s.* FROM pg_settings s JOIN prefix p ON p.name = split_part(s.name, '.', 1) WHERE s.name LIKE '%.%'
    ), configured AS (
        SELECT split_part(c.item, '=', 1) AS name,
               concat_ws(' in ', 'role ' || r.rolname, 'database ' || d.datname) AS place
        FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c(item)
        LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase)
    SELECT jsonb_build_object(
        'count', nullif((SELECT count(*) FROM known), 0),
        'own', (SELECT jsonb_agg(to_jsonb(k)) FROM (
            SELECT name, setting, boot_val, source FROM known
            WHERE setting IS DISTINCT FROM boot_val ORDER BY name LIMIT 40) k),
        'unknown', (SELECT jsonb_agg(to_jsonb(u)) FROM (
            SELECT DISTINCT c.name, c.place FROM configured c JOIN prefix p ON p.name = split_part(c.name, '.', 1)
            WHERE c.name LIKE '%.%' AND lower(c.name) NOT IN (SELECT lower(k.name) FROM known k)
            ORDER BY c.name, c.place LIMIT 40) u))
$$;
COMMENT ON FUNCTION runbook_settings(text[]) IS
'serves runbook(): settings that the libraries of these extensions have in this session: how many, those that do not '
'have their defaults, and what is set for roles and databases and is none of them';

CREATE FUNCTION documentdb_upgrade_internal.smoke_statements(extension text, OUT statement text, OUT problem text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    plan jsonb;
BEGIN
    FOR statement IN
        -- What somebody else could have changed is not run with the rights of the caller.
        WITH trusted AS MATERIALIZED (
            SELECT r.oid FROM pg_roles r WHERE r.rolsuper OR r.rolname = current_user
        ), member AS MATERIALIZED (
            SELECT d.classid, d.objid
            FROM pg_extension e
            JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
            WHERE e.extname = smoke_statements.extension)
        SELECT format('SELECT extversion FROM pg_catalog.pg_extension WHERE extname = %L', smoke_statements.extension)
        UNION ALL
        (SELECT format('SELECT count(*) FROM (SELECT FROM %s LIMIT 1) AS readable', c.oid::regclass)
         FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
         WHERE c.relkind IN ('r', 'v', 'm', 'p')
           AND (c.relkind <> 'v' AND NOT c.relrowsecurity OR c.relowner IN (SELECT t.oid FROM trusted t))
         ORDER BY c.oid LIMIT 5)
        UNION ALL
        (SELECT format('SELECT %I.%I() IS NOT NULL AS answers', n.nspname, p.proname)
         FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
         JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type t ON t.oid = p.prorettype
         WHERE p.prokind = 'f' AND p.pronargs = 0 AND NOT p.proretset AND p.provolatile <> 'v' AND t.typtype <> 'p'
           AND p.proowner IN (SELECT r.oid FROM trusted r)
         ORDER BY p.oid LIMIT 5)
        UNION ALL
        (SELECT format('SELECT NULL::%s IS NULL AS known', format_type(t.oid, NULL))
         FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
         WHERE t.typtype IN ('b', 'd', 'e', 'r') AND NOT t.typnotnull AND NOT EXISTS (
               SELECT FROM pg_type a WHERE a.typarray = t.oid)
           AND t.typowner IN (SELECT r.oid FROM trusted r)
         ORDER BY t.oid LIMIT 3)
    LOOP
        -- What works here is what has been tried; a plan tells first whether that takes its time.  Whoever runs it
        -- later may have privileges that the caller has not.
        problem := NULL;
        BEGIN
            EXECUTE 'EXPLAIN (FORMAT JSON) ' || statement INTO plan;
            IF (plan->0->'Plan'->>'Total Cost')::numeric > 100000 THEN
                problem := 'it would take long';
            ELSE
                EXECUTE statement;
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN
                NULL;
            WHEN OTHERS THEN
                problem := SQLERRM;
        END;
        statement := statement || ';';
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION smoke_statements(text) IS
'serves runbook(): statements that read what an extension has installed, tried here and now; problem: why one does not '
'work';

CREATE FUNCTION documentdb_upgrade_internal.runbook_facts(target text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    main constant text := documentdb_upgrade_internal.main_extension();
    s record;
    decided record;
    rehearsal record;
    success record;
    failure record;
    wanted text;
    ordered text;
    goal text;
    kind text;
    risk text;
    steps jsonb;
    guards jsonb;
    facts jsonb;
    changes jsonb;
BEGIN
    -- A malformed version is the caller's mistake, and raised.
    PERFORM documentdb_upgrade.to_semver(target);
    SELECT * INTO s FROM documentdb_upgrade.status t WHERE t.extension = main;
    -- What is asked for here, else what is desired, else what the binary offers.
    SELECT * INTO decided FROM documentdb_upgrade_internal.decide_here(
        coalesce(target, CASE WHEN s.mode = 'explicit' THEN s.desired END, ''));
    wanted := coalesce(decided.target, target);
    -- As the extension itself spells it: 1.10, not 1.10-0.
    -- What cannot be ordered is no target; then what the binary offers is.
    ordered := CASE WHEN documentdb_upgrade_internal.version_order(wanted, wanted) IS NOT NULL THEN wanted END;
    goal := coalesce(
        (SELECT p.to_version FROM documentdb_upgrade.plan(ordered) p
         WHERE p.extension = main AND p.step IS NOT NULL ORDER BY p.step DESC LIMIT 1),
        (SELECT v FROM unnest(ARRAY[s.installed_version, s.binary_version]) AS v
         WHERE documentdb_upgrade_internal.version_order(v, wanted) = 0 LIMIT 1),
        wanted, s.binary_version);
    facts := to_jsonb(s) || jsonb_build_object(
        'extension', main, 'database', current_database(), 'asked', target, 'wanted', wanted, 'goal', goal,
        'from', s.installed_version, 'reason', decided.reason, 'server_version', current_setting('server_version'),
        'written_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'));
    IF s.role = 'standby' OR s.installed_version IS NULL THEN
        RETURN facts || jsonb_build_object('elsewhere', true,
            'kind', CASE WHEN s.role = 'standby' THEN '{"standby": true}' ELSE '{"not_installed": true}' END::jsonb,
            'upstream', (SELECT to_jsonb(r) FROM pg_stat_wal_receiver r WHERE r.sender_host IS NOT NULL));
    END IF;

    steps := (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.step), '[]') FROM documentdb_upgrade.plan(ordered) p
              WHERE p.step IS NOT NULL);
    guards := (SELECT jsonb_agg(to_jsonb(p) || jsonb_build_object(
                   'mark', CASE WHEN p.status IN ('fail', 'warn') THEN upper(p.status) END,
                   'advice', CASE WHEN p.status IN ('fail', 'warn') THEN p.hint END))
               FROM documentdb_upgrade.preflight(ordered) p);
    kind := CASE WHEN decided.decision IN ('schema_ahead', 'refuse', 'wait') THEN decided.decision
                 WHEN steps <> '[]' THEN 'ready' WHEN decided.decision = 'none' THEN 'none' ELSE 'refuse' END;
    SELECT * INTO success FROM documentdb_upgrade.history h
        WHERE h.extension = main AND h.outcome = 'succeeded' AND h.actor <> 'found' AND h.to_version IS NOT NULL
        ORDER BY h.id DESC LIMIT 1;
    SELECT * INTO failure FROM documentdb_upgrade.history h
        WHERE h.extension = main AND h.outcome <> 'succeeded' AND h.dismissed_at IS NULL
          AND h.id > coalesce(success.id, 0)
        ORDER BY h.id DESC LIMIT 1;
    -- Scripts or libraries may be others since; the fingerprint says so.
    SELECT r.*, extract(epoch FROM r.finished_at - r.started_at) * 1000 AS ms INTO rehearsal
        FROM documentdb_upgrade.rehearsals r
        WHERE r.extension = main AND r.fingerprint = documentdb_upgrade.upgrade_fingerprint()
          AND r.from_version = s.installed_version AND r.to_version = goal
        ORDER BY r.id DESC LIMIT 1;
    changes := documentdb_upgrade_internal.runbook_changes(rehearsal.report->'steps');
    risk := coalesce(CASE WHEN rehearsal.outcome = 'passed' THEN rehearsal.risk END,
        (SELECT p->>'risk' FROM jsonb_array_elements(steps) p
         ORDER BY array_position('{functions only, catalogue, privileges, data tables, cluster-wide, unknown}'::text[],
                                 p->>'risk') DESC LIMIT 1));

    RETURN facts || jsonb_build_object(
        'kind', jsonb_build_object(kind, true), 'to_do', kind IN ('ready', 'wait'),
        'companions_only', s.installed_version = goal, 'blocked', s.state = 'blocked',
        'fingerprint', documentdb_upgrade.upgrade_fingerprint(),
        -- The last step of each extension leads to its target.
        'versions', (SELECT jsonb_agg(to_jsonb(v) || jsonb_build_object('target',
                CASE WHEN v.extension = main THEN goal
                     WHEN v.installed_version IS NOT NULL AND kind <> 'wait'
                     THEN coalesce((SELECT p->>'to_version' FROM jsonb_array_elements(steps) p
                                    WHERE p->>'extension' = v.extension ORDER BY (p->>'step')::integer DESC LIMIT 1),
                                   v.installed_version) END))
            FROM documentdb_upgrade.versions v WHERE v.main_extension = main),
        'steps', (SELECT jsonb_agg(p || jsonb_build_object('file', regexp_replace(p->>'script', '^.*/', '')))
                  FROM jsonb_array_elements(steps) p),
        'scripts', jsonb_array_length(steps),
        'risk', risk, 'risk_is', jsonb_build_object(coalesce(replace(risk, ' ', '_'), 'none'), true),
        'guards', guards)
        || (SELECT jsonb_build_object('refusing', jsonb_agg(g),
                'refusing_names', string_agg('`' || (g->>'guard') || '`', ', '),
                'skippable', (array_agg(g->>'guard') FILTER (WHERE g->'hard' = 'false'))::text,
                'skippable_names', string_agg('`' || (g->>'guard') || '`', ', ') FILTER (WHERE g->'hard' = 'false'),
                -- Before phase one this guard says nothing new.
                'not_yet', bool_or(kind <> 'wait' OR g->>'guard' NOT IN ('within_binary', 'target_known')))
            FROM jsonb_array_elements(guards) g WHERE g->>'status' = 'fail')
        || jsonb_build_object(
        'rehearsal', CASE WHEN rehearsal.id IS NOT NULL THEN to_jsonb(rehearsal) - 'report' END,
        'passed', rehearsal.outcome = 'passed', 'rehearsed_ms', (SELECT sum((r->>'ms')::numeric)
            FROM jsonb_array_elements(rehearsal.report->'steps') r),
        'changes', changes, 'counts', changes->'counts',
        'warnings', (SELECT jsonb_agg(w.value) FROM jsonb_array_elements(rehearsal.report->'steps') r,
                         jsonb_array_elements(r->'warnings') w),
        'locks', CASE WHEN rehearsal.outcome = 'passed'
            THEN (SELECT jsonb_agg(l.value) FROM jsonb_array_elements(rehearsal.report->'steps') r,
                      jsonb_array_elements(r->'relations') l)
            ELSE (SELECT jsonb_agg(DISTINCT jsonb_build_object('relation', l.name, 'mode', NULL))
                  FROM jsonb_array_elements(steps) p, jsonb_array_elements_text(p->'locks') AS l(name)) END,
        'failure', CASE WHEN failure.id IS NOT NULL THEN to_jsonb(failure) END,
        'failures', (SELECT jsonb_agg(f || jsonb_build_object(
                'what', CASE f->>'outcome' WHEN 'failed' THEN 'failed' ELSE 'was ' || (f->>'outcome') END,
                'sqlstate_is', jsonb_build_object(
                    CASE WHEN f->>'sqlstate' IN ('55P03', '57014', '53200', '55006', '55000') THEN f->>'sqlstate'
                         ELSE 'other' END, true)))
            FROM unnest(ARRAY[to_jsonb(failure) || '{"attempt": true}',
                              to_jsonb(rehearsal) - 'report' || '{"attempt": false}']) f
            WHERE f->>'outcome' <> 'passed'),
        'success', CASE WHEN success.id IS NOT NULL THEN to_jsonb(success) END,
        'in_first_day', success.finished_at > clock_timestamp() - interval '24 hours',
        'restore_lsn', coalesce(success.restore_lsn::text, '<RESTORE_LSN>'),
        'restore_timeline', coalesce(success.restore_timeline::text, '<RESTORE_TIMELINE>'),
        'earlier', (SELECT jsonb_build_object('count', count(*),
                        'longest', max(extract(epoch FROM h.finished_at - h.started_at) * 1000))
                    FROM documentdb_upgrade.history h
                    WHERE h.extension = main AND h.outcome = 'succeeded'
                      AND h.actor NOT IN ('manual', 'found') HAVING count(*) > 0),
        'backup', (SELECT to_jsonb(b) FROM documentdb_upgrade.backups b ORDER BY b.finished_at DESC LIMIT 1),
        'backup_label', format('before %s %s', main, goal), 'label_after', format('after %s %s', main, goal),
        'backup_name', btrim(regexp_replace(lower(format('before-%s-%s', main, goal)), '[^a-z0-9]+', '-', 'g'), '-'),
        'archived', current_setting('archive_mode') <> 'off',
        'post_checks', (SELECT jsonb_agg(to_jsonb(c) ORDER BY c.name) FROM documentdb_upgrade.checks c
                        WHERE c.enabled AND c.kind = 'post' AND documentdb_upgrade_internal.function_exists(c.function)
                          AND documentdb_upgrade_internal.check_applies(c.requires)),
        'image', CASE kind WHEN 'none' THEN NULL WHEN 'schema_ahead' THEN s.installed_version ELSE goal END,
        'is_documentdb', main = 'documentdb', 'follows_resource', s.source = 'kubernetes',
        'port', current_setting('port'),
        'lock_timeout', current_setting('documentdb_upgrade.lock_timeout', true),
        'attempt_timeout', current_setting('documentdb_upgrade.attempt_timeout', true),
        'ticks', (SELECT jsonb_object_agg(t.name, CASE WHEN t.done THEN 'x' ELSE ' ' END)
            FROM (VALUES ('rehearsed', rehearsal.outcome = 'passed'),
                         ('unused', rehearsal.outcome = 'passed' AND NOT EXISTS (
                              SELECT FROM jsonb_array_elements(rehearsal.report->'steps') r,
                                  jsonb_array_elements(r->'removed') o WHERE o.value->>'kind' <> 'extension')),
                         ('guards', NOT guards @> '[{"status": "fail"}]'),
                         ('backup', guards @> '[{"guard": "backup_recent", "status": "pass"}]')) AS t(name, done)))
        || (SELECT jsonb_build_object('namespace', coalesce(n.namespace, '<NAMESPACE>'),
                       'resource', coalesce(n.resource, '<RESOURCE>'), 'cluster', coalesce(n.cluster, '<CLUSTER>'))
            FROM documentdb_upgrade_internal.kubernetes_names() n);
END
$$;
COMMENT ON FUNCTION runbook_facts(text) IS
'serves runbook(): the facts that its template shows, without those that runbook() asks for a single section';

CREATE FUNCTION runbook(target text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '1s' SET standard_conforming_strings = on
    SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres SET TimeZone = 'UTC' SET jit = off
AS $$
DECLARE
    facts constant jsonb := documentdb_upgrade_internal.runbook_facts(target);
    section record;
    more jsonb;
    body text;
    book text;
BEGIN
    FOR section IN
        SELECT t.n, t.title, l.template
        FROM documentdb_upgrade_internal.runbook_template t,
             LATERAL (SELECT string_agg(CASE WHEN line ~ '^(\{\{[#^?/][^{}|]+\}\})+$' THEN line
                                             WHEN line ~ '^\{\{[#^?][^{}|]+\}\} '
                                             THEN regexp_replace(line, '^(\{\{([#^?][^{}|]+)\}\}) (.*)$',
                                                                 E'\\1\\3\n{{/\\2}}')
                                             ELSE line || E'\n' END, '' ORDER BY i) AS template
                      FROM string_to_table(replace(t.template, E'\\\n', ''), E'\n') WITH ORDINALITY AS s(line, i)) l
        WHERE t.n = 0 OR NOT facts ? 'elsewhere' ORDER BY t.n
    LOOP
        -- A section that cannot be written says why; the others are there.
        BEGIN
            CASE section.n
            WHEN 5 THEN
                -- The guards are there already.
                more := (SELECT jsonb_build_object(
                                    'health', jsonb_agg(to_jsonb(r) || jsonb_build_object('mark', upper(r.status)))
                                                  FILTER (WHERE r.status <> 'manual'),
                                    'manual', jsonb_agg(to_jsonb(r)) FILTER (WHERE r.status = 'manual'))
                         FROM documentdb_upgrade.pre_upgrade_report() r
                         WHERE r.status IN ('fail', 'warn', 'manual')
                           AND r.check_name NOT IN ('guards', 'library', 'disk_headroom', 'members_intact',
                                                    'event_triggers', 'blocking_sessions', 'backup',
                                                    'replication_lag'))
                    -- The matrix is about DocumentDB and what belongs to it.
                    || coalesce((SELECT jsonb_build_object(
                            'release', (SELECT jsonb_build_object('revision', r.revision) WHERE r.revision IS NOT NULL),
                            'pairs', jsonb_agg(to_jsonb(c) ORDER BY c.component, c.other)
                                         FILTER (WHERE c.status <> 'unknown'),
                            'unknown_pairs', nullif(count(*) FILTER (WHERE c.status = 'unknown'), 0))
                        FROM (SELECT) AS one
                        LEFT JOIN (SELECT k.revision, k.components FROM documentdb_upgrade.releases k
                                   ORDER BY k.revision DESC LIMIT 1) r ON true
                        CROSS JOIN LATERAL documentdb_upgrade.check_compatibility(coalesce(
                            (SELECT jsonb_object_agg(p.key, p.value->'configuration') FROM jsonb_each(r.components) p),
                            '{}') || jsonb_strip_nulls(jsonb_build_object('extension', facts->>'goal',
                                         'postgres', split_part(facts->>'server_version', ' ', 1)))) c
                        WHERE c.component <> 'unified' AND facts->>'is_documentdb' = 'true'
                        GROUP BY r.revision), '{}')
                    || (SELECT jsonb_build_object('clients', jsonb_agg(to_jsonb(a)))
                        FROM (SELECT a.usename AS role, a.application_name AS application, count(*) AS sessions
                              FROM pg_stat_activity a
                              WHERE a.backend_type = 'client backend' AND a.datname = current_database()
                                AND a.pid <> pg_backend_pid()
                              GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 20) a);
            WHEN 3 THEN
                more := jsonb_build_object('settings', documentdb_upgrade_internal.runbook_settings(
                    (SELECT array_agg(v.extension) FROM documentdb_upgrade.versions v
                     WHERE v.main_extension = facts->>'extension')));
            WHEN 4 THEN
                more := (SELECT jsonb_build_object('way', to_jsonb(c))
                         FROM (SELECT WHERE facts->>'scripts' <> '0' AND documentdb_upgrade_internal.version_order(
                                   facts->>'from', facts->>'goal') IS NOT NULL) AS ordered,
                              LATERAL documentdb_upgrade.classify(facts->>'from', facts->>'goal') c
                         WHERE c.kind <> 'none');
            WHEN 7 THEN
                more := (SELECT jsonb_build_object('unready', jsonb_agg(to_jsonb(b) ORDER BY b.name))
                         FROM documentdb_upgrade.standbys b WHERE b.required AND b.status <> 'ready');
            WHEN 9 THEN
                more := (SELECT jsonb_build_object('manual', jsonb_agg(to_jsonb(r)))
                         FROM documentdb_upgrade_internal.health_report('{kubernetes_after}') r);
            WHEN 10 THEN
                more := (SELECT jsonb_build_object(
                             'smoke', jsonb_agg(to_jsonb(t)) FILTER (WHERE t.problem IS NULL),
                             'left_out', jsonb_agg(to_jsonb(t)) FILTER (WHERE t.problem IS NOT NULL),
                             -- The caller may lack USAGE there, so these are not looked up by name.
                             'can_insert', (SELECT count(DISTINCT p.proname) = 3
                                            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                                            WHERE n.nspname = 'documentdb_api'
                                              AND (p.proname, p.pronargs - p.pronargdefaults) IN (
                                                  ('create_collection', 2), ('insert_one', 3), ('collection', 2))))
                         FROM documentdb_upgrade_internal.smoke_statements(facts->>'extension') t);
            WHEN 17 THEN
                -- The scripts are comments in it; without them it is short.  The fence is longer than any row of
                -- backticks in it.
                more := (SELECT jsonb_build_object('sql', s.sql,
                                    'length', CASE WHEN s.sql <> p.sql THEN length(p.sql) END,
                                    'fence', (SELECT repeat('`', greatest(3, 1 + max(length(r.m[1]))))
                                              FROM regexp_matches(s.sql, '(`+)', 'g') AS r(m)))
                         FROM (SELECT btrim(documentdb_upgrade.plan_sql(facts->>'wanted'), E'\n') AS sql) p,
                              LATERAL (SELECT CASE WHEN length(p.sql) <= 100000 THEN p.sql
                                                   ELSE regexp_replace(p.sql, '^--   .*\n?', '', 'gn') END AS sql) s
                         WHERE facts->>'scripts' <> '0');
            ELSE
                more := '{}';
            END CASE;
            body := documentdb_upgrade_internal.render(section.template, facts || coalesce(more, '{}'));
            IF section.n <> 17 THEN
                body := regexp_replace(body, '\n{3,}', E'\n\n', 'g');
            END IF;
        EXCEPTION WHEN OTHERS THEN
            body := format('This section could not be written: %s (SQLSTATE %s).',
                           documentdb_upgrade_internal.runbook_value(SQLERRM, ''), SQLSTATE);
        END;
        book := concat(book, E'\n\n## ' || section.n || '. ' || section.title || E'\n\n', btrim(body, E'\n'));
    END LOOP;
    RETURN book || E'\n';
END
$$;
COMMENT ON FUNCTION runbook(text) IS
'the upgrade guide for this server in Markdown, to the target (null: the desired version, else the binary''s): what is '
'new, difficulty, prerequisites with their status, backup, both phases with exact statements, verification, rollback, '
'recovery, troubleshooting for what fails now, checklist; changes nothing; a malformed target raises 22023';
