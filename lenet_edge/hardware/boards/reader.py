"""Boards and policies from their TOML files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.hardware.boards.checks import validate
from lenet_edge.hardware.boards.schema import Board, Policy
from lenet_edge.resources import firmware_folder, targets_folder

__all__ = ["board_names", "digest", "load", "parse", "read_policy"]


def board_names() -> tuple[str, ...]:
    """The boards of `targets/`, sorted."""
    return tuple(sorted(path.stem for path in targets_folder().glob("*.toml")))


def load(name_or_path: str) -> Board:
    """A board of `targets/` by its name, or your own by the path of its file, which ends in ".toml".

    Raises:
        BadInputError: there is no such board or file, or the file is wrong.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
    elif name_or_path in board_names():
        path = targets_folder() / f"{name_or_path}.toml"
    else:
        nearest = strict_toml.nearest(name_or_path, board_names())
        raise BadInputError(
            f"there is no board {name_or_path!r}.{nearest} `lenet-edge boards` lists them; "
            "your own board is the path of its .toml file"
        )
    hint = "`lenet-edge boards` lists the boards that come with this."
    return parse(strict_toml.read_text(path, "the board's file", hint), path)


def parse(text: str, path: Path) -> Board:
    """The board that a TOML describes, validated.

    Args:
        text: the file's content.
        path: the file, for messages and for its name.

    Raises:
        BadInputError: it is not TOML, has an unknown key, lacks one, has a value
            of the wrong type, or does not pass `validate`.
    """
    content = strict_toml.parse(text, path)
    board = strict_toml.read(Board, content, path, given={"path": path})
    validate(board, firmware_folder())
    return replace(board, policy=_like(board.policy, content.get("policy", {})))


def digest(board: Board) -> str:
    """SHA-256 (hex) over all that a board's TOML says: it tells whether another process read the same."""
    return hashlib.sha256(repr(board).encode()).hexdigest()


def read_policy(path: Path) -> Policy:
    """A policy in its own TOML file, instead of the board's.

    Raises:
        BadInputError: as `parse`.
    """
    content = strict_toml.load(path, "the policy")
    return _like(strict_toml.read(Policy, content, path), content)


def _like(policy: Policy, given: Mapping[str, object]) -> Policy:
    """A policy for one runtime, with its own defaults for the keys that are not given."""
    if policy.like is None:
        return policy
    usual: dict[str, Any] = {
        "engines": (policy.like, "host_c"),
        "images": 1_000,
        "data": "noise",
        "board_images": 20,
        "float_comparison": False,
    }
    return replace(policy, **{key: value for key, value in usual.items() if key not in given})
