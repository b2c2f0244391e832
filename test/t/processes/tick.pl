# tick() does one pass of the worker's loop where none is preloaded, and
# remembers failures as the worker does; where a worker runs it wakes it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = PostgreSQL::Test::Utils::tempdir() . '/desired';
my $node = worker_node('main', preload => '', scripts => {
	'1.1--1.2' => "ALTER TABLE thing ADD two int;\nSELECT 1/count(*) FROM thing;\n" });
my $failures = q{SELECT coalesce(sum(1 + repeats), 0) FROM documentdb_upgrade.history WHERE outcome = 'failed'};
sub tick { return sql($node, 'SELECT documentdb_upgrade.tick()'); }

is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^documentdb_upgrade'}), '0', 'no process of ours runs');
is(tick(), 'update_available', 'nothing is desired');
desire($node, '1.1');
ok(comes_true($node, q{SELECT desired = '1.1' FROM documentdb_upgrade.status}), 'a wish');
wait_for_state($node, 'update_available', qr/no worker runs here to follow it: documentdb_upgrade is not in shared_preload_libraries; run/);
is(tick(), 'up_to_date', 'is fulfilled by tick(), which tells the state after that');
is(shape($node), $shape_of{'1.1'}, 'all of it');
is(attempts($node), '1.0 1.1 succeeded tick', 'history says who');
is(sql($node, 'SELECT role_name = session_user FROM documentdb_upgrade.history'), 't', 'and for whom');
is(tick(), 'up_to_date', 'another tick() has nothing to do');
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^documentdb_upgrade'}), '0', 'no process is left');

# A failure is final here too.
desire($node, '1.2');
ok(comes_true($node, q{SELECT desired = '1.2' FROM documentdb_upgrade.status}), 'a wish whose script fails');
is(tick(), 'failed', "tick $_ says so") foreach 1 .. 3;
is(sql($node, $failures), '1', 'after one attempt');
wait_for_state($node, 'failed', qr/division by zero/);
is(sql($node, 'SELECT documentdb_upgrade.retry()'), 't', 'retry()');
is(tick(), 'failed', 'lets the next one try');
is(tick(), 'failed', 'and no more');
is(sql($node, $failures), '2', 'that is two attempts');
write_extension($node, 'thing', '1.2', '1.1--1.2' => "ALTER TABLE thing ADD two int;\nCREATE TABLE last (id int);\n");
is(tick(), 'up_to_date', 'other files are a reason to try');
is(shape($node), $shape_of{'1.2'}, 'and it succeeds');

# History names the caller, of what fails too.
sql($node, q{CREATE ROLE "An ""operator"""  LOGIN;
	GRANT USAGE ON SCHEMA documentdb_upgrade TO "An ""operator""";
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.tick TO "An ""operator"""});
write_extension($node, 'thing', '1.3', '1.2--1.3' => "SELECT 1/0;\n");
desire($node, '1.3');
ok(comes_true($node, q{SELECT desired = '1.3' FROM documentdb_upgrade.status}), 'another wish whose script fails');
is(try_sql($node, 'SELECT documentdb_upgrade.tick()', user => 'An "operator"')->{stdout}, 'failed', 'an operator tries');
is(sql($node, q{SELECT outcome, actor, role_name FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), 'failed|tick|An "operator"', 'and is named');
write_extension($node, 'thing', '1.3', '1.2--1.3' => "SELECT 1;\n");
is(try_sql($node, q{SET ROLE "An ""operator"""; SELECT documentdb_upgrade.tick()})->{stdout}, 'up_to_date', 'a superuser as that role');
is(sql($node, q{SELECT outcome, actor, role_name = session_user FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), 'succeeded|tick|t', 'is named by his session');

# From a file, with what is known of the resource.
write_extension($node, 'thing', '1.5', '1.3--1.4' => 'SELECT pg_advisory_xact_lock(42);', '1.4--1.5' => 'SELECT 1;');
set_and_reload($node, 'documentdb_upgrade.desired_file', $file);
set_and_reload($node, 'documentdb_upgrade.source', 'file');
ok(comes_true($node, q{SELECT source = 'file' FROM documentdb_upgrade.status}), 'another source');
is(tick(), 'waiting', 'a file that is missing is waited for');
sub put { unlink $file; append_to_file($file, encode_json({ metadata => { name => 'x', uid => 'u-1', generation => 3, @_ }, spec => { schemaVersion => '1.4' } })); return }
put(annotations => { 'documentdb-upgrade/hold' => 'not now' });
is(tick(), 'held', 'its hold counts');
put();

# Two at the same time do it once; one that cannot have its locks comes back.
my $gate = close_gate($node);
my @sessions = map { DocumentdbUpgrade::Session->new($node) } 1 .. 2;
$_->start('SELECT documentdb_upgrade.tick()') foreach @sessions;
ok(comes_true($node, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade tick' AND wait_event = 'advisory'}), 'two at once');
$gate->quit;
my @states = map { $_->finish->{stdout} } @sessions;
is(sql($node, q{SELECT outcome, actor, resource_uid, resource_generation FROM documentdb_upgrade.history WHERE to_version = '1.4' AND outcome = 'succeeded'}),
	'succeeded|tick|u-1|3', 'do it once') or diag("@states");
is(tick(), 'up_to_date', 'and that is that');

# With a worker there is nothing to do but to wake it.
unlink $file;
append_to_file($file, 'auto');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'documentdb_upgrade'\ndocumentdb_upgrade.poll_interval = '1h'\n");
$node->restart;
wait_for_state($node, 'up_to_date');
is(status_of($node)->{installed_version}, '1.5', 'a worker has done what was left');
write_extension($node, 'thing', '1.6', '1.5--1.6' => 'SELECT 1;');
is(tick(), 'up_to_date', 'tick() gives the state that the worker has found');
ok(comes_true($node, q{SELECT installed_version = '1.6' FROM documentdb_upgrade.status}), 'and wakes it to look again');
is(sql($node, q{SELECT actor FROM documentdb_upgrade.history WHERE to_version = '1.6'}), 'worker', 'which then does it');
$_->quit foreach @sessions;

done_testing();
