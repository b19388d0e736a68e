"""Valid inputs of every reader: small, made here, the same in every process."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import struct
import warnings
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import check_records
import elf_files
import idx_files
import numpy as np
import operator_files
import sample_models
from PIL import Image as Picture
from random_graphs import random_graph

from lenet_edge.formats import c_source, tflite
from lenet_edge.formats.c_source.tables import bytes_of
from lenet_edge.hardware import boards, link
from lenet_edge.hardware.elf import Elf, to_binary, to_hex
from lenet_edge.learning import checkpoint
from lenet_edge.networks import reader
from lenet_edge.preparation.settings import MNIST, to_json
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.tie_free import to_grid
from lenet_edge.resources import targets_folder

ROOT = Path(__file__).resolve().parents[2]
BOARD = "microbit"


@cache
def model() -> QuantizedModel:
    """The model that records, manifests and firmware are of: small, since its tables are made for many inputs."""
    return sample_models.ModelBuilder(4).pool("S2", size=7).flatten().fully_connected("OUTPUT", 3, relu=False).build()


@cache
def tflites() -> tuple[bytes, ...]:
    """Chains of ours, each operator by itself, and graphs of many, with ends of every type."""
    made = [sample_models.every_layer(grid=grid) for grid in ("tie-free", "ordinary")]
    made.append(sample_models.average_pool_softmax())
    small = sample_models.ModelBuilder(3).conv("C1", 2, kernel=3, stride=4).pool("S2", size=3).flatten()
    made.append(small.fully_connected("OUTPUT", 3, relu=False).build(classes=["a", "b", "c"], arch="own"))
    made.append(sample_models.ModelBuilder(4, "ordinary").flatten().fully_connected("out", 2, relu=False).build())
    alone = {tuple(tflite.operators_of(data)): data for data in operator_files.READ.values()}
    graphs = [random_graph(seed)[0] for seed in range(8)]
    return (*map(tflite.to_bytes, made), *alone.values(), *graphs)


# --- data sets --------------------------------------------------------------------------------------


@cache
def data_set() -> tuple[bytes, bytes, bytes, bytes]:
    """Train images, train labels, test images, test labels."""
    first, second, third, fourth = map(idx_files.idx_bytes, idx_files.small_arrays(train=6, test=3))
    return first, second, third, fourth


def idx_of(dimensions: int) -> tuple[bytes, ...]:
    """Images (3 dimensions) or labels (1), in gzip and not."""
    plain = data_set()[2 if dimensions == 3 else 1]
    return plain, gzip.compress(plain, mtime=0)


@cache
def pictures() -> tuple[bytes, ...]:
    """Pictures in every format and mode that is read."""
    grey = np.zeros((40, 36), np.uint8)
    grey[8:30, 10:14] = 255
    grey[8:12, 10:28] = 200
    drawn = Picture.fromarray(grey)
    small = drawn.resize((28, 28))
    clear = Picture.merge("LA", (drawn, drawn))
    deep = Picture.fromarray(grey.astype(np.uint16) * 257)
    palette = drawn.convert("P")
    rgba = clear.convert("RGBA")
    made = [(each, "PNG", {}) for each in (drawn, small, clear, rgba, deep, palette, drawn.convert("1"))]
    made += [(drawn.convert("RGB"), "PNG", {}), (palette, "PNG", {"transparency": 0})]
    made += [
        (drawn, "JPEG", {}),
        (drawn.convert("RGB"), "JPEG", {"progressive": True}),
        (drawn.convert("CMYK"), "JPEG", {}),
    ]
    made += [
        (small, "JPEG", {"exif": _turned()}),
        (drawn, "BMP", {}),
        (drawn.convert("RGB"), "BMP", {}),
        (drawn.convert("1"), "BMP", {}),
    ]
    made += [(drawn, "GIF", {}), (palette, "GIF", {"save_all": True, "append_images": [palette.rotate(90)]})]
    made += [(drawn, "TIFF", {"compression": each}) for each in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")]
    made += [(each, "TIFF", {}) for each in (deep, rgba, palette, drawn.convert("1"))]
    made += [(rgba, "WEBP", {"lossless": True}), (drawn.convert("RGB"), "WEBP", {})]
    made += [(drawn, "PPM", {}), (drawn.convert("RGB"), "PPM", {}), (drawn.convert("1"), "PPM", {}), (deep, "PPM", {})]
    plain = (b"P2 2 2 255 0 9 255 3\n", b"P3 1 2 9 0 9 1 3 4 5\n", b"P1 2 2 0 1 1 0\n")
    return (*(_saved(*each) for each in made), *plain)


def _turned() -> bytes:
    exif = Picture.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def _saved(picture: Picture.Image, kind: str, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture.save(stream, kind, **options)
    return stream.getvalue()


# --- checkpoints ------------------------------------------------------------------------------------


def _facts(kind: str, arch: str, classes: int) -> dict[str, Any]:
    facts = {"kind": kind, "arch": arch, "classes": [str(each) for each in range(classes)], "dataset": "mnist"}
    return {**facts, "seed": 0, "validation_accuracy": 0.5, "best_epoch": 1}


def _weights(classes: int) -> dict[str, np.ndarray]:
    """Few different values, so that the file compresses."""
    random = np.random.default_rng(classes)
    tensors = {}
    for name, shape in checkpoint.weight_shapes({"arch": "lenet5", "classes": ["x"] * classes}).items():
        pattern = random.normal(0, 0.1, 16).astype(np.float32)
        tensors[name] = np.resize(pattern, shape)
    return tensors


@cache
def checkpoints() -> tuple[bytes, ...]:
    plain = checkpoint.to_bytes(_weights(3), _facts("float", "lenet5", 3))
    sigmoid = checkpoint.to_bytes(_weights(2), _facts("float", "lenet5-sigmoid", 2))
    resume = {"resume.step": np.array(7, np.int64), "resume.history": np.zeros((1, 2))}
    return plain, sigmoid, checkpoint.to_bytes(_weights(3) | resume, _facts("float", "lenet5", 3))


IMAGES, LABELS = np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8)
LENET5 = reader.load("lenet5")
TRAINING: dict[str, Any] = {"classes": ["0", "1", "2"], "dataset": "mnist", "epochs": 1, "seed": 0}


@cache
def partials() -> tuple[bytes, ...]:
    """What an interrupted training on `IMAGES` leaves after its only epoch, as learning/training.py writes it."""
    recipe = {**dataclasses.asdict(LENET5.recipe), "class_weights": False, "kept_epoch": "last"}
    network = {"arch": "lenet5", "network": reader.to_json(LENET5), "image_shape": [28, 28, 1]}
    digest = hashlib.sha256(
        b"".join(f"{each.shape}".encode() + each.tobytes() for each in (IMAGES, LABELS) * 2)
    ).hexdigest()
    facts = {"kind": "float", **TRAINING, **network, "recipe": recipe, "data_sha256": digest, "epochs_done": 1}
    facts["preparation"] = to_json(MNIST)
    weights = _weights(3)
    resume = {"resume.history": np.array([[1.0, 0.5]])}
    for name, values in weights.items():
        resume |= {f"resume.exp_avg.{name}": values, f"resume.exp_avg_sq.{name}": np.abs(values)}
        resume |= {f"resume.step.{name}": np.array(1, np.float32), f"resume.state.{name}": values}
    return (checkpoint.to_bytes(weights | resume, {**facts, "validation_accuracy": 0.5}),)


@cache
def qat_weights() -> tuple[bytes, ...]:
    return _qat("tie-free"), _qat("ordinary")


def _qat(grid: str) -> bytes:
    tensors, outputs = _weights(3), {}
    scale = float(np.float32(1 / 255))
    for name in ("features.C1", "features.C3", "classifier.C5", "classifier.F6", "classifier.OUTPUT"):
        short, output = name.rpartition(".")[2], float(np.float32(0.25))
        weights, bias = tensors[f"{name}.weight"].astype(np.float64), tensors[f"{name}.bias"].astype(np.float64)
        channels = to_grid(weights, bias, scale, output)
        tensors[f"grid.{short}.weight_scales"] = channels.weight_scales
        if grid == "tie-free":
            tensors[f"grid.{short}.q"] = np.asarray(channels.q)
        outputs[short], scale = [output, 0 if short == "OUTPUT" else -128], output
    facts = {**_facts("qat", "lenet5", 3), "grid": grid, "outputs": outputs, "fingerprint": "0" * 64}
    return checkpoint.to_bytes(tensors, facts)


# --- texts ------------------------------------------------------------------------------------------


@cache
def board_texts() -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(targets_folder().glob("*.toml")))


def budget_texts() -> tuple[bytes, ...]:
    own = b"[model]\naccuracy = 0.99\ndrop_points = 0.1\n[board.microbit]\nflash_bytes = 70_000\nram_bytes = 4_000\n"
    own += b"instructions = 3_100_000\n"
    return (ROOT / "examples/ci/lenet-edge.toml").read_bytes(), own, b"[model]\naccuracy = 0\n"


def policy_texts() -> tuple[bytes, ...]:
    policy = asdict(boards.Policy(data="mnist"))
    lines = [
        f"{key} = {json.dumps(list(value) if isinstance(value, tuple) else value)}"
        for key, value in policy.items()
        if value is not None
    ]
    return "\n".join(lines).encode(), b'engines = ["tflm"]\nimages = 5\n', b"max_drop_points = 1\n"


# --- firmware and what is recorded of it ------------------------------------------------------------


@cache
def firmware_elf() -> bytes:
    """An ELF that the gate lets pass: vectors, the model's tables under their names, the banner."""
    board, start = boards.load(BOARD), 0x101
    content, symbols = struct.pack("<II", 0x2000_4000, start), []
    tables = [
        table for placed in c_source.make_plan(model(), board.cpu.kernels).steps for table in placed.kernel.tables
    ]
    for table in tables:
        symbols.append((table.name, len(content), len(bytes_of(table)), elf_files.OBJECT, 1))
        content += bytes_of(table) + bytes(-len(bytes_of(table)) % 4)
    content += f"board {board.name}, {board.cpu.clock_hz} Hz\nmodel {model().fingerprint}\n\0".encode()
    sections = [(".text", elf_files.PROGBITS, elf_files.ALLOC | elf_files.EXEC, 0, len(content))]
    sections.append((".bss", elf_files.NOBITS, elf_files.ALLOC | elf_files.WRITE, 0x2000_0000, 100))
    segments = [(0, 0, content, len(content)), (0x2000_0000, 0x2000_0000, b"", 100)]
    return elf_files.elf(segments, sections, symbols, entry=start)


@cache
def elves() -> tuple[bytes, ...]:
    names = [
        ("main", 0x101, 12, elf_files.FUNC, 1),
        ("buffer", 0x2000_0004, 100, elf_files.OBJECT, 2),
        ("$t", 0x100, 0, 0, 1),
    ]
    sections = [(".text", 1, 6, 0x100, 40), (".bss", 8, 3, 0x2000_0004, 100)]
    two = [(0x130, 0x2000_0000, b"\xaa\xbb\xcc", 103), (0x100, 0x100, bytes(range(40)), 40)]
    others = (elf_files.elf(two, sections, names, machine) for machine in (elf_files.ARM, elf_files.RISCV, 83))
    return firmware_elf(), *others


@cache
def firmware_files() -> dict[str, bytes]:
    image = Elf(firmware_elf())
    return {"firmware.elf": firmware_elf(), "firmware.hex": to_hex(image).encode(), "firmware.bin": to_binary(image)}


def manifest() -> dict[str, Any]:
    sizes = {"code": 4_300, "tables": 63_400, "weights": 62_414, "buffers": 2_700, "stack": 1_024, "input_image": 784}
    return {
        "board": BOARD,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in firmware_files().items()},
        "fingerprint": model().fingerprint,
        "family": boards.load(BOARD).cpu.kernels,
        "image_sha256": Elf(firmware_elf()).sha256,
        "lenet_edge": "0.1.0",
        "optimize": "speed",
        "sizes": sizes,
        "toolchain": "arm-none-eabi-gcc 12.2.1",
    }


@cache
def c_manifest() -> dict[str, Any]:
    return {
        **c_source.facts(c_source.make_plan(model(), c_source.PLAIN)),
        "files": {},
        "fingerprint": model().fingerprint,
        "lenet_edge": "0.1.0",
    }


def check_record() -> dict[str, Any]:
    return check_records.record(model().fingerprint, BOARD, Elf(firmware_elf()).sha256)


def bench_record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((ROOT / f"benchmarks/{BOARD}-speed.json").read_bytes())
    return {**record, "fingerprint": model().fingerprint}


def budget_record() -> dict[str, Any]:
    lines = [
        ("model", "accuracy", 0.99),
        ("model", "drop_points", 0.1),
        (BOARD, "flash_bytes", 70_000),
        (BOARD, "instructions", 3_000_000),
    ]
    measures = [
        {"of": of, "name": name, "value": value, "budget": None, "base": None, "change": None, "within": True}
        for of, name, value in lines
    ]
    facts = {"fingerprint": "1" * 64, "data": "mnist", "images": 10_000, "toolchains": {BOARD: "gcc 12"}}
    return {**facts, "base_fingerprint": None, "measures": measures, "passed": True, "problems": [], "notes": []}


def text_of(record: dict[str, Any]) -> tuple[bytes, ...]:
    return (json.dumps(record).encode(),)


# --- the link ---------------------------------------------------------------------------------------


@cache
def replies() -> tuple[bytes, ...]:
    """What a device says to HELLO, INFER and PROFILE, and to HELLO and a frame of two rows, one body after another.

    Each has its length in two bytes in front.
    """
    shape = (1, 0, 2, 3, 16_000_000, 8, 10, 500, 1024, 4000)
    hello = link.hello._HELLO.pack(*shape, bytes.fromhex(model().fingerprint)) + BOARD.encode()
    frame = (bytes((1, 0, 4, 0)), bytes(4), bytes(8 + 10 + 8))
    bodies = (hello, bytes(4 + 10), bytes(4 * 3 + 10), hello, *frame)
    return (b"".join(len(body).to_bytes(2, "little") + body for body in bodies),)


def volumes() -> tuple[bytes, ...]:
    """The file of a boot loader's volume that says what board it is: of UF2 and of DAPLink at once."""
    uf2 = b"UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"
    return (uf2 + b"# DAPLink Firmware\r\nUnique ID: 9900000031864e45\r\nAuto Reset: 1\r\n",)
