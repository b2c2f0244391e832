# An autovacuum that holds a table of the extension is made to give way: the
# server would not do that within a lock_timeout below deadlock_timeout.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'vacuumed'
	documentdb_upgrade.lock_timeout = '500ms'
	deadlock_timeout = '10s'
	autovacuum_naptime = '1s'});

# A table that takes minutes to vacuum.
write_extension($node, 'vacuumed', '1.1',
	'1.0' => q{CREATE TABLE thing (id int, filler text) WITH (autovacuum_vacuum_threshold = 10,
		autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);},
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;');
sql($node, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE EXTENSION vacuumed VERSION '1.0';
	INSERT INTO thing SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i;
});
sql($node, 'DELETE FROM thing WHERE id % 2 = 0');

my $holding = q{
	SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity a USING (pid)
	WHERE relation = 'thing'::regclass AND granted AND mode = 'ShareUpdateExclusiveLock'
	  AND backend_type = 'autovacuum worker'};
ok($node->poll_query_until('postgres', $holding), 'autovacuum holds the table');
is(sql($node, q{SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'blocking_sessions'}),
	'pass', 'it is no blocking session');

my $offset = -s $node->logfile;
my $result = try_sql($node, q{SELECT to_version FROM documentdb_upgrade.finalize_to('1.1')});
is($result->{stdout}, '1.1', 'finalize gets its lock') or diag($result->{stderr});
like(slurp_file($node->logfile, $offset), qr/cancelling autovacuum worker \d+ for an extension upgrade/, 'by a cancel that is logged');
like(slurp_file($node->logfile, $offset), qr/canceling autovacuum task/, 'which autovacuum obeys');

done_testing();
