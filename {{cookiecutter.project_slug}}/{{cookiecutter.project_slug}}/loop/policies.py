"""The policies that a gated loop is held against: the first champion for ever, and a new model every month.

Both run the project's own split and pipeline in this process, without gates. Their models do not depend on what the
gated loop does, so they are fitted beside it, in a thread.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .. import config, model, schema
from ..stages import split
from . import table as tables
from .table import Month, Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def parts(rows: pd.DataFrame, contract: schema.Schema, params: config.Params) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The training rows and the test rows that stage `split` makes of valid `rows`. Raises InputError."""
    rows = rows.reset_index(drop=True)
    train, test = split.divide(split.facts(rows, contract, params.split, params.seed), contract, params.split)
    return rows[train], rows[test]


class Always:
    """The model of every window, by the number of the month that it serves first; 0 is the first champion's.

    `faults`: the month that each strikes; here nobody mends them.
    """

    def __init__(self, table: Table, served: list[Month], params: config.Params, faults: dict[str, Month]) -> None:
        """Begin to fit."""
        self.table, self.served, self.params, self.faults = table, served, params, faults
        self.pool = ThreadPoolExecutor(1)
        self.stuck = self.pool.submit(self.sensor)
        self.work = [self.pool.submit(self.made, i) for i in range(len(served))]

    def sensor(self) -> tuple[str, float] | None:
        """The sensor that sticks, and where: the worst for the first model, whose test rows are asked."""
        if tables.SENSOR not in self.faults:
            return None
        contract, first = self.table.contract, self.fitted(0)
        _, test = parts(self.table.before(self.served[0].start), contract, self.params)
        return tables.stuck(test, contract, lambda rows: model.predict(first, rows, contract))

    def rows(self, index: int) -> pd.DataFrame:
        """The rows that the model of month `index` is made of."""
        start = self.served[index].start
        struck = {f: month for f, month in self.faults.items() if f in tables.OF_ROWS and month.start < start}
        if not struck:
            return self.table.before(start)
        faulty = self.table.with_faults(self.table.before(start), struck, self.stuck.result())
        return faulty.dropna(subset=[self.table.contract.target])

    def fitted(self, index: int, tampered: bool = False) -> Any:
        """The model of month `index`; `tampered`: one that was taught the opposite."""
        contract = self.table.contract
        train, _ = parts(self.rows(index), contract, self.params)
        if tampered:
            train = train.assign(**{contract.target: tables.flipped(train[contract.target], contract)})
        return model.fit(model.build(self.params.train, contract, self.params.seed), train, contract)

    def made(self, index: int) -> dict[int, np.ndarray]:
        """What the model of month `index` says of the rows of each month from then on, as they are served."""
        fitted = self.fitted(index)
        return {j: self.predict(fitted, j) for j in range(index, len(self.served))}

    def predict(self, fitted: Any, index: int) -> np.ndarray:
        """What a model says of the rows of month `index` as they are served; (n,) or (n, K)."""
        return model.predict(fitted, self.as_served(index), self.table.contract)

    def as_served(self, index: int) -> pd.DataFrame:
        """The rows of month `index` with what a broken sensor makes of them."""
        month = self.served[index]
        return self.table.served(month, self.stuck.result() if self.faults.get(tables.SENSOR) == month else None)

    def said(self, number: int, index: int) -> np.ndarray:
        """What the model of month `number` says of month `index`, which is not earlier."""
        return self.work[number].result()[index]

    def deployed(self, index: int) -> tuple[int, bool]:
        """Which model serves month `index`, and whether it was tampered with: killed trainers leave the one before."""
        before = self.served[index - 1] if index else None
        if before and self.faults.get(tables.KILLED) == before:
            return self.deployed(index - 1)
        return index, before is not None and self.faults.get(tables.TAMPERED) == before

    def answers(self, index: int) -> np.ndarray:
        """What the policy says of month `index`."""
        number, tampered = self.deployed(index)
        return self.predict(self.fitted(number, tampered=True), index) if tampered else self.said(number, index)

    def ages(self) -> dict[tuple[int, int], float]:
        """Days from the newest training row of model i to the end of month j, by (i, j)."""
        months = range(len(self.served))
        newest = [
            parts(self.rows(i), self.table.contract, self.params)[0][self.table.contract.time].max() for i in months
        ]
        return {
            (i, j): (self.served[j].end - newest[i]).total_seconds() / 86400 for i in months for j in months if i <= j
        }

    def close(self) -> None:
        """Fit nothing more."""
        self.pool.shutdown(wait=True, cancel_futures=True)
