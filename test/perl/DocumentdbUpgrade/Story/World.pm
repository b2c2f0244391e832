
=pod

=head1 NAME

DocumentdbUpgrade::Story::World - the servers of a story

=head1 SYNOPSIS

  my $world = DocumentdbUpgrade::Story::World->new($plan->{world}, api => 1);
  act($world, 'raise', 'a', '1.1');
  $world->end;

=head1 DESCRIPTION

Servers "p" (the first primary), "a", "b", "c", each with an installation of its own, of
extension "thing" as DocumentdbUpgrade::Fleet has it.  All data directories are copies of
one that was made once in a run.  A standby hears its upstream over a Link, has a slot
there, and reports over the same way.

What a story knows of them is C<facts>, for the Model.  What the actions do is in
DocumentdbUpgrade::Story::Actions, what must hold in DocumentdbUpgrade::Story::Invariants.

=cut

package DocumentdbUpgrade::Story::World;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Clock;
use DocumentdbUpgrade::Connection;
use DocumentdbUpgrade::FakeApi;
use DocumentdbUpgrade::Fleet;
use DocumentdbUpgrade::Follower qw(follow_settings);
use DocumentdbUpgrade::Story::Link;
use DocumentdbUpgrade::Story::Model;
use DocumentdbUpgrade::Story::Probe;
use DocumentdbUpgrade::Test;
use File::Path ();
use Exporter 'import';
use List::Util qw(min);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(nothing outcome within);

# How long anything may take that comes by itself, in seconds of a quiet machine: a
# crash and a recovery, a timeout of replication, reports and retries are in it.
our $bound = 30;

# A machine that is even slower is no place for stories.
use constant MOST_PATIENCE => 4;

my $settings = q{
restart_after_crash = on
max_wal_senders = 8
max_replication_slots = 8
wal_receiver_timeout = '4s'
wal_sender_timeout = '4s'
authentication_timeout = '10s'
log_statement = none
log_line_prefix = '%m [%p] %e %q%a '
documentdb_upgrade.lock_timeout = '500ms'
documentdb_upgrade.retry_min = '100ms'
documentdb_upgrade.retry_max = '500ms'
documentdb_upgrade.guard_severity = 'rehearsed=skip'
};

# The data directory that all are copied from, and an installation for each name: the
# same ones for every story of a run.
my ($template, %installations);

=pod

=head1 FUNCTIONS

=over

=item prepare_worlds()

Makes what the worlds of a run have in common.

=cut

sub prepare_worlds
{
	return if $template;
	my $node = fleet_primary('template', conf => $settings);

	sql($node, q{
		CREATE ROLE app LOGIN;
		GRANT pg_read_all_data TO app;
		CREATE TABLE written (id int);
		GRANT INSERT ON written TO app});
	$node->stop;
	unlink glob $node->data_dir . '/pg_stat_tmp/*';
	$template = $node->data_dir;
	$installations{$_} = fresh_installation() foreach qw(p a b c);
	return;
}

=pod

=back

=head1 METHODS

=over

=item new(world, %options)

Everybody runs, with binary 1.0, and the standbys stream.  Option C<api>: there is an API
server, which a story needs that mentions one.

=cut

sub new
{
	my ($class, $world, %options) = @_;
	my $self = bless { links => {}, nodes => {}, offsets => {}, sessions => {}, said => [], excuses => {} }, $class;

	prepare_worlds();
	$self->{facts} = {
		primary => 'p', installed => '1.0', source => $world->{source}, ahead => $world->{ahead},
		desired => { map { $_ => '' } qw(setting file kubernetes) }, trouble => {},
		servers => { map { $_ => { binary => '1.0', up => 0, upstream => $world->{upstream}{$_} } } 'p', keys %{ $world->{upstream} } } };
	$self->{dir} = PostgreSQL::Test::Utils::tempdir();
	$self->write_wish('');
	if ($options{api})
	{
		$self->{api} = DocumentdbUpgrade::FakeApi->new;
		$self->{api}->put_resource('db1', spec => { schemaVersion => '' });
	}
	$self->add_server($_) foreach $self->names;
	foreach my $name ($self->downwards)
	{
		my $upstream = $self->{facts}{servers}{$name}{upstream};

		if (defined $upstream)
		{
			sql($self->{nodes}{$upstream}, "SELECT pg_create_physical_replication_slot('$name', true)");
			$self->{nodes}{$name}->set_standby_mode;
			$self->connect_to($name, $upstream);
		}
		$self->{nodes}{$name}->start;
		$self->{facts}{servers}{$name}{up} = 1;
	}
	$self->{probe} = DocumentdbUpgrade::Story::Probe->new($self->primary);
	return $self;
}

sub add_server
{
	my ($self, $name) = @_;
	my $facts = $self->{facts};
	my $node = DocumentdbUpgrade::Node->new($name, install_path => $installations{$name});
	my ($host, $port) = ($node->host, $node->port);
	my $kubernetes = $self->{api} ? follow_settings($self->{api}) =~ s/^documentdb_upgrade\.(?!kubernetes).*\n//mgr : '';

	mkdir $node->backup_dir;
	unlink $node->logfile;
	if (defined(my $disk = $self->small_disk($name)))
	{
		File::Path::rmtree("$disk/data");
		symlink "$disk/data", $node->data_dir or die "could not make a link: $!\n";
		system_or_bail('cp', '-RPp', $template, "$disk/data");
	}
	else { system_or_bail('cp', '-RPp', $template, $node->data_dir); }
	$node->append_conf('postgresql.conf', qq{
port = $port
unix_socket_directories = '$host'
$kubernetes
documentdb_upgrade.source = '$facts->{source}'
documentdb_upgrade.desired_file = '$self->{dir}/desired'
documentdb_upgrade.schema_ahead_action = '$facts->{ahead}'
});
	raise_binary($node, '1.0');
	give_clock($node) if clock_works();
	$self->{nodes}{$name} = $node;
	return;
}

=pod

=item server(name)

What the facts say of one, where "primary" is a name.

=item ask(sql)

What try_sql gives of a statement to the primary whose failure is an answer; dies of an
internal error.

=cut

sub server { my ($self, $name) = @_; return $self->{facts}{servers}{ $self->named($name) }; }

sub ask
{
	my ($self, $sql) = @_;
	my $result = try_sql($self->primary, $sql);

	die "an internal error: $sql: $result->{stderr}\n" if ($result->{sqlstate} // '') =~ /^XX/;
	return $result;
}

=pod

=item small_disk(name)

A file system of its own for the data directory of that server, where whoever runs this has
mounted one; nothing where nobody could.

=cut

sub small_disk
{
	my ($self, $name) = @_;
	my $disk = ($ENV{STORY_DISKS} // '') . '/' . $self->named($name);

	return $ENV{STORY_DISKS} && -d $disk ? $disk : undef;
}

=pod

=item names, primary, node(name), servers_up

All names; the node of the primary; that of a name, where "primary" is one; the names of
those that can be asked something.

=item downwards

All names, each after its upstream.

=cut

sub names { return sort keys %{ $_[0]{facts}{servers} }; }
sub primary { return $_[0]{nodes}{ $_[0]{facts}{primary} }; }
sub node { return $_[0]{nodes}{ $_[0]->named($_[1]) }; }
sub named { return $_[1] eq 'primary' ? $_[0]{facts}{primary} : $_[1]; }

sub servers_up
{
	my ($self) = @_;
	return grep { $self->{facts}{servers}{$_}{up} && !$self->{facts}{servers}{$_}{frozen} } $self->names;
}

sub downwards
{
	my ($self) = @_;
	my $servers = $self->{facts}{servers};
	my %depth;

	foreach my $name ($self->names)
	{
		for (my $above = $name; defined $above; $above = $servers->{$above}{upstream}) { $depth{$name}++; }
	}
	return sort { $depth{$a} <=> $depth{$b} || $a cmp $b } keys %depth;
}

=pod

=item connect_to(name, upstream), slots_of(name)

Has a standby stream from that server from now on; drops the slots there that nobody is
to use any more, and makes those that are missing.

=cut

sub connect_to
{
	my ($self, $name, $upstream) = @_;
	my $link = DocumentdbUpgrade::Story::Link->new($self->{nodes}{$upstream});

	$self->{links}{$name} = $link;
	@{ $self->{facts}{servers}{$name} }{qw(upstream cut)} = ($upstream, 0);
	stream_from($self->{nodes}{$name}, $self->{nodes}{$upstream}, slot => 1, conninfo => $link->conninfo);
	return;
}

sub slots_of
{
	my ($self, $name) = @_;
	my $servers = $self->{facts}{servers};
	my @below = grep { ($servers->{$_}{upstream} // '') eq $name } $self->names;
	my $list = join ',', map { "'$_'" } @below;
	my $node = $self->{nodes}{$name};

	sql($node, "SELECT pg_create_physical_replication_slot(name, true) FROM unnest(ARRAY[$list]::text[]) name
		WHERE name NOT IN (SELECT slot_name FROM pg_replication_slots)");
	# A connection of before may have to notice first that nobody is there.
	my @said;
	within(sub {
		@said = grep { $_ } map { try_sql($node, "SELECT pg_drop_replication_slot('$_')")->{message} }
		  split /\n/, sql($node, "SELECT slot_name FROM pg_replication_slots WHERE slot_name <> ALL (ARRAY[$list]::text[])");
		return !@said;
	}) or die "the slots of $name cannot be dropped: @said\n";
	return;
}

=pod

=item write_wish(text)

Into the file that source "file" reads, at once.

=item set_everywhere(setting, value)

In the configuration of each server, whether it runs or not.

=cut

sub write_wish
{
	my ($self, $text) = @_;

	unlink "$self->{dir}/desired.new";
	append_to_file("$self->{dir}/desired.new", "$text\n");
	rename "$self->{dir}/desired.new", "$self->{dir}/desired" or die "could not rename: $!\n";
	return;
}

sub set_everywhere
{
	my ($self, $setting, $value) = @_;

	foreach my $name ($self->names)
	{
		$self->{nodes}{$name}->append_conf('postgresql.conf', "$setting = '$value'");
		$self->{nodes}{$name}->reload if $self->{facts}{servers}{$name}{up} && !$self->{facts}{servers}{$name}{frozen};
	}
	return;
}

=pod

=item excuse(what)

Until the next check that may be: C<lost> (sessions with the primary end), C<fence> (one was
up), C<full> (the lock table or the disk is), C<back> (the primary may have lost its last commits).

=item session(what, sql)

Opens a session of that name with the primary that runs this.

=item close_session(what), forget_sessions

Ends one; or all, where the server has.

=cut

sub excuse { my ($self, @what) = @_; $self->{excuses}{$_} = 1 foreach @what; return; }

sub session
{
	my ($self, $what, $sql) = @_;
	my $session = DocumentdbUpgrade::Connection->new($self->primary, dbname => 'postgres') or return;

	$self->{sessions}{$what} = $session;
	return !$session->run($sql)->{failed};
}

sub close_session
{
	my ($self, $what) = @_;
	my $session = delete $self->{sessions}{$what} or return;
	$session->close;
	return;
}

sub forget_sessions
{
	my ($self) = @_;

	$self->{sessions} = {};
	@{ $self->{facts} }{qw(gate table)} = (0, 0);
	return;
}

=pod

=item look(name, query)

What a query gives there that changes nothing, in a session that is kept for a while;
nothing when the server cannot be asked.

=cut

# What only new sessions see shall not be missed.
use constant LOOKS_OF_A_SESSION => 20;

sub look
{
	my ($self, $name, $query) = @_;
	my $kept = delete $self->{looks}{$name};

	if (!$kept || $kept->{connection}->ended)
	{
		my $connection = DocumentdbUpgrade::Connection->new($self->{nodes}{$name}, dbname => 'postgres') or return;
		$kept = { connection => $connection, uses => 0 };
	}
	my $result = $kept->{connection}->run($query);
	if (!$result->{failed} && ++$kept->{uses} < LOOKS_OF_A_SESSION) { $self->{looks}{$name} = $kept; }
	else { $kept->{connection}->close; }
	return if $result->{failed};
	chomp $result->{stdout};
	return $result->{stdout};
}

=pod

=item children(name)

The processes of a server: its postmaster, and those that this one has started.

=cut

sub children
{
	my ($self, $name) = @_;
	my $postmaster = $self->{nodes}{$name}{_pid} or return;
	my @children;

	foreach my $file (glob '/proc/[0-9]*/stat')
	{
		open my $stat, '<', $file or next;
		my $line = <$stat> // next;
		push @children, $1 if $line =~ /^(\d+) \(.*\) \S (\d+)/s && $2 == $postmaster;
	}
	return ($postmaster, @children);
}

=pod

=item end

Ends and removes everything.

=back

=head1 FUNCTIONS

=over

=item within(code, seconds)

Asks until the code gives true, and gives that; false when the bound has passed, as long as
it is on this machine now.

=item outcome(result), nothing(why)

In a few words what came of a statement; that there was nothing to do.

=back

=cut

sub outcome { my ($result) = @_; return $result->{ok} ? 'done' : ($result->{sqlstate} // 'lost') . ' ' . ($result->{message} // ''); }
sub nothing { return "nothing: $_[0]"; }

sub within
{
	my ($code, $seconds) = @_;

	# How slow the machine is takes a while to find out, and is seldom of interest.
	local $PostgreSQL::Test::Utils::timeout_default = $seconds //= $bound;
	my $result = DocumentdbUpgrade::Node::poll($code);
	return $result if $result;
	$PostgreSQL::Test::Utils::timeout_default = min(MOST_PATIENCE * $seconds, patience($seconds)) - $seconds;
	return DocumentdbUpgrade::Node::poll($code);
}

sub end
{
	my ($self) = @_;

	$self->{probe}->stop if $self->{probe};
	@$self{qw(sessions looks)} = ({}, {});
	foreach my $name ($self->names)
	{
		my $node = $self->{nodes}{$name} or next;

		kill 'CONT', $self->children($name) if $node->{_pid};
		$node->teardown_node;
		$node->clean_node;
		File::Path::rmtree($self->small_disk($name) . '/data') if $self->small_disk($name);
	}
	$_->stop foreach values %{ $self->{links} };
	$self->{api}->stop if $self->{api};
	return;
}

1;
