# The schema follows spec.schemaVersion of the custom resource: unset is
# announced, a version is finalized, "auto" goes to the binary, and nothing
# goes back.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
my $resource = $api->put_resource('db1', spec => { nodeCount => 1, documentDBVersion => '1.0.0' });
my $node = follow($api);
my $last = q{SELECT actor, from_version, to_version, outcome, resource_uid, resource_generation
	FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1};

wait_for_state($node, 'update_available', qr/1\.0-0/);
my $status = status_of($node);
is($status->{source}, 'kubernetes', 'status names the source');
is($status->{desired}, '', 'nothing is desired');
ok($status->{last_contact}, 'and when it was read');
is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.history'), '0', 'nothing runs unasked');

$resource = $api->patch_spec('db1', schemaVersion => '0.105.0');
wait_for_status($node, sub { $_[0]->{installed_version} eq '0.105-0' }, 'the version asked for is installed');
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '0.105-0', 'a version is finalized as written with dots');
is(sql($node, $last), "worker|0.100-0|0.105-0|succeeded|$resource->{metadata}{uid}|$resource->{metadata}{generation}",
	'history keeps who, what, and which generation of which resource asked for it');
wait_for_state($node, 'up_to_date');

# A jump over a version of the companion that does not exist is no problem.
$resource = $api->patch_spec('db1', schemaVersion => '0.112.0');
wait_for_status($node, sub { $_[0]->{installed_version} eq '0.112-0' }, 'the next version is installed');
wait_for_state($node, 'up_to_date');
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'documentdb_core'}), '0.112-0', 'with the companion');

$api->patch_spec('db1', schemaVersion => '9.9.9');
wait_for_state($node, 'waiting', qr/9\.9[.-]9/);
$api->patch_spec('db1', schemaVersion => '0.105.0');
wait_for_state($node, 'blocked', qr/0\.105/);
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '0.112-0', 'a schema never goes back');

$resource = $api->patch_spec('db1', schemaVersion => 'auto');
wait_for_status($node, sub { $_[0]->{installed_version} eq '1.0-0' }, '"auto" is followed');
wait_for_state($node, 'up_to_date');
is(sql($node, $last), "worker|0.112-0|1.0-0|succeeded|$resource->{metadata}{uid}|$resource->{metadata}{generation}",
	'"auto" goes to the binary');
is(sql($node, q{SELECT count(*) FILTER (WHERE outcome <> 'succeeded'), count(*) FROM documentdb_upgrade.history}), '0|3',
	'and all of it took three attempts');

done_testing();
