# The worker on the real DocumentDB: with "auto" it goes from 0.117-0 to the
# binary version by itself, and the version is in force when it says so.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw(desire);
use Test::More;

my $node = documentdb_node('main', conf => q{
	documentdb_upgrade.poll_interval = '100ms'
});
install_documentdb($node, '0.117-0');
works($node, 'before', 'DocumentDB works before');
my $old_session = DocumentdbUpgrade::Session->new($node);
is(gate($node, $old_session), '0.117-0', 'the version in force');

wait_for_state($node, 'update_available', qr/1\.0-0/);
is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.history'), '0', 'nothing runs unasked');

my $took = seconds(sub { desire($node, 'auto'); wait_for_state($node, 'up_to_date') });
measured('from the wish to up_to_date: %.2f s', $took);
is(installed($node), 'documentdb 1.0-0, documentdb_core 1.0-0', 'the schema follows the binary');
is(sql($node, q{SELECT from_version, to_version, outcome, actor FROM documentdb_upgrade.history}),
	'0.117-0|1.0-0|succeeded|worker', 'by one attempt of the worker');
is(gate($node, $old_session), BINARY, 'the version is in force in a session from before');
is(gate($node), BINARY, 'and in a new one');
keeps($node, 'before', 'what was written before is there');
works($node, 'after', 'DocumentDB works after');
is(sql($node, q{SELECT documentdb_upgrade.wait_for('1.0.0', '10 s')}), 't', 'wait_for agrees');
is(status_of($node)->{last_error}, undef, 'no error is left');
$old_session->quit;

done_testing();
