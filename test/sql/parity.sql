-- Checksums of tables: what table_checksums() gives, on a server that may not
-- have preloaded us.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
\pset null '(null)'
CREATE SCHEMA sums;
CREATE TABLE sums.accounts (id int PRIMARY KEY, name text, gone int);
INSERT INTO sums.accounts SELECT g, 'account ' || g, 0 FROM generate_series(1, 40000) g;
ALTER TABLE sums.accounts DROP gone;
-- The same rows in another order, with the columns elsewhere and a key of another kind.
CREATE TABLE sums.shuffled (name text, id int);
INSERT INTO sums.shuffled SELECT name, id FROM sums.accounts ORDER BY name DESC;
CREATE TABLE sums."Empty ""one" ();
CREATE TABLE sums.parts (id int) PARTITION BY LIST (id);
CREATE TABLE sums.part_1 PARTITION OF sums.parts FOR VALUES IN (1);
CREATE TABLE sums.part_2 PARTITION OF sums.parts FOR VALUES IN (2);
INSERT INTO sums.parts VALUES (1), (2), (2);
\set VERBOSITY terse
SET client_min_messages = warning;

SELECT schema_name, table_name, row_count, bytes > 0 AS has_bytes, duration >= '0' AS has_duration, problem
FROM documentdb_upgrade.table_checksums(schemas => '{sums}');
-- The checksum is that of row_checksum, whatever the pieces.
SELECT c.checksum = (SELECT documentdb_upgrade.row_checksum(t.*) FROM sums.accounts t) AS right_one,
       c.checksum = s.checksum AS same_rows
FROM documentdb_upgrade.table_checksums(tables => '{sums.accounts}', chunk => '1 ms', workers => 1) c,
     documentdb_upgrade.table_checksums(tables => '{shuffled}') s;
SELECT chunks > 1 AS in_pieces, strategy FROM documentdb_upgrade.parity_tables WHERE table_name = 'accounts' AND run = 2;
-- Nothing is zero, one row is not, and a row twice is not the same as once.
SELECT table_name, row_count, checksum = repeat('0', 32) AS zero FROM documentdb_upgrade.table_checksums(tables => '{"\"Empty \"\"one\"",parts}');

-- What the record says.
SELECT id, kind, state, phase, algorithm, snapshots, exact, equal, table_count, row_count FROM documentdb_upgrade.parity_runs ORDER BY id;
SELECT * FROM documentdb_upgrade.parity_progress;

-- One snapshot: what the caller has changed and not committed is not seen.
BEGIN;
DELETE FROM sums.accounts;
SELECT row_count FROM documentdb_upgrade.table_checksums(tables => '{accounts}');
ROLLBACK;

-- What is refused.
\set VERBOSITY sqlstate
SELECT * FROM documentdb_upgrade.table_checksums(workers => 0);
SELECT * FROM documentdb_upgrade.table_checksums(tables => '{sums.nothing}');
SELECT * FROM documentdb_upgrade.table_checksums(tables => '{a.b.c}');
SELECT * FROM documentdb_upgrade.table_checksums(schemas => '{nothing}');
SELECT * FROM documentdb_upgrade.table_checksums(schemas => '{pg_catalog}');
SELECT * FROM documentdb_upgrade.table_checksums(resume => 1);
SELECT * FROM documentdb_upgrade.table_checksums(resume => 4711);
SELECT * FROM documentdb_upgrade.table_checksums(chunk => '0');
SELECT * FROM documentdb_upgrade.table_checksums(max_active => -1);
SELECT * FROM documentdb_upgrade.compare_with(NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM documentdb_upgrade.table_checksums();
ROLLBACK;
\set VERBOSITY default
RESET client_min_messages;

-- The statements for the other server, which may be a PostgreSQL 13.
SELECT documentdb_upgrade_internal.parity_table_statement(t, 'theirs', 'remote')
FROM jsonb_populate_record(NULL::documentdb_upgrade.parity_tables, '{"schema_name": "sums", "table_name": "T \"1\"", "strategy": "range", "phase": "sum",
    "columns": [["A", "integer"], ["b", "text"]], "key_columns": [["b", "text", "OPERATOR(pg_catalog.=)"], ["A", "integer", "OPERATOR(pg_catalog.=)"]],
    "sides": {"remote": {"columns": ["b", "A"]}}, "place": {"from": ["it''s", "1"], "to": ["x", "2"]}, "work": {"digits": 2, "now": ["0a"]}}') t
UNION ALL
SELECT documentdb_upgrade_internal.parity_table_statement(t, NULL, 'remote')
FROM jsonb_populate_record(NULL::documentdb_upgrade.parity_tables, '{"schema_name": "sums", "table_name": "t", "strategy": "own", "phase": "rows",
    "columns": [["A", "integer"]], "sides": {"remote": {"columns": ["A"]}}, "place": {"remote": null}, "work": {"digits": 2, "now": ["0a"]}}') t;
-- How the pace follows the time that a piece took.
SELECT took, documentdb_upgrade_internal.parity_pace(1000, 500, took) FROM (VALUES (0), (1), (250), (500), (1000), (400000)) AS v(took);

DROP SCHEMA sums CASCADE;
