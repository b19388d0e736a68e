"""A small part of graph_campaign.py, and its record: random graphs of all operators, the C against TFLM."""

import json

from c_harness import build_kernels
from c_programs import needs
from graph_campaign import RECORD, Outcome, campaign

from lenet_edge.formats.tflite.operators import SUPPORTED

SEEDS = range(1_000_000, 1_000_080)
# Folded, and at a model's ends.
ELSEWHERE = {"SHAPE", "PACK", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "DEQUANTIZE"}


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


def test_the_last_campaign():
    found = json.loads(RECORD.read_text())
    assert found["graphs"] >= 5000
    assert (found["c_differs"], found["reference_differs"], found["refused_by_tflm"]) == ([], [], [])
    assert set(SUPPORTED) - set(found["operators"]) <= ELSEWHERE
