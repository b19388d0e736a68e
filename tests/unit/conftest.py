"""Unit tests run where torch and tensorflow are not installed: a test that imports one fails."""

import sys

import pytest

from lenet_edge.hardware import tools

HEAVY = ("torch", "tensorflow")


@pytest.fixture(autouse=True)
def _nothing_heavy():
    before = set(sys.modules)
    yield
    imported = [name for name in HEAVY if name in sys.modules and name not in before]
    assert not imported, f"a unit test imported {imported}"


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    """A machine without any of the tools; returns the folder in which programs would be found."""
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_PREFIXES", (tmp_path,))
    return tmp_path
