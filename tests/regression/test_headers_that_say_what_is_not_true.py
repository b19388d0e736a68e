"""`le_model.h` said "int8 = pixel - 128" of an audio model and asked for a softmax over probabilities; le_infer of a
model with one LOGISTIC output always gave class 0.
"""

import re

import numpy as np
import pytest
from sample_models import ModelBuilder

from lenet_edge.engines import host_c
from lenet_edge.formats import c_source, projects, tflite, tflm
from lenet_edge.quantized.model import QTensor
from lenet_edge.quantized.reference import run
from lenet_edge.records import write_artefact
from lenet_edge.resources import firmware_folder

ARENA = tflm.HostArena(head=100, tail=100, smallest=256, measured_with="nothing")


def ending(how, outputs, image=None):
    builder = ModelBuilder(10, image=image) if image else ModelBuilder(10)
    builder.conv("C1", 3).flatten().fully_connected("OUT", outputs, relu=False)
    return {"logits": lambda: builder, "softmax": builder.softmax, "sigmoid": lambda: builder.lookup("L")}[how]()


def texts(model):
    """Every text that an export writes of a model, but for the kernels: file -> content."""
    made = {f"c/{name}": data for name, data in c_source.export(c_source.make_plan(model), firmware_folder()).items()}
    made |= {f"tflm/{name}": data for name, data in tflm.export(model, tflite.to_bytes(model), arena=ARENA).items()}
    for target in projects.PROJECTS:
        for name, data in projects.export(c_source.make_plan(model), firmware_folder(), target, "mine").items():
            made[f"{target}/{name}"] = data
    kernel = re.compile(r".*/le_(?!model)\w+\.[chS]|.*_data\.cc")
    return {name: data.decode() for name, data in made.items() if not kernel.fullmatch(name)}


def test_of_a_model_that_is_not_of_pixels():
    model = ending("softmax", 4, QTensor((49, 10, 1), 0.5, 83)).build()
    written = texts(model)
    for name, text in written.items():
        assert "pixel - 128" not in text, name
        said = re.sub(r"\bexample_image\b|`image`|\bimage\b[,;)]|\*image|LE_EXAMPLE_IMAGE_H", "", text)
        assert not re.search(r"\b(image|picture)s?\b", said, re.IGNORECASE), name
    for name in ("c/le_model.h", "arduino/src/le_model.h", "tflm/lenet5_model_settings.h"):
        assert "real value = 0.5 * (int8 - 83)" in written[name]


def test_of_a_model_of_pixels():
    written = texts(ending("logits", 4).build())
    assert "The image: int8 = pixel - 128" in written["c/le_model.h"]
    assert "A pixel enters as the int8 `pixel - 128`" in written["tflm/lenet5_model_settings.h"]


@pytest.mark.parametrize(
    ("how", "outputs", "said"),
    [
        ("logits", 4, "a softmax over scale * (logit - zero point) gives the distribution"),
        ("softmax", 4, "one for each class: its probability is scale * (output - zero point)"),
        ("sigmoid", 4, "the probability that it is there is scale * (output - zero point)"),
        ("sigmoid", 1, "One output for two classes: the probability of the second"),
        ("logits", 1, "The outputs, 1 value: scale * (output - zero point). They are not classes"),
    ],
)
def test_what_the_outputs_are(how, outputs, said):
    written = texts(ending(how, outputs).build())
    header = " ".join(written["c/le_model.h"].replace("\n *", " ").split())
    assert said in header
    assert ("softmax" in header) == (how == "logits" and outputs > 1)


def test_the_class_of_one_output(tmp_path):
    """The C's own le_infer, for every value that the output can have."""
    model = ModelBuilder(image=QTensor((1, 1, 1), 0.0625, 0)).flatten().lookup("L").build(classes=["no", "yes"])
    contents = c_source.export(c_source.make_plan(model), firmware_folder())
    write_artefact(tmp_path / "c", contents, model.fingerprint, **c_source.facts(c_source.make_plan(model)))
    values = np.arange(-128, 128, dtype=np.int8).reshape(-1, 1, 1, 1)
    outputs = run(model, values)
    np.testing.assert_array_equal(host_c.run(tmp_path / "c", values), outputs)
    with host_c.compiled(tmp_path / "c") as library:
        found = []
        for value in values:
            output = np.zeros(1, np.int8)
            found.append(library.le_infer(value.ctypes.data, output.ctypes.data))
    assert found == [int((output + 128) / 256 > 0.5) for output in outputs[:, 0].astype(float)]
    assert 0 < sum(found) < 256
    source = contents["le_model.c"].decode()
    assert '"no",\n    "yes"' in source
