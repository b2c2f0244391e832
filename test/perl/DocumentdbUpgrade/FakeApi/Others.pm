
=pod

=head1 NAME

DocumentdbUpgrade::FakeApi::Others - objects of the cluster that a worker may read

=head1 DESCRIPTION

Pods, deployments, quotas, definitions and webhook configurations: they can be
read, and listed by one label, by whoever has a rule for it.  Nobody has one from
the start.  Words of refusals are those of kube-apiserver.

=cut

package DocumentdbUpgrade::FakeApi::Others;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi::Answers;

# By group and version: kinds that live in a namespace, and those that do not.
my %namespaced = map { $_ => 1 } ('v1 pods', 'v1 resourcequotas', 'apps/v1 deployments');
my %of_cluster = map { $_ => 1 } (
	'apiextensions.k8s.io/v1 customresourcedefinitions',
	'admissionregistration.k8s.io/v1 validatingwebhookconfigurations',
	'admissionregistration.k8s.io/v1 mutatingwebhookconfigurations');

sub new { return bless { objects => {}, granted => {}, version => 1 }, $_[0]; }

# An object of a kind such as "apps/v1 deployments", in a namespace or in none.
sub put
{
	my ($self, $kind, $namespace, $name, $object) = @_;

	die "no kind \"$kind\"\n" unless $namespaced{$kind} || $of_cluster{$kind};
	my $place = ($namespace // '') . "/$name";
	delete $self->{objects}{$kind}{$place};
	return unless $object;
	$object->{metadata} = { uid => new_uid(), resourceVersion => '' . ++$self->{version}, creationTimestamp => now(),
		%{ $object->{metadata} // {} }, name => $name, defined $namespace ? (namespace => $namespace) : () };
	$self->{objects}{$kind}{$place} = $object;
	return $object;
}

# A rule as "list pods lab", "get deployments.apps documentdb-operator", or without a namespace.
sub grant { my ($self, $rule, $given) = @_; $self->{granted}{$rule} = $given; return; }

# The answer, or undef when the path is of another kind.
sub handle
{
	my ($self, $request) = @_;
	my ($group, $namespace, $plural, $name) =
	  $request->{path} =~ m{^/(?:apis/([^/]+/[^/]+)|api/v1)(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?$} ? ($1 // 'v1', $2, $3, $4) : return;
	my $kind = "$group $plural";

	return unless defined $namespace ? $namespaced{$kind} : $of_cluster{$kind};
	return failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource') if $request->{method} ne 'GET';
	my $bare = $group eq 'v1' ? '' : $group =~ s{/.*}{}r;
	my $in_group = $plural . ($bare ? ".$bare" : '');
	my $verb = is_true($request->{query}{watch}) ? 'watch' : defined $name ? 'get' : 'list';
	my %details = (kind => $plural, $bare ? (group => $bare) : (), defined $name ? (name => $name) : ());
	my $object = $in_group . (defined $name ? " \"$name\"" : '');

	return failure(403, 'Forbidden', qq{$object is forbidden: User "$request->{user}" cannot $verb resource "$plural" in API group "$bare" }
		  . (defined $namespace ? qq{in the namespace "$namespace"} : 'at the cluster scope'), \%details)
	  unless $request->{user} ne 'system:anonymous' && $self->{granted}{ join ' ', $verb, $in_group, $namespace // () };
	if (defined $name)
	{
		my $found = $self->{objects}{$kind}{ ($namespace // '') . "/$name" };
		return $found ? answer(200, $found) : failure(404, 'NotFound', "$object not found", \%details);
	}
	return $self->list($request, $kind, $namespace);
}

sub list
{
	my ($self, $request, $kind, $namespace) = @_;
	my ($key, $value) = split /=/, $request->{query}{labelSelector} // '';
	my $limit = $request->{query}{limit} // 500;
	my $objects = $self->{objects}{$kind} // {};
	my @items = map { $objects->{$_} } grep { m{^\Q$namespace\E/} } sort keys %$objects;

	@items = grep { ($_->{metadata}{labels}{$key} // '') eq $value } @items if defined $key && length $key;
	my $more = @items > $limit;
	return answer(200, { kind => 'List', apiVersion => $kind =~ s/ .*//r,
		metadata => { resourceVersion => "$self->{version}", $more ? (continue => 'more', remainingItemCount => @items - $limit) : () },
		items => [ @items[ 0 .. ($more ? $limit : @items) - 1 ] ] });
}

1;
