
=pod

=head1 NAME

DocumentdbUpgrade::Describe - what a database consists of, as comparable text

=head1 SYNOPSIS

  my $before = describe_database($node, 'postgres');
  ...
  same_description(describe_database($node, 'postgres'), $before, 'nothing was changed');

=cut

package DocumentdbUpgrade::Describe;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IPC::Run;
use DocumentdbUpgrade::Test;
use Test::More;

our @EXPORT = qw(describe_database same_description);

=pod

=head1 FUNCTIONS

=over

=item describe_database(node, dbname)

Everything that pg_dump knows of the database, members of extensions included
(its mode for pg_upgrade shows them with definitions, privileges and
comments), and what only the catalogues say of extensions.  Free of OIDs,
transaction numbers and positions of sequences, so that two databases can be
compared.

=cut

sub describe_database
{
	my ($node, $dbname) = @_;
	my ($dump, $errors) = ('', '');

	IPC::Run::run([ $node->installed_command('pg_dump'), '--binary-upgrade', '--schema-only',
			'-d', $node->connstr($dbname) ], '>', \$dump, '2>', \$errors)
	  or die "pg_dump failed: $errors\n";
	$dump =~ s/^SELECT pg_catalog\.binary_upgrade_set_next_.*\n//mg;
	$dump =~ s/^UPDATE pg_catalog\.pg_class\nSET relfrozenxid.*\n.*\n//mg;
	$dump =~ s/^\\(?:un)?restrict .*\n//mg;
	$dump =~ s/^SELECT pg_catalog\.setval\(.*\n//mg;
	$dump =~ s/(binary_upgrade_create_empty_extension\('[^']*', '[^']*', \w+, '[^']*'), '\{[\d,]*\}'/$1, OIDs/g;
	# pg_dump gives what an extension requires in no order.
	$dump =~ s/^(SELECT pg_catalog\.binary_upgrade_create_empty_extension\(.*ARRAY)\[(.*?)\]/"$1\[" . join(',', sort split m{,}, $2) . ']'/gme;

	return join "\n", sort((split /\n--\n(?=-- (?:Name|TOC))/, $dump),
		split /\n/, sql($node, q{
			SELECT format('member of %s: %s', extname, pg_describe_object(classid, objid, objsubid))
			FROM pg_depend JOIN pg_extension e ON refclassid = 'pg_extension'::regclass AND refobjid = e.oid
			WHERE deptype = 'e'
			UNION ALL
			SELECT format('initial privileges of %s: %s to %s', pg_describe_object(classoid, objoid, objsubid),
				privilege_type, grantee::regrole)
			FROM pg_init_privs, aclexplode(initprivs) WHERE privtype = 'e'
			UNION ALL
			SELECT format('extension %s %s in %s of %s', extname, extversion, extnamespace::regnamespace, extowner::regrole)
			FROM pg_extension
			UNION ALL
			SELECT format('dumped with %s: %s %s', extname, config::regclass, condition)
			FROM pg_extension, unnest(extconfig, extcondition) AS u(config, condition)
			UNION ALL
			SELECT format('requires %s: %s', e.extname, r.extname)
			FROM pg_depend d JOIN pg_extension e ON d.classid = 'pg_extension'::regclass AND d.objid = e.oid
			JOIN pg_extension r ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = r.oid}, $dbname));
}

=pod

=item same_description(got, expected, name)

A test that says where two descriptions differ.

=cut

sub same_description
{
	my ($got, $expected, $name) = @_;
	my (%got, %expected);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	@got{ split /\n/, $got } = ();
	@expected{ split /\n/, $expected } = ();
	my @more = sort grep { !exists $expected{$_} } keys %got;
	my @less = sort grep { !exists $got{$_} } keys %expected;
	return ok($got eq $expected, $name) || diag(map({ "unexpected: $_\n" } @more), map({ "missing: $_\n" } @less));
}

=pod

=back

=cut

1;
