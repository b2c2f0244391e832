# Real extensions from the oldest version to the newest: one step at a time
# and in one go, a finalize leaves the catalogues as plain ALTER EXTENSION
# UPDATE does.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Describe;
use DocumentdbUpgrade::Test;
use Test::More;

# Extension, its oldest version that installs directly, what it needs.
my @extensions = (
	[ 'pg_stat_statements', '1.4' ],
	[ 'pageinspect', '1.5' ],
	[ 'btree_gist', '1.2' ],
	[ 'hstore', '1.4' ],
	[ 'pg_trgm', '1.3' ],
	[ 'citext', '1.4' ],
	[ 'hll', '2.10' ],
	[ 'tdigest', '1.0.0' ],
	[ 'periods', '1.0', 'btree_gist' ],
	[ 'pg_fact_loader', '1.4' ],
	[ 'pg_cron', '1.0' ],
	[ 'rum', '1.0' ]);
my @preload = grep { extension_available($_) } qw(pg_stat_statements pg_cron);

# One database serves for all, because pg_cron works in no other.
my $node = new_node('main', preload => join(', ', @preload), conf => q{
	cron.database_name = 'postgres'
	cron.launch_active_jobs = off});
sql($node, 'CREATE EXTENSION documentdb_upgrade');

# Description of the database after the extension went the given way.
sub description_after
{
	my ($extension, $from, $required, @statements) = @_;
	my @required = split / /, $required // '';

	sql($node, "CREATE EXTENSION $_") foreach @required;
	sql($node, "CREATE EXTENSION $extension VERSION '$from'");
	my $result = try_sql($node, join '; ', "SET documentdb_upgrade.extension = '$extension'", @statements);
	ok($result->{ok}, scalar(@statements) . " statement(s): $statements[0]") or diag($result->{stderr});
	my $description = describe_database($node, 'postgres');
	sql($node, "DROP EXTENSION $extension CASCADE");
	sql($node, "DROP EXTENSION $_") foreach @required;
	return $description;
}

foreach (@extensions)
{
	my ($extension, $from, $required) = @$_;
	subtest $extension => sub {
		plan skip_all => "extension $extension $from is not available" unless extension_available($extension, $from);
		# Some packages have scripts of old versions, but not their library.
		my $install = try_sql($node, "BEGIN; CREATE EXTENSION $extension VERSION '$from' CASCADE; ROLLBACK");
		plan skip_all => "extension $extension $from does not install: $install->{message}" unless $install->{ok};

		my $binary = sql($node, qq{SET documentdb_upgrade.extension = '$extension'; SELECT documentdb_upgrade.binary_version()});
		my @path = split /--/, sql($node, qq{SELECT path FROM pg_extension_update_paths('$extension')
			WHERE source = '$from' AND target = '$binary'});
		shift @path;
		cmp_ok(scalar @path, '>=', 2, "the way from $from to $binary has several steps");

		my $expected = description_after($extension, $from, $required, "ALTER EXTENSION $extension UPDATE TO '$binary'");
		like($expected, qr/^extension $extension \Q$binary\E in /m, 'plain ALTER EXTENSION UPDATE shows what is right');
		same_description(description_after($extension, $from, $required, 'SELECT documentdb_upgrade.finalize()'),
			$expected, 'in one go the result is the same');
		same_description(description_after($extension, $from, $required,
				map { "SELECT documentdb_upgrade.finalize_to('$_')" } @path),
			$expected, 'step by step as well');
		is(sql($node, qq{SELECT string_agg(DISTINCT outcome, ','), sum(jsonb_array_length(steps))
				FROM documentdb_upgrade.history WHERE extension = '$extension'}),
			'succeeded|' . 2 * @path, 'and every step is in the history');
	};
}

done_testing();
