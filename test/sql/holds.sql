-- Holds: a human says "not now" and why; everybody is told until it is released
-- or over.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'
ALTER DATABASE :"DBNAME" SET documentdb_upgrade.extension = 'du_ahead';
\c
CREATE EXTENSION du_ahead VERSION '1.0';

SELECT documentdb_upgrade.hold('quarter''s end');
SELECT status, detail, hint FROM documentdb_upgrade.preflight() WHERE guard = 'hold';
SELECT documentdb_upgrade.can_finalize();
SELECT documentdb_upgrade.finalize();
SELECT outcome, refused_by FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1;

-- A second one: both have to go, and release() takes them all.
SELECT documentdb_upgrade.hold('somebody else''s reason', 'infinity');
SELECT reason, until, placed_by = session_user AS by_me, released_at, released_by
FROM documentdb_upgrade.holds ORDER BY id;
SELECT documentdb_upgrade.release();
SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'hold';
SELECT reason, released_at >= placed_at AS released, released_by = session_user AS by_me
FROM documentdb_upgrade.holds ORDER BY id;
SELECT documentdb_upgrade.release() AS nothing_to_release;

-- One that is past is over, without anybody's doing.
SELECT documentdb_upgrade.hold('until tomorrow', now() + interval '1 day');
SELECT regexp_replace(detail, 'until .*\)', 'until ...)') AS detail
FROM documentdb_upgrade.preflight() WHERE guard = 'hold';
UPDATE documentdb_upgrade.holds SET until = now() - interval '1 second' WHERE released_at IS NULL;
SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'hold';
SELECT documentdb_upgrade.release() AS nothing_to_release;

-- It takes a reason, and an end in the future.
SELECT documentdb_upgrade.hold(NULL);
SELECT documentdb_upgrade.hold('');
SELECT documentdb_upgrade.hold('too late', now() - interval '1 second');

-- It can be overridden for once, which is recorded, and stays.
SELECT documentdb_upgrade.hold('not for everybody');
SELECT outcome, skipped_guards FROM documentdb_upgrade.finalize_to('1.1', skip_guards => '{hold}');
SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'hold';

-- A finalize without work does not mind.
SELECT outcome, id FROM documentdb_upgrade.finalize();

-- A hold that is rolled back never was.
SELECT documentdb_upgrade.release();
BEGIN;
SELECT documentdb_upgrade.hold('never mind');
ROLLBACK;
SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'hold';

-- Who placed it is the one who logged in, whoever's rights the function has.
CREATE ROLE regress_operator;
GRANT EXECUTE ON FUNCTION documentdb_upgrade.hold, documentdb_upgrade.release TO regress_operator;
SET SESSION AUTHORIZATION regress_operator;
SELECT documentdb_upgrade.hold('mine');
RESET SESSION AUTHORIZATION;
SELECT reason, placed_by, released_by FROM documentdb_upgrade.holds ORDER BY id DESC LIMIT 1;
SELECT documentdb_upgrade.release();

DROP EXTENSION du_ahead;
DROP OWNED BY regress_operator;
DROP ROLE regress_operator;
ALTER DATABASE :"DBNAME" RESET documentdb_upgrade.extension;
