# fence_writes() is in force when it returns and gone when its transaction is
# rolled back; lift_fence() works for whoever may call it, at the commit.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => "documentdb_upgrade.fence_exempt_roles = 'keeper'\ndocumentdb_upgrade.poll_interval = '1h'\n");
sql($node, q{
	CREATE ROLE keeper LOGIN SUPERUSER;
	CREATE ROLE app LOGIN SUPERUSER;
	CREATE ROLE ops LOGIN;
	CREATE TABLE t (id text);
	GRANT INSERT ON t TO ops;
	GRANT USAGE ON SCHEMA documentdb_upgrade TO ops;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.fence_writes, documentdb_upgrade.lift_fence TO ops;
	CREATE DATABASE other});

my $fence = q{SELECT writers FROM documentdb_upgrade.fence_writes('cut-over to green')};
my $lift = 'SELECT documentdb_upgrade.lift_fence()';

sub state_of { return (try_sql($node, $_[0], user => $_[1] // 'app')->{sqlstate} // '00000'); }
sub writes { return is(state_of(q{INSERT INTO t VALUES ('x')}, $_[2]), $_[0] ? '00000' : '25006', $_[1]); }
sub rows { return sql($node, q{SELECT string_agg(concat_ws(' ', id, reason, source, raised_by, lifted_at IS NULL), ',' ORDER BY id) FROM documentdb_upgrade.cutovers}); }
sub session { return DocumentdbUpgrade::Session->new($node, user => $_[0] // 'app'); }
sub is_fence { return is(status_of($node)->{fence}, $_[0], $_[1]); }

# Raised and lifted by a role that may do nothing else.
is_fence(undef, 'none is up');
is(state_of($lift, 'ops'), '00000', 'there may be nothing to lift');
my $result = try_sql($node, q{SELECT raised_at <= clock_timestamp(), drained_at >= raised_at, lsn <= pg_current_wal_insert_lsn(), writers
	FROM documentdb_upgrade.fence_writes('cut-over to green')}, user => 'ops');
is($result->{stdout}, 't|t|t|0', 'raised by a plain role') or diag($result->{stderr});
$result = try_sql($node, q{INSERT INTO t VALUES ('x')}, user => 'app');
is($result->{sqlstate}, '25006', 'a superuser writes no more');
is($result->{message}, 'cannot execute INSERT in a read-only transaction', 'in the words of the server');
is($result->{detail}, 'Writes to this database are stopped. Role "ops" has called fence_writes(): cut-over to green.', 'with the reason');
is($result->{hint}, 'To end that, run SELECT documentdb_upgrade.lift_fence(); until then only the roles of documentdb_upgrade.fence_exempt_roles can write.', 'and the cure');
writes(0, 'nor does who raised it', 'ops');
writes(1, 'an exempt role does', 'keeper');
is(try_sql($node, 'CREATE TABLE t (id int)', dbname => 'other', user => 'app')->{sqlstate}, undef, 'and everybody in other databases');
is_fence('Writes to this database are stopped. Role "ops" has called fence_writes(): cut-over to green.', 'status says it');
like(status_of($node)->{next_step}, qr/has called fence_writes\(\): cut-over to green\. When that is over, run SELECT documentdb_upgrade\.lift_fence\(\);$/, 'with the command');
is(sql($node, 'SELECT fenced, fence_seconds > 0 FROM documentdb_upgrade.metrics'), '1|t', 'so does metrics');
is(sql($node, q{SELECT documentdb_upgrade.support_bundle()->'cutovers'->0->>'raised_by'}), 'ops', 'and the bundle');
is(state_of($fence), '00000', 'it can be called again');
unlike(try_sql($node, $fence, user => $_)->{stderr}, qr/can still write/, "$_ is told nothing of exemptions") foreach qw(app ops);
like(try_sql($node, $fence, user => 'keeper')->{stderr}, qr/NOTICE:  00000: you can still write, because the fence does not hold back role "keeper"\nDETAIL:  .* can: keeper\.\nHINT:  Try it as another role\./, 'who is exempt is told');
is(rows(), '1 cut-over to green manual ops t', 'which changes nothing');
is(try_sql($node, $lift, user => 'ops')->{stdout}, 't', 'the same role lifts it');
writes(1, 'and everybody writes', $_) foreach qw(app ops);
is(rows(), '1 cut-over to green manual ops f', 'it is on record');
is(try_sql($node, $lift, user => 'ops')->{stdout}, 'f', 'once');
is_fence(undef, 'status has forgotten it');
is(sql($node, 'SELECT fenced, coalesce(fence_seconds, 0) FROM documentdb_upgrade.metrics'), '0|0', 'metrics too');

# A transaction that stays open: in force, and gone when it is rolled back.
my $session = session();
foreach my $end ('ROLLBACK', 'ROLLBACK TO a', 'error', 'terminated')
{
	$session->run('BEGIN');
	$session->run('SAVEPOINT a');
	is($session->run($fence)->{stdout}, 0, "raised in a transaction, then $end");
	writes(0, 'it is in force');
	is(state_of($_), '55006', "nobody else meddles: $_") foreach $fence, $lift;
	sql($node, 'SELECT documentdb_upgrade.tick()');
	writes(0, 'the worker leaves it alone');
	if ($end eq 'error')
	{
		is($session->run(q{INSERT INTO t VALUES ('own')})->{sqlstate}, '25006', 'in the session itself too');
		writes(1, 'an error ends it');
		$session->run('ROLLBACK');
	}
	elsif ($end eq 'terminated')
	{
		sql($node, "SELECT pg_terminate_backend($session->{pid}, 10000)");
		writes(1, 'so does the end of the session');
	}
	else
	{
		$session->run($end);
		writes(1, "$end ends it");
		$session->run('COMMIT');
	}
	is(rows(), '1 cut-over to green manual ops f', 'nothing is on record');
}
is(-e $node->data_dir . '/documentdb_upgrade.fence', undef, 'no file is left');
$session = session();

# None of that is the worker's doing.
my $worker = process_of($node, 'worker');
kill 'STOP', $worker;
$session->run($_) foreach 'BEGIN', $fence, 'ROLLBACK';
writes(1, 'a rollback takes it back without the worker');
$session->run($_) foreach 'BEGIN', 'SAVEPOINT a', 'SAVEPOINT b', $fence, 'RELEASE b', 'ROLLBACK TO a';
writes(1, 'one to a savepoint too');
$session->run($_) foreach $fence, 'COMMIT';
writes(0, 'a commit keeps it');
$session->run($lift);
writes(1, 'and lifts it');
kill 'CONT', $worker;

# Lifting takes effect at the commit, and not when that does not come.
sql($node, $fence);
$session->run('BEGIN');
is($session->run($lift)->{stdout}, 't', 'lifted in a transaction');
writes(0, 'it is up until the end of that');
$session->run('ROLLBACK');
writes(0, 'and after a rollback');
$session->run($_) foreach 'BEGIN', 'SAVEPOINT a', $lift, 'ROLLBACK TO a', 'COMMIT';
writes(0, 'or one to a savepoint');
$session->run($_) foreach 'BEGIN', 'SAVEPOINT a', $lift, 'RELEASE a', 'COMMIT';
writes(1, 'a commit ends it');
$session->run($_) foreach 'BEGIN', $fence, $lift, 'COMMIT';
writes(1, 'raised and lifted in one transaction');
sql($node, $fence);
$session->run($_) foreach 'BEGIN', $lift, $fence, 'ROLLBACK';
writes(0, 'lifted and raised again, rolled back');
like(status_of($node)->{fence}, qr/"postgres" has called/, 'it is the first one');
$session->run($_) foreach 'BEGIN', $lift, $fence, 'COMMIT';
writes(0, 'lifted and raised again, committed');
like(status_of($node)->{fence}, qr/"app" has called/, 'it is the second one');
sql($node, $lift);
writes(1, 'and can be lifted');

# What is refused.
my %refused = (
	q{SELECT documentdb_upgrade.fence_writes('')} => '22023',
	q{SELECT documentdb_upgrade.fence_writes(NULL)} => '22023',
	q{SELECT documentdb_upgrade.fence_writes('x', NULL)} => '22004',
	"BEGIN ISOLATION LEVEL REPEATABLE READ; $fence" => '25001',
	"BEGIN ISOLATION LEVEL SERIALIZABLE; $lift" => '25001',
	"BEGIN READ ONLY; $fence" => '25006',
	q{BEGIN; INSERT INTO t VALUES ('x'); SELECT documentdb_upgrade.fence_writes('x', '1 s')} => '25001',
	"BEGIN; $fence; PREPARE TRANSACTION 'x'" => '0A000',
	"BEGIN; $fence; $lift; $fence" => '25001');
is(state_of($_), $refused{$_}, "refused: $_") foreach sort keys %refused;
is(state_of($_, 'ops'), '42501', "not for everybody: $_") foreach 'SELECT documentdb_upgrade_internal.note_parity(1)', 'SELECT documentdb_upgrade_internal.fence_notice()';
sql($node, 'CREATE EXTENSION documentdb_upgrade', 'other');
$result = try_sql($node, $fence, dbname => 'other');
is($result->{sqlstate}, '55000', 'not in another database');
is($result->{hint}, 'Connect to database "postgres", or change documentdb_upgrade.database.', 'which says where');
writes(1, 'nothing of that has raised one');
is(try_sql($node, q{BEGIN; INSERT INTO t VALUES ('x'); SELECT writers, drained_at IS NULL FROM documentdb_upgrade.fence_writes('x'); ROLLBACK}, user => 'app')->{stdout},
	'1|t', 'a transaction that has written counts itself');
sql($node, $fence);
is(state_of("BEGIN READ ONLY; $lift"), '25006', 'a transaction that was begun read-only stays so');
is(state_of("BEGIN; SELECT 1; $lift; COMMIT"), '00000', 'one that the fence has made so does not');
$session->quit;

# Without preloading there is nothing that could keep sessions from writing.
my $plain = new_node('plain');
sql($plain, 'CREATE EXTENSION documentdb_upgrade');
$result = try_sql($plain, $fence);
is($result->{sqlstate}, '55000', 'not without preloading');
like($result->{hint}, qr/shared_preload_libraries/, 'which says what to do');
is(sql($plain, $lift), 'f', 'there is nothing to lift');
is(count_logged($node, qr/PANIC|terminated by signal/), 0, 'no process has crashed');

done_testing();
