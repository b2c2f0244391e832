-- Windows: when a finalize may run.  What the clock says is tested by windows
-- around and opposite to the current time.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_ahead';
\c
CREATE EXTENSION du_ahead VERSION '1.0';

-- A window from so many hours before or after now to so many, in a zone; with
-- the weekday on which it starts if wanted.
CREATE FUNCTION around(start interval, finish interval, zone text DEFAULT 'UTC', with_day boolean DEFAULT false)
RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN with_day THEN to_char(clock_timestamp() AT TIME ZONE zone + start, 'Dy ') ELSE '' END
		|| to_char(clock_timestamp() AT TIME ZONE zone + start, 'HH24:MI-')
		|| to_char(clock_timestamp() AT TIME ZONE zone + finish, 'HH24:MI ') || zone
$$;
CREATE FUNCTION in_window(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('documentdb_upgrade.maintenance_window', $1, false);
	RETURN (SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'window');
END
$$;

SELECT in_window('') AS none;
SELECT in_window(around('-2 hours', '2 hours')) AS inside,
       in_window(around('2 hours', '-2 hours')) AS outside;
SELECT in_window(around('-2 hours', '2 hours', 'Asia/Kolkata')) AS inside,
       in_window(around('2 hours', '-2 hours', 'Asia/Kolkata')) AS outside;
-- The end is not in it; the start is.
SELECT in_window(around('-2 hours', '0')) AS over,
       in_window(around('2 minutes', '2 hours')) AS not_yet,
       in_window(around('0', '2 hours')) AS just_begun;
-- On a weekday; over midnight it belongs to the day on which it starts.
SELECT in_window(around('-2 hours', '2 hours', 'UTC', true)) AS today,
       in_window(around('-26 hours', '-22 hours', 'UTC', true)) AS yesterday,
       in_window(around('-23 hours', '30 minutes', 'UTC', true)) AS since_yesterday,
       in_window(around('1 hour', '24.5 hours', 'UTC', true)) AS until_tomorrow;
SELECT in_window('Sun,Mon,Tue,Wed,Thu,Fri,Sat 00:00-24:00') AS always,
       in_window(around('2 hours', '4 hours') || ';' || around('-1 hour', '1 hour')) AS one_of_two;

-- Words and the way in.
SELECT set_config('documentdb_upgrade.maintenance_window', around('2 hours', '-2 hours'), false) IS NOT NULL AS set;
SELECT status, regexp_replace(detail, '"\d.*at [^.]*', '"...", which opens next at ...') AS detail, hint
FROM documentdb_upgrade.preflight() WHERE guard = 'window';
\set VERBOSITY terse
SELECT documentdb_upgrade.finalize();
SELECT outcome, skipped_guards FROM documentdb_upgrade.finalize_to('1.1', skip_guards => '{window}');

-- What cannot be read is refused when it is set.  (The word is a key word of
-- SQL, so that SET needs it quoted.)
\set VERBOSITY default
SET documentdb_upgrade.maintenance_window = 'sometimes';
SET documentdb_upgrade.maintenance_window = 'Sat';
SET documentdb_upgrade.maintenance_window = 'Sat,Sonntag 02:00-04:00';
SET documentdb_upgrade.maintenance_window = '02:00-25:00';
SET documentdb_upgrade.maintenance_window = '02:00-02:00';
SET documentdb_upgrade.maintenance_window = '2:60-4:00';
SET documentdb_upgrade.maintenance_window = '02:00-04:00 Nowhere/City';
SET documentdb_upgrade.maintenance_window = '02:00-04:00 UTC daily';
SET documentdb_upgrade.maintenance_window = '02:00-04:00;';
SET documentdb_upgrade.maintenance_window = '02:00-04:00junk';
-- What people write.
SET documentdb_upgrade.maintenance_window = 'sat,SUN 2:00-4:00 UTC; 22:00-01:30 Europe/Berlin';
SHOW documentdb_upgrade.maintenance_window;

DROP FUNCTION around, in_window;
DROP EXTENSION du_ahead;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
