
=pod

=head1 NAME

DocumentdbUpgrade::Mutation - inputs made of others, the same for the same seed

=head1 SYNOPSIS

  my $mutation = DocumentdbUpgrade::Mutation->new($seed, @corpus);
  my $bytes = $mutation->next;

=head1 DESCRIPTION

Takes an input of the corpus and changes it a few times: bytes, ranges, numbers,
pieces of other inputs; and where it is JSON, values, keys and nesting.  What was
made may be changed again, so that inputs drift away from the corpus.

=cut

package DocumentdbUpgrade::Mutation;

use strict;
use warnings FATAL => 'all';

use JSON::PP ();

my $json = JSON::PP->new->utf8->canonical->allow_nonref->max_depth(2000);
my $longest = 20_000;
my $pool_size = 100;

# Pieces that parsers treat in a special way.
my @pieces = (
	"\0", "\n", "\r\n", "\t", ' ', "\x7f", "\e[31m", "\xc3\xa9", "\xc3", "\xff\xfe", "\xed\xa0\x80", "\xf0\x9f\x90\x98", "\xe2\x80\xae",
	split(/ /, q<' " '' "" \\ / // /* */ -- ; : , . .. = - + % %s %n $ $$ $x$ { } [ ] ( ) @ # ~ * ? | & ! ^ `>),
	qw(0 1 -1 00 1.0 9 255 256 4294967296 2147483647 2147483648 9223372036854775807 9223372036854775808 1e309 1e-400 0x10 NaN Infinity),
	qw(null true false auto latest UTC GMT+25 Europe/Berlin Sat 24:00 00:00 99:99 rc1 beta v pg sha256: ferretdb), q(E'\\), q(U&"\\), q("\ud800"), q(\u0000));

my @values = (
	undef, JSON::PP::true, JSON::PP::false, 0, -1, 1.5, 1e300, 9007199254740993, 2147483648, '', ' ', 'x', "\0", "a\nb", 'auto', '0.1.0', '1.0',
	'0/1', '0' x 32, 'f' x 64, 'a@sha256:', ":\x{e9}:", 'x' x 300, 'x' x 5000, '1' x 400, [], {}, [undef], [ [ {} ] ], { name => 1 }, ['a'], [ ('x') x 100 ]);

=pod

=head1 METHODS

=over

=item new(seed, corpus...)

=item next

The next input.

=cut

sub new
{
	my ($class, $seed, @corpus) = @_;

	srand $seed;
	return bless { corpus => [@corpus], pool => [@corpus] }, $class;
}

sub pick { return $_[ rand @_ ]; }

sub next    ## no critic: a method may be named like a keyword
{
	my $self = shift;
	my $input = pick(rand() < 0.5 ? @{ $self->{corpus} } : @{ $self->{pool} });
	my $times = 1 + int rand rand 6;

	my $changed = rand() < 0.7 ? $self->change_json($input, $times) : undef;
	if (defined $changed)
	{
		$input = $changed;
		$times = rand() < 0.2 ? 1 : 0;
	}
	$input = $self->change_bytes($input) foreach 1 .. $times;
	$input = substr $input, 0, $longest if length $input > $longest && rand() < 0.98;
	if (length $input < $longest && rand() < 0.2)
	{
		splice @{ $self->{pool} }, rand @{ $self->{pool} }, 1 if @{ $self->{pool} } >= $pool_size;
		push @{ $self->{pool} }, $input;
	}
	return $input;
}

# The input with one change of some of its bytes.
sub change_bytes
{
	my ($self, $input) = @_;
	my $length = length $input;
	my $at = int rand $length + 1;
	my $size = int rand pick(2, 8, 40);

	my $way = int rand 11;
	if ($way == 0 && $at < $length)
	{
		substr($input, $at, 1) ^= chr(1 << int rand 8);
	}
	elsif ($way == 1)
	{
		substr($input, $at, $size, '');
	}
	elsif ($way == 2)
	{
		substr($input, $at, 0, substr $input, $at, $size);
	}
	elsif ($way == 3)
	{
		$input = substr $input, 0, $at;
	}
	elsif ($way == 4)
	{
		my $other = pick(@{ $self->{pool} });
		$input = substr($input, 0, $at) . substr $other, rand length $other;
	}
	elsif ($way == 5 && rand() < 0.2)
	{
		# Long repetitions find what takes more than linear time.
		my $piece = rand() < 0.5 ? pick(@pieces) : substr $input, $at, $size;
		substr($input, $at, 0, $piece x pick(10, 100, 1000, 5000));
	}
	elsif ($way == 6)
	{
		my @numbers;
		push @numbers, [ $-[0], $+[0] - $-[0] ] while $input =~ /\d+/g;
		return $input unless @numbers;
		my $number = pick(@numbers);
		substr($input, $number->[0], $number->[1], pick(0, '00', -1, '', 99999, 2147483648, '18446744073709551616', 9 x 40, int rand 100));
	}
	elsif ($way == 7)
	{
		my @words = split /(\W+)/, $input, -1;
		return $input if @words < 3;
		my ($i, $j) = (int rand @words, int rand @words);
		@words[ $i, $j ] = @words[ $j, $i ];
		$input = join '', @words;
	}
	else
	{
		substr($input, $at, pick(0, 0, $size), pick(@pieces));
	}
	return $input;
}

# The input with so many changes of values in it; undef when it is no JSON.
sub change_json
{
	my ($self, $input, $times) = @_;
	return if $input !~ /^\s*[\[{]/ || length $input > 100_000;
	my $document = eval { $json->decode($input) } // return;

	$self->change_value(\$document) foreach 1 .. $times;
	$input = eval { $json->encode($document) } // return;
	if (rand() < 0.02)
	{
		my $deep = pick(10, 100, 1500);
		$input = rand() < 0.5 ? ('{"x":' x $deep) . $input . ('}' x $deep)
		  : $input =~ s/"x"/('[' x $deep) . (']' x $deep)/er;
	}
	return $input;
}

# Changes one of the values below a reference.
sub change_value
{
	my ($self, $root) = @_;
	my @places;
	my @left = ($root);

	while (my $place = shift @left)
	{
		push @places, $place;
		last if @places > 500;
		push @left, map { \$$place->{$_} } sort keys %$$place if ref $$place eq 'HASH';
		push @left, map { \$_ } @$$place if ref $$place eq 'ARRAY';
	}
	my ($place, $other) = (pick(@places), pick(@places));
	my $way = int rand 6;
	if ($way == 0 && ref $$place eq 'HASH')
	{
		delete $$place->{ pick(sort keys %$$place) // '' };
	}
	elsif ($way == 1 && ref $$place eq 'HASH')
	{
		$$place->{ pick('', 'x', "\0", 'name', 'x' x 100, sort keys %$$place) } = copy($$other);
	}
	elsif ($way == 2 && ref $$place eq 'ARRAY')
	{
		push @$$place, map { copy($$other) } 1 .. pick(1, 1, 2, 20, 200);
	}
	elsif ($way == 3)
	{
		$$place = copy($$other);
	}
	elsif ($way == 4 && !ref $$place && defined $$place)
	{
		my $text = $$place;
		utf8::encode($text);
		$text = $self->change_bytes($text);
		$$place = utf8::decode($text) ? $text : pick(@values);
	}
	else
	{
		$$place = copy(pick(@values));
	}
	return;
}

# Infinite numbers, and what is nested too deep, cannot be copied.
sub copy
{
	my $value = shift;
	return ref $value ? eval { $json->decode($json->encode($value)) } // 1e300 : $value;
}

=pod

=back

=cut

1;
