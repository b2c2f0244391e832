# Installing leaves what the version promises, whichever way it was reached,
# and dropping leaves nothing.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main');
my $extension = 'documentdb_upgrade';
my $default = sql($node, "SELECT default_version FROM pg_available_extensions WHERE name = '$extension'");
my @versions = split /\n/,
  sql($node, "SELECT version FROM pg_available_extension_versions WHERE name = '$extension' ORDER BY version");

# A new, empty database.
sub new_database
{
	my $name = shift;
	sql($node, "CREATE DATABASE \"$name\" TEMPLATE template0");
	return $name;
}

# Rows in every catalogue of a database, statistics aside.
sub catalogue_counts
{
	my $dbname = shift;
	return sql($node, q{
		SELECT relname, (xpath('/row/n/text()',
			query_to_xml(format('SELECT count(*) AS n FROM pg_catalog.%I', relname), false, true, '')))[1]
		FROM pg_class
		WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND relname !~ '^pg_statistic'
		ORDER BY relname}, $dbname);
}

# Common to the queries below: the extension's members, and objects by name.
my $members = qq{
	WITH member AS (
		SELECT d.classid, d.objid, i.type, i.identity
		FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i
		WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
		  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = '$extension'))};

# Everything about the extension's objects that a user or a dump can see, by
# name, one fact a line.
sub description_of_members
{
	my $dbname = shift;
	return sql($node, qq{$members,
		acl (classid, objid, items) AS (
			SELECT 'pg_proc'::regclass, oid, proacl FROM pg_proc UNION ALL
			SELECT 'pg_class'::regclass, oid, relacl FROM pg_class UNION ALL
			SELECT 'pg_type'::regclass, oid, typacl FROM pg_type UNION ALL
			SELECT 'pg_namespace'::regclass, oid, nspacl FROM pg_namespace),
		fact (what) AS (
			SELECT format('%s %s', type, identity) FROM member
			UNION ALL
			SELECT format('definition of %s: %s', identity, pg_get_functiondef(objid))
			FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
			WHERE prokind <> 'a'
			UNION ALL
			SELECT format('aggregate %s: %s', identity, to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype}'::text[]
				|| jsonb_build_object('state', aggtranstype::regtype, 'moving', aggmtranstype::regtype))
			FROM member JOIN pg_aggregate a ON classid = 'pg_proc'::regclass AND objid = aggfnoid
			UNION ALL
			SELECT format('relation %s: %s', identity, jsonb_build_object(
				'kind', relkind, 'persistence', relpersistence, 'options', reloptions,
				'row security', relrowsecurity, 'forced', relforcerowsecurity, 'replica identity', relreplident))
			FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
			UNION ALL
			SELECT format('column %s %s of %s: %s', row_number() OVER (PARTITION BY attrelid ORDER BY attnum),
				attname, identity, jsonb_build_object(
				'type', format_type(atttypid, atttypmod), 'not null', attnotnull,
				'default', pg_get_expr(adbin, adrelid), 'identity', attidentity, 'generated', attgenerated,
				'collation', attcollation::regcollation, 'storage', attstorage, 'grants', attacl))
			FROM member JOIN pg_attribute ON classid = 'pg_class'::regclass AND objid = attrelid
			LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
			WHERE attnum > 0 AND NOT attisdropped
			UNION ALL
			SELECT format('view %s: %s', identity, pg_get_viewdef(objid))
			FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid WHERE relkind IN ('v', 'm')
			UNION ALL
			SELECT format('sequence %s: %s', identity, to_jsonb(s) - 'seqrelid')
			FROM member JOIN pg_sequence s ON classid = 'pg_class'::regclass AND objid = seqrelid
			UNION ALL
			SELECT format('constraint %s of %s: %s', conname, identity, pg_get_constraintdef(k.oid))
			FROM member JOIN pg_constraint k
			  ON (classid, objid) IN (('pg_class'::regclass, conrelid), ('pg_type'::regclass, contypid))
			UNION ALL
			SELECT format('index of %s: %s', identity, pg_get_indexdef(indexrelid))
			FROM member JOIN pg_index ON classid = 'pg_class'::regclass AND objid = indrelid
			UNION ALL
			SELECT format('trigger of %s: %s', identity, pg_get_triggerdef(g.oid))
			FROM member JOIN pg_trigger g ON classid = 'pg_class'::regclass AND objid = tgrelid
			WHERE NOT tgisinternal
			UNION ALL
			SELECT format('policy %s of %s: %s', polname, identity,
				jsonb_build_object('command', polcmd, 'using', pg_get_expr(polqual, polrelid),
				'check', pg_get_expr(polwithcheck, polrelid)))
			FROM member JOIN pg_policy ON classid = 'pg_class'::regclass AND objid = polrelid
			UNION ALL
			SELECT format('label %s of %s', enumlabel, identity)
			FROM member JOIN pg_enum ON classid = 'pg_type'::regclass AND objid = enumtypid
			UNION ALL
			SELECT format('grant on %s: %s to %s', identity, privilege_type, grantee::regrole)
			FROM member JOIN acl USING (classid, objid), aclexplode(items)
			UNION ALL
			SELECT format('default grants on %s', identity)
			FROM member JOIN acl USING (classid, objid) WHERE items IS NULL
			UNION ALL
			SELECT format('initial grant on %s %s: %s to %s', identity, objsubid, privilege_type, grantee::regrole)
			FROM member JOIN pg_init_privs p ON (p.classoid, p.objoid) = (classid, objid), aclexplode(initprivs)
			UNION ALL
			SELECT format('comment on %s %s: %s', identity, objsubid, description)
			FROM member JOIN pg_description ON (classoid, objoid) = (classid, objid)
			UNION ALL
			SELECT format('dumped: %s %s', config::regclass, condition)
			FROM pg_extension, unnest(extconfig, extcondition) AS u(config, condition)
			WHERE extname = '$extension'
			UNION ALL
			SELECT format('extension %s %s in %s', extname, extversion, extnamespace::regnamespace)
			FROM pg_extension WHERE extname = '$extension')
		SELECT replace(what, E'\\n', E'\\n  ') FROM fact ORDER BY what COLLATE "C"}, $dbname);
}

# What the scripts put into the extension's tables, times and generated keys
# aside.
sub contents_of_tables
{
	my $dbname = shift;
	return sql($node, qq{$members
		SELECT identity, query_to_xml(format(
			'SELECT to_jsonb(seed) - %L::text[] AS r FROM %s seed ORDER BY (to_jsonb(seed) - %1\$L::text[])::text',
			ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = objid AND NOT attisdropped
				AND (attidentity <> '' OR atttypid = 'timestamptz'::regtype)), identity), false, true, '')
		FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid AND relkind = 'r'
		ORDER BY identity}, $dbname);
}

# Says where two descriptions differ, which is() would drown.
sub same_description
{
	my ($got, $expected, $name) = @_;
	my (%got, %expected);

	@got{ split /\n(?=\S)/, $got } = ();
	@expected{ split /\n(?=\S)/, $expected } = ();
	my @more = sort grep { !exists $expected{$_} } keys %got;
	my @less = sort grep { !exists $got{$_} } keys %expected;
	ok(!@more && !@less, $name) or diag map({ "unexpected: $_\n" } @more), map({ "missing: $_\n" } @less);
}

my $fresh = new_database('fresh');
my $before = catalogue_counts($fresh);
ok(try_sql($node, "CREATE EXTENSION $extension", dbname => $fresh)->{ok}, 'installs into an empty database');

my $description = description_of_members($fresh);

# What people call is in one schema, and fits a screen or two; what serves it is in
# the other.
my $routines = q{SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'documentdb_upgrade'::regnamespace};
cmp_ok(sql($node, "SELECT count(*) FROM ($routines) r", $fresh), '<=', 80, 'there are few functions for people');
is(sql($node, "$routines AND coalesce(obj_description(p.oid, 'pg_proc'), 'serves') ~ '^serves'", $fresh), '', 'each has a comment, and none serves another');
is(sql($node, q{SELECT a.attrelid::regclass || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE c.relnamespace = 'documentdb_upgrade'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
	  AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1}, $fresh), '', 'each column that people read has a comment');
my $contents = contents_of_tables($fresh);

is(sql($node, qq{$members
	SELECT type, identity FROM member
	WHERE obj_description(objid, classid::regclass::name) IS NULL
	  AND NOT EXISTS (SELECT FROM pg_depend d
		WHERE (d.classid, d.objid, d.deptype) = (member.classid, member.objid, 'i'))
	ORDER BY identity}, $fresh),
	'', 'every object of the extension has a comment, but for those that belong to another one');
isnt($description, '', 'and there are objects');

foreach my $version (grep { $_ ne $default } @versions)
{
	my $updated = new_database("from $version");

	ok(try_sql($node, qq{CREATE EXTENSION $extension VERSION '$version'}, dbname => $updated)->{ok},
		"version $version installs");
	my $result = try_sql($node, "ALTER EXTENSION $extension UPDATE", dbname => $updated);
	ok($result->{ok}, "version $version updates to $default") or diag($result->{stderr}), next;
	same_description(description_of_members($updated), $description,
		"updated from $version the objects are those of a fresh $default");
	is(contents_of_tables($updated), $contents, "updated from $version so are the tables' contents");
	sql($node, qq{DROP DATABASE "$updated"});
}

ok(try_sql($node, "DROP EXTENSION $extension", dbname => $fresh)->{ok}, 'drops');
same_description(catalogue_counts($fresh), $before, 'dropping leaves every catalogue as it was');

done_testing();
