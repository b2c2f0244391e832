# A run waits while the server has better things to do, says so, and goes on.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my $node = new_node('main', streaming => 1);
sql($node, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE TABLE t (id int PRIMARY KEY, body text);
	INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(1, 20000) g;
	ANALYZE t});
$node->backup('b');
my $standby = DocumentdbUpgrade::Node->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;

sub waits_for
{
	my ($what, $arguments, $end) = @_;
	my $caller = DocumentdbUpgrade::Session->new($node);

	$caller->start("SELECT table_name, row_count, problem FROM documentdb_upgrade.table_checksums($arguments)");
	like(poll_until(sub { sql($node, q{SELECT waiting_for FROM documentdb_upgrade.parity_progress WHERE waiting_for IS NOT NULL}) }, 'it waits'), $what, 'it waits and says for what');
	is(sql($node, q{SELECT run_state, run_phase, state, rows_done, estimate, percent FROM documentdb_upgrade.parity_progress}), 'running|tables|running|0|20000|0', 'progress says where it is');
	$end->();
	is($caller->finish->{stdout}, 't|20000|', 'it goes on');
	$caller->quit;
	is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.parity_progress'), '0', 'progress shows what has not ended');
	is(tables_of_run($node, 'waiting_for'), 't|', 'it waits no more');
	return;
}

# Load: a session that is active as long as another one has what it asks for.
my $holder = DocumentdbUpgrade::Session->new($node);
$holder->run('SELECT pg_advisory_lock(1)');
my $busy = DocumentdbUpgrade::Session->new($node);
$busy->start('SELECT pg_advisory_lock(1)');
waits_for(qr/^load: 1 active sessions$/, 'max_active => 0', sub { sql($node, "SELECT pg_cancel_backend(@{[ $busy->pid ]})") });
$busy->finish;
is(sql($node, q{SELECT row_count FROM documentdb_upgrade.table_checksums(max_active => 0)}), '20000', 'its own caller is no load');

# Replication.
sql($standby, 'SELECT pg_wal_replay_pause()');
sql($node, 'CREATE TABLE more AS SELECT generate_series(1, 1000); DROP TABLE more');
$node->poll_query_until('postgres', q{SELECT replay_lag > '100 ms' FROM pg_stat_replication}) or die 'no lag is seen';
waits_for(qr/^replication: \S+ is \S+ behind$/, q{max_lag => '100 ms'}, sub { sql($standby, 'SELECT pg_wal_replay_resume()') });
sql($standby, 'SELECT pg_wal_replay_pause()');
sql($node, 'CREATE TABLE more AS SELECT generate_series(1, 1000); DROP TABLE more');
is(sql($node, q{SELECT row_count FROM documentdb_upgrade.table_checksums(max_lag => NULL)}), '20000', 'without a limit it does not wait');
sql($standby, 'SELECT pg_wal_replay_resume()');

# An impatient caller ends it all.
$busy->start('SELECT pg_advisory_lock(1)');
my $caller = DocumentdbUpgrade::Session->new($node);
$caller->start('SELECT * FROM documentdb_upgrade.table_checksums(max_active => 0)');
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM documentdb_upgrade.parity_progress WHERE waiting_for IS NOT NULL});
sql($node, "SELECT pg_cancel_backend(@{[ $caller->pid ]})");
is($caller->finish->{sqlstate}, '57014', 'a cancel while it waits');
processes_gone($node, 'nothing is left');
done_testing();
