"""Metadata of a checkpoint were taken as they came: NaN, a key twice, classes that are not texts or are equal.

A file with a right SHA-256 may have them: the hash protects from damage, not from a hand. What followed were tracebacks
in `export` and `train --resume`, and two classes of one name whose probabilities replaced each other.
"""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint

METADATA = {"kind": "float", "arch": "lenet5", "classes": ["a", "b", "c"], "dataset": "mnist"}
TENSORS = {name: np.zeros(shape, np.float32) for name, shape in checkpoint.weight_shapes(METADATA).items()}
GOOD = checkpoint.to_bytes(TENSORS, METADATA)


def with_entry(entry: str) -> bytes:
    """The checkpoint with another text as its metadata."""
    size = int.from_bytes(GOOD[:8], "little")
    header = json.loads(GOOD[8 : 8 + size]) | {"__metadata__": {"lenet_edge": entry}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + GOOD[8 + size :]


def entry(more: str = "", **changes: object) -> str:
    """A metadata text with the right SHA-256: of its JSON with sorted keys, then of each tensor's name and bytes."""
    size = int.from_bytes(GOOD[:8], "little")
    facts = json.loads(json.loads(GOOD[8 : 8 + size])["__metadata__"]["lenet_edge"]) | changes
    facts |= json.loads("{" + more + "}")
    facts.pop("sha256")
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted(TENSORS.items()):
        digest.update(json.dumps([name, "<f4", list(tensor.shape)]).encode() + tensor.tobytes())
    text = json.dumps(facts | {"sha256": digest.hexdigest()})
    return text[:-1] + (f", {more}" if more else "") + "}"


def test_the_test_signs_right():
    assert checkpoint.from_bytes(with_entry(entry()), "x").metadata["classes"] == ["a", "b", "c"]


@pytest.mark.parametrize("more", ['"a": NaN', '"a": -Infinity', '"a": 1e999', '"a": 1, "a": 1', f'"a": {"9" * 401}'])
def test_numbers_and_keys_that_json_does_not_have(more):
    with pytest.raises(BadInputError, match="not written by lenet-edge, or is damaged"):
        checkpoint.from_bytes(with_entry(entry(more)), "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": [1, 2, 3]}, "does not say which"),
        ({"classes": ["a", "b", None]}, "does not say which"),
        ({"classes": ["a", "b", ["c"]]}, "does not say which"),
        ({"classes": ["a", "b", ""]}, "does not say which"),
        ({"classes": ["a", "b", "c\n"]}, "does not say which"),
        ({"classes": ["a", "b", "\x1b[31m"]}, "does not say which"),
        ({"classes": ["a", "b", "c" * 5000]}, "does not say which"),
        ({"classes": ["a", "b", "a"]}, "has a class twice"),
        ({"classes": {"a": 1}}, "does not say which"),
        ({"arch": "a\nb"}, "does not say which"),
        ({"dataset": ""}, "does not say which"),
        ({"kind": "x" * 5000}, "holds 'xxxx"),
        ({"format": "x\n" * 5000}, "has checkpoint format"),
    ],
)
def test_what_is_not_a_name(change, message):
    with pytest.raises(BadInputError, match=message) as caught:
        checkpoint.from_bytes(with_entry(entry(**change)), "x")
    assert len(str(caught.value)) < 300


def test_a_lone_surrogate():
    with pytest.raises(BadInputError, match="not written by lenet-edge, or is damaged"):
        checkpoint.from_bytes(with_entry(entry('"a": "\\ud800"')), "x")
