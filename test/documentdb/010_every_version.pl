# From every version that DocumentDB ever had to the newest, in one go and step
# by step: collections written before, on the way and after are all there, both
# ways leave the same catalogues, and those are what a fresh installation has.
#
#   PG_TEST_DOCUMENTDB_FROM="0.24-0 0.109-0"    from these alone
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Describe;
use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use Test::More;

my @versions = documentdb_versions();
is(scalar @versions, 22, 'the package has 22 versions');
is($versions[-1], BINARY, 'the last is the binary version');

my $node = documentdb_node('main', conf => 'cron.launch_active_jobs = off');

# The database without collections, and what belongs to DocumentDB outside of it
# or in tables of others.
sub description
{
	sql($node, q{SELECT documentdb_api.drop_database('db')});
	return join "\n", describe_database($node, 'postgres'), split /\n/, sql($node, q{
		SELECT format('role %s: %s', rolname, (to_jsonb(r) - 'oid')::text) FROM pg_roles r WHERE rolname LIKE 'documentdb%'
		UNION ALL
		SELECT format('member of role %s: %s, admin %s', roleid::regrole, member::regrole, admin_option)
		FROM pg_auth_members WHERE roleid::regrole::text LIKE 'documentdb%' OR member::regrole::text LIKE 'documentdb%'
		UNION ALL
		SELECT format('cron job %s: %s, %s, %s, %s', jobname, schedule, command, username, active) FROM cron.job
		ORDER BY 1});
}

# Columns and constraints of that collection.
sub shape
{
	my $collection = shift;
	return sql($node, qq{
		SELECT format('%s %s %s %s', attnum, attname, format_type(atttypid, atttypmod), attnotnull)
		FROM pg_attribute, documentdb_api_catalog.collections
		WHERE attrelid = format('documentdb_data.documents_%s', collection_id)::regclass
		AND attnum > 0 AND collection_name = '$collection'
		UNION ALL
		SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint, documentdb_api_catalog.collections
		WHERE conrelid = format('documentdb_data.documents_%s', collection_id)::regclass
		AND collection_name = '$collection'
		ORDER BY 1});
}

install_documentdb($node, BINARY);
works($node, 'after', 'a fresh installation works');
my $fresh = description();
remove_documentdb($node);

my (%took, %longest);
my %chosen = map { $_ => 1 } split ' ', $ENV{PG_TEST_DOCUMENTDB_FROM} // join ' ', @versions;
is(scalar(grep { $chosen{$_} } @versions), scalar(keys %chosen), 'the versions to begin with are there');
foreach my $i (0 .. $#versions)
{
	my ($from, @steps) = @versions[ $i .. $#versions ];
	next if !$chosen{$from};
	subtest "from $from" => sub {
		my %description;

		# In one go.
		install_documentdb($node, $from);
		works($node, 'before', 'DocumentDB works before');
		$took{$from} = finalized($node, BINARY, 'finalize in one go');
		is(installed($node), 'documentdb ' . BINARY . ', documentdb_core ' . BINARY, 'all is where it should be');
		keeps($node, 'before', 'what was written before is there');
		works($node, 'after', 'DocumentDB works after');
		my $shape = shape('before');
		my $in_one_go = description();
		remove_documentdb($node);

		# Step by step.
		install_documentdb($node, $from);
		works($node, 'before', 'DocumentDB works before');
		foreach my $step (@steps)
		{
			my $duration = finalized($node, $step, "finalize to $step");
			$longest{$step} = $duration if $duration > ($longest{$step} // 0);
			is(installed($node), "documentdb $step, documentdb_core " . core_version($step), 'the companion goes with it');
			keeps($node, 'before', 'what was written before is there');
			works($node, 'on_the_way', 'DocumentDB works there');
			sql($node, q{SELECT documentdb_api.drop_collection('db', 'on_the_way')});
		}
		works($node, 'after', 'DocumentDB works after');
		is(shape('before'), $shape, 'the collection looks the same both ways');
		my $stepped = description();
		remove_documentdb($node);

		same_description($stepped, $in_one_go, 'step by step and in one go are the same');
		same_description($in_one_go, $fresh, 'and what a fresh installation has');
	};
}
measured('in one go from %s: %.1f ms', $_, $took{$_}) foreach grep { exists $took{$_} } @versions[ 0 .. $#versions - 1 ];
measured('step to %s: at most %.1f ms', $_, $longest{$_}) foreach grep { exists $longest{$_} } @versions[ 1 .. $#versions ];

done_testing();
