"""Runs a float .tflite on real numbers with LiteRT's built-in kernels: a script in a process of its own.

    python float_worker.py MODEL.tflite INPUTS.npy OUTPUTS.npy [TENSORS.npz 3,5,8]

INPUTS.npy is float32 [n, ...] in the shape that the model takes, without the batch; each is one invoke. OUTPUTS.npy is
float32 [n, outputs]. TENSORS.npz holds as "t3", "t5", "t8" what those tensors held, [n, ...] without the batch.

Exit codes: 0 done, 2 wrong usage, 3 bad input or the interpreter refused, 4 LiteRT is not installed.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

# The folder of this script holds modules named like the packages that it imports (tensorflow.py).
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or os.curdir) != _HERE]

try:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
except ImportError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(4)


def run(model: str, inputs: Any, kept: list[int]) -> tuple[Any, dict[int, Any]]:
    """All outputs, and what the tensors held."""
    interpreter = Interpreter(
        model_path=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=bool(kept),
    )
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]["index"]
    outputs, tensors = [], {index: [] for index in kept}  # type: ignore[var-annotated]
    for values in inputs:
        interpreter.set_tensor(source["index"], values.reshape(source["shape"]))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target).reshape(-1))
        for index, found in tensors.items():
            tensor = interpreter.get_tensor(index)
            found.append(tensor[0] if tensor.ndim and tensor.shape[0] == 1 else tensor)
    return np.array(outputs, np.float32), {index: np.array(found, np.float32) for index, found in tensors.items()}


def main(arguments: list[str]) -> int:
    if len(arguments) not in (3, 5):
        print("error: MODEL, INPUTS and OUTPUTS are needed, and TENSORS with their numbers may follow", file=sys.stderr)
        return 2
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a native crash leaves no file behind
    kept = [int(number) for number in arguments[4].split(",")] if len(arguments) == 5 else []
    try:
        outputs, tensors = run(arguments[0], np.load(arguments[1], allow_pickle=False), kept)
        np.save(arguments[2], outputs)
        if kept:
            np.savez(arguments[3], **{f"t{index}": values for index, values in tensors.items()})
    except (
        ValueError,
        RuntimeError,
        OSError,
        TypeError,
        IndexError,
    ) as error:  # what the interpreter raises, and numpy
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
