
=pod

=head1 NAME

DocumentdbUpgrade::FakeApi::Answers - shapes of JSON and of answers that the fake API server uses

=cut

package DocumentdbUpgrade::FakeApi::Answers;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use JSON::PP ();
use POSIX qw(strftime);

our @EXPORT = qw(encode decode copy merge now new_uid is_true is_string answer plain failure);

my $json = JSON::PP->new->canonical->utf8;

sub encode { return $json->encode($_[0]); }
sub decode { return $json->decode($_[0]); }
sub copy { return $json->decode($json->encode($_[0])); }
sub now { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime); }
sub is_true { return defined $_[0] && $_[0] !~ /^(?:0|false)$/i; }
sub is_string { return defined $_[0] && !ref $_[0] && $json->encode([ $_[0] ]) =~ /^\["/; }

sub new_uid
{
	return sprintf '%08x-%04x-4%03x-8%03x-%012x', map { int rand 2**$_ } 32, 16, 12, 12, 44;
}

# RFC 7396.
sub merge
{
	my ($target, $patch) = @_;
	return $patch if ref $patch ne 'HASH';
	my %result = ref $target eq 'HASH' ? %$target : ();

	foreach my $key (keys %$patch)
	{
		if (defined $patch->{$key}) { $result{$key} = merge($result{$key}, $patch->{$key}); }
		else { delete $result{$key}; }
	}
	return \%result;
}

sub answer
{
	my ($status, $object, %headers) = @_;
	return { status => $status, headers => { 'Content-Type' => 'application/json', %headers }, object => $object };
}

sub plain
{
	my ($status, $text, %headers) = @_;
	return { status => $status, headers => { 'Content-Type' => 'text/plain; charset=utf-8', %headers }, body => $text };
}

sub failure
{
	my ($code, $reason, $message, $details) = @_;
	return answer($code, {
		kind => 'Status', apiVersion => 'v1', metadata => {}, status => 'Failure', message => $message,
		code => $code, $reason ? (reason => $reason) : (), $details ? (details => $details) : () });
}

1;
