# What a rehearsal says is what a finalize then does, for every step of real
# extensions; and the rehearsal itself leaves no trace in any catalogue.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Objects;
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
	[ 'tdigest', '1.0.0' ],
	[ 'periods', '1.0', 'btree_gist' ],
	[ 'pg_fact_loader', '1.4' ],
	[ 'pg_cron', '1.0' ]);
my @preload = grep { extension_available($_) } qw(pg_stat_statements pg_cron);

my $node = new_node('main', preload => join(', ', @preload), conf => q{
	autovacuum = off
	cron.database_name = 'postgres'
	cron.launch_active_jobs = off});
sql($node, 'CREATE EXTENSION documentdb_upgrade');

sub follow_path
{
	my ($set, $from, @path) = @_;
	my $before = objects_of($node);

	foreach my $to (@path)
	{
		my $id = sql($node, "$set SELECT (documentdb_upgrade.rehearse('$to')).id");
		is(sql($node, "SELECT outcome FROM documentdb_upgrade.rehearsals WHERE id = $id"), 'passed', "rehearsing $from to $to passes");

		my $result = try_sql($node, "$set SELECT documentdb_upgrade.finalize_to('$to')");
		ok($result->{ok}, 'as the finalize does') or diag($result->{stderr});
		my $said = predicted($node, $id);
		my $after = objects_of($node);
		my $fact = compare_objects($before, $after, $said->{recreated});

		is_deeply($said->{added}, $fact->{added}, 'what it adds was foretold');
		is_deeply($said->{removed}, $fact->{removed}, 'what it removes too');
		is_deeply($said->{changed}, $fact->{changed}, 'and what it changes');
		($from, $before) = ($to, $after);
	}
	return;
}

foreach (@extensions)
{
	my ($extension, $from, $required) = @$_;
	subtest $extension => sub {
		plan skip_all => "extension $extension $from is not available" unless extension_available($extension, $from);
		my $install = try_sql($node, "BEGIN; CREATE EXTENSION $extension VERSION '$from' CASCADE; ROLLBACK");
		plan skip_all => "extension $extension $from does not install: $install->{message}" unless $install->{ok};

		my $set = qq{SET documentdb_upgrade.extension = '$extension';};
		my $binary = sql($node, "$set SELECT documentdb_upgrade.binary_version()");
		my @path = split /--/, sql($node, qq{SELECT path FROM pg_extension_update_paths('$extension')
			WHERE source = '$from' AND target = '$binary'});
		shift @path;
		sql($node, "CREATE EXTENSION $required") if $required;
		sql($node, "CREATE EXTENSION $extension VERSION '$from'");

		my $digests = catalogue_digests($node);
		is(sql($node, "$set SELECT (documentdb_upgrade.rehearse()).steps_run"), scalar @path, "$from to $binary is rehearsed in one go");
		is(catalogue_digests($node), $digests, 'and leaves every catalogue as it was');
		follow_path($set, $from, @path);
		sql($node, "DROP EXTENSION $extension CASCADE");
		sql($node, "DROP EXTENSION $required") if $required;
	};
}

done_testing();
