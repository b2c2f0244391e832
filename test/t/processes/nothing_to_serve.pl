# A database that does not exist, or has nothing to serve, is told once, and
# not every few seconds; what is created is taken up by itself.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', create => 0, conf => "documentdb_upgrade.database = 'missing'\n");

create_thing($node);
desire($node, '1.1');
$node->wait_for_log(qr/LOG:  documentdb_upgrade worker does not run\n.*DETAIL:  Database "missing" does not exist\.\n.*HINT:  Create it, or set documentdb_upgrade\.database and restart PostgreSQL\./);
wait_for_state($node, 'update_available', qr/Version 1\.1 is desired and no worker runs here to follow it: Database "missing" does not exist\. Create it, or set documentdb_upgrade\.database and restart PostgreSQL\.; run SELECT outcome, from_version, to_version FROM documentdb_upgrade\.finalize_to\('1\.1'\);/);
is(status_of($node)->{worker_pid}, undef, 'there is none');
is(sql($node, 'SELECT worker_up FROM documentdb_upgrade.metrics'), '0', 'metrics say so');

# The launcher looks each poll_interval.
sub time_passes
{
	my $polls = 0;
	return poll_until(sub { return ++$polls > 20 }, 'a second is over');
}
time_passes();
is(count_logged($node, qr/documentdb_upgrade worker does not run/), 1, 'the log says it once');
is(lines_logged($node, qr/FATAL/), '', 'no process fails');

sql($node, 'CREATE DATABASE missing');
$node->wait_for_log(qr/LOG:  extension "documentdb_upgrade" is not installed in database "missing"\n.*HINT:  In database \"missing\", run CREATE EXTENSION documentdb_upgrade;/);
time_passes();
is(count_logged($node, qr/is not installed in database "missing"/), 1, 'without our extension there it waits, and says it once');

# Our extension comes, goes and comes again; the one that is managed too.
sql($node, 'CREATE EXTENSION documentdb_upgrade', 'missing');
ok(poll_until(sub { sql($node, 'SELECT state FROM documentdb_upgrade.status WHERE worker_pid IS NOT NULL', 'missing') eq 'not_installed' }, 'it looks'),
	'it takes note of our extension');
sql($node, q{DROP EXTENSION documentdb_upgrade; CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'}, 'missing');
ok(poll_until(sub { sql($node, 'SELECT state FROM documentdb_upgrade.status', 'missing') eq 'up_to_date' }, 'it works'), 'and of that which is managed');
is(attempts($node, 'missing'), '1.0 1.1 succeeded worker', 'and does what is desired');
is(attempts($node), '', 'there, and not here');
sql($node, 'DROP EXTENSION documentdb_upgrade', 'missing');
$node->wait_for_log(qr/(?:is not installed in database "missing".*){2}/s);
ok(process_of($node, 'worker'), 'and waits again');
is(lines_logged($node, qr/FATAL/), '', 'no process had to be ended');

done_testing();
