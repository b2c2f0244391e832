\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE TO '0.4.0'" to load this file. \quit

SET LOCAL search_path = documentdb_upgrade, pg_temp;

-- @libraries

-- @members

-- @checks

-- @hooks

COMMENT ON COLUMN history.extension IS 'the main extension; of a manual update the one that was updated';
COMMENT ON COLUMN history.actor IS 'who drove the attempt: function, worker, tick, or manual: a plain ALTER EXTENSION';
COMMENT ON COLUMN history.skipped_guards IS 'guards that the caller overrode, or that a manual update went against';

-- @fence

-- @privileges
