# The real postgis_extensions_upgrade() on a server with PostGIS managed: it is let
# through, and recorded from where it started.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

need_extension('postgis');

my $node = new_node('main', preload => 1, conf => q{
documentdb_upgrade.extension = 'postgis'
documentdb_upgrade.guard_severity = 'rehearsed=skip'
});
sql($node, 'CREATE EXTENSION postgis; CREATE EXTENSION documentdb_upgrade');
my $newest = sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'postgis'});

# The version before stands for an older installation: the scripts are the same.
my $older = sql($node, qq{SELECT source FROM pg_extension_update_paths('postgis')
	WHERE target = '$newest' AND path IS NOT NULL AND source ~ '^[0-9.]+\$'
	ORDER BY string_to_array(source, '.')::int[] DESC LIMIT 1});
sql($node, qq{UPDATE pg_extension SET extversion = '$older' WHERE extname = 'postgis'});

my $result = try_sql($node, 'SELECT postgis_extensions_upgrade()');
ok($result->{ok}, "from $older to $newest") or diag($result->{stderr});
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'postgis'}), $newest, 'it is there');

# From 3.6 on it goes to "ANY" by a statement of its own.
like(sql($node, q{SELECT string_agg(concat_ws(' ', from_version, to_version, outcome, actor), ', ' ORDER BY id) FROM documentdb_upgrade.history}),
	qr/^(?:\Q$older\E ANY succeeded manual, )?\Q$older $newest\E succeeded manual$/, 'and recorded from where it started');

# A finalize of the same way.
sql($node, qq{UPDATE pg_extension SET extversion = '$older' WHERE extname = 'postgis'});
$result = try_sql($node, q{SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize()});
is($result->{stdout}, "succeeded|$older|$newest", 'a finalize does it too') or diag($result->{stderr});

done_testing();
