"""Damaged float .tflite files: each becomes an int8 model or one message, and nothing else.

python tests/fuzz/test_float_tflite.py 20000     # that many of them
"""

from __future__ import annotations

from random import Random

import containers
import pytest
import readers
import residual_models
import sample_models
from ai_edge_litert import schema_py_generated as schema
from float_files import float_file

from lenet_edge.formats.tflite import floating
from lenet_edge.formats.tflite.floating.int8 import observed_tensors

INPUTS = 200


def read(data: bytes) -> None:
    """What `quantize` does but for running the file in LiteRT."""
    graph = floating.read_graph(data)
    taken = graph.shape(graph.input)[1:]
    shape = taken if len(taken) == 3 else (28, 28, 1)
    entering = floating.rewrite(graph, shape)
    ranges = dict.fromkeys(observed_tensors(graph), floating.Range(-1, 2))
    floating.to_int8(graph, ranges, floating.Range(*entering.entered(0, 1)))


def inputs() -> list[bytes]:
    plain = [sample_models.every_layer(), residual_models.residual(3, softmax=True)]
    changed = float_file(
        plain[1],
        lambda tree: tree.before("MUL", [0.5, 2, 1], schema.MulOptionsT()),
        lambda tree: tree.before("SUB", 1.0, schema.SubOptionsT()),
        lambda tree: tree.behind(2, "RELU", None),
    )
    return [*map(float_file, plain), changed]


def faults(count: int) -> dict[int, str]:
    """Seed -> what is wrong with how that input is treated."""
    whole, found = inputs(), {}
    for seed in range(count):
        random = Random(f"float {seed}")
        data = containers.damage_tflite(random, random.choice(whole), whole)
        try:
            read(data)
        except Exception as error:
            if fault := readers.fault_of(error):
                found[seed] = fault
    return found


@pytest.mark.filterwarnings("ignore")
def test_damaged_float_files():
    for data in inputs():
        read(data)
    assert faults(INPUTS) == {}
