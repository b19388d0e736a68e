"""A pinned package that Python 3.11.2, which Debian 12 has, may not install: `make test` failed on a new machine."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]


def test_every_pin_takes_the_oldest_python_that_is_promised():
    """pymdown-extensions 13 needs 3.11.5, and 12.3 does not; the machines of CI have a newer 3.11."""
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    oldest = promised.removeprefix(">=") + ".0"
    pins = [
        line.split("==")[0]
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    ]
    needs = {name: metadata.metadata(name)["Requires-Python"] for name in pins if _is_installed(name)}
    assert len(needs) > 80, "most pins are installed where this runs"
    assert not {name: need for name, need in needs.items() if need and oldest not in SpecifierSet(need)}


def _is_installed(name: str) -> bool:
    return next(iter(metadata.distributions(name=name)), None) is not None
