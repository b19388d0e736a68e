"""Steps one after another, each done only if its inputs or its results have changed."""

from lenet_edge.pipeline.digests import (
    data_digest,
    file_digest,
    file_digests,
    module_digest,
    own_digest,
    text_digest,
)
from lenet_edge.pipeline.steps import Outcome, Step, run_steps

__all__ = [
    "Outcome",
    "Step",
    "data_digest",
    "file_digest",
    "file_digests",
    "module_digest",
    "own_digest",
    "run_steps",
    "text_digest",
]
