/*-------------------------------------------------------------------------
 *
 * remote_connection.h
 *	  A connection of libpq's, waited for as processes of a server wait.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_REMOTE_CONNECTION_H
#define DU_REMOTE_CONNECTION_H

#include "libpq-fe.h"

#include "worker/net/remote_target.h"

/* What an answer may contain. */
#define REMOTE_LARGEST_VALUE (256 * 1024 * 1024)

extern bool du_remote_await_connection(PGconn *conn, long timeout_ms, const char **problem);
extern bool du_remote_is_broken(PGconn *conn);
extern bool du_remote_send(PGconn *conn, const char *statements);
extern PGresult *du_remote_next_result(PGconn *conn);
extern char *du_remote_copy_message(const char *text);
extern void du_remote_cancel(PGconn *conn, const RemoteTarget *target,
							 const char *identity);

#endif							/* DU_REMOTE_CONNECTION_H */
