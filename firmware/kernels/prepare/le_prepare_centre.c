/* The centring of MNIST: LeCun et al. 1998, section III.A. The first pass over the rows finds what is drawn, the second
 * resizes it into a corner of the image, from where it is moved to the middle. */
#include "le_prepare_steps.h"

#if LE_PREPARE_CENTRED

#include <string.h>

#define NOTHING 8 /* of 255: what differs by less is noise, not a drawing */
#define DIM 64    /* of 255: a frame of the image's size whose drawing is weaker is spread */
#define BAND 8    /* grey levels */
#define BOX 20    /* of PARTS parts of the image, which a drawing is scaled to fit */
#define PARTS 28

void le_prepare_start_seen(le_prepare_state *state)
{
    memset(&state->memory.seen, 0, sizeof state->memory.seen);
    for (uint8_t band = 0; band < LE_PREPARE_BANDS; band++) {
        state->memory.seen.boxes[band].left = state->memory.seen.boxes[band].top = LE_FRAME_MOST_SIDE;
    }
    state->darkest = 255;
    state->brightest = 0;
}

/* In the first pass: row y of what is read. */
void le_prepare_look(le_prepare_state *state, const uint8_t *row, uint16_t y)
{
    const uint8_t is_edge = y == 0 || y + 1 == state->rows;
    for (uint16_t x = 0; x < state->columns; x++) {
        const uint8_t grey = le_prepare_grey(state->format, row, (uint16_t)(state->left + x));
        const uint8_t band = grey / BAND;
        if (is_edge || x == 0 || x + 1 == state->columns) {
            state->memory.seen.border[grey]++;
        }
        if (grey < state->darkest) {
            state->darkest = grey;
        }
        if (grey > state->brightest) {
            state->brightest = grey;
        }
        if (x < state->memory.seen.boxes[band].left) {
            state->memory.seen.boxes[band].left = x;
        }
        if (x >= state->memory.seen.boxes[band].right) {
            state->memory.seen.boxes[band].right = (uint16_t)(x + 1);
        }
        if (y < state->memory.seen.boxes[band].top) {
            state->memory.seen.boxes[band].top = y;
        }
        state->memory.seen.boxes[band].bottom = (uint16_t)(y + 1);
    }
}

/* The lower median of the border, after inversion if that is asked for. */
static uint8_t border_median(const le_prepare_state *state, uint8_t inverted)
{
    uint16_t total = 0, count = 0;
    uint8_t level = 0;
    for (uint16_t value = 0; value < 256; value++) {
        total = (uint16_t)(total + state->memory.seen.border[value]);
    }
    for (;; level++) {
        count = (uint16_t)(count + state->memory.seen.border[inverted ? 255 - level : level]);
        if (2 * (uint32_t)count >= total) {
            return level;
        }
    }
}

/* Narrows what is read to the box of what is drawn: all bands from `least` on. */
static void cut_out(le_prepare_state *state, uint8_t least)
{
    uint16_t left = LE_FRAME_MOST_SIDE, top = LE_FRAME_MOST_SIDE, right = 0, bottom = 0;
    for (uint8_t band = least; band < LE_PREPARE_BANDS; band++) {
        const uint8_t at = state->inverted ? (uint8_t)(LE_PREPARE_BANDS - 1 - band) : band;
        left = state->memory.seen.boxes[at].left < left ? state->memory.seen.boxes[at].left : left;
        top = state->memory.seen.boxes[at].top < top ? state->memory.seen.boxes[at].top : top;
        right = state->memory.seen.boxes[at].right > right ? state->memory.seen.boxes[at].right : right;
        bottom = state->memory.seen.boxes[at].bottom > bottom ? state->memory.seen.boxes[at].bottom : bottom;
    }
    state->left = (uint16_t)(state->left + left);
    state->top = (uint16_t)(state->top + top);
    state->columns = (uint16_t)(right - left);
    state->rows = (uint16_t)(bottom - top);
}

static uint16_t box_of(uint16_t side)
{
    const uint16_t box = (uint16_t)(((uint32_t)BOX * side + PARTS / 2) / PARTS);
    return box == 0 ? 1 : box;
}

/* a * b / c, rounded half up, at least 1. */
static uint16_t scaled(uint16_t a, uint16_t b, uint16_t c)
{
    const uint16_t found = (uint16_t)(((uint32_t)2 * a * b + c) / ((uint32_t)2 * c));
    return found == 0 ? 1 : found;
}

/* The size that a drawing has in the image, its aspect ratio kept. */
static void fit(le_prepare_state *state)
{
    const uint16_t height = box_of(le_preparation.height), width = box_of(le_preparation.width);
    if ((uint32_t)state->rows * width >= (uint32_t)state->columns * height) {
        state->out_rows = height;
        state->out_columns = scaled(state->columns, height, state->rows);
    } else {
        state->out_columns = width;
        state->out_rows = scaled(state->rows, width, state->columns);
    }
}

/* What each grey level is: without the background, 0 to 255; or as it is, where `strongest` is 255 and `background` 0. */
static void set_levels(le_prepare_state *state, uint8_t background, uint8_t strongest)
{
    for (uint16_t value = 0; value < 256; value++) {
        const uint8_t level = (uint8_t)(state->inverted ? 255 - value : value);
        const uint8_t above = level < background ? 0 : (uint8_t)(level - background);
        const uint16_t ink = above < strongest ? above : strongest;
        state->memory.resize.levels[value] = (uint8_t)((uint16_t)(ink * 255u + strongest / 2u) / strongest);
    }
}

/* After the first pass: what is drawn, and how the second reads it. */
int le_prepare_find_drawing(le_prepare_state *state)
{
    const uint8_t is_image = state->columns == le_preparation.width && state->rows == le_preparation.height;
    if (state->brightest - state->darkest < NOTHING) {
        return LE_PREPARE_BLANK;
    }
    state->inverted = le_preparation.invert == LE_INVERT_ALWAYS ||
                      (le_preparation.invert == LE_INVERT_BRIGHT_BORDER && border_median(state, 0) > LE_PREPARE_DARK);
    const uint8_t brightest = state->inverted ? (uint8_t)(255 - state->darkest) : state->brightest;
    const uint8_t background = border_median(state, state->inverted);
    const uint8_t strongest = (uint8_t)(brightest - background);
    if (is_image && brightest >= DIM) {
        set_levels(state, 0, 255);
        return LE_PREPARE_OK;
    }
    if (strongest < NOTHING) {
        return LE_PREPARE_BLANK;
    }
    if (!is_image) {
        const uint16_t above = (uint16_t)((4u * background + strongest) / (4u * BAND) + 1u);
        cut_out(state, (uint8_t)(above < brightest / BAND ? above : brightest / BAND));
        fit(state);
        state->placed = 1;
    }
    set_levels(state, background, strongest);
    return LE_PREPARE_OK;
}

/* Where the drawing starts on an axis: side / 2 - moment / mass, rounded half up, and inside. Sides are at most 255, so
 * that a drawing has at most 182 * 182 pixels: mass <= 8446620, twice <= 256 * mass and 2 * moment <= 362 * mass < 2^32. */
static uint16_t offset_of(uint32_t mass, uint32_t moment, uint16_t side, uint16_t size)
{
    const uint32_t twice = ((uint32_t)side + 1) * mass;
    const uint32_t offset = twice > 2 * moment ? (twice - 2 * moment) / (2 * mass) : 0;
    return offset < (uint32_t)(side - size) ? (uint16_t)offset : (uint16_t)(side - size);
}

/* Moves the drawing from the image's corner, its centre of mass to the middle; what is around it becomes 0. */
int le_prepare_place(const le_prepare_state *state)
{
    const uint16_t width = le_preparation.width, height = le_preparation.height;
    uint32_t mass = 0, moment_x = 0, moment_y = 0;
    for (uint16_t y = 0; y < state->out_rows; y++) {
        for (uint16_t x = 0; x < state->out_columns; x++) {
            const uint32_t ink = le_prepare_image_row(state, y)[x];
            mass += ink;
            moment_x += x * ink;
            moment_y += y * ink;
        }
    }
    if (mass == 0) {
        return LE_PREPARE_BLANK;
    }
    const uint16_t left = offset_of(mass, moment_x, width, state->out_columns);
    const uint16_t top = offset_of(mass, moment_y, height, state->out_rows);
    for (uint16_t y = state->out_rows; y != 0; y--) { /* from below, so that what is still to be moved stays */
        const uint8_t *drawn = le_prepare_image_row(state, (uint16_t)(y - 1));
        uint8_t *row = le_prepare_image_row(state, (uint16_t)(top + y - 1));
        for (uint16_t x = state->out_columns; x != 0; x--) {
            row[left + x - 1] = drawn[x - 1];
        }
        memset(row, 0, left);
        memset(row + left + state->out_columns, 0, (size_t)(width - left - state->out_columns));
    }
    memset(state->image, 0, (size_t)top * width);
    memset(le_prepare_image_row(state, (uint16_t)(top + state->out_rows)), 0, (size_t)(height - top - state->out_rows) * width);
    return LE_PREPARE_OK;
}

#endif
