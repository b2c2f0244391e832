# Only a server with a valid certificate of the configured authority is
# talked to, and only then is the token shown.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1 });
my $node = follow($api);

wait_for_state($node, 'update_available');
still_follows($node, $api, 'the start');

my %certificates = (
	other_ca => [ 'a certificate of another authority', qr/certificate|verif/i ],
	expired => [ 'an expired certificate', qr/expired/i ],
	other_host => [ 'a certificate of another host', qr/certificate|match/i ]);
foreach my $shown (sort keys %certificates)
{
	my ($name, $says) = @{ $certificates{$shown} };
	outage($node, $api,
		name => $name,
		cause => sub {
			$api->show_certificate($shown);
			$api->drop_connections;
			$api->mark;
			$api->patch_spec('db1', schemaVersion => 'auto');
		},
		cure => sub {
			like(status_of($node)->{next_step}, qr/kubernetes_ca_file/, 'the hint names the setting') if $shown eq 'other_ca';
			is(scalar $api->requests, 0, "nothing is sent to a server with $name");
			$api->patch_spec('db1', schemaVersion => '');
			$api->show_certificate('good');
		},
		says => $says);
}

# A rotated authority is read anew for each connection.
unharmed($node, $api, 'a new authority', sub {
	$api->new_authority;
	$api->drop_connections;
});

# A missing file stops the talking, and its return starts it again.
my $ca_file = $api->ca_file;
outage($node, $api,
	name => 'a missing authority file',
	cause => sub {
		rename $ca_file, "$ca_file.away" or die "could not rename: $!\n";
		$api->drop_connections;
	},
	cure => sub { rename "$ca_file.away", $ca_file or die "could not rename: $!\n" },
	says => qr/certificate|CA file|kubernetes_ca_file/i);

done_testing();
