# A control file whose default version is behind its own scripts: what they lead
# to is there for who asks for it by name, nothing goes there by itself, and it
# is told which file is wrong.  Scripts that a newer binary has left behind are
# none of this.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Library;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', preload => 1, own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.poll_interval = '1h'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});
write_extension($node, 'thing', '4.12', '4.11' => '', '4.13' => '', '4.11--4.13' => 'CREATE TABLE thirteen ();');
my $control = extension_file($node, 'thing.control');
my $odds = qq{The control file "$control" has default version "4.12", and the scripts beside it lead to "4.13".};
my $guard = q{SELECT status, detail, hint FROM documentdb_upgrade.preflight(%s) WHERE guard = 'within_binary'};
my $status = q{SELECT state, blocked_by, next_step FROM documentdb_upgrade.status};

sub begin_anew
{
	sql($node, q{DROP DATABASE IF EXISTS d});
	sql($node, 'CREATE DATABASE d');
	sql($node, q{CREATE EXTENSION thing VERSION '4.11'; CREATE EXTENSION documentdb_upgrade}, 'd');
	return;
}

begin_anew();
is(sql($node, sprintf($guard, q{'4.13'}), 'd'), "warn|$odds|Make sure that this binary is of that version; then correct the control file.",
	'a version beyond the default one is no mistake, and a warning');
is(sql($node, sprintf($guard, ''), 'd'), 'pass|This binary offers up to "4.12".|', 'nobody is led there');
is(sql($node, sprintf($guard, q{'4.14'}), 'd'),
	qq{fail|Version "4.14" is above the "4.13" that this binary offers. $odds|Roll out the newer binary first, restart PostgreSQL, and then finalize.},
	'one that is nowhere is refused');
is(sql($node, $status, 'd'), qq{update_available|{update_path}|An update to 4.12 is available. Guard update_path refuses: Extension "thing" has no update path from "4.11" to "4.12". $odds Correct that file, or ask for the version by its name: SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_to('4.13');},
	'status says what can be reached');
is(try_sql($node, 'SELECT documentdb_upgrade.finalize()', dbname => 'd')->{sqlstate}, '0A000', 'what names no version goes no further');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('4.14')}, dbname => 'd')->{sqlstate}, '55000', 'what is nowhere is refused');

my $fingerprint = sql($node, 'SELECT documentdb_upgrade.upgrade_fingerprint()', 'd');
write_extension_file($node, 'thing--4.11--4.13.sql', 'CREATE TABLE thirteen (id int);');
isnt(sql($node, 'SELECT documentdb_upgrade.upgrade_fingerprint()', 'd'), $fingerprint, 'the fingerprint stands for these scripts too');
my $result = try_sql($node, q{SELECT outcome, to_version FROM documentdb_upgrade.finalize_to('4.13')}, dbname => 'd');
is($result->{stdout}, 'succeeded|4.13', 'by its name it can be had');
like($result->{stderr}, qr/guard "within_binary" warns/, 'with a warning');
my $done = qr/^up_to_date\|\{\}\|Nothing is to be done, but files contradict each other\. \Q$odds\E Correct the control file; or, if an older binary has taken the place of a newer one, bring that one back\.$/;
like(sql($node, $status, 'd'), $done, 'then the schema is not ahead of anything');
is(sql($node, q{SELECT outcome, message FROM documentdb_upgrade.finalize()}, 'd'), 'succeeded|nothing to do: extension "thing" is at "4.13"', 'and there is nothing to do');
is(sql($node, q{SELECT status FROM documentdb_upgrade.post_upgrade_report() WHERE check_name IN ('versions', 'state')}, 'd'), "pass\npass", 'the report says so');
is(sql($node, q{SELECT documentdb_upgrade.runbook() ~ 'nothing'}, 'd'), 't', 'and the runbook');

# The same by a plain ALTER.
begin_anew();
ok(try_sql($node, q{ALTER EXTENSION thing UPDATE TO '4.13'}, dbname => 'd')->{ok}, 'an update by hand may go there');
like(sql($node, $status, 'd'), $done, 'and is not ahead of anything');
is(try_sql($node, 'ALTER EXTENSION thing UPDATE', dbname => 'd')->{sqlstate}, '55000', 'nobody is led back to the default version');

# At the default version it is told, and not more.
begin_anew();
write_extension_file($node, 'thing--4.11--4.12.sql', '');
is(sql($node, 'SELECT to_version FROM documentdb_upgrade.finalize()', 'd'), '4.12', 'what names no version ends at the default one');
is(sql($node, $status, 'd'), qq{up_to_date|{}|Nothing is to be done, but files contradict each other. $odds Correct the control file, or ask for that version by its name: SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_to('4.13');},
	'what goes beyond is left to people');

# This server has run a newer binary: its scripts are leftovers.
write_extension($node, 'thing', '4.13', '4.12--4.13' => '');
sql($node, q{SELECT count(*) FROM documentdb_upgrade.preflight()}, 'd');
write_extension($node, 'thing', '4.12');
is(sql($node, sprintf($guard, q{'4.13'}), 'd'),
	qq{fail|Version "4.13" is above the "4.12" that this binary offers. The control file "$control" has default version "4.12", and the scripts beside it lead to "4.13", but this server has run a binary of "4.13".|Roll out the newer binary first, restart PostgreSQL, and then finalize.},
	'after a rollback the binary counts');
$result = try_sql($node, q{ALTER EXTENSION thing UPDATE TO '4.13'}, dbname => 'd');
like($result->{message}, qr/refused by guard "within_binary"/, 'for an update by hand too');
sql($node, q{SET documentdb_upgrade.enforce = off; ALTER EXTENSION thing UPDATE TO '4.13'}, 'd');
is(sql($node, $status, 'd'), 'schema_ahead|{not_downgrade}|The schema is at 4.13, newer than the binary\'s 4.12. Bring back a binary of 4.13 or later.',
	'and such a schema is ahead');
$node->stop;

# A library that tells its version.
$node = library_node('library', preload => 'documentdb_upgrade, standin');
like(sql($node, sprintf($guard, q{'1.1'})), qr/^fail\|Version "1\.1" is above the "1\.0" that this binary offers\. .* lead to "1\.1", but its library reports version "1\.0"\.\|/,
	'an old library is no binary of what scripts lead to');

done_testing();
