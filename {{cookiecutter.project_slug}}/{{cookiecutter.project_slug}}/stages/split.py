"""Divide the valid rows into `data/train.parquet` and `data/test.parquet`, the same way every time.

Outcome columns end here: nothing after this stage can read what is known only after the fact. Random splits
draw from a hash of the row's key (or group), not from a generator, so that a row stays on its side when
others come or go. The table passes twice in chunks: once for what decides, once to be divided.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import config, record, schema
from ..errors import InputError
from . import validate
from .cast import arrow

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


def stratified(known: pd.DataFrame, contract: schema.Schema, share: float) -> pd.Series:
    """True for the share of rows with the smallest draws inside each class (or decile of a numeric target)."""
    import pandas as pd

    target = known["target"]
    if contract.task == "regression":
        target = pd.qcut(target.rank(method="first"), min(10, len(known)), labels=False)
    strata = known["draw"].groupby(target)
    return strata.rank(method="first") <= (strata.transform("size") * share).round()


def facts(frame: pd.DataFrame, contract: schema.Schema, params: config.Split, seed: int) -> pd.DataFrame:
    """What of each row (n,) decides about it, and no more: all rows' facts are in memory at once.

    Columns: `target` as a number, `time` where one is declared, `draw` unless the split is by time, and `sample`: a
    second draw, independent of the first, for training rows that are too many. Raises InputError without the role that
    the split needs.
    """
    import pandas as pd

    needed = {"time": contract.time, "group": contract.group}
    if params.by in needed and needed[params.by] is None:
        raise InputError(f"split.by: {params.by} needs a column with role: {params.by} in schema.yaml")
    every = [name for name in contract.columns if name in frame]
    found = {"target": contract.encode_target(frame[contract.target])}
    found["sample"] = pd.Series(shares(frame, contract.key or every, ~seed), index=frame.index)
    if contract.time:
        found["time"] = frame[contract.time]
    if params.by != "time":
        columns = [str(contract.group)] if params.by == "group" else contract.key or every
        found["draw"] = pd.Series(shares(frame, columns, seed), index=frame.index)
    return pd.DataFrame(found)


def is_test(known: pd.DataFrame, contract: schema.Schema, params: config.Split) -> pd.Series:
    """True for each row (n,) that belongs to the test set, by its facts."""
    if params.by == "time":
        return last_days(known["time"], params.test_days)
    if params.by == "stratified":
        return stratified(known, contract, params.test_share)
    chosen: pd.Series = known["draw"] < params.test_share
    return chosen


def is_train(known: pd.DataFrame, test: pd.Series, most: int) -> pd.Series:
    """True for each row (n,) that is trained on: all that are no test rows or, of more, the `most` of smallest draw."""
    import pandas as pd

    others = np.flatnonzero(~test.to_numpy())
    order = np.argsort(known["sample"].to_numpy()[others], kind="stable")
    chosen = np.zeros(len(known), dtype=bool)
    chosen[others[order[:most]]] = True
    return pd.Series(chosen, index=known.index)


def divide(known: pd.DataFrame, contract: schema.Schema, params: config.Split) -> tuple[pd.Series, pd.Series]:
    """Which rows are train and which test: two masks (n,). Raises InputError when a part is empty or tells nothing."""
    test = is_test(known, contract, params)
    train = is_train(known, test, params.max_train_rows)
    for name, part in (("train", train), ("test", test)):
        if not part.any():
            raise InputError(f"split: no {name} rows; change split.test_days or split.test_share in params.yaml")
        if known.loc[part, "target"].nunique() < 2:
            raise InputError(f"split: target {contract.target} is constant in the {name} rows; widen the window")
    return train, test


def main() -> None:
    """Write both parts, without outcome columns and in the table's order, and `reports/split.json`."""
    import pandas as pd

    params, contract = config.load(), schema.load()
    wanted = [contract.target, contract.time, contract.group, *contract.key]
    needed = list(dict.fromkeys(name for name in wanted if name)) if contract.key else None
    known = pd.concat([facts(f, contract, params.split, params.seed) for f in record.chunks(validate.VALID, needed)])
    train, test = divide(known, contract, params.split)
    kept = [name for name, column in contract.columns.items() if column.role != "outcome"]
    kinds = arrow(contract, kept)
    with record.parquet_writer(TRAIN, kinds) as to_train, record.parquet_writer(TEST, kinds) as to_test:
        for frame in record.chunks(validate.VALID, kept):
            to_train(frame[train[frame.index]])
            to_test(frame[test[frame.index]])
    rows = {"train": int(train.sum()), "test": int(test.sum())}
    report: dict[str, object] = {"by": params.split.by, "rows": rows}
    if rows["train"] < len(known) - rows["test"]:
        others = len(known) - rows["test"]
        report["sampled"] = {"of": others, "rows": rows["train"]}
        print(f"split: {rows['train']} training rows drawn of {others} (split.max_train_rows)")
    if contract.time:
        report["first_test_time"] = str(known.loc[test, "time"].min())
    record.write_json(REPORT, report)
