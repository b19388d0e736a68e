"""All single-bit flips of the structure of whole models, with and without our fingerprint: run by hand, it takes hours.

    python tests/fuzz/sweep_bit_flips.py [--step N] [MODEL ...]

Prints for each model and region how many flips are refused, change nothing and give another model that TFLM and
LiteRT read alike; exits with 1 if a flip was accepted that a runtime refuses or computes otherwise.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import bit_flips
import sample_models

MODELS = {
    make.__name__: make
    for make in (
        sample_models.every_layer,
        sample_models.average_pool_softmax,
        sample_models.lenet5,
        sample_models.lenet5_sigmoid,
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--step", type=int, default=1, help="every N-th flip only")
    options = parser.parse_args()
    faults = 0
    for name in options.models or MODELS:
        for with_fingerprint in (False, True):
            outcome = bit_flips.sweep(MODELS[name](), with_fingerprint=with_fingerprint, step=options.step)
            print(f"{name}, {'with' if with_fingerprint else 'without'} fingerprint: refused, same, another:")
            for region, counts in outcome.table().items():
                print(f"  {region:20} {counts}")
            print(*outcome.faults, sep="\n", flush=True)
            faults += len(outcome.faults)
    print(f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
