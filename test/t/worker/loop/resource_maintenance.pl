# spec.maintenance of the custom resource stops writes: true raises a fence;
# false, its absence and a resource that is gone lift it; one that cannot be
# read changes nothing.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw(comes_true process_of lines_logged);
use JSON::PP ();
use Test::More;

my $true = JSON::PP::true;
my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1');
my $node = follow($api, conf => "documentdb_upgrade.fence_exempt_roles = 'keeper'\n");
sql($node, 'CREATE ROLE keeper LOGIN SUPERUSER; CREATE ROLE app LOGIN SUPERUSER; CREATE TABLE t (id text)');
wait_for_state($node, 'update_available');
my $lift = 'SELECT documentdb_upgrade.lift_fence()';

sub writes { return is(try_sql($node, q{INSERT INTO t VALUES ('x')}, user => 'app')->{sqlstate} // '00000', $_[0] ? '00000' : '25006', $_[1]); }

sub becomes
{
	my ($up, $name) = @_;
	comes_true($node, 'SELECT fence IS ' . ($up ? 'NOT NULL' : 'NULL') . ' FROM documentdb_upgrade.status');
	return writes(!$up, $name);
}

sub maintenance { $api->patch_spec('db1', maintenance => $_[0]); return; }
sub rows { return sql($node, q{SELECT count(*) || ' ' || count(lifted_at) FROM documentdb_upgrade.cutovers}); }

sub events
{
	my $reason = shift;
	return grep { $_->{reason} eq $reason } $api->events;
}

# Raised and lifted.
writes(1, 'a resource that says nothing stops nothing');
maintenance($true);
becomes(0 + 1, 'maintenance: true stops writes');
my ($uid, $generation) = @{ $api->resource('db1')->{metadata} }{qw(uid generation)};
is(sql($node, q{SELECT concat_ws('|', reason, source, raised_by) FROM documentdb_upgrade.cutovers}),
	"spec.maintenance of lab/db1 (uid $uid, generation $generation)|resource|worker", 'which is on record');
ok(comes_true($node, 'SELECT drained_at IS NOT NULL FROM documentdb_upgrade.cutovers'), 'it is drained');
my $refused = try_sql($node, q{INSERT INTO t VALUES ('x')}, user => 'app');
like($refused->{detail}, qr/^Writes to this database are stopped\. The custom resource asks for it: spec\.maintenance of lab\/db1 \(uid/, 'who is refused reads why');
like($refused->{hint}, qr/^To end that, set spec\.maintenance of the custom resource to false;/, 'and what to do');
like(status_of($node)->{next_step}, qr/When that is over, set its spec\.maintenance to false\.$/, 'status says it');
poll_until(sub { events('FenceRaised') }, 'there is an Event');
is_deeply([ map { ($_->{type}, $_->{message}) } events('FenceRaised') ], [ 'Normal', status_of($node)->{fence} ], 'an Event tells of it');
my $result = try_sql($node, $lift, user => 'app');
is($result->{stdout}, 'f', 'a session cannot lift it');
like($result->{stderr}, qr/NOTICE:.*writes stay stopped, because the custom resource asks for it/, 'and is told why');
writes(0, 'indeed');

# Other changes of the resource, other looks, another worker: nothing new.
$api->patch_spec('db1', schemaVersion => '0.100.0');
wait_for_state($node, 'up_to_date');
kill 'TERM', process_of($node, 'worker');
worker_pid($node);
writes(0, 'a new worker finds it');
$node->restart;
writes(0, 'so does a new server');
wait_for_watch($api);
is(rows(), '1 0', 'it is the same one');

# What cannot be read changes nothing.
$api->fault(times => 1000, status => 500);
$api->watch_stop('end');
wait_for_state($node, 'waiting', qr/500/);
writes(0, 'an API server with errors changes nothing');
$node->restart;
wait_for_state($node, 'waiting', qr/500/);
writes(0, 'not even after a restart');
$api->clear_faults;
wait_for_state($node, 'up_to_date');
$api->patch_spec('db1', maintenance => 'yes');
wait_for_state($node, 'waiting', qr/field "maintenance" is not true or false/);
writes(0, 'nor does a resource that makes no sense');
is(rows(), '1 0', 'still the same one');

maintenance(JSON::PP::false);
becomes(0, 'maintenance: false lets writes through');
is(rows(), '1 1', 'which is on record');
poll_until(sub { events('FenceLifted') }, 'there is an Event');
is(scalar(events('FenceLifted')), 1, 'another Event tells of it');

maintenance($true);
becomes(1, 'a second time');
maintenance(undef);
becomes(0, 'null is like false');
maintenance($true);
becomes(1, 'a third time');
$api->delete_resource('db1');
becomes(0, 'a resource that is gone lifts it');
is(rows(), '3 3', 'three times in all');

# With a fence of a session.
$api->put_resource('db1', spec => { schemaVersion => '0.100.0', maintenance => $true });
becomes(1, 'a new resource that wishes it from the start');
is(try_sql($node, q{SELECT writers FROM documentdb_upgrade.fence_writes('cut-over')}, user => 'app')->{stdout}, 0, 'a session raises another');
like(status_of($node)->{fence}, qr/has called fence_writes\(\): cut-over\. The custom resource asks for it/, 'both are told');
maintenance(JSON::PP::false);
comes_true($node, q{SELECT fence !~ 'resource' FROM documentdb_upgrade.status});
writes(0, 'one is left');
is(try_sql($node, $lift, user => 'app')->{stdout}, 't', 'the other one is lifted by a session');
writes(1, 'and then everybody writes');

# From a file, and with another source there is no such wish.
my $file = $node->basedir . '/resource.json';
sub write_file
{
	my $content = shift;
	open my $new, '>', "$file.new" or die "could not write a file: $!\n";
	print $new ref $content ? JSON::PP->new->encode($content) : $content;
	close $new;
	rename "$file.new", $file or die "could not rename a file: $!\n";
	return;
}

sub resource { return { apiVersion => 'documentdb.io/preview', kind => 'DocumentDB', metadata => { name => 'db1' }, spec => { schemaVersion => '0.100.0', @_ } }; }

sub reload_with
{
	sql($node, "LOAD 'documentdb_upgrade'; ALTER SYSTEM SET documentdb_upgrade.$_[0] = '$_[1]'");
	sql($node, 'SELECT pg_reload_conf()');
	return;
}

write_file(resource(maintenance => $true));
reload_with(desired_file => $file);
reload_with(source => 'file');
becomes(1, 'a file raises it too');
like(sql($node, 'SELECT reason FROM documentdb_upgrade.cutovers ORDER BY id DESC LIMIT 1'), qr/^spec\.maintenance of file "\Q$file\E"$/, 'which is on record');
write_file('{"kind": ');
wait_for_state($node, 'waiting', qr/holds no custom resource/);
writes(0, 'a file that makes no sense changes nothing');
write_file('0.100-0');
becomes(0, 'a bare version wishes no maintenance');
write_file(resource(maintenance => $true));
becomes(1, 'again');
unlink $file;
becomes(0, 'a file that is gone lifts it');
write_file(resource(maintenance => $true));
becomes(1, 'and again');
is(try_sql($node, q{ALTER SYSTEM SET documentdb_upgrade.source = 'setting'}, user => 'app')->{sqlstate}, undef, 'ALTER SYSTEM is not held back');
sql($node, 'SELECT pg_reload_conf()');
becomes(0, 'with source setting nothing wishes it');
is(lines_logged($node, qr/PANIC|terminated by signal|ERROR:  (?!cannot execute INSERT)/), '', 'nothing else has failed');

done_testing();
