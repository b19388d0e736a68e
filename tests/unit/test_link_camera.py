"""A frame's requests, against a device that answers by a script."""

import struct

import numpy as np
import pytest
from fake_device import HELLO_REPLY, damaged, error, reply

from lenet_edge.errors import LinkError
from lenet_edge.hardware import link
from lenet_edge.hardware.link import infer_frame

ROWS = np.arange(20, dtype=np.uint8).reshape(5, 4)
ANSWER = struct.pack("<II2b4b", 700, 800, -5, 6, 1, 2, 3, 4)


def begin(passes, room):
    return [reply(struct.pack("<BBH", passes, 0, room))]


def test_rows_go_as_many_as_fit_and_once_for_each_pass(connect):
    went_on = [reply(bytes(4))]
    device, stream = connect([HELLO_REPLY], begin(2, 11), *[went_on] * 6, [reply(ANSWER)])
    done = []
    found = infer_frame(device, ROWS, 2, 1, lambda *at: done.append(at))
    assert [request.type for request in stream.requests] == [link.HELLO, link.FRAME_BEGIN, *[link.FRAME_ROWS] * 6, 7]
    assert stream.requests[1].body == struct.pack("<HHB", 2, 5, 1)
    sent = [(request.body[:4], request.body[4:]) for request in stream.requests[2:8]]
    places = [(0, 0), (0, 2), (0, 4), (1, 0), (1, 2), (1, 4)]
    assert [place for place, _ in sent] == [struct.pack("<BBH", number, 0, first) for number, first in places]
    assert b"".join(rows for _, rows in sent) == 2 * ROWS.tobytes()
    assert done == [(2, 10), (4, 10), (5, 10), (7, 10), (9, 10), (10, 10)]
    assert (found.logits.tolist(), found.image.tolist()) == ([-5, 6], [1, 2, 3, 4])
    assert (found.preparation, found.inference) == (700, 800)


def test_rows_whose_reply_was_lost_go_again(connect):
    script = [[HELLO_REPLY], begin(1, 20), [damaged(bytes(4))], [reply(bytes(4))], [reply(ANSWER)]]
    device, stream = connect(*script)
    infer_frame(device, ROWS, 2, 1)
    assert stream.requests[2].body == stream.requests[3].body
    assert device.retries == 1


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([[error(link.UNKNOWN_TYPE)]], "build --frames"),
        (
            [[error(link.FRAME, 0xC0, 0x80, 0x02)]],
            "frame of 2×5 pixels, 4 bytes a row: .*rows are longer than this firmware takes.* up to 640 bytes",
        ),
        ([[error(link.FRAME, 0xFD, 0, 0)]], "shows nothing"),
        ([[error(link.FRAME)]], "cannot prepare this frame"),
        ([begin(0, 20)[:]], "asks for 0 passes"),
        ([begin(1, 3)[:]], "in 3 bytes"),
        ([begin(1, 20), [error(link.ORDER, 1, 0, 0, 3, 0)]], "out of order"),
        ([begin(1, 20), [reply(bytes(3))]], "FRAME_ROWS has 3 bytes instead of 4"),
        ([begin(1, 20), [reply(bytes(4))], [reply(ANSWER[:-1])]], "FRAME_END has 13 bytes instead of 14"),
    ],
)
def test_what_a_device_refuses_or_gets_wrong_is_said(connect, answers, said):
    device, _ = connect([HELLO_REPLY], *answers)
    with pytest.raises(LinkError, match=said):
        infer_frame(device, ROWS, 2, 1)
