use strict; use warnings; use DocumentdbUpgrade::Test; use Test::More;
my $node = new_node('main', preload => 'pg_cron, pg_documentdb_core, pg_documentdb, documentdb_upgrade', conf => "cron.database_name = 'postgres'\ncron.use_background_workers = on\n");
sql($node, 'CREATE EXTENSION documentdb CASCADE; CREATE EXTENSION documentdb_upgrade');
note sql($node, 'SELECT * FROM documentdb_upgrade.versions');
ok 1; done_testing;
