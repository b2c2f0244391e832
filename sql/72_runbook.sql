--
-- Runbook
--

CREATE FUNCTION documentdb_upgrade_internal.worker_location() RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_worker_location';
COMMENT ON FUNCTION worker_location() IS
'serves runbook(): what the worker reads the desired version from, namespace/name of a custom resource or a file; null where no worker runs or there is no such thing';

CREATE FUNCTION documentdb_upgrade_internal.runbook_text(value text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
    -- Passwords should not be there; where a script or an error names one, it ends here.
    SELECT btrim(regexp_replace(
        regexp_replace(
            regexp_replace(
                regexp_replace(value, '((?:password|passwd|secret|token)["'']?(?:\s*[=:]\s*|\s+(?='')))(''[^'']*''|"[^"]*"|[^\s",;)]+)', '\1***', 'gi'),
                '(\w+://[^\s/:@]*):[^\s@]*@', '\1:***@', 'g'),
            '([\\`<|[])', '\\\1', 'g'),
        '\s+', ' ', 'g'))
$$;
COMMENT ON FUNCTION runbook_text(text) IS 'serves runbook(): a text of the server as one line of Markdown that means just that, without passwords';

CREATE FUNCTION documentdb_upgrade_internal.runbook_name(value text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT '`' || translate(value, E'`\n\r', '''  ') || '`'
$$;
COMMENT ON FUNCTION runbook_name(text) IS 'serves runbook(): a name or a short statement as code within a line of Markdown';

CREATE FUNCTION documentdb_upgrade_internal.runbook_code(language text, code text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- The fence is longer than any row of backticks within.
    SELECT concat(f.fence, language, E'\n', btrim(code, E'\n'), E'\n', f.fence)
    FROM (SELECT repeat('`', greatest(3, 1 + coalesce(max(length(r.m[1])), 0))) AS fence
          FROM regexp_matches(code, '(`+)', 'g') AS r(m)) f
$$;
COMMENT ON FUNCTION runbook_code(text, text) IS 'serves runbook(): a block of code in Markdown';

CREATE FUNCTION documentdb_upgrade_internal.runbook_duration(ms numeric) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN ms < 1 THEN 'under 1 ms' WHEN ms < 1000 THEN round(ms) || ' ms'
                WHEN ms < 120000 THEN round(ms / 1000, 1) || ' s' ELSE round(ms / 60000, 1) || ' min' END
$$;
COMMENT ON FUNCTION runbook_duration(numeric) IS 'serves runbook(): milliseconds for people';

CREATE FUNCTION documentdb_upgrade_internal.runbook_changes(rehearsal jsonb, action text, privileges boolean DEFAULT false) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- A step raises the version of its extension, which is no news.
    WITH change AS (
        SELECT c->>'kind' AS kind, c->>'identity' AS identity, s.n, c
        FROM jsonb_array_elements(rehearsal->'report'->'steps') WITH ORDINALITY AS s(step, n),
             jsonb_array_elements(s.step->action) c
        WHERE c->>'kind' <> 'extension'
          AND (NOT privileges OR c ? 'granted' OR c ? 'revoked')
    ), object AS (
        SELECT kind, identity, min(n) AS n,
               (SELECT string_agg(DISTINCT w, ', ') FROM change o, jsonb_array_elements_text(o.c->'what') w
                WHERE (o.kind, o.identity) = (h.kind, h.identity)) AS what,
               (SELECT string_agg(format(E'\n  - %s %s', p.verb, documentdb_upgrade_internal.runbook_name(p.item)), '' ORDER BY p.n, p.verb, p.item)
                FROM (SELECT o.n, 'granted' AS verb, jsonb_array_elements_text(o.c->'granted') AS item FROM change o
                      WHERE (o.kind, o.identity) = (h.kind, h.identity) UNION ALL
                      SELECT o.n, 'revoked', jsonb_array_elements_text(o.c->'revoked') FROM change o
                      WHERE (o.kind, o.identity) = (h.kind, h.identity)) p) AS items
        FROM change h GROUP BY kind, identity
    ), line AS (
        SELECT format('- %s %s%s%s', kind, documentdb_upgrade_internal.runbook_name(identity),
                      CASE WHEN NOT privileges THEN ' (' || what || ')' END, CASE WHEN privileges THEN items END) AS text,
               row_number() OVER (ORDER BY kind, identity) AS n
        FROM object)
    SELECT string_agg(text, E'\n' ORDER BY n) FILTER (WHERE n <= 40)
           || CASE WHEN count(*) > 40 THEN format(E'\n- and %s more: `SELECT documentdb_upgrade.rehearsal_report(%s);` names them all',
                                                  count(*) - 40, rehearsal->>'id') ELSE '' END
    FROM line
$$;
COMMENT ON FUNCTION runbook_changes(jsonb, text, boolean) IS 'serves runbook(): what a rehearsal saw added, removed or changed (the action), or only the privileges among it, as a list; null when there is nothing';

CREATE FUNCTION documentdb_upgrade_internal.runbook_facts(target text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    main text := (SELECT w.extension FROM documentdb_upgrade_internal.worker_counters() w);
    s record;
    decided record;
    wanted text;
    goal text;
    facts jsonb;
    location text := documentdb_upgrade_internal.worker_location();
BEGIN
    PERFORM documentdb_upgrade.to_semver(target);
    SELECT * INTO s FROM documentdb_upgrade.status;
    -- What is asked for here, else what is desired, else what the binary offers.
    SELECT * INTO decided FROM documentdb_upgrade.decide(
        coalesce(target, CASE WHEN s.mode = 'explicit' THEN s.desired END, ''), s.installed_version, s.binary_version);
    wanted := coalesce(decided.target, target);
    -- As the extension itself spells it: 1.10, not 1.10-0.
    BEGIN
        goal := coalesce((SELECT p.to_version FROM documentdb_upgrade.plan(wanted) p WHERE p.extension = main ORDER BY p.step DESC LIMIT 1),
                         (SELECT v FROM unnest(ARRAY[s.installed_version, s.binary_version]) AS v WHERE documentdb_upgrade.compare_versions(v, wanted) = 0 LIMIT 1));
    EXCEPTION WHEN invalid_parameter_value THEN
        goal := NULL;    -- what is installed or offered is no version
    END;
    goal := coalesce(goal, wanted, s.binary_version);
    facts := jsonb_build_object('extension', main, 'status', to_jsonb(s), 'decision', to_jsonb(decided),
        'from', s.installed_version, 'goal', goal, 'wanted', wanted, 'asked', target,
        'versions', (SELECT jsonb_agg(to_jsonb(v)) FROM documentdb_upgrade.versions v),
        'settings', (SELECT jsonb_object_agg(name, current_setting(name, true))
                     FROM unnest('{port, wal_level, archive_mode, cluster_name, data_checksums, server_version,
                                   documentdb_upgrade.lock_timeout, documentdb_upgrade.attempt_timeout, documentdb_upgrade.backup_max_age,
                                   documentdb_upgrade.kubernetes_namespace, documentdb_upgrade.kubernetes_resource,
                                   documentdb_upgrade.max_replication_lag}'::text[]) AS name),
        'location', location, 'database', current_database(),
        'written_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'));
    IF s.role = 'standby' OR s.installed_version IS NULL THEN
        RETURN facts || jsonb_build_object('kind', CASE WHEN s.role = 'standby' THEN 'standby' ELSE 'not_installed' END);
    END IF;

    facts := facts || jsonb_build_object(
        'plan', (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.step), '[]') FROM documentdb_upgrade.plan(wanted) p),
        'guards', (SELECT jsonb_agg(to_jsonb(p)) FROM documentdb_upgrade.preflight(wanted) p),
        'fingerprint', documentdb_upgrade.upgrade_fingerprint(),
        'last', (SELECT to_jsonb(h) FROM documentdb_upgrade.history h WHERE h.extension = main ORDER BY h.id DESC LIMIT 1),
        'success', (SELECT to_jsonb(h) FROM documentdb_upgrade.history h
                    WHERE h.extension = main AND h.outcome = 'succeeded' ORDER BY h.id DESC LIMIT 1),
        'backup', (SELECT to_jsonb(b) FROM documentdb_upgrade.backups b ORDER BY b.finished_at DESC LIMIT 1),
        'checks', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.name), '[]') FROM documentdb_upgrade.checks c
                   WHERE c.enabled AND documentdb_upgrade_internal.check_applies(c.requires)));
    facts := facts || jsonb_build_object(
        'kind', CASE WHEN decided.decision IN ('schema_ahead', 'refuse', 'wait') THEN decided.decision
                     WHEN facts->'plan' <> '[]' THEN 'ready'
                     WHEN decided.decision = 'none' THEN 'none' ELSE 'refuse' END,
        'failure', (SELECT to_jsonb(h) FROM documentdb_upgrade.history h
                    WHERE h.extension = main AND h.outcome <> 'succeeded' AND h.dismissed_at IS NULL
                      AND h.id > coalesce((facts->'success'->>'id')::bigint, 0)
                    ORDER BY h.id DESC LIMIT 1),
        -- Scripts or libraries may be others since; the fingerprint says so.
        'rehearsal', (SELECT to_jsonb(r) FROM documentdb_upgrade.rehearsals r
                      WHERE r.extension = main AND r.fingerprint = facts->>'fingerprint'
                        AND r.from_version = s.installed_version AND r.to_version = goal
                      ORDER BY r.id DESC LIMIT 1),
        'earlier', (SELECT jsonb_build_object('count', count(*), 'longest', max(extract(epoch FROM h.finished_at - h.started_at) * 1000))
                    FROM documentdb_upgrade.history h
                    WHERE h.extension = main AND h.outcome = 'succeeded' AND h.actor <> 'manual' HAVING count(*) > 0));
    RETURN facts;
END
$$;
COMMENT ON FUNCTION runbook_facts(text) IS 'serves runbook(): all that its sections are written from';

CREATE FUNCTION documentdb_upgrade_internal.runbook_resource(f jsonb, part text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- Names of Kubernetes need no quotes; what is none is not repeated.
    SELECT CASE WHEN v.name ~ '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' THEN v.name
                ELSE CASE part WHEN 'namespace' THEN '<NAMESPACE>' WHEN 'name' THEN '<RESOURCE>' ELSE '<CLUSTER>' END END
    FROM (SELECT f->'status'->>'source' = 'kubernetes' AS follows) k,
         LATERAL (SELECT CASE part
             WHEN 'namespace' THEN coalesce(CASE WHEN k.follows THEN nullif(split_part(f->>'location', '/', 1), '') END,
                                            f->'settings'->>'documentdb_upgrade.kubernetes_namespace')
             WHEN 'name' THEN coalesce(CASE WHEN k.follows THEN nullif(split_part(f->>'location', '/', 2), '') END,
                                       f->'settings'->>'documentdb_upgrade.kubernetes_resource')
             ELSE CASE WHEN k.follows THEN f->'settings'->>'cluster_name' END END AS name) v
$$;
COMMENT ON FUNCTION runbook_resource(jsonb, text) IS
'serves runbook(): namespace, name or cluster of the custom resource that the worker follows, else a placeholder in angle brackets; CloudNativePG gives its Cluster''s name to setting cluster_name';

CREATE FUNCTION documentdb_upgrade_internal.runbook_psql(f jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format(E'psql -p %1$s -d %2$s      # on the server itself\n'
                  'kubectl -n %3$s exec -it "$(kubectl -n %3$s get pod -o name -l cnpg.io/cluster=%4$s,cnpg.io/instanceRole=primary)" '
                  '-c postgres -- psql -d %2$s', f->'settings'->>'port', d.name, n.namespace, n.cluster)
    FROM (SELECT quote_literal(f->>'database') AS name) d,
         (SELECT documentdb_upgrade_internal.runbook_resource(f, 'namespace') AS namespace,
                 documentdb_upgrade_internal.runbook_resource(f, 'cluster') AS cluster) n
$$;
COMMENT ON FUNCTION runbook_psql(jsonb) IS 'serves runbook(): the commands that open a session in this database';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_summary(f jsonb) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n',
        format('- **State:** %s. %s', documentdb_upgrade_internal.runbook_name(f->'status'->>'state'),
               documentdb_upgrade_internal.runbook_text(f->'status'->>'next_step')),
        CASE f->>'kind'
            WHEN 'ready' THEN format('- **What is left:** phase two. %s scripts run in one transaction; the binary is already here.', jsonb_array_length(f->'plan'))
            WHEN 'none' THEN CASE WHEN f->'status'->>'state' = 'blocked' THEN '- **What is left:** no script to run; the state names what keeps a companion from its target.'
                                  ELSE '- **What is left:** nothing. This runbook is for looking after the upgrade that is behind you, and for the next one.' END
            WHEN 'wait' THEN format('- **What is left:** both phases. The binary here offers %s; bring %s first (section 7), then write this runbook anew.',
                                    f->'status'->>'binary_version', f->>'goal')
            WHEN 'schema_ahead' THEN format('- **Do this now:** bring back a binary of %s or later (section 7). An older library may write what the newer schema does not mean.', f->>'from')
            WHEN 'refuse' THEN '- **What is left:** this target cannot be reached from here. ' || documentdb_upgrade_internal.runbook_text(f->'decision'->>'reason') END,
        CASE WHEN f->>'kind' IN ('ready', 'wait', 'refuse') THEN
            CASE WHEN g.failing IS NULL THEN '- **Can it be finalized now:** yes, no guard refuses.'
                 ELSE format('- **Can it be finalized now:** no, guards refuse: %s (section 15 says what to do).', g.failing) END END,
        CASE WHEN f->'failure' <> 'null' THEN format('- **Last attempt:** %s at %s: %s', f->'failure'->>'outcome',
            date_trunc('second', (f->'failure'->>'finished_at')::timestamptz), documentdb_upgrade_internal.runbook_text(f->'failure'->>'message')) END,
        CASE WHEN f->>'kind' IN ('ready', 'wait') THEN
            '- **Way back:** until phase two has committed, put the old binary back (section 11). After that only a restore (section 12).' END,
        CASE WHEN f->>'kind' = 'ready' THEN '- **Rehearsed:** ' || CASE
            WHEN f->'rehearsal' = 'null' THEN 'no, or not with exactly these files and versions (section 2).'
            WHEN f->'rehearsal'->>'outcome' = 'passed' THEN format('yes, rehearsal %s passed in %s%s.', f->'rehearsal'->>'id', documentdb_upgrade_internal.runbook_duration(r.ms),
                CASE WHEN (f->'rehearsal'->>'scratch')::boolean THEN ', in a throw-away database without your data' ELSE '' END)
            ELSE format('it %s, see section 15. Do not go on before one passes.', CASE f->'rehearsal'->>'outcome' WHEN 'failed' THEN 'failed' ELSE 'was refused' END) END END,
        '- **Stop everything:** `SELECT documentdb_upgrade.hold(''why'');` refuses every finalize until `SELECT documentdb_upgrade.release();`',
        '',
        '| extension | installed | binary | loaded | in force | target |',
        '|---|---|---|---|---|---|',
        (SELECT string_agg(format('| %s | %s | %s | %s | %s | %s |', documentdb_upgrade_internal.runbook_text(v->>'extension'), coalesce(v->>'installed_version', '-'),
                                  coalesce(v->>'binary_version', '-'), coalesce(v->>'loaded_version', '-'), coalesce(v->>'gate', '-'),
                                  CASE WHEN v->>'extension' = f->>'extension' THEN f->>'goal'
                                       WHEN v->>'installed_version' IS NULL OR f->>'kind' = 'wait' THEN '-'
                                       ELSE coalesce((SELECT max(p->>'to_version') FROM jsonb_array_elements(f->'plan') p
                                                      WHERE p->>'extension' = v->>'extension'
                                                        AND NOT EXISTS (SELECT FROM jsonb_array_elements(f->'plan') q
                                                                        WHERE q->>'extension' = p->>'extension' AND (q->>'step')::integer > (p->>'step')::integer)),
                                                     v->>'installed_version') END), E'\n')
         FROM jsonb_array_elements(f->'versions') v))
    FROM (SELECT string_agg(documentdb_upgrade_internal.runbook_name(x->>'guard'), ', ') AS failing
          FROM jsonb_array_elements(f->'guards') x WHERE x->>'status' = 'fail') g,
         (SELECT extract(epoch FROM (f->'rehearsal'->>'finished_at')::timestamptz - (f->'rehearsal'->>'started_at')::timestamptz) * 1000 AS ms) r
$$;
COMMENT ON FUNCTION runbook_section_summary(jsonb) IS 'serves runbook(): section "In short"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_news(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN f->'plan' = '[]' THEN CASE f->>'kind'
            WHEN 'wait' THEN format('The scripts to %s are not on this server yet, so nothing can be said about them. After phase one this section lists them.', f->>'goal')
            ELSE 'Nothing: there is no script to run.' END
        ELSE concat_ws(E'\n\n',
            CASE WHEN f->>'from' = f->>'goal'
                 THEN format('%s scripts bring the companions of extension %s to what belongs to its %s:', jsonb_array_length(f->'plan'),
                             documentdb_upgrade_internal.runbook_name(f->>'extension'), f->>'goal')
                 ELSE format('%s scripts bring extension %s from %s to %s, companions included:', jsonb_array_length(f->'plan'),
                             documentdb_upgrade_internal.runbook_name(f->>'extension'), f->>'from', f->>'goal') END,
            (SELECT E'| step | extension | from | to | risk | script |\n|---|---|---|---|---|---|\n'
                    || string_agg(format('| %s | %s | %s | %s | %s | %s |', p->>'step', documentdb_upgrade_internal.runbook_text(p->>'extension'), p->>'from_version',
                                         p->>'to_version', p->>'risk', documentdb_upgrade_internal.runbook_name(regexp_replace(p->>'script', '^.*/', ''))), E'\n')
             FROM jsonb_array_elements(f->'plan') p),
            CASE WHEN f->'rehearsal'->>'outcome' = 'passed' THEN concat_ws(E'\n\n',
                format('Rehearsal %s ran exactly these scripts on this server at %s%s. What it saw:', f->'rehearsal'->>'id',
                       date_trunc('second', (f->'rehearsal'->>'started_at')::timestamptz),
                       CASE WHEN (f->'rehearsal'->>'scratch')::boolean THEN ', in a throw-away database without data' ELSE '' END),
                coalesce(E'### New objects\n\n' || documentdb_upgrade_internal.runbook_changes(f->'rehearsal', 'added'), 'It adds no object.'),
                coalesce(E'### Changed objects\n\n' || documentdb_upgrade_internal.runbook_changes(f->'rehearsal', 'changed'), 'It changes no object.'),
                coalesce(E'### Privileges\n\nWritten as PostgreSQL does: grantee, letters, grantor; nothing before `=` is PUBLIC.\n\n'
                         || documentdb_upgrade_internal.runbook_changes(f->'rehearsal', 'changed', true), 'It changes no privilege of an existing object.'),
                (SELECT E'### Warnings of scripts\n\n' || string_agg('- ' || documentdb_upgrade_internal.runbook_text(w), E'\n')
                 FROM jsonb_array_elements(f->'rehearsal'->'report'->'steps') s, jsonb_array_elements_text(s->'warnings') w HAVING count(*) > 0))
            ELSE concat_ws(E'\n\n',
                CASE WHEN f->'rehearsal' = 'null' THEN '**This was not rehearsed** with exactly these files and versions. Risk and locks are what the text of the scripts shows.'
                     ELSE format('**Rehearsal %s of exactly this did not pass** (section 15).', f->'rehearsal'->>'id') END,
                'A rehearsal runs the real scripts, says what they add, remove, change, lock and grant, and takes it all back:',
                documentdb_upgrade_internal.runbook_code('sql', format(E'SELECT id, outcome, risk, message FROM documentdb_upgrade.rehearse(%L);\nSELECT documentdb_upgrade.rehearsal_report();', f->>'goal')),
                'It takes the real locks for a moment. `scratch => true` as a second argument runs it in a throw-away database instead, without your data. Then write this runbook anew.') END)
        END
$$;
COMMENT ON FUNCTION runbook_section_news(jsonb) IS 'serves runbook(): section "What is new"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_leavers(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN f->'plan' = '[]' THEN 'Nothing is known to go.'
        WHEN f->'rehearsal'->>'outcome' IS DISTINCT FROM 'passed' THEN
            'Not known: only a rehearsal shows which objects go (section 2). Search your code for what the release notes call deprecated.'
        ELSE concat_ws(E'\n\n',
            coalesce(E'These objects go away. Search functions, jobs and applications for them **before** phase two:\n\n'
                     || documentdb_upgrade_internal.runbook_changes(f->'rehearsal', 'removed'), 'No object goes away.'),
            (SELECT E'Dropped and made anew under the same name, or rewritten:\n\n' || string_agg(format('- %s %s (%s)', c->>'kind',
                        documentdb_upgrade_internal.runbook_name(c->>'identity'), w.what), E'\n' ORDER BY c->>'identity')
             FROM jsonb_array_elements(f->'rehearsal'->'report'->'steps') s, jsonb_array_elements(s->'changed') c,
                  LATERAL (SELECT string_agg(x, ', ') AS what FROM jsonb_array_elements_text(c->'what') x WHERE x IN ('recreated', 'storage')) w
             WHERE w.what IS NOT NULL HAVING count(*) > 0),
            coalesce((SELECT E'Settings of roles and databases that change:\n\n' || string_agg(DISTINCT format('- %s %s %s', a.action, c->>'kind',
                        documentdb_upgrade_internal.runbook_name(c->>'identity')), E'\n')
             FROM jsonb_array_elements(f->'rehearsal'->'report'->'steps') s, (VALUES ('added'), ('removed'), ('changed')) AS a(action),
                  jsonb_array_elements(s->a.action) c
             WHERE c->>'kind' ~ 'setting' HAVING count(*) > 0), 'No setting of a role or a database changes.'),
            'Settings that the new library adds or drops are not in the scripts: compare its release notes with your `postgresql.conf`.')
        END
$$;
COMMENT ON FUNCTION runbook_section_leavers(jsonb) IS 'serves runbook(): section "Settings and objects that change or go"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_difficulty(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN f->'plan' = '[]' THEN CASE f->>'kind' WHEN 'none' THEN 'Nothing is to be done, so nothing is difficult.'
                                   ELSE 'Not known before the scripts are here.' END
            || CASE WHEN f->'earlier' = 'null' THEN ''
                    ELSE format(' The longest of %s earlier upgrade(s) here took %s.', f->'earlier'->>'count',
                                documentdb_upgrade_internal.runbook_duration((f->'earlier'->>'longest')::numeric)) END
        ELSE concat_ws(E'\n',
            format('- **Difficulty:** %s', CASE h.risk
                WHEN 'functions only' THEN 'easy. Only functions change.'
                WHEN 'catalogue' THEN 'easy. Objects are added or changed, no data are touched.'
                WHEN 'privileges' THEN 'moderate. Who may do what changes: test with the roles of your applications.'
                WHEN 'data tables' THEN 'demanding. Tables in use are locked, rewritten, dropped or written to: choose a quiet hour.'
                WHEN 'cluster-wide' THEN 'demanding. Roles or other things that all databases share change.'
                ELSE 'not known. Rehearse before you plan anything.' END),
            format('- **Heaviest risk class:** %s, %s', h.risk,
                   CASE WHEN f->'rehearsal'->>'outcome' = 'passed' THEN 'as rehearsed.' ELSE 'as far as the text of the scripts shows.' END),
            CASE WHEN f->'rehearsal'->>'outcome' = 'passed' THEN concat_ws(E'\n',
                format('- **Expected duration:** about %s for all steps, as rehearsed%s; the whole rehearsal took %s.',
                       documentdb_upgrade_internal.runbook_duration(m.steps),
                       CASE WHEN (f->'rehearsal'->>'scratch')::boolean THEN ' without data: yours will take longer' ELSE '' END,
                       documentdb_upgrade_internal.runbook_duration(m.whole)),
                format('- **Needs:** %s entries of the lock table, %s of WAL.', f->'rehearsal'->>'lock_entries',
                       pg_size_pretty((f->'rehearsal'->>'wal_bytes')::bigint)))
            ELSE '- **Expected duration:** not known without a rehearsal.' END,
            CASE WHEN f->'earlier' <> 'null' THEN format('- **Longest of %s earlier upgrade(s) here:** %s.', f->'earlier'->>'count',
                                                         documentdb_upgrade_internal.runbook_duration((f->'earlier'->>'longest')::numeric)) END,
            format('- **Bounds:** all lock waits together %s, the whole attempt %s; past either, everything is rolled back.',
                   f->'settings'->>'documentdb_upgrade.lock_timeout', f->'settings'->>'documentdb_upgrade.attempt_timeout'),
            coalesce(E'- **Locked against others until the commit:**\n' || CASE WHEN f->'rehearsal'->>'outcome' = 'passed' THEN l.seen ELSE l.planned END,
                     '- **Locked against others:** nothing that is known.'))
        END
    FROM (SELECT coalesce(CASE WHEN f->'rehearsal'->>'outcome' = 'passed' THEN f->'rehearsal'->>'risk' END,
                          (SELECT p->>'risk' FROM jsonb_array_elements(f->'plan') p
                           ORDER BY array_position('{functions only, catalogue, privileges, data tables, cluster-wide, unknown}'::text[], p->>'risk') DESC LIMIT 1)) AS risk) h,
         (SELECT (SELECT sum((s->>'ms')::numeric) FROM jsonb_array_elements(f->'rehearsal'->'report'->'steps') s) AS steps,
                 extract(epoch FROM (f->'rehearsal'->>'finished_at')::timestamptz - (f->'rehearsal'->>'started_at')::timestamptz) * 1000 AS whole) m,
         (SELECT (SELECT string_agg(format('  - %s in %s%s', documentdb_upgrade_internal.runbook_name(r->>'relation'), r->>'mode',
                                           ' (' || pg_size_pretty((r->>'bytes')::bigint) || ')'), E'\n')
                  FROM jsonb_array_elements(f->'rehearsal'->'report'->'steps') s, jsonb_array_elements(s->'relations') r) AS seen,
                 (SELECT string_agg(DISTINCT '  - ' || documentdb_upgrade_internal.runbook_name(k), E'\n')
                  FROM jsonb_array_elements(f->'plan') p, jsonb_array_elements_text(p->'locks') k) AS planned) l
$$;
COMMENT ON FUNCTION runbook_section_difficulty(jsonb) IS 'serves runbook(): section "Difficulty and duration"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_prerequisites(f jsonb) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        'As they were when this was written; `SELECT * FROM documentdb_upgrade.preflight('
            || coalesce(quote_literal(f->>'wanted'), '') || ');` asks again. FAIL stands in the way, WARN does not.',
        (SELECT string_agg(format('- %s %s%s: %s', CASE g->>'status' WHEN 'fail' THEN '**FAIL**' WHEN 'warn' THEN '**WARN**' ELSE g->>'status' END,
                                  documentdb_upgrade_internal.runbook_name(g->>'guard'), CASE WHEN (g->>'hard')::boolean THEN ' (hard)' ELSE '' END,
                                  documentdb_upgrade_internal.runbook_text(g->>'detail'))
                           || CASE WHEN g->>'status' IN ('fail', 'warn') AND g->>'hint' IS NOT NULL
                                   THEN E'\n  - To do: ' || documentdb_upgrade_internal.runbook_text(g->>'hint') ELSE '' END, E'\n' ORDER BY x.n)
         FROM jsonb_array_elements(f->'guards') WITH ORDINALITY AS x(g, n)),
        coalesce(E'### Health of the server\n\nWhat `SELECT * FROM documentdb_upgrade.pre_upgrade_report();` does not pass:\n\n'
            || (SELECT string_agg(format('- **%s** %s: %s', upper(r.status), documentdb_upgrade_internal.runbook_name(r.check_name), documentdb_upgrade_internal.runbook_text(r.detail))
                                  || coalesce(E'\n  - To do: ' || documentdb_upgrade_internal.runbook_text(r.hint), ''), E'\n')
                FROM documentdb_upgrade.pre_upgrade_report() r
                WHERE r.status IN ('fail', 'warn')
                  AND r.check_name NOT IN ('guards', 'library', 'disk_headroom', 'members_intact', 'event_triggers', 'blocking_sessions', 'backup')),
            E'### Health of the server\n\n`SELECT * FROM documentdb_upgrade.pre_upgrade_report();` has nothing to warn of.'))
$$;
COMMENT ON FUNCTION runbook_section_prerequisites(jsonb) IS 'serves runbook(): section "Prerequisites"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_backup(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        CASE WHEN f->'backup' = 'null' THEN '**No backup was ever recorded here.** After phase two a restore is the only way back.'
             ELSE format('The newest backup on record is %s, finished %s.', documentdb_upgrade_internal.runbook_text('"' || (f->'backup'->>'label') || '"'),
                         date_trunc('second', (f->'backup'->>'finished_at')::timestamptz)) END,
        CASE WHEN f->'settings'->>'archive_mode' = 'off'
             THEN 'WAL is not archived here (`archive_mode` is off): a backup can be restored to its own end only, not to the restore point that the upgrade writes. Stop writes before you take it, or set up archiving first.'
             ELSE 'WAL is archived: a backup can be restored to the restore point that the upgrade writes, if the archive is complete. Look at `SELECT * FROM pg_stat_archiver;` first.' END,
        'On a server of its own:',
        documentdb_upgrade_internal.runbook_code('bash', format(E'pg_basebackup -h <HOST> -p %s -U <REPLICATION_ROLE> -D <BACKUP_DIRECTORY> -X stream -c fast -P -l %L\npg_verifybackup <BACKUP_DIRECTORY>',
            f->'settings'->>'port', n.label)),
        'With CloudNativePG:',
        documentdb_upgrade_internal.runbook_code('bash', format($code$kubectl apply -f - <<'EOF'
apiVersion: postgresql.cnpg.io/v1
kind: Backup
metadata:
  name: %1$s
  namespace: %2$s
spec:
  cluster:
    name: %3$s
EOF
kubectl -n %2$s wait --for=jsonpath='{.status.phase}'=completed backups.postgresql.cnpg.io/%1$s --timeout=2h$code$,
            n.manifest, documentdb_upgrade_internal.runbook_resource(f, 'namespace'), documentdb_upgrade_internal.runbook_resource(f, 'cluster'))),
        'When it has finished, and not before, say so; guard `backup_recent` counts from then:',
        documentdb_upgrade_internal.runbook_code('sql', format('SELECT documentdb_upgrade.record_backup(%L, now());', n.label)),
        'A backup that was never restored is a hope. Restore it elsewhere once.')
    FROM (SELECT format('before %s %s', f->>'extension', coalesce(f->>'goal', 'upgrade')) AS label,
                 btrim(regexp_replace(lower(format('before-%s-%s', f->>'extension', f->>'goal')), '[^a-z0-9]+', '-', 'g'), '-') AS manifest) n
$$;
COMMENT ON FUNCTION runbook_section_backup(jsonb) IS 'serves runbook(): section "Backup"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_binary(f jsonb) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        CASE f->>'kind'
            WHEN 'ready' THEN format('**Done on this server:** its files offer %s%s. The standbys must have followed.', f->'status'->>'binary_version',
                                     coalesce(', and the library in memory says ' || (f->'status'->>'loaded_version'), ''))
            WHEN 'none' THEN format('**Nothing to roll out now.** This server offers %s. The next release is rolled out like this:', f->'status'->>'binary_version')
            WHEN 'schema_ahead' THEN format('**Do this now.** The schema is at %s and the binary of this server offers %s. Put a binary of %1$s or later back, on every instance:',
                                            f->>'from', f->'status'->>'binary_version')
            WHEN 'refuse' THEN '**Do not change the binary for this target:** ' || documentdb_upgrade_internal.runbook_text(f->'decision'->>'reason')
            ELSE format('**To be done:** this server offers %s, wanted is %s. Raise the standbys first, then switch over or restart the primary. Nothing happens to the schema.',
                        coalesce(f->'status'->>'binary_version', 'nothing'), f->>'goal') END,
        CASE WHEN f->>'kind' NOT IN ('ready', 'refuse') THEN concat_ws(E'\n\n',
            'On a server of its own, on each standby and then on the primary:',
            documentdb_upgrade_internal.runbook_code('bash', E'apt-get install <PACKAGE>=<PACKAGE_VERSION>\npg_ctl restart -D <DATA_DIRECTORY> -m fast'),
            'With the DocumentDB operator (an image named in `spec.image.documentDB` goes before `documentDBVersion`; name images by tag, a digest hides the version):',
            documentdb_upgrade_internal.runbook_code('bash', format($code$kubectl -n %1$s patch dbs %2$s --type=merge -p '{"spec": {"documentDBVersion": "%3$s"}}'
kubectl -n %1$s get pods -l cnpg.io/cluster=%4$s -w$code$,
                documentdb_upgrade_internal.runbook_resource(f, 'namespace'), documentdb_upgrade_internal.runbook_resource(f, 'name'),
                CASE WHEN f->>'kind' = 'none' OR v.version IS NULL THEN '<NEW_VERSION>' ELSE v.version END,
                documentdb_upgrade_internal.runbook_resource(f, 'cluster')))) END,
        'What every instance runs:',
        documentdb_upgrade_internal.runbook_code('sql', E'SELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;\n'
            'SELECT name, depth, status, installed_version, binary_version, loaded_version, problem FROM documentdb_upgrade.standbys;'),
        (SELECT E'Standbys that are not ready:\n\n' || string_agg(format('- %s: %s. %s', documentdb_upgrade_internal.runbook_text(b.name), b.status,
                                                                        documentdb_upgrade_internal.runbook_text(b.problem)), E'\n' ORDER BY b.name)
         FROM documentdb_upgrade.standbys b WHERE b.required AND b.status <> 'ready' HAVING count(*) > 0),
        CASE f->>'kind'
            WHEN 'wait' THEN 'When the new binary is here, write this runbook anew: it then knows the scripts, and phase two gets its fingerprint.'
            WHEN 'none' THEN 'Then write this runbook anew: it knows the scripts by then.'
            WHEN 'schema_ahead' THEN 'Until then let nothing write: `ALTER SYSTEM SET documentdb_upgrade.schema_ahead_action = ''read_only'';` and a reload have the worker see to that.' END)
    FROM (SELECT documentdb_upgrade.to_semver(CASE f->>'kind' WHEN 'schema_ahead' THEN f->>'from' ELSE f->>'goal' END) AS version) v
$$;
COMMENT ON FUNCTION runbook_section_binary(jsonb) IS 'serves runbook(): section "Phase one: the binary"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_schema(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE f->>'kind'
        WHEN 'none' THEN format('Nothing to commit: %s is installed.', f->>'from')
        WHEN 'schema_ahead' THEN 'Nothing to commit: **do not try to lower the schema.** There is no script that goes back; a binary that is new enough is the cure (section 7).'
        WHEN 'refuse' THEN 'Nothing to commit: ' || documentdb_upgrade_internal.runbook_text(f->'decision'->>'reason')
        ELSE concat_ws(E'\n\n',
            '**This cannot be undone.** It is one transaction: either all of it commits, or nothing has happened. It waits for locks briefly or gives up.',
            CASE WHEN f->>'kind' = 'wait' THEN 'After phase one write this runbook anew; it then has the fingerprint, with which nothing but the reviewed scripts can run. Without it:' END,
            CASE WHEN o.failing THEN '**Not yet:** clear the guards that refuse first (section 15).' END,
            '### With psql',
            'Open a session on the primary, and look whether it may run; `t` is needed:',
            documentdb_upgrade_internal.runbook_code('bash', documentdb_upgrade_internal.runbook_psql(f)),
            documentdb_upgrade_internal.runbook_code('sql', format('SELECT documentdb_upgrade.can_finalize(%L);', f->>'goal')),
            'Commit. Keep the row: restore point, LSN and timeline are the address for a restore.'
                || CASE WHEN f->>'kind' = 'ready' THEN ' The second argument is the fingerprint of what this runbook describes; if a script, a library or a version is another by then, nothing runs (55000).' ELSE '' END,
            documentdb_upgrade_internal.runbook_code('sql', format(E'SELECT id, outcome, from_version, to_version, restore_point, restore_lsn, restore_timeline\nFROM documentdb_upgrade.finalize_to(%L%s);',
                f->>'goal', CASE WHEN f->>'kind' = 'ready' THEN ', ' || quote_literal(f->>'fingerprint') ELSE '' END)),
            'Wait until every instance sees it; `t` is success:',
            documentdb_upgrade_internal.runbook_code('sql', format('SELECT documentdb_upgrade.wait_for(%L, ''10 min'');', f->>'goal')),
            format('A role that may not `SELECT` on DocumentDB runs `CALL documentdb_upgrade.run_finalize_to(%L);` instead.', f->>'goal'),
            CASE WHEN o.guards IS NOT NULL THEN format('To go against %s knowingly, which is recorded: `SELECT documentdb_upgrade.finalize_to(%L, skip_guards => %L);`',
                                                       o.names, f->>'goal', o.guards) END,
            '### With kubectl',
            CASE WHEN f->'status'->>'source' = 'kubernetes' THEN 'The worker follows the custom resource and commits by itself when no guard refuses:'
                 ELSE format('Only where the worker follows a custom resource (`documentdb_upgrade.source` is %s here):', documentdb_upgrade_internal.runbook_name(f->'status'->>'source')) END,
            documentdb_upgrade_internal.runbook_code('bash', format($code$kubectl -n %1$s patch dbs %2$s --type=merge -p '{"spec": {"schemaVersion": "%3$s"}}'
kubectl -n %1$s wait --for=jsonpath='{.status.schemaVersion}'=%3$s dbs/%2$s --timeout=15m
kubectl -n %1$s get events --field-selector involvedObject.kind=DocumentDB,involvedObject.name=%2$s$code$,
                documentdb_upgrade_internal.runbook_resource(f, 'namespace'), documentdb_upgrade_internal.runbook_resource(f, 'name'), documentdb_upgrade.to_semver(f->>'goal'))),
            '### While it runs',
            '`SELECT * FROM documentdb_upgrade.progress;` shows step n of m. An attempt of the worker ends with `SELECT documentdb_upgrade.cancel();`, one of a session with `pg_cancel_backend(pid)`; before the commit only, and then nothing has happened. A lost connection does not tell the outcome: look at `documentdb_upgrade.history`.')
        END
    FROM (SELECT string_agg(documentdb_upgrade_internal.runbook_name(g->>'guard'), ', ') FILTER (WHERE NOT (g->>'hard')::boolean) AS names,
                 (array_agg(g->>'guard') FILTER (WHERE NOT (g->>'hard')::boolean))::text AS guards,
                 -- Before phase one this guard says nothing new.
                 coalesce(bool_or(f->>'kind' <> 'wait' OR g->>'guard' NOT IN ('within_binary', 'target_known')), false) AS failing
          FROM jsonb_array_elements(f->'guards') g WHERE g->>'status' = 'fail') o
$$;
COMMENT ON FUNCTION runbook_section_schema(jsonb) IS 'serves runbook(): section "Phase two: the schema"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_verification(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        CASE WHEN f->>'kind' IN ('ready', 'wait') THEN format('After phase two. Expected: state `up_to_date`, version %s everywhere, outcome `succeeded`, and no row of the report fails.', f->>'goal')
             ELSE 'Expected: no row of the report fails.' END,
        documentdb_upgrade_internal.runbook_code('sql', E'SELECT state, installed_version, next_step FROM documentdb_upgrade.status;\n'
            'SELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;\n'
            'SELECT name, status, installed_version, gate, problem FROM documentdb_upgrade.standbys;\n'
            'SELECT id, outcome, from_version, to_version, restore_point, restore_lsn, restore_timeline FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 3;\n'
            'SELECT * FROM documentdb_upgrade.post_upgrade_report() WHERE status IN (''fail'', ''warn'');'))
$$;
COMMENT ON FUNCTION runbook_section_verification(jsonb) IS 'serves runbook(): section "Verification"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_smoke_tests(f jsonb) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        (SELECT E'The post-checks once more, outside the upgrade; each must give `t`, and what they write is taken back. As a superuser:\n\n'
                || documentdb_upgrade_internal.runbook_code('sql', format(E'BEGIN;\n%s\nROLLBACK;',
                       string_agg(format('SELECT %s AS %I;', c->>'function', c->>'name'), E'\n')))
         FROM jsonb_array_elements(f->'checks') c WHERE c->>'kind' = 'post' AND to_regprocedure(c->>'function') IS NOT NULL HAVING count(*) > 0),
        (SELECT E'Tables of the extension can be read:\n\n' || documentdb_upgrade_internal.runbook_code('sql',
                    string_agg(format('SELECT count(*) FROM (SELECT FROM %s LIMIT 1) AS readable;', t.name), E'\n' ORDER BY t.name))
         FROM (SELECT c.oid::regclass::text AS name
               FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
               JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
               WHERE e.extname = f->>'extension' AND c.relkind IN ('r', 'v', 'm')
               ORDER BY c.oid LIMIT 5) t HAVING count(*) > 0),
        CASE WHEN f->>'extension' = 'documentdb' THEN E'Through the gateway, as an application does it:\n\n'
            || documentdb_upgrade_internal.runbook_code('bash', 'mongosh "<CONNECTION_STRING>" --eval ''db.runCommand({ping: 1})'' --eval ''db.smoke.insertOne({n: 1}); db.smoke.findOne({n: 1}); db.smoke.drop()''') END,
        'Then one request of each kind that your application makes.')
$$;
COMMENT ON FUNCTION runbook_section_smoke_tests(jsonb) IS 'serves runbook(): section "Smoke tests"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_rollback(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE f->>'kind'
        WHEN 'schema_ahead' THEN format('**Not possible any more.** The schema is at %s; the binary must follow it, not the other way round.', f->>'from')
        WHEN 'none' THEN format('**Not possible any more** for what is installed (%s): a schema never goes back, see section 12. A newer binary that is rolled out later can be taken back until its schema has been committed.', f->>'from')
        ELSE concat_ws(E'\n\n',
            format('**Still possible:** the schema is at %s. Until phase two has committed, the old binary can be put back, and nothing is lost.', f->>'from'),
            'First see to it that nobody commits meanwhile:',
            documentdb_upgrade_internal.runbook_code('sql', 'SELECT documentdb_upgrade.hold(''rollback of the binary'');'),
            'It gives `f` when a commit had begun: then look at `documentdb_upgrade.history` before anything else. On Kubernetes take back `schemaVersion` as well, then the image:',
            documentdb_upgrade_internal.runbook_code('bash', format($code$kubectl -n %1$s annotate dbs %2$s documentdb-upgrade/hold='rollback of the binary'
kubectl -n %1$s patch dbs %2$s --type=merge -p '{"spec": {"schemaVersion": ""}}'
kubectl -n %1$s patch dbs %2$s --type=merge -p '{"spec": {"documentDBVersion": "%3$s"}}'$code$,
                documentdb_upgrade_internal.runbook_resource(f, 'namespace'), documentdb_upgrade_internal.runbook_resource(f, 'name'), v.version)),
            'On a server of its own install the old package on each instance and restart it, the primary last:',
            documentdb_upgrade_internal.runbook_code('bash', E'apt-get install --allow-downgrades <PACKAGE>=<OLD_PACKAGE_VERSION>\npg_ctl restart -D <DATA_DIRECTORY> -m fast'),
            format('It is done when the old binary is back, and not below %s:', f->>'from'),
            documentdb_upgrade_internal.runbook_code('sql', 'SELECT extension, installed_version, binary_version, loaded_version FROM documentdb_upgrade.versions;'),
            'End the hold when it is time: `SELECT documentdb_upgrade.release();`')
        END
    FROM (SELECT documentdb_upgrade.to_semver(f->>'from') AS version) v
$$;
COMMENT ON FUNCTION runbook_section_rollback(jsonb) IS 'serves runbook(): section "Rollback, while it is possible"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_recovery(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        CASE WHEN f->'success'->>'restore_lsn' IS NOT NULL THEN format(
                'The last upgrade of this server (%s to %s, committed %s) wrote restore point %s at LSN **%s** on timeline **%s**. A restore to there has the schema of %1$s, and loses all that was written since.',
                f->'success'->>'from_version', f->'success'->>'to_version', date_trunc('second', (f->'success'->>'finished_at')::timestamptz),
                documentdb_upgrade_internal.runbook_name(f->'success'->>'restore_point'), f->'success'->>'restore_lsn', f->'success'->>'restore_timeline')
             WHEN f->'success' <> 'null' THEN 'The last upgrade of this server has no restore point on record (`wal_level` was minimal, or it was done by hand): restore a backup from before it, or to a time just before it.'
             ELSE 'No upgrade of this server is on record yet. Phase two will write a restore point before its first script; name, LSN and timeline are in its row:' END,
        CASE WHEN f->'success' = 'null' THEN documentdb_upgrade_internal.runbook_code('sql',
            'SELECT id, from_version, to_version, restore_point, restore_lsn, restore_timeline FROM documentdb_upgrade.history WHERE outcome = ''succeeded'' ORDER BY id DESC;') END,
        'A schema never goes back by SQL. Before you restore: can it be mended forward, with a newer binary or a corrected script? A restore loses data; mending does not.',
        'Restore into a **new** place, from a backup that finished before the restore point, with:',
        documentdb_upgrade_internal.runbook_code('ini', format(E'restore_command = ''<YOUR_RESTORE_COMMAND>''\nrecovery_target_lsn = ''%s''\nrecovery_target_timeline = ''%s''\nrecovery_target_inclusive = off\nrecovery_target_action = ''pause''',
            coalesce(f->'success'->>'restore_lsn', '<RESTORE_LSN>'), coalesce(f->'success'->>'restore_timeline', '<RESTORE_TIMELINE>'))),
        'Look at the data while it is paused, then run `SELECT pg_wal_replay_resume();`. With CloudNativePG a new Cluster takes its place:',
        documentdb_upgrade_internal.runbook_code('yaml', format($code$apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: <NEW_CLUSTER>
  namespace: %s
spec:
  # instances, imageName, storage and postgresql as in the old one
  bootstrap:
    recovery:
      backup:
        name: <BACKUP>
      recoveryTarget:
        targetLSN: "%s"
        targetTLI: "%s"
        exclusive: true$code$, documentdb_upgrade_internal.runbook_resource(f, 'namespace'),
            coalesce(f->'success'->>'restore_lsn', '<RESTORE_LSN>'), coalesce(f->'success'->>'restore_timeline', '<RESTORE_TIMELINE>'))),
        'Its binary may be the new or the old one, as long as it is not older than the restored schema. Keep the worker from upgrading it again: leave the desired version empty, or place a hold first.',
        CASE WHEN f->'backup' <> 'null' THEN format('The newest backup on record: %s, finished %s.', documentdb_upgrade_internal.runbook_text('"' || (f->'backup'->>'label') || '"'),
                                                   date_trunc('second', (f->'backup'->>'finished_at')::timestamptz)) END,
        '### Emergency steps by hand',
        E'- **The server does not start, a preloaded library is missing:** take it out of `shared_preload_libraries`, start, mend the files, put it back.\n'
        '- **An attempt hangs:** `SELECT pg_cancel_backend(pid) FROM documentdb_upgrade.progress;` Nothing has happened then, unless its commit had begun.\n'
        '- **Writes must stop at once:** `ALTER SYSTEM SET default_transaction_read_only = on;` and `SELECT pg_reload_conf();` Sessions can undo that for themselves.\n'
        '- **A hook refuses a statement that is meant:** as a superuser `SET documentdb_upgrade.enforce = off;` for this session alone.\n'
        || format('- **Everything else of this extension fails, and the upgrade must be committed:** as a superuser, after a backup, `ALTER EXTENSION %I UPDATE TO %L;`, companions first as in section 17. It has no bounds and no checks.',
                  f->>'extension', coalesce(f->>'goal', f->>'from')))
$$;
COMMENT ON FUNCTION runbook_section_recovery(jsonb) IS 'serves runbook(): section "Recovery, when it is not"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_watch(f jsonb) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        CASE WHEN (f->'success'->>'finished_at')::timestamptz > clock_timestamp() - interval '24 hours'
             THEN format('**You are in it:** the last upgrade committed %s.', date_trunc('second', (f->'success'->>'finished_at')::timestamptz)) END,
        'Every few minutes in the first hour, then every hour:',
        E'- state `up_to_date`; `verifying` for longer than a few minutes names a standby that does not follow\n'
        '- errors of clients, latency and throughput against the day before\n'
        '- deadlocks and rollbacks below: do they grow faster than before?\n'
        '- the server''s log: `ERROR`, `FATAL`, `could not find function`, `permission denied`; this runbook does not read it\n'
        '- replication lag, and WAL kept by slots\n'
        '- plans of the most frequent queries, where functions or indexes have changed',
        documentdb_upgrade_internal.runbook_code('sql', E'SELECT state, next_step, last_error FROM documentdb_upgrade.status;\n'
            'SELECT datname, deadlocks, xact_commit, xact_rollback, conflicts, checksum_failures FROM pg_stat_database WHERE datname = current_database();\n'
            'SELECT application_name, state, replay_lag FROM pg_stat_replication;\n'
            'SELECT slot_name, active, wal_status FROM pg_replication_slots;\n'
            'SELECT check_name, status, detail FROM documentdb_upgrade.post_upgrade_report() WHERE status IN (''fail'', ''warn'');'),
        documentdb_upgrade_internal.runbook_code('bash', format('kubectl -n %1$s get events --field-selector involvedObject.kind=DocumentDB,involvedObject.name=%2$s -w',
            documentdb_upgrade_internal.runbook_resource(f, 'namespace'), documentdb_upgrade_internal.runbook_resource(f, 'name'))))
$$;
COMMENT ON FUNCTION runbook_section_watch(jsonb) IS 'serves runbook(): section "What to watch for 24 hours"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_clean_up(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        E'After 24 quiet hours:\n\n'
        '- take a backup of the new schema and record it: older ones restore the older schema\n'
        '- end holds that were placed for the upgrade, and take the annotation off the custom resource\n'
        '- refresh statistics where tables were rewritten\n'
        '- remove the old package or image from where a rollback would have taken it; not the backup from before',
        documentdb_upgrade_internal.runbook_code('sql', format(E'SELECT documentdb_upgrade.record_backup(%L, now());\nSELECT id, reason, until, placed_by FROM documentdb_upgrade.holds WHERE released_at IS NULL;\nANALYZE;',
            format('after %s %s', f->>'extension', f->>'goal'))),
        documentdb_upgrade_internal.runbook_code('bash', format('kubectl -n %s annotate dbs %s documentdb-upgrade/hold-',
            documentdb_upgrade_internal.runbook_resource(f, 'namespace'), documentdb_upgrade_internal.runbook_resource(f, 'name'))))
$$;
COMMENT ON FUNCTION runbook_section_clean_up(jsonb) IS 'serves runbook(): section "Clean-up"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_failure(attempt jsonb, what text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n',
        format('### %s', what) || E'\n',
        format('- message: %s (SQLSTATE %s)', documentdb_upgrade_internal.runbook_text(attempt->>'message'), coalesce(attempt->>'sqlstate', 'none')),
        '- detail: ' || documentdb_upgrade_internal.runbook_text(attempt->>'detail'),
        '- hint: ' || documentdb_upgrade_internal.runbook_text(attempt->>'hint'),
        '- script: ' || documentdb_upgrade_internal.runbook_name(attempt->>'script') || coalesce(', line ' || (attempt->>'script_line'), ''),
        '- context: ' || documentdb_upgrade_internal.runbook_text(attempt->>'context'),
        '- what to do: ' || CASE attempt->>'sqlstate'
            WHEN '55P03' THEN 'somebody held a lock that the scripts need. Nothing was changed. See `blocking_sessions`, try again later, or raise `documentdb_upgrade.lock_timeout`.'
            WHEN '57014' THEN 'it was cancelled or took longer than `documentdb_upgrade.attempt_timeout`. Nothing was changed.'
            WHEN '53200' THEN 'the shared lock table was full. Raise `max_locks_per_transaction` as guard `lock_capacity` says, on standbys first, and restart.'
            WHEN '55006' THEN 'another upgrade was running. Look whether it has got there.'
            WHEN '55000' THEN 'a guard refused, or the files were not those of the fingerprint. Clear what it names.'
            ELSE 'nothing was changed. Clear the cause at the line named, rehearse, then try again; the worker tries when its input changes or after `SELECT documentdb_upgrade.retry();`' END)
$$;
COMMENT ON FUNCTION runbook_failure(jsonb, text) IS 'serves runbook(): an attempt or a rehearsal that failed, under a heading';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_troubleshooting(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n\n',
        CASE WHEN t.guards IS NULL AND f->'failure' = 'null' AND coalesce(f->'rehearsal'->>'outcome', 'passed') = 'passed'
                  AND f->>'kind' NOT IN ('schema_ahead', 'refuse')
             THEN 'Nothing fails now.' END,
        CASE WHEN f->>'kind' = 'schema_ahead' THEN E'### The binary is older than the schema\n\n- why: ' || documentdb_upgrade_internal.runbook_text(f->'decision'->>'reason')
             || E'\n- what to do: section 7. If no such binary can be had, restore a backup from before the upgrade (section 12).' END,
        CASE WHEN f->>'kind' = 'refuse' THEN E'### The target cannot be reached\n\n- why: ' || documentdb_upgrade_internal.runbook_text(f->'decision'->>'reason')
             || E'\n- what to do: correct the desired version or the extension''s files.' END,
        CASE WHEN f->'failure' <> 'null' THEN documentdb_upgrade_internal.runbook_failure(f->'failure',
            format('Attempt %s %s, %s', f->'failure'->>'id', CASE f->'failure'->>'outcome' WHEN 'failed' THEN 'failed' ELSE 'was ' || (f->'failure'->>'outcome') END,
                   date_trunc('second', (f->'failure'->>'finished_at')::timestamptz))) END,
        CASE WHEN f->'rehearsal'->>'outcome' <> 'passed' THEN documentdb_upgrade_internal.runbook_failure(f->'rehearsal', format('Rehearsal %s did not pass', f->'rehearsal'->>'id')) END,
        t.guards,
        '### Anything else',
        E'- `SELECT state, next_step FROM documentdb_upgrade.status;` says why nothing happens, and the command that would change it\n'
        '- `SELECT jsonb_pretty(documentdb_upgrade.support_bundle());` is what a maintainer asks first; it has no secrets')
    FROM (SELECT string_agg(format(E'### Guard %s refuses\n\n- why: %s\n- what to do: %s%s', documentdb_upgrade_internal.runbook_name(g->>'guard'),
                     documentdb_upgrade_internal.runbook_text(g->>'detail'), coalesce(documentdb_upgrade_internal.runbook_text(g->>'hint'), 'see docs/guards.md'),
                     CASE WHEN (g->>'hard')::boolean THEN E'\n- it is hard: it cannot be overridden' ELSE '' END), E'\n\n' ORDER BY x.n) AS guards
          FROM jsonb_array_elements(f->'guards') WITH ORDINALITY AS x(g, n)
          WHERE g->>'status' = 'fail') t
$$;
COMMENT ON FUNCTION runbook_section_troubleshooting(jsonb) IS 'serves runbook(): section "Troubleshooting: what fails now"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_checklist(f jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE f->>'kind'
        WHEN 'none' THEN E'- [ ] no row of `post_upgrade_report()` fails (section 9)\n- [ ] 24 hours have passed quietly (section 13)\n- [ ] a backup of this schema is recorded (section 14)'
        WHEN 'schema_ahead' THEN format(E'- [ ] writes are stopped, or it is decided that they may go on\n- [ ] a binary of %s or later is on every instance (section 7)\n'
                                         '- [ ] the state is no longer `schema_ahead` (section 9)\n- [ ] what the older binary wrote meanwhile was looked at', f->>'from')
        ELSE concat_ws(E'\n',
            CASE f->>'kind' WHEN 'refuse' THEN '- [ ] the target was corrected, and this runbook written anew'
                WHEN 'wait' THEN E'- [ ] phase one: the new binary is on every instance, standbys first (section 7)\n- [ ] this runbook was written anew' END,
            format('- [%s] rehearsed with exactly these files and versions (section 2)', CASE WHEN f->'rehearsal'->>'outcome' = 'passed' THEN 'x' ELSE ' ' END),
            format('- [%s] objects that go away are used by nobody (section 3)',
                   CASE WHEN f->'rehearsal'->>'outcome' = 'passed' AND documentdb_upgrade_internal.runbook_changes(f->'rehearsal', 'removed') IS NULL THEN 'x' ELSE ' ' END),
            format('- [%s] no guard refuses (section 5)', CASE WHEN g.failing THEN ' ' ELSE 'x' END),
            format('- [%s] a recent backup is recorded (section 6)', CASE WHEN g.backed_up THEN 'x' ELSE ' ' END),
            '- [ ] the backup was restored somewhere once (section 6)',
            '- [ ] the migration SQL was reviewed (section 17)',
            '- [ ] everybody who must know knows: there is no way back after phase two',
            '- [ ] phase two: committed, outcome `succeeded` (section 8)',
            '- [ ] restore point, LSN and timeline were noted outside this server (section 12)',
            '- [ ] every instance sees the version (section 9)',
            '- [ ] smoke tests passed (section 10)',
            '- [ ] 24 hours have passed quietly (section 13)',
            '- [ ] a backup of the new schema is recorded, holds are gone (section 14)')
        END
    FROM (SELECT bool_or(x->>'status' = 'fail') AS failing,
                 bool_or(x->>'guard' = 'backup_recent' AND x->>'status' = 'pass') AS backed_up
          FROM jsonb_array_elements(f->'guards') x) g
$$;
COMMENT ON FUNCTION runbook_section_checklist(jsonb) IS 'serves runbook(): section "Checklist"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_migration_sql(f jsonb) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    -- The scripts are comments in it; without them it is short.
    SELECT CASE WHEN f->'plan' = '[]' THEN 'There is nothing to review.'
        ELSE concat_ws(E'\n\n',
            'For reading, **not for running**: `finalize_to()` does the same with bounds, checks and a record.',
            CASE WHEN length(m.sql) > 100000 THEN format('The scripts have %s characters and are left out here: `SELECT documentdb_upgrade.plan_sql(%L);` has them.',
                                                         length(m.sql), f->>'goal') END,
            documentdb_upgrade_internal.runbook_code('sql', CASE WHEN length(m.sql) > 100000
                THEN (SELECT string_agg(line, E'\n' ORDER BY n) FROM string_to_table(m.sql, E'\n') WITH ORDINALITY AS l(line, n) WHERE line !~ '^--   ')
                ELSE m.sql END)) END
    FROM (SELECT CASE WHEN f->'plan' <> '[]' THEN documentdb_upgrade.plan_sql(f->>'wanted') END AS sql) m
$$;
COMMENT ON FUNCTION runbook_section_migration_sql(jsonb) IS 'serves runbook(): section "The migration SQL, for review"';

CREATE FUNCTION documentdb_upgrade_internal.runbook_section_elsewhere(f jsonb) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE f->>'kind'
        WHEN 'standby' THEN concat_ws(E'\n\n',
            '**This server is a standby. Run this on the primary:**',
            documentdb_upgrade_internal.runbook_code('sql', format('SELECT documentdb_upgrade.runbook(%s);', quote_literal(f->>'asked'))),
            (SELECT format('This standby streams from %s, port %s, which is the primary or leads to it.', documentdb_upgrade_internal.runbook_name(r.sender_host), r.sender_port)
             FROM pg_stat_wal_receiver r WHERE r.sender_host IS NOT NULL),
            'The primary commits the schema, and this standby replays it. What is to be done here is phase one alone: raise its binary **before** the primary''s.',
            '- ' || documentdb_upgrade_internal.runbook_text(f->'status'->>'next_step'),
            documentdb_upgrade_internal.runbook_code('sql', E'SELECT state, next_step FROM documentdb_upgrade.status;\nSELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;'))
        ELSE concat_ws(E'\n\n',
            format('**Extension %s is not installed in database %s**, so there is no schema to upgrade.', documentdb_upgrade_internal.runbook_name(f->>'extension'),
                   documentdb_upgrade_internal.runbook_name(f->>'database')),
            CASE WHEN f->'status'->>'binary_version' IS NULL THEN 'Its files are not on this server either: install its package first.'
                 ELSE format('Its files are here and offer %s. A fresh installation needs no upgrade:', f->'status'->>'binary_version') END,
            documentdb_upgrade_internal.runbook_code('sql', format('CREATE EXTENSION %I CASCADE;', f->>'extension')),
            'If it is in another database of this server, install documentdb_upgrade there, and write this runbook there. If another extension is meant, say which, and open a new session:',
            documentdb_upgrade_internal.runbook_code('sql', format('ALTER DATABASE %I SET documentdb_upgrade.extension = ''<EXTENSION>'';', f->>'database'))) END
$$;
COMMENT ON FUNCTION runbook_section_elsewhere(jsonb) IS 'serves runbook(): all that there is to say on a standby, and where the extension is not installed';

CREATE FUNCTION runbook(target text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '1s' SET standard_conforming_strings = on
    SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres SET TimeZone = 'UTC'
AS $$
DECLARE
    -- A malformed version is the caller's mistake, and raised.
    facts constant jsonb := documentdb_upgrade_internal.runbook_facts(target);
    kind constant text := facts->>'kind';
    section record;
    body text;
    book text;
BEGIN
    book := concat_ws(E'\n\n',
        '# ' || CASE kind
            WHEN 'standby' THEN format('Upgrade of extension %s: this is a standby', facts->>'extension')
            WHEN 'not_installed' THEN format('Upgrade of extension %s: not installed', facts->>'extension')
            WHEN 'none' THEN format('Extension %s at %s: nothing to upgrade', facts->>'extension', facts->>'from')
            WHEN 'refuse' THEN format('Extension %s cannot go from %s to %s', facts->>'extension', facts->>'from', coalesce(facts->>'goal', 'an unknown version'))
            WHEN 'schema_ahead' THEN format('Extension %s: the schema (%s) is ahead of the binary (%s)', facts->>'extension', facts->>'from', facts->'status'->>'binary_version')
            ELSE CASE WHEN facts->>'from' = facts->>'goal' THEN format('Upgrade of the companions of extension %s at %s', facts->>'extension', facts->>'from')
                 ELSE format('Upgrade of extension %s from %s to %s', facts->>'extension', facts->>'from', facts->>'goal') END END,
        format('Written %s on a %s with PostgreSQL %s, database %s. It describes this server at that moment; write it anew after each change: %s',
               facts->>'written_at', facts->'status'->>'role', facts->'settings'->>'server_version', documentdb_upgrade_internal.runbook_name(facts->>'database'),
               documentdb_upgrade_internal.runbook_name(format('SELECT documentdb_upgrade.runbook(%s);', quote_literal(facts->>'asked')))),
        CASE WHEN kind NOT IN ('standby', 'not_installed') THEN
            'What stands in `<ANGLE_BRACKETS>` is not known here and must be filled in. Commands for psql and for kubectl do the same: use those of your surroundings.' END);
    FOR section IN SELECT * FROM (VALUES
        (1, 'In short', 'summary'), (2, 'What is new', 'news'), (3, 'Settings and objects that change or go', 'leavers'),
        (4, 'Difficulty and duration', 'difficulty'), (5, 'Prerequisites', 'prerequisites'), (6, 'Backup', 'backup'),
        (7, 'Phase one: the binary', 'binary'), (8, 'Phase two: the schema', 'schema'), (9, 'Verification', 'verification'),
        (10, 'Smoke tests', 'smoke_tests'), (11, 'Rollback, while it is possible', 'rollback'), (12, 'Recovery, when it is not', 'recovery'),
        (13, 'What to watch for 24 hours', 'watch'), (14, 'Clean-up', 'clean_up'), (15, 'Troubleshooting: what fails now', 'troubleshooting'),
        (16, 'Checklist', 'checklist'), (17, 'The migration SQL, for review', 'migration_sql')) AS s(n, title, name)
    LOOP
        EXIT WHEN kind IN ('standby', 'not_installed');
        -- A section that cannot be written says why; the others are there.
        BEGIN
            EXECUTE format('SELECT documentdb_upgrade_internal.%I($1)', 'runbook_section_' || section.name) INTO body USING facts;
        EXCEPTION WHEN OTHERS THEN
            body := format('This section could not be written: %s (SQLSTATE %s).', documentdb_upgrade_internal.runbook_text(SQLERRM), SQLSTATE);
        END;
        book := concat(book, format(E'\n\n## %s. %s\n\n', section.n, section.title), body);
    END LOOP;
    IF kind IN ('standby', 'not_installed') THEN
        book := concat(book, E'\n\n## What to do\n\n', documentdb_upgrade_internal.runbook_section_elsewhere(facts));
    END IF;
    RETURN book || E'\n';
END
$$;
COMMENT ON FUNCTION runbook(text) IS
'the upgrade guide for this very server in Markdown, to the target (null: the desired version, else the binary''s): what is new, difficulty, prerequisites with their status, backup, both phases with exact statements, verification, rollback, recovery, troubleshooting for what fails now, checklist; changes nothing; a malformed target raises 22023';
