"""Runs a .tflite on images with one TFLite interpreter: a script that needs Python 3.9, numpy and that interpreter.

    python tflite_worker.py MODEL.tflite IMAGES.npy LOGITS.npy [--layers LAYERS.npz]
    python tflite_worker.py --version

It is a separate script for three reasons: tflite-runtime needs an older numpy than the rest of the
toolkit, a native crash or log line then stays in this process, and the same file can be copied to a
Raspberry Pi. IMAGES.npy is int8 [n, h, w, c], LOGITS.npy int8 [n, classes]; each image is one invoke.
LAYERS.npz holds names as "arr_0" and, as "arr_1", "arr_2", ..., the int8 outputs [n, ...] of those operators.

Exit codes: 0 done, 2 wrong usage, 3 bad input or the interpreter refused, 4 the interpreter is not installed.
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


class BadInputError(Exception):
    """The model, the images or their combination cannot be run; the text says why."""


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
        self.input = self._only(self.interpreter.get_input_details())
        self.output = self._only(self.interpreter.get_output_details())
        operators = self.interpreter._get_ops_details()  # the interpreters have no public way to ask
        # What the delegate took, it runs as operators named DELEGATE; the names of the original ones stay listed.
        delegated = [operator for operator in operators if operator["op_name"] == "DELEGATE"]
        if kernels == "xnnpack" and not delegated:
            raise BadInputError("XNNPACK took no operator of the model, so the built-in kernels would run")
        kept = [operator for operator in operators if operator["op_name"] != "DELEGATE"]
        names = {details["index"]: details["name"] for details in self.interpreter.get_tensor_details()}
        self.layers = {names[index]: index for operator in kept for index in operator["outputs"]}

    @staticmethod
    def _only(details: Any) -> Any:
        if len(details) != 1:
            raise BadInputError(f"the model has {len(details)} inputs or outputs, not one")
        return details[0]

    @property
    def input_type(self) -> tuple[tuple[int, ...], Any]:
        return tuple(int(size) for size in self.input["shape"]), np.dtype(self.input["dtype"])

    @property
    def output_type(self) -> tuple[tuple[int, ...], Any]:
        return tuple(int(size) for size in self.output["shape"]), np.dtype(self.output["dtype"])

    def __call__(self, image: Any) -> Any:
        self.interpreter.set_tensor(self.input["index"], image)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output["index"])

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
        graph = runtime.convert_bytearray_to_object(data).subgraphs[0]
        self.layers = {
            graph.tensors[index].name.decode(): int(index) for operator in graph.operators for index in operator.outputs
        }

    @property
    def input_type(self) -> tuple[tuple[int, ...], Any]:
        details = self.interpreter.get_input_details(0)
        return tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"])

    @property
    def output_type(self) -> tuple[tuple[int, ...], Any]:
        details = self.interpreter.get_output_details(0)
        return tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"])

    def __call__(self, image: Any) -> Any:
        self.interpreter.set_input(image, 0)
        self.interpreter.invoke()
        return self.interpreter.get_output(0)

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
    (shape, dtype), (output_shape, output_dtype) = runner.input_type, runner.output_type
    if dtype != np.int8 or output_dtype != np.int8:
        raise BadInputError(f"the model takes {dtype} and gives {output_dtype}, not int8")
    if shape[:1] != (1,) or images.dtype != np.int8 or images.shape[1:] != shape[1:]:
        raise BadInputError(f"the images are {images.dtype} {images.shape}, the model takes int8 {shape}")
    logits = np.empty((len(images), int(np.prod(output_shape))), np.int8)
    layers: dict[str, list[Any]] = {name: [] for name in runner.layers} if keep else {}
    for index in range(len(images)):
        logits[index] = runner(images[index : index + 1]).reshape(-1)
        for name, outputs in layers.items():
            outputs.append(np.array(runner.layer(name))[0])
    return logits, layers


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
                runner(np.zeros(*runner.input_type))
                status = 0
            finally:
                os._exit(status)
        fails, works = (fails, middle) if os.waitpid(child, 0)[1] == 0 else (middle, works)
    return works * 16


def arena(model: str) -> None:
    """Print TFLM's own account of the arena on stderr, and the smallest arena as JSON on stdout."""
    runner = TfLiteMicro("tflite_micro", model, "default", False)
    runner(np.zeros(*runner.input_type))
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
    parser.add_argument("model", nargs="?", help=".tflite with int8 input and output")
    parser.add_argument("images", nargs="?", help=".npy, int8 [n, h, w, c]")
    parser.add_argument("logits", nargs="?", help=".npy to write, int8 [n, classes]")
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
