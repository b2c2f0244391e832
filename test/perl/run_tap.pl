# Runs TAP files as prove does and counts what it does not: passed, failed and
# skipped assertions.  Arguments: jobs, the file for the three counts, the TAP
# files.  A file that dies or breaks its plan counts as one failure more; one that
# has not begun at DU_TAP_UNTIL (seconds since 1970) is skipped, and counted so.
use strict;
use warnings FATAL => 'all';

use TAP::Harness;

my ($jobs, $counts_file, @files) = @ARGV;
my @skips;
my $until = $ENV{DU_TAP_UNTIL} // 0;
my @late = ($^X, '-e', 'print "1..0 # SKIP it had not begun when the time was up (CHECK_TAP_MINUTES)\n"');
my $harness = TAP::Harness->new({ jobs => $jobs, failures => 1, timer => 1, exec => sub { return $until && time > $until ? [@late] : undef; } });

# Reasons are gone once a parser has run, so they are taken as they pass by.
$harness->callback(
	made_parser => sub {
		my ($parser, $job) = @_;
		$parser->callback(
			test => sub {
				my $test = shift;
				push @skips, "$job->[1]: " . ($test->explanation || 'no reason given')
				  if $test->has_skip;
			});
	});

my $aggregate = $harness->runtests(map { [ $_, s{^test/(?:t/)?}{}r ] } @files);
my ($passed, $failed) = (0, 0);

foreach my $name ($aggregate->descriptions)
{
	my ($parser) = $aggregate->parsers($name);
	my $skipped = () = $parser->skipped;
	my $broken = $parser->failed;

	push @skips, "$name: " . $parser->skip_all if $parser->skip_all;
	if ($parser->parse_errors || ($parser->exit && !$broken))
	{
		$broken++;
		show_log($name);
	}
	$passed += $parser->passed - $skipped;
	$failed += $broken;
}
print "skipped: $_\n" foreach @skips;

open my $out, '>', $counts_file or die "could not write \"$counts_file\": $!\n";
printf $out "%d %d %d\n", $passed, $failed, scalar @skips;
close $out;

# Prints the end of the log of a file that died, where its last words are.
sub show_log
{
	my $name = shift;
	(my $base = $name) =~ s{.*/|\.pl$}{}g;
	open my $log, '<', "$ENV{TESTDIR}/tmp_check/log/regress_log_$base" or return;
	my @lines = <$log>;
	@lines = @lines[ -40 .. -1 ] if @lines > 40;
	print "---- end of the log of $name\n", @lines, "----\n";
}
