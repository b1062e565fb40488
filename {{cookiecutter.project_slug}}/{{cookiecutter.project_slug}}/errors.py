"""The ways a command ends early."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(Exception):
    """Something the user can mend; the message is one line that says what to do. Exit code 1."""


class NoRows(InputError):
    """The source answers, and has no rows in the window."""


class StoreError(InputError):
    """A store or a disk does not do its part, so that nothing is known and nothing was decided."""

    #: By which a child process says so: the system's number for a failed input or output.
    CODE = 74


class GateClosed(Exception):
    """One or more gates are red: `gates` names them, the message too, with the reason and the way out. Exit code 1."""

    def __init__(self, gates: Sequence[str], reason: str) -> None:
        """The names of the gates that closed, and one line that says why and what to do."""
        super().__init__(f"gate closed: {', '.join(gates)}: {reason}")
        self.gates = tuple(gates)
        self.reason = reason
