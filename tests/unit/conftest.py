"""Unit tests run where torch and tensorflow are not installed: a test that imports one fails."""

import sys

import pytest

HEAVY = ("torch", "tensorflow")


@pytest.fixture(autouse=True)
def _nothing_heavy():
    before = set(sys.modules)
    yield
    imported = [name for name in HEAVY if name in sys.modules and name not in before]
    assert not imported, f"a unit test imported {imported}"
