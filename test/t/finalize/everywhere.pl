# finalize_everywhere() goes through the databases one after the other, each in a
# transaction of its own, and stops at the first that fails.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => "documentdb_upgrade.database_look_interval = 0\n");

sub version { return sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'thing'}, $_[0]); }
sub everywhere
{
	my ($target, @options) = @_;
	return try_sql($node, "SELECT * FROM documentdb_upgrade.finalize_everywhere($target)", @options);
}

sql($node, "CREATE DATABASE $_") foreach qw(a b c without_us);
create_thing($node, $_) foreach qw(a b c);
sql($node, q{CREATE EXTENSION thing VERSION '1.0'}, 'without_us');

# One that fails: its check says no.
sql($node, q{CREATE FUNCTION no() RETURNS boolean LANGUAGE sql AS 'SELECT false';
	INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('no', 'post', 'public.no()')}, 'b');
my $result = everywhere(q{'1.1'});
ok($result->{ok}, 'a failure is no error') or diag($result->{stderr});
is(join("\n", map { join ' ', grep { $_ ne '' } (split /\|/)[0, 2 .. 4] } split /\n/, $result->{stdout}),
	"a 1.0 1.1 succeeded\nb 1.0 1.0 failed\nc left\npostgres left\ntemplate1 left\nwithout_us left", 'it stops at the first failure, and says what is left')
  or diag($result->{stdout});
like($result->{stdout}, qr/^b\|.*check "no"/m, 'it says why');
like($result->{stdout}, qr/^c\|.*Not tried, because database "b" has failed\.$/m, 'and why the others were not tried');
like($result->{stderr}, qr/NOTICE: .*database "a": extension "thing" is at "1\.1".*WARNING: .*stopped at database "b"/s, 'it tells while it goes');
is(version('a') . version('b') . version('c'), '1.11.01.0', 'what is done is done');
is(sql($node, q{SELECT outcome, actor, role_name = current_user FROM documentdb_upgrade.history}, 'b'), 'failed|function|t', 'a failure is in the history of its database');

# With the cause gone, from where it stopped; to what the binary offers.
sql($node, q{DELETE FROM documentdb_upgrade.checks WHERE name = 'no'}, 'b');
$result = everywhere('');
is($result->{stdout}, join("\n",
		'a|thing|1.1|1.2|succeeded|', 'b|thing|1.0|1.2|succeeded|', 'c|thing|1.0|1.2|succeeded|', 'postgres|thing|1.0|1.2|succeeded|',
		'template1|thing|||skipped|Extension thing is not installed there.',
		'without_us|thing|1.0|1.0|skipped|First run there: CREATE EXTENSION documentdb_upgrade;'), 'the caller\'s own database among them');
like(everywhere('')->{stdout}, qr/^a\|thing\|1\.2\|1\.2\|unchanged\|$/m, 'again it changes nothing');
is(everywhere(q{'x'})->{sqlstate}, '22023', 'a malformed target is refused');

# What a role may not do there it may not do from here.
sql($node, 'CREATE ROLE op LOGIN');
is(everywhere('', user => 'op')->{sqlstate}, '42501', 'not everybody may call it');
sql($node, 'GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_everywhere TO op');
like(everywhere('', user => 'op')->{stdout}, qr/^a\|.*\|failed\|permission denied for function finalize_to/m, 'and not without the right to finalize there');

foreach my $dbname (qw(a b c)) { sql($node, 'GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to TO op', $dbname); }
sql($node, 'REVOKE CONNECT ON DATABASE b FROM PUBLIC');
like(everywhere('', user => 'op')->{stdout}, qr/^a\|.*\|unchanged\|\nb\|.*\|failed\|permission denied for the database/m, 'nor without that to connect');
sql($node, 'GRANT CONNECT ON DATABASE b TO op; UPDATE pg_extension SET extversion = $$1.1$$ WHERE extname = $$thing$$', 'b');
sql($node, 'ALTER TABLE thing DROP two; ALTER EXTENSION thing DROP TABLE last; DROP TABLE last', 'b');
like(everywhere('', user => 'op')->{stdout}, qr/^b\|thing\|1\.1\|1\.2\|succeeded\|$/m, 'with both a plain role does it');
is(sql($node, 'SELECT role_name FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1', 'b'), 'op', 'and history names that');

# A version of another extension is none of theirs.
sql($node, q{ALTER DATABASE a SET documentdb_upgrade.extension = 'other'});
sql($node, 'SET documentdb_upgrade.enforce = off; DROP EXTENSION thing; CREATE EXTENSION thing VERSION $$1.0$$', 'c');
like(everywhere(q{'1.1'})->{stdout}, qr/^a\|other\|\|\|skipped\|Extension other is not installed there\.$/m, 'another main extension is left alone');

# It can be seen while it runs, and ends with the caller.
my $gate = close_gate($node, 'c');
my $session = DocumentdbUpgrade::Session->new($node);
$session->start('SELECT * FROM documentdb_upgrade.finalize_everywhere()');
ok($node->poll_query_until('postgres', q{SELECT state = 'finalizing' FROM documentdb_upgrade.databases WHERE database = 'c'}), 'view databases shows where it is');
sql($node, 'SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->finish->{sqlstate}, '57014', 'the call is ended');
ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade everywhere')}), 'and its process');
$gate->quit;
$session->quit;
is(version('c'), '1.0', 'nothing half-done is left');
is(sql($node, q{SELECT outcome, message FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}, 'c') =~ /^cancelled\|/ ? 1 : 0, 1, 'its history says so')
  or diag(sql($node, 'SELECT outcome, message, detail FROM documentdb_upgrade.history', 'c'));

done_testing();
