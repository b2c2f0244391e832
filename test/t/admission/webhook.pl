# A validating webhook on a real API server: its reviews go to
# admission_review() through a small HTTPS server, what we refuse is refused with our
# words, warnings are shown, and a database that is down holds nobody up.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::RealApi;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WebhookProxy;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

need_real_api();
my $operators_crd = operator_crd();
my ($api, $proxy, $mode);

# Registers the guide's webhook, with the test's address and authority.
sub register
{
	my $file = "$ENV{DU_SOURCE}/docs/kubernetes/webhook.yaml";
	my $webhook = $api->json('create', '--dry-run=client', '--validate=false', '-f', $file);
	$webhook->{webhooks}[0]{clientConfig} = { url => $proxy->url, caBundle => encode_base64(slurp_file("$api->{dir}/ca.crt"), '') };
	# What does not answer in time is let pass.
	$webhook->{webhooks}[0]{timeoutSeconds} = 30;
	$api->apply($webhook);
	# It takes the servers a moment to know of it.
	my $known = poll_until(sub { !try_create('probe', { schemaVersion => '9.9.9' })->{ok} }, 'the webhook is called');
	$api->try_kubectl('-n', 'databases', 'delete', 'dbs', 'probe');
	return $known;
}

sub try_create
{
	my ($name, $spec, $metadata) = @_;
	return $api->try_kubectl('create', '-f', '-', \encode_json({
		apiVersion => 'documentdb.io/preview', kind => 'DocumentDB', metadata => { name => $name, namespace => 'databases', %{ $metadata // {} } },
		spec => { nodeCount => 1, instancesPerNode => 1, resource => { storage => { pvcSize => '1Gi' } }, %$spec } }));
}

sub try_patch
{
	my ($patch, @options) = @_;
	return $api->try_kubectl('-n', 'databases', 'patch', 'dbs', 'mydb', '--type=merge', @options, '-p', encode_json($patch));
}

sub refused
{
	my ($result, $words, $what) = @_;
	ok(!$result->{ok}, "$mode: $what is refused");
	like($result->{stderr}, qr/^The DocumentDB "\w+" is invalid: .*$words/m, "$mode: in our words")
	  or diag($result->{stderr});
	return;
}

sub accepted
{
	my ($result, $what) = @_;
	ok($result->{ok}, "$mode: $what is accepted") or diag($result->{stderr});
	return $result;
}

sub create_and_change
{
	refused(try_create('mydb', { schemaVersion => '0.113.0', documentDBVersion => '0.112.0' }),
		'spec\.schemaVersion: Invalid value: "0\.113\.0": schemaVersion 0\.113\.0 exceeds the binary version 0\.112\.0; schema version must be <= binary version',
		'a schema above the binary');
	refused(try_create('mydb', { schemaVersion => '0.112.0' }), 'cannot set an explicit schemaVersion without', 'a schema without a binary');
	accepted(try_create('mydb', { documentDBVersion => '0.113.0' }), 'a resource');
	accepted(try_patch({ status => { schemaVersion => '0.112.0' } }, '--subresource=status'), 'a status');
	refused(try_patch({ spec => { documentDBVersion => '0.111.0' } }),
		'spec: Forbidden: image rollback blocked: requested version 0\.111\.0 is older than installed schema version 0\.112\.0\.', 'an older image');
	accepted(try_patch({ spec => { documentDBVersion => '0.112.0' } }), 'the image of the schema');
	refused(try_patch({ spec => { schemaVersion => '0.111.0' } }), 'a schema never goes back', 'an older schema');
	my $offered = accepted(try_patch({ spec => { documentDBVersion => '0.114.0' } }), 'a newer image');
	like($offered->{stderr}, qr/Warning: Schema update available: binary version is 0\.114\.0, schema is at 0\.112\.0\. Set spec\.schemaVersion to "0\.114\.0" or "auto"/,
		"$mode: with a warning that says what is next");
	accepted(try_patch({ metadata => { labels => { a => 'b' } } }), 'a label');

	# What kubectl gets is a Status like the API's own.
	my $both = $api->try_kubectl('create', '--raw', '/apis/documentdb.io/preview/namespaces/databases/dbs', '-v=8', '-f', '-', \encode_json({
		apiVersion => 'documentdb.io/preview', kind => 'DocumentDB', metadata => { name => 'two' },
		spec => { nodeCount => 1, instancesPerNode => 1, resource => { storage => { pvcSize => '1Gi' } }, schemaVersion => '0.112.0' } }));
	like($both->{stderr}, qr/422 Unprocessable Entity/, "$mode: the code is that of an invalid resource");
	like($both->{stderr}, qr/admission webhook \\"admission\.documentdb-upgrade\.io\\" denied the request: DocumentDB\.documentdb\.io \\"two\\" is invalid/,
		"$mode: the message says who refuses") or diag($both->{stderr});
	like($both->{stderr}, qr/"reason":\s*"FieldValueInvalid"/, "$mode: the causes are passed on") or diag($both->{stderr});
	my ($last) = reverse $proxy->exchanges;
	is($last->[1]{response}{uid}, $last->[0]{request}{uid}, "$mode: by the uid of the request");
	return;
}

# What only the operator's own CRD keeps.
sub images_and_regions
{
	accepted(try_patch({ spec => { documentDBVersion => undef, image => { documentDB => 'registry:5000/d:0.113.0' } } }), 'an image');
	refused(try_patch({ spec => { image => { documentDB => 'registry:5000/d@sha256:01' } } }), 'spec\.image\.documentDB: Forbidden: image rollback cannot be ruled out', 'a digest alone');
	accepted(try_patch({ spec => { image => { documentDB => 'registry:5000/d:0.113.0@sha256:01' } } }), 'a digest with a tag');
	refused(try_patch({ spec => { bootstrap => { recovery => { backup => { name => 'b1' } } } } }), 'bootstrap configuration cannot be changed', 'another bootstrap');
	my %regions = (clusterReplication => { primary => 'a', disableTLS => JSON::PP::true, clusterList => [ { name => 'a' }, { name => 'b' } ] });
	my $auto = accepted(try_create('regions', { schemaVersion => 'auto', documentDBVersion => '0.112.0', %regions }), 'auto in two regions');
	like($auto->{stderr}, qr/Warning: schemaVersion "auto" with 2 regions/, "$mode: with a warning");
	my %restore = (documentDBVersion => '0.111.0', bootstrap => { recovery => { backup => { name => 'b1' } } });
	refused(try_create('restored', \%restore, { annotations => { 'documentdb.io/schema-version' => '0.112.0' } }),
		'restore blocked: the target DocumentDB version 0\.111\.0 is older than the backup\'s schema version 0\.112\.0', 'a restore of a newer schema');
	like(accepted(try_create('restored', \%restore), 'a restore of an unknown one')->{stderr}, qr/Warning: backup "b1" has no recorded schema version/, "$mode: with a warning");
	return;
}

foreach my $modern (api_modes())
{
	$mode = $modern ? 'later release' : 'plain';
	$api = DocumentdbUpgrade::RealApi->new(modern => $modern);
	$api->apply_crd($operators_crd // own_crd());
	$api->kubectl('create', 'namespace', 'databases');
	my $node = new_node("main$modern");
	sql($node, q{
		CREATE EXTENSION documentdb_upgrade;
		CREATE ROLE webhook LOGIN;
		GRANT EXECUTE ON PROCEDURE documentdb_upgrade.run_admission_review TO webhook});
	$proxy = DocumentdbUpgrade::WebhookProxy->new($node, "$api->{dir}/server.crt", "$api->{dir}/server.key", user => 'webhook');
	ok(register(), "$mode: the webhook is called");

	create_and_change();
	SKIP:
	{
		skip 'the operator\'s CRD is not here', 1 unless $operators_crd;
		images_and_regions();
	}
	is(scalar(grep { !ref $_->[1] } $proxy->exchanges), 0, "$mode: no review has failed");

	$node->stop;
	accepted(try_patch({ spec => { documentDBVersion => '0.100.0' } }), 'while the database is down, anything');

	# The API server may have stopped waiting before it has failed.
	ok(poll_until(sub { grep { !ref $_->[1] && $_->[1] =~ /could not connect/ } $proxy->exchanges }, 'the webhook has failed'),
		"$mode: because the webhook fails");
	$proxy->stop;
	accepted(try_patch({ spec => { documentDBVersion => '0.101.0' } }), 'while the webhook is down, anything');
	accepted($api->try_kubectl('-n', 'databases', 'delete', 'dbs', '--all'), 'a deletion');
	$api->stop;
}

done_testing();
