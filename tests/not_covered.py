"""Names every engine, compiler and emulator that the tests had to do without, and why; in CI that is a failure."""

import os
import sys
from collections.abc import Iterator

from lenet_edge.engines import ENGINES
from lenet_edge.errors import MissingToolError
from lenet_edge.hardware import boards, tools


def missing() -> Iterator[str]:
    """What is not installed, a line each."""
    for name, engine in ENGINES.items():
        try:
            engine.version()
        except MissingToolError:
            yield f"engine {name}: {engine.install_command()}"
    for name in boards.board_names():
        board = boards.load(name)
        for what in ("build", "emulate"):
            for tool in tools.needed(board, what):
                if not tool.found:
                    yield f"board {name} with {tool.name}: {tool.install}"


if __name__ == "__main__":
    found = list(missing())
    for line in found:
        print(f"not covered: {line}")
    if not found:
        print("nothing: every engine ran, and every board with every compiler and emulator that it has")
    sys.exit(1 if found and os.environ.get("CI") else 0)
