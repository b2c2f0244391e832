# Files that are missing, unreadable or not those that were reviewed are
# refused beforehand, with the file's name, and nothing is changed.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => "documentdb_upgrade.extension = 'filed'");
my %scripts = (
	'1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;',
	'1.1--1.2' => 'ALTER TABLE thing ADD two int;',
	'1.2--1.3' => 'ALTER TABLE thing ADD six int;');
write_extension($node, 'filed', '1.3', %scripts);
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION filed VERSION '1.0'});

my $control = extension_file($node, 'filed.control');
my $middle = extension_file($node, 'filed--1.1--1.2.sql');
my $catalogue = q{SELECT array_agg(attname ORDER BY attnum), (SELECT extversion FROM pg_extension WHERE extname = 'filed')
	FROM pg_attribute WHERE attrelid = 'thing'::regclass AND attnum > 0};

# Expects every way in to refuse, and status and versions to go on answering.
sub refused
{
	my ($case, $guard, $sqlstate, $detail) = @_;
	my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.3')});

	is($result->{sqlstate}, $sqlstate, "$case: finalize is refused") or diag($result->{stderr});
	like("$result->{message} $result->{detail}", $detail, "$case: it says what is wrong");
	is(sql($node, q{SELECT outcome, refused_by[1], sqlstate FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}),
		"refused|$guard|$sqlstate", "$case: it is recorded");
	is(sql($node, q{SELECT status FROM documentdb_upgrade.preflight('1.3') WHERE guard = '} . $guard . q{'}),
		'fail', "$case: preflight says so too");
	is(sql($node, q{SELECT documentdb_upgrade.can_finalize('1.3')}), 'f', "$case: so does can_finalize");
	is(sql($node, q{SELECT role, installed_version FROM documentdb_upgrade.status}), 'primary|1.0', "$case: status answers");
	is(sql($node, q{SELECT extension, installed_version FROM documentdb_upgrade.versions}), 'filed|1.0', "$case: so does versions");
	is(sql($node, $catalogue), '{id}|1.0', "$case: nothing was changed");
}

unlink $control;
refused('control file missing', 'target_known', '0A000', qr/filed\.control/);
is(sql($node, 'SELECT documentdb_upgrade.binary_version() IS NULL'), 't', 'without it there is no binary version');

write_extension($node, 'filed', '1.3');
chmod 0000, $control;
refused('control file unreadable', 'target_known', '0A000', qr/filed\.control.*Permission denied/);

write_extension_file($node, 'filed.control', "default_version = '1.3\n");
refused('control file broken', 'target_known', '0A000', qr/filed\.control.*cannot be parsed/);

# What the server itself would raise when it is asked for paths.
write_extension_file($node, 'filed.control', "default_version = '1.3'\ndirectory = '/no/such/directory'\n");
refused('script directory missing', 'target_known', '0A000', qr{"/no/such/directory" of control file ".*filed\.control" cannot be opened: No such});
write_extension_file($node, 'filed.control', "default_version = '1.3'\nrequires = 'a b'\n");
refused('control file with a broken list', 'target_known', '0A000', qr/"requires" in control file ".*filed\.control" is not a list/);
my $takes_no_relocate = $node->safe_psql('postgres', 'SHOW server_version_num') >= 160000;
write_extension_file($node, 'filed.control', "default_version = '1.3'\nno_relocate = 'plpgsql'\n");
$takes_no_relocate
  ? is(sql($node, q{SELECT status FROM documentdb_upgrade.preflight('1.3') WHERE guard = 'target_known'}), 'pass', 'a parameter of 16 is taken from 16 on')
  : refused('control file for a later release', 'target_known', '0A000', qr/"no_relocate" in control file ".*filed\.control" is not known/);

# The control file of one version may not say where scripts are.
write_extension($node, 'filed', '1.3');
my $secondary = write_extension_file($node, 'filed--1.2.control', "directory = '/somewhere'\n");
refused('secondary control file with a directory', 'update_path', '0A000', qr/"directory" is not allowed in the control file ".*filed--1\.2\.control"/);
unlink $secondary;

write_extension($node, 'filed', '1.3');
unlink $middle;
refused('script missing in the middle', 'update_path', '0A000', qr/no update path from "1\.0" to "1\.3"/);

write_extension($node, 'filed', '1.3', %scripts);
chmod 0000, $middle;
refused('script unreadable', 'update_path', '0A000', qr/filed--1\.1--1\.2\.sql" cannot be read: Permission denied/);

# The fingerprint stands for the files as they were when the plan was read.
write_extension($node, 'filed', '1.3', %scripts);
my $reviewed = sql($node, 'SELECT documentdb_upgrade.upgrade_fingerprint()');
my $finalize = "SELECT documentdb_upgrade.finalize_to('1.3', '$reviewed')";

(my $changed = $scripts{'1.1--1.2'}) =~ s/two int/too int/;
write_extension($node, 'filed', '1.3', '1.1--1.2' => $changed);
my $result = try_sql($node, $finalize);
is($result->{sqlstate}, '55000', 'a script that was changed since the review is refused');
like($result->{message}, qr/not the one that was reviewed/, 'for that reason');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), 'refused', 'and recorded');

unlink $middle;
is(try_sql($node, $finalize)->{sqlstate}, '0A000', 'so is one that has gone');
is(sql($node, $catalogue), '{id}|1.0', 'nothing was changed');

write_extension($node, 'filed', '1.3', %scripts, '0.8--0.9' => 'SELECT 1;');
is(sql($node, 'SELECT documentdb_upgrade.upgrade_fingerprint()'), $reviewed,
	'the same files give the same fingerprint, whenever they were written');
ok(try_sql($node, $finalize)->{ok}, 'and the reviewed plan runs');
is(sql($node, $catalogue), '{id,one,two,six}|1.3', 'to its end');

done_testing();
