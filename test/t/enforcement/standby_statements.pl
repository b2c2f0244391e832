# An operator that sends its ALTER EXTENSION to a standby for ever is told where
# to go, and fills no log.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = guarded_node('primary', streaming => 1);
install($primary);
sql($primary, 'CREATE EXTENSION documentdb_upgrade');
$primary->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $primary->install_path);
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

refused($standby, 'ALTER EXTENSION thing UPDATE', 'not_in_recovery') foreach 1 .. 5;
is(scalar(() = slurp_file($standby->logfile) =~ /ERROR: .*not_in_recovery/g), 1, 'the log has it once');
is(try_sql($standby, 'SET documentdb_upgrade.enforce = off; ALTER EXTENSION thing UPDATE')->{sqlstate}, '25006', 'else the server refuses');
passes($primary, q{ALTER EXTENSION before UPDATE TO '1.1'});

done_testing();
