# The lock table against the facts: 2,000 collections fit, and 8,000 at default
# settings end the upgrade at its budget, while other sessions notice nothing;
# with the number that a rehearsal asks for they fit too.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = documentdb_node('main', conf => default_lock_table() . q{
	documentdb.enableDataTableWithoutCreationTime = off
	cron.launch_active_jobs = off
});
install_documentdb($node, '0.101-0');
works($node, 'before', 'DocumentDB works before');

# The guard's row: status, and how many locks it expects.
sub guard
{
	my ($status, $detail) = split /\|/, sql($node, q{
		SELECT status, detail FROM documentdb_upgrade.preflight('0.102-1') WHERE guard = 'lock_capacity'});
	note $detail // 'there is no such guard';
	my ($needed) = ($detail // '') =~ /(\d+) lock entries/;
	return ($status // '', $needed // 0);
}

# A rehearsal counts what the update takes.
sub check_count
{
	my ($collections) = @_;
	is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse('0.102-1')}), 'passed', "$collections collections: a rehearsal passes");
	my ($status, $counted) = guard();
	my $locks = locks_of_update($node, '0.102-1');
	is($status, 'pass', "$collections collections fit");
	measured('%d collections: %d lock entries counted, %d taken', $collections, $counted, $locks);
	cmp_ok($counted, '>=', $locks * 0.99, 'the count is not too low');
	cmp_ok($counted, '<=', $locks * 1.05, 'nor too high');
	return;
}

create_collections($node, 1, 2000);
is((guard())[0], 'pass', 'nothing is refused for want of a number');
check_count(2000);

measured('creating 6000 collections more: %.1f s', seconds(sub { create_collections($node, 2001, 8000) }));

# What the scripts would change; pg_dump cannot lock so many tables either.
sub description
{
	return sql($node, q{
		SELECT extname, extversion, (SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND refobjid = e.oid)
		FROM pg_extension e ORDER BY 1;
		SELECT count(*), sum(hashtext(conname)) FROM pg_constraint;
		SELECT count(*) FROM pg_attrdef;
		SELECT count(*), sum(hashtext(prosrc)) FROM pg_proc;
		SELECT count(*), sum(hashtext(relname)) FROM pg_class});
}
my $before = description();

# Nobody has rehearsed with these: the finalize ends itself.
sql($node, 'TRUNCATE documentdb_upgrade.rehearsals');
my $result;
my $took = seconds(sub { $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('0.102-1')}) });
is($result->{sqlstate}, '53400', 'a finalize ends itself');
like($result->{message}, qr/needs more than \d+ entries of the shared lock table/, 'at its budget');
like($result->{hint}, qr/max_locks_per_transaction/, 'the hint names the setting to raise');
measured('8000 collections: it ended itself after %.1f ms', $took * 1000);
is(description(), $before, 'nothing is left behind');
is(sql($node, q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('0.102-1')}), 'failed|53400', 'so does a rehearsal');
is((guard())[0], 'fail', 'then the guard knows');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('0.102-1', skip_guards => '{lock_capacity}')})->{sqlstate}, '53400', 'who overrides it gets no further');
is(description(), $before, 'and leaves nothing behind either');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/out of shared memory/, 'no session has run out of entries');

# Enough for three entries a collection and what there is beside.
my $enough = 256;
sql($node, "ALTER SYSTEM SET max_locks_per_transaction = $enough");
$node->restart;
check_count(8000);
measured('8000 collections: finalize to 0.102-1 takes %.1f ms', finalized($node, '0.102-1', 'and the finalize succeeds'));
finalized($node, BINARY, 'as does the rest');
keeps($node, 'before', 'what was written before is there');
works($node, 'after', 'DocumentDB works after');

done_testing();
