# pg_upgrade with our library preloaded in both clusters: nothing of ours works
# during it, everything of ours is there after it, and goes on.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use File::Find qw(find);
use PostgreSQL::Test::Utils;
use Test::More;

# Servers that tell of each background process that they start.
my $conf = q{
	log_min_messages = debug1
	log_line_prefix = '%m [%p] %b '
	documentdb_upgrade.schema_ahead_action = read_only
	documentdb_upgrade.fence_exempt_roles = 'postgres'};
chomp(my $bindir = `pg_config --bindir`);
plan skip_all => 'pg_upgrade is not installed' unless -x "$bindir/pg_upgrade";
my $old = worker_node('old', conf => $conf);

# Of each table something, made by using it.
sql($old, q{
	CREATE ROLE app LOGIN SUPERUSER;
	CREATE FUNCTION healthy() RETURNS boolean LANGUAGE sql AS 'SELECT true';
	INSERT INTO documentdb_upgrade.checks (name, kind, function, description) VALUES ('healthy', 'post', 'public.healthy()', 'mine');
	SELECT documentdb_upgrade.record_backup('nightly', now());
	SELECT documentdb_upgrade.hold('audit', 'infinity');
	SELECT documentdb_upgrade.release();
	SELECT documentdb_upgrade.record_release('{"operator": "0.2.0"}', 100);
	SELECT documentdb_upgrade.record_release('{"operator": "0.3.0"}');
	SELECT documentdb_upgrade.record_rollback(101, 100, '{operator}');
	INSERT INTO documentdb_upgrade.compatibility (component, version, other, other_version, works, source)
		VALUES ('operator', '0.3.0', 'gateway', '9.9.9', true, 'tried here');
	SELECT FROM documentdb_upgrade.rehearse('1.1');
	CREATE TABLE data AS SELECT 1 AS id});
sql($old, q{SELECT documentdb_upgrade.fence_writes('audit')});
sql($old, q{SELECT documentdb_upgrade.lift_fence()});
sql($old, 'SELECT count(*) FROM documentdb_upgrade.table_checksums()');
sql($old, q{SELECT count(*) FROM documentdb_upgrade.compare_with(format('host=%s port=%s user=postgres dbname=template1',
	current_setting('unix_socket_directories'), current_setting('port')), algorithm => 'sql')});
is(try_sql($old, q{SELECT documentdb_upgrade.finalize_to('9.9')})->{ok}, '', 'a refused finalize');
desire($old, '1.1');
wait_for_state($old, 'up_to_date');
is(attempts($old), "1.0 9.9 refused function\n1.0 1.1 succeeded worker", 'the worker finalizes in the old cluster');
set_and_reload($old, 'documentdb_upgrade.desired_schema_version', '');

my @tables = split /\n/, sql($old, q{SELECT relname FROM pg_class WHERE relnamespace = 'documentdb_upgrade'::regnamespace AND relkind = 'r' ORDER BY 1});
sub kept { return join "\n", map { "$_:\n" . sql($_[0], "SELECT to_jsonb(t) FROM documentdb_upgrade.$_ t ORDER BY t::text") } @tables; }
my $sequences = q{SELECT string_agg(sequencename || ' ' || coalesce(last_value::text, '-'), ', ' ORDER BY sequencename)
	FROM pg_sequences WHERE schemaname = 'documentdb_upgrade'};
my $dumped = q{SELECT c.relname, condition FROM pg_extension, unnest(extconfig, extcondition) u(t, condition) JOIN pg_class c ON c.oid = t
	WHERE extname = 'documentdb_upgrade' ORDER BY 1};
my ($before, $drawn, $marked) = (kept($old), sql($old, $sequences), sql($old, $dumped));
like($before, qr/^$_:\n\{/m, "table $_ has rows to keep") foreach @tables;
$old->stop;
like(logged($old), qr/starting background worker process "documentdb_upgrade launcher"/, 'a server tells when it starts a process of ours');

# During it a version is desired: a worker would go there at once.
sub desired_at_start
{
	my ($node, $version) = @_;
	unlink $node->data_dir . '/postgresql.auto.conf';
	$node->append_conf('postgresql.conf', "documentdb_upgrade.desired_schema_version = '$version'");
	return;
}
my $new = worker_node('new', own_installation => $old->{_install_path}, start => 0, conf => $conf);
desired_at_start($_, '1.2') foreach $old, $new;
$bindir = $old->config_data('--bindir');
chdir PostgreSQL::Test::Utils::tempdir() or die "chdir: $!";
$new->command_ok([ "$bindir/pg_upgrade", '--retain', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bindir, '-B', $bindir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');

my $log = '';
sub said { return join "\n", $log =~ /$_[0]/g; }
find(sub { $log .= slurp_file($_) if /^pg_upgrade_server.*\.log$/ }, $new->data_dir);
ok($log =~ /database system is ready to accept connections/, 'what its servers logged is at hand');
is(said(qr/background worker .*"documentdb_upgrade.*/), '', 'no process of ours was registered or started');
is(said(qr/\] documentdb_upgrade .*/), '', 'nor told anything');
is(said(qr/refused by guard.*|Writes to this database.*|thing" is .*/), '', 'nor did anything of ours speak');

desired_at_start($new, '');
$new->start;
is(kept($new), $before, 'every row of every table is there');
is(sql($new, $sequences), $drawn, 'and every sequence is where it was');
is(sql($new, $dumped), $marked, 'what pg_dump is to take along is marked');
is(sql($new, q{SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql'}),
	sql($new, q{SELECT 'documentdb_upgrade ' || default_version || ', thing 1.1' FROM pg_available_extensions WHERE name = 'documentdb_upgrade'}), 'the schema too');
is(shape($new), $shape_of{'1.1'}, 'with what belongs to it');
is(sql($new, q{SELECT count(*) FILTER (WHERE status = 'fail') || ' ' || (count(*) > 10) FROM documentdb_upgrade.preflight()}), '0 true', 'every guard is met');
is(sql($new, q{SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'members_intact'}), 'pass', 'nothing seems altered to the record of members');
wait_for_state($new, 'update_available', qr/1\.2/);

# Hooks, the fence and the worker are those of any server.
is(try_sql($new, q{ALTER EXTENSION thing UPDATE TO '1.0'})->{sqlstate}, '55000', 'a downgrade is refused');
is(try_sql($new, 'DROP EXTENSION thing')->{sqlstate}, '55000', 'and so is a drop');
sql($new, q{SELECT documentdb_upgrade.hold('again')});
desire($new, '1.2');
wait_for_state($new, 'held');
sql($new, 'SELECT documentdb_upgrade.release()');
wait_for_state($new, 'up_to_date');
is(shape($new), $shape_of{'1.2'}, 'the worker finalizes in the new cluster');
is(sql($new, 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM documentdb_upgrade.history'), '1 2 3', 'and the history is numbered on');
write_extension($new, 'thing', '1.1');
wait_for_state($new, 'schema_ahead', qr/Meanwhile/);
is(try_sql($new, 'CREATE TABLE t (id int)', user => 'app')->{sqlstate}, '25006', 'a fence rises');

done_testing();
