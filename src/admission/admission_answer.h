/*-------------------------------------------------------------------------
 *
 * admission_answer.h
 *	  The answer to a Kubernetes admission review.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_ADMISSION_ANSWER_H
#define DU_ADMISSION_ANSWER_H

#include "utils/jsonb.h"

extern char *du_admission_answer(const JsonbContainer *review);
extern char *du_admission_too_large(const JsonbContainer *review, int limit);

#endif							/* DU_ADMISSION_ANSWER_H */
