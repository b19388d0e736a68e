"""Of all single-bit flips in the structure of a file of ours none is accepted that a runtime reads otherwise.

Structure is everything but the values of weights and biases. A flip that is accepted either changes nothing that
counts (a name, padding, our notes) or gives another model, and then TFLM and LiteRT's three kernel sets read the same
one: their outputs are the reference's under their rules. `python tests/fuzz/sweep_bit_flips.py` does the same for
LeNet-5 in its real size and for every layer, which takes an hour.
"""

from __future__ import annotations

import bit_flips
import numpy as np
import sample_models

# Third-party file, by region: flips that are refused, that change nothing, that are another model for all alike.
TABLE = {
    "Buffer": (592, 16, 0),
    "Metadata": (121, 7, 0),
    "Model": (787, 12, 1),
    "Operator": (1308, 3, 1),  # one takes a RESHAPE out that FULLY_CONNECTED does not need
    "OperatorCode": (350, 34, 0),
    "Quantization": (1440, 0, 0),
    "SubGraph": (861, 3, 0),
    "Tensor": (2881, 46, 1),
    "header": (64, 0, 0),
    "names": (172, 668, 0),
    "options": (389, 73, 2),
    "scale": (299, 70, 111),
    "shapes of RESHAPE": (64, 0, 0),
    "vtables": (1383, 165, 4),
    "zero_point": (946, 0, 14),
}


def small(relu: bool = True):
    """LeNet-5's operators in a small model."""
    image = sample_models.QTensor((6, 6, 1), float(np.float32(1 / 255)), -128)
    builder = sample_models.ModelBuilder(3, "tie-free", image).conv("C1", 2, kernel=3, padding="same", relu=relu)
    if not relu:
        builder.lookup("S")
    return builder.pool("S2").flatten().fully_connected("OUT", 3, relu=False).build()


def test_every_flip_of_a_file_without_fingerprint():
    outcome = bit_flips.sweep(small(), with_fingerprint=False)
    assert outcome.faults == []
    table = outcome.table()
    # What depends on the version's length in our metadata, its text and the padding, is left out.
    assert {name: table[name] for name in TABLE} == TABLE


def test_a_fingerprint_leaves_only_what_says_nothing_about_the_integers():
    outcome = bit_flips.sweep(small(relu=False), with_fingerprint=True, step=7)
    assert outcome.faults == []
    # Where the flip hits the entry's name, the file is a third-party one; else another model is refused.
    assert {region for region, kind in outcome.counts if kind == bit_flips.ANOTHER} <= {"names"}
