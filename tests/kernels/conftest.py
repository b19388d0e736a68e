"""The exported folders, once for all tests of kernels."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from c_harness import build_kernels, build_programs
from c_programs import FIRMWARE, MODELS
from written_trees import write

from lenet_edge.formats import c_source


@pytest.fixture(scope="session")
def object_cache(tmp_path_factory) -> Path:
    """The folder of `objects.compiled`, which the workers of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "objects"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Model -> its folder."""
    top = tmp_path_factory.mktemp("exported")
    return {
        name: write(top / str(number), c_source.export(c_source.make_plan(model), FIRMWARE))
        for number, (name, model) in enumerate(MODELS.items())
    }


@pytest.fixture(scope="module")
def programs(exported, tmp_path_factory):
    """Model -> its program, which others share; kernels are the ones of the repository."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    work = tmp_path_factory.mktemp("programs")
    return build_programs(exported, work, build_kernels(work))
