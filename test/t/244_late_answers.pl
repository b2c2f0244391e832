# A read says what was true when the server answered it: one that arrives
# after newer events of the watch must not undo them.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, conf => 'documentdb_upgrade.report_status = off');

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');
wait_for_watch($api);

# The read before an attempt says "auto", late; meanwhile the wish is gone.
$api->fault(method => 'GET', watch => 0, path => '/dbs/db1$', wait => 1.5);
$api->patch_spec('db1', schemaVersion => 'auto');
poll_until(sub { $api->faults_left == 0 }, 'the read before the attempt is under way');
$api->patch_spec('db1', schemaVersion => '');
wait_for_status($node, sub { $_[0]->{desired} eq '' }, 'the wish is withdrawn');
poll_until(sub { !$api->counts->{busy} }, 'the late answer is sent');
still_follows($node, $api, 'a late answer');
wait_for_state($node, 'update_available');
is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.history'), '0', 'a wish that was withdrawn meanwhile is not acted on');
is(status_of($node)->{installed}, '0.100-0', 'the schema is as it was');
is(status_of($node)->{desired}, '', 'and what is desired is what the watch said last');

done_testing();
