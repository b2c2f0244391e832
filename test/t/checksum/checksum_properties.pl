# Over millions of rows: no two digests alike, no more likeness in half of one
# than chance has, and the same sum in any order and over any parts.
# DU_CHECKSUM_ROWS sets how many rows, 2 million if nothing does.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $rows = $ENV{DU_CHECKSUM_ROWS} // 2_000_000;
my $node = new_node('main', conf => q{
	autovacuum = off
	jit = off
	work_mem = '256MB'
	max_wal_size = '8GB'
	wal_level = minimal
	max_wal_senders = 0
	max_parallel_workers_per_gather = 2
	parallel_setup_cost = 0
	parallel_tuple_cost = 0});

# Rows that differ little, as rows of one table do.
sql($node, qq{
	CREATE EXTENSION documentdb_upgrade;
	SELECT setseed(0.5);
	CREATE UNLOGGED TABLE many AS
		SELECT i AS id, (random() * 1000)::int AS n, random() AS r, 'name ' || i % 1000 AS name FROM generate_series(1, $rows) i});

# Of $rows numbers of 32 bits taken at random, so many are like one before.
my $expected = $rows - 2**32 * (1 - exp(-$rows / 2**32));
my ($distinct, $alike) = split /\|/, sql($node, q{
	SELECT count(*) FILTER (WHERE h IS DISTINCT FROM before), count(*) FILTER (WHERE h >> 32 = before >> 32)
	FROM (SELECT h, lag(h) OVER (ORDER BY h) AS before
		FROM (SELECT ('x' || left(documentdb_upgrade.record_checksum(t), 16))::bit(64)::bigint AS h FROM many t) d) s});
is($distinct, $rows, 'no two rows have the same 64 bits');
cmp_ok(abs($alike - $expected), '<', 6 * sqrt($expected) + 1,
	sprintf('of their first 32 bits %d are alike, %.0f by chance', $alike, $expected));

# Every bit of a digest is set in half of the rows.
my $skewed = sql($node, q{
	SELECT count(*) FROM (
		SELECT i, sum(get_bit(b, i)) AS set, count(*) AS rows
		FROM (SELECT decode(documentdb_upgrade.record_checksum(t), 'hex') AS b FROM many t WHERE id <= 20000) d, generate_series(0, 127) i GROUP BY i) s
	WHERE abs(set - rows / 2.0) > 2.5 * sqrt(rows)});
is($skewed, 0, 'each of the 128 bits is set in half of them');

my $checksum = sql($node, 'SELECT documentdb_upgrade.row_checksum(t) FROM many t');
is(sql($node, 'SET max_parallel_workers_per_gather = 0; SELECT documentdb_upgrade.columns_checksum(NULL::many, id, n, r, name) FROM many'),
	$checksum, 'one process gives what several do');

# The sum of parts, in an order of their own.
my @parts = split /\n/, sql($node, 'SELECT documentdb_upgrade.columns_checksum(NULL::many, id, n, r, name) FROM many GROUP BY n % 7 ORDER BY random()');
my $sum = '0' x 32;
$sum = sql($node, "SELECT documentdb_upgrade.add_checksums('$sum', '$_')") foreach @parts;
is("@{[ scalar @parts ]} $sum", "7 $checksum", 'seven parts add up to the whole');

is(sql($node, q{SELECT (SELECT documentdb_upgrade.row_checksum(s) FROM (SELECT * FROM many WHERE n < 50 ORDER BY r) s) =
	(SELECT documentdb_upgrade.row_checksum(t) FROM many t WHERE n < 50)}), 't', 'rows in random order have the same sum');

done_testing();
