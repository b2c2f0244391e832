# A finalize that succeeded and was rolled back by its caller, in whatever
# way, is recorded as cancelled.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'undone'});
write_extension($node, 'undone', '1.1',
	'1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;');
sql($node, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE EXTENSION undone VERSION '1.0';
	CREATE TABLE deferred (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
});
my $finalize = q{SELECT to_version FROM documentdb_upgrade.finalize_to('1.1')};
my $cancelled = 0;

# One more row, or one more repeat of the newest, and nothing else.
sub is_cancelled
{
	my $how = shift;
	$cancelled++;
	ok( $node->poll_query_until('postgres', qq{SELECT coalesce(sum(1 + repeats), 0) = $cancelled
			FROM documentdb_upgrade.history WHERE outcome = 'cancelled'}), "$how: recorded as cancelled");
	is(sql($node, q{SELECT DISTINCT outcome, from_version, to_version, sqlstate, message FROM documentdb_upgrade.history}),
		'cancelled|1.0|1.1||the caller rolled back a finalize that had succeeded', "$how: and as nothing else");
	is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'undone'}), '1.0', "$how: the old version is in place");
}

# One session has five records for free, so that a second one follows.
my $session = DocumentdbUpgrade::Session->new($node);

is($session->run("BEGIN; $finalize; ROLLBACK")->{stdout}, '1.1', 'a finalize succeeds');
is_cancelled('ROLLBACK');

$session->run("BEGIN; SAVEPOINT a; SAVEPOINT b; $finalize; RELEASE b; ROLLBACK TO a; COMMIT");
is_cancelled('ROLLBACK TO');

$session->run(q{DO $$ BEGIN PERFORM documentdb_upgrade.finalize_to('1.1'); RAISE EXCEPTION 'no'; EXCEPTION WHEN OTHERS THEN NULL; END $$});
is_cancelled('an exception that was caught');

is($session->run("BEGIN; $finalize; INSERT INTO deferred VALUES (1), (1); COMMIT")->{sqlstate}, '23505', 'a commit fails');
is_cancelled('a commit that failed');

is($session->run("BEGIN; $finalize; NOTIFY x; PREPARE TRANSACTION 'never'")->{sqlstate}, '0A000', 'PREPARE TRANSACTION that fails');
is_cancelled('PREPARE TRANSACTION');

$session->quit;
$session = DocumentdbUpgrade::Session->new($node);
$session->run("BEGIN; $finalize");
$session->vanish;
is_cancelled('a client that vanished');

$session = DocumentdbUpgrade::Session->new($node);
$session->run("BEGIN; $finalize");
sql($node, 'SELECT pg_terminate_backend(' . $session->pid . ')');
is_cancelled('a session that was terminated');
$session->finish_lost;

# A savepoint that is kept changes nothing.
$session = DocumentdbUpgrade::Session->new($node);
$session->run("BEGIN; SAVEPOINT a; $finalize; RELEASE a; SAVEPOINT b; SELECT 1; ROLLBACK TO b; COMMIT");
is(sql($node, q{SELECT outcome, from_version, to_version FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}),
	'succeeded|1.0|1.1', 'what is committed has succeeded');
is(sql($node, q{SELECT sum(1 + repeats) FROM documentdb_upgrade.history WHERE outcome = 'cancelled'}),
	$cancelled, 'and is not recorded as cancelled');
$session->run('BEGIN; SELECT 1; ROLLBACK');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome = 'succeeded'}), '1', 'later transactions say nothing');
$session->quit;

done_testing();
