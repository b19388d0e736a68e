"""firmware/app/le_link.c, built for the host with sanitizers: equal to the Python side of the link on any bytes."""

import functools
import os
import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet_edge.hardware import link
from lenet_edge.hardware.link import Decoder, Malformed, Message, encode

ROOT = Path(__file__).parents[2]
APP = ROOT / "firmware" / "app"
SOURCES = [APP / "le_link.c", APP / "le_crc32.c"]
FUZZER = ROOT / "tests" / "fuzz" / "link_fuzzer.c"
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # the leak check needs ptrace
FUZZER_RUNS = 20_000

# Commands on stdin, answers on stdout. A command is: operation u8, capacity u16, size u32, data.
# An answer is: size u32, data. The buffer has exactly `capacity` bytes, so that the sanitizer sees one beyond.
HARNESS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "le_crc32.h"
#include "le_link.h"

static uint8_t *answer;
static size_t answer_size, answer_room;

static void put(uint8_t byte)
{
    if (answer_size == answer_room) {
        answer_room = 2 * answer_room + 64;
        answer = realloc(answer, answer_room);
        if (!answer) abort();
    }
    answer[answer_size++] = byte;
}

/* Per event: code u8 (0: a message); of a message also length u16, type, id u16, body. */
static void report(const le_link *link, int result)
{
    if (result < 0) {
        put(le_link_code(result));
        return;
    }
    put(0);
    put((uint8_t)(le_link_body_length(link) & 255));
    put((uint8_t)(le_link_body_length(link) >> 8));
    put(le_link_type(link));
    put((uint8_t)(le_link_id(link) & 255));
    put((uint8_t)(le_link_id(link) >> 8));
    for (uint16_t i = 0; i < le_link_body_length(link); i++) put(le_link_body(link)[i]);
}

static void echo(le_link *link, int result)
{
    if (result < 0) le_link_error(link, le_link_code(result), put);
    else le_link_reply(link, le_link_type(link), le_link_body_length(link), put);
}

static void receive(char operation, le_link *link, const uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        int result = le_link_receive(link, data[i]);
        if (link->length > link->capacity) abort();
        if (result == LE_LINK_NONE) continue;
        if (operation == 'E') echo(link, result);
        if (operation == 'D') report(link, result);
    }
}

int main(void)
{
    struct { uint8_t bytes[7]; } head;
    while (fread(&head, 1, 7, stdin) == 7) {
        uint16_t capacity = (uint16_t)(head.bytes[1] | head.bytes[2] << 8);
        uint32_t size = (uint32_t)head.bytes[3] | (uint32_t)head.bytes[4] << 8 | (uint32_t)head.bytes[5] << 16;
        uint8_t *data = malloc(size), *buffer = malloc(capacity);
        le_link link;
        if (!data || !buffer || fread(data, 1, size, stdin) != size) return 1;
        memset(buffer, 0xA5, capacity);
        le_link_init(&link, buffer, capacity);
        answer_size = 0;
        if (head.bytes[0] != 'C') receive((char)head.bytes[0], &link, data, size);
        if (head.bytes[0] == 'F') le_link_fault(&link, 0x20000123, put);
        if (head.bytes[0] == 'C') {
            uint8_t at[4];
            uint16_t half = (uint16_t)(size / 2);
            uint32_t crc = le_crc32(0, data, half);
            le_link_store32(at, le_crc32_table(crc, data + half, (uint16_t)(size - half)));
            for (int i = 0; i < 4; i++) put(at[i]);
        }
        uint8_t count[4];
        le_link_store32(count, (uint32_t)answer_size);
        fwrite(count, 1, 4, stdout);
        if (answer_size) fwrite(answer, 1, answer_size, stdout);
        fflush(stdout);
        free(data);
        free(buffer);
    }
    free(answer);
    return 0;
}
"""


def build(compiler, arguments, output):
    argv = [compiler, *map(str, arguments), "-I", str(APP), "-o", str(output)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


def needed(compiler):
    return shutil.which(compiler) or pytest.skip(f"{compiler} is missing: the firmware's link is not compiled with it")


class Harness:
    """The C side in its own process."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)

    def ask(self, operation, data, capacity):
        self.process.stdin.write(struct.pack("<cHI", operation, capacity, len(data)) + data)
        self.process.stdin.flush()
        head = self.process.stdout.read(4)
        assert len(head) == 4, "the harness died: see its report on stderr"
        return self.process.stdout.read(struct.unpack("<I", head)[0])

    def events(self, data, capacity):
        """What `Decoder.feed` returns, from C."""
        answer = self.ask(b"D", data, capacity)
        found, at = [], 0
        while at < len(answer):
            if answer[at]:
                found.append(Malformed(answer[at]))
                at += 1
            else:
                length, kind, number = struct.unpack_from("<HBH", answer, at + 1)
                found.append(Message(kind, number, answer[at + 6 : at + 6 + length]))
                at += 6 + length
        return found

    def close(self):
        self.process.communicate(timeout=10)
        return self.process.returncode


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    compiler = needed("cc")
    folder = tmp_path_factory.mktemp("link")
    (folder / "harness.c").write_text(HARNESS)
    result = build(compiler, ["-std=c99", *SANITIZE, folder / "harness.c", *SOURCES], folder / "harness")
    if "cannot find" in result.stderr and "san" in result.stderr:
        pytest.skip("the sanitizers' libraries (libasan, libubsan) of cc are missing")
    assert result.returncode == 0, result.stderr
    side = Harness(folder / "harness")
    yield side
    assert side.close() == 0


def equal(harness, data, capacity):
    expected = Decoder(capacity).feed(data)
    assert harness.events(data, capacity) == expected
    return expected


GOOD = encode(link.HELLO, 0x1234)
GOOD_MESSAGE = Message(link.HELLO, 0x1234, b"")
examples = functools.partial(
    settings, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
capacities = st.integers(17, 1100)
# Long runs without zeros and many zeros: where COBS has its edges.
bodies = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda n, zeros: bytes(0 if i in zeros else 1 + i % 255 for i in range(n)),
              st.integers(240, 1000), st.sets(st.integers(0, 1000), max_size=4)),
)  # fmt: skip
frames = st.builds(encode, st.integers(0, 255), st.integers(0, 0xFFFF), bodies)


@st.composite
def damaged(draw):
    """A frame that something happened to: bytes changed, left out, put in, the end cut off."""
    data = bytearray(draw(frames))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        what = draw(st.sampled_from(["change", "remove", "insert", "cut"]))
        if what == "change" and data:
            data[at] = draw(st.integers(0, 255))
        elif what == "remove":
            del data[at : at + 1]
        elif what == "insert":
            data[at:at] = draw(st.binary(max_size=4))
        else:
            del data[at:]
    return bytes(data)


def with_crc(head):
    return link.cobs_encode(head + struct.pack("<I", zlib.crc32(head))) + b"\0"


# --- receiving -----------------------------------------------------------------------------------


@examples(max_examples=150)
@given(data=st.binary(max_size=600), capacity=st.integers(0, 300))
def test_any_bytes(harness, data, capacity):
    equal(harness, data, capacity)


@examples(max_examples=150)
@given(pieces=st.lists(st.one_of(frames, damaged()), max_size=5), capacity=capacities)
def test_damaged_frames_and_then_a_good_one(harness, pieces, capacity):
    found = equal(harness, b"".join(pieces) + b"\0" + GOOD, capacity)
    assert found[-1] == GOOD_MESSAGE


@examples(max_examples=60)
@given(body=bodies, slack=st.integers(-3, 3))
def test_the_longest_that_fits_and_one_more(harness, body, slack):
    capacity = max(17, len(body) + link.OVERHEAD + slack)
    found = equal(harness, encode(link.INFER, 5, body) + GOOD, capacity)
    fits = len(body) + link.OVERHEAD <= capacity
    assert found == [Message(link.INFER, 5, body) if fits else Malformed(link.TOO_LONG), GOOD_MESSAGE]


@examples(max_examples=40)
@given(frame=frames, data=st.data())
def test_every_cut_of_a_frame_is_malformed(harness, frame, data):
    cut = data.draw(st.integers(1, len(frame) - 2))
    found = equal(harness, frame[:cut] + b"\0" + GOOD, 65_534)
    assert isinstance(found[0], Malformed)
    assert found[1:] == [GOOD_MESSAGE]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x05ab\0", link.BAD_FRAME),
        (b"\xff" + bytes(range(1, 101)) + b"\0", link.TOO_LONG),  # cut short as well: too long outranks it
        (b"\x01\0", link.TOO_SHORT),
        (link.cobs_encode(b"\x01\0\0\0abc") + b"\0", link.TOO_SHORT),
        (link.cobs_encode(b"\x01\0\0\0abcd") + b"\0", link.BAD_CRC),
        (with_crc(b"\x01\x01\x07\x00"), link.UNKNOWN_TYPE),
    ],
)
def test_every_code(harness, data, code):
    assert equal(harness, data + GOOD, 64) == [Malformed(code), GOOD_MESSAGE]


def test_empty_frames_are_ignored(harness):
    assert equal(harness, b"\0\0\0" + GOOD + b"\0\0" + GOOD + b"\0", 64) == [GOOD_MESSAGE] * 2


def test_a_megabyte_of_noise(harness):
    noise = random.Random(1).randbytes(1_000_000)
    assert equal(harness, noise + b"\0" + GOOD, 800)[-1] == GOOD_MESSAGE
    silence = bytes(1 + i % 255 for i in range(1_000_000))  # not one delimiter
    assert equal(harness, silence + b"\0" + GOOD, 800) == [Malformed(link.TOO_LONG), GOOD_MESSAGE]


def test_the_largest_capacity(harness):
    body = random.Random(2).randbytes(link.MESSAGE_MAX - link.OVERHEAD)
    assert equal(harness, encode(2, 1, body) + encode(2, 2, body + b"x") + GOOD, link.MESSAGE_MAX) == [
        Message(2, 1, body),
        Malformed(link.TOO_LONG),
        GOOD_MESSAGE,
    ]
    sent = harness.ask(b"E", encode(2, 1, body), link.MESSAGE_MAX)
    assert sent == encode(2 | link.REPLY, 1, body)


# --- sending -------------------------------------------------------------------------------------


@examples(max_examples=100)
@given(messages=st.lists(st.tuples(st.integers(0, 255), st.integers(0, 0xFFFF), bodies), max_size=4))
def test_replies_are_the_frames_that_python_encodes(harness, messages):
    sent = harness.ask(b"E", b"".join(encode(*message) for message in messages), 1100)
    assert sent == b"".join(encode(kind | link.REPLY, number, body) for kind, number, body in messages)


@pytest.mark.parametrize("length", [*range(242, 258), 500, 501, *range(502, 512)])
@pytest.mark.parametrize("tail", [b"", b"\0"])
def test_replies_around_full_blocks(harness, length, tail):
    body = bytes(1 + i % 255 for i in range(length)) + tail
    assert harness.ask(b"E", encode(2, 0x0101, body), 1100) == encode(2 | link.REPLY, 0x0101, body)


@examples(max_examples=60)
@given(pieces=st.lists(damaged(), max_size=4), capacity=capacities)
def test_every_malformed_frame_is_answered_with_its_code(harness, pieces, capacity):
    data = b"".join(pieces) + b"\0" + GOOD
    expected = b""
    for found in Decoder(capacity).feed(data):
        if isinstance(found, Message):
            expected += encode(found.type | link.REPLY, found.id, found.body)
        elif found.code == link.UNKNOWN_TYPE:
            return  # has the request's id, which the decoder does not tell: another test looks at it
        else:
            expected += encode(link.ERROR, 0, bytes([found.code]))
    assert harness.ask(b"E", data, capacity) == expected


def test_an_error_that_can_be_traced_has_its_id(harness):
    sent = harness.ask(b"E", with_crc(b"\x01\x01\x07\x08"), 17)
    assert sent == encode(link.ERROR, 0x0807, bytes([link.UNKNOWN_TYPE]))


def test_a_fault_ends_what_was_being_sent(harness):
    sent = harness.ask(b"F", GOOD, 17)
    assert sent == b"\0" + encode(link.ERROR, 0x1234, struct.pack("<BI", link.FAULT, 0x20000123))


# --- CRC -----------------------------------------------------------------------------------------


def test_the_check_value_of_the_crc(harness):
    """The catalogue's check value of CRC-32/ISO-HDLC."""
    assert harness.ask(b"C", b"123456789", 17) == struct.pack("<I", 0xCBF43926)
    assert harness.ask(b"C", b"", 17) == bytes(4)


@examples(max_examples=50)
@given(data=st.binary(max_size=500))
def test_crc_is_that_of_zlib(harness, data):
    assert harness.ask(b"C", data, 17) == struct.pack("<I", zlib.crc32(data))


# --- the compilers -------------------------------------------------------------------------------

LANGUAGES = [("gcc", "c99"), ("clang", "c99"), ("g++", "c++"), ("clang++", "c++"), ("avr-gcc", "gnu99")]


@pytest.mark.parametrize(("compiler", "language"), LANGUAGES, ids=[compiler for compiler, _ in LANGUAGES])
def test_no_warning(tmp_path, compiler, language):
    """avr-gcc: where `int` has 16 bits, and where __memx needs GNU C."""
    dialect = ["-x", "c++"] if language == "c++" else [f"-std={language}"]
    for source in SOURCES:
        result = build(needed(compiler), [*dialect, *STRICT, "-Os", "-c", source], tmp_path / "object.o")
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""


def test_the_fuzzer_finds_nothing(tmp_path):
    clang = needed("clang")
    program = tmp_path / "fuzzer"
    (tmp_path / "empty.c").write_text(
        "int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }"
    )
    if build(clang, ["-fsanitize=fuzzer,address,undefined", tmp_path / "empty.c"], program).returncode:
        pytest.skip("libFuzzer is missing: install the compiler-rt of this clang (Debian: libclang-rt-NN-dev)")
    sanitize = [*SANITIZE, "-fsanitize=fuzzer"]
    result = build(clang, ["-std=c99", *STRICT, *sanitize, FUZZER, *SOURCES], program)
    assert result.returncode == 0, result.stderr
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, frame in enumerate([GOOD, encode(2, 1, bytes(range(256)) * 3), with_crc(b"\x01\x01\x07\x08")]):
        (corpus / str(number)).write_bytes(b"\xff\xff" + frame + GOOD)
    argv = [program, f"-runs={FUZZER_RUNS}", "-max_len=1200", "-seed=1", f"-artifact_prefix={tmp_path}/", corpus]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    assert result.returncode == 0, result.stderr[-4000:]
