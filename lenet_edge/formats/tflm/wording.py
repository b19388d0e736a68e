"""What the exported sources for TFLM say and do that depends on a model's input and outputs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np

from lenet_edge.formats.images import takes_images
from lenet_edge.quantized.meaning import Meaning, input_text, meaning_of
from lenet_edge.quantized.model import QTensor, QuantizedModel

__all__ = ["example_words", "settings_words"]

_WIDTH = 97  # of a comment

_ABOUT_OUTPUT = {
    "logits": "one int8 per class, which stands for",
    "probabilities": "one int8 per class, whose probability is",
    "independent": "one int8 per class; the probability that it is there (they need not add up to 1) is",
    "binary": "one int8 for two classes; the probability of the second, of which the first has the rest, is",
    "values": "{values}, not classes; an int8 stands for",
}

_ABOUT_PIXELS = """\
// The input, height x width x channels. A pixel enters as the int8 `pixel - 128`, which is the
// bit operation `pixel ^ 0x80`, and stands for kInputScale * (pixel - 128 - kInputZeroPoint)."""

_QUANTIZE_PIXEL = """\
constexpr int8_t QuantizePixel(uint8_t pixel) { return static_cast<int8_t>(pixel ^ 0x80); }"""

_QUANTIZE_VALUE = """\
// The int8 of a real value, rounded; what the scale does not reach becomes the nearest that it does.
inline int8_t QuantizeValue(float value) {
  const float exact = value / kInputScale + kInputZeroPoint;
  if (exact <= -128.0f) return -128;
  if (exact >= 127.0f) return 127;
  return static_cast<int8_t>(exact < 0.0f ? exact - 0.5f : exact + 0.5f);
}"""

_QUANTIZE_EACH = """\
// The int8 of a real value of an input, rounded; what its scale does not reach becomes the nearest that it does.
inline int8_t QuantizeValue(float value, int input) {
  const float exact = value / kInputScales[input] + kInputZeroPoints[input];
  if (exact <= -128.0f) return -128;
  if (exact >= 127.0f) return 127;
  return static_cast<int8_t>(exact < 0.0f ? exact - 0.5f : exact + 0.5f);
}"""

_PIXELS = """\
// Replace it by the pixels of a camera or a file: uint8, row by row, channels last.
uint8_t pixels[$namespace::kInputSize];"""

_VALUES = """\
// Replace it by what the model was trained on, as real numbers: row by row, channels last.
float values[$namespace::kInputSize];"""

_ARG_MAX = """\
int ArgMax(const int8_t* $logits) {
  int best = 0;
  for (int index = 1; index < $namespace::kClassCount; ++index) {
    if ($logits[index] > $logits[best]) best = index;
  }
  return best;
}
"""

_SHOW_CLASS = """\
$outputs
  const int best = $best;
  MicroPrintf("%s (%d); arena: %d bytes of %d used", $namespace::kClassNames[best],
              static_cast<int>($logits[$of_best]), static_cast<int>(interpreter.arena_used_bytes()),
              static_cast<int>(kArenaSize));"""

_SHOW_VALUES = """\
$outputs
  for (int index = 0; index < $namespace::kOutputSize; ++index) {
    MicroPrintf("%d", static_cast<int>($logits[index]));
  }
  MicroPrintf("arena: %d bytes of %d used", static_cast<int>(interpreter.arena_used_bytes()),
              static_cast<int>(kArenaSize));"""


def settings_words(model: QuantizedModel) -> dict[str, str]:
    """The words of the header with shapes and scales, but for the names of the classes."""
    meaning, image = meaning_of(model), takes_images(model)
    counts = [f"constexpr int kOutputSize = {meaning.outputs};"] if meaning.kind in ("binary", "values") else []
    counts += [f"constexpr int kClassCount = {len(meaning.classes)};"] if meaning.classes else []
    several = len(model.inputs) > 1
    return {
        "about_input": _ABOUT_PIXELS if image else _about_inputs(model.inputs),
        "input_sizes": _input_sizes(model.inputs),
        "input_scaling": _scaling("Input", model.inputs),
        "about_output": _about_output(meaning),
        "counts": "\n".join(counts),
        "output_scaling": _scaling("Output", model.outputs),
        "quantize": _QUANTIZE_PIXEL if image else _QUANTIZE_EACH if several else _QUANTIZE_VALUE,
    }


def _input_sizes(inputs: Sequence[QTensor]) -> str:
    sizes = [math.prod(tensor.shape) for tensor in inputs]
    if len(inputs) == 1 and len(inputs[0].shape) == 3:
        height, width, channels = inputs[0].shape
        return (
            f"constexpr int kInputHeight = {height};\nconstexpr int kInputWidth = {width};\n"
            f"constexpr int kInputChannels = {channels};\n"
            "constexpr int kInputSize = kInputHeight * kInputWidth * kInputChannels;"
        )
    each = _array("int", "kInputSizes", sizes) if len(inputs) > 1 else ""
    return f"{each}constexpr int kInputSize = {sum(sizes)};"


def _scaling(what: str, tensors: Sequence[QTensor]) -> str:
    """The constants of scale and zero point; arrays where there are several tensors."""
    scales = [_float_literal(tensor.scale) for tensor in tensors]
    zero_points = [tensor.zero_point for tensor in tensors]
    if len(tensors) == 1:
        return f"constexpr float k{what}Scale = {scales[0]};\nconstexpr int k{what}ZeroPoint = {zero_points[0]};"
    return (_array("float", f"k{what}Scales", scales) + _array("int", f"k{what}ZeroPoints", zero_points)).rstrip()


def _array(kind: str, name: str, values: Sequence[object]) -> str:
    return f"constexpr {kind} {name}[{len(values)}] = {{{', '.join(map(str, values))}}};\n"


def _float_literal(value: float) -> str:
    """A C literal that is exactly that float32."""
    text = np.format_float_scientific(np.float32(value), unique=True, trim="0")
    return f"{text}f"


def example_words(model: QuantizedModel, namespace: str) -> dict[str, str]:
    """The words of the example: what it feeds, how it finds the class, what it prints."""
    meaning, image = meaning_of(model), takes_images(model)
    logits = "logits" if meaning.kind == "logits" else "outputs"
    best, of_best = "ArgMax($logits);", "best"
    if meaning.kind == "binary":
        best, of_best = f"$logits[0] > {meaning.threshold} ? 1 : 0;  // a probability above 1/2", "0"
    show = _SHOW_VALUES if meaning.kind == "values" else _SHOW_CLASS.replace("$best;", best)
    made = {
        "buffer": _PIXELS if image else _VALUES,
        "class_of": "" if meaning.kind in ("binary", "values") else f"{_ARG_MAX}\n",
        "feed": _feed(model, image),
        "show": show.replace("$outputs", _outputs(model)),
    }
    words = {"$namespace": namespace, "$logits": logits, "$of_best": of_best}
    for word, value in words.items():
        made = {name: text.replace(word, value) for name, text in made.items()}
    return made


_FEED = """\
  $type* input = interpreter.input(0)->data.$member;
  for (int index = 0; index < $namespace::kInputSize; ++index) {
    input[index] = $value;
  }"""

_FEED_EACH = """\
  $type* input_$number = interpreter.input($number)->data.$member;
  for (int index = 0; index < $namespace::kInputSizes[$number]; ++index) {
    input_$number[index] = $value;
  }"""

_TAKE = """\
  for (int index = 0; index < $size; ++index) {
    $logits[$offsetindex] = $value;
  }"""

_MEMBERS = {"int8": ("int8_t", "int8"), "uint8": ("uint8_t", "uint8"), "float32": ("float", "f")}


def _ends(model: QuantizedModel, what: str, count: int) -> list[str]:
    """The types of the file's inputs or outputs."""
    ends = model.metadata.get("ends") or {}
    return list(ends.get(what, ["int8"] * count))


def _feed(model: QuantizedModel, image: bool) -> str:
    """The lines that fill the inputs, each in the file's own type."""
    kinds, lines, offset = _ends(model, "inputs", len(model.inputs)), [], 0
    for number, (kind, tensor) in enumerate(zip(kinds, model.inputs, strict=True)):
        at = f"{offset} + index" if len(kinds) > 1 else "index"
        quantized = f"$namespace::QuantizeValue(values[{at}]{f', {number}' if len(kinds) > 1 else ''})"
        if image:
            quantized = "$namespace::QuantizePixel(pixels[index])"
        real = f"$namespace::kInputScale * ({quantized} - $namespace::kInputZeroPoint)" if image else f"values[{at}]"
        value = {"int8": quantized, "uint8": f"static_cast<uint8_t>({quantized} ^ 0x80)", "float32": real}[kind]
        text = _FEED_EACH if len(kinds) > 1 else _FEED
        for word, filled in zip(("$type", "$member", "$number"), (*_MEMBERS[kind], str(number)), strict=True):
            text = text.replace(word, filled)
        lines.append(text.replace("$value", value))
        offset += math.prod(tensor.shape)
    return "\n".join(lines)


def _outputs(model: QuantizedModel) -> str:
    """The lines that give the outputs as int8, whatever the file's own type is."""
    kinds = _ends(model, "outputs", len(model.outputs))
    if kinds == ["int8"]:
        return "  const int8_t* $logits = interpreter.output(0)->data.int8;"
    lines, offset = [f"  int8_t $logits[{math.prod(model.output.shape)}];"], 0
    for number, (kind, tensor) in enumerate(zip(kinds, model.outputs, strict=True)):
        given = f"interpreter.output({number})->data.{_MEMBERS[kind][1]}[index]"
        steps = f"{given} / {_float_literal(tensor.scale)} + {tensor.zero_point}"
        value = {
            "int8": given,
            "uint8": f"static_cast<int8_t>({given} ^ 0x80)",
            "float32": f"static_cast<int8_t>({steps} + ({steps} < 0.0f ? -0.5f : 0.5f))",
        }[kind]
        text = _TAKE.replace("$size", str(math.prod(tensor.shape))).replace("$value", value)
        lines.append(text.replace("$offset", f"{offset} + " if offset else ""))
        offset += math.prod(tensor.shape)
    return "\n".join(lines)


def _about_inputs(inputs: Sequence[QTensor]) -> str:
    if len(inputs) == 1:
        shape = " x ".join(map(str, inputs[0].shape))
        sizes = "height x width x channels" if len(inputs[0].shape) == 3 else f"{shape} values"
        return _comment(
            f"The input, {sizes}: not pixels, but one int8 per value, which stands for kInputScale * "
            f"(int8 - kInputZeroPoint): {input_text(inputs[0])}."
        )
    each = "; ".join(f"{' x '.join(map(str, tensor.shape))}, {input_text(tensor)}" for tensor in inputs)
    return _comment(f"The {len(inputs)} inputs, one int8 per value, in the order of the file: {each}.")


def _about_output(meaning: Meaning) -> str:
    if meaning.parts:
        return _comment(f"The {len(meaning.parts)} outputs: {meaning.counted}, in the order of the file.")
    what = _ABOUT_OUTPUT[meaning.kind].format(values=meaning.counted)
    return _comment(f"The output: {what} kOutputScale * (value - kOutputZeroPoint).")


def _comment(text: str) -> str:
    return "\n".join(f"// {line}" for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False))
