"""The C of the kernels without a multiplication, here: the reference's integers, apart from the image and in place."""

from __future__ import annotations

import kernel_models
import numpy as np
import pytest
import sample_models
from c_programs import FIRMWARE, SANITIZE, STRICT_C, needs, run
from few_bits_models import with_levels

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
    for file, content in c_source.export(plan, FIRMWARE).items():
        if "/" not in file:
            (tmp_path / file).write_bytes(content)
    program = FIRMWARE.parent / "tests" / "kernels" / "compact_harness.c"
    sources = sorted(tmp_path.glob("*.c"))
    run("gcc", *STRICT_C, *SANITIZE, f"-I{tmp_path}", program, *sources, "-o", tmp_path / "program")
    images = kernel_models.images(model, 60)
    found = np.frombuffer(run(tmp_path / "program", input=images.tobytes()), np.int8).reshape(len(images), 2, -1)
    wanted = reference.run(model, images).reshape(len(images), -1)
    np.testing.assert_array_equal(found[:, 0], wanted)
    np.testing.assert_array_equal(found[:, 1], wanted)
