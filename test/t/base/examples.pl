# Every statement about this extension that README and the pages show is one that the
# server takes: queries are prepared, and what sets, grants and calls is run.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# The statements of a page's blocks: of those in SQL all, of what a session shows those
# behind its prompt.
sub statements
{
	my $text = slurp_file("$ENV{DU_SOURCE}/$_[0]");
	my @found;

	while ($text =~ /^```(\w*)\n(.*?)^```/gms)
	{
		my ($language, $block) = ($1, $2);
		$block =~ s/^\w*-[#>] //gm;
		push @found, $language eq 'sql' ? $block =~ /\s*(.*?);[ ]*(?:--[^\n]*)?\n/gs : $block =~ /^\w*=[#>] (.*?);\n/gms;
	}
	return grep { /\bdocumentdb_upgrade\./ && !/^SELECT cron\./ } @found;
}

# What a query is prepared for, and what the server must not remember is taken back.
sub attempt
{
	my $statement = shift;

	return "PREPARE example AS $statement; DEALLOCATE example" if $statement =~ /^(?:SELECT|INSERT|UPDATE|WITH)\b/;
	return $statement if $statement =~ /^ALTER SYSTEM\b/;
	return "BEGIN; $statement; ROLLBACK";
}

my $node = new_node('main', preload => 1);
sql($node, 'CREATE EXTENSION documentdb_upgrade');
sql($node, "CREATE DATABASE $_") foreach qw(mydb billing maps);
sql($node, "CREATE ROLE $_") foreach qw(upgrade_operator standby_reporter schema_upgrader operator clerk);

my $tried = 0;
foreach my $page ('README.md', map { s{^\Q$ENV{DU_SOURCE}\E/}{}r } sort glob "$ENV{DU_SOURCE}/docs/*.md")
{
	my @refused;

	foreach my $statement (statements($page))
	{
		my $result = try_sql($node, attempt($statement));
		$tried++;
		push @refused, "$statement: $result->{stderr}" unless $result->{ok};
	}
	is(join("\n", @refused), '', "the statements of $page");
}
cmp_ok($tried, '>', 60, 'there are statements');
done_testing();
