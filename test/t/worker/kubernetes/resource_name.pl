# In a pod of CloudNativePG nothing has to be set: API server and namespace come
# from the environment and the mounted files, and the resource is the owner of
# the Cluster, else what has the Cluster's name.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();

my $api = DocumentdbUpgrade::RealApi->new;
$api->apply_crd(own_crd());
$api->kubectl('apply', '-f', "$ENV{DU_SOURCE}/test/fixtures/kubernetes/crds-of-others.yaml");
$api->kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s');
my $pod = $api->pod_files('databases', 'mydb-east');
(my $rules = slurp_file("$ENV{DU_SOURCE}/docs/kubernetes/rbac.yaml")) =~ s/(- clusters\n  resourceNames:\n  - mydb)/$1-east/;
$rules =~ s/(kind: ServiceAccount\n  name: mydb)/$1-east/;
$api->apply($rules);
$api->create_resource({ schemaVersion => '0.109.0' });
my $cluster = { apiVersion => 'postgresql.cnpg.io/v1', kind => 'Cluster', spec => { instances => 1 },
	metadata => { name => 'mydb-east', namespace => 'databases', ownerReferences => [
			{ apiVersion => 'example.com/v1', kind => 'Other', name => 'other', uid => 'u' },
			{ apiVersion => 'documentdb.io/preview', kind => 'DocumentDB', name => 'mydb', uid => $api->resource->{metadata}{uid} } ] } };
$api->apply($cluster);

# What CloudNativePG gives its pods.
local $ENV{CLUSTER_NAME} = 'mydb-east';
local $ENV{NAMESPACE} = 'elsewhere';
local $ENV{KUBERNETES_SERVICE_HOST} = '127.0.0.1';
local $ENV{KUBERNETES_SERVICE_PORT} = $api->{api_port};

my $node = new_node('main', preload => 1, conf => qq{
	documentdb_upgrade.source = 'kubernetes'
	documentdb_upgrade.kubernetes_token_file = '$pod/token'
	documentdb_upgrade.kubernetes_ca_file = '$pod/ca.crt'});
sql($node, q{CREATE EXTENSION documentdb_core VERSION '0.108-0'; CREATE EXTENSION documentdb VERSION '0.108-0'; CREATE EXTENSION documentdb_upgrade});

sub becomes
{
	my ($condition, $what) = @_;
	ok($node->poll_query_until('postgres', "SELECT $condition FROM documentdb_upgrade.status"), $what)
	  or diag(sql($node, 'SELECT * FROM documentdb_upgrade.status'));
	return;
}

becomes("installed_version = '0.109-0' AND state = 'up_to_date'", 'the owner of the Cluster is followed, in the namespace of the mounted file');
is(sql($node, 'SELECT resource_uid FROM documentdb_upgrade.history'), $api->resource->{metadata}{uid}, 'it is that one');

# Without such an owner, and without the right to ask, it is the Cluster's name.
delete $cluster->{metadata}{ownerReferences};
$api->kubectl('-n', 'databases', 'delete', 'cluster', 'mydb-east');
$api->apply($cluster);
$node->restart;
becomes("state = 'waiting' AND next_step ~ 'mydb-east'", 'without an owner the name of the Cluster is asked for');
unlike(sql($node, 'SELECT next_step FROM documentdb_upgrade.status'), qr/"mydb"/, 'and no other');

$node->append_conf('postgresql.conf', "documentdb_upgrade.kubernetes_resource = 'mydb'");
$node->restart;
becomes("state = 'up_to_date'", 'the setting decides when it is there');

delete $ENV{CLUSTER_NAME};
$node->append_conf('postgresql.conf', "documentdb_upgrade.kubernetes_resource = ''");
$node->restart;
becomes("state = 'waiting' AND next_step ~ 'kubernetes_resource'", 'with nothing to go by it names the setting');

done_testing();
