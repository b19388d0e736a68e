"""How tests open a page, and run the command that writes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

OpenPage = Callable[..., Page]
"""The fixture `open_page`."""


def lenet_edge(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`; it must succeed."""
    argv = [sys.executable, "-m", "lenet_edge", *map(str, arguments)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done
