"""How far a window of the prediction log lies from a version's reference, and whether that is more than ordinary.

Ordinary is what contiguous runs of as many days of the reference do, each against the rest of it: days depend, so that
a threshold from independent rows would call most weeks a drift (Kuensch 1989 argues for runs). A run is thinned to as
many rows as the window has, so that little traffic is no drift either. The log-odds of a run's distance are taken for
normal, with a spread at which the farthest run would just not alarm by itself, and a window's are judged as one further
draw (a prediction interval: Hahn and Meeker 1991, Statistical Intervals); p-values are adjusted over columns (Benjamini
and Hochberg 1995). Last, the level is lowered until at most `alpha` of the reference's own runs alarm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..gates import drift, intervals
from ..gates.reference import Aspect

#: A distance that nobody minds: a hundredth of the rows elsewhere. It keeps log-odds finite.
RESOLUTION = 0.01
#: Least spread of the log-odds: columns that never move would else alarm at nothing.
SPREAD = 0.25
#: Fewest runs without common days that say what is ordinary.
LEAST = 4


@dataclass(frozen=True)
class Finding:
    """One aspect of a window: its distance from the reference, and the one from which it alarms; both in [0, 1]."""

    aspect: str
    distance: float
    threshold: float
    p: float
    alarm: bool


@dataclass(frozen=True)
class Usual:
    """What runs of a reference do: mean and spread of each aspect's log-odds, and how many runs share no day.

    `cut`: the adjusted p-value below which an aspect alarms.
    """

    names: list[str]
    level: np.ndarray
    spread: np.ndarray
    independent: int
    cut: float

    def p_values(self, distances: np.ndarray) -> np.ndarray:
        """The probability of such a distance, or a larger one, in an ordinary run; (..., aspects) in and out."""
        from scipy import stats

        found: np.ndarray = stats.t.sf((log_odds(distances) - self.level) / self.spread, self.independent - 1)
        return found

    def distance_at(self, p: float) -> np.ndarray:
        """The distance of each aspect that has this p-value."""
        from scipy import special, stats

        share = special.expit(self.level + self.spread * stats.t.isf(p, self.independent - 1))
        found: np.ndarray = np.clip(share * (1 + 2 * RESOLUTION) - RESOLUTION, 0, 1)
        return found


def log_odds(distances: np.ndarray) -> np.ndarray:
    """Log-odds of distances in [0, 1], same shape, finite at both ends."""
    found: np.ndarray = np.log(distances + RESOLUTION) - np.log(1 - distances + RESOLUTION)
    return found


def run_of(days: int, rows: float, total: float, dated: bool, window_days: int) -> int:
    """How many of a reference's days a window stands for: its own number, or where days are only parts its rows'."""
    return window_days if dated else max(round(days * rows / max(total, 1.0)), 1)


def run_distances(aspect: Aspect, length: int, rows: int, random: np.random.Generator) -> np.ndarray:
    """Distance of every run of `length` days, thinned to `rows` rows, from the rest of the reference; (R,)."""
    inside, rest = drift.runs(aspect.rows, length)
    sizes = inside.sum(axis=1, keepdims=True)
    padded = inside + 1e-12  # a run without rows has shares, too
    drawn = random.multinomial(np.minimum(sizes[:, 0], rows).astype(int), padded / padded.sum(axis=1, keepdims=True))
    return drift.distances(np.where(sizes > rows, drawn, inside), rest, aspect.bins.ordered)


def usual(aspects: dict[str, Aspect], length: int, rows: int, alpha: float) -> Usual | None:
    """What is ordinary for windows of `length` days and `rows` rows; None where the reference is too short to say.

    Drawn with a fixed seed.
    """
    from scipy import stats

    independent = min(len(one.rows) for one in aspects.values()) // length
    if independent < LEAST:
        return None
    random = np.random.default_rng(0)
    found = np.column_stack([run_distances(one, length, rows, random) for one in aspects.values()])
    odds = log_odds(found)
    level, widest = odds.mean(axis=0), stats.t.isf(alpha / len(aspects), independent - 1)
    farthest = (odds.max(axis=0) - level) / widest
    spread = np.maximum(odds.std(axis=0, ddof=1) * np.sqrt(1 + 1 / independent), np.maximum(farthest, SPREAD))
    made = Usual(list(aspects), level, spread, independent, alpha)
    smallest = np.sort([min(intervals.benjamini_hochberg(list(p))) for p in made.p_values(found)])
    return replace(made, cut=min(made.cut, float(smallest[int(made.cut * len(smallest))])))


def judge(aspects: dict[str, Aspect], counts: dict[str, np.ndarray], ordinary: Usual) -> list[Finding]:
    """Each aspect of a window from the rows in its bins; those that alarm are false discoveries at most `cut` often."""
    pairs = [(counts[name], aspects[name]) for name in ordinary.names]
    distances = np.concatenate([drift.distances(here[None], one.rows.sum(axis=0)[None], one.bins.ordered)
                                for here, one in pairs])  # fmt: skip
    p = ordinary.p_values(distances)
    alarms = np.array(intervals.benjamini_hochberg(list(p))) < ordinary.cut
    limits = ordinary.distance_at(ordinary.cut * max(int(alarms.sum()), 1) / len(p))
    return [Finding(name, float(distances[i]), float(limits[i]), float(p[i]), bool(alarms[i]))
            for i, name in enumerate(ordinary.names)]  # fmt: skip
