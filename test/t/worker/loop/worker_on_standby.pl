# On a standby the worker runs, looks and changes nothing, and opens no source;
# when it is promoted it does at once what is desired.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = PostgreSQL::Test::Utils::tempdir() . '/desired';
append_to_file($file, "\n");
my $primary = worker_node('primary', streaming => 1, conf => qq{
	documentdb_upgrade.source = 'file'
	documentdb_upgrade.desired_file = '$file'
});
wait_for_state($primary, 'update_available');
$primary->backup('base');

# Nothing on the standby may wait for a poll.
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $primary->install_path);
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', q{
	documentdb_upgrade.poll_interval = '1h'
	documentdb_upgrade.desired_file = '/nowhere/else'
});
$standby->start;
$primary->wait_for_catchup($standby);
my $worker = process_of($standby, 'worker');
ok(comes_true($standby, 'SELECT worker_pid IS NOT NULL FROM documentdb_upgrade.status'), 'a worker runs on the standby');
my $status = status_of($standby);
is("$status->{role} $status->{state} $status->{worker_pid}", "standby standby $worker", 'which is one');
like($status->{next_step}, qr/This server is a standby and changes nothing; look at the primary\./, 'and says so');
is($status->{last_contact}, undef, 'no source was ever read');
is(sql($standby, 'SELECT source_reads_total + source_failures_total, worker_up, update_available_seconds > 0 FROM documentdb_upgrade.metrics'),
	'0|1|t', 'metrics work');
is(sql($standby, $_), 'f', "$_ has nothing to answer") foreach 'SELECT documentdb_upgrade.cancel()';
is(try_sql($standby, 'SELECT documentdb_upgrade.retry()')->{sqlstate}, '25006', 'retry() is refused there');
is(sql($standby, 'SELECT documentdb_upgrade.tick()'), 'standby', 'tick() tells the state');
is(sql($standby, q{SELECT documentdb_upgrade.wait_for('1.0', '0'), documentdb_upgrade.wait_for('1.1', '10 ms')}), 't|f', 'wait_for() works');

# It follows what the primary does, and what is configured, without acting.
unlink $file;
append_to_file($file, '1.1');
wait_for_state($primary, 'up_to_date');
ok(try_sql($standby, q{SELECT documentdb_upgrade.wait_for('1.1', '1 min')})->{stdout} eq 't', 'the commit of the primary arrives');
$standby->append_conf('postgresql.conf', qq{
	documentdb_upgrade.source = 'setting'
	documentdb_upgrade.desired_schema_version = '1.2'
});
$standby->reload;
ok(comes_true($standby, q{SELECT source = 'setting' FROM documentdb_upgrade.status}), 'a reload is answered at once');
is(status_of($standby)->{state}, 'standby', 'and nothing is done for it');
is(attempts($standby), '1.0 1.1 succeeded worker', 'there is only what the primary did');
is(count_logged($standby, qr/ERROR:  (?!cannot execute (?:UPDATE|SELECT FOR))|WARNING|finalizing/), 0, 'the log is calm');
is(process_of($standby, 'worker'), $worker, 'the worker is the same');

$primary->stop('fast');
$standby->promote;
wait_for_state($standby, 'up_to_date');
is(shape($standby), $shape_of{'1.2'}, 'a promoted standby does what is desired at once');
is(attempts($standby), "1.0 1.1 succeeded worker\n1.1 1.2 succeeded worker", 'once, by the worker');
is(process_of($standby, 'worker'), $worker, 'which is the same process still');
is(status_of($standby)->{role}, 'primary', 'of a primary');
is(sql($standby, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'documentdb_upgrade (?!worker|launcher)'}), '0', 'and no helper stays');

done_testing();
