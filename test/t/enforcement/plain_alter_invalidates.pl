# After a plain ALTER EXTENSION UPDATE, too, every session forgets what it has
# cached of the extension's tables, in databases without our extension as well:
# version gates refresh on that signal.  A cached plan shows it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = guarded_node('main');
sql($node, 'CREATE EXTENSION documentdb_upgrade; CREATE DATABASE bare');

foreach my $dbname ('postgres', 'bare')
{
	install($node, $dbname);
	my $session = DocumentdbUpgrade::Session->new($node, dbname => $dbname);
	my $replanned = sub {
		return join ' ', grep { $session->run("EXECUTE $_")->{stderr} =~ /LOG:.*plan:/ } qw(thing_1_0 before_1_0);
	};
	$session->run("PREPARE $_ AS SELECT count(*) FROM $_") foreach qw(thing_1_0 before_1_0);
	$session->run('SET plan_cache_mode = force_generic_plan; SET debug_pretty_print = off;
		SET client_min_messages = log; SET debug_print_plan = on');
	$replanned->();
	is($replanned->(), '', "$dbname: a plan is kept while nothing happens");
	try_sql($node, $_, dbname => $dbname) foreach q{ALTER EXTENSION thing UPDATE TO '1.3'}, q{ALTER EXTENSION thing UPDATE TO '1.0'},
	  'BEGIN; ALTER EXTENSION thing UPDATE; ROLLBACK';
	is($replanned->(), '', 'and after statements that change nothing');
	try_sql($node, q{ALTER EXTENSION thing UPDATE TO '1.1'}, dbname => $dbname);
	is($replanned->(), 'thing_1_0', 'an update has it made anew, for the tables of that extension');
	sql($node, q{SET documentdb_upgrade.enforce = off; ALTER EXTENSION thing UPDATE}, $dbname);
	is($replanned->(), 'thing_1_0', 'with the guards off as well');
	$session->quit;
}

done_testing();
