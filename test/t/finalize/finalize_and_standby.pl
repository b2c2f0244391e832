# On a standby everything that looks works and nothing changes; what the
# primary commits arrives, and after a promotion the rest can be finalized.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = new_node('primary', own_installation => 1, streaming => 1, conf => q{
	documentdb_upgrade.extension = 'copied'
	documentdb_upgrade.ignore_standbys = 'standby'
	hot_standby_feedback = on});
write_extension($primary, 'copied', '1.2',
	'1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;',
	'1.1--1.2' => 'ALTER TABLE thing ADD two int;');
sql($primary, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION copied VERSION '1.0'});

$primary->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $primary->install_path);
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

# What must be the same on both.
foreach my $query (
	'SELECT documentdb_upgrade.schema_version()',
	'SELECT documentdb_upgrade.binary_version()',
	'SELECT documentdb_upgrade.loaded_version() IS NULL',
	'SELECT documentdb_upgrade.upgrade_fingerprint()',
	'SELECT * FROM documentdb_upgrade.versions',
	'SELECT * FROM documentdb_upgrade.plan()',
	'SELECT documentdb_upgrade.plan_sql()')
{
	is(sql($standby, $query), sql($primary, $query), $query);
}
is(sql($standby, q{SELECT role, state, installed_version, binary_version, blocked_by FROM documentdb_upgrade.status}),
	'standby|standby|1.0|1.2|{not_in_recovery}', 'status says that this is a standby');
is(sql($standby, q{SELECT string_agg(guard, ',') FROM documentdb_upgrade.preflight() WHERE status = 'fail'}),
	'not_in_recovery', 'preflight fails for that alone');
is(sql($standby, 'SELECT documentdb_upgrade.can_finalize()'), 'f', 'can_finalize says no');
is(sql($standby, q{SELECT documentdb_upgrade.support_bundle() -> 'status' ->> 'role'}), 'standby', 'support_bundle works');

foreach my $statement (
	'SELECT documentdb_upgrade.finalize()',
	q{SELECT documentdb_upgrade.finalize_to('1.1')},
	q{CALL documentdb_upgrade.run_finalize_to('1.1')},
	q{SELECT documentdb_upgrade.hold('here')},
	'SELECT documentdb_upgrade.release()',
	q{SELECT documentdb_upgrade.record_backup('b', now())})
{
	my $result = try_sql($standby, $statement);
	is($result->{sqlstate}, '25006', "refused: $statement");
	like($result->{message}, qr/on a standby/, 'for what it is') if $statement =~ /finalize/;
}

ok($primary->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'}), 'it streams');
is(sql($primary, q{SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'standby_queries'}),
	'warn', 'the primary warns that its locks will be felt there');
is(sql($primary, q{SELECT to_version, restore_timeline FROM documentdb_upgrade.finalize_to('1.1')}), '1.1|1', 'the primary finalizes');
$primary->wait_for_catchup($standby);
is(sql($standby, 'SELECT documentdb_upgrade.schema_version()'), '1.1', 'and the standby follows');
is(sql($standby, 'SELECT to_version, outcome FROM documentdb_upgrade.history'), '1.1|succeeded', 'with the history');

$primary->stop;
$standby->promote;
is(sql($standby, q{SELECT to_version, restore_timeline FROM documentdb_upgrade.finalize()}), '1.2|2', 'a promoted standby finalizes the rest');
is(sql($standby, q{SELECT role, state FROM documentdb_upgrade.status}), 'primary|up_to_date', 'as the primary that it is');

done_testing();
