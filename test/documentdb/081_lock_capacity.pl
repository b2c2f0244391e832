# Guard lock_capacity against the facts: its estimate for 2,000 and 8,000
# collections, and that 8,000 at default settings are refused before anything
# starts, with a hint that works.
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

# The guard's row: status, and the first number of its detail, the locks that
# it expects.
sub guard
{
	my ($status, $detail) = split /\|/, sql($node, q{
		SELECT status, detail FROM documentdb_upgrade.preflight('0.102-1') WHERE guard = 'lock_capacity'});
	note $detail // 'there is no such guard';
	my ($estimate) = ($detail // '') =~ /([\d,]*\d)/;
	return ($status // '', ($estimate // 0) =~ s/,//gr);
}

# How far the estimate may be from what is taken: never below, and at most this
# times above.
use constant TIMES => 3;

sub check_estimate
{
	my ($collections, $estimate, $locks) = @_;
	measured('%d collections: %d lock entries estimated, %d taken', $collections, $estimate, $locks);
	cmp_ok($estimate, '>=', $locks, "$collections collections: the estimate is not too low");
	cmp_ok($estimate, '<=', TIMES * $locks, 'nor much too high');
	return;
}

create_collections($node, 1, 2000);
my ($status, $estimate) = guard();
is($status, 'pass', '2,000 collections fit');
check_estimate(2000, $estimate, locks_of_update($node, '0.102-1'));

measured('creating 6000 collections more: %.1f s', seconds(sub { create_collections($node, 2001, 8000) }));
($status, $estimate) = guard();
is($status, 'fail', '8,000 do not');

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
my $result;
my $took = seconds(sub { $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('0.102-1')}) });
is($result->{sqlstate}, '55000', 'a finalize is refused');
like($result->{message}, qr/refused by guard "lock_capacity"/, 'by that guard');
like($result->{hint}, qr/max_locks_per_transaction/, 'the hint names the setting to raise');
cmp_ok($took, '<', 2, 'at once');
is(sql($node, q{SELECT outcome, refused_by FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}),
	'refused|{lock_capacity}', 'history says so');
is(sql($node, q{SELECT outcome, message ~ 'lock_capacity' FROM documentdb_upgrade.rehearse('0.102-1')}), 'refused|t',
	'nor is a rehearsal let fill the lock table');

# The refusal is right.
$result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('0.102-1', skip_guards => '{lock_capacity}')});
is($result->{sqlstate}, '53200', 'who overrides it runs out of shared memory');
is(description(), $before, 'nothing is left behind');

# The hint is right.
my ($enough) = ($result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('0.102-1')}))->{hint} =~ /max_locks_per_transaction\D*(\d+)/;
ok($enough, 'the hint says how much is enough') or die "the hint says: $result->{hint}\n";
sql($node, "ALTER SYSTEM SET max_locks_per_transaction = $enough");
$node->restart;
is((guard())[0], 'pass', "with max_locks_per_transaction = $enough the guard passes");
check_estimate(8000, $estimate, locks_of_update($node, '0.102-1'));
measured('8000 collections: finalize to 0.102-1 takes %.1f ms', finalized($node, '0.102-1', 'and the finalize succeeds'));
finalized($node, BINARY, 'as does the rest');
keeps($node, 'before', 'what was written before is there');
works($node, 'after', 'DocumentDB works after');

done_testing();
