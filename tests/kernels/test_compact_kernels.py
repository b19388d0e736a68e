"""The C of the kernels without a multiplication, here: the reference's integers, apart from the image and in place."""

from __future__ import annotations

import kernel_models
import numpy as np
import pytest
import sample_models
from c_programs import FIRMWARE, SANITIZE, STRICT_C, needs, run
from few_bits_models import with_levels
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.quantized import reference

LENET5 = sample_models.lenet5(51)
MODELS = {
    "ternary": with_levels(LENET5, 1),
    "4 bits": with_levels(LENET5, 7),
    "extremes": kernel_models.extremes(),
    "lenet-like 2": kernel_models.lenet_like(2),  # an input's zero point of 17 among them, strides of 2
    "lenet-like 3": kernel_models.lenet_like(3),
    "lenet-like 6": kernel_models.lenet_like(6),
}


@needs("gcc")
@pytest.mark.parametrize("name", MODELS)
def test_every_logit(name, tmp_path):
    model = MODELS[name]
    plan = c_source.make_plan(model, "rv32e")
    assert {placed.kernel.name.split()[0] for placed in plan.steps if placed.kernel.name != "plain"} == {"compact"}
    _no_output_differs(model, plan, kernel_models.images(model, 60), tmp_path)


@needs("gcc")
@pytest.mark.parametrize(("rows", "why"), [(7, ""), (9, "its padding takes more than 32767 bytes")])
def test_a_wide_image_whose_padding_is_beyond_16_bits_stays_plain(rows, why, tmp_path):
    """Regression: the index of the first patch, an int16, became another one."""
    chain = Chain(1, (1, 10_000, 1), tie_free=True).conv(1, (rows, 1), padding="same", clamp=(-128, 127))
    model = with_levels(chain.build(), 1)
    plan = c_source.make_plan(model, "rv32e")
    assert [placed.kernel.why_plain for placed in plan.steps] == [why]
    _no_output_differs(model, plan, kernel_models.images(model, 4), tmp_path)


def _no_output_differs(model, plan, images, folder):
    for file, content in c_source.export(plan, FIRMWARE).items():
        if "/" not in file:
            (folder / file).write_bytes(content)
    program = FIRMWARE.parent / "tests" / "kernels" / "compact_harness.c"
    sources = sorted(folder.glob("*.c"))
    run("gcc", *STRICT_C, *SANITIZE, f"-I{folder}", program, *sources, "-o", folder / "program")
    found = np.frombuffer(run(folder / "program", input=images.tobytes()), np.int8).reshape(len(images), 2, -1)
    wanted = reference.run(model, images).reshape(len(images), -1)
    np.testing.assert_array_equal(found[:, 0], wanted)
    np.testing.assert_array_equal(found[:, 1], wanted)
