
=pod

=head1 NAME

DocumentdbUpgrade::Story::Shrink - the shortest list that still fails

=head1 SYNOPSIS

  my @short = shrink(sub { fails(@_) }, 40, @actions);

=cut

package DocumentdbUpgrade::Story::Shrink;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use List::Util qw(max min);

our @EXPORT = qw(shrink);

=pod

=head1 FUNCTIONS

=over

=item shrink(fails, tries, @list)

Takes parts away from a list that fails, as delta debugging does: halves, then smaller
and smaller parts, each time keeping what still fails, until no single element can go.
C<fails> is called with a list, at most C<tries> times; the shortest list that it gave
true for is given back.

=back

=cut

sub shrink
{
	my ($fails, $tries, @list) = @_;
	my $parts = 2;

	while (@list > 1)
	{
		my $size = int((@list + $parts - 1) / $parts);
		my $shorter;

		for (my $begin = 0; $begin < @list; $begin += $size)
		{
			my @rest = @list;

			splice @rest, $begin, $size;
			return @list if $tries-- <= 0;
			next unless $fails->(@rest);
			($shorter, @list) = (1, @rest);
			last;
		}
		if ($shorter) { $parts = max(2, $parts - 1); }
		elsif ($size > 1) { $parts = min(scalar @list, 2 * $parts); }
		else { last; }
	}
	return @list;
}

1;
