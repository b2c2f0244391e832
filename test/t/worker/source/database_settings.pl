# Settings of the worker's database, which a process reads when it connects,
# are taken up: the worker starts itself anew, and an attempt with other
# settings than the worker's does nothing.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state worker_pid);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => 'autovacuum = off');
write_extension($node, 'other', '2.1', '2.0' => 'CREATE TABLE other (id int);', '2.0--2.1' => 'ALTER TABLE other ADD one int;');
sql($node, q{CREATE EXTENSION other VERSION '2.0'});

# The worker has taken something up when its process is another one.
my $worker = worker_pid($node);
sub other_worker
{
	my $why = shift;
	my $before = $worker;

	ok($node->poll_query_until('postgres', "SELECT worker_pid <> $before FROM documentdb_upgrade.status"), "$why: a new worker comes");
	$worker = worker_pid($node);
	return;
}

my $offset = -s $node->logfile;
wait_for_state($node, 'update_available');
sql($node, q{ALTER DATABASE postgres SET documentdb_upgrade.soak_time = '1h'});
other_worker('a guard');
desire($node, '1.2');
wait_for_state($node, 'blocked', qr/Guard soak_time refuses/);
wait_for_looks($node, 3);
is(attempts($node), '', 'it stands in the way');

my $last = $worker;
wait_for_looks($node, 5);
is(worker_pid($node), $last, 'the worker starts anew once for each change');

sql($node, q{ALTER DATABASE postgres RESET documentdb_upgrade.soak_time});
other_worker('without the guard');
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'the wish is fulfilled');

# Of a role and of other databases: only what concerns the worker.
$last = $worker;
sql($node, q{CREATE DATABASE aside; ALTER DATABASE aside SET work_mem = '1MB'; CREATE ROLE stranger; ALTER ROLE stranger SET work_mem = '1MB'});
wait_for_looks($node, 5);
is(worker_pid($node), $last, 'settings of others are no reason');

# Another main extension, set after the worker has ordered an attempt and
# before the attempt's process connects.
write_extension($node, 'thing', '1.3', '1.2--1.3' => 'ALTER TABLE last ADD three int;');
my $locker = DocumentdbUpgrade::Session->new($node);
$locker->run('BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE');
$node->append_conf('postgresql.auto.conf', q{documentdb_upgrade.desired_schema_version = 'auto'});
$locker->run('SELECT pg_reload_conf()');
ok(poll_until(sub { $locker->run(q{SELECT count(*) FROM pg_locks WHERE relation = 'pg_database'::regclass AND NOT granted})->{stdout} eq '1' },
		'it waits'), 'an attempt is about to connect');
like(logged($node, $offset), qr/finalizing extension "thing" to "1\.3"/, 'ordered for the extension as it was');
$locker->run(q{ALTER DATABASE postgres SET documentdb_upgrade.extension = 'other'});
$locker->run('COMMIT');
$locker->quit;
other_worker('another main extension');
ok($node->poll_query_until('postgres', q{SELECT extversion = '2.1' FROM pg_extension WHERE extname = 'other'}), 'which is followed now');
is(shape($node), $shape_of{'1.2'}, 'the one before is left alone');
is(sql($node, q{SELECT string_agg(concat_ws(' ', extension, to_version, outcome), ', ' ORDER BY id) FROM documentdb_upgrade.history}),
	'thing 1.2 succeeded, other 2.1 succeeded', 'as history tells');
is(lines_logged($node, qr/ERROR|FATAL/, $offset), '', 'all this without an error');

# A process that has read its settings when it connected, and gets to look at them
# when they have changed already: whatever came between, it is noticed.  A prepared
# transaction that has locked a table of ours keeps it from looking, over a restart too.
sql($node, 'ALTER DATABASE postgres RESET documentdb_upgrade.extension');
$node->append_conf('postgresql.auto.conf', "documentdb_upgrade.desired_schema_version = ''\nmax_prepared_transactions = 1");
$node->restart;

sub change_before_first_look
{
	my ($statement, $start_worker) = @_;

	sql($node, q{BEGIN; LOCK TABLE documentdb_upgrade.history; PREPARE TRANSACTION 'closed'});
	$start_worker->();
	comes_true($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND query = 'looking at the schema'});
	sql($node, $statement);
	sql($node, q{COMMIT PREPARED 'closed'});
	return;
}

change_before_first_look(q{ALTER DATABASE postgres SET documentdb_upgrade.desired_schema_version = '1.2'}, sub { $node->restart; });
ok(comes_true($node, q{SELECT desired = '1.2' FROM documentdb_upgrade.status}), 'the first worker of a server takes up what was set');
change_before_first_look('ALTER DATABASE postgres RESET documentdb_upgrade.desired_schema_version', sub { $node->restart; });
ok(comes_true($node, q{SELECT mode = 'two-phase' AND worker_pid IS NOT NULL FROM documentdb_upgrade.status}), 'and what was taken back');
$worker = worker_pid($node);
change_before_first_look(q{ALTER DATABASE postgres SET documentdb_upgrade.desired_schema_version = '1.3'},
	sub { sql($node, "SELECT pg_terminate_backend($worker, 10000)"); });
wait_for_state($node, 'up_to_date');
is(status_of($node)->{installed_version}, '1.3', 'and so does one that follows another');

done_testing();
