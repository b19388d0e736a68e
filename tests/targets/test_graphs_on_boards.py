"""A graph of every operator on a Cortex-M0, an AVR and a RISC-V: the reference's integers."""

import pytest
import workbench
from operator_graph import every_operator

from lenet_edge.hardware import boards, session


@pytest.mark.parametrize("board", ["microbit", "atmega2560", "sifive_e"])
def test_no_output_differs(build, board):
    workbench.need(board, "gcc")
    model = every_operator()
    built = build(board, "gcc", model)
    images = workbench.images(model, 40, seed=3)
    with session.connect(boards.load(board), built.elf, model.fingerprint) as running:
        outputs = running.device.infer_all(images)
    assert len(set(outputs.ravel().tolist())) > 50
    assert (outputs != workbench.reference(model, images)).sum() == 0
