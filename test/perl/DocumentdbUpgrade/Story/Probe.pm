
=pod

=head1 NAME

DocumentdbUpgrade::Story::Probe - a client that writes, and notes how it fares

=head1 SYNOPSIS

  my $probe = DocumentdbUpgrade::Story::Probe->new($primary);
  $probe->follow($new_primary);
  foreach my $answer ($probe->answers) { ... $answer->{code}, $answer->{seconds} ... }

=head1 DESCRIPTION

A process that inserts rows into table written as role "app", one after the other;
each statement looks at table thing too, so it meets the locks of an upgrade.

=cut

package DocumentdbUpgrade::Story::Probe;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Connection;
use PostgreSQL::Test::Utils;
use POSIX ();
use Time::HiRes qw(time usleep);

=pod

=head1 METHODS

=over

=item new(node)

Starts it.

=item follow(node)

From now on it connects to that one.

=cut

my $probes = 0;

sub new
{
	my ($class, $node) = @_;
	my $self = bless { dir => PostgreSQL::Test::Utils::tempdir() . '/probe' . ++$probes, owner => $$, seen => 0 }, $class;

	mkdir $self->{dir} or die "could not make a directory: $!\n";
	$self->follow($node);
	defined($self->{pid} = fork) or die "could not fork: $!\n";
	if ($self->{pid} == 0)
	{
		eval { write_rows($self->{dir}, getppid) };
		POSIX::_exit(0);
	}
	return $self;
}

sub follow
{
	my ($self, $node) = @_;

	append_to_file("$self->{dir}/target.new", join "\t", $node->host, $node->port);
	rename "$self->{dir}/target.new", "$self->{dir}/target" or die "could not rename: $!\n";
	return;
}

# Connection wants a node, of which it asks this.
sub DocumentdbUpgrade::Story::Probe::Place::host { return $_[0][0]; }
sub DocumentdbUpgrade::Story::Probe::Place::port { return $_[0][1]; }

sub write_rows
{
	my ($dir, $parent) = @_;
	my ($id, $target) = (0);

	open my $log, '>', "$dir/answers" or return;
	$log->autoflush;
	while (getppid == $parent && defined($target = target($dir)))
	{
		my $place = bless [ split /\t/, $target ], 'DocumentdbUpgrade::Story::Probe::Place';
		my $begin = time;
		my $session = DocumentdbUpgrade::Connection->new($place, dbname => 'postgres', user => 'app');

		printf $log "%.3f %.3f %s %d\n", $begin, time - $begin, 'refused', 0 unless $session;
		while ($session && (target($dir) // '') eq $target)
		{
			$begin = time;
			$id++;
			my $result = $session->run("INSERT INTO written SELECT $id WHERE NOT EXISTS (SELECT FROM thing WHERE id = 0)", verbose => 1);
			my ($code) = $result->{stderr} =~ /(?:ERROR|FATAL|PANIC):  (\w{5}):/;
			$code //= $result->{lost} ? 'lost' : '00000';
			printf $log "%.3f %.3f %s %d\n", $begin, time - $begin, $code, $id;
			undef $session if $result->{lost};
			usleep(5_000);
		}
		$session->close if $session;
		usleep(20_000);
	}
	return;
}

sub target
{
	open my $file, '<', "$_[0]/target" or return;
	return scalar <$file>;
}

=pod

=item answers

What has come since the last call: hashes with C<at> (when it was asked),
C<seconds>, C<code> (a SQLSTATE, "lost" or "refused") and C<id>.

=item stop

Ends it.

=back

=cut

sub answers
{
	my ($self) = @_;

	open my $file, '<', "$self->{dir}/answers" or return;
	seek $file, $self->{seen}, 0;
	my $text = do { local $/; <$file> } // '';
	$text =~ s/[^\n]*\z//;
	$self->{seen} += length $text;
	return map { my %answer; @answer{qw(at seconds code id)} = split / /; \%answer } split /\n/, $text;
}

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	return if $self->{owner} != $$;

	local ($?, $!);
	unlink "$self->{dir}/target";
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

sub DESTROY { $_[0]->stop; return; }

1;
