/*-------------------------------------------------------------------------
 *
 * version_gate.h
 *	  The version that a loaded library believes to be in force.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_VERSION_GATE_H
#define DU_VERSION_GATE_H

extern char *du_gate_read(const char *spelled_like);

#endif							/* DU_VERSION_GATE_H */
