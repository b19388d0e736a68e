"""What the generated C says of a model's input and outputs: only what is true of that model."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lenet_edge.formats.images import black_and_white, takes_images
from lenet_edge.preparation.frames import FrameShape
from lenet_edge.quantized.meaning import Meaning, input_text, meaning_of
from lenet_edge.quantized.model import QTensor, QuantizedModel

__all__ = ["frame_words", "words"]

_WIDTH = 117  # of a comment's lines after "/* "

_ABOUT_OUTPUTS = MappingProxyType(
    {
        "logits": "The logits, one for each class; a softmax over scale * (logit - zero point) gives the distribution.",
        "probabilities": "The outputs, one for each class: its probability is scale * (output - zero point).",
        "independent": (
            "The outputs, one for each class: the probability that it is there is scale * (output - zero point); they "
            "need not add up to 1."
        ),
        "binary": (
            "One output for two classes: the probability of the second is scale * (output - zero point), the first has "
            "the rest."
        ),
    }
)
_RETURNS = MappingProxyType(
    {
        "logits": "the class, the index of the largest logit",
        "binary": "the class: 1 where its probability is above 1/2, else 0",
        "values": "the index of the largest value",
    }
)
_IMAGE = MappingProxyType(
    {
        "about_input": "The image: int8 = pixel - 128, rows from the top, real value = scale * (int8 - zero point).",
        "about_u8": (
            "The same for pixels 0 to 255. They are changed in place while it runs, and are afterwards what they were."
        ),
        "given": "`image`",
        "image": "image",
        "images": "images",
        "picture": "picture",
        "pixels": "pixels",
        "raw": "pixels, one byte each",
        "bytes_of_example": "one for each pixel, rows from the top",
        "first_row": "rows from the top",
        "example": "a bright upright bar on black",
        "classifier": "image classifier",
    }
)


def words(model: QuantizedModel) -> dict[str, str]:
    """The words of the templates that depend on what the input and the outputs are."""
    meaning = meaning_of(model)
    said = dict(_IMAGE if takes_images(model) else _other_input(model))
    logits = "logits" if meaning.kind == "logits" else "outputs"
    count = "LE_OUTPUTS" if meaning.kind == "binary" else "LE_CLASSES"
    returns = _RETURNS.get(meaning.kind, "the class, the index of the largest output")
    about_call = (
        f"One inference: {said['given']} int8 [LE_INPUT_BYTES], `logits` int8 [{count}]. Returns {returns}. "
        "Re-entrant as far as the workspaces are: each caller has its own."
    )
    about_in_place = (
        f"The same in one memory, which is smaller than workspace and {said['image']} together: {said['given']} lies "
        "LE_IN_PLACE_IMAGE bytes into it, and is overwritten."
    )
    given = f"the last, whose output is the {logits}"
    if meaning.parts:
        given = "the last ones, whose outputs are the model's"
    about_step_output = f"Where a step's output is until the next step begins, and its size in bytes; NULL for {given}."
    return said | {
        "about_input": _comment(said["about_input"]),
        "about_u8": _comment(said["about_u8"]),
        "about_outputs": _comment(_ABOUT_OUTPUTS.get(meaning.kind) or _about_values(meaning)),
        "about_call": _comment(about_call),
        "about_in_place": _comment(about_in_place),
        "about_step_output": _comment(about_step_output),
        "class_of": f"logits[0] > {meaning.threshold}"
        if meaning.kind == "binary"
        else "(int)le_argmax_s8(logits, LE_CLASSES)",
        "classifier": said["classifier"] if meaning.classes else "neural network",
        "logits": logits,
        "output_count": count,
        "sizes": "\n".join(f"#define {name} {size}" for name, size in _sizes(meaning).items()),
    }


def frame_words(frames: FrameShape) -> dict[str, str]:
    """The words of what takes a camera's frames: their size and format, as macros of C and in prose."""
    macro = f"LE_FRAME_{frames.form.upper().replace('-', '_')}"
    values = {"WIDTH": frames.width, "HEIGHT": frames.height, "FORMAT": macro, "ROW_BYTES": frames.row_bytes}
    return {
        "frame": f"{frames.width} x {frames.height} pixels in {frames.form}",
        "frame_bytes": str(frames.height * frames.row_bytes),
        "frame_macros": "\n".join(f"#define FRAME_{name} {value}" for name, value in values.items()),
    }


def _about_inputs(tensors: Sequence[QTensor]) -> str:
    """Shapes and scaling: of a map row by row, of several inputs one after the other."""
    if len(tensors) == 1:
        (tensor,) = tensors
        order = "row by row, channels last" if len(tensor.shape) == 3 else f"[{']['.join(map(str, tensor.shape))}]"
        return f"The input: int8, {order}; {input_text(tensor)}."
    parts = [f"int8 [{']['.join(map(str, tensor.shape))}], {input_text(tensor)}" for tensor in tensors]
    return f"The {len(parts)} inputs, one behind the other: {'; '.join(parts)}."


def _other_input(model: QuantizedModel) -> Mapping[str, str]:
    """Of an input that is not in pixels: its own scale and zero point, and no word of images."""
    return {
        "about_input": f"{_about_inputs(model.inputs)} {black_and_white(model)}".rstrip(),
        "about_u8": (
            "The same for bytes 0 to 255, each the int8 value + 128. They are changed in place while it runs, and are "
            "afterwards what they were."
        ),
        "given": "`image`, the input,",
        "image": "input",
        "images": "inputs",
        "picture": "test input",
        "pixels": "values",
        "raw": "bytes, the int8 value + 128",
        "bytes_of_example": "each the int8 value + 128",
        "first_row": "the int8 value + 128",
        "example": "a made-up input",
        "classifier": "classifier",
    }


def _about_values(meaning: Meaning) -> str:
    return (
        f"The outputs, {meaning.counted}: scale * (output - zero point). They are not classes; LE_CLASSES counts them."
    )


def _sizes(meaning: Meaning) -> dict[str, int]:
    return {"LE_OUTPUTS": 1, "LE_CLASSES": 2} if meaning.kind == "binary" else {"LE_CLASSES": meaning.outputs}


def _comment(text: str) -> str:
    """A C comment, in as many lines as it takes; its end does not stand alone in one."""
    end = "\N{NO-BREAK SPACE}*/"
    lines = textwrap.wrap(text + end, _WIDTH, break_on_hyphens=False, break_long_words=False)
    return "/* " + "\n * ".join(lines).replace(end, " */")
