"""ONNX Runtime on the CPU, with or without its graph optimisations.

On x86-64 CPUs without VNNI, MLAS adds pairs of products *uint8* times int8 with
VPMADDUBSW, which saturates at int16 (``MlasGemmU8S8DispatchAvx2``,
core/mlas/lib/platform.cpp). For *int8* activations it takes kernels that are
exact (``MlasGemmQuantGetDispatch``, core/mlas/lib/qgemm.h), and ours are int8;
but on x86-64 the optimiser makes pairs of QuantizeLinear and DequantizeLinear
uint8 (``QDQS8ToU8Transformer``). Measured with ONNX Runtime 1.32 on an AVX2 CPU,
302 images, QDQ form of random tie-free LeNet-5: 1,118 of 3,020 logits wrong.

So sessions here allow int8 (``session.qdqisint8allowed``): 0 wrong, and Conv and
Gemm of the QDQ form become QLinearConv and QGemm, which accumulate in integers;
without it Conv stays float. Our files also hold such pairs apart, so that a
session with default options has 0 wrong, too. The documented remedy,
``session.x64quantprecision``, must stay off: with it QLinearConv on int8 finds no
kernel when optimised. tests/parity/test_onnx_parity.py and tests/regression hold all of this.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError, MissingToolError
from lenet_edge.files import read_bytes, temporary_folder

__all__ = ["install_command", "layer_outputs", "optimized_operators", "ranges", "run", "version"]

_BATCH = 500  # images at a time: float maps of C1 then take 10 MB
_SILENT = 4  # log severity "fatal": what fails is raised, too


def run(path: Path, images: npt.NDArray[np.int8], *, optimize: bool) -> npt.NDArray[np.int8]:
    """The outputs for int8 images ``[n, h, w, c]``: int8 ``[n, outputs]``, a map in the order (row, column, channel).

    Several inputs come one behind the other, ``[n, values]``, and so do several outputs.

    Args:
        path: an int8 .onnx with an input ``[n, c, h, w]``, or ``[n, values]``.
        images: the images.
        optimize: with all of ONNX Runtime's graph optimisations, or with none.

    Raises:
        MissingToolError: onnxruntime is not installed.
        BadInputError: ONNX Runtime refuses the file or the images.
    """
    session = _session(_content(path), path, optimize)
    at_once = _images_at_once(session)
    batches = [images[start : start + at_once] for start in range(0, max(len(images), 1), at_once)]
    return np.concatenate([_joined(_run(session, path, None, batch)) for batch in batches])


def layer_outputs(
    path: Path, image: npt.NDArray[np.int8], *, optimize: bool
) -> tuple[dict[str, npt.NDArray[np.int8]], npt.NDArray[np.int8]]:
    """Every layer's output for one image ``[h, w, c]``, and the logits of that run.

    The int8 tensors between the layers become further outputs of the graph, in
    memory; that can keep the optimiser from joining operators, so compare the
    logits with those of `run`.

    Returns:
        (int8 outputs by layer name, in NHWC order without the batch; logits int8 ``[classes]``).

    Raises:
        MissingToolError: onnxruntime or onnx is not installed.
        BadInputError: ONNX Runtime refuses the file or the image.
    """
    model = _parsed(path)
    graph = model.graph
    shapes = {info.name: _dimensions(info) for info in (*graph.input, *graph.value_info, *graph.output)}
    orders = _flattened(graph, shapes)
    given = [output.name for output in graph.output]
    graph.output.extend(graph.value_info)
    wanted = [output.name for output in graph.output]
    session = _session(model.SerializeToString(), path, optimize)
    values = dict(zip(wanted, _run(session, path, wanted, image[np.newaxis]), strict=True))
    names = {node.output[0]: node.name for node in graph.node if node.output[0] in values}
    layers = {name: _nhwc(values[tensor][0], orders.get(tensor)) for tensor, name in names.items()}
    return layers, _joined([values[name] for name in given])[0]


def ranges(content: bytes, path: Path, images: npt.NDArray[np.int8]) -> dict[str, tuple[float, float]]:
    """(smallest, largest) value of each float output of a graph with int8 inputs, over all images.

    Args:
        content: of the .onnx.
        path: names it in messages.
        images: as of `run`.

    Raises:
        MissingToolError: onnxruntime is not installed.
        BadInputError: ONNX Runtime refuses the file or the images, or a value is not finite.
    """
    session = _session(content, path, True)
    names = [output.name for output in session.get_outputs()]
    at_once, found = _images_at_once(session), dict.fromkeys(names, (np.inf, -np.inf))
    for start in range(0, len(images), at_once):
        for name, values in zip(names, _run(session, path, names, images[start : start + at_once]), strict=True):
            low, high = found[name]
            found[name] = min(low, float(values.min())), max(high, float(values.max()))
    for name, bounds in found.items():
        if not np.isfinite(bounds).all():
            raise BadInputError(f"{path}: tensor {name} is {bounds[0]} to {bounds[1]}")
    return found


def optimized_operators(path: Path) -> list[str]:
    """The operator types of the graph that ONNX Runtime really runs when it optimises, in its order.

    Errors as in `layer_outputs`.
    """
    content = _content(path)
    with temporary_folder() as folder:
        optimized = folder / "optimized.onnx"
        _session(content, path, True, optimized)
        return [node.op_type for node in _parsed(optimized).graph.node]


def version() -> str:
    """The installed version; `MissingToolError` where there is none."""
    try:
        return importlib.metadata.version("onnxruntime")
    except importlib.metadata.PackageNotFoundError:
        raise MissingToolError(f"ONNX Runtime is not installed. Install with: {install_command()}") from None


def install_command() -> str:
    """What a user types to install the package."""
    return "pip install onnxruntime"


# --- the session ----------------------------------------------------------------------------------


def _content(path: Path) -> bytes:
    return read_bytes(path, "the model", "Run `lenet-edge export`.")


def _session(content: bytes, path: Path, optimize: bool, save_as: Path | None = None) -> Any:
    version()
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else its import starts that, and leaves $TMPDIR/.ses
    import onnxruntime

    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    options.log_severity_level = _SILENT
    options.add_session_config_entry("session.qdqisint8allowed", "1")  # see above
    if save_as is not None:
        options.optimized_model_filepath = str(save_as)
    try:
        # Without enable_fallback=0 a refused file is tried twice, with a message on stdout.
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except _refusals() as error:
        raise BadInputError(f"ONNX Runtime refuses the model {path}: {_first_line(error)}") from None


def _images_at_once(session: Any) -> int:
    """How many images go in together: a file from elsewhere may take exactly one."""
    batch = session.get_inputs()[0].shape[0]
    return batch if isinstance(batch, int) and batch > 0 else _BATCH


def _run(
    session: Any, path: Path, wanted: list[str] | None, images: npt.NDArray[np.int8]
) -> list[npt.NDArray[np.int8]]:
    """The tensors `wanted`, or all outputs."""
    try:
        outputs = session.run(wanted, _given(session, images))
    except _refusals() as error:
        raise BadInputError(
            f"ONNX Runtime cannot run {path} on {images.dtype} images {list(images.shape)}: {_first_line(error)}"
        ) from None
    return [output for output in outputs if isinstance(output, np.ndarray)]


def _given(session: Any, images: npt.NDArray[np.int8]) -> dict[str, npt.NDArray[np.int8]]:
    """The arrays of the model's inputs in ONNX's order, by name."""
    inputs = session.get_inputs()
    if len(inputs) == 1:
        return {inputs[0].name: np.ascontiguousarray(_nchw(images))}
    given, flat, start = {}, images.reshape(len(images), -1), 0
    for each in inputs:
        shape = each.shape[1:]
        order = (*shape[1:], shape[0]) if len(shape) == 3 else tuple(shape)
        part = flat[:, start : start + math.prod(order)].reshape(len(flat), *order)
        given[each.name] = np.ascontiguousarray(_nchw(part))
        start += math.prod(order)
    return given


def _nchw(values: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values


def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: its classes have no base in common; ValueError names an unknown input or output."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented")
    return (*(getattr(state, name) for name in (*names, "RuntimeException")), ValueError)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# --- the file -------------------------------------------------------------------------------------


def _parsed(path: Path) -> Any:
    content = _content(path)
    try:
        import onnx
    except ImportError:
        raise MissingToolError("onnx is needed to look at layers. Install with: pip install onnx") from None
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} is not an ONNX file, or is damaged: {_first_line(error)}") from None
    return model


def _dimensions(info: Any) -> tuple[int, ...]:
    """The shape that the file states, without the batch."""
    return tuple(dimension.dim_value for dimension in info.type.tensor_type.shape.dim)[1:]


def _flattened(graph: Any, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """For each tensor that is a flattened ``[c, h, w]``, that shape: a matrix product ends it, others keep it."""
    orders: dict[str, tuple[int, ...]] = {}
    for node in graph.node:
        source = node.input[1 if node.op_type == "Gather" else 0]  # a table comes before its indices
        if node.op_type == "Flatten" and len(shapes.get(source, ())) == 3:
            orders[node.output[0]] = shapes[source]
        elif source in orders and node.op_type not in ("Gemm", "Pad", "QLinearMatMul"):
            orders[node.output[0]] = orders[source]
    return orders


def _flat(outputs: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """``[n, c, h, w]`` or ``[n, c]`` as ``[n, outputs]``, a map in NHWC order."""
    nhwc = outputs.transpose(0, 2, 3, 1) if outputs.ndim == 4 else outputs
    return np.ascontiguousarray(nhwc).reshape(len(outputs), math.prod(outputs.shape[1:]))


def _joined(outputs: list[npt.NDArray[np.int8]]) -> npt.NDArray[np.int8]:
    """Several outputs one behind the other."""
    flat = [_flat(output) for output in outputs]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


def _nhwc(values: npt.NDArray[np.int8], flattened: tuple[int, ...] | None) -> npt.NDArray[np.int8]:
    if flattened is not None:
        return values.reshape(flattened).transpose(1, 2, 0).ravel()
    return values.transpose(1, 2, 0) if values.ndim == 3 else values
