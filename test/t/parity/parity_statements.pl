# What a parity process does here: the statements that the engine orders, with
# the caller's rights and the same settings everywhere; whatever they raise is
# an answer.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = stub_node('main');

sql($node, q{
	CREATE TABLE t AS SELECT generate_series(1, 3) AS id;
	CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
	CREATE ROLE plain LOGIN;
	GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO plain;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade_internal.run_parity(jsonb, text) TO plain;
	GRANT SELECT ON guarded TO plain});

# Values and errors.
order($node,
	[ 0, run => 'SELECT json_build_object(1, count(*)) FROM public.t' ],
	[ 0, run => 'SELECT NULL::json' ],
	[ 0, run => q{SELECT '"caf' || chr(233) || '"'} ],
	[ 0, run => 'SELECT 1/0' ],
	[ 0, run => 'SELEKT' ],
	[ 0, run => 'SELECT to_json(id) FROM public.t' ],
	[ 0, run => 'SELECT 1, 2' ],
	[ 0, run => q{SELECT 'no json'} ],
	[ 0, run => 'INSERT INTO public.t VALUES (4) RETURNING to_json(id)' ],
	[ 0, run => 'SELECT to_json(id) FROM public.nothing' ],
	[ 0, run => undef, 'SELECT 1' ],
	[ 0, run_now => q{SELECT to_json(current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only'))} ],
	[ 0, run => q{SELECT to_json(current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only'))} ],
	[ 0, wait => undef, undef, 10 ],
	[ 0, run => q{SELECT to_json(1)} ]);
run_ok($node, {});
my $answers = short_answers($node);
is_deeply($answers->[0], { local => { 1 => 3 } }, 'a value');
is_deeply($answers->[1], { local => undef }, 'a null');
is_deeply($answers->[2], { local => "caf\x{e9}" }, 'a letter');
is($answers->[3]{local}, '22012 division by zero', 'an error');
like($answers->[4]{local}, qr/^42601 syntax error/, 'a syntax error');
is($answers->[5]{local}, '21000 one row of one column was expected', 'several rows');
is($answers->[6]{local}, '21000 one row of one column was expected', 'several columns');
is($answers->[7]{local}, '22P02 invalid input syntax for type json', 'what is no JSON');
is($answers->[8]{local}, '25006 cannot execute INSERT in a read-only transaction', 'what writes');
is($answers->[9]{local}, '42P01 relation "public.nothing" does not exist', 'a table that is not there');
is_deeply($answers->[10], { remote => '08003 there is no other server in this run' }, 'another server, in a run without one');
is($answers->[11]{local}, 'read committed on', 'a fresh snapshot');
is($answers->[12]{local}, 'repeatable read on', 'that of the caller');
is(scalar @$answers, 14, 'a wait has no answer');
is($answers->[13]{local}, 1, 'and it goes on after it');

# As whom.
my $who = q{SELECT to_json(current_user || ' ' || current_setting('is_superuser'))};
order($node,
	[ 0, run => $who ],
	[ 0, run => 'SELECT to_json(count(*)) FROM public.t' ],
	[ 0, run => 'SELECT to_json(count(*)) FROM public.guarded' ],
	[ 0, run => 'SET ROLE postgres' ],
	[ 0, run => 'RESET SESSION AUTHORIZATION' ],
	[ 0, run => $who ]);
is(try_sql($node, call({}), user => 'plain')->{stdout}, '7', 'a plain role');
$answers = short_answers($node);
like($answers->[0]{local}, qr/^plain/, 'its statements run as itself');
is($answers->[1]{local}, '42501 permission denied for table t', 'with its rights');
like($answers->[2]{local}, qr/^42501 query would be affected by row-level security policy/, 'no policy hides rows');
like($answers->[3]{local}, qr/^42501 cannot set parameter "role" within security-/, 'it cannot become another');
like($answers->[4]{local}, qr/^42501 cannot set parameter "session_authorization" within security-/, 'nor the process');
like($answers->[5]{local}, qr/^plain/, 'after errors too');
order($node, [ 0, run => 'SELECT to_json(current_user::text)' ]);
is(try_sql($node, 'SET ROLE plain; ' . call({}))->{stdout}, '7', 'a role that was set');
is(short_answers($node)->[0]{local}, 'plain', 'counts');

# The role is dropped while a statement runs.
my $gate = DocumentdbUpgrade::Session->new($node);
$gate->run('SELECT pg_advisory_lock(42)');
my $session = DocumentdbUpgrade::Session->new($node, user => 'plain');
order($node, [ 0, run => 'SELECT public.gate()' ], [ 0, run => 'SELECT 1' ]);
$session->start(call({}));
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade parity' AND wait_event = 'advisory'});
sql($node, 'DROP OWNED BY plain; DROP ROLE plain');
$gate->run('SELECT pg_advisory_unlock_all()');
is($session->finish->{stdout}, '7', 'a role that is dropped meanwhile');
is_deeply(short_answers($node), [ { local => 'through' }, { local => '42704 the role that has started this run does not exist any more' } ],
	'is an error of what follows');
$session->quit;

# Settings of database and session.
sql($node, 'ALTER DATABASE postgres SET transaction_timeout = 200') if $node->pg_version >= 17;
sql($node, q{
	ALTER DATABASE postgres SET default_transaction_read_only = on;
	ALTER DATABASE postgres SET default_transaction_isolation = 'serializable';
	ALTER DATABASE postgres SET default_transaction_deferrable = on;
	ALTER DATABASE postgres SET statement_timeout = 1;
	ALTER DATABASE postgres SET lock_timeout = 1;
	ALTER DATABASE postgres SET DateStyle = 'German';
	ALTER DATABASE postgres SET IntervalStyle = 'iso_8601';
	ALTER DATABASE postgres SET TimeZone = 'Asia/Tokyo';
	ALTER DATABASE postgres SET bytea_output = 'escape';
	ALTER DATABASE postgres SET extra_float_digits = -5;
	ALTER DATABASE postgres SET standard_conforming_strings = off;
	ALTER DATABASE postgres SET search_path = nowhere;
	ALTER DATABASE postgres SET plpgsql.variable_conflict = use_column;
	ALTER DATABASE postgres SET row_security = on});
my $shown = q{SELECT json_build_array(timestamptz '2000-02-01 12:00+00', '1 day 2 hours'::interval, '\001'::bytea,
	0.1::float8 + 0.2, $$\$$ || '\', current_setting('search_path'), current_setting('row_security'), current_setting('lock_timeout'), current_setting('work_mem'))};
$session = DocumentdbUpgrade::Session->new($node);
$session->run(q{SET default_transaction_read_only = off; SET statement_timeout = 0; SET default_transaction_isolation = 'read committed';
	SET transaction_read_only = off; SET standard_conforming_strings = on; SET search_path = public});
$session->run('SET transaction_timeout = 0') if $node->pg_version >= 17;
my $quoted = $shown =~ s/'/''/gr;
$session->run("INSERT INTO stub.steps (worker, action, local) VALUES (0, 'run', '$quoted'), (0, 'run', 'SELECT public.take(300)')");
is($session->run(q{SET lock_timeout = '3min'; SET work_mem = '7MB'; } . call({}))->{stdout}, '7', 'settings of the database');
my $result = $session->run('SELECT answer FROM stub.answers ORDER BY id')->{stdout};
like($result, qr/"value": \["2000-02-01T12:00:00\+00:00", "1 day 02:00:00", "\\\\x01", 0\.30000000000000004, "\\\\\\\\", "pg_catalog, pg_temp", "off", "3min", "7MB"\]/,
	'do not change what statements give; lock_timeout and work_mem are the session\'s');
like($result, qr/"taken"/, 'nor end them');
is($session->run('SELECT count(*) FROM stub.failures')->{stdout}, '0', 'nor the run');
$session->quit;

done_testing();
