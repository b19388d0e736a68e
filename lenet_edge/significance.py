"""Is the int8 model worse than the float one? Statistics of two classifiers on the same images."""

from __future__ import annotations

import math

__all__ = ["mcnemar_exact", "paired_interval", "share_interval"]

_NORMAL_97_5 = 1.959963984540054


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """McNemar's exact two-sided p for two classifiers on the same images.

    Under the hypothesis that both are equally good, the images that only one of
    them gets right are that one's with probability 1/2.

    Args:
        only_first, only_second: images that only the first (only the second) classifies correctly.

    Source: McNemar 1947; the exact form, e.g. Agresti, "Categorical Data Analysis", section 11.1.
    """
    discordant, smaller = only_first + only_second, min(only_first, only_second)
    tail = ways = 1
    for k in range(smaller):
        ways = ways * (discordant - k) // (k + 1)
        tail += ways
    return min(1.0, float(2 * tail / 2**discordant))


def paired_interval(only_first: int, only_second: int, images: int) -> tuple[float, float]:
    """95 % interval for the difference of two accuracies on the same images, first minus second, within -1..1.

    Source: Agresti and Min 2005, "Simple improved confidence intervals for
    comparing matched proportions": Wald's interval after adding 1/2 to each of
    the four cells, which keeps its coverage where few images differ.
    """
    first, second, total = only_first + 0.5, only_second + 0.5, images + 2
    difference = (first - second) / total
    half_width = _NORMAL_97_5 * math.sqrt(first + second - (first - second) ** 2 / total) / total
    return max(-1.0, difference - half_width), min(1.0, difference + half_width)


def share_interval(right: int, images: int) -> tuple[float, float]:
    """95 % interval for a share of `images`, within 0..1.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    z2 = _NORMAL_97_5**2
    share, weight = right / images, 1 + z2 / images
    centre = (share + z2 / (2 * images)) / weight
    half_width = _NORMAL_97_5 / weight * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2))
    return max(0.0, centre - half_width), min(1.0, centre + half_width)
