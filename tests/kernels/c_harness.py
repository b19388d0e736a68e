"""A program of many exported models, which checks what every one of them promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from c_programs import (
    DOUBLE,
    FLOAT32,
    INCLUDES,
    KERNELS,
    SANITIZE,
    SANITIZE_MODEL,
    STRICT_C,
    TIE_FREE,
    run,
)

# Compiled once for each model, with MODEL its number: the model's own sources under their own names.
HARNESS = r"""
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define le_class_names JOIN(le_class_names_, MODEL)
#define le_class_name JOIN(le_class_name_, MODEL)
#define le_infer_with JOIN(le_infer_with_, MODEL)
#define le_infer JOIN(le_infer_, MODEL)
#define le_infer_u8 JOIN(le_infer_u8_, MODEL)
#define le_infer_in_place JOIN(le_infer_in_place_, MODEL)
#define le_infer_step_in_place JOIN(le_infer_step_in_place_, MODEL)
#define le_infer_step JOIN(le_infer_step_, MODEL)
#define le_step_output JOIN(le_step_output_, MODEL)
#define le_fold_tables JOIN(le_fold_tables_, MODEL)
#include "le_model.c"

#include <stdio.h>
#include <stdlib.h>

#ifndef LE_OUTPUTS
#define LE_OUTPUTS LE_CLASSES
#endif

#define REQUIRE(holds) \
    do { \
        if (!(holds)) { \
            fprintf(stderr, "%s, line %d: %s\n", LE_MODEL_ARCH, __LINE__, #holds); \
            exit(1); \
        } \
    } while (0)

/* Of exactly that size, so that the sanitizer sees one byte beyond, and never 0 by chance. */
static void *block(size_t size)
{
    void *memory = malloc(size);
    REQUIRE(memory);
    return memset(memory, 0xA5, size);
}

static unsigned long folded;

static uint32_t crc32_of(uint32_t value, LE_TABLE uint8_t *table, uint16_t size)
{
    folded += size;
    value = ~value;
    for (uint16_t i = 0; i < size; i++) {
        value ^= table[i];
        for (int bit = 0; bit < 8; bit++) {
            value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
        }
    }
    return ~value;
}

static void require_the_same_for_pixels(const int8_t *image, const int8_t *expected, int found)
{
    uint8_t *pixels = (uint8_t *)block(LE_INPUT_BYTES);
    int8_t *logits = (int8_t *)block(LE_OUTPUTS);
    for (size_t i = 0; i < LE_INPUT_BYTES; i++) {
        pixels[i] = (uint8_t)(image[i] + 128);
    }
    REQUIRE(le_infer_u8(pixels, logits) == found);
    REQUIRE(memcmp(logits, expected, LE_OUTPUTS) == 0);
    for (size_t i = 0; i < LE_INPUT_BYTES; i++) {
        REQUIRE(pixels[i] == image[i] + 128);
    }
    free(pixels);
    free(logits);
}

/* In one memory of exactly the size that is said, the image in it. */
static void require_the_same_in_place(const int8_t *image, const int8_t *expected, int found)
{
    le_in_place *memory = (le_in_place *)block(LE_IN_PLACE_BYTES);
    int8_t *logits = (int8_t *)block(LE_OUTPUTS);
    memcpy((int8_t *)memory + LE_IN_PLACE_IMAGE, image, LE_INPUT_BYTES);
    REQUIRE(le_infer_in_place(memory, logits) == found);
    REQUIRE(memcmp(logits, expected, LE_OUTPUTS) == 0);
    free(memory);
    free(logits);
}

/* Two inferences in turns, each in its own workspace. */
static void require_re_entrant(const int8_t *images[2], const int8_t *expected[2])
{
    for (int other = 0; other < 2; other++) {
        le_workspace *workspaces[2] = {(le_workspace *)block(sizeof(le_workspace)),
                                       (le_workspace *)block(sizeof(le_workspace))};
        int8_t *logits[2] = {(int8_t *)block(LE_OUTPUTS), (int8_t *)block(LE_OUTPUTS)};
        for (uint8_t step = 0; step < LE_STEPS; step++) {
            for (int i = 0; i < 2; i++) {
                size_t count = 0;
                le_infer_step(workspaces[i ^ other], images[i], logits[i], step);
                const int8_t *output = le_step_output(workspaces[i ^ other], step, &count);
                REQUIRE(count > 0 && (output == NULL || step != LE_STEPS - 1));
#ifndef LE_OUTPUT_1_OFFSET /* of several outputs each is in the logits, not only the last */
                REQUIRE(output != NULL || step == LE_STEPS - 1);
#endif
            }
        }
        for (int i = 0; i < 2; i++) {
            REQUIRE(memcmp(logits[i], expected[i], LE_OUTPUTS) == 0);
            free(workspaces[i]);
            free(logits[i]);
        }
    }
}

int JOIN(run_, MODEL)(void);
int JOIN(run_, MODEL)(void)
{
    const int8_t *images[2] = {NULL, NULL}, *results[2] = {NULL, NULL};
    size_t count = 9;
    REQUIRE(le_fold_tables(crc32_of) == LE_TABLE_CRC32);
    REQUIRE(folded == LE_TABLE_BYTES);
    static le_workspace any;
    REQUIRE(le_step_output(&any, LE_STEPS, &count) == NULL && count == 0);
    for (int i = 0; i < LE_CLASSES; i++) {
        REQUIRE(le_class_names[i]);
    }
    for (int turn = 0;; turn ^= 1) {
        int8_t *image = (int8_t *)block(LE_INPUT_BYTES), *logits = (int8_t *)block(LE_OUTPUTS);
        if (fread(image, 1, LE_INPUT_BYTES, stdin) != LE_INPUT_BYTES) {
            return 0;
        }
        int largest = 0;
        const int found = le_infer(image, logits);
        for (int i = 1; i < LE_OUTPUTS; i++) {
            largest = logits[i] > logits[largest] ? i : largest;
        }
        /* One LOGISTIC output is two classes. */
        REQUIRE(found == (LE_OUTPUTS == LE_CLASSES ? largest : logits[0] > 0));
        require_the_same_for_pixels(image, logits, found);
        require_the_same_in_place(image, logits, found);
        images[turn] = image;
        results[turn] = logits;
        if (images[turn ^ 1]) {
            require_re_entrant(images, results);
        }
        fwrite(logits, 1, LE_OUTPUTS, stdout);
    }
}
"""


def main_of(numbers):
    """The program: its argument is the model's number."""
    declared = "".join(f"int run_{number}(void);\n" for number in numbers)
    chosen = "".join(f"    if (number == {number}) return run_{number}();\n" for number in numbers)
    return (
        f"#include <stdlib.h>\n{declared}int main(int count, char **arguments)\n{{\n"
        f"    const int number = atoi(arguments[count - 1]);\n{chosen}    return 2;\n}}\n"
    )


def build_kernels(work):
    """The objects of all portable kernels: name of the file -> path."""
    fast = KERNELS / "shared" / "le_pool2d_fours.c"  # it has the functions of the plain one
    folders = [KERNELS / name for name in ("shared", "plain", "packed")]
    sources = [path for folder in folders for path in folder.glob("*.c") if path != fast]
    objects = {source.name: work / f"{source.stem}.o" for source in sources}
    _compile([[*SANITIZE, *INCLUDES, "-c", source, "-o", objects[source.name]] for source in sources])
    return objects


INSTEAD = ((DOUBLE, TIE_FREE, FLOAT32), ("le_scaled.c", "le_scaled_float32.c"))
"""Files that define the same functions, of which a model has one."""


def build_programs(folders, work, kernels):
    """Name -> the program of that exported model, and of others with the same kernels; its number is that in `folders`.

    Args:
        folders: name -> the exported folder.
        work: where the programs go.
        kernels: of `build_kernels`.
    """
    (work / "harness.c").write_text(HARNESS)
    jobs, variants = [], {}
    for number, (name, folder) in enumerate(folders.items()):
        output = work / f"model_{number}.o"
        chosen = tuple(next((file for file in same if (folder / file).exists()), same[0]) for same in INSTEAD)
        variants.setdefault(chosen, []).append((number, output, name))
        jobs.append([*SANITIZE_MODEL, f"-DMODEL={number}", f"-I{folder}", "-c", work / "harness.c", "-o", output])
    _compile(jobs)
    common, programs = [path for name, path in kernels.items() if name not in sum(INSTEAD, ())], {}
    for chosen, models in variants.items():
        stem = "-".join(Path(file).stem for file in chosen)
        (work / f"{stem}.main.c").write_text(main_of([number for number, _, _ in models]))
        objects = [*common, *(kernels[file] for file in chosen), *(output for _, output, _ in models)]
        run("gcc", *SANITIZE, work / f"{stem}.main.c", *objects, "-o", work / stem)
        programs |= {name: work / stem for _, _, name in models}
    return programs


def _compile(jobs):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run("gcc", *STRICT_C, *job), jobs))
