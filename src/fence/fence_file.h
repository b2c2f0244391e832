/*-------------------------------------------------------------------------
 *
 * fence_file.h
 *	  Has write fences outlive the server's memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_FENCE_FILE_H
#define DU_FENCE_FILE_H

extern void du_fence_file_install(void);
extern void du_fence_file_write(int elevel);
extern void du_fence_file_discard(void);

#endif							/* DU_FENCE_FILE_H */
