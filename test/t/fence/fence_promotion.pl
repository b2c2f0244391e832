# A standby whose binary is older than the schema is promoted: its first
# statement as a primary finds the fence up, and the right binary ends it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = worker_node('primary', streaming => 1, conf => q{
	documentdb_upgrade.schema_ahead_action = read_only
	documentdb_upgrade.fence_exempt_roles = 'keeper, postgres'
	documentdb_upgrade.desired_schema_version = '1.2'});
sql($primary, q{
	CREATE ROLE app LOGIN SUPERUSER;
	CREATE ROLE keeper LOGIN SUPERUSER;
	CREATE TABLE t (id text);
	CREATE DATABASE other});
wait_for_state($primary, 'up_to_date');
is(shape($primary), $shape_of{'1.2'}, 'the primary has finalized');
$primary->backup('base');

# The standby's image is still the old one.
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => fresh_installation());
$standby->init_from_backup($primary, 'base', has_streaming => 1);
write_extension($standby, 'thing', '1.1', '1.0' => '', '1.0--1.1' => '');
$standby->append_conf('postgresql.conf', "documentdb_upgrade.poll_interval = '1h'");
$standby->start;
$primary->wait_for_catchup($standby);
ok(comes_true($standby, 'SELECT worker_pid IS NOT NULL FROM documentdb_upgrade.status'), 'its worker has looked');
is(status_of($standby)->{state}, 'standby', 'and says that it is a standby');

# Sessions that were there before: idle, in a transaction, and one that tries
# to write until it gets an answer of a primary.
sub session { return DocumentdbUpgrade::Session->new($standby, user => $_[0]); }
my ($idle, $reader, $keeper) = (session('app'), session('app'), session('keeper'));
$_->run('SELECT 1') foreach $idle, $keeper;
$reader->run($_) foreach 'BEGIN', 'SELECT * FROM t';
my $answer = '';
my $write = q{INSERT INTO t VALUES ('first') RETURNING 'written'};
my $writer = IPC::Run::start([ 'bash', '-c', qq{until psql -XAtqc "SELECT CASE WHEN pg_is_in_recovery() THEN 1 / 0 END" -c "$write" 2>&1 | grep -oE "^written|Writes to this database are stopped"; do :; done} ],
	'>', \$answer, init => sub { @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($standby->host, $standby->port, 'postgres', 'app') });

sub outcome
{
	my $result = $_[0]->run("INSERT INTO t VALUES ('$_[1]')");
	return ($result->{sqlstate} // '00000') . ($result->{detail} ? ": $result->{detail}" : '');
}
my $stopped = q{25006: Writes to this database are stopped. The schema is at 1.2, newer than the binary's 1.1.};

$primary->stop('fast');
$standby->promote;
$writer->finish;
like($answer, qr/^Writes to this database are stopped/, 'the first write of a new session is refused');
is(outcome($idle, 'idle'), $stopped, 'so is that of a session from before the promotion');
$reader->run('COMMIT');
is(outcome($reader, 'reader'), $stopped, 'and of one that was in a transaction');
is(outcome($keeper, 'keeper'), '00000', 'an exempt role writes');
is(try_sql($standby, 'CREATE TABLE t (id int)', dbname => 'other', user => 'app')->{sqlstate}, undef, 'and everybody in other databases');
wait_for_state($standby, 'schema_ahead', qr/The schema is at 1\.2, newer than the binary's 1\.1\. .*Meanwhile only the roles .*\(keeper, postgres\)/);
is(status_of($standby)->{role}, 'primary', 'the server is a primary');
is(count_logged($standby, qr/WARNING:  schema of extension "thing" is ahead of the binary/), 1, 'which is told once');
is(attempts($standby), '1.0 1.2 succeeded worker', 'and nothing is tried for what is desired');

# The server is restarted by whoever promoted it, and then the right image
# comes.
$_->quit foreach $idle, $reader, $keeper;
$standby->restart;
is(try_sql($standby, $write, user => 'app')->{sqlstate}, '25006', 'the fence survives a restart');
$standby->stop;
write_extension($standby, 'thing', '1.2', '1.1--1.2' => '');
$standby->start;
is(try_sql($standby, $write, user => 'app')->{stdout}, 'written', 'with the right binary the first statement writes');
wait_for_state($standby, 'up_to_date', qr/^Nothing is to be done\.$/);
is(sql($standby, q{SELECT string_agg(id, ' ' ORDER BY id) FROM t}), 'first keeper', 'and nothing else was written');

done_testing();
