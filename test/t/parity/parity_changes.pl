# Two servers in logical replication, with a writer: rows that are still on
# their way are looked at again and are no differences; a row that really
# differs is found among them.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE TABLE keyed (id int PRIMARY KEY, v int);
	CREATE TABLE bag (v int)}, conf => "wal_level = logical\nmax_wal_senders = 5\n");
sql($blue, q{
	INSERT INTO keyed SELECT g, 0 FROM generate_series(1, 20000) g;
	INSERT INTO bag SELECT g FROM generate_series(1, 1000) g;
	ALTER TABLE bag REPLICA IDENTITY FULL;
	CREATE PUBLICATION p FOR TABLE keyed, bag});
sql($green, 'ALTER TABLE bag REPLICA IDENTITY FULL');
sql($green, sprintf q{CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p}, $blue->connstr('postgres') =~ s/'/''/gr);
$green->wait_for_subscription_sync($blue, 's');

# The subscriber lags: it waits for a lock while the snapshots are taken.
sub compare_while_lagging
{
	my ($sql, %options) = @_;
	my $lock = DocumentdbUpgrade::Session->new($green);
	my $caller = DocumentdbUpgrade::Session->new($blue);

	$lock->run('BEGIN; LOCK TABLE keyed, bag IN SHARE MODE');
	sql($blue, $sql);
	$caller->start('SELECT kind, object_name, difference, key FROM ' . comparison($green, tables => q{'{keyed,bag}'}, %options));
	$blue->poll_query_until('postgres', q{SELECT count(*) > 0 FROM documentdb_upgrade.parity_differences WHERE NOT confirmed}) or die 'no difference is found';
	$lock->run('COMMIT');
	my $result = $caller->finish;
	$_->quit foreach $lock, $caller;
	return $result->{stdout};
}
is(compare_while_lagging(q{UPDATE keyed SET v = 1 WHERE id % 1000 = 0; DELETE FROM keyed WHERE id = 5; INSERT INTO keyed VALUES (30000, 0)}), '', 'changes that are on their way are no differences');
is(tables_of_run($blue, 'changed'), "bag|0\nkeyed|22", 'they are counted');
is(last_run($blue, 'state, equal'), 'complete|t', 'equal');
is(compare_while_lagging(q{UPDATE bag SET v = v + 2000 WHERE v < 5; INSERT INTO bag SELECT 500}), '', 'without a key too');
is(tables_of_run($blue, 'changed'), "bag|9\nkeyed|0", 'counted by content');

# A real difference among them.
$green->wait_for_subscription_sync($blue, 's');
sql($green, 'UPDATE keyed SET v = 7 WHERE id = 77; INSERT INTO bag VALUES (4711)');
is(compare_while_lagging(q{UPDATE keyed SET v = 2 WHERE id % 1000 = 0; UPDATE bag SET v = 0 WHERE v = 900}),
	qq(table|bag|different|\nrow|bag|extra|\ntable|keyed|different|\nrow|keyed|different|{"id": 77}), 'real differences are found among them');
like(sql($blue, q{SELECT detail FROM documentdb_upgrade.parity_differences WHERE kind = 'table' AND object_name = 'keyed' ORDER BY id DESC LIMIT 1}),
	qr/^1 row differs; 21 more changed meanwhile and agree now$/, 'and told apart');

# A writer that does not stop.
sql($green, 'UPDATE keyed SET v = 0 WHERE id = 77; DELETE FROM bag WHERE v = 4711');
my $writer = DocumentdbUpgrade::Session->new($blue);
$writer->start(q{DO $$ DECLARE start timestamptz := clock_timestamp(); BEGIN
	WHILE clock_timestamp() < start + interval '5 s' LOOP
		UPDATE keyed SET v = v + 1 WHERE id = 1 + (random() * 19000)::int;
		COMMIT;
	END LOOP; END $$});
is(differences($blue, $green, tables => q{'{keyed}'}, chunk => q{'5 ms'}, max_differences => 1000), '', 'a writer that does not stop');
$writer->finish;
sql($green, 'ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s');
processes_gone($_, 'nothing is left') foreach $blue, $green;
done_testing();
