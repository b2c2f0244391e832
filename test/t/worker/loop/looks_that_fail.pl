# Somebody locks our tables, or drops this extension while the worker looks:
# it says so once, stays, and goes on when it can.  What nobody expects still
# ends it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main');
my $locker = DocumentdbUpgrade::Session->new($node);
my $trouble = qr/LOG:.*worker could not look at the schema, and will try again/;
my $waits = q{SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'documentdb_upgrade worker' AND state = 'active' AND wait_event_type = 'Extension'};

# The worker waits until it can have all locks, ours among them.
sub wait_until_stuck
{
	return poll_until(
		sub {
			$locker->run('SELECT pg_stat_clear_snapshot()');
			$locker->run($waits)->{stdout} eq '1';
		}, 'the worker waits for a lock');
}

wait_for_state($node, 'update_available');
my $worker = process_of($node, 'worker');
my $offset = -s $node->logfile;

# Tables of ours, one after the other, while a wish is pending.
sql($node, q{SELECT documentdb_upgrade.hold('for now')});
desire($node, '1.2');
wait_for_state($node, 'held');
foreach my $table (qw(holds history))
{
	my $start = -s $node->logfile;

	$locker->run("BEGIN; LOCK TABLE documentdb_upgrade.$table IN ACCESS EXCLUSIVE MODE");
	ok(poll_until(sub { logged($node, $start) =~ $trouble }, "$table: it is told"), "$table: a lock in the way is told");
	like(logged($node, $start), qr/DETAIL:  could not lock relation "$table" of extension "documentdb_upgrade"/, "$table: with where");
	foreach (1 .. 2)
	{
		wait_until_stuck();
		ok(poll_until(sub { $locker->run('SELECT pg_stat_clear_snapshot()'); $locker->run($waits)->{stdout} eq '0' }, 'it gives up'),
			"$table: the worker tries again");
	}
	is(count_logged($node, $trouble, $start), 1, "$table: told once");
	$locker->run('COMMIT');
	wait_for_looks($node, 2);
}
sql($node, 'SELECT documentdb_upgrade.release()');
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'and goes on when the lock is gone');

# What it would note by the way waits for a table that somebody holds.
my $noted = q{SELECT count(*) = 1 FROM documentdb_upgrade_internal.binaries_seen WHERE version = '1.3'};
my $held = -s $node->logfile;
$locker->run('BEGIN; LOCK TABLE documentdb_upgrade_internal.binaries_seen IN SHARE MODE');
write_extension($node, 'thing', '1.3', '1.2--1.3' => '');
wait_for_looks($node, 2);
is(sql($node, $noted), 'f', 'another binary is not noted while its table is held');
$locker->run('COMMIT');
ok(comes_true($node, $noted), 'but then');
is(count_logged($node, $trouble, $held), 0, 'and no look has waited for that');
write_extension($node, 'thing', '1.2');

# The extension is dropped while the worker looks.
foreach my $round (1 .. 3)
{
	$locker->run('BEGIN; DROP EXTENSION documentdb_upgrade');
	wait_until_stuck();
	$locker->run('CREATE EXTENSION documentdb_upgrade') if $round == 3;
	ok($locker->run('COMMIT')->{ok}, "drop $round: while the worker looks");
	sql($node, 'CREATE EXTENSION documentdb_upgrade') if $round < 3;
	ok(comes_true($node, q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), "drop $round: the worker looks again");
	wait_for_looks($node, 2);
}
is(process_of($node, 'worker'), $worker, 'it is the same process all the time');
is(lines_logged($node, qr/ERROR:|FATAL:|WARNING:/, $offset), '', 'and nothing was an error');

# Everything else ends it: somebody has broken our tables.
sql($node, 'ALTER TABLE documentdb_upgrade.history RENAME TO kept');
ok(poll_until(sub { logged($node, $offset) =~ /ERROR:  relation "documentdb_upgrade\.history" does not exist/ }, 'an error'),
	'what is not expected is an error');
sql($node, 'ALTER TABLE documentdb_upgrade.kept RENAME TO history');
wait_for_state($node, 'up_to_date');
isnt(process_of($node, 'worker'), $worker, 'and another worker comes');
$_->quit foreach $locker;

done_testing();
