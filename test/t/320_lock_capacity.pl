# Guard lock_capacity: what a plan may lock, against what it does lock, and
# against what the lock table is made for.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

# Every script of these runs a statement for each table of the schema.
sub for_each_table
{
	my ($statement) = @_;
	return qq{DO \$\$ DECLARE t text; BEGIN
		FOR t IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'many'::regnamespace AND relkind = 'r' LOOP
			EXECUTE $statement;
		END LOOP; END \$\$;};
}
my %scripts = (
	'1.0' => q{CREATE SCHEMA many;
		CREATE TABLE many.own (id integer PRIMARY KEY, t text);
		CREATE FUNCTION many.drop_defaults() RETURNS void LANGUAGE plpgsql AS
			$f$ BEGIN PERFORM many.each('ALTER TABLE %s ALTER COLUMN more DROP DEFAULT'); END $f$;
		CREATE FUNCTION many.each(command text) RETURNS void LANGUAGE plpgsql AS
			$f$ DECLARE t text; BEGIN
			FOR t IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'many'::regnamespace AND relkind = 'r' LOOP
				EXECUTE format(command, t);
			END LOOP; END $f$;},
	'1.0--1.1' => q{CREATE FUNCTION many.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
		DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres') THEN
			EXECUTE 'GRANT USAGE ON SCHEMA many TO PUBLIC'; END IF;
			CREATE FUNCTION many.g(i integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
			PERFORM count(*), max(f.id) FROM many.own f; END $$;},
	'1.1--1.2' => for_each_table(q{format('ALTER TABLE %s ADD COLUMN more integer DEFAULT 1', t)}),
	'1.2--1.3' => for_each_table(q{'ALTER TABLE ' || t || ' ALTER COLUMN more DROP DEFAULT'}),
	'1.3--1.4' => for_each_table(q{format('UPDATE %s SET t = t', t)}),
	'1.4--1.5' => for_each_table(q{format('ALTER TABLE %s ALTER COLUMN t TYPE varchar(100)', t)}),
	'1.5--1.6' => q{SELECT many.drop_defaults();},
);
my $node = new_node('main', own_installation => 1, conf => "max_locks_per_transaction = 512\n" .
	  "documentdb_upgrade.extension = 'many'\ndocumentdb_upgrade.managed_extensions = ''\n");
write_extension($node, 'many', '1.6', %scripts);
sub make_tables
{
	my ($from, $to) = @_;
	sql($node, "DO \$\$ BEGIN FOR i IN $from .. $to LOOP EXECUTE format('CREATE TABLE many.documents_%s (id integer PRIMARY KEY, t text, more integer)', i); END LOOP; END \$\$");
	return;
}
sql($node, q{CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION many VERSION '1.0'});
make_tables(1, 300);
sql($node, 'ALTER TABLE many.documents_1 DROP COLUMN more');
sql($node, 'ALTER TABLE many.documents_1 ADD COLUMN more integer');

# The guard's row for a target: status, entries needed, detail and hint.
sub guard
{
	my ($target) = @_;
	my ($status, $detail, $hint) = split /\|/,
	  sql($node, "SELECT status, detail, hint FROM documentdb_upgrade.preflight('$target') WHERE guard = 'lock_capacity'");
	my ($needed, $held, $formula) = $detail =~ /needs about (\d+) lock entries, others hold (\d+), and the lock table is made for (\d+)\./
	  or die "unexpected: $detail";
	return { status => $status, needed => $needed, held => $held, formula => $formula, detail => $detail, hint => $hint };
}

# What a step really locks.
sub locked_by
{
	my ($target) = @_;
	return sql($node, "BEGIN; ALTER EXTENSION many UPDATE TO '$target';
		SELECT count(DISTINCT (locktype, relation, classid, objid)) FROM pg_locks WHERE pid = pg_backend_pid() AND NOT fastpath; COMMIT");
}

sql($node, 'ALTER TABLE many.documents_' . $_ . ' DROP COLUMN more') foreach 1 .. 300;
my %least = ('1.1' => 0, '1.2' => 0.95, '1.3' => 0.95, '1.4' => 0.95, '1.5' => 0.95);
foreach my $target (sort keys %least)
{
	my $guard = guard($target);
	my $fact = locked_by($target);
	diag("$target: needs about $guard->{needed}, locked $fact") if $ENV{DU_SHOW_ESTIMATES};
	cmp_ok($guard->{needed}, '>=', $fact * $least{$target}, "the estimate for $target is no less than what it locks");
	cmp_ok($guard->{needed}, '<=', $fact * 3 + 30, 'nor much more');
	like($guard->{detail}, qr/A DO block in the step of "many" to "$target" may lock 301 table\(s\)/, 'and says why') if $target ne '1.1';
	unlike($guard->{detail}, qr/may lock/, 'functions, constant statements and reading one table touch no data') if $target eq '1.1';
}
like(guard('1.6')->{detail}, qr/^The plan needs about 60[2-9] lock.*Function "each" in the step of "many" to "1.6" may lock 301/,
	'a function is followed to where its text ends');
is(guard('1.6')->{hint}, '', 'nothing is to be done');

# A server with fewer entries.  Steps add up, but a relation counts once.
my $tight = guard('1.6');
sql($node, "DROP EXTENSION many CASCADE");
sql($node, "CREATE EXTENSION many VERSION '1.1'");
make_tables(1, 300);
write_extension($node, 'many', '1.6', '1.2--1.3' => for_each_table(q{format('ALTER TABLE %s ADD COLUMN other integer DEFAULT 1', t)}));
sql($node, 'ALTER TABLE many.documents_' . $_ . ' DROP COLUMN more') foreach 1 .. 300;
is(guard('1.3')->{needed}, guard('1.2')->{needed} + 1, 'a table that two steps touch counts once');
my $slots = $tight->{formula} / 512;
sub set_entries
{
	my ($n) = @_;
	$node->append_conf('postgresql.conf', "max_locks_per_transaction = $n\n");
	$node->restart;
	return;
}
my $needed = guard('1.2')->{needed};
set_entries(int($needed / $slots * 1.3) + 1);
is(guard('1.2')->{status}, 'pass', 'with a fifth to spare it passes');
set_entries(int($needed / $slots * 1.05) + 1);
my $warns = guard('1.2');
is($warns->{status}, 'warn', 'with less it warns');
set_entries(10);
my $fails = guard('1.2');
is($fails->{status}, 'fail', 'where the lock table is made for less it fails');
cmp_ok($fails->{formula}, '<', $needed, 'indeed');

# Refused before anything runs, unless somebody knows better.
my $result = try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2')});
is($result->{sqlstate}, '55000', 'a finalize is refused');
like($result->{message}, qr/refused by guard "lock_capacity"/, 'by this guard');
like($result->{hint}, qr/^Set max_locks_per_transaction = \d+, on standbys first, and restart PostgreSQL\.$/, 'with what to do');
is(sql($node, q{SELECT outcome, refused_by, steps IS NULL FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 1}),
	'refused|{lock_capacity}|t', 'and nothing has run');
is(sql($node, q{SET documentdb_upgrade.guard_severity = 'lock_capacity=warn';
	SELECT status FROM documentdb_upgrade.preflight('1.2') WHERE guard = 'lock_capacity'}), 'warn', 'its severity can be set');
set_entries(int($needed / $slots * 1.05) + 1);
is(sql($node, q{SET documentdb_upgrade.guard_severity = 'lock_capacity=skip';
	SELECT status FROM documentdb_upgrade.preflight('1.2') WHERE guard = 'lock_capacity'}), 'skip', 'for its warning too');
set_entries(10);
ok(try_sql($node, q{SELECT documentdb_upgrade.finalize_to('1.2', skip_guards => '{lock_capacity}')})->{sqlstate} // 1,
	'it can be overridden by name');

# What the hint names is enough.
my ($enough) = $fails->{hint} =~ /= (\d+)/;
set_entries($enough);
is(guard('1.2')->{status}, 'pass', 'what the hint names passes');

# What others hold counts.
my $holder = DocumentdbUpgrade::Session->new($node);
my $before = guard('1.2')->{held};
$holder->run('BEGIN; LOCK TABLE ' . join(', ', map { "many.documents_$_" } 1 .. 100));
is(guard('1.2')->{held} - $before, 100, 'locks of others are counted');
$holder->quit;
done_testing();
