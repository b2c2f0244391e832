# The hard guards hold in databases without our extension too; dump and restore
# are not hindered, and pg_restore --clean has its way.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('main');
sql($node, 'CREATE EXTENSION documentdb_upgrade; CREATE DATABASE bare');
install($node, 'bare');
my @there = (dbname => 'bare');

refused($node, @$_, @there)
  foreach [ q{ALTER EXTENSION thing UPDATE TO '1.3'}, 'within_binary' ],
  [ q{ALTER EXTENSION thing UPDATE TO '1.1.5'}, 'target_known' ],
  [ q{ALTER EXTENSION thing UPDATE TO '1.0.5'}, 'not_downgrade' ],    # on its way
  [ 'ALTER EXTENSION after UPDATE', 'companions_aligned' ],
  [ 'DROP EXTENSION thing', 'drop' ], [ 'DROP EXTENSION base CASCADE', 'drop' ],
  [ 'DROP SCHEMA public CASCADE', 'drop' ];
is(sql($node, q{SELECT count(*) FROM pg_class WHERE relname = 'zigzag'}, 'bare'), '0', 'no script has left anything');
sql($node, q{SELECT documentdb_upgrade.hold('tomorrow')});
passes($node, 'ALTER EXTENSION thing UPDATE', @there);
passes($node, 'ALTER EXTENSION after UPDATE', @there);
is(versions($node, 'bare'), 'before 1.0, thing 1.2, after 1.2', 'what can work is done');
is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.history'), '0', 'and is nothing to the history of another database');

# The control file may be behind its scripts.
write_extension_file($node, 'thing--1.2--1.3.sql', '');
write_extension_file($node, 'thing--1.3--1.2.sql', '');
refused($node, q{ALTER EXTENSION thing UPDATE TO '1.4'}, 'within_binary', @there);
passes($node, q{ALTER EXTENSION thing UPDATE TO '1.3'}, @there);
warned($node, q{SET documentdb_upgrade.enforce = warn; BEGIN; ALTER EXTENSION thing UPDATE TO '1.2'; ROLLBACK},
	qr/extension "thing" is updated from "1\.3" to "1\.2" against guard "not_downgrade"/, @there);
refused($node, q{ALTER EXTENSION thing UPDATE TO '1.2'}, 'not_downgrade', @there);

# Dump and restore: into an empty database, over what is there, and cleaning first.
sub run_ok
{
	my ($name, @command) = @_;
	return command_ok([ @command, '-p', $node->port, '-h', $node->host ], $name);
}
my $dump = $node->basedir . '/bare.dump';
sql($node, 'CREATE DATABASE copy; CREATE DATABASE filled; CREATE TABLE mine AS SELECT 1 AS one', 'bare');
run_ok('a dump', 'pg_dump', '-Fc', '-f', $dump, 'bare');
run_ok('is restored', 'pg_restore', '-e', '-d', 'copy', $dump);
is(versions($node, 'copy'), 'before 1.2, thing 1.2, after 1.2', 'at the versions of this binary');
my @clean = ('pg_restore', '-e', '--clean', '--if-exists', '-d', 'copy', $dump, '-p', $node->port, '-h', $node->host);
command_fails_like(\@clean, qr/cannot drop managed extension/, 'one that cleans first is told');
{
	local $ENV{PGOPTIONS} = '-c documentdb_upgrade.enforce=off';
	command_ok(\@clean, 'and passes with the guards off');
}
is(sql($node, 'SELECT * FROM mine', 'copy'), '1', 'everything is there');
passes($node, 'DROP DATABASE copy');

done_testing();
