
=pod

=head1 NAME

DocumentdbUpgrade::RealApi - a real Kubernetes API server for a test

=head1 SYNOPSIS

  need_real_api();    # or skip the whole file
  my $api = DocumentdbUpgrade::RealApi->new(modern => 1);

  $api->apply_crd($crd_file);
  $api->kubectl('create', 'namespace', 'lab');
  my $pod = $api->pod_files('lab', 'worker');    # token, ca.crt, namespace
  my $node = new_node('main', preload => 1, conf => worker_conf($api, $pod, 'db1'));

=head1 DESCRIPTION

Runs etcd and kube-apiserver, with TLS, RBAC and service-account tokens, on
free ports of the loopback interface, in a temporary directory, as the user of
the test.  They end with the test.

DocumentdbUpgrade::KubePrograms finds the programs.  A "modern" server hands
custom resources on to an apiextensions-apiserver of a later release, found
beside kube-apiserver.

There is no controller manager: nothing collects garbage, and namespaces do
not finish deleting.

=cut

package DocumentdbUpgrade::RealApi;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::ApiServer;
use DocumentdbUpgrade::KubePrograms qw(programs obstacle shared_kube);
use DocumentdbUpgrade::Test;
use Exporter 'import';
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64 qw(encode_base64 encode_base64url);
use PostgreSQL::Test::Utils;
use Test::More;

our @ISA = ('DocumentdbUpgrade::ApiServer');
our @EXPORT = qw(need_real_api api_modes own_crd operator_crd worker_conf lab);

# What a modern server hands on.
my $group_version = 'documentdb.io/preview';
my $resources = "/apis/$group_version/namespaces/databases/dbs";

=pod

=head1 FUNCTIONS

=over

=item need_real_api()

Skips the whole file, with the reason, when no API server can be run here.

=cut

sub need_real_api
{
	my $obstacle = obstacle();
	plan skip_all => $obstacle if $obstacle;
	return;
}

=pod

=item api_modes()

What C<modern> can be here: (0), or (0, 1).

=cut

sub api_modes { return programs()->{apiextensions} ? (0, 1) : (0); }

=pod

=item own_crd(), operator_crd()

The file of our small CustomResourceDefinition, whose status has conditions;
of the operator's published one, or undef when it is not at hand.

=cut

sub own_crd { return "$ENV{DU_SOURCE}/test/fixtures/kubernetes/crd-with-conditions.yaml"; }

sub operator_crd
{
	my $crd = shared_kube() && shared_kube() . '/documentdb.io_dbs.yaml';
	return $crd && -e $crd ? $crd : undef;
}

=pod

=item worker_conf(api, pod, resource)

Lines for postgresql.conf: the worker follows that resource with the files of
C<pod_files>.

=cut

sub worker_conf
{
	my ($api, $pod, $resource) = @_;
	return qq{
documentdb_upgrade.source = 'kubernetes'
documentdb_upgrade.kubernetes_api_server = '$api->{url}'
documentdb_upgrade.kubernetes_resource = '$resource'
documentdb_upgrade.kubernetes_token_file = '$pod/token'
documentdb_upgrade.kubernetes_ca_file = '$pod/ca.crt'
};
}

=pod

=item lab(%options)

What most files begin with; returns the API server and the database server.
In namespace "databases" there are a resource "mydb" and a service account
that has the rights of docs/kubernetes/rbac.yaml.  The database server follows
that resource, with documentdb at 0.108-0 of what 1.0-0 offers.  Options:

  modern     as for new
  crd        file of the definition of the resource (own_crd)
  spec       of the resource, a hash
  conf       more lines for postgresql.conf
  name       of the database server (main)

=cut

sub lab
{
	my (%options) = @_;
	my $api = __PACKAGE__->new(modern => $options{modern});

	$api->apply_crd($options{crd} // own_crd());
	$api->{pod} = $api->pod_files('databases', 'mydb');
	$api->apply("$ENV{DU_SOURCE}/docs/kubernetes/rbac.yaml");
	$api->create_resource($options{spec});
	my $node = new_node(
		$options{name} // 'main',
		preload => 1,
		conf => worker_conf($api, $api->{pod}, 'mydb') . ($options{conf} // ''));
	sql($node, q{
		CREATE EXTENSION documentdb_core VERSION '0.108-0';
		CREATE EXTENSION documentdb VERSION '0.108-0';
		CREATE EXTENSION documentdb_upgrade});
	return ($api, $node);
}

=pod

=back

=head1 METHODS

=over

=item new(%options)

Starts the servers.  Options:

  modern         true: custom resources are served by the later release
  apiserver      array of further options of kube-apiserver

=cut

sub new
{
	my ($class, %options) = @_;
	my $self = $class->SUPER::new(%options);

	if ($options{modern})
	{
		$self->apply({ apiVersion => 'v1', kind => 'Service', metadata => { name => 'apiext', namespace => 'kube-system' },
			spec => { type => 'ExternalName', externalName => 'localhost' } });
		$self->aggregate($group_version);
	}
	return $self;
}

# Registers the later server for a version of custom resources.
sub aggregate
{
	my ($self, $group_version) = @_;
	my ($group, $version) = split m{/}, $group_version;

	$self->apply({ apiVersion => 'apiregistration.k8s.io/v1', kind => 'APIService', metadata => { name => "$version.$group" },
		spec => { group => $group, version => $version, groupPriorityMinimum => 1000, versionPriority => 100,
			caBundle => encode_base64(slurp_file("$self->{dir}/ca.crt"), ''),
			service => { name => 'apiext', namespace => 'kube-system', port => $self->{crd_port} + 0 } } });
	return;
}

=pod

=item aggregate(group and version)

A modern server hands C<documentdb.io/preview> on to the later release; this makes it
hand on another version too.

=item start(), stop(signal)

Starts and ends the API servers; etcd goes on, so nothing is forgotten.  A
C<new> object is started.

=item try_kubectl(arguments, ..., \$input)

Runs kubectl as the administrator.  A hash: C<ok>, C<stdout>, C<stderr>.

=item kubectl(...)

The output; dies with what kubectl said when it fails.

=item json(...)

The same with C<-o json>, decoded.

=item shell(commands)

Runs what the administrator would type; what C<try_kubectl> gives.

=cut

sub kubectl
{
	my ($self, @arguments) = @_;
	my $result = $self->try_kubectl(@arguments);
	die 'kubectl ' . join(' ', grep { !ref } @arguments) . ": $result->{stderr}\n" unless $result->{ok};
	return $result->{stdout};
}

sub json
{
	my ($self, @arguments) = @_;
	my @input = ref $arguments[-1] ? pop @arguments : ();
	return decode_json($self->kubectl(@arguments, '-o', 'json', @input));
}

sub shell { return $_[0]->execute([ 'sh', '-e', '-c', $_[1] ]); }

=pod

=item apply(object or text or file)

Applies manifests.

=item apply_crd(file)

Applies a CustomResourceDefinition, in place of an older one too, and waits
until it is served.

=cut

sub apply
{
	my ($self, $what, @options) = @_;
	$what = slurp_file($what) if !ref $what && $what !~ /\n/;
	my $text = ref $what ? encode_json($what) : $what;
	return $self->kubectl('apply', @options, '-f', '-', \$text);
}

sub apply_crd
{
	my ($self, $file) = @_;
	my $crd = $self->json('create', '--dry-run=client', '--validate=false', '-f', $file);
	my $path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
	my @crd_server = ('--kubeconfig', "$self->{dir}/crd.kubeconfig");
	my $old = $self->try_kubectl(@crd_server, 'get', '--raw', "$path/$crd->{metadata}{name}");

	if ($old->{ok})
	{
		$crd->{metadata}{resourceVersion} = decode_json($old->{stdout})->{metadata}{resourceVersion};
		$self->kubectl(@crd_server, 'replace', '--raw', "$path/$crd->{metadata}{name}", '-f', '-', \encode_json($crd));
	}
	else
	{
		$self->kubectl(@crd_server, 'create', '--raw', $path, '-f', '-', \encode_json($crd));
	}
	my ($version) = map { $_->{name} } grep { $_->{served} } @{ $crd->{spec}{versions} };
	$self->{served} = "/apis/$crd->{spec}{group}/$version/$crd->{spec}{names}{plural}";
	$self->wait_served;
	return;
}

sub wait_served
{
	my $self = shift;
	$self->wait_ready('kube-apiserver', sub { $self->ask('GET', "$self->{served}?limit=1")->{success} });
	return;
}

=pod

=item create_resource(spec, name)

Makes a DocumentDB resource, "mydb" unless told, in namespace "databases".

=item resource(name), patch_resource(patch)

The resource as it is; changes "mydb" by a merge patch.

=item events()

Its Events, by reason: arrays of the objects, oldest first.

=cut

sub create_resource
{
	my ($self, $spec, $name) = @_;
	$self->asked('POST', $resources, encode_json({
		apiVersion => $group_version, kind => 'DocumentDB',
		metadata => { name => $name // 'mydb', namespace => 'databases' },
		spec => { nodeCount => 1, instancesPerNode => 1, resource => { storage => { pvcSize => '1Gi' } }, %{ $spec // {} } } }));
	return;
}

sub resource { return $_[0]->asked('GET', $resources . '/' . ($_[1] // 'mydb')); }

sub patch_resource
{
	my ($self, $patch) = @_;
	$self->asked('PATCH', "$resources/mydb", encode_json($patch), 'application/merge-patch+json');
	return;
}

# What the API answers, decoded; dies when it refuses.
sub asked
{
	my ($self, $method, $path, @content) = @_;
	my $answer = $self->ask($method, $path, @content);
	die "$method $path: $answer->{status} $answer->{content}\n" unless $answer->{success};
	return decode_json($answer->{content});
}

sub events
{
	my $self = shift;
	my %events;

	foreach my $event (sort { $a->{metadata}{creationTimestamp} cmp $b->{metadata}{creationTimestamp} }
		@{ $self->asked('GET', '/api/v1/namespaces/databases/events')->{items} })
	{
		push @{ $events{ $event->{reason} } }, $event if $event->{involvedObject}{name} eq 'mydb';
	}
	return \%events;
}

=pod

=item pod_files(namespace, service account)

Makes the service account if need be, and a directory with what its pods find:
token, ca.crt and namespace.

=item put_file(path, content)

Replaces a file of that directory as a kubelet does: it is never half written.

=item forged_token(namespace, service account, seconds)

A token that expires so many seconds from now; the API's own live for ten
minutes at least.

=cut

sub pod_files
{
	my ($self, $namespace, $account) = @_;
	my $dir = "$self->{dir}/pod-$namespace-$account";

	$self->try_kubectl('create', 'namespace', $namespace);
	$self->try_kubectl('-n', $namespace, 'create', 'serviceaccount', $account);
	mkdir $dir;
	$self->put_file("$dir/namespace", $namespace);
	$self->put_file("$dir/ca.crt", slurp_file("$self->{dir}/ca.crt"));
	$self->put_file("$dir/token", $self->kubectl('-n', $namespace, 'create', 'token', $account, '--duration=3600s'));
	return $dir;
}

sub put_file
{
	my ($self, $path, $content) = @_;
	append_to_file("$path.new", $content);
	rename "$path.new", $path or die "could not rename \"$path.new\": $!\n";
	return;
}

sub forged_token
{
	my ($self, $namespace, $account, $seconds) = @_;
	my $uid = $self->json('-n', $namespace, 'get', 'serviceaccount', $account)->{metadata}{uid};
	my $issuer = $self->issuer;
	my $issued = time + ($seconds < 0 ? $seconds : 0) - 600;
	my $key = $self->openssl('rsa', '-pubin', '-in', 'sa.pub', '-outform', 'DER');
	my $text = join '.', map { encode_base64url(encode_json($_)) }
	  { alg => 'RS256', kid => encode_base64url($self->digest($key)) },
	  { aud => [$issuer], iss => $issuer, sub => "system:serviceaccount:$namespace:$account",
		iat => int($issued), nbf => int($issued), exp => int(time + $seconds),
		'kubernetes.io' => { namespace => $namespace, serviceaccount => { name => $account, uid => $uid } } };
	return "$text." . encode_base64url($self->digest($text, '-sign', 'sa.key'));
}

# SHA-256 of a text, or the signature over it.
sub digest
{
	my ($self, $text, @options) = @_;
	unlink "$self->{dir}/text";
	append_to_file("$self->{dir}/text", $text);
	return $self->openssl('dgst', '-sha256', @options, '-binary', 'text');
}

=pod

=item compact()

Forgets the history of everything: watches cannot resume from before.

=item requests(pattern)

What was asked of the API, as the audit log tells: one hash each with C<verb>,
C<uri>, C<code> (0 while there is no answer), C<user>, C<agent>, of those whose
user agent matches, in order.  The log goes on over restarts.

=cut

sub compact
{
	my $self = shift;
	my $etcd = "http://127.0.0.1:$self->{etcd_port}/v3/kv";
	my $client = HTTP::Tiny->new;
	my $answer = $client->post("$etcd/range", { content => encode_json({ key => encode_base64('/', '') }) });
	my $revision = decode_json($answer->{content})->{header}{revision};

	$answer = $client->post("$etcd/compaction", { content => encode_json({ revision => $revision, physical => JSON::PP::true }) });
	die "could not compact: $answer->{content}\n" unless $answer->{success};
	return;
}

sub requests
{
	my ($self, $pattern) = @_;
	return unless -e "$self->{dir}/audit.log";
	my (%requests, @order);

	# Each request is logged when it arrives, when its answer begins, if that
	# may take long, and when it has ended.
	foreach my $entry (map { eval { decode_json($_) } // () } split /\n/, slurp_file("$self->{dir}/audit.log"))
	{
		my $id = $entry->{auditID};

		push @order, $id unless $requests{$id};
		$requests{$id} = {
			verb => $entry->{verb}, uri => $entry->{requestURI}, code => $entry->{responseStatus}{code} // 0,
			user => $entry->{user}{username}, agent => $entry->{userAgent} // '' };
	}
	return grep { $_->{agent} =~ $pattern } @requests{@order};
}

=pod

=back

=cut

1;
