# Only superusers, and whom they let, can switch the guards off.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = guarded_node('main');
sql($node, q{CREATE ROLE plain LOGIN CREATEROLE CREATEDB; CREATE ROLE trusted LOGIN; GRANT CREATE ON SCHEMA public TO plain;
	GRANT CREATE ON DATABASE postgres TO plain; GRANT SET ON PARAMETER documentdb_upgrade.enforce TO trusted});
my @attempts = (
	'SET documentdb_upgrade.enforce = off', 'SET SESSION documentdb_upgrade.enforce = warn', 'SET LOCAL documentdb_upgrade.enforce = off',
	q{SELECT set_config('documentdb_upgrade.enforce', 'off', false)},
	'ALTER ROLE plain SET documentdb_upgrade.enforce = off',
	'CREATE FUNCTION loophole() RETURNS void LANGUAGE sql SET documentdb_upgrade.enforce = off AS $$ SELECT $$',
	q{DO $$ BEGIN SET LOCAL documentdb_upgrade.enforce = off; END $$},
	q{UPDATE pg_settings SET setting = 'off' WHERE name = 'documentdb_upgrade.enforce'},
	q{SET documentdb_upgrade.extension = 'other'}, q{SET documentdb_upgrade.managed_extensions = ''});

is(try_sql($node, $_, user => 'plain')->{sqlstate}, '42501', "refused to others: $_") foreach @attempts;
{
	local $ENV{PGOPTIONS} = '-c documentdb_upgrade.enforce=off';
	my $result = try_sql($node, 'SELECT 1', user => 'plain');
	ok(!$result->{ok}, 'so is a connection that brings it along');
	like($result->{stderr}, qr/permission denied to set parameter "documentdb_upgrade\.enforce"/, 'and told why');
	is(try_sql($node, 'SHOW documentdb_upgrade.enforce')->{stdout}, 'off', 'a superuser may');
}
is(sql($node, 'SHOW documentdb_upgrade.enforce'), 'on', 'it is on by default');
is(try_sql($node, 'SET documentdb_upgrade.enforce = never')->{sqlstate}, '22023', 'a value that is none');
is(try_sql($node, 'SET documentdb_upgrade.enforce = off; SHOW documentdb_upgrade.enforce', user => 'trusted')->{stdout}, 'off',
	'a role that was granted it may set it');

# An extension that its owner may change without being a superuser.
write_extension_file($node, 'thing.control', "default_version = '1.2'\ntrusted = true\n");
passes($node, q{CREATE EXTENSION thing VERSION '1.0'}, user => 'plain');
refused($node, $_->[0], $_->[1], user => 'plain')
  foreach [ q{ALTER EXTENSION thing UPDATE TO '1.3'}, 'within_binary' ], [ 'DROP EXTENSION thing', 'drop' ], [ 'DROP OWNED BY plain', 'drop' ];
passes($node, 'ALTER EXTENSION thing UPDATE', user => 'plain');
is(versions($node), 'thing 1.2', 'it may do what can work');

done_testing();
