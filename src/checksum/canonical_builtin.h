/*-------------------------------------------------------------------------
 *
 * canonical_builtin.h
 *	  Which form the values of known base types take.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CANONICAL_BUILTIN_H
#define DU_CANONICAL_BUILTIN_H

#include "checksum/canonical_type.h"

extern bool du_forms_of_builtin(Oid type, CanonicalForm *form);
extern bool du_forms_of_extension(const char *extension, const char *type, CanonicalForm *form);

#endif							/* DU_CANONICAL_BUILTIN_H */
