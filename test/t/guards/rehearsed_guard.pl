# Guard rehearsed: warns without a passing rehearsal of exactly these files,
# and refuses where it is made to.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	max_locks_per_transaction = 64});
my $each = q{DO $$ DECLARE t regclass; BEGIN
	FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'many'::regnamespace LOOP EXECUTE format('ALTER TABLE %s ADD COLUMN x int', t); END LOOP; END $$;};
write_extension($node, 'thing', '1.2', '1.0' => 'CREATE TABLE thing (id int); CREATE SCHEMA many;',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;', '1.1--1.2' => $each, '1.1--1.3' => 'SELECT 1 / 0;');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'});

# Status and detail of the guard, tested to be like that.
sub guard_is
{
	my ($status, $detail, $when, $target) = @_;
	$target = $target ? "'$target'" : 'NULL';
	my ($is, $says, $hint) = split /\|/, sql($node, "SELECT status, detail, hint FROM documentdb_upgrade.preflight($target) WHERE guard = 'rehearsed'");
	is($is, $status, "$when: $status");
	like($says, $detail, 'with the reason');
	return $hint;
}
sub rehearse
{
	my ($target, $scratch) = @_;
	return sql($node, sprintf q{SELECT outcome FROM documentdb_upgrade.rehearse('%s', %s)}, $target, $scratch // 'false');
}
my $strict = q{SET documentdb_upgrade.guard_severity = 'rehearsed=fail';};

like(guard_is('warn', qr/^This upgrade has not been rehearsed here\.$/, 'at first', '1.1'), qr/rehearse\('1\.1'\)/, 'the hint says how');
my $result = try_sql($node, "$strict SELECT documentdb_upgrade.finalize_to('1.1')");
is($result->{sqlstate}, '55000', 'a finalize is refused where the guard is to fail');
like($result->{message}, qr/refused by guard "rehearsed"$/, 'by it');
is(sql($node, "$strict SELECT outcome FROM documentdb_upgrade.rehearse('1.1')"), 'passed', 'a rehearsal is not');
guard_is('pass', qr/^Rehearsal \d+ passed \d+ s ago\.$/, 'after it', '1.1');
guard_is('warn', qr/has not been rehearsed/, 'for another target', '1.2');

# Another file, even of the same length.
write_extension($node, 'thing', '1.2', '1.0--1.1' => 'ALTER TABLE thing ADD two int;');
guard_is('warn', qr/^Rehearsal \d+, \d+ s ago, was of other files or versions\.$/, 'with another script', '1.1');
is(rehearse('1.1', 'true'), 'passed', 'one in a throw-away database');
guard_is('pass', qr/ passed \d+ s ago, in a database without data\.$/, 'counts, and says so', '1.1');
sql($node, q{INSERT INTO thing VALUES (1)});
write_extension($node, 'thing', '1.2', '1.0--1.1' => 'ALTER TABLE thing ADD two int; SELECT 1 / (1 - count(*)) FROM thing;');
is(rehearse('1.1', 'true'), 'passed', 'without data a script passes');
is(sql($node, q{SELECT risk_reason LIKE 'Rehearsal%' FROM documentdb_upgrade.plan('1.1')}), 'f', 'which is no sign of its risk here') ;
is(rehearse('1.1'), 'failed', 'that fails over them');
like(guard_is('warn', qr/^Rehearsal \d+, \d+ s ago, did not pass: division by zero\.$/, 'then', '1.1'), qr/rehearsal_report\(\d+\)/, 'and names the report');
sql($node, 'TRUNCATE thing');
write_extension($node, 'thing', '1.2', '1.0--1.1' => 'ALTER TABLE thing ADD two int;');
is(rehearse('1.1'), 'passed', 'rehearsed again');
ok(try_sql($node, "$strict SELECT documentdb_upgrade.finalize_to('1.1')")->{ok}, 'the finalize passes');
is(sql($node, q{SELECT status FROM documentdb_upgrade.preflight('1.1') WHERE guard = 'rehearsed'}), 'skip', 'and then there is nothing to rehearse');

# Locks: what was counted.
sub needed
{
	return sql($node, q{SELECT substring(detail, '(\d+) lock entries') FROM documentdb_upgrade.preflight('1.2') WHERE guard = 'lock_capacity'});
}
sub make_tables { return sql($node, "SELECT format('CREATE TABLE many.d_%s (id int)', i) FROM generate_series($_[0], $_[1]) i \\gexec") }
make_tables(1, 20);
is(rehearse('1.2'), 'passed', 'a step that touches 20 tables');
my $counted = sql($node, 'SELECT lock_entries FROM documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 1');
cmp_ok($counted, '>=', 20, 'has as many locks');
is(needed(), $counted, 'the guard counts on them');
like(sql($node, q{SELECT detail FROM documentdb_upgrade.preflight('1.2') WHERE guard = 'lock_capacity'}), qr/^Rehearsal \d+ counted \d+ lock entries/, 'and says from where');
make_tables(21, 300);
sql($node, q{SELECT documentdb_upgrade.rehearse('1.2')});
cmp_ok(needed(), '>=', 300, 'tables that have come since are counted by the next');

is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome <> 'refused'}), '1', 'rehearsals are no history');
done_testing();
