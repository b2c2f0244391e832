# Runs the targets that test/fuzz/run names in its environment, says what came of
# each, and writes how many passed and failed.
use strict;
use warnings FATAL => 'all';

# PostgreSQL's modules take the standard output.
my $out;
BEGIN { open $out, '>&', *STDOUT or die "could not duplicate the output: $!\n"; }

use DocumentdbUpgrade::Fuzz;
use IO::Handle;
use POSIX ();
use Test::More;

$out->autoflush(1);
# What sessions note of each query.
Test::More->builder->output("$ENV{TESTDIR}/notes");
my ($seed, $time, $jobs, $keep, $counts, $input) = @ENV{qw(FUZZ_SEED FUZZ_TIME FUZZ_JOBS FUZZ_KEEP FUZZ_COUNTS FUZZ_INPUT)};
my %known = map { $_ => 1 } DocumentdbUpgrade::Fuzz->targets;
my @targets = split ' ', $ENV{FUZZ_TARGETS};

foreach my $target (@targets) { die "there is no target \"$target\"; those are: @{[ sort keys %known ]}\n" unless $known{$target}; }
@targets = sort keys %known unless @targets;

# Tries one target on a server of its own, in a process of its own, and says what came of
# it; true when nothing was found.
sub is_clean
{
	my ($target) = @_;
	my $fuzz = DocumentdbUpgrade::Fuzz->new(seed => $seed, keep => $keep, name => "fuzz_$target");
	my $result = eval { defined $input ? $fuzz->repeat($target, $input) : $fuzz->run($target, seconds => $time) } //
	  { inputs => 0, seconds => 0, states => {}, growth => {}, findings => ["$target: $@"] };
	my @findings = @{ $result->{findings} };
	my $text = sprintf "%s  %-11s %d inputs in %.0f s (%s)%s\n", @findings ? 'not ok' : 'ok    ', $target, $result->{inputs}, $result->{seconds},
	  join(', ', map { "$_: $result->{states}{$_}" } sort keys %{ $result->{states} }),
	  join '', map { sprintf ', %s %+d kB', $_, $result->{growth}{$_} / 1024 } sort keys %{ $result->{growth} };

	foreach my $finding (@findings)
	{
		$finding =~ s{^  (\S+)$}{            repeat: make fuzz TARGETS=$target INPUT=tmp_check/fuzz/failures/$1}mg;
		$text .= "        $finding\n";
	}
	print $out $text;
	$fuzz->stop;
	return !@findings;
}

my ($passed, $failed) = (0, 0);
my %running;

while (@targets || %running)
{
	while (@targets && keys %running < $jobs)
	{
		my $target = shift @targets;
		my $pid = fork // die "could not fork: $!\n";

		if ($pid == 0)
		{
			my $clean = eval { is_clean($target) };

			print $out "$target: $@" unless defined $clean;
			POSIX::_exit($clean ? 0 : defined $clean ? 1 : 2);
		}
		$running{$pid} = $target;
	}
	my $pid = waitpid -1, 0;
	my $target = delete $running{$pid} // next;

	print $out "not ok  $target did not come to its end\n" if $? != 0 && $? != 1 << 8;
	$? ? $failed++ : $passed++;
}
open my $file, '>', $counts or die "could not write \"$counts\": $!\n";
print $file "$passed $failed\n";
close $file;
ok(1, 'done');
done_testing();
