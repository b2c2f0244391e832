# With no list of its own, the managed set is the family of the main extension.
# DocumentDB beside another one is nobody's to update, to guard or to report.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $node = worker_node('main', create => 0);
sql($node, q{CREATE EXTENSION documentdb_core VERSION '0.100-0'; CREATE EXTENSION documentdb VERSION '0.100-0'});
create_thing($node);

# What the managed set is for a main extension.
sub managed_with
{
	my ($main, $list) = @_;
	return sql($node, "SET documentdb_upgrade.extension = '$main'; SET documentdb_upgrade.managed_extensions = '$list';"
		. q{SELECT string_agg(extension, ', ') FROM documentdb_upgrade.versions});
}
my $installed = q{SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension WHERE extname LIKE 'documentdb%' AND extname <> 'documentdb_upgrade'};

is(sql($node, 'SHOW documentdb_upgrade.managed_extensions'), '', 'nothing is listed by default');
is(managed_with('thing', ''), 'thing', 'the set is the main extension alone');
is(managed_with('documentdb', ''), 'documentdb_core, documentdb', 'for DocumentDB it is what is installed of its family');
is(managed_with('documentdb', ' '), 'documentdb_core, documentdb', 'also with white space for a list');
is(managed_with('documentdb_core', ''), 'documentdb_core', 'a companion as the main extension takes nobody along');
is(managed_with('documentdb', 'documentdb'), 'documentdb', 'a list is taken as it is');
is(managed_with('documentdb', 'nowhere, documentdb_core'), 'documentdb_core, documentdb', 'the main extension is added at its end');

desire($node, 'auto');
wait_for_state($node, 'up_to_date');
is(shape($node), $shape_of{'1.2'}, 'the main extension follows the binary');
is(sql($node, $installed), 'documentdb 0.100-0, documentdb_core 0.100-0', 'DocumentDB stays where it is');
is(sql($node, q{SELECT extension || ' ' || from_version || ' ' || to_version || ' ' || extensions FROM documentdb_upgrade.history}),
	'thing 1.0 1.2 [{"to": "1.2", "from": "1.0", "extension": "thing"}]', 'and history knows of one extension');

# The smallest case: a main extension that never changes.
sql($node, q{ALTER DATABASE postgres SET documentdb_upgrade.extension = 'plpgsql'});
wait_for_state($node, 'up_to_date', qr/^Nothing is to be done\.$/);
ok(comes_true($node, q{SELECT installed_version = '1.0' FROM documentdb_upgrade.status}), 'the worker serves plpgsql');
wait_for_looks($node, 3);
is(sql($node, $installed), 'documentdb 0.100-0, documentdb_core 0.100-0', 'DocumentDB stays where it is');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history}), '1', 'there was no other attempt');

# What nobody manages can be changed and dropped by its owner.
my $result = try_sql($node, q{ALTER EXTENSION documentdb_core UPDATE TO '0.101-0'; DROP EXTENSION documentdb});
ok($result->{ok}, 'it is not guarded') or diag($result->{stderr});
unlike($result->{stderr}, qr/WARNING/, 'and nothing is said about it');

done_testing();
