--
-- Committing
--

CREATE FUNCTION finalize_to(target text, expected_fingerprint text DEFAULT NULL,
                            skip_guards text[] DEFAULT '{}', one_transaction boolean DEFAULT true,
                            "from" text DEFAULT NULL, extension text DEFAULT NULL)
    RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize_to';
COMMENT ON FUNCTION finalize_to(text, text, text[], boolean, text, text) IS
'updates the managed set to the target and returns the history row; commits with the caller''s transaction; '
	'a target already reached is success and changes nothing. With one_transaction false each version on the way is '
	'committed by itself, in a process of its own, whatever the caller''s transaction does; the first that fails ends '
	'it, and the error says where it stands. With "from", which must be the installed version, both may be versions '
	'that cannot be ordered (commits), written as the files write them, when scripts lead from one to the other. '
	'Errors: 22023 malformed target, unknown guard or main extension, 22004 null target, 42704 not installed, '
	'0A000 no such version or path, 55000 refused, 55006 another upgrade runs, '
	'55P03 locks not to be had in time, 57014 time limit or cancel, 42501 owner cannot update or the caller may not '
	'override a guard, 25001 isolation level, 25006 standby or read-only, and what a script raises';

CREATE FUNCTION finalize(extension text DEFAULT NULL) RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize';
COMMENT ON FUNCTION finalize(text) IS
'like finalize_to with the binary version as target';

CREATE FUNCTION finalize_detached(target text, expected_fingerprint text DEFAULT NULL,
                                  skip_guards text[] DEFAULT '{}', extension text DEFAULT NULL)
    RETURNS history
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_finalize_detached';
COMMENT ON FUNCTION finalize_detached(text, text, text[], text) IS
'like finalize_to, in a process and a transaction of its own, which commits whatever the caller''s does; for '
	'extensions whose library refuses the update in a session that has used them: the process begins with the '
	'update, and guards that need a query, and all checks, run after the scripts. The same errors, and 53400 without '
	'a free background worker, 57000 when the process was ended';

CREATE PROCEDURE run_finalize_to(target text, expected_fingerprint text DEFAULT NULL,
                                 skip_guards text[] DEFAULT '{}', one_transaction boolean DEFAULT true,
                                 "from" text DEFAULT NULL, extension text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_run_finalize_to';
COMMENT ON PROCEDURE run_finalize_to(text, text, text[], boolean, text, text) IS
'like finalize_to, for roles that a planner hook keeps out of SELECT: CALL enters no planner';
