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
        sys.stderr.write("interrupted\n")
        os._exit(130)
    run()


if __name__ == "__main__":
    main()
