"""Signs that training sees what it must not: the answer, the future, or the rows it will be judged on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import metrics

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema


@dataclass(frozen=True)
class Overlap:
    """What train and test share: rows by key, entities, rows with equal inputs, and days in the wrong order."""

    keys: int
    groups: int
    duplicates: int
    misordered: int


def overlap(train: pd.DataFrame, test: pd.DataFrame, contract: Schema, by: str) -> Overlap:
    """Count what the two parts share. `misordered` counts test rows at or before the last training time.

    Groups count only for a group split, order only for a time split; equal inputs count as rows of the test part.
    """
    import pandas as pd

    def shared(columns: list[str]) -> int:
        hashes = [pd.util.hash_pandas_object(part[columns], index=False) for part in (train, test)]
        return int(hashes[1].isin(hashes[0]).sum())

    order = 0
    if by == "time" and contract.time:
        order = int((test[contract.time] <= train[contract.time].max()).sum())
    return Overlap(
        keys=shared(contract.key) if contract.key else 0,
        groups=shared([str(contract.group)]) if by == "group" and contract.group else 0,
        duplicates=shared(contract.inputs),
        misordered=order,
    )


def single_feature_strength(frame: pd.DataFrame, contract: Schema, blocks: np.ndarray) -> dict[str, float]:
    """How well each feature alone tells the target, in [0.5, 1]: its AUC, in whichever direction is better.

    Categories are replaced by their target mean on the even blocks and scored on the odd ones, so that a
    category per row does not look like knowledge. A numeric target is cut at its median. Missing values are a
    category of their own: a column that is null exactly when the answer is "no" gives it away.
    """
    y = contract.encode_target(frame[contract.target]).to_numpy()
    if contract.task == "regression":
        y = (y > np.median(y)).astype(float)
    fit = blocks % 2 == 0
    strength = {}
    for name in contract.named("feature"):
        values = frame[name]
        if contract.columns[name].type in ("category", "bool"):
            score = target_means(values.astype("str").fillna("(null)"), y, fit)
            scores = [(score[~fit], y[~fit])]
        else:
            if contract.columns[name].type == "datetime":
                values = (values - values.min()).dt.total_seconds()
            number = values.astype("float64").to_numpy()
            scores = [(np.isnan(number).astype(float), y)]
            scores.append((number[~np.isnan(number)], y[~np.isnan(number)]))
        strength[name] = max(separation(answer, score) for score, answer in scores)
    return strength


def target_means(values: pd.Series, y: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Mean target of each row's category over the rows where `fit` is true; the overall mean for unseen ones."""
    import pandas as pd

    means = pd.Series(y[fit]).groupby(values.to_numpy()[fit]).mean()
    return values.map(means).fillna(float(y[fit].mean())).to_numpy(dtype=float)


def separation(y: np.ndarray, score: np.ndarray) -> float:
    """The AUC of `score`, or of its negative if that is larger; 0.5 when one class is missing."""
    if len(y) == 0 or y.min() == y.max():
        return 0.5
    area = float(metrics.auc(y, score).mean())
    return max(area, 1 - area)
