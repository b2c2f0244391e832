
=pod

=head1 NAME

DocumentdbUpgrade::Clock - servers whose clock is set

=head1 SYNOPSIS

  need_clock;
  give_clock($node);
  $node->start;
  set_clock($node, -3600);    # an hour back, at once

=head1 DESCRIPTION

As an administrator sets a clock, or a machine that was suspended comes back: what the
server takes for the time of day jumps, for all of its processes, and the clock that
counts from the machine's start goes on.  A library does that which is compiled here and
preloaded into one server; the machine's own clock is never touched.

(libfaketime does not do: it lets a process have the true time that a signal handler of
the postmaster has forked, and on 15 that is each background worker.)

=cut

package DocumentdbUpgrade::Clock;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(clock_works need_clock give_clock set_clock);

my $library;

=pod

=head1 FUNCTIONS

=over

=item clock_works

True when a server runs with such a library: one with a sanitizer does not.

=item need_clock

Skips the whole file otherwise.

=cut

sub clock_works
{
	return !sanitized();
}

sub library
{
	return $library if $library;
	$library = PostgreSQL::Test::Utils::tempdir() . '/clock.so';
	system_or_bail('gcc', '-O1', '-Wall', '-Werror', '-shared', '-fPIC', '-o', $library, "$ENV{DU_SOURCE}/test/fixtures/clock.c");
	return $library;
}

sub need_clock
{
	plan skip_all => 'a server with a sanitizer takes no other library first' unless clock_works();
	return;
}

=pod

=item give_clock(node)

From its next start on it has a clock that can be set.

=item set_clock(node, seconds)

So much ahead of the machine's clock; negative: behind it.

=back

=cut

sub clock_file { my ($node) = @_; return $node->basedir . '/clock'; }

sub give_clock
{
	my ($node) = @_;

	unlink clock_file($node);
	append_to_file(clock_file($node), pack 'q', 0);
	$node->{own_environment} = { LD_PRELOAD => library(), DU_CLOCK => clock_file($node) };
	return;
}

sub set_clock
{
	my ($node, $seconds) = @_;

	open my $file, '+<', clock_file($node) or die "could not open a file: $!\n";
	syswrite($file, pack 'q', $seconds * 1_000_000) or die "could not write a file: $!\n";
	close $file;
	return;
}

1;
