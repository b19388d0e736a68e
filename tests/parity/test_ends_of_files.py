"""Files whose inputs and outputs are not one int8 tensor each: the engines take and give the int8 that these stand for.

The expected values are written down here: a maximum of four, and moves.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import written_files
from graph_files import FLOAT32, GraphFile

from lenet_edge.engines import litert, tensorflow, tflite_runtime, tflite_worker, tflm
from lenet_edge.errors import BadInputError

RUN = {
    "tflm": tflm.run,
    "litert-reference": partial(litert.run, kernels="reference"),
    "litert-builtin": partial(litert.run, kernels="builtin"),
    "litert-xnnpack": partial(litert.run, kernels="xnnpack"),
    "tflite-runtime": tflite_runtime.run,
    "tf-lite": tensorflow.run,
}
IMAGES = np.concatenate(
    [np.random.default_rng(3).integers(-128, 128, (300, 4, 4, 1)), np.full((1, 4, 4, 1), -128)]
).astype(np.int8)


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("engine", "kind"),
    [(engine, kind) for engine in RUN for kind in ("uint8", "float32") if (engine, kind) != ("tf-lite", "uint8")],
)
def test_ends_of_any_type(engine, kind, tmp_path):
    expected = IMAGES.reshape(-1, 2, 2, 2, 2).max(axis=(2, 4)).reshape(-1, 4)
    found = RUN[engine](saved(tmp_path, written_files.with_ends(kind)), IMAGES)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("engine", ["tflm", "litert-builtin", "tflite-runtime"])
def test_several_inputs_and_outputs_are_in_the_order_of_the_file(engine, tmp_path):
    values = np.random.default_rng(4).integers(-128, 128, (20, 10), dtype=np.int8)
    found = RUN[engine](saved(tmp_path, written_files.with_two_ends()), values)
    np.testing.assert_array_equal(found, np.concatenate([values[:, 6:], values[:, :6]], axis=1))


@pytest.mark.parametrize(("scale", "zero_point"), [(1e-6, -128), (0.0039215689, 127), (0.33333334, -3), (77.77, 127)])
def test_a_float_end_gives_back_every_int8(scale, zero_point, tmp_path):
    """Also where neither the scale nor its products are exact."""
    image = np.arange(-128, 128, dtype=np.int8).reshape(16, 4, 4, 1)
    expected = image.reshape(-1, 2, 2, 2, 2).max(axis=(2, 4)).reshape(-1, 4)
    path = saved(tmp_path, written_files.with_ends("float32", scale, zero_point))
    for engine in ("tflm", "litert-xnnpack"):
        np.testing.assert_array_equal(RUN[engine](path, image), expected)


def test_a_float_output_that_is_no_whole_step_is_an_error():
    end = tflite_worker.End("output 0", 0, (1, 2), np.float32, (0.5, 3))
    assert end.decoded(np.float32([[1.0, -1.5]])).tolist() == [5, 0]
    for values in ([1.0, 1.2], [1.0, 1.249], [1.0, np.nan], [100.0, 0.0], [1.0, np.inf]):
        with pytest.raises(tflite_worker.BadInputError, match="output 0 holds a value that is no int8"):
            end.decoded(np.float32([values]))


def test_a_float_input_that_no_quantize_reads_is_refused(tmp_path):
    file = GraphFile()
    first, second = (file.tensor(shape, None, kind=FLOAT32) for shape in ((1, 4), (1, 2, 2)))
    written_files.reshape(file, first, second, (1, 2, 2))
    path = saved(tmp_path, file.data([first], [second]))
    for engine in ("tflm", "litert-builtin"):
        with pytest.raises(BadInputError, match="the input 0 is float32, and no int8 tensor"):
            RUN[engine](path, np.zeros((1, 4), np.int8))


@pytest.mark.parametrize("look", [tflm.layer_outputs, partial(litert.layer_outputs, kernels="builtin")])
def test_a_layer_whose_name_another_has_is_not_shown(look, tmp_path):
    image = np.arange(6, dtype=np.int8)
    layers, logits = look(saved(tmp_path, written_files.names_twice()), image)
    assert list(layers) == ["y"]
    np.testing.assert_array_equal(logits, image)


@pytest.mark.parametrize("shape", [(1, 9), (1, 5, 2), (1, 4, 3)])
def test_values_of_another_number_are_bad_input(shape, tmp_path):
    with pytest.raises(BadInputError, match="the model takes int8"):
        tflm.run(saved(tmp_path, written_files.with_two_ends()), np.zeros(shape, np.int8))
