# Extensions with versions of their own in the list: a hard guard names the one
# that cannot follow the main extension.  It is not raised to some number, and
# not left behind in silence.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

need_extension('hll', '2.10');
my $node = new_node('main', preload => 1, conf => q{
	documentdb_upgrade.extension = 'pageinspect'
	documentdb_upgrade.managed_extensions = 'hstore, pageinspect, hll'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});
sql($node, q{
	CREATE EXTENSION hll VERSION '2.10'; CREATE EXTENSION hstore VERSION '1.4';
	CREATE EXTENSION pageinspect VERSION '1.5'; CREATE EXTENSION documentdb_upgrade});

my %newest = map { split /\|/ } split /\n/, sql($node, q{SELECT name, default_version FROM pg_available_extensions WHERE name IN ('hll', 'hstore', 'pageinspect')});
my $installed = q{SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension WHERE extname IN ('hll', 'hstore', 'pageinspect')};
my $refusal = 'Extension "hll" shares no version with extension "pageinspect", so its version cannot follow that one\'s.';
my $hint = 'Take "hll" out of documentdb_upgrade.managed_extensions and update it by itself.';
my $guard = q{SELECT status, hard, detail, hint FROM documentdb_upgrade.preflight() WHERE guard = 'companions_aligned'};
my $status = q{SELECT state, blocked_by, next_step FROM documentdb_upgrade.status};

is(sql($node, $guard), "fail|t|$refusal|$hint", 'the guard names the extension');
is(sql($node, q{SELECT target IS NULL FROM documentdb_upgrade.versions WHERE extension = 'hll'}), 't', 'which has no target');
my $result = try_sql($node, 'SELECT documentdb_upgrade.finalize()');
is($result->{sqlstate}, '55000', 'a finalize is refused');
like($result->{message}, qr/refused by guard "companions_aligned"/, 'by that guard');
is($result->{hint}, $hint, 'with what to do');
$result = try_sql($node, q{SELECT documentdb_upgrade.finalize(skip_guards => '{companions_aligned}')});
isnt($result->{ok}, 1, 'nobody overrides it');
$result = sql($node, q{SELECT outcome, message FROM documentdb_upgrade.rehearse()});
like($result, qr/^refused\|.*refused by guard "companions_aligned"/, 'nor is it rehearsed');
is(sql($node, $installed), 'hll 2.10, hstore 1.4, pageinspect 1.5', 'nothing has changed');
is(sql($node, $status), "update_available|{companions_aligned}|An update to $newest{pageinspect} is available. Guard companions_aligned refuses: $refusal $hint",
	'status says it');

# By itself each of them can be updated: their numbers are not compared.
$result = try_sql($node, 'ALTER EXTENSION hll UPDATE');
ok($result->{ok}, 'the other one is updated by hand, although it comes later') or diag($result->{stderr});
$result = try_sql($node, q{ALTER EXTENSION pageinspect UPDATE; ALTER EXTENSION hstore UPDATE});
ok($result->{ok}, 'and so are these') or diag($result->{stderr});
is(sql($node, $installed), join(', ', map { "$_ $newest{$_}" } sort keys %newest), 'all are at their newest');
is(sql($node, $status), "blocked|{companions_aligned}|Guard companions_aligned refuses: $refusal $hint",
	'a list that makes no sense is still no success');
is(sql($node, q{SELECT status, detail FROM documentdb_upgrade.post_upgrade_report() WHERE check_name = 'companions'}), "fail|$refusal",
	'nor in the report after an upgrade');
unlike(sql($node, 'SELECT documentdb_upgrade.runbook()'), qr/What is left:\*\* nothing/, 'nor in the runbook');

# Before the main extension: it is not held up, and the warning is about the list.
sql($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION pageinspect; CREATE EXTENSION pageinspect VERSION '1.5'});
$result = try_sql($node, q{SET documentdb_upgrade.managed_extensions = 'hll, pageinspect'; ALTER EXTENSION pageinspect UPDATE TO '1.6'});
like($result->{stderr}, qr/extension "pageinspect" is updated to "1\.6" without its companion "hll"/, 'an update by hand warns');

# Taken out of the list, it is left alone.
my $rest = q{SET documentdb_upgrade.managed_extensions = 'hstore, pageinspect'};
is(sql($node, "$rest; SELECT outcome, extensions FROM documentdb_upgrade.finalize()"),
	qq{succeeded|[{"to": "$newest{pageinspect}", "from": "1.6", "extension": "pageinspect"}]}, 'the others go on');
is(sql($node, "$rest; $status"), 'up_to_date|{}|Nothing is to be done.', 'and then all is done');

done_testing();
