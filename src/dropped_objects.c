/*-------------------------------------------------------------------------
 *
 * dropped_objects.c
 *	  The names that dropped objects had.
 *
 * What is removed cannot be named any more, so it is named just before: the
 * server says what it is about to drop.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dropped_objects.h"

#include "catalog/objectaccess.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

static HTAB *dropped = NULL;	/* NULL: nobody watches */
static bool installed = false;
static object_access_hook_type previous_access = NULL;

/* Names what is about to be dropped, while it still has a name. */
static void
watch_access(ObjectAccessType access, Oid classid, Oid objid, int subid, void *arg)
{
	ObjectAddress object;
	DroppedObject *entry;
	MemoryContext caller;

	if (previous_access != NULL)
		previous_access(access, classid, objid, subid, arg);
	if (dropped == NULL || access != OAT_DROP)
		return;

	caller = MemoryContextSwitchTo(GetMemoryChunkContext(dropped));
	ObjectAddressSubSet(object, classid, objid, subid);
	entry = hash_search(dropped, &object, HASH_ENTER, NULL);
	entry->kind = entry->identity = NULL;
	if (is_objectclass_supported(classid))
	{
		entry->kind = getObjectTypeDescription(&object, true);
		entry->identity = getObjectIdentity(&object, true);
	}
	MemoryContextSwitchTo(caller);
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
		previous_access = object_access_hook;
		object_access_hook = watch_access;
		installed = true;
	}
	ctl.keysize = sizeof(ObjectAddress);
	ctl.entrysize = sizeof(DroppedObject);
	ctl.hcxt = CurrentMemoryContext;
	dropped = hash_create("documentdb_upgrade dropped objects", 256, &ctl,
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
