
=pod

=head1 NAME

DocumentdbUpgrade::Blue - a database on a server of an older release

=head1 SYNOPSIS

  my $blue = DocumentdbUpgrade::Blue->new('13', 'restored');

  $blue->load_every_type;
  $blue->dump_to($green);
  $blue->remove;

=head1 DESCRIPTION

For the TAP files of test/bluegreen.  Blue servers run elsewhere (see
test/check-bluegreen): each is reached on a loopback port, with a password,
as postgres, whom a fence lets through, as the superuser application, or as
role replicator.  A test has a database of its own there, by
the same name on green, and shares the server with others.

=cut

package DocumentdbUpgrade::Blue;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::BlueGreen ();
use DocumentdbUpgrade::SeededChanges;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test qw(poll_until);
use IPC::Run ();
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;

# What is in no dump: the extensions that do the comparing.
my @without_us = map { "--exclude-extension=$_" } qw(documentdb_upgrade documentdb_upgrade_parity);

=pod

=head1 METHODS

=over

=item new(name, dbname, %options)

The blue server of that name, with an empty database in which the functions
for comparing are installed, unless the option C<functions> is false.

=item major

Its release.

=cut

sub new
{
	my ($class, $name, $dbname, %options) = @_;
	my $where = $ENV{"BLUE_$name"} // die "there is no blue server \"$name\": use make check-bluegreen\n";
	my ($major) = $name =~ /^(\d+)/;
	my $self = bless { where => $where, dbname => $dbname, major => $major }, $class;

	$self->sql("DROP DATABASE IF EXISTS $dbname", dbname => 'postgres');
	$self->sql("CREATE DATABASE $dbname", dbname => 'postgres');
	$self->sql('CREATE EXTENSION ' . $self->extension) if $options{functions} // 1;
	return $self;
}

sub major { return $_[0]->{major}; }

# From 15 on that is the whole of it.
sub extension { return $_[0]->{major} < 15 ? 'documentdb_upgrade_parity' : 'documentdb_upgrade'; }

=pod

=item conninfo(%options)

How to connect, with the password.  Options: C<user> (postgres), C<dbname>.

=cut

sub conninfo
{
	my ($self, %options) = @_;
	return $self->where(%options) . " password=$ENV{BLUE_PASSWORD}";
}

sub where
{
	my ($self, %options) = @_;
	return sprintf '%s dbname=%s user=%s', $self->{where}, $options{dbname} // $self->{dbname}, $options{user} // $self->{user} // 'postgres';
}

=pod

=item try_sql(sql, %options), sql(sql, %options)

As the functions of DocumentdbUpgrade::Test: with what came of it, or only what
must not fail.  Options as for conninfo.

=cut

sub try_sql
{
	my ($self, $sql, %options) = @_;
	my ($stdout, $stderr) = ('', '');

	local $ENV{PGPASSWORD} = $ENV{BLUE_PASSWORD};
	my $ok = IPC::Run::run([ $self->psql(%options), '-v', 'VERBOSITY=verbose', '-f', '-' ], '<', \$sql, '>', \$stdout, '2>', \$stderr);
	chomp $stdout;
	return { %{ DocumentdbUpgrade::Test::result_of($stdout, $stderr) }, ok => $ok };
}

sub sql
{
	my ($self, $sql, %options) = @_;
	my $result = $self->try_sql($sql, %options);

	die "blue: $result->{stderr}\nafter: $sql\n" unless $result->{ok};
	return $result->{stdout};
}

# A DocumentdbUpgrade::Session on blue; what that asks of a node is background_psql.
sub session { my ($self, %options) = @_; return DocumentdbUpgrade::Session->new(bless { %$self, %options }, ref $self); }

sub background_psql
{
	my ($self, undef, %params) = @_;
	local $ENV{PGPASSWORD} = $ENV{BLUE_PASSWORD};
	return DocumentdbUpgrade::Blue::Psql->start(
		[ 'psql', '-XAtq', '-d', $self->where, '-f', '-', @{ $params{extra_params} } ],
		$PostgreSQL::Test::Utils::timeout_default);
}

# PostgreSQL's module lets only nodes start one.
package DocumentdbUpgrade::Blue::Psql
{
	our @ISA = ('PostgreSQL::Test::Cluster');
	sub start { my ($class, @arguments) = @_; return PostgreSQL::Test::BackgroundPsql->new(0, @arguments); }
}

sub psql
{
	my ($self, %options) = @_;
	return ('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $self->where(%options));
}

=pod

=item session(%options)

A DocumentdbUpgrade::Session there.  Options: C<user> (postgres).

=item load_every_type

Fills the database with test/bluegreen's data of every type, and with the rows
that SeededChanges changes.

=cut

sub load_every_type
{
	my $self = shift;
	my $dir = "$ENV{DU_SOURCE}/test/bluegreen";

	$self->sql(slurp_file("$dir/$_.sql")) foreach 'every_type', $self->major >= 14 ? 'multiranges' : ();
	$self->sql(base_rows());
	return;
}

=pod

=item dump_to(node)

Makes the database on green, anew if it is there, by pg_dump and pg_restore of
green's release.

=item schema_to(node)

The same without the data.

=item numbers_to(node)

What logical replication leaves out: where sequences are, and large objects.

=item dump_differences(node)

How dumps of the data of both differ, when the order of lines does not count:
the first lines that only one has.  What a comparison says can be held against
it.

=cut

sub dump_to
{
	my ($self, $green) = @_;
	my $file = $self->dump('-Fc');

	DocumentdbUpgrade::BlueGreen::create_green($green, $self->{dbname});
	system_or_bail('pg_restore', '--section=pre-data', '-f', "$file.sql", $file);
	restore_definitions($self, $green, "$file.sql");
	system_or_bail('pg_restore', '--exit-on-error', '--section=data', '--section=post-data',
		'-d', $green->connstr($self->{dbname}), $file);
	return;
}

sub schema_to
{
	my ($self, $green) = @_;

	DocumentdbUpgrade::BlueGreen::create_green($green, $self->{dbname});
	restore_definitions($self, $green, $self->dump('--schema-only', '--no-publications'));
	return;
}

# Minor releases since 15.20 keep a mark of their own among a column's options,
# which pg_dump takes for one that any server knows if it is older than that.
sub restore_definitions
{
	my ($self, $green, $file) = @_;
	my $sql = slurp_file($file);

	$sql =~ s/^ALTER TABLE ONLY .* ALTER COLUMN .* SET \(pg_attver=\d+\);\n//mg;
	run_sql($self, $green, $sql);
	return;
}

# Runs a script on green.
sub run_sql
{
	my ($self, $green, $sql) = @_;
	my $stderr = '';

	IPC::Run::run([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $green->connstr($self->{dbname}), '-f', '-' ],
		'<', \$sql, '>', '/dev/null', '2>', \$stderr) or die "green: $stderr\n";
	return;
}

sub numbers_to
{
	my ($self, $green) = @_;

	# pg_dump --table leaves out the sequence of an identity column.
	my $sequences = $self->sql(q{
		SELECT format($$SELECT format('SELECT setval(%%L, %%s, %%L);', %L, last_value, is_called) FROM %1$s$$, oid::regclass)
		FROM pg_class WHERE relkind = 'S' AND relnamespace::regnamespace::text <> 'documentdb_upgrade'
		ORDER BY oid \gexec
	});
	run_sql($self, $green, slurp_file($self->dump('--data-only', '--large-objects', '--exclude-table=*.*')) . $sequences);
	return;
}

my $dumps = 0;

# A dump of the database here, or of that on green.
sub dump
{
	my ($self, @arguments) = @_;
	my $green = ref $arguments[-1] ? pop @arguments : undef;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/dump' . ++$dumps;

	local $ENV{PGPASSWORD} = $ENV{BLUE_PASSWORD};
	system_or_bail('pg_dump', @without_us, @arguments, '-f', $file,
		'-d', $green ? $green->connstr($self->{dbname}) : $self->where);
	return $file;
}

sub dump_differences
{
	my ($self, $green) = @_;
	my %count;

	foreach ([ 1, $self->dump('--data-only', '--inserts') ], [ -1, $self->dump('--data-only', '--inserts', $green) ])
	{
		my ($sign, $file) = @$_;
		$count{$_} += $sign foreach grep { !/^(?:--|\\(?:un)?restrict )/ } split /\n/, slurp_file($file);
	}
	my @lines = map { $count{$_} > 0 ? "blue: $_" : "green: $_" } grep { $count{$_} } sort keys %count;
	return map { substr $_, 0, 200 } splice @lines, 0, 20;
}

=pod

=item replicate_to(node)

Publishes all tables but ours and subscribes green, whose database has their
definitions; returns when all have been copied.

=item let_read(role)

Grants what it takes to read every table, sequence and large object;
pg_read_all_data is of 14.

=item catch_up(node, lsn)

Waits until green has all that blue wrote before that position of its WAL: by
default, before now.

=item stop_replication(node)

Removes subscription and slot.

=cut

sub replicate_to
{
	my ($self, $green) = @_;
	my $dbname = $self->{dbname};
	my $publisher = $self->conninfo(user => 'replicator');

	$self->let_read('replicator');
	# Tables of ours are not for green; before 15 there are none.
	my $what = $self->major < 15 ? 'ALL TABLES' : 'TABLES IN SCHEMA ' . $self->sql(q{
		SELECT string_agg(quote_ident(nspname), ', ') FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$|documentdb_upgrade)'});
	$self->sql("CREATE PUBLICATION to_green FOR $what");
	DocumentdbUpgrade::Test::sql($green, "CREATE SUBSCRIPTION from_$dbname CONNECTION '$publisher' PUBLICATION to_green", $dbname);
	$green->poll_query_until($dbname, q{SELECT bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel})
	  or die "the tables were never copied\n";
	$self->catch_up($green);
	return;
}

sub let_read
{
	my ($self, $role) = @_;
	$self->sql(qq{
		GRANT SELECT ON pg_largeobject TO $role;
		SELECT format('GRANT USAGE ON SCHEMA %1\$I TO $role; GRANT SELECT ON ALL TABLES IN SCHEMA %1\$I TO $role; GRANT SELECT ON ALL SEQUENCES IN SCHEMA %1\$I TO $role', nspname)
		FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema\$|documentdb_upgrade)' \\gexec
	});
	return;
}

sub catch_up
{
	my ($self, $green, $lsn) = @_;
	$lsn //= $self->sql('SELECT pg_current_wal_lsn()');
	poll_until(
		sub { $self->sql("SELECT confirmed_flush_lsn >= '$lsn' FROM pg_replication_slots WHERE slot_name = 'from_$self->{dbname}'") eq 't' },
		"green has caught up to $lsn");
	return $lsn;
}

sub stop_replication
{
	my ($self, $green) = @_;
	DocumentdbUpgrade::Test::sql($green, "DROP SUBSCRIPTION from_$self->{dbname}", $self->{dbname});
	return;
}

=pod

=item crash(pid)

Blue dies: its postmaster ends as at an immediate shutdown, and a new one comes
a second later.  C<come_back> waits for that.

=cut

sub crash
{
	my ($self) = @_;
	$self->try_sql(q{COPY (SELECT) TO PROGRAM 'kill -QUIT $(head -n 1 postmaster.pid)'});
	return;
}

sub come_back
{
	my ($self) = @_;
	return poll_until(sub { $self->try_sql('SELECT 1')->{ok} }, 'blue is back');
}

=pod

=item remove

Drops the database.

=back

=cut

sub remove
{
	my $self = shift;
	$self->sql("DROP DATABASE $self->{dbname}", dbname => 'postgres');
	return;
}

1;
