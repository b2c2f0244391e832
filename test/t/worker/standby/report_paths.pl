# A standby of a standby reports to that one, whose answer tells who is above;
# a circle is seen as one.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_status);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = worker_node('primary', streaming => 1, conf => "documentdb_upgrade.standby_report_timeout = '1500ms'\n");
sql($primary, 'CREATE ROLE streamer LOGIN REPLICATION');
$primary->backup('base');

sub stream_from
{
	my ($node, $upstream) = @_;
	$node->append_conf('postgresql.conf', "primary_conninfo = '" . $upstream->connstr . q{ user=streamer dbname=elsewhere'});
	return;
}

sub standby_of
{
	my ($upstream, $name, $conf) = @_;
	my $node = DocumentdbUpgrade::Node->new($name, install_path => $primary->install_path);

	$node->init_from_backup($primary, 'base');
	$node->set_standby_mode;
	stream_from($node, $upstream);
	$node->append_conf('postgresql.conf', "wal_retrieve_retry_interval = '100ms'\n" . ($conf // ''));
	$node->start;
	return $node;
}
my $near = standby_of($primary, 'near');
my $far = standby_of($near, 'far');
ok(comes_true($primary, q{SELECT string_agg(name || ' ' || depth, ', ' ORDER BY depth) = 'near 1, far 2' FROM documentdb_upgrade.standbys WHERE identity IS NOT NULL}),
	'a standby of a standby is known');
is(count_logged($primary, qr/far LOG:  execute .*run_report_standby/), 0, 'by the report of the one between');
cmp_ok(count_logged($primary, qr/near LOG:  execute .*run_report_standby/), '>', 0, 'whose session has the name of its WAL receiver');
my $status = wait_for_status($far, sub { $_[0]->{next_step} =~ /It reports to / }, 'a standby says to whom it reports');
my ($host, $port) = ($near->host, $near->port);
like($status->{next_step}, qr/It reports to \Q$host:$port\E\./, 'to its upstream');

# Without preloading a server has no identity.
my $lone = standby_of($primary, 'lone', "shared_preload_libraries = ''\ndocumentdb_upgrade.extension = 'thing'\n");
is(sql($lone, 'SELECT documentdb_upgrade.tick()'), 'standby', 'tick() works without preloading');
is(count_logged($primary, qr/lone LOG:  execute .*run_report_standby/), 0, 'and reports nothing');
is(sql($primary, q{SELECT status FROM documentdb_upgrade.standbys WHERE name = 'lone'}), 'silent', 'so that it is known as silent');
$lone->stop;

# The two are left to each other.
my $offset = -s $near->logfile;
$primary->stop('fast');
stream_from($near, $far);
$near->reload;
ok(eval { $near->wait_for_log(qr/does not report to its upstream\n.*DETAIL:  The servers above \S+ lead back to this one\..*\n.*HINT:  Correct primary_conninfo/, $offset); 1 }, 'a circle is seen as one')
  or diag(logged($near, $offset));
like(status_of($near)->{next_step}, qr/lead back to this one/, 'and shown');

# One of them is promoted, and the other follows.
$far->promote;
wait_for_status($near, sub { $_[0]->{next_step} =~ /It reports to / }, 'the circle is broken by a promotion');
ok(comes_true($far, q{SELECT name = 'near' AND depth = 1 AND installed_version = '1.0' FROM documentdb_upgrade.standbys}), 'and the new primary knows the other');

done_testing();
