
=pod

=head1 NAME

DocumentdbUpgrade::Session - a session whose statements can be left waiting

=head1 SYNOPSIS

  my $session = DocumentdbUpgrade::Session->new($node);

  $session->run('BEGIN');
  $session->start('LOCK TABLE t');    # may wait for somebody
  $session->wait_for(q{wait_event_type = 'Lock'});
  my $result = $session->finish;      # as try_sql gives it
  $session->quit;

=cut

package DocumentdbUpgrade::Session;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test ();

=pod

=head1 METHODS

=over

=item new(node, %options)

Connects.  Options: C<dbname> (postgres), C<user>.

=cut

sub new
{
	my ($class, $node, %options) = @_;
	my @params = ('-v', 'VERBOSITY=verbose');

	push @params, '-U', $options{user} if defined $options{user};
	my $psql = $node->background_psql(
		$options{dbname} // 'postgres',
		on_error_stop => 0,
		extra_params => \@params);
	my $self = bless { node => $node, psql => $psql }, $class;

	# The time is for one statement, not for all that the session does.
	$psql->set_query_timer_restart;

	$self->{pid} = $self->run('SELECT pg_backend_pid()')->{stdout};
	return $self;
}

=pod

=item pid

Process ID of the session's backend.

=cut

sub pid { return $_[0]->{pid}; }

=pod

=item start(sql)

Sends SQL and does not wait for it.

=item finish

Waits for all that was sent; gives the hash that try_sql gives.

=item run(sql)

Both: sends SQL and waits.

=cut

sub start
{
	my ($self, $sql) = @_;
	my $psql = $self->{psql};

	$psql->{stdin} .= "$sql\n;\n";
	$psql->{run}->pump_nb;
	return;
}

sub finish
{
	my $self = shift;
	my $stdout = $self->{psql}->query('');

	return $self->result($stdout);
}

sub run
{
	my ($self, $sql) = @_;
	$self->start($sql);
	return $self->finish;
}

sub result
{
	my ($self, $stdout) = @_;
	my $psql = $self->{psql};
	my $stderr = $psql->{stderr};

	$psql->{stderr} = '';
	return DocumentdbUpgrade::Test::result_of($stdout, $stderr);
}

=pod

=item finish_lost

For a session that the server ends: waits until it has, gives the same hash.
The session cannot be used any more.

=cut

sub finish_lost
{
	my $self = shift;
	my $psql = $self->{psql};

	$psql->{timeout}->start;
	eval { $psql->{run}->finish };
	return $self->result($psql->{stdout});
}

=pod

=item wait_for(condition)

Waits until the session's row in pg_stat_activity meets the condition.

=cut

sub wait_for
{
	my ($self, $condition) = @_;
	return $self->{node}->poll_query_until('postgres',
		"SELECT $condition FROM pg_stat_activity WHERE pid = $self->{pid}")
	  || die "session $self->{pid} never came to: $condition\n";
}

=pod

=item vanish

Ends the client as a crash would, without a word to the server.

=item quit

Ends the session properly.

=cut

sub vanish
{
	my $run = $_[0]->{psql}{run};
	$run->signal('KILL');
	eval { $run->finish };
	return;
}

sub quit { $_[0]->{psql}->quit; return; }

=pod

=back

=cut

1;
