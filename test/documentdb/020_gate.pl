# The version gate of the library: a plain ALTER EXTENSION leaves the old
# version in force, for new sessions as well; after every single step by
# finalize_to the new one is, in sessions old and new.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my ($first, @steps) = documentdb_versions();

# As an old session and a new one find it.
sub gates { my ($node, $old_session) = @_; return gate($node, $old_session) . ' ' . gate($node); }

# Takes a node through all the steps; gives for each the gates after it.
sub gates_after
{
	my ($node, $step_to) = @_;
	my %gates;

	install_documentdb($node, $first);
	works($node, 'before', 'DocumentDB works before');
	my $old_session = DocumentdbUpgrade::Session->new($node);
	is(gates($node, $old_session), "$first $first", "it begins with $first");
	foreach my $step (@steps)
	{
		$step_to->($step);
		is(installed($node), "documentdb $step, documentdb_core " . core_version($step), "the schema is at $step");
		$gates{$step} = gates($node, $old_session);
		note "$step: $gates{$step}";
	}
	$old_session->quit;
	return %gates;
}

my $conf = q{
	documentdb.enableDataTableWithoutCreationTime = off
	cron.launch_active_jobs = off
};

# Mostly, because of what clears the gate by chance, and because two scripts
# change the table whose invalidation clears it.
my $theirs = documentdb_node('theirs', preload => DOCUMENTDB, conf => $conf);
my %gates = gates_after($theirs, sub {
	my $step = shift;
	my $core = core_version($step);
	sql($theirs, qq{ALTER EXTENSION documentdb_core UPDATE TO '$core'; ALTER EXTENSION documentdb UPDATE TO '$step'});
});
my @stale = grep { $gates{$_} ne "$_ $_" } @steps;
cmp_ok(scalar @stale, '>=', 10, 'after a plain ALTER EXTENSION an old version mostly stays in force') or diag("@stale");
note 'stale after a plain ALTER EXTENSION to ' . join ' ', @stale;

my $ours = documentdb_node('ours', conf => $conf);
%gates = gates_after($ours, sub { finalized($ours, $_[0], "finalize to $_[0]") });
is_deeply(\%gates, { map { $_ => "$_ $_" } @steps }, 'after each finalize the new version is in force');

# Without preloading too.
remove_documentdb($theirs);
install_documentdb($theirs, '0.105-0');
works($theirs, 'before', 'DocumentDB works');
is(gate($theirs), '0.105-0', 'the version in force before');
finalized($theirs, '0.106-0', 'finalize on a server that does not preload us');
is(gate($theirs), '0.106-0', 'and the version in force after');

done_testing();
