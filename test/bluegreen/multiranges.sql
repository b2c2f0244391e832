-- What every_type.sql leaves out because PostgreSQL 13 does not have it.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE TABLE app.multiranges (
	id int PRIMARY KEY, c_int4multirange int4multirange, c_int8multirange int8multirange, c_nummultirange nummultirange,
	c_tsmultirange tsmultirange, c_tstzmultirange tstzmultirange, c_datemultirange datemultirange,
	c_text_multirange app.text_multirange);
INSERT INTO app.multiranges VALUES
	(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
	(3, '{(,)}', '{[1,2),[5,9)}', '{[1.0,2.00),(3,4]}', '{(,infinity]}', '{[2024-01-01 00:00+00,)}', '{(,2024-02-29]}', '{[a,b],["c d",e)}');
CREATE TABLE app.arrays_of_multiranges AS SELECT 1 AS id, array_agg(c_nummultirange ORDER BY id) AS c_nummultirange FROM app.multiranges;
ALTER TABLE app.arrays_of_multiranges ADD PRIMARY KEY (id);

-- Infinite numerics and another compression are of 14 as well.
CREATE TABLE app.infinite (id int PRIMARY KEY, c_numeric numeric, c_lz4 text COMPRESSION lz4);
INSERT INTO app.infinite VALUES (1, 'Infinity', repeat('x', 100000)), (2, '-Infinity', NULL), (3, 'NaN', '');
