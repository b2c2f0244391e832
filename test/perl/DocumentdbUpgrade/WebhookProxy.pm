
=pod

=head1 NAME

DocumentdbUpgrade::WebhookProxy - an HTTPS server that hands reviews to a database

=head1 SYNOPSIS

  my $proxy = DocumentdbUpgrade::WebhookProxy->new($node, "$dir/server.crt", "$dir/server.key", user => 'operator');
  my $url = $proxy->url;                     # of admission reviews
  my $other = $proxy->conversion_url;        # of conversion reviews
  my ($last) = reverse $proxy->exchanges;    # what was asked and answered

=head1 DESCRIPTION

What an operator's webhook does, and no more: the body of each POST goes to
run_admission_review() or run_conversion_review() as it is, and its answer comes back.  A statement that
fails gives HTTP 500, which API servers treat as a webhook that cannot be
reached.  It keeps one session, as an operator's pool does, and connects anew when
that has ended.  It ends with the test.

=cut

package DocumentdbUpgrade::WebhookProxy;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Connection;
use IO::Socket::SSL;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

# What is called for a path.
my %procedures = ('/admission' => 'run_admission_review', '/convert' => 'run_conversion_review');
my @running;

sub new
{
	my ($class, $node, $certificate, $key, %options) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $log = PostgreSQL::Test::Utils::tempdir('webhook') . '/exchanges';
	my $socket = IO::Socket::SSL->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 10, ReuseAddr => 1,
		SSL_cert_file => $certificate, SSL_key_file => $key) or die "could not listen: $!, $SSL_ERROR\n";
	my $self = bless { url => "https://127.0.0.1:$port", log => $log }, $class;
	my $connection;
	my $call = sub {
		undef $connection if $connection && $connection->ended;
		$connection //= DocumentdbUpgrade::Connection->new($node, dbname => 'postgres', user => $options{user});
		return $connection ? $connection->run($_[0]) : { failed => 1, stderr => 'could not connect to the database' };
	};

	append_to_file($log, '');
	defined(my $pid = fork) or die "could not fork: $!\n";
	if (!$pid)
	{
		@running = ();
		eval { serve($socket, $log, $call); 1 } or warn "webhook: $@" while getppid() != 1;
		POSIX::_exit(0);
	}
	$socket->close(SSL_no_shutdown => 1);
	$self->{pid} = $pid;
	push @running, $self;
	return $self;
}

sub url { return "$_[0]->{url}/admission"; }

sub conversion_url { return "$_[0]->{url}/convert"; }

# Pairs of decoded review and answer, oldest first; a failure is a text in place of the
# answer.
sub exchanges
{
	my $self = shift;
	return map { my ($review, $answer) = map { decode_json($_) } split /\t/; [ $review, ref $answer eq 'ARRAY' ? @$answer : $answer ] }
	  split /\n/, slurp_file($self->{log});
}

# One request.
sub serve
{
	my ($socket, $log, $call) = @_;
	my $client = $socket->accept or return;
	my ($length, $body) = (0, '');
	my ($path) = (<$client> // '') =~ m{^POST ([^ ?]+)} or return;

	while (defined(my $line = <$client>))
	{
		$length = $1 if $line =~ /^Content-Length: (\d+)/i;
		last if $line =~ /^\r?\n$/;
	}
	while (length $body < $length) { read($client, $body, $length - length $body, length $body) or return; }
	my $result = $call->("CALL documentdb_upgrade.$procedures{$path}(\$review\$$body\$review\$)");
	my ($code, $type, $answer) = $result->{failed}
		? ('500 Failed', 'text/plain', $result->{stderr}) : ('200 OK', 'application/json', $result->{stdout});
	# Logged first: who has the answer may look.
	append_to_file($log, join("\t", map { s/[\r\n]//gr } $body, $result->{failed} ? encode_json([$answer]) : $answer) . "\n");
	print $client "HTTP/1.1 $code\r\nContent-Type: $type\r\nContent-Length: ", length $answer, "\r\nConnection: close\r\n\r\n$answer";
	close $client;
	return;
}

sub stop
{
	my $self = shift;
	my $pid = delete $self->{pid} or return;

	kill 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

END
{
	my $status = $?;
	$_->stop foreach @running;
	$? = $status;
}

1;
