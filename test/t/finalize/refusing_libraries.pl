# Libraries that refuse: one that refuses every query until its extension has
# been updated, and one that refuses the update in a session that has used the
# old version.  What can work does, with its guards and checks; what cannot says
# what does; and the worker neither dies nor repeats itself.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $conf = q{
documentdb_upgrade.extension = 'du_refusing'
documentdb_upgrade.poll_interval = '100ms'
documentdb_upgrade.retry_min = '50ms'
documentdb_upgrade.guard_severity = 'rehearsed=skip'
};

# What is asked while nothing is refused; both extensions, at the start.
sub quietly
{
	my ($node, $sql) = @_;
	(my $answer = sql($node, "SET du_refusing.mode = off; $sql")) =~ s/^SET\n//;
	return $answer;
}

sub start_over
{
	my $node = shift;
	quietly($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION IF EXISTS documentdb_upgrade, du_refusing;
		CREATE EXTENSION du_refusing VERSION '1.0'; CREATE EXTENSION documentdb_upgrade;
		CREATE OR REPLACE FUNCTION public.no() RETURNS boolean LANGUAGE sql AS 'SELECT false'});
	return;
}

sub version { return quietly($_[0], q{SELECT extversion FROM pg_extension WHERE extname = 'du_refusing'}); }

sub rows
{
	return quietly($_[0], q{SELECT string_agg(concat_ws(' ', from_version, to_version, outcome, actor, role_name, cause), ', ' ORDER BY id)
		FROM documentdb_upgrade.history});
}

sub worker_pid { return quietly($_[0], q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker'}); }

# Every query is refused.
{
	my $node = new_node('queries', preload => 'documentdb_upgrade, du_refusing', conf => "$conf\ndu_refusing.mode = queries");

	start_over($node);
	is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('2.0')})->{message},
		'loaded du_refusing library version differs from installed extension version', 'a function is refused by the library itself');
	ok($node->wait_for_log(qr/schema of extension "du_refusing" is blocked\n.*Every query in this database is refused \(loaded du_refusing.*What works is CALL documentdb_upgrade\.run_finalize_to\('2\.0'\); or ALTER EXTENSION du_refusing UPDATE TO '2\.0';/),
		'the worker says so, and what works');
	my $offset = -s $node->logfile;
	my $worker = worker_pid($node);
	foreach (1 .. 5)
	{
		my $last = quietly($node, 'SELECT last_contact FROM documentdb_upgrade.status');
		poll_until(sub { quietly($node, "SELECT last_contact > '$last' FROM documentdb_upgrade.status") eq 't' }, 'the worker looks again');
	}
	is(count_logged($node, qr/is blocked/, $offset), 0, 'once');

	# By CALL: guards and checks as ever.
	quietly($node, q{INSERT INTO documentdb_upgrade.holds (reason) VALUES ('tonight')});
	my $result = try_sql($node, q{CALL documentdb_upgrade.run_finalize_to('2.0')});
	like($result->{message}, qr/refused by guard "hold"/, 'a hold refuses') or diag($result->{stderr});
	quietly($node, q{SELECT documentdb_upgrade.release(); INSERT INTO documentdb_upgrade.backups (label, finished_at) VALUES ('old', now() - interval '9 days')});
	$result = try_sql($node, q{CALL documentdb_upgrade.run_finalize_to('2.0')});
	like($result->{message}, qr/refused by guard "backup_recent"/, 'so does a guard that has to ask') or diag($result->{stderr});
	is(version($node), '1.0', 'and nothing is left of the scripts');
	foreach my $kind ('pre', 'post')
	{
		quietly($node, qq{INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('no', '$kind', 'public.no()')});
		$result = try_sql($node, q{CALL documentdb_upgrade.run_finalize_to('2.0', skip_guards => '{backup_recent}')});
		like($result->{message}, qr/$kind-check "no" is not met/, "nor of a $kind-check that is not met");
		quietly($node, q{DELETE FROM documentdb_upgrade.checks WHERE name = 'no'});
	}
	is(version($node), '1.0', 'nothing is left');
	is(worker_pid($node), $worker, 'the worker has lived through all that');
	$result = try_sql($node, q{CALL documentdb_upgrade.run_finalize_to('2.0', skip_guards => '{backup_recent}')});
	ok($result->{ok}, 'CALL finalizes') or diag($result->{stderr});
	is(version($node), '2.0', 'it has');
	like(rows($node), qr/1\.0 2\.0 succeeded function postgres$/, 'with its row');

	# For every database at once.
	start_over($node);
	quietly($node, q{SELECT FROM documentdb_upgrade.finalize_everywhere()});
	is(version($node) . ' ' . rows($node), '2.0 1.0 2.0 succeeded function postgres', 'finalize_everywhere() does it');

	# As the first statement of a session, and by the worker.
	start_over($node);
	ok(try_sql($node, 'ALTER EXTENSION du_refusing UPDATE')->{ok}, 'a plain update');
	is(version($node) . ' ' . rows($node), '2.0 1.0 2.0 succeeded manual postgres', 'is recorded');
	start_over($node);
	quietly($node, q{ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = 'auto'; SELECT pg_reload_conf()});
	ok($node->poll_query_until('postgres', q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), 'the worker updates');
	is(rows($node), '1.0 2.0 succeeded worker postgres', 'at the first try');
	unlike(logged($node), qr/(FATAL|PANIC|terminated by|exited with)/, 'no process has died');
}

# The update is refused where the old version was used.
{
	my $node = new_node('update', preload => 'documentdb_upgrade, du_refusing', conf => "$conf\ndu_refusing.mode = update");
	my $refused = qr/^extension "du_refusing" cannot be updated after the old version has already been loaded$/;

	start_over($node);
	sql($node, 'CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA documentdb_upgrade TO plain;
		GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_detached TO plain; GRANT SELECT ON documentdb_upgrade.history TO plain');
	foreach my $statement (q{SELECT documentdb_upgrade.finalize_to('2.0')}, q{CALL documentdb_upgrade.run_finalize_to('2.0')})
	{
		my $result = try_sql($node, $statement);
		like($result->{message}, $refused, "refused: $statement") or diag($result->{stderr});
		like($result->{hint}, qr/^Run SELECT outcome, from_version, to_version FROM documentdb_upgrade\.finalize_detached\('2\.0'\);/, 'and told what does it');
	}
	is(rows($node), '1.0 2.0 failed function postgres library', 'the row says why');

	# So it does where this extension itself is still at 1.0, whose table knows fewer causes.
	quietly($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION documentdb_upgrade; CREATE EXTENSION documentdb_upgrade VERSION '1.0.0'});
	like(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('2.0')})->{message}, $refused, 'refused as well');
	is(rows($node), '1.0 2.0 failed function postgres server', 'and recorded');
	start_over($node);
	sql($node, 'GRANT USAGE ON SCHEMA documentdb_upgrade TO plain;
		GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_detached TO plain; GRANT SELECT ON documentdb_upgrade.history TO plain');

	# In a process of its own, with guards, checks and the caller's rights.
	sql($node, q{SELECT documentdb_upgrade.hold('tonight')});
	like(try_sql($node, q{SELECT documentdb_upgrade.finalize_detached('2.0')})->{message}, qr/refused by guard "hold"/, 'a hold refuses');
	sql($node, q{SELECT documentdb_upgrade.release(), documentdb_upgrade.record_backup('old', now() - interval '9 days')});
	my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_detached('2.0')});
	is("$result->{sqlstate} $result->{message}", '55000 cannot finalize extension "du_refusing" to "2.0": refused by guard "backup_recent"', 'so does a guard that has to ask');
	like($result->{hint}, qr/record_backup|backup/, 'with its hint');
	is(try_sql($node, q{SELECT documentdb_upgrade.finalize_detached('2.0', 'another')})->{sqlstate}, '55000', 'so does a fingerprint');
	is(try_sql($node, q{SELECT documentdb_upgrade.finalize_detached('1.7')})->{sqlstate}, '0A000', 'a version that is not offered');
	is(try_sql($node, q{SELECT documentdb_upgrade.finalize_detached('2.0', skip_guards => '{nonsense}')})->{sqlstate}, '22023', 'a guard that does not exist');
	$result = try_sql($node, q{SET documentdb_upgrade.guard_severity = 'rehearsed=skip, members_intact=fail';
		SELECT documentdb_upgrade.finalize_detached('2.0', skip_guards => '{backup_recent}')});
	like($result->{message}, qr/refused by guard "members_intact"/, 'and one that can only be judged before, as the session has set it');
	is(version($node), '1.0', 'nothing is left of all that');
	$result = try_sql($node, q{SELECT outcome, from_version, to_version, role_name, client, jsonb_array_length(steps), skipped_guards
		FROM documentdb_upgrade.finalize_detached('2.0', skip_guards => '{backup_recent,backup_recent}')}, user => 'plain');
	ok($result->{ok}, 'a plain role may') or diag($result->{stderr});
	like($result->{stdout}, qr/^succeeded\|1\.0\|2\.0\|plain\|\S+, local\|2\|\{backup_recent/, 'and gets the row');
	is(version($node), '2.0', 'it is done');
	$result = try_sql($node, q{SELECT outcome, message FROM documentdb_upgrade.finalize_detached('2.0')});
	is($result->{stdout}, 'succeeded|nothing to do: extension "du_refusing" is at "2.0"', 'a second time there is nothing to do');

	# What a caller rolls back has been done.
	start_over($node);
	my $session = DocumentdbUpgrade::Session->new($node);
	$session->run('BEGIN');
	like($session->run(q{SELECT (documentdb_upgrade.finalize_detached('2.0')).outcome})->{stdout}, qr/succeeded/, 'in a transaction');
	$session->vanish;
	is(version($node), '2.0', 'it is committed whatever becomes of that');

	# A rehearsal finds a process of its own.
	start_over($node);
	my $before = version($node);
	$result = try_sql($node, q{SELECT outcome, role_name, message, steps_run, report->'steps'->0->>'script' ~ '1.0--1.5' FROM documentdb_upgrade.rehearse('2.0')});
	is($result->{stdout}, 'passed|postgres||2|t', 'a rehearsal passes') or diag($result->{stderr});
	is(version($node), $before, 'and leaves nothing');
	$result = try_sql($node, q{SELECT outcome, steps_run, report->'steps'->0 ? 'ms', report->'steps'->0->>'risk', report->>'checks' FROM documentdb_upgrade.rehearse('1.5')});
	is($result->{stdout}, 'passed|1|t|data tables|all checks were met', 'of a single step the effects are seen') or diag($result->{stderr});
	sql($node, q{INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('no', 'pre', 'public.no()')});
	is(sql($node, q{SELECT outcome || ' ' || message FROM documentdb_upgrade.rehearse('2.0')}), 'failed pre-check "no" is not met', 'a check fails there too');
	sql($node, 'DELETE FROM documentdb_upgrade.checks');
	is(sql($node, q{SELECT string_agg(outcome, ' ' ORDER BY id) FROM documentdb_upgrade.rehearsals}), 'passed passed failed', 'nothing but the rows is left');

	# For every database at once.
	$result = try_sql($node, q{SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_everywhere() WHERE database = 'postgres'});
	is($result->{stdout}, 'succeeded|1.0|2.0', 'finalize_everywhere() finds the form that works') or diag($result->{stderr});
	is(rows($node), '1.0 2.0 failed function postgres library, 1.0 2.0 succeeded function postgres', 'by a second process');
	start_over($node);

	# As the first statement of a session.
	$result = try_sql($node, 'ALTER EXTENSION du_refusing UPDATE');
	ok($result->{ok}, 'a plain update as the first statement') or diag($result->{stderr});
	is(version($node) . ' ' . rows($node), '2.0 1.0 2.0 succeeded manual postgres', 'is recorded');

	# An attempt of the worker that has nothing to ask before the update.
	start_over($node);
	$node->restart;
	desire($node, 'auto');
	ok($node->poll_query_until('postgres', q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), 'the worker updates');
	is(rows($node), '1.0 2.0 succeeded worker postgres', 'at once, where it asks nothing');
	desire($node, '');

	# Else the worker learns it once, and knows it from history; it may know the one of before.
	start_over($node);
	quietly($node, q{INSERT INTO documentdb_upgrade.backups (label, finished_at) VALUES ('new', now())});
	$node->restart;
	my $offset = -s $node->logfile;
	desire($node, 'auto');
	ok($node->poll_query_until('postgres', q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), 'the worker updates');
	is(rows($node), '1.0 2.0 failed worker postgres library, 1.0 2.0 succeeded worker postgres', 'in the other form');
	is(count_logged($node, qr/an attempt at extension "du_refusing" has to begin with the update/, $offset), 1, 'said once');
	desire($node, '');
	quietly($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION du_refusing; CREATE EXTENSION du_refusing VERSION '1.0'});
	desire($node, 'auto');
	ok($node->poll_query_until('postgres', q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), 'and again');
	is(scalar(() = rows($node) =~ /library/g), 1, 'at the first try');
}

# tick() on a server that does not preload us.
{
	my $node = new_node('tick', preload => 'du_refusing', conf => "$conf\ndu_refusing.mode = update\ndocumentdb_upgrade.desired_schema_version = 'auto'");

	start_over($node);
	my $state = sql($node, 'SELECT documentdb_upgrade.tick()');
	is(version($node), '2.0', 'a tick updates');
	is(rows($node), '1.0 2.0 failed tick postgres library, 1.0 2.0 succeeded tick postgres', 'in the other form');
	is($state, 'verifying', 'and leaves it to the next to look');
	is(sql($node, 'SELECT documentdb_upgrade.tick()'), 'up_to_date', 'which finds it done');
}

done_testing();
