# A real Kubernetes API server for test/demo: with the rights of
# docs/kubernetes/rbac.yaml and a custom resource "mydb" in namespace
# "databases".  Writes shell variables, or why there is none, to the file named
# last, and stays until the one named first is gone.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::KubePrograms qw(programs obstacle);
use DocumentdbUpgrade::RealApi;
use File::Basename;
use PostgreSQL::Test::Utils;

my ($stay, $output) = @ARGV;

# In one go, because somebody waits for it.
sub announce
{
	my $text = shift;
	append_to_file("$output.new", $text);
	rename "$output.new", $output or die "could not rename \"$output.new\": $!\n";
	return;
}

sub give_up { announce("API_MISSING='$_[0]'\n"); exit 0; }

my $obstacle = obstacle();
give_up($obstacle) if $obstacle;

my $api = DocumentdbUpgrade::RealApi->new;
$api->apply_crd(operator_crd() // own_crd());
my $pod = $api->pod_files('databases', 'mydb');
$api->apply("$ENV{DU_SOURCE}/docs/kubernetes/rbac.yaml");
$api->create_resource({ documentDBVersion => '1.7.0' });
announce("API_URL='$api->{url}'\nAPI_POD='$pod'\nAPI_KUBECONFIG='$api->{dir}/admin.kubeconfig'\n"
	  . "API_PATH='@{[ dirname(programs()->{kubectl}) ]}'\n");

while (-e $stay)
{
	select undef, undef, undef, 0.1;
}
