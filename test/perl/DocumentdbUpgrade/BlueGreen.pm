
=pod

=head1 NAME

DocumentdbUpgrade::BlueGreen - servers to upgrade to, and how they compare

=head1 SYNOPSIS

  my $blue = DocumentdbUpgrade::Blue->new('13', 'restored');
  my $green = green_node('green');

  $blue->dump_to($green);
  is_deeply([ differences($green, $blue) ], [], 'the same data');

=cut

package DocumentdbUpgrade::BlueGreen;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use Test::More;

our @EXPORT = qw(green_node create_green compared differences differences_from);

=pod

=head1 FUNCTIONS

=over

=item green_node(name, %options)

A started node with our library preloaded, the roles of blue, which a dump of a
database leaves out, and room for subscriptions.
Options: those of new_node; C<tcp> true: it listens on its loopback port, too,
for clients with the password of blue.

=item create_green(node, dbname)

A database like those of blue: encoding and order are the same.  With our
extension.

=cut

sub green_node
{
	my ($name, %options) = @_;
	my $tcp = delete $options{tcp};
	my $node = new_node($name, preload => 1, %options, start => 0, conf => q{
max_logical_replication_workers = 8
max_sync_workers_per_subscription = 4
password_encryption = 'scram-sha-256'
} . ($options{conf} // ''));

	if ($tcp)
	{
		$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
		unlink $node->data_dir . '/pg_hba.conf';
		$node->append_conf('pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256");
	}
	$node->start;
	sql($node, 'CREATE ROLE replicator');
	sql($node, "ALTER ROLE postgres PASSWORD '$ENV{BLUE_PASSWORD}'") if $tcp;
	return $node;
}

sub create_green
{
	my ($green, $dbname) = @_;

	sql($green, "DROP DATABASE IF EXISTS $dbname");
	sql($green, "CREATE DATABASE $dbname TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'");
	sql($green, 'CREATE EXTENSION documentdb_upgrade', $dbname);
	return;
}

=pod

=item compared(node, blue, %options)

What compare_with on green gave: the hash of try_sql.  Options are its
arguments by name, as SQL text, and C<user>, whom green connects as.

=item differences(node, blue, %options)

The lines of it: "kind schema object difference key", without what is empty,
what an error is, and for a row without a key what is in it.  Dies when it fails.

=item differences_from(blue, node, %options)

The same, seen from blue, which needs the whole extension; a node with C<tcp>.

=cut

sub compared
{
	my ($green, $blue, %options) = @_;
	my $conninfo = $blue->conninfo(user => delete $options{user});

	return try_sql($green, comparison($conninfo, %options), dbname => $blue->{dbname});
}

sub comparison
{
	my ($conninfo, %options) = @_;
	my $arguments = join '', map { ", $_ => $options{$_}" } sort keys %options;

	return qq{
		SELECT concat_ws(' ', kind, schema_name, object_name, difference, key,
			CASE WHEN key IS NULL AND kind = 'row' THEN coalesce(local, remote) END, CASE WHEN difference = 'error' THEN detail END)
		FROM documentdb_upgrade.compare_with('$conninfo'$arguments)};
}

sub differences { return lines_of(compared(@_)); }

sub differences_from
{
	my ($blue, $green, %options) = @_;
	my $conninfo = sprintf 'host=127.0.0.1 port=%s dbname=%s user=postgres password=%s', $green->port, $blue->{dbname}, $ENV{BLUE_PASSWORD};

	return lines_of($blue->try_sql(comparison($conninfo, %options)));
}

sub lines_of
{
	my $result = shift;
	die "could not compare: $result->{stderr}\n" unless $result->{ok};
	note($result->{stderr});
	return sort split /\n/, $result->{stdout};
}

=pod

=back

=cut

1;
