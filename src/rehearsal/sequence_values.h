/*-------------------------------------------------------------------------
 *
 * sequence_values.h
 *	  Where the sequences of this database stand.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SEQUENCE_VALUES_H
#define DU_SEQUENCE_VALUES_H

#include "nodes/pg_list.h"

typedef struct SequenceValue
{
	Oid			sequence;
	const char *name;			/* schema-qualified and quoted */
	int64		last_value;
	bool		is_called;
} SequenceValue;

extern List *du_sequences_read(void);

#endif							/* DU_SEQUENCE_VALUES_H */
