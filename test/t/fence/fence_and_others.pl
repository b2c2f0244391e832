# A fence among other things: an attempt that runs, a binary older than the
# schema, a database that is no longer served, a library without its objects.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => q{
	documentdb_upgrade.fence_exempt_roles = 'keeper'
	documentdb_upgrade.schema_ahead_action = read_only});
sql($node, 'CREATE ROLE keeper LOGIN SUPERUSER; CREATE ROLE app LOGIN SUPERUSER; CREATE TABLE t (id text); CREATE DATABASE other');

my $fence = q{SELECT writers FROM documentdb_upgrade.fence_writes('cut-over')};
my $lift = 'SELECT documentdb_upgrade.lift_fence()';
sub writes { return is(try_sql($node, q{INSERT INTO t VALUES ('x')}, user => 'app')->{sqlstate} // '00000', $_[0] ? '00000' : '25006', $_[1]); }
sub is_fence { return like(status_of($node)->{fence} // 'none', $_[0], $_[1]); }

# An attempt of the worker is a writer like others; one that is desired under a
# fence runs, because somebody desires it.
my $gate = close_gate($node);
desire($node, '1.2');
attempt_at_gate($node);
is(sql($node, $fence), 1, 'an attempt that runs counts');
like(sql($node, 'SELECT detail FROM documentdb_upgrade.fence_writers WHERE awaited'), qr/^documentdb_upgrade attempt/, 'and is named');
$gate->quit;
wait_for_state($node, 'up_to_date', qr/lift_fence\(\);$/);
ok(comes_true($node, 'SELECT drained_at IS NOT NULL FROM documentdb_upgrade.cutovers'), 'it ends, and the fence is drained');
is(shape($node), $shape_of{'1.2'}, 'its work is there');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')}, user => 'app')->{sqlstate}, '25006', 'a session finalizes nothing');

# With a binary older than the schema.
my $binary = sub { write_extension($node, 'thing', $_[0]); return; };
$binary->('1.1');
wait_for_state($node, 'schema_ahead', qr/Meanwhile only the roles .* can write to this database\. Writes to this database are stopped\. Role "postgres" has called/);
is_fence(qr/^Writes to this database are stopped\. The schema is at 1\.2, newer than the binary's 1\.1\. Role "postgres" has called fence_writes\(\): cut-over\.$/, 'both reasons are told');
my $result = try_sql($node, $lift, user => 'app');
is($result->{stdout}, 't', 'one is lifted');
like($result->{stderr}, qr/NOTICE:.*writes stay stopped, because the binary is older than the schema/, 'with a word about the other');
writes(0, 'which is up');
is(try_sql($node, $fence, user => 'app')->{stdout}, 0, 'a fence can be raised under it');
$binary->('1.2');
comes_true($node, q{SELECT fence !~ 'newer' FROM documentdb_upgrade.status});
writes(0, 'the binary comes back: the other one stays');
is(sql($node, $lift), 't', 'until it is lifted');
writes(1, 'then everybody writes');

# The worker moves to another database.
sql($node, 'CREATE EXTENSION thing; CREATE EXTENSION documentdb_upgrade', 'other');
sql($node, $fence);
set_and_reload($node, 'documentdb_upgrade.database', 'other');
$node->restart;
ok(comes_true($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'other'}), 'the worker serves another database');
writes(0, 'the fence stays where it was');
is(try_sql($node, $fence, dbname => 'other')->{stdout}, 0, 'and the other one can be fenced too');
is(sql($node, $lift), 't', 'it can be lifted');
writes(1, 'which is so');
is(try_sql($node, 'CREATE TABLE t (id int)', dbname => 'other', user => 'app')->{sqlstate}, '25006', 'which is so');
writes(1, 'alone');
is(try_sql($node, 'DROP DATABASE other WITH (FORCE)', user => 'app')->{sqlstate}, undef, 'a database can be dropped with its fence');
set_and_reload($node, 'documentdb_upgrade.database', 'postgres');
$node->restart;
ok(comes_true($node, 'SELECT worker_pid IS NOT NULL FROM documentdb_upgrade.status'), 'the worker is back');
is(sql($node, $fence), 0, 'that fence is in nobody\'s way');
writes(0, 'of a new one');
is(sql($node, $lift), 't', 'which is lifted');

# One that gives way to a lock is none that fails.
is(count_logged($node, qr/PANIC|terminated by signal|could not look at the schema.*\n.*DETAIL:  (?!canceling statement due to lock timeout|could not lock )/), 0, 'no look has failed');

# The report, with comparisons noted in it.
sub report { return sql($node, q{SELECT step || coalesce(': ' || detail, '') FROM documentdb_upgrade.cutover_report() WHERE step = 'parity proved'}); }
my $steps = q{SELECT string_agg(step, ', ') FROM documentdb_upgrade.cutover_report() WHERE at IS NOT NULL AND elapsed >= '0'};

sql($node, q{INSERT INTO documentdb_upgrade.parity_runs (id, kind, state, phase, algorithm, options, role, role_name, exact, equal, leader_pid)
	OVERRIDING SYSTEM VALUE
	SELECT id, 'comparison', 'complete', 'finished', 'du1', '{}', 'postgres'::regrole, 'app', id = 4713, id > 4711, 1 FROM generate_series(4711, 4713) AS id});
sql($node, $fence);
is(report(), 'parity proved: no comparison has finished', 'no comparison');
is(sql($node, $steps), 'fence raised, last writer gone, total, goal', 'the report has its times as far as it got');
my @says = (4711 => 'not equal, not exact', 4712 => 'equal, not exact', 4713 => 'equal, exact', 4714 => 'its record is gone');
while (my ($run, $says) = splice @says, 0, 2)
{
	sql($node, "SELECT documentdb_upgrade_internal.note_parity($run)");
	is(report(), "parity proved: run $run: $says", "run $run");
	is(sql($node, $steps) =~ /parity proved/ ? 1 : 0, $says =~ /^equal/ ? 1 : 0, 'which proves it or does not');
}
sql($node, 'SELECT documentdb_upgrade_internal.note_parity(4713)');
sql($node, $lift);
sql($node, 'SELECT documentdb_upgrade_internal.note_parity(4712)');
is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.cutovers WHERE parity_run = 4712'), 0, 'after the end nothing is noted');
is(sql($node, $steps), 'fence raised, last writer gone, parity proved, fence lifted, total, goal', 'the report has all its times');

# Rows of another server, which a subscription to all of its tables brings.
sql($node, q{INSERT INTO documentdb_upgrade.cutovers (reason, source, raised_by, raised_at, server, lsn, drained_at, drained_lsn)
	VALUES ('elsewhere', 'manual', 'app', now(), 1, '0/1', now(), '0/1')});
wait_for_looks($node, 2);
is(sql($node, 'SELECT fence IS NULL FROM documentdb_upgrade.status'), 't', 'the fence of another server is none here');
is(sql($node, 'SELECT documentdb_upgrade_internal.parity_is_exact()'), 'f', 'nor does it make comparisons exact');
sql($node, $fence);
is(sql($node, 'SELECT fence IS NOT NULL FROM documentdb_upgrade.status'), 't', 'it is in nobody\'s way');
sql($node, $lift);
is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.cutovers WHERE lifted_at IS NULL'), 1, 'and is left alone');

done_testing();
