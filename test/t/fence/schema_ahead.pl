# A binary older than the schema is found at the server's start and while it
# runs, told once, and stops writes when that is wanted.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run;
use Test::More;

my $node = worker_node('main', conf => "documentdb_upgrade.fence_exempt_roles = 'keeper'\n");
sql($node, 'CREATE ROLE keeper LOGIN; CREATE TABLE t (id int)');
sql($node, 'CREATE DATABASE other');

# Writes as the superuser who is not on the list.
sub writes
{
	my ($allowed, $name) = @_;
	my $result = try_sql($node, 'INSERT INTO t VALUES (1)');
	is($result->{sqlstate} // '00000', $allowed ? '00000' : '25006', $name);
	return $result;
}

sub warned
{
	my ($count, $offset, $name) = @_;
	return is(count_logged($node, qr/WARNING:  schema of extension "thing" is ahead of the binary/, $offset), $count, $name);
}

# What becomes of a write that is tried without a pause while the server
# restarts.
sub first_answer
{
	my $answer = '';

	$node->stop;
	my $writer = IPC::Run::start([ 'bash', '-c', 'until psql -XAtqc "INSERT INTO t VALUES (1) RETURNING \'written\'" 2>&1 | grep -oE "^written|read-only"; do :; done' ],
		'>', \$answer, init => sub { @ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, 'postgres') });
	$node->start;
	$writer->finish;
	return $answer =~ /read-only/ ? 'refused' : $answer;
}

# Warned of, and no more, unless told otherwise.
my $offset = -s $node->logfile;
wait_for_state($node, 'update_available');
write_extension($node, 'thing', '0.9');
wait_for_state($node, 'schema_ahead', qr/The schema is at 1\.0, newer than the binary's 0\.9\. Bring back a binary of 1\.0 or later\.$/);
wait_for_looks($node, 5);
warned(1, $offset, 'it is told once');
writes(1, 'by default nothing is stopped');

$offset = -s $node->logfile;
set_and_reload($node, 'documentdb_upgrade.schema_ahead_action', 'read_only');
wait_for_state($node, 'schema_ahead', qr/Bring back a binary of 1\.0 or later\. Meanwhile only the roles of documentdb_upgrade\.fence_exempt_roles \(keeper\) can write to this database\.$/);
my $refused = writes(0, 'a reload stops writes');
is($refused->{message}, 'cannot execute INSERT in a read-only transaction', 'in the words of the server');
is($refused->{detail}, q{Writes to this database are stopped. The schema is at 1.0, newer than the binary's 0.9.}, 'with the reason');
is($refused->{hint}, 'Bring back a binary of 1.0 or later; until then only the roles of documentdb_upgrade.fence_exempt_roles can write.', 'and the cure');
wait_for_looks($node, 5);
warned(1, $offset, 'that is told once');

# What is desired does not matter, nor does a moment without files.
desire($node, '1.1');
wait_for_looks($node, 3);
writes(0, 'whatever is desired');
unlink extension_file($node, 'thing.control');
wait_for_state($node, 'blocked', qr/No control file "thing\.control" is installed.*Meanwhile only the roles/);
writes(0, 'files that are missing prove nothing');
write_extension($node, 'thing', '0.9');
desire($node, '');
wait_for_state($node, 'schema_ahead');

# The fence outlives the worker, and comes back with the server.
kill 'TERM', process_of($node, 'worker');
writes(0, 'without the worker');
wait_for_state($node, 'schema_ahead', qr/Meanwhile/);
$offset = -s $node->logfile;
is(first_answer(), 'refused', 'the first statement after a restart is refused');
wait_for_state($node, 'schema_ahead', qr/Meanwhile/);
warned(1, $offset, 'it is told again, once');

# It goes with its cause, or with the wish for it.
set_and_reload($node, 'documentdb_upgrade.schema_ahead_action', 'warn');
wait_for_state($node, 'schema_ahead', qr/later\.$/);
writes(1, 'a reload lets writes through again');
set_and_reload($node, 'documentdb_upgrade.schema_ahead_action', 'read_only');
wait_for_state($node, 'schema_ahead', qr/Meanwhile/);
writes(0, 'and stops them again');
$offset = -s $node->logfile;
write_extension($node, 'thing', '1.0');
wait_for_state($node, 'up_to_date', qr/^Nothing is to be done\.$/);
writes(1, 'the right binary ends it');
wait_for_looks($node, 3);
is(count_logged($node, qr/LOG:  schema of extension "thing" is up to date/, $offset), 1, 'which is told once');
warned(0, $offset, 'and nothing else');

write_extension($node, 'thing', '0.9');
wait_for_state($node, 'schema_ahead', qr/Meanwhile/);
is(try_sql($node, 'CREATE TABLE t (id int)', dbname => 'other')->{sqlstate}, undef, 'other databases can be written to');

# A worker that cannot run keeps nobody waiting for ever.
my $library = library_dir($node) . '/documentdb_upgrade_worker.so';
rename $library, "$library.away" or die "could not rename a file: $!\n";
$node->restart;
my $start = time;
writes(1, 'without its library the worker stops nothing');
cmp_ok(time - $start, '<', patience(10), 'and nobody waits for it for long');
wait_for_state($node, 'schema_ahead', qr/Writes are not stopped, because the worker does not run: The worker's library cannot be loaded/);
rename "$library.away", $library or die "could not rename a file: $!\n";
$node->restart;
wait_for_state($node, 'schema_ahead', qr/Meanwhile/);

# What is no list of names is refused.
is(try_sql($node, qq{LOAD 'documentdb_upgrade'; ALTER SYSTEM SET documentdb_upgrade.fence_exempt_roles = '$_'})->{sqlstate}, '22023', "refused: $_")
  foreach 'a,,b', 'a b', '"a';

done_testing();
