--
-- Checksums of rows
--

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_add(internal, record) RETURNS internal
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_add';
COMMENT ON FUNCTION row_checksum_add(internal, record) IS 'transition function of row_checksum';

CREATE FUNCTION documentdb_upgrade_internal.columns_checksum_add(internal, record, VARIADIC "any") RETURNS internal
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_columns_checksum_add';
COMMENT ON FUNCTION columns_checksum_add(internal, record, VARIADIC "any") IS 'transition function of columns_checksum';

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_combine(internal, internal) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_combine';
COMMENT ON FUNCTION row_checksum_combine(internal, internal) IS 'combine function of row_checksum';

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_serialize(internal) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_serialize';
COMMENT ON FUNCTION row_checksum_serialize(internal) IS 'serialization function of row_checksum';

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_deserialize(bytea, internal) RETURNS internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_deserialize';
COMMENT ON FUNCTION row_checksum_deserialize(bytea, internal) IS 'deserialization function of row_checksum';

CREATE FUNCTION documentdb_upgrade_internal.row_checksum_result(internal) RETURNS text
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_row_checksum_result';
COMMENT ON FUNCTION row_checksum_result(internal) IS 'final function of row_checksum';

CREATE AGGREGATE row_checksum(record) (
    SFUNC = row_checksum_add,
    STYPE = internal,
    SSPACE = 16,
    FINALFUNC = row_checksum_result,
    COMBINEFUNC = row_checksum_combine,
    SERIALFUNC = row_checksum_serialize,
    DESERIALFUNC = row_checksum_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE row_checksum(record)
	IS 'checksum of rows that does not depend on their order, nor on the server that has them';

CREATE AGGREGATE columns_checksum(record, VARIADIC "any") (
    SFUNC = columns_checksum_add,
    STYPE = internal,
    SSPACE = 16,
    FINALFUNC = row_checksum_result,
    COMBINEFUNC = row_checksum_combine,
    SERIALFUNC = row_checksum_serialize,
    DESERIALFUNC = row_checksum_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE columns_checksum(record, VARIADIC "any")
	IS 'the same as row_checksum, and faster: a NULL of the row type, and all columns in their order';

CREATE FUNCTION record_checksum(record) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_record_checksum';
COMMENT ON FUNCTION record_checksum(record) IS 'checksum of one row';

CREATE FUNCTION checksum_algorithm() RETURNS text
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_checksum_algorithm';
COMMENT ON FUNCTION checksum_algorithm()
	IS 'how row_checksum and record_checksum hash: checksums of different algorithms are never compared';

CREATE FUNCTION add_checksums(text, text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'documentdb_upgrade_add_checksums';
COMMENT ON FUNCTION add_checksums(text, text) IS 'checksum of two sets of rows together, from those of each';
