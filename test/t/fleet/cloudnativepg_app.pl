# The extensions in CloudNativePG's default database "app", into which its
# pg_hba.conf lets no standby: reports go through the database that
# primary_conninfo names, where this extension need only be created, or a line
# admits them to the other.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::CnpgFleet;
use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my $p = cnpg_primary('east', binary => '1.1', database => 'app');
my $s = cnpg_pod($p, 'east-2', cluster => 'east');
admit($_) foreach $p, $s;
follow_own($s, $p);
start_pod($s);

# What view status of the standby says, in the database that is served.
sub says
{
	my ($name, @expected) = @_;
	my $step = poll_until(sub {
		my $text = sql($s, 'SELECT next_step FROM documentdb_upgrade.status', 'app');
		return (grep { $text !~ $_ } @expected) ? '' : $text;
	}, $name);

	ok($step, $name) or diag(sql($s, 'SELECT next_step FROM documentdb_upgrade.status', 'app'));
	return;
}

sub is_ready
{
	my ($name) = @_;
	return ok(poll_until(sub { sql($p, 'SELECT status FROM documentdb_upgrade.standbys', 'app') eq 'ready' }, $name), $name);
}

says('neither database takes it: both ways out are named', qr/schema "documentdb_upgrade" does not exist \(SQLSTATE 3F000\)/,
	qr/CREATE EXTENSION documentdb_upgrade in database "postgres" of the primary/,
	qr/add "hostssl app streaming_replica all cert map=cnpg_streaming_replica" to spec\.postgresql\.pg_hba/);
is(sql($p, q{SELECT documentdb_upgrade.can_finalize()}, 'app'), 'f', 'the primary waits for it');

# The extension in the database that primary_conninfo names.
sql($p, 'CREATE EXTENSION documentdb_upgrade');
is_ready('with the extension in "postgres" it reports');
like(sql($s, 'SELECT next_step FROM documentdb_upgrade.status', 'app'), qr/It reports to east-rw:\d+\./, 'and says so');
sql($p, 'DROP EXTENSION documentdb_upgrade');
says('without it there is nothing to say it to', qr/3F000/, qr/hostssl app streaming_replica/);

# The line of pg_hba.conf.
admit($p, 'hostssl app streaming_replica all cert map=cnpg_streaming_replica');
is_ready('with the line in pg_hba.conf it reports to "app"');
sub reports { return sql($s, 'SELECT reports_delivered_total FROM documentdb_upgrade.metrics', 'app'); }

# The one that was under way may have begun with the other database.
my $reports = reports();
poll_until(sub { reports() > $reports }, 'another report');
my $offset = -s $p->logfile;
ok(poll_until(sub { reports() >= $reports + 5 }, 'more reports'), 'again and again');
is(count_logged($p, qr/ERROR:  schema "documentdb_upgrade" does not exist/, $offset), 0, 'without asking the other one each time');

# A database that is named for reports is the only one that is asked.
put_setting($s, 'documentdb_upgrade.report_conninfo', 'dbname=postgres');
says('only the database that is named', qr/3F000/, qr/In database "postgres" of the primary, run CREATE EXTENSION documentdb_upgrade;$/);
put_setting($s, 'documentdb_upgrade.report_conninfo', 'dbname=app');
is_ready('the other one');

is(sql($p, q{SELECT documentdb_upgrade.can_finalize()}, 'app'), 't', 'it can be finalized');
sql($p, q{SELECT documentdb_upgrade.finalize()}, 'app');
ok(poll_until(sub { sql($p, 'SELECT state FROM documentdb_upgrade.status', 'app') eq 'up_to_date' }, 'up_to_date'), 'and is up to date on both');
is(sql($s, q{SELECT extversion FROM pg_extension WHERE extname = 'thing'}, 'app'), '1.1', 'which is so');

done_testing();
