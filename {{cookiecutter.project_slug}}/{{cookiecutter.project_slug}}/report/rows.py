"""What the page computes from rows: how much each input matters to the model, and what the training rows hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import model
from ..gates import metrics
from .pictures import Mark, plain

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema

#: Test rows on which inputs are shuffled, and how often each is.
ROWS, REPEATS = 2_000, 5
#: Most frequent categories that are named.
TOP = 3


def importance(fitted: Any, test: pd.DataFrame, contract: Schema, seed: int) -> list[Mark]:
    """How much the primary loss rises when an input is shuffled among at most `ROWS` test rows, largest rise first.

    Mean, least and largest of `REPEATS` shuffles (Breiman 2001, Random forests; Fisher, Rudin and Dominici 2019). Rows
    are shuffled one by one, not in blocks: the range is that of the shuffles, no confidence interval.
    """
    rng = np.random.default_rng(seed)
    rows = test.sample(min(ROWS, len(test)), random_state=seed)
    y = contract.encode_target(rows[contract.target]).to_numpy()

    def loss(frame: pd.DataFrame) -> float:
        return float(metrics.primary(contract.task, y, model.predict(fitted, frame, contract)).mean())

    before, found = loss(rows), []
    for name in contract.inputs:
        shuffled = (rows[name].iloc[rng.permutation(len(rows))].set_axis(rows.index) for _ in range(REPEATS))
        rises = [loss(rows.assign(**{name: values})) - before for values in shuffled]
        found.append(Mark(name, float(np.mean(rises)), min(rises), max(rises), 0.0))
    return sorted(found, key=lambda mark: -(mark.value or 0))


def profile(train: pd.DataFrame, contract: Schema) -> list[list[Any]]:
    """A row per declared column of the training rows: name, role, type, share of nulls, distinct values, and values.

    Values are quantiles of a number, first and last of a time, and the most frequent of anything else.
    """
    there = [(name, column) for name, column in contract.columns.items() if name in train]
    return [
        [name, column.role, column.type, f"{train[name].isna().mean():.1%}", int(train[name].nunique()),
         values(train[name], column.type, column.role)]
        for name, column in there
    ]  # fmt: skip


def values(column: pd.Series, kind: str, role: str) -> str:
    """The values of a column in one line."""
    known = column.dropna()
    if role == "key" or known.empty:
        return "–"
    if kind == "datetime":
        return f"{known.min()} to {known.max()}"
    if kind in ("int", "float") and role != "target" or kind == "float":
        return " · ".join(f"{value:.4g}" for value in np.quantile(known.astype("float64"), [0, 0.25, 0.5, 0.75, 1]))
    shares = known.astype("str").value_counts(normalize=True)
    named = sorted(shares.items(), key=lambda one: (-one[1], one[0]))[:TOP]
    return ", ".join(f"{plain(value)} {share:.1%}" for value, share in named) + (" …" if len(shares) > TOP else "")
