
=pod

=head1 NAME

DocumentdbUpgrade::CnpgFleet - servers configured as the pods of CloudNativePG are

=head1 SYNOPSIS

  my $east = cnpg_primary('east', binary => '1.1');
  my $pod = cnpg_pod($east, 'east-2', cluster => 'east');
  my $west = cnpg_pod($east, 'west', cluster => 'west', source => 'east', tls => 1);
  admit($_) foreach $east, $pod, $west;
  start_pod($_) foreach $pod, $west;

=head1 DESCRIPTION

On DocumentdbUpgrade::Fleet.  Rules of pg_hba.conf and pg_ident.conf, certificates,
connection strings, slots and the environment are what CloudNativePG gives its pods
and the DocumentDB operator asks for.  Three things differ: all servers are on
loopback ports, so hostaddr and the port go with each host; what the operator
trusts from "localhost" is left out, since everything comes from there; and the
name of a Cluster's designated primary is that of its node.

=cut

package DocumentdbUpgrade::CnpgFleet;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Test;
use Exporter 'import';
use IO::Socket::SSL::Utils qw(CERT_create PEM_cert2file PEM_key2file);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  cnpg_primary cnpg_pod start_pod follow_own follow_region admit
  secret_file certificate_dir
);

# The rules that the operator adds to each Cluster, and those that it adds
# with disableTLS.
our @hba_tls = ('hostssl replication streaming_replica all cert');
our @hba_without_tls = ('host replication streaming_replica all trust');

my $dir;
my $serial = 0;

=pod

=head1 FUNCTIONS

=over

=item certificate_dir()

Where server.crt, streaming_replica.crt, server-ca.crt and client-ca.crt are, with
their keys; stranger.crt has another name, foreign.crt another authority.

=cut

sub certificate_dir { return $dir; }

sub certify
{
	my ($name, $common_name, @issuer) = @_;
	my ($cert, $key) = CERT_create(
		subject => { commonName => $common_name },
		serial => ++$serial,
		subjectAltNames => [ map { [ DNS => "$_-rw" ] } qw(east west) ],
		(@issuer ? (issuer => [@issuer], purpose => 'server,client') : (CA => 1)));

	PEM_cert2file($cert, "$dir/$name.crt");
	PEM_key2file($key, "$dir/$name.key");
	chmod 0600, "$dir/$name.key";
	return ($cert, $key);
}

sub make_certificates
{
	return if $serial;
	$dir = PostgreSQL::Test::Utils::tempdir();
	my @client_ca = certify('client-ca', 'client-ca');
	certify('server', 'east-rw', certify('server-ca', 'server-ca'));
	certify('streaming_replica', 'streaming_replica', @client_ca);
	certify('stranger', 'somebody_else', @client_ca);
	certify('foreign', 'streaming_replica', certify('foreign-ca', 'foreign-ca'));
	return;
}

=pod

=item cnpg_primary(cluster, %options)

A started primary, the first pod of that Cluster.  Options: those of
fleet_primary.

=cut

sub cnpg_primary
{
	my ($cluster, %options) = @_;

	make_certificates();
	local $ENV{CLUSTER_NAME} = $cluster;
	my $node = fleet_primary($cluster, %options, conf => qq{
		listen_addresses = '127.0.0.1'
		ssl = on
		ssl_cert_file = '$dir/server.crt'
		ssl_key_file = '$dir/server.key'
		ssl_ca_file = '$dir/client-ca.crt'
		ssl_min_protocol_version = 'TLSv1.3'
	} . ($options{conf} // ''));
	$node->{cnpg_cluster} = $cluster;
	sql($node, 'CREATE ROLE streaming_replica LOGIN REPLICATION');
	return $node;
}

=pod

=item cnpg_pod(primary, name, cluster => cluster, %options)

A stopped standby, made from a base backup of that primary.  Options: those of
add_standby.

=cut

sub cnpg_pod
{
	my ($primary, $name, %options) = @_;
	my $cluster = delete $options{cluster};
	my $node = add_standby($primary, $name, %options, start => 0);

	$node->{cnpg_cluster} = $cluster;
	return $node;
}

=pod

=item start_pod(node)

Starts it in the environment of its pod.

=cut

sub start_pod
{
	my ($node) = @_;
	local $ENV{CLUSTER_NAME} = $node->{cnpg_cluster};
	$node->start;
	return;
}

=pod

=item follow_own(node, primary, %changes)

Streams from the primary of its own Cluster, with the connection string and slot
that the instance manager writes.  Changes are to keywords.

=item follow_region(node, primary, tls => true or false, %changes)

Streams from another region's, as the designated primary: with what the operator
puts into externalClusters.

=cut

sub place_of
{
	my ($primary) = @_;
	return "host=$primary->{cnpg_cluster}-rw hostaddr=127.0.0.1 port=" . $primary->port;
}

sub set_conninfo
{
	my ($node, $conninfo, $slot) = @_;

	$node->append_conf('postgresql.conf', "primary_conninfo = '$conninfo'\nprimary_slot_name = '$slot'\n");
	$node->reload if $node->{_pid};
	return;
}

sub follow_own
{
	my ($node, $primary, %changes) = @_;
	(my $slot = '_cnpg_' . $node->name) =~ tr/-/_/;
	my %conninfo = (sslkey => "$dir/streaming_replica.key", sslcert => "$dir/streaming_replica.crt",
		sslrootcert => "$dir/server-ca.crt", sslmode => 'verify-ca', %changes);

	# Slots are kept on each instance.
	sql($primary, "SELECT pg_create_physical_replication_slot('$slot', true)
		WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '$slot')") if !$changes{sslcert};
	set_conninfo($node, join(' ', place_of($primary), 'user=streaming_replica', (map { "$_=$conninfo{$_}" } sort keys %conninfo),
		'application_name=' . $node->name, 'dbname=postgres'), $slot);
	return;
}

sub follow_region
{
	my ($node, $primary, %options) = @_;
	my $tls = delete $options{tls};
	my %conninfo = (dbname => 'postgres', user => 'streaming_replica',
		($tls ? (sslkey => "$dir/streaming_replica.key", sslcert => "$dir/streaming_replica.crt",
			sslrootcert => "$dir/server-ca.crt", sslmode => 'verify-full') : ()), %options);

	set_conninfo($node, join(' ', place_of($primary), map { "$_=''$conninfo{$_}''" } sort keys %conninfo), '');
	return;
}

=pod

=item admit(node, @rules)

Writes pg_hba.conf and pg_ident.conf with CloudNativePG's rules around those, and
reloads the node if it runs.

=cut

sub admit
{
	my ($node, @rules) = @_;
	my $user = getpwuid($<);

	unlink map { $node->data_dir . "/$_" } qw(pg_hba.conf pg_ident.conf);
	append_to_file($node->data_dir . '/pg_hba.conf', join "\n",
		'local all cnpg_metrics_exporter peer map=cnpg_metrics_exporter',
		'local all all peer map=local',
		'hostssl postgres streaming_replica all cert map=cnpg_streaming_replica',
		'hostssl replication streaming_replica all cert map=cnpg_streaming_replica',
		'hostssl all cnpg_pooler_pgbouncer all cert map=cnpg_pooler_pgbouncer',
		@rules,
		'host all all all scram-sha-256', '');
	append_to_file($node->data_dir . '/pg_ident.conf', join "\n",
		"local $user $user",
		'cnpg_streaming_replica streaming_replica streaming_replica',
		'cnpg_pooler_pgbouncer cnpg_pooler_pgbouncer cnpg_pooler_pgbouncer',
		"cnpg_metrics_exporter $user cnpg_metrics_exporter", '');
	$node->reload if $node->{_pid};
	return;
}

=pod

=item secret_file(text)

Writes the mounted file of a Secret, as others may read it and without an end of
line, and gives its path.

=back

=cut

sub secret_file
{
	my ($text) = @_;

	unlink "$dir/password";
	append_to_file("$dir/password", $text);
	chmod 0644, "$dir/password";
	return "$dir/password";
}

1;
