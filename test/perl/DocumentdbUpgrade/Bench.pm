
=pod

=head1 NAME

DocumentdbUpgrade::Bench - what the measurements of test/bench share

=head1 SYNOPSIS

  my $node = bench_node('main', $api);
  my @times = map { milliseconds(sub { ... }) } 1 .. 20;
  say_result('Reload', 'ms (median of %d): %.1f', scalar @times, median(@times));

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

=item say_result(what, format, values...)

Prints a line of the report.

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

our @EXPORT = qw(bench_node milliseconds median say_result await_down);

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

sub say_result
{
	my ($what, $format, @values) = @_;
	note sprintf "bench: %-34s $format", $what, @values;
	return;
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
