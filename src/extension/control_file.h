/*-------------------------------------------------------------------------
 *
 * control_file.h
 *	  An extension's control file and script directory on this instance.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_CONTROL_FILE_H
#define DU_CONTROL_FILE_H

#include "nodes/pg_list.h"

typedef struct ControlFile
{
	const char *problem;		/* why it cannot be used, or NULL */
	const char *path;			/* of the control file, when found */
	const char *directory;		/* where its scripts are */
	const char *default_version;	/* NULL when it names none */
	const char *module_pathname;	/* NULL when it names none */
	int			encoding;		/* of its scripts, -1 for the database's */
	bool		relocatable;
	bool		superuser;
	bool		trusted;
} ControlFile;

extern ControlFile *du_control_read(const char *extension);
extern void du_control_apply_secondary(ControlFile *control,
									   const char *extension,
									   const char *version);
extern char *du_control_script_path(const ControlFile *control,
									const char *extension,
									const char *from, const char *to);
extern List *du_control_script_names(const ControlFile *control,
									 const char *extension);
extern List *du_control_library_candidates(const char *library);
extern char *du_control_library_path(const char *library);

#endif							/* DU_CONTROL_FILE_H */
