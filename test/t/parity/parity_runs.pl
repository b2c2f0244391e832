# Runs at the same time do not meddle with each other, and the record of runs
# does not grow without end.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE TABLE a (id int PRIMARY KEY);
	INSERT INTO a SELECT generate_series(1, 50000);
	CREATE TABLE b (id int PRIMARY KEY);
	INSERT INTO b SELECT generate_series(1, 50000);
	});
sql($green, 'DELETE FROM b WHERE id = 8');
my @callers = map { DocumentdbUpgrade::Session->new($blue) } 1 .. 3;
my $lock = DocumentdbUpgrade::Session->new($blue);

# All of them wait in the midst of it.
$lock->run('BEGIN; LOCK TABLE b');
$callers[0]->start('SELECT object_name, key FROM ' . comparison($green));
$callers[1]->start('SELECT object_name, key FROM ' . comparison($green, algorithm => q{'sql'}, chunk => q{'5 ms'}));
$callers[2]->start('SELECT table_name, row_count, checksum FROM documentdb_upgrade.table_checksums()');
$blue->poll_query_until('postgres', q{SELECT count(*) = 3 FROM pg_locks WHERE relation = 'b'::regclass AND NOT granted}) or die 'not all wait';
is(sql($blue, q{SELECT count(DISTINCT run), count(*), string_agg(DISTINCT kind, ' ') FROM documentdb_upgrade.parity_progress}), '3|6|checksums comparison', 'three runs at the same time');
$lock->run('COMMIT');
my @results = map { $_->finish->{stdout} } @callers;
is($results[0], qq(b|\nb|{"id": 8}), 'the first');
is($results[1], $results[0], 'the second');
is($results[2], sql($blue, q{SELECT table_name, row_count, checksum FROM documentdb_upgrade.table_checksums(workers => 1)}), 'the third');

# Twenty stay.
sql($blue, q{SELECT count(*) FROM documentdb_upgrade.table_checksums(tables => '{a}')}) foreach 1 .. 20;
is(sql($blue, 'SELECT count(*), min(id), max(id) FROM documentdb_upgrade.parity_runs'), '20|5|24', 'the newest twenty are kept');
is(sql($blue, 'SELECT count(*) FROM documentdb_upgrade.parity_tables WHERE run < 5'), '0', 'with their tables');
is(sql($blue, 'SELECT count(*) FROM documentdb_upgrade.parity_differences'), '0', 'and differences');

# They are not dumped.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$blue->command_ok([ 'pg_dump', '--no-sync', '-f', $dump, $blue->connstr('postgres') ], 'pg_dump');
unlike(PostgreSQL::Test::Utils::slurp_file($dump), qr/parity_(?:runs|tables|differences)/, 'the record is not dumped');

# Fewer processes than asked for will do, none will not.
sql($blue, 'ALTER SYSTEM SET max_worker_processes = 3');
$blue->restart;
is(sql($blue, q{SELECT count(*) FROM documentdb_upgrade.table_checksums(workers => 16)}), '2', 'fewer processes than asked for');
sql($blue, 'ALTER SYSTEM SET max_worker_processes = 0');
$blue->restart;
is(try_sql($blue, q{SELECT * FROM documentdb_upgrade.table_checksums()})->{sqlstate}, '53400', 'no process');
processes_gone($_, 'nothing is left') foreach $blue, $green;
done_testing();
