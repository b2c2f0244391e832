# Companions end where they should, documentdb_core before documentdb and
# documentdb_extended_rum, which needs what documentdb brings, after it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use Test::More;

need_extension('documentdb_extended_rum', '0.106-0');
my $node = documentdb_node('main', preload => WITH_US . ', pg_documentdb_extended_rum');

# Extensions in the order in which the last finalize updated them.
sub order
{
	return sql($node, q{
		SELECT string_agg(extension, ' ' ORDER BY first) FROM (
			SELECT step->>'extension' AS extension, min(n) AS first, max(n) AS last
			FROM (SELECT steps FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1) AS h,
			jsonb_array_elements(steps) WITH ORDINALITY AS s(step, n) GROUP BY 1) AS extensions});
}

my $all = 'documentdb_core documentdb documentdb_extended_rum';
sub all_at { my $version = shift; return join ', ', map { "$_ $version" } qw(documentdb documentdb_core documentdb_extended_rum); }

install_documentdb($node, '0.106-0');
sql($node, q{CREATE EXTENSION documentdb_extended_rum VERSION '0.106-0'});
works($node, 'before', 'DocumentDB works before');

finalized($node, '0.107-0', 'a step');
is(installed($node), all_at('0.107-0'), 'takes all three along');
is(order(), $all, 'in order');

# Somebody has updated some of them alone.
sql($node, q{ALTER EXTENSION documentdb_core UPDATE TO '0.108-0'; ALTER EXTENSION documentdb UPDATE TO '0.108-0'});
is(sql($node, q{SELECT string_agg(extension, ' ') FROM documentdb_upgrade.plan('0.108-0')}),
	'documentdb_extended_rum', 'the plan has what was left behind');
finalized($node, '0.108-0', 'a finalize to the version that is installed');
is(installed($node), all_at('0.108-0'), 'brings it');

finalized($node, BINARY, 'the rest in one go');
is(installed($node), all_at(BINARY), 'all are at the binary version');
is(order(), $all, 'in order');
keeps($node, 'before', 'what was written before is there');
works($node, 'after', 'DocumentDB works after');
is(sql($node, q{SELECT string_agg(concat_ws(' ', extension, installed_version, target), ', ') FROM documentdb_upgrade.versions}),
	join(', ', map { "$_ 1.0-0 1.0-0" } split / /, $all), 'versions says so');

done_testing();
