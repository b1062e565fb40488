"""Losses per row, and metrics as means over rows, so that every one has an interval over blocks.

The primary metric is a mean loss: the Brier score for classes (Brier 1950; summed over the classes, unless there are
two, when both halves are equal and one is kept), the absolute error for regression. The AUC is not a mean over rows,
but its influence values are (Hanley and McNeil 1982; DeLong et al. 1988): each row's value is the AUC plus that row's
influence, which makes the mean and its block sums exact to first order (Obuchowski 1997 does the same for clustered
data).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import intervals

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema

Losses = dict[str, np.ndarray]
PRIMARY = {"binary": "brier", "multiclass": "brier", "regression": "mae"}
#: Metrics of which more is better; all others are losses.
HIGHER_IS_BETTER = frozenset({"auc", "accuracy"})


def brier(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Squared error of the predicted probability, per row; y in {0, 1}, both of shape (n,)."""
    loss: np.ndarray = (p - y) ** 2
    return loss


def log_loss(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Negative log-likelihood in nats, per row; probabilities are kept 1e-15 away from 0 and 1."""
    q = np.clip(p, 1e-15, 1 - 1e-15)
    loss: np.ndarray = -(y * np.log(q) + (1 - y) * np.log1p(-q))
    return loss


def auc(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """AUC plus the row's influence on it, per row; the mean is the AUC. NaN when a class is missing."""
    from scipy import stats

    positive = y == 1
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if n1 == 0 or n0 == 0:
        return np.full(len(y), np.nan)
    rank = stats.rankdata(p)
    wins = np.empty(len(y))
    # Rank among all, less rank among one's own class, counts the rows of the other class that lie below.
    wins[positive] = (rank[positive] - stats.rankdata(p[positive])) / n0
    wins[~positive] = 1 - (rank[~positive] - stats.rankdata(p[~positive])) / n1
    area = float(wins[positive].mean())
    share = np.where(positive, n1, n0) / len(y)
    return area + (wins - area) / share


def decisions(y: np.ndarray, p: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """False positives and false negatives at `threshold`, per row, as 0.0 or 1.0."""
    chosen = p >= threshold
    return (chosen & (y == 0)).astype(float), (~chosen & (y == 1)).astype(float)


def binary(y: np.ndarray, p: np.ndarray, threshold: float, false_positive: float, false_negative: float) -> Losses:
    """Every metric of a binary model, per row."""
    wrong_yes, wrong_no = decisions(y, p, threshold)
    return {
        "brier": brier(y, p),
        "log_loss": log_loss(y, p),
        "auc": auc(y, p),
        "accuracy": 1.0 - wrong_yes - wrong_no,
        "cost": false_positive * wrong_yes + false_negative * wrong_no,
    }


def regression(y: np.ndarray, p: np.ndarray) -> Losses:
    """Every metric of a regression model, per row, in the target's unit (`mse` in its square)."""
    return {"mae": np.abs(p - y), "mse": (p - y) ** 2, "bias": p - y}


def multiclass(y: np.ndarray, p: np.ndarray) -> Losses:
    """Every metric of a model of K classes, per row; y (n,) holds class positions, p (n, K) probabilities.

    The AUC is the mean over classes of one against the rest (Provost and Domingos 2000 weigh by frequency; here each
    class counts the same), over those that occur.
    """
    position = y.astype(int)
    actual = np.eye(p.shape[1])[position]
    areas = [auc(actual[:, k], p[:, k]) for k in range(p.shape[1]) if actual[:, k].any()]
    chosen = p[np.arange(len(y)), position]
    return {
        "brier": brier(actual, p).sum(axis=1),
        "log_loss": -np.log(np.maximum(chosen, 1e-15)),
        "auc": np.mean(areas, axis=0),
        "accuracy": (p.argmax(axis=1) == position).astype(float),
    }


def per_row(task: str, y: np.ndarray, p: np.ndarray, threshold: float = 0.5, false_positive: float = 1.0,
            false_negative: float = 1.0) -> Losses:  # fmt: skip
    """Every metric of the task, per row (n,); threshold and costs are read for a binary task alone."""
    if task == "regression":
        return regression(y, p)
    return multiclass(y, p) if task == "multiclass" else binary(y, p, threshold, false_positive, false_negative)


def primary(task: str, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The loss that decides, per row (n,); p has shape (n,), or (n, K) for a multiclass task."""
    if task == "multiclass":
        loss: np.ndarray = brier(np.eye(p.shape[1])[y.astype(int)], p).sum(axis=1)
        return loss
    return brier(y, p) if task == "binary" else np.abs(p - y)


def scores(table: pd.DataFrame, name: str, contract: Schema) -> np.ndarray:
    """The predictions of model `name` in a table of them: (n,), or (n, K) for a multiclass task."""
    columns = contract.scores(name)
    return table[columns].to_numpy() if contract.task == "multiclass" else table[columns[0]].to_numpy()


def summary(losses: Losses, blocks: np.ndarray, confidence: float, replicates: int) -> dict[str, dict[str, float]]:
    """Each metric's value and one-sided bounds over blocks."""
    found = {name: intervals.estimate(v, blocks, confidence, replicates) for name, v in losses.items()}
    return {
        name: {"value": e.value, "low": e.low, "high": e.high, "standard_error": e.error} for name, e in found.items()
    }


def tuned_threshold(y: np.ndarray, p: np.ndarray, false_positive: float, false_negative: float) -> float:
    """The probability from which "yes" costs least on these out-of-fold predictions; ties go to the middle."""
    order = np.argsort(-p, kind="stable")
    gain = np.cumsum(np.where(y[order] == 1, false_negative, -false_positive))
    sorted_p = p[order]
    last_of_ties = np.append(sorted_p[:-1] != sorted_p[1:], True)
    cuts = np.flatnonzero(last_of_ties)
    best = cuts[int(np.argmax(gain[cuts]))]
    if gain[best] <= 0:
        return 1.01  # above every probability, 1.0 included: "yes" never pays
    below = sorted_p[best + 1] if best + 1 < len(p) else 0.0
    return float((sorted_p[best] + below) / 2)
