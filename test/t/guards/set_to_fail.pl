# A guard that was set to fail does not let pass what it knows nothing about.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, preload => 1, streaming => 1, conf => "documentdb_upgrade.extension = 'thing'\n");
write_extension($node, 'thing', '1.3', '1.0' => '', '1.0--1.1' => '', '1.1--1.2' => '', '1.2--1.3' => '');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION thing VERSION '1.0'});

sub set { return "SET documentdb_upgrade.guard_severity = '$_[0]';" }
sub status_of
{
	my ($guard, $severity) = @_;
	return sql($node, set($severity) . "SELECT status || coalesce(' ' || hint, '') FROM documentdb_upgrade.preflight() WHERE guard = '$guard'");
}
sub refused
{
	my ($guard, $severity) = @_;
	my $result = try_sql($node, set($severity) . q{SELECT documentdb_upgrade.finalize_to('1.1')});
	is($result->{sqlstate}, '55000', "$guard refuses");
	like($result->{message}, qr/refused by guard "$guard"$/, 'by its name');
	return is(sql($node, set($severity) . 'SELECT documentdb_upgrade.can_finalize()'), 'f', 'can_finalize() says so');
}

# Never is not enough for who asks for it.
is(status_of('backup_recent', ''), 'skip', 'no backup was recorded');
is(status_of('backup_recent', "backup_recent=$_"), 'skip', "with severity $_ that changes nothing") foreach qw(warn skip);
like(status_of('backup_recent', 'backup_recent=fail'), qr/^fail Take a backup and record it/, 'with fail it fails');
refused('backup_recent', 'backup_recent=fail');
sql($node, q{SELECT documentdb_upgrade.record_backup('b', now())});
like(status_of('backup_recent', 'backup_recent=fail'), qr/^pass/, 'until there is one');

like(status_of('members_intact', ''), qr/^skip/, 'the members were never recorded');
like(status_of('members_intact', 'members_intact=fail'), qr/^fail .*once, as each finalize records them, override this guard: SELECT/, 'which fails too');
refused('members_intact', 'members_intact=fail');
is(sql($node, set('members_intact=fail') . q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.1', skip_guards => '{members_intact}')}), 'succeeded', 'overridden once');
is(status_of('members_intact', 'members_intact=fail'), 'pass', 'they are');

# A slot whose standby does not stream.
like(status_of('replication_lag', 'replication_lag=fail'), qr/^pass/, 'without standbys there is nothing to know');
sql($node, q{SELECT pg_create_physical_replication_slot('away', true)});
is(status_of('replication_lag', ''), 'pass', 'nobody is known to be behind');
like(status_of('replication_lag', 'replication_lag=fail'), qr/^fail Start replication on them/, 'which is not enough');
sql($node, q{SELECT pg_drop_replication_slot('away')});

# What nobody has asked for is no lack of knowledge.
is(status_of($_, "$_=fail"), 'skip', "$_ without its setting") foreach qw(soak_time window);
like(sql($node, set('soak_time=fail') . q{SET documentdb_upgrade.soak_time = '1h'; SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'soak_time'}), qr/^fail/, 'with it a new binary fails');
like(status_of('rehearsed', 'rehearsed=fail'), qr/^fail/, 'no rehearsal is none');
is(sql($node, set('rehearsed=fail, members_intact=fail') . q{SELECT string_agg(status, ' ') FROM documentdb_upgrade.preflight('1.1') WHERE guard IN ('rehearsed', 'members_intact')}),
	'skip skip', 'where nothing is to be upgraded nothing is missing');
done_testing();
