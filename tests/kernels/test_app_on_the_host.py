"""The firmware's main loop on the host, with sanitizers: after any requests in any order a good frame is answered."""

import random
import struct
import subprocess

import c_programs
import numpy as np
import pytest
import sample_models

from lenet_edge.formats import c_source
from lenet_edge.hardware import boards, firmware, link
from lenet_edge.hardware.link import Decoder, Message, encode
from lenet_edge.preparation import MNIST, Preparation, prepare, to_int8, to_json
from lenet_edge.preparation.frames import FORMATS, decode, row_bytes
from lenet_edge.quantized.reference import run

ROW_BYTES = 60
SIDE = 9  # of the frame that must be answered
PREPARATIONS = {"MNIST": MNIST, "box": Preparation(28, 28, 1, crop=(1, 2, 3, 4), invert="bright border")}

HOST = r"""
#include <stdio.h>
#include <stdlib.h>

#include "le_arch.h"
#include "le_port.h"

uint8_t le_stack_bottom[1], le_stack_top[1], le_data_start[1], le_bss_end[1];
const uint8_t port_counter_unit = LE_COUNTER_TICKS;
const uint32_t port_counter_mask = 0xFFFFFF;

void port_init(void) {}
void port_putc(uint8_t byte) { putchar(byte); }
uint32_t port_counter(void) { static uint32_t ticks; return ticks += 3; }
void port_exit(uint8_t code) { fflush(stdout); exit(code); }

uint8_t port_getc(void)
{
    const int byte = getchar();
    if (byte == EOF) port_exit(0);
    return (uint8_t)byte;
}
"""


def model_of(name):
    model = sample_models.lenet5(4)
    return type(model)(model.layers, {"preparation": to_json(PREPARATIONS[name])})


@pytest.fixture(scope="module", params=PREPARATIONS)
def app(request, tmp_path_factory):
    """(the program, the name of its preparation)"""
    folder, model = tmp_path_factory.mktemp("app"), model_of(request.param)
    plan = c_source.make_plan(model, c_source.PLAIN)
    firmware._write_sources(plan, boards.load("microbit"), folder, ROW_BYTES)
    (folder / "host.c").write_text(HOST)
    sources = [*folder.glob("kernels/*.c"), *folder.glob("app/*.c"), folder / "host.c"]
    includes = [f"-I{folder / each}" for each in ("kernels", "app", "arch", "port")]
    c_programs.run("cc", "-std=c99", "-w", *c_programs.SANITIZE, *includes, *sources, "-o", folder / "program")
    return folder / "program", request.param


def answers(program, requests):
    """What it says after its banner; it must end with 0, so without a word of a sanitizer."""
    done = subprocess.run(
        [program], input=requests, capture_output=True, timeout=120, env=c_programs.ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    text, _, rest = done.stdout.partition(b"\0")
    assert text.endswith(b"self-test passed\n")
    return Decoder().feed(rest)


def some_request(noise):
    """A request of any kind, with a body that is often nearly right."""
    kind = noise.choice((link.HELLO, link.INFER, link.FRAME_BEGIN, *[link.FRAME_ROWS] * 6, link.FRAME_END, 99))
    width, height, form = noise.choice((1, 2, 5, 9, 28, 61)), noise.choice((0, 1, 3, 9, 28)), noise.randrange(6)
    if kind == link.FRAME_BEGIN:
        body = struct.pack("<HHB", noise.choice((width, 0, 4096, 65535)), noise.choice((height, 4096)), form)
    elif kind == link.FRAME_ROWS:
        rows = noise.randbytes(noise.choice((0, 1, 3)) * row_bytes(FORMATS[form % 5], width))
        body = struct.pack("<BBH", noise.choice((0, 0, 1, 255)), 0, noise.choice((0, 0, 1, 2, 5, 65535))) + rows
    else:
        body = noise.randbytes({link.INFER: 784, link.FRAME_END: 1}.get(kind, 0))
    return kind, body[: noise.choice((len(body), len(body), len(body), len(body) // 2))]


def a_whole_frame(random_, name, form):
    """(requests, the image and the logits that must come)"""
    preparation, model = PREPARATIONS[name], model_of(name)
    size = row_bytes(FORMATS[form], SIDE)
    rows = random_.integers(0, 256, (SIDE, size), np.uint8)
    requests = [(link.FRAME_BEGIN, struct.pack("<HHB", SIDE, SIDE, form))]
    for number in range(2 if preparation.centred else 1):
        requests += [(link.FRAME_ROWS, struct.pack("<BBH", number, 0, y) + rows[y].tobytes()) for y in range(SIDE)]
    image = prepare(decode(rows.tobytes(), FORMATS[form], SIDE, SIDE, 1), preparation)
    images = to_int8(image[None], preparation, model.input.scale, model.input.zero_point)
    return [*requests, (link.FRAME_END, b"\1")], run(model, images)[0].tobytes() + images.tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_a_frame_is_answered_after_any_requests(app, seed):
    program, name = app
    noise, random_ = random.Random(seed), np.random.default_rng(seed)
    sent, expected = [], {}
    for form in range(5):
        sent += [some_request(noise) for _ in range(300)]
        requests, wanted = a_whole_frame(random_, name, form)
        for request in requests:  # with what must not disturb it in between
            sent += [request, *[(link.HELLO, b""), (link.INFER, noise.randbytes(784)), request][: noise.randrange(4)]]
        sent.append(requests[-1])  # again: its reply might have been lost
        expected[len(sent)] = wanted
    found = answers(program, b"".join(encode(kind, number + 1, body) for number, (kind, body) in enumerate(sent)))
    assert len(found) == len(sent)
    assert all(isinstance(each, Message) for each in found)
    assert {at: found[at - 1].body[8:] for at in expected} == expected
    codes = {each.body[0] for each in found if each.type == link.ERROR}
    assert codes >= {link.UNKNOWN_TYPE, link.BAD_LENGTH, link.FRAME, link.ORDER}


def test_noise_between_requests_harms_nothing(app):
    program, name = app
    requests, wanted = a_whole_frame(np.random.default_rng(9), name, 1)
    noise = random.Random(9)
    stream = b"".join(encode(kind, 7, body) + noise.randbytes(noise.randrange(400)) + b"\0" for kind, body in requests)
    good = [each for each in answers(program, stream) if isinstance(each, Message) and each.type != link.ERROR]
    assert [each.type & 0x7F for each in good] == [kind for kind, _ in requests]
    assert good[-1].body[8:] == wanted
