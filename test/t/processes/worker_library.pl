# Without the worker's library, or without what it needs, the server starts,
# SQL works, status names what is missing, and the worker comes when it is
# there again.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = worker_node('main', start => 0, conf => "documentdb_upgrade.desired_schema_version = '1.1'\n");
my $library = library_dir($node) . '/documentdb_upgrade_worker.so';
my $intact = slurp_file($library);

# What each library needs.
sub needed { return join ' ', map { /NEEDED.*\[(.*)\]/ ? $1 : () } `readelf -d $_[0]`; }
like(needed($library), qr/libcurl.*libcjson|libcjson.*libcurl/, 'the worker\'s library needs libcurl and cJSON');
unlike(needed(library_dir($node) . '/documentdb_upgrade.so'), qr/curl|cjson|documentdb/i, 'the one that servers preload does not');

# The same name in each place that it has, of the same length.
(my $broken = $intact) =~ s/\blibcurl(\S*?\.so)/libnone$1/g;
my %cases = (
	'is missing' => [ sub { unlink $library }, qr/documentdb_upgrade_worker(?:\.so)?": No such file or directory/ ],
	'needs what is not there' => [ sub { unlink $library; append_to_file($library, $broken) }, qr/libnone\S*\.so\.\d+: cannot open shared object file/ ],
	'is no library' => [ sub { unlink $library; append_to_file($library, 'nothing') }, qr/documentdb_upgrade_worker\.so/ ]);
my $first = 1;

foreach my $case (sort keys %cases)
{
	my ($make, $names) = @{ $cases{$case} };
	my $offset = -e $node->logfile ? -s $node->logfile : 0;

	$make->();
	$node->start;
	create_thing($node) if $first;
	$first = 0;
	$node->wait_for_log(qr/LOG:  documentdb_upgrade worker does not run\n.*DETAIL:  The worker's library cannot be loaded: .*$names/, $offset);
	wait_for_state($node, 'update_available',
		qr/no worker runs here to follow it: The worker's library cannot be loaded: .*$names.*Install what it needs \(.*libcurl.*\).*finalize_to\('1\.1'\);/i);
	is(status_of($node)->{worker_pid}, undef, "$case: there is no worker");
	is(sql($node, q{SELECT worker_up FROM documentdb_upgrade.metrics}), '0', "$case: metrics say so");

	my $result = try_sql($node, 'SELECT documentdb_upgrade.tick()');
	is($result->{sqlstate}, '58P01', "$case: tick() is refused");
	like($result->{message}, qr/could not load the worker's library: .*$names/, "$case: for the same reason");
	is(sql($node, q{BEGIN; SELECT to_version FROM documentdb_upgrade.finalize_to('1.1'); ROLLBACK}), '1.1', "$case: SQL works");
	$node->wait_for_log(qr/finalize_to/, $offset);
	$node->stop('fast') if $case ne 'needs what is not there';
}

# The worker comes by itself.
my $offset = -s $node->logfile;
is(count_logged($node, qr/documentdb_upgrade worker does not run/), 3, 'each time the log has told it once');
unlink $library;
append_to_file($library, $intact);
wait_for_state($node, 'up_to_date');
is(attempts($node) =~ s/.*cancelled.*\n//gr, '1.0 1.1 succeeded worker', 'with its library the worker does what is desired');
is(status_of($node)->{worker_pid}, process_of($node, 'worker'), 'and is there');

# In a pod there are no packages to install.
$node->stop('fast');
$offset = -s $node->logfile;
unlink $library;
{
	local $ENV{KUBERNETES_SERVICE_HOST} = '127.0.0.1';
	$node->start;
}
ok($node->wait_for_log(qr/DETAIL:  The worker's library cannot be loaded: .*\n.*HINT:  Put what it needs .* image volume, and name that directory in ld_library_path of its entry in spec\.postgresql\.extensions/, $offset),
	'in a pod the field is named');
my $refused = try_sql($node, 'SELECT documentdb_upgrade.tick()');
like($refused->{hint}, qr/ld_library_path/, 'by tick() too');
unlike($refused->{hint}, qr/Debian/, 'and no package');
is(count_logged($node, qr/PANIC|was terminated by signal/), 0, 'nothing has crashed');

done_testing();
