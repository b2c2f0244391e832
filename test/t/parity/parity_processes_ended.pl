# Processes of a run that somebody ends: the others end too and the caller is
# told; and with the server ends everything, here and there.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my ($here, $there) = (stub_node('here', preload => 1), stub_node('there'));
my %gate;
my $session;

# Two workers, each in the middle of statements on both sides.
sub start
{
	$_->quit foreach values %gate, $session // ();
	%gate = ();
	foreach my $node ($here, $there)
	{
		$gate{ $node->name } = DocumentdbUpgrade::Session->new($node);
		$gate{ $node->name }->run('SELECT pg_advisory_lock(42)');
	}
	sql($here, 'DELETE FROM stub.steps');
	order($here, map { [ $_, run => 'SELECT public.gate()', 'SELECT public.gate()' ] } 0, 1);
	$session = DocumentdbUpgrade::Session->new($here);
	$session->start(call({ workers => 2 }, $there));
	foreach my $node ($here, $there)
	{
		$node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event = 'advisory'
			AND 'documentdb_upgrade parity' IN (application_name, backend_type)}) or die "it never came to the gate\n";
	}
	return;
}

sub pids { return split /\n/, sql($here, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade parity' ORDER BY backend_start, pid}) }

# The leader registers first; which is which does not matter.
foreach my $which (0, 1)
{
	start();
	sql($here, 'SELECT pg_terminate_backend(' . (pids())[$which] . ')');
	my $result = $session->finish;
	is($result->{sqlstate}, '57000', "process $which is ended");
	is($result->{message}, 'a process of the comparison ended before its time', 'the caller is told');
	is($result->{hint}, 'Resume run 7, or see the server log.', 'with the run that can be resumed');
	await_left('afterwards', $here, $there);
}

# A cancel ends statements here, and is their error.
start();
sql($here, 'SELECT pg_cancel_backend(' . join('), pg_cancel_backend(', pids()) . ')');
$here->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event = 'advisory' AND backend_type = 'documentdb_upgrade parity'});
$gate{there}->run('SELECT pg_advisory_unlock_all()');
is($session->finish->{stdout}, '7', 'processes are cancelled');
is_deeply(short_answers($here), [ map { { local => '57014 canceling statement due to user request', remote => 'through' } } 0, 1 ], 'that is an error of their statements');

# While the other server is waited for it is the process's own.
start();
$gate{here}->run('SELECT pg_advisory_unlock_all()');
$here->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE xact_start IS NULL AND backend_type = 'documentdb_upgrade parity'});
sql($here, 'SELECT pg_cancel_backend(' . join('), pg_cancel_backend(', pids()) . ')');
is($session->finish->{stdout}, '7', 'processes are cancelled while they wait for the other server');
is_deeply([ map { $_->{sqlstate} } @{ failures($here) } ], [ '57014', '57014' ], 'the engine is told');
await_left('afterwards', $here, $there);

# Shutdowns of this server, the last one without a word.
foreach my $mode ('fast', 'immediate', 'kill')
{
	start();
	if ($mode eq 'kill')
	{
		my @processes = (pids(), $session->pid);
		$here->kill9;
		poll_until(sub { !kill 0, @processes }, 'no process of the server is left');
	}
	else
	{
		$here->stop($mode);
	}
	$session->finish_lost;
	$gate{here}->finish_lost;
	await_left("$mode shutdown", $there);
	$gate{there}->quit;
	%gate = ();
	undef $session;
	$here->start;
	await_left("after the restart", $here, $there);
}

done_testing();
