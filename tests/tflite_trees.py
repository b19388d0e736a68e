"""A good .tflite as LiteRT's object tree, changed and packed again."""

import flatbuffers
import sample_models
from ai_edge_litert import schema_py_generated as schema

from lenet_edge.formats.tflite import to_bytes


def rebuilt(change, model=None):
    """The bytes of a sample model after `change(model tree, graph)`, without lenet-edge's metadata."""
    tree = schema.ModelT.InitFromPackedBuf(to_bytes(model or sample_models.every_layer()), 0)
    tree.metadata = []
    change(tree, tree.subgraphs[0])
    return packed(tree)


def packed(tree):
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())
