# Since PostgreSQL 18 control files are searched for in a path, and the first one
# counts: where that hides another one, both are named.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my ($major) = `pg_config --version` =~ /(\d+)/;
plan skip_all => 'extension_control_path is of 18' if $major < 18;

my $front = PostgreSQL::Test::Utils::tempdir() . '/front';
my $node = new_node('main', own_installation => 1, conf => qq{
	documentdb_upgrade.extension = 'thing'
	extension_control_path = '$front:\$system'});
write_extension($node, 'thing', '2.0', '1.0' => '', '1.0--2.0' => '');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'});
my $guard = q{SELECT status, detail FROM documentdb_upgrade.preflight('2.0') WHERE guard = 'within_binary'};

is(sql($node, $guard), 'pass|This binary offers up to "2.0".', 'one control file');

# An older one in front of it.
mkdir $_ or die "could not make a directory: $!\n" foreach $front, "$front/extension";
append_to_file("$front/extension/thing.control", "default_version = '1.0'\n");
append_to_file("$front/extension/thing--1.0.sql", '');
is(sql($node, 'SELECT documentdb_upgrade.binary_version()'), '1.0', 'the first one counts');
is(sql($node, $guard), qq{fail|Version "2.0" is above the "1.0" that this binary offers. The control file "$front/extension/thing.control" hides "}
	. extension_dir($node) . q{/thing.control", which comes later in extension_control_path.}, 'and what it hides is named');

# The same directory twice hides nothing.
sql($node, q{ALTER SYSTEM SET extension_control_path = '$system:$system'});
$node->reload;
is(sql($node, $guard), 'pass|This binary offers up to "2.0".', 'a directory that comes twice');

done_testing();
