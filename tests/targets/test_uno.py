"""The board with 2 KB of RAM: images are received where it computes, and the deepest path of calls is known."""

from __future__ import annotations

import numpy as np
import packed_models
import pytest
import sample_models
import workbench

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import make_plan
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.hardware.limits import buffer_bytes_of

MODEL = packed_models.few_bits(sample_models.lenet5(51), {"C5": 1, "F6": 7})
"""All of LeNet-5, with ternary weights in C5 and those of four bits in F6."""


def test_no_logit_differs_and_the_stack_is_as_deep_as_it_is_proved(build):
    """Requests of every kind, in turns: an inference overwrites what its message was in."""
    workbench.need("uno", "gcc", "simavr")
    built, board, images = build("uno", model=MODEL), boards.load("uno"), workbench.images(MODEL, 8)
    wanted = workbench.reference(MODEL, images)
    with session.connect(board, built.elf, MODEL.fingerprint, count=True) as running:
        np.testing.assert_array_equal(running.device.infer_all(images), wanted)
        for image, logits in zip(images[:2], wanted, strict=False):
            found, counts = running.device.profile(image.tobytes())
            assert np.frombuffer(found, np.int8).tolist() == logits.tolist()
            assert len(counts) == 5
        hello = running.device.hello()
        np.testing.assert_array_equal(running.device.infer_all(images[:1]), wanted[:1])
        (call, *_) = running.counts(1)
    assert len(call.cycles) == 6  # in front of the first step, and five steps
    assert sum(call.cycles) <= 4_000_000
    assert [placed.kernel.name for placed in make_plan(MODEL, "avr", built.packing).steps[2:4]] == [
        "avr trits",
        "avr matrix, 4 bits",
    ]
    assert hello.buffer_bytes == built.sizes.buffers
    assert 150 < hello.stack_used <= built.stack_depth <= built.sizes.stack == hello.stack_size
    assert built.stack_path[0] == "main"
    assert built.stack_path[-1] == "le_tile_5_avr_s8"
    assert built.sizes.flash <= 32_256
    assert built.sizes.ram <= 2_048
    assert 0 < built.sizes.buffers - buffer_bytes_of(board, make_plan(MODEL, "avr", built.packing)) < 128


def test_there_is_no_room_for_a_camera_s_frames(tmp_path):
    with pytest.raises(BadInputError, match="uno receives an image where it computes"):
        firmware.build(MODEL, boards.load("uno"), tmp_path / "firmware", row_bytes=64)
