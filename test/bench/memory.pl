# What much trouble leaves in the worker's memory.  Run by test/bench/run; the
# argument is how many of each kind.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Bench;
use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my ($many) = @ARGV;

my $wishes = 0;

sub follows
{
	my ($node, $api, $name) = @_;
	my $wish = sprintf '77.%d.0', ++$wishes;

	$api->patch_spec('db1', schemaVersion => $wish);
	wait_for_status($node, sub { ($_[0]->{desired} // '') eq $wish }, "after $name the worker follows")->{desired} eq $wish
	  or die "the worker does not follow\n";
	return;
}

# What a worker that has grown up gains in kB while that many of something
# happen to it; it must follow after that.
sub growth
{
	my ($node, $api, $name, $code) = @_;
	my $pid = worker_pid($node);
	my $before = memory_of($pid);

	$code->();
	follows($node, $api, $name);
	worker_pid($node) == $pid or die "the worker was another one\n";
	return memory_of($pid) - $before;
}

sub failed_polls
{
	my ($node, $api, $count) = @_;

	$api->fault(method => 'GET', path => '/dbs/db1$', watch => 0, times => $count + 1000, status => 500);
	sql($node, "SELECT poll_in_vain($count)");

	# So many failures in a row have made it patient.
	$api->clear_faults;
	sql($node, 'SELECT documentdb_upgrade.tick()');
	wait_for_watch($api);
	return;
}

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = bench_node('memory', $api, 1);

# One read after the other.
sql($node, q{
	CREATE FUNCTION poll_in_vain(wanted bigint) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE failures bigint := (SELECT source_failures FROM documentdb_upgrade_internal.worker_counters());
	BEGIN
		FOR n IN 1 .. wanted LOOP
			PERFORM documentdb_upgrade.tick();
			WHILE (SELECT source_failures < failures + n FROM documentdb_upgrade_internal.worker_counters()) LOOP
				PERFORM pg_sleep(0.0005);
			END LOOP;
		END LOOP;
	END $$});
wait_for_watch($api);
$api->flood('db1', 500);
failed_polls($node, $api, 500);
follows($node, $api, 'a start');
result("memory of the worker after $many watch events", growth($node, $api, 'many events', sub { $api->flood('db1', $many) }), 'kB more');
wait_for_watch($api);
result("memory of the worker after $many failed polls", growth($node, $api, 'many failed polls', sub { failed_polls($node, $api, $many) }), 'kB more');

pass('came to its end');
done_testing();
