# A role that may finalize by the procedure and nothing else can ask where things
# stand, in the words of view status, and is told the statement that it can run.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', preload => 0);
sql($node, q{CREATE ROLE operator LOGIN; CREATE ROLE looker LOGIN; CREATE ROLE nobody_special LOGIN;
	GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_finalize_to TO operator; GRANT pg_monitor TO looker});

sub status { return try_sql($node, 'CALL documentdb_upgrade.run_status()', user => $_[0]); }

my $columns = 'role, state, installed_version, binary_version, desired, target, blocked_by, next_step, last_error';
is(status('looker')->{stdout}, sql($node, "SELECT $columns FROM documentdb_upgrade.status"), 'pg_monitor sees what the view tells');
my $told = status('operator')->{stdout};
my $run = "run CALL documentdb_upgrade.run_finalize_to('1.2');";
is($told, "primary|update_available|1.0|1.2||1.2|{}|An update to 1.2 is available and no version is desired; to commit it, $run|", 'the role that may finalize too');
is(status('nobody_special')->{sqlstate}, '42501', 'nobody else');
is(try_sql($node, 'SELECT state FROM documentdb_upgrade.status', user => 'operator')->{sqlstate}, '42501', 'the view is still for others');

# What the planner would refuse is not asked of it.
sql($node, q{SELECT documentdb_upgrade.hold('freeze')});
like(status('operator')->{stdout}, qr/^primary\|update_available\|1\.0\|1\.2\|\|1\.2\|\{hold\}\|.*freeze/, 'with what is in the way');
sql($node, q{SELECT documentdb_upgrade.release()});
ok(try_sql($node, $told =~ /run (CALL .*?;)/ ? $1 : 'no statement', user => 'operator')->{ok}, 'what it is told works');
like(status('operator')->{stdout}, qr/^primary\|up_to_date\|1\.2\|/, 'and it sees that');

done_testing();
