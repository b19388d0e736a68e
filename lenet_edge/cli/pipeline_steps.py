"""The steps of the pipeline: what each is made from, what it leaves, and doing it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from lenet_edge.cli import common, modules
from lenet_edge.cli.artefacts import qat_weights_of
from lenet_edge.cli.pipeline_order import Order
from lenet_edge.errors import BadInputError, CheckFailedError, MissingToolError
from lenet_edge.files import to_json, write_file
from lenet_edge.pipeline import (
    Step,
    file_digest,
    file_digests,
    module_digest,
    own_digest,
    text_digest,
)
from lenet_edge.records import MANIFEST, read_check, read_manifest, write_check

if TYPE_CHECKING:
    from lenet_edge.engines import Engine
    from lenet_edge.hardware.boards import Board
    from lenet_edge.learning.training import TrainingSettings
    from lenet_edge.networks.description import ImageShape, Network
    from lenet_edge.records import CheckRecord

    Digests = Mapping[str, str]

__all__ = ["TARGETS", "leave_policies", "policy_of", "steps"]

TARGETS = ("c", "onnx", "tflm")
"""What is exported: our C and ONNX, which `check` then runs as they are, and the arrays for TFLM."""

_POLICY = """\
# What `flash` requires of the record of `check`: as for {board}, but only as many images as this test set has.
"""
_FAR = 1.05  # of what a board has: above that, no estimate is wrong about whether it fits


def steps(order: Order) -> list[Step]:
    """All steps, in order: the firmware right after the model, so that a model that is too big stops it early."""
    return [
        Step("train", partial(_train_inputs, order), partial(_files, order, order.float_model), partial(_train, order)),
        Step(
            "quantize",
            partial(_quantize_inputs, order),
            partial(_files, order, *_quantized(order)),
            partial(_quantize, order),
        ),
        *(
            Step(
                f"build {board.name}",
                partial(_build_inputs, order, board),
                partial(_folders, order, f"firmware/{board.name}"),
                partial(_build, order, board),
            )
            for board in order.boards
        ),
        Step("export", partial(_export_inputs, order), partial(_folders, order, *TARGETS), partial(_export, order)),
        Step("check", partial(_check_inputs, order), partial(_part, order, ""), partial(_check, order)),
        *(
            Step(
                f"check {board.name}",
                partial(_check_board_inputs, order, board),
                partial(_part, order, board.name),
                partial(_check_board, order, board),
            )
            for board in order.boards
            if board.emulator.names
        ),
    ]


# --- what steps leave -------------------------------------------------------------------------------


def _files(order: Order, *paths: Path) -> Digests:
    return file_digests(order.out, [path.name for path in paths])


def _folders(order: Order, *folders: str) -> Digests:
    """The files that the manifests of artefact folders name, with these."""
    names = []
    for folder in folders:
        manifest = read_manifest(order.out / folder)
        names += [f"{folder}/{name}" for name in (MANIFEST, *(manifest.files if manifest else ()))]
    return file_digests(order.out, names)


def _part(order: Order, board: str) -> Digests:
    """What the record of `check` says without the boards, or about one board."""
    from lenet_edge.parity import board_of

    try:
        content = read_check(order.check_record).content()
    except BadInputError:
        return {}
    content["engines"] = [engine for engine in content["engines"] if board_of(engine["name"]) == board]
    content["firmware"] = content["firmware"].get(board)
    if not content["engines"]:
        return {}
    return {f"{order.check_record.name}, {board or 'engines'}": text_digest(to_json(content))}


def _quantized(order: Order) -> tuple[Path, Path, Path]:
    return order.model, qat_weights_of(order.model), order.model.with_suffix(".json")


# --- what they are made from ------------------------------------------------------------------------


def _versions(*packages: str) -> dict[str, str]:
    """The versions of the packages that are installed, and lenet-edge's own."""
    found = {"lenet-edge": own_digest()}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _train_inputs(order: Order) -> Digests:
    network, module = order.described, order.module
    given = {
        "--epochs": order.epochs,
        "--seed": order.seed,
        "--class-weights": order.class_weights,
        "size, colour and crop": order.request,
        "--transpose": order.transpose,
        **({"--mean": module.mean, "--std": module.std} if isinstance(network, str) else {}),
    }
    weights = {} if module.weights is None else {"--weights": file_digest(module.weights)}
    texts = {name: str(value) for name, value in given.items()}
    return {
        "data": order.data_digest,
        "network": module_digest(network) if isinstance(network, str) else _network_digest(network),
        **texts,
        **weights,
        **_versions("torch", "numpy", "pillow"),
    }


def _network_digest(network: Network) -> str:
    """Of a network as its TOML has it, and of its recipe's teacher."""
    from lenet_edge.networks import reader

    teacher = network.recipe.teacher
    described = [reader.to_json(each) for each in (network, *([] if teacher is None else [reader.load(teacher)]))]
    return text_digest(to_json(described))


def _quantize_inputs(order: Order) -> Digests:
    options = {"--quantize-epochs": str(order.quantize_epochs), "--seed": str(order.seed)}
    model = {"float model": file_digest(order.float_model)}
    return {"data": order.data_digest, **model, **options, **_versions("torch", "numpy", "pillow")}


def _build_inputs(order: Order, board: Board) -> Digests:
    from lenet_edge.hardware import boards, toolchain

    own = file_digests(board.port_folder, sorted(path.name for path in board.port_folder.iterdir()))
    compiler = toolchain.version(toolchain.choose(board))
    described = text_digest(boards.digest(board) + to_json(own))
    return {**_model(order), "board": described, "--optimize": order.optimize, "compiler": compiler, **_versions()}


def _export_inputs(order: Order) -> Digests:
    model = {**_model(order), "float model": file_digest(order.float_model)}
    return {**model, **_versions("onnx", "tflite-micro", "numpy")}


def _check_inputs(order: Order) -> Digests:
    from lenet_edge.engines import ENGINES

    files = {"float model": file_digest(order.float_model), "weights": file_digest(qat_weights_of(order.model))}
    engines = {name: _version(engine) for name, engine in ENGINES.items()}
    exported = {"exported files": text_digest(to_json(_folders(order, *TARGETS)))}
    options = {"--max-drop": str(order.max_drop)}
    return {
        "data": order.data_digest,
        **_model(order),
        **files,
        **exported,
        **options,
        **engines,
        **_versions("pillow"),
    }


def _check_board_inputs(order: Order, board: Board) -> Digests:
    from lenet_edge.engines import board_engine

    name, engine = board_engine(board)
    firmware = {"firmware": text_digest(to_json(_folders(order, f"firmware/{board.name}")))}
    return {"data": order.data_digest, **_model(order), **firmware, name: _version(engine), **_versions("pillow")}


def _model(order: Order) -> dict[str, str]:
    return {"int8 model": file_digest(order.model)}


def _version(engine: Engine) -> str:
    try:
        return engine.version()
    except MissingToolError:
        return "not installed"


# --- the work ---------------------------------------------------------------------------------------


def _train(order: Order) -> None:
    from lenet_edge.cli.train import train_to
    from lenet_edge.learning import training

    dataset, network, initial = order.dataset, order.described, None
    shape, classes = dataset.image_shape, dataset.class_names
    if isinstance(network, str):
        network, initial = modules.taken_over(network, order.module, shape, len(classes), order.seed)
    _require_room(order, network, shape, classes)
    given = (order.epochs, order.seed, "cpu", dataset.preparation, order.class_weights, initial, dataset.transposed)
    settings = training.TrainingSettings(network, classes, dataset.name, *given)
    if order.again or not _go_on(order, settings):
        train_to(order.float_model, dataset, settings, resume=False)


def _require_room(order: Order, network: Network, image_shape: ImageShape, classes: Sequence[str]) -> None:
    """Refuse, before the training, what is far too big for a board; what is near the limit is built to find out.

    Raises:
        CheckFailedError: naming the board, and by how many bytes.
    """
    from lenet_edge.estimate import MOST_WEIGHTS, at_least, estimate, made_up_model, weights_of

    weights = weights_of(network, image_shape, len(classes))
    model = made_up_model(network, image_shape, classes) if weights <= MOST_WEIGHTS else None
    for board in order.boards:
        found = at_least(weights, board) if model is None else estimate(model, board, order.optimize)
        for what, size, has in (
            ("flash", found.flash_bytes, board.flash_budget_bytes),
            ("RAM", found.ram_bytes, board.ram_budget_bytes),
        ):
            if size is not None and size > _FAR * has:
                raise CheckFailedError(
                    f"too big for {board.name}: about {size:,} bytes of {what}, {size - has:,} more than its {has:,}. "
                    "Another --network, a smaller --size, --grey or --optimize size take less; `lenet-edge fits` "
                    "shows what fits"
                )


def _go_on(order: Order, settings: TrainingSettings) -> bool:
    """Finish an interrupted training if what it left belongs to this one; returns whether it did."""
    from lenet_edge.cli.train import train_to
    from lenet_edge.learning import training

    left = training.partial_path(order.float_model)
    if not left.exists():
        return False
    common.log(f"resuming from {left}, which an interrupted training left")
    try:
        train_to(order.float_model, order.dataset, settings, resume=True)
    except BadInputError as error:
        common.log(f"it cannot be resumed, so the training starts again ({error})")
        left.unlink(missing_ok=True)
        return False
    return True


def _quantize(order: Order) -> None:
    from lenet_edge.cli.quantize_work import quantize_to
    from lenet_edge.learning import checkpoint, training

    saved = checkpoint.load(order.float_model)
    network = training.network_of(saved)
    quantize_to(order.model, saved, network, order.dataset, epochs=order.quantize_epochs, seed=order.seed)


def _build(order: Order, board: Board) -> None:
    from lenet_edge.formats import tflite
    from lenet_edge.hardware import firmware

    firmware.build(tflite.read(order.model), board, order.firmware(board), optimize=order.optimize)


def _export(order: Order) -> None:
    from lenet_edge.cli.export import Choices, export_to

    for target in TARGETS:
        common.log(f"writing {order.out / target}")
        export_to(order.out / target, target, order.model, Choices())


def _check(order: Order) -> None:
    from lenet_edge.engines import ENGINES

    least = 100 / len(order.subject.tests.images)  # of one test image
    allowed = max(common.MAX_DROP, least) if order.max_drop is None else order.max_drop
    _leave(order, order.subject.check(ENGINES, (), order.float_model, max_drop=allowed).record)


def _check_board(order: Order, board: Board) -> None:
    from lenet_edge.engines import board_engine
    from lenet_edge.hardware.session import macs_of
    from lenet_edge.parity import with_board

    found, firmware = order.subject.run(dict([board_engine(board, macs=macs_of(order.subject.model))]), (board,))
    for engine in found.engines:
        if engine.status == "absent":
            raise MissingToolError(f"{engine.name} did not run: {engine.message}")
    _leave(order, with_board(read_check(order.check_record), found, firmware))


def _leave(order: Order, record: CheckRecord) -> None:
    """Write the record, and go no further if it did not pass."""
    write_check(order.check_record, record)
    if record.passed:
        return
    lost = record.drop_points is not None and record.drop_points > record.max_drop
    advice = ". Train or quantise for more epochs, or allow more with --max-drop" if lost else ""
    raise CheckFailedError("; ".join(record.problems) + advice)


# --- the policies of small test sets -----------------------------------------------------------------


def policy_of(order: Order, board: Board) -> Path:
    """The policy with which `flash` accepts the model if the board's own asks for more images than there are."""
    return order.out / "policies" / f"{board.name}.toml"


def leave_policies(order: Order) -> None:
    """Write for each board a policy like its own that asks for all images of a test set that is too small for that.

    None is needed if the board's policy asks for another kind of check, or for no more images than there are.
    """
    record = read_check(order.check_record)
    for board in order.boards:
        path, policy = policy_of(order, board), board.policy
        images, on_board = (min(asked, record.images) for asked in (policy.images, policy.board_images))
        drop = max(policy.max_drop_points, record.max_drop)
        ours = replace(policy, images=images, board_images=on_board, max_drop_points=drop)
        if ours == policy or policy.like is not None:
            path.unlink(missing_ok=True)
            continue
        values = asdict(replace(ours, data=policy.data or record.data_sha256))
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items() if value is not None]
        text = _POLICY.format(board=board.name) + "".join(lines)
        if file_digest(path) != text_digest(text):
            write_file(path, text.encode())
