# How much memory a process takes is not for the other server to say: what never
# ends is left as soon as it is known to be wrong, what comes by itself is thrown
# away, and a message that is announced as huge is not waited for.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::HostileServer;
use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Test;
use Test::More;

BEGIN { $ENV{DU_FLOOD_MB} = 150; }

my ($here, $there) = (stub_node('here'), stub_node('there'));
my $hostile = DocumentdbUpgrade::HostileServer->new($there);
my $started = sql($here, 'SELECT pg_postmaster_start_time()');
my $peak = q{SELECT to_json((regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]::int / 1024)};
plan skip_all => 'memory of processes cannot be read' unless -r '/proc/self/status';

# A sanitizer keeps what was freed, a quarter of a gigabyte of it.
my $room = sanitized() ? 400 : 20;

# What it is answered, how many MB were sent, how many MB the process has had.
sub flood
{
	my ($fault) = @_;
	my $before = () = $hostile->sent;

	order($here, [ 0, run_now => $peak, 'SELECT to_json(1)' ], [ 0, run_now => undef, "SELECT to_json(1) /* fault $fault */" ], [ 0, run_now => $peak, 'SELECT to_json(2)' ]);
	run_ok($here, {}, $hostile->connstr('faithful'));
	my ($first, $answer, $last) = @{ short_answers($here) };
	poll_until(sub { (() = $hostile->sent) > $before }, 'the flood has ended');
	is($last->{remote}, 2, "$fault: the next statement has its answer");
	return ($answer->{remote}, int((($hostile->sent)[-1]) / 1024 / 1024), $last->{local} - $first->{local});
}

my ($said, $sent, $grown) = flood('rows_flood');
is($said, '21000 one row of one column was expected from the other server', 'rows without end');
cmp_ok($sent, '<', 20, "are not read: $sent MB");
cmp_ok($grown, '<', $room, "or kept: $grown MB");

($said, $sent, $grown) = flood('errors_flood');
is($said, '08P01 the other server has not answered what it was asked', 'errors without end');
cmp_ok($sent, '<', 20, "are not read: $sent MB");
cmp_ok($grown, '<', $room, "or kept: $grown MB");

foreach my $fault (qw(notices_flood notifications_flood))
{
	($said, $sent, $grown) = flood($fault);
	like($said, qr/^08006 the connection to the other server is lost: /, "$fault: waited for until its end");
	cmp_ok($sent, '>=', 150, "$fault: all of it was sent");
	cmp_ok($grown, '<', $room, "$fault: and nothing is kept: $grown MB");
}

($said, $sent, $grown) = flood('huge_value');
like($said, qr/^08006 the connection to the other server is lost: /, 'a value that is announced as one gigabyte');
cmp_ok($sent, '<', 20, "is not read: $sent MB");
cmp_ok($grown, '<', $room, "or kept: $grown MB");

# What is large and right.
order($here, [ 0, run_now => undef, q{SELECT to_json(repeat('x', 200000000))} ], [ 0, run_now => undef, q{SELECT to_json(repeat('x', 300000000))} ]);
sql($here, q{CREATE OR REPLACE FUNCTION stub.shorten() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	NEW.answer := CASE WHEN NEW.answer->'remote' ? 'value' THEN jsonb_build_object('remote', jsonb_build_object('value', length(NEW.answer->'remote'->>'value'))) ELSE NEW.answer END;
	RETURN NEW; END $$; CREATE TRIGGER shorten BEFORE INSERT ON stub.answers FOR EACH ROW EXECUTE FUNCTION stub.shorten()});
run_ok($here, {}, conninfo($there));
is_deeply(short_answers($here), [ { remote => 200000000 }, { remote => '54000 the answer of the other server is too large' } ], 'a large value is taken, one that is too large is not');

is(sql($here, 'SELECT pg_postmaster_start_time()'), $started, 'no process of this server has crashed');
await_left('at the end', $here, $there);

done_testing();
