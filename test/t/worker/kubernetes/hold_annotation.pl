# The annotation documentdb-upgrade/hold on the resource holds as hold() does,
# and its going releases.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use JSON::PP;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { schemaVersion => '0.105.0' },
	metadata => { annotations => { 'documentdb-upgrade/hold' => 'release "freeze"' } });
my $node = follow($api);
my $runs = q{SELECT count(*) FROM documentdb_upgrade.history};

wait_for_state($node, 'held', qr/release "freeze".* When its reason is gone, run kubectl annotate dbs\.documentdb\.io db1 --namespace lab documentdb-upgrade\/hold-$/);
is(status_of($node)->{desired}, '0.105.0', 'the wish is known');
$api->patch_spec('db1', schemaVersion => '0.106.0');
wait_for_status($node, sub { $_[0]->{desired} eq '0.106.0' }, 'another wish is known');
wait_for_state($node, 'held', qr/release "freeze"/);
is(sql($node, $runs), '0', 'nothing runs');
ok(poll_until(sub { (($api->condition('db1', 'SchemaSettled') // {})->{reason} // '') eq 'Held' }, 'the condition is Held'), 'the condition says Held');

$api->annotate('db1', 'documentdb-upgrade/hold', undef);
wait_for_state($node, 'up_to_date');
is(status_of($node)->{installed_version}, '0.106-0', 'without it the schema follows');

# A hold over SQL counts beside it.
sql($node, q{SELECT documentdb_upgrade.hold('by SQL')});
$api->patch_spec('db1', schemaVersion => '0.107.0');
wait_for_state($node, 'held', qr/by SQL/);
$api->annotate('db1', 'documentdb-upgrade/hold', 'by annotation');
wait_for_state($node, 'held', qr/by (?:SQL|annotation)/);
sql($node, 'SELECT documentdb_upgrade.release()');
wait_for_state($node, 'held', qr/by annotation/);
$api->annotate('db1', 'documentdb-upgrade/hold', undef);
wait_for_state($node, 'up_to_date');
is(status_of($node)->{installed_version}, '0.107-0', 'both have to go');

# What is announced is to be asked of the resource; under a hold nothing is.
$api->patch_spec('db1', schemaVersion => '');
wait_for_state($node, 'update_available', qr/; to commit it, set spec\.schemaVersion to "1\.0\.0" \(or "auto"\): kubectl patch /);
my ($type, $patch) = status_of($node)->{next_step} =~ /: kubectl patch dbs\.documentdb\.io db1 --namespace lab --type (\w+) -p '([^']*)'$/;
is($type, 'merge', 'by the command');
is_deeply(JSON::PP::decode_json($patch // '{}'), { spec => { schemaVersion => '1.0.0' } }, 'that does it');
$api->annotate('db1', 'documentdb-upgrade/hold', 'freeze');
wait_for_state($node, 'update_available', qr/Guard hold refuses: .* run kubectl annotate /);
ok(poll_until(sub { (($api->condition('db1', 'SchemaSettled') // {})->{message} // '') =~ /Guard hold refuses/ }, 'the condition says so'), 'the condition does not advise to go on');

done_testing();
