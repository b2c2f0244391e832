# Tells the stories that test/stories/run names in its environment, says what came of each,
# and writes how many passed and failed.
use strict;
use warnings FATAL => 'all';

# PostgreSQL's modules take the standard output.
my $out;
BEGIN { open $out, '>&', *STDOUT or die "could not duplicate the output: $!\n"; }

use DocumentdbUpgrade::Story;
use DocumentdbUpgrade::Story::Plan;
use IO::Handle;
use PostgreSQL::Test::Utils;
use Test::More;

$out->autoflush(1);
my ($seed, $count, $length, $tries, $verbose, $file, $keep, $counts) =
  @ENV{qw(STORY_SEED STORY_COUNT STORY_LENGTH STORY_TRIES STORY_VERBOSE STORY_FILE STORY_KEEP STORY_COUNTS)};
my @plans = defined $file ? parse_plan(slurp_file($file)) : map { draw_plan($_, $length) } $seed .. $seed + $count - 1;
my ($passed, $failed, $actions, $done, $seconds, $slowest) = (0) x 6;

prepare_worlds();
foreach my $plan (@plans)
{
	my $name = defined $plan->{seed} ? "seed $plan->{seed}" : 'the given list';
	my $result = tell_story($plan);
	my @broken = @{ $result->{broken} };

	printf $out "%s  %s: %d actions, %d with an effect, %.0f s, longest wait %.2f s\n", @broken ? 'not ok' : 'ok    ', $name,
	  @$result{qw(at done seconds)}, $result->{slowest} // 0;
	$actions += $result->{at};
	$done += $result->{done};
	$seconds += $result->{seconds};
	$slowest = $result->{slowest} if ($result->{slowest} // 0) > $slowest;
	if (@broken || $verbose || defined $file) { print $out map { "        $_\n" } split(/\n/, plan_text({ %$plan, actions => [] })), @{ $result->{told} }; }
	@broken ? $failed++ : $passed++;
	next unless @broken;

	print $out map { s/\n/\n            /gr . "\n" } map { "        BROKEN $_" } @broken;
	my $label = $plan->{seed} // 'list';
	append_to_file("$keep/$label", plan_text($plan));
	system_or_bail('cp', '-r', $ENV{TESTLOGDIR}, "$keep/$label.log");
	next unless $tries;

	my $short = shorten($plan, $result, $tries);
	append_to_file("$keep/$label.short", plan_text($short));
	printf $out "        the shortest list that still does it (%d of %d actions):\n", map { scalar @{ $_->{actions} } } $short, $plan;
	print $out map { "            $_\n" } split /\n/, plan_text($short);
	print $out "            repeat: make stories ACTIONS=tmp_check/stories/failures/$label.short\n";
}
printf $out "\n%d actions, %d with an effect, in %.0f s; the longest that a writer waited was %.2f s\n", $actions, $done, $seconds, $slowest;
append_to_file($counts, "$passed $failed\n");
ok(1, 'done');
done_testing();
