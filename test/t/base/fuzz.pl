# Some hundred mutated inputs of each kind that "make fuzz" knows, always the same:
# none crashes, hangs, raises what is not to be raised or lets memory grow.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fuzz;
use Test::More;

my $fuzz = DocumentdbUpgrade::Fuzz->new(seed => 20250101);

foreach my $target ($fuzz->targets)
{
	my $result = $fuzz->run($target, inputs => $target =~ /^(?:control|scripts|window|releases)$/ ? 400 : 800);

	is_deeply($result->{findings}, [], "$target: $result->{inputs} inputs");
	my $taken = $result->{states}{'00000'} // 0;
	cmp_ok($taken, '>', $result->{inputs} / 50, "$target: not all are refused at once");
	note(join ' ', sprintf('%.1f s,', $result->{seconds}), %{ $result->{states} });
}
$fuzz->stop;
done_testing();
