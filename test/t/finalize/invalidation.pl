# A finalize makes every session, on standbys too, forget what it has cached
# of the extension's tables, also of those that no script touches: version
# gates (DocumentDB's) refresh on that signal alone.  A cached plan shows it:
# it is made anew after the signal, and only then.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = new_node('primary', own_installation => 1, streaming => 1, conf => q{
	documentdb_upgrade.extension = 'gated'
	documentdb_upgrade.ignore_standbys = 'standby'
	documentdb_upgrade.managed_extensions = 'beside, gated'});
my %functions = map { my $n = $_; ("1.$n--1." . ($n + 1) => qq{
		CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT $n';}) } 0 .. 2;
write_extension($primary, 'gated', '1.3', %functions,
	'1.0' => q{CREATE TABLE gate (id int); CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 0';});
write_extension($primary, 'beside', '1.0', '1.0' => 'CREATE TABLE companion (id int)');
sql($primary, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE EXTENSION beside;
	CREATE EXTENSION gated VERSION '1.0';
	CREATE TABLE stranger (id int);
});
$primary->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $primary->install_path);
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# A session that has read the tables and keeps the plans.
sub reader
{
	my $session = DocumentdbUpgrade::Session->new($_[0]);
	$session->run("PREPARE $_ AS SELECT count(*) FROM $_") foreach qw(gate companion stranger);
	$session->run('SET plan_cache_mode = force_generic_plan; SET debug_pretty_print = off;
		SET client_min_messages = log; SET debug_print_plan = on');
	replanned($session);
	return $session;
}

# The tables whose plan has to be made anew.
sub replanned
{
	my $session = shift;
	return join ' ', grep { $session->run("EXECUTE $_")->{stderr} =~ /LOG:.*plan:/ } qw(gate companion stranger);
}

my $here = reader($primary);
my $there = reader($standby);
is(replanned($here), '', 'a plan is kept while nothing happens');
is(replanned($there), '', 'on the standby as well');

sql($primary, q{ALTER EXTENSION gated UPDATE TO '1.1'});
$primary->wait_for_catchup($standby);
is(replanned($here), '', 'a plain ALTER EXTENSION leaves the tables alone');
is(replanned($there), '', 'on the standby as well');

sql($primary, q{SELECT documentdb_upgrade.finalize_to('1.2')});
$primary->wait_for_catchup($standby);
is(replanned($here), 'gate companion', 'a finalize invalidates the tables of the managed set and no others');
is(replanned($there), 'gate companion', 'on the standby as well');

sql($primary, q{BEGIN; SELECT documentdb_upgrade.finalize_to('1.3'); ROLLBACK});
$primary->wait_for_catchup($standby);
is(replanned($here), '', 'a finalize that is rolled back invalidates nothing');

$_->quit foreach $here, $there;

done_testing();
