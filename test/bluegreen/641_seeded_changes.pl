# Each of fifty changes of one row on green, when blue is PostgreSQL 13 or 15, is
# found and named, by table and key: all at once, with nothing else, and
# alone.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Blue;
use DocumentdbUpgrade::BlueGreen;
use DocumentdbUpgrade::SeededChanges;
use DocumentdbUpgrade::Test;
use Test::More;

# Every how many changes one is made alone.
use constant ALONE => 12;

my $green = green_node('green');

foreach my $name ('13', '15')
{
	my $dbname = "seeded_$name";
	my $blue = DocumentdbUpgrade::Blue->new($name, $dbname);

	$blue->load_every_type;
	$blue->dump_to($green);
	foreach my $change (@changes[ grep { $_ % ALONE == 0 } 0 .. $#changes ])
	{
		sql($green, $change->{sql}, $dbname);
		is(reported($blue), reported_changes($change), "from $name: $change->{what}");
		# Green becomes what it was.
		$blue->dump_to($green);
	}
	sql($green, join(";\n", map { $_->{sql} } @changes), $dbname);
	is(reported($blue, max_differences => 1000), reported_changes(@changes), "from $name: all " . @changes . ' changes, and nothing else');
	$blue->remove;
}

sub reported { my ($blue, %options) = @_; return join "\n", differences($green, $blue, %options); }

done_testing();
