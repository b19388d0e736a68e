"""Small .tflite files with ends of any type and number."""

from ai_edge_litert import schema_py_generated as schema
from graph_files import FLOAT32, INT8, UINT8, GraphFile

TYPES = {"int8": INT8, "uint8": UINT8, "float32": FLOAT32}


def reshape(file, source, target, shape):
    file.operator("RESHAPE", [source, file.integers(shape)], [target], "ReshapeOptions", newShape=list(shape))


def with_ends(kind, scale=0.05, zero_point=-3):
    """One MAX_POOL_2D of 2x2 on int8 ``[1, 4, 4, 1]``, with ends of `kind`."""
    file = GraphFile()
    shapes = {"a": (1, 4, 4, 1), "b": (1, 2, 2, 1)}
    within = [file.tensor(shape, scale, zero_point, name=name) for name, shape in shapes.items()]
    ends = within
    if kind != "int8":
        scaling = (scale, zero_point + 128) if kind == "uint8" else (None, 0)
        names = zip(("in", "out"), shapes.values(), strict=True)
        ends = [file.tensor(shape, *scaling, TYPES[kind], name=name) for name, shape in names]
        file.operator("QUANTIZE", [ends[0]], [within[0]], "QuantizeOptions")
    window = dict.fromkeys(("filterHeight", "filterWidth", "strideH", "strideW"), 2)
    padding = schema.Padding.VALID
    file.operator("MAX_POOL_2D", [within[0]], [within[1]], "Pool2DOptions", version=2, padding=padding, **window)
    if kind == "uint8":
        file.operator("QUANTIZE", [within[1]], [ends[1]], "QuantizeOptions")
    elif kind == "float32":
        file.operator("DEQUANTIZE", [within[1]], [ends[1]], "DequantizeOptions", version=2)
    return file.data([ends[0]], [ends[1]])


def with_two_ends():
    """Inputs ``[1, 2, 3]`` and ``[1, 4]``; outputs the second as ``[1, 2, 2]``, then the first as ``[1, 6]``.

    Their tensors' numbers run against the order of the inputs and outputs.
    """
    file = GraphFile()
    out_first = file.tensor((1, 6), 0.5, name="out first")
    out_second = file.tensor((1, 2, 2), 0.25, name="out second")
    second = file.tensor((1, 4), 0.25, name="second")
    first = file.tensor((1, 2, 3), 0.5, name="first")
    reshape(file, first, out_first, (1, 6))
    reshape(file, second, out_second, (1, 2, 2))
    return file.data([first, second], [out_second, out_first])


def names_twice():
    """Two RESHAPE whose outputs have one name, then a third with its own."""
    file = GraphFile()
    shapes = ((1, 6), (1, 2, 3), (1, 3, 2), (1, 6))
    tensors = [file.tensor(shape, name=name) for name, shape in zip(("in", "x", "x", "y"), shapes, strict=True)]
    for source, target, shape in zip(tensors, tensors[1:], shapes[1:], strict=False):
        reshape(file, source, target, shape)
    return file.data(tensors[:1], tensors[-1:])
