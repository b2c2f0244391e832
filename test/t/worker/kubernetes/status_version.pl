# status.schemaVersion of the resource is what is installed: patched alone,
# and only when it differs.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use JSON::PP qw(decode_json);
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 }, status => { connectionString => 'kept', status => 'Cluster in healthy state' });
$api->keep_conditions('undeclared');
my $node = follow($api);
my $reported = sub { ($api->resource('db1')->{status}{schemaVersion} // '') eq $_[0] };
my %patches = (method => 'PATCH', path => qr{/dbs/db1/status$}, type => 'application/merge-patch+json');

ok(poll_until(sub { $reported->('0.100.0') }, 'the version is reported'), 'the version is reported with dots');
my @patches = $api->requests(%patches);
is(scalar @patches, 1, 'by one patch');
my $body = decode_json($patches[0]{body});
is_deeply($body->{status}, { schemaVersion => '0.100.0' }, 'of that field alone');
is_deeply([ grep { !/^(?:metadata|status|apiVersion|kind)$/ } keys %$body ], [], 'and of nothing else');
like($body->{metadata}{resourceVersion} // '', qr/^\d+$/, 'for one version of the resource');
is($api->resource('db1')->{status}{connectionString}, 'kept', 'so what others wrote stays');

$api->patch_spec('db1', schemaVersion => '0.106.0');
ok(poll_until(sub { $reported->('0.106.0') }, 'the new version is reported'), 'after a change the new version is reported');
is(scalar $api->requests(%patches), 2, 'by one patch more');

# Nothing is written while reports are off.
$node->append_conf('postgresql.conf', 'documentdb_upgrade.report_status = off');
$node->reload;
is($node->poll_query_until('postgres', q{SELECT current_setting('documentdb_upgrade.report_status') = 'off'}), 1, 'reports are switched off');
$api->mark;
$api->patch_spec('db1', schemaVersion => '0.107.0');
wait_for_status($node, sub { $_[0]->{installed_version} eq '0.107-0' }, 'the schema follows all the same');
wait_for_state($node, 'up_to_date');
still_follows($node, $api, 'an upgrade that is not reported');
is(scalar(grep { $_->{method} ne 'GET' } $api->requests), 0, 'and nothing at all is written');

# Switched on again, they make up for it.
$node->append_conf('postgresql.conf', 'documentdb_upgrade.report_status = on');
$node->reload;
ok(poll_until(sub { $reported->('0.107.0') }, 'the version is reported'), 'switched on again, it is reported');

# The operator writes the same field: when it was first, our patch meets a
# conflict and there is nothing left to do.
$api->mark;
$api->fault(method => 'PATCH', type => $patches{type}, times => 1, wait => 0.5, status => 409,
	json => { kind => 'Status', apiVersion => 'v1', code => 409, reason => 'Conflict', message => 'the object has been modified' });
$api->patch_spec('db1', schemaVersion => '0.108.0');
poll_until(sub { $api->faults_left == 0 }, 'a patch is on its way');
$api->put_resource('db1', status => { schemaVersion => '0.108.0' });
wait_for_state($node, 'up_to_date');
still_follows($node, $api, 'a conflict');
ok($reported->('0.108.0'), 'the version is the one installed');
is(scalar $api->requests(%patches), 1, 'without another patch');

# What it writes wrongly is put right, however often.
$api->mark;
foreach my $wrong ('0.1.0', '5.0.0', undef)
{
	$api->put_resource('db1', status => { schemaVersion => $wrong });
	ok(poll_until(sub { $reported->('0.108.0') }, 'the version is put right'), 'a wrong version is put right: ' . ($wrong // 'none'));
}
is(scalar $api->requests(%patches), 3, 'by one patch each');

done_testing();
