"""The generated C, compiled with sanitizers: every output of many models is the reference's, to the last bit."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sample_models
from random_chains import Chain, random_chain

from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source import tables
from lenet_edge.quantized import reference
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import AveragePool2d, FullyConnected, Lookup, QTensor, QuantizedModel
from lenet_edge.quantized.requantize import Multipliers, quantize_multiplier, requantize, round_tflm
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, grid_scale, ideal
from lenet_edge.quantized.verify import verify

FIRMWARE = Path(__file__).parents[2] / "firmware"
KERNELS = FIRMWARE / "kernels"
PORTABLE = [KERNELS / folder for folder in ("shared", "plain", "lanes")]  # in C99, but for lanes' assembly
INCLUDES = [f"-I{folder}" for folder in PORTABLE]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Wcast-qual", "-Werror"]
STRICT_C = ["-std=c99", *WARNINGS, "-Wstrict-prototypes", "-Wmissing-prototypes"]
STRICT_CPP = ["-x", "c++", "-std=c++11", *WARNINGS]
SANITIZE = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SANITIZE_MODEL = ["-O0", "-fsanitize=address"]  # tables and calls: there is nothing in it to optimise
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # the leak check needs ptrace
DOUBLE, TIE_FREE = "le_requantize_double.c", "le_requantize_tie_free.c"


def run(*argv, **options):
    argv = [str(argument) for argument in argv]
    done = subprocess.run(argv, capture_output=True, timeout=120, env=ENVIRONMENT, **options)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


def refusal(*argv):
    """What a command says that must fail."""
    done = subprocess.run([str(argument) for argument in argv], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    return done.stderr


def needs(tool):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is missing")


# --- the models -------------------------------------------------------------------------------------

IMAGE = (12, 10, 2)
CLASSES = ['"quote"', "back\\slash", "Käse ??/", "%s\n", "*/ e", "\x01" + "1", "", "h", "i", "9after"]


def _saturating(function, scale):
    """An input scale at which TFLM's radius is 1 or 0: its table is then far from the function."""
    source, target = QTensor(IMAGE, scale, 0), QTensor(IMAGE, *OUTPUT_SCALING[function])
    return verify(QuantizedModel((Lookup(function, source, target, function, reference_table(function, source)),)))


def _left_shifts():
    """Multipliers of 1 and more, up to just below 256, which LiteRT refuses; weights too small to overflow."""
    chain = Chain(3, (4, 4, 2)).flatten().fully_connected(8, clamp=(-128, 127))
    layer = chain.layers[-1]
    real = np.array([1, 1.5, 2, 3.7, 100, 255.9, 0.999999999, 0.5])
    scales = (real * layer.output.scale / layer.input.scale).astype(np.float32)
    chain.layers[-1] = replace(
        layer, weights=np.sign(layer.weights), bias=np.arange(-4, 4, dtype=np.int32), weight_scales=scales
    )
    return chain.build()


def _right_shifts():
    """Multipliers down to 2^-32, where the mantissa becomes 0, with accumulators that still give something."""
    chain = Chain(4, (1, 1, 4), zero_point=0).flatten().fully_connected(8, clamp=(-128, 127))
    layer = chain.layers[-1]
    real = 2.0 ** np.array([-20, -23, -24, -30, -31, -32, -33, -36])
    bias = np.array([2**30, -(2**30), 2**30, -(2**30), 2**30, -(2**30), 2**30, -5], np.int32)
    scales = (real * layer.output.scale / layer.input.scale).astype(np.float32)
    chain.layers[-1] = replace(layer, weights=np.full_like(layer.weights, 127), bias=bias, weight_scales=scales)
    return chain.build()


def _no_weights():
    """Channels of zeros, of which one has the largest multiplier that there is."""
    chain = Chain(5, (2, 2, 1)).flatten().fully_connected(2, clamp=(-128, 127))
    layer = chain.layers[-1]
    zeros = replace(layer, weights=layer.weights * 0, bias=layer.bias * 0)
    largest = 255.9 * layer.output.scale / layer.input.scale
    chain.layers[-1] = replace(zeros, weight_scales=np.array([1e-3, largest], np.float32))
    return chain.build()


def _softmax_of(shape):
    chain = Chain(6, shape)
    chain.current = QTensor(shape, 0.0625, 3)
    return chain.softmax().build()


MODELS = {
    **{
        f"{name}, {grid}": getattr(sample_models, name)(7, grid)
        for name in ("lenet5", "lenet5_sigmoid", "every_layer")
        for grid in ("tie-free", "ordinary")
    },
    "average_pool_softmax": sample_models.average_pool_softmax(7),
    "flatten first": Chain(1, IMAGE).flatten().fully_connected(4).build(),
    "lookup only": Chain(2, (5, 4, 3)).scrambled().build(),
    "a sigmoid at scale 8": _saturating("sigmoid", 8.0),
    "a tanh at scale 4": _saturating("tanh", 4.0),
    "lookups": Chain(3, IMAGE).lookup().lookup("tanh").flatten().build(),
    "max pool only": Chain(4, IMAGE).pool((3, 2), (2, 3), "same").build(),
    "pools first": Chain(5, IMAGE).pool((2, 2)).pool((2, 3), (1, 2), "same", AveragePool2d).build(),
    "two pools": Chain(6, IMAGE).conv(3, (2, 2), padding="same").pool((2, 2)).pool((2, 2), (1, 1)).build(),
    "pool of 3 x 2": Chain(7, IMAGE).conv(3, (3, 3)).pool((3, 2)).flatten().build(),
    "pool of 2 x 2 with gaps": Chain(8, IMAGE).conv(3, (3, 3), padding="same").pool((2, 2), (4, 3)).build(),
    "depthwise pool": Chain(9, IMAGE).depthwise(3, (3, 2), (1, 2), "same").pool((2, 2)).build(),
    "stride > kernel": Chain(10, IMAGE).conv(3, (2, 1), (3, 4)).depthwise(1, (1, 1), (2, 2), "same").build(),
    "even kernel, same, stride 2": Chain(11, IMAGE).conv(2, (4, 2), (2, 2), "same").pool((2, 2)).build(),
    "kernel > image": Chain(12, (2, 3, 2)).conv(3, (5, 5), padding="same").build(),
    "one pixel": Chain(13, (1, 1, 1)).conv(1, (1, 1)).depthwise(4, (1, 1)).flatten().fully_connected(1).build(),
    "clamps": Chain(14, IMAGE).conv(9, (3, 3), clamp=(-20, 50)).pool((2, 2), clamp=(0, 30)).build(),
    "clamps apart": Chain(15, IMAGE).conv(9, (3, 3), clamp=(-20, 50)).pool((2, 2), clamp=(60, 90)).build(),
    "clamp behind table": Chain(16, IMAGE).conv(9, (3, 3)).lookup().pool((2, 2), clamp=(-60, -30)).build(),
    "clamp before table": Chain(17, IMAGE).conv(9, (3, 3), clamp=(-30, 9)).lookup("tanh").pool((2, 2)).build(),
    "no monotone table": Chain(18, IMAGE).conv(9, (3, 3)).scrambled().pool((2, 2)).build(),
    "softmax last, in place": Chain(19, IMAGE).flatten().fully_connected(7).softmax().build(),
    "softmax, then lookup": Chain(19, IMAGE).flatten().fully_connected(7).softmax().lookup().build(),
    "softmax of a plane": _softmax_of((3, 2, 5)),
    "softmax of one": _softmax_of((3, 1, 1)),
    "softmax of 511": _softmax_of((1, 1, 511)),
    "softmax of 4095": _softmax_of((1, 1, 4095)),
    "slices of a convolution": Chain(20, (5, 5, 40)).conv(70, (5, 5), multiplier=5e-5).flatten().build(),
    "slices of one channel": Chain(21, (5, 5, 1400)).conv(2, (5, 5), multiplier=5e-5).build(),
    "a table of more than 64 KB": Chain(22, (5, 5, 2700)).depthwise(1, (5, 5)).build(),
    "names": Chain(23, (3, 3, 1), tie_free=True)
    .conv(2, (2, 2), name="a")
    .depthwise(1, (1, 1), name="a_bias")
    .conv(2, (1, 1), name="a")
    .conv(2, (1, 1), name="1 */ \\ é\n")
    .conv(2, (1, 1), name="int")
    .conv(2, (1, 1), name="x" * 200)
    .conv(2, (1, 1), name="")
    .build(arch='*/ " \\ é $x'),
    "classes": Chain(24, IMAGE).flatten().fully_connected(10).build(classes=CLASSES),
    "left shifts": _left_shifts(),
    "right shifts": _right_shifts(),
    "no weights": _no_weights(),
    **{
        f"random {seed}{', tie-free' if tie_free else ''}": random_chain(seed, tie_free=tie_free)
        for seed in range(8)
        for tie_free in (False, True)
        if any(True for layer in random_chain(seed, tie_free=tie_free).layers if type(layer).__name__ != "Flatten")
    },
}


def images_for(model):
    """Random images, and those that drive accumulators to their ends; int8 ``[n, h, w, c]``."""
    shape = model.input.shape
    random = np.random.default_rng(1)
    count = 6 if np.prod(shape) < 10_000 else 2
    drawn = random.integers(-128, 128, (count, *shape)).astype(np.int8)
    extreme = random.choice(np.array([-128, 127], np.int8), (count, *shape))
    flat = [np.full((1, *shape), value, np.int8) for value in (-128, 127, model.input.zero_point)]
    return np.concatenate([drawn, extreme, *flat])


# --- one program with all of them -------------------------------------------------------------------

# Compiled once for each model, with MODEL its number: the model's own sources under names of their own.
HARNESS = r"""
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define le_class_names JOIN(le_class_names_, MODEL)
#define le_infer_with JOIN(le_infer_with_, MODEL)
#define le_infer JOIN(le_infer_, MODEL)
#define le_infer_u8 JOIN(le_infer_u8_, MODEL)
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
                REQUIRE(count > 0 && (output == NULL) == (step == LE_STEPS - 1));
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


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Model -> its folder."""
    top = tmp_path_factory.mktemp("exported")
    return {
        name: write(top / str(number), c_source.export(c_source.make_plan(model), FIRMWARE))
        for number, (name, model) in enumerate(MODELS.items())
    }


@pytest.fixture(scope="module")
def programs(exported, tmp_path_factory):
    """Which requantisation -> the program with all models that use it; kernels are the ones of the repository."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    return build_programs(exported, tmp_path_factory.mktemp("programs"))


def build_programs(folders, work):
    kernels = [path for folder in ("shared", "plain") for path in (KERNELS / folder).glob("*.c")]
    (work / "harness.c").write_text(HARNESS)
    jobs = [[*SANITIZE, *INCLUDES, "-c", source, "-o", work / f"{source.stem}.o"] for source in kernels]
    variants: dict[str, list[int]] = {DOUBLE: [], TIE_FREE: []}
    for number, (name, folder) in enumerate(folders.items()):
        variants[TIE_FREE if is_tie_free(name) else DOUBLE].append(number)
        output = work / f"model_{number}.o"
        jobs.append([*SANITIZE_MODEL, f"-DMODEL={number}", f"-I{folder}", "-c", work / "harness.c", "-o", output])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run("gcc", *STRICT_C, *job), jobs))
    common = [work / f"{path.stem}.o" for path in kernels if path.name not in (DOUBLE, TIE_FREE)]
    for variant, numbers in variants.items():
        (work / f"{variant}.main.c").write_text(main_of(numbers))
        objects = [*common, work / f"{Path(variant).stem}.o", *(work / f"model_{number}.o" for number in numbers)]
        run("gcc", *SANITIZE, work / f"{variant}.main.c", *objects, "-o", work / Path(variant).stem)
    return {variant: work / Path(variant).stem for variant in variants}


def is_tie_free(name):
    return tables.is_divisible(MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_every_output_is_the_emulators(name, programs):
    model = MODELS[name]
    images = images_for(model)
    number = list(MODELS).index(name)
    logits = run(programs[TIE_FREE if is_tie_free(name) else DOUBLE], number, input=images.tobytes())
    expected = reference.run(model, images).reshape(len(images), -1)
    np.testing.assert_array_equal(np.frombuffer(logits, np.int8).reshape(expected.shape), expected)


def test_the_models_show_what_they_are_for():
    assert {name for name in MODELS if "tie-free" in name} <= {name for name in MODELS if is_tie_free(name)}
    assert not any(is_tie_free(name) for name in MODELS if "ordinary" in name)
    for name in ("left shifts", "right shifts"):
        outputs = reference.run(MODELS[name], images_for(MODELS[name]))
        assert len(np.unique(outputs)) > 4, name
    assert max(len(tables.slices_of(MODELS["slices of a convolution"].layers[0])), 0) == 3
    files = c_source.export(c_source.make_plan(MODELS["a table of more than 64 KB"]), FIRMWARE)["le_model.c"].decode()
    assert "weights + 65535, 1965)" in files


# --- compilers ----------------------------------------------------------------------------------------

SOME = ("every_layer, tie-free", "average_pool_softmax", "lookup only", "max pool only", "clamps", "names", "classes")


@pytest.mark.parametrize(
    ("compiler", "options"),
    [
        pytest.param("clang", STRICT_C, marks=needs("clang")),
        pytest.param("g++", STRICT_CPP, marks=needs("g++")),
        pytest.param("clang++", STRICT_CPP, marks=needs("clang++")),
    ],
)
def test_other_compilers_have_nothing_to_say(compiler, options, exported):
    """gcc compiled every model in `programs` with the same warnings."""
    models = [exported[name] / "le_model.c" for name in SOME]
    portable = [path for folder in PORTABLE for path in folder.glob("*.c")]
    run(compiler, *options, "-fsyntax-only", *INCLUDES, *portable, *models)


ALLOWED = {"memcpy", "memset", "memmove"}


@pytest.mark.parametrize(
    ("compiler", "options", "helpers"),
    [
        pytest.param("gcc", ["-mgeneral-regs-only"], r"$", marks=needs("gcc")),
        pytest.param(
            "arm-none-eabi-gcc",
            ["-mcpu=cortex-m0", "-mthumb", "-Wall", "-Wextra", "-Werror"],
            r"__aeabi_(u?idiv(mod)?|ldivmod|lmul|llsl|llsr|lasr)|__gnu_thumb1_case_\w+|__clzsi2",
            marks=needs("arm-none-eabi-gcc"),
        ),
        pytest.param(
            "avr-gcc",
            ["-mmcu=atmega2560", "-std=gnu99", "-Wall", "-Wextra", "-Wconversion", "-Werror"],
            r"__(u?(div|mod|mul)|movmem|xload|ashl|ashr|lshr|adddi|subdi|cmpdi|tablejump|prologue|epilogue|do)\w*",
            marks=needs("avr-gcc"),
        ),
    ],
    ids=["gcc", "arm", "avr"],
)
def test_nothing_but_memcpy_and_memset_is_called_and_no_float(compiler, options, helpers, exported, tmp_path):
    if compiler == "gcc" and platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("gcc has -mgeneral-regs-only for x86-64 and aarch64")
    standard = [] if compiler.startswith("avr") else ["-std=c99"]
    for name in ("every_layer, tie-free", "average_pool_softmax"):
        folder = tmp_path / name
        folder.mkdir()
        run(compiler, *standard, *options, "-O2", "-c", *exported[name].glob("*.c"), cwd=folder)
        nm = compiler.replace("gcc", "nm")
        listed = run(nm, *folder.glob("*.o")).decode()
        defined = set(re.findall(r" [A-TV-Z] (\w+)$", listed, re.MULTILINE))
        undefined = set(re.findall(r" U (\w+)$", listed, re.MULTILINE)) - defined
        surplus = {
            symbol for symbol in undefined - ALLOWED - {"_GLOBAL_OFFSET_TABLE_"} if not re.fullmatch(helpers, symbol)
        }
        assert not surplus
        assert not re.search(r"\b[USu] \w*(float|double|sf\d|df\d)\b|__(add|sub|mul|div)[sd]f", listed)


@needs("gcc")
def test_other_kernels_are_refused(exported, tmp_path):
    folder = shutil.copytree(exported["lookup only"], tmp_path / "copy")
    header = (folder / "le_kernels.h").read_text()
    assert header.count("#define LE_KERNELS_VERSION 1\n") == 1
    (folder / "le_kernels.h").write_text(header.replace("LE_KERNELS_VERSION 1", "LE_KERNELS_VERSION 2"))
    assert "export the model again" in refusal("gcc", "-fsyntax-only", folder / "le_model.c")


@needs("gcc")
def test_tensors_that_overlap_are_refused_by_the_compiler(exported, tmp_path):
    source = (exported["lenet5, tie-free"] / "le_model.c").read_text()
    write(tmp_path, {"le_kernels.h": (KERNELS / "shared" / "le_kernels.h").read_bytes()})
    (tmp_path / "le_model.h").write_bytes((exported["lenet5, tie-free"] / "le_model.h").read_bytes())
    broken = re.sub(r"(LE_ASSERT\(step_1_overlaps_at_\d+, )0 \+ (\d+)", r"\g<1>4 + \2", source)
    assert broken != source
    (tmp_path / "le_model.c").write_text(broken)
    assert "le_assert_step_1_overlaps" in refusal("gcc", "-fsyntax-only", tmp_path / "le_model.c")


@needs("gcc")
def test_one_changed_byte_changes_the_crc(exported, tmp_path):
    folder = shutil.copytree(exported["every_layer, tie-free"], tmp_path / "copy")
    source = (folder / "le_model.c").read_text()
    changed = re.sub(r"(int8_t, layer_0_conv_weights, \d+,\n    )(-?\d+),", r"\g<1>111,", source)
    assert changed != source
    (folder / "le_model.c").write_text(changed)
    (tmp_path / "harness.c").write_text(HARNESS)
    (tmp_path / "main.c").write_text(main_of([0]))
    sources = [
        tmp_path / "harness.c",
        tmp_path / "main.c",
        *(path for path in folder.glob("*.c") if path.name != "le_model.c"),
    ]
    run("gcc", "-DMODEL=0", f"-I{folder}", *sources, "-o", tmp_path / "program")
    assert "LE_TABLE_CRC32" in refusal(tmp_path / "program", 0)


def test_the_crc_is_that_of_the_tables_as_they_are_written(exported):
    source = (exported["every_layer, tie-free"] / "le_model.c").read_text()
    types = {"int8_t": "<i1", "int32_t": "<i4", "uint32_t": "<u4"}
    crc = 0
    for kind, count, body in re.findall(r"LE_DEFINE_TABLE\((\w+), \w+, (\d+),(.*?)\);", source, re.DOTALL):
        values = [int(value) for value in body.split(",")]
        assert len(values) == int(count)
        crc = zlib.crc32(np.array(values).astype(types[kind]).tobytes(), crc)
    assert f"#define LE_TABLE_CRC32 0x{crc:08x}u\n" in (exported["every_layer, tie-free"] / "le_model.h").read_text()


# --- the folder ---------------------------------------------------------------------------------------


@needs("cc")
def test_the_example_does_what_its_comment_says(exported, tmp_path):
    folder = shutil.copytree(exported["classes"], tmp_path / "copy")
    images = images_for(MODELS["classes"])
    command = re.search(r"^ \*     (cc .* < (\w+\.raw))$", (folder / "example" / "main.c").read_text(), re.MULTILINE)
    assert command
    (folder / command[2]).write_bytes((images.view(np.uint8) ^ 0x80).tobytes())
    printed = run("sh", "-c", command[1], cwd=folder).decode()
    logits = reference.run(MODELS["classes"], images)
    lines = [f"{CLASSES[row.argmax()]}: {' '.join(map(str, row))}\n" for row in logits]
    assert printed == "".join(lines)


@pytest.mark.parametrize("name", ["lenet5, tie-free", "average_pool_softmax", "lookup only"])
def test_cmake_names_every_source_of_the_folder(name, exported):
    text = (exported[name] / "CMakeLists.txt").read_text()
    library = re.search(r"add_library\(le_model STATIC\n(.*?)\n\)", text, re.DOTALL)
    assert library
    assert sorted(library[1].split()) == sorted(path.name for path in exported[name].glob("*.c"))


def test_the_folder_has_the_kernels_that_the_model_uses_and_no_other(exported):
    found = {path.name for path in exported["lookup only"].glob("*.*")}
    always = {"le_model.c", "le_model.h", "le_kernels.h", "le_argmax.c", "le_flip_sign.c", "CMakeLists.txt"}
    assert found == always | {"le_lookup.c"}
    for name in ("lenet5, tie-free", "lenet5, ordinary"):
        found = {path.name for path in exported[name].glob("*.*")}
        requantize_file = TIE_FREE if "tie-free" in name else DOUBLE
        windows = {"le_conv2d.c", "le_windows.c", "le_windows.h"}
        assert found == always | windows | {"le_fully_connected.c", requantize_file}


@pytest.mark.parametrize("name", MODELS)
def test_facts_are_those_of_the_header(name, exported):
    header = (exported[name] / "le_model.h").read_text()
    facts, defined = (
        c_source.facts(c_source.make_plan(MODELS[name])),
        dict(re.findall(r"#define LE_(\w+) \(?(-?\w+)L?", header)),
    )
    numbers = {key: int(value.rstrip("L")) for key, value in defined.items() if re.fullmatch(r"-?\d+L?", value)}
    outputs = np.prod(MODELS[name].output.shape)
    assert numbers["CLASSES"] == facts["classes"]
    assert numbers.get("OUTPUTS", numbers["CLASSES"]) == facts.get("outputs", facts["classes"]) == outputs
    assert numbers["INPUT_BYTES"] == facts["input_bytes"] == np.prod(MODELS[name].input.shape)
    assert numbers["WORKSPACE_BYTES"] == facts["workspace_bytes"]
    assert numbers["STEPS"] == len(facts["steps"])
    assert numbers["MACS"] == sum(step["macs"] for step in facts["steps"])
    assert (numbers["TABLE_BYTES"], numbers["WEIGHT_BYTES"]) == (facts["table_bytes"], facts["weight_bytes"])
    assert MODELS[name].fingerprint in header


def test_the_same_model_gives_the_same_bytes():
    files = c_source.export(c_source.make_plan(MODELS["every_layer, ordinary"]), FIRMWARE)
    assert files == c_source.export(c_source.make_plan(sample_models.every_layer(7, "ordinary")), FIRMWARE)


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (Chain(0, (200, 200, 1)).lookup(), "32767 outputs"),
        (Chain(0, (2, 2, 1)).flatten(), "no layer that computes"),
    ],
)
def test_what_the_c_cannot_be_is_refused(chain, message):
    with pytest.raises(BadInputError, match=message):
        c_source.export(c_source.make_plan(chain.build()), FIRMWARE)


def test_an_input_that_is_no_image_is_refused():
    layers = Chain(0, (2, 2, 1)).flatten().fully_connected(2).layers[1:]
    with pytest.raises(BadInputError, match="expects an image"):
        c_source.export(c_source.make_plan(QuantizedModel(tuple(layers))), FIRMWARE)


# --- le_requantize_s8 by itself ---------------------------------------------------------------------------

MANY = """
#include "le_kernels.h"
void many(const int32_t *bias, const uint32_t *multiplier, const int8_t *shift, int zero_point, int low, int high,
          size_t channel, const int32_t *accumulators, int8_t *results, size_t count);
void many(const int32_t *bias, const uint32_t *multiplier, const int8_t *shift, int zero_point, int low, int high,
          size_t channel, const int32_t *accumulators, int8_t *results, size_t count)
{
    const le_requantization to = {bias, multiplier, shift, (int8_t)zero_point, (int8_t)low, (int8_t)high};
    for (size_t i = 0; i < count; i++) {
        results[i] = le_requantize_s8(&to, channel, accumulators[i]);
    }
}
"""


@pytest.fixture(scope="module")
def requantizers(tmp_path_factory):
    """File -> function(bias, multiplier, shift, zero point, clamp, channel, accumulators) -> int8 results."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    folder = tmp_path_factory.mktemp("requantize")
    (folder / "many.c").write_text(MANY)
    return {file: _requantizer(file, folder) for file in (DOUBLE, TIE_FREE)}


def _requantizer(file, folder):
    path = folder / f"{file}.so"
    run("gcc", *STRICT_C, "-O2", "-shared", "-fPIC", *INCLUDES, folder / "many.c", KERNELS / "plain" / file, "-o", path)
    library = ctypes.CDLL(str(path))
    pointer, integer, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    library.many.argtypes = [pointer, pointer, pointer, integer, integer, integer, size, pointer, pointer, size]

    def many(bias, multiplier, shift, zero_point, clamp, channel, accumulators):
        types = (np.int32, np.uint32, np.int8, np.int32)
        arrays = (bias, multiplier, np.zeros(1) if shift is None else shift, accumulators)
        held = [np.ascontiguousarray(array, kind) for array, kind in zip(arrays, types, strict=True)]
        places = [None if array is shift else array.ctypes.data for array in held]
        if shift is None:
            places[2] = None
        results = np.zeros(len(held[3]), np.int8)
        library.many(*places[:3], zero_point, *clamp, channel, places[3], results.ctypes.data, len(results))
        return results

    return many


def layer_of_every_q(zero_point, clamp):
    """A FULLY_CONNECTED of one input with a channel for each admissible q."""
    source, target = QTensor((1,), float(np.float32(0.037)), -77), QTensor((len(ADMISSIBLE_Q),), 0.0625, zero_point)
    scales = np.array([grid_scale(source.scale, target.scale, q) for q in ADMISSIBLE_Q], np.float32)
    random = np.random.default_rng(zero_point + 1000)
    weights = (2 * random.integers(-63, 64, (len(ADMISSIBLE_Q), 1))).astype(np.int8)
    bias = (2 * random.integers(-(2**20), 2**20, len(ADMISSIBLE_Q))).astype(np.int32)
    return FullyConnected("every q", source, target, weights, bias, scales, *clamp)


@pytest.mark.parametrize(
    ("zero_point", "clamp"), [(-128, (-128, 127)), (0, (-128, 127)), (127, (-50, 60)), (5, (5, 127))]
)
def test_every_tie_of_every_q(zero_point, clamp, requantizers):
    """Both files against the reference: around all ties of the int8 range and well beyond, and up to 2^24."""
    layer = verify_alone(layer_of_every_q(zero_point, clamp))
    q = np.array(ADMISSIBLE_Q)
    steps = np.arange(-260 - zero_point, 261 - zero_point)
    around = (2 * steps[:, None] + 1) + np.zeros(len(q), np.int64)
    near = [around * q + offset for offset in (-3, -1, 1, 3)]
    far = np.array([-(2**24) + 2, -(2**23), -2, 0, 2, 2**23, 2**24 - 2])[:, None] + np.zeros_like(q)
    accumulators = np.concatenate([*near, far])
    assert not (accumulators % 2).any()
    expected = requantize(accumulators, layer, "tflm")
    np.testing.assert_array_equal(expected, ideal(accumulators, q, layer))
    raw = accumulators - (layer.bias - layer.input.zero_point * layer.weights[:, 0].astype(np.int64))
    for file, divisible in ((TIE_FREE, True), (DOUBLE, False)):
        _, bias, multiplier, *shift = [table.values for table in tables.layer_tables(layer, "x", divisible=divisible)]
        for channel in range(len(q)):
            found = requantizers[file](
                bias, multiplier, shift[0] if shift else None, zero_point, clamp, channel, raw[:, channel]
            )
            np.testing.assert_array_equal(found, expected[:, channel], err_msg=f"{file}, q = {q[channel]}")


def verify_alone(layer):
    verify(QuantizedModel((layer,)))
    assert tables.is_divisible(QuantizedModel((layer,)))
    return layer


def test_rounding_twice_is_the_emulators(requantizers):
    """Random and round mantissas, every shift; accumulators of every size that verify allows, and real ties."""
    random = np.random.default_rng(2)
    for shift in range(-31, 8):
        mantissas = np.concatenate([[2**30, 2**31 - 1, 0, 2**30 + 2**29], random.integers(2**30, 2**31, 12)])
        for mantissa in mantissas:
            limit = (2**31 - 1) >> max(shift, 0)
            sizes = 2.0 ** random.uniform(0, np.log2(limit), 300)
            real = max(mantissa, 1) * 2.0 ** (shift - 31)
            ties = np.rint((random.integers(-140, 140, 60) + 0.5) / real)
            spread = (ties[:, None] + np.arange(-2, 3)).ravel()
            accumulators = np.concatenate([sizes, -sizes, spread[np.abs(spread) <= limit], [limit, -limit, 0]])
            accumulators = np.clip(accumulators, -limit, limit).astype(np.int64)
            by = Multipliers(np.array([mantissa]), np.array([shift]), np.ones(1, np.float32))
            expected = np.clip(round_tflm(accumulators, by) - 3, -100, 90)
            bias = int(random.integers(-1000, 1000)) if limit > 10**6 else 0
            raw = np.clip(accumulators, -limit + 1000, limit - 1000) - bias if bias else accumulators
            expected = np.clip(round_tflm(raw + bias, by) - 3, -100, 90)
            found = requantizers[DOUBLE]([bias], [mantissa], [shift], -3, (-100, 90), 0, raw)
            np.testing.assert_array_equal(found, expected, err_msg=f"{mantissa} 2^{shift}")


def test_multipliers_come_from_the_layer():
    """The tables of the double rounding are TFLM's own numbers."""
    layer = MODELS["left shifts"].layers[-1]
    real = np.float64(layer.input.scale) * layer.weight_scales.astype(np.float64) / layer.output.scale
    mantissa, shift = quantize_multiplier(real)
    _, _, *found = tables.layer_tables(layer, "x", divisible=False)
    assert [table.values.tolist() for table in found] == [mantissa.tolist(), shift.tolist()]
