# A fence is drained when nobody is left who may still write because he began
# before; fence_writes() waits for that as long as it is told, and names who.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => "documentdb_upgrade.fence_exempt_roles = 'keeper'\nautovacuum = off\n");
sql($node, q{
	CREATE ROLE keeper LOGIN SUPERUSER;
	CREATE ROLE app LOGIN SUPERUSER;
	CREATE TABLE t (id text);
	CREATE DATABASE other;
	CREATE PROCEDURE in_two() LANGUAGE plpgsql AS $$
		BEGIN PERFORM 1; COMMIT; PERFORM pg_advisory_lock_shared(5); END $$});

sub fence { return "SELECT writers, drained_at IS NULL FROM documentdb_upgrade.fence_writes('x', '$_[0]')"; }
my $lift = 'SELECT documentdb_upgrade.lift_fence()';
my $who = q{SELECT string_agg(concat_ws(' ', what, role, awaited), ',' ORDER BY what, role) FROM documentdb_upgrade.fence_writers};
my $drained = q{SELECT drained_at IS NOT NULL AND drained_lsn >= lsn FROM documentdb_upgrade.cutovers WHERE lifted_at IS NULL};

sub session
{
	my ($user, @statements) = @_;
	my $session = DocumentdbUpgrade::Session->new($node, user => $user);
	$session->run($_) foreach @statements;
	return $session;
}

sub fenced { return is(sql($node, fence('0')), $_[0], $_[1]); }
sub lift { is(sql($node, $lift), 't', 'lifted'); return; }

my $gate = session('app', 'SELECT pg_advisory_lock(5)');

# Who counts: name, what is seen, how it begins, and how it ends.
my @writers = (
	[ 'a transaction that has written', 'transaction app t', sub { session('app', 'BEGIN', q{INSERT INTO t VALUES ('x')}) }, sub { $_[0]->run('COMMIT') } ],
	[ 'one that is rolled back', 'transaction app t', sub { session('app', 'BEGIN', q{INSERT INTO t VALUES ('x')}) }, sub { $_[0]->run('ROLLBACK') } ],
	[ 'one in a subtransaction', 'transaction app t', sub { session('app', 'BEGIN', 'SAVEPOINT a', q{INSERT INTO t VALUES ('x')}) }, sub { $_[0]->run('ROLLBACK TO a'); $_[0]->run('COMMIT') } ],
	[ 'an exempt role', 'transaction keeper t', sub { session('keeper', 'BEGIN', q{INSERT INTO t VALUES ('x')}) }, sub { $_[0]->run('COMMIT') } ],
	[ 'a prepared transaction', 'prepared transaction app t',
		sub { session('app', 'BEGIN', q{INSERT INTO t VALUES ('x')}, q{PREPARE TRANSACTION 'p'}) }, sub { $_[0]->run(q{COMMIT PREPARED 'p'}) } ],
	[ 'a statement that runs', 'statement app t', sub {
		my $s = session('app'); $s->start(q{INSERT INTO t SELECT 'x' FROM (SELECT pg_advisory_lock_shared(5) OFFSET 0) AS waits}); $s->wait_for(q{wait_event = 'advisory'}); $s },
		sub { $gate->run('SELECT pg_advisory_unlock(5)'); $_[0]->finish; $_[0]->run('SELECT pg_advisory_unlock_shared(5)'); $gate->run('SELECT pg_advisory_lock(5)') } ],
	[ 'a procedure that has committed', 'statement app t', sub {
		my $s = session('app'); $s->start('CALL in_two()'); $s->wait_for(q{wait_event = 'advisory'}); $s },
		sub { $gate->run('SELECT pg_advisory_unlock(5)'); $_[0]->finish; $_[0]->run('SELECT pg_advisory_unlock_shared(5)'); $gate->run('SELECT pg_advisory_lock(5)') } ],
	[ 'one that hides what it does', 'transaction app t', sub { session('app', 'SET track_activities = off', 'BEGIN', q{INSERT INTO t VALUES ('x')}) }, sub { $_[0]->run('COMMIT') } ]);

foreach my $writer (@writers)
{
	my ($name, $seen, $begin, $end) = @$writer;
	my $session = $begin->();

	is(sql($node, $who), $seen, "$name: would be awaited");
	fenced('1|t', 'is counted');
	is(sql($node, $who), $seen, 'is awaited');
	is(sql($node, fence('100 ms')), '1|t', 'still after some time');
	wait_for_looks($node, 2);
	is(sql($node, $drained), 'f', 'nor does the worker say that it is gone');
	like(sql($node, q{SELECT detail FROM documentdb_upgrade.cutover_report() WHERE step = 'last writer gone'}),
		qr/^1 left: /, 'the report names it');
	my $waiter = session('postgres');
	$waiter->start(fence('1 min'));
	$waiter->wait_for(q{state = 'active' AND query ~ 'fence_writes'});
	$end->($session);
	is($waiter->finish->{stdout}, '0|f', 'who waits hears of its end');
	is(sql($node, $drained), 't', 'which is noted');
	is(sql($node, $who), '', 'nobody is left');
	lift();
	$_->quit foreach $waiter, $session;
}

# The worker notes it where nobody waits.
my $writer = session('app', 'BEGIN', q{INSERT INTO t VALUES ('x')});
fenced('1|t', 'one writer is there');
$writer->run('COMMIT');
ok(comes_true($node, $drained), 'the worker finds out that it is gone');
fenced('0|f', 'who asks is told');
lift();

# Waiting in the transaction that raises it.
$writer->run($_) foreach 'BEGIN', q{INSERT INTO t VALUES ('x')};
my $waiter = session('app');
$waiter->start(fence('1 min'));
ok(comes_true($node, 'SELECT documentdb_upgrade_internal.fence_since() IS NOT NULL'), 'it is in force while it waits');
is(try_sql($node, q{INSERT INTO t VALUES ('y')}, user => 'app')->{sqlstate}, '25006', 'which is so');
sql($node, "SELECT pg_cancel_backend($waiter->{pid})");
is($waiter->finish->{sqlstate}, '57014', 'it can be cancelled');
is(try_sql($node, q{INSERT INTO t VALUES ('y')}, user => 'app')->{sqlstate}, undef, 'and is gone then');
$waiter->start(fence('1 min'));
comes_true($node, 'SELECT documentdb_upgrade_internal.fence_since() IS NOT NULL');
$writer->run('COMMIT');
is($waiter->finish->{stdout}, '0|f', 'or comes to its end');
lift();

# Who does not count: nothing was written, or it is elsewhere, or began later.
my %bystanders = (
	idle => session('app', 'SELECT 1'),
	reader => session('app', 'BEGIN', 'SELECT * FROM t'),
	repeatable => session('app', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT * FROM t'),
	failed => session('app', 'BEGIN', q{INSERT INTO t VALUES ('x')}, 'SELECT 1 / 0'),
	cursor => session('app', 'BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM t', 'FETCH c'));
my $elsewhere = DocumentdbUpgrade::Session->new($node, dbname => 'other');
$elsewhere->run($_) foreach 'CREATE TABLE t (id int)', 'BEGIN', 'INSERT INTO t VALUES (1)';
fenced('0|f', 'bystanders do not count');
is(sql($node, $who), '', 'nor are they listed');
is($bystanders{$_}->run(q{INSERT INTO t VALUES ('x')})->{sqlstate}, $_ eq 'failed' ? '25P02' : '25006', "and they cannot write: $_") foreach sort keys %bystanders;

my $keeper = session('keeper', 'BEGIN', q{INSERT INTO t VALUES ('x')});
is(sql($node, $who), 'exempt role keeper f', 'an exempt role that writes under a fence is listed, not awaited');
fenced('0|f', 'nor counted');
like(sql($node, q{SELECT detail FROM documentdb_upgrade.cutover_report() WHERE step = 'not held back'}), qr/^exempt role \d+ keeper: client backend/, 'the report names it');
is(sql($node, q{SELECT documentdb_upgrade.support_bundle()->'fence_writers'->0->>'role'}), 'keeper', 'so does the bundle');
lift();
$_->quit foreach values %bystanders, $keeper, $elsewhere, $waiter, $writer, $gate;

done_testing();
