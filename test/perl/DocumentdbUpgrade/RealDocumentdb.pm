
=pod

=head1 NAME

DocumentdbUpgrade::RealDocumentdb - nodes with the real DocumentDB

=head1 SYNOPSIS

  my $node = documentdb_node('main');

  install_documentdb($node, '0.103-0');
  works($node, 'before', 'a collection of the old schema');
  sql($node, 'SELECT documentdb_upgrade.finalize()');
  keeps($node, 'before', 'it is read by the new one');
  is(gate($node), '1.0-0', 'the version is in force');
  remove_documentdb($node);

=head1 DESCRIPTION

For the TAP files of test/documentdb, which run where Debian's
postgresql-18-documentdb is installed.

DocumentDB connects to its own server to create collections, and looks for it
on the loopback interface unless told about the socket.  pg_cron works in
background processes here, so that it needs no connection.

=cut

package DocumentdbUpgrade::RealDocumentdb;

use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Exporter 'import';
use File::Basename qw(basename);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(
  DOCUMENTDB WITH_US BINARY
  documentdb_node documentdb_versions core_version install_documentdb remove_documentdb installed
  bson_sql try_bson works keeps create_collections default_lock_table locks_of_update
  gate finalized seconds measured
);

# What DocumentDB wants preloaded, that and us, and the version of the package.
use constant DOCUMENTDB => 'pg_cron, pg_documentdb_core, pg_documentdb';
use constant WITH_US => DOCUMENTDB . ', documentdb_upgrade';
use constant BINARY => '1.0-0';

=pod

=head1 FUNCTIONS

=over

=item documentdb_node(name, %options)

A node as new_node makes it, with WITH_US preloaded unless C<preload> says
otherwise, started, with nothing installed.

=cut

sub documentdb_node
{
	my ($name, %options) = @_;
	my $start = delete $options{start} // 1;
	my $node = new_node($name, preload => WITH_US, %options, start => 0);

	$node->append_conf('postgresql.conf', sprintf q{
cron.database_name = 'postgres'
cron.use_background_workers = on
documentdb.localhost_connection_string = 'host=%s port=%d'
}, $node->host, $node->port);
	$node->start if $start;
	return $node;
}

=pod

=item documentdb_versions

All that the package's files offer, in order.

=item core_version(version)

The version of documentdb_core that goes with it: there is no 0.104-1.

=cut

sub documentdb_versions
{
	my (%next, @chain);

	foreach (glob extension_dir() . '/documentdb--*--*.sql')
	{
		my ($from, $to) = m{/documentdb--(.*)--(.*)\.sql$};
		$next{$from} = $to;
	}
	for (my $version = '0.24-0'; defined $version; $version = $next{$version})
	{
		push @chain, $version;
	}
	return @chain;
}

sub core_version { return $_[0] eq '0.104-1' ? '0.104-0' : $_[0]; }

=pod

=item install_documentdb(node, version, dbname)

DocumentDB at that version, our extension and what they require.

=item remove_documentdb(node)

The contrary, but for our extension and what is not DocumentDB's: roles and
cron jobs go as well.

=item installed(node)

The installed versions of what is called documentdb*, but for ourselves.

=cut

sub install_documentdb
{
	my ($node, $version) = @_;
	my $core = core_version($version);

	sql($node, qq{
		SET client_min_messages = error;
		CREATE EXTENSION documentdb_core VERSION '$core';
		CREATE EXTENSION documentdb VERSION '$version' CASCADE;
		CREATE EXTENSION IF NOT EXISTS documentdb_upgrade});
	return;
}

sub remove_documentdb
{
	my $node = shift;

	sql($node, q{
		SET client_min_messages = error;
		SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'documentdb_upgrade.enforce';
		DROP EXTENSION IF EXISTS documentdb_extended_rum, documentdb, documentdb_core CASCADE;
		DELETE FROM cron.job;
		SELECT format('DROP OWNED BY %I; DROP ROLE %1$I', rolname) FROM pg_roles WHERE rolname LIKE 'documentdb%' \gexec
	});
	return;
}

sub installed
{
	my $node = shift;
	return sql($node, q{SELECT string_agg(concat_ws(' ', extname, extversion), ', ' ORDER BY extname)
		FROM pg_extension WHERE extname LIKE 'documentdb%' AND extname <> 'documentdb_upgrade'});
}

=pod

=item bson_sql(node, sql), try_bson(node, sql, %options)

As sql and try_sql, with documents shown as JSON.

=item works(node, collection, name)

Creates a collection and inserts, finds, updates, aggregates and deletes; passes
when all of that gives what it should.  Two documents remain.

=item keeps(node, collection, name)

Passes when those two are found there.

=cut

my $as_json = 'SET documentdb_core.bsonUseEJson = on;';

sub bson_sql { my ($node, $sql) = @_; return sql($node, "$as_json $sql"); }
sub try_bson { my ($node, $sql, %options) = @_; return try_sql($node, "$as_json $sql", %options); }

# The documents that works() leaves, as a find shows them.
my $kept = qq({ "_id" : { "\$numberInt" : "1" }, "a" : { "\$numberInt" : "10" } }\n)
  . '{ "_id" : { "$numberInt" : "2" }, "a" : { "$numberInt" : "50" } }';

# A plain find: on the oldest schemas the newest library cannot do more.
sub find_sql
{
	my $collection = shift;
	return qq{SELECT document FROM documentdb_api_catalog.bson_aggregation_find('db', '{"find": "$collection"}')};
}

sub works
{
	my ($node, $collection, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	# Tables of the time before 0.102-1 have one column more, and scripts rely
	# on that.
	my $result = try_bson($node, qq{
		SET client_min_messages = warning;
		SELECT set_config('documentdb.enableDataTableWithoutCreationTime', 'off', false) FROM pg_extension
			WHERE extname = 'documentdb' AND extversion IN ('0.24-0', '0.100-0', '0.101-0', '0.102-0') \\g /dev/null
		SELECT documentdb_api.create_collection('db', '$collection');
		SELECT documentdb_api.insert_one('db', '$collection', '{"_id": 1, "a": 10}') \\g /dev/null
		SELECT p_success FROM documentdb_api.insert('db',
			'{"insert": "$collection", "documents": [{"_id": 2, "a": 20}, {"_id": 3, "a": 30}]}');
		SELECT p_success FROM documentdb_api.update('db',
			'{"update": "$collection", "updates": [{"q": {"_id": 2}, "u": {"\$set": {"a": 50}}}]}');
		SELECT p_success FROM documentdb_api.delete('db',
			'{"delete": "$collection", "deletes": [{"q": {"_id": 3}, "limit": 1}]}');
		SELECT document FROM documentdb_api_catalog.bson_aggregation_pipeline('db',
			'{"aggregate": "$collection", "pipeline": [{"\$group": {"_id": null, "sum": {"\$sum": "\$a"}}}]}');
		});
	return is($result->{stdout} . $result->{stderr}, qq(t\nt\nt\nt\n{ "_id" : null, "sum" : { "\$numberInt" : "60" } }), $name)
	  && keeps($node, $collection, "$name, with what is left");
}

sub keeps
{
	my ($node, $collection, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(join("\n", sort split /\n/, bson_sql($node, find_sql($collection))), $kept, $name);
}

=pod

=item create_collections(node, first, last)

Empty ones, named c and a number, with tables as they were before 0.102-0, whose
script takes a default and a constraint from each: three locks.

=item default_lock_table

Text for postgresql.conf: the settings that size the lock table, as the server
has them by default.

=item locks_of_update(node, version)

How many locks plain ALTER EXTENSION to that version has taken at its end; it
is rolled back.

=cut

sub create_collections
{
	my ($node, $first, $last) = @_;

	sql($node, qq{
		SET client_min_messages = warning;
		DO \$\$ BEGIN
			FOR i IN $first..$last LOOP
				PERFORM documentdb_api.create_collection('db', 'c' || i);
				EXECUTE (SELECT format('ALTER TABLE documentdb_data.documents_%s
					ALTER creation_time SET DEFAULT now(), ALTER creation_time SET NOT NULL', collection_id)
					FROM documentdb_api_catalog.collections WHERE database_name = 'db' AND collection_name = 'c' || i);
				COMMIT;
			END LOOP;
		END \$\$});
	return;
}

sub default_lock_table
{
	return q{
		max_connections = 100
		max_prepared_transactions = 0
		max_worker_processes = 8
		max_locks_per_transaction = 64
	};
}

sub locks_of_update
{
	my ($node, $version) = @_;
	my $core = core_version($version);

	return sql($node, qq{
		BEGIN;
		ALTER EXTENSION documentdb_core UPDATE TO '$core';
		ALTER EXTENSION documentdb UPDATE TO '$version';
		SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid();
		ROLLBACK});
}

=pod

=item gate(node, session)

The version that the library believes to be in force, as the session finds it,
or a new one, after having used DocumentDB: it is read at the next use. That is
a find with a cursor in collection "before", which changes nothing.

Whatever makes a process drop all its caches clears the gate, at any time, so
an empty one means: try again.

=cut

sub gate
{
	my ($node, $session) = @_;
	my $find = q{SELECT documentdb_api.find_cursor_first_page('db', '{"find": "before"}') \g /dev/null};
	my $query = "$find\nSELECT v.gate FROM documentdb_upgrade.versions v WHERE extension = 'documentdb'";

	return poll_until(sub {
		my $result = $session ? $session->run($query) : try_sql($node, $query);
		return $result->{ok} ? $result->{stdout} : "error: $result->{message}";
	}, 'the library has read the version');
}

=pod

=item finalized(node, target, name)

Passes when finalize_to(target) succeeds; gives how long it took by the history,
in milliseconds.

=item seconds(code)

How long the code takes.

=item measured(format, ...)

Notes a measurement, which test/documentdb/run shows in the end.

=back

=cut

sub finalized
{
	my ($node, $target, $name) = @_;
	my $result = try_sql($node, qq{SELECT outcome,
		round((extract(epoch FROM finished_at - started_at) * 1000)::numeric, 1) FROM documentdb_upgrade.finalize_to('$target')});

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($outcome, $duration) = split /\|/, $result->{stdout};
	is($outcome, 'succeeded', $name) or diag($result->{stderr});
	return $duration // 0;
}

sub seconds
{
	my $code = shift;
	my $start = time;

	$code->();
	return time - $start;
}

sub measured
{
	my $text = sprintf shift, @_;

	note $text;
	append_to_file("$ENV{TESTDIR}/measured", basename($0) . ": $text\n");
	return;
}

1;
