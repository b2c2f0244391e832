# A standby whose reports cannot arrive: the primary names it, the standby says
# why in its status and once in its log, and all is well when it is cleared.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state wait_for_status);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $p = fleet_primary('p', binary => '1.1');
my $s = add_standby($p, 's');
my $worker = process_of($s, 'worker');
wait_for_standbys($p, s => 'ready');

# Cause and cure of one; what the standby says of it.
sub trouble
{
	my ($name, %trouble) = @_;
	my $offset = -s $s->logfile;

	subtest $name => sub {
		$trouble{cause}->();
		wait_for_standbys($p, s => $trouble{status} // 'stale');
		is(blocker($p), 'fail: s', 'the guard names it');
		my $status = wait_for_status($s, sub { $_[0]->{next_step} =~ $trouble{says} }, 'the standby says why');
		like($status->{next_step}, $trouble{says}, 'in its status') or diag($status->{next_step});
		unlike($status->{next_step}, qr/secret|password=/, 'without what is secret');
		is("$status->{role} $status->{state}", 'standby standby', 'which is that of a standby');
		like(logged($s, $offset), qr/(?:LOG|WARNING):  .*(?:report|$trouble{says})/, 'and in its log');
		my $count = count_logged($s, qr/^\S+ \S+ \S+ \[$worker\].* (?:LOG|WARNING|ERROR):/m, $offset);
		my $now = sql($p, 'SELECT clock_timestamp()');
		comes_true($p, "SELECT clock_timestamp() > '$now'::timestamptz + interval '3 s'");
		is(count_logged($s, qr/^\S+ \S+ \S+ \[$worker\].* (?:LOG|WARNING|ERROR):/m, $offset), $count, 'where it is not repeated');
		unlike(join('', grep { /\[$worker\]/ } split /^/, logged($s, $offset)), qr/secret/, 'and where nothing of ours is secret');
		$trouble{cure}->();
		wait_for_standbys($p, s => 'ready');
		unlike(wait_for_status($s, sub { $_[0]->{next_step} !~ $trouble{says} }, 'cleared')->{next_step}, $trouble{says}, 'and says so no more');
		is(process_of($s, 'worker'), $worker, 'the worker is the same');
	};
	return;
}

sub hba
{
	my @lines = @_;
	my $file = $p->data_dir . '/pg_hba.conf';

	unlink $file;
	append_to_file($file, join "\n", @lines, 'local all all trust', 'local replication all trust', '');
	$p->reload;
	return;
}

trouble('the role may not connect to the database',
	cause => sub { sql($p, 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC') },
	says => qr/permission denied for database "postgres"/,
	cure => sub { sql($p, 'GRANT CONNECT ON DATABASE postgres TO PUBLIC') });

trouble('the role may not use the schema',
	cause => sub { sql($p, 'REVOKE USAGE ON SCHEMA documentdb_upgrade FROM PUBLIC') },
	says => qr/permission denied for schema documentdb_upgrade/,
	cure => sub { sql($p, 'GRANT USAGE ON SCHEMA documentdb_upgrade TO PUBLIC') });

trouble('the role has lost REPLICATION',
	cause => sub { sql($p, 'ALTER ROLE streamer NOREPLICATION') },
	says => qr/REPLICATION/,
	cure => sub { sql($p, 'ALTER ROLE streamer REPLICATION') });

trouble('pg_hba.conf rejects it',
	cause => sub { hba('local postgres streamer reject') },
	says => qr/pg_hba\.conf/,
	cure => sub { hba() });

# Streaming is trusted and a session is not.
sql($p, q{ALTER ROLE streamer PASSWORD 'very secret'});
trouble('primary_conninfo has no password',
	cause => sub { hba('local postgres streamer scram-sha-256') },
	says => qr/it asks for a password, and there is none/,
	cure => sub { stream_from($s, $p, conninfo => q{password=''very secret''}) });

trouble('the password is wrong',
	status => 'silent',
	cause => sub { stream_from($s, $p, conninfo => q{password=''no secret''}) },
	says => qr/password authentication failed/,
	cure => sub { stream_from($s, $p, conninfo => q{password=''very secret''}) });
hba();

trouble('the primary has no room',
	cause => sub { sql($p, 'ALTER ROLE streamer CONNECTION LIMIT 0') },
	says => qr/too many connections for role/,
	cure => sub { sql($p, 'ALTER ROLE streamer CONNECTION LIMIT -1') });

trouble('the extension is not there',
	cause => sub { sql($p, 'ALTER EXTENSION documentdb_upgrade DROP PROCEDURE documentdb_upgrade.run_report_standby(jsonb, jsonb);
		ALTER PROCEDURE documentdb_upgrade.run_report_standby(jsonb, jsonb) RENAME TO gone') },
	says => qr/run_report_standby/,
	cure => sub { sql($p, 'ALTER PROCEDURE documentdb_upgrade.gone(jsonb, jsonb) RENAME TO run_report_standby;
		ALTER EXTENSION documentdb_upgrade ADD PROCEDURE documentdb_upgrade.run_report_standby(jsonb, jsonb)') });

# Replication went on all the time.
sql($p, q{SELECT documentdb_upgrade.finalize_to('1.1')});
wait_for_state($p, 'up_to_date');
has_schema($s, '1.1');

done_testing();
