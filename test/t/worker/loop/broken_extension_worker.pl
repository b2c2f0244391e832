# A real extension whose update script fails, and a worker that is told to
# follow the binary: one attempt, one row, and no storm of retries.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Describe;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

need_extension('unit', '1');
my $node = new_node('main', preload => 1, conf => q{
	documentdb_upgrade.extension = 'unit'
	documentdb_upgrade.poll_interval = '100ms'
	documentdb_upgrade.retry_min = '50ms'
	documentdb_upgrade.retry_max = '200ms'
});
sql($node, q{BEGIN; CREATE EXTENSION unit VERSION '1'; CREATE EXTENSION documentdb_upgrade; COMMIT});
wait_for_state($node, 'update_available');
my $before = describe_database($node, 'postgres');
my $offset = -s $node->logfile;
my $attempts = q{SELECT outcome, actor, sum(1 + repeats), count(*) FROM documentdb_upgrade.history GROUP BY 1, 2};

desire($node, 'auto');
wait_for_state($node, 'failed', qr/retry\(\)/);
wait_for_looks($node, 5);
is(sql($node, $attempts), 'failed|worker|1|1', 'the worker has tried once');
is(count_logged($node, qr/finalizing extension "unit"/, $offset), 1, 'the log tells of one attempt');
is(count_logged($node, qr/WARNING:  schema of extension "unit" could not be finalized/, $offset), 1, 'and warns once');
is(status_of($node)->{state}, 'failed', 'it stays failed');
like(status_of($node)->{last_error}, qr/unit_accum/, 'with the reason');
same_description(describe_database($node, 'postgres'), $before, 'nothing is left behind');

# What is asked for is done, once.
sql($node, 'SELECT documentdb_upgrade.retry()');
ok($node->poll_query_until('postgres', q{SELECT sum(1 + repeats) = 2 FROM documentdb_upgrade.history}), 'after retry() it tries again');
wait_for_looks($node, 5);
is(sql($node, q{SELECT sum(1 + repeats) FROM documentdb_upgrade.history}), '2', 'once');

done_testing();
