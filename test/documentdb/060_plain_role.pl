# A role with one grant and nothing else finalizes. DocumentDB's planner hook
# keeps it from every SELECT, but not from CALL.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealDocumentdb;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = documentdb_node('main');
install_documentdb($node, '0.116-0');
works($node, 'before', 'DocumentDB works before');
sql($node, q{
	CREATE ROLE operator LOGIN;
	GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_finalize_to TO operator;
	CREATE ROLE nobody_special LOGIN});

sub try_as { my ($role, $sql) = @_; return try_sql($node, $sql, user => $role); }

is(try_as('operator', 'SELECT now()')->{sqlstate}, '42501', 'a role without USAGE cannot even SELECT now()');
is(try_as('nobody_special', q{CALL documentdb_upgrade.run_finalize_to('0.117.0')})->{sqlstate}, '42501', 'without the grant it is refused');
is(try_as('operator', q{ALTER EXTENSION documentdb UPDATE TO '0.117-0'})->{sqlstate}, '42501', 'the role may not alter the extension');

my $result = try_as('operator', 'CALL documentdb_upgrade.run_status()');
like($result->{stdout}, qr/^primary\|update_available\|0\.116-0\|.*CALL documentdb_upgrade\.run_finalize_to\('1\.0-0'\);/, 'it can ask where things stand') or diag($result->{stderr});
is(try_as('nobody_special', 'CALL documentdb_upgrade.run_status()')->{sqlstate}, '42501', 'without the grant nobody can');
$result = try_as('operator', q{CALL documentdb_upgrade.run_finalize_to('0.117.0')});
ok($result->{ok}, 'with the grant it can finalize') or diag($result->{stderr});
is(installed($node), 'documentdb 0.117-0, documentdb_core 0.117-0', 'which it did');
is(sql($node, q{SELECT outcome, role_name FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), 'succeeded|operator', 'history names it');

sql($node, q{
	GRANT USAGE ON SCHEMA documentdb_core, documentdb_api_internal TO operator;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to TO operator});
$result = try_as('operator', q{SELECT outcome FROM documentdb_upgrade.finalize_to('1.0.0')});
is($result->{stdout}, 'succeeded', 'with USAGE on two schemas it can use SELECT') or diag($result->{stderr});
is(installed($node), 'documentdb 1.0-0, documentdb_core 1.0-0', 'which it did');
is(gate($node), BINARY, 'the version is in force');
keeps($node, 'before', 'what was written before is there');
works($node, 'after', 'DocumentDB works after');
is(sql($node, q{SELECT count(*) FROM pg_extension e JOIN pg_roles r ON r.oid = extowner WHERE rolname = 'operator'}), '0', 'nothing belongs to the role');

done_testing();
