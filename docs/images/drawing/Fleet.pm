# The example of docs/fleet.md: who hands its report to whom, and under which statuses
# a finalize waits.  Where a server stands follows from the tree alone.
package Fleet;

use strict;
use warnings FATAL => 'all';

use List::Util qw(max sum0);

my ($width, $height) = (160, 44);
my ($column_width, $row_height) = (204, 104);
my ($first_row, $border) = (70, 24);
my @numbers = qw(no one two three four five six seven eight nine ten);

# How many columns the standbys of a server in its own region need.
sub columns
{
	my ($server) = @_;

	return max(1, sum0 map { columns($_) } here($server));
}

# The standbys of a server that are in its region, and those that are the heads of
# others.
sub here { my ($server) = @_; return grep { $_->{region} eq $server->{region} } @{ $server->{standbys} }; }
sub elsewhere { my ($server) = @_; return grep { $_->{region} ne $server->{region} } @{ $server->{standbys} }; }

# Everything below a server, itself first.
sub all { my ($server) = @_; return ($server, map { all($_) } @{ $server->{standbys} }); }

# Gives each server of a region its place, from this column on.
sub place
{
	my ($server, $left) = @_;
	my $column = $left;

	foreach my $standby (here($server))
	{
		place($standby, $column);
		$column += columns($standby) * $column_width;
	}
	$server->{x} = $left + columns($server) * $column_width / 2;
	$server->{y} = $first_row + $server->{depth} * $row_height;
	return;
}

sub reports_of { my ($server) = @_; return $server->{reports} == 1 ? 'own report' : "reports of $numbers[$server->{reports}]"; }

# Who reports to a server, in sentences.
sub describe
{
	my ($server) = @_;

	return map {
		my $reports = ($_->{reports} == 1 ? 'its ' : 'the ') . reports_of($_);
		ucfirst "$_->{name} in $_->{region} hands $reports to $server->{name}."
	} @{ $server->{standbys} };
}

# Lines from the standbys of a region up to the server above them.
sub draw_reports
{
	my ($canvas, $server) = @_;
	my @standbys = here($server);
	my $bottom = $server->{y} + $height;

	foreach my $i (0 .. $#standbys)
	{
		my $standby = $standbys[$i];
		my $port = $server->{x} + ($i - $#standbys / 2) * $width / 2;
		my $turn = $bottom + 20;
		my @corners = $port == $standby->{x} ? () : ([ $standby->{x}, $turn ], [ $port, $turn ]);

		$canvas->arrow([ [ $standby->{x}, $standby->{y} ], @corners, [ $port, $bottom ] ], role => 'report');
		$canvas->text($standby->{x} + 8, $standby->{y} - 14, reports_of($standby), size => 12);
	}
	draw_reports($canvas, $_) foreach @standbys;

	# The heads of other regions stand beside this one, and a farther one's line above
	# the lines of nearer ones.
	my @heads = elsewhere($server);
	foreach my $i (0 .. $#heads)
	{
		my $head = $heads[$i];
		my $y = $server->{y} + $height / 2 - ($i - $#heads / 2) * 14;
		$canvas->arrow([ [ $head->{x}, $head->{y} ], [ $head->{x}, $y ], [ $server->{x} + $width / 2, $y ] ], role => 'report');
		$canvas->text($head->{x} + 8, $head->{y} - 14, reports_of($head), size => 12);
		draw_reports($canvas, $head);
	}
	return;
}

# A row of statuses behind what they have in common.
sub draw_statuses
{
	my ($canvas, $y, $what, $role, @names) = @_;
	my $x = 250;

	$canvas->text($border, $y + 17, $what);
	foreach my $name (@names)
	{
		my $room = Canvas::width("`$name`", 12) + 20;
		$canvas->box($x, $y, $room, 26, $role, ["`$name`"], size => 12);
		$x += $room + 10;
	}
	return;
}

sub draw
{
	my ($facts, $new_canvas) = @_;
	my $primary = $facts->report_tree;
	my @servers = all($primary);
	my @statuses = $facts->statuses;
	my @heads = ($primary, map { elsewhere($_) } @servers);
	my $deepest = max map { $_->{depth} } @servers;
	my $bottom = $first_row + $deepest * $row_height + $height + 20;
	my $left = $border;

	$facts->relies_on('docs/fleet.md',
		'A standby that has standbys of its own adds their reports.',
		'refuses while a standby is further behind than');
	foreach my $head (@heads)
	{
		place($head, $left + 10);
		$head->{left} = $left;
		$left += columns($head) * $column_width + 20 + $border;
	}
	my $canvas = $new_canvas->(
		width => $left, height => $bottom + 158,
		title => 'The report tree of a fleet: each standby hands its report and those from below to its upstream, up to the primary',
		description => join ' ', (map { describe($_) } @servers),
		'A finalize waits while a standby is ' . join(', ', map { $_->{name} } grep { $_->{waits} } @statuses) . '.');

	foreach my $head (@heads)
	{
		$canvas->box($head->{left}, 24, columns($head) * $column_width + 20, $bottom - 24, 'area', undef, open => 1);
		$canvas->text($head->{left} + 14, 46, $head->{region}, soft => 1, bold => 1);
	}
	foreach my $server (@servers)
	{
		$canvas->box($server->{x} - $width / 2, $server->{y}, $width, $height, $server == $primary ? 'good' : 'calm',
			[ $server->{name}, $server->{depth} ? "`depth` $server->{depth}" : () ]);
	}
	draw_reports($canvas, $primary);

	$canvas->text($border, $bottom + 30, 'What the primary says of each standby, in column `status` of view `standbys`:');
	my %rest = map { $_->{name} => 1 } grep { !$_->{waits} } @statuses;
	delete $rest{lagging} or die "there is no status lagging\n";
	draw_statuses($canvas, $bottom + 44, 'guard ' . $facts->guard('standbys_ready') . ' refuses', 'warn',
		map { $_->{name} } grep { $_->{waits} } @statuses);
	draw_statuses($canvas, $bottom + 80, 'guard ' . $facts->guard('replication_lag') . ' refuses', 'warn', 'lagging');
	draw_statuses($canvas, $bottom + 116, 'a finalize does not wait', 'good', sort keys %rest);
	return $canvas;
}

1;
