# Blue dies while it is compared: a clear error, nothing left behind, and a run
# that is resumed when blue is back.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Blue;
use DocumentdbUpgrade::BlueGreen;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $green = green_node('green');
my $blue = DocumentdbUpgrade::Blue->new('13_dying', 'dying');

$blue->load_every_type;
$blue->dump_to($green);

# It comes to the table that somebody has locked, and no further.
my $locker = $blue->session;
$locker->run($_) foreach 'BEGIN', 'LOCK TABLE app.composite_key';
my $session = DocumentdbUpgrade::Session->new($green, dbname => 'dying');
$session->start(q{SELECT * FROM documentdb_upgrade.compare_with('} . $blue->conninfo . q{')});
poll_until(sub { $blue->sql(q{SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'app.composite_key'::regclass}) > 0 }, 'it waits for a lock');
poll_until(sub { sql($green, q{SELECT count(*) > 20 FROM documentdb_upgrade.parity_tables WHERE state = 'done'}, 'dying') eq 't' }, 'all else has been compared');

$blue->crash;
my $result = $session->finish;
like($result->{sqlstate}, qr/^08/, 'the comparison ends');
unlike($result->{stderr}, qr/$ENV{BLUE_PASSWORD}/, 'without a word of the password');
my ($run) = ($result->{hint} // '') =~ /resume => (\d+)/;
ok($run, 'and says how to go on') or diag($result->{stderr});
is(sql($green, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'parity'}), '0', 'no process is left');
is(sql($green, "SELECT state FROM documentdb_upgrade.parity_runs WHERE id = $run", 'dying'), 'failed', 'the run has failed');
like(compared($green, $blue, resume => $run)->{sqlstate}, qr/^08/, 'while blue is away it cannot be resumed') if !$blue->try_sql('SELECT 1')->{ok};

$blue->come_back;
my $resumed = compared($green, $blue, resume => $run);
ok($resumed->{ok}, 'it is resumed');
# A crash takes sequences on to what WAL has reserved of them.
is(join("\n", grep { !/^sequence / } split /\n/, $resumed->{stdout}), '', 'and no table differs') or diag($resumed->{stderr});
like($resumed->{stderr}, qr/It was resumed: its tables are of 2 different moments/, 'it says that it has read twice');
is(sql($green, "SELECT state FROM documentdb_upgrade.parity_runs WHERE id = $run", 'dying'), 'complete', 'the run is complete');
is(sql($green, qq{SELECT row_count > 0 AND row_count = (SELECT count(*) FROM app.composite_key) AND row_count = remote_row_count
	FROM documentdb_upgrade.parity_tables WHERE run = $run AND table_name = 'composite_key'}, 'dying'), 't', 'the table that it broke off at has been read');

$session->quit;
$blue->remove;
done_testing();
