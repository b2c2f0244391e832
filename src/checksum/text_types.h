/*-------------------------------------------------------------------------
 *
 * text_types.h
 *	  The setting that lists types whose text form the user vouches for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DU_TEXT_TYPES_H
#define DU_TEXT_TYPES_H

extern void du_text_types_define(const char *setting);
extern const char *du_text_types_setting(void);
extern bool du_text_types_list(const char *type);
extern uint64 du_text_types_generation(void);

#endif							/* DU_TEXT_TYPES_H */
