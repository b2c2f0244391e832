
=pod

=head1 NAME

DocumentdbUpgrade::FakeApi::Writes - patches and new Events, the half of FakeApi::Objects that changes things

=cut

package DocumentdbUpgrade::FakeApi::Writes;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi::Answers;

# Fields of the status that the custom resource's definition declares.
my @status_fields = qw(connectionString documentDBImage gatewayImage localPrimary
  schemaVersion status targetPrimary tls);

my @condition_fields = qw(lastTransitionTime message observedGeneration reason status type);

sub media_type { return lc(($_[0]->{headers}{'content-type'} // '') =~ s/\s*;.*//r); }

sub patch
{
	my ($self, $request, $object) = @_;
	my $type = media_type($request);
	my $patch = eval { decode($request->{body}) };

	return failure(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format - accepted media types include: '
		. 'application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml')
	  unless $type =~ m{^application/(?:merge-patch\+json|apply-patch\+yaml)$}
	  || ($type eq 'application/strategic-merge-patch+json' && $request->{plural} eq 'events');
	return failure(400, 'BadRequest', 'error decoding patch: invalid JSON') if ref $patch ne 'HASH';
	my $version = eval { $patch->{metadata}{resourceVersion} };
	return conflict($request) if defined $version && $version ne $object->{metadata}{resourceVersion};
	return $self->store_changed($request, $object, merge($object, $patch)) if $request->{plural} eq 'events';
	return $self->apply_status($request, $object, $patch) if $type =~ /apply/;
	return $self->merge_status($request, $object, $patch);
}

sub conflict
{
	my $request = shift;
	return failure(409, 'Conflict', qq{Operation cannot be fulfilled on $request->{plural}.$request->{group} "$request->{name}": }
		. 'the object has been modified; please apply your changes to the latest version and try again',
		{ name => $request->{name}, group => $request->{group}, kind => $request->{plural} });
}

# The same again is answered with the object as it is and told to nobody.
sub store_changed
{
	my ($self, $request, $old, $new, %headers) = @_;
	$new->{metadata}{resourceVersion} = $old->{metadata}{resourceVersion};
	return answer(200, $new, %headers) if ($request->{query}{dryRun} // '') eq 'All';
	$new = $self->store($request->{plural}, 'MODIFIED', $new) if encode($old) ne encode($new);
	return answer(200, $new, %headers);
}

sub invalid
{
	my ($request, $field, $message) = @_;
	return failure(422, 'Invalid', qq{DocumentDB.documentdb.io "$request->{name}" is invalid: $field: $message},
		{ name => $request->{name}, group => $request->{group}, kind => 'DocumentDB',
		  causes => [ { reason => 'FieldValueInvalid', message => $message, field => $field } ] });
}

sub merge_status
{
	my ($self, $request, $old, $patch) = @_;
	my $new = copy($old);
	my %declared = map { $_ => 1 } @status_fields, $self->{conditions} =~ /map|atomic/ ? 'conditions' : ();
	my $status = merge($old->{status} // {}, $patch->{status} // {});
	my @unknown = grep { !$declared{$_} } sort keys %$status;

	delete @$status{@unknown};
	foreach my $field (grep { defined $status->{$_} && $_ !~ /^(?:tls|conditions)$/ } sort keys %$status)
	{
		return invalid($request, "status.$field", "Invalid value: $field in body must be of type string")
		  unless is_string($status->{$field});
	}
	$new->{status} = $status if %$status || $old->{status};
	$self->own_conditions($request, $old, $status->{conditions}) if $patch->{status}{conditions};
	note_managers($new, $self->{owners}{ $request->{name} });
	return $self->store_changed($request, $old, $new,
		@unknown ? (Warning => join(', ', map { qq{299 - "unknown field \\"status.$_\\""} } @unknown)) : ());
}

# Who changes a field by a merge patch owns it alone.
sub own_conditions
{
	my ($self, $request, $old, $conditions) = @_;
	my $manager = $request->{query}{fieldManager} // 'unknown';
	my %before = map { $_->{type} => $_ } @{ $old->{status}{conditions} // [] };

	foreach my $condition (@{ $conditions // [] })
	{
		my $owners = $self->{owners}{ $request->{name} }{ $condition->{type} } //= {};
		foreach my $field (keys %$condition)
		{
			my $was = $before{ $condition->{type} }{$field};
			$owners->{$field} = { $manager => 1 } if !defined $was || $was ne $condition->{$field};
		}
	}
	return;
}

sub apply_status
{
	my ($self, $request, $old, $patch) = @_;
	my $manager = $request->{query}{fieldManager};
	my $conditions = eval { $patch->{status}{conditions} };
	my $untyped = "failed to create typed patch object (/$request->{name}; documentdb.io/preview, Kind=DocumentDB): ";

	return failure(422, 'Invalid', 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch')
	  unless $manager;
	return failure(400, 'BadRequest', 'metadata.managedFields must be nil') if $patch->{metadata}{managedFields};
	return failure(400, 'BadRequest', 'apiVersion, kind and metadata.name must be those of the object')
	  unless ($patch->{apiVersion} // '') eq 'documentdb.io/preview'
	  && ($patch->{kind} // '') eq 'DocumentDB'
	  && ($patch->{metadata}{name} // '') eq $request->{name};
	return failure(500, undef, $untyped . '.status.conditions: expected list') if defined $conditions && ref $conditions ne 'ARRAY';
	return answer(200, $old, Warning => '299 - "unknown field \\"status.conditions\\""') if $self->{conditions} eq 'pruned';
	return failure(500, undef, $untyped . '.status.conditions: field not declared in schema')
	  if $self->{conditions} eq 'undeclared' && $conditions;
	return $self->apply_whole_list($request, $old, $conditions // [], $manager) if $self->{conditions} eq 'atomic';
	return $self->apply_conditions($request, $old, $conditions // [], $manager, $untyped);
}

# Server-side apply of a list that is a map by its items' type.
sub apply_conditions
{
	my ($self, $request, $old, $given, $manager, $untyped) = @_;
	my $owners = copy($self->{owners}{ $request->{name} } // {});
	my $force = is_true($request->{query}{force});
	my $new = copy($old);
	my (%seen, @conflicts);

	foreach my $condition (@$given)
	{
		my $key = qq{.status.conditions[type="$condition->{type}"]};
		my ($there) = grep { $_->{type} eq $condition->{type} } @{ $new->{status}{conditions} // [] };

		return failure(500, undef, "$untyped.status.conditions: duplicate entries for key [type=\"$condition->{type}\"]")
		  if $seen{ $condition->{type} }++;
		push @{ $new->{status}{conditions} }, $there = {} unless $there;
		foreach my $field (sort keys %$condition)
		{
			return failure(500, undef, "$untyped$key.$field: field not declared in schema")
			  unless grep { $_ eq $field } @condition_fields;
			my $owner = $owners->{ $condition->{type} }{$field} //= {};
			my @others = grep { $_ ne $manager } keys %$owner;
			my $differs = !defined $there->{$field} || $there->{$field} ne $condition->{$field};

			push @conflicts, [ $others[0], "$key.$field" ] if $differs && @others && !$force;
			%$owner = () if $differs;
			$owner->{$manager} = 1;
			$there->{$field} = $condition->{$field};
		}
		my $problem = condition_problem($there);
		return invalid($request, 'status.conditions', $problem) if $problem && !@conflicts;
	}
	return apply_conflict(@conflicts) if @conflicts;
	note_managers($new, $owners);
	$self->{owners}{ $request->{name} } = $owners unless ($request->{query}{dryRun} // '') eq 'All';
	return $self->store_changed($request, $old, $new);
}

sub apply_conflict
{
	my @conflicts = @_;
	return failure(409, 'Conflict', sprintf('Apply failed with %d conflict%s: conflict with "%s" with subresource "status": %s',
		scalar @conflicts, @conflicts == 1 ? '' : 's', @{ $conflicts[0] }),
		{ causes => [ map { { reason => 'FieldManagerConflict', message => qq{conflict with "$_->[0]"}, field => $_->[1] } } @conflicts ] });
}

# Writes down in the object who owns which fields of its conditions, as the
# real one does: a list that is a map has keys, one that is not has none.
sub note_managers
{
	my ($object, $owners) = @_;
	my %managed;

	foreach my $type (sort keys %{ $owners // {} })
	{
		foreach my $field (sort keys %{ $owners->{$type} })
		{
			$managed{$_}{qq(k:{"type":"$type"})}{"f:$field"} = {} foreach keys %{ $owners->{$type}{$field} };
		}
	}
	$object->{metadata}{managedFields} = [
		(grep { ($_->{subresource} // '') ne 'status' } @{ $object->{metadata}{managedFields} }),
		map { { manager => $_, operation => 'Apply', apiVersion => 'documentdb.io/preview', subresource => 'status', time => '2026-01-01T00:00:00Z',
			fieldsType => 'FieldsV1', fieldsV1 => { 'f:status' => { 'f:conditions' => $managed{$_} } } } } sort keys %managed ];
	return;
}

# Server-side apply of a list that is one value: it replaces what is there,
# unless that is another's.
sub apply_whole_list
{
	my ($self, $request, $old, $given, $manager) = @_;
	my $owner = $self->{owners}{"$request->{name} list"};
	my $new = copy($old);

	return apply_conflict([ $owner, '.status.conditions' ])
	  if defined $owner && $owner ne $manager && encode($old->{status}{conditions} // []) ne encode($given);
	$new->{status}{conditions} = $given;
	push @{ $new->{metadata}{managedFields} }, { manager => $manager, operation => 'Apply', apiVersion => 'documentdb.io/preview',
		subresource => 'status', fieldsType => 'FieldsV1', fieldsV1 => { 'f:status' => { 'f:conditions' => {} } } };
	$self->{owners}{"$request->{name} list"} = $manager unless ($request->{query}{dryRun} // '') eq 'All';
	return $self->store_changed($request, $old, $new);
}

# What the definition of a condition does not allow, or undef.
sub condition_problem
{
	my $condition = shift;

	foreach my $field (qw(lastTransitionTime message reason status type))
	{
		return "conditions.$field: Required value" unless is_string($condition->{$field});
	}
	return 'conditions.status: Unsupported value' unless $condition->{status} =~ /^(?:True|False|Unknown)$/;
	return 'conditions.reason: Invalid value' unless $condition->{reason} =~ /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;
	return 'conditions.lastTransitionTime: Invalid value'
	  unless $condition->{lastTransitionTime} =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;
	return 'conditions.message: Too long' if length $condition->{message} > 32768;
	return;
}

sub create_event
{
	my ($self, $request) = @_;
	my $event = eval { decode($request->{body}) };
	my ($meta, $about);

	return failure(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format')
	  unless media_type($request) eq 'application/json';
	return failure(400, 'BadRequest', 'the object provided is unrecognized (must be of type Event)')
	  unless ref $event eq 'HASH' && ($event->{kind} // '') eq 'Event' && ($event->{apiVersion} // '') eq 'v1';
	($meta, $about) = ($event->{metadata} // {}, $event->{involvedObject} // {});
	return failure(400, 'BadRequest', 'the namespace of the provided object does not match the namespace sent on the request')
	  if ($meta->{namespace} // $request->{namespace}) ne $request->{namespace};
	return failure(422, 'Invalid', 'Event is invalid: metadata.name: Required value: name or generateName is required')
	  unless length($meta->{name} // '');
	return failure(422, 'Invalid', qq{Event "$meta->{name}" is invalid: metadata.name: Invalid value})
	  unless $meta->{name} =~ /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;
	return failure(422, 'Invalid', qq{Event "$meta->{name}" is invalid: involvedObject.namespace: Invalid value: does not match event.namespace})
	  if ($about->{namespace} // '') ne $request->{namespace};
	return failure(409, 'AlreadyExists', qq{events "$meta->{name}" already exists}, { name => $meta->{name}, kind => 'events' })
	  if $self->object('events', $meta->{name});
	$event->{metadata} = { %$meta, namespace => $request->{namespace}, uid => new_uid(), creationTimestamp => now() };
	return answer(201, $self->store('events', 'ADDED', $event));
}

1;
