# Where no script leads on, the guard says what the maintainers do and what would
# be lost; where one does, how far.  A package's version is told from the
# extension's.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});
write_extension($node, 'thing', '1.6',
	'1.5' => q{CREATE TABLE kept (id int); CREATE TABLE empty (id int); CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42';
		CREATE VIEW own AS SELECT * FROM kept; CREATE FUNCTION quiet() RETURNS int LANGUAGE sql AS 'SELECT 0'; REVOKE ALL ON FUNCTION quiet() FROM PUBLIC;},
	'1.6' => '');
sql($node, q{CREATE EXTENSION thing VERSION '1.5'; CREATE EXTENSION documentdb_upgrade});

sub guard
{
	my ($name, $target) = @_;
	return sql($node, "SELECT status, hint FROM documentdb_upgrade.preflight('$target') WHERE guard = '$name'");
}
my $stuck = q{fail|No script leads on from "1.5": install "thing--1.5--1.6.sql". Where there is none, the maintainers of such extensions have them dropped and created (history will have it): BEGIN; SET LOCAL documentdb_upgrade.enforce = off; DROP EXTENSION thing; CREATE EXTENSION thing VERSION '1.6' CASCADE; COMMIT; };

is(guard('update_path', '1.6'), $stuck . 'Nothing depends on it, it holds no data, and nobody was granted anything on it.', 'no way, and nothing to lose');
sql($node, q{INSERT INTO kept VALUES (1); CREATE VIEW theirs AS SELECT * FROM kept; CREATE TABLE mine (a int DEFAULT answer());
	CREATE FUNCTION over() RETURNS SETOF kept LANGUAGE sql AS 'SELECT * FROM kept';
	CREATE ROLE reader; GRANT SELECT ON kept TO reader; GRANT EXECUTE ON FUNCTION quiet() TO reader});
is(guard('update_path', '1.6'), $stuck . 'Of what would go with it, 3 (default value for column a of table public.mine, function public.over(), view public.theirs) depend on it, '
	. '1 (public.kept) hold its data, 2 (function public.quiet(), table public.kept) have privileges that somebody granted: save these first.', 'what would be lost');
like(sql($node, q{SELECT risk_reason FROM documentdb_upgrade.plan()}), qr/no update path.*save these first/, 'the plan says it');
like(sql($node, q{SELECT next_step FROM documentdb_upgrade.status}), qr/no update path.*save these first/, 'so does status');
like(try_sql($node, 'SELECT documentdb_upgrade.finalize()')->{hint}, qr/save these first/, 'and a finalize');

# As far as scripts lead, and no advice that was followed already.
write_extension($node, 'thing', '1.7', '1.5--1.6' => '', '1.7' => '');
is(guard('update_path', '1.7'), 'fail|Install the missing script "thing--1.6--1.7.sql", or finalize to "1.6", the highest version that can be reached.', 'half the way');
sql($node, q{SELECT documentdb_upgrade.finalize_to('1.6')});
like(guard('update_path', '1.7'), qr/^fail\|No script leads on from "1\.6": install "thing--1\.6--1\.7\.sql"\./, 'and there another word');

# The version of a package.
write_extension($node, 'thing', '1.8', '1.6--1.8' => '');
my $package = 'A package and the extension in it have versions of their own: "%s" may be that of a package, whose extension is at "%s".';
is(guard('within_binary', '1.8.3'), 'fail|' . sprintf($package, '1.8.3', '1.8') . ' Choose one of: 1.7, 1.8.', 'above all that is offered');
is(guard('target_known', '1.7.2'), 'fail|' . sprintf($package, '1.7.2', '1.7') . ' Choose one of: 1.7, 1.8.', 'and between');
is(guard('target_known', '1.7.0'), 'pass|', 'zeros are none');
is(guard('within_binary', '1.9.1'), 'fail|Roll out the newer binary first, restart PostgreSQL, and then finalize.', 'nor is a version of another line');
is(sql($node, q{SELECT reason FROM documentdb_upgrade.decide('1.8.3', '1.6', '1.8')}),
	'Version 1.8.3 is desired, but this binary offers only 1.8. A package and the extension in it have versions of their own: 1.8.3 may be that of a package, whose extension is at 1.8.',
	'what waits for it is told');
sql($node, q{SELECT documentdb_upgrade.finalize()});
is(guard('within_binary', '1.8.3'), 'fail|' . sprintf($package, '1.8.3', '1.8') . ' The files offer nothing above the installed version.', 'where it is installed');

# Without a control file, status has the words of the guard.
unlink extension_file($node, 'thing.control');
is(sql($node, 'SELECT state, next_step FROM documentdb_upgrade.status'),
	q{blocked|No control file "thing.control" is installed on this instance. Install the extension's files for this binary, or correct them.}, 'no control file');

done_testing();
