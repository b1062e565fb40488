"""The table that a walk goes through: its months, the rows that are served, and what a fault does to them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .. import config, record, schema
from ..errors import InputError
from ..stages import ingest, validate
from ..stages.cast import cast

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Months of the first window of a full walk, and served months of a quick one.
FIRST, QUICK = 3, 3
#: After every row: a window without an end, for sources whose query asks for one.
NEVER = dt.datetime(9999, 1, 1)
SENSOR, LABELS, TAMPERED, KILLED, OUTAGE = FAULTS = (
    "broken sensor", "poisoned labels", "tampered challenger", "killed trainer", "label outage",
)  # fmt: skip
#: Faults of a month's rows; the others are of the retraining after it.
OF_ROWS = (SENSOR, LABELS, OUTAGE)


class Month(NamedTuple):
    """A month that is served: its name (YYYY-MM), and `start` <= time < `end` of its rows."""

    name: str
    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Table:
    """All rows of the source as they are (`raw`), and the valid ones typed (`typed`, with the index of `raw`)."""

    raw: pd.DataFrame
    typed: pd.DataFrame
    contract: schema.Schema
    sha256: str

    @property
    def times(self) -> pd.Series:
        """The time of each valid row."""
        return self.typed[self.contract.time]

    def served(self, month: Month, stuck: tuple[str, float] | None = None) -> pd.DataFrame:
        """The valid rows of a month; with a column of which every value is the same, where a sensor is `stuck`."""
        rows = self.typed[self.times.between(month.start, month.end, inclusive="left")]
        return rows.assign(**{stuck[0]: stuck[1]}) if stuck else rows

    def before(self, end: pd.Timestamp) -> pd.DataFrame:
        """The valid rows before a time."""
        return self.typed[self.times < end]

    def with_faults(self, frame: pd.DataFrame, faults: dict[str, Month], stuck: tuple[str, float] | None
                    ) -> pd.DataFrame:  # fmt: skip
        """`frame` (of `typed`, or `raw`) with the faults in it, each in the rows of its month."""
        frame, target = frame.copy(), self.contract.target
        times = cast(frame[self.contract.time], self.contract.columns[str(self.contract.time)])
        for fault, month in faults.items():
            hit = times.between(month.start, month.end, inclusive="left")
            name, value = stuck if fault == SENSOR and stuck else (target, float("nan"))
            values = cast(frame[name], self.contract.columns[name])
            frame[name] = values.mask(hit, flipped(values[hit], self.contract) if fault == LABELS else value)
        return frame


def flipped(values: pd.Series, contract: schema.Schema) -> pd.Series:
    """Target values turned round: the classes in reverse, or mirrored about the middle of their range."""
    if contract.task == "regression":
        mirrored: pd.Series = values.max() + values.min() - values
        return mirrored
    turned: pd.Series = values.map(dict(zip(contract.classes, reversed(contract.classes), strict=True)))
    return turned


def load(source: config.Ingest, contract: schema.Schema, path: Path) -> Table:
    """The whole source from `source.start` on, snapshot into `path`. Raises InputError when it breaks the contract."""
    import pandas as pd

    if contract.time is None:
        raise InputError("a walk needs a column with role: time in schema.yaml")
    ingest.snapshot(source.model_copy(update={"end": NEVER}), contract, path)
    raw = pd.concat(record.chunks(path))
    twice = validate.repeated(lambda: [raw[contract.key]], contract)
    tally, valid = validate.Tally(), []
    for first in range(0, len(raw), record.CHUNK):
        valid.append(validate.check(raw.iloc[first : first + record.CHUNK], contract, twice, tally)[0])
    problems = tally.problems(contract, list(raw.columns))
    if problems:
        raise InputError(f"{problems[0]}; mend the source or schema.yaml")
    return Table(raw, pd.concat(valid), contract, record.file_sha256(path))


def months(table: Table, quick: bool, params: config.Ingest) -> tuple[pd.Timestamp, list[Month]]:
    """The end of the first window, and the months that are served after it. Raises InputError when there are too few.

    A full walk begins with the table's first `FIRST` months with rows; a quick one with the window of `params.yaml`.
    """
    import pandas as pd

    periods = sorted(table.times.dt.to_period("M").unique())
    if quick and params.end is None:
        raise InputError("--quick serves the months after ingest.end, which is null: set it in params.yaml")
    if not quick and len(periods) <= FIRST:
        raise InputError(f"the table has rows in {len(periods)} months, and a walk needs more than {FIRST}")
    end = pd.Timestamp(params.end) if quick and params.end else (periods[FIRST - 1] + 1).start_time
    left = [period for period in periods if (period + 1).start_time > end]
    if quick and len(left) < QUICK:
        raise InputError(f"--quick needs rows of {QUICK} months after ingest.end {end:%Y-%m-%d}, and the source"
                         f" has {len(left)}: set it earlier, or walk the whole table without --quick")  # fmt: skip
    chosen = left[:QUICK] if quick else left
    return end, [Month(str(period), max(period.start_time, end), (period + 1).start_time) for period in chosen]


def schedule(served: list[Month], contract: schema.Schema) -> dict[str, Month]:
    """Which month each fault strikes: one a month, spread over the walk but for the last; of a short walk, the first.

    No sensor breaks where no feature is a number.
    """
    faults = FAULTS[0 if contract.features("float") else 1 :]
    places = len(served) - 2
    if places < len(faults):
        return dict(zip(faults, served[: max(places + 1, 1)], strict=False))
    return {fault: served[1 + i * places // len(faults)] for i, fault in enumerate(faults)}


def stuck(rows: pd.DataFrame, contract: schema.Schema, predict: Callable[[pd.DataFrame], np.ndarray]
          ) -> tuple[str, float]:  # fmt: skip
    """The number that a stuck sensor would do most harm to, and where it sticks: at the largest value of `rows`.

    Harm: the mean change of what `predict` says of `rows`.
    """
    usual = predict(rows)

    def harm(name: str) -> float:
        return float(abs(predict(rows.assign(**{name: rows[name].max()})) - usual).mean())

    worst = max(contract.features("float"), key=harm)
    return worst, float(rows[worst].max())
