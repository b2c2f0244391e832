# release() answers for the holds of transactions that have not ended: it waits
# for them, and keeps nobody else from placing one.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main');
sql($node, 'CREATE EXTENSION documentdb_upgrade');
my ($holder, $other, $releaser) = map { DocumentdbUpgrade::Session->new($node) } 1 .. 3;
my $release = 'SELECT documentdb_upgrade.release()';

sub holds { return sql($node, 'SELECT count(*) FROM documentdb_upgrade.holds WHERE released_at IS NULL') }
sub begin_release
{
	$releaser->start($release);
	$node->poll_query_until('postgres', 'SELECT ' . $holder->pid . ' = ANY (pg_blocking_pids(' . $releaser->pid . '))')
	  or die "nobody waits\n";
	return;
}

$holder->run(q{BEGIN; SELECT documentdb_upgrade.hold('freeze')});
begin_release();
is($other->run(q{SET lock_timeout = '1s'; SELECT documentdb_upgrade.hold('another')})->{stdout}, 't', 'meanwhile others can place a hold');
$holder->run('COMMIT');
is($releaser->finish->{stdout}, 't', 'a hold that was being placed is ended');
is(holds(), '0', 'as is the other');

$holder->run(q{BEGIN; SELECT documentdb_upgrade.hold('freeze')});
begin_release();
$holder->run('ROLLBACK');
is($releaser->finish->{stdout}, 'f', 'one that was taken back was none');

sql($node, q{SELECT documentdb_upgrade.hold('freeze')});
$holder->run("BEGIN; $release");
begin_release();
$holder->run('COMMIT');
is($releaser->finish->{stdout}, 'f', 'one that was being ended is gone');

is($holder->run(qq{BEGIN; SELECT documentdb_upgrade.hold('own'); $release; ROLLBACK})->{stdout}, "t\nt", 'nobody waits for himself');
$holder->run(q{BEGIN; SELECT documentdb_upgrade.hold('freeze')});
is($releaser->run("SET lock_timeout = 100; $release")->{sqlstate}, '55P03', 'lock_timeout bounds it');
$holder->run('ROLLBACK');
done_testing();
