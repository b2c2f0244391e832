# A failover at any moment of an attempt: the new primary converges on what is
# desired without a restart, history tells exactly what happened, and the old
# primary comes back as a standby that reports.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(wait_for_state wait_for_status);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

# The wish is that of the cluster, so each server reads the same.
my $wish = PostgreSQL::Test::Utils::tempdir() . '/desired';
append_to_file($wish, "\n");
my $x = fleet_primary('x', binary => '1.6', conf => qq{
	documentdb_upgrade.source = 'file'
	documentdb_upgrade.desired_file = '$wish'
	documentdb_upgrade.retry_min = '8s'
	documentdb_upgrade.retry_max = '8s'
});
my $y = add_standby($x, 'y');
my ($primary, $standby) = ($x, $y);
my @rows;

sub wish
{
	open my $file, '>', "$wish.new" or die "could not open: $!";
	print $file "$_[0]\n";
	close $file;
	rename "$wish.new", $wish or die "could not rename: $!";
	return;
}

# The primary is lost now: its standby takes over, reaches the version, and is
# joined by the old primary.  Rows are what history has more after that.
sub fail_over
{
	my ($name, $version, @more) = @_;
	my $worker = process_of($standby, 'worker');

	push @rows, @more;
	$primary->stop('immediate') if $primary->{_pid};
	$primary->append_conf('postgresql.conf', q{synchronous_standby_names = ''});
	$standby->promote;
	($primary, $standby) = ($standby, $primary);
	wait_for_status($primary, sub { ($_[0]->{desired} // '') eq $version && $_[0]->{state} eq 'up_to_date' }, 'the new primary converges');
	has_schema($primary, $version, "$name: the new primary has the schema of $version");
	is(process_of($primary, 'worker'), $worker, "$name: its worker is the one that it had");
	is(attempts($primary), join("\n", @rows), "$name: history has what happened");

	rewind_to($standby, $primary);
	wait_for_standbys($primary, $standby->name => 'ready');
	$primary->wait_for_catchup($standby);
	has_schema($standby, $version, "$name: and so has the old one, now a standby");
	is(sql($standby, 'SELECT role, state FROM documentdb_upgrade.status'), 'standby|standby', "$name: which knows that it is one");
	is(attempts($standby), join("\n", @rows), "$name: and has the same history");
	return;
}

sub wait_for_sync { return comes_true($primary, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'documentdb_upgrade attempt'}); }

wait_for_standbys($x, y => 'ready');

# Pending: an attempt has failed, and the next is seconds away.
set_and_reload($x, 'documentdb_upgrade.lock_timeout', '200ms');
my $gate = close_gate($x);
wish('1.1');
wait_for_state($x, 'pending', qr/tries again/);
$primary->wait_for_catchup($standby);
$gate->vanish;
fail_over('pending', '1.1', '1.0 1.1 failed worker', '1.0 1.1 succeeded worker');

# Finalizing, before the commit.
$gate = close_gate($primary);
wish('1.2');
attempt_at_gate($primary);
$primary->stop('immediate');
$gate->vanish;
fail_over('finalizing', '1.2', '1.1 1.2 succeeded worker');
is(sql($primary, 'SELECT restore_timeline FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1'), '3', 'finalizing: by the new primary');

# After the commit, and the standby has it; nobody was told.
put_setting($primary, 'synchronous_standby_names', '2 (' . $standby->name . ', nobody)');
sql($primary, 'CHECKPOINT');
wish('1.3');
ok(wait_for_sync(), 'the commit waits for one more');
$primary->wait_for_catchup($standby, 'replay', sql($primary, 'SELECT pg_current_wal_flush_lsn()'));
isnt(sql($primary, 'SELECT state FROM documentdb_upgrade.status'), 'up_to_date', 'which is not called done');
fail_over('committed, arrived', '1.3', '1.2 1.3 succeeded worker');
is(sql($primary, 'SELECT restore_timeline FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1'), '3', 'committed, arrived: by the old primary');

# After the commit, which the standby never got.
put_setting($primary, 'synchronous_standby_names', $standby->name);
sql($primary, 'CHECKPOINT');
$gate = close_gate($primary);
wish('1.4');
attempt_at_gate($primary);
stream_from($standby, $primary, conninfo => 'port=1');
ok(comes_true($primary, 'SELECT count(*) = 0 FROM pg_stat_replication'), 'the standby is cut off');
$gate->quit;
ok(wait_for_sync(), 'the commit waits for the standby');
isnt(sql($primary, 'SELECT state FROM documentdb_upgrade.status'), 'up_to_date', 'which is not called done either');
fail_over('committed, lost', '1.4', '1.3 1.4 succeeded worker');
is(sql($primary, 'SELECT restore_timeline FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1'), '5', 'committed, lost: by the new primary');

# Verifying: all has been written there, and nothing replayed.
put_setting($primary, 'synchronous_standby_names', '');
sql($standby, 'SELECT pg_wal_replay_pause()');
wish('1.5');
wait_for_state($primary, 'verifying', qr/"@{[ $standby->name ]}"/);
$primary->wait_for_catchup($standby, 'flush');
fail_over('verifying', '1.5', '1.4 1.5 succeeded worker');

# And the last one goes on as if nothing had been.
wish('1.6');
wait_for_status($primary, sub { $_[0]->{installed_version} eq '1.6' && $_[0]->{state} eq 'up_to_date' }, 'the last one is there');
has_schema($_, '1.6') foreach $primary, $standby;

done_testing();
