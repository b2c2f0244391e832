# What the target requires is looked for before the upgrade, also what one
# version on the way requires alone; the hint is the statement that helps.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});
write_extension($node, 'thing', '2.0', '1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;', '1.1--2.0' => 'ALTER TABLE thing ADD two int;');
write_extension($node, 'helper', '1.0', '1.0' => 'CREATE TABLE helper (id int);');
write_extension($node, 'Odd Helper', '1.0', '1.0' => 'CREATE TABLE odd_helper (id int);');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'});

my $guard = q{SELECT status, detail, hint FROM documentdb_upgrade.preflight(%s) WHERE guard = 'requirements'};
sub guard { return sql($node, sprintf $guard, $_[0] ? "'$_[0]'" : '') }

is(guard(), 'pass|Every extension that the upgrade requires is installed.|', 'nothing is required');
write_extension_file($node, 'thing--2.0.control', qq{requires = 'helper, "Odd Helper", plpgsql'\n});
my $detail = 'Version "2.0" of extension "thing" requires extension "helper", which is not installed in this database.';
is(guard(), "fail|$detail|Run CREATE EXTENSION helper CASCADE;", 'the control file of the target requires another');
is(guard('1.1'), 'pass|Every extension that the upgrade requires is installed.|', 'a version before it does not');
is(sql($node, q{SELECT documentdb_upgrade.can_finalize('2.0'), documentdb_upgrade.can_finalize('1.1')}), 'f|t', 'can_finalize says so');
my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('2.0')});
is($result->{sqlstate}, '42704', 'a finalize is refused with the SQLSTATE of the server');
like($result->{message}, qr/refused by guard "requirements"/, 'by the guard');
isnt(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('2.0', skip_guards => '{requirements}')})->{ok}, 1, 'nobody overrides it');
is(try_sql($node, q{ALTER EXTENSION thing UPDATE TO '2.0'})->{sqlstate}, '42704', 'the server refuses it too');

# The hint holds what helps, one after the other.
foreach my $name ('helper', 'Odd Helper')
{
	like((split /\|/, guard())[1], qr/requires extension "$name"/, "then $name is missing");
	sql($node, (split /\|/, guard())[2] =~ s/^Run //r);
}
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize_to('2.0')}), 'succeeded', 'then nothing is in the way');

# A version on the way; and files that are missing here.
write_extension($node, 'thing', '3.0', '2.0--2.5' => 'ALTER TABLE thing ADD three int;', '2.5--3.0' => 'ALTER TABLE thing ADD four int;');
write_extension_file($node, 'thing--2.5.control', "requires = 'nowhere'\n");
like(guard(), qr/^fail\|Version "2\.5" of extension "thing" requires extension "nowhere", which is not installed in this database\.\|No control file "nowhere\.control" is installed on this instance\. Install the files of extension "nowhere" on this server, and then create it here\.$/,
	'a version between requires what has no files here');
is(try_sql($node, q{ALTER EXTENSION thing UPDATE})->{sqlstate}, '42704', 'which the server refuses as well');
write_extension_file($node, 'thing.control', "default_version = '3.0'\nrequires = 'helper'\n");
write_extension_file($node, 'thing--2.5.control', "relocatable = false\n");
is(guard(), 'pass|Every extension that the upgrade requires is installed.|', 'what the primary control file requires is there');

done_testing();
