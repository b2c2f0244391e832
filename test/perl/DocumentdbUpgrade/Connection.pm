
=pod

=head1 NAME

DocumentdbUpgrade::Connection - a session with a server that takes no process

=head1 SYNOPSIS

  my $connection = DocumentdbUpgrade::Connection->new($node, dbname => 'postgres')
    or die 'psql may tell why';
  my $result = $connection->run('BEGIN; INSERT ...; COMMIT', verbose => 1, on_error_stop => 1);
  $connection->close;

=head1 DESCRIPTION

Starting psql takes more of a machine than what most tests ask of it: twice as
much as the server takes to begin the session.  So this speaks the protocol
itself, and does what psql does with SQL on its standard input: a statement
after the other, values as psql -XAtq prints them, messages as it prints them.

What goes beyond that is left to psql; C<understands> tells.

=cut

package DocumentdbUpgrade::Connection;

use strict;
use warnings FATAL => 'all';

use IO::Select;
use IO::Socket::UNIX;

=pod

=head1 METHODS

=over

=item understands(sql)

False for what only psql can do: its own commands, data for COPY, bodies of
functions in plain SQL.  Backslashes in strings are not told from commands.

=cut

sub understands { return $_[0] !~ /\\|\bCOPY\b.*\bSTDIN\b|\bATOMIC\b/is; }

=pod

=item new(node, %options)

Connects through the node's socket; nothing when it cannot be reached, refuses,
or asks for a password.  Options: C<dbname>, C<user>.  Heeds PGOPTIONS,
PGAPPNAME and PGUSER.

=cut

sub new
{
	my ($class, $node, %options) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or return;
	my $self = bless { socket => $socket, buffer => '' }, $class;
	my %parameters = (
		user => $options{user} // $ENV{PGUSER} // scalar(getpwuid $>),
		database => $options{dbname},
		application_name => $ENV{PGAPPNAME} // 'psql');

	$parameters{options} = $ENV{PGOPTIONS} if defined $ENV{PGOPTIONS};
	my $packet = pack('N', 3 << 16) . join('', map { "$_\0" } %parameters) . "\0";
	$self->write(pack('N', 4 + length $packet) . $packet);
	while (my ($type, $body) = $self->message)
	{
		return $self if $type eq 'Z';
		return if $type eq 'E' || ($type eq 'R' && unpack('N', $body) != 0);
	}
	return;
}

=pod

=item run(sql, %options)

Runs all statements and gives a hash: C<stdout>, C<stderr>, C<failed> (any of
them did) and C<lost> (the session ended).  Options: C<on_error_stop> true: not
those after the first that fails; C<verbose> true: messages with SQLSTATE.

=cut

sub run
{
	my ($self, $sql, %options) = @_;
	my %result = (stdout => '', stderr => '', failed => 0, lost => 0);

	foreach my $statement (statements($sql))
	{
		$self->run_one($statement, \%result, $options{verbose});
		last if $result{lost} || ($result{failed} && $options{on_error_stop});
	}
	return \%result;
}

sub run_one
{
	my ($self, $statement, $result, $verbose) = @_;

	$self->send('Q', "$statement\0");
	while (my ($type, $body) = $self->message)
	{
		if ($type eq 'D') { $result->{stdout} .= row($body) . "\n"; }
		elsif ($type eq 'd') { $result->{stdout} .= $body; }
		elsif ($type eq 'A') { $result->{stdout} .= notification($body); }
		elsif ($type eq 'N') { $result->{stderr} .= text_of($verbose, fields($body)); }
		elsif ($type eq 'E') { $result->{stderr} .= text_of($verbose, fields($body)); $result->{failed} = 1; }
		elsif ($type eq 'G') { $self->send('f', "there are no data for COPY\0"); }
		elsif ($type eq 'Z') { return; }
	}
	$result->{lost} = $result->{failed} = 1;
	$result->{stderr} .= "server closed the connection unexpectedly\npsql:<stdin>:1: error: connection to server was lost\n";
	return;
}

=pod

=item ended

True when the server has ended the session, or has said something unasked.

=item close

Ends the session and waits until the server's process has ended.

=back

=cut

sub ended { return IO::Select->new($_[0]{socket})->can_read(0) ? 1 : 0; }

sub close
{
	my ($self) = @_;

	$self->send('X', '');
	while ($self->message) { }
	return;
}

# The statements, as psql tells them apart.
sub statements
{
	my ($sql) = @_;
	my ($begin, $depth, $content, @statements) = (0, 0, 0);

	utf8::encode($sql) if utf8::is_utf8($sql);
	pos($sql) = 0;
	while (pos $sql < length $sql)
	{
		next if $sql =~ /\G(?:\s+|--[^\n]*)/gc;
		next if $sql =~ m{\G(/\*(?:[^*/]|\*(?!/)|/(?!\*)|(?1))*\*/)}gc;
		if ($depth <= 0 && $sql =~ /\G;/gc)
		{
			push @statements, substr $sql, $begin, pos($sql) - $begin if $content;
			($begin, $content) = (pos $sql, 0);
			next;
		}
		$content = 1;
		next if $sql =~ /\G(?:'[^']*'|"[^"]*"|[A-Za-z_\x80-\xff][\w\$\x80-\xff]*)/gc;
		next if $sql =~ /\G(\$(?:[A-Za-z_]\w*)?\$).*?\1/gcs;
		$depth++ if $sql =~ /\G(?=\()/gc;
		$depth-- if $sql =~ /\G(?=\))/gc;
		$sql =~ /\G./gcs;
	}
	push @statements, substr $sql, $begin if $content;
	return @statements;
}

# A row as psql -At prints it.
sub row
{
	my ($body) = @_;
	my ($columns, $at, @values) = (unpack('n', $body), 2);

	foreach (1 .. $columns)
	{
		my $length = unpack 'N', substr $body, $at, 4;
		$at += 4;
		$length = 0 if $length == 0xffffffff;
		push @values, substr $body, $at, $length;
		$at += $length;
	}
	return join '|', @values;
}

sub notification
{
	my ($pid, $channel, $payload) = unpack 'N Z* Z*', $_[0];
	return qq{Asynchronous notification "$channel" }
	  . ($payload eq '' ? '' : qq{with payload "$payload" })
	  . "received from server process with PID $pid.\n";
}

# The fields of an error or notice by their letter.
sub fields { return map { substr($_, 0, 1) => substr $_, 1 } split /\0/, $_[0]; }

# A message as psql prints it, but for the excerpt of the statement.
sub text_of
{
	my ($verbose, %field) = @_;
	my $text = "psql:<stdin>:1: $field{S}:  " . ($verbose ? "$field{C}: " : '') . "$field{M}\n";
	my @more = (D => 'DETAIL', H => 'HINT', q => 'QUERY');

	push @more, W => 'CONTEXT' if $field{V} =~ /^(?:ERROR|FATAL|PANIC)$/;
	while (my ($letter, $name) = splice @more, 0, 2)
	{
		$text .= "$name:  $field{$letter}\n" if defined $field{$letter};
	}
	$text .= "LOCATION:  $field{R}, $field{F}:$field{L}\n" if $verbose && defined $field{R};
	return $text;
}

sub send
{
	my ($self, $type, $body) = @_;
	return $self->write($type . pack('N', 4 + length $body) . $body);
}

# A server that is gone shows in what is read.
sub write
{
	my ($self, $bytes) = @_;

	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes)
	{
		my $written = syswrite $self->{socket}, $bytes;
		next if !defined $written && $!{EINTR};
		return unless $written;
		substr($bytes, 0, $written) = '';
	}
	return;
}

# The type and body of the next message; nothing when the server has closed.
sub message
{
	my ($self) = @_;

	$self->fill(5) or return;
	my ($type, $length) = unpack 'a N', $self->{buffer};
	$self->fill(1 + $length) or return;
	my $body = substr $self->{buffer}, 5, $length - 4;
	substr($self->{buffer}, 0, 1 + $length) = '';
	return ($type, $body);
}

sub fill
{
	my ($self, $wanted) = @_;

	while (length $self->{buffer} < $wanted)
	{
		my $read = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
		next if !defined $read && $!{EINTR};
		return 0 unless $read;
	}
	return 1;
}

1;
