# A fast shutdown that meets the recorder of a failed attempt in the middle of
# its commit lets it commit: the server neither panics nor hangs, and the
# record is there after the next start.  Ended before that, it leaves the
# record in the log.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# A commit rests for a tenth of a second just before its record is flushed,
# where an error of any kind is a panic.
my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	autovacuum = off
	fsync = on
	commit_delay = 100000
	commit_siblings = 0
});
write_extension($node, 'thing', '1.1', '1.0' => 'SELECT 1;', '1.0--1.1' => 'SELECT 1/0;');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'});

# Runs a statement when there is a recorder of which that is true; in a
# transaction that needs no commit of its own.
sub when_recorder
{
	my ($condition, $statement) = @_;
	return qq{SET statement_timeout = '10 min'; DO \$\$ DECLARE recorder int; BEGIN LOOP
		PERFORM pg_stat_clear_snapshot();
		SELECT pid INTO recorder FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade recorder' AND $condition;
		EXIT WHEN FOUND;
		END LOOP; $statement; END \$\$};
}

foreach my $round (1 .. 3)
{
	my $watcher = DocumentdbUpgrade::Session->new($node);
	my $caller = DocumentdbUpgrade::Session->new($node);
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	$watcher->start(when_recorder('backend_xid IS NOT NULL', 'NULL'));
	$watcher->wait_for(q{state = 'active'});
	$caller->start(q{SELECT documentdb_upgrade.finalize()});
	ok($watcher->finish->{ok}, "round $round: the recorder is met");

	kill 'INT', $postmaster;
	my $start = time;
	ok(poll_until(sub { !-e $node->data_dir . '/postmaster.pid' }, 'the server is down'), "round $round: the server stops");
	cmp_ok(time - $start, '<', patience(5), "round $round: without a wait");
	$_->vanish foreach $watcher, $caller;
	$node->stop('fast', fail_ok => 1);
	unlike(slurp_file($node->logfile), qr/PANIC|signal 6|crash/, "round $round: in good order");

	$node->_update_pid(0);
	$node->start;
	unlike(slurp_file($node->logfile), qr/not properly shut down/, "round $round: which the next start finds");

	# The signal may come just before the commit begins.
	my $stored = sql($node, q{SELECT coalesce(sum(1 + repeats), 0) FROM documentdb_upgrade.history WHERE sqlstate = '22012'});
	my $logged = () = slurp_file($node->logfile) =~ /could not record an upgrade attempt in history/g;
	is($stored + $logged, $round, "round $round: the record is in history, or in the log");
}

# Before it has stored anything.
my $locker = DocumentdbUpgrade::Session->new($node);
my $watcher = DocumentdbUpgrade::Session->new($node);
my $caller = DocumentdbUpgrade::Session->new($node);
my $offset = -s $node->logfile;

$watcher->start(when_recorder(q{wait_event_type = 'Extension'}, 'PERFORM pg_terminate_backend(recorder)'));
$watcher->wait_for(q{state = 'active'});
$locker->run('BEGIN; LOCK TABLE documentdb_upgrade.history IN ACCESS EXCLUSIVE MODE');
is($caller->run('SELECT documentdb_upgrade.finalize()')->{sqlstate}, '22012', 'a recorder that waits');
ok($watcher->finish->{ok}, 'is ended');
like(slurp_file($node->logfile, $offset),
	qr/LOG:  could not record an upgrade attempt in history: the background worker was ended\n.*DETAIL:  The record is \{"extension": "thing".*"sqlstate": "22012"/,
	'and leaves its record in the log');
$locker->run('ROLLBACK');
$_->quit foreach $locker, $watcher, $caller;

done_testing();
