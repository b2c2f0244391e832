# What scripts say is worked out once for all sessions: one that changes is seen
# at once all the same, what depends on the database is asked each time, and
# more scripts than there is room for are no trouble.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

use constant SCRIPTS => 90;

my $risks = q{SELECT string_agg(risk, ', ') FROM documentdb_upgrade.plan()};
my $locks = q{SELECT string_agg(array_to_string(locks, ','), ' ' ORDER BY step) FROM documentdb_upgrade.plan()};

# Too much altogether: the names fill a quarter of the room with each ten scripts.
sub many_scripts
{
	my $long = 'x' x 50;
	my %scripts = ('1.0' => join "\n", map { "CREATE TABLE t$_ (id int);" } 1 .. SCRIPTS);

	foreach my $i (1 .. SCRIPTS)
	{
		$scripts{sprintf '1.%d--1.%d', $i - 1, $i} = "ALTER TABLE t$i SET (fillfactor = 90);\n"
		  . join "\n", map { "DROP FUNCTION IF EXISTS nowhere.${long}_${i}_$_(int);" } 1 .. 300;
	}
	return %scripts;
}

foreach my $preload ('documentdb_upgrade', '')
{
	my $how = $preload ? 'preloaded' : 'not preloaded';
	my $node = new_node($preload ? 'preloaded' : 'plain', own_installation => 1, preload => $preload,
		conf => "documentdb_upgrade.extension = 'thing'\n");
	write_extension($node, 'thing', '1.1', '1.0' => 'CREATE TABLE thing (id int);', '1.0--1.1' => "INSERT INTO thing SELECT own_number(1);\n");
	sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'});

	my $session = DocumentdbUpgrade::Session->new($node);
	is($session->run($risks)->{stdout}, 'unknown', "$how: a script that calls a function");
	is(sql($node, $risks), 'unknown', "$how: another session says the same");
	sql($node, q{CREATE FUNCTION pg_catalog.own_number(int) RETURNS int LANGUAGE sql AS 'SELECT $1'});
	is($session->run($risks)->{stdout}, 'data tables', "$how: that function has become one of the server's");
	is(sql($node, $risks), 'data tables', "$how: another session says the same");
	sql($node, q{DROP FUNCTION pg_catalog.own_number(int)});
	is($session->run($risks)->{stdout}, 'unknown', "$how: and is none any more");

	# As long, and as old.
	my $file = extension_file($node, 'thing--1.0--1.1.sql');
	my @times = (stat $file)[ 8, 9 ];
	write_extension_file($node, 'thing--1.0--1.1.sql', 'CREATE ROLE thing_role;' . ' ' x 16 . "\n");
	utime @times, $file or die "could not set times: $!";
	is($session->run($risks)->{stdout}, 'cluster-wide', "$how: a script that was replaced");
	is(sql($node, $risks), 'cluster-wide', "$how: another session says the same");
	$session->quit;

	sql($node, 'SET documentdb_upgrade.enforce = off; DROP EXTENSION thing');
	write_extension($node, 'thing', '1.' . SCRIPTS, many_scripts());
	sql($node, q{CREATE EXTENSION thing VERSION '1.0'});
	$session = DocumentdbUpgrade::Session->new($node);
	my $expected = join ' ', map { "ShareUpdateExclusiveLock on public.t$_" } 1 .. SCRIPTS;
	foreach my $try (1 .. 3)
	{
		is($session->run($locks)->{stdout}, $expected, "$how: more than there is room for, look $try");
	}
	is(sql($node, $locks), $expected, "$how: another session says the same");
	$session->quit;
	$node->stop;
}
done_testing();
