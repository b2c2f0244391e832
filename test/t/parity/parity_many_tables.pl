# Three thousand tables: listing them is one statement, and two hundred are summed
# by one; the one that differs is asked about alone.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my ($blue, $green) = two_servers(q{
	DO $$ BEGIN
		FOR i IN 1 .. 3000 LOOP
			EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text); INSERT INTO t%1$s VALUES (%1$s, %1$L)', i);
			EXECUTE format('CREATE SEQUENCE s%s START %1$s', i);
		END LOOP;
	END $$}, conf => "max_locks_per_transaction = 1000\n");
sql($green, q{UPDATE t777 SET v = NULL; SELECT nextval('s2999'); DROP TABLE t3000; DROP SEQUENCE s3000});

my $start = time;
is(sql($blue, 'SELECT kind, object_name, difference, key FROM ' . comparison($green, workers => 2) . q{ WHERE kind <> 'objects'}),
	qq(sequence|s2999|different|\nsequence|s3000|missing|\ntable|t3000|missing|\ntable|t777|different|\nrow|t777|different|{"id": 777}),
	'three thousand tables and sequences');
my $took = time - $start;
note sprintf 'compared in %.1f s', $took;
cmp_ok($took, '<', patience(60), 'in a minute, or longer on a busy machine');
my @asked = slurp_file($green->logfile) =~ /SET TRANSACTION SNAPSHOT \S+; *\s*SELECT (\w+)\(/g;
cmp_ok(scalar(grep { $_ eq 'to_json' } @asked), '>=', 15, 'small tables are asked about together');
cmp_ok(scalar(@asked), '<', 60, 'with few statements');
is(last_run($blue, 'table_count, row_count'), '2999|2999', 'all were compared');
is(sql($blue, q{SELECT count(*), sum(row_count) FROM documentdb_upgrade.table_checksums()}), '3000|3000', 'and summed');
done_testing();
