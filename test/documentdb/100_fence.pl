# DocumentDB's own write path stops at a fence: documents, collections, indexes,
# its background jobs; reads go on, and after the fence everything works.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw(comes_true count_logged);
use Test::More;

my $node = documentdb_node('main', conf => q{
	documentdb_upgrade.poll_interval = '100ms'
	documentdb_upgrade.fence_exempt_roles = 'keeper'
});
install_documentdb($node, BINARY);
sql($node, 'CREATE ROLE gateway LOGIN SUPERUSER; CREATE ROLE keeper LOGIN SUPERUSER');
works($node, 'before', 'DocumentDB works before');
sql($node, q{SELECT documentdb_api.create_indexes_background('db', '{"createIndexes": "before", "indexes": [{"key": {"b": 1}, "name": "b_1"}]}')});
my $built = q{SELECT bool_and(index_is_valid) FROM documentdb_api_catalog.collection_indexes};
ok(comes_true($node, $built), 'with an index');

my $fence = q{SELECT writers FROM documentdb_upgrade.fence_writes('cut-over', '20 s')};
my $lift = 'SELECT documentdb_upgrade.lift_fence()';
my $document = q{'{"_id": 100, "a": 1}'};

# What DocumentDB keeps: collections, indexes and documents.
sub content
{
	return sql($node, q{
		SELECT string_agg(c::text, ';' ORDER BY collection_id) FROM documentdb_api_catalog.collections c;
		SELECT string_agg(i::text, ';' ORDER BY index_id) FROM documentdb_api_catalog.collection_indexes i;
		SELECT string_agg(relname || pg_relation_filenode(oid), ';' ORDER BY relname) FROM pg_class WHERE relnamespace = 'documentdb_data'::regnamespace;
	}) . bson_sql($node, q{SELECT document FROM documentdb_api.collection('db', 'before') ORDER BY 1});
}

my @writes = (
	[ 'insert_one', qq{SELECT documentdb_api.insert_one('db', 'before', $document)} ],
	[ 'insert', qq{SELECT documentdb_api.insert('db', '{"insert": "before", "documents": [{"_id": 101}]}')} ],
	[ 'insert of many', qq{SELECT documentdb_api.insert('db', '{"insert": "before", "documents": [{"_id": 102}, {"_id": 103}], "ordered": false}')} ],
	[ 'insert into a new collection', qq{SELECT documentdb_api.insert('db', '{"insert": "created", "documents": [{"_id": 1}]}')} ],
	[ 'update', q[SELECT documentdb_api.update('db', '{"update": "before", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": 11}}}]}')] ],
	[ 'update of many', q[SELECT documentdb_api.update('db', '{"update": "before", "updates": [{"q": {}, "u": {"$set": {"b": 1}}, "multi": true}]}')] ],
	[ 'upsert', q[SELECT documentdb_api.update('db', '{"update": "before", "updates": [{"q": {"_id": 9}, "u": {"$set": {"a": 1}}, "upsert": true}]}')] ],
	[ 'delete', q{SELECT documentdb_api.delete('db', '{"delete": "before", "deletes": [{"q": {"_id": 1}, "limit": 1}]}')} ],
	[ 'delete of many', q{SELECT documentdb_api.delete('db', '{"delete": "before", "deletes": [{"q": {}, "limit": 0}]}')} ],
	[ 'find_and_modify', q[SELECT documentdb_api.find_and_modify('db', '{"findAndModify": "before", "query": {"_id": 1}, "update": {"$set": {"a": 12}}}')] ],
	[ 'create_collection', q{SELECT documentdb_api.create_collection('db', 'created')} ],
	[ 'create_collection_view', q{SELECT documentdb_api.create_collection_view('db', '{"create": "seen", "viewOn": "before"}')} ],
	[ 'drop_collection', q{SELECT documentdb_api.drop_collection('db', 'before')} ],
	[ 'drop_database', q{SELECT documentdb_api.drop_database('db')} ],
	[ 'rename_collection', q{SELECT documentdb_api.rename_collection('db', 'before', 'after')} ],
	[ 'create_indexes_background', q{SELECT documentdb_api.create_indexes_background('db', '{"createIndexes": "before", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}')} ],
	[ 'coll_mod', q{SELECT documentdb_api.coll_mod('db', 'before', '{"collMod": "before", "index": {"name": "b_1", "hidden": true}}')} ],
	[ 'an aggregation with $out', q[SELECT * FROM documentdb_api.aggregate_cursor_first_page('db', '{"aggregate": "before", "pipeline": [{"$out": "copied"}], "cursor": {}}')] ],
	[ 'an aggregation with $merge', q[SELECT * FROM documentdb_api.aggregate_cursor_first_page('db', '{"aggregate": "before", "pipeline": [{"$merge": {"into": "before"}}], "cursor": {}}')] ],
	[ 'a plain statement', q{DELETE FROM documentdb_api_catalog.collections} ]);
my @reads = (
	q{SELECT documentdb_api.find_cursor_first_page('db', '{"find": "before", "filter": {"a": 10}}')},
	q{SELECT documentdb_api.list_collections_cursor_first_page('db', '{"listCollections": 1}')},
	q{SELECT documentdb_api.count_query('db', '{"count": "before"}')},
	q[SELECT documentdb_api.aggregate_cursor_first_page('db', '{"aggregate": "before", "pipeline": [{"$match": {"a": 10}}], "cursor": {}}')]);

# A write under way is waited for.
my $session = DocumentdbUpgrade::Session->new($node, user => 'gateway');
$session->run($_) foreach 'BEGIN', qq{SELECT documentdb_api.insert_one('db', 'before', $document)};
is(sql($node, q{SELECT writers FROM documentdb_upgrade.fence_writes('cut-over')}), 1, 'a session that has inserted is older than the fence');
like($session->run(q{SELECT documentdb_api.insert_one('db', 'before', '{"_id": 99}')})->{stderr}, qr{ read-only }, 'it inserts no more');
$session->run('ROLLBACK');
is(sql($node, $fence), 0, 'the fence is drained');

my $before = content();
foreach my $write (@writes)
{
	my ($name, $sql) = @$write;
	my $result = try_bson($node, $sql, user => 'gateway');
	ok(($result->{sqlstate} // '') eq '25006' || $result->{stdout} =~ /read-only transaction/ || ($result->{stderr} . $result->{stdout}) =~ /read-only/, "refused: $name")
	  or diag("$result->{stdout}\n$result->{stderr}");
	measured('under a fence %s answers %s', $name, $result->{sqlstate} // 'in its document');
	is(content(), $before, 'and nothing has changed');
}
is(try_bson($node, $_, user => 'gateway')->{sqlstate}, undef, "works: $_") foreach @reads;
keeps($node, 'before', 'documents are read');

# Who is exempt builds what background jobs would: asked for by an exempt role,
# the index is built by a job, which is held back.
my $jobs = q{SELECT count(*) FROM cron.job_run_details WHERE status = 'failed' AND return_message ~ 'read-only'};
is(try_bson($node, q{SELECT documentdb_api.create_indexes_background('db', '{"createIndexes": "before", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}')}, user => 'keeper')->{sqlstate},
	undef, 'an exempt role asks for an index');
comes_true($node, q{SELECT count(*) > 0 FROM cron.job_run_details WHERE start_time > (SELECT raised_at FROM documentdb_upgrade.cutovers WHERE lifted_at IS NULL)}) ;
is(sql($node, $built), 'f', 'the job that would build it is held back') or diag(sql($node, 'SELECT command, status, return_message FROM cron.job_run_details ORDER BY runid DESC LIMIT 5'));

is(sql($node, $lift), 't', 'the fence is lifted');
ok(comes_true($node, $built), 'the job builds the index');
works($node, 'after', 'DocumentDB works after');
keeps($node, 'before', 'what was written before is there');
is($session->run(qq{SELECT documentdb_api.insert_one('db', 'before', $document)})->{sqlstate}, undef, 'sessions from before write again');
is(count_logged($node, qr/PANIC|terminated by signal/), 0, 'no process has crashed');
$session->quit;

done_testing();
