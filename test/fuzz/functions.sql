-- What test/fuzz does with one input, by target, and with a file of them.
CREATE SCHEMA fuzz;
CREATE FUNCTION fuzz.parse(kind text, input bytea) RETURNS void LANGUAGE c STRICT
	AS 'fuzz_parsers', 'documentdb_upgrade_fuzz_parse';

-- An input that is to be a text: what is no text is none of this target's.
CREATE FUNCTION fuzz.text_of(input bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN convert_from(input, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
	RETURN NULL;
END $$;
-- The same for JSON; the server's own input function refuses a part.
CREATE FUNCTION fuzz.jsonb_of(input bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN convert_from(input, 'UTF8')::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
	RETURN NULL;
END $$;
CREATE FUNCTION fuzz.property(holds boolean, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF NOT holds THEN
		RAISE EXCEPTION 'not true: %', what USING ERRCODE = 'XX000';
	END IF;
END $$;

-- Three lines: what is compared, decided about, matched.
CREATE FUNCTION fuzz.versions(input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	part text[] := string_to_array(fuzz.text_of(input), E'\n');
BEGIN
	PERFORM documentdb_upgrade.decide(part[1], part[2], part[3]);
	PERFORM documentdb_upgrade_internal.version_matches(part[1], part[2]);
	PERFORM fuzz.property(documentdb_upgrade.to_semver(documentdb_upgrade.to_extension_version(part[1]))
		= documentdb_upgrade.to_semver(part[1]), 'both spellings are one version');
	PERFORM fuzz.property(documentdb_upgrade.compare_versions(part[1], part[2])
		= -documentdb_upgrade.compare_versions(part[2], part[1]), 'an order is the same from both sides');
END $$;

CREATE FUNCTION fuzz.images(input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	image text := fuzz.text_of(input);
BEGIN
	PERFORM documentdb_upgrade_internal.image_versions(image);
	PERFORM documentdb_upgrade_internal.component_version(c, jsonb_build_object(k, image))
		FROM unnest('{postgres,extension,gateway}'::text[]) c, unnest('{version,image}'::text[]) k;
END $$;

CREATE FUNCTION fuzz.releases(input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	doc jsonb := fuzz.jsonb_of(input);
	recorded documentdb_upgrade.releases;
BEGIN
	SELECT * INTO recorded FROM documentdb_upgrade.record_release(doc);
	PERFORM count(*) FROM documentdb_upgrade.compare_releases(recorded.revision - 1, recorded.revision);
	PERFORM count(*) FROM documentdb_upgrade.release_plan(recorded.revision - 1, recorded.revision);
END $$;

-- A window that is taken must also be read by the guard.
CREATE FUNCTION fuzz.window(input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	given text := fuzz.text_of(input);
BEGIN
	IF given IS NULL OR given = '' THEN
		RETURN;
	END IF;
	PERFORM set_config('documentdb_upgrade.maintenance_window', given, true);
	PERFORM fuzz.property(status IN ('pass', 'fail'), 'the window is open or closed: ' || status)
		FROM documentdb_upgrade.preflight() WHERE guard = 'window';
END $$;

-- Files of the extension du_fuzz, which is installed at 1.0.
CREATE FUNCTION fuzz.write_file(name text, content bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	object oid := lo_from_bytea(0, content);
BEGIN
	PERFORM lo_export(object, current_setting('fuzz.directory') || '/' || name);
	PERFORM lo_unlink(object);
END $$;
CREATE FUNCTION fuzz.look_at_files() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	what text;
BEGIN
	PERFORM documentdb_upgrade.binary_version();
	PERFORM count(*) FROM documentdb_upgrade_internal.managed_versions();
	PERFORM count(*) FROM documentdb_upgrade.preflight();
	PERFORM documentdb_upgrade.upgrade_fingerprint();
	FOREACH what IN ARRAY '{plan,plan_sql}'::text[] LOOP
		BEGIN
			EXECUTE format('SELECT count(*) FROM documentdb_upgrade.%I(%L)', what, '1.3');
		EXCEPTION WHEN object_not_in_prerequisite_state OR feature_not_supported OR undefined_object THEN
			NULL;
		END;
	END LOOP;
END $$;
CREATE FUNCTION fuzz.control(input bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM fuzz.write_file('du_fuzz--1.2.control', '');
	PERFORM fuzz.write_file('du_fuzz.control', input);
	PERFORM fuzz.look_at_files();
	PERFORM fuzz.write_file('du_fuzz.control', E'default_version = ''1.3''\n');
	PERFORM fuzz.write_file('du_fuzz--1.2.control', input);
	PERFORM fuzz.look_at_files();
	PERFORM fuzz.write_file('du_fuzz--1.2.control', '');
END $$;
CREATE FUNCTION fuzz.scripts(input bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM fuzz.write_file('du_fuzz.control', E'default_version = ''1.3''\n');
	PERFORM fuzz.write_file('du_fuzz--1.1--1.2.sql', input);
	PERFORM fuzz.look_at_files();
END $$;

CREATE FUNCTION fuzz.reviews(input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	doc jsonb := fuzz.jsonb_of(input);
	response jsonb := documentdb_upgrade.admission_review(doc)->'response';
	by_call jsonb;
BEGIN
	PERFORM fuzz.property(jsonb_typeof(response->'allowed') = 'boolean', 'a review is answered');
	CALL documentdb_upgrade.run_admission_review(doc, by_call);
	PERFORM fuzz.property(by_call->'response' = response, 'both ways give one answer');
END $$;
CREATE FUNCTION fuzz.specs(input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	doc jsonb := fuzz.jsonb_of(input);
	errors jsonb;
BEGIN
	PERFORM count(*) FROM documentdb_upgrade.validate_spec(doc->'new', doc->'old');
	CALL documentdb_upgrade.run_validate_spec(doc->'new', doc->'old', errors);
END $$;
-- One resource, to each version and back: what an annotation can keep comes back as it was,
-- and what has been there once in any case.
CREATE FUNCTION fuzz.conversions(input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	doc jsonb := fuzz.jsonb_of(input);
	first jsonb;
	there text;
	exact boolean := length(doc::text) < 2400 AND doc #> '{metadata,annotations,documentdb-upgrade/conversion}' IS NULL
		AND coalesce(jsonb_typeof(doc->'metadata'), 'object') = 'object' AND coalesce(jsonb_typeof(doc#>'{metadata,annotations}'), 'object') = 'object';
BEGIN
	-- Of the hub, and not by its name alone.
	exact := exact AND (doc->>'apiVersion' <> 'documentdb.io/preview' OR documentdb_upgrade.convert_resource(doc, 'documentdb.io/preview') = doc);
	FOREACH there IN ARRAY '{documentdb.io/preview,documentdb.io/preview-flat,db.microsoft.com/v1}'::text[] LOOP
		first := documentdb_upgrade.convert_resource(documentdb_upgrade.convert_resource(doc, there), doc->>'apiVersion');
		PERFORM fuzz.property(NOT exact OR first = doc, 'a round trip is exact');
		PERFORM fuzz.property(documentdb_upgrade.convert_resource(documentdb_upgrade.convert_resource(first, there), doc->>'apiVersion') = first,
			'a round trip changes nothing');
		PERFORM fuzz.property(documentdb_upgrade.conversion_review(jsonb_build_object('apiVersion', 'apiextensions.k8s.io/v1', 'kind', 'ConversionReview',
			'request', jsonb_build_object('uid', 'u', 'desiredAPIVersion', there, 'objects', jsonb_build_array(doc)))) #>> '{response,result,status}'
			IN ('Success', 'Failure'), 'a review is answered');
	END LOOP;
END $$;
-- Called by a role that has a WAL sender.
CREATE FUNCTION fuzz.reports(input bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM documentdb_upgrade.report_standby(fuzz.jsonb_of(input));
	PERFORM count(*) FROM documentdb_upgrade.standbys;
END $$;

CREATE FUNCTION fuzz.resources(input bytea) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT fuzz.parse('resource', input); END;
CREATE FUNCTION fuzz.watch(input bytea) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT fuzz.parse('watch', input); END;
CREATE FUNCTION fuzz.objects(input bytea) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT fuzz.parse('objects', input); END;
CREATE FUNCTION fuzz.upstream(input bytea) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT fuzz.parse('upstream', input); END;

-- Runs the inputs of a file, one a line in hexadecimal digits.  Gives back those that
-- raise a SQLSTATE that is not expected or take too long, and as number 0 how often
-- each SQLSTATE came.
CREATE FUNCTION fuzz.run(target text, path text, expected text, bound_ms double precision,
						 OUT number bigint, OUT state text, OUT said text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
	input bytea;
	started timestamptz;
	took double precision;
	counts jsonb := '{}';
BEGIN
	FOR number, input IN
		SELECT n, decode(line, 'hex') FROM string_to_table(pg_read_file(path), E'\n') WITH ORDINALITY AS l(line, n)
		WHERE line <> '-'
	LOOP
		started := clock_timestamp();
		BEGIN
			EXECUTE format('SELECT fuzz.%I($1)', target) USING input;
			state := '00000';
			said := '';
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT;
		END;
		took := extract(epoch FROM clock_timestamp() - started) * 1000;
		counts := counts || jsonb_build_object(state, coalesce((counts->>state)::bigint, 0) + 1);
		IF took > bound_ms THEN
			state := 'slow';
			said := format('%s ms', round(took));
			RETURN NEXT;
		ELSIF state !~ ('^(00000|' || expected || ')$') THEN
			RETURN NEXT;
		END IF;
	END LOOP;
	number := 0;
	state := '';
	said := counts::text;
	RETURN NEXT;
END $$;

-- Bytes that this backend has: of memory contexts, and of the process.  The server
-- keeps each time zone that it has ever been asked for, which counts for neither.
CREATE FUNCTION fuzz.memory(OUT contexts bigint, OUT resident bigint) LANGUAGE plpgsql AS $$
BEGIN
	SELECT sum(total_bytes) FILTER (WHERE name <> 'Timezones'),
		(regexp_match(pg_read_file('/proc/self/status'), 'VmRSS:\s+(\d+) kB'))[1]::bigint * 1024
			- coalesce(sum(total_bytes) FILTER (WHERE name = 'Timezones'), 0)
		FROM pg_backend_memory_contexts INTO contexts, resident;
END $$;
