#include "le_prepare_steps.h"

#include <string.h>

/* --- pixels ----------------------------------------------------------------------------------------------------- */

static uint8_t grey_of(const uint8_t *rgb)
{
    const uint16_t sum = (uint16_t)(77u * rgb[0] + 150u * rgb[1] + 29u * rgb[2] + 128u); /* at most 256 * 255 + 128 */
    return (uint8_t)(sum >> 8);
}

static uint8_t saturated(int32_t value)
{
    return value < 0 ? 0 : value >= 255L * 256 ? 255 : (uint8_t)(value >> 8);
}

static void read_yuv422(const uint8_t *row, uint16_t x, uint8_t *rgb)
{
    const uint8_t *group = row + (size_t)4 * (x / 2);
    const int32_t y = (int32_t)256 * group[2 * (x % 2)] + 128;
    const int32_t u = (int32_t)group[1] - 128, v = (int32_t)group[3] - 128;
    rgb[0] = saturated(y + 359 * v);
    rgb[1] = saturated(y - 88 * u - 183 * v);
    rgb[2] = saturated(y + 454 * u);
}

static void read_rgb565(uint8_t low, uint8_t high, uint8_t *rgb)
{
    const uint8_t red = high >> 3, green = (uint8_t)((high & 7) << 3 | low >> 5), blue = low & 31;
    rgb[0] = (uint8_t)(red << 3 | red >> 2);
    rgb[1] = (uint8_t)(green << 2 | green >> 4);
    rgb[2] = (uint8_t)(blue << 3 | blue >> 2);
}

/* Pixel x of a row in the image's channels; grey is put into all three. */
static void read_pixel(uint8_t format, const uint8_t *row, uint16_t x, uint8_t *pixel)
{
    const uint8_t *at;
    switch (format) {
    case LE_FRAME_RGB565:
    case LE_FRAME_RGB565_SWAPPED:
        at = row + (size_t)2 * x;
        read_rgb565(at[format != LE_FRAME_RGB565], at[format == LE_FRAME_RGB565], pixel);
        break;
    case LE_FRAME_RGB888:
        memcpy(pixel, row + (size_t)3 * x, 3);
        break;
    case LE_FRAME_YUV422:
        if (le_preparation.channels == 3) {
            read_yuv422(row, x, pixel);
            return;
        }
        pixel[0] = row[(size_t)2 * x];
        return;
    default:
        pixel[0] = pixel[1] = pixel[2] = row[x];
        return;
    }
    if (le_preparation.channels == 1) {
        pixel[0] = grey_of(pixel);
    }
}

uint8_t le_prepare_grey(uint8_t format, const uint8_t *row, uint16_t x)
{
    uint8_t pixel[3];
    read_pixel(format, row, x, pixel);
    return le_preparation.channels == 1 ? pixel[0] : grey_of(pixel);
}

/* --- resize by area --------------------------------------------------------------------------------------------- */

/* The input in which the middle of an output lies, on an axis that grows. */
static uint16_t nearest(uint16_t output, uint16_t size, uint16_t target)
{
    return (uint16_t)(((uint32_t)2 * output + 1) * size / ((uint32_t)2 * target));
}

static void start_resize(le_prepare_state *state)
{
    state->y = state->out_y = 0;
    state->needed = state->rows;
    memset(state->memory.resize.sums, 0, sizeof state->memory.resize.sums);
}

/* Where a row of inputs is read: pixel x, of which `left` parts of out_columns are not used yet. */
typedef struct {
    const uint8_t *row;
    uint16_t x, left;
} le_position;

static void read_level(const le_prepare_state *state, const le_position *at, uint8_t *pixel)
{
    read_pixel(state->format, at->row, (uint16_t)(state->left + at->x), pixel);
#if LE_PREPARE_CENTRED
    if (le_preparation.centred) {
        pixel[0] = state->memory.resize.levels[pixel[0]];
    }
#endif
}

/* The weighted sums of the inputs of one output column, at most 4096 * 255. */
static void sum_column(const le_prepare_state *state, le_position *at, uint16_t column, uint32_t *sums)
{
    uint8_t pixel[3] = {0, 0, 0};
    uint16_t needed = state->columns;
    if (state->out_columns > state->columns) {
        at->x = nearest(column, state->columns, state->out_columns);
        at->left = needed = 1;
    }
    sums[0] = sums[1] = sums[2] = 0;
    while (needed != 0) {
        const uint16_t weight = at->left < needed ? at->left : needed;
        read_level(state, at, pixel);
        for (uint8_t channel = 0; channel < le_preparation.channels; channel++) {
            sums[channel] += (uint32_t)weight * pixel[channel];
        }
        needed = (uint16_t)(needed - weight);
        at->left = (uint16_t)(at->left - weight);
        if (at->left == 0) {
            at->x++;
            at->left = state->out_columns;
        }
    }
}

/* Adds a row with a weight; where that completes an output row it is written, and the next begins with the rest. */
static void add_row(le_prepare_state *state, const uint8_t *row, uint16_t weight, uint16_t rest, uint8_t completes)
{
    const uint32_t across = state->out_columns > state->columns ? 1 : state->columns;
    const uint32_t total = across * (state->out_rows > state->rows ? 1 : state->rows);
    uint32_t *sums = state->memory.resize.sums;
    uint8_t *output = le_prepare_image_row(state, state->out_y);
    le_position at = {row, 0, state->out_columns};
    for (uint16_t column = 0; column < state->out_columns; column++) {
        uint32_t inputs[3];
        sum_column(state, &at, column, inputs);
        for (uint8_t channel = 0; channel < le_preparation.channels; channel++, sums++, output++) {
            *sums += weight * inputs[channel];
            if (completes) {
                *output = (uint8_t)((*sums + total / 2) / total);
                *sums = rest * inputs[channel];
            }
        }
    }
}

/* The row of the frame that is `y` of what is read. */
static void resize_row(le_prepare_state *state, const uint8_t *row, uint16_t y)
{
    const size_t row_bytes = (size_t)le_preparation.width * le_preparation.channels;
    if (state->out_rows > state->rows) {
        add_row(state, row, 1, 0, 1);
        state->out_y++;
        while (state->out_y < state->out_rows && nearest(state->out_y, state->rows, state->out_rows) == y) {
            memcpy(le_prepare_image_row(state, state->out_y), le_prepare_image_row(state, (uint16_t)(state->out_y - 1)), row_bytes);
            state->out_y++;
        }
        return;
    }
    const uint16_t weight = state->needed < state->out_rows ? state->needed : state->out_rows;
    const uint16_t rest = (uint16_t)(state->out_rows - weight);
    const uint8_t completes = weight == state->needed;
    add_row(state, row, weight, rest, completes);
    state->needed = (uint16_t)(completes ? state->rows - rest : state->needed - weight);
    state->out_y = (uint16_t)(state->out_y + completes);
}

/* --- a frame ---------------------------------------------------------------------------------------------------- */

size_t le_prepare_row_bytes(uint16_t width, le_frame_format format)
{
    switch (format) {
    case LE_FRAME_GREY8:
        return width;
    case LE_FRAME_RGB888:
        return (size_t)3 * width;
    case LE_FRAME_YUV422:
        return (size_t)4 * ((size_t)(width + 1u) / 2);
    default:
        return (size_t)2 * width;
    }
}

uint8_t le_prepare_passes(void)
{
    return le_preparation.centred ? 2 : 1;
}

/* What the model crops of the frame. */
static int crop(le_prepare_state *state)
{
    const uint16_t width = state->width, height = state->height;
    const uint16_t side = width < height ? width : height;
    switch (le_preparation.crop) {
    case LE_CROP_SQUARE:
        state->left = (uint16_t)((width - side) / 2);
        state->top = (uint16_t)((height - side) / 2);
        state->columns = state->rows = side;
        return LE_PREPARE_OK;
    case LE_CROP_BOX:
        state->left = le_preparation.box_left;
        state->top = le_preparation.box_top;
        state->columns = le_preparation.box_width;
        state->rows = le_preparation.box_height;
        return state->columns <= width && state->left <= width - state->columns && state->rows <= height &&
                       state->top <= height - state->rows
                   ? LE_PREPARE_OK
                   : LE_PREPARE_CROP;
    default:
        state->columns = width;
        state->rows = height;
        return LE_PREPARE_OK;
    }
}

int le_prepare_begin(le_prepare_state *state, uint16_t width, uint16_t height, le_frame_format format, int8_t *image)
{
    memset(state, 0, sizeof *state);
    state->image = (uint8_t *)image;
    state->width = width;
    state->height = height;
    state->format = (uint8_t)format;
    if (width == 0 || height == 0 || width > LE_FRAME_MOST_SIDE || height > LE_FRAME_MOST_SIDE ||
        (unsigned)format > LE_FRAME_YUV422) {
        state->status = LE_PREPARE_SIZE;
        return state->status;
    }
    state->status = (int8_t)crop(state);
    state->out_columns = le_preparation.width;
    state->out_rows = le_preparation.height;
    state->inverted = le_preparation.invert == LE_INVERT_ALWAYS;
    start_resize(state);
#if LE_PREPARE_CENTRED
    if (le_preparation.centred) {
        le_prepare_start_seen(state);
    }
#endif
    return state->status;
}

/* Counts what is on the border: all of the first row and the last, the ends of others. */
static void count_border(le_prepare_state *state, const uint8_t *row, uint16_t y)
{
    const uint8_t is_edge = y == 0 || y + 1 == state->rows;
    const uint16_t step = is_edge || state->columns == 1 ? 1 : (uint16_t)(state->columns - 1);
    for (uint16_t x = 0; x < state->columns; x = (uint16_t)(x + step)) {
        const uint8_t grey = le_prepare_grey(state->format, row, (uint16_t)(state->left + x));
        state->border_dark = (uint16_t)(state->border_dark + (grey <= LE_PREPARE_DARK));
        state->border_total++;
    }
}

static void use_row(le_prepare_state *state, const uint8_t *row)
{
    const uint16_t y = (uint16_t)(state->y - state->top);
    if (state->y < state->top || y >= state->rows) {
        return;
    }
#if LE_PREPARE_CENTRED
    if (le_preparation.centred && state->pass == 0) {
        le_prepare_look(state, row, y);
        return;
    }
#endif
    if (!le_preparation.centred && le_preparation.invert == LE_INVERT_BRIGHT_BORDER) {
        count_border(state, row, y);
    }
    resize_row(state, row, y);
}

int le_prepare_row(le_prepare_state *state, const uint8_t *row)
{
    if (state->status == LE_PREPARE_OK && state->pass == le_prepare_passes()) {
        state->status = LE_PREPARE_ROWS;
    }
    if (state->status != LE_PREPARE_OK) {
        return state->status;
    }
    use_row(state, row);
    state->y++;
    if (state->y == state->height) {
        state->y = 0;
        state->pass++;
#if LE_PREPARE_CENTRED
        if (state->pass == 1 && le_preparation.centred) {
            state->status = (int8_t)le_prepare_find_drawing(state);
            start_resize(state);
        }
#endif
    }
    return state->status;
}

int le_prepare_end(le_prepare_state *state)
{
    const size_t count = (size_t)le_preparation.height * le_preparation.width * le_preparation.channels;
    uint8_t inverted = state->inverted;
    if (state->status == LE_PREPARE_OK && state->pass != le_prepare_passes()) {
        state->status = LE_PREPARE_ROWS;
    }
#if LE_PREPARE_CENTRED
    if (state->status == LE_PREPARE_OK && state->placed) {
        state->status = (int8_t)le_prepare_place(state);
    }
#endif
    if (state->status != LE_PREPARE_OK) {
        return state->status;
    }
    if (le_preparation.centred) {
        inverted = 0; /* the levels are */
    } else if (le_preparation.invert == LE_INVERT_BRIGHT_BORDER) {
        inverted = 2 * (uint32_t)state->border_dark < state->border_total;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t value = inverted ? (uint8_t)(255 - state->image[i]) : state->image[i];
        state->image[i] = le_preparation.values == NULL ? value ^ 0x80 : (uint8_t)le_preparation.values[value];
    }
    return LE_PREPARE_OK;
}

static le_prepare_state own_state;

int le_prepare(const uint8_t *frame, uint16_t width, uint16_t height, size_t stride, le_frame_format format, int8_t *image)
{
    le_prepare_begin(&own_state, width, height, format, image);
    for (uint8_t pass = 0; pass < le_prepare_passes() && own_state.status == LE_PREPARE_OK; pass++) {
        for (uint16_t y = 0; y < height && own_state.status == LE_PREPARE_OK; y++) {
            le_prepare_row(&own_state, frame + y * stride);
        }
    }
    return le_prepare_end(&own_state);
}

static int8_t own_image[LE_INPUT_BYTES];

int le_infer_rows(le_next_row *next_row, void *context, uint16_t width, uint16_t height, le_frame_format format,
                  int8_t *logits)
{
    le_prepare_begin(&own_state, width, height, format, own_image);
    for (uint8_t pass = 0; pass < le_prepare_passes() && own_state.status == LE_PREPARE_OK; pass++) {
        for (uint16_t y = 0; y < height && own_state.status == LE_PREPARE_OK; y++) {
            const uint8_t *row = next_row(context, y);
            if (row == NULL) {
                return LE_PREPARE_ROWS;
            }
            le_prepare_row(&own_state, row);
        }
    }
    const int status = le_prepare_end(&own_state);
    return status == LE_PREPARE_OK ? le_infer(own_image, logits) : status;
}
