# How fast two databases are compared, by workers and by size of the table, beside what
# people write themselves.  Run by test/bench/run; the arguments are lists of rows of one
# table, and of numbers of small tables.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Bench;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($sizes, $numbers) = map { [ split ' ' ] } @ARGV;
my $rounds = 5;

my @nodes = two_servers(q{SELECT 1}, conf => "autovacuum = off\njit = off\nmax_locks_per_transaction = 1000\nmax_wal_size = 4GB\n");
my ($blue, $green) = @nodes;
my @sessions = map { DocumentdbUpgrade::Session->new($_) } @nodes;

sub on_both
{
	my $statement = shift;
	my @answers;

	$_->start($statement) foreach @sessions;
	foreach my $session (@sessions)
	{
		my $result = $session->finish;
		$result->{ok} or die "failed: $result->{stderr}\n";
		push @answers, $result->{stdout};
	}
	$answers[0] eq $answers[1] or die "they differ: @answers\n";
	return;
}

sub compare_workers
{
	my ($workers, $tables) = @_;
	differences($blue, $green, workers => $workers, tables => $tables) eq '' or die "there are differences\n";
	return;
}

foreach my $rows (@$sizes)
{
	sql($_, "CREATE TABLE t$rows AS SELECT i AS id, md5(i::text) AS name, i * 0.01 AS amount, 'status ' || i % 10 AS status,
		'2026-01-01'::timestamptz + i * interval '1 s' AS at FROM generate_series(1, $rows) i;
		ALTER TABLE t$rows ADD PRIMARY KEY (id); VACUUM ANALYZE t$rows") foreach @nodes;
	my %times;
	foreach my $round (1 .. $rounds)
	{
		push @{ $times{one} }, milliseconds(sub { compare_workers(1, "ARRAY['public.t$rows']") });
		push @{ $times{two} }, milliseconds(sub { compare_workers(2, "ARRAY['public.t$rows']") });
		push @{ $times{md5} }, milliseconds(sub { on_both("SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM t$rows t") });
	}
	foreach my $way (qw(one two))
	{
		result("`compare_with()` of a table of $rows rows, workers: $way", median(@{ $times{$way} }), 'ms',
			peer => '`md5(string_agg(t::text, \'\' ORDER BY id))` on both at once', theirs => median(@{ $times{md5} }));
	}
	points('parity', $_, [ $rows, 1000 * $rows / median(@{ $times{$_} }) ]) foreach sort keys %times;
}

# The statements alone, one after the other in a session of each server.
foreach my $number (@$numbers)
{
	sql($_, "CREATE SCHEMA s$number; DO \$\$ BEGIN FOR n IN 1 .. $number LOOP
		EXECUTE format('CREATE TABLE s$number.t%s AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 20) i', n);
		EXECUTE format('ALTER TABLE s$number.t%s ADD PRIMARY KEY (id)', n);
		IF n % 500 = 0 THEN COMMIT; END IF;
		END LOOP; END \$\$; ANALYZE") foreach @nodes;
	my $statements = sub {
		on_both("DO \$\$ DECLARE sum text; BEGIN FOR n IN 1 .. $number LOOP
			EXECUTE format('SELECT documentdb_upgrade.columns_checksum(NULL::s$number.t%s, id, name) FROM s$number.t%s', n, n) INTO sum;
			END LOOP; END \$\$");
	};
	my (@ours, @theirs);
	foreach my $round (1 .. 3)
	{
		push @ours, milliseconds(sub { differences($blue, $green, schemas => "ARRAY['s$number']") eq '' or die "there are differences\n" });
		push @theirs, milliseconds($statements);
	}
	result("`compare_with()` of $number tables of 20 rows", median(@ours), 'ms', peer => 'the statements alone, on both at once',
		theirs => median(@theirs), goal => 'at most 2 x', met => median(@ours) <= 2 * median(@theirs));
}
$_->quit foreach @sessions;
pass('came to its end');
done_testing();
