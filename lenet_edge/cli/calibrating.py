"""``--calibrate``: scales for what a QDQ .onnx leaves float, from what its graph computes on inputs of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lenet_edge.cli import common, inputs
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.quantized.model import QuantizedModel

__all__ = ["calibrated"]

_INPUTS = 500


def calibrated(path: Path, data: str) -> QuantizedModel:
    """The model of a QDQ .onnx; a tensor that has no scale gets one that holds its values on the inputs.

    Args:
        path: of the .onnx.
        data: as the option ``--data`` of `check` has it; at most the first 500 inputs count.

    Raises:
        BadInputError: the file cannot be read, or has all scales; or the inputs do not fit.
    """
    from lenet_edge.engines import onnxruntime
    from lenet_edge.formats import int8_models
    from lenet_edge.formats.onnx.reader import draft

    content = int8_models.load_onnx(path)
    found = draft(content, str(path))
    if not found.float_edges:
        raise BadInputError(f"{path}: every tensor has a scale, so there is nothing to calibrate")
    given = inputs.test_inputs(found.model, data, _INPUTS, None)
    ranges = onnxruntime.ranges(found.onnx, path, given.images)
    for name, (low, high) in ranges.items():
        common.log(f"tensor {name}: {low:.6g} to {high:.6g} on {len(given.images)} inputs of {data}")
    return int8_models.from_onnx(content, path, ranges)[0]
