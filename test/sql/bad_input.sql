-- Extensions that are broken in all kinds of ways: each refusal or failure has
-- its SQLSTATE, says where, is recorded, and leaves everything as it was.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'
CREATE SCHEMA bad;

-- Installs an extension and makes it the main one of this database.
CREATE PROCEDURE bad.install(extension text, version text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER DATABASE %I SET documentdb_upgrade.extension = %L', current_database(), extension);
	EXECUTE format('CREATE EXTENSION %I SCHEMA bad VERSION %L', extension, version);
END
$$;
-- Tries to finalize and shows what comes of it, paths cut off.
CREATE FUNCTION bad.try(target text, OUT code text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM documentdb_upgrade.finalize_to(target);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	message := regexp_replace(message, '/\S*/extension/', '');
	detail := regexp_replace(detail, '/\S*/extension/', '');
END
$$;
-- The main extension's version, members, and columns of its tables.
CREATE VIEW bad.installed AS
	SELECT e.extversion, pg_describe_object(d.classid, d.objid, 0) AS member,
		   (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
			WHERE attrelid = d.objid AND d.classid = 'pg_class'::regclass AND attnum > 0) AS columns
	FROM pg_extension e LEFT JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass
		AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid <> 'pg_type'::regclass	-- members since 17
	WHERE e.extname LIKE 'du\_%' ORDER BY 2;
-- What the newest row of history says of the last attempt.
CREATE VIEW bad.recorded AS
	SELECT outcome, refused_by, from_version, to_version, sqlstate,
		   regexp_replace(script, '^.*/', '') AS script, script_line AS line
	FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1;
-- The last line of the context, which is about the script.
CREATE VIEW bad.context AS
	SELECT regexp_replace(regexp_replace(context, '^.*\n', ''), '/\S*/extension/', '') AS context
	FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1;
\x

--
-- An extension that nobody knows.
--
SET documentdb_upgrade.extension = 'no_such_extension';
SELECT * FROM bad.try('1.0');
SELECT * FROM bad.recorded;
SELECT documentdb_upgrade.schema_version(), documentdb_upgrade.binary_version(), documentdb_upgrade.loaded_version();
SET documentdb_upgrade.extension = '../../etc/passwd';
SELECT * FROM bad.try('1.0');
SET documentdb_upgrade.extension = '';
SET documentdb_upgrade.extension = 'an extension whose name is longer than any name that the server can store';
SELECT * FROM bad.try('1.0');

--
-- Versions that are none, and enormous ones.
--
CALL bad.install('du_broken', '1.0');
\c
SELECT * FROM bad.try('');
SELECT * FROM bad.try('latest');
SELECT * FROM bad.try('1.0; DROP TABLE bad.broken');
SELECT * FROM bad.try('1.0--1.1');
SELECT code, left(message, 40) AS message, detail FROM bad.try(repeat('1', 256));
SELECT code, left(message, 40) AS message, detail, length(message) < 1000 AS readable
FROM bad.try(repeat('9.', 100000) || '9');
SELECT code, left(message, 40) AS message FROM bad.try(repeat('9', 255));
SELECT code, detail FROM bad.try('99999999999999999999.0');

--
-- A script that fails half-way, in the second step of two.
--
SELECT * FROM bad.installed;
SELECT * FROM bad.try('1.2');
SELECT * FROM bad.installed;
SELECT * FROM bad.recorded;
SELECT * FROM bad.context;
-- The step before it works alone.
SELECT outcome FROM documentdb_upgrade.finalize_to('1.1');
SELECT * FROM bad.try('1.2');
SELECT * FROM bad.context;
DROP EXTENSION du_broken;

-- One that fails at a place that the server knows, after characters of more
-- than one byte.
CREATE EXTENSION du_broken SCHEMA bad VERSION '1.2';
\c
SELECT * FROM bad.try('1.3');
SELECT * FROM bad.installed;
SELECT * FROM bad.recorded;
SELECT * FROM bad.context;
DROP EXTENSION du_broken;

-- One that raises an error of its own in a DO block: the line is the block's.
CREATE EXTENSION du_broken SCHEMA bad VERSION '1.3';
SELECT * FROM bad.try('1.4');
SELECT * FROM bad.installed;
SELECT * FROM bad.recorded;
SELECT * FROM bad.context;
DROP EXTENSION du_broken;

-- One that is no SQL is refused before anything runs.
CREATE EXTENSION du_broken SCHEMA bad VERSION '1.4';
SELECT * FROM bad.try('1.5');
SELECT * FROM bad.installed;
SELECT * FROM bad.recorded;
DROP EXTENSION du_broken;

-- One that changes the role: the plan says so, and the server refuses.
CALL bad.install('du_setrole', '1.0');
\c
SELECT risk_reason FROM documentdb_upgrade.plan();
SELECT * FROM bad.try('1.1');
SELECT current_user = session_user AS role_unchanged;
SELECT * FROM bad.installed;
SELECT * FROM bad.recorded;
DROP EXTENSION du_setrole;

--
-- A script that is missing in the middle of the path.
--
CALL bad.install('du_gap', '1.0');
\c
SELECT * FROM bad.try('1.3');
SELECT * FROM bad.try('1.2');
SELECT * FROM bad.installed;
SELECT * FROM bad.recorded;
SELECT outcome, to_version FROM documentdb_upgrade.finalize_to('1.1');
DROP EXTENSION du_gap;

--
-- Paths that leave the range between installed and target.
--
CALL bad.install('du_zigzag', '1.0');
\c
SELECT * FROM bad.try('1.3');
SELECT * FROM bad.try('ANY');
SELECT * FROM bad.installed;
SELECT outcome, to_version FROM documentdb_upgrade.finalize_to('1.1');
DROP EXTENSION du_zigzag;

--
-- No default_version: the binary is the highest version that the files offer,
-- compared as a version.
--
CALL bad.install('du_nodefault', '1.2');
\c
SELECT documentdb_upgrade.binary_version();
SELECT * FROM bad.try('1.11');
SELECT outcome, to_version FROM documentdb_upgrade.finalize();
DROP EXTENSION du_nodefault;

--
-- More than the binary has, and a binary that is older than its schema.
--
CALL bad.install('du_ahead', '1.0');
\c
SELECT * FROM bad.try('1.2');
SET allow_system_table_mods = on;
UPDATE pg_extension SET extversion = '1.2' WHERE extname = 'du_ahead';
SELECT * FROM bad.try('1.1');
SELECT * FROM bad.try('1.3');
-- Then even what is installed is not to be had from this binary.
SELECT * FROM bad.try('1.2');
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize();
SELECT * FROM bad.recorded;
\set VERBOSITY default
\c

--
-- No control file at all.
--
SET allow_system_table_mods = on;
UPDATE pg_extension SET extname = 'du_vanished' WHERE extname = 'du_ahead';
SET documentdb_upgrade.extension = 'du_vanished';
SELECT * FROM bad.try('1.3');
SELECT * FROM bad.recorded;
-- Looking is possible all the same.
SELECT documentdb_upgrade.schema_version(), documentdb_upgrade.binary_version();
SELECT state, next_step FROM documentdb_upgrade.status;
\c
-- An installed version that cannot be ordered.
SET allow_system_table_mods = on;
UPDATE pg_extension SET extname = 'du_ahead', extversion = 'unpackaged' WHERE extname = 'du_vanished';
SELECT * FROM bad.try('1.1');
SELECT * FROM bad.recorded;
SELECT state, next_step FROM documentdb_upgrade.status;
UPDATE pg_extension SET extversion = '1.2' WHERE extname = 'du_ahead';
DROP EXTENSION du_ahead;
\x

-- Guards that do not exist, and hard ones, cannot be skipped.
CALL bad.install('du_broken', '1.0');
\c
\set VERBOSITY default
SELECT documentdb_upgrade.finalize_to('1.1', skip_guards => '{no_such_guard}');
SELECT documentdb_upgrade.finalize_to('1.1', skip_guards => '{hold,update_path}');
SELECT documentdb_upgrade.finalize_to('1.1', skip_guards => '{HOLD}');
SELECT documentdb_upgrade.finalize_to('1.1', skip_guards => '{""}');
SELECT documentdb_upgrade.finalize_to('1.1', skip_guards => '{{hold},{no_such_guard}}');
SELECT documentdb_upgrade.schema_version();

DROP EXTENSION du_broken;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
DROP SCHEMA bad CASCADE;
