# Rehearsals on the real DocumentDB: what they say of each step is what the
# finalize then does, locks and privileges included; they leave no trace in any
# catalogue, they foresee what data stand in the way of, and they say where
# there can be no second database.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Objects;
use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use Test::More;

my ($first, @steps) = documentdb_versions();
my $node = documentdb_node('main', conf => q{
	documentdb.enableDataTableWithoutCreationTime = off
	cron.launch_active_jobs = off
	autovacuum = off
});
install_documentdb($node, $first);
works($node, 'before', 'DocumentDB works before');

sub rehearsed
{
	my $target = shift;
	return split /\|/, sql($node, "SELECT id, outcome, steps_run, lock_entries FROM documentdb_upgrade.rehearse('$target')");
}

my $digests = catalogue_digests($node);
my (undef, $outcome, $nsteps) = rehearsed(BINARY);
is($outcome, 'passed', 'the whole way passes');
cmp_ok($nsteps, '>=', scalar @steps, 'every step of it runs');
is(catalogue_digests($node), $digests, 'no catalogue shows it') or diag("before $digests\nafter " . catalogue_digests($node));
is(installed($node), "documentdb $first, documentdb_core $first", 'the schema is as it was');
is(gate($node), $first, 'and so is the version in force');
keeps($node, 'before', 'and what was written');
like(sql($node, q{SELECT documentdb_upgrade.rehearsal_report()}), qr/^  sequence cron\.jobid_seq from \d+ to \d+$/m,
	'the report names the sequence that has advanced');

# Plain ALTER and ROLLBACK against it, the companion first.
my $core = core_version(BINARY);
my $plain = seconds(sub { sql($node, "BEGIN; ALTER EXTENSION documentdb_core UPDATE TO '$core'; ALTER EXTENSION documentdb UPDATE; ROLLBACK") });
my $ours = seconds(sub { rehearsed(BINARY) });
measured('rehearsing the whole way: %.0f ms, plain ALTER and ROLLBACK %.0f ms', 1000 * $ours, 1000 * $plain);

foreach my $step (@steps)
{
	my ($id, $passed) = rehearsed($step);
	is($passed, 'passed', "rehearsing the step to $step passes");
	my ($before, $privileges) = (objects_of($node), privileges_of($node));
	my $locks = locks_of($node, "SELECT FROM documentdb_upgrade.finalize_to('$step')");
	is(installed($node), "documentdb $step, documentdb_core " . core_version($step), 'as the finalize does');
	my $said = predicted($node, $id);
	my $fact = compare_objects($before, objects_of($node), $said->{recreated});

	foreach my $action (qw(added removed changed))
	{
		is_deeply($said->{$action}, $fact->{$action}, "what it has $action was foretold: " . @{ $fact->{$action} });
	}
	my $changes = compare_privileges($privileges, privileges_of($node));
	is_deeply(predicted_privileges($node, $id), $changes, 'what it grants and revokes too: ' . join ', ', @$changes);

	# The post-check draws numbers from sequences; that is no step's doing.
	$locks = [ grep { !/^documentdb_api_catalog\.\w+_seq RowExclusiveLock$/ } @$locks ];
	is_deeply([ predicted_locks($node, $id) ], $locks, "and what it locks: @$locks");
}
works($node, 'after', 'DocumentDB works after');
remove_documentdb($node);

# Collections of the newest library on an old schema.
sql($node, 'ALTER SYSTEM SET documentdb.enableDataTableWithoutCreationTime = on');
$node->reload;
install_documentdb($node, '0.101-0');
sql($node, q{SELECT documentdb_api.create_collection('db', 'in_the_way')});
my ($state, $message, $script) = split /\|/, sql($node, q{
	SELECT sqlstate, message, script FROM documentdb_upgrade.rehearse('0.102-0')});
is($state, '42703', 'a step that the data cannot take fails in the rehearsal');
like($message, qr/^column "creation_time" of relation "documents_\d+" does not exist$/, 'as it would in earnest');
like($script, qr{/documentdb--0\.101-0--0\.102-0\.sql$}, 'with its script');

my $scratch = try_sql($node, 'SELECT documentdb_upgrade.rehearse(scratch => true)');
is($scratch->{sqlstate}, '0A000', 'pg_cron lives in one database only');
like($scratch->{hint}, qr/Rehearse in place/, 'so it has to be in place');
is(sql($node, q{SELECT count(*) FROM pg_database WHERE datname LIKE 'documentdb_upgrade_scratch%'}), '0', 'and no database is left behind');

done_testing();
