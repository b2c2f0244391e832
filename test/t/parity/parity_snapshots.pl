# All processes of a run see one state of this server, and one of the other,
# however late they come; run_now sees what is there now.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my ($here, $there) = (stub_node('here'), stub_node('there'));
my $count = 'SELECT to_json(count(*)) FROM public.t';

sql($_, 'CREATE TABLE t AS SELECT 1 AS id') foreach $here, $there;
my $gate = DocumentdbUpgrade::Session->new($here);
$gate->run('SELECT pg_advisory_lock(42)');

# Each worker stops at the gate first, of its own accord: the steps are the same.
my $workers = 3;
foreach my $worker (0 .. $workers - 1)
{
	order($here,
		[ $worker, run_now => 'SELECT public.gate()' ],
		[ $worker, run => $count, $count ],
		[ $worker, run_now => $count, $count ],
		[ $worker, run => $count ],
		[ $worker, run => undef, $count ]);
}
my $session = DocumentdbUpgrade::Session->new($here);
$session->run('BEGIN; INSERT INTO public.t VALUES (100)');
$session->start(call({ workers => $workers }, $there));
ok($here->poll_query_until('postgres', qq{SELECT count(*) = $workers FROM pg_stat_activity
	WHERE backend_type = 'documentdb_upgrade parity' AND wait_event = 'advisory'}), 'as many processes as asked for');
sql($here, 'INSERT INTO public.t SELECT generate_series(1, 10)');
sql($there, 'INSERT INTO public.t SELECT generate_series(1, 20)');
$gate->run('SELECT pg_advisory_unlock_all()');
is($session->finish->{stdout}, '7', 'the run comes to its end');
$session->run('COMMIT');

my %of_worker;
foreach my $answer (@{ answers($here) })
{
	my $sides = join ',', map { $answer->{$_} ? "$_=$answer->{$_}{value}" : () } qw(local remote);
	push @{ $of_worker{ $answer->{worker} } }, $sides;
	$of_worker{pids}{ $answer->{pid} } = 1;
}
is(scalar keys %{ $of_worker{pids} }, $workers, 'they are different processes');
foreach my $worker (0 .. $workers - 1)
{
	is_deeply($of_worker{$worker}, [ 'local=through', 'local=1,remote=1', 'local=11,remote=21', 'local=1', 'remote=1' ],
		"worker $worker: run does not see what came later, nor what the caller has not committed, run_now does");
}
await_left('at the end', $here, $there);

# The leader outlasts the others, for their snapshot.
$gate->run('SELECT pg_advisory_lock(42)');
order($here, [ 1, run_now => 'SELECT public.gate()' ], [ 1, run => undef, $count ]);
$session->start(call({ workers => 2 }, $there));
ok($here->poll_query_until('postgres', q{SELECT count(*) = 2 AND count(*) FILTER (WHERE wait_event = 'advisory') = 1
	AND bool_or(query ~ 'asking what' AND state = 'idle') FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade parity'}), 'the leader has nothing to do');
$gate->run('SELECT pg_advisory_unlock_all()');
is($session->finish->{stdout}, '7', 'the run comes to its end');
is_deeply(short_answers($here)->[1], { remote => 21 }, 'the snapshot was still there');
await_left('at the end', $here, $there);

done_testing();
