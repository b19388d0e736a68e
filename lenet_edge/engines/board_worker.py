"""A process that runs images through a board's firmware: ``board_worker TOML DIGEST ELF FINGERPRINT ... OUT``.

Several can run at the same time, each with its own emulator. Exit
codes are those of the command line; the message is the last line on stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lenet_edge.errors import BadInputError, LenetEdgeError
from lenet_edge.hardware import boards
from lenet_edge.hardware.session import connect


def main(arguments: list[str]) -> int:
    """Images int8 ``[n, h, w, c]`` (.npy) through a firmware of that fingerprint; logits int8 ``[n, classes]``."""
    path, digest, elf, fingerprint, emulator, macs, source, target = arguments
    try:
        board = boards.load(path)
        if boards.digest(board) != digest:
            raise BadInputError(f"the board's file {path} was changed while its firmware ran; run it again")
        with connect(board, Path(elf), fingerprint, emulator=emulator, macs=int(macs)) as session:
            logits = session.device.infer_all(np.load(source, allow_pickle=False))
        np.save(target, logits)
    except LenetEdgeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
