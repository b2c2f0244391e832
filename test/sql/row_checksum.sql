-- row_checksum: equal rows have equal checksums whatever their order, storage
-- and columns' places; any difference that pg_dump would keep is one; types
-- that nobody can vouch for are refused.
SET client_min_messages = warning;
CREATE SCHEMA rows;
SET search_path = rows, documentdb_upgrade;

-- Order does not matter, duplicates do.
CREATE TABLE t (id int, name text);
INSERT INTO t SELECT i, 'name ' || i FROM generate_series(1, 100) i;
SELECT row_checksum(t) AS checksum FROM t \gset
SELECT row_checksum(t ORDER BY id DESC) = :'checksum' AS backwards,
    row_checksum(t ORDER BY md5(name)) = :'checksum' AS shuffled,
    columns_checksum(NULL::t, id, name) = :'checksum' AS by_column FROM t;
SELECT row_checksum(t) = :'checksum' AS with_one_twice FROM (SELECT t FROM t UNION ALL SELECT t FROM t WHERE id = 7) u(t);
SELECT row_checksum(t) = :'checksum' AS with_all_twice FROM (SELECT t FROM t UNION ALL SELECT t FROM t) u(t);
SELECT row_checksum(t) = :'checksum' AS with_two_names_swapped
FROM (SELECT id, CASE id WHEN 1 THEN 'name 2' WHEN 2 THEN 'name 1' ELSE name END AS name FROM t) t;

-- No rows are zero, and a NULL is no row; a row of NULLs is one.
SELECT row_checksum(t) FROM t WHERE false;
SELECT row_checksum(NULL::t), record_checksum(NULL::t);
SELECT row_checksum(ROW(NULL::int, NULL::text)::t) <> repeat('0', 32) AS counts;

-- Parts add up.
SELECT add_checksums((SELECT row_checksum(t) FROM t WHERE id <= 33), (SELECT row_checksum(t) FROM t WHERE id > 33)) = :'checksum' AS of_two_parts;
SELECT add_checksums(repeat('f', 32), '00000000000000000000000000000001') AS wraps,
    add_checksums('0000000000000000ffffffffffffffff', '00000000000000000000000000000001') AS carries, add_checksums(NULL, '0');
SELECT record_checksum(t) = (SELECT row_checksum(u) FROM t u WHERE id = 1) AS of_one FROM t WHERE id = 1;
\set VERBOSITY sqlstate
SELECT add_checksums('1', repeat('0', 32));
SELECT add_checksums(repeat('0', 32), repeat('G', 32));
SELECT add_checksums(repeat('0', 32), repeat('A', 32));
\set VERBOSITY default

-- What differs, differs.
SELECT a, b, record_checksum(a) = record_checksum(b) AS same
FROM (VALUES (ROW(NULL::text), ROW(''::text)), (ROW(1), ROW(1::bigint)), (ROW(1), ROW(1.0)),
    (ROW(1.0), ROW(1.00)), (ROW(1::float8), ROW(1::float4)), (ROW('1'::text), ROW('1'::varchar)),
    (ROW(0::float8), ROW('-0'::float8)), (ROW('a '::text), ROW('a'::text)), (ROW('1 day'::interval), ROW('24:00'::interval)),
    (ROW(1, NULL::int), ROW(NULL::int, 1)), (ROW(''::text, 'a'::text), ROW('a'::text, ''::text)),
    (ROW('ab'::text, 'c'::text), ROW('a'::text, 'bc'::text)), (ROW(1), ROW(1, NULL::int)), (ROW(ROW(1)), ROW(1)),
    (ROW('{}'::int[]), ROW('{NULL}'::int[])), (ROW('{1,2}'::int[]), ROW('[0:1]={1,2}'::int[])),
    (ROW('{1}'::int[]), ROW('{1}'::bigint[])), (ROW('(,)'::int4range), ROW('empty'::int4range)),
    (ROW('[1,2]'::numrange), ROW('[1,2)'::numrange)), (ROW('1'::jsonb), ROW('[1]'::jsonb)), (ROW('1'::jsonb), ROW('1.0'::jsonb)),
    (ROW('{"a": "1"}'::jsonb), ROW('{"a": 1}'::jsonb)), (ROW('{"a": 1}'::json), ROW('{"a":1}'::json)),
    (ROW('10.0.0.0/8'::inet), ROW('10.0.0.0/8'::cidr)), (ROW('\x61'::bytea), ROW('a'::text))) v(a, b);

-- What is the same value in other clothes is the same.
SELECT a, b, record_checksum(a) = record_checksum(b) AS same
FROM (VALUES (ROW('NaN'::float8), ROW('Infinity'::float8 - 'Infinity'::float8)), (ROW('NaN'::float4), ROW(-'NaN'::float4)),
    (ROW('[1,3)'::int4range), ROW('[1,2]'::int4range)), (ROW('{"a": 1, "b": 2}'::jsonb), ROW('{"b":2,"a":1}'::jsonb)),
    (ROW(E'\n\n\n<a/>'::xml), ROW('<a/>'::xml)), (ROW(array_remove('{1,NULL}'::int[], NULL)), ROW('{1}'::int[]))) v(a, b);

-- Storage does not show: TOAST, compression, fill factor, dropped columns,
-- columns added later, the order of columns.
CREATE TABLE stored (id int, small text, large text, doc jsonb, list int[], n numeric, r int4range);
INSERT INTO stored SELECT i, 'small ' || i, repeat(md5(i::text), i * 30), jsonb_build_object('k', repeat('v', i * 100), 'n', i / 3.0),
    ARRAY(SELECT generate_series(1, i * 50)), i / 7.0, int4range(i, i * 2) FROM generate_series(1, 100) i;
SELECT row_checksum(s) AS stored, count(*) FILTER (WHERE pg_column_size(large) < length(large)) > 10 AS compressed FROM stored s \gset
\echo :compressed
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE oid = 'stored'::regclass \gset
SELECT count(*) > 10 AS out_of_line FROM :toast;

CREATE TABLE plain (LIKE stored) WITH (fillfactor = 10);
ALTER TABLE plain ALTER large SET STORAGE EXTERNAL, ALTER doc SET STORAGE EXTERNAL, ALTER list SET STORAGE EXTERNAL, ALTER small SET STORAGE PLAIN;
INSERT INTO plain SELECT id, small, large || '', doc || '{}', list || '{}', n, r FROM stored;
SELECT row_checksum(p) = :'stored' AS uncompressed, columns_checksum(NULL::plain, id, small, large, doc, list, n, r) = :'stored' AS by_column FROM plain p;

CREATE TABLE moved (r int4range, gone text, doc jsonb, n numeric, large text, list int[], small text);
INSERT INTO moved SELECT r, 'x', doc, n, large, list, small FROM stored;
ALTER TABLE moved DROP gone;
ALTER TABLE moved ADD id int DEFAULT 5, ADD later int DEFAULT 6;
ALTER TABLE moved DROP later;
UPDATE moved SET id = lower(r) WHERE lower(r) <> 5;
SELECT row_checksum(m) = :'stored' AS other_order, columns_checksum(NULL::moved, r, doc, n, large, list, small, id) = :'stored' AS by_column FROM moved m;
INSERT INTO moved VALUES ('empty');
SELECT row_checksum(m) = :'stored' AS one_more FROM moved m;

-- Columns added with a default that is in no row yet.
CREATE TABLE grown (a int);
INSERT INTO grown VALUES (1), (2);
ALTER TABLE grown ADD b text DEFAULT 'x', ADD c int;
SELECT row_checksum(g) = (SELECT row_checksum(w) FROM (VALUES (1, 'x'::text, NULL::int), (2, 'x', NULL)) w(a, b, c)) AS as_written FROM grown g;

-- A column of the alias's name is what the alias stands for, so say t.*.
CREATE TABLE own_name (own_name t);
INSERT INTO own_name SELECT t FROM t;
SELECT row_checksum(own_name) = :'checksum' AS its_column, row_checksum(own_name.*) = :'checksum' AS its_rows FROM own_name;

-- Names count, whether of columns or of enum labels, and so do domains' base types.
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN feeling AS mood NOT NULL;
CREATE TABLE moods (v mood);
INSERT INTO moods VALUES ('sad'), ('happy');
SELECT row_checksum(m) AS moods FROM moods m \gset
SELECT row_checksum(m) = :'moods' AS of_a_domain FROM (SELECT v::feeling FROM moods) m;
SELECT row_checksum(m) = :'moods' AS of_another_name FROM (SELECT v AS w FROM moods) m;
ALTER TYPE mood ADD VALUE 'so so' BEFORE 'happy';
SELECT row_checksum(m) = :'moods' AS with_another_label FROM moods m;
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
SELECT row_checksum(m) = :'moods' AS with_a_renamed_label FROM moods m;

-- Generated columns, partitions and children by their values.
CREATE TABLE parted (id int, twice int GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY RANGE (id);
CREATE TABLE parted_low (twice int GENERATED ALWAYS AS (id * 2) STORED, id int);
ALTER TABLE parted ATTACH PARTITION parted_low FOR VALUES FROM (1) TO (50);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (50) TO (101);
INSERT INTO parted SELECT id FROM t;
SELECT row_checksum(p) = (SELECT row_checksum(u) FROM (SELECT id, id * 2 AS twice FROM t) u) AS as_one_table,
    row_checksum(p) = add_checksums((SELECT row_checksum(l) FROM parted_low l), (SELECT row_checksum(h) FROM parted_high h)) AS part_by_part
FROM parted p;

-- A row that has one of its own type in it.
SELECT record_checksum(ROW(ROW(ROW(1), 5), 7)) = record_checksum(ROW(ROW(ROW(1), 5), 5)) AS same;

-- Rows of several types in one sum.
SELECT row_checksum(r) = add_checksums(record_checksum(ROW(1)), add_checksums(record_checksum(ROW('a'::text)), record_checksum(ROW(2)))) AS taken_in_turns
FROM (VALUES (ROW(1)), (ROW('a'::text)), (NULL), (ROW(2))) v(r);

-- A type that changes between two calls of one call site.
DO $$
DECLARE
    seen text[];
    checksum text;
BEGIN
    FOR i IN 1..3 LOOP
        checksum := record_checksum(ROW('happy'::rows.mood));
        seen := seen || checksum;
        IF i = 2 THEN
            ALTER TYPE rows.mood RENAME VALUE 'happy' TO 'glad';
            ALTER TYPE rows.mood RENAME VALUE 'so so' TO 'happy';
        END IF;
    END LOOP;
    RAISE WARNING 'same before: %, after: %', seen[1] = seen[2], seen[2] = seen[3];
END $$;

-- Multiranges and infinite numerics, which 13 does not have.
CREATE TYPE span AS RANGE (subtype = float8, multirange_type_name = spans);
SELECT record_checksum(ROW('{}'::int4multirange)) AS none, record_checksum(ROW('{[1,3),[5,)}'::int4multirange)) AS two,
    record_checksum(ROW('{[1,2],[5,)}'::int4multirange)) AS the_same;
SELECT record_checksum(ROW('{[-0,1)}'::spans)) AS own, record_checksum(ROW('{"{[1,2)}",NULL}'::nummultirange[])) AS in_array,
    record_checksum(ROW('Infinity'::numeric)) AS infinite, record_checksum(ROW('-Infinity'::numeric)) AS minus_infinite;

-- Columns one by one: a mistake is an error.
\set VERBOSITY terse
SELECT columns_checksum(NULL::t, id) FROM t;
SELECT columns_checksum(NULL::t, name, id) FROM t;
SELECT columns_checksum(NULL::t, id, name, id) FROM t;
SELECT columns_checksum(ROW(1), id) FROM t;
SELECT columns_checksum(NULL::moved, doc, r, n, large, list, small, id) FROM moved;
\set VERBOSITY default

-- Parallel is serial.
CREATE TABLE large AS SELECT i AS id, md5(i::text) AS name, i / 3.0 AS n FROM generate_series(1, 20000) i;
SELECT row_checksum(l) AS large FROM large l \gset
ALTER TABLE large SET (parallel_workers = 2);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT row_checksum(l), columns_checksum(NULL::large, id, name, n) FROM large l;
SELECT row_checksum(l) = :'large' AS parallel, columns_checksum(NULL::large, id, name, n) = :'large' AS by_column FROM large l;
SELECT row_checksum(l) = :'large' AS none_in_some_workers FROM large l WHERE id > 0;
-- 16 gave this setting another name.
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT record_checksum(t) = (SELECT row_checksum(u) FROM t u WHERE id = 1) AS of_one FROM t WHERE id = 1;
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- A type that could have another form elsewhere is refused by name, wherever
-- it is hidden, until somebody vouches for its text.
CREATE TYPE odd;
CREATE FUNCTION odd_in(cstring) RETURNS odd LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION odd_out(odd) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, LIKE = text);
CREATE DOMAIN odder AS odd;
CREATE TYPE odd_pair AS (n int, o odder[]);
CREATE TABLE odds (id int, o odd_pair);
INSERT INTO odds VALUES (1, ROW(1, '{a,b}'));
ALTER TABLE large ADD o odd DEFAULT 'x';
SELECT row_checksum(o) FROM odds o;
SELECT record_checksum(ROW(1, 'a'::odd));
SELECT row_checksum(o) FROM odds o WHERE false;
\set VERBOSITY sqlstate
SELECT row_checksum(c) FROM pg_class c;
SELECT row_checksum(s) FROM pg_stats s;
CREATE ROLE regress_anybody;
SET ROLE regress_anybody;
SET documentdb_upgrade.parity_text_types = 'odd';
RESET ROLE;
SET documentdb_upgrade.parity_text_types = 'a b';
SET documentdb_upgrade.parity_text_types = 'elsewhere.odd';
SET documentdb_upgrade.parity_text_types = 'even, odd';
\set VERBOSITY default
SELECT row_checksum(o), record_checksum(ROW('a'::odd)) = record_checksum(ROW('a'::odder)) AS as_domain,
    record_checksum(ROW('a'::odd)) = record_checksum(ROW('a'::text)) AS as_text FROM odds o;
EXPLAIN (COSTS OFF) SELECT row_checksum(l) FROM large l;
SELECT row_checksum(l) = (SELECT row_checksum(l) FROM (SELECT * FROM large OFFSET 0) l) AS workers_know FROM large l;

-- Output that depends on the session does not depend on it here.
CREATE TYPE moment;
CREATE FUNCTION moment_in(cstring) RETURNS moment LANGUAGE internal STABLE STRICT AS 'timestamptz_in';
CREATE FUNCTION moment_out(moment) RETURNS cstring LANGUAGE internal STABLE STRICT AS 'timestamptz_out';
CREATE TYPE moment (INPUT = moment_in, OUTPUT = moment_out, LIKE = timestamptz);
SET documentdb_upgrade.parity_text_types = 'moment';
SELECT record_checksum(ROW('2000-01-01 00:00+00'::moment, 'now()'::regprocedure, 'rows.t'::regclass, 1.5::float4)) AS here \gset
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'SQL, DMY';
SET search_path = documentdb_upgrade;
SET extra_float_digits = -10;
SELECT record_checksum(ROW('2000-01-01 00:00+00'::rows.moment, 'now()'::regprocedure, 'rows.t'::regclass, 1.5::float4)) = :'here' AS there;
SHOW TimeZone;
SHOW DateStyle;

DROP ROLE regress_anybody;
DROP SCHEMA rows CASCADE;
