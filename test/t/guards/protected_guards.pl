# Who may finalize does not thereby override what an administrator has put in
# the way: protected guards are for superusers and for owners of the managed
# extensions.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use Test::More;

my $node = new_node('main', own_installation => 1, conf => q{
	documentdb_upgrade.extension = 'thing'
	documentdb_upgrade.managed_extensions = 'companion, thing'});
write_extension($node, $_, '1.9', '1.0' => '', map { sprintf('1.%d--1.%d', $_, $_ + 1) => '' } 0 .. 8) foreach qw(thing companion);
write_extension_file($node, "$_.control", "default_version = '1.9'\nsuperuser = false\n") foreach qw(thing companion);
sql($node, q{
	CREATE EXTENSION documentdb_upgrade;
	CREATE ROLE operator LOGIN;
	CREATE ROLE owner LOGIN;
	CREATE ROLE half LOGIN;
	CREATE ROLE deputy LOGIN IN ROLE owner;
	GRANT CREATE ON DATABASE postgres TO owner, half;
	GRANT CREATE ON SCHEMA public TO owner, half;
	GRANT USAGE ON SCHEMA documentdb_upgrade TO PUBLIC;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to TO operator, owner, half, deputy;
	GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_finalize_to TO operator;
	SET SESSION AUTHORIZATION half;
	CREATE EXTENSION companion VERSION '1.0';
	RESET SESSION AUTHORIZATION;
	SET SESSION AUTHORIZATION owner;
	CREATE EXTENSION thing VERSION '1.0';
	RESET SESSION AUTHORIZATION;
	CREATE FUNCTION wrapped(target text) RETURNS text LANGUAGE sql SECURITY DEFINER
		AS $$ SELECT outcome FROM documentdb_upgrade.finalize_to(target, skip_guards => '{hold}') $$;
	SELECT documentdb_upgrade.hold('freeze')});

sub skips { return sprintf q{SELECT outcome FROM documentdb_upgrade.finalize_to('%s', skip_guards => '{%s}')}, @_ }
sub may
{
	my ($result, $what) = @_;
	return is($result->{stdout}, 'succeeded', $what) || diag($result->{stderr});
}
sub may_not
{
	my ($result, $guard, $what) = @_;
	is($result->{sqlstate}, '42501', $what) || diag($result->{stdout});
	return is($result->{message}, qq{permission denied to override guard "$guard"}, 'which names the guard');
}

my $result = try_sql($node, skips('1.1', 'hold'), user => 'operator');
may_not($result, 'hold', 'EXECUTE is not enough');
like($result->{hint}, qr/role "owner" to finalize\.$/, 'the hint says whom to ask');
may_not(try_sql($node, q{CALL documentdb_upgrade.run_finalize_to('1.1', skip_guards => '{window,hold}')}, user => 'operator'), 'hold', 'nor for the procedure');
is(try_sql($node, skips('1.1', 'window'), user => 'operator')->{sqlstate}, '55000', 'a hold holds');
is(sql($node, q{SELECT string_agg(DISTINCT concat_ws(' ', outcome, role_name, refused_by), ',') FROM documentdb_upgrade.history WHERE sqlstate = '42501'}),
	'refused operator {hold}', 'the attempt is on record');
may_not(try_sql($node, 'SET ROLE operator; ' . skips('1.1', 'hold')), 'hold', 'SET ROLE counts');
may_not(try_sql($node, skips('1.1', 'hold'), user => 'owner'), 'hold', 'the owner of some is not enough');
is(sql($node, 'SELECT documentdb_upgrade.schema_version()'), '1.0', 'nothing has happened');

sql($node, 'UPDATE pg_extension SET extowner = (SELECT extowner FROM pg_extension WHERE extname = \'thing\') WHERE extname = \'companion\'');
may(try_sql($node, skips('1.1', 'hold'), user => 'owner'), 'the owner of all may');
may(try_sql($node, skips('1.2', 'hold'), user => 'deputy'), 'a member too');
may_not(try_sql($node, skips('1.3', 'hold'), user => 'half'), 'hold', 'not who owned one');
may(try_sql($node, skips('1.3', 'hold')), 'a superuser may');
is(try_sql($node, q{SELECT wrapped('1.4')}, user => 'operator')->{stdout}, 'succeeded', 'and who lends his rights');
may(try_sql($node, skips('1.4', 'hold'), user => 'operator'), 'where nothing is to do nothing is overridden');

# The list.
sub protect { return sql($node, "ALTER DATABASE postgres SET documentdb_upgrade.protected_guards = $_[0]") }
protect(q{'backup_recent, Window'});
may_not(try_sql($node, skips('1.5', 'hold,window'), user => 'operator'), 'window', 'others are protected when listed');
may(try_sql($node, skips('1.5', 'hold'), user => 'operator'), 'and a hold is not');
protect(q{''});
may(try_sql($node, skips('1.6', 'hold,window,backup_recent'), user => 'operator'), 'an empty list protects none');
is(try_sql($node, q{SELECT documentdb_upgrade.to_semver('1.0'); SET documentdb_upgrade.protected_guards = 'hold'}, user => 'operator')->{sqlstate}, '42501', 'who may not change a setting may not change this');
foreach my $list (q{'no_such_guard'}, q{'hold, installed'}, q{'hold,,window'})
{
	is(try_sql($node, "SELECT documentdb_upgrade.schema_version(); SET documentdb_upgrade.protected_guards = $list")->{sqlstate}, '22023', "refused: $list");
}
done_testing();
