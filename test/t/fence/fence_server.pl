# What the server and workers do on their own goes on behind a fence.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $publisher = new_node('publisher', streaming => 1, conf => "wal_level = logical\n");
my $node = worker_node('main', conf => q{
	documentdb_upgrade.schema_ahead_action = read_only
	documentdb_upgrade.fence_exempt_roles = 'keeper'
	autovacuum_naptime = '1s'
	autovacuum_vacuum_threshold = 0
	autovacuum_vacuum_scale_factor = 0
	max_parallel_workers_per_gather = 2
	parallel_setup_cost = 0
	parallel_tuple_cost = 0
	min_parallel_table_scan_size = 0});

sql($publisher, 'CREATE TABLE sent (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE sent');
sql($node, q{
	CREATE ROLE gateway LOGIN SUPERUSER;
	CREATE ROLE keeper LOGIN SUPERUSER;
	CREATE TABLE sent (id int PRIMARY KEY);
	CREATE TABLE copied (id int);
	CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.copied VALUES (NEW.id); RETURN NULL; END';
	CREATE TRIGGER copy AFTER INSERT ON sent FOR EACH ROW EXECUTE FUNCTION copy();
	ALTER TABLE sent ENABLE ALWAYS TRIGGER copy;
	CREATE TABLE big AS SELECT g AS id FROM generate_series(1, 20000) AS g;
	CREATE TABLE dead AS SELECT g AS id FROM generate_series(1, 500) AS g});
sql($node, 'SET ROLE gateway; CREATE SUBSCRIPTION s CONNECTION $$' . $publisher->connstr('postgres') . '$$ PUBLICATION p');
comes_true($node, q{SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel});

sql($node, 'DELETE FROM dead');
write_extension($node, 'thing', '0.9');
wait_for_state($node, 'schema_ahead', qr/Meanwhile/);
is(try_sql($node, 'INSERT INTO copied VALUES (0)')->{sqlstate}, '25006', 'the fence is up');

sql($publisher, 'INSERT INTO sent SELECT generate_series(1, 10)');
ok(comes_true($node, 'SELECT count(*) = 10 FROM sent'), 'logical replication is applied');
ok(comes_true($node, 'SELECT count(*) = 10 FROM copied'), 'with its triggers');
ok(comes_true($node, q{SELECT autovacuum_count > 0 FROM pg_stat_user_tables WHERE relname = 'dead'}), 'autovacuum goes on');
is(try_sql($node, 'VACUUM ANALYZE big', user => 'gateway')->{sqlstate}, undef, 'so does VACUUM');
is(try_sql($node, 'SELECT sum(id) FROM big', user => 'gateway')->{stdout}, 200010000, 'queries run');
like(try_sql($node, 'EXPLAIN (ANALYZE, COSTS off) SELECT sum(id) FROM big', user => 'gateway')->{stdout}, qr/Workers Launched: [12]/, 'in parallel');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $node->basedir . '/dump' ], 'pg_dump works');

# Our own processes.
my $finalize = q{SELECT documentdb_upgrade.finalize_to('1.1')};
is(try_sql($node, $finalize, user => 'gateway')->{sqlstate}, '25006', 'a finalize writes');
is(try_sql($node, $finalize, user => 'keeper')->{sqlstate}, '55000', 'that of an exempt role is refused by its guards');
is(attempts($node), '1.0 1.1 refused function', 'and recorded');
is(try_sql($node, 'SELECT documentdb_upgrade.tick()', user => 'gateway')->{stdout}, 'schema_ahead', 'tick() works');
is(count_logged($node, qr/ERROR:  .*read-only/), 2, 'and nothing has failed for the fence but what was to');

done_testing();
