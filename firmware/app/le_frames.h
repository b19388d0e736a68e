/* Frames over the link: a camera's rows come in messages, the board prepares its image from them and classifies it.
 * Only in firmware that was built for frames; le_board.h then says LE_FRAME_ROW_BYTES, the longest row that it takes.
 *
 * Each row has its pass and number, so that a request that is sent again, since its reply was lost, changes nothing. Other
 * requests may come in between: the image and what is known of the frame lie apart from their memory. */
#ifndef LE_FRAMES_H
#define LE_FRAMES_H

#include "le_link.h"
#include "le_model.h"

#define LE_FRAME_HEAD 4u        /* bytes in front of the rows: pass u8, 0 u8, first row u16 */
#define LE_FRAME_TOO_WIDE (-64) /* what is wrong, next to the codes of le_prepare.h */
#define LE_FRAME_IMAGE 1u       /* FRAME_END's flag: the reply has the image */

/* width u16, height u16, format u8 -> passes u8, 0 u8, bytes of rows that one message takes u16 */
void le_frame_begin(le_link *link);

/* pass u8, 0 u8, first row u16, whole rows -> pass u8, 0 u8, next row u16 */
void le_frame_rows(le_link *link);

/* flags u8 -> counter of the preparation u32, counter of the inference u32, logits, and the image if a flag asks for it */
void le_frame_end(le_link *link, le_workspace *workspace);

#endif
