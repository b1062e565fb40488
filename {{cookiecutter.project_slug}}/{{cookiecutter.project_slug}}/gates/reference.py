"""A version's reference: how its rows, answers and losses were spread, day by day, and no row itself.

The histograms of whole days are what the monitor draws its thresholds from. Cuts of numbers are quantiles, rounded to
less than tells a row from its neighbours, and columns that the prediction log keeps private are left out, so that
nobody's value can be read from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import record
from ..errors import InputError
from . import drift, metrics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from ..schema import Schema

#: Bins of a number, and categories kept apart.
BINS = 50
#: Without a time column, equal parts of the table stand in for days.
PARTS = 200
PREDICTION = "prediction"


@dataclass(frozen=True)
class Bins:
    """Where values are counted: below, between and above `cuts` (numbers), or by `values` and for all others."""

    cuts: np.ndarray | None
    values: list[str]

    @property
    def ordered(self) -> bool:
        """Whether they are those of a number."""
        return self.cuts is not None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.values if self.cuts is None else self.cuts) + 1

    def codes(self, found: pd.Series) -> np.ndarray:
        """The bin of each value (n,), -1 for null."""
        if self.cuts is not None:
            return np.where(found.isna(), -1, np.searchsorted(self.cuts, found))
        place = {value: i for i, value in enumerate(self.values)}
        code = found.astype("str").map(place).fillna(len(place)).astype(int)
        return code.mask(found.isna(), -1).to_numpy()

    def rows(self, found: pd.Series) -> np.ndarray:
        """Rows in each bin, (count,)."""
        code = self.codes(found)
        return np.bincount(code[code >= 0], minlength=self.count)


@dataclass(frozen=True)
class Aspect:
    """One thing that is compared: rows of each day by bin, (G, bins)."""

    bins: Bins
    rows: np.ndarray


@dataclass(frozen=True)
class Reference:
    """`inputs` (and the target) over the days of train and test, `answers` over those of test alone.

    `days`: their names, of inputs; None without a time column. `dummy`: what knowing nothing says of every row.
    """

    days: list[str] | None
    inputs: dict[str, Aspect]
    answers: dict[str, Aspect]
    dummy: np.ndarray
    loss: float
    rows: int


def binned(found: pd.Series) -> Bins:
    """The bins of values (n,): numbers are cut by `cuts`, of other values the most frequent have their own."""
    if found.dtype.kind == "f":
        return Bins(cuts(found.dropna().to_numpy()), [])
    return Bins(None, found.dropna().astype("str").value_counts().index[:BINS].to_list())


def cuts(known: np.ndarray) -> np.ndarray:
    """Where numbers (n,) are cut: halfway between quantiles that differ, and as far below and above all of them.

    So a value that many rows have is in a bin with little else, and nothing that they never had shares a bin with the
    least. Rounded to less than a tenth of the way from one quantile to the next.
    """
    if not known.size:
        return known
    quantiles = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1), method="inverted_cdf"))
    alone = np.where(quantiles == 0, 1, np.abs(quantiles) / 100)
    gaps = np.pad(np.diff(quantiles), 1, mode="edge") if len(quantiles) > 1 else np.repeat(alone, 2)
    places, steps = np.append(quantiles[0] - gaps[0], quantiles) + gaps / 2, 10.0 ** np.floor(np.log10(gaps) - 1)
    return np.unique(np.round(places / steps) * steps)


def aspect(found: pd.Series, day: np.ndarray) -> Aspect:
    """The aspect of values (n,) whose days are the numbers `day` (n,), from 0."""
    bins, days = binned(found), int(day.max()) + 1
    code = bins.codes(found)
    there = code >= 0
    flat = np.bincount(day[there] * bins.count + code[there], minlength=days * bins.count)
    return Aspect(bins, flat.reshape(days, bins.count))


def spoken(predicted: np.ndarray, contract: Schema) -> pd.Series:
    """What is compared of predictions (n,) or (n, K): the score, or the class that is most probable."""
    import pandas as pd

    return pd.Series(predicted if predicted.ndim == 1 else [contract.classes[i] for i in predicted.argmax(axis=1)])


def days_of(frame: pd.DataFrame, contract: Schema) -> tuple[np.ndarray, list[str] | None]:
    """The day of each row as a number (n,), and the days' names; equal parts of the table where there is no time."""
    import pandas as pd

    if contract.time is None:
        return np.arange(len(frame)) * min(PARTS, len(frame)) // len(frame), None
    code, days = pd.factorize(frame[contract.time].dt.normalize(), sort=True)
    return code, [str(day.date()) for day in days]


def build(train: pd.DataFrame, test: pd.DataFrame, predictions: pd.DataFrame, contract: Schema,
          private: Mapping[str, str]) -> dict[str, Any]:  # fmt: skip
    """The reference as JSON holds it. `private`: inputs of which nothing may be kept."""
    import pandas as pd

    both = pd.concat([train, test])
    day, days = days_of(both, contract)
    hidden = [f"{name}{suffix}" for name in private for suffix in ("", " null", " minute", " weekday")]
    inputs = {name: aspect(values, day) for name, values in drift.aspects(both, contract).items() if name not in hidden}
    said = metrics.scores(predictions, "predicted", contract)
    loss = metrics.primary(contract.task, predictions["actual"].to_numpy(), said)
    answers = aspect(spoken(said, contract), days_of(test, contract)[0])
    return {
        "days": days,
        "inputs": {name: as_json(one) for name, one in inputs.items()},
        "answers": {PREDICTION: as_json(answers)},
        "dummy": np.atleast_1d(metrics.scores(predictions, "dummy", contract)[0]).tolist(),
        "loss": float(loss.mean()),
        "rows": len(both),
    }


def as_json(one: Aspect) -> dict[str, Any]:
    """An aspect as JSON holds it."""
    cuts = None if one.bins.cuts is None else one.bins.cuts.tolist()
    return {"cuts": cuts, "values": one.bins.values, "rows": one.rows.tolist()}


def from_json(one: dict[str, Any]) -> Aspect:
    """The aspect that `as_json` gave."""
    return Aspect(Bins(None if one["cuts"] is None else np.array(one["cuts"]), one["values"]), np.array(one["rows"]))


def read(path: Path) -> Reference:
    """The reference that a version carries. Raises InputError when it has none, or a damaged one."""
    if not path.is_file():
        raise InputError("the champion carries no reference (it is from before monitoring): train and promote anew")
    kept = record.read_json(path)
    try:
        inputs, answers = ({k: from_json(one) for k, one in kept[part].items()} for part in ("inputs", "answers"))
        return Reference(kept["days"], inputs, answers, np.array(kept["dummy"]), kept["loss"], kept["rows"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path.name} is no reference ({error!r}): train and promote anew") from error
