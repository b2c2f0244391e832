# What the image volume holds is what docs/kubernetes.md promises, and it is enough: a
# server without any file of ours runs from it, read-only.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $volume = PostgreSQL::Test::Utils::tempdir() . '/documentdb_upgrade';
system_or_bail("$ENV{DU_SOURCE}/image/collect", 'pg_config', $volume);
chomp(my @files = `cd $volume && find . -type f | LC_ALL=C sort`);

# The layout that the documentation shows.
my ($layout) = slurp_file("$ENV{DU_SOURCE}/docs/kubernetes.md") =~ m{```\n(/lib/documentdb_upgrade\.so\n.*?)```}s;
foreach my $promise (map { split /, | and what/ } grep { m{^/} } split /\n/, $layout)
{
	next if $promise =~ /they need$/;
	(my $pattern = quotemeta($promise =~ m{^/} ? ".$promise" : "./system/$promise")) =~ s/\\\*/[^\/]*/g;
	ok(scalar(grep { /^$pattern/ } @files), "$promise is there");
}
is_deeply([ grep { !m{^\./(?:lib/documentdb_upgrade(?:_worker)?\.so|share/extension/documentdb_upgrade(?:\.control|--[\w.-]+\.sql)|system/lib[^/]+\.so[.\d]*|sbom\.cdx\.json)$} } @files ], [], 'and nothing else');
is_deeply([ grep { m{^\./system/lib(?:c|m|pq|pthread|dl|ssl|crypto)\.so} } @files ], [], 'nor a library that every server has');

# The bill of materials has each file once, as it is, and knows where Debian's come from.
my $bill = decode_json(slurp_file("$volume/sbom.cdx.json"));
my %listed = map { ("./$_->{properties}[0]{value}" => $_) } @{ $bill->{components} };
is_deeply([ sort keys %listed ], [ grep { !m{/sbom\.} } @files ], 'the bill of materials lists every file');
is(scalar @{ $bill->{components} }, @files - 1, 'once');
is_deeply([ grep { $listed{$_}{hashes}[0]{content} ne (split / /, `sha256sum $volume/$_`)[0] } keys %listed ], [], 'as it is');
my ($version) = slurp_file("$volume/share/extension/documentdb_upgrade.control") =~ /^default_version = '(.*)'/m;
is($bill->{metadata}{component}{version}, $version, 'of this version');
is_deeply([ grep { m{^\./system/} && ($listed{$_}{purl} // '') !~ m{^pkg:deb/debian/lib[a-z0-9.+%-]+@\d[^?]*\?arch=\w+$} } sort keys %listed ], [], 'libraries with their packages');

# Every library that the worker's needs is found.
my $missing = `LD_LIBRARY_PATH=$volume/system ldd $volume/lib/documentdb_upgrade_worker.so | grep 'not found'`;
is($missing, '', 'the worker finds what it needs');
is(`LD_LIBRARY_PATH=$volume/system ldd $volume/lib/documentdb_upgrade_worker.so | grep -c $volume/system/` + 0,
	scalar(grep { m{^\./system/} } @files), 'and takes from the volume all that is there');

# A server on it.  Before 18 there is no extension_control_path, and "\$libdir" in a
# control file means one directory: there the files are put into the server's image.
my $install = fresh_installation();
my $bare = DocumentdbUpgrade::Node->new('bare', install_path => $install);
unlink glob(library_dir($bare) . '/documentdb_upgrade*'), glob(extension_dir($bare) . '/documentdb_upgrade[-._]*');
my $own_path = $bare->pg_version >= 18;
if (!$own_path)
{
	system_or_bail('cp', glob("$volume/share/extension/*"), extension_dir($bare));
	system_or_bail('cp', glob("$volume/lib/*"), library_dir($bare));
}
system_or_bail('chmod', '-R', 'a-w', $volume);
my $digest = sub { return `cd $volume && find . -type f -exec sha256sum {} + | LC_ALL=C sort` };
my $before = $digest->();

$bare->init;
$bare->append_conf('postgresql.conf', "shared_preload_libraries = 'documentdb_upgrade'\n"
	  . "documentdb_upgrade.extension = 'thing'\ndocumentdb_upgrade.guard_severity = 'rehearsed=skip'\ndocumentdb_upgrade.desired_schema_version = 'auto'\n"
	  . ($own_path ? "extension_control_path = '\$system:$volume/share'\ndynamic_library_path = '\$libdir:$volume/lib'\n" : ''));
write_extension($bare, 'thing', '1.1', '1.0' => 'CREATE TABLE thing (id int);', '1.0--1.1' => 'ALTER TABLE thing ADD one int;');
{
	local $ENV{LD_LIBRARY_PATH} = "$volume/system";
	$bare->start;
}
sql($bare, q{CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION documentdb_upgrade});
ok($bare->poll_query_until('postgres', q{SELECT state = 'up_to_date' AND installed_version = '1.1' AND worker_pid IS NOT NULL FROM documentdb_upgrade.status}),
	'a server runs from it, and its worker finalizes');
my $maps = sql($bare, q{SELECT pg_read_file('/proc/' || worker_pid || '/maps') FROM documentdb_upgrade.status});
my $lib = $own_path ? "$volume/lib" : library_dir($bare);
like($maps, qr{\Q$lib\E/documentdb_upgrade_worker\.so}, 'with the library that was put there');
like($maps, qr{\Q$volume\E/system/libcjson\.so}, 'and what that needs from the volume');
$bare->stop;
is($digest->(), $before, 'nothing in the volume has changed');
system_or_bail('chmod', '-R', 'u+w', $volume);

done_testing();
