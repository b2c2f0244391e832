# What we do in somebody's transaction does not keep it from being prepared: not
# after a plain ALTER EXTENSION UPDATE, a finalize, a hold or a release.  History,
# cached plans, the worker and guards follow what becomes of the prepared
# transaction, whoever ends it, and over a crash.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = guarded_node('main');
install($node);
sql($node, 'CREATE EXTENSION documentdb_upgrade');

sub prepared
{
	my ($gid, $sql, $name) = @_;
	my $result = try_sql($node, "BEGIN; $sql; PREPARE TRANSACTION '$gid'");

	ok($result->{ok}, $name) or diag($result->{stderr});
	return $result;
}

sub rows
{
	return sql($node, q{SELECT coalesce(string_agg(concat_ws(' ', extension, from_version, to_version, outcome, actor), ', ' ORDER BY id), 'none')
		FROM documentdb_upgrade.history});
}

# A session that keeps a plan over a table of thing, and one that listens.
my $cached = DocumentdbUpgrade::Session->new($node);
my $listener = DocumentdbUpgrade::Session->new($node);
$listener->run('LISTEN documentdb_upgrade');
$cached->run(q{PREPARE kept AS SELECT count(*) FROM thing_1_0; SET plan_cache_mode = force_generic_plan;
	SET debug_pretty_print = off; SET client_min_messages = log; SET debug_print_plan = on});
my $replanned = sub { return $cached->run('EXECUTE kept')->{stderr} =~ /LOG:.*plan:/ ? 1 : 0 };
$replanned->();

# Rolled back by another session, there was nothing.
prepared('back', q{ALTER EXTENSION thing UPDATE TO '1.1'}, 'a plain update can be prepared');
is(versions($node), 'before 1.0, thing 1.0, after 1.0', 'nobody sees it yet');
is(rows(), 'none', 'nor a row');
my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1')});
is($result->{sqlstate}, '55006', 'another upgrade has to wait');
like($result->{detail}, qr/prepared transaction "back"/, 'and is told for what');
is($replanned->(), 0, 'cached plans are kept');
sql($node, q{ROLLBACK PREPARED 'back'});
is(versions($node), 'before 1.0, thing 1.0, after 1.0', 'rolled back it has not happened');
unlike(rows(), qr/manual/, 'and is not in history');
is($replanned->(), 0, 'nor are cached plans made anew');

# Committed by another session.
sql($node, 'TRUNCATE documentdb_upgrade.history');
prepared('there', q{ALTER EXTENSION before UPDATE; ALTER EXTENSION thing UPDATE}, 'so can two');
$listener->run('SELECT 1');
sql($node, q{COMMIT PREPARED 'there'});
is(versions($node), 'before 1.2, thing 1.2, after 1.0', 'committed they are seen');
is(rows(), 'before 1.0 1.2 succeeded manual, thing 1.0 1.2 succeeded manual', 'and in history');
is($replanned->(), 1, 'cached plans are made anew');

# The worker looks once an hour, so only the commit can have woken it.
ok(poll_until(sub { $listener->run('SELECT 1')->{stdout} =~ /"event": "state".*"installed": "1\.2"/ }, 'who listens is told'),
	'the worker has looked, and tells who listens');

# Guards stand before the statement as ever, and a refusal leaves nothing to prepare.
refused($node, q{BEGIN; ALTER EXTENSION thing UPDATE TO '1.3'; PREPARE TRANSACTION 'refused'}, 'within_binary');
is(sql($node, 'SELECT count(*) FROM pg_prepared_xacts'), '0', 'there is nothing prepared');

# Over a crash, with the enforcement of another update meanwhile.
prepared('crash', q{ALTER EXTENSION after UPDATE TO '1.1'}, 'another one');
$node->stop('immediate');
$node->start;
is(versions($node), 'before 1.2, thing 1.2, after 1.0', 'after a crash it is still to be decided');
$result = try_sql($node, q{SET lock_timeout = '10ms'; ALTER EXTENSION after UPDATE});
is($result->{sqlstate}, '55P03', 'and still stands in the way of others') or diag($result->{stderr});
sql($node, q{COMMIT PREPARED 'crash'});
is(versions($node), 'before 1.2, thing 1.2, after 1.1', 'committed it is there');
like(rows(), qr/, after 1\.0 1\.1 succeeded manual$/, 'with its row');

# Our own finalize.  What follows in its session, in the very next transaction,
# has nothing to do with it.
sql($node, 'TRUNCATE documentdb_upgrade.history');
my $session = DocumentdbUpgrade::Session->new($node);
$session->run(q{BEGIN; SELECT documentdb_upgrade.finalize_to('1.2')});
$result = $session->run(qq{PREPARE TRANSACTION 'finalize';\nSELECT count(*) FROM documentdb_upgrade.progress});
ok($result->{ok}, 'a finalize can be prepared') or diag($result->{stderr});
like($result->{stdout}, qr/^0$/m, 'it does not run any more');
sql($node, q{ROLLBACK PREPARED 'finalize'});
is(versions($node), 'before 1.2, thing 1.2, after 1.1', 'rolled back it has not happened');
$session->run(q{BEGIN; SELECT documentdb_upgrade.finalize_to('1.2')});
is($session->run(qq{PREPARE TRANSACTION 'finalize';\nSELECT 1 / 0})->{sqlstate}, '22012', 'an error right after it');
poll_until(sub { sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade recorder'}) eq '0' }, 'nobody records');
$session->quit;
sql($node, q{COMMIT PREPARED 'finalize'});
is(versions($node), 'before 1.2, thing 1.2, after 1.2', 'committed it has');
is(rows(), 'thing 1.2 1.2 succeeded function', 'with one row, and none for what was rolled back');

# Holds: from their commit on.
prepared('hold', q{SELECT documentdb_upgrade.hold('tonight')}, 'a hold can be prepared');
sql($node, q{COMMIT PREPARED 'hold'});
is(sql($node, 'SELECT reason FROM documentdb_upgrade.holds WHERE released_at IS NULL'), 'tonight', 'committed it holds');
prepared('release', q{SELECT documentdb_upgrade.release()}, 'so can its end');
sql($node, q{COMMIT PREPARED 'release'});
is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.holds WHERE released_at IS NULL'), '0', 'committed it holds no more');

# What is taken back is not told; what commits is, once.
$listener = DocumentdbUpgrade::Session->new($node);
$listener->run('LISTEN documentdb_upgrade');
$session = DocumentdbUpgrade::Session->new($node);
$session->run($_) foreach 'BEGIN', 'SAVEPOINT s', q{SELECT documentdb_upgrade.hold('undone')}, 'ROLLBACK TO s',
  'SAVEPOINT t', q{SELECT documentdb_upgrade.hold('done')}, 'RELEASE t', 'COMMIT';
my $heard = $listener->run('SELECT 1')->{stdout};
unlike($heard, qr/undone/, 'what a savepoint takes back is not told');
is(scalar(() = $heard =~ /"reason": "done"/g), 1, 'what commits is, once');
$session->run($_) foreach 'BEGIN', q{SELECT documentdb_upgrade.hold('never')}, 'ROLLBACK', 'SELECT 1';
unlike($listener->run('SELECT 1')->{stdout}, qr/never/, 'nor is what is rolled back told later');
$_->quit foreach $cached, $listener, $session;

done_testing();
