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
    from collections.abc import Sequence

    import pandas as pd

#: Fewer blocks than these say too little of how far the next one may lie.
FEWEST = 5
#: The name of the rows that have no value.
NULL = "(null)"


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
    it was not, and it has fewer than `FEWEST` blocks, or such harm may have been missed: its `detectable` exceeds
    `harm` (the effect that is found with probability `intervals.POWER` where no other slice of the column is harmed),
    and its mean may lie `harm` below the floor. `floor` and `harm` are in units of `gain`.
    """
    judged: list[Slice] = []
    for name in slices:
        parts = members(slices[name])
        tested = [value for value, rows in parts.items() if len(np.unique(blocks[rows])) >= FEWEST]
        # What a slice's p-value must reach when it is the only one harmed.
        alpha = (1 - confidence) / slices.shape[1] / max(len(tested), 1)
        replicates = intervals.replicates_for(alpha, blocks)
        p_values = [intervals.p_value_below(gain[parts[v]], blocks[parts[v]], floor, replicates) for v in tested]
        within = dict(zip(tested, intervals.benjamini_hochberg(p_values), strict=True))
        for value, rows in parts.items():
            found = estimate(gain[rows], blocks[rows], confidence, alpha) if value in within else None
            adjusted = min(1.0, within.get(value, 1.0) * slices.shape[1])
            verdict = outcome(found, adjusted, floor, harm, confidence)
            judged.append(Slice(str(name), value, found, adjusted, verdict, int(rows.sum())))
    return judged


def members(column: pd.Series) -> dict[str, np.ndarray]:
    """Which rows (n,) hold each value of a column, by the value as text, in order; then those without one."""
    codes, values = column.astype("str").where(column.notna()).factorize(sort=True)
    found = {str(value): codes == code for code, value in enumerate(values)}
    return found | ({NULL: codes < 0} if (codes < 0).any() else {})


def absent(column: pd.Series, declared: Sequence[object] | None) -> list[str]:
    """The declared values of a column that no row has: nothing can be said of how they are served."""
    known = members(column)
    return [str(value) for value in declared or () if str(value) not in known]


def estimate(gain: np.ndarray, blocks: np.ndarray, confidence: float, alpha: float) -> intervals.Estimate:
    """The slice's mean with its own bounds, and what a test at `alpha` detects."""
    found = intervals.estimate(gain, blocks, confidence)
    return replace(found, detectable=intervals.detectable_alone(found, alpha))


def outcome(found: intervals.Estimate | None, adjusted: float, floor: float, harm: float, confidence: float) -> str:
    """`fail`, `insufficient` or `pass`, in that order of precedence."""
    if found is not None and adjusted < 1 - confidence:
        return "fail"
    if found is None or (found.detectable > harm and found.low < floor - harm):
        return "insufficient"
    return "pass"
