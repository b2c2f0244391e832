# A runbook for every state that a server can be in: well-formed, complete, and
# its statements are those that work.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Follower;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @titles = (
	'1. In short', '2. What is new', '3. Settings and objects that change or go', '4. Difficulty and duration',
	'5. Prerequisites', '6. Backup', '7. Phase one: the binary', '8. Phase two: the schema', '9. Verification',
	'10. Smoke tests', '11. Rollback, while it is possible', '12. Recovery, when it is not', '13. What to watch for 24 hours',
	'14. Clean-up', '15. Troubleshooting: what fails now', '16. Checklist', '17. The migration SQL, for review',
	'18. Lists of objects');

my $node = new_node('main', preload => 1, own_installation => 1, streaming => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.managed_extensions = 'before, thing'
	documentdb_upgrade.poll_interval = '100ms'
	documentdb_upgrade.expected_standbys = 0});
write_extension($node, 'before', '1.2', '1.0' => '', '1.0--1.1' => '', '1.1--1.2' => '');
write_extension($node, 'thing', '1.2',
	'1.0' => 'CREATE TABLE thing (id int); CREATE FUNCTION old() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;',
	'1.0--1.1' => "-- A row of backticks: ````\nCREATE TABLE more (id int); GRANT SELECT ON thing TO pg_monitor;",
	'1.1--1.2' => 'ALTER TABLE thing ADD two int; DROP FUNCTION old();');
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE ROLE looker IN ROLE pg_monitor});

# Splits a runbook into its sections, and its code out of them.
sub read_book
{
	my ($server, $target) = @_;
	my $text = sql($server, 'SET ROLE looker; SELECT documentdb_upgrade.runbook(' . ($target // '') . ')');
	my (%section, @order, @code, $fence);
	my $title = '';
	my ($line_before, @malformed) = ('');

	unlike($text, qr/could not be written/, 'every section could be written');
	foreach my $line (split /\n/, $text)
	{
		if (defined $fence)
		{
			if ($line eq $fence) { undef $fence }
			else { $code[-1]{text} .= "$line\n" }
		}
		elsif ($line =~ /^(`{3,})(\w+)$/)
		{
			$fence = $1;
			push @code, { section => $title, language => $2, text => '' };
		}
		elsif ($line =~ /^##? (.*)/)
		{
			push @order, $title = $1;
			push @malformed, $line if @order > 1 && $line_before ne '';
		}
		elsif ($line =~ /^\|/)
		{
			my $bars = () = $line =~ /(?<!\\)\|/g;
			my $before = () = $line_before =~ /(?<!\\)\|/g;
			push @malformed, $line if $line_before =~ /^\|/ && $bars != $before;
		}
		else
		{
			my $ticks = () = $line =~ /(?<!\\)`/g;
			push @malformed, $line if $ticks % 2;
		}
		$section{$title} .= "$line\n";
		$line_before = $line;
	}
	ok(!defined $fence, 'every block of code ends');
	is(join("\n", @malformed), '', 'headings stand alone, tables have their columns, code in a line ends there');
	return { text => $text, title => shift @order, order => \@order, section => \%section, code => \@code };
}

# A runbook with all its sections, every one with something to say.
sub whole_book
{
	my $book = read_book(@_);

	is_deeply($book->{order}, \@titles, 'all sections are there, in order');
	is(scalar(grep { $book->{section}{$_} !~ /\n\n\S/ } @titles), 0, 'none is empty');
	my $statements = join '', map { $_->{text} } grep { $_->{language} eq 'sql' && $_->{section} !~ /^17/ } @{ $book->{code} };
	$statements =~ s/^(?:BEGIN|ROLLBACK);\n//mg;
	# The server's parser takes them without running them.
	my $result = try_sql($_[0], "DO \$du\$ BEGIN IF false THEN $statements END IF; END \$du\$");
	ok($result->{ok}, 'the server understands its SQL') or diag($result->{stderr});
	my $commands = join '', map { $_->{text} } grep { $_->{language} eq 'bash' } @{ $book->{code} };
	$commands =~ s/<[A-Z_]+>/filled-in/g;
	ok(run_log([ 'bash', '-n', '-c', $commands ]), 'and the shell its commands');
	return $book;
}

sub blocks
{
	my ($book, $section, $language) = @_;
	return grep { $_->{section} =~ /^$section\. / && $_->{language} eq ($language // 'sql') } @{ $book->{code} };
}

sub run_blocks
{
	my ($book, $section) = @_;
	my @output;

	foreach my $block (blocks($book, $section))
	{
		my $result = try_sql($node, $block->{text});
		ok($result->{ok}, "runs in section $section: $block->{text}") or diag($result->{stderr});
		push @output, $result->{stdout};
	}
	return join("\n", @output);
}

# Not installed: what to do instead, and it works.
my $book = read_book($node);
is($book->{title}, 'Upgrade of extension thing: not installed', 'not installed');
is_deeply($book->{order}, ['What to do'], 'has one section');
like($book->{text}, qr/Its files are here and offer 1\.2/, 'it knows the files');
is((grep { /CREATE EXTENSION/ } map { $_->{text} } @{ $book->{code} })[0], "CREATE EXTENSION thing CASCADE;\n", 'and the statement');
sql($node, q{CREATE EXTENSION before VERSION '1.0'; CREATE EXTENSION thing VERSION '1.0'});

# An update that nobody has rehearsed.
$book = whole_book($node);
is($book->{title}, 'Upgrade of extension thing from 1.0 to 1.2', 'an update');
like($book->{section}{'1. In short'}, qr/\*\*State:\*\* `update_available`.*\n.*phase two\. 4 scripts/, 'what is left');
like($book->{section}{'1. In short'}, qr/\| before \| 1\.0 \| 1\.2 \| - \| - \| 1\.2 \|/, 'the companion is in the table');
like($book->{section}{'2. What is new'}, qr/This was not rehearsed/, 'it is not rehearsed');
like($book->{section}{'16. Checklist'}, qr/- \[ \] rehearsed/, 'says the checklist too');
like($book->{section}{'5. Prerequisites'}, qr/\*\*WARN\*\* `rehearsed`:.*\n  - To do: Try it, .*SELECT/, 'and the guard, with what to do');
is(scalar(() = $book->{section}{'5. Prerequisites'} =~ /^- (?:pass|skip|\*\*WARN\*\*|\*\*FAIL\*\*) `/mg),
	sql($node, 'SELECT count(*) FROM documentdb_upgrade.preflight()'), 'one line per guard');
like($book->{section}{'6. Backup'}, qr/No backup was ever recorded/, 'no backup');
is((blocks($book, 17))[0]{text}, sql($node, 'SELECT documentdb_upgrade.plan_sql()') =~ s/\n*$/\n/r, 'the migration SQL is that of plan_sql');
like($book->{text}, qr/kubectl -n <NAMESPACE> patch dbs <RESOURCE>/, 'names that are not known are placeholders');
run_blocks($book, 2);
run_blocks($book, 6);

# Rehearsed: what was seen.
$book = whole_book($node);
like($book->{section}{'1. In short'}, qr/rehearsal 1 passed in/, 'rehearsed');
like($book->{section}{'2. What is new'}, qr/\*\*New objects:\*\* \d+ \(.*table 1, table column 1.*\), section 18/, 'how much is added');
like($book->{section}{'18. Lists of objects'}, qr/### New objects\n\n- table `public\.more`\n- table column `public\.thing\.two`/, 'what is added');
like($book->{section}{'18. Lists of objects'}, qr/### Privileges\n\n.*\n\n- table `public\.thing`\n  - granted `pg_monitor=r/, 'who may do more');
like($book->{section}{'3. Settings and objects that change or go'}, qr/\*\*Objects that are removed:\*\* 1 \(function 1\)/, 'how much goes');
like($book->{section}{'18. Lists of objects'}, qr/### Removed objects\n\n- function `public\.old\(\)`/, 'and what');
like($book->{section}{'4. Difficulty and duration'}, qr/demanding\. Tables in use.*\n.*data tables, as rehearsed.*\n.*about .* ms for all steps/, 'how difficult');
like($book->{section}{'4. Difficulty and duration'}, qr/`public\.thing` in AccessExclusiveLock/, 'what is locked');
like($book->{section}{'16. Checklist'}, qr/- \[x\] rehearsed.*\n- \[ \] nobody uses.*\n- \[x\] no guard.*\n- \[x\] a recent backup/, 'what is done is ticked');

# Guards that refuse, with texts that would be Markdown, and a password.
sql($node, q{SELECT documentdb_upgrade.hold(E'`x` [y](z) <b>\n# no heading password=hunter2')});
$book = whole_book($node);
like($book->{section}{'15. Troubleshooting: what fails now'}, qr/### Guard `hold` refuses\n\n- why: .*\\`x\\` \\\[y\]\(z\) \\<b> # no heading password=\*\*\*/, 'a hold is trouble');
unlike($book->{text}, qr/hunter2/, 'no password is shown');
like($book->{section}{'8. Phase two: the schema'}, qr/Not yet.*skip_guards => '\{hold\}'/s, 'not yet');
like($book->{section}{'16. Checklist'}, qr/- \[ \] no guard/, 'not ticked');
sql($node, 'SELECT documentdb_upgrade.release()');

# Other files: the rehearsal counts no more, nor does the runbook.
my $stale = $book;
write_extension($node, 'thing', '1.2', '1.1--1.2' => q{ALTER TABLE thing ADD two int; DROP FUNCTION old(); -- another one});
like(whole_book($node)->{section}{'2. What is new'}, qr/This was not rehearsed/, 'with other files it was not rehearsed');
is(try_sql($node, (blocks($stale, 8))[1]{text})->{sqlstate}, '55000', 'the old runbook refuses');

# Scripts that are too long to be read there.
write_extension($node, 'thing', '1.2', '1.1--1.2' => "-- A long one.\n" x 7000 . 'ALTER TABLE thing ADD two int; DROP FUNCTION old();');
$book = whole_book($node);
like($book->{section}{'17. The migration SQL, for review'}, qr/have 1\d{5} characters and are left out here.*^ALTER EXTENSION thing UPDATE TO '1\.2';\n\nCOMMIT/ms, 'long scripts are left out');
unlike($book->{text}, qr/A long one/, 'all of them');

# A target between: as written with dots.
$book = whole_book($node, q{'v1.1.0'});
is($book->{title}, 'Upgrade of extension thing from 1.0 to 1.1', 'a target in between');
like((blocks($book, 8))[1]{text}, qr/finalize_to\('1\.1', '[0-9a-f]{64}'\)/, 'in the words of the extension');
like((blocks($book, 8, 'bash'))[1]{text}, qr/"schemaVersion": "1\.1\.0"/, 'and those of the resource');

# An attempt that fails.
write_extension($node, 'thing', '1.2', '1.1--1.2' => "SELECT 1;\nDO \$\$ BEGIN RAISE EXCEPTION 'could not reach host=a password=hunter2'; END \$\$;");
is(try_sql($node, (blocks(whole_book($node), 8))[1]{text})->{sqlstate}, 'P0001', 'an attempt fails');
poll_until(sub { sql($node, q{SELECT count(*) FROM documentdb_upgrade.history WHERE outcome = 'failed'}) }, 'the failure is recorded');
sql($node, 'SELECT documentdb_upgrade.rehearse()');
$book = whole_book($node);
like($book->{section}{'1. In short'}, qr/\*\*Last attempt:\*\* failed at .*could not reach host=a password=\*\*\*/, 'the runbook says so first');
like($book->{section}{'15. Troubleshooting: what fails now'}, qr/### Attempt \d+ failed.*SQLSTATE P0001.*- script: `.*thing--1\.1--1\.2\.sql`, line 2.*### Rehearsal 2 did not pass/s, 'with script and line');
unlike($book->{text} =~ s/\n## 17.*//sr, qr/hunter2/, 'and without the password');

# Phase two, as it is written there.
write_extension($node, 'thing', '1.2', '1.1--1.2' => 'ALTER TABLE thing ADD two int; DROP FUNCTION old();');
$book = whole_book($node);
like(run_blocks($book, 8), qr/^t\n\d+\|succeeded\|1\.0\|1\.2\|before_finalize_1\.0_1\.2\|[0-9A-F\/]+\|1\nt$/, 'phase two finalizes');
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.2', 'the schema is there');
like(run_blocks($book, 9), qr/^up_to_date\|1\.2\|/, 'it verifies');
run_blocks($book, 10);
my @smoke = map { split /\n/, $_->{text} } (blocks($book, 10))[0];
is(scalar @smoke, 2, 'a smoke test of the version, and one of the table');
is(scalar(my @rows = split /\n/, sql($node, $_)), 1, "one row: $_") foreach @smoke;
run_blocks($book, 12);
run_blocks($book, 13);

# Nothing to do, and the address for a restore.
$book = whole_book($node);
is($book->{title}, 'Extension thing at 1.2: nothing to upgrade', 'nothing to upgrade');
my ($lsn) = sql($node, 'SELECT restore_lsn FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1');
like($book->{section}{'12. Recovery, when it is not'}, qr/`before_finalize_1\.0_1\.2` at LSN \*\*\Q$lsn\E\*\* on timeline \*\*1\*\*/, 'where a restore would go');
is(scalar(grep { $_->{text} =~ /\Q$lsn\E/ } blocks($book, 12, 'ini'), blocks($book, 12, 'yaml')), 2, 'in both forms');
like($book->{section}{'11. Rollback, while it is possible'}, qr/Not possible any more/, 'no way back');
like($book->{section}{'13. What to watch for 24 hours'}, qr/These 24 hours have begun/, 'the day after');
like($book->{section}{'15. Troubleshooting: what fails now'}, qr/Nothing fails now/, 'what failed before is over');
run_blocks($book, 14);

# A version that the binary does not offer yet, and one that is gone.
$book = whole_book($node, q{'1.3'});
like($book->{section}{'1. In short'}, qr/both phases\. The binary here offers 1\.2/, 'waiting for a binary');
like((blocks($book, 7, 'bash'))[1]{text}, qr/"documentDBVersion": "1\.3\.0"/, 'with the image to roll out');
like($book->{section}{'16. Checklist'}, qr/^- \[ \] phase one/m, 'first of all');
$book = whole_book($node, q{'1.1'});
like($book->{section}{'7. Phase one: the binary'}, qr/Do not change the binary/, 'no image is lowered for a schema that cannot follow');
unlike($book->{section}{'7. Phase one: the binary'}, qr/kubectl/, 'nor is it said how');
is(try_sql($node, q{SELECT documentdb_upgrade.runbook('latest')})->{sqlstate}, '22023', 'what is no version is refused');

# Only a companion is behind.
write_extension($node, 'before', '1.2.1', '1.2--1.2.1' => '');
sql($node, q{ALTER EXTENSION before UPDATE TO '1.2'});
write_extension($node, 'thing', '1.2.1', '1.2--1.2.1' => '');
sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2.1')});
sql($node, q{SET documentdb_upgrade.enforce = off; DROP EXTENSION before; CREATE EXTENSION before VERSION '1.2'});
$book = whole_book($node);
is($book->{title}, 'Upgrade of the companions of extension thing at 1.2.1', 'companions only');
run_blocks($book, 8);
is(sql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'before'}), '1.2.1', 'they are finalized too');

# The binary has gone back.
write_extension($node, 'thing', '1.1');
$book = whole_book($node);
is($book->{title}, 'Extension thing: the schema (1.2.1) is ahead of the binary (1.1)', 'schema ahead');
like($book->{section}{'1. In short'}, qr/Do this now:\*\* bring back a binary of 1\.2\.1 or later/, 'what to do');
like((blocks($book, 7, 'bash'))[1]{text}, qr/"documentDBVersion": "1\.2\.1"/, 'with the image');
is(scalar(blocks($book, 8)), 0, 'and nothing to run');
write_extension($node, 'thing', '1.2.1');

# A part that cannot be read does not take the rest along.
my $holder = DocumentdbUpgrade::Session->new($node);
$holder->run('BEGIN; LOCK TABLE public.more IN ACCESS EXCLUSIVE MODE');
ok(length(sql($node, 'SELECT documentdb_upgrade.runbook()')) > 5000, 'with a table locked there is a runbook');
$holder->quit;

# A standby sends to the primary.
$node->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby', install_path => $node->install_path);
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$book = read_book($standby);
is($book->{title}, 'Upgrade of extension thing: this is a standby', 'a standby');
like($book->{text}, qr/Run this on the primary.*SELECT documentdb_upgrade\.runbook\(\);.*streams from `[^`]+`, port \d+/s, 'says where to run it');
$standby->stop;

# Where the worker follows a custom resource, its names are those of it.
my $api = DocumentdbUpgrade::FakeApi->new;
$api->put_cluster('pod-cluster', 'the-owner');
$api->put_resource('the-owner');
my $pod = new_node('pod-cluster', preload => 1, start => 0, conf => follow_settings($api) . q{
	documentdb_upgrade.kubernetes_resource = ''
	documentdb_upgrade.kubernetes_namespace = ''});
{
	local @ENV{qw(NAMESPACE CLUSTER_NAME)} = ('lab', 'pod-cluster');
	$pod->start;
}
install_documentdb($pod, '0.109-0');
wait_for_state($pod, 'update_available');
sql($pod, 'CREATE ROLE looker IN ROLE pg_monitor');
$book = whole_book($pod);
like((blocks($book, 8, 'bash'))[1]{text}, qr/^kubectl -n lab patch dbs the-owner .*"schemaVersion": "1\.0\.0"/, 'phase two names the resource');
like((blocks($book, 6, 'bash'))[1]{text}, qr/namespace: lab\nspec:\n  cluster:\n    name: pod-cluster\n/, 'the backup names the cluster');
like($book->{section}{'8. Phase two: the schema'}, qr/The worker follows the custom resource/, 'and who commits');
like((blocks($book, 5, 'bash'))[0]{text}, qr/^# operator: .*\nkubectl rollout status.*^# cluster: .*\nkubectl get clusters\.postgresql\.cnpg\.io pod-cluster --namespace lab$/ms, 'what a database cannot see is there before');
like((blocks($book, 9, 'bash'))[0]{text}, qr/^# pod_images: .*\nkubectl get pods --namespace lab --selector cnpg\.io\/cluster=pod-cluster /m, 'and after');
like($book->{section}{'5. Prerequisites'}, qr/\| component \| version \| with .*\n.*\n\| extension \| 1\.0-0 \|/, 'and which versions go together');

done_testing();
