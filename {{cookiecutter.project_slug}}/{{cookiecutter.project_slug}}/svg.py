"""Pictures as SVG: equal figures give equal bytes, text stays text, and no name is taken for mathematics."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS: dict[Any, Any] = {"svg.hashsalt": "0", "svg.fonttype": "none", "text.parse_math": False}


@contextmanager
def figure(width: float, height: float, settings: dict[Any, Any] | None = None) -> Iterator[Figure]:
    """A figure of so many inches to draw on and to `write`, under matplotlib's `settings` besides our own."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS | (settings or {})):  # what is drawn takes them when it is made
        yield Figure(figsize=(width, height), layout="constrained")


def write(drawn: Figure, transparent: bool = False) -> str:
    """The figure as SVG, without a date."""
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a letter that matplotlib's font lacks: the reader's may have it
        drawn.savefig(out, format="svg", transparent=transparent, metadata={"Date": None})
    return out.getvalue()
