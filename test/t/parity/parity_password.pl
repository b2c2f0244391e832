# Who is not superuser connects with a password that is really used; what is
# secret is shown to nobody.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my ($here, $there) = (stub_node('here', conf => "log_statement = none\nlog_min_error_statement = panic"), stub_node('there'));

sql($here, 'CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO plain; GRANT EXECUTE ON FUNCTION documentdb_upgrade_internal.run_parity(jsonb, text) TO plain');
sql($there, q{CREATE ROLE guest LOGIN PASSWORD 'Geheim1'; CREATE ROLE trusted LOGIN PASSWORD 'Geheim1'});
my $hba = slurp_file($there->data_dir . '/pg_hba.conf');
unlink $there->data_dir . '/pg_hba.conf';
append_to_file($there->data_dir . '/pg_hba.conf', "local all guest scram-sha-256\n$hba");
$there->reload;
my $to = sprintf 'host=%s port=%d dbname=postgres', $there->host, $there->port;
my $answer = [ { remote => 'guest' } ];

sub attempt
{
	my ($user, $conninfo) = @_;
	sql($here, 'DELETE FROM stub.steps');
	order($here, [ 0, run => undef, 'SELECT to_json(current_user::text)' ]);
	return try_sql($here, call({}, "$to $conninfo"), $user ? (user => $user) : ());
}

foreach my $user ('', 'plain')
{
	my $who = $user || 'a superuser';

	is(attempt($user, "user=guest password=Geheim1")->{stdout}, '7', "$who with the password") or diag($here->logfile);
	is_deeply(short_answers($here), $answer, 'connects');
	my $result = attempt($user, "user=guest password=Geheim2");
	is($result->{sqlstate}, '08006', "$who with a wrong one");
	like($result->{message}, qr/could not connect to the other server: .*password authentication failed for user "guest"/, 'is told so');
	$result = attempt($user, "user=guest");
	is($result->{sqlstate}, $user ? '2F003' : '08006', "$who without one");
	like($result->{message}, $user ? qr/^password is required$/ : qr/no password supplied/, 'is told so');
	is($result->{detail}, $user ? 'A role that is not superuser must give a password in the connection string.' : undef, 'with a detail');
	$result = attempt($user, "user=guest password=''");
	is($result->{sqlstate}, $user ? '2F003' : '08006', "$who with an empty one");
	$result = attempt($user, 'user=trusted password=Geheim1');
	is($result->{sqlstate}, $user ? '2F003' : undef, "$who, who is not asked for it");
	like($result->{detail} // 'connects', $user ? qr/cannot connect if the other server does not ask for a password/ : qr/^connects$/, 'is told so');
	answers($here);

	$result = try_sql($here, call({}, 'Geheim1 Geheim3=x'), $user ? (user => $user) : ());
	is($result->{sqlstate}, '22023', "$who with what is no connection string");
	unlike($result->{stderr}, qr/Geheim/, 'does not read it again');
}

# As a superuser who acts as somebody else.
is(try_sql($here, 'SET ROLE plain; ' . call({}, "$to user=trusted password=Geheim1"))->{sqlstate}, '2F003', 'the role that is set counts');

# By other ways to give one.
my $passfile = PostgreSQL::Test::Utils::tempdir() . '/pass';
append_to_file($passfile, '*:*:*:*:Geheim1');
chmod 0600, $passfile;
is(attempt('', "user=guest passfile=$passfile")->{stdout}, '7', 'a superuser may use a file of the server');
is(attempt('plain', "user=guest passfile=$passfile")->{sqlstate}, '2F003', 'nobody else');
my $uri = sprintf 'postgresql://guest:Geheim1@/postgres?host=%s&port=%d', $there->host, $there->port;
sql($here, 'DELETE FROM stub.steps');
is(try_sql($here, call({}, $uri))->{stdout}, '7', 'a URI');

unlike(slurp_file($here->logfile), qr/Geheim[23]|password=/, 'no secret is in the log');
is(sql($here, q{SELECT count(*) FROM stub.failures}), '0', 'no run has begun in vain');
await_left('at the end', $here, $there);

done_testing();
