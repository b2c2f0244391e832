# Who is not superuser says whom to connect to and nothing else: no file of the
# server is read or written for it, by name, by default or by its environment.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# What the server's environment says must not count for others.
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/services", "[trap]\napplication_name=trapped\n");
my ($here, $there);
{
	local %ENV = (%ENV, PGSERVICEFILE => "$dir/services", PGSERVICE => 'trap', PGOPTIONS => '-c work_mem=77MB');
	delete $ENV{PGAPPNAME};
	$here = new_node('here');
}
install_stub($here);
$there = stub_node('there');
sql($here, 'CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO plain; GRANT EXECUTE ON FUNCTION documentdb_upgrade_internal.run_parity(jsonb, text) TO plain');
sql($there, q{CREATE ROLE guest LOGIN PASSWORD 'Geheim1'});
my $hba = slurp_file($there->data_dir . '/pg_hba.conf');
unlink $there->data_dir . '/pg_hba.conf';
append_to_file($there->data_dir . '/pg_hba.conf', "local all guest scram-sha-256\n$hba");
$there->reload;
my $to = sprintf 'host=%s port=%d dbname=postgres user=guest password=Geheim1', $there->host, $there->port;

sub attempt
{
	my ($user, $more) = @_;
	sql($here, 'DELETE FROM stub.steps');
	order($here, [ 0, run => undef, q{SELECT to_json(current_setting('application_name') || ' ' || current_setting('work_mem'))} ]);
	return try_sql($here, call({}, "$to $more"), $user ? (user => $user) : ());
}

# Everything that this libpq knows, but for what is allowed.
my %allowed = map { $_ => 1 } qw(host hostaddr port dbname user password sslmode connect_timeout
	keepalives keepalives_idle keepalives_interval keepalives_count application_name);
foreach my $keyword (qw(sslrootcert sslcert sslkey sslcrl sslcrldir sslpassword passfile service options requirepeer krbsrvname
	gssencmode target_session_attrs client_encoding replication tcp_user_timeout channel_binding sslcompression ssl_min_protocol_version fallback_application_name))
{
	my $result = attempt('plain', "$keyword=$dir/services");

	is($result->{sqlstate}, '42501', "$keyword is not allowed");
	is($result->{message}, "permission denied to set connection parameter \"$keyword\"", 'it is named');
	is(join(' ', sort($result->{hint} =~ /\b(host\w*|port|dbname|user|password|sslmode|connect_timeout|application_name|keepalives\w*)\b/g)), join(' ', sort keys %allowed), 'and so is all that is');
	unlike($result->{stderr}, qr/services|Geheim/, 'nothing else of the string is');
}

# One answer for a file that there is, one that cannot be read and one that is not there.
my %said = map { (attempt('plain', "sslmode=verify-ca sslrootcert=$_")->{message} => 1) } "$dir/services", '/etc/shadow', "$dir/nothing";
is(scalar keys %said, 1, 'files are not told apart');

# What is allowed.
is(attempt('plain', 'sslmode=prefer connect_timeout=9999999999999999999 keepalives=1 keepalives_idle=3 keepalives_interval=3 keepalives_count=3 application_name=mine')->{stdout}, '7', 'what is allowed works');
is_deeply(short_answers($here), [ { remote => 'mine 4MB' } ], 'as it says');

# The environment: a superuser has it, nobody else.
is(attempt('', '')->{stdout}, '7', 'a superuser');
is_deeply(short_answers($here), [ { remote => 'trapped 77MB' } ], 'uses what the server\'s environment says');
is(attempt('plain', '')->{stdout}, '7', 'somebody else');
is_deeply(short_answers($here), [ { remote => 'documentdb_upgrade parity 4MB' } ], 'does not');
await_left('at the end', $here, $there);

done_testing();
