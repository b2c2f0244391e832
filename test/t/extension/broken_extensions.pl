# Real extensions whose update scripts fail: the failure names SQLSTATE,
# script and line, nothing is changed, and a second try ends the same.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Describe;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# Extension, oldest version, what it needs, the step that fails, and what the
# line says where its failing statement begins.
my @extensions = (
	[ 'powa', '4.0.0', [qw(pg_stat_statements btree_gist)], '4.1.2--4.1.3', qr/FUNCTION powa_deactivate_extension/ ],
	[ 'unit', '1', [], '1--2', qr/FUNCTION unit_accum/ ]);

my $node = new_node('main', preload => 'pg_stat_statements', streaming => 1);
sql($node, 'CREATE EXTENSION documentdb_upgrade');

foreach (@extensions)
{
	my ($extension, $from, $required, $step, $statement) = @$_;
	subtest $extension => sub {
		plan skip_all => "extension $extension $from is not available" unless extension_available($extension, $from);

		sql($node, "CREATE EXTENSION $_") foreach @$required;
		sql($node, "CREATE EXTENSION $extension VERSION '$from'");
		my $before = describe_database($node, 'postgres');

		# What the server says of it.
		my $plain = try_sql($node, "ALTER EXTENSION $extension UPDATE");
		ok(!$plain->{ok}, 'plain ALTER EXTENSION UPDATE fails') or return;
		note $plain->{stderr};

		my $finalize = "SET documentdb_upgrade.extension = '$extension'; SELECT documentdb_upgrade.finalize()";
		foreach my $try (1 .. 2)
		{
			my $result = try_sql($node, $finalize);
			is($result->{sqlstate}, $plain->{sqlstate}, "try $try fails with the same SQLSTATE");
			is($result->{message}, $plain->{message}, "try $try says the same");
			same_description(describe_database($node, 'postgres'), $before, "try $try leaves the catalogues as they were");
		}
		my ($outcome, $sqlstate, $repeats, $script, $line) = split /\|/, sql($node, qq{
			SELECT outcome, sqlstate, repeats, script, script_line FROM documentdb_upgrade.history WHERE extension = '$extension'});
		is("$outcome $sqlstate $repeats", "failed $plain->{sqlstate} 1", 'one row in the history tells of both');
		is($script =~ s{.*/\Q$extension\E--(.*)\.sql$}{$1}r, $step, 'it names the script that failed');
		like((split /\n/, slurp_file($script))[ $line - 1 ], $statement, 'and the line');
	};
}

done_testing();
