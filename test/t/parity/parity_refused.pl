# Runs that cannot be: without a process, without the worker's library, in a
# transaction that cannot lend its snapshot, on a standby.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = stub_node('main', streaming => 1, own_installation => 1, conf => 'max_worker_processes = 4');

# One that fails is taken back.
sub forget_steps { return sql($node, 'DELETE FROM stub.steps') }
sub sqlstate { return try_sql($node, $_[0])->{sqlstate} }

# Transactions.
my $call = call({});
is(sqlstate("BEGIN ISOLATION LEVEL REPEATABLE READ; $call"), '25001', 'REPEATABLE READ');
is(sqlstate("BEGIN ISOLATION LEVEL SERIALIZABLE; $call"), '25001', 'SERIALIZABLE');
is(sqlstate("BEGIN; SAVEPOINT a; $call"), '25001', 'a subtransaction');
is(sqlstate("BEGIN READ ONLY; $call"), undef, 'a read-only one will do');
is(sqlstate("BEGIN; CREATE TABLE t (); $call"), undef, 'and one that has written');
is(sqlstate("DO \$\$BEGIN PERFORM documentdb_upgrade_internal.run_parity('{}'); END\$\$"), undef, 'and one within a function');

# Options.
is(sqlstate(call({ workers => $_ })), '22023', "$_ workers") foreach 0, 33, -1, 'two';
is(sqlstate('SELECT documentdb_upgrade_internal.run_parity(NULL)'), '22004', 'no options');
is(sqlstate(q{SELECT documentdb_upgrade_internal.run_parity('[]')}), undef, 'options that are no object are none');

# What the engine raises.
my $result = try_sql($node, call({ fail => '55006', workers => 2 }));
is_deeply([ @{$result}{qw(sqlstate message detail hint)} ], [ '55006', 'it cannot begin', 'A detail.', 'A hint.' ], 'a refused beginning is raised as it is');
order($node, [ 1, fail => undef ], [ 0, run => 'SELECT 1' ]);
is(sqlstate(call({ workers => 2 })), undef, 'an error of the engine later');
is_deeply(failures($node), [ { sqlstate => 'XX001', message => 'the engine fails' } ], 'is told to the engine');
is_deeply(short_answers($node), [ { local => 1 } ], 'the others are through with their work');
forget_steps();
order($node, [ 0, dance => undef ]);
is(sqlstate(call({})), undef, 'a step that is none');
is(failures($node)->[0]{message}, 'unknown parity step "dance"', 'is told as well');
sql($node, 'ALTER TABLE stub.failures RENAME TO gone');
order($node, [ 0, fail => undef ]);
$result = try_sql($node, call({ workers => 2 }));
is("$result->{sqlstate} $result->{message}", 'XX001 the engine fails', 'what it cannot note is raised');
sql($node, 'ALTER TABLE stub.gone RENAME TO failures');
forget_steps();

# Locks of the caller's own transaction.
order($node, [ 0, run => 'SELECT to_json(count(*)) FROM public.t' ]);
sql($node, 'CREATE TABLE t ()');
$result = try_sql($node, "BEGIN; LOCK TABLE t; $call");
is($result->{sqlstate}, '40P01', 'a process that waits for its caller');
like($result->{message}, qr/waits for a lock that this transaction holds/, 'is told so');
await_left('afterwards', $node);
forget_steps();

# No process. The launcher of logical replication has one of the four.
order($node, [ $_, run => 'SELECT public.gate()' ]) foreach 0 .. 3;
my $gate = DocumentdbUpgrade::Session->new($node);
$gate->run('SELECT pg_advisory_lock(42)');
my $session = DocumentdbUpgrade::Session->new($node);
$session->start(call({ workers => 8 }));
ok($node->poll_query_until('postgres', q{SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade parity' AND wait_event = 'advisory'}),
	'as many processes as there are');
$result = try_sql($node, $call);
is($result->{sqlstate}, '53400', 'none is left');
is($result->{hint}, 'Raise max_worker_processes.', 'with a hint');
$gate->run('SELECT pg_advisory_unlock_all()');
is($session->finish->{stdout}, '7', 'fewer are fine');
is(scalar @{ answers($node) }, 3, 'each has done its part');
forget_steps();

# The library.
order($node, [ 0, run => undef, 'SELECT 1' ]);
my $library = library_dir($node) . '/documentdb_upgrade_worker.so';
rename $library, "$library.away" or die "could not rename: $!";
$result = try_sql($node, call({ workers => 2 }, $node));
is($result->{sqlstate}, '0A000', 'without the worker\'s library');
like($result->{message}, qr/^cannot connect to another server: .*documentdb_upgrade_worker/, 'with the reason');
like($result->{hint}, qr/libpq5/, 'and what to install');
is(sqlstate($call), undef, 'without another server it is not needed');
order($node, [ 0, run => undef, 'SELECT 1' ]);
rename "$library.away", $library or die "could not rename: $!";
is(sqlstate(call({}, $node)), undef, 'it is there again');

# A standby.
$node->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $node->{_install_path});
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(try_sql($standby, $call)->{sqlstate}, '25006', 'on a standby');
order($node, [ 0, run => 'SELECT to_json(pg_is_in_recovery())', 'SELECT to_json(pg_is_in_recovery())' ]);
answers($node);
run_ok($node, {}, $standby);
is_deeply(short_answers($node), [ { local => JSON::PP::false(), remote => JSON::PP::true() } ], 'one may be the other server');
await_left('at the end', $node, $standby);

done_testing();
