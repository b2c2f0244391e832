
=pod

=head1 NAME

DocumentdbUpgrade::Fleet - a primary and its standbys, each with files of its own

=head1 SYNOPSIS

  my $primary = fleet_primary('p', binary => '1.1');
  my $a = add_standby($primary, 'a', binary => '1.0', slot => 1);
  my $b = add_standby($a, 'b', binary => '1.0');

  wait_for_standbys($primary, a => 'old_binary', b => 'old_binary');
  raise_binary($_, '1.1') foreach $a, $b;
  wait_for_standbys($primary, a => 'ready', b => 'ready');

=head1 DESCRIPTION

The extension that is managed is "thing", installed at 1.0.  Version 1.N has
the columns c1 to cN in table thing and the tables t1 to tN; each script stops
at the gate of DocumentdbUpgrade::WorkerNode when that is closed.  It is a
matter of SQL alone, so a binary is raised by putting files in place.

Standbys stream as role "streamer", which has REPLICATION and nothing else.

=cut

package DocumentdbUpgrade::Fleet;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw(worker_node create_thing shape);
use Exporter 'import';
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  fleet_primary add_standby install_gate raise_binary stream_from rewind_to put_setting
  standby_status wait_for_standbys wait_for_report blocker has_schema
);

# A report counts for three seconds, or longer on a machine that is slow to make
# one, and comes three times in that time, or at once.  Who does not replay is behind,
# however long that takes.
my $report_timeout = int 1000 * max(3, patience(1));
my $settings = qq{
full_page_writes = on
wal_keep_size = '256MB'
wal_receiver_status_interval = '100ms'
wal_retrieve_retry_interval = '100ms'
documentdb_upgrade.standby_report_timeout = '${report_timeout}ms'
documentdb_upgrade.poll_interval = '200ms'
documentdb_upgrade.max_replication_lag = '1h'
};

# By what a script's name says after "thing--".
my %scripts = (
	'1.0' => 'CREATE TABLE thing (id int);',
	map { ("1.@{[ $_ - 1 ]}--1.$_" => "ALTER TABLE thing ADD c$_ int;\nSELECT pg_advisory_xact_lock(42);\nCREATE TABLE t$_ (id int);") } 1 .. 9);

=pod

=head1 FUNCTIONS

=over

=item fleet_primary(name, %options)

A started primary with both extensions.  Options: those of new_node, and

  binary    the version that its files offer (1.0)
  database  where both extensions are, and what is served (postgres)
  gate      true: library gate_stub is preloaded, and keeps the version in
            force (see install_gate)

=cut

sub fleet_primary
{
	my ($name, %options) = @_;
	my ($binary, $gate) = (delete $options{binary} // '1.0', delete $options{gate});
	my $database = delete $options{database};
	my $conf = $settings . (defined $database ? "documentdb_upgrade.database = '$database'\n" : '') . ($gate ? "documentdb_upgrade.version_gate = 'gate_stub gate'\n" : '') . ($options{conf} // '');
	my $node = worker_node($name, streaming => 1, preload => $gate ? 'documentdb_upgrade, gate_stub' : 1,
		%options, conf => $conf, start => 0);

	raise_binary($node, $binary);
	$node->start;
	sql($node, "CREATE DATABASE $database") if defined $database;
	create_thing($node, $database);
	sql($node, 'CREATE ROLE streamer LOGIN REPLICATION');
	install_gate($node) if $gate;
	return $node;
}

=pod

=item install_gate(node)

The functions set_gate and watch, where gate_stub is preloaded.

=cut

sub install_gate
{
	my ($node) = @_;
	sql($node, q{
		SET citus.enable_ddl_propagation = off;
		CREATE FUNCTION set_gate(int, int, int) RETURNS void LANGUAGE c AS 'gate_stub', 'gate_stub_set';
		CREATE FUNCTION watch(regclass) RETURNS void LANGUAGE c AS 'gate_stub', 'gate_stub_watch'});
	return;
}

=pod

=item add_standby(upstream, name, %options)

A started standby of that server, with a copy of its installation.  Its
WAL sender has its name.  Options:

  binary    the version that its files offer (that of the upstream)
  slot      true: uses a slot of its name, which is created
  conninfo  more parameters of primary_conninfo
  conf      text for postgresql.conf
  start     false: leave it stopped

=cut

my %backups;

sub add_standby
{
	my ($upstream, $name, %options) = @_;
	my $source = $options{backup_of} // root_of($upstream);
	my $node = DocumentdbUpgrade::Node->new($name, install_path => copy_installation($upstream));

	$source->backup('fleet') unless $backups{ $source->name }++;
	$node->init_from_backup($source, 'fleet');
	$node->{fleet_root} = $source;
	raise_binary($node, $options{binary}) if defined $options{binary};
	sql($upstream, "SELECT pg_create_physical_replication_slot('$name', true)") if $options{slot};
	$node->append_conf('postgresql.conf', $options{conf}) if defined $options{conf};
	$node->set_standby_mode;
	stream_from($node, $upstream, %options);
	$node->start if $options{start} // 1;
	return $node;
}

# Where backups come from: a standby can have a base backup of any ancestor.
sub root_of { return $_[0]{fleet_root} // $_[0]; }

# A copy of a node's installation with what its files offer now.
sub copy_installation
{
	my ($node) = @_;
	my $bindir = DocumentdbUpgrade::Test::bindir();
	(my $from = $node->install_path . '/bin') =~ s/\Q$bindir\E$// or die "no installation of its own\n";
	(my $to = fresh_installation() . '/bin') =~ s/\Q$bindir\E$//;

	system_or_bail('rm', '-rf', $to);
	system_or_bail('cp', '-a', $from, $to);
	return $to . ($bindir =~ s{/bin$}{}r);
}

=pod

=item stream_from(node, upstream, %options)

Sets where a standby streams from, and reloads it if it runs.  Options:
C<slot>, C<conninfo> as above, C<user> (streamer).

=cut

sub stream_from
{
	my ($node, $upstream, %options) = @_;
	my $user = $options{user} // 'streamer';
	my $conninfo = join ' ', $upstream->connstr, "user=$user", 'application_name=' . $node->name, $options{conninfo} // ();

	$node->append_conf('postgresql.conf', "primary_conninfo = '$conninfo'\n"
		  . "primary_slot_name = '" . ($options{slot} ? $node->name : '') . "'\n");
	$node->reload if $node->{_pid};
	return;
}

=pod

=item raise_binary(node, version)

Puts in place the files that a release of that version consists of, and
nothing of later ones.

=cut

sub raise_binary
{
	my ($node, $version) = @_;
	my ($minor) = $version =~ /^1\.(\d+)$/ or die "no release $version\n";

	unlink glob extension_dir($node) . '/thing--*.sql';
	write_extension($node, 'thing', $version, map { $_ => $scripts{$_} } grep { /\.(\d+)$/ && $1 <= $minor } keys %scripts);
	return;
}

=pod

=item rewind_to(node, source, %options)

Makes a stopped server, a primary of before, a standby of that primary by
pg_rewind.  Options as for stream_from.

=cut

sub rewind_to
{
	my ($node, $source, %options) = @_;
	my $conf_file = $node->data_dir . '/postgresql.conf';
	my $conf = slurp_file($conf_file);

	# What follows on the new timeline must be in the control file.
	sql($source, 'CHECKPOINT');
	my (undef, $said) = run_command([ $node->installed_command('pg_rewind'), '--no-sync', '--target-pgdata', $node->data_dir,
		'--source-server', $source->connstr('postgres') ]);
	die "pg_rewind failed: $said\n" if $?;

	# A node that had begun to follow the new timeline when it was stopped may have
	# a part of its first segment, over which the server does not start; it asks for
	# all of it again.
	if ($said =~ /no rewind required/)
	{
		my $timeline = sprintf '%08X', sql($source, 'SELECT timeline_id FROM pg_control_checkpoint()');
		unlink glob $node->data_dir . "/pg_wal/$timeline" . '?' x 16;
	}

	# It copies configuration as it copies everything.
	unlink $conf_file, $node->data_dir . '/postgresql.auto.conf';
	append_to_file($conf_file, $conf);
	append_to_file($node->data_dir . '/postgresql.auto.conf', '');
	chmod 0600, $conf_file, $node->data_dir . '/postgresql.auto.conf';
	$node->set_standby_mode;
	stream_from($node, $source, %options);
	$node->start;
	return;
}

=pod

=item put_setting(node, setting, value)

Sets it in the configuration file, which works on a standby, and waits until
it is in force.

=cut

sub put_setting
{
	my ($node, $setting, $value) = @_;

	my $before = sql($node, 'SELECT pg_conf_load_time()');

	$node->append_conf('postgresql.conf', "$setting = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT pg_conf_load_time() > '$before'") or die "the setting never arrived\n";
	return;
}

=pod

=item standby_status(node)

A hash, status by name (or slot), of view standbys.

=item wait_for_standbys(node, %expected)

Polls until that is so for all of them; one test.

=item wait_for_report(node, standby)

Waits until a report of that standby has come which was sent after now: where it
is given as a node and not by its name, one that it is asked for.

=cut

sub standby_status
{
	my ($node) = @_;
	return map { split /\|/ } split /\n/, sql($node, q{SELECT coalesce(name, slot_name), status FROM documentdb_upgrade.standbys});
}

sub wait_for_standbys
{
	my ($node, %expected) = @_;
	my $line = join ', ', map { "$_ $expected{$_}" } sort keys %expected;
	my %status;

	poll_until(sub { %status = standby_status($node); return line_of(%status) eq $line }, "standbys: $line");
	return is(line_of(%status), $line, $node->name . ' sees the standbys: ' . ($line || 'none'))
	  || diag(sql($node, 'SELECT * FROM documentdb_upgrade.standbys'));
}

sub line_of
{
	my %status = @_;
	return join ', ', map { "$_ $status{$_}" } sort keys %status;
}

sub wait_for_report
{
	my ($node, $standby) = @_;
	my $name = ref $standby ? $standby->name : $standby;
	my $now = sql($node, 'SELECT clock_timestamp()');

	# The first one that arrives may have been sent before.
	foreach my $turn (1, 2)
	{
		sql($standby, 'SELECT documentdb_upgrade.tick()') if ref $standby;
		my $query = "FROM documentdb_upgrade.standbys WHERE name = '$name' AND reported_at > '$now'";
		$now = poll_until(sub { sql($node, "SELECT reported_at $query") }, "$name reports");
	}
	return;
}

=pod

=item blocker(node, target)

The names of standbys that guard standbys_ready names in its detail, in
order; '' when the guard passes.

=cut

sub blocker
{
	my ($node, $target) = @_;
	my $argument = defined $target ? "'$target'" : '';
	my ($status, $detail) = split /\|/, sql($node,
		"SELECT status, detail FROM documentdb_upgrade.preflight($argument) WHERE guard = 'standbys_ready'"), 2;

	return '' if $status eq 'pass';
	# One that has just come back may be named twice: as itself, and as the
	# connection that it had.
	my %named = map { $_ => 1 } $detail =~ /(?:Standby|slot) "(\w+)"/g;
	return join ' ', "$status:", sort keys %named;
}

=pod

=item has_schema(node, version)

A test: the schema there is that of this version, and whole.

=back

=cut

sub has_schema
{
	my ($node, $version, $name) = @_;
	my ($minor) = $version =~ /\.(\d+)$/;
	my $columns = join ',', 'id', map { "c$_" } 1 .. $minor;
	my $expected = join ' ', $version, "thing($columns)", map { "t$_(id)" } reverse 1 .. $minor;

	return is(shape($node), $expected, $name // $node->name . " has the schema of $version");
}

1;
