# The two phases of an upgrade on a time line, with README's versions, and what
# belongs between them.
package RollbackWindow;

use strict;
use warnings FATAL => 'all';

my ($left, $image, $finalize, $verified, $right) = (96, 250, 590, 790, 936);
my ($first_lane, $lane_height, $bar_height) = (88, 46, 32);

sub draw
{
	my ($facts, $new_canvas) = @_;
	my ($old, $new) = $facts->versions;
	my @inside = map { $facts->function($_) } qw(plan preflight rehearse hold);
	my $canvas = $new_canvas->(
		width => 960, height => 368,
		title => 'The two phases of an upgrade, with the rollback window between the new binary and the commit of the schema',
		description => "A time line. First the binary goes from $old to $new, which can be undone. Then comes the rollback window: "
		  . "the state is update_available, and documentdb_upgrade plans, judges and rehearses. Finalize commits the schema, "
		  . 'from then on nothing can be undone. The state is verifying until every instance uses the new version.');

	$facts->relies_on('README.md',
		'you can go back by putting the old one in place again',
		'The time between the two is the rollback window',
		'ALTER EXTENSION ... UPDATE, which cannot be undone',
		'commits all managed extensions in one transaction',
		'the state is verifying until every standby sees the new schema');
	$canvas->box($image, 46, $finalize - $image, 226, 'area', undef, open => 1);
	my $middle = ($image + $finalize) / 2;
	$canvas->text($middle, 34, 'rollback window', anchor => 'middle', bold => 1, size => 14);
	$canvas->text($middle, 68, 'to go back, put the old image in place again', anchor => 'middle', soft => 1);

	my @lanes = (
		[ 'binary', [ $left, $image, 'pale', $old ], [ $image, $right, 'calm', $new ] ],
		[ 'schema', [ $left, $finalize, 'pale', $old ], [ $finalize, $right, 'good', $new ] ],
		[ 'state', [ $left, $image, 'pale', $facts->state_name('up_to_date') ],
			[ $image, $finalize, 'calm', $facts->state_name('update_available') ],
			[ $finalize, $verified, 'calm', $facts->state_name('verifying') ],
			[ $verified, $right, 'good', $facts->state_name('up_to_date') ] ]);
	foreach my $i (0 .. $#lanes)
	{
		my ($name, @bars) = @{ $lanes[$i] };
		my $y = $first_lane + $i * $lane_height;

		$canvas->text(20, $y + $bar_height / 2 + 5, $name);
		foreach my $bar (@bars)
		{
			my ($from, $to, $role, $text) = @$bar;
			$canvas->box($from, $y, $to - $from, $bar_height, $role, [$text]);
		}
	}

	$canvas->text($middle, 240, join(', ', @inside), anchor => 'middle');
	$canvas->text($middle, 260, 'on the primary, with what every standby reports', anchor => 'middle', soft => 1, size => 12);

	$canvas->arrow([ [ $left, 300 ], [ $right, 300 ] ], free => 1);
	foreach my $moment ([ $image, 'new image', 'can be undone' ],
		[ $finalize, $facts->function('finalize'), 'one transaction, cannot be undone' ],
		[ $verified, 'in force', 'on every instance' ])
	{
		my ($x, $what, $remark) = @$moment;
		$canvas->mark($x, 300);
		$canvas->text($x, 328, $what, anchor => 'middle', bold => 1);
		$canvas->text($x, 348, $remark, anchor => 'middle', soft => 1, size => 12);
	}
	return $canvas;
}

1;
