# What docs/kubernetes.md says of libraries that are not there: without the one
# that is preloaded the server does not start, until it is not preloaded any
# more; without the worker's the server runs and says what is wrong.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', preload => 1, own_installation => 1, conf => q{
	documentdb_upgrade.source = 'kubernetes'
	documentdb_upgrade.kubernetes_api_server = 'https://127.0.0.1:1'
	documentdb_upgrade.kubernetes_resource = 'mydb'
	documentdb_upgrade.kubernetes_namespace = 'databases'});
my $libraries = library_dir($node);

sql($node, q{CREATE EXTENSION documentdb VERSION '0.109-0' CASCADE; CREATE EXTENSION documentdb_upgrade});
ok($node->poll_query_until('postgres', q{SELECT state = 'waiting' AND worker_pid IS NOT NULL FROM documentdb_upgrade.status}),
	'the worker runs and waits for an API server');

# The worker's library.
rename "$libraries/documentdb_upgrade_worker.so", "$libraries/away.so" or die "could not rename: $!";
$node->restart;
ok($node->poll_query_until('postgres', q{SELECT next_step ~ 'library' FROM documentdb_upgrade.status}), 'a missing worker library is told')
  or diag(sql($node, 'SELECT state, next_step FROM documentdb_upgrade.status'));
is(sql($node, 'SELECT worker_pid IS NULL FROM documentdb_upgrade.status'), 't', 'there is no worker');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize_to('0.112.0')}), 'succeeded', 'everything else works');
rename "$libraries/away.so", "$libraries/documentdb_upgrade_worker.so" or die "could not rename: $!";
ok($node->poll_query_until('postgres', q{SELECT state = 'waiting' AND worker_pid IS NOT NULL FROM documentdb_upgrade.status}),
	'the worker starts by itself once its library is there');

# The one that is preloaded.
$node->stop;
rename "$libraries/documentdb_upgrade.so", "$libraries/away.so" or die "could not rename: $!";
ok(!$node->start(fail_ok => 1), 'without the preloaded library the server does not start');
like(slurp_file($node->logfile), qr/could not access file "documentdb_upgrade": No such file or directory/, 'and says so');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
ok($node->start(fail_ok => 1), 'it starts when the library is not preloaded, whatever else is set');
rename "$libraries/away.so", "$libraries/documentdb_upgrade.so" or die "could not rename: $!";
is(sql($node, 'SELECT installed_version FROM documentdb_upgrade.status'), '0.112-0', 'with the file back, all but the worker is there at once');

done_testing();
