"""The real runtimes as judges of `.tflite` bytes that may be damaged: what each computes, or that it refuses.

TFLM trusts every offset of its file, so each file is judged in a forked child that may die of it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro import runtime as tflm_runtime

LITERT = {
    "litert-reference": OpResolverType.BUILTIN_REF,
    "litert-builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "litert-xnnpack": OpResolverType.AUTO,
}
RUNTIMES = ("tflm", *LITERT)
REFUSED, CRASHED = "refused", "crashed"
_ARENA = 1 << 20
_SECONDS = 20


def _litert(data: bytes, images: np.ndarray, resolver: OpResolverType) -> np.ndarray:
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for image in images:
        interpreter.set_tensor(source["index"], image[np.newaxis].reshape(source["shape"]))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"]).reshape(-1))
    return np.array(outputs)


def _tflm(data: bytes, images: np.ndarray) -> np.ndarray:
    interpreter = tflm_runtime.Interpreter.from_bytes(data, arena_size=_ARENA)
    shape = interpreter.get_input_details(0)["shape"]
    outputs = []
    for image in images:
        interpreter.set_input(image[np.newaxis].reshape(shape), 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).reshape(-1))
    return np.array(outputs)


def outputs(data: bytes, images: np.ndarray) -> dict[str, Any]:
    """What each runtime computes for int8 images ``[n, ...]``: a list of int8 lists, or why it refuses."""
    runs: dict[str, Callable[[], np.ndarray]] = {
        name: lambda resolver=resolver: _litert(data, images, resolver) for name, resolver in LITERT.items()
    }
    runs["tflm"] = lambda: _tflm(data, images)
    return {name: _tried(run) for name, run in runs.items()}


def _tried(run: Callable[[], np.ndarray]) -> Any:
    try:
        return run().tolist()
    except Exception as error:
        return f"{REFUSED}: {error}"


def judged(items: Sequence[tuple[bytes, np.ndarray]]) -> Iterator[dict[str, Any]]:
    """`outputs` of each (bytes, images), in order; ``{"all": "crashed"}`` where the child died of it."""
    done = 0
    while done < len(items):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _judge(items[done:], writing)
        os.close(writing)
        with os.fdopen(reading) as stream:
            for line in stream:
                if line.endswith("\n"):
                    done += 1
                    yield json.loads(line)
        if os.waitpid(child, 0)[1] != 0 and done < len(items):
            done += 1
            yield {"all": CRASHED}


def _judge(items: Sequence[tuple[bytes, np.ndarray]], writing: int) -> None:
    """The child: a line of JSON for each item."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.disable()  # a crash here is an answer
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        warnings.simplefilter("ignore")
        with os.fdopen(writing, "w") as stream:
            for data, images in items:
                signal.alarm(_SECONDS)
                stream.write(json.dumps(outputs(data, images)) + "\n")
                stream.flush()
        status = 0
    finally:
        os._exit(status)
