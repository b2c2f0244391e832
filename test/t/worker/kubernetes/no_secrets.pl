# No token is ever shown: not in the server's log at its most talkative, not
# in status, support_bundle, history, or an error.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api, conf => q{
	log_min_messages = debug5
	log_min_error_statement = debug5});
my @tokens = $api->token;

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

# Everything that SQL shows of the worker.
my $shown = '';
sub look
{
	$shown .= sql($node, $_) foreach 'SELECT * FROM documentdb_upgrade.status',
	  'SELECT documentdb_upgrade.support_bundle()', 'SELECT * FROM documentdb_upgrade.history',
	  'SELECT * FROM pg_stat_activity', q{SELECT * FROM pg_settings WHERE name ~ 'documentdb_upgrade'};
	return;
}

sub trouble
{
	my ($name, $cause, $cure, $says) = @_;
	wait_for_watch($api);
	$cause->();
	$api->watch_stop('end');
	wait_for_state($node, 'waiting', $says);
	look();
	$cure->();
	$api->clear_faults;
	push @tokens, $api->token;
	still_follows($node, $api, $name);
}

my $nothing = sub { };

trouble('an expired token', sub { $api->expire_token }, sub { $api->rotate_token }, qr/token/);
trouble('a reset', sub { $api->fault(times => 1000, instead => 'reset') }, $nothing, qr/./);
trouble('a certificate', sub { $api->show_certificate('other_ca'); $api->drop_connections }, sub { $api->show_certificate('good') }, qr/certificate/i);

# A token file that is none: several lines, with what would end a header.
my $smuggled = "smuggled-token-line\r\nX-Evil: yes";
trouble('a token of several lines', sub {
	open my $file, '>', $api->token_file or die "could not write: $!\n";
	print $file $smuggled;
	close $file;
	$api->drop_connections;
}, sub { $api->rotate_token }, qr/token/);
trouble('a refusal', sub { $api->deny("$_ dbs") foreach qw(get list watch) }, sub { $api->allow("$_ dbs") foreach qw(get list watch) }, qr/dbs/);
is(scalar(grep { defined $_->{headers}{'x-evil'} } $api->requests), 0, 'a token cannot add a header');

my $log = slurp_file($node->logfile);
cmp_ok(length $log, '>', 10000, 'the log is talkative');
foreach my $token (@tokens, 'smuggled-token-line')
{
	unlike($log, qr/\Q$token/, 'no token is in the log');
	unlike($shown, qr/\Q$token/, 'nor in what SQL shows');
}
unlike($log, qr/Bearer/i, 'nor what it is sent with');

# Every request says who asks, and asks for JSON.
my @requests = $api->requests;
my %agents = map { ($_->{headers}{'user-agent'} // '') => 1 } @requests;
my $version = sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'documentdb_upgrade'});
is_deeply([ keys %agents ], ["documentdb-upgrade/$version"], 'requests name product and version');
is(scalar(grep { ($_->{headers}{accept} // '') !~ m{application/json} } @requests), 0, 'and ask for JSON');

done_testing();
