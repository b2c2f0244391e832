# The shipped post-check: runs when the main extension has DocumentDB's SQL
# interface, stops an upgrade that breaks it, and leaves nothing behind.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use JSON::PP;
use Test::More;

# As much of the interface as the check uses, over jsonb.
my $interface = q{
	CREATE SCHEMA documentdb_core;
	CREATE SCHEMA documentdb_api;
	CREATE SCHEMA documentdb_api_catalog;
	CREATE DOMAIN documentdb_core.bson AS jsonb;
	CREATE OPERATOR documentdb_core.= (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = jsonb_eq);
	CREATE TABLE documentdb_api_catalog.documents (db text, document jsonb);
	CREATE FUNCTION documentdb_api.insert_one(text, text, documentdb_core.bson, text DEFAULT NULL) RETURNS jsonb LANGUAGE sql
		AS 'INSERT INTO documentdb_api_catalog.documents VALUES ($1, $3) RETURNING document';
	CREATE FUNCTION documentdb_api.update(text, documentdb_core.bson) RETURNS bigint LANGUAGE sql
		AS $$ WITH done AS (UPDATE documentdb_api_catalog.documents SET document = document || ($2 #> '{updates,0,u,$set}')
			WHERE db = $1 AND document @> ($2 #> '{updates,0,q}') RETURNING 1) SELECT count(*) FROM done $$;
	CREATE FUNCTION documentdb_api.delete(text, documentdb_core.bson) RETURNS bigint LANGUAGE sql
		AS $$ WITH done AS (DELETE FROM documentdb_api_catalog.documents
			WHERE db = $1 AND document @> ($2 #> '{deletes,0,q}') RETURNING 1) SELECT count(*) FROM done $$;
	CREATE FUNCTION documentdb_api_catalog.bson_aggregation_find(text, documentdb_core.bson, OUT document documentdb_core.bson)
		RETURNS SETOF documentdb_core.bson LANGUAGE sql
		AS $$ SELECT document FROM documentdb_api_catalog.documents WHERE db = $1 AND document @> ($2->'filter') $$;
	CREATE FUNCTION documentdb_api_catalog.bson_aggregation_pipeline(text, documentdb_core.bson, OUT document documentdb_core.bson)
		RETURNS SETOF documentdb_core.bson LANGUAGE sql
		AS $$ SELECT jsonb_build_object('_id', NULL, 'sum', sum((document->'n')::integer)) FROM documentdb_api_catalog.documents WHERE db = $1 $$;
};
my $update = q{CREATE OR REPLACE FUNCTION documentdb_api.update(text, documentdb_core.bson) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';};
my $nothing_found = q{CREATE OR REPLACE FUNCTION documentdb_api_catalog.bson_aggregation_find(text, documentdb_core.bson, OUT document documentdb_core.bson)
	RETURNS SETOF documentdb_core.bson LANGUAGE sql AS $$ SELECT document FROM documentdb_api_catalog.documents WHERE false $$;};
my $all_found = q{CREATE OR REPLACE FUNCTION documentdb_api_catalog.bson_aggregation_find(text, documentdb_core.bson, OUT document documentdb_core.bson)
	RETURNS SETOF documentdb_core.bson LANGUAGE sql AS $$ SELECT document FROM documentdb_api_catalog.documents WHERE db = $1 $$;};
my $wrong_sum = q{CREATE OR REPLACE FUNCTION documentdb_api_catalog.bson_aggregation_pipeline(text, documentdb_core.bson, OUT document documentdb_core.bson)
	RETURNS SETOF documentdb_core.bson LANGUAGE sql AS $$ SELECT '{"_id": null, "sum": 7}'::jsonb $$;};
my $nothing_deleted = q{CREATE OR REPLACE FUNCTION documentdb_api.delete(text, documentdb_core.bson) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';};
my $raises = q{CREATE OR REPLACE FUNCTION documentdb_api.insert_one(text, text, documentdb_core.bson, text DEFAULT NULL) RETURNS jsonb LANGUAGE sql
	AS 'SELECT to_jsonb(1/0)';};

my $node = new_node('main', own_installation => 1, conf => "documentdb_upgrade.extension = 'documentdb'\ndocumentdb_upgrade.managed_extensions = ''\n");
sub write_step { return write_extension($node, 'documentdb', '1.1-0', '1.0-0' => $interface, '1.0-0--1.1-0' => $_[0]); }
sub try_step
{
	write_step($_[0]);
	return try_sql($node, 'SELECT documentdb_upgrade.finalize()');
}
sub applies
{
	my ($check) = grep { $_->{name} eq 'documentdb_crud' } @{ decode_json(sql($node, q{SELECT documentdb_upgrade.support_bundle()->'checks'})) };
	return $check->{applies} ? 'applies' : 'does not apply';
}

write_step('SELECT 1;');
sql($node, q{CREATE EXTENSION documentdb_upgrade});
is(sql($node, q{SELECT kind, enabled, builtin FROM documentdb_upgrade.checks WHERE name = 'documentdb_crud'}), 'post|t|t',
	'the check is there and enabled');
is(applies(), 'does not apply', 'not where there is no DocumentDB');
sql($node, q{CREATE EXTENSION documentdb VERSION '1.0-0'});
is(applies(), 'applies', 'but where there is');
is(sql($node, 'SELECT documentdb_upgrade_internal.check_documentdb_crud()'), 't', 'it is met there');
sql($node, 'DELETE FROM documentdb_api_catalog.documents');

my %broken = (
	'updates nothing' => [ $update, 'post-check "documentdb_crud" is not met' ],
	'finds nothing' => [ $nothing_found, 'post-check "documentdb_crud" is not met' ],
	'finds too much' => [ $all_found, 'post-check "documentdb_crud" is not met' ],
	'adds up wrongly' => [ $wrong_sum, 'post-check "documentdb_crud" is not met' ],
	'deletes nothing' => [ $nothing_deleted, 'post-check "documentdb_crud" is not met' ],
	'raises' => [ $raises, 'division by zero' ]);
foreach my $what (sort keys %broken)
{
	my $result = try_step($broken{$what}[0]);
	like($result->{message}, qr/\Q$broken{$what}[1]\E/, "an interface that $what is not committed");
	is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.0-0', 'and rolled back');
}
like(try_step($update)->{stderr}, qr/WARNING:.*DocumentDB did not find \{"_id": 1, "kind": "a", "n": 5\}/, 'a warning says what was missed');

# A later version without the function: the check applies no more.
my $dropped = 'DROP FUNCTION documentdb_api.delete(text, documentdb_core.bson);';
ok(try_sql($node, q{UPDATE documentdb_upgrade.checks SET enabled = false WHERE name = 'documentdb_crud'})->{ok}, 'the check can be disabled');
ok(try_step($update)->{ok}, 'which lets the upgrade through');
sql($node, q{UPDATE documentdb_upgrade.checks SET enabled = true});
sql($node, q{DROP EXTENSION documentdb; CREATE EXTENSION documentdb VERSION '1.0-0'});
ok(try_step('SELECT 1;')->{ok}, 'an interface that works is committed');
is(sql($node, 'SELECT count(*) FROM documentdb_api_catalog.documents'), '0', 'and the documents of the check are gone');
sql($node, q{DROP EXTENSION documentdb; CREATE EXTENSION documentdb VERSION '1.0-0'});
ok(try_step($dropped . $nothing_found)->{ok}, 'without the interface the check is not run');
is(applies(), 'does not apply', 'and is not shown as if it had been');

# Functions of the right names alone are not the extension's.
sql($node, q{CREATE FUNCTION documentdb_api.delete(text) RETURNS integer LANGUAGE sql AS 'SELECT 1'});
is(applies(), 'does not apply', 'a stranger under the name does not count');
done_testing();
