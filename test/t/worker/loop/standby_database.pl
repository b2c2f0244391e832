# Replay never waits for the worker of a standby: the database that it is
# connected to is dropped there as on the primary, and comes back.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Cluster;
use Test::More;

# Replay may wait for queries for ever.
my $primary = worker_node('primary', create => 0, streaming => 1, conf => q{
	documentdb_upgrade.database = 'served'
	documentdb_upgrade.desired_schema_version = '1.1'
	max_standby_streaming_delay = -1
	wal_receiver_status_interval = '100ms'
});
$primary->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $primary->install_path);
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
my $worker = q{EXISTS(SELECT FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'served')};

foreach my $round (1 .. 2)
{
	sql($primary, 'CREATE DATABASE served');
	create_thing($primary, 'served');
	ok(poll_until(sub { shape($primary, 'served') eq $shape_of{'1.1'} }, 'it is done'), "round $round: the primary does what is desired");
	ok(comes_true($standby, "SELECT $worker"), 'the standby\'s worker is connected');
	$primary->wait_for_catchup($standby);
	is(shape($standby, 'served'), $shape_of{'1.1'}, 'what the primary did arrives');

	sql($primary, 'DROP DATABASE served');
	$primary->wait_for_catchup($standby);
	is(sql($standby, q{SELECT count(*) FROM pg_database WHERE datname = 'served'}), '0', 'the database is dropped there');
	is(sql($standby, "SELECT $worker"), 'f', 'and the worker has left');
}
$standby->wait_for_log(qr/Database "served" does not exist/);
is(sql($standby, 'SELECT pg_is_in_recovery()'), 't', 'the standby goes on');

# A rename is replayed as well, and a shutdown is answered.
sql($primary, 'CREATE DATABASE served');
ok(comes_true($standby, "SELECT $worker"), 'the worker is there again');
sql($primary, 'ALTER DATABASE served RENAME TO renamed');
$primary->wait_for_catchup($standby);
is(sql($standby, q{SELECT count(*) FROM pg_database WHERE datname = 'renamed'}), '1', 'a database is renamed there');
ok($standby->stop('fast'), 'it stops');

done_testing();
