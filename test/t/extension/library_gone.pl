# A library that functions name and that has gone with a package: it is told
# before an update, which may be the cure, and after one that has forgotten a
# function.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Library;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', preload => 1, own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'flib'
	documentdb_upgrade.poll_interval = '1h'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});

# As a package has them: a library for each version, and the scripts name one.
sub package_files
{
	my ($version, %scripts) = @_;
	write_extension_file($node, 'flib.control', "default_version = '$version'\nmodule_pathname = '\$libdir/flib-$version'\n");
	write_extension_file($node, "flib--$_.sql", $scripts{$_}) foreach keys %scripts;
	system_or_bail('cp', build_library($version), library_dir($node) . "/flib-$version.so");
	return;
}
my @functions = map { "CREATE OR REPLACE FUNCTION flib_$_() RETURNS text LANGUAGE C AS 'MODULE_PATHNAME', 'standin_version';" } qw(a b c d);
my $old = library_dir($node) . '/flib-1.0.so';
my $guard = q{SELECT status, detail, hint FROM documentdb_upgrade.preflight() WHERE guard = 'library_loaded'};
my $status = q{SELECT state, next_step FROM documentdb_upgrade.status};

package_files('1.0', '1.0' => join("\n", @functions));
sql($node, q{CREATE EXTENSION flib; CREATE EXTENSION documentdb_upgrade});
is(sql($node, $status), 'up_to_date|Nothing is to be done.', 'at first all is well');
unlink $old;
my $gone = qr{Library "\$libdir/flib-1\.0" of extension "flib" has no file on this instance \("\Q$old\E"\), and calls of};
like(sql($node, $status), qr/^verifying\|The schema is at 1\.0\. $gone 4 functions of it fail: public\.flib_a\(\), public\.flib_b\(\), public\.flib_c\(\) and 1 more\. Put that file in place, or create/,
	'a file that goes is missed');
like(sql($node, $guard), qr/^fail\|$gone 4 .*\|Put that file in place, or create these functions anew as the newest install script of the extension does\.$/,
	'without an update that is a failure');

package_files('2.0', '1.0--2.0' => join("\n", @functions[ 0 .. 2 ]), '2.0' => join("\n", @functions));
like(sql($node, $guard), qr/^warn\|$gone 4 .*\|Update the extension, if its scripts give these functions another library; else put that file in place\.$/,
	'with one it is a warning');
like(sql($node, $status), qr/^update_available\|An update to 2\.0 is available .*finalize_to\('2\.0'\); $gone 4 /, 'and told with the update');
is(try_sql($node, 'SELECT flib_d()')->{sqlstate}, '58P01', 'calls do fail');

is(sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize()}), 'succeeded', 'the update is not refused');
is(sql($node, 'SELECT flib_a()'), '2.0', 'it has cured what its script names');
like(sql($node, $status), qr/^verifying\|The schema is at 2\.0\. $gone 1 function of it fail: public\.flib_d\(\)\. Put/, 'what it has forgotten is told');
like(sql($node, q{SELECT status, detail FROM documentdb_upgrade.post_upgrade_report() WHERE check_name = 'library'}), qr/^fail\|$gone 1 /, 'in the report too');
sql($node, q{CREATE OR REPLACE FUNCTION flib_d() RETURNS text LANGUAGE C AS '$libdir/flib-2.0', 'standin_version'});
is(sql($node, $status), 'up_to_date|Nothing is to be done.', 'until it is made anew');
is(sql($node, q{SELECT status FROM documentdb_upgrade.post_upgrade_report() WHERE check_name = 'library'}), 'pass', 'then the report is content');

done_testing();
