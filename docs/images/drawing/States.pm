# The states of view status, and how one follows another: the table of
# docs/architecture.md on a grid.  The grid is drawn by hand, below; a state or a way
# that has no place on it is an error.  What a state looks like follows from how it is
# announced.
package States;

use strict;
use warnings FATAL => 'all';

my ($width, $height, $tall) = (176, 42, 72);
my @columns = (124, 480, 836);
my @rows = (66, 162, 274, 392, 514);

# Column and row of each state.
my %place = (
	standby => [ 0, 0 ], not_installed => [ 1, 0 ], worker_node => [ 2, 0 ],
	schema_ahead => [ 0, 1 ], up_to_date => [ 1, 1 ], verifying => [ 2, 1 ],
	waiting => [ 0, 2 ], update_available => [ 1, 2 ],
	pending => [ 1, 3 ], finalizing => [ 2, 3 ],
	held => [ 0, 4 ], blocked => [ 1, 4 ], failed => [ 2, 4 ],);

# Those of other servers say where to look instead, and those with many ways need
# room.
my %is_tall = map { $_ => 1 } qw(standby worker_node pending finalizing);

sub middle { return ($columns[ $place{ $_[0] }[0] ], $rows[ $place{ $_[0] }[1] ]); }
sub half { return ($is_tall{ $_[0] } ? $tall : $height) / 2; }

# Edges of a box, and points on them that lie so far from the middle.
sub left { my ($x, $y) = middle($_[0]); return [ $x - $width / 2, $y + ($_[1] // 0) ]; }
sub right { my ($x, $y) = middle($_[0]); return [ $x + $width / 2, $y + ($_[1] // 0) ]; }
sub top { my ($x, $y) = middle($_[0]); return [ $x + ($_[1] // 0), $y - half($_[0]) ]; }
sub bottom { my ($x, $y) = middle($_[0]); return [ $x + ($_[1] // 0), $y + half($_[0]) ]; }

# From one point to another with one corner: first across, or first up or down.
sub across { my ($from, $to) = @_; return [ $from, [ $to->[0], $from->[1] ], $to ]; }
sub upright { my ($from, $to) = @_; return [ $from, [ $from->[0], $to->[1] ], $to ]; }

# The line of each way, and where its words are: beside a point, to the left or right,
# or above or below the line between two columns.
my $gap = 150;
my ($first_gap, $second_gap) = map { ($columns[$_] + $columns[ $_ + 1 ]) / 2 } 0, 1;
sub above { my ($x, $y) = @_; return { x => $x, y => $y - 6, anchor => 'middle', wrap => $gap, up => 1 }; }
sub below { my ($x, $y) = @_; return { x => $x, y => $y + 16, anchor => 'middle', wrap => $gap }; }
sub before { my ($x, $y) = @_; return { x => $x - 8, y => $y, anchor => 'end', wrap => $gap }; }
sub behind { my ($x, $y) = @_; return { x => $x + 8, y => $y, wrap => $gap }; }

sub routes
{
	my $apart = 24;    # two lines side by side
	my $between = sub { return ($rows[ $_[0] ] + $rows[ $_[1] ]) / 2 + 4; };
	my $turn = $rows[2] - $height / 2 - 26;    # above waiting
	my $detour = $second_gap - 12;

	return (
		'not_installed up_to_date' => [ [ bottom('not_installed'), top('up_to_date') ], behind($columns[1], $between->(0, 1)) ],
		'up_to_date schema_ahead' => [ [ left('up_to_date', -9), right('schema_ahead', -9) ], above($first_gap, $rows[1] - 9) ],
		'schema_ahead up_to_date' => [ [ right('schema_ahead', 9), left('up_to_date', 9) ], below($first_gap, $rows[1] + 9) ],
		'up_to_date update_available' => [ [ bottom('up_to_date'), top('update_available') ], behind($columns[1], $between->(1, 2)) ],
		'up_to_date waiting' => [ [ bottom('up_to_date', -60), [ $columns[1] - 60, $turn ], [ $columns[0], $turn ], top('waiting') ],
			above($first_gap, $turn) ],
		'update_available waiting' => [ [ left('update_available'), right('waiting') ], above($first_gap, $rows[2]) ],
		'waiting pending' => [ upright(bottom('waiting'), left('pending', -$apart)), above($first_gap, $rows[3] - $apart) ],
		'update_available pending' => [ [ bottom('update_available', -$apart), top('pending', -$apart) ],
			before($columns[1] - $apart, $between->(2, 3) - 10) ],
		'pending update_available' => [ [ top('pending', $apart), bottom('update_available', $apart) ],
			behind($columns[1] + $apart, $between->(2, 3)) ],
		'pending held' => [ across(left('pending'), top('held', -20)), above($first_gap, $rows[3]) ],
		'held pending' => [ upright(top('held', 20), left('pending', $apart)), above($first_gap, $rows[3] + $apart) ],
		'pending blocked' => [ [ bottom('pending', -$apart), top('blocked', -$apart) ], before($columns[1] - $apart, $between->(3, 4) + 8) ],
		'blocked pending' => [ [ top('blocked', $apart), bottom('pending', $apart) ], behind($columns[1] + $apart, $between->(3, 4) + 8) ],
		'update_available finalizing' => [ across(right('update_available'), top('finalizing', -40)), above($second_gap, $rows[2]) ],
		'pending finalizing' => [ [ right('pending', -$apart), left('finalizing', -$apart) ], above($second_gap, $rows[3] - $apart) ],
		'finalizing pending' => [ [ left('finalizing'), right('pending') ], above($second_gap, $rows[3]) ],
		'finalizing failed' => [ [ bottom('finalizing'), top('failed') ], behind($columns[2], $between->(3, 4) + 8) ],
		'failed pending' => [ [ left('failed'), [ $detour, $rows[4] ], [ $detour, $rows[3] + $apart ], right('pending', $apart) ],
			{ x => $detour + 8, y => $between->(3, 4), wrap => 100 } ],
		'finalizing verifying' => [ [ top('finalizing'), bottom('verifying') ], behind($columns[2], $rows[2] + 5) ],
		'verifying up_to_date' => [ [ left('verifying', -9), right('up_to_date', -9) ], above($second_gap, $rows[1] - 9) ],
		'up_to_date verifying' => [ [ right('up_to_date', 9), left('verifying', 9) ], below($second_gap, $rows[1] + 9) ],);
}

# Which of the four kinds a state is.
sub role
{
	my ($state, $has_ways) = @_;

	return 'pale' unless $has_ways;
	return $state->{settled} ? 'good' : $state->{warns} ? 'warn' : 'calm';
}

my %role_means = (
	good => 'settled', calm => 'not settled', warn => 'not settled, with a Warning Event', pale => 'another server decides');

sub draw
{
	my ($facts, $new_canvas) = @_;
	my $states = $facts->states;
	my @ways = $facts->transitions;
	my %routes = routes();
	my %has_ways = map { $_ => 1 } map { @{$_}{qw(from to)} } @ways;
	my $canvas = $new_canvas->(
		width => 960, height => 598,
		title => 'The states of an upgrade, and what leads from one to the next',
		description => join ' ', map { "From $_->{from} to $_->{to}: $_->{when}." =~ s/`//gr } @ways);

	Facts::same('view status', [ keys %$states ], 'the drawing of states', [ keys %place ]);
	Facts::same('docs/architecture.md', [ map { "$_->{from} $_->{to}" } @ways ], 'the drawing of states', [ keys %routes ]);
	foreach my $name (sort keys %$states)
	{
		my ($x, $y) = middle($name);
		my $half = half($name);
		my ($elsewhere) = $states->{$name}{meaning} =~ /; (look at .*)$/;

		$canvas->box($x - $width / 2, $y - $half, $width, 2 * $half, role($states->{$name}, $has_ways{$name}),
			[ "`$name`", $elsewhere // () ]);
	}
	foreach my $way (@ways)
	{
		my ($line, $words) = @{ $routes{"$way->{from} $way->{to}"} };
		$canvas->arrow($line);
		$canvas->text($words->{x}, $words->{y}, $way->{when}, size => 12, %$words);
	}

	my $x = 36;
	foreach my $role (qw(good calm warn pale))
	{
		$canvas->box($x, 566, 26, 16, $role);
		$canvas->text($x + 34, 579, $role_means{$role}, size => 12);
		$x += 34 + 26 + Canvas::width($role_means{$role}, 12);
	}
	return $canvas;
}

1;
