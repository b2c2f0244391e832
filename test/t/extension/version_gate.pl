# The version in force, as a library keeps it in shared memory: read back after
# a finalize, refreshed where something else has updated the schema, and left
# alone where there is none or it looks otherwise.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', preload => 'documentdb_upgrade, gate_stub', conf => q{
	documentdb_upgrade.version_gate = 'gate_stub gate'
	documentdb_upgrade.poll_interval = '1h'});
sql($node, q{
	CREATE FUNCTION set_gate(int, int, int) RETURNS void LANGUAGE c AS 'gate_stub', 'gate_stub_set';
	CREATE FUNCTION watch(regclass) RETURNS void LANGUAGE c AS 'gate_stub', 'gate_stub_watch'});

sub gate { return sql($node, q{SELECT coalesce(gate, 'none') FROM documentdb_upgrade.versions}); }
sub set_gate { return sql($node, "SELECT set_gate(@{[ join ', ', split /\./, $_[0] ]})"); }
sub state_is { return is(sql($node, 'SELECT state FROM documentdb_upgrade.status'), $_[0], $_[1]); }

# Finalized with a library that does not take the version up by itself.
is(gate(), 'none', 'all zero: it is loaded at the next use');
set_gate('1.0.0');
is(gate(), '1.0.0', 'shown as it is');
sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1')});
is(gate(), '1.0.0', 'a library that does not listen keeps the old version');
state_is('update_available', 'which matters less than an update does');
desire($node, '1.1');
wait_for_state($node, 'verifying', qr/The schema is at 1\.1 and the version in force is 1\.0\.0;/);
is(sql($node, q{SELECT documentdb_upgrade.wait_for('1.1', '10 ms')}), 'f', 'wait_for waits for it');
set_gate('1.1.0');
state_is('up_to_date', 'up to date when it is in force');
is(sql($node, q{SELECT documentdb_upgrade.wait_for('1.1', '10 s')}), 't', 'for wait_for as well');
set_gate('1.2.0');
wait_for_state($node, 'verifying', qr/the version in force is 1\.2\.0;/);
set_gate('0.0.0');
state_is('up_to_date', 'a version that is loaded at the next use will be right');

# With one that listens.
sql($node, q{SELECT watch('thing')});
set_gate('1.1.0');
sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')});
is(gate(), 'none', 'a finalize has it loaded anew');

# What somebody else has updated is refreshed by the worker.
set_and_reload($node, 'documentdb_upgrade.poll_interval', '100ms');
desire($node, '1.3');
wait_for_state($node, 'waiting');
set_gate('1.2.0');
write_extension($node, 'thing', '1.3', '1.2--1.3' => 'CREATE FUNCTION added() RETURNS int LANGUAGE sql RETURN 1;');
wait_for_state($node, 'up_to_date');
is(gate(), 'none', "so does the worker's");
desire($node, '');
write_extension($node, 'thing', '1.4', '1.3--1.4' => 'CREATE FUNCTION more() RETURNS int LANGUAGE sql RETURN 1;');
wait_for_state($node, 'update_available');
set_gate('1.3.0');
sql($node, 'ALTER EXTENSION thing UPDATE');
ok(comes_true($node, q{SELECT gate IS NULL FROM documentdb_upgrade.versions}), 'a plain ALTER EXTENSION leaves it stale, and the worker refreshes it');
wait_for_state($node, 'up_to_date');
is(lines_logged($node, qr/ERROR|FATAL|PANIC/), '', 'all without a complaint');

# Other segments are not what we know, or not there, and stay as they are.
my $segments = q{SELECT string_agg(name || ' ' || size, ',' ORDER BY size DESC) FROM pg_shmem_allocations WHERE name LIKE '%gate%'};

sub restart_with
{
	my ($case, $conf, $expected) = @_;

	$node->append_conf('postgresql.conf', $conf);
	$node->restart;
	set_gate('1.0.0');
	is(gate(), 'none', "$case: no version in force is known");
	wait_for_state($node, 'up_to_date');
	is(sql($node, $segments), $expected, "$case: shared memory is as it was");
	return;
}

restart_with('a longer segment', 'gate_stub.integers = 7', 'gate_stub gate 28,gate_stub 4');
restart_with('a shorter segment', 'gate_stub.integers = 3', 'gate_stub gate 12,gate_stub 4');
restart_with('a segment that is not there', q{
	gate_stub.integers = 6
	gate_stub.name = 'gate of another'}, 'gate of another 24,gate_stub 4');
restart_with('no segment', q{
	gate_stub.name = 'gate_stub gate'
	documentdb_upgrade.version_gate = ''}, 'gate_stub gate 24,gate_stub 4');

done_testing();
