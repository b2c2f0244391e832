# An answer that has another form than its statement asks for ends a comparison
# as what it is, and is never a result, in whichever phase it comes.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::HostileServer;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::TwoServers;
use Test::More;

my ($blue, $green) = two_servers(q{
	CREATE TABLE keyed (id int PRIMARY KEY, v text);
	INSERT INTO keyed SELECT g, 'row ' || g FROM generate_series(1, 3000) g;
	CREATE TABLE plain (v text);
	INSERT INTO plain SELECT 'row ' || g % 100 FROM generate_series(1, 300) g;
	CREATE SEQUENCE s});
my $hostile = DocumentdbUpgrade::HostileServer->new($green);
my $call = q{SELECT kind, object_name, difference FROM documentdb_upgrade.compare_with('%s', algorithm => '%s', tables => %s, workers => 1)};

sub compare_at
{
	my ($phase, $value, $algorithm, $tables) = @_;
	my $plan = defined $value ? "at_${phase}_" . unpack('H*', $value) : 'faithful';
	return try_sql($blue, sprintf $call, $hostile->connstr($plan), $algorithm, $tables // 'NULL');
}

is(compare_at('', undef, $_)->{stdout}, '', "$_: equal") foreach qw(du1 sql);

# No answer of these phases may be null or of another type.
foreach my $algorithm (qw(du1 sql))
{
	foreach my $phase (qw(listing functions sequences sum verifying))
	{
		next if $phase eq 'functions' && $algorithm eq 'sql';
		foreach my $value (qw(null 7 true [] {} [[]] {"rows":1}), '{"rows":-1,"checksum":"0"}', '{"rows":1,"checksum":"x"}', '{"version":"x","encoding":"UTF8","loses_rows":false}',
			'{"version":150000,"encoding":"UTF8","loses_rows":false,"tables":{}}', '{"version":150000,"encoding":"UTF8","loses_rows":false,"tables":[{}]}',
			'{"version":150000,"encoding":"UTF8","loses_rows":false,"tables":[{"schema":"public","name":"plain","columns":[],"physical":[],"oid":1,"blocks":99999999999}]}')
		{
			my $result = compare_at($phase, $value, $algorithm);

			is($result->{sqlstate}, '08P01', "$algorithm, $phase: $value");
			is($result->{message}, 'the answer of the other server makes no sense', 'is told so') if $result->{sqlstate};
		}
	}
}

# With rows that differ, those that name them.
sql($green, q{UPDATE keyed SET v = 'other' WHERE id = 5; INSERT INTO plain VALUES ('more')});
foreach my $algorithm (qw(du1 sql))
{
	is(compare_at('', undef, $algorithm, "'{keyed,plain}'")->{stdout}, "table|keyed|different\nrow|keyed|different\ntable|plain|different\nrow|plain|extra", "$algorithm: differences");
	foreach my $case ([ buckets => 'keyed', '7', '[]', '{"x":1}', '{"ab":[0,"x"]}', '{"ab":["x","x"]}', '{"zz":[1,"x"]}' ],
		[ rows => 'keyed', '7', '{}', '[7]', '[[]]', '[[["1"],7]]', '[[[1],"x"]]', '[[["1","2"],"x"]]', '[[["x"],"x"]]', '[[["99999999999999999999"],"x"]]' ],
		[ rows => 'plain', '7', '{}', '[7]', '[["x","y"]]', '[[7,7]]', '[["x",0]]', '[["x",99999999999999999999]]' ],
		[ recheck => 'keyed', '7', '[]', '{"1":7}', '{"1":[]}', '{"1":["x",7]}', '{"1":[7,{}]}' ],
		[ recheck => 'plain', '7', '[]', '{"1":["x",{}]}', '{"1":[1,[]]}' ])
	{
		my ($phase, $table, @values) = @$case;
		foreach my $value (@values)
		{
			my $result = compare_at($phase, $value, $algorithm, "'{$table}'");

			is($result->{sqlstate}, '08P01', "$algorithm, $phase of $table: $value") or diag($result->{stdout}, $result->{stderr});
		}
	}
}
processes_gone($blue, 'nothing is left');
is(sql($blue, q{SELECT count(*) FROM documentdb_upgrade.parity_runs WHERE state = 'running'}), '0', 'no run is');

done_testing();
