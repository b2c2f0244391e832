-- Every built-in type that a column can have, and tables of every shape, on
-- PostgreSQL 13 and later; multiranges.sql adds what there is from 14 on.  The
-- edges of each type are in a table of its family: app.numbers, app.texts ...
-- Rows with ids above 1000 belong to DocumentdbUpgrade::SeededChanges.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE SCHEMA app;
CREATE SCHEMA "Odd ""name";

--
-- Families of types
--

CREATE TABLE app.numbers (
	id int PRIMARY KEY, c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_float4 float4, c_float8 float8,
	c_numeric numeric, c_scaled numeric(12,3), c_money money);
INSERT INTO app.numbers VALUES
	(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, false, 0, 0, 0, 0, 0, 0, 0, 0::money),
	(3, true, 1, 1, 1, 1, 1, 1, 1, 1::money),
	(4, NULL, -1, -1, -1, '-0', '-0', -1, -1, (-1)::money),
	(5, NULL, 32767, 2147483647, 9223372036854775807, 'NaN', 'NaN', 'NaN', 'NaN', 92233720368547758.07::money),
	(6, NULL, -32768, -2147483648, -9223372036854775808, 'Infinity', 'Infinity', 1.0, 0.001, (-92233720368547758.08)::money),
	(7, NULL, NULL, NULL, NULL, '-Infinity', '-Infinity', 1.00, -0.001, NULL),
	(8, NULL, NULL, NULL, NULL, 3.4028235e38, 1.7976931348623157e308, 1e1000, 999999999.999, NULL),
	(9, NULL, NULL, NULL, NULL, 1.4e-45, 4.9e-324, 1e-1000, -999999999.999, NULL),
	(10, NULL, NULL, NULL, NULL, 1.1754942e-38, 2.2250738585072014e-308, 0.000, 0.1, NULL),
	(11, NULL, NULL, NULL, NULL, 0.1, 0.1, 12345678901234567890.0987654321, 10000, NULL),
	(12, NULL, NULL, NULL, NULL, 1e15, 1e23, 10000000000000000, 100000000, NULL),
	(13, NULL, NULL, NULL, NULL, -1.5, 1.0000000000000002, -0.00010, 1.5, NULL);

-- A "char" above 127 is left out: before 16 it is dumped as an invalid byte.
CREATE TABLE app.texts (
	id int PRIMARY KEY, c_char "char", c_name name, c_text text, c_varchar varchar(40), c_bpchar char(8),
	c_collated text COLLATE "POSIX", c_refcursor refcursor, c_bytea bytea, c_bit bit(5), c_varbit varbit);
INSERT INTO app.texts VALUES
	(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, '', '', '', '', '', '', '', '', B'00000', B''),
	(3, 'a', repeat('n', 63)::name, 'NULL', '\N', 'a', 'b', 'cursor', '\x00', B'11111', B'0'),
	(4, ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', B'10101', B'00'),
	(5, '''', '"', E'a\tb\nc\rd\\e\x01', E'\\.', '   x', 'O''Reilly', '$', '\xdeadbeef00ff', B'00001', repeat('10', 500)::varbit),
	(6, '~', 'ñ', 'Ünïcödé – 漢字 🐘', 'é', 'ü', 'É', 'ç', convert_to('漢字', 'UTF8'), NULL, B'1'),
	(7, '{', '{}', U&'e\0301', '{1,2}', '(1,2)', '[1]', NULL, repeat('a', 300)::bytea, NULL, B'10000000'),
	(8, NULL, NULL, repeat('long ', 2000), NULL, NULL, NULL, NULL, decode(repeat('00', 5000), 'hex'), NULL, repeat('0', 9000)::varbit);

CREATE TABLE app.times (
	id int PRIMARY KEY, c_date date, c_time time, c_timetz timetz, c_timestamp timestamp, c_timestamptz timestamptz,
	c_seconds timestamp(0), c_interval interval, c_days interval DAY TO SECOND(3));
INSERT INTO app.times VALUES
	(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, '2000-01-01', '00:00', '00:00+00', '2000-01-01', '2000-01-01 00:00+00', '2000-01-01', '0', '0'),
	(3, 'infinity', '24:00', '24:00-15:59:59', 'infinity', 'infinity', 'infinity', '178000000 years', '1 day 00:00:00.001'),
	(4, '-infinity', '23:59:59.999999', '00:00+15:59:59', '-infinity', '-infinity', '-infinity', '-178000000 years', '-1 day'),
	(5, '4713-11-24 BC', '12:34:56.789', '12:34:56.789+05:30', '4713-11-24 00:00:00 BC', '4713-11-24 00:00:00+00 BC', '4713-11-24 BC', '2147483647 days', '1 day -1 hour'),
	(6, '5874897-12-31', '00:00:00.000001', '12:00:00+05:30:15', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59', '2147483647:59:59.999999', NULL),
	(7, '0001-12-31 BC', NULL, '23:59:60-08', '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59.999999+00', '1969-12-31 23:59:59', '-2147483647:59:59.999999', NULL),
	(8, '0001-01-01', NULL, NULL, '1969-12-31 23:59:59.999999', '2024-03-31 02:30:00 Europe/Berlin', NULL, '1 mon -30 days 00:00:00.000001', NULL),
	(9, '2024-02-29', NULL, NULL, '2024-02-29 12:00', '2024-10-27 02:30:00 Europe/Berlin', NULL, '1 mon', NULL),
	(10, NULL, NULL, NULL, NULL, NULL, NULL, '30 days', NULL),
	(11, NULL, NULL, NULL, NULL, NULL, NULL, '720:00', NULL);

CREATE TABLE app.networks (
	id int PRIMARY KEY, c_inet inet, c_cidr cidr, c_macaddr macaddr, c_macaddr8 macaddr8, c_uuid uuid);
INSERT INTO app.networks VALUES
	(1, NULL, NULL, NULL, NULL, NULL),
	(2, '0.0.0.0', '0.0.0.0/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00', '00000000-0000-0000-0000-000000000000'),
	(3, '255.255.255.255', '10.0.0.0/8', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
	(4, '10.1.2.3/8', '192.168.1.1/32', '08:00:2b:01:02:03', '08:00:2b:ff:fe:01:02:03', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
	(5, '::', '::/0', NULL, NULL, NULL),
	(6, '2001:db8::1/64', '2001:db8::/32', NULL, NULL, NULL),
	(7, '::ffff:1.2.3.4', '::ffff:1.2.3.0/120', NULL, NULL, NULL);

CREATE TABLE app.shapes (
	id int PRIMARY KEY, c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon, c_circle circle);
INSERT INTO app.shapes VALUES
	(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, '(0,0)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,0),(1,1))', '<(0,0),1>'),
	(3, '(-0,0)', '{0,1,-0}', '[(1,1),(0,0)]', '(0,0),(0,0)', '((0,0),(1,1))', '((0,0))', '<(0,0),0>'),
	(4, '(NaN,Infinity)', '{1e300,1,0.1}', '[(-Infinity,0),(Infinity,0)]', '(Infinity,1),(-Infinity,0)', '((0,0),(1,1),(2,0),(3,3))', '((1,1),(2,2),(3,1),(2,0))', '<(1e-300,1e300),0.1>');

CREATE TABLE app.documents (
	id int PRIMARY KEY, c_json json, c_jsonb jsonb, c_jsonpath jsonpath, c_xml xml, c_tsvector tsvector, c_tsquery tsquery);
INSERT INTO app.documents VALUES
	(1, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, 'null', 'null', '$', '', '', ''),
	(3, '{}', '{}', 'strict $.a[*]', '<a/>', 'a b c', 'a & b'),
	(4, '[]', '[]', '$.a[*] ? (@.b > 1 && @.c like_regex "^x" flag "i")', '<a></a>', 'a:1A,2B b:16383', 'a:AB & (b | !c:*)'),
	(5, ' {"a" : 1, "a":2 } ', '{"a": 1, "b": 1.0, "c": 1.00, "d": 1e2, "e": -0.0}', '$."k \"q\""', '<?xml version="1.0"?><r>ü</r>', '''it''''s'':3', 'a <-> b <2> c'),
	(6, '"\u0041\n"', '{"": "", "nested": {"x": [1, [2, [3, {"y": null}]]]}, "bool": [true, false], "s": "Ü\n\t\"🐘"}', 'lax $.keyvalue()', 'text only &amp; <!-- comment --><b x="1">t</b>', NULL, NULL),
	(7, '[1, 1.0, 1e0]', '[1, "1", null, [], {}, 12345678901234567890123456789.00001]', NULL, '<![CDATA[<x>]]>', NULL, NULL),
	(8, NULL, '"just a string"', NULL, NULL, NULL, NULL),
	(9, NULL, (SELECT jsonb_object_agg('key ' || i, repeat(md5(i::text), 20)) FROM generate_series(1, 200) i), NULL, NULL, NULL, NULL);

CREATE TABLE app.systems (
	id int PRIMARY KEY, c_oid oid, c_xid xid, c_xid8 xid8, c_cid cid, c_tid tid, c_pg_lsn pg_lsn,
	c_txid_snapshot txid_snapshot, c_pg_snapshot pg_snapshot, c_regclass regclass, c_regtype regtype, c_regproc regproc,
	c_regprocedure regprocedure, c_regoper regoper, c_regoperator regoperator, c_regnamespace regnamespace,
	c_regrole regrole, c_regconfig regconfig, c_regdictionary regdictionary, c_regcollation regcollation,
	c_aclitem aclitem, c_int2vector int2vector, c_oidvector oidvector);
INSERT INTO app.systems (id) VALUES (1);
INSERT INTO app.systems VALUES
	(2, 0, '0', '0', '0', '(0,0)', '0/0', '1:1:', '1:1:', 'pg_class', 'int4', 'now', 'length(text)', '||/', '+(int4,int4)',
		'pg_catalog', 'postgres', 'english', 'simple', '"C"', 'postgres=r/postgres', '', ''),
	(3, 4294967295, '4294967295', '18446744073709551615', '4294967295', '(4294967295,65535)', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '10:20:10,14,15',
		'app.numbers', 'app.texts', 'pg_catalog.pg_backend_pid', 'substr(text,integer)', '|/', '-(none,float8)',
		'app', 'pg_monitor', 'german', 'english_stem', '"POSIX"', '=arwdDxt/postgres', '1 2 -3', '0 1 4294967295'),
	(4, 1, '3', '4294967296', '1', '(1,2)', '16/B374D848', NULL, NULL, '4294967294', 'bool[]', '0', '0', '0', '0', '0',
		'0', '0', '0', '0', 'pg_monitor=r*w*/postgres', '7', '1');

--
-- Types of our own
--

-- Labels are not in the order of their creation.
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'happy', 'O''Reilly "quoted", {odd}');
ALTER TYPE app.mood ADD VALUE 'meh' BEFORE 'ok';

CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN app.small AS app.positive CHECK (VALUE < 100);
CREATE DOMAIN app.feeling AS app.mood;
CREATE DOMAIN app.trimmed AS text COLLATE "C" CHECK (VALUE = btrim(VALUE));
CREATE DOMAIN app.some_numbers AS numeric[] CHECK (cardinality(VALUE) < 10);

CREATE TYPE app.address AS (street text, dropped int, zip app.positive, place point);
ALTER TYPE app.address DROP ATTRIBUTE dropped;
ALTER TYPE app.address ADD ATTRIBUTE mood app.mood;
CREATE TYPE app.person AS (name text, home app.address, others app.address[], born date, doc jsonb);
CREATE DOMAIN app.resident AS app.person CHECK ((VALUE).name <> 'nobody');

CREATE TYPE app.text_range AS RANGE (subtype = text, collation = "C");
CREATE TYPE app.float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE DOMAIN app.period AS tstzrange CHECK (NOT isempty(VALUE));

CREATE TABLE app.own_types (
	id int PRIMARY KEY, c_mood app.mood, c_positive app.positive, c_small app.small, c_feeling app.feeling,
	c_trimmed app.trimmed, c_some app.some_numbers, c_address app.address, c_person app.person, c_resident app.resident,
	c_row app.numbers, c_period app.period);
INSERT INTO app.own_types (id) VALUES (1);
INSERT INTO app.own_types VALUES
	(2, 'sad', 1, 1, 'happy', '', '{}', ROW(NULL, NULL, NULL, NULL), ROW(NULL, NULL, NULL, NULL, NULL), ROW('', NULL, NULL, NULL, NULL),
		(SELECT n FROM app.numbers n WHERE id = 1), '[2024-01-01 00:00+00,)'),
	(3, 'meh', 2147483647, 99, 'O''Reilly "quoted", {odd}', 'é', '{1.0,NULL,1.00,NaN}', ROW('a "b", (c)', 1, '(-0,NaN)', 'meh'),
		ROW('n', ROW('', 7, NULL, 'ok'), ARRAY[ROW('x', 1, NULL, NULL), NULL]::app.address[], '-infinity', '{"a": 1.0}'),
		ROW('r', NULL, '{}', '2024-02-29', 'null'), (SELECT n FROM app.numbers n WHERE id = 5), '[2024-01-01 00:00+00,infinity]');

CREATE TABLE app.ranges (
	id int PRIMARY KEY, c_int4range int4range, c_int8range int8range, c_numrange numrange, c_tsrange tsrange,
	c_tstzrange tstzrange, c_daterange daterange, c_text_range app.text_range, c_float_range app.float_range);
INSERT INTO app.ranges VALUES
	(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty'),
	(3, '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)'),
	(4, '[1,2]', '[1,)', '[1.0,2.00)', '[-infinity,infinity]', '(,2024-01-01 00:00+00]', '[2024-01-01,infinity)', '["",b]', '[-0,0]'),
	(5, '(,5]', '(-5,5)', '(1.0,2.00]', '(2024-01-01,2024-01-02]', '[infinity,)', '(,2024-02-29]', '("a b",d]', '(-Infinity,NaN]');

-- Every column of the tables so far once more, as one array of all its values.
DO $$
DECLARE
	family text;
	columns text;
BEGIN
	FOREACH family IN ARRAY ARRAY['numbers', 'texts', 'times', 'networks', 'shapes', 'documents', 'systems', 'own_types', 'ranges'] LOOP
		SELECT string_agg(format('array_agg(%I ORDER BY id) AS %1$I', attname), ', ' ORDER BY attnum) INTO columns
		FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
		WHERE attrelid = format('app.%I', family)::regclass AND attnum > 1 AND typcategory <> 'A';
		EXECUTE format('CREATE TABLE app.arrays_of_%s AS SELECT 1 AS id, %s FROM app.%1$I', family, columns);
		EXECUTE format('ALTER TABLE app.arrays_of_%s ADD PRIMARY KEY (id)', family);
	END LOOP;
END $$;

CREATE TABLE app.arrays (id int PRIMARY KEY, c_int int[], c_text text[], c_nested jsonb[], c_bound numeric[3][3],
	c_vectors int2vector[], c_some app.some_numbers[]);
INSERT INTO app.arrays VALUES
	(1, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, '{}', '{}', '{}', '{}', '{}', '{}'),
	(3, '{NULL}', '{NULL,"NULL","","a b","{\"","\\\\"}', '{null,NULL}', '{{1,2},{3.0,NaN}}', '{"1 2",NULL,""}', '{"{1.0,NULL}","{}"}'),
	(4, '[0:2]={1,2,3}', '[-1:0][5:6]={{a,b},{c,d}}', ARRAY['{"a": [1]}']::jsonb[], '[1:1][-2:-1][3:3]={{{1},{2}}}', NULL, NULL),
	(5, (SELECT array_agg(i) FROM generate_series(1, 20000) i), (SELECT array_agg(md5(i::text)) FROM generate_series(1, 2000) i), NULL, NULL, NULL, NULL);

--
-- Shapes of tables
--

-- Values that are stored compressed, out of line, or both.
CREATE TABLE app.toasted (id int PRIMARY KEY, c_external text, c_extended text, c_main text, c_bytea bytea);
ALTER TABLE app.toasted ALTER c_external SET STORAGE EXTERNAL, ALTER c_main SET STORAGE MAIN;
INSERT INTO app.toasted SELECT i, repeat('e', 3000 * i), repeat('compresses ', 100000), repeat('m', 5000), NULL FROM generate_series(1, 3) i;
INSERT INTO app.toasted SELECT 4, t, t || t, left(t, 1500), decode(t, 'hex')
FROM (SELECT string_agg(md5(i::text), '' ORDER BY i) AS t FROM generate_series(1, 20000) i) AS long;

-- By range and by list; one partition has its columns in another order and
-- has lost one.
CREATE TABLE app.measured (city text COLLATE "C", at date, value numeric, PRIMARY KEY (city, at)) PARTITION BY RANGE (at);
CREATE TABLE app.measured_2023 PARTITION OF app.measured FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE app.measured_2024 PARTITION OF app.measured FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (city);
CREATE TABLE app.measured_2024_north PARTITION OF app.measured_2024 FOR VALUES IN ('Oslo', 'Turku');
CREATE TABLE app.measured_2024_other PARTITION OF app.measured_2024 DEFAULT;
CREATE TABLE app.measured_late (value numeric, lost text DEFAULT 'lost', at date NOT NULL, city text COLLATE "C" NOT NULL);
INSERT INTO app.measured_late VALUES (1, 'x', '2030-01-01', 'Rome');
ALTER TABLE app.measured_late DROP lost;
ALTER TABLE app.measured ATTACH PARTITION app.measured_late DEFAULT;
INSERT INTO app.measured SELECT city, date '2023-01-01' + n, n / 10.0
FROM unnest('{Oslo,Turku,Rome,Málaga}'::text[]) AS city, generate_series(0, 900, 7) AS n;

CREATE TABLE app.hashed (id bigint PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE app.hashed_0 PARTITION OF app.hashed FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE app.hashed_1 PARTITION OF app.hashed FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE app.hashed_2 PARTITION OF app.hashed FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO app.hashed SELECT i, 'v' || i FROM generate_series(1, 300) i;

CREATE TABLE app.parent (id int PRIMARY KEY, note text);
CREATE TABLE app.child (more numeric, PRIMARY KEY (id)) INHERITS (app.parent);
CREATE TABLE app.grandchild (most jsonb, PRIMARY KEY (id)) INHERITS (app.child);
INSERT INTO app.parent VALUES (1, 'parent'), (2, 'same id below');
INSERT INTO app.child VALUES (2, 'same id below', 1.0), (3, 'child', NULL);
INSERT INTO app.grandchild VALUES (4, 'grandchild', 1, '[]'), (1, 'parent', 1, NULL);

CREATE TABLE app.generated (
	id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5) PRIMARY KEY, a int,
	b numeric GENERATED ALWAYS AS (a * 1.50) STORED, c text GENERATED ALWAYS AS (coalesce('a' || a, 'none')) STORED,
	d int DEFAULT 42);
INSERT INTO app.generated (a) VALUES (1), (NULL), (3), (4);

CREATE TABLE app.dropped (gone int, id serial PRIMARY KEY, "second gone" text, kept text, added int);
INSERT INTO app.dropped (gone, "second gone", kept) SELECT i, 'x' || i, 'kept ' || i FROM generate_series(1, 10) i;
ALTER TABLE app.dropped DROP gone, DROP "second gone", DROP added;
ALTER TABLE app.dropped ADD added jsonb DEFAULT '{"by": "default"}';
INSERT INTO app.dropped (kept, added) VALUES ('after', NULL);

CREATE TABLE "Odd ""name"."Täble.x; --" (
	"a ""b" int, "%s" text COLLATE "C", "Ünï" text, "select" text, " " text, PRIMARY KEY ("a ""b", "%s"));
INSERT INTO "Odd ""name"."Täble.x; --" VALUES (1, '', 'ü', 'from', NULL), (1, ' ', NULL, '''', ''), (2, '"''\', 'x', NULL, ' ');

CREATE TABLE app.composite_key (a int, b uuid, c numeric, d timestamptz, v text, PRIMARY KEY (b, a, c, d));
INSERT INTO app.composite_key
SELECT i % 7, md5((i % 5)::text)::uuid, i / 4.0, '2024-01-01 00:00+00'::timestamptz + i * interval '1 microsecond', 'v' || i
FROM generate_series(1, 400) i;

CREATE TABLE app.text_key (k text PRIMARY KEY, v int);
CREATE TABLE app.text_key_c (k text COLLATE "C" PRIMARY KEY, v int);
INSERT INTO app.text_key SELECT k, row_number() OVER () FROM unnest('{"",a,A,b,B,ä,Ä,z,Z,"a b","a-b",ab,é,🐘,漢}'::text[]) AS k;
INSERT INTO app.text_key SELECT 'key ' || i, i FROM generate_series(1, 300) i UNION ALL SELECT U&'e\0301', 0;
INSERT INTO app.text_key_c SELECT * FROM app.text_key;

CREATE TABLE app.unique_index (code varchar(20) NOT NULL, v text, n int);
CREATE UNIQUE INDEX unique_index_code ON app.unique_index (code);
ALTER TABLE app.unique_index REPLICA IDENTITY USING INDEX unique_index_code;
INSERT INTO app.unique_index SELECT 'code ' || i, 'v' || i, nullif(i, 3) FROM generate_series(1, 20) i;

-- No key at all, and rows that are there more than once.
CREATE TABLE app.keyless (a int, b text, c timestamptz);
ALTER TABLE app.keyless REPLICA IDENTITY FULL;
INSERT INTO app.keyless VALUES (1, 'one', NULL), (2, 'two', '2024-01-01 00:00+00'), (2, 'two', '2024-01-01 00:00+00'), (NULL, NULL, NULL), (NULL, NULL, NULL), (NULL, '', NULL);

CREATE TABLE app.empty (id int PRIMARY KEY, v text);
CREATE TABLE app.no_columns ();
INSERT INTO app.no_columns DEFAULT VALUES;
INSERT INTO app.no_columns DEFAULT VALUES;

-- A few pieces' worth.
CREATE TABLE app.large (id bigint PRIMARY KEY, v text, n numeric, at timestamptz);
INSERT INTO app.large SELECT i, md5(i::text), i / 7.0, '2024-01-01 00:00+00'::timestamptz + i * interval '1 second' FROM generate_series(1, 30000) i;
CREATE TABLE app.large_keyless (v text, n numeric);
ALTER TABLE app.large_keyless REPLICA IDENTITY FULL;
INSERT INTO app.large_keyless SELECT v, n FROM app.large;

CREATE TABLE app.referring (id int PRIMARY KEY, large bigint REFERENCES app.large, parent int REFERENCES app.parent ON DELETE CASCADE);
INSERT INTO app.referring VALUES (1, 1, 1), (2, 30000, NULL);

CREATE VIEW app.viewed AS SELECT city, count(*) FROM app.measured GROUP BY city;
CREATE MATERIALIZED VIEW app.totals AS SELECT city, count(*), sum(value) FROM app.measured GROUP BY city;
CREATE MATERIALIZED VIEW app.unpopulated AS SELECT 1 AS one WITH NO DATA;

--
-- Sequences and large objects
--

CREATE SEQUENCE app.untouched;
CREATE SEQUENCE app.counted START 5 INCREMENT 3;
CREATE SEQUENCE app.downwards INCREMENT -1 MINVALUE -100 MAXVALUE -1 CYCLE;
CREATE SEQUENCE "Odd ""name"."Sequence 1" AS smallint CACHE 10;
DO $$
BEGIN
	PERFORM nextval('app.counted') FROM generate_series(1, 10);
	PERFORM nextval('app.downwards'), nextval('"Odd ""name"."Sequence 1"');
	PERFORM lo_from_bytea(4711, (SELECT c_bytea FROM app.toasted WHERE id = 4)), lo_create(4712), lo_from_bytea(4713, '\x00ff');
END $$;

ANALYZE;
