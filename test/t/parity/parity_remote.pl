# What a parity process does on another server: statements on both sides at the
# same time, under settings that are the same everywhere, and no transaction
# open here while the other server is waited for.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my ($here, $there) = (stub_node('here', preload => 1), stub_node('there'));

# Values and errors.
order($here,
	[ 0, run => 'SELECT json \'{"a": 1}\'', 'SELECT json \'[2, null]\'' ],
	[ 0, run => undef, 'SELECT NULL::json' ],
	[ 0, run => 'SELECT 1/0', 'SELECT to_json(1)' ],
	[ 0, run => 'SELECT to_json(1)', 'SELECT 1/0' ],
	[ 0, run => undef, 'SELEKT' ],
	[ 0, run => undef, 'SELECT to_json(i) FROM generate_series(1, 2) i' ],
	[ 0, run => undef, 'SELECT 1, 2' ],
	[ 0, run => undef, "SELECT 'no json'" ],
	[ 0, run => undef, 'COPY pg_class TO STDOUT' ],
	[ 0, run => undef, 'CREATE TABLE public.t ()' ],
	[ 0, run => undef, q{SELECT to_json('caf' || chr(233)) -- a comment} ],
	[ 0, run => undef, q{SELECT to_json(concat_ws(' ', current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('application_name')));} ],
	[ 0, run_now => undef, q{SELECT to_json(current_setting('transaction_isolation'))} ]);
run_ok($here, {}, $there);
my $answers = short_answers($here);
is_deeply($answers->[0], { local => { a => 1 }, remote => [ 2, undef ] }, 'a value of each');
is_deeply($answers->[1], { remote => undef }, 'a null');
is_deeply($answers->[2], { local => '22012 division by zero', remote => 1 }, 'an error here');
is_deeply($answers->[3], { local => 1, remote => '22012 division by zero' }, 'an error there');
like($answers->[4]{remote}, qr/^42601 syntax error/, 'a syntax error');
like($answers->[5]{remote}, qr/^21000 one row of one column was expected from the other server/, 'several rows');
like($answers->[6]{remote}, qr/^21000 one row/, 'several columns');
like($answers->[7]{remote}, qr/^22P02 invalid input syntax for type json/, 'what is no JSON');
like($answers->[8]{remote}, qr/^0A000 COPY is not supported/, 'COPY');
like($answers->[9]{remote}, qr/^25006 cannot execute CREATE TABLE in a read-only/, 'what writes');
is($answers->[10]{remote}, "caf\x{e9}", 'a letter, and a comment behind it');
is($answers->[11]{remote}, 'repeatable read on documentdb_upgrade parity', 'under the exported snapshot');
is($answers->[12]{remote}, 'read committed', 'under a fresh one');
await_left('after a run', $here, $there);

# At the same time, and how long each took.
order($here, [ 0, run => 'SELECT public.take(400)', 'SELECT public.take(250)' ]);

run_ok($here, {}, $there);

my $answer = answers($here)->[0];
my ($local, $remote) = ($answer->{local}{ms}, $answer->{remote}{ms});
cmp_ok($local, '>=', 400, "here it took $local ms");
cmp_ok($remote, '>=', 250, "there it took $remote ms");

# Both wait at gates, so both run whatever the machine has to do.
my %gate = map { ($_->name => DocumentdbUpgrade::Session->new($_)) } $here, $there;
$_->run('SELECT pg_advisory_lock(42)') foreach values %gate;
order($here, [ 0, run => 'SELECT public.gate()', 'SELECT public.gate()' ]);
my $session = DocumentdbUpgrade::Session->new($here);
$session->start(call({}, $there));
my $at_gate = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND 'documentdb_upgrade parity' IN (application_name, backend_type)};
ok($_->poll_query_until('postgres', $at_gate), 'both sides run at the same time: ' . $_->name) foreach $here, $there;
$gate{here}->run('SELECT pg_advisory_unlock_all()');
ok($here->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade parity'
	AND xact_start IS NULL AND backend_xmin IS NULL AND query = 'SELECT public.gate()'}), 'no transaction is open here while the other server works');
is(sql($there, $at_gate), 't', 'which it still does');
$gate{there}->run('SELECT pg_advisory_unlock_all()');
is($session->finish->{stdout}, '7', 'then the run goes on');
is_deeply(short_answers($here), [ { local => 'through', remote => 'through' } ], 'with both answers');

# Settings of the other server.
sql($there, q{
	ALTER DATABASE postgres SET default_transaction_isolation = 'serializable';
	ALTER DATABASE postgres SET DateStyle = 'German';
	ALTER DATABASE postgres SET IntervalStyle = 'iso_8601';
	ALTER DATABASE postgres SET TimeZone = 'Asia/Tokyo';
	ALTER DATABASE postgres SET bytea_output = 'escape';
	ALTER DATABASE postgres SET extra_float_digits = -5;
	ALTER DATABASE postgres SET search_path = nowhere;
	ALTER DATABASE postgres SET idle_in_transaction_session_timeout = 1;
	ALTER DATABASE postgres SET statement_timeout = '100s'});
my $shown = q{SELECT json_build_array(timestamptz '2000-02-01 12:00+00', '1 day 2 hours'::interval, '\001'::bytea,
	0.1::float8 + 0.2, current_setting('search_path'), current_setting('row_security'))};
order($here, [ 0, run => $shown, $shown ], [ 0, wait => undef, undef, 100 ],
	[ 0, run => undef, q{SELECT to_json(current_setting('statement_timeout') || ' ' || current_setting('client_connection_check_interval'))} ]);
run_ok($here, {}, $there);
$answers = short_answers($here);
is_deeply($answers->[0]{remote}, $answers->[0]{local}, 'values are written in the same way');
is($answers->[1]{remote}, '100s 1s', 'the role\'s limit is left alone; the snapshot\'s holder has no limit');
await_left('at the end', $here, $there);

done_testing();
