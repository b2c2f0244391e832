# With algorithm => 'sql' nothing of ours has to be on PostgreSQL 13: what is
# equal is equal, and the same fifty changes are found.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Blue;
use DocumentdbUpgrade::BlueGreen;
use DocumentdbUpgrade::SeededChanges;
use DocumentdbUpgrade::Test;
use Test::More;

my $green = green_node('green');
my $blue = DocumentdbUpgrade::Blue->new('13', 'plain', functions => 0);

$blue->load_every_type;
$blue->dump_to($green);
my $result = compared($green, $blue);
is($result->{sqlstate}, '0A000', 'du1 needs functions there');
like($result->{hint}, qr/documentdb_upgrade_parity.*algorithm => 'sql'/, 'the hint says which, and the other way');

is(join("\n", differences($green, $blue, algorithm => q{'sql'})), '', 'nothing differs');
sql($green, join(";\n", map { $_->{sql} } @changes), 'plain');
is(join("\n", differences($green, $blue, algorithm => q{'sql'}, max_differences => 1000)),
	reported_changes(@changes), 'all ' . @changes . ' changes are found, and nothing else');
is($blue->sql(q{SELECT count(*) FROM pg_proc WHERE pronamespace::regnamespace::text ~ 'documentdb'}), '0', 'blue has no function of ours');

$blue->remove;
done_testing();
