--
-- Versions
--

CREATE FUNCTION to_semver(version text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_to_semver';
COMMENT ON FUNCTION to_semver(text) IS
'the version spelled with dots, at least three components: 0.112-0 gives 0.112.0; malformed input raises 22023';

CREATE FUNCTION to_extension_version(version text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_to_extension_version';
COMMENT ON FUNCTION to_extension_version(text) IS
'the version as DocumentDB spells it: 0.112.0 gives 0.112-0; malformed input raises 22023';

CREATE FUNCTION compare_versions(a text, b text) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_compare_versions';
COMMENT ON FUNCTION compare_versions(text, text) IS
'-1, 0 or 1 as a sorts before, with or after b, component by component; malformed input raises 22023';

CREATE FUNCTION documentdb_upgrade_internal.version_order(a text, b text) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_version_order';
COMMENT ON FUNCTION version_order(text, text) IS
'as compare_versions(), but null where one of the two cannot be ordered: for versions that a catalogue, a file or '
	'history has';

CREATE FUNCTION decide(desired text, installed text, binary text,
                       OUT decision text, OUT target text, OUT reason text)
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_decide';
COMMENT ON FUNCTION decide(text, text, text) IS
'what a desired version ('''', auto or a version) means for an installed and a binary one: not_installed, refuse, '
	'schema_ahead, wait, none, update_available or finalize; a pure function of its arguments';
