--
-- Parity: the processes that compare
--

CREATE FUNCTION documentdb_upgrade_internal.run_parity(options jsonb, conninfo text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_parity'
LANGUAGE C VOLATILE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION run_parity(jsonb, text) IS
'has background processes carry out a parity run under a snapshot of the caller''s, and with conninfo under one of the other server''s too; waits for them and returns the run''s id; for table_checksums() and compare_with()';
