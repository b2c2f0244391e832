
=pod

=head1 NAME

DocumentdbUpgrade::Story::Invariants - what must hold after every action

=head1 SYNOPSIS

  my $check = DocumentdbUpgrade::Story::Invariants->new($world);
  my @broken = $check->after_action;
  @broken = $check->at_the_end;

=head1 DESCRIPTION

Asked from outside: by SQL, from the logs and the data directories of all servers, and by
what a client has met that writes all the time.  Each is a name and a function; a finding
is a line "name: what".

  alive      every server that is to run answers
  converges  within a bound the primary is where the Model expects it: role, versions, state
  standbys   the primary knows who is ready; each standby has the same schema, and says what
             it is
  ceiling    no worker and no function has gone above a binary that could become primary
  schema     what the extension consists of is exactly what its version says
  history    its rows lead from the first version to this one, one for each change
  states     each state is one of docs/reference.md, with a next step
  leftovers  no scratch database, prepared transaction, lock, process, file
  logs       no PANIC, no failed assertion, no signal that no story sends
  writers    a client that writes waits for a bounded time, and is refused by fences alone

=cut

package DocumentdbUpgrade::Story::Invariants;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Describe qw(describe_database);
use DocumentdbUpgrade::Story::Model;
use DocumentdbUpgrade::Story::World qw(within);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw($shape_query);
use JSON::PP ();
use List::Util qw(max);
use PostgreSQL::Test::Utils;

# How long a writer may wait that meets nothing but an upgrade: lock_timeout and what a
# script takes, with room for a machine that is busy.
use constant LONGEST_WAIT => 5;

# What every server is asked.
my $look = qq{
	SELECT jsonb_build_object(
		'status', (SELECT to_jsonb(s) FROM documentdb_upgrade.status s),
		'extversion', (SELECT extversion FROM pg_extension WHERE extname = 'thing'),
		'shape', ($shape_query),
		'standbys', (SELECT coalesce(jsonb_object_agg(coalesce(name, slot_name), status), '{}') FROM documentdb_upgrade.standbys),
		'history', (SELECT coalesce(jsonb_agg(to_jsonb(h) ORDER BY id), '[]') FROM documentdb_upgrade.history h),
		'processes', (SELECT coalesce(jsonb_agg(backend_type), '[]') FROM pg_stat_activity WHERE backend_type ~ '^documentdb_upgrade'),
		'left', (SELECT coalesce(jsonb_agg(what), '[]') FROM (
			SELECT 'database ' || datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')
			UNION ALL
			SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
			UNION ALL
			SELECT format('advisory lock %s of %s', objid, pid) FROM pg_locks WHERE locktype = 'advisory' AND objid <> 42
			UNION ALL
			SELECT format('session in a transaction: %s', query) FROM pg_stat_activity
			WHERE state ~ 'in transaction' AND usename <> 'app' AND query !~ '^ LOCK TABLE thing') AS found (what)))};

=pod

=head1 METHODS

=over

=item new(world)

=item after_action, at_the_end

What is broken, as lines.

=cut

sub new
{
	my ($class, $world) = @_;
	my $self = bless { world => $world, seen => {}, offsets => {}, written => [] }, $class;
	my $reference = slurp_file("$ENV{DU_SOURCE}/docs/reference.md");
	my ($table) = $reference =~ /^## States\n(.*?)^## /ms or die "no states in docs/reference.md\n";

	$self->{documented} = { map { $_ => 1 } $table =~ /^\| `(\w+)` \|/mg };
	$self->remember_binaries;
	return $self;
}

sub after_action
{
	my ($self) = @_;
	my $world = $self->{world};
	my (%seen, @broken);

	# What comes by itself has its time; what was found last counts.
	within(sub {
		%seen = map { $_ => decode($world->look($_, $look)) } $world->servers_up;
		@broken = map { $seen{$_} ? () : "alive: server $_ does not answer" } sort keys %seen;
		return 0 if @broken;
		return 1 unless @broken = $self->not_there_yet(\%seen);

		# There is no way back from there.
		return minor($seen{ $world->{facts}{primary} }{extversion}) > minor(expected($world->{facts})->{installed});
	});
	push @broken, $self->never_to_be(\%seen) unless grep { !$_ } values %seen;
	push @broken, map({ "logs: $_" } $self->faults_logged), map({ "writers: $_" } $self->troubles_of_writers);
	$world->{excuses} = {};
	$self->remember_binaries;
	return @broken;
}

sub decode { my ($text) = @_; return defined $text ? JSON::PP->new->utf8->decode($text) : undef; }

# An upgrade that has ended now may have begun when they were these.
sub remember_binaries
{
	my ($self) = @_;
	my $servers = $self->{world}{facts}{servers};

	$self->{binaries} = { map { $_ => $servers->{$_}{binary} } keys %$servers };
	$self->{fenced} = $self->{world}{facts}{fenced};
	return;
}

sub not_there_yet
{
	my ($self, $seen) = @_;
	my $facts = $self->{world}{facts};
	my @wrong = map { "converges: $_" } $self->primary_is_elsewhere($seen->{ $facts->{primary} });

	push @wrong, map { "standbys: $_" } $self->standbys_are_elsewhere($seen);
	push @wrong, map { my $name = $_; map { "leftovers: $name: $_" } $self->left_over($name, $seen->{$name}) } sort keys %$seen;
	return @wrong;
}

sub never_to_be
{
	my ($self, $seen) = @_;
	my $facts = $self->{world}{facts};
	my $primary = $seen->{ $facts->{primary} };

	return (
		map({ "ceiling: $_" } $self->over_a_binary($primary->{history})),
		map({ "history: $_" } $self->gaps_of($primary)),
		map({ my $name = $_; map { "schema: $name $_" } not_whole($seen->{$name}) } sort keys %$seen),
		map({ my $name = $_; map { "states: $name $_" } $self->not_documented($seen->{$name}) } sort keys %$seen));
}

#
# What has its time
#

# What a server is, if it is not that.
sub differences
{
	my ($seen, %expected) = @_;
	my %is = (%{ $seen->{status} }, extversion => $seen->{extversion});

	return map { ($is{$_} // 'none') eq $expected{$_} ? () : "$_ is " . ($is{$_} // 'none') . ", not $expected{$_}" } sort keys %expected;
}

sub primary_is_elsewhere
{
	my ($self, $seen) = @_;
	my $facts = $self->{world}{facts};

	# What a failover has lost was never there.
	$facts->{installed} = $seen->{extversion} if $self->{world}{excuses}{back} && minor($seen->{extversion}) < minor($facts->{installed});
	my $expected = expected($facts);
	my @wrong = differences($seen, role => 'primary', extversion => $expected->{installed}, installed_version => $expected->{installed},
		binary_version => $facts->{servers}{ $facts->{primary} }{binary});

	push @wrong, "state is $seen->{status}{state}, not @{ $expected->{states} }: $seen->{status}{next_step}"
	  if $expected->{states} && !grep { $seen->{status}{state} eq $_ } @{ $expected->{states} };
	$facts->{installed} = $expected->{installed} unless @wrong;
	return @wrong;
}

sub standbys_are_elsewhere
{
	my ($self, $seen) = @_;
	my $facts = $self->{world}{facts};
	my %status = %{ $seen->{ $facts->{primary} }{standbys} };
	my %expected = expected_standbys($facts);
	my @wrong = map { ($status{$_} // 'none') =~ $expected{$_} ? () : "the primary says of $_: " . ($status{$_} // 'nothing') . ", not $expected{$_}" } sort keys %expected;

	push @wrong, map { "the primary knows of a standby $_" } grep { !$facts->{servers}{$_} || $_ eq $facts->{primary} } sort keys %status;
	foreach my $name (grep { hears($facts, $_) } standbys_of($facts))
	{
		push @wrong, map { "$name: $_" } differences($seen->{$name}, role => 'standby', state => 'standby', extversion => $facts->{installed},
			installed_version => $facts->{installed}, binary_version => $facts->{servers}{$name}{binary});
	}
	return @wrong;
}

# A launcher and a worker are to be there, and no file but the one that keeps a fence.
sub left_over
{
	my ($self, $name, $seen) = @_;
	my $world = $self->{world};
	my $facts = $world->{facts};
	my $data = $world->{nodes}{$name}->data_dir;
	my %processes;
	my @found = grep { $_ ne 'prepared transaction to ' . ($facts->{prepared} || 'nothing') } @{ $seen->{left} };

	$processes{s/^documentdb_upgrade //r}++ foreach @{ $seen->{processes} };
	push @found, map { $processes{$_} ? $processes{$_} > 1 ? "more than one $_" : () : "no $_" } qw(launcher worker);
	push @found, map { "a process: $_" } grep { !/^(?:launcher|worker)$/ } sort keys %processes
	  unless $facts->{gate} || $facts->{table} || $facts->{prepared} || $facts->{servers}{$name}{stalled};
	push @found, map { "file $_" } grep { !/documentdb_upgrade\.fence$/ || !fence_may_be($facts) } glob "$data/documentdb_upgrade* $data/core* $data/base/pgsql_tmp/*";
	return @found;
}

sub fence_may_be
{
	my ($facts) = @_;
	return $facts->{fenced} || $facts->{ahead} eq 'read_only';
}

#
# What must not be for a moment
#

sub over_a_binary
{
	my ($self, $history) = @_;
	my $facts = $self->{world}{facts};
	my @broken;

	foreach my $row (grep { $_->{outcome} eq 'succeeded' && !$self->{seen}{"$_->{to_version} $_->{started_at}"}++ } @$history)
	{
		next if $row->{actor} eq 'manual';
		foreach my $name ($self->{world}->names)
		{
			my $binary = max(map { minor($_) } $facts->{servers}{$name}{binary}, $self->{binaries}{$name});
			push @broken, "$row->{actor} went from $row->{from_version} to $row->{to_version}, and $name has binary 1.$binary" if $binary < minor($row->{to_version});
		}
	}
	return @broken;
}

sub gaps_of
{
	my ($self, $seen) = @_;
	my ($at, @broken) = ('1.0');

	foreach my $row (@{ $seen->{history} })
	{
		push @broken, "row $row->{id} is by nobody" if $row->{actor} eq 'found';
		next if $row->{outcome} ne 'succeeded';
		push @broken, "row $row->{id} goes from $row->{from_version}, and $at was installed" if $row->{from_version} ne $at;
		push @broken, "row $row->{id} goes from $row->{from_version} to $row->{to_version}" if minor($row->{to_version}) <= minor($row->{from_version});
		$at = $row->{to_version};
	}
	push @broken, "it ends at $at, and $seen->{extversion} is installed" if $at ne $seen->{extversion};
	return @broken;
}

# Also where replay is not there yet, each version is whole.
sub not_whole
{
	my ($seen) = @_;
	my $minor = minor($seen->{extversion});
	my $expected = join ' ', "1.$minor", 'thing(' . join(',', 'id', map { "c$_" } 1 .. $minor) . ')', map { "t$_(id)" } reverse 1 .. $minor;

	return $seen->{shape} eq $expected ? () : "has $seen->{shape}, not $expected";
}

sub not_documented
{
	my ($self, $seen) = @_;
	my $status = $seen->{status};
	my @broken;

	push @broken, "has state $status->{state}, which docs/reference.md does not have" unless $self->{documented}{ $status->{state} };
	push @broken, "has as next step: $status->{next_step}" if ($status->{next_step} // '') !~ /^[A-Z"].*[.;}']$/s;
	push @broken, "says that $status->{installed_version} is installed, and pg_extension has $seen->{extversion}"
	  if ($status->{installed_version} // '') ne $seen->{extversion};
	return @broken;
}

my $fault = qr/TRAP: |(?:Address|UndefinedBehavior)Sanitizer|: runtime error: |PANIC: |was terminated by signal (?:4|6|7|8|11):|\] XX\d{3} |invalid memory alloc|could not find tuple|cache lookup failed/;

sub faults_logged
{
	my ($self) = @_;
	my $world = $self->{world};
	my @broken;

	foreach my $name ($world->names)
	{
		my $log = $world->{nodes}{$name}->logfile;
		next unless -e $log;
		my $text = slurp_file($log, $self->{offsets}{$name} // 0);

		$self->{offsets}{$name} += length $text;
		push @broken, map { "$name: $_" } grep { $_ =~ $fault && !($world->{excuses}{full} && /No space left on device/) } split /\n/, $text;
	}
	return @broken;
}

sub troubles_of_writers
{
	my ($self) = @_;
	my $world = $self->{world};
	my ($facts, $excuses) = @$world{qw(facts excuses)};
	my $longest = $self->{longest} //= patience(LONGEST_WAIT);
	my $fence = $facts->{fenced} || $self->{fenced} || $excuses->{fence} || $facts->{ahead} eq 'read_only';
	my %broken;

	foreach my $answer ($world->{probe}->answers)
	{
		push @{ $self->{written} }, $answer->{id} if $answer->{code} eq '00000';
		$self->{slowest} = max($self->{slowest} // 0, $answer->{seconds}) unless $excuses->{lost};
		next if $answer->{code} eq '25006' && $fence;
		next if $answer->{code} =~ /^53[12]00$/ && $excuses->{full};
		next if $excuses->{lost};
		$broken{"a write ends with $answer->{code}"}++ if $answer->{code} ne '00000';
		$broken{"a write takes $answer->{seconds} s"}++ if $answer->{seconds} > $longest;
	}
	$self->{written} = [] if $excuses->{back};
	return map { "$_ ($broken{$_} times)" } sort keys %broken;
}

=pod

=item at_the_end

When nobody disturbs anybody any more: the objects are those of a fresh installation, and
every row that was acknowledged is on every server.

=back

=cut

sub at_the_end
{
	my ($self) = @_;
	my $world = $self->{world};
	my $facts = $world->{facts};
	my $primary = $world->primary;
	my @broken;

	sql($primary, 'CREATE DATABASE fresh TEMPLATE template0');
	sql($primary, qq{CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION documentdb_upgrade; ALTER EXTENSION thing UPDATE TO '$facts->{installed}';
		CREATE TABLE written (id int); GRANT INSERT ON written TO app}, 'fresh');
	my %fresh = map { $_ => 1 } lines_of($primary, 'fresh');
	my %here = map { $_ => 1 } lines_of($primary, 'postgres');
	push @broken, map { "schema: there is more than in a fresh installation: $_" } grep { !$fresh{$_} } sort keys %here;
	push @broken, map { "schema: what a fresh installation has is missing: $_" } grep { !$here{$_} } sort keys %fresh;
	$world->{probe}->stop;
	$self->troubles_of_writers;
	my $lsn = sql($primary, 'SELECT pg_current_wal_insert_lsn()');

	foreach my $name ($world->names)
	{
		my $node = $world->{nodes}{$name};

		push @broken, "converges: $name never gets what was written" unless $name eq $facts->{primary}
		  || within(sub { sql($node, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' });
		my %rows = map { $_ => 1 } split /\n/, sql($node, 'SELECT id FROM written');
		my $lost = grep { !$rows{$_} } @{ $self->{written} };
		push @broken, "writers: $lost rows that were acknowledged are not on $name" if $lost;
	}
	return @broken;
}

# Also free of what is the database's own.
sub lines_of
{
	my ($node, $dbname) = @_;
	return grep { /\S/ && !/^--|\\connect|fresh|postgres/ } split /\n/, describe_database($node, $dbname);
}

1;
