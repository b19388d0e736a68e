"""`QuantizedModel` to .tflite bytes: the same bytes for the same model and metadata, always."""

from __future__ import annotations

from lenet_edge.formats.tflite.assembly import Assembly
from lenet_edge.formats.tflite.layer_operators import WRITE
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.verify import verify
from lenet_edge.version import __version__

__all__ = ["to_bytes"]


def to_bytes(model: QuantizedModel) -> bytes:
    """The model as a .tflite that takes and gives int8, whatever the ends of the file that it was read from.

    The metadata of the model goes into the file's metadata entry ``lenet_edge``
    as JSON, with the fingerprint and the toolkit's version.

    Reading it gives an equal model, if each `Constant` stands before the first
    layer that reads it, and no layer leaves every value where it is.

    Raises:
        BadInputError: a layer cannot be expressed (a clamp that no fused activation is).
    """
    assembly = Assembly(model.inputs)
    for index, (layer, reads) in enumerate(zip(verify(model).layers, model.reads, strict=True)):
        assembly.sources = [assembly.places[source] for source in reads]
        assembly.places[index] = WRITE[type(layer)](assembly, layer)
    metadata = {key: value for key, value in model.metadata.items() if key not in ("ends", "imported")}
    return assembly.finish(model.results, {**metadata, "fingerprint": model.fingerprint, "lenet_edge": __version__})
