"""Test sets to draw, over and over, whose true mean is known: each is made of the real flights' own days.

A source is a table of real rows: the day of each, and values whose mean over all rows is exactly 0. A world draws a
test set of as many days from it, so the truth about a drawn value is 0, and whatever is added to it is the truth then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

#: Days of weather that are drawn together in the world of runs.
RUN = 8


@dataclass(frozen=True)
class Source:
    """Real rows in the order of their days: `values` (n, k) with column means 0, and `days` (n,) from 0."""

    values: np.ndarray
    days: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Rows of each day."""
        return np.bincount(self.days)

    @property
    def firsts(self) -> np.ndarray:
        """Position of each day's first row."""
        return np.append(0, np.cumsum(self.sizes)[:-1])


@dataclass(frozen=True)
class Drawn:
    """A test set: `values` (n, k), the day of each row (n,), and which source row each was made from (n,)."""

    values: np.ndarray
    blocks: np.ndarray
    rows: np.ndarray


World = Callable[[Source, np.random.Generator], Drawn]


def source(values: np.ndarray, days: np.ndarray) -> Source:
    """Rows sorted by day, each column less its mean."""
    order = np.argsort(days, kind="stable")
    table = values.reshape(len(values), -1)[order]
    return Source(table - table.mean(axis=0), days[order])


def whole_days(found: Source, days: np.ndarray) -> Drawn:
    """The real rows of these real days; a day that is drawn twice counts as two."""
    sizes = found.sizes[days]
    starts = np.repeat(found.firsts[days] - np.append(0, np.cumsum(sizes)[:-1]), sizes)
    rows = starts + np.arange(sizes.sum())
    return Drawn(found.values[rows], np.repeat(np.arange(len(days)), sizes), rows)


def flights(found: Source, rng: np.random.Generator) -> Drawn:
    """Whole days: all that the flights of one day share, as it was."""
    count = len(found.sizes)
    return whole_days(found, rng.integers(0, count, count))


def runs(found: Source, rng: np.random.Generator) -> Drawn:
    """Runs of consecutive days, the last followed by the first: a day resembles the next one, too.

    The first run is cut at random, so that no block of days is in step with the runs.
    """
    count = len(found.sizes)
    starts = rng.integers(0, count, -(-count // RUN) + 1)
    cut = rng.integers(0, RUN)
    days = (starts[:, None] + np.arange(RUN)).ravel()[cut : cut + count] % count
    return whole_days(found, days)


def resampled(world: World, block_of_day: np.ndarray) -> World:
    """The same test sets, with the blocks that the days fall into; `block_of_day` (D,)."""

    def draw(found: Source, rng: np.random.Generator) -> Drawn:
        drawn = world(found, rng)
        return replace(drawn, blocks=block_of_day[drawn.blocks])

    return draw


def correlated(share: float) -> World:
    """Real rows in random order over days of the real sizes, and a normal day effect of this share of the variance."""

    def draw(found: Source, rng: np.random.Generator) -> Drawn:
        count, columns = len(found.sizes), found.values.shape[1]
        sizes = found.sizes[rng.integers(0, count, count)]
        blocks = np.repeat(np.arange(count), sizes)
        rows = rng.integers(0, len(found.days), len(blocks))
        values = found.values[rows]
        if share:
            covariance = np.atleast_2d(np.cov(found.values.T, ddof=0))
            effect = rng.multivariate_normal(np.zeros(columns), covariance, count)
            values = np.sqrt(1 - share) * values + np.sqrt(share) * effect[blocks]
        return Drawn(values, blocks, rows)

    return draw


#: Each world, and the unit of resampling there.
WORLDS: dict[str, tuple[World, str]] = {
    "independent": (correlated(0.0), "day"),
    "correlation 0.3": (correlated(0.3), "day"),
    "flights": (flights, "day"),
    f"runs of {RUN} days": (runs, "day"),
    "runs, by `4 days`": (runs, "4 days"),
    "runs, by `7 days`": (runs, "7 days"),
}
