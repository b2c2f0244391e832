
=pod

=head1 NAME

DocumentdbUpgrade::Story::Actions - what can happen in a story

=head1 SYNOPSIS

  my $outcome = act($world, 'raise', 'a', '1.1');

=head1 DESCRIPTION

One function for each action, "do_" and its name: those of people here, those of trouble with
processes, servers and room in DocumentdbUpgrade::Story::Trouble.  It changes the servers and
the facts, and gives back in a few words what came of it; "nothing: why" where there was
nothing to do.  What must never come of it dies.

=cut

package DocumentdbUpgrade::Story::Actions;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Story::Model;
use DocumentdbUpgrade::Story::Trouble;
use DocumentdbUpgrade::Story::World qw(nothing outcome);
use DocumentdbUpgrade::Test;
use Exporter 'import';

our @EXPORT = qw(act);

# What a person may be told of a finalize or a rehearsal that is refused, whatever is in
# the way: guards, no such version or path, locks, another upgrade, a time limit.
my $refusals = qr/^(?:55000|0A000|55P03|55006|57014|53400|40P01)$/;

=pod

=head1 FUNCTIONS

=over

=item act(world, name, @words)

=back

=cut

sub act
{
	my ($world, $name, @words) = @_;
	my $code = DocumentdbUpgrade::Story::Trouble->can("do_$name") // __PACKAGE__->can("do_$name") or die "there is no action \"$name\"\n";

	foreach my $word (@words)
	{
		return "nothing: there is no server $word" if $word =~ /^[a-c]$/ && !$world->{facts}{servers}{$word};
	}
	return $code->($world, @words) // 'done';
}

#
# Binaries and wishes
#

sub do_raise
{
	my ($world, $name, $version) = @_;
	my $server = $world->server($name);

	return nothing('it has it') if $server->{binary} eq $version;
	raise_binary($world->node($name), $version);
	$server->{binary} = $version;
	return;
}

sub do_desire
{
	my ($world, $wish) = @_;
	my $facts = $world->{facts};

	$wish = '' if $wish eq 'nothing';
	return nothing('it is desired') if $facts->{desired}{ $facts->{source} } eq $wish;
	return nothing('that is not to be changed now') if $facts->{trouble}{ $facts->{source} };
	$facts->{desired}{ $facts->{source} } = $wish;
	if ($facts->{source} eq 'setting') { $world->set_everywhere('documentdb_upgrade.desired_schema_version', $wish); }
	elsif ($facts->{source} eq 'file') { $world->write_wish($wish); }
	else { $world->{api}->patch_spec('db1', schemaVersion => $wish =~ /^1/ ? "$wish.0" : $wish); }
	return;
}

sub do_source
{
	my ($world, $source) = @_;

	return nothing('it is that') if $world->{facts}{source} eq $source;
	return nothing('some of them cannot be told') if grep { $_->{frozen} } values %{ $world->{facts}{servers} };
	$world->{facts}{source} = $source;
	$world->set_everywhere('documentdb_upgrade.source', $source);
	return;
}

sub do_trouble
{
	my ($world, $what, $how) = @_;
	my ($source, $begins) = ($what eq 'api' ? 'kubernetes' : 'file', $how eq 'begins' ? 1 : 0);
	my $facts = $world->{facts};

	return nothing('there is no API server') if $what eq 'api' && !$world->{api};
	return nothing('so it is') if ($facts->{trouble}{$source} // 0) == $begins;
	$facts->{trouble}{$source} = $begins;
	if ($what eq 'file') { $world->write_wish($begins ? '{"kind": ' : $facts->{desired}{file}); }
	elsif ($begins) { $world->{api}->go_down; }
	else { $world->{api}->come_up; }
	return;
}

my %faults = (
	errors => sub { $_[0]->fault(times => 5, status => 500) },
	throttled => sub { $_[0]->fault(times => 3, status => 429, headers => { 'Retry-After' => '1' }) },
	cut => sub { $_[0]->fault(times => 3, cut => 20, then => 'close') },
	reset => sub { $_[0]->fault(times => 3, instead => 'reset'); $_[0]->watch_stop('reset') },
	stalled => sub { $_[0]->watch_stop('end'); $_[0]->fault(times => 2, wait => 1) },
	forgets => sub { $_[0]->flood('db1', 50); $_[0]->compact; $_[0]->watch_stop('reset') },
	token => sub { $_[0]->rotate_token; $_[0]->drop_connections },
	certificate => sub { $_[0]->new_authority; $_[0]->drop_connections });

sub do_api
{
	my ($world, $what) = @_;

	return nothing('there is no API server') unless $world->{api};
	return nothing('it is down') if $world->{facts}{trouble}{kubernetes};
	$faults{$what}->($world->{api});
	return;
}

#
# People
#

my %statements = (
	sql => sub { "SELECT documentdb_upgrade.finalize_to('$_[0]')" },
	call => sub { "CALL documentdb_upgrade.run_finalize_to('$_[0]')" },
	detached => sub { "SELECT documentdb_upgrade.finalize_detached('$_[0]')" },
	alter => sub { "SET lock_timeout = '500ms'; ALTER EXTENSION thing UPDATE TO '$_[0]'" });

# A writer that was not given the processor may hold its lock for too long, or the
# worker may be looking just now.
sub patiently
{
	my ($world, $verdict, $sql) = @_;
	my $result;

	foreach my $try (1 .. 5)
	{
		$result = $world->ask($sql);
		last if $verdict eq 'refused' || $result->{ok} || ($result->{sqlstate} // '') !~ /^(?:55P03|55006|40P01)$/;
	}
	return $result;
}

sub do_finalize
{
	my ($world, $how, $target) = @_;
	my $facts = $world->{facts};

	$target = $world->server('primary')->{binary} if $target eq 'binary';
	my $verdict = verdict($facts, $how, $target);
	my $result = patiently($world, $verdict, $statements{$how}->($target));

	die "finalize by $how to $target was to be $verdict: @{[ outcome($result) ]}: $result->{stderr}\n"
	  if $result->{ok} != ($verdict eq 'passes');
	die "finalize by $how to $target is refused in a strange way: $result->{stderr}\n"
	  if !$result->{ok} && ($result->{sqlstate} // '') !~ $refusals && ($result->{message} // '') !~ /has no update path|no update script/;
	$facts->{installed} = $target if $result->{ok} && minor($target) > minor($facts->{installed});
	return outcome($result);
}

sub do_hold
{
	my ($world) = @_;

	return nothing('there is one') if $world->{facts}{held};
	my $result = $world->ask(q{SELECT documentdb_upgrade.hold('a story')});
	die "no hold: $result->{stderr}\n" unless $result->{ok};
	$world->{facts}{held} = 1;
	return;
}

sub do_release
{
	my ($world) = @_;

	return nothing('there is no hold') unless $world->{facts}{held};
	my $result = $world->ask('SELECT documentdb_upgrade.release()');
	die "no release: $result->{stderr}\n" unless $result->{ok};
	$world->{facts}{held} = 0;
	return;
}

sub do_fence
{
	my ($world) = @_;

	return nothing('there is one') if $world->{facts}{fenced};
	return nothing('no worker moves there') if $world->server('primary')->{stalled};
	my $result = $world->ask(q{SELECT documentdb_upgrade.fence_writes('a story', '1 s')});
	die "no fence: $result->{stderr}\n" unless $result->{ok};
	$world->{facts}{fenced} = 1;
	return;
}

sub do_lift
{
	my ($world) = @_;

	return nothing('there is no fence') unless $world->{facts}{fenced};
	my $result = $world->ask('SELECT documentdb_upgrade.lift_fence()');
	die "the fence cannot be lifted: $result->{stderr}\n" unless $result->{ok};
	$world->{facts}{fenced} = 0;
	$world->excuse('fence');
	return;
}

# A window that is shut: of a day, the last one that has been.
sub do_window
{
	my ($world, $how) = @_;
	my $shut = $how eq 'shut' ? 1 : 0;

	return nothing('so it is') if ($world->{facts}{shut} // 0) == $shut;
	return nothing('some of them cannot be told') if grep { $_->{frozen} } values %{ $world->{facts}{servers} };
	my $day = (qw(Sun Mon Tue Wed Thu Fri Sat))[ ((gmtime)[6] + 3) % 7 ];
	$world->{facts}{shut} = $shut;
	$world->set_everywhere('documentdb_upgrade.maintenance_window', $shut ? "$day 02:00-02:30 UTC" : '');
	return;
}

# Scripts wait for something that does not come, or for a reader of the table.
my %obstacles = (
	gate => 'SELECT pg_advisory_lock(42)',
	table => 'BEGIN; LOCK TABLE thing IN ACCESS SHARE MODE');

sub obstacle
{
	my ($world, $what, $how) = @_;
	my $shut = $how eq 'shut' ? 1 : 0;

	return nothing('so it is') if ($world->{facts}{$what} // 0) == $shut;
	if ($shut) { $world->session($what, $obstacles{$what}) or die "no session with the primary\n"; }
	else { $world->close_session($what); }
	$world->{facts}{$what} = $shut;
	return;
}

sub do_gate { my ($world, $how) = @_; return obstacle($world, 'gate', $how); }
sub do_table { my ($world, $how) = @_; return obstacle($world, 'table', $how); }

# An update that somebody commits later, from another session.  Until then it has its locks,
# whatever becomes of the server.
sub do_prepare
{
	my ($world, $target) = @_;
	my $facts = $world->{facts};

	return nothing('there is one') if $facts->{prepared};
	return nothing('it is installed') if $target eq $facts->{installed};
	my $verdict = verdict($facts, 'alter', $target);
	my $result = patiently($world, $verdict, "SET lock_timeout = '500ms'; BEGIN; ALTER EXTENSION thing UPDATE TO '$target'; PREPARE TRANSACTION 'to $target'");

	die "to prepare an update to $target was to be $verdict: @{[ outcome($result) ]}: $result->{stderr}\n"
	  if $result->{ok} != ($verdict eq 'passes');
	$facts->{prepared} = $target if $result->{ok};
	return outcome($result);
}

sub do_settle
{
	my ($world, $how) = @_;
	my $facts = $world->{facts};
	my $target = $facts->{prepared} or return nothing('nothing is prepared');
	my $result = $world->ask("\U$how\E PREPARED 'to $target'");

	die "what was prepared cannot be settled by $how: $result->{stderr}\n" unless $result->{ok};
	$facts->{prepared} = '';
	$facts->{installed} = $target if $how eq 'commit';
	return;
}

sub do_rehearse
{
	my ($world, $where) = @_;
	my $scratch = $where eq 'scratch' ? 'true' : 'false';

	# Every process of a server has to let go of a database before it is dropped, there and in
	# the replay of standbys: the server waits for one that is stopped.
	return nothing('a worker is stopped') if $where eq 'scratch' && grep { $_->{stalled} } values %{ $world->{facts}{servers} };
	my $result = $world->ask("SELECT outcome FROM documentdb_upgrade.rehearse(scratch => $scratch)");

	die "a rehearsal fails in a strange way: $result->{stderr}\n" if !$result->{ok} && ($result->{sqlstate} // '') !~ $refusals;
	return $result->{ok} ? $result->{stdout} : outcome($result);
}

sub do_compare
{
	my ($world, $with) = @_;

	return nothing('its table is locked') if $world->{facts}{prepared};
	if ($with eq 'alone')
	{
		my $result = $world->ask(q{SELECT count(*) FROM documentdb_upgrade.table_checksums('{public}')});
		die "no checksums: $result->{stderr}\n" unless $result->{ok};
		return "$result->{stdout} tables";
	}
	return nothing('that one is the primary') if $with eq $world->{facts}{primary};
	return nothing('it does not hear the primary') unless hears($world->{facts}, $with);
	my $node = $world->node($with);
	$world->primary->wait_for_catchup($node, 'replay', sql($world->primary, 'SELECT pg_current_wal_insert_lsn()')) if $world->{facts}{servers}{$with}{upstream} eq $world->{facts}{primary};
	my $result = $world->ask("SELECT kind, object_name, difference, detail FROM documentdb_upgrade.compare_with(\$\$" . $node->connstr('postgres') . "\$\$, tables => '{public.thing}')");
	die "no comparison: $result->{stderr}\n" unless $result->{ok};
	die "a standby differs from its primary: $result->{stdout}\n" if $result->{stdout} =~ /^(?:table|row)/m;
	return $result->{stdout} eq '' ? 'equal' : $result->{stdout};
}

1;
