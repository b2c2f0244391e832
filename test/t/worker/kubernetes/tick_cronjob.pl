# Without preloading: the command of docs/kubernetes/tick-cronjob.yaml, run as
# the role that the guide makes for it, follows the resource on a real API
# server, one pass each time.
use strict;
use warnings FATAL => 'all';

use CPAN::Meta::YAML;
use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();
my $job = CPAN::Meta::YAML->read_string(slurp_file("$ENV{DU_SOURCE}/docs/kubernetes/tick-cronjob.yaml"))->[0];
my ($container) = @{ $job->{spec}{jobTemplate}{spec}{template}{spec}{containers} };
my ($grants) = slurp_file("$ENV{DU_SOURCE}/docs/kubernetes.md") =~ /```sql\n(CREATE ROLE schema_upgrader.*?)```/s;
ok($grants, 'the guide says how to make the role');

my $api = DocumentdbUpgrade::RealApi->new;
$api->apply_crd(own_crd());
my $pod = $api->pod_files('databases', 'mydb');
$api->apply("$ENV{DU_SOURCE}/docs/kubernetes/rbac.yaml");
$api->create_resource();
my $node = new_node('main', conf => worker_conf($api, $pod, 'mydb'));
sql($node, q{
	CREATE EXTENSION documentdb_core VERSION '0.108-0';
	CREATE EXTENSION documentdb VERSION '0.108-0';
	CREATE EXTENSION documentdb_upgrade;
	CREATE SCHEMA IF NOT EXISTS documentdb_core;
	CREATE SCHEMA IF NOT EXISTS documentdb_api_internal});
sql($node, $grants);

# What the job prints.
sub run_job
{
	my ($out, $err) = ('', '');
	local @ENV{ map { $_->{name} } @{ $container->{env} } } = map { $_->{value} } @{ $container->{env} };
	local @ENV{qw(PGHOST PGPORT PGSSLMODE PGPASSWORD)} = ($node->host, $node->port, 'disable', '');

	IPC::Run::run($container->{command}, '<', '/dev/null', '>', \$out, '2>', \$err) or diag($err);
	chomp $out;
	return $out;
}

is(run_job(), 'update_available', 'a pass tells the state');
is($api->resource->{status}{schemaVersion}, '0.108.0', 'and reports it');
$api->patch_resource({ spec => { schemaVersion => '0.109.0' } });
is(run_job(), 'up_to_date', 'a pass finalizes what is desired');
is(sql($node, 'SELECT to_version, actor FROM documentdb_upgrade.history'), '0.109-0|tick', 'history says how');
is($api->resource->{status}{schemaVersion}, '0.109.0', 'the resource is told');
is(run_job(), 'up_to_date', 'the next pass has nothing to do');
is(scalar @{ $api->events->{SchemaUpgraded} // [] }, 1, 'and says nothing twice');

$api->stop;
is(run_job(), 'waiting', 'without the API server a pass ends, too');
is(sql($node, 'SELECT worker_up, installed_version FROM documentdb_upgrade.metrics'), '0|0.109-0', 'the metrics know of no worker');

done_testing();
