# The reports before and after an upgrade: each check is brought to find
# something once, and one that cannot be read fails nothing.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $with_cron = extension_available('pg_cron');
my $node = new_node('main', preload => 'documentdb_upgrade' . ($with_cron ? ', pg_cron' : ''), own_installation => 1, streaming => 1, conf => q{
	wal_keep_size = 0
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.managed_extensions = 'before, thing'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'
	documentdb_upgrade.poll_interval = '100ms'
	documentdb_upgrade.attempt_timeout = '200ms'
	autovacuum_freeze_max_age = 100000
	vacuum_failsafe_age = 105000
	deadlock_timeout = '10ms'
	cron.use_background_workers = on});
# Since 18 they are on from the start.
if (sql($node, 'SHOW data_checksums') eq 'off')
{
	$node->stop;
	system_or_bail('pg_checksums', '--enable', '-D', $node->data_dir);
	$node->start;
}
write_extension($node, 'before', '1.2', '1.0' => '', '1.0--1.1' => '', '1.1--1.2' => '');
write_extension($node, 'thing', '1.2', '1.0' => 'CREATE TABLE thing (id int);', '1.0--1.1' => '',
	'1.1--1.2' => 'ALTER TABLE thing ADD two int;');
sql($node, 'CREATE EXTENSION documentdb_upgrade; CREATE ROLE looker IN ROLE pg_monitor');

# "status: detail / hint" of a check, as a plain member of pg_monitor sees it.
sub row
{
	my ($report, $check, $server) = @_;
	return sql($server // $node, qq{SET ROLE looker; SELECT concat_ws(' / ', status || ': ' || detail, hint)
		FROM documentdb_upgrade.${report}_upgrade_report() WHERE check_name = '$check'});
}

# Both reports find it, or the one named.
sub finds
{
	my ($check, $pattern, @reports) = @_;
	like(row($_, $check), $pattern, "$_: $check finds it") foreach @reports ? @reports : ('pre', 'post');
	return;
}

sub passes
{
	my ($check, @reports) = @_;
	like(row($_, $check), qr/^pass: /, "$_: $check passes") foreach @reports ? @reports : ('pre', 'post');
	return;
}

# Nothing is installed: the rest of the report is there.
finds('versions', qr/^fail: thing: installed none, binary 1\.2; PostgreSQL .* \/ If another one is meant, .* run CREATE EXTENSION thing CASCADE;/);
finds('state', qr/^fail: not_installed\. /);
finds('guards', qr/^fail: .* refuse \(installed/, 'pre');
finds('installed', qr/^fail: Installed is nothing/, 'post');
finds('companions', qr/^skip: /, 'post');
passes('connections');
sql($node, q{CREATE EXTENSION before VERSION '1.0'; CREATE EXTENSION thing VERSION '1.0'});

# One row per check, all with a reason, in both.
my @both = qw(versions state gate standbys slots replication_lag invalid_indexes unvalidated_constraints disabled_triggers failed_jobs
	connections idle_in_transaction long_transactions prepared_transactions wraparound statistics checksums deadlocks rollbacks
	recorded_failures checks library disk_headroom event_triggers members_intact);
foreach (['pre', @both, qw(guards blocking_sessions backup)], ['post', @both, qw(installed companions databases last_attempt fresh_install)])
{
	my ($report, @checks) = @$_;
	is(sql($node, "SET ROLE looker; SELECT string_agg(check_name, ' ' ORDER BY check_name COLLATE \"C\") FROM documentdb_upgrade.${report}_upgrade_report()"),
		join(' ', sort @checks), "$report: every check is there, once");
	is(sql($node, "SET ROLE looker; SELECT string_agg(check_name || ' ' || status || ' ' || detail, E'\\n') FROM documentdb_upgrade.${report}_upgrade_report()
		WHERE detail IS NULL OR status NOT IN ('pass', 'skip') AND NOT (check_name = 'installed' AND '$report' = 'post')"), '', "$report: and none has anything to say");
}
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.pre_upgrade_report() WHERE status = 'pass' AND hint IS NOT NULL}), '0', 'what passes has no hint');

# Objects.
sql($node, 'CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (1, 1)');
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY broken ON t (id)');
finds('invalid_indexes', qr/^fail: Not usable: public\.broken\. \/ Run REINDEX/);
sql($node, 'DROP INDEX broken');
passes('invalid_indexes');
sql($node, 'ALTER TABLE t ADD CONSTRAINT late CHECK (n > 5) NOT VALID');
finds('unvalidated_constraints', qr/^pass: Declared NOT VALID, for information: late of public\.t\. To have .*, run ALTER TABLE public\.t VALIDATE CONSTRAINT late;$/);
sql($node, q{CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER watch BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION tf();
	ALTER TABLE thing DISABLE TRIGGER watch});
finds('disabled_triggers', qr/^warn: Disabled: watch of public\.thing\./);
sql($node, 'DROP TRIGGER watch ON thing');
passes('disabled_triggers');
sql($node, q{CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER nosy ON ddl_command_end EXECUTE FUNCTION ef()});
finds('event_triggers', qr/^warn: .*nosy/);
sql($node, 'DROP EVENT TRIGGER nosy');
sql($node, q{INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('gone', 'post', 'public.gone()')});
finds('checks', qr/^fail: Run within the upgrade, not now: gone \(post, function missing\)/);
sql($node, 'CREATE FUNCTION gone() RETURNS boolean LANGUAGE sql AS $$ SELECT true $$');
passes('checks');

# Sessions.
my $idle = DocumentdbUpgrade::Session->new($node);
$idle->run('BEGIN; SELECT 1');
poll_until(sub { row('pre', 'idle_in_transaction') =~ /^warn/ }, 'a session is idle for long enough');
finds($_, qr/^warn: Process ${\ $idle->pid} \(\w+, database postgres, for \d+ s\)\. \//) foreach qw(idle_in_transaction long_transactions);
$idle->run('COMMIT');
passes('idle_in_transaction');
passes('long_transactions');
sql($node, q{BEGIN; INSERT INTO t VALUES (7, 7); PREPARE TRANSACTION 'left behind'});
finds('prepared_transactions', qr/^warn: 'left behind' of database postgres since .* \/ They keep .* In database postgres, .* COMMIT PREPARED 'left behind'; .* ROLLBACK PREPARED 'left behind';$/);
sql($node, q{ROLLBACK PREPARED 'left behind'});
passes('prepared_transactions');
my @many = map { DocumentdbUpgrade::Session->new($node) } 1 .. 24;
finds('connections', qr/^(?:warn|fail): \d+ of 30 connections/);
$_->quit foreach @many;
poll_until(sub { row('pre', 'connections') =~ /^pass/ }, 'connections are closed');

# Slots, and the WAL they keep.
sql($node, q{SELECT pg_create_physical_replication_slot('nobody', true)});
finds('slots', qr/^warn: nobody \(physical\): inactive, \S+ \w+ of WAL kept, reserved\. \/ Start the receiver/);
sql($node, q{ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; SELECT pg_reload_conf()});
sql($node, 'SELECT pg_switch_wal(); CREATE TABLE w (); SELECT pg_switch_wal(); DROP TABLE w; SELECT pg_switch_wal(); CHECKPOINT') foreach 1 .. 3;
finds('slots', qr/^fail: nobody .*, lost\. \/ Rebuild/);
sql($node, q{SELECT pg_drop_replication_slot('nobody'); ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf()});
passes('slots');

# Counters.
sql($node, 'ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf(); ');
poll_until(sub { row('pre', 'statistics') =~ /^warn: Setting autovacuum is off/ }, 'autovacuum is off');
sql($node, 'INSERT INTO thing SELECT generate_series(1, 3000)');
poll_until(sub { row('post', 'statistics') =~ /To be analyzed: public\.thing/ }, 'a table without statistics is found');
sql($node, 'DELETE FROM thing');
poll_until(sub { row('pre', 'statistics') =~ /To be vacuumed: public\.thing.* \/ Run VACUUM/ }, 'one with dead rows too');
sql($node, 'VACUUM (ANALYZE) thing');
sql($node, 'ALTER SYSTEM RESET autovacuum; SELECT pg_reload_conf()');
poll_until(sub { row('pre', 'statistics') =~ /^pass/ }, 'and passes again');
sql($node, q{DO $$ BEGIN FOR i IN 1 .. 3000 LOOP PERFORM i; ROLLBACK; END LOOP; END $$});
poll_until(sub { row('pre', 'rollbacks') =~ /^warn: \d+ of \d+ transactions/ }, 'rollbacks are found');
my ($one, $two) = map { DocumentdbUpgrade::Session->new($node) } 1, 2;
$one->run('BEGIN; LOCK TABLE t');
$two->run('BEGIN; LOCK TABLE thing');
$one->start('LOCK TABLE thing');
$two->start('LOCK TABLE t');
$two->finish;
$_->quit foreach $one, $two;
poll_until(sub { row('pre', 'deadlocks') =~ /^warn: 1 in this database/ }, 'a deadlock is found');
passes('wraparound');
sql($node, q{CREATE TEMP TABLE x (i int); DO $$ BEGIN FOR i IN 1 .. 110000 LOOP BEGIN INSERT INTO x VALUES (1); EXCEPTION WHEN division_by_zero THEN END; END LOOP; END $$});
finds('wraparound', qr/^fail: The oldest transaction id is 1\d{5} old .* \/ VACUUM \(FREEZE\) database/);

# Jobs.
SKIP: {
	skip 'pg_cron is not available', 2 unless $with_cron;
	sql($node, 'CREATE EXTENSION pg_cron');
	passes('failed_jobs', 'pre') if sql($node, 'GRANT USAGE ON SCHEMA cron TO looker; GRANT SELECT ON cron.job_run_details TO looker; SELECT 1');
	sql($node, q{INSERT INTO cron.job_run_details (jobid, runid, command, username, status, return_message, end_time) VALUES (3, 1, 'x', 'looker', 'failed', 'no such thing', now())});
	finds('failed_jobs', qr/^warn: 1 runs have failed within 24 hours, the last one of job 3: no such thing Only runs of your own role/);
	sql($node, 'REVOKE SELECT ON cron.job_run_details FROM looker, PUBLIC');
	finds('failed_jobs', qr/^skip: It could not be read: permission denied .* \(SQLSTATE 42501\)\. \/ Ask again/);
}

# What is locked or broken is skipped, and the rest is there.
my $holder = DocumentdbUpgrade::Session->new($node);
$holder->run('BEGIN; LOCK TABLE documentdb_upgrade.holds, documentdb_upgrade.checks IN ACCESS EXCLUSIVE MODE');
finds('checks', qr/^skip: It could not be read: canceling statement due to lock timeout \(SQLSTATE 55P03\)\. \/ Another session holds/, 'post');
passes('invalid_indexes', 'post');
$holder->quit;

# Attempts, which may take their time.
sql($node, q{LOAD 'documentdb_upgrade'; ALTER SYSTEM SET documentdb_upgrade.attempt_timeout = '1min'; SELECT pg_reload_conf()});
poll_until(sub { sql($node, 'SHOW documentdb_upgrade.attempt_timeout') eq '1min' }, 'the setting is there');
passes('recorded_failures');
sql($node, q{SELECT documentdb_upgrade.hold('not now')});
finds('guards', qr/^fail: \d+ guards: 1 refuse \(hold\)/, 'pre');
is(try_sql($node, 'SELECT documentdb_upgrade.finalize()')->{sqlstate}, '55000', 'refused');
poll_until(sub { row('pre', 'recorded_failures') =~ /^warn: 1 attempts failed, were refused or cancelled, and none has succeeded here\. The last one: .*The server's log is not read\./ }, 'the refusal is found');
sql($node, 'SELECT documentdb_upgrade.release()');
finds('last_attempt', qr/^fail: Attempt \d+ from 1\.0 to 1\.2 .* refused: /, 'post');
sql($node, q{LOAD 'documentdb_upgrade'; ALTER SYSTEM SET documentdb_upgrade.backup_max_age = '1min'; SELECT pg_reload_conf()});
sql($node, q{SELECT documentdb_upgrade.record_backup('old', now() - interval '1 hour')});
finds('backup', qr/^fail: /, 'pre');
sql($node, q{SELECT documentdb_upgrade.record_backup('new', now())});
passes('backup', 'pre');
my $busy = DocumentdbUpgrade::Session->new($node);
$busy->run('BEGIN; LOCK TABLE thing');
sql($node, q{ALTER SYSTEM SET documentdb_upgrade.attempt_timeout = '200ms'; ALTER SYSTEM SET documentdb_upgrade.lock_timeout = '10ms'; SELECT pg_reload_conf()});
poll_until(sub { row('pre', 'blocking_sessions') =~ /^fail: / }, 'a session in the way is found');
$busy->quit;
finds('installed', qr/^warn: Installed is 1\.0; the last upgrade was not recorded here; the binary offers 1\.2/, 'post');
finds('members_intact', qr/^skip: /, 'post');
sql($node, q{ALTER SYSTEM SET documentdb_upgrade.attempt_timeout = '1min'; ALTER SYSTEM SET documentdb_upgrade.lock_timeout = '1s'; SELECT pg_reload_conf()});
poll_until(sub { sql($node, 'SHOW documentdb_upgrade.lock_timeout') eq '1s' }, 'settings are there');
sql($node, 'SELECT documentdb_upgrade.finalize()');
passes($_, 'post') foreach qw(installed companions last_attempt members_intact recorded_failures state versions);

# After it: somebody else changes things.
sql($node, 'ALTER TABLE thing ADD mine int');
finds('members_intact', qr/^warn: 1 members are not what the last finalize left: table public\.thing \(altered\)\./, 'post');
sql($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION before; CREATE EXTENSION before VERSION '1.1'});
finds('companions', qr/^fail: Behind their targets: before\. \/ Run SELECT outcome, from_version, to_version FROM documentdb_upgrade\.finalize_to\('1\.2'\);/, 'post');
sql($node, q{UPDATE pg_extension SET extversion = '1.1' WHERE extname = 'thing'});
finds('installed', qr/^fail: Installed is 1\.1; the last upgrade was to 1\.2.* \/ Something else/, 'post');
sql($node, q{UPDATE pg_extension SET extversion = '1.2' WHERE extname = 'thing'});
write_extension($node, 'thing', '1.1');
finds('versions', qr/^fail: .* \/ Bring back a binary of 1\.2 or later\./);
finds('state', qr/^fail: schema_ahead\./);
write_extension($node, 'thing', '1.2');

# Standbys: one that is behind, and what it says itself.
$node->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $node->install_path);
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
poll_until(sub { row('post', 'standbys') =~ /^pass: 1 of 1 standbys are ready; they see 1\.2\./ }, 'the standby is seen');
is(sql($standby, q{SET ROLE looker; SELECT count(*) > 20, bool_or(detail ~ 'could not be read' AND check_name <> 'failed_jobs') FROM documentdb_upgrade.pre_upgrade_report()}), 't|f', 'the report works on a standby');
like(row('post', 'statistics', $standby), qr/^skip: A standby does not count/, 'what it cannot know it skips');
like(row('post', 'replication_lag', $standby), qr/^pass: This standby has 0 bytes to replay/, 'its lag');
sql($standby, 'SELECT pg_wal_replay_pause()');
ok($standby->poll_query_until('postgres', q{SELECT pg_get_wal_replay_pause_state() = 'paused'}), 'replay is paused');
sql($node, q{LOAD 'documentdb_upgrade'; ALTER SYSTEM SET documentdb_upgrade.max_replication_lag = '10ms'; SELECT pg_reload_conf(); INSERT INTO t VALUES (9, 9)});
poll_until(sub { row('pre', 'replication_lag') =~ /^fail: .*standby.* is .* behind/ }, 'the lag is found on the primary');
like(row('pre', 'replication_lag', $standby), qr/^warn: This standby has \d+ bytes to replay/, 'and on the standby');
finds('standbys', qr/^fail: 0 of 1 standbys are ready; .* \/ docs\/fleet\.md/);
$standby->stop('immediate');

# In a pod there is more, for people; it neither passes nor fails.
my $before = sql($node, q{SELECT count(*) FROM documentdb_upgrade.pre_upgrade_report()});
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.post_upgrade_report() WHERE status = 'manual'}), '0', 'a server in no pod has nothing that it cannot see');
$node->append_conf('postgresql.conf', q{
	documentdb_upgrade.kubernetes_namespace = 'lab'
	documentdb_upgrade.kubernetes_resource = 'it'});
{
	local $ENV{KUBERNETES_SERVICE_HOST} = '127.0.0.1';
	$node->restart;
}
my @manual = qw(operator cnpg sidecar_injector webhooks webhook_answers crds resource cluster quotas nodes pod_images sidecar_injection operator_log pod_logs chart);
foreach (['pre', @manual], ['post', grep { !/^(?:quotas|nodes)$/ } @manual])
{
	my ($report, @checks) = @$_;
	is(sql($node, "SET ROLE looker; SELECT string_agg(check_name, ' ') FROM documentdb_upgrade.${report}_upgrade_report() WHERE status = 'manual'"), "@checks", "$report: what a database cannot see");
	my $commands = sql($node, "SELECT string_agg(hint, E'\n') FROM documentdb_upgrade.${report}_upgrade_report() WHERE status = 'manual'");
	ok(run_log([ 'bash', '-n', '-c', $commands ]), "$report: the shell understands the commands");
	is(scalar(grep { !/^(?:kubectl|helm) / } split /\n/, $commands), 0, "$report: each is one");
	unlike($commands, qr/[{}\$]/, "$report: and has its names");
}
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.pre_upgrade_report() WHERE status <> 'manual'}), $before, 'the others are there as before');
is(row('post', 'pod_images'), "manual: A database cannot see whether all pods of the Cluster run the same images. Good is: IMAGES and VOLUMES are the same on every line, and have the versions that you expect."
	. " / kubectl get pods --namespace lab --selector cnpg.io/cluster=main --output 'custom-columns=POD:.metadata.name,IMAGES:.spec.containers[*].image,VOLUMES:.spec.volumes[*].image.reference'", 'with the exact command');

# Damaged pages, last of all.
my $path = $node->data_dir . '/' . sql($node, q{SELECT pg_relation_filepath('t')});
passes('checksums');
$node->stop;
open my $file, '+<:raw', $path or die "could not open $path: $!\n";
seek $file, 4000, 0;
print {$file} "\x01" x 16;
close $file;
$node->start;
$node->psql('postgres', 'SELECT * FROM t');
poll_until(sub { row('pre', 'checksums') =~ /^fail: 1 pages failed, in postgres/ }, 'a damaged page is found');

done_testing();
