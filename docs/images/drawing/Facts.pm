
=pod

=head1 NAME

Facts - what the sources and the pages say about the things that are drawn

=head1 SYNOPSIS

  my $facts = Facts->new($root);
  my $states = $facts->states;

=head1 DESCRIPTION

A fact has one home, and the text has it from there too: names from the sources,
ways between states and the example of a fleet from the pages that describe them.
What is not found where it should be is an error, and so is a name that only one of
two places has: a drawing is never made of what was true once.

=cut

package Facts;

use strict;
use warnings FATAL => 'all';

sub new
{
	my ($class, $root) = @_;

	return bless { root => $root, files => {} }, $class;
}

# The text of a file.
sub file
{
	my ($self, $name) = @_;

	return $self->{files}{$name} //= do {
		open my $handle, '<', "$self->{root}/$name" or die "could not open $name: $!\n";
		local $/ = undef;
		<$handle>;
	};
}

# Files of the tree that a pattern names.
sub files
{
	my ($self, $pattern) = @_;
	my $root = $self->{root};

	return map { substr $_, length "$root/" } sort glob "\Q$root\E/$pattern";
}

# A section of a page, with its sections.
sub section
{
	my ($self, $name, $heading) = @_;
	my ($level, $rest) = $self->file($name) =~ /^(\#+) \Q$heading\E\n(.*)/ms or die "$name has no section \"$heading\"\n";
	my $deepest = length $level;

	return $rest =~ s/^\#{1,$deepest} .*//msr;
}

# The rows of tables in a section, each a list of its cells.
sub rows
{
	my ($self, $name, $heading) = @_;
	my @rows = map { [ split /\s*\|\s*/, $_ ] } $self->section($name, $heading) =~ /^\| (`.*) \|$/mg;

	@rows or die "section \"$heading\" of $name has no table\n";
	return @rows;
}

# A name without its backquotes.
sub bare { return $_[0] =~ s/`//gr; }

# Dies when two lists of names are not the same.
sub same
{
	my ($one, $names, $other, $names_there) = @_;
	my %here = map { $_ => 1 } @$names;
	my %there = map { $_ => 1 } @$names_there;
	my @complaints = (
		(map { "$one has \"$_\", and $other has not\n" } grep { !$there{$_} } sort keys %here),
		(map { "$other has \"$_\", and $one has not\n" } grep { !$here{$_} } sort keys %there));

	die @complaints if @complaints;
	return;
}

# Dies unless a page still says this, however its lines are broken: a drawing that
# shows what sentences say names them, so that it is looked at when they change.
sub relies_on
{
	my ($self, $name, @phrases) = @_;
	my $text = $self->file($name) =~ s/[`*]//gr =~ s/\s+/ /gr;
	my @complaints = map { "$name does not say any more: $_\n" } grep { index($text, $_) < 0 } @phrases;

	die @complaints if @complaints;
	return;
}

# A function or procedure that people call, as code.
sub function
{
	my ($self, $name) = @_;
	my $functions = $self->{functions} //= {
		map { $_ => 1 } map { $self->file($_) =~ /^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) (?:documentdb_upgrade\.)?([a-z_]+)\(/mg }
		  $self->files('sql/[0-9]*.sql') };

	$functions->{$name} or die "there is no function $name()\n";
	return "`$name()`";
}

# A guard, as code.
sub guard
{
	my ($self, $name) = @_;

	$self->file('src/guards/guards.c') =~ /"\Q$name\E"/ or die "there is no guard $name\n";
	return "`$name`";
}

# The default of a setting, as SHOW prints it.
sub setting
{
	my ($self, $name) = @_;
	my ($row) = grep { bare($_->[0]) eq $name } $self->rows('docs/reference.md', 'Settings');

	$row or die "docs/reference.md has no setting $name\n";
	return bare($row->[1]);
}

# The states: name, settled, warns (a Warning Event is written), meaning.
sub states
{
	my ($self) = @_;

	return $self->{states} //= do {
		my %coded = map { $_ => 1 } $self->file('src/status/upgrade_state.c') =~ /\bstate\("([a-z_]+)"/g;
		my $voices = 'src/worker/loop/worker_announce.c';
		my ($table) = $self->file($voices) =~ /\bvoices\[\] = \{(.*?)\n\};/s or die "$voices has no table of states\n";
		my %states;
		while ($table =~ /^\s*\{"([a-z_]+)", "[^"]*", "[^"]*", (true|false), ("\w+"|NULL),/mg)
		{
			$states{$1} = { name => $1, settled => $2 eq 'true', warns => $3 eq '"Warning"' };
		}
		my %described = map { bare($_->[0]) => $_->[1] } $self->rows('docs/reference.md', 'States');

		same('src/status/upgrade_state.c', [ keys %coded ], "the table in $voices", [ keys %states ]);
		same('src/status/upgrade_state.c', [ keys %coded ], 'docs/reference.md', [ keys %described ]);
		$states{$_}{meaning} = $described{$_} foreach keys %states;
		\%states;
	};
}

# A state, as code.
sub state_name
{
	my ($self, $name) = @_;

	$self->states->{$name} or die "there is no state $name\n";
	return "`$name`";
}

# How one state follows another: from, to, when.
sub transitions
{
	my ($self) = @_;
	my @ways = map { my ($from, $to, $when) = @$_; { from => bare($from), to => bare($to), when => $when } }
	  $self->rows('docs/architecture.md', 'States of a primary');

	$self->state_name($_) foreach map { @{$_}{qw(from to)} } @ways;
	return @ways;
}

# What README's example has before the upgrade: the versions of schema and binary.
sub versions
{
	my ($self) = @_;
	my ($installed, $binary) =
	  $self->section('README.md', 'Plan') =~ /installed_version \| binary_version .*\n[-+]+\n[^|]*\| (\S+) +\| (\S+) +\|/
	  or die "README.md does not show view versions\n";

	return ($installed, $binary);
}

# Statuses of standbys, in the order in which one is preferred to another: name, and
# whether a finalize waits (guard standbys_ready).
sub statuses
{
	my ($self) = @_;
	my ($enum) = $self->file('src/fleet/fleet.h') =~ /\{\s*(FLEET_IGNORED\b.*?)\}/s or die "src/fleet/fleet.h has no statuses\n";
	my ($first_free) = $self->file('src/guards/guard_standbys.c') =~ /!= FLEET_IGNORED && found\.status < (FLEET_\w+)/
	  or die "src/guards/guard_standbys.c does not say which statuses are waited for\n";
	my %name_of = $self->file('src/fleet/fleet_judgement.c') =~ /case (FLEET_\w+):\s+return "(\w+)";/g;
	my $waits = 1;
	my @statuses;
	foreach my $status ($enum =~ /\b(FLEET_[A-Z_]+)\b/g)
	{
		$waits = 0 if $status eq $first_free;
		push @statuses, { name => $name_of{$status} // die("$status has no name\n"), waits => $waits && $status ne 'FLEET_IGNORED' };
	}
	my ($sentence) = $self->section('docs/fleet.md', 'Before the commit') =~ /Guard `standbys_ready` refuses (.*?), and while/s
	  or die "docs/fleet.md does not say when guard standbys_ready refuses\n";

	same('src/fleet', [ map { $_->{name} } @statuses ],
		'docs/fleet.md', [ map { bare($_->[0]) } $self->rows('docs/fleet.md', 'How a primary knows') ]);
	same('guard standbys_ready', [ map { $_->{name} } grep { $_->{waits} } @statuses ],
		'its sentence in docs/fleet.md', [ $sentence =~ /`(\w+)`/g ]);
	return @statuses;
}

# The servers of the example of a fleet, a tree: name, region, depth, standbys (below
# it), reports (how many it hands in, its own and those from below).
sub report_tree
{
	my ($self) = @_;
	my ($list) = $self->section('docs/fleet.md', 'How a primary knows') =~ /^```\n(primary .*?)^```/ms
	  or die "docs/fleet.md has no list that begins with a primary\n";
	my @above;

	foreach my $line (split /\n/, $list)
	{
		my ($indent, $name, $region) = $line =~ /^( *)(\S.*?) {2,}(\S.*)$/ or die "docs/fleet.md: which region is this in: $line\n";
		my $depth = length($indent) / 2;
		$depth <= @above && (@above == 0 || $depth > 0) or die "docs/fleet.md: what does this report to: $line\n";
		my $server = { name => $name, region => $region, depth => $depth, standbys => [], reports => 0 };
		splice @above, $depth;
		push @{ $above[-1]{standbys} }, $server if @above;
		push @above, $server;
		$_->{reports}++ foreach @above;
	}
	return $above[0];
}

# The steps that cutover_report() can tell, in its order.
sub cutover_steps
{
	my ($self) = @_;
	my ($body) = $self->file('sql/85_fence.sql') =~ /^CREATE FUNCTION cutover_report\(\)(.*?)^\$\$;/ms
	  or die "sql/85_fence.sql has no function cutover_report()\n";

	return $body =~ /RETURN QUERY SELECT '([^']+)'/g;
}

# What the example of a cut-over shows: seconds since the fence was raised, or that
# something takes, by step.
sub cutover_times
{
	my ($self) = @_;
	my %times;

	foreach my $row ($self->section('docs/blue-green.md', 'The cut-over') =~ /^ (\S.*\|.*\|.*)$/mg)
	{
		my ($step, @cells) = split /\s*\|\s*/, $row;
		my ($hours, $minutes, $seconds) = map { /^(\d\d):(\d\d):(\d\d(?:\.\d+)?)$/ } @cells;
		$times{$step} = $hours * 3600 + $minutes * 60 + $seconds if defined $hours;
	}
	return %times;
}

1;
