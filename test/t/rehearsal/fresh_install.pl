# A scratch rehearsal compares what the update leaves with what CREATE EXTENSION
# makes of the same version, and the report after the upgrade knows it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', preload => 1, own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'drift'
	documentdb_upgrade.managed_extensions = 'friend, drift'
	documentdb_upgrade.poll_interval = '1h'});
write_extension($node, 'friend', '1.1', '1.0' => '', '1.1' => 'CREATE TABLE friends (id int);', '1.0--1.1' => '');
write_extension($node, 'drift', '1.1',
	'1.0' => q{CREATE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION old() RETURNS int LANGUAGE sql AS 'SELECT 0';
		CREATE FUNCTION p() RETURNS int LANGUAGE sql AS 'SELECT 5';},
	'1.1' => q{CREATE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 2'; CREATE FUNCTION b() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE FUNCTION p() RETURNS int LANGUAGE sql AS 'SELECT 5'; REVOKE ALL ON FUNCTION p() FROM PUBLIC;},
	'1.0--1.1' => q{CREATE OR REPLACE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 3';});
sql($node, q{CREATE EXTENSION friend VERSION '1.0'; CREATE EXTENSION drift VERSION '1.0'; CREATE EXTENSION documentdb_upgrade});

my $check = q{SELECT status, detail FROM documentdb_upgrade.post_upgrade_report() WHERE check_name = 'fresh_install'};
my $differences = q{SELECT string_agg(concat_ws(' ', d->>'what', d->>'extension', d->>'kind', d->>'identity'), '; ')
	FROM documentdb_upgrade.rehearsals r, jsonb_array_elements(r.report #> '{fresh,differences}') d WHERE r.id = (SELECT max(id) FROM documentdb_upgrade.rehearsals)};

my $result = try_sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)});
is($result->{stdout}, 'passed', 'a rehearsal');
like($result->{stderr}, qr/WARNING:.*the update leaves other members than a fresh installation.*\nDETAIL:  4 differ: /, 'warns');
is(sql($node, $differences),
	'different drift function public.a(); left over drift function public.old(); missing drift function public.b(); missing friend table public.friends; other privileges drift function public.p()',
	'of what is missing, different and left over, in companions as well');
like(sql($node, 'SELECT documentdb_upgrade.rehearsal_report()'),
	qr/^Not as CREATE EXTENSION drift VERSION '1\.1' makes it:\n  different: function public\.a\(\)\n  left over: function public\.old\(\)\n  missing: function public\.b\(\)\n  missing: table public\.friends\n  other privileges: function public\.p\(\)$/m,
	'the report lists it');
is(sql($node, q{SELECT report ? 'members' FROM documentdb_upgrade.rehearsals}), 'f', 'the list of all members is not kept');
is(sql($node, $check), 'skip|No scratch rehearsal has compared this version with a fresh installation.', 'before the upgrade it says nothing of the version');
is(sql($node, 'SELECT count(*) FROM pg_database'), '3', 'no database is left');

sql($node, q{SELECT documentdb_upgrade.finalize()});
is(sql($node, $check), 'warn|4 members are not as a fresh installation has them: function public.a() (different), function public.b() (missing), function public.old() (left over), table public.friends (missing).',
	'after it the report does');
sql($node, q{CREATE FUNCTION b() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE OR REPLACE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 2';
	ALTER EXTENSION drift ADD FUNCTION b(); ALTER EXTENSION drift DROP FUNCTION old(); CREATE TABLE friends (id int); ALTER EXTENSION friend ADD TABLE friends});
is(sql($node, $check), 'pass|All members are as a fresh installation has them.', 'until somebody has mended it');

# Where no fresh one can be had the rehearsal is what it was.
write_extension($node, 'drift', '1.2', '1.1--1.2' => '', '1.2' => 'SELECT 1/0;');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)}), 'passed', 'an install script that fails');
like(sql($node, 'SELECT documentdb_upgrade.rehearsal_report()'), qr/^Not compared with a fresh installation: .*division by zero/m, 'is told');
is(sql($node, q{SELECT outcome, report ? 'fresh', report ? 'members' FROM documentdb_upgrade.rehearse()}), 'passed|f|f', 'in place nothing is compared');
write_extension($node, 'drift', '1.2', '1.1--1.2' => 'SELECT 1/0;');
is(sql($node, q{SELECT outcome, report ? 'fresh', report ? 'members' FROM documentdb_upgrade.rehearse(scratch => true)}), 'failed|f|f', 'nor after a failure');

# The same scripts leave the same.
write_extension($node, 'drift', '1.2', '1.1--1.2' => '', '1.2' => q{CREATE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 3'; CREATE FUNCTION old() RETURNS int LANGUAGE sql AS 'SELECT 0';
	CREATE FUNCTION p() RETURNS int LANGUAGE sql AS 'SELECT 5';}, '1.1' => q{CREATE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 3';
	CREATE FUNCTION old() RETURNS int LANGUAGE sql AS 'SELECT 0'; CREATE FUNCTION p() RETURNS int LANGUAGE sql AS 'SELECT 5';});
$result = try_sql($node, q{SELECT outcome, report->'fresh' FROM documentdb_upgrade.rehearse(scratch => true)});
is($result->{stdout}, 'passed|{"differences": []}', 'no difference');
unlike($result->{stderr}, qr/WARNING/, 'no warning');

done_testing();
