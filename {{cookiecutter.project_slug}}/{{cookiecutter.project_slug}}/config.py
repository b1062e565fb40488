"""`params.yaml`, typed: an unknown or missing key fails and is named.

One block per stage of `dvc.yaml`, one for the gates, one for promotion. `gates.pretrain` and
`gates.posttrain` are open mappings from a gate's name to its thresholds: the names listed there are the
gates that must run, and each gate's test reads its own thresholds.
"""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from . import document

Thresholds = dict[str, Any]
PATH = Path("params.yaml")


class Block(BaseModel):
    """A part of `params.yaml` that admits no key it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Ingest(Block):
    """Where rows come from, and which window of the time column is kept: start <= time < end.

    `query` is what a database is asked; null for files.
    """

    source: str = Field(min_length=1)
    query: str | None = Field(min_length=1)
    start: dt.datetime | None
    end: dt.datetime | None

    @model_validator(mode="after")
    def _ordered(self) -> Ingest:
        if any(bound is not None and bound.tzinfo for bound in (self.start, self.end)):
            raise ValueError('start and end are written without a time zone, as "2013-01-31"')
        if self.start and self.end and self.start >= self.end:
            raise ValueError("start must lie before end")
        return self


class Validate(Block):
    """Rows needed after quarantine, in total and of the rarer class."""

    min_rows: int = Field(ge=1)
    min_class_rows: int = Field(ge=1)


class Split(Block):
    """How test rows are chosen. `time`: the last `test_days` days; else a share, by hash of key or group.

    Of more training rows than `max_train_rows` that many are drawn.
    """

    by: Literal["time", "group", "stratified", "hash"]
    test_days: int = Field(ge=1)
    test_share: float = Field(gt=0, lt=1)
    max_train_rows: int = Field(ge=1)


class Pretrain(Block):
    """Rows of the smoke-train."""

    smoke_rows: int = Field(ge=20)


class Cost(Block):
    """What each kind of wrong decision costs; only the ratio matters. Binary tasks only."""

    false_positive: float = Field(gt=0)
    false_negative: float = Field(gt=0)


class Train(Block):
    """The estimator by import path, its arguments, and the inner folds that tune the decision threshold."""

    estimator: str = Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")
    arguments: dict[str, Any]
    encoding: Literal["ordinal", "onehot"]
    folds: int = Field(ge=2, le=20)
    cost: Cost


class Evaluate(Block):
    """Columns whose values are slices, and how many bootstrap replicates an interval takes."""

    slices: list[str]
    replicates: int = Field(ge=200, le=100_000)


class Direction(Block):
    """A change of one input and the way predictions must move, or that they must not; `class` for many classes."""

    column: str
    low: Any
    high: Any
    expect: Literal["up", "down", "same"]
    class_: Any = Field(None, alias="class")


class Functionality(Block):
    """Inputs with which the prediction (multiclass: the probability of `class`) must lie above or below a value."""

    given: dict[str, Any] = Field(min_length=1)
    above: float | None = None
    below: float | None = None
    class_: Any = Field(None, alias="class")

    @model_validator(mode="after")
    def _one_side(self) -> Functionality:
        if (self.above is None) == (self.below is None):
            raise ValueError("needs above or below, and not both")
        return self


class Posttrain(Block):
    """What an expert would insist on, and how many test rows each expectation is tried on."""

    directions: list[Direction]
    functionality: list[Functionality]
    cases: int = Field(ge=20)


class Gates(Block):
    """The unit of resampling, the confidence of one-sided bounds, and the gates that must run."""

    resample_by: str
    confidence: float = Field(gt=0.5, lt=1)
    pretrain: dict[str, Thresholds] = Field(min_length=1)
    posttrain: dict[str, Thresholds] = Field(min_length=1)

    @field_validator("pretrain", "posttrain")
    @classmethod
    def _finite(cls, gates: dict[str, Thresholds]) -> dict[str, Thresholds]:
        for gate, thresholds in gates.items():
            for name, value in thresholds.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise ValueError(f"{gate}.{name} is {value}, which no statistic can exceed: give a number")
        return gates


class Promote(Block):
    """Challenger against champion: margins are in units of the primary metric."""

    non_inferiority_margin: float = Field(ge=0)
    guardrails: dict[str, float]
    min_rows: int = Field(ge=1)
    min_units: int = Field(ge=2)


class Log(Block):
    """The prediction log: its folder, how often a part is written (s), days kept, and inputs that it must not hold."""

    folder: Path
    seconds: float = Field(gt=0, le=60)
    keep_days: int = Field(ge=1)
    private: dict[str, Literal["drop", "hash"]]


class Serve(Block):
    """Limits of one request (rows, MB of 10^6 bytes, s) and of all at once; how often the registry is asked (s)."""

    max_rows: int = Field(ge=1)
    max_mb: float = Field(gt=0)
    max_seconds: float = Field(gt=0)
    max_requests: int = Field(ge=1)
    refresh_seconds: float = Field(gt=0)
    shadow: bool
    log: Log


class Quality(Block):
    """What late labels say: days of labelled rows looked at, when labels are due (days), the share that must be there,
    and the loss that recalibrating may win back, in the primary metric (regression: of the target's variance).
    """

    days: int = Field(ge=1)
    label_days: float = Field(ge=0)
    min_share: float = Field(ge=0, le=1)
    margin: float = Field(ge=0)


class Monitor(Block):
    """When the prediction log asks for a retraining: `alarms` of the last `windows` windows, the latest among them.

    `alpha`: the share of ordinary windows that alarm, all columns together. `max_age_days`: of the champion's newest
    training row. `max_refused`: retrainings in a row that brought no new champion, after which a person is asked.
    """

    window_days: int = Field(ge=1)
    windows: int = Field(ge=1)
    alarms: int = Field(ge=1)
    alpha: float = Field(gt=0, lt=0.5)
    min_rows: int = Field(ge=1)
    max_age_days: int = Field(ge=1)
    quality: Quality
    cool_down_days: float = Field(ge=0)
    max_per_week: int = Field(ge=1)
    max_refused: int = Field(ge=1)

    @model_validator(mode="after")
    def _possible(self) -> Monitor:
        if self.alarms > self.windows:
            raise ValueError("alarms cannot exceed windows")
        return self


class Params(Block):
    """All of `params.yaml`."""

    seed: int = Field(ge=0)
    ingest: Ingest
    validation: Validate = Field(alias="validate")
    split: Split
    pretrain: Pretrain
    train: Train
    evaluate: Evaluate
    posttrain: Posttrain
    gates: Gates
    promote: Promote
    serve: Serve
    monitor: Monitor


def load(path: Path = PATH) -> Params:
    """Read and check `params.yaml`. Raises InputError."""
    return document.read(path, Params)
