"""The tables of LOGISTIC and TANH as the real runtimes compute them, thousands of scalings in one process.

    python table_judges.py SCALINGS.npz RUNTIME TABLES.npy

SCALINGS.npz: function (0 LOGISTIC, 1 TANH), scale float32, zero_point; TABLES.npy: int8 [n, 256]. It is a script,
since an interpreter may end its process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

FUNCTIONS = ("sigmoid", "tanh")
OUTPUTS = ((1 / 256, -128), (1 / 128, 0))
EVERY_INPUT = np.arange(-128, 128, dtype=np.int8)[np.newaxis]
RESOLVERS = {
    "litert-reference": "BUILTIN_REF",
    "litert-builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "litert-xnnpack": "AUTO",
}
AT_ONCE = 500  # operators in a file


def scalings(count: int, seed: int = 0):
    """(function, scale, zero point) arrays: powers of two and their neighbours, random ones, and ones made for ties."""
    random = np.random.default_rng(seed)
    powers = np.float32(2.0) ** np.arange(-39, 20, dtype=np.float32)
    below, above = np.nextafter(powers, np.float32(0)), np.nextafter(powers, np.float32(np.inf))
    edges = np.concatenate([powers, below, above, powers * np.float32(1.5), np.float32([1.01e-12, 9.9e5])])
    fixed = [(function, scale, zero_point) for function in (0, 1) for scale in edges for zero_point in (-128, 0, 127)]
    while len(fixed) < count:
        function, zero_point = int(random.integers(2)), int(random.integers(-128, 128))
        scale = [
            10 ** random.uniform(-11.99, 5.99),
            10 ** random.uniform(-3.5, 1.2),
            _scale_of_a_tie(random, function, zero_point),
        ][len(fixed) % 3]
        fixed.append((function, np.float32(scale), zero_point))
    function, scale, zero_point = zip(*fixed[:count], strict=True)
    return np.array(function), np.array(scale, np.float32), np.array(zero_point)


def _scale_of_a_tie(random, function: int, zero_point: int) -> float:
    """An input scale at which one entry of the table lies next to a rounding tie."""
    while True:
        entry = np.arctanh((random.integers(-127, 127) + 0.5) / 128) * (1 if function else 2)
        scale = entry / ((int(random.integers(-128, 128)) - zero_point) or 1)
        if scale > 0:
            return float(scale)


def judged(runtime: str, functions, scales, zero_points):
    """The tables that the runtime computes, int8 ``[n, 256]``, from another process."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "scalings.npz", Path(folder) / "tables.npy"
        np.savez(source, function=functions, scale=scales, zero_point=zero_points)
        argv = [sys.executable, __file__, str(source), runtime, str(target)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return np.load(target)


def many_operators(functions, scales, zero_points) -> bytes:
    """One .tflite with an operator, an input and an output for each scaling."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [], [graph]
    for builtin in (schema.BuiltinOperator.LOGISTIC, schema.BuiltinOperator.TANH):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 2
        model.operatorCodes.append(code)
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
    for function, scale, zero_point in zip(functions, scales, zero_points, strict=True):
        operator = schema.OperatorT()
        operator.opcodeIndex = int(function)
        operator.inputs = [_tensor(graph, scale, zero_point)]
        operator.outputs = [_tensor(graph, *OUTPUTS[function])]
        graph.operators.append(operator)
        graph.inputs += operator.inputs
        graph.outputs += operator.outputs
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(graph, scale: float, zero_point: int) -> int:
    tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
    tensor.name, tensor.shape, tensor.type = f"t{len(graph.tensors)}", [1, 256], schema.TensorType.INT8
    quantization.scale, quantization.zeroPoint = [float(scale)], [int(zero_point)]
    tensor.quantization = quantization
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _tflm(content: bytes, count: int):
    import tflite_micro

    interpreter = tflite_micro.runtime.Interpreter.from_bytes(content, arena_size=64 << 20)
    for index in range(count):
        interpreter.set_input(EVERY_INPUT, index)
    interpreter.invoke()
    return [interpreter.get_output(index)[0] for index in range(count)]


def _tflite(content: bytes, runtime: str):
    if runtime == "tf-lite":
        import tensorflow

        interpreter = tensorflow.lite.Interpreter(model_content=content, num_threads=1)
    else:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolver = getattr(OpResolverType, RESOLVERS[runtime])
        interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], EVERY_INPUT)
    interpreter.invoke()
    outputs = sorted(details["index"] for details in interpreter.get_output_details())
    return [interpreter.get_tensor(index)[0] for index in outputs]


def main(source: str, runtime: str, target: str) -> None:
    data, tables = np.load(source), []
    for start in range(0, len(data["scale"]), AT_ONCE):
        part = [data[name][start : start + AT_ONCE] for name in ("function", "scale", "zero_point")]
        content = many_operators(*part)
        tables += _tflm(content, len(part[0])) if runtime == "tflm" else _tflite(content, runtime)
    np.save(target, np.array(tables, np.int8))


if __name__ == "__main__":
    main(*sys.argv[1:])
