# A file that cannot be read or makes no sense: the state says what is wrong
# with it, nothing runs, and a good file is enough to go on.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state worker_pid);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $file = "$dir/desired";

sub put
{
	my $content = shift;
	append_to_file("$file.new", $content);
	rename "$file.new", $file or die "could not rename: $!\n";
	return;
}

my $node = worker_node('main', conf => "documentdb_upgrade.source = 'file'\ndocumentdb_upgrade.desired_file = '$file'\n");
my $worker = worker_pid($node);
my $wish = '{"kind": "DocumentDB", "metadata": {"name": "x"}, "spec": {"schemaVersion": "1.2"}';

# What is wrong, how it comes to be, and what next_step says.
my @troubles = (
	[ 'missing', sub { unlink $file }, qr/^File "\Q$file\E" cannot be read: No such file or directory\. Create it, or set documentdb_upgrade\.desired_file\.$/ ],
	[ 'unreadable', sub { put('1.2'); chmod 0000, $file }, qr/cannot be read: Permission denied\./ ],
	[ 'a directory', sub { unlink $file; mkdir $file }, qr/cannot be read: Is a directory\./ ],
	[ 'a pipe', sub { mkfifo("$file.new", 0600); rename "$file.new", $file }, qr/^File "\Q$file\E" / ],
	[ 'a link to itself', sub { symlink $file, "$file.new"; rename "$file.new", $file }, qr/Too many levels of symbolic links\./ ],
	[ 'invalid JSON', sub { put("$wish, }") }, qr/holds no custom resource: .*Correct the file; until then nothing runs\./ ],
	[ 'cut JSON', sub { put($wish) }, qr/holds no custom resource/ ],
	[ 'a wrong type', sub { put('{"kind": "DocumentDB", "metadata": {"name": "x"}, "spec": {"schemaVersion": 12}}') }, qr/holds no custom resource/ ],
	[ 'another kind', sub { put('{"kind": "Pod", "metadata": {"name": "x"}, "spec": {"schemaVersion": "1.2"}}') }, qr/holds no custom resource: .*Pod/ ],
	[ 'no version', sub { put("1.2\n1.1\n") }, qr/holds neither a custom resource in JSON nor a version\./ ],
	[ 'with zeros', sub { put("1.2\0\n") }, qr/holds neither/ ],
	[ 'what was there before, and zeros', sub { put("1.0\0\n") }, qr/holds neither/ ],
	[ 'too large', sub { put("$wish}" . ' ' x 1_100_000) }, qr/is larger than 1 MB\. It should hold/ ]);

put('1.0');
wait_for_state($node, 'up_to_date');
foreach (@troubles)
{
	my ($name, $make, $says) = @$_;
	my $offset = -s $node->logfile;

	$make->();
	wait_for_state($node, 'waiting', $says);
	ok($node->poll_query_until('postgres', q{SELECT source_failures_total > 1 FROM documentdb_upgrade.metrics}), "$name: counted")
	  if $name eq 'unreadable';
	is(lines_logged($node, qr/ERROR|WARNING|FATAL/, $offset), '', "$name: the log stays calm");
	rmdir $file if -d $file;
	put('1.0');
	wait_for_state($node, 'up_to_date');
}
is(attempts($node), '', 'nothing ran');
is(worker_pid($node), $worker, 'the worker is the same');

# No path at all.
set_and_reload($node, 'documentdb_upgrade.desired_file', '');
wait_for_state($node, 'waiting', qr/Set documentdb_upgrade\.desired_file\.$/);
set_and_reload($node, 'documentdb_upgrade.desired_file', $file);
wait_for_state($node, 'up_to_date');

# A file that goes after it was read and decided upon: the pass that decides
# is kept waiting, in which time the file goes.
my $locker = DocumentdbUpgrade::Session->new($node);
my $offset = -s $node->logfile;
kill 'STOP', $worker;
$locker->run('BEGIN; LOCK TABLE documentdb_upgrade.history');
put('1.2');
kill 'CONT', $worker;
ok( poll_until(sub { $locker->run('SELECT pg_stat_clear_snapshot()'); $locker->run("SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $worker")->{stdout} eq 't' },
		'the worker waits'), 'what is desired was read and is being decided upon');
unlink $file;
$locker->run('COMMIT');
wait_for_state($node, 'waiting', qr/No such file/);
is(attempts($node), '', 'what was desired before is not acted on');
is(count_logged($node, qr/finalizing extension/, $offset), 0, 'not even begun');

put('1.2');
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'the file comes back and is followed');

done_testing();
