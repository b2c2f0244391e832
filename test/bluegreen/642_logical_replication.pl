# Logical replication from PostgreSQL 13 to 17: once green has caught up to a
# position of blue's WAL, and has sequences and large objects by other means,
# both hold the same.  What it leaves out is reported until then.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Blue;
use DocumentdbUpgrade::BlueGreen;
use DocumentdbUpgrade::SeededChanges;
use DocumentdbUpgrade::Test;
use Test::More;

my $green = green_node('green');
my $blue = DocumentdbUpgrade::Blue->new('13', 'replicated');

$blue->load_every_type;
$blue->schema_to($green);
$blue->replicate_to($green);

# Every change that the others make on green comes from blue here.
$blue->sql(join ";\n", map { $_->{sql} } @changes);
$blue->catch_up($green);
is(join("\n", differences($green, $blue)), join("\n",
		'sequence Odd "name Sequence 1 different',
		(map { "sequence app $_ different" } qw(counted downwards dropped_id_seq generated_id_seq)),
		'table app totals extra', 'table pg_catalog pg_largeobject extra'), 'what replication leaves out is reported, and nothing else');

$blue->numbers_to($green);
$blue->sql('REFRESH MATERIALIZED VIEW app.totals');
sql($green, 'REFRESH MATERIALIZED VIEW app.totals', 'replicated');
is(join("\n", differences($green, $blue)), '', 'nothing differs any more');
is(join("\n", $blue->dump_differences($green)), q{}, 'the dumps are the same');

$blue->stop_replication($green);
$blue->remove;
done_testing();
