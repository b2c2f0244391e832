# The locks that a rehearsal names are those that the finalize then holds on what
# existed before it: no fewer, and none on what the scripts make on their way.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Objects;
use DocumentdbUpgrade::Test;
use Test::More;

# Relations that are rewritten, replaced, made and dropped again, within a step
# and from one to the next.
my %scripts = (
	'1.0' => q{
		CREATE TABLE rewritten (id int PRIMARY KEY, t text, n int);
		CREATE TABLE referring (id int REFERENCES rewritten, t text);
		CREATE TABLE dropped (id int PRIMARY KEY, t text);
		CREATE TABLE emptied (id serial, t text);
		CREATE TABLE read_only (id int, t text);
		CREATE TABLE untouched (id int PRIMARY KEY, t text);
		CREATE TABLE parent (id int, t text) PARTITION BY RANGE (id);
		CREATE TABLE child PARTITION OF parent FOR VALUES FROM (1) TO (9);
		CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM rewritten;
		CREATE VIEW shown AS SELECT id FROM untouched;
		CREATE INDEX replaced ON emptied (t);},
	'1.0--1.1' => q{
		ALTER TABLE rewritten ALTER n TYPE bigint;
		ALTER TABLE parent ALTER t SET STATISTICS 5;
		CREATE TABLE passing (id serial PRIMARY KEY, t text); DROP TABLE passing;
		CREATE TABLE made (id int PRIMARY KEY, t text);},
	'1.1--1.2' => q{
		ALTER TABLE made ALTER id TYPE bigint; INSERT INTO made VALUES (1, 'x');
		CREATE TABLE made_too (t text); INSERT INTO made_too SELECT t FROM read_only;
		REFRESH MATERIALIZED VIEW summary;
		DROP INDEX replaced; CREATE INDEX replaced ON emptied (lower(t));
		CREATE TEMP TABLE scratch (t text); ALTER TABLE scratch ADD n serial;},
	'1.2--1.3' => q{
		DROP TABLE made; DROP TABLE made_too; DROP TABLE dropped; TRUNCATE emptied; DROP TABLE scratch;
		DO $$ BEGIN LOCK TABLE untouched IN SHARE MODE; DROP VIEW shown; RAISE 'no'; EXCEPTION WHEN others THEN NULL; END $$;
		DO $$ BEGIN CREATE TABLE lost (t text); DROP TABLE lost; RAISE 'no'; EXCEPTION WHEN others THEN NULL; END $$;
		DO $$ BEGIN EXECUTE 'ALTER TABLE rewritten ALTER n TYPE int'; END $$;});
my @locks_of_rewriter = (
	'public.child ShareUpdateExclusiveLock',
	(map { "public.$_ AccessExclusiveLock" } qw(dropped dropped_pkey emptied)),
	'public.parent ShareUpdateExclusiveLock',
	(map { "public.$_ AccessExclusiveLock" } qw(replaced rewritten rewritten_pkey summary)));

my $node = new_node('main', own_installation => 1, conf => 'autovacuum = off');
write_extension($node, 'rewriter', '1.3', %scripts);
sql($node, 'CREATE EXTENSION documentdb_upgrade');

is(sql($node, q{SET documentdb_upgrade.extension = 'rewriter'; SET client_min_messages = error;
	BEGIN; CREATE EXTENSION rewriter VERSION '1.0'; SELECT FROM documentdb_upgrade.rehearse() \g /dev/null
	SELECT count(*), jsonb_agg(s->'relations') FROM documentdb_upgrade.rehearsals, jsonb_array_elements(report->'steps') s; ROLLBACK}),
	'3|[[], [], []]', 'what the caller has made is in nobody\'s way');

foreach ([ 'rewriter', '1.0' ], [ 'pg_stat_statements', '1.4' ], [ 'hstore', '1.4' ], [ 'periods', '1.0' ], [ 'pg_fact_loader', '1.4' ])
{
	my ($extension, $from) = @$_;
	subtest $extension => sub {
		my $install = try_sql($node, "SET client_min_messages = error; CREATE EXTENSION $extension VERSION '$from' CASCADE");
		plan skip_all => "extension $extension $from does not install: $install->{message}" unless $install->{ok};

		my $set = "SET client_min_messages = error; SET documentdb_upgrade.extension = '$extension';";
		my ($id, $outcome, $steps) = split /\|/, sql($node, "$set SELECT id, outcome, steps_run FROM documentdb_upgrade.rehearse()");
		is($outcome, 'passed', 'the rehearsal passes') or return;
		my $fact = locks_of($node, "$set SELECT FROM documentdb_upgrade.finalize()");
		is_deeply([ predicted_locks($node, $id) ], $fact, "$steps steps lock what was foretold: " . (join(', ', @$fact) || 'nothing'));
		is_deeply([ grep { /^public/ } @$fact ], \@locks_of_rewriter, 'which is what they should lock')
		  if $extension eq 'rewriter';
	};
}

done_testing();
