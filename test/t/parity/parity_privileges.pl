# Who may sum and compare: a role that was granted it, with its own privileges
# on tables; it sees its own runs alone, pg_monitor all of them.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE ROLE clerk LOGIN;
	CREATE ROLE colleague LOGIN;
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE TABLE open (id int PRIMARY KEY);
	INSERT INTO open SELECT generate_series(1, 10);
	CREATE TABLE closed (id int PRIMARY KEY);
	GRANT SELECT ON open TO clerk, colleague});
my $sums = q{SELECT table_name, row_count, problem FROM documentdb_upgrade.table_checksums()};

foreach my $call ($sums, 'SELECT * FROM ' . comparison($green), q{SELECT documentdb_upgrade_internal.run_parity('{}')}, q{SELECT documentdb_upgrade_internal.parity_checksums(1)},
	q{SELECT documentdb_upgrade_internal.parity_begin('{}')}, q{SELECT documentdb_upgrade_internal.parity_next(1, 0, NULL)}, q{SELECT documentdb_upgrade_internal.parity_fail(1, '{}')},
	q{SELECT * FROM documentdb_upgrade.parity_runs}, q{SELECT * FROM documentdb_upgrade.parity_tables}, q{SELECT * FROM documentdb_upgrade.parity_differences},
	q{SELECT * FROM documentdb_upgrade.parity_progress})
{
	is(try_sql($blue, $call, user => 'clerk')->{sqlstate}, '42501', "not for everybody: $call");
}
sql($blue, q{GRANT USAGE ON SCHEMA documentdb_upgrade_internal TO clerk, colleague;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.table_checksums, documentdb_upgrade.compare_with, documentdb_upgrade_internal.run_parity,
	documentdb_upgrade_internal.parity_checksums, documentdb_upgrade_internal.parity_found, documentdb_upgrade.row_checksum, documentdb_upgrade.columns_checksum,
	documentdb_upgrade.record_checksum, documentdb_upgrade.checksum_algorithm TO clerk, colleague});
is(try_sql($blue, $sums, user => 'clerk')->{stdout}, "closed||42501: permission denied for table closed\nopen|10|", 'a role that was granted it reads what it may read');
is(last_run($blue, 'role_name, state'), 'clerk|incomplete', 'under its name');
is(try_sql($blue, q{SET ROLE clerk; SELECT table_name, row_count FROM documentdb_upgrade.table_checksums(tables => '{open}')})->{stdout}, 'open|10', 'SET ROLE is heeded');
is(last_run($blue, 'role_name'), 'clerk', 'in the record too');
is(try_sql($blue, q{SELECT table_name FROM documentdb_upgrade_internal.parity_checksums(1)}, user => 'clerk')->{stdout}, "closed\nopen", 'its own result');
is(try_sql($blue, q{SELECT * FROM documentdb_upgrade_internal.parity_checksums(1)}, user => 'colleague')->{sqlstate}, '42704', 'not that of somebody else');
is(try_sql($blue, q{SELECT * FROM documentdb_upgrade.table_checksums(resume => 1)}, user => 'colleague')->{sqlstate}, '42704', 'nor to resume');
is(compare($blue, $green, user => 'clerk')->{sqlstate}, '2F003', 'another server takes a password');
foreach my $forged ('{"kind": "checksums", "workers": 1, "chunk_ms": 500, "role": "clerk", "caller": 1}', '{"kind": "checksums", "workers": 1, "chunk_ms": 500, "role": "clerk", "resume": 1}')
{
	my $result = try_sql($blue, "SELECT documentdb_upgrade_internal.run_parity('$forged')", user => 'colleague');
	is($result->{ok} ? last_run($blue, 'role_name') : $result->{sqlstate}, $forged =~ /resume/ ? '42704' : 'colleague', 'who calls is not for the caller to say');
}

sql($blue, 'GRANT SELECT ON closed TO clerk');
is(try_sql($blue, q{SELECT table_name, row_count, problem FROM documentdb_upgrade.table_checksums(resume => 1)}, user => 'clerk')->{stdout}, "closed|0|\nopen|10|", 'resumed by its role');

is(try_sql($blue, q{SELECT count(*) FROM documentdb_upgrade.parity_runs}, user => 'watcher')->{stdout}, '3', 'pg_monitor sees the runs');
ok(try_sql($blue, "SELECT * FROM documentdb_upgrade.$_", user => 'watcher')->{ok}, "and $_") foreach qw(parity_tables parity_differences parity_progress);
is(try_sql($blue, q{DELETE FROM documentdb_upgrade.parity_runs}, user => 'watcher')->{sqlstate}, '42501', 'and changes nothing');

# What somebody may define runs with nobody else's rights.
sql($blue, q{GRANT CREATE ON SCHEMA public TO colleague});
ok(try_sql($blue, q{
	CREATE TYPE mood AS ENUM ('sad', 'happy');
	CREATE FUNCTION trap(mood) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION ''trapped as %'', current_user; END';
	CREATE FUNCTION trap_json(mood) RETURNS json LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION ''trapped as %'', current_user; END';
	CREATE FUNCTION trap_back(text) RETURNS mood LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION ''trapped as %'', current_user; END';
	CREATE CAST (mood AS text) WITH FUNCTION trap(mood) AS IMPLICIT;
	CREATE CAST (mood AS json) WITH FUNCTION trap_json(mood);
	CREATE CAST (text AS mood) WITH FUNCTION trap_back(text);
	CREATE TABLE moods (id mood PRIMARY KEY, other mood);
	INSERT INTO moods VALUES ('sad', 'happy')}, user => 'colleague')->{ok}, 'casts that are traps');
sql($green, q{CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE moods (id mood PRIMARY KEY, other mood); INSERT INTO moods VALUES ('sad', 'sad')});
foreach my $algorithm (qw(du1 sql))
{
	is(differences($blue, $green, tables => q{'{moods}'}, algorithm => "'$algorithm'"), qq(table|public|moods|different|\nrow|public|moods|different|{"id": "sad"}),
		"$algorithm falls into none");
}
processes_gone($_, 'nothing is left') foreach $blue, $green;
done_testing();
