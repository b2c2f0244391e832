/*-------------------------------------------------------------------------
 *
 * restore_point.c
 *	  The restore point of an upgrade, on this server or on a whole cluster.
 *
 * On a coordinator it is Citus' own, which stops distributed transactions for a
 * moment, so that all nodes can be recovered to the same one.  It is taken in a
 * session of its own: in ours it would stop them until the upgrade has ended.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "finalize/internal.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"

#include "base/base.h"
#include "citus/citus.h"

/* The other nodes that an upgrade is carried to; NIL where it is carried to none. */
static List *
other_nodes(CitusNode **here)
{
	List	   *others = NIL;
	ListCell   *lc;

	*here = NULL;
	if (du_citus_role() != CITUS_COORDINATOR)
		return NIL;
	foreach(lc, du_citus_nodes())
	{
		CitusNode  *node = lfirst(lc);

		if (node->here)
			*here = node;
		else if (node->active && strcmp(node->role, "primary") == 0)
			others = lappend(others, node);
	}
	return *here != NULL ? others : NIL;
}

/* Where the other nodes are, as JSON for the history. */
static char *
describe_nodes(const List *nodes)
{
	NodeAnswer *answers = du_citus_ask(nodes, "SELECT pg_catalog.pg_current_wal_insert_lsn()", du_guc_node_timeout);
	StringInfoData buf;
	ListCell   *lc;
	int			i = 0;

	initStringInfo(&buf);
	du_write_open(&buf, NULL, '[');
	foreach(lc, nodes)
	{
		const CitusNode *node = lfirst(lc);
		const NodeAnswer *answer = &answers[i++];

		du_write_open(&buf, NULL, '{');
		du_write_text(&buf, "node", node->name);
		du_write_text(&buf, answer->success ? "lsn" : "error", answer->text);
		du_write_close(&buf, '}');
	}
	du_write_close(&buf, ']');
	return buf.data;
}

/* The point on all nodes; false, with a warning, where there can be none. */
static bool
write_on_all(CitusNode *here, const char *name, XLogRecPtr *lsn)
{
	NodeAnswer *answer = du_citus_ask(list_make1(here),
									  psprintf("SELECT pg_catalog.citus_create_restore_point(%s)", quote_literal_cstr(name)),
									  du_guc_node_timeout);

	if (answer->success)
	{
		*lsn = DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(answer->text)));
		return true;
	}
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("restore point \"%s\" is on the coordinator alone", name),
			 errdetail("Citus could not write it on all nodes: %s.", answer->text),
			 errhint("The coordinator connects to itself for it; run SELECT citus_create_restore_point('name') there to see the cause.")));
	return false;
}

/*
 * Writes the restore point, unless this is a repetition of an attempt that has
 * written it already, and notes it in the record.  An attempt that begins with
 * the update asks no other node.
 */
void
du_restore_point_write(Attempt *attempt, const char *name, bool repeated)
{
	AttemptRecord *record = &attempt->record;
	CitusNode  *here = NULL;
	List	   *others = attempt->alter_first || !du_citus_carries(record->extension) ? NIL : other_nodes(&here);
	bool		written = repeated;

	record->restore_point = pstrdup(name);
	if (!written && others != NIL)
		written = write_on_all(here, name, &record->restore_lsn);
	else if (repeated)
		record->restore_lsn = GetXLogInsertRecPtr();
	if (!written)
		record->restore_lsn = XLogRestorePoint(name);
	if (others != NIL)
		record->nodes = describe_nodes(others);
}
