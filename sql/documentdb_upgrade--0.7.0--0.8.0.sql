\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE TO '0.8.0'" to load this file. \quit

SET LOCAL search_path = documentdb_upgrade, pg_temp;

-- @checksum

--
-- Parity: the processes that compare
--

CREATE FUNCTION run_parity(options jsonb, conninfo text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_parity'
LANGUAGE C VOLATILE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION run_parity(jsonb, text) IS
'has background processes carry out a parity run under a snapshot of the caller''s, and with conninfo under one of the other server''s too; waits for them and returns the run''s id; for table_checksums() and compare_with()';

-- @process

-- @parity

-- @fence

-- @privileges-checksum

REVOKE ALL ON FUNCTION run_parity(jsonb, text) FROM PUBLIC;

-- @privileges-process

-- @privileges-parity

-- @privileges-fence
