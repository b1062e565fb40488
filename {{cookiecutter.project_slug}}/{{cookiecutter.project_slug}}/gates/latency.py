"""How long a prediction takes, as a multiple of what a plain linear model takes on the same rows in the same run.

A ratio travels between machines and a time does not. The least time over rounds in which both take turns is what
load disturbs least (Chen and Revels 2016, Robust benchmarking in noisy environments). Both run on one thread:
threads that wait for each other on a busy machine have been seen to take 50 times as long.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import model

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema

Clock = Callable[[], float]


def least(calls: Sequence[Callable[[], object]], rounds: int, clock: Clock = time.perf_counter) -> list[float]:
    """The least seconds of each call over `rounds` in which they take turns; each is first called once, unmeasured."""
    for call in calls:
        call()
    found = [math.inf] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            began = clock()
            call()
            found[i] = min(found[i], clock() - began)
    return found


def days(times: pd.DataFrame) -> pd.DataFrame:
    """Datetime columns (n, k) as days since 1970, null as NaN."""
    import pandas as pd

    found: pd.DataFrame = times.apply(lambda column: (column - pd.Timestamp(0)) / pd.Timedelta(days=1))
    return found


def reference(rows: pd.DataFrame, contract: Schema) -> Any:
    """A linear model over the inputs, fitted on `rows`: what it says does not matter, what it costs does.

    No step of it is the team's: were `features.py` in it, slow features would slow both sides and never show.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    def scaled(*first: Any) -> Any:
        return make_pipeline(*first, SimpleImputer(keep_empty_features=True), StandardScaler())

    times = [*filter(None, [contract.time]), *contract.features("datetime")]
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = [("time", scaled(FunctionTransformer(days)), times),
             ("number", scaled(FunctionTransformer(lambda table: table.astype("float64"))),
              contract.features("int", "float", "bool")),
             ("category", categories, contract.features("category"))]  # fmt: skip
    return make_pipeline(ColumnTransformer(steps), Ridge()).fit(rows[contract.inputs], np.zeros(len(rows)))


def ratio(fitted: Any, rows: pd.DataFrame, contract: Schema, rounds: int, clock: Clock = time.perf_counter) -> float:
    """How many times as long as the reference the pipeline `fitted` takes to predict `rows`."""
    from threadpoolctl import threadpool_limits

    plain = reference(rows, contract)
    inputs = rows[contract.inputs]
    calls = [lambda: model.predict(fitted, rows, contract), lambda: plain.predict(inputs)]
    with threadpool_limits(1):
        ours, theirs = least(calls, rounds, clock)
    return ours / theirs
