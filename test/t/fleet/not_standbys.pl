# Whatever else streams is no standby and is not waited for: pg_receivewal,
# pg_basebackup, logical slots and their readers.  A standby without our
# library is one that is silent.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $p = fleet_primary('p', binary => '1.1', conf => "wal_level = logical\n");
my $a = add_standby($p, 'a');
wait_for_standbys($p, a => 'ready');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @running;

sub start_client
{
	my ($program, @arguments) = @_;
	# They are known by the names that they have by themselves.
	local %ENV = %ENV;
	delete $ENV{PGAPPNAME};
	push @running, IPC::Run::start([ $p->installed_command($program), @arguments, '-d', $p->connstr($program eq 'pg_recvlogical' ? 'postgres' : undef) ],
		'>&', "$dir/$program.log");
	return;
}

mkdir "$dir/$_" or die "could not make a directory: $!" foreach qw(plain slot);
sql($p, q{
	CREATE TABLE filler AS SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g;
	CREATE PUBLICATION pub FOR ALL TABLES;
	SELECT pg_create_logical_replication_slot('idle_logical', 'pgoutput');
	SELECT pg_create_logical_replication_slot('read_logical', 'pgoutput');
	SELECT pg_create_physical_replication_slot('receivewal', true);
	SELECT pg_create_physical_replication_slot('never_used')});
start_client('pg_receivewal', '--no-loop', '-D', "$dir/plain");
start_client('pg_receivewal', '--no-loop', '-D', "$dir/slot", '-S', 'receivewal');
start_client('pg_recvlogical', '--no-loop', '--start', '-S', 'read_logical', '-o', 'proto_version=1', '-o', 'publication_names=pub', '-f', "$dir/changes");
start_client('pg_basebackup', '-D', "$dir/base", '-X', 'stream', '--no-sync', '--checkpoint=fast', '--max-rate=64k');
ok(comes_true($p, q{SELECT count(*) = 6 AND count(*) FILTER (WHERE application_name = 'pg_basebackup') = 2 FROM pg_stat_replication}),
	'there are five walsenders beside that of the standby') or diag(sql($p, 'SELECT application_name, state FROM pg_stat_replication'));

sub required { return sql($p, q{SELECT string_agg(coalesce(name, slot_name), ' ' ORDER BY 1) FROM documentdb_upgrade.standbys WHERE required}); }

wait_for_report($p, $a) foreach 1 .. 4;
is(required(), 'a', 'only the standby is required');
is(blocker($p), '', 'nobody else is waited for');
is(sql($p, q{SELECT standbys FROM documentdb_upgrade.metrics}), '1', 'nor counted');
put_setting($p, 'documentdb_upgrade.expected_standbys', 2);
like(blocker($p), qr/^fail/, 'they do not stand for a standby that is missing either');
put_setting($p, 'documentdb_upgrade.expected_standbys', -1);
is(sql($p, q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.1')}), 'succeeded', 'a finalize goes on beside them');
wait_for_state($p, 'up_to_date');
is(sql($p, q{SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pg_basebackup'}), '2', 'while they run');

# Each ends with its connection.
sql($p, q{SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name <> 'a'});
eval { $_->finish } foreach @running;

# A slot that a standby would own and that has been used holds WAL for somebody.
sql($p, q{SELECT pg_drop_replication_slot('receivewal')});
sql($p, q{SELECT pg_create_physical_replication_slot('owned', true)});
ok(poll_until(sub { blocker($p) eq 'fail: owned' }, 'the slot is named'), 'a slot that keeps WAL for somebody is one of a standby');
put_setting($p, 'documentdb_upgrade.ignore_standbys', 'owned');
ok(poll_until(sub { blocker($p) eq '' }, 'it is ignored'), 'which can be ignored by its name');

# Without our library nobody speaks for it.
raise_binary($_, '1.2') foreach $p, $a;
my $mute = add_standby($p, 'mute', conf => "shared_preload_libraries = ''\n");
wait_for_standbys($p, a => 'ready', mute => 'silent', owned => 'ignored');
is(blocker($p), 'fail: mute', 'a standby without our library is waited for');
like(sql($p, q{SELECT problem FROM documentdb_upgrade.standbys WHERE name = 'mute'}), qr/report/, 'and why');
set_and_reload($p, 'documentdb_upgrade.desired_schema_version', 'auto');
wait_for_state($p, 'blocked', qr/"mute"/);
put_setting($p, 'documentdb_upgrade.ignore_standbys', 'owned, mute');
wait_for_state($p, 'up_to_date');
wait_for_standbys($p, a => 'ready', mute => 'ignored', owned => 'ignored');
is(attempts($p), "1.0 1.1 succeeded function\n1.1 1.2 succeeded worker", 'once it is ignored, the worker goes on');

done_testing();
