# A custom resource is watched once for the server: it means the main database, the
# others follow their setting, and its condition tells when one of them is behind.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { nodeCount => 1, documentDBVersion => '1.0.0', schemaVersion => 'auto' });
my $node = follow($api, conf => "documentdb_upgrade.database = '*'\n");

wait_for_state($node, 'up_to_date');
sql($node, 'CREATE DATABASE other TEMPLATE template0');
sql($node, q{CREATE EXTENSION documentdb VERSION '0.105-0' CASCADE; CREATE EXTENSION documentdb_upgrade}, 'other');
ok($node->poll_query_until('other', q{SELECT worker_pid IS NOT NULL AND source = 'setting' AND state = 'update_available' FROM documentdb_upgrade.status}),
	'another database follows its setting') or diag(sql($node, 'SELECT * FROM documentdb_upgrade.status', 'other'));
is(status_of($node)->{source}, 'kubernetes', 'the main one follows the resource');
is(sql($node, q{SELECT source_reads_total FROM documentdb_upgrade.metrics}, 'postgres') > 0, 1, 'which it has read');

sub condition { return $api->condition('db1', 'SchemaSettled') // {}; }
ok(poll_until(sub { (condition()->{message} // '') =~ /other \(documentdb 0\.105\.0\)/ }, 'the condition tells'), 'the condition tells of the one that is behind');
is(condition()->{status}, 'True', 'and is about the main database');

sql($node, q{ALTER DATABASE other SET documentdb_upgrade.desired_schema_version = 'auto'});
ok($node->poll_query_until('other', q{SELECT installed_version = '1.0-0' FROM documentdb_upgrade.status}), 'its own wish brings it along');
ok(poll_until(sub { (condition()->{message} // 'other') !~ /other/ }, 'the condition is calm again'), 'then the condition tells no more of it');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE resource_uid IS NOT NULL}, 'other'), '0', 'the resource has not asked for that');

done_testing();
