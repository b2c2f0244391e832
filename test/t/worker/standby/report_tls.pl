# Reports go over the certificates of primary_conninfo, as CloudNativePG sets
# it up: hostssl with method cert and a map, the role streaming_replica, and
# sslmode verify-ca.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IO::Socket::SSL::Utils qw(CERT_create PEM_cert2file PEM_key2file);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# A certificate and its key in files NAME.crt and NAME.key; of its own
# authority without an issuer.
my $dir = PostgreSQL::Test::Utils::tempdir();
my $serial = 0;
sub make_certificate
{
	my ($name, $common_name, @issuer) = @_;
	my ($cert, $key) = CERT_create(
		subject => { commonName => $common_name },
		serial => ++$serial,
		(@issuer ? (issuer => [@issuer], purpose => 'server,client') : (CA => 1)));

	PEM_cert2file($cert, "$dir/$name.crt");
	PEM_key2file($key, "$dir/$name.key");
	chmod 0600, "$dir/$name.key";
	return ($cert, $key);
}
my @authority = make_certificate('ca', 'cluster-ca');
make_certificate('server', 'cluster-rw', @authority);
make_certificate('client', 'streaming_replica', @authority);
make_certificate('other', 'somebody_else', @authority);
make_certificate('foreign', 'streaming_replica', make_certificate('foreign_ca', 'foreign-ca'));

my $primary = worker_node('primary', streaming => 1, conf => qq{
	listen_addresses = '127.0.0.1'
	ssl = on
	ssl_cert_file = '$dir/server.crt'
	ssl_key_file = '$dir/server.key'
	ssl_ca_file = '$dir/ca.crt'
	documentdb_upgrade.standby_report_timeout = '1500ms'
});
sql($primary, 'CREATE ROLE streaming_replica LOGIN REPLICATION');
$primary->backup('base');
my $data = $primary->data_dir;
unlink "$data/pg_hba.conf";
append_to_file("$data/pg_hba.conf", q{
local all all trust
hostssl postgres streaming_replica all cert map=cnpg_streaming_replica
hostssl replication streaming_replica all cert map=cnpg_streaming_replica
});
append_to_file("$data/pg_ident.conf", "cnpg_streaming_replica streaming_replica streaming_replica\n");
$primary->reload;

sub conninfo
{
	my ($client, $authority) = @_;
	return sprintf 'host=127.0.0.1 port=%d user=streaming_replica application_name=pod-2 dbname=postgres '
	  . 'sslmode=verify-ca sslcert=%s.crt sslkey=%s.key sslrootcert=%s.crt', $primary->port, map { "$dir/$_" } $client, $client, $authority;
}
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $primary->install_path);
$standby->init_from_backup($primary, 'base');
$standby->set_standby_mode;
$standby->append_conf('postgresql.conf', "ssl = off\nprimary_conninfo = '" . conninfo('client', 'ca') . q{'
	wal_retrieve_retry_interval = '100ms'
});
$standby->start;

ok(comes_true($primary, q{SELECT installed_version = '1.0' FROM documentdb_upgrade.standbys WHERE name = 'pod-2'}), 'a report arrives');
is(sql($primary, q{SELECT usename, ssl FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)}), 'streaming_replica|t', 'as encrypted as replication');
my $reports = sql($standby, 'SELECT reports_delivered_total FROM documentdb_upgrade.metrics');
ok(comes_true($standby, "SELECT reports_delivered_total >= $reports + 3 FROM documentdb_upgrade.metrics"), 'again and again');
is(count_logged($standby, qr/does not report/), 0, 'without a complaint');

# Each wrong certificate and what is said of it.  The WAL receiver has the
# same trouble.
foreach my $case (
	[ 'the certificate of somebody else', 'other', 'ca', qr/certificate authentication failed for user "streaming_replica" \(SQLSTATE 28000\)/, qr/pg_hba\.conf/ ],
	[ 'one of a foreign authority', 'foreign', 'ca', qr/alert unknown ca/, qr/Check sslmode, sslcert, sslkey and sslrootcert/ ],
	[ 'a foreign authority of the server', 'client', 'foreign_ca', qr/certificate verify failed/, qr/Check sslmode, sslcert, sslkey and sslrootcert/ ],
	[ 'no certificate', 'missing', 'ca', qr/missing\.(?:crt|key)|connection requires a valid client certificate/, qr/./ ])
{
	my ($what, $client, $authority, $problem, $hint) = @$case;
	my $offset = -s $standby->logfile;

	$standby->append_conf('postgresql.conf', "primary_conninfo = '" . conninfo($client, $authority) . "'");
	$standby->reload;
	ok(eval { $standby->wait_for_log(qr/does not report to its upstream\n.*DETAIL:  Could not report to 127\.0\.0\.1:\d+: .*$problem.*\n.*HINT:  .*$hint/, $offset); 1 }, "$what: it is said");
}
my $offset = -s $standby->logfile;
$standby->append_conf('postgresql.conf', "primary_conninfo = '" . conninfo('client', 'ca') . "'");
$standby->reload;
ok(eval { $standby->wait_for_log(qr/standby reports to its upstream again/, $offset); 1 }, 'with the right one it works again');

done_testing();
