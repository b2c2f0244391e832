# The sum of an attempt's lock waits is bounded, whatever each one takes, and
# the wait for history itself counts like any other.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'waiting'
	documentdb_upgrade.lock_timeout = '1s'});

# Locks that no reading of the text can foresee.
write_extension($node, 'waiting', '1.1',
	'1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => join "\n", 'ALTER TABLE thing ADD one int;', map { "SELECT pg_advisory_xact_lock($_);" } 1 .. 3);
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION waiting VERSION '1.0'});

my $blocker = DocumentdbUpgrade::Session->new($node);
my $session = DocumentdbUpgrade::Session->new($node);
my $last = q{SELECT outcome, sqlstate, from_version FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1};
my $milliseconds = q{SELECT extract(epoch FROM finished_at - started_at) * 1000 FROM documentdb_upgrade.history
	ORDER BY id DESC LIMIT 1};

# Lets the finalize have its n-th lock when it has waited for it that long, or
# waits no more.
sub let_go_after
{
	my ($n, $ms) = @_;
	$node->poll_query_until('postgres', qq{
		SELECT clock_timestamp() - waitstart > '$ms ms' FROM pg_locks
		WHERE locktype = 'advisory' AND objid = $n AND NOT granted
		UNION ALL SELECT true FROM pg_stat_activity WHERE pid = ${\ $session->pid} AND state = 'idle' LIMIT 1})
	  or die "lock $n was never waited for\n";
	$blocker->run("SELECT pg_advisory_unlock($n)");
}

# A machine may be too slow to let go in time; then all has to take longer.
my ($budget, $result);
foreach my $seconds (1, 10, 100)
{
	$budget = 1000 * $seconds;
	$blocker->run("SELECT pg_advisory_lock($_)") foreach 1 .. 3;
	$session->run("SET documentdb_upgrade.lock_timeout = $budget");
	$session->start(q{SELECT documentdb_upgrade.finalize_to('1.1')});
	let_go_after(1, 0.6 * $budget);
	$result = $session->finish;
	last if sql($node, q{SELECT script_line FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}) eq '3';
	$blocker->run('SELECT pg_advisory_unlock_all()');
}
is($result->{sqlstate}, '55P03', 'two waits within lock_timeout, together above it') or diag($result->{stderr});
like($result->{message}, qr/within $budget ms/, 'are told as what they are');
is(sql($node, $last), 'failed|55P03|1.0', 'and recorded');
my $ms = sql($node, $milliseconds);
cmp_ok($ms, '>=', 0.95 * $budget, 'the whole budget was used');
cmp_ok($ms, '<', $budget + 1000 * patience(0.6), 'and not more');
is(sql($node, q{SELECT count(*) FROM pg_locks WHERE NOT granted OR locktype = 'object' AND classid = 'pg_extension'::regclass}),
	'0', 'no lock is left');

# Waits that stay within it together are none of its business.
$session->run(q{SET documentdb_upgrade.lock_timeout = '10min'});
$blocker->run('SELECT pg_advisory_lock(1)');
$session->start(q{SELECT documentdb_upgrade.finalize_to('1.1')});
let_go_after(1, 100);
let_go_after(2, 100);
let_go_after(3, 100);
$result = $session->finish;
ok($result->{ok}, 'three waits within the budget succeed') or diag($result->{stderr});

# Nobody who locks history can keep the strong locks of an upgrade in place.
sql($node, q{DROP EXTENSION waiting; CREATE EXTENSION waiting VERSION '1.0'});
$session->run('RESET documentdb_upgrade.lock_timeout');
$blocker->run('BEGIN; LOCK TABLE documentdb_upgrade.history IN SHARE MODE');
$result = $session->run(q{SET statement_timeout = '10min'; SELECT documentdb_upgrade.finalize_to('1.1')});
is($result->{sqlstate}, '55P03', 'a finalize that cannot write its history ends in time') or diag($result->{stderr});
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.0', 'with nothing done');
$blocker->run('COMMIT');
ok($session->run(q{SELECT documentdb_upgrade.finalize_to('1.1')})->{ok}, 'and succeeds when it can');

done_testing();
