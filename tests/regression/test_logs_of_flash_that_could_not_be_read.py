"""`read_flash_log` refused a whole log for one line that `flash` itself had left, and a full log hid the refusal.

Lines of earlier versions, a line that was cut off by a full disk, file names that are not UTF-8: all are in a log, and
none makes the others unreadable.
"""

import json
import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import check_records
import made_elf
import pytest
import sample_models

from lenet_edge.errors import BadInputError, LinkError
from lenet_edge.formats import tflite
from lenet_edge.hardware.elf import Elf
from lenet_edge.records import append_flash, read_flash_log, write_artefact
from lenet_edge.records.flash import FlashEvent

MODEL = sample_models.lenet5(51)
SIZES = dict.fromkeys(("code", "tables", "weights", "buffers", "stack", "input_image"), 1)

# As the code of commit a5a1704 wrote it.
OLD_DONE = (
    '{"time": "2026-11-27T03:51:35+00:00", "event": "done", "board": "microbit", '
    '"fingerprint": "fea1fa671984caf9408bc2af93062b8201fbba405e74b90ee54ef7da11f28aa9", '
    '"image_sha256": "e173bdd59635c8d2653d957f19539ebb32d10f0fa81160ca54a12b0eceadd541", "tool": "pyocd", '
    '"policy": {"from": "[policy] of microbit", "engines": ["tflm", "litert-reference", "litert-xnnpack", "host_c"], '
    '"images": 10000, "data": null, "board_images": 10000, "float_comparison": true, "max_drop_points": 0.1}, '
    '"data": {"name": "mnist", "sha256": "b200a23c265d0e9237811669d1c05fd8bc5ae74128c22ccd0d8542467bd23e3a", '
    '"images": 10000, "source": "default"}, "forced": true, '
    '"passed_over": ["the model fea1fa671984caf9 was never checked"], "not_shown": []}\n'
)
EVENT = FlashEvent(
    *("2026-01-01T00:00:00+00:00", "refused", "microbit", "1" * 64, "2" * 64, "pyocd", {}, {}, False, (), ()),
    error="was never checked",
)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "flash.log"


# --- lines of earlier versions ----------------------------------------------------------------------


def test_a_line_of_an_earlier_version_is_read(path):
    path.write_text(OLD_DONE)
    append_flash(path, EVENT)
    old, new = read_flash_log(path)
    assert (old.event, old.result, old.error, old.forced) == ("done", None, None, True)
    assert old.policy["images"] == 10_000
    assert new == EVENT


def test_a_line_from_before_the_log_had_the_policy_is_read(path):
    content = json.loads(OLD_DONE)
    oldest = {key: value for key, value in content.items() if key not in ("policy", "data", "not_shown")}
    lines = [oldest | {"event": "begins"}, oldest | {"event": "failed", "error": "no answer"}, oldest]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    events = read_flash_log(path)
    assert [event.event for event in events] == ["begins", "failed", "done"]
    assert [(event.policy, event.data, event.not_shown) for event in events] == [({}, {}, ())] * 3
    assert events[1].error == "no answer"


@pytest.mark.parametrize("key", ["policy", "data", "not_shown", "stages"])
def test_a_line_with_a_number_lacks_nothing(path, key):
    done = {"stages": [], "banner": "", "images": 1, "logits_differ": 0, "stack_used_bytes": 1}
    content = {"format": 1, **json.loads(OLD_DONE), **done}
    path.write_text(json.dumps(content) + "\n")
    assert read_flash_log(path)[0].result.images == 1
    del content[key]
    path.write_text(json.dumps(content) + "\n")
    with pytest.raises(BadInputError, match=f"line 1: {key} is missing"):
        read_flash_log(path)


# --- lines that were cut off ------------------------------------------------------------------------


def test_a_line_that_was_cut_off_does_not_take_the_next_one_along(path):
    append_flash(path, EVENT)
    whole = path.read_bytes()
    for length in range(1, len(whole) - 1):
        path.write_bytes(whole + whole[:length])
        append_flash(path, EVENT)
        with pytest.warns(UserWarning, match="line 2 was cut off and is left out"):
            assert read_flash_log(path) == [EVENT, EVENT], length


def test_a_line_that_only_lacks_its_end_is_whole(path):
    append_flash(path, EVENT)
    path.write_bytes(path.read_bytes()[:-1])
    assert read_flash_log(path) == [EVENT]
    append_flash(path, EVENT)
    assert read_flash_log(path) == [EVENT, EVENT]


def test_two_lines_in_one_as_they_were_written_before(path):
    append_flash(path, EVENT)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + whole + whole)
    with pytest.warns(UserWarning, match="line 1 was cut off"):
        assert read_flash_log(path) == [EVENT]


@pytest.mark.parametrize("line", ["", "no log", "[]", '{"format": 1}', '{"format": NaN}', '{"a": ' + "1" * 5000 + "}"])
def test_what_is_no_line_of_the_log_is_refused(path, line):
    append_flash(path, EVENT)
    path.write_text(line + "\n" + path.read_text())
    with pytest.raises(BadInputError, match="line 1: "):
        read_flash_log(path)


def test_values_that_are_nested_too_deeply_are_refused(path):
    path.write_text('{"policy": ' + "[" * 900 + "]" * 900 + "}\n")
    with pytest.raises(BadInputError, match="line 1: "):
        read_flash_log(path)


# --- names that are not UTF-8 -----------------------------------------------------------------------


def test_a_name_that_is_not_utf8_is_written_as_text(path):
    name = os.fsdecode(b"b\xff.json")
    append_flash(path, replace(EVENT, passed_over=(name,), error=name, policy={name: [name]}))
    (found,) = read_flash_log(path)
    assert (found.passed_over, found.error) == (("b\\udcff.json",), "b\\udcff.json")
    assert found.policy == {"b\\udcff.json": ["b\\udcff.json"]}
    path.read_text(encoding="utf-8").encode()


def test_a_name_that_an_earlier_version_wrote_as_half_a_pair_is_read(path):
    path.write_text(OLD_DONE.replace("was never checked", "\\udcff"))
    (found,) = read_flash_log(path)
    assert found.passed_over == ("the model fea1fa671984caf9 \\udcff",)


# --- a log that cannot be written -------------------------------------------------------------------


@pytest.fixture
def project(tmp_path) -> Path:
    """A model, firmware that is not its own, and a record of check."""
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(MODEL))
    elf = made_elf.firmware()
    words = {"toolchain": "gcc", "optimize": "speed", "family": "plain", "image_sha256": Elf(elf).sha256}
    folder = tmp_path / "build/firmware/microbit"
    write_artefact(folder, {"firmware.elf": elf}, MODEL.fingerprint, board="microbit", sizes=SIZES, **words)
    check_records.write(tmp_path / "build/check.json", check_records.record(MODEL.fingerprint))
    return tmp_path


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_log_does_not_hide_the_refusal(project, call):
    done = call("flash", "--board", "microbit", "--model", "model.tflite", "--log", "/dev/full")
    assert done.returncode == 1
    assert "refused to flash" in done.stderr.splitlines()[-1]
    assert "warning: cannot write the log /dev/full" in done.stderr


def test_a_refusal_is_in_the_log(project, call):
    assert call("flash", "--board", "microbit", "--model", "model.tflite").returncode == 1
    (event,) = read_flash_log(project / "build/flash.log")
    assert (event.event, event.forced) == ("refused", False)
    assert event.passed_over
    assert all(problem in event.error for problem in event.passed_over), "what was not met"


def test_a_full_log_does_not_hide_what_failed(monkeypatch, capsys):
    """The log takes what begins, and then no more."""
    from lenet_edge.hardware import flashing

    class Log:
        verdict = flashing.Verdict((), "")
        job = None

        def begins(self):
            pass

        def failed(self, error):
            raise BadInputError(f"cannot write that {error}")

    def fail(*_, **__):
        raise LinkError("write: interrupted")

    candidate = flashing.Candidate(None, MODEL, None, b"")
    monkeypatch.setattr(flashing, "find_connection", lambda *_, **__: flashing.Connection(None, None, None))
    monkeypatch.setattr(flashing, "flash", fail)
    with pytest.raises(LinkError, match="write: interrupted"):
        import_module("lenet_edge.cli.flash")._flash(Log(), candidate, None, (None, None), 1.0)
    assert "warning: cannot write that write: interrupted" in capsys.readouterr().err
