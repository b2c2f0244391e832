# What is desired and cannot be: a way back is refused once and not tried
# again, a version that no binary offers is waited for, and a binary older
# than the schema is reported.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main');

wait_for_state($node, 'update_available');
desire($node, '1.1');
wait_for_state($node, 'up_to_date');

my $offset = -s $node->logfile;
desire($node, '1.0');
wait_for_state($node, 'blocked', qr/Version 1\.0 is desired, but 1\.1 is installed, and a schema never goes back\./);
wait_for_looks($node, 10);
is(count_logged($node, qr/WARNING:  schema of extension "thing" is blocked/, $offset), 1, 'it is logged as a warning, once');
is(count_logged($node, qr/WARNING|ERROR/, $offset), 1, 'and nothing else is');
is(count_logged($node, qr/finalizing/, $offset), 0, 'nothing is tried');
is(attempts($node), '1.0 1.1 succeeded worker', 'history knows of nothing');

# A version that a later binary brings.
$offset = -s $node->logfile;
desire($node, '1.3');
wait_for_state($node, 'waiting', qr/Version 1\.3 is desired, but this binary offers only 1\.2\. Roll out that binary/);
wait_for_looks($node, 5);
is(shape($node), $shape_of{'1.1'}, 'nothing runs, not even as far as the binary goes');
write_extension($node, 'thing', '1.3', '1.2--1.3' => 'ALTER TABLE last ADD three int;');
wait_for_state($node, 'up_to_date');
is(shape($node), '1.3 thing(id,one,two) last(id,three)', 'files that come are taken up by themselves');
is(attempts($node), "1.0 1.1 succeeded worker\n1.1 1.3 succeeded worker", 'in one attempt');
is(lines_logged($node, qr/WARNING|ERROR/, $offset), '', 'waiting is no trouble');

# And files that go: an image was rolled back.
$offset = -s $node->logfile;
write_extension($node, 'thing', '1.2');
wait_for_state($node, 'schema_ahead', qr/The schema is at 1\.3, newer than the binary's 1\.2\. Bring back a binary of 1\.3 or later\./);
wait_for_looks($node, 5);
is(count_logged($node, qr/WARNING:  schema of extension "thing" is ahead of the binary/, $offset), 1, 'a binary older than the schema is a warning, once');
write_extension($node, 'thing', '1.3');
wait_for_state($node, 'up_to_date');

# What is no version never becomes desired.
$offset = -s $node->logfile;
is(try_sql($node, q{ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = 'newest'})->{sqlstate}, '22023', 'no version is refused');
$node->append_conf('postgresql.auto.conf', q{documentdb_upgrade.desired_schema_version = 'newest'});
sql($node, 'SELECT pg_reload_conf()');
$node->wait_for_log(qr/invalid value for parameter "documentdb_upgrade.desired_schema_version": "newest"/, $offset);
wait_for_looks($node, 3);
is(status_of($node)->{desired}, '1.3', 'in the file as well');
is(status_of($node)->{state}, 'up_to_date', 'and changes nothing');

done_testing();
