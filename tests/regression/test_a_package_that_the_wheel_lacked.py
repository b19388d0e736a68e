"""A package that pyproject.toml does not list is missing from the wheel, though the checkout has it."""

import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def test_every_package_is_listed():
    listed = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in (CHECKOUT / "lenet_edge").rglob("*.py")}
    there = {".".join(folder.relative_to(CHECKOUT).parts) for folder in folders}
    assert sorted(listed) == sorted(there | {"lenet_edge.firmware", "lenet_edge.networks.data", "lenet_edge.targets"})
