"""`lenet-edge bench --host`: the exported C and LiteRT's XNNPACK side by side on this machine."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from rich.table import Table

from lenet_edge.cli import common
from lenet_edge.errors import CheckFailedError
from lenet_edge.files import temporary_folder

__all__ = ["ROUNDS", "host_tables", "time_on_host"]

ROUNDS = 15


def time_on_host(model: Path, loaded: Any, content: bytes, images: Any) -> dict[str, Any]:
    """What `bench --host --json` prints.

    Raises:
        CheckFailedError: the C does not give the reference's logits.
        ToolFailedError: as `engines.host_timing.measure`.
    """

    import numpy as np

    from lenet_edge.cli.artefacts import Artefacts
    from lenet_edge.engines import host_c, host_timing, litert
    from lenet_edge.errors import BadInputError
    from lenet_edge.files import write_file
    from lenet_edge.formats import tflite
    from lenet_edge.quantized import reference

    kinds = {"plain": "c", **({"x86": "c-x86"} if host_c.IS_X86 else {})}
    with (
        temporary_folder() as folder,
        Artefacts(model, loaded, content, folder / "none", kinds=kinds.values()) as artefacts,  # of today's kernels
    ):
        folders = {}
        for name, kind in kinds.items():
            made = artefacts[kind]
            if isinstance(made, str):
                raise BadInputError(made)
            folders[name] = made
        trivial = Path(folder) / "one.tflite"
        write_file(trivial, tflite.to_bytes(_one_multiplication()))
        common.log(f"timing {ROUNDS} rounds over {len(images)} images")
        tflite_file = Path(artefacts["tflite"])
        found = host_timing.measure(folders, tflite_file, trivial, images, rounds=ROUNDS)
    expected = reference.run(loaded, images)
    for name, logits in found.logits.items():
        if (wrong := int(np.count_nonzero(logits != expected))) != 0:
            raise CheckFailedError(f"{wrong} logits of the C with kernels {name} are not the reference's")
    best = min(found.c.values())[0]
    runs = [
        *(
            {"name": f"c-{name}", **_times(times), "compiled_for": found.compiled_for[name]}
            for name, times in found.c.items()
        ),
        {"name": "litert-xnnpack", **_times(found.xnnpack), "compiled_for": ""},
    ]
    return {
        "cpu": _cpu(),
        "compiler": host_c.version(),
        "litert": litert.version(),
        "fingerprint": loaded.fingerprint,
        "images": len(images),
        "rounds": ROUNDS,
        "threads": 1,
        "runs": runs,
        "invocation_ns": round(found.invocation[0]),
        "ratio": round(found.xnnpack[0] / best, 3),
    }


def host_tables(result: dict[str, Any]) -> list[Table | str]:
    """The same for people."""
    title = (
        f"one inference on {result['cpu']}, one thread, {result['images']} images, {result['rounds']} rounds by turns"
    )
    table = common.new_table(title, "", "fastest round, us", "median round, us", "instructions")
    for run in result["runs"]:
        table.add_row(run["name"], f"{run['ns'] / 1000:.2f}", f"{run['median_ns'] / 1000:.2f}", run["compiled_for"])
    return [
        table,
        f"XNNPACK takes {result['ratio']:.2f} times as long as the C. Subtracted from it are "
        f"{result['invocation_ns'] / 1000:.2f} us, what invoking a model of one multiplication takes",
        f"{result['compiler']}; LiteRT {result['litert']}",
    ]


def _times(times: tuple[float, float]) -> dict[str, int]:
    return {"ns": round(times[0]), "median_ns": round(times[1])}


def _one_multiplication() -> Any:
    """A model of one weight: what it takes is what calling takes."""
    import numpy as np

    from lenet_edge.quantized.model import Conv2d, QTensor, QuantizedModel

    source, target = QTensor((1, 1, 1), 1.0, 0), QTensor((1, 1, 1), 1.0, 0)
    one = np.ones((1, 1, 1, 1), np.int8)
    scales = np.ones(1, np.float32)
    layer = Conv2d("one", source, target, one, np.zeros(1, np.int32), scales, (1, 1), "valid", -128, 127)
    return QuantizedModel((layer,))


def _cpu() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
