/* What a web page calls of a model that is compiled to WebAssembly: the preparation row by row, as from a camera, and the
 * inference step by step. All memory is here; nothing is imported. */
#include "le_prepare.h"

#ifndef LE_OUTPUTS /* only a model with one output for two classes says how many outputs it has */
#define LE_OUTPUTS LE_CLASSES
#endif

#define LE_EXPORT(name) __attribute__((export_name(#name))) name

static uint8_t row[4 * LE_FRAME_MOST_SIDE]; /* of any format, and the pixels of a canvas, which have four bytes */
static le_prepare_state state;
static int8_t image[LE_INPUT_BYTES], logits[LE_OUTPUTS];
static le_workspace workspace;

uint8_t *LE_EXPORT(le_page_row)(void)
{
    return row;
}

int8_t *LE_EXPORT(le_page_image)(void)
{
    return image;
}

int8_t *LE_EXPORT(le_page_logits)(void)
{
    return logits;
}

int LE_EXPORT(le_page_passes)(void)
{
    return le_prepare_passes();
}

int LE_EXPORT(le_page_begin)(int width, int height)
{
    return le_prepare_begin(&state, (uint16_t)width, (uint16_t)height, LE_FRAME_RGB888, image);
}

/* Takes the row that lies in `row` as a canvas has it: red, green, blue, and one byte that does not count. */
int LE_EXPORT(le_page_take_row)(void)
{
    for (size_t x = 1; x < state.width; x++) {
        row[3 * x] = row[4 * x];
        row[3 * x + 1] = row[4 * x + 1];
        row[3 * x + 2] = row[4 * x + 2];
    }
    return le_prepare_row(&state, row);
}

int LE_EXPORT(le_page_end)(void)
{
    return le_prepare_end(&state);
}

/* Runs the inference on the image and returns the class. */
int LE_EXPORT(le_page_infer)(void)
{
    return le_infer_with(&workspace, image, logits);
}

void LE_EXPORT(le_page_step)(int step)
{
    le_infer_step(&workspace, image, logits, (uint8_t)step);
}

/* Where the output of the step that ran last lies; 0 where that is in the logits. */
const int8_t *LE_EXPORT(le_page_output)(int step)
{
    size_t count;
    return le_step_output(&workspace, (uint8_t)step, &count);
}
