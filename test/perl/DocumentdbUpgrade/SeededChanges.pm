
=pod

=head1 NAME

DocumentdbUpgrade::SeededChanges - fifty changes of one row each

=head1 SYNOPSIS

  sql($blue, base_rows());                     # after every_type.sql
  ... green becomes a copy of blue ...
  sql($green, $_->{sql}) foreach @changes;
  is_deeply([ differing rows ], [ map { @{ $_->{rows} } } @changes ]);

=head1 DESCRIPTION

Each of C<@changes> is a hash: C<what> it is, C<sql> that makes it, and
C<rows>, what has to be reported of it when the changed server compares itself
with the unchanged: lines "schema table difference key", where "missing" is not
on the unchanged server and "extra" only there.  Most replace a value
by one that is nearly the same, or that its type says is equal.  The row of a
table without a key is named by its content.

=cut

package DocumentdbUpgrade::SeededChanges;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT = qw(@changes base_rows reported_changes);

# Table, column, value before and after, and what that is.  undef is NULL.
my @values = (
	[ numbers => c_bool => 'true', 'false', 'a boolean' ],
	[ numbers => c_int2 => 256, 1, 'a smallint with its bytes swapped' ],
	[ numbers => c_int4 => 2147483647, 2147483646, 'the last bit of an integer' ],
	[ numbers => c_int8 => '4611686018427387904', '4611686018427387905', 'the last bit of a bigint' ],
	[ numbers => c_float4 => '0', '-0', 'the sign of zero' ],
	[ numbers => c_float8 => '-0', '0', 'the sign of a double zero' ],
	[ numbers => c_float8 => 'NaN', undef, 'NaN and NULL' ],
	[ numbers => c_float8 => '1', '1.0000000000000002', 'the last bit of a double' ],
	[ numbers => c_numeric => '1.0', '1.00', 'the scale of a numeric' ],
	[ numbers => c_numeric => 'NaN', '0', 'numeric NaN' ],
	[ numbers => c_numeric => '1e100', '10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001', 'the last digit of a long numeric' ],
	[ texts => c_text => '', undef, 'an empty text and NULL' ],
	[ texts => c_text => 'abc', 'abc ', 'a trailing space' ],
	[ texts => c_text => "\xc3\xa9", "e\xcc\x81", 'another normal form of a letter' ],
	[ texts => c_varchar => "a\tb", 'a b', 'a tab and a space' ],
	[ texts => c_bytea => '\x00ff01', '\x00ff00', 'one bit of a bytea' ],
	[ texts => c_bytea => '\x', '\x00', 'an empty bytea and a zero byte' ],
	[ texts => c_varbit => '1', '10', 'a trailing bit' ],
	[ times => c_timestamp => '2024-01-01 00:00:00.000001', '2024-01-01 00:00:00.000002', 'one microsecond' ],
	[ times => c_timestamptz => 'infinity', '-infinity', 'the sign of an infinite time' ],
	[ times => c_timetz => '12:00+00', '13:00+01', 'the zone of the same moment' ],
	[ times => c_interval => '30 days', '1 mon', 'thirty days and a month' ],
	[ times => c_interval => '24:00', '1 day', 'twenty-four hours and a day' ],
	[ times => c_date => '0001-01-01', '0001-12-31 BC', 'the day before the first year' ],
	[ networks => c_inet => '10.0.0.1/32', '10.0.0.1/24', 'the mask of an address' ],
	[ shapes => c_point => '(0,0)', '(-0,0)', 'the sign of a zero in a point' ],
	[ shapes => c_path => '[(0,0),(1,1)]', '((0,0),(1,1))', 'an open and a closed path' ],
	[ documents => c_json => '{"a":1}', '{"a": 1}', 'a space in a json' ],
	[ documents => c_jsonb => '{"a": [1]}', '{"a": [1.0]}', '1 and 1.0 in a jsonb' ],
	[ documents => c_jsonb => '{"a": null}', '{}', 'a null and no member' ],
	[ documents => c_xml => '<a/>', '<a></a>', 'an empty element' ],
	[ documents => c_tsvector => 'a:1A', 'a:1B', 'the weight of a lexeme' ],
	[ own_types => c_mood => 'ok', 'meh', 'the label of an enum' ],
	[ own_types => c_person => '(n,"(s,1,""(1,2)"",ok)",,,)', '(n,"(s,1,""(1,2)"",sad)",,,)', 'a field of a nested composite' ],
	[ own_types => c_address => '(,,,)', undef, 'a row of NULLs and NULL' ],
	[ arrays => c_int => '{1,2}', '[0:1]={1,2}', 'the lower bound of an array' ],
	[ arrays => c_text => '{}', undef, 'an empty array and NULL' ],
	[ arrays => c_text => '{a,NULL}', '{a,"NULL"}', 'a NULL in an array' ],
	[ ranges => c_numrange => '[1,2)', '[1,2]', 'whether a bound is inclusive' ],
	[ systems => c_regclass => 'pg_class', 'pg_attribute', 'a table by its name' ],
);

# The others: what, SQL, and what has to be reported, with keys.
my @others = (
	[ 'a row is missing', q{DELETE FROM app.composite_key WHERE v = 'v200'},
		q{app composite_key extra {"a": 4, "b": "cfcd2084-95d5-65ef-66e7-dff9f98764da", "c": "50.0000000000000000", "d": "2024-01-01 00:00:00.0002+00"}} ],
	[ 'a row more', q{INSERT INTO app.text_key VALUES ('Zusätzlich', 1)}, q{app text_key missing {"k": "Zusätzlich"}} ],
	[ 'a key that differs in case', q{UPDATE app.text_key_c SET k = 'KEY 17' WHERE k = 'key 17'},
		q{app text_key_c extra {"k": "key 17"}}, q{app text_key_c missing {"k": "KEY 17"}} ],
	[ 'a row twice in a table without a key', q{INSERT INTO app.keyless VALUES (1, 'one', NULL)},
		q{app keyless different {"a": "1", "b": "one", "c": null}} ],
	[ 'a value in a large table without a key', q{UPDATE app.large_keyless SET n = 0 WHERE v = md5('20000')},
		q{app large_keyless extra {"n": "2857.1428571428571429", "v": "d9798cdf31c02d86b8b81cc119d94836"}},
		q{app large_keyless missing {"n": "0", "v": "d9798cdf31c02d86b8b81cc119d94836"}} ],
	[ 'a value in a large table', q{UPDATE app.large SET n = n + 1e-9 WHERE id = 15000}, q{app large different {"id": 15000}} ],
	[ 'the last byte of a long value', q{UPDATE app.toasted SET c_bytea = set_byte(c_bytea, length(c_bytea) - 1, 1) WHERE id = 4},
		q{app toasted different {"id": 4}} ],
	[ 'a row of a partition of a partition', q{UPDATE app.measured SET value = value + 1 WHERE city = 'Rome' AND at = '2024-01-07'},
		q{app measured_2024_other different {"at": "2024-01-07", "city": "Rome"}} ],
	[ 'a row of a child', q{UPDATE app.child SET more = 1.00 WHERE id = 2 AND tableoid = 'app.child'::regclass}, q{app child different {"id": 2}} ],
	[ 'a row of a table with an odd name', q{UPDATE "Odd ""name"."Täble.x; --" SET " " = '' WHERE "%s" = ''},
		q{Odd "name Täble.x; -- different {"%s": "", "a \"b": 1}} ],
);

sub literal { my $value = shift; return defined $value ? "'" . $value =~ s/'/''/gr . "'" : 'NULL'; }

my $id = 1000;
our @changes;
my @base;

foreach my $value (@values)
{
	my ($table, $column, $before, $after, $what) = @$value;

	$id++;
	push @base, "INSERT INTO app.$table (id, $column) VALUES ($id, " . literal($before) . ");\n";
	push @changes, {
		what => $what,
		sql => "UPDATE app.$table SET $column = " . literal($after) . " WHERE id = $id",
		rows => [qq{app $table different {"id": $id}}] };
}
push @changes, map { my ($what, $sql, @rows) = @$_; { what => $what, sql => $sql, rows => \@rows } } @others;
die 'not fifty changes: ' . @changes . "\n" unless @changes == 50;

=pod

=head1 FUNCTIONS

=over

=item base_rows

SQL that adds the rows which the changes change.

=item reported_changes(changes)

All lines that a comparison reports of them: the rows, and that their tables
differ.

=back

=cut

sub base_rows { return join '', @base; }

sub reported_changes
{
	my %lines;

	foreach my $row (map { @{ $_->{rows} } } @_)
	{
		$lines{"row $row"} = 1;
		$lines{ 'table ' . $row =~ s/ (?:different|missing|extra) \{.*/ different/r } = 1;
	}
	return join "\n", sort keys %lines;
}

1;
