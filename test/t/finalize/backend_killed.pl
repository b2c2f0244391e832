# A backend killed in the middle of a step leaves the old version intact, and
# the next finalize succeeds.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw(comes_true);
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'slow'
	documentdb_upgrade.lock_timeout = '1h'
	restart_after_crash = on
	fsync = on});
write_extension($node, 'slow', '1.2',
	'1.0' => 'CREATE TABLE thing (id int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 0 $$;',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;
		CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;',
	'1.1--1.2' => 'ALTER TABLE thing ADD two int; DROP FUNCTION f();
		SELECT pg_advisory_xact_lock(42);
		CREATE TABLE thing2 (id int);');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION slow VERSION '1.0'});

# All that the extension consists of.
my $catalogue = q{
	SELECT extversion, f(), (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = 'thing'::regclass AND attnum > 0),
		(SELECT array_agg(pg_describe_object(classid, objid, objsubid) ORDER BY 1) FROM pg_depend
		WHERE refobjid = e.oid AND deptype = 'e')
	FROM pg_extension e WHERE extname = 'slow'};
my $before = sql($node, $catalogue);

# A finalize that waits inside its second script.
sub stuck_finalize
{
	my $blocker = DocumentdbUpgrade::Session->new($node);
	my $session = DocumentdbUpgrade::Session->new($node);

	$blocker->run('SELECT pg_advisory_lock(42)');
	$session->start(q{SELECT documentdb_upgrade.finalize_to('1.2')});
	$session->wait_for(q{wait_event_type = 'Lock' AND wait_event = 'advisory'});
	return ($session, $blocker);
}

my ($session, $blocker) = stuck_finalize();
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'slow'}), '1.0', 'in the middle of it nobody sees anything');
my $started = sql($node, 'SELECT pg_postmaster_start_time()');

kill 'KILL', $session->pid;
$session->finish_lost;
$blocker->finish_lost;
ok(comes_true($node, 'SELECT true'), 'the server recovers by itself');
ok($node->log_contains(qr/database system was not properly shut down|all server processes terminated; reinitializing/),
	'after a crash');
is(sql($node, 'SELECT pg_postmaster_start_time()'), $started, 'under the same postmaster');
is(sql($node, $catalogue), $before, 'the old version is intact');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history}), '0', 'a crash leaves no row');
is(sql($node, q{SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_extension'::regclass}), '0', 'nor a lock');

my $result = try_sql($node, q{SELECT from_version, to_version, outcome FROM documentdb_upgrade.finalize_to('1.2')});
is($result->{stdout}, '1.0|1.2|succeeded', 'the next finalize does it all') or diag($result->{stderr});
$node->stop('immediate');
$node->start;
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'slow'}), '1.2', 'what was committed survives a crash');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.history}), 'succeeded', 'with its history');

done_testing();
