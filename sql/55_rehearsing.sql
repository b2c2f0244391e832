--
-- Rehearsing
--

CREATE TABLE rehearsals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    extension text NOT NULL,
    from_version text,
    to_version text,
    extensions jsonb NOT NULL DEFAULT '[]',
    outcome text NOT NULL CHECK (outcome IN ('passed', 'failed', 'refused')),
    scratch boolean NOT NULL DEFAULT false,
    role_name text NOT NULL,
    client text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    fingerprint text,
    risk text,
    steps_run integer NOT NULL,
    lock_entries integer NOT NULL,
    wal_bytes bigint NOT NULL,
    report jsonb NOT NULL,
    sqlstate text,
    message text,
    detail text,
    hint text,
    context text,
    script text,
    script_line integer
);
COMMENT ON TABLE rehearsals IS 'what rehearsals have found, one row each; true for the fingerprint that they name';
COMMENT ON COLUMN rehearsals.id IS 'number of the rehearsal, for rehearsal_report()';
COMMENT ON COLUMN rehearsals.extension IS 'the main extension';
COMMENT ON COLUMN rehearsals.from_version IS 'installed version';
COMMENT ON COLUMN rehearsals.to_version
	IS 'target of the rehearsal; the installed version where only companions were to change';
COMMENT ON COLUMN rehearsals.extensions
	IS 'every extension that was to change, in the order of update: extension, from, to';
COMMENT ON COLUMN rehearsals.outcome IS 'passed; failed: an error; refused: a hard guard';
COMMENT ON COLUMN rehearsals.scratch IS 'in a throw-away database, where there are no data';
COMMENT ON COLUMN rehearsals.role_name IS 'session user';
COMMENT ON COLUMN rehearsals.client IS 'application name and address of the session';
COMMENT ON COLUMN rehearsals.started_at IS 'when it began';
COMMENT ON COLUMN rehearsals.finished_at IS 'when it had been rolled back';
COMMENT ON COLUMN rehearsals.fingerprint IS 'upgrade_fingerprint() under the locks';
COMMENT ON COLUMN rehearsals.risk IS 'the heaviest risk class of its steps; null when none ran';
COMMENT ON COLUMN rehearsals.steps_run IS 'steps that ran to their end';
COMMENT ON COLUMN rehearsals.lock_entries IS 'entries of the shared lock table that it held at most';
COMMENT ON COLUMN rehearsals.wal_bytes IS 'WAL that its steps wrote';
COMMENT ON COLUMN rehearsals.report
	IS 'steps with their effects, what they do to objects outside the managed set, guards that do not pass, sequences '
	'that have advanced, with scratch how the members differ from those of a fresh installation, and on the '
	'coordinator of a Citus cluster what each other node has taken and how its effects differ; '
	'rehearsal_report(id) gives it as text';
COMMENT ON COLUMN rehearsals.sqlstate IS 'of the error';
COMMENT ON COLUMN rehearsals.message IS 'of the error';
COMMENT ON COLUMN rehearsals.detail IS 'of the error';
COMMENT ON COLUMN rehearsals.hint IS 'of the error';
COMMENT ON COLUMN rehearsals.context IS 'of the error';
COMMENT ON COLUMN rehearsals.script IS 'file in which the error happened';
COMMENT ON COLUMN rehearsals.script_line IS 'line of that file, as far as it is known';

SELECT pg_catalog.pg_extension_config_dump('rehearsals', '');
SELECT pg_catalog.pg_extension_config_dump('rehearsals_id_seq', '');

CREATE FUNCTION rehearse(target text DEFAULT NULL, scratch boolean DEFAULT false, extension text DEFAULT NULL)
    RETURNS rehearsals
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_rehearse';
COMMENT ON FUNCTION rehearse(text, boolean, text) IS
'runs the real update of the managed set to the target (null: the binary version), with its checks, rolls it back, '
	'and returns the row of rehearsals that it has stored; the caller''s transaction goes on. '
	'In place it holds the upgrade''s locks meanwhile, and waits lock_timeout for them at most; '
	'with scratch it runs in a throw-away database and takes no lock here. A guard that refuses, '
	'a lock that cannot be had and whatever fails in the update are no errors but outcome, '
	'sqlstate and message of the row. Errors: 22023 malformed target; 0A000 scratch where the extension cannot live in '
	'a second database; 25001 REPEATABLE READ or SERIALIZABLE; 25006 standby or read-only transaction; '
	'42704 scratch without the extension; 53400 scratch without two free background workers, and others of class 53; '
	'55006 from within an upgrade; 57000 the process in the throw-away database was ended; 57014 cancelled';

CREATE PROCEDURE run_rehearse(target text DEFAULT NULL, scratch boolean DEFAULT false, extension text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_rehearse';
COMMENT ON PROCEDURE run_rehearse(text, boolean, text) IS
'like rehearse, for roles that a planner hook keeps out of SELECT: CALL enters no planner. The row is stored; '
	'the same errors';

CREATE FUNCTION documentdb_upgrade_internal.fresh_differences(updated jsonb, fresh jsonb, problem text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN fresh IS NULL THEN jsonb_build_object('problem', problem)
           ELSE jsonb_build_object('differences', coalesce((
               SELECT jsonb_agg(d.item ORDER BY d.item->>'what', d.item->>'extension', d.item->>'kind',
                                d.item->>'identity')
               FROM (SELECT jsonb_build_object('what',
                                CASE WHEN u.item IS NULL THEN 'missing' WHEN f.item IS NULL THEN 'left over'
                                     WHEN u.item->'digest' <> f.item->'digest' THEN 'different'
                                     ELSE 'other privileges' END)
                            || coalesce(f.item, u.item) AS item
                     FROM jsonb_array_elements(updated) AS u(item)
                     FULL JOIN jsonb_array_elements(fresh) AS f(item)
                       ON u.item->'extension' = f.item->'extension' AND u.item->'kind' = f.item->'kind'
                          AND u.item->'identity' = f.item->'identity'
                     WHERE u.item IS DISTINCT FROM f.item) d), '[]')) END
$$;
COMMENT ON FUNCTION fresh_differences(jsonb, jsonb, text) IS
'serves rehearse() with scratch: how the members that an update left differ from those of a fresh installation, with '
	'the digest and privileges of the latter; or why there is none';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_changes(step jsonb, action text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('  %s %s %s%s', action, c->>'kind', c->>'identity',
                  coalesce(' (' || (SELECT string_agg(w || CASE WHEN w IN ('definition', 'recreated') THEN
                               coalesce(': ' || (SELECT string_agg(d, ', ')
                                   FROM jsonb_array_elements_text(c->'details') d),
                                        '') ELSE '' END, '; ')
                           FROM jsonb_array_elements_text(c->'what') w) || ')', ''))
           || coalesce((SELECT string_agg(E'\n    lost setting ' || l, '') FROM jsonb_array_elements_text(c->'lost') l),
               '')
           || coalesce((SELECT string_agg(E'\n    granted ' || g, '') FROM jsonb_array_elements_text(c->'granted') g),
               '')
           || coalesce((SELECT string_agg(E'\n    revoked ' || r, '') FROM jsonb_array_elements_text(c->'revoked') r),
               '')
    FROM jsonb_array_elements(step->action) c
$$;
COMMENT ON FUNCTION rehearsal_changes(jsonb, text) IS
'serves rehearsal_report(): the lines about what a step has added, removed or changed (the action), one row each';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_step(step jsonb, n bigint, steps integer) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(E'\n',
        format('Step %s of %s: %s from %s to %s: %s%s', n, steps, step->>'extension',
               step->>'from', step->>'to', step->>'risk', ', ' || (step->>'ms') || ' ms'),
        '  ' || (step->>'risk_reason'),
        (SELECT string_agg(format('  locks %s in %s%s', r->>'relation', r->>'mode',
                                  ' (' || pg_size_pretty((r->>'bytes')::bigint) || ')'), E'\n')
         FROM jsonb_array_elements(step->'relations') r),
        '  locks ' || (step->>'relations_not_named') || ' more relations',
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade_internal.rehearsal_changes(step, 'added') line),
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade_internal.rehearsal_changes(step, 'removed') line),
        (SELECT string_agg(line, E'\n') FROM documentdb_upgrade_internal.rehearsal_changes(step, 'changed') line),
        (SELECT string_agg(format('  writes rows of %s: %s inserted, %s updated, %s deleted', r->>'table',
                                  r->>'inserted', r->>'updated', r->>'deleted'), E'\n')
         FROM jsonb_array_elements(step->'rows') r),
        (SELECT string_agg('  warns: ' || w, E'\n') FROM jsonb_array_elements_text(step->'warnings') w))
$$;
COMMENT ON FUNCTION rehearsal_step(jsonb, bigint, integer) IS
'serves rehearsal_report(): step n of so many as text';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_outside(report jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT E'Outside the upgraded extensions:\n' || string_agg(concat_ws(E'\n',
        concat_ws('; ',
            format('  %s %s %s', CASE f->>'effect' WHEN 'lost' THEN 'takes settings or privileges from'
                                                   WHEN 'granted' THEN 'gives privileges on' ELSE f->>'effect' END,
                   f->>'kind', f->>'identity'),
            CASE WHEN f->>'effect' IN ('changed', 'lost') THEN
                (SELECT string_agg(w, ', ')
                    FROM jsonb_array_elements_text(coalesce(f->'details', '[]') || (f->'what')) w
                 WHERE w <> 'definition') END,
            (SELECT string_agg('setting ' || l, ', ') FROM jsonb_array_elements_text(f->'lost') l),
            (SELECT string_agg('revoked ' || r, ', ') FROM jsonb_array_elements_text(f->'revoked') r),
            (SELECT string_agg('granted ' || g, ', ') FROM jsonb_array_elements_text(f->'granted') g),
            'is computed with ' || (f->>'function') || ', which is replaced',
            (f->>'rows_updated') || ' rows updated', (f->>'rows_deleted') || ' rows deleted',
            CASE WHEN (f->>'rows_estimated')::boolean THEN 'about ' ELSE '' END || (f->>'rows_lost') || ' rows lost'),
        '    before: ' || replace(f->>'save', E'\n', E'\n      '),
        '    after: ' || replace(f->>'restore', E'\n', E'\n      ')), E'\n' ORDER BY n)
    FROM jsonb_array_elements(report->'outside') WITH ORDINALITY AS x(f, n)
    HAVING count(*) > 0
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rehearsal_outside(jsonb) IS
'serves rehearsal_report(): the lines about objects outside the managed set; null when there are none';

CREATE FUNCTION documentdb_upgrade_internal.node_rehearsed(rehearsal text) RETURNS text
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_node_rehearsed';
COMMENT ON FUNCTION documentdb_upgrade_internal.node_rehearsed(text) IS
'serves rehearse() on the coordinator of a Citus cluster: what the steps of its running rehearsal have done on this '
	'node, as one JSON object; null when nothing is known of them';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_effects(steps jsonb)
    RETURNS TABLE (step bigint, effect text, object text, form jsonb)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.n, a.effect, concat_ws(' ', e.found->>'kind', e.found->>'identity', e.found->>'relation'),
           e.found - '{kind,identity,relation,bytes}'::text[]
    FROM jsonb_array_elements(steps) WITH ORDINALITY AS s(step, n)
    CROSS JOIN unnest('{added,removed,changed,relations}'::text[]) AS a(effect)
    CROSS JOIN jsonb_array_elements(s.step->a.effect) AS e(found)
    -- What Citus locks to know its nodes, the coordinator alone has to.
    WHERE coalesce(e.found->>'relation' NOT LIKE 'pg\_catalog.pg\_dist\_%', true)
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rehearsal_effects(jsonb) IS
'serves rehearse(): what steps have added, removed, changed and locked, one row each';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_nodes(steps jsonb, answers jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_agg(CASE WHEN a.answer #> '{said,steps}' IS NULL THEN
            jsonb_build_object('node', a.answer->'node', 'problem',
                               coalesce(a.answer #> '{said,problem}', a.answer->'problem'))
        ELSE (SELECT jsonb_build_object('node', a.answer->'node', 'ms', sum((t.step->>'ms')::numeric),
                         'lock_entries', sum((t.step->>'lock_entries')::bigint),
                         'wal_bytes', sum((t.step->>'wal_bytes')::bigint),
                         'steps', jsonb_agg(t.step - '{added,removed,changed,rows}'::text[] ORDER BY t.n))
              FROM jsonb_array_elements(a.answer #> '{said,steps}') WITH ORDINALITY AS t(step, n))
            || jsonb_build_object('differences', (
                SELECT coalesce(jsonb_agg(jsonb_build_object('step', step, 'effect', effect, 'object', object,
                           'what', CASE WHEN o.form IS NULL THEN 'only there'
                                        WHEN n.form IS NULL THEN 'not there' ELSE 'different' END)
                           ORDER BY step, effect, object), '[]')
                FROM documentdb_upgrade_internal.rehearsal_effects(steps) o
                FULL JOIN documentdb_upgrade_internal.rehearsal_effects(a.answer #> '{said,steps}') n
                    USING (step, effect, object)
                WHERE o.form IS DISTINCT FROM n.form)) END ORDER BY a.n)
    FROM jsonb_array_elements(answers) WITH ORDINALITY AS a(answer, n)
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rehearsal_nodes(jsonb, jsonb) IS
'serves rehearse() on the coordinator of a Citus cluster: duration, locks and WAL of each other node, and in what its '
	'effects differ from those of the steps here';

CREATE FUNCTION documentdb_upgrade_internal.rehearsal_node(node jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN node->'steps' IS NULL THEN
            format('Node %s: %s', node->>'node', coalesce(node->>'problem', node->>'error'))
        ELSE concat_ws(E'\n',
            format('Node %s: %s ms, %s lock entries, %s of WAL; %s', node->>'node', node->>'ms', node->>'lock_entries',
                   pg_size_pretty((node->>'wal_bytes')::bigint),
                   CASE WHEN node->'differences' = '[]' THEN 'the same effects as here'
                        ELSE 'other effects than here:' END),
            (SELECT string_agg(format('  step %s, %s: %s %s', d->>'step', d->>'what',
                        CASE d->>'effect' WHEN 'relations' THEN 'locks' ELSE d->>'effect' END, d->>'object'),
                        E'\n' ORDER BY n)
             FROM jsonb_array_elements(node->'differences') WITH ORDINALITY AS x(d, n))) END
$$;
COMMENT ON FUNCTION documentdb_upgrade_internal.rehearsal_node(jsonb) IS
'serves rehearsal_report(): the lines about another node of a Citus cluster';

CREATE FUNCTION rehearsal_report(id bigint DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM documentdb_upgrade.rehearsals r WHERE r.id = rehearsal_report.id) AND id IS NOT NULL THEN
        RAISE EXCEPTION 'rehearsal % does not exist', id
            USING ERRCODE = 'undefined_object',
                  HINT = CASE WHEN EXISTS (SELECT FROM documentdb_upgrade.rehearsals)
                              THEN 'Those that do are shown by '
                                   'SELECT id, started_at, to_version, outcome FROM documentdb_upgrade.rehearsals;'
                              ELSE 'Nothing was rehearsed here yet. To begin, run '
                                   'SELECT id, outcome, message FROM documentdb_upgrade.rehearse();' END;
    END IF;
    RETURN (SELECT concat_ws(E'\n',
        CASE WHEN r.from_version = r.to_version
             THEN format('Rehearsal %s of %sextension %s at %s: %s', r.id, CASE
                 WHEN r.extensions <> '[]' THEN 'the companions of ' END,
                         r.extension, r.to_version, r.outcome)
             ELSE format('Rehearsal %s of extension %s from %s to %s: %s', r.id, r.extension,
                         coalesce(r.from_version, 'none'), coalesce(r.to_version, 'unknown'), r.outcome) END,
        format('  by %s (%s) at %s, %s ms%s', r.role_name, r.client, date_trunc('second', r.started_at),
               round(extract(epoch FROM r.finished_at - r.started_at) * 1000),
               CASE WHEN r.scratch THEN ', in a throw-away database' ELSE '' END),
        format('  fingerprint %s', r.fingerprint),
        CASE WHEN r.report->'steps' = '[]' THEN '  no step ran' ELSE
            format('  heaviest risk: %s; %s lock entries at most; %s of WAL; %s', coalesce(r.risk, 'none, no step ran'),
                r.lock_entries,
                   pg_size_pretty(r.wal_bytes), coalesce(r.report->>'checks', 'no check ran')) END,
        CASE WHEN r.report->>'deferred' <> 'met' THEN '  deferred constraints: ' || (r.report->>'deferred') END,
        documentdb_upgrade_internal.rehearsal_outside(r.report),
        (SELECT string_agg(documentdb_upgrade_internal.rehearsal_step(s.step, s.n,
            jsonb_array_length(r.report->'steps')), E'\n' ORDER BY s.n)
         FROM jsonb_array_elements(r.report->'steps') WITH ORDINALITY AS s(step, n)),
        (SELECT string_agg(documentdb_upgrade_internal.rehearsal_node(n.node), E'\n' ORDER BY n.n)
         FROM jsonb_array_elements(r.report->'nodes') WITH ORDINALITY AS n(node, n)),
        (SELECT E'Advanced, and not brought back by the rollback:\n'
                || string_agg(format('  sequence %s from %s to %s', q->>'sequence', q->>'from', q->>'to'), E'\n')
         FROM jsonb_array_elements(r.report->'sequences') q HAVING count(*) > 0),
        'Not compared with a fresh installation: ' || (r.report #>> '{fresh,problem}'),
        (SELECT format(E'Not as CREATE EXTENSION %I VERSION %L makes it:\n', r.extension, r.to_version)
                || string_agg(format('  %s: %s %s', d->>'what', d->>'kind', d->>'identity'), E'\n')
         FROM jsonb_array_elements(r.report #> '{fresh,differences}') d HAVING count(*) > 0),
        (SELECT E'Guards that do not pass now:\n'
                || string_agg(format('  %s: %s. %s', g->>'guard', g->>'status', g->>'detail'), E'\n')
         FROM jsonb_array_elements(r.report->'guards') g HAVING count(*) > 0),
        CASE WHEN r.outcome <> 'passed' THEN concat_ws(E'\n',
            format('%s with %s: %s', initcap(r.outcome), r.sqlstate, r.message),
            '  detail: ' || replace(r.detail, E'\n', E'\n    '), '  hint: ' || r.hint, '  script: ' || r.script,
            '  line: ' || r.script_line, '  context: ' || replace(r.context, E'\n', E'\n    '),
            '  Nothing was changed.') END)
    FROM documentdb_upgrade.rehearsals r
    WHERE r.id = coalesce(rehearsal_report.id, (SELECT max(l.id) FROM documentdb_upgrade.rehearsals l)));
END
$$;
COMMENT ON FUNCTION rehearsal_report(bigint) IS
'the rehearsal with that id (null: the newest) as a text for people; null when nothing was rehearsed; '
'42704 when there is none with that id';
