
=pod

=head1 NAME

DocumentdbUpgrade::Follower - a node whose worker follows a custom resource

=head1 SYNOPSIS

  my $api = DocumentdbUpgrade::FakeApi->new;
  $api->put_resource('db1');
  my $node = follow($api);

  wait_for_state($node, 'update_available');
  outage($node, $api,
      name => 'an error of the server',
      cause => sub { $api->fault(times => 100, status => 500) },
      says => qr/500/);

=head1 DESCRIPTION

The extension that is managed is the stand-in documentdb of test/fixtures,
installed at 0.100-0 with a binary of 1.0-0.

=cut

package DocumentdbUpgrade::Follower;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use JSON::PP ();
use Test::More;

our @EXPORT = qw(
  ROOM_FOR_UPGRADES
  follow follow_settings install_documentdb status_of wait_for_status wait_for_state
  wait_for_watch worker_pid memory_of has_not_grown outage still_follows unharmed
);

# What a process may take, in kB, for the caches that guards and upgrades fill
# once.
use constant ROOM_FOR_UPGRADES => 3072;

=pod

=head1 FUNCTIONS

=over

=item follow_settings(api)

Text for postgresql.conf: source kubernetes with what the fake API server
needs, and a quick pace.

=cut

sub follow_settings
{
	my $api = shift;
	my ($url, $ca, $token) = ($api->url, $api->ca_file, $api->token_file);

	return qq{
documentdb_upgrade.source = kubernetes
documentdb_upgrade.kubernetes_api_server = '$url'
documentdb_upgrade.kubernetes_namespace = 'lab'
documentdb_upgrade.kubernetes_resource = 'db1'
documentdb_upgrade.kubernetes_token_file = '$token'
documentdb_upgrade.kubernetes_ca_file = '$ca'
documentdb_upgrade.poll_interval = '200ms'
documentdb_upgrade.retry_min = '100ms'
documentdb_upgrade.retry_max = '1s'
documentdb_upgrade.guard_severity = 'rehearsed=skip'
};
}

=pod

=item follow(api, %options)

A started node with our library preloaded that follows resource lab/db1 and
has both extensions installed.  Options: those of new_node; C<name> (main);
C<version> of documentdb (0.100-0).

=cut

sub follow
{
	my ($api, %options) = @_;
	my $version = delete $options{version};
	my $name = delete $options{name} // 'main';
	my $node = new_node($name, preload => 1, %options,
		conf => follow_settings($api) . ($options{conf} // ''));

	install_documentdb($node, $version);
	return $node;
}

=pod

=item install_documentdb(node, version)

Our extension and the stand-in, at 0.100-0 or the version given.

=cut

sub install_documentdb
{
	my ($node, $version) = @_;
	$version //= '0.100-0';
	sql($node, qq{
		BEGIN;
		CREATE EXTENSION documentdb_core VERSION '$version';
		CREATE EXTENSION documentdb VERSION '$version';
		CREATE EXTENSION documentdb_upgrade;
		COMMIT});
	return;
}

=pod

=item status_of(node)

The row of view status as a hash.

=item wait_for_status(node, code, what)

Polls until the code, given such a hash, returns true; gives the hash.  After
the timeout the test fails under the name "what" and shows the last row.

=item wait_for_state(node, state, next_step)

Passes when the state comes to be this one, with a next_step that matches if
one is given.

=cut

sub status_of
{
	my $node = shift;
	return JSON::PP->new->utf8->decode(sql($node, 'SELECT to_jsonb(s) FROM documentdb_upgrade.status s'));
}

sub wait_for_status
{
	my ($node, $code, $what) = @_;
	my $status;

	my $found = poll_until(sub { $status = status_of($node); return $code->($status) }, $what);
	diag('last status: ' . JSON::PP->new->canonical->encode($status)) unless $found;
	return $status;
}

sub wait_for_state
{
	my ($node, $state, $next_step) = @_;
	my $what = "state $state" . (defined $next_step ? " with next_step like $next_step" : '');
	my $status = wait_for_status($node,
		sub { $_[0]->{state} eq $state && (!defined $next_step || $_[0]->{next_step} =~ $next_step) }, "$what is reached");

	return ok($status->{state} eq $state && (!defined $next_step || $status->{next_step} =~ $next_step), $what);
}

=pod

=item wait_for_watch(api)

Polls until the worker has a watch open.

=cut

sub wait_for_watch
{
	my $api = shift;
	return poll_until(sub { $api->watches > 0 }, 'a watch is open');
}

=pod

=item worker_pid(node), memory_of(pid), has_not_grown(pid, before, limit, name)

The worker's process, waited for, and the memory of its own that it occupies,
in kB: of shared buffers and programs every process sees more with time.  The last
passes when that is less than the limit above what it was before.

=cut

sub worker_pid
{
	my $node = shift;
	return wait_for_status($node, sub { $_[0]->{worker_pid} }, 'a worker runs')->{worker_pid};
}

sub memory_of
{
	my $pid = shift;
	my ($kb) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $kb;
}

# A server with a sanitizer keeps what it has freed, to see who uses it.
sub has_not_grown
{
	my ($pid, $before, $limit, $name) = @_;

	return cmp_ok(memory_of($pid) - $before, '<', $limit, $name) unless sanitized();
	SKIP: { skip 'a sanitizer keeps what was freed', 1; }
	return 1;
}

=pod

=item still_follows(node, api, name)

Passes when a change of the resource reaches the worker: a schemaVersion that
no binary has is reported as desired.

=item unharmed(node, api, name, code, limit)

Runs code that makes trouble and ends it; passes when after that the worker is
the same process, has grown by less than 1 MB and still follows.  Where code
lets upgrades run, and the first time, the limit is ROOM_FOR_UPGRADES.

=cut

my $wishes = 0;
my $troubles = 0;

sub still_follows
{
	my ($node, $api, $name) = @_;
	my $wish = sprintf '77.%d.0', ++$wishes;
	my $own_spelling = qr/Version 77\.$wishes-0 is desired/;

	$api->patch_spec('db1', schemaVersion => $wish);
	my $status = wait_for_status($node,
		sub { ($_[0]->{desired} // '') eq $wish && $_[0]->{next_step} =~ $own_spelling }, "after $name the worker follows");
	$api->patch_spec('db1', schemaVersion => '');
	wait_for_status($node, sub { $_[0]->{state} eq 'update_available' }, "after $name the worker follows back");
	return is($status->{desired}, $wish, "after $name the worker follows");
}

sub unharmed
{
	my ($node, $api, $name, $code, $limit) = @_;
	my $pid = worker_pid($node);
	my $before = memory_of($pid);

	$limit //= $troubles++ ? 1024 : ROOM_FOR_UPGRADES;
	$code->();
	still_follows($node, $api, $name);
	is(status_of($node)->{worker_pid}, $pid, 'as the same process');
	has_not_grown($pid, $before, $limit, 'without having grown');
	return;
}

=pod

=item outage(node, api, %outage)

A whole outage: C<cause> it, see that state is waiting and next_step C<says>
what is wrong, that a change of the resource starts nothing meanwhile, C<cure>
it (by default by ending all faults), and then all that unharmed says.

=cut

sub outage
{
	my ($node, $api, %outage) = @_;

	unharmed($node, $api, $outage{name}, sub {
		my $runs = sql($node, 'SELECT count(*) FROM documentdb_upgrade.history');

		$outage{cause}->();
		$api->watch_stop('end');
		wait_for_state($node, 'waiting', $outage{says});
		is(sql($node, 'SELECT count(*) FROM documentdb_upgrade.history'), $runs, "nothing runs during $outage{name}");
		$api->clear_faults;
		$outage{cure}->() if $outage{cure};
	});
	return;
}

=pod

=back

=cut

1;
