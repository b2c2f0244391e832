# Sessions that write and read all the time go on while the schema is upgraded:
# none of them gets an error, and none waits longer than lock_timeout and the
# attempt itself together.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use IPC::Run;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# The setting's default, and what a machine with other things to do may add.
use constant LOCK_TIMEOUT => 500;
use constant ROOM => 100;

my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/write", qq{\\set a random(1, 1000)
SELECT documentdb_api.insert_one('db', 'busy', format('{"a": %s}', :a::int)::documentdb_core.bson);\n});
append_to_file("$dir/change", q{SELECT documentdb_api.update('db',
	'{"update": "busy", "updates": [{"q": {"_id": 1}, "u": {"$inc": {"n": 1}}}]}');} . "\n");
append_to_file("$dir/read", q{SELECT document FROM documentdb_api_catalog.bson_aggregation_find('db',
	'{"find": "busy", "filter": {"_id": 1}}');} . "\n");
append_to_file("$dir/list", q{SELECT documentdb_api.list_collections_cursor_first_page('db', '{"listCollections": 1}');} . "\n");

my $node = documentdb_node('main');

# Starts clients that write and read until stopped, half of them with prepared
# statements.
my $runs = 0;
sub start_clients
{
	my %clients = (log => "$dir/log" . ++$runs, output => '');
	my @scripts = map { ('-f', "$dir/$_") } qw(write change read list);

	foreach my $mode (qw(simple prepared))
	{
		push @{ $clients{running} }, IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-M', $mode, '-c', 2, '-T', 600,
				'-l', '--log-prefix', "$clients{log}.$mode", '-d', $node->connstr('postgres') . ' application_name=clients', @scripts ],
			'<', \undef, '&>', \$clients{output});
	}
	$node->poll_query_until('postgres', q{SELECT count(*) = 4 FROM pg_stat_activity WHERE application_name = 'clients'})
	  or do { $_->kill_kill foreach @{ $clients{running} }; die "the clients do not come: $clients{output}\n" };
	return \%clients;
}

# Lets them do that many transactions more.
sub let_work
{
	my $done = sql($node, q{SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'}) + shift;
	return $node->poll_query_until('postgres', "SELECT xact_commit > $done FROM pg_stat_database WHERE datname = 'postgres'");
}

# Ends them; gives one [ begin, end ] for each transaction, in seconds.
sub stop_clients
{
	my $clients = shift;
	my @transactions;

	is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clients'}), '4', 'all clients are still there');
	$_->signal('INT') foreach @{ $clients->{running} };
	$_->finish foreach @{ $clients->{running} };
	is($clients->{output} =~ s/^(?:pgbench \(.*|)\n//mgr, '', 'no client has seen an error');
	foreach (glob "$clients->{log}.*")
	{
		foreach (split /\n/, slurp_file($_))
		{
			my (undef, undef, $latency, undef, $second, $microsecond) = split / /;
			next unless defined $microsecond && $microsecond ne '';
			my $end = $second + $microsecond / 1e6;
			push @transactions, [ $end - $latency / 1e6, $end ];
		}
	}
	return @transactions;
}

# The longest of those that overlap with the span, in milliseconds.
sub longest
{
	my ($from, $to, @transactions) = @_;
	return 1000 * max(0, map { $_->[1] - $_->[0] } grep { $_->[0] < $to && $_->[1] > $from } @transactions);
}

# Calls finalize_to; gives the span and how long it took.
sub finalize_among_clients
{
	my $target = shift;
	my $from = time;
	my $took = finalized($node, $target, "finalize to $target");
	return { name => $target, from => $from, to => time, took => $took };
}

# Every stall of a span is bounded by its length, and what is usual.
sub check_stalls
{
	my ($usual, $spans, @transactions) = @_;

	foreach my $span (@$spans)
	{
		my $stall = longest($span->{from}, $span->{to}, @transactions);
		my $bound = LOCK_TIMEOUT + $span->{took} + $usual + ROOM;
		ok($stall <= $bound, "no client waits longer than it may: $span->{name}") or diag("$stall ms, not $bound ms");
		measured('%s: attempt %.1f ms, longest stall %.1f ms', $span->{name}, $span->{took}, $stall);
	}
	return;
}

foreach my $way ([ 'in one go', BINARY ], [ 'step by step', grep { /^1|^0\.1(?!0[0-2])/ } documentdb_versions() ])
{
	my ($name, @targets) = @$way;
	subtest $name => sub {
		my $begin = time;

		install_documentdb($node, '0.102-1');
		works($node, 'before', 'DocumentDB works before');
		sql($node, q{SELECT documentdb_api.insert_one('db', 'busy', '{"_id": 1, "n": 0}')});
		my $clients = start_clients();
		let_work(500);
		my $quiet_until = time;
		my @spans;
		foreach my $target (@targets)
		{
			push @spans, finalize_among_clients($target);
			let_work(50);
		}
		my @transactions = stop_clients($clients);
		my $usual = longest($begin, $quiet_until, @transactions);
		measured('%s: %d transactions; without an upgrade the longest takes %.1f ms', $name, scalar @transactions, $usual);
		cmp_ok(scalar @transactions, '>', 500, 'many transactions ran');
		check_stalls($usual, \@spans, @transactions);
		keeps($node, 'before', 'what was written before is there');
		works($node, 'after', 'DocumentDB works after');
		remove_documentdb($node);
	};
}

# Somebody holds on to the table that the scripts to 0.112-0 change: the attempt
# gives up in time, and until then nobody has waited longer than that.
subtest 'in the way of a long transaction' => sub {
	install_documentdb($node, '0.111-0');
	sql($node, q{SELECT documentdb_api.insert_one('db', 'busy', '{"_id": 1, "n": 0}')});
	my $blocker = DocumentdbUpgrade::Session->new($node);
	$blocker->run('BEGIN; LOCK TABLE documentdb_api_catalog.collections IN ACCESS SHARE MODE');
	my $clients = start_clients();
	let_work(200);
	my $from = time;
	my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('0.112-0', skip_guards => '{blocking_sessions}')});
	is($result->{sqlstate}, '55P03', 'the attempt gives up');
	my $span = { name => 'in vain', from => $from, to => time, took => 0 };
	let_work(200);
	my @transactions = stop_clients($clients);
	my $stall = longest($span->{from}, $span->{to}, @transactions);
	cmp_ok($stall, '>', LOCK_TIMEOUT / 2, 'clients wait behind the attempt');
	check_stalls(longest(0, $from, @transactions), [$span], @transactions);
	$blocker->quit;
	finalized($node, '0.112-0', 'when the way is free it succeeds');
	remove_documentdb($node);
};

done_testing();
