# A resource that is being deleted, or is gone, wants nothing: nothing runs.
# One that is created again under the same name is followed.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use Test::More;

need_real_api();

sub comes_and_goes
{
	my ($modern) = @_;
	my $mode = $modern ? 'later release' : 'plain';
	my ($api, $node) = lab(modern => $modern, name => "main$modern");
	my $status = sub { sql($node, "SELECT $_[0] FROM documentdb_upgrade.status") };
	my $becomes = sub {
		my ($state, $what) = @_;
		ok($node->poll_query_until('postgres', "SELECT state = '$state' FROM documentdb_upgrade.status"), "$mode: $what: $state")
		  or diag($status->('state, next_step'));
	};

	$becomes->('update_available', 'a resource without a wish');
	my $old = $api->resource->{metadata}{uid};
	$api->patch_resource({ metadata => { finalizers => ['example.com/wait'] } });
	$api->kubectl('-n', 'databases', 'delete', 'dbs', 'mydb', '--wait=false');
	$becomes->('waiting', 'a resource that is being deleted');
	like($status->('next_step'), qr/delet/, "$mode: it says why");
	my $seen = $status->('last_contact');
	$api->patch_resource({ spec => { schemaVersion => '0.109.0' } });
	ok($node->poll_query_until('postgres', "SELECT last_contact > '$seen' FROM documentdb_upgrade.status"), "$mode: a last wish is read");
	$becomes->('waiting', 'after a last wish');

	$api->patch_resource({ metadata => { finalizers => undef } });
	ok($node->poll_query_until('postgres', q{SELECT next_step ~ 'no |not ' AND next_step ~ 'mydb' AND next_step !~ 'being deleted' FROM documentdb_upgrade.status}),
		"$mode: then there is none") or diag($status->('next_step'));
	is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '0.108-0', "$mode: and nothing has run");
	is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.history'), '0', "$mode: nor been tried");

	$api->create_resource({ schemaVersion => '0.112.0' }, 'other');
	$api->create_resource({ schemaVersion => '0.109.0' });
	my $new = $api->resource->{metadata}{uid};
	isnt($new, $old, "$mode: a new resource");
	ok($node->poll_query_until('postgres', q{SELECT installed_version = '0.109-0' AND state = 'up_to_date' FROM documentdb_upgrade.status}), "$mode: is followed");
	is(sql($node, 'SELECT to_version, resource_uid FROM documentdb_upgrade.history'), "0.109-0|$new", "$mode: under its own identity");
	poll_until(sub { ($api->resource->{status}{schemaVersion} // '') eq '0.109.0' }, 'the new resource is told');
	is($api->resource->{status}{schemaVersion}, '0.109.0', "$mode: and told");
	ok(!exists $api->resource('other')->{status}, "$mode: another resource is none of our business");

	$node->stop;
	$api->stop;
	return;
}

comes_and_goes($_) foreach api_modes();

done_testing();
