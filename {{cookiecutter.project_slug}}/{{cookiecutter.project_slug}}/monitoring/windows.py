"""The prediction log in windows of days: rows in each bin of the reference, nulls, unseen categories, scores."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..gates import drift, reference
from ..serving import parts

if TYPE_CHECKING:
    import pandas as pd

    from ..gates.reference import Reference
    from ..schema import Schema

DAY = dt.timedelta(days=1)


@dataclass
class Window:
    """What the log holds of start <= time < end. `inputs`, `answers`: rows by aspect and bin. `days`: those with rows.

    `answered`: the rows that the champion answered, of which `answers` are; `score`, `expected`: sums over them of the
    score, and of the loss that it would have if it were calibrated. What another version answered is not its to defend.
    """

    start: dt.datetime
    end: dt.datetime
    rows: int = 0
    answered: int = 0
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    answers: dict[str, np.ndarray] = field(default_factory=dict)
    days: set[dt.date] = field(default_factory=set)
    score: float = 0.0
    expected: float = 0.0

    def add(self, frame: pd.DataFrame, time: str, kept: Reference, contract: Schema, digest: str) -> None:
        """Count further rows; of inputs that are private, and in the log as hashes or not at all, none."""
        names = [name for name in contract.inputs if {name, f"{name} minute"} & kept.inputs.keys() and name in frame]
        for name, values in drift.of_inputs(frame, contract, names).items():
            if name in kept.inputs:
                self.inputs[name] = self.inputs.get(name, 0) + kept.inputs[name].bins.rows(values)
        self.rows += len(frame)
        self.days |= set(frame[time].dt.date)
        frame = frame[frame[parts.DIGEST] == digest]
        if frame.empty:
            return
        said = frame[contract.scores(parts.PREDICTED)].to_numpy()
        said = said if contract.task == "multiclass" else said[:, 0]
        name = reference.PREDICTION
        answers = kept.answers[name].bins.rows(reference.spoken(said, contract))
        self.answers[name] = self.answers.get(name, 0) + answers
        self.answered += len(frame)
        self.score += float(said.sum()) if said.ndim == 1 else 0.0
        self.expected += float(expected_loss(said, contract.task).sum())


def expected_loss(said: np.ndarray, task: str) -> np.ndarray:
    """The Brier score that each row would have if its probabilities were true, (n,); NaN for regression."""
    if task == "regression":
        return np.full(len(said), np.nan)
    found: np.ndarray = 1 - (said**2).sum(axis=1) if said.ndim == 2 else said * (1 - said)
    return found


def clock(folder: Path, contract: Schema) -> str:
    """The log's column that says when a row is from: the table's own time, or when it was predicted.

    Raises InputError when there is no log.
    """
    found = parts.hours(folder)
    if not found:
        raise InputError(f"{folder} holds no predictions: `serve` writes them there, or mend serve.log.folder")
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {}
    for path in parts.listed(found[-1][1])[0][-1:]:
        with parts.opened(path) as file:
            kinds = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
    kind = kinds.get(str(contract.time))
    return str(contract.time) if kind is not None and pa.types.is_timestamp(kind) else parts.TIME  # a hash says nothing


def newest(folder: Path, time: str) -> dt.datetime:
    """The start of the log's last day, which is not over yet; of its only day the end. Raises InputError.

    What is asked ahead of time does not make a later day: none is later than the last prediction.
    """
    first, last, asked = dt.datetime.max, dt.datetime.min, dt.datetime.min
    columns = list({time, parts.TIME})
    for frame in parts.read(folder, dt.datetime(1900, 1, 1), dt.datetime(9000, 1, 1), columns, time):
        times, now = (frame[name].dt.tz_localize(None) for name in (time, parts.TIME))
        first, last = min(first, times.min().to_pydatetime()), max(last, times.max().to_pydatetime())
        asked = max(asked, now.max().to_pydatetime())
    if last == dt.datetime.min:
        raise InputError(f"{folder} holds no predictions: `serve` writes them there, or mend serve.log.folder")
    last = min(last, asked)
    midnight = dt.datetime.combine(last.date(), dt.time())
    return midnight if first < midnight else midnight + DAY


def between(folder: Path, start: dt.datetime, end: dt.datetime, time: str, columns: list[str] | None = None
            ) -> Iterator[pd.DataFrame]:  # fmt: skip
    """The log's rows with start <= time < end, all columns or these, in pieces, their time without a zone."""
    for frame in parts.read(folder, start, end, columns, time):
        yield frame.assign(**{time: frame[time].dt.tz_localize(None)})


def read(folder: Path, until: dt.datetime, days: int, count: int, time: str, kept: Reference, contract: Schema,
         digest: str) -> list[Window]:  # fmt: skip
    """The last `count` windows of `days` days before `until`, oldest first; `digest`: the champion's."""
    step = dt.timedelta(days=days)
    made = [Window(until - step * (k + 1), until - step * k) for k in reversed(range(count))]
    for frame in between(folder, made[0].start, until, time):
        for window in made:
            here = frame[(frame[time] >= window.start) & (frame[time] < window.end)]
            if len(here):
                window.add(here.reset_index(drop=True), time, kept, contract, digest)
    return made
