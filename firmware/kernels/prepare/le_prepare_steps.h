/* What the parts of le_prepare share. */
#ifndef LE_PREPARE_STEPS_H
#define LE_PREPARE_STEPS_H

#include "le_prepare.h"

#define LE_PREPARE_DARK 127 /* up to here a border is dark */

/* Pixel x of a row of the frame in grey. */
uint8_t le_prepare_grey(uint8_t format, const uint8_t *row, uint16_t x);

/* Row y of the image, before its pixels are int8. */
static inline uint8_t *le_prepare_image_row(const le_prepare_state *state, uint16_t y)
{
    return state->image + (size_t)y * le_preparation.width * le_preparation.channels;
}

#if LE_PREPARE_CENTRED
/* The first pass begins; it looks at row y of what is read; afterwards: what is drawn, and how the second reads it. */
void le_prepare_start_seen(le_prepare_state *state);
void le_prepare_look(le_prepare_state *state, const uint8_t *row, uint16_t y);
int le_prepare_find_drawing(le_prepare_state *state);

/* Moves the drawing from the image's corner, its centre of mass to the middle; what is around it becomes 0. */
int le_prepare_place(const le_prepare_state *state);
#endif

#endif
