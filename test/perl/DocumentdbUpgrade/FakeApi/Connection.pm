
=pod

=head1 NAME

DocumentdbUpgrade::FakeApi::Connection - one client of the fake API server

=head1 DESCRIPTION

TLS and HTTP/1.1 with keep-alive over a socket that never blocks.  What is to
be sent is a queue of texts and of things to do between them:

  [ pause => seconds ]   nothing until then; without seconds, for ever
  [ filler => bytes ]    that many bytes of nothing in particular
  [ drip => seconds ]    one byte at a time, for ever
  [ end => how ]         "reset": an RST; "close": a FIN without a TLS goodbye

=cut

package DocumentdbUpgrade::FakeApi::Connection;

use strict;
use warnings FATAL => 'all';

use IO::Socket::SSL;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time);

my $count = 0;
my $filler = 'x' x 65536;

sub new
{
	my ($class, $socket, $context) = @_;

	$socket->blocking(0);
	IO::Socket::SSL->start_SSL($socket,
		SSL_server => 1,
		SSL_startHandshake => 0,
		SSL_reuse_ctx => $context) or return;
	return bless {
		id => ++$count, socket => $socket, fileno => fileno $socket, open => 0, dead => 0,
		in => '', out => '', queue => [], resume => 0
	}, $class;
}

sub is_dead { return $_[0]->{dead}; }
sub is_idle { return $_[0]->{out} eq '' && !@{ $_[0]->{queue} }; }

# True when there is something that can be sent now.
sub wants_write
{
	my $self = shift;
	return 1 if !$self->{open} && $self->{handshake_writes};
	return $self->{open} && ($self->{out} ne '' || (@{ $self->{queue} } && $self->{resume} <= time));
}

# When there will be something to send, or undef.
sub resumes
{
	my $self = shift;
	return @{ $self->{queue} } && $self->{resume} && $self->{resume} < 9e15 ? $self->{resume} : undef;
}

sub send { my $self = shift; push @{ $self->{queue} }, @_; return; }

# Ends the connection: "reset", "close", or properly.
sub end
{
	my ($self, $how) = @_;

	return if $self->{dead}++;
	setsockopt($self->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if ($how // '') eq 'reset';
	# A failed handshake has made it a plain socket again.
	if ($self->{open}) { $self->{socket}->close($how ? (SSL_no_shutdown => 1) : (SSL_fast_shutdown => 1)); }
	else { close $self->{socket}; }
	return;
}

# Reads what there is; true while the connection lives.
sub receive
{
	my $self = shift;

	return if $self->{dead};
	return $self->handshake unless $self->{open};
	while (1)
	{
		my $got = sysread $self->{socket}, my $buffer, 65536;

		if ($got) { $self->{in} .= $buffer; next; }
		return 1 if !defined $got && $SSL_ERROR == SSL_WANT_READ;
		$self->end('close');
		return;
	}
}

sub handshake
{
	my $self = shift;

	if ($self->{socket}->accept_SSL) { $self->{open} = 1; return 1; }
	$self->{handshake_writes} = $SSL_ERROR == SSL_WANT_WRITE;
	return 1 if $SSL_ERROR == SSL_WANT_READ || $SSL_ERROR == SSL_WANT_WRITE;
	$self->{refused} = 1;
	$self->end('close');
	return;
}

# Sends as much as goes.
sub flush
{
	my $self = shift;

	return $self->handshake unless $self->{open};
	while (!$self->{dead})
	{
		if ($self->{out} eq '')
		{
			return if !@{ $self->{queue} } || $self->{resume} > time;
			$self->{resume} = 0;
			$self->next_item(shift @{ $self->{queue} });
			next;
		}
		my $sent = syswrite $self->{socket}, $self->{out};
		if (defined $sent) { substr($self->{out}, 0, $sent) = ''; next; }
		return if $SSL_ERROR == SSL_WANT_WRITE;
		$self->end('close');
	}
	return;
}

sub next_item
{
	my ($self, $item) = @_;
	my ($kind, $value) = ref $item ? @$item : (text => $item);

	if ($kind eq 'text') { $self->{out} = $item; }
	elsif ($kind eq 'pause') { $self->{resume} = defined $value ? time + $value : 9e15; $self->send('') unless @{ $self->{queue} }; }
	elsif ($kind eq 'end') { $self->end($value); }
	elsif ($kind eq 'drip')
	{
		$self->{out} = 'x';
		unshift @{ $self->{queue} }, [ pause => $value ], $item;
	}
	elsif ($kind eq 'filler')
	{
		$self->{out} = substr $filler, 0, $value;
		unshift @{ $self->{queue} }, [ filler => $value - 65536 ] if $value > 65536;
	}
	return;
}

# Takes the next complete request out of what was received; undef when there
# is none yet.
sub next_request
{
	my $self = shift;
	my ($head, $rest) = split /\r\n\r\n/, $self->{in}, 2;

	return unless defined $rest;
	my ($line, @lines) = split /\r\n/, $head;
	my %headers = map { /^([^:]+):\s*(.*?)\s*$/ ? (lc $1 => $2) : () } @lines;
	my $length = $headers{'content-length'} // 0;
	if (length $rest < $length)
	{
		$self->send("HTTP/1.1 100 Continue\r\n\r\n")
		  if lc($headers{expect} // '') eq '100-continue' && !$self->{continued}++;
		return;
	}
	$self->{continued} = 0;
	$self->{in} = substr $rest, $length;
	my ($method, $target, $version) = split / /, $line;
	my ($path, $query) = split /\?/, $target // '', 2;
	return {
		method => $method, target => $target, path => decoded($path), version => $version,
		query => { map { my ($k, $v) = split /=/, $_, 2; (decoded($k) => decoded($v // '')) } split /&/, $query // '' },
		headers => \%headers, body => substr($rest, 0, $length), connection => $self->{id}
	};
}

sub decoded { return $_[0] =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger; }

sub chunk { return sprintf "%x\r\n%s\r\n", length $_[0], $_[0]; }

# The first lines of an answer.
sub head
{
	my ($status, %headers) = @_;
	my %reasons = (200 => 'OK', 201 => 'Created', 307 => 'Temporary Redirect', 400 => 'Bad Request', 401 => 'Unauthorized',
		403 => 'Forbidden', 404 => 'Not Found', 409 => 'Conflict', 410 => 'Gone', 415 => 'Unsupported Media Type',
		422 => 'Unprocessable Entity', 429 => 'Too Many Requests', 500 => 'Internal Server Error', 503 => 'Service Unavailable');

	return join "\r\n", "HTTP/1.1 $status " . ($reasons{$status} // 'Status'), 'Cache-Control: no-cache, private',
		(map { "$_: $headers{$_}" } sort keys %headers), '', '';
}

1;
