# Of fifty changes of single rows, anywhere in large tables, each is found and
# named, and nothing else is.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE TABLE by_range (id bigint PRIMARY KEY, a int, b text, c timestamptz, d jsonb, e numeric);
	INSERT INTO by_range SELECT g * 3, g, md5(g::text), '2020-01-01'::timestamptz + g * interval '1 h', jsonb_build_object('n', g), g / 3.0 FROM generate_series(1, 150000) g;
	CREATE TABLE by_bucket (id char(10) PRIMARY KEY, v float8);
	INSERT INTO by_bucket SELECT g, g / 7.0 FROM generate_series(1, 150000) g;
	CREATE TABLE by_content (v text, w int);
	INSERT INTO by_content SELECT md5(g::text), g FROM generate_series(1, 120000) g});

# A generator of our own: the same numbers everywhere.
my $seed = 8;
sub any { $seed = ($seed * 1103515245 + 12345) % 2147483648; return 1 + int($seed / 65536) % shift; }

my (@changes, %expected, %taken);
my @kinds = (
	sub { my $g = any(30000) * 5; [ "UPDATE by_range SET a = a + 1 WHERE id = $g * 3", "by_range|different|{\"id\": @{[ $g * 3 ]}}", "r$g" ] },
	sub { my $g = any(30000) * 5; [ "UPDATE by_range SET b = b || ' ' WHERE id = $g * 3", "by_range|different|{\"id\": @{[ $g * 3 ]}}", "r$g" ] },
	sub { my $g = any(30000) * 5; [ "UPDATE by_range SET c = c + interval '1 microsecond' WHERE id = $g * 3", "by_range|different|{\"id\": @{[ $g * 3 ]}}", "r$g" ] },
	sub { my $g = any(30000) * 5; [ "UPDATE by_range SET d = d || '{\"n\": 0}' WHERE id = $g * 3", "by_range|different|{\"id\": @{[ $g * 3 ]}}", "r$g" ] },
	sub { my $g = any(30000) * 5; [ "UPDATE by_range SET e = e * 1.0 WHERE id = $g * 3", "by_range|different|{\"id\": @{[ $g * 3 ]}}", "r$g" ] },
	sub { my $g = any(30000) * 5; [ "DELETE FROM by_range WHERE id = $g * 3", "by_range|missing|{\"id\": @{[ $g * 3 ]}}", "r$g" ] },
	sub { my $g = any(30000) * 5; [ "INSERT INTO by_range (id) VALUES ($g * 3 + 1)", "by_range|extra|{\"id\": @{[ $g * 3 + 1 ]}}", "r$g" ] },
	sub { my $g = any(30000) * 5; [ "UPDATE by_bucket SET v = NULL WHERE id = '$g'", sprintf('by_bucket|different|{"id": "%-10s"}', $g), "b$g" ] },
	sub { my $g = any(30000) * 5; [ "DELETE FROM by_bucket WHERE id = '$g'", sprintf('by_bucket|missing|{"id": "%-10s"}', $g), "b$g" ] },
	sub { my $g = any(30000) * 4; [ "DELETE FROM by_content WHERE w = $g", "by_content|missing|$g", "c$g" ] });
while (@changes < 50)
{
	my ($sql, $difference, $row) = @{ $kinds[ @changes % @kinds ]->() };
	next if $taken{$row}++;
	push @changes, $sql;
	$expected{$difference} = 1;
}
sql($green, join ';', @changes);

my $found = q{SELECT row COLLATE "C" FROM (
	SELECT concat_ws('|', object_name, difference, coalesce(key::text, local::jsonb->>'w', remote)) AS row FROM %s WHERE kind = 'row') rows ORDER BY 1};
foreach my $way ({}, { chunk => q{'5 ms'} }, { algorithm => q{'sql'} })
{
	is(sql($blue, sprintf $found, comparison($green, max_differences => 1000, %$way)), join("\n", sort keys %expected), 'found: ' . join ' ', %$way);
}
cmp_ok(sql($blue, q{SELECT max(chunks) FROM documentdb_upgrade.parity_tables WHERE run = 2 AND table_name = 'by_range'}), '>', 10, 'in many pieces');
is(sql($blue, q{SELECT string_agg(DISTINCT strategy, ' ') FROM documentdb_upgrade.parity_tables}), 'own range', 'in both ways');

# Everything different: it ends early, and says that there is more.
sql($green, 'UPDATE by_range SET a = -1; UPDATE by_bucket SET v = -1; UPDATE by_content SET w = w + 1');
my $result = differences($blue, $green, max_differences => 10);
is(scalar(() = $result =~ /^row/mg), 30, 'no more rows than asked for');
is(sql($blue, q{SELECT string_agg(detail, ' ') FROM documentdb_upgrade.parity_differences WHERE kind = 'table' AND run = 4}),
	join(' ', ('more than 10 rows differ') x 3), 'there are more');
done_testing();
