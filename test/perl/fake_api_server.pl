# The fake API server of DocumentdbUpgrade::FakeApi, which starts it: one
# process that answers every connection and takes commands, a line of JSON
# each, from its standard input.  When that ends, so does the process: it
# cannot outlive the test.  Argument: a directory, where the certificates of
# those it trusts go.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::FakeApi::Answers;
use DocumentdbUpgrade::FakeApi::Connection;
use DocumentdbUpgrade::FakeApi::Objects;
use File::Path qw(remove_tree);
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::SSL;
use IO::Socket::SSL::Utils;
use Time::HiRes qw(time);

my ($dir) = @ARGV;
my $objects = DocumentdbUpgrade::FakeApi::Objects->new(namespace => 'lab');
my (%contexts, $certificate, $listener, $port, %connections, @faults, @log);
my %counts = (accepted => 0, tls_failures => 0);
my $commands = '';

$SIG{PIPE} = 'IGNORE';
STDOUT->autoflush(1);
$objects->{on_event} = \&feed_watches;
new_authority();
listen_again();
run();

#
# Certificates
#

sub certificate_of
{
	my ($issuer, $issuer_key, %options) = @_;
	return CERT_create(
		issuer_cert => $issuer, issuer_key => $issuer_key, key => KEY_create_ec('prime256v1'),
		subject => { commonName => 'kube-apiserver' }, purpose => 'server',
		not_before => time - 2 * 86400, not_after => time + 86400,
		subjectAltNames => [ [ IP => '127.0.0.1' ] ], %options);
}

sub authority
{
	return CERT_create(CA => 1, key => KEY_create_ec('prime256v1'), subject => { commonName => 'throw-away CA ' . new_uid() },
		not_before => time - 2 * 86400, not_after => time + 86400);
}

# A new authority, whose certificate file the test gets, and the certificates
# that this server can show.
sub new_authority
{
	my @ours = authority();
	my @other = authority();
	my %pairs = (
		good => [ certificate_of(@ours) ],
		other_ca => [ certificate_of(@other) ],
		expired => [ certificate_of(@ours, not_after => time - 3600) ],
		other_host => [ certificate_of(@ours, subjectAltNames => [ [ IP => '127.0.0.2' ] ]) ]);

	while (my ($name, $pair) = each %pairs)
	{
		$contexts{$name} = IO::Socket::SSL::SSL_Context->new(
			SSL_server => 1, SSL_cert => $pair->[0], SSL_key => $pair->[1],
			SSL_ca => [], SSL_verify_mode => SSL_VERIFY_NONE) or die "no TLS context: $SSL_ERROR\n";
	}
	$certificate = 'good';
	PEM_cert2file($ours[0], "$dir/ca.crt.new");
	rename "$dir/ca.crt.new", "$dir/ca.crt" or die "could not rename a file: $!\n";
	return;
}

#
# The loop
#

sub listen_again
{
	$listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port // 0, Listen => 50,
		ReuseAddr => 1, Blocking => 0) or die "could not listen: $!\n";
	$port = $listener->sockport;
	return;
}

sub run
{
	while (1)
	{
		my @alive = values %connections;
		my $readers = IO::Select->new(\*STDIN, ($listener ? $listener : ()), map { $_->{socket} } @alive);
		my $writers = IO::Select->new(map { $_->{socket} } grep { $_->wants_write } @alive);
		my @deadlines = grep { defined } map { ($_->resumes, $_->{watch} ? $_->{watch}{ends_at} : undef) } @alive;
		my ($first) = sort { $a <=> $b } @deadlines;
		my $timeout = !defined $first ? 60 : $first <= time ? 0 : $first - time;

		IO::Select->select($readers, $writers, undef, $timeout);
		take_commands();
		take_connections() if $listener;
		serve_connection($_) foreach values %connections;
	}
	return;
}

sub take_connections
{
	while (my $socket = $listener->accept)
	{
		my $connection = DocumentdbUpgrade::FakeApi::Connection->new($socket, $contexts{$certificate}) or next;
		$counts{accepted}++;
		$connections{ $connection->{id} } = $connection;
	}
	return;
}

sub serve_connection
{
	my $connection = shift;

	$connection->receive;
	while ($connection->{open} && !$connection->is_dead && !$connection->{watch} && $connection->is_idle)
	{
		my $request = $connection->next_request or last;
		answer_request($connection, $request);
		$connection->flush;
	}
	end_watch($connection) if $connection->{watch} && $connection->{watch}{ends_at} <= time;
	$connection->flush if $connection->wants_write;
	if ($connection->is_dead)
	{
		$counts{tls_failures}++ if $connection->{refused};
		delete $connections{ $connection->{id} };
	}
	return;
}

#
# Answers
#

sub answer_request
{
	my ($connection, $request) = @_;
	my $is_watch = is_true($request->{query}{watch}) ? 1 : 0;
	my $fault = next_fault($request, $is_watch);
	my $answer = $fault && defined $fault->{status} ? scripted_answer($fault) : $objects->handle($request);

	push @log, { number => scalar @log, time => time, watch => $is_watch, status => $answer->{status}, fault => $fault ? 1 : 0,
		map { $_ => $request->{$_} } qw(method path target query headers body connection) };
	$connection->send([ pause => $fault->{wait} ]) if $fault && defined $fault->{wait};
	if ($fault && $fault->{slow_headers})
	{
		$connection->send("HTTP/1.1 200 OK\r\nX-Slow: ", [ drip => 0.2 ]);
	}
	elsif ($fault && $fault->{instead})
	{
		$connection->send([ end => $fault->{instead} ]);
	}
	elsif ($answer->{watch}) { open_watch($connection, $answer, $fault); }
	else { send_answer($connection, $request, $answer, $fault); }
	return;
}

# The first fault that this request meets; each serves as often as it says.
sub next_fault
{
	my ($request, $is_watch) = @_;

	foreach my $fault (@faults)
	{
		next if defined $fault->{method} && $fault->{method} ne $request->{method};
		next if defined $fault->{path} && $request->{path} !~ $fault->{path};
		next if defined $fault->{type} && $fault->{type} ne (($request->{headers}{'content-type'} // '') =~ s/\s*;.*//r);
		next if defined $fault->{watch} && $fault->{watch} != $is_watch;
		next if $fault->{times} == 0;
		$fault->{times}--;
		$fault->{used}++;
		return $fault;
	}
	return;
}

sub scripted_answer
{
	my $fault = shift;
	my %headers = ('Content-Type' => defined $fault->{json} ? 'application/json' : 'text/plain; charset=utf-8', %{ $fault->{headers} // {} });
	return { status => $fault->{status}, headers => \%headers, size => $fault->{size},
		body => defined $fault->{json} ? encode($fault->{json}) . "\n" : $fault->{body} // '' };
}

# Every second answer is chunked, as small answers of the real one may be.
sub send_answer
{
	my ($connection, $request, $answer, $fault) = @_;
	my $body = $answer->{body} // '';
	my $length = $answer->{size} // length $body;
	my $chunked = !defined $answer->{size} && @log % 2;
	my %framing = $chunked ? ('Transfer-Encoding' => 'chunked') : ('Content-Length' => $length);

	$body = DocumentdbUpgrade::FakeApi::Connection::chunk($body) . "0\r\n\r\n" if $chunked && $body ne '';
	$body = "0\r\n\r\n" if $chunked && $body eq '';
	$connection->send(DocumentdbUpgrade::FakeApi::Connection::head($answer->{status}, %{ $answer->{headers} }, %framing));
	if (defined $answer->{size}) { $connection->send([ filler => $answer->{size} ]); }
	elsif ($fault && defined $fault->{cut}) { $connection->send(substr $body, 0, $fault->{cut}); }
	elsif ($body ne '') { $connection->send($body); }
	# What was sent has to arrive first: a reset discards what has not.
	$connection->send($fault->{then} eq 'stall' ? [ 'pause' ] : ([ pause => 0.1 ], [ end => $fault->{then} ])) if $fault && $fault->{then};
	$connection->send([ end => '' ]) if lc($request->{headers}{connection} // '') eq 'close';
	return;
}

sub open_watch
{
	my ($connection, $answer, $fault) = @_;
	my $watch = $answer->{watch};

	$connection->send(DocumentdbUpgrade::FakeApi::Connection::head($answer->{status}, %{ $answer->{headers} }, 'Transfer-Encoding' => 'chunked'));
	$connection->{watch} = $watch;
	$watch->{ends_at} = $watch->{ends} ? 0 : time + $watch->{seconds};
	$connection->send(DocumentdbUpgrade::FakeApi::Connection::chunk($_)) foreach @{ delete $watch->{first} };
	if ($fault && ($fault->{then} // '') eq 'stall') { freeze($connection); }
	elsif ($fault && $fault->{then}) { $connection->send([ pause => 0.1 ], [ end => $fault->{then} ]); }
	return;
}

sub end_watch
{
	my $connection = shift;
	my $watch = delete $connection->{watch};

	$connection->send(DocumentdbUpgrade::FakeApi::Connection::chunk($objects->bookmark))
	  if $watch->{bookmarks} && !$watch->{ends} && $watch->{seconds} > 2;
	$connection->send("0\r\n\r\n");
	return;
}

# Nothing more comes on a watch that stays open.
sub freeze
{
	my $connection = shift;
	$connection->{watch}{frozen} = 1;
	$connection->{watch}{ends_at} = 9e15;
	return;
}

sub watching { return sort { $a->{id} <=> $b->{id} } grep { $_->{watch} && !$_->{watch}{frozen} } values %connections; }

sub feed_watches
{
	my $event = shift;

	foreach my $connection (watching())
	{
		$connection->send(DocumentdbUpgrade::FakeApi::Connection::chunk("$event->[4]\n"))
		  if DocumentdbUpgrade::FakeApi::Objects::matches($connection->{watch}, $event);
	}
	return;
}

#
# Commands of the test
#

sub take_commands
{
	return unless IO::Select->new(\*STDIN)->can_read(0);
	if (!sysread STDIN, $commands, 65536, length $commands)
	{
		remove_tree($dir);
		exit 0;
	}
	while ($commands =~ s/^([^\n]*)\n//)
	{
		my ($name, @arguments) = @{ decode($1) };
		my $result = eval { my $code = main->can("do_$name") or die "no command \"$name\"\n"; $code->(@arguments) };
		print encode($@ ? { error => "$@" } : { result => $result }), "\n";
	}
	return;
}

sub do_port { return $port; }
sub do_accept_token { $objects->{tokens}{ $_[0] } = 1; return; }
sub do_refuse_token { delete $objects->{tokens}{ $_[0] }; return; }
sub do_deny { $objects->{denied}{ $_[0] } = 1; return; }
sub do_allow { delete $objects->{denied}{ $_[0] }; return; }
sub do_serve { $objects->{served} = $_[0]; return; }
sub do_keep_conditions { $objects->{conditions} = $_[0]; return; }
sub do_compact { $objects->{oldest} = $objects->{version}; return; }

sub do_put { return $objects->put_resource(@_); }
sub do_put_cluster { return $objects->put_cluster(@_); }
sub do_put_other { return $objects->{others}->put(@_); }
sub do_grant { return $objects->{others}->grant(@_); }
sub do_delete { return $objects->delete_resource(@_); }
sub do_get { return $objects->object('dbs', $_[0]); }
sub do_flood { return $objects->flood(@_); }
sub do_handle { return $objects->handle($_[0]); }

sub do_events
{
	my $events = $objects->{objects};
	return [ map { $events->{$_} } sort { $events->{$a}{metadata}{resourceVersion} <=> $events->{$b}{metadata}{resourceVersion} }
		grep { m{^events/} } keys %$events ];
}

sub do_fault
{
	my $fault = shift;
	$fault->{times} //= 1;
	push @faults, $fault;
	return;
}

sub do_clear_faults { @faults = (); return; }
sub do_faults_left { my $left = 0; $left += $_->{times} foreach @faults; return $left; }
sub do_requests { return [ @log[ $_[0] .. $#log ] ]; }
sub do_new_authority { new_authority(); return; }

sub do_show_certificate
{
	$contexts{ $_[0] } or die "no certificate \"$_[0]\"\n";
	$certificate = $_[0];
	return;
}

sub do_counts
{
	my @busy = grep { !$_->is_idle } values %connections;
	return { %counts, busy => scalar @busy, connections => scalar keys %connections, watches => scalar(my @watching = watching()) };
}

sub do_bookmark
{
	$_->send(DocumentdbUpgrade::FakeApi::Connection::chunk($objects->bookmark)) foreach watching();
	return;
}

# Text into every open watch, as one chunk or in pieces of so many bytes.
sub do_watch_send
{
	my ($text, $piece) = @_;
	my @pieces = $piece ? $text =~ /(.{1,$piece})/gs : ($text);

	foreach my $connection (watching())
	{
		$connection->send(map { (DocumentdbUpgrade::FakeApi::Connection::chunk($_), $piece ? [ pause => 0.01 ] : ()) } @pieces);
	}
	return;
}

# What to do with the open watches: "reset", "close", "end" or "freeze" them.
sub do_watch_stop
{
	my $how = shift;

	foreach my $connection (watching())
	{
		if ($how eq 'freeze') { freeze($connection); }
		elsif ($how eq 'end') { end_watch($connection); }
		else { delete $connection->{watch}; $connection->send([ pause => 0.1 ], [ end => $how ]); }
	}
	return;
}

sub do_drop_connections { $_->end('reset') foreach values %connections; return; }

sub do_go_down
{
	close $listener if $listener;
	undef $listener;
	do_drop_connections();
	return;
}

sub do_come_up { listen_again() unless $listener; return; }
