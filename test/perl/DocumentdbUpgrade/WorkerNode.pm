
=pod

=head1 NAME

DocumentdbUpgrade::WorkerNode - a node whose worker needs no Kubernetes

=head1 SYNOPSIS

  my $node = worker_node('main');
  my $gate = close_gate($node);

  desire($node, '1.2');
  my $pid = attempt_at_gate($node);    # it waits inside its second script
  $gate->quit;
  wait_for_state($node, 'up_to_date');
  is(shape($node), $shape_of{'1.2'}, 'the schema is there');
  is(attempts($node), '1.0 1.2 succeeded worker', 'after one attempt');

=head1 DESCRIPTION

The extension that is managed is "thing", installed at 1.0 with files up to
1.2; its last script stops at the gate, an advisory lock, when that is closed.

=cut

package DocumentdbUpgrade::WorkerNode;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  worker_node create_thing set_and_reload desire require_standby
  close_gate attempt_at_gate process_of wait_for_looks comes_true
  shape $shape_query %shape_of attempts logged count_logged lines_logged
);

# What the extension consists of, by version.
our %shape_of = (
	'1.0' => '1.0 thing(id)',
	'1.1' => '1.1 thing(id,one)',
	'1.2' => '1.2 thing(id,one,two) last(id)');

my %scripts = (
	'1.0' => 'CREATE TABLE thing (id int);',
	'1.0--1.1' => 'ALTER TABLE thing ADD one int;',
	'1.1--1.2' => "ALTER TABLE thing ADD two int;\nSELECT pg_advisory_xact_lock(42);\nCREATE TABLE last (id int);");

=pod

=head1 FUNCTIONS

=over

=item worker_node(name, %options)

A started node with an installation of its own, our library preloaded and both
extensions installed.  Options: those of new_node; C<scripts>, a hash with
those that differ; C<create> false: without the extensions.

That nothing was rehearsed is no warning here, so logs can be counted.  The
pace is quick, except that a test which sets poll_interval to an hour
proves that nothing waits for it.

=cut

sub worker_node
{
	my ($name, %options) = @_;
	my ($scripts, $create) = (delete $options{scripts} // {}, delete $options{create} // 1);
	my $start = delete $options{start} // 1;
	my $node = new_node($name, preload => 1, own_installation => 1, %options, start => 0, conf => q{
documentdb_upgrade.extension = 'thing'
documentdb_upgrade.lock_timeout = '1h'
documentdb_upgrade.poll_interval = '100ms'
documentdb_upgrade.retry_min = '50ms'
documentdb_upgrade.retry_max = '200ms'
documentdb_upgrade.guard_severity = 'rehearsed=skip'
} . ($options{conf} // ''));

	write_extension($node, 'thing', '1.2', %scripts, %$scripts);
	return $node unless $start;
	$node->start;
	create_thing($node) if $create;
	return $node;
}

=pod

=item create_thing(node, dbname)

Both extensions.

=cut

sub create_thing
{
	my ($node, $dbname) = @_;
	sql($node, q{BEGIN; CREATE EXTENSION thing VERSION '1.0'; CREATE EXTENSION documentdb_upgrade; COMMIT}, $dbname);
	return;
}

=pod

=item set_and_reload(node, setting, value)

By ALTER SYSTEM and a reload.

=item desire(node, version)

The desired version for source setting.

=cut

sub set_and_reload
{
	my ($node, $setting, $value) = @_;
	sql($node, "LOAD 'documentdb_upgrade'; ALTER SYSTEM SET $setting = '$value'");
	sql($node, 'SELECT pg_reload_conf()');
	return;
}

sub desire
{
	my ($node, $version) = @_;
	set_and_reload($node, 'documentdb_upgrade.desired_schema_version', $version);
	return;
}

=pod

=item require_standby(node, name)

From now on a commit waits for the synchronous standby of that name; '' for
none.

=cut

sub require_standby
{
	my ($node, $name) = @_;

	# The checkpointer puts it in force, before the checkpoint.
	set_and_reload($node, 'synchronous_standby_names', $name);
	$node->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = '$name'")
	  or die "the setting never arrived\n";
	sql($node, 'CHECKPOINT');
	return;
}

=pod

=item close_gate(node, dbname)

A session that holds the lock which the last script waits for.

=item attempt_at_gate(node)

Waits until an attempt of the worker waits there; its process.

=item process_of(node, what)

The process of type "documentdb_upgrade what", waited for.

=item wait_for_looks(node, n)

Waits until the worker has read its source that often, which is when it has
had as many occasions to do something.

=item comes_true(node, query)

Polls until the query gives true; like poll_query_until, but a server that
cannot be reached now does not end the test.

=cut

sub close_gate
{
	my ($node, $dbname) = @_;
	my $session = DocumentdbUpgrade::Session->new($node, dbname => $dbname);
	$session->run('SELECT pg_advisory_lock(42)');
	return $session;
}

sub attempt_at_gate
{
	my $node = shift;
	return wait_for_pid($node, 'attempt', q{AND wait_event = 'advisory'});
}

sub process_of
{
	my ($node, $what) = @_;
	return wait_for_pid($node, $what, '');
}

sub wait_for_looks
{
	my ($node, $looks) = @_;
	my $contact = 'FROM documentdb_upgrade.status';

	foreach (1 .. $looks)
	{
		comes_true($node, "SELECT last_contact IS NOT NULL $contact");
		my $last = sql($node, "SELECT last_contact $contact");
		comes_true($node, "SELECT last_contact > '$last' $contact") or die "the worker does not look any more\n";
	}
	return;
}

sub comes_true
{
	my ($node, $query) = @_;
	return poll_until(
		sub { (eval { try_sql($node, $query) } // { stdout => '' })->{stdout} eq 't' }, "this is true: $query");
}

sub wait_for_pid
{
	my ($node, $what, $condition) = @_;
	return poll_until(
		sub { try_sql($node, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade $what' $condition")->{stdout} },
		"there is a process: $what $condition");
}

=pod

=item shape(node, dbname)

What the extension consists of, to be compared with one of C<%shape_of>; C<$shape_query>
asks for it.

=item attempts(node, dbname)

The rows of history, one line each: versions, outcome and actor.

=cut

our $shape_query = q{
	SELECT concat_ws(' ', extversion, (SELECT string_agg(t, ' ' ORDER BY t DESC) FROM (
		SELECT format('%s(%s)', relname, string_agg(attname, ',' ORDER BY attnum)) AS t
		FROM pg_depend JOIN pg_class c ON c.oid = objid JOIN pg_attribute ON attrelid = c.oid
		WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_extension'::regclass AND refobjid = e.oid
		AND deptype = 'e' AND attnum > 0 GROUP BY relname) AS relations))
	FROM pg_extension e WHERE extname = 'thing'};

sub shape { my ($node, $dbname) = @_; return sql($node, $shape_query, $dbname); }

sub attempts
{
	my ($node, $dbname) = @_;
	return sql($node, q{SELECT concat_ws(' ', from_version, to_version, outcome, actor)
		FROM documentdb_upgrade.history ORDER BY id}, $dbname);
}

=pod

=item logged(node, offset)

The server's log from there on.

=item count_logged(node, regexp, offset)

How often it matches.

=back

=cut

sub logged
{
	my ($node, $offset) = @_;
	return slurp_file($node->logfile, $offset);
}

sub count_logged
{
	my ($node, $regexp, $offset) = @_;
	return scalar(() = logged($node, $offset) =~ /$regexp/g);
}

# The lines of the log that match, for a test that expects none.
sub lines_logged
{
	my ($node, $regexp, $offset) = @_;
	return join("\n", grep { /$regexp/ } split /\n/, logged($node, $offset));
}

1;
