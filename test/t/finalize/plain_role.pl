# A role with EXECUTE and nothing else finalizes: the scripts run as the
# extension's owner, untouched by the caller's settings and names, and the
# caller stays what it was.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => "documentdb_upgrade.extension = 'served'");

# The string constant ends where it should only with standard strings.
my $script = q{
CREATE TABLE seen_%s AS
	SELECT current_user::text AS who, current_setting('search_path') AS path,
	       current_setting('DateStyle') AS dates, '\\'::text AS backslash;
};
write_extension($node, 'served', '1.2',
	'1.0' => 'CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;',
	map { my ($to) = /--1\.(\d)/; ($_ => sprintf($script, $to)) } '1.0--1.1', '1.1--1.2');

sql($node, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE ROLE chief SUPERUSER LOGIN;
	CREATE ROLE operator LOGIN;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE SCHEMA trap;
	GRANT ALL ON SCHEMA trap TO operator;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to TO operator;
	GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_finalize_to TO operator;
	CREATE FUNCTION public.fine() RETURNS boolean LANGUAGE sql AS 'SELECT true';
	INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('fine', 'pre', 'public.fine()');
});
ok(try_sql($node, 'CREATE EXTENSION served VERSION \'1.0\'', user => 'chief')->{ok}, 'a superuser installs');

is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1')}, user => 'stranger')->{sqlstate},
	'42501', 'a role without EXECUTE is refused');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1')}, user => 'watcher')->{sqlstate},
	'42501', 'so is one that may only look');
is(try_sql($node, q{SELECT documentdb_upgrade.can_finalize('1.1')}, user => 'watcher')->{stdout},
	't', 'which gets a true answer');

# Names and settings of the caller that would catch careless code.
my $session = DocumentdbUpgrade::Session->new($node, user => 'operator');
$session->run(q{
	CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE plpgsql
		AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
	CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
	CREATE FUNCTION trap.quote_literal(text) RETURNS text LANGUAGE plpgsql
		AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
	CREATE TEMP TABLE pg_extension (extname name, extversion text);
	CREATE TEMP TABLE pg_class (relname name);
	SET search_path = pg_temp, trap, pg_catalog, public;
	SET standard_conforming_strings = off;
	SET DateStyle = 'German';
	SET work_mem = '64kB'});
my $result = $session->run(q{
	SELECT from_version, to_version, outcome, role_name, current_user, current_setting('search_path'),
		current_setting('DateStyle'), current_setting('standard_conforming_strings')
	FROM documentdb_upgrade.finalize_to('1.1')});
is($result->{stdout}, '1.0|1.1|succeeded|operator|operator|pg_temp, trap, pg_catalog, public|German, DMY|off',
	'EXECUTE is enough, and the caller has its role and settings again') or diag($result->{stderr});
is(sql($node, 'SELECT * FROM public.seen_1'), 'chief|public, pg_temp|ISO, MDY|\\',
	'the script ran as the owner with pinned settings');
is(sql($node, q{SELECT proowner::regrole || ' ' || (SELECT relowner::regrole FROM pg_class WHERE relname = 'seen_1')
		FROM pg_proc WHERE proname = 'answer'}),
	'chief chief', 'new objects belong to the owner of the old ones');
is($session->run('SELECT count(*) FROM documentdb_upgrade.history')->{sqlstate},
	'42501', 'EXECUTE gives no look at the history');

# After an error the caller must be itself again too.
is($session->run(q{SELECT documentdb_upgrade.finalize_to('1.9')})->{sqlstate}, '55000', 'a refusal reaches the caller');
is($session->run(q{SELECT current_user, current_setting('DateStyle')})->{stdout},
	'operator|German, DMY', 'and leaves role and settings alone');

$result = $session->run(q{CALL documentdb_upgrade.run_finalize_to('1.2')});
ok($result->{ok}, 'the procedure does it too') or diag($result->{stderr});
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.2', 'to the version asked for');
$session->quit;

# An owner that may no longer run the scripts.
sql($node, 'CREATE DATABASE other');
sql($node, 'CREATE EXTENSION documentdb_upgrade', 'other');
try_sql($node, q{CREATE EXTENSION served VERSION '1.0'}, user => 'chief', dbname => 'other');
sql($node, 'ALTER ROLE chief NOSUPERUSER');
sql($node, 'GRANT USAGE ON SCHEMA documentdb_upgrade TO operator; GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to TO operator', 'other');
$result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1')}, dbname => 'other', user => 'operator');
is($result->{sqlstate}, '42501', 'an owner that is no superuser any more is refused beforehand');
like($result->{message}, qr/owner_can_update/, 'by the guard for that');
is(sql($node, 'SELECT documentdb_upgrade.schema_version()', 'other'), '1.0', 'and nothing happens');

done_testing();
