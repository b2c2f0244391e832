
=pod

=head1 NAME

DocumentdbUpgrade::Parity - a parity engine that follows a script

=head1 SYNOPSIS

  my ($here, $there) = (stub_node('here'), stub_node('there'));

  order($here, [ 0, run => 'SELECT to_json(1)', 'SELECT to_json(2)' ]);
  run_ok($here, {}, $there);
  is_deeply(answers($here), [ { local => 1, remote => 2 } ], 'both sides');

=head1 DESCRIPTION

Tests of the processes behind a parity run, without its engine: the engine's
three functions are replaced by ones that give out the steps of a table and
keep the answers in another.

=cut

package DocumentdbUpgrade::Parity;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(stub_node install_stub conninfo call order run_ok answers short_answers failures await_left);

my $stub = q{
CREATE SCHEMA stub;
CREATE TABLE stub.steps (id serial, worker int, action text, local text, remote text, wait_ms int);
CREATE TABLE stub.answers (id serial, worker int, pid int DEFAULT pg_backend_pid(), answer jsonb);
CREATE TABLE stub.failures (run bigint, error jsonb);
CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.parity_begin(options jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	IF options ? 'fail' THEN
		RAISE EXCEPTION 'it cannot begin' USING ERRCODE = options->>'fail', DETAIL = 'A detail.', HINT = 'A hint.';
	END IF;
	RETURN 7;
END $$;
CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.parity_next(run bigint, worker integer, answer jsonb,
	OUT action text, OUT local text, OUT remote text, OUT wait_ms integer) LANGUAGE plpgsql AS $$
BEGIN
	IF answer IS NOT NULL THEN
		INSERT INTO stub.answers (worker, answer) VALUES (worker, answer);
	END IF;
	DELETE FROM stub.steps s WHERE s.id = (SELECT min(m.id) FROM stub.steps m WHERE m.worker = parity_next.worker)
		RETURNING s.action, s.local, s.remote, s.wait_ms INTO action, local, remote, wait_ms;
	action := coalesce(action, 'done');
	IF action = 'fail' THEN
		RAISE EXCEPTION USING ERRCODE = 'XX001', MESSAGE = 'the engine fails';
	END IF;
END $$;
CREATE OR REPLACE FUNCTION documentdb_upgrade_internal.parity_fail(run bigint, error jsonb) RETURNS void LANGUAGE sql AS
	'INSERT INTO stub.failures VALUES (run, error)';

-- Keeps a processor busy for so long.
CREATE FUNCTION public.take(ms double precision) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
	begun timestamptz := clock_timestamp();
BEGIN
	LOOP
		EXIT WHEN clock_timestamp() > begun + ms * interval '1 ms';
	END LOOP;
	RETURN json '"taken"';
END $$;
-- Waits at a gate: an advisory lock that the test holds.
CREATE FUNCTION public.gate() RETURNS json LANGUAGE sql AS $$
	SELECT json '"through"' FROM (SELECT pg_advisory_xact_lock_shared(42)) AS waited
$$;
};

=pod

=head1 FUNCTIONS

=over

=item stub_node(name, %options)

A started node with our extension and the stub engine; options of new_node.

=item install_stub(node)

The same in a node that has been started already.

=item conninfo(node, more)

How to connect to a node.

=cut

sub stub_node
{
	my ($name, %options) = @_;
	my $node = new_node($name, %options);

	install_stub($node);
	return $node;
}

sub install_stub
{
	my $node = shift;

	sql($node, "CREATE EXTENSION documentdb_upgrade; $stub");
	return;
}

sub conninfo
{
	my ($node, $more) = @_;
	my $conninfo = sprintf "host=%s port=%d dbname=postgres user=%s", $node->host, $node->port, scalar getpwuid($<);

	return $conninfo . (defined $more ? " $more" : '');
}

=pod

=item order(node, [ worker, action, local, remote, wait_ms ], ...)

Steps for the workers.

=item call(options, conninfo)

The call, as SQL: options as a hash; the other server as a node or a string.

=item run_ok(node, options, conninfo)

Runs it, in a session of its own.

=cut

sub quote
{
	my $value = shift;
	return 'NULL' unless defined $value;
	$value =~ s/'/''/g;
	return "'$value'";
}

sub order
{
	my ($node, @steps) = @_;

	sql($node, 'INSERT INTO stub.steps (worker, action, local, remote, wait_ms) VALUES '
		  . join(', ', map { '(' . join(', ', map { quote($_) } @{$_}[ 0 .. 4 ]) . ')' } @steps));
	return;
}

sub call
{
	my ($options, $there) = @_;

	$there = conninfo($there) if ref $there;
	return sprintf 'SELECT documentdb_upgrade_internal.run_parity(%s, %s)', quote(encode_json($options)), quote($there);
}

sub run_ok
{
	my ($node, $options, $there) = @_;
	my $result = try_sql($node, call($options, $there));

	is($result->{stdout}, '7', 'the run comes to its end') or diag($result->{stderr});
	return;
}

=pod

=item answers(node)

What was answered, in order, and forgets it.

=item short_answers(node)

The same, each side cut down to its value, or its SQLSTATE and message.

=item failures(node)

The same for what the engine was told of failures.

=cut

sub take_rows
{
	my ($node, $column, $table) = @_;
	my $json = sql($node, "WITH gone AS (DELETE FROM stub.$table RETURNING *)
		SELECT coalesce(json_agg($column), '[]') FROM gone");

	return JSON::PP->new->utf8->decode($json);
}

sub answers
{
	my $node = shift;
	my $rows = take_rows($node, "jsonb_build_object('id', id, 'worker', worker, 'pid', pid) || answer", 'answers');

	return [ sort { $a->{id} <=> $b->{id} } @$rows ];
}

sub short_answers
{
	my $node = shift;
	my @short;

	foreach my $answer (@{ answers($node) })
	{
		push @short, { map { ($_ => short($answer->{$_})) } grep { exists $answer->{$_} } qw(local remote) };
	}
	return \@short;
}

sub short
{
	my $side = shift;
	my $error = $side->{error} or return $side->{value};

	return "$error->{sqlstate} $error->{message}";
}

sub failures { return take_rows($_[0], 'error', 'failures'); }

=pod

=item await_left(what, node, ...)

Waits until nothing of a run is left in these nodes: no process, no session of
another server's, no exported snapshot.

=back

=cut

sub await_left
{
	my ($what, @nodes) = @_;
	my $left = q{SELECT string_agg(concat_ws(' ', backend_type, state, query), '; ') FROM pg_stat_activity
		WHERE backend_type = 'documentdb_upgrade parity' OR application_name = 'documentdb_upgrade parity'};
	my $none = 1;

	foreach my $node (@nodes)
	{
		$none &&= $node->poll_query_until('postgres', "SELECT coalesce(($left), '') = ''
			AND NOT EXISTS (SELECT FROM pg_ls_dir('pg_snapshots'))") || !diag(sql($node, $left));
	}
	ok($none, "$what: nothing is left");
	return;
}

1;
