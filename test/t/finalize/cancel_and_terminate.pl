# A cancel or a termination in the middle of a step rolls everything back and
# is recorded; the caller's own limits hold; and the next finalize succeeds.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'slow'
	documentdb_upgrade.lock_timeout = '1h'});
write_extension($node, 'slow', '1.2',
	'1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;',
	'1.1--1.2' => "ALTER TABLE thing ADD two int;\n\nSELECT pg_advisory_xact_lock(42);\n");
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION slow VERSION '1.0'});

my $blocker = DocumentdbUpgrade::Session->new($node);
my $catalogue = q{SELECT array_agg(attname ORDER BY attnum), (SELECT extversion FROM pg_extension WHERE extname = 'slow')
	FROM pg_attribute WHERE attrelid = 'thing'::regclass AND attnum > 0};
my $last = q{SELECT outcome, sqlstate, from_version, to_version, script ~ 'slow--1.1--1.2.sql$', script_line,
	jsonb_array_length(steps) FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1};

sub stuck_finalize
{
	my $session = DocumentdbUpgrade::Session->new($node);

	$session->start(q{SELECT documentdb_upgrade.finalize_to('1.2')});
	$session->wait_for(q{wait_event_type = 'Lock' AND wait_event = 'advisory'});
	return $session;
}
$blocker->run('SELECT pg_advisory_lock(42)');

my $session = stuck_finalize();
sql($node, 'SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->finish->{sqlstate}, '57014', 'a cancel ends it as a cancel ends a query');
is(sql($node, $catalogue), '{id}|1.0', 'nothing is left of it');
is(sql($node, $last), 'cancelled|57014|1.0|1.2|t|3|1', 'it is recorded with script and line');
is($session->run('SELECT 1')->{stdout}, '1', 'the session goes on');
$session->quit;

$session = stuck_finalize();
sql($node, 'SELECT pg_terminate_backend(' . $session->pid . ')');
is($session->finish_lost->{sqlstate}, '57P01', 'a termination ends the session');
is(sql($node, $catalogue), '{id}|1.0', 'nothing is left of it');
is(sql($node, q{SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_extension'::regclass}), '0',
	'no lock either');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM documentdb_upgrade.history
		WHERE outcome = 'failed' AND sqlstate = '57P01' AND from_version = '1.0' AND to_version = '1.2'}),
	'it is recorded although nobody was left to do it');

# The caller's own statement_timeout is shorter than ours: it holds.
my $result = try_sql($node, q{SET statement_timeout = '300ms'; SELECT documentdb_upgrade.finalize_to('1.2')});
is($result->{sqlstate}, '57014', 'statement_timeout of the caller ends it too');
like($result->{message}, qr/statement timeout/, 'in its own words');

$result = try_sql($node, q{SET lock_timeout = '300ms'; SET statement_timeout = '10min'; SELECT documentdb_upgrade.finalize_to('1.2')});
is($result->{sqlstate}, '55P03', 'so does its lock_timeout');

$blocker->quit;
ok(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')})->{ok}, 'the next finalize succeeds');
is(sql($node, $catalogue), '{id,one,two}|1.2', 'with everything');

done_testing();
