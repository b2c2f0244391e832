/*-------------------------------------------------------------------------
 *
 * spec_rules.h
 *	  What a custom resource may ask for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_SPEC_RULES_H
#define DU_SPEC_RULES_H

#include "admission/spec_form.h"

/* Why a field is refused. */
typedef struct FieldError
{
	const char *field;			/* path; empty for the whole resource */
	const char *type;			/* Invalid, Forbidden, ... as Kubernetes says */
	JsonbValue	value;			/* jbvNull: none is shown */
	char	   *detail;
} FieldError;

typedef struct SpecVerdict
{
	List	   *errors;			/* of FieldError */
	List	   *warnings;		/* of char *, each below 256 bytes, one line */
} SpecVerdict;

extern SpecVerdict *du_spec_judge(const ResourceForm *resource, const ResourceForm *old);
extern FieldError *du_spec_error(SpecVerdict *verdict, const char *field, const char *type,
								 const char *detail,...) pg_attribute_printf(4, 5);
extern void du_spec_warn(SpecVerdict *verdict, const char *warning,...) pg_attribute_printf(2, 3);
extern const char *du_spec_shown(const char *text);

#endif							/* DU_SPEC_RULES_H */
