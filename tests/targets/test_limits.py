"""A model whose firmware would not compile is refused before, with advice; the largest that is taken compiles and runs.

That the limits are those of the C is shown by compiling what was refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sample_models
import workbench
from workbench import refused

from lenet_edge.errors import BadInputError, CheckFailedError, ToolFailedError
from lenet_edge.formats import c_source, tflite
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.hardware.limits import require_fit
from lenet_edge.quantized.model import QTensor, QuantizedModel

BOARD = "mps2-an386"  # with room for all of these
AVR = "atmega2560"


def builder(*shape: int) -> sample_models.ModelBuilder:
    return sample_models.ModelBuilder(5, image=QTensor(shape, float(np.float32(1 / 255)), -128))


def one_layer(inputs: int, outputs: int) -> QuantizedModel:
    return builder(1, inputs, 1).flatten().fully_connected("out", outputs, relu=False).build()


def board_of(name: str, called: str = "") -> boards.Board:
    board = boards.load(name)
    return replace(board, name=called) if called else board


def fits(model: QuantizedModel, board: boards.Board) -> None:
    require_fit(board, c_source.make_plan(model, board.cpu.kernels))


# Name -> the largest model that fits, one larger by one, the board, what the message says, what the compiler says.
LIMITS = {
    "the board's name": (
        *(one_layer(64, 4), one_layer(64, 4), board_of(BOARD, "n" * 44)),
        *("HELLO takes 97.*at most 43 characters", "le_assert_hello_fits"),
    ),
    "a message on an AVR": (
        *(one_layer(32_759, 1), one_layer(32_760, 1), board_of(AVR)),
        *("buffer for messages.* 32,768 bytes.*no object of more than 32,767", "size of array 'bytes' is too large"),
    ),
    "a table on an AVR": (
        *(builder(1, 1, 8191).depthwise("d", 1, 1).flatten().fully_connected("out", 1).build(),),
        *(builder(1, 1, 8192).depthwise("d", 1, 1).flatten().fully_connected("out", 1).build(),),
        *(board_of(AVR), "table layer_0_d_bias takes 32,768 bytes", "size of array .* is too large"),
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_one_beyond_is_refused_before_anything_is_compiled(name, tmp_path, monkeypatch):
    fitting, beyond, board, message, _ = LIMITS[name]
    fits(fitting, replace(board, name=board.name[:43]))
    monkeypatch.setattr(firmware.compilers, "choose", lambda *_: pytest.fail("it went on to compile"))
    with pytest.raises(BadInputError, match=message):
        firmware.build(beyond, board, tmp_path / "firmware", toolchain="gcc")


@pytest.mark.parametrize("name", LIMITS)
def test_the_compiler_would_have_refused_it(name, tmp_path, monkeypatch):
    _, beyond, board, _, says = LIMITS[name]
    workbench.need(BOARD if board.cpu.arch != "avr" else AVR, "gcc")
    monkeypatch.setattr(firmware, "require_fit", lambda *_: None)
    with pytest.raises(ToolFailedError, match=says):
        firmware.build(beyond, board, tmp_path / "firmware", toolchain="gcc")


@pytest.mark.parametrize("name", [name for name in LIMITS if "AVR" not in name])
def test_the_largest_runs(name, tmp_path):
    """Every request of the protocol is answered, and right."""
    model, _, board, _, _ = LIMITS[name]
    board = replace(board, name=board.name[:43])
    workbench.need(BOARD, "gcc", "unicorn")
    built = firmware.build(model, board, tmp_path / "firmware", toolchain="gcc")
    images = workbench.images(model, 2)
    expected = workbench.reference(model, images)
    with session.connect(board, built.elf, model.fingerprint, emulator="unicorn") as connected:
        assert connected.hello.board == board.name
        assert (connected.device.infer_all(images) == expected).all()
        for image, logits in zip(images, expected, strict=True):
            profiled, counts = connected.device.profile(image.tobytes())
            assert len(counts) == connected.hello.steps
            assert profiled == logits.tobytes()
        stack = connected.device.hello()  # after the deepest calls
        assert stack.stack_size == built.sizes.stack
        assert stack.stack_used <= stack.stack_size * 3 // 4


def test_outputs_may_be_more_than_the_image(tmp_path):
    """As of an autoencoder, whose profile is longer than its input."""
    workbench.need(BOARD, "gcc", "unicorn")
    model = builder(1, 1, 5).flatten().fully_connected("within", 3).fully_connected("out", 640, relu=False).build()
    built = firmware.build(model, boards.load(BOARD), tmp_path / "firmware", toolchain="gcc")
    images = workbench.images(model, 2)
    expected = workbench.reference(model, images)
    with session.connect(boards.load(BOARD), built.elf, model.fingerprint, emulator="unicorn") as connected:
        assert (connected.device.infer_all(images) == expected).all()
        assert connected.device.profile(images[0].tobytes())[0] == expected[0].tobytes()


@pytest.mark.parametrize("name", [name for name in LIMITS if "AVR" in name])
def test_the_largest_on_an_avr_compiles(name, tmp_path):
    """Neither fits its RAM, but that is known from what was compiled and linked."""
    workbench.need(AVR, "gcc")
    model, _, board, _, _ = LIMITS[name]
    with pytest.raises(CheckFailedError, match="over budget: "):
        firmware.build(model, board, tmp_path / "firmware", toolchain="gcc")


def test_the_command_says_it_with_exit_3(cli):
    path = Path(cli.folder) / "wide.tflite"
    path.write_bytes(tflite.to_bytes(LIMITS["a table on an AVR"][1]))
    done = cli("build", "--board", AVR, "--model", path)
    refused(done, 3, "table layer_0_d_bias takes 32,768 bytes", "take another board")
    assert not (cli.folder / "build").exists()
