# A rehearsal in a throw-away database takes no lock on anything here, and
# leaves nothing: no database, no role, no process.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.managed_extensions = 'base, thing'
	documentdb_upgrade.lock_timeout = '300ms'
	default_transaction_isolation = 'repeatable read'});
write_extension($node, 'base', '1.2', '1.0' => 'CREATE TABLE base (id int);', '1.0--1.2' => 'ALTER TABLE base ADD one int;');
write_extension($node, 'thing', '1.2', '1.0' => 'CREATE ROLE installed;',
	'1.0--1.1' => 'ALTER TABLE base ADD two int; CREATE ROLE made; GRANT installed TO made;',
	'1.1--1.2' => "CREATE TABLE who AS SELECT current_user AS u; ALTER ROLE made SET work_mem = '1MB';");
sql($node, q{CREATE SCHEMA "My Schema"; CREATE ROLE installed});
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION base VERSION '1.0' SCHEMA "My Schema"; DROP ROLE installed});
write_extension($node, 'thing', '1.2', '1.0' => q{DO $$ BEGIN CREATE ROLE installed; EXCEPTION WHEN duplicate_object THEN NULL; END $$;},
	'1.0--1.1' => 'ALTER TABLE base ADD two int; CREATE ROLE made; GRANT installed TO made;');
write_extension_file($node, 'thing.control', "default_version = '1.2'\nrequires = 'base'\nrelocatable = false\n");
sql($node, q{CREATE EXTENSION thing VERSION '1.0' SCHEMA "My Schema"});

# What an installation there creates for the whole cluster must not stay.
write_extension($node, 'thing', '1.2', '1.0' => 'CREATE ROLE fleeting; GRANT fleeting TO installed;');
write_extension_file($node, 'thing.control', "default_version = '1.2'\nrequires = 'base'\nrelocatable = false\n");

sub rest
{
	return sql($node, q{SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE '%scratch%'),
		(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE '%scratch%'), (SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolname !~ '^pg_|postgres')});
}
my $rc = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
sql($node, 'CREATE ROLE plain LOGIN');
my $roles = rest();
is($roles, '0|0|installed,plain', 'nothing is there');

# All tables here are locked, and the extensions too.
my $blocker = DocumentdbUpgrade::Session->new($node);
$blocker->run(qq{$rc LOCK TABLE "My Schema".base; ALTER EXTENSION thing UPDATE TO '1.1'});
my $result = try_sql($node, "$rc SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('1.2')");
is($result->{stdout}, 'failed|55006', 'in place it cannot pass');
$blocker->run(qq{ROLLBACK; $rc LOCK TABLE "My Schema".base});
$result = try_sql($node, "$rc SELECT outcome, sqlstate, detail ~ 'holds' FROM documentdb_upgrade.rehearse('1.2')");
is($result->{stdout}, 'failed|55P03|t', 'nor when a table is locked');
$result = try_sql($node, "$rc SELECT outcome, scratch, steps_run, role_name, risk FROM documentdb_upgrade.rehearse('1.2', scratch => true);
	SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode IN ('AccessExclusiveLock', 'ShareUpdateExclusiveLock'); COMMIT");
is($result->{stdout}, "passed|t|3|postgres|cluster-wide\n0", 'in a throw-away database it passes, and no strong lock is held') or diag($result->{stderr});
is(rest(), $roles, 'nothing is left');
$blocker->run('ROLLBACK');
is(sql($node, "$rc SELECT r.fingerprint = documentdb_upgrade.upgrade_fingerprint() FROM documentdb_upgrade.rehearsals r ORDER BY id DESC LIMIT 1"), 't', 'it is true for here');

# A plain role may call it, and gains nothing by it.
sql($node, q{GRANT USAGE ON SCHEMA documentdb_upgrade TO plain; GRANT EXECUTE ON FUNCTION documentdb_upgrade.rehearse TO plain});
$result = try_sql($node, "$rc SELECT outcome, role_name FROM documentdb_upgrade.rehearse(scratch => true); SELECT current_user; COMMIT; SELECT 1 FROM documentdb_upgrade.rehearsals", user => 'plain');
is($result->{stdout}, "passed|plain\nplain", 'a plain role gets the row') or diag($result->{stderr});
is($result->{sqlstate}, '42501', 'and no rights');
is(try_sql($node, "$rc SELECT documentdb_upgrade.rehearse(scratch => true)", user => 'installed')->{ok}, !1, 'others cannot call it');

# Two at once, and twice in one transaction.
my @sessions = map { DocumentdbUpgrade::Session->new($node) } 1, 2;
$_->start("$rc SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true); SELECT outcome FROM documentdb_upgrade.rehearse('1.1', true); COMMIT") foreach @sessions;
is($_->finish->{stdout}, "passed\npassed", 'sessions do not meet') foreach @sessions;
is(rest(), $roles, 'nothing is left');

# What fails there.
write_extension($node, 'thing', '1.2', '1.1--1.2' => "SELECT 1;\nSELECT 1 / 0;");
$result = try_sql($node, "$rc SELECT outcome, sqlstate, script ~ '1.1--1.2', script_line, steps_run FROM documentdb_upgrade.rehearse(scratch => true); SELECT 1");
is($result->{stdout}, "failed|22012|t|2|2\n1", 'a script that fails is a failed rehearsal') or diag($result->{stderr});
write_extension($node, 'thing', '1.2', '1.0' => 'SELECT only_here();');
$result = try_sql($node, "$rc SAVEPOINT a; SELECT documentdb_upgrade.rehearse(scratch => true)");
is($result->{sqlstate}, '0A000', 'an installation that fails is an error');
like($result->{message}, qr/^cannot rehearse in a throw-away database: function only_here\(\) does not exist/, 'with the reason');
like($result->{hint}, qr/^Rehearse in place/, 'and a way out');
write_extension($node, 'thing', '1.2', '1.0' => "DO \$\$ BEGIN RAISE insufficient_resources; END \$\$;");
is(try_sql($node, "$rc SELECT documentdb_upgrade.rehearse(scratch => true)")->{sqlstate}, '53000', 'a lack of resources keeps its code');
is(rest(), $roles, 'nothing is left');
is(try_sql($node, "$rc SET documentdb_upgrade.extension = 'hstore'; SELECT documentdb_upgrade.rehearse(scratch => true)")->{sqlstate}, '42704', 'what is not installed');

# No processes, then one.
sub start_with
{
	my ($processes) = @_;
	$node->append_conf('postgresql.conf', "max_worker_processes = $processes\n");
	$node->restart;
	return try_sql($node, "$rc SELECT documentdb_upgrade.rehearse(scratch => true)");
}
foreach (1, 2)
{
	$result = start_with($_);
	is($result->{sqlstate}, '53400', 'without a process for each it is refused') or diag($result->{stderr});
	like($result->{hint}, qr/max_worker_processes|Rehearse in place/, 'with a hint');
	is(rest(), $roles, 'nothing is left');
}

SKIP:
{
	skip 'pg_cron is not available', 2 unless extension_available('pg_cron');
	$node->append_conf('postgresql.conf', "max_worker_processes = 16\nshared_preload_libraries = 'pg_cron'\ncron.launch_active_jobs = off\n");
	$node->restart;
	sql($node, q{CREATE EXTENSION pg_cron VERSION '1.0'});
	$result = try_sql($node, "$rc SET documentdb_upgrade.extension = 'pg_cron'; SET documentdb_upgrade.managed_extensions = ''; SELECT documentdb_upgrade.rehearse(scratch => true)");
	is($result->{sqlstate}, '0A000', 'pg_cron lives in one database') or diag($result->{stderr});
	like($result->{hint}, qr/^Rehearse in place/, 'the hint says what to do');
}
done_testing();
