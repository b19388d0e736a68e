"""The volume of any UF2 boot loader was written to: what it says it is was not compared with the board.

And one volume that is reached through /media and /run/media counted as two, so that `flash` asked which.
"""

import dataclasses
import os

import pytest

from lenet_edge.errors import BadInputError, LinkError
from lenet_edge.hardware import boards
from lenet_edge.hardware.flashing import detection, programs
from lenet_edge.resources import targets_folder

PICO, MICROBIT, MICROBIT_V2 = (boards.load(name) for name in ("pico", "microbit", "microbit-v2"))
INFO = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: {}\r\n"


def volume(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.TXT").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refusal(suffix, folder, board):
    with pytest.raises(LinkError) as refused:
        programs.identify_volume(suffix, folder, board)
    return str(refused.value)


def test_the_board_s_own(tmp_path):
    pico = volume(tmp_path / "pico", INFO_UF2=INFO.format("RPI-RP2"))
    assert programs.identify_volume(".uf2", pico, PICO) == "Board-ID RPI-RP2"
    for board, number in ((MICROBIT, "9900"), (MICROBIT, "9901"), (MICROBIT_V2, "9904")):
        chip = volume(
            tmp_path / number, DETAILS=f"# DAPLink Firmware\nUnique ID: {number}000051864e45\nHIC ID: 97969900\n"
        )
        assert programs.identify_volume(".hex", chip, board) == f"Unique ID {number}000051864e45"


@pytest.mark.parametrize("other", ["RP2350", "nRF52840-Feather-revD", "RPI-RP2-x", "rpi-rp2", "SAMD51J19A-Itsy-v0"])
def test_another_s_is_refused_and_both_are_named(tmp_path, other):
    said = refusal(".uf2", volume(tmp_path, INFO_UF2=INFO.format(other)), PICO)
    assert repr(other) in said
    assert "pico is 'RPI-RP2'" in said
    assert "Nothing was written" in said


def test_a_micro_bit_of_the_other_version_has_the_same_label(tmp_path):
    chip = volume(tmp_path, DETAILS="Unique ID: 9904360258824e45\n")
    said = refusal(".hex", chip, MICROBIT)
    assert "9904360258824e45" in said
    assert "microbit is '9900' or '9901'" in said
    assert "microbit-v2" in refusal(".hex", volume(tmp_path, DETAILS="Unique ID: 9901x"), MICROBIT_V2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Model: x\n",
        "Board-ID:\n",
        "Board-ID\n",
        "NotBoard-ID: RPI-RP2\n",
        b"\xff\xfe\0\0",
        b"\0" * 100_000,
        "Board-ID: \x1b[2J",
    ],
)
def test_what_does_not_say_its_board_is_refused(tmp_path, text):
    assert "cannot be told" in refusal(".uf2", volume(tmp_path, INFO_UF2=text), PICO)


def test_without_the_file_it_is_not_such_a_volume(tmp_path):
    assert "INFO_UF2.TXT is not there" in refusal(".uf2", tmp_path, PICO)
    (tmp_path / "INFO_UF2.TXT").mkdir()
    assert "INFO_UF2.TXT is not there" in refusal(".uf2", tmp_path, PICO)
    assert "DETAILS.TXT is not there" in refusal(".hex", tmp_path, MICROBIT)


def test_a_board_of_one_s_own_is_told_what_to_write_down(tmp_path):
    own = dataclasses.replace(PICO, name="mine", flash_tool=dataclasses.replace(PICO.flash_tool, board_ids=()))
    said = refusal(".uf2", volume(tmp_path, INFO_UF2=INFO.format("MINE-1")), own)
    assert "the TOML of mine does not say" in said
    assert 'board_ids = ["MINE-1"]' in said


@pytest.mark.parametrize("label", ["../x", "a/b", "..", "."])
def test_a_label_is_not_a_path(label):
    text = (targets_folder() / "pico.toml").read_text()
    path = targets_folder() / "pico.toml"
    with pytest.raises(BadInputError, match="is not the label of a volume"):
        boards.parse(text.replace('target = "RPI-RP2"', f'target = "{label}"'), path)


# --- one volume, several paths ----------------------------------------------------------------------


def test_a_volume_that_two_paths_reach_is_one(tmp_path):
    """As on systems where /media is a link to /run/media, or the same is mounted twice."""
    (tmp_path / "run/media/me/RPI-RP2").mkdir(parents=True)
    (tmp_path / "media").symlink_to(tmp_path / "run/media")
    (tmp_path / "mnt").mkdir()
    (tmp_path / "mnt/RPI-RP2").symlink_to(tmp_path / "run/media/me/RPI-RP2")
    roots = [tmp_path / each for each in ("media", "run/media", "mnt", "absent")]
    assert [each.name for each in detection.volumes("RPI-RP2", roots)] == [str(tmp_path / "media/me/RPI-RP2")]


def test_two_volumes_of_one_label_are_two(tmp_path):
    for path in ("media/me/RPI-RP2", "media/you/RPI-RP2", "mnt/RPI-RP2"):
        (tmp_path / path).mkdir(parents=True)
    assert len(detection.volumes("RPI-RP2", [tmp_path / "media", tmp_path / "mnt"])) == 3


def test_what_is_no_folder_or_cannot_be_looked_into_is_no_volume(tmp_path):
    (tmp_path / "RPI-RP2").touch()
    (tmp_path / "me").mkdir()
    (tmp_path / "me/RPI-RP2").symlink_to(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    assert detection.volumes("RPI-RP2", [tmp_path]) == []
    assert detection.volumes("RPI*", [tmp_path]) == []  # a label, not a pattern
