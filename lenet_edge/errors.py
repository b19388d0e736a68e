"""What can go wrong, and its exit code.

Every error that a user can cause or fix is a :class:`LenetEdgeError`. Its
message says what is wrong, where, and what to do; the command line prints it
on stderr and exits with :attr:`LenetEdgeError.exit_code`. Anything else that is
raised is a bug of ours (exit 70, EX_SOFTWARE of sysexits.h).
"""

from __future__ import annotations

import re
from typing import Any

__all__ = [
    "OUR_FAULT",
    "BadInputError",
    "CheckFailedError",
    "LenetEdgeError",
    "LinkError",
    "MissingToolError",
    "NothingToRunError",
    "ToolFailedError",
    "one_line",
    "without_passwords",
]

OUR_FAULT = 70

_LONGEST = 4_000  # characters of a message; some have the end of what a compiler says
_LONGEST_LINE = 2_000
_IN_URL = re.compile(r"(?<=://)([^\s/@:]*):([^\s@]*)@|((?:password|passwd|sslpassword)=)[^&\s]*", re.IGNORECASE)


class LenetEdgeError(Exception):
    """Base of the errors that have a message for the user and an exit code; raised as one of the following."""

    exit_code = OUR_FAULT

    def __init__(self, message: object = "") -> None:
        super().__init__(_shortened(str(message), _LONGEST))


class CheckFailedError(LenetEdgeError):
    """A check fell short, and nothing else: accuracy, parity, proof, budget or the gate (exit 1).

    Attributes:
        result: what was found all the same, if there is more to say: of `check` its record.
    """

    exit_code = 1

    def __init__(self, message: object = "", result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class BadInputError(LenetEdgeError):
    """Input is missing, corrupt or unsupported, or output cannot be written (exit 3).

    The message quotes what files say, and is one printable line whatever that is.
    """

    exit_code = 3

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


class NothingToRunError(BadInputError):
    """An engine's own kernels take none of the model's operators, so another engine would run instead (exit 3)."""


class ToolFailedError(LenetEdgeError):
    """A tool that is there failed or did not end: a compiler, an interpreter in its own process (exit 4)."""

    exit_code = 4


class MissingToolError(LenetEdgeError):
    """A tool or package is missing; the message names the command that installs it (exit 4)."""

    exit_code = 4


class LinkError(LenetEdgeError):
    """The board or the link to it failed (exit 5).

    The message quotes what a device says, and is one printable line whatever that is.
    """

    exit_code = 5

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


def one_line(text: str) -> str:
    """What is not printable, a line's end among it, as an escape such as ``\\n``."""
    text = _shortened(text, _LONGEST_LINE)
    if text.isprintable():
        return text
    escaped = (char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text)
    return _shortened("".join(escaped), _LONGEST_LINE)


def without_passwords(text: str) -> str:
    """A text with `***` for the passwords of the URLs in it."""
    return _IN_URL.sub(lambda found: f"{found[3]}***" if found[3] else f"{found[1]}:***@", text)


def _shortened(text: str, longest: int) -> str:
    """The beginning and the end of a text that is too long to be read; the end says what to do."""
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2 - 4]} [...] {text[-longest // 2 + 3 :]}"
