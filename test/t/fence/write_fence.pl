# While a fence is up nobody writes in any way except the roles that are named:
# not their members, not superusers; and what only reads works.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => "documentdb_upgrade.schema_ahead_action = read_only\n");
sql($node, q{
	CREATE ROLE gateway LOGIN SUPERUSER;
	CREATE ROLE app LOGIN;
	CREATE ROLE "Keeper, of doors" LOGIN;
	CREATE ROLE member LOGIN IN ROLE "Keeper, of doors";
	CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 0);
	INSERT INTO t VALUES (1);
	CREATE SEQUENCE s;
	CREATE VIEW v AS SELECT * FROM t;
	CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
	CREATE FUNCTION write() RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO t VALUES (2); END';
	CREATE FUNCTION write_sql() RETURNS void LANGUAGE sql AS 'INSERT INTO t VALUES (2)';
	CREATE FUNCTION write_as_owner() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO t VALUES (2); END';
	CREATE FUNCTION write_and_hide() RETURNS text LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO t VALUES (2); RETURN 'written';
		EXCEPTION WHEN read_only_sql_transaction THEN RETURN 'refused'; END $$;
	GRANT ALL ON t, v, m, s TO app, member, "Keeper, of doors";
	GRANT CREATE ON SCHEMA public TO app, member, "Keeper, of doors"});
my $content = q{SELECT string_agg(t::text, ' ' ORDER BY t) || (SELECT is_called::text FROM s) FROM t};
my $before = sql($node, $content);

my @writes = (
	q{INSERT INTO t VALUES (2)},
	q{UPDATE t SET n = 1},
	q{UPDATE v SET n = 1},
	q{DELETE FROM t},
	q{MERGE INTO t USING (VALUES (1)) AS x(id) ON t.id = x.id WHEN MATCHED THEN DELETE},
	q{WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone},
	q{TRUNCATE t},
	q{COPY t FROM STDIN},
	q{COPY t FROM PROGRAM 'echo 2'},
	q{SELECT * FROM t FOR UPDATE},
	q{SELECT * FROM t FOR KEY SHARE},
	q{SELECT nextval('s')},
	q{SELECT setval('s', 7)},
	q{SELECT lo_create(0)},
	q{SELECT lo_from_bytea(0, 'x')},
	q{CREATE TABLE another (id int)},
	q{CREATE TABLE another AS SELECT 1},
	q{SELECT 1 INTO another},
	q{ALTER TABLE t ADD x int},
	q{DROP TABLE t},
	q{COMMENT ON TABLE t IS 'x'},
	q{GRANT SELECT ON t TO PUBLIC},
	q{REFRESH MATERIALIZED VIEW m},
	q{CREATE ROLE another},
	q{ALTER EXTENSION thing UPDATE},
	q{DO 'BEGIN INSERT INTO t VALUES (2); END'},
	q{SELECT write()},
	q{SELECT write_sql()},
	q{SELECT write_as_owner()},
	q{EXPLAIN ANALYZE INSERT INTO t VALUES (2)},
	q{PREPARE p AS INSERT INTO t VALUES (2); EXECUTE p},
	q{BEGIN READ WRITE; INSERT INTO t VALUES (2); COMMIT},
	q{BEGIN; SET TRANSACTION READ WRITE; INSERT INTO t VALUES (2); COMMIT},
	q{BEGIN; SET transaction_read_only = off; INSERT INTO t VALUES (2); COMMIT},
	q{SET default_transaction_read_only = off; INSERT INTO t VALUES (2)},
	q{SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; INSERT INTO t VALUES (2)},
	q{BEGIN; SELECT 1; SAVEPOINT a; ROLLBACK TO a; INSERT INTO t VALUES (2); COMMIT},
	q{BEGIN; SAVEPOINT a; SELECT 1; RELEASE a; SELECT write(); COMMIT},
	q{SET ROLE app; INSERT INTO t VALUES (2)},
	q{SET ROLE "Keeper, of doors"; INSERT INTO t VALUES (2)},
	q{DECLARE c CURSOR WITH HOLD FOR SELECT nextval('s')},
	q{BEGIN; DECLARE c CURSOR FOR SELECT nextval('s'); FETCH c; COMMIT});
my @reads = (
	q{SELECT count(*) FROM t},
	q{SELECT count(*) FROM v, m},
	q{EXPLAIN INSERT INTO t VALUES (2)},
	q{COPY t TO STDOUT},
	q{BEGIN; SELECT 1; COMMIT},
	q{BEGIN READ WRITE; SELECT 1; ROLLBACK},
	q{PREPARE p AS SELECT * FROM t; EXECUTE p},
	q{DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t; FETCH ALL FROM c; CLOSE c},
	q{SET work_mem = '5MB'},
	q{LISTEN x; NOTIFY x},
	q{SELECT pg_advisory_lock(1)},
	q{VACUUM t},
	q{DISCARD ALL},
	q{SELECT state, next_step FROM documentdb_upgrade.status},
	q{SELECT count(*) FROM documentdb_upgrade.preflight()});

sub state_of { return (try_sql($node, $_[0], user => $_[1])->{sqlstate} // '00000'); }

# The roles that no list can exempt by being more than others.
sub all_refused
{
	my $user = shift;

	foreach my $sql (@writes)
	{
		my $result = try_sql($node, $sql, user => $user);
		next if $user ne 'gateway' && ($result->{sqlstate} // '') eq '42501';
		is($result->{sqlstate}, '25006', "$user: $sql") or diag($result->{stderr});
		like($result->{detail} // '', qr/^Writes to this database are stopped\./, 'which says why');
	}
	return;
}

write_extension($node, 'thing', '0.9');
wait_for_state($node, 'schema_ahead', qr/fence_exempt_roles \(postgres\)/);
all_refused($_) foreach qw(gateway app);
is(sql($node, $content), $before, 'nothing was written');
is(try_sql($node, 'SELECT write_and_hide()', user => 'app')->{stdout}, 'refused', 'a function may catch the error');
is(state_of($_, 'gateway'), '00000', "gateway: $_") foreach @reads;

# The bootstrap superuser by default; by name when there is a list.
is(state_of('UPDATE t SET n = n', 'postgres'), '00000', 'the bootstrap superuser writes');
set_and_reload($node, 'documentdb_upgrade.fence_exempt_roles', 'nobody, "Keeper, of doors"');
wait_for_state($node, 'schema_ahead', qr/\(nobody, "Keeper, of doors"\)/);
is(state_of($_, 'Keeper, of doors'), '00000', "an exempt role: $_")
  foreach 'UPDATE t SET n = n', 'SELECT write_and_hide(); DELETE FROM t WHERE id = 2', "SELECT nextval('s')", 'CREATE TABLE mine (id int)',
  'INSERT INTO mine VALUES (1); DROP TABLE mine', 'SELECT lo_unlink(lo_create(0))';
is(state_of('UPDATE t SET n = n', $_), '25006', "$_ does not") foreach qw(member gateway app postgres);
is(state_of('SET SESSION AUTHORIZATION "Keeper, of doors"; UPDATE t SET n = n', 'gateway'), '00000',
	'the user of the session counts');

# Over the fast path of the protocol there is no statement.
$node->append_conf('postgresql.conf', '# any file');
my $file = $node->data_dir . '/postgresql.conf';
my $objects = sql($node, 'SELECT count(*) FROM pg_largeobject_metadata');
is(state_of("\\lo_import $file", 'Keeper, of doors'), '00000', 'an exempt role writes by the fast path');
like(try_sql($node, "\\lo_import $file", user => 'app')->{stderr}, qr/read-only transaction/, 'others do not');
is(sql($node, 'SELECT count(*) FROM pg_largeobject_metadata'), $objects + 1, 'which is so');

write_extension($node, 'thing', '1.0');
wait_for_state($node, 'up_to_date', qr/^Nothing is to be done\.$/);
is(state_of('UPDATE t SET n = n', $_), '00000', "then $_ writes again") foreach qw(member gateway app postgres);

done_testing();
