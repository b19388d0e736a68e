"""Starting the command line in its own process, also where packages are missing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def without(*modules: str, then: str = "") -> str:
    """Code that starts the command line where these modules cannot be imported."""
    hidden = "; ".join(f"sys.modules[{module!r}] = None" for module in modules) or "pass"
    return f"import sys; {hidden}\n{then}\nfrom lenet_edge.cli import main; main()"
