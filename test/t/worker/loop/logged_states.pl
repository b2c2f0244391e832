# The log says what view status says, and a state once: not again for each
# version on the way.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main');
my $line = qr/LOG:  schema of extension "thing" can be updated\n.*?DETAIL:  /;

wait_for_state($node, 'update_available');
$node->wait_for_log(qr/${line}An update to 1\.2 is available and no version is desired;/);

# What stands in the way of an update that nobody has asked for.
my $offset = -s $node->logfile;
sql($node, q{SELECT documentdb_upgrade.hold('freeze')});
$node->wait_for_log($line, $offset);
my $status = sql($node, 'SELECT next_step FROM documentdb_upgrade.status');
like($status, qr/^An update to 1\.2 is available\. Guard hold refuses: /, 'a hold');
like(logged($node, $offset), qr/$line\Q$status\E$/m, 'the log says the same');
$offset = -s $node->logfile;
sql($node, q{SELECT documentdb_upgrade.release()});
$node->wait_for_log(qr/${line}An update to 1\.2 is available and no version is desired;/, $offset);

# The same of what only a query finds, once something else is to be said.
sql($node, q{SELECT documentdb_upgrade.record_backup('old', now() - interval '2 days')});
$offset = -s $node->logfile;
desire($node, '1.3');
wait_for_state($node, 'waiting');
desire($node, '');
$node->wait_for_log($line, $offset);
like(logged($node, $offset), qr/${line}An update to 1\.2 is available\. Guard backup_recent refuses: /, 'a backup that is too old');
sql($node, q{SELECT documentdb_upgrade.record_backup('new', now())});

# Step by step: the worker looks at each version, and logs none but the last.
$offset = -s $node->logfile;
my $gate = close_gate($node);
my $session = DocumentdbUpgrade::Session->new($node);
$session->start(q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.2', one_transaction => false)});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'advisory'}), 'it is at the last step');
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.1', 'the first is committed');
wait_for_looks($node, 2);
$gate->quit;
is($session->finish->{ok}, 1, 'it succeeds');
$session->quit;
$node->wait_for_log(qr/schema of extension "thing" is up to date/, $offset);
is(count_logged($node, qr/schema of extension "thing" is /, $offset), 1, 'a line of the state it has come to') or diag(logged($node, $offset));

done_testing();
