"""How sure a mean is when rows of one block (a day, a customer) are not independent.

The unit of resampling is the block. A mean over rows is a ratio of block sums, so everything is computed from
two vectors of length G (the sum of the values and the number of rows of each block), however many rows there
are. Standard errors are the linearised ones of a ratio estimator; bounds are studentised bootstrap bounds over
blocks, which correct for the skewness that t bounds ignore (Davison and Hinkley 1997, Bootstrap Methods and
their Application, sections 2.4 and 5.2). Above `BOOTSTRAP_BLOCKS` blocks that correction, of order 1/G, is
smaller than the noise of the replicates and the t bound is taken.
"""

from __future__ import annotations

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
#: Probability with which the smallest detectable effect would be seen.
POWER = 0.8
PERIODS = {"hour": "h", "day": "D", "week": "W", "month": "M"}


@dataclass(frozen=True)
class Estimate:
    """A mean over rows with its block-wise uncertainty; `low` and `high` are one-sided bounds, each on its own."""

    value: float
    error: float
    low: float
    high: float
    detectable: float
    rows: int
    units: int


def units(frame: pd.DataFrame, contract: Schema, resample_by: str) -> np.ndarray:
    """The block of each row as a number 0..G-1, shape (n,).

    `resample_by`: `row`, a period of the time column (`hour`, `day`, `week`, `month`), `group`, or a column.
    Raises InputError when the column that needs is missing.
    """
    import pandas as pd

    if resample_by == "row":
        return np.arange(len(frame))
    column = contract.time if resample_by in PERIODS else contract.group if resample_by == "group" else resample_by
    if column is None or column not in frame:
        raise InputError(f"gates.resample_by: {resample_by} needs a column that the table does not have;"
                         " say row, group, a period of the time column, or a column's name")  # fmt: skip
    blocks = frame[column]
    if resample_by in PERIODS:
        blocks = blocks.dt.to_period(PERIODS[resample_by])
    return pd.factorize(blocks, sort=True)[0]


def block_sums(values: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of `values` (n,) and number of rows in each block that occurs, both of shape (G,)."""
    _, index = np.unique(blocks, return_inverse=True)
    return np.bincount(index, weights=values), np.bincount(index).astype(float)


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

    values = np.asarray(values, dtype=float)
    sums, counts = block_sums(values, np.asarray(blocks))
    size = len(sums)
    if size < 2:
        raise InputError(f"{size} unit of resampling: at least two are needed; widen the window or gates.resample_by")
    mean, error = (float(x[0]) for x in mean_and_error(sums, counts, np.ones((1, size))))
    below = above = float(stats.t.ppf(confidence, size - 1))
    effect = below + float(stats.t.ppf(POWER, size - 1))
    if size <= BOOTSTRAP_BLOCKS and error > 0:
        below, above, effect = studentised(sums, counts, mean, confidence, replicates)
    return Estimate(mean, error, mean - below * error, mean + above * error, effect * error, len(values), size)


@lru_cache(maxsize=8)
def draws(size: int, replicates: int) -> np.ndarray:
    """How often each of `size` blocks is drawn in each replicate, (replicates, size); the same at every call."""
    weights = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), replicates).astype(float)
    weights.flags.writeable = False
    return weights


def studentised(sums: np.ndarray, counts: np.ndarray, mean: float, confidence: float, replicates: int
                ) -> tuple[float, float, float]:  # fmt: skip
    """In standard errors: how far the lower and the upper bound lie from the mean, and the detectable effect.

    Replicates are drawn with a fixed seed. Never fewer than the normal quantile: with few blocks the bootstrap
    can be short of distinct samples, and a bound must not profit from that.
    """
    from scipy import stats

    means, errors = mean_and_error(sums, counts, draws(len(sums), replicates))
    usable = errors > 1e-12 * max(1.0, abs(mean))
    if not usable.any():
        floor = float(stats.t.ppf(confidence, len(sums) - 1))
        return floor, floor, floor + float(stats.t.ppf(POWER, len(sums) - 1))
    scores = (means[usable] - mean) / errors[usable]
    floor = float(stats.norm.ppf(confidence))
    lowest, low, high, highest = (float(q) for q in np.quantile(scores, [1 - confidence, 1 - POWER, POWER, confidence]))
    below, above = max(highest, floor), max(-lowest, floor)
    # A mean whose bound must clear a bar needs what the bound takes, and what chance takes in one of five test sets.
    return below, above, max(below - low, above + high)


def p_value_below(found: Estimate, floor: float) -> float:
    """One-sided p-value of "the mean is at least `floor`" (t with G-1 degrees of freedom): small when it is below."""
    from scipy import stats

    if found.error == 0:
        return 1.0 if found.value >= floor else 0.0
    return float(stats.t.cdf((found.value - floor) / found.error, found.units - 1))


def benjamini_hochberg(p_values: list[float]) -> list[float]:
    """Adjusted p-values that control the false discovery rate (Benjamini and Hochberg 1995), in the given order."""
    from scipy import stats

    return [float(p) for p in stats.false_discovery_control(p_values)] if p_values else []


def benjamini_yekutieli(p_values: list[float]) -> list[float]:
    """As `benjamini_hochberg`, whatever the dependence between the tests (Benjamini and Yekutieli 2001)."""
    from scipy import stats

    return [float(p) for p in stats.false_discovery_control(p_values, method="by")] if p_values else []
