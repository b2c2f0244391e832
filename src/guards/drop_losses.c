/*-------------------------------------------------------------------------
 *
 * drop_losses.c
 *	  What would be lost with an extension that is dropped and created.
 *
 * Where no script leads on, that is all that is left.  A new extension brings
 * back nothing that was kept in the old one, and nothing that stood on it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guards/internal.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"

#include "base/base.h"
#include "extension/extension.h"

/*
 * Each group with its number and first names: what depends on the members, or on
 * what belongs to them (row types), and is none of these; tables with data; and
 * members with privileges that the extension has not given.
 */
#define LOSSES \
	"WITH RECURSIVE member AS (" \
	"  SELECT d.classid, d.objid, true AS direct FROM pg_catalog.pg_depend d" \
	"  WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = $1 AND d.deptype = 'e'" \
	"  UNION SELECT d.classid, d.objid, false FROM pg_catalog.pg_depend d" \
	"  JOIN member m ON m.classid = d.refclassid AND m.objid = d.refobjid WHERE d.deptype = 'i')," \
	" dependent AS (" \
	"  SELECT DISTINCT 1 AS what, CASE WHEN r.oid IS NULL" \
	"      THEN pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)" \
	"      ELSE pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, r.ev_class, 0) END AS name" \
	"  FROM pg_catalog.pg_depend d JOIN member m ON m.classid = d.refclassid AND m.objid = d.refobjid" \
	"  LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid" \
	"  WHERE d.deptype = 'n' AND NOT EXISTS (SELECT FROM member o WHERE o.classid = d.classid AND o.objid = d.objid)" \
	"  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i JOIN member o ON o.classid = i.refclassid AND o.objid = i.refobjid" \
	"    WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'a')" \
	"  UNION ALL" \
	"  SELECT 2, c.oid::pg_catalog.regclass::pg_catalog.text FROM member m" \
	"  JOIN pg_catalog.pg_class c ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = m.objid" \
	"  WHERE m.direct AND c.relkind IN ('r', 'm') AND pg_catalog.pg_relation_size(c.oid) > 0" \
	"  UNION ALL" \
	"  SELECT 3, pg_catalog.pg_describe_object(m.classid, m.objid, 0) FROM member m" \
	"  JOIN (SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS class, c.oid, c.relacl AS acl FROM pg_catalog.pg_class c" \
	"        UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.proacl FROM pg_catalog.pg_proc p" \
	"        UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, n.nspacl FROM pg_catalog.pg_namespace n" \
	"        UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, t.typacl FROM pg_catalog.pg_type t) AS o" \
	"    ON o.class = m.classid AND o.oid = m.objid" \
	"  LEFT JOIN pg_catalog.pg_init_privs i ON i.classoid = m.classid AND i.objoid = m.objid AND i.objsubid = 0" \
	"  WHERE m.direct AND o.acl IS NOT NULL AND o.acl IS DISTINCT FROM i.initprivs)" \
	" SELECT d.what::pg_catalog.int8, pg_catalog.count(*)," \
	"   pg_catalog.array_to_string((pg_catalog.array_agg(d.name ORDER BY d.name))[1:3], ', ')" \
	" FROM dependent d GROUP BY d.what ORDER BY d.what"

/*
 * Sentences about what a DROP EXTENSION ... CASCADE would take along, palloc'd.
 * SPI must be connected.
 */
const char *
du_losses_describe(const ExtensionFacts *extension)
{
	static const char *const groups[] = {
		NULL, "depend on it", "hold its data", "have privileges that somebody granted"
	};
	Oid			types[1] = {OIDOID};
	Datum		values[1];
	StringInfoData buf;
	int			rows;

	values[0] = ObjectIdGetDatum(extension->oid);
	rows = du_query(LOSSES, 1, types, values);
	initStringInfo(&buf);
	for (int i = 0; i < rows; i++)
	{
		int64		n = du_query_int(i, 2);

		appendStringInfo(&buf, "%s" INT64_FORMAT " (%s%s) %s", i > 0 ? ", " : "Of what would go with it, ",
						 n, du_query_text(i, 3), n > 3 ? ", ..." : "", groups[du_query_int(i, 1)]);
	}
	SPI_freetuptable(SPI_tuptable);
	if (rows == 0)
		return "Nothing depends on it, it holds no data, and nobody was granted anything on it.";
	appendStringInfoString(&buf, ": save these first.");
	return buf.data;
}
