"""The report: every figure is the record's, names stay text, what was not measured is not shown."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import build_folders
import numpy as np
import pytest
import sample_models
from click.testing import CliRunner
from command_line import without
from graph_files import INT32, GraphFile
from report_figures import Reader, recorded, require_figures

from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError
from lenet_edge.estimate import estimate
from lenet_edge.formats import tflite
from lenet_edge.formats.c_source import make_plan
from lenet_edge.hardware import boards
from lenet_edge.quantized.model import macs
from lenet_edge.quantized.tie_free import is_tie_free
from lenet_edge.report.document import Samples, find_model, read_folder, write_report
from lenet_edge.report.document.memory import tensors_of
from lenet_edge.significance import share_interval

CONTENTS = '<script type="application/json" id="contents">{}</script>'
TEN = tuple(str(number) for number in range(10))


def report_of(folder, **changes):
    build = replace(read_folder(folder, find_model(folder)), **changes)
    return write_report([build], [build.name])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_folders.write(tmp_path_factory.mktemp("report") / "build", sample_models.lenet5(3), TEN)


@pytest.fixture(scope="module")
def report(folder):
    return Reader(report_of(folder))


def test_every_figure_is_the_record_s(folder, report):
    assert len(report.figures) > 250
    require_figures(report, folder)


def test_every_record_has_its_figures(report):
    found = {(record, key.split("/")[1]) for record, key, *_ in report.figures}
    wanted = {
        "check.json": {
            "int8_accuracy",
            "float_accuracy",
            "drop_points",
            "drop_interval",
            "mcnemar_p",
            "confusion",
            "engines",
        },
        "net-int8.json": {"sqnr_db", "proof"},
        "firmware/microbit/manifest.json": {
            *("board", "sizes", "stack_depth", "toolchain", "optimize", "family", "image_sha256"),
        },
        "bench/microbit.json": {"total", "mean", "images", "layers", "emulator", "stack_used_bytes"},
        "net-int8.tflite": {"layers", "fingerprint"},
        "targets/microbit.toml": {"flash", "ram"},
    }
    for record, keys in wanted.items():
        assert {key for of, key in found if of == record} >= keys, record
    cells = [key for _, key, *_ in report.figures if key.startswith("/confusion/matrix/")]
    assert len(set(cells)) == 100
    engines = {key for _, key, *_ in report.figures if re.fullmatch(r"/engines/\d+/logits_differ", key)}
    assert len(engines) == 6


def test_figures_stand_under_their_headings(report):
    keys = [key for record, key, *_ in report.figures if record == "check.json"]
    tflm = [key.removeprefix("/engines/1/") for key in keys if key.startswith("/engines/1/")]
    counts = ["logits_differ", "images_differ", "argmax_differ", "max_abs_difference"]
    assert tflm == ["name", *counts, "accuracy", "seconds"]  # check_records gives no version
    text = "".join(report.text.split())
    for told in (
        "engine logits differ images arg-max largest accuracy time version",
        "accuracy from to float 99.80 %",
        "The drop in int8 is 0.70 points (95 % interval 0.12 to 1.50; McNemar’s exact p 0.016).",
        "flash 71.4 KB 28 % of 256.0 KB",
        "weights and biases 61.0 KB other tables 4.1 KB code 6.3 KB",
        "RAM 3.6 KB 23 % of 16.0 KB",
        "the image 784 bytes other buffers 1.9 KB stack 1.0 KB",
        "Of the stack 336 bytes were used. 340 bytes of it are proved to be enough.",
        "layer channels q cases tflm ruy single float32 C1 6 101 to 301 1,000,003 0000",
        "instructions MACs per MAC kernel why the plain one C1+S2 343,162 117,600 2.92 lanes tiles",
        "C3 1,198,747 240,000 4.99 plain its window is too large",
        "int8 accuracy 99.10 %",
    ):
        assert "".join(told.split()) in text, told


def test_figures_that_no_record_has(folder, report):
    model = tflite.read(folder / "net-int8.tflite")
    assert f"{sum(map(macs, model.layers)):,} multiply-accumulates" in report.text
    check = json.loads((folder / "check.json").read_text())
    low, high = share_interval(round(check["int8_accuracy"] * 1000), 1000)
    assert f"{100 * low:.2f} %" in report.text
    assert f"{100 * high:.2f} %" in report.text
    assert "28 % of 256.0 KB" in report.text  # 73,100 of 262,144
    assert f"{1_198_747 / 240_000:.2f}" in report.text


def test_the_verdict_says_what_was_measured(folder, tmp_path):
    text = Reader(report_of(folder)).text
    verdict = text[text.index("net-int8 recognises") :]
    assert verdict.startswith("net-int8 recognises 99.10 % of 1,000 test images, 0.70 points less than in float, ")
    assert "4 runtimes and 1 emulated board compute the same integers as the reference" in verdict
    assert "every rounding rule gives the same result in all 15,000,045 cases" in verdict
    shutil.copytree(folder, tmp_path / "build")
    for name in ("check.json", "net-int8.json"):
        (tmp_path / "build" / name).unlink()
    bare = Reader(report_of(tmp_path / "build")).text
    assert "net-int8 has 8 layers and is on the tie-free grid." in bare
    for silent in ("recognises", "rounding rule gives", "Proof", "Engines and boards", "confusion"):
        assert silent not in bare
    assert "Flash and RAM" in bare


def test_a_check_that_failed_is_not_called_good(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "build")
    path = tmp_path / "build" / "check.json"
    check = json.loads(path.read_text())
    check["passed"], check["problems"] = False, ["tflm: 12 logits differ from the reference"]
    tflm = next(engine for engine in check["engines"] if engine["name"] == "tflm")
    tflm |= {"logits_differ": 12, "images_differ": 7, "argmax_differ": 1, "max_abs_difference": 2}
    path.write_text(json.dumps(check))
    parsed = Reader(report_of(tmp_path / "build"))
    assert "1 of 4 runtimes and 1 emulated board computes other integers, which fails the check" in parsed.text
    assert [a["class"] for tag, a in parsed.tags if "verdict" in a.get("class", "")] == ["verdict tone-bad"]
    assert [a["class"] for tag, a in parsed.tags if "pill" in a.get("class", "")].count("pill wrong") == 1


def test_a_board_that_was_not_counted_has_the_estimate_of_fits(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "build")
    (tmp_path / "build" / "bench" / "microbit.json").unlink()
    text = Reader(report_of(tmp_path / "build")).text
    model = tflite.read(folder / "net-int8.tflite")
    count = estimate(model, boards.load("microbit")).count
    assert f"Estimated, not counted: about {count.about:,} instructions, {count.least:,} to {count.most:,}." in text
    assert "1,753,610" not in text
    assert "lanes matrix" in text  # the kernels are known without a count


def test_hostile_names_stay_text(tmp_path):
    nasty = [build_folders.HOSTILE + str(number) for number in range(10)]
    model = sample_models.lenet5(3)
    model = replace(model, layers=tuple(replace(layer, name=nasty[index]) for index, layer in enumerate(model.layers)))
    folder = build_folders.write(tmp_path / "build", model, nasty)
    build = read_folder(folder, find_model(folder))
    parsed = Reader(report_of(folder, tests=samples_of(build.model, nasty)))
    told = {value for _, found in parsed.tags for value in (found.get("title"), found.get("data-value"))}
    assert set(nasty) <= told
    assert parsed.text.count("</script>…") > 50
    assert not [
        found
        for tag, found in parsed.tags
        if tag == "img" and "src" in found and not found["src"].startswith("data:image/png;base64,")
    ]
    assert not {tag for tag, _ in parsed.tags} & {"script", "iframe", "object", "embed", "form"}
    assert not [name for _, found in parsed.tags for name in found if name.startswith("on")]
    assert not [name for _, found in parsed.tags for name in found if "<" in name or '"' in name]


def samples_of(model, files):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    images = (pixels ^ 0x80).view(np.int8)[..., None]
    return Samples(
        "pictures", images, pixels, np.arange(20) % 10, tuple(files[index % len(files)] for index in range(20)), 50
    )


def test_the_worst_images_and_what_layers_give(folder):
    build = read_folder(folder, find_model(folder))
    parsed = Reader(report_of(folder, tests=samples_of(build.model, ["a.png"])))
    pictures = [found for tag, found in parsed.tags if tag == "img"]
    assert len(pictures) == 20
    assert "of 20 images of pictures are wrong" in parsed.text
    assert "The data set has 50." in parsed.text
    assert "outputs over 20 test images" in parsed.text


def test_a_report_is_one_file_that_asks_for_nothing(folder):
    content = report_of(folder)
    assert content == report_of(folder)  # no date, no path, no chance
    assert len(content) < 3_000_000
    text = content.decode()
    assert not re.search(
        r"""(?:src|href|action|url)\s*[=(]\s*["']?(?!data:|#)\w""", re.sub(r"xlink:href=\"#", "", text)
    )
    for attribute in re.findall(r"\bstyle\s*=", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)):
        raise AssertionError(f"{attribute}: the policy forbids it")
    parsed = Reader(content)
    ids = [found["id"] for _, found in parsed.tags if "id" in found]
    assert len(ids) == len(set(ids))
    targets = {found["href"][1:] for tag, found in parsed.tags if tag == "a"}
    assert targets <= set(ids)


def test_tensors_that_live_at_the_same_step_do_not_overlap():
    for model in (sample_models.lenet5(1), sample_models.lenet5_sigmoid(1), sample_models.every_layer(1)):
        plan = make_plan(model)
        tensors = tensors_of(plan)
        for step in range(len(plan.steps)):
            living = sorted((each.offset, each.bytes) for each in tensors if each.first <= step <= each.last)
            for (offset, size), (following, _) in pairwise(living):
                assert offset + size <= following
        assert max(each.offset + each.bytes for each in tensors) <= plan.workspace_bytes


MODELS = {
    "a graph": lambda: residual(),
    "sigmoid": lambda: sample_models.lenet5_sigmoid(2),
    "every layer": lambda: sample_models.every_layer(2),
    "ordinary": lambda: sample_models.lenet5(2, grid="ordinary"),
    "averages and a softmax": lambda: sample_models.average_pool_softmax(2),
}


def residual():
    """A graph of a third party: a sum of a layer and what it reads, without class names."""
    file = GraphFile()
    source = file.tensor((1, 6, 6, 3), 1 / 255, -128, name="image")
    weights = file.tensor((3, 3, 3, 3), [0.01, 0.02, 0.03], values=np.arange(81, dtype=np.int8) - 40)
    scales = [np.float32(scale) * np.float32(1 / 255) for scale in (0.01, 0.02, 0.03)]
    bias = file.tensor((3,), scales, kind=INT32, values=np.array([1, -2, 3], np.int32))
    middle = file.tensor((1, 6, 6, 3), 0.1, 3, name="middle")
    result = file.tensor((1, 6, 6, 3), 0.11, -5, name="sum")
    window = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    file.operator("CONV_2D", [source, weights, bias], [middle], "Conv2DOptions", 3, **window)
    file.operator("ADD", [source, middle], [result], "AddOptions", 2)
    return tflite.from_bytes(file.data([source], [result]))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_without_records(tmp_path, name):
    model = MODELS[name]()
    (tmp_path / "some.tflite").write_bytes(tflite.to_bytes(model))
    done = invoke("--build", tmp_path, "--data", "noise", "--images", 30)
    assert done.exit_code == 0, done.output
    parsed = Reader((tmp_path / "report.html").read_bytes())
    assert {record for record, *_ in parsed.figures} == {"some.tflite"}
    for record, key, value, _ in parsed.figures:
        wanted = recorded(tmp_path, record, key)
        assert value == wanted or float(value) == wanted
    layers = [key for _, key, *_ in parsed.figures if key.endswith("/name")]
    assert len(layers) == len(model.layers)
    assert "outputs over 30 test images" in parsed.text
    assert "recognises" not in parsed.text
    assert ("is on the tie-free grid" in parsed.text) == is_tie_free(model)
    assert ("Where rounding rules part" in parsed.text) == (not is_tie_free(model))


# --- the command ----------------------------------------------------------------------------------------


def invoke(*arguments):
    return CliRunner().invoke(cli, ["report", *map(str, arguments)])


def test_the_command_writes_the_file_and_says_what_it_left_out(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "build")
    (tmp_path / "build" / "bench" / "pico.json").write_text("{")
    done = invoke("--build", tmp_path / "build", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    content = (tmp_path / "build" / "report.html").read_bytes()
    assert result["bytes"] == len(content)
    (model,) = result["models"]
    assert model["verdict"].startswith("net-int8 recognises")
    assert "pico.json" in " ".join(model["left_out"])
    assert "no-such-data" in " ".join(model["left_out"])  # its images are not there
    for remark in model["left_out"]:
        assert remark in Reader(content).text


def test_records_of_another_model_are_left_out(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "build")
    named = sample_models.lenet5(4).with_metadata(classes=list(TEN))
    (tmp_path / "build" / "net-int8.tflite").write_bytes(tflite.to_bytes(named))
    build = read_folder(tmp_path / "build", find_model(tmp_path / "build"))
    assert (build.check, build.quantize, dict(build.firmware), dict(build.bench)) == (None, None, {}, {})
    assert len(build.remarks) == 4
    assert all("another model" in remark for remark in build.remarks)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_an_empty_folder_gets_a_message(tmp_path, make):
    make(tmp_path / "build")
    done = invoke("--build", tmp_path / "build")
    assert isinstance(done.exception, BadInputError)
    assert "lenet-edge quantize" in str(done.exception)
    assert not (tmp_path / "build" / "report.html").exists()


def test_of_several_models_the_one_that_was_checked_is_taken(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "build")
    other = tmp_path / "build" / "a-int8.tflite"
    other.write_bytes(tflite.to_bytes(sample_models.lenet5(9)))
    assert find_model(tmp_path / "build").name == "net-int8.tflite"
    (tmp_path / "build" / "check.json").unlink()
    done = invoke("--build", tmp_path / "build")
    assert "2 models; name one with --model" in str(done.exception)


def test_two_builds_side_by_side(folder, tmp_path):
    other = build_folders.write(tmp_path / "other", sample_models.lenet5(8), TEN)
    bench = json.loads((other / "bench" / "microbit.json").read_text())
    bench["total"] = 1_753_610 * 2
    (other / "bench" / "microbit.json").write_text(json.dumps(bench))
    done = invoke("--build", folder, "--compare", other, "--out", tmp_path / "both.html")
    assert done.exit_code == 0, done.output
    parsed = Reader((tmp_path / "both.html").read_bytes())
    assert "+100.0 %" in parsed.text
    assert len([1 for tag, found in parsed.tags if found.get("class", "").startswith("verdict")]) == 2
    ids = [found["id"] for _, found in parsed.tags if "id" in found]
    assert len(ids) == len(set(ids))


def test_a_page_of_another_model_is_refused(folder, tmp_path):
    page = tmp_path / "page.html"
    for content, said in (
        ("<p>", "not a page that `lenet-edge page` wrote"),
        ('<script type="application/json" id="contents">{"models":[{}]}</script>', "not a page"),
        (
            '<script type="application/json" id="contents">{"models":[{"fingerprint":"ab"}]}</script>',
            "another model, ab",
        ),
    ):
        page.write_text(content)
        done = invoke("--build", folder, "--page", page, "--out", tmp_path / "r.html")
        assert isinstance(done.exception, BadInputError)
        assert said in str(done.exception)
        assert not (tmp_path / "r.html").exists()


def test_a_page_stands_in_a_frame_and_its_script_is_allowed(folder, tmp_path):
    fingerprint = tflite.read(folder / "net-int8.tflite").fingerprint
    contents = (
        f'<script type="application/json" id="contents">{{"models":[{{"fingerprint":"{fingerprint}"}}]}}</script>'
    )
    page = tmp_path / "page.html"
    page.write_text(f'<style>p {{ color: red }}</style>"{contents}<script type="module">let drawn = "ä";</script>')
    done = invoke("--build", folder, "--page", page, "--out", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    parsed = Reader((tmp_path / "r.html").read_bytes())
    (frame,) = [found for tag, found in parsed.tags if tag == "iframe"]
    assert (frame["srcdoc"], frame["sandbox"]) == (page.read_text(), "allow-scripts")
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    (policy,) = [found["content"] for _, found in parsed.tags if found.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256('let drawn = "ä";'.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' 'wasm-unsafe-eval';" in policy


def test_without_the_extra_the_message_names_it(folder, tmp_path):
    argv = [sys.executable, "-c", without("jinja2"), "report", "--build", folder, "--out", tmp_path / "r.html"]
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 4
    assert "pip install 'lenet-edge[report]'" in done.stderr
