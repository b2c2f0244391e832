/*-------------------------------------------------------------------------
 *
 * builtin_forms.h
 *	  Which form the values of known base types take.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_BUILTIN_FORMS_H
#define DU_BUILTIN_FORMS_H

#include "canonical_type.h"

extern bool du_forms_of_builtin(Oid type, CanonicalForm *form);
extern bool du_forms_of_extension(const char *extension, const char *type, CanonicalForm *form);

#endif							/* DU_BUILTIN_FORMS_H */
