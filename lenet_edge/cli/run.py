"""`lenet-edge run`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
from rich.console import RenderableType

from lenet_edge.cli import common, frames, inputs
from lenet_edge.cli.drawing import Images as Drawing
from lenet_edge.cli.like import as_asked, as_in_firmware, like_option
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.run_images import image_options
from lenet_edge.cli.stacks import ProvedStack, proved_stack, require_proved, stack_line
from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.cli.inputs import Int8Array
    from lenet_edge.cli.run_images import ImageOptions, Images
    from lenet_edge.hardware.boards import Board
    from lenet_edge.hardware.firmware import Firmware
    from lenet_edge.hardware.link import Hello
    from lenet_edge.hardware.session import Session
    from lenet_edge.quantized.meaning import Meaning
    from lenet_edge.quantized.model import QuantizedModel


_MOST_SHOWN = 40  # logits of an image, in the table

# "class" is a keyword, so that this one cannot be a class statement.
Answer = TypedDict(
    "Answer",
    {
        "image": int,
        "file": str | None,
        "class": str | None,
        "probability": float | None,
        "label": str | None,
        "logits": list[int],
    },
)


class DeviceFacts(TypedDict):
    """What the device says of itself."""

    board: str
    emulator: str
    fingerprint: str
    banner: str
    clock_hz: int
    stack_used_bytes: int
    ram_bytes: int


class RunResult(DeviceFacts, ProvedStack):
    """What `--json` prints."""

    logits_differ: int
    frame: frames.FrameFacts | None
    notes: list[str]
    warnings: list[str]
    images: list[Answer]


@click.command()
@common.board_option
@common.model_option(common.INT8_MODEL, "int8 model that the firmware was built from")
@common.firmware_option
@common.emulator_option
@click.option("--port", metavar="DEVICE", help="A real board at this serial port instead of an emulator.")
@like_option
@image_options
@frames.frame_options
@common.json_option
def run(
    board: Board,
    model: Path,
    firmware_folder: Path | None,
    emulator: str,
    port: str | None,
    like: str,
    shown: ImageOptions,
    frame: frames.CameraFrame | None,
    as_json: bool,
) -> RunResult:
    """Run a board's firmware on test images, a picture or a frame.

    The firmware is the one that `build` left in build/firmware/NAME; if there is none, it is built
    first. Every logit is compared with the reference's. In a terminal, the first images are drawn as the
    network sees them.
    """
    from lenet_edge.formats import int8_models
    from lenet_edge.formats.images import preparation_of
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.quantized.reference import run as emulate

    _refuse_unused(shown, port, frame)
    loaded = int8_models.read(model)
    loaded = as_in_firmware(loaded, board, firmware_folder) if port is None else as_asked(loaded, like)
    sent = None if frame is None else frames.PreparedFrame(frame, loaded, preparation_of(loaded))
    found = sent.inputs if sent else shown.read(loaded)
    warnings = inputs.model_warnings(loaded, pictures=sent is not None or found.are_pictures)
    built = _built(board, loaded, firmware_folder, sent) if port is None else None
    with _session(board, loaded, built, emulator, port) as session:
        logits, facts = sent.send(session) if sent else (common.infer_all(session.device, found.images), None)
        hello = session.device.hello()
    differ = int((logits != emulate(loaded, found.images)).sum())
    result: RunResult = {
        **_facts(session, hello),
        **proved_stack(built),
        "logits_differ": differ,
        "frame": facts,
        "notes": list(found.notes),
        "warnings": warnings,
        "images": [_answer(index, row, found, meaning_of(loaded)) for index, row in enumerate(logits)],
    }
    common.show(result, as_json=as_json, tables=lambda: _tables(result, found.images))
    _require_equal(result)
    return result


def _require_equal(result: RunResult) -> None:
    frame, differ = result["frame"], result["logits_differ"]
    if frame is not None and frame["image_bytes_differ"]:
        raise CheckFailedError(
            f"{frame['image_bytes_differ']} bytes of the image differ from the reference's preparation", result
        )
    if differ:
        raise CheckFailedError(f"{differ} logits differ from the reference", result)
    require_proved(result["stack_used_bytes"], result["stack_proved_bytes"], result)


def _refuse_unused(shown: ImageOptions, port: str | None, frame: frames.CameraFrame | None) -> None:
    """Refuse options of the other way to run."""
    shown.refuse_unused(framed=frame is not None)
    if frame is None:
        frames.refuse_without_frame()
    if port is not None:
        refuse_given("with --port: a real board runs what was flashed into it", "emulator", "firmware_folder")
    else:
        refuse_given("without --port: the firmware's folder says what it was built for", "like")


def _built(board: Board, loaded: QuantizedModel, folder: Path | None, sent: frames.PreparedFrame | None) -> Firmware:
    return common.built_firmware(board, loaded, folder, row_bytes=sent.row_bytes if sent else 0)


def _session(
    board: Board, loaded: QuantizedModel, built: Firmware | None, emulator: str, port: str | None
) -> AbstractContextManager[Session]:
    """With the firmware in an emulator, or with what a real board has."""
    from lenet_edge.hardware import session

    sizes, macs = session.sizes_of(loaded), session.macs_of(loaded)
    if port is not None:
        return session.open_port(board, port, loaded.fingerprint, sizes=sizes, macs=macs)
    assert built is not None
    return session.connect(board, built.elf, loaded.fingerprint, sizes=sizes, emulator=emulator, macs=macs)


def _facts(session: Session, hello: Hello) -> DeviceFacts:
    """What the device says of itself."""
    return {
        "board": hello.board,
        "emulator": session.emulator,
        "fingerprint": hello.fingerprint,
        "banner": session.banner,
        "clock_hz": hello.clock_hz,
        "stack_used_bytes": hello.stack_used,
        "ram_bytes": hello.buffer_bytes + hello.stack_used - hello.input_bytes,
    }


def _answer(index: int, logits: Int8Array, shown: Images, meaning: Meaning) -> Answer:
    """What the device said of an image; without a class where the outputs are not classes."""
    found, share, label = None, None, None
    if meaning.kind != "values":
        shares, number = meaning.probabilities(logits[None])[0], int(meaning.predictions(logits[None])[0])
        found, share = meaning.classes[number], float(shares[number])
        label = None if shown.labels is None else meaning.classes[int(shown.labels[index])]
    return {
        "image": shown.numbers[index],
        "file": shown.files[index] if shown.files else None,
        "class": found,
        "probability": share,
        "label": label,
        "logits": logits.tolist(),
    }


def _shown(logits: list[int]) -> str:
    """All of them, or their range where they would fill the terminal."""
    if len(logits) > _MOST_SHOWN:
        return f"{len(logits):,} values, {min(logits)} to {max(logits)}"
    return " ".join(f"{value:4}" for value in logits)


def _tables(result: RunResult, images: Int8Array) -> list[RenderableType]:
    title = f"{result['board']} in {result['emulator']}, model {result['fingerprint'][:16]}"
    table = common.new_table(title, "image", "class", "probability", "label", "logits", left=2)
    for answer in result["images"]:
        wrong = answer["label"] not in (None, answer["class"])
        share = answer["probability"]
        table.add_row(
            answer["file"] or str(answer["image"]),
            answer["class"] or "",
            "" if share is None else f"{share:.4f}",
            answer["label"] or "",
            _shown(answer["logits"]),
            style="yellow" if wrong else None,
        )
    lines = [
        stack_line(result["stack_used_bytes"], result["stack_proved_bytes"], result["stack_problem"]),
        f"RAM without the image {result['ram_bytes']:,} bytes",
        f"{result['logits_differ']} logits differ from the reference",
    ]
    if result["frame"] is not None:
        lines.append(
            f"{result['frame']['image_bytes_differ']} bytes of the image differ from the reference's preparation"
        )
    banner = [result["banner"].rstrip()] if result["banner"] else []
    captions = [f"{answer['image']}: {answer['class']}" if answer["class"] else "" for answer in result["images"]]
    drawing = Drawing(images, captions if len(images) > 1 else ())
    return [*banner, drawing, table, *result["notes"], *lines]
