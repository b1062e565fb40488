"""What a small training is tried on: a few rows to learn by heart, rows full of nulls, categories never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, model
from . import metrics

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema

#: Rows that a model must be able to learn by heart.
TINY = 16


def evenly(count: int, most: int) -> np.ndarray:
    """Positions of at most `most` of `count` rows, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))


def learn(rows: pd.DataFrame, contract: Schema, params: config.Params) -> tuple[Any, np.ndarray, float]:
    """The model fitted on `rows` (n), its predictions there, and the share of the dummy's loss that it saves.

    A share of 1 is a loss of zero, a negative one a model worse than knowing nothing. Raises InputError.
    """
    y = contract.encode_target(rows[contract.target]).to_numpy()
    dummy = model.fit(model.baseline("dummy", params.train, contract, params.seed), rows, contract)
    fitted = model.fit(model.build(params.train, contract, params.seed), rows, contract)
    predicted = model.predict(fitted, rows, contract)
    before = metrics.primary(contract.task, y, model.predict(dummy, rows, contract)).mean()
    return fitted, predicted, float(1 - metrics.primary(contract.task, y, predicted).mean() / before)


def not_finite(fitted: Any, rows: pd.DataFrame, contract: Schema) -> tuple[int, str]:
    """Predictions of `rows` that are no finite numbers, and what to call it: all of them where none can be made."""
    try:
        return int((~np.isfinite(model.predict(fitted, rows, contract))).sum()), "is NaN"
    except (ValueError, TypeError) as error:
        return len(rows), f"fails ({model.first_line(error)})"


def without_values(rows: pd.DataFrame, contract: Schema) -> pd.DataFrame:
    """`rows` with every nullable input null."""
    nullable = [name for name in contract.inputs if contract.columns[name].nullable]
    empty: pd.DataFrame = rows.assign(**{name: rows[name].mask(np.ones(len(rows), dtype=bool)) for name in nullable})
    return empty


def never_seen(rows: pd.DataFrame, contract: Schema) -> pd.DataFrame:
    """`rows` with categories that no row has."""
    return rows.assign(**dict.fromkeys(contract.features("category"), "(never seen)"))


def tiny_batch(rows: pd.DataFrame, contract: Schema) -> pd.DataFrame:
    """`TINY` rows with distinct inputs, repeated to as many as there are (an estimator may want rows in a leaf).

    The classes in turn, or evenly over the values of a numeric target. A null takes the value of a row nearby: some
    estimators refuse a column without any, and nulls are tried by themselves.
    """
    import pandas as pd

    filled = rows.assign(**rows[contract.inputs].ffill().bfill())
    distinct = filled.drop_duplicates(contract.inputs)
    if contract.task == "regression":
        order = np.argsort(distinct[contract.target].to_numpy(), kind="stable")
        batch = distinct.iloc[order[evenly(len(order), TINY)]]
    else:
        turn = distinct.groupby(contract.target).cumcount().to_numpy()
        batch = distinct.iloc[np.argsort(turn, kind="stable")[:TINY]]
    repeated: pd.DataFrame = pd.concat([batch] * -(-len(rows) // len(batch)), ignore_index=True)
    return repeated
