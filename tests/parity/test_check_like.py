"""`check --like`: our C, the boards and one runtime agree; what the others give is predicted, or it is said why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import sample_models
from check_records import result_of

from lenet_edge import parity
from lenet_edge.engines import Engine
from lenet_edge.errors import BadInputError, MissingToolError
from lenet_edge.parity import Check, judge
from lenet_edge.quantized.model import QTensor, QuantizedModel, Reshape
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES
from lenet_edge.records import shortfall
from lenet_edge.report import to_junit

MODEL = sample_models.lenet5(31, "ordinary")  # its runtimes differ
FILES = {"tflite": Path("model.tflite")}
IMAGES = np.random.default_rng(5).integers(-128, 128, (200, 28, 28, 1), dtype=np.int8)
LOGITS = run(MODEL, IMAGES)
BY_RULE = {name: run(MODEL, IMAGES, RUNTIMES[name]) for name in ("litert-xnnpack", "litert-builtin")}
BOARD = "board:microbit/unicorn"


def fake(logits: Any = LOGITS) -> Engine:
    def give(_path: Path, _images: np.ndarray) -> np.ndarray:
        if isinstance(logits, Exception):
            raise logits
        return logits

    return Engine("tflite", give, lambda *_: ({}, LOGITS[0]), lambda: "1.0", lambda: "install it")


def raising(error: Exception) -> Any:
    def call(*_: Any) -> Any:
        raise error

    return call


def wrong(logits: np.ndarray) -> np.ndarray:
    changed = logits.copy()
    changed[7, 3] ^= 1
    return changed


def checked(like: str | None = "tflm", require_all: bool = False, **engines: Any) -> Check:
    names = {"tflm": LOGITS, "host_c": LOGITS, **engines}
    every = {name.replace("__", "-"): fake(given) for name, given in names.items() if given is not None}
    found = parity.check(MODEL, FILES, IMAGES, None, engines=every, predict=like is not None)
    return judge(found, max_drop=0.1, require_all=require_all, like=like)


def test_what_is_as_the_rule_says_passes_and_is_counted():
    check = checked(litert__xnnpack=BY_RULE["litert-xnnpack"], litert__builtin=BY_RULE["litert-builtin"])
    assert (check.passed, check.like, check.problems) == (True, "tflm", ())
    for name, logits in BY_RULE.items():
        found = result_of(check, name)
        assert found.logits_differ == (logits != LOGITS).sum() > 0
        assert found.beyond_rule == 0
    assert not checked(like=None, litert__xnnpack=BY_RULE["litert-xnnpack"]).passed  # the same, where all have to agree


def test_what_is_beyond_the_rule_fails():
    check = checked(litert__xnnpack=wrong(BY_RULE["litert-xnnpack"]))
    assert check.problems == ("litert-xnnpack: 1 logits are not what its rounding gives",)
    assert result_of(check, "litert-xnnpack").beyond_rule == 1


def test_a_runtime_that_agrees_although_its_rule_says_otherwise_fails():
    check = checked(litert__xnnpack=LOGITS)
    assert result_of(check, "litert-xnnpack").logits_differ == 0
    beyond = (BY_RULE["litert-xnnpack"] != LOGITS).sum()
    assert check.problems == (f"litert-xnnpack: {beyond} logits are not what its rounding gives",)


def test_where_the_rule_is_unknown_a_difference_is_reported_and_no_more():
    check = checked(somebody=wrong(LOGITS))
    found = result_of(check, "somebody")
    assert (check.passed, found.logits_differ, found.beyond_rule, found.rule) == (True, 1, None, "")


@pytest.mark.parametrize("name", ["tflm", "host_c", "host_c-x86", BOARD])
def test_that_runtime_our_c_and_the_boards_have_to_agree(name):
    found = checked(**{name: wrong(LOGITS)})
    assert f"{name}: 1 logits differ from the reference" in found.problems
    failed = checked(**{name: BadInputError("no such file")})
    assert f"{name} failed: no such file" in failed.problems


@pytest.mark.parametrize("name", ["tflm", "host_c"])
def test_that_runtime_and_our_c_have_to_run(name):
    assert checked(**{name: None}).problems == (f"{name} did not run, so nothing is known about it",)


def test_a_board_that_was_asked_for_has_to_run():
    engine = replace(fake(), version=raising(MissingToolError("no emulator")))
    every = {"tflm": fake(), "host_c": fake(), BOARD: engine}
    found = parity.check(MODEL, FILES, IMAGES, None, engines=every, predict=True)
    check = judge(found, max_drop=0.1, require_all=False, like="tflm")
    assert check.problems == (f"{BOARD} did not run: install it",)
    assert f'<failure message="{check.problems[0]}"' in to_junit(check)
    (problem,) = judge(found, max_drop=0.1, require_all=False, like=None).problems
    assert problem == "no LiteRT engine ran; add one, such as --engine litert-builtin"


def test_tflm_has_rules_too_where_the_check_is_like_another():
    agree = {"litert-reference": LOGITS}  # as if it were the reference's
    found = checked("litert-reference", **agree, tflm=wrong(LOGITS))
    assert "tflm: 1 logits are not what its rounding gives" in found.problems


def test_another_runtime_that_fails_is_reported_and_fails_where_all_are_required():
    engines = {"tflite-runtime": BadInputError("it does not know the operator")}
    assert checked(**engines).passed
    strict = checked(require_all=True, **engines)
    assert strict.problems == ("tflite-runtime is failed: it does not know the operator",)


def test_like_another_runtime():
    names = {"litert-builtin": LOGITS, "tflm": None}
    like = "litert-builtin"
    assert shortfall(result_of(checked(like, **{**names, like: LOGITS}), like), like) != ""  # beyond its own rule
    other = checked(like, **{**names, like: BY_RULE[like]})
    assert other.problems == (f"{like}: {(BY_RULE[like] != LOGITS).sum()} logits differ from the reference",)


def test_junit_has_a_failure_for_what_falls_short_alone():
    check = checked(litert__xnnpack=BY_RULE["litert-xnnpack"], litert__builtin=wrong(BY_RULE["litert-builtin"]))
    suite = ElementTree.fromstring(to_junit(check))  # noqa: S314 - our own
    failed = {
        case.get("name"): case.find("failure").get("message") for case in suite if case.find("failure") is not None
    }
    assert set(failed) == {"engine litert-builtin", "verdict"}
    assert failed["engine litert-builtin"].startswith("1 logits are not what its rounding gives; first at image")


def test_layers_that_share_a_name_are_not_told_apart():
    image, other = QTensor((4,), 1.0, 0), QTensor((2, 2), 1.0, 0)
    layers = (Reshape("x", image, other), Reshape("x", other, image), Reshape("y", image, other))
    model, images = QuantizedModel(layers), np.zeros((1, 4), np.int8)
    shown = {"x": np.ones(4, np.int8), "y": np.ones(4, np.int8)}
    engine = replace(fake(np.ones((1, 4), np.int8)), layer_outputs=lambda *_: (shown, np.ones(4, np.int8)))
    found = parity.check(model, FILES, images, None, engines={"tflm": engine})
    assert result_of(found, "tflm").first_difference.layer == "y"
