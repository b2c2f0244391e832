# Digests of members are stored: those that 1.0.0 has recorded are the digests
# of today, for each kind of member, whatever the database sorts by.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', own_installation => 1);
my $script = extension_file($node, 'documentdb_upgrade--1.0.0.sql');
plan skip_all => 'there is no script of 1.0.0' if !-e $script;

my ($before) = slurp_file($script) =~ /^(CREATE FUNCTION member_definitions\(.*?^\$\$;\n)/ms;
ok(defined $before && $before =~ s/FUNCTION member_definitions/FUNCTION before.member_definitions/, 'the function of 1.0.0 is found');

# What no shipped extension has: the members of one of ours, and of each kind one.
my $odd = q{
	CREATE TABLE "Odd Table" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "a b" text DEFAULT 'x' COLLATE "C", n int CHECK (n > 0),
		twice int GENERATED ALWAYS AS (n * 2) STORED, UNIQUE (n));
	CREATE TABLE part (k int) PARTITION BY LIST (k);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
	CREATE TABLE "part b" PARTITION OF part FOR VALUES IN (2);
	SELECT pg_extension_config_dump('"Odd Table"', 'WHERE id > 5');
	SELECT pg_extension_config_dump('part_1', '');
	SELECT pg_extension_config_dump('"part b"', '');
	CREATE MATERIALIZED VIEW sums AS SELECT sum(n) AS n FROM "Odd Table";
	CREATE RULE quiet AS ON DELETE TO part_1 DO INSTEAD NOTHING;
	CREATE STATISTICS stats (dependencies) ON id, n FROM "Odd Table";
	CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
	CREATE TYPE mood AS ENUM ('it''s', 'good');
	CREATE TYPE pair AS ("a b" text COLLATE "C", n numeric(5, 2)[]);
	CREATE DOMAIN positive AS numeric(8, 2) DEFAULT 1 NOT NULL CHECK (VALUE > 0) CHECK (VALUE < 100);
	CREATE TYPE shell;
	CREATE FUNCTION in_sql(n int DEFAULT 2, VARIADIC rest text[] DEFAULT '{}') RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n + 1; END;
	CREATE FUNCTION "With Settings"(OUT a int, OUT "B" text) LANGUAGE sql COST 7 SET search_path = public AS 'SELECT 1, ''é''';
	CREATE PROCEDURE nothing(INOUT n int) LANGUAGE plpgsql AS 'BEGIN END';
	CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '7');
	CREATE AGGREGATE middle(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
	CREATE FUNCTION on_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE EVENT TRIGGER odd_trigger ON ddl_command_end WHEN TAG IN ('CREATE RULE') EXECUTE FUNCTION on_event();
	CREATE FOREIGN DATA WRAPPER odd_wrapper OPTIONS (a '1');
	CREATE SERVER odd_server VERSION '2' FOREIGN DATA WRAPPER odd_wrapper OPTIONS (b '2');
	CREATE FOREIGN TABLE odd_foreign (a int) SERVER odd_server;
	CREATE COLLATION odd_collation (provider = libc, locale = 'C');
	CREATE CONVERSION odd_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
	CREATE TEXT SEARCH DICTIONARY odd_dictionary (TEMPLATE = simple, accept = false);
	CREATE TEXT SEARCH CONFIGURATION odd_configuration (COPY = simple);
	CREATE ACCESS METHOD odd_method TYPE TABLE HANDLER heap_tableam_handler;
	CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
	CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same, COMMUTATOR = ===, RESTRICT = eqsel, HASHES);
	CREATE OPERATOR FAMILY "Odd Family" USING btree;
	ALTER OPERATOR FAMILY "Odd Family" USING btree ADD OPERATOR 1 < (int2, int8), OPERATOR 3 = (int2, int8), FUNCTION 1 (int2, int8) btint28cmp(int2, int8);
	GRANT SELECT ON "Odd Table" TO PUBLIC;
	GRANT UPDATE ON part_1 TO pg_monitor WITH GRANT OPTION;
};
write_extension($node, 'du_odd', '1.0', '1.0' => $odd);
append_to_file(extension_file($node, 'du_odd.control'), "requires = 'plpgsql'\nencoding = 'UTF8'\n");

my @shipped = grep { !/^(?:documentdb|du_)/ && !/-3$/ } split /\n/, sql($node, q{SELECT name FROM pg_available_extensions ORDER BY name});

# In one database: both functions, all extensions that can be created.
sub compare
{
	my ($dbname, $options, @extensions) = @_;
	sql($node, "CREATE DATABASE $dbname TEMPLATE template0 $options");
	sql($node, 'CREATE EXTENSION documentdb_upgrade', $dbname);
	sql($node, "CREATE SCHEMA before; $before", $dbname);
	my @created = grep { $node->psql($dbname, qq{SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS "$_" CASCADE}) == 0 } @extensions;
	is(sql($node, q{
		WITH old AS (SELECT e.extname, d.* FROM pg_extension e, before.member_definitions(e.extname) d),
			new AS (SELECT e.extname, d.* FROM pg_extension e, documentdb_upgrade.member_definitions(e.extname) d)
		SELECT extname, kind, identity, old.digest IS DISTINCT FROM new.digest, old.privileges, new.privileges
		FROM old FULL JOIN new USING (extname, kind, identity)
		WHERE (old.digest, old.privileges) IS DISTINCT FROM (new.digest, new.privileges) ORDER BY 1, 2, 3}, $dbname),
		'', "$dbname: the same members, digests and privileges, of " . scalar(@created) . ' extensions');
	return @created;
}

my %created = map { $_ => 1 } compare('sorted_by_bytes', q{ENCODING 'UTF8' LOCALE 'C'}, 'du_odd', 'du_members', @shipped);
ok($created{du_odd} && $created{du_members}, 'those made for this are among them');
my $kinds = sql($node, q{SELECT string_agg(DISTINCT kind, ', ' ORDER BY kind) FROM pg_extension e, documentdb_upgrade.member_definitions(e.extname)}, 'sorted_by_bytes');
note("kinds: $kinds");
cmp_ok(scalar(split /, /, $kinds), '>=', 24, 'there are members of each kind');
SKIP:
{
	skip 'the server is built without ICU', 1 if sql($node, q{SELECT count(*) FROM pg_collation WHERE collprovider = 'i'}) eq '0';
	compare('sorted_as_people_do', q{ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'}, 'du_odd', 'du_members', 'hstore', 'btree_gist');
}
compare('of_another_encoding', q{ENCODING 'LATIN1' LOCALE 'C'}, 'du_odd', 'du_members');
done_testing();
