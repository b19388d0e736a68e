"""QDQ ONNX, as ONNX Runtime's quantiser and PyTorch's write it, to `QuantizedModel`; any damage is an error message.

The path of a file: `graph` parses the bytes and trusts nothing in them; `operators` and its helpers turn node after
node into layers, where a float result waits (`values.Pending`) until QuantizeLinear gives it a scale; what only
orders values anew, such as NCHW to NHWC, is kept as an index until a layer needs it; `tidying` drops what is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.reader.reading import MAX_BYTES, Imported, imported
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["MAX_BYTES", "Imported", "draft", "import_bytes", "read"]


def read(data: bytes, name: str, *, ranges: Mapping[str, tuple[float, float]] | None = None) -> QuantizedModel:
    """Read and verify the bytes of a QDQ .onnx.

    Inputs and outputs become int8: uint8 is shifted by 128. A float Softmax, LogSoftmax or ArgMax behind the last
    integers is left out.

    Args:
        data: the file's bytes.
        name: what the file is called, in messages.
        ranges: (lowest, highest) real value of tensors that the file leaves float, by their names.

    Raises:
        BadInputError: damaged, with operators that are not known, weights that are not symmetric int8, or tensors
            without a scale and a range; the message names what and where.
    """
    return import_bytes(data, name, ranges=ranges).model


def import_bytes(data: bytes, name: str, *, ranges: Mapping[str, tuple[float, float]] | None = None) -> Imported:
    """The same with what the file says beside the model; errors as in `read`."""
    return _import(data, name, ranges or MappingProxyType({}), is_draft=False)


def draft(data: bytes, name: str) -> Imported:
    """What can be said of a file that leaves tensors float: `Imported.float_edges` names them, `onnx` computes them.

    Scales of the model other than the inputs' may be made up. Errors as in `read`; also where an input is float.
    """
    return _import(data, name, MappingProxyType({}), is_draft=True)


def _import(data: bytes, name: str, ranges: Mapping[str, tuple[float, float]], *, is_draft: bool) -> Imported:
    try:
        return imported(data, ranges, is_draft=is_draft)
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}") from error
