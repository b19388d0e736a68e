"""Metadata of a .tflite that no JSON of ours has: half a surrogate pair ended in a traceback when it was printed."""

import json

import flatbuffers
import pytest
import sample_models
from ai_edge_litert import schema_py_generated as schema

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, to_bytes

REFUSED = {
    "not Unicode": b'{"arch": "\\ud800"}',
    "text that is not Unicode": b'{"nested": [{"\\udfff": 1}]}',
    "Infinity is not a number": b'{"accuracy": Infinity}',
    "NaN is not a number": b'{"accuracy": NaN}',
    "1e999 is too large": b'{"accuracy": 1e999}',
    "an integer of 400 digits": b'{"seed": ' + b"9" * 400 + b"}",
    "nested too deeply": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "are not a list of texts": b'{"classes": ["a", 2, null, "d", "e"]}',
    "the class names in its lenet_edge metadata are not a list": b'{"classes": "abcde"}',
    r"a class name .* '' \(0 characters\)": b'{"classes": ["a", "", "c", "d", "e"]}',
    r"\(300 characters\)": json.dumps({"classes": ["x" * 300]}).encode(),
    r"a class name .*x1b": b'{"classes": ["a", "b\\u001b[31m", "c", "d", "e"]}',
}


def with_metadata(content):
    tree = schema.ModelT.InitFromPackedBuf(to_bytes(sample_models.every_layer()), 0)
    tree.buffers[tree.metadata[0].buffer].data = list(content)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("message", REFUSED)
def test_it_is_refused(message):
    with pytest.raises(BadInputError, match=message):
        from_bytes(with_metadata(REFUSED[message]))


def test_other_metadata_are_read():
    content = {"classes": ["α", "b", "c c", "d", "e"], "seed": 2**63, "accuracy": 0.99}
    assert dict(from_bytes(with_metadata(json.dumps(content).encode())).metadata) == content
