"""The two ways a command ends early."""

from __future__ import annotations


class InputError(Exception):
    """Something the user can mend; the message is one line that says what to do. Exit code 1."""


class GateClosed(Exception):
    """A gate is red; the message names it and its report. Exit code 1."""
