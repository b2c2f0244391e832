# A fence is up at the first statement after a restart, a crash and a kill -9 of
# a session; its file is a help and no more: missing, damaged, stale or in the
# way, the server starts and the table decides.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = worker_node('main', streaming => 1, conf => q{
	documentdb_upgrade.fence_exempt_roles = 'keeper'
	restart_after_crash = on
	fsync = on});
sql($node, 'CREATE ROLE keeper LOGIN SUPERUSER; CREATE ROLE app LOGIN SUPERUSER; CREATE TABLE t (id int)');
my $file = $node->data_dir . '/documentdb_upgrade.fence';
my $library = library_dir($node) . '/documentdb_upgrade_worker.so';

sub state_of
{
	my $result = try_sql($node, $_[0], user => 'app');
	return $result->{ok} ? '00000' : $result->{sqlstate} // 'no connection';
}

sub writes { return is(state_of('INSERT INTO t VALUES (1)'), $_[0] ? '00000' : '25006', $_[1]); }
sub worker_looks { return comes_true($node, 'SELECT worker_pid IS NOT NULL FROM documentdb_upgrade.status') && wait_for_looks($node, 2); }

# What becomes of a write that is tried without a pause from a stop on.
sub first_answer_after
{
	my ($stop, $start) = @_;
	my $answer = '';

	$stop->();
	my $writer = IPC::Run::start([ 'bash', '-c', 'until psql -XAtqc "INSERT INTO t VALUES (1) RETURNING \'written\'" 2>&1 | grep -oE "^written|read-only"; do :; done' ],
		'>', \$answer, init => sub { @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($node->host, $node->port, 'postgres', 'app') });
	$start->();
	$writer->finish;
	chomp $answer;
	return $answer;
}

sub crash
{
	my $victim = DocumentdbUpgrade::Session->new($node);
	my $offset = -s $node->logfile;

	kill 'KILL', $victim->pid;
	$victim->vanish;
	poll_until(sub { slurp_file($node->logfile, $offset) =~ /all server processes terminated; reinitializing/ }, 'the server starts over');
	return;
}

sql($node, q{SELECT documentdb_upgrade.fence_writes('cut-over')});
ok(-e $file, 'there is a file');
is(first_answer_after(sub { $node->stop('fast') }, sub { $node->start }), 'read-only', 'the first write after a restart is refused');
is(first_answer_after(sub { $node->stop('immediate') }, sub { $node->start }), 'read-only', 'and after a crash of the server');
crash();
poll_until(sub { state_of('SELECT 1') eq '00000' }, 'the server is back');
writes(0, 'and after one of a session');
is(first_answer_after(sub { crash() }, sub { }), 'read-only', 'in which the first write is refused too');
worker_looks();
writes(0, 'the worker agrees');
is(sql($node, 'SELECT drained_at IS NOT NULL FROM documentdb_upgrade.cutovers'), 't', 'nobody has written meanwhile: it is drained as it was');
like(status_of($node)->{fence}, qr/cut-over/, 'status says it');

# Without the worker.
rename $library, "$library.away" or die "could not rename a file: $!\n";
$node->restart;
writes(0, 'without a worker the file holds');
is(sql($node, 'SELECT documentdb_upgrade.lift_fence()'), 't', 'it can be lifted');
writes(1, 'and is');
ok(!-e $file, 'without a trace');
$node->restart;
writes(1, 'for good');
is(sql($node, q{SELECT writers FROM documentdb_upgrade.fence_writes('again')}), 0, 'it can be raised');
$node->restart;
writes(0, 'and is up after a restart');
rename "$library.away", $library or die "could not rename a file: $!\n";
$node->restart;
worker_looks();
writes(0, 'with a worker again it still is');

# Files that are wrong.
my $good = slurp_file($file);
sub put_file
{
	my $content = shift;
	unlink $file;
	append_to_file($file, $content) if defined $content;
	return;
}
my %damaged = (missing => undef, empty => '', short => substr($good, 0, 1000), long => $good . 'x',
	changed => substr($good, 0, 100) . 'x' . substr($good, 101), foreign => "something else\n" x 500);
foreach my $name (sort keys %damaged)
{
	my $offset = -s $node->logfile;
	$node->stop;
	put_file($damaged{$name});
	$node->start;
	worker_looks();
	writes(0, "file that is $name: the worker puts the fence up");
	ok(slurp_file($file) eq $good, 'and writes the file anew');
	is(count_logged($node, qr/file "documentdb_upgrade.fence" is damaged and was ignored/, $offset),
		$name =~ /missing|long/ ? 0 : 1, 'the log says what was wrong');
}

# One that cannot be read does not stop the server either.
$node->stop;
put_file();
mkdir $file or die "could not make a directory: $!\n";
$node->start;
worker_looks();
writes(0, 'a directory in its place');
is(count_logged($node, qr/LOG: .*documentdb_upgrade\.fence/) > 0, 1, 'is complained about');
$node->stop;
rmdir $file or die "could not remove a directory: $!\n";
$node->start;
worker_looks();
ok(slurp_file($file) eq $good, 'until it is gone');

# A stale one: of a fence that was lifted.
sql($node, 'SELECT documentdb_upgrade.lift_fence()');
$node->stop;
put_file($good);
$node->start;
worker_looks();
writes(1, 'a stale file holds until the worker has looked');
ok(!-e $file, 'who removes it');

# A copy of the data directory brings it along.
sql($node, q{SELECT documentdb_upgrade.fence_writes('while a backup is made')});
$node->backup('base');
sql($node, 'SELECT documentdb_upgrade.lift_fence()');
writes(1, 'the backup changes nothing here');
my $copy = DocumentdbUpgrade::Node->new('copy', install_path => $node->{_install_path});
$copy->init_from_backup($node, 'base');
ok(-e $copy->data_dir . '/documentdb_upgrade.fence', 'the file comes along');
$copy->start;
is(try_sql($copy, 'INSERT INTO t VALUES (1)', user => 'app')->{sqlstate}, '25006', 'the copy has the fence that there was');
is(try_sql($copy, 'SELECT documentdb_upgrade.lift_fence()', user => 'app')->{stdout}, 't', 'which can be lifted');
is(try_sql($copy, 'INSERT INTO t VALUES (1)', user => 'app')->{sqlstate}, undef, 'there');
$copy->stop;

# An uncommitted fence may leave its file behind, which is stale then.
my $session = DocumentdbUpgrade::Session->new($node, user => 'app');
$session->run($_) foreach 'BEGIN', q{SELECT documentdb_upgrade.fence_writes('not committed')};
ok(-e $file, 'a fence that is not committed is in the file');
kill 'KILL', $session->pid;
$session->vanish;
poll_until(sub { state_of('SELECT 1') eq '00000' }, 'the server is back');
worker_looks();
ok(comes_true($node, 'SELECT fence IS NULL FROM documentdb_upgrade.status'), 'and gone after a crash');
writes(1, 'so everybody writes');

# When this extension is dropped nobody is left to lift it.
sql($node, q{SELECT documentdb_upgrade.fence_writes('the last')});
is(state_of('DROP EXTENSION documentdb_upgrade'), '25006', 'the fence protects itself');
is(try_sql($node, 'DROP EXTENSION documentdb_upgrade', user => 'keeper')->{sqlstate}, undef, 'an exempt role drops the extension');
poll_until(sub { state_of('INSERT INTO t VALUES (1)') eq '00000' }, 'the fence goes');
writes(1, 'with it the fence goes');
ok(poll_until(sub { !-e $file }, 'the file goes'), 'and the file');

done_testing();
