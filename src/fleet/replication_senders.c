/*-------------------------------------------------------------------------
 *
 * replication_senders.c
 *	  The standbys that this server knows by itself.
 *
 * What the server tells of its WAL senders and physical slots, in one query.
 * Logical replication is left out: its senders are connected to a database.
 * A slot that nothing has ever used stands for nobody yet.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fleet/internal.h"

#include "replication/slot.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"

#include "base/base.h"

static const char *
text_or_empty(int row, int column)
{
	const char *text = du_query_text(row, column);

	return text !=NULL ? text : "";
}

static ReplicationSender *
read_row(int row)
{
	ReplicationSender *sender = palloc0(sizeof(ReplicationSender));
	bool		isnull;
	Datum		value;

	sender->pid = (pid_t) du_query_int(row, 1);
	sender->name = text_or_empty(row, 2);
	sender->address = text_or_empty(row, 3);
	value = du_query_datum(row, 4, &isnull);
	sender->role = isnull ? InvalidOid : DatumGetObjectId(value);
	sender->is_backup = strcmp(text_or_empty(row, 5), "backup") == 0;
	sender->is_synchronous = strcmp(text_or_empty(row, 6), "sync") == 0 ||
		strcmp(text_or_empty(row, 6), "quorum") == 0;
	value = du_query_datum(row, 7, &isnull);
	sender->replayed = isnull ? InvalidXLogRecPtr : DatumGetLSN(value);
	sender->slot = du_query_text(row, 8);
	return sender;
}

/*
 * True when there is a WAL sender or a slot at all: a quick look before the
 * query.
 */
static bool
any_replication(void)
{
	for (int i = 0; i < max_wal_senders; i++)
	{
		if (WalSndCtl->walsnds[i].pid != 0)
			return true;
	}
	for (int i = 0; i < max_replication_slots; i++)
	{
		if (ReplicationSlotCtl->replication_slots[i].in_use)
			return true;
	}
	return false;
}

/*
 * All of them, of ReplicationSender, palloc'd, in a stable order.  SPI must be
 * connected.
 */
List *
du_senders_list(void)
{
	List	   *senders = NIL;
	int			n;

	if (!any_replication())
		return NIL;
	n = du_query("SELECT coalesce(r.pid, 0)::pg_catalog.int8, r.application_name,"
				 "   pg_catalog.host(r.client_addr), r.usesysid, r.state, r.sync_state,"
				 "   r.replay_lsn, s.slot_name::pg_catalog.text"
				 " FROM (SELECT w.* FROM pg_catalog.pg_stat_replication w"
				 "       JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid"
				 "       WHERE a.datid IS NULL) r"
				 " FULL JOIN (SELECT * FROM pg_catalog.pg_replication_slots"
				 "            WHERE slot_type = 'physical' AND NOT temporary"
				 "              AND (active OR restart_lsn IS NOT NULL)) s"
				 "   ON s.active_pid = r.pid"
				 " ORDER BY r.application_name, s.slot_name, r.backend_start, r.pid",
				 0, NULL, NULL);
	for (int i = 0; i < n; i++)
		senders = lappend(senders, read_row(i));
	SPI_freetuptable(SPI_tuptable);
	return senders;
}

/*
 * The address of this session's client as above, palloc'd.
 */
char *
du_senders_own_address(void)
{
	char	   *address;

	du_query("SELECT coalesce(pg_catalog.host(pg_catalog.inet_client_addr()), '')", 0, NULL, NULL);
	address = du_query_text(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return address;
}

/*
 * Why what is committed here may be nowhere else, one sentence: fewer
 * synchronous standbys are connected than a commit waits for.  NULL when
 * there are enough or none is asked for.
 */
const char *
du_senders_missing_synchronous(const List *senders)
{
	const ListCell *lc;
	int			present = 0;

	if (SyncRepConfig == NULL || SyncRepStandbyNames == NULL || SyncRepStandbyNames[0] == '\0')
		return NULL;
	foreach(lc, senders)
		present += ((ReplicationSender *) lfirst(lc))->is_synchronous;
	if (present >= SyncRepConfig->num_sync)
		return NULL;
	return psprintf("%d of %d synchronous standbys are connected.", present, SyncRepConfig->num_sync);
}
