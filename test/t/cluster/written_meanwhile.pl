# A cluster whose tables are written to is upgraded meanwhile: the writers wait
# for a moment at most, and nothing of theirs is lost.  A node that is killed when
# it has prepared the upgrade and has not heard of the commit has it afterwards.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Cluster;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my ($coordinator, $one, $two) = my @nodes = citus_cluster(2, streaming => 1, conf => is_real_citus() ? "citus.recover_2pc_interval = '1s'\n" : '');

# Citus spreads the table over the nodes; beside the stand-in each node has its own.
my @written = is_real_citus() ? $coordinator : @nodes;
sql($_, q{
	SET citus.enable_ddl_propagation = off;
	CREATE TABLE done ();
	CREATE PROCEDURE write() LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			INSERT INTO written SELECT coalesce(max(id), 0) + 1, 0 FROM written;
			COMMIT;
			UPDATE written SET times = times + 1 WHERE id % 7 = 0;
			COMMIT;
			EXIT WHEN EXISTS (SELECT FROM done);
		END LOOP;
	END $$;
	SET citus.enable_ddl_propagation = on;
	CREATE TABLE written (id int PRIMARY KEY, times int)}) foreach @written;
sql($coordinator, q{SELECT create_distributed_table('written', 'id')}) if is_real_citus();

sub rows { return sql($_[0], 'SELECT count(*) FROM written'); }
sub are_written
{
	my ($name) = @_;
	my %before = map { $_->name => rows($_) } @written;

	foreach my $node (@written)
	{
		ok(poll_until(sub { rows($node) > $before{ $node->name } + 3 }, "$name on " . $node->name), "$name on " . $node->name);
	}
	return;
}

my @writers = map { DocumentdbUpgrade::Session->new($_) } @written;
$_->start('CALL write()') foreach @writers;
are_written('rows are written before');
is(sql($coordinator, q{SELECT outcome FROM documentdb_upgrade.rehearse('1.1')}), 'passed', 'a rehearsal passes');
is(sql($coordinator, q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.1')}), 'succeeded', 'an upgrade succeeds');
is(versions_of(@nodes), '1.1 1.1 1.1', 'on all nodes');
are_written('rows are written after it');

sql($_, 'INSERT INTO done DEFAULT VALUES') foreach @written;
ok($_->finish->{ok}, 'a writer has met no error') foreach @writers;
is(sql($_, 'SELECT count(*) = max(id) AND bool_and(times > 0 OR id % 7 <> 0) FROM written'), 't', 'and lost nothing on ' . $_->name) foreach @written;
$_->quit foreach @writers;

# Between PREPARE TRANSACTION and COMMIT PREPARED: the commit of the coordinator
# waits for a standby that is not there, when the nodes are prepared.
set_and_reload($_, 'documentdb_upgrade.lock_timeout', '1h') foreach @nodes;
my $gate = close_gate($two);
my $upgrade = DocumentdbUpgrade::Session->new($coordinator);
$upgrade->start(q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.2', skip_guards => '{node_guards}')});
poll_until(sub { sql($two, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) eq '1' }, 'its last step has begun');
set_and_reload($coordinator, 'synchronous_standby_names', 'nobody');
my $other = DocumentdbUpgrade::Session->new($coordinator);
poll_until(sub {
		my $does = sql($coordinator, "SELECT wait_event, state FROM pg_stat_activity WHERE pid = @{[ $other->pid ]}");
		$other->start('SET citus.enable_ddl_propagation = off; DROP TABLE IF EXISTS waits; CREATE TABLE waits ()') if $does =~ /idle$/;
		return $does =~ /^SyncRep/;
	}, 'commits wait');
$gate->quit;
$upgrade->wait_for(q{wait_event = 'SyncRep'});
is(sql($_, 'SELECT count(*) FROM pg_prepared_xacts'), '1', $_->name . ' has it prepared') foreach $one, $two;
is(versions_of(@nodes), '1.1 1.1 1.1', 'and nobody sees it');
$two->stop('immediate');
set_and_reload($coordinator, 'synchronous_standby_names', '');
my $result = $upgrade->finish;
is($result->{stdout}, 'succeeded', 'the coordinator has committed') or diag($result->{stderr});
is(versions_of($coordinator, $one), '1.2 1.2', 'with the other node');
$two->start;
like(sql($coordinator, "SELECT status, problem FROM documentdb_upgrade.nodes WHERE groupid = 2"), qr/^(?:other_version\|Node \S+ has extension "thing" at "1\.1", and the coordinator at "1\.2"\.|ready\|)$/, 'the node is named, unless Citus was faster');
poll_until(sub { sql($coordinator, 'SELECT recover_prepared_transactions()'); return versions_of($two) eq '1.2' }, 'it is recovered');
is(shape($_), $shape_of{'1.2'}, $_->name . ' has all of it') foreach @nodes;
is(sql($two, q{SELECT actor, outcome FROM documentdb_upgrade.history WHERE to_version = '1.2'}), 'coordinator|succeeded', 'with its row of history');
is(statuses($coordinator), 'ready ready ready', 'and all is well');
$_->quit foreach $other, $upgrade;

done_testing();
