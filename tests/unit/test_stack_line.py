"""What `run` and `bench` say of a firmware's stack."""

from __future__ import annotations

import pytest

from lenet_edge.cli.stacks import proved_stack, require_proved, stack_line
from lenet_edge.errors import CheckFailedError


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ((492, 1_492, None), "stack: 1,492 bytes proved, 492 measured"),
        ((1_492, None, "a may call itself"), "stack: 1,492 bytes measured, not proved: a may call itself"),
        ((492, None, None), "stack: 492 bytes measured"),  # of firmware that was built earlier
    ],
)
def test_the_line(said, line):
    assert stack_line(*said) == line


def test_nothing_is_proved_of_what_a_real_board_has():
    said = proved_stack(None)
    assert said["stack_proved_bytes"] is None
    assert "without --port" in str(said["stack_problem"])


def test_a_stack_that_was_deeper_than_is_proved_is_refused():
    require_proved(492, 492)
    require_proved(492, None)
    with pytest.raises(CheckFailedError, match="was 493 bytes deep, and 492 are proved to be enough") as refused:
        require_proved(493, 492, {"images": []})
    assert refused.value.result == {"images": []}
