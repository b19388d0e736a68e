"""lenet-edge: a small image classifier from data to a microcontroller, with one integer truth.

What the commands do, from Python: `train`, `quantize`, `export`, `check`, `build` and `run`. They are imported when
they are asked for, so that `import lenet_edge` takes no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenet_edge.version import __version__

if TYPE_CHECKING:
    from lenet_edge.api import build, check, export, quantize, run, train

__all__ = ["__version__", "build", "check", "export", "quantize", "run", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lenet_edge' has no attribute {name!r}")
    from lenet_edge import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
