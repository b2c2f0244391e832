
=pod

=head1 NAME

DocumentdbUpgrade::FakeApi::Objects - what the fake API server stores and answers

=head1 DESCRIPTION

Takes a request as method, path, query, headers and body, gives an answer as
status, headers and body, or says that it is a watch.  Knows nothing of
sockets.  Answers are worded as those of kube-apiserver and of the
custom-resource server of Kubernetes 1.36 were seen to be.

=cut

package DocumentdbUpgrade::FakeApi::Objects;

use strict;
use warnings FATAL => 'all';

use parent 'DocumentdbUpgrade::FakeApi::Writes';

use DocumentdbUpgrade::FakeApi::Answers;
use DocumentdbUpgrade::FakeApi::Others;
use JSON::PP ();

my $pretty = JSON::PP->new->canonical->utf8->pretty;

# What a client may do by default: the rules of docs/kubernetes.md.
my %granted = map { $_ => 1 } (
	'get dbs.documentdb.io', 'list dbs.documentdb.io', 'watch dbs.documentdb.io',
	'patch dbs/status.documentdb.io', 'create events', 'patch events',
	'get clusters.postgresql.cnpg.io');

sub new
{
	my ($class, %options) = @_;
	return bless {
		namespace => $options{namespace},
		tokens => {},
		denied => {},
		served => 1,             # is there a definition of dbs?
		conditions => 'map',     # what it says of status.conditions
		objects => {},           # "plural/name" -> object
		others => DocumentdbUpgrade::FakeApi::Others->new,    # kinds that are only read
		owners => {},            # name -> condition type -> field -> manager -> 1
		history => [],           # what a watch is told: [version, plural, name, type, text]
		version => 1000,
		oldest => 1000,          # a watch from before this version is refused
		on_event => sub { },
	}, $class;
}

#
# Objects and their history
#

# Stores an object under the next resource version and tells the watches.
sub store
{
	my ($self, $plural, $type, $object) = @_;
	my $name = $object->{metadata}{name};

	$object->{metadata}{resourceVersion} = '' . ++$self->{version};
	if ($type eq 'DELETED') { delete $self->{objects}{"$plural/$name"}; }
	else { $self->{objects}{"$plural/$name"} = $object; }
	$self->announce($plural, $name, $type, encode({ type => $type, object => $object }));
	return $object;
}

sub announce
{
	my ($self, $plural, $name, $type, $text) = @_;
	my $event = [ $self->{version}, $plural, $name, $type, $text ];

	push @{ $self->{history} }, $event;
	$self->{on_event}->($event);
	return;
}

sub object { return $_[0]->{objects}{"$_[1]/$_[2]"}; }

# Creates or replaces a custom resource; only a change of its spec makes a new
# generation.
sub put_resource
{
	my ($self, $name, $given) = @_;
	my $old = $self->object('dbs', $name);
	my $object = $old ? copy($old) : {
		apiVersion => 'documentdb.io/preview',
		kind => 'DocumentDB',
		metadata => {
			name => $name, namespace => $self->{namespace}, uid => new_uid(), generation => 1,
			creationTimestamp => now(),
			managedFields => [ { manager => 'kubectl', operation => 'Update', time => now(),
				apiVersion => 'documentdb.io/preview', fieldsType => 'FieldsV1', fieldsV1 => { 'f:spec' => {} } } ],
		},
		spec => {},
	};

	foreach my $part (qw(spec status))
	{
		$object->{$part} = merge($object->{$part}, $given->{$part}) if $given->{$part};
	}
	$object->{metadata} = merge($object->{metadata}, $given->{metadata}) if $given->{metadata};
	return $old if $old && encode($old) eq encode($object);
	$object->{metadata}{generation}++
	  if $old && encode($old->{spec}) ne encode($object->{spec});
	return $self->store('dbs', $old ? 'MODIFIED' : 'ADDED', $object);
}

sub delete_resource
{
	my ($self, $name) = @_;
	my $old = $self->object('dbs', $name) or return;

	delete $self->{owners}{$name};
	return $self->store('dbs', 'DELETED', copy($old));
}

sub put_cluster
{
	my ($self, $name, $owner, %more) = @_;
	return $self->store('clusters', 'ADDED', { %more,
		apiVersion => 'postgresql.cnpg.io/v1', kind => 'Cluster',
		metadata => { name => $name, namespace => $self->{namespace}, uid => new_uid(),
			$owner ? (ownerReferences => [
				{ apiVersion => 'v1', kind => 'ConfigMap', name => 'not-this', uid => new_uid() },
				{ apiVersion => 'documentdb.io/preview', kind => 'DocumentDB', name => $owner, uid => new_uid(), controller => JSON::PP::true } ]) : () },
	});
}

# Many changes of one object, of which nobody reads the history.
sub flood
{
	my ($self, $name, $count) = @_;
	my $object = copy($self->object('dbs', $name));

	$object->{metadata}{resourceVersion} = '@VERSION@';
	$object->{metadata}{annotations}{flood} = '@VERSION@';
	my $template = encode({ type => 'MODIFIED', object => $object });
	while ($count-- > 0)
	{
		my $version = ++$self->{version};
		(my $text = $template) =~ s/\@VERSION\@/$version/g;
		$self->announce('dbs', $name, 'MODIFIED', $text);
	}
	$object->{metadata}{resourceVersion} = $object->{metadata}{annotations}{flood} = "$self->{version}";
	$self->{objects}{"dbs/$name"} = $object;
	return;
}

#
# Answers
#

# Answers one request: a hash with status, headers and body, or with "watch".
sub handle
{
	my ($self, $request) = @_;
	my $answer = $self->authenticate($request) // $self->route($request);

	if ($answer->{object} && !$answer->{watch})
	{
		my $human = ($request->{headers}{'user-agent'} // '') =~ /curl|Mozilla/;
		$answer->{body} = ($human ? $pretty->encode($answer->{object}) : encode($answer->{object})) . "\n";
	}
	return $answer;
}

sub authenticate
{
	my ($self, $request) = @_;
	my $given = $request->{headers}{authorization};

	$request->{user} = 'system:anonymous';
	return unless defined $given;
	return failure(401, 'Unauthorized', 'Unauthorized')
	  unless $given =~ /^Bearer (\S+)$/ && $self->{tokens}{$1};
	$request->{user} = "system:serviceaccount:$self->{namespace}:db-worker";
	return;
}

sub route
{
	my ($self, $request) = @_;
	my ($method, $path) = @$request{qw(method path)};

	return failure(413, 'RequestEntityTooLarge', 'limit is 3145728') if length $request->{body} > 3 * 1024 * 1024;
	if ($path =~ m{^/(?:apis/([^/]+/[^/]+)|api/(v1))/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(?:/(status))?$})
	{
		my ($group, $namespace, $plural, $name, $sub) = ($1 // $2, $3, $4, $5, $6);
		my $kind = "$group $plural" . ($sub ? '/status' : '');
		my %known = ('documentdb.io/preview dbs' => 'dbs', 'documentdb.io/preview dbs/status' => 'dbs',
			'v1 events' => 'events', 'postgresql.cnpg.io/v1 clusters' => 'clusters');

		if ($known{$kind})
		{
			@$request{qw(group plural name sub namespace)} = ($group =~ s{/.*}{}r, $plural, $name, $sub, $namespace);
			$request->{group} = '' if $group eq 'v1';
			return $self->authorize($request) // $self->serve($request);
		}
	}
	return $self->{others}->handle($request) // plain(404, "404 page not found\n");
}

sub authorize
{
	my ($self, $request) = @_;
	my ($name, $group) = @$request{qw(name group)};
	my $resource = $request->{plural} . ($request->{sub} ? "/$request->{sub}" : '');
	my $in_group = $resource . ($group ? ".$group" : '');
	my %verbs = (GET => 'get', POST => 'create', PATCH => 'patch', PUT => 'update', DELETE => 'delete');
	my $verb = $verbs{ $request->{method} } // lc $request->{method};

	$verb = is_true($request->{query}{watch}) ? 'watch' : 'list' if $verb eq 'get' && !defined $name;
	$request->{verb} = $verb;
	return
	  if $request->{user} ne 'system:anonymous'
	  && $request->{namespace} eq $self->{namespace}
	  && $granted{"$verb $in_group"}
	  && !$self->{denied}{"$verb $resource"};
	my $object = $request->{plural} . ($group ? ".$group" : '') . (defined $name ? " \"$name\"" : '');
	return failure(403, 'Forbidden',
		qq{$object is forbidden: User "$request->{user}" cannot $verb resource "$resource" in API group "$group" in the namespace "$request->{namespace}"},
		{ kind => $request->{plural}, $group ? (group => $group) : (), defined $name ? (name => $name) : () });
}

sub not_found
{
	my $request = shift;
	my $in_group = $request->{plural} . ($request->{group} ? ".$request->{group}" : '');
	return failure(404, 'NotFound', qq{$in_group "$request->{name}" not found},
		{ name => $request->{name}, kind => $request->{plural}, $request->{group} ? (group => $request->{group}) : () });
}

sub serve
{
	my ($self, $request) = @_;
	my ($verb, $plural, $name) = @$request{qw(verb plural name)};

	return plain(404, "404 page not found\n") if $plural eq 'dbs' && !$self->{served};
	return $self->list($request) if $verb eq 'list';
	return $self->watch($request) if $verb eq 'watch';
	return $self->create_event($request) if $verb eq 'create';
	my $object = $self->object($plural, $name) or return not_found($request);
	return answer(200, $object) if $verb eq 'get';
	return $self->patch($request, $object);
}

# The name that a field selector asks for; an answer when it asks for what
# there is not.
sub selected_name
{
	my $request = shift;
	my $name;

	foreach my $term (split /,/, $request->{query}{fieldSelector} // '')
	{
		my ($field, $value) = $term =~ /^([^=!]+)==?(.*)$/;
		return (undef, failure(400, 'BadRequest', "field label not supported: " . ($field // $term)))
		  unless defined $field && $field =~ /^metadata\.name(?:space)?$/;
		$name = $value if $field eq 'metadata.name';
	}
	return ($name, undef);
}

sub list
{
	my ($self, $request) = @_;
	my ($name, $bad) = selected_name($request);
	return $bad if $bad;

	my @items = map { $self->{objects}{"dbs/$_"} } sort map { s{^dbs/}{}r } grep { m{^dbs/} } keys %{ $self->{objects} };
	@items = grep { $_->{metadata}{name} eq $name } @items if defined $name;
	return answer(200, { apiVersion => 'documentdb.io/preview', kind => 'DocumentDBList',
		metadata => { continue => '', resourceVersion => "$self->{version}" }, items => \@items });
}

# What a watch begins with, and what it is about.
sub watch
{
	my ($self, $request) = @_;
	my $query = $request->{query};
	my ($name, $bad) = selected_name($request);
	my $from = $query->{resourceVersion} // '';
	my @first;

	return $bad if $bad;
	return failure(500, undef, qq{resourceVersion: Invalid value: "$from": strconv.ParseUint: parsing "$from": invalid syntax})
	  if $from !~ /^[0-9]*$/;
	my $watch = { plural => 'dbs', name => $name, bookmarks => is_true($query->{allowWatchBookmarks}),
		seconds => ($query->{timeoutSeconds} // '') =~ /^([1-9][0-9]*)$/ ? $1 : 1800 };
	if ($from eq '' || $from eq '0')
	{
		@first = map { encode({ type => 'ADDED', object => $_ }) }
		  grep { !defined $name || $_->{metadata}{name} eq $name }
		  map { $self->{objects}{$_} } grep { m{^dbs/} } sort keys %{ $self->{objects} };
	}
	elsif ($from < $self->{oldest})
	{
		@first = (encode({ type => 'ERROR', object => failure(410, 'Expired',
			"too old resource version: $from ($self->{oldest})")->{object} }));
		$watch->{ends} = 1;
	}
	else
	{
		@first = map { $_->[4] } grep { $_->[0] > $from && matches($watch, $_) } @{ $self->{history} };
	}
	return { %{ answer(200) }, watch => { %$watch, first => [ map { "$_\n" } @first ] } };
}

sub matches
{
	my ($watch, $event) = @_;
	return $event->[1] eq $watch->{plural} && (!defined $watch->{name} || $event->[2] eq $watch->{name});
}

sub bookmark
{
	my $self = shift;
	return encode({ type => 'BOOKMARK', object => { apiVersion => 'documentdb.io/preview', kind => 'DocumentDB',
		metadata => { resourceVersion => "$self->{version}", creationTimestamp => undef }, spec => {}, status => {} } }) . "\n";
}

1;
