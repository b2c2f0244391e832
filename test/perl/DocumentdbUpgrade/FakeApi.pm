
=pod

=head1 NAME

DocumentdbUpgrade::FakeApi - a Kubernetes API server for tests, with faults on demand

=head1 SYNOPSIS

  my $api = DocumentdbUpgrade::FakeApi->new;

  $api->put_resource('db1', spec => { schemaVersion => 'auto' });
  $api->fault(method => 'GET', times => 3, status => 500);
  ...
  is($api->resource('db1')->{status}{schemaVersion}, '1.0.0');
  is(scalar $api->requests(method => 'PATCH'), 1);

=head1 DESCRIPTION

A child process that speaks HTTPS on loopback and answers as kube-apiserver
does: bearer tokens, the rules of a role, resource versions, watches, merge
patches, server-side apply, Events.  It refuses what the real one refuses.
Each test may put faults in its way.  The process ends with the test, however
that ends, and the directory with keys and tokens goes too.

=cut

package DocumentdbUpgrade::FakeApi;

use strict;
use warnings FATAL => 'all';

use Cwd ();
use File::Basename ();
use File::Temp ();
use IO::Handle;
use JSON::PP ();
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

my $json = JSON::PP->new->canonical->utf8;
my $server = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/..') . '/fake_api_server.pl';

=pod

=head1 METHODS

=over

=item new

Starts a server in namespace "lab" without a resource.  Its token is in
C<token_file>, its authority in C<ca_file>.

=cut

sub new
{
	my $class = shift;
	my $dir = File::Temp->newdir('fakeapi.XXXXXX', TMPDIR => 1);
	my $self = bless { dir => $dir, owner => $$, tokens => 0, seen => 0 }, $class;

	socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "could not make a socket pair: $!\n";
	defined($self->{pid} = fork) or die "could not fork: $!\n";
	if ($self->{pid} == 0)
	{
		open STDIN, '<&', $theirs or POSIX::_exit(1);
		open STDOUT, '>&', $theirs or POSIX::_exit(1);
		exec $^X, (map { "-I$_" } grep { !ref } @INC), $server, "$dir" or POSIX::_exit(1);
	}
	close $theirs;
	$ours->autoflush(1);
	$self->{control} = $ours;
	$self->{port} = $self->command('port');
	$self->rotate_token;
	return $self;
}

# One command to the server and its answer.
sub command
{
	my ($self, @command) = @_;
	my $control = $self->{control};

	print $control $json->encode(\@command), "\n";
	my $line = <$control> // die "the fake API server has ended\n";
	my $answer = $json->decode($line);
	die "fake API server: $answer->{error}" if defined $answer->{error};
	return $answer->{result};
}

=pod

=item stop

Ends the server; also done when the object goes.

=cut

sub stop
{
	my $self = shift;
	my $pid = delete $self->{pid} or return;
	return if $self->{owner} != $$;
	local ($?, $!);

	close $self->{control};
	waitpid $pid, 0;
	return;
}

sub DESTROY { $_[0]->stop; return; }

=pod

=item url, ca_file, token_file, namespace, token

What a client needs; C<token> is the one in force.

=cut

sub url { return "https://127.0.0.1:$_[0]->{port}"; }
sub ca_file { return "$_[0]->{dir}/ca.crt"; }
sub token_file { return "$_[0]->{dir}/token"; }
sub namespace { return 'lab'; }
sub token { return $_[0]->{token}; }

=pod

=item expire_token

The server refuses the token in the file from now on.

=item rotate_token

There is a new token, in the file too.  The old one is refused.

=cut

sub expire_token { my $self = shift; $self->command('refuse_token', $self->{token}); return; }

sub rotate_token
{
	my $self = shift;

	$self->expire_token if defined $self->{token};
	$self->{token} = sprintf 'secret-token-%d-%s', ++$self->{tokens}, join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 20;
	$self->command('accept_token', $self->{token});
	open my $file, '>', $self->token_file . '.new' or die "could not write a token: $!\n";
	print $file $self->{token};
	close $file;
	rename $self->token_file . '.new', $self->token_file or die "could not rename a token: $!\n";
	return;
}

=pod

=item put_resource(name, spec => {}, status => {}, metadata => {})

Creates a custom resource or merges what is given into it, as somebody with
every right; gives it back.  C<undef> as a value removes.

=item patch_spec(name, field => value, ...), annotate(name, key, value)

Shorter ways to say so.

=item delete_resource(name), recreate_resource(name, ...)

The second does both, so that the uid is new.

=item resource(name), events

What is stored now: one resource, a list of Events.

=item put_cluster(name, owner, field => value, ...)

A CloudNativePG cluster owned by the DocumentDB of that name, if one is given.

=item put_other(kind, namespace, name, object)

An object of another kind, such as "v1 pods" or "apps/v1 deployments"; undef as
namespace is that of the cluster, and as object takes it away.

=item grant(rule), revoke(rule)

Gives the worker a rule to read such objects, or takes it away: "list pods lab",
"get deployments.apps cnpg-system", "get customresourcedefinitions.apiextensions.k8s.io".

=item flood(name, count)

That many changes of one resource at once.

=cut

sub put_resource { my ($self, $name, %given) = @_; return $self->command('put', $name, \%given); }
sub patch_spec { my ($self, $name, %spec) = @_; return $self->put_resource($name, spec => \%spec); }
sub annotate { my ($self, $name, $key, $value) = @_; return $self->put_resource($name, metadata => { annotations => { $key => $value } }); }
sub delete_resource { my ($self, $name) = @_; return $self->command('delete', $name); }
sub recreate_resource { my ($self, $name, %given) = @_; $self->delete_resource($name); return $self->put_resource($name, %given); }
sub resource { my ($self, $name) = @_; return $self->command('get', $name); }
sub events { return @{ $_[0]->command('events') }; }
sub put_cluster { my ($self, $name, $owner, %more) = @_; return $self->command('put_cluster', $name, $owner, %more); }
sub put_other { my ($self, @other) = @_; return $self->command('put_other', @other); }
sub grant { my ($self, @rules) = @_; $self->command('grant', $_, 1) foreach @rules; return; }
sub revoke { my ($self, @rules) = @_; $self->command('grant', $_, 0) foreach @rules; return; }
sub flood { my ($self, $name, $count) = @_; return $self->command('flood', $name, $count); }

=pod

=item condition(name, type)

The condition of that type of a resource, or undef.

=cut

sub condition
{
	my ($self, $name, $type) = @_;
	my $resource = $self->resource($name) or return;
	my ($condition) = grep { $_->{type} eq $type } @{ $resource->{status}{conditions} // [] };
	return $condition;
}

=pod

=item keep_conditions(how)

What the definition says of status.conditions: "map" (a list that is a map by
type), "undeclared" (released definitions: apply fails with 500), "pruned"
(apply succeeds and drops them), "atomic" (a list that is one value).

=item take_condition(name, condition)

Writes a condition as another field manager, by merge patch.

=item deny(rule), allow(rule)

Takes a rule away or gives it back: "watch dbs", "patch dbs/status".

=item serve(bool)

Whether there is a definition of the custom resource.

=item compact

Forgets history: a watch from any older resource version is answered with 410.

=item bookmark

Sends one on every watch.

=cut

sub keep_conditions { my ($self, $how) = @_; return $self->command('keep_conditions', $how); }
sub deny { my ($self, $rule) = @_; return $self->command('deny', $rule); }
sub allow { my ($self, $rule) = @_; return $self->command('allow', $rule); }
sub serve { my ($self, $served) = @_; return $self->command('serve', $served ? 1 : 0); }
sub compact { return $_[0]->command('compact'); }
sub bookmark { return $_[0]->command('bookmark'); }

sub take_condition
{
	my ($self, $name, $condition) = @_;
	my @others = grep { $_->{type} ne $condition->{type} } @{ $self->resource($name)->{status}{conditions} // [] };
	my $answer = $self->command('handle', {
		method => 'PATCH', path => "/apis/documentdb.io/preview/namespaces/lab/dbs/$name/status",
		query => { fieldManager => 'documentdb-operator' },
		headers => { authorization => "Bearer $self->{token}", 'content-type' => 'application/merge-patch+json' },
		body => $json->encode({ status => { conditions => [ @others, $condition ] } }) });

	die "could not take the condition: $answer->{body}" if $answer->{status} != 200;
	return;
}

=pod

=item fault(%match, %answer)

The next C<times> (1) requests that match C<method>, C<path> (a regular
expression as text), C<type> (media type), C<watch> (1 or 0) do not get what
they want but, instead of the true answer, C<status> with C<headers>, C<json>
or C<body> or a body of C<size> bytes; or the true one, changed:

  wait => seconds          before the first byte
  slow_headers => 1        headers that never end, a byte at a time
  instead => how           no answer: "reset" or "close" the connection
  cut => bytes             only so much of the body
  then => how              after that "reset", "close" or "stall"

=item clear_faults, faults_left

Ends all, or says how many requests have still to meet one.

=cut

sub fault { my ($self, %fault) = @_; return $self->command('fault', \%fault); }
sub clear_faults { return $_[0]->command('clear_faults'); }
sub faults_left { return $_[0]->command('faults_left'); }

=pod

=item watch_send(text, piece)

Sends text as it is on every open watch; in pieces of so many bytes if given.

=item watch_event(type, object)

Sends such an event, whatever the truth is.

=item watch_stop(how)

"end" the open watches cleanly, "reset" or "close" them, or "freeze" them:
they stay open and nothing comes any more.

=cut

sub watch_send { my ($self, $text, $piece) = @_; return $self->command('watch_send', $text, $piece); }
sub watch_event { my ($self, $type, $object) = @_; return $self->watch_send($json->encode({ type => $type, object => $object }) . "\n"); }
sub watch_stop { my ($self, $how) = @_; return $self->command('watch_stop', $how); }

=pod

=item show_certificate(name)

To new connections: "good", "other_ca", "expired" or "other_host".

=item new_authority

A new authority, in the file too, and a certificate by it.

=item drop_connections, go_down, come_up

Resets every connection; stops and starts listening as well.

=cut

sub show_certificate { my ($self, $name) = @_; return $self->command('show_certificate', $name); }
sub new_authority { return $_[0]->command('new_authority'); }
sub drop_connections { return $_[0]->command('drop_connections'); }
sub go_down { return $_[0]->command('go_down'); }
sub come_up { return $_[0]->command('come_up'); }

=pod

=item requests(%match)

The requests seen since C<mark>, each a hash with method, path, target, query,
headers, body, watch, status and fault.  Match as for C<fault>.

=item mark

From now on.

=item watches, counts

How many watches are open and fed; that with connections, accepted,
tls_failures, and busy: connections with an answer not yet sent.

=cut

sub mark { my $self = shift; $self->{seen} += @{ $self->command('requests', $self->{seen}) }; return; }

sub requests
{
	my ($self, %match) = @_;
	my @requests = @{ $self->command('requests', $self->{seen}) };

	@requests = grep { $_->{method} eq $match{method} } @requests if defined $match{method};
	@requests = grep { $_->{path} =~ $match{path} } @requests if defined $match{path};
	@requests = grep { $_->{watch} == $match{watch} } @requests if defined $match{watch};
	@requests = grep { ($_->{headers}{'content-type'} // '') eq $match{type} } @requests if defined $match{type};
	return @requests;
}

sub watches { return $_[0]->counts->{watches}; }
sub counts { return $_[0]->command('counts'); }

=pod

=back

=cut

1;
