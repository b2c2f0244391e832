
=pod

=head1 NAME

DocumentdbUpgrade::ApiServer - the processes of a Kubernetes API server

=head1 DESCRIPTION

The base of DocumentdbUpgrade::RealApi: makes keys, starts etcd and the servers
and ends them with the test.

=head1 METHODS

=over

=item new(%options)

Starts the servers, as described in DocumentdbUpgrade::RealApi.

=item start(), stop(signal)

Starts and ends the API servers; etcd goes on, so nothing is forgotten.

=item openssl(arguments, ...)

Output of openssl, run in the directory of the keys.

=item ask(method, path, content, type, url)

A request of the administrator, as HTTP::Tiny answers it: what is asked again
and again is asked in this way, for each kubectl is a process that takes a
second of a busy machine.

=item try_kubectl(arguments, ..., \$input)

Runs kubectl as the administrator.  A hash: C<ok>, C<stdout>, C<stderr>.

=item wait_ready(name, code)

Waits until code returns true; dies with the end of that process's log when
it has ended, or after the usual timeout.

=back

=cut

package DocumentdbUpgrade::ApiServer;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::KubePrograms qw(programs);
use File::Basename;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

# Who signs tokens, and for whom.
sub issuer { return 'https://kubernetes.default.svc.cluster.local'; }

my @running;

sub new
{
	my ($class, %options) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('kube');
	my $self = bless {
		%options,
		dir => $dir,
		etcd_port => PostgreSQL::Test::Cluster::get_free_port(),
		peer_port => PostgreSQL::Test::Cluster::get_free_port(),
		api_port => PostgreSQL::Test::Cluster::get_free_port(),
		pids => {}
	}, $class;

	push @running, $self;
	$self->{url} = "https://127.0.0.1:$self->{api_port}";
	$self->{crd_url} = $self->{url};
	if ($options{modern})
	{
		$self->{crd_port} = PostgreSQL::Test::Cluster::get_free_port();
		$self->{crd_url} = "https://127.0.0.1:$self->{crd_port}";
	}
	$self->make_keys;
	$self->write_kubeconfig('admin', $self->{url});
	$self->write_kubeconfig('crd', $self->{crd_url});
	append_to_file("$dir/audit.yaml", encode_json(audit_policy()));
	$self->start_etcd;
	$self->start;
	return $self;
}

# Every request to the custom resources, and all of service accounts, goes to
# the audit log.
sub audit_policy
{
	return {
		apiVersion => 'audit.k8s.io/v1', kind => 'Policy',
		rules => [
			{ level => 'Metadata', resources => [ { group => 'documentdb.io' } ] },
			{ level => 'Metadata', userGroups => ['system:serviceaccounts'] },
			{ level => 'None' }
		]
	};
}

# Keys: an authority, certificates of server, administrator and front proxy,
# and the pair that service-account tokens are signed with.
sub make_keys
{
	my $self = shift;
	my $names = join ',', 'IP:127.0.0.1', 'DNS:localhost', 'DNS:kubernetes.default.svc', 'DNS:apiext.kube-system.svc';

	$self->openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', '/CN=test-ca',
		'-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature', '-keyout', 'ca.key', '-out', 'ca.crt');
	$self->sign('server', '/CN=kube-apiserver', "extendedKeyUsage=serverAuth\nsubjectAltName=$names\n");
	$self->sign('admin', '/O=system:masters/CN=admin', "extendedKeyUsage=clientAuth\n");
	$self->sign('front', '/CN=front-proxy-client', "extendedKeyUsage=clientAuth\n");
	$self->openssl('genrsa', '-out', 'sa.key', '2048');
	$self->openssl('rsa', '-in', 'sa.key', '-pubout', '-out', 'sa.pub');
	return;
}

sub sign
{
	my ($self, $name, $subject, $extensions) = @_;
	append_to_file("$self->{dir}/$name.ext", "basicConstraints=critical,CA:FALSE\n$extensions");
	$self->openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', $subject, '-keyout', "$name.key", '-out', "$name.csr");
	$self->openssl('x509', '-req', '-in', "$name.csr", '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial',
		'-days', '3650', '-extfile', "$name.ext", '-out', "$name.crt");
	return;
}

sub openssl
{
	my ($self, @arguments) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $dir = $self->{dir};

	IPC::Run::run([ 'openssl', @arguments ], \$in, \$out, \$err, init => sub { chdir $dir })
	  or die "openssl @arguments: $err\n";
	return $out;
}

sub write_kubeconfig
{
	my ($self, $name, $url) = @_;
	my $dir = $self->{dir};
	append_to_file("$dir/$name.kubeconfig", encode_json({
		apiVersion => 'v1', kind => 'Config', 'current-context' => 'test',
		clusters => [ { name => 'test', cluster => { server => $url, 'certificate-authority' => "$dir/ca.crt" } } ],
		users => [ { name => 'admin', user => { 'client-certificate' => "$dir/admin.crt", 'client-key' => "$dir/admin.key" } } ],
		contexts => [ { name => 'test', context => { cluster => 'test', user => 'admin' } } ]
	}));
	return;
}

# Starts a program that ends with this process, whatever becomes of it.
sub launch
{
	my ($self, $name, @command) = @_;
	my $pid = fork // die "could not fork: $!\n";

	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$self->{dir}/$name.log";
		open STDERR, '>&', \*STDOUT;
		exec 'setpriv', '--pdeathsig', 'KILL', @command or POSIX::_exit(127);
	}
	$self->{pids}{$name} = $pid;
	return;
}

sub wait_ready
{
	my ($self, $name, $code) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $deadline)
	{
		return if $code->();
		last if waitpid($self->{pids}{$name}, POSIX::WNOHANG()) != 0;
		usleep(100_000);
	}
	my @log = split /\n/, slurp_file("$self->{dir}/$name.log");
	die "$name did not become ready:\n" . join("\n", grep { defined } @log[ -15 .. -1 ]) . "\n";
}

sub start_etcd
{
	my $self = shift;
	my ($client, $peer) = map { "http://127.0.0.1:$_" } @$self{qw(etcd_port peer_port)};
	my @progress = `'@{[ programs()->{etcd} ]}' --help 2>&1` =~ /experimental-watch-progress-notify-interval/
	  ? ('--experimental-watch-progress-notify-interval=5s') : ();

	$self->launch('etcd', programs()->{etcd}, '--name=test', "--data-dir=$self->{dir}/etcd", '--unsafe-no-fsync', @progress,
		"--listen-client-urls=$client", "--advertise-client-urls=$client", "--listen-peer-urls=$peer",
		"--initial-advertise-peer-urls=$peer", "--initial-cluster=test=$peer");
	$self->wait_ready('etcd', sub { HTTP::Tiny->new(timeout => 2)->get("$client/health")->{content} =~ /true/ });
	return;
}

sub start
{
	my $self = shift;
	my $dir = $self->{dir};
	my $issuer = issuer();

	$self->launch('kube-apiserver', programs()->{apiserver}, "--etcd-servers=http://127.0.0.1:$self->{etcd_port}",
		'--bind-address=127.0.0.1', '--advertise-address=127.0.0.1', "--secure-port=$self->{api_port}",
		'--endpoint-reconciler-type=none', '--service-cluster-ip-range=10.96.0.0/24', '--authorization-mode=RBAC',
		"--tls-cert-file=$dir/server.crt", "--tls-private-key-file=$dir/server.key", "--client-ca-file=$dir/ca.crt",
		"--service-account-issuer=$issuer", "--api-audiences=$issuer", "--service-account-key-file=$dir/sa.pub",
		"--service-account-signing-key-file=$dir/sa.key", '--disable-admission-plugins=ServiceAccount',
		"--requestheader-client-ca-file=$dir/ca.crt", '--requestheader-allowed-names=front-proxy-client',
		'--requestheader-username-headers=X-Remote-User', '--requestheader-group-headers=X-Remote-Group',
		'--requestheader-extra-headers-prefix=X-Remote-Extra-', "--proxy-client-cert-file=$dir/front.crt",
		"--proxy-client-key-file=$dir/front.key", "--audit-policy-file=$dir/audit.yaml",
		"--audit-log-path=$dir/audit.log", @{ $self->{apiserver} // [] });
	$self->wait_ready('kube-apiserver', sub { $self->ask('GET', '/readyz')->{success} });
	$self->wait_ready('kube-apiserver', sub { $self->ask('GET', "/api/v1/namespaces/$_")->{success} }) foreach qw(default kube-system);
	$self->start_modern if $self->{modern};
	return;
}

# The server of the later release, for custom resources alone.
sub start_modern
{
	my $self = shift;
	my $dir = $self->{dir};

	$self->launch('apiextensions', programs()->{apiextensions}, "--etcd-servers=http://127.0.0.1:$self->{etcd_port}",
		'--bind-address=127.0.0.1', "--secure-port=$self->{crd_port}", "--tls-cert-file=$dir/server.crt",
		"--tls-private-key-file=$dir/server.key", "--client-ca-file=$dir/ca.crt",
		"--requestheader-client-ca-file=$dir/ca.crt", '--requestheader-allowed-names=front-proxy-client',
		map({ "--${_}kubeconfig=$dir/admin.kubeconfig" } '', 'authentication-', 'authorization-'),
		'--disable-admission-plugins=ValidatingAdmissionPolicy,MutatingAdmissionPolicy',
		'--enable-priority-and-fairness=false');
	$self->wait_ready('apiextensions', sub { $self->ask('GET', '/readyz', undef, undef, $self->{crd_url})->{success} });
	$self->wait_served if $self->{served};
	return;
}

sub stop
{
	my ($self, $signal) = @_;
	$self->end_process($_, $signal // 'KILL') foreach qw(apiextensions kube-apiserver);
	return;
}

sub end_process
{
	my ($self, $name, $signal) = @_;
	my $pid = delete $self->{pids}{$name} or return;

	kill $signal, $pid;
	waitpid $pid, 0;
	return;
}

END
{
	my $status = $?;
	foreach my $api (@running)
	{
		$api->end_process($_, 'KILL') foreach keys %{ $api->{pids} };
	}
	$? = $status;
}

sub ask
{
	my ($self, $method, $path, $content, $type, $url) = @_;
	local @ENV{qw(NO_PROXY no_proxy)} = ('127.0.0.1', '127.0.0.1');
	my $client = HTTP::Tiny->new(verify_SSL => 1, timeout => 60, agent => 'test', SSL_options => {
		SSL_ca_file => "$self->{dir}/ca.crt", SSL_cert_file => "$self->{dir}/admin.crt", SSL_key_file => "$self->{dir}/admin.key" });
	my %body = defined $content ? (content => $content, headers => { 'Content-Type' => $type // 'application/json' }) : ();

	return $client->request($method, ($url // $self->{url}) . $path, \%body);
}

sub try_kubectl
{
	my ($self, @arguments) = @_;
	my $in = ref $arguments[-1] ? pop @arguments : \'';
	return $self->execute([ 'kubectl', '--request-timeout=60s', @arguments ], $in);
}

# Runs a program in the administrator's environment.
sub execute
{
	my ($self, $command, $in) = @_;
	my ($out, $err) = ('', '');
	local @ENV{qw(HOME KUBECONFIG)} = ($self->{dir}, "$self->{dir}/admin.kubeconfig");
	local $ENV{NO_PROXY} = '127.0.0.1';
	local $ENV{PATH} = dirname(programs()->{kubectl}) . ":$ENV{PATH}";

	my $ok = IPC::Run::run($command, $in // \'', \$out, \$err);
	chomp($out, $err);
	return { ok => $ok, stdout => $out, stderr => $err };
}

1;
