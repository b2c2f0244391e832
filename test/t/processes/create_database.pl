# A worker that serves template1 is not in the way of CREATE DATABASE, which
# copies it when nothing else is said, whoever runs it and wherever.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', create => 0, conf => "documentdb_upgrade.database = 'template1'\n");
my $workers = q{FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'template1'};
my $is_there = "SELECT EXISTS (SELECT $workers)";

create_thing($node, 'template1');
sql($node, 'CREATE ROLE maker LOGIN CREATEDB; CREATE ROLE stranger LOGIN');
sql($node, 'CREATE DATABASE elsewhere TEMPLATE template0');

my @statements = (
	[ 'CREATE DATABASE one' ],
	[ 'CREATE DATABASE two TEMPLATE DEFAULT' ],
	[ 'CREATE DATABASE three TEMPLATE template1' ],
	[ 'CREATE DATABASE four STRATEGY file_copy', dbname => 'elsewhere' ],
	[ 'CREATE DATABASE five', user => 'maker' ]);
foreach (@statements)
{
	my ($statement, @options) = @$_;

	ok(comes_true($node, $is_there), "a worker is connected before $statement");
	my $result = try_sql($node, $statement, @options);
	ok($result->{ok}, $statement) or diag($result->{stderr});
}
ok(comes_true($node, $is_there), 'a worker is connected before createdb');
$node->command_ok([ 'createdb', 'six' ], 'createdb');
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'documentdb_upgrade'}, 'six') ne '', 1, 'it is a copy');

# Who may not do it does not send the worker away.
ok(comes_true($node, $is_there), 'the worker comes back');
my $pid = sql($node, "SELECT pid $workers");
is(try_sql($node, 'CREATE DATABASE mine', user => 'stranger')->{sqlstate}, '42501', 'a stranger may not create a database');
is(try_sql($node, 'DROP DATABASE template1', user => 'maker')->{sqlstate}, '42501', 'nor another drop this one');
ok(try_sql($node, 'CREATE DATABASE seven TEMPLATE template0')->{ok}, 'another template');
is(sql($node, "SELECT pid $workers"), $pid, 'the worker has stayed');

# Several at the same time.
my @sessions = map { DocumentdbUpgrade::Session->new($node) } 1 .. 3;
foreach my $round (1 .. 2)
{
	ok(comes_true($node, $is_there), "round $round: a worker is there");
	$sessions[$_]->start("CREATE DATABASE copy${round}_$_") foreach 0 .. $#sessions;
	foreach my $session (@sessions)
	{
		my $result = $session->finish;
		ok($result->{ok}, "round $round: one of several") or diag($result->{message});
	}
}

# One that is through does not bring the worker back while another still wants
# the database: a rollback to a savepoint keeps the wish and not the lock.
sql($node, 'ALTER DATABASE template1 IS_TEMPLATE false');
ok(comes_true($node, $is_there), 'a worker is there');
$sessions[0]->run('BEGIN; SAVEPOINT here; ALTER DATABASE template1 RENAME TO other; ROLLBACK TO here');
is(sql($node, $is_there), 'f', 'a transaction has the database');
is($sessions[1]->run('ALTER DATABASE template1 RENAME TO elsewhere')->{sqlstate}, '42P04', 'another session wants it, and gives up');
sql($node, "CREATE DATABASE again$_ TEMPLATE template0") foreach 1 .. 5;
is(sql($node, $is_there), 'f', 'the first has it still');
$sessions[0]->run('ROLLBACK');
ok(comes_true($node, $is_there), 'until its end');
$_->quit foreach @sessions;
is(lines_logged($node, qr/FATAL/), '', 'no process has failed');

done_testing();
