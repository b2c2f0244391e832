# A statement is cancelled on the server that it runs on, of all that the
# connection string names, and what the other server says of itself becomes no SQL.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::HostileServer;
use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my ($here, $there, $third) = (stub_node('here'), stub_node('there', conf => 'log_statement = all'), stub_node('third', conf => 'log_statement = all'));
my $hostile = DocumentdbUpgrade::HostileServer->new($there);
my $gate = DocumentdbUpgrade::Session->new($there);
sql($third, "CREATE DATABASE $_") foreach 'faithful', 'at_setup_identity';
my $at_gate = q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND application_name = 'documentdb_upgrade parity'};

my $runs = 0;

# Cancels a run in the middle of a statement there; before that, something happens.
sub cancel_run
{
	my ($conninfo, $meanwhile) = @_;
	my $session = DocumentdbUpgrade::Session->new($here);

	$gate->run('SELECT pg_advisory_lock(42)');
	sql($here, 'DELETE FROM stub.steps');
	# Another text each time: what the real server has once said is not asked again.
	order($here, [ 0, run => undef, 'SELECT public.gate() -- ' . ++$runs ]);
	$session->start(call({}, $conninfo));
	$there->poll_query_until('postgres', "SELECT 1 = ($at_gate)") or die "it never came to the gate\n";
	$meanwhile->() if $meanwhile;
	sql($here, 'SELECT pg_cancel_backend(' . $session->pid . ')');
	is($session->finish->{sqlstate}, '57014', 'the run is cancelled');
	$session->quit;
	return;
}

# One of several hosts, of which the first does not answer.
my $nowhere = PostgreSQL::Test::Utils::tempdir_short();
cancel_run(sprintf('host=%s,%s,%s port=1,%d,%d dbname=postgres', $nowhere, $there->host, $third->host, $there->port, $third->port));
is($there->poll_query_until('postgres', "SELECT 0 = ($at_gate)"), 1, 'the statement is cancelled there, though others are named before');
await_left('afterwards', $here);
unlike(slurp_file($third->logfile), qr/pg_cancel_backend/, 'nowhere else');
$gate->run('SELECT pg_advisory_unlock_all()');

# A server that says of its process what would be SQL, and is gone when it comes to that.
(my $socket = $hostile->connstr('x')) =~ s{^host=(\S+).*}{$1/.s.PGSQL.5432};
(my $dir = $socket) =~ s{/[^/]*$}{};
foreach my $plan ('faithful', 'at_setup_identity')
{
	cancel_run(sprintf('host=%s,%s port=5432,%d dbname=%s', $dir, $third->host, $third->port, $plan), sub { rename $socket, "$socket.away" });
	rename "$socket.away", $socket;
	await_left("$plan: afterwards", $here, $third);
	unlike(slurp_file($third->logfile), qr/pg_cancel_backend|OR true/, "$plan: nothing of it comes to another server");
	$gate->run('SELECT pg_advisory_unlock_all()');
	await_left("$plan: when the statement has ended", $there);
}

done_testing();
