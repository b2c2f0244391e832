# Whatever the other server answers is a value or an error: of results of every
# kind and number, NULLs, formats, texts, errors, and of messages that are none.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::HostileServer;
use DocumentdbUpgrade::Parity;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use Test::More;

my ($here, $there) = (stub_node('here'), stub_node('there'));
my $hostile = DocumentdbUpgrade::HostileServer->new($there);
my $started = sql($here, 'SELECT pg_postmaster_start_time()');
my $strange = '08P01 the other server has not answered what it was asked';
my $one_row = '21000 one row of one column was expected from the other server';
my $lost = qr/^08006 the connection to the other server is lost: ./;
my %expected = (
	(map { $_ => $one_row } qw(no_time no_row two_rows no_column two_columns)),
	(map { $_ => 1 } qw(null_time time_nan time_inf time_1e999 time_x minus_time notices parameters)),
	null => undef,
	(map { $_ => '08P01 the other server has answered with something that is not text' } qw(binary nul)),
	bad_encoding => qr/^22021 invalid byte sequence/,
	(map { $_ => $strange } qw(no_results begin_alone no_commit other_result in_transaction empty_query error_twice error_and_more)),
	(map { $_ => '0A000 COPY is not supported here' } qw(copy_in copy_out copy_both)),
	error_alone => qr/^08006 /,
	error_no_state => '08006 it is broken',
	error_zero => '08P01 it is well',
	error_long_state => '08P01 long',
	error_odd_state => '08P01 odd',
	error_latin => '22012 ge?ndert   ',
	error_long => "22012 " . "\x{e4}" x 500,
	(map { $_ => $lost } qw(silence http old_error length_zero length_wrong)));

# Each is followed by one that is answered as it should be.
my @names = sort keys %expected;
order($here, map { ([ 0, run_now => undef, "SELECT to_json(1) /* fault $_ */" ], [ 0, run => undef, 'SELECT to_json(2)' ]) } @names);
run_ok($here, {}, $hostile->connstr('faithful'));
my $answers = answers($here);
foreach my $name (@names)
{
	my ($answer, $next) = splice @$answers, 0, 2;
	my $said = DocumentdbUpgrade::Parity::short($answer->{remote});

	ref $expected{$name} ? like($said, $expected{$name}, $name) : is($said, $expected{$name}, $name);
	like($answer->{remote}{ms}, qr/^\d+(?:\.\d+)?$/, "$name: and a time");
	is(DocumentdbUpgrade::Parity::short($next->{remote}), 2, "$name: the next statement has its answer");
}
is(scalar $hostile->faults, scalar @names, 'each fault was there');
await_left('afterwards', $here);

# The connection itself, and what is asked before the first statement.
sub refused
{
	my ($plan, $expected) = @_;
	my $result = try_sql($here, call({}, $hostile->connstr($plan)));

	like("$result->{sqlstate} $result->{message}", $expected, $plan);
	return;
}
my $unconnected = qr/^08006 (?:could not connect to the other server|the connection to the other server is lost): ./;
refused("fault_$_", $unconnected) foreach qw(silence http old_error length_zero length_wrong error_no_state error_zero error_latin);
refused('fault_asks_for_ever', $unconnected);
refused("at_setup_$_", qr/^$one_row$/) foreach qw(no_row two_rows two_columns no_column empty_query);
refused("at_setup_$_", qr/^$strange$/) foreach qw(no_results in_transaction);
refused("at_snapshot_$_", qr/^$strange$/) foreach qw(null no_results begin_alone snapshot);
refused('at_snapshot_no_row', qr/^$one_row$/);
refused('at_snapshot_copy_out', qr/^0A000 /);
refused('at_snapshot_error_zero', qr/^08P01 it is well$/);
is(try_sql($here, call({}, $hostile->connstr("at_setup_$_")))->{stdout}, '7', "at_setup_$_: nothing is cancelled by it") foreach qw(null identity);

is(sql($here, 'SELECT pg_postmaster_start_time()'), $started, 'no process of this server has crashed');
is(scalar @{ failures($here) }, 0, 'none of it was the engine\'s failure');
await_left('at the end', $here);

done_testing();
