# Our own finalize passes the hooks, and only while its scripts run: after an
# error in them, caught or not, and in checks, the guards hold.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $failing = "DO \$\$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN NULL; END \$\$; SELECT 1 / 0;";
my $node = guarded_node('main', scripts => { '1.1--1.2' => $failing });
install($node);
sql($node, q{CREATE EXTENSION documentdb_upgrade;
	CREATE FUNCTION public.meddle() RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN DROP EXTENSION after; RETURN true; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', SQLERRM; RETURN true; END $$;
	INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('early', 'pre', 'public.meddle()'), ('late', 'post', 'public.meddle()')});

my $session = DocumentdbUpgrade::Session->new($node);

sub still_guarded
{
	my $when = shift;
	my $result = $session->run('DROP EXTENSION thing');
	is($result->{message}, 'cannot drop managed extension "thing"', "$when the guards hold") or diag($result->{stderr});
	return;
}

my $result = $session->run(q{SELECT to_version, actor FROM documentdb_upgrade.finalize_to('1.1')});
is($result->{stdout}, '1.1|function', 'a finalize passes') or diag($result->{stderr});
is(scalar(() = $result->{stderr} =~ /WARNING:.*cannot drop managed extension "after"/g), 2, 'what its checks try is refused');
unlike($result->{stderr}, qr/although guard|against guard/, 'and nothing is said twice');
is(versions($node), 'before 1.1, thing 1.1, after 1.1', 'the whole set is there');
is(sql($node, q{SELECT string_agg(actor, ' ') FROM documentdb_upgrade.history}), 'function', 'its steps are not recorded as manual');
still_guarded('after it');

$session->run('BEGIN; SAVEPOINT a');
is($session->run('SELECT documentdb_upgrade.finalize()')->{sqlstate}, '22012', 'one whose script fails');
$session->run('ROLLBACK TO a');
still_guarded('back at the savepoint');
$session->run('ROLLBACK');
$session->run(q{DO $$ BEGIN PERFORM documentdb_upgrade.finalize(); EXCEPTION WHEN OTHERS THEN NULL; END $$});
still_guarded('after an error that was caught');
$session->run('SELECT documentdb_upgrade.finalize()');
still_guarded('after one that was not');
$session->run('SET statement_timeout = 1; SELECT documentdb_upgrade.finalize()');
$session->run('RESET statement_timeout');
still_guarded('after a cancel');

# The same for a plain statement: what failed is not taken for what runs next.
is($session->run('ALTER EXTENSION thing UPDATE')->{sqlstate}, '22012', 'a plain update whose script fails');
is($session->run(q{DO $$ BEGIN ALTER EXTENSION thing UPDATE; EXCEPTION WHEN OTHERS THEN NULL; END $$})->{ok}, 1, 'and is caught');
still_guarded('after it');
is($session->run(q{CREATE EXTENSION needless})->{sqlstate} =~ /^(0A000|58P01)$/, 1, 'a CREATE that fails');
is($session->run(q{ALTER EXTENSION thing UPDATE TO '1.0'})->{sqlstate}, '55000', 'an update is still judged as one');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE actor = 'manual'}), '0', 'failures are no updates');
$session->quit;

done_testing();
