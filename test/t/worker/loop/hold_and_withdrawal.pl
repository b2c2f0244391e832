# A hold, and a desired version that is withdrawn or changed, end the attempt
# that runs, at once and without anything being broken.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main');
my $gate = close_gate($node);
my $last = q{SELECT outcome, message, actor FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1};

sub interrupted
{
	my ($why, $state, $next_step) = @_;

	wait_for_state($node, $state, $next_step);
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM documentdb_upgrade.progress}), "$why ends the attempt");
	is(sql($node, $last), qq{cancelled|upgrade of extension "thing" was cancelled because $why|worker}, "$why is in history");
	is(shape($node), $shape_of{'1.0'}, 'nothing is left of it');
}

wait_for_state($node, 'update_available');
set_and_reload($node, 'documentdb_upgrade.poll_interval', '1h');    # nothing here may wait for it
desire($node, '1.2');
attempt_at_gate($node);
is(sql($node, q{SELECT documentdb_upgrade.hold('freeze')}), 't', 'a hold answers that it came in time');
interrupted('a hold was placed', 'held', qr/A hold is placed: freeze/);
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')})->{sqlstate}, '55000', 'the hold counts for everybody');
is(sql($node, 'SELECT documentdb_upgrade.release()'), 't', 'its release');
attempt_at_gate($node);
pass('starts the next attempt');

# A hold that is rolled back has ended an attempt all the same, which begins
# again by itself.
my $session = DocumentdbUpgrade::Session->new($node);
my $pid = attempt_at_gate($node);
is($session->run(q{BEGIN; SELECT documentdb_upgrade.hold('or not')})->{stdout}, 't', 'a hold in a transaction');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"), 'ends the attempt before its commit');
$session->run('ROLLBACK');
$session->quit;
isnt(attempt_at_gate($node), $pid, 'rolled back, it lets the next one begin');

# Nothing is desired any more.
desire($node, '');
interrupted('its target is not desired any more', 'update_available', qr/no version is desired/);
is(status_of($node)->{next_retry}, undef, 'nothing is due');

# Something else is.
desire($node, '1.2');
attempt_at_gate($node);
desire($node, '1.1');
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.1'}, 'another target is taken up instead');
is(sql($node, q{SELECT string_agg(concat_ws(' ', to_version, outcome), ', ' ORDER BY id) FROM
	(SELECT * FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 2) AS h}), '1.2 cancelled, 1.1 succeeded', 'history tells both');
is(status_of($node)->{next_retry}, undef, 'no retry is left over');

# None of this counts as a failure.
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome = 'failed'}), '0', 'nothing has failed');
is(count_logged($node, qr/WARNING:/), 0, 'nobody is warned');
$gate->quit;

done_testing();
