# The designated primary of a replica region is a standby that streams from
# another region: it reports to its upstream, reads its own resource and reports
# to it, and never tries to write.  Other standbys do not talk to the API server.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw(comes_true logged count_logged process_of);
use IO::Socket::SSL::Utils qw(CERT_create PEM_cert2file PEM_key2file);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { instancesPerNode => 3 });

# Reports go over TLS as requests to the API server do, in one process.
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($cert, $key) = CERT_create(subject => { commonName => 'region-a-rw' }, CA => 1);
PEM_cert2file($cert, "$dir/server.crt");
PEM_key2file($key, "$dir/server.key");
chmod 0600, "$dir/server.key";

my $primary = new_node('primary', preload => 1, streaming => 1, conf => qq{
	listen_addresses = '127.0.0.1'
	ssl = on
	ssl_cert_file = '$dir/server.crt'
	ssl_key_file = '$dir/server.key'
	documentdb_upgrade.poll_interval = '200ms'
	documentdb_upgrade.standby_report_timeout = '1500ms'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'
});
install_documentdb($primary);
sql($primary, 'CREATE ROLE streamer LOGIN REPLICATION');
append_to_file($primary->data_dir . '/pg_hba.conf', "hostssl all,replication streamer 127.0.0.1/32 trust\n");
$primary->reload;
$primary->backup('base');

# A standby in a pod of that cluster, which streams from the primary under
# that name.
sub standby_in
{
	my ($name, $cluster, $host) = @_;
	my $node = DocumentdbUpgrade::Node->new($name);

	$node->init_from_backup($primary, 'base');
	$node->set_standby_mode;
	$node->append_conf('postgresql.conf', "listen_addresses = ''\nssl = off\nwal_retrieve_retry_interval = '100ms'\n"
		  . follow_settings($api) . "primary_conninfo = 'host=$host hostaddr=127.0.0.1 port="
		  . $primary->port . " user=streamer sslmode=require application_name=$name'\n");
	local $ENV{CLUSTER_NAME} = $cluster;
	$node->start;
	return $node;
}

my $plain = standby_in('plain', 'region-a', 'region-a-rw.lab.svc');
my $outside = standby_in('outside', '', 'anything');
ok(comes_true($primary, q{SELECT count(*) = 2 AND bool_and(role = 'standby' AND installed_version = '0.100-0') FROM documentdb_upgrade.standbys}), 'plain standbys report');
is($api->counts->{accepted}, 0, 'and do not talk to the API server');

my $head = standby_in('head', 'region-b', 'region-a-rw.lab.svc');
my $worker = worker_pid($head);
ok(comes_true($primary, q{SELECT role = 'designated_primary' FROM documentdb_upgrade.standbys WHERE name = 'head'}), 'the head of a region is known as such');
poll_until(sub { ($api->resource('db1')->{status}{schemaVersion} // '') eq '0.100.0' }, 'it reports the version that it sees to its resource');
poll_until(sub { $api->condition('db1', 'SchemaSettled') }, 'and a condition');
my $condition = $api->condition('db1', 'SchemaSettled');
is("$condition->{reason} $condition->{status}", 'ReplicaRegion True', 'which is settled as long as nothing is desired');
is(sql($primary, q{SELECT count(*) FROM documentdb_upgrade.standbys WHERE required}), '3', 'the primary sees all of them');
ok(comes_true($primary, q{SELECT status = 'fail' AND detail ~ '^0 of 2 .*region of "head"' FROM documentdb_upgrade.preflight() WHERE guard = 'standbys_ready'}),
	'and what its region lacks by its own resource');

# What is desired there is not acted on.
my $offset = -s $head->logfile;
my $runs = sql($primary, 'SELECT count(*) FROM documentdb_upgrade.history');
$api->patch_spec('db1', schemaVersion => 'auto');
wait_for_status($head, sub { ($_[0]->{desired} // '') eq 'auto' }, 'it reads what is desired');
poll_until(sub { $api->condition('db1', 'SchemaSettled')->{status} eq 'False' }, 'it is not settled any more');
is($api->condition('db1', 'SchemaSettled')->{reason}, 'ReplicaRegion', 'for the same reason');
my $delivered = sql($head, 'SELECT reports_delivered_total FROM documentdb_upgrade.metrics');
ok(comes_true($head, "SELECT reports_delivered_total >= $delivered + 20 FROM documentdb_upgrade.metrics"), 'many passes later');
is(status_of($head)->{state}, 'standby', 'the state is the same');
is(count_logged($head, qr/ERROR|WARNING|finalizing/, $offset), 0, 'nothing has tried to write');
is(sql($primary, 'SELECT count(*) FROM documentdb_upgrade.history'), $runs, 'and nothing ran');
is(count_logged($head, qr/follows its primary/), 1, 'the log says once what this server is');
is(count_logged($head, qr/does not report/), 0, 'reports and requests do not disturb each other');

# The primary finalizes, and the region sees it.
$api->patch_spec('db1', instancesPerNode => 1);
$offset = -s $head->logfile;
sql($primary, q{SELECT FROM documentdb_upgrade.finalize_to('0.102-0', skip_guards => '{standbys_ready}')});
poll_until(sub { $api->resource('db1')->{status}{schemaVersion} eq '0.102.0' }, 'what the primary did is in the status');
is($api->condition('db1', 'SchemaSettled')->{status}, 'False', 'more is desired than that');

# The setting decides where the environment cannot.
$api->mark;
$head->append_conf('postgresql.conf', 'documentdb_upgrade.designated_primary = off');
$head->reload;
poll_until(sub { $api->counts->{watches} == 0 }, 'switched off it closes its watch');
is(status_of($head)->{desired}, undef, 'and knows of no desired version');
ok(comes_true($primary, q{SELECT role = 'standby' FROM documentdb_upgrade.standbys WHERE name = 'head'}), 'the primary hears of it');
$head->append_conf('postgresql.conf', 'documentdb_upgrade.designated_primary = on');
$head->reload;
poll_until(sub { $api->counts->{watches} == 1 }, 'switched on it opens it again');
$api->mark;

# Promotion: the same process does what is desired.
$plain->stop('fast');
$outside->stop('fast');
$primary->stop('fast');
$head->promote;
wait_for_state($head, 'up_to_date');
poll_until(sub { $api->resource('db1')->{status}{schemaVersion} eq '1.0.0' }, 'promoted it finalizes');
poll_until(sub { $api->condition('db1', 'SchemaSettled')->{status} eq 'True' }, 'and says so');
is($api->condition('db1', 'SchemaSettled')->{reason}, 'UpToDate', 'as a primary');
is(worker_pid($head), $worker, 'it is the same worker');

done_testing();
