"""A policy with `like`: which records of `check` satisfy it, and what its other keys are by default."""

import json
from pathlib import Path

import check_records
import made_elf
import pytest
import sample_models
from click.testing import CliRunner

from lenet_edge.cli import cli
from lenet_edge.cli.inputs import noise_facts
from lenet_edge.errors import BadInputError, CheckFailedError
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards
from lenet_edge.hardware.elf import Elf
from lenet_edge.records import WrongRecordError, write_artefact
from lenet_edge.records.check import parse_check

MODEL = sample_models.lenet5(51)
SIZES = dict.fromkeys(("code", "tables", "weights", "buffers", "stack", "input_image"), 1)


def like_record(**changes):
    """A check like TFLM on 1,000 inputs of noise; XNNPACK differs as its rounding says."""
    digest, count = noise_facts(MODEL)
    names = ("reference", "tflm", "host_c", "board:microbit/unicorn")
    different = {"logits_differ": 9, "images_differ": 7, "argmax_differ": 0, "max_abs_difference": 1, "beyond_rule": 0}
    engines = [check_records.engine(name, 1000, accuracy=None) for name in names]
    engines.append(check_records.engine("litert-xnnpack", 1000, accuracy=None, **different))
    nothing = ("float_accuracy", "float_sha256", "int8_accuracy", "drop_points", "drop_interval", "mcnemar_p")
    facts = {"data": "noise", "data_sha256": digest, "data_images": count, "engines": engines, "confusion": None}
    record = check_records.record(MODEL.fingerprint, images=1000, image=Elf(made_elf.firmware()).sha256)
    return record | dict.fromkeys(nothing) | facts | {"like": "tflm"} | changes


@pytest.fixture
def conditions(tmp_path, monkeypatch):
    """``conditions(record, policy)``: what `flash` says of the record, by the condition's name."""
    monkeypatch.chdir(tmp_path)
    Path("model.tflite").write_bytes(tflite.to_bytes(MODEL))
    elf = made_elf.firmware()
    words = {"toolchain": "gcc", "optimize": "speed", "family": "plain", "sizes": SIZES, "board": "microbit"}
    write_artefact(
        tmp_path / "build/firmware/microbit",
        {"firmware.elf": elf},
        MODEL.fingerprint,
        image_sha256=Elf(elf).sha256,
        **words,
    )

    def ask(record, policy='like = "tflm"'):
        check_records.write(tmp_path / "build/check.json", record)
        Path("policy.toml").write_text(policy)
        arguments = ("--dry-run", "--json", "--model", "model.tflite", "--board", "microbit", "--policy", "policy.toml")
        done = CliRunner().invoke(cli, ["flash", *arguments])
        if isinstance(done.exception, BadInputError):
            raise done.exception
        assert isinstance(done.exception, CheckFailedError)  # this firmware is not the model's
        return {condition["name"]: condition for condition in json.loads(done.stdout)["conditions"]}

    return ask


def test_a_record_that_is_like_the_runtime_is_enough(conditions):
    found = conditions(like_record())
    names = ("check", "data", "engines", "accuracy drop", "this firmware")
    assert {name: found[name]["met"] for name in names} == dict.fromkeys(names, True)
    assert found["check"]["found"] == "passed, like tflm, 1 on record"
    assert "does not ask for a comparison" in found["accuracy drop"]["caveat"]


def test_what_is_asked_for_by_default_and_what_is_given(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text('like = "litert-builtin"\n')
    expected = boards.Policy(("litert-builtin", "host_c"), 1000, "noise", 20, False, 0.10, "litert-builtin")
    assert boards.read_policy(path) == expected
    path.write_text('like = "tflm"\nimages = 3\nengines = ["tflm"]\ndata = "mnist"\n')
    assert boards.read_policy(path) == boards.Policy(("tflm",), 3, "mnist", 20, False, 0.10, "tflm")


def test_a_record_of_another_kind_is_not_enough(conditions):
    strict = conditions(like_record(), "")
    assert not strict["check"]["met"]
    assert "was checked like tflm only; the policy asks for a check in which all agree" in strict["check"]["problem"]
    other = conditions(like_record(), 'like = "litert-builtin"')
    assert "like tflm only; the policy asks for a check like litert-builtin" in other["check"]["problem"]
    assert other["check"]["remedy"] == "lenet-edge check --model model.tflite --like litert-builtin --data noise"


def test_the_command_that_helps_names_the_model_and_its_data(conditions):
    """Without them it checked and built the usual model, on MNIST, and the next `flash` said the same."""
    few = conditions(like_record(), 'like = "tflm"\nimages = 2000\nboard_images = 2000\n')
    checked = "lenet-edge check --model model.tflite --like tflm --data noise"
    assert few["engines"]["remedy"] == checked
    assert few["this firmware"]["remedy"] == f"{checked} --board microbit"
    assert few["board and model"]["remedy"] == "lenet-edge build --board microbit --model model.tflite"


def test_a_check_in_which_all_agree_is_like_any_runtime(conditions):
    record = check_records.record(MODEL.fingerprint, image=Elf(made_elf.firmware()).sha256)
    found = conditions(record, 'like = "tflm"\ndata = "mnist"\n')
    assert found["check"]["met"]
    assert found["engines"]["met"]


def test_a_failed_check_is_none(conditions):
    failed = like_record(passed=False, problems=["tflm failed: x"])
    assert "did not pass: tflm failed" in conditions(failed)["check"]["problem"]


@pytest.mark.parametrize(
    ("change", "condition"),
    [({"data_sha256": "0" * 64}, "data"), ({"firmware": {"microbit": "0" * 64}}, "this firmware")],
)
def test_what_is_asked_for_beside(conditions, change, condition):
    assert not conditions(like_record(**change))[condition]["met"]


def test_too_few_images_are_not_enough(conditions):
    assert not conditions(like_record(), 'like = "tflm"\nimages = 1001\n')["engines"]["met"]
    assert not conditions(like_record(), 'like = "tflm"\nboard_images = 1001\n')["this firmware"]["met"]


def test_a_runtime_that_is_not_known(conditions):
    with pytest.raises(BadInputError, match=r"like is 'tfml', not an engine\. Did you mean 'tflm'"):
        conditions(like_record(), 'like = "tfml"')


def engine_changed(name, **changes):
    engines = [each | changes if each["name"] == name else each for each in like_record()["engines"]]
    return like_record(engines=engines)


DIFFERS = {"logits_differ": 1, "images_differ": 1, "argmax_differ": 0, "max_abs_difference": 1}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (engine_changed("tflm", **DIFFERS), "tflm: 1 logits differ"),
        (engine_changed("host_c", **DIFFERS), "host_c: 1 logits differ"),
        (engine_changed("board:microbit/unicorn", **DIFFERS), "board:microbit/unicorn: 1 logits differ"),
        (engine_changed("litert-xnnpack", beyond_rule=2), "litert-xnnpack: 2 logits are not what its rounding"),
        (like_record(like="litert-builtin"), "litert-builtin did not run"),
        (like_record(like=None), "litert-xnnpack: 9 logits differ"),
    ],
)
def test_a_verdict_that_the_figures_do_not_bear_out(record, said):
    parse_check(like_record())
    with pytest.raises(WrongRecordError, match=said):
        parse_check(record)
