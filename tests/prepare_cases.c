/* Runs le_prepare over packed cases (prepare_cases.py), on the host and on an emulated processor.
 *
 * A case: what `header` has, 256 bytes of values if there are any, the frame. A result: the status, and the image where
 * that is LE_PREPARE_OK. Without LE_CASES_ON_HOST there is no library and no main. */
#include "le_prepare.h"

#include <string.h>

typedef struct {
    uint16_t width, height;
    uint8_t channels, crop, invert, centred;
    uint16_t box[4], frame_width, frame_height;
    uint8_t format, has_values;
    uint16_t padding; /* bytes between two rows */
    uint32_t frame_bytes;
} header;

le_preparation_settings settings; /* is le_preparation, which the code under test sees as a constant */
__asm__(".global le_preparation\n.set le_preparation, settings");

static int8_t table[256];

int le_infer(const int8_t *image, int8_t *logits)
{
    logits[0] = image[0];
    return 7;
}

static const uint8_t *set(const header *given, const uint8_t *at)
{
    settings.width = given->width;
    settings.height = given->height;
    settings.channels = given->channels;
    settings.crop = given->crop;
    settings.invert = given->invert;
    settings.centred = given->centred;
    settings.box_left = given->box[0];
    settings.box_top = given->box[1];
    settings.box_width = given->box[2];
    settings.box_height = given->box[3];
    settings.values = given->has_values ? table : NULL;
    if (given->has_values) {
        memcpy(table, at, sizeof table);
    }
    return at + (given->has_values ? sizeof table : 0);
}

#ifdef LE_CASES_ON_HOST
#include <stdlib.h>
static uint8_t *own_copy(const uint8_t *data, size_t size) /* so that a sanitizer sees its ends */
{
    uint8_t *const copy = malloc(size);
    memcpy(copy, data, size);
    return copy;
}
#endif

/* Returns the bytes of the results. */
uint32_t run_cases(const uint8_t *at, uint32_t count, uint8_t *results)
{
    uint8_t *const start = results;
    for (; count != 0; count--) {
        header given;
        memcpy(&given, at, sizeof given);
        const uint8_t *frame = set(&given, at + sizeof given);
        at = frame + given.frame_bytes;
        const size_t stride = le_prepare_row_bytes(given.frame_width, (le_frame_format)given.format) + given.padding;
        const size_t size = (size_t)given.width * given.height * given.channels;
#ifdef LE_CASES_ON_HOST
        uint8_t *const own_frame = own_copy(frame, given.frame_bytes), *const image = malloc(size);
        frame = own_frame;
#else
        uint8_t *const image = results + 1;
#endif
        const int status = le_prepare(frame, given.frame_width, given.frame_height, stride,
                                      (le_frame_format)given.format, (int8_t *)image);
        *results++ = (uint8_t)status;
#ifdef LE_CASES_ON_HOST
        memcpy(results, image, status == LE_PREPARE_OK ? size : 0);
        free(own_frame);
        free(image);
#endif
        results += status == LE_PREPARE_OK ? size : 0;
    }
    return (uint32_t)(results - start);
}

#ifdef LE_CASES_ON_HOST
#include <stdio.h>

/* cases COUNT BYTES_OF_CASES BYTES_OF_RESULTS */
int main(int argc, char **argv)
{
    const size_t size = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    const uint32_t count = (uint32_t)(size == 0 ? 0 : strtoul(argv[1], NULL, 10));
    uint8_t *const cases = malloc(size), *const results = malloc(size == 0 ? 0 : strtoul(argv[3], NULL, 10));
    if (cases == NULL || results == NULL || fread(cases, 1, size, stdin) != size) {
        return 1;
    }
    const int failed = fwrite(results, 1, run_cases(cases, count, results), stdout) == 0;
    free(cases);
    free(results);
    return failed;
}
#endif
