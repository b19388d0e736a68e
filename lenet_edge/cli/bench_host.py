"""`lenet-edge bench --host`: the exported C and LiteRT's XNNPACK next to each other on this machine."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from rich.table import Table

from lenet_edge.cli import common
from lenet_edge.errors import BadInputError, CheckFailedError
from lenet_edge.files import temporary_folder, write_file

if TYPE_CHECKING:
    from lenet_edge.cli.inputs import Int8Array
    from lenet_edge.engines.host_timing import Timing
    from lenet_edge.quantized.model import QuantizedModel

__all__ = ["ROUNDS", "host_tables", "one_multiplication", "processor", "time_on_host"]

ROUNDS = 15


class Run(TypedDict):
    """One contestant: its fastest round and the median over the rounds, per inference."""

    name: str
    ns: int
    median_ns: int
    compiled_for: str


class HostTimes(TypedDict):
    """What `bench --host --json` prints."""

    cpu: str
    compiler: str
    litert: str
    fingerprint: str
    images: int
    rounds: int
    threads: int
    runs: list[Run]
    invocation_ns: int
    ratio: float


def time_on_host(model: Path, loaded: QuantizedModel, content: bytes, images: Int8Array) -> HostTimes:
    """What `bench --host --json` prints.

    Raises:
        CheckFailedError: the C does not give the reference's logits.
        ToolFailedError: as `engines.host_timing.measure`.
    """
    from lenet_edge.engines import host_c, litert

    found = _measure(model, loaded, content, images)
    _require_logits(found, loaded, images)
    c_runs = [_run(f"c-{name}", times, found.compiled_for[name]) for name, times in found.c.items()]
    return {
        "cpu": processor(),
        "compiler": host_c.version(),
        "litert": litert.version(),
        "fingerprint": loaded.fingerprint,
        "images": len(images),
        "rounds": ROUNDS,
        "threads": 1,
        "runs": [*c_runs, _run("litert-xnnpack", found.xnnpack, "")],
        "invocation_ns": round(found.invocation[0]),
        "ratio": round(found.xnnpack[0] / min(found.c.values())[0], 3),
    }


def _measure(model: Path, loaded: QuantizedModel, content: bytes, images: Int8Array) -> Timing:
    """Export today's kernels, and time them and LiteRT interleaved."""
    from lenet_edge.cli.artefacts import Artefacts
    from lenet_edge.engines import Absent, host_c, host_timing
    from lenet_edge.formats import tflite

    kinds = {"plain": "c", **({host_c.FAMILY: f"c-{host_c.FAMILY}"} if host_c.FAMILY else {})}
    with (
        temporary_folder() as folder,
        Artefacts(model, loaded, content, folder / "none", kinds=kinds.values()) as artefacts,
    ):
        files: dict[str, Path] = {}
        for name in ("tflite", *kinds.values()):
            made = artefacts[name]
            if isinstance(made, Absent):
                raise BadInputError(made.reason)
            files[name] = made
        folders = {name: files[kind] for name, kind in kinds.items()}
        trivial = folder / "one.tflite"
        write_file(trivial, tflite.to_bytes(one_multiplication()))
        common.log(f"timing {ROUNDS} rounds over {len(images)} images")
        return host_timing.measure(folders, files["tflite"], trivial, images, rounds=ROUNDS)


def _require_logits(found: Timing, loaded: QuantizedModel, images: Int8Array) -> None:
    import numpy as np

    from lenet_edge.quantized import reference

    expected = reference.run(loaded, images)
    for name, logits in found.logits.items():
        if (wrong := int(np.count_nonzero(logits != expected))) != 0:
            raise CheckFailedError(f"{wrong} logits of the C with kernels {name} are not the reference's")


def _run(name: str, times: tuple[float, float], compiled_for: str) -> Run:
    return {"name": name, "ns": round(times[0]), "median_ns": round(times[1]), "compiled_for": compiled_for}


def host_tables(result: HostTimes) -> list[Table | str]:
    """The same for people."""
    rounds = f"{result['rounds']} rounds, interleaved"
    title = f"one inference on {result['cpu']}, one thread, {result['images']} images, {rounds}"
    table = common.new_table(title, "", "fastest round, us", "median round, us", "instructions")
    for run in result["runs"]:
        table.add_row(run["name"], f"{run['ns'] / 1000:.2f}", f"{run['median_ns'] / 1000:.2f}", run["compiled_for"])
    return [
        table,
        f"XNNPACK takes {result['ratio']:.2f} times as long as the C. Subtracted from it are "
        f"{result['invocation_ns'] / 1000:.2f} us, what invoking a model of one multiplication takes",
        f"{result['compiler']}; LiteRT {result['litert']}",
    ]


def one_multiplication() -> QuantizedModel:
    """A model of one weight: what it takes is what calling takes."""
    import numpy as np

    from lenet_edge.quantized.model import Conv2d, QTensor, QuantizedModel

    source, target = QTensor((1, 1, 1), 1.0, 0), QTensor((1, 1, 1), 1.0, 0)
    one = np.ones((1, 1, 1, 1), np.int8)
    scales = np.ones(1, np.float32)
    layer = Conv2d("one", source, target, one, np.zeros(1, np.int32), scales, (1, 1), "valid", -128, 127)
    return QuantizedModel((layer,))


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
