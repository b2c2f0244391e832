\echo Use "CREATE EXTENSION documentdb_upgrade" to load this file. \quit

-- Made here, so that they are members and go with the extension, and so that
-- a schema of such a name that somebody else has made is refused.
CREATE SCHEMA documentdb_upgrade;
COMMENT ON SCHEMA documentdb_upgrade IS 'commits extension upgrades safely';
GRANT USAGE ON SCHEMA documentdb_upgrade TO PUBLIC;

-- What the functions and views of the first call: \df documentdb_upgrade. shows
-- what people call.
CREATE SCHEMA documentdb_upgrade_internal;
COMMENT ON SCHEMA documentdb_upgrade_internal IS
'serves the functions and views of schema documentdb_upgrade; it may change with any release';
GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO pg_monitor;

SET LOCAL search_path = documentdb_upgrade, documentdb_upgrade_internal, pg_temp;
