"""A PyTorch module of the user's own as a network: ``my_net.py:Net`` to a description and its weights.

The user's file is executed (`source`), its weights are read (`weights`), the
module is traced by `torch.export` (`graph`), and its operations (`operations`)
become the layers of a description (`chain`). `importing` goes through all of
that, and does not believe it before both compute the same.
"""

from __future__ import annotations

import re

__all__ = ["is_module", "network_name"]


def is_module(network: str) -> bool:
    """Whether that is ``FILE.py:NAME`` or ``package.module:NAME``, and neither a network's name nor a TOML file.

    A Python file without a name counts, so that it is this door which says what is missing.
    """
    file, colon, _ = network.rpartition(":")
    return network.endswith(".py") or (bool(colon) and not file.endswith(".toml") and not network.endswith(".toml"))


def network_name(stem: str, attribute: str) -> str:
    """What the network of a module is called, in characters that every file system takes.

    Args:
        stem: of the file, such as ``my_net``.
        attribute: what is taken from it, such as ``Net``.
    """
    stem, attribute = (re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in (stem, attribute))
    name = stem if stem == attribute else f"{stem}-{attribute}"
    return name.strip("_-")[:60] or "network"
