# Others who write while an upgrade is rehearsed see no error, and wait no
# longer than the lock_timeout and the steps.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.lock_timeout = '300ms'});
write_extension($node, 'thing', '1.1',
	'1.0' => 'CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY, n int);',
	'1.0--1.1' => 'ALTER TABLE a ADD more int DEFAULT 1; SELECT count(*) FROM generate_series(1, 500000); ALTER TABLE b ADD more int; CREATE INDEX ON a (n);');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0';
	INSERT INTO a SELECT i, 0 FROM generate_series(1, 100) i; INSERT INTO b SELECT * FROM a});

my $script = $node->basedir . '/write.sql';
append_to_file($script, q{\set i random(1, 100)
BEGIN;
UPDATE a SET n = n + 1 WHERE id = :i;
UPDATE b SET n = n + 1 WHERE id = :i;
COMMIT;
});
my ($out, $err) = ('', '');
my $log = $node->basedir . '/latency';
my @outcomes;

# Rehearsals beside writers, as often as it takes until enough have run and one
# of them has got its locks.
sub enough { return @outcomes >= 3 && grep { $_ eq 'passed' } @outcomes; }
foreach my $round (1 .. 20)
{
	my $bench = IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-c', '4', '-T', '6', '-f', $script, '-l', '--log-prefix', "$log$round",
			'postgres' ], '>', \$out, '2>', \$err, init => sub { @ENV{qw(PGHOST PGPORT PGAPPNAME)} = ($node->host, $node->port, 'pgbench') });
	my $writers = q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'};

	$node->poll_query_until('postgres', $writers, 4) or die "no writers\n";
	push @outcomes, sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse()}) while !enough() && sql($node, $writers) eq '4';
	$bench->finish;
	last if enough();
}
is($err =~ /ERROR|aborted/ ? $err : '', '', 'no writer sees an error');
cmp_ok(scalar(@outcomes), '>=', 3, 'several rehearsals ran at the same time');
cmp_ok(scalar(grep { $_ eq 'passed' } @outcomes), '>=', 1, 'some of them passed') or diag("@outcomes");
my ($worst) = sort { $b <=> $a } map { (split)[2] } map { split /\n/, slurp_file($_) } glob("$log*");
cmp_ok($worst / 1000, '<', 300 + 100 + 1000 * patience(0.7), 'nobody waited for long');
note "worst latency $worst us, rehearsals @outcomes";
is(sql($node, 'SELECT (SELECT sum(n) FROM a) = (SELECT sum(n) FROM b)'), 't', 'and nothing was lost');
is(sql($node, q{SELECT count(*) FROM pg_attribute WHERE attname = 'more'}), '0', 'nothing of the rehearsals stays');

# A reader who holds on: the rehearsal gives up, and whoever has queued behind
# it goes on then.
my ($reader, $rehearsal, $writer) = map { DocumentdbUpgrade::Session->new($node) } 1 .. 3;
my $queued = 'SELECT count(*) FROM pg_stat_activity WHERE pid IN (' . join(', ', map { $_->pid } $rehearsal, $writer) . q{) AND wait_event_type = 'Lock'};
$reader->run('BEGIN; SELECT * FROM b LIMIT 1');

# On a slow machine it may have given up before anybody has queued.
foreach my $timeout (0.3, 3, 30, 300)
{
	my $start = time;
	my $has_queued;

	$rehearsal->run('SET documentdb_upgrade.lock_timeout = ' . 1000 * $timeout);
	$rehearsal->start('SELECT outcome, sqlstate, detail FROM documentdb_upgrade.rehearse()');
	poll_until(sub { sql($node, $queued) > 0 || sql($node, q{SELECT state FROM pg_stat_activity WHERE pid = } . $rehearsal->pid) eq 'idle' }, 'it waits, or has waited');
	$writer->start('UPDATE a SET n = 0; UPDATE b SET n = 0');
	poll_until(sub { ($has_queued = sql($node, $queued) eq '2') || sql($node, q{SELECT state FROM pg_stat_activity WHERE pid = } . $writer->pid) eq 'idle' }, 'somebody queues, or is past it');
	my $result = $writer->finish;
	my $seconds = time - $start;
	my $rehearsed = $rehearsal->finish->{stdout};

	next if !$has_queued && $timeout < 300;
	ok($result->{ok}, 'who has queued behind it has no error');
	cmp_ok($seconds, '<', $timeout + patience(1.2), 'and goes on soon');
	like($rehearsed, qr/^failed\|55P03\|.*${\ $reader->pid}.*holds/, 'it says who was in the way');
	last;
}
$_->quit foreach $reader, $rehearsal, $writer;
done_testing();
