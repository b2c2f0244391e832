# What pg_dump and pg_restore carried from PostgreSQL 13, and from 15, to 17 is
# equal: every type, every shape of table, sequences and large objects.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Blue;
use DocumentdbUpgrade::BlueGreen;
use DocumentdbUpgrade::Test;
use Test::More;

my $green = green_node('green');

foreach my $name ('13', '15')
{
	my $blue = DocumentdbUpgrade::Blue->new($name, "restored_$name");

	$blue->load_every_type;
	$blue->dump_to($green);
	is(join("\n", $blue->dump_differences($green)), q{}, "from $name: the dumps are the same");
	is(join("\n", differences($green, $blue)), '', "from $name: nothing differs");
	$blue->remove;
}

done_testing();
