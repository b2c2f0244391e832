# The history of releases: three versions, the ways between all of them, what
# is kept; and the worker records a release by itself exactly when what this
# server runs has changed.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Library;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = library_node('main', preload => 'documentdb_upgrade, standin', streaming => 1, start => 0);
$node->start;
sql($node, q{BEGIN; CREATE EXTENSION standin VERSION '1.0'; CREATE EXTENSION documentdb_upgrade; COMMIT});

# Every release: revision, who recorded it, and what it says of the extension.
sub releases
{
	return sql($node, q{SELECT concat_ws(' ', revision, source, components->'extension'->'configuration'->>'version')
		FROM documentdb_upgrade.releases ORDER BY revision});
}
sub recorded_by_itself
{
	my ($expected, $what) = @_;
	comes_true($node, 'SELECT max(revision) = ' . scalar(split /\n/, $expected) . ' FROM documentdb_upgrade.releases');
	wait_for_looks($node, 3);
	return is(releases(), $expected, $what);
}
sub observed { return sql($node, qq{SELECT observed->'extension'->>'$_[0]' FROM documentdb_upgrade.releases ORDER BY revision DESC LIMIT 1}); }

my $releases = '1 worker 1.0';
recorded_by_itself($releases, 'the first release, once');
is(sql($node, q{SELECT components->'extension'->'configuration' = observed->'extension' AND components->'postgres'->'configuration' = observed->'postgres'
	AND observed = documentdb_upgrade_internal.observed_release() AND recorded_by = 'postgres' FROM documentdb_upgrade.releases}), 't', 'is what this server sees');
my $first = observed('library_sha256');
like($first, qr/^[0-9a-f]{64}$/, 'with the digest of the library');

# A pass that has nothing new to tell leaves the table alone.
my $scans = q{SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relid = 'documentdb_upgrade.releases'::regclass};
wait_for_looks($node, 2);
my $scanned = sql($node, $scans);
wait_for_looks($node, 4);
is(sql($node, $scans), $scanned, 'a pass without news does not read the table');

# Nothing new: another worker, another time of the same files' making.
sql($node, q{SELECT pg_terminate_backend(worker_pid) FROM documentdb_upgrade.status});
comes_true($node, 'SELECT worker_pid IS NOT NULL FROM documentdb_upgrade.status');
announce($node, '1.0');
recorded_by_itself($releases, 'a worker that starts anew and a file that is written anew');
sql($node, q{CREATE EXTENSION pg_stat_statements; DROP EXTENSION pg_stat_statements; SELECT documentdb_upgrade.hold('x'); SELECT documentdb_upgrade.release()});
recorded_by_itself($releases, 'what is no part of it');

# Another build of the same version, another control file.
put_library($node, '1.0 (rebuilt)');
$releases .= "\n2 worker 1.0";
recorded_by_itself($releases, 'another build of the same version');
isnt(observed('library_sha256'), $first, 'is another library');
announce($node, '1.0', comment => 'changed');
$releases .= "\n3 worker 1.0";
recorded_by_itself($releases, 'another control file of the same version');

# A table that somebody holds costs no pass and is not waited for.
my $other = DocumentdbUpgrade::Session->new($node);
$other->run('BEGIN; LOCK TABLE documentdb_upgrade.releases IN ROW EXCLUSIVE MODE');
announce($node, '1.0');
wait_for_looks($node, 3);
is(sql($node, q{SELECT count(*) FROM pg_locks WHERE NOT granted}), '0', 'a table that is held is not waited for');
$other->run('COMMIT');
$releases .= "\n4 worker 1.0";
recorded_by_itself($releases, 'and the change is recorded afterwards');
is(count_logged($node, qr/could not record|could not look/), 0, 'without a word');

# Library and control file of a version, as a pod that starts anew has them.
sub rollout
{
	$node->stop;
	put_library($node, $_[0]);
	announce($node, $_[0]);
	$node->start;
	return;
}

# What an operator has announced arrives, and is no other release.
sub record
{
	my ($version, $more) = @_;
	return sql($node, qq{SELECT revision FROM documentdb_upgrade.record_release(jsonb_build_object('operator', '$version', 'gateway', '$version',
		'extension', jsonb_build_object('version', '$version', 'image', 'registry.example/standin:$version'),
		'postgres', (SELECT observed->'postgres'->>'version' FROM documentdb_upgrade.releases ORDER BY revision DESC LIMIT 1)), label => 'release of $version')});
}
is(record('1.0'), 5, 'an operator records what is deployed');
is(record('1.1'), 6, 'and what is coming');
$releases .= "\n5 operator 1.0\n6 operator 1.1";
recorded_by_itself($releases, 'nothing is recorded as long as it is not here');
is(observed('version'), '1.0', 'it is not');
rollout('1.1');
comes_true($node, q{SELECT observed->'extension'->>'version' = '1.1' FROM documentdb_upgrade.releases WHERE revision = 6});
recorded_by_itself($releases, 'when it is here the release is the announced one');
rollout('1.2');
$releases .= "\n7 worker 1.2";
recorded_by_itself($releases, 'a binary that nobody has announced is one of its own');
is(sql($node, q{SELECT string_agg(concat_ws(' ', component, change, to_version), ', ') FROM documentdb_upgrade.compare_releases(6, 7)}),
	sprintf('extension changed 1.2, gateway unchanged 1.1, operator unchanged 1.1, postgres unchanged %s', sql($node, q{SELECT documentdb_upgrade_internal.observed_release()->'postgres'->>'version'})),
	'with the other components as they were described');

# The ways between all pairs of three versions; a chart is tried first.
is(record('1.2'), 8, 'the third version');
my %revision = ('1.0' => 5, '1.1' => 6, '1.2' => 8);
foreach my $from (sort keys %revision)
{
	foreach my $to (sort keys %revision)
	{
		my $plan = sql($node, "SELECT string_agg(component || CASE WHEN restarts_pods THEN '!' ELSE '' END, ' ' ORDER BY step)
			FROM documentdb_upgrade.rollback_plan($revision{$from}, $revision{$to})");
		is($plan, $from eq $to ? '' : 'schema cluster operator operator gateway extension cluster! schema', "from $from to $to");
		like(sql($node, "SELECT action FROM documentdb_upgrade.rollback_plan($revision{$from}, $revision{$to}) WHERE component = 'extension'"),
			qr/registry\.example\/standin:\Q$to\E"/, "with the image of $to") if $from ne $to;
	}
}
is(sql($node, q{SELECT string_agg(component, ' ' ORDER BY step) FROM documentdb_upgrade.rollback_plan(8, 6, force => true)}),
	'schema cluster operator operator gateway extension postgres cluster schema', 'all components when asked for');

# From 1.1 on there is no way back to 1.0.
sql($node, q{SELECT documentdb_upgrade.record_backup('before', now())});
sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1')});
foreach my $from (6, 8)
{
	my $refused = try_sql($node, "SELECT * FROM documentdb_upgrade.rollback_plan($from, 5)");
	is($refused->{sqlstate}, '55000', "from $from to 1.0 is refused");
	like($refused->{hint}, qr/^The only way back is a restore into a new cluster: backup "before" of .*, or a recovery to restore point "before_finalize_1\.0_1\.1" \(LSN /, 'and what is left is said');
}
like(try_sql($node, 'SELECT * FROM documentdb_upgrade.rollback_plan(8, 5, true)')->{message}, qr/binary "1\.0" of release 5 is older than the installed schema "1\.1"/, 'force does not change that');
ok(try_sql($node, 'SELECT * FROM documentdb_upgrade.rollback_plan(8, 6)')->{ok}, 'from 1.2 to 1.1 there is one');

# What is kept.
sql($node, q{SELECT documentdb_upgrade.record_rollback(8, 6, '{operator,gateway,extension}')});
set_and_reload($node, 'documentdb_upgrade.release_retention', 2);
recorded_by_itself("$releases\n8 operator 1.2\n9 rollback 1.1", 'a release that came of a rollback');
rollout('1.1');
comes_true($node, q{SELECT observed->'extension'->>'version' = '1.1' FROM documentdb_upgrade.releases ORDER BY revision DESC LIMIT 1});
announce($node, '1.1', comment => 'other');
comes_true($node, 'SELECT max(revision) = 10 FROM documentdb_upgrade.releases');
wait_for_looks($node, 3);
is(releases(), "6 operator 1.1\n8 operator 1.2\n9 rollback 1.1\n10 worker 1.1", 'the newest are kept, and what a rollback refers to');

# In a database of its own extension anew.
set_and_reload($node, 'documentdb_upgrade.release_retention', 10);
sql($node, 'DROP EXTENSION documentdb_upgrade');
sql($node, 'CREATE EXTENSION documentdb_upgrade');
recorded_by_itself('1 worker 1.1', 'after DROP and CREATE EXTENSION history begins anew');

# Files that are away for a moment are no news, and do not hide what comes with them.
unlink extension_file($node, 'standin.control') or die "could not remove a file: $!\n";
wait_for_looks($node, 3);
announce($node, '1.1', comment => 'exchanged');
recorded_by_itself("1 worker 1.1\n2 worker 1.1", 'another control file after there was none');

done_testing();
