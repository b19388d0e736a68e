"""The records that commands leave for one another: what is written is read, and nothing else is."""

import copy
import dataclasses
import json
from itertools import product
from pathlib import Path

import any_record
import check_records
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_models import lenet5

from lenet_edge import records
from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source
from lenet_edge.records.artefact import parse_manifest
from lenet_edge.records.bench import parse_bench
from lenet_edge.records.budget import parse_budget
from lenet_edge.records.build import parse_build
from lenet_edge.records.check import parse_check
from lenet_edge.records.exported_c import parse_exported_c
from lenet_edge.records.fields import load_object, write_record
from lenet_edge.records.fit import parse_fit
from lenet_edge.records.flash import parse_flash
from lenet_edge.records.pipeline import parse_pipeline
from lenet_edge.records.sweep import parse_sweep

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.json"))


def facts_of_c():
    return {**c_source.facts(c_source.make_plan(lenet5(51))), "target": "c"}


# What is known of each kind: any record, its reader, its writer, the command that makes it again.
KINDS = {
    "check": (any_record.checks(), records.read_check, records.write_check, "lenet-edge check"),
    "bench": (
        any_record.benches(),
        lambda path: records.read_bench(path, "x"),
        records.write_bench,
        "lenet-edge bench --board x",
    ),
    "budget": (any_record.budgets, records.read_budget, records.write_budget, "lenet-edge budget"),
    "pipeline": (any_record.pipelines, records.read_pipeline, records.write_pipeline, "lenet-edge pipeline"),
    "fit": (
        any_record.fits(),
        records.read_fit,
        lambda path, record: write_record(path, record.content(), parse_fit),
        "lenet-edge quantize --fit-board NAME",
    ),
    "sweep": (any_record.sweeps, records.read_sweep, records.write_sweep, "lenet-edge sweep"),
    "build": (
        any_record.builds,
        lambda path: records.read_build(path / "manifest.json", "x"),
        lambda path, record: write_manifest(path, record),
        "lenet-edge build --board x",
    ),
    "manifest": (
        any_record.manifests,
        records.require_manifest,
        lambda path, record: write_manifest(path, record),
        "",
    ),
    "flash": (
        any_record.events(),
        lambda path: records.read_flash_log(path)[-1],
        records.append_flash,
        "lenet-edge flash",
    ),
}


def write_manifest(folder, record):
    """With no files: what they hold is not the record's business."""
    if isinstance(record, records.BuildRecord):
        records.write_build(folder, {}, record)
    else:
        records.write_artefact(folder, {}, record.fingerprint, **record.facts)


def as_written(record):
    """What a writer cannot be told: the files, whose hashes it computes itself, and its own version."""
    if isinstance(record, records.BuildRecord):
        return dataclasses.replace(record, files={})
    if isinstance(record, records.Manifest):
        return dataclasses.replace(record, files={}, lenet_edge=records.artefact.__version__)
    return record


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(kind, data, tmp_path):
    strategy, read, write, _ = KINDS[kind]
    record, path = data.draw(strategy), tmp_path / "record"
    write(path, record)
    assert read(path) == as_written(record)


@given(record=any_record.manifests)
def test_a_manifest_names_its_files(record):
    assert parse_manifest(load_object(record.to_bytes())) == record


# --- what is not a record ---------------------------------------------------------------------------


def bench_content():
    record = json.loads(BENCHMARKS[0].read_text(encoding="utf-8"))
    return {"format": 1, "image_sha256": "0" * 64, **record}


def build_content():
    made = records.Sizes(code=4_300, tables=63_400, weights=62_414, buffers=2_700, stack=1_024, input_image=784)
    words = {"board": "microbit", "toolchain": "gcc", "optimize": "speed", "family": "plain", "image_sha256": "3" * 64}
    return manifest_content() | words | {"sizes": dataclasses.asdict(made)}


def manifest_content():
    return {"format": 1, "files": {"firmware.elf": "1" * 64}, "fingerprint": "2" * 64, "lenet_edge": "0.1.0"}


def check_content():
    record = check_records.record("1" * 64)
    first = {"image": 3, "logit": 2, "expected": 5, "actual": 6, "layer": "C3", "note": ""}
    figures = {"logits_differ": 5, "images_differ": 3, "argmax_differ": 1, "max_abs_difference": 2}
    record["engines"][3] |= figures | {"first_difference": first}
    return {**record, "passed": False, "problems": ["5 logits differ"]}


def budget_content():
    line = {
        "of": "model",
        "name": "accuracy",
        "value": 0.5,
        "budget": 0.9,
        "base": 0.6,
        "change": -0.1,
        "within": False,
    }
    words = {"fingerprint": "1" * 64, "data": "mnist", "images": 10_000, "toolchains": {"microbit": "gcc"}}
    problems = {"base_fingerprint": None, "passed": False, "problems": ["low"], "notes": []}
    return {"format": 1, **words, "measures": [line], **problems}


def flash_content():
    words = {"time": "2026-01-01T00:00:00+00:00", "event": "done", "board": "microbit", "tool": "pyocd"}
    hashes = {"fingerprint": "1" * 64, "image_sha256": "2" * 64}
    gate = {"policy": {}, "data": {}, "forced": False, "passed_over": [], "not_shown": []}
    stages = [{"name": "write", "found": "ok", "seconds": 1.0}]
    done = {"stages": stages, "banner": "lenet-edge", "images": 10, "logits_differ": 0, "stack_used_bytes": 300}
    return {"format": 1, **words, **hashes, **gate, **done}


def pipeline_content():
    step = {"name": "train", "inputs": {"data": "1"}, "outputs": {"lenet5.safetensors": "1" * 64}}
    return {"format": 1, "steps": [step]}


def sweep_content():
    figures = {"validation_accuracy": 0.99, "float_validation_accuracy": 1.0, "flash_bytes": 62_414}
    words = {"state": "complete", "worker": "host:1", "problem": "", "file": "0000/lenet5-int8.tflite"}
    tested = {"test_accuracy": None, "float_test_accuracy": 0.5}
    row = {"number": 0, "values": {"seed": 0}, "lost": 0, "trial": 4, "seconds": 1.5, "fingerprint": "1" * 64}
    study = {"study": "s", "storage": "sqlite:///s.db", "data": "mnist", "data_sha256": "2" * 64, "board": None}
    return {"format": 1, **study, "configurations": [{**row, **words, **figures, **tested}]}


def fit_content():
    row = {"bits": {"C1": 4}, "flash_bytes": 99, "over_bytes": 0, "ram_over_bytes": 0, "expected_loss": 0.5}
    over = {**row, "flash_bytes": 103, "over_bytes": 3, "ram_over_bytes": 7, "validation_accuracy": None}
    choice = {"layer": "C1", "bits": 4, "bytes": 75, "loss": -0.25}
    words = {"board": "uno", "flash_budget_bytes": 100, "data": "mnist", "fingerprint": "1" * 64, "chosen": 0}
    return {"format": 1, **words, "choices": [choice], "front": [{**row, "validation_accuracy": 0.99}, over]}


CONTENTS = {
    "check": (check_content, parse_check),
    "bench": (bench_content, parse_bench),
    "budget": (budget_content, parse_budget),
    "build": (build_content, parse_build),
    "manifest": (manifest_content, parse_manifest),
    "flash": (flash_content, parse_flash),
    "pipeline": (pipeline_content, parse_pipeline),
    "sweep": (sweep_content, parse_sweep),
    "fit": (fit_content, parse_fit),
    "C": (lambda: manifest_content() | facts_of_c(), parse_exported_c),
}
MAY_LACK = {
    "bench": {("format",), ("image_sha256",), *product(("layers",), range(9), ("runner_up", "runner_up_more"))},
    "budget": {("format",)},
    "build": {("format",)},
    "manifest": {("format",)},
    "flash": {("format",)},
    "C": {("format",), ("target",)},
}
MAPPINGS = {
    "files",
    "firmware",
    "toolchains",
    "policy",
    "data",
    "inputs",
    "outputs",
    "values",
    "bits",
}  # whose keys are not the record's


def places(content, path=()):
    """Every key of a JSON object, and of those within it, as a path."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in entries:
        if isinstance(content, dict):
            yield (*path, key)
        if isinstance(value, dict | list) and key not in MAPPINGS:
            yield from places(value, (*path, key))


def at(content, path):
    for key in path:
        content = content[key]
    return content


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_record_without_one_of_its_keys_is_refused(kind):
    content, parse = CONTENTS[kind][0](), CONTENTS[kind][1]
    parse(content)
    found = list(places(content))
    assert len(found) >= len(content)
    for path in found:
        damaged = copy.deepcopy(content)
        del at(damaged, path[:-1])[path[-1]]
        if path in MAY_LACK.get(kind, set()):
            parse(damaged)
        else:
            with pytest.raises(records.WrongRecordError):
                parse(damaged)


@pytest.mark.parametrize("kind", [kind for kind in CONTENTS if kind != "manifest"])  # of which facts are a part
def test_a_record_with_an_unknown_key_is_refused_and_the_key_named(kind):
    content, parse = CONTENTS[kind][0](), CONTENTS[kind][1]
    for path in {path[:-1] for path in places(content)}:
        damaged = copy.deepcopy(content)
        at(damaged, path)["surplus"] = 1
        with pytest.raises(records.WrongRecordError, match=r"surplus.* is not known"):
            parse(damaged)


@pytest.mark.parametrize("form", [0, 4, "1", 1.0, True, None])
@pytest.mark.parametrize("kind", CONTENTS)
def test_the_record_of_another_version_is_refused(kind, form):
    content, parse = CONTENTS[kind][0](), CONTENTS[kind][1]
    with pytest.raises(records.WrongRecordError, match=r"its format is .*, another version's"):
        parse(content | {"format": form})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind][3]])
def test_another_versions_record_names_the_command_that_makes_it_again(kind, tmp_path):
    content, (_, read, _, command) = CONTENTS[kind][0](), KINDS[kind]
    path = tmp_path / "manifest.json" if kind == "build" else tmp_path / "record"
    path.write_text(json.dumps(content | {"format": 7}) + "\n")
    with pytest.raises(BadInputError, match="its format is 7") as refused:
        read(tmp_path if kind == "build" else path)
    assert command in str(refused.value)


def test_exported_c_of_another_version_names_the_command_that_makes_it_again(tmp_path):
    content = manifest_content() | facts_of_c()
    (tmp_path / "manifest.json").write_text(json.dumps(content | {"format": 7}))
    with pytest.raises(BadInputError, match=r"its format is 7.*export again") as refused:
        records.read_exported_c(tmp_path)
    assert "lenet-edge export --target c" in str(refused.value)


# --- records that are there -------------------------------------------------------------------------


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_the_records_in_benchmarks_are_read(path):
    """What is written again is the same."""
    record = records.read_bench(path, "x")
    assert json.loads(json.dumps(record.content())) == load_object(path.read_bytes())


@pytest.mark.parametrize("path", BENCHMARKS[:3], ids=lambda path: path.stem)
def test_earlier_records_of_bench_are_read(path, tmp_path):
    """They had no number, no image and no runners-up."""
    content = load_object(path.read_bytes())
    del content["format"], content["image_sha256"]
    for layer in content["layers"]:
        del layer["runner_up"], layer["runner_up_more"]
    (tmp_path / "earlier.json").write_text(json.dumps(content))
    found, now = records.read_bench(tmp_path / "earlier.json", "x"), records.read_bench(path, "x")
    assert found.image_sha256 is None
    assert [layer.count for layer in found.layers] == [layer.count for layer in now.layers]
    assert {layer.runner_up for layer in found.layers} == {""}


def test_what_c_export_says_is_what_the_engine_reads():
    facts = facts_of_c()
    found = parse_exported_c(manifest_content() | facts)
    told = dataclasses.asdict(found) | {"target": "c"}
    for key in ("name", "fingerprint", "files", "outputs", "like", "frames"):
        told.pop(key)
    assert told.pop("packing") == {}
    assert json.loads(json.dumps(told)) == facts
    assert parse_exported_c(manifest_content() | facts | {"packing": {"C5": "trits"}}).packing == {"C5": "trits"}
    assert found.outputs == 10


def test_a_flash_that_was_cut_off_leaves_the_lines_before_it(tmp_path):
    log = tmp_path / "flash.log"
    event = parse_flash(flash_content())
    records.append_flash(log, event)
    log.write_bytes(log.read_bytes() + b'{"time": "2026')
    with pytest.warns(UserWarning, match="line 2 was cut off"):
        assert records.read_flash_log(log) == [event]
    log.write_bytes(b"{}\n" + log.read_bytes())
    with pytest.raises(BadInputError, match="line 1: "):
        records.read_flash_log(log)


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(BadInputError, match="choose another with --log"):
        records.append_flash(tmp_path, parse_flash(flash_content()))


def test_an_event_has_what_goes_with_it():
    content = flash_content()
    for event in ("refused", "begins", "failed"):
        with pytest.raises(records.WrongRecordError):  # a result, and no error
            parse_flash(content | {"event": event})
    failed = {key: value for key, value in content.items() if key not in ("stages", "banner", "images")}
    failed = {key: value for key, value in failed.items() if key not in ("logits_differ", "stack_used_bytes")}
    assert parse_flash(failed | {"event": "failed", "error": "no answer"}).error == "no answer"


def test_a_pipeline_has_each_step_once():
    content = pipeline_content()
    with pytest.raises(records.WrongRecordError, match="the step 'train' twice"):
        parse_pipeline(content | {"steps": content["steps"] * 2})
    with pytest.raises(records.WrongRecordError, match="outputs"):
        parse_pipeline(content | {"steps": [content["steps"][0] | {"outputs": {"x": "no hash"}}]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": 2}, "there is no allocation 2"),
        ({"chosen": 1}, "does not fit, or was not trained"),
        ({"flash_budget_bytes": 98}, "99 bytes of flash are not 0 over the budget"),
        ({"choices": []}, "bits that its layer may not have"),
    ],
)
def test_a_fit_that_contradicts_itself(change, message):
    with pytest.raises(records.WrongRecordError, match=message):
        parse_fit({**fit_content(), **change})


def test_a_budget_that_contradicts_itself():
    for change, said in (
        ({"passed": True}, "passed is true, with 1 problems"),
        ({"measures": [{**budget_content()["measures"][0], "within": True}]}, "says within: true"),
        ({"measures": budget_content()["measures"] * 2}, "accuracy of model twice"),
    ):
        with pytest.raises(records.WrongRecordError, match=said):
            parse_budget(budget_content() | change)
