# What an upgrade removes or changes outside the extension: the rehearsal lists
# it apart with rows and statements, the guard fails on it, and warns before from
# pg_depend; the statements bring everything back around a finalize.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'});
write_extension($node, 'thing', '2.0',
	'1.0' => q{
		CREATE TYPE mood AS ENUM ('a', 'b');
		CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE FUNCTION kept(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
		CREATE FUNCTION hardened() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE TABLE own (id int PRIMARY KEY, old int);
		CREATE INDEX own_old ON own (old);
		CREATE VIEW own_view AS SELECT answer() AS a},
	'1.0--1.1' => q{CREATE TABLE more (id int)},
	'1.1--2.0' => q{
		DROP TABLE more;
		ALTER TABLE own DROP COLUMN old;
		ALTER EXTENSION thing DROP VIEW own_view; DROP VIEW own_view;
		DROP FUNCTION answer() CASCADE; DROP TYPE mood CASCADE;
		CREATE TYPE mood AS ENUM ('a', 'b', 'c');
		CREATE FUNCTION answer() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
		CREATE OR REPLACE FUNCTION kept(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
		CREATE OR REPLACE FUNCTION hardened() RETURNS int LANGUAGE sql AS 'SELECT 1'});
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'; CREATE ROLE reader; CREATE ROLE maker});

my $guard = q{SELECT status, detail, hint FROM documentdb_upgrade.preflight() WHERE guard = 'outside_objects'};

# Nobody stands on anything yet.
like(sql($node, $guard), qr/^pass\|Nothing outside/, 'no object of others is there');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.outside_objects()}), 0, 'none is listed');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse()}), 'passed', 'a rehearsal passes');
is(sql($node, q{SELECT report->'outside' FROM documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 1}), '[]',
	'and finds nothing, for members, what belongs to them and what the upgrade makes itself are not outside');
like(sql($node, $guard), qr/^pass\|Rehearsal 1 left everything outside/, 'the guard says so');

sql($node, q{
	CREATE TABLE app (id int, m mood, d int DEFAULT answer());
	INSERT INTO app VALUES (1, 'a'), (2, NULL), (3, 'b');
	CREATE INDEX app_m ON app (m);
	CREATE INDEX app_kept ON app (kept(id));
	CREATE VIEW app_view WITH (security_barrier) AS SELECT answer() AS y;
	ALTER VIEW app_view OWNER TO maker;
	GRANT SELECT ON app_view TO reader;
	CREATE VIEW over_view AS SELECT y FROM app_view;
	CREATE FUNCTION app_function() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT answer(); END;
	ALTER FUNCTION hardened() SET search_path = pg_catalog;
	REVOKE ALL ON FUNCTION hardened() FROM PUBLIC;
	DELETE FROM documentdb_upgrade.rehearsals});

# Before a rehearsal: from the scripts and pg_depend.
my $warned = sql($node, $guard);
like($warned, qr/^warn\|\d+ objects outside the upgraded extensions stand on members that the scripts drop or replace: /, 'the guard warns');
like($warned, qr/stands on \w+ public\.\w+[^,]*, which script "thing--1\.1--2\.0\.sql" drops with CASCADE/, 'by name, with the script');
like($warned, qr/run SELECT kind, identity, save_statement, restore_statement FROM documentdb_upgrade\.outside_objects\('2\.0'\);$/, 'and says where the statements are');
is(sql($node, q{SELECT identity, does FROM documentdb_upgrade.outside_objects() ORDER BY 1}), join("\n",
	'for public.app.d|drops with CASCADE',
	'public.app.m|drops with CASCADE',
	'public.app_function()|drops with CASCADE',
	'public.app_kept|replaces',
	'public.app_m|drops with CASCADE',
	'public.app_view|drops with CASCADE',
	'public.over_view|drops with CASCADE'), 'every object is listed, and no member');
is(sql($node, q{SELECT documentdb_upgrade.can_finalize()}), 't', 'it only warns');

# A rehearsal knows.
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse()}), 'passed', 'the rehearsal passes');
is(sql($node, q{SELECT f->>'effect', f->>'kind', f->>'identity', f->>'rows_lost'
		FROM documentdb_upgrade.rehearsals r, jsonb_array_elements(r.report->'outside') f ORDER BY 1, f->>'identity' COLLATE "C"}), join("\n",
	'affected|index|public.app_kept|',
	'changed|table column|public.app.d|',
	'lost|function|public.hardened()|',
	'removed|table column|public.app.m|2',
	'removed|function|public.app_function()|',
	'removed|view|public.app_view|',
	'removed|view|public.over_view|'), 'and lists all that it removes, changes or takes, with lost rows');
my $report = sql($node, q{SELECT documentdb_upgrade.rehearsal_report()});
like($report, qr/; [^\n]*\nOutside the upgraded extensions:\n/, 'the report has them before the steps');
ok(index($report, 'Outside the upgraded') < index($report, 'Step 1 of'), 'first');
like($report, qr/\n  removed table column public\.app\.m; 2 rows lost\n    before: ALTER TABLE public\.app ALTER COLUMN m TYPE text USING m::text;\n/, 'with rows and statements');
like($report, qr/\n  takes settings or privileges from function public\.hardened\(\); settings; setting search_path=pg_catalog\n    before: ALTER ROUTINE public\.hardened\(\) RESET search_path;\n    after: ALTER ROUTINE public\.hardened\(\) SET search_path = pg_catalog;\n/,
	'a lost setting of an administrator too');
like($report, qr/\n  changed function public\.kept\(integer\) \(definition: body\)\n/, 'the steps say what of a definition changed');
like($report, qr/\n  changed function public\.hardened\(\) \(definition: settings\)\n    lost setting search_path=pg_catalog\n/, 'and what it lost');

my $failed = sql($node, $guard);
like($failed, qr/^fail\|Rehearsal \d+ removed or changed 6 objects outside the upgraded extensions: /, 'the guard fails');
like($failed, qr/removes table column public\.app\.m with 2 rows/, 'with the rows');
is(sql($node, q{SELECT documentdb_upgrade.can_finalize()}), 'f', 'can_finalize says no');
my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('2.0')});
is($result->{sqlstate}, '2BP01', 'a finalize is refused');
is(sql($node, q{SELECT count(*) FROM app WHERE m IS NOT NULL}), 2, 'nothing is lost');

# The statements, around a finalize, in one transaction.
my @save = split /\x1e/, sql($node, q{SELECT string_agg(save_statement, E'\x1e') FROM documentdb_upgrade.outside_objects()});
my @restore = reverse split /\x1e/, sql($node, q{SELECT string_agg(restore_statement, E'\x1e') FROM documentdb_upgrade.outside_objects()});
is(scalar(@save), 6, 'there is a statement for each that would go');
my $lost = q{FROM documentdb_upgrade.rehearsals r, jsonb_array_elements(r.report->'outside') f WHERE f->>'effect' = 'lost'};
push @save, sql($node, "SELECT f->>'save' $lost");
push @restore, sql($node, "SELECT f->>'restore' $lost");
sql($node, join("\n", 'BEGIN;', @save,
	q{SELECT outcome FROM documentdb_upgrade.finalize_to('2.0');}, @restore, 'COMMIT;'));
is(sql($node, q{SELECT documentdb_upgrade.schema_version()}), '2.0', 'the upgrade goes through');
is(sql($node, q{SELECT string_agg(m::text, ',' ORDER BY id), pg_typeof(max(m)) FROM app}), 'a,b|mood', 'the column is there with its values');
is(sql($node, q{SELECT y FROM over_view}), 1, 'both views');
is(sql($node, q{SELECT pg_get_userbyid(relowner), relacl::text, reloptions::text FROM pg_class WHERE relname = 'app_view'}),
	'maker|{maker=arwdDxt/maker,reader=r/maker}|{security_barrier=true}', 'with owner, privileges and options') if $node->pg_version < 17;
is(sql($node, q{SELECT has_table_privilege('reader', 'app_view', 'SELECT'), pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'app_view'}),
	't|maker', 'owner and privileges');
is(sql($node, q{SELECT app_function()}), 1, 'the function');
is(sql($node, q{INSERT INTO app VALUES (4) RETURNING d}), 1, 'the default');
is(sql($node, q{SELECT count(*) FROM pg_indexes WHERE tablename = 'app'}), 2, 'the indexes');
is(sql($node, q{SELECT proconfig::text FROM pg_proc WHERE proname = 'hardened'}), '{search_path=pg_catalog}', 'the setting');

# Without CASCADE the upgrade fails; the guard knows after the rehearsal why.
write_extension($node, 'thing', '3.0', '2.0--3.0' => q{DROP FUNCTION answer(); CREATE FUNCTION answer() RETURNS text LANGUAGE sql AS $$SELECT 'x'$$});
like(sql($node, $guard), qr/^warn\|\d+ object/, 'the guard warns again');
is(sql($node, q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse()}), 'failed|2BP01', 'the rehearsal fails');
like(sql($node, $guard), qr/^fail\|Rehearsal \d+ failed, because objects outside the upgraded extensions stand on what it drops: /, 'the guard fails');
sql($node, q{DROP VIEW over_view, app_view; ALTER TABLE app ALTER d DROP DEFAULT; DROP FUNCTION app_function()});
like(sql($node, $guard), qr/^pass\|/, 'it passes when they are gone');
is(sql($node, q{SELECT documentdb_upgrade.can_finalize()}), 't', 'for those too who ask for failures alone');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse()}), 'passed', 'and so does the rehearsal');

# Rows of users, tables that go, and another extension's member.
write_extension($node, 'other', '1.0', '1.0' => q{CREATE VIEW other_view AS SELECT public.answer() AS a});
sql($node, q{CREATE EXTENSION other; CREATE TABLE victim (id int PRIMARY KEY, n serial); INSERT INTO victim SELECT generate_series(1, 5);
	CREATE TABLE child (id int REFERENCES victim); INSERT INTO app SELECT 100, NULL, 1 FROM generate_series(1, 4);
	DELETE FROM documentdb_upgrade.rehearsals});
write_extension($node, 'thing', '3.0', '2.0--3.0' => q{
	DROP FUNCTION answer() CASCADE;
	DROP TABLE victim CASCADE;
	DELETE FROM app WHERE id = 100;
	UPDATE app SET d = 0 WHERE id = 4;
	GRANT SELECT ON app TO reader});
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse()}), 'passed', 'a script that goes far outside');
is(sql($node, q{SELECT f->>'effect', f->>'kind', f->>'identity', f->>'rows_lost', f->>'rows_deleted', f->>'rows_updated'
		FROM documentdb_upgrade.rehearsals r, jsonb_array_elements(r.report->'outside') f ORDER BY 1, f->>'identity' COLLATE "C", 5}), join("\n",
	'changed|table|public.app||4|1',
	'granted|table|public.app|||',
	'removed|table constraint|child_id_fkey on public.child|||',
	'removed|extension|other|||',
	'removed|view|public.other_view|||',
	'removed|table|public.victim|5||'), 'rows, tables, foreign keys and members of another extension');
sql($node, q{SET documentdb_upgrade.guard_severity = 'outside_objects=skip'; SELECT documentdb_upgrade.finalize_to('3.0')});
is(sql($node, q{SELECT documentdb_upgrade.schema_version()}), '3.0', 'the guard can be set aside');

# A user's view over a member's view, which goes with a function that a script drops.
write_extension($node, 'deep', '1.1',
	'1.0' => q{CREATE FUNCTION deep_answer() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW deep_view AS SELECT deep_answer() AS a},
	'1.0--1.1' => 'DROP FUNCTION deep_answer() CASCADE');
sql($node, q{CREATE EXTENSION deep VERSION '1.0'; CREATE VIEW far_view AS SELECT a FROM deep_view});
like(sql($node, qq{SET documentdb_upgrade.extension = 'deep'; $guard}), qr/^warn\|.*view public\.far_view/, 'the guard sees through a view of the extension');

done_testing();
