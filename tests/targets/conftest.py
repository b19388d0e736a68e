"""What the tests of boards share: one cache of compiled helpers, and each firmware built once for all workers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import workbench
from workbench import Cli

from lenet_edge.formats import tflite
from lenet_edge.hardware import boards, firmware
from lenet_edge.hardware.firmware import Firmware
from lenet_edge.quantized.model import QuantizedModel

Build = Callable[..., Firmware]


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def _own_cache(common_folder: Path) -> Iterator[None]:
    """The helpers are compiled for these tests: what the user has is neither used nor changed.

    But for what zig makes for all programs of a processor: 6 s each, and kept by its content.
    """
    usual = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZIG_GLOBAL_CACHE_DIR", os.environ.get("ZIG_GLOBAL_CACHE_DIR") or f"{usual}/zig")
        patch.setenv("XDG_CACHE_HOME", str(common_folder / "cache"))
        yield


@pytest.fixture(scope="session")
def build(common_folder: Path) -> Build:
    """``build(board, toolchain, model, optimize, packing)``: firmware that is built once, for all tests."""

    def once(
        board: str,
        toolchain: str = "gcc",
        model: QuantizedModel = workbench.LENET5,
        optimize: str = "speed",
        packing: str = "auto",
    ) -> Firmware:
        workbench.need(board, toolchain)
        folder = common_folder / "firmware" / f"{board}-{toolchain}-{optimize}-{packing}-{model.fingerprint[:16]}"
        folder.parent.mkdir(exist_ok=True)
        with open(f"{folder}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return firmware.load(folder)
            described = boards.load(board)
            return firmware.build(model, described, folder, toolchain=toolchain, optimize=optimize, packing=packing)

    return once


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The command line in an empty folder; fails the test when a process of it is left at the end."""
    runner = Cli(tmp_path)
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(workbench.LENET5))
    yield runner
    runner.end()
