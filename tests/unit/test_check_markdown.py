"""The verdict of a check in Markdown: every figure of the record, and nothing that a message could smuggle in."""

from __future__ import annotations

import re

import check_records
import pytest

from lenet_edge.records.check import parse_check
from lenet_edge.report import check_to_markdown

HOSTILE = "<script>alert(1)</script> | `x` [a](http://b) @team\n# title"


def record(*engines, **changes):
    content = check_records.record("ab" * 32)
    content["engines"] += engines
    return parse_check({**content, **changes})


def rows(text: str) -> dict[str, list[str]]:
    """Engine -> the other cells of its row."""
    unescaped = r"(?<!\\)\|"
    cells = [re.split(unescaped, line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return {name.strip(): [cell.strip() for cell in rest] for name, *rest in cells}


def test_a_check_that_passed():
    text = check_to_markdown(record())
    assert text.startswith("### lenet-edge: every engine computes the same integers\n")
    assert f"Model `{'ab' * 8}`, checked on 10,000 images of mnist." in text
    assert "Float 99.00 %, int8 99.00 %: 0.00 points lost (95 % interval 0.00 to 0.00), at most 0.10." in text
    assert rows(text)["tflm"] == ["", "99.00 %", "0", "0", "ok"]
    assert rows(text)["reference"][2] == "reference"
    assert rows(text)["board:microbit/unicorn"][-1] == "ok"
    assert "* " not in text


def test_an_engine_that_differs_is_located():
    first = {"image": 3, "logit": 2, "expected": -4, "actual": -5, "layer": "C3", "note": ""}
    figures = {"logits_differ": 1234, "images_differ": 99, "argmax_differ": 1, "max_abs_difference": 2}
    wrong = check_records.engine("litert-builtin", **figures, first_difference=first)
    problems = ["litert-builtin: 1234 logits differ from the reference"]
    text = check_to_markdown(record(wrong, passed=False, problems=problems))
    assert text.startswith("### lenet-edge: the check did NOT pass\n")
    assert rows(text)["litert-builtin"][2:] == ["1,234", "2", "**differs**"]
    assert "* **litert-builtin: 1234 logits differ from the reference**\n" in text
    assert "* litert-builtin differs first at image 3, logit 2: -5 instead of -4, in layer C3\n" in text


@pytest.mark.parametrize("status", ["absent", "failed"])
def test_what_messages_say_stays_text(status):
    engine = {**check_records.absent("tf-lite"), "status": status, "message": HOSTILE}
    changes = {"passed": False, "problems": [f"tf-lite failed: {HOSTILE}"]} if status == "failed" else {}
    text = check_to_markdown(record(engine, data=HOSTILE.replace("\n", " "), warnings=[HOSTILE], **changes))
    assert "\n# title" not in text
    assert not re.search(r"(?<!\\)[<>@\[]", text)
    assert rows(text)["tf-lite"][-1] in ("absent", "**failed**")
    assert text.count("alert") == 3  # data, warning, and the engine's message or the problem
