"""`check`: it finds what differs and names it, and cannot pass with less than it promises."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_models
from check_records import result_of

from lenet_edge import parity
from lenet_edge.engines import Absent, Engine
from lenet_edge.errors import BadInputError, LenetEdgeError, MissingToolError, NothingToRunError
from lenet_edge.parity import Check, FloatComparison, judge
from lenet_edge.quantized.reference import layer_outputs, run

MODEL = sample_models.lenet5(41)
FILES: dict[str, Path | Absent] = {"tflite": Path("model.tflite")}
IMAGES = np.random.default_rng(5).integers(-128, 128, (12, 28, 28, 1), dtype=np.int8)
LOGITS = run(MODEL, IMAGES)
LABELS = LOGITS.argmax(axis=1).astype(np.uint8)  # what the reference says, so that its accuracy is 1


def looked_at(image: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What an engine that agrees shows of one image."""
    outputs = {
        layer.name: values[0] for layer, values in zip(MODEL.layers, layer_outputs(MODEL, image[None]), strict=True)
    }
    return outputs, outputs["OUTPUT"]


def fake(
    run: Callable[[Path, np.ndarray], np.ndarray] = lambda _, images: LOGITS[: len(images)],
    look: Callable[[Path, np.ndarray], Any] = lambda _, image: looked_at(image),
    version: Callable[[], str] = lambda: "1.0",
) -> Engine:
    return Engine("tflite", run, look, version, lambda: "pip install it")


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: Any) -> Any:
        raise error

    return function


@pytest.fixture
def check_with() -> Callable[..., Check]:
    """``check_with({name: engine}, ...)``: the check with these engines next to TFLM and LiteRT, which agree."""

    def check(engines: dict[str, Engine], complete: bool = True, **arguments: Any) -> Check:
        others = {"tflm": fake(), "litert-reference": fake()} if complete else {}
        registry = {**others, **engines}
        verdict = {"max_drop": arguments.pop("max_drop", 0.1), "require_all": arguments.pop("require_all", False)}
        files = arguments.pop("files", FILES)
        labels = arguments.pop("labels", LABELS)
        found = parity.check(MODEL, files, IMAGES, labels, engines=registry, **arguments)
        return judge(found, **verdict)

    return check


# --- engines that agree, that are absent, that fail -----------------------------------------------


def test_engines_that_agree_pass(check_with):
    check = check_with({})
    assert (check.passed, check.problems) == (True, ())
    assert check.fingerprint == MODEL.fingerprint
    assert check.images == 12
    assert check.int8_accuracy == 1.0
    assert [engine.name for engine in check.engines] == ["reference", "tflm", "litert-reference"]
    tflm = result_of(check, "tflm")
    assert (tflm.status, tflm.version, tflm.images, tflm.accuracy) == ("ran", "1.0", 12, 1.0)
    assert (tflm.logits_differ, tflm.argmax_differ, tflm.max_abs_difference) == (0, 0, 0)
    assert tflm.artefact == "model.tflite"


def test_results_are_reported_as_they_come(check_with):
    reported: list[str] = []
    check_with({"tf-lite": fake(run=raising(BadInputError("no")))}, report=lambda result: reported.append(result.name))
    assert sorted(reported) == ["litert-reference", "reference", "tf-lite", "tflm"]


@pytest.mark.parametrize(
    "error",
    [
        BadInputError("the interpreter refuses"),
        LenetEdgeError("it took too long"),
        MissingToolError("installed, but broken"),
        RuntimeError("native library"),
        MemoryError("9 GB"),
        ValueError("cannot reshape"),
        OSError(5, "Input/output error"),
    ],
)
def test_an_engine_that_raises_has_failed_and_fails_the_check(check_with, error):
    check = check_with({"tf-lite": fake(run=raising(error))})
    failed = result_of(check, "tf-lite")
    assert (failed.status, failed.version, failed.logits_differ) == ("failed", "1.0", None)
    assert str(error) in failed.message
    assert not check.passed
    assert result_of(check, "litert-reference").status == "ran"  # the others' results are there all the same


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_not_an_engines_failure(check_with, number):
    with pytest.raises(OSError, match="full"):
        check_with({"tf-lite": fake(run=raising(OSError(number, "full")))})


def test_an_engine_that_cannot_say_its_version_has_failed(check_with):
    check = check_with({"tf-lite": fake(version=raising(LenetEdgeError("did not finish within 120 s")))})
    assert result_of(check, "tf-lite").status == "failed"
    assert not check.passed


def test_an_absent_engine_is_listed_with_what_installs_it(check_with):
    engines = {"tf-lite": fake(version=raising(MissingToolError("none")))}
    check = check_with(engines)
    absent = result_of(check, "tf-lite")
    assert (absent.status, absent.version, absent.message) == ("absent", None, "pip install it")
    assert check.passed
    strict = check_with(engines, require_all=True)
    assert not strict.passed
    assert "pip install it" in strict.problems[0]


def test_an_engine_without_its_file_is_absent(check_with):
    check = check_with(
        {"pytorch": replace(fake(), artefact="weights")}, files={**FILES, "weights": Absent("none was left")}
    )
    assert result_of(check, "pytorch").status == "absent"
    assert result_of(check, "pytorch").message == "none was left"


def test_an_engine_with_nothing_of_its_own_to_run_is_absent(check_with):
    check = check_with({"litert-xnnpack": fake(run=raising(NothingToRunError("XNNPACK took no operator")))})
    absent = result_of(check, "litert-xnnpack")
    assert (absent.status, absent.version, absent.message) == ("absent", "1.0", "XNNPACK took no operator")
    assert check.passed


@pytest.mark.parametrize(
    "logits",
    [LOGITS[:-1], LOGITS[:, :9], LOGITS.astype(np.float32), LOGITS.view(np.uint8), LOGITS[..., None]],
    ids=["images", "classes", "float32", "uint8", "dimensions"],
)
def test_the_wrong_shape_or_type_is_a_failure(check_with, logits):
    check = check_with({"tf-lite": fake(run=lambda *_: logits)})
    assert result_of(check, "tf-lite").status == "failed"
    assert str(logits.dtype) in result_of(check, "tf-lite").message
    assert not check.passed


@pytest.mark.parametrize(
    ("names", "passes"),
    [
        ((), False),
        (("tflm",), False),
        (("litert-xnnpack",), False),
        (("pytorch", "onnxruntime", "tf-lite", "tflite-runtime"), False),
        (("tflm", "tf-lite"), False),
        (("tflm", "litert-builtin"), True),
    ],
)
def test_tflm_and_a_litert_engine_must_have_run(check_with, names, passes):
    assert check_with({name: fake() for name in names}, complete=False).passed is passes


@pytest.mark.parametrize("name", ["tflm", "litert-reference"])
@pytest.mark.parametrize("how", ["version", "run"])
def test_installed_is_not_enough(check_with, name, how):
    engine = fake(**{how: raising(MissingToolError("none"))})  # type: ignore[arg-type]
    assert not check_with({name: engine}).passed


# --- differences ------------------------------------------------------------------------------------


def changed(at: tuple[int, int], by: int) -> np.ndarray:
    logits = LOGITS.copy()
    logits[at] += by if logits[at] + by <= 127 else -by
    return logits


def test_one_logit_that_differs_is_found_and_named(check_with):
    wrong = changed((7, 3), 2)

    def look(_: Path, image: np.ndarray) -> Any:
        seen, logits = looked_at(image)
        for name in ("C3", "S4", "OUTPUT"):
            seen[name] = seen[name].copy()
            seen[name].flat[0] ^= 1
        logits = logits.copy()
        logits[3] = wrong[7, 3]
        return seen, logits

    check = check_with({"onnxruntime-unoptimized": fake(run=lambda *_: wrong, look=look)})
    result = result_of(check, "onnxruntime-unoptimized")
    assert (result.logits_differ, result.images_differ, result.max_abs_difference) == (1, 1, 2)
    first = result.first_difference
    assert first is not None
    assert (first.image, first.logit, first.expected, first.actual) == (7, 3, LOGITS[7, 3], wrong[7, 3])
    assert (first.layer, first.note) == ("C3", "")
    assert not check.passed
    assert any("onnxruntime-unoptimized: 1 logits differ" in problem for problem in check.problems)


def test_accuracy_and_argmax_are_the_engines_own(check_with):
    wrong = LOGITS.copy()
    image, right = 2, int(LABELS[2])
    wrong[image] = -128
    wrong[image, (right + 1) % 10] = 127
    result = result_of(check_with({"tf-lite": fake(run=lambda *_: wrong)}), "tf-lite")
    assert result.argmax_differ == 1
    assert result.accuracy == pytest.approx(11 / 12)
    assert result.max_abs_difference == np.abs(wrong.astype(int) - LOGITS.astype(int)).max()


def test_looking_that_changes_the_result_is_said_so(check_with):
    check = check_with({"tf-lite": fake(run=lambda *_: changed((0, 0), 1))})  # the look shows the reference's integers
    first = result_of(check, "tf-lite").first_difference
    assert first is not None
    assert first.layer is None
    assert "looking at the layers changes the result" in first.note


@pytest.mark.parametrize("error", [BadInputError("it cannot"), RuntimeError("native")])
def test_an_engine_that_does_not_let_one_look(check_with, error):
    check = check_with({"tf-lite": fake(run=lambda *_: changed((0, 0), 1), look=raising(error))})
    first = result_of(check, "tf-lite").first_difference
    assert first is not None
    assert first.layer is None
    assert str(error) in first.note
    assert result_of(check, "tf-lite").status == "ran"


def test_a_look_with_other_shapes_names_that_layer(check_with):
    def look(_: Path, image: np.ndarray) -> Any:
        seen, logits = looked_at(image)
        return {**seen, "C5": seen["C5"][:7]}, logits

    check = check_with({"tf-lite": fake(run=lambda *_: changed((0, 0), 1), look=look)})
    assert result_of(check, "tf-lite").first_difference.layer == "C5"  # type: ignore[union-attr]


def test_a_difference_that_the_rounding_rule_does_not_explain(check_with):
    check = check_with({"litert-xnnpack": fake(run=lambda *_: changed((4, 4), 1))})
    result = result_of(check, "litert-xnnpack")
    assert "float32" in result.rule
    assert result.beyond_rule == 1  # the model is tie-free: no rule differs from the reference


def test_a_difference_that_the_rounding_rule_explains(check_with, monkeypatch):
    ordinary = sample_models.lenet5(2, "ordinary")
    by_rule = run(ordinary, IMAGES, parity.RUNTIMES["litert-xnnpack"])
    monkeypatch.setitem(globals(), "MODEL", ordinary)
    assert np.count_nonzero(by_rule != run(ordinary, IMAGES)) > 0
    result = result_of(check_with({"litert-xnnpack": fake(run=lambda *_: by_rule)}), "litert-xnnpack")
    assert result.logits_differ
    assert result.beyond_rule == 0


# --- accuracy ---------------------------------------------------------------------------------------


def test_without_labels_there_are_no_accuracies(check_with):
    check = check_with({}, labels=None, float_logits=LOGITS.astype(np.float32))
    assert check.int8_accuracy is None
    assert check.comparison is None
    assert {engine.accuracy for engine in check.engines} == {None}
    assert check.passed


def test_the_drop_against_the_float_model(check_with):
    labels = LABELS.copy()
    labels[0] = (labels[0] + 1) % 10  # the reference is wrong here
    float_logits = np.eye(10, dtype=np.float32)[labels]  # the float network never is
    check = check_with({}, labels=labels, float_logits=float_logits, max_drop=9.0)
    assert check.comparison is not None
    assert check.comparison.float_accuracy == 1.0
    assert check.int8_accuracy == pytest.approx(11 / 12)
    assert check.comparison.drop_points == pytest.approx(100 / 12)
    assert check.comparison.drop_interval[0] < 100 / 12 < check.comparison.drop_interval[1]
    assert check.comparison.mcnemar_p == 1.0  # one image is not evidence
    assert check.passed
    strict = check_with({}, labels=labels, float_logits=float_logits, max_drop=8.0)
    assert strict.problems == ("int8 loses 8.33 points, more than 8.00",)


@pytest.mark.parametrize(("drop", "passes"), [(0.10, True), (0.11, False), (-0.5, True), (100 * (7 - 6) / 1000, True)])
def test_a_drop_equal_to_the_limit_passes(check_with, drop, passes):
    check = replace(check_with({}), comparison=FloatComparison(0.99, drop, (-1.0, 1.0), 1.0), problems=())
    assert judge(check, max_drop=0.1, require_all=False).passed is passes
