-- The fingerprint: one token for everything that a plan depends on.  That it
-- follows the content of files is tested where files can be changed.
DROP EXTENSION documentdb_upgrade;
CREATE EXTENSION documentdb_upgrade;
SET search_path = public, documentdb_upgrade;

-- Says what a change did to it.
CREATE TABLE public.fingerprints (n integer GENERATED ALWAYS AS IDENTITY, fingerprint text);
CREATE FUNCTION public.fingerprint_is() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := (SELECT fingerprint FROM public.fingerprints ORDER BY n DESC LIMIT 1);
	now text := documentdb_upgrade.upgrade_fingerprint();
	known boolean := EXISTS (SELECT FROM public.fingerprints WHERE fingerprint = now);
BEGIN
	INSERT INTO public.fingerprints (fingerprint) VALUES (now);
	RETURN CASE WHEN now !~ '^[0-9a-f]{64}$' THEN 'malformed'
		WHEN now = before THEN 'unchanged'
		WHEN known THEN 'one from before'
		ELSE 'new' END;
END
$$;

SELECT public.fingerprint_is() AS not_installed;
CREATE EXTENSION documentdb_core VERSION '0.107-0';
SELECT public.fingerprint_is() AS companion_alone;
CREATE EXTENSION documentdb VERSION '0.107-0';
SELECT public.fingerprint_is() AS installed;

-- What has no part in a plan changes nothing.
SELECT documentdb_api.create_collection('db', 'c');
SELECT hold('not now');
SELECT record_backup('b', now());
CREATE EXTENSION du_gap VERSION '1.0';
CREATE ROLE regress_reader IN ROLE pg_monitor;
GRANT SELECT, INSERT ON public.fingerprints TO regress_reader;
SET ROLE regress_reader;
SET standard_conforming_strings = off;
SET DateStyle = 'German';
SELECT public.fingerprint_is() AS same_for_everybody;
RESET ROLE;
RESET standard_conforming_strings;
RESET DateStyle;
SELECT release();

-- Versions have, of the main extension and of every companion.
ALTER EXTENSION documentdb_core UPDATE TO '0.108-0';
SELECT public.fingerprint_is() AS core_updated;
CREATE EXTENSION documentdb_extended_rum VERSION '0.103-0';
SELECT public.fingerprint_is() AS companion_came;
DROP EXTENSION documentdb_extended_rum;
SELECT public.fingerprint_is() AS companion_went;
ALTER EXTENSION documentdb UPDATE TO '0.108-0';
SELECT public.fingerprint_is() AS main_updated;
BEGIN;
ALTER EXTENSION documentdb UPDATE TO '0.109-0';
SELECT public.fingerprint_is() AS main_updated;
ROLLBACK;
SELECT public.fingerprint_is() AS rolled_back;

-- So has what the managed set is, and its order.
SET documentdb_upgrade.managed_extensions = 'documentdb, documentdb_core';
SELECT public.fingerprint_is() AS order_turned_round;
SET documentdb_upgrade.managed_extensions = 'documentdb_core, documentdb, documentdb_extended_rum';
SELECT public.fingerprint_is() AS order_restored;
SET documentdb_upgrade.managed_extensions = 'documentdb';
SELECT public.fingerprint_is() AS documentdb_alone;
SET documentdb_upgrade.managed_extensions = '';
SET documentdb_upgrade.extension = 'documentdb_core';
SELECT public.fingerprint_is() AS documentdb_core_alone;
RESET documentdb_upgrade.managed_extensions;
RESET documentdb_upgrade.extension;

-- It does not depend on a target, so that one token serves every finalize,
-- and it lasts until that finalize.
SELECT public.fingerprint_is() AS back_again;
SELECT outcome, fingerprint = (SELECT fingerprint FROM public.fingerprints ORDER BY n DESC LIMIT 1) AS recorded
FROM finalize_to('0.112-0', upgrade_fingerprint());
SELECT public.fingerprint_is() AS after_a_finalize;

DROP EXTENSION documentdb CASCADE;
DROP EXTENSION documentdb_core, du_gap;
DROP TABLE public.fingerprints;
DROP FUNCTION public.fingerprint_is();
DROP ROLE regress_reader;
