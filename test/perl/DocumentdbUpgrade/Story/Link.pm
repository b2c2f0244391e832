
=pod

=head1 NAME

DocumentdbUpgrade::Story::Link - a way between two servers that can be cut

=head1 SYNOPSIS

  my $link = DocumentdbUpgrade::Story::Link->new($upstream);
  stream_from($standby, $upstream, conninfo => $link->conninfo);
  $link->cut;     # nothing comes through, and nobody is told
  $link->heal;

=head1 DESCRIPTION

A process between a standby and the socket of its upstream.  When it is cut it is
stopped: both ends see what they see when a network drops every packet.

=cut

package DocumentdbUpgrade::Story::Link;

use strict;
use warnings FATAL => 'all';

use IO::Select;
use IO::Socket::UNIX;
use PostgreSQL::Test::Utils ();
use POSIX ();

# What waits for a reader that does not read.
use constant MOST_BUFFERED => 1 << 20;

=pod

=head1 METHODS

=over

=item new(upstream)

=item conninfo

What is to be in primary_conninfo beyond what leads to the upstream itself.

=cut

sub new
{
	my ($class, $upstream) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir_short();
	my $self = bless { dir => "$dir", guard => $dir, port => $upstream->port, owner => $$, cut => 0 }, $class;
	my $listener = IO::Socket::UNIX->new(Local => "$dir/.s.PGSQL.$self->{port}", Listen => 20) or die "could not listen: $!\n";

	defined($self->{pid} = fork) or die "could not fork: $!\n";
	if ($self->{pid} == 0)
	{
		local $SIG{PIPE} = 'IGNORE';
		eval { relay($listener, $upstream->host . "/.s.PGSQL.$self->{port}") };
		POSIX::_exit(0);
	}
	close $listener;
	return $self;
}

sub conninfo { return "host=$_[0]{dir} port=$_[0]{port}"; }

=pod

=item cut, heal, is_cut

=item stop

Ends it, and with it what goes over it; also done when the object goes.

=back

=cut

sub cut { my ($self) = @_; kill 'STOP', $self->{pid}; $self->{cut} = 1; return; }
sub heal { my ($self) = @_; kill 'CONT', $self->{pid}; $self->{cut} = 0; return; }
sub is_cut { return $_[0]{cut}; }

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	return if $self->{owner} != $$;

	local ($?, $!);
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

sub DESTROY { $_[0]->stop; return; }

# Ends with the process that started it.
sub relay
{
	my ($listener, $target) = @_;
	my $parent = getppid;
	my (%peer, %waiting);    # by file number: the other end, and what is to be written there

	while (getppid == $parent)
	{
		my @ends = map { $_->{socket} } values %peer;
		my $readers = IO::Select->new($listener, grep { length $waiting{ $peer{ fileno $_ }{peer} } < MOST_BUFFERED } @ends);
		my $writers = IO::Select->new(grep { length $waiting{ fileno $_ } } @ends);
		my ($readable, $writable) = IO::Select->select($readers, $writers, undef, 1) or next;

		foreach my $socket (@$readable)
		{
			if ($socket == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::UNIX->new(Peer => $target) or next;
				$peer{ fileno $client } = { socket => $client, peer => fileno $server };
				$peer{ fileno $server } = { socket => $server, peer => fileno $client };
				$waiting{ fileno $_ } = '' foreach $client, $server;
				$_->blocking(0) foreach $client, $server;
				next;
			}
			my $end = defined fileno $socket && $peer{ fileno $socket } or next;
			my $read = sysread $socket, my $bytes, 65536;
			if ($read) { $waiting{ $end->{peer} } .= $bytes; }
			elsif (defined $read || !$!{EAGAIN}) { hang_up(\%peer, \%waiting, fileno $socket); }
		}
		foreach my $socket (@$writable)
		{
			my $end = defined fileno $socket && $peer{ fileno $socket } or next;
			my $written = syswrite $socket, $waiting{ fileno $socket };
			if (defined $written) { substr($waiting{ fileno $socket }, 0, $written) = ''; }
			elsif (!$!{EAGAIN}) { hang_up(\%peer, \%waiting, fileno $socket); }
		}
	}
	return;
}

# One end has closed: what it has said still goes to the other one, if that reads it now.
sub hang_up
{
	my ($peer, $waiting, $end) = @_;
	my $other = $peer->{$end}{peer};

	syswrite $peer->{$other}{socket}, $waiting->{$other} if length $waiting->{$other};
	close delete($peer->{$_})->{socket} foreach $end, $other;
	delete @$waiting{ $end, $other };
	return;
}

1;
