"""An Arduino library: format 1.5, revision 2.2 of "Library specification" in the documentation of arduino-cli.

Everything below src/ is compiled, .S files too, and its folder is on the include path. A sketch has the name of its
folder.
"""

from __future__ import annotations

from string import Template

from lenet_edge.formats.c_source import PLAIN
from lenet_edge.formats.projects.common import Project, version

__all__ = ["CPUS", "files", "sketch"]

# Packages of boards, by the folder name that `architectures` means, and their processors. One is declared if any of
# these runs the kernels; on the others le_dsp.h stops the compiler.
_ARCHITECTURES = {
    "apollo3": ("cortex-m4",),
    "avr": ("avr5", "avr51", "avr6"),
    "esp32": ("xtensa", "rv32imc", "rv32imac"),
    "mbed_giga": ("cortex-m7", "cortex-m4"),
    "mbed_nano": ("cortex-m4", "cortex-m0plus"),
    "mbed_nicla": ("cortex-m7", "cortex-m4"),
    "mbed_opta": ("cortex-m7", "cortex-m4"),
    "mbed_portenta": ("cortex-m7", "cortex-m4"),
    "mbed_rp2040": ("cortex-m0plus",),
    "megaavr": ("avrxmega3",),
    "nrf52": ("cortex-m4",),
    "renesas_portenta": ("cortex-m33",),
    "renesas_uno": ("cortex-m4",),
    "rp2040": ("cortex-m0plus", "cortex-m33"),
    "sam": ("cortex-m3",),
    "samd": ("cortex-m0plus", "cortex-m4"),
    "stm32": ("cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"),
    "zephyr": ("cortex-m4", "cortex-m7", "cortex-m33"),
}
CPUS = frozenset(cpu for cpus in _ARCHITECTURES.values() for cpu in cpus)
"""All of them."""

_PROPERTIES = Template(
    """\
name=$name
version=$version
author=lenet-edge
maintainer=lenet-edge
sentence=$sentence.
paragraph=$paragraph
category=Data Processing
url=https://example.com/$name
architectures=$architectures
includes=$api_header
"""
)

# The end of classify(), and setup() as far as the first picture or frame.
_ANSWER = """\
    Serial.print(le_class_name(found, name));
    Serial.print(":");
    for (int i = 0; i < $output_count; i++) {
        Serial.print(" ");
        Serial.print((int)logits[i]);
    }
    Serial.println();
}

void setup()
{
    Serial.begin(115200);
    while (!Serial) {
        // with USB: until somebody listens
    }
"""
_SELF_TEST = """\
    const bool passed = memcmp(logits, example_logits, sizeof logits) == 0;
    Serial.println(passed ? "self-test: passed" : "self-test: FAILED");
}
"""

_SKETCH = Template(
    """\
// Classifies the $picture of example_image.h, compares its $logits with those of lenet-edge's reference,
// then classifies what comes over Serial: LE_INPUT_BYTES bytes an $image, $bytes_of_example. Send
// the next one after the answer. After a second without a byte the $image begins again.
$include#include <string.h>

#include <le_model.h>

#include "example_image.h"

static int8_t logits[$output_count];

static void classify()
{
    char name[LE_NAME_BYTES];
    const int found = le_infer_u8(example_pixels, logits);
"""
    + _ANSWER
    + """\
    classify();
"""
    + _SELF_TEST
    + """\

void loop()
{
    static size_t received = 0;
    static unsigned long last_ms = 0;

    if (Serial.available() == 0) {
        if (millis() - last_ms > 1000) {
            received = 0;
        }
        return;
    }
    last_ms = millis();
    example_pixels[received] = (uint8_t)Serial.read();
    received++;
    if (received == LE_INPUT_BYTES) {
        received = 0;
        classify();
    }
}
"""
)

_FRAME_SKETCH = Template(
    """\
// Classifies the frame of example_frame.h, compares its $logits with those of lenet-edge's reference, then classifies
// frames that come over Serial. Send any byte to begin, then each row when its number is there: FRAME_ROW_BYTES bytes,
// row 0 on top. A model that centres what is drawn asks for all rows twice. After a second without a byte it gives up.
$include#include <string.h>

#include <le_prepare.h>

#include "example_frame.h"

static int8_t logits[$output_count];

static const uint8_t *serial_row(void *context, uint16_t y)
{
    (void)context;
    Serial.print("row ");
    Serial.print((int)y);
    Serial.println();
    return Serial.readBytes((char *)frame_row, FRAME_ROW_BYTES) == FRAME_ROW_BYTES ? frame_row : NULL;
}

static void classify(le_next_row *next_row)
{
    char name[LE_NAME_BYTES];
    const int found = le_infer_rows(next_row, NULL, FRAME_WIDTH, FRAME_HEIGHT, FRAME_FORMAT, logits);
    if (found < 0) {
        Serial.print("no image: "); // LE_PREPARE_BLANK and the like
        Serial.print(found);
        Serial.println();
        return;
    }
"""
    + _ANSWER
    + """\
    classify(example_row);
"""
    + _SELF_TEST
    + """\

void loop()
{
    if (Serial.available() != 0) {
        Serial.read();
        classify(serial_row);
    }
}
"""
)

_README = Template(
    """\
# $name

$sentence: an Arduino library. $paragraph

    arduino-cli compile --fqbn BOARD --library . examples/Classify

or copy this folder into the `libraries` folder of the sketchbook. `#include <le_model.h>` has the functions; the sketch
`examples/Classify` shows the call, and checks that the board computes the same integers. Before you publish the
library, put your name, address and version into `library.properties`.

$about_sources
"""
)


def files(project: Project) -> dict[str, str]:
    """library.properties and an example sketch; see `projects.export`."""
    found = (
        ["*"] if project.family == PLAIN else [name for name, cpus in _ARCHITECTURES.items() if project.runs_on(*cpus)]
    )
    words = {"version": version(), "architectures": ",".join(found)}
    return {
        "README.md": project.fill(_README),
        "library.properties": project.fill(_PROPERTIES, **words),
        "examples/Classify/Classify.ino": sketch(project),
        f"examples/Classify/{project.example_header}": project.example,
    }


def sketch(project: Project, include: str = "") -> str:
    """The example; `include` is a line in front."""
    return project.fill(_SKETCH if project.frames is None else _FRAME_SKETCH, include=include)
