# A thousand wrong messages, by chance: statements of a run are answered by a
# server that garbles the conversation.  DU_HOSTILE_ANSWERS=N asks for more.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::HostileServer;
use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $wanted = $ENV{DU_HOSTILE_ANSWERS} // 1000;
my $seed = $ENV{DU_HOSTILE_SEED} // 1;
my $steps = 50;
my ($here, $there) = (stub_node('here'), stub_node('there'));
my $hostile = DocumentdbUpgrade::HostileServer->new($there);
my $started = sql($here, 'SELECT pg_postmaster_start_time()');
my %told;
my @internal;
my ($runs, $refused) = (0, 0);

# Recorded first.
order($here, [ 0, run => undef, 'SELECT json \'{"a": [1, "b"]}\' /* 1 */' ], [ 0, run_now => undef, 'SELECT json \'{"a": [1, "b"]}\' /* 2 */' ]);
run_ok($here, {}, $hostile->connstr('faithful'));
answers($here);

while ($hostile->faults < $wanted && $runs < $wanted / 5 && sql($here, 'SELECT pg_postmaster_start_time()') eq $started)
{
	sql($here, 'DELETE FROM stub.steps');
	order($here, map { [ 0, $_ % 2 ? 'run' : 'run_now', undef, "SELECT json '{\"a\": [1, \"b\"]}' /* $_ */" ] } 1 .. $steps);
	my $result = try_sql($here, "SET statement_timeout = '${PostgreSQL::Test::Utils::timeout_default}s'; " . call({}, $hostile->connstr('wire_' . $seed++)));

	$runs++;
	if (!$result->{ok})
	{
		# It never came to the first statement.
		$refused++;
		$told{ $result->{sqlstate} // 'none' }++;
		push @internal, $result->{stderr} if ($result->{sqlstate} // 'XX') =~ /^(?:XX|57014|57P)/;
	}
	foreach my $answer (@{ answers($here) })
	{
		my $error = $answer->{remote}{error} or next;
		$told{ $error->{sqlstate} }++;
		push @internal, $error->{message} if $error->{sqlstate} =~ /^XX/;
	}
}
note("$runs runs, $refused of them refused; " . join(', ', map { "$_ $told{$_}" } sort keys %told));
cmp_ok(scalar $hostile->faults, '>=', $wanted, 'so many answers were wrong: ' . $hostile->faults);
is_deeply(\@internal, [], 'none of them was an internal error, or waited for without end');
is(sql($here, 'SELECT pg_postmaster_start_time()'), $started, 'no process of this server has crashed');
is(scalar(grep { ($_->{sqlstate} // '') =~ /^XX/ } @{ failures($here) }), 0, 'nor has the engine been surprised');
sql($here, 'DELETE FROM stub.steps');
order($here, [ 0, run => undef, 'SELECT to_json(3)' ]);
run_ok($here, {}, $hostile->connstr('faithful'));
is_deeply(short_answers($here), [ { remote => 3 } ], 'a right answer is taken as before');
await_left('at the end', $here);

done_testing();
