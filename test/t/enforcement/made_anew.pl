# A drop and create by hand leaves a row in history, whatever took the extension
# along, and so does a dump that is restored over files of another release.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', preload => 1, own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.managed_extensions = 'thing, companion'
	documentdb_upgrade.poll_interval = '1h'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});
foreach my $name ('thing', 'companion')
{
	write_extension($node, $name, '1.1', '1.0' => "CREATE TABLE $name (id int);", '1.0--1.1' => "ALTER TABLE $name ADD one int;", '1.1--1.2' => '');
}
sql($node, q{CREATE SCHEMA home; CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION companion SCHEMA home VERSION '1.0'});

# Rows that are new, without their numbers.
my $last = 0;
sub new_rows
{
	my ($on, $dbname) = @_;
	my $rows = sql($on // $node, qq{SELECT extension, from_version, to_version, outcome, actor, message FROM documentdb_upgrade.history WHERE id > $last ORDER BY id}, $dbname);
	$last = sql($on // $node, 'SELECT coalesce(max(id), 0) FROM documentdb_upgrade.history', $dbname);
	return $rows;
}

is(new_rows(), '', 'a first creation is no history: a restore would meet it');
sql($node, q{SELECT documentdb_upgrade.finalize()});
like(new_rows(), qr/^thing\|1\.0\|1\.1\|succeeded\|function\|$/, 'an update');
my $off = 'SET documentdb_upgrade.enforce = off;';

sql($node, "$off BEGIN; DROP EXTENSION thing; CREATE EXTENSION thing; COMMIT");
is(new_rows(), 'thing|1.1|1.1|succeeded|manual|dropped and created: what it kept before is gone', 'the same version, made anew');
sql($node, "$off DROP EXTENSION thing");
is(new_rows(), 'thing|1.1||succeeded|manual|dropped: what it kept is gone', 'a drop');
sql($node, "CREATE EXTENSION thing VERSION '1.0'");
is(new_rows(), 'thing||1.0|succeeded|manual|created', 'and a creation after it');
is(sql($node, 'SELECT extensions FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1'), '[{"to": "1.0", "extension": "thing"}]', 'with the extension that changed');
is(sql($node, 'SELECT state FROM documentdb_upgrade.status'), 'update_available', 'then all goes on');
sql($node, "$off DROP SCHEMA home CASCADE");
is(new_rows(), 'companion|1.1||succeeded|manual|dropped: what it kept is gone', 'a cascade that takes a companion along');

# What is rolled back was nothing.
sql($node, "$off BEGIN; DROP EXTENSION thing; CREATE EXTENSION thing; ROLLBACK");
sql($node, "$off BEGIN; SAVEPOINT s; DROP EXTENSION thing; CREATE EXTENSION thing; ROLLBACK TO s; COMMIT");
sql($node, "$off BEGIN; SAVEPOINT s; CREATE EXTENSION companion; ROLLBACK TO s; COMMIT");
sql($node, "$off BEGIN; CREATE EXTENSION companion; DROP EXTENSION companion; COMMIT");
is(new_rows(), '', 'what did not happen leaves nothing');
sql($node, "$off BEGIN; DROP EXTENSION thing; SAVEPOINT s; CREATE EXTENSION thing; ROLLBACK TO s; CREATE EXTENSION thing VERSION '1.0'; COMMIT");
is(new_rows(), 'thing|1.0|1.0|succeeded|manual|dropped and created: what it kept before is gone', 'what is left at the end counts');
sql($node, "$off BEGIN; DROP EXTENSION thing; PREPARE TRANSACTION 'p'");
sql($node, q{COMMIT PREPARED 'p'; CREATE EXTENSION thing VERSION '1.0'});
is(new_rows(), "thing|1.0||succeeded|manual|dropped: what it kept is gone\nthing||1.0|succeeded|manual|created", 'a prepared transaction');
sql($node, "$off BEGIN; DROP EXTENSION thing; DROP EXTENSION documentdb_upgrade; COMMIT");
sql($node, q{CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION documentdb_upgrade});
$last = 0;
is(new_rows(), '', 'with its history all is gone');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize()}), 'succeeded', 'and may begin again');
new_rows();

# A dump of this goes into files of another release: CREATE EXTENSION takes what
# is there, history says what was.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
my @where = ('-h', $node->host, '-p', $node->port);
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, @where, 'postgres' ], 'a dump');
write_extension($node, 'thing', '1.2', '1.2' => 'CREATE TABLE thing (id int, one int);');
foreach my $dbname ('restored', 'at_once')
{
	sql($node, "CREATE DATABASE $dbname");
	$node->command_ok([ 'pg_restore', '-d', $dbname, ($dbname eq 'at_once' ? '-1' : ()), @where, $dump ], "$dbname: a restore");
	$last = 0;
	my @rows = split /\n/, new_rows(undef, $dbname);
	is(shift @rows, 'thing|1.0|1.1|succeeded|function|', "$dbname: it meets no row of ours");
	sql($node, 'SELECT documentdb_upgrade.tick()', $dbname);
	is(join("\n", @rows, new_rows(undef, $dbname)), 'thing|1.1|1.2|succeeded|' . ($dbname eq 'restored'
			? 'found|changed without this library, or restored from a dump over other files'
			: "manual|created, and history knew of no drop: restored from a dump in one transaction, perhaps\n"),
		"$dbname: another version leaves a row");
	sql($node, 'SELECT documentdb_upgrade.tick()', $dbname);
	is(new_rows(undef, $dbname), '', "$dbname: once");
}

# History that is there without its sequence is that of a restore under way.
sql($node, q{SELECT setval('documentdb_upgrade.history_id_seq', 1, false)}, 'at_once');
sql($node, q{UPDATE documentdb_upgrade.history SET extensions = jsonb_set(extensions, '{0,to}', '"1.1"') WHERE id = (SELECT max(id) FROM documentdb_upgrade.history)}, 'at_once');
sql($node, 'SELECT documentdb_upgrade.tick()', 'at_once');
is(new_rows(undef, 'at_once'), '', 'that is waited for');
sql($node, q{SELECT setval('documentdb_upgrade.history_id_seq', (SELECT max(id) FROM documentdb_upgrade.history)); SELECT documentdb_upgrade.tick()}, 'at_once');
like(new_rows(undef, 'at_once'), qr/^thing\|1\.1\|1\.2\|succeeded\|found\|/, 'to its end');

done_testing();
