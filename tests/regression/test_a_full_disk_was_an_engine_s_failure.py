"""A full disk while an engine ran was that engine's failure: `check` said so in its record, and went on."""

import errno

import numpy as np
import pytest
import sample_models

from lenet_edge import parity
from lenet_edge.engines import Engine

MODEL = sample_models.lenet5(51)
IMAGES = np.zeros((2, *MODEL.input.shape), np.int8)


def check(tmp_path, error):
    def run(_path, _images):
        raise error

    engine = Engine("tflite", run, lambda _path, _image: None, lambda: "1.0", lambda: "pip install it")
    return parity.check(MODEL, {"tflite": tmp_path / "m.tflite"}, IMAGES, None, engines={"tflm": engine})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_it_ends_the_check(tmp_path, number):
    with pytest.raises(OSError, match="full"):
        check(tmp_path, OSError(number, "full"))


def test_another_error_is_the_engine_s(tmp_path):
    _, tflm = check(tmp_path, OSError(errno.EIO, "broken")).engines
    assert (tflm.status, "broken" in tflm.message) == ("failed", True)
