\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE TO '0.4.0'" to load this file. \quit

SET LOCAL search_path = documentdb_upgrade, pg_temp;

-- @libraries

-- @members

-- @checks

-- @hooks

-- @fence

-- @privileges
