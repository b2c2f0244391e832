# Guards read locks, and then the names of prepared transactions that hold them.  One
# that ends in between has no name, and is nobody to wait for.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = 8;
my $node = new_node('main', preload => 1, own_installation => 1, start => 0,
	conf => "documentdb_upgrade.extension = 'thing'\nmax_prepared_transactions = 20\nfsync = off\n");
write_extension($node, 'thing', '1.1', '1.0' => 'CREATE TABLE thing_items (i int); GRANT ALL ON thing_items TO PUBLIC;',
	'1.0--1.1' => 'ALTER TABLE thing_items ADD j int;');
$node->start;
sql($node, q{CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION documentdb_upgrade});

my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/prepare.sql", q{
	\set n random(1, 1000000000)
	BEGIN;
	LOCK TABLE thing_items IN ACCESS SHARE MODE;
	PREPARE TRANSACTION 't:client_id/:n';
	COMMIT PREPARED 't:client_id/:n';
});
my ($out, $err) = ('', '');
local $ENV{PGAPPNAME} = 'preparing';
my $others = IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-c', 4, '-T', $seconds, '-f', "$dir/prepare.sql",
		'-h', $node->host, '-p', $node->port, 'postgres' ], '<', \undef, '>', \$out, '2>', \$err);
comes_true($node, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'preparing'});

my ($looks, $named) = (0, 0);
while ($others->pumpable)
{
	my $hint = sql($node, q{SELECT hint FROM documentdb_upgrade.preflight() WHERE guard = 'blocking_sessions'});
	$looks++;
	$named++ if $hint =~ /PREPARED .t\d/;
	$others->pump_nb;
}
ok($others->finish, 'others prepare and commit') or diag($err);
cmp_ok($looks, '>', 20, 'guards look meanwhile');
cmp_ok($named, '>', 0, 'and meet prepared transactions');
is(sql($node, 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'which have all ended');
done_testing();
