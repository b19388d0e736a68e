"""Networks other than LeNet-5 on an Arm and a RISC-V board: the reference's integers, whatever their images are."""

import pytest
import workbench
from described_networks import NETWORKS, calibrated, pixels_of

from lenet_edge.hardware import boards, session

BOARDS = ("mps2-an386", "longan-nano")


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    return calibrated(request.param, "tie-free", pixels_of(request.param, 32))[1].freeze()


@pytest.mark.parametrize("board", BOARDS)
def test_no_logit_differs(build, board, model):
    workbench.need(board, "gcc")
    built = build(board, "gcc", model)
    images = workbench.images(model, 24, seed=1)
    with session.connect(boards.load(board), built.elf, model.fingerprint) as running:
        logits = running.device.infer_all(images)
    assert (logits != workbench.reference(model, images)).sum() == 0
