# A desired version in a file: a bare version, or a custom resource as JSON
# with its hold; swapped as mounted ConfigMaps are.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

# A volume of a ConfigMap: the name is a link to ..data/, which is a link to
# a directory that is never changed; another one takes its place at once.
my $volume = PostgreSQL::Test::Utils::tempdir();
my $file = "$volume/desired";
my $generation = 0;

sub publish
{
	my $content = shift;
	my $dir = sprintf '..data_%d', ++$generation;

	mkdir "$volume/$dir" or die "could not create $dir: $!\n";
	append_to_file("$volume/$dir/desired", $content);
	symlink $dir, "$volume/..data_tmp" or die "could not link: $!\n";
	rename "$volume/..data_tmp", "$volume/..data" or die "could not rename: $!\n";
	return;
}
symlink '..data/desired', $file or die "could not link: $!\n";

sub resource
{
	my ($version, %metadata) = @_;
	return encode_json({ apiVersion => 'documentdb.io/preview', kind => 'DocumentDB',
			metadata => { name => 'db1', namespace => 'lab', %metadata },
			spec => { instancesPerNode => 1, unknown => [ 1, { a => undef } ], defined $version ? (schemaVersion => $version) : () } });
}
my $row = q{SELECT to_version, outcome, actor, resource_uid, resource_generation FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1};

publish("\n");
my $node = worker_node('main', conf => "documentdb_upgrade.source = 'file'\ndocumentdb_upgrade.desired_file = '$file'\n");
write_extension($node, 'thing', '1.4', '1.2--1.3' => 'SELECT 1;', '1.3--1.4' => 'SELECT 1;');

wait_for_state($node, 'update_available', qr/no version is desired/);
is(status_of($node)->{source}, 'file', 'an empty file desires nothing');

publish("  1.1\r\n");
wait_for_state($node, 'up_to_date');
is(sql($node, $row), '1.1|succeeded|worker||', 'a bare version, whatever white space is around it');

publish(resource(undef, uid => 'aaaa-1', generation => 6));
wait_for_state($node, 'update_available', qr/An update to 1\.4 is available and no version is desired/);
is(status_of($node)->{mode}, 'two-phase', 'a resource without schemaVersion desires nothing');

publish(resource('1.2.0', uid => 'aaaa-1', generation => 7));
wait_for_state($node, 'up_to_date');
is(sql($node, $row), '1.2|succeeded|worker|aaaa-1|7', 'a resource, whose uid and generation are in history');

publish(resource('1.3', uid => 'aaaa-1', generation => 8, annotations => { 'documentdb-upgrade/hold' => 'not on a "Friday"' }));
wait_for_state($node, 'held', qr/Guard hold refuses: A hold is placed: not on a "Friday" \(annotation documentdb-upgrade\/hold of .*desired"?\)\. When its reason is gone, remove annotation documentdb-upgrade\/hold from the resource in file/);
is(status_of($node)->{desired}, '1.3', 'the wish is known');
my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.3')});
is("$result->{sqlstate} $result->{message}", '55000 cannot finalize extension "thing" to "1.3": refused by guard "hold"', 'the hold counts for people too');
is(sql($node, q{SELECT held FROM documentdb_upgrade.metrics}), '1', 'and shows in metrics');
wait_for_looks($node, 5);
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE actor = 'worker'}), '2', 'nothing runs meanwhile');

publish(resource('1.3', uid => 'bbbb-2', generation => 1, annotations => { other => 'x' }));
wait_for_state($node, 'up_to_date');
is(sql($node, $row), '1.3|succeeded|worker|bbbb-2|1', 'another resource without the annotation is followed');

publish('auto');
ok($node->poll_query_until('postgres', q{SELECT installed_version = '1.4' FROM documentdb_upgrade.status}), 'auto follows the binary');

# The other way of changing a file: in place.
publish('1.4');
append_to_file("$volume/..data/desired", ".1\n");
wait_for_state($node, 'waiting', qr/Version 1\.4\.1 is desired, but this binary offers only 1\.4/);
is(count_logged($node, qr/ERROR|WARNING/), 1, 'the log knows of one refusal')
  or diag(join "\n", grep { /ERROR|WARNING/ } split /\n/, logged($node));

done_testing();
