"""Runs a float .onnx on real numbers with ONNX Runtime, or quantises it: a script in a process of its own.

    python float_onnx_worker.py look MODEL.onnx FACTS.json
    python float_onnx_worker.py run MODEL.onnx INPUTS.npy OUTPUTS.npy [TENSORS.npz]
    python float_onnx_worker.py quantize MODEL.onnx INPUTS.npy SCALING.json QDQ.onnx

INPUTS.npy is float32 [n, ...] in the shape that the model takes, without the batch; each is one run. OUTPUTS.npy is
float32 [n, outputs]. FACTS.json is {"shape": of the input, "outputs": how many values}. TENSORS.npz holds "names", and
as "t0", "t1", ... what nodes of the simplified graph give, [n, 1, ...], after a term and an activation of their own.
SCALING.json is {"scale": s, "zero_point": z} of the input. QDQ.onnx is int8 with a scale for each output channel.

Exit codes: 0 done, 2 wrong usage, 3 bad input or ONNX Runtime refused, 4 a package is not installed.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

# The folder of this script holds modules named like the packages that it imports (onnxruntime.py).
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or os.curdir) != _HERE]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process
except ImportError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(4)

ACTIVATIONS, WEIGHTED = ("Relu", "Clip"), ("Conv", "Gemm", "MatMul")


class BadInputError(Exception):
    """The model cannot be used; the text says why."""


def load(path: str) -> Any:
    """The model with a batch of one, and with its constants within."""
    model = onnx.load_model(path, load_external_data=False)
    if any(each.data_location == onnx.TensorProto.EXTERNAL for each in model.graph.initializer):
        raise BadInputError("its weights lie in another file; save it with the weights inside")
    taken = source(model)
    kind = taken.type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        raise BadInputError(f"its input {taken.name[:60]!r} is not float32")
    if any(node.op_type in ("QuantizeLinear", "QLinearConv", "ConvInteger") for node in model.graph.node):
        raise BadInputError("it is quantised already. `lenet-edge retie` makes a QDQ .onnx exact in every runtime")
    axes = kind.shape.dim
    if len(axes) < 2 or not (axes[0].HasField("dim_param") or axes[0].dim_value in (0, 1)):
        raise BadInputError("the first axis of its input is the batch, and it has to be 1 or open")
    axes[0].dim_value = 1
    if any(axis.dim_value < 1 for axis in axes):
        raise BadInputError("the size of its pictures is open; fix height and width when you export it")
    end_at_logits(model)
    del model.graph.value_info[:]
    tidy(model.graph, taken)
    return model


def tidy(graph: Any, taken: Any) -> None:
    """Constants that are no inputs, since else batch normalisation is not folded; a name for each node."""
    for each in graph.initializer:
        if each.data_type == onnx.TensorProto.FLOAT and np.isnan(onnx.numpy_helper.to_array(each)).any():
            raise BadInputError(f"its constant {each.name[:60]!r} holds values that are no numbers")
    kept = onnx.ValueInfoProto()
    kept.CopyFrom(taken)
    del graph.input[:]
    graph.input.append(kept)
    names = {node.name for node in graph.node}
    for node in graph.node:  # the quantiser renames an output, by which a node without a name goes
        if not node.name and node.output and node.output[0] not in names:
            node.name = node.output[0]


def end_at_logits(model: Any) -> None:
    """Without a softmax at the end, which says no other class; shapes with another batch go, too."""
    graph = model.graph
    name = graph.output[0].name
    last = next((node for node in graph.node if name in node.output), None)
    if last is not None and last.op_type in ("Softmax", "LogSoftmax"):
        graph.node.remove(last)
        name = last.input[0]
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))


def source(model: Any) -> Any:
    """Its one input."""
    constants = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in constants]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise BadInputError(f"it has {len(inputs)} inputs and {len(model.graph.output)} outputs; one of each is taken")
    return inputs[0]


def shape_of(model: Any) -> list[int]:
    """The shape of its input, with the batch."""
    return [axis.dim_value for axis in source(model).type.tensor_type.shape.dim]


def session_of(model: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"], enable_fallback=0
    )


def simplified(model: Any, folder: Path) -> Any:
    """With batch normalisation in the weights, and shapes everywhere: what is quantised."""
    given, found = folder / "given.onnx", folder / "simplified.onnx"
    onnx.save_model(model, given)
    quant_pre_process(given, found, skip_symbolic_shape=True)
    return onnx.load_model(found, load_external_data=False)


def look(path: str, facts: str) -> None:
    model = load(path)
    shape = shape_of(model)
    outputs = session_of(model).run(None, {source(model).name: np.zeros(shape, np.float32)})[0]
    if not np.isfinite(outputs).all():
        raise BadInputError("it gives values that are infinite or no numbers on a picture of zeros: check its weights")
    Path(facts).write_text(json.dumps({"shape": shape, "outputs": int(outputs.size)}), encoding="ascii")


def results(model: Any) -> dict[str, str]:
    """Name of a node, or of what it gives -> the tensor that it gives, after a term and an activation of its own."""
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {each.name for each in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        tensor = node.output[0]
        while len(readers.get(tensor, [])) == 1 and goes_on(node, readers[tensor][0], constants):
            tensor = readers[tensor][0].output[0]
        found[node.name or node.output[0]] = tensor
    return found


def goes_on(node: Any, reader: Any, constants: set[str]) -> bool:
    """Whether what reads a node's result becomes part of it in int8."""
    if node.op_type in WEIGHTED and reader.op_type in ("Add", "Mul"):
        return any(name in constants for name in reader.input)
    return reader.op_type in ACTIVATIONS


def run(path: str, inputs_path: str, outputs_path: str, tensors_path: str = "") -> None:
    model, inputs = load(path), np.load(inputs_path, allow_pickle=False)
    name, shape, wanted, last = source(model).name, shape_of(model), {}, model.graph.output[0].name
    if tensors_path:
        model = simplified(model, Path(outputs_path).parent)
        wanted = results(model)
        known = {each.name for each in model.graph.output}
        for tensor in dict.fromkeys(wanted.values()):
            if tensor not in known:
                model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    session = session_of(model)
    tensors = list(dict.fromkeys([last, *wanted.values()]))
    runs = [session.run(tensors, {name: values.reshape(shape)}) for values in inputs]
    np.save(outputs_path, np.array([found[0].reshape(-1) for found in runs], np.float32))
    if tensors_path:
        dense = {node.name or node.output[0] for node in model.graph.node if node.op_type in WEIGHTED}
        held = {tensor: np.array([found[index] for found in runs]) for index, tensor in enumerate(tensors)}
        # A vector that is only moved is in another order in int8: rows, columns, channels.
        kept = {node: held[name] for node, name in wanted.items() if node in dense or held[name].ndim == 5}
        arrays = {f"t{index}": values for index, values in enumerate(kept.values())}
        np.savez(tensors_path, names=np.array(list(kept)), **arrays)  # type: ignore[arg-type]  # allow_pickle is none


class Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]  # it has no types
    """The inputs, one after the other."""

    def __init__(self, name: str, shape: list[int], inputs: Any) -> None:
        self._batches = iter([{name: values.reshape(shape)} for values in inputs])

    def get_next(self) -> Any:
        return next(self._batches, None)


def quantize(path: str, inputs_path: str, scaling_path: str, qdq_path: str) -> None:
    model, inputs = load(path), np.load(inputs_path, allow_pickle=False)
    name, shape = source(model).name, shape_of(model)
    model = simplified(model, Path(qdq_path).parent)
    scaling = json.loads(Path(scaling_path).read_text(encoding="ascii"))
    override = {
        "scale": np.array(scaling["scale"], np.float32),
        "zero_point": np.array(scaling["zero_point"], np.int8),
    }
    quantization.quantize_static(
        model,
        qdq_path,
        Calibration(name, shape, inputs),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        extra_options={"TensorQuantOverrides": {name: [override]}, "WeightSymmetric": True},
    )


def main(arguments: list[str]) -> int:
    modes: dict[str, Any] = {"look": (look, (2,)), "run": (run, (3, 4)), "quantize": (quantize, (4,))}
    if not arguments or arguments[0] not in modes or len(arguments) - 1 not in modes[arguments[0]][1]:
        print("error: look, run or quantize, with their files, are needed", file=sys.stderr)
        return 2
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a native crash leaves no file behind
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")  # what is on stderr is shown
    try:
        modes[arguments[0]][0](*arguments[1:])
    except Exception as error:  # whatever ONNX, its protobuf and ONNX Runtime raise about a file
        print(f"error: {(str(error).splitlines() or [type(error).__name__])[0][:300]}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
