"""Writes artefacts.json: what the exporters make of the sample models, as SHA-256.

    make golden        (python tests/golden/generate.py)

The golden values prove stability only: the same bytes on every machine, and no
change of them unnoticed. They are this toolkit's own, so they do not prove that
the bytes are right; the tests of kernels and parity do. After a change that is
meant, run this again and look at the difference.
"""

import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import sample_models  # noqa: E402

from lenet_edge.files import to_json  # noqa: E402
from lenet_edge.formats import c_source, onnx, tflite, tflm  # noqa: E402

GOLDEN = HERE / "artefacts.json"
FIRMWARE = HERE.parents[1] / "firmware"
MODELS = {
    "lenet5": sample_models.lenet5,
    "lenet5_sigmoid": sample_models.lenet5_sigmoid,
    "every_layer": sample_models.every_layer,
}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def artefacts(model):
    """The fingerprint, and the digest of every file that is made without measuring anything."""
    file = tflite.to_bytes(model)
    arena = tflm.HostArena(head=5888, tail=4368, smallest=10256, measured_with="no interpreter: a golden file")
    sources = tflm.export(model, file, arena=arena, name="golden")
    made = {
        "model.tflite": file,
        "qdq.onnx": onnx.to_bytes(model, "qdq"),
        "qoperator.onnx": onnx.to_bytes(model, "qoperator"),
    }
    c = c_source.export(c_source.make_plan(model), FIRMWARE)
    kernels = {path.name for path in (FIRMWARE / "kernels").glob("*/*")}  # no output
    made |= {f"c/{name}": data for name, data in c.items() if name not in kernels}
    return {
        "fingerprint": model.fingerprint,
        "files": {name: digest(data) for name, data in {**made, **sources}.items()},
    }


def golden() -> str:
    return to_json({name: artefacts(make()) for name, make in MODELS.items()})


def known():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


if __name__ == "__main__":
    GOLDEN.write_text(golden(), encoding="utf-8")
    print(f"wrote {GOLDEN.name}")
