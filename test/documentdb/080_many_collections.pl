# The steps to 0.102-0 and 0.102-1 lock every collection: with 2,000 of them
# that still fits into the lock table as the server makes it by default.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use Test::More;

use constant COLLECTIONS => 2000;

my $node = documentdb_node('main', conf => default_lock_table() . q{
	documentdb.enableDataTableWithoutCreationTime = off
});
install_documentdb($node, '0.101-0');
works($node, 'before', 'DocumentDB works before');
measured('creating %d collections: %.1f s', COLLECTIONS, seconds(sub { create_collections($node, 1, COLLECTIONS) }));

my $locks = locks_of_update($node, '0.102-1');
cmp_ok($locks, '>=', COLLECTIONS, 'a lock for every collection and more');
measured('%d collections: ALTER EXTENSION to 0.102-1 takes %d locks', COLLECTIONS, $locks);
is(installed($node), 'documentdb 0.101-0, documentdb_core 0.101-0', 'that was rolled back');

measured('%d collections: finalize to 0.102-1 takes %.1f ms', COLLECTIONS, finalized($node, '0.102-1', 'finalize to 0.102-1'));
measured('%d collections: finalize from there to 1.0-0 takes %.1f ms', COLLECTIONS, finalized($node, BINARY, 'finalize to 1.0-0'));
is(gate($node), BINARY, 'the version is in force');
keeps($node, 'before', 'what was written before is there');
works($node, 'after', 'DocumentDB works after');

done_testing();
