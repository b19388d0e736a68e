"""A firmware was built whose images do not fit a message of its link: the board never answered."""

import pytest
from random_chains import Chain

from lenet_edge.errors import BadInputError
from lenet_edge.hardware import boards, firmware


def test_they_are_refused_before_anything_is_compiled(tmp_path):
    model = Chain(1, (260, 260, 1), tie_free=True).conv(2, (3, 3), clamp=(-128, 127)).build()
    with pytest.raises(BadInputError, match="an image of 67,600 bytes is more than the firmware's link carries"):
        firmware.build(model, boards.load("microbit"), tmp_path / "firmware")
    assert not (tmp_path / "firmware").exists()
