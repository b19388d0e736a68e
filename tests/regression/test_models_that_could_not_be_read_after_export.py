"""`export` wrote some models of others so that lenet-edge refused its own file, "damaged or changed".

A SPLIT into one part was a layer when it was read, and none once it had been written as STRIDED_SLICE. A MEAN of all
axes gives the batch alone; it was written with an axis behind it, a shape that no runtime computes.
"""

import numpy as np
import pytest
from graph_files import one_operator

from lenet_edge.engines import tflm
from lenet_edge.formats.tflite import from_bytes, operators_of, to_bytes
from lenet_edge.quantized.reference import run

MAP, VECTOR, SAME = (1, 4, 3), (1, 12), (0.5, 1)


def split(count):
    parts = [((1, 4, 3 // count), *SAME)] * count
    return one_operator("SPLIT", [[2], (MAP, *SAME)], parts, "SplitOptions", numSplits=count)


def mean(shape, axes, output, keep=False):
    return one_operator("MEAN", [(shape, *SAME), axes], (output, 0.4, 2), "ReducerOptions", keepDims=keep)


FILES = {
    "into one part": split(1),
    "into three parts": split(3),
    "along all axes": mean(MAP, [1, 2], (1,)),
    "along the only axis": mean(VECTOR, [1], (1,)),
    "along all axes, which stay": mean(MAP, [1, 2], (1, 1, 1), keep=True),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_read_and_run(name, tmp_path):
    model = from_bytes(FILES[name])
    written = tmp_path / "model.tflite"
    written.write_bytes(to_bytes(model))
    assert from_bytes(written.read_bytes()) == model
    images = np.random.default_rng(1).integers(-128, 128, (20, *model.input.shape)).astype(np.int8)
    np.testing.assert_array_equal(tflm.run(written, images), run(model, images))


def test_a_split_into_one_part_is_no_layer():
    assert operators_of(to_bytes(from_bytes(FILES["into one part"]))) == ["RESHAPE"]  # an output that is the input


def test_only_a_mean_without_axes_is_given_one():
    found = {name: operators_of(to_bytes(from_bytes(data))) for name, data in FILES.items() if "along" in name}
    assert found.pop("along all axes") == ["MEAN", "RESHAPE"]
    assert list(found.values()) == [["MEAN"]] * 2
