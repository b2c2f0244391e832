# Steps that cannot follow each other in one transaction: the first leaves trigger
# events behind, the second alters the table.  In one transaction the hint says
# what may help; with one_transaction => false each version is committed by itself,
# and the first that fails ends it and says where it stands.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'parts'
	documentdb_upgrade.guard_severity = 'rehearsed=skip'});
write_extension($node, 'parts', '1.3',
	'1.0' => q{
		CREATE TABLE config (id int PRIMARY KEY, t text);
		CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER noted AFTER UPDATE ON config DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION noted();
		INSERT INTO config VALUES (1, 'a')},
	'1.0--1.1' => q{UPDATE config SET t = 'b'},
	'1.1--1.2' => q{ALTER TABLE config ADD more int},
	'1.2--1.3' => q{UPDATE config SET more = 1});
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION parts VERSION '1.0'});
my $installed = q{SELECT documentdb_upgrade.schema_version()};

# In one transaction.
my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.3')});
is($result->{sqlstate}, '55006', 'in one transaction the steps do not work');
like($result->{hint}, qr/^Steps that do not work in one transaction may work one by one: SELECT outcome, from_version, to_version FROM documentdb_upgrade\.finalize_to\('1\.3', one_transaction => false\);$/, 'the hint says what may');
like(sql($node, q{SELECT hint FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}), qr/one_transaction => false/, 'history too');
is(sql($node, q{SELECT sqlstate FROM documentdb_upgrade.rehearse('1.3')}), '55006', 'a rehearsal finds it');
like(sql($node, q{SELECT documentdb_upgrade.rehearsal_report()}), qr/hint: .*one_transaction => false/, 'and its report says the same');
my ($hint) = $result->{hint} =~ /: (SELECT .*)$/;

# The fingerprint that was reviewed counts, and nothing is committed before that.
$result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.3', 'another', one_transaction => false)});
is($result->{sqlstate}, '55000', 'another fingerprint is refused');
like($result->{detail}, qr/^Nothing was committed\./, 'before anything is committed');
is(sql($node, $installed), '1.0', 'nothing was');

# One version that fails ends it; what came before stays.
write_extension_file($node, 'parts--1.2--1.3.sql', 'UPDATE config SET more = 1; SELECT 1 / 0;');
$result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.3', one_transaction => false)});
is($result->{sqlstate}, '22012', 'the last step fails with its own SQLSTATE');
like($result->{message}, qr/^stopped on the way to "1\.3": division by zero$/, 'the error says on which way');
like($result->{detail}, qr/^Committed up to "1\.2", which is the installed version now\./, 'and where it stands');
is(sql($node, $installed), '1.2', 'there it is');
is(sql($node, q{SELECT string_agg(format('%s-%s %s', from_version, to_version, outcome), ', ' ORDER BY id) FROM
	(SELECT * FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 3) h}), '1.0-1.1 succeeded, 1.1-1.2 succeeded, 1.2-1.3 failed', 'history has each attempt');

# The statement of the hint, from the beginning, with the fingerprint.
write_extension_file($node, 'parts--1.2--1.3.sql', 'UPDATE config SET more = 1;');
sql($node, q{DROP EXTENSION parts; CREATE EXTENSION parts VERSION '1.0'});
is(sql($node, $hint), 'succeeded|1.2|1.3', 'the statement of the hint works');
is(sql($node, $installed), '1.3', 'up to the target');
is(sql($node, q{SELECT from_version, to_version, role_name FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}),
	'1.2|1.3|' . sql($node, 'SELECT session_user'), 'each row says who asked');

# It commits whatever the caller's transaction does; one that stands in its way is
# waited for no longer than the limit.
sql($node, q{DROP EXTENSION parts; CREATE EXTENSION parts VERSION '1.0'});
my $fingerprint = sql($node, q{SELECT documentdb_upgrade.upgrade_fingerprint()});
sql($node, qq{BEGIN; SELECT documentdb_upgrade.finalize_to('1.1', '$fingerprint', one_transaction => false); ROLLBACK});
is(sql($node, $installed), '1.1', 'a rollback of the caller takes nothing back');
$result = try_sql($node, q{BEGIN; LOCK TABLE config; SELECT documentdb_upgrade.finalize_to('1.3', one_transaction => false)});
is($result->{sqlstate}, '55P03', 'the lock of the caller is in the way');
is(try_sql($node, q{CALL documentdb_upgrade.run_finalize_to('1.3', one_transaction => false)})->{ok}, 1, 'the procedure does the same');
is(sql($node, $installed), '1.3', 'to the end');

# Who may do so, by grants of the version before.
sql($node, q{CREATE ROLE operator LOGIN; GRANT USAGE ON SCHEMA documentdb_upgrade TO operator});
$result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.3', one_transaction => false)}, user => 'operator');
is($result->{sqlstate}, '42501', 'not everybody may');
sql($node, q{DROP EXTENSION documentdb_upgrade; CREATE EXTENSION documentdb_upgrade VERSION '1.0.0';
	GRANT USAGE ON SCHEMA documentdb_upgrade TO operator; GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to TO operator WITH GRANT OPTION;
	ALTER EXTENSION documentdb_upgrade UPDATE});
is(sql($node, q{SELECT has_function_privilege('operator', 'documentdb_upgrade.finalize_to(text, text, text[], boolean, text, text)', 'EXECUTE WITH GRANT OPTION'),
		has_function_privilege('operator', 'documentdb_upgrade.run_finalize_to(text, text, text[], boolean, text, text)', 'EXECUTE')}), 't|f',
	'an update of this extension keeps what was granted');

done_testing();
