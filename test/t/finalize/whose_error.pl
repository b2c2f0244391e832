# What a script or a check raises is final, whatever SQLSTATE it has chosen; what
# others were in the way of is tried again.  Both are the same for the worker
# that has seen it and for the next one.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => "documentdb_upgrade.retry_max = '100ms'\n");
my $failures = q{SELECT coalesce(sum(1 + repeats), 0) FROM documentdb_upgrade.history WHERE outcome <> 'succeeded'};

sub raising
{
	my ($sqlstate, $message) = @_;
	return "DO \$\$BEGIN RAISE EXCEPTION '$message' USING ERRCODE = '$sqlstate'; END\$\$;";
}

# The files are new, so what was before is forgotten.
sub try_script
{
	my $script = shift;

	sql($node, 'DELETE FROM documentdb_upgrade.history');
	write_extension($node, 'thing', '1.2', '1.1--1.2' => "ALTER TABLE thing ADD two int;\n$script\n");
	return;
}

# One that ends for new settings is replaced at once, unlike one that is killed.
my $workers = 0;

sub another_worker
{
	my $worker = process_of($node, 'worker');

	sql($node, sprintf q{ALTER DATABASE postgres SET work_mem = '%dMB'}, 10 + ++$workers);
	return comes_true($node, "SELECT worker_pid <> $worker FROM documentdb_upgrade.status");
}

sub is_final
{
	my ($what, $sqlstate, $cause) = @_;
	my $row = 'SELECT outcome, sqlstate, cause FROM documentdb_upgrade.history';

	ok(comes_true($node, "SELECT ($failures) > 0"), "$what: it is tried");
	wait_for_state($node, 'failed', qr/is not repeated by itself/);
	wait_for_looks($node, 3);
	is(sql($node, $failures), '1', "$what: once");
	is(sql($node, $row), "failed|$sqlstate|$cause", "$what: history says whose it is");
	another_worker();
	wait_for_state($node, 'failed', qr/is not repeated by itself/);
	wait_for_looks($node, 2);
	is(sql($node, $failures), '1', "$what: another worker does not try either");
	is(shape($node), $shape_of{'1.0'}, "$what: nothing is half done");
	return;
}

sub heals
{
	my ($what, $cause) = @_;

	ok(comes_true($node, "SELECT ($failures) > 2"), "$what: it is tried again");
	is(sql($node, q{SELECT DISTINCT cause FROM documentdb_upgrade.history WHERE outcome = 'failed'}), $cause, "$what: history says why");
	another_worker();
	my $now = sql($node, $failures);
	ok(comes_true($node, "SELECT ($failures) > $now"), "$what: and by another worker too");
	wait_for_state($node, 'pending');
	return;
}

# By scripts: what they say themselves, and what the server says of them.
try_script(raising('55000', 'not yet'));
desire($node, 'auto');
is_final('55000 by a script', '55000', 'script');
my @raised = (
	[ '55006', 'another upgrade of extension "thing" is running' ],
	[ '57014', 'canceling statement due to user request' ],
	[ '57P01', 'terminating connection due to administrator command' ],
	[ 'XX000', 'the row was concurrently updated' ]);
foreach (@raised)
{
	my ($sqlstate, $message) = @$_;

	try_script(raising($sqlstate, $message));
	is_final("$sqlstate by a script", $sqlstate, 'script');
}
sql($node, q{CREATE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT 42'});
try_script(q{CREATE OR REPLACE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT 2';});
is_final('a function of somebody else', '55000', 'script');
my $deferred = q{
	CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'too late' USING ERRCODE = '55006'; END$$;
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON thing DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
	INSERT INTO thing VALUES (1);};
try_script("$deferred\nALTER TABLE thing ADD three int;");
is_final('pending trigger events', '55006', 'script');
try_script($deferred);
is_final('what is deferred to the commit', '55006', 'script');
is(status_of($node)->{last_error}, 'too late', 'and is told');

# By checks.
sql($node, q{CREATE FUNCTION public.never() RETURNS boolean LANGUAGE sql RETURN false;
	CREATE FUNCTION public.busy() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'busy' USING ERRCODE = '55006'; END$$});
foreach my $check ([ 'pre', 'public.busy()', '55006' ], [ 'post', 'public.never()', '55000' ])
{
	my ($kind, $function, $sqlstate) = @$check;

	sql($node, "INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('ours', '$kind', '$function')");
	try_script("SELECT '$kind';");
	is_final("$kind-check $function", $sqlstate, 'check');
	sql($node, q{DELETE FROM documentdb_upgrade.checks WHERE name = 'ours'});
}

# cancel() and pg_cancel_backend() are meant, and last too.
my $gate = close_gate($node);
foreach my $cancel ('documentdb_upgrade.cancel()', 'pg_cancel_backend(?)')
{
	try_script("SELECT '$cancel', pg_advisory_xact_lock(42);");
	my $pid = attempt_at_gate($node);
	sql($node, 'SELECT ' . $cancel =~ s/\?/$pid/r);
	wait_for_state($node, 'failed', qr/is not repeated by itself/);
	another_worker();
	wait_for_looks($node, 2);
	is(sql($node, 'SELECT outcome, cause, repeats FROM documentdb_upgrade.history'), 'cancelled|cancel|0', "$cancel: is final");
}
$gate->quit;

# Others were in the way.
foreach my $sqlstate (qw(55P03 40P01 40001))
{
	try_script(raising($sqlstate, "in the way: $sqlstate"));
	heals("$sqlstate in a script", 'lock');
}

# Another server is another worker as well, and another history starts anew.
desire($node, '');
wait_for_state($node, 'update_available');
try_script(raising('55000', 'once more'));
desire($node, 'auto');
is_final('once more', '55000', 'script');
$node->restart;
wait_for_state($node, 'failed', qr/once more/);
wait_for_looks($node, 2);
is(sql($node, $failures), '1', 'another server does not try');
sql($node, 'DROP EXTENSION documentdb_upgrade; CREATE EXTENSION documentdb_upgrade');
ok(comes_true($node, "SELECT ($failures) > 0"), 'where history knows of no failure it is tried');
wait_for_state($node, 'failed', qr/once more/);
wait_for_looks($node, 2);
is(sql($node, $failures), '1', 'once');
write_extension($node, 'thing', '1.2', '1.1--1.2' => "ALTER TABLE thing ADD two int;\nCREATE TABLE last (id int);\n");
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'and right files are enough');

done_testing();
