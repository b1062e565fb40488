"""Divide the valid rows into `data/train.parquet` and `data/test.parquet`, the same way every time.

Outcome columns end here: nothing after this stage can read what is known only after the fact. Random splits
draw from a hash of the row's key (or group), not from a generator, so that a row stays on its side when
others come or go.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import config, record, schema
from ..errors import InputError
from . import validate

if TYPE_CHECKING:
    import pandas as pd

TRAIN = Path("data/train.parquet")
TEST = Path("data/test.parquet")
REPORT = Path("reports/split.json")


def shares(frame: pd.DataFrame, columns: list[str], seed: int) -> np.ndarray:
    """A number in [0, 1) for each row, shape (n,), that depends on `columns` of that row and on the seed alone."""
    import pandas as pd

    rows = pd.util.hash_pandas_object(frame[columns], index=False).to_numpy()
    # pandas' own hash_key is ignored for numbers: the seed is mixed in by a second round.
    hashed = pd.util.hash_array(rows ^ pd.util.hash_array(np.array([seed % 2**64])))
    # The low bits of the hash are as mixed as the high ones; 53 of them fit a float exactly.
    return (hashed >> 11).astype("float64") / float(1 << 53)


def last_days(times: pd.Series, days: int) -> pd.Series:
    """True for rows of the last `days` calendar days that occur in `times`."""
    import pandas as pd

    day = times.dt.normalize()
    late: pd.Series = day > day.max() - pd.Timedelta(days=days)
    return late


def stratified(frame: pd.DataFrame, contract: schema.Schema, draw: np.ndarray, share: float) -> pd.Series:
    """True for the share of rows with the smallest draws inside each class (or decile of a numeric target)."""
    import pandas as pd

    target = frame[contract.target]
    if contract.task == "regression":
        target = pd.qcut(target.rank(method="first"), min(10, len(frame)), labels=False)
    order = pd.Series(draw, index=frame.index)
    rank = order.groupby(target.to_numpy()).rank(method="first")
    size = order.groupby(target.to_numpy()).transform("size")
    return rank <= (size * share).round()


def is_test(frame: pd.DataFrame, contract: schema.Schema, params: config.Split, seed: int) -> pd.Series:
    """True for each row (n,) that belongs to the test set. Raises InputError when a needed column is missing."""
    import pandas as pd

    needed = {"time": contract.time, "group": contract.group}
    if params.by in needed and needed[params.by] is None:
        raise InputError(f"split.by: {params.by} needs a column with role: {params.by} in schema.yaml")
    if params.by == "time":
        return last_days(frame[str(contract.time)], params.test_days)
    every = [name for name in contract.columns if name in frame]
    columns = [str(contract.group)] if params.by == "group" else contract.key or every
    draw = shares(frame, columns, seed)
    if params.by == "stratified":
        return stratified(frame, contract, draw, params.test_share)
    return pd.Series(draw < params.test_share, index=frame.index)


def divide(frame: pd.DataFrame, contract: schema.Schema, params: config.Split, seed: int
           ) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Train and test rows without outcome columns, in the table's order. Raises InputError when one is empty."""
    chosen = is_test(frame, contract, params, seed)
    kept = [name for name, column in contract.columns.items() if column.role != "outcome"]
    train, test = frame.loc[~chosen, kept], frame.loc[chosen, kept]
    for name, part in (("train", train), ("test", test)):
        if part.empty:
            raise InputError(f"split: no {name} rows; change split.test_days or split.test_share in params.yaml")
        if contract.encode_target(part[contract.target]).nunique() < 2:
            raise InputError(f"split: target {contract.target} is constant in the {name} rows; widen the window")
    return train, test


def main() -> None:
    """Write both parts and `reports/split.json`."""
    params, contract = config.load(), schema.load()
    train, test = divide(record.read_parquet(validate.VALID), contract, params.split, params.seed)
    record.write_parquet(train, TRAIN)
    record.write_parquet(test, TEST)
    report: dict[str, object] = {"by": params.split.by, "rows": {"train": len(train), "test": len(test)}}
    if contract.time:
        report["first_test_time"] = str(test[contract.time].min())
    record.write_json(REPORT, report)
