# A library that was replaced under a server which has preloaded it: however
# that was done, nothing is finalized until the server is restarted; what only
# looks different hinders nobody.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Library;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# Ours comes first, so the other is loaded later and recorded all the same.
my $node = library_node('main', preload => 'documentdb_upgrade, standin', conf => "restart_after_crash = on\n");
my $file = library_file($node);
my $versions = q{SELECT installed_version, binary_version, loaded_version FROM documentdb_upgrade.versions};
my $stale = qr/^fail\|The file of library "\Q$file\E" of extension "standin" has been replaced, .*\|Restart PostgreSQL to load the new library\.$/;
my $current = qr/^pass\|Each library of the managed set that is in memory is the file on disk\.\|$/;

is(sql($node, $versions), '1.0|1.0|1.0', 'at first all is 1.0');
like(guard($node), $current, 'and the library is the one on disk');

# The same bytes.
my $original = slurp_file($file);
utime 1, 1, $file or die "could not set times: $!";
like(guard($node), $current, 'another time stamp is no other library');
system_or_bail('cp', $file, "$file.new");
rename "$file.new", $file or die "could not rename: $!";
like(guard($node), $current, 'nor is another file with the same content');

# Overwritten in place, in parts that nobody executes.
append_to_file($file, 'more');
like(guard($node), $stale, 'bytes appended in place are seen');

# After a crash the postmaster still has the library that it had.
my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;
kill 'KILL', sql($node, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
ok(poll_until(sub { (eval { try_sql($node, 'SELECT 1') } // { stdout => '' })->{stdout} eq '1' && slurp_file($node->logfile) =~ /reinitializing/ }, 'it recovers'),
	'a server that has crashed');
is(slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr, $postmaster, 'and whose postmaster has not');
like(guard($node), $stale, 'still knows what is in memory');

truncate $file, length $original or die "could not truncate: $!";
like(guard($node), $current, 'and that they have gone again');

my $at = index $original, 'GCC: (';
SKIP:
{
	skip 'the compiler left no comment to change', 1 if $at < 0;
	my @times = (stat $file)[ 8, 9 ];
	my $change = sub {
		open my $handle, '+<:raw', $file or die "could not open: $!";
		seek $handle, $at, 0 or die "could not seek: $!";
		print $handle $_[0];
		close $handle or die "could not write: $!";
		utime @times, $file or die "could not set times: $!";
	};
	$change->('gcc');
	like(guard($node), $stale, 'so is a change in place that keeps size and time');
	$change->('GCC');
}

# As a package brings a new release.
put_library($node, '1.1');
announce($node, '1.1');
like(guard($node), $stale, 'a new file in the place of the old is seen');
is(sql($node, $versions), '1.0|1.1|1.0', 'the loaded version is still the old one');
is(sql($node, 'SELECT documentdb_upgrade.loaded_version()'), '1.0', 'by itself too');
is(sql($node, q{SELECT state, blocked_by, next_step ~ 'Restart PostgreSQL to load the new library' FROM documentdb_upgrade.status}),
	'update_available|{library_loaded}|t', 'status says what to do before an update');

my $result = try_sql($node, 'SELECT documentdb_upgrade.finalize()');
is($result->{sqlstate}, '55000', 'finalize is refused');
like("$result->{message} $result->{detail}", qr/library_loaded.*has been replaced/, 'by the guard');
is($result->{hint}, 'Restart PostgreSQL to load the new library.', 'with what to do');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.1', skip_guards => '{library_loaded}')})->{sqlstate},
	'22023', 'it cannot be overridden');

# The worker does not try either.
sql($node, q{ALTER SYSTEM SET documentdb_upgrade.desired_schema_version = '1.1'});
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT desired = '1.1' AND state = 'blocked' AND next_step ~ 'Restart PostgreSQL'
	FROM documentdb_upgrade.status}), 'a desired version is blocked');
sql($node, q{ALTER SYSTEM RESET documentdb_upgrade.desired_schema_version});
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT state = 'update_available' FROM documentdb_upgrade.status}), 'until it is withdrawn');

$node->restart;
like(guard($node), $current, 'a restart clears it');
is(sql($node, $versions), '1.0|1.1|1.1', 'with the new library in memory');
is(sql($node, q{SELECT state, blocked_by, next_step ~ 'finalize_to' FROM documentdb_upgrade.status}),
	'update_available|{}|t', 'and now the hint is to finalize');
is(sql($node, 'SELECT outcome FROM documentdb_upgrade.finalize()'), 'succeeded', 'which works');

# Gone is not the one in memory either.
unlink $file or die "could not remove: $!";
like(guard($node), qr/^fail\|Library "\Q$file\E" of extension "standin" is in memory and its file has gone\.\|Put the extension's files in place, then restart/,
	'a file that has gone is told apart');
is(sql($node, q{SELECT state, blocked_by FROM documentdb_upgrade.status}), 'verifying|{library_loaded}',
	'what is up to date on disk alone is not in force');

done_testing();
