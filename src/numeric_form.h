/*-------------------------------------------------------------------------
 *
 * numeric_form.h
 *	  Canonical bytes of numeric values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_NUMERIC_FORM_H
#define DU_NUMERIC_FORM_H

#include "canonical_buffer.h"

extern void du_numeric_put(CanonicalBuffer *buffer, const char *data, size_t length);

#endif							/* DU_NUMERIC_FORM_H */
