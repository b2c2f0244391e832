# What the API server refuses is reported with the right that is missing; a
# rotated token is taken up at once.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api);
my $wish = sub { $api->patch_spec('db1', schemaVersion => 'auto') };
my $no_wish = sub { $api->patch_spec('db1', schemaVersion => '') };

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

outage($node, $api,
	name => 'a token that expires',
	cause => sub { $api->expire_token; $wish->() },
	cure => sub { $no_wish->(); $api->rotate_token },
	says => qr/does not accept the token/);

# A rotation that the open watch survives costs nothing.
$api->mark;
$api->rotate_token;
unharmed($node, $api, 'a token that is rotated in time', sub { $api->watch_stop('end') });
is(scalar(grep { $_->{status} == 401 } $api->requests), 0, 'and is refused never');

outage($node, $api,
	name => 'an empty token file',
	cause => sub { open my $f, '>', $api->token_file or die; close $f; $wish->() },
	cure => sub { $no_wish->(); $api->rotate_token },
	says => qr/token/);
outage($node, $api,
	name => 'a missing token file',
	cause => sub { unlink $api->token_file or die; $wish->() },
	cure => sub { $no_wish->(); $api->rotate_token },
	says => qr/token/);
outage($node, $api,
	name => 'a missing definition',
	cause => sub { $api->serve(0); $wish->() },
	cure => sub { $no_wish->(); $api->serve(1) },
	says => qr/defin|CRD/i);
outage($node, $api,
	name => 'a redirect',
	cause => sub { $api->fault(times => 1000, status => 307, headers => { Location => $api->url . '/elsewhere' }); $wish->() },
	cure => $no_wish,
	says => qr/redirect/);
is(scalar(grep { $_->{path} eq '/elsewhere' } $api->requests), 0, 'a redirect is not followed');

# Last, because from then on the worker polls for a while.
outage($node, $api,
	name => 'a missing right',
	cause => sub { $api->deny("$_ dbs") foreach qw(get list watch); $wish->() },
	cure => sub { $no_wish->(); $api->allow("$_ dbs") foreach qw(get list watch) },
	says => qr/get.*dbs\.documentdb\.io.*lab.*docs\/kubernetes\.md/s);

done_testing();
