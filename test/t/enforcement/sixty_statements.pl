# An operator sends its ALTER EXTENSION again and again.  It gets an answer
# each time; the log gets one entry per distinct refusal, the history none, and
# nothing wedges.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('main');
install($node);
sql($node, 'CREATE EXTENSION documentdb_upgrade; CREATE DATABASE other');
install($node, 'other');

# How often each message of this kind is in the log.
sub logged
{
	my %count;
	$count{$_}++ foreach slurp_file($node->logfile) =~ /(?:ERROR|WARNING):  (.*)/g;
	return \%count;
}

# Sends a statement sixty times, each time in a session of its own as the
# operator does; the number of answers that are like this.
sub sixty
{
	my ($sql, $regexp, $dbname) = @_;
	return scalar grep { try_sql($node, $sql, dbname => $dbname)->{stderr} =~ $regexp } 1 .. 60;
}

my $above = 'cannot update extension "thing" from "1.0" to "1.3": refused by guard "within_binary"';
is(sixty(q{ALTER EXTENSION thing UPDATE TO '1.3'}, qr/\Q$above/), 60, 'sixty answers');
is(sixty(q{ALTER EXTENSION thing UPDATE TO '7'}, qr/within_binary/), 60, 'to another statement as well');
is(try_sql($node, q{ALTER EXTENSION thing UPDATE TO '1.3'}, dbname => 'other')->{sqlstate}, '55000', 'and one in another database');
is_deeply(logged(), { $above => 2, $above =~ s/1\.3/7/r => 1 }, 'the log has one entry for each refusal of a database');

# Blocked by somebody: the operator's statements wait in turn, the first to get
# through does it.
my $blocker = DocumentdbUpgrade::Session->new($node);
$blocker->run(q{BEGIN; LOCK TABLE thing_1_0; SELECT documentdb_upgrade.hold('tomorrow')});
write_extension($node, 'thing', '1.2', '1.0--1.1' => 'LOCK TABLE thing_1_0; CREATE TABLE thing_1_1 ();');
write_extension_file($node, 'thing.control', "default_version = '1.2'\n");
is(sixty(q{SET lock_timeout = 20; ALTER EXTENSION thing UPDATE}, qr/55P03/), 60, 'sixty that could not get their lock');
$blocker->run('COMMIT');
$blocker->quit;
is(logged()->{'extension "thing" is updated to "1.2" before its companion "before"'}, 1, 'a warning is logged once as well');
is(sixty('ALTER EXTENSION thing UPDATE', qr/although guard "hold" fails|is already installed/), 60, 'sixty that are let through');
is(logged()->{'extension "thing" is updated from "1.0" to "1.2" although guard "hold" fails'}, 1, 'warned of once');
is(versions($node), 'before 1.0, thing 1.2, after 1.0', 'the first has done it');
is( sql($node, q{SELECT string_agg(concat_ws(' ', from_version, to_version, outcome, actor, repeats), ';') FROM documentdb_upgrade.history}),
	'1.0 1.2 succeeded manual 0', 'the history has one row');

# The same refusal is new to a server that was started again.
$node->restart;
my $before = logged()->{ $above =~ s/1\.0/1.2/r } // 0;
try_sql($node, q{ALTER EXTENSION thing UPDATE TO '1.3'}) foreach 1 .. 3;
is(logged()->{ $above =~ s/1\.0/1.2/r } - $before, 1, 'after a restart it is logged once more');
# Autovacuum may have one for a moment.
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_locks WHERE locktype IN ('object', 'relation') AND mode <> 'AccessShareLock'})
  or die 'somebody is left with a lock';
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'documentdb_upgrade worker'}), '1', 'the worker is there');

done_testing();
