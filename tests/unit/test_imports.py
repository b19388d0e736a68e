"""The house rule: imports point one way, and the heavy ones are where the design allows them."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import lenet_edge

PACKAGE = Path(lenet_edge.__file__).parent
HEAVY = {
    "jinja2",
    "matplotlib",
    "optuna",
    "torch",
    "onnx",
    "onnxruntime",
    "tensorflow",
    "ai_edge_litert",
    "tflite_micro",
}
# From anywhere:
ROOM_FREE = {
    "child_guard",
    "children",
    "errors",
    "files",
    "markdown",
    "resources",
    "strict_json",
    "strict_toml",
    "version",
}

# Room -> the rooms that it may import.
ALLOWED = {
    "__main__": {"cli"},
    "lenet_edge": {"api"},  # lazily
    "api": {"cli", "hardware", "quantized", "records"},
    "cli": {
        "bit_allocation",
        "budget",
        "conformance",
        "confusion",
        "parity",
        "records",
        "report",
        "learning",
        "formats",
        "hardware",
        "quantized",
        "datasets",
        "engines",
        "estimate",
        "networks",
        "page_server",
        "pictures",
        "pipeline",
        "post_training",
        "preparation",
        "retie",
        "sweep",
    },
    "bit_allocation": {"estimate", "formats", "hardware", "networks", "quantized", "records"},
    "parity": {"engines", "hardware", "quantized", "datasets", "records", "significance"},
    "conformance": {"engines", "formats", "quantized"},
    "estimate": {"formats", "hardware", "networks", "quantized", "records"},
    "report": {
        "confusion",
        "estimate",
        "formats",
        "hardware",
        "parity",
        "preparation",
        "quantized",
        "records",
        "significance",
    },
    "engines": {"hardware", "records"},
    "learning": {"quantized", "datasets", "networks", "preparation"},
    "networks": {"quantized"},
    "formats": {"quantized", "networks", "preparation", "records"},
    "hardware": {"formats", "quantized", "records", "preparation"},
    "page_server": {"hardware"},
    "quantized": set(),
    "retie": {"quantized"},
    "post_training": {"engines", "formats", "preparation", "quantized", "retie"},
    "sweep": {"datasets", "formats", "learning", "networks", "preparation", "quantized", "records"},
    "datasets": {"pictures", "preparation"},
    "preparation": set(),
    "budget": {"records"},
    "pipeline": {"datasets", "records"},
    "records": set(),
    "resources": set(),
    "strict_toml": set(),
    "strict_json": set(),
    "pictures": {"preparation"},
    "significance": set(),
    "confusion": set(),
    "child_guard": set(),
    "children": set(),
    "errors": set(),
    "files": set(),
    "markdown": set(),
    "version": set(),
}
EXCEPTIONS = {("engines.pytorch", "learning")}  # that engine is the QAT network itself

# Third party -> the modules, or rooms, that may import it.
CONFINED = {
    "torch": {"learning", "engines.pytorch"},
    "click": {"cli"},
    "rich": {"cli"},
    "aiohttp": {"page_server"},
    "optuna": {"sweep"},
    "sqlalchemy": {"sweep"},
    "tensorflow": {"engines.tflite_worker"},  # in another process, for the tf.lite engine
}


def module_name(path):
    """The module's name within the package; "lenet_edge" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "lenet_edge"


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(module):
    return module.partition(".")[0]


@cache
def imports(module):
    """Full names of all that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            found |= {argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)}
    return found


def own_imports(module):
    """The modules of the package that it imports, by their names within it."""
    result = set()
    for name in imports(module):
        if name.partition(".")[0] == "lenet_edge":
            inner = name.partition(".")[2] or "lenet_edge"
            while inner not in MODULES:  # a function or class: its module
                inner = inner.rpartition(".")[0] or "lenet_edge"
            result.add(inner)
    return result - {module}


def third_party(module):
    top = {name.partition(".")[0] for name in imports(module)}
    return top - set(sys.stdlib_module_names) - {"lenet_edge"}


def test_every_room_is_known():
    assert {room(module) for module in MODULES} <= set(ALLOWED)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    allowed = ALLOWED[room(module)] | ROOM_FREE | {room(module)}
    allowed |= {target for source, target in EXCEPTIONS if source == module}
    wrong = {name for name in own_imports(module) if room(name) not in allowed}
    assert not wrong, f"{module} must not import {wrong}"


@pytest.mark.parametrize("name", sorted(CONFINED))
def test_what_is_confined_to_a_room(name):
    users = {module for module in MODULES if name in third_party(module)}
    allowed = CONFINED[name]
    assert not {module for module in users if module not in allowed and room(module) not in allowed}


def test_tensorflow_is_used_by_one_engine():
    assert [module for module in MODULES if "tensorflow" in third_party(module)] == ["engines.tflite_worker"]


def test_quantized_imports_numpy_only():
    for module in MODULES:
        if room(module) == "quantized":
            assert third_party(module) <= {"numpy"}, module
            assert {room(name) for name in own_imports(module)} <= {"quantized", "errors"}, module


def test_no_cycle():
    graph = {module: own_imports(module) for module in MODULES}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, naming the cycle
    assert set(order) == set(MODULES)


def test_rooms_have_no_cycle():
    assert len(list(TopologicalSorter(ALLOWED).static_order())) == len(ALLOWED)


def imported_by(*arguments):
    """Top-level names of all modules that a run of the interpreter imports."""
    argv = [sys.executable, "-X", "importtime", *arguments]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}, result.stdout


def test_help_imports_nothing_heavy():
    names, output = imported_by("-m", "lenet_edge", "--help")
    assert "Usage: lenet-edge" in output
    assert {"click", "lenet_edge"} <= names
    assert not names & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "quantize",
        "export",
        "check",
        "conformance",
        "predict",
        "analyze",
        "run",
        "data",
        "fits",
        "page",
        "pipeline",
        "report",
        "retie",
        "sweep",
    ],
)
def test_help_of_a_command_imports_nothing_heavy(command):
    names, output = imported_by("-m", "lenet_edge", command, "--help")
    assert command in output
    assert not names & HEAVY


def test_what_counts_as_heavy_would_be_seen():
    names, _ = imported_by("-c", "import onnx")
    assert names & HEAVY == {"onnx"}
