# The other server's troubles are answers with SQLSTATE 08006; the next statement
# connects anew, but the snapshot does not outlive its holder.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my ($here, $there) = (stub_node('here'), stub_node('there'));
my %gate = map { ($_->name => DocumentdbUpgrade::Session->new($_)) } $here, $there;
my $holder = q{SELECT pid FROM pg_stat_activity WHERE application_name = 'documentdb_upgrade parity' AND query ~ '^BEGIN.*pg_export_snapshot'};
my $at_gate = q{SELECT pid FROM pg_stat_activity WHERE application_name = 'documentdb_upgrade parity' AND wait_event = 'advisory'};
my $session;

sub close_gates { $_->run('SELECT pg_advisory_lock(42)') foreach values %gate; return }
sub open_gate { $gate{ $_[0]->name }->run('SELECT pg_advisory_unlock_all()'); return }
sub start
{
	my @steps = @_;
	order($here, @steps);
	$session = DocumentdbUpgrade::Session->new($here);
	$session->start(call({}, $there));
	return;
}
sub await_pid
{
	my ($node, $query) = @_;
	return poll_until(sub { sql($node, $query) }, "there is a process: $query");
}

# Killed in the middle of a statement.
close_gates();
start([ 0, run => 'SELECT to_json(1)', 'SELECT public.gate()' ], [ 0, run => undef, 'SELECT to_json(2)' ], [ 0, run => undef, 'SELECT to_json(3)' ]);
sql($there, 'SELECT pg_terminate_backend(' . await_pid($there, $at_gate) . ')');
is($session->finish->{stdout}, '7', 'a session that is ended there');
my $answers = short_answers($here);
is($answers->[0]{local}, 1, 'does not touch what ran here');
like($answers->[0]{remote}, qr/^08006 the connection to the other server is lost: .*terminating connection/, 'is 08006');
is_deeply([ @$answers[ 1, 2 ] ], [ { remote => 2 }, { remote => 3 } ], 'and the next statements connect anew');
await_left('afterwards', $here, $there);

# Killed between statements.
my $idle = q{SELECT pid FROM pg_stat_activity WHERE application_name = 'documentdb_upgrade parity' AND state = 'idle' AND query ~ 'COMMIT'};
start([ 0, run => undef, 'SELECT to_json(1)' ], [ 0, run => 'SELECT public.gate()' ], [ 0, run => undef, 'SELECT to_json(2)' ]);
sql($there, 'SELECT pg_terminate_backend(' . await_pid($there, $idle) . ')');
await_left_there($idle);
open_gate($here);
is($session->finish->{stdout}, '7', 'one that is ended between statements');
is_deeply(short_answers($here)->[2], { remote => 2 }, 'is not even noticed');
sub await_left_there
{
	my $query = shift;
	ok($there->poll_query_until('postgres', "SELECT NOT EXISTS ($query)"), 'it has ended');
	return;
}

# The holder.
close_gates();
start([ 0, run => 'SELECT public.gate()', 'SELECT to_json(0)' ], [ 0, run => undef, 'SELECT to_json(1)' ], [ 0, run => 'SELECT to_json(2)', 'SELECT to_json(2)' ],
	[ 0, run_now => undef, 'SELECT to_json(3)' ]);
await_pid($here, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade parity' AND wait_event = 'advisory'});
sql($there, 'SELECT pg_terminate_backend(' . await_pid($there, $holder) . ')');
await_left_there($holder);
open_gate($here);
is($session->finish->{stdout}, '7', 'the holder of the snapshot is ended');
$answers = short_answers($here);
is_deeply($answers->[1], { remote => '08006 the remote snapshot is lost' }, 'the snapshot is lost');
is_deeply($answers->[2], { local => 2, remote => '08006 the remote snapshot is lost' }, 'for good; here things go on');
is_deeply($answers->[3], { remote => 3 }, 'run_now needs none');

# As others than its holder see it: they ask for what is not there any more.
close_gates();
order($here, [ 0, run => 'SELECT public.gate()' ], [ 1, run_now => undef, 'SELECT public.gate()' ], [ 1, run => undef, 'SELECT to_json(1)' ], [ 1, run_now => undef, 'SELECT to_json(2)' ]);
$session = DocumentdbUpgrade::Session->new($here);
$session->start(call({ workers => 2 }, $there));
await_pid($there, $at_gate);
sql($there, 'SELECT pg_terminate_backend(' . await_pid($there, $holder) . ')');
await_left_there($holder);
open_gate($there);
ok($here->poll_query_until('postgres', q{SELECT count(*) = 3 FROM stub.answers WHERE worker = 1}), 'the other worker goes on meanwhile');
open_gate($here);
is($session->finish->{stdout}, '7', 'it has ended too');
$answers = [ map { $_->{remote} ? $_->{remote}{error}{message} // $_->{remote}{value} : () } @{ answers($here) } ];
is_deeply($answers, [ 'through', 'the remote snapshot is lost', 2 ], 'the server says that there is no such snapshot');
await_left('afterwards', $here, $there);

# The whole server.
close_gates();
start([ 0, run => undef, 'SELECT public.gate()' ], [ 0, run => undef, 'SELECT to_json(1)' ], [ 0, run_now => undef, 'SELECT to_json(1)' ]);
await_pid($there, $at_gate);
$there->stop('immediate');
is($session->finish->{stdout}, '7', 'the other server dies');
$answers = short_answers($here);
like($answers->[0]{remote}, qr/^08006 the connection to the other server is lost: /, 'the statement that ran');
like($answers->[1]{remote}, qr/^08006 (the remote snapshot is lost|could not connect)/, 'the next one');
like($answers->[2]{remote}, qr/^08006 could not connect to the other server: /, 'one that needs a connection');
my $result = try_sql($here, call({}, $there));
is($result->{sqlstate}, '08006', 'a new run is refused');
like($result->{message}, qr/^could not connect to the other server: /, 'with the reason');
await_left('afterwards', $here);
is(scalar @{ failures($here) }, 0, 'none of it was the engine\'s failure');

done_testing();
