"""Runs a .tflite on images with one TFLite interpreter: a script that needs Python 3.9, numpy and that interpreter.

    python tflite_worker.py MODEL.tflite IMAGES.npy LOGITS.npy [--layers LAYERS.npz]
    python tflite_worker.py --version

It is a separate script for three reasons: tflite-runtime needs an older numpy than the rest of the
toolkit, a native crash or log line then stays in this process, and the same file can be copied to a
Raspberry Pi. IMAGES.npy is int8 [n, ...] in the shape that the model takes, LOGITS.npy int8 [n, outputs]; each image
is one invoke. Several inputs, and several outputs, lie one behind the other in the order of the file: int8 [n, values].
A uint8 end of a file is the int8 value ^ 0x80, and a float32 end the real value of an int8 tensor: the one behind the
QUANTIZE that reads the input, or in front of the DEQUANTIZE that writes the output.
LAYERS.npz holds names as "arr_0" and, as "arr_1", "arr_2", ..., the int8 outputs [n, ...] of those operators; a name
that two tensors have is left out.

Exit codes: 0 done, 2 wrong usage, 3 bad input or the interpreter refused, 4 the interpreter is not installed,
5 the requested kernels take none of the model's operators.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import resource
import sys
import warnings
from typing import Any

# The folder of this script holds modules named like the packages that it imports (tensorflow.py).
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or os.curdir) != _HERE]

try:
    import numpy as np
except ImportError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(4)

RESOLVERS = {"reference": "BUILTIN_REF", "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "AUTO"}
PACKAGES = ("tflite_runtime", "ai_edge_litert", "tensorflow", "tflite_micro")
AMPLE_ARENA = 16 << 20  # TFLM ends in a segmentation fault where its arena is too small
NAMED_OPERATORS = {6: "DEQUANTIZE", 114: "QUANTIZE"}  # the schema's BuiltinOperator
STEP_ERROR = 1 / 1024  # of a step: what float32 makes of a product, and far from half a step


class BadInputError(Exception):
    """The model, the images or their combination cannot be run; the text says why."""


class NothingToRunError(Exception):
    """The requested kernels take none of the model's operators."""


class End:
    """An input or output of the file, and the int8 values that stand for it.

    Attributes:
        index: as the interpreter asks for it.
        shape: of the file's tensor, batch included.
        dtype: int8, uint8 or float32.
        scale, zero_point: of the int8 tensor that a float32 end is of.
    """

    def __init__(self, what: str, index: int, shape: Any, dtype: Any, scaling: tuple[float, int] | None) -> None:
        self.what, self.index = what, index
        self.shape, self.dtype = tuple(int(size) for size in shape), np.dtype(dtype)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        if self.dtype not in (np.int8, np.uint8, np.float32):
            raise BadInputError(f"the {what} is {self.dtype}, not int8, uint8 or float32")
        if self.dtype == np.float32 and scaling is None:
            raise BadInputError(f"the {what} is float32, and no int8 tensor that it stands for is next to it")
        self.scale, self.zero_point = scaling or (1.0, 0)

    def encoded(self, values: Any) -> Any:
        """Flat int8 values as the file's tensor takes them."""
        if self.dtype == np.uint8:
            values = values.view(np.uint8) ^ np.uint8(0x80)
        elif self.dtype == np.float32:
            values = (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)
        return np.ascontiguousarray(values).reshape(self.shape)

    def decoded(self, tensor: Any) -> Any:
        """What the file's tensor holds as flat int8 values."""
        values = np.asarray(tensor).reshape(-1)
        if self.dtype == np.uint8:
            return (values ^ np.uint8(0x80)).view(np.int8)
        if self.dtype == np.int8:
            return values
        steps = values.astype(np.float64) / self.scale
        whole = np.rint(steps)
        integers = whole + self.zero_point
        with np.errstate(invalid="ignore"):  # of infinite values
            fits = (np.abs(steps - whole) <= STEP_ERROR) & (integers >= -128) & (integers <= 127)
        if not fits.all():
            raise BadInputError(
                f"the {self.what} holds a value that is no int8 of scale {self.scale:g} and zero point "
                f"{self.zero_point}: what the runtime computes there is not the integers of the file"
            )
        return integers.astype(np.int8)


def scaling_of(operators: Any, quantization: Any, index: int, is_input: bool) -> tuple[float, int] | None:
    """(scale, zero point) of the int8 tensor that stands for a float32 end; None where none does, or several do.

    Args:
        operators: (name, inputs, outputs) of each.
        quantization: tensor's index -> (scale, zero point).
    """
    found = set()
    for name, inputs, outputs in operators:
        if is_input and name == "QUANTIZE" and index in inputs:
            found.add(quantization(outputs[0]))
        elif not is_input and name == "DEQUANTIZE" and index in outputs:
            found.add(quantization(inputs[0]))
    return found.pop() if len(found) == 1 else None


def shown_names(names: list[tuple[str, int]]) -> dict[str, int]:
    """name -> tensor of those that one tensor alone has."""
    tensors: dict[str, set[int]] = {}
    for name, index in names:
        tensors.setdefault(name, set()).add(index)
    return {name: min(indices) for name, indices in tensors.items() if len(indices) == 1}


def load(package: str) -> tuple[Any, Any]:
    """The class `Interpreter` and the enumeration `OpResolverType` of a package."""
    if package == "tensorflow":
        lite = importlib.import_module("tensorflow").lite
        return lite.Interpreter, lite.experimental.OpResolverType
    module = importlib.import_module(package + ".interpreter")
    return module.Interpreter, module.OpResolverType


class TfLite:
    """A model in the interpreter of tflite-runtime, LiteRT or tf.lite."""

    def __init__(self, package: str, model: str, kernels: str, keep: bool) -> None:
        interpreter_class, resolvers = load(package)
        options: dict[str, Any] = {}
        if kernels != "default":
            options["experimental_op_resolver_type"] = getattr(resolvers, RESOLVERS[kernels])
        if keep:
            options["experimental_preserve_all_tensors"] = True
        self.interpreter = interpreter_class(model_path=model, num_threads=1, **options)
        self.interpreter.allocate_tensors()
        operators = self.interpreter._get_ops_details()  # the interpreters have no public way to ask
        # What the delegate took, it runs as operators named DELEGATE; the names of the original ones stay listed.
        delegated = [operator for operator in operators if operator["op_name"] == "DELEGATE"]
        if kernels == "xnnpack" and not delegated:
            raise NothingToRunError(
                "XNNPACK takes none of the model's operators, so the built-in kernels would run instead"
            )
        kept = [operator for operator in operators if operator["op_name"] != "DELEGATE"]
        tensors = {details["index"]: details for details in self.interpreter.get_tensor_details()}
        self.layers = shown_names(
            [(tensors[index]["name"], int(index)) for operator in kept for index in operator["outputs"]]
        )
        self.steps = [(each["op_name"], list(each["inputs"]), list(each["outputs"])) for each in kept]
        self.quantization = lambda index: tuple(tensors[index]["quantization"])
        self.inputs = self._ends("input", self.interpreter.get_input_details())
        self.outputs = self._ends("output", self.interpreter.get_output_details())

    def _ends(self, what: str, all_details: Any) -> list[End]:
        ends = []
        for number, details in enumerate(all_details):
            index = int(details["index"])
            scaling = scaling_of(self.steps, self.quantization, index, what == "input")
            ends.append(End(f"{what} {number}", index, details["shape"], details["dtype"], scaling))
        return ends

    def __call__(self, tensors: Any) -> Any:
        for number, end in enumerate(self.inputs):
            self.interpreter.set_tensor(end.index, tensors[number])
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(end.index) for end in self.outputs]

    def layer(self, name: str) -> Any:
        return self.interpreter.get_tensor(self.layers[name])


class TfLiteMicro:
    """A model in TFLM's interpreter."""

    def __init__(self, package: str, model: str, kernels: str, keep: bool, arena_size: int = AMPLE_ARENA) -> None:
        if kernels != "default":
            raise BadInputError("TFLM has one set of kernels here: --kernels does not apply")
        runtime = importlib.import_module(package).runtime
        with open(model, "rb") as stream:
            data = stream.read()
        verify(data)
        config = runtime.InterpreterConfig
        config = config.kPreserveAllTensors if keep else config.kAllocationRecording
        # It reads the model's bytes in place, so they have to live as long as it does.
        self.data = data
        self.interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena_size, intrepreter_config=config)
        root = runtime.convert_bytearray_to_object(data)
        self.graph = root.subgraphs[0]
        self.layers = shown_names(
            [
                ((self.graph.tensors[index].name or b"").decode("utf-8", "replace"), int(index))
                for operator in self.graph.operators
                for index in operator.outputs
            ]
        )
        self.steps = [self._step(root.operatorCodes, operator) for operator in self.graph.operators]
        self.inputs = self._ends("input", self.graph.inputs, self.interpreter.get_input_details)
        self.outputs = self._ends("output", self.graph.outputs, self.interpreter.get_output_details)

    @staticmethod
    def _step(codes: Any, operator: Any) -> tuple[str, list[int], list[int]]:
        code = codes[operator.opcodeIndex]
        name = NAMED_OPERATORS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")
        return name, list(operator.inputs), list(operator.outputs)

    def _quantization(self, index: int) -> tuple[float, int]:
        quantization = self.graph.tensors[index].quantization
        return float(quantization.scale[0]), int(quantization.zeroPoint[0])

    def _ends(self, what: str, indices: Any, details_of: Any) -> list[End]:
        ends = []
        for number, index in enumerate(indices):
            details = details_of(number)
            scaling = scaling_of(self.steps, self._quantization, index, what == "input")
            ends.append(End(f"{what} {number}", number, details["shape"], details["dtype"], scaling))
        return ends

    def __call__(self, tensors: Any) -> Any:
        for number, end in enumerate(self.inputs):
            self.interpreter.set_input(tensors[number], end.index)
        self.interpreter.invoke()
        return [self.interpreter.get_output(end.index) for end in self.outputs]

    def layer(self, name: str) -> Any:
        return self.interpreter.GetTensor(self.layers[name], 0)["tensor_data"]


def verify(data: bytes) -> None:
    """Refuse what is not a whole .tflite where LiteRT can tell: TFLM trusts every offset in the file."""
    if data[4:8] != b"TFL3":
        raise BadInputError("not a .tflite file (its identifier TFL3 is missing)")
    try:
        interpreter_class, _ = load("ai_edge_litert")
    except ImportError:
        return
    interpreter_class(model_content=data)


def run(runner: TfLite | TfLiteMicro, images: Any, keep: bool) -> tuple[Any, dict[str, list[Any]]]:
    """All logits, and the layers' outputs by name where they are kept."""
    require_shape(runner.inputs, images)
    logits = np.empty((len(images), sum(end.size for end in runner.outputs)), np.int8)
    layers: dict[str, list[Any]] = {name: [] for name in runner.layers} if keep else {}
    for index, image in enumerate(images):
        given = runner(encoded(runner.inputs, image))
        logits[index] = np.concatenate(list(map(End.decoded, runner.outputs, given)))
        for name, outputs in layers.items():
            outputs.append(without_batch(np.array(runner.layer(name))))
    return logits, layers


def encoded(inputs: list[End], image: Any) -> list[Any]:
    """The tensors of one int8 image, or of the values of several inputs in a row."""
    bounds = np.cumsum([end.size for end in inputs])[:-1]
    return list(map(End.encoded, inputs, np.split(image.reshape(-1), bounds)))


def require_shape(inputs: list[End], images: Any) -> None:
    """Refuse images that are not what the model takes: its shape, or the values of several inputs in a row."""
    total, given = sum(end.size for end in inputs), without_ones(images.shape[1:])
    fitting = [without_ones((total,)), *(without_ones(end.shape) for end in inputs[:1] if len(inputs) == 1)]
    if images.dtype != np.int8 or given not in fitting:
        taken = " and ".join(str(end.shape) for end in inputs)
        raise BadInputError(f"the images are {images.dtype} {images.shape}, the model takes int8 {taken}")


def without_ones(shape: Any) -> list[int]:
    return [size for size in shape if size != 1]


def without_batch(tensor: Any) -> Any:
    return tensor[0] if tensor.ndim and tensor.shape[0] == 1 else tensor


def smallest_arena(model: str, ample: int) -> int:
    """The smallest arena, in steps of 16 bytes, in which TFLM allocates the model and runs it once."""
    fails, works = 0, ample // 16
    while works - fails > 1:
        middle = (fails + works) // 2
        child = os.fork()  # too small an arena may end the process
        if child == 0:
            status = 1
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                runner = TfLiteMicro("tflite_micro", model, "default", False, middle * 16)
                runner(zeros(runner))
                status = 0
            finally:
                os._exit(status)
        fails, works = (fails, middle) if os.waitpid(child, 0)[1] == 0 else (middle, works)
    return works * 16


def zeros(runner: TfLiteMicro) -> list[Any]:
    return [np.zeros(end.shape, end.dtype) for end in runner.inputs]


def arena(model: str) -> None:
    """Print TFLM's own account of the arena on stderr, and the smallest arena as JSON on stdout."""
    runner = TfLiteMicro("tflite_micro", model, "default", False)
    runner(zeros(runner))
    runner.interpreter.print_allocations()
    print(json.dumps({"smallest": smallest_arena(model, AMPLE_ARENA)}))


def version(package: str) -> str:
    """`name version` of the distribution that carries the package."""
    name = package.replace("_", "-")
    return f"{name} {importlib.metadata.version(name)}"


def chosen_package(name: str) -> str:
    if name != "auto":
        return name
    found = [package for package in PACKAGES[:2] if importlib.util.find_spec(package)]
    if not found:
        raise ImportError("neither tflite_runtime nor ai_edge_litert is installed")
    return found[0]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help=".tflite, int8 within")
    parser.add_argument("images", nargs="?", help=".npy, int8 [n, ...]")
    parser.add_argument("logits", nargs="?", help=".npy to write, int8 [n, outputs]")
    parser.add_argument("--layers", metavar="NPZ", help="write the outputs of all layers as well")
    parser.add_argument("--interpreter", choices=("auto", *PACKAGES), default="auto")
    parser.add_argument("--kernels", choices=("default", *RESOLVERS), default="default")
    parser.add_argument("--arena", action="store_true", help="measure TFLM's arena instead; MODEL only")
    parser.add_argument("--version", action="store_true", help="print the interpreter's name and version")
    options = parser.parse_args(arguments)
    if not options.version and not (options.model and (options.arena or options.logits)):
        parser.error("MODEL, IMAGES and LOGITS are needed")
    return options


def infer(options: argparse.Namespace, package: str) -> None:
    images = np.load(options.images, allow_pickle=False)
    keep = options.layers is not None
    runner: TfLite | TfLiteMicro
    runner = (TfLiteMicro if package == "tflite_micro" else TfLite)(package, options.model, options.kernels, keep)
    logits, layers = run(runner, images, keep)
    np.save(options.logits, logits)
    if keep:
        int8 = {name: array for name, array in map(stacked, layers.items()) if array.dtype == np.int8}
        np.savez(options.layers, np.array(list(int8)), *int8.values())


def stacked(item: tuple[str, list[Any]]) -> tuple[str, Any]:
    return item[0], np.array(item[1])


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a native crash leaves no file behind
    warnings.simplefilter("ignore")  # the user can do nothing about the interpreters' deprecations
    try:
        package = chosen_package(options.interpreter)
        if options.version:
            print(version(package))
        elif options.arena:
            arena(options.model)
        else:
            infer(options, package)
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    except NothingToRunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 5
    except (
        BadInputError,
        ValueError,
        RuntimeError,
        OSError,
    ) as error:  # what the interpreters raise, and numpy for files
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
