# Whoever wants the worker's database for himself gets it, quickly, while the
# worker is connected to it; the worker comes back when the database does.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;
use Time::HiRes qw(time);

my $node = worker_node('main', create => 0, conf => "documentdb_upgrade.database = 'served'\n");
my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'served'};

# The statement succeeds although the worker is there; the server would give
# up on a session that stays after five seconds.
sub quickly
{
	my $statement = shift;

	ok(comes_true($node, "SELECT EXISTS($worker)"), "a worker is connected before $statement");
	my $start = time;
	my $result = try_sql($node, $statement);
	ok($result->{ok}, $statement) or diag($result->{stderr});
	cmp_ok(time - $start, '<', patience(4), 'quickly');
	return;
}

sub create
{
	sql($node, 'CREATE DATABASE served');
	create_thing($node, 'served');
	return;
}

sub missed
{
	my $offset = shift;
	return ok($node->wait_for_log(qr/LOG:  documentdb_upgrade worker does not run\n.*DETAIL:  Database "served" does not exist\./, $offset),
		'the log tells that the database is not there');
}

missed(0);
create();
quickly('CREATE DATABASE copy TEMPLATE served');
my $offset = -s $node->logfile;
quickly('ALTER DATABASE served RENAME TO renamed');
missed($offset);
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker'}), '0', 'it does not follow the database');
sql($node, 'ALTER DATABASE renamed RENAME TO served');
mkdir(my $place = $node->basedir . '/place') or die "could not create a directory: $!\n";
sql($node, "CREATE TABLESPACE place LOCATION '$place'");
quickly('ALTER DATABASE served SET TABLESPACE place');
$offset = -s $node->logfile;
quickly('DROP DATABASE served');
missed($offset);
create();
ok(comes_true($node, "SELECT EXISTS($worker)"), 'with the database the worker comes back');

# And serves it.
sql($node, q{ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = 'auto'});
sql($node, 'SELECT pg_reload_conf()');
ok( poll_until(sub { sql($node, 'SELECT state FROM documentdb_upgrade.status', 'served') eq 'up_to_date' }, 'it is done'),
	'it does what is desired');
is(shape($node, 'served'), $shape_of{'1.2'}, 'there');
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'thing'}, 'copy'), '1.0', 'and nowhere else');

# Who may not do it cannot send the worker away.
sql($node, 'CREATE ROLE stranger LOGIN CREATEDB');
my $pid = sql($node, $worker);
is(try_sql($node, $_, user => 'stranger')->{sqlstate}, '42501', "refused: $_")
  foreach 'DROP DATABASE served', 'ALTER DATABASE served RENAME TO mine';
is(sql($node, $worker), $pid, 'the worker has stayed');

# Other databases are none of its business.
ok(try_sql($node, $_)->{ok}, $_)
  foreach 'CREATE DATABASE other', 'ALTER DATABASE other RENAME TO another', 'DROP DATABASE another';
is(sql($node, $worker), $pid, 'the worker has stayed');

# A statement that fails gives the database back, a transaction when it ends.
my $session = DocumentdbUpgrade::Session->new($node);
is($session->run('ALTER DATABASE served RENAME TO copy')->{sqlstate}, '42P04', 'a statement that fails');
ok(comes_true($node, "SELECT EXISTS($worker)"), 'so the worker comes back');
ok($session->run('BEGIN; ALTER DATABASE served RENAME TO renamed')->{ok}, 'a transaction that wants the database');
is(sql($node, "SELECT EXISTS($worker)"), 'f', 'has it');
$session->run('ROLLBACK');
ok(comes_true($node, "SELECT EXISTS($worker)"), 'keeps the worker away until its end');
$session->quit;
is(count_logged($node, qr/documentdb_upgrade worker does not run/), 3, 'the log has told each time the database was missing');
is(lines_logged($node, qr/FATAL/), '', 'and no process has failed');

done_testing();
