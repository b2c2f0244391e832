# Standbys report every main extension of the main database, and each is judged by
# itself: an old binary of one stops the upgrade of no other, and each upgrade is
# done when the standbys see it.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my @other = ('1.0' => 'CREATE TABLE other (id int);', '1.0--1.1' => 'ALTER TABLE other ADD one int;', '1.1--1.2' => 'ALTER TABLE other ADD two int;');
my $primary = fleet_primary('main', binary => '1.1', gate => 1, conf => "documentdb_upgrade.extension = 'thing, other'\n");
write_extension($primary, 'other', '1.1', @other);
sql($primary, q{CREATE EXTENSION other VERSION '1.0'});
my $standby = add_standby($primary, 'standby');

sub guard_becomes
{
	my ($extension, $status, $detail, $name) = @_;
	my $guard = qq{SELECT status, detail FROM documentdb_upgrade.preflight(extension => '$extension') WHERE guard = 'standbys_ready'};
	return ok(comes_true($primary, "SELECT status = '$status' AND detail ~ '$detail' FROM ($guard) g"), $name) || diag(sql($primary, $guard));
}

guard_becomes('thing', 'pass', '', 'the standby is ready for the first');
guard_becomes('other', 'pass', '', 'and for the other');
sql($primary, q{SELECT set_gate(1, 0, 0)});
write_extension($primary, 'other', '1.2');
guard_becomes('other', 'fail', 'has binary "1\.1" of extension "other", older than "1\.2"', 'not for a newer one');
guard_becomes('thing', 'pass', '', 'which is nothing to the first');
is(try_sql($primary, q{SELECT documentdb_upgrade.finalize_to('1.2', extension => 'other')})->{sqlstate}, '55000', 'it is not finalized');
write_extension($standby, 'other', '1.2', @other);
guard_becomes('other', 'pass', '', 'with its binary the standby is ready');
put_setting($primary, 'documentdb_upgrade.desired_schema_version', 'auto');
ok(comes_true($primary, q{SELECT installed_version = '1.2' AND state = 'up_to_date' FROM documentdb_upgrade.status WHERE extension = 'other'}), 'the worker finalizes it, and the standby sees it')
  or diag(sql($primary, 'SELECT * FROM documentdb_upgrade.status'));
is(sql($primary, q{SELECT documentdb_upgrade.wait_for('1.2', '1 h', 'other')}), 't', 'as who waits is told');
is(sql($standby, q{SELECT extension, role, state, installed_version FROM documentdb_upgrade.status WHERE extension = 'other'}), 'other|standby|standby|1.2', 'a row there too');
ok(comes_true($standby, q{SELECT count(*) = 2 FROM documentdb_upgrade.databases WHERE database = 'postgres' AND served}), 'and workers');
done_testing();
