# The worker is a quiet neighbour: it answers barriers and shutdowns at once,
# whatever it does, keeps nobody from old rows, and a table that somebody
# holds is no reason to fall over.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;
use Time::HiRes qw(time);

my $node = worker_node('main');
wait_for_state($node, 'update_available');
set_and_reload($node, 'documentdb_upgrade.poll_interval', '1h');
comes_true($node, q{SELECT current_setting('documentdb_upgrade.poll_interval') = '1h'});

sub quickly
{
	my ($name, $code) = @_;
	my $start = time;

	$code->();
	cmp_ok(time - $start, '<', patience(4), $name);
	return;
}

# While it idles, and while an attempt is in the middle of a script.
my $gate = close_gate($node);
mkdir(my $place = $node->basedir . '/place') or die "could not create a directory: $!\n";
foreach my $when ('idle', 'during an attempt')
{
	if ($when ne 'idle')
	{
		desire($node, '1.2');
		attempt_at_gate($node);
	}
	quickly("DROP TABLESPACE, which every process must answer, $when",
		sub { sql($node, "CREATE TABLESPACE place LOCATION '$place'"); sql($node, 'DROP TABLESPACE place') });
	quickly("DROP DATABASE of another database, $when", sub { sql($node, 'CREATE DATABASE other'); sql($node, 'DROP DATABASE other') });
	is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('documentdb_upgrade worker', 'documentdb_upgrade launcher')
			AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL OR state <> 'idle')}), '0', "no transaction is left open, $when");
	is(sql($node, q{SELECT count(*) FROM pg_locks JOIN pg_stat_activity a USING (pid)
			WHERE a.backend_type IN ('documentdb_upgrade worker', 'documentdb_upgrade launcher')}), '0', "no lock is kept, $when");
}

# A fast shutdown during the attempt ends all of it.
quickly('a shutdown is prompt', sub { $node->stop('fast') });
$gate->vanish;
$node->start;
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'what it has interrupted is done after the next start');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome = 'succeeded'}), '1', 'once');

# Tables of our own that somebody has to himself.
set_and_reload($node, 'documentdb_upgrade.poll_interval', '100ms');
my $locker = DocumentdbUpgrade::Session->new($node);
$locker->run('BEGIN; LOCK TABLE documentdb_upgrade.history');
$node->wait_for_log(qr/worker could not look at the schema, and will try again/);
$locker->run('COMMIT');
$locker->quit;
desire($node, '');
ok(comes_true($node, q{SELECT desired = '' AND state = 'up_to_date' FROM documentdb_upgrade.status}), 'a locked table is survived');

done_testing();
