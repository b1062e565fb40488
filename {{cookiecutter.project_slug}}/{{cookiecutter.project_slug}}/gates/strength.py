"""How well features tell the target, each alone and all together: too well to be true is a leak.

Everything is fitted on one half of the blocks of resampling and scored on the other, so that a category for each
row, or for each day, does not look like knowledge. The score is the area under the ROC curve (Hanley and McNeil
1982), for more than two classes the mean of one class against the rest (Hand and Till 2001 discuss the choice). A
numeric target is cut at its median.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import smoke

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema

#: Quantile bins of a number.
BINS = 32
#: Rows of each class below which the order of a column's values is left to chance.
FEWEST = 30
#: Rows of the joint probe, evenly spaced: enough to see a leak, and a second's work.
ROWS = 20_000
#: Many features are hidden from each split, so that two columns which tell nothing alone still meet.
PROBE = {"max_iter": 40, "max_leaf_nodes": 63, "min_samples_leaf": 20, "learning_rate": 0.2, "max_features": 0.5,
         "early_stopping": False, "random_state": 0}  # fmt: skip


Scorer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Fit:
    """A probe fitted on one half: (n, F) in, (n, K) out; and the other half's inputs and classes to score it on."""

    score: Scorer
    x: np.ndarray
    y: np.ndarray


def answers(frame: pd.DataFrame, contract: Schema) -> np.ndarray:
    """The class of each row as 0..K-1, shape (n,); a numeric target is above its median (1) or not (0).

    Where none is above it, since half of them are the greatest, those are 1.
    """
    y: np.ndarray = contract.encode_target(frame[contract.target]).to_numpy()
    if contract.task == "regression":
        return np.asarray(y > np.median(y) if (y > np.median(y)).any() else y == y.max()).astype(int)
    return np.asarray(np.unique(y, return_inverse=True)[1])


def halves(blocks: np.ndarray) -> np.ndarray:
    """True for the rows of every other block, shape (n,); of every other row when there is one block only."""
    ranked = np.unique(blocks, return_inverse=True)[1]
    place = ranked if ranked.any() else np.arange(len(blocks))
    return np.asarray(place % 2 == 0)


def area(yes: np.ndarray, no: np.ndarray, score: np.ndarray) -> float:
    """AUC of `score` (n,) when `yes` and `no` (n,) positive and negative rows stand behind each entry.

    Equal scores win half. 0.5 when either kind is missing.
    """
    _, tie = np.unique(score, return_inverse=True)
    won, lost = np.bincount(tie, weights=yes), np.bincount(tie, weights=no)
    pairs = float(won.sum() * lost.sum())
    below = np.cumsum(lost) - lost
    return float((won * (below + lost / 2)).sum() / pairs) if pairs else 0.5


def one_against_rest(counts: np.ndarray, scores: np.ndarray) -> float:
    """Mean AUC over the classes that occur, from rows of each class (n, K) and scores for each (n, K)."""
    total = counts.sum(axis=1)
    kinds = np.flatnonzero(counts.sum(axis=0))
    found = [area(counts[:, k], total - counts[:, k], scores[:, k]) for k in kinds]
    return float(np.mean(found)) if found else 0.5


def monotone(values: np.ndarray, y: np.ndarray) -> float:
    """AUC of a number's known values for two classes, in whichever direction is better; needs no fit."""
    known = ~np.isnan(values)
    yes = y[known].astype(float)
    if min(yes.sum(), len(yes) - yes.sum()) < FEWEST:
        return 0.5
    found = area(yes, 1 - yes, values[known])
    return max(found, 1 - found)


def binned(code: np.ndarray, y: np.ndarray, fit: np.ndarray) -> float:
    """AUC of each bin's class shares, learned where `fit` (n,) is true and scored elsewhere.

    `code` (n,) is the bin of each row, 0..B-1. A bin without fitted rows has the overall shares.
    """
    size, kinds = int(code.max()) + 1, int(y.max()) + 1
    learned, scored = (
        np.bincount(code[part] * kinds + y[part], minlength=size * kinds).reshape(size, kinds).astype(float)
        for part in (fit, ~fit)
    )
    overall = learned.sum(axis=0) / max(learned.sum(), 1)
    rows = learned.sum(axis=1, keepdims=True)
    return one_against_rest(scored, np.where(rows > 0, learned / np.maximum(rows, 1), overall))


def numbers(values: pd.Series, kind: str) -> np.ndarray:
    """A column as float64, shape (n,), null as NaN: categories by rank of their text, datetimes as seconds."""
    if kind == "category":
        text = values.astype("object")
        codes = np.unique(text.fillna("").astype("str"), return_inverse=True)[1]
        return np.where(text.isna(), np.nan, codes)
    if kind == "datetime":
        values = (values - values.min()).dt.total_seconds()
    return np.asarray(values, dtype=float)


def bins(values: np.ndarray, kind: str, fit: np.ndarray) -> np.ndarray:
    """The bin of each value, shape (n,): 0 for null, one per category, quantiles of the fitted rows for numbers."""
    known = values[fit & ~np.isnan(values)]
    if kind == "category":
        return np.where(np.isnan(values), 0, np.nan_to_num(values) + 1).astype(int)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.empty(0)
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1)


def views(frame: pd.DataFrame, contract: Schema, names: list[str]) -> dict[str, tuple[np.ndarray, str]]:
    """What columns may tell by, by name: numbers (n,) and of which kind. Of times, minute and weekday as well.

    Of the rows' own time these alone: its date is always new.
    """
    found: dict[str, tuple[np.ndarray, str]] = {}
    for name in names:
        column, values = contract.columns[name], frame[name]
        if column.role != "time":
            found[name] = numbers(values, column.type), column.type
        if column.type == "datetime":
            minute = (values.dt.hour * 60 + values.dt.minute).to_numpy(dtype=float)
            found[f"{name} minute"] = minute, "float"
            found[f"{name} weekday"] = values.dt.day_of_week.to_numpy(dtype=float), "category"
    return found


def alone(frame: pd.DataFrame, contract: Schema, blocks: np.ndarray) -> dict[str, float]:
    """How well each input alone tells the target, in [0, 1]: 0.5 is chance, 1 is the answer itself.

    The better of two views: the order of the values (two classes), and the class shares of bins, which also see a
    copy that is not monotone, more than two classes, and a column that is null exactly when the answer is "no".
    """
    y, fit = answers(frame, contract), halves(blocks)
    found = {}
    for name in contract.inputs:
        told = [0.5]
        for values, kind in views(frame, contract, [name]).values():
            told.append(binned(bins(values, kind, fit), y, fit))
            if kind != "category" and y.max() == 1:
                told.append(monotone(values, y))
        found[name] = max(told)
    return found


def trees(x: np.ndarray, y: np.ndarray, kinds: int) -> Scorer:
    """Boosted trees: they split on one column within what another one left, as an exclusive or needs."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    known = ~np.isnan(x).all(axis=0)  # trees refuse a column without any value
    # One thread: the order of a parallel sum is in its last bit, and reports must be equal.
    with threadpool_limits(limits=1, user_api="openmp"):
        model = HistGradientBoostingClassifier(**PROBE).fit(np.where(known, x, 0.0), y)

    def score(rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), kinds))
        found[:, model.classes_] = model.predict_proba(np.where(known, rows, 0.0))
        return found

    return score


def plane(x: np.ndarray, y: np.ndarray, kinds: int) -> Scorer:
    """Least squares on the classes, nulls as the column's mean: sees an answer that is a sum, at any scale."""
    known = np.where(np.isnan(x).all(axis=0), 0.0, x)
    centre = np.nanmean(known, axis=0)
    spread = np.nanstd(known, axis=0)
    spread[spread == 0] = 1.0

    def scaled(rows: np.ndarray) -> np.ndarray:
        return np.column_stack([np.nan_to_num((rows - centre) / spread), np.ones(len(rows))])

    weights = np.linalg.lstsq(scaled(x), np.eye(kinds)[y], rcond=None)[0]
    return lambda rows: scaled(rows) @ weights


def probe(frame: pd.DataFrame, contract: Schema, blocks: np.ndarray, names: list[str]) -> list[list[Fit]]:
    """Both kinds of probe on columns `names`, each fitted on either half of the blocks.

    Of at most `ROWS` rows; a half with one class only teaches nothing and is left out.
    """
    picked = smoke.evenly(len(frame), ROWS)
    y, half = answers(frame, contract)[picked], halves(blocks[picked])
    if not names:
        return []
    x = np.column_stack([values[picked] for values, _ in views(frame, contract, names).values()])
    kinds = int(y.max()) + 1
    parts = [fit for fit in (half, ~half) if len(np.unique(y[fit])) > 1]
    return [[Fit(kind(x[fit], y[fit], kinds), x[~fit], y[~fit]) for fit in parts] for kind in (trees, plane)]


def scored(fit: Fit, x: np.ndarray) -> float:
    """AUC of one probe on inputs `x` (n, F)."""
    scores = fit.score(x)
    return one_against_rest(np.eye(scores.shape[1])[fit.y], scores)


def together(probes: list[list[Fit]]) -> tuple[float, list[Fit]]:
    """Mean AUC of the better kind of probe, each on the half it has not seen, and its fits; 0.5 when there is none."""
    return max(((float(np.mean([scored(f, f.x) for f in fits])), fits) for fits in probes if fits),
               key=lambda found: found[0], default=(0.5, []))  # fmt: skip


def telling(fits: list[Fit], names: list[str]) -> list[str]:
    """The two columns whose shuffling costs a probe most AUC, dearest first (Breiman 2001, Random Forests, 10)."""
    order = np.random.default_rng(0)
    cost = np.zeros(len(names))
    for fit in fits:
        for column in range(len(names)):
            shuffled = fit.x.copy()
            shuffled[:, column] = order.permutation(shuffled[:, column])
            cost[column] -= scored(fit, shuffled)
    return [names[i] for i in np.argsort(-cost, kind="stable")[:2]]
