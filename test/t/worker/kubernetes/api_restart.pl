# The API server goes away and comes back, with its history or without: while
# it is away nothing runs, afterwards the watch goes on.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use Test::More;

need_real_api();

sub survives
{
	my ($modern) = @_;
	my $mode = $modern ? 'later release' : 'plain';
	my ($api, $node) = lab(modern => $modern, name => "main$modern");
	my $becomes = sub {
		my ($condition, $what) = @_;
		ok($node->poll_query_until('postgres', "SELECT $condition FROM documentdb_upgrade.status"), "$mode: $what")
		  or diag(sql($node, 'SELECT * FROM documentdb_upgrade.status'));
	};
	my $watches = sub { scalar grep { $_->{verb} eq 'watch' } $api->requests(qr{^documentdb-upgrade/}) };

	$becomes->("state = 'update_available'", 'the resource is read');
	poll_until($watches, 'the resource is watched');
	my $pid = sql($node, 'SELECT worker_pid FROM documentdb_upgrade.status');

	foreach my $signal ($modern ? 'KILL' : ('KILL', 'TERM'))
	{
		$api->stop($signal);
		$becomes->("state = 'waiting' AND next_step ~ 'reach|connect|refused|answer'", "SIG$signal: it says that the API server is away");
		$api->start;
		$becomes->("state = 'update_available'", "SIG$signal: it finds it again");
	}
	$api->patch_resource({ spec => { schemaVersion => '0.109.0' } });
	$becomes->("installed_version = '0.109-0' AND state = 'up_to_date'", 'the next wish is followed');

	# Much happens, and is forgotten, while no watch is open.
	my $before = scalar $api->requests(qr{^documentdb-upgrade/});
	$api->stop;
	$becomes->("state = 'waiting'", 'away again');
	$api->start;
	$api->stop;
	$api->start;
	$api->kubectl('-n', 'databases', 'annotate', 'dbs', 'mydb', "example.com/n=$_", '--overwrite') foreach 1 .. 3;
	$api->stop;
	$api->compact;
	$api->start;
	$becomes->("state = 'up_to_date'", 'found again without its history');
	my $wished = time;
	$api->patch_resource({ spec => { schemaVersion => '0.112.0' } });
	$becomes->("installed_version = '0.112-0'", 'the next wish is followed again');
	cmp_ok(time - $wished, '<', patience(30), "$mode: soon: the patience with what failed before is over");
	is(sql($node, 'SELECT worker_pid FROM documentdb_upgrade.status'), $pid, "$mode: by the same process");

	my @requests = $api->requests(qr{^documentdb-upgrade/});
	cmp_ok(scalar(@requests), '<', 150, "$mode: it did not knock without pause");
	is(sql($node, q{SELECT string_agg(to_version || outcome, ' ' ORDER BY id) FROM documentdb_upgrade.history}),
		'0.109-0succeeded 0.112-0succeeded', "$mode: each wish ran once");

	$node->stop;
	$api->stop;
	return;
}

survives($_) foreach api_modes();

done_testing();
