
=pod

=head1 NAME

Canvas - an SVG picture that notices when something is in the way of something

=head1 SYNOPSIS

  my $canvas = Canvas->new(name => 'states', width => 960, height => 600, title => ..., description => ...);
  $canvas->box(20, 20, 160, 40, 'good', ['up_to_date']);
  $canvas->arrow([ 180, 40 ], [ 300, 40 ]);
  $canvas->text(240, 34, 'a newer `binary`', anchor => 'middle');
  print $canvas->svg;

=head1 DESCRIPTION

The words of a drawing come from the tree and change with it, so nobody looks at
every picture again.  Instead each shape is remembered, and C<svg> raises an error
when a text is cut off, covered by another one, crossed by a line or an edge, or when
a line runs through a box.  Widths of text are those of DejaVu Sans, which is wider
than the fonts that most people see.  For the same reason lines are horizontal or
vertical.

A picture has a background of its own and two sets of colours, so that it can be
read on a light and on a dark page.  It has no scripts and refers to nothing.

=cut

package Canvas;

use strict;
use warnings FATAL => 'all';

use List::Util qw(max min sum0 uniq);

my $largest = 20_000;    # bytes of a picture
my $margin = 8;          # that stays free at the borders of the page
my $line_height = 1.3;

# Declarations for a light page and for a dark one.
my %look = (
	page => [ 'fill:#ffffff;stroke:#d1d9e0', 'fill:#0d1117;stroke:#3d444d' ],
	ink => [ 'fill:#1f2328', 'fill:#f0f6fc' ],
	soft => [ 'fill:#59636e', 'fill:#9198a1' ],
	line => [ 'fill:none;stroke:#59636e;stroke-width:1.5', 'stroke:#9198a1' ],
	report => [ 'fill:none;stroke:#0969da;stroke-width:2', 'stroke:#4493f8' ],
	head_line => [ 'fill:#59636e', 'fill:#9198a1' ],
	head_report => [ 'fill:#0969da', 'fill:#4493f8' ],
	dot => [ 'fill:#bc4c00', 'fill:#f0883e' ],
	ring => [ 'fill:#ffffff;stroke:#bc4c00;stroke-width:2', 'fill:#0d1117;stroke:#f0883e' ],
	area => [ 'fill:#f6f8fa;stroke:#d1d9e0', 'fill:#151b23;stroke:#3d444d' ],
	good => [ 'fill:#dafbe1;stroke:#1a7f37', 'fill:#12261e;stroke:#3fb950' ],
	calm => [ 'fill:#ddf4ff;stroke:#0969da', 'fill:#121d2f;stroke:#4493f8' ],
	warn => [ 'fill:#fff1e5;stroke:#bc4c00', 'fill:#2b1d12;stroke:#f0883e' ],
	pale => [ 'fill:#ffffff;stroke:#818b98;stroke-dasharray:5 3', 'fill:#0d1117;stroke:#7d8590' ],
	code => ["font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace"],
	bold => ['font-weight:600'],);

# Thousandths of the size that a character is wide.
my %width_of;
{
	my %characters = (
		275 => q('), 278 => 'ijl', 295 => 'IJ', 318 => ' ,.', 337 => '/:;\\|', 352 => 'f', 361 => '-', 390 => '()[]',
		392 => 't', 401 => '!', 411 => 'r', 460 => '"', 500 => '*_`', 521 => 's', 525 => 'z', 531 => '?', 550 => 'c',
		557 => 'L', 575 => 'F', 579 => 'k', 592 => 'vxy', 603 => 'P', 611 => 'TY', 612 => 'o', 613 => 'a', 615 => 'e',
		632 => 'E', 634 => 'hnu', 635 => 'Sbdgpq', 636 => '$0123456789{}', 656 => 'K', 684 => 'AV', 685 => 'XZ', 686 => 'B',
		695 => 'R', 698 => 'C', 732 => 'U', 748 => 'N', 752 => 'H', 770 => 'D', 775 => 'G', 780 => '&', 787 => 'OQ',
		818 => 'w', 838 => '#+<=>^~', 863 => 'M', 950 => '%', 974 => 'm', 989 => 'W', 1000 => '@');
	foreach my $width (keys %characters)
	{
		$width_of{$_} = $width foreach split //, $characters{$width};
	}
}
my $width_of_code = 602;
my $wider_when_bold = 1.14;

sub new
{
	my ($class, %its) = @_;

	return bless { %its, elements => [], used => {}, texts => [], boxes => [], segments => [], complaints => [] }, $class;
}

sub escape { return $_[0] =~ s/&/&amp;/gr =~ s/</&lt;/gr =~ s/>/&gt;/gr =~ s/"/&quot;/gr; }

# A number as short as it can be.
sub short { return sprintf('%.1f', $_[0]) =~ s/\.0$//r; }

sub complain
{
	my ($self, $complaint) = @_;

	push @{ $self->{complaints} }, "$self->{name}: $complaint";
	return;
}

# Adds an element with classes; those that are not used are not explained.
sub add
{
	my ($self, $format, $classes, @values) = @_;

	foreach my $class (split / /, $classes)
	{
		exists $look{$class} or die "nothing looks like \"$class\"\n";
		$self->{used}{$class} = 1;
	}
	push @{ $self->{elements} }, sprintf($format, $classes, @values);
	return;
}

# Pieces of a text, each with whether it is code, which is in backquotes.
sub pieces
{
	my ($text) = @_;
	my $is_code = 1;

	return grep { $_->[0] ne '' } map { $is_code = !$is_code; [ $_, $is_code ] } split /`/, $text, -1;
}

sub width
{
	my ($text, $size, $bold) = @_;
	my $sum = sum0 map {
		my ($words, $is_code) = @$_;
		$is_code ? $width_of_code * length $words : sum0 map { $width_of{$_} // die "no width of \"$_\" in \"$text\"\n" } split //,
		  $words
	} pieces($text);

	return $sum * $size / 1000 * ($bold ? $wider_when_bold : 1);
}

# Breaks a text into lines that are not wider than that.
sub wrap
{
	my ($text, $width, $size) = @_;
	my @lines;

	# What is in backquotes stays together.
	foreach my $word ($text =~ /((?:`[^`]*`|[^`\s])+)/g)
	{
		if (@lines && width("$lines[-1] $word", $size) <= $width) { $lines[-1] .= " $word"; }
		else { push @lines, $word; }
	}
	return @lines;
}

# Text from a point on its base line: one line, or several.  Options: anchor (start,
# middle, end), size, bold, soft, wrap (to that width), up (the last line is there, not
# the first).
sub text
{
	my ($self, $x, $y, $text, %how) = @_;
	my ($size, $anchor) = ($how{size} // 13, $how{anchor} // 'start');
	my @lines = $how{wrap} ? wrap($text, $how{wrap}, $size) : ref $text ? @$text : ($text);

	$y -= $size * $line_height * $#lines if $how{up};
	foreach my $line (@lines)
	{
		my $width = width($line, $size, $how{bold});
		my $left = $x - ($anchor eq 'middle' ? $width / 2 : $anchor eq 'end' ? $width : 0);
		my $classes = join ' ', $how{soft} ? 'soft' : 'ink', $how{bold} ? 'bold' : ();
		my @pieces = pieces($line);
		my $content;

		$self->{used}{code} = 1 if grep { $_->[1] } @pieces;
		if (@pieces == 1 && $pieces[0][1]) { ($classes, $content) = ("$classes code", escape($pieces[0][0])); }
		else { $content = join '', map { $_->[1] ? '<tspan class="code">' . escape($_->[0]) . '</tspan>' : escape($_->[0]) } @pieces; }
		$self->add('<text class="%s" x="%s" y="%s"%s%s>%s</text>',
			$classes, short($x), short($y),
			$anchor eq 'start' ? '' : qq( text-anchor="$anchor"),
			$size == 13 ? '' : qq( font-size="$size"), $content);
		push @{ $self->{texts} },
		  { what => "\"$line\"", left => $left, right => $left + $width, top => $y - 0.8 * $size, bottom => $y + 0.23 * $size };
		$y += $size * $line_height;
	}
	return;
}

# A box with lines of text in its middle.  Options: bold (the first line), size, and
# open: it is an area that other things are in and lines lead into.
sub box
{
	my ($self, $x, $y, $width, $height, $role, $lines, %how) = @_;
	my $size = $how{size} // 13;
	my $base = $y + $height / 2 + $size * 0.36 - ($#{ $lines // [] }) * $size * $line_height / 2;

	$self->add('<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="%d"/>',
		$role, (map { short($_) } $x, $y, $width, $height), $how{open} ? 8 : 5);
	push @{ $self->{boxes} },
	  { what => $lines ? "the box \"$lines->[0]\"" : 'an area', left => $x, right => $x + $width, top => $y, bottom => $y + $height,
		open => $how{open} };
	foreach my $i (0 .. $#{ $lines // [] })
	{
		$self->text($x + $width / 2, $base + $i * $size * $line_height, $lines->[$i], anchor => 'middle', size => $size,
			bold => $how{bold} && $i == 0, soft => $i > 0);
	}
	return;
}

# A line through points.  Options: role, dashed, free: it may cross what it likes.
sub line
{
	my ($self, $points, %how) = @_;
	my $path = 'M' . join ' L', map { join ' ', map { short($_) } @$_ } @$points;

	$self->add('<path class="%s" d="%s"%s/>', $how{role} // 'line', $path, $how{dashed} ? ' stroke-dasharray="4 4"' : '');
	return if $how{free};
	foreach my $i (1 .. $#$points)
	{
		my ($from, $to) = @{$points}[ $i - 1, $i ];
		$self->complain("a line through ($path) is neither horizontal nor vertical") if $from->[0] != $to->[0] && $from->[1] != $to->[1];
		push @{ $self->{segments} },
		  { what => "the line $path", left => min($from->[0], $to->[0]), right => max($from->[0], $to->[0]),
			top => min($from->[1], $to->[1]), bottom => max($from->[1], $to->[1]), line => $points };
	}
	return;
}

# The same with a head at its end.
sub arrow
{
	my ($self, $points, %how) = @_;
	my @points = map { [@$_] } @$points;
	my ($before, $tip) = @points[ -2, -1 ];
	my ($dx, $dy) = map { $tip->[$_] <=> $before->[$_] } 0, 1;
	my ($x, $y) = @$tip;

	$points[-1] = [ $x - 7 * $dx, $y - 7 * $dy ];
	$self->line(\@points, %how);
	$self->add('<path class="%s" d="M%s %s L%s %s L%s %sZ"/>',
		'head_' . ($how{role} // 'line'),
		map { short($_) } $x, $y, $x - 9 * $dx + 4.5 * $dy, $y - 9 * $dy + 4.5 * $dx, $x - 9 * $dx - 4.5 * $dy, $y - 9 * $dy - 4.5 * $dx);
	return;
}

# A span of time: a line with two short ends.
sub span
{
	my ($self, $from, $to, $y) = @_;

	$self->line([ [ $from, $y ], [ $to, $y ] ]);
	$self->line([ [ $_, $y - 5 ], [ $_, $y + 5 ] ], free => 1) foreach $from, $to;
	return;
}

# A moment on a line: a dot, or a ring.
sub mark
{
	my ($self, $x, $y, $role) = @_;

	$self->add('<circle class="%s" cx="%s" cy="%s" r="6"/>', $role // 'dot', short($x), short($y));
	return;
}

# True when two rectangles share more than a border of that width.
sub meet
{
	my ($one, $other, $border) = @_;

	return
		 $one->{left} < $other->{right} - $border
	  && $other->{left} < $one->{right} - $border
	  && $one->{top} < $other->{bottom} - $border
	  && $other->{top} < $one->{bottom} - $border;
}

# True when one is within the other and keeps that distance to its edges.
sub within
{
	my ($one, $other, $distance) = @_;

	return
		 $one->{left} >= $other->{left} + $distance
	  && $one->{right} <= $other->{right} - $distance
	  && $one->{top} >= $other->{top} + $distance
	  && $one->{bottom} <= $other->{bottom} - $distance;
}

# Calls a function with each pair of a list.
sub each_pair
{
	my ($list, $function) = @_;

	foreach my $i (0 .. $#$list)
	{
		$function->($list->[$i], $list->[$_]) foreach $i + 1 .. $#$list;
	}
	return;
}

sub check_texts
{
	my ($self) = @_;
	my $page = { left => 0, top => 0, right => $self->{width}, bottom => $self->{height} };

	foreach my $text (@{ $self->{texts} })
	{
		$self->complain("$text->{what} is cut off at the border") unless within($text, $page, $margin);
		my $covered = grep { !$_->{open} && within($text, $_, 2) } @{ $self->{boxes} };
		foreach my $box ($covered ? () : @{ $self->{boxes} })
		{
			$self->complain("$text->{what} crosses the edge of $box->{what}") if meet($text, $box, 0) && !within($text, $box, 2);
		}
		foreach my $segment (@{ $self->{segments} })
		{
			$self->complain("$segment->{what} crosses $text->{what}") if meet($text, $segment, -2);
		}
	}
	each_pair($self->{texts}, sub { $self->complain("$_[0]{what} covers $_[1]{what}") if meet(@_, 0) });
	return;
}

sub check_shapes
{
	my ($self) = @_;
	my @closed = grep { !$_->{open} } @{ $self->{boxes} };

	each_pair(\@closed, sub { $self->complain("$_[0]{what} covers $_[1]{what}") if meet(@_, 0) });
	foreach my $segment (@{ $self->{segments} })
	{
		foreach my $box (@closed)
		{
			$self->complain("$segment->{what} runs through $box->{what}") if meet($segment, $box, 1);
		}
	}
	each_pair($self->{segments},
		sub { $self->complain("$_[0]{what} meets $_[1]{what}") if $_[0]{line} != $_[1]{line} && meet(@_, -1) });
	return;
}

# The picture; an error where something is in the way of something.
sub svg
{
	my ($self) = @_;
	my @used = grep { $self->{used}{$_} } sort keys %look;
	my ($width, $height) = @{$self}{qw(width height)};
	my %says = map { $_ => escape($self->{$_}) } qw(title description);

	$self->check_texts;
	$self->check_shapes;
	my $light = join "\n", map { "    .$_ { $look{$_}[0] }" } 'page', @used;
	my $dark = join "\n", map { "      .$_ { $look{$_}[1] }" } 'page', grep { $look{$_}[1] } @used;
	my $shapes = join "\n", map { "  $_" } @{ $self->{elements} };
	my ($right, $bottom) = ($width - 1, $height - 1);
	my $font = q(font-family="Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif" font-size="13");
	my $svg = <<"SVG";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" role="img" aria-labelledby="title description" $font>
  <title id="title">$says{title}</title>
  <desc id="description">$says{description}</desc>
  <style>
$light
    \@media (prefers-color-scheme: dark) {
$dark
    }
  </style>
  <rect class="page" x="0.5" y="0.5" width="$right" height="$bottom" rx="10"/>
$shapes
</svg>
SVG
	$self->complain('it has ' . length($svg) . " bytes, more than $largest") if length $svg > $largest;
	die map { "$_\n" } uniq @{ $self->{complaints} } if @{ $self->{complaints} };
	return $svg;
}

1;
