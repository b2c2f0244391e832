# Two regions of CloudNativePG: with certificates between them everything works
# as it is; with disableTLS the head of the other region streams and is let into no
# database, until it reports as a role of its own.  Each wrong set-up says which
# field helps.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::CnpgFleet;
use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(wait_for_state wait_for_status);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $east = cnpg_primary('east', binary => '1.1');
my ($east2, $east3) = map { cnpg_pod($east, $_, cluster => 'east') } qw(east-2 east-3);
my ($west, $west2) = map { cnpg_pod($east, $_, cluster => 'west') } qw(west west-2);
my @all = ($east, $east2, $east3, $west, $west2);
my $dir = certificate_dir();

# Certificates between the regions.
admit($_, @DocumentdbUpgrade::CnpgFleet::hba_tls) foreach @all;
follow_own($_, $east) foreach $east2, $east3;
follow_region($west, $east, tls => 1);
start_pod($_) foreach $east2, $east3, $west;
follow_own($west2, $west);
start_pod($west2);
wait_for_standbys($east, map { $_ => 'ready' } qw(east-2 east-3 west west-2));
is(sql($east, q{SELECT string_agg(name || ' ' || depth || ' ' || role, ', ' ORDER BY name) FROM documentdb_upgrade.standbys}),
	'east-2 1 standby, east-3 1 standby, west 1 designated_primary, west-2 2 standby', 'who they are is known');
is(sql($east, 'SELECT documentdb_upgrade.can_finalize()'), 't', 'with certificates: it can be finalized');
sql($east, 'SELECT documentdb_upgrade.finalize()');
wait_for_state($east, 'up_to_date');
has_schema($west2, '1.1');

# Without: it streams, and the primary cannot know why it says nothing.
$west->stop;
admit($_, @DocumentdbUpgrade::CnpgFleet::hba_without_tls) foreach @all;
follow_region($west, $east);
start_pod($west);
wait_for_standbys($east, 'east-2' => 'ready', 'east-3' => 'ready', west => 'silent');
raise_binary($_, '1.2') foreach @all;
is(sql($east, 'SELECT documentdb_upgrade.can_finalize()'), 'f', 'with disableTLS: it cannot be finalized');
my $guard = sql($east, q{SELECT detail, hint FROM documentdb_upgrade.preflight() WHERE guard = 'standbys_ready'});
like($guard, qr/Standby "west" streams and has sent no report\./, 'the guard names the head of the region');
unlike($guard, qr/\bPreload documentdb_upgrade there/, 'and does not pretend to know what is missing there');
like($guard, qr/next_step of view status there/, 'but says where to look');

# What the head says, in its status.
sub says
{
	my ($name, $problem, $hint) = @_;
	my $status = wait_for_status($west, sub { $_[0]->{next_step} =~ $problem && $_[0]->{next_step} =~ $hint }, $name);

	like($status->{next_step}, $problem, "$name: it is said");
	like($status->{next_step}, $hint, "$name: with what helps");
	return $status->{next_step};
}

my $step = says('no certificate', qr/asks for a password/, qr/report_conninfo.*report_password_file.*spec\.tls\.postgres/);
unlike($step, qr/password into primary_conninfo/, 'nobody can write into primary_conninfo there');

# A role of its own.
sql($east, q{CREATE ROLE reporter LOGIN PASSWORD 'right'});
put_setting($west, 'documentdb_upgrade.report_conninfo', 'user=reporter');
says('no password', qr/asks for a password/, qr/Put the password of role reporter, and nothing else, into the Secret/);
put_setting($west, 'documentdb_upgrade.report_password_file', "$dir/nothing");
says('no file', qr/The password file ".*nothing" cannot be read: No such file/, qr/Mount a file/);
put_setting($west, 'documentdb_upgrade.report_password_file', secret_file(''));
says('an empty file', qr/The password file ".*" is empty/, qr/Mount a file/);
secret_file("one\ntwo\n");
says('a file of several lines', qr/holds more than a password/, qr/Mount a file/);
secret_file('wrong');
says('a wrong password', qr/password authentication failed.*28P01/, qr/Put the password of role reporter, and nothing else, into the Secret/);
secret_file('right');
says('no grant', qr/does not have the REPLICATION attribute/, qr/granted EXECUTE on procedure documentdb_upgrade\.run_report_standby by name/);

# Membership is enough.
sql($east, 'CREATE ROLE vouchers; GRANT vouchers TO reporter; GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_report_standby TO vouchers');
wait_for_standbys($east, map { $_ => 'ready' } qw(east-2 east-3 west west-2));
is(sql($east, q{SELECT DISTINCT vouched_by IS NULL FROM documentdb_upgrade.standbys}), 't', 'it is matched to its WAL sender by name');
secret_file("right\r\n");
wait_for_report($east, 'west');
pass('an end of line in the file is not part of the password');
unlike(sql($west, q{SELECT documentdb_upgrade.support_bundle()}), qr/user=reporter/, 'a support bundle does not show the setting');
put_setting($west, 'documentdb_upgrade.report_password_file', '');
put_setting($west, 'documentdb_upgrade.report_conninfo', 'postgresql://reporter:right@');
wait_for_report($east, 'west');
pass('a URI does as well');

# Rules in the way, and a connection string that is none.
admit($east, 'host postgres reporter all reject', @DocumentdbUpgrade::CnpgFleet::hba_without_tls);
says('not admitted', qr/pg_hba\.conf rejects connection.*28000/, qr/Add "host postgres reporter all scram-sha-256" to spec\.postgresql\.pg_hba/);
admit($east, @DocumentdbUpgrade::CnpgFleet::hba_without_tls);
put_setting($west, 'documentdb_upgrade.report_conninfo', 'nonsense');
says('no connection string', qr/documentdb_upgrade\.report_conninfo is not valid/, qr/user=reporter/);

# Where no WAL sender has its name or address, its word is kept as what it is.
put_setting($west, 'documentdb_upgrade.report_conninfo', 'user=reporter password=right application_name=elsewhere');
ok(comes_true($east, q{SELECT vouched_by = 'reporter' AND status = 'ready' FROM documentdb_upgrade.standbys WHERE name = 'elsewhere'}), 'a report without a WAL sender is shown as vouched for');
is(sql($east, q{SELECT status FROM documentdb_upgrade.standbys WHERE name = 'west'}), 'silent', 'and covers no other WAL sender');
is(sql($east, 'SELECT documentdb_upgrade.can_finalize()'), 'f', 'which is waited for');
put_setting($west, 'documentdb_upgrade.report_conninfo', 'user=reporter password=right');
wait_for_standbys($east, map { $_ => 'ready' } qw(east-2 east-3 west west-2));

# It is what everybody else is then.
is(sql($east, 'SELECT documentdb_upgrade.can_finalize()'), 't', 'it can be finalized');
sql($east, 'SELECT documentdb_upgrade.finalize()');
wait_for_state($east, 'up_to_date');
has_schema($west2, '1.2');

# A grant that is taken back.
sql($east, 'REVOKE EXECUTE ON PROCEDURE documentdb_upgrade.run_report_standby FROM vouchers');
says('the grant is gone', qr/permission denied to report a standby/, qr/by name/);
sql($east, 'GRANT EXECUTE ON FUNCTION documentdb_upgrade.report_standby TO reporter');
wait_for_standbys($east, map { $_ => 'ready' } qw(east-2 east-3 west west-2));
pass('that of the function is as good');

# Certificates that are not right, each with its field.
put_setting($west, 'documentdb_upgrade.report_conninfo', '');
admit($_, @DocumentdbUpgrade::CnpgFleet::hba_tls) foreach @all;
follow_region($west, $east, tls => 1, sslcert => "$dir/stranger.crt", sslkey => "$dir/stranger.key");
says('the name of somebody else', qr/certificate authentication failed.*28000/, qr/cnpg_streaming_replica admits .* streaming_replica alone.*replicationTLSSecret/);
follow_region($west, $east, tls => 1, sslcert => "$dir/foreign.crt", sslkey => "$dir/foreign.key");
says('another authority', qr/unknown ca/, qr/clientCASecret/);
follow_region($west, $east, tls => 1, sslcert => "$dir/nothing.crt");
says('a certificate that is not there', qr/valid client certificate/, qr/replicationTLSSecret/);
follow_region($west, $east, tls => 1);
wait_for_standbys($east, map { $_ => 'ready' } qw(east-2 east-3 west west-2));

# A switchover in the primary region, without TLS between the regions: the new
# primary hears of all.
$west->stop;
admit($_, @DocumentdbUpgrade::CnpgFleet::hba_without_tls) foreach @all;
follow_region($west, $east);
$west->append_conf('postgresql.conf', "documentdb_upgrade.report_conninfo = 'user=reporter password=right'");
start_pod($west);
raise_binary($_, '1.3') foreach @all;
wait_for_standbys($east, map { $_ => 'ready' } qw(east-2 east-3 west west-2));
$east->stop;
$east2->promote;
follow_own($_, $east2) foreach $east3, $east;
$east->set_standby_mode;
start_pod($east);
follow_region($west, $east2);

# CloudNativePG removes the slots that the new primary does not have.
sql($east, q{SELECT pg_drop_replication_slot('_cnpg_east_2')});
wait_for_standbys($east2, map { $_ => 'ready' } qw(east east-3 west west-2));
sql($east2, 'SELECT documentdb_upgrade.finalize()');
wait_for_state($east2, 'up_to_date');
has_schema($_, '1.3') foreach $east, $west2;

# The other region takes over.  What was granted is there too.
$_->stop foreach $east3, $east, $east2;
$west->promote;
follow_region($east2, $west);
$east2->append_conf('postgresql.conf', "documentdb_upgrade.report_conninfo = 'user=reporter password=right'");
$east2->set_standby_mode;
start_pod($_) foreach $east2, $east, $east3;
wait_for_standbys($west, map { $_ => 'ready' } qw(east east-2 east-3 west-2));
is(sql($west, q{SELECT string_agg(name, ' ' ORDER BY name) FROM documentdb_upgrade.standbys WHERE role = 'designated_primary'}), 'east-2', 'the regions have changed places');
raise_binary($_, '1.4') foreach @all;
comes_true($west, 'SELECT documentdb_upgrade.can_finalize()');

# While one cannot follow, that is said.
sql($east3, 'SELECT pg_wal_replay_pause()');
sql($west, 'SELECT documentdb_upgrade.finalize()');
wait_for_state($west, 'verifying', qr/Standby "east-3" sees extension "thing" at "1\.3" and not yet at "1\.4"/);
sql($east3, 'SELECT pg_wal_replay_resume()');
wait_for_state($west, 'up_to_date');
has_schema($_, '1.4') foreach $east, $west2;

done_testing();
