"""A policy asked for 10,000 images and took any: a folder of black ones, called as one likes.

It names the data set now, and a board that no emulator has is said not to have run, every time.
"""

import json
import re
from pathlib import Path

import check_records
import idx_files
import made_elf
import numpy as np
import pytest
import sample_models
from click.testing import CliRunner

from lenet_edge import datasets
from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError, CheckFailedError
from lenet_edge.formats import tflite
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.flashing import Condition, refusal
from lenet_edge.records import write_artefact
from lenet_edge.resources import targets_folder

MODEL = sample_models.lenet5(51)
FASHION = ("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
           "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34")  # fmt: skip
SIZES = dict.fromkeys(("code", "tables", "weights", "buffers", "stack", "input_image"), 1)


class Project:
    """A folder with a model, firmware, a record, and `flash --dry-run --json`, which asks the gate and writes nothing.

    The firmware is not the model's: the conditions of the tables are not met, and none of the record's depends on it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model(MODEL)
        self.built("microbit")
        self.record()

    def model(self, model) -> None:
        (self.folder / "model.tflite").write_bytes(tflite.to_bytes(model))

    def built(self, board: str, elf: bytes | None = None) -> None:
        elf = made_elf.firmware() if elf is None else elf
        words = {"toolchain": "gcc", "optimize": "speed", "family": "plain", "sizes": SIZES}
        words["image_sha256"] = Elf(elf).sha256
        contents = {"firmware.elf": elf}
        folder = self.folder / "build/firmware" / Path(board).stem
        write_artefact(folder, contents, MODEL.fingerprint, board=Path(board).stem, **words)

    def record(self, **changes) -> None:
        check_records.write(self.folder / "build/check.json", check_records.record(MODEL.fingerprint) | changes)

    def __call__(self, *arguments, board="microbit"):
        usual = ("flash", "--dry-run", "--json", "--model", "model.tflite", "--board", board)
        return CliRunner().invoke(cli, [*usual, *map(str, arguments)])

    def conditions(self, *arguments, board="microbit") -> dict[str, dict]:
        done = self(*arguments, board=board)
        assert isinstance(done.exception, CheckFailedError), done.exception
        assert "refused to flash" in str(done.exception)
        return {condition["name"]: condition for condition in json.loads(done.stdout)["conditions"]}

    def policy(self, text: str) -> tuple[str, str]:
        (self.folder / "policy.toml").write_text(text)
        return "--policy", "policy.toml"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def black(count=300):
    return np.zeros((count, 28, 28), np.uint8), np.zeros(count, np.uint8)


# --- what names a test set --------------------------------------------------------------------------


def test_the_hash_of_a_test_set_is_of_its_files(tmp_path):
    arrays = idx_files.small_arrays()
    folder = idx_files.write_folder(tmp_path / "mnist", arrays, zipped=True)
    images, labels, *_ = datasets.load_test(str(folder))
    assert datasets.data_sha256(images, labels) == check_records.data_sha256(*arrays[2:])
    assert datasets.data_sha256(images, None) != datasets.data_sha256(images, labels)
    other = labels.copy()
    other[0] ^= 1
    assert datasets.data_sha256(images, other) != datasets.data_sha256(images, labels)


def test_the_hash_of_a_published_one_needs_no_download():
    assert datasets.published_sha256("mnist") == check_records.MNIST
    assert datasets.PUBLISHED["fashion-mnist"].sha256[2:] == FASHION


# --- the gate ---------------------------------------------------------------------------------------


def test_the_data_set_that_is_asked_for(project):
    found = project.conditions()
    assert found["data"]["met"]
    assert found["engines"]["met"]
    assert found["accuracy drop"]["met"]


@pytest.mark.parametrize("called", ["black", "mnist", "./mnist", "fashion-mnist"])
def test_black_images_called_as_one_likes(project, called):
    engines = [check_records.engine(name, 300, accuracy=1.0) for name in ("reference", "tflm", "litert-reference")]
    accuracies = {"float_accuracy": 1.0, "int8_accuracy": 1.0, "drop_points": 0.0}
    accuracies |= {"confusion": check_records.confusion(300, 300)}
    changes = {"data": called, "data_sha256": check_records.data_sha256(*black()), "data_images": 300, "images": 300}
    project.record(engines=engines, firmware={}, **accuracies, **changes)
    policy = project.policy('engines = ["tflm"]\nimages = 300\nboard_images = 0\n')
    data = project.conditions(*policy)["data"]
    assert not data["met"]
    assert f"checked on {called} (" in data["problem"]
    assert "asked for: mnist" in data["problem"]
    assert data["remedy"] == "lenet-edge check --model model.tflite --data mnist"
    assert "engines" not in project.conditions(*policy)


def test_a_record_that_says_that_mnist_has_more_images(project):
    project.record(data_images=20_000)
    assert "says that mnist has 20,000 images" in project.conditions()["data"]["problem"]


def test_a_policy_names_a_published_set_or_a_hash(project):
    own = check_records.data_sha256(*black())
    assert (
        "asked for: fashion-mnist" in project.conditions(*project.policy('data = "fashion-mnist"'))["data"]["problem"]
    )
    assert project.conditions(*project.policy(f'data = "{check_records.MNIST}"'))["data"]["met"]
    policy = project.policy(f'data = "{own}"')
    assert not project.conditions(*policy)["data"]["met"]
    project.record(data="anything", data_sha256=own)
    assert project.conditions(*policy)["data"]["met"]


@pytest.mark.parametrize("value", ['"mnst"', '"noise"', '"./mnist"', f'"{"g" * 64}"', '"any"', "3", "true", '""', "[]"])
def test_a_policy_with_another_word(project, value):
    done = project(*project.policy(f"data = {value}\n"))
    assert isinstance(done.exception, BadInputError), done.exception
    assert "policy.toml" in str(done.exception)


def test_without_a_policy_s_word_the_model_s_own_data_counts(project):
    """As `quantize` notes them: the hash; an older file has the name alone."""
    own = check_records.data_sha256(*black())
    project.model(MODEL.with_metadata(test_sha256=own, dataset="mnist"))
    assert "named by the model" in project.conditions()["data"]["problem"]
    project.record(data="x", data_sha256=own)
    assert project.conditions()["data"]["met"]
    project.model(MODEL.with_metadata(dataset="fashion-mnist"))
    assert "asked for: fashion-mnist" in project.conditions()["data"]["problem"]
    project.model(MODEL.with_metadata(dataset="digits", test_sha256=5))
    assert "asked for: mnist" in project.conditions()["data"]["problem"]


def test_the_board_s_own_policy_names_data_too(project):
    own = check_records.data_sha256(*black())
    text = (targets_folder() / "microbit.toml").read_text() + f'\n[policy]\ndata = "{own}"\n'
    (project.folder / "microbit.toml").write_text(text)
    assert "named by [policy] of microbit" in project.conditions(board="microbit.toml")["data"]["problem"]


def test_what_held_is_in_the_result(project):
    result = json.loads(project(*project.policy("images = 5\n")).stdout)
    assert result["policy"]["from"] == "policy.toml"
    assert (result["policy"]["images"], result["policy"]["max_drop_points"]) == (5, 0.1)
    assert result["data"] == {"name": "mnist", "sha256": check_records.MNIST, "images": 10_000, "source": "default"}


# --- what nothing showed ----------------------------------------------------------------------------


def without_emulator(folder: Path) -> str:
    """The micro:bit, if nothing could emulate it."""
    text = (targets_folder() / "microbit.toml").read_text().replace('name = "microbit"', 'name = "bare"')
    text = re.sub(r"\[emulator\.unicorn\].*?(?=\[flash_tool\])", "", text, flags=re.DOTALL)
    (folder / "bare.toml").write_text(text.replace("runs in an emulator", "builds, not run on hardware"))
    return "bare.toml"


def test_a_board_without_an_emulator_says_so_every_time(project):
    board = without_emulator(project.folder)
    project.built(board)
    for prepare in (lambda: None, (project.folder / "build/check.json").unlink):
        prepare()
        found = project.conditions(board=board)["this firmware"]
        assert "no emulator has bare" in found["caveat"]
        shown = CliRunner().invoke(cli, ["flash", "--dry-run", "--model", "model.tflite", "--board", board]).stdout
        assert "NOT SHOWN" in shown
        assert "not shown: no emulator has bare" in shown


def test_what_a_policy_does_not_ask_for_is_not_called_met(project):
    policy = project.policy("engines = []\nboard_images = 0\nfloat_comparison = false\n")
    found = project.conditions(*policy)
    assert "no engine" in found["engines"]["caveat"]
    assert "float model" in found["accuracy drop"]["caveat"]
    assert "emulator" in found["this firmware"]["caveat"]


def test_data_that_only_the_model_names_are_said(project):
    """Whoever quantised with black images has a model that names them."""
    own = check_records.data_sha256(*black())
    project.model(MODEL.with_metadata(test_sha256=own))
    project.record(data="x", data_sha256=own)
    assert "the policy names no data set" in project.conditions()["data"]["caveat"]
    assert "Not shown: the policy names no data set" in str(project().exception)
    assert project.conditions(*project.policy(f'data = "{own}"'))["data"]["caveat"] == ""


# --- what else a policy, a record or an option says ------------------------------------------------


def test_int8_loses_nothing_against_a_bad_float_model(project):
    """`check --float BAD`: the drop counts against the model that the int8 model was made from."""
    project.model(MODEL.with_metadata(float_sha256=check_records.FLOAT))
    assert project.conditions()["accuracy drop"]["met"]
    project.record(float_sha256="b" * 64, float_accuracy=0.1, drop_points=-89.0)
    found = project.conditions()["accuracy drop"]
    assert found["problem"] == "compared with another float model, bbbbbbbbbbbbbbbb; this one was made from " + "f" * 16
    for third_party in ({}, {"float_sha256": 5}, {"float_sha256": "x"}):
        project.model(MODEL.with_metadata(**third_party))
        found = project.conditions()["accuracy drop"]
        assert "against bbbbbbbbbbbbbbbb; the model does not say which" in found["found"]


@pytest.mark.parametrize(
    ("engines", "said"),
    [
        ('["tfml"]', "'tfml', which is not an engine. Did you mean 'tflm'?"),
        ('["tflm", "tflm"]', "'tflm' twice"),
        ('["reference"]', "'reference', which is not an engine"),  # what all are compared with
        ('["board:microbit/paper"]', "which is not an engine"),
    ],
)
def test_a_policy_of_engines_that_check_does_not_run(project, engines, said):
    done = project(*project.policy(f"engines = {engines}\n"))
    assert isinstance(done.exception, BadInputError), done.exception
    assert said in str(done.exception)
    assert "policy.toml" in str(done.exception)


def test_a_policy_of_an_engine_of_another_machine(project):
    policy = project.policy('engines = ["host_c-x86", "board:microbit/unicorn"]\n')
    assert project.conditions(*policy)["engines"]["problem"].startswith("on record: host_c-x86 did not run;")


def test_a_record_that_is_named_and_not_there(project):
    """It may be the one that failed."""
    done = project("--check", "build/check.json", "--check", "build/chekc.json")
    assert isinstance(done.exception, BadInputError), done.exception
    assert "build/chekc.json does not exist" in str(done.exception)


@pytest.mark.parametrize("force", ["1" * 16, MODEL.fingerprint[:15], MODEL.fingerprint + "0", "", MODEL.fingerprint])
def test_force_does_not_reach_the_firmware(project, force):
    """The tables are not the model's here; a wrong fingerprint is named even where nothing else is wrong."""
    message = str(project("--force", force).exception)
    passes = "overrides the check's record only" if force == MODEL.fingerprint else "is not the model's fingerprint"
    assert passes in message
    assert "tables: " in message


def test_a_wrong_fingerprint_is_refused_though_all_is_met():
    met = [Condition("check", "passed")]
    assert refusal(met, None, MODEL.fingerprint) == ""
    assert refusal(met, MODEL.fingerprint[:16], MODEL.fingerprint) == ""
    assert "is not the model's fingerprint" in refusal(met, "0" * 64, MODEL.fingerprint)


def test_a_dry_run_says_that_it_wrote_nothing(project):
    shown = CliRunner().invoke(cli, ["flash", "--dry-run", "--model", "model.tflite", "--board", "microbit"]).stdout
    assert "dry run: nothing was written" in shown
    assert "runs what was checked" not in shown
    assert not (project.folder / "build/flash.log").exists()


# --- what the manifest names ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a/../../x", "..", "", ".", "a//b", "C:x", "a\\b", "a\nb"])
def test_a_manifest_that_names_a_file_elsewhere(project, name):
    path = project.folder / "build/firmware/microbit/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = "0" * 64
    path.write_text(json.dumps(manifest))
    done = project()
    assert isinstance(done.exception, BadInputError), done.exception
    assert ascii(name) in str(done.exception)
    assert "build" in str(done.exception)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files", {"firmware.elf": 3}),
        ("files", {"firmware.elf": "0" * 63}),
        ("files", []),
        ("board", ["microbit"]),
        ("board", "../microbit"),
        ("fingerprint", "1"),
        ("toolchain", None),
        ("sizes", {**SIZES, "code": 1e300}),
        ("sizes", {**SIZES, "code": -1}),
        ("sizes", {**SIZES, "code": True}),
        ("sizes", {**SIZES, "code": "1"}),
        ("sizes", {**SIZES, "more": 1}),
        ("sizes", {"code": 1}),
    ],
)
def test_a_manifest_whose_values_cannot_be_meant(project, key, value):
    path = project.folder / "build/firmware/microbit/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    done = project()
    assert isinstance(done.exception, BadInputError), done.exception


def test_a_manifest_of_another_image(project):
    path = project.folder / "build/firmware/microbit/manifest.json"
    assert project.conditions()["files"]["met"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_sha256": "0" * 64}))
    assert "manifest.json in build/firmware/microbit is not what" in project.conditions()["files"]["problem"]


def test_files_for_other_tools_hold_what_the_elf_holds(project):
    """With a manifest that fits them: only the comparison shows it."""
    words = {"toolchain": "gcc", "optimize": "speed", "family": "plain", "sizes": SIZES}
    contents = {"firmware.elf": made_elf.firmware(), "firmware.hex": b":00000001FF\n"}
    words["image_sha256"] = Elf(contents["firmware.elf"]).sha256
    folder = project.folder / "build/firmware/microbit"
    write_artefact(folder, contents, MODEL.fingerprint, board="microbit", **words)
    found = project.conditions()
    assert "firmware.hex in build/firmware/microbit does not hold what firmware.elf holds" in found["files"]["problem"]


def test_an_elf_with_two_meanings_is_a_condition_that_is_not_met(project):
    part = made_elf.Part(0, 0, made_elf.firmware()[84:400])
    project.built("microbit", made_elf.elf([part], [made_elf.Sect(".evil", 0x8000, b"evil")]))
    assert "the section '.evil'" in project.conditions()["layout"]["problem"]
    assert project.conditions("--force", MODEL.fingerprint)["layout"]["met"] is False
