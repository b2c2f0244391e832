-- Versions: one value, however spelled; an order; and what a desired version
-- means for an installed and a binary one.
SET search_path = documentdb_upgrade;
\pset null '(null)'

--
-- Spellings.  DocumentDB writes 0.112-0, its operator 0.112.0, people v0.112.
--
SELECT v AS written, to_semver(v), to_extension_version(v)
FROM unnest(ARRAY['0.112-0', '0.112.0', 'v0.112.0', 'V0.112-0', '0.112',
                  '1', '1.0', '1.10', '0.0.0', '007.010-02',
                  '1.0-4.1', '1.0.4.1', '1.2-3.4.5']) WITH ORDINALITY AS t(v, n)
ORDER BY n;

-- Pre-releases: the words people use, in any case, with or without a hyphen
-- or a dot before the number.
SELECT v AS written, to_semver(v), to_extension_version(v)
FROM unnest(ARRAY['1.0-RC2', '1.0-rc2', '1.0-rc.2', '1.0rc2', '1.0-RC',
                  '1.0-RC0', '1.0.0-RC2', '1.0-0-RC2', '1.0.0-beta.1',
                  '1.0alpha3', '1.0-dev', '1.0-pre', 'v2-RC1']) WITH ORDINALITY AS t(v, n)
ORDER BY n;

-- What vendors add: a word and numbers of their own.
SELECT v AS written, to_semver(v), to_extension_version(v)
FROM unnest(ARRAY['1.6-yb-1.0', '2.1~rc1', '1.0+build', '1.0+build2', '1.0+dfsg.1', '1.0+20240101',
                  '0.112-0-yb-2', '1.0-RC2+b7']) WITH ORDINALITY AS t(v, n)
ORDER BY n;

-- Each spelling can be written in the other one without becoming another
-- version: no row.
SELECT v, to_semver(v), to_extension_version(v)
FROM unnest(ARRAY['0.112-0', '0.112', '1', '1.0-4.1', '1.0-RC2', '1.0.1-RC2',
                  '1.0-0-RC2', '1-RC2', '1.0-dev', '1.2-3.4.5', '2.0.0-beta.10',
                  '1.6-yb-1.0', '2.1~rc1', '1.0+build', '1.0+build2', '1.0+5.1', '1.0-RC2+b7']) AS v
WHERE compare_versions(v, to_semver(v)) <> 0
   OR compare_versions(v, to_extension_version(v)) <> 0;

--
-- Order.  One sequence from lowest to highest; each pair in it must compare
-- as its positions do, in both directions: no row.
--
SELECT a.v, b.v, compare_versions(a.v, b.v)
FROM (VALUES (ARRAY[
        '0', '0.0.0.0.0.1', '0.0.1', '0.24-0', '0.100-0', '0.102-0', '0.102-1',
        '0.103-0', '0.104-0', '0.104-1', '0.109-0', '0.110-0', '0.117-0',
        '1.0-dev', '1.0-alpha', '1.0-alpha1', '1.0-beta2', '1.0-beta10',
        '1.0-pre', '1.0-RC1', '1.0-RC2', '1.0-RC10', '1.0-0', '1.0-0.1',
        '1.0-1-RC1', '1.0-1', '1.0-4', '1.0-4.1', '1.1', '1.9', '1.10',
        '2', '2.1~dev', '2.1~rc1', '2.1~rc1+build2', '2.1', '2.1+5', '2.1+6.1', '2.1+build',
        '2.1+build2', '2.1+build10', '2.1-yb-1.0', '2.1-yb-1.0.1', '2.1-yb-1.10', '2.1.1', '10', '99999999999999999999', '100000000000000000000'])) AS s(seq),
     unnest(seq) WITH ORDINALITY AS a(v, n),
     unnest(seq) WITH ORDINALITY AS b(v, n)
WHERE compare_versions(a.v, b.v) <> sign(a.n - b.n);

-- What is equal whichever way it is written; leading zeros do not count.
SELECT a, b, compare_versions(a, b), compare_versions(b, a) AS turned_round
FROM (VALUES ('0.112-0', '0.112.0'), ('0.112-0', 'v0.112'), ('1.10', '1.10.0'),
             ('1', '1.0.0.0'), ('1.0-4.1', '1.0.4.1'), ('007.010', '7.10-0'),
             ('1.0-RC2', '1.0.0-rc.2'), ('1.0-RC2', '1.0.RC2'), ('1.0-RC', '1.0-RC0'),
             ('1.0-RC2', '1.0-RC02'), ('2.1~rc1', '2.1-RC1'), ('1.6-yb-1.0', '1.6.0+YB.1'),
             ('1.0+build2', '1.0+build.2')) AS t(a, b);

-- A digit is not a letter and 9 is less than 10.
SELECT compare_versions('0.9-0', '0.10-0') AS nine_ten,
       compare_versions('1.0-RC2', '1.0-0') AS candidate_release,
       compare_versions('1.0-0', '0.999-999') AS major_first;

-- Numbers have no size limit: 20 digits overflow 64 bits, 200 digits all.
SELECT to_semver('1.18446744073709551616-0'),
       compare_versions('1.18446744073709551615', '1.18446744073709551616') AS wraps,
       compare_versions('1.18446744073709551616', '1.0') AS not_zero;
SELECT length(to_semver(repeat('9', 200))) AS length,
       compare_versions(repeat('9', 200), repeat('9', 199) || '8') AS last_digit,
       compare_versions(repeat('9', 199), repeat('9', 200)) AS one_digit_fewer,
       compare_versions(repeat('0', 200) || '7', '7') AS leading_zeros;

-- NULL in, NULL out.
SELECT to_semver(NULL), to_extension_version(NULL),
       compare_versions(NULL, '1.0'), compare_versions('1.0', NULL);

--
-- What is no version is refused, with the reason.
--
CREATE FUNCTION pg_temp.refusal(version text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    RETURN 'accepted as ' || documentdb_upgrade.to_semver(version);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || detail;
END $$;

SELECT v AS version, pg_temp.refusal(v)
FROM unnest(ARRAY['', ' ', ' 1.0', '1.0 ', 'v', 'vv1.0', 'latest', 'auto',
                  '.1', '1.', '1-', '1..0', '1.-0', '1-.0', '1--0', '-1.0', '+1.0',
                  '1.0-0-0', '1.0-0-1', '1_0', '1,0', '1.0+', '1.0+3f2a9c1', '1.0+deadbee', '1.0-g3f2a9c',
                  '1.0~1', '1.0-yb', '1.0-yb1', '1.0+b2c', '1.0+5x', 'deadbeef',
                  '1.0-gamma1', '1.0-RCx', '1.0-RC2.3', '1.0-RC2-0', '1.0-RC-2',
                  '1.0-RC.', '1.0..RC2', '0x10', '1e3', E'1.0\n', '٣.١', 'ANY',
                  '3.3.2next', 'unpackaged']) WITH ORDINALITY AS t(v, n)
ORDER BY n;

-- Image tags are another grammar and never guessed at.
SELECT v AS image_tag, pg_temp.refusal(v)
FROM unnest(ARRAY['16.3-v1.3.0', '0.112.0-amd64', 'pg17-0.112.0', '16-bookworm',
                  '0.112.0@sha256:abcd',
                  'registry/documentdb:0.112.0']) WITH ORDINALITY AS t(v, n)
ORDER BY n;

-- Limits: 16 components, 255 bytes.
SELECT to_semver('1' || repeat('.1', 15));
SELECT pg_temp.refusal('1' || repeat('.1', 16)) AS components_17,
       left(pg_temp.refusal(repeat('1', 255)), 8) AS bytes_255,
       pg_temp.refusal(repeat('1', 256)) AS bytes_256;

-- The whole message, once; a long text is cut on a character's boundary.
SELECT to_semver('0.112.0-amd64');
SELECT compare_versions('1.0', '1.x');
SELECT to_extension_version(repeat('ä', 100));

--
-- Decisions, row by row: the first row that applies wins.
--
CREATE FUNCTION pg_temp.decide_all(VARIADIC cases text[])
RETURNS TABLE (desired text, installed text, "binary" text,
               decision text, target text, reason text)
LANGUAGE sql AS $$
    SELECT cases[i], cases[i + 1], cases[i + 2], d.*
    FROM generate_series(1, cardinality(cases), 3) AS i,
         documentdb_upgrade.decide(cases[i], cases[i + 1], cases[i + 2]) AS d
    ORDER BY i
$$;

-- Not installed: whatever is desired, even what cannot be ordered.
SELECT * FROM pg_temp.decide_all(
    '',      NULL, '1.0-0',
    'auto',  NULL, '1.0-0',
    '1.0-0', NULL, '1.0-0',
    'x.y',   NULL, '1.0-0',
    'auto',  NULL, NULL,
    NULL,    NULL, NULL);

-- Missing, or not to be ordered: refused with the reason.
SELECT * FROM pg_temp.decide_all(
    'auto',  '0.112-0', NULL,
    '',      '0.112-0', NULL,
    'auto',  'next',    '1.0-0',
    '',      '0.112-0', 'ANY',
    'x.y',   '0.112-0', '1.0-0',
    'AUTO',  '0.112-0', '1.0-0',
    ' ',     '0.112-0', '1.0-0',
    'x.y',   '1.0-0',   '0.112-0');

-- The schema is ahead of the binary: whatever is desired.
SELECT * FROM pg_temp.decide_all(
    '',        '1.0-0', '0.112-0',
    'auto',    '1.0-0', '0.112-0',
    '0.112-0', '1.0-0', '0.112-0',
    '1.0-0',   '1.0-0', '0.112-0',
    '2.0-0',   '1.0-0', '1.0-RC2');

-- A version beyond the binary: wait, it is a normal moment of a rollout.
SELECT * FROM pg_temp.decide_all(
    '1.0.0',   '0.112-0', '0.117-0',
    '1.0-0',   '0.117-0', '0.117-0',
    '1.0-0',   '0.117-0', '1.0-RC2');

-- A version below the installed one: a schema never goes back.
SELECT * FROM pg_temp.decide_all(
    '0.110.0', '0.112-0', '1.0-0',
    '0.112-0', '1.0-0',   '1.0-0',
    '1.0-RC2', '1.0-0',   '1.0-0');

-- The installed version, however spelled: nothing to do.
SELECT * FROM pg_temp.decide_all(
    '0.112-0',  '0.112-0', '0.112-0',
    'v0.112.0', '0.112-0', '1.0-0',
    '1.10.0',   '1.10',    '1.11');

-- A version between: finalize to it, spelled as the extension spells it.
SELECT * FROM pg_temp.decide_all(
    '0.112.0', '0.110-0', '1.0-0',
    'v1.0',    '0.110-0', '1.0-0',
    '1.0-0',   '0.110-0', '1.0-0',
    '1.10.0',  '1.9',     '1.10',
    '1.0.0',   '1.0-RC2', '1.0-0');

-- Nothing desired: an update is announced and nothing runs.
SELECT * FROM pg_temp.decide_all(
    '',   '0.112-0', '1.0-0',
    NULL, '0.112-0', '1.0-0');

-- auto follows the binary.
SELECT * FROM pg_temp.decide_all(
    'auto', '0.112-0', '1.0-0',
    'auto', '1.0-RC2', '1.0-0');

-- Nothing desired, or auto, and nothing newer; equal in value is equal.
SELECT * FROM pg_temp.decide_all(
    '',     '1.0-0', '1.0-0',
    NULL,   '1.0-0', '1.0-0',
    'auto', '1.0-0', '1.0-0',
    'auto', '1.10',  '1.10.0');

--
-- Who may ask: anyone about versions, monitoring roles about decisions.
--
CREATE ROLE regress_versions_plain;
CREATE ROLE regress_versions_monitor IN ROLE pg_monitor;

SET ROLE regress_versions_plain;
SELECT to_semver('0.112-0'), to_extension_version('0.112.0'), compare_versions('1.0', '1.1');
SELECT decision FROM decide('auto', '0.112-0', '1.0-0');

SET ROLE regress_versions_monitor;
SELECT decision FROM decide('auto', '0.112-0', '1.0-0');

RESET ROLE;
DROP ROLE regress_versions_plain, regress_versions_monitor;
