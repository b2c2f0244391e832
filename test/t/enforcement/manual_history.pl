# A plain ALTER EXTENSION UPDATE is recorded with its transaction, whoever ran
# it; caches of the version are told, and the worker looks at once.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = guarded_node('main');
write_extension_file($node, 'thing.control', "default_version = '1.2'\ntrusted = true\n");
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE ROLE plain LOGIN; GRANT CREATE ON SCHEMA public TO plain;
	GRANT CREATE ON DATABASE postgres TO plain});
try_sql($node, q{CREATE EXTENSION thing VERSION '1.0'}, user => 'plain');

sub history
{
	return sql($node, q{SELECT concat_ws(' ', id, extension, from_version, to_version, outcome, actor, role_name, skipped_guards, message)
		FROM documentdb_upgrade.history ORDER BY id});
}

# What is no update leaves no trace.
try_sql($node, $_) foreach q{BEGIN; ALTER EXTENSION thing UPDATE; ROLLBACK}, q{ALTER EXTENSION thing UPDATE TO '1.0'},
  q{ALTER EXTENSION thing UPDATE TO '1.3'}, 'ALTER EXTENSION thing SET SCHEMA pg_temp', q{BEGIN; CREATE EXTENSION after VERSION '1.1'; ROLLBACK};
is(history(), '', 'neither one that is rolled back, nor one to where it is, nor a refusal');

# By a role that may not write to our tables.
my $listener = DocumentdbUpgrade::Session->new($node);
my $session = DocumentdbUpgrade::Session->new($node, user => 'plain');
$listener->run('LISTEN documentdb_upgrade');
$session->run(q{SET application_name = 'reconciler'; SET search_path = pg_temp, public; CREATE TEMP TABLE history (id int)});
my $result = $session->run(q{ALTER EXTENSION thing UPDATE});
ok($result->{ok}, 'an owner updates') or diag($result->{stderr});
my $ids = sql($node, 'SELECT max(id) FROM documentdb_upgrade.history');
is(history(), "$ids thing 1.0 1.2 succeeded manual plain {}", 'one row, whatever the number of steps');
is(sql($node, 'SELECT client FROM documentdb_upgrade.history'), 'reconciler, local', 'with the client');
is(sql($node, 'SELECT started_at <= finished_at AND steps IS NULL FROM documentdb_upgrade.history'), 't', 'and the times');
is($session->run(q{SELECT current_user, current_setting('search_path')})->{stdout}, 'plain|pg_temp, public', 'the session is what it was');
is($session->run('SELECT count(*) FROM documentdb_upgrade.history')->{sqlstate}, '42501', 'and may not look at the row');
like($listener->run('SELECT 1')->{stdout}, qr/"event": "update", "extension": "thing", "from_version": "1\.0", "to_version": "1\.2"/, 'who listens is told');
$_->quit foreach $listener, $session;

# Its pace is an hour, so only the update itself can have woken the worker.
ok($node->poll_query_until('postgres', q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), 'the status is that of now');
ok($node->wait_for_log(qr/LOG:  schema of extension "thing" is up to date/), 'the worker has looked');

# In functions, with guards that fail, and with the guards off.
sql($node, q{CREATE EXTENSION before VERSION '1.0'});
sql($node, q{DO $$ BEGIN ALTER EXTENSION before UPDATE TO '1.1'; END $$});
sql($node, q{SELECT documentdb_upgrade.hold('tomorrow')});
try_sql($node, 'ALTER EXTENSION before UPDATE');
write_extension_file($node, 'thing--1.2--1.3.sql', '');
sql($node, q{SET documentdb_upgrade.enforce = off; ALTER EXTENSION thing UPDATE TO '1.3'});
is( sql($node, q{SELECT string_agg(concat_ws(' ', extension, from_version, to_version, skipped_guards, message), '; ' ORDER BY id)
		FROM documentdb_upgrade.history WHERE id > } . $ids),
	'before 1.0 1.1 {}; before 1.1 1.2 {hold}; thing 1.2 1.3 {} documentdb_upgrade.enforce was off',
	'they are recorded all the same');

# Where our tables are not what this library knows the update goes on without a
# record.
sql($node, q{SELECT documentdb_upgrade.release(); CREATE DATABASE old});
sql($node, q{CREATE EXTENSION documentdb_upgrade; ALTER TABLE documentdb_upgrade.history DROP COLUMN skipped_guards CASCADE;
	CREATE EXTENSION before VERSION '1.0'; CREATE EXTENSION thing VERSION '1.0'}, 'old');
$result = try_sql($node, 'ALTER EXTENSION before UPDATE', dbname => 'old');
ok($result->{ok}, 'the statement is not ours to break') or diag($result->{stderr});
like($result->{stderr}, qr/WARNING:  01000: could not record the update of extension "before"/, 'but says so');
is(versions($node, 'old'), 'before 1.2, thing 1.0', 'it has been done');

done_testing();
