# The Grafana dashboard of docs/kubernetes asks for what metrics.yaml gives: each name
# and label in its queries is announced there, and nothing announced is left out.
use strict;
use warnings FATAL => 'all';

use CPAN::Meta::YAML;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $docs = "$ENV{DU_SOURCE}/docs/kubernetes";
my ($inner) = slurp_file("$docs/metrics.yaml") =~ /\n  queries: \|\n(.*)$/s;
$inner =~ s/^ {4}//mg;
my $queries = CPAN::Meta::YAML->read_string($inner)->[0];
my $dashboard = JSON::PP->new->utf8->decode(slurp_file("$docs/dashboard.json"));

# Labels of each metric; those of the scrape are added by Prometheus.
my %labels_of;
foreach my $name (keys %$queries)
{
	my @columns = map { my ($column) = keys %$_; [ $column, $_->{$column}{usage} ] } @{ $queries->{$name}{metrics} };
	my %labels = map { $_->[0] => 1 } grep { $_->[1] eq 'LABEL' } @columns;
	$labels_of{"cnpg_${name}_$_->[0]"} = { %labels, namespace => 1, pod => 1 } foreach grep { $_->[1] ne 'LABEL' } @columns;
}

my %seen;
sub check
{
	my ($title, $expression, $legend) = @_;
	my @names = $expression =~ /\b(cnpg_\w+)/g;
	my @labels = ($expression =~ /(\w+)=~/g, map({ /\w+/g } $expression =~ /\bby \(([^)]*)\)/g), ($legend // '') =~ /\{\{(\w+)\}\}/g);

	ok(scalar @names, "$title: it asks for something of ours");
	$seen{$_}++ foreach @names;
	is_deeply([ grep { !$labels_of{$_} } @names ], [], "$title: metrics.yaml has these names");
	is_deeply([ grep { my $label = $_; grep { !$labels_of{$_}{$label} } @names } @labels ], [], "$title: and these labels");
	return;
}

my (%ids, %titles);
foreach my $panel (@{ $dashboard->{panels} })
{
	ok(!$ids{ $panel->{id} }++, "$panel->{title}: the only one with its id");
	ok(!$titles{ $panel->{title} }++, "$panel->{title}: and with its title");
	ok(length $panel->{description}, "$panel->{title}: it says what it shows");
	check($panel->{title}, $_->{expr}, $_->{legendFormat}) foreach @{ $panel->{targets} };
}
check("annotation $_->{name}", $_->{expr}, $_->{textFormat}) foreach @{ $dashboard->{annotations}{list} };
foreach my $variable (grep { $_->{type} eq 'query' } @{ $dashboard->{templating}{list} })
{
	my ($series, $label) = $variable->{query} =~ /^label_values\((.*), (\w+)\)$/;
	check("variable $variable->{name}", $series, "{{$label}}");
}
is_deeply([ grep { !$seen{$_} } sort keys %labels_of ], [], 'every metric is shown');

done_testing();
