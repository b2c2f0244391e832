# The coordinator of a Citus cluster knows its nodes: what each has installed,
# offers and has in memory, and what is wrong with one.  One that says nothing is
# a row, and is waited for no longer than node_timeout.  A worker node says who
# upgrades it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Cluster;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my ($coordinator, $one, $two) = citus_cluster(2);

sub guard
{
	my ($guard, $node) = @_;
	return sql($node // $coordinator, "SELECT status, detail FROM documentdb_upgrade.preflight() WHERE guard = '$guard'");
}
sub problem_of
{
	my $port = $_[0]->port;
	return sql($coordinator, "SELECT status, problem FROM documentdb_upgrade.nodes WHERE node LIKE '%:$port'");
}

is(sql($coordinator, q{SELECT groupid, role, noderole, active, status, required, installed_version, binary_version, program, library
	FROM documentdb_upgrade.nodes}),
	join("\n", map { "$_|primary|t|ready|t|1.0|1.2|1.1.0|none" } '0|coordinator', '1|worker', '2|worker'), 'who there is, and with what');
is(guard('nodes_ready'), 'pass|3 nodes offer the same way to the target.', 'they are ready');
is(guard('node_guards'), 'pass|The guards on 2 other node(s) pass.', 'and their guards pass');
is(sql($coordinator, q{SELECT count(*) FROM documentdb_upgrade.preflight() WHERE detail LIKE '%citus_cascade%'}), '0', 'event triggers of Citus are no surprise');

# On a worker node.
is(sql($one, 'SELECT role, state FROM documentdb_upgrade.status'), 'worker_node|worker_node', 'a worker node says that it is one');
my ($host, $port) = ($coordinator->host, $coordinator->port);
like(sql($one, 'SELECT next_step FROM documentdb_upgrade.status'), qr/its coordinator upgrades it: look at documentdb_upgrade\.status on \Q$host:$port\E\./, 'and who upgrades it');
is(sql($one, 'SELECT count(*) FROM documentdb_upgrade.nodes'), '0', 'it asks nobody');
like(guard('nodes_ready', $one), qr/^fail\|This server is a worker node/, 'nor does it finalize');
is(try_sql($one, q{SELECT documentdb_upgrade.finalize_to('1.1')})->{sqlstate}, '55000', 'when it is asked to');

# What can be wrong with one.
my $file = extension_file($two, 'thing--1.0--1.1.sql');
append_to_file($file, "-- another release\n");
like(problem_of($two), qr/^other_scripts\|Node \S+ has other scripts to "1\.2" of extension "thing" than the coordinator\.$/, 'other scripts');
my $result = try_sql($coordinator, q{SELECT documentdb_upgrade.finalize_to('1.1')});
is($result->{sqlstate}, '55000', 'a finalize is refused');
like($result->{detail}, qr/^nodes_ready: Node \S+:@{[ $two->port ]} has other scripts/, 'and names the node');
write_extension($two, 'thing', '1.1', '1.0--1.1' => 'ALTER TABLE thing ADD one int;');
like(problem_of($two), qr/^old_binary\|Node \S+ offers extension "thing" up to "1\.1", and the target is "1\.2"\.$/, 'an older binary');
is(guard('nodes_ready', $one) =~ /^fail/ ? 1 : 0, 1, 'which is no matter of a worker node');
write_extension_file($two, 'thing.control', "default_version = '1.2'\n");

# One that says nothing: its server is not there, or does not answer.
$two->stop;
like(problem_of($two), qr/^silent\|Node \S+ does not answer: failed to connect/, 'one that is not there is a row');
is(statuses($coordinator), 'ready ready silent', 'and the others are known');
$two->start;
my ($postmaster) = slurp_lines($two->data_dir . '/postmaster.pid');
kill 'STOP', $postmaster;
my $start = time;
is(statuses($coordinator), 'ready ready silent', 'one that does not answer is a row too');
cmp_ok(time - $start, '<', patience(9), 'in time');
like(guard('nodes_ready'), qr/^fail\|Node \S+ does not answer: no answer within \d+ ms\.$/, 'the guard waits no longer');
kill 'CONT', $postmaster;
is(statuses($coordinator), 'ready ready ready', 'it is back');

# One without us, and one that Citus does not use.
sql($two, 'SET citus.enable_ddl_propagation = off; DROP EXTENSION documentdb_upgrade');
like(problem_of($two), qr/^bare\|Node \S+ cannot tell its scripts and its libraries: schema "documentdb_upgrade_internal" does not exist\.$/, 'without this extension its versions are known');
like(guard('nodes_ready'), qr/^warn\|/, 'which warns');
sql($two, 'SET citus.enable_ddl_propagation = off; CREATE EXTENSION documentdb_upgrade');

my $before = sql($coordinator, 'SELECT documentdb_upgrade.upgrade_fingerprint()');
SKIP:
{
	skip 'the real Citus changes its table by functions alone', 4 if is_real_citus();
	sql($coordinator, 'UPDATE pg_dist_node SET isactive = false WHERE groupid = 2');
	is(sql($coordinator, 'SELECT status, required FROM documentdb_upgrade.nodes WHERE groupid = 2'), 'inactive|f', 'one that is not active is left out');
	is(guard('nodes_ready'), 'pass|2 nodes offer the same way to the target.', 'of the guard as well');
	$result = try_sql($coordinator, "SELECT documentdb_upgrade.finalize_to('1.1', '$before')");
	like($result->{message}, qr/the plan is not the one that was reviewed/, 'a plan holds for the nodes of its time');
	sql($coordinator, 'UPDATE pg_dist_node SET isactive = true WHERE groupid = 2');
	is(sql($coordinator, 'SELECT documentdb_upgrade.upgrade_fingerprint()'), $before, 'and holds again with the same');
}

# Where statements would not be carried.
$result = try_sql($coordinator, q{SET citus.enable_ddl_propagation = off; SELECT documentdb_upgrade.finalize_to('1.1')});
like($result->{detail}, qr/^nodes_ready: citus\.enable_ddl_propagation is off/, 'nothing is upgraded on the coordinator alone');

done_testing();

sub slurp_lines
{
	open my $in, '<', $_[0] or die "$_[0]: $!\n";
	chomp(my @lines = <$in>);
	return @lines;
}
