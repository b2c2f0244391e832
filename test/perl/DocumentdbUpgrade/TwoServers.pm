
=pod

=head1 NAME

DocumentdbUpgrade::TwoServers - comparisons of two servers

=head1 SYNOPSIS

  my ($blue, $green) = two_servers(q{CREATE TABLE t ...});

  sql($green, 'DELETE FROM t WHERE id = 5');
  is(differences($blue, $green), 'row|public|t|missing|{"id": 5}', 'found');

=cut

package DocumentdbUpgrade::TwoServers;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use Test::More;

our @EXPORT = qw(two_servers comparison compare differences last_run tables_of_run processes_gone);

=pod

=head1 FUNCTIONS

=over

=item two_servers(sql, %options)

Two nodes with the extension, on both of which the SQL was run: statements that
give the same contents each time.  Options: C<conf>, for both.

=cut

sub two_servers
{
	my ($sql, %options) = @_;
	my @nodes = map { new_node($_, conf => $options{conf}) } qw(blue green);

	sql($_, "CREATE EXTENSION documentdb_upgrade; $sql") foreach @nodes;
	return @nodes;
}

=pod

=item comparison(green, %options)

The call of compare_with, for a query.  Options: C<as>, a role there; C<dbname>
there; others are arguments, as SQL expressions.

=cut

sub comparison
{
	my ($green, %options) = @_;
	my $conninfo = $green->connstr(delete $options{dbname} // 'postgres');

	$conninfo .= " user=$options{as}" if defined $options{as};
	$conninfo =~ s/'/''/g;
	delete $options{as};
	return "documentdb_upgrade.compare_with('$conninfo'" . join('', map { ", $_ => $options{$_}" } sort keys %options) . ')';
}

=pod

=item compare(blue, green, %options)

Compares and gives the hash of try_sql; of each difference kind, schema, object,
difference and key.  Option C<user>, the caller, and those of comparison.

=item differences(blue, green, %options)

The same as text, of a comparison that must not fail.

=cut

sub compare
{
	my ($blue, $green, %options) = @_;
	my @user = defined $options{user} ? (user => delete $options{user}) : ();

	return try_sql($blue, 'SELECT kind, schema_name, object_name, difference, key FROM ' . comparison($green, %options), @user);
}

sub differences
{
	my $result = compare(@_);

	ok($result->{ok}, 'the comparison runs') or diag($result->{stderr});
	return $result->{stdout};
}

=pod

=item last_run(node, columns)

Columns of the newest run.

=item tables_of_run(node, columns)

Columns of the tables of the newest run, by name.

=item processes_gone(node, name)

A test that no process or session of a run is left there.

=back

=cut

sub last_run
{
	my ($node, $columns) = @_;
	return sql($node, "SELECT $columns FROM documentdb_upgrade.parity_runs ORDER BY id DESC LIMIT 1");
}

sub tables_of_run
{
	my ($node, $columns) = @_;
	return sql($node, "SELECT table_name, $columns FROM documentdb_upgrade.parity_tables
		WHERE run = (SELECT max(id) FROM documentdb_upgrade.parity_runs) ORDER BY table_name COLLATE \"C\"");
}

sub processes_gone
{
	my ($node, $name) = @_;
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type LIKE 'documentdb_upgrade parity%' OR application_name = 'documentdb_upgrade parity'}), $name);
	return;
}

1;
