"""The generated C, compiled with sanitizers: every output of many models is the reference's, to the last bit."""

from __future__ import annotations

import platform
import re
import shutil
import zlib

import numpy as np
import pytest
import sample_models
from c_harness import HARNESS, main_of
from c_programs import (
    CLASSES,
    DOUBLE,
    FIRMWARE,
    IN_TWO_PARTS,
    INCLUDES,
    KERNELS,
    MODELS,
    PORTABLE,
    STRICT_C,
    STRICT_CPP,
    TIE_FREE,
    images_for,
    is_tie_free,
    needs,
    refusal,
    run,
)
from random_chains import Chain
from random_operators import KINDS
from written_trees import write

from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source import tables
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d


@pytest.mark.parametrize("name", MODELS)
def test_every_output_is_the_emulators(name, programs):
    model = MODELS[name]
    images = images_for(model)
    number = list(MODELS).index(name)
    logits = run(programs[name], number, input=images.tobytes())
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


@pytest.mark.parametrize("name", IN_TWO_PARTS)
def test_a_patch_does_not_enlarge_the_workspace(name):
    """It lies on the end of the output, and then on the beginning of the input: those two are all that there is."""
    plan = c_source.make_plan(MODELS[name])
    (step,) = (placed for placed in plan.steps if isinstance(placed.step.layer, (Conv2d, DepthwiseConv2d)))
    assert len(step.kernel.calls(("in",), "out", "scratch")) == 2
    sizes = (step.step.input_bytes, step.step.output_bytes)
    assert step.kernel.scratch_bytes == 0
    assert plan.workspace_bytes == sum(-(-size // 4) * 4 for size in sizes)


@pytest.mark.parametrize("name", ["connected, tie-free", "connected, ordinary"])
def test_connections_that_do_not_exist_are_not_in_the_c(name):
    """The tables have a kernel for each pair of channels with a weight, and no other."""
    plan = c_source.make_plan(MODELS[name])
    kernels = [placed.kernel for placed in plan.steps]
    assert [kernel.name for kernel in kernels] == ["plain", "connected", "connected", "connected"]
    for placed in plan.steps[1:]:
        layer = placed.step.layer
        pairs = [
            (o, i)
            for o in range(layer.weights.shape[0])
            for i in range(layer.weights.shape[3])
            if layer.weights[o, :, :, i].any()
        ]
        numbers, weights, *_ = (table.values.tolist() for table in placed.kernel.tables)
        found = []
        for channel in range(len(layer.bias)):
            count = numbers.pop(0)
            found += [(channel, numbers.pop(0)) for _ in range(count)]
        assert (found, numbers) == (pairs, [])
        assert weights == [layer.weights[o, :, :, i].tolist() for o, i in pairs]
        assert len(pairs) < 0.6 * layer.weights.shape[0] * layer.weights.shape[3]


# --- compilers ----------------------------------------------------------------------------------------

SOME = ("every_layer, tie-free", "average_pool_softmax", "lookup only", "max pool only", "clamps", "names", "classes")
SOME += tuple(f"{kind} 0" for kind in KINDS)


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
