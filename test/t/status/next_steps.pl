# What next_step and hints say to run can be pasted: each statement that they
# hold ends with a semicolon and works as it stands, as the role that it is for.
# Each text of the sources that holds one is brought about here.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Follower qw(wait_for_state);
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $begins = qr/\b(?:SELECT|CALL|ALTER|GRANT|SET|CREATE EXTENSION|COMMIT PREPARED|ROLLBACK PREPARED)\b/;
my $statement = qr/BEGIN;.*? COMMIT;|$begins [^;]*;/;
my @told;

# The statements of a text; nothing that begins like one may be left.
sub statements_of
{
	my ($text, $what) = @_;
	my @found = $text =~ /($statement)/g;
	(my $rest = $text) =~ s/$statement//g;

	push @told, $text;
	unlike($rest, qr/$begins /, "$what: every statement has an end") or diag($text);
	return @found;
}

# Runs the n-th statement of a text, as a role if one is given.
sub works
{
	my ($node, $text, $what, %options) = @_;
	my @found = statements_of($text, $what);
	my $found = $found[ $options{n} // 0 ] // '';
	my $result = try_sql($node, $found || q{DO $$BEGIN RAISE 'no statement'; END$$}, %options);

	ok($result->{ok}, "$what: $found") or diag("$text\n$result->{stderr}");
	return $result->{stdout};
}

sub next_step { return sql($_[0], 'SELECT next_step FROM documentdb_upgrade.status', $_[1]); }

sub hint
{
	my ($node, $guard, $user) = @_;
	return try_sql($node, "SELECT hint FROM documentdb_upgrade.preflight() WHERE guard = '$guard'", user => $user)->{stdout};
}

my $finalized = 'succeeded|1.0|1.2';

# A new thing, with other files if they are given.
sub anew
{
	my ($node, $default, %scripts) = @_;
	write_extension($node, 'thing', $default, %scripts) if $default;
	sql($node, q{BEGIN; SET LOCAL documentdb_upgrade.enforce = off; SET LOCAL client_min_messages = error;
		DROP EXTENSION IF EXISTS thing CASCADE; CREATE EXTENSION thing VERSION '1.0'; COMMIT});
	return;
}

#
# A server whose worker follows a setting.
#
my $node = worker_node('main', create => 0, conf => q{
	max_prepared_transactions = 2
	documentdb_upgrade.retry_min = '1h'
	documentdb_upgrade.retry_max = '1h'
	documentdb_upgrade.lock_timeout = '100ms'});
sql($node, 'CREATE EXTENSION documentdb_upgrade');
write_extension($node, 'base', '1', '1' => '');
write_extension_file($node, 'thing.control', "default_version = '1.2'\nrequires = 'base'\n");
my $text = next_step($node);
like($text, qr/^Extension thing is not installed in this database\. If another one is meant, .* CREATE EXTENSION thing CASCADE;$/, 'not installed');
is(hint($node, 'installed'), $text =~ s/^.*? database\. //r, 'the guard says the same');
works($node, $text, 'not installed');
is(sql($node, q{SELECT count(*) FROM pg_extension WHERE extname IN ('base', 'thing')}), '2', 'with what it requires');

# None where the files are not there, its own or those of what it requires.
sql($node, 'SET documentdb_upgrade.enforce = off; DROP EXTENSION thing; DROP EXTENSION base');
unlink extension_file($node, 'base.control');
my $no_files = qr/ No control file "(\w+)\.control" is installed on this instance\. Install its files on this server, or set documentdb_upgrade\.extension to the extension you mean\.$/;
is(next_step($node) =~ $no_files ? $1 : next_step($node), 'base', 'nor is what it requires');
unlink extension_file($node, 'thing.control');
is(next_step($node) =~ $no_files ? $1 : next_step($node), 'thing', 'no files');
set_and_reload($node, 'documentdb_upgrade.soak_time', '1d');
ok($node->poll_query_until('postgres', q{SELECT status = 'fail' FROM documentdb_upgrade.preflight() WHERE guard = 'soak_time'}), 'a guard fails');
like(hint($node, 'soak_time'), qr/override this guard\.$/, 'there is no target to override it for');
set_and_reload($node, 'documentdb_upgrade.soak_time', '0');
write_extension_file($node, 'thing.control', "comment = 'no default version'\n");
like(works($node, next_step($node), 'no default version') . next_step($node), qr/Nothing is to be done/, 'the version is named');

# Announced; held; a statement of the resource's kind is for the tests of Kubernetes.
anew($node, '1.2');
$text = next_step($node);
is(works($node, $text, 'announced'), $finalized, 'and shows what it has done');
anew($node);
sql($node, q{SELECT documentdb_upgrade.hold('r')});
is(works($node, next_step($node), 'held'), 't', 'released');

# In the way: a session, a prepared transaction.
my $session = DocumentdbUpgrade::Session->new($node);
$session->run('BEGIN');
$session->run('LOCK TABLE thing IN SHARE MODE');
ok($node->poll_query_until('postgres', q{SELECT next_step ~ 'pg_terminate_backend' FROM documentdb_upgrade.status}), 'a session is in the way');
is(works($node, next_step($node), 'a session in the way'), 't', 'it is ended');
eval { $session->finish_lost; };
foreach my $n (0, 1)
{
	sql($node, q{BEGIN; LOCK TABLE thing IN SHARE MODE; PREPARE TRANSACTION 'it''s mine'});
	works($node, next_step($node), 'a prepared transaction in the way', n => $n);
	is(sql($node, 'SELECT count(*) FROM pg_prepared_xacts'), '0', 'it is finished');
}

# Guards of which the caller decides.
sql($node, q{SELECT documentdb_upgrade.record_backup('old', now() - interval '2 days')});
works($node, hint($node, 'backup_recent'), 'an old backup');
is(sql($node, q{SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'backup_recent'}), 'pass', 'it is recorded');
set_and_reload($node, 'documentdb_upgrade.maintenance_window',
	sql($node, q{SELECT to_char((now() + interval '3 hours') AT TIME ZONE 'UTC', '"Mon,Tue,Wed,Thu,Fri,Sat,Sun "HH24:MI-') || to_char((now() + interval '4 hours') AT TIME ZONE 'UTC', 'HH24:MI')}));
ok($node->poll_query_until('postgres', q{SELECT 'window' = ANY (blocked_by) FROM documentdb_upgrade.status}), 'outside the window');
$text = next_step($node);
is(sql($node, q{SELECT extract(epoch FROM ('} . ($text =~ /, which opens next at ([^.]*?)\./ ? $1 : 'epoch') . q{'::timestamptz - now())) BETWEEN 2 * 3600 AND 3 * 3600}),
	't', 'it says when it opens') or diag($text);
is(works($node, $text, 'outside the window'), $finalized, 'it is overridden');
set_and_reload($node, 'documentdb_upgrade.maintenance_window', '');

anew($node);
set_and_reload($node, 'documentdb_upgrade.soak_time', '1d');
ok($node->poll_query_until('postgres', q{SELECT 'soak_time' = ANY (blocked_by) FROM documentdb_upgrade.status}), 'a new binary');
is(works($node, next_step($node), 'a new binary'), $finalized, 'it is overridden');
anew($node);
sql($node, q{DELETE FROM documentdb_upgrade_internal.binaries_seen});
set_and_reload($node, 'documentdb_upgrade.soak_time', '0');

sql($node, q{CREATE FUNCTION nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE EVENT TRIGGER "Watch it" ON ddl_command_end EXECUTE FUNCTION nothing(); CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION nothing()});
$text = hint($node, 'event_triggers');
works($node, $text, 'event triggers', n => $_) foreach 0, 1;
is(hint($node, 'event_triggers'), '', 'both are disabled');

# Rehearsed, in vain, and with losses for others.
set_and_reload($node, 'documentdb_upgrade.guard_severity', 'members_intact=fail');
is(works($node, hint($node, 'rehearsed'), 'not rehearsed'), 'passed|', 'it is rehearsed');
is(works($node, hint($node, 'members_intact'), 'members not recorded'), $finalized, 'it is overridden');
set_and_reload($node, 'documentdb_upgrade.guard_severity', '');
anew($node, '1.3', '1.0' => 'CREATE TABLE thing (id int); CREATE FUNCTION one() RETURNS int LANGUAGE sql AS $$SELECT 1$$;',
	'1.2--1.3' => 'DROP FUNCTION one();');
sql($node, 'CREATE VIEW theirs AS SELECT one()');
like(works($node, hint($node, 'outside_objects'), 'objects stand on members'), qr/^view\|public\.theirs\|DROP VIEW/, 'with what saves them');
sql($node, 'SELECT outcome FROM documentdb_upgrade.rehearse()');
like(works($node, hint($node, 'rehearsed'), 'a rehearsal failed'), qr/failed/, 'with its report');
write_extension_file($node, 'thing--1.2--1.3.sql', 'DROP FUNCTION one() CASCADE;');
anew($node);
sql($node, 'CREATE VIEW theirs AS SELECT one()');
sql($node, 'SELECT outcome FROM documentdb_upgrade.rehearse()');
$text = hint($node, 'outside_objects');
like(works($node, $text, 'objects go with it'), qr/theirs/, 'with what saves them');
is(works($node, $text, 'objects go with it', n => 1), 'succeeded|1.0|1.3', 'it is overridden');

# Files that lead on, or nowhere, or cannot be ordered.
unlink extension_file($node, 'thing--1.2--1.3.sql');
anew($node, '1.1');
sql($node, 'DELETE FROM documentdb_upgrade_internal.binaries_seen');
set_and_reload($node, 'documentdb_upgrade.guard_severity', 'outside_objects=skip');
is(works($node, next_step($node), 'announced'), 'succeeded|1.0|1.1', 'as far as the control file says');
is(works($node, next_step($node), 'files beyond the control file'), 'succeeded|1.1|1.2', 'and beyond');
write_extension($node, 'thing', '1.5', '1.5' => '');
$text = next_step($node);
works($node, $text, 'no way there');
is(sql($node, q{SELECT installed_version FROM documentdb_upgrade.status}), '1.5', 'dropped and created');
anew($node, 'next', '1.0--next' => '');
is(works($node, next_step($node), 'versions without an order'), 'succeeded|1.0|next', 'both ends are named');
anew($node, '1.2');

# What the upgrade requires.
write_extension($node, 'base', '1', '1' => '');
write_extension_file($node, 'thing.control', "default_version = '1.2'\nrequires = 'base'\n");
works($node, hint($node, 'requirements'), 'an extension that is required');
is(hint($node, 'requirements'), '', 'it is there');

# Roles.
sql($node, q{CREATE ROLE owner LOGIN; CREATE ROLE "the operator" LOGIN;
	GRANT USAGE ON SCHEMA documentdb_upgrade TO "the operator"; GRANT pg_monitor TO "the operator";
	GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_finalize_to TO "the operator"});
write_extension_file($node, 'thing--1.0.sql', 'CREATE SCHEMA theirs; CREATE TABLE theirs.t (id int);');
write_extension_file($node, 'thing--1.0--1.1.sql', '');
write_extension_file($node, 'thing--1.1--1.2.sql', '');
anew($node);
$text = hint($node, 'caller_can_plan', 'the operator');
works($node, $text, 'a role without USAGE', n => 1, user => 'the operator');
works($node, $text, 'a role without USAGE');
is(hint($node, 'caller_can_plan', 'the operator'), '', 'it has USAGE');
anew($node);
$text = try_sql($node, 'SELECT next_step FROM documentdb_upgrade.status', user => 'the operator')->{stdout};
like($text, qr/CALL documentdb_upgrade\.run_finalize_to/, 'who may call the procedure alone is told of it');
works($node, $text, 'announced to a role', user => 'the operator');
anew($node, 'next');
$text = try_sql($node, 'SELECT next_step FROM documentdb_upgrade.status', user => 'the operator')->{stdout};
works($node, $text, 'versions without an order, to a role', user => 'the operator');
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), 'next', 'both ends are named');
write_extension_file($node, 'thing.control', "default_version = '1.2'\ntrusted = true\n");
anew($node);
sql($node, q{UPDATE pg_extension SET extowner = (SELECT oid FROM pg_roles WHERE rolname = 'owner') WHERE extname = 'thing'});
works($node, hint($node, 'owner_can_update', 'the operator'), 'an owner without CREATE');
is(hint($node, 'owner_can_update', 'the operator'), '', 'it may create');

# An attempt, of the worker and of a session.
write_extension($node, 'thing', '1.2', '1.0' => 'CREATE TABLE thing (id int);', '1.0--1.1' => '', '1.1--1.2' => 'SELECT pg_advisory_xact_lock(42);');
set_and_reload($node, 'documentdb_upgrade.lock_timeout', '1h');
anew($node);
my $gate = close_gate($node);
desire($node, '1.2');
attempt_at_gate($node);
like(next_step($node), qr/^An attempt runs step 2 of 2;/, 'it runs');
is(works($node, next_step($node), 'an attempt of the worker'), 't', 'it is cancelled');
wait_for_state($node, 'failed');
$gate->quit;
is(works($node, next_step($node), 'failed'), 't', 'it is tried again');
wait_for_state($node, 'up_to_date');
desire($node, '');
anew($node);
$gate = close_gate($node);
my $finalize = DocumentdbUpgrade::Session->new($node);
$finalize->start('SELECT documentdb_upgrade.finalize()');
$finalize->wait_for(q{wait_event = 'advisory'});
is(works($node, next_step($node), 'an attempt of a session'), 't', 'it is cancelled');
is($finalize->finish->{sqlstate}, '57014', 'as a statement is');
$finalize->quit;

# Locks not had in time: the time of the next attempt, to the second.
set_and_reload($node, 'documentdb_upgrade.lock_timeout', '100ms');
desire($node, '1.2');
wait_for_state($node, 'pending', qr/^The worker tries again at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* after 1 failure \(/);
$gate->quit;
is(works($node, next_step($node), 'pending'), 't', 'it is tried now');
wait_for_state($node, 'up_to_date');
$node->stop;

#
# A server without a worker.
#
my $plain = worker_node('plain', preload => 0, conf => q{documentdb_upgrade.desired_schema_version = '1.2'});
is(works($plain, next_step($plain), 'desired and no worker'), $finalized, 'it is done');
write_extension_file($plain, 'thing--1.1--1.2.sql', 'SELECT 1/0;');
anew($plain);
ok(!try_sql($plain, 'SELECT documentdb_upgrade.finalize()')->{ok}, 'it fails');
write_extension_file($plain, 'thing--1.1--1.2.sql', '');
is(works($plain, next_step($plain), 'failed and no worker'), $finalized, 'it is done');
my $desired = $plain->basedir . '/desired';
append_to_file($desired, '1.2');
$plain->append_conf('postgresql.conf', "documentdb_upgrade.source = file\ndocumentdb_upgrade.desired_file = '$desired'");
$plain->reload;
ok($plain->poll_query_until('postgres', q{SELECT state = 'waiting' FROM documentdb_upgrade.status}), 'what is desired is not known');
is(works($plain, next_step($plain), 'a source and no worker'), 'up_to_date', 'it is read');
$plain->stop;

#
# Texts of the sources with a statement that did not come up.
#
my %elsewhere = map { $_ => 1 } (
	'%s; to stop it, run SELECT documentdb_upgrade.hold(\'reason\');',    # a moment
	'%s Run ALTER EXTENSION %s UPDATE TO %s;',                            # refusing_libraries
	'%s What works is CALL documentdb_upgrade.run_finalize_to(%s); or ALTER EXTENSION %s UPDATE TO %s;');
my @missed;
foreach my $file (qw(status/upgrade_state.c guards/guard_hard.c guards/guard_overridable.c guards/server_facts.c
	extension/managed_set.c plan/extension_target.c plan/upgrade_plan.c))
{
	my $source = slurp_file("$ENV{DU_SOURCE}/src/$file");
	$source =~ s/"\s*(?:INT64_FORMAT)\s*"/%d/g;
	while ($source =~ /"((?:[^"\\\n]|\\.)*?$begins (?:[^"\\\n]|\\.)*;(?:[^"\\\n]|\\.)*)"/g)
	{
		(my $literal = $1) =~ s/\\"/"/g;
		next if $elsewhere{$literal} || $literal =~ /\\n/;
		my $pattern = join '.*?', map { quotemeta } split /%(?:s|d)/, $literal, -1;
		push @missed, "$file: $literal" unless grep { /$pattern/ } @told;
	}
}
is_deeply(\@missed, [], 'every text with a statement was brought about');

done_testing();
