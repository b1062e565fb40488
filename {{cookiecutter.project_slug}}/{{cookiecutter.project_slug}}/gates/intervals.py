"""How sure a mean is when rows of one block (a day, a customer) are not independent.

The unit of resampling is the block. A mean over rows is a ratio of block sums, so everything is computed from
two vectors of length G (the sum of the values and the number of rows of each block), however many rows there
are. Standard errors are those of the jackknife that leaves out a block (Efron and Stein 1981, The jackknife estimate
of variance), which a large block among small ones does not make too small; bounds are studentised bootstrap bounds
over blocks, which correct for the skewness that t bounds ignore (Davison and Hinkley 1997, Bootstrap Methods and
their Application, sections 2.4 and 5.2). Above `BOOTSTRAP_BLOCKS` blocks that correction, of order 1/G, is
smaller than the noise of the replicates and the t bound is taken.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema

BOOTSTRAP_BLOCKS = 1000
REPLICATES = 2000
#: Most numbers that the replicates of one interval may take: 8 bytes each.
DRAWS = 5_000_000
#: Probability with which the smallest detectable effect would be seen.
POWER = 0.8
PERIODS = {"hour": "h", "day": "D", "week": "W", "month": "M"}
#: Two days in a row or more: one is `day`.
DAYS = re.compile(r"([2-9]|[1-9][0-9]+) days")


@dataclass(frozen=True)
class Estimate:
    """A mean over rows with its block-wise uncertainty; `low` and `high` are one-sided bounds, each on its own.

    `freedom`: degrees of freedom of the standard error, `units` - 1 where all blocks are of one size.
    """

    value: float
    error: float
    low: float
    high: float
    detectable: float
    rows: int
    units: int
    freedom: float


def units(frame: pd.DataFrame, contract: Schema, resample_by: str) -> np.ndarray:
    """The block of each row as a number 0..G-1, shape (n,).

    `resample_by`: `row`, a period of the time column (`hour`, `day`, `week`, `month`), several days in a row from
    the table's first on (`4 days`), `group`, or a column. Days that are alike belong in one block (Kuensch 1989, The
    jackknife and the bootstrap for general stationary observations).
    Raises InputError when the column that needs is missing.
    """
    import pandas as pd

    if resample_by == "row":
        return np.arange(len(frame))
    days = DAYS.fullmatch(resample_by)
    timed = days or resample_by in PERIODS
    column = contract.time if timed else contract.group if resample_by == "group" else resample_by
    if column is None or column not in frame:
        raise InputError(f"gates.resample_by: {resample_by} needs a column that the table does not have; say row,"
                         " group, a period of the time column, days in a row (4 days), or a column's name")  # fmt: skip
    blocks = frame[column]
    if days:
        blocks = (blocks.dt.normalize() - blocks.min().normalize()).dt.days // int(days[1])
    elif timed:
        blocks = blocks.dt.to_period(PERIODS[resample_by])
    return pd.factorize(blocks, sort=True)[0]


def block_sums(values: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of `values` (n,) and number of rows in each block that occurs, both of shape (G,)."""
    _, index = np.unique(blocks, return_inverse=True)
    return np.bincount(index, weights=values), np.bincount(index).astype(float)


def jackknife(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float, float]:
    """Ratio mean of blocks (G,), its delete-one-block standard error, and that error's degrees of freedom.

    These are one less than Kish's (1965, Survey Sampling) effective number of blocks, the square of all rows over the
    sum of each block's squared: G where all are alike, little more than one where a single block holds nearly all.
    """
    total, size = counts.sum(), len(sums)
    mean = sums.sum() / total
    moved = (sums - mean * counts) / (total - counts)
    error = math.sqrt((size - 1) / size * (moved**2).sum())
    return float(mean), error, float(total**2 / (counts**2).sum()) - 1


def mean_and_error(sums: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio mean and its linearised standard error under each row of block weights (B, G); both of shape (B,)."""
    total = weights @ counts
    mean = (weights @ sums) / total
    blocks = len(sums)
    squares = weights @ sums**2 - 2 * mean * (weights @ (sums * counts)) + mean**2 * (weights @ counts**2)
    variance = np.maximum(squares, 0.0) * blocks / (blocks - 1) / total**2
    return mean, np.sqrt(variance)


def estimate(values: np.ndarray, blocks: np.ndarray, confidence: float, replicates: int = REPLICATES) -> Estimate:
    """Mean of `values` (n,) with one-sided bounds at `confidence` that resample whole blocks.

    `detectable` is the difference from a threshold that such a test finds with probability `POWER`, on the side
    where it takes more.
    Raises InputError for fewer than two blocks: a mean over one block says nothing about the next.
    """
    from scipy import stats

    sums, counts = block_sums(values, blocks)
    size = len(sums)
    if size < 2:
        raise InputError(f"{size} unit of resampling: at least two are needed; widen the window or gates.resample_by")
    mean, error, freedom = jackknife(sums, counts)
    below = above = float(stats.t.ppf(confidence, freedom))
    effect = below + float(stats.t.ppf(POWER, freedom))
    if size <= BOOTSTRAP_BLOCKS:
        below, above, effect = studentised(sums, counts, mean, freedom, confidence, replicates)
    low, high = mean - below * error, mean + above * error
    return Estimate(mean, error, low, high, effect * error, len(values), size, freedom)


def replicates_for(alpha: float, blocks: np.ndarray) -> int:
    """How many replicates a test at `alpha` takes: a farther quantile needs more, and `DRAWS` is the most there are."""
    most = max(REPLICATES, DRAWS // len(np.unique(blocks)))
    return min(max(REPLICATES, math.ceil(20 / alpha)), most)


@lru_cache(maxsize=8)
def draws(size: int, replicates: int) -> np.ndarray:
    """How often each of `size` blocks is drawn in each replicate, (replicates, size); the same at every call."""
    weights = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), replicates).astype(float)
    weights.flags.writeable = False
    return weights


def bootstrap_scores(sums: np.ndarray, counts: np.ndarray, mean: float, replicates: int) -> np.ndarray:
    """Distance of each replicate's mean from `mean` in its own standard errors, without those that do not vary.

    Replicates are drawn with a fixed seed. Shape (replicates,) or shorter.
    """
    means, errors = mean_and_error(sums, counts, draws(len(sums), replicates))
    usable = errors > 1e-12 * max(1.0, abs(mean))
    scores: np.ndarray = (means[usable] - mean) / errors[usable]
    return scores


def studentised(sums: np.ndarray, counts: np.ndarray, mean: float, freedom: float, confidence: float, replicates: int
                ) -> tuple[float, float, float]:  # fmt: skip
    """In standard errors: how far the lower and the upper bound lie from the mean, and the detectable effect.

    Never fewer than the t quantile: with few blocks the bootstrap can be short of distinct samples, and skewness
    that shortens a bound may be chance. A bound must not profit from either.
    """
    from scipy import stats

    # A mean whose bound must clear a bar needs what the bound takes, and what chance takes in one of five test sets.
    floor, chance = (float(stats.t.ppf(share, freedom)) for share in (confidence, POWER))
    scores = bootstrap_scores(sums, counts, mean, replicates)
    if not len(scores):
        return floor, floor, floor + chance
    lowest, low, high, highest = (float(q) for q in np.quantile(scores, [1 - confidence, 1 - POWER, POWER, confidence]))
    below, above = max(highest, floor), max(-lowest, floor)
    return below, above, max(below + max(-low, chance), above + max(high, chance))


def p_value_below(values: np.ndarray, blocks: np.ndarray, floor: float, replicates: int = REPLICATES) -> float:
    """One-sided p-value of "the mean of `values` (n,) is at least `floor`": small when it is surely below.

    The larger of two: that of t, and the share of replicates that lie as far below the mean as
    the mean lies below the floor, in standard errors (Davison and Hinkley 1997, section 4.4.1). The second holds for
    skewed sums too, of which the first calls twice as many surely low as it says. Two blocks are needed.
    """
    from scipy import stats

    sums, counts = block_sums(values, blocks)
    mean, error, freedom = jackknife(sums, counts)
    if error == 0:
        return 1.0 if mean >= floor else 0.0
    score = (mean - floor) / error
    p_value = float(stats.t.cdf(score, freedom))
    if len(sums) > BOOTSTRAP_BLOCKS or score >= 0:
        return p_value
    scores = bootstrap_scores(sums, counts, mean, replicates)
    return max(p_value, float((1 + np.sum(scores <= score)) / (1 + len(scores))))


def detectable_alone(found: Estimate, alpha: float) -> float:
    """The difference that a t test at `alpha` finds with probability `POWER`, given this standard error."""
    from scipy import stats

    return found.error * float(stats.t.ppf(1 - alpha, found.freedom) + stats.t.ppf(POWER, found.freedom))


def benjamini_hochberg(p_values: list[float]) -> list[float]:
    """Adjusted p-values that control the false discovery rate (Benjamini and Hochberg 1995), in the given order."""
    from scipy import stats

    return [float(p) for p in stats.false_discovery_control(p_values)]
