# What tells the stories of test/stories, without servers: a seed always gives the same
# plan, each invariant finds what is broken, and what fails is shortened to what it takes.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Story;
use DocumentdbUpgrade::Story::Actions;
use DocumentdbUpgrade::Story::Invariants;
use DocumentdbUpgrade::Story::Model;
use DocumentdbUpgrade::Story::Plan;
use DocumentdbUpgrade::Story::Shrink;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;

# Plans.
my @texts = map { plan_text(draw_plan($_)) } 1 .. 300;
is_deeply([ map { plan_text(draw_plan($_)) } 1 .. 300 ], \@texts, 'the same seed gives the same plan');
my %different = map { $_ => 1 } @texts;
is(scalar keys %different, 300, 'and another one another');
is_deeply([ map { plan_text(parse_plan($_)) } @texts ], \@texts, 'a plan can be written down and read');
like($texts[0], qr/\Aworld a<p .*\n(?:\w+(?: \S+)*\n){14,}\z/, 'one action a line');
my @actions = map { grep { !/^world/ } split /\n/ } @texts;
my %drawn = map { (split)[0] => 1 } @actions;
is_deeply([ sort keys %drawn ], [ known_actions() ], 'each action is drawn');
is_deeply([ grep { my $name = "do_$_"; !grep { $_->can($name) } map { "DocumentdbUpgrade::Story::$_" } qw(Actions Trouble) } known_actions() ], [], 'and can be done');
foreach my $wrong ('', 'raise a 1.1', 'world a<x', "world a<p\nexplode a")
{
	ok(!eval { parse_plan($wrong); 1 }, "no plan: $wrong");
}

# Lists that are shortened.
my @numbers = 1 .. 40;
my $tries = 0;
is_deeply([ shrink(sub { $tries++; my %is = map { $_ => 1 } @_; return $is{7} && $is{8} && $is{31} }, 1000, @numbers) ], [ 7, 8, 31 ], 'what it takes is left');
cmp_ok($tries, '<', 120, 'after not too many tries');
is_deeply([ shrink(sub { 0 }, 1000, @numbers) ], \@numbers, 'a list of which nothing can go stays');
is_deeply([ shrink(sub { 1 }, 1000, @numbers) ], [40], 'one element always stays');
$tries = 0;
shrink(sub { $tries++; return 1 }, 3, @numbers);
is($tries, 3, 'the number of tries is kept');

# A fault that shows when a hold is placed and something is killed after that.
sub planted
{
	my ($plan) = @_;
	my ($at, $held) = (0);

	foreach my $action (@{ $plan->{actions} })
	{
		$at++;
		$held ||= $action->[0] eq 'hold';
		return { at => $at, broken => ['history: planted'] } if $held && $action->[0] eq 'kill';
	}
	return { at => $at, broken => [] };
}
my $plan = parse_plan("world a<p\n" . join "\n", ('raise a 1.1', 'raise p 1.1', 'desire auto', 'cut a') x 3, 'hold', 'restart a fast', 'heal a', 'release',
	'kill a worker', ('raise a 1.2', 'raise p 1.2') x 3);
my $short = shorten($plan, planted($plan), 100, \&planted);
is(plan_text($short), "world a<p ahead=warn source=setting\nhold\nkill a worker\n", 'a planted fault is shortened to the two actions that it takes');

# The model.
sub facts
{
	my (%given) = @_;
	my %servers = (p => { binary => '1.2', up => 1 }, a => { binary => '1.2', up => 1, upstream => 'p' }, b => { binary => '1.2', up => 1, upstream => 'a' });

	while (my ($name, $change) = each %{ delete $given{servers} // {} }) { $servers{$name} = { %{ $servers{$name} }, %$change }; }
	return { primary => 'p', installed => '1.1', source => 'setting', ahead => 'warn', desired => { setting => 'auto', file => '' }, trouble => {},
		servers => \%servers, %given };
}

sub model
{
	my $expected = expected(facts(@_));
	return join ' ', $expected->{installed}, @{ $expected->{states} // ['any'] };
}

is(model(), '1.2 up_to_date', 'nothing is in the way');
is(model(servers => { b => { binary => '1.1' } }), '1.1 blocked', 'an old binary at the end of a cascade');
is(model(servers => { a => { cut => 1 } }), '1.1 blocked', 'a standby that is not heard');
is(model(held => 1), '1.1 held', 'a hold');
is(model(held => 1, shut => 1), '1.1 held blocked', 'a hold and a window');
is(model(gate => 1), '1.1 pending blocked finalizing', 'a script that waits');
is(model(prepared => '1.2'), '1.1 pending blocked finalizing', 'an update that is prepared and not committed');
is(model(source => 'file'), '1.1 update_available', 'nothing is desired');
is(model(source => 'file', trouble => { file => 1 }), '1.1 waiting', 'the file cannot be read');
is(model(desired => { setting => '1.3' }), '1.1 waiting', 'later than the binary');
is(model(desired => { setting => '1.0' }), '1.1 blocked', 'back');
is(model(servers => { p => { binary => '1.0' } }), '1.1 schema_ahead', 'an older binary');
is(model(servers => { p => { stalled => 1 } }), '1.1 any', 'a worker that is stopped');
is(model(installed => '1.2', servers => { b => { up => 0 } }), '1.2 up_to_date verifying', 'done, and somebody is away');
is(verdict(facts(), sql => '1.2'), 'passes', 'a person may');
is(verdict(facts(servers => { b => { binary => '1.1' } }), sql => '1.2'), 'refused', 'and is refused for an old standby');
is(verdict(facts(servers => { b => { binary => '1.1' } }), alter => '1.2'), 'passes', 'which a plain statement does not ask for');
is(verdict(facts(prepared => '1.2'), alter => '1.2'), 'refused', 'and which does not wait for a prepared one');
is(verdict(facts(), alter => '1.3'), 'refused', 'but for the binary');

# Invariants, over servers that say what they are told to.
{
	package FakeWorld;
	sub servers_up { return @{ $_[0]{up} }; }
	sub names { return sort keys %{ $_[0]{facts}{servers} }; }
	sub look { my ($self, $name) = @_; return exists $self->{says}{$name} ? JSON::PP->new->utf8->encode($self->{says}{$name}) : undef; }
	package FakeNode;
	sub data_dir { return "$_[0]{dir}/data"; }
	sub logfile { return "$_[0]{dir}/log"; }
	package FakeProbe;
	sub answers { return @{ $_[0]{answers} }; }
}

# All is well; then code changes something.
sub broken
{
	my ($code, %facts) = @_;
	my %row = (id => 1, from_version => '1.0', to_version => '1.1', outcome => 'succeeded', actor => 'worker', started_at => 'now');
	my $facts = facts(installed => '1.1', source => 'file', %facts);
	my $world = bless { facts => $facts, up => [qw(p a b)], excuses => {}, probe => bless({ answers => [ { code => '00000', seconds => 0.1, id => 1 } ] }, 'FakeProbe') }, 'FakeWorld';

	foreach my $name (qw(p a b))
	{
		my $dir = PostgreSQL::Test::Utils::tempdir();
		mkdir "$dir/data" or die;
		append_to_file("$dir/log", "LOG:  all is well\n");
		$world->{nodes}{$name} = bless { dir => $dir }, 'FakeNode';
		$world->{says}{$name} = {
			extversion => '1.1', shape => '1.1 thing(id,c1) t1(id)', left => [], standbys => {}, history => [ {%row} ],
			processes => [ map { "documentdb_upgrade $_" } qw(launcher worker) ],
			status => { role => 'standby', state => 'standby', installed_version => '1.1', binary_version => '1.2', next_step => 'Look there.' } };
	}
	@{ $world->{says}{p}{status} }{qw(role state)} = qw(primary update_available);
	$world->{says}{p}{standbys} = { a => 'ready', b => 'ready' };
	my $check = DocumentdbUpgrade::Story::Invariants->new($world);
	$code->($world, $world->{says}{p}, $world->{nodes}{p}{dir});
	my %names = map { (split /:/)[0] => 1 } $check->after_action;
	return join ' ', sort keys %names;
}

{
	no warnings 'once';
	$DocumentdbUpgrade::Story::World::bound = 0;
}
is(broken(sub { }), '', 'where all is well nothing is found');
my @doctored = (
	[ alive => 'a server is gone', sub { delete $_[0]{says}{b} } ],
	[ converges => 'another version is installed', sub { $_[1]{extversion} = $_[1]{status}{installed_version} = '1.0'; $_[1]{shape} = '1.0 thing(id)'; $_[1]{history} = [] } ],
	[ converges => 'another state', sub { $_[1]{status}{state} = 'up_to_date' } ],
	[ converges => 'another binary', sub { $_[1]{status}{binary_version} = '1.1' } ],
	[ standbys => 'the primary has forgotten a standby', sub { delete $_[1]{standbys}{b} } ],
	[ standbys => 'it knows one too many', sub { $_[1]{standbys}{x} = 'silent' } ],
	[ standbys => 'it calls one old that is not', sub { $_[1]{standbys}{a} = 'old_binary' } ],
	[ standbys => 'a standby has not replayed', sub { $_[0]{says}{b}{extversion} = $_[0]{says}{b}{status}{installed_version} = '1.0'; $_[0]{says}{b}{shape} = '1.0 thing(id)' } ],
	[ ceiling => 'the worker went too far', sub { $_[0]{facts}{servers}{b}{binary} = '1.0'; $_[0]{says}{b}{status}{binary_version} = '1.0'; $_[1]{standbys}{b} = 'old_binary' },
		servers => { b => { binary => '1.0' } } ],
	[ schema => 'a table is missing', sub { $_[1]{shape} = '1.1 thing(id,c1)' } ],
	[ schema => 'one is missing on a standby', sub { $_[0]{says}{a}{shape} = '1.1 thing(id) t1(id)' } ],
	[ history => 'a change has no row', sub { $_[1]{history} = [] } ],
	[ history => 'a change has two', sub { push @{ $_[1]{history} }, { %{ $_[1]{history}[0] }, id => 2, started_at => 'then' } } ],
	[ history => 'nobody did it', sub { $_[1]{history}[0]{actor} = 'found' } ],
	[ states => 'a state that is not documented', sub { $_[0]{says}{p}{status}{state} = 'confused' }, servers => { p => { stalled => 1 } } ],
	[ states => 'no next step', sub { $_[1]{status}{next_step} = '' } ],
	[ leftovers => 'a database is left', sub { push @{ $_[1]{left} }, 'database scratch' } ],
	[ leftovers => 'an attempt is left', sub { push @{ $_[1]{processes} }, 'documentdb_upgrade attempt' } ],
	[ leftovers => 'two workers', sub { push @{ $_[1]{processes} }, 'documentdb_upgrade worker' } ],
	[ leftovers => 'no launcher', sub { shift @{ $_[1]{processes} } } ],
	[ leftovers => 'a file is left', sub { append_to_file("$_[2]/data/documentdb_upgrade.x", '') } ],
	[ leftovers => 'a fence that nobody raised', sub { append_to_file("$_[2]/data/documentdb_upgrade.fence", '') } ],
	[ logs => 'a server has crashed', sub { append_to_file("$_[2]/log", "LOG:  server process (PID 1) was terminated by signal 11: Segmentation fault\n") } ],
	[ logs => 'an assertion has failed', sub { append_to_file("$_[2]/log", "TRAP: FailedAssertion\n") } ],
	[ logs => 'an internal error', sub { append_to_file("$_[2]/log", "2026-01-01 [1] XX000 ERROR:  no such thing\n") } ],
	[ writers => 'a write is refused', sub { $_[0]{probe}{answers} = [ { code => '25006', seconds => 0, id => 1 } ] } ],
	[ writers => 'a session is lost', sub { $_[0]{probe}{answers} = [ { code => 'lost', seconds => 0, id => 1 } ] } ],
	[ writers => 'a write waits', sub { $_[0]{probe}{answers} = [ { code => '00000', seconds => 10_000, id => 1 } ] } ]);

foreach (@doctored)
{
	my ($invariant, $what, $code, %facts) = @$_;
	is(broken($code, %facts), $invariant, "$invariant: $what");
}
is(broken(sub { $_[0]{probe}{answers} = [ { code => '25006', seconds => 0, id => 1 } ] }, fenced => 1), '', 'behind a fence a write may be refused');

done_testing();
