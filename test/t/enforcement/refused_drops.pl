# No cascade drops an extension of the managed set, or installs one at a
# version that cannot be.
use strict;
use warnings FATAL => 'all';

use DocumentdbUpgrade::GuardedNode;
use DocumentdbUpgrade::Test;
use Test::More;

my $node = guarded_node('main');
sql($node, q{CREATE ROLE chief SUPERUSER LOGIN; CREATE SCHEMA home; CREATE EXTENSION documentdb_upgrade; CREATE EXTENSION base});

# CREATE: too high, or unorderable, by itself and by a cascade.
refused($node, q{CREATE EXTENSION thing VERSION '1.3'}, 'within_binary');
refused($node, q{DO $$ BEGIN CREATE EXTENSION thing VERSION '1.3'; END $$}, 'within_binary');
write_extension_file($node, 'before.control', "default_version = 'next'\n");
write_extension_file($node, 'before--next.sql', '');
write_extension($node, 'needy', '1', '1' => '');
write_extension_file($node, 'needy.control', "default_version = '1'\nrequires = 'before'\n");
refused($node, 'CREATE EXTENSION before', 'target_known');
refused($node, 'CREATE EXTENSION needy CASCADE', 'target_known');
write_extension_file($node, 'before.control', "default_version = '1.2'\n");
passes($node, 'CREATE EXTENSION needy CASCADE');
is(versions($node), 'before 1.2', 'a cascade may install what can be');

# Older versions are fine, also where an update leads there.
passes($node, q{BEGIN; CREATE EXTENSION thing VERSION '1.1'; ROLLBACK});
ok(try_sql($node, q{CREATE EXTENSION thing VERSION '1.0' SCHEMA home}, user => 'chief')->{ok}, 'at an older version');
passes($node, 'CREATE EXTENSION IF NOT EXISTS thing');

# DROP, by itself and by everything that takes the extension along.
like(refused($node, 'DROP EXTENSION thing', 'drop')->{hint}, qr/SET documentdb_upgrade\.enforce = off/, 'the hint tells the way');
refused($node, $_, 'drop')
  foreach 'DROP EXTENSION IF EXISTS nothing, thing CASCADE', 'DROP SCHEMA home CASCADE', 'DROP OWNED BY chief CASCADE',
  'DROP EXTENSION base CASCADE', 'DO $$ BEGIN DROP EXTENSION thing; END $$', 'BEGIN; DROP SCHEMA home CASCADE; COMMIT',
  'DO $$ BEGIN DROP SCHEMA home CASCADE; END $$';
is(try_sql($node, 'CREATE ROLE stranger LOGIN; SET ROLE stranger; DROP EXTENSION thing')->{sqlstate}, '42501', 'who may not anyway is told that');

# Everything else is nobody's business.
passes($node, 'DROP EXTENSION needy');
passes($node, 'DROP EXTENSION IF EXISTS after');

# The other two ways of the setting.
warned($node, "SET documentdb_upgrade.enforce = warn; BEGIN; $_; ROLLBACK", qr/managed extension "thing" is dropped/)
  foreach 'DROP EXTENSION thing', 'DROP SCHEMA home CASCADE';
warned($node, q{SET documentdb_upgrade.enforce = warn; BEGIN; CREATE EXTENSION after VERSION '1.2'; DROP EXTENSION after; ROLLBACK},
	qr/managed extension "after" is dropped/);
passes($node, 'SET documentdb_upgrade.enforce = off; BEGIN; DROP SCHEMA home CASCADE; ROLLBACK');
passes($node, q{SET documentdb_upgrade.enforce = off; BEGIN; DROP EXTENSION before; CREATE EXTENSION before VERSION 'next'; ROLLBACK});
warned($node, q{SET documentdb_upgrade.enforce = off; BEGIN; DROP EXTENSION before; SET documentdb_upgrade.enforce = warn;
	CREATE EXTENSION before VERSION 'next'; ROLLBACK}, qr/extension "before" is created at "next" against guard "target_known"/);
refused($node, 'DROP EXTENSION thing', 'drop');

# A database goes as a whole.
sql($node, 'CREATE DATABASE other');
install_there();
passes($node, 'DROP DATABASE other');

sub install_there { return sql($node, 'CREATE EXTENSION base; CREATE EXTENSION thing', 'other'); }

done_testing();
