"""Damage of every kind to a .tflite: it is read as before, or refused with one message."""

import time

import numpy as np
import pytest
import sample_models

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, to_bytes
from lenet_edge.quantized.verify import verify

FILES = [to_bytes(make()) for make in (sample_models.every_layer, sample_models.average_pool_softmax)]
# Without the fingerprint a changed file is not refused at once, as a third-party one would not be.
FILES += [data.replace(b"lenet_edge\0", b"xenet_edge\0") for data in FILES]
WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000, 0x7F800000)


def survives(data):
    """Reading gives BadInputError or a model that verifies, within a second; returns whether a model."""
    start = time.monotonic()
    try:
        model = from_bytes(bytes(data))
    except BadInputError as error:
        assert str(error)  # noqa: PT017 - every other exception is the failure
        return False
    finally:
        assert time.monotonic() - start < 1
    verify(model)
    return True


def mutated(data, random):
    """The data after one of five kinds of damage."""
    data = bytearray(data)
    position = int(random.integers(len(data)))
    kind = random.integers(5)
    if kind == 0:
        for place in random.integers(len(data), size=3):
            data[place] ^= 1 << random.integers(8)
    elif kind == 1:
        for place in random.integers(len(data), size=5):
            data[place] = random.integers(256)
    elif kind == 2:
        position = position // 4 * 4
        data[position : position + 4] = int(random.choice(WORDS)).to_bytes(4, "little")
    elif kind == 3:
        del data[position : position + int(random.integers(1, 9))]
    else:
        other = int(random.integers(len(data)))
        data[position : position + 32] = data[other : other + 32]
    return data


@pytest.mark.parametrize("index", range(len(FILES)))
def test_fuzz_mutations(index):
    random = np.random.default_rng(index)
    outcomes = {survives(mutated(FILES[index], random)) for _ in range(350)}
    assert outcomes == {True, False}  # the damage reaches deep: some is in a weight, some in an offset


@pytest.mark.parametrize("index", range(len(FILES)))
def test_fuzz_truncation(index):
    data = FILES[index]
    lengths = {*range(0, len(data), 29), *range(40), *range(len(data) - 40, len(data))}
    # The end of the file holds no more than padding, so the last few bytes may not be missed.
    assert sum(survives(data[:length]) for length in lengths) <= 16


def test_fuzz_single_bytes():
    """Single bytes set to 0, to 255 and with the lowest bit flipped."""
    data = FILES[2]
    random = np.random.default_rng(0)
    for position in random.choice(len(data), 80, replace=False):
        for value in (0, 255, data[position] ^ 1):
            survives(data[:position] + bytes([value]) + data[position + 1 :])


def test_fuzz_random_bytes():
    random = np.random.default_rng(0)
    for length in range(300):
        body = random.integers(256, size=length, dtype=np.uint8).tobytes()
        assert not survives(body)
        assert not survives(b"\x1c\0\0\0TFL3" + body)
