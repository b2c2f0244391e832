# docs/reference.md describes what there is and nothing else: every object of the schema
# that people call, every setting with its default, guard, state and reason of an Event.
# README has the states too.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# The rows of the tables under a heading, each a list of its cells.
sub rows
{
	my ($heading, $file) = (@_, 'docs/reference.md');
	my $text = slurp_file("$ENV{DU_SOURCE}/$file");
	my ($section) = $text =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms or die "no section \"$heading\" in $file\n";

	return map { [ split /\s*\|\s*/, $_ ] } $section =~ /^\| (`.*) \|$/mg;
}

# A name without its arguments, from a cell such as `plan(target)`.
sub name_in { return $_[0] =~ /^`([A-Za-z_]+)(?:\(.*\))?`$/ ? $1 : "not a name: $_[0]"; }

# Says which names only one of the two lists has.
sub agree
{
	my ($what, $there, @described) = @_;
	my %there = map { $_ => 1 } @$there;
	my %described = map { $_ => 1 } @described;

	cmp_ok(scalar @$there, '>', 0, "there are $what");
	is(join(' ', grep { !$described{$_} } sort keys %there), '', "no $what without a sentence");
	is(join(' ', grep { !$there{$_} } sort keys %described), '', "no sentence about $what that are not there");
	return is(scalar @described, scalar keys %described, "one sentence each");
}

sub described { return map { name_in($_->[0]) } rows(@_); }

my $node = new_node('main', preload => 1);
sql($node, 'CREATE EXTENSION documentdb_upgrade');

sub names { return [ split /\n/, sql($node, $_[0]) ]; }
sub relations
{
	return names("SELECT relname FROM pg_class WHERE relnamespace = 'documentdb_upgrade'::regnamespace AND relkind = '$_[0]'");
}

agree('functions and procedures',
	names(q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'documentdb_upgrade'::regnamespace}),
	described('Functions and procedures'));
agree('views', relations('v'), described('Views'));
agree('tables', relations('r'), described('Tables'));
agree('guards', [ @{ names('SELECT guard FROM documentdb_upgrade.preflight()') }, qw(nodes_ready node_guards) ], described('Guards'));

# A guard is hard when its severity cannot be set.
my %severity = map { name_in($_->[0]) => $_->[1] } rows('Guards');
foreach my $guard (sort keys %severity)
{
	my $result = try_sql($node, "SELECT guard FROM documentdb_upgrade.preflight(); SET documentdb_upgrade.guard_severity = '$guard=warn'");
	is($result->{ok} ? 'not hard' : 'hard', $severity{$guard} eq 'hard' ? 'hard' : 'not hard', "$guard is said to be $severity{$guard}");
}

# Settings with their defaults, as SHOW prints them, and what it takes to change them.
my %changed_by = (superuser => 'session', sighup => 'reload', postmaster => 'restart');
my %settings = map { my ($name, $context) = split /\|/; (substr($name, length 'documentdb_upgrade.') => $context) }
  @{ names(q{SELECT name, context FROM pg_settings WHERE name LIKE 'documentdb\_upgrade.%'}) };
agree('settings', [ keys %settings ], described('Settings'));
foreach my $row (rows('Settings'))
{
	my ($name, $default) = (name_in($row->[0]), $row->[1] eq 'empty' ? '' : $row->[1] =~ s/`//gr);
	next unless exists $settings{$name};
	is(sql($node, "SHOW documentdb_upgrade.$name"), $default, "the default of $name");
	is($row->[2], $changed_by{ $settings{$name} }, "what it takes to change $name");
}

# What the sources name.
sub in_sources
{
	my ($pattern, @files) = @_;
	my %found;
	foreach my $file (@files)
	{
		my $text = slurp_file($file);
		$found{$_} = 1 foreach $text =~ /$pattern/g;
	}
	return [ keys %found ];
}
my $states = in_sources(qr/\bstate\("([a-z_]+)"/, "$ENV{DU_SOURCE}/src/status/upgrade_state.c");
agree('states', $states, described('States'));
agree('states in README', $states, described('States', 'README.md'));
my $events = in_sources(qr/"(?:Normal|Warning)",\s*"([A-Za-z]+)"/, glob "$ENV{DU_SOURCE}/src/worker/loop/*.c $ENV{DU_SOURCE}/src/worker/kubernetes/*.c");
agree('reasons of Events', $events, described('Events'));

done_testing();
