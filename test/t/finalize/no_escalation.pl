# Code of others that runs in the middle of ours, a version function, a check,
# a script that resets settings, cannot leave anything behind that our own
# statements would then run with a superuser's rights.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => "documentdb_upgrade.extension = 'served'");

# The trap: an operator that whoever looks for = finds first once search_path
# is theirs.  It notes as whom it was called.
sub trap_schema
{
	my ($role) = @_;
	return qq{
		CREATE SCHEMA trap_$role AUTHORIZATION $role;
		SET SESSION AUTHORIZATION $role;
		CREATE FUNCTION trap_$role.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS \$\$
		BEGIN
			INSERT INTO public.trapped VALUES (current_user);
			RETURN \$1 OPERATOR(pg_catalog.=) \$2;
		END \$\$;
		CREATE OPERATOR trap_$role.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap_$role.equal);
		RESET SESSION AUTHORIZATION;};
}

sub trapped
{
	return sql($node, q{SELECT string_agg(DISTINCT who, ',') FROM public.trapped
		WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = who)});
}

my $compare = q{CREATE TABLE compared_%s AS SELECT 'a'::text = 'a'::text AS same, current_setting('search_path') AS path,
	current_setting('DateStyle') AS dates;};
my $body = sub { my ($n, $sql) = @_; return $sql . ';' . sprintf($compare, $n) };
write_extension($node, 'served', '1.4',
	'1.0' => '',
	'1.0--1.1' => $body->(1, 'SET search_path = pg_catalog; RESET search_path'),
	'1.1--1.2' => $body->(2, 'RESET ALL'),
	'1.2--1.3' => $body->(3, 'DO $$ BEGIN SET search_path TO DEFAULT; SET DateStyle TO DEFAULT; END $$'),
	'1.3--1.4' => $body->(4, 'CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SET work_mem = \'1MB\'
		AS $$ BEGIN RESET search_path; END $$; SELECT f()'));

sql($node, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE EXTENSION served VERSION '1.0';
	CREATE ROLE operator LOGIN;
	CREATE ROLE checker;
	CREATE ROLE owner;
	CREATE TABLE public.trapped (who name);
	GRANT INSERT ON public.trapped TO PUBLIC;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to TO operator;
	ALTER ROLE operator SET DateStyle = 'German';
	ALTER ROLE operator SET search_path = trap_operator, pg_catalog;
} . join '', map { trap_schema($_) } qw(operator checker owner));

for my $n (1 .. 4)
{
	my $result = try_sql($node, "SELECT (documentdb_upgrade.finalize_to('1.$n')).outcome", user => 'operator');
	is($result->{stdout}, 'succeeded', "a script that resets settings runs ($n)") or diag($result->{stderr});
	is(sql($node, "SELECT path || '; ' || dates FROM public.compared_$n"),
		'public, pg_temp; ISO, MDY', 'and what the server and we have set for it stays');
}
is(trapped(), '', 'the role\'s own search_path never reaches a script');

# A check that leaves a search_path and a deferred trigger.
sql($node, q{
	CREATE TABLE trap_checker.queue (n int);
	ALTER TABLE trap_checker.queue OWNER TO checker;
	CREATE FUNCTION trap_checker.fire() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN INSERT INTO public.trapped VALUES (current_user); RETURN NULL; END $$;
	ALTER FUNCTION trap_checker.fire() OWNER TO checker;
	CREATE CONSTRAINT TRIGGER t AFTER INSERT ON trap_checker.queue DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION trap_checker.fire();
	CREATE FUNCTION trap_checker.check() RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM set_config('search_path', 'trap_checker, pg_catalog', false);
		INSERT INTO trap_checker.queue VALUES (1);
		RETURN true;
	END $$;
	ALTER FUNCTION trap_checker.check() OWNER TO checker;
	INSERT INTO documentdb_upgrade.checks (name, kind, function)
		VALUES ('a', 'pre', 'trap_checker.check()'), ('b', 'post', 'trap_checker.check()')});
write_extension($node, 'served', '1.5', '1.4--1.5' => '');
is(sql($node, q{SELECT (documentdb_upgrade.finalize_to('1.5')).outcome; SHOW search_path}),
	qq{succeeded\n"\$user", public}, 'a check leaves no settings');
is(trapped(), '', 'and nothing that runs later as somebody else');

# A version function that the owner of the extension has added.
sql($node, q{
	DELETE FROM documentdb_upgrade.checks;
	CREATE TABLE trap_owner.queue (n int);
	ALTER TABLE trap_owner.queue OWNER TO owner;
	CREATE FUNCTION trap_owner.fire() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN INSERT INTO public.trapped VALUES (current_user); RETURN NULL; END $$;
	ALTER FUNCTION trap_owner.fire() OWNER TO owner;
	CREATE CONSTRAINT TRIGGER t AFTER INSERT ON trap_owner.queue DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION trap_owner.fire();
	CREATE FUNCTION trap_owner.version() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM set_config('search_path', 'trap_owner, pg_catalog', false);
		RETURN '1.5';
	END $$;
	ALTER FUNCTION trap_owner.version() OWNER TO owner;
	ALTER EXTENSION served ADD FUNCTION trap_owner.version();
	UPDATE pg_extension SET extowner = 'owner'::regrole WHERE extname = 'served';
	ALTER DATABASE postgres SET documentdb_upgrade.loaded_version_function = 'trap_owner.version'});
is(sql($node, q{SELECT documentdb_upgrade.loaded_version();
	SELECT loaded_version FROM documentdb_upgrade.versions; SHOW search_path}),
	qq{1.5\n1.5\n"\$user", public}, 'a version function tells its version and leaves no settings');
sql($node, q{
	CREATE OR REPLACE FUNCTION trap_owner.version() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO trap_owner.queue VALUES (1);
		RETURN '1.5';
	END $$});
sql($node, q{SET client_min_messages = error; SELECT documentdb_upgrade.loaded_version()});
is(trapped(), '', 'and nothing that runs later as somebody else');

done_testing();
