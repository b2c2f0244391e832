# Where the definition of the custom resource keeps no conditions, or none
# beside those of others, none are written, and nothing else suffers.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

foreach my $how (qw(undeclared pruned atomic))
{
	my $api = DocumentdbUpgrade::FakeApi->new;
	my %applies = (method => 'PATCH', type => 'application/apply-patch+yaml');

	$api->put_resource('db1', spec => { nodeCount => 1 });
	$api->keep_conditions($how);
	my $node = follow($api, name => $how);
	my $reported = sub { ($api->resource('db1')->{status}{schemaVersion} // '') eq $_[0] };

	ok(poll_until(sub { $reported->('0.100.0') }, 'the version is reported'), "$how: the version is reported");
	ok(poll_until(sub { scalar $api->requests(%applies) }, 'a condition is tried'), 'a condition is tried');
	foreach my $version (qw(0.101 0.105 0.108 1.0))
	{
		$api->patch_spec('db1', schemaVersion => "$version.0");
		ok(poll_until(sub { $reported->("$version.0") }, "$version is reported"), "version $version is installed and reported");
	}
	is(scalar $api->requests(%applies), 1, 'a condition was tried once and not again');
	is($api->condition('db1', 'SchemaSettled'), undef, 'and left nothing');
	ok(poll_until(sub { 4 == grep { $_->{reason} eq 'SchemaUpgraded' } $api->events }, 'there are Events'), 'Events came for each');
	wait_for_state($node, 'up_to_date');
	$node->stop;
	$api->stop;
}

done_testing();
