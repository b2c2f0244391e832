# Where no background worker is to be had the server works and status says
# what is wanting; pg_upgrade's mode starts nothing of ours.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = worker_node('main');
my $processes = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^documentdb_upgrade' AND backend_type <> 'documentdb_upgrade look'};

wait_for_state($node, 'update_available');
is(sql($node, $processes), '2', 'a launcher and a worker run');
desire($node, '1.1');
wait_for_state($node, 'up_to_date');
$node->stop;

sub restart_with
{
	my $processes_allowed = shift;
	my $offset = -s $node->logfile;

	$node->append_conf('postgresql.conf', "max_worker_processes = $processes_allowed\nmax_logical_replication_workers = 0");
	$node->start;
	return $offset;
}

# Not even a launcher.
$node->append_conf('postgresql.auto.conf', q{documentdb_upgrade.desired_schema_version = ''});
restart_with(0);
is(sql($node, $processes), '0', 'without a process for anybody nothing of ours runs');
$node->append_conf('postgresql.auto.conf', q{documentdb_upgrade.desired_schema_version = '1.2'});
$node->reload;
wait_for_state($node, 'update_available', qr/no worker runs here to follow it: .*max_worker_processes.*finalize_to\('1\.2'\);/);
is(try_sql($node, 'SELECT documentdb_upgrade.tick()')->{sqlstate}, '53400', 'tick() has no process either');
$node->stop;

# A launcher and no worker.
my $offset = restart_with(1);
$node->wait_for_log(qr/LOG:  documentdb_upgrade worker does not run\n.*DETAIL:  No background worker is free\.\n.*HINT:  Raise max_worker_processes by three and restart PostgreSQL\./, $offset);
wait_for_state($node, 'update_available', qr/no worker runs here to follow it: No background worker is free\. Raise max_worker_processes/);
is(try_sql($node, 'SELECT documentdb_upgrade.tick()')->{sqlstate}, '53400', 'tick() has no process either');
is(shape($node), $shape_of{'1.1'}, 'nothing is done');
$node->stop;

# A worker and no attempt: it tries again and again, and says what is wanting.
$offset = restart_with(2);
wait_for_state($node, 'pending', qr/The worker tries again at .* after \d+ failures \(no background worker is free \(max_worker_processes\)\)/);
$node->wait_for_log(qr/WARNING:  finalize of extension "thing" to "1\.2" has failed 5 times in a row: no background worker is free/, $offset);
is(shape($node), $shape_of{'1.1'}, 'nothing is done');
is(count_logged($node, qr/WARNING/, $offset), 1, 'with one warning');
$node->stop;

# As pg_upgrade starts a server.
$offset = -s $node->logfile;
my @pg_ctl = ('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile);
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
system_or_bail(@pg_ctl, '-o', '-b', 'start');
my $output = '';
IPC::Run::run([ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres'), '-c', $processes,
		'-c', 'SELECT installed_version, worker_pid FROM documentdb_upgrade.status' ], '>', \$output);
is($output, "0\n1.1|\n", 'in binary upgrade mode nothing of ours runs, and status works');
system_or_bail(@pg_ctl, 'stop');
is(count_logged($node, qr/documentdb_upgrade worker/, $offset), 0, 'nor does the log know of it');

# And when all is well.
$node->start;
wait_for_state($node, 'up_to_date');
is(attempts($node), "1.0 1.1 succeeded worker\n1.1 1.2 succeeded worker", 'with enough processes it does what is desired');

done_testing();
