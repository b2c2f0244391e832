# A cut-over from blue to green: the steps of cutover_report() on a time line, with the
# times of the example in docs/blue-green.md.  The line is not to scale.
package CutOver;

use strict;
use warnings FATAL => 'all';

my ($left, $right) = (124, 936);
my %at = ('fence raised' => 262, 'last writer gone' => 396, 'parity proved' => 610, 'fence lifted' => 872);
my ($caught_up, $switched) = (490, 726);
my ($first_lane, $lane_height, $bar_height) = (30, 44, 30);

# What the report tells besides moments.
my @spans = qw(total goal estimate);
my $who_may_write = 'not held back';

sub seconds
{
	my ($seconds) = @_;

	return $seconds == 0 ? '0 s' : sprintf($seconds < 1 ? '%.2f s' : '%.1f s', $seconds);
}

sub draw_lanes
{
	my ($canvas, @lanes) = @_;

	foreach my $i (0 .. $#lanes)
	{
		my ($name, @bars) = @{ $lanes[$i] };
		my $y = $first_lane + $i * $lane_height;

		$canvas->text(16, $y + $bar_height / 2 + 5, $name);
		foreach my $bar (@bars)
		{
			my ($from, $to, $role, $text) = @$bar;
			$canvas->box($from, $y, $to - $from, $bar_height, $role, [$text], size => 12);
		}
	}
	return;
}

sub draw
{
	my ($facts, $new_canvas) = @_;
	my @steps = $facts->cutover_steps;
	my %times = $facts->cutover_times;
	my $goal = $facts->setting('cutover_goal') =~ s/(\d)([a-z])/$1 $2/r;
	my ($raise, $lift, $compare) = map { $facts->function($_) } qw(fence_writes lift_fence compare_with);
	my @moments = sort { $at{$a} <=> $at{$b} } keys %at;
	my $canvas = $new_canvas->(
		width => 960, height => 470,
		title => 'A cut-over from blue to green on a time line, with the steps that cutover_report() shows',
		description => 'Applications write on blue until the fence is raised. Then writes are refused, the last writer '
		  . 'ends, green catches up, and compare_with() proves parity. Only then the applications are switched to green. '
		  . 'Until somebody has written to green, the way back is open and nothing is lost: the fence is lifted. '
		  . join(' ', map { exists $times{$_} ? "In the example: $_ after " . seconds($times{$_}) . '.' : () } @moments)
		  . " Goal: $goal.");

	$facts->relies_on('docs/blue-green.md',
		'every writer that began before the fence has ended',
		'Switch the applications.',
		'Leave the fence on blue. While nobody has written to green, you can go back',
		'is how long writes may be stopped',
		'is told before the fence goes up');
	Facts::same('cutover_report()', \@steps, 'the drawing of a cut-over', [ @moments, @spans, $who_may_write ]);
	join(' ', grep { exists $at{$_} } @steps) eq join(' ', @moments)
	  or die "cutover_report() has another order of steps than the drawing of a cut-over\n";

	my $axis = $first_lane + 5 * $lane_height + 18;
	$canvas->line([ [ $at{$_}, $first_lane ], [ $at{$_}, $axis ] ], dashed => 1, free => 1) foreach @moments;
	draw_lanes($canvas,
		[ 'applications', [ $left, $at{'fence raised'}, 'calm', 'write on blue' ],
			[ $at{'fence raised'}, $switched, 'warn', 'read on blue, each write is refused (25006)' ],
			[ $switched, $right, 'good', 'use green' ] ],
		[ 'fence on blue', [ $at{'fence raised'}, $at{'last writer gone'}, 'warn', 'waits for writers' ],
			[ $at{'last writer gone'}, $at{'fence lifted'}, 'warn', 'no older writer is left: a comparison is exact' ] ],
		[ $who_may_write, [ $at{'fence raised'}, $at{'fence lifted'}, 'pale', 'who may write by design, such as exempt roles' ] ],
		[ 'green', [ $left, $caught_up, 'calm', 'gets the data: replication, or dump and restore' ],
			[ $caught_up, $at{'parity proved'}, 'calm', $compare ],
			[ $switched, $right, 'good', 'in use' ] ],
		[ 'way back',
			[ $at{'fence raised'}, $at{'fence lifted'}, 'good', "$lift, and nothing is lost while nobody has written to green" ] ]);

	$canvas->arrow([ [ $left, $axis ], [ $right, $axis ] ], free => 1);
	foreach my $step (@moments)
	{
		my $time = exists $times{$step} ? '+' . seconds($times{$step}) : 'only to go back';
		$canvas->mark($at{$step}, $axis, exists $times{$step} ? 'dot' : 'ring');
		$canvas->text($at{$step}, $axis + 24, $step, anchor => 'middle', bold => 1);
		$canvas->text($at{$step}, $axis + 42, $time, anchor => 'middle', soft => 1, size => 12);
	}
	$canvas->mark($switched, $axis, 'ring');
	$canvas->text($switched, $axis + 24, 'switch', anchor => 'middle', bold => 1);
	$canvas->text($switched, $axis + 42, 'the applications', anchor => 'middle', soft => 1, size => 12);

	my %span = (
		estimate => [ $caught_up, $at{'parity proved'},
			'how long the comparison will take, told before the fence goes up: ' . seconds($times{estimate}) ],
		total => [ $at{'fence raised'}, $at{'fence lifted'}, 'how long the fence is up' ],
		goal => [ $at{'fence raised'}, $right, "how long writes may be stopped: `documentdb_upgrade.cutover_goal`, $goal" ]);
	my $y = $axis + 70;
	foreach my $name (qw(estimate total goal))
	{
		my ($from, $to, $text) = @{ $span{$name} };
		$canvas->span($from, $to, $y);
		$canvas->text(16, $y + 5, $name, bold => 1);
		$canvas->text($from, $y + 18, $text, size => 12, soft => 1);
		$y += 42;
	}
	return $canvas;
}

1;
