"""Is every part of the data served? Many slices, so many tests: the false discovery rate is what is bounded."""

from __future__ import annotations

from dataclasses import dataclass
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

    A slice fails when "its mean is at least the floor" is rejected after adjustment over all slices that could be
    tested: Benjamini and Hochberg's (1995) for the slices of one column, Benjamini and Yekutieli's (2001) for several
    columns, whose slices overlap. It is insufficient when it has one block only or its smallest detectable effect
    exceeds `harm`, and it was not rejected. `floor` and `harm` are in units of `gain`.
    """
    found: list[tuple[str, str, intervals.Estimate | None, int]] = []
    for column in slices:
        for value in sorted(slices[column].dropna().astype("str").unique()):
            rows = (slices[column].astype("str") == value).to_numpy()
            enough = len(np.unique(blocks[rows])) > 1
            estimate = intervals.estimate(gain[rows], blocks[rows], confidence) if enough else None
            found.append((str(column), value, estimate, int(rows.sum())))
    tested = [(i, intervals.p_value_below(e, floor)) for i, (_, _, e, _) in enumerate(found) if e is not None]
    adjust = intervals.benjamini_yekutieli if slices.shape[1] > 1 else intervals.benjamini_hochberg
    adjusted = dict(zip((i for i, _ in tested), adjust([p for _, p in tested]), strict=True))
    return [
        Slice(column, value, e, adjusted.get(i, 1.0), outcome(e, adjusted.get(i, 1.0), harm, confidence), rows)
        for i, (column, value, e, rows) in enumerate(found)
    ]


def outcome(found: intervals.Estimate | None, adjusted: float, harm: float, confidence: float) -> str:
    """`fail`, `insufficient` or `pass`, in that order of precedence."""
    if found is not None and adjusted < 1 - confidence:
        return "fail"
    if found is None or found.detectable > harm:
        return "insufficient"
    return "pass"
