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
is(status_of($node)->{installed_version}, '0.100-0', 'the schema is as it was');
is(status_of($node)->{desired}, '', 'and what is desired is what the watch said last');

# However many reads in a row are overtaken, none of them is believed.
sub read_late
{
	my ($change, $name, $seen) = @_;
	my $before = $api->faults_left;

	sql($node, 'SELECT documentdb_upgrade.tick()');
	poll_until(sub { $api->faults_left < $before }, "$name: a read is under way");
	$change->();
	wait_for_status($node, $seen, "$name: the watch tells it first");
	return;
}

sub all_answered
{
	$api->clear_faults;
	poll_until(sub { !$api->counts->{busy} }, 'the late answers are sent');
	select undef, undef, undef, 0.5;
	return;
}

$api->fault(method => 'GET', watch => 0, path => '/dbs/db1$', wait => 1, times => 100);
foreach my $read (1 .. 4)
{
	read_late(sub { $api->patch_spec('db1', schemaVersion => "66.$read.0") }, "read $read",
		sub { $_[0]->{desired} eq "66.$read.0" });
}
all_answered();
is(status_of($node)->{desired}, '66.4.0', 'what the watch said last stands');

# A resource that is deleted, or made anew, while it is read.
my $is_gone = sub { $_[0]->{next_step} =~ /There is no custom resource/ };
$api->fault(method => 'GET', watch => 0, path => '/dbs/db1$', wait => 1, times => 100);
read_late(sub { $api->delete_resource('db1') }, 'deletion', $is_gone);
all_answered();
ok($is_gone->(status_of($node)), 'a late answer does not bring back what is gone');

$api->fault(method => 'GET', watch => 0, path => '/dbs/db1$', wait => 1, times => 100);
read_late(sub { $api->put_resource('db1', spec => { schemaVersion => '65.0.0' }) }, 'creation',
	sub { ($_[0]->{desired} // '') eq '65.0.0' && !$is_gone->($_[0]) });
all_answered();
ok(!$is_gone->(status_of($node)), 'nor take away what is there');
is(status_of($node)->{desired}, '65.0.0', 'what is known in the end is what is there');

done_testing();
