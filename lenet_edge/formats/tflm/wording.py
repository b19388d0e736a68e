"""What the exported sources for TFLM say and do that depends on a model's input and outputs."""

from __future__ import annotations

import textwrap

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
  const int8_t* $logits = interpreter.output(0)->data.int8;
  const int best = $best;
  MicroPrintf("%s (%d); arena: %d bytes of %d used", $namespace::kClassNames[best],
              static_cast<int>($logits[$of_best]), static_cast<int>(interpreter.arena_used_bytes()),
              static_cast<int>(kArenaSize));"""

_SHOW_VALUES = """\
  const int8_t* $logits = interpreter.output(0)->data.int8;
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
    return {
        "about_input": _ABOUT_PIXELS if image else _about_values(model.input),
        "about_output": _about_output(meaning),
        "counts": "\n".join(counts),
        "quantize": _QUANTIZE_PIXEL if image else _QUANTIZE_VALUE,
    }


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
        "quantize_one": "$namespace::" + ("QuantizePixel(pixels[index])" if image else "QuantizeValue(values[index])"),
        "show": show,
    }
    words = {"$namespace": namespace, "$logits": logits, "$of_best": of_best}
    for word, value in words.items():
        made = {name: text.replace(word, value) for name, text in made.items()}
    return made


def _about_values(tensor: QTensor) -> str:
    return _comment(
        "The input, height x width x channels: not pixels, but one int8 per value, which stands for kInputScale * "
        f"(int8 - kInputZeroPoint): {input_text(tensor)}."
    )


def _about_output(meaning: Meaning) -> str:
    what = _ABOUT_OUTPUT[meaning.kind].format(values=meaning.counted)
    return _comment(f"The output: {what} kOutputScale * (value - kOutputZeroPoint).")


def _comment(text: str) -> str:
    return "\n".join(f"// {line}" for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False))
