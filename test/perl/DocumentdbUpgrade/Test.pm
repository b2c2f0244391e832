
=pod

=head1 NAME

DocumentdbUpgrade::Test - what the TAP files here share

=head1 SYNOPSIS

  use DocumentdbUpgrade::Test;
  use Test::More;

  need_extension('hll', '2.10');    # or skip the whole file

  my $node = new_node('primary', preload => 1, conf => "autovacuum = off");
  my $result = try_sql($node, q{SELECT documentdb_upgrade.to_semver('x')});
  is($result->{sqlstate}, '22023', 'a malformed version is refused');

=head1 DESCRIPTION

Built on PostgreSQL::Test::Cluster, whose nodes (of DocumentdbUpgrade::Node) these
functions return and take.  Run by test/check, which provides the private installation.

=cut

package DocumentdbUpgrade::Test;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Node;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(
  new_node try_sql sql poll_until patience sanitized fresh_installation
  extension_available need_extension
  extension_dir library_dir extension_file write_extension_file write_extension
);

# Every server of a test: quick, quiet and with room for a few workers.
my $fast_settings = q{
fsync = off
full_page_writes = off
autovacuum_naptime = 1d
max_connections = 30
max_worker_processes = 16
max_prepared_transactions = 10
log_min_messages = info
};

=pod

=head1 FUNCTIONS

=over

=item new_node(name, %options)

An initialized and started node, with encoding UTF8 and locale C whatever the
environment says.  Options:

  conf              text for postgresql.conf
  preload           true: our library in shared_preload_libraries; or the
                    whole list as text
  streaming         true: can have standbys
  own_installation  true: gets a fresh_installation of its own; or the value
                    that one returned
  start             false: leave it stopped

=cut

sub new_node
{
	my ($name, %options) = @_;
	my @install;

	if (my $own = $options{own_installation})
	{
		@install = (install_path => $own eq '1' ? fresh_installation() : $own);
	}
	my $node = DocumentdbUpgrade::Node->new($name, @install);
	$node->init(allows_streaming => $options{streaming} ? 1 : 0);
	$node->append_conf('postgresql.conf', $fast_settings);

	# A standby that is slow to connect still finds where to begin.
	$node->append_conf('postgresql.conf', "wal_keep_size = '256MB'") if $options{streaming};
	if (my $preload = $options{preload})
	{
		$preload = 'documentdb_upgrade' if $preload eq '1';
		$node->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'");
	}
	$node->append_conf('postgresql.conf', $options{conf}) if defined $options{conf};
	$node->start if $options{start} // 1;
	return $node;
}

=pod

=item try_sql(node, sql, %options)

Runs SQL that may fail and gives a hash: C<ok>, C<stdout>, C<stderr>, and of
the first error C<sqlstate>, C<message>, C<detail>, C<hint>.  Options:
C<dbname> (postgres), C<user>.

=cut

sub try_sql
{
	my ($node, $sql, %options) = @_;
	my ($stdout, $stderr) = ('', '');
	my @params = ('-v', 'VERBOSITY=verbose');

	push @params, '-U', $options{user} if defined $options{user};
	my $status = $node->psql(
		$options{dbname} // 'postgres', $sql,
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 1,
		extra_params => \@params);
	return { %{ result_of($stdout, $stderr) }, ok => $status == 0 };
}

# What try_sql gives, made of the outputs.
sub result_of
{
	my ($stdout, $stderr) = @_;
	my %result = (stdout => $stdout, stderr => $stderr);

	if ($stderr =~ /^(?:psql:\S+\s+)?(?:ERROR|FATAL):  ([0-9A-Z]{5}): (.*)((?:\n(?!psql:).*)*)/m)
	{
		my $rest = $3;
		@result{qw(sqlstate message)} = ($1, $2);
		$result{ lc $1 } = $2 while $rest =~ /^(DETAIL|HINT):  (.*)$/mg;
	}
	$result{ok} = !defined $result{sqlstate};
	return \%result;
}

=pod

=item sql(node, sql, dbname)

The output of SQL that must not fail.

=cut

sub sql
{
	my ($node, $sql, $dbname) = @_;
	return $node->safe_psql($dbname // 'postgres', $sql);
}

=pod

=item poll_until(code, what)

Waits until the code returns true and returns that; after the usual timeout
of PostgreSQL's tests the test fails under the name "what".  For a condition
that one query expresses, use the node's poll_query_until.

=cut

sub poll_until
{
	my ($code, $what) = @_;
	my $result = DocumentdbUpgrade::Node::poll($code);

	fail("timed out waiting until $what") unless $result;
	return $result;
}

=pod

=item patience(seconds)

What that time is on this machine now: as much longer as it takes longer to start
processes than on a quiet one.  For tests whose subject is that something is
prompt; the seconds have room for a usual delay.

=cut

# On a quiet machine with slow system calls.
use constant SECONDS_FOR_A_PROCESS => 0.005;

sub patience
{
	my ($seconds) = @_;
	my $start = time;

	system('true') foreach 1 .. 10;
	my $slowness = (time - $start) / (10 * SECONDS_FOR_A_PROCESS);
	return $seconds * ($slowness > 1 ? $slowness : 1);
}

=pod

=item sanitized()

True where servers are built with AddressSanitizer, and their memory tells nothing.

=cut

sub sanitized { return `pg_config --cflags` =~ /-fsanitize=\S*address/ ? 1 : 0; }

=pod

=item fresh_installation()

A private copy of the installation under test, for tests that add, change or
remove its files.  Returns what new_node takes as own_installation.

=cut

my $installations = 0;

sub fresh_installation
{
	my $copy = sprintf '%s/installation%d', PostgreSQL::Test::Utils::tempdir(), ++$installations;

	system_or_bail('cp', '-a', $ENV{DU_PREFIX}, $copy);
	(my $install_path = $copy . bindir()) =~ s{/bin$}{};
	return $install_path;
}

# The bindir below the installation's root.
sub bindir
{
	chomp(my $bindir = `pg_config --bindir`);
	$bindir =~ s/^\Q$ENV{DU_PREFIX}\E// or die "not a private installation: $bindir\n";
	return $bindir;
}

=pod

=item extension_dir(node), library_dir(node)

Where a node looks for control files and scripts, and for libraries.  Without
a node: those of the shared installation, not to be changed.

=cut

sub extension_dir { return config($_[0], '--sharedir') . '/extension'; }
sub library_dir { return config($_[0], '--pkglibdir'); }

my %answers;

sub config
{
	my ($node, $option) = @_;
	my $program = $node ? $node->installed_command('pg_config') : 'pg_config';

	chomp($answers{"$program $option"} //= `$program $option`);
	return $answers{"$program $option"};
}

=pod

=item extension_file(node, name)

The path of a control file or script of a node that has its own installation,
made safe to edit: a link to the system's file becomes a copy.

=cut

sub extension_file
{
	my ($node, $name) = @_;
	my $path = extension_dir($node) . "/$name";

	die "a node with its own installation is needed\n" unless $node->{_install_path};
	if (-l $path)
	{
		my $content = slurp_file($path);
		unlink $path;
		append_to_file($path, $content);
	}
	return $path;
}

=pod

=item write_extension_file(node, name, content)

Creates or replaces a control file or script of such a node.

=cut

sub write_extension_file
{
	my ($node, $name, $content) = @_;
	my $path = extension_file($node, $name);

	unlink $path;
	append_to_file($path, $content);
	return $path;
}

=pod

=item write_extension(node, name, default_version, %scripts)

Writes a control file and scripts of such a node; a script's key is what its
name says after "name--": C<< '1.0' => 'CREATE ...', '1.0--1.1' => '...' >>.
Called again it replaces what it is given.

=cut

sub write_extension
{
	my ($node, $name, $default_version, %scripts) = @_;

	write_extension_file($node, "$name.control", "default_version = '$default_version'\nrelocatable = false\n");
	write_extension_file($node, "$name--$_.sql", $scripts{$_}) foreach keys %scripts;
	return;
}

=pod

=item extension_available(name, version)

True when the server offers the extension (and a script that installs that
version directly).

=item need_extension(name, version)

Skips the whole file, with the reason, when it does not.

=cut

sub extension_available
{
	my ($name, $version) = @_;
	my $dir = extension_dir();

	return -e "$dir/$name.control" && (!defined $version || -e "$dir/$name--$version.sql");
}

sub need_extension
{
	my ($name, $version) = @_;
	return if extension_available($name, $version);
	plan skip_all => "extension $name" . (defined $version ? " $version" : '') . ' is not available';
}

=pod

=back

=cut

1;
