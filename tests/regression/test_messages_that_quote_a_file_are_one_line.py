"""Messages quoted what was in a file as it was: keys of 5,000 characters, line ends, terminal escapes."""

import pickle

import pytest

from lenet_edge.datasets import sources
from lenet_edge.errors import BadInputError, CheckFailedError, LenetEdgeError, LinkError
from lenet_edge.hardware import boards

ESCAPED = {"a\nb": r"a\nb", "\x1b[31m": r"\x1b[31m", "\ud800": r"\ud800", "\u202e": r"\u202e", "a\tb\r": r"a\tb\r"}


@pytest.mark.parametrize("kind", [BadInputError, LinkError])
@pytest.mark.parametrize("text", ESCAPED)
def test_what_is_not_printable_is_escaped(kind, text):
    message = str(kind(f"file.toml: {text} is not known"))
    assert message == f"file.toml: {ESCAPED[text]} is not known"
    assert message.isprintable()
    message.encode()


@pytest.mark.parametrize("text", ["é×µ", "日本", "C:\\a\\b", ""])
def test_what_is_printable_stays(text):
    assert str(BadInputError(text)) == text


def test_a_compiler_s_lines_stay():
    assert str(LenetEdgeError("cc failed: a.c:1\na.c:2")) == "cc failed: a.c:1\na.c:2"


@pytest.mark.parametrize(("kind", "longest"), [(BadInputError, 2000), (LinkError, 2000), (CheckFailedError, 4000)])
@pytest.mark.parametrize("filler", ["x", "\n", "\ud800"])
def test_a_long_message_keeps_its_beginning_and_what_to_do(kind, longest, filler):
    message = str(kind("file.toml: " + filler * 100_000 + " is not known. Run it again"))
    assert 1_000 < len(message) <= longest
    assert message.startswith("file.toml: ")
    assert " [...] " in message
    assert message.endswith(" is not known. Run it again")


def test_an_error_can_be_sent_from_a_worker():
    again = pickle.loads(pickle.dumps(BadInputError("a\nb")))  # noqa: S301
    assert type(again) is BadInputError
    assert str(again) == r"a\nb"


def test_the_key_of_a_board_s_file_is_shown_so(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('"' + "k\\n\\u001b" * 3000 + '" = 1\n')
    with pytest.raises(BadInputError) as caught:
        boards.load(str(path))
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) <= 2000
    assert message.startswith(str(path))


def test_a_set_that_nobody_has_is_told_in_one_line(monkeypatch, tmp_path):
    """The list of places had line ends of our own, which the message then showed as they are written in Python."""

    def nothing():
        raise BadInputError("no route.")

    monkeypatch.setenv("LENET_EDGE_CACHE", str(tmp_path))
    monkeypatch.setattr(sources, "_sources", lambda *_: [("one", nothing), ("another", nothing)])
    with pytest.raises(BadInputError) as failed:
        sources.obtain("mnist", lambda _: None)
    told = str(failed.value)
    assert told.startswith("mnist cannot be fetched, from one: no route; from another: no route. Put the four files ")
    assert "\\n" not in told
