
=pod

=head1 NAME

DocumentdbUpgrade::Cluster - a coordinator of Citus and its worker nodes

=head1 SYNOPSIS

  my ($coordinator, $one, $two) = citus_cluster(2);

  is(statuses($coordinator), 'ready ready ready', 'all are ready');
  is(versions_of($coordinator, $one, $two), '1.0 1.0 1.0', 'and at the same version');

=head1 DESCRIPTION

Each node is one of DocumentdbUpgrade::WorkerNode, with an installation of its
own; extension "thing" is at 1.0 everywhere.  Citus is a stand-in, library
citus_stub of the fixtures; with CHECK_CITUS=yes it is the real one, where the
server has that.

=cut

package DocumentdbUpgrade::Cluster;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Fleet qw(add_standby install_gate);
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode;
use Exporter 'import';

our @EXPORT = qw(citus_cluster add_secondary is_real_citus statuses versions_of);

my $stub = q{
SET LOCAL allow_system_table_mods = on;
CREATE TYPE pg_catalog.noderole AS ENUM ('primary', 'secondary', 'unavailable');
CREATE TABLE pg_catalog.pg_dist_node (
	nodeid int PRIMARY KEY, groupid int NOT NULL, nodename text NOT NULL, nodeport int NOT NULL,
	isactive boolean NOT NULL DEFAULT true, noderole noderole NOT NULL DEFAULT 'primary',
	nodecluster name NOT NULL DEFAULT 'default');
CREATE TABLE pg_catalog.pg_dist_local_group (groupid int PRIMARY KEY);
INSERT INTO pg_catalog.pg_dist_local_group VALUES (0);
CREATE FUNCTION pg_catalog.master_run_on_worker(worker_name text[], port integer[], command text[], parallel boolean,
	OUT node_name text, OUT node_port integer, OUT success boolean, OUT result text)
	RETURNS SETOF record LANGUAGE c STRICT AS 'citus_stub', 'citus_stub_run_on_worker';
CREATE FUNCTION pg_catalog.citus_create_restore_point(text) RETURNS pg_lsn
	LANGUAGE c STRICT AS 'citus_stub', 'citus_stub_restore_point';
CREATE FUNCTION pg_catalog.recover_prepared_transactions() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	done int := 0;
	node record;
	gid text;
BEGIN
	FOR node IN SELECT ARRAY[nodename] AS host, ARRAY[nodeport] AS port FROM pg_catalog.pg_dist_node WHERE groupid <> 0 LOOP
		FOR gid IN SELECT unnest(string_to_array(result, ',')) FROM pg_catalog.master_run_on_worker(node.host, node.port,
				ARRAY['SELECT coalesce(string_agg(gid, '',''), '''') FROM pg_prepared_xacts'], true) LOOP
			PERFORM FROM pg_catalog.master_run_on_worker(node.host, node.port, ARRAY[format('COMMIT PREPARED %L', gid)], true);
			done := done + 1;
		END LOOP;
	END LOOP;
	RETURN done;
END $$;
CREATE FUNCTION pg_catalog.citus_drop_trigger() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER citus_cascade_to_partition ON sql_drop EXECUTE FUNCTION pg_catalog.citus_drop_trigger();
};

my $settings = q{
max_prepared_transactions = 20
wal_level = replica
documentdb_upgrade.lock_timeout = '300ms'
documentdb_upgrade.node_timeout = '8s'
};

=pod

=head1 FUNCTIONS

=over

=item is_real_citus()

True when it is to be the real Citus.

=item citus_cluster(n, %options)

A started coordinator and n worker nodes.  Options: those of worker_node, and

  gate      true: library gate_stub is preloaded everywhere, as in
            DocumentdbUpgrade::Fleet

=item add_secondary(cluster, node, name)

A started standby of one node, which the cluster knows as a secondary node.  The
cluster is a reference to its nodes, made with C<streaming>.

=cut

sub is_real_citus { return ($ENV{CHECK_CITUS} // '') eq 'yes' && extension_available('citus'); }

sub citus_cluster
{
	my ($n, %options) = @_;
	my $library = is_real_citus() ? 'citus' : 'citus_stub';
	my $gate = delete $options{gate};
	my $preload = "$library, documentdb_upgrade" . ($gate ? ', gate_stub' : '');
	my $conf = $settings . ($gate ? "documentdb_upgrade.version_gate = 'gate_stub gate'\n" : '') . (is_real_citus() ? "citus.node_conninfo = 'sslmode=disable'\n" : '') . ($options{conf} // '');
	my @nodes = map {
		my $node = worker_node($_, create => 0, preload => $preload, %options, start => 0,
			conf => $conf);
		$node->append_conf('postgresql.conf', "citus.local_hostname = '" . $node->host . "'");
		$node->start;
		write_extension($node, 'citus', '1.0', '1.0' => $stub) unless is_real_citus();
		sql($node, 'CREATE EXTENSION citus');
		$node;
	} 'coordinator', map { "worker$_" } 1 .. $n;

	if (is_real_citus())
	{
		sql($nodes[0], sprintf q{SELECT citus_set_coordinator_host('%s', %d)}, $nodes[0]->host, $nodes[0]->port);
		sql($nodes[0], sprintf q{SELECT citus_add_node('%s', %d)}, $_->host, $_->port) foreach @nodes[ 1 .. $n ];
	}
	else
	{
		foreach my $here (0 .. $n)
		{
			sql($nodes[$here], "UPDATE pg_dist_local_group SET groupid = $here");
			sql($nodes[$here], sprintf q{INSERT INTO pg_dist_node (nodeid, groupid, nodename, nodeport) VALUES (%d, %d, '%s', %d)},
				$_ + 1, $_, $nodes[$_]->host, $nodes[$_]->port) foreach 0 .. $n;
		}
	}
	sql($nodes[0], q{CREATE EXTENSION thing VERSION '1.0'});
	sql($nodes[0], 'CREATE EXTENSION documentdb_upgrade');
	install_gate($_) foreach $gate ? @nodes : ();
	return @nodes;
}

sub add_secondary
{
	my ($cluster, $node, $name) = @_;
	my $standby;

	sql($node, 'SET citus.enable_ddl_propagation = off; CREATE ROLE streamer LOGIN REPLICATION');
	$standby = add_standby($node, $name);
	if (is_real_citus())
	{
		sql($cluster->[0], sprintf q{SELECT citus_add_secondary_node('%s', %d, '%s', %d)},
			map { ($_->host, $_->port) } $standby, $node);
		return $standby;
	}
	sql($_, sprintf q{INSERT INTO pg_dist_node (nodeid, groupid, nodename, nodeport, noderole)
		SELECT max(nodeid) + 1, max(groupid) FILTER (WHERE nodeport = %d), '%s', %d, 'secondary' FROM pg_dist_node},
		$node->port, $standby->host, $standby->port) foreach @$cluster;
	return $standby;
}

=pod

=item statuses(coordinator)

The words of view nodes, in its order.

=item versions_of(nodes)

What each has installed of "thing", by its own catalogue.

=back

=cut

sub statuses
{
	my ($coordinator) = @_;
	return sql($coordinator, q{SELECT string_agg(status, ' ' ORDER BY groupid) FROM documentdb_upgrade.nodes});
}

sub versions_of
{
	return join ' ', map { sql($_, q{SELECT extversion FROM pg_extension WHERE extname = 'thing'}) } @_;
}

1;
