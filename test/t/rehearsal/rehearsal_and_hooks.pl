# A rehearsal passes the hooks while its scripts run, and only then; what it
# does is nobody's manual update.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Objects;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = guarded_node('main', scripts => { '1.1--1.2' => 'SELECT 1 / 0;' });
install($node);
sql($node, q{CREATE EXTENSION documentdb_upgrade;
	CREATE FUNCTION public.meddle() RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN DROP EXTENSION after; RETURN true; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', SQLERRM; RETURN true; END $$;
	INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('early', 'pre', 'public.meddle()'), ('late', 'post', 'public.meddle()')});
is(sql($node, 'SHOW documentdb_upgrade.enforce'), 'on', 'guards are enforced');

my $digests = catalogue_digests($node);
my $session = DocumentdbUpgrade::Session->new($node);

sub still_guarded
{
	my ($when, @statements) = @_;
	@statements = ('DROP EXTENSION thing', q{ALTER EXTENSION thing UPDATE TO '1.3'}) unless @statements;
	foreach my $statement (@statements)
	{
		my $result = $session->run($statement);
		is($result->{sqlstate}, '55000', "$when the guards hold: $statement") or diag($result->{stderr});
	}
	return;
}

my $result = $session->run(q{SELECT outcome, steps_run, message FROM documentdb_upgrade.rehearse('1.1')});
is($result->{stdout}, 'passed|3|', 'a rehearsal passes') or diag($result->{stderr});
is(scalar(() = $result->{stderr} =~ /WARNING:.*cannot drop managed extension "after"/g), 2, 'what its checks try is refused');
unlike($result->{stderr}, qr/although guard|against guard/, 'nothing is said of its steps');
still_guarded('after it');

$result = $session->run(q{SELECT outcome, sqlstate, steps_run FROM documentdb_upgrade.rehearse()});
is($result->{stdout}, 'failed|22012|3', 'one whose script fails') or diag($result->{stderr});
still_guarded('after it');
$session->run('BEGIN');
is($session->run(q{SELECT outcome FROM documentdb_upgrade.rehearse('1.1')})->{stdout}, 'passed', 'in a transaction');
still_guarded('in it too', 'DROP EXTENSION thing');
$session->run('ROLLBACK');
$session->run(q{SET statement_timeout = 1; SELECT documentdb_upgrade.rehearse(); RESET statement_timeout});
$session->run('RESET statement_timeout');
still_guarded('after a cancel');
$result = $session->run(q{SELECT outcome, steps_run, message FROM documentdb_upgrade.rehearse('1.1', scratch => true)});
is($result->{stdout}, 'passed|3|', 'in a throw-away database') or diag($result->{stderr});

is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.history'), '0', 'none of it is history');
is(catalogue_digests($node), $digests, 'and nothing has changed');
is(versions($node), 'before 1.0, thing 1.0, after 1.0', 'nor the versions');

# A downgrade, or what no guard lets pass, is refused in a rehearsal as well.
is(sql($node, q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('1.3')}), 'refused|55000', 'beyond the binary');
is(sql($node, q{SELECT outcome, sqlstate FROM documentdb_upgrade.rehearse('0.9')}), 'refused|55000', 'back');
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.1')}), 'succeeded', 'the finalize itself goes on');
$session->quit;
done_testing();
