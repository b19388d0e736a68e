"""What can go wrong, and the exit code it has.

Every error that a user can cause or fix is a :class:`LenetEdgeError`. Its
message says what is wrong, where, and what to do; the command line prints it
on stderr and exits with :attr:`LenetEdgeError.exit_code`. Anything else that is
raised is our own fault (exit 70, EX_SOFTWARE of sysexits.h).
"""

from __future__ import annotations

__all__ = [
    "OUR_FAULT",
    "BadInputError",
    "CheckFailedError",
    "LenetEdgeError",
    "LinkError",
    "MissingToolError",
    "ToolFailedError",
]

OUR_FAULT = 70


class LenetEdgeError(Exception):
    """Base of the errors that have a message for the user and an exit code; raised as one of the following."""

    exit_code = OUR_FAULT


class CheckFailedError(LenetEdgeError):
    """A check fell short, and nothing else: accuracy, parity, proof, budget or the gate (exit 1)."""

    exit_code = 1


class BadInputError(LenetEdgeError):
    """Input is missing, corrupt or unsupported, or output cannot be written (exit 3)."""

    exit_code = 3


class ToolFailedError(LenetEdgeError):
    """A tool that is there failed or did not end: a compiler, an interpreter in its own process (exit 4)."""

    exit_code = 4


class MissingToolError(LenetEdgeError):
    """A tool or package is missing; the message names the command that installs it (exit 4)."""

    exit_code = 4


class LinkError(LenetEdgeError):
    """The board or the link to it failed (exit 5)."""

    exit_code = 5
