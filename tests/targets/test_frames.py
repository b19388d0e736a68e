"""Camera frames through the link: the board's image and logits are those of numpy's preparation and the reference."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import workbench

from lenet_edge.errors import CheckFailedError, LinkError
from lenet_edge.hardware import boards, firmware, link, session
from lenet_edge.hardware.link import infer_frame
from lenet_edge.preparation import Preparation, prepare, to_int8, to_json
from lenet_edge.preparation.frames import FORMATS, decode, encode
from lenet_edge.preparation.recorded import recorded
from lenet_edge.quantized.reference import run

WIDTH, HEIGHT = SIZE = 320, 240
SMALL = 48, 36  # for emulators that take 0.1 s for a message, and a board with 8 KB of RAM
ROW_BYTES = 3 * WIDTH
ON = [
    ("microbit", "unicorn", SIZE, FORMATS),
    ("sifive_e", "unicorn", SIZE, FORMATS),
    ("mps2-an386", "qemu", SMALL, FORMATS),
    ("microbit", "qemu", SMALL, FORMATS),
    ("atmega2560", "simavr", SMALL, FORMATS),
]
FRAME_SOURCES = {
    "app/le_frames.c",
    *(f"kernels/{name}.c" for name in ("le_prepare", "le_prepare_centre", "le_preparation")),
}
METADATA = {
    "MNIST": {"arch": "lenet5"},
    "square": {"preparation": to_json(Preparation(28, 28, 1, crop="square", invert="bright border"))},
}


def camera(seed, size=SIZE):
    """A dark sign on a bright, uneven, noisy ground."""
    random, (width, height) = np.random.default_rng(seed), size
    frame = np.full((height, width, 3), [220, 225, 210]) - np.arange(width)[None, :, None] // 16
    frame[height // 4 : 3 * height // 4, 7 * width // 16 : 17 * width // 32] = [30, 40, 20]
    frame[5 * height // 8 : 3 * height // 4, 5 * width // 16 : 5 * width // 8] = [70, 40, 60]
    return (frame + random.integers(-9, 10, frame.shape)).clip(0, 255).astype(np.uint8)


def with_metadata(name):
    return type(workbench.LENET5)(workbench.LENET5.layers, METADATA[name])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    made = {}

    def once(board, name):
        workbench.need(board, "gcc")
        if (board, name) not in made:
            folder = tmp_path_factory.mktemp(board) / "firmware"
            described = boards.load(board)
            row_bytes = 3 * SMALL[0] if board == "atmega2560" else ROW_BYTES
            made[board, name] = firmware.build(
                with_metadata(name), described, folder, toolchain="gcc", row_bytes=row_bytes
            )
        return made[board, name]

    return once


def rows_of(data, height=HEIGHT):
    return np.frombuffer(data, np.uint8).reshape(height, -1)


def expected(name, data, form, size=SIZE):
    """(the image, its logits)"""
    model = with_metadata(name)
    preparation = recorded(model.metadata, model.input.shape, model.input.scale, model.input.zero_point)
    image = prepare(decode(data, form, *size, 1), preparation)
    images = to_int8(image[None], preparation, model.input.scale, model.input.zero_point)
    return images.ravel(), run(model, images)[0]


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize(("board", "emulator", "size", "forms"), ON)
def test_a_frame_gives_the_image_and_the_logits_of_the_reference(built, board, emulator, size, forms, name):
    workbench.need(board, None, emulator)
    elf, (width, height) = built(board, name).elf, size
    with session.connect(boards.load(board), elf, workbench.LENET5.fingerprint, emulator=emulator) as running:
        done = []
        for form in forms:
            number = FORMATS.index(form)
            data = encode(camera(number, size), form)
            found = infer_frame(running.device, rows_of(data, height), width, number, lambda *at: done.append(at))
            image, logits = expected(name, data, form, size)
            assert np.ptp(image.astype(int)) > 100
            assert (found.image != image).sum() == (found.logits != logits).sum() == 0, form
            passes = 2 if name == "MNIST" else 1
            assert done[-1] == (passes * height, passes * height)
        assert running.device.retries == 0


BEGIN = struct.pack("<HHB", WIDTH, HEIGHT, 0)


def refused(device, kind, body, *said):
    with pytest.raises(LinkError) as caught:
        device.ask(kind, body, 4)
    assert all(part in str(caught.value) for part in said), caught.value


def head(number, first):
    return struct.pack("<BBH", number, 0, first)


def test_what_is_out_of_order_is_refused_and_repeats_change_nothing(built):
    data = encode(camera(7), "grey8")
    rows, (image, logits) = rows_of(data), expected("MNIST", data, "grey8")
    with session.connect(
        boards.load("microbit"), built("microbit", "MNIST").elf, workbench.LENET5.fingerprint, emulator="unicorn"
    ) as running:
        device = running.device
        refused(device, link.FRAME_ROWS, head(0, 0) + bytes(WIDTH), "out of order")
        refused(device, link.FRAME_END, b"\1", "out of order")
        refused(device, link.FRAME_BEGIN, BEGIN[:-1], "wrong length")
        for size, form in (((0, 1), 0), ((1, 0), 0), ((4097, 1), 0), ((8, 8), 5)):
            refused(device, link.FRAME_BEGIN, struct.pack("<HHB", *size, form), "a side is not")
        refused(device, link.FRAME_BEGIN, struct.pack("<HHB", WIDTH + 1, 4, 3), "longer than this firmware", "960")
        refused(device, link.FRAME_ROWS, head(0, 0) + bytes(WIDTH), "out of order")
        assert device.ask(link.FRAME_BEGIN, BEGIN, 4) == struct.pack("<BBH", 2, 0, ROW_BYTES)
        for body in (b"", b"\0", head(0, 0), head(0, 0) + bytes(WIDTH - 1), head(0, HEIGHT) + bytes(WIDTH)):
            refused(device, link.FRAME_ROWS, body, "wrong length")
        refused(device, link.FRAME_ROWS, head(0, HEIGHT - 1) + bytes(2 * WIDTH), "wrong length")
        for number, first in ((0, 1), (1, 0), (2, 0), (255, 0)):
            refused(device, link.FRAME_ROWS, head(number, first) + bytes(WIDTH), "out of order")
        for number in (0, 1):
            for first in range(0, HEIGHT, 2):
                part = head(number, max(0, first - 1)) + rows[max(0, first - 1) : first + 2].tobytes()  # one row again
                for _ in range(2):
                    reply = device.ask(link.FRAME_ROWS, part, 4)
                assert reply == (head(number, first + 2) if first + 2 < HEIGHT else head(number + 1, 0))
            if number == 0:
                refused(device, link.FRAME_END, b"\1", "out of order")
        other = workbench.images(workbench.LENET5, 2)
        assert (device.infer_all(other) == workbench.reference(workbench.LENET5, other)).all()
        for _ in range(2):
            body = device.ask(link.FRAME_END, b"\1", 8 + 10 + 784)[8:]
            assert body == logits.tobytes() + image.tobytes()
        assert device.ask(link.FRAME_END, b"\0", 18)[8:] == logits.tobytes()
        refused(device, link.FRAME_ROWS, head(2, 0) + bytes(WIDTH), "out of order")


def test_a_blank_frame_is_said_to_be_one(built):
    with session.connect(
        boards.load("microbit"), built("microbit", "MNIST").elf, workbench.LENET5.fingerprint, emulator="unicorn"
    ) as running:
        blank = np.full((HEIGHT, WIDTH), 99, np.uint8)
        with pytest.raises(LinkError, match="shows nothing"):
            infer_frame(running.device, blank, WIDTH, 0)
        data = encode(camera(1), "grey8")
        assert (
            infer_frame(running.device, rows_of(data), WIDTH, 0).logits == expected("MNIST", data, "grey8")[1]
        ).all()


def predicted(cli, *options):
    """What `predict` says of one frame or picture: class and logits."""
    done = cli("predict", *options, "--model", cli.model, "--json")
    assert done.returncode == 0, done.stderr
    (prediction,) = json.loads(done.stdout)["predictions"]
    return prediction["class"], prediction["logits"]


def test_rows_that_a_board_has_no_memory_for_are_said_to_be_too_long(tmp_path):
    workbench.need("atmega2560", "gcc")
    with pytest.raises(CheckFailedError, match=r"RAM: .*a row of --frames takes 12,288 bytes of it.*narrower"):
        firmware.build(
            with_metadata("MNIST"), boards.load("atmega2560"), tmp_path / "f", toolchain="gcc", row_bytes=3 * 4096
        )


def test_nothing_of_frames_is_compiled_without_them(tmp_path, monkeypatch):
    workbench.need("microbit", "gcc")
    compiled = []
    inner = firmware.compilers.compile_source

    def noted(compiler, folder, source, flags):
        compiled.append(source)
        inner(compiler, folder, source, flags)

    monkeypatch.setattr(firmware.compilers, "compile_source", noted)
    described = boards.load("microbit")
    for row_bytes in (0, 960):
        compiled.clear()
        firmware.build(with_metadata("MNIST"), described, tmp_path / "f", toolchain="gcc", row_bytes=row_bytes)
        found = {source for source in compiled if "frames" in source or "prepar" in source}
        assert found == (FRAME_SOURCES if row_bytes else set())


def test_run_sends_a_frame(cli):
    workbench.need("microbit", "gcc", "unicorn")
    (cli.folder / "dump.raw").write_bytes(encode(camera(2), "rgb565"))
    options = ("--board", "microbit", "--model", cli.model)
    run_it = ("run", *options, "--frame", cli.folder / "dump.raw", "--emulator", "unicorn")
    done = cli(*run_it, "--frame-size", "320x240", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["logits_differ"], found["frame"]["image_bytes_differ"], found["frame"]["width"]) == (0, 0, 320)
    (answer,) = found["images"]
    assert (answer["class"], answer["logits"]) == predicted(
        cli, "--frame", cli.folder / "dump.raw", "--frame-size", "320x240"
    )
    workbench.refused(cli(*run_it), 3, "--frame-size")
    workbench.refused(cli(*run_it, "--size", "320x241"), 3, "154,240 bytes, not 153,600")
    workbench.refused(cli(*run_it, "--size", "320x240", "--images", "3"), 2, "--images has no effect with --frame")
    workbench.refused(cli("run", *options, "--size", "320x240"), 2, "--frame-size has no effect without --frame")
    done = cli("build", *options)
    assert done.returncode == 0
    workbench.refused(cli(*run_it, "--size", "320x240"), 5, "build --frames")
