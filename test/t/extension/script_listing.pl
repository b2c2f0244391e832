# A session lists the scripts of a directory once, and sees each script that
# comes, goes or is renamed all the same.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => "documentdb_upgrade.extension = 'listed'\n");
sql($node, 'CREATE EXTENSION documentdb_upgrade');
write_extension($node, 'listed', '1.1', '1.0' => 'CREATE TABLE listed (id int);', '1.0--1.1' => 'SELECT 1;');
sql($node, q{CREATE EXTENSION listed VERSION '1.0'});

# What was changed a moment ago is not kept.
my $directory = extension_dir($node);
sub settle
{
	return poll_until(sub {
		sql($node, qq{SELECT greatest(f.modification, f.change) < clock_timestamp() - interval '4 s' FROM pg_stat_file('$directory') f}) eq 't';
	}, 'the directory has been left alone for a while');
}

my $session = DocumentdbUpgrade::Session->new($node);
my $steps = q{SELECT string_agg(extension || ' ' || from_version || ' to ' || to_version, ', ') FROM documentdb_upgrade.plan('%s')};
sub steps { return $session->run(sprintf $steps, $_[0])->{stdout}; }

ok(settle(), 'the directory has been left alone for a while');
is(steps('1.1'), 'listed 1.0 to 1.1', 'the scripts are listed');
is(steps('1.1'), 'listed 1.0 to 1.1', 'and again');
my $first = $session->run('SELECT documentdb_upgrade.upgrade_fingerprint()')->{stdout};
write_extension_file($node, 'listed--1.1--1.2.sql', 'SELECT 1;');
is(steps('1.2'), 'listed 1.0 to 1.1, listed 1.1 to 1.2', 'a script that came is seen at once');

ok(settle(), 'some time later');
my $before = $session->run('SELECT documentdb_upgrade.upgrade_fingerprint()')->{stdout};
is(steps('1.2'), 'listed 1.0 to 1.1, listed 1.1 to 1.2', 'it is still there');
rename extension_file($node, 'listed--1.1--1.2.sql'), extension_file($node, 'listed--1.0--1.2.sql') or die "could not rename: $!";
is(steps('1.2'), 'listed 1.0 to 1.2', 'one that was renamed is another script');
isnt($session->run('SELECT documentdb_upgrade.upgrade_fingerprint()')->{stdout}, $before, 'and the plan is another one');

ok(settle(), 'some time later');
is(steps('1.2'), 'listed 1.0 to 1.2', 'it is still there');
unlink extension_file($node, 'listed--1.0--1.2.sql') or die "could not remove: $!";
is($session->run('SELECT documentdb_upgrade.upgrade_fingerprint()')->{stdout}, $first, 'one that has gone does not count');
$session->quit;
done_testing();
