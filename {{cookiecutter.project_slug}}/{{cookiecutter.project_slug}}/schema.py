"""`schema.yaml`, typed: the data contract that tables, requests and gates share.

A column's `role` says what it is for: `feature` (the default), `key` (names a row), `time`, `group` (an
entity whose rows belong together), `target`, or `outcome` (known only after the fact: never a feature).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from . import document

if TYPE_CHECKING:
    import pandas as pd

PATH = Path("schema.yaml")
Role = Literal["feature", "key", "time", "group", "target", "outcome"]
Type = Literal["int", "float", "bool", "category", "datetime"]


class Column(BaseModel):
    """One column: its type, and what its values may be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Type
    role: Role = "feature"
    nullable: bool = False
    min: float | None = None
    max: float | None = None
    values: list[Any] | None = None

    @model_validator(mode="after")
    def _range(self) -> Column:
        if (self.min is not None or self.max is not None) and self.type not in ("int", "float"):
            raise ValueError(f"min and max are for type int or float, not {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min lies above max")
        return self

    @field_validator("values")
    @classmethod
    def _as_text(cls, values: list[Any] | None, info: ValidationInfo) -> list[Any] | None:
        return [str(value) for value in values] if values and info.data.get("type") == "category" else values


class Schema(BaseModel):
    """The table: what is predicted, and every column by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Literal["binary", "multiclass", "regression"]
    columns: dict[str, Column] = Field(min_length=2)

    @model_validator(mode="after")
    def _roles(self) -> Schema:
        for role, at_most in (("target", 1), ("time", 1), ("group", 1)):
            if len(self.named(role)) > at_most:
                raise ValueError(f"only one column may have role {role}")
        if not self.named("target"):
            raise ValueError("one column needs role: target")
        if not self.named("feature"):
            raise ValueError("at least one column must be a feature")
        target = self.columns[self.target]
        if self.task == "binary" and (target.values is None or len(target.values) != 2):
            raise ValueError(f"binary target {self.target} needs values: [negative, positive]")
        if self.task == "multiclass" and len(set(target.values or ())) < 3:
            raise ValueError(f"multiclass target {self.target} needs values: the classes, three or more")
        if self.task == "regression" and target.type not in ("int", "float"):
            raise ValueError(f"regression target {self.target} needs type int or float")
        if self.time and self.columns[self.time].type != "datetime":
            raise ValueError(f"time column {self.time} needs type datetime")
        return self

    def named(self, role: str) -> list[str]:
        """Names of the columns with this role, in the file's order."""
        return [name for name, column in self.columns.items() if column.role == role]

    @property
    def target(self) -> str:
        """The column that is predicted."""
        return self.named("target")[0]

    @property
    def key(self) -> list[str]:
        """The columns that together name a row; empty when none is declared."""
        return self.named("key")

    @property
    def time(self) -> str | None:
        """The time column, if any."""
        return next(iter(self.named("time")), None)

    @property
    def group(self) -> str | None:
        """The entity column, if any."""
        return next(iter(self.named("group")), None)

    @property
    def inputs(self) -> list[str]:
        """The columns a prediction is made from: features, and the time, which features may be derived from."""
        return [name for name, column in self.columns.items() if column.role in ("feature", "time")]

    def features(self, *types: str) -> list[str]:
        """Feature columns of the given types."""
        return [name for name in self.named("feature") if self.columns[name].type in types]

    @property
    def classes(self) -> list[Any]:
        """The target's admitted values in the file's order (binary: negative, positive); empty for regression."""
        return [] if self.task == "regression" else list(self.columns[self.target].values or ())

    def encode_target(self, values: pd.Series) -> pd.Series:
        """Target values as numbers: the position of the class, or the value itself for regression; null stays."""
        if self.task == "regression":
            return values.astype("float64")
        return values.map({value: float(i) for i, value in enumerate(self.classes)}).astype("float64")

    def scores(self, name: str) -> list[str]:
        """The columns in which a table of predictions holds those of model `name`: one, or one per class."""
        return [f"{name}.{i}" for i in range(len(self.classes))] if self.task == "multiclass" else [name]


def load(path: Path = PATH) -> Schema:
    """Read and check `schema.yaml`. Raises InputError."""
    return document.read(path, Schema)
