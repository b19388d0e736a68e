"""Which pictures are learnt from, which validate and which test: decided by what they show.

A picture's key is a hash of its pixels, so that its copies stand on the same side, and a picture stays on its side
when others are added. Only where a class is so small that a side would get too few, that side gets the next in order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lenet_edge.datasets.dataset import LabelArray, UInt8Array

__all__ = ["FIT", "TEST", "VALIDATION", "digest", "keys_of", "sides"]

FIT, VALIDATION, TEST = 0, 1, 2
TEST_SHARE, VALIDATION_SHARE = 1 / 6, 1 / 12  # of the keys; MNIST has one seventh and one fourteenth


def digest(pixels: UInt8Array) -> bytes:
    """SHA-256 of the shape and values of uint8 pixels."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).digest()


def keys_of(frames: Sequence[bytes], images: Sequence[UInt8Array] | UInt8Array) -> list[bytes]:
    """A key for each picture: the same where the network sees the same image.

    Args:
        frames: `digest` of each picture as it is in its file. The smallest of those that give one image is the key,
            which therefore hardly depends on the size of the images.
        images: what the network sees of each.
    """
    seen = [digest(image) for image in images]
    smallest: dict[bytes, bytes] = {}
    for frame, image in zip(frames, seen, strict=True):
        smallest[image] = min(frame, smallest.get(image, frame))
    return [smallest[image] for image in seen]


def sides(keys: Sequence[bytes], labels: LabelArray, *, test: bool = True) -> npt.NDArray[np.int8]:
    """FIT, VALIDATION or TEST for each picture; every class gets its part on each side where it has enough pictures.

    Args:
        keys: of the pictures; no key has two labels.
        labels: integers ``[n]``.
        test: whether a test set is taken off; else there is one already.
    """
    chosen = np.zeros(len(keys), np.int8)
    members: dict[int, dict[bytes, list[int]]] = {}
    for index, (key, label) in enumerate(zip(keys, labels.tolist(), strict=True)):
        members.setdefault(label, {}).setdefault(key, []).append(index)
    for pictures in members.values():
        ordered = sorted(pictures)
        tests, validating = _counts(ordered, test=test)
        for place, key in enumerate(ordered[: tests + validating]):
            chosen[pictures[key]] = TEST if place < tests else VALIDATION
    return chosen


def _counts(ordered: list[bytes], *, test: bool) -> tuple[int, int]:
    """How many of a class's keys, which are in order, test and validate; at least one is left."""
    parts = [int.from_bytes(key[:8]) / 2**64 for key in ordered]
    tests, count = 0, len(ordered)
    if test:
        tests = max(sum(part < TEST_SHARE for part in parts), 1, int(count * TEST_SHARE / 2))
        tests = min(tests, max(count - 2, 0))
    start, end = (0.0, VALIDATION_SHARE) if not test else (TEST_SHARE, TEST_SHARE + VALIDATION_SHARE)
    validating = max(sum(start <= part < end for part in parts), 1, int(count * VALIDATION_SHARE / 2))
    return tests, min(validating, max(count - tests - 1, 0))
