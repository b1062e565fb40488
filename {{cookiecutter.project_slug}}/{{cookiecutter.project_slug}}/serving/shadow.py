"""Shadow mode: the challenger scores what the champion answered, later and elsewhere, and nobody hears its answer."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from .version import Version

if TYPE_CHECKING:
    from .metrics import Metrics
    from .swap import Champions

#: Requests that may wait; more are left out, and counted.
ROOM = 1000


class Shadow:
    """A thread that compares whoever is champion and challenger of `champions`."""

    def __init__(self, champions: Champions, metrics: Metrics) -> None:
        """Nothing waits yet."""
        self.champions, self.metrics = champions, metrics
        self.dropped = 0
        self.waiting: queue.Queue[tuple[Version, list[dict[str, Any]], np.ndarray]] = queue.Queue(ROOM)
        threading.Thread(target=self.work, name="shadow", daemon=True).start()

    def offer(self, version: Version, rows: list[dict[str, Any]], scores: np.ndarray) -> None:
        """Hand over rows that `version` answered; never waits."""
        try:
            self.waiting.put_nowait((version, rows, scores))
        except queue.Full:
            self.dropped += 1

    def work(self) -> None:
        """Compare, one request after the other."""
        while True:
            version, rows, scores = self.waiting.get()
            served = self.champions.served.get("challenger")
            if served is None or served.version.digest == version.digest:
                continue
            try:
                self.compare(served.version, version, rows, scores)
            except Exception:  # another contract's columns, a challenger that cannot: it must not harm the champion
                self.dropped += 1

    def compare(self, challenger: Version, version: Version, rows: list[dict[str, Any]], scores: np.ndarray) -> None:
        """Count how far the two lie apart, and whether they decide alike."""
        theirs = challenger.score(rows)
        for difference in np.abs(theirs - scores).reshape(-1).tolist():
            self.metrics.difference.observe(difference)
        ours, other = version.decide(scores), challenger.decide(theirs)
        for one, two in zip(ours or [], other or [], strict=True):
            self.metrics.agreement.labels(str(one == two).lower()).inc()
