# An attempt that repeats the one before it writes no restore point again; one
# that does not, writes its own.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run ();
use Test::More;

my $conflict = q{DO $$BEGIN RAISE 'in the way' USING ERRCODE = '40001'; END$$;};
my $node = worker_node('main', scripts => { '1.1--1.2' => $conflict }, conf => q{
	wal_level = replica
	max_wal_senders = 1
	documentdb_upgrade.retry_max = '100ms'
});
my $first = sql($node, 'SELECT pg_walfile_name(pg_current_wal_lsn())');
my $failures = q{SELECT coalesce(sum(1 + repeats), 0) FROM documentdb_upgrade.history WHERE outcome = 'failed'};

# Names of those in the WAL, in order.
sub restore_points
{
	my $output = '';

	sql($node, 'CHECKPOINT');
	IPC::Run::run([ $node->installed_command('pg_waldump'), '-r', 'XLOG', '-p', $node->data_dir . '/pg_wal', $first ],
		'>', \$output, '2>', \my $trouble);
	return join ' ', $output =~ /desc: RESTORE_POINT (\S+)/g;
}

desire($node, 'auto');
ok($node->poll_query_until('postgres', "SELECT ($failures) > 4"), 'an attempt is repeated');
is(restore_points(), 'before_finalize_1.0_1.2', 'with one restore point');
is(sql($node, q{SELECT DISTINCT restore_point FROM documentdb_upgrade.history}), 'before_finalize_1.0_1.2', 'which history names');
my $worker = process_of($node, 'worker');
sql($node, "SELECT pg_terminate_backend($worker)");
my $now = sql($node, $failures);
ok(comes_true($node, "SELECT ($failures) > $now + 1"), 'repeated by another worker');
is(restore_points(), 'before_finalize_1.0_1.2', 'with the same one');

# By whomever.
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')})->{sqlstate}, '40001', 'repeated by a session');
is(restore_points(), 'before_finalize_1.0_1.2', 'it is the same still');

# Other files are another attempt, and so is one that somebody asks for.
write_extension($node, 'thing', '1.2', '1.1--1.2' => "$conflict -- other");
$now = sql($node, $failures);
ok(comes_true($node, "SELECT ($failures) > $now + 2"), 'other files are tried');
is(restore_points(), 'before_finalize_1.0_1.2 before_finalize_1.0_1.2', 'with another restore point');
desire($node, '');
wait_for_state($node, 'update_available');
sql($node, 'SELECT documentdb_upgrade.retry()');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')})->{sqlstate}, '40001', 'after retry() it is tried');
is(restore_points(), join(' ', ('before_finalize_1.0_1.2') x 3), 'with another one');

# The LSN is that of each attempt.
$now = sql($node, 'SELECT pg_current_wal_insert_lsn()');
is( sql($node, qq{SELECT outcome, restore_point, restore_lsn >= '$now' FROM documentdb_upgrade.finalize_to('1.1')}),
	'succeeded|before_finalize_1.0_1.1|t', 'another target');
write_extension($node, 'thing', '1.2', '1.1--1.2' => "SELECT pg_advisory_xact_lock(42);\n$conflict");
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')})->{sqlstate}, '40001', 'a failure');
sql($node, 'CREATE TABLE between_them (id int)');
$now = sql($node, 'SELECT pg_current_wal_insert_lsn()');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')})->{sqlstate}, '40001', 'and the same again');
is(restore_points(), join(' ', ('before_finalize_1.0_1.2') x 3, 'before_finalize_1.0_1.1', 'before_finalize_1.1_1.2'), 'has one restore point');
sql($node, q{UPDATE documentdb_upgrade.history SET message = 'another' WHERE restore_point = 'before_finalize_1.1_1.2'});
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')})->{sqlstate}, '40001', 'and once more');
is(sql($node, qq{SELECT restore_point, restore_lsn >= '$now' FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}),
	'before_finalize_1.1_1.2|t', 'its LSN is of its own');

done_testing();
