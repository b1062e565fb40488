"""Gates after training: what may be registered and promoted. The tests are in `tests/posttrain`."""

from __future__ import annotations

from ..gates import run


def main() -> None:
    """Write `reports/posttrain.json`. Raises GateClosed when a gate is red."""
    run.run("posttrain")
