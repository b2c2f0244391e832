\echo Use "CREATE EXTENSION documentdb_upgrade" to load this file. \quit

-- Made here, so that it is a member and goes with the extension, and so that
-- a schema of this name that somebody else has made is refused.
CREATE SCHEMA documentdb_upgrade;
COMMENT ON SCHEMA documentdb_upgrade IS 'commits extension upgrades safely';
GRANT USAGE ON SCHEMA documentdb_upgrade TO PUBLIC;
SET LOCAL search_path = documentdb_upgrade, pg_temp;
