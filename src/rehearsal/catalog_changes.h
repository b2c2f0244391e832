/*-------------------------------------------------------------------------
 *
 * catalog_changes.h
 *	  What a subtransaction has changed in the catalogues.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CATALOG_CHANGES_H
#define DU_CATALOG_CHANGES_H

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"

typedef enum ChangeAction
{
	CHANGE_ADDED,
	CHANGE_REMOVED,
	CHANGE_CHANGED
} ChangeAction;

typedef struct CatalogChange
{
	ObjectAddress object;
	ChangeAction action;
	const char *kind;			/* "function", "table column", "role", ... */
	const char *identity;		/* the name for people, schema-qualified */
	bool		definition;		/* more than privileges and owner */
	bool		owner;			/* another owner */
	bool		rewritten;		/* a relation that got new storage */
	bool		recreated;		/* dropped, and made anew under its name */
	bool		dependent;		/* comes and goes with another object */
	List	   *privileges;		/* aclitem texts of it, or of what was removed */
	List	   *granted;		/* those that are new */
	List	   *revoked;		/* that are gone */
} CatalogChange;

extern List *du_changes_collect(TransactionId since);
extern const char *du_changes_action_name(ChangeAction action);

#endif							/* DU_CATALOG_CHANGES_H */
