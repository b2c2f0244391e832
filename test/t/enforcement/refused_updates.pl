# Whoever updates an extension of the managed set, and however, meets the hard
# guards; what is judgement only warns.  Companions go singly, in order.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = guarded_node('main');
install($node);
sql($node, 'CREATE EXTENSION documentdb_upgrade');

# The main extension, directly.
refused($node, q{ALTER EXTENSION thing UPDATE TO '1.3'}, 'within_binary');
refused($node, q{ALTER EXTENSION thing UPDATE TO '0.9'}, 'not_downgrade');
refused($node, q{ALTER EXTENSION thing UPDATE TO 'ANY'}, 'target_known');
like(refused($node, q{ALTER EXTENSION thing UPDATE TO '1.1.5'}, 'target_known')->{hint},
	qr/ may be that of a package, whose extension is at "1\.1"\. Choose one of: 1\.0\.5, 1\.1, 1\.2\.$/, 'the hint tells what there is');
is(refused($node, q{ALTER EXTENSION thing UPDATE TO '1.1.0'}, 'target_known')->{hint}, 'Write it as "1.1".', 'or how it is spelled');
refused($node, q{ALTER EXTENSION thing UPDATE TO '1.0.5'}, 'update_path');

# Within something else.
refused($node, q{DO $$ BEGIN ALTER EXTENSION thing UPDATE TO '1.3'; END $$}, 'within_binary');
refused($node, q{DO $$ BEGIN EXECUTE 'ALTER EXTENSION thing UPDATE TO ' || quote_literal('1.3'); END $$}, 'within_binary');
sql($node, q{CREATE FUNCTION go() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ ALTER EXTENSION thing UPDATE TO '1.3' $$});
refused($node, 'SELECT go()', 'within_binary');
refused($node, q{BEGIN; ALTER EXTENSION thing UPDATE TO '1.3'; COMMIT}, 'within_binary');

# An error that is caught leaves everything in place.
sql($node, q{
	DO $$ BEGIN ALTER EXTENSION thing UPDATE TO '1.3'; EXCEPTION WHEN OTHERS THEN NULL; END $$;
	DO $$ BEGIN DROP EXTENSION thing; EXCEPTION WHEN OTHERS THEN NULL; END $$});
refused($node, q{ALTER EXTENSION thing UPDATE TO '1.3'}, 'within_binary');
refused($node, 'DROP EXTENSION thing', 'drop');
my $session = DocumentdbUpgrade::Session->new($node);
$session->run('SET search_path = pg_temp; BEGIN; SAVEPOINT a');
$session->run(q{ALTER EXTENSION thing UPDATE TO '1.0.5'});
$session->run('ROLLBACK TO a');
is($session->run(q{SELECT current_user, current_setting('search_path')})->{stdout}, 'postgres|pg_temp', 'role and settings are the caller\'s');
ok($session->run('RESET search_path')->{ok}, 'the transaction goes on');
ok($session->run(q{ALTER EXTENSION before UPDATE TO '1.1'})->{ok}, 'and can update');
$session->run('ROLLBACK');
$session->quit;

# What is rehearsed is the update of the main extension, to where it goes now.
my $warned = try_sql($node, q{SET documentdb_upgrade.guard_severity = '';
	BEGIN; ALTER EXTENSION before UPDATE; ALTER EXTENSION thing UPDATE TO '1.1'; ALTER EXTENSION after UPDATE TO '1.1'; ROLLBACK});
is(join(', ', $warned->{stderr} =~ /extension "(\w+)" is updated .* although guard "rehearsed" warns/g), 'thing', 'the main extension is to be rehearsed, not its companions');
like($warned->{stderr}, qr/HINT:  Try it, .*SELECT outcome, message FROM documentdb_upgrade\.rehearse\('1\.1'\);/, 'to the target of the statement');

# Companions: the one that comes first may go first, the one that comes after may not.
like(refused($node, q{ALTER EXTENSION after UPDATE}, 'companions_aligned')->{hint}, qr/"thing" first/, 'the hint tells the order');
warned($node, q{BEGIN; ALTER EXTENSION thing UPDATE TO '1.1'; ROLLBACK}, qr/extension "thing" is updated to "1\.1" before its companion "before"/);
refused($node, q{ALTER EXTENSION before UPDATE TO '1.3'}, 'within_binary');
passes($node, q{ALTER EXTENSION before UPDATE TO '1.1'});
passes($node, q{ALTER EXTENSION thing UPDATE TO '1.1'});
refused($node, q{ALTER EXTENSION after UPDATE}, 'companions_aligned');
passes($node, q{ALTER EXTENSION after UPDATE TO '1.1'});
refused($node, q{ALTER EXTENSION thing UPDATE TO '1.0'}, 'not_downgrade');

# A judgement does not stop anybody.
sql($node, q{SELECT documentdb_upgrade.hold('tomorrow')});
warned($node, q{ALTER EXTENSION before UPDATE}, qr/extension "before" is updated from "1\.1" to "1\.2" although guard "hold" fails/);
warned($node, q{ALTER EXTENSION thing UPDATE}, qr/extension "thing" is updated from "1\.1" to "1\.2" although guard "hold" fails/);
is(versions($node), 'before 1.2, thing 1.2, after 1.1', 'both are done');
passes($node, 'ALTER EXTENSION thing UPDATE');
sql($node, 'SELECT documentdb_upgrade.release()');

# What is no update.
passes($node, $_)
  foreach 'CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'ALTER EXTENSION thing ADD FUNCTION mine()',
  'ALTER EXTENSION thing DROP FUNCTION mine()', q{COMMENT ON EXTENSION thing IS 'mine'};

# A binary that went back.
write_extension_file($node, 'thing.control', "default_version = '1.1'\nrequires = 'base'\n");
refused($node, 'ALTER EXTENSION thing UPDATE', 'not_downgrade');
unlink extension_file($node, 'thing.control');
refused($node, 'ALTER EXTENSION thing UPDATE', 'target_known');

done_testing();
