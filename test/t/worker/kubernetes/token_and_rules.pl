# What the API server refuses is told with the way out: a token that expired, a
# rule that is missing, a certificate of somebody else.  The worker goes on by
# itself once it is mended, and never shows the token.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();

my ($api, $node) = lab(conf => "documentdb_upgrade.poll_interval = '500ms'\ndocumentdb_upgrade.resync_interval = '2s'");
my $pod = $api->{pod};
my $token = slurp_file("$pod/token");
my @tokens = ($token);

sub becomes
{
	my ($condition, $what) = @_;
	ok($node->poll_query_until('postgres', "SELECT $condition FROM documentdb_upgrade.status"), $what)
	  or diag(sql($node, 'SELECT * FROM documentdb_upgrade.status'));
	return;
}

# The Role with some rules replaced.
sub role
{
	my (%rules) = @_;
	my %role = (
		dbs => [ 'documentdb.io', 'dbs', [qw(get list watch)] ],
		'dbs/status' => [ 'documentdb.io', 'dbs/status', [qw(get patch)] ],
		events => [ '', 'events', [qw(create patch)] ]);

	$role{$_}[2] = $rules{$_} foreach keys %rules;
	$api->apply({ apiVersion => 'rbac.authorization.k8s.io/v1', kind => 'Role', metadata => { name => 'mydb-schema-upgrade', namespace => 'databases' },
		rules => [ map { { apiGroups => [ $_->[0] ], resources => [ $_->[1] ], verbs => $_->[2] } } grep { @{ $_->[2] } } values %role ] });

	# The server takes a moment to notice.
	my @ask = ('auth', 'can-i', '--as=system:serviceaccount:databases:mydb', '-n', 'databases');
	poll_until(sub { $api->try_kubectl(@ask, 'watch', 'dbs.documentdb.io')->{stdout} eq (@{ $role{dbs}[2] } > 1 ? 'yes' : 'no')
		  && $api->try_kubectl(@ask, 'get', 'dbs.documentdb.io')->{stdout} eq (@{ $role{dbs}[2] } ? 'yes' : 'no')
		  && $api->try_kubectl(@ask, 'patch', 'dbs.documentdb.io', '--subresource=status')->{stdout} eq (@{ $role{'dbs/status'}[2] } ? 'yes' : 'no') },
		'the Role is in force');
	return;
}

becomes("state = 'update_available'", 'the resource is read');

# Tokens.
push @tokens, $api->forged_token('databases', 'mydb', -300);
$api->put_file("$pod/token", $tokens[-1]);
becomes("state = 'waiting' AND next_step ~ 'token'", 'an expired token is told');
$api->put_file("$pod/token", $token);
becomes("state = 'update_available'", 'a new one is taken up without a restart');
$api->put_file("$pod/token", 'nonsense');
becomes("state = 'waiting' AND next_step ~ 'token'", 'a token that is none is told');
unlink "$pod/token";
becomes("state = 'waiting' AND next_step ~ 'pod-databases-mydb/token'", 'a missing file is named');
$api->put_file("$pod/token", $api->forged_token('databases', 'mydb', 3600));
becomes("state = 'update_available'", 'and taken up when it is there');

# Rules for reading.
role(dbs => []);
becomes(q{state = 'waiting' AND next_step ~ 'does not allow this pod to get dbs in namespace "databases"'
	AND next_step ~ 'Grant verb "get" on resource "dbs" of API group "documentdb\.io" in namespace "databases".*see docs/kubernetes\.md'},
	'a missing rule is named in our own words: verb, resource, namespace and where to read on');
role(dbs => ['get']);
becomes("state = 'update_available'", 'get alone will do');
$api->patch_resource({ spec => { schemaVersion => '0.109.0' } });
becomes("installed_version = '0.109-0' AND state = 'up_to_date'", 'a wish is followed without list and watch');

poll_until(sub { ($api->resource->{status}{schemaVersion} // '') eq '0.109.0' }, 'the report arrives');

# Rules for reporting: nothing else suffers.
role('dbs/status' => [], events => []);
$api->patch_resource({ spec => { schemaVersion => '0.112.0' } });
becomes("installed_version = '0.112-0' AND state = 'up_to_date'", 'a wish is followed when nothing can be reported');
is($api->resource->{status}{schemaVersion}, '0.109.0', 'the report did not arrive');
ok($node->poll_query_until('postgres', 'SELECT reports_failed_total > 0 FROM documentdb_upgrade.metrics'), 'that is counted');
like(slurp_file($node->logfile), qr{dbs/status}, 'and the log names the missing rule');
role();
poll_until(sub { ($api->resource->{status}{schemaVersion} // '') eq '0.112.0' }, 'the report arrives once it may');
is($api->resource->{status}{schemaVersion}, '0.112.0', 'it arrives once it may');

# Certificates.
my $authority = slurp_file("$pod/ca.crt");
$api->openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=other-ca', '-keyout', 'other.key', '-out', 'other.crt');
$api->put_file("$pod/ca.crt", slurp_file("$api->{dir}/other.crt"));
$api->stop;
$api->start;
becomes("state = 'waiting' AND next_step ~* 'certificate' AND next_step ~ 'kubernetes_ca_file'", 'an unknown authority is told');
$api->put_file("$pod/ca.crt", $authority);
becomes("state = 'up_to_date'", 'and the right one taken up');

# Not the token, not its payload.
my $said = slurp_file($node->logfile) . sql($node, 'SELECT documentdb_upgrade.support_bundle()') . sql($node, 'SELECT * FROM documentdb_upgrade.history');
is(scalar(grep { index($said, $_) >= 0 } map { split /\./, $_ } @tokens), 0, 'no part of a token was written anywhere');
my @refused = grep { $_->{code} >= 400 } $api->requests(qr{^documentdb-upgrade/});
cmp_ok(scalar @refused, '<', 80, 'refusals were answered with patience');

done_testing();
