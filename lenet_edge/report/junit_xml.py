"""Results in the forms that other tools read: JUnit XML for CI."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from lenet_edge.parity import Check, EngineResult, shortfall

__all__ = ["cases_to_junit", "to_junit"]

# What XML 1.0 cannot hold, however it is escaped (production [2], Char): a runtime's message may have colours.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(check: Check) -> str:
    """The check as JUnit XML: a test case per engine, one for the accuracy, one for the verdict as a whole."""
    suite = ElementTree.Element("testsuite", name="lenet-edge check")
    for engine in check.engines:
        case = _case(suite, f"engine {engine.name}", engine.seconds or 0.0)
        if problem := shortfall(engine, check.like):
            ElementTree.SubElement(case, "failure", message=_located(engine, problem))
        elif engine.status == "absent":
            ElementTree.SubElement(case, "skipped", message=engine.message)
    verdict = _case(suite, "verdict", 0.0)
    for problem in check.problems:
        ElementTree.SubElement(verdict, "failure", message=problem)
    return _finished(suite)


def cases_to_junit(what: str, cases: Iterable[tuple[str, str]]) -> str:
    """Cases (name, what is wrong, empty for nothing) of `lenet-edge WHAT` as JUnit XML."""
    suite = ElementTree.Element("testsuite", name=f"lenet-edge {what}")
    for name, failure in cases:
        case = _case(suite, name, 0.0, what)
        if failure:
            ElementTree.SubElement(case, "failure", message=failure)
    return _finished(suite)


def _finished(suite: ElementTree.Element) -> str:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    for element in suite.iter():
        for name, value in element.items():
            element.set(name, _NOT_IN_XML.sub("", value))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, name: str, seconds: float, what: str = "check") -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=f"lenet_edge.{what}", name=name, time=f"{seconds:.3f}")


def _located(engine: EngineResult, problem: str) -> str:
    first = engine.first_difference
    where = f"; first at image {first.image}, logit {first.logit}, layer {first.layer or 'unknown'}" if first else ""
    return f"{problem.removeprefix(f'{engine.name}: ').removeprefix(f'{engine.name} failed: ')}{where}"
