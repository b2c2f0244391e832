
=pod

=head1 NAME

DocumentdbUpgrade::HostileServer - a PostgreSQL server that answers wrongly

=head1 SYNOPSIS

  my $hostile = DocumentdbUpgrade::HostileServer->new($node);

  sql($here, "SELECT ... compare_with('" . $hostile->connstr('faithful') . "')");
  sql($here, "SELECT ... compare_with('" . $hostile->connstr('seed_17') . "')");
  my @faults = $hostile->faults;    # what was done to answers

=head1 DESCRIPTION

Stands in front of a real server and speaks the protocol, version 3.  What the
real one answers is remembered by the statement and given again, so it is asked
each thing once.  The name of the database says what happens to answers:

  postgres, faithful  nothing, each statement goes to the real server
  seed_N              faults by chance, the same ones for the same number
  wire_N              the same, of messages alone; statements are hit mostly
  value_N             the same, of the JSON values in rows alone
  at_PHASE_FAULT      that fault, or value (in hexadecimal digits), to the answer
                      of that phase of a comparison, or to a report
  fault_NAME          that fault, to the answer to the connection itself

A statement that contains the comment "fault NAME" has that fault, whatever the name of the
database.  C<plan> says what holds for connections to any other database; with
"seed" each connection has another number.  Connections for replication go
through untouched.  It ends with the test.

=cut

package DocumentdbUpgrade::HostileServer;

use strict;
use warnings FATAL => 'all';

use Digest::MD5 qw(md5_hex);
use DocumentdbUpgrade::Test ();
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use POSIX ();
use PostgreSQL::Test::Utils;
use Storable ();

my $json = JSON::PP->new->canonical->allow_nonref->allow_bignum;
my @running;

# Statements of the phases of a comparison.
my %phases = (
	listing => qr/REPEATABLE READ.*WITH ours AS/s,
	verifying => qr/READ COMMITTED.*WITH ours AS/s,
	functions => qr/^SELECT to_json\(\w+\.checksum_algorithm/m,
	sequences => qr/s\.last_value::text/,
	sum => qr/SELECT json_build_object\('rows'/,
	buckets => qr/json_object_agg\(s\.bucket/,
	rows => qr/json_build_array\(x\.k/,
	recheck => qr/json_object_agg\(x\.id/,
	setup => qr/pg_backend_pid/,
	snapshot => qr/pg_export_snapshot/,
	report => qr/run_report_standby/);

=pod

=head1 METHODS

=over

=item new(node)

Starts it in front of a node.

=item connstr(database)

How to connect to it.

=item plan(plan)

What happens to connections to databases whose names say nothing.

=item faults

What was done to answers so far, as texts.

=item sent

How many bytes it got rid of in its floods, each by itself.

=back

=cut

sub new
{
	my ($class, $node) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir_short();
	my $socket = IO::Socket::UNIX->new(Local => "$dir/.s.PGSQL.5432", Listen => 50) or die "could not listen: $!\n";
	my $self = bless { dir => $dir, real => $node->host . '/.s.PGSQL.' . $node->port, user => scalar getpwuid $< }, $class;

	mkdir "$dir/answers" or die "could not make a directory: $!\n";
	append_to_file("$dir/$_", '') foreach qw(faults sent);
	$self->plan('faithful');
	defined(my $pid = fork) or die "could not fork: $!\n";
	if (!$pid)
	{
		setpgrp;
		@running = ();
		@SIG{qw(PIPE CHLD)} = ('IGNORE', 'IGNORE');
		eval { $self->accept_all($socket); 1 } or warn "hostile server: $@";
		POSIX::_exit(0);
	}
	$self->{pid} = $pid;
	push @running, $self;
	return $self;
}

sub connstr { return sprintf 'host=%s port=5432 user=%s dbname=%s', @{ $_[0] }{qw(dir user)}, $_[1]; }

sub plan
{
	my ($self, $plan) = @_;
	unlink "$self->{dir}/plan";
	append_to_file("$self->{dir}/plan", $plan);
	return;
}

sub faults { return split /\n/, slurp_file("$_[0]{dir}/faults"); }
sub sent { return split /\n/, slurp_file("$_[0]{dir}/sent"); }

sub accept_all
{
	my ($self, $socket) = @_;
	for (my $n = 1; my $client = $socket->accept; $n++)
	{
		next if fork;
		$self->{client} = $client;
		$self->{number} = $n;
		eval { $self->serve; 1 } or $@ =~ /^gone/ or warn "hostile server: $@";
		POSIX::_exit(0);
	}
	return;
}

# Bytes and messages.

sub take
{
	my ($from, $length) = @_;
	my $bytes = '';
	while (length $bytes < $length)
	{
		sysread($from, $bytes, $length - length $bytes, length $bytes) or die "gone\n";
	}
	return $bytes;
}

sub put
{
	my ($to, $bytes) = @_;
	my $done = 0;
	while ($done < length $bytes)
	{
		$done += syswrite($to, $bytes, length($bytes) - $done, $done) // die "gone\n";
	}
	return;
}

sub message { return $_[0] . pack('N', 4 + length $_[1]) . $_[1]; }

sub take_message
{
	my ($type, $length) = unpack 'aN', take($_[0], 5);
	return [ $type, take($_[0], $length - 4) ];
}

# Up to where the server waits.
sub take_answer
{
	my ($from) = @_;
	my @answer;
	do { push @answer, take_message($from) } until $answer[-1][0] eq 'Z';
	return \@answer;
}

# One statement, or the messages up to Sync; and its text.
sub take_request
{
	my ($self) = @_;
	my ($bytes, $text, $message) = ('', '');
	# libpq waits for the rest of some messages that are cut, which never comes.
	die "gone\n" if $self->{hit} && !IO::Select->new($self->{client})->can_read(5);
	do
	{
		$message = take_message($self->{client});
		die "gone\n" if $message->[0] eq 'X';
		$bytes .= message(@$message);
		$text .= $message->[1] =~ s/\0.*//sr if $message->[0] eq 'Q';
		$text .= (split /\0/, $message->[1])[1] if $message->[0] eq 'P';
	} until $message->[0] =~ /[QS]/;
	return ($text, $bytes);
}

# The real server, which is asked when it must be.

sub real
{
	my ($self) = @_;
	if (!$self->{backend})
	{
		$self->{backend} = IO::Socket::UNIX->new(Peer => $self->{real}) or die "gone\n";
		put($self->{backend}, pack('NN', 8 + length $self->{parameters}, 196608) . $self->{parameters});
		$self->{welcome} = take_answer($self->{backend});
	}
	return $self->{backend};
}

sub welcome { $_[0]->real; return $_[0]{welcome}; }

sub ask_real
{
	my ($self, $bytes, $text) = @_;
	# A snapshot of which only the name is remembered.
	if ($self->{plan} ne 'faithful' && $text =~ s/SET TRANSACTION SNAPSHOT '[^']*'/SET TRANSACTION READ ONLY/)
	{
		$bytes = message('Q', "$text\0");
	}
	put($self->real, $bytes);
	return take_answer($self->{backend});
}

# What the real server has once said, or says.
sub remembered
{
	my ($self, $key, $ask) = @_;
	my $file = "$self->{dir}/answers/" . md5_hex($key);
	return Storable::retrieve($file) if $self->{plan} ne 'faithful' && -e $file;
	my $answer = $ask->();
	if (!grep { $_->[0] eq 'E' } @$answer)
	{
		Storable::store($answer, "$file.$$");
		rename "$file.$$", $file;
	}
	return $answer;
}

sub serve
{
	my ($self) = @_;
	my ($length, $code);
	while (1)
	{
		($length, $code) = unpack 'NN', take($self->{client}, 8);
		last if $code != 80877103 && $code != 80877104;
		put($self->{client}, 'N');
	}
	return if $code != 196608;
	$self->{parameters} = take($self->{client}, $length - 8);
	my %parameters = split /\0/, $self->{parameters} =~ s/\0+$//r;
	return $self->tunnel if exists $parameters{replication};

	$self->{plan} = $parameters{database} =~ /^(?:faithful|(?:seed|wire|value|at|fault)_.*)$/ ? $parameters{database} : slurp_file("$self->{dir}/plan");
	$self->{plan} = "$1_$self->{number}" if $self->{plan} =~ /^(seed|wire|value)$/;
	$self->{parameters} =~ s/(^|\0)database\0[^\0]*/$1database\0postgres/;
	my $welcome = $self->remembered('', sub { return $self->welcome });
	$self->answer('', $welcome);
	while (1)
	{
		my ($text, $bytes) = $self->take_request;
		my $key = $text =~ s{/\* \d+ \*/}{}r;
		$self->answer($text, $self->remembered($key, sub { return $self->ask_real($bytes, $text) }));
	}
	return;
}

sub tunnel
{
	my ($self) = @_;
	my $real = IO::Socket::UNIX->new(Peer => $self->{real}) or return;
	my %other = ($real => $self->{client}, $self->{client} => $real);
	my $select = IO::Select->new($real, $self->{client});

	put($real, pack('NN', 8 + length $self->{parameters}, 196608) . $self->{parameters});
	while (my @ready = $select->can_read)
	{
		foreach my $from (@ready)
		{
			sysread($from, my $bytes, 65536) or return;
			put($other{$from}, $bytes);
		}
	}
	return;
}

# Faults.

# Where the rows of an answer are.
sub rows_of { return grep { $_[0][$_][0] eq 'D' } 0 .. $#{ $_[0] }; }

sub row { return [ 'D', pack('n', scalar @_) . join '', map { defined $_ ? pack('N', length $_) . $_ : pack('N', 0xffffffff) } @_ ]; }

sub value_of
{
	my ($row) = @_;
	my $length = unpack 'x2N', $row->[1];
	return $length == 0xffffffff ? undef : substr $row->[1], 6, $length;
}

# Replaces the value of the first row, or of the n-th.
sub set_value
{
	my ($m, $value, $n) = @_;
	my @rows = rows_of($m);
	$m->[ $rows[ $n // 0 ] ] = row($value) if @rows > ($n // 0);
	return;
}

sub error { return [ 'E', join('', map { "$_\0" } @_) . "\0" ]; }

# In place of what follows the first message of an answer.
sub instead { my $m = shift; splice @$m, 1, -1, @_; return; }

my $endless = "\0\1\0\0\4\0" . 'x' x 1024;
my %named = (
	# Of results.
	no_time => sub { my ($m) = @_; my @rows = rows_of($m); splice @$m, $rows[1], 1; return },
	null_time => sub { set_value($_[0], undef, 1) },
	(map { my $ms = $_; ("time_$ms" => sub { set_value($_[0], $ms, 1) }) } qw(nan inf 1e999 x)),
	minus_time => sub { set_value($_[0], '-5', 1) },
	no_row => sub { my ($m) = @_; splice @$m, (rows_of($m))[0], 1; return },
	two_rows => sub { my ($m) = @_; my ($at) = rows_of($m); splice @$m, $at, 0, $m->[$at]; return },
	null => sub { set_value($_[0], undef) },
	no_column => sub { my ($m) = @_; my ($at) = rows_of($m); @$m[ $at - 1, $at ] = ([ 'T', "\0\0" ], [ 'D', "\0\0" ]); return },
	two_columns => sub
	{
		my ($m) = @_;
		my ($at) = rows_of($m);
		my $field = substr $m->[ $at - 1 ][1], 2;
		@$m[ $at - 1, $at ] = ([ 'T', "\0\2$field$field" ], row('1', '2'));
		return;
	},
	binary => sub { my ($m) = @_; my ($at) = rows_of($m); substr $m->[ $at - 1 ][1], -1, 1, "\1"; return },
	nul => sub { set_value($_[0], "1\0") },
	bad_encoding => sub { set_value($_[0], "\"\xff\xfe\"") },
	no_results => sub { my ($m) = @_; splice @$m, 0, -1; return },
	begin_alone => sub { my ($m) = @_; splice @$m, 1, -1; return },
	no_commit => sub { my ($m) = @_; splice @$m, -2, 1; return },
	other_result => sub { my ($m) = @_; splice @$m, -1, 0, @$m[ 1 .. $#$m - 1 ]; return },
	in_transaction => sub { $_[0][-1] = [ 'Z', 'T' ]; return },
	empty_query => sub { instead($_[0], [ 'I', '' ]) },
	copy_in => sub { instead($_[0], [ 'G', "\0\0\1\0\0" ]) },
	copy_out => sub { instead($_[0], [ 'H', "\0\0\1\0\0" ]) },
	copy_both => sub { instead($_[0], [ 'W', "\0\0\1\0\0" ]) },
	identity => sub { set_value($_[0], '1 OR true', 2) },
	snapshot => sub { set_value($_[0], "1'; DROP TABLE x; --") },
	# Of errors.
	error_alone => sub { instead($_[0], error()) },
	error_no_state => sub { instead($_[0], error('SERROR', 'Mit is broken')) },
	error_zero => sub { instead($_[0], error('SERROR', 'C00000', 'Mit is well')) },
	error_long_state => sub { instead($_[0], error('SERROR', 'C2200012', 'Mlong')) },
	error_odd_state => sub { instead($_[0], error('SERROR', "C\xff\xfe\xfd\xfc\xfb", 'Modd')) },
	error_latin => sub { instead($_[0], error('SERROR', 'C22012', "Mge\xe4ndert\t\1\x7f", "D\xe4", "H\xf6")) },
	error_long => sub { instead($_[0], error('SERROR', 'C22012', 'M' . "\xc3\xa4" x 2_000_000)) },
	error_twice => sub { instead($_[0], error('SERROR', 'C22012', 'Monce'), error('SERROR', 'C22013', 'Mtwice')) },
	error_and_more => sub { my ($m) = @_; splice @$m, 1, 0, error('SERROR', 'C22012', 'Monce'); return },
	# What never ends, up to some hundred megabytes.
	rows_flood => sub { my ($m) = @_; my ($at) = rows_of($m); splice @$m, $at; return flood => message('D', $endless) },
	notices_flood => sub { splice @{ $_[0] }, 1; return flood => message('N', error('SNOTICE', 'C00000', 'M' . 'x' x 1000)->[1]) },
	notifications_flood => sub { splice @{ $_[0] }, 1; return flood => message('A', "\0\0\0\1channel\0" . 'x' x 1000 . "\0") },
	errors_flood => sub { splice @{ $_[0] }, 1; return flood => message(@{ error('SERROR', 'C22012', 'M' . 'x' x 1000) }) },
	parameters_flood => sub { splice @{ $_[0] }, 1; return flood => sub { message('S', sprintf("p%d\0%s\0", $_[0], 'x' x 8000)) } },
	huge_value => sub { my ($m) = @_; my ($at) = rows_of($m); splice @$m, $at; return (flood => 'x' x 65536, begin => 'D' . pack('N', 0x3fffffff) . pack('nN', 1, 0x3ffffff5)) },
	# Of the conversation.
	notices => sub { splice @{ $_[0] }, 1, 0, ([ 'N', error('SNOTICE', 'C00000', "Mhostile\xff")->[1] ]) x 50; return },
	parameters => sub { splice @{ $_[0] }, 1, 0, [ 'S', "client_encoding\0LATIN1\0" ], [ 'S', "standard_conforming_strings\0off\0" ], [ 'S', "server_version\0x\0" ]; return },
	silence => sub { @{ $_[0] } = (); return close => 1 },
	http => sub { @{ $_[0] } = (); return (raw => "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>", close => 1) },
	old_error => sub { @{ $_[0] } = (); return (raw => "Ewrong number of rows\n\0", close => 1) },
	asks_for_ever => sub { @{ $_[0] } = (); return flood => message('R', pack('N', 3)) },
	length_zero => sub { @{ $_[0] } = (); return (raw => 'D' . pack('N', 0), close => 1) },
	length_wrong => sub { my ($m) = @_; my $all = join '', map { message(@$_) } @$m; @$m = (); substr $all, 1, 4, pack('N', 77); return (raw => $all, close => 1) });

# Messages that say little by themselves.
my @strange = (map { [ $_, '' ] } qw(1 2 3 n s I c), [ 'Z', 'I' ], [ 'Z', 'E' ], [ 'Z', 'x' ], [ 'Z', '' ], [ 'C', "SELECT 1\0" ], [ 'C', '' ],
	[ 'T', "\0\0" ], [ 'T', "\377\377" ], [ 'D', '' ], [ 'D', "\0\1" ], [ 'D', "\377\377" ], [ 'D', "\0\1\377\377\377\376" ], [ 'D', "\0\1\177\377\377\377" ],
	[ 'K', '' ], [ 'S', '' ], [ 'S', "a\0" ], [ 'A', '' ], [ 'N', '' ], [ 'E', '' ], [ 'v', pack('NN', 0, 3) ], [ 'V', '' ], [ 't', "\0\0" ],
	[ 'G', '' ], [ 'H', '' ], [ 'W', '' ], [ 'd', 'x' ], [ "\0", '' ], [ "\377", "\377" x 10 ], map { [ 'R', pack('N', $_) . 'xxxxxxxx' ] } 0, 2 .. 12, 99, 0xffffffff);

sub any { return $_[ int rand @_ ]; }
sub place { return int rand @{ $_[0] }; }

my @wire = (
	drop => sub { splice @{ $_[0] }, place($_[0]), 1; return },
	double => sub { my $at = place($_[0]); splice @{ $_[0] }, $at, 0, $_[0][$at]; return },
	swap => sub { my ($a, $b) = map { place($_[0]) } 1, 2; @{ $_[0] }[ $a, $b ] = @{ $_[0] }[ $b, $a ]; return },
	add => sub { splice @{ $_[0] }, place($_[0]), 0, any(@strange); return },
	replace => sub { splice @{ $_[0] }, place($_[0]), 1, any(@strange); return },
	type => sub { $_[0][ place($_[0]) ][0] = chr int rand 256; return },
	byte => sub { my $part = $_[0][ place($_[0]) ]; substr $part->[1], rand length $part->[1], 1, chr int rand 256 if length $part->[1]; return },
	cut => sub { my $part = $_[0][ place($_[0]) ]; $part->[1] = substr $part->[1], 0, rand length $part->[1]; return },
	end => sub { my $all = join '', map { message(@$_) } @{ $_[0] }; @{ $_[0] } = (); return (raw => substr($all, 0, rand length $all), close => 1) },
	length => sub
	{
		my ($m) = @_;
		my $at = place($m);
		my $all = join '', map { message(@$_) } @$m[ $at .. $#$m ];
		splice @$m, $at;
		substr $all, 1, 4, pack('N', any(0, 1, 3, 4, 5, 17, 30001, 0x100000, 0x7fffffff, 0x80000000, 0xffffffff));
		return (raw => $all, close => 1);
	},
	noise => sub { @{ $_[0] } = (); return (raw => join('', map { chr int rand 256 } 1 .. 1 + rand 200), close => 1) },
	named => sub { my $name = any(grep { !/flood|huge|ever|error_long$/ } sort keys %named); return $named{$name}->($_[0]) });

# What any part of a value may become.
my @values = ('null', 'true', '-1', '0', '1.5', '1e308', '99999999999999999999', '1e130000', '""', '"x"', '"-1"', '"NaN"', '"\u0000"', '"\ud800"', "\"\xff\"",
	'[]', '{}', '[[]]', '{"a":{}}', '[null]', '[' x 20_000 . ']' x 20_000, '"' . 'x' x 20_000 . '"');

sub random_value
{
	my ($value, $depth) = @_;
	return any(@values) if rand() < 0.25 || !ref $value || !(ref $value eq 'HASH' ? %$value : @$value);
	if (ref $value eq 'HASH')
	{
		my $hit = any(sort keys %$value);
		my $drop = rand() < 0.2;
		return '{' . join(',', map { $json->encode($_) . ':' . ($_ eq $hit ? random_value($value->{$_}) : $json->encode($value->{$_})) } grep { !$drop || $_ ne $hit } sort keys %$value) . '}';
	}
	my $hit = int rand @$value;
	my @parts = map { $_ == $hit ? random_value($value->[$_]) : $json->encode($value->[$_]) } 0 .. $#$value;
	splice @parts, $hit, 1, rand() < 0.5 ? () : ($parts[$hit]) x 2 if rand() < 0.2;
	return '[' . join(',', @parts) . ']';
}

sub hit_value
{
	my ($m) = @_;
	my ($at) = rows_of($m);
	my $value = defined $at ? value_of($m->[$at]) : undef;
	my $decoded = defined $value ? eval { JSON::PP->new->allow_nonref->allow_bignum->decode($value) } : undef;
	set_value($m, random_value($decoded));
	return;
}

# Chooses what happens to an answer: a name and the code, or nothing.
sub choose
{
	my ($self, $text) = @_;
	return ($1, $named{$1} // die "there is no fault \"$1\"\n") if $text =~ m{/\* fault (\w+) \*/};
	return ($1, $named{$1} // die "there is no fault \"$1\"\n") if $text eq '' && $self->{plan} =~ /^fault_(\w+)/;
	if ($self->{plan} =~ /^at_([a-z]+)_(.*)/)
	{
		my ($phase, $fault) = ($1, $2);
		return unless $text =~ $phases{$phase};
		return ($fault, $named{$fault} // sub { set_value($_[0], pack 'H*', $fault); return });
	}
	return unless $self->{plan} =~ /^(seed|wire|value)_(\d+)/;
	my ($kind, $seed) = ($1, $2);
	srand hex substr md5_hex("$seed $text"), 0, 8;
	$kind = any('wire', 'value', 'value') if $kind eq 'seed';
	# What comes before the first statement is spared mostly: it would end it all.
	my $statement = $text =~ /^(?:BEGIN|CALL)/ && $text !~ $phases{snapshot};
	my $chance = !$statement ? 0.04 : $self->{plan} =~ /^wire/ || $text =~ /^CALL/ ? 0.8 : 0.3;
	return if rand() >= $chance || ($kind eq 'value' && !$statement);
	return ('value', \&hit_value) if $kind eq 'value';
	my $which = 2 * int rand @wire / 2;
	return @wire[ $which, $which + 1 ];
}

sub answer
{
	my ($self, $text, $answer) = @_;
	my $m = Storable::dclone($answer);
	my ($name, $code) = $self->choose($text);
	my %more;

	if ($name)
	{
		append_to_file("$self->{dir}/faults", "$self->{plan} $name\n");
		$self->{hit} = 1;
		# One that an answer offers no place for leaves it as it is.
		%more = eval { $code->($m) };
	}
	put($self->{client}, join '', (map { message(@$_) } @$m), $more{begin} // '', $more{raw} // '');
	$self->flood($more{flood}) if defined $more{flood};
	# Nobody is kept waiting for what does not come.
	die "gone\n" if $more{close} || defined $more{flood} || !@$m || $m->[-1][0] ne 'Z';
	return;
}

# Until the other side has had enough, or this one.
sub flood
{
	my ($self, $what) = @_;
	my $most = ($ENV{DU_FLOOD_MB} // 400) * 1024 * 1024;
	my $sent = 0;

	for (my $n = 0; $sent < $most; $n++)
	{
		my $bytes = ref $what ? join '', map { $what->($n * 100 + $_) } 1 .. 100 : $what x (1 + int 65536 / length $what);
		eval { put($self->{client}, $bytes); 1 } or last;
		$sent += length $bytes;
	}
	append_to_file("$self->{dir}/sent", "$sent\n");
	return;
}

END
{
	my $status = $?;
	foreach my $self (@running)
	{
		kill 'KILL', -$self->{pid};
		waitpid $self->{pid}, 0;
	}
	$? = $status;
}

1;
