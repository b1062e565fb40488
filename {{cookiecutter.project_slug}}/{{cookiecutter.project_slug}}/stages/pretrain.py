"""Gates before training: nothing is fitted on data that did not pass. The tests are in `tests/pretrain`."""

from __future__ import annotations

from ..gates import run


def main() -> None:
    """Write `reports/pretrain.json`. Raises GateClosed when a gate is red."""
    run.run("pretrain")
