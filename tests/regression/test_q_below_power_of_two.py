"""A q just below a power of two was once let onto the grid, and LiteRT's built-in kernels gave wrong results there.

They round twice, half up both times. The stored multiplier is a little below
1/(2q), which for such a q puts a negative value on a tie of the second rounding
from above; half up then gives one too much.
"""

import numpy as np
import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import FullyConnected, QTensor, QuantizedModel
from lenet_edge.quantized.requantize import RULES, multipliers
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, grid_scale, largest_q, tie_free_problem, to_grid

# Seen in LiteRT, with scales as they occur.
SEEN_WRONG = (255, 505, 507, 509, 511, 979, 1001, 1023)


def layer_with(q, input_scale, output_scale):
    scale = np.array([grid_scale(input_scale, output_scale, q)], np.float32)
    source, target = QTensor((1,), input_scale, 0), QTensor((1,), output_scale, 0)
    return FullyConnected("fc", source, target, np.full((1, 1), 2, np.int8), np.zeros(1, np.int32), scale)


def wrong_results(q, rule, tries=60):
    """How many even accumulators next to a tie the rule decides wrongly, over random scales."""
    random = np.random.default_rng(q)
    results = np.arange(-255, 255)
    ties = (2 * results + 1) * q
    wrong = 0
    for _ in range(tries):
        input_scale, output_scale = (float(np.float32(random.uniform(0.001, 0.2))) for _ in range(2))
        by = multipliers(layer_with(q, input_scale, output_scale))
        wrong += int((RULES[rule](ties - 1, by) != results).sum() + (RULES[rule](ties + 1, by) != results + 1).sum())
    return wrong


@pytest.mark.parametrize("q", SEEN_WRONG)
def test_the_fault_is_real_and_of_two_roundings_half_up(q):
    assert wrong_results(q, "ruy") > 0
    assert wrong_results(q, "tflm") == wrong_results(q, "single") == wrong_results(q, "float32") == 0


@pytest.mark.parametrize("q", SEEN_WRONG)
def test_such_a_q_is_not_admitted(q):
    assert q not in ADMISSIBLE_Q
    layer = layer_with(q, 0.25, 0.5)
    assert "admissible" in tie_free_problem(QuantizedModel((layer,)))


@pytest.mark.parametrize(("q", "below"), [(255, 251), (511, 495), (1023, 963)])
def test_weights_that_would_fit_such_a_q_get_the_next_smaller(q, below):
    """The next smaller is right under the same rule, by the same measure."""
    magnitude = 126.9 * float(grid_scale(0.25, 0.5, q))
    assert largest_q(magnitude, 0.25, 0.5) == below
    channels = to_grid(np.array([[magnitude]]), np.zeros(1), 0.25, 0.5)
    assert channels.q.tolist() == [below]
    assert wrong_results(below, "ruy") == 0


def test_the_largest_q_is_within_the_grid():
    with pytest.raises(BadInputError, match="clipped"):
        to_grid(np.array([[1.0]]), np.zeros(1), 0.25, 0.5, np.array([ADMISSIBLE_Q[-1]]))
