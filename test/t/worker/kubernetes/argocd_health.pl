# The health check of docs/kubernetes/argocd-cm.yaml: what Argo CD shows for a
# resource with the condition, with an outdated one, and without conditions.
use strict;
use warnings FATAL => 'all';

use CPAN::Meta::YAML;
use PostgreSQL::Test::Utils;
use Test::More;

my ($lua) = grep { system("$_ -v >/dev/null 2>&1") == 0 } qw(lua5.1 lua luajit lua5.3 lua5.4);
plan skip_all => 'there is no Lua interpreter here' unless $lua;

my $data = CPAN::Meta::YAML->read_string(slurp_file("$ENV{DU_SOURCE}/docs/kubernetes/argocd-cm.yaml"))->[0]{data};
is_deeply([ keys %$data ], ['resource.customizations.health.documentdb.io_DocumentDB'], 'the key names the kind');
my ($script) = values %$data;

# Perl data as a Lua constant.
sub constant
{
	my $value = shift;
	return '{' . join(',', map { "[\"$_\"]=" . constant($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
	return '{' . join(',', map { constant($_) } @$value) . '}' if ref $value eq 'ARRAY';
	return $value =~ /^\d+$/ ? $value : "\"$value\"";
}

# "status: message" of a resource.
sub health
{
	my %resource = (metadata => { generation => 3 }, @_);
	my $file = PostgreSQL::Test::Utils::tempdir() . '/health.lua';

	# Argo CD offers no more than these unless told to.
	append_to_file($file, "local env = { obj = " . constant(\%resource) . ", ipairs = ipairs, pairs = pairs, type = type }\n"
		  . "local chunk = [==[\n$script]==]\n"
		  . "local check = setfenv and setfenv(assert(loadstring(chunk)), env) or load(chunk, 'health', 't', env)\n"
		  . "local hs = check()\nprint(hs.status .. ': ' .. hs.message)\n");
	chomp(my $result = `$lua $file 2>&1`);
	return $result;
}

sub condition
{
	my ($status, $reason, $generation) = @_;
	return status => { schemaVersion => '0.109.0', conditions => [
			{ type => 'SchemaUpgradeBlocked', status => 'True', reason => 'NoUpdatePath', message => 'Not ours.' },
			{ type => 'SchemaSettled', status => $status, reason => $reason, message => "Said $reason.", observedGeneration => $generation // 3 } ] };
}

is(health(condition('True', 'UpToDate')), 'Healthy: Said UpToDate.', 'settled');
is(health(condition('True', 'UpdateAvailable')), 'Healthy: Said UpdateAvailable.', 'settled in the rollback window');
is(health(condition('False', $_)), "Progressing: Said $_.", $_) foreach qw(Waiting Pending Finalizing Verifying);
is(health(condition('False', $_)), "Degraded: Said $_.", $_) foreach qw(Blocked Failed SchemaAhead NotInstalled);
is(health(condition('False', 'Held')), 'Suspended: Said Held.', 'Held');
is(health(condition('True', 'UpToDate', 2)), 'Progressing: Waiting for a report about the schema', 'a condition about an older spec counts for nothing');

is(health(), 'Progressing: Waiting for a report about the schema', 'nothing was reported yet');
is(health(status => {}), 'Progressing: Waiting for a report about the schema', 'an empty status');
is(health(spec => { schemaVersion => '0.112.0' }, status => { schemaVersion => '0.109.0' }),
	'Progressing: Schema version 0.109.0, desired 0.112.0', 'no conditions: on the way');
is(health(spec => { schemaVersion => $_ }, status => { schemaVersion => '0.112.0' }),
	'Healthy: Schema version 0.112.0', "no conditions: there, desired \"$_\"") foreach '0.112.0', 'auto', '';

done_testing();
