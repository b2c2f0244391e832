# Two servers that are copies of one another, file by file, both speak in one
# name: neither counts, until one is gone.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(status_of wait_for_state);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $p = fleet_primary('p', binary => '1.1');
my $a = add_standby($p, 'a');
wait_for_standbys($p, a => 'ready');
my $identity = sql($p, 'SELECT identity FROM documentdb_upgrade.standbys');

# A restart is no other server, nor is one with another name.
$a->restart;
wait_for_report($p, $a);
is(sql($p, 'SELECT identity FROM documentdb_upgrade.standbys'), $identity, 'a restart keeps the identity');

# A base backup is another one, and so is a copy of all files; what it is
# recognised by stays the same on a copy of the whole volume, which a link
# stands for here.
my $b = add_standby($p, 'b', start => 0);
$a->stop;
my ($original, $copy) = map { $_->data_dir . '/pg_stat_tmp/documentdb_upgrade.instance' } $a, $b;
system_or_bail('cp', '-a', $original, $copy);
$_->start foreach $a, $b;
wait_for_standbys($p, a => 'ready', b => 'ready');
is(sql($p, 'SELECT count(DISTINCT identity) FROM documentdb_upgrade.standbys'), '2', 'a copied file makes no second server of that name');
$b->stop;
unlink $copy;
link $original, $copy or die "could not link: $!";
$b->start;
ok(poll_until(sub { my %s = standby_status($p); ($s{a} // '') eq 'contested' || ($s{b} // '') eq 'contested' }, 'it is found'), 'that two have one identity is found');
like(blocker($p), qr/^fail/, 'no finalize relies on them');
is(try_sql($p, q{SELECT documentdb_upgrade.finalize_to('1.1')})->{sqlstate}, '55000', 'and is refused');
$b->stop;
unlink $copy;
wait_for_standbys($p, a => 'ready');
$b->start;
wait_for_standbys($p, a => 'ready', b => 'ready');
is(sql($p, 'SELECT count(DISTINCT identity) FROM documentdb_upgrade.standbys'), '2', 'without the copied file it is a server of its own');
is(sql($p, q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.1')}), 'succeeded', 'and all is well');
wait_for_state($p, 'up_to_date');

done_testing();
