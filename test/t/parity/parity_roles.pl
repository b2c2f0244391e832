# What a run has found is for the role that calls, not for that of a session
# which serves many, and for this very role, not for one of its name.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE ROLE red LOGIN;
	CREATE ROLE yellow LOGIN;
	CREATE ROLE pooler LOGIN NOINHERIT IN ROLE red, yellow;
	CREATE ROLE deputy LOGIN IN ROLE red;
	CREATE TABLE of_red (id int PRIMARY KEY, secret text);
	CREATE TABLE of_yellow (id int PRIMARY KEY);
	GRANT SELECT ON of_red TO red;
	GRANT SELECT ON of_yellow TO yellow});
sql($blue, q{INSERT INTO of_red VALUES (1, 'theirs');
	GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO red, yellow, pooler, deputy;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.table_checksums, documentdb_upgrade.compare_with, documentdb_upgrade_internal.run_parity,
		documentdb_upgrade_internal.parity_checksums, documentdb_upgrade_internal.parity_found, documentdb_upgrade.row_checksum, documentdb_upgrade.columns_checksum,
		documentdb_upgrade.record_checksum, documentdb_upgrade.checksum_algorithm TO red, yellow, pooler, deputy});

sub sums { return "SELECT table_name FROM documentdb_upgrade.table_checksums(tables => '{$_[0]}')" }
sub found { return "SELECT kind FROM documentdb_upgrade_internal.parity_found($_[0])" }
sub result { return "SELECT table_name FROM documentdb_upgrade_internal.parity_checksums($_[0])" }
sub run
{
	my ($sql, %how) = @_;
	my $result = try_sql($blue, ($how{as} ? "SET ROLE $how{as}; " : '') . $sql, user => $how{user} // 'pooler');
	return $result->{sqlstate} // $result->{stdout};
}

# As PostgREST and poolers do it.
is(run(sums('of_red'), as => 'red'), 'of_red', 'one tenant sums');
is(run(sums('of_yellow'), as => 'yellow'), 'of_yellow', 'another does in the same session role');
is(last_run($blue, q{role = 'yellow'::regrole, role_name}), 't|yellow', 'recorded as what it is');
is(run(result(1), as => 'red'), 'of_red', 'the first sees its own');
is(run(result(2), as => 'yellow'), 'of_yellow', 'so does the second');
foreach my $call (result(1), found(1), "SELECT * FROM documentdb_upgrade.table_checksums(resume => 1)")
{
	is(run($call, as => 'yellow'), '42704', "not that of the other: $call");
	is(run($call), '42704', 'nor does the role that may only become them');
}
is(run(result(1), user => 'deputy'), 'of_red', 'a member with the privileges does');
is(run(result('NULL'), as => 'red'), '42704', 'no run');

# What differs holds keys and columns of rows.
is(compare($blue, $green, tables => q{'{of_red}'})->{sqlstate} // '', '', 'an administrator compares');
is(run(found(3), as => $_), '42704', "which is not for $_") foreach qw(red yellow);
is(try_sql($blue, 'SET ROLE red; ' . found(3))->{sqlstate}, '42704', 'nor for an administrator who has become one');
is(try_sql($blue, found(3))->{stdout}, "table\nrow", 'but for himself');

# Behind a function that lends its owner's rights, the owner calls.
sql($blue, q{CREATE FUNCTION lent(run bigint) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT table_name FROM documentdb_upgrade_internal.parity_checksums(run)';
	ALTER FUNCTION lent(bigint) OWNER TO red});
is(run('SELECT lent(1)', as => 'yellow'), 'of_red', 'a role that lends its rights lends this one');
is(run('SELECT lent(2)', as => 'yellow'), '42704', 'and takes none');

# Who resumes takes over: he may have read what the one before may not.
sql($blue, 'ALTER TABLE of_red ENABLE ROW LEVEL SECURITY');
is(run(q{SELECT table_name, problem ~ '^42501' FROM documentdb_upgrade.table_checksums(tables => '{of_red, of_yellow}')}, as => 'red'), "of_red|t\nof_yellow|t", 'a run that could not read');
is(try_sql($blue, q{SELECT table_name, row_count FROM documentdb_upgrade.table_checksums(resume => 4)})->{stdout}, "of_red|1\nof_yellow|0", 'a superuser resumes it');
is(run(result(4), as => 'red'), '42704', 'it is his then');

# A role of the same name is another.
sql($blue, q{DROP FUNCTION lent; ALTER TABLE of_red DISABLE ROW LEVEL SECURITY; DROP OWNED BY red; DROP ROLE red; CREATE ROLE red LOGIN; GRANT red TO pooler; GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO red;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade_internal.parity_checksums, documentdb_upgrade_internal.parity_found, documentdb_upgrade.table_checksums, documentdb_upgrade_internal.run_parity TO red});
is(run($_, as => 'red'), '42704', "a namesake: $_") foreach result(1), found(1), "SELECT * FROM documentdb_upgrade.table_checksums(resume => 1)";
is(try_sql($blue, result(1))->{stdout}, 'of_red', 'a superuser still sees the run');
processes_gone($_, 'nothing is left') foreach $blue, $green;
done_testing();
