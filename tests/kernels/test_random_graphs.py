"""A small part of graph_campaign.py: random graphs of all operators, the C against TFLM."""

from c_harness import build_kernels
from c_programs import needs
from graph_campaign import Outcome, campaign

SEEDS = range(1_000_000, 1_000_080)


@needs("gcc")
def test_no_output_differs(tmp_path):
    outcome = campaign(SEEDS, build_kernels(tmp_path))
    assert outcome.faults == []
    assert outcome.graphs > 70


def test_faults_are_found():
    """Each kind of fault makes the campaign fail; what is excused does not."""
    excused = {"the model has no layer that computes anything": [4]}
    assert Outcome(refused=excused).faults == []
    for fault in ({"c_differs": [1]}, {"reference_differs": [1]}, {"refused_by_tflm": [1]}, {"refused": {"else": [1]}}):
        assert len(Outcome(**fault).faults) == 1
