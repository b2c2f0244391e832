# History, holds, backups, releases with rollbacks, and users' checks and pairs of
# versions survive pg_dump, pg_dumpall and
# pg_upgrade, their sequences go on, and what belongs to the server stays.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

need_extension('pg_stat_statements', '1.4');

my $settings = "documentdb_upgrade.extension = 'pg_stat_statements'";
my $node = new_node('old', conf => $settings);

sql($node, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE EXTENSION pg_stat_statements VERSION '1.4';
	CREATE FUNCTION public.healthy() RETURNS boolean LANGUAGE sql AS 'SELECT true';
	INSERT INTO documentdb_upgrade.checks (name, kind, function, description)
		VALUES ('healthy', 'post', 'public.healthy()', 'it''s mine');
	SELECT documentdb_upgrade.record_backup('nightly', now() - interval '1 hour');
	SELECT documentdb_upgrade.record_release('{"gateway": "1", "extension": "1.4"}', label => 'first');
	SELECT documentdb_upgrade.record_release('{"gateway": "2", "extension": "1.4"}', 5);
	SELECT documentdb_upgrade.record_rollback(5, 1, '{gateway}');
	INSERT INTO documentdb_upgrade.compatibility (component, version, other, other_version, source)
		VALUES ('gateway', '2', 'extension', '1.4', 'tried'), ('ferretdb', '2.0.0', 'extension', '0.102.0', 'a pair that is shipped too');
	SELECT documentdb_upgrade.load_compatibility('{"pairs": [{"component": "gateway", "version": "3", "other": "extension", "other_version": "1.5", "source": "theirs"}],
		"notes": [{"component": "gateway", "from_version": "", "to_version": "3", "place": "after", "action": "# smile", "reason": "polite", "source": "theirs"}]}');
	SELECT documentdb_upgrade.hold('audit', 'infinity');
	SELECT documentdb_upgrade.release();
	SELECT documentdb_upgrade.hold('freeze');
	SELECT documentdb_upgrade.can_finalize();
	CREATE SEQUENCE public.expected_refusal;
});
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.5')})->{sqlstate}, '55000', 'a hold refuses');
ok(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.5', skip_guards => '{hold}')})->{ok},
	'and can be overridden');

# Everything that must survive.
sub kept
{
	my ($server, $dbname) = @_;
	return join "\n", map { sql($server, "SELECT to_jsonb(t) FROM documentdb_upgrade.$_ t ORDER BY t", $dbname) }
	  qw(history holds backups checks releases rollbacks compatibility release_notes);
}
my $before = kept($node, 'postgres');
like($before, qr/"outcome": "refused".*"outcome": "succeeded"/s, 'there is a history to keep');
is(sql($node, 'SELECT count(*) > 0 FROM documentdb_upgrade_internal.binaries_seen'), 't', 'and a binary that was seen');

# What works only when the sequences went along.
sub goes_on
{
	my ($server, $dbname, $how) = @_;
	is(kept($server, $dbname), $before, "$how keeps every row");
	ok(try_sql($server, q{SELECT documentdb_upgrade.record_backup('after', now());
		SELECT documentdb_upgrade.release();
		SELECT documentdb_upgrade.record_release('{"gateway": "3"}');
		SELECT documentdb_upgrade.record_rollback(7, 5, '{gateway}', '{extension}');
		SELECT documentdb_upgrade.hold('again');
		SELECT documentdb_upgrade.finalize_to('1.6', skip_guards => '{hold}')}, dbname => $dbname)->{ok},
		"$how leaves sequences that go on");
	is(sql($server, q{SELECT string_agg(id::text, ',' ORDER BY id) FROM documentdb_upgrade.history}, $dbname),
		'1,2,3', "$how lets the history be numbered on");
	is(sql($server, q{SELECT string_agg(concat_ws(' ', id, source, target, release), ',' ORDER BY id) FROM documentdb_upgrade.rollbacks}, $dbname),
		'1 5 1 6,2 7 5 8', "$how lets releases and rollbacks be numbered on");
	is(sql($server, q{SELECT from_version, to_version FROM documentdb_upgrade.history WHERE id = 3}, $dbname),
		'1.5|1.6', "$how keeps the installed version");
}

sql($node, 'CREATE DATABASE copy TEMPLATE template0');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('copy') ], 'restore');
{
	# The dump names no version, so the newest comes back.
	my $newest = sql($node, q{SELECT default_version FROM pg_available_extensions WHERE name = 'pg_stat_statements'});
	is(kept($node, 'copy'), $before, 'pg_dump keeps every row');
	is(sql($node, 'SELECT count(*) FROM documentdb_upgrade_internal.binaries_seen', 'copy'),
		'0', 'but for the binaries that this server saw');
	is(sql($node, 'SELECT documentdb_upgrade.schema_version()', 'copy'), $newest, 'a restored extension is of the binary');
	is(sql($node, q{SELECT documentdb_upgrade.record_backup('after', now())}, 'copy'), '2', 'and the sequences go on');
	is(sql($node, q{SELECT id, release FROM documentdb_upgrade.record_rollback(5, 1, '{gateway}')}, 'copy'), '2|6', 'those of releases too');
	is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.5')}, dbname => 'copy')->{sqlstate}, '55000',
		'what the restored hold and version forbid is refused');
	is(sql($node, 'SELECT max(id) FROM documentdb_upgrade.history', 'copy'), '3', 'and recorded under the next number');
}
sql($node, 'DROP DATABASE copy');
$node->stop;

my $upgraded = new_node('new', conf => $settings, start => 0);
my $bindir = $node->config_data('--bindir');
chdir PostgreSQL::Test::Utils::tempdir() or die "chdir: $!";
command_ok([ 'pg_upgrade', '--no-sync', '-d', $node->data_dir, '-D', $upgraded->data_dir, '-b', $bindir, '-B', $bindir,
		'-s', $node->host, '-p', $node->port, '-P', $upgraded->port ], 'pg_upgrade');
$upgraded->start;
goes_on($upgraded, 'postgres', 'pg_upgrade');

done_testing();
