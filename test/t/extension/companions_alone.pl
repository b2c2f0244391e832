# The main extension is at its target and a companion is not: whatever tells of
# it names the companion, and never an update from a version to itself.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw(count_logged logged);
use Test::More;

my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_resource('db1', spec => { schemaVersion => '1.0.0' });
my $node = follow($api, own_installation => 1, streaming => 1);
wait_for_state($node, 'up_to_date');
sql($node, q{SELECT documentdb_upgrade.hold('not yet'); CREATE EXTENSION documentdb_extended_rum VERSION '0.103-0'});

my $clause = 'extension "documentdb_extended_rum" goes from "0.103-0" to "1.0-0"';

# Operators spell versions with dots.
(my $event_clause = $clause) =~ s/(\d)-(\d)/$1.$2/g;
my $listener = DocumentdbUpgrade::Session->new($node);
$listener->run('LISTEN documentdb_upgrade');
my $offset = -s $node->logfile;

# Announced, where nothing is desired.
$api->patch_spec('db1', schemaVersion => '');
wait_for_state($node, 'update_available', qr/^Version 1\.0-0 is installed and a companion is behind: \Q$clause\E\. Guard hold refuses: /);
sql($node, 'SELECT documentdb_upgrade.release()');
wait_for_state($node, 'update_available',
	qr/^Version 1\.0-0 is installed and a companion is behind: \Q$clause\E, and no version is desired; to commit it, run SELECT outcome, from_version, to_version FROM documentdb_upgrade\.finalize_to\('1\.0-0'\);$/);
ok(poll_until(sub { grep { $_->{reason} eq 'SchemaUpdateAvailable' && $_->{message} =~ /\Q$event_clause\E/ } $api->events }, 'an Event names it'),
	'an Event names the companion');
ok(!(grep { $_->{message} =~ /binary version is 1\.0\.0, schema is at 1\.0\.0/ } $api->events), 'and none tells of an update from 1.0.0 to 1.0.0');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE extensions @> '[{"extension": "documentdb_extended_rum"}]'}), '0', 'nothing runs');
sql($node, q{SELECT documentdb_upgrade.rehearse()});
like(sql($node, q{SELECT documentdb_upgrade.rehearsal_report()}),
	qr/^Rehearsal \d+ of the companions of extension documentdb at 1\.0-0: passed/, 'a rehearsal is one of the companions');
is(sql($node, q{SELECT extensions FROM documentdb_upgrade.rehearsals}), '[{"to": "1.0-0", "from": "0.103-0", "extension": "documentdb_extended_rum"}]',
	'and its row names the extension');

# Committed, where the version is desired.
$api->patch_spec('db1', schemaVersion => '1.0.0');
wait_for_state($node, 'up_to_date');
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'documentdb_extended_rum'}), '1.0-0', 'the companion is brought along');
my $row = q{FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1};
is(sql($node, "SELECT outcome, extensions $row"), 'succeeded|[{"to": "1.0-0", "from": "0.103-0", "extension": "documentdb_extended_rum"}]',
	'history names what has changed');
is(sql($node, "SELECT restore_point $row"), 'before_finalize_documentdb_extended_rum_0.103-0_1.0-0', 'so does the restore point');
like($listener->run('SELECT 1')->{stdout}, qr/"event": ?"finalize".*"extensions": ?\[\{"extension": "documentdb_extended_rum", "from": "0\.103-0", "to": "1\.0-0"\}\]/,
	'so does the notice to listeners');
like(logged($node, $offset), qr/finalizing the companions of extension "documentdb" at "1\.0-0"\n.*DETAIL:  What changes: \Q$clause\E\./, 'so does the log');
foreach my $reason (qw(SchemaUpgradeStarted SchemaUpgraded))
{
	ok(poll_until(sub { grep { $_->{reason} eq $reason && $_->{message} =~ /companions of extension documentdb at 1\.0\.0.*\Q$event_clause\E/ } $api->events }, $reason),
		"so does Event $reason");
}
is(count_logged($node, qr/from "1\.0-0" to "1\.0-0"/, $offset), 0, 'nothing goes from a version to itself');
like(sql($node, q{SELECT detail FROM documentdb_upgrade.post_upgrade_report() WHERE check_name = 'last_attempt'}),
	qr/^Attempt \d+ on the companions at 1\.0-0 at .*: succeeded\.$/, 'nor in the report after it');

done_testing();
