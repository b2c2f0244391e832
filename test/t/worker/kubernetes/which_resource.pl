# Without a setting the resource is the DocumentDB that owns the pod's
# cluster, else the one named like the cluster.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
my $node = new_node('main', preload => 1, start => 0, conf => follow_settings($api) . q{
	documentdb_upgrade.kubernetes_resource = ''
	documentdb_upgrade.kubernetes_namespace = ''});
my $clusters = qr{^/apis/postgresql\.cnpg\.io/v1/namespaces/lab/clusters/};
my $first = 1;

# Starts the server in such a pod; gives the name of the resource it reads.
sub resource_in_pod
{
	my %environment = (NAMESPACE => 'lab', @_);
	my @reads;

	delete @ENV{qw(NAMESPACE CLUSTER_NAME)};
	@ENV{ keys %environment } = values %environment;
	$api->mark;
	$node->start;
	install_documentdb($node) if $first;
	$first = 0;
	poll_until(sub { @reads = grep { $_->{path} =~ m{/dbs} } $api->requests; return scalar @reads }, 'a resource is read');
	return $reads[0]{path} =~ m{/namespaces/lab/dbs/([^/]+)$} ? $1 : $reads[0]{target};
}

$api->put_cluster('pod-cluster', 'the-owner');
is(resource_in_pod(CLUSTER_NAME => 'pod-cluster'), 'the-owner', "the cluster's owner is asked for");
is(scalar $api->requests(path => $clusters), 1, 'after one look at the cluster');
$api->put_resource('the-owner', spec => { schemaVersion => '0.101.0' });
wait_for_state($node, 'up_to_date');
is(status_of($node)->{installed_version}, '0.101-0', 'and followed');
$node->stop;

$api->put_cluster('free-cluster', undef);
is(resource_in_pod(CLUSTER_NAME => 'free-cluster'), 'free-cluster', 'one without an owner counts itself');
$node->stop;
is(resource_in_pod(CLUSTER_NAME => 'no-such'), 'no-such', 'so does one that is not there');
$node->stop;
$api->deny('get clusters');
is(resource_in_pod(CLUSTER_NAME => 'pod-cluster'), 'pod-cluster', 'and one that may not be read');
$node->stop;
$api->allow('get clusters');

# Nothing is guessed while the server is away.
$api->fault(path => 'clusters', times => 2, status => 500);
is(resource_in_pod(CLUSTER_NAME => 'pod-cluster'), 'the-owner', 'a server in trouble is asked again');
is(scalar $api->requests(path => $clusters), 3, 'until it answers');
$node->stop;

# The namespace is also in a file beside the token.
my $file = $api->token_file =~ s/token$/namespace/r;
open my $out, '>', $file or die "could not write: $!\n";
print $out "lab\n";
close $out;
is(resource_in_pod(CLUSTER_NAME => 'pod-cluster', NAMESPACE => 'wrong'), 'the-owner', 'the namespace file comes before the environment');
$node->stop;
unlink $file;

# Without any name there is nothing to ask for.
delete @ENV{qw(NAMESPACE CLUSTER_NAME)};
$api->mark;
$node->start;
wait_for_state($node, 'waiting', qr/kubernetes_(?:resource|namespace)/);
is(scalar $api->requests, 0, 'without a name nothing is asked');

done_testing();
