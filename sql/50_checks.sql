--
-- Checks that are shipped
--

CREATE FUNCTION documentdb_upgrade_internal.check_applies(requires text[]) RETURNS boolean
    LANGUAGE C STABLE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_check_applies';
COMMENT ON FUNCTION check_applies(text[]) IS
'true when every function named is a member of the main extension; a check that requires others is not run';

CREATE FUNCTION documentdb_upgrade_internal.check_documentdb_crud() RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    -- A database of its own: nobody else's collection can be met.
    name constant text := 'documentdb_upgrade_' || txid_current();
    step record;
    found_document record;
    equal boolean;
BEGIN
    -- The library reads its version anew over a connection of its own, as the
    -- user of this session.
    IF EXISTS (SELECT FROM pg_namespace n
               WHERE n.nspname IN ('documentdb_core', 'documentdb_api_catalog', 'documentdb_api_internal')
                 AND NOT has_schema_privilege(session_user, n.oid, 'USAGE')) THEN
        RAISE WARNING 'check documentdb_crud did not run: role "%" lacks USAGE on the schemas of DocumentDB',
            session_user
            USING HINT = 'Grant USAGE on documentdb_core, documentdb_api_catalog and documentdb_api_internal.';
        RETURN true;
    END IF;

    -- The API's types are not known when this function is made, so every
    -- statement is dynamic; a query of the API may select nothing else.
    FOR step IN SELECT * FROM (VALUES
        ('insert', 'SELECT documentdb_api.insert_one($1, ''c'', $2::documentdb_core.bson)',
         '{"_id": 1, "kind": "a", "n": 2}'),
        ('insert', 'SELECT documentdb_api.insert_one($1, ''c'', $2::documentdb_core.bson)',
         '{"_id": 2, "kind": "b", "n": 3}'),
        ('find', '{"find": "c", "filter": {"kind": "b"}}', '{"_id": 2, "kind": "b", "n": 3}'),
        ('update', 'SELECT documentdb_api.update($1, $2::documentdb_core.bson)',
         '{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$set": {"n": 5}}}]}'),
        ('find', '{"find": "c", "filter": {"_id": 1}}', '{"_id": 1, "kind": "a", "n": 5}'),
        ('aggregate',
         '{"aggregate": "c", "pipeline": [{"$group": {"_id": null, "sum": {"$sum": "$n"}}}], "cursor": {}}',
         '{"_id": null, "sum": 8}'),
        ('delete', 'SELECT documentdb_api.delete($1, $2::documentdb_core.bson)',
         '{"delete": "c", "deletes": [{"q": {"_id": 2}, "limit": 1}]}'),
        ('find', '{"find": "c", "filter": {}}', '{"_id": 1, "kind": "a", "n": 5}')
        ) AS s(verb, query, document)
    LOOP
        IF step.verb NOT IN ('find', 'aggregate') THEN
            EXECUTE step.query USING name, step.document;
            CONTINUE;
        END IF;
        equal := NULL;
        FOR found_document IN EXECUTE format(
            'SELECT document FROM documentdb_api_catalog.%I(%L, %L::documentdb_core.bson)',
            CASE step.verb WHEN 'find' THEN 'bson_aggregation_find' ELSE 'bson_aggregation_pipeline' END,
            name, step.query)
        LOOP
            IF equal IS NOT NULL THEN
                RAISE WARNING 'DocumentDB found more than one document for %', step.query;
                RETURN false;
            END IF;
            EXECUTE 'SELECT $1 OPERATOR(documentdb_core.=) $2::documentdb_core.bson'
                INTO equal USING found_document.document, step.document;
        END LOOP;
        IF equal IS NOT TRUE THEN
            RAISE WARNING 'DocumentDB did not find % for %', step.document, step.query;
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION check_documentdb_crud() IS
'serves checks: inserts, finds, updates, aggregates and deletes through DocumentDB''s SQL interface, '
	'in a database of its own; true when all of that gives what it should';

INSERT INTO checks (name, kind, function, builtin, description, requires) VALUES
    ('documentdb_crud', 'post', 'documentdb_upgrade_internal.check_documentdb_crud()', true,
     'documents can be inserted, found, updated, aggregated and deleted',
     '{documentdb_api.insert_one, documentdb_api.update, documentdb_api.delete, '
         'documentdb_api_catalog.bson_aggregation_find, documentdb_api_catalog.bson_aggregation_pipeline}')
    ON CONFLICT (name) DO NOTHING;
