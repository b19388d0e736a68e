"""JUnit XML: what other tools read must say what the check found."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lenet_edge.parity import Check, Difference, EngineResult
from lenet_edge.report import to_junit

RAN = EngineResult("tflm", "1.0", "ran", 10, 0.9, 0, 0, 0, 0, seconds=1.25)
DIFFERS = EngineResult(
    "litert-xnnpack", "2.0", "ran", 10, 0.9, 7, 3, 1, 2, 0.5, first_difference=Difference(4, 9, -3, 12, "C3")
)
ABSENT = EngineResult("tf-lite", None, "absent", message='pip install "tensorflow>=2.21" & <more>')
FAILED = EngineResult("onnxruntime", "1.2", "failed", message="it is broken")


def parsed(*engines: EngineResult, problems: tuple[str, ...] = ()) -> tuple[ElementTree.Element, dict[str, list[str]]]:
    """The suite, and the outcomes (tags of the children) by test case."""
    suite = ElementTree.fromstring(to_junit(Check("f" * 64, 10, 0.9, None, engines, problems)).encode())  # noqa: S314
    return suite, {case.attrib["name"]: [child.tag for child in case] for case in suite.iter("testcase")}


def test_a_check_that_passed_has_no_failure() -> None:
    suite, outcomes = parsed(RAN)
    assert outcomes == {"engine tflm": [], "verdict": []}
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) == ("2", "0", "0")
    assert suite.find("testcase").attrib["time"] == "1.250"  # type: ignore[union-attr]


def test_every_status_is_shown() -> None:
    suite, outcomes = parsed(RAN, DIFFERS, ABSENT, FAILED, problems=("first", "second"))
    assert outcomes["engine tflm"] == []
    assert outcomes["engine litert-xnnpack"] == ["failure"]
    assert outcomes["engine tf-lite"] == ["skipped"]
    assert outcomes["engine onnxruntime"] == ["failure"]
    assert set(outcomes["verdict"]) == {"failure"}
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) == ("5", "3", "1")


def test_a_verdict_that_failed_is_a_failure_even_where_every_engine_agrees() -> None:
    suite, outcomes = parsed(RAN, problems=("int8 loses 0.30 points, more than 0.10",))
    assert (outcomes["engine tflm"], outcomes["verdict"]) == ([], ["failure"])
    assert suite.attrib["failures"] == "1"
    assert "0.30 points" in suite.find("testcase[@name='verdict']/failure").attrib["message"]  # type: ignore[union-attr]


def test_messages_name_the_difference_and_the_remedy() -> None:
    suite, _ = parsed(DIFFERS, ABSENT)
    failure = suite.find(".//failure").attrib["message"]  # type: ignore[union-attr]
    assert all(part in failure for part in ("7 logits", "image 4", "logit 9", "C3"))
    assert suite.find(".//skipped").attrib["message"] == ABSENT.message  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "a\x00b", "\ud800", "\ufffe", "] ]> & < ' \" é 中"])
def test_whatever_an_engine_says_the_file_can_be_read(text: str) -> None:
    suite, _ = parsed(EngineResult("onnxruntime", "1", "failed", message=f"start {text} end"))
    message = suite.find(".//failure").attrib["message"]  # type: ignore[union-attr]
    assert message.startswith("start ")
    assert message.endswith(" end")
