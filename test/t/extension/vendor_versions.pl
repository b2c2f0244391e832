# Versions that vendors have made: what has an order follows it; what has none,
# such as commits, can be finalized by somebody who names both ends.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', preload => 1, own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'vendor'
	documentdb_upgrade.poll_interval = '1h'});
my $old = '3f2a9c1';
my $new = 'deadbee';
sub begin_anew
{
	my ($version) = @_;
	sql($node, 'DROP DATABASE IF EXISTS d');
	sql($node, 'CREATE DATABASE d');
	sql($node, "SET documentdb_upgrade.enforce = off; CREATE EXTENSION vendor VERSION '$version'; CREATE EXTENSION documentdb_upgrade", 'd');
	return;
}
sub tried { return try_sql($node, $_[0], dbname => 'd'); }

# By order.
write_extension($node, 'vendor', '1.6-yb-1.1', '1.6' => 'CREATE TABLE t ();', '1.6--1.6-yb-1.0' => '', '1.6-yb-1.0--1.6-yb-1.1' => '', '1.6-yb-1.1--1.7~rc1' => '', '1.7~rc1--1.7' => '');
begin_anew('1.6');
is(sql($node, 'SELECT installed_version, target, state FROM documentdb_upgrade.status', 'd'), '1.6|1.6-yb-1.1|update_available', 'what a vendor adds comes after it');
is(tried('SELECT to_version, jsonb_array_length(steps) FROM documentdb_upgrade.finalize()')->{stdout}, '1.6-yb-1.1|2', 'in the order of its own numbers');
is(tried(q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.6-yb-1.0')})->{sqlstate}, '55000', 'and never back');
write_extension($node, 'vendor', '1.7');
is(tried(q{SELECT to_version, steps->0->>'to', steps->1->>'to' FROM documentdb_upgrade.finalize()})->{stdout}, '1.7|1.7~rc1|1.7', 'what has a tilde comes before');

# Without order.
write_extension($node, 'vendor', $new, $old => 'CREATE TABLE t ();', "$old--cafe123" => 'ALTER TABLE t ADD one int;', "cafe123--$new" => 'ALTER TABLE t ADD two int;',
	"$old--2.0" => '', '2.0--1.0' => '', '1.0--zigzag' => '');
begin_anew($old);
my $both = qr/finalize_to\('$new', "from" => '$old'\);/;
like(sql($node, q{SELECT state, next_step FROM documentdb_upgrade.status}, 'd'), qr/^blocked\|The installed version "$old" cannot be ordered: .* name both ends: SELECT outcome, from_version, to_version FROM documentdb_upgrade\.$both/, 'status says how');
my $result = tried('SELECT outcome FROM documentdb_upgrade.finalize()');
is($result->{sqlstate}, '0A000', 'nothing is guessed');
like($result->{hint}, $both, 'with what can be done');
is(tried("SELECT outcome FROM documentdb_upgrade.finalize_to('$new')")->{sqlstate}, '22023', 'one end is not enough');
$result = tried("SELECT outcome FROM documentdb_upgrade.finalize_to('$new', \"from\" => 'cafe123')");
is($result->{sqlstate}, '55000', 'another version than the installed one');
like($result->{message}, qr/it is at "$old", not at "cafe123"/, 'is told');
$result = tried("SELECT outcome FROM documentdb_upgrade.finalize_to('nowhere', \"from\" => '$old')");
is($result->{sqlstate}, '0A000', 'a version that is not there');
like($result->{hint}, qr/The files offer .*$new/, 'with those that are');
like(tried("SELECT outcome FROM documentdb_upgrade.finalize_to('zigzag', \"from\" => '$old')")->{stderr}, qr/goes from "2\.0" back to "1\.0"/, 'what has an order on the way must rise');
write_extension_file($node, 'vendor--island.sql', '');
like(tried("SELECT outcome FROM documentdb_upgrade.finalize_to('island', \"from\" => '$old')")->{stderr}, qr/no update path|do not offer/, 'a version that no script leads to');
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'vendor'}, 'd'), $old, 'nothing has changed');

# The fingerprint stands for these scripts as well.
my $reviewed = sql($node, 'SELECT documentdb_upgrade.upgrade_fingerprint()', 'd');
write_extension_file($node, "vendor--cafe123--$new.sql", 'ALTER TABLE t ADD three int;');
is(tried("SELECT outcome FROM documentdb_upgrade.finalize_to('$new', '$reviewed', \"from\" => '$old')")->{sqlstate}, '55000', 'a script that was changed since the review');
$reviewed = sql($node, 'SELECT documentdb_upgrade.upgrade_fingerprint()', 'd');
$result = tried("SELECT outcome, from_version, to_version, fingerprint = '$reviewed' FROM documentdb_upgrade.finalize_to('$new', '$reviewed', \"from\" => '$old')");
is($result->{stdout}, "succeeded|$old|$new|t", 'both ends are enough');
unlike($result->{stderr}, qr/WARNING/, 'and no rehearsal is asked for that cannot be made');
is(sql($node, q{SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0}, 'd'), 'one,three', 'each script has run');
is(sql($node, 'SELECT state, blocked_by, next_step FROM documentdb_upgrade.status', 'd'), 'up_to_date|{}|Nothing is to be done.', 'what is installed is what the files offer');
is(tried("SELECT message FROM documentdb_upgrade.finalize_to('$new', \"from\" => '$old')")->{stdout}, qq{nothing to do: extension "vendor" is at "$new"}, 'who comes second finds it done');

# Reports and plans read such versions in catalogue and history, and go on.
sql($node, qq{SELECT documentdb_upgrade.record_release(jsonb_build_object('extension', v || '.0'), 100 + v) FROM generate_series(1, 2) v}, 'd');
$result = tried('SELECT * FROM documentdb_upgrade.release_plan(101, 102)');
is($result->{sqlstate}, '55000', 'a release that may be older than the schema is refused');
is($result->{message}, qq{extension 2.0 of release 102 may be older than the installed schema "$new", which cannot be ordered}, 'because that cannot be known');
foreach my $statement (q{SELECT * FROM documentdb_upgrade.post_upgrade_report()},
	q{SELECT * FROM documentdb_upgrade.pre_upgrade_report()}, q{SELECT documentdb_upgrade.runbook()}, q{SELECT * FROM documentdb_upgrade.classify('1.0', '2.0')},
	q{SELECT * FROM documentdb_upgrade.verify_rollback((documentdb_upgrade.record_rollback(102, 101, '{extension}')).id)})
{
	$result = tried($statement);
	ok($result->{ok}, "no error: $statement") or diag($result->{stderr});
}
write_extension($node, 'vendor', '3.0', "$new--3.0" => '');
sql($node, "SELECT outcome FROM documentdb_upgrade.finalize_to('3.0', \"from\" => '$new')", 'd');
$result = tried('SELECT * FROM documentdb_upgrade.rollback_plan(102, 101)');
is($result->{sqlstate}, '55000', 'what the schema forbids is refused as ever') or diag($result->{stderr});
is(sql($node, 'SELECT documentdb_upgrade_internal.version_order($$1.0$$, $$1.2$$), documentdb_upgrade_internal.version_order($$1.0$$, $$cafe123$$) IS NULL', 'd'), '-1|t',
	'what has no order is no error');

# Names of both ends do not turn an order round.
write_extension($node, 'vendor', '2.0', '1.0' => '', '2.0--1.0' => '', '1.0--2.0' => '', '2.0--3.0' => '');
begin_anew('2.0');
is(tried(q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.0', "from" => '2.0')})->{sqlstate}, '55000', 'a schema never goes back');

# Companions go to the very same version, or nothing goes.
write_extension($node, 'vendor', $new, $old => '', "$old--$new" => '');
write_extension($node, 'friend', $new, $old => '', "$old--cafe123" => '');
my $set = q{SET documentdb_upgrade.managed_extensions = 'friend, vendor';};
begin_anew($old);
sql($node, "SET documentdb_upgrade.enforce = off; CREATE EXTENSION friend VERSION '$old'", 'd');
like(tried("$set CALL documentdb_upgrade.run_finalize_to('$new', \"from\" => '$old')")->{stderr}, qr/Extension "friend" has no version "$new", which cannot be ordered|no update path/, 'a companion without it');
write_extension_file($node, "friend--$old--$new.sql", '');
is(tried("$set CALL documentdb_upgrade.run_finalize_to('$new', \"from\" => '$old'); SELECT string_agg(extversion, ' ') FROM pg_extension WHERE extname IN ('friend', 'vendor')")->{stdout}, "$new $new", 'one that has it');

done_testing();
