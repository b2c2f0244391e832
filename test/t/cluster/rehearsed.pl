# A rehearsal on the coordinator of a Citus cluster tells what its steps have
# taken on each node, and in what their effects are others than here.  A node
# that fails is named, with its place in the script.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Cluster;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my ($coordinator, $one, $two) = my @nodes = citus_cluster(2);

sub name_of { return $_[0]->host . ':' . $_[0]->port; }
sub rehearse { return sql($coordinator, "SELECT outcome FROM documentdb_upgrade.rehearse('$_[0]')"); }
sub of_nodes
{
	my ($columns) = @_;
	return sql($coordinator, "SELECT $columns FROM (SELECT report FROM documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 1) r,"
		  . q{ jsonb_array_elements(report->'nodes') WITH ORDINALITY AS n(node, n) ORDER BY n});
}

is(rehearse('1.2'), 'passed', 'two steps are rehearsed');
is(of_nodes(q{node->>'node', jsonb_array_length(node->'steps'), node->'differences'}), join("\n", map { name_of($_) . '|2|[]' } $one, $two), 'on both nodes, with the same effects');
is(of_nodes(q{(node->>'ms')::numeric > 0, (node->>'lock_entries')::int > 2, (node->>'wal_bytes')::int > 0}), "t|t|t\nt|t|t", 'and what they took');
is(of_nodes(q{node #>> '{steps,0,relations}'}), join("\n", ('[{"mode": "AccessExclusiveLock", "bytes": 0, "relation": "public.thing"}]') x 2), 'what they locked');
my $report = sql($coordinator, 'SELECT documentdb_upgrade.rehearsal_report()');
like($report, qr/^Node \Q@{[ name_of($_) ]}\E: [\d.]+ ms, \d+ lock entries, \S+ \S+ of WAL; the same effects as here$/m, 'the report has ' . $_->name) foreach $one, $two;

# What is on one node alone.
sql($two, 'CREATE TABLE local () INHERITS (thing)');
is(rehearse('1.1'), 'passed', 'where there is more, it passes too');
is(of_nodes(q{jsonb_array_length(node->'differences')}), "0\n2", 'one node differs');
like(sql($coordinator, 'SELECT documentdb_upgrade.rehearsal_report()'), qr{
	^Node\ \Q@{[ name_of($two) ]}\E:.*;\ other\ effects\ than\ here:\n
	\ \ step\ 1,\ only\ there:\ added\ table\ column\ public\.local\.one\n
	\ \ step\ 1,\ only\ there:\ locks\ public\.local$}mx, 'in what, the report says');
sql($two, 'DROP TABLE local');

# One that cannot look on is said so.
sql($two, 'SET citus.enable_ddl_propagation = off; DROP EXTENSION documentdb_upgrade');
is(rehearse('1.1'), 'passed', 'a node without this extension is rehearsed on too');
like(of_nodes(q{coalesce(node->>'problem', 'knows')}), qr/^knows\ndocumentdb_upgrade cannot tell it there$/, 'and has nothing to tell');
sql($two, 'SET citus.enable_ddl_propagation = off; CREATE EXTENSION documentdb_upgrade');

# One that talks nonsense is said so too.
foreach ([ q{SELECT 'nonsense'}, 'no JSON' ], [ q{SELECT '{"steps": 7}'}, 'not what is asked for' ], [ q{SELECT '{"steps": [{"ms": "soon"}]}'}, 'no number' ])
{
	my ($body, $what) = @$_;

	sql($two, "SET citus.enable_ddl_propagation = off; CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.node_rehearsed(rehearsal text) RETURNS text LANGUAGE sql AS \$\$ $body \$\$");
	is(rehearse('1.1'), 'passed', "$what: it is rehearsed on too");
	like(of_nodes(q{coalesce(node->>'problem', 'knows')}), qr/^knows\nwhat it says cannot be read: /, "$what: and is named");
}
sql($two, 'SET citus.enable_ddl_propagation = off; DROP EXTENSION documentdb_upgrade; CREATE EXTENSION documentdb_upgrade');

# A node that fails: its own place in the script, where this server was at the end.
sql($one, 'ALTER TABLE thing ADD two int');
is(rehearse('1.2'), 'failed', 'a step that cannot work on a node fails');
is(sql($coordinator, 'SELECT sqlstate, script_line FROM documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 1'), '42701|1', 'in that line of the script there');
is(of_nodes(q{node->>'node', node->>'error'}), name_of($one) . '|column "two" of relation "thing" already exists', 'with the node');
my $result = try_sql($coordinator, q{SELECT documentdb_upgrade.finalize_to('1.2')});
is($result->{sqlstate}, '42701', 'as the finalize does');
like(sql($coordinator, q{SELECT script_line, nodes->0->>'node', script FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), qr/^1\|\Q@{[ name_of($one) ]}\E\|\S+thing--1\.1--1\.2\.sql$/, 'with the same in history');
is(versions_of(@nodes), '1.0 1.0 1.0', 'and nothing has happened anywhere');

done_testing();
