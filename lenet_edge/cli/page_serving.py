"""`page --serve`: the page for the browser of this machine, and a board that it asks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lenet_edge.cli import common
from lenet_edge.cli.options import refuse_given
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.hardware.boards import Board
    from lenet_edge.hardware.session import Session
    from lenet_edge.page_server.lasting import Status, WantedBoard
    from lenet_edge.quantized.model import QuantizedModel

__all__ = ["ServeOptions", "serve_options"]

_OF_AN_EMULATOR = ("emulator", "firmware_folder")


@dataclass(frozen=True)
class ServeOptions:
    """What the options say."""

    serve: bool
    board: Board | None
    port: str | None
    emulator: str
    firmware_folder: Path | None
    listen_port: int

    def refuse_unused(self) -> None:
        """Refuse the options that have no effect beside the others."""
        if not self.serve:
            refuse_given("without --serve", "board", "port", "listen_port", *_OF_AN_EMULATOR)
        elif self.port is not None:
            refuse_given("with --port: a real board runs what was flashed into it", *_OF_AN_EMULATOR)
        elif self.board is None:
            refuse_given("without --board", *_OF_AN_EMULATOR)

    def wanted(self, model: QuantizedModel) -> WantedBoard | None:
        """The board that is asked, with that model; its firmware is built if there is none.

        Raises:
            BadInputError: the firmware is of another model, or no emulator runs the board.
            MissingToolError: what would run or build it is not installed.
        """
        if self.port is not None:
            return _at_port(self.port, self.board, model)
        return None if self.board is None else self._emulated(self.board, model)

    def _emulated(self, board: Board, model: QuantizedModel) -> WantedBoard:
        from lenet_edge.hardware import session
        from lenet_edge.page_server.lasting import WantedBoard

        emulator = session.choose_emulator(board, self.emulator)
        built = common.built_firmware(board, model, self.firmware_folder)
        if built.fingerprint != model.fingerprint:
            raise BadInputError(
                f"{built.folder} has the firmware of model {built.fingerprint[:16]}, not of {model.fingerprint[:16]}; "
                f"build it again: lenet-edge build --board {board.argument} --model FILE"
            )
        sizes, macs = session.sizes_of(model), session.macs_of(model)

        def connect() -> AbstractContextManager[Session]:
            of_board = (board, built.elf, model.fingerprint)
            return session.connect(*of_board, sizes=sizes, emulator=emulator, count=True, macs=macs)

        unit = "cycles" if emulator == "simavr" else "instructions"
        return WantedBoard(board.name, "emulator", model.fingerprint, sizes[0], unit, connect)

    def run(self, page: bytes, wanted: WantedBoard | None, announce: Callable[[str], object]) -> None:
        """Serve the page until Ctrl-C.

        Args:
            announce: called with the page's address.

        Raises:
            BadInputError: the port of --listen-port cannot be had.
        """
        from lenet_edge.page_server.app import Served
        from lenet_edge.page_server.lasting import LastingSession
        from lenet_edge.page_server.serving import serve

        board = None if wanted is None else LastingSession(wanted, _log_status)
        serve(Served(page, board), self.listen_port, announce)


def _at_port(port: str, board: Board | None, model: QuantizedModel) -> WantedBoard:
    from lenet_edge.hardware import session
    from lenet_edge.page_server.lasting import WantedBoard

    sizes, macs = session.sizes_of(model), session.macs_of(model)

    def connect() -> AbstractContextManager[Session]:
        return session.open_port(board, port, model.fingerprint, sizes=sizes, macs=macs)

    return WantedBoard(port if board is None else board.name, "port", model.fingerprint, sizes[0], "", connect)


def _log_status(status: Status) -> None:
    common.log(f"{status.name} is ready" if status.state == "ready" else f"{status.name} is lost: {status.message}")


def serve_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--serve``, ``--board``, ``--port``, ``--emulator``, ``--firmware``, ``--listen-port``, as one `serving`."""

    def called(**options: Any) -> None:
        serving = ServeOptions(**{field.name: options.pop(field.name) for field in fields(ServeOptions)})
        command(serving=serving, **options)

    wrapped: Callable[..., Any] = functools.wraps(command)(called)
    for option in (
        click.option(
            "--listen-port",
            type=click.IntRange(0, 65_535),
            default=0,
            metavar="N",
            help="With --serve: the port of 127.0.0.1.  [default: a free one]",
        ),
        common.firmware_option,
        common.emulator_option,
        click.option(
            "--port",
            metavar="DEVICE",
            help="With --serve: ask the real board at this serial port.",
        ),
        click.option(
            "--board",
            type=common.BOARD,
            metavar="NAME",
            help="With --serve: ask this board in an emulator; with --port, refuse another board there.",
        ),
        click.option(
            "--serve",
            is_flag=True,
            help="Serve the page to the browser of this machine until Ctrl-C.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped
