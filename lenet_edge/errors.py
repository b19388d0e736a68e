"""What can go wrong, and the exit code it has.

Every error that a user can cause or mend is a :class:`LenetEdgeError`. Its
message says what is wrong, where, and what to do; the command line prints it
on stderr and exits with :attr:`LenetEdgeError.exit_code`.
"""

from __future__ import annotations

__all__ = ["BadInputError", "CheckFailedError", "LenetEdgeError", "LinkError", "MissingToolError"]


class LenetEdgeError(Exception):
    """Base of the errors that have a message for the user and an exit code."""

    exit_code = 1


class CheckFailedError(LenetEdgeError):
    """A check fell short: accuracy, parity, proof or budget (exit 1)."""

    exit_code = 1


class BadInputError(LenetEdgeError):
    """Input is missing, corrupt or unsupported, or output cannot be written (exit 3)."""

    exit_code = 3


class MissingToolError(LenetEdgeError):
    """A tool or package is missing; the message names the command that installs it (exit 4)."""

    exit_code = 4


class LinkError(LenetEdgeError):
    """The board or the link to it failed (exit 5)."""

    exit_code = 5
