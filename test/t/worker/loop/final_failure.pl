# A script that fails is tried once, whoever restarts, until somebody changes
# something: the files, the wish, or their mind (retry()).
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', scripts => {
	'1.1--1.2' => "ALTER TABLE thing ADD two int;\nSELECT 1/count(*) FROM thing;\n" });
my $failures = q{SELECT coalesce(sum(1 + repeats), 0) FROM documentdb_upgrade.history WHERE outcome = 'failed'};
my $offset = -s $node->logfile;
my $expected = 0;

# It has failed once more, and stays so.
sub failed_once
{
	my $when = shift;

	$expected++;
	ok($node->poll_query_until('postgres', $failures, $expected), "$when: it is tried");
	wait_for_state($node, 'failed', qr/^The last attempt failed \(division by zero\) and is not repeated by itself; correct the cause, then run SELECT documentdb_upgrade\.retry\(\);$/);
	still_failed($when);
}

sub still_failed
{
	my $when = shift;

	wait_for_looks($node, 5);
	wait_for_state($node, 'failed', qr/division by zero/);
	is(sql($node, $failures), $expected, "$when: it is not tried again");
	is(shape($node), $shape_of{'1.0'}, "$when: nothing is half done");
}

desire($node, 'auto');
failed_once('a broken script');
is(count_logged($node, qr/finalizing extension/, $offset), 1, 'the log tells of one attempt');
is(count_logged($node, qr/WARNING:  schema of extension "thing" could not be finalized/, $offset), 1, 'and warns once');
is(sql($node, q{SELECT script ~ 'thing--1.1--1.2.sql$', script_line, sqlstate, actor FROM documentdb_upgrade.history}),
	't|2|22012|worker', 'history has the line');
is(status_of($node)->{last_error}, 'division by zero', 'status has the error');

my $worker = process_of($node, 'worker');
sql($node, "SELECT pg_terminate_backend($worker)");
ok($node->poll_query_until('postgres', "SELECT worker_pid <> $worker FROM documentdb_upgrade.status"), 'another worker comes');
still_failed('another worker');
$node->restart;
ok(process_of($node, 'worker'), 'another server');
still_failed('another server');
$node->stop('immediate');
$node->start;
still_failed('after a crash');

is(sql($node, 'SELECT documentdb_upgrade.retry()'), 't', 'retry() answers that there was something');
failed_once('after retry()');
$node->restart;
still_failed('restarted after that');

# Other files, and wrong again.
write_extension($node, 'thing', '1.2', '1.1--1.2' => "SELECT 1;\nSELECT 1/count(*) FROM thing;\n");
failed_once('other files');
$node->restart;
still_failed('restarted after that');

# Another wish, and back.
desire($node, '');
wait_for_state($node, 'update_available');
desire($node, '1.2');
failed_once('desired anew');

write_extension($node, 'thing', '1.2', '1.1--1.2' => "ALTER TABLE thing ADD two int;\nCREATE TABLE last (id int);\n");
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'files that are right are enough');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome = 'succeeded'}), '1', 'at the first try');
is(status_of($node)->{last_error}, undef, 'and nothing is held against it');

done_testing();
