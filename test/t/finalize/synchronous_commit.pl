# The commit of a finalize waits for the disk and for synchronous standbys,
# whatever the session has set, and before or after.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, streaming => 1, conf => q{
	documentdb_upgrade.extension = 'waited'
	wal_writer_delay = '10s'});
write_extension($node, 'waited', '1.9', '1.0' => 'SELECT 1;', map { ("1.$_--1." . ($_ + 1) => 'SELECT 1;') } 0 .. 8);
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION waited VERSION '1.0'});

# A synchronous standby that never comes shows whether a commit waits for it.
sub standby_required
{
	my $names = shift;
	sql($node, "ALTER SYSTEM SET synchronous_standby_names = '$names'");
	sql($node, 'SELECT pg_reload_conf()');
	$node->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = '$names'");
}

my $version = 0;

# Runs the transaction, with FINALIZE in it, and sees that it waits.
sub waits
{
	my ($how, $transaction) = @_;
	my $session = DocumentdbUpgrade::Session->new($node);

	$version++;
	$transaction =~ s/FINALIZE/SELECT documentdb_upgrade.finalize_to('1.$version')/;
	sql($node, 'CHECKPOINT');
	standby_required('nobody');
	$session->start($transaction);
	ok( $node->poll_query_until('postgres',
			"SELECT wait_event = 'SyncRep' OR state = 'idle' FROM pg_stat_activity WHERE pid = " . $session->pid)
		  && sql($node, 'SELECT wait_event FROM pg_stat_activity WHERE pid = ' . $session->pid) eq 'SyncRep',
		"$how: the commit waits for the standby");
	standby_required('');
	ok($session->finish->{ok}, "$how: and succeeds when it may");
	is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), "1.$version", "$how: at the version asked for");
	$session->quit;
}

waits('synchronous_commit = off', 'SET synchronous_commit = off; FINALIZE');
waits('local', 'SET synchronous_commit = local; FINALIZE');
waits('off set later', 'BEGIN; FINALIZE; SET LOCAL synchronous_commit = off; COMMIT');

# Others do not wait.
my $session = DocumentdbUpgrade::Session->new($node);
standby_required('nobody');
ok($session->run('SET synchronous_commit = off; CREATE TABLE quick (id int)')->{ok}, 'other commits keep their setting');
standby_required('');

# The setting is the caller's again afterwards.
$session->run(q{SELECT documentdb_upgrade.finalize_to('1.4')});
is($session->run('SHOW synchronous_commit')->{stdout}, 'off', 'and so does the session');
$session->quit;
$node->stop('immediate');
$node->start;
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.4', 'a crash right after the commit loses nothing');

done_testing();
