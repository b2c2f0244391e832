# A finalize on the coordinator of a Citus cluster is one for all nodes: the same
# steps everywhere, one restore point, waits for locks bounded on each node.  A
# node that fails ends the whole, and history names it.  A node takes what the
# coordinator sends, and records it as that.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Cluster;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my ($coordinator, $one, $two) = my @nodes = citus_cluster(2);

sub finalize { return try_sql($coordinator, "SELECT outcome FROM documentdb_upgrade.finalize_to($_[0])"); }
sub last_row
{
	my ($columns, $node) = @_;
	return sql($node // $coordinator, "SELECT $columns FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1");
}
sub name_of { return $_[0]->host . ':' . $_[0]->port; }

# A session that holds what a step needs, on one node alone.
my $reader = DocumentdbUpgrade::Session->new($two);
$reader->run('BEGIN; SELECT * FROM thing');
poll_until(sub { sql($coordinator, q{SELECT status, detail FROM documentdb_upgrade.preflight('1.1') WHERE guard = 'node_guards'})
	  =~ /^fail\|Node \S+:@{[ $two->port ]}, guard blocking_sessions: process / }, 'guards on the nodes are heard');
my $result = finalize(q{'1.1'});
is($result->{sqlstate}, '55000', 'and refuse');
is(last_row(q{outcome, refused_by}), 'refused|{node_guards}', 'by a guard that can be overridden');
my $start = time;
$result = finalize(q{'1.1', skip_guards => '{node_guards}'});
is($result->{sqlstate}, '55P03', 'a lock that is not to be had there ends it');
cmp_ok(time - $start, '<', patience(20), 'in time');
is(last_row(q{outcome, cause, nodes->0->>'node'}), 'failed|lock|' . name_of($two), 'history names the node');
like($result->{hint}, qr/node \Q@{[ name_of($two) ]}\E/, 'and so does the error');
is(versions_of(@nodes), '1.0 1.0 1.0', 'nothing has happened anywhere');
is(sql($_, 'SELECT count(*) FROM pg_prepared_xacts'), '0', 'nothing is left prepared') foreach $one, $two;
$reader->quit;

# A rehearsal goes through it on all nodes.
is(sql($coordinator, q{SELECT outcome FROM documentdb_upgrade.rehearse('1.1')}), 'passed', 'a rehearsal passes');
is(versions_of(@nodes) . shape($one), '1.0 1.0 1.01.0 thing(id)', 'and is taken back everywhere');
sql($one, 'CREATE TABLE last ()');
my $failed = sql($coordinator, q{SELECT outcome, message FROM documentdb_upgrade.rehearse('1.2')});
like($failed, qr/^failed\|relation "last" already exists/, 'one that cannot work on a node fails');
$result = finalize(q{'1.2'});
is($result->{sqlstate}, '42P07', 'as the finalize does, in its second step');
is(last_row(q{outcome, cause, nodes->0->>'node'}), 'failed|script|' . name_of($one), 'with the node in history');
is(versions_of(@nodes), '1.0 1.0 1.0', 'nothing has happened anywhere');
sql($one, 'DROP TABLE last');

# One that succeeds.
is(finalize(q{'1.1'})->{stdout}, 'succeeded', 'with that out of the way it succeeds');
is(versions_of(@nodes), '1.1 1.1 1.1', 'on all nodes');
is(shape($_), $shape_of{'1.1'}, $_->name . ' has all of it') foreach @nodes;
is(last_row(q{actor, from_version, to_version, outcome, skipped_guards}, $_), 'coordinator|1.0|1.1|succeeded|{}', $_->name . ' says who it was') foreach $one, $two;
is(last_row(q{restore_point, jsonb_path_query_array(nodes, '$[*].node')}), 'before_finalize_1.0_1.1|["' . name_of($one) . '", "' . name_of($two) . '"]', 'history has all nodes');
foreach my $node (@nodes)
{
	like(slurp_file($node->logfile), qr/restore point "before_finalize_1\.0_1\.1" created/, $node->name . ' has the restore point');
}
ok(sql($coordinator, q{SELECT bool_and((n->>'lsn')::pg_lsn > '0/0') FROM documentdb_upgrade.history, jsonb_array_elements(nodes) n WHERE outcome = 'succeeded'}) eq 't', 'and the place of each');

# A node that is lost in the middle.
set_and_reload($coordinator, 'documentdb_upgrade.lock_timeout', '1h');
my $gate = close_gate($two);
my $session = DocumentdbUpgrade::Session->new($coordinator);
$session->start(q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.2')});
poll_until(sub { sql($two, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) eq '1' }, 'its step has begun');
$two->stop('immediate');
ok(!$session->finish->{ok}, 'the loss of a node ends it');
$session->quit;
is(last_row(q{outcome, cause, nodes->0->>'node'}), 'failed|node|' . name_of($two), 'history says that it was lost');
$two->start;
is(versions_of(@nodes), '1.1 1.1 1.1', 'and nothing has happened anywhere');

# What somebody does by hand on the coordinator is carried too; a node refuses of it
# what its own files cannot, and nothing that the coordinator allows.
append_to_file(extension_file($coordinator, 'thing--1.2--1.3.sql'), '');
write_extension_file($coordinator, 'thing.control', "default_version = '1.3'\n");
$result = try_sql($coordinator, q{ALTER EXTENSION thing UPDATE TO '1.3'});
is($result->{sqlstate}, '55000', 'a version that a node does not offer is refused there') or diag($result->{stderr});
like($result->{stderr}, qr/refused by guard "within_binary".*while executing command on/s, 'by the node');
is(versions_of(@nodes), '1.1 1.1 1.1', 'and happens nowhere');
$result = try_sql($coordinator, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION thing});
ok($result->{ok}, 'what is allowed on the coordinator is allowed on its nodes') or diag($result->{stderr});
is(sql($_, q{SELECT count(*) FROM pg_extension WHERE extname = 'thing'}), '0', 'and happens there') foreach @nodes;

done_testing();
