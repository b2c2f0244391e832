# Whatever a run is doing when its caller is cancelled or ended: it ends at
# once, here and on the other server.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my ($here, $there) = (stub_node('here', preload => 1, conf => 'dynamic_shared_memory_type = mmap'), stub_node('there'));
my %gate = map { ($_->name => DocumentdbUpgrade::Session->new($_)) } $here, $there;

# It takes connections, and says nothing.
my $mute = IO::Socket::INET->new(Listen => 10, LocalAddr => '127.0.0.1') or die "could not listen: $!";
my $to_mute = sprintf 'host=127.0.0.1 port=%d user=nobody dbname=postgres connect_timeout=1000', $mute->sockport;

my $parity = q{backend_type = 'documentdb_upgrade parity'};
my %phase = (
	'connects' => { there => $to_mute, workers => 2, is_there => [ here => "count(*) = 2 AND count(*) FILTER (WHERE query ~ '^connecting') = 1" ] },
	'asks the engine' => { lock => 1, workers => 2, is_there => [ here => q{count(*) FILTER (WHERE state = 'active' AND wait_event_type IN ('Lock', 'Extension')) = 2} ] },
	'runs a statement here' => { steps => [ [ 0, run => 'SELECT public.gate()' ] ], is_there => [ here => q{count(*) FILTER (WHERE wait_event = 'advisory') = 1} ] },
	'runs a statement there' => {
		there => $there, steps => [ [ 0, run => undef, 'SELECT public.gate()' ] ],
		is_there => [ there => q{count(*) FILTER (WHERE wait_event = 'advisory') = 1} ] },
	'runs statements on both sides' => {
		there => $there, workers => 2,
		steps => [ map { [ $_, run => 'SELECT public.gate()', 'SELECT public.gate()' ] } 0, 1 ],
		is_there => [ there => q{count(*) FILTER (WHERE wait_event = 'advisory') = 2} ] },
	'waits as it was told' => {
		there => $there, steps => [ [ 0, run => undef, 'SELECT to_json(1)' ], [ 0, wait => undef, undef, 3600000 ] ],
		is_there => [ here => q{bool_or(state = 'idle' AND query ~ 'asking what' AND wait_event = 'Extension')} ] },
	'waits for the others' => {
		there => $there, workers => 2, steps => [ [ 1, run => undef, 'SELECT public.gate()' ] ],
		is_there => [ here => q{bool_or(state = 'idle' AND query ~ 'asking what' AND wait_event = 'Extension')} ] },
	'waits for a frozen process there' => {
		there => $there, freeze => 1, steps => [ [ 0, run => undef, 'SELECT public.gate()' ] ],
		is_there => [ there => q{count(*) FILTER (WHERE wait_event = 'advisory') = 1} ] });

# Segments of shared memory.
sub segments { return sql($here, q{SELECT count(*) FROM pg_ls_dir('pg_dynshmem')}) }

$_->run('SELECT pg_advisory_lock(42)') foreach values %gate;
order($here, [ 0, run => 'SELECT 1', 'SELECT 1' ]);
run_ok($here, { workers => 2 }, $there);
await_left('before', $here, $there);
my $segments = segments();
my $ran = 0;

foreach my $phase (sort keys %phase)
{
	foreach my $end ('cancel', 'terminate', 'statement_timeout')
	{
		my %do = %{ $phase{$phase} };
		my $name = "$end while it $phase";
		my $locker;

		next if $end eq 'statement_timeout' && $phase !~ /both|connects/;
		sql($here, 'DELETE FROM stub.steps');
		order($here, @{ $do{steps} }) if $do{steps};
		if ($do{lock})
		{
			$locker = DocumentdbUpgrade::Session->new($here);
			$locker->run('BEGIN; LOCK TABLE stub.steps');
		}
		my $session = DocumentdbUpgrade::Session->new($here);
		my $limit = patience(2);
		$session->run('SET statement_timeout = ' . int 1000 * $limit) if $end eq 'statement_timeout';
		$session->start(call({ workers => $do{workers} // 1 }, $do{there}));
		my ($where, $condition) = @{ $do{is_there} };
		my $node = $where eq 'here' ? $here : $there;
		$node->poll_query_until('postgres', "SELECT $condition FROM pg_stat_activity WHERE $parity OR application_name = 'documentdb_upgrade parity'")
		  or die "it never came so far that it $phase\n";
		my @running = split /\n/, sql($there, q{SELECT pid FROM pg_stat_activity WHERE application_name = 'documentdb_upgrade parity' AND wait_event = 'advisory'});
		my @frozen = $do{freeze} ? @running : ();
		kill 'STOP', @frozen;
		$ran += @running;

		my $begun = time;
		sql($here, "SELECT pg_${end}_backend(" . $session->pid . ')') if $end ne 'statement_timeout';
		my $result = $end eq 'terminate' ? $session->finish_lost : $session->finish;
		my $elapsed = time - $begun;
		is($result->{sqlstate}, $end eq 'terminate' ? '57P01' : '57014', $name) or diag($result->{stderr});
		cmp_ok($elapsed, '<', $limit + patience(2), "$name: it ends at once");
		is($session->run('SELECT 1')->{stdout}, '1', "$name: the session goes on") if $end ne 'terminate';
		if (@frozen)
		{
			await_left($name, $here);
			kill 'CONT', @frozen;
		}
		await_left($name, $here, $there);
		is(segments(), $segments, "$name: no shared memory is left");
		$session->quit if $end ne 'terminate';
		$locker->quit if $locker;
	}
}
my $log = slurp_file($there->logfile);
my $cancelled = () = $log =~ /canceling statement due to user request/g;
# A busy machine may miss one, for a cancel is not waited for without end.
cmp_ok($cancelled, '>=', $ran - 2, 'statements are cancelled there, and do not find out for themselves that nobody listens');
unlike(slurp_file($_->logfile), qr/PANIC|was terminated by signal|TRAP|leak/, 'no crash: ' . $_->name) foreach $here, $there;

done_testing();
