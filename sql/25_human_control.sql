--
-- Human control
--

CREATE FUNCTION documentdb_upgrade_internal.stop_for_hold() RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_stop_for_hold';
COMMENT ON FUNCTION stop_for_hold() IS
'serves hold(): ends the attempt that the worker runs; false when its commit has begun';

CREATE FUNCTION documentdb_upgrade_internal.wake_at_commit() RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_wake_at_commit';
COMMENT ON FUNCTION wake_at_commit() IS
'serves hold() and release(): has the worker look when this transaction has committed';

CREATE FUNCTION documentdb_upgrade_internal.notify_at_commit(payload text) RETURNS void
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_notify_at_commit';
COMMENT ON FUNCTION notify_at_commit(text) IS
'serves hold() and release(): NOTIFY when this transaction commits, which it can be prepared in spite of';

CREATE FUNCTION hold(reason text, until timestamptz DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    in_time boolean;
BEGIN
    IF coalesce(reason, '') = '' THEN
        RAISE EXCEPTION 'reason of a hold must not be empty'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF until <= clock_timestamp() THEN
        RAISE EXCEPTION 'hold would end in the past'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave out the second argument for a hold without end.';
    END IF;
    INSERT INTO documentdb_upgrade.holds (reason, until)
        VALUES (hold.reason, hold.until);
    in_time := documentdb_upgrade_internal.stop_for_hold();
    PERFORM documentdb_upgrade_internal.wake_at_commit();
    PERFORM documentdb_upgrade_internal.notify_at_commit(
        jsonb_build_object('event', 'hold', 'reason', left(reason, 1000))::text);
    RETURN in_time;
END
$$;
COMMENT ON FUNCTION hold(text, timestamptz) IS
'places a hold: guard hold refuses every finalize until release() or the given time, and an attempt of the worker is '
	'ended at once; true when placed in time, false when the commit of such an attempt had begun (the hold stands all '
	'the same)';

CREATE FUNCTION documentdb_upgrade_internal.await_holds() RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_await_holds';
COMMENT ON FUNCTION await_holds() IS
'serves release(): waits for the transactions that are placing or ending holds';

CREATE FUNCTION release() RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM documentdb_upgrade_internal.await_holds();
    UPDATE documentdb_upgrade.holds
        SET released_at = clock_timestamp(), released_by = session_user
        WHERE released_at IS NULL
          AND (until IS NULL OR until > clock_timestamp());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM documentdb_upgrade_internal.wake_at_commit();
    PERFORM documentdb_upgrade_internal.notify_at_commit(jsonb_build_object('event', 'release')::text);
    RETURN true;
END
$$;
COMMENT ON FUNCTION release() IS
'ends all holds in force; false when there was none; waits for hold() in transactions that have not ended';

CREATE FUNCTION record_backup(label text, finished_at timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    backup_id bigint;
BEGIN
    IF coalesce(label, '') = '' OR finished_at IS NULL OR NOT isfinite(finished_at) THEN
        RAISE EXCEPTION 'label and time of a backup must be given'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF finished_at > clock_timestamp() + interval '5 minutes' THEN
        RAISE EXCEPTION 'backup "%" has not finished yet', label
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Record a backup when it has finished.';
    END IF;
    INSERT INTO documentdb_upgrade.backups (label, finished_at)
        VALUES (record_backup.label, record_backup.finished_at)
        RETURNING id INTO backup_id;
    RETURN backup_id;
END
$$;
COMMENT ON FUNCTION record_backup(text, timestamptz) IS
'tells that a backup has finished, for guard backup_recent; returns its number';
