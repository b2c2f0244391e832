# The six extensions of PostGIS, whose scripts replace some two thousand
# functions, are rehearsed and finalized together on default settings.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my @family = qw(postgis postgis_raster postgis_topology postgis_tiger_geocoder address_standardizer address_standardizer_data_us);
foreach my $name (@family)
{
	plan skip_all => "extension $name is not available" unless extension_available($name);
}
my $node = new_node('main', conf => q{
	documentdb_upgrade.extension = 'postgis'
	documentdb_upgrade.managed_extensions = '} . join(', ', @family) . q{'});
my $binary = sql($node, q{SELECT default_version FROM pg_available_extensions WHERE name = 'postgis'});

# Scripts from the release before to this one are there; its base script is not, so
# the catalogue says that it is installed.
my $before = $binary =~ s/(\d+)$/$1 - 1/er;
plan skip_all => "PostGIS $binary has no script from $before"
	unless sql($node, qq{SELECT path IS NOT NULL FROM pg_extension_update_paths('postgis') WHERE source = '$before' AND target = '$binary'}) eq 't';
sql($node, q{CREATE EXTENSION documentdb_upgrade; SET client_min_messages = error;}
	. join '', map { "CREATE EXTENSION $_ CASCADE;" } qw(postgis postgis_topology postgis_raster postgis_tiger_geocoder
		address_standardizer address_standardizer_data_us));
sql($node, qq{UPDATE pg_extension SET extversion = '$before' WHERE extname = ANY (string_to_array('@family', ' '))});
sql($node, q{CREATE TABLE places (id int, place geometry); INSERT INTO places SELECT i, ST_MakePoint(i, i) FROM generate_series(1, 100) i;
	CREATE INDEX places_place ON places USING gist (place); CREATE VIEW near AS SELECT id FROM places WHERE ST_DWithin(place, ST_MakePoint(1, 1), 5)});

is(sql($node, q{SELECT string_agg(guard || ': ' || detail, '; ') FROM documentdb_upgrade.preflight() WHERE status = 'fail'}), '', 'no guard fails');
is(sql($node, q{SELECT concat_ws(' ', outcome, message) FROM documentdb_upgrade.rehearse()}), 'passed', 'a rehearsal passes');
cmp_ok(sql($node, q{SELECT lock_entries FROM documentdb_upgrade.rehearsals}), '>', 100, 'and counts what it takes of the lock table');
is(sql($node, q{SELECT f->>'effect', f->>'kind', f->>'identity' FROM documentdb_upgrade.rehearsals r, jsonb_array_elements(r.report->'outside') f}), '',
	'nothing outside the family is touched');
is(sql($node, q{SELECT string_agg(guard || ': ' || detail, '; ') FROM documentdb_upgrade.preflight() WHERE status IN ('fail', 'warn')}), '', 'then every guard passes');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize()}), 'succeeded', 'so does the finalize');
is(sql($node, qq{SELECT count(*) FROM pg_extension WHERE extname = ANY (string_to_array('@family', ' ')) AND extversion = '$binary'}), scalar(@family), 'all six are there');
is(sql($node, q{SELECT count(*) FROM near}), 4, 'what stands on them works');

done_testing();
