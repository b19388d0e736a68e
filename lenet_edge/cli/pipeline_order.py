"""What a run of the pipeline is asked for, what can be refused before any work, and what it has read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lenet_edge.cli import common, modules
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.cli.check_subject import Subject
    from lenet_edge.datasets import Dataset
    from lenet_edge.hardware.boards import Board
    from lenet_edge.networks.description import Network
    from lenet_edge.preparation.request import PreparationRequest

__all__ = ["Order"]


@dataclass(frozen=True, eq=False)
class Order:
    """What a run of the pipeline is asked for.

    Attributes:
        network: as it was named.
        request: of the images' size and colour.
        transpose: swap rows and columns of images that are stored as arrays.
        max_drop: percentage points; None: as many as `check` allows, or one test image if that is more.
        out: the folder for all results.
        again: repeat every step.
        recipe: another than the network's own.
    """

    data: str
    boards: tuple[Board, ...]
    network: str
    module: modules.ModuleOptions
    request: PreparationRequest
    transpose: bool
    epochs: int | None
    quantize_epochs: int | None
    seed: int
    class_weights: bool
    optimize: str
    max_drop: float | None
    out: Path
    again: bool
    recipe: str | None = None

    # --- what is read once ----------------------------------------------------------------------------

    @cached_property
    def described(self) -> Network | str:
        """The network, or what identifies a PyTorch module."""
        return modules.with_recipe(modules.NetworkType().convert(self.network, None, None), self.recipe)

    @cached_property
    def data_digest(self) -> str:
        """What identifies the data set as it is now; `BadInputError` if there is none."""
        from lenet_edge.pipeline import data_digest

        return data_digest(self.data)

    @cached_property
    def dataset(self) -> Dataset:
        """Its images."""
        from lenet_edge.cli.train import load_data

        common.log(f"reading {self.data}")
        return load_data(self.data, self.request, self.described, transpose=self.transpose)

    @cached_property
    def subject(self) -> Subject:
        """The int8 model with its test images; ask only after it is made."""
        from lenet_edge.cli.check_subject import Subject

        return Subject.read(self.model, self.data, None, self.out)

    # --- where things are ----------------------------------------------------------------------------

    @property
    def stem(self) -> str:
        """What the models' files are called."""
        if not isinstance(self.described, str):
            return self.described.name
        from lenet_edge.learning.torch_module import network_name

        file, _, attribute = self.network.rpartition(":")
        return network_name(Path(file.removesuffix(".py").replace(".", os.sep)).name, attribute)

    @property
    def float_model(self) -> Path:
        return self.out / f"{self.stem}.safetensors"

    @property
    def model(self) -> Path:
        return self.out / f"{self.stem}-int8.tflite"

    @property
    def check_record(self) -> Path:
        return self.out / "check.json"

    def firmware(self, board: Board) -> Path:
        return common.firmware_of(board.name, self.out)

    # --- before any work ------------------------------------------------------------------------------

    def require_able(self) -> None:
        """Check whatever can be checked before an hour of training.

        Raises:
            click.UsageError: a board is named twice.
            BadInputError: there is no such network or data set, or the results would go into the data.
            MissingToolError: torch, TFLM, LiteRT, a compiler or an emulator is missing.
        """
        from lenet_edge.engines import ENGINES
        from lenet_edge.hardware import toolchain
        from lenet_edge.hardware.session import choose_emulator

        names = [board.name for board in self.boards]
        if twice := [name for name in names if names.count(name) > 1]:
            raise click.UsageError(f"--board {twice[0]} is given twice")
        for engine in ("pytorch", "tflm", "litert-reference"):  # without the last two no check passes
            ENGINES[engine].version()
        for board in self.boards:
            toolchain.choose(board)
            if board.emulator.names:
                choose_emulator(board)
        self._require_apart()
        assert self.described
        assert self.data_digest

    def _require_apart(self) -> None:
        """The results must not become data: the next run would learn from them, or find everything changed."""
        if not os.path.isdir(self.data):
            return
        data, out = os.path.realpath(self.data), os.path.realpath(self.out)
        if os.path.commonpath((data, out)) == data:
            raise BadInputError(f"{self.out} is inside the data set {self.data}; choose another place with --out")
