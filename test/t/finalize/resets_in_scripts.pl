# Whatever gives a setting back its session's default, in a script or a check,
# does not bring in what the caller's role has: with a search_path of its own a
# role would have its functions called as the script's owner.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => "documentdb_upgrade.extension = 'served'\nwork_mem = '5MB'");

my $note = q{CREATE TABLE noted_%d AS SELECT 'a'::text = 'a'::text AS same, concat_ws('; ',
	current_setting('search_path'), current_setting('DateStyle'), current_setting('work_mem'),
	current_setting('plpgsql.check_asserts')) AS seen;};
my @forms = (
	q{SELECT set_config('search_path', NULL, false); SELECT set_config('DateStyle', NULL, true)},
	q{SELECT set_config(name, NULL, false) FROM unnest(ARRAY['search_path', 'DateStyle', 'work_mem', 'PLPGSQL.CHECK_ASSERTS']) name},
	q{RESET ALL},
	q{DO $$ BEGIN PERFORM set_config('search_path', NULL, false); PERFORM set_config('plpgsql.check_asserts', NULL, false);
		ASSERT 'a'::text <> 'a'::text; EXCEPTION WHEN assert_failure THEN NULL; END $$},
	q{DO $$ DECLARE ignored text; BEGIN ignored := set_config('search_path', NULL, false); END $$},
	q{CREATE FUNCTION f() RETURNS void LANGUAGE sql SET work_mem = '1MB' AS $$ SELECT set_config('search_path', NULL, false); RESET work_mem; $$;
		SELECT f(); RESET DateStyle},
	q{PREPARE p AS SELECT set_config('search_path', NULL, false); EXECUTE p; DEALLOCATE p; SET LOCAL work_mem TO DEFAULT});
my %scripts = ('1.0' => '');
for my $n (1 .. @forms)
{
	$scripts{ '1.' . ($n - 1) . "--1.$n" } = sprintf("%s; $note", $forms[$n - 1], $n);
}
my $last = '1.' . @forms;
write_extension($node, 'served', '2.4', %scripts,
	"$last--2.0" => q{SET DateStyle = 'SQL, DMY'; SET search_path = pg_catalog; RESET work_mem;
		CREATE TABLE public.own AS SELECT current_setting('DateStyle') || '; ' || current_setting('search_path') AS seen},
	'2.0--2.1' => q{SELECT set_config('search_path', NULL, false), public.compare()},
	'2.0--2.2' => q{DO $$ DECLARE ignored text; BEGIN ignored := set_config('search_path', NULL, false);
		INSERT INTO public.trapped SELECT 'in vain' WHERE 'a'::text = 'a'::text; END $$});

sql($node, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE EXTENSION served VERSION '1.0';
	CREATE ROLE operator LOGIN;
	CREATE TABLE public.trapped (who name);
	GRANT INSERT ON public.trapped TO PUBLIC;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to, documentdb_upgrade.rehearse TO operator;
	CREATE SCHEMA trap AUTHORIZATION operator;
	SET SESSION AUTHORIZATION operator;
	CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.trapped VALUES (current_user);
		RETURN $1 OPERATOR(pg_catalog.=) $2;
	END $$;
	CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
	RESET SESSION AUTHORIZATION;
	ALTER ROLE operator SET search_path = trap, pg_catalog;
	ALTER ROLE operator SET DateStyle = 'German';
	ALTER ROLE operator SET work_mem = '9MB';
	ALTER ROLE operator SET plpgsql.check_asserts = off});

sub trapped { return sql($node, q{SELECT string_agg(DISTINCT who, ',') FROM public.trapped}); }

for my $n (1 .. @forms)
{
	my $result = try_sql($node, "SELECT (documentdb_upgrade.finalize_to('1.$n')).outcome", user => 'operator');
	is($result->{stdout}, 'succeeded', "runs: $forms[$n - 1]") or diag($result->{stderr});
	is(sql($node, "SELECT seen FROM public.noted_$n"), 'public, pg_temp; ISO, MDY; 5MB; on', 'and brings nothing of the caller');
}
is(trapped(), '', 'no function of the caller was called');

my $result = try_sql($node, "SELECT (documentdb_upgrade.finalize_to('2.0')).outcome", user => 'operator');
is(sql($node, 'SELECT seen FROM public.own'), 'SQL, DMY; pg_catalog', 'what a script sets itself stays')
	or diag($result->{stderr});

# Within one statement it cannot be put right in time.
sql($node, q{CREATE FUNCTION public.compare() RETURNS void LANGUAGE plpgsql
	AS $$ BEGIN PERFORM 1 WHERE 'a'::text = 'a'::text; END $$});
for my $target ('2.1', '2.2')
{
	$result = try_sql($node, "SELECT documentdb_upgrade.finalize_to('$target')", user => 'operator');
	is($result->{sqlstate}, '0A000', 'a statement that goes on after a reset is refused');
	like($result->{message}, qr/setting "search_path" was reset in the middle of a statement/, 'and named');
}
is(trapped(), '', 'before it calls anything');

# Checks run as their owners.
sql($node, q{
	CREATE FUNCTION public.check_1() RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM set_config('search_path', NULL, false);
		RESET DateStyle;
		ASSERT current_setting('search_path') = 'pg_catalog, pg_temp' AND current_setting('DateStyle') = 'ISO, MDY';
		PERFORM 1 WHERE 'a'::text = 'a'::text;
		RETURN true;
	END $$;
	CREATE FUNCTION public.check_2() RETURNS boolean LANGUAGE sql AS $$
		SELECT set_config('search_path', NULL, false); RESET ALL; SELECT 'a'::text = 'a'::text $$;
	INSERT INTO documentdb_upgrade.checks (name, kind, function)
	SELECT kind || n, kind, format('public.check_%s()', n) FROM unnest(ARRAY['pre', 'post']) kind, generate_series(1, 2) n});
write_extension($node, 'served', '2.4', '2.0--2.3' => '', '2.3--2.4' => '');
is(try_sql($node, "SELECT outcome, message FROM documentdb_upgrade.rehearse('2.3')", user => 'operator')->{stdout},
	'passed|', 'checks that reset settings, in a rehearsal');
is(try_sql($node, "SELECT outcome FROM documentdb_upgrade.finalize_to('2.3')", user => 'operator')->{stdout},
	'succeeded', 'and in a finalize');
is(trapped(), '', 'call nothing of the caller either');

# The session is the caller's again.
is(try_sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize_to('2.4');
	SELECT set_config('search_path', NULL, false); SHOW DateStyle; SHOW work_mem}, user => 'operator')->{stdout},
	"succeeded\ntrap, pg_catalog\nGerman, DMY\n9MB", 'afterwards a reset is a reset');

done_testing();
