
=pod

=head1 NAME

DocumentdbUpgrade::Fuzz - a server that is given mutated inputs by the thousand

=head1 SYNOPSIS

  my $fuzz = DocumentdbUpgrade::Fuzz->new(seed => 1);

  foreach my $target ($fuzz->targets)
  {
      my $result = $fuzz->run($target, inputs => 1000);
      is_deeply($result->{findings}, [], $target);
  }

=head1 DESCRIPTION

What a target does with an input says test/fuzz/functions.sql; the inputs that others
are made of are in test/fuzz/corpus.  One session takes all inputs of a target, in
files of some hundred.  A finding is an input that ends the server or the session,
raises a SQLSTATE that the target is not known for (XX000 is none of any), or takes
longer than a bound; and memory that grows with the number of inputs.

=cut

package DocumentdbUpgrade::Fuzz;

use strict;
use warnings FATAL => 'all';

use Digest::SHA ();
use DocumentdbUpgrade::Mutation;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

# The SQLSTATEs that say what is wrong with an input, by target.  54001 is the server's
# own limit of nesting.
my %expected = (
	versions => '22023',
	images => '',
	releases => '22023|42704|55000',
	window => '22023',
	control => '',
	scripts => '',
	reviews => '',
	specs => '22023|54001',
	conversions => '22023|54001',
	reports => '22023|54000|54001',
	resources => '',
	watch => '',
	objects => '',
	upstream => '');

# In the log of a server none of this may be.
my $trouble = qr/terminated by signal|PANIC:|TRAP:|AddressSanitizer|runtime error:|server process .* exited/;

my $batch = 200;

# An input may take so long on a machine that is busy, and a file of them.
my $bound_ms = 10_000;
my $batch_seconds = 300;

# What a session may have gained between its first file and its last.
my %growth = (contexts => 8 * 1024 * 1024, resident => 48 * 1024 * 1024);

=pod

=head1 METHODS

=over

=item targets

Their names.

=item new(seed => 1, keep => directory, name => 'fuzz')

Starts the server.  Findings are written to the directory, if there is one.

=cut

sub targets { return sort keys %expected; }

sub new
{
	my ($class, %options) = @_;
	my $self = bless { seed => 1, name => 'fuzz', dir => PostgreSQL::Test::Utils::tempdir(), %options }, $class;
	my $node = $self->{node} = new_node($self->{name}, preload => 1, streaming => 1, own_installation => 1, conf => q{
documentdb_upgrade.extension = 'du_fuzz'
log_min_messages = warning
log_min_error_statement = panic
restart_after_crash = on
max_stack_depth = '2MB'
});

	write_extension($node, 'du_fuzz', '1.3', '1.0' => '', map { $_ => "SELECT 1;\n" } '1.0--1.1', '1.1--1.2', '1.2--1.3');
	sql($node, "CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION du_fuzz VERSION '1.0'");
	sql($node, slurp_file("$ENV{DU_SOURCE}/test/fuzz/functions.sql"));
	sql($node, "SELECT documentdb_upgrade.record_release('{\"operator\": \"0.3.0\", \"extension\": \"0.110.0\"}')");
	sql($node, 'CREATE ROLE fuzzer SUPERUSER REPLICATION LOGIN');
	sql($node, "ALTER ROLE fuzzer SET fuzz.directory = '" . extension_dir($node) . "'");
	sql($node, "ALTER ROLE fuzzer SET statement_timeout = '${batch_seconds}s'");
	$self->start_receiver;
	return $self;
}

# Reports are taken from a role that has a WAL sender.
sub start_receiver
{
	my $self = shift;
	my $node = $self->{node};
	my $dir = sprintf '%s/received%d', $self->{dir}, ++$self->{receivers};

	eval { $self->{receiver}->kill_kill } if $self->{receiver};
	mkdir $dir or die "could not make a directory: $!\n";
	$self->{receiver} = IPC::Run::start(
		[ $node->installed_command('pg_receivewal'), '--no-loop', '-D', $dir, '-d', $node->connstr . ' user=fuzzer application_name=h' ],
		'>&', "$dir.log");
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'})
	  or die "pg_receivewal does not stream\n";
	return;
}

=pod

=item corpus(target)

Its inputs.

=cut

sub corpus
{
	my ($self, $target) = @_;
	my @files = sort glob "$ENV{DU_SOURCE}/test/fuzz/corpus/$target/*";

	die "there is no corpus for $target\n" unless @files;
	return map { slurp_file($_) } @files;
}

=pod

=item run(target, inputs => n or seconds => s)

The corpus and what is made of it; gives a hash with C<inputs>, C<seconds>, C<states>
(how often each SQLSTATE came), C<growth> in bytes, and C<findings>, texts.

=item repeat(target, file)

One input, in the same way.

=cut

sub run
{
	my ($self, $target, %bounds) = @_;
	my @corpus = $self->corpus($target);
	my $mutation = DocumentdbUpgrade::Mutation->new($self->{seed}, @corpus);
	my $result = $self->begin($target);
	my @first = @corpus;

	do
	{
		my @inputs = (splice(@first), map { $mutation->next } 1 .. $batch);
		$self->take($result, @inputs);
		# What is used for the first time is kept for the next.
		$self->{before} //= $self->memory if $result->{inputs} >= 3 * $batch;
	} until (defined $bounds{seconds} ? time - $result->{started} >= $bounds{seconds} : $result->{inputs} >= $bounds{inputs});
	return $self->end($result);
}

sub repeat
{
	my ($self, $target, $file) = @_;
	my $result = $self->begin($target);

	$self->take($result, slurp_file($file));
	return $self->end($result);
}

sub begin
{
	my ($self, $target) = @_;

	delete $self->{before};
	$self->{log_at} = -s $self->{node}->logfile;
	return { target => $target, started => time, inputs => 0, states => {}, findings => [], growth => {} };
}

sub end
{
	my ($self, $result) = @_;

	if ($self->{before} && $self->{session})
	{
		my $after = $self->memory;
		foreach my $what (sort keys %growth)
		{
			my $gained = $result->{growth}{$what} = $after->{$what} - $self->{before}{$what};
			push @{ $result->{findings} }, "$result->{target}: $what grew by $gained bytes over $result->{inputs} inputs"
			  if $gained > $growth{$what};
		}
	}
	(delete $self->{session})->quit if $self->{session};
	$result->{seconds} = time - $result->{started};
	return $result;
}

sub session
{
	my $self = shift;
	return $self->{session} if $self->{session};

	$self->{node}->poll_query_until('postgres', 'SELECT true');
	$self->start_receiver unless $self->{node}->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_replication');
	my $session = $self->{session} = DocumentdbUpgrade::Session->new($self->{node}, user => 'fuzzer');
	$session->{psql}->set_query_timer_restart;
	return $session;
}

sub memory
{
	my $self = shift;
	my %memory;

	@memory{qw(contexts resident)} = split /\|/, $self->session->run('SELECT * FROM fuzz.memory()')->{stdout};
	return \%memory;
}

# Runs inputs; true when they ended the session or were not done in time.
sub send_inputs
{
	my ($self, $result, @inputs) = @_;
	my $file = "$self->{dir}/inputs";

	open my $out, '>', $file or die "could not write \"$file\": $!\n";
	print $out join "\n", map { length $_ ? unpack 'H*', $_ : '' } @inputs;
	close $out;

	my $answer = eval {
		$self->session->run("BEGIN; SELECT * FROM fuzz.run('$result->{target}', '$file', '$expected{ $result->{target} }', $bound_ms); ROLLBACK") };
	return 'the session ended' if !$answer && $self->lose_session;
	return "$answer->{sqlstate}: $answer->{message}" if !$answer->{ok} && $self->lose_session;
	my %said;
	foreach my $line (split /\n/, $answer->{stdout})
	{
		my ($number, $state, $text) = split /\|/, $line, 3;
		if (!defined $text)
		{
			next;    # the rest of a message of several lines
		}
		elsif ($number eq '0')
		{
			my $counts = JSON::PP::decode_json($text);
			$result->{states}{$_} += $counts->{$_} foreach keys %$counts;
		}
		elsif (!$said{"$state $text"}++)
		{
			$self->found($result, "$state: $text", $inputs[ $number - 1 ]);
		}
	}
	return;
}

sub lose_session
{
	my $self = shift;
	my $session = delete $self->{session};

	eval { $session->{psql}{run}->kill_kill } if $session;
	return 1;
}

# Runs inputs and finds those that are to blame.
sub take
{
	my ($self, $result, @inputs) = @_;
	my $why = $self->send_inputs($result, @inputs);
	my $log = $self->new_log;

	$result->{inputs} += @inputs;
	$why = $1 if $log =~ /^(.*$trouble.*)$/m;
	return unless defined $why;
	while (@inputs > 1)
	{
		my @second = splice @inputs, @inputs / 2;
		next if $self->fails($result, @inputs);
		my @first = splice @inputs, 0, scalar @inputs, @second;
		next if $self->fails($result, @inputs);
		unshift @inputs, @first;
		last;
	}
	$self->found($result, $why, @inputs);
	return;
}

sub fails
{
	my ($self, $result, @inputs) = @_;

	# What is still said of the one before has been said when there is a session.
	$self->session;
	$self->new_log;
	my $why = $self->send_inputs({ %$result, states => {}, findings => [] }, @inputs);
	return defined $why || $self->new_log =~ $trouble;
}

# What was logged since the last look.
sub new_log
{
	my $self = shift;
	my $path = $self->{node}->logfile;
	my $log = slurp_file($path, $self->{log_at} // 0);

	$self->{log_at} = -s $path;
	return $log;
}

# A finding, and the input that led to it; several when they do so together.
sub found
{
	my ($self, $result, $what, @inputs) = @_;
	my $text = "$result->{target}: $what";

	# A fault comes with many texts.
	return if $result->{known}{ $what =~ s/:.*//sr }++ >= 3;
	foreach my $i (0 .. $#inputs)
	{
		my $name = sprintf '%s-%s', $result->{target}, substr Digest::SHA::sha1_hex($inputs[$i]), 0, 12;
		last unless defined $self->{keep};
		open my $out, '>:raw', "$self->{keep}/$name" or die "could not keep \"$name\": $!\n";
		print $out $inputs[$i];
		close $out;
		$text .= "\n  $name";
	}
	push @{ $result->{findings} }, $text;
	return;
}

=pod

=item stop

Ends the server.

=cut

sub stop
{
	my $self = shift;

	$self->{receiver}->kill_kill;
	$self->{node}->stop('fast');
	return;
}

=pod

=back

=cut

1;
