# Whether a step works depends on data: collections that the newest library
# made on an old schema lack a column that the scripts to 0.102 want to change.
# The failure names script and line, and nothing is left behind.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Describe;
use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = documentdb_node('main', conf => 'cron.launch_active_jobs = off');
install_documentdb($node, '0.101-0');
sql($node, q{SELECT documentdb_api.create_collection('db', 'in_the_way')});
works($node, 'before', 'DocumentDB works before');

sub description { return describe_database($node, 'postgres') . "\n" . sql($node, 'SELECT j FROM cron.job j ORDER BY jobid'); }
my $before = description();

foreach my $target ('0.102-0', BINARY)
{
	my $result = try_sql($node, "SELECT documentdb_upgrade.finalize_to('$target')");
	is($result->{sqlstate}, '42703', "finalize to $target fails");
	like($result->{message}, qr/^column "creation_time" of relation "documents_\d+" does not exist$/, 'with what the script says');
	same_description(description(), $before, 'nothing is left behind');
	my ($outcome, $script, $line) = split /\|/, sql($node, q{
		SELECT outcome, script, script_line FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1});
	is($outcome, 'failed', 'history has it');
	like($script, qr{/documentdb--0\.101-0--0\.102-0\.sql$}, 'with the script');
	like((split /\n/, slurp_file($script))[ $line - 1 ], qr/apply_extension_data_table_upgrade/, 'and the line');
}
keeps($node, 'before', 'what was written before is there');
is(sql($node, 'SELECT count(*) FROM pg_locks WHERE locktype = $$object$$'), '0', 'no lock is held');

# What stood in the way is gone.
sql($node, q{SELECT documentdb_api.drop_database('db')});
finalized($node, BINARY, 'without it the same succeeds');
works($node, 'after', 'and so does DocumentDB');

done_testing();
