# What a finalize pins on the coordinator of a Citus cluster is pinned on the nodes:
# what a role brings along there does not reach the scripts, not by a RESET either,
# and waits for locks are bounded in sum.
# Citus' own settings stay, and it carries none of a script's; an ALTER EXTENSION by
# hand runs as it did.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Cluster;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Test::More;

my ($coordinator, $one, $two) = my @nodes = citus_cluster(2);
my %brought = (
	default_toast_compression => 'lz4',
	datestyle => 'German, DMY',
	extra_float_digits => '0',
	max_parallel_workers_per_gather => '4',
	'plpgsql.check_asserts' => 'off',
	search_path => 'information_schema',
	standard_conforming_strings => 'off',
	'thing.flag' => 'brought',
	xmlbinary => 'hex');
my $names = join ', ', map { "'$_'" } sort keys %brought;

# What the scripts of a version see, before and after they have reset it.
sub write_version
{
	my ($from, $to, $more) = @_;
	my $note = sub { "INSERT INTO seen SELECT '$_[0]', name, coalesce(current_setting(name, true), '') FROM unnest(ARRAY[$names]) name;\n" };

	foreach my $node (@nodes)
	{
		write_extension_file($node, "thing--$from--$to.sql", "CREATE TABLE IF NOT EXISTS seen (place text, name text, value text);\n"
			  . "DO 'BEGIN END';\nSET LOCAL xmloption = 'content';\n"
			  . $note->("$to first")
			  . join('', map { "RESET $_;\nSELECT set_config('$_', NULL, false);\n" } grep { $_ ne 'search_path' } sort keys %brought)
			  . $note->("$to then") . ($more // ''));
		write_extension_file($node, 'thing.control', "default_version = '$to'\n");
	}
	return;
}
sub seen { return sql($_[0], "SELECT string_agg(name || '=' || value, ', ' ORDER BY name) FROM public.seen WHERE place = '$_[1]'"); }
sub differing
{
	my ($version) = @_;
	my @same = map { my $node = $_; grep { seen($node, "$version $_") eq seen($coordinator, "$version $_") } qw(first then) } $one, $two;
	return 4 - @same;
}

foreach my $node ($one, $two)
{
	sql($node, "SET citus.enable_ddl_propagation = off; ALTER ROLE postgres SET $_ = " . ($_ eq 'search_path' ? $brought{$_} : "'$brought{$_}'")) foreach sort keys %brought;
}
write_version('1.2', '1.3');
is(sql($coordinator, q{SELECT outcome FROM documentdb_upgrade.rehearse('1.3')}), 'passed', 'a rehearsal passes');
is(sql($coordinator, q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.3')}), 'succeeded', 'the finalize succeeds');
like(seen($coordinator, '1.3 first'), qr/^datestyle=ISO, MDY, default_toast_compression=pglz, .*plpgsql\.check_asserts=on, .*, thing\.flag=, xmlbinary=base64$/, 'the coordinator has what is configured');
is(differing('1.3'), 0, 'and so have the nodes, at first and after a RESET') or diag(join "\n", map { seen($_, '1.3 first') . "\n" . seen($_, '1.3 then') } @nodes);
is(sql($_, q{SELECT count(*) FROM pg_class WHERE relname = 'seen'}), '1', $_->name . ' has run the script once') foreach $one, $two;
is(sql($two, q{SELECT current_setting('xmlbinary'), current_setting('plpgsql.check_asserts', true)}), 'hex|off', 'a session of the role has what it brings along');

# Without an attempt nothing is pinned.
write_version('1.3', '1.4');
sql($coordinator, 'ALTER EXTENSION thing UPDATE');
is(versions_of(@nodes), '1.4 1.4 1.4', 'an update by hand is carried');
is(differing('1.4'), 4, 'and runs on the nodes as their roles have it');

# An assertion counts on a node whose role has switched them off.
write_version('1.4', '1.5', q{DO $$ BEGIN ASSERT (SELECT groupid FROM pg_catalog.pg_dist_local_group) = 0, 'the sky has fallen'; END $$});
my $result = try_sql($coordinator, q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.5')});
is($result->{sqlstate}, 'P0004', 'an assertion that fails there ends it') or diag($result->{stderr});
is(versions_of(@nodes), '1.4 1.4 1.4', 'nothing has happened anywhere');

# Waits for locks count in sum there too, where none is too long by itself.
my $holder = DocumentdbUpgrade::Session->new($two);
$holder->run('SELECT pg_advisory_lock(7)');
write_version('1.4', '1.5', q{DO $$ BEGIN
	FOR i IN 1 .. 100 LOOP
		BEGIN
			SET LOCAL lock_timeout = '50ms';
			PERFORM pg_advisory_lock(7);
		EXCEPTION WHEN lock_not_available THEN NULL;
		END;
	END LOOP;
END $$});
$result = try_sql($coordinator, q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.5')});
is($result->{sqlstate}, '55P03', 'their sum ends it') or diag($result->{stderr});
like($result->{stderr}, qr/could not get all locks for the upgrade within 300 ms/, 'as it does on the coordinator');
is(sql($coordinator, q{SELECT cause, nodes->0->>'node' FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), 'lock|' . $two->host . ':' . $two->port, 'and history names the node');
is(versions_of(@nodes), '1.4 1.4 1.4', 'nothing has happened anywhere');

# A node ends by itself what takes too long, as if the coordinator had said so.
$result = try_sql($two, q{SET citus.enable_ddl_propagation = off; SET application_name = 'citus_internal gpid=10000000001';
	SET documentdb_upgrade_node.attempt = '100000 500'; ALTER EXTENSION thing UPDATE TO '1.5'});
is($result->{sqlstate}, '57014', 'its own time limit ends a step');
like($result->{stderr}, qr/the upgrade exceeded its time limit of 500 ms/, 'and says so');
is(versions_of(@nodes), '1.4 1.4 1.4', 'nothing has happened there');
$holder->quit;

done_testing();
