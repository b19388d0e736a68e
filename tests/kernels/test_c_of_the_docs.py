"""The C in the pages of docs/ compiles, without a warning, with what `export` writes."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import sample_models
from doc_pages import CHECKOUT, DOCS, blocks, titled

from lenet_edge.formats import c_source
from lenet_edge.preparation import MNIST, prepare
from lenet_edge.preparation.frames import FrameShape, decode, encode
from lenet_edge.quantized import reference

MODELS = {"le": sample_models.lenet5(51), "meter": sample_models.lenet5(52), "gauge": sample_models.lenet5(53)}
STRICT = ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Folders with a model each, by the prefix of its names."""
    folders = {prefix: tmp_path_factory.mktemp(prefix) for prefix in MODELS}
    for prefix, model in MODELS.items():
        frames = FrameShape(320, 240, "rgb565") if prefix == "le" else None
        made = c_source.export(c_source.make_plan(model), CHECKOUT / "firmware", frames)
        files = c_source.with_prefix(made, prefix, model)
        for name, content in files.items():
            (folders[prefix] / name).parent.mkdir(exist_ok=True)
            (folders[prefix] / name).write_bytes(content)
    return folders


def linked(code, main, prefixes, folder, exported):
    """The program of a page's code, a main and the exported C."""
    page = compiled(f"{code}\n{main}", folder, exported)
    sources = [str(path) for prefix in prefixes for path in exported[prefix].glob("*.c")]
    argv = ["cc", "-o", "program", page.name, *sources]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "program"


def compiled(code, folder, exported):
    (folder / "page.c").write_text(code)
    argv = [*STRICT, *(f"-I{each}" for each in exported.values()), "-c", "page.c", "-o", "page.o"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "page.o"


@pytest.mark.parametrize("page", [page for page in DOCS.rglob("*.md") if "```c " in page.read_text()], ids=str)
def test_c_compiles(page, exported, tmp_path):
    found = [content for words, content in blocks(page) if words.split()[0:1] == ["c"]]
    assert found
    for code in found:
        compiled(code, tmp_path, exported)


def test_two_models_link_into_one_program(exported, tmp_path):
    code = titled(DOCS / "how-to" / "two-models.md", "main.c")
    main = "int main(void) { static int8_t image[784]; return read_meter(image) + read_gauge(image) < 0; }\n"
    assert subprocess.run([linked(code, main, ("meter", "gauge"), tmp_path, exported)]).returncode == 0


CAMERA = """
#include <stdio.h>
#include <string.h>

static uint8_t frame[240 * 640];
static const uint8_t *at;

void camera_rewind(void) { at = frame; }

int camera_read_row(uint8_t *row)
{
    memcpy(row, at, 640);
    at += 640;
    return at[-1] != 99; /* a row that never comes */
}

int main(void)
{
    while (fread(frame, 1, sizeof frame, stdin) == sizeof frame) {
        int8_t logits[LE_CLASSES] = {0};
        const int found = CLASSIFY;
        printf("%d:", found);
        for (int i = 0; i < LE_CLASSES; i++) {
            printf(" %d", logits[i]);
        }
        printf("\\n");
    }
    return 0;
}
"""


@pytest.mark.parametrize(
    ("title", "call"), [("camera.c", "classify_camera(logits)"), ("frame.c", "classify_frame(frame, logits)")]
)
def test_the_camera_of_the_page_gives_the_logits_of_the_reference(title, call, exported, tmp_path):
    code = titled(DOCS / "how-to" / "camera-frames.md", title)
    program = linked(code, CAMERA.replace("CLASSIFY", call), ("le",), tmp_path, exported)
    random = np.random.default_rng(3)
    frames = random.integers(0, 256, (3, 240, 320, 3), np.uint8) // 4
    frames[0, 50:200, 100:140] = frames[1, 20:90, 30:250] = 255
    frames[2] = 40  # blank
    sent = [encode(frame, "rgb565") for frame in frames]
    wanted = []
    for data in sent[:2]:
        image = prepare(decode(data, "rgb565", 320, 240, 1), MNIST)
        logits = reference.run(MODELS["le"], reference.quantize_images(image[None]))[0]
        wanted.append(f"{logits.argmax()}: {' '.join(map(str, logits))}")
    stopped = bytearray(sent[0])
    stopped[640 * 17 - 1] = 99
    done = subprocess.run([program], input=b"".join([*sent, stopped]), capture_output=True, check=True)
    zeros = " 0" * 10
    last = [f"-4:{zeros}"] if title == "camera.c" else []
    assert done.stdout.decode().splitlines()[: 3 + len(last)] == [*wanted, f"-3:{zeros}", *last]
