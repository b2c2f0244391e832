# An extension lives in each database by itself: what the worker's database says
# never hides another that is behind, template1 among them.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = worker_node('main', create => 0, streaming => 1, conf => q{
	documentdb_upgrade.database = 'm1'
	documentdb_upgrade.desired_schema_version = 'auto'
	wal_receiver_status_interval = '100ms'
});

# A row of the view, or columns of it.
sub database
{
	my ($name, $columns, %options) = @_;
	return try_sql($options{node} // $node, "SELECT $columns FROM documentdb_upgrade.databases WHERE database = '$name'",
		dbname => 'm1', user => $options{user})->{stdout};
}
sub looked_at { my $name = shift; return ok(poll_until(sub { database($name, 'looked_at IS NOT NULL', @_) eq 't' }, "$name is looked at"), "$name is looked at"); }

# The story: one database is served, and the same extension is older in two more.
sql($node, q{CREATE EXTENSION thing VERSION '1.0'}, 'template1');
sql($node, 'CREATE DATABASE m1');
sql($node, 'CREATE DATABASE m2');
sql($node, 'CREATE EXTENSION documentdb_upgrade', 'm1');
ok(poll_until(sub { shape($node, 'm1') eq $shape_of{'1.2'} }, 'the worker has done its work'), 'the worker does its work');
looked_at($_) foreach qw(m2 template1 postgres);
ok($node->poll_query_until('m1', q{SELECT state = 'up_to_date' AND next_step ~ 'm2 \(thing 1\.0\), template1 \(thing 1\.0\)\. All are shown by SELECT database, .* FROM documentdb_upgrade\.databases;'
	FROM documentdb_upgrade.status}), 'its status names those that are behind') or diag(sql($node, 'SELECT state, next_step FROM documentdb_upgrade.status', 'm1'));
$node->wait_for_log(qr/is up to date\n.*DETAIL:  Nothing is to be done\. .*m2 \(thing 1\.0\)/);
my $columns = 'extension, installed_version, binary_version, target, state, behind, served';
is(database('m1', $columns), 'thing|1.2|1.2|1.2|up_to_date|f|t', 'the view has the one that is served');
is(database($_, $columns), 'thing|1.0|1.2|1.2|update_available|t|f', "and $_") foreach qw(m2 template1);
is(database('postgres', $columns), 'thing||1.2||not_installed|f|f', 'and one without the extension');
is(database('template0', "$columns, looked_at"), '||||||f|', 'one that allows no connections is not looked at');
like(database('template0', 'note'), qr/^It allows no connections, .* It is a template/, 'which is said');
like(database('template1', 'note'), qr/^New databases are copies of it/, 'the usual template is called one');
like(database('m2', 'note'), qr/^To upgrade it, run there: CREATE EXTENSION documentdb_upgrade; SELECT outcome, from_version, to_version FROM documentdb_upgrade\.finalize\(\);$/, 'what would help is said');
is(sql($node, q{SELECT status, hint ~ 'databases' FROM documentdb_upgrade.post_upgrade_report() WHERE check_name = 'databases' AND detail ~ '2 .*m2 \(thing 1\.0\), template1'}, 'm1'),
	'warn|t', 'the report after an upgrade warns');
sql($node, 'CREATE ROLE looker LOGIN; GRANT pg_monitor TO looker; CREATE ROLE nobody LOGIN', 'm1');
is(database('m2', 'behind', user => 'looker'), 't', 'a role that may read status sees all');
is(try_sql($node, 'SELECT FROM documentdb_upgrade.databases', dbname => 'm1', user => 'nobody')->{sqlstate}, '42501', 'another one does not');

# A standby shows the same by its own look.
$node->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $node->install_path);
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
ok(poll_until(sub { database('m1', "$columns", node => $standby) eq 'thing|1.2|1.2||up_to_date|f|t' || database('m1', $columns, node => $standby) eq 'thing|1.2|1.2|1.2|up_to_date|f|t' }, 'the standby serves it'), 'a standby shows its own');
# A look there can be cancelled by recovery; the next one comes.
ok(poll_until(sub { database('m2', $columns, node => $standby) eq 'thing|1.0|1.2|1.2|update_available|t|f' }, 'the standby has looked at the others'), 'and the others');
$standby->stop('fast');

# What somebody does there is seen long before the pace would have it.
sql($node, 'ALTER EXTENSION thing UPDATE', 'm2');
ok($node->poll_query_until('m1', q{SELECT NOT behind FROM documentdb_upgrade.databases WHERE database = 'm2'}), 'an update there is seen at once');
sql($node, 'SET documentdb_upgrade.enforce = off; DROP EXTENSION thing', 'm2');
ok($node->poll_query_until('m1', q{SELECT state = 'not_installed' FROM documentdb_upgrade.databases WHERE database = 'm2'}), 'a drop too');
sql($node, q{CREATE EXTENSION thing VERSION '1.0'}, 'm2');
ok($node->poll_query_until('m1', q{SELECT behind FROM documentdb_upgrade.databases WHERE database = 'm2'}), 'and a new one');

# Looks are never in the way, however often they come.
my $offset = -s $node->logfile;
set_and_reload($node, 'documentdb_upgrade.database_look_interval', '1ms');
my $failures = 0;
foreach my $round (1 .. 20)
{
	foreach ("CREATE DATABASE d$round", "ALTER DATABASE d$round RENAME TO e$round", "CREATE DATABASE f$round TEMPLATE e$round",
		"DROP DATABASE e$round", "DROP DATABASE f$round")
	{
		my $result = try_sql($node, $_);
		$failures++, diag("$_: $result->{stderr}") if !$result->{ok};
	}
}
is($failures, 0, 'a hundred statements about databases beside them succeed');
is(lines_logged($node, qr/FATAL|ERROR/, $offset), '', 'and no look has failed');
my $last = database('m2', 'looked_at');
ok($node->poll_query_until('m1', "SELECT looked_at > '$last' FROM documentdb_upgrade.databases WHERE database = 'm2'"), 'they go on');

# Never, when that is asked for; and what cannot be read is said.
set_and_reload($node, 'documentdb_upgrade.database_look_interval', '0');
sql($node, 'CREATE DATABASE late');
like(database('late', "served, looked_at, note"), qr/^f\|\|Nobody looks at it, because documentdb_upgrade\.database_look_interval is 0\.$/, 'nobody looks when the pace is 0');
sql($node, q{ALTER DATABASE late SET documentdb_upgrade.managed_extensions = '"'});
set_and_reload($node, 'documentdb_upgrade.database_look_interval', '1h');
ok($node->poll_query_until('m1', q{SELECT looked_at IS NULL AND note ~ '^The last look at it failed: setting "documentdb_upgrade.managed_extensions" is not a list of names\.$'
	FROM documentdb_upgrade.databases WHERE database = 'late'}), 'a look that fails says why');

# More databases than there is room for.
$node->append_conf('postgresql.conf', 'documentdb_upgrade.max_databases = 2');
$node->restart;
ok($node->poll_query_until('m1', q{SELECT count(*) = 3 FROM documentdb_upgrade.databases
	WHERE note ~ 'because 2 databases are kept track of; raise documentdb_upgrade\.max_databases'}), 'those without a room are named')
  or diag(sql($node, 'SELECT * FROM documentdb_upgrade.databases', 'm1'));

# Without preloading.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is(database('m1', $columns), 'thing|1.2|1.2|1.2|up_to_date|f|f', 'without preloading a session shows its own database');
like(database('m2', 'note'), qr/^Nobody looks at it, because documentdb_upgrade is not in shared_preload_libraries\.$/, 'and why no other');

done_testing();
