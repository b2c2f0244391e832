# A rollback that was executed is checked off: by what this server and its
# standbys run, and by what has gone wrong since.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = worker_node('primary', streaming => 1);
$primary->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $primary->install_path);
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
comes_true($primary, q{SELECT status = 'ready' FROM documentdb_upgrade.standbys});

# Status and detail of one check, or of all that do not pass.
sub check { return sql($primary, qq{SELECT status, detail FROM documentdb_upgrade.verify_rollback(1) WHERE "check" = '$_[0]'}); }
sub failing { return sql($primary, q{SELECT string_agg("check", ', ' ORDER BY "check") FROM documentdb_upgrade.verify_rollback(1) WHERE status = 'fail'}); }
sub files { return write_extension($primary, 'thing', @_); }

foreach my $version ('1.1', '1.2')
{
	sql($primary, qq{SELECT documentdb_upgrade.record_release('{"operator": "$version", "gateway": "$version", "extension": "$version"}')});
}
my ($target, $source) = split /\n/, sql($primary, q{SELECT revision FROM documentdb_upgrade.releases WHERE source = 'operator' ORDER BY revision});
is(sql($primary, "SELECT id, changed, skipped FROM documentdb_upgrade.record_rollback($source, $target, '{extension,operator}', '{gateway}')"),
	'1|{extension,operator}|{gateway}', 'a rollback is recorded');

is(failing(), 'changed extension', 'the binary is not back yet');
is(check('changed extension'), 'fail|This server offers 1.2; planned is 1.1.', 'which is said');
like(check('changed operator'), qr/^skip\|This server cannot see it/, 'what cannot be seen is skipped');
like(check('loaded library'), qr/^skip\|/, 'there is no library');
is(check('standbys'), 'pass|All 1 are ready.', 'the standby is ready');

files('1.1');
is(failing(), '', 'nothing fails when it is back');
like(check('changed extension'), qr/^pass\|/, 'it passes');
comes_true($primary, q{SELECT observed->'extension'->>'version' = '1.1' FROM documentdb_upgrade.releases ORDER BY revision DESC LIMIT 1});
is(sql($primary, q{SELECT source FROM documentdb_upgrade.releases ORDER BY revision DESC LIMIT 1}), 'rollback', 'and the worker takes it for what it is');

# What an operator sees and records.
sql($primary, q{SELECT documentdb_upgrade.record_release('{"operator": "1.1", "gateway": "1.1", "extension": "1.1"}')});
is(failing(), 'record, untouched gateway', 'a gateway that was to stay and has not');
like(check('record'), qr/^fail\|Release \d+ was recorded since, and is another one: gateway differ\./, 'and the record says so');
sql($primary, q{SELECT documentdb_upgrade.record_release('{"operator": "1.1", "gateway": "1.2", "extension": "1.1"}')});
is(failing(), '', 'and one that has');
like(check('changed operator'), qr/^pass\|Release \d+, recorded since, has it as planned\./, 'what was recorded since counts');

# What has gone wrong since then.
is(try_sql($primary, q{SET documentdb_upgrade.guard_severity = 'rehearsed=fail'; SELECT documentdb_upgrade.finalize_to('1.1')})->{sqlstate}, '55000', 'a finalize is refused');
like(check('history'), qr/^fail\|attempt \d+ refused: /, 'which shows');
like(check('errors'), qr/^pass\|Nothing in this database since .* by pg_stat_database/, 'no error is counted yet');
my $fatal = DocumentdbUpgrade::Session->new($primary);
eval { $fatal->run(q{SET idle_session_timeout = '1ms'}) };
comes_true($primary, q{SELECT sessions_fatal > 0 FROM pg_stat_database WHERE datname = 'postgres'});
like(check('errors'), qr/^fail\|\d+ sessions_fatal in this database/, 'a session that ended by a fatal error is');
sql($primary, 'SELECT pg_stat_reset()');
like(check('errors'), qr/^skip\|The statistics of this database were reset/, 'statistics that were reset tell nothing');

$standby->stop;
comes_true($primary, q{SELECT "check" = 'standbys' AND status <> 'pass' FROM documentdb_upgrade.verify_rollback(1) WHERE "check" = 'standbys'});
$standby->start;
comes_true($primary, q{SELECT status = 'pass' FROM documentdb_upgrade.verify_rollback(1) WHERE "check" = 'standbys'});
pass('standbys that go and come show');

# A binary that is too old.
sql($primary, q{SELECT documentdb_upgrade.finalize_to('1.1')});
files('1.0');
like(check('schema'), qr/^fail\|The schema is 1\.1, the binary 1\.0\. The binary is too old for the schema/, 'a binary below the schema fails');
comes_true($primary, q{SELECT status = 'fail' FROM documentdb_upgrade.verify_rollback(1) WHERE "check" = 'server'});
like(check('server'), qr/^fail\|It is a primary in state schema_ahead\./, 'and so does the server');
is(try_sql($primary, 'SELECT * FROM documentdb_upgrade.verify_rollback(99)')->{sqlstate}, '42704', 'a rollback that there is not');

done_testing();
