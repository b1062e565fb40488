"""Does the model behave as an expert would insist on? Expectations in `params.yaml: posttrain`, tried on many rows.

The three kinds of behavioural test of Ribeiro et al. 2020 (CheckList): minimum functionality (`functionality`: with
these inputs the prediction lies there), invariance (`expect: same`) and direction (`expect: up`, `down`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config
from ..errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Column, Schema

Predict = Callable[["pd.DataFrame"], np.ndarray]
Cast = Callable[["pd.Series", "Column"], "pd.Series"]


@dataclass(frozen=True)
class Finding:
    """One expectation: the share of rows that fail it, whether any row moves the expected way, and what was seen."""

    case: str
    rate: float
    alive: bool
    said: str


@dataclass(frozen=True)
class Trial:
    """What expectations are tried on: rows of the test set, the model, and how a value is cast to its column's type."""

    rows: pd.DataFrame
    contract: Schema
    predict: Predict
    cast: Cast

    def column(self, name: str, value: Any) -> np.ndarray:
        """`value` in every row, as column `name` holds it. Raises InputError when it is no value of such a column."""
        import pandas as pd

        if name not in self.contract.inputs:
            raise InputError(f"posttrain: {name} is no input of schema.yaml (role feature or time): mend params.yaml")
        declared = self.contract.columns[name]
        typed = self.cast(pd.Series([value] * len(self.rows)), declared)
        lost = typed.isna().any() and (value is not None or not declared.nullable)
        if lost or (value is not None and declared.values is not None and typed.iloc[0] not in declared.values):
            raise InputError(f"posttrain: {value!r} is no value of {name} ({declared.type}): mend params.yaml")
        return typed.to_numpy()

    def with_inputs(self, given: dict[str, Any], class_: Any) -> np.ndarray:
        """Predictions (n,) with the inputs `given`: of a multiclass task, the probability of `class_`.

        Raises InputError for a column, value or class that `schema.yaml` does not know, and for a class that a
        multiclass task lacks or another task has.
        """
        classes = self.contract.classes if self.contract.task == "multiclass" else []
        if class_ is not None and class_ not in classes:
            known = f"none of {', '.join(map(str, classes))}" if classes else "only for a multiclass task"
            raise InputError(f"posttrain: class {class_} is {known}: mend params.yaml")
        if class_ is None and classes:
            raise InputError("posttrain: each expectation on a multiclass task needs class: whose probability is meant")
        changed = self.rows.assign(**{name: self.column(name, value) for name, value in given.items()})
        predicted = self.predict(changed)
        return predicted[:, classes.index(class_)] if classes else predicted


def direction(expected: config.Direction, trial: Trial, tolerance: float) -> Finding:
    """The share of rows that move by more than `tolerance` otherwise than `expect` says. Raises InputError."""
    low, high = (trial.with_inputs({expected.column: v}, expected.class_) for v in (expected.low, expected.high))
    change = low - high if expected.expect == "down" else high - low
    size = np.abs(change) if expected.expect == "same" else -change
    alive = expected.expect == "same" or bool((change > 0).any())
    rate = float((~(size <= tolerance)).mean())  # a NaN fails, too
    said = f"{expected.column} from {expected.low} to {expected.high}, expected {expected.expect}:"
    said += f" {rate:.2%} of cases move wrongly" + ("" if alive else ", and none moves at all")
    return Finding(f"{expected.column} {expected.expect}{of(expected.class_)}", rate, alive, said)


def functionality(expected: config.Functionality, trial: Trial) -> Finding:
    """The share of rows whose prediction, with the inputs given, is not above or below. Raises InputError."""
    predicted = trial.with_inputs(expected.given, expected.class_)
    inside = predicted > expected.above if expected.above is not None else predicted < expected.below
    rate = float((~inside).mean())
    side = f"above {expected.above:g}" if expected.above is not None else f"below {expected.below:g}"
    given = ", ".join(f"{name} {value}" for name, value in expected.given.items())
    said = f"given {given}: {rate:.2%} of cases are not {side}"
    return Finding(f"{', '.join(expected.given)} {side}{of(expected.class_)}", rate, True, said)


def of(class_: Any) -> str:
    """The class in a case's name."""
    return "" if class_ is None else f" of {class_}"


def findings(expected: config.Posttrain, trial: Trial, tolerance: float) -> Iterator[Finding]:
    """Each expectation in turn. Raises InputError when there is none, or one that does not fit `schema.yaml`."""
    if not expected.directions and not expected.functionality:
        raise InputError("posttrain.directions and posttrain.functionality are empty, so that nothing is judged: say"
                         " what an expert would insist on, or take behaviour out of gates.posttrain")  # fmt: skip
    yield from (direction(one, trial, tolerance) for one in expected.directions)
    yield from (functionality(one, trial) for one in expected.functionality)
