# A library that nobody preloads: new sessions load the new file, so only a
# session that still has the old one is refused, and a restart is not asked for.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Library;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $guard = q{SELECT status || '|' || detail || '|' || coalesce(hint, '')
	FROM documentdb_upgrade.preflight() WHERE guard = 'library_loaded'};

foreach my $preload ('', 'documentdb_upgrade')
{
	my $case = $preload ? 'ours preloaded' : 'nothing preloaded';
	my $node = library_node($preload ? 'ours' : 'nothing', preload => $preload);
	my $file = library_file($node);
	my $session = DocumentdbUpgrade::Session->new($node);

	is($session->run('SELECT documentdb_upgrade.loaded_version()')->{stdout}, '1.0', "$case: a session has loaded 1.0");
	like($session->run($guard)->{stdout}, qr/^pass\|/, "$case: which is the file");

	put_library($node, '1.1');
	announce($node, '1.1');
	is($session->run('SELECT documentdb_upgrade.loaded_version()')->{stdout}, '1.0', "$case: it keeps it");
	is($session->run($guard)->{stdout},
		qq{fail|The file of library "$file" of extension "standin" has been replaced since this session loaded it.}
		  . '|Open a new session, which loads the new library.', "$case: and is told to end");
	is($session->run('SELECT documentdb_upgrade.finalize()')->{sqlstate}, '55000', "$case: it cannot finalize");

	like(guard($node), qr/^pass\|/, "$case: a new session has nothing old");
	is(sql($node, q{SELECT documentdb_upgrade.loaded_version(), state, blocked_by FROM documentdb_upgrade.status}),
		'1.1|update_available|{}', "$case: and nothing in its way");
	if ($preload)
	{
		sql($node, q{ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = '1.1'});
		$node->reload;
		ok($node->poll_query_until('postgres', q{SELECT state = 'up_to_date' FROM documentdb_upgrade.status}), "$case: the worker finalizes");
	}
	else
	{
		is(sql($node, 'SELECT outcome FROM documentdb_upgrade.finalize()'), 'succeeded', "$case: so it finalizes");
	}

	unlink $file or die "could not remove: $!";
	like($session->run($guard)->{stdout}, qr/^fail\|.*its file has gone\./, "$case: who has a file that has gone is told");
	like(guard($node), qr/^fail\|Library "\S+" of extension "standin" has no file on this instance/, "$case: who has not is told that calls of it fail");
	$session->quit;
	$node->stop;
}

done_testing();
