
=pod

=head1 NAME

DocumentdbUpgrade::Library - an extension with a library, to be replaced

=head1 SYNOPSIS

  my $node = library_node('main', preload => 'documentdb_upgrade, standin');
  put_library($node, '1.1');    # as a package does it
  announce($node, '1.1');       # the control file
  like(guard($node), qr/^fail\|/, 'the old library is still in memory');

=head1 DESCRIPTION

The extension that is managed is "standin", installed at 1.0 with files up to
1.1; its library tells the version that was compiled in.  It is compiled when
it is asked for.

=cut

package DocumentdbUpgrade::Library;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(library_node create_standin build_library put_library library_file announce guard);

=pod

=head1 FUNCTIONS

=over

=item library_node(name, %options)

A node with an installation of its own and with library, control file and
scripts of standin 1.0.  Options: those of new_node; started, and with both
extensions, unless C<start> is false.

=cut

sub library_node
{
	my ($name, %options) = @_;
	my $start = delete $options{start} // 1;
	my $node = new_node($name, own_installation => 1, %options, start => 0, conf => q{
documentdb_upgrade.extension = 'standin'
documentdb_upgrade.loaded_version_function = 'public.standin_version'
documentdb_upgrade.poll_interval = '100ms'
} . ($options{conf} // ''));

	write_extension($node, 'standin', '1.0',
		'1.0' => q{CREATE FUNCTION standin_version() RETURNS text LANGUAGE C AS '$libdir/standin';},
		'1.0--1.1' => 'CREATE TABLE one (id int);');
	announce($node, '1.0');
	put_library($node, '1.0');
	if ($start)
	{
		$node->start;
		create_standin($node);
	}
	return $node;
}

=pod

=item create_standin(node)

Both extensions, standin at 1.0.

=cut

sub create_standin
{
	my ($node) = @_;
	sql($node, q{BEGIN; CREATE EXTENSION standin VERSION '1.0'; CREATE EXTENSION documentdb_upgrade; COMMIT});
	return;
}

=pod

=item build_library(version, @options)

Compiles the library, with options of the compiler, and gives back the new
file's path.

=cut

my $built = 0;

sub build_library
{
	my ($version, @options) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/standin' . ++$built . '.so';

	chomp(my $compiler = `pg_config --cc`);
	chomp(my $headers = `pg_config --includedir-server`);

	# Headers are not part of the private installation.
	$headers =~ s/^\Q$ENV{DU_PREFIX}\E//;
	system_or_bail(split(' ', $compiler), '-O1', '-fPIC', '-shared', '-Wl,--build-id', "-I$headers",
		qq{-DSTANDIN_VERSION="$version"}, @options, '-o', $file, "$ENV{DU_SOURCE}/test/fixtures/library/standin.c");
	return $file;
}

=pod

=item put_library(node, version, @options)

Puts such a library into the node's installation as packages do it: the old
file stays what it was for those who have it open.

=item library_file(node)

Its path there.

=cut

sub put_library
{
	my ($node, @library) = @_;
	my $new = library_file($node) . '.new';

	system_or_bail('cp', build_library(@library), $new);
	rename $new, library_file($node) or die "could not rename: $!\n";
	return;
}

sub library_file { return library_dir($_[0]) . '/standin.so'; }

=pod

=item announce(node, version, %parameters)

Writes the control file; its default version, and other parameters.

=cut

sub announce
{
	my ($node, $version, %parameters) = @_;

	%parameters = (default_version => $version, module_pathname => '$libdir/standin', relocatable => 'false', %parameters);
	write_extension_file($node, 'standin.control', join '', map { "$_ = '$parameters{$_}'\n" } sort keys %parameters);
	return;
}

=pod

=item guard(node)

Status, detail and hint of guard library_loaded.

=back

=cut

sub guard
{
	my ($node) = @_;
	return sql($node, q{SELECT status, detail, hint FROM documentdb_upgrade.preflight() WHERE guard = 'library_loaded'});
}

1;
