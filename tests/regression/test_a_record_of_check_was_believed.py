"""`flash` and `budget` took figures of build/check.json as they came: NaN, 1e300, text, another version's record, a
`passed` that nothing else in it bears out. A record is data that anybody may have edited.
"""

import copy
import dataclasses
import json

import check_records
import pytest
from click.testing import CliRunner

from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError
from lenet_edge.hardware.flashing import read_records
from lenet_edge.records import write_check
from lenet_edge.records.check import parse_check

GOOD = check_records.record("1" * 64)
TFLM = 1  # its place among the engines


def changed(place, value):
    """The good record with another value at "key" or (key, number, key); `value` may be a function of the old one."""
    record = copy.deepcopy(GOOD)
    *path, last = (place,) if isinstance(place, str) else place
    table = record
    for key in path:
        table = table[key]
    if value is KeyError:
        del table[last]
    else:
        table[last] = value(table[last]) if callable(value) else value
    return record


def of_tflm(name):
    return ("engines", TFLM, name)


def test_a_record_of_before_the_confusion_matrix_is_read():
    old = {key: value for key, value in GOOD.items() if key not in ("confusion", "like")} | {"format": 2}
    assert parse_check(old) == dataclasses.replace(parse_check(GOOD), confusion=None)


WRONG = [
    *((key, KeyError, key) for key in sorted(set(GOOD) - {"format"})),
    ("format", KeyError, "format is None, another version"),
    *(("format", value, "another version") for value in (0, 1, 2, 4, True, "1", 1.0, None, [])),
    *(("fingerprint", value, "fingerprint") for value in (3, None, "", "1" * 63, "G" * 64, "1" * 64 + "\n", [])),
    *(("data", value, "data is") for value in (None, 5, ["mnist"], {})),
    *(("data_sha256", value, "data_sha256") for value in (None, "mnist", "A" * 64, 0)),
    *(("data_images", value, "data_images") for value in (-1, 0, 1e300, 10_000.0, "10000", True, None, 10**16)),
    ("data_images", 9_999, "10,000 images, and its data has 9,999"),
    *(("images", value, "images") for value in (-5, 0, 9_999, 1e4, "many", True, None, [10_000], 10**16)),
    ("images", 10**4000, "an integer of 4001 digits"),
    ("images", 10_001, "10,001 images, and its data has 10,000"),
    *(("int8_accuracy", value, "accuracy") for value in (-0.1, 1.1, 1e300, "0.99", True, 0.5, [0.99])),
    ("int8_accuracy", None, "accuracy"),
    *(("float_accuracy", value, "") for value in (None, 99.0, 0.98, 0.99000001, False)),
    *(("drop_points", value, "") for value in (None, -101, 1e300, "0.0", 0.05, False)),
    *(("confusion", value, "confusion") for value in (None, [], {}, {"classes": [], "matrix": []})),
    *((("confusion", "classes"), value, "confusion") for value in (None, ["even"], ["even", 1], "ab", ["a", "b", "c"])),
    *((("confusion", "matrix"), value, "confusion") for value in (None, [], [[0, 1]], [[0, 1], [1]], "ab")),
    *((("confusion", "matrix"), [[9900, value], [0, 0]], "rows of counts") for value in (100.0, True, -1, None, "1")),
    (("confusion", "matrix"), [[5000, 100], [0, 4901]], "of 10,001 images, but the check is of 10,000"),
    (("confusion", "matrix"), [[5000, 101], [0, 4899]], "has 9,899 right"),
    (("confusion", "more"), 1, "'more' is not known"),
    *(("max_drop", value, "max_drop") for value in (None, -1, 1e300, "0.1", True)),
    *(("passed", value, "passed") for value in (1, "true", None, False, [True])),
    *(("problems", value, "problems") for value in ("none", {}, None, [1], [None])),
    ("problems", ["tflm: 3 logits differ"], "passed is true, with 1 problems"),
    *(("engines", value, "engine") for value in ("tflm", {}, None, [1], [None], ["tflm"])),
    ("engines", lambda engines: [], "the reference"),
    ("engines", lambda engines: engines[1:], "the reference"),
    ("engines", lambda engines: [*engines, engines[TFLM]], "the engine tflm twice"),
    ("engines", lambda engines: [*engines, check_records.absent("tflm")], "the engine tflm twice"),
    ("engines", lambda engines: [*engines[:1], *engines[2:]], "TFLM or LiteRT did not run"),
    ("engines", lambda engines: [engine for engine in engines if "litert" not in engine["name"]], "TFLM or LiteRT"),
    *((of_tflm(name), KeyError, name) for name in check_records.engine("") if name != "seconds"),
    *((of_tflm("name"), value, "name") for value in (None, 3, "", "a b", "[red]tflm", "x" * 300)),
    *((of_tflm("status"), value, "status") for value in (None, "ok", "RAN", 1, True)),
    *((of_tflm("status"), value, "and there are figures of it") for value in ("absent", "failed")),
    *((of_tflm("images"), value, "") for value in (0, -1, 9_999, 10_001, 1e4, "10000", True, None)),
    *((of_tflm("accuracy"), value, "") for value in (None, 0.98, 1e300, "0.99", True)),
    *((of_tflm("logits_differ"), value, "") for value in (None, -1, 1, False, 0.0, "0", 1e300)),
    *((of_tflm("images_differ"), value, "") for value in (None, -1, 1, 10_001, False, "0")),
    *((of_tflm("argmax_differ"), value, "") for value in (None, -1, 1, True)),
    *((of_tflm("max_abs_difference"), value, "") for value in (None, -1, 1, 256, False)),
    *(("firmware", value, "") for value in (None, [], {}, "0" * 64, {"microbit": "0"}, {"microbit": None})),
    ("firmware", {"microbit": "0" * 64, "../x": "0" * 64}, "'../x' is not a board's name"),
    ("firmware", {"other": "0" * 64}, "board:microbit/unicorn ran, and it does not say which firmware"),
    *(("float_sha256", value, "") for value in (None, "", "f" * 63, 0, True)),
    # What nothing is judged by is no less a part of it.
    *(("drop_interval", value, "drop_interval") for value in (0, "x", [], [0.0], [1.0, 0.0], [0, 0, 0], ["0", 0], {})),
    *(("drop_interval", value, "drop_interval") for value in ([-1e300, 1e300], [None, 0.0], [False, True])),
    *(("mcnemar_p", value, "mcnemar_p") for value in (-1, 1.5, 1e300, "1", True, [1])),
    *(("warnings", value, "warnings") for value in ("x", [1], {}, True)),
    ("Passed", True, "'Passed' is not known"),
    *((of_tflm("seconds"), value, "seconds") for value in (-1, 1e300, "1", True, [1])),
    *((of_tflm(name), value, name) for name in ("version", "artefact", "message", "rule") for value in (1, [], True)),
    *((of_tflm("beyond_rule"), value, "beyond_rule") for value in (-1, 0.0, "0", True)),
    *((of_tflm("first_difference"), value, "first_difference") for value in ("x", [], 1, {}, {"image": 0})),
    (of_tflm("logits_difer"), 0, "'logits_difer' is not known"),
    (of_tflm("argmax_differ"), None, "classes of a part of the engines"),
    (("engines", 5, "name"), "board:microbit/paper", "it does not say which firmware"),
    ("engines", lambda engines: [*engines, {**check_records.absent("x"), "images": 10_000}], "x is absent"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "said"), WRONG)
def test_what_cannot_be_is_refused_and_named(tmp_path, place, value, said):
    path = check_records.write(tmp_path / "check.json", changed(place, value))
    with pytest.raises(BadInputError) as refused:
        read_records([path])
    message = str(refused.value)
    assert message.startswith(f"{path} is not a record of `lenet-edge check`: ")
    assert said in message
    assert message.endswith("lenet-edge check")
    assert len(message) < 500


def with_difference(**figures):
    """TFLM differs, and the record says that it did not pass."""
    record = changed(of_tflm("logits_differ"), figures["logits_differ"])
    record["engines"][TFLM] |= figures
    return record | {"passed": False, "problems": ["tflm: logits differ"]}


@pytest.mark.parametrize(
    ("figures", "possible"),
    [
        ({"logits_differ": 5, "images_differ": 3, "argmax_differ": 1, "max_abs_difference": 2}, True),
        ({"logits_differ": 5, "images_differ": 6, "argmax_differ": 1, "max_abs_difference": 2}, False),
        ({"logits_differ": 5, "images_differ": 3, "argmax_differ": 4, "max_abs_difference": 2}, False),
        ({"logits_differ": 5, "images_differ": 0, "argmax_differ": 0, "max_abs_difference": 2}, False),
        ({"logits_differ": 5, "images_differ": 3, "argmax_differ": 1, "max_abs_difference": 0}, False),
        ({"logits_differ": 5, "images_differ": 3, "argmax_differ": 1, "max_abs_difference": 256}, False),
        ({"logits_differ": 0, "images_differ": 0, "argmax_differ": 0, "max_abs_difference": 0}, True),
    ],
)
def test_figures_of_the_same_logits(tmp_path, figures, possible):
    path = check_records.write(tmp_path / "check.json", with_difference(**figures))
    if possible:
        assert not read_records([path])[0].passed
    else:
        with pytest.raises(BadInputError, match="which cannot be"):
            read_records([path])


def test_a_verdict_that_the_figures_do_not_bear_out():
    differs = with_difference(logits_differ=1, images_differ=1, argmax_differ=0, max_abs_difference=1)
    failed = changed("engines", lambda engines: [*engines, {**check_records.absent("tf-lite"), "status": "failed"}])
    lost = changed("drop_points", 1.0) | {"float_accuracy": 1.0}
    for record, said in (
        (differs | {"passed": True, "problems": []}, "it says that it passed, but tflm: 1 logits differ"),
        (failed, "it says that it passed, but tf-lite failed"),
        (lost, "it says that it passed, but int8 loses 1.0 points of at most 0.1"),
    ):
        with pytest.raises(ValueError, match=said):
            parse_check(record)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ('{"passed": true}', "engines is missing"),
        (json.dumps(GOOD).replace('"drop_points": 0.0', '"drop_points": NaN'), "NaN is not a number"),
        (json.dumps(GOOD).replace('"drop_points": 0.0', '"drop_points": -Infinity'), "-Infinity is not a number"),
        (json.dumps(GOOD).replace('"drop_points": 0.0', '"drop_points": 1e999'), "1e999 is too large"),
        (json.dumps(GOOD).replace('"images": 10000', f'"images": 1{"0" * 5000}'), "not JSON"),
        ('{"passed": true, ' + json.dumps(GOOD)[1:], "'passed' stands twice"),
        ("[" * 100_000, "not JSON"),
        (json.dumps(GOOD).replace("mnist", "\\ud800"), "data is '\\ud800', not a text"),
        (json.dumps(GOOD).replace("mnist", "\x00"), "not JSON"),
        (" " * (5 << 20), "too large: 5,242,880 bytes"),
    ],
)
def test_what_is_not_json_or_has_more_than_json_has(tmp_path, text, said):
    path = check_records.write(tmp_path / "check.json", text)
    with pytest.raises(BadInputError) as refused:
        read_records([path])
    assert said in str(refused.value)


def test_what_check_writes_is_read(tmp_path):
    good = parse_check(GOOD)
    write_check(tmp_path / "check.json", good)
    (record,) = read_records([tmp_path / "check.json", tmp_path / "absent.json"])
    assert (record.images, record.data_sha256, record.drop_points) == (10_000, check_records.MNIST, 0.0)
    assert [engine.name for engine in record.engines if engine.status == "ran"][1] == "tflm"
    with pytest.raises(ValueError, match="passed is true, with 1 problems"):
        write_check(tmp_path / "other.json", dataclasses.replace(good, problems=("x",)))
    assert not (tmp_path / "other.json").exists()


def test_budget_reads_it_as_strictly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenet-edge.toml").write_text("[model]\naccuracy = 0.9\n")
    for place, value, _ in WRONG[::7]:
        check_records.write(tmp_path / "build/check.json", changed(place, value))
        done = CliRunner().invoke(cli, ["budget"])
        assert isinstance(done.exception, BadInputError), done.exception
        assert "lenet-edge check" in str(done.exception)
