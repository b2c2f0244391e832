# Runs the targets that test/fuzz/run names in its environment, says what came of
# each, and writes how many passed and failed.
use strict;
use warnings FATAL => 'all';

# PostgreSQL's modules take the standard output.
my $out;
BEGIN { open $out, '>&', *STDOUT or die "could not duplicate the output: $!\n"; }

use DocumentdbUpgrade::Fuzz;
use IO::Handle;
use Test::More;

$out->autoflush(1);
# What sessions note of each query.
Test::More->builder->output("$ENV{TESTDIR}/notes");
my ($seed, $time, $keep, $counts, $input) = @ENV{qw(FUZZ_SEED FUZZ_TIME FUZZ_KEEP FUZZ_COUNTS FUZZ_INPUT)};
my %known = map { $_ => 1 } DocumentdbUpgrade::Fuzz->targets;
my @targets = split ' ', $ENV{FUZZ_TARGETS};

foreach my $target (@targets) { die "there is no target \"$target\"; those are: @{[ sort keys %known ]}\n" unless $known{$target}; }
@targets = sort keys %known unless @targets;

my $fuzz = DocumentdbUpgrade::Fuzz->new(seed => $seed, keep => $keep);
my ($passed, $failed) = (0, 0);

foreach my $target (@targets)
{
	my $result = defined $input ? $fuzz->repeat($target, $input) : $fuzz->run($target, seconds => $time);
	my @findings = @{ $result->{findings} };

	printf $out "%s  %-10s %d inputs in %.0f s (%s)%s\n", @findings ? 'not ok' : 'ok    ', $target, $result->{inputs}, $result->{seconds},
	  join(', ', map { "$_: $result->{states}{$_}" } sort keys %{ $result->{states} }),
	  join '', map { sprintf ', %s %+d kB', $_, $result->{growth}{$_} / 1024 } sort keys %{ $result->{growth} };
	foreach my $finding (@findings)
	{
		$finding =~ s{^  (\S+)$}{            repeat: make fuzz TARGETS=$target INPUT=tmp_check/fuzz/failures/$1}mg;
		print $out "        $finding\n";
	}
	@findings ? $failed++ : $passed++;
}
$fuzz->stop;
open my $file, '>', $counts or die "could not write \"$counts\": $!\n";
print $file "$passed $failed\n";
close $file;
ok(1, 'done');
done_testing();
