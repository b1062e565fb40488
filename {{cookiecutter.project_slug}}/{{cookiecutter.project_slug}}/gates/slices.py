"""Is every part of the data served? Many slices, so many tests: the false discovery rate is what is bounded.

Within a column slices are disjoint and share no more than their days, which move them alike: Benjamini and Hochberg's
(1995) adjustment holds (Benjamini and Yekutieli 2001, theorem 1.2). Slices of several columns overlap, so each column
gets an equal share of alpha: the columns' error rates add up to alpha at most, whatever their dependence (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from . import intervals

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Slice:
    """One value of one slice column. `verdict`: `pass`, `fail`, or `insufficient` when harm could not be seen."""

    column: str
    value: str
    found: intervals.Estimate | None
    adjusted: float
    verdict: str
    rows: int

    @property
    def name(self) -> str:
        """The slice as `column=value`."""
        return f"{self.column}={self.value}"


def judge(gain: np.ndarray, blocks: np.ndarray, slices: pd.DataFrame, floor: float, harm: float, confidence: float
          ) -> list[Slice]:  # fmt: skip
    """Judge the mean `gain` (n,) of each value of each column of `slices` (n, k) against `floor`.

    A slice fails when "its mean is at least the floor" is rejected at its adjusted p-value. It is insufficient when
    it was not, and has one block only or a `detectable` that exceeds `harm`: the effect that is found with
    probability `intervals.POWER` where no other slice of the column is harmed. `floor` and `harm` are in units of
    `gain`.
    """
    judged: list[Slice] = []
    for name in slices:
        parts = members(slices[name])
        tested = [value for value, rows in parts.items() if len(np.unique(blocks[rows])) > 1]
        # What a slice's p-value must reach when it is the only one harmed.
        alpha = (1 - confidence) / slices.shape[1] / max(len(tested), 1)
        replicates = intervals.replicates_for(alpha, blocks)
        p_values = [intervals.p_value_below(gain[parts[v]], blocks[parts[v]], floor, replicates) for v in tested]
        within = dict(zip(tested, intervals.benjamini_hochberg(p_values), strict=True))
        for value, rows in parts.items():
            found = estimate(gain[rows], blocks[rows], confidence, alpha) if value in within else None
            adjusted = min(1.0, within.get(value, 1.0) * slices.shape[1])
            verdict = outcome(found, adjusted, harm, confidence)
            judged.append(Slice(str(name), value, found, adjusted, verdict, int(rows.sum())))
    return judged


def members(column: pd.Series) -> dict[str, np.ndarray]:
    """Which rows (n,) hold each value of a column, by the value as text, in order; null is no value."""
    codes, values = column.astype("str").where(column.notna()).factorize(sort=True)
    return {str(value): codes == code for code, value in enumerate(values)}


def estimate(gain: np.ndarray, blocks: np.ndarray, confidence: float, alpha: float) -> intervals.Estimate:
    """The slice's mean with its own bounds, and what a test at `alpha` detects."""
    found = intervals.estimate(gain, blocks, confidence)
    return replace(found, detectable=intervals.detectable_alone(found, alpha))


def outcome(found: intervals.Estimate | None, adjusted: float, harm: float, confidence: float) -> str:
    """`fail`, `insufficient` or `pass`, in that order of precedence."""
    if found is not None and adjusted < 1 - confidence:
        return "fail"
    if found is None or found.detectable > harm:
        return "insufficient"
    return "pass"
