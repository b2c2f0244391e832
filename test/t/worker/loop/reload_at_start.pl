# A reload at the moment when a worker starts: the server loses the signal on a
# process that it has just forked, and the worker goes by the new settings all the same.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(worker_pid);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = $ENV{DU_RELOADS} // 30;
my $node = worker_node('main');
my $postmaster = $node->{_pid};
my @missed;

# The worker ends itself for a setting of the database, and comes back at once.  Some of
# the reloads meet it between fork and first instruction.
foreach my $round (1 .. $rounds)
{
	my $desired = $round % 2 ? '1.0' : '';
	my $worker = worker_pid($node);

	$node->append_conf('postgresql.auto.conf', "documentdb_upgrade.desired_schema_version = '$desired'");
	sql($node, "ALTER DATABASE postgres SET work_mem = '${round}MB'");
	usleep(1000 * ($round % 15));
	kill 'HUP', $postmaster;
	comes_true($node, "SELECT worker_pid <> $worker AND desired = '$desired' FROM documentdb_upgrade.status") or push @missed, $round;
	last if @missed;
}
is("@missed", '', 'each reload is followed');
done_testing();
