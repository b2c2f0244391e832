/*-------------------------------------------------------------------------
 *
 * wording.h
 *	  Lists and durations, worded for people.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_WORDING_H
#define DU_WORDING_H

#include "nodes/pg_list.h"

extern char *du_names_join(const List *names);
extern char *du_duration_words(double seconds);

#endif							/* DU_WORDING_H */
