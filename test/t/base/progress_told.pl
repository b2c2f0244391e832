# Long work tells how far it is, and about how long it will take: in
# pg_stat_activity, before the statement, and as a NOTICE as often as a setting says.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower;
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
	my ($sql, $is, $gate, $what, $on) = @_;
	my $node = $on // $node;
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

# Within one script, between its statements and those of a block: the client's setting counts, not the one by which the
# server keeps a script's own notices from it, and the script finds that one as it was.
my $long = q{ALTER TABLE thing ADD two int;
DO $$ BEGIN RAISE NOTICE 'of the script'; END $$;

-- the long one
DO $$
BEGIN
	FOR i IN 1 .. 300 LOOP EXECUTE 'SELECT count(*) FROM pg_class'; END LOOP;
END $$;
SELECT pg_advisory_xact_lock(42);
CREATE TABLE last AS SELECT current_setting('client_min_messages') AS level;
};
my $long_node = worker_node('long', preload => 0, scripts => { '1.1--1.2' => $long });
my $within = qr/step 2 of 2 \(thing 1\.1 to 1\.2\), statement/;
my $told = try_sql($long_node, $often . $rehearse);
is($told->{stdout}, 'passed', 'one long script passes its rehearsal');
like($told->{stderr}, qr/NOTICE:  00000: rehearsal: $within 3 of 5 near line 5, \d+ s so far\n/, 'from within its block');
unlike($told->{stderr}, qr/of the script/, 'its own notices are kept back as ever');
is(try_sql($long_node, "SET client_min_messages = warning; $often$rehearse")->{stderr}, '', 'nor is a client told that wants no notices');
unlike(try_sql($long_node, $never . $rehearse)->{stderr}, $within, 'and none where the setting says so');

shown($rehearse, qr/^rehearsal: $within 4 of 5 near line 9; /, close_gate($long_node), 'a statement that waits', $long_node);
is(try_sql($long_node, q{SELECT outcome FROM documentdb_upgrade.rehearse(scratch => true)})->{stdout}, 'passed', 'a scratch rehearsal is as it was');

# A script that has chosen for itself.
write_extension($long_node, 'thing', '1.2', '1.1--1.2' => "SET LOCAL client_min_messages = error;\n$long");
$told = try_sql($long_node, $often . $rehearse);
is($told->{stdout}, 'passed', 'a script that sets client_min_messages passes too');
unlike($told->{stderr}, qr/$within [2-9]/, 'and is not talked into');
write_extension($long_node, 'thing', '1.2', '1.1--1.2' => $long);

# A finalize by hand tells the same; the worker's tells nobody, in no log.
$told = try_sql($long_node, $often . q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.2');});
is($told->{stdout}, 'succeeded', 'a finalize succeeds');
like($told->{stderr}, qr/NOTICE:  00000: upgrade: $within 3 of 5 near line 5, \d+ s so far\n/, 'and tells how far it is');
is(sql($long_node, 'SELECT level FROM last'), 'warning', 'its script finds the setting as the server has left it');
my $served = worker_node('served', scripts => { '1.0--1.1' => "SET LOCAL client_min_messages = error;\n" . ($long =~ s/two/one/r =~ s/CREATE TABLE last.*;//r), '1.1--1.2' => $long }, conf => q{
log_min_messages = notice
documentdb_upgrade.progress_interval = '1ms'});
desire($served, '1.2');
wait_for_state($served, 'up_to_date');
is(count_logged($served, qr/(?:upgrade|rehearsal): step \d of|statement \d of/), 0, 'the log has nothing of it');

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
	$told = shown("SELECT count(*) FROM $call;", qr/^comparison: listing|^comparison: \d of 2 tables, .* so far/, $gate, $name);
	is($told->{ok}, 1, "$name: it succeeds") or diag($told->{stderr});
}

done_testing();
