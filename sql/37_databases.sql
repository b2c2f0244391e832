--
-- Every database
--

CREATE FUNCTION documentdb_upgrade_internal.database_list(OUT database text, OUT extension text,
                              OUT installed_version text, OUT binary_version text, OUT target text,
                              OUT state text, OUT behind boolean, OUT served boolean,
                              OUT looked_at timestamptz, OUT fence text, OUT note text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 10
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_database_list';
COMMENT ON FUNCTION database_list() IS 'the rows of view databases';

CREATE VIEW databases AS
    SELECT database, extension, installed_version, binary_version, target, state, behind, served, looked_at,
           fence, note
    FROM database_list();
COMMENT ON VIEW databases IS
'one row per database of this server and main extension there, on primaries and standbys, as it was when it was '
	'looked at last: by its worker, else by a process that comes every documentdb_upgrade.database_look_interval; the '
	'database of this session is looked at now';
COMMENT ON COLUMN databases.database IS 'its name';
COMMENT ON COLUMN databases.extension IS 'a main extension there; null: it was not looked at, as for what follows';
COMMENT ON COLUMN databases.installed_version IS 'version of that extension there; null: not installed';
COMMENT ON COLUMN databases.binary_version IS 'version that the files on this instance offer';
COMMENT ON COLUMN databases.target IS 'version that a finalize there would go to';
COMMENT ON COLUMN databases.state
	IS 'as in view status where a worker serves it, else what the versions say; finalizing while an attempt runs there';
COMMENT ON COLUMN databases.behind
	IS 'true: the files on this instance do not match what is installed, whatever is desired';
COMMENT ON COLUMN databases.served IS 'true: a worker serves it now';
COMMENT ON COLUMN databases.looked_at IS 'when that was found out; null: never';
COMMENT ON COLUMN databases.fence IS 'why writes to it are stopped; null: they are not';
COMMENT ON COLUMN databases.note IS 'what is special about it, why it was not looked at, and what would upgrade it';

CREATE FUNCTION finalize_everywhere(target text DEFAULT NULL,
                                    OUT database text, OUT extension text, OUT from_version text,
                                    OUT to_version text, OUT outcome text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize_everywhere';
COMMENT ON FUNCTION finalize_everywhere(text) IS
'finalizes the databases of this server in the order of their names, each in a transaction and a process of its own, '
	'as finalize_to does there for the role that calls; stops at the first that fails. One row for each that can be '
	'connected to, and for each of its main extensions: succeeded, unchanged, skipped, failed, or left: not tried. '
	'Target null: what the binary offers there; a version goes to databases with the same main extension alone. What '
	'is done stays done when the caller rolls back. Errors: 22023 malformed target, 25006 standby';
