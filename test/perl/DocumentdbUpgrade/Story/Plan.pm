
=pod

=head1 NAME

DocumentdbUpgrade::Story::Plan - what happens in a story, drawn from a seed

=head1 SYNOPSIS

  my $plan = draw_plan(7);
  print plan_text($plan);
  $plan = parse_plan($text);

=head1 DESCRIPTION

A plan is a hash: C<world>, of whom the story tells, and C<actions>, a list of lists of
words.  As text it has one action a line, the world first:

  world a<p b<a ahead=read_only source=file
  raise a 1.1
  kill primary worker

A plan depends on its seed alone, not on how the servers fare, so an action may find
nothing to do; this is what allows a list to be shortened.  "primary" is whoever
is the primary then.

=cut

package DocumentdbUpgrade::Story::Plan;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use List::Util qw(min max sum);

our @EXPORT = qw(draw_plan plan_text parse_plan known_actions);

use constant { LAST_VERSION => 9, ACTIONS => 14 };

my @shapes = ('a<p', 'a<p b<p', 'a<p b<a', 'a<p b<a', 'a<p b<p c<a', 'a<p b<a c<b');
my @sources = qw(setting file kubernetes);

# What is drawn, how often, and the words of the action.  A code gets the plan so far.
my %draws = (
	rollout => [ 14, \&roll_out ],
	raise => [ 6, sub { [ raise => any_server($_[0]), near_top($_[0]) ] } ],
	desire => [ 9, sub { [ desire => a_wish($_[0]) ] } ],
	finalize => [ 10, sub { [ finalize => pick($_[0], qw(sql call detached alter)), pick($_[0], 'binary', 'binary', near_top($_[0])) ] } ],
	hold => [ 5, sub { [ pick($_[0], qw(hold release release)) ] } ],
	fence => [ 4, sub { [ pick($_[0], qw(fence lift)) ] } ],
	window => [ 4, sub { [ window => pick($_[0], qw(shut open open)) ] } ],
	gate => [ 5, sub { [ pick($_[0], qw(gate table)), pick($_[0], qw(shut open open)) ] } ],
	prepare => [ 4, sub { [ pick($_[0], [ prepare => near_top($_[0]) ], [ settle => pick($_[0], qw(commit rollback)) ])->@* ] } ],
	rehearse => [ 4, sub { [ rehearse => pick($_[0], qw(place scratch)) ] } ],
	compare => [ 3, sub { [ compare => pick($_[0], 'alone', standbys($_[0])) ] } ],
	kill => [ 8, sub { [ kill => pick($_[0], 'primary', any_server($_[0])), pick($_[0], qw(worker launcher attempt session replication checkpointer postmaster)) ] } ],
	stall => [ 5, sub { [ pick($_[0], qw(stall resume)), pick($_[0], 'primary', any_server($_[0])) ] } ],
	restart => [ 4, sub { [ restart => any_server($_[0]), pick($_[0], qw(fast immediate)) ] } ],
	down => [ 5, sub { [ pick($_[0], qw(down up)), pick($_[0], standbys($_[0])) ] } ],
	freeze => [ 3, sub { [ pick($_[0], qw(freeze thaw)), pick($_[0], standbys($_[0])) ] } ],
	clock => [ 3, sub { [ clock => pick($_[0], 'primary', any_server($_[0])), pick($_[0], qw(ahead right)) ] } ],
	cut => [ 5, sub { [ pick($_[0], qw(cut heal)), pick($_[0], standbys($_[0])) ] } ],
	promote => [ 8, sub { [ promote => pick($_[0], standbys($_[0])), pick($_[0], qw(switchover failover)) ] } ],
	source => [ 4, sub { [ source => pick($_[0], @sources) ] } ],
	trouble => [ 4, sub { [ trouble => pick($_[0], qw(file api)), pick($_[0], qw(begins ends ends)) ] } ],
	api => [ 4, sub { [ api => pick($_[0], qw(errors throttled cut reset stalled forgets token certificate)) ] } ],
	full => [ 5, sub { [ full => pick($_[0], qw(workers connections locks disk)) ] } ]);

# Words of actions, by the first one, for those who write them by hand.
my %known = map { $_ => 1 } qw(raise desire finalize hold release fence lift window gate table prepare settle rehearse compare kill stall resume
  restart down up freeze thaw clock cut heal promote source trouble api full);

=pod

=head1 FUNCTIONS

=over

=item draw_plan(seed, number)

A plan of at least that many actions (14).

=item known_actions

The first words of all.

=cut

sub draw_plan
{
	my ($seed, $number) = @_;
	my $plan = { seed => $seed, random => ($seed * 7919 + 17) % 2147483646 + 1, top => 0, actions => [] };

	# The first numbers of near seeds are near each other.
	random($plan, 2) foreach 1 .. 10;
	$plan->{world} = {
		upstream => { map { split /</ } split / /, pick($plan, @shapes) },
		ahead => pick($plan, qw(warn warn read_only)),
		source => pick($plan, @sources) };
	push @{ $plan->{actions} }, roll_out($plan);
	while (@{ $plan->{actions} } < ($number // ACTIONS))
	{
		my @drawn = $draws{ weighted($plan) }[1]->($plan);
		push @{ $plan->{actions} }, @drawn;
	}
	return { map { $_ => $plan->{$_} } qw(seed world actions) };
}

sub known_actions { return sort keys %known; }

# A number below n, from a generator that is the same everywhere.
sub random
{
	my ($plan, $n) = @_;

	$plan->{random} = $plan->{random} * 48271 % 2147483647;
	return int($plan->{random} / 2147483647 * $n);
}

sub pick
{
	my ($plan, @choices) = @_;
	return $choices[ random($plan, scalar @choices) ];
}

sub weighted
{
	my ($plan) = @_;
	my $left = random($plan, sum(map { $_->[0] } values %draws));

	foreach my $name (sort keys %draws)
	{
		return $name if ($left -= $draws{$name}[0]) < 0;
	}
	die "no weight is left\n";
}

sub standbys { return sort keys %{ $_[0]{world}{upstream} }; }
sub any_server { my ($plan) = @_; return pick($plan, 'p', standbys($plan)); }

sub near_top
{
	my ($plan) = @_;
	my $minor = max(0, min(LAST_VERSION, $plan->{top} + pick($plan, -1, 0, 0, 1)));

	$plan->{top} = max($plan->{top}, $minor);
	return "1.$minor";
}

sub a_wish { my ($plan) = @_; return pick($plan, 'nothing', 'auto', 'auto', near_top($plan), "1.$plan->{top}"); }

# A new binary everywhere, standbys mostly first, perhaps with something in between,
# and then mostly somebody asks for it.
sub roll_out
{
	my ($plan) = @_;
	my @servers = ('p', standbys($plan));
	my $last = shift @servers;
	my $version = sprintf '1.%d', $plan->{top} = min(LAST_VERSION, $plan->{top} + pick($plan, 1, 1, 2));
	my @actions = map { [ raise => $_, $version ] } pick($plan, 1, 1, 0) ? (@servers, $last) : ($last, @servers);
	my $between = pick($plan, qw(none none kill down cut stall restart promote));

	splice @actions, random($plan, scalar @actions), 0, $draws{$between}[1]->($plan) if $between ne 'none';
	my $asked = pick($plan, qw(desire desire finalize finalize nobody));
	push @actions, [ desire => pick($plan, 'auto', $version) ] if $asked eq 'desire';
	push @actions, [ finalize => pick($plan, qw(sql call detached alter)), 'binary' ] if $asked eq 'finalize';
	return @actions;
}

=pod

=item plan_text(plan), parse_plan(text)

Lines; the second one dies of what is no plan.  Lines that begin with # are comments.

=back

=cut

sub plan_text
{
	my ($plan) = @_;
	my $world = $plan->{world};
	my @below = map { "$_<$world->{upstream}{$_}" } sort keys %{ $world->{upstream} };

	return join '', map { "$_\n" } "world @below ahead=$world->{ahead} source=$world->{source}", map { "@$_" } @{ $plan->{actions} };
}

sub parse_plan
{
	my ($text) = @_;
	my ($first, @lines) = grep { /\S/ && !/^\s*#/ } split /\n/, $text;
	my %world = (upstream => {}, ahead => 'warn', source => 'setting');

	($first // '') =~ /^\s*world\s+/ or die "a plan begins with \"world\"\n";
	foreach my $word (grep { $_ ne 'world' } split ' ', $first)
	{
		if ($word =~ /^([a-c])<([pa-c])$/) { $world{upstream}{$1} = $2; }
		elsif ($word =~ /^(ahead|source)=(\w+)$/) { $world{$1} = $2; }
		else { die "not understood of a world: \"$word\"\n"; }
	}
	my @actions = map { [split] } @lines;
	foreach my $action (@actions) { $known{ $action->[0] } or die "there is no action \"$action->[0]\"\n"; }
	return { world => \%world, actions => \@actions };
}

1;
