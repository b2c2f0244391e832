# A standby that is too old for the schema joins after the finalize: Kubernetes
# is told by an Event and the condition, once.  Its report brings the digest of
# its libraries along.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Cluster;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { instancesPerNode => 1 });
my $primary = worker_node('primary', streaming => 1, conf => follow_settings($api) . q{
	documentdb_upgrade.managed_extensions = 'hstore, thing'
	documentdb_upgrade.standby_report_timeout = '1500ms'
});
sql($primary, 'CREATE EXTENSION hstore');
my $library = sql($primary, q{SELECT encode(sha256(convert_to(encode(sha256(pg_read_binary_file(setting || '/hstore.so')), 'hex') || E'\n', 'UTF8')), 'hex')
	FROM pg_config WHERE name = 'PKGLIBDIR'});
$primary->backup('base');
$api->patch_spec('db1', schemaVersion => '1.2.0');
wait_for_state($primary, 'up_to_date');

# Whose files end at 1.1.
my $old = fresh_installation();
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $old);
$standby->init_from_backup($primary, 'base', has_streaming => 1);
write_extension($standby, 'thing', '1.1', '1.0' => 'SELECT 1;', '1.0--1.1' => 'SELECT 1;');
my $events = sub { scalar grep { ($_->{reason} // '') eq 'StandbyNotReady' } $api->events };
is($events->(), 0, 'there was nothing to say before');
$standby->start;

wait_for_state($primary, 'verifying', qr/Standby "standby" has binary "1\.1" of extension "thing", older than "1\.2"/);
ok(poll_until(sub { $events->() == 1 }, 'an Event arrives'), 'Kubernetes is told');
is((grep { $_->{reason} eq 'StandbyNotReady' } $api->events)[0]{type}, 'Warning', 'by a warning');
my $heard = sql($primary, 'SELECT reported_at FROM documentdb_upgrade.standbys');
poll_until(sub { sql($primary, "SELECT reported_at > '$heard'::timestamptz + interval '1 second' FROM documentdb_upgrade.standbys") eq 't' }, 'it has reported again');
is($events->(), 1, 'once');
is(sql($primary, q{SELECT e->>'sha256' FROM documentdb_upgrade.standbys, jsonb_array_elements(extensions) e WHERE e->>'name' = 'hstore'}),
	$library, 'the digest of its library is in its report');
is(sql($primary, q{SELECT e ? 'sha256' FROM documentdb_upgrade.standbys, jsonb_array_elements(extensions) e WHERE e->>'name' = 'thing'}),
	'f', 'an extension without a library has none');
done_testing();
