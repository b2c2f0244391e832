/*-------------------------------------------------------------------------
 *
 * citus.h
 *	  What Citus tells of its cluster, and what it carries to the nodes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CITUS_H
#define DU_CITUS_H

#include "access/xlogdefs.h"
#include "nodes/pg_list.h"
#include "utils/elog.h"

/* ----
 * citus_nodes.c
 *
 * This server's place in a cluster, and the other nodes.
 * ----
 */

typedef enum CitusRole
{
	CITUS_NONE,					/* not a part of a cluster */
	CITUS_COORDINATOR,
	CITUS_WORKER
} CitusRole;

/* A row of pg_dist_node. */
typedef struct CitusNode
{
	int			id;
	int			group;			/* 0: the coordinator's */
	const char *host;
	int			port;
	const char *name;			/* host and port */
	const char *role;			/* primary, secondary */
	bool		active;
	bool		here;			/* this server itself */
} CitusNode;

extern PGDLLEXPORT CitusRole du_citus_role(void);
extern List *du_citus_nodes(void);
extern const CitusNode *du_citus_coordinator(void);
extern bool du_citus_carries(const char *extension);
extern const char *du_citus_obstacle(const char **hint);

/* ----
 * node_commands.c
 *
 * Has Citus run a statement on nodes, within a time.
 * ----
 */

/* What came of a statement on one node. */
typedef struct NodeAnswer
{
	bool		success;
	bool		late;			/* the time was over */
	const char *text;			/* its only value, or why there is none */
} NodeAnswer;

extern NodeAnswer *du_citus_ask(const List *nodes, const char *command, int limit_ms);

/* ----
 * carried_statements.c
 *
 * Statements that the coordinator has carried to the nodes.
 * ----
 */

/* What the coordinator tells a node, it tells by settings of this prefix. */
#define CITUS_NODE_PREFIX "documentdb_upgrade_node"

extern bool du_citus_is_carried(void);
extern bool du_citus_attempt(int *lock_wait_ms, int *duration_ms);
extern void du_citus_keep_settings_here(void);
extern void du_citus_announce_attempt(int lock_wait_ms, int duration_ms);
extern void du_citus_announce_rehearsal(const char *rehearsal);
extern const char *du_citus_rehearsal(void);
extern const char *du_citus_node_of_error(const ErrorData *edata);

#endif							/* DU_CITUS_H */
