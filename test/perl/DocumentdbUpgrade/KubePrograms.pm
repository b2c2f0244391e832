
=pod

=head1 NAME

DocumentdbUpgrade::KubePrograms - where the programs of a Kubernetes API server are

=head1 DESCRIPTION

Looks where people have them who test against Kubernetes: the variables of
envtest first, for each program by itself (C<TEST_ASSET_KUBE_APISERVER>,
C<TEST_ASSET_ETCD>, C<TEST_ASSET_KUBECTL>) and for their directory
(C<KUBEBUILDER_ASSETS>, by default F</usr/local/kubebuilder/bin>), then C<PATH>;
and before all of them C<KUBE_APISERVER>.  etcd and kubectl are also taken from
beside kube-apiserver.  Last comes what C<unpack.sh> of a directory
C<../shared/kube> beside the source tree gives.

It needs no more than the Perl that each Debian has.

=head1 FUNCTIONS

=over

=item programs()

A hash of paths: C<apiserver>, C<etcd>, C<kubectl>, and C<apiextensions>, a later
release's server of custom resources, where there is one; or nothing when there
is no kube-apiserver.

=item missing()

"there is no kube-apiserver", or undef; looks for no more than that.

=item obstacle()

Why no API server can be run here, or undef.

=item shared_kube()

The directory C<../shared/kube> beside the tree that is tested, or undef.

=item in_path(program)

Its path, or undef.

=back

=cut

package DocumentdbUpgrade::KubePrograms;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Fcntl ':flock';
use File::Basename;

our @EXPORT_OK = qw(programs missing obstacle shared_kube in_path);

sub shared_kube
{
	my $dir = dirname($ENV{DU_TREE} || $ENV{DU_SOURCE}) . '/shared/kube';
	return -x "$dir/unpack.sh" ? $dir : undef;
}

sub in_path
{
	my $program = shift;
	my ($found) = grep { -x } map { "$_/$program" } split /:/, $ENV{PATH};
	return $found;
}

# Where a program is that the environment names, if it can be run.
sub named
{
	my $program = shift;
	my $asset = 'TEST_ASSET_' . uc($program) =~ tr/-/_/r;
	my $dir = $ENV{KUBEBUILDER_ASSETS} || '/usr/local/kubebuilder/bin';
	my ($found) = grep { -x } map { $_ || () } $program eq 'kube-apiserver' ? $ENV{KUBE_APISERVER} : (), $ENV{$asset}, "$dir/$program";
	return $found;
}

my $programs;

sub programs
{
	return $programs if $programs;
	my $apiserver = named('kube-apiserver') || in_path('kube-apiserver');

	$apiserver = unpacked() . '/kube-apiserver' if !$apiserver && shared_kube();
	return unless $apiserver;
	my $dir = dirname($apiserver);
	my $beside = sub { my ($file) = grep { -x } map { "$dir/$_" } @_; $file };
	$programs = {
		apiserver => $apiserver,
		etcd => $ENV{TEST_ASSET_ETCD} || $beside->('etcd-3.5', 'etcd') || named('etcd') || in_path('etcd'),
		kubectl => $ENV{TEST_ASSET_KUBECTL} || $beside->('kubectl') || named('kubectl') || in_path('kubectl'),
		apiextensions => $beside->('apiextensions-apiserver')
	};
	return $programs;
}

sub missing
{
	return if named('kube-apiserver') || in_path('kube-apiserver') || shared_kube();
	return 'there is no kube-apiserver (docs/development.md says where one is looked for)';
}

sub obstacle
{
	# What is asked for by name and cannot be run is a mistake worth telling.
	foreach my $name (qw(KUBE_APISERVER TEST_ASSET_KUBE_APISERVER TEST_ASSET_ETCD TEST_ASSET_KUBECTL))
	{
		return "$name is \"$ENV{$name}\", which cannot be run by this user" if $ENV{$name} && !-x $ENV{$name};
	}
	my $missing = missing();
	return $missing if $missing;
	foreach my $program (qw(etcd kubectl))
	{
		return "there is a kube-apiserver, but no $program" unless programs()->{$program};
	}
	foreach my $program (qw(openssl setpriv))
	{
		return "the program $program is not here" unless in_path($program);
	}
	return;
}

# Unpacks the shared programs once for all test files of a run.
sub unpacked
{
	local $ENV{KUBE_CACHE} = "$ENV{TESTDIR}/kube";
	open my $lock, '>', "$ENV{TESTDIR}/kube.lock" or die "could not create a lock file: $!\n";
	flock $lock, LOCK_EX or die "could not lock: $!\n";
	chomp(my $dir = `'@{[ shared_kube() ]}/unpack.sh'`);
	die "could not unpack the API server\n" if $?;
	return $dir;
}

1;
