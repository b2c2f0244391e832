# Reports are taken from standbys alone.  Others are refused, and who may speak
# and lies harms nobody but itself.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(has_not_grown memory_of status_of);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;

my $p = fleet_primary('p', binary => '1.2');
my $a = add_standby($p, 'a', binary => '1.0');
sql($p, q{CREATE ROLE plain LOGIN; CREATE ROLE hostile LOGIN REPLICATION; CREATE ROLE monitor LOGIN IN ROLE pg_monitor});
wait_for_standbys($p, a => 'old_binary');
my $true = sql($p, q{SELECT identity FROM documentdb_upgrade.standbys});
my $worker = process_of($p, 'worker');
my $memory = memory_of($worker);
my $shared = q{SELECT sum(allocated_size) FROM pg_shmem_allocations WHERE name ~ 'documentdb_upgrade'};
my $shared_before = sql($p, $shared);
my $json = JSON::PP->new->canonical->allow_nonref;

# A member that is in order, but for what is given.
sub member
{
	my (%changes) = @_;
	my %member = (
		identity => 'f' x 32, incarnation => '0' x 16, upstream => '', name => 'forged', host => 'h', slot => '', status => 'ok',
		recovery => JSON::PP::true, designated => JSON::PP::false, expected => -1, timeline => 1, received => '0/1', replayed => '0/1',
		paused => JSON::PP::false, lag_ms => 0, library => 'none', fingerprint => '0' x 64, program => '0.6.0', server => 150000,
		extensions => [ { name => 'thing', installed => '1.0', binary => '9.9' } ],
		%changes);
	delete $member{$_} foreach grep { !defined $member{$_} } keys %member;
	return \%member;
}

sub report { return { protocol => 1, members => [@_] }; }

sub send_report
{
	my ($user, $report) = @_;
	my $text = ref $report ? $json->encode($report) : $report;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/report';

	unlink $file;
	append_to_file($file, $text);
	return try_sql($p, "\\set report `cat $file`\nCALL documentdb_upgrade.run_report_standby(:'report'::jsonb)", user => $user);
}

# Who may not.
foreach my $user (qw(plain monitor hostile))
{
	my $result = send_report($user, report(member()));
	is($result->{sqlstate}, '42501', "$user may not report") or diag($result->{stderr});
	like($result->{message}, qr/^[a-z].*[^.]$/, "$user is told in our style");
	is(try_sql($p, "SELECT documentdb_upgrade.report_standby('" . $json->encode(report(member())) . "')", user => $user)->{sqlstate}, '42501', 'nor by the function');
	is(send_report($user, '{}')->{sqlstate}, '42501', 'which is said before anything is read') if $user ne 'hostile';
}
is(join(' ', standby_status($p)), 'a old_binary', 'nothing of that is shown');

# One that may: it has a WAL sender, that of pg_receivewal, and is called like
# a standby.
my $dir = PostgreSQL::Test::Utils::tempdir() . '/received';
mkdir $dir or die "could not make a directory: $!";
my $receiver = IPC::Run::start([ $p->installed_command('pg_receivewal'), '--no-loop', '-D', $dir, '-d', $p->connstr . ' user=hostile application_name=h' ],
	'>&', "$dir.log");
ok(comes_true($p, q{SELECT count(*) = 1 FROM pg_stat_replication WHERE usename = 'hostile' AND state = 'streaming'}), 'a hostile role streams');

# Its session may serve somebody else by SET ROLE.
sql($p, 'GRANT plain TO hostile');
is(try_sql($p, "SET ROLE plain; SELECT documentdb_upgrade.report_standby('" . $json->encode(report(member())) . "')", user => 'hostile')->{sqlstate},
	'42501', 'who calls in the session of another role may not');
my $result = send_report('hostile', report(member()));
ok($result->{ok}, 'now it may report') or diag($result->{stderr});
ok($json->decode($result->{stdout})->{root}, 'and is answered');

# Malformed ones.
my $long = 'x' x 1_000_000;
my $deep = ('[' x 5000) . (']' x 5000);
my %malformed = (
	'no object' => '[]', 'a number' => '7', 'null' => 'null', 'empty' => '{}',
	'no members' => '{"protocol": 1}', 'no protocol' => '{"members": []}', 'another protocol' => '{"protocol": "one", "members": []}',
	'members are no array' => '{"protocol": 1, "members": {}}', 'nobody' => '{"protocol": 1, "members": []}',
	'a member is no object' => '{"protocol": 1, "members": [1]}', 'a member is null' => '{"protocol": 1, "members": [null]}',
	'an empty member' => '{"protocol": 1, "members": [{}]}',
	(map { my ($what, %change) = @$_; $what => report(member(%change)) }
		[ 'a short identity', identity => 'ff' ], [ 'an identity that is none', identity => 'g' x 32 ], [ 'an identity in capitals', identity => 'F' x 32 ],
		[ 'an identity that is a number', identity => 7 ], [ 'a long identity', identity => 'f' x 33 ], [ 'no identity', identity => undef ],
		[ 'an LSN that is none', replayed => 'here' ], [ 'an LSN that is a number', replayed => 5 ], [ 'an LSN beyond all', received => '123456789/0' ],
		[ 'a timeline that is none', timeline => 'one' ], [ 'a timeline below zero', timeline => -2 ], [ 'a timeline beyond all', timeline => 1e30 ],
		[ 'a flag that is none', paused => 'perhaps' ],
		[ 'a status that is none', status => 'fine' ], [ 'a library that is none', library => 'new' ],
		[ 'extensions that are no array', extensions => 'thing' ], [ 'an extension that is no object', extensions => [7] ],
		[ 'an extension without a name', extensions => [ {} ] ], [ 'a version that is a number', extensions => [ { name => 'thing', binary => 7 } ] ],
		[ 'a fingerprint that is none', fingerprint => 'z' x 64 ], [ 'an object for a name', name => {} ], [ 'an array for a host', host => [] ]));

foreach my $what (sort keys %malformed)
{
	my $result = send_report('hostile', $malformed{$what});
	is($result->{sqlstate}, '22023', "malformed: $what") or diag($result->{stderr} . $result->{stdout});
	like($result->{message}, qr/^[a-z].{1,300}[^.]$/, 'said in a line') if $result->{message};
}

# Large ones are refused, or cut.
my @too_much = (
	[ '10,000 identities', report(map { member(identity => sprintf '%032x', $_) } 1 .. 10_000) ],
	[ '10,000 without identity', report(member(), map { member(identity => '', name => "n$_") } 1 .. 10_000) ],
	[ '10,000 extensions', report(member(extensions => [ map { { name => "e$_" } } 1 .. 10_000 ])) ],
	(map { [ "a huge $_", report(member($_ => $long)) ] } qw(name host slot problem program gate)),
	[ 'a huge version', report(member(extensions => [ { name => 'thing', binary => $long } ])) ],
	[ 'a huge extension', report(member(extensions => [ { name => $long } ])) ],
	[ 'a huge key', report(member($long => 1)) ],
	[ 'a deep one', "{\"protocol\": 1, \"members\": $deep}" ]);
foreach my $case (@too_much)
{
	my ($what, $report) = @$case;
	my $result = send_report('hostile', $report);
	like($result->{sqlstate} // 'taken', qr/^(?:54000|54001|22023|taken)$/, "bounded: $what") or diag(substr $result->{stderr}, 0, 500);
	is($result->{sqlstate}, '54000', "refused: $what") if $what =~ /identities|without/;
	cmp_ok(length($result->{stderr}), '<', 2000, 'with a short answer');
	cmp_ok(sql($p, q{SELECT max(length(to_jsonb(s)::text)) FROM documentdb_upgrade.standbys s}), '<', 20_000, 'and a short row');
}
cmp_ok(sql($p, q{SELECT count(*) FROM documentdb_upgrade.standbys}), '<', 10, 'the view has not grown');

# Text that has to be quoted somewhere.
$result = send_report('hostile', report(member(name => q{"'; DROP TABLE x; --}, host => "a\nb", problem => "\x{1b}[31m", slot => '%n%s')));
ok(!defined $result->{sqlstate} || $result->{sqlstate} eq '22023', 'odd characters are taken as text, or refused');
ok(defined sql($p, q{SELECT to_jsonb(s) FROM documentdb_upgrade.status s}), 'status can be read');
ok(try_sql($p, q{SELECT documentdb_upgrade.preflight()})->{ok}, 'preflight too');

# Lies: it is that standby, it has that standby below it, the primary is below
# it.  Nothing of that makes an old binary a new one.
my $mine = member();
my $of_primary = $json->decode(send_report('hostile', report($mine))->{stdout})->{identity};
my %lies = (
	'it is the standby' => report(member(identity => $true, name => 'a')),
	'the standby is below it' => report($mine, member(identity => $true, name => 'a', upstream => 'f' x 32)),
	'the standby has gone elsewhere' => report($mine, member(identity => $true, incarnation => 'f' x 16, upstream => 'f' x 32, name => 'a')),
	'it is the primary' => report(member(identity => $of_primary)),
	'the primary is below it' => report($mine, member(identity => $of_primary, upstream => 'f' x 32)),
	'a loop' => report($mine, member(identity => '1' x 32, upstream => '2' x 32), member(identity => '2' x 32, upstream => '1' x 32)),
	'twice the same' => report($mine, $mine, $mine),
	'it is its own child' => report(member(upstream => 'f' x 32), member(upstream => 'f' x 32)));

foreach my $lie (sort keys %lies)
{
	my $result = send_report('hostile', $lies{$lie});
	ok(!defined $result->{sqlstate} || $result->{sqlstate} =~ /^(?:22023|42501)$/, "a lie: $lie") or diag($result->{stderr});
	is(sql($p, q{SELECT documentdb_upgrade.can_finalize()}), 'f', 'makes nothing ready');
	wait_for_report($p, $a);
	is(sql($p, q{SELECT documentdb_upgrade.can_finalize()}), 'f', 'nor later');
}

# It takes all the room there is, so that nobody else may speak: what is not
# known counts against a finalize, and memory is what it was.
my @crowd = map { member(identity => sprintf('%032x', $_), upstream => 'f' x 32, name => "n$_") } 1 .. 510;
ok(send_report('hostile', report($mine, @crowd))->{ok}, 'as many as there is room for beside the standby');
ok(send_report('hostile', report($mine, @crowd, member(identity => sprintf('%032x', 511), upstream => 'f' x 32)))->{sqlstate} eq '54000',
	'and not one more');
is(sql($p, q{SELECT documentdb_upgrade.can_finalize()}), 'f', 'no finalize for that either');

# It ends, and the truth comes back.
$receiver->signal('TERM');
$receiver->finish;
ok(comes_true($p, q{SELECT count(*) = 0 FROM pg_stat_replication WHERE usename = 'hostile'}), 'the hostile one goes');
is(send_report('hostile', report(member()))->{sqlstate}, '42501', 'and may not report any more');
wait_for_standbys($p, a => 'old_binary');
is(sql($p, q{SELECT identity, binary_version, documentdb_upgrade.can_finalize() FROM documentdb_upgrade.standbys}), "$true|1.0|f", 'what was true is shown');
raise_binary($a, '1.2');
wait_for_standbys($p, a => 'ready');
is(sql($p, 'SELECT documentdb_upgrade.can_finalize()'), 't', 'true reports work');
is(process_of($p, 'worker'), $worker, 'the worker is the one of before');
has_not_grown($worker, $memory, 3072, 'and has not grown');
is(sql($p, $shared), $shared_before, 'nor has shared memory');
is(count_logged($p, qr/PANIC|terminated by signal/), 0, 'nothing broke');

done_testing();
