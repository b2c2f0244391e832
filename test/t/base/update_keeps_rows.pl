# An update of this extension keeps the rows of all its tables, and what was
# going on goes on: a hold holds, a fence is up, history and rehearsals count.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', preload => 1, own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});
my $default = sql($node, q{SELECT default_version FROM pg_available_extensions WHERE name = 'documentdb_upgrade'});
my @versions = grep { $_ ne $default } split /\n/,
  sql($node, q{SELECT version FROM pg_available_extension_versions WHERE name = 'documentdb_upgrade' ORDER BY version});
plan skip_all => 'there is no earlier version' if !@versions;

write_extension($node, 'thing', '1.1', '1.0' => 'CREATE TABLE thing (id int);', '1.0--1.1' => 'ALTER TABLE thing ADD one int;');

# All rows of the extension's tables that are not its own, by table; columns that are
# null may be new.
sub rows_by_table
{
	return map { split /\t/, $_, 2 } split /\n/, sql($node, q{
		SELECT c.oid::regclass || E'\t' || replace(coalesce((xpath('/row/r/text()',
			query_to_xml(format('SELECT string_agg(r::text, '', '' ORDER BY r::text) AS r FROM %s t, jsonb_strip_nulls(to_jsonb(t)) r '
				'WHERE r->''builtin'' IS DISTINCT FROM ''true''', c.oid::regclass), false, true, '')))[1]::text, ''), E'\n', '\n')
		FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'documentdb_upgrade'
		WHERE c.relkind = 'r' ORDER BY 1});
}

foreach my $version (@versions)
{
	sql($node, "CREATE EXTENSION documentdb_upgrade VERSION '$version'; CREATE EXTENSION thing VERSION '1.0'");

	# Something in each table.
	sql($node, q{INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('mine', 'post', 'public.mine()')});
	sql($node, q{CREATE OR REPLACE FUNCTION public.mine() RETURNS boolean LANGUAGE sql AS 'SELECT true'; DROP TABLE IF EXISTS compared; CREATE TABLE compared (id int PRIMARY KEY); INSERT INTO compared VALUES (1)});
	sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse()});
	sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize()});
	sql($node, q{SELECT documentdb_upgrade.record_backup('mine', now())});
	sql($node, q{SELECT documentdb_upgrade.hold('a reason')});
	my @releases = map { sql($node, qq{SELECT revision FROM documentdb_upgrade.record_release('{"operator": "0.$_.0"}')}) } 1, 2;
	sql($node, "SELECT documentdb_upgrade.record_rollback($releases[1], $releases[0], '{operator}')");
	sql($node, q{INSERT INTO documentdb_upgrade.compatibility (component, version, other, other_version, source) VALUES ('gateway', '1', 'otel', '2', 'mine')});
	sql($node, 'CREATE DATABASE there');
	sql($node, 'CREATE EXTENSION documentdb_upgrade', 'there');
	sql($node, 'CREATE TABLE compared (id int PRIMARY KEY); INSERT INTO compared VALUES (2)', 'there');
	sql($node, sprintf q{SELECT count(*) FROM documentdb_upgrade.compare_with('host=%s port=%d dbname=there user=postgres', tables => '{public.compared}')}, $node->host, $node->port);
	sql($node, q{SELECT writers FROM documentdb_upgrade.fence_writes('an update')});

	my %before = rows_by_table();
	is(join(' ', grep { $before{$_} eq '' } sort keys %before), '', "$version: each table has rows");
	my $state = q{SELECT EXISTS (SELECT FROM documentdb_upgrade.holds WHERE released_at IS NULL), fence IS NOT NULL FROM documentdb_upgrade.status};
	is(sql($node, $state), 't|t', "$version: a hold and a fence are there");

	# The role is exempt from the fence.
	my $result = try_sql($node, 'ALTER EXTENSION documentdb_upgrade UPDATE');
	ok($result->{ok}, "$version: it updates to $default") or diag($result->{stderr});
	my %after = rows_by_table();

	# What a release has added stands at its default.
	$after{'documentdb_upgrade.cutovers'} =~ s/"everywhere": false, //g;
	is($after{$_} // 'no table', $before{$_}, "$version: $_ is as it was") foreach sort keys %before;
	is(sql($node, $state), 't|t', "$version: the hold and the fence are still there");
	is(sql($node, 'SELECT documentdb_upgrade.lift_fence(), documentdb_upgrade.release()'), 't|t', "$version: they can be ended");
	sql($node, 'SET documentdb_upgrade.enforce = off; DROP EXTENSION documentdb_upgrade, thing; DROP DATABASE there');
}

done_testing();
