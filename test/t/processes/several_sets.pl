# Several main extensions in one database, each a managed set of its own: with a
# worker, attempts, failures and rows of its own, and none in the way of the others.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my @other = ('1.0' => 'CREATE TABLE other (id int);', '1.0--1.1' => 'ALTER TABLE other ADD one int;');
my $conf = q{
	documentdb_upgrade.extension = 'thing, other, hstore'
	documentdb_upgrade.database = 'postgres, app'
	documentdb_upgrade.database_look_interval = '200ms'
	documentdb_upgrade.max_workers = 10
	max_worker_processes = 20
	wal_level = replica
};
my $node = worker_node('main', create => 0, conf => $conf);
write_extension($node, 'other', '1.1', @other);

sub create_all
{
	my $dbname = shift;
	sql($node, q{CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION other VERSION '1.0'; CREATE EXTENSION hstore VERSION '1.4'; CREATE EXTENSION documentdb_upgrade}, $dbname);
	return;
}

# What is installed, and the state of each.
sub installed { return sql($node, q{SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension WHERE extname IN ('thing', 'other', 'hstore')}, $_[0]); }
sub states { return sql($node, q{SELECT string_agg(extension || ' ' || state, ', ') FROM documentdb_upgrade.status}, $_[0]); }
sub becomes
{
	my ($what, $condition, $name, $dbname) = @_;
	return ok($node->poll_query_until($dbname // 'postgres', "SELECT count(*) = 1 FROM documentdb_upgrade.$what"  . " WHERE $condition"), $name)
	  || diag(sql($node, "SELECT * FROM documentdb_upgrade.$what", $dbname));
}
sub attempts_of { return sql($node, qq{SELECT from_version, to_version, outcome, actor FROM documentdb_upgrade.history WHERE extension = '$_[0]' ORDER BY id}) =~ tr/|/ /r; }

create_all();

# Each has a row, and a worker.
is(states(), 'thing update_available, other update_available, hstore update_available', 'status has a row for each, in the order of the setting');
is(sql($node, 'SELECT extension, main_extension, installed_version, target FROM documentdb_upgrade.versions'),
	"thing|thing|1.0|1.2\nother|other|1.0|1.1\nhstore|hstore|1.4|1.8", 'versions has');
is(sql($node, 'SELECT extension, installed_version, attempts_total FROM documentdb_upgrade.metrics'), "thing|1.0|0\nother|1.0|0\nhstore|1.4|0", 'metrics has');
becomes('databases', qq{database = 'postgres' AND extension = '$_' AND served AND behind AND state = 'update_available'}, "databases has one for $_, which is served") foreach qw(thing other hstore);
is(sql($node, q{SELECT count(DISTINCT worker_pid) || ' ' || count(*) FROM documentdb_upgrade.status}), '3 3', 'each has a worker');
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'postgres'}), '3', 'of its own');

# A function is about the first, unless another one is named.
is(sql($node, 'SELECT DISTINCT extension FROM documentdb_upgrade.plan()'), 'thing', 'a plan is that of the first');
is(sql($node, q{SELECT DISTINCT extension FROM documentdb_upgrade.plan(extension => 'hstore')}), 'hstore', 'or of another one');
is(sql($node, q{SELECT detail FROM documentdb_upgrade.preflight(extension => 'other') WHERE guard = 'installed'}) =~ /other/, 1, 'as guards are');
is(sql($node, q{SELECT documentdb_upgrade.can_finalize('1.5', 'hstore'), documentdb_upgrade.can_finalize('1.5')}), 't|f', 'and versions');
isnt(sql($node, q{SELECT documentdb_upgrade.upgrade_fingerprint('hstore')}), sql($node, q{SELECT documentdb_upgrade.upgrade_fingerprint()}), 'and fingerprints');
foreach my $call (q{finalize_to('1.1', extension => 'nope')}, q{plan(extension => 'nope')}, q{preflight(extension => 'nope')}, q{rehearse(extension => 'nope')},
	q{can_finalize(extension => 'nope')}, q{retry('nope')}, q{finalize('nope')}, q{wait_for('1.1', '1 s', 'nope')}, q{finalize_detached('1.1', extension => 'nope')}, q{outside_objects(extension => 'nope')})
{
	my $result = try_sql($node, "SELECT * FROM documentdb_upgrade.$call");
	is($result->{sqlstate}, '22023', "$call: no such main extension");
	like($result->{stderr}, qr/documentdb_upgrade\.extension names "thing", "other" (and|or) "hstore"|names "thing", "other", "hstore"/, 'and the message names those that there are');
}
is(sql($node, q{SELECT from_version, to_version, outcome FROM documentdb_upgrade.rehearse(extension => 'hstore')}), '1.4|1.8|passed', 'one of them is rehearsed');
is(sql($node, q{SELECT from_version, to_version, outcome FROM documentdb_upgrade.rehearse('1.1', true, 'other')}), '1.0|1.1|passed', 'in a throw-away database too');
is(sql($node, q{SELECT from_version, to_version, extension FROM documentdb_upgrade.finalize_to('1.5', extension => 'hstore')}), '1.4|1.5|hstore', 'finalized by a function');
is(installed(), 'hstore 1.5, other 1.0, thing 1.0', 'and no other');
sql($node, q{CALL documentdb_upgrade.run_finalize_to('1.6', extension => 'hstore')});
is(sql($node, q{SELECT to_version FROM documentdb_upgrade.finalize_detached('1.7', extension => 'hstore')}), '1.7', 'in a process of its own');
is(sql($node, q{SELECT documentdb_upgrade.wait_for('1.7', '1 h', 'hstore'), documentdb_upgrade.wait_for('1.7', '0')}), 't|f', 'and waited for');
is(attempts_of('hstore'), "1.4 1.5 succeeded function\n1.5 1.6 succeeded function\n1.6 1.7 succeeded function", 'history says whose each was');
is(sql($node, q{SELECT string_agg(restore_point, ' ' ORDER BY id) FROM documentdb_upgrade.history WHERE extension = 'hstore'}),
	'before_finalize_hstore_1.4_1.5 before_finalize_hstore_1.5_1.6 before_finalize_hstore_1.6_1.7', 'and the restore points too');
is(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.8', documentdb_upgrade.upgrade_fingerprint(), extension => 'hstore')})->{sqlstate}, '55000', 'the fingerprint of another one is not its own');

# What others do to it meets the same guards.
foreach (['ALTER EXTENSION other UPDATE TO $$9.9$$', qr/within_binary|target_known/], ['ALTER EXTENSION hstore UPDATE TO $$1.4$$', qr/not_downgrade/], ['DROP EXTENSION other', qr/cannot drop managed extension "other"/])
{
	my $result = try_sql($node, $$_[0] =~ s/\$\$/'/gr);
	ok(!$result->{ok}, "$$_[0] is refused");
	like($result->{stderr}, $$_[1], 'by the guard that it is about');
}
sql($node, q{ALTER EXTENSION hstore UPDATE TO '1.8'});
is(attempts_of('hstore') =~ /1\.7 1\.8 succeeded manual$/, 1, 'what is allowed is recorded');
is(attempts_of('thing') . attempts_of('other'), '', 'for that one');

# A failure of one stops no other.
write_extension($node, 'other', '1.2', @other, '1.1--1.2' => 'SELECT 1/0;');
desire($node, 'auto');
becomes('status', q{extension = 'thing' AND state = 'up_to_date' AND installed_version = '1.2' AND desired = 'auto'}, 'with auto the first goes on');
becomes('status', q{extension = 'other' AND state = 'failed' AND next_step ~ $$division by zero.*retry\(extension => 'other'\);$$}, 'the other fails, and says how to try again');
is(installed(), 'hstore 1.8, other 1.0, thing 1.2', 'all of it is rolled back');
is(states(), 'thing up_to_date, other failed, hstore up_to_date', 'one failed');
is(attempts_of('other'), '1.0 1.2 failed worker', 'after one attempt');
is(sql($node, q{SELECT documentdb_upgrade.retry()}), 'f', 'the first has nothing to try again');
write_extension_file($node, 'hstore--1.8--1.9.sql', 'CREATE FUNCTION later() RETURNS int LANGUAGE sql AS $$SELECT 1$$;');
write_extension_file($node, 'hstore.control', "default_version = '1.9'\nmodule_pathname = '\$libdir/hstore'\nrelocatable = true\n");
becomes('status', q{extension = 'hstore' AND installed_version = '1.9'}, 'the third follows its files meanwhile');
is(sql($node, q{SELECT documentdb_upgrade.retry('other')}), 't', 'the second has');
ok(comes_true($node, q{SELECT sum(1 + repeats) = 2 FROM documentdb_upgrade.history WHERE extension = 'other' AND outcome = 'failed'}), 'which is another attempt');
becomes('databases', qq{database = 'postgres' AND extension = 'other' AND state = 'failed' AND behind}, 'the databases show it');
write_extension($node, 'other', '1.2', @other, '1.1--1.2' => 'ALTER TABLE other ADD two int;');
becomes('status', q{extension = 'other' AND state = 'up_to_date' AND installed_version = '1.2'}, 'with other files it succeeds');

# A hold holds all.
sql($node, q{SELECT documentdb_upgrade.hold('wait')});
write_extension($node, 'other', '1.3', @other, '1.2--1.3' => 'SELECT 1;');
write_extension($node, 'thing', '1.3', '1.2--1.3' => 'SELECT 1;');
becomes('status', qq{extension = '$_' AND state = 'held'}, "$_ is held") foreach qw(thing other);
is(states(), 'thing held, other held, hstore up_to_date', 'what has nothing to do is not');
sql($node, 'SELECT documentdb_upgrade.release()');
becomes('status', qq{extension = '$_' AND state = 'up_to_date' AND installed_version = '1.3'}, "$_ goes on") foreach qw(thing other);

# An attempt is cancelled and shown by itself, and they take turns.
desire($node, '');
write_extension($node, 'other', '1.4', @other, '1.3--1.4' => 'SELECT pg_advisory_xact_lock(42);');
write_extension($node, 'thing', '1.4', '1.3--1.4' => 'SELECT 1;');
my $gate = close_gate($node);
desire($node, 'auto');
attempt_at_gate($node);
is(sql($node, 'SELECT extension, target FROM documentdb_upgrade.progress'), 'other|1.4', 'progress shows whose it is');
becomes('status', q{extension = 'other' AND state = 'finalizing'}, 'as status does');
is(sql($node, q{SELECT state FROM documentdb_upgrade.databases WHERE database = 'postgres' AND extension = 'other'}), 'finalizing', 'and databases');
isnt(sql($node, q{SELECT state FROM documentdb_upgrade.status WHERE extension = 'thing'}), 'finalizing', 'of the others nothing runs');
is(sql($node, 'SELECT documentdb_upgrade.cancel()'), 't', 'it is cancelled');
$gate->quit;
becomes('status', q{extension = 'other' AND state = 'failed'}, 'and waits for a human');
becomes('status', q{extension = 'thing' AND state = 'up_to_date' AND installed_version = '1.4'}, 'the first is not');
is(sql($node, q{SELECT documentdb_upgrade.retry('other')}), 't', 'who lets it try again');
becomes('status', q{extension = 'other' AND state = 'up_to_date' AND installed_version = '1.4'}, 'which succeeds');

# A version is one of the first.
desire($node, '1.5');
write_extension($node, 'other', '1.5', @other, '1.4--1.5' => 'SELECT 1;');
write_extension($node, 'thing', '1.6', '1.4--1.5' => 'SELECT 1;', '1.5--1.6' => 'SELECT 1;');
becomes('status', q{extension = 'thing' AND installed_version = '1.5' AND mode = 'explicit'}, 'a version that is desired is for the first');
becomes('status', q{extension = 'other' AND installed_version = '1.4' AND state = 'update_available' AND mode = 'two-phase'}, 'the others stay');
like(sql($node, q{SELECT next_step FROM documentdb_upgrade.status WHERE extension = 'other'}), qr/finalize_to\('1\.5', extension => 'other'\);/, 'and say what would bring them on');
desire($node, '');

# One that goes is one row that changes.
sql($node, 'SET documentdb_upgrade.enforce = off; DROP EXTENSION hstore');
becomes('status', q{extension = 'hstore' AND state = 'not_installed'}, 'one that is dropped is not installed');
is(states(), 'thing update_available, other update_available, hstore not_installed', 'the others are as they were');
sql($node, q{CREATE EXTENSION hstore VERSION '1.7'});
becomes('databases', qq{database = 'postgres' AND extension = 'hstore' AND installed_version = '1.7' AND state = 'update_available'}, 'and one that is created is again');
is(attempts_of('hstore') =~ /1\.9  succeeded manual\n 1\.7 succeeded manual$/, 1, 'history has both') or diag(attempts_of('hstore'));

# Another database has its own, whether it is served or not.
sql($node, 'CREATE DATABASE early');
sql($node, q{LOAD 'documentdb_upgrade'; ALTER DATABASE early SET documentdb_upgrade.extension = hstore, thing}, 'early');
sql($node, 'ALTER DATABASE early RENAME TO app');
create_all('app');
sql($node, 'CREATE DATABASE looked TEMPLATE template0');
sql($node, q{CREATE EXTENSION other VERSION '1.0'}, 'looked');
my $list = q{SELECT string_agg(concat_ws(' ', extension, installed_version, state, CASE WHEN served THEN 'served' END), ', ') FROM documentdb_upgrade.databases WHERE database = };
ok($node->poll_query_until('postgres', "$list 'app'", 'hstore 1.4 update_available served, thing 1.0 update_available served'), 'its settings say which')
  or diag(sql($node, "$list 'app'"));
ok($node->poll_query_until('postgres', "$list 'looked'", 'thing not_installed, other 1.0 update_available, hstore not_installed'), 'who looks at one sees them all')
  or diag(sql($node, "$list 'looked'"));
is(sql($node, q{SELECT note FROM documentdb_upgrade.databases WHERE database = 'looked' AND extension = 'other'}),
	q{To upgrade it, run there: CREATE EXTENSION documentdb_upgrade; SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize('other');}, 'and says what would upgrade each');
sql($node, 'CREATE EXTENSION documentdb_upgrade', 'looked');
is(sql($node, q{SELECT database, extension, to_version, outcome FROM documentdb_upgrade.finalize_everywhere() WHERE outcome <> 'skipped'}),
	join("\n", 'app|hstore|1.9|succeeded', 'app|thing|1.6|succeeded', 'looked|other|1.5|succeeded', 'postgres|thing|1.6|succeeded', 'postgres|other|1.5|succeeded', 'postgres|hstore|1.9|succeeded'),
	'all are finalized everywhere');

# Who wants the database for himself gets it.
my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'app'};
foreach my $statement ('CREATE DATABASE copy TEMPLATE app', 'ALTER DATABASE app RENAME TO apple', 'ALTER DATABASE apple RENAME TO app')
{
	my $result = try_sql($node, $statement);
	ok($result->{ok}, "$statement, beside its workers") or diag($result->{stderr});
	ok(comes_true($node, "SELECT ($workers) = 2"), 'which come back') if $statement !~ /apple$/;
}

# The setting changes: so do the workers, and the rows.
sql($node, q{LOAD 'documentdb_upgrade'; ALTER DATABASE app SET documentdb_upgrade.extension = 'thing'}, 'app');
ok(comes_true($node, "SELECT ($workers) = 1"), 'one that is named no longer has no worker');
ok($node->poll_query_until('postgres', "$list 'app'", 'thing 1.6 up_to_date served'), 'and no row') or diag(sql($node, "$list 'app'"));
sql($node, q{LOAD 'documentdb_upgrade'; ALTER DATABASE app SET documentdb_upgrade.extension = 'other, thing'}, 'app');
ok($node->poll_query_until('postgres', "$list 'app'", 'other 1.0 update_available served, thing 1.6 up_to_date served'), 'in another order the first is another one')
  or diag(sql($node, "$list 'app'"));
my $offset = -s $node->logfile;
ok(try_sql($node, 'DROP DATABASE app')->{ok}, 'DROP DATABASE, beside its workers');
is(lines_logged($node, qr/PANIC|FATAL|TRAP/, $offset), '', 'and no process has failed');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.databases WHERE database = 'app'}), '0', 'the rows are gone too');

# By a reload.
set_and_reload($node, 'documentdb_upgrade.extension', 'other, thing');
becomes('databases', q{database = 'postgres' AND extension = 'other' AND served}, 'a reload makes another one the first');
ok(comes_true($node, q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker' AND datname = 'postgres'}), 'with one worker for each')
  or diag(sql($node, 'SELECT * FROM documentdb_upgrade.databases'));
is(states(), 'other up_to_date, thing up_to_date', 'in the new order');

# What cannot be.
foreach (['thing, thing', qr/named twice/], ['thing,, other', qr/not a list/], ['  ', qr/must be named/], ['thing, ' . 'x' x 64, qr/too long/])
{
	my $result = try_sql($node, "SET documentdb_upgrade.extension = '$$_[0]'");
	is($result->{sqlstate}, '22023', "'$$_[0]' is refused");
	like($result->{stderr}, $$_[1], 'with the reason');
}
is(sql($node, q{SET documentdb_upgrade.extension = 'thing, other'; SET documentdb_upgrade.managed_extensions = 'other';
	SELECT p.status, p.detail FROM documentdb_upgrade.preflight() p WHERE guard = 'companions_aligned';
	SELECT p.status, p.detail FROM documentdb_upgrade.preflight(extension => 'other') p WHERE guard = 'companions_aligned'}),
	qq{fail|Extension "other" belongs to the managed sets of "thing" and of "other".\nfail|Extension "other" belongs to the managed sets of "other" and of "thing".},
	'one that belongs to two sets is upgraded in neither');

# Without preloading.
my $plain = worker_node('plain', create => 0, preload => '', conf => q{documentdb_upgrade.extension = 'thing, other'});
write_extension($plain, 'other', '1.1', @other);
sql($plain, q{CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION other VERSION '1.0'; CREATE EXTENSION documentdb_upgrade});
is(sql($plain, q{SELECT database, extension, state FROM documentdb_upgrade.databases WHERE database = 'postgres'}), "postgres|thing|update_available\npostgres|other|update_available", 'rows without preloading');
desire($plain, 'auto');
ok(comes_true($plain, q{SELECT bool_and(desired = 'auto') FROM documentdb_upgrade.status}), 'a wish for all');
is(sql($plain, 'SELECT documentdb_upgrade.tick()'), 'up_to_date', 'tick() says how the first one is');
is(sql($plain, q{SELECT extension, to_version, actor FROM documentdb_upgrade.history ORDER BY id}), "thing|1.2|tick\nother|1.1|tick", 'and has looked at all');

done_testing();
