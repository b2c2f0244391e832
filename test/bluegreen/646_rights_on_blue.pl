# A role on blue that may not read one table, and then may: the table is named,
# the others are compared, and the run is completed.  A wrong password.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Blue;
use DocumentdbUpgrade::BlueGreen;
use DocumentdbUpgrade::Test;
use Test::More;

my $green = green_node('green');
my $blue = DocumentdbUpgrade::Blue->new('13', 'rights');
my %as = (user => 'replicator');

$blue->load_every_type;
$blue->let_read('replicator');
$blue->sql('REVOKE SELECT ON app.numbers FROM replicator; REVOKE USAGE ON SCHEMA "Odd ""name" FROM replicator');
$blue->dump_to($green);

my $result = compared($green, $blue, %as);
my @lines = sort split /\n/, $result->{stdout};
is(scalar(grep { /^(?:row|objects)/ } @lines), 0, 'nothing is said to differ') or diag($result->{stdout});
like($result->{stdout}, qr/^table app numbers error 42501: permission denied for table numbers/m, 'the table is named, with the reason');
like($result->{stdout}, qr/^table Odd "name Täble.x; -- error 42501: permission denied for schema/m, 'so is one in a schema that is closed');
my ($run) = $result->{stderr} =~ /resume => (\d+)/;
ok($run, 'how to go on is said, too');
my $state = "SELECT state FROM documentdb_upgrade.parity_runs WHERE id = $run";
is(sql($green, $state, 'rights'), 'incomplete', 'the run is incomplete');

$blue->let_read('replicator');
$result = compared($green, $blue, %as, resume => $run);
diag($result->{stdout}) if !is(scalar(grep { /^(?:row|table)/ } split /\n/, $result->{stdout}), 0, 'when it may read, nothing differs');
is(sql($green, $state, 'rights'), 'complete', 'and the run is complete');

my $wrong = $blue->conninfo(%as) . 'x';
$result = try_sql($green, "SELECT * FROM documentdb_upgrade.compare_with('$wrong')", dbname => 'rights');
like($result->{sqlstate}, qr/^(?:08|28)/, 'a wrong password is refused');
unlike($result->{stderr}, qr/password=|$ENV{BLUE_PASSWORD}/, 'and not repeated') or diag($result->{stderr});

$blue->remove;
done_testing();
