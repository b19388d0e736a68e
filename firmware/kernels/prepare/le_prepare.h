/* From a camera's frame of any size to the model's image, row by row: crop, grey or RGB, resize by area, inversion, and
 * for some models the centring of MNIST. It gives byte for byte what lenet-edge gives, which says what each step is in
 * docs/explanation/preparation.md; the settings are the model's own.
 *
 * Integers only, no heap, and no second frame: rows are used as they come. With a frame in memory it is
 *
 *     static int8_t image[LE_INPUT_BYTES];
 *     int8_t logits[LE_CLASSES];
 *
 *     int result = le_prepare(frame, 320, 240, 640, LE_FRAME_RGB565, image);
 *     if (result == LE_PREPARE_OK) {
 *         result = le_infer(image, logits);
 *     }
 *
 * and where rows come one by one, le_infer_rows, or le_prepare_begin, le_prepare_row, le_prepare_end. */
#ifndef LE_PREPARE_H
#define LE_PREPARE_H

#include "le_preparation.h"

#define LE_FRAME_MOST_SIDE 4096 /* pixels: the weights of a resize by area times 255 then fit 32 bits */

/* How a row of a frame lies in memory, and its bytes. */
typedef enum {
    LE_FRAME_GREY8 = 0,          /* width */
    LE_FRAME_RGB565 = 1,         /* 2 * width: the low byte first */
    LE_FRAME_RGB565_SWAPPED = 2, /* 2 * width: the high byte first */
    LE_FRAME_RGB888 = 3,         /* 3 * width: red, green, blue */
    LE_FRAME_YUV422 = 4          /* 4 for two pixels: Y0 U Y1 V, full range; a row of odd width ends with all four */
} le_frame_format;

enum {
    LE_PREPARE_OK = 0,
    LE_PREPARE_SIZE = -1,  /* a side is not 1 to LE_FRAME_MOST_SIDE, or the format is unknown */
    LE_PREPARE_CROP = -2,  /* the frame does not hold what the model crops of it */
    LE_PREPARE_BLANK = -3, /* it is to be centred, and shows nothing */
    LE_PREPARE_ROWS = -4   /* there were too few rows or too many */
};

#if LE_PREPARE_CENTRED
#define LE_PREPARE_PASSES 2
#define LE_PREPARE_BANDS 32 /* of 8 grey levels */
#else
#define LE_PREPARE_PASSES 1
#endif

/* Working memory, between le_prepare_begin and le_prepare_end. Sums at most 255.5 * 2^24, below 2^32. */
typedef struct {
    uint8_t *image;
    uint16_t width, height;             /* of the frame */
    uint16_t left, top, columns, rows;  /* what is read of it */
    uint16_t out_columns, out_rows;     /* what that becomes */
    uint16_t y, out_y;                  /* the next rows */
    uint16_t needed;                    /* weight of rows until the next output row is complete */
    uint16_t border_dark, border_total; /* pixels of the border up to 127, and all */
    uint8_t format, pass, inverted;
    int8_t status;
#if LE_PREPARE_CENTRED
    uint8_t darkest, brightest, placed;
#endif
    union {
#if LE_PREPARE_CENTRED
        struct {
            uint16_t border[256]; /* how often a grey level is on it */
            struct {
                uint16_t left, top, right, bottom;
            } boxes[LE_PREPARE_BANDS]; /* where the levels of a band occur; right < left: nowhere */
        } seen;                        /* in the first pass */
#endif
        struct {
#if LE_PREPARE_CENTRED
            uint8_t levels[256]; /* what each grey level becomes */
#endif
            uint32_t sums[LE_PREPARE_SUMS]; /* of the next output row */
        } resize;                           /* in the last pass */
    } memory;
} le_prepare_state;

#ifdef __cplusplus
extern "C" {
#endif

/* The image of a frame in memory: rows from the top, each `stride` bytes behind the one before.
 * image: int8 [LE_INPUT_BYTES]. Returns LE_PREPARE_OK or what is wrong. Not re-entrant. */
int le_prepare(const uint8_t *frame, uint16_t width, uint16_t height, size_t stride, le_frame_format format, int8_t *image);

/* The bytes of a row. */
size_t le_prepare_row_bytes(uint16_t width, le_frame_format format);

/* How often all rows must come, in order from the top: 1, or 2 where the model centres. */
uint8_t le_prepare_passes(void);

/* The same in steps. Returns LE_PREPARE_OK or what is wrong; then the others return that, too. The image is written
 * while rows come. */
int le_prepare_begin(le_prepare_state *state, uint16_t width, uint16_t height, le_frame_format format, int8_t *image);
int le_prepare_row(le_prepare_state *state, const uint8_t *row);
int le_prepare_end(le_prepare_state *state);

/* Gives row y of the frame, which must stay until the next call; NULL ends with LE_PREPARE_ROWS. */
typedef const uint8_t *le_next_row(void *context, uint16_t y);

/* Class and logits of a frame whose rows `next_row` gives, from the top, in each pass. Returns what le_infer returns, or
 * what is wrong, which is below 0. Not re-entrant. */
int le_infer_rows(le_next_row *next_row, void *context, uint16_t width, uint16_t height, le_frame_format format,
                  int8_t *logits);

#ifndef LE_NO_TABLES

enum { LE_CROP_NONE = 0, LE_CROP_SQUARE = 1, LE_CROP_BOX = 2 };
enum { LE_INVERT_NEVER = 0, LE_INVERT_ALWAYS = 1, LE_INVERT_BRIGHT_BORDER = 2 };

/* The model's settings. */
typedef struct {
    uint16_t width, height; /* of the image */
    uint8_t channels, crop, invert, centred;
    uint16_t box_left, box_top, box_width, box_height; /* of LE_CROP_BOX */
    LE_TABLE int8_t *values;                           /* [256]: int8 of each pixel value; NULL: pixel - 128 */
} le_preparation_settings;

extern const le_preparation_settings le_preparation;

#endif /* LE_NO_TABLES */

#ifdef __cplusplus
}
#endif

#endif
