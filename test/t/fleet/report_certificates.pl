# Standbys that stream with certificates, as CloudNativePG configures them,
# report with them: TCP, server and client certificates, no password anywhere.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(wait_for_state wait_for_status);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();

sub openssl
{
	my @arguments = @_;
	my ($in, $out, $err) = ('', '', '');
	IPC::Run::run([ 'openssl', @arguments ], \$in, \$out, \$err, init => sub { chdir $dir }) or die "openssl @arguments: $err\n";
	return;
}

# A key and a certificate that an authority has signed.
sub certify
{
	my ($name, $subject, $authority) = @_;
	openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', $subject, '-keyout', "$name.key", '-out', "$name.csr");
	append_to_file("$dir/$name.ext", 'subjectAltName = DNS:p-rw, DNS:localhost, IP:127.0.0.1');
	openssl('x509', '-req', '-in', "$name.csr", '-CA', "$authority.crt", '-CAkey', "$authority.key", '-CAcreateserial',
		'-extfile', "$name.ext", '-days', '30', '-out', "$name.crt");
	chmod 0600, "$dir/$name.key";
	return;
}

openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', "/CN=$_", '-keyout', "$_.key", '-out', "$_.crt")
  foreach qw(server-ca client-ca other-ca);
certify('server', '/CN=p-rw', 'server-ca');
certify('streamer', '/CN=streamer', 'client-ca');
certify('stranger', '/CN=streamer', 'other-ca');

my $p = fleet_primary('p', binary => '1.1', conf => qq{
	log_connections = on
	ssl = on
	ssl_cert_file = '$dir/server.crt'
	ssl_key_file = '$dir/server.key'
	ssl_ca_file = '$dir/client-ca.crt'
	ssl_min_protocol_version = 'TLSv1.3'
	listen_addresses = '127.0.0.1'
});
my $port = $p->port;
unlink $p->data_dir . '/pg_hba.conf';
append_to_file($p->data_dir . '/pg_hba.conf', <<"END");
local all all trust
local replication postgres trust
hostssl postgres streamer all cert
hostssl replication streamer all cert
END
$p->reload;

my $s = add_standby($p, 's', start => 0);
my %tls = (sslkey => 'streamer', sslcert => 'streamer', sslrootcert => 'server-ca', sslmode => 'verify-full');

sub stream_with
{
	my (%changes) = (%tls, @_);
	$s->append_conf('postgresql.conf', "primary_conninfo = 'host=127.0.0.1 port=$port user=streamer application_name=s "
		  . "sslkey=$dir/$changes{sslkey}.key sslcert=$dir/$changes{sslcert}.crt sslrootcert=$dir/$changes{sslrootcert}.crt sslmode=$changes{sslmode}'");
	return;
}

stream_with();
$s->append_conf('postgresql.conf', "listen_addresses = ''");
$s->start;
wait_for_standbys($p, s => 'ready');
is(sql($p, q{SELECT s.version, r.usename, host(r.client_addr) FROM pg_stat_ssl s JOIN pg_stat_replication r USING (pid)}),
	'TLSv1.3|streamer|127.0.0.1', 'it streams with certificates');
like(logged($p), qr/connection authorized: user=streamer database=postgres application_name=s SSL enabled \(protocol=TLSv1\.3/,
	'and reports with them');
is(sql($p, q{SELECT binary_version FROM documentdb_upgrade.standbys WHERE name = 's'}), '1.1', 'what arrives is what it has');

# Certificates that are replaced under it are used for the next report.
my $contents = slurp_file("$dir/streamer.crt");
unlink "$dir/streamer.crt";
wait_for_standbys($p, s => 'stale');
my $status = wait_for_status($s, sub { $_[0]->{next_step} =~ /certificate/ }, 'it says why');
like($status->{next_step}, qr/valid client certificate/, 'a certificate that is not there is missed');
unlike($status->{next_step}, qr/PRIVATE KEY|\n/, 'and nothing of its key');
append_to_file("$dir/streamer.crt", $contents);
wait_for_standbys($p, s => 'ready');

# A server that is not the one it should be gets no report.
stream_with(sslrootcert => 'other-ca');
$s->reload;
$status = wait_for_status($s, sub { $_[0]->{next_step} =~ /certificate verify failed/ }, 'it trusts nobody else');
like($status->{next_step}, qr/certificate verify failed.*sslrootcert/, 'a server of another authority is not trusted, and the hint names the settings');
my $offset = -s $p->logfile;
ok(poll_until(sub { count_logged($p, qr/unknown ca/, $offset) >= 4 }, 'more attempts'), 'however often it is tried');
is(count_logged($p, qr/run_report_standby/, $offset), 0, 'nothing is told to it');
stream_with();
$s->reload;
wait_for_standbys($p, s => 'ready');

# With all in order a finalize goes through.
sql($p, q{SELECT documentdb_upgrade.finalize_to('1.1')});
wait_for_state($p, 'up_to_date');
has_schema($s, '1.1');

done_testing();
