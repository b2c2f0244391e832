\echo Use "ALTER EXTENSION documentdb_upgrade UPDATE" to load this file. \quit

-- From 1.0.0, the first version, whose script is kept as it was released.

SET LOCAL search_path = documentdb_upgrade, documentdb_upgrade_internal, pg_temp;

COMMENT ON FUNCTION plan(text) IS
'one row per script that a finalize to the target (null: the binary version) would run, in order; '
	'when there is no way to it, one row without a step whose risk_reason says why and what helps; '
	'risk and locks as far as the script''s text shows them; malformed target raises 22023';
