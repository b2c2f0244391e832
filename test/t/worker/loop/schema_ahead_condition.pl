# The custom resource tells of a binary that is older than the schema, and
# whether writes are stopped.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { schemaVersion => 'auto' });
my $node = follow($api, own_installation => 1, version => '0.109-0');
wait_for_state($node, 'up_to_date');

sub binary
{
	my $version = shift;
	write_extension_file($node, "$_.control", "default_version = '$version'\nrelocatable = false\n") foreach qw(documentdb documentdb_core);
	return;
}

sub condition_becomes
{
	my ($status, $reason, $message) = @_;
	my $condition;
	my $came = poll_until(sub {
		$condition = $api->condition('db1', 'SchemaSettled') // {};
		return ($condition->{status} // '') eq $status && $condition->{reason} eq $reason && $condition->{message} =~ $message;
	}, "the condition is $status, $reason, $message");
	return ok($came, "the condition is $status, $reason, $message");
}

sub events { return grep { $_->{reason} eq 'ExtensionRollback' } $api->events; }

# Spelled as operators do.
my $found = q{The schema is at 1\.0\.0, newer than the binary's 0\.109\.0\. Bring back a binary of 1\.0\.0 or later\.};
condition_becomes('True', 'UpToDate', qr/./);
binary('0.109-0');
condition_becomes('False', 'SchemaAhead', qr/^$found$/);
poll_until(sub { scalar events() }, 'there is an Event');
my ($event, @more) = events();
is_deeply([ $event->{type}, $event->{count}, scalar @more ], [ 'Warning', 1, 0 ], 'one Event warns of it');
like($event->{message}, qr/^$found$/, 'in the same words');
is($api->resource('db1')->{status}{schemaVersion}, '1.0.0', 'the version of the schema is as it is');

sql($node, q{ALTER SYSTEM SET documentdb_upgrade.schema_ahead_action = read_only});
sql($node, 'SELECT pg_reload_conf()');
condition_becomes('False', 'SchemaAhead', qr/^$found Meanwhile only the roles of documentdb_upgrade\.fence_exempt_roles \(\w+\) can write to this database\.$/);
$api->patch_spec('db1', schemaVersion => '0.109.0');
condition_becomes('False', 'SchemaAhead', qr/^$found Meanwhile/);
poll_until(sub { $api->condition('db1', 'SchemaSettled')->{observedGeneration} == $api->resource('db1')->{metadata}{generation} },
	'the new generation is answered');
is($api->condition('db1', 'SchemaSettled')->{reason}, 'SchemaAhead', 'whatever is desired');
$api->patch_spec('db1', schemaVersion => 'auto');

binary('1.0-0');
condition_becomes('True', 'UpToDate', qr/^Nothing is to be done\.$/);
is(scalar events(), 2, 'there was another Event only when writes were stopped');

done_testing();
