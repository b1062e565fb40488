"""The command `window`: what a retraining begins with. The window's end moves, so that newer rows are in it."""

from __future__ import annotations

from .. import config, document, schema
from ..errors import InputError
from .monitor import moment


def main(end: str) -> int:
    """Move `ingest.end` in params.yaml to `end`, which must be later. Raises InputError, and changes nothing then.

    Without an end to move, whatever the source has is in already.
    """
    later, window = moment(end, "END"), config.load().ingest
    if schema.load().time is None or window.end is None:
        print("there is no end to move (no time column, or ingest.end is null): `dvc repro`, or of a database"
              " `dvc repro --force ingest` and then that, takes what the source has")  # fmt: skip
        return 0
    if later <= window.end:
        raise InputError(f"the window ends at {window.end} already: give a later END")
    said = str(later).removesuffix(" 00:00:00")  # what Python reads as a time is more than what YAML and SQL do
    document.change(config.PATH, ingest__end=said)
    print(f"the window ends at {said} now: dvc repro, then promote")
    return 0
