
=pod

=head1 NAME

DocumentdbUpgrade::Writers - clients that write rows and remember which were acknowledged

=head1 SYNOPSIS

  my $writers = DocumentdbUpgrade::Writers->new(3, $primary);

  $writers->write_to($new_primary);
  my @ids = $writers->stop;

=head1 DESCRIPTION

Processes that insert rows into table written (id int), one after the other,
in a session each.  When that is lost they connect anew, to the server that
was named last, and go on with another row: whether the one in flight was
committed nobody knows.

=cut

package DocumentdbUpgrade::Writers;

use strict;
use warnings FATAL => 'all';

use IPC::Open2;
use PostgreSQL::Test::Utils;
use POSIX ();
use Time::HiRes qw(usleep);

=pod

=head1 METHODS

=over

=item new(n, node)

Starts them.

=item write_to(node)

From now on they connect to that one; sessions with others are left.

=cut

my $groups = 0;

sub new
{
	my ($class, $n, $node) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir() . '/writers' . ++$groups;
	my $self = bless { dir => $dir, n => $n, owner => $$ }, $class;

	mkdir $dir or die "could not make a directory: $!\n";
	$self->write_to($node);
	foreach my $writer (1 .. $n)
	{
		my $pid = fork // die "could not fork: $!\n";
		if ($pid == 0)
		{
			write_rows($dir, $writer);
			POSIX::_exit(0);
		}
		push @{ $self->{pids} }, $pid;
	}
	return $self;
}

sub write_to
{
	my ($self, $node) = @_;
	append_to_file("$self->{dir}/target.new", join "\t", $node->installed_command('psql'), $node->connstr('postgres'));
	rename "$self->{dir}/target.new", "$self->{dir}/target" or die "could not rename: $!\n";
	return;
}

# What each process does until there is no target any more.  Writer w of n
# takes the ids that start with its number.
sub write_rows
{
	my ($dir, $writer) = @_;
	my $id = $writer * 10_000_000;

	local $SIG{PIPE} = 'IGNORE';
	open my $log, '>>', "$dir/acknowledged.$writer" or POSIX::_exit(1);
	$log->autoflush;
	while (defined(my $target = target($dir)))
	{
		my ($psql, $connstr) = split /\t/, $target;
		my $pid = open2(my $from, my $to, "exec $psql -X -A -t -q -v ON_ERROR_STOP=1 -d \"$connstr\" 2>/dev/null");

		while ((target($dir) // '') eq $target)
		{
			$id++;
			print $to "INSERT INTO written VALUES ($id) RETURNING id;\n" or last;
			$to->flush;
			my $answer = <$from> // last;
			chomp $answer;
			print $log "$id\n" if $answer eq $id;
			usleep(2_000);
		}
		close $to;
		close $from;
		waitpid $pid, 0;
		usleep(50_000);
	}
	return;
}

sub target
{
	open my $file, '<', "$_[0]/target" or return;
	return scalar <$file>;
}

=pod

=item acknowledged

How many rows have been.

=item stop

Ends them; the rows that were acknowledged.

=back

=cut

sub acknowledged { return scalar $_[0]->rows; }

sub rows
{
	my ($self) = @_;
	my @rows = map { split /\n/, slurp_file($_) } glob "$self->{dir}/acknowledged.*";
	return @rows;
}

sub stop
{
	my ($self) = @_;
	unlink "$self->{dir}/target";
	waitpid $_, 0 foreach splice @{ $self->{pids} };
	return $self->rows;
}

# A test that dies leaves nobody behind.
sub DESTROY
{
	my ($self) = @_;
	return if $$ != $self->{owner};
	local $?;
	kill 'TERM', @{ $self->{pids} } if @{ $self->{pids} };
	waitpid $_, 0 foreach @{ $self->{pids} };
	return;
}

1;
