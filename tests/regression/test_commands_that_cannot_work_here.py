"""`doctor` printed commands that could not work: tflite-runtime on Python 3.12, apt-get without root, pip without pip.

And it did not say when torch is the build with CUDA, which makes the environment 5.5 GB instead of 1.8.
"""

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from lenet_edge.cli import doctor as command
from lenet_edge.engines import tflite_runtime
from lenet_edge.hardware import tools

doctor = sys.modules["lenet_edge.cli.doctor"]


@pytest.fixture
def machine(monkeypatch):
    """``machine(programs, modules, root)``: what this machine has, and who we are."""

    def make(programs=(), modules=("pip", "ensurepip"), *, root=False):
        monkeypatch.setattr(tools, "which", lambda name: f"/bin/{name}" if name in programs else None)
        monkeypatch.setattr(tools, "Path", lambda path: SimpleNamespace(exists=lambda: False, path=path))
        monkeypatch.setattr(tools, "find_spec", lambda name: object() if name in modules else None)
        monkeypatch.setattr(tools.os, "geteuid", lambda: 0 if root else 1000)

    return make


def test_apt_get(machine):
    install = "apt-get install gcc-avr avr-libc"
    machine(["apt-get"], root=True)
    assert tools.here(install) == install
    machine(["apt-get", "sudo"])
    assert tools.here(install) == f"sudo {install}"
    machine(["apt-get"])
    assert tools.here(install) == f"as root: {install}"
    machine(["dnf", "sudo"])
    assert tools.here(install) == "by the system's package manager; Debian's packages are: gcc-avr avr-libc"


def test_pip(machine):
    install = "pip install 'lenet-edge[boards]'"
    machine()
    assert tools.here(install) == install
    machine(["uv"], modules=["ensurepip"])
    assert tools.here(install) == f"uv {install}"
    machine(modules=["ensurepip"])
    assert tools.here(install) == f"{sys.executable} -m ensurepip && {sys.executable} -m {install}"
    machine(["apt-get", "sudo"], modules=[])
    assert tools.here(install) == f"sudo apt-get install python3-pip, then: {install}"


def test_cargo_and_what_is_no_command(machine):
    machine(["cargo"])
    assert tools.here("cargo install probe-rs-tools --locked") == "cargo install probe-rs-tools --locked"
    machine()
    assert tools.here("cargo install probe-rs-tools --locked").startswith("Rust first (https://rustup.rs), then: ")
    assert tools.here("install my-gcc and put it on the PATH") == "install my-gcc and put it on the PATH"


def test_venv_without_ensurepip(machine):
    machine(["apt-get", "sudo"], modules=["pip"])
    assert tools.here("python3 -m venv x && x/bin/pip install y").startswith(
        "sudo apt-get install python3-venv, then: "
    )


# --- tflite-runtime ---------------------------------------------------------------------------------


def on(monkeypatch, version, others=(), *, system="linux", processor="x86_64", starts=True):
    paths = {name: f"/usr/bin/{name}" for name in ("python3", *others)}
    code = 0 if starts else 127
    monkeypatch.setattr(tflite_runtime.sys, "version_info", (*version, 1, "final", 0))
    monkeypatch.setattr(tflite_runtime.sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    monkeypatch.setattr(shutil, "which", lambda name, **_: paths.get(name))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=code))
    return tflite_runtime.install_command()


@pytest.mark.parametrize("minor", [9, 10, 11])
def test_a_python_that_has_wheels(monkeypatch, minor):
    assert on(monkeypatch, (3, minor)).startswith("python3 -m venv ")


@pytest.mark.parametrize("minor", [12, 13, 14])
def test_a_python_that_has_none_is_told_and_gets_no_command(monkeypatch, minor):
    said = on(monkeypatch, (3, minor))
    assert f"not for Python 3.{minor} on linux" in said
    assert "Python 3.9 to 3.11" in said
    assert tflite_runtime.PYTHON_VARIABLE in said
    assert "-m venv" not in said
    assert "pip install" not in said


def test_another_python_that_has_wheels_is_taken_if_it_starts(monkeypatch):
    said = on(monkeypatch, (3, 13), ["python3.10", "python3.11"])
    assert said.startswith("/usr/bin/python3.11 -m venv ")
    assert "-m venv" not in on(monkeypatch, (3, 13), ["python3.11"], starts=False)


@pytest.mark.parametrize(("system", "processor"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "riscv64")])
def test_a_system_that_has_none(monkeypatch, system, processor):
    assert "-m venv" not in on(monkeypatch, (3, 11), system=system, processor=processor)


# --- torch ------------------------------------------------------------------------------------------

VERSION_PY = "from typing import Optional\n__version__ = '2.13.0+cu130'\ndebug = False\ncuda: Optional[str] = {}\n"


def torch_line(
    monkeypatch, tmp_path, cuda, installed=("torch", "numpy", "nvidia-cublas", "NVIDIA-cudnn-cu13", "triton")
):
    (tmp_path / "version.py").write_text(VERSION_PY.format(cuda))
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(doctor, "find_spec", lambda name: found if installed and name == "torch" else None)
    monkeypatch.setattr(doctor, "package_version", lambda _: "2.13.0+cu130")
    monkeypatch.setattr(
        doctor, "distributions", lambda: [SimpleNamespace(metadata={"Name": name}) for name in installed]
    )
    return doctor._torch_build()


def test_torch_with_cuda_comes_with_the_command_that_replaces_it(monkeypatch, tmp_path):
    (line,) = torch_line(monkeypatch, tmp_path, "'13.0'")
    assert sorted(line) == ["install", "kind", "name", "version"]
    assert (line["kind"], line["name"], line["install"]) == ("package", "torch", None)
    assert "for CUDA 13.0: 5.5 GB" in line["version"]
    assert "against 1.8 GB" in line["version"]
    assert (
        "pip uninstall -y torch nvidia-cublas nvidia-cudnn-cu13 triton && pip install torch==2.13.0" in line["version"]
    )
    assert line["version"].endswith(" --index-url https://download.pytorch.org/whl/cpu")


def test_other_torches_have_no_line(monkeypatch, tmp_path):
    assert torch_line(monkeypatch, tmp_path, "None") == []
    assert torch_line(monkeypatch, tmp_path, "'13.0'", installed=()) == []

    def absent(_):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(doctor, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    monkeypatch.setattr(doctor, "package_version", absent)
    assert doctor._torch_build() == []


def test_doctor_itself(monkeypatch):
    monkeypatch.setattr(tools, "which", lambda _: None)
    monkeypatch.setattr(tools.os, "geteuid", lambda: 1000)
    monkeypatch.setattr("lenet_edge.engines.ENGINES", {"tflite-runtime": tflite_runtime})
    monkeypatch.setenv(tflite_runtime.PYTHON_VARIABLE, "/nowhere/python")
    monkeypatch.setattr(tflite_runtime.sys, "version_info", (3, 13, 0, "final", 0))
    monkeypatch.setattr(shutil, "which", lambda _name, **_: None)
    done = CliRunner().invoke(command)
    assert done.exit_code == 0, done.output
    assert "not for Python 3.13" in done.output
