# The lock table: what a plan is known to take, what a rehearsal counts, and
# that an upgrade ends itself before it takes more than its budget.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

# A statement for each table of the schema, whose text shows none of them.
sub for_each_table
{
	my ($statement, $around) = @_;
	return sprintf(q{DO $$ DECLARE t text; BEGIN %s
		FOR t IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'many'::regnamespace AND relkind = 'r' LOOP
			EXECUTE %s;
		END LOOP; %s END $$;}, $around ? 'BEGIN' : '', $statement, $around ? "EXCEPTION WHEN OTHERS THEN RAISE WARNING 'never mind'; END;" : '');
}
my %scripts = (
	'1.0' => q{CREATE SCHEMA many;
		CREATE TABLE many.own (id integer PRIMARY KEY, t text);
		CREATE TABLE many.parent (id integer PRIMARY KEY, t text) PARTITION BY RANGE (id);},
	'1.0--1.1' => q{ALTER TABLE many.own ADD COLUMN more integer DEFAULT 1;},
	'1.1--1.2' => for_each_table(q{format('ALTER TABLE %s ADD COLUMN more2 integer DEFAULT 1', t)}),
	'1.2--1.3' => for_each_table(q{format('ALTER TABLE %s ADD COLUMN more3 integer DEFAULT 1', t)}, 'caught'),
	'1.3--1.4' => q{ALTER TABLE many.parent ADD COLUMN more4 integer;},
);
my $node = new_node('main', own_installation => 1, conf => "max_locks_per_transaction = 512\n" .
	  "documentdb_upgrade.extension = 'many'\ndocumentdb_upgrade.managed_extensions = ''\n");
write_extension($node, 'many', '1.4', %scripts);
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION many VERSION '1.0'});
sql($node, q{DO $$ BEGIN FOR i IN 1 .. 1000 LOOP EXECUTE format('CREATE TABLE many.documents_%s (id integer PRIMARY KEY, t text)', i); END LOOP; END $$});

# The guard's row for a target.
sub guard
{
	my ($target, $node_or_settings) = @_;
	my ($status, $detail, $hint) = split /\|/,
	  sql($node, "SELECT status, detail, hint FROM documentdb_upgrade.preflight('$target') WHERE guard = 'lock_capacity'");
	my ($held, $formula) = $detail =~ /; others hold (\d+), and the lock table has room for (\d+)\.$/ or die "unexpected: $detail";
	my ($needed) = $detail =~ /(\d+) lock entries/ or die "unexpected: $detail";
	return { status => $status, needed => $needed, held => $held, formula => $formula, detail => $detail, hint => $hint };
}

# What a step really takes of the shared lock table.
sub taken_by
{
	my ($target) = @_;
	return sql($node, "BEGIN; ALTER EXTENSION many UPDATE TO '$target';
		SELECT count(DISTINCT (locktype, relation, classid, objid, transactionid)) FROM pg_locks WHERE pid = pg_backend_pid() AND NOT fastpath; ROLLBACK");
}

# Known from the text alone.
my $guard = guard('1.1');
is($guard->{status}, 'pass', 'a table that is named');
is($guard->{needed}, 1, 'counts once');
like($guard->{detail}, qr/^The scripts name relations that take at least 1 lock entries; rehearse to know how many the upgrade takes in all/, 'and the guard says what it does not know');
is(guard('1.2')->{needed}, 1, 'code hides what it locks');

# Counted by a rehearsal.
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse('1.2')}), 'passed', 'a rehearsal');
my $fact = taken_by('1.2');
$guard = guard('1.2');
like($guard->{detail}, qr/^Rehearsal 1 counted \d+ lock entries; others/, 'the guard has the count');
# Since 18 the fast path has room for the weak ones.
cmp_ok($guard->{needed}, '>=', 1000, 'of tables, and before 18 of their types or defaults');
cmp_ok(abs($guard->{needed} - $fact), '<=', 20, 'which is what the update takes') or diag("counted $guard->{needed}, taken $fact");

# Servers with fewer entries.
my $slots = $guard->{formula} / 512;
sub set_entries
{
	my ($n) = @_;
	$node->append_conf('postgresql.conf', "max_locks_per_transaction = $n\n");
	$node->restart;
	return;
}
my $needed = $guard->{needed};
set_entries(int($needed / $slots * 1.3) + 1);
is(guard('1.2')->{status}, 'pass', 'with a fifth to spare it passes');
set_entries(int($needed / $slots * 1.05) + 1);
is(guard('1.2')->{status}, 'warn', 'with less it warns');
is(sql($node, q{SET documentdb_upgrade.guard_severity = 'lock_capacity=skip';
	SELECT status FROM documentdb_upgrade.preflight('1.2') WHERE guard = 'lock_capacity'}), 'skip', 'unless it is told not to');
is(sql($node, q{BEGIN; SELECT outcome FROM documentdb_upgrade.finalize_to('1.2'); ROLLBACK}), 'succeeded', 'and a finalize fits');
set_entries(10);
my $fails = guard('1.2');
is($fails->{status}, 'fail', 'where the lock table is made for less it fails');
cmp_ok($fails->{formula}, '<', $needed, 'indeed');
my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')});
is($result->{sqlstate}, '55000', 'a finalize is refused');
like($result->{message}, qr/refused by guard "lock_capacity"/, 'by this guard');
like($result->{hint}, qr/^Set max_locks_per_transaction = \d+, on standbys first, and restart PostgreSQL\.$/, 'with what to do');
is(sql($node, q{SELECT outcome, refused_by, steps IS NULL FROM documentdb_upgrade.history WHERE outcome = 'refused' ORDER BY id DESC LIMIT 1}),
	'refused|{lock_capacity}|t', 'and nothing has run');

# Whoever overrides the guard, and whoever has not rehearsed, stops at the budget.
sub stops
{
	my ($what, $target) = @_;
	my $stopped = try_sql($node, "SELECT documentdb_upgrade.finalize_to('$target', skip_guards => '{lock_capacity}')");
	is($stopped->{sqlstate}, '53400', "$what: it ends itself");
	like($stopped->{message}, qr/^upgrade needs more than (\d+) entries of the shared lock table$/, "$what: and says at how many");
	like($stopped->{hint}, qr/^Raise max_locks_per_transaction, on standbys first/, "$what: and what to do");
	is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'many'}), '1.0', "$what: nothing is left behind");
	return $stopped;
}
my ($budget) = stops('overridden', '1.2')->{message} =~ /(\d+)/;
cmp_ok($budget, '<=', $fails->{formula}, 'the budget is what the settings promise, less what others hold');
cmp_ok($budget, '>=', $fails->{formula} - $fails->{held} - 20, 'and no less');
sql($node, q{TRUNCATE documentdb_upgrade.rehearsals});
is(guard('1.2')->{status}, 'pass', 'without a rehearsal nothing is refused for want of a number');
stops('not rehearsed', '1.2');
sql($node, q{ALTER EXTENSION many UPDATE TO '1.1'; UPDATE pg_extension SET extversion = '1.2' WHERE extname = 'many'});
$result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.3')});
is($result->{sqlstate}, '53400', 'a script that catches the error does not get round it');
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'many'}), '1.2', 'nor does it leave anything behind');

# A rehearsal stops there too, and what it has counted counts.
is(sql($node, q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('1.3')}), 'failed|53400', 'so does a rehearsal');
$fails = guard('1.3');
is($fails->{status}, 'fail', 'then the guard knows');
like($fails->{detail}, qr/^Rehearsal \d+ counted at least \d+ lock entries/, 'that there are more');
like($fails->{hint}, qr/restart PostgreSQL; then rehearse\.$/, 'and that another rehearsal is wanted');

# Relations that are named are more than there is room for: nobody need try.
sql($node, q{UPDATE pg_extension SET extversion = '1.3' WHERE extname = 'many'});
sql($node, q{SELECT format('CREATE TABLE many.part_%s PARTITION OF many.parent FOR VALUES FROM (%s) TO (%s)', i, i, i + 1) FROM generate_series(1, 1200) AS i \gexec});
$fails = guard('1.4');
is($fails->{status}, 'fail', 'a table with many partitions is known to be too much');
is($fails->{needed}, 1201, 'with each of them');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.4', skip_guards => '{lock_capacity}')})->{sqlstate}, '53400', 'overridden it stops all the same');

# What others hold counts.
my $holder = DocumentdbUpgrade::Session->new($node);
my $before = guard('1.4')->{held};
$holder->run('BEGIN; LOCK TABLE ' . join(', ', map { "many.documents_$_" } 1 .. 50));
is(guard('1.4')->{held} - $before, 50, 'locks of others are counted');
$holder->quit;

is(count_logged($node, qr/out of shared memory/), 0, 'no session has run out of entries');
done_testing();
