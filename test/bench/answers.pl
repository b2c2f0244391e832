# How fast the worker answers the server while a watch is open.  Run by
# test/bench/run; the argument is the number of rounds.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Bench;
use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Cluster;
use Test::More;

my ($rounds) = @ARGV;

# From pg_ctl reload until the worker shows the other source in status.
sub reload_times
{
	my ($node, $api) = @_;
	my $session = DocumentdbUpgrade::Session->new($node);
	my @times;

	foreach my $round (1 .. $rounds)
	{
		wait_for_watch($api);
		$session->run(q{ALTER SYSTEM SET documentdb_upgrade.source = 'setting'});
		push @times, milliseconds(sub { $session->run(q{SELECT pg_reload_conf(); SELECT await_source('setting')}) });
		$session->run(q{ALTER SYSTEM RESET documentdb_upgrade.source});
		$session->run(q{SELECT pg_reload_conf(); SELECT await_source('kubernetes')});
	}
	$session->quit;
	return @times;
}

# A fast stop with an open watch, and one without our library, in turns.
sub stop_times
{
	my ($node, $api) = @_;
	my (@with, @without);

	foreach my $round (1 .. $rounds)
	{
		wait_for_watch($api);
		sql($node, 'CHECKPOINT');
		push @with, await_down($node, 'INT');

		$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
		$node->start;
		sql($node, 'CHECKPOINT');
		push @without, await_down($node, 'INT');

		$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'documentdb_upgrade'});
		$node->start;
	}
	return (median(@with), median(@without));
}

# From the end of recovery, as a session sees it, until the worker has read its
# source as that of a primary.
sub promotion_times
{
	my ($primary, $count) = @_;
	my @times;

	foreach my $round (1 .. $count)
	{
		my $standby = DocumentdbUpgrade::Node->new("standby$round", install_path => $primary->install_path);

		$primary->backup("base$round");
		$standby->init_from_backup($primary, "base$round", has_streaming => 1);
		$standby->start;
		$primary->wait_for_catchup($standby);
		worker_pid($standby);
		my $session = DocumentdbUpgrade::Session->new($standby);
		$session->start('SELECT await_promotion()');
		$standby->promote;
		push @times, $session->finish->{stdout};
		$session->quit;
		$standby->stop('immediate');
	}
	return @times;
}

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = bench_node('answers', $api, 1, streaming => 1, conf => "documentdb_upgrade.poll_interval = '1h'\n");

# They look once a millisecond.
sql($node, q{
	CREATE FUNCTION await_source(wanted text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		WHILE (SELECT source <> wanted FROM documentdb_upgrade.status) LOOP PERFORM pg_sleep(0.001); END LOOP;
	END $$;
	CREATE FUNCTION await_promotion() RETURNS float LANGUAGE plpgsql AS $$
	DECLARE promoted timestamptz;
	BEGIN
		WHILE pg_is_in_recovery() LOOP PERFORM pg_sleep(0.001); END LOOP;
		promoted := clock_timestamp();
		WHILE (SELECT last_contact IS NULL FROM documentdb_upgrade.status) LOOP PERFORM pg_sleep(0.001); END LOOP;
		RETURN 1000 * extract(epoch FROM clock_timestamp() - promoted);
	END $$;});
wait_for_status($node, sub { $_[0]->{state} eq 'update_available' }, 'the resource is read');

my @reloads = reload_times($node, $api);
result("a reload until it is followed, watch open, median of $rounds", median(@reloads), 'ms');
result('the longest of them', (sort { $b <=> $a } @reloads)[0], 'ms');
my ($with, $without) = stop_times($node, $api);
result("a fast stop, watch open, medians of $rounds", $with, 'ms', peer => 'without the library', theirs => $without);
my @promotions = promotion_times($node, 5);
result('the end of recovery until the source is read, median of ' . @promotions, median(@promotions), 'ms');

pass('came to its end');
done_testing();
