/*-------------------------------------------------------------------------
 *
 * libpq_client.h
 *	  One statement on another server, without ever waiting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_LIBPQ_CLIENT_H
#define DU_LIBPQ_CLIENT_H

#include "worker/net/wait_list.h"

typedef struct LibpqClient LibpqClient;

/* What is asked of whom. */
typedef struct LibpqRequest
{
	const char *const *keywords;	/* of the connection; ends with NULL */
	const char *const *values;
	const char *statement;
	int			nparams;
	const char *const *params;	/* as text */
	size_t		longest;		/* bytes that the answer may have */
	long		timeout_ms;		/* for everything together */
} LibpqRequest;

typedef enum LibpqState
{
	LIBPQ_RUNNING,
	LIBPQ_ANSWERED,
	LIBPQ_FAILED
} LibpqState;

/* Why it came to nothing. */
typedef enum LibpqFailure
{
	LIBPQ_UNREACHABLE,			/* no connection, or it broke */
	LIBPQ_TIMED_OUT,
	LIBPQ_NO_PASSWORD,			/* the server wants one and there is none */
	LIBPQ_NOT_ADMITTED,			/* the server refuses the connection */
	LIBPQ_REFUSED,				/* the server refuses the statement */
	LIBPQ_UNUSABLE				/* the answer is none */
} LibpqFailure;

/*
 * How it stands.  Pointers live until the client is closed.
 */
typedef struct LibpqAnswer
{
	LibpqState	state;
	const char *value;			/* first column of the first row */
	LibpqFailure failure;
	const char *problem;		/* a phrase when failed */
	const char *detail;			/* the server's, or NULL */
	const char *hint;			/* the same */
	char		sqlstate[6];	/* "" when the server has said none */
} LibpqAnswer;

extern LibpqClient *du_libpq_start(const LibpqRequest *request);
extern void du_libpq_advance(LibpqClient *client);
extern const LibpqAnswer *du_libpq_get_answer(const LibpqClient *client);
extern void du_libpq_add_waits(const LibpqClient *client, WaitList *list);
extern void du_libpq_close(LibpqClient *client);

#endif							/* DU_LIBPQ_CLIENT_H */
