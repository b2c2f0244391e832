# A version that is there and cannot be compared is named where it is met, and
# never taken for one that is missing, older, or right.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Library;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

# The files of a standby.
my $p = fleet_primary('p', binary => '1.1');
my $a = add_standby($p, 'a');
wait_for_standbys($p, a => 'ready');
write_extension($a, 'thing', 'newest');
wait_for_standbys($p, a => 'old_binary');
is(sql($p, q{SELECT problem FROM documentdb_upgrade.standbys}),
	'Standby "a" has binary "newest" of extension "thing", which cannot be compared with "1.1".', 'a standby whose control file names no version');
$_->stop foreach $a, $p;

# What a library reports.
my $node = library_node('library', preload => 'documentdb_upgrade, standin');
announce($node, '1.1');
put_library($node, 'unstable');
$node->restart;
like(guard($node), qr/^warn\|The library of extension "standin" in memory reports version "unstable", which cannot be compared with the control file's\.\|/,
	'a library that reports no version');
put_library($node, '1.1');
$node->restart;
like(guard($node), qr/^pass\|/, 'and one that does');
$node->stop;

# The image version that a custom resource names, while it desires what is not here.
my $file = PostgreSQL::Test::Utils::tempdir() . '/desired';
$node = worker_node('file', conf => "documentdb_upgrade.source = 'file'\ndocumentdb_upgrade.desired_file = '$file'\n");
foreach (
	[ '"documentDBVersion": "newest"', qr/ names "newest" as its image version, which cannot be compared: /, 'documentDBVersion' ],
	[ '"image": {"documentDB": "registry:5000/documentdb:nightly"}', qr/ names "nightly" as its image version, which cannot be compared: /, 'a tag' ],
	[ '"image": {"documentDB": "documentdb:nightly"}, "documentDBVersion": "9.9.8"', qr/ names image version 9\.9\.8: /, 'a tag beside a version' ],
	[ '"image": {"documentDB": "documentdb:9.9.9"}', qr/ names image version 9\.9\.9: /, 'a tag that is a version' ],
	[ '"image": {"documentDB": "documentdb:pg17-9.9.7"}', qr/ names image version 9\.9\.7: /, 'with PostgreSQL in front' ],
	[ '"image": {"documentDB": "documentdb:16.3-v9.9.6"}, "documentDBVersion": "9.9.8"', qr/ names image version 9\.9\.6: /, 'and a v' ],
	[ '"documentDBVersion": "9.9-RC2"', qr/ names image version 9\.9\.0-RC2: /, 'a release candidate' ],
	[ '"image": {"documentDB": "documentdb:9.9.5@sha256:01"}', qr/ names image version 9\.9\.5: /, 'a tag before a digest' ],
	[ '"image": {"documentDB": "documentdb@sha256:01"}, "documentDBVersion": "9.9.4"', qr/ names image version 9\.9\.4: /, 'a version beside a digest' ],
	[ '"advanced": {"documentDBImage": "documentdb:9.9.3"}, "documentDBImage": "documentdb:9.9.2"', qr/ names image version 9\.9\.3: /, 'an older place' ])
{
	my ($fields, $says, $what) = @$_;
	unlink $file;
	append_to_file($file, qq({"kind": "DocumentDB", "spec": {"schemaVersion": "9.9.9", $fields}}));
	wait_for_state($node, 'waiting', $says);
	pass($what);
}

done_testing();
