
=pod

=head1 NAME

DocumentdbUpgrade::Story::Model - what must hold, by what the story has done

=head1 SYNOPSIS

  my $expected = expected($facts);    # { installed => '1.2', states => [ 'up_to_date' ] }
  my ($passes) = verdict($facts, sql => '1.3');

=head1 DESCRIPTION

Pure functions over what a story knows without asking any server: which binary each has,
who is up and hears whom, what is desired, what stands in the way.  A hash:

  primary    its name
  installed  what was last found there
  ahead      the setting schema_ahead_action
  servers    by name: binary, up, upstream (none: the primary); stalled (its worker is
             stopped), cut (nothing comes through from its upstream), frozen (all of it is
             stopped)
  source     setting, file or kubernetes; desired by source: '' or "auto" or a version
  trouble    by source: true while it cannot be read
  held, shut, gate, table
             a hold; the window is shut; scripts wait; table thing is locked
  prepared   the version that an update goes to which is prepared and not committed

Binaries and versions are "1.N".

=cut

package DocumentdbUpgrade::Story::Model;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use List::Util qw(all max);

our @EXPORT = qw(expected expected_standbys verdict hears standbys_of minor);

sub minor { return ($_[0] =~ /^1\.(\d+)$/)[0] // die "no version: $_[0]\n"; }

sub standbys_of { my ($facts) = @_; return grep { $_ ne $facts->{primary} } sort keys %{ $facts->{servers} }; }

=pod

=head1 FUNCTIONS

=over

=item hears(facts, standby)

True when what the primary writes gets there and what it reports gets back.

=cut

sub hears
{
	my ($facts, $name) = @_;
	my $server = $facts->{servers}{$name};

	return $facts->{servers}{$name}{up} if $name eq $facts->{primary};
	return $server->{up} && !$server->{stalled} && !$server->{cut} && !$server->{frozen} && hears($facts, $server->{upstream});
}

# Who has a lock that an update takes.
sub locks { my ($facts) = @_; return grep { $facts->{$_} } qw(gate table prepared); }

# What stands in the way of that target.
sub obstacles
{
	my ($facts, $target, $locks) = @_;
	my @obstacles = grep { $facts->{$_} } qw(held shut);

	push @obstacles, locks($facts) if $locks;
	foreach my $name (standbys_of($facts))
	{
		push @obstacles, "standby $name" if !hears($facts, $name) || minor($facts->{servers}{$name}{binary}) < minor($target);
	}
	return @obstacles;
}

# A decision of docs/architecture.md, and its target.
sub decision
{
	my ($facts) = @_;
	my ($installed, $binary) = map { minor($_) } $facts->{installed}, $facts->{servers}{ $facts->{primary} }{binary};
	my $desired = $facts->{desired}{ $facts->{source} };

	return 'schema_ahead' if $binary < $installed;
	return 'unread' if $facts->{trouble}{ $facts->{source} };
	return $binary > $installed ? 'update_available' : 'none' if $desired eq '';
	my $wanted = $desired eq 'auto' ? $binary : minor($desired);
	return 'wait' if $wanted > $binary;
	return 'refuse' if $wanted < $installed;
	return $wanted == $installed ? 'none' : ('finalize', "1.$wanted");
}

=pod

=item expected(facts)

What the primary comes to by itself: C<installed> and a list of C<states>, no list where
each is as good.

=cut

sub expected
{
	my ($facts) = @_;
	my ($decision, $target) = decision($facts);
	my %state = (schema_ahead => ['schema_ahead'], unread => ['waiting'], update_available => ['update_available'], wait => ['waiting'],
		refuse => ['blocked']);

	# A worker that does not move does nothing, and has said what it has said.
	return { installed => $facts->{installed} } if $facts->{servers}{ $facts->{primary} }{stalled};
	return { installed => $facts->{installed}, states => $state{$decision} } if $state{$decision};
	if ($decision eq 'finalize')
	{
		my @guards = obstacles($facts, $target, 0);
		my @locks = locks($facts);

		# The first guard that fails names the state.
		return { installed => $facts->{installed}, states => [ $facts->{held} && @guards == 1 ? 'held' : ('held', 'blocked') ] } if $facts->{held} && !@locks;
		return { installed => $facts->{installed}, states => [ $facts->{held} ? 'held' : (), 'blocked' ] } if @guards;
		return { installed => $facts->{installed}, states => [qw(pending blocked finalizing)] } if @locks;
	}
	return { installed => $target // $facts->{installed}, states => done_states($facts, $target // $facts->{installed}) };
}

# It is in force everywhere, where everybody says so.
sub done_states
{
	my ($facts, $installed) = @_;
	my $everywhere = all { hears($facts, $_) && minor($facts->{servers}{$_}{binary}) >= minor($installed) } standbys_of($facts);

	return [ 'up_to_date', $everywhere ? () : 'verifying' ];
}

=pod

=item expected_standbys(facts)

By name what view standbys comes to say: a regular expression.

=cut

sub expected_standbys
{
	my ($facts) = @_;
	my @here = map { minor($_) } $facts->{installed}, $facts->{servers}{ $facts->{primary} }{binary};
	my %status;

	foreach my $name (standbys_of($facts))
	{
		my $server = $facts->{servers}{$name};
		my $binary = minor($server->{binary});

		# One below a server that is not heard of is not known there any more.
		next unless hears($facts, $server->{upstream});
		$status{$name} = !hears($facts, $name) ? qr/^(?!ready)/
		  : $binary >= max(@here) ? qr/^ready$/
		  : $binary < $here[0] ? qr/^old_binary$/
		  : qr/^(?:ready|old_binary)$/;
	}
	return %status;
}

=pod

=item verdict(facts, how, target)

What comes of a person who finalizes: C<passes> or C<refused>.  How: sql, call, detached,
or alter, a plain statement, which does not ask the guards that may be overridden.

=back

=cut

sub verdict
{
	my ($facts, $how, $target) = @_;
	my ($installed, $binary) = map { minor($_) } $facts->{installed}, $facts->{servers}{ $facts->{primary} }{binary};

	return 'refused' if minor($target) > $binary || minor($target) < $installed || $binary < $installed;
	return 'passes' if minor($target) == $installed;
	return locks($facts) ? 'refused' : 'passes' if $how eq 'alter';
	return obstacles($facts, $target, 1) ? 'refused' : 'passes';
}

1;
