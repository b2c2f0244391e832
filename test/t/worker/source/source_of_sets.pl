# A file or a custom resource is about the first main extension.  The others
# follow where the newest version is desired, stay where it is another one, and
# are held by the resource's annotation.  One fence is around the database,
# whichever of them is newer than its binary.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = PostgreSQL::Test::Utils::tempdir() . '/desired';
sub publish
{
	open my $fh, '>', "$file.new" or die "could not write: $!\n";
	print $fh $_[0];
	close $fh or die "could not write: $!\n";
	rename "$file.new", $file or die "could not rename: $!\n";
	return;
}
sub resource
{
	my ($version, %annotations) = @_;
	return encode_json({ apiVersion => 'documentdb.io/preview', kind => 'DocumentDB',
			metadata => { name => 'db1', namespace => 'lab', annotations => \%annotations }, spec => { schemaVersion => $version } });
}

publish('1.1');
my $node = worker_node('main', create => 0, conf => qq{
	documentdb_upgrade.extension = 'thing, other'
	documentdb_upgrade.source = 'file'
	documentdb_upgrade.desired_file = '$file'
});
write_extension($node, 'other', '1.1', '1.0' => 'CREATE TABLE other (id int);', '1.0--1.1' => 'ALTER TABLE other ADD one int;');
sql($node, q{CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION other VERSION '1.0'; CREATE EXTENSION documentdb_upgrade});
sub becomes
{
	my ($extension, $condition, $name) = @_;
	return ok($node->poll_query_until('postgres', "SELECT $condition FROM documentdb_upgrade.status WHERE extension = '$extension'"), $name)
	  || diag(sql($node, 'SELECT * FROM documentdb_upgrade.status'));
}

becomes('thing', q{installed_version = '1.1' AND state = 'up_to_date' AND source = 'file'}, 'the first goes to the version in the file');
becomes('other', q{installed_version = '1.0' AND state = 'update_available' AND source = 'file' AND desired = ''}, 'the other stays');
publish(resource('auto', 'documentdb-upgrade/hold' => 'not yet'));
becomes($_, q{state = 'held' AND desired = 'auto' AND next_step ~ 'not yet.*annotation'}, "$_ is held by the resource") foreach qw(thing other);
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1', extension => 'other')})->{sqlstate}, '55000', 'for a session too');
publish(resource('auto'));
becomes('thing', q{installed_version = '1.2' AND state = 'up_to_date'}, 'without the hold the first follows its binary');
becomes('other', q{installed_version = '1.1' AND state = 'up_to_date'}, 'and so does the other');
unlink $file or die "could not remove: $!\n";
write_extension($node, 'other', '1.2', '1.1--1.2' => 'SELECT 1;');
becomes('other', q{installed_version = '1.1' AND state = 'waiting'}, 'without a file nothing runs');
publish('auto');
becomes('other', q{installed_version = '1.2' AND state = 'up_to_date'}, 'with one it does');

# The fence while a binary is older than its schema.
publish('');
set_and_reload($node, 'documentdb_upgrade.schema_ahead_action', 'read_only');
sub older { return write_extension($node, $_[0], '1.0'); }
sub is_fenced { return ok(comes_true($node, "SELECT (fence IS NOT NULL) = $_[0] FROM documentdb_upgrade.status LIMIT 1"), $_[1]); }
is_fenced('false', 'no binary is older');
older('other');
becomes('other', q{state = 'schema_ahead'}, 'the binary of the other is');
is_fenced('true', 'which stops writes');
older('thing');
becomes('thing', q{state = 'schema_ahead'}, 'and that of the first');
write_extension($node, 'other', '1.2');
becomes('other', q{state = 'up_to_date'}, 'the one comes back');
is_fenced('true', 'writes are still stopped');
write_extension($node, 'thing', '1.2');
becomes('thing', q{state = 'up_to_date'}, 'and the other one');
is_fenced('false', 'then they are not any more');
done_testing();
