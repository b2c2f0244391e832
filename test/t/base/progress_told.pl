# Long work tells how far it is, and about how long it will take: in
# pg_stat_activity, before the statement, and as a NOTICE as often as a setting says.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', preload => 0);
my $often = q{SET documentdb_upgrade.progress_interval = '1ms'; };
my $never = q{SET documentdb_upgrade.progress_interval = 0; };
my $left = qr/\d+ s so far, about \d+ s left/;

# What a session's statement is shown as; its result when the gate is open.
sub shown
{
	my ($sql, $is, $gate, $what) = @_;
	my $session = DocumentdbUpgrade::Session->new($node);
	my $activity = 'SELECT query FROM pg_stat_activity WHERE pid = ' . $session->pid;

	$session->start($sql);
	my $shown = poll_until(sub { my $q = sql($node, $activity); $q =~ $is ? $q : '' }, "$what is shown");
	like($shown, qr/; \Q$sql\E/, "$what: with the statement");
	$gate->quit;
	my $result = $session->finish;
	$session->run('SELECT 1');
	unlike(sql($node, $activity), qr/step|comparison/, "$what: and not when it has ended");
	$session->quit;
	return $result;
}

my $rehearse = 'SELECT outcome FROM documentdb_upgrade.rehearse();';
my $result = shown($rehearse, qr/^rehearsal: step 2 of 2 \(thing 1\.1 to 1\.2\)/, close_gate($node), 'a rehearsal');
is($result->{stdout}, 'passed', 'it passes');
like(try_sql($node, $often . $rehearse)->{stderr}, qr/NOTICE:  00000: rehearsal: step 2 of 2 \(thing 1\.1 to 1\.2\), $left\n/, 'a long one does');
is(try_sql($node, "SET client_min_messages = warning; $often$rehearse")->{stderr}, '', 'if the client wants to hear it');
is(try_sql($node, "SET client_min_messages = error; $never$rehearse")->{stderr}, '', 'and the setting says so');

# A comparison that waits for a lock, here with an impatient client.
sql($node, q{LOAD 'documentdb_upgrade'; ALTER SYSTEM SET documentdb_upgrade.progress_interval = '1ms'; SELECT pg_reload_conf()});
sql($node, q{CREATE DATABASE there; CREATE TABLE a AS SELECT g AS id FROM generate_series(1, 1000) g; CREATE TABLE b (id int); ANALYZE});
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE TABLE a AS SELECT g AS id FROM generate_series(1, 1000) g; CREATE TABLE b (id int)}, 'there');
my $conninfo = $node->connstr('there') =~ s/'/''/gr;
foreach my $call ("documentdb_upgrade.compare_with('$conninfo', tables => '{a,b}')", q{documentdb_upgrade.table_checksums(tables => '{a,b}')})
{
	my ($name) = $call =~ /\.(\w+)/;
	my $gate = DocumentdbUpgrade::Session->new($node, dbname => $name eq 'compare_with' ? 'there' : 'postgres');

	$gate->run('BEGIN');
	$gate->run('LOCK TABLE b');
	my $told = shown("SELECT count(*) FROM $call;", qr/^comparison: listing|^comparison: \d of 2 tables, .* so far/, $gate, $name);
	is($told->{ok}, 1, "$name: it succeeds") or diag($told->{stderr});
}

done_testing();
