"""The entry point: ``python -m lenet_edge`` and the ``lenet-edge`` command."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still being imported ends without a traceback too."""
    try:
        from lenet_edge.cli import main as run
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "lenet_edge":
            raise
        _end(f"error: {error.name} is not installed. Install with: pip install lenet-edge", 4)
    run()


def _end(message: str, code: int) -> NoReturn:
    if sys.stderr is not None:
        sys.stderr.write(message + "\n")
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
