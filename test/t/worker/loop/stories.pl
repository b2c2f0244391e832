# A few stories of a fleet, always the same: binaries, wishes, people and trouble in an order
# that nobody has thought of.  "make stories" tells more of them.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Story;
use DocumentdbUpgrade::Story::Plan;
use Test::More;

my ($seed, $count) = ($ENV{PG_TEST_STORIES_SEED} // 1, $ENV{PG_TEST_STORIES} // 3);

foreach my $n ($seed .. $seed + $count - 1)
{
	my $plan = draw_plan($n);
	my $result = tell_story($plan);

	is_deeply($result->{broken}, [], sprintf 'story %d: %d actions, %d with an effect, %.0f s', $n, @$result{qw(at done seconds)})
	  || diag(map { "$_\n" } "repeat: make stories SEED=$n COUNT=1", @{ $result->{told} });
}
done_testing();
