/*-------------------------------------------------------------------------
 *
 * dropped_objects.c
 *	  The names that dropped objects had.
 *
 * What is removed cannot be named any more, nor asked whose it was, so both are
 * noted just before: the server says what it is about to drop.  Nor does it show that it was made in
 * the same transaction, so that is noted too: a rewrite makes a relation for
 * the new rows, and drops it with the old ones in it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rehearsal/internal.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "base/base.h"

static HTAB *dropped = NULL;	/* NULL: nobody watches */
static HTAB *made = NULL;		/* OIDs of relations */
static bool installed = false;

/* Names what is about to be dropped, while it still has a name. */
static void
note_name(Oid classid, Oid objid, int subid)
{
	ObjectAddress object;
	DroppedObject *entry;

	ObjectAddressSubSet(object, classid, objid, subid);
	entry = hash_search(dropped, &object, HASH_ENTER, NULL);
	entry->kind = entry->identity = NULL;
	entry->place = du_outside_place(classid, objid);
	if (is_objectclass_supported(classid))
	{
		entry->kind = getObjectTypeDescription(&object, true);
		entry->identity = getObjectIdentity(&object, true);
	}
}

/*
 * True for a relation that the server knows to be of this transaction.  Not
 * after a rewrite, which exchanges that together with the rows.
 */
static bool
is_known_as_new(Oid relation)
{
	Relation	rel = RelationIdGetRelation(relation);
	bool		result;

	if (!RelationIsValid(rel))
		return false;
	result = rel->rd_createSubid != InvalidSubTransactionId;
	RelationClose(rel);
	return result;
}

static void
watch_access(ObjectAccessType access, Oid classid, Oid objid, int subid)
{
	bool		is_relation = classid == RelationRelationId && subid == 0;

	if (dropped == NULL)
		return;
	if (access == OAT_DROP)
	{
		MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(dropped));

		note_name(classid, objid, subid);
		MemoryContextSwitchTo(caller);
	}
	if (is_relation &&
		(access == OAT_POST_CREATE || (access == OAT_DROP && is_known_as_new(objid))))
		(void) hash_search(made, &objid, HASH_ENTER, NULL);
}

/* The memory is about to go, perhaps with the session: no more of that. */
static void
forget(void *arg)
{
	if (dropped == arg)
		dropped = NULL;
}

/*
 * Begins to note the names of what is dropped, until du_dropped_unwatch() or
 * the end of the current memory context.
 */
void
du_dropped_watch(void)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	HASHCTL		ctl = {0};

	if (!installed)
	{
		du_hooks_add_access(watch_access);
		installed = true;
	}
	ctl.keysize = sizeof(ObjectAddress);
	ctl.entrysize = sizeof(DroppedObject);
	ctl.hcxt = CurrentMemoryContext;
	dropped = hash_create("documentdb_upgrade dropped objects", 256, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.keysize = ctl.entrysize = sizeof(Oid);
	made = hash_create("documentdb_upgrade made relations", 64, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	callback->func = forget;
	callback->arg = dropped;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
}

/*
 * Ends it, and forgets the names.  May be called more than once.
 */
void
du_dropped_unwatch(void)
{
	dropped = NULL;
}

/*
 * What was noted of an object that has been dropped; NULL for others.
 */
const DroppedObject *
du_dropped_find(Oid classid, Oid objid, int subid)
{
	ObjectAddress object;

	if (dropped == NULL)
		return NULL;
	ObjectAddressSubSet(object, classid, objid, subid);
	return hash_search(dropped, &object, HASH_FIND, NULL);
}

/*
 * True for a relation that this transaction has made itself, and perhaps
 * dropped since.
 */
bool
du_dropped_is_new_relation(Oid relation)
{
	return (dropped != NULL && hash_search(made, &relation, HASH_FIND, NULL) != NULL) ||
		is_known_as_new(relation);
}

/*
 * A role's name, quoted where it must be, also of one that has just been
 * dropped; NULL for others.
 */
const char *
du_dropped_role_name(Oid role)
{
	char	   *name = GetUserNameFromId(role, true);
	const DroppedObject *gone;

	if (name != NULL)
		return quote_identifier(name);
	gone = du_dropped_find(AuthIdRelationId, role, 0);
	return gone != NULL ? gone->identity : NULL;
}
