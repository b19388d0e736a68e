"""The text of the generated sources; `$name` and the like are filled in by `writer`."""

from __future__ import annotations

from string import Template

__all__ = ["CMAKE_LISTS", "CORTEX_M4_TUNING", "EXAMPLE", "FRAME_EXAMPLE", "MODEL_HEADER", "MODEL_SOURCE"]

_BANNER = """\
/* $arch, model $fingerprint.
 * Written by lenet-edge $version; do not edit.
"""

MODEL_HEADER = Template(
    _BANNER
    + """ */
#ifndef LE_MODEL_H
#define LE_MODEL_H

#include "le_kernels.h"

#define LE_MODEL_ARCH "$arch"
#define LE_MODEL_FINGERPRINT "$fingerprint"

$about_input
${input_shape}#define LE_INPUT_BYTES $input_bytes
#define LE_INPUT_SCALE $input_scale
#define LE_INPUT_ZERO_POINT ($input_zero_point)

$about_outputs
$sizes
${class_macros}#define LE_NAME_BYTES $name_bytes /* of the longest name of a class, its end included */
#define LE_OUTPUT_SCALE $output_scale
#define LE_OUTPUT_ZERO_POINT ($output_zero_point)
$parts
#define LE_WORKSPACE_BYTES $workspace
#define LE_IN_PLACE_BYTES $in_place_bytes
#define LE_IN_PLACE_IMAGE $in_place_image /* where $given lies in them */
#define LE_STEPS $steps
#define LE_MACS ${macs}L
#define LE_WEIGHT_BYTES ${weight_bytes}L /* weights and biases */
#define LE_TABLE_BYTES ${table_bytes}L   /* all constant tables */
#define LE_TABLE_CRC32 ${crc}u

#ifdef __cplusplus
extern "C" {
#endif

/* The names of the classes, in UTF-8. On an AVR this array and its texts take RAM where they are used. */
extern const char *const le_class_names[LE_CLASSES];

/* Copies the name of a class into `name`, on an AVR from flash; the text is empty where no class has that number.
 * `name` has room for LE_NAME_BYTES. Returns `name`. */
char *le_class_name(int number, char *name);

/* What an inference needs next to $image and $logits. Its content means nothing between two calls. */
typedef struct {
    int32_t words[LE_WORKSPACE_BYTES / 4];
} le_workspace;

$about_call
int le_infer_with(le_workspace *workspace, const int8_t *image, int8_t *logits);

/* The same with its own workspace; not re-entrant. */
int le_infer(const int8_t *image, int8_t *logits);

$about_in_place
typedef struct {
    int32_t words[LE_IN_PLACE_BYTES / 4];
} le_in_place;
int le_infer_in_place(le_in_place *memory, int8_t *logits);

$about_u8
int le_infer_u8(uint8_t *pixels, int8_t *logits);

/* One step of an inference, steps 0 to LE_STEPS - 1 in order. */
void le_infer_step(le_workspace *workspace, const int8_t *image, int8_t *logits, uint8_t step);
void le_infer_step_in_place(le_in_place *memory, int8_t *logits, uint8_t step);

$about_step_output
const int8_t *le_step_output(const le_workspace *workspace, uint8_t step, size_t *count);

#ifndef LE_NO_TABLES
/* Folds `fold` over all constant tables in order, starting with 0: with CRC-32 it must give LE_TABLE_CRC32. */
uint32_t le_fold_tables(uint32_t (*fold)(uint32_t value, LE_TABLE uint8_t *table, uint16_t size));
#endif

#ifdef __cplusplus
}
#endif

#endif
"""
)

MODEL_SOURCE = Template(
    _BANNER
    + """ */
#include "le_model.h"
$headers
#include <string.h>

#if LE_KERNELS_VERSION != $kernels_version
#error "these tables are for other kernels: export the model again, with the kernels that come with it"
#endif

const char *const le_class_names[LE_CLASSES] = {
$classes
};

/* On an AVR the same in flash: only the names that somebody uses take RAM, and only while they are used. */
#ifdef __AVR__
$names_in_flash
static LE_TABLE char *LE_TABLE name_of[LE_CLASSES] = {
$name_pointers
};
#else
#define name_of le_class_names
#endif

char *le_class_name(int number, char *name)
{
    char *end = name;
    if (number >= 0 && number < LE_CLASSES) {
        for (LE_TABLE char *at = name_of[number]; *at != 0; at++) {
            *end++ = *at;
        }
    }
    *end = 0;
    return name;
}

$tables
$layers
/* The memory plan: what is alive at the same time lies apart, inside the workspace. */
#define LE_ASSERT(name, holds) typedef char le_assert_##name[(holds) ? 1 : -1]
$assertions

LE_NOINLINE void le_infer_step(le_workspace *workspace, const int8_t *image, int8_t *logits, uint8_t step)
{
    int8_t *const memory = (int8_t *)workspace->words;
    (void)memory;
    switch (step) {
$cases
    default:
        break;
    }
}

int le_infer_with(le_workspace *workspace, const int8_t *image, int8_t *logits)
{
    for (uint8_t step = 0; step < LE_STEPS; step++) {
        le_infer_step(workspace, image, logits, step);
    }
    return $class_of;
}

LE_NOINLINE void le_infer_step_in_place(le_in_place *in_place, int8_t *logits, uint8_t step)
{
    int8_t *const memory = (int8_t *)in_place->words;
    (void)memory;
    switch (step) {
$cases_in_place
    default:
        break;
    }
}

int le_infer_in_place(le_in_place *memory, int8_t *logits)
{
    for (uint8_t step = 0; step < LE_STEPS; step++) {
        le_infer_step_in_place(memory, logits, step);
    }
    return $class_of;
}

static le_workspace own_workspace;

int le_infer(const int8_t *image, int8_t *logits)
{
    return le_infer_with(&own_workspace, image, logits);
}

int le_infer_u8(uint8_t *pixels, int8_t *logits)
{
    le_flip_sign_s8(pixels, LE_INPUT_BYTES);
    const int found = le_infer((const int8_t *)pixels, logits);
    le_flip_sign_s8(pixels, LE_INPUT_BYTES);
    return found;
}

const int8_t *le_step_output(const le_workspace *workspace, uint8_t step, size_t *count)
{
    const int8_t *const memory = (const int8_t *)workspace->words;
    (void)memory;
    switch (step) {
$views
    default:
        *count = 0;
        return NULL;
    }
}

uint32_t le_fold_tables(uint32_t (*fold)(uint32_t value, LE_TABLE uint8_t *table, uint16_t size))
{
    uint32_t crc = 0;
    (void)fold;
$folds
    return crc;
}
"""
)

CORTEX_M4_TUNING = """\

# GCC's cost model of the Cortex-M4 prefers SMLABB and pays with sign extensions.
get_directory_property(le_options COMPILE_OPTIONS)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND "${CMAKE_C_FLAGS} ${le_options}" MATCHES "-mcpu=cortex-m4")
  target_compile_options(le_model PRIVATE $<$<COMPILE_LANGUAGE:C>:-mtune=cortex-m3>)
endif()
"""

CMAKE_LISTS = Template(
    """\
# $arch, model $short, as a library: add_subdirectory(this folder), then target_link_libraries(you le_model).
cmake_minimum_required(VERSION 3.10)
project(le_model $languages)

add_library(le_model STATIC
    le_model.c
$sources
)
target_include_directories(le_model PUBLIC $${CMAKE_CURRENT_SOURCE_DIR})
set_target_properties(le_model PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON)
target_compile_options(le_model PRIVATE -O2)
$tuning
if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  add_executable(classify example/main.c)
  target_link_libraries(classify le_model)
endif()
"""
)

EXAMPLE = Template(
    """\
/* Classifies ${image}s on the host: raw $raw, LE_INPUT_BYTES an $image, on standard input.
 *
 *     cc -O2 -I. *.c example/main.c -o classify && ./classify < $pixels.raw
 *
 * On a microcontroller only the two calls in the middle remain. */
#include <stdio.h>

#include "le_model.h"

int main(void)
{
    static uint8_t $pixels[LE_INPUT_BYTES];
    int8_t logits[$output_count];
    char name[LE_NAME_BYTES];

    while (fread($pixels, 1, sizeof $pixels, stdin) == sizeof $pixels) {
        const int found = le_infer_u8($pixels, logits);
        printf("%s:", le_class_name(found, name));
        for (int i = 0; i < $output_count; i++) {
            printf(" %d", logits[i]);
        }
        printf("\\n");
    }
    return 0;
}
"""
)

FRAME_EXAMPLE = Template(
    """\
/* Classifies camera frames on the host: $frame, $frame_bytes bytes each, on standard input.
 *
 *     cc -O2 -I. *.c example/main.c -o classify && ./classify < frames.raw
 *
 * On a microcontroller only the two calls in the middle remain. Where a frame does not fit its memory, le_infer_rows
 * takes the rows as they come. */
#include <stdio.h>

#include "le_prepare.h"

$frame_macros

int main(void)
{
    static uint8_t frame[$frame_bytes];
    static int8_t image[LE_INPUT_BYTES];
    int8_t logits[$output_count];
    char name[LE_NAME_BYTES];

    while (fread(frame, 1, sizeof frame, stdin) == sizeof frame) {
        int found = le_prepare(frame, FRAME_WIDTH, FRAME_HEIGHT, FRAME_ROW_BYTES, FRAME_FORMAT, image);
        if (found == LE_PREPARE_OK) {
            found = le_infer(image, logits);
        }
        if (found < 0) {
            printf("no image: %d\\n", found); /* LE_PREPARE_BLANK and the like */
            continue;
        }
        printf("%s:", le_class_name(found, name));
        for (int i = 0; i < $output_count; i++) {
            printf(" %d", logits[i]);
        }
        printf("\\n");
    }
    return 0;
}
"""
)
