-- What du1 makes of known values.  The same lines come out on every release
-- from 13 on, with either extension (test/t/checksum_elsewhere.pl); whoever
-- implements the algorithm elsewhere can compare.
SET client_min_messages = warning;
SET search_path = documentdb_upgrade, documentdb_upgrade_parity, public;
CREATE ROLE checksum_reader;

CREATE FUNCTION pg_temp.vector(type text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    checksum text;
BEGIN
    EXECUTE format('SELECT record_checksum(ROW(%L::%s))', value, type) INTO checksum;
    RETURN checksum;
END $$;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (b int, a text);
CREATE TYPE nest AS (p pair, list pair[], m mood);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE float_range AS RANGE (subtype = float8);

SELECT checksum_algorithm();

-- Numbers.
SELECT type, value, pg_temp.vector(type, value)
FROM (VALUES (1, 'bool', 't'), (1, 'bool', 'f'), (2, '"char"', 'a'), (2, '"char"', ''),
    (3, 'int2', '-1'), (3, 'int2', '32767'),
    (4, 'int4', '0'), (4, 'int4', '1'), (4, 'int4', '-2147483648'),
    (5, 'int8', '1'), (5, 'int8', '-9223372036854775808'),
    (6, 'float4', '0'), (6, 'float4', '-0'), (6, 'float4', '1.5'), (6, 'float4', 'NaN'),
    (6, 'float4', '-Infinity'), (6, 'float4', '1e-45'),
    (7, 'float8', '0'), (7, 'float8', '-0'), (7, 'float8', '1'), (7, 'float8', '0.1'),
    (7, 'float8', 'NaN'), (7, 'float8', 'Infinity'), (7, 'float8', '5e-324'),
    (8, 'numeric', '0'), (8, 'numeric', '0.00'), (8, 'numeric', '1'), (8, 'numeric', '1.0'),
    (8, 'numeric', '-1'), (8, 'numeric', '10000'), (8, 'numeric', '123456789.987654321'),
    (8, 'numeric', '1e-20'), (8, 'numeric', '1e300'), (8, 'numeric', '-7e-1000'), (8, 'numeric', 'NaN'),
    (9, 'money', '12.34'), (9, 'money', '-92233720368547758.08')) v(n, type, value);

-- Dates and times, at their edges too.
SELECT type, value, pg_temp.vector(type, value)
FROM (VALUES ('date', '2000-01-01'), ('date', '4714-11-24 BC'), ('date', '5874897-12-31'),
    ('date', 'infinity'), ('date', '-infinity'),
    ('time', '00:00'), ('time', '24:00'), ('time', '23:59:59.999999'),
    ('timetz', '12:00+00'), ('timetz', '12:00+15:59'), ('timetz', '12:00-15:59'),
    ('timestamp', '2000-01-01'), ('timestamp', '4714-11-24 00:00:00 BC'),
    ('timestamp', '294276-12-31 23:59:59.999999'), ('timestamp', 'infinity'), ('timestamp', '-infinity'),
    ('timestamptz', '2000-01-01 00:00+00'), ('timestamptz', '2000-01-01 01:00+01'),
    ('timestamptz', '1999-12-31 23:59:59.999999+00'), ('timestamptz', 'infinity'),
    ('interval', '1 mon'), ('interval', '30 days'), ('interval', '720:00:00'),
    ('interval', '-1 mon +1 day -00:00:00.000001')) v(type, value);

-- Strings and documents.
SELECT type, left(value, 40) AS value, pg_temp.vector(type, value)
FROM (VALUES ('text', ''), ('text', 'a'), ('text', 'a '), ('text', U&'\00e4\20ac'),
    ('text', repeat('x', 4096)), ('text', repeat('x', 4097)), ('text', repeat('x', 100000)),
    ('varchar', 'a'), ('varchar(5)', 'a'), ('char(4)', 'a'), ('bpchar', 'a '), ('name', 'a'),
    ('refcursor', 'a'), ('bytea', ''), ('bytea', '\x00ff'), ('bytea', '\x61'), ('uuid', '00112233-4455-6677-8899-aabbccddeeff'),
    ('bit(3)', '101'), ('varbit', ''), ('varbit', '101'), ('varbit', '10100000'),
    ('json', '{"b": 1,  "a": 1}'), ('json', '{"a": 1, "b": 1}'),
    ('jsonb', '{"b": 1,  "a": 1}'), ('jsonb', '{"a": 1, "b": 1}'), ('jsonb', '{}'), ('jsonb', '[]'),
    ('jsonb', '[5]'), ('jsonb', '5'), ('jsonb', '5.0'), ('jsonb', '"5"'), ('jsonb', 'null'), ('jsonb', 'true'),
    ('jsonb', '{"long name": [1, {"a": []}, "x", null, false, -1.5e10], "b": {}}'),
    ('jsonpath', '$.a[*] ? (@ > 1)'), ('xml', '<a b="c">d</a>'), ('xml', '<?xml version="1.0"?><a/>'),
    ('xml', E'<?xml version="1.0" standalone="yes"?>\n<a/>'),
    ('tsvector', '''a'':1 ''b'':2A,3'), ('tsquery', 'a & !b:*')) v(type, value);

-- Addresses and geometry.
SELECT type, value, pg_temp.vector(type, value)
FROM (VALUES ('inet', '10.0.0.1'), ('inet', '10.0.0.1/8'), ('inet', '::1'), ('inet', '2001:db8::/32'),
    ('cidr', '10.0.0.0/8'), ('cidr', '::/0'), ('macaddr', '08:00:2b:01:02:03'), ('macaddr8', '08:00:2b:01:02:03:04:05'),
    ('point', '(0,-0)'), ('point', '(NaN,Infinity)'), ('lseg', '[(0,0),(1,1)]'), ('box', '(1,1),(0,0)'),
    ('line', '{1,-1,0}'), ('circle', '<(0,0),1>'), ('path', '((0,0),(1,1))'), ('path', '[(0,0),(1,1)]'),
    ('polygon', '((0,0),(1,1),(1,0))')) v(type, value);

-- What names objects of this server, or places in it.
SELECT type, value, pg_temp.vector(type, value)
FROM (VALUES ('oid', '4294967295'), ('xid', '7'), ('cid', '7'), ('xid8', '4294967297'), ('tid', '(1,2)'),
    ('pg_lsn', '1/A'), ('txid_snapshot', '10:20:10,14'), ('pg_snapshot', '10:20:10,14'),
    ('regclass', 'pg_class'), ('regclass', '-'), ('regclass', '4294967295'), ('regproc', 'now'),
    ('regprocedure', 'substr(text,int)'), ('regoper', '||/'), ('regoperator', '+(int,int)'),
    ('regtype', 'int4'), ('regtype', 'varchar[]'), ('regcollation', '"C"'), ('regconfig', 'english'),
    ('regdictionary', 'simple'), ('regrole', 'checksum_reader'), ('regnamespace', 'pg_catalog'),
    ('aclitem', 'checksum_reader=r*w/checksum_reader'), ('aclitem', '=r/checksum_reader')) v(type, value);


-- What consists of other values.
SELECT type, value, pg_temp.vector(type, value)
FROM (VALUES ('int4[]', '{}'), ('int4[]', '{1,2}'), ('int4[]', '[0:1]={1,2}'), ('int4[]', '{{1,2},{3,4}}'),
    ('int4[]', '{{1},{2},{3},{4}}'), ('int4[]', '{1,NULL}'), ('int4[]', '{NULL,1}'), ('text[]', '{"",NULL,"NULL"}'),
    ('int2vector', '1 2'), ('oidvector', '1 2'), ('positive', '1'), ('positive[]', '{1,2}'),
    ('mood', 'ok'), ('mood[]', '{ok,sad}'), ('pair', '(1,x)'), ('pair', '(,)'), ('pair', '(,"")'),
    ('pair[]', '{"(1,x)",NULL,"(2,)"}'), ('nest', '("(1,x)","{""(2,y)""}",ok)'), ('nest', '(,,)'),
    ('int4range', 'empty'), ('int4range', '[1,3)'), ('int4range', '(0,2]'), ('int4range', '(,)'),
    ('int8range', '[1,3)'), ('numrange', '[1,3)'), ('numrange', '(1,3]'), ('numrange', '[1.0,3)'), ('numrange', '[1,)'),
    ('tsrange', '[2000-01-01,2001-01-01)'), ('tstzrange', '[2000-01-01 00:00+00,infinity)'), ('daterange', '[2000-01-01,2001-01-01)'),
    ('float_range', '[-0,NaN]'), ('int4range[]', '{empty,"[1,2)"}')) v(type, value);

-- Rows without a name, of their own and within others.
SELECT record_checksum(ROW()) AS nothing, record_checksum(ROW(NULL::int)) AS a_null, record_checksum(ROW(1, 2)) AS two;
SELECT record_checksum(ROW(ROW(1), ROW('a'::text, NULL::int))) AS nested, record_checksum(ROW(ROW(ROW(1)))) AS deeper,
    record_checksum(ROW(ARRAY[ROW(1, 2), ROW(3, 4)])) AS array_of_them;

-- Rows of a table.
CREATE TABLE several (id int, b text, a numeric(10,2), "Z" timestamptz);
INSERT INTO several SELECT i, 'row ' || i, i / 7.0, '2000-01-01 00:00+00'::timestamptz + i * interval '1 h'
FROM generate_series(1, 1000) i;
SELECT record_checksum(t) FROM several t WHERE id = 1;
SELECT row_checksum(t) FROM several t;
SELECT columns_checksum(NULL::several, id, b, a, "Z") FROM several;
SELECT row_checksum(t) FROM several t WHERE id < 0;

DROP TABLE several;
DROP TYPE float_range, nest, pair, mood;
DROP DOMAIN positive;
DROP ROLE checksum_reader;
