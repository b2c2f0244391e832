# What the caller has set does not reach scripts and checks: of every setting
# that any role can change they see what a plain ALTER EXTENSION of a fresh
# session sees, or what the two lists below say.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# Scripts are written for these.
my %fixed = (
	standard_conforming_strings => 'on',
	backslash_quote => 'safe_encoding',
	escape_string_warning => 'on',
	transform_null_equals => 'off',
	array_nulls => 'on',
	quote_all_identifiers => 'off',
	default_tablespace => '',
	temp_tablespaces => '',
	default_table_access_method => 'heap',
	default_toast_compression => 'pglz',
	row_security => 'on',
	DateStyle => 'ISO, MDY',
	IntervalStyle => 'postgres',
	TimeZone => 'UTC',
	bytea_output => 'hex',
	extra_float_digits => '1',
	xmloption => 'content',
	jit => 'off',
	max_parallel_workers_per_gather => '0',
	max_parallel_maintenance_workers => '0',
	createrole_self_grant => '',
	restrict_nonsystem_relation_kind => '');

# These stay as they are: they are between the session and its client, limit the
# caller, belong to the transaction, or are set for the upgrade by others.
my %left_alone = map { $_ => 1 } qw(
	application_name client_encoding client_min_messages
	tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout
	client_connection_check_interval idle_in_transaction_session_timeout idle_session_timeout
	lock_timeout statement_timeout transaction_timeout
	transaction_deferrable transaction_isolation transaction_read_only
	temp_buffers search_path synchronous_commit);

# Nobody can set these in a session on a Unix socket, or not for long; the last
# acts when a session begins and never again.
my $not_settable = qr/^(?:tcp_|transaction_(?!timeout)|ssl_renegotiation_limit$|local_preload_libraries$)/;

# Too much for a server that is to run this test.
my $not_configured = qr/^(?:default_transaction_|exit_on_error$|client_|idle_|temp_buffers$|search_path$
	|.*_timeout$|application_name$|debug_|trace_)/x;

# Two values that differ from the built-in one.
my %texts = (
	DateStyle => [ 'SQL, DMY', 'German, DMY' ],
	TimeZone => [ 'Europe/Rome', 'Asia/Kathmandu' ],
	application_name => [ 'x', 'y' ],
	client_encoding => [ 'LATIN1', 'LATIN2' ],
	createrole_self_grant => [ 'set', 'inherit' ],
	default_table_access_method => [ 'heap', 'other' ],
	default_tablespace => [ 'pg_default', 'pg_default' ],
	default_text_search_config => [ 'pg_catalog.german', 'pg_catalog.danish' ],
	lc_monetary => [ 'POSIX', 'C' ],
	lc_numeric => [ 'POSIX', 'C' ],
	lc_time => [ 'POSIX', 'C' ],
	'plpgsql.extra_errors' => [ 'too_many_rows', 'all' ],
	'plpgsql.extra_warnings' => [ 'too_many_rows', 'all' ],
	restrict_nonsystem_relation_kind => [ 'view', 'foreign-table' ],
	search_path => [ 'x', 'public, information_schema' ],
	temp_tablespaces => [ 'pg_default', 'pg_default' ],
	timezone_abbreviations => [ 'India', 'Australia' ]);

# A value that a setting does not have; the nth of those that are chosen freely.
sub another
{
	my ($s, $n) = @_;
	my $is = $s->{setting};

	return ($texts{ $s->{name} } or die "no values for setting $s->{name}\n")->[$n] if $s->{vartype} eq 'string';
	return $is eq 'on' ? 'off' : 'on' if $s->{vartype} eq 'bool';
	return (grep { $_ ne $is } split /,/, $s->{enumvals})[0] if $s->{vartype} eq 'enum';
	foreach my $value ($s->{name} =~ /timeout|check_interval/ ? $is + 1_000_000 : (),
		$s->{vartype} eq 'integer' ? $is * 2 + 8 : $is / 2 + 0.25, $s->{min_val}, $s->{max_val})
	{
		return $value if $value != $is && $value >= $s->{min_val} && $value <= $s->{max_val};
	}
	return;
}

sub quote { my ($value) = @_; return $value =~ s/'/''/gr; }

my $notes = PostgreSQL::Test::Utils::tempdir();
chmod 0777, $notes;
my $note = q{COPY (SELECT name, setting FROM pg_catalog.pg_settings WHERE context = 'user') TO '%s'};

my $node = new_node('main', own_installation => 1, conf => "documentdb_upgrade.extension = 'served'");
write_extension($node, 'served', '1.9', '1.0' => '',
	map { my $from = $_ - 1; ("1.$from--1.$_" => sprintf("$note;", "$notes/script")) } 1 .. 9);

# All settings, each with another value of its own.
sub settings
{
	my $columns = 'name, setting, vartype, min_val, max_val, array_to_string(enumvals, \',\')';
	my @rows = map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('postgres', qq{
		LOAD 'plpgsql';
		SELECT $columns FROM pg_settings WHERE context = 'user'});
	return map {
		my %s;
		@s{qw(name setting vartype min_val max_val enumvals)} = @$_;
		$s{name} => \%s;
	} @rows;
}

# What was noted somewhere, as a hash; the note is gone then.
sub seen
{
	my ($what) = @_;
	my %seen = map { split /\t/, $_, 2 } split /\n/, slurp_file("$notes/$what") =~ s/^(\S+)\t$/$1\t /mgr;
	s/^ $// foreach values %seen;
	unlink "$notes/$what";
	return \%seen;
}

my %boot = settings();
$node->append_conf('postgresql.conf', sprintf "%s = '%s'\n", $_->{name}, quote(another($_, 0)))
	foreach grep { $_->{name} !~ $not_configured && $_->{name} !~ $not_settable && !exists $fixed{ $_->{name} } } values %boot;
$node->restart;
my %settings = settings();

sql($node, qq{
	CREATE EXTENSION documentdb_upgrade;
	CREATE EXTENSION served VERSION '1.0';
	CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
	CREATE ROLE operator LOGIN;
	GRANT EXECUTE ON FUNCTION documentdb_upgrade.finalize_to, documentdb_upgrade.rehearse TO operator;
} . join '', map { qq{
	CREATE FUNCTION public.note_$_() RETURNS boolean LANGUAGE plpgsql AS \$\$
	BEGIN EXECUTE pg_catalog.format('${\ ($note =~ s/'/''/gr) }', '$notes/$_'); RETURN true; END \$\$;
	INSERT INTO documentdb_upgrade.checks (name, kind, function) VALUES ('$_', '$_', 'public.note_$_()');} } qw(pre post));

# What a plain ALTER EXTENSION shows.
sql($node, q{LOAD 'plpgsql'; ALTER EXTENSION served UPDATE TO '1.1'});
my $plain = seen('script');
cmp_ok(scalar(grep { $plain->{$_} ne $boot{$_}->{setting} } keys %$plain), '>', 80, 'most settings are configured');

# What a caller has, as SQL and as options of the connection.
my @theirs = map { [ $_->{name}, another($_, 1) ] } grep { $_->{name} !~ $not_settable } values %settings;
my $as_set = join '', map { sprintf "SET %s = %s;\n", $_->[0], $_->[0] =~ /path|spaces/ ? $_->[1] || q{''} : "'$_->[1]'" } @theirs;
my $options = join ' ', map { "-c $_->[0]=" . ($_->[1] =~ s/([\\ ])/\\$1/gr) } @theirs;

# Every difference between what was seen and what was to be seen.
sub differences
{
	my ($what) = @_;
	my $seen = seen($what);
	return join '', map {
		my $expected = exists $fixed{$_} ? $fixed{$_} : $plain->{$_};
		($seen->{$_} // 'nothing') eq $expected ? '' : "$_ is $seen->{$_}, not $expected; "
	} sort grep { !$left_alone{$_} } keys %$plain;
}

# Runs a rehearsal and a finalize in a session with other values of everything.
my $version = 1;
sub try_with
{
	my ($how, $set, $options) = @_;
	my $target = '1.' . ++$version;

	foreach my $call ("rehearse('$target')", "finalize_to('$target')")
	{
		local $ENV{PGOPTIONS} = $options;
		my $result = try_sql($node, qq{$set
			BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE;
			SELECT outcome FROM documentdb_upgrade.$call;
			COMMIT;
			SELECT name || '=' || setting FROM pg_catalog.pg_settings WHERE context = 'user'}, user => 'operator');
		my ($outcome, @has) = split /\n/, $result->{stdout};
		my %has = map { split /=/, $_, 2 } @has;

		$call =~ s/\(.*//;
		like($outcome, qr/^(?:passed|succeeded)$/, "$how: $call") or diag($result->{stderr});
		is(differences($_), '', "$how: $_ in $call") foreach $call eq 'rehearse' ? qw(pre script post) : qw(pre script post);
		is(join(', ', grep { $_ !~ $not_settable && $has{$_} eq $plain->{$_} && !exists $fixed{$_} && !$left_alone{$_} }
				sort grep { defined $has{$_} } keys %$plain),
			'', "$how: the session has its own values before and after $call");
	}
	return;
}

try_with('SET', $as_set, '');
try_with('PGOPTIONS', '', $options);
foreach my $scope ('', 'IN DATABASE postgres ')
{
	sql($node, $as_set =~ s/^SET/ALTER ROLE operator ${scope}SET/mgr);
	try_with("ALTER ROLE ${scope}SET", '', '');
	sql($node, "ALTER ROLE operator ${scope}RESET ALL");
}

# What counts as configuration when a role hides it: each source goes before the
# ones that were read earlier.
sql($node, q{
	ALTER SYSTEM SET work_mem = '5MB';
	ALTER SYSTEM SET cursor_tuple_fraction = 0.123456789012;
	ALTER SYSTEM SET "geqo_effort" = 3;
	ALTER ROLE ALL SET cursor_tuple_fraction = 0.2;
	ALTER ROLE ALL SET geqo_effort = 4;
	ALTER DATABASE postgres SET "GEQO_effort" = 6;
	SELECT pg_reload_conf();
	ALTER ROLE operator SET work_mem = '9MB';
	ALTER ROLE operator SET geqo_effort = 9;
	ALTER ROLE operator SET cursor_tuple_fraction = 0.9});
$version++;
is(try_sql($node, "SELECT outcome FROM documentdb_upgrade.finalize_to('1.$version')", user => 'operator')->{stdout},
	'succeeded', 'a role with settings of its own finalizes');
my $seen = seen('script');
is("@$seen{qw(work_mem cursor_tuple_fraction geqo_effort)}", '5120 0.2 6',
	'ALTER SYSTEM, ALTER ROLE ALL and ALTER DATABASE are configuration');

done_testing();
