# Guards read locks, and then the names of prepared transactions that hold them.  One
# that ends in between has no name, and is nobody to wait for.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use constant SECONDS => 4;

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
local $ENV{PGAPPNAME} = 'preparing';
my ($looks, $named, $failed) = (0, 0, 0);

# As often as it takes on a machine that is slow to look.
poll_until(sub {
	my ($out, $err) = ('', '');
	my $others = IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-c', 4, '-T', SECONDS, '-f', "$dir/prepare.sql",
			'-h', $node->host, '-p', $node->port, 'postgres' ], '<', \undef, '>', \$out, '2>', \$err);
	while ($others->pumpable)
	{
		my $hint = sql($node, q{SELECT hint FROM documentdb_upgrade.preflight() WHERE guard = 'blocking_sessions'});
		$looks++;
		$named++ if $hint =~ /PREPARED .t\d/;
		$others->pump_nb;
	}
	$others->finish or $failed++, diag($err);
	return $failed || ($looks > 20 && $named > 0);
}, 'guards have looked 20 times and met prepared transactions');
is($failed, 0, 'others prepare and commit');
cmp_ok($looks, '>', 20, 'guards look meanwhile');
cmp_ok($named, '>', 0, 'and meet prepared transactions');
is(sql($node, 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'which have all ended');
done_testing();
