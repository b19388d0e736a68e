"""The page's parts without a browser: what goes into it, and what is refused."""

import dataclasses
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import sample_models
from click.testing import CliRunner

import lenet_edge.cli  # noqa: F401 - its commands
from lenet_edge.cli.page_examples import Subject, _chosen, data_of, engines_of
from lenet_edge.errors import BadInputError, MissingToolError
from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QTensor
from lenet_edge.report.page import Engine, Example, Shown, compile_to_webassembly, contents, page, require_images
from lenet_edge.report.page.bundle import bundled

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--",
    "[red]",
    "水\u2028",
    "x" * 200,
]


MODULE = sys.modules["lenet_edge.cli.page"]  # the package has the command under this name


def model_of(classes):
    """A LeNet-5 whose first classes have these names."""
    model = sample_models.lenet5(7)
    names = [*classes, *map(str, range(10 - len(classes)))]
    return dataclasses.replace(model, metadata={**model.metadata, "classes": names})


@pytest.fixture
def uncompiled(monkeypatch):
    """A page without its program: these tests have no compiler."""
    monkeypatch.setattr(contents, "compile_to_webassembly", lambda model: b"\0asm")


def embedded(html):
    (found,) = re.findall(r'<script type="application/json" id="contents">(.*?)</script>', html, re.DOTALL)
    return found


def test_names_are_text(uncompiled):
    model = model_of(HOSTILE)
    images = np.zeros((1, 28, 28, 1), np.int8)
    engines = (Engine(HOSTILE[0], HOSTILE[1], np.zeros((1, 10), np.int8)),)
    shown = Shown(HOSTILE[1], model, images, engines)
    html = page([shown], [Example(HOSTILE[0], HOSTILE[0])], HOSTILE[0]).decode()
    found = json.loads(embedded(html))
    assert not set("<>&\u2028") & set(embedded(html))
    assert found["models"][0]["classes"][:4] == HOSTILE[:4]
    assert found["models"][0]["classes"][5] == HOSTILE[5]
    assert found["examples"] == [{"name": HOSTILE[0], "label": HOSTILE[0]}]
    assert "<img" not in html
    assert html.count("<script") == 2
    assert html.count("</script>") == 2


def test_the_same_models_give_the_same_bytes(uncompiled):
    shown = Shown("a", model_of([]), np.zeros((0, 28, 28, 1), np.int8))
    assert page([shown]) == page([shown])


def test_a_name_that_is_no_unicode_is_escaped(uncompiled):
    shown = Shown("latin\udcff", model_of(["\ud800"]), np.zeros((0, 28, 28, 1), np.int8))
    found = json.loads(embedded(page([shown]).decode()))
    assert found["models"][0]["name"] == "latin\\udcff"
    assert found["models"][0]["classes"][0] == "\\ud800"


def test_modules_are_joined_in_the_order_in_which_they_need_each_other(tmp_path):
    (tmp_path / "a.mjs").write_text('import { two, Three } from "./b.mjs";\nconsole.log(two, Three);\n')
    (tmp_path / "b.mjs").write_text("export const two = 2;\nexport class Three {}\nfunction four() {}\n")
    assert bundled(tmp_path) == (
        "const b_module = (() => {\n"
        "const two = 2;\nclass Three {}\nfunction four() {}\nreturn { two, Three };\n})();\n\n"
        "const a_module = (() => {\nconst { two, Three } = b_module;\nconsole.log(two, Three);\nreturn {  };\n})();\n"
    )


def test_the_page_s_script_imports_nothing_from_outside():
    text = bundled(contents._FILES)
    assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE)
    assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)


def test_a_model_without_images_is_refused():
    wide = (
        sample_models.ModelBuilder(1, image=QTensor((49, 10, 2), 0.125, 0))
        .flatten()
        .fully_connected("F", 3, relu=False)
    )
    with pytest.raises(BadInputError, match=r"^theirs: the model takes 49 x 10 x 2 values; .*classify images"):
        require_images(wide.build(), "theirs")


def test_a_model_without_classes_is_refused():
    maps = sample_models.ModelBuilder(1).conv("C", 2)
    with pytest.raises(BadInputError, match="24 x 24 x 2 values, not one score for each class"):
        require_images(maps.build(), "theirs")


def test_examples_are_the_first_of_each_class_and_then_the_second():
    labels = np.array([5, 5, 1, 5, 1, 0])
    assert _chosen(labels, 6, 4) == [5, 2, 0, 4]
    assert _chosen(labels, 6, 10) == [5, 2, 0, 4, 1, 3]
    assert _chosen(None, 6, 2) == [0, 1]


@pytest.mark.parametrize(("package", "options"), [("jinja2", []), ("ziglang", []), ("aiohttp", ["--serve"])])
def test_what_is_missing_is_named_before_the_work(monkeypatch, package, options):
    monkeypatch.setattr(MODULE, "find_spec", lambda name: None if name == package else object())
    result = CliRunner().invoke(MODULE.page, ["--model", "nowhere.tflite", *options])
    assert str(result.exception) == f"{package} is not installed. Install with: pip install 'lenet-edge[page]'"


def test_without_zig_its_package_is_named(nothing_installed):
    with pytest.raises(MissingToolError, match=r"zig is missing. Install with: .*pip install"):
        compile_to_webassembly(model_of([]))


def test_engines_of_a_record_that_are_not_here_are_not_asked():
    model = model_of([])
    subject = Subject(None, "a", model, b"")
    engines = [SimpleNamespace(name=name, status="ran") for name in ("reference", "host_c-z80", "tflm", "board:a/qemu")]
    engines.append(SimpleNamespace(name="onnxruntime", status="absent"))
    record = SimpleNamespace(fingerprint=model.fingerprint, engines=engines)
    assert engines_of(subject, record) == ("reference", "tflm")
    record.fingerprint = "other"
    assert engines_of(subject, record) == engines_of(subject, None)
    assert {"reference", "tflm", "onnxruntime"} < set(engines_of(subject, None))


@pytest.mark.parametrize(
    ("record", "dataset", "expected"),
    [
        (("mine", "photos"), "mnist", "photos"),
        (("mine", "noise"), "mnist", "mnist"),
        (("mine", "values.npy"), "mnist", None),
        (("another", "photos"), "mnist", "mnist"),
        (("another", "photos"), "photos", None),
        (None, "fashion-mnist", "fashion-mnist"),
    ],
)
def test_the_data_that_nobody_names(record, dataset, expected):
    model = dataclasses.replace(model_of([]), metadata={"dataset": dataset})
    subject = Subject(None, "a", model, b"")
    if record is not None:
        record = SimpleNamespace(fingerprint=record[0].replace("mine", model.fingerprint), data=record[1])
    assert data_of([subject], record) == expected


def test_the_same_model_twice_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(tflite.to_bytes(model_of([])))
    result = CliRunner().invoke(MODULE.page, ["--model", str(tmp_path / "a"), "--model", str(tmp_path / "b")])
    assert "two of the models are the same" in str(result.exception)
