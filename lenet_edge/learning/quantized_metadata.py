"""What an int8 model says of itself."""

from __future__ import annotations

from lenet_edge import datasets
from lenet_edge.datasets import Dataset
from lenet_edge.learning.checkpoint import Checkpoint

__all__ = ["quantized_metadata"]


def quantized_metadata(saved: Checkpoint, dataset: Dataset) -> dict[str, object]:
    """What the float checkpoint said, and what the model was quantised from and with.

    Args:
        saved: as it was read from its file.
    """
    facts = saved.metadata
    return {
        "arch": facts["arch"],
        "classes": facts["classes"],
        "dataset": dataset.name,
        **({"transposed": True} if dataset.transposed else {}),
        **{key: facts[key] for key in ("network", "image_shape", "preparation") if key in facts},
        "test_sha256": datasets.data_sha256(dataset.test_images, dataset.test_labels),
        "float_sha256": saved.sha256,
    }
