"""Runs the kit's cases through a runtime and compares every integer. It needs numpy, and nothing of lenet-edge.

    python conformance.py litert                  # a runtime of ADAPTERS
    python conformance.py my_runtime:infer        # infer(case, inputs) of my_runtime.py
    python conformance.py tflm conv-3x3 matrix-ties-large-q

The function gets a `Case` and its inputs, int8 ``[64, values]``, and returns the outputs, int8 ``[64, values]``:
several tensors lie one behind the other, each in the order rows, columns, channels. It raises `Unsupported` where the
runtime does not take the model, which is reported and is no failure.

Ends with 0 if all that ran is right, with 1 if anything differs or failed or nothing ran, with 2 for wrong usage
or a kit that cannot be read.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


class Unsupported(Exception):  # noqa: N818
    """The runtime does not take this model."""


@dataclass(frozen=True)
class Case:
    """A case of the kit.

    Attributes:
        folder: with model.tflite, model.onnx, model-qoperator.onnx.
        inputs, outputs: the shapes of the tensors, without the batch.
    """

    name: str
    purpose: str
    folder: Path
    count: int
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]

    @property
    def tflite(self) -> Path:
        return self.folder / "model.tflite"

    @property
    def onnx(self) -> Path:
        return self.folder / "model.onnx"

    def split(self, inputs: np.ndarray) -> list[np.ndarray]:
        """``[n, values]`` as the model's tensors, ``[n, *shape]``."""
        ends = np.cumsum([math.prod(shape) for shape in self.inputs])[:-1]
        parts = np.split(inputs, ends, axis=1)
        return [part.reshape(len(inputs), *shape) for part, shape in zip(parts, self.inputs, strict=True)]


Infer = Callable[[Case, np.ndarray], np.ndarray]
Run = Callable[[list[np.ndarray]], Sequence[np.ndarray]]  # the model's tensors in, its tensors out
STATUSES = ("right", "wrong", "failed", "unsupported")


def read_cases(folder: Path) -> list[Case]:
    """The cases of the kit in `folder`."""
    listed = json.loads((folder / "cases.json").read_text(encoding="utf-8"))["cases"]
    return [
        Case(
            item["name"],
            item["purpose"],
            folder / "cases" / item["name"],
            item["count"],
            tuple(tuple(tensor["shape"]) for tensor in item["inputs"]),
            tuple(tuple(tensor["shape"]) for tensor in item["outputs"]),
        )
        for item in listed
    ]


def read_values(case: Case, name: str, shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """A file of the kit, int8 ``[64, values]``; ends with 2 if it is not all there."""
    values, path = sum(math.prod(shape) for shape in shapes), case.folder / name
    try:
        return np.fromfile(path, np.int8).reshape(case.count, values)
    except (OSError, ValueError) as error:
        print(f"{path} cannot be read, or has not {case.count * values} bytes: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def run(case: Case, infer: Infer) -> dict[str, Any]:
    """One case: its name, "right", "wrong", "failed" or "unsupported", and what differs."""
    inputs = read_values(case, "inputs.bin", case.inputs)
    expected = read_values(case, "expected.bin", case.outputs)
    try:
        got = np.asarray(infer(case, inputs))
    except Unsupported as error:
        return {"name": case.name, "status": "unsupported", "message": str(error)}
    except (Exception, SystemExit) as error:  # a runtime that ends the process has not passed
        return {"name": case.name, "status": "failed", "message": f"{type(error).__name__}: {error}"}
    if got.dtype != np.int8 or got.size != expected.size:
        message = f"it gave {got.dtype}{list(got.shape)}, not int8{list(expected.shape)}"
        return {"name": case.name, "status": "failed", "message": message}
    wrong = got.reshape(expected.shape) != expected
    if not wrong.any():
        return {"name": case.name, "status": "right", "message": ""}
    row, column = (int(index) for index in np.argwhere(wrong)[0])
    right, came = expected[row, column], got.reshape(expected.shape)[row, column]
    first = f"input {row}, output {column}: expected {right}, got {came}"
    message = f"{int(wrong.sum())} of {wrong.size} integers differ; {first}"
    return {"name": case.name, "status": "wrong", "message": message}


# --- adapters: examples for one's own ------------------------------------------------------------


def _one_by_one(case: Case, inputs: np.ndarray, infer: Run) -> np.ndarray:
    """Run ``infer(tensors of one inference, each with a batch of 1)`` for each input."""
    tensors = case.split(inputs)
    rows = [infer([tensor[index : index + 1] for tensor in tensors]) for index in range(len(inputs))]
    return np.stack([np.concatenate([np.ravel(value) for value in row]) for row in rows])


def litert(case: Case, inputs: np.ndarray) -> np.ndarray:
    """LiteRT with its default kernels: pip install ai-edge-litert."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(case.tflite))
    interpreter.allocate_tensors()
    given = sorted(interpreter.get_input_details(), key=lambda detail: _number(detail["name"]))

    def infer(tensors: list[np.ndarray]) -> list[np.ndarray]:
        for detail, tensor in zip(given, tensors, strict=True):
            interpreter.set_tensor(detail["index"], tensor)
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]

    return _one_by_one(case, inputs, infer)


def _number(name: str) -> int:
    """Of an input's name: image, image_1, ..."""
    last = name.split(":")[0].rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def tflm(case: Case, inputs: np.ndarray) -> np.ndarray:
    """TFLite Micro: pip install tflite-micro."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(case.tflite))

    def infer(tensors: list[np.ndarray]) -> list[np.ndarray]:
        for index, tensor in enumerate(tensors):
            interpreter.set_input(tensor, index)
        interpreter.invoke()
        return [interpreter.get_output(index) for index in range(len(case.outputs))]

    return _one_by_one(case, inputs, infer)


def onnxruntime(case: Case, inputs: np.ndarray) -> np.ndarray:
    """ONNX Runtime, all optimisations: pip install onnxruntime."""
    import onnxruntime as runtime

    session = runtime.InferenceSession(str(case.onnx), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return with_onnx(case, inputs, lambda tensors: session.run(None, dict(zip(names, tensors, strict=True))))


def onnx_reference(case: Case, inputs: np.ndarray) -> np.ndarray:
    """The reference evaluator of onnx: pip install onnx."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.version_converter.convert_version(onnx.load(case.onnx), 21)  # it has no DequantizeLinear of opset 13
    evaluator = ReferenceEvaluator(model)
    names = evaluator.input_names
    return with_onnx(case, inputs, lambda tensors: evaluator.run(None, dict(zip(names, tensors, strict=True))))


def with_onnx(case: Case, inputs: np.ndarray, run_all: Callable[[list[np.ndarray]], Any]) -> np.ndarray:
    """Run tensors of all inputs, maps with their channels first as the ONNX files have them."""
    given = [np.moveaxis(tensor, 3, 1) if tensor.ndim == 4 else tensor for tensor in case.split(inputs)]
    got = run_all([np.ascontiguousarray(tensor) for tensor in given])
    shaped = zip(got, case.outputs, strict=True)
    maps = [np.moveaxis(value, 1, 3) if len(shape) == 3 else value for value, shape in shaped]
    return np.concatenate([value.reshape(len(inputs), -1) for value in maps], axis=1)


def openvino(case: Case, inputs: np.ndarray) -> np.ndarray:
    """OpenVINO on the CPU, from ONNX, in float32 where it does not compute in int8: pip install openvino."""
    return _openvino(case, inputs, case.onnx, {"INFERENCE_PRECISION_HINT": "f32"})


def openvino_default(case: Case, inputs: np.ndarray) -> np.ndarray:
    """The same with the precision that it chooses itself, which follows from the processor."""
    return _openvino(case, inputs, case.onnx, {})


def _openvino(case: Case, inputs: np.ndarray, path: Path, options: dict[str, str]) -> np.ndarray:
    import openvino as runtime

    model = runtime.Core().compile_model(str(path), "CPU", options)
    names = [given.get_any_name() for given in model.inputs]

    def infer(tensors: list[np.ndarray]) -> list[np.ndarray]:
        found = model(dict(zip(names, tensors, strict=True)))
        return [found[output] for output in model.outputs]

    return with_onnx(case, inputs, infer)


def opencv(case: Case, inputs: np.ndarray) -> np.ndarray:
    """OpenCV's dnn: pip install opencv-python-headless."""
    import cv2

    network = cv2.dnn.readNetFromONNX(str(case.onnx))
    names = network.getUnconnectedOutLayersNames()

    def infer(tensors: list[np.ndarray]) -> list[np.ndarray]:
        for index, tensor in enumerate(tensors):
            network.setInput(tensor, f"image_{index}" if index else "image")
        return [_as_int8(value) for value in network.forward(names)]

    rows = [with_onnx(case, inputs[index : index + 1], infer) for index in range(len(inputs))]
    return np.concatenate(rows)


def _as_int8(values: np.ndarray) -> np.ndarray:
    """Integers that a runtime gives in another type."""
    found = values.astype(np.int8)
    if (found != values).any():
        raise ValueError(f"it gave {values.dtype} that are not int8")
    return found


def tract(case: Case, inputs: np.ndarray) -> np.ndarray:
    """Tract: pip install tract."""
    import tract as runtime

    model = runtime.onnx().load(str(case.onnx)).into_model().into_runnable()
    rows = [
        with_onnx(case, inputs[index : index + 1], lambda tensors: [value.to_numpy() for value in model.run(tensors)])
        for index in range(len(inputs))
    ]
    return np.concatenate(rows)


ADAPTERS: dict[str, Infer] = {
    "litert": litert,
    "tflm": tflm,
    "onnxruntime": onnxruntime,
    "onnx-reference": onnx_reference,
    "openvino": openvino,
    "openvino-default": openvino_default,
    "opencv": opencv,
    "tract": tract,
}


def _function(name: str) -> Infer:
    """An adapter, or FUNCTION of MODULE:FUNCTION; modules are also looked for in the current folder."""
    if name in ADAPTERS:
        return ADAPTERS[name]
    module, _, function = name.partition(":")
    if not function:
        raise ValueError(f"there is no adapter {name!r}; choose {', '.join(ADAPTERS)}, or MODULE:FUNCTION")
    sys.path.insert(0, "")
    sys.modules.setdefault("conformance", sys.modules[__name__])  # so that its Unsupported is this one
    found: Infer = getattr(importlib.import_module(module), function)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the conformance kit.")
    parser.add_argument("runtime", help=f"{', '.join(ADAPTERS)}, or MODULE:FUNCTION")
    parser.add_argument("cases", nargs="*", help="names of cases; without them all")
    parser.add_argument("--kit", type=Path, default=Path(__file__).parent, help="the kit's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        known, infer = read_cases(options.kit), _function(options.runtime)
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as error:
        parser.error(f"{type(error).__name__}: {error}")
    if unknown := set(options.cases) - {case.name for case in known}:
        parser.error(f"there is no case {sorted(unknown)[0]}")
    results = []
    for case in known:
        if options.cases and case.name not in options.cases:
            continue
        results.append(run(case, infer))
        if not options.json and results[-1]["status"] != "right":
            print("{name}: {status}: {message}".format(**results[-1]), flush=True)
    counts = {status: sum(item["status"] == status for item in results) for status in STATUSES}
    if options.json:
        print(json.dumps({"runtime": options.runtime, **counts, "cases": results}, indent=1))
    else:
        print(", ".join(f"{count} {status}" for status, count in counts.items()))
    return int(bool(counts["wrong"] or counts["failed"] or not counts["right"]))


if __name__ == "__main__":
    sys.exit(main())
