# A database that only has the name of a throw-away one is never dropped: not
# by the keeper that has its process ID, not by the next.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.lock_timeout = '1h'});
write_extension($node, 'thing', '1.1', '1.0' => '', '1.0--1.1' => 'ALTER ROLE gate SET work_mem = 100;');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'; CREATE ROLE gate; CREATE ROLE tenant LOGIN CREATEDB});

sub databases { return sql($node, q{SELECT count(*) FROM pg_database WHERE datname LIKE '%scratch%'}) }
sub pid_waiting
{
	my ($type) = @_;
	my $query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade $type' AND wait_event_type = 'Lock'";
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($query) w") or die "$type does not wait\n";
	return sql($node, $query);
}

# One that a crash seems to have left behind, and whose drop must wait, shows
# the keeper's process ID in time.
sub keeper_waits
{
	my ($lock, $session) = @_;
	sql($node, 'CREATE DATABASE documentdb_upgrade_scratch_999999 TEMPLATE template0 CONNECTION LIMIT 0');
	$lock->run(q{BEGIN; COMMENT ON DATABASE documentdb_upgrade_scratch_999999 IS 'in use'});
	$session->start(q{SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)});
	return pid_waiting('scratch keeper');
}
my ($lock, $session) = map { DocumentdbUpgrade::Session->new($node) } 1 .. 2;

foreach my $other (['tenant', 0], ['tenant', -1], ['postgres', -1])
{
	my ($owner, $limit) = @$other;
	my $name = 'documentdb_upgrade_scratch_' . keeper_waits($lock, $session);
	my $what = "one of $owner with connection limit $limit";
	sql($node, "CREATE DATABASE $name OWNER $owner TEMPLATE template0 CONNECTION LIMIT $limit");
	$lock->run('ROLLBACK');
	my $result = $session->finish;
	is($result->{sqlstate}, '0A000', "$what: the name is taken");
	like($result->{message}, qr/database "$name" already exists/, "$what: which is said");
	is(sql($node, "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE '%scratch%'"), $name, "$what: it stays");
	is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse('1.1', true)}), 'passed', "$what: the next one passes");
	is(sql($node, "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE '%scratch%'"), $name, "$what: it stays again");
	sql($node, "DROP DATABASE $name");
}

# One that is there with the mark belonged to an earlier keeper.
my $pid = keeper_waits($lock, $session);
sql($node, "CREATE DATABASE documentdb_upgrade_scratch_$pid TEMPLATE template0 CONNECTION LIMIT 0");
$lock->run('ROLLBACK');
is($session->finish->{stdout}, 'passed', 'one of an earlier keeper with the same process ID makes room');
is(databases(), '0', 'and is gone');

# Whoever takes a throw-away database over keeps it.
$lock->run('BEGIN; ALTER ROLE gate SET work_mem = 200');
$session->start(q{SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)});
pid_waiting('scratch');
my $name = sql($node, q{SELECT datname FROM pg_database WHERE datname LIKE '%scratch%'});
sql($node, "ALTER DATABASE $name OWNER TO tenant");
$lock->run('ROLLBACK');
is($session->finish->{stdout}, 'passed', 'one that was given away');
is(databases(), '1', 'stays');
done_testing();
