
=pod

=head1 NAME

DocumentdbUpgrade::Story - stories of a fleet, drawn from a seed

=head1 SYNOPSIS

  my $result = tell_story(draw_plan(7));
  print @{ $result->{told} };
  if (@{ $result->{broken} }) { my $short = shorten($plan, $result, 40); }

=head1 DESCRIPTION

A story is a plan (DocumentdbUpgrade::Story::Plan) that is carried out on servers of its own
(World, Actions), while what must hold is looked at after every action (Invariants,
Model).  At its end all trouble is taken away, every server gets the newest binary and
"auto" is desired: then the fleet has to come to rest there.

=cut

package DocumentdbUpgrade::Story;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Story::Actions;
use DocumentdbUpgrade::Story::Invariants;
use DocumentdbUpgrade::Story::Model;
use DocumentdbUpgrade::Story::Plan;
use DocumentdbUpgrade::Story::Shrink;
use DocumentdbUpgrade::Story::World;
use Exporter 'import';
use JSON::PP ();
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use POSIX ();
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT = qw(tell_story shorten prepare_worlds);

# More than any story takes, on a machine that is very busy.
use constant LONGEST_STORY => 1800;

*prepare_worlds = \&DocumentdbUpgrade::Story::World::prepare_worlds;

=pod

=head1 FUNCTIONS

=over

=item tell_story(plan)

Carries it out and gives a hash: C<told>, a line for each action; C<broken>, lines of
Invariants, empty when all is well; C<at>, the number of actions until then; C<done>, how
many of them found something to do; C<seconds>; C<slowest>, the longest wait of a writer.

The story has a process of its own, so whatever it comes to is over then.

=cut

sub tell_story
{
	my ($plan) = @_;
	my $begin = time;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/result';

	prepare_worlds();
	my $pid = fork // die "could not fork: $!\n";
	if ($pid == 0)
	{
		my $result = eval { in_process_of_its_own($plan) } // { told => [], broken => ["story: $@"], at => 0, done => 0 };
		append_to_file($file, JSON::PP->new->utf8->encode($result));
		POSIX::_exit(0);
	}
	my $late;
	local $SIG{ALRM} = sub { $late = 1; kill 'KILL', $pid; };
	alarm LONGEST_STORY;
	waitpid $pid, 0;
	alarm 0;
	my $result = -e $file ? JSON::PP->new->utf8->decode(slurp_file($file))
	  : { told => [], at => 0, done => 0, broken => [ $late ? 'story: it did not come to its end' : 'story: its process has died' ] };
	$result->{seconds} = time - $begin;
	end_servers();
	return $result;
}

sub in_process_of_its_own
{
	my ($plan) = @_;
	my %result = (told => [], broken => [], at => 0, done => 0);

	# Helpers of tests say so when they have waited for too long; here that is a finding.
	open my $notes, '>>', "$ENV{TESTLOGDIR}/story_notes.log" or die "could not open a file: $!\n";
	Test::More->builder->$_($notes) foreach qw(output failure_output todo_output);
	no warnings 'redefine';
	local *PostgreSQL::Test::Cluster::BAIL_OUT = sub { die "@_\n" };
	local *PostgreSQL::Test::Utils::BAIL_OUT = sub { die "@_\n" };
	local $PostgreSQL::Test::Utils::timeout_default = 120;
	local $ENV{PGCTLTIMEOUT} = 120;
	use warnings 'redefine';

	my $world = DocumentdbUpgrade::Story::World->new($plan->{world}, api => needs_api($plan));
	my $check = DocumentdbUpgrade::Story::Invariants->new($world);
	my @broken = $check->after_action;

	foreach my $action (@{ $plan->{actions} })
	{
		last if @broken;
		@broken = one_action($world, $check, \%result, @$action);
	}
	if (!@broken)
	{
		my $begin = time;
		@broken = eval { take_trouble_away($world); $check->after_action };
		push @broken, "action: $@" if $@;
		push @broken, eval { $check->at_the_end } unless @broken;
		push @broken, "end: $@" if $@;
		push @{ $result{told} }, sprintf 'the end: %s (%.1f s)', $world->{facts}{installed}, time - $begin;
		$result{at_the_end} = 1;
	}
	$result{broken} = [@broken];
	$result{slowest} = $check->{slowest} // 0;
	eval { $world->end };
	push @{ $result{broken} }, "leftovers: $@" if $@;
	return \%result;
}

sub one_action
{
	my ($world, $check, $result, @action) = @_;
	my $begin = time;
	my $outcome = eval { act($world, @action) };
	my @broken = defined $outcome ? () : "action: $@";

	$outcome //= 'broken';
	$result->{at}++;
	$result->{done}++ unless $outcome =~ /^nothing/;

	# Nothing has changed, but what was has to stay.
	push @broken, $check->after_action;
	my $state = $world->{facts};
	push @{ $result->{told} }, sprintf '%2d. %-28s %s (%.1f s; %s at %s)', $result->{at}, "@action", $outcome, time - $begin,
	  $state->{primary}, $state->{installed};
	return @broken;
}

sub needs_api
{
	my ($plan) = @_;
	return ($plan->{world}{source} eq 'kubernetes' || grep { "@$_" =~ /^(?:source kubernetes)/ } @{ $plan->{actions} }) ? 1 : 0;
}

# Everybody can do what is to be done, and it is asked for.
sub take_trouble_away
{
	my ($world) = @_;
	my $facts = $world->{facts};
	my $highest = '1.' . max map { minor($_) } $facts->{installed}, map { $_->{binary} } values %{ $facts->{servers} };

	act($world, @$_) foreach (map { my $name = $_; map { [ $_ => $name ] } qw(thaw resume heal) } $world->names);
	act($world, clock => $_, 'right') foreach $world->names;
	act($world, up => $_) foreach $world->downwards;
	act($world, @$_) foreach [ settle => 'rollback' ], [ gate => 'open' ], [ table => 'open' ], [ trouble => 'file', 'ends' ], [ trouble => 'api', 'ends' ],
	  [ window => 'open' ], ['release'], ['lift'], (map { [ raise => $_, $highest ] } $world->names), [ desire => 'auto' ];
	return;
}

# Of a story whose process was ended.
sub end_servers
{
	foreach my $file (glob "$ENV{TESTDATADIR}/t_*_[pabc]_data/pgdata/postmaster.pid")
	{
		my ($postmaster) = split /\n/, slurp_file($file);
		my @children = DocumentdbUpgrade::Story::World::children({ nodes => { x => { _pid => $postmaster } } }, 'x');

		kill 'KILL', @children;
		DocumentdbUpgrade::Story::World::within(sub { !grep { kill 0, $_ } @children });
	}
	File::Path::rmtree($_) foreach glob "$ENV{TESTDATADIR}/t_*_[pabc]_data";
	return;
}

=pod

=item shorten(plan, result, tries, tell)

A plan with the shortest list of actions that still breaks the same invariant, found with
at most so many stories more.

=back

=cut

sub shorten
{
	my ($plan, $result, $tries, $tell) = @_;
	my @actions = @{ $plan->{actions} };

	# Of several the one that says most.
	my %broken = map { (split /:/)[0] => 1 } @{ $result->{broken} };
	my ($broken) = ((grep { $broken{$_} } qw(logs ceiling history schema writers)), (split /:/, $result->{broken}[0])[0]);

	splice @actions, $result->{at} unless $result->{at_the_end};
	my $fails = sub {
		my $again = ($tell // \&tell_story)->({ world => $plan->{world}, actions => [@_] });
		return grep { /^\Q$broken\E:/ } @{ $again->{broken} };
	};
	return { %$plan, actions => [ shrink($fails, $tries, @actions) ] };
}

1;
