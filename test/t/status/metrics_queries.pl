# The queries of docs/kubernetes/metrics.yaml, run as CloudNativePG's exporter
# runs them: with the extension they give what the file announces, and a
# server without it fails no scrape.
use strict;
use warnings FATAL => 'all';

use CPAN::Meta::YAML;
use DocumentdbUpgrade::Session;
use DocumentdbUpgrade::Test;
use DocumentdbUpgrade::WorkerNode qw(set_and_reload);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# YAML in YAML; the module loses the indentation of block scalars.
my ($outer, $inner) = slurp_file("$ENV{DU_SOURCE}/docs/kubernetes/metrics.yaml") =~ /^(.*\n  queries: \|\n)(.*)$/s;
$inner =~ s/^ {4}//mg;
my $queries = CPAN::Meta::YAML->read_string($inner)->[0];

like($outer, qr{^    cnpg\.io/reload: ""$}m, 'the map is reloaded when it changes');
is_deeply([ sort keys %$queries ], [map { "documentdb_upgrade$_" } '', qw(_databases _fence _fleet _state _waiting)], 'there are six queries');
is_deeply($_->{target_databases}, ['postgres'], 'each names its database') foreach values %$queries;

# The transaction that the exporter opens.
sub exporter
{
	my $session = DocumentdbUpgrade::Session->new($_[0], user => 'cnpg_metrics_exporter');
	$session->run('SET default_transaction_read_only = on; SET search_path = pg_catalog, public, pg_temp');
	return $session;
}

# Columns of a query with their types, in order.
sub described
{
	my ($session, $query) = @_;
	my $result = $session->run("$query \\gdesc");
	return [ map { [ split /\|/ ] } split /\n/, $result->{stdout} ];
}

# A query gives the announced columns, and values where it promises values.
sub gives_what_it_says
{
	my ($node, $what) = @_;
	my $session = exporter($node);

	foreach my $name (sort keys %$queries)
	{
		my $query = $queries->{$name};
		my %usage = map { my ($column) = keys %$_; $column => $_->{$column}{usage} } @{ $query->{metrics} };
		my $columns = described($session, $query->{query});

		is($session->run($query->{predicate_query})->{stdout}, 't', "$what: $name: the predicate holds");
		is_deeply([ map { $_->[0] } @$columns ], [ map { keys %$_ } @{ $query->{metrics} } ],
			"$what: $name: the columns are those announced, in order");
		is_deeply([ grep { $usage{ $_->[0] } ne 'LABEL' && $_->[1] !~ /^(integer|bigint|double precision)$/ } @$columns ], [],
			"$what: $name: what is no label is a number");
		my $result = $session->run($query->{query});
		ok($result->{ok}, "$what: $name: the exporter's role may run it") or diag($result->{stderr});
		my $rows = scalar(split /\n/, $result->{stdout});
		ok($name =~ /_waiting$/ || ($name =~ /_databases$/ ? $rows >= 1 : $rows == 1), "$what: $name: it gives one row, or one for each database or cause") or diag($result->{stdout});
	}
	$session->quit;
	return;
}

# No view, no error.
sub keeps_quiet
{
	my ($node, $what) = @_;
	my $session = exporter($node);

	is($session->run($_->{predicate_query})->{stdout}, 'f', "$what: the predicate says no") foreach values %$queries;
	$session->quit;
	return;
}

my $plain = new_node('plain');
sql($plain, 'CREATE ROLE cnpg_metrics_exporter LOGIN IN ROLE pg_monitor');
keeps_quiet($plain, 'without the extension');
sql($plain, q{CREATE EXTENSION documentdb_upgrade});
gives_what_it_says($plain, 'not preloaded');
is(sql($plain, $queries->{documentdb_upgrade}{query}) =~ s/^postgres\|(\w*)\|.*/$1/r, '', 'not preloaded: whether a worker runs is not said');
is(sql($plain, $queries->{documentdb_upgrade_state}{query}), 'postgres|primary|not_installed|||1', 'not preloaded: the state is there');
sql($plain, q{CREATE EXTENSION documentdb VERSION '0.109-0' CASCADE});
is(sql($plain, $queries->{documentdb_upgrade_state}{query}), 'postgres|primary|update_available|0.109-0||1', 'as labels');

# One row for each cause of waiting.
sub causes { return join ' ', sort map { (split /\|/)[1] } split /\n/, sql($plain, $queries->{documentdb_upgrade_waiting}{query}); }
is(causes(), 'decision', 'nobody has decided yet');
sql($plain, q{SELECT documentdb_upgrade.hold('not now')});
like(causes(), qr/\bhold\b/, 'a hold is a cause of its own');
sql($plain, 'SELECT documentdb_upgrade.release()');
set_and_reload($plain, 'documentdb_upgrade.desired_schema_version', '9.0.0');
ok($plain->poll_query_until('postgres', "SELECT bool_or(cause = 'binary') AND NOT bool_or(cause IN ('source', 'decision')) FROM ($queries->{documentdb_upgrade_waiting}{query}) q"), 'a version that the binary does not offer')
  or diag(causes());
$plain->stop;

my $primary = new_node('primary', preload => 1, streaming => 1);
sql($primary, 'CREATE ROLE cnpg_metrics_exporter LOGIN IN ROLE pg_monitor; CREATE EXTENSION documentdb_upgrade');
ok($primary->poll_query_until('postgres', 'SELECT worker_up = 1 FROM documentdb_upgrade.metrics'), 'the worker comes up');
gives_what_it_says($primary, 'preloaded');
is(sql($primary, $queries->{documentdb_upgrade}{query}) =~ s/^postgres\|(\w*)\|.*/$1/r, '1', 'preloaded: the worker is seen');

$primary->backup('base');
my $standby = DocumentdbUpgrade::Node->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
gives_what_it_says($standby, 'standby');
like(sql($standby, $queries->{documentdb_upgrade_state}{query}), qr/^postgres\|standby\|standby\|/, 'standby: it says that it is one');

done_testing();
