# What cannot be compared is a warning, never a refusal.  Where our library was
# not there to record what the server loaded, build-ids tell; and what a
# preloaded library loads in its turn is recorded too.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Library;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $stale = qr/^fail\|The file of library .* still has the old library in memory\.\|Restart PostgreSQL to load the new library\.$/;

# Ours is preloaded: the content of the file counts.
my $node = library_node('recorded', preload => 'standin, documentdb_upgrade');
my $file = library_file($node);

put_library($node, '1.1');
chmod 0000, $file or die "could not change the mode: $!";
like(guard($node), qr/^warn\|Whether library .* cannot be found out: the file cannot be read\.\|/, 'an unreadable file is a warning');
announce($node, '1.1');
like(guard($node), qr/^fail\|.*reports version "1\.0", the control file says "1\.1"\.\|Restart PostgreSQL .*; if that changes nothing, install/,
	'but versions that differ are not');
chmod 0644, $file or die "could not change the mode: $!";
like(guard($node), $stale, 'a readable one is compared');
unlink $file;
append_to_file($file, 'no library at all');
like(guard($node), $stale, 'even when it is no library');
$node->stop;

# Ours is not.
$node = library_node('mapped', preload => 'standin');
$file = library_file($node);
like(guard($node), qr/^pass\|/, 'build-ids agree');
utime 1, 1, $file;
like(guard($node), qr/^pass\|/, 'whenever the file was written');
put_library($node, '1.1');
announce($node, '1.1');
like(guard($node), $stale, 'and differ when it was replaced');
is(try_sql($node, 'SELECT documentdb_upgrade.finalize()')->{hint}, 'Restart PostgreSQL to load the new library.', 'finalize is refused');
announce($node, '1.0');
foreach my $garbage ('', 'no library at all', "\x7fELF", substr(slurp_file($file), 0, 100), "\x7fELF\2\1\1" . "\xff" x 4000)
{
	unlink $file;
	append_to_file($file, $garbage);
	like(guard($node), qr/^warn\|.*cannot be found out: the file cannot be read as a library\.\|/,
		'with ' . length($garbage) . ' bytes of something else nothing is known');
}
announce($node, '1.1');
put_library($node, '1.1', '-Wl,--build-id=none');
like(guard($node), $stale, 'a file without a build-id is not the one that has one');

# Neither, nor a build-id.
$node->stop;
$node->start;
like(guard($node), qr/^warn\|.*not recorded at server start and has no build-id\.\|Restart PostgreSQL if/, 'without a build-id nothing is known');
is(sql($node, 'SELECT outcome FROM documentdb_upgrade.finalize()'), 'succeeded', 'which hinders nobody');
$node->stop;

# Loaded by one that is preloaded.
$node = library_node('loader', preload => 'documentdb_upgrade, loader', start => 0);
system_or_bail('cp', build_library('1.0', '-DSTANDIN_MUTE', '-DSTANDIN_LOADER'), library_dir($node) . '/loader.so');
$node->start;
create_standin($node);
like(guard($node), qr/^pass\|/, 'a library that a preloaded one loads is recorded');
put_library($node, '1.1');
like(guard($node), $stale, 'so that a restart is known to be what it needs');

done_testing();
