# What a rehearsal says is granted and revoked is the difference that the
# finalize then makes in what every object grants.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Objects;
use DocumentdbUpgrade::Test;
use Test::More;

my @steps = (
	[ 'existing objects' => q{
		GRANT SELECT, UPDATE ON kept TO reader; GRANT INSERT ON kept TO writer WITH GRANT OPTION; GRANT SELECT ON kept TO PUBLIC;
		GRANT UPDATE (t) ON kept TO reader; GRANT SELECT (ctid) ON kept TO writer; GRANT USAGE ON SEQUENCE kept_id_seq TO reader;
		GRANT SELECT ON shown, summary TO PUBLIC; GRANT USAGE ON SCHEMA own TO PUBLIC;
		GRANT USAGE ON TYPE pair, mood, digits TO reader; REVOKE USAGE ON TYPE mood FROM PUBLIC;
		REVOKE ALL ON FUNCTION f() FROM PUBLIC; GRANT EXECUTE ON FUNCTION f() TO writer; GRANT EXECUTE ON PROCEDURE p() TO reader;
		GRANT USAGE ON FOREIGN DATA WRAPPER wrapper TO reader; GRANT USAGE ON FOREIGN SERVER server TO reader;
		GRANT USAGE ON LANGUAGE plpgsql TO reader; REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
		GRANT CREATE ON DATABASE postgres TO reader; REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
		GRANT CREATE ON TABLESPACE pg_default TO reader; GRANT SET ON PARAMETER log_statement TO reader;} ],
	[ 'there and back' => q{
		GRANT SELECT ON kept TO writer; REVOKE SELECT ON kept FROM writer; REVOKE ALL ON kept FROM PUBLIC;
		REVOKE INSERT ON kept FROM writer; GRANT INSERT ON kept TO writer;
		REVOKE ALL (t) ON kept FROM reader; GRANT ALL ON FUNCTION f() TO PUBLIC; GRANT SELECT ON kept TO postgres;
		REVOKE ALL ON PARAMETER log_statement FROM reader; REVOKE ALL ON shown FROM postgres;} ],
	[ 'default privileges' => q{
		ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
		ALTER DEFAULT PRIVILEGES IN SCHEMA own GRANT SELECT ON TABLES TO reader; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO PUBLIC;
		ALTER DEFAULT PRIVILEGES FOR ROLE writer GRANT SELECT ON SEQUENCES TO reader;} ],
	[ 'what is made under them' => q{
		CREATE FUNCTION own.g() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE own.t (id serial, t text); CREATE VIEW own.v AS SELECT 1 AS one;
		CREATE TYPE own.pair AS (a int); CREATE TYPE own.mood AS ENUM ('sad'); CREATE DOMAIN own.digits AS text; CREATE SCHEMA another;
		CREATE FUNCTION own.h() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION own.h() TO PUBLIC;} ],
	[ 'what has its own' => q{
		CREATE TABLE own.u (id serial, t text); GRANT SELECT (t) ON own.u TO writer; REVOKE ALL ON own.u FROM reader;
		CREATE TYPE own.triple AS (a int); GRANT USAGE ON TYPE own.triple TO reader; GRANT USAGE ON TYPE own.u TO reader;
		CREATE AGGREGATE own.total (int) (sfunc = int4pl, stype = int); GRANT EXECUTE ON FUNCTION own.total(int) TO writer;} ],
	[ 'default privileges that change and go' => q{
		ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO writer;
		ALTER DEFAULT PRIVILEGES IN SCHEMA own REVOKE SELECT ON TABLES FROM reader; ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM PUBLIC;} ],
	[ 'made anew' => q{
		DROP FUNCTION f(); CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION f() TO reader;
		CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS 'SELECT 2';
		DROP VIEW shown; CREATE VIEW shown AS SELECT 3 AS three; GRANT SELECT ON shown TO writer;
		DROP TABLE own.u; CREATE TABLE own.u (id serial, t text); GRANT SELECT (t) ON own.u TO writer; GRANT UPDATE (id) ON own.u TO writer;
		DROP TYPE own.triple; CREATE TYPE own.triple AS (a bigint); GRANT USAGE ON TYPE own.triple TO reader;} ],
	[ 'owners' => q{
		ALTER TABLE kept OWNER TO writer; ALTER FUNCTION own.g() OWNER TO writer; ALTER FUNCTION own.h() OWNER TO writer;
		ALTER TYPE mood OWNER TO writer; ALTER TYPE pair OWNER TO writer; ALTER SCHEMA own OWNER TO writer; ALTER VIEW own.v OWNER TO writer;} ],
	[ 'roles' => q{
		CREATE ROLE made; GRANT reader TO made; GRANT made TO member WITH ADMIN OPTION; REVOKE reader FROM member; GRANT writer TO member WITH ADMIN OPTION;
		GRANT pg_monitor TO reader; GRANT SELECT ON own.t TO made; REASSIGN OWNED BY leaver TO writer; DROP OWNED BY leaver; DROP ROLE leaver;} ],
	[ 'what goes' => q{
		DROP TABLE own.t; DROP FUNCTION own.g(); DROP TYPE own.mood; DROP SCHEMA another; REVOKE writer FROM member; REVOKE ADMIN OPTION FOR made FROM member;
		DROP TYPE own.triple; DROP FOREIGN DATA WRAPPER wrapper CASCADE; DROP TABLE own.u;} ]);

my $node = new_node('main', own_installation => 1, conf => q{
	autovacuum = off
	documentdb_upgrade.guard_severity = 'outside_objects=skip'});
my %scripts = ('1.0' => q{
	CREATE TABLE kept (id serial, t text); CREATE VIEW shown AS SELECT 1 AS one; CREATE MATERIALIZED VIEW summary AS SELECT 1 AS one;
	CREATE SCHEMA own; CREATE TYPE pair AS (a int); CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN digits AS text;
	CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';
	CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER server FOREIGN DATA WRAPPER wrapper;
	CREATE FUNCTION of_leaver() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION of_leaver() OWNER TO leaver;
	GRANT SELECT ON summary TO leaver;});
$scripts{ '1.' . $_ . '--1.' . ($_ + 1) } = $steps[$_][1] foreach 0 .. $#steps;
write_extension($node, 'grants', '1.' . @steps, %scripts);
sql($node, q{CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE member IN ROLE reader; CREATE ROLE leaver IN ROLE writer;
	CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION grants VERSION '1.0'});

foreach my $n (1 .. @steps)
{
	my ($what, $set) = ($steps[ $n - 1 ][0], q{SET client_min_messages = error; SET documentdb_upgrade.extension = 'grants';});
	my ($id, $outcome, $message) = split /\|/, sql($node, "$set SELECT id, outcome, message FROM documentdb_upgrade.rehearse('1.$n')");
	is($outcome, 'passed', "the rehearsal passes: $what") or diag($message);
	my $before = privileges_of($node);
	sql($node, "$set SELECT FROM documentdb_upgrade.finalize_to('1.$n')");
	my $fact = compare_privileges($before, privileges_of($node));
	cmp_ok(scalar @$fact, '>=', 2, @$fact . ' privileges change');
	is_deeply(predicted_privileges($node, $id), $fact, 'which was foretold') or note explain { said => predicted_privileges($node, $id), fact => $fact };
}

done_testing();
