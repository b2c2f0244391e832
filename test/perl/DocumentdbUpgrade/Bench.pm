
=pod

=head1 NAME

DocumentdbUpgrade::Bench - what the measurements of test/bench share

=head1 SYNOPSIS

  my $node = bench_node('main', $api);
  my @times = map { milliseconds(sub { ... }) } 1 .. 20;
  result('a reload until it is followed', median(@times), 'ms', peer => 'a signal alone', theirs => 0.1, goal => 'at most 50', met => 1);
  points('reload', 'ours', cumulative(@times));

=head1 DESCRIPTION

The extension that is managed is "thing" with so many versions that each round
can go up by one: nothing needs to be dropped.  Extension "plain" is its twin,
not managed, for comparison.

=head1 FUNCTIONS

=over

=item bench_node(name, api, versions, %options)

A started node whose worker follows the resource of the fake API server, with
both extensions at 1.0 of that many versions.  Options: those of new_node.

=item milliseconds(code)

How long it took.

=item median(numbers)

=item result(what, ours, unit, %comparison)

Gives a result to the report (see test/bench/report.sh).  C<peer>, what it is compared
with, and C<theirs>, its value; C<goal>, and whether it is C<met>.

=item points(plot, curve, [x, y]...)

Gives points of a curve to a plot.

=item cumulative(numbers)

Their distribution as points: each number, and the share of numbers up to it.

=item exceeding(numbers)

The same the other way: each number of a geometric row, and the share of numbers above it.

=item await_down(node, signal)

Signals the postmaster and waits for its end; milliseconds.

=back

=cut

package DocumentdbUpgrade::Bench;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(bench_node milliseconds median result points cumulative exceeding await_down);

sub bench_node
{
	my ($name, $api, $versions, %options) = @_;
	my $conf = delete $options{conf} // '';
	my $node = new_node($name, preload => 1, own_installation => 1, %options, start => 0,
		conf => follow_settings($api) . "documentdb_upgrade.extension = 'thing'\nfsync = on\n$conf");

	foreach my $extension (qw(thing plain))
	{
		write_extension($node, $extension, "1.$versions", '1.0' => 'SELECT 1;',
			map { ("1.$_--1." . ($_ + 1) => qq{
				CREATE TABLE ${extension}_$_ (id int PRIMARY KEY, name text);
				ALTER TABLE ${extension}_$_ ADD changed timestamptz;
				CREATE FUNCTION ${extension}_f$_(int) RETURNS int LANGUAGE sql AS 'SELECT \$1';
				COMMENT ON TABLE ${extension}_$_ IS 'one of many';
			}) } 0 .. $versions - 1);
	}
	$node->start;
	sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION plain VERSION '1.0'});
	return $node;
}

sub milliseconds
{
	my $code = shift;
	my $start = time;
	$code->();
	return 1000 * (time - $start);
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return $#sorted % 2 ? ($sorted[ $#sorted / 2 ] + $sorted[ $#sorted / 2 + 1 ]) / 2 : $sorted[ $#sorted / 2 ];
}

sub result
{
	my ($what, $ours, $unit, %comparison) = @_;
	my $verdict = defined $comparison{met} ? ($comparison{met} ? 'met' : 'missed') : '';

	note 'result: ' . join "\t", $what, $ours, $unit, map({ $_ // '' } @comparison{qw(peer theirs goal)}), $verdict;
	return;
}

sub points
{
	my ($plot, $curve, @points) = @_;
	note "point: $plot\t$curve\t$_->[0]\t$_->[1]" foreach @points;
	return;
}

sub cumulative
{
	my @sorted = sort { $a <=> $b } @_;
	return map { [ $sorted[$_], ($_ + 1) / @sorted ] } 0 .. $#sorted;
}

sub exceeding
{
	my @sorted = sort { $a <=> $b } @_;
	my ($below, @points) = (0);

	for (my $limit = 0.1; $limit < 2 * $sorted[-1]; $limit *= 1.1)
	{
		$below++ while $below < @sorted && $sorted[$below] <= $limit;
		push @points, [ $limit, 1 - $below / @sorted ] if $below < @sorted;
	}
	return @points;
}

sub await_down
{
	my ($node, $signal) = @_;
	my $file = $node->data_dir . '/postmaster.pid';
	my ($postmaster) = slurp_file($file) =~ /^(\d+)/;

	my $took = milliseconds(sub {
		kill $signal, $postmaster;
		usleep(500) while -e $file;
	});
	$node->_update_pid(0);
	return $took;
}

1;
