# What users have built on DocumentDB's functions: the scripts to the newest
# version drop and create some of them again.  Guard and rehearsal name what would
# go, and the statements bring it through the upgrade.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = documentdb_node('main', conf => 'cron.launch_active_jobs = off');
install_documentdb($node, '0.103-0');
works($node, 'before', 'DocumentDB works before');
my $guard = q{SELECT status, detail FROM documentdb_upgrade.preflight() WHERE guard = 'outside_objects'};

# Nothing of users: what DocumentDB does to its own collections is its own affair.
rehearsed($node, 'a rehearsal of the whole way passes');
is(sql($node, q{SELECT f->>'effect', f->>'kind', f->>'identity' FROM documentdb_upgrade.rehearsals r,
		jsonb_array_elements(r.report->'outside') f WHERE f->>'effect' <> 'granted' ORDER BY 1, 2, 3}), '',
	'it finds nothing outside: rows of pg_cron\'s tables are that extension\'s affair');
like(sql($node, $guard), qr/^pass\|/, 'the guard passes');

sql($node, q{
	CREATE SCHEMA app;
	CREATE FUNCTION app.remove(c text) RETURNS bool LANGUAGE sql
		BEGIN ATOMIC SELECT documentdb_api.drop_collection('db', c); END;
	DELETE FROM documentdb_upgrade.rehearsals});
my $warned = sql($node, $guard);
like($warned, qr/^warn\|.*function app\.remove\(pg_catalog\.text\) stands on function documentdb_api\.drop_collection\(/, 'the guard warns of a function')
	or diag($warned);
rehearsed($node, 'a rehearsal passes');
like(sql($node, $guard), qr/^fail\|Rehearsal \d+ removed or changed 1 object outside the upgraded extensions: removes function app\.remove\(pg_catalog\.text\)\./,
	'then the guard fails');

sql($node, q{CREATE VIEW app.docs AS SELECT document FROM documentdb_api.collection('db', 'before')});
isnt(sql($node, q{SELECT outcome FROM documentdb_upgrade.rehearse()}), 'refused', 'with a view over a collection');
like(sql($node, $guard), qr/^fail\|/, 'the guard fails');
is(sql($node, q{SELECT documentdb_upgrade.can_finalize()}), 'f', 'can_finalize says no');
my @save = split /\x1e/, sql($node, q{SELECT string_agg(save_statement, E'\x1e') FROM documentdb_upgrade.outside_objects()});
my @restore = reverse split /\x1e/, sql($node, q{SELECT string_agg(restore_statement, E'\x1e') FROM documentdb_upgrade.outside_objects()});
is(sql($node, q{SELECT string_agg(identity || ' ' || does, ', ') FROM documentdb_upgrade.outside_objects()}),
	'app.docs drops, app.remove(pg_catalog.text) drops with CASCADE', 'the function and the view are listed');
sub around { return try_sql($node, join("\n", 'BEGIN;', @save, 'SELECT outcome FROM documentdb_upgrade.finalize();', @restore, 'COMMIT;')) }

# The new collection() has one column less, which the view names: nothing is lost by
# trying, and the statement is adapted.
my $result = around();
is($result->{sqlstate}, '42P10', 'a statement that does not suit the new version stops all') or diag($result->{stderr});
is(sql($node, q{SELECT count(*) FROM pg_views WHERE schemaname = 'app'}), 1, 'and the view is there');
s/, creation_time\)/)/ foreach @restore;
$result = around();
ok($result->{ok}, 'adapted it goes through') or diag($result->{stderr});
is(sql($node, q{SELECT installed_version = binary_version FROM documentdb_upgrade.versions WHERE extension = 'documentdb'}), 't', 'the upgrade goes through');
is(sql($node, q{SELECT count(*) FROM pg_views WHERE schemaname = 'app'}), 1, 'with the view');
is(sql($node, q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'app'::regnamespace}), 1, 'and the function');
keeps($node, 'before', 'what was written before is there');

done_testing();

sub rehearsed
{
	my ($at, $name) = @_;
	is(sql($at, q{SELECT concat_ws(' ', outcome, sqlstate, message) FROM documentdb_upgrade.rehearse()}), 'passed', $name);
}
