# A standby has the fences of its primary up when it is promoted, also one that
# it has not looked at yet; it writes nothing before that.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use Test::More;

my $fence = q{SELECT documentdb_upgrade.fence_writes('cut-over')};
my $lift = 'SELECT documentdb_upgrade.lift_fence()';
my $write = q{INSERT INTO t VALUES ('x') RETURNING 'written'};

sub standby_of
{
	my ($primary, $name, $conf) = @_;
	my $standby = DocumentdbUpgrade::Node->new($name, install_path => $primary->{_install_path});

	$primary->backup("for_$name");
	$standby->init_from_backup($primary, "for_$name", has_streaming => 1);
	$standby->append_conf('postgresql.conf', $conf // '');
	$standby->start;
	comes_true($standby, 'SELECT worker_pid IS NOT NULL FROM documentdb_upgrade.status');
	return $standby;
}

# Promotes; gives the answer to the first write of a new session.
sub promote
{
	my ($primary, $standby) = @_;
	my $answer = '';
	my $writer = IPC::Run::start([ 'bash', '-c', qq{until psql -v ON_ERROR_STOP=1 -XAtqc "SELECT 1 / (NOT pg_is_in_recovery())::int" -c "$write" 2>&1 | grep -oE "^written|Writes to this database are stopped"; do :; done} ],
		'>', \$answer, init => sub { @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($standby->host, $standby->port, 'postgres', 'app') });

	$primary->wait_for_catchup($standby);
	$primary->stop('fast');
	$standby->promote;
	$writer->finish;
	chomp $answer;
	return $answer;
}

my $primary = worker_node('primary', streaming => 1, conf => q{documentdb_upgrade.fence_exempt_roles = 'keeper'});
sql($primary, 'CREATE ROLE app LOGIN SUPERUSER; CREATE ROLE keeper LOGIN SUPERUSER; CREATE TABLE t (id text)');

# One that has looked, and one that looks once an hour.
my $second = standby_of($primary, 'second');
my $third = standby_of($primary, 'third', "documentdb_upgrade.poll_interval = '1h'\n");
sql($primary, $fence);
ok(comes_true($second, 'SELECT fence IS NOT NULL AND documentdb_upgrade_internal.fence_since() IS NOT NULL FROM documentdb_upgrade.status'), 'a standby has the fence up');
is(try_sql($second, $_)->{sqlstate}, '25006', "on a standby this is refused: $_") foreach $fence, $lift;
is(sql($second, q{SELECT string_agg(step, ', ') FROM documentdb_upgrade.cutover_report()}),
	'fence raised, last writer gone, parity proved, fence lifted, total, goal', 'it can report');

my $idle = DocumentdbUpgrade::Session->new($third, user => 'app');
$idle->run('SELECT 1');
is(promote($primary, $third), 'Writes to this database are stopped', 'promoted: the first write is refused, although nobody had looked');
is($idle->run($write)->{sqlstate}, '25006', 'so is one of a session from before');
sql($third, 'SELECT documentdb_upgrade.tick()');
ok(comes_true($third, 'SELECT drained_at IS NOT NULL FROM documentdb_upgrade.cutovers'), 'it is drained, anew');
ok(-e $third->data_dir . '/documentdb_upgrade.fence', 'it would survive a restart');
is(try_sql($third, $lift, user => 'app')->{stdout}, 't', 'it is lifted there');
is($idle->run($write)->{stdout}, 'written', 'and the session writes');
$idle->quit;

# The next generation: a fence that was lifted is not up after a promotion.
$second->stop;
$second = standby_of($third, 'fourth', "documentdb_upgrade.poll_interval = '100ms'\n");
sql($third, $fence);
comes_true($second, 'SELECT documentdb_upgrade_internal.fence_since() IS NOT NULL');
sql($third, $lift);
is(promote($third, $second), 'written', 'one that was lifted is not up, although it has been');
is(sql($second, 'SELECT count(*) FROM documentdb_upgrade.cutovers WHERE lifted_at IS NULL'), 0, 'nor in the table');

# One that stays up.
my $fifth = standby_of($second, 'fifth');
sql($second, $fence);
comes_true($fifth, 'SELECT documentdb_upgrade_internal.fence_since() IS NOT NULL');
is(promote($second, $fifth), 'Writes to this database are stopped', 'one that is up stays up');
sql($fifth, $lift);

# The worker of a standby cannot look before the promotion: sessions wait for it.
my $sixth = standby_of($fifth, 'sixth');
my $session = DocumentdbUpgrade::Session->new($sixth, user => 'app');
my $worker = process_of($sixth, 'worker');
kill 'STOP', $worker;
sql($fifth, $fence);
$fifth->wait_for_catchup($sixth);
$fifth->stop('fast');
$sixth->promote;
$session->start($write);
kill 'CONT', $worker;
is($session->finish->{sqlstate}, '25006', 'a session waits for the look that finds the fence');
$session->quit;

done_testing();
