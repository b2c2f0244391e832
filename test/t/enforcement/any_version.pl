# PostGIS' own command writes "ANY" in place of the installed version and updates
# from there.  What counts is where it starts and ends: the version before, as the
# transaction found it, and the target.  What lies on the way and cannot be ordered
# is passed, in a finalize too.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = guarded_node('main', scripts => {
	'ANY--1.2' => "CREATE OR REPLACE FUNCTION by_any() RETURNS int LANGUAGE sql AS 'SELECT 1';", 'ANY--1.1' => '', '1.0--ANY' => '', '1.0--1.1' => '', '1.1--1.2' => '' });
install($node);
sql($node, 'CREATE EXTENSION documentdb_upgrade; CREATE DATABASE bare');
install($node, 'bare');
sql($node, 'ALTER EXTENSION before UPDATE', $_) foreach 'postgres', 'bare';
sql($node, 'TRUNCATE documentdb_upgrade.history');
sql($node, q{CREATE FUNCTION its_own_command(target text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE pg_catalog.pg_extension SET extversion = 'ANY' WHERE extname = 'thing';
	EXECUTE format('ALTER EXTENSION thing UPDATE TO %L', target);
	RETURN target;
END $$}, $_) foreach 'postgres', 'bare';

sub rows
{
	return sql($node, q{SELECT coalesce(string_agg(concat_ws(' ', extension, from_version, to_version, outcome, actor, skipped_guards), ', ' ORDER BY id), 'none')
		FROM documentdb_upgrade.history});
}

foreach my $dbname ('postgres', 'bare')
{
	passes($node, q{SELECT its_own_command('1.2')}, dbname => $dbname);
	is(versions($node, $dbname), 'before 1.2, thing 1.2, after 1.0', "$dbname: its own command updates");
	passes($node, q{SELECT its_own_command('1.2')}, dbname => $dbname);
	refused($node, q{SELECT its_own_command('1.1')}, 'not_downgrade', dbname => $dbname);
	my $result = refused($node, q{SELECT its_own_command('1.3')}, 'within_binary', dbname => $dbname);
	like($result->{message}, qr/from "1\.2" to "1\.3"/, 'in the words of where it starts');
}
is(rows(), 'thing 1.0 1.2 succeeded manual {}, thing 1.2 1.2 succeeded manual {}', 'both are recorded from where they started');

# Where nobody knows the start, the hint is one that helps.
sql($node, q{UPDATE pg_catalog.pg_extension SET extversion = 'ANY' WHERE extname = 'thing'});
my $result = refused($node, q{ALTER EXTENSION thing UPDATE TO '1.2'}, 'target_known');
like($result->{hint}, qr/SET documentdb_upgrade\.enforce = off/, 'with what works');
sql($node, q{SET documentdb_upgrade.enforce = off; ALTER EXTENSION thing UPDATE TO '1.2'});
is(versions($node), 'before 1.2, thing 1.2, after 1.0', 'it does');

# On the way of a finalize and of a plain update.
unlink(extension_file($node, "thing--1.0--1.1.sql"));
foreach my $statement (q{SELECT documentdb_upgrade.finalize_to('1.2')}, q{ALTER EXTENSION thing UPDATE TO '1.2'})
{
	sql($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION thing CASCADE; CREATE EXTENSION thing VERSION '1.0'});
	is(sql($node, q{SELECT string_agg(from_version || '--' || to_version, ' ' ORDER BY step) FROM documentdb_upgrade.plan('1.2') WHERE extension = 'thing'}),
		'1.0--ANY ANY--1.2', 'the path passes what cannot be ordered') if $statement =~ /finalize/;
	my $before = sql($node, 'SELECT documentdb_upgrade.upgrade_fingerprint()');
	write_extension_file($node, 'thing--ANY--1.2.sql', "CREATE OR REPLACE FUNCTION by_any() RETURNS int LANGUAGE sql AS 'SELECT 1';\n-- " . length($statement) . "\n");
	isnt(sql($node, 'SELECT documentdb_upgrade.upgrade_fingerprint()'), $before, 'the fingerprint depends on its script');
	$result = try_sql($node, $statement);
	ok($result->{ok}, $statement) or diag($result->{stderr});
	like(versions($node), qr/thing 1\.2/, 'and arrives');
}

# Its command of today goes there by a statement of its own, and on by another.
sql($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION thing CASCADE; CREATE EXTENSION thing VERSION '1.0'; TRUNCATE documentdb_upgrade.history});
passes($node, q{BEGIN; ALTER EXTENSION thing UPDATE TO "ANY"; ALTER EXTENSION thing UPDATE TO '1.2'; COMMIT});
is(rows(), 'thing 1.0 ANY succeeded manual {}, thing 1.0 1.2 succeeded manual {}', 'both are recorded');
write_extension_file($node, "thing--1.2--$_.sql", '') foreach 'ANY', 'END';
refused($node, q{BEGIN; ALTER EXTENSION thing UPDATE TO "ANY"; ALTER EXTENSION thing UPDATE TO '1.1'; COMMIT}, 'not_downgrade');
refused($node, q{ALTER EXTENSION thing UPDATE TO "END"}, 'target_known');

done_testing();
