
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

our @EXPORT = qw(green_node create_green differences compared);

=pod

=head1 FUNCTIONS

=over

=item green_node(name, %options)

A started node with our library preloaded, and room for subscriptions.
Options: those of new_node.

=item create_green(node, dbname)

A database like those of blue: encoding and order are the same.  With our
extension.

=cut

sub green_node
{
	my ($name, %options) = @_;
	return new_node($name, preload => 1, %options, conf => q{
max_logical_replication_workers = 8
max_sync_workers_per_subscription = 4
} . ($options{conf} // ''));
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
and what an error is.  Dies when it fails.

=cut

sub compared
{
	my ($green, $blue, %options) = @_;
	my $conninfo = $blue->conninfo(user => delete $options{user});
	my $arguments = join '', map { ", $_ => $options{$_}" } sort keys %options;

	return try_sql($green, qq{
		SELECT concat_ws(' ', kind, schema_name, object_name, difference, key, CASE WHEN key IS NULL AND kind = 'row' THEN concat_ws(' ', local, remote) END, CASE WHEN difference = 'error' THEN detail END)
		FROM documentdb_upgrade.compare_with('$conninfo'$arguments)}, dbname => $blue->{dbname});
}

sub differences
{
	my $result = compared(@_);
	die "green: $result->{stderr}\n" unless $result->{ok};
	note($result->{stderr});
	return sort split /\n/, $result->{stdout};
}

=pod

=back

=cut

1;
