\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE TO '0.7.0'" to load this file. \quit

SET LOCAL search_path = documentdb_upgrade, pg_temp;

-- @admission

-- @releases

-- @runbook

-- @privileges-admission

-- @privileges-releases

-- @privileges-runbook
