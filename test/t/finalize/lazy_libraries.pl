# A setting of a library that comes only when a script needs it is no way round
# the pinning: what the caller has set before does not count, however the name is
# spelled.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => "documentdb_upgrade.extension = 'served'");

# The C function says whether two words are similar, by a threshold of its library.
my $similar = q{CREATE FUNCTION similar(text, text) RETURNS boolean LANGUAGE c STRICT AS '$libdir/pg_trgm', 'similarity_op';};
write_extension($node, 'served', '1.3',
	'1.0' => $similar,
	'1.0--1.1' => q{DO $$ BEGIN ASSERT false, 'an ASSERT that fails'; END $$},
	'1.0--1.2' => q{DO $$ BEGIN IF NOT public.similar('word', 'wort') THEN RAISE 'not similar'; END IF; END $$},
	'1.0--1.3' => q{DO $$ BEGIN
		IF current_setting('served.flag', true) <> '' THEN RAISE 'the flag is seen'; END IF; END $$});
# No member is in C: the library is found by the name of the setting, or comes
# unexpectedly.
write_extension($node, 'loner', '1.2',
	'1.0' => '',
	'1.0--1.1' => q{DO $$ BEGIN IF NOT 'word' OPERATOR(public.%) 'wort' THEN RAISE 'not similar'; END IF; END $$},
	'1.0--1.2' => q{DO $$ BEGIN
		LOAD 'pg_trgm';
		IF current_setting('pg_trgm.similarity_threshold')::float8 > 0.5 THEN RAISE 'the threshold is seen'; END IF; END $$});

foreach my $database (qw(served loner))
{
	sql($node, "CREATE DATABASE $database; ALTER DATABASE $database SET documentdb_upgrade.extension = '$database'");
	sql($node, qq{
		CREATE EXTENSION documentdb_upgrade;
		CREATE EXTENSION $database VERSION '1.0'}, $database);
}
sql($node, 'CREATE ROLE operator LOGIN');
sql($node, q{GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to, documentdb_upgrade.rehearse TO operator}, $_)
	foreach qw(served loner);

# Calls a function in a fresh session with a setting made in each way that there
# is; gives the results by way.
sub by_every_way
{
	my ($database, $name, $value, $call) = @_;
	my %results;
	my $show = "SELECT current_setting('$name')";
	my $run = sub {
		my ($set) = @_;
		return try_sql($node, "$set SELECT outcome, message FROM documentdb_upgrade.$call; $show",
			user => 'operator', dbname => $database);
	};

	my ($prefix, $rest) = split /\./, $name;
	$results{SET} = $run->("SET $name = $value;");
	$results{'SET in upper case'} = $run->(sprintf 'SET "%s".%s = %s;', uc $prefix, $rest, $value);
	foreach my $role ('operator', "operator IN DATABASE $database")
	{
		sql($node, "ALTER ROLE $role SET $name = $value");
		$results{"ALTER ROLE $role"} = $run->('');
		sql($node, "ALTER ROLE $role RESET ALL");
	}
	local $ENV{PGOPTIONS} = "-c $name=$value";
	$results{PGOPTIONS} = $run->('');
	return \%results;
}

my $results = by_every_way('served', 'plpgsql.check_asserts', 'off', q{finalize_to('1.1')});
is($results->{$_}->{message}, 'an ASSERT that fails', "$_: a script whose ASSERT fails is not committed")
	foreach sort keys %$results;
is(sql($node, 'SELECT documentdb_upgrade.schema_version()', 'served'), '1.0', 'the version is what it was');

$results = by_every_way('served', 'plpgsql.check_asserts', 'off', q{rehearse('1.1')});
is($results->{$_}->{stdout}, "failed|an ASSERT that fails\noff", "$_: a rehearsal sees it too, and the session keeps its value")
	foreach sort keys %$results;

$results = by_every_way('served', 'pg_trgm.similarity_threshold', '0.9', q{rehearse('1.2')});
is($results->{$_}->{stdout}, "passed|\n0.9", "$_: the library of a C function") foreach sort keys %$results;

$results = by_every_way('served', 'served.flag', 'up', q{rehearse('1.3')});
is($results->{$_}->{stdout}, "passed|\nup", "$_: a setting of the managed extension that no library has defined")
	foreach sort keys %$results;

$results = by_every_way('loner', 'pg_trgm.similarity_threshold', '0.9', q{rehearse('1.2')});
is($results->{$_}->{stdout}, "passed|\n0.9", "$_: a library that a script loads") foreach sort keys %$results;

sql($node, 'CREATE EXTENSION pg_trgm', 'loner');
$results = by_every_way('loner', 'pg_trgm.similarity_threshold', '0.9', q{rehearse('1.1')});
is($results->{$_}->{stdout}, "passed|\n0.9", "$_: the library of another extension") foreach sort keys %$results;

# The configuration's own values are not the caller's.
sql($node, q{ALTER DATABASE served SET plpgsql.check_asserts = off});
is(try_sql($node, q{SET plpgsql.check_asserts = on; SELECT outcome, message FROM documentdb_upgrade.rehearse('1.1')},
	user => 'operator', dbname => 'served')->{stdout}, 'passed|', 'what the database says counts');
sql($node, q{ALTER DATABASE served SET served.flag = 'up'});
like(try_sql($node, q{SET served.flag = ''; SELECT outcome, message FROM documentdb_upgrade.rehearse('1.3')},
	user => 'operator', dbname => 'served')->{stdout}, qr/^failed\|the flag is seen/, 'also of a setting without a library');

# A library that cannot be loaded is no error before a script needs it.
sql($node, q{UPDATE pg_proc SET probin = '$libdir/nowhere' WHERE proname = 'similar'}, 'served');
is(try_sql($node, q{SET app.tenant = 'x'; SELECT outcome, message FROM documentdb_upgrade.rehearse('1.1')},
	user => 'operator', dbname => 'served')->{stdout}, 'passed|', 'a library that is not there is not missed');

done_testing();
