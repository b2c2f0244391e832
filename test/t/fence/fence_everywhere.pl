# A fence is around one database, or around all of the server: of several
# databases each has its own, and what it covers is said.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', create => 0, conf => "documentdb_upgrade.database = 'a, b'\n");

foreach my $dbname (qw(a b other))
{
	sql($node, "CREATE DATABASE $dbname");
	sql($node, 'CREATE TABLE t (i int); GRANT ALL ON t TO PUBLIC', $dbname);
	create_thing($node, $dbname) if $dbname ne 'other';
}
sql($node, 'CREATE ROLE writer LOGIN');

sub write_to { return try_sql($node, 'INSERT INTO t VALUES (1)', dbname => $_[0], user => 'writer'); }
sub writable { return join ' ', grep { write_to($_)->{ok} } qw(a b other); }
sub fence { return try_sql($node, "SELECT writers FROM documentdb_upgrade.fence_writes($_[1])", dbname => $_[0]); }
sub lift { return try_sql($node, 'SELECT documentdb_upgrade.lift_fence()', dbname => $_[0]); }

# Each its own.
ok(fence('a', q{'of a'})->{ok}, 'a fence around one database');
is(writable(), 'b other', 'stops writes to that alone');
ok(fence('b', q{'of b'})->{ok}, 'another around another at the same time');
is(writable(), 'other', 'stops writes there too');
$node->restart;
is(writable(), 'other', 'both outlive a restart');
is(sql($node, q{SELECT string_agg(database, ' ' ORDER BY database) FROM documentdb_upgrade.databases WHERE fence ~ 'of '}, 'a'), 'a b', 'the view says which are stopped');
is(fence('a', q{'all', everywhere => true})->{sqlstate}, '55000', 'one that is up around one database is not made larger');
ok(lift('a')->{ok}, 'the first is lifted');
is(writable(), 'a other', 'and the other stays');
ok(lift('b')->{ok}, 'until it is lifted');
is(writable(), 'a b other', 'then all can be written');

# Around all, with or without this extension; it waits for the writers of all.
my $session = DocumentdbUpgrade::Session->new($node, dbname => 'other', user => 'writer');
$session->run('BEGIN; INSERT INTO t VALUES (2)');
is(fence('a', q{'moving house', everywhere => true})->{stdout}, '1', 'a writer of another database counts');
is(sql($node, q{SELECT database || ' ' || what FROM documentdb_upgrade.fence_writers WHERE awaited}, 'a'), 'other transaction', 'and is named');
$session->run('COMMIT');
is(fence('a', q{'moving house', '1min', true})->{stdout}, '0', 'it is waited for');
is(writable(), '', 'no database can be written');
my $refused = write_to('other');
is($refused->{sqlstate}, '25006', 'a write is refused');
like($refused->{detail}, qr/^Writes to every database of this server are stopped\. Role "\S+" has called fence_writes\(everywhere => true\) in database "a": moving house\.$/, 'and told what the fence covers');
like($refused->{hint}, qr{in database "a" run SELECT documentdb_upgrade\.lift_fence\(\);}, 'and where it is lifted');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.databases WHERE fence ~ 'moving house'}, 'b'), '6', 'view databases says it of each');
like(sql($node, 'SELECT fence FROM documentdb_upgrade.status', 'b'), qr/moving house/, 'status of another database tells');
my $lift = lift('b');
is($lift->{stdout}, 'f', 'another database does not lift it');
like($lift->{stderr}, qr/NOTICE: .*every database of this server/, 'and says so');
$node->restart;
is(writable(), '', 'it outlives a restart');
ok($session = DocumentdbUpgrade::Session->new($node, dbname => 'a'), 'a session');
$session->run('BEGIN; SELECT documentdb_upgrade.lift_fence()');
is(writable(), '', 'lifting counts with its commit');
$session->run('COMMIT');
is(writable(), 'a b other', 'then all can be written');
is(sql($node, 'SELECT string_agg(everywhere::text, $$ $$ ORDER BY id) FROM documentdb_upgrade.cutovers', 'a'), 'false true', 'the table keeps which was which');
$session->quit;

# What is rolled back, is.
try_sql($node, q{BEGIN; SELECT documentdb_upgrade.fence_writes('no', everywhere => true); ROLLBACK}, dbname => 'b');
is(writable(), 'a b other', 'a rollback takes it back everywhere');

# A database that is dropped takes its fence along.
ok(fence('b', q{'gone soon', everywhere => true})->{ok}, 'a fence around all of a database');
ok(try_sql($node, 'DROP DATABASE b')->{ok}, 'that is dropped');
ok(poll_until(sub { writable() eq 'a other' }, 'the others can be written'), 'goes with it');

done_testing();
