# A wish that changes faster than it can be followed ends where it ends, and a
# wish taken back before its turn is not acted on.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, conf => q{documentdb_upgrade.lock_timeout = '1h'});

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

unharmed($node, $api, 'hundreds of changes', sub {
	foreach my $round (1 .. 200)
	{
		$api->patch_spec('db1', schemaVersion => "55.$round.0");
		$api->patch_spec('db1', schemaVersion => '');
	}
	wait_for_state($node, 'update_available');
	is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.history'), '0', 'no attempt came of it');
});

# An attempt that waits for a lock is cancelled when its wish goes.
my $blocker = DocumentdbUpgrade::Session->new($node);
$blocker->run('BEGIN; LOCK TABLE documentdb_api_catalog.collections');
$api->patch_spec('db1', schemaVersion => 'auto');
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
	WHERE NOT l.granted AND a.backend_type = 'documentdb_upgrade attempt'}), 'an attempt waits for a lock');
$api->patch_spec('db1', schemaVersion => '');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type = 'documentdb_upgrade attempt'}), 'and ends when the wish is taken back');
$blocker->run('COMMIT');
wait_for_state($node, 'update_available');
is(status_of($node)->{installed_version}, '0.100-0', 'the schema is as it was');
is(sql($node, q{SELECT string_agg(DISTINCT outcome, ',') FROM documentdb_upgrade.history}), 'cancelled', 'history says cancelled');

# A wish that goes and comes ends as the last one.
foreach my $version ('0.101.0', '', '0.102.1', '', '0.104.0', '', '0.105.0')
{
	$api->patch_spec('db1', schemaVersion => $version);
}
wait_for_status($node, sub { $_[0]->{installed_version} eq '0.105-0' }, 'the last wish is followed');
wait_for_state($node, 'up_to_date');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome = 'failed'}), '0', 'without a failure');
$blocker->quit;

done_testing();
