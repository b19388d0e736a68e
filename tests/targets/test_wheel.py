"""The wheel: everything is in it, and from it alone a model becomes firmware that answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
import workbench
from PIL import Image
from workbench import LENET5

import lenet_edge

CHECKOUT = Path(__file__).parents[2]
PARTS = ("lenet_edge", "firmware", "networks", "targets", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Built from a copy, so that the checkout gets no build/ of setuptools."""
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in PARTS:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CHECKOUT / name, copy / name)
    code = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, out], cwd=copy, check=True, capture_output=True, timeout=120)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def python(wheel, tmp_path_factory):
    """An environment with the wheel; all else is this environment's, in which the checkout is not."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=120)
    binary = environment / "bin" / "python"
    ask = [binary, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    target = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    with zipfile.ZipFile(wheel) as archive:  # what pip does with a wheel of pure Python
        archive.extractall(target)
    return binary


@pytest.fixture
def installed(python, cli):
    """``installed(*arguments)``: the wheel's command line in an empty folder."""
    packages = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    paths = os.pathsep.join(sorted(packages))  # its .pth files, and so the editable checkout, are not read from there

    def start(*arguments, **options):
        return cli(*arguments, python=python, environment={"PYTHONPATH": paths, "PYTHONNOUSERSITE": "1"}, **options)

    return start


def test_everything_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
        texts = {name: archive.read(name) for name in found}
    wanted = {}
    places = {
        "firmware": "lenet_edge/firmware",
        "networks": "lenet_edge/networks/data",
        "targets": "lenet_edge/targets",
    }
    for top in ("lenet_edge", *places):
        for path in (CHECKOUT / top).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.relative_to(CHECKOUT / top).as_posix()
                wanted[f"{places.get(top, top)}/{name}"] = path.read_bytes()
    assert set(wanted) == found
    assert texts == wanted
    assert {"lenet_edge/targets/microbit.toml", "lenet_edge/firmware/arch/avr/startup.S"} <= found
    assert "lenet_edge/hardware/emulators/simavr_host.c" in found


def test_from_a_model_to_a_board_that_answers(installed, cli, python):
    workbench.need("microbit", "zig", "unicorn")
    where = installed(first=("-c", "import lenet_edge; print(lenet_edge.__file__)"))
    assert where.returncode == 0, where.stderr
    assert Path(where.stdout.strip()).is_relative_to(python.parents[1])
    assert not Path(lenet_edge.__file__).is_relative_to(python.parents[1])

    done = installed("export", "--target", "c", "--model", cli.model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fingerprint"] == LENET5.fingerprint
    done = installed("build", "--board", "microbit", "--toolchain", "zig", "--model", cli.model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["folder"] == "build/firmware/microbit"

    pixels = np.random.default_rng(4).integers(0, 256, (28, 28), np.uint8)
    pixels[[0, -1]] = pixels[:, [0, -1]] = 0  # a dark border: not inverted
    Image.fromarray(pixels).save(cli.folder / "digit.png")
    arguments = ("run", "--board", "microbit", "--emulator", "unicorn", "--image", "digit.png", "--model", cli.model)
    done = installed(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    image = (pixels.astype(np.int16) - 128).astype(np.int8)[None, :, :, None]
    assert found["images"][0]["logits"] == workbench.reference(LENET5, image)[0].tolist()
    assert found["logits_differ"] == 0

    done = installed("boards", "--json")
    named = {board["name"] for board in json.loads(done.stdout)["boards"]}
    assert named == {path.stem for path in (CHECKOUT / "targets").glob("*.toml")}
