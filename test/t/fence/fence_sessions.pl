# Sessions that are in the middle of something when a fence goes up: what they
# have written they may commit, and they write no more.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', conf => "documentdb_upgrade.schema_ahead_action = read_only\n");
sql($node, q{
	CREATE ROLE app LOGIN SUPERUSER;
	CREATE TABLE t (id text PRIMARY KEY);
	CREATE TABLE child (id text REFERENCES t DEFERRABLE INITIALLY DEFERRED);
	INSERT INTO t VALUES ('first');
	CREATE SEQUENCE s;
	CREATE PROCEDURE in_two(step text) LANGUAGE plpgsql AS $$
		DECLARE x bigint;
		BEGIN
			PERFORM 1;
			COMMIT;
			PERFORM pg_advisory_lock_shared(5);
			IF step = 'sequence' THEN x := nextval('s'); ELSE INSERT INTO t VALUES (step); END IF;
		END $$});

sub session { return DocumentdbUpgrade::Session->new($node, user => 'app'); }

sub raise
{
	write_extension($node, 'thing', '0.9');
	wait_for_state($node, 'schema_ahead', qr/Meanwhile/);
	return;
}

sub lift
{
	write_extension($node, 'thing', '1.0');
	wait_for_state($node, 'up_to_date', qr/^Nothing is to be done\.$/);
	return;
}

sub there { return sql($node, "SELECT count(*) FROM t WHERE id = '$_[0]'"); }

sub prepared
{
	my $session = session();
	$session->run($_) foreach @_;
	return $session;
}

# Runs SQL in a session; passes when it is refused for the fence, or succeeds.
sub refused
{
	my ($session, $sql, $name) = @_;
	my $result = $session->run($sql);
	is($result->{sqlstate}, '25006', $name);
	return like($result->{detail} // '', qr/^Writes to this database are stopped/, 'which says why');
}

sub works
{
	my ($session, $sql, $name) = @_;
	my $result = $session->run($sql);
	return is($result->{sqlstate} // '00000', '00000', $name) || diag($result->{stderr});
}

my $gate = session();
$gate->run('SELECT pg_advisory_lock(5)');
my %in = (
	writer => prepared('BEGIN', q{INSERT INTO t VALUES ('more')}),
	committer => prepared('BEGIN', q{INSERT INTO t VALUES ('committed')}),
	deferred => prepared('BEGIN', q{INSERT INTO child VALUES ('first')}),
	statement => prepared(q{PREPARE p AS INSERT INTO t VALUES ('prepared')}),
	reader => prepared('BEGIN', q{DECLARE c CURSOR FOR SELECT nextval('s') FROM generate_series(1, 9)}, 'FETCH c'),
	updater => prepared('BEGIN', q{DECLARE c CURSOR FOR SELECT * FROM t}, 'FETCH c'),
	temporary => prepared('CREATE TEMP TABLE own (id int)', 'CREATE TEMP SEQUENCE own_s'),
	twophase => prepared('BEGIN', q{INSERT INTO t VALUES ('in two phases')}, q{PREPARE TRANSACTION 'x'}),
	running => prepared('SELECT 1'),
	sequence => prepared('SELECT 1'),
	procedure => prepared('SELECT 1'));
my $value = sql($node, 'SELECT last_value FROM s');

$in{running}->start(q{INSERT INTO t SELECT 'running' FROM (SELECT pg_advisory_lock_shared(5) OFFSET 0) AS waits});
$in{sequence}->start(q{CALL in_two('sequence')});
$in{procedure}->start(q{CALL in_two('procedure')});
$in{$_}->wait_for(q{wait_event = 'advisory'}) foreach qw(running sequence procedure);
raise();
$gate->run('SELECT pg_advisory_unlock(5)');

works($in{committer}, 'SELECT * FROM t', 'a transaction that has written may read');
works($in{committer}, 'COMMIT', 'and commit');
is(there('committed'), 1, 'which holds');
refused($in{writer}, q{INSERT INTO t VALUES ('still more')}, 'it may not write more');
works($in{writer}, 'ROLLBACK', 'a failed transaction ends as ever');
is($in{deferred}->run('COMMIT')->{sqlstate}, '25006', 'a constraint that is checked at the commit keeps it from committing');
refused($in{statement}, 'EXECUTE p', 'a statement that was prepared before is refused');
refused($in{reader}, 'FETCH c', 'so is what an open cursor writes');
refused($in{updater}, q{UPDATE t SET id = 'x' WHERE CURRENT OF c}, 'and what is done through one');
works($in{temporary}, q{INSERT INTO own SELECT nextval('own_s')}, 'temporary tables and sequences can be written to');
refused($in{temporary}, 'CREATE TEMP TABLE more (id int)', 'though not created');
works($in{twophase}, q{COMMIT PREPARED 'x'}, 'a prepared transaction can be committed');
is($in{running}->finish->{sqlstate}, undef, 'a statement that ran already goes on');
is(there('running'), 1, 'to its end');
is($in{$_}->finish->{sqlstate}, '25006', "a procedure that has committed writes no more: $_") foreach qw(sequence procedure);
is(sql($node, 'SELECT last_value FROM s'), $value, 'no sequence has advanced');
refused(session(), qq{CALL in_two('$_')}, "nor does a new one: $_") foreach qw(sequence procedure);
is(sql($node, 'SELECT last_value FROM s'), $value, 'indeed');

# When it has gone the same sessions write.
lift();
works($_, 'ROLLBACK', 'a transaction ends') foreach grep { $_ } @in{qw(reader updater)};
works($in{$_}, q{INSERT INTO t VALUES (gen_random_uuid())}, "then it writes again: $_") foreach sort keys %in;
$_->quit foreach values %in, $gate;

done_testing();
