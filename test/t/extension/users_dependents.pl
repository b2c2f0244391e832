# What users have built on real extensions: a column of each of their types, a
# view over each of their views and tables.  What the update would do to it,
# guard and rehearsal say, for ALTER EXTENSION shows whether they are right; and
# the statements of outside_objects() bring it through.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

# Extension, its oldest version that installs directly, what it needs.
my @extensions = (
	[ 'pg_stat_statements', '1.4' ],
	[ 'pageinspect', '1.5' ],
	[ 'hstore', '1.4' ],
	[ 'citext', '1.4' ],
	[ 'hll', '2.10' ],
	[ 'tdigest', '1.0.0' ],
	[ 'periods', '1.0', 'btree_gist' ],
	[ 'pg_cron', '1.0' ]);
my @preload = grep { extension_available($_) } qw(pg_stat_statements pg_cron);
my $node = new_node('main', preload => join(', ', @preload), conf => q{
	cron.database_name = 'postgres'
	cron.launch_active_jobs = off});
sql($node, 'CREATE EXTENSION documentdb_upgrade; CREATE SCHEMA app');

my $objects = q{SELECT string_agg(format('%s %s', i.type, i.identity), E'\n' ORDER BY i.type, i.identity) FROM (
	SELECT 'pg_class'::regclass AS class, c.oid, 0 AS part FROM pg_class c WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'v')
	UNION ALL
	SELECT 'pg_class'::regclass, a.attrelid, a.attnum FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	WHERE c.relnamespace = 'app'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped) o,
	pg_identify_object(o.class, o.oid, o.part) i};

sub build
{
	my $extension = shift;
	sql($node, qq{
		DO \$\$
		DECLARE
			member record;
			n integer := 0;
		BEGIN
			CREATE TABLE app.columns (id int);
			FOR member IN
				SELECT d.classid, d.objid, t.typtype, c.relkind FROM pg_depend d
				LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
				LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
				WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
				AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = '$extension')
				ORDER BY d.objid
			LOOP
				n := n + 1;
				IF member.typtype IN ('b', 'd', 'e', 'r') AND format_type(member.objid, NULL) !~ '\\[\\]\$' THEN
					EXECUTE format('ALTER TABLE app.columns ADD column_%s %s', n, member.objid::regtype);
				ELSIF member.relkind IN ('v', 'r') THEN
					EXECUTE format('CREATE VIEW app.view_%s AS SELECT * FROM %s', n, member.objid::regclass);
				END IF;
			END LOOP;
		END
		\$\$;
		INSERT INTO app.columns DEFAULT VALUES;});
}

my $guard = q{SELECT status, detail FROM documentdb_upgrade.preflight() WHERE guard = 'outside_objects'};
foreach (@extensions)
{
	my ($extension, $from, $required) = @$_;
	subtest $extension => sub {
		plan skip_all => "extension $extension $from is not available" unless extension_available($extension, $from);
		my $install = try_sql($node, "BEGIN; CREATE EXTENSION $extension VERSION '$from' CASCADE; ROLLBACK");
		plan skip_all => "extension $extension $from does not install: $install->{message}" unless $install->{ok};
		my $set = "SET documentdb_upgrade.extension = '$extension'; SET client_min_messages = error; ";
		sql($node, "SET client_min_messages = error; CREATE EXTENSION $extension VERSION '$from' CASCADE");
		build($extension);
		my $before = sql($node, $objects);
		note($before);

		# What ALTER EXTENSION does.
		my $plain = try_sql($node, "SET documentdb_upgrade.enforce = off; BEGIN; ALTER EXTENSION $extension UPDATE; $objects; ROLLBACK");
		my %after = map { $_ => 1 } split /\n/, $plain->{stdout} // '';
		my @lost = grep { $plain->{ok} && !$after{$_} } split /\n/, $before;
		my $refused = !$plain->{ok} && $plain->{sqlstate} eq '2BP01';
		note($plain->{ok} ? 'lost: ' . join(', ', @lost) : $plain->{stderr});

		like(sql($node, "$set $guard"), $refused || @lost ? qr/^warn\|/ : qr/^(?:pass|warn)\|/, 'the guard warns of what would go or is in the way');
		is(sql($node, "$set SELECT concat_ws(' ', outcome, sqlstate) FROM documentdb_upgrade.rehearse()"),
			$plain->{ok} ? 'passed' : "failed $plain->{sqlstate}", 'a rehearsal ends as ALTER EXTENSION does');
		is(sql($node, qq{SELECT string_agg(format('%s %s', f->>'kind', f->>'identity'), E'\\n' ORDER BY f->>'kind', f->>'identity')
				FROM (SELECT report FROM documentdb_upgrade.rehearsals ORDER BY id DESC LIMIT 1) r, jsonb_array_elements(r.report->'outside') f
				WHERE f->>'effect' = 'removed'}), join("\n", @lost), 'and names what that takes');
		like(sql($node, "$set $guard"), $refused || @lost ? qr/^fail\|/ : qr/^(?:pass|warn)\|/, 'then the guard knows');

		# The statements bring it through, unless the new version has other columns.
		my @save = split /\x1e/, sql($node, "$set SELECT string_agg(save_statement, E'\\x1e') FROM documentdb_upgrade.outside_objects()");
		my @restore = reverse split /\x1e/, sql($node, "$set SELECT string_agg(restore_statement, E'\\x1e') FROM documentdb_upgrade.outside_objects()");
		my $through = try_sql($node, join "\n", $set, 'BEGIN;', @save, 'SELECT outcome FROM documentdb_upgrade.finalize();', @restore, 'COMMIT;');
		if ($through->{ok})
		{
			is(sql($node, $objects), $before, 'everything is there after the finalize');
		}
		else
		{
			is($through->{sqlstate}, '42703', 'only columns that the new version lacks stop them') or diag($through->{stderr});
			note($through->{stderr});
		}
		sql($node, "SET client_min_messages = error; DROP EXTENSION $extension CASCADE; DROP SCHEMA app CASCADE; CREATE SCHEMA app");
	};
}

done_testing();
