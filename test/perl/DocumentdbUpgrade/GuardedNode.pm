
=pod

=head1 NAME

DocumentdbUpgrade::GuardedNode - a node on which guards meet plain statements

=head1 SYNOPSIS

  my $node = guarded_node('main');
  install($node);
  refused($node, q{ALTER EXTENSION thing UPDATE TO '1.3'}, 'within_binary');
  is(versions($node), 'before 1.0, thing 1.0, after 1.0', 'nothing has changed');

=head1 DESCRIPTION

Our library is preloaded.  The managed set is "before, thing, after", thing is
the main extension and requires "base", which is not managed.  The binary
offers 1.2; the files go further and also back.

=cut

package DocumentdbUpgrade::GuardedNode;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use Test::More;

our @EXPORT = qw(guarded_node install versions refused warned passes);

=pod

=head1 FUNCTIONS

=over

=item guarded_node(name, %options)

A started node; options as for new_node, and C<scripts> for extension thing.  That
nothing was rehearsed is no warning here, so those of others can be counted.

=cut

sub guarded_node
{
	my ($name, %options) = @_;
	my $scripts = delete $options{scripts} // {};
	my $node = new_node($name, preload => 1, own_installation => 1, %options, start => 0, conf => q{
documentdb_upgrade.extension = 'thing'
documentdb_upgrade.managed_extensions = 'before, thing, after'
documentdb_upgrade.poll_interval = '1h'
documentdb_upgrade.guard_severity = 'rehearsed=skip'
} . ($options{conf} // ''));

	write_extension($node, 'base', '1', '1' => '');
	foreach my $name ('before', 'thing', 'after')
	{
		write_extension($node, $name, '1.2', '1.0' => "CREATE TABLE ${name}_1_0 ();",
			'1.0--1.1' => "CREATE TABLE ${name}_1_1 ();", '1.1--1.2' => "CREATE TABLE ${name}_1_2 ();");
	}
	write_extension($node, 'thing', '1.2',
		'1.1--1.0' => 'DROP TABLE thing_1_1;',
		'1.0--0.9' => '', '0.9--1.0.5' => 'CREATE TABLE zigzag ();', '1.0--ANY' => '', %$scripts);
	write_extension_file($node, 'thing.control', "default_version = '1.2'\nrequires = 'base'\nrelocatable = false\n");
	$node->start;
	return $node;
}

=pod

=item install(node, dbname, user)

The extensions at 1.0, without documentdb_upgrade.

=item versions(node, dbname)

Those of the managed set.

=cut

sub install
{
	my ($node, $dbname, $user) = @_;
	my $result = try_sql($node, q{CREATE EXTENSION base; CREATE EXTENSION before VERSION '1.0';
		CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION after VERSION '1.0'}, dbname => $dbname, user => $user);
	die $result->{stderr} unless $result->{ok};
	return;
}

sub versions
{
	my ($node, $dbname) = @_;
	return sql($node, q{SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY array_position('{before,thing,after}', extname))
		FROM pg_extension WHERE extname IN ('before', 'thing', 'after')}, $dbname);
}

=pod

=item refused(node, sql, guard, %options)

Tests that it is refused by that guard and has changed nothing; C<drop> in
place of a guard: that the drop is.  Options: those of try_sql.  Returns what
that gives.

=item warned(node, sql, regexp, %options)

Tests that it succeeds with a warning like this.

=item passes(node, sql, %options)

Tests that it succeeds without a warning.

=cut

my %sqlstate = (target_known => '0A000', update_path => '0A000', not_in_recovery => '25006');

sub refused
{
	my ($node, $sql, $guard, %options) = @_;
	my $before = versions($node, $options{dbname});
	my $result = try_sql($node, $sql, %options);
	my $expected = $guard eq 'drop' ? qr/^cannot drop managed extension "/ : qr/^cannot (create|update) extension .* refused by guard "$guard"$/;

	subtest "refused by $guard: $sql" => sub {
		like($result->{message}, $expected, 'in these words') or diag($result->{stderr});
		is($result->{sqlstate}, $sqlstate{$guard} // '55000', 'with this code');
		like($result->{hint}, qr/^[A-Z].*[.;]$/, 'and with a hint');
		is(versions($node, $options{dbname}), $before, 'nothing has changed');
	};
	return $result;
}

sub warned
{
	my ($node, $sql, $regexp, %options) = @_;
	my $result = try_sql($node, $sql, %options);

	subtest "a warning: $sql" => sub {
		ok($result->{ok}, 'it succeeds') or diag($result->{stderr});
		like($result->{stderr}, qr/WARNING:  01000: $regexp/, 'and the warning comes');
		is(scalar(() = $result->{stderr} =~ /WARNING:/g), 1, 'once');
	};
	return $result;
}

sub passes
{
	my ($node, $sql, %options) = @_;
	my $result = try_sql($node, $sql, %options);

	ok($result->{ok} && $result->{stderr} !~ /WARNING/, "passes: $sql") or diag($result->{stderr});
	return $result;
}

=pod

=back

=cut

1;
