"""A link in a folder of pictures to a place that one may not look at ended with exit code 70."""

import os

import numpy as np
import pytest
from PIL import Image

from lenet_edge import datasets


@pytest.mark.parametrize("inside", ["", "a"])
def test_it_is_skipped_and_named(tmp_path, monkeypatch, inside):
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(6):
            Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / name / f"{index}.png")
    link = tmp_path / inside / "cwd.png"
    link.symlink_to("/proc/1/cwd")
    real = os.readlink

    def refuse(path, **options):
        if os.fspath(path) == str(link):
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(os, "readlink", refuse)  # root may look anywhere
    found = datasets.inspect(str(tmp_path))
    assert len(found.images) == 12
    if inside:
        assert found.skipped == ("a/cwd.png: a link out of the data set, or to nothing, which is not followed",)
