
=pod

=head1 NAME

DocumentdbUpgrade::Story::Trouble - what befalls the servers of a story

=head1 DESCRIPTION

The part of DocumentdbUpgrade::Story::Actions that is about processes that are killed and
stopped, servers that go, come and change their places, and what has room for no more.

=cut

package DocumentdbUpgrade::Story::Trouble;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Clock;
use DocumentdbUpgrade::Connection;
use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Story::Link;
use DocumentdbUpgrade::Story::Model;
use DocumentdbUpgrade::Story::World qw(nothing outcome within);
use DocumentdbUpgrade::Test;

# More than a primary has for anybody.
use constant MOST_CONNECTIONS => 60;

#
# Processes and servers
#

my %processes = (
	(map { $_ => "backend_type = 'documentdb_upgrade $_'" } qw(worker launcher attempt)),
	replication => "backend_type IN ('walsender', 'walreceiver')",
	checkpointer => "backend_type = 'checkpointer'");

sub do_kill
{
	my ($world, $name, $what) = @_;
	my $server = $world->server($name);
	my $node = $world->node($name);

	return nothing('it does not run') if !$server->{up} || $server->{frozen};
	return nothing('its worker is stopped') if $server->{stalled};
	return crash($world, $name) if $what eq 'postmaster';
	my $session = DocumentdbUpgrade::Connection->new($node, dbname => 'postgres') or die "$name takes no session\n";
	my $result = $session->run($what eq 'session' ? 'SELECT pg_backend_pid()' : "SELECT pid FROM pg_stat_activity WHERE $processes{$what} ORDER BY pid LIMIT 1");
	chomp(my $pid = $result->{stdout});
	if ($pid !~ /^\d+$/)
	{
		$session->close;
		return nothing("there is no $what");
	}
	lose($world, $name);
	kill 'KILL', $pid;

	# It ends all others, this session among them.
	within(sub { $session->run('SELECT 1')->{lost} }) or die "a server goes on after its $what was killed\n";
	return;
}

# What a server that restarts takes with it.
sub lose
{
	my ($world, $name) = @_;

	return if $world->named($name) ne $world->{facts}{primary};
	$world->forget_sessions;
	$world->excuse('lost');
	return;
}

# The postmaster alone: what it leaves behind has to end by itself.
sub crash
{
	my ($world, $name) = @_;
	my $node = $world->node($name);
	my ($postmaster, @children) = $world->children($world->named($name));

	lose($world, $name);
	$node->kill9;
	$world->server($name)->{up} = 0;
	within(sub { !grep { kill 0, $_ } @children }) or die "processes of $name stay when its postmaster is gone: @{[ grep { kill 0, $_ } @children ]}\n";
	start($world, $name);
	return;
}

sub start
{
	my ($world, $name) = @_;
	my $server = $world->server($name);
	my $node = $world->node($name);

	within(sub { $node->start(fail_ok => 1) }) or die "server $name does not start\n";
	@$server{qw(up stalled)} = (1, 0);
	return;
}

# A stopped process would not let the server end.
sub stop
{
	my ($world, $name, $mode) = @_;
	my $server = $world->server($name);

	kill 'CONT', $world->children($world->named($name));
	lose($world, $name);
	$world->node($name)->stop($mode);
	@$server{qw(up stalled frozen)} = (0, 0, 0);
	return;
}

sub do_restart
{
	my ($world, $name, $mode) = @_;

	return nothing('it does not run') if !$world->server($name)->{up} || $world->server($name)->{frozen};
	stop($world, $name, $mode);
	start($world, $name);
	return;
}

sub do_down
{
	my ($world, $name) = @_;

	return nothing('it is the primary') if $name eq $world->{facts}{primary};
	return nothing('it is down') unless $world->server($name)->{up};
	stop($world, $name, 'immediate');
	return;
}

sub do_up
{
	my ($world, $name) = @_;
	my $server = $world->server($name);

	return nothing('it is up') if $server->{up};

	# A standby cannot be rewound before it has recovered, and does that only as one.
	start($world, $name);
	return unless delete $server->{behind};
	join_again($world, $name);
	$world->slots_of($name);
	return;
}

sub do_stall
{
	my ($world, $name) = @_;
	my $server = $world->server($name);

	return nothing('it does not run') if !$server->{up} || $server->{frozen};
	return nothing('it is stopped') if $server->{stalled};
	my $pid = within(sub { try_sql($world->node($name), "SELECT pid FROM pg_stat_activity WHERE $processes{worker}")->{stdout} })
	  or die "there is no worker on $name\n";

	# Not in the middle of a transaction, where it may have a lock that others wait for.
	kill 'STOP', $pid;
	my $locks = "SELECT count(*) FROM pg_locks WHERE pid = $pid AND locktype <> 'virtualxid'";
	within(sub {
		return 1 if sql($world->node($name), $locks) eq '0';
		kill 'CONT', $pid;
		kill 'STOP', $pid;
		return 0;
	}) or die "the worker of $name has locks all the time\n";
	$server->{stalled} = 1;
	return;
}

sub do_resume
{
	my ($world, $name) = @_;
	my $server = $world->server($name);

	return nothing('it goes on') unless $server->{stalled};
	kill 'CONT', $world->children($world->named($name)) unless $server->{frozen};
	$server->{stalled} = 0;
	return;
}

sub do_freeze
{
	my ($world, $name) = @_;
	my $server = $world->server($name);

	return nothing('it is the primary') if $name eq $world->{facts}{primary};
	return nothing('it does not run') if !$server->{up} || $server->{frozen};

	# First the one that would start others.
	kill 'STOP', $_ foreach $world->children($world->named($name));
	kill 'STOP', $_ foreach $world->children($world->named($name));
	$server->{frozen} = 1;
	return;
}

sub do_thaw
{
	my ($world, $name) = @_;
	my $server = $world->server($name);

	return nothing('it goes on') unless $server->{frozen};
	@$server{qw(frozen stalled)} = (0, 0);
	kill 'CONT', reverse $world->children($world->named($name));
	return;
}

# The clock of one server is set an hour ahead, and back.
sub do_clock
{
	my ($world, $name, $how) = @_;
	my $server = $world->server($name);
	my $ahead = $how eq 'ahead' ? 1 : 0;

	return nothing('clocks cannot be set here') unless clock_works();
	return nothing('so it is') if ($server->{ahead} // 0) == $ahead;
	set_clock($world->node($name), $ahead ? 3600 : 0);
	$server->{ahead} = $ahead;
	return;
}

sub do_cut
{
	my ($world, $name) = @_;

	return nothing('it is the primary') if $name eq $world->{facts}{primary};
	return nothing('it is cut off') if $world->server($name)->{cut};
	$world->{links}{$name}->cut;
	$world->server($name)->{cut} = 1;
	return;
}

sub do_heal
{
	my ($world, $name) = @_;

	return nothing('nothing is cut') unless $world->server($name)->{cut};
	$world->{links}{$name}->heal;
	$world->server($name)->{cut} = 0;
	return;
}

# A standby takes over, and everybody follows it.  Who decides such a thing gives it the
# slots of those who will follow first: until they are heard of they are waited for.
sub do_promote
{
	my ($world, $name, $how) = @_;
	my $facts = $world->{facts};
	my ($old, $servers) = ($facts->{primary}, $facts->{servers});

	return nothing('it is the primary') if $name eq $old;
	return nothing('it does not hear the primary') unless hears($facts, $name);
	do_thaw($world, $_), do_resume($world, $_) foreach $world->names;
	my $node = $world->{nodes}{$name};
	my @direct = grep { $_ ne $name && !is_below($facts, $_, $name) } $world->names;
	$servers->{$_}{upstream} = $name foreach @direct;
	my $above = delete $servers->{$name}{upstream};
	$world->slots_of($name);

	my $offset = -s $node->logfile;
	my $lsn = sql($world->primary, 'SELECT pg_current_wal_insert_lsn()');
	lose($world, $old);
	stop($world, $old, $how eq 'switchover' ? 'fast' : 'immediate');
	if ($how eq 'switchover')
	{
		within(sub { sql($node, "SELECT pg_last_wal_receive_lsn() >= '$lsn' AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()") eq 't' })
		  or die "$name never gets what its primary wrote\n";
	}
	else { $world->excuse('back'); }
	$facts->{primary} = $name;
	(delete $world->{links}{$name})->stop;
	$servers->{$name}{cut} = 0;
	$node->promote;
	within(sub { sql($node, 'SELECT pg_is_in_recovery()') eq 'f' }) or die "$name is never promoted\n";
	$world->{probe}->follow($node);

	# A failover may have lost what was prepared, or that it was settled.
	my $prepared = sql($node, q{SELECT gid FROM pg_prepared_xacts}) =~ s/^to //r;
	die "a switchover has lost what was prepared\n" if $how eq 'switchover' && $prepared ne ($facts->{prepared} // '');
	$facts->{prepared} = $prepared;

	# Each may have more than the new primary, or less.
	foreach my $other (@direct)
	{
		if (!$servers->{$other}{up} && $other ne $old)
		{
			(delete $world->{links}{$other})->stop;
			$servers->{$other}{cut} = 0;
			$servers->{$other}{behind} = 1;
			next;
		}
		join_again($world, $other);
	}

	# Only now nobody streams any more from whom he streamed before.
	$world->slots_of($_) foreach grep { $servers->{$_}{up} } $world->names;
	return;
}

sub is_below
{
	my ($facts, $name, $above) = @_;

	for (my $at = $facts->{servers}{$name}{upstream}; defined $at; $at = $facts->{servers}{$at}{upstream})
	{
		return 1 if $at eq $above;
	}
	return 0;
}

# A server becomes a standby of the one that it is below, by pg_rewind.
sub join_again
{
	my ($world, $name) = @_;
	my ($server, $node) = ($world->server($name), $world->{nodes}{$name});
	my $source = $world->{nodes}{ $server->{upstream} };

	stop($world, $name, 'fast') if $server->{up};
	my $link = $world->{links}{$name} = DocumentdbUpgrade::Story::Link->new($source);
	rewind_to($node, $source, slot => 1, conninfo => $link->conninfo);
	@$server{qw(up cut stalled frozen)} = (1, 0, 0, 0);
	return;
}

#
# What has room for no more
#

my %full = (workers => \&full_workers, connections => \&full_connections, locks => \&full_locks, disk => \&full_disk);

sub do_full { my ($world, $what) = @_; return $full{$what}->($world); }

sub full_workers
{
	my ($world) = @_;
	my $node = $world->primary;

	foreach my $number (1, 16)
	{
		stop($world, 'primary', 'fast');
		$node->append_conf('postgresql.conf', "max_worker_processes = $number\nmax_logical_replication_workers = " . ($number > 1 ? 4 : 0));
		start($world, 'primary');
		next if $number > 1;
		within(sub { sql($node, q{SELECT worker_pid IS NULL AND next_step ~ '^.' FROM documentdb_upgrade.status}) eq 't' }) or die "status does not answer without a worker\n";
	}
	return;
}

sub full_connections
{
	my ($world) = @_;
	my @sessions;

	while (my $session = DocumentdbUpgrade::Connection->new($world->primary, dbname => 'postgres', user => 'app'))
	{
		push @sessions, $session;
		die "there is no end of connections\n" if @sessions > MOST_CONNECTIONS;
	}
	my $answers = within(sub { try_sql($world->primary, 'SELECT state FROM documentdb_upgrade.status')->{ok} });
	$_->close foreach @sessions;
	die "a superuser finds no connection\n" unless $answers;
	return scalar(@sessions) . ' sessions';
}

sub full_locks
{
	my ($world) = @_;
	my $session = DocumentdbUpgrade::Connection->new($world->primary, dbname => 'postgres') or die "no session with the primary\n";

	$world->excuse('full');
	my $result = $session->run('SELECT count(pg_advisory_lock(1000 + n)) FROM generate_series(1, 1000000) n', verbose => 1);
	die "the lock table is never full: $result->{stderr}\n" unless $result->{stderr} =~ /53200/;
	my $answer = $world->ask("SELECT documentdb_upgrade.finalize_to('@{[ $world->server('primary')->{binary} ]}')");
	$session->close;

	# There may be enough for it: what ends it must not be half done, and that is seen later.
	$world->{facts}{installed} = $world->server('primary')->{binary} if $answer->{ok};

	# What fails for want of a lock is not repeated by itself.
	within(sub { try_sql($world->primary, 'SELECT documentdb_upgrade.retry()')->{ok} }) or die "retry() does not come back\n";
	return outcome($answer);
}

# A server may not survive that, and must not start before there is room again.
sub full_disk
{
	my ($world) = @_;
	my $disk = $world->small_disk('primary') // return nothing('no small disk could be mounted');
	my $node = $world->primary;
	my $ballast = "$disk/ballast";

	# By twos: what is left last is a single page.
	$world->excuse('full', 'lost');
	foreach my $size (1 << 20, 1 << 12)
	{
		open my $file, '>>', $ballast or die "could not open a file: $!\n";
		while (syswrite $file, "x" x $size) { }
		close $file;
	}
	my $answer = $world->ask("SELECT documentdb_upgrade.finalize_to('@{[ $world->server('primary')->{binary} ]}')");
	$world->{facts}{installed} = $world->server('primary')->{binary} if $answer->{ok};
	unlink $ballast or die "could not remove a file: $!\n";

	# What the session was not told may be committed all the same.
	my $alive = within(sub {
		return 1 if try_sql($node, 'SELECT documentdb_upgrade.retry()')->{ok};
		return 0 if kill 0, $node->{_pid};
		$node->{_pid} = undef;
		start($world, 'primary');
		return 0;
	});
	die "a server does not come back when its disk has room again\n" unless $alive;
	my $crashed = !grep { $_ && !$_->ended } values %{ $world->{sessions} };
	$world->forget_sessions if %{ $world->{sessions} } && $crashed;
	return outcome($answer);
}

1;
