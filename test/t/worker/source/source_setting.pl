# A desired version in the setting: without one an update is announced, with
# one it is committed at the reload, and whoever listens is told.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', create => 0, conf => q{
	documentdb_upgrade.managed_extensions = 'aside, thing, beside'});
write_extension($node, $_, '1.2', '1.0' => "CREATE TABLE $_ (id int);",
	'1.0--1.1' => "ALTER TABLE $_ ADD one int;", '1.1--1.2' => "ALTER TABLE $_ ADD two int;")
  foreach qw(aside beside);
sql($node, q{CREATE EXTENSION aside VERSION '1.0'; CREATE EXTENSION beside VERSION '1.0'});
create_thing($node);

ok(comes_true($node, q{SELECT count(*) = 1 FROM documentdb_upgrade_internal.binaries_seen WHERE extension = 'thing' AND version = '1.2'}),
	'the worker notes since when the binary is there');
wait_for_state($node, 'update_available', qr/An update to 1\.2 is available and no version is desired; .*finalize_to\('1\.2'\);/);
my $status = status_of($node);
is($status->{source}, 'setting', 'status names the source');
is($status->{worker_pid}, process_of($node, 'worker'), 'and the worker');
is("$status->{desired}|$status->{mode}", '|two-phase', 'and that nothing is desired');
ok($status->{last_contact}, 'and when it was read');

set_and_reload($node, 'documentdb_upgrade.poll_interval', '1h');
ok($node->poll_query_until('postgres', q{SELECT current_setting('documentdb_upgrade.poll_interval') = '1h'}), 'no look is due for an hour');
my $listener = DocumentdbUpgrade::Session->new($node);
$listener->run('LISTEN documentdb_upgrade');

# The states that listeners are told of, with what else a notice says.
sub notices
{
	my $text = $listener->run('SELECT 1')->{stdout};
	return join ' ', $text =~ /notification "documentdb_upgrade" with payload "\{(.*)\}"/g;
}

desire($node, '1.1');
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.1'}, 'an explicit version is committed');
is(attempts($node), '1.0 1.1 succeeded worker', 'by the worker, in one attempt');
is(sql($node, q{SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension WHERE extname ~ 'side'}),
	'aside 1.1, beside 1.1', 'companions come along');
my $notices = notices();
like($notices, qr/"event": ?"finalize", "extension": ?"thing", "from_version": ?"1\.0", "to_version": ?"1\.1", "outcome": ?"succeeded"/,
	'listeners are told of the attempt');
like($notices, qr/"event": "state", "extension": "thing", "state": "pending", "desired": "1\.1", "installed": "1\.0", "target": "1\.1"/,
	'of the state before it');
like($notices, qr/"state": "up_to_date", "desired": "1\.1", "installed": "1\.1"/, 'and of the one after it');

desire($node, 'auto');
ok($node->poll_query_until('postgres', q{SELECT installed_version = '1.2' AND mode = 'auto' AND state = 'up_to_date' FROM documentdb_upgrade.status}),
	'auto follows the binary');
is(shape($node), $shape_of{'1.2'}, 'all of it is there');
is(sql($node, q{SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension WHERE extname ~ 'side'}),
	'aside 1.2, beside 1.2', 'companions come along');
is(attempts($node), "1.0 1.1 succeeded worker\n1.1 1.2 succeeded worker", 'by the worker, in one attempt');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE role_name = current_user AND resource_uid IS NULL
		AND resource_generation IS NULL AND fingerprint IS NOT NULL}), '2', 'history says who, and of no resource');

# What is desired already changes nothing.
my $offset = -s $node->logfile;
notices();
desire($node, '1.2');
ok($node->poll_query_until('postgres', q{SELECT desired = '1.2' FROM documentdb_upgrade.status}), 'another way to say the same');
is(count_logged($node, qr/finalizing extension/, $offset), 0, 'starts nothing');
unlike(notices(), qr/"state": "(?!up_to_date)/, 'and brings no other state');
$listener->quit;

done_testing();
