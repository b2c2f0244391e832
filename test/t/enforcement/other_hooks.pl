# With other extensions in the same hooks, before and after ours: each is called
# once for what it hooks, and gets the statement as it was written.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Test;
use Test::More;

# What the other extension has counted in a session that runs this.
sub counted
{
	my ($node, $sql) = @_;
	my (undef, $stdout) = $node->psql('postgres', qq{SET client_min_messages = error;
		$sql;
		SHOW du_other_hooks.utilities; SHOW du_other_hooks.accesses; SHOW du_other_hooks.messages; SHOW du_other_hooks.changed_trees},
		on_error_stop => 0);
	return join ' ', split /\n/, $stdout;
}

foreach my $preload ('documentdb_upgrade, du_other_hooks, pg_stat_statements', 'du_other_hooks, pg_stat_statements, documentdb_upgrade')
{
	my $ours_last = $preload =~ /upgrade$/;
	my $node = guarded_node($ours_last ? 'last' : 'first', preload => $preload, conf => "documentdb_upgrade.managed_extensions = 'thing'\n");

	sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION pg_stat_statements; CREATE EXTENSION base; CREATE EXTENSION thing VERSION '1.0'});
	sql($node, 'SELECT pg_stat_statements_reset()');

	# Utility calls, changes of pg_extension, messages for the log, changed trees.
	is(counted($node, q{ALTER EXTENSION thing UPDATE TO '1.1'}), '1 1 0 0', "$preload: an update");
	is(counted($node, q{CREATE EXTENSION after VERSION '1.1'}), '1 2 0 0', 'an extension that is not managed');
	is(counted($node, 'DROP EXTENSION after'), '1 1 0 0', 'its end');

	# One that comes after ours in the chain does not see what is refused before it.
	my $seen = $ours_last ? 0 : 1;
	is(counted($node, q{ALTER EXTENSION thing UPDATE TO '1.3'}), "$seen 0 1 0", 'an update that is refused');
	is(counted($node, 'DROP EXTENSION thing'), "$seen 0 1 0", 'a drop that is refused');
	is(counted($node, q{ALTER EXTENSION thing UPDATE TO '1.3'}), "$seen 0 1 0", 'once more');
	is(counted($node, 'DROP EXTENSION base CASCADE'), '1 1 1 0', 'a cascade that is refused');
	is( sql($node, q{SELECT string_agg(calls || ' ' || query, ';' ORDER BY query) FROM pg_stat_statements WHERE query ~ '^(ALTER|DROP) EXTENSION'}),
		q{1 ALTER EXTENSION thing UPDATE TO '1.1';1 DROP EXTENSION after}, 'pg_stat_statements counts each that was run once');
	$node->stop;
}

done_testing();
