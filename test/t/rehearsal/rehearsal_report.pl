# What a rehearsal reports of each step, and the risk it sees in it; nothing of
# it stays but the sequences that it names.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Objects;
use DocumentdbUpgrade::Test;
use JSON::PP ();
use Test::More;

my %scripts = (
	'1.0' => q{
		CREATE TABLE kept (id int PRIMARY KEY, gone text, n int, m int);
		CREATE TABLE dropped (id int);
		CREATE TABLE config (k text);
		CREATE SEQUENCE counter;
		CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE VIEW v AS SELECT id FROM kept;
		CREATE TYPE mood AS ENUM ('sad');
		CREATE TYPE pair AS (a int, b int);
		CREATE OPERATOR FAMILY fam USING btree;
		ALTER OPERATOR FAMILY fam USING btree ADD FUNCTION 1 (int, int) btint4cmp(int, int);
		SELECT pg_extension_config_dump('config', '');},
	'1.0--1.1' => q{CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';},
	'1.1--1.2' => q{CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE OR REPLACE VIEW v AS SELECT id, n FROM kept;
		ALTER TYPE mood ADD VALUE 'glad';
		ALTER OPERATOR FAMILY fam USING btree DROP FUNCTION 1 (int, int);
		CREATE TABLE fresh (id int DEFAULT 7 CHECK (id > 0)); INSERT INTO fresh VALUES (1), (2);
		ALTER PUBLICATION pub ADD TABLE kept;
		SELECT nextval('counter'), nextval('counter');
		SELECT setval('outside', 41);
		DO $$ BEGIN RAISE WARNING 'mind the gap'; END $$;},
	'1.2--1.3' => q{GRANT SELECT ON kept TO reader; GRANT UPDATE (n) ON kept TO reader; REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC;
		GRANT USAGE ON TYPE pair TO reader; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
		ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;},
	'1.3--1.4' => q{ALTER TABLE kept DROP COLUMN gone, ALTER m TYPE bigint, ADD CONSTRAINT positive CHECK (n > 0);
		CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
		CREATE TRIGGER watch BEFORE INSERT ON kept FOR EACH ROW EXECUTE FUNCTION t();
		INSERT INTO config VALUES ('a'), ('b'), ('c'); UPDATE config SET k = 'd' WHERE k = 'a'; DELETE FROM config WHERE k = 'b';},
	'1.4--1.5' => q{TRUNCATE config;},
	'1.5--1.6' => q{INSERT INTO config VALUES ('z');},
	'1.6--1.7' => q{DROP TABLE dropped;},
	'1.7--1.8' => q{CREATE ROLE made; GRANT reader TO made; REVOKE reader FROM member; DROP ROLE leaver;
		ALTER ROLE reader SET work_mem = '1MB'; ALTER ROLE reader IN DATABASE postgres SET work_mem = '2MB';});
my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	log_min_messages = error
	track_counts = off
	max_wal_senders = 0
	wal_level = minimal});
write_extension($node, 'thing', '1.8', %scripts);
sql($node, q{CREATE ROLE reader; CREATE ROLE member IN ROLE reader; CREATE ROLE "Leaver two"; DROP ROLE "Leaver two";
	CREATE ROLE leaver IN ROLE reader; ALTER ROLE leaver SET work_mem = '1MB'; CREATE PUBLICATION pub; CREATE SEQUENCE outside; CREATE SEQUENCE others;
	CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION dblink; CREATE EXTENSION thing VERSION '1.0'; INSERT INTO kept SELECT i, 'x', i, i FROM generate_series(1, 100) i});

my $digests = catalogue_digests($node);
my $id = sql($node, q{SELECT (documentdb_upgrade.rehearse()).id});
is(catalogue_digests($node), $digests, 'every catalogue is as before');
is(sql($node, "SELECT outcome, risk, steps_run, wal_bytes > 1000, lock_entries > 5, sqlstate, refused FROM documentdb_upgrade.rehearsals,
	LATERAL (SELECT count(*) AS refused FROM documentdb_upgrade.history) h WHERE id = $id"), 'passed|cluster-wide|8|t|t||0', 'the row says so');
my $report = JSON::PP->new->utf8->decode(sql($node, "SELECT report FROM documentdb_upgrade.rehearsals WHERE id = $id"));
my %step = map { ($_->{to} => $_) } @{ $report->{steps} };

# "kind identity", and what of it, of the changes of a step.
sub changes
{
	my ($version, $action) = @_;
	return [ map { join ' ', $_->{kind}, $_->{identity}, $_->{what} ? '(' . join(', ', @{ $_->{what} }) . ')' : (),
			(map { "+$_" } @{ $_->{granted} // [] }), map { "-$_" } @{ $_->{revoked} // [] } }
		  grep { $_->{kind} ne 'extension' } @{ $step{$version}{$action} } ];
}
my $I = 'postgres';    # owns everything

is_deeply({ map { ($_ => $step{$_}{risk}) } keys %step },
	{ '1.1' => 'functions only', '1.2' => 'catalogue', '1.3' => 'privileges', '1.4' => 'data tables', '1.5' => 'data tables',
	  '1.6' => 'data tables', '1.7' => 'data tables', '1.8' => 'cluster-wide' }, 'each step has its risk');
is_deeply(changes('1.1', 'changed'), ['function public.f() (definition)'], 'a changed function');
is_deeply(changes('1.2', 'added'), [ 'function public.g()', 'table public.fresh', 'table constraint fresh_id_check on public.fresh', 'view column public.v.n' ], 'what is new');
is_deeply(changes('1.2', 'changed'),
	[ 'operator family public.fam USING btree (definition)', 'publication pub (definition)', 'type public.mood (definition)', 'view public.v (definition)' ],
	'what is a part of something changes it') or note explain changes('1.2', 'changed');
is_deeply($step{'1.2'}{warnings}, ['mind the gap'], 'a warning, although the log takes none');
is_deeply($step{'1.2'}{rows}, [ { table => 'public.fresh', inserted => 2, updated => 0, deleted => 0 } ], 'the rows of a new table, which are no risk');
is_deeply(changes('1.3', 'changed'),
	[ "function public.f() (privileges) -=X/$I",
	  "table public.kept (privileges) +reader=r/$I", "table column public.kept.n (privileges) +reader=w/$I", "type public.pair (privileges) +reader=U/$I" ], 'privileges')
  or note explain changes('1.3', 'changed');
is_deeply(changes('1.3', 'added'),
	[ "default acl for role $I in schema public on tables +reader=r/$I", "default acl for role $I on functions -=X/$I" ], 'default ones too')
  or note explain changes('1.3', 'added');
is_deeply(changes('1.4', 'removed'), ['table column public.kept.gone'], 'a dropped column has its name');
is_deeply(changes('1.4', 'added'),
	[ 'function public.t() -=X/postgres', 'table constraint positive on public.kept', 'trigger watch on public.kept' ], 'a constraint, a trigger');
like(join(' ', @{ changes('1.4', 'changed') }), qr/table public\.kept \(storage\)/, 'a table is rewritten');
is_deeply($step{'1.4'}{rows}, [ { table => 'public.config', inserted => 3, updated => 1, deleted => 1 } ], 'rows are counted');
my ($lock) = grep { $_->{relation} eq 'public.kept' } @{ $step{'1.4'}{relations} };
is($lock->{mode}, 'AccessExclusiveLock', 'the lock on it is named');
is($lock->{bytes}, 8192, 'with its size');
is_deeply($step{'1.6'}{rows}, [ { table => 'public.config', inserted => 1, updated => 0, deleted => 0 } ], 'a TRUNCATE in between takes nothing off');
is_deeply(changes('1.7', 'removed'), ['table public.dropped'], 'a dropped table');
like($step{'1.7'}{risk_reason}, qr/drops 1/, 'is a risk for data');
is_deeply([ sort @{ changes('1.8', 'added') } ],
	[ 'role made', 'role membership made in reader', 'settings of role reader in database any', 'settings of role reader in database postgres' ], 'roles');
is_deeply([ sort @{ changes('1.8', 'removed') } ],
	[ 'role leaver', 'role membership leaver in reader', 'role membership member in reader', 'settings of role leaver in database any' ],
	'removed ones have their names');
is_deeply([ sort map { "$_->{sequence} $_->{from} $_->{to}" } @{ $report->{sequences} } ],
	[ 'public.counter 1 2', 'public.outside 1 41' ], 'sequences that stay where they are');
is(sql($node, 'SELECT last_value FROM counter'), '2', 'they do');
ok(!(grep { $_->{guard} eq 'rehearsed' } @{ $report->{guards} }), 'it does not ask for itself');

my $text = sql($node, "SELECT documentdb_upgrade.rehearsal_report($id)");
like($text, qr/^Rehearsal $id of extension thing from 1.0 to 1.8: passed$/m, 'the text has a headline');
like($text, qr/^Step 4 of 8: thing from 1.3 to 1.4: data tables, [\d.]+ ms$/m, 'a line for each step');
like($text, qr/^  warns: mind the gap$/m, 'the warning');
like($text, qr/^  sequence public.outside from 1 to 41$/m, 'and the sequences');
is(sql($node, q{SELECT string_agg(risk, ', ' ORDER BY step) FROM documentdb_upgrade.plan()}),
	'functions only, catalogue, privileges, data tables, data tables, data tables, data tables, cluster-wide', 'the plan shows what was seen');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.plan() WHERE risk_reason LIKE 'Rehearsal %'}), 8, 'and where');

sub needed { return sql($node, q{SELECT substring(detail, 'counted (\d+) lock entries')::int FROM documentdb_upgrade.preflight() WHERE guard = 'lock_capacity'}) }
is(needed(), sql($node, "SELECT lock_entries FROM documentdb_upgrade.rehearsals WHERE id = $id"), 'the guard uses the count');

# Others who use a sequence at the same time are told apart.
write_extension($node, 'thing', '1.8', '1.7--1.8' => q{SELECT * FROM dblink(format('dbname=postgres host=%s port=%s',
	split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')), 'SELECT nextval(''others'')') AS t(n bigint);});
$id = sql($node, q{SELECT (documentdb_upgrade.rehearse()).id});
is(sql($node, "SELECT outcome || coalesce(message, '') FROM documentdb_upgrade.rehearsals WHERE id = $id"), 'passed', 'one that advances a sequence elsewhere passes');
unlike(sql($node, "SELECT report->'sequences' FROM documentdb_upgrade.rehearsals WHERE id = $id"), qr/others/, 'and does not name it');

done_testing();
