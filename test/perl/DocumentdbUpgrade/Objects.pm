
=pod

=head1 NAME

DocumentdbUpgrade::Objects - every object of a database with its definition

=head1 DESCRIPTION

What tells whether a rehearsal was right, and found out in another way: by
digests of whole catalogues, and by comparing every object before and after.

=cut

package DocumentdbUpgrade::Objects;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use JSON::PP ();

our @EXPORT = qw(
  catalogue_digests objects_of compare_objects predicted
  locks_of predicted_locks privileges_of compare_privileges predicted_privileges
);

# Columns of pg_class that change by themselves or say what other rows say.
my $bookkeeping = q({relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid,relnatts,relchecks,relhasindex,
	relhasrules,relhastriggers,relhassubclass,reltoastrelid,relfilenode});

my @catalogues = qw(pg_namespace pg_language pg_operator pg_opclass pg_cast pg_constraint pg_collation
  pg_authid pg_extension pg_policy pg_am pg_event_trigger pg_ts_config pg_ts_dict pg_statistic_ext);

=pod

=head1 FUNCTIONS

=over

=item catalogue_digests(node)

One line with a digest for every catalogue of the database and of the cluster.

=cut

sub catalogue_digests
{
	my $node = shift;

	my $query = sql($node, q{
		SELECT string_agg(format('SELECT %L || '' '' || coalesce(md5(string_agg(t::text, '','' ORDER BY t::text)), '''') FROM %s t',
			oid::regclass, oid::regclass), ' UNION ALL ' ORDER BY oid::regclass::text)
		FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
			AND relname NOT IN ('pg_statistic', 'pg_largeobject')});

	# Newer servers read them in no particular order.
	return sql($node, "SELECT string_agg(d, E'\\n' ORDER BY d) FROM ($query) AS t(d)");
}

=pod

=item objects_of(node)

A hash of "kind identity" to a digest of what defines the object.  Row types,
array types, toast tables and internal triggers come with others and are left
out.

=cut

sub objects_of
{
	my $node = shift;
	my @parts = map { qq{SELECT '$_'::regclass::oid AS classid, oid AS objid, 0 AS sub, to_jsonb(t) - 'oid' AS def FROM $_ t} } @catalogues;

	push @parts,
	  qq{SELECT 'pg_class'::regclass, oid, 0, (to_jsonb(c) - 'oid') - '$bookkeeping'::text[]
	     || jsonb_build_object('view', CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END,
		     'index', (SELECT to_jsonb(i) FROM pg_index i WHERE indexrelid = c.oid), 'sequence', (SELECT to_jsonb(s) FROM pg_sequence s WHERE seqrelid = c.oid))
	     FROM pg_class c WHERE relnamespace <> 'pg_toast'::regnamespace},
	  q{SELECT 'pg_proc'::regclass, oid, 0, to_jsonb(t) - 'oid'
	     || jsonb_build_object('aggregate', (SELECT to_jsonb(a) FROM pg_aggregate a WHERE aggfnoid = t.oid)) FROM pg_proc t},
	  q{SELECT 'pg_opfamily'::regclass, oid, 0, to_jsonb(t) - 'oid' || jsonb_build_object(
	     'operators', (SELECT array_agg(to_jsonb(o) ORDER BY o.oid) FROM pg_amop o WHERE amopfamily = t.oid),
	     'functions', (SELECT array_agg(to_jsonb(f) ORDER BY f.oid) FROM pg_amproc f WHERE amprocfamily = t.oid)) FROM pg_opfamily t},
	  q{SELECT 'pg_type'::regclass, oid, 0, (to_jsonb(t) - 'oid')
	     || jsonb_build_object('enum', (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
	     FROM pg_type t WHERE typtype <> 'c' AND NOT (typelem <> 0 AND typcategory = 'A')},
	  q{SELECT 'pg_trigger'::regclass, oid, 0, to_jsonb(t) - 'oid' FROM pg_trigger t WHERE NOT tgisinternal},
	  q{SELECT 'pg_class'::regclass, attrelid, attnum, to_jsonb(a)
	     || jsonb_build_object('default', (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))
	     FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
	     WHERE attnum > 0 AND NOT attisdropped AND relnamespace <> 'pg_toast'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'c')};
	my $rows = sql($node, q{SELECT (SELECT coalesce(jsonb_object_agg(format('role membership %I in %I', m.rolname, r.rolname), 'x'), '{}')
			FROM pg_auth_members JOIN pg_roles m ON m.oid = member JOIN pg_roles r ON r.oid = roleid)
		|| coalesce(jsonb_object_agg(i.type || ' ' || i.identity, md5(o.def::text)), '{}')
		FROM (} . join(' UNION ALL ', @parts) . q{) o, pg_identify_object(o.classid, o.objid, o.sub) i});
	return JSON::PP->new->utf8->decode($rows);
}

=pod

=item compare_objects(before, after, recreated)

What was added, removed and changed from one such hash to the other: a hash of
sorted lists.  Columns go with a relation that is new, gone or recreated, and
what was recreated may have the same definition or another.

=cut

sub compare_objects
{
	my ($before, $after, $recreated) = @_;
	my %recreated = map { $_ => 1 } @$recreated;
	my %result = (added => [ grep { !exists $before->{$_} } keys %$after ], removed => [ grep { !exists $after->{$_} } keys %$before ],
		changed => [ grep { exists $after->{$_} && $after->{$_} ne $before->{$_} } keys %$before ]);

	my %relations = map { /^(?:table|view|materialized view|composite type|foreign table) (.*)/s ? ($1 => 1) : () }
	  @{ $result{added} }, @{ $result{removed} }, @$recreated;

	foreach my $action (keys %result)
	{
		$result{$action} = [ grep { !$recreated{$_} && (!/column (.*)\.[^.]+$/s || !$relations{$1}) } @{ $result{$action} } ];
	}
	$result{$_} = [ sort @{ $result{$_} } ] foreach keys %result;
	return \%result;
}

=pod

=item predicted(node, id)

The same of the steps of a rehearsal together.  What was only recreated, or
has only new storage, has no other definition; what comes with another object
is there for its privileges.

=cut

sub predicted
{
	my ($node, $id) = @_;
	my $report = JSON::PP->new->utf8->decode(sql($node, "SELECT report FROM documentdb_upgrade.rehearsals WHERE id = $id"));
	my %result = (added => [], removed => [], changed => [], recreated => []);

	foreach my $step (@{ $report->{steps} })
	{
		foreach my $action (qw(added removed changed))
		{
			foreach my $change (@{ $step->{$action} })
			{
				my $what = join ',', @{ $change->{what} // [] };

				push @{ $result{ $what =~ /recreated/ ? 'recreated' : $action } }, "$change->{kind} $change->{identity}"
				  unless $what eq 'storage';
			}
		}
	}
	my %relations = map { /^(?:table|view|materialized view|composite type|foreign table) (.*)/s ? ($1 => 1) : () } map { @$_ } @result{qw(added removed recreated)};
	foreach my $objects (values %result)
	{
		$objects = [ sort grep { (!/column (.*)\.[^.]+$/s || !$relations{$1}) && (!/^type (.*)/s || !$relations{$1}) } @$objects ];
	}
	return \%result;
}

=pod

=item locks_of(node, sql)

Runs SQL in a transaction and gives what it holds at the end, before it is
committed: a sorted list of relations that existed before it, but for
catalogues and our own, with their strongest mode.

=item predicted_locks(node, id)

The same of the steps of a rehearsal.

=cut

# "relation mode", the strongest mode of each, of rows with both.
sub strongest
{
	my $rows = shift;
	return qq{SELECT relation || ' ' || (array_agg(mode ORDER BY array_position('{AccessExclusiveLock,ExclusiveLock,
			ShareRowExclusiveLock,ShareLock,ShareUpdateExclusiveLock,RowExclusiveLock,RowShareLock}', mode)))[1] AS strongest
		FROM ($rows) AS r WHERE mode <> 'AccessShareLock' GROUP BY relation ORDER BY relation COLLATE "C"};
}

sub locks_of
{
	my ($node, $sql) = @_;
	my $query = strongest(q{SELECT :'existing'::jsonb->>(relation::text) AS relation, mode FROM pg_locks
		WHERE pid = pg_backend_pid() AND locktype = 'relation' AND :'existing'::jsonb ? (relation::text)});
	my $result = sql($node, qq{
		SELECT jsonb_object_agg(oid, format('%I.%I', relnamespace::regnamespace::text, relname)) AS existing
			FROM pg_class WHERE oid >= 16384 AND relnamespace::regnamespace::text !~ '^documentdb_upgrade' AND relpersistence <> 't' \\gset
		BEGIN;
		$sql;
		SELECT 'locks:';
		$query;
		COMMIT});
	return [ split /\n/, $result =~ s/^.*locks:\n?//sr ];
}

sub predicted_locks
{
	my ($node, $id) = @_;
	return split /\n/, sql($node, strongest(qq{SELECT r->>'relation' AS relation, r->>'mode' AS mode FROM documentdb_upgrade.rehearsals,
		jsonb_array_elements(report->'steps') s, jsonb_array_elements(s->'relations') r WHERE id = $id}));
}

=pod

=item privileges_of(node)

A hash of "kind identity" to the privileges of the object, those that it has
without a word included, except for row types; and of roles' memberships to
their options.

=item compare_privileges(before, after)

The difference of two such: a sorted list of "kind identity", + or -, and the
privilege as the server writes it.  Those that go with a dropped object are
left out, except that default privileges are nothing else; a new object's are
compared with what is usual.

=item predicted_privileges(node, id)

The same of the last step of a rehearsal.

=cut

# Catalogue, its column, the kind for acldefault(), the owner, which rows, and
# which of them count only beside one that says more.
my @privileges = (
	[ 'pg_class', 'relacl', q{CASE relkind WHEN 'S' THEN 's' ELSE 'r' END}, 'relowner', q{relkind IN ('r', 'p', 'v', 'm', 'f', 'S')} ],
	[ 'pg_proc', 'proacl', q{'f'}, 'proowner' ],
	[ 'pg_type', 'typacl', q{'T'}, 'typowner', q{NOT (typelem <> 0 AND typcategory = 'A')}, q{typtype = 'c' AND typacl IS NULL} ],
	[ 'pg_namespace', 'nspacl', q{'n'}, 'nspowner' ],
	[ 'pg_language', 'lanacl', q{'l'}, 'lanowner' ],
	[ 'pg_foreign_data_wrapper', 'fdwacl', q{'F'}, 'fdwowner' ],
	[ 'pg_foreign_server', 'srvacl', q{'S'}, 'srvowner' ],
	[ 'pg_database', 'datacl', q{'d'}, 'datdba' ],
	[ 'pg_tablespace', 'spcacl', q{'t'}, 'spcowner' ],
	[ 'pg_parameter_acl', 'paracl', q{'p'}, '10' ],
	[ 'pg_default_acl', 'defaclacl', q{CASE WHEN defaclnamespace = 0 THEN CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END ELSE 'c' END}, 'defaclrole' ]);

sub privileges_of
{
	my $node = shift;
	my @parts = map {
		my ($catalogue, $acl, $kind, $owner, $condition, $implied) = @$_;
		my $usual = "acldefault(($kind)::\"char\", $owner)";
		sprintf q{SELECT '%s'::regclass AS classid, oid AS objid, 0 AS sub, coalesce(%s, %s)::text[] AS acl, %3$s::text[] AS usual,
			%s AS implied FROM %1$s WHERE %s}, $catalogue, $acl, $usual, $implied // 'false', $condition // 'true';
	} @privileges;

	push @parts, q{SELECT 'pg_class'::regclass, attrelid, attnum, coalesce(attacl, '{}')::text[], '{}', false FROM pg_attribute
		WHERE NOT attisdropped AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace <> 'pg_toast'::regnamespace)};
	my $rows = sql($node, q{SELECT coalesce(jsonb_object_agg(i.type || ' ' || i.identity, jsonb_build_object('has', acl, 'usual', usual, 'implied', implied)), '{}')
			|| (SELECT coalesce(jsonb_object_agg(format('role membership %I in %I', m.rolname, r.rolname), jsonb_build_object('has', ARRAY[options], 'usual', ARRAY[]::text[])), '{}')
				FROM (SELECT member, roleid, string_agg((to_jsonb(a) - 'oid' - 'roleid' - 'member' - 'grantor')::text, '') AS options FROM pg_auth_members a GROUP BY 1, 2) a
				JOIN pg_roles m ON m.oid = member JOIN pg_roles r ON r.oid = roleid)
		FROM (} . join(' UNION ALL ', @parts) . q{) o, pg_identify_object(o.classid, o.objid, o.sub) i});
	return JSON::PP->new->utf8->decode($rows);
}

sub compare_privileges
{
	my ($before, $after) = @_;
	my @result;

	foreach my $object (keys %{ { %$before, %$after } })
	{
		my ($old, $new) = ($before->{$object}, $after->{$object});
		next if !$new && $object !~ /^(default acl|parameter ACL|role membership) /;
		next unless grep { $_ && !$_->{implied} } $old, $new;
		my %was = map { $_ => 1 } @{ $old ? $old->{has} : $new->{usual} };
		my %is = map { $_ => 1 } @{ $new ? $new->{has} : $old->{usual} };

		if ($object =~ /^role membership /)
		{
			push @result, "$object " . (!$old ? 'added' : $new ? 'changed' : 'removed') if join('', keys %was) ne join('', keys %is);
			next;
		}
		push @result, map({ "$object +$_" } grep { !$was{$_} } keys %is), map({ "$object -$_" } grep { !$is{$_} } keys %was);
	}
	return [ sort @result ];
}

sub predicted_privileges
{
	my ($node, $id) = @_;
	my $report = JSON::PP->new->utf8->decode(sql($node, "SELECT report FROM documentdb_upgrade.rehearsals WHERE id = $id"));
	my @result;

	foreach my $action (qw(added removed changed))
	{
		foreach my $change (@{ $report->{steps}[-1]{$action} })
		{
			my $object = "$change->{kind} $change->{identity}";

			push @result, map({ "$object +$_" } @{ $change->{granted} // [] }), map({ "$object -$_" } @{ $change->{revoked} // [] });
			push @result, "$object $action" if $change->{kind} eq 'role membership';
		}
	}
	return [ sort @result ];
}

=pod

=back

=cut

1;
