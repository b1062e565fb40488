"""What the gates promise, each tried on test sets whose truth is known, by the project's own functions.

Every trial gives three answers on the same rows: the shipped function's, a plain comparison of the figure with its
bar, and the t interval that takes rows for independent (at these numbers a bootstrap over rows says the same).
An answer is 1 or 0, or NaN where the gate says that it cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from flight_delays.gates import intervals, slices
from flight_delays.registry import comparison
from scipy import stats

from .worlds import Drawn, Source, World

ALPHA = 0.05
POWER = 0.8
#: The Brier score a model may have at most, the loss that non-inferiority allows, and ten points of Brier score.
LIMIT, MARGIN, TEN_POINTS = 0.2, 0.003, 0.1
#: A slice is as large as it must be for the gate to call it insufficient in no more than this share of the trials.
INSUFFICIENT = 0.1
#: Rows of a slice that are tried, in this order, and test sets that are drawn to choose among them or for a mean.
SIZES = tuple(round(10 * 1.5**k) for k in range(13))
PILOT = 200

Trial = Callable[[Drawn, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Sources:
    """Real rows of one test set: losses, paired gains, gains of retrainings, and gains within slices with their names.

    `one` and `two`: ten slices of one column, and of two columns.
    """

    loss: Source
    gain: Source
    retrained: Source
    one: tuple[Source, pd.DataFrame]
    two: tuple[Source, pd.DataFrame]


@dataclass(frozen=True)
class Promise:
    """The share of trials that say yes is at most, or at least, `level`.

    `prepare` makes the trial for a world, with what must be known about the world first. `trials`: how many of them
    in the full run, and `quick` in the fast one.
    """

    name: str
    level: float
    at_most: bool
    source: Callable[[Sources], Source]
    prepare: Callable[[Sources, World, np.random.Generator], Trial]
    trials: int
    quick: int

    def bound(self, trials: int, luck: float) -> float:
        """The share that is still no proof against the promise: a promise that just holds fails it so seldom."""
        if self.at_most:
            return float(stats.binom.isf(luck, trials, self.level)) / trials
        return float(stats.binom.ppf(luck, trials, self.level)) / trials

    def kept(self, share: float, trials: int, luck: float) -> bool:
        """Whether so many of the trials are compatible with the promise."""
        return share <= self.bound(trials, luck) if self.at_most else share >= self.bound(trials, luck)


def row_wise(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """One-sided bounds of the mean, each at 1 - alpha, as if rows were independent."""
    error = values.std(ddof=1) / math.sqrt(len(values))
    width = float(stats.t.ppf(1 - alpha, len(values) - 1)) * error
    return float(values.mean()) - width, float(values.mean()) + width


def threshold(drawn: Drawn, better_by: float = 0.0) -> np.ndarray:
    """Does a model pass whose true loss is the limit, or better by so much?"""
    losses = drawn.values[:, 0] + LIMIT - better_by
    found = intervals.estimate(losses, drawn.blocks, 1 - ALPHA)
    return np.array([found.high <= LIMIT, found.value <= LIMIT, row_wise(losses, ALPHA)[1] <= LIMIT], dtype=float)


def superior(drawn: Drawn, alpha: float, gain: float = 0.0, column: int = 0) -> np.ndarray:
    """Is a challenger promoted as superior whose true gain on the champion is `gain`?"""
    gains = drawn.values[:, column] + gain
    found = comparison.compare("superior", "champion superior", "brier", gains, drawn.blocks, MARGIN, alpha, True)
    return np.array([found.passed, found.gain >= 0, row_wise(gains, alpha)[0] > 0], dtype=float)


def many_looks(drawn: Drawn) -> np.ndarray:
    """Is any of the equal challengers promoted, judged one after the other on the same rows?

    Those whose t bound over blocks lies below 0 are not asked about, to save time: the shipped one is never shorter.
    """
    looks = drawn.values.shape[1]
    alphas = [comparison.alpha_of_look(ALPHA, look) for look in range(1, looks + 1)]
    asked = [c for c in range(looks) if block_wise(drawn, c, alphas[c]) > 0]
    return np.array(
        [
            any(superior(drawn, alphas[c], 0.0, c)[0] for c in asked),
            (drawn.values.mean(axis=0) >= 0).any(),
            any(row_wise(drawn.values[:, c], alphas[c])[0] > 0 for c in range(looks)),
        ],
        dtype=float,
    )


def block_wise(drawn: Drawn, column: int, alpha: float) -> float:
    """The lower t bound over blocks."""
    sums, counts = intervals.block_sums(drawn.values[:, column], drawn.blocks)
    mean, error = intervals.mean_and_error(sums, counts, np.ones((1, len(sums))))
    return float(mean[0] - stats.t.ppf(1 - alpha, len(sums) - 1) * error[0])


def non_inferior(drawn: Drawn) -> np.ndarray:
    """Is a challenger promoted as not inferior that is worse by exactly the margin?"""
    gains = drawn.values[:, 0] - MARGIN
    found = comparison.compare("non_inferior", "champion", "brier", gains, drawn.blocks, MARGIN, ALPHA, False)
    return np.array([found.passed, found.gain >= -MARGIN, row_wise(gains, ALPHA)[0] > -MARGIN], dtype=float)


def row_wise_slices(gain: np.ndarray, table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Mean and adjusted p-value of every slice, by `column=value`, as if rows were independent."""
    means, p_values = {}, []
    for column in table:
        codes, names = pd.factorize(table[column], sort=True)
        for code, name in enumerate(names):
            part = gain[codes == code]
            error = part.std(ddof=1) / math.sqrt(len(part))
            means[f"{column}={name}"] = float(part.mean())
            p_values.append(float(stats.t.cdf(part.mean() / error, len(part) - 1)))
    adjusted = intervals.benjamini_hochberg(p_values)
    return {name: (mean, p) for (name, mean), p in zip(means.items(), adjusted, strict=True)}


def any_slice_red(drawn: Drawn, names: pd.DataFrame) -> np.ndarray:
    """Is any of ten slices red whose true gains are all exactly at the floor?"""
    gain, table = drawn.values[:, 0], names.iloc[drawn.rows]
    found = slices.judge(gain, drawn.blocks, table, 0.0, TEN_POINTS, 1 - ALPHA)
    naive = row_wise_slices(gain, table).values()
    red = [
        any(part.verdict == "fail" for part in found),
        any(m < 0 for m, _ in naive),
        any(p < ALPHA for _, p in naive),
    ]
    return np.array(red, dtype=float)


def harmed_slice_red(drawn: Drawn, names: pd.DataFrame, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Is a slice of so many rows red whose true gain is ten points below the floor, among nine exactly at it?"""
    gain, table = drawn.values[:, 0].copy(), names.iloc[drawn.rows].reset_index(drop=True)
    column = str(table.columns[-1])
    name = names[column].value_counts().index[0]
    members = np.flatnonzero(table[column] == name)
    gain[members] -= TEN_POINTS
    table.loc[rng.permutation(members)[rows:], column] = None
    full = f"{column}={name}"
    found = next(s for s in slices.judge(gain, drawn.blocks, table, 0.0, TEN_POINTS, 1 - ALPHA) if s.name == full)
    ours = {"fail": 1.0, "pass": 0.0, "insufficient": math.nan}[found.verdict]
    mean, p = row_wise_slices(gain, table)[full]
    return np.array([ours, mean < 0, p < ALPHA], dtype=float)


def plain(trial: Callable[[Drawn], np.ndarray]) -> Callable[[Sources, World, np.random.Generator], Trial]:
    """A trial that needs to know nothing about the world."""
    return lambda sources, world, rng: lambda drawn, rng: trial(drawn)


def better_loss(sources: Sources, world: World, rng: np.random.Generator) -> Trial:
    """A model below the limit by what the gate states that it can detect, on average."""
    drawn = [world(sources.loss, rng) for _ in range(PILOT)]
    effect = np.mean([intervals.estimate(one.values[:, 0], one.blocks, 1 - ALPHA).detectable for one in drawn])
    return lambda drawn, rng: threshold(drawn, float(effect))


def better_challenger(sources: Sources, world: World, rng: np.random.Generator) -> Trial:
    """A challenger better by what its first look states that it can detect, on average."""
    alpha = comparison.alpha_of_look(ALPHA, 1)
    drawn = [world(sources.gain, rng) for _ in range(PILOT)]
    effect = np.mean([intervals.estimate(one.values[:, 0], one.blocks, 1 - alpha).detectable for one in drawn])
    return lambda drawn, rng: superior(drawn, alpha, float(effect))


def harmed(sources: Sources, world: World, rng: np.random.Generator) -> Trial:
    """A harmed slice of the smallest size that the gate seldom calls insufficient."""
    found, names = sources.two
    for rows in SIZES:
        tried = [harmed_slice_red(world(found, rng), names, rows, rng)[0] for _ in range(PILOT // 8)]
        if np.isnan(tried).mean() <= INSUFFICIENT:
            return lambda drawn, rng: harmed_slice_red(drawn, names, rows, rng)
    raise AssertionError("no slice is large enough: ten points are not enough to see")


PROMISES = (
    Promise("threshold", 0.05, True, lambda s: s.loss, plain(threshold), 2000, 500),
    Promise("threshold power", 0.8, False, lambda s: s.loss, better_loss, 2000, 500),
    Promise("superior", 0.05, True, lambda s: s.gain, plain(lambda d: superior(d, ALPHA)), 2000, 500),
    Promise("superior power", 0.8, False, lambda s: s.gain, better_challenger, 2000, 500),
    Promise("twelve looks", 0.05, True, lambda s: s.retrained, plain(many_looks), 1000, 30),
    Promise("non-inferior", 0.05, True, lambda s: s.retrained, plain(non_inferior), 2000, 500),
    Promise("slices", 0.05, True, lambda s: s.one[0],
            lambda s, w, r: lambda d, r: any_slice_red(d, s.one[1]), 1000, 40),
    Promise("harmed slice", 0.8, False, lambda s: s.two[0], harmed, 500, 30),
)  # fmt: skip
