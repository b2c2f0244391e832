# Comparisons with a server that answers wrongly, by chance, in the messages and
# in the values; both algorithms.  DU_HOSTILE_RUNS=N asks for more.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::HostileServer;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use PostgreSQL::Test::Utils;
use Test::More;

my $wanted = $ENV{DU_HOSTILE_RUNS} // 100;
my $seed = $ENV{DU_HOSTILE_SEED} // 1;
my ($blue, $green) = two_servers(q{
	CREATE TABLE keyed (id int PRIMARY KEY, v text);
	INSERT INTO keyed SELECT g, 'row ' || g FROM generate_series(1, 3000) g;
	CREATE TABLE two_keys (a text COLLATE "C", b numeric, v int, PRIMARY KEY (a, b));
	INSERT INTO two_keys SELECT 'a' || g, g / 7.0, g FROM generate_series(1, 50) g;
	CREATE TABLE plain (v text);
	INSERT INTO plain SELECT 'row ' || g % 100 FROM generate_series(1, 300) g;
	CREATE TABLE empty (v int);
	CREATE SEQUENCE s1;
	CREATE SEQUENCE s2;
	CREATE TYPE mood AS ENUM ('good', 'bad')});
my $hostile = DocumentdbUpgrade::HostileServer->new($green);
my $started = sql($blue, 'SELECT pg_postmaster_start_time()');
my @algorithms = qw(du1 sql);

sub call
{
	my ($plan, $algorithm, $workers) = @_;
	return sprintf q{SELECT count(*) FROM documentdb_upgrade.compare_with('%s', algorithm => '%s', workers => %d)}, $hostile->connstr($plan), $algorithm, $workers // 1;
}

# Recorded first.
foreach my $algorithm (@algorithms)
{
	is(sql($blue, call('faithful', $algorithm)), '0', "$algorithm: equal");
}

# All in one session, which goes on after errors.
my ($stdout, $stderr) = ('', '');
my $script = "SET statement_timeout = '${PostgreSQL::Test::Utils::timeout_default}s';\n" . join '', map { call('seed_' . ($seed + $_), $algorithms[ $_ % 2 ], 1 + ($_ % 8 == 0)) . ";\n" } 1 .. $wanted;
is($blue->psql('postgres', $script, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ], timeout => 3000), 0, 'the session lasts');
my @errors = $stderr =~ /^(?:psql:\S+ )?(?:ERROR|FATAL):  (.*)$/mg;
my %told;
$told{ substr $_, 0, 5 }++ foreach @errors;
note(scalar($hostile->faults) . ' wrong answers; ' . join(', ', map { "$_ $told{$_}" } sort keys %told));
my @finished = $stdout =~ /^\d+$/mg;
is(@finished + @errors, $wanted, 'each comparison has an end: ' . @finished . ' results, ' . @errors . ' errors');
is_deeply([ grep { /^(?:XX|57|[^0-9A-Z])/ } @errors ], [], 'no internal error, and none that had to be cancelled');
cmp_ok(scalar $hostile->faults, '>=', $wanted / 2, 'answers were wrong');
is(sql($blue, 'SELECT pg_postmaster_start_time()'), $started, 'no process of this server has crashed');
is(sql($blue, q{SELECT count(*) FROM documentdb_upgrade.parity_runs WHERE state = 'running' OR sqlstate ~ '^XX'}), '0', 'no run is left, or ended by an internal error');
processes_gone($blue, 'no process is left');
is(sql($blue, call('faithful', $_)), '0', "$_: equal as before") foreach @algorithms;

done_testing();
