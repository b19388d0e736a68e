"""The preparation of a model in C: its settings, and the sources of firmware/kernels/prepare that obey them."""

from __future__ import annotations

from pathlib import Path
from string import Template

from lenet_edge.files import TEXT_BYTES, read_bytes
from lenet_edge.formats.images import preparation_of
from lenet_edge.preparation import int8_values
from lenet_edge.preparation.ranges import IDENTITY
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["preparation_sources"]

_CROPS = {"none": "LE_CROP_NONE", "square": "LE_CROP_SQUARE"}
_INVERT = {"never": "LE_INVERT_NEVER", "always": "LE_INVERT_ALWAYS", "bright border": "LE_INVERT_BRIGHT_BORDER"}

_HEADER = Template(
    """\
/* How a frame becomes an image of model $fingerprint: what its memory depends on. */
#ifndef LE_PREPARATION_H
#define LE_PREPARATION_H

#include "le_model.h"

#define LE_PREPARE_CENTRED $centred
#define LE_PREPARE_SUMS $sums /* of a row of the image */

#endif
"""
)

_SOURCE = Template(
    """\
/* How a frame becomes an image of model $fingerprint. */
#include "le_prepare.h"

$table
const le_preparation_settings le_preparation = {$settings};
"""
)


def preparation_sources(model: QuantizedModel, firmware: Path) -> dict[str, bytes]:
    """le_preparation.h and le_preparation.c, and the kernels that they are for: file name -> content.

    Args:
        model: records its preparation, or gets what is usual for one like it.
        firmware: the folder with the C sources (firmware/).

    Raises:
        BadInputError: the model takes no picture, or its record is damaged.
    """
    preparation = preparation_of(model)
    values = int8_values(preparation, model.input.scale, model.input.zero_point)
    plain = (values == IDENTITY).all()
    rows = ",\n    ".join(", ".join(map(str, row)) for row in values.reshape(16, 16).tolist())
    box = preparation.crop if isinstance(preparation.crop, tuple) else (0, 0, 0, 0)
    crop = "LE_CROP_BOX" if isinstance(preparation.crop, tuple) else _CROPS[preparation.crop]
    sizes = (preparation.width, preparation.height, preparation.channels)
    fields = (*sizes, crop, _INVERT[preparation.invert], int(preparation.centred), *box)
    words = {
        "fingerprint": model.fingerprint,
        "centred": int(preparation.centred),
        "sums": preparation.width * preparation.channels,
        "table": "" if plain else f"LE_DEFINE_TABLE(int8_t, le_pixel_values, 256,\n    {rows});\n",
        "settings": ", ".join(map(str, (*fields, "NULL" if plain else "le_pixel_values"))),
    }
    made = {"le_preparation.h": _HEADER.substitute(words), "le_preparation.c": _SOURCE.substitute(words)}
    folder = firmware / "kernels" / "prepare"
    kernels = {path.name: read_bytes(path, "the kernel", limit=TEXT_BYTES) for path in sorted(folder.glob("le_*.[ch]"))}
    return kernels | {name: text.encode() for name, text in made.items()}
