# fence_writes() answers for a fence that stays: one that an open transaction
# is lifting is waited for, and one that it has answered for is not lifted
# before its own transaction has ended.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => "documentdb_upgrade.fence_exempt_roles = 'keeper'\ndocumentdb_upgrade.poll_interval = '1h'\n");
sql($node, 'CREATE ROLE keeper LOGIN SUPERUSER; CREATE ROLE app LOGIN SUPERUSER; CREATE TABLE t (id text)');
my ($lifter, $raiser) = map { DocumentdbUpgrade::Session->new($node, user => 'app') } 1 .. 2;

sub fence { return "SELECT writers FROM documentdb_upgrade.fence_writes('$_[0]')" }
my $lift = 'SELECT documentdb_upgrade.lift_fence()';

sub writes { return is(try_sql($node, q{INSERT INTO t VALUES ('x')}, user => 'app')->{sqlstate} // '00000', $_[0] ? '00000' : '25006', $_[1]) }
sub rows { return sql($node, q{SELECT string_agg(concat_ws(' ', reason, lifted_at IS NULL), ',' ORDER BY id) FROM documentdb_upgrade.cutovers}) }
sub waits
{
	my ($waiting, $for) = @_;
	$node->poll_query_until('postgres', 'SELECT ' . $for->pid . ' = ANY (pg_blocking_pids(' . $waiting->pid . '))')
	  or die "nobody waits\n";
	return;
}

# The fence goes: the next one is raised in its place, for its own reason.
$raiser->run(fence('first'));
$lifter->run('BEGIN');
is($lifter->run($lift)->{stdout}, 't', 'a transaction lifts the fence and stays open');
$raiser->start(fence('second'));
waits($raiser, $lifter);
writes(0, 'meanwhile the first is up');
$lifter->run('COMMIT');
my $result = $raiser->finish;
is($result->{stdout}, '0', 'fence_writes() has waited') or diag($result->{stderr});
unlike($result->{stderr}, qr/stopped already/, 'and does not speak of the first');
writes(0, 'its fence is up');
is(rows(), 'first f,second t', 'with a row and a reason');

# The fence stays after all.
$lifter->run("BEGIN; $lift");
$raiser->start(fence('third'));
waits($raiser, $lifter);
$lifter->run('ROLLBACK');
$result = $raiser->finish;
like($result->{stderr}, qr/writes are stopped already/, 'the lifting was taken back');
like($result->{stderr}, qr/second/, 'so the fence before is named');
is(rows(), 'first f,second t', 'and kept');

# Lifted, and another raised, in one transaction.
$lifter->run("BEGIN; $lift");
is($lifter->run(fence('fourth'))->{sqlstate}, undef, 'another is raised in the same transaction');
$raiser->start(fence('fifth'));
waits($raiser, $lifter);
$lifter->run('COMMIT');
like($raiser->finish->{stderr}, qr/stopped already.*fourth/s, 'that one is found');
is(rows(), 'first f,second f,fourth t', 'and kept');

# Who was told of a fence keeps it until the end of the transaction.
$raiser->run('BEGIN');
$raiser->run(fence('sixth'));
my $other = DocumentdbUpgrade::Session->new($node, user => 'app');
is($other->run(fence('seventh'))->{stdout}, '0', 'several can be told');
$lifter->start($lift);
waits($lifter, $raiser);
writes(0, 'lift_fence() waits');
$raiser->run('COMMIT');
is($lifter->finish->{stdout}, 't', 'then it is lifted');
writes(1, 'and gone');
is($other->run("SET lock_timeout = 100; BEGIN; $lift")->{stdout}, 'f', 'nothing is left to lift');
done_testing();
