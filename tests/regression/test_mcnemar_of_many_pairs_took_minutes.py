"""McNemar's exact p added up binomial coefficients that were each computed from nothing: quadratic time.

Two networks that disagree on 20,000 images of a large test set kept `check` busy after all engines were done.
"""

import math
import time

import pytest

from lenet_edge.significance import mcnemar_exact


def test_twenty_thousand_pairs_take_no_time():
    started = time.process_time()
    found = mcnemar_exact(9_900, 10_100)
    assert time.process_time() - started < 2
    total = math.lgamma(20_001) - 20_000 * math.log(2)
    terms = (math.exp(total - math.lgamma(k + 1) - math.lgamma(20_001 - k)) for k in range(9_901))
    assert found == pytest.approx(2 * math.fsum(terms), rel=1e-6)
