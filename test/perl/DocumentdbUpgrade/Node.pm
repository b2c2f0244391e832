
=pod

=head1 NAME

DocumentdbUpgrade::Node - PostgreSQL's node, made at less expense

=head1 SYNOPSIS

  my $node = DocumentdbUpgrade::Node->new('main');

=head1 DESCRIPTION

A PostgreSQL::Test::Cluster that copies a data directory which was initialized
once (DU_TEMPLATE) and asks the server without a psql.  Every call has a session
of its own, as there; only what is asked again and again until it is true keeps
one for a while.

Nodes made of the same directory have the same system identifier.

=cut

package DocumentdbUpgrade::Node;

use strict;
use warnings FATAL => 'all';

use parent -norequire, 'PostgreSQL::Test::Cluster';

use Carp;
use DocumentdbUpgrade::Connection;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();    # what it exports would hide methods
use Test::More ();
use Time::HiRes qw(time usleep);

# What only new sessions see shall not be missed by one that is kept.
use constant USES_OF_A_SESSION => 20;

=pod

=head1 METHODS

=over

=item init(%params)

As there; with C<extra> parameters of initdb that is what runs.

=cut

sub init
{
	my ($self, %params) = @_;
	my $run = \&PostgreSQL::Test::Utils::system_or_bail;

	return $self->SUPER::init(%params) if $params{extra};
	return $self->SUPER::init(%params, extra => [ '--encoding=UTF8', '--no-locale' ]) if !defined $ENV{DU_TEMPLATE};

	# Since 17 it can copy by itself, but not for a node with its own installation.
	no warnings 'redefine';
	local *PostgreSQL::Test::Utils::system_or_bail = sub {
		return $run->('cp', '-RPp', $ENV{DU_TEMPLATE}, $self->data_dir) if $_[0] eq 'initdb';

		# Where sockets are Unix's that does nothing.
		return $run->(@_) if $_[0] ne $ENV{PG_REGRESS};
	};
	return $self->SUPER::init(%params);
}

=pod

=item start(%params), restart

As there; with the environment of C<own_environment>, a hash.

=cut

sub start
{
	my ($self, @params) = @_;
	local %ENV = (%ENV, %{ $self->{own_environment} // {} });
	return $self->SUPER::start(@params);
}

sub restart
{
	my ($self, @params) = @_;
	local %ENV = (%ENV, %{ $self->{own_environment} // {} });
	return $self->SUPER::restart(@params);
}

=pod

=item psql(dbname, sql, %params)

As there.

=cut

sub psql
{
	my ($self, $dbname, $sql, %params) = @_;
	my %known = (on_error_stop => 1, on_error_die => 0, extra_params => [], stdout => undef, stderr => undef, %params);
	my %options = options_of(@{ $known{extra_params} });

	if (keys %known == 5 && !$options{unknown} && DocumentdbUpgrade::Connection::understands($sql))
	{
		my $result = $self->ask($dbname, $sql, %options, on_error_stop => $known{on_error_stop});
		return $self->answer($sql, $result, \%known, wantarray) if $result;
	}

	# Also when there is no connection: psql says why.
	return $self->SUPER::psql($dbname, $sql, %params);
}

# What parameters of psql say that is understood here.
sub options_of
{
	my @params = @_;
	my %options;

	while (my ($option, $value) = splice @params, 0, 2)
	{
		if ($option eq '-U') { $options{user} = $value; }
		elsif ($option eq '-v' && $value eq 'VERBOSITY=verbose') { $options{verbose} = 1; }
		else { $options{unknown} = 1; }
	}
	return %options;
}

# Gives back a result as PostgreSQL's psql method does.
sub answer
{
	my ($self, $sql, $result, $known, $list) = @_;
	my $status = $result->{lost} ? 2 : $result->{failed} && $known->{on_error_stop} ? 3 : 0;

	chomp @$result{qw(stdout stderr)};
	die +($status == 2 ? 'connection error' : 'error running SQL') . ": '$result->{stderr}'\nwith sql '$sql'\n"
	  if $status && $known->{on_error_die};
	foreach my $stream (qw(stdout stderr))
	{
		if ($known->{$stream}) { ${ $known->{$stream} } = $result->{$stream}; }
		elsif (!$list) { print { $stream eq 'stdout' ? *STDOUT : *STDERR } "$result->{$stream}\n" if $result->{$stream} ne ''; }
	}
	return $list ? ($status, @$result{qw(stdout stderr)}) : $status;
}

=pod

=item poll_query_until(dbname, query, expected)

As there, but it looks more often at first, its patience does not depend on how
long a look takes, and it dies of a query that names no column of ours.

=item poll(code)

A function: runs the code until it gives true and returns that, or false when the
usual timeout has passed.  A query in the code has a session in common with those
of the looks before.

=back

=cut

sub poll_query_until
{
	my ($self, $dbname, $query, $expected) = @_;
	my ($stdout, $stderr);

	$expected //= 't';
	return 1 if poll(sub {
		$self->psql($dbname, $query, stdout => \$stdout, stderr => \$stderr);
		# Our own views do not change while a test waits.
		croak("never to be true: $query\n$stderr") if $query =~ /\bdocumentdb_upgrade\./ && $stderr =~ /^.*?ERROR:  (?:column .* does not exist|syntax error)/;
		return $stdout eq $expected && $stderr eq '';
	});
	Test::More::diag(qq(poll_query_until timed out executing this query:
$query
expecting this output:
$expected
last actual query output:
$stdout
with stderr:
$stderr));
	return 0;
}

# Sessions of the poll that is going on, and how often each was used.
our $kept;

sub poll
{
	my ($code) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my ($pause, $result) = (10_000);

	# A poll inside another's look is on its own.
	local $kept = {};
	my $done = eval {
		until ($result = $code->())
		{
			last if time >= $deadline;
			usleep($pause);
			$pause = 100_000 if ($pause *= 1.5) > 100_000;
		}
		1;
	};
	my $error = $@;
	$_->{connection}->close foreach values %$kept;
	die $error unless $done;
	return $result;
}

# What the statements give in a session of their own, or in that of the look
# before; nothing when there is none.
sub ask
{
	my ($self, $dbname, $sql, %options) = @_;
	my $key = join "\0", $self->host, $self->port, $dbname, $options{user} // '', $ENV{PGOPTIONS} // '';

	# Only a statement that leaves nothing behind.
	my $keep = $kept && $sql =~ /^\s*SELECT\b[^;]*$/i;
	my $entry = $keep ? delete $kept->{$key} : undef;

	if (!$entry || $entry->{connection}->ended)
	{
		my $connection = DocumentdbUpgrade::Connection->new($self, dbname => $dbname, user => $options{user}) or return;
		$entry = { connection => $connection, uses => 0 };
	}
	my $result = $entry->{connection}->run($sql, %options);
	if ($keep && !$result->{failed} && ++$entry->{uses} < USES_OF_A_SESSION) { $kept->{$key} = $entry; }
	else { $entry->{connection}->close; }
	return $result;
}

1;
