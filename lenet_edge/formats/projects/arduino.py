"""An Arduino library: format 1.5, revision 2.2 of "Library specification" in the documentation of arduino-cli.

Everything below src/ is compiled, .S files too, and its folder is on the include path. A sketch has the name of its
folder.
"""

from __future__ import annotations

from string import Template

from lenet_edge.formats.projects.common import Project, is_dsp, version

__all__ = ["SKETCH", "files"]

# Packages of boards, by the folder name that `architectures` means, that have processors with the DSP extension. On the
# others of their processors le_dsp.h stops the compiler.
_DSP_ARCHITECTURES = (
    "apollo3,mbed_giga,mbed_nano,mbed_nicla,mbed_opta,mbed_portenta,nrf52,"
    "renesas_portenta,renesas_uno,rp2040,samd,stm32,zephyr"
)

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
includes=le_model.h
"""
)

SKETCH = Template(
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
    const int found = le_infer_u8(example_pixels, logits);
    Serial.print(le_class_names[found]);
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
    classify();
    const bool passed = memcmp(logits, example_logits, sizeof logits) == 0;
    Serial.println(passed ? "self-test: passed" : "self-test: FAILED");
}

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
    words = {"version": version(), "architectures": _DSP_ARCHITECTURES if is_dsp(project) else "*"}
    return {
        "README.md": project.fill(_README),
        "library.properties": project.fill(_PROPERTIES, **words),
        "examples/Classify/Classify.ino": project.fill(SKETCH, include=""),
        "examples/Classify/example_image.h": project.example_image,
    }
