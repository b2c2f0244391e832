# The library in memory is the file on disk, and the control file is of another
# release: no restart cures that.  Only what stands for the same library is held
# against it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Library;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = library_node('main', preload => 'documentdb_upgrade, standin');
my $same_release = qr/Its file is the one in memory, so install library and control file of the same release, then restart/;

announce($node, '1.1');
like(guard($node), qr/^fail\|The library of extension "standin" in memory reports version "1\.0", the control file says "1\.1"\.\|$same_release/,
	'a control file that is newer than the library');
is(try_sql($node, 'SELECT documentdb_upgrade.finalize()')->{sqlstate}, '55000', 'nothing is finalized with it');
is(sql($node, q{SELECT installed_version, binary_version, loaded_version FROM documentdb_upgrade.versions}), '1.0|1.1|1.0', 'versions shows it');

announce($node, '0.9');
like(guard($node), qr/^fail\|.*reports version "1\.0", the control file says "0\.9"\.\|$same_release/, 'one that is older');
announce($node, '1.0.0');
like(guard($node), qr/^pass\|/, 'another spelling is the same version');

# The next release comes as a library of another name: the old one is not
# asked about it.
announce($node, '1.1', module_pathname => '$libdir/standin-1.1');
like(guard($node), qr/^pass\|/, 'a control file that names another library');
announce($node, '1.1');

# A function that is none of a library tells nothing about what is in memory.
sql($node, q{ALTER EXTENSION standin DROP FUNCTION standin_version();
	ALTER FUNCTION standin_version() RENAME TO of_the_library;
	CREATE FUNCTION standin_version() RETURNS text LANGUAGE sql AS $$ SELECT '0.1' $$;
	ALTER EXTENSION standin ADD FUNCTION standin_version()});
like(guard($node), qr/^pass\|/, 'a version function in SQL');
is(sql($node, 'SELECT documentdb_upgrade.loaded_version()'), '0.1', 'shows what it shows');
sql($node, q{ALTER EXTENSION standin DROP FUNCTION standin_version();
	DROP FUNCTION standin_version();
	ALTER FUNCTION of_the_library() RENAME TO standin_version;
	ALTER EXTENSION standin ADD FUNCTION standin_version()});

# One that the library lacks.
put_library($node, '1.1', '-DSTANDIN_MUTE');
$node->restart;
like(guard($node), qr/^warn\|The library of extension "standin" does not tell its version: could not find function "standin_version".*\.\|Restart PostgreSQL if/,
	'a version function that the library lacks');
put_library($node, '1.0');
$node->restart;

# A schema that somebody updates with the old library in memory.
put_library($node, '1.1');
my $refused = try_sql($node, 'ALTER EXTENSION standin UPDATE');
is($refused->{sqlstate}, '55000', 'a plain update over the old library is refused');
like($refused->{stderr}, qr/refused by guard "library_loaded".*Restart PostgreSQL to load the new library/s, 'with what to do');
sql($node, 'SET documentdb_upgrade.enforce = off; ALTER EXTENSION standin UPDATE');
is(sql($node, q{SELECT installed_version, loaded_version, state, next_step ~ 'Restart PostgreSQL to load the new library\.$' FROM documentdb_upgrade.status}),
	'1.1|1.0|verifying|t', 'a schema that was updated over the old library is not in force');
ok($node->poll_query_until('postgres', q{SELECT state = 'verifying' FROM documentdb_upgrade.status WHERE worker_pid IS NOT NULL}),
	'the worker is of the same opinion');
$node->restart;
ok($node->poll_query_until('postgres', q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), 'until the restart');

done_testing();
