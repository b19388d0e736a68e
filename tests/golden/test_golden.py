"""The exporters' bytes are those that are written down: this proves that they are stable, not that they are right."""

import json
import os
import subprocess
import sys

import pytest
from generate import GOLDEN, HERE, MODELS, artefacts, known


@pytest.mark.parametrize("name", sorted(MODELS))
def test_artefacts_are_as_written_down(name):
    assert artefacts(MODELS[name]()) == known()[name]


def test_bytes_do_not_depend_on_the_hash_seed():
    """Another process with another seed: whatever walks a set or a dict of strings would show."""
    program = "import generate; print(generate.golden(), end='')"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "PYTHONPATH": str(HERE)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(GOLDEN.read_text(encoding="utf-8"))
