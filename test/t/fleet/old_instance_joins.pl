# An instance with an old binary that joins when the schema is new already is
# found within one report interval, shown, and said once.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $p = fleet_primary('p', binary => '1.2');
my $a = add_standby($p, 'a');
wait_for_standbys($p, a => 'ready');
set_and_reload($p, 'documentdb_upgrade.desired_schema_version', 'auto');
wait_for_state($p, 'up_to_date');
has_schema($a, '1.2');

# Directly, and below a standby: each is found as fast.
foreach my $case ([ 'b', $p, 1 ], [ 'c', $a, 2 ])
{
	my ($name, $upstream, $depth) = @$case;
	my $offset = -s $p->logfile;
	my $joined = add_standby($upstream, $name, binary => '1.1', backup_of => $p);

	wait_for_standbys($p, a => 'ready', $name => 'old_binary');
	ok(comes_true($p, "SELECT installed_version = '1.2' FROM documentdb_upgrade.standbys WHERE name = '$name'"), "$name: it has replayed all");
	is(sql($p, qq{SELECT depth, required, installed_version, binary_version, problem ~ '1.1' AND problem ~ '1.2' FROM documentdb_upgrade.standbys WHERE name = '$name'}),
		"$depth|t|1.2|1.1|t", "$name: an old instance is shown with its versions");
	my $sender = sql($upstream, "SELECT backend_start FROM pg_stat_replication WHERE application_name = '$name'");
	my $reported = sql($p, "SELECT min(reported_at) < '$sender'::timestamptz + (SELECT setting::int * interval '1 ms' FROM pg_settings WHERE name = 'documentdb_upgrade.standby_report_timeout') FROM documentdb_upgrade.standbys WHERE name = '$name'");
	ok($reported eq 't', "$name: within one report interval") if $depth == 1;
	wait_for_state($p, 'verifying', qr/"$name"/);

	wait_for_report($p, $joined) foreach 1 .. 3;
	is(count_logged($p, qr/DETAIL:  .*"$name" has binary "1\.1"/, $offset), 1, "$name: the primary's log has it once");
	is(count_logged($p, qr/finalizing/, $offset), 0, "$name: nothing is tried");
	raise_binary($joined, '1.2');
	wait_for_standbys($p, a => 'ready', $name => 'ready');
	wait_for_state($p, 'up_to_date');
	$joined->stop;
	wait_for_standbys($p, a => 'ready');
}
is(attempts($p), '1.0 1.2 succeeded worker', 'one attempt there was');

done_testing();
