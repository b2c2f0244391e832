# How long a binary has been in use is counted over restarts, and another
# binary begins anew.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'soaked'
	documentdb_upgrade.soak_time = '1h'});
write_extension($node, 'soaked', '1.1',
	'1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;',
	'1.1--1.2' => 'ALTER TABLE thing ADD two int;');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION soaked VERSION '1.0'});

my $guard = q{SELECT status, detail FROM documentdb_upgrade.preflight() WHERE guard = 'soak_time'};
my $seen = q{SELECT string_agg(version || ' ' || first_seen, ',' ORDER BY first_seen) FROM documentdb_upgrade_internal.binaries_seen};

my $result = try_sql($node, 'SELECT documentdb_upgrade.finalize()');
is($result->{sqlstate}, '55000', 'a binary that was just put in place is refused');
like($result->{detail}, qr/its soak time begins now/, 'and its time begins');
$result = try_sql($node, 'SELECT documentdb_upgrade.finalize()');
like($result->{detail}, qr/was first seen \d+ s ago/, 'with the refusal itself, whoever else looks or not');

sql($node, $guard);
like(sql($node, $guard), qr/^fail\|This binary was first seen \d+ s ago, the soak time is 60 min/, 'preflight counts on');
my $first = sql($node, $seen);
like($first, qr/^1\.1 [^,]*$/, 'one binary was seen');

$node->restart;
sql($node, $guard);
is(sql($node, $seen), $first, 'a restart does not begin anew');

# As if an hour had passed before another restart.
sql($node, q{UPDATE documentdb_upgrade_internal.binaries_seen SET first_seen = first_seen - interval '61 min'});
$node->restart;
like(sql($node, $guard), qr/^pass\|This binary was first seen 61 min ago/, 'time before the restart counts');

write_extension($node, 'soaked', '1.2');
like(sql($node, $guard), qr/^fail\|/, 'another binary begins anew');
is(sql($node, q{SELECT documentdb_upgrade.can_finalize()}), 'f', 'for whatever target');
like(sql($node, $seen), qr/^1\.1 [^,]*,1\.2 [^,]*$/, 'and the first is not forgotten');
write_extension($node, 'soaked', '1.1');
like(sql($node, $guard), qr/^pass\|/, 'should it come back');
ok(try_sql($node, q{SELECT documentdb_upgrade.finalize()})->{ok}, 'then finalize runs');

# Who looks in a transaction that goes on keeps nobody else from looking.
my $looker = DocumentdbUpgrade::Session->new($node);
sql($node, 'TRUNCATE documentdb_upgrade_internal.binaries_seen');
like($looker->run("BEGIN; $guard")->{stdout}, qr/^fail\|/, 'a look in an open transaction');
like(try_sql($node, "SET lock_timeout = '1ms'; $guard")->{stdout}, qr/^fail\|/, 'is in nobody\'s way');
$looker->run('ROLLBACK');
is(sql($node, $seen), '', 'it has noted the binary for both');
sql($node, $guard);
like(sql($node, $seen), qr/^1\.1 [^,]*$/, 'which the next one does, since it was rolled back');
$looker->quit;

# A window holds over restarts as the setting does.
write_extension($node, 'soaked', '1.2');
$node->append_conf('postgresql.conf', q{
	documentdb_upgrade.soak_time = 0
	documentdb_upgrade.maintenance_window = 'Mon 00:00-00:01 UTC; Tue 00:00-00:01 UTC'});
$node->restart;
my $inside = sql($node, q{SELECT extract(isodow FROM now() AT TIME ZONE 'UTC') IN (1, 2)
	AND (now() AT TIME ZONE 'UTC')::time < '00:02'});
SKIP:
{
	skip 'it is within the window just now', 2 if $inside eq 't';
	is(sql($node, q{SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'window'}), 'fail', 'outside its window nothing runs');
	ok(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2', skip_guards => '{window}')})->{ok}, 'unless told to');
}

done_testing();
