\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE TO '0.8.0'" to load this file. \quit

SET LOCAL search_path = documentdb_upgrade, pg_temp;

-- @checksum

-- @process

-- @parity

-- @fence

-- @privileges-checksum

-- @privileges-process

-- @privileges-parity

-- @privileges-fence
