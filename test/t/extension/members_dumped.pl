# The record of an extension's members survives dump and restore, where it
# still fits, and so do the digests themselves.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my @extensions = grep { extension_available($_) } qw(du_members hstore btree_gist pg_trgm ltree unit postgis plpython3u);
my $node = new_node('main', conf => "documentdb_upgrade.extension = 'du_members'\n");
sql($node, 'CREATE EXTENSION documentdb_upgrade');
sql($node, "CREATE EXTENSION du_members VERSION '1.0'");
sql($node, "CREATE EXTENSION $_ CASCADE") foreach grep { $_ ne 'du_members' } @extensions;
is(sql($node, q{SELECT outcome FROM documentdb_upgrade.finalize()}), 'succeeded', 'a finalize records the members');

my $digests = join ' UNION ALL ', map { "SELECT '$_', kind, identity, digest, privileges FROM documentdb_upgrade.member_definitions('$_')" } @extensions;
my $record = q{SELECT * FROM documentdb_upgrade.member_digests ORDER BY kind, identity};
my $before = sql($node, "$digests ORDER BY 1, 2, 3");
my $recorded = sql($node, $record);
cmp_ok(scalar(split /\n/, $before), '>', 100, 'there is something to compare: ' . join(' ', @extensions));

sql($node, 'CREATE DATABASE copy TEMPLATE template0');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('copy') ], 'restore');
is(sql($node, "$digests ORDER BY 1, 2, 3", 'copy'), $before, 'every digest is the same there');
is(sql($node, $record, 'copy'), $recorded, 'and so is the record');
is(sql($node, q{SELECT count(*) FROM documentdb_upgrade.checks WHERE builtin}, 'copy'), '1', 'a check that was shipped is there once');

# A record that still fits is used, one of another version is not.
my $guard = q{SELECT status FROM documentdb_upgrade.preflight() WHERE guard = 'members_intact'};
sql($node, q{UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'du_members'}, 'copy');
is(sql($node, $guard, 'copy'), 'skip', 'a record of another version is ignored');
sql($node, q{UPDATE documentdb_upgrade.member_digests SET version = '1.0'}, 'copy');
is(sql($node, $guard, 'copy'), 'pass', 'a restored record is used');
sql($node, q{ALTER TABLE du_members.thing ADD more integer}, 'copy');
is(sql($node, $guard, 'copy'), 'warn', 'and tells what was altered since');
done_testing();
